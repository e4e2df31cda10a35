//! SECURITY.md group D, token scoping and issuance, through the real daemon.

use std::time::Duration;

use tonic::{Code, Status};
use valetkey::proto;

use crate::rig::cast;
use crate::rig::evil::{self, Evil};
use crate::rig::lab::{Lab, minted, secrets};
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{everything, fields, reason, refused_with};

/// A vault with the connector `prod` on the bucket `datasets`, under a ceiling.
fn vault() -> Vault {
    let vault = Setup::new().start();
    let mint_policy = Some(proto::MintPolicy {
        resource_patterns: vec!["s3://datasets/data/**".to_owned()],
        access_max: proto::AccessLevel::Write.into(),
        ..Default::default()
    });
    let resource_type = "s3-bucket".to_owned();
    cast::connector(&vault, proto::RegisterConnectorRequest { resource_type, mint_policy, ..cast::unverified("prod") });
    vault
}

fn mint(vault: &Vault, who: &str, resource: &str) -> Result<(), Status> {
    let source = Some(proto::mint_ask::Source::Connector("prod".to_owned()));
    let ask = proto::MintAsk { source, resource_id: resource.to_owned(), ..Default::default() };
    vault.run(vault.credentials(who).mint_credential(proto::MintCredentialRequest { ask: Some(ask) })).map(drop)
}

fn dora(vault: &Vault, conditions: proto::BindingConditions) {
    cast::principal(vault, "owner", "dora", proto::PrincipalKind::User);
    let ask = cast::binding("dora", "data-scientist");
    let ask = proto::CreateBindingRequest { connector: "prod".to_owned(), conditions: Some(conditions), ..ask };
    cast::bind(vault, "owner", ask);
}

#[test]
fn d1_a_scope_wider_than_the_grant_is_refused_however_it_is_spelled() {
    let vault = vault();
    let resource_patterns = vec!["s3://datasets/data/x/**".to_owned()];
    dora(&vault, proto::BindingConditions { resource_patterns, ..Default::default() });
    for (resource, code) in [
        ("s3://datasets/data", Code::PermissionDenied),
        ("s3://datasets/data/", Code::PermissionDenied),
        ("s3://datasets", Code::PermissionDenied),
        ("datasets", Code::PermissionDenied),
        ("arn:aws:s3:::datasets/data/y", Code::PermissionDenied),
        ("s3://datasets/data/x2/y", Code::PermissionDenied),
        ("s3://datasets/DATA/x/y", Code::PermissionDenied),
        ("s3://datasets/data/x/../y", Code::InvalidArgument),
        ("s3://datasets/data/x/./y", Code::InvalidArgument),
        ("s3://datasets/data/x//y", Code::InvalidArgument),
        ("s3://datasets/data/x*", Code::InvalidArgument),
        ("s3://datasets/data/x/y?", Code::InvalidArgument),
        ("s3://datasets/data/x/%2e%2e/y", Code::InvalidArgument),
        ("s3://datasets/data/x/\u{ff0e}\u{ff0e}/y", Code::InvalidArgument),
        ("s3://datasets/data/x/\u{202e}y", Code::InvalidArgument),
        ("", Code::InvalidArgument),
    ] {
        refused_with(mint(&vault, "dora", resource), code);
    }
    // Bob holds the whole project: what binds him is the connector's ceiling.
    let status = refused_with(mint(&vault, "bob", "s3://datasets/other/x"), Code::PermissionDenied);
    assert_eq!(reason(&status), "RESOURCE_BEYOND_CEILING");
}

#[test]
fn d2_a_policy_too_long_for_the_cloud_is_refused_and_never_left_out() {
    let evil = Evil::answering(200, &evil::assumed_role(), Duration::ZERO);
    let vault = Setup::new().reaching(&[evil.endpoint()]).start();
    register_evil(&vault, &evil);
    let long = format!("s3://datasets/{}", ["a".repeat(200), "b".repeat(200), "c".repeat(200)].join("/"));
    let status = mint(&vault, "bob", &long).expect_err("a policy of more than 2,048 characters was minted");
    assert!(matches!(status.code(), Code::FailedPrecondition | Code::InvalidArgument), "{status:?}");
    assert_eq!(evil.asked(), 0, "the cloud was asked all the same");
}

fn register_evil(vault: &Vault, evil: &Evil) {
    let role = "arn:aws:iam::000000000000:role/ml-data";
    let settings =
        serde_json::json!({"region": "us-east-1", "role_arn": role, "endpoint_url": evil.endpoint()}).to_string();
    let (auth_method, resource_type) = ("iam-role".to_owned(), "s3-bucket".to_owned());
    let ask = proto::RegisterConnectorRequest { auth_method, resource_type, settings, ..cast::unverified("prod") };
    cast::connector(vault, ask);
}

#[test]
fn d4_a_session_that_cannot_be_narrowed_is_not_handed_out_unless_allowed_and_then_says_so() {
    let lab = Lab::new();
    let session = lab.weed.assume(&lab.broker.key, crate::rig::account::Role::Data, "");
    let more = ["--method", "sts-token", "--secret-expires-in", "30m"];
    lab.register_as("handed-in", &secrets(&session), &more).ok();
    let ask = ["--connector", "handed-in", "--resource-type", "s3-bucket", "--resource", &lab.id("train")];
    lab.mint("bob", &ask).fails(1, "PASSTHROUGH_OFF");
    lab.vault.cli("alice", &["connector", "update", "handed-in", "--allow-passthrough"]).ok();
    let outcome = lab.mint("bob", &ask);
    let said = outcome.json();
    assert_eq!((&said["downscope"], &said["passthrough"]), (&"none".into(), &true.into()), "{said}");
    assert_eq!(minted(&outcome).id, session.id);
    let lines = lab.vault.cli("carol", &["audit", "list", "-o", "json"]).json();
    assert!(lines.to_string().contains("passthrough"), "the ledger shows that it was allowed: {lines}");
}

#[test]
fn d6_names_that_would_change_a_policy_are_no_buckets() {
    let vault = vault();
    for bucket in [
        "*",
        "a/b",
        "${aws:username}",
        "data\nsets",
        "data\"sets",
        "..",
        "-a",
        "DATASETS",
        "arn:aws:s3:::*",
        "a..b",
        "x",
    ] {
        let raw = format!("s3://{bucket}");
        let status = mint(&vault, "bob", &raw).unwrap_err();
        let beyond = status.code() == Code::PermissionDenied && reason(&status) == "RESOURCE_BEYOND_CEILING";
        assert!(status.code() == Code::InvalidArgument || (bucket == "a/b" && beyond), "{bucket}: {status:?}");
    }
}

#[test]
fn d9_a_grant_that_ends_before_the_clouds_shortest_lifetime_mints_nothing() {
    let vault = vault();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(180);
    let expires_at = Some(prost_types::Timestamp { seconds: soon.as_second(), nanos: 0 });
    dora(&vault, proto::BindingConditions { expires_at, ..Default::default() });
    let status = refused_with(mint(&vault, "dora", "s3://datasets/data/x"), Code::InvalidArgument);
    assert_eq!(fields(&status), ["ttl_seconds"]);
}

#[test]
fn d9_a_grant_that_ends_soon_cuts_the_credential_and_the_reply_says_so() {
    let lab = Lab::linked();
    let owner = |arguments: &[&str]| lab.vault.cli("owner", arguments).ok();
    cast::principal(&lab.vault, "owner", "dora", proto::PrincipalKind::User);
    owner(&[
        "binding",
        "create",
        "--principal",
        "dora",
        "--role",
        "data-scientist",
        "--connector",
        "prod-s3",
        "--expires-in",
        "20m",
    ]);
    let said = lab.mint("dora", &["--connector", "prod-s3", "--resource", &lab.id("train"), "--ttl", "1h"]).json();
    assert!(said["ttl_note"].as_str().unwrap().contains("the end of the role binding"), "{said}");
    let end: jiff::Timestamp = said["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(end <= jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1200), "{said}");
}

#[test]
fn d15_verification_tells_a_scientist_nothing_of_the_account() {
    let lab = Lab::linked();
    let account = crate::rig::account::ACCOUNT;
    for arguments in
        [["connector", "describe", "prod-s3", "-o", "json"], ["connector", "list", "-o", "json", "--no-color"]]
    {
        let said = lab.vault.cli("bob", &arguments).ok().stdout;
        assert!(!said.contains(account) && !said.contains("role_arn") && !said.contains("assumed-role"), "{said}");
        let said = lab.vault.cli("alice", &arguments).ok().stdout;
        assert!(said.contains(account), "an engineer sees what it is: {said}");
    }
}

#[test]
fn d16_a_clouds_error_body_reaches_neither_caller_nor_log() {
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User AKIALEAKED0000000001 with \
                signature 5ec7e7deadbeef is not authorized</Message></Error><RequestId>r-1</RequestId></ErrorResponse>";
    for body in [
        body.to_owned(),
        body.replace("AccessDenied", "AKIALEAKED0000000001 5ec7e7deadbeef"),
        format!("{{\"x\": \"{body}\"}}"),
    ] {
        let evil = Evil::answering(403, &body, Duration::ZERO);
        let vault = Setup::new().reaching(&[evil.endpoint()]).with("log", "level = \"trace\"").start();
        register_evil(&vault, &evil);
        let status = mint(&vault, "bob", "s3://datasets/train").unwrap_err();
        assert!(evil.asked() > 0, "{status:?}");
        let answer =
            vault.run(vault.connectors("alice").verify_connector(proto::VerifyConnectorRequest {
                connector: "prod".to_owned(),
                ..Default::default()
            }));
        let verified = answer.map_or_else(|status| everything(&status), |answer| cast::bytes(&answer.into_inner()));
        let ledger = serde_json::to_string(&vault.ledger()).unwrap();
        let all = [everything(&status), verified, vault.logs().into_bytes(), ledger.into_bytes()].concat();
        let all = String::from_utf8_lossy(&all);
        assert!(!all.contains("AKIALEAKED") && !all.contains("5ec7e7deadbeef"), "{all}");
    }
}

#[test]
fn an_answer_that_makes_no_sense_mints_nothing() {
    let past = evil::assumed_role().replace("20", "19");
    for body in
        ["<html>welcome</html>".to_owned(), String::new(), "\u{0}\u{1}".repeat(2000), past, "x".repeat(4 * 1024 * 1024)]
    {
        let evil = Evil::answering(200, &body, Duration::ZERO);
        let vault = Setup::new().reaching(&[evil.endpoint()]).start();
        register_evil(&vault, &evil);
        let status = mint(&vault, "bob", "s3://datasets/train").unwrap_err();
        assert!(matches!(status.code(), Code::Unavailable | Code::FailedPrecondition), "{status:?}");
        let issued = vault
            .run(vault.credentials("bob").list_issuances(proto::ListIssuancesRequest::default()))
            .unwrap()
            .into_inner();
        assert!(issued.issuances.is_empty());
    }
}
