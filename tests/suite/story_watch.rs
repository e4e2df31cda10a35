//! Watching a credential: the next one is pushed when something changes, and the stream ends when the rights do.

use std::time::{Duration, Instant};

use tonic::{Code, Status};
use valetkey::proto;

use crate::rig::cast;
use crate::rig::lab::{Lab, secrets};
use crate::rig::wire::reason;

/// How soon a stream must end after the rights of its caller did.
const SOON: Duration = Duration::from_secs(1);

/// Opens a stream as somebody, and takes its first credential.
fn watch(lab: &Lab, who: &str) -> (proto::MintedCredential, tonic::Streaming<proto::WatchCredentialResponse>) {
    let mut client = lab.vault.credentials(who);
    lab.vault.run(async move {
        let ask = proto::WatchCredentialRequest { ask: cast::mint("artifacts").ask };
        let mut stream = client.watch_credential(ask).await.expect("the stream opens").into_inner();
        let first = stream.message().await.expect("a credential").expect("a credential").credential.unwrap();
        (first, stream)
    })
}

/// Waits for the end of the stream after `change`, and says how it ended and after how long.
fn end_after(
    lab: &Lab,
    mut stream: tonic::Streaming<proto::WatchCredentialResponse>,
    change: impl FnOnce(),
) -> (Status, Duration) {
    change();
    let started = Instant::now();
    let ended = lab.vault.run(async {
        tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                match stream.message().await {
                    Err(status) => return status,
                    Ok(None) => return Status::ok("ended with no reason"),
                    Ok(Some(_)) => {}
                }
            }
        })
        .await
    });
    (ended.expect("the stream goes on"), started.elapsed())
}

fn delete_bindings(lab: &Lab, who: &str) {
    let ask = proto::ListBindingsRequest { principal: who.to_owned(), ..Default::default() };
    let held = lab.vault.run(lab.vault.access("owner").list_bindings(ask)).unwrap().into_inner().bindings;
    for binding in held {
        let ask = proto::DeleteBindingRequest { binding: binding.id, ..Default::default() };
        lab.vault.run(lab.vault.access("owner").delete_binding(ask)).unwrap();
    }
}

#[test]
fn b10_a_stream_ends_within_a_second_when_the_role_is_taken() {
    let lab = Lab::linked();
    let (_, stream) = watch(&lab, "bob");
    let (status, after) = end_after(&lab, stream, || delete_bindings(&lab, "bob"));
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "GRANT_MISSING"), "{status:?}");
    assert!(after < SOON, "it took {after:?}");
    lab.mint("bob", &["--component", "artifacts"]).fails(3, "GRANT_MISSING");
}

#[test]
fn b10_a_stream_ends_within_a_second_when_the_token_or_its_holder_goes() {
    let lab = Lab::linked();
    let (_, stream) = watch(&lab, "bob");
    let (status, after) = end_after(&lab, stream, || {
        let ask = proto::DeletePrincipalRequest { principal: "bob".to_owned(), ..Default::default() };
        lab.vault.run(lab.vault.access("owner").delete_principal(ask)).unwrap();
    });
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert!(after < SOON, "it took {after:?}");
}

#[test]
fn b14_what_was_shared_and_taken_back_is_neither_served_nor_listed() {
    let lab = Lab::linked();
    cast::principal(&lab.vault, "owner", "dora", proto::PrincipalKind::User);
    let ask = cast::binding("dora", "data-scientist");
    cast::bind(&lab.vault, "owner", proto::CreateBindingRequest { connector: "prod-s3".to_owned(), ..ask });
    let ask = ["--connector", "prod-s3", "--resource", &lab.id("train")];
    lab.mint("dora", &ask).ok();
    assert!(lab.vault.cli("dora", &["connector", "list"]).ok().stdout.contains("prod-s3"));
    delete_bindings(&lab, "dora");
    lab.mint("dora", &ask).fails(3, "GRANT_MISSING");
    lab.vault.cli("dora", &["connector", "list"]).fails(3, "GRANT_MISSING");
    lab.vault.cli("dora", &["connector", "describe", "prod-s3"]).fails(3, "GRANT_MISSING");
    let can = lab.vault.cli("dora", &["access", "can", "-o", "json"]).json();
    assert_eq!(can, serde_json::json!([]));
}

#[test]
fn a_stream_whose_component_is_unlinked_ends() {
    let lab = Lab::linked();
    let (_, stream) = watch(&lab, "bob");
    let (status, _) =
        end_after(&lab, stream, || drop(lab.vault.cli("bob", &["component", "connect", "artifacts", "--unlink"]).ok()));
    assert_eq!(reason(&status), "NOT_LINKED", "{status:?}");
}

#[test]
fn a_watcher_is_handed_a_credential_of_the_new_secret_next() {
    let lab = Lab::linked();
    let (first, stream) = watch(&lab, "bob");
    drop(stream);
    let successor = lab.weed.add_key(&lab.broker);
    lab.vault
        .cli_with("alice", &["connector", "rotate-secret", "prod-s3", "--secrets", "-"], &secrets(&successor))
        .ok();
    let (second, _stream) = watch(&lab, "bob");
    assert_ne!(first.issuance_id, second.issuance_id);
}

#[test]
fn a_stream_ends_when_the_daemon_stops() {
    let lab = Lab::linked();
    let (_, stream) = watch(&lab, "bob");
    let (status, _) = end_after(&lab, stream, || {
        lab.vault.stop();
    });
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}
