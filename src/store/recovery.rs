//! Closes what the last run left open.
//!
//! An intent without a result means that the daemon stopped between the two:
//! whether the cloud was called is not known, and the ledger says so.

use crate::audit::{Ledger, Line, LineKind, Outcome, Reason};

use super::error::StoreError;
use super::nouns::Store;
use super::tx::Tx;

/// Intents closed by one transaction.
const BATCH: u32 = 256;
/// Why they are closed.
const DAEMON_STOPPED: &str = "DAEMON_STOPPED";

/// Writes a result `unknown` for each open intent; how many there were.
/// To be called at start, before anything opens an intent.
///
/// # Errors
/// When the ledger cannot be read or written.
pub async fn close_open_intents(store: &dyn Store, ledger: &Ledger) -> Result<u64, StoreError> {
    let mut closed = 0;
    loop {
        let open = store.open_intents(BATCH).await?;
        if open.is_empty() {
            return Ok(closed);
        }
        closed += open.len() as u64;
        let result = |intent: crate::audit::StoredLine| {
            ledger.stamp(Line {
                kind: LineKind::Result(intent.seq),
                outcome: Outcome::Unknown,
                reason: Reason::new(DAEMON_STOPPED),
                ..intent.line
            })
        };
        store.commit(Tx { lines: open.into_iter().map(result).collect(), ..Tx::default() }).await?;
    }
}
