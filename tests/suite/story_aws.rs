//! The main story on a real S3 and STS, through the command line: who writes connectors, who links, who mints, what an
//! unmodified boto3 can then do and what the server refuses it.

use serde_json::{Value, json};

use crate::rig::account::{self, Role};
use crate::rig::lab::{Lab, minted, secrets};

#[test]
fn a_secret_from_stdin_is_verified_and_shown_to_nobody() {
    let lab = Lab::new();
    let registered = lab.register("prod-s3", &lab.broker.key, &["--description", "training data"]).json();
    assert_eq!(registered["verification"]["state"], "verified", "{registered}");
    let identity = registered["verification"]["identity"].as_str().unwrap();
    assert!(identity.contains("assumed-role/ml-data"), "{identity}");
    let reach = &registered["verification"]["reach"][0];
    assert_eq!(reach["resource_type"], "s3-bucket");
    assert!(reach["resource_ids"].as_array().unwrap().contains(&json!(lab.id(""))), "{reach}");
    assert_eq!(registered["secret_fields_set"], json!(["aws_access_key_id", "aws_secret_access_key"]));

    for who in ["owner", "alice", "bob", "carol"] {
        for arguments in [["connector", "describe", "prod-s3", "-ojson"], ["connector", "list", "-o", "yaml"]] {
            let said = lab.vault.cli(who, &arguments).ok().all();
            assert!(!said.contains(&lab.broker.key.secret) && !said.contains(&lab.broker.key.id), "{who}: {said}");
        }
    }
}

#[test]
fn a_scientist_mints_one_prefix_of_one_bucket_and_the_server_refuses_the_rest() {
    let lab = Lab::linked();
    let outcome = lab.mint("bob", &["--component", "artifacts", "--ttl", "1h"]);
    let credential = outcome.json();
    assert_eq!(credential["shape"], "aws_session");
    assert_eq!((&credential["downscope"], &credential["access"]), (&json!("prefix"), &json!("read")));
    assert_eq!(credential["resource_id"], json!(lab.id("train")));
    assert_eq!((&credential["passthrough"], &credential["revocable"]), (&json!(false), &json!("role-wide")));
    assert!(credential["enforced_scope"].as_str().unwrap().starts_with(&lab.id("train")), "{credential}");

    let key = minted(&outcome);
    let boto = lab.boto(&key);
    assert_eq!(boto.expect(&["get-object", &lab.bucket, "train/a.txt"]), "train/a.txt");
    assert_eq!(boto.expect(&["list-objects", &lab.bucket, "train/"]), json!(["train/a.txt", "train/deep/b.txt"]));
    for refused in [
        ["get-object", &lab.bucket, "test/c.txt"],
        ["list-objects", &lab.bucket, "test/"],
        ["list-objects", &lab.bucket, ""],
        ["get-object", &lab.neighbour, "train/a.txt"],
        ["list-objects", &lab.neighbour, "train/"],
        ["put-object", &lab.bucket, "train/new.txt"],
        ["delete-object", &lab.bucket, "train/a.txt"],
    ] {
        assert_eq!(boto.refused(&refused), "AccessDenied", "{refused:?}");
    }
}

#[test]
fn the_clouds_own_log_would_name_the_scientist() {
    let lab = Lab::linked();
    let outcome = lab.mint("bob", &["--component", "artifacts"]);
    let attribution = outcome.json()["attribution"].as_str().unwrap().to_owned();
    assert!(attribution.contains("bob"), "{attribution}");
    let arn = lab.boto(&minted(&outcome)).expect(&["whoami"]);
    assert_eq!(arn, json!(format!("arn:aws:sts::000000000000:assumed-role/ml-data/{attribution}")));
}

#[test]
fn a_scientist_cannot_write_connectors_nor_widen() {
    let lab = Lab::linked();
    let endpoint = format!("endpoint_url={}", lab.weed.endpoint());
    let register =
        ["connector", "register", "mine", "--type", "aws", "--method", "secret-key", "--set", "region=us-east-1"];
    let with = |more: &[&'static str]| [&register[..], &["--set", &endpoint, "--secrets", "-"], more].concat();
    lab.vault.cli_with("bob", &with(&[]), &secrets(&lab.broker.key)).fails(3, "GRANT_MISSING");
    lab.vault.cli_with("bob", &with(&["--validate-only"]), &secrets(&lab.broker.key)).fails(3, "GRANT_MISSING");
    for denied in [
        &["connector", "update", "prod-s3", "--ttl-max", "12h"][..],
        &["connector", "verify", "prod-s3"],
        &["connector", "list-resources", "prod-s3"],
        &["connector", "delete", "prod-s3"],
        &["issuance", "revoke", "--connector", "prod-s3"],
        &["audit", "list"],
        &["key", "status"],
    ] {
        lab.vault.cli("bob", denied).fails(3, "GRANT_MISSING");
    }
    let neighbour = format!("s3://{}", lab.neighbour);
    lab.mint("bob", &["--connector", "prod-s3", "--resource", &neighbour]).fails(3, "RESOURCE_BEYOND_CEILING");
    lab.mint("bob", &["--component", "artifacts", "--resource", &lab.id("test")]).fails(1, "resource_id");
    lab.mint("bob", &["--component", "artifacts", "--resource", &lab.id("")]).fails(1, "resource_id");
    lab.mint("bob", &["--component", "artifacts", "--access", "write"]).fails(3, "ACCESS_BEYOND_CEILING");
    lab.mint("bob", &["--component", "nothing-of-the-kind"]).fails(4, "no such component");
}

#[test]
fn write_access_writes_in_its_prefix_and_nowhere_else() {
    let lab = Lab::linked();
    lab.connect("results", &lab.id("train/out"), "write").ok();
    let key = minted(&lab.mint("bob", &["--component", "results", "--access", "write"]));
    let boto = lab.boto(&key);
    boto.expect(&["put-object", &lab.bucket, "train/out/r.txt", "done"]);
    assert_eq!(boto.expect(&["get-object", &lab.bucket, "train/out/r.txt"]), "done");
    boto.expect(&["put-multipart", &lab.bucket, "train/out/big.bin"]);
    boto.expect(&["delete-object", &lab.bucket, "train/out/r.txt"]);
    for refused in [["put-object", &lab.bucket, "train/a.txt"], ["put-object", &lab.neighbour, "train/out/r.txt"]] {
        assert_eq!(boto.refused(&refused), "AccessDenied", "{refused:?}");
    }
    // The level below is what is minted when nothing is said.
    let key = minted(&lab.mint("bob", &["--component", "results"]));
    assert_eq!(lab.boto(&key).refused(&["put-object", &lab.bucket, "train/out/r.txt"]), "AccessDenied");
}

#[test]
fn a_prefix_does_not_reach_what_merely_begins_like_it() {
    let lab = Lab::with_more_objects(&["train2/x.txt", "train"]);
    let key = minted(&lab.mint("bob", &["--component", "artifacts"]));
    let boto = lab.boto(&key);
    assert_eq!(boto.refused(&["get-object", &lab.bucket, "train2/x.txt"]), "AccessDenied");
    assert_eq!(boto.refused(&["list-objects", &lab.bucket, "train2/"]), "AccessDenied");
    assert_eq!(boto.refused(&["list-objects", &lab.bucket, "train"]), "AccessDenied");
}

#[test]
fn a_lifetime_below_the_floor_is_refused_and_one_above_the_ceiling_is_cut_and_said_so() {
    let lab = Lab::linked();
    lab.mint("bob", &["--component", "artifacts", "--ttl", "10m"]).fails(1, "ttl_seconds");
    lab.vault.cli("alice", &["connector", "update", "prod-s3", "--ttl-max", "20m"]).ok();
    let cut = lab.mint("bob", &["--component", "artifacts", "--ttl", "1h"]).json();
    assert!(cut["ttl_note"].as_str().unwrap().contains("cut to 1200 s by the connector's ceiling"), "{cut}");
    let life = seconds_until(&cut["expires_at"]);
    assert!((1100..=1200).contains(&life), "{life} s");
    let asked = lab.mint("bob", &["--component", "artifacts", "--ttl", "15m"]).json();
    assert_eq!(asked["ttl_note"], Value::Null, "{asked}");
    assert!((800..=900).contains(&seconds_until(&asked["expires_at"])), "{asked}");
    // A ceiling that could mint nothing is refused where it is set.
    lab.vault.cli("alice", &["connector", "update", "prod-s3", "--ttl-max", "10m"]).fails(1, "ttl_max_seconds");
}

#[test]
fn what_was_minted_really_ends_when_the_reply_said() {
    let lab = Lab::linked();
    let outcome = lab.mint("bob", &["--component", "artifacts", "--ttl", "15m"]);
    let key = minted(&outcome);
    let life = seconds_until(&outcome.json()["expires_at"]);
    let get = ["get-object", &lab.bucket, "train/a.txt"];
    let aged = |seconds: u64| lab.weed.aged(&key, u32::try_from(seconds).unwrap());
    assert!(lab.boto(&aged(life - 30)).call(&get).is_ok());
    assert_eq!(lab.boto(&aged(life + 5)).refused(&get), "InvalidAccessKeyId");
}

#[test]
fn a_second_ask_is_answered_from_memory_and_still_recorded() {
    let lab = Lab::linked();
    let (first, second) =
        (lab.mint("bob", &["--component", "artifacts"]), lab.mint("bob", &["--component", "artifacts"]));
    assert_eq!(minted(&first).id, minted(&second).id);
    let issued = lab.vault.cli("bob", &["issuance", "list", "-o", "json"]).json();
    assert_eq!(issued.as_array().unwrap().len(), 1, "{issued}");
    let mints = lab.vault.ledger().into_iter().filter(|line| is_mint(line) && line["reason"] == "HANDED_OUT");
    assert_eq!(mints.count(), 2, "each hand-out has its own line");
}

#[test]
fn a_rotated_secret_mints_at_once_and_nothing_of_the_old_one_is_handed_out() {
    let lab = Lab::linked();
    let old = minted(&lab.mint("bob", &["--component", "artifacts"]));
    let successor = lab.weed.add_key(&lab.broker);
    lab.vault
        .cli_with("alice", &["connector", "rotate-secret", "prod-s3", "--secrets", "-"], &secrets(&successor))
        .ok();
    lab.weed.delete_key(&lab.broker, &lab.broker.key);

    let new = minted(&lab.mint("bob", &["--component", "artifacts"]));
    assert_ne!(new.id, old.id, "the old key's session was served from memory");
    assert_eq!(lab.boto(&new).expect(&["get-object", &lab.bucket, "train/a.txt"]), "train/a.txt");
    let described = lab.vault.cli("alice", &["connector", "describe", "prod-s3", "-o", "json"]).json();
    assert_eq!(described["secret_version"], 2, "{described}");
}

#[test]
fn a_secret_that_the_cloud_refuses_is_not_rotated_in() {
    let lab = Lab::linked();
    let wrong = lab.broker.key.with_secret("wrong/secret+wrong/secret+wrong/secret+12");
    let rotate = ["connector", "rotate-secret", "prod-s3", "--secrets", "-"];
    let said = lab.vault.cli_with("alice", &rotate, &secrets(&wrong)).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    assert!(!said.all().contains(&wrong.secret), "{said}");
    minted(&lab.mint("bob", &["--component", "artifacts"]));
}

#[test]
fn a_key_deleted_at_the_cloud_is_told_apart_from_an_outage() {
    let lab = Lab::linked();
    lab.weed.delete_key(&lab.broker, &lab.broker.key);
    lab.mint("bob", &["--component", "artifacts"]).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    let verified = lab.vault.cli("alice", &["connector", "verify", "prod-s3", "-o", "json"]);
    let state = match verified.code {
        0 => verified.json()["verification"]["state"].clone(),
        _ => {
            lab.vault.cli("alice", &["connector", "describe", "prod-s3", "-o", "json"]).json()["verification"]["state"]
                .clone()
        }
    };
    assert_eq!(state, "failing");
}

#[test]
fn a_wrong_secret_is_not_registered_and_the_message_names_no_secret() {
    let lab = Lab::new();
    let wrong = lab.broker.key.with_secret("wrong/secret+wrong/secret+wrong/secret+12");
    let said = lab.register("bad", &wrong, &[]).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    assert!(said.stderr.contains("rotate it") && !said.all().contains(&wrong.secret), "{said}");
    lab.vault.cli("alice", &["connector", "describe", "bad"]).fails(4, "no such connector");
    let role = format!("role_arn={}", Role::Foreign.arn());
    let denied = lab.register("foreign", &lab.broker.key, &["--set", &role]).fails(1, "UPSTREAM_DENIED");
    assert!(denied.stderr.contains("sts:AssumeRole") || denied.stderr.contains("trust"), "{denied}");
}

#[test]
fn an_endpoint_is_changed_only_with_the_secret_in_hand() {
    let lab = Lab::linked();
    let elsewhere = format!("endpoint_url={}", lab.weed.endpoint().replace("127.0.0.1", "localhost"));
    let update = ["connector", "update", "prod-s3", "--set", &elsewhere];
    lab.vault.cli("alice", &update).fails(1, "SECRET_NEEDED_AGAIN");
    lab.vault.cli("alice", &[&update[..], &["--skip-verify"]].concat()).fails(1, "SECRET_NEEDED_AGAIN");
    // With the secret, the address is still one that the server's config must allow.
    let with_secret = [&update[..], &["--secrets", "-"]].concat();
    let said = lab.vault.cli_with("alice", &with_secret, &secrets(&lab.broker.key));
    assert!(said.code == 1 && said.stderr.contains("allowed_endpoints"), "{said}");
    minted(&lab.mint("bob", &["--component", "artifacts"]));
}

#[test]
fn a_linked_connector_is_not_deleted_and_the_links_are_named() {
    let lab = Lab::linked();
    lab.mint("bob", &["--component", "artifacts"]).ok();
    lab.vault.cli("alice", &["connector", "delete", "prod-s3"]).fails(1, "STILL_LINKED").fails(1, "artifacts");
    lab.vault.cli("bob", &["component", "connect", "artifacts", "--unlink"]).ok();
    lab.mint("bob", &["--component", "artifacts"]).fails(1, "NOT_LINKED");
    let deleted = lab.vault.cli("alice", &["connector", "delete", "prod-s3"]).ok();
    assert!(deleted.all().contains('1'), "one credential is still alive at the cloud: {deleted}");
    lab.vault.cli("alice", &["connector", "describe", "prod-s3"]).fails(4, "no such connector");
}

#[test]
fn revoked_issuances_are_withdrawn_and_the_reply_says_what_the_cloud_still_honours() {
    let lab = Lab::linked();
    let first = lab.mint("bob", &["--component", "artifacts"]);
    let id = first.json()["issuance_id"].as_str().unwrap().to_owned();
    let revoked = lab.vault.cli("alice", &["issuance", "revoke", &id, "-o", "json"]).json();
    assert_eq!(revoked[0]["issuance"]["state"], "withdrawn", "{revoked}");
    assert!(revoked[0]["note"].as_str().unwrap().contains("the cloud honours it until"), "{revoked}");
    // Truthful: the session does still work.
    assert!(lab.boto(&minted(&first)).call(&["get-object", &lab.bucket, "train/a.txt"]).is_ok());
    // And is not handed out again.
    assert_ne!(minted(&lab.mint("bob", &["--component", "artifacts"])).id, minted(&first).id);
    let listed = lab.vault.cli("bob", &["issuance", "list", "-o", "json"]).json();
    let states: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "withdrawn"], "newest first");
}

#[test]
fn a_grant_narrows_lifetime_level_and_resource() {
    let lab = Lab::linked();
    let owner = |arguments: &[&str]| lab.vault.cli("owner", arguments).ok();
    owner(&["user", "create", "dora"]);
    let token = lab.vault.token_file("dora");
    owner(&["token", "create", "--for", "dora", "--out", token.to_str().unwrap()]);
    let pattern = lab.id("train/**");
    owner(&[
        "binding",
        "create",
        "--principal",
        "dora",
        "--role",
        "data-scientist",
        "--connector",
        "prod-s3",
        "--resource-pattern",
        &pattern,
        "--access-max",
        "read",
        "--ttl-max",
        "15m",
    ]);

    let mint = |resource: &str, more: &[&str]| {
        lab.mint("dora", &[&["--connector", "prod-s3", "--resource", resource], more].concat())
    };
    let granted = mint(&lab.id("train/deep"), &["--ttl", "1h"]).json();
    assert!(granted["ttl_note"].as_str().unwrap().contains("the role binding"), "{granted}");
    mint(&lab.id("test"), &[]).fails(3, "RESOURCE_OUTSIDE_GRANT");
    mint(&lab.id("train/deep"), &["--access", "write"]).fails(3, "ACCESS_ABOVE_GRANT");
    let can = lab.vault.cli("dora", &["access", "can", "-o", "json"]).json();
    assert_eq!(can[0]["connector"], "prod-s3", "{can}");
    assert_eq!(can[0]["resources"], json!([pattern]), "{can}");
}

fn is_mint(line: &Value) -> bool {
    line["method"].as_str().is_some_and(|method| method.ends_with("/MintCredential"))
}

fn seconds_until(time: &Value) -> u64 {
    let end: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    u64::try_from(end.as_second() - jiff::Timestamp::now().as_second()).unwrap()
}

impl Lab {
    fn with_more_objects(keys: &[&str]) -> Self {
        let lab = Self::linked();
        let admin = account::admin();
        for key in keys {
            lab.weed.boto(&admin).expect(&["put-object", &lab.bucket, key]);
        }
        lab
    }
}
