//! What a check of settings or secrets found, collected so that all of it is
//! told at once. Holds names of fields and our own words, never a value.

use crate::domain::{FieldError, FieldErrors};

/// Collects refusals.
#[derive(Default)]
pub struct Refusals(Vec<FieldError>);

impl Refusals {
    /// Refuses `field` for this `problem`, unless it fits.
    pub fn unless(&mut self, fits: bool, field: &str, problem: &str) {
        if !fits {
            self.0.push(FieldError::new(field, problem));
        }
    }

    /// What came of it.
    ///
    /// # Errors
    /// All that was refused.
    pub fn into_result(self) -> Result<(), FieldErrors> {
        if self.0.is_empty() { Ok(()) } else { Err(FieldErrors(self.0)) }
    }
}
