//! One call of one method: who, which method, from where, and whether the
//! ledger has a line about it yet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::audit::{Line, LineKind, Outcome, Reason};
use crate::domain::{Attribution, IssuanceId, Principal, ProjectId, RunId};

use super::authenticate::CallerFacts;

/// What is known of a call before anybody is authenticated. Shared by the
/// layers, which write a line for every call that has none when it ends.
#[derive(Debug)]
pub struct CallRecord {
    /// The method's path, from the table of methods, never from the client.
    pub method: &'static str,
    /// Keyed digest of the peer's address, in hex.
    pub source: Option<String>,
    lined: AtomicBool,
    reason: OnceLock<&'static str>,
}

impl CallRecord {
    /// A call of `method` from `source`.
    #[must_use]
    pub const fn new(method: &'static str, source: Option<String>) -> Self {
        Self { method, source, lined: AtomicBool::new(false), reason: OnceLock::new() }
    }

    /// The ledger has a line about this call.
    pub fn mark_lined(&self) {
        self.lined.store(true, Ordering::Release);
    }

    /// Why the call ends as it does; the first one counts.
    pub fn set_reason(&self, code: &'static str) {
        // A second reason of one call is the first one's consequence.
        self.reason.get_or_init(|| code);
    }

    /// Why the call ends as it does, as a reason code; empty when it is well.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason.get().copied().unwrap_or_default()
    }

    /// Whether the ledger has a line about this call.
    #[must_use]
    pub fn lined(&self) -> bool {
        self.lined.load(Ordering::Acquire)
    }
}

/// An authenticated call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method, source, and whether there is a line.
    pub record: Arc<CallRecord>,
    /// Who.
    pub caller: Arc<CallerFacts>,
}

impl Call {
    /// The principal.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.caller.subject.principal
    }

    /// Whether somebody wrote the caller's own name or id.
    #[must_use]
    pub fn names_caller(&self, text: &str) -> bool {
        let Principal { name, id, .. } = self.principal();
        text == name.as_str() || text == id.to_string()
    }

    /// The caller's project; there is no other for it.
    #[must_use]
    pub fn project(&self) -> ProjectId {
        self.caller.project.id
    }

    /// The run that the caller acts in.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        self.caller.subject.run.as_ref().map(|scope| scope.run.id)
    }

    /// Whom clouds are told that an issuance is for.
    #[must_use]
    pub fn attribution(&self, issuance: IssuanceId) -> Attribution {
        Attribution { principal: self.principal().clone(), project: self.project(), run: self.run(), issuance }
    }

    /// A line about this call.
    #[must_use]
    pub fn line(&self, outcome: Outcome, reason: &str) -> Line {
        let principal = self.principal();
        Line {
            principal: Some(principal.id),
            principal_name: Some(principal.name.clone()),
            run: self.run(),
            project: Some(self.project()),
            source: self.record.source.clone(),
            reason: Reason::new(reason),
            ..Line::about(self.record.method, LineKind::Single, outcome)
        }
    }
}
