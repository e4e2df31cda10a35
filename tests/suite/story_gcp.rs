//! The main story on a strict Google, through the command line: a key file goes in from standard input, is verified and
//! shown to nobody; what an unmodified google-cloud-storage can do with a minted token, and what it is refused.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::cache;
use crate::rig::evil::Evil;
use crate::rig::google::{Google, PROJECT};
use crate::rig::vault::{Outcome, Setup, Vault, outcome};

/// A vault that reaches Google.
fn vault(google: &Google) -> Vault {
    Setup::new().reaching(&[google.endpoint()]).start()
}

/// With the connector `data`, of `broker`'s key, and its key file.
fn registered(google: &Google, more: &[&str]) -> (Vault, Value) {
    let (vault, key) = (vault(google), google.key("broker"));
    google.register(&vault, "data", "service-account", Some(("service_account_json", &key.to_string())), more).ok();
    (vault, key)
}

fn mint(vault: &Vault, more: &[&str]) -> Outcome {
    vault.cli("bob", &[&["mint", "--connector", "data", "-o", "json"], more].concat())
}

fn token_of(said: &Outcome) -> String {
    said.json()["bearer_token"]["token"].as_str().unwrap_or_else(|| panic!("no token in {said}")).to_owned()
}

const BUCKET: [&str; 2] = ["--resource-type", "gcs-bucket"];

#[test]
fn stock_google_clients_are_served_by_the_fake_and_refused_each_neighbour() {
    let google = Google::shared();
    let mut command = Command::new(cache::command("python"));
    command.env_clear().env("PATH", "/usr/bin:/bin").arg(cache::client_program("google_fake/proof.py"));
    assert_eq!(outcome(command.arg(google.endpoint()), "").ok().stdout, "ok\n");
}

#[test]
fn a_key_file_from_stdin_is_verified_and_shown_to_nobody() {
    let google = Google::shared();
    let bucket = google.new_bucket(&["a"]);
    let (vault, key) = registered(&google, &[]);
    let shown = vault.cli("alice", &["connector", "describe", "data", "-o", "json"]).json();
    assert_eq!(shown["verification"]["state"], "verified", "{shown}");
    assert_eq!(shown["verification"]["identity"], json!(Google::email("broker")), "{shown}");
    assert_eq!(shown["secret_fields_set"], json!(["service_account_json"]));
    let reach = vault.cli("alice", &["connector", "list-resources", "data", "-o", "json"]).json();
    let ids = |kind: &str| {
        let found = reach.as_array().unwrap().iter().find(|one| one["resource_type"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {reach}"))["resource_ids"].clone()
    };
    assert_eq!(ids("gcp-generic"), json!([PROJECT]));
    assert!(ids("gcs-bucket").as_array().unwrap().contains(&json!(format!("gs://{bucket}"))), "{reach}");
    assert_eq!(ids("kubernetes-cluster"), json!(["europe-west4/train", "us-central1-a/serve"]));
    let registries = [
        "eu.gcr.io/ml-prod-123456",
        "europe-west4-docker.pkg.dev/ml-prod-123456/base",
        "europe-west4-docker.pkg.dev/ml-prod-123456/models",
        "us-central1-docker.pkg.dev/ml-prod-123456/models",
    ];
    assert_eq!(ids("docker-registry"), json!(registries), "page after page, location after location, no wheels");
    let pem = key["private_key"].as_str().unwrap();
    let line = pem.lines().nth(3).unwrap();
    for who in ["owner", "alice", "bob", "carol"] {
        for arguments in [["connector", "describe", "data", "-ojson"], ["connector", "list", "-o", "yaml"]] {
            let said = vault.cli(who, &arguments).ok().all();
            assert!(!said.contains(line) && !said.contains("ya29."), "{who}: {said}");
        }
    }
    let ledger = vault.ledger().iter().map(Value::to_string).collect::<String>();
    for place in [vault.logs(), ledger] {
        assert!(!place.contains(line) && !place.contains("ya29."), "{place}");
    }
}

#[test]
fn a_minted_token_reads_its_prefix_and_is_refused_the_rest() {
    let google = Google::shared();
    let objects = ["train/a.txt", "train/deep/b.txt", "train2/x.txt", "train", "test/c.txt"];
    let (bucket, neighbour) = (google.new_bucket(&objects), google.new_bucket(&objects));
    let (vault, _) = registered(&google, &["--resource-type", "gcs-bucket"]);
    let said = mint(&vault, &["--resource", &format!("gs://{bucket}/train/")]);
    let credential = said.json();
    assert_eq!((&credential["shape"], &credential["downscope"]), (&json!("bearer_token"), &json!("prefix")), "{said}");
    assert_eq!(credential["resource_id"], json!(format!("gs://{bucket}/train")));
    assert!(credential["enforced_scope"].as_str().unwrap().contains("roles/storage.objectViewer"), "{said}");
    assert_eq!(
        (&credential["attribution"], &credential["passthrough"]),
        (&json!(Google::email("broker")), &json!(false))
    );
    let token = token_of(&said);
    assert_eq!(google.token(&token)["bounded"], true);
    let storage = google.storage(&token);
    assert_eq!(storage.expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt");
    assert_eq!(storage.expect(&["get-object", &bucket, "train"]), "train");
    assert_eq!(storage.expect(&["list-objects", &bucket, "train/"]), json!(["train/a.txt", "train/deep/b.txt"]));
    for refused in [
        &["get-object", &bucket, "train2/x.txt"][..],
        &["get-object", &bucket, "test/c.txt"],
        &["get-object", &neighbour, "train/a.txt"],
        &["list-objects", &bucket, "train"],
        &["list-objects", &bucket, "train2/"],
        &["list-objects", &bucket, ""],
        &["list-objects", &neighbour, "train/"],
        &["put-object", &bucket, "train/new.txt", "x"],
        &["put-object", &bucket, "train/a.txt", "x"],
        &["delete-object", &bucket, "train/a.txt"],
        &["object-policy", &bucket, "train/a.txt"],
        &["list-buckets"],
    ] {
        assert_eq!(storage.refused(refused), 403, "{refused:?}");
    }
    google.ask("token", &json!({"token": token, "left": -1}));
    assert_eq!(storage.refused(&["get-object", &bucket, "train/a.txt"]), 401);
}

#[test]
fn each_level_can_do_what_it_says_and_no_more() {
    let google = Google::shared();
    let bucket = google.new_bucket(&["out/a.txt", "in/b.txt"]);
    let (vault, _) = registered(&google, &["--resource-type", "gcs-bucket", "--access-max", "admin"]);
    let whole = format!("gs://{bucket}");
    let prefix = format!("{whole}/out");
    let write = token_of(&mint(&vault, &["--resource", &prefix, "--access", "write"]));
    let storage = google.storage(&write);
    storage.expect(&["put-object", &bucket, "out/r.txt", "done"]);
    storage.expect(&["put-object", &bucket, "out/r.txt", "again"]);
    assert_eq!(storage.expect(&["get-object", &bucket, "out/r.txt"]), "again");
    storage.expect(&["delete-object", &bucket, "out/r.txt"]);
    for refused in [["put-object", &bucket, "in/r.txt", "x"], ["put-object", &bucket, "out2", "x"]] {
        assert_eq!(storage.refused(&refused), 403, "{refused:?}");
    }
    assert_eq!(storage.refused(&["object-policy", &bucket, "out/a.txt"]), 403);
    let said = mint(&vault, &["--resource", &whole, "--access", "admin"]);
    assert_eq!(said.json()["downscope"], "resource");
    let admin = token_of(&said);
    assert_eq!(google.storage(&admin).expect(&["object-policy", &bucket, "in/b.txt"]), "storage#policy");
    assert_eq!(google.storage(&admin).refused(&["list-buckets"]), 403);
}

#[test]
fn stock_clients_find_the_token_in_the_shells_environment() {
    let google = Google::shared();
    let bucket = google.new_bucket(&["train/a.txt"]);
    let (vault, _) = registered(&google, &BUCKET);
    let resource = format!("gs://{bucket}/train");
    let env = vault.cli("bob", &["mint", "--connector", "data", "--resource", &resource, "--format", "env"]).ok();
    let mut shell = Command::new("sh");
    shell.env_clear().env("PATH", "/usr/bin:/bin").arg("-c");
    shell.arg(format!("{}\nenv; exec \"$0\" \"$@\"", env.stdout)).arg(cache::command("python"));
    shell.arg(cache::client_program("gcs.py")).args([google.endpoint(), "get-object", &bucket, "train/a.txt"]);
    let shown = outcome(&mut shell, "").ok().stdout;
    assert!(shown.contains("\"value\": \"train/a.txt\""), "{shown}");
    assert!(shown.contains("CLOUDSDK_AUTH_ACCESS_TOKEN=ya29.") && shown.contains("MINTED_BEARER_TOKEN="), "{shown}");
}

#[test]
fn a_clusters_token_comes_with_its_address_and_authority() {
    let google = Google::shared();
    let (vault, _) = registered(&google, &["--set", "location=europe-west4"]);
    let said = mint(&vault, &["--resource-type", "kubernetes-cluster", "--resource", "train"]);
    let credential = said.json();
    assert_eq!(credential["resource_id"], "europe-west4/train", "{said}");
    assert_eq!(
        (&credential["bearer_token"]["endpoint"], &credential["downscope"]),
        (&json!("https://34.90.1.2"), &json!("none"))
    );
    assert_eq!(credential["bearer_token"]["certificate_authority"], json!(google.authority()));
    let known = google.token(&token_of(&said));
    assert!(known["scopes"].to_string().contains("userinfo.email"), "clusters know an account by its e-mail: {known}");
    let ask = ["mint", "--connector", "data", "--resource-type", "kubernetes-cluster", "--resource", "train"];
    let exec = vault.cli("bob", &[&ask[..], &["--format", "exec-credential"]].concat()).json();
    assert!(exec["status"]["token"].as_str().unwrap().starts_with("ya29."), "{exec}");
    mint(&vault, &["--resource-type", "kubernetes-cluster", "--resource", "us-central1-a/train"])
        .fails(1, "UPSTREAM_REJECTED");
}

#[test]
fn a_registry_login_is_for_docker_and_reads_by_its_scope() {
    let google = Google::shared();
    let (vault, _) = registered(&google, &["--access-max", "write"]);
    let registry = "europe-west4-docker.pkg.dev/ml-prod-123456/models";
    let ask = ["--resource-type", "docker-registry", "--resource", registry];
    let credential = mint(&vault, &ask).json();
    assert_eq!(credential["basic_login"]["username"], "oauth2accesstoken", "{credential}");
    assert_eq!(credential["basic_login"]["endpoint"], "https://europe-west4-docker.pkg.dev");
    assert_eq!(credential["downscope"], "none");
    let read = google.token(credential["basic_login"]["password"].as_str().unwrap());
    assert_eq!(read["scopes"], json!(["https://www.googleapis.com/auth/devstorage.read_only"]));
    let credential = mint(&vault, &[&ask[..], &["--access", "write"]].concat()).json();
    let write = google.token(credential["basic_login"]["password"].as_str().unwrap());
    assert_eq!(write["scopes"], json!(["https://www.googleapis.com/auth/devstorage.read_write"]));
    let docker = ["mint", "--connector", "data", "--resource-type", "docker-registry", "--format", "docker-config"];
    let config = vault.cli("bob", &[&docker[..], &["--resource", "eu.gcr.io/ml-prod-123456"]].concat()).json();
    assert!(config["auths"]["eu.gcr.io"]["auth"].is_string(), "{config}");
    mint(&vault, &["--resource-type", "docker-registry", "--resource", "gcr.io/somebody-elses"])
        .fails(1, "resource_id");
}

#[test]
fn a_hostile_key_file_is_refused_by_the_name_of_its_key_and_never_repeated() {
    let google = Google::shared();
    let (vault, key) = (vault(&google), google.key("broker"));
    let changed = |name: &str, value: Value| {
        let mut file = key.clone();
        file[name] = value;
        file.to_string()
    };
    let ec = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (file, said) in [
        (changed("token_uri", json!("https://evil-canary.example.com/token")), "`token_uri`"),
        (changed("token_uri", json!("http://169.254.169.254/canary")), "`token_uri`"),
        (changed("type", json!("canary")), "`type`"),
        (changed("executable", json!({"command": "canary"})), "`executable`"),
        (changed("credential_source", json!({"url": "http://canary"})), "`credential_source`"),
        (changed("service_account_impersonation_url", json!("http://canary")), "`service_account_impersonation_url`"),
        (changed("universe_domain", json!("canary.example.com")), "`universe_domain`"),
        (changed("client_email", json!("../canary@x")), "`client_email`"),
        (changed("private_key_id", json!("../canary")), "`private_key_id`"),
        (changed("private_key", json!("canary")), "`private_key`"),
        (changed("private_key", json!(ec)), "`private_key`"),
        (changed("private_key", json!(["canary"])), "JSON file"),
        ("canary".to_owned(), "JSON file"),
        ("\"canary\"".to_owned(), "JSON file"),
        (changed("client_id", json!("canary".repeat(4000))), "at most 16384 bytes"),
    ] {
        let refused = google
            .register(&vault, "bad", "service-account", Some(("service_account_json", &file)), &[])
            .fails(1, "secrets.service_account_json");
        assert!(refused.stderr.contains(said) && !refused.all().contains("canary"), "{said}: {refused}");
    }
}

#[test]
fn hostile_answers_of_google_are_bounded_and_repeat_nothing() {
    let google = Google::shared();
    let key = google.key("broker").to_string();
    let secret = "hunter2-in-a-body";
    let token = |life: &str| format!(r#"{{"access_token":"{secret}","token_type":"Bearer","expires_in":{life}}}"#);
    for (status, body, after, code) in [
        (200, token("31536000"), Duration::ZERO, "UPSTREAM_BAD_ANSWER"),
        (200, token("-5"), Duration::ZERO, "UPSTREAM_BAD_ANSWER"),
        (200, format!(r#"{{"access_token":"{secret}"}}"#), Duration::ZERO, "UPSTREAM_BAD_ANSWER"),
        (200, format!("<html>{secret}</html>"), Duration::ZERO, "UPSTREAM_BAD_ANSWER"),
        (200, secret.repeat(100_000), Duration::ZERO, "UPSTREAM_BAD_ANSWER"),
        (302, secret.to_owned(), Duration::ZERO, "UPSTREAM_BAD_ANSWER"),
        (
            400,
            format!(r#"{{"error":"invalid_grant","error_description":"{secret}"}}"#),
            Duration::ZERO,
            "SOURCE_CREDENTIAL_REFUSED",
        ),
        (400, format!(r#"{{"error":"{secret} {secret}"}}"#), Duration::ZERO, "UPSTREAM_REJECTED"),
        (503, secret.to_owned(), Duration::ZERO, "UPSTREAM_UNAVAILABLE"),
        (200, token("3599"), Duration::from_secs(4), "UPSTREAM_DEADLINE_EXCEEDED"),
    ] {
        let evil = Evil::answering(status, &body, after);
        let setup = Setup::new().reaching(&[evil.endpoint()]);
        // Only what is late is to be late, however busy the machine.
        let setup = if after.is_zero() { setup } else { setup.with("outbound", "call_timeout = \"1s\"") };
        let vault = setup.start();
        let (project, endpoint) = (format!("project_id={PROJECT}"), format!("endpoint_url={}", evil.endpoint()));
        let ask = [
            "connector",
            "register",
            "x",
            "--type",
            "gcp",
            "--method",
            "service-account",
            "--set",
            &project,
            "--set",
            &endpoint,
            "--secret",
            "service_account_json=-",
        ];
        let said = vault.cli_with("alice", &ask, &key);
        assert!(said.code != 0 && said.stderr.contains(code), "{status} {code}: {said}");
        assert!(!said.all().contains(secret) && !vault.logs().contains(secret), "{said}");
    }
}
