//! Identity tokens that leave a trace: each one that is made for a call is in
//! the result line of that call, with whom it names and to whom.

use std::sync::Arc;

use crate::audit::Notes;
use crate::domain::{IdentityError, IdentityTokens, SecretText, Subject, Ttl};

/// Makes identity tokens for one call, and says so.
pub(super) struct Vouching {
    issuer: Arc<dyn IdentityTokens>,
    notes: Notes,
}

impl Vouching {
    /// Tokens of `issuer`, noted in `notes`.
    pub(super) fn new(issuer: Arc<dyn IdentityTokens>, notes: Notes) -> Self {
        Self { issuer, notes }
    }
}

impl IdentityTokens for Vouching {
    fn token(&self, subject: &Subject, audience: &str, ttl: Ttl) -> Result<SecretText, IdentityError> {
        let token = self.issuer.token(subject, audience, ttl)?;
        self.notes.note("identity", "issuer");
        self.notes.note("identity_subject", &subject.to_string());
        self.notes.note("identity_audience", audience);
        Ok(token)
    }
}
