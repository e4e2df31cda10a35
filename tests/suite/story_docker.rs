//! Registries through the real daemon and command line, against Debian's own registry, stock skopeo and docker: a token
//! of one repository does what it was minted for and nothing beside it, and the password goes where it was agreed to.

use std::fs;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::rig::registry::{HTPASSWD, IDENTITY, ROBOT, Registry};
use crate::rig::vault::{Outcome, Setup, Vault};

fn vault(registry: &Registry) -> Vault {
    let roots = format!("extra_roots = {:?}", registry.authority.ca.display().to_string());
    let mut endpoints = vec![registry.url()];
    if registry.token_url.is_some() {
        endpoints.push(registry.token_service().to_owned());
    }
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    Setup::new().reaching(&endpoints).with("outbound", roots).start()
}

fn login((name, password): (&str, &str)) -> Value {
    json!({ "username": name, "password": password })
}

/// Registers a connector of this registry as alice.
fn register(vault: &Vault, registry: &Registry, name: &str, secrets: &Value, more: &[&str]) -> Outcome {
    let host = format!("registry={}", registry.host);
    let mut arguments = vec!["connector", "register", name, "--type", "docker", "--method", "password"];
    arguments.extend_from_slice(&["--secrets", "-", "--set", &host, "--access-max", "admin", "-o", "json"]);
    arguments.extend_from_slice(more);
    vault.cli_with("alice", &arguments, &secrets.to_string())
}

fn mint(vault: &Vault, registry: &Registry, connector: &str, repository: &str, access: &str) -> Outcome {
    let resource = format!("{}/{repository}", registry.host);
    let arguments = ["mint", "--connector", connector, "--resource", &resource, "--access", access, "-o", "json"];
    vault.cli("bob", &arguments)
}

fn token_of(outcome: &Outcome) -> String {
    let said = outcome.json();
    said["bearer_token"]["token"].as_str().unwrap_or_else(|| panic!("no token in {said}")).to_owned()
}

#[track_caller]
fn refused(outcome: &Outcome) {
    assert_ne!(outcome.code, 0, "{outcome}");
    let said = outcome.stderr.to_lowercase();
    assert!(
        said.contains("unauthorized") || said.contains("authentication required") || said.contains("denied"),
        "{said}"
    );
}

#[test]
fn a_token_of_one_repository_does_what_it_was_minted_for_and_no_more() {
    let registry = Registry::with_tokens();
    let vault = vault(&registry);
    let token_url = format!("token_url={}", registry.token_url.as_deref().unwrap());
    let made = register(&vault, &registry, "images", &login(ROBOT), &["--set", &token_url]).json();
    assert_eq!(made["verification"]["state"], "verified", "{made}");
    let write = mint(&vault, &registry, "images", "team/model", "write");
    assert_eq!(write.json()["downscope"], "resource", "{write}");
    let writes = token_of(&write);
    registry.push("team/model", &writes).ok();
    registry.pull("team/model", &writes).ok();
    refused(&registry.push("team/other", &writes));
    refused(&registry.delete("team/model", &writes));
    let reads = token_of(&mint(&vault, &registry, "images", "team/model", "read"));
    registry.pull("team/model", &reads).ok();
    refused(&registry.push("team/model", &reads));
    refused(&registry.pull("team/other", &reads));
    // One letter of the signature, and one that has ended.
    let flipped: String =
        reads.char_indices().map(|(at, c)| if at + 9 == reads.len() { swapped(c) } else { c }).collect();
    refused(&registry.pull("team/model", &flipped));
    refused(&registry.pull("team/model", &registry.expired("repository:team/model:pull")));
    // The reply's end is the token's own.
    let said = mint(&vault, &registry, "images", "team/model", "read").json();
    let ends: jiff::Timestamp = said["expires_at"].as_str().unwrap().parse().unwrap();
    assert!((0..=121).contains(&(ends.as_second() - jiff::Timestamp::now().as_second())), "{said}");
    // Docker's configuration has the token where Docker looks for it.
    let resource = format!("{}/team/model", registry.host);
    let config = ["mint", "--connector", "images", "--resource", &resource, "--format", "docker-config"];
    let config = vault.cli("bob", &config).json();
    assert_eq!(config["auths"][&registry.host]["registrytoken"].as_str().unwrap().split('.').count(), 3, "{config}");
    // skopeo reads no such token from a configuration: it takes the token by itself.
    let alone =
        vault.cli("bob", &["mint", "--connector", "images", "--resource", &resource, "--format", "bearer-token"]);
    registry.pull("team/model", alone.ok().stdout.trim_end()).ok();
    // The catalog, page by page, and what the login may not do.
    registry.push("team/other", &token_of(&mint(&vault, &registry, "images", "team/other", "write"))).ok();
    let list = ["connector", "list-resources", "images", "-o", "json"];
    let ids = vault.cli("alice", &list).json()[0]["resource_ids"].clone();
    assert_eq!(ids, json!([format!("{}/team/model", registry.host), format!("{}/team/other", registry.host)]));
    mint(&vault, &registry, "images", "team/open", "read").ok();
    let half = mint(&vault, &registry, "images", "team/open", "write").fails(1, "UPSTREAM_DENIED");
    assert!(half.stderr.contains("push on "), "{half}");
    mint(&vault, &registry, "images", "team/secret", "read").fails(1, "UPSTREAM_DENIED");
    let whole = ["mint", "--connector", "images", "--resource", &registry.host, "-o", "json"];
    vault.cli("bob", &whole).fails(1, "name a repository");
    registry.delete("team/model", &token_of(&mint(&vault, &registry, "images", "team/model", "admin"))).ok();
    // A wrong password is refused before anything is stored; nothing of it is logged.
    let wrong = login((ROBOT.0, "wr0ng-password"));
    register(&vault, &registry, "wrong", &wrong, &["--set", &token_url]).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    assert!(!vault.logs().contains("wr0ng-password") && !vault.logs().contains(ROBOT.1));
    // What docker login keeps in place of a password mints the same.
    let identity = json!({ "username": "<token>", "identity_token": IDENTITY });
    register(&vault, &registry, "identity", &identity, &["--set", &token_url]).ok();
    let token = token_of(&mint(&vault, &registry, "identity", "team/other", "read"));
    registry.pull("team/other", &token).ok();
}

/// Docker's own command line takes the token out of the configuration and asks no token service.
#[test]
fn dockers_own_command_line_uses_the_configuration_as_it_is_handed_out() {
    let registry = Registry::with_tokens();
    let vault = vault(&registry);
    let token_url = format!("token_url={}", registry.token_url.as_deref().unwrap());
    register(&vault, &registry, "images", &login(ROBOT), &["--set", &token_url]).ok();
    let config = |repository: &str| {
        registry.push(repository, &token_of(&mint(&vault, &registry, "images", repository, "write"))).ok();
        let resource = format!("{}/{repository}", registry.host);
        let arguments = ["mint", "--connector", "images", "--resource", &resource, "--format", "docker-config"];
        vault.cli("bob", &arguments).ok().stdout
    };
    let (model, other) = (config("team/model"), config("team/other"));
    let asked = registry.asked();
    for (config, own, neighbour) in [(&model, "team/model", "team/other"), (&other, "team/other", "team/model")] {
        let seen = registry.inspect_by(own, config).json();
        assert_eq!(seen["layers"].as_array().map(Vec::len), Some(1), "{seen}");
        refused(&registry.inspect_by(neighbour, config));
    }
    assert_eq!(registry.asked(), asked, "a login went to the token service");
    registry.inspect_by("team/model", "{}").fails(1, "");
    let mut ended: Value = serde_json::from_str(&model).unwrap();
    ended["auths"][&registry.host]["registrytoken"] = registry.expired("repository:team/model:pull").into();
    // Of an image that it could see a moment ago.
    registry.inspect_by("team/model", &ended.to_string()).fails(1, "no such manifest");
}

/// A list of images is what Docker's command line pushes by itself. `docker push` hands an image to the engine, which
/// pushes it from a store of its own: no engine runs here, so that whole images are pushed by skopeo.
#[test]
fn dockers_own_command_line_pushes_with_what_was_minted_for_writing_alone() {
    let registry = Registry::with_tokens();
    let vault = vault(&registry);
    let token_url = format!("token_url={}", registry.token_url.as_deref().unwrap());
    register(&vault, &registry, "images", &login(ROBOT), &["--set", &token_url]).ok();
    for repository in ["team/model", "team/other"] {
        registry.push(repository, &token_of(&mint(&vault, &registry, "images", repository, "write"))).ok();
    }
    let config = |access: &str| {
        let resource = format!("{}/team/model", registry.host);
        let docker = ["mint", "--connector", "images", "--resource", &resource, "--format", "docker-config"];
        vault.cli("bob", &[&docker[..], &["--access", access]].concat()).ok().stdout
    };
    let (read, write) = (config("read"), config("write"));
    let asked = registry.asked();
    refused(&registry.push_list_by("team/model", &read));
    let pushed = registry.push_list_by("team/model", &write).ok();
    assert!(pushed.stdout.trim().starts_with("sha256:"), "{pushed}");
    refused(&registry.push_list_by("team/other", &write));
    assert_eq!(registry.asked(), asked, "a login went to the token service");
}

fn swapped(letter: char) -> char {
    if letter == 'A' { 'B' } else { 'A' }
}

#[test]
fn a_registry_cannot_have_the_password_sent_to_another_host() {
    let registry = Registry::with_tokens();
    // The token service is reachable, and still nobody agreed to it for this connector.
    let vault = vault(&registry);
    let said = register(&vault, &registry, "images", &login(ROBOT), &[]).fails(1, "foreign_realm");
    assert!(said.stderr.contains("set token_url"), "{said}");
    assert_eq!(registry.asked(), 0, "the password was sent");
    // Agreed to, it cannot be moved without the password.
    let token_url = format!("token_url={}", registry.token_url.as_deref().unwrap());
    register(&vault, &registry, "images", &login(ROBOT), &["--set", &token_url]).ok();
    let other = format!("token_url={}/token", registry.url());
    let update = ["connector", "update", "images", "--set", &other, "--skip-verify"];
    vault.cli("alice", &update).fails(1, "SECRET_NEEDED_AGAIN");
    // What the config does not name is not asked at all.
    let closed = Setup::new().start();
    register(&closed, &registry, "images", &login(ROBOT), &["--set", &token_url]).fails(1, "ADDRESS_REFUSED");
}

#[test]
fn a_registry_with_passwords_alone_is_served_by_passthrough_or_not_at_all() {
    let registry = Registry::with_htpasswd();
    let vault = vault(&registry);
    register(&vault, &registry, "tokens", &login(HTPASSWD), &[]).fails(1, "basic_only");
    let basic = ["--set", "login=basic", "--secret-expires-in", "50m"];
    let wrong = login((HTPASSWD.0, "wr0ng-password"));
    register(&vault, &registry, "wrong", &wrong, &basic).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    register(&vault, &registry, "closed", &login(HTPASSWD), &basic).ok();
    mint(&vault, &registry, "closed", "team/model", "write").fails(1, "PASSTHROUGH_OFF");
    let open = [&basic[..], &["--allow-passthrough"]].concat();
    register(&vault, &registry, "open", &login(HTPASSWD), &open).ok();
    let said = mint(&vault, &registry, "open", "team/model", "write").json();
    assert_eq!((&said["passthrough"], &said["downscope"]), (&json!(true), &json!("none")), "{said}");
    // Every listing and the ledger say so: of the registration, the mint and each hand-out.
    let listed = vault.cli("bob", &["issuance", "list", "-o", "json"]).json();
    assert_eq!((&listed[0]["id"], &listed[0]["passthrough"]), (&said["issuance_id"], &json!(true)), "{listed}");
    let table = vault.cli("bob", &["issuance", "list"]).ok().stdout;
    assert!(table.to_lowercase().contains("passthrough") && table.contains("YES"), "{table}");
    let lines = vault.cli("carol", &["audit", "list", "-o", "json"]).json();
    let lines = lines.as_array().unwrap();
    let flagged = |line: &&Value| line["details"]["passthrough"].is_string();
    assert_eq!(lines.iter().filter(flagged).count(), 2, "the result and the hand-out: {lines:?}");
    let registered = |line: &&Value| line["details"]["allow_passthrough"] == "on" && line["outcome"] == "ok";
    assert_eq!(lines.iter().filter(registered).count(), 1, "{lines:?}");
    vault.cli("alice", &["connector", "update", "open", "--allow-passthrough=false"]).ok();
    let off = vault.cli("carol", &["audit", "list", "--outcome", "ok", "-o", "json"]).json();
    let switched = off.as_array().unwrap().iter().find(|line| line["details"]["allow_passthrough"] == "off");
    assert!(switched.is_some_and(|line| line["method"].as_str().unwrap().ends_with("UpdateConnector")), "{off}");
    mint(&vault, &registry, "open", "team/model", "write").fails(1, "PASSTHROUGH_OFF");
    vault.cli("alice", &["connector", "update", "open", "--allow-passthrough"]).ok();
    let resource = format!("{}/team/model", registry.host);
    let arguments = ["mint", "--connector", "open", "--resource", &resource, "--access", "write"];
    let config = vault.cli("bob", &[&arguments[..], &["--format", "docker-config"]].concat()).ok();
    let (file, empty) = (registry.file("auth.json"), registry.file("empty.json"));
    fs::write(&file, &config.stdout).unwrap();
    fs::write(&empty, "{}").unwrap();
    registry.push_by("team/model", &file).ok();
    refused(&registry.push_by("team/model", &empty));
}

/// What `docker login` left on alice's machine.
fn logged_in(vault: &Vault, registry: &Registry, login: &Value) {
    fs::create_dir_all(vault.beside(".docker")).unwrap();
    let config = json!({ "auths": { &registry.host: login } });
    fs::write(vault.beside(".docker/config.json"), config.to_string()).unwrap();
}

#[test]
fn f8_logins_that_docker_keeps_register_as_they_are_and_mint() {
    let registry = Registry::with_tokens();
    let vault = vault(&registry);
    let auth = |pair: &str| base64::engine::general_purpose::STANDARD.encode(pair);
    let token_url = format!("token_url={}", registry.token_url.as_deref().unwrap());
    let auto = |name: &str, more: &[&str]| {
        let arguments = ["connector", "register", name, "--auto-configure", "--type", "docker", "--set", &token_url];
        vault.cli("alice", &[&arguments[..], &["--access-max", "write", "-o", "json"], more].concat())
    };
    let password = json!({ "auth": auth(&format!("{}:{}", ROBOT.0, ROBOT.1)) });
    let identity = json!({ "auth": auth("<token>:"), "identitytoken": IDENTITY });
    for (name, login) in [("by-password", password), ("by-identity", identity)] {
        logged_in(&vault, &registry, &login);
        let unasked = auto(name, &[]).fails(2, "give --yes");
        assert!(unasked.stderr.contains(&format!("found docker:{}", registry.host)), "{unasked}");
        let said = auto(name, &["--yes"]);
        assert_eq!(said.json()["verification"]["state"], "verified", "{said}");
        assert!(!said.all().contains(ROBOT.1) && !said.all().contains(IDENTITY), "{said}");
        let token = token_of(&mint(&vault, &registry, name, "team/model", "write"));
        registry.push("team/model", &token).ok();
        refused(&registry.push("team/other", &token));
    }
    // The neighbours: an identity token that the service does not know, and a helper's entry with nothing in it.
    logged_in(&vault, &registry, &json!({ "auth": auth("<token>:"), "identitytoken": "canary-unknown" }));
    let unknown = auto("unknown", &["--yes"]).fails(1, "SOURCE_CREDENTIAL_REFUSED");
    assert!(!unknown.all().contains("canary-unknown") && !vault.logs().contains("canary-unknown"), "{unknown}");
    logged_in(&vault, &registry, &json!({}));
    auto("nothing", &["--yes"]).fails(1, "nothing that can be registered");
    let names = vault.cli("alice", &["connector", "list", "-o", "json"]).json();
    assert_eq!(names.as_array().map(Vec::len), Some(2), "{names}");
}
