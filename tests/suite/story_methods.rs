//! The other ways to authenticate to the cloud: federation, role chains, keys that mint for themselves, and the breadth
//! of AWS (clusters, registries, unscoped sessions) on moto.

use std::process::Command;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::rig::account::{self, Role};
use crate::rig::client::Key;
use crate::rig::evil::Evil;
use crate::rig::lab::{Lab, minted, secrets};
use crate::rig::moto::{self, Moto};
use crate::rig::vault::{Outcome, Setup, Vault};

#[test]
fn a_federated_session_is_narrowed_like_a_role() {
    let lab = Lab::new();
    for method in ["federation-token", "secret-key"] {
        lab.register_as(method, &secrets(&account::federator()), &["--method", method, "--resource-type", "s3-bucket"])
            .ok();
        let outcome = lab.mint("bob", &["--connector", method, "--resource", &lab.id("train"), "--ttl", "1h"]);
        let said = outcome.json();
        assert_eq!((&said["downscope"], &said["revocable"]), (&json!("prefix"), &json!("no")), "{said}");
        let key = minted(&outcome);
        assert_ne!(key.id, account::federator().id);
        let boto = lab.boto(&key);
        assert_eq!(boto.expect(&["get-object", &lab.bucket, "train/a.txt"]), "train/a.txt");
        assert_eq!(boto.refused(&["get-object", &lab.bucket, "test/c.txt"]), "AccessDenied");
        assert_eq!(boto.refused(&["get-object", &lab.neighbour, "train/a.txt"]), "AccessDenied");
        let arn = boto.expect(&["whoami"]);
        assert!(arn.as_str().unwrap().contains("federated-user/") && arn.as_str().unwrap().contains("bob"), "{arn}");
    }
}

#[test]
fn a_key_without_the_right_to_federate_is_named_as_such() {
    let lab = Lab::new();
    lab.register_as(
        "weak",
        &secrets(&lab.broker.key),
        &["--method", "federation-token", "--resource-type", "s3-bucket"],
    )
    .ok();
    let said = lab.mint("bob", &["--connector", "weak", "--resource", &lab.id("train")]).fails(1, "UPSTREAM_DENIED");
    assert!(said.stderr.contains("GetFederationToken"), "{said}");
}

#[test]
fn a_role_chain_ends_in_the_last_role_and_in_no_more_than_an_hour() {
    let lab = Lab::new();
    let chain = [
        "--set".to_owned(),
        format!("role_arn={}", Role::Chained.arn()),
        "--set".to_owned(),
        format!("role_chain={}", Role::Data.arn()),
        "--set".to_owned(),
        "max_session_duration=43200".to_owned(),
    ];
    let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
    let more = [&["--method", "iam-role", "--resource-type", "s3-bucket"][..], &chain].concat();
    lab.register_as("chained", &secrets(&lab.broker.key), &more).ok();
    let outcome = lab.mint("bob", &["--connector", "chained", "--resource", &lab.id("train"), "--ttl", "12h"]);
    assert!(outcome.json()["ttl_note"].as_str().unwrap().contains("cut to 3600 s"), "{outcome}");
    let key = minted(&outcome);
    let boto = lab.boto(&key);
    assert!(boto.expect(&["whoami"]).as_str().unwrap().contains("assumed-role/ml-chained/"));
    assert_eq!(boto.expect(&["get-object", &lab.bucket, "train/a.txt"]), "train/a.txt");
    assert_eq!(boto.refused(&["get-object", &lab.bucket, "test/c.txt"]), "AccessDenied");
    // Without the role in between, the cloud refuses.
    let direct = format!("role_arn={}", Role::Chained.arn());
    lab.register("direct", &lab.broker.key, &["--set", &direct]).fails(1, "UPSTREAM_DENIED");
}

/// A vault that reaches this endpoint, with the connector `breadth` of moto's account.
fn breadth(endpoint: &str, moto: &Moto, method: &str, key: &Key, more: &[&str]) -> Vault {
    let vault = Setup::new().reaching(&[endpoint]).start();
    let endpoint = format!("endpoint_url={endpoint}");
    let role = format!("role_arn={}", moto.role_arn());
    let mut arguments = vec!["connector", "register", "breadth", "--type", "aws", "--method", method, "--secrets", "-"];
    arguments.extend_from_slice(&["--set", "region=us-east-1", "--set", &endpoint, "-o", "json"]);
    if method == "iam-role" {
        arguments.extend_from_slice(&["--set", &role]);
    }
    arguments.extend_from_slice(more);
    vault.cli_with("alice", &arguments, &secrets(key)).ok();
    vault
}

fn mint(vault: &Vault, more: &[&str]) -> Outcome {
    vault.cli("bob", &[&["mint", "--connector", "breadth", "-o", "json"], more].concat())
}

#[test]
fn verification_and_listing_name_clusters_and_repositories() {
    let moto = Moto::shared();
    let vault = breadth(moto.endpoint(), &moto, "iam-role", &moto.broker, &[]);
    let reach = vault.cli("alice", &["connector", "list-resources", "breadth", "-o", "json"]).json();
    let ids = |kind: &str| {
        let found = reach.as_array().unwrap().iter().find(|one| one["resource_type"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {reach}"))["resource_ids"].clone()
    };
    assert_eq!(ids("kubernetes-cluster"), json!(["us-east-1/train"]));
    let host = format!("{}.dkr.ecr.us-east-1.amazonaws.com", moto::ACCOUNT);
    assert_eq!(ids("docker-registry"), json!([format!("{host}/team/base"), format!("{host}/team/model")]));
    assert_eq!(ids("aws-generic"), json!(["us-east-1"]));
    assert!(ids("s3-bucket").as_array().unwrap().contains(&json!("s3://datasets")), "{reach}");
}

#[test]
fn a_clusters_token_carries_the_right_signature_and_its_address() {
    let moto = Moto::shared();
    // A handed-in session, so that this test knows the key that must have signed.
    let session = Key::from_json(&moto.boto(&moto.broker).expect(&["assume-role", moto.role_arn(), "bench"]));
    let vault = breadth(moto.endpoint(), &moto, "sts-token", &session, &["--secret-expires-in", "50m"]);
    let said = mint(&vault, &["--resource-type", "kubernetes-cluster", "--resource", "train"]).json();
    assert_eq!((&said["shape"], &said["resource_id"]), (&json!("bearer_token"), &json!("us-east-1/train")), "{said}");
    let token = said["bearer_token"]["token"].as_str().unwrap();
    let url = signed_url(token);
    let cluster = moto.boto(&session).expect(&["eks-cluster", "train"]);
    assert_eq!(said["bearer_token"]["endpoint"], cluster["endpoint"]);
    assert!(url.starts_with("https://sts.us-east-1.amazonaws.com/?"), "{url}");
    assert_eq!(signature_in(&url), recomputed(&url, &session.secret, "train"), "{url}");
    let life: jiff::Timestamp = said["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(life.as_second() - jiff::Timestamp::now().as_second() <= 14 * 60, "{said}");
    let exec = vault.cli(
        "bob",
        &[
            "mint",
            "--connector",
            "breadth",
            "--resource-type",
            "kubernetes-cluster",
            "--resource",
            "train",
            "--format",
            "exec-credential",
        ],
    );
    assert_eq!(exec.json()["kind"], "ExecCredential");
    mint(&vault, &["--resource-type", "kubernetes-cluster", "--resource", "no-such-cluster"])
        .fails(1, "UPSTREAM_REJECTED");
}

fn signed_url(token: &str) -> String {
    use base64::Engine as _;
    let encoded = token.strip_prefix("k8s-aws-v1.").unwrap_or_else(|| panic!("{token}"));
    String::from_utf8(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

fn signature_in(url: &str) -> String {
    url.split("X-Amz-Signature=").nth(1).unwrap().split('&').next().unwrap().to_owned()
}

/// SigV4 of a presigned GET, from its definition.
fn recomputed(url: &str, secret: &str, cluster: &str) -> String {
    let (head, query) = url.split_once('?').unwrap();
    let host = head.trim_start_matches("https://").trim_end_matches('/');
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    pairs.sort_unstable();
    let value = |name: &str| pairs.iter().find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap().to_owned();
    assert_eq!(value("X-Amz-SignedHeaders"), "host%3Bx-k8s-aws-id");
    let empty = hex::encode(Sha256::digest(b""));
    let canonical =
        format!("GET\n/\n{}\nhost:{host}\nx-k8s-aws-id:{cluster}\n\nhost;x-k8s-aws-id\n{empty}", pairs.join("&"));
    let date = value("X-Amz-Date");
    let day = &date[..8];
    let scope = format!("{day}/us-east-1/sts/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, "us-east-1", "sts", "aws4_request", &text] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    hex::encode(key)
}

#[test]
fn a_registry_login_that_ended_long_ago_is_not_handed_out() {
    let moto = Moto::shared();
    let endpoint = with_an_old_login(moto.endpoint());
    let vault = breadth(&endpoint, &moto, "iam-role", &moto.broker, &[]);
    let said = mint(&vault, &["--resource-type", "docker-registry"]);
    assert!(said.code != 0 && said.stderr.contains("UPSTREAM_BAD_ANSWER"), "{said}");
}

#[test]
fn a_registry_login_is_handed_out_for_docker() {
    let moto = Moto::shared();
    let vault = breadth(moto.endpoint(), &moto, "iam-role", &moto.broker, &[]);
    let host = format!("{}.dkr.ecr.us-east-1.amazonaws.com", moto::ACCOUNT);
    let repository = format!("{host}/team/model");
    let ask = ["--resource-type", "docker-registry", "--resource", repository.as_str()];
    let said = mint(&vault, &ask).json();
    assert_eq!((&said["shape"], &said["basic_login"]["username"]), (&json!("basic_login"), &json!("AWS")), "{said}");
    assert_eq!(said["basic_login"]["endpoint"], json!(format!("https://{host}")));
    assert!(said["enforced_scope"].as_str().unwrap().starts_with(&repository), "{said}");
    let config =
        vault.cli("bob", &[&["mint", "--connector", "breadth", "--format", "docker-config"], &ask[..]].concat()).json();
    assert!(config["auths"].as_object().unwrap().keys().any(|name| name.contains(&host)), "{config}");
    vault
        .cli(
            "bob",
            &[
                "mint",
                "--connector",
                "breadth",
                "--resource-type",
                "docker-registry",
                "--resource",
                "111111111111.dkr.ecr.us-east-1.amazonaws.com",
                "-o",
                "json",
            ],
        )
        .fails(1, "resource_id");
}

/// moto behind a relay that ends every ECR login in 2015.
fn with_an_old_login(endpoint: &str) -> String {
    Evil::relaying(endpoint, |body| {
        let Some((head, tail)) = body.split_once("\"expiresAt\": ") else { return body.to_owned() };
        let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        format!("{head}\"expiresAt\": 1420070400{rest}")
    })
}

#[test]
fn an_unscoped_session_of_a_key_is_minted_and_said_to_be_so() {
    let moto = Moto::shared();
    for method in ["session-token", "secret-key"] {
        let vault = breadth(moto.endpoint(), &moto, method, &moto.broker, &["--access-max", "admin"]);
        let outcome = mint(&vault, &["--resource-type", "aws-generic", "--access", "admin"]);
        let said = outcome.json();
        assert_eq!((&said["downscope"], &said["passthrough"]), (&json!("none"), &json!(false)), "{said}");
        let key = minted(&outcome);
        assert!(key.id != moto.broker.id && key.secret != moto.broker.secret, "the stored key was handed out");
        mint(&vault, &["--resource-type", "aws-generic", "--access", "read"]).fails(1, "access");
        // What cannot be narrowed is not minted for one bucket.
        if method == "session-token" {
            mint(&vault, &["--resource-type", "s3-bucket", "--resource", "datasets"])
                .fails(1, "GetSessionToken cannot narrow");
        }
    }
}

#[test]
fn kubectl_and_docker_formats_fit_no_session() {
    let lab = Lab::linked();
    for format in ["exec-credential", "docker-config"] {
        let said = lab.vault.cli("bob", &["mint", "--component", "artifacts", "--format", format]);
        assert_eq!(said.code, 2, "{said}");
    }
    let env = lab.vault.cli("bob", &["mint", "--component", "artifacts", "--format", "env"]).ok();
    let mut shell = Command::new("sh");
    shell.env_clear().env("PATH", "/usr/bin:/bin").arg("-c").arg(format!("{}\nenv", env.stdout));
    let shown = crate::rig::vault::outcome(&mut shell, "").ok().stdout;
    assert!(shown.contains("AWS_SESSION_TOKEN=") && shown.contains("AWS_ACCESS_KEY_ID="), "{shown}");
}
