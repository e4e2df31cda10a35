//! A run from its start to its end through the command line: what its token mints on a real S3 and STS, everything near
//! it that is refused, that its end is felt at once and survives a power cut, and that clouds are told of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;
use valetkey::proto;

use crate::rig::cast;
use crate::rig::federated::AUDIENCE;
use crate::rig::lab::{Lab, minted};
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{reason, refused_with};
use crate::story_issuer::{World, forged};

/// Starts a run of somebody and keeps its token under `token`; the run.
fn start(vault: &Vault, who: &str, token: &str, more: &[&str]) -> Value {
    let file = vault.token_file(token).display().to_string();
    let said = vault.cli(who, &[&["run", "start", "-o", "json", "--token-out", &file], more].concat());
    let run = said.json();
    assert_eq!(run["secret"], Value::Null, "the file got it");
    assert!(vault.token(token).starts_with("vk1_r_") && !said.all().contains(&vault.token(token)));
    run
}

/// A lab with the stack `prod` of the component `artifacts` alone; `results` is linked too, and in no stack.
fn lab() -> Lab {
    let lab = Lab::linked();
    lab.connect("results", &lab.id("train/out"), "write").ok();
    lab.vault.cli("bob", &["stack", "register", "prod", "--component", "artifacts"]).ok();
    lab
}

fn id(run: &Value) -> String {
    run["id"].as_str().unwrap().to_owned()
}

/// When `time` is. Whole seconds are written without a fraction, so the texts themselves are not in order.
fn moment(time: &Value) -> jiff::Timestamp {
    time.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_run_mints_through_its_stack_and_everybody_is_told_which_run_it_was() {
    let lab = lab();
    let vault = &lab.vault;
    let run = start(vault, "bob", "run", &["--stack", "prod", "--name", "nightly"]);
    let mode = fs::metadata(vault.token_file("run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!((&run["state"], &run["stack"], &run["principal"]), (&json!("running"), &json!("prod"), &json!("bob")));

    // With VALETKEY_TOKEN_FILE alone, as a pipeline has it.
    let outcome = lab.mint("run", &["--component", "artifacts"]);
    let boto_key = minted(&outcome);
    let boto = lab.boto(&boto_key);
    assert_eq!(boto.expect(&["get-object", &lab.bucket, "train/a.txt"]), "train/a.txt");
    assert_eq!(boto.refused(&["get-object", &lab.bucket, "test/c.txt"]), "AccessDenied");
    let session = boto.expect(&["whoami"]);
    let digits = &id(&run)[..8];
    assert!(session.as_str().unwrap().contains(&format!("/vk-bob-{digits}-")), "the cloud's own log: {session}");

    let who = vault.cli("run", &["whoami", "-o", "json"]).json();
    assert_eq!((&who["principal"]["name"], &who["run"]["id"]), (&json!("bob"), &run["id"]));
    assert!(vault.cli("run", &["whoami"]).ok().stdout.contains("nightly"));
    let issuance = outcome.json()["issuance_id"].clone();
    lab.mint("bob", &["--component", "artifacts"]).ok();
    for named in ["nightly", digits, &id(&run)] {
        let listed = vault.cli("bob", &["issuance", "list", "--run", named, "-o", "json"]).json();
        let found: Vec<_> = listed.as_array().unwrap().iter().map(|one| (&one["id"], &one["run_id"])).collect();
        assert_eq!(found, [(&issuance, &run["id"])], "{named}");
    }
    let lines = vault.cli("carol", &["audit", "list", "--principal", "bob", "-o", "json"]).json();
    let of_mint: Vec<_> =
        lines.as_array().unwrap().iter().filter(|line| line["issuance_id"] == issuance).cloned().collect();
    assert_eq!(of_mint.len(), 3, "intent, result, hand-out");
    assert!(of_mint.iter().all(|line| line["run_id"] == run["id"] && line["principal_name"] == "bob"), "{of_mint:?}");
    let started = lines.as_array().unwrap().iter().find(|line| line["subject"] == json!(format!("run/{}", id(&run))));
    assert_eq!(started.unwrap()["run_id"], Value::Null, "bob started it, outside of any run");
    for named in ["nightly", digits, &id(&run)] {
        // As many as there are, and then a page of one.
        let of_run = |more: &[&str]| {
            let ask = [&["audit", "list", "--run", named, "-o", "json"][..], more].concat();
            vault.cli("carol", &ask).json().as_array().unwrap().clone()
        };
        let found = of_run(&[]);
        let own = |line: &Value| line["run_id"] == run["id"] || line["subject"] == json!(format!("run/{}", id(&run)));
        let wanted: Vec<_> = lines.as_array().unwrap().iter().filter(|line| own(line)).cloned().collect();
        assert!(found == wanted && wanted.len() > 4, "its start, whoami, and three of the mint: {found:?}");
        assert_eq!(of_run(&["--limit", "1"]), found[..1]);
        assert!(of_run(&["--outcome", "denied"]).is_empty());
    }
    vault.cli("carol", &["audit", "list", "--run", "weekly"]).fails(4, "run");
    vault.cli("bob", &["audit", "list", "--run", "nightly"]).fails(3, "audit.read");
    let ledger = vault.ledger();
    assert!(!ledger.iter().any(|line| line.to_string().contains("vk1_r_")) && !vault.logs().contains("vk1_r_"));
    vault.stop();
    let data = vault.data().display().to_string();
    vault.cli("owner", &["audit", "verify", "--data-dir", &data]).ok();
}

#[test]
fn b8_a_runs_token_is_refused_everything_beside_its_own_stack() {
    let lab = lab();
    let vault = &lab.vault;
    start(vault, "bob", "run", &["--stack", "prod", "--max-duration", "30m"]);
    let other = start(vault, "bob", "other-run", &["--stack", "prod", "--name", "other"]);
    lab.mint("run", &["--component", "artifacts"]).ok();

    let said = lab.mint("run", &["--component", "results"]).fails(3, "OUTSIDE_RUN");
    assert!(said.stderr.contains("--component"), "{said}");
    lab.mint("bob", &["--component", "results"]).ok();
    let direct = ["--connector", "prod-s3", "--resource", &lab.id("train")];
    let said = lab.mint("run", &direct).fails(3, "OUTSIDE_RUN");
    assert!(said.stderr.contains("components of its own stack"), "{said}");
    lab.mint("bob", &direct).ok();
    for nowhere in ["--component", "--connector"] {
        lab.mint("run", &[nowhere, "no-such", "--resource", "s3://x"]).fails(3, "OUTSIDE_RUN");
    }
    lab.mint("run", &["--component", "artifacts", "--access", "write"]).fails(3, "ACCESS_BEYOND_CEILING");
    lab.mint("run", &["--component", "artifacts", "--resource", &lab.id("test")]).fails(1, "resource_id");
    for text in [id(&other), id(&other)[..8].to_owned(), "other".to_owned()] {
        for verb in [&["describe"][..], &["renew"], &["finish"], &["finish", "--revoke"]] {
            vault.cli("run", &[&["run"], verb, &[text.as_str()]].concat()).fails(3, "OUTSIDE_RUN");
        }
        vault.cli("run", &["issuance", "list", "--run", &text]).fails(3, "OUTSIDE_RUN");
    }
    for beyond in [
        &["run", "start", "--stack", "prod"][..],
        &["token", "create"],
        &["token", "list"],
        &["stack", "update", "prod", "--component", "artifacts", "--component", "results"],
        &["component", "describe", "results"],
        &["connector", "list"],
        &["connector", "describe", "prod-s3"],
        &["audit", "list"],
    ] {
        vault.cli("run", beyond).fails(3, "OUTSIDE_RUN");
    }
    let seen = vault.cli("run", &["component", "list", "-o", "json"]).json();
    assert_eq!(seen.as_array().unwrap().iter().map(|c| &c["name"]).collect::<Vec<_>>(), ["artifacts"]);
    let ways = vault.cli("run", &["access", "can", "-o", "json"]).json();
    assert_eq!(ways.as_array().unwrap().iter().map(|way| &way["component"]).collect::<Vec<_>>(), ["artifacts"]);

    // A life beyond the run's end is cut, and the reply says by what.
    let run = vault.cli("run", &["run", "describe", "--self", "-o", "json"]).json();
    let cut = lab.mint("run", &["--component", "artifacts", "--ttl", "1h"]).json();
    assert!(cut["ttl_note"].as_str().unwrap().contains("the end of the run"), "{cut}");
    assert!(moment(&cut["expires_at"]) <= moment(&run["ends_at"]), "{cut} {run}");
}

#[test]
fn b9_the_token_of_a_finished_run_is_nobodys_at_once_and_after_a_power_cut() {
    let lab = lab();
    let vault = &lab.vault;
    let run = start(vault, "bob", "run", &["--stack", "prod", "--ttl", "20m"]);
    let renewed = vault.cli("run", &["run", "renew", "--self", "-o", "json"]).json();
    assert!(moment(&renewed["token_expires_at"]) > moment(&run["token_expires_at"]), "{renewed}");
    assert_eq!(renewed["ends_at"], run["ends_at"]);
    vault.sigkill();
    vault.start();
    lab.mint("run", &["--component", "artifacts"]).ok();
    let after = vault.cli("bob", &["run", "describe", &id(&run), "-o", "json"]).json();
    assert_eq!(after["token_expires_at"], renewed["token_expires_at"], "renewed for good");

    // A pipeline watches its credential while somebody ends the run.
    let mut client = vault.credentials("run");
    let mut stream = vault.run(async move {
        let ask = proto::WatchCredentialRequest { ask: cast::mint("artifacts").ask };
        let mut stream = client.watch_credential(ask).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        stream
    });
    let done = vault.cli("bob", &["run", "finish", &id(&run), "--revoke", "-o", "json"]).json();
    let status = vault.run(async {
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, async {
            while stream.message().await?.is_some() {}
            Err::<(), _>(tonic::Status::ok(""))
        })
        .await
    });
    let status = status.expect("the stream goes on").unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(done["state"], "finished");
    let credentials = done["credentials"].as_array().unwrap();
    assert_eq!(credentials.len(), 1, "{done}");
    assert_eq!(credentials[0]["issuance"]["state"], "withdrawn", "AWS ends no single session, and that is said");
    let until = credentials[0]["issuance"]["expires_at"].as_str().unwrap();
    assert!(credentials[0]["note"].as_str().unwrap().contains(&until[..16]), "{done}");

    let refused = || {
        for command in [&["mint", "--component", "artifacts"][..], &["run", "renew", "--self"], &["whoami"]] {
            vault.cli("run", command).fails(3, "");
        }
        let answer = vault.run(vault.credentials("run").mint_credential(cast::mint("artifacts")));
        refused_with(answer, Code::Unauthenticated);
    };
    refused();
    vault.sigkill();
    vault.start();
    refused();
    vault.cli("bob", &["run", "renew", &id(&run)]).fails(1, "RUN_OVER");
    let again = vault.cli("bob", &["run", "finish", &id(&run), "-o", "json"]).json();
    assert_eq!(again["finished_at"], done["finished_at"], "finished once");
    let listed = vault.cli("bob", &["run", "list", "-o", "json"]).json();
    assert_eq!(listed[0]["state"], "finished");
    assert_eq!(vault.cli("bob", &["run", "list", "--live", "-o", "json"]).json(), json!([]));
}

#[test]
fn a_run_ends_with_what_its_starter_holds_and_owners_end_it() {
    let lab = lab();
    let vault = &lab.vault;
    // A program that is bound to all of a stack starts runs there, and on nothing else.
    lab.connect("pipeline", &lab.id("train"), "read").ok();
    vault.cli("bob", &["stack", "register", "small", "--component", "pipeline"]).ok();
    vault.cli("trainer", &["run", "start", "--stack", "prod"]).fails(3, "GRANT_MISSING");
    vault.cli("carol", &["run", "start", "--stack", "small"]).fails(3, "GRANT_MISSING");
    let theirs = start(vault, "trainer", "theirs", &["--stack", "small", "--name", "train"]);
    lab.mint("theirs", &["--component", "pipeline"]).ok();
    vault.cli("bob", &["run", "finish", &id(&theirs)]).fails(4, "no such run");
    vault.cli("owner", &["run", "finish", "train"]).ok();
    vault.cli("theirs", &["whoami"]).fails(3, "");

    start(vault, "bob", "run", &["--stack", "prod"]);
    lab.mint("run", &["--component", "artifacts"]).ok();
    vault.cli("bob", &["stack", "update", "prod", "--component", "results"]).ok();
    lab.mint("run", &["--component", "artifacts"]).fails(3, "OUTSIDE_RUN");
    lab.mint("run", &["--component", "results"]).ok();
    let held = proto::ListBindingsRequest { principal: "bob".to_owned(), ..Default::default() };
    let held = vault.run(vault.access("owner").list_bindings(held)).unwrap().into_inner().bindings;
    vault.cli("owner", &["binding", "delete", &held[0].id]).ok();
    let answer = vault.run(vault.credentials("run").mint_credential(cast::mint("results")));
    assert_eq!(reason(&refused_with(answer, Code::PermissionDenied)), "GRANT_MISSING");
    // Whoever started it may end it, with no role at all.
    vault.cli("run", &["run", "finish", "--self"]).ok();
    vault.cli("run", &["whoami"]).fails(3, "");
}

#[test]
fn the_issuers_token_names_the_run_in_subject_and_claims_and_the_cloud_checks_it() {
    let world = World::new(Setup::new());
    world.register("keyless", &[]).ok();
    let vault = &world.vault;
    cast::component(vault, "bob", "artifacts");
    cast::link(vault, "artifacts", "keyless", "s3://datasets/train");
    vault.cli("bob", &["stack", "register", "prod", "--component", "artifacts"]).ok();
    let run = start(vault, "bob", "run", &["--stack", "prod", "--name", "nightly"]);
    let outcome = vault.cli("run", &["mint", "-o", "json", "--component", "artifacts"]);
    let key = minted(&outcome);
    assert_eq!(world.cloud.boto(&key).expect(&["get-object", "datasets", "train/a.txt"]), "train/a.txt");
    assert_eq!(world.cloud.boto(&key).refused(&["get-object", "models", "train/a.txt"]), "AccessDenied");

    let (token, digits) = (world.token(), &id(&run)[..8]);
    let claims = world.verify(&token, AUDIENCE).unwrap();
    let subject = format!("project:default:connector:keyless:principal:user/bob:run:{}", id(&run));
    assert_eq!(claims["sub"], json!(subject));
    for (name, value) in
        [("project", "default"), ("connector", "keyless"), ("principal", "bob"), ("run_name", "nightly")]
    {
        assert_eq!(claims[name], value, "{claims}");
    }
    assert_eq!((&claims["run"], &claims["issuance"]), (&run["id"], &outcome.json()["issuance_id"]));
    assert!(outcome.json()["attribution"].as_str().unwrap().contains(&format!("vk-bob-{digits}-")));
    assert!(world.exchange(&token).is_ok(), "the documented condition, `...:keyless:*`, takes it");
    for forgery in ["project:default:connector:keyless:principal:user/bob", &subject.replace(digits, "00000000")] {
        assert_eq!(
            world.exchange(&forged(&token, &["sub", forgery])).unwrap_err(),
            "\"InvalidParameterValue\"",
            "{forgery}"
        );
    }
    let vouched = vault.ledger().into_iter().rfind(|line| line["details"]["identity_subject"] == json!(subject));
    assert_eq!(vouched.unwrap()["run"], run["id"]);
    // Outside of the run its starter is vouched for without it.
    vault.cli("bob", &["mint", "-o", "json", "--component", "artifacts"]).ok();
    let outside = world.verify(&world.token(), AUDIENCE).unwrap();
    assert!(outside.get("run").is_none() && outside["sub"] == json!(subject.split(":run:").next().unwrap()));
}
