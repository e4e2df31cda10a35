//! `connector rotate-secret --auto` for a key of a Google service account: the whole way, the rights it takes, and power
//! cuts between its steps.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::gate::{Gate, Stop};
use crate::rig::google::Google;
use crate::rig::process::eventually;
use crate::rig::vault::{Outcome, Setup, Vault};
use crate::rig::weed::unique;

const ROTATE: [&str; 4] = ["connector", "rotate-secret", "data", "--auto"];
const CREATE: &str = "iam.serviceAccountKeys.create";
const DELETE: &str = "iam.serviceAccountKeys.delete";

/// One to read after each step.
const OBJECTS: [&str; 8] = ["0/a", "1/a", "2/a", "3/a", "4/a", "5/a", "6/a", "7/a"];

/// As long as a call to the cloud may take, and then some.
const LIMIT: Duration = Duration::from_secs(40);

/// A vault with the connector `data`, of the key of an account of its own.
struct Scene {
    google: Google,
    gate: Gate,
    vault: Vault,
    account: String,
    bucket: String,
    key: Value,
}

impl Scene {
    fn new(without: &[&str]) -> Self {
        let google = Google::shared();
        let gate = Gate::to(google.endpoint());
        let account = unique("rotated");
        google.account(&account, without);
        let (key, bucket) = (google.key(&account), google.new_bucket(&OBJECTS));
        let vault = Setup::new().reaching(&[gate.endpoint()]).start();
        let secret = key.to_string();
        let secret = Some(("service_account_json", secret.as_str()));
        Google::register_at(gate.endpoint(), &vault, "data", "service-account", secret, &[]).ok();
        Self { google, gate, vault, account, bucket, key }
    }

    /// The id of the first key.
    fn first(&self) -> &str {
        self.key["private_key_id"].as_str().unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.google.keys(&self.account)
    }

    fn rotate(&self) -> Outcome {
        self.vault.cli("alice", &[&ROTATE[..], &["-o", "json"]].concat())
    }

    fn warnings(&self) -> Value {
        self.vault.cli("alice", &["connector", "list", "-o", "json"]).json()[0]["warnings"].clone()
    }

    /// Mints for a prefix that was never minted for, and reads it.
    fn mints(&self, prefix: usize) -> String {
        let resource = format!("gs://{}/{prefix}", self.bucket);
        let ask =
            ["mint", "--connector", "data", "-o", "json", "--resource-type", "gcs-bucket", "--resource", &resource];
        let token = self.vault.cli("bob", &ask).json()["bearer_token"]["token"].as_str().unwrap().to_owned();
        self.reads(&token, prefix);
        token
    }

    fn reads(&self, token: &str, prefix: usize) {
        let name = format!("{prefix}/a");
        assert_eq!(self.google.storage(token).expect(&["get-object", &self.bucket, &name]), json!(name));
    }

    /// Rotates until the gate catches what is chosen, and cuts the power there.
    fn cut(&self, stop: Stop, chosen: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> String {
        self.gate.stop(stop, chosen);
        let mut command = self.vault.command();
        command.env("VALETKEY_TOKEN_FILE", self.vault.token_file("alice")).args(ROTATE);
        let mut asking = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(eventually(LIMIT, || self.gate.caught() > 0), "nothing was caught");
        self.vault.sigkill();
        asking.wait().unwrap();
        self.gate.open();
        self.vault.start();
        self.warnings().to_string()
    }
}

fn makes(head: &str, _: &str) -> bool {
    head.starts_with("POST ") && head.contains("/keys HTTP")
}

fn deletes(head: &str, _: &str) -> bool {
    head.starts_with("DELETE ") && head.contains("/keys/")
}

#[test]
fn a_google_key_is_made_verified_switched_to_and_the_old_one_is_gone() {
    let scene = Scene::new(&[]);
    let before = scene.mints(0);
    let said = scene.rotate().json();
    let made = said["made_key_id"].as_str().unwrap();
    assert_eq!((scene.keys(), &said["deleted_key_ids"]), (vec![made.to_owned()], &json!([scene.first()])), "{said}");
    assert_eq!((&said["secret_version"], &said["warnings"]), (&json!(2), &json!([])), "{said}");
    // The old key gets nothing any more; what it minted lives until its end, and the new one mints on.
    let refused = scene.google.token_by(&scene.key);
    assert!(refused.code != 0 && refused.stderr.contains("invalid_grant"), "{refused}");
    scene.reads(&before, 0);
    scene.mints(1);
    let ledger = Value::from(scene.vault.ledger()).to_string();
    assert!(ledger.contains(made) && ledger.contains(scene.first()), "both ids are in the ledger");
    for text in [ledger, scene.vault.logs(), said.to_string()] {
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }
}

#[test]
fn each_right_that_a_google_rotation_lacks_is_named_with_its_remedy() {
    let scene = Scene::new(&[CREATE]);
    let said = scene.rotate().fails(1, "UPSTREAM_DENIED");
    assert!(said.stderr.contains(&format!("grant {CREATE} on the service account to itself")), "{said}");
    assert!(!said.all().contains("secret-in-an-error-body"), "{said}");
    assert_eq!((scene.keys(), scene.warnings()), (vec![scene.first().to_owned()], json!([])), "nothing was made");
    scene.mints(0);
    // It may make, and not delete: the new key serves, and the old one is told of until it may.
    scene.google.account(&scene.account, &[DELETE]);
    let said = scene.rotate().fails(1, "ROTATION_STOPPED");
    assert!(said.stderr.contains(scene.first()) && said.stderr.contains(DELETE), "{said}");
    assert!(scene.warnings().to_string().contains(scene.first()) && scene.keys().len() == 2);
    scene.mints(1);
    scene.google.account(&scene.account, &[]);
    assert_eq!(scene.rotate().json()["deleted_key_ids"], json!([scene.first()]));
    assert_eq!((scene.keys().len(), scene.warnings()), (1, json!([])));
    // Google takes ten keys of an account.
    for _ in 1..10 {
        scene.google.key(&scene.account);
    }
    // The rotation that was finished is from today, so this one is another.
    let said = scene.rotate().fails(1, "UPSTREAM_REJECTED");
    assert!(said.stderr.contains("FAILED_PRECONDITION") && said.stderr.contains("ten at most"), "{said}");
    scene.mints(2);
}

#[test]
fn power_cuts_before_and_while_a_google_key_is_made_say_what_is_known_of_it() {
    let scene = Scene::new(&[]);
    let warned = scene.cut(Stop::Before, makes);
    assert!(warned.contains("rotation stopped: the cloud was asked for a new key"), "{warned}");
    assert_eq!(scene.keys(), [scene.first()], "none was made");
    scene.mints(0);
    let warned = scene.cut(Stop::After, makes);
    assert!(warned.contains("there may be a key that nobody holds"), "{warned}");
    let unheld: Vec<_> = scene.keys().into_iter().filter(|id| id != scene.first()).collect();
    assert_eq!(unheld.len(), 1, "it was made, and nobody was told");
    scene.mints(1);
    let said = scene.rotate().json();
    let (made, keys) = (said["made_key_id"].as_str().unwrap(), scene.keys());
    assert!(keys.len() == 2 && keys.iter().any(|id| id == made) && keys.contains(&unheld[0]), "{said}");
    assert_eq!(scene.warnings(), json!([]), "{said}");
    scene.mints(2);
}

#[test]
fn power_cuts_between_the_steps_of_a_google_rotation_leave_a_key_that_works() {
    let scene = Scene::new(&[]);
    let mut second = scene.first().to_owned();
    // Nobody verified the new key, or it was taken and not switched to: it goes, and another is made.
    for (stop, prefix) in [(Stop::Before, 0), (Stop::After, 6)] {
        let made = AtomicBool::new(false);
        let warned = scene.cut(stop, move |head, body| {
            made.fetch_or(makes(head, body), Ordering::SeqCst) && head.starts_with("POST /token ")
        });
        let left: Vec<_> = scene.keys().into_iter().filter(|id| *id != second).collect();
        let [orphan] = left.as_slice() else { panic!("one key is left beside the one in use: {left:?}") };
        assert!(warned.contains(orphan.as_str()) && warned.contains("never stored"), "{stop:?}: {warned}");
        scene.mints(prefix);
        let said = scene.rotate().json();
        second = said["made_key_id"].as_str().unwrap().to_owned();
        assert_eq!((scene.keys(), scene.warnings()), (vec![second.clone()], json!([])), "{stop:?}: {said}");
        scene.mints(prefix + 1);
    }
    // The next key is in use, and the one before it is not deleted yet; and then it is, and nobody was told.
    let mut old = second;
    for (stop, prefix) in [(Stop::Before, 2), (Stop::After, 4)] {
        let warned = scene.cut(stop, deletes);
        assert!(warned.contains(&format!("old key not deleted: the key {old}")), "{warned}");
        assert_eq!(scene.keys().contains(&old), stop == Stop::Before);
        scene.mints(prefix);
        let said = scene.rotate().json();
        assert_eq!((&said["made_key_id"], &said["deleted_key_ids"]), (&Value::Null, &json!([old])), "finished: {said}");
        let keys = scene.keys();
        assert_eq!((keys.len(), scene.warnings()), (1, json!([])));
        assert!(!keys.contains(&old), "{said}");
        scene.mints(prefix + 1);
        old.clone_from(&keys[0]);
    }
}
