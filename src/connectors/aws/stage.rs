//! The fake STS as a stage for every mint of the catalog; see `connectors::stage`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::json;

use super::fake::{Fake, KEY, Manner, SESSION, TOKEN};
use super::ids::KUBERNETES_CLUSTER;
use crate::connectors::Upstream;
use crate::connectors::stage::{ASKED, HANDED_IN, Stage, about};
use crate::connectors::workbench::{now, subject, upstream};
use crate::domain::{IdentityError, IdentityTokens, SecretText, Subject, Ttl};
use crate::outbound::{ImplicitIdentities, ImplicitIdentity, Outbound};

/// An issuer whose tokens can be read.
struct Plain;

impl IdentityTokens for Plain {
    fn token(&self, subject: &Subject, audience: &str, _: Ttl) -> Result<SecretText, IdentityError> {
        Ok(SecretText::new(format!("{subject} for {audience}")))
    }
}

/// A machine with the source key as its profile `ml`.
struct Machine;

impl ImplicitIdentities for Machine {
    fn identity(&self, name: &str) -> Option<ImplicitIdentity> {
        (name == "ml").then(|| ImplicitIdentity {
            access_key_id: SecretText::new(KEY.0.to_owned()),
            secret_access_key: SecretText::new(KEY.1.to_owned()),
            session_token: None,
        })
    }
}

/// For one mint of this method; nothing when the method is not known.
pub async fn stage(method: &str, resource: &str) -> Option<Stage> {
    let fake = Fake::start(Manner::default()).await;
    let way = upstream(&fake.url, None, &["ml"], now());
    let settings = json!({ "endpoint_url": fake.url });
    let stage = Stage::new(settings, way, lives(method, resource)).lied_to_by(&fake.gate);
    let key = [("aws_access_key_id", KEY.0), ("aws_secret_access_key", KEY.1)];
    let handed_in =
        [("aws_access_key_id", SESSION.0), ("aws_secret_access_key", SESSION.1), ("aws_session_token", TOKEN)];
    Some(match method {
        "secret-key" | "iam-role" | "session-token" | "federation-token" => stage.with(&key),
        "sts-token" => Stage { ends: true, ..stage.with(&handed_in) },
        "web-identity" => Stage { upstream: vouched(&stage.upstream), ..stage },
        "implicit" => Stage { upstream: borrowed(&stage.upstream), ..stage },
        _ => return None,
    })
}

fn lives(method: &str, resource: &str) -> RangeInclusive<u64> {
    match (method, resource) {
        // What signs in to a cluster lives for a quarter of an hour, whatever it was made of; a minute is left to it.
        (_, KUBERNETES_CLUSTER) => 13 * 60..=14 * 60,
        ("sts-token", _) => u64::from(HANDED_IN)..=u64::from(HANDED_IN),
        // The registry's twelve hours too end with the session.
        _ => about(ASKED.into()),
    }
}

fn vouched(way: &Upstream) -> Upstream {
    Upstream { identities: Arc::new(Plain), subject: Some(subject("data")), ..way.clone() }
}

fn borrowed(way: &Upstream) -> Upstream {
    let outbound = Outbound::new(way.outbound.rules().clone()).unwrap().with_implicit(Arc::new(Machine));
    Upstream { outbound: Arc::new(outbound), ..way.clone() }
}
