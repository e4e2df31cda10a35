//! The fake token endpoint as a stage for every mint of the catalog; see
//! `connectors::stage`.

use serde_json::json;

use super::fake::{CLIENT, Fake, Manner, REFRESH};
use crate::connectors::stage::{HANDED_IN, Stage};
use crate::connectors::workbench::upstream;
use crate::domain::Timestamp;

/// As the fake says.
const LIFE: u64 = 3600;
const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

/// For one mint of this method; nothing when the method is not known.
pub async fn stage(method: &str) -> Option<Stage> {
    let fake = Fake::start(Manner::Sound).await;
    let way = upstream(&fake.url, None, &[], NOW);
    let settings = json!({ "token_url": format!("{}/token", fake.url), "client_id": CLIENT.0 });
    let asked = |secrets: &[(&'static str, &str)]| {
        Stage::new(settings, way.clone(), LIFE..=LIFE).with(secrets).lied_to_by(&fake.gate)
    };
    Some(match method {
        "client-credentials" => asked(&[("client_secret", CLIENT.1)]),
        "refresh-token" => asked(&[("client_secret", CLIENT.1), ("refresh_token", REFRESH)]),
        "token" => {
            let life = u64::from(HANDED_IN);
            let stage = Stage::new(json!({}), way, life..=life).with(&[("access_token", "a-token-that-was-handed-in")]);
            Stage { ends: true, ..stage }
        }
        _ => return None,
    })
}
