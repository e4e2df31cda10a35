//! `connector rotate-secret --auto` for a service-account key, on a strict Google: the whole way, a right that is
//! missing, and a power cut while the key is made and before the old one is deleted.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::gate::{Gate, Stop};
use crate::rig::google::{Google, PROJECT};
use crate::rig::process::eventually;
use crate::rig::vault::{Outcome, Setup, Vault};

const ROTATE: [&str; 4] = ["connector", "rotate-secret", "data", "--auto"];

/// As long as a call to the cloud may take, and then some.
const LIMIT: Duration = Duration::from_secs(40);

/// A vault with the connector `data`, of an account's key, at this endpoint of Google; and the key.
fn registered(google: &Google, endpoint: &str, account: &str) -> (Vault, Value) {
    let vault = Setup::new().reaching(&[endpoint]).start();
    let key = google.key(account);
    let settings = [format!("project_id={PROJECT}"), format!("endpoint_url={endpoint}")];
    let arguments = ["connector", "register", "data", "--type", "gcp", "--method", "service-account"];
    let more = ["--set", &settings[0], "--set", &settings[1], "--secret", "service_account_json=-"];
    vault.cli_with("alice", &[&arguments[..], &more].concat(), &key.to_string()).ok();
    (vault, key)
}

fn key_id(key: &Value) -> String {
    key["private_key_id"].as_str().expect("a key file names its key").to_owned()
}

/// The keys that Google takes for an account.
fn keys(google: &Google, account: &str) -> Vec<String> {
    let found = google.ask("keys", &json!({"email": Google::email(account)}));
    serde_json::from_value(found["keys"].clone()).expect("ids of keys")
}

fn warnings(vault: &Vault) -> String {
    vault.cli("alice", &["connector", "list", "-o", "json"]).json()[0]["warnings"].to_string()
}

/// What is stored works: a token that was never minted before reads its prefix.
fn mints(google: &Google, vault: &Vault) {
    let bucket = google.new_bucket(&["train/a.txt"]);
    let resource = format!("gs://{bucket}/train");
    let ask = ["mint", "--connector", "data", "--resource-type", "gcs-bucket", "--resource", &resource, "-o", "json"];
    let said = vault.cli("bob", &ask).json();
    let token = said["bearer_token"]["token"].as_str().expect("a bearer token");
    assert_eq!(google.storage(token).expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt");
}

#[test]
fn a_service_accounts_key_is_made_verified_switched_to_and_the_old_one_is_deleted() {
    let google = Google::shared();
    let (vault, key) = registered(&google, google.endpoint(), "broker");
    let said = vault.cli("alice", &[&ROTATE[..], &["-o", "json"]].concat()).json();
    let made = said["made_key_id"].as_str().expect("a key was made").to_owned();
    assert_eq!(said["deleted_key_ids"], json!([key_id(&key)]));
    assert_eq!((&said["secret_version"], &said["warnings"]), (&2.into(), &json!([])), "{said}");
    let now = keys(&google, "broker");
    assert!(now.contains(&made) && !now.contains(&key_id(&key)), "{now:?}");
    mints(&google, &vault);
    vault.cli("alice", &["connector", "verify", "data"]).ok();
    let ledger = serde_json::to_string(&vault.ledger()).expect("a ledger is JSON");
    assert!(ledger.contains(&made) && !ledger.contains("PRIVATE KEY"));
}

#[test]
fn a_right_that_google_misses_is_named_and_nothing_has_changed() {
    let google = Google::shared();
    let (vault, key) = registered(&google, google.endpoint(), "keyless");
    let said = vault.cli("alice", &ROTATE).fails(1, "iam.serviceAccountKeys.create");
    assert!(!said.all().contains("PRIVATE KEY"), "{said}");
    assert!(keys(&google, "keyless").contains(&key_id(&key)));
    assert_eq!(warnings(&vault), "[]", "nothing was made, so nothing is left");
    for who in ["bob", "owner", "carol"] {
        vault.cli(who, &ROTATE).fails(3, "");
    }
}

/// Rotates until the gate catches what is chosen, and cuts the power there.
fn cut(gate: &Gate, vault: &Vault, stop: Stop, chosen: impl Fn(&str, &str) -> bool + Send + Sync + 'static) {
    gate.stop(stop, chosen);
    let mut command = vault.command();
    command.env("VALETKEY_TOKEN_FILE", vault.token_file("alice")).args(ROTATE);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut asking = command.spawn().expect("the command starts");
    assert!(eventually(LIMIT, || gate.caught() > 0), "nothing was caught");
    vault.sigkill();
    asking.wait().expect("the command ends");
    gate.open();
    vault.start();
}

fn rotated(vault: &Vault) -> Outcome {
    let said = vault.cli("alice", &ROTATE).ok();
    assert_eq!(warnings(vault), "[]");
    said
}

#[test]
fn a_power_cut_while_googles_key_is_made_says_that_there_may_be_one() {
    let google = Google::shared();
    let gate = Gate::to(google.endpoint());
    let (vault, key) = registered(&google, gate.endpoint(), "broker");
    cut(&gate, &vault, Stop::After, |head, _| head.starts_with("POST") && head.contains("/keys "));
    let warned = warnings(&vault);
    assert!(warned.contains("there may be a key that nobody holds"), "{warned}");
    mints(&google, &vault);
    rotated(&vault);
    assert!(!keys(&google, "broker").contains(&key_id(&key)));
    mints(&google, &vault);
}

#[test]
fn a_power_cut_before_googles_old_key_is_deleted_leaves_the_new_one_in_use() {
    let google = Google::shared();
    let gate = Gate::to(google.endpoint());
    let (vault, key) = registered(&google, gate.endpoint(), "broker");
    cut(&gate, &vault, Stop::Before, |head, _| head.starts_with("DELETE") && head.contains("/keys/"));
    let warned = warnings(&vault);
    assert!(warned.contains(&format!("old key not deleted: the key {}", key_id(&key))), "{warned}");
    assert!(keys(&google, "broker").contains(&key_id(&key)));
    mints(&google, &vault);
    let said = rotated(&vault);
    assert!(said.stdout.contains("finished the rotation that had stopped"), "{said}");
    assert!(!keys(&google, "broker").contains(&key_id(&key)));
}
