//! The entry for the fuzz target: hostile answers of Azure.
//!
//! Asks nobody. A delegation key signs no longer than was asked for, a page
//! leads to its own list, a registry's token is for what was asked for alone,
//! and a cluster's address is one of its own hosts.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::connectors::hostile::tells_little;
use crate::domain::Timestamp;
use crate::outbound::Response;

use super::settings_check::guid;
use super::upstream_acr::{RegistryToken, granted};
use super::upstream_arm::read_page;
use super::upstream_blob::{delegated, listed};
use super::{upstream_aks, upstream_entra};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
/// What a clock may be off.
const SKEW_MAX: Duration = Duration::from_secs(60);
const MANAGER: &str = "https://management.azure.com";
const LIST: &str = "/subscriptions/s/providers/Microsoft.ContainerService/managedClusters";
const CLUSTER: &str = "train-dns.hcp.westeurope.azmk8s.io";
const REPOSITORY: &str = "base/model";

/// Reads `data` as the answer of Azure that its first byte names.
///
/// For the fuzz target: returns for every input. True when it was believed.
#[must_use]
pub fn fuzz_answer(data: &[u8]) -> bool {
    let Some((kind, body)) = data.split_first() else { return false };
    let answer = |status| Response::new(status, None, body);
    let read = match kind {
        b'd' => delegated(body, NOW, NOW.plus(HOUR)).map(|key| {
            debug_assert!(key.expires_at > NOW && key.expires_at <= NOW.plus(HOUR).plus(SKEW_MAX));
            debug_assert!(guid(&key.object) && guid(&key.tenant) && key.value.len() == 32);
        }),
        b'l' => listed(body).map(|(names, _)| debug_assert!(names.len() <= body.len())),
        b'p' => read_page(&answer(200), MANAGER, LIST).map(|(_, next)| {
            let own = |next: String| next.to_ascii_lowercase().starts_with(&format!("{LIST}?").to_ascii_lowercase());
            debug_assert!(next.is_none_or(own), "it leads away");
        }),
        b'g' => granted(&answer(200), NOW, REPOSITORY, &["pull"]).map(|token| no_wider(&token)),
        b'k' => return std::str::from_utf8(body).is_ok_and(one_of_its_hosts),
        b'r' => match upstream_entra::refusal(&answer(401)) {
            Some(error) => Err(error),
            None => return false,
        },
        _ => return false,
    };
    read.inspect_err(tells_little).is_ok()
}

/// The claims, read in another way.
fn no_wider(token: &RegistryToken) {
    debug_assert!(token.expires_at > NOW && token.expires_at <= NOW.plus(HOUR * 24));
    let payload = token.text.reveal().split('.').nth(1).unwrap_or_default().trim_end_matches('=');
    let claims: Option<Value> =
        URL_SAFE_NO_PAD.decode(payload).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let grants = claims.as_ref().and_then(|claims| claims.get("access")).and_then(Value::as_array);
    for grant in grants.into_iter().flatten() {
        let said = |name: &str, other: &str| grant.get(name).or(grant.get(other));
        let is = |value: Option<&Value>, text: &str| value.is_some_and(|value| value == text);
        debug_assert!(is(said("type", "Type"), "repository") && is(said("name", "Name"), REPOSITORY), "{grant}");
        let actions = said("actions", "Actions").and_then(Value::as_array);
        debug_assert!(actions.is_some_and(|actions| actions.iter().all(|action| action == "pull")), "{grant}");
    }
}

fn one_of_its_hosts(encoded: &str) -> bool {
    let Some(found) = upstream_aks::read(encoded, &[CLUSTER.to_owned()]) else { return false };
    let rest = found
        .endpoint
        .strip_prefix("https://")
        .and_then(|rest| rest.to_ascii_lowercase().strip_prefix(CLUSTER).map(str::to_owned));
    debug_assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')), "{}", found.endpoint);
    debug_assert!(
        found.certificate_authority.contains("CERTIFICATE") && !found.certificate_authority.contains("PRIVATE KEY")
    );
    true
}
