//! Descriptions: one line for people, at most 1,000 characters.

use super::field_error::FieldError;

/// The longest description, in characters.
pub const DESCRIPTION_LENGTH_MAX: usize = 1000;

/// Checks length and characters; an empty one is fine.
///
/// # Errors
/// Names the field `description`.
pub fn parse(text: &str) -> Result<String, FieldError> {
    let fits = text.chars().count() <= DESCRIPTION_LENGTH_MAX && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(FieldError::new("description", "at most 1,000 characters, none of them control characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_bounded_and_has_no_control_characters() {
        assert!(parse("").is_ok());
        assert!(parse(&"ü".repeat(DESCRIPTION_LENGTH_MAX)).is_ok());
        for bad in [&"u".repeat(DESCRIPTION_LENGTH_MAX + 1), "two\nlines", "\u{1b}[31mred", "nul\0"] {
            assert_eq!(parse(bad).unwrap_err().field, "description");
        }
    }
}
