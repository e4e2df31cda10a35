//! `connector register --auto-configure` on a machine where `az login` was: a service principal by secret and by
//! certificate, and a person's token, against the strict Entra, Azurite and resource manager. What is registered mints,
//! nothing secret is shown, and what is hostile, encrypted or over is not taken.

use std::fs;

use serde_json::{Value, json};

use crate::rig::azure::{ACCOUNT, CLIENT, Cloud, OBJECT, SECRET, SUBSCRIPTION, TENANT, by_secret};
use crate::rig::machine::{has, kept_nothing, register, tells_nothing};
use crate::rig::vault::{Outcome, Vault};

const PROFILE: &str = ".azure/azureProfile.json";
const ENTRIES: &str = ".azure/service_principal_entries.json";
const TOKENS: &str = ".azure/msal_token_cache.json";
const STRANGER: &str = "99991111-aaaa-2222-bbbb-3333cccc4444";

/// As az writes it: with a byte-order mark, and ids as the portal shows them.
fn profile(kind: &str) -> String {
    let one = json!({
        "id": SUBSCRIPTION.to_uppercase(), "tenantId": TENANT, "isDefault": true, "environmentName": "AzureCloud",
        "user": {"name": CLIENT, "type": kind},
    });
    format!("\u{feff}{}", json!({ "subscriptions": [one] }))
}

fn entry(more: &Value) -> Value {
    let mut entry = json!({"client_id": CLIENT, "tenant": TENANT});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

/// Where the stand-ins are, as settings.
fn places(cloud: &Cloud) -> Vec<String> {
    let (home, blobs) = (cloud.cloud(), cloud.blobs());
    vec![
        format!("authority_url={home}"),
        format!("management_url={home}"),
        format!("registry_url={home}"),
        format!("blob_url={blobs}"),
        format!("storage_account={ACCOUNT}"),
    ]
}

fn auto(vault: &Vault, who: &str, name: &str, cloud: &Cloud, more: &[&str]) -> Outcome {
    let places = places(cloud);
    let settings: Vec<&str> = places.iter().map(String::as_str).collect();
    register(vault, who, (name, "azure"), &settings, more)
}

#[test]
fn a_service_principal_of_az_is_offered_without_its_secret_and_what_is_registered_mints() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    has(&vault, PROFILE, profile("servicePrincipal"));
    let pem = fs::read_to_string(cloud.certificate()).unwrap();
    let private = pem.lines().nth(3).unwrap();
    let ways = [
        ("by-secret", json!({ "client_secret": SECRET }), "client_secret"),
        ("by-certificate", json!({ "certificate": cloud.certificate() }), "client_certificate"),
    ];
    for (name, more, field) in ways {
        has(&vault, ENTRIES, json!([entry(&more)]).to_string());
        let offered = auto(&vault, "alice", name, &cloud, &[]).fails(2, "give --yes");
        for shown in [&format!("found azure:{CLIENT}"), "service-principal", field, SUBSCRIPTION] {
            assert!(offered.stderr.contains(shown), "{shown}: {offered}");
        }
        let scientists = auto(&vault, "bob", name, &cloud, &["--yes"]).fails(3, "GRANT_MISSING");
        vault.cli("alice", &["connector", "describe", name]).fails(4, "");
        let stored = auto(&vault, "alice", name, &cloud, &["--yes"]).ok();
        let said = stored.json();
        assert_eq!((&said["auth_method"], &said["secret_fields_set"]), (&json!("service-principal"), &json!([field])));
        assert_eq!(said["verification"]["state"], "verified", "{said}");
        assert!(said["verification"]["identity"].as_str().unwrap().contains(OBJECT), "{said}");
        tells_nothing(&vault, &[offered, scientists, stored], &[SECRET, private, "PRIVATE KEY"]);
        reads_blobs(&cloud, &vault, name);
    }
}

fn reads_blobs(cloud: &Cloud, vault: &Vault, connector: &str) {
    let datasets = ["--resource-type", "blob-container", "--resource", "az://mldata/datasets", "-o", "json"];
    let said = vault.cli("bob", &[&["mint", "--connector", connector], &datasets[..]].concat()).json();
    let url = said["signed_url"]["url"].as_str().unwrap_or_else(|| panic!("{said}"));
    assert_eq!(cloud.client(&["sas", "read"], url)["ok"], "train/a.txt");
    assert_eq!(cloud.client(&["sas", "write"], url)["error"], "AuthorizationPermissionMismatch");
}

/// As az keeps what Entra gave to a person, where nothing encrypts it.
fn cached(token: &str, target: &str, ends: i64) -> Value {
    json!({"realm": TENANT, "target": target, "expires_on": ends.to_string(), "secret": token})
}

#[test]
fn a_persons_token_is_taken_for_its_hour_and_mints_for_its_audience_alone() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    cloud.register(&vault, "source", &by_secret(), &["--access-max", "admin"]).ok();
    let admin = ["--resource-type", "azure-generic", "--access", "admin", "-o", "json"];
    let generic = |connector: &str, more: &[&str]| {
        vault.cli("bob", &[&["mint", "--connector", connector], &admin[..], more].concat())
    };
    let token = generic("source", &[]).json()["bearer_token"]["token"].as_str().unwrap().to_owned();
    let ends = jiff::Timestamp::now().as_second() + 3000;
    let manager = "https://management.core.windows.net//.default";
    let graph = cached("canary-of-graph", "https://graph.microsoft.com/.default", ends);
    has(&vault, PROFILE, profile("user"));
    let both = json!({ "AccessToken": { "a": cached(&token, manager, ends), "b": graph } });
    has(&vault, TOKENS, both.to_string());
    let offered = auto(&vault, "alice", "mine", &cloud, &[]).fails(2, "give --yes");
    assert!(offered.stderr.contains("good to try things, not to keep"), "{offered}");
    let stored = auto(&vault, "alice", "mine", &cloud, &["--yes", "--access-max", "admin"]).ok();
    let said = stored.json();
    let end: jiff::Timestamp = said["secret_expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!((said["auth_method"].as_str(), end.as_second()), (Some("access-token"), ends), "{said}");
    tells_nothing(&vault, &[offered, stored], &[&token, "canary-of-graph"]);
    // The token as it is, for its own audience and no longer.
    let minted = generic("mine", &[]).json();
    let management = format!("{}/subscriptions/{SUBSCRIPTION}", cloud.cloud());
    assert_eq!(
        cloud.client(&["http", "GET", &management], minted["bearer_token"]["token"].as_str().unwrap())["ok"],
        200
    );
    let until: jiff::Timestamp = minted["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(until <= end, "{minted}");
    generic("mine", &["--param", "audience=https://vault.azure.net"]).fails(1, "audience");
}

#[test]
fn what_is_hostile_encrypted_or_over_is_not_taken_and_nothing_of_it_is_shown() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    let yes = || auto(&vault, "alice", "mine", &cloud, &["--yes"]);
    let mut said = Vec::new();
    // A person's login, with what az encrypts for itself.
    has(&vault, PROFILE, profile("user"));
    let bin = has(&vault, ".azure/msal_token_cache.bin", "canary");
    let refused = yes().fails(1, "nothing that can be registered");
    for why in ["is encrypted for az alone", "is a person's login"] {
        assert!(refused.stderr.contains(why), "{why}: {refused}");
    }
    said.push(refused);
    fs::remove_file(bin).unwrap();
    has(&vault, PROFILE, profile("servicePrincipal"));
    // Entries of which nothing is taken.
    let key = has(&vault, "key.pem", "-----BEGIN NOTHING-----\ncanary\n");
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    for entry in [
        json!({"client_id": CLIENT, "tenant": TENANT}),
        entry(&json!({"certificate": "/no/such/canary-file"})),
        entry(&json!({ "certificate": key })),
        entry(&json!({"certificate": "/dev/zero"})),
        json!({"client_id": {"canary": 1}, "tenant": TENANT, "client_secret": "canary"}),
        json!("canary"),
    ] {
        has(&vault, ENTRIES, json!([entry]).to_string());
        said.push(yes().fails(1, "nothing that can be registered"));
    }
    // And of which something is, that the server refuses: by its form, or because Entra does not know it.
    for (entry, why) in [
        (json!({"client_id": "a\u{1b}[2Jcanary", "tenant": TENANT, "client_secret": "canary"}), "nothing that can be"),
        (json!({"client_id": "canary", "tenant": TENANT, "client_secret": "c"}), "settings.client_id"),
        (json!({"client_id": CLIENT, "tenant": "../canary", "client_secret": "canary"}), "settings.tenant_id"),
        (entry(&json!({"client_secret": "canary \u{7} of a bell"})), "secrets.client_secret"),
        (entry(&json!({"client_secret": "8Q~a-canary-that-is-wrong"})), "AADSTS7000215"),
        (json!({"client_id": STRANGER, "tenant": TENANT, "client_secret": SECRET}), "AADSTS"),
    ] {
        has(&vault, ENTRIES, json!([entry]).to_string());
        said.push(yes().fails(1, why));
    }
    fs::remove_file(vault.beside(ENTRIES)).unwrap();
    // A token that is over, and a cache that is none.
    let over = jiff::Timestamp::now().as_second() - 10;
    let cache = json!({"AccessToken": {"a": cached("canary-token", "https://management.azure.com/.default", over)}});
    has(&vault, TOKENS, cache.to_string());
    said.push(yes().fails(1, "expires_at"));
    has(&vault, TOKENS, "canary");
    said.push(yes().fails(1, "no JSON object"));
    kept_nothing(&vault, &said, &["canary-t", "canary-o", "8Q~", "canary \u{7}", "PRIVATE KEY"]);
}
