//! `valetkey audit verify`: reads the ledger without a daemon.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::audit::{ExpectedHead, Hash, Seq, Verified};
use crate::cli::args::{Form, LedgerHead, VerifyArgs};
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
    let text = report(&verified, args.form);
    io::stdout().lock().write_all(text.as_bytes()).map_err(DaemonError::file("standard output cannot be written"))
}

/// What is said of a ledger that is whole.
#[derive(Serialize)]
struct Report {
    ledger: &'static str,
    lines: u64,
    open_intents: u64,
    /// What `--expect-head` takes.
    head: String,
}

fn report(verified: &Verified, form: Form) -> String {
    let Verified { count, head, intents_open } = verified;
    let head = format!("{count}:{}", hex::encode(head.0));
    let report = Report { ledger: "ok", lines: *count, open_intents: *intents_open, head };
    form.document(&report)
        .unwrap_or_else(|| format!("ledger: ok\nlines: {count}\nopen intents: {intents_open}\nhead: {}\n", report.head))
}

fn expected(head: &LedgerHead) -> Result<ExpectedHead, DaemonError> {
    let mut hash = [0; 32];
    hex::decode_to_slice(&head.hash, &mut hash)
        .map_err(|_| DaemonError::Refused("--expect-head: the hash must be 64 hexadecimal digits".to_owned()))?;
    Ok(ExpectedHead { seq: Seq(head.seq), hash: Hash(hash) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_a_document() {
        let verified = Verified { count: 7, head: Hash([0xab; 32]), intents_open: 1 };
        let head = format!("7:{}", "ab".repeat(32));
        let json: serde_json::Value = serde_json::from_str(&report(&verified, Form::Json)).unwrap();
        assert_eq!(json, serde_json::json!({ "ledger": "ok", "lines": 7, "open_intents": 1, "head": head }));
        assert_eq!(report(&verified, Form::Table), format!("ledger: ok\nlines: 7\nopen intents: 1\nhead: {head}\n"));
        assert_eq!(report(&verified, Form::Yaml), format!("ledger: ok\nlines: 7\nopen_intents: 1\nhead: {head}\n"));
    }
}
