//! The token: who is vouched for, to whom, and for how long.
//!
//! Says of the caller only what the broker knows for certain. A claim that is
//! not true is left out: there is a `run` in runs only.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::domain::{IssuerKeyId, IssuerUrl, Subject, Timestamp, Ttl};

/// A cloud whose clock is a little behind must not see a token from the
/// future: Google and most libraries allow nothing there.
const BEHIND: Duration = Duration::from_secs(5);

/// What a token is made of beside its subject.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Who vouches.
    pub issuer: &'a IssuerUrl,
    /// To whom.
    pub audience: &'a str,
    /// The time.
    pub now: Timestamp,
    /// From `now` on.
    pub ttl: Ttl,
    /// Names this token alone.
    pub id: [u8; 16],
}

/// The header, beside what signing adds.
pub fn header(key: &IssuerKeyId) -> Map<String, Value> {
    Map::from_iter([("kid".to_owned(), key.as_str().into())])
}

/// The claims.
pub fn claims(subject: &Subject, facts: &Facts<'_>) -> Value {
    let begins = Timestamp::from_millis(facts.now.millis().saturating_sub(millis(BEHIND))).seconds();
    let (kind, principal) = &subject.principal;
    let mut claims = json!({
        "iss": facts.issuer.as_str(),
        "sub": subject.to_string(),
        "aud": facts.audience,
        "iat": begins,
        "nbf": begins,
        "exp": facts.now.plus(facts.ttl.as_duration()).seconds(),
        "jti": hex::encode(facts.id),
        "project": subject.project.as_str(),
        "connector": subject.connector.as_str(),
        "principal": principal.as_str(),
        "principal_kind": kind.as_str(),
    });
    let more = [
        ("run", subject.run.as_ref().map(|(id, _)| id.to_string())),
        ("run_name", subject.run.as_ref().map(|(_, name)| name.to_string())),
        ("issuance", subject.issuance.map(|id| id.to_string())),
    ];
    if let Some(claims) = claims.as_object_mut() {
        claims.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
    }
    claims
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::documents::OWN_CLAIMS;
    use super::*;
    use crate::domain::{IssuanceId, PrincipalKind, RunId, SubjectForm};

    fn subject(form: SubjectForm, issuance: Option<IssuanceId>) -> Subject {
        Subject {
            project: "default".parse().unwrap(),
            connector: "prod-s3".parse().unwrap(),
            principal: (PrincipalKind::ServiceAccount, "trainer".parse().unwrap()),
            run: None,
            issuance,
            form,
        }
    }

    fn of(subject: &Subject) -> Value {
        let issuer = IssuerUrl::parse("https://id.example.com").unwrap();
        let now = Timestamp::from_seconds(1_800_000_000);
        let facts = Facts { issuer: &issuer, audience: "sts.amazonaws.com", now, ttl: Ttl::seconds(300), id: [7; 16] };
        claims(subject, &facts)
    }

    #[test]
    fn a_token_names_issuer_audience_subject_and_its_times() {
        let id = IssuanceId::from_bytes([9; 16]);
        let claims = of(&subject(SubjectForm::Principal, Some(id)));
        let expected = json!({
            "iss": "https://id.example.com",
            "sub": "project:default:connector:prod-s3:principal:service-account/trainer",
            "aud": "sts.amazonaws.com",
            "iat": 1_799_999_995,
            "nbf": 1_799_999_995,
            "exp": 1_800_000_300,
            "jti": "07".repeat(16),
            "project": "default",
            "connector": "prod-s3",
            "principal": "trainer",
            "principal_kind": "service-account",
            "issuance": id.to_string(),
        });
        assert_eq!(claims, expected);
        let run = RunId::from_bytes([5; 16]);
        let subject =
            Subject { run: Some((run, "nightly".parse().unwrap())), ..subject(SubjectForm::Principal, Some(id)) };
        let in_run = of(&subject);
        assert_eq!(
            in_run["sub"],
            format!("project:default:connector:prod-s3:principal:service-account/trainer:run:{run}")
        );
        assert_eq!((&in_run["run"], &in_run["run_name"]), (&json!(run.to_string()), &json!("nightly")));
        assert!(OWN_CLAIMS.iter().all(|name| in_run.get(*name).is_some()));
        let short = of(&Subject { form: SubjectForm::Connector, ..subject });
        assert_eq!((&short["sub"], &short["run"]), (&json!("project:default:connector:prod-s3"), &in_run["run"]));
    }

    #[test]
    fn what_is_not_so_is_left_out_and_the_short_subject_keeps_the_claims() {
        let claims = of(&subject(SubjectForm::Connector, None));
        assert_eq!(claims["sub"], "project:default:connector:prod-s3");
        assert_eq!(claims["principal"], "trainer");
        assert!(claims.get("issuance").is_none() && claims.get("run").is_none());
    }
}
