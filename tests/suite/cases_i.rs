//! SECURITY.md group I, races, through the real daemon.

use tonic::{Code, Status};
use valetkey::proto;

use crate::rig::cast;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::reason;

/// Runs all at once, each on a connection of its own.
fn at_once<T: Send + 'static>(vault: &Vault, calls: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = calls.into_iter().map(|call| vault.spawn(call)).collect();
    tasks.into_iter().map(|task| vault.run(task).expect("a call does not panic")).collect()
}

#[test]
fn i3_of_two_changes_with_one_etag_one_wins_and_the_other_is_told() {
    let vault = Setup::new().start();
    let mut etag = cast::connector(&vault, cast::unverified("raced")).etag;
    for round in 0..10 {
        let calls = ["left", "right", "middle"].map(|side| {
            let mut client = vault.connectors("alice");
            let (connector, etag) = ("raced".to_owned(), etag.clone());
            let description = format!("{side} {round}");
            async move {
                let ask = proto::UpdateConnectorRequest { connector, etag, description, ..Default::default() };
                client.update_connector(ask).await.map(|answer| answer.into_inner().connector.unwrap())
            }
        });
        let answers: Vec<Result<proto::Connector, Status>> = at_once(&vault, calls.into());
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}: {lost:?}");
        for status in lost {
            assert_eq!(status.unwrap_err().code(), Code::Aborted);
        }
        let ask = proto::DescribeConnectorRequest { connector: "raced".to_owned(), ..Default::default() };
        let now = vault.run(vault.connectors("alice").describe_connector(ask)).unwrap().into_inner().connector.unwrap();
        let winner = won.into_iter().next().unwrap().unwrap();
        assert_eq!((&now.description, &now.etag), (&winner.description, &winner.etag));
        etag = now.etag;
    }
}

#[test]
fn i5_the_same_request_id_at_once_is_done_once() {
    const CALLS: usize = 100;
    let vault = Setup::new().start();
    let before = vault.revision();
    let request_id = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned();
    let ask = proto::RegisterConnectorRequest { request_id, ..cast::unverified("once") };
    let calls = (0..CALLS).map(|_| {
        let (mut client, ask) = (vault.connectors("alice"), ask.clone());
        async move { client.register_connector(ask).await.map(|answer| answer.into_inner().connector.unwrap().id) }
    });
    let answers = at_once(&vault, calls.collect());
    let ids: std::collections::BTreeSet<String> = answers.into_iter().map(|answer| answer.unwrap()).collect();
    assert_eq!((ids.len(), vault.revision()), (1, before + 1));

    // Another body under that id is told so, and so it is after a restart.
    let other = proto::RegisterConnectorRequest { description: "other".to_owned(), ..ask.clone() };
    let mut secret = ask.clone();
    secret.secrets[1].value.push(b'x');
    for restarted in [false, true] {
        if restarted {
            vault.sigkill();
            vault.start();
        }
        for changed in [&other, &secret] {
            let status = vault.run(vault.connectors("alice").register_connector(changed.clone())).unwrap_err();
            assert_eq!(reason(&status), "REQUEST_ID_REUSED");
        }
        let again = vault.run(vault.connectors("alice").register_connector(ask.clone())).unwrap();
        assert!(ids.contains(&again.into_inner().connector.unwrap().id));
    }
    // Somebody else's request with that id is another one.
    let status = vault.run(vault.connectors("bob").register_connector(ask)).unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[test]
fn i3_one_name_is_given_once() {
    let vault = Setup::new().start();
    let calls = (0..10).map(|_| {
        let mut client = vault.connectors("alice");
        async move { client.register_connector(cast::unverified("wanted")).await.map(drop) }
    });
    let answers: Vec<Result<(), Status>> = at_once(&vault, calls.collect());
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().flat_map(|answer| answer.as_ref().err()).all(|status| status.code() == Code::AlreadyExists));
}
