//! The fake API server as a stage for every mint of the catalog; see
//! `connectors::stage`.

use serde_json::json;

use super::fake::{Fake, NOW, honest};
use crate::connectors::stage::{ASKED, Stage};
use crate::connectors::workbench::upstream;
use crate::domain::Timestamp;

/// For one mint of this method; nothing when the method is not known.
pub async fn stage(method: &str) -> Option<Stage> {
    let fake = Fake::start(honest).await;
    let settings = json!({ "server": fake.url, "certificate_authority": fake.ca });
    let lives = u64::from(ASKED)..=u64::from(ASKED);
    let stage = Stage::new(settings, upstream(&fake.url, None, &[], Timestamp::from_seconds(NOW)), lives)
        .lied_to_by(&fake.gate);
    Some(match method {
        "token" => stage.with(&[("token", "source-token-that-stays")]),
        "password" => stage.with(&[("username", "admin"), ("password", "hunter 2")]),
        _ => return None,
    })
}
