//! `valetkey audit verify`: reads the ledger without a daemon.

use std::io::{self, Write as _};

use crate::audit::{ExpectedHead, Hash, Seq, Verified};
use crate::cli::args::{LedgerHead, VerifyArgs};
use crate::config;
use crate::store::sqlite::verify_ledger;

use super::data_dir::DataDir;
use super::error::DaemonError;

/// Verifies, and says what was found.
pub(super) fn run(args: &VerifyArgs) -> Result<(), DaemonError> {
    let dir = DataDir::at(config::data_dir(args.data_dir.as_deref()));
    let expected = args.expect_head.as_ref().map(expected).transpose()?;
    let verified = verify_ledger(&dir.store(), expected)
        .map_err(|error| DaemonError::Refused(crate::telemetry::Chain(&error).to_string()))?;
    let Verified { count, head, intents_open } = verified;
    let mut out = io::stdout().lock();
    writeln!(out, "ledger: ok\nlines: {count}\nopen intents: {intents_open}\nhead: {count}:{}", hex::encode(head.0))
        .map_err(DaemonError::file("standard output cannot be written"))
}

fn expected(head: &LedgerHead) -> Result<ExpectedHead, DaemonError> {
    let mut hash = [0; 32];
    hex::decode_to_slice(&head.hash, &mut hash)
        .map_err(|_| DaemonError::Refused("--expect-head: the hash must be 64 hexadecimal digits".to_owned()))?;
    Ok(ExpectedHead { seq: Seq(head.seq), hash: Hash(hash) })
}
