//! The memory of a running daemon, as root sees it.

use std::time::Duration;

use super::scanner::{Hit, Scanner};
use crate::faults::root;
use crate::rig::cache;
use crate::rig::process::eventually;
use crate::rig::vault::Vault;

/// Everything that is found in the memory, environment and arguments of the vault's daemon now.
pub fn scan(vault: &Vault, scanner: &Scanner) -> Vec<Hit> {
    let pid = vault.daemon().as_ref().expect("the daemon runs").id();
    let program = cache::client_program("memory.py");
    let output = root::command("python3").arg(program).arg(pid.to_string()).output().expect("python3 runs");
    assert!(output.status.success(), "no memory: {}", String::from_utf8_lossy(&output.stderr));
    let mut hits = Vec::new();
    let (mut rest, mut pieces) = (output.stdout.as_slice(), 0);
    while !rest.is_empty() {
        let name = take::<4>(&mut rest, |length| u32::from_be_bytes(length) as usize);
        let bytes = take::<8>(&mut rest, |length| usize::try_from(u64::from_be_bytes(length)).expect("it fits"));
        hits.extend(scanner.scan(&format!("memory {}", String::from_utf8_lossy(name)), bytes));
        pieces += 1;
    }
    assert!(pieces > 10, "a daemon has more memory than {pieces} pieces");
    hits
}

/// What is still found when connections had time to end.
pub fn scan_when_quiet(vault: &Vault, scanner: &Scanner) -> Vec<Hit> {
    let mut hits = Vec::new();
    eventually(QUIET_LIMIT, || {
        hits = scan(vault, scanner);
        hits.is_empty()
    });
    hits
}

fn take<'a, const N: usize>(rest: &mut &'a [u8], length: impl Fn([u8; N]) -> usize) -> &'a [u8] {
    let (head, tail) = rest.split_first_chunk::<N>().expect("a record has a length");
    let (bytes, tail) = tail.split_at(length(*head));
    *rest = tail;
    bytes
}

const QUIET_LIMIT: Duration = Duration::from_secs(20);
