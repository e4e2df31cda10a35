//! How the daemon is, to proto.

use crate::broker::{Call, DaemonStatus, IssuerReport, KeyReport};
use crate::domain::{ClockJump, IssuerKeyFacts};
use crate::proto;

use super::types::timestamp_out;

/// How the daemon is, to send.
#[must_use]
pub fn status(status: DaemonStatus) -> proto::GetStatusResponse {
    proto::GetStatusResponse {
        version: status.version.to_owned(),
        started_at: Some(timestamp_out(status.started_at)),
        revision: status.revision,
        ledger_seq: status.ledger_seq,
        store: status.store.backend,
        schema_version: status.store.schema_version,
        cached_credentials: status.cached_credentials,
        ledger_writable: status.store.writable,
        clock_jump: status.clock.map(clock_jump),
    }
}

/// A jump of the clock, to send.
#[must_use]
pub fn clock_jump(jump: ClockJump) -> proto::ClockJump {
    proto::ClockJump { expected: Some(timestamp_out(jump.expected)), shown: Some(timestamp_out(jump.shown)) }
}

/// Which keys there are, to send.
#[must_use]
pub fn keys(call: &Call, report: KeyReport) -> proto::GetKeyStatusResponse {
    let project = call.caller.project.name.to_string();
    let key = |key: crate::broker::ProjectKey| proto::ProjectKey {
        id: key.id.to_string(),
        project: project.clone(),
        state: key.state.to_owned(),
        created_at: Some(timestamp_out(key.created_at)),
        sealed_values: key.sealed_values,
    };
    let (issuer_url, issuer_keys) = report.issuer.map(issuer).unwrap_or_default();
    proto::GetKeyStatusResponse {
        root_provider: report.root_provider.to_owned(),
        algorithm: report.algorithm.to_owned(),
        root_key_id: report.root_key_id,
        keys: report.keys.into_iter().map(key).collect(),
        issuer_url,
        issuer_keys,
        locked_in_memory: report.locked_in_memory,
    }
}

fn issuer(report: IssuerReport) -> (String, Vec<proto::IssuerKey>) {
    (report.url.to_string(), report.keys.iter().map(issuer_key).collect())
}

fn issuer_key(key: &IssuerKeyFacts) -> proto::IssuerKey {
    proto::IssuerKey {
        id: key.id.to_string(),
        state: key.state().as_str().to_owned(),
        created_at: Some(timestamp_out(key.created_at)),
        activated_at: key.activated_at.map(timestamp_out),
        retired_at: key.retired_at.map(timestamp_out),
    }
}
