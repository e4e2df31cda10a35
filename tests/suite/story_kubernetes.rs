//! Kubernetes end to end: a strict API server over TLS, the real daemon and command line, kubectl and the Python client
//! as they come. For each thing that works, its refused neighbour.
//!
//! The stories named `real_...` hold against a real API server too: `tests/kubernetes_real.sh` runs them there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::kube::{self, Kube};
use crate::rig::process::eventually;
use crate::rig::vault::{BINARY, Outcome, Setup, Vault};

const ACCOUNTS: &str = r#"service_accounts={"read":"ml/reader","write":"ml/writer"}"#;

/// A vault beside an API server.
struct Story {
    vault: Vault,
    kube: Kube,
}

impl Story {
    fn new() -> Self {
        Self::with(Kube::start())
    }

    fn with(kube: Kube) -> Self {
        let vault = Setup::new().reaching(&[kube.url()]).start();
        Self { vault, kube }
    }

    /// With the connector `train` of the token.
    fn registered(more: &[&str]) -> Self {
        let story = Self::new();
        story.register("train", "token", &json!({"token": kube::TOKEN}), more).ok();
        story
    }

    fn register(&self, name: &str, method: &str, secrets: &Value, more: &[&str]) -> Outcome {
        let authority = format!("certificate_authority={}", self.kube.text("ca.pem"));
        self.register_trusting(name, method, secrets, &[&["--set", &authority], more].concat())
    }

    fn register_trusting(&self, name: &str, method: &str, secrets: &Value, more: &[&str]) -> Outcome {
        let server = format!("server={}", self.kube.url());
        let mut arguments = vec!["connector", "register", name, "--type", "kubernetes", "--method", method];
        arguments.extend_from_slice(&["--resource-type", "kubernetes-cluster", "--secrets", "-", "-o", "json"]);
        arguments.extend_from_slice(&["--set", &server, "--set", "cluster_name=train", "--set", ACCOUNTS]);
        arguments.extend_from_slice(more);
        self.vault.cli_with("alice", &arguments, &secrets.to_string())
    }

    fn mint(&self, more: &[&str]) -> Outcome {
        self.vault.cli("bob", &[&["mint", "--connector", "train", "-o", "json"], more].concat())
    }

    fn token(&self, more: &[&str]) -> String {
        token_of(&self.mint(more).json())
    }

    /// A kubeconfig as `--format kubeconfig` writes it.
    fn kubeconfig(&self, more: &[&str]) -> PathBuf {
        let written =
            self.vault.cli("bob", &[&["mint", "--connector", "train", "--format", "kubeconfig"], more].concat()).ok();
        self.kube.keep("minted.yaml", &written.stdout)
    }

    /// What the Python client gets to see, or why not.
    fn pods(&self, token: &str) -> Value {
        self.kube.python(&self.kube.with_token(token), &["pods", "ml"])
    }

    /// A name for a pod that nobody else uses: a real server is there for all stories.
    fn pod(&self, name: &str) -> String {
        format!("{name}-{}", self.vault.port())
    }
}

#[track_caller]
fn sees_pods(answer: &Value) {
    assert!(answer.as_array().is_some_and(|pods| pods.contains(&json!("train-0"))), "{answer}");
}

fn token_of(minted: &Value) -> String {
    minted["bearer_token"]["token"].as_str().unwrap_or_else(|| panic!("no token in {minted}")).to_owned()
}

#[test]
fn real_a_minted_kubeconfig_does_what_its_account_may_and_no_more() {
    let story = Story::registered(&[]);
    let (kube, reading, pod) = (&story.kube, story.kubeconfig(&[]), story.pod("minted"));
    let listed = kube.kubectl(&reading, &["get", "pods", "-n", "ml", "-o", "name"]).ok();
    assert!(listed.stdout.contains("pod/train-0\n"), "{listed}");
    sees_pods(&kube.python(&reading, &["pods", "ml"]));
    kube.kubectl(&reading, &["get", "pods", "-n", "serve"]).fails(1, "Forbidden");
    kube.kubectl(&reading, &["get", "secrets", "-n", "ml"]).fails(1, "Forbidden");
    assert_eq!(kube.python(&reading, &["run", "ml", &pod]), json!({"refused": 403}));
    let writing = story.kubeconfig(&["--access", "write"]);
    assert_eq!(kube.python(&writing, &["run", "ml", &pod]), json!(pod));
    assert_eq!(kube.python(&writing, &["run", "serve", &pod]), json!({"refused": 403}));
}

#[test]
fn the_source_credential_asks_for_tokens_and_for_nothing_that_they_are_for() {
    let story = Story::registered(&[]);
    sees_pods(&story.kube.python(&story.kubeconfig(&[]), &["pods", "ml"]));
    let log = story.kube.log();
    assert!(log.iter().any(|line| line[0] == "system:serviceaccount:ml:reader"));
    assert!(!log.iter().any(|line| line[0] == "valetkey" && line[2].as_str().unwrap().contains("/pods")));
}

#[test]
fn the_reply_says_what_is_enforced_and_when_it_ends() {
    let story = Story::registered(&[]);
    let said = story.mint(&["--ttl", "20m"]).json();
    assert_eq!(
        (&said["shape"], &said["downscope"], &said["revocable"]),
        (&json!("bearer_token"), &json!("resource"), &json!("no"))
    );
    assert!(said["enforced_scope"].as_str().unwrap().contains("as system:serviceaccount:ml:reader"), "{said}");
    assert!(said["attribution"].as_str().unwrap().contains("credential-id JTI="), "{said}");
    assert_eq!(said["bearer_token"]["endpoint"], story.kube.url());
    assert_eq!(said["bearer_token"]["certificate_authority"], story.kube.text("ca.pem"));
    let end: jiff::Timestamp = said["expires_at"].as_str().unwrap().parse().unwrap();
    let left = end.as_second() - jiff::Timestamp::now().as_second();
    assert!((1100..=1201).contains(&left), "{left} s are left");
    // The server's own maximum is two hours, whatever is asked for: its answer is believed.
    let long = story.mint(&["--ttl", "10h"]).json();
    let end: jiff::Timestamp = long["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(end.as_second() - jiff::Timestamp::now().as_second() <= 7201, "{long}");
    story.mint(&["--ttl", "5m"]).fails(1, "600 s");
}

#[test]
fn certificates_passwords_and_no_others_are_let_in() {
    let story = Story::new();
    let pair = |name: &str| {
        let text = |end: &str| story.kube.text(&format!("{name}.{end}"));
        json!({"client_certificate": text("pem"), "client_key": text("key")})
    };
    let by_certificate = story.register("train", "token", &pair("client"), &[]).json();
    assert!(
        by_certificate["verification"]["identity"].as_str().unwrap().starts_with("valetkey at"),
        "{by_certificate}"
    );
    sees_pods(&story.kube.python(&story.kubeconfig(&[]), &["pods", "ml"]));
    story.register("foreign", "token", &pair("foreign"), &[]).fails(5, "UPSTREAM_UNAVAILABLE");
    let login = json!({"username": "valetkey", "password": kube::PASSWORD});
    story.register("login", "password", &login, &[]).ok();
    assert!(
        story.vault.cli("bob", &["mint", "--connector", "login", "--format", "kubeconfig"]).ok().stdout.contains("ey")
    );
    let wrong = json!({"username": "valetkey", "password": "wrong-password"});
    let said = story.register("wrong", "password", &wrong, &[]).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    assert!(!said.all().contains("wrong-password"), "{said}");
    story.register("wrong", "token", &json!({"token": "no-such-token"}), &[]).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    let halves =
        json!({"client_certificate": story.kube.text("client.pem"), "client_key": story.kube.text("foreign.key")});
    story.register("wrong", "token", &halves, &[]).fails(1, "secrets.client_key");
}

#[test]
fn a_server_that_another_ca_signed_gets_no_credential() {
    let story = Story::new();
    let secrets = json!({"token": kube::TOKEN});
    let foreign = format!("certificate_authority={}", story.kube.text("foreign-ca.pem"));
    story.register_trusting("train", "token", &secrets, &["--set", &foreign]).fails(5, "not trusted");
    story.register_trusting("train", "token", &secrets, &[]).fails(5, "not trusted");
    assert!(!story.kube.log().iter().any(|line| line[0] == "valetkey"), "nothing was sent");
    let own = format!("certificate_authority=@{}", story.kube.file("ca.pem").display());
    story.register_trusting("own", "token", &secrets, &["--set", &own]).ok();
    let insecure = story.register_trusting("train", "token", &secrets, &["--set", "insecure=true"]).json();
    assert!(insecure["verification"]["identity"].as_str().unwrap().contains("INSECURE"), "{insecure}");
    assert!(insecure["warnings"][0].as_str().unwrap().starts_with("INSECURE: "), "{insecure}");
    let said = story.mint(&[]).json();
    assert!(said["enforced_scope"].as_str().unwrap().contains("NOT verified"), "{said}");
    // Verification is never turned off for whoever is handed the token.
    story.kube.kubectl(&story.kubeconfig(&[]), &["get", "pods", "-n", "ml"]).fails(1, "certificate");
}

#[test]
fn real_exec_credential_serves_kubectl_and_python() {
    let story = Story::registered(&[]);
    let user = |who: &str, access: &str| {
        let variables = [
            ("VALETKEY_ADDR", story.vault.address()),
            ("VALETKEY_CA_CERT", story.vault.ca().display().to_string()),
            ("VALETKEY_TOKEN_FILE", story.vault.token_file(who).display().to_string()),
        ];
        let env: Vec<Value> = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let args = ["mint", "--connector", "train", "--access", access, "--format", "exec-credential"];
        // kubectl 1.20 knows no v1 of it, and every later one still knows v1beta1.
        let version = "client.authentication.k8s.io/v1beta1";
        json!({"exec": {"apiVersion": version, "command": BINARY, "args": args, "env": env, "interactiveMode": "Never"}})
    };
    let (kube, pod) = (&story.kube, story.pod("exec"));
    let config = |who: &str, access: &str| kube.kubeconfig("exec.json", &user(who, access), &kube.authority());
    let reading = config("bob", "read");
    let listed = kube.kubectl(&reading, &["get", "pods", "-n", "ml", "-o", "name"]).ok();
    assert!(listed.stdout.contains("pod/train-0\n"), "{listed}");
    sees_pods(&kube.python(&reading, &["pods", "ml"]));
    assert_eq!(kube.python(&reading, &["run", "ml", &pod]), json!({"refused": 403}));
    kube.kubectl(&reading, &["get", "pods", "-n", "serve"]).fails(1, "Forbidden");
    assert_eq!(kube.python(&config("bob", "write"), &["run", "ml", &pod]), json!(pod));
    // Nobody without a role, and no level without an account.
    assert_ne!(kube.kubectl(&config("stranger", "read"), &["get", "pods", "-n", "ml"]).code, 0);
    assert_ne!(kube.kubectl(&config("bob", "admin"), &["get", "pods", "-n", "ml"]).code, 0);
    let minted = story.vault.cli("bob", &["mint", "--connector", "train", "--format", "exec-credential"]).json();
    let [told, real] = [&minted["status"]["expirationTimestamp"], &story.mint(&[]).json()["expires_at"]]
        .map(|text| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second());
    assert_eq!(real - told, 60, "kubectl asks again only when the end has passed");
}

#[test]
fn real_neighbours_of_what_was_granted_are_refused() {
    let story = Story::registered(&["--set", "audiences=https://vault.example"]);
    let kube = &story.kube;
    story.mint(&["--access", "admin"]).fails(1, "no service account is set for admin");
    story.mint(&["--resource", "serve/reader"]).fails(1, "another one");
    story.mint(&["--resource", "ml/reader", "--access", "write"]).fails(1, "another one");
    story.mint(&["--resource", "other"]).fails(1, "CLUSTER/NAMESPACE/SERVICE_ACCOUNT");
    story.mint(&["--param", "audience=https://evil.example"]).fails(1, "parameters.audience");
    assert_eq!(story.mint(&["--resource", "ml/reader"]).json()["resource_id"], "train/ml/reader");
    let named = story.token(&["--param", "audience=https://vault.example"]);
    assert_eq!(story.pods(&named), json!({"refused": 401}), "a token for others is none for the API server");
    let reader = json!({"authenticated": true, "user": "system:serviceaccount:ml:reader"});
    assert_eq!(kube.review(&named, &["https://vault.example"]), reader);
    assert_eq!(kube.review(&named, &["https://vault.example.evil"])["authenticated"], false);
    let token = story.token(&[]);
    sees_pods(&story.pods(&token));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let last = if signature.ends_with("AA") { "BB" } else { "AA" };
    let tampered = format!("{signed}.{}{last}", &signature[..signature.len() - 2]);
    assert_eq!(story.pods(&tampered), json!({"refused": 401}));
}

#[test]
fn an_ended_token_is_refused() {
    let story = Story::registered(&[]);
    let token = story.token(&["--ttl", "10m"]);
    story.kube.advance(500);
    sees_pods(&story.pods(&token));
    story.kube.advance(101);
    assert_eq!(story.pods(&token), json!({"refused": 401}));
}

#[test]
fn a_ceiling_and_a_binding_hold_to_the_account() {
    let story = Story::registered(&["--allow-resource", "train/ml/reader"]);
    story.mint(&[]).fails(3, "CEILING");
    story.mint(&["--resource", "ml/writer", "--access", "write"]).fails(3, "CEILING");
    story.mint(&["--resource", "ml/reader"]).ok();
}

#[test]
fn real_a_revoke_ends_a_bound_token_at_the_server() {
    let story = Story::registered(&["--set", "bind_to_secret=true"]);
    let (kube, one, two) = (&story.kube, story.mint(&[]).json(), story.mint(&["--access", "write"]).json());
    assert_eq!(one["revocable"], "single", "{one}");
    let issuance = one["issuance_id"].as_str().unwrap();
    let secrets = kube.secrets();
    assert!(secrets.as_array().unwrap().contains(&json!(format!("vk-{issuance}"))), "{secrets}");
    assert_eq!(kube.review(&token_of(&one), &[])["authenticated"], true);
    // Where the accounts are now does not matter.
    let moved = r#"service_accounts={"read":"serve/reader"}"#;
    story.vault.cli("alice", &["connector", "update", "train", "--set", moved, "--skip-verify"]).ok();
    let revoked = story.vault.cli("alice", &["issuance", "revoke", issuance, "-o", "json"]).json();
    assert!(revoked.to_string().contains("\"revoked\""), "{revoked}");
    // A real API server remembers for ten seconds whom it let in.
    let refused = || kube.review(&token_of(&one), &[])["authenticated"] == false;
    assert!(eventually(Duration::from_secs(20), refused), "the server still takes it");
    assert_eq!(story.pods(&token_of(&one)), json!({"refused": 401}));
    assert_eq!(kube.review(&token_of(&two), &[])["authenticated"], true, "the neighbour lives on");
    assert!(!kube.secrets().as_array().unwrap().contains(&json!(format!("vk-{issuance}"))));
}

#[test]
fn real_a_token_that_nothing_binds_is_withdrawn_and_said_to_live_on() {
    let story = Story::registered(&[]);
    let minted = story.mint(&[]).json();
    let revoked =
        story.vault.cli("alice", &["issuance", "revoke", minted["issuance_id"].as_str().unwrap(), "-o", "json"]);
    assert!(revoked.json().to_string().contains("the cloud honours it until"), "{revoked}");
    assert_eq!(story.kube.review(&token_of(&minted), &[])["authenticated"], true);
}

#[test]
fn real_verification_names_what_rbac_lacks() {
    let story = Story::registered(&[]);
    let weak = story.register("weak", "token", &json!({"token": kube::WEAK}), &["--set", "bind_to_secret=true"]);
    let said = weak.all();
    for missing in
        ["create serviceaccounts/token ml/reader", "create serviceaccounts/token ml/writer", "delete secrets ml"]
    {
        assert!(said.contains(missing), "{missing} is not named: {said}");
    }
    assert!(said.contains("--resource=serviceaccounts/token --resource-name=reader"), "{said}");
    let described = story.vault.cli("alice", &["connector", "describe", "train", "-o", "json"]).json();
    assert_eq!(
        described["verification"]["reach"][0]["resource_ids"],
        json!(["train", "train/ml/reader", "train/ml/writer"])
    );
}

#[test]
fn real_lists_go_over_pages() {
    let story = Story::registered(&[]);
    let listed = story.vault.cli("alice", &["connector", "list-resources", "train", "-o", "json"]).json();
    let ids = listed[0]["resource_ids"].as_array().unwrap();
    assert!(ids.len() >= 234, "{listed}");
    assert!(ids.contains(&json!("train/many/a229")) && ids.contains(&json!("train/serve/reader")));
}

#[test]
fn an_older_server_serves_too() {
    let story = Story::with(Kube::start_old());
    let registered =
        story.register("train", "token", &json!({"token": kube::TOKEN}), &["--set", "bind_to_secret=true"]).json();
    assert!(registered["verification"]["identity"].as_str().unwrap().contains("does not name"), "{registered}");
    story.register("wrong", "token", &json!({"token": "no-such-token"}), &[]).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    let minted = story.mint(&[]).json();
    assert!(minted["attribution"].as_str().unwrap().contains("Secret vk-"), "{minted}");
    sees_pods(&story.kube.python(&story.kubeconfig(&[]), &["pods", "ml"]));
}

#[test]
fn a_server_that_lies_gets_nothing_believed() {
    let story = Story::registered(&["--set", "audiences=https://vault.example", "--set", "bind_to_secret=true"]);
    for (lie, said) in [
        ("longer", "a longer life"),
        ("audience", "another audience"),
        ("account", "another service account"),
        ("unbound", "not bound"),
        ("echo", "no service account token"),
        ("html", "not the JSON"),
        ("redirect", "a redirect"),
        ("error", "cannot be reached or fails"),
    ] {
        story.kube.lie(lie);
        let refused = story.mint(&["--param", "audience=https://vault.example"]);
        assert!(refused.code != 0 && refused.stderr.contains(said), "{lie}: {refused}");
        assert!(!refused.all().contains("hunter2") && !refused.all().contains(kube::TOKEN), "{refused}");
    }
    assert_eq!(story.kube.secrets(), json!([]), "what was made for refused tokens is gone");
    let logs = story.vault.logs();
    assert!(!logs.contains("hunter2") && !logs.contains(kube::TOKEN));
}

#[test]
fn the_source_credential_is_in_no_answer_log_or_file() {
    let story = Story::registered(&["--set", "bind_to_secret=true"]);
    let mut said = story.mint(&[]).all();
    for arguments in [&["connector", "describe", "train", "-o", "json"][..], &["audit", "list", "-o", "json"]] {
        said.push_str(&story.vault.cli("owner", arguments).all());
    }
    said.push_str(&story.vault.logs());
    assert!(!said.contains(kube::TOKEN) && !said.contains("canary-broker"));
    for name in ["valetkey.db", "valetkey.db-wal"] {
        let bytes = fs::read(story.vault.data().join(name)).unwrap_or_default();
        assert!(!bytes.windows(13).any(|window| window == b"canary-broker"), "{name} holds it");
    }
    let elsewhere = Setup::new().start();
    let more = Story { vault: elsewhere, kube: Kube::start() };
    more.register("train", "token", &json!({"token": kube::TOKEN}), &[]).fails(1, "allowed_endpoints");
}

#[test]
fn a_client_certificate_says_itself_when_it_ends_and_nobody_makes_it_last_longer() {
    let story = Story::new();
    let pair = |name: &str| {
        let text = |end: &str| story.kube.text(&format!("{name}.{end}"));
        json!({"client_certificate": text("pem"), "client_key": text("key")})
    };
    let end = |stored: &Value| -> jiff::Timestamp { stored["secret_expires_at"].as_str().unwrap().parse().unwrap() };
    let hours = |stored: &Value| (end(stored).as_second() - jiff::Timestamp::now().as_second() + 1800) / 3600;
    let stored = story.register("train", "token", &pair("client"), &[]).ok();
    assert!(!stored.stderr.contains("note:"), "{stored}");
    let own = end(&stored.json());
    assert_eq!(hours(&stored.json()), 24, "it lives for a day: {stored}");
    // A later end is cut to its own, and that is said; an earlier one counts.
    let longer = story.register("longer", "token", &pair("client"), &["--secret-expires-in", "30d"]).ok();
    assert!(longer.stderr.contains("the source credential itself says that it ends at"), "{longer}");
    assert_eq!(end(&longer.json()), own);
    let shorter = story.register("shorter", "token", &pair("client"), &["--secret-expires-in", "2h"]).ok();
    assert_eq!(hours(&shorter.json()), 2, "{shorter}");
    let updated =
        story.vault.cli("alice", &["connector", "update", "train", "--secret-expires-in", "30d", "-o", "json"]);
    assert_eq!(end(&updated.ok().json()), own);
    // The neighbours: one that has expired, and none at all.
    let said = story.register("late", "token", &pair("expired"), &["--skip-verify"]);
    said.fails(1, "secrets.client_certificate");
    let garbage = json!({"client_certificate": "hunter2", "client_key": story.kube.text("client.key")});
    let said = story.register("garbage", "token", &garbage, &["--skip-verify"]).fails(1, "secrets.client_certificate");
    assert!(!said.all().contains("hunter2"), "{said}");
    // A tolerance moves the end; what is left decides on what may be minted.
    let tolerant = ["connector", "update", "train", "--secret-skew-tolerance", "23h55m", "-o", "json"];
    let tolerant = story.vault.cli("alice", &tolerant).ok().json();
    assert_eq!((&tolerant["secret_skew_tolerance_seconds"], end(&tolerant)), (&json!(86_100), own));
    story.mint(&[]).fails(1, "s are allowed");
    story.vault.cli("alice", &["connector", "update", "train", "--secret-skew-tolerance", "25h"]).fails(1, "a day");
    story
        .vault
        .cli("alice", &["connector", "update", "train", "--secret-skew-tolerance", "24h"])
        .fails(1, "leaves nothing");
    story.vault.cli("alice", &["connector", "update", "train", "--secret-skew-tolerance", "0s"]).ok();
    story.mint(&[]).ok();
    let list = story.vault.cli("alice", &["connector", "list"]).ok();
    assert!(list.stdout.contains("ends in "), "{list}");
}

/// Registers a kubeconfig with this user and cluster.
fn import(story: &Story, name: &str, user: &Value, cluster: &Value, more: &[&str]) -> Outcome {
    let path = story.kube.kubeconfig(&format!("{name}.json"), user, cluster);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let path = path.display().to_string();
    let arguments = ["connector", "register", name, "--kubeconfig", &path, "--set", ACCOUNTS, "-o", "json"];
    story.vault.cli("alice", &[&arguments, more].concat())
}

#[test]
fn real_a_kubeconfig_registers_and_what_is_dangerous_in_it_is_asked_for_by_name() {
    use base64::Engine as _;
    let story = Story::new();
    let data = |name: &str| base64::engine::general_purpose::STANDARD.encode(story.kube.text(name));
    let inline = json!({"certificate-authority-data": data("ca.pem")});
    let certificate = json!({"client-certificate-data": data("client.pem"), "client-key-data": data("client.key")});
    let token = json!({"token": kube::TOKEN});
    let made = import(&story, "train", &token, &inline, &[]).json();
    assert_eq!((&made["connector_type"], &made["auth_method"]), (&json!("kubernetes"), &json!("token")), "{made}");
    sees_pods(&story.kube.python(&story.kubeconfig(&[]), &["pods", "ml"]));
    import(&story, "certificate", &certificate, &inline, &[]).ok();
    let program = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/touch", "args": ["/nowhere"]}});
    import(&story, "exec", &program, &inline, &["--allow-files", "--allow-insecure"]).fails(2, "exec is not taken");
    import(&story, "provider", &json!({"auth-provider": {"name": "gcp"}}), &inline, &[])
        .fails(2, "auth-provider is not taken");
    import(&story, "files", &token, &story.kube.authority(), &[]).fails(2, "--allow-files");
    import(&story, "files", &token, &story.kube.authority(), &["--allow-files"]).ok();
    let blind = json!({"insecure-skip-tls-verify": true});
    import(&story, "blind", &token, &blind, &[]).fails(2, "--allow-insecure");
    let made = import(&story, "blind", &token, &blind, &["--allow-insecure"]).json();
    assert!(made["verification"]["identity"].as_str().unwrap().contains("INSECURE"), "{made}");
}

#[test]
fn a_login_in_a_kubeconfig_registers_too() {
    let story = Story::new();
    let login = json!({"username": "valetkey", "password": kube::PASSWORD});
    let made = import(&story, "train", &login, &story.kube.authority(), &["--allow-files"]).json();
    assert_eq!(made["auth_method"], "password", "{made}");
    sees_pods(&story.kube.python(&story.kubeconfig(&[]), &["pods", "ml"]));
}

#[test]
fn f8_the_kubeconfig_of_the_machine_is_offered_and_registers() {
    use base64::Engine as _;
    let story = Story::new();
    let authority = base64::engine::general_purpose::STANDARD.encode(story.kube.text("ca.pem"));
    let inline = json!({"certificate-authority-data": authority});
    let placed = |user: &Value| {
        let path = story.kube.kubeconfig("found.json", user, &inline);
        fs::create_dir_all(story.vault.beside(".kube")).unwrap();
        fs::copy(path, story.vault.beside(".kube/config")).unwrap();
    };
    let auto = |more: &[&str]| {
        let arguments = ["connector", "register", "train", "--auto-configure", "--type", "kubernetes", "-o", "json"];
        story.vault.cli("alice", &[&arguments[..], more].concat())
    };
    placed(&json!({"token": "canary-of-nobody"}));
    let missing = auto(&["--yes"]).fails(2, "missing settings: service_accounts");
    assert!(missing.stderr.contains("--set 'service_accounts={"), "{missing}");
    let wrong = auto(&["--yes", "--set", ACCOUNTS]).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    assert!(!wrong.all().contains("canary-of-nobody"), "{wrong}");
    placed(&json!({"token": kube::TOKEN}));
    let unasked = auto(&["--set", ACCOUNTS]).fails(2, "give --yes");
    assert!(unasked.stderr.contains("found kubeconfig:train"), "{unasked}");
    let made = auto(&["--yes", "--set", ACCOUNTS]);
    assert_eq!(made.json()["verification"]["state"], "verified", "{made}");
    assert!(!made.all().contains(kube::TOKEN), "{made}");
    sees_pods(&story.kube.python(&story.kubeconfig(&[]), &["pods", "ml"]));
}
