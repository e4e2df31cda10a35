//! Runs between proto and domain.

use crate::broker::{Broker, Call, FinishRun, Finished, NewRun, RunAsk, Started};
use crate::domain::{FieldError, Run};
use crate::proto;

use super::credentials::revoked;
use super::request::once;
use super::types::{name_if_any, reference, reference_if_any, timestamp_out, ttl};

/// A run to start.
///
/// # Errors
/// Names the refused field.
pub fn new_run(body: &proto::StartRunRequest) -> Result<NewRun, FieldError> {
    Ok(NewRun {
        stack: reference("stack", &body.stack)?.to_owned(),
        name: name_if_any("name", &body.name)?,
        duration: ttl(body.max_duration_seconds),
        token_ttl: ttl(body.ttl_seconds),
    })
}

/// A run that was just started, with its token, to send this once.
#[must_use]
pub fn started(call: &Call, broker: &Broker, started: Started) -> proto::StartRunResponse {
    let secret = started.secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default();
    proto::StartRunResponse { run: Some(run(call, broker, &started.run)), secret }
}

/// Which run a call is about: unsaid, the one that calls.
///
/// # Errors
/// Names `run`, also when there is none that calls.
pub fn run_reference(call: &Call, text: &str) -> Result<String, FieldError> {
    match (reference_if_any("run", text)?, call.run()) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, Some(own)) => Ok(own.to_string()),
        (None, None) => Err(FieldError::new("run", "name a run; only the token of a run goes without")),
    }
}

/// Which run to finish.
///
/// # Errors
/// Names the refused field.
pub fn finish(call: &Call, mut body: proto::FinishRunRequest) -> Result<FinishRun, FieldError> {
    let request_id = std::mem::take(&mut body.request_id);
    let once = once(call, &request_id, &body)?;
    Ok(FinishRun { run: run_reference(call, &body.run)?, revoke: body.revoke, once })
}

/// A run that is over, to send.
#[must_use]
pub fn finished(call: &Call, broker: &Broker, finished: Finished) -> proto::FinishRunResponse {
    let credentials = finished.credentials.into_iter().map(|one| revoked(call, broker, one)).collect();
    proto::FinishRunResponse { run: Some(run(call, broker, &finished.run)), credentials, more: finished.more }
}

/// Which runs to list.
///
/// # Errors
/// Names the refused field.
pub fn run_ask(body: &proto::ListRunsRequest) -> Result<RunAsk, FieldError> {
    Ok(RunAsk {
        principal: reference_if_any("principal", &body.principal)?.map(str::to_owned),
        stack: reference_if_any("stack", &body.stack)?.map(str::to_owned),
        live_only: body.live_only,
    })
}

/// A run, to send.
#[must_use]
pub fn run(call: &Call, broker: &Broker, run: &Run) -> proto::Run {
    proto::Run {
        id: run.id.to_string(),
        project: call.caller.project.name.to_string(),
        name: run.name.to_string(),
        stack_id: run.stack.to_string(),
        stack: run.stack_name.to_string(),
        principal: run.principal_name.to_string(),
        state: run.state_at(broker.now()).as_str().to_owned(),
        started_at: Some(timestamp_out(run.started_at)),
        ends_at: Some(timestamp_out(run.ends_at)),
        token_expires_at: Some(timestamp_out(run.token_expires_at)),
        finished_at: run.finished_at.map(timestamp_out),
    }
}
