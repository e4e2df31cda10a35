//! The fake Azure as a stage for every mint of the catalog; see `connectors::stage`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::json;

use super::fake::{CLIENT, Fake, Manner, SECRET, TENANT, token};
use super::fake_cloud::SUBSCRIPTION;
use super::ids::{BLOB_CONTAINER, DOCKER_REGISTRY};
use super::place::{REGISTRY, STORAGE};
use crate::connectors::Upstream;
use crate::connectors::stage::{ASKED, HANDED_IN, Stage, about};
use crate::connectors::workbench::{now, upstream};

/// Entra's tokens, and the machine's.
const ENTRA: u64 = 3599;
/// The registry's, for one repository.
const REPOSITORY: u64 = 4500;

/// For one mint of this method; nothing when the method is not known.
pub async fn stage(method: &str, resource: &str) -> Option<Stage> {
    let fake = Fake::start(Manner { may_delete: true, ..Manner::default() }).await;
    let way = upstream(&fake.url, Some(&fake.root), &["azure:system"], now());
    let way = Upstream { identities: Arc::clone(&fake.issuer) as _, ..way };
    let mut settings = json!({
        "authority_url": fake.url, "management_url": fake.url, "blob_url": fake.url, "registry_url": fake.url,
        "subscription_id": SUBSCRIPTION,
    });
    let stage = |settings| Stage::new(settings, way, lives(resource)).lied_to_by(&fake.gate);
    Some(match method {
        "service-principal" => {
            settings["tenant_id"] = json!(TENANT);
            settings["client_id"] = json!(CLIENT);
            stage(settings).with(&[("client_secret", SECRET)])
        }
        // One for what it is used for: nothing else would be taken.
        "access-token" => {
            let audience = match resource {
                BLOB_CONTAINER => STORAGE,
                DOCKER_REGISTRY => REGISTRY,
                _ => "https://management.azure.com",
            };
            let handed_in = token(audience, i64::from(HANDED_IN) / 2);
            Stage { ends: true, ..stage(settings).with(&[("token", &handed_in)]) }
        }
        "implicit" => {
            settings["identity_url"] = json!(fake.url);
            stage(settings)
        }
        _ => return None,
    })
}

fn lives(resource: &str) -> RangeInclusive<u64> {
    match resource {
        BLOB_CONTAINER => about(ASKED.into()),
        DOCKER_REGISTRY => about(REPOSITORY),
        _ => about(ENTRA),
    }
}
