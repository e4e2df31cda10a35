//! What confines a run: the components of its stack, a short list of acts, and
//! an end.
//!
//! It takes away and gives nothing: a run is decided on as its starter is, with
//! what the starter holds at that moment, and within this. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::{ComponentId, Run, Timestamp};

use super::permission::Permission;
use super::policy::{DenyReason, Question};

/// All that a run ever does, if its starter may. Not among it: tokens, other
/// runs, and whatever writes.
pub const RUN_PERMISSIONS: &[Permission] = &[
    Permission::Own,
    Permission::ComponentsList,
    Permission::StacksList,
    Permission::RunsList,
    Permission::CredentialsMint,
    Permission::IssuancesList,
];

/// A run, with what its stack consists of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunScope {
    /// The run.
    pub run: Arc<Run>,
    /// The components of its stack; none when the stack is gone.
    pub components: Arc<BTreeSet<ComponentId>>,
}

impl RunScope {
    /// Whether a run ever does this.
    #[must_use]
    pub fn may(permission: Permission) -> bool {
        RUN_PERMISSIONS.contains(&permission)
    }

    /// Why a run does not do this, whatever its starter holds.
    pub(super) fn refusal(&self, question: &Question<'_>, now: Timestamp) -> Option<DenyReason> {
        if self.run.over_at() <= now {
            return Some(DenyReason::RunEnded);
        }
        let target = question.target;
        let inside = match target.component {
            Some(component) => self.components.contains(&component),
            // What names a connector names all that it reaches.
            None => target.connector.is_none() && question.permission != Permission::CredentialsMint,
        };
        if Self::may(question.permission) && inside { None } else { Some(DenyReason::OutsideRun) }
    }
}
