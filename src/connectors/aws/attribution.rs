//! Who a session is for, in the shapes that AWS's own audit log shows.

use crate::domain::{Attribution, SecretText};

/// GetFederationToken takes at most 32 characters.
const FEDERATED_NAME_LENGTH_MAX: usize = 32;
/// The hash at the end of a session name: what makes it injective.
const HASH_LENGTH: usize = 20;

/// What every session of one mint is named and tagged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// RoleSessionName.
    pub session: String,
    /// SourceIdentity.
    pub source_identity: String,
    /// The Name of a federated session.
    pub federated: String,
    /// Session tags.
    pub tags: Vec<(String, String)>,
}

impl Names {
    /// The names of a mint.
    pub fn of(attribution: &Attribution) -> Self {
        let session = attribution.session_name();
        let tag = |key: &str, value: String| (format!("valetkey:{key}"), value);
        let mut tags = vec![
            tag("project", attribution.project.to_string()),
            tag("principal", attribution.principal.name.as_str().to_owned()),
            tag("issuance", attribution.issuance.to_string()),
        ];
        tags.extend(attribution.run.map(|run| tag("run", run.to_string())));
        Self { federated: federated(&session), source_identity: attribution.source_identity(), tags, session }
    }

    /// The names of the broker's own looks at an account. With every part of
    /// a mint's, so that a trust policy that refuses one is found out.
    pub fn verification() -> Self {
        let name = "vk-verify".to_owned();
        let tags = vec![("valetkey:principal".to_owned(), name.clone())];
        Self { session: name.clone(), source_identity: name.clone(), federated: name, tags }
    }
}

/// Shorter in its readable part; the hash stays whole, and with it the name
/// stays different for each principal and issuance.
fn federated(session: &str) -> String {
    let hash_at = session.len().saturating_sub(HASH_LENGTH);
    let (readable, hash) = session.split_at_checked(hash_at).unwrap_or(("vk-", session));
    let room = FEDERATED_NAME_LENGTH_MAX - HASH_LENGTH - 1;
    let readable: String = readable.trim_end_matches('-').chars().take(room).collect();
    format!("{readable}-{hash}")
}

/// A copy of secret text, for a shape that holds its own.
pub fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::connectors::workbench::attribution_of;
    use crate::domain::RunId;

    use super::*;

    fn names(principal: &str, id: u8, issuance: u8) -> Names {
        Names::of(&attribution_of(principal, id, issuance))
    }

    #[test]
    fn a_mint_in_a_run_is_tagged_and_named_with_it_and_one_outside_is_not() {
        let outside = attribution_of("anna", 1, 1);
        let run = RunId::from_bytes([0xab; 16]);
        let within = Names::of(&Attribution { run: Some(run), ..outside.clone() });
        let tag = ("valetkey:run".to_owned(), run.to_string());
        assert!(within.tags.contains(&tag) && within.session.contains("-abababab-"), "{within:?}");
        let outside = Names::of(&outside);
        assert_eq!(within.tags.len(), outside.tags.len() + 1);
        assert_eq!(within.source_identity, outside.source_identity);
        assert!(within.federated != outside.federated && within.federated.len() <= FEDERATED_NAME_LENGTH_MAX);
        assert!(within.tags.iter().all(|(key, value)| key.len() <= 128 && value.len() <= 256), "as AWS takes them");
    }

    #[test]
    fn names_fit_awss_grammar_and_differ_by_principal_and_issuance() {
        let long = "a".repeat(63);
        let all =
            [names("anna", 1, 1), names("anna", 1, 2), names("anna", 2, 1), names(&long, 1, 1), names("a-b", 3, 1)];
        for name in &all {
            assert!((2..=32).contains(&name.federated.len()), "{}", name.federated);
            assert!((2..=64).contains(&name.session.len()) && (2..=64).contains(&name.source_identity.len()));
            let letters = [&name.federated, &name.session, &name.source_identity];
            assert!(letters.iter().all(|text| text.bytes().all(super::super::place::iam_letter)));
        }
        let federated: std::collections::BTreeSet<_> = all.iter().map(|name| &name.federated).collect();
        assert_eq!(federated.len(), all.len());
        assert_eq!(all[0].source_identity, all[1].source_identity);
    }
}
