//! The identity that the broker itself vouches for: who a token of its own
//! OpenID issuer is about, and the port that makes one.
//!
//! Clouds that trust the issuer take such a token instead of a stored secret.
//! The nouns and the port are here; the keys are in the strongroom.

use super::ids::{IssuanceId, RunId};
use super::name::Name;
use super::principal::PrincipalKind;
use super::secret_text::SecretText;
use super::ttl::Ttl;

/// How much the `sub` of a token says. Every form names project and connector;
/// the claims of the token say the rest in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectForm {
    /// `project:P:connector:C:principal:KIND/NAME[:run:ID]`, for clouds that
    /// match by patterns or by claims: AWS and Google.
    #[default]
    Principal,
    /// `project:P:connector:C`, for clouds that compare the whole `sub` with a
    /// short list: Entra takes twenty for one application.
    Connector,
}

/// Who a token is about. Names what a trust policy of a cloud may match on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The project's name.
    pub project: Name,
    /// The connector's name.
    pub connector: Name,
    /// Who asked, and what kind of principal that is.
    pub principal: (PrincipalKind, Name),
    /// In which run of that principal's, by id and name; none outside of runs.
    pub run: Option<(RunId, Name)>,
    /// What it is minted for; none while a connector is verified.
    pub issuance: Option<IssuanceId>,
    /// How much of it is in `sub`.
    pub form: SubjectForm,
}

/// `project:P:connector:C[:principal:KIND/NAME[:run:ID]]`. Injective: neither
/// a name, a kind nor an id has a colon or a slash in it.
impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "project:{}:connector:{}", self.project, self.connector)?;
        match self.form {
            SubjectForm::Connector => Ok(()),
            SubjectForm::Principal => {
                let (kind, name) = &self.principal;
                write!(f, ":principal:{}/{name}", kind.as_str())?;
                self.run.as_ref().map_or(Ok(()), |(run, _)| write!(f, ":run:{run}"))
            }
        }
    }
}

/// Why there is no token. Named by what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The server's config has no issuer: enable it.
    #[error("the server's OpenID issuer is off")]
    Off,
    /// Signing failed; a fault of ours.
    #[error("the identity token cannot be signed")]
    Unsigned,
}

/// Makes identity tokens. Local work: no I/O, no waiting.
pub trait IdentityTokens: Send + Sync {
    /// A signed JWT about `subject` for `audience`, alive for `ttl`.
    ///
    /// # Errors
    /// `Off` when the server has no issuer.
    fn token(&self, subject: &Subject, audience: &str, ttl: Ttl) -> Result<SecretText, IdentityError>;
}

/// A server without an issuer.
#[derive(Debug, Clone, Copy)]
pub struct NoIssuer;

impl IdentityTokens for NoIssuer {
    fn token(&self, _: &Subject, _: &str, _: Ttl) -> Result<SecretText, IdentityError> {
        Err(IdentityError::Off)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = Name> {
        "[a-c][a-c0-9-]{0,2}[a-c]".prop_map(|text| text.parse().unwrap())
    }

    fn subject() -> impl Strategy<Value = Subject> {
        let kind = prop_oneof![Just(PrincipalKind::User), Just(PrincipalKind::ServiceAccount)];
        let form = prop_oneof![Just(SubjectForm::Principal), Just(SubjectForm::Connector)];
        let run = proptest::option::of((any::<u8>().prop_map(|byte| RunId::from_bytes([byte; 16])), name()));
        (name(), name(), kind, name(), run, form).prop_map(|(project, connector, kind, principal, run, form)| Subject {
            project,
            connector,
            principal: (kind, principal),
            run,
            issuance: None,
            form,
        })
    }

    /// The parts again: what can be read back is injective.
    fn read(text: &str) -> Option<Subject> {
        let parts: Vec<&str> = text.split(':').collect();
        let (project, connector, principal, run) = match parts.as_slice() {
            ["project", project, "connector", connector] => (project, connector, None, None),
            ["project", project, "connector", connector, "principal", who] => {
                (project, connector, who.split_once('/'), None)
            }
            ["project", project, "connector", connector, "principal", who, "run", run] => {
                (project, connector, who.split_once('/'), Some(run.parse().ok()?))
            }
            _ => return None,
        };
        let form = if principal.is_some() { SubjectForm::Principal } else { SubjectForm::Connector };
        let (kind, name) = principal.unwrap_or(("user", "nobody"));
        let kinds = [PrincipalKind::User, PrincipalKind::ServiceAccount];
        let kind = kinds.into_iter().find(|one| one.as_str() == kind)?;
        let principal = (kind, name.parse().ok()?);
        Some(Subject {
            project: project.parse().ok()?,
            connector: connector.parse().ok()?,
            principal,
            run: run.map(|id| (id, "any".parse().unwrap())),
            issuance: None,
            form,
        })
    }

    proptest! {
        #[test]
        fn a_sub_can_be_read_back_so_two_subjects_never_share_one(one in subject()) {
            let back = read(&one.to_string()).unwrap();
            prop_assert_eq!(&back.to_string(), &one.to_string());
            prop_assert_eq!((&back.project, &back.connector, back.form), (&one.project, &one.connector, one.form));
            if one.form == SubjectForm::Principal {
                prop_assert_eq!(back.principal, one.principal);
                prop_assert_eq!(back.run.map(|(id, _)| id), one.run.map(|(id, _)| id));
            }
        }

        #[test]
        fn no_name_holds_what_parts_a_sub(text in "\\PC{1,8}") {
            if let Ok(name) = text.parse::<Name>() {
                prop_assert!(!name.as_str().contains([':', '/', '*', '?']));
            }
        }
    }
}
