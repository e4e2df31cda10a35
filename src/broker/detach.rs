//! Work that a caller's cancellation must not cut short. The one place where
//! the broker starts a task.

use std::future::Future;

/// Runs `work` to its end, whoever goes away.
// A mint whose caller hung up has already touched a key or a cloud: it must
// close its ledger entry (SECURITY.md case G1).
#[allow(clippy::disallowed_methods)]
pub(super) fn detach(work: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(work));
}
