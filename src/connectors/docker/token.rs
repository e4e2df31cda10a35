//! What a registry's token really allows, where it can be read: a JWT whose
//! claim `access` lists it (the token specification of OCI distribution).
//! Pure; the signature is for the registry to check, not for us.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::domain::{SecretText, Timestamp};

use super::scope::Scope;

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It cannot be read.
    Opaque,
    /// Just what was asked for, until the end that it names.
    AsAsked(Option<Timestamp>),
    /// Something that was not asked for.
    Wider,
    /// Not these, which were asked for.
    Lacks(Vec<&'static str>),
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<u64>,
    access: Option<Vec<Access>>,
}

#[derive(Deserialize)]
struct Access {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    actions: Vec<String>,
}

/// Reads a token that was asked for with this scope.
pub fn read(token: &SecretText, scope: &Scope) -> Reading {
    let Some(claims) = claims(token.reveal()) else { return Reading::Opaque };
    let Some(access) = claims.access else { return Reading::Opaque };
    let mine = |entry: &&Access| entry.kind == "repository" && Some(&entry.name) == scope.repository.as_ref();
    let wider = access
        .iter()
        .filter(|entry| !entry.actions.is_empty())
        .any(|entry| !mine(&entry) || entry.actions.iter().any(|action| !scope.actions().contains(&action.as_str())));
    if wider {
        return Reading::Wider;
    }
    let has = |wanted: &str| access.iter().filter(mine).any(|entry| entry.actions.iter().any(|own| own == wanted));
    let lacks: Vec<_> = scope.actions().iter().copied().filter(|action| !has(action)).collect();
    if lacks.is_empty() { Reading::AsAsked(claims.exp.map(ends)) } else { Reading::Lacks(lacks) }
}

// A year beyond all sense is no end at all.
fn ends(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1000).min(i64::MAX / 1000))
}

fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (header, claims) = (parts.next()?, parts.next()?);
    if parts.next().is_none() || parts.next().is_some() {
        return None;
    }
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok().map(Zeroizing::new);
    let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
    header.get("alg")?;
    serde_json::from_slice(&decoded(claims)?).ok()
}

/// Whether the token is the password in another dress: some registries hand
/// it back in base64, for everything and for ever.
pub fn echoes(token: &SecretText, password: &[u8]) -> bool {
    let token = token.reveal();
    let within = |bytes: &[u8]| !password.is_empty() && bytes.windows(password.len()).any(|part| part == password);
    let plain = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    within(token.as_bytes())
        || plain.iter().any(|form| form.decode(token).ok().map(Zeroizing::new).is_some_and(|bytes| within(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AccessLevel;

    fn scope(access: AccessLevel) -> Scope {
        Scope { resource: "h/team/model".to_owned(), repository: Some("team/model".to_owned()), access }
    }

    fn jwt(claims: &str) -> SecretText {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        SecretText::new(format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(claims)))
    }

    fn with(access: &str) -> SecretText {
        jwt(&format!(r#"{{"exp":2000,"access":{access}}}"#))
    }

    #[test]
    fn a_token_is_what_was_asked_for_or_it_is_not() {
        let read = |access: &str, level| read(&with(access), &scope(level));
        let pull = r#"[{"type":"repository","name":"team/model","actions":["pull"]}]"#;
        let both = r#"[{"type":"repository","name":"team/model","actions":["push","pull"]}]"#;
        let all = r#"[{"type":"repository","name":"team/model","actions":["*"]}]"#;
        let other = r#"[{"type":"repository","name":"team/other","actions":["pull"]}]"#;
        let catalog = r#"[{"type":"registry","name":"catalog","actions":["*"]}]"#;
        let end = Reading::AsAsked(Some(Timestamp::from_seconds(2000)));
        assert_eq!(read(pull, AccessLevel::Read), end);
        assert_eq!(read(both, AccessLevel::Write), end);
        assert_eq!(read(both, AccessLevel::Read), Reading::Wider);
        assert_eq!(read(all, AccessLevel::Admin), Reading::Wider);
        assert_eq!(read(other, AccessLevel::Read), Reading::Wider);
        assert_eq!(read(catalog, AccessLevel::Admin), Reading::Wider);
        assert_eq!(read("[]", AccessLevel::Read), Reading::Lacks(vec!["pull"]));
        assert_eq!(read(pull, AccessLevel::Write), Reading::Lacks(vec!["push"]));
        assert_eq!(read(both, AccessLevel::Admin), Reading::Lacks(vec!["delete"]));
    }

    #[test]
    fn what_is_no_readable_token_is_opaque() {
        let level = scope(AccessLevel::Read);
        for text in ["djE6dXNlcjp0b2tlbg==", "a.b", "a.b.c", "a.b.c.d", "..", ""] {
            assert_eq!(read(&SecretText::new(text.to_owned()), &level), Reading::Opaque, "{text}");
        }
        for claims in ["[]", "{}", r#"{"access":7}"#, r#"{"access":[{"type":7}]}"#, "null"] {
            assert_eq!(read(&jwt(claims), &level), Reading::Opaque, "{claims}");
        }
    }

    #[test]
    fn a_password_is_found_in_every_dress() {
        let password = b"ghp_pass-word/+1";
        let of = |text: String| echoes(&SecretText::new(text), password);
        assert!(of("ghp_pass-word/+1".to_owned()) && of(STANDARD.encode(password)));
        assert!(of(URL_SAFE_NO_PAD.encode(b"user:ghp_pass-word/+1")));
        assert!(!of(STANDARD.encode(b"something else")) && !of("token".to_owned()));
    }
}
