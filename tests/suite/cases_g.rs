//! SECURITY.md group G, ways around the ledger, through the real daemon. G7 is in `coverage`.

use std::time::Duration;

use serde_json::Value;
use tonic::Code;
use valetkey::authz::METHOD_RULES;
use valetkey::proto;

use crate::rig::cast;
use crate::rig::evil::{self, Evil};
use crate::rig::lab::Lab;
use crate::rig::process::eventually;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::refused_with;

fn mint_lines(vault: &Vault) -> Vec<Value> {
    let mint = |line: &Value| line["method"].as_str().is_some_and(|method| method.ends_with("/MintCredential"));
    vault.ledger().into_iter().filter(mint).collect()
}

fn register(vault: &Vault, evil: &Evil) {
    let role = "arn:aws:iam::000000000000:role/ml-data";
    let settings =
        serde_json::json!({"region": "us-east-1", "role_arn": role, "endpoint_url": evil.endpoint()}).to_string();
    let (auth_method, resource_type) = ("iam-role".to_owned(), "s3-bucket".to_owned());
    cast::connector(
        vault,
        proto::RegisterConnectorRequest { auth_method, resource_type, settings, ..cast::unverified("slow") },
    );
    cast::link(vault, "pipeline", "slow", "s3://datasets/train");
}

#[test]
fn g1_a_caller_that_goes_away_leaves_intent_and_result() {
    let evil = Evil::answering(200, &evil::assumed_role(), Duration::from_millis(600));
    let vault = Setup::new().reaching(&[evil.endpoint()]).start();
    register(&vault, &evil);
    let mut client = vault.credentials("bob");
    let call = vault.spawn(async move { client.mint_credential(cast::mint("pipeline")).await });
    let limit = Duration::from_secs(10);
    assert!(eventually(limit, || evil.asked() > 0), "the cloud was never asked");
    call.abort();
    assert!(eventually(limit, || mint_lines(&vault).iter().any(|line| line["kind"] == "result")), "no result line");
    let lines = mint_lines(&vault);
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..2], ["intent", "result"], "{lines:?}");
    assert_eq!(lines[1]["outcome"], "ok", "what was begun was finished: {lines:?}");
    // The next caller is served from what the first one paid for.
    vault.run(vault.credentials("bob").mint_credential(cast::mint("pipeline"))).unwrap();
    assert_eq!(evil.asked(), 1);
}

#[test]
fn g1_a_power_cut_between_intent_and_result_is_closed_as_unknown() {
    let evil = Evil::answering(200, &evil::assumed_role(), Duration::from_secs(5));
    let vault = Setup::new().reaching(&[evil.endpoint()]).start();
    register(&vault, &evil);
    let mut client = vault.credentials("bob");
    let _call = vault.spawn(async move { client.mint_credential(cast::mint("pipeline")).await.map(drop) });
    assert!(eventually(Duration::from_secs(10), || evil.asked() > 0), "the cloud was never asked");
    vault.sigkill();
    vault.start();
    let lines = mint_lines(&vault);
    let seen: Vec<_> =
        lines.iter().map(|line| (line["kind"].as_str().unwrap(), line["outcome"].as_str().unwrap())).collect();
    assert_eq!(seen, [("intent", "pending"), ("result", "unknown")], "{lines:?}");
}

#[test]
fn g5_what_people_write_stays_one_escaped_record() {
    let vault = Setup::new().start();
    let texts =
        ["a\nseq 99 owner ok", "\u{1b}[2J\u{1b}[31mred", "\",\"outcome\":\"ok\"", "a|b=c|act=allowed", "a\u{202e}b"];
    for text in texts {
        let ask = proto::RegisterConnectorRequest {
            description: text.to_owned(),
            labels: [("note".to_owned(), text.to_owned())].into(),
            ..cast::unverified("noted")
        };
        // Refused or stored: the record is one line either way.
        let _ = vault.run(vault.connectors("alice").register_connector(ask));
        let _ = vault.cli("alice", &["connector", "describe", text]);
    }
    let listed = vault.cli("carol", &["audit", "list", "-o", "json"]).ok();
    assert!(!listed.stdout.contains('\u{1b}') && !listed.stdout.contains('\u{202e}'), "{listed}");
    let lines = listed.json();
    for line in lines.as_array().unwrap() {
        assert!(!line["details"].to_string().contains("\\n"), "{line}");
    }
    let table = vault.cli("carol", &["audit", "list", "--limit", "1000"]).ok().stdout;
    assert!(!table.contains('\u{1b}'), "{table}");
    let shown = vault.cli("alice", &["connector", "list"]).ok().stdout;
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    assert!(!vault.logs().contains('\u{1b}'), "{}", vault.logs());
}

#[test]
fn g5_a_user_agent_is_not_in_the_ledger() {
    let vault = Setup::new().start();
    let head = vault.head("alice", "/valetkey.v1.AccessService/WhoAmI").header("user-agent", "agent-of-mine");
    vault.send(head.body(crate::rig::http::frame(&[])).unwrap()).unwrap();
    assert!(!serde_json::to_string(&vault.ledger()).unwrap().contains("agent-of-mine"));
}

#[test]
fn g8_no_method_changes_the_ledger_and_each_start_tells_its_config() {
    let of_audit: Vec<_> = METHOD_RULES.iter().filter(|rule| rule.path.contains("AuditService")).collect();
    assert!(of_audit.iter().all(|rule| rule.permission == "audit.read" && rule.audit == 1), "{of_audit:?}");
    let vault = Setup::new().start_empty();
    vault.restart();
    let lines = vault.ledger();
    let starts: Vec<_> = lines.iter().filter(|line| line["method"] == "daemon/start").collect();
    let digests: std::collections::BTreeSet<_> =
        starts.iter().map(|line| line["details"]["config"].to_string()).collect();
    // The port is another one each time here, and so the config is.
    assert_eq!((starts.len(), digests.len()), (2, 2), "{starts:?}");
    assert!(lines.iter().any(|line| line["method"] == "daemon/stop"));
}

#[test]
fn g9_a_batch_has_a_line_for_each_item_and_fails_exactly() {
    let lab = Lab::linked();
    lab.connect("second", &lab.id("test"), "read").ok();
    let ids: Vec<String> = ["artifacts", "second"]
        .iter()
        .map(|component| {
            lab.mint("bob", &["--component", component]).json()["issuance_id"].as_str().unwrap().to_owned()
        })
        .collect();
    // One that is not there: nothing is done.
    let never = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11";
    lab.vault.cli("alice", &["issuance", "revoke", &ids[0], never]).fails(4, "no such issuance");
    let states = |vault: &Vault| -> Vec<String> {
        let listed = vault.cli("alice", &["issuance", "list", "-o", "json"]).json();
        listed.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(states(&lab.vault), ["active", "active"]);
    lab.vault.cli("alice", &["issuance", "revoke", &ids[0], &ids[1]]).ok();
    assert_eq!(states(&lab.vault), ["withdrawn", "withdrawn"]);
    let lines = lab.vault.ledger();
    for id in &ids {
        let about = |kind: &str| {
            lines.iter().any(|line| {
                line["issuance"] == id.as_str()
                    && line["kind"] == kind
                    && line["method"].as_str().unwrap().ends_with("RevokeIssuances")
            })
        };
        assert!(about("intent") && about("result"), "{id}");
    }
}

#[test]
fn g11_the_ledger_is_read_by_those_who_may_and_of_their_project_only() {
    let vault = Setup::new().start();
    for who in ["alice", "bob", "trainer", "stranger"] {
        let list = vault.run(vault.audit(who).list_audit_lines(proto::ListAuditLinesRequest::default()));
        refused_with(list, Code::PermissionDenied);
        let tail = vault.run(vault.audit(who).tail_audit_lines(proto::TailAuditLinesRequest::default()));
        refused_with(tail, Code::PermissionDenied);
    }
    for who in ["owner", "carol"] {
        assert!(!cast::lines(&vault, who).is_empty());
    }
    let ask = proto::ListAuditLinesRequest { project: "other".to_owned(), ..Default::default() };
    refused_with(vault.run(vault.audit("carol").list_audit_lines(ask)), Code::NotFound);
}

#[test]
fn the_tail_shows_a_call_as_it_happens() {
    let vault = Setup::new().start();
    let mut audit = vault.audit("carol");
    let seen = vault.spawn(async move {
        let mut lines = audit.tail_audit_lines(proto::TailAuditLinesRequest::default()).await.unwrap().into_inner();
        while let Some(answer) = lines.message().await.unwrap() {
            let line = answer.line.unwrap();
            if line.principal_name == "bob" && line.outcome == "denied" {
                return line;
            }
        }
        panic!("the stream ended");
    });
    let limit = Duration::from_secs(10);
    let shown = eventually(limit, || {
        let _ = vault.run(vault.connectors("bob").register_connector(cast::unverified("x")));
        seen.is_finished()
    });
    assert!(shown, "a denied call did not appear");
    assert!(vault.run(seen).unwrap().method.ends_with("/RegisterConnector"));
}
