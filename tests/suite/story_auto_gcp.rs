//! `connector register --auto-configure` on a machine with Google's application-default credentials, of each kind, and
//! against the strict Google: what is registered mints, nothing secret is shown, and what is hostile is not taken.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::rig::google::{Google, PROJECT};
use crate::rig::machine::{has, kept_nothing, register, tells_nothing};
use crate::rig::oidc::Authority;
use crate::rig::vault::{Outcome, Setup, Vault};
use crate::rig::{front, machine};

/// Where gcloud writes them.
const ADC: &str = ".config/gcloud/application_default_credentials.json";

/// A file, as what it is offered, and what in it is secret.
struct File {
    content: Value,
    method: &'static str,
    field: &'static str,
    identity: String,
    secrets: Vec<String>,
}

fn line_of(key: &Value) -> String {
    key["private_key"].as_str().unwrap().lines().nth(3).unwrap().to_owned()
}

fn files(google: &Google, subject: &str) -> Vec<File> {
    let (key, mut user) = (google.key("broker"), google.user_file());
    user["quota_project_id"] = json!(PROJECT);
    let text = |name: &str| user[name].as_str().unwrap().to_owned();
    let external = google.external_file(subject, Some("ml-data"));
    let acting = json!({
        "type": "impersonated_service_account", "quota_project_id": PROJECT, "source_credentials": key,
        "service_account_impersonation_url": external["service_account_impersonation_url"], "delegates": [],
    });
    let (broker, data) = (Google::email("broker"), Google::email("ml-data"));
    let file = |content: &Value, method, field, identity: &str, secrets: &[String]| File {
        content: content.clone(),
        method,
        field,
        identity: identity.to_owned(),
        secrets: secrets.to_vec(),
    };
    let private = [line_of(&key)];
    vec![
        file(&key, "service-account", "service_account_json", &broker, &private),
        file(&acting, "impersonation", "service_account_json", &data, &private),
        file(
            &user,
            "user-account",
            "user_account_json",
            "anna@example.com",
            &[text("client_secret"), text("refresh_token")],
        ),
        file(&external, "external-account", "external_account_json", &data, &["X-Caller".to_owned()]),
    ]
}

#[test]
fn each_kind_of_default_credentials_is_offered_without_its_secrets_and_what_is_registered_mints() {
    let google = Google::shared();
    let bucket = google.new_bucket(&["train/a.txt", "test/b.txt"]);
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::inside(folder.path());
    let tokens = front::of(google.endpoint(), &authority);
    let roots = format!("extra_roots = {:?}", authority.ca.display().to_string());
    let vault = Setup::new().reaching(&[google.endpoint(), &tokens]).with("outbound", roots).start();
    let (endpoint, project) = (format!("endpoint_url={}", google.endpoint()), format!("project_id={PROJECT}"));
    for file in files(&google, &format!("{tokens}/fake/subject")) {
        let File { content, method, field, identity, secrets } = &file;
        has(&vault, ADC, content.to_string());
        let settings = match *method {
            "external-account" => vec![endpoint.as_str(), project.as_str()],
            _ => vec![endpoint.as_str()],
        };
        let auto = |who, more: &[&str]| register(&vault, who, (method, "gcp"), &settings, more);
        let offered = auto("alice", &[]).fails(2, "give --yes");
        for shown in ["found gcp:adc", *method, *field] {
            assert!(offered.stderr.contains(shown), "{shown}: {offered}");
        }
        let scientists = auto("bob", &["--yes"]).fails(3, "GRANT_MISSING");
        vault.cli("alice", &["connector", "describe", method]).fails(4, "");
        let stored = auto("alice", &["--yes"]).ok();
        let said = stored.json();
        assert_eq!((&said["auth_method"], &said["settings"]["project_id"]), (&json!(method), &json!(PROJECT)));
        let verified = &said["verification"];
        assert_eq!(verified["state"], "verified", "{said}");
        assert!(verified["identity"].as_str().unwrap().starts_with(identity), "{said}");
        let described = vault.cli("alice", &["connector", "describe", method, "-o", "yaml"]).ok();
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).chain(["ya29."]).collect();
        tells_nothing(&vault, &[offered, scientists, stored, described], &secrets);
        mints(&google, &vault, method, &bucket);
    }
}

fn mints(google: &Google, vault: &Vault, connector: &str, bucket: &str) {
    let resource = format!("gs://{bucket}/train");
    let ask =
        ["mint", "--connector", connector, "--resource-type", "gcs-bucket", "--resource", &resource, "-o", "json"];
    let said = vault.cli("bob", &ask).json();
    assert_eq!(said["downscope"], "prefix", "{said}");
    let storage = google.storage(said["bearer_token"]["token"].as_str().unwrap());
    assert_eq!(storage.expect(&["get-object", bucket, "train/a.txt"]), "train/a.txt", "{connector}");
    assert_eq!(storage.refused(&["get-object", bucket, "test/b.txt"]), 403, "{connector}");
}

/// What the machine itself does not offer: it could only be read, asked for or run here.
fn of_this_machine(google: &Google) -> Vec<(Value, &'static str)> {
    let elsewhere = "which the server does not have";
    let external = google.external_file("https://canary.example/token", None);
    let sourced = |source: Value| {
        let mut file = external.clone();
        file["credential_source"] = source;
        file
    };
    let mut person = json!({"type": "impersonated_service_account", "source_credentials": google.user_file()});
    person["service_account_impersonation_url"] =
        json!(format!("https://x/serviceAccounts/{}:generateAccessToken", Google::email("ml-data")));
    let workforce = json!({"type": "external_account_authorized_user", "refresh_token": "canary"});
    vec![
        (sourced(json!({"executable": {"command": "/bin/canary", "timeout_millis": 5000}})), elsewhere),
        (sourced(json!({"file": "/run/canary"})), elsewhere),
        (sourced(json!({"environment_id": "aws1", "url": "https://canary.example"})), elsewhere),
        (sourced(json!({"certificate": {"use_default_certificate_config": true}})), elsewhere),
        (sourced(json!({"url": "http://169.254.169.254/canary"})), elsewhere),
        (sourced(json!({"url": "https://canary.example", "executable": {"command": "/bin/canary"}})), elsewhere),
        (person, "impersonates as a person"),
        (workforce, "ends with its session"),
        (json!({"type": "gdch_service_account", "private_key": "canary"}), "no type"),
        (json!(["canary"]), "no JSON object"),
    ]
}

/// What is offered, and what the server refuses to store.
fn refused_by_the_server(google: &Google) -> Vec<(Value, &'static str)> {
    let changed = |mut file: Value, field: &str, value: &str| {
        file[field] = json!(value);
        file
    };
    let external = || google.external_file("https://canary.example/token", None);
    let key = || google.key("broker");
    vec![
        (changed(key(), "token_uri", "https://canary.example/token"), "token_uri"),
        (changed(key(), "private_key", "canary"), "private_key"),
        (changed(key(), "client_email", "a\u{1b}[2Jcanary@x.iam.gserviceaccount.com"), "client_email"),
        (changed(external(), "token_url", "https://canary.example/v1/token"), "token_url"),
        (changed(google.user_file(), "token_uri", "https://canary.example/token"), "token_uri"),
        // Its source is nobody that the config allows to be asked.
        (external(), "ADDRESS_REFUSED"),
    ]
}

#[test]
fn a_hostile_file_is_not_taken_and_nothing_of_it_is_shown_run_or_asked_for() {
    let google = Google::shared();
    let vault = Setup::new().reaching(&[google.endpoint()]).start();
    let (endpoint, project) = (format!("endpoint_url={}", google.endpoint()), format!("project_id={PROJECT}"));
    let auto = || register(&vault, "alice", ("mine", "gcp"), &[&endpoint, &project], &["--yes"]);
    let mut said = Vec::new();
    for (file, why) in of_this_machine(&google) {
        has(&vault, ADC, file.to_string());
        let refused = auto().fails(1, "nothing that can be registered");
        assert!(refused.stderr.contains("not taken: ") && refused.stderr.contains(why), "{why}: {refused}");
        said.push(refused);
    }
    for (file, why) in refused_by_the_server(&google) {
        has(&vault, ADC, file.to_string());
        said.push(auto().fails(1, why));
    }
    said.extend(no_files(&vault, auto));
    kept_nothing(&vault, &said, &["canary", "ya29.", "PRIVATE KEY", "secret-in-an-error-body"]);
}

/// Names behind which there is no file that could be read, or too much of one.
fn no_files(vault: &Vault, auto: impl Fn() -> Outcome) -> Vec<Outcome> {
    let path = has(vault, ADC, "canary, and no JSON");
    let mut said = vec![auto().fails(1, "no JSON object")];
    fs::write(&path, b"\xff\xfe canary").unwrap();
    said.push(auto().fails(1, "is not UTF-8"));
    fs::write(&path, " ".repeat(300 * 1024)).unwrap();
    said.push(auto().fails(1, "is larger than"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    said.push(auto().fails(1, "is no regular file"));
    fs::remove_dir(&path).unwrap();
    // Nobody ever writes into it.
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    said.push(auto().fails(1, "is no regular file"));
    fs::remove_file(&path).unwrap();
    said.push(auto().fails(1, "nothing that can be registered"));
    said
}

/// What gcloud itself would take, by the variable that names it; the file in the home is then nobody's.
#[test]
fn the_file_that_the_environment_names_comes_first() {
    let google = Google::shared();
    let vault = Setup::new().reaching(&[google.endpoint()]).start();
    machine::has(&vault, ADC, google.user_file().to_string());
    let named = machine::has(&vault, "keys/broker.json", google.key("broker").to_string());
    let endpoint = format!("endpoint_url={}", google.endpoint());
    let mut command = vault.command();
    command.env("VALETKEY_TOKEN_FILE", vault.token_file("alice")).env("GOOGLE_APPLICATION_CREDENTIALS", named);
    command.args(["connector", "register", "--auto-configure", "--yes", "-o", "json", "--set", &endpoint]);
    let said = crate::rig::vault::outcome(&mut command, "").json();
    assert_eq!((&said["name"], &said["auth_method"]), (&json!("gcp-broker"), &json!("service-account")));
}
