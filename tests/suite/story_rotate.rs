//! `connector rotate-secret --auto` on a real IAM: the whole way, who may not, and a power cut between each two steps.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::rig::client::Key;
use crate::rig::gate::{Gate, Stop};
use crate::rig::lab::{Lab, minted, secrets};
use crate::rig::moto::Moto;
use crate::rig::process::eventually;
use crate::rig::vault::{Outcome, Setup, Vault};
use crate::rig::weed::unique;

const ROTATE: [&str; 4] = ["connector", "rotate-secret", "prod-s3", "--auto"];

/// As long as a call to the cloud may take, and then some.
const LIMIT: Duration = Duration::from_secs(40);

#[test]
fn a_key_is_made_verified_switched_to_and_the_old_one_is_deleted() {
    let lab = Lab::linked();
    let before = minted(&lab.mint("bob", &["--component", "artifacts"]));
    let said = lab.vault.cli("alice", &[&ROTATE[..], &["-o", "json"]].concat()).json();
    let made = said["made_key_id"].as_str().unwrap();
    assert_eq!(lab.weed.keys(&lab.broker), [made]);
    assert_eq!(said["deleted_key_ids"], serde_json::json!([lab.broker.key.id]));
    assert_eq!((&said["secret_version"], &said["warnings"]), (&2.into(), &serde_json::json!([])), "{said}");
    // The old key is refused at once; what it minted lives on, and the broker still hands it out.
    assert_eq!(lab.boto(&lab.broker.key).refused(&["whoami"]), "InvalidAccessKeyId");
    assert_eq!(lab.boto(&before).expect(&["get-object", &lab.bucket, "train/a.txt"]), "train/a.txt");
    assert_eq!(minted(&lab.mint("bob", &["--component", "artifacts"])).id, before.id);
    // What was never minted before is minted by the new key.
    let fresh = minted(&lab.mint("bob", &["--connector", "prod-s3", "--resource", &lab.id("test")]));
    assert_eq!(lab.boto(&fresh).expect(&["get-object", &lab.bucket, "test/c.txt"]), "test/c.txt");
    // People are told, too, and every step is in the ledger with the ids of the keys.
    let told = lab.vault.cli("alice", &ROTATE).ok();
    assert!(told.stdout.contains("made key") && told.stdout.contains(made), "{told}");
    let reasons = reasons(&lab.vault);
    let once = ["ROTATION_ASKED", "ROTATION_MADE", "ROTATION_SWITCHED", "ROTATION_DONE"];
    assert_eq!(reasons, [once, once].concat());
    let ledger = serde_json::to_string(&lab.vault.ledger()).unwrap();
    assert!(ledger.contains(made) && !ledger.contains(&lab.broker.key.secret));
}

#[test]
fn only_platform_engineers_rotate_and_only_what_the_cloud_can() {
    let lab = Lab::linked();
    for who in ["bob", "owner", "carol", "trainer", "stranger"] {
        lab.vault.cli(who, &ROTATE).fails(3, "");
    }
    lab.vault.cli("alice", &[&ROTATE[..], &["--skip-verify"]].concat()).fails(2, "--auto");
    lab.vault.cli("alice", &[&ROTATE[..], &["--secrets", "-"]].concat()).fails(2, "--auto");
    assert_eq!(lab.weed.keys(&lab.broker), [lab.broker.key.id.as_str()]);
    let session = minted(&lab.mint("bob", &["--component", "artifacts"]));
    let handed_in = ["--method", "sts-token", "--resource-type", "s3-bucket", "--secret-expires-in", "30m"];
    lab.register_as("handed-in", &secrets(&session), &handed_in).ok();
    let refused = lab.vault.cli("alice", &["connector", "rotate-secret", "handed-in", "--auto"]);
    refused.fails(1, "NOT_ROTATED_BY_CLOUD");
}

/// A vault whose way to the cloud has a gate.
struct Cut {
    lab: Lab,
    gate: Gate,
}

impl Cut {
    fn new() -> Self {
        let weed = crate::rig::weed::Weed::shared();
        let gate = Gate::to(weed.endpoint());
        let lab = Lab::behind(gate.endpoint());
        lab.register("prod-s3", &lab.broker.key, &[]).ok();
        Self { lab, gate }
    }

    /// Rotates until the gate catches what is chosen, and cuts the power there.
    fn cut(&self, stop: Stop, chosen: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Value {
        self.gate.stop(stop, chosen);
        let mut asking = self.rotate_beside();
        assert!(eventually(LIMIT, || self.gate.caught() > 0), "nothing was caught");
        self.lab.vault.sigkill();
        asking.wait().unwrap();
        self.gate.open();
        self.lab.vault.start();
        self.mints();
        self.listed()
    }

    fn rotate_beside(&self) -> Child {
        let mut command = self.lab.vault.command();
        command.env("VALETKEY_TOKEN_FILE", self.lab.vault.token_file("alice")).args(ROTATE);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What is stored works: a session that was never minted before.
    fn mints(&self) {
        let key = minted(&self.lab.mint("bob", &["--connector", "prod-s3", "--resource", &self.lab.id("train")]));
        assert_eq!(self.lab.boto(&key).expect(&["get-object", &self.lab.bucket, "train/a.txt"]), "train/a.txt");
    }

    fn listed(&self) -> Value {
        self.lab.vault.cli("alice", &["connector", "list", "-o", "json"]).json()[0]["warnings"].clone()
    }

    /// Takes it up; afterwards there is one key, which is in use, and nothing to warn about.
    fn taken_up(&self) -> Outcome {
        let said = self.lab.vault.cli("alice", &ROTATE).ok();
        assert_eq!(self.listed(), serde_json::json!([]));
        assert!(!self.lab.weed.keys(&self.lab.broker).contains(&self.lab.broker.key.id), "{said}");
        self.mints();
        said
    }
}

fn doing(action: &'static str) -> impl Fn(&str, &str) -> bool + Send + Sync + 'static {
    move |_, body| body.contains(&format!("Action={action}"))
}

#[test]
fn a_power_cut_before_the_key_is_made_leaves_the_old_one_and_says_so() {
    let cut = Cut::new();
    let warned = cut.cut(Stop::Before, doing("CreateAccessKey")).to_string();
    assert!(warned.contains("rotation stopped: the cloud was asked for a new key"), "{warned}");
    assert_eq!(cut.lab.weed.keys(&cut.lab.broker).len(), 1);
    cut.taken_up();
    assert_eq!(cut.lab.weed.keys(&cut.lab.broker).len(), 1);
}

#[test]
fn a_power_cut_while_the_key_is_made_says_that_there_may_be_one() {
    let cut = Cut::new();
    let warned = cut.cut(Stop::After, doing("CreateAccessKey")).to_string();
    assert!(warned.contains("there may be a key that nobody holds"), "{warned}");
    assert_eq!(cut.lab.weed.keys(&cut.lab.broker).len(), 2, "the one that nobody holds");
    // AWS takes no third; SeaweedFS does. The one that nobody holds stays until somebody deletes it.
    cut.taken_up();
}

#[test]
fn a_power_cut_while_the_new_key_is_verified_is_cleaned_up_by_the_next_rotation() {
    // Before the cloud has seen it, and when it was taken and is not switched to yet.
    for stop in [Stop::Before, Stop::After] {
        let cut = Cut::new();
        let old = cut.lab.broker.key.id.clone();
        let new_key_asks =
            move |head: &str, body: &str| body.contains("Action=GetCallerIdentity") && !head.contains(&old);
        let warned = cut.cut(stop, new_key_asks).to_string();
        let keys = cut.lab.weed.keys(&cut.lab.broker);
        let orphan = keys.iter().find(|id| **id != cut.lab.broker.key.id).unwrap();
        assert!(warned.contains(orphan.as_str()) && warned.contains("never stored"), "{stop:?}: {warned}");
        let said = cut.taken_up();
        assert!(said.stdout.contains(orphan.as_str()), "{stop:?}: {said}");
        assert_eq!(cut.lab.weed.keys(&cut.lab.broker).len(), 1, "{stop:?}");
    }
}

#[test]
fn a_power_cut_before_the_old_key_is_deleted_leaves_the_new_one_in_use() {
    let cut = Cut::new();
    let warned = cut.cut(Stop::Before, doing("DeleteAccessKey")).to_string();
    assert!(warned.contains(&format!("old key not deleted: the key {}", cut.lab.broker.key.id)), "{warned}");
    assert_eq!(cut.lab.weed.keys(&cut.lab.broker).len(), 2);
    // Who may not see account ids sees the warning without the key's.
    let seen = cut.lab.vault.cli("bob", &["connector", "list", "-o", "json"]).json()[0]["warnings"].to_string();
    assert!(seen.contains("old key not deleted") && !seen.contains(&cut.lab.broker.key.id), "{seen}");
    let said = cut.taken_up();
    assert!(said.stdout.contains("finished the rotation that had stopped"), "{said}");
    assert_eq!(cut.lab.weed.keys(&cut.lab.broker).len(), 1);
}

#[test]
fn a_power_cut_after_the_old_key_is_deleted_is_finished_by_the_next_rotation() {
    let cut = Cut::new();
    let warned = cut.cut(Stop::After, doing("DeleteAccessKey")).to_string();
    assert!(warned.contains("old key not deleted"), "{warned}");
    let said = cut.taken_up();
    assert!(said.stdout.contains("finished the rotation that had stopped"), "{said}");
    assert_eq!(cut.lab.weed.keys(&cut.lab.broker).len(), 1);
}

#[test]
fn a_rotation_goes_on_though_its_caller_went_away() {
    let cut = Cut::new();
    cut.gate.stop(Stop::Before, doing("CreateAccessKey"));
    let mut asking = cut.rotate_beside();
    assert!(eventually(LIMIT, || cut.gate.caught() > 0), "nothing was caught");
    // A second one is told to wait, also where the first one's caller is gone.
    asking.kill().unwrap();
    asking.wait().unwrap();
    cut.lab.vault.cli("alice", &ROTATE).fails(1, "ROTATION_UNDER_WAY");
    cut.gate.open();
    assert!(eventually(LIMIT, || reasons(&cut.lab.vault).last().is_some_and(|last| last == "ROTATION_STOPPED")));
    cut.taken_up();
}

/// A user of moto, whose IAM counts keys and asks for rights.
fn moto_user(moto: &Moto, actions: &str) -> (Vault, String, Key) {
    let name = unique("rotated");
    let policy =
        format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{actions}],"Resource":"*"}}]}}"#);
    let key = Key::from_json(&moto.boto(&moto.admin).expect(&["new-user", &name, &policy]));
    let vault = Setup::new().reaching(&[moto.endpoint()]).start();
    let endpoint = format!("endpoint_url={}", moto.endpoint());
    let arguments = ["connector", "register", "prod-s3", "--type", "aws", "--method", "secret-key", "--set"];
    let more = ["region=us-east-1", "--set", &endpoint, "--secrets", "-"];
    vault.cli_with("alice", &[&arguments[..], &more].concat(), &secrets(&key)).ok();
    (vault, name, key)
}

const KEY_RIGHTS: &str = r#""sts:*","iam:CreateAccessKey","iam:ListAccessKeys","iam:DeleteAccessKey""#;

#[test]
fn three_rights_of_iam_are_enough_and_one_that_is_missing_is_named() {
    let moto = Moto::shared();
    let (vault, name, key) = moto_user(&moto, KEY_RIGHTS);
    let said = vault.cli("alice", &[&ROTATE[..], &["-o", "json"]].concat()).json();
    let keys = moto.boto(&moto.admin).expect(&["list-keys", &name]);
    assert_eq!(keys, serde_json::json!([said["made_key_id"]]));
    assert_eq!(said["deleted_key_ids"], serde_json::json!([key.id]));

    let (vault, name, key) = moto_user(&moto, r#""sts:*","iam:ListAccessKeys""#);
    let said = vault.cli("alice", &ROTATE).fails(1, "UPSTREAM_DENIED");
    assert!(said.stderr.contains("iam:CreateAccessKey") && said.stderr.contains("iam:DeleteAccessKey"), "{said}");
    assert_eq!(moto.boto(&moto.admin).expect(&["list-keys", &name]), serde_json::json!([key.id]));
    let warned = vault.cli("alice", &["connector", "list", "-o", "json"]).json()[0]["warnings"].clone();
    assert_eq!(warned, serde_json::json!([]), "nothing was made, so nothing is left");

    // Without the right to delete, the new key serves and the old one is told of.
    let (vault, _, key) = moto_user(&moto, r#""sts:*","iam:CreateAccessKey""#);
    let said = vault.cli("alice", &ROTATE).fails(1, "ROTATION_STOPPED");
    assert!(said.stderr.contains("deleting the old key") && said.stderr.contains(&key.id), "{said}");
    vault.cli("alice", &["connector", "verify", "prod-s3"]).ok();
}

#[test]
fn a_user_with_two_keys_is_told_which_and_how_old_they_are() {
    let moto = Moto::shared();
    let (vault, name, key) = moto_user(&moto, KEY_RIGHTS);
    let second = Key::from_json(&moto.boto(&moto.admin).expect(&["new-key", &name]));
    let said = vault.cli("alice", &ROTATE).fails(1, "LimitExceeded");
    assert!(said.stderr.contains(&format!("{} (made 20", second.id)), "{said}");
    assert!(said.stderr.contains(&format!("{} (made 20", key.id)) && said.stderr.contains("in use by this"), "{said}");
    moto.boto(&moto.admin).expect(&["delete-key", &name, &second.id]);
    vault.cli("alice", &ROTATE).ok();
}

/// The reasons of the ledger's lines about rotations.
fn reasons(vault: &Vault) -> Vec<String> {
    let reasons = vault.ledger().into_iter().filter_map(|line| Some(line["reason"].as_str()?.to_owned()));
    reasons.filter(|reason| reason.starts_with("ROTATION")).collect()
}
