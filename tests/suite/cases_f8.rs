//! SECURITY.md F8: a cloud that asks to be left alone is left alone. Many at once are one flight, the wish is obeyed to
//! its end, and each caller is told when to come back.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::faults::asks;
use crate::faults::sts::{Manner, Sts};
use crate::rig::cast;
use crate::rig::wire::reason;

/// How often one flight asks: once, and once more.
const ATTEMPTS: u64 = 2;

#[test]
fn f8_a_throttling_cloud_is_asked_by_one_flight_and_not_again_before_its_time() {
    let sts = Sts::constant();
    let vault = asks::reaching(&sts.url()).start();
    let key = [cast::CANARY_ID.as_bytes(), cast::CANARY.as_bytes()];
    cast::connector(&vault, asks::role_connector("data", &sts.url(), key));
    cast::connector(&vault, asks::role_connector("beside", &sts.url(), key));
    sts.behave(Manner::Throttled(60));
    let clients: Vec<_> = (0..10).map(|_| vault.credentials("bob")).collect();
    let calls: Vec<_> = (0..500)
        .map(|n: usize| {
            let mut client = clients[n % clients.len()].clone();
            vault.spawn(async move { client.mint_credential(asks::bucket("data", "models")).await.map(drop) })
        })
        .collect();
    for call in calls {
        told(vault.run(call).expect("no call panics"));
    }
    assert!(sts.asked() <= ATTEMPTS, "{} calls of the cloud by 500 asks at once", sts.asked());
    // Within the minute that it asked for nobody asks it again, whatever it would say now.
    let asked = sts.asked();
    sts.behave(Manner::Session(Duration::ZERO));
    for _ in 0..50 {
        told(vault.run(vault.credentials("bob").mint_credential(asks::bucket("data", "models"))).map(drop));
    }
    assert_eq!(sts.asked(), asked, "it was asked again before its time");
    let failed = vault.ledger().iter().filter(|line| line["reason"] == "UPSTREAM_THROTTLED").count();
    assert!(failed > 0, "the ledger says so");
    // Whatever is asked for by this connector is told the same, and another connector's cloud is asked.
    told(vault.run(vault.credentials("bob").mint_credential(asks::bucket("data", "others"))).map(drop));
    assert_eq!(sts.asked(), asked, "it was asked for something else before its time");
    vault.run(vault.credentials("bob").mint_credential(asks::bucket("beside", "others"))).expect("it mints");
}

/// That it is the cloud, and when to come back: at most the minute that is obeyed, less what is over.
#[track_caller]
fn told(answer: Result<(), Status>) {
    let status = answer.expect_err("the cloud gives nothing");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "UPSTREAM_THROTTLED"), "{status:?}");
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(delay.is_some_and(|delay| delay > Duration::from_secs(30)), "{delay:?}");
}
