//! One upstream call for any number of simultaneous equal asks, a line for each hand-out, and an outage survived.

use std::collections::BTreeSet;
use std::time::Duration;

use tonic::Code;
use tonic_types::StatusExt as _;
use valetkey::proto::MintCredentialResponse;
use valetkey::proto::credential_service_client::CredentialServiceClient;

use crate::faults::asks::{self, reaching};
use crate::faults::sts::{Manner, Sts};
use crate::rig::cast;
use crate::rig::process::eventually;
use crate::rig::vault::Vault;
use crate::rig::wire::{Door, reason};

#[test]
fn ten_thousand_simultaneous_asks_make_one_upstream_call_and_a_line_each() {
    let sts = Sts::constant();
    let vault = vault(&sts);
    sts.behave(Manner::Session(Duration::from_millis(200)));
    let clients: Vec<CredentialServiceClient<Door>> = (0..CONNECTIONS).map(|_| vault.credentials("bob")).collect();
    let calls: Vec<_> = (0..ASKS)
        .map(|n| {
            let mut client = clients[n % CONNECTIONS].clone();
            vault.spawn(async move { client.mint_credential(asks::bucket(CONNECTOR, "datasets")).await })
        })
        .collect();
    let mut issuances = BTreeSet::new();
    for call in calls {
        let reply = vault.run(call).expect("no client panics").unwrap_or_else(|status| panic!("refused: {status:?}"));
        issuances.insert(issuance(reply.into_inner()));
    }
    assert_eq!(sts.sessions(), 1, "one upstream call");
    assert_eq!(issuances.len(), 1, "one credential");
    let handed_out = vault.ledger().iter().filter(|line| line["reason"] == "HANDED_OUT").count();
    assert_eq!(handed_out, ASKS, "each hand-out has its own line");
}

#[test]
fn a_cached_credential_survives_an_outage_and_others_fail_without_a_storm() {
    let sts = Sts::constant();
    let vault = vault(&sts);
    let mut client = vault.credentials("bob");
    let first = vault.run(client.mint_credential(asks::bucket(CONNECTOR, "datasets"))).expect("it mints");
    let first = issuance(first.into_inner());
    sts.behave(Manner::Down);
    for _ in 0..50 {
        let again = vault.run(client.mint_credential(asks::bucket(CONNECTOR, "datasets")));
        assert_eq!(issuance(again.expect("what is cached is served").into_inner()), first);
    }
    let before = sts.asked();
    assert_eq!(before, 1, "what is cached asks nobody");
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        let refused = vault.run(client.mint_credential(asks::bucket(CONNECTOR, "models")));
        let Err(status) = refused else { panic!("nothing was cached for it") };
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.get_details_retry_info().is_some(), "it says when to come back: {}", reason(&status));
    }
    // A failure is the answer for a second; each flight tries twice.
    let flights = begun.elapsed().as_secs() + 1;
    let asked = sts.asked() - before;
    assert!(asked <= 2 * flights, "{asked} upstream calls in {:?}", begun.elapsed());
    sts.behave(Manner::Session(Duration::ZERO));
    let back = eventually(Duration::from_secs(20), || {
        vault.run(client.mint_credential(asks::bucket(CONNECTOR, "models"))).is_ok()
    });
    assert!(back, "the cloud is back");
}

#[test]
fn g1_an_ask_that_is_given_up_midway_still_has_its_lines() {
    let sts = Sts::constant();
    let vault = vault(&sts);
    // Long enough that none of them is answered before it is given up, however busy the machine.
    sts.behave(Manner::Session(Duration::from_secs(2)));
    for n in 0..10 {
        let mut client = vault.credentials("bob");
        let ask = asks::bucket(CONNECTOR, &format!("given-up-{n}"));
        let call = vault.spawn(async move { client.mint_credential(ask).await.is_ok() });
        assert!(eventually(Duration::from_secs(10), || sts.sessions() == n + 1), "the cloud was asked");
        call.abort();
        assert!(vault.run(call).is_err_and(|error| error.is_cancelled()), "it was given up before the answer");
    }
    let issuances = |kind: &str, outcome: &str| {
        let ledger = vault.ledger();
        let lines = ledger.iter().filter(|line| line["kind"] == kind && line["outcome"] == outcome);
        lines.filter_map(|line| line["issuance"].as_str().map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let whole = eventually(Duration::from_secs(10), || issuances("result", "ok").len() == 10);
    assert!(whole, "{:?}", issuances("result", "ok"));
    assert_eq!(issuances("intent", "pending"), issuances("result", "ok"));
}

fn vault(sts: &Sts) -> Vault {
    let vault = reaching(&sts.url()).start();
    cast::connector(&vault, asks::role_connector(CONNECTOR, &sts.url(), KEY));
    vault
}

fn issuance(reply: MintCredentialResponse) -> String {
    reply.credential.expect("a reply has the credential").issuance_id
}

const CONNECTOR: &str = "data";
const KEY: [&[u8]; 2] = [b"AKIATHUNDER000000001", b"thunder/secret+thunder/secret+thunder/se"];
const ASKS: usize = 10_000;
// Fewer than a connection's streams would allow: the daemon bounds those, too.
const CONNECTIONS: usize = 10;
