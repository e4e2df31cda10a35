//! The fake registry as a stage for every mint of the catalog; see
//! `connectors::stage`.

use serde_json::json;

use super::fake::{Fake, LOGIN, Manner};
use crate::connectors::stage::Stage;
use crate::connectors::workbench::upstream;
use crate::domain::Timestamp;

/// The fake's tokens end, by their own words, so long after its time.
const LIFE: u64 = 250;
const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

/// For one mint of this method; nothing when the method is not known.
pub async fn stage(method: &str) -> Option<Stage> {
    let fake = Fake::start(Manner::default()).await;
    let host = fake.url.trim_start_matches("http://").to_owned();
    let settings = json!({ "registry": fake.url });
    let stage = Stage::new(settings, upstream(&fake.url, None, &[], NOW), LIFE..=LIFE).lied_to_by(&fake.gate);
    let stage = stage.with(&[("username", LOGIN.0), ("password", LOGIN.1)]);
    (method == "password").then_some(Stage { renamed: Some(("registry.example.com", host)), ..stage })
}
