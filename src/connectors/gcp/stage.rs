//! The fake Google as a stage for every mint of the catalog; see `connectors::stage`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::json;

use super::fake::{EMAIL, Fake, key_file};
use crate::connectors::Upstream;
use crate::connectors::stage::{ASKED, Stage, about};
use crate::connectors::workbench::{now, subject, upstream};
use crate::domain::{IdentityError, IdentityTokens, SecretText, Subject, Ttl};

/// Google's tokens, the federated and the machine's among them.
const GOOGLE: u64 = 3599;
/// What is left of a token that was handed in.
const HANDED_IN: u64 = 1200;

/// A provider that trusts the issuer of the stage.
const PROVIDER: &str =
    "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ml/providers/ours";

/// An issuer whose tokens are of the right shape.
struct Issuer;

impl IdentityTokens for Issuer {
    fn token(&self, _: &Subject, _: &str, _: Ttl) -> Result<SecretText, IdentityError> {
        // {} and {"sub":"data"}
        Ok(SecretText::new("e30.eyJzdWIiOiJkYXRhIn0.c2ln".to_owned()))
    }
}

/// For one mint of this method; nothing when the method is not known.
pub async fn stage(method: &str) -> Option<Stage> {
    let fake = Fake::start(|_| None).await;
    let way = upstream(&fake.url, None, &["gcp:default"], now());
    let mut settings = json!({ "endpoint_url": fake.url });
    let stage = |settings, lives| Stage::new(settings, way.clone(), lives).lied_to_by(&fake.gate);
    let key = key_file(EMAIL, 0);
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "1//r"});
    Some(match method {
        "service-account" => stage(settings, of(GOOGLE)).with(&[("service_account_json", &key)]),
        "impersonation" => stage(settings, about(ASKED.into())).with(&[("service_account_json", &key)]),
        "user-account" => stage(settings, of(GOOGLE)).with(&[("user_account_json", &user.to_string())]),
        "external-account" => {
            settings["audience"] = json!(PROVIDER);
            Stage { upstream: vouched(&way), ..stage(settings, of(GOOGLE)) }
        }
        "oauth2-token" => Stage { ends: true, ..stage(settings, of(HANDED_IN)).with(&[("token", "ya29.handed-in")]) },
        "implicit" => {
            settings["metadata_url"] = json!(fake.url);
            stage(settings, of(GOOGLE))
        }
        _ => return None,
    })
}

/// A life in seconds is counted from the asking.
const fn of(seconds: u64) -> RangeInclusive<u64> {
    seconds..=seconds
}

fn vouched(way: &Upstream) -> Upstream {
    Upstream { identities: Arc::new(Issuer), subject: Some(subject("data")), ..way.clone() }
}
