//! The other ways to authenticate to Google: impersonation and its delegates, a person's login, federation, handed-in
//! tokens, the daemon's own machine; and what a weak identity is told.

use serde_json::json;

use crate::rig::google::{Google, PROJECT};
use crate::rig::vault::{Outcome, Setup, Vault};

fn vault(google: &Google) -> Vault {
    Setup::new().reaching(&[google.endpoint()]).start()
}

fn mint(vault: &Vault, name: &str, more: &[&str]) -> Outcome {
    vault.cli("bob", &[&["mint", "--connector", name, "-o", "json"], more].concat())
}

fn token_of(said: &Outcome) -> String {
    said.json()["bearer_token"]["token"].as_str().unwrap_or_else(|| panic!("no token in {said}")).to_owned()
}

const GENERIC: [&str; 4] = ["--resource-type", "gcp-generic", "--access", "admin"];
const BUCKETS: [&str; 2] = ["--resource-type", "gcs-bucket"];
const ALL: [&str; 2] = ["--access-max", "admin"];

#[test]
fn an_impersonated_token_is_of_the_target_lives_as_asked_and_names_the_chain() {
    let google = Google::shared();
    let (vault, key) = (vault(&google), google.key("broker").to_string());
    let secret = Some(("service_account_json", key.as_str()));
    let (data, far) = (Google::email("ml-data"), Google::email("ml-far"));
    let (target, hub) = (format!("target_principal={data}"), format!("delegates={}", Google::email("hub")));
    let more = [&["--set", &target, "--set", "lifetime=7200"][..], &ALL].concat();
    google.register(&vault, "near", "impersonation", secret, &more).ok();
    let said = mint(&vault, "near", &[&GENERIC[..], &["--ttl", "10m"]].concat());
    assert_eq!(said.json()["attribution"], json!(format!("{data}, delegated by {}", Google::email("broker"))));
    let known = google.token(&token_of(&said));
    assert_eq!((&known["who"], &known["chain"]), (&json!(data), &json!([Google::email("broker")])));
    assert!(known["left"].as_u64().unwrap() <= 600, "{known}");
    let long = google.token(&token_of(&mint(&vault, "near", &[&GENERIC[..], &["--ttl", "2h"]].concat())));
    assert!((7000..=7200).contains(&long["left"].as_u64().unwrap()), "{long}");
    mint(&vault, "near", &[&GENERIC[..], &["--ttl", "60s"]].concat()).fails(1, "ttl_seconds");

    let target = format!("target_principal={far}");
    google.register(&vault, "direct", "impersonation", secret, &["--set", &target]).fails(1, "UPSTREAM_DENIED");
    let said = google.register(&vault, "direct", "impersonation", secret, &["--set", &target]);
    assert!(said.stderr.contains("iam.serviceAccounts.getAccessToken"), "{said}");
    assert!(!said.stderr.contains("secret-in-an-error-body"), "{said}");
    let more = [&["--set", &target, "--set", &hub][..], &ALL].concat();
    google.register(&vault, "far", "impersonation", secret, &more).ok();
    let said = mint(&vault, "far", &GENERIC);
    let through = format!("{far}, delegated by {}, {}", Google::email("hub"), Google::email("broker"));
    assert_eq!(said.json()["attribution"], json!(through));
    let scopes = &google.token(&token_of(&said))["scopes"];
    assert_eq!(scopes, &json!(["https://www.googleapis.com/auth/cloud-platform"]));
}

#[test]
fn a_bucket_is_bounded_under_every_method() {
    let google = Google::shared();
    let bucket = google.new_bucket(&["train/a.txt", "test/b.txt"]);
    let resource = format!("gs://{bucket}/train");
    let vault = vault(&google);
    let (key, user) = (google.key("broker").to_string(), google.user_file().to_string());
    let subject = format!("{}/fake/subject", google.endpoint());
    let (external, federated) =
        (google.external_file(&subject, None).to_string(), google.external_file(&subject, Some("ml-data")));
    let (federated, handed_in) = (federated.to_string(), google.access_token("broker"));
    let target = format!("target_principal={}", Google::email("ml-data"));
    for (name, method, secret, more) in [
        ("impersonation", "impersonation", ("service_account_json", &key), &["--set", target.as_str()][..]),
        ("user", "user-account", ("user_account_json", &user), &[]),
        ("external", "external-account", ("external_account_json", &external), &[]),
        ("federated", "external-account", ("external_account_json", &federated), &["--set", target.as_str()]),
        ("handed-in", "oauth2-token", ("token", &handed_in), &["--secret-expires-in", "50m"]),
    ] {
        let more = [&BUCKETS[..], more].concat();
        google.register(&vault, name, method, Some((secret.0, secret.1)), &more).ok();
        let said = mint(&vault, name, &["--resource", &resource]);
        assert_eq!(said.json()["downscope"], "prefix", "{name}: {said}");
        let token = token_of(&said);
        assert_ne!(token, handed_in, "{name}");
        let storage = google.storage(&token);
        assert_eq!(storage.expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt", "{name}");
        assert_eq!(storage.refused(&["get-object", &bucket, "test/b.txt"]), 403, "{name}");
        assert_eq!(storage.refused(&["put-object", &bucket, "train/a.txt", "x"]), 403, "{name}");
    }
    let shown = |name: &str| vault.cli("alice", &["connector", "describe", name, "-o", "json"]).json();
    assert_eq!(shown("user")["verification"]["identity"], "anna@example.com");
    assert!(shown("federated")["verification"]["identity"].as_str().unwrap().starts_with(&Google::email("ml-data")));
}

#[test]
fn a_federation_with_a_foreign_source_is_refused() {
    let google = Google::shared();
    let vault = vault(&google);
    let register = |file: &serde_json::Value| {
        google.register(&vault, "x", "external-account", Some(("external_account_json", &file.to_string())), &[])
    };
    let right = google.external_file(&format!("{}/fake/subject", google.endpoint()), None);
    for (source, said) in [
        (json!({"executable": {"command": "/bin/canary"}}), "executable"),
        (json!({"file": "/etc/canary"}), "file"),
        (json!({"environment_id": "aws1", "url": "http://169.254.169.254/canary"}), "environment_id"),
        (json!({"certificate": {"use_default_certificate_config": true}}), "certificate"),
        (json!({"url": "file:///etc/canary"}), "url"),
        (json!({"url": "http://user:canary@127.0.0.1/"}), "url"),
        (json!({"url": google.endpoint(), "executable": {"command": "/bin/canary"}}), "executable"),
    ] {
        let mut file = right.clone();
        file["credential_source"] = source;
        let refused = register(&file).fails(1, "secrets.external_account_json");
        assert!(refused.stderr.contains(&format!("credential_source.{said}")), "{refused}");
        assert!(!refused.all().contains("canary"), "{refused}");
    }
    for (key, value) in [
        ("token_url", "https://evil.example.com/v1/token"),
        ("service_account_impersonation_url", "https://evil.example.com/x@y.z:generateAccessToken"),
        ("audience", "//evil.example.com/x"),
    ] {
        let mut file = right.clone();
        file[key] = json!(value);
        register(&file).fails(1, key);
    }
    // Not named in allowed_endpoints, be it the cloud's own or another loopback port.
    for url in
        ["http://127.0.0.1:1/subject", "https://storage.googleapis.com/bucket/subject", "http://169.254.169.254/x"]
    {
        register(&google.external_file(url, None)).fails(1, "ADDRESS_REFUSED");
    }
    // A subject that the provider does not take.
    register(&google.external_file(&format!("{}/fake/facts", google.endpoint()), None)).fails(5, "UPSTREAM_BAD_ANSWER");
}

#[test]
fn without_an_issuer_of_our_own_there_is_no_federation_of_our_own() {
    let google = Google::shared();
    let vault = vault(&google);
    let facts = google.ask("facts", &json!({}));
    let audience = format!("audience={}", facts["provider"].as_str().unwrap());
    google.register(&vault, "own", "external-account", None, &["--set", &audience]).fails(1, "NOT_ENABLED");
    google.register(&vault, "none", "external-account", None, &[]).fails(1, "settings.audience");
}

#[test]
fn a_handed_in_token_leaves_only_where_that_is_allowed() {
    let google = Google::shared();
    let vault = vault(&google);
    let token = google.access_token("broker");
    let secret = Some(("token", token.as_str()));
    google.register(&vault, "no-end", "oauth2-token", secret, &[]).fails(1, "--secret-expires-in");
    let more = [&["--secret-expires-in", "20h"][..], &ALL].concat();
    google.register(&vault, "short", "oauth2-token", secret, &more).ok();
    let said = mint(&vault, "short", &GENERIC);
    assert_eq!((token_of(&said), &said.json()["passthrough"]), (token.clone(), &json!(false)));
    let end: jiff::Timestamp = said.json()["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(end.as_second() - jiff::Timestamp::now().as_second() <= 3600, "Google knows better when it ends: {said}");
    mint(&vault, "short", &["--resource-type", "gcp-generic"]).fails(1, "access");
    let cluster = ["--resource-type", "kubernetes-cluster", "--resource", "europe-west4/train"];
    mint(&vault, "short", &cluster).fails(1, "PASSTHROUGH_OFF");
    let long = [&["--secret-expires-in", "48h"][..], &ALL].concat();
    google.register(&vault, "long", "oauth2-token", secret, &long).ok();
    mint(&vault, "long", &GENERIC).fails(1, "PASSTHROUGH_OFF");
    google.ask("token", &json!({"token": token, "left": -1}));
    google.register(&vault, "ended", "oauth2-token", secret, &more).fails(1, "SOURCE_CREDENTIAL_REFUSED");
}

#[test]
fn the_machines_own_account_needs_the_config_to_name_it_and_its_server() {
    let google = Google::shared();
    let metadata = format!("metadata_url={}", google.endpoint());
    let register = |vault: &Vault, more: &[&str]| google.register(vault, "own", "implicit", None, more);
    let more = [&["--set", &metadata][..], &ALL].concat();
    register(&vault(&google), &more).fails(1, "NOT_ENABLED");
    let named =
        Setup::new().reaching(&[google.endpoint()]).with("outbound", "implicit_identities = [\"gcp:default\"]").start();
    register(&named, &more).ok();
    let said = mint(&named, "own", &GENERIC);
    assert_eq!(said.json()["attribution"], json!(Google::email("machine")), "{said}");
    assert_eq!(google.token(&token_of(&said))["who"], json!(Google::email("machine")));
    // Another account, and Google's own server, are not named.
    let other = format!("service_account={}", Google::email("machine"));
    let again = |more: &[&str]| google.register(&named, "other", "implicit", None, more);
    again(&["--set", &metadata, "--set", &other]).fails(1, "NOT_ENABLED");
    again(&[]).fails(1, "ADDRESS_REFUSED");
}

#[test]
fn a_weak_identity_is_told_which_permissions_are_missing() {
    let google = Google::shared();
    let (vault, key) = (vault(&google), google.key("weak").to_string());
    let said = google.register(&vault, "weak", "service-account", Some(("service_account_json", &key)), &[]).json();
    let reach = said["verification"]["reach"].as_array().unwrap();
    let missing: Vec<_> = reach.iter().map(|one| one["missing_permissions"].clone()).collect();
    let wanted = [
        json!([]),
        json!(["storage.buckets.list"]),
        json!(["container.clusters.list"]),
        json!(["artifactregistry.locations.list"]),
    ];
    assert_eq!(missing, wanted, "{said}");
    assert!(reach[1]["remedy"].as_str().unwrap().contains("storage.buckets.list"), "{said}");
    assert!(!said.to_string().contains("secret-in-an-error-body"), "{said}");
    assert_eq!(said["verification"]["identity"], json!(Google::email("weak")));
    assert_eq!(reach[0]["resource_ids"], json!([PROJECT]));
}
