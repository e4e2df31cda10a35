//! Registering a connector as a new user would: with the wizard on a terminal, and from what the machine has.

use std::fs;

use crate::rig::account::Role;
use crate::rig::lab::{Lab, minted};
use crate::rig::screen::{Screen, typed};

const REGISTER: [&str; 2] = ["connector", "register"];

/// The wizard's questions for an IAM role on an S3 bucket, up to the secrets.
fn up_to_the_secrets(lab: &Lab) -> (Vec<String>, Vec<(&'static str, String)>) {
    let endpoint = format!("endpoint_url={}", lab.weed.endpoint());
    let arguments = [&REGISTER[..], &["-i", "--set", &endpoint]].concat().into_iter().map(str::to_owned).collect();
    let steps = vec![
        ("connector type (number or name)", "aws\n".to_owned()),
        ("auth method (number or name)", "iam-role\n".to_owned()),
        ("Region:", String::new()),
        ("region (", "us-east-1\n".to_owned()),
        ("role_arn (", format!("{}\n", Role::Data.arn())),
        ("set any of", "\n".to_owned()),
    ];
    (arguments, steps)
}

fn run(lab: &Lab, who: &str, arguments: &[String], steps: &[(&str, String)]) -> Screen {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let steps: Vec<(&str, &str)> = steps.iter().map(|(wait_for, answer)| (*wait_for, answer.as_str())).collect();
    typed(&lab.vault, who, &arguments, &steps)
}

#[test]
fn the_wizard_registers_a_connector_that_mints_and_shows_no_secret() {
    let lab = Lab::new();
    let (arguments, mut steps) = up_to_the_secrets(&lab);
    steps.extend([
        ("aws_access_key_id (", format!("{}\n", lab.broker.key.id)),
        ("aws_secret_access_key (", format!("{}\n", lab.broker.key.secret)),
        ("the source credential ends after", "soon\n".to_owned()),
        ("must be a length of time", String::new()),
        ("the source credential ends after", "90d\n".to_owned()),
        ("only one resource type", "s3-bucket\n".to_owned()),
        ("only one resource (s3://BUCKET", "\n".to_owned()),
        ("which resources may be minted for", format!("{}/**, {}\n", lab.id(""), lab.id(""))),
        ("the highest access level", "read\n".to_owned()),
        ("the longest lifetime", "1h\n".to_owned()),
        ("ask the cloud whether", "\n".to_owned()),
        ("a name for it", "Prod S3\n".to_owned()),
        ("a small letter", String::new()),
        ("a name for it", "by-wizard\n".to_owned()),
        ("This will be registered:", String::new()),
        ("register it? [y/N]", "y\n".to_owned()),
    ]);
    let screen = run(&lab, "alice", &arguments, &steps);
    assert_eq!((screen.code, screen.echoes), (0, true), "{}", screen.text);
    assert!(
        !screen.text.contains(&lab.broker.key.secret) && !screen.text.contains(&lab.broker.key.id),
        "{}",
        screen.text
    );
    assert!(screen.text.contains("secret fields  aws_access_key_id, aws_secret_access_key"), "{}", screen.text);
    let stored = lab.vault.cli("alice", &["connector", "describe", "by-wizard", "-o", "json"]).json();
    assert_eq!(
        (&stored["verification"]["state"], &stored["mint_policy"]["access_max"]),
        (&"verified".into(), &"read".into())
    );
    assert_eq!(
        (&stored["mint_policy"]["ttl_max_seconds"], &stored["resource_type"]),
        (&3600.into(), &"s3-bucket".into())
    );
    assert!(stored["secret_expires_at"].is_string(), "{stored}");
    let key = minted(&lab.mint("bob", &["--connector", "by-wizard", "--resource", &lab.id("train")]));
    assert_eq!(lab.boto(&key).expect(&["get-object", &lab.bucket, "train/a.txt"]), "train/a.txt");
}

#[test]
fn an_answer_that_is_refused_is_asked_for_again_and_no_other_is() {
    let lab = Lab::new();
    let (arguments, mut steps) = up_to_the_secrets(&lab);
    steps.retain(|(wait_for, _)| *wait_for != "role_arn (" && *wait_for != "set any of");
    steps.extend([
        ("role_arn (", "role/ml\n".to_owned()),
        ("set any of", "\n".to_owned()),
        ("aws_access_key_id (", "AKIA\n".to_owned()),
        ("aws_secret_access_key (", format!("{}\n", lab.broker.key.secret)),
        ("the source credential ends after", "\n".to_owned()),
        ("only one resource type", "s3-bucket\n".to_owned()),
        ("only one resource (s3://BUCKET", "\n".to_owned()),
        ("which resources may be minted for", "\n".to_owned()),
        ("the highest access level", "read\n".to_owned()),
        ("the longest lifetime", "\n".to_owned()),
        ("ask the cloud whether", "\n".to_owned()),
        ("a name for it", "mended\n".to_owned()),
        ("register it? [y/N]", "y\n".to_owned()),
        // Settings are looked at first, secrets when those are right.
        ("settings.role_arn: must be a role", String::new()),
        ("role_arn (", format!("{}\n", Role::Data.arn())),
        ("secrets.aws_access_key_id: must be given", String::new()),
        ("aws_access_key_id (", format!("{}\n", lab.broker.key.id)),
    ]);
    let screen = run(&lab, "alice", &arguments, &steps);
    assert_eq!(screen.code, 0, "{}", screen.text);
    assert!(!screen.text.contains(&lab.broker.key.secret), "{}", screen.text);
    let stored = lab.vault.cli("alice", &["connector", "describe", "mended", "-o", "json"]).json();
    assert_eq!(stored["verification"]["state"], "verified", "with the secret that was typed once");
}

#[test]
fn whoever_stops_the_wizard_leaves_nothing() {
    let lab = Lab::new();
    let (arguments, mut steps) = up_to_the_secrets(&lab);
    steps.push(("aws_access_key_id (", "\u{3}".to_owned()));
    let screen = run(&lab, "alice", &arguments, &steps);
    assert!(screen.code != 0, "{}", screen.text);
    assert!(screen.echoes, "the terminal is as it was: {}", screen.text);
    // Whoever closes standard input is not asked for ever.
    steps.pop();
    steps.push(("aws_access_key_id (", "\u{4}".to_owned()));
    assert!(run(&lab, "alice", &arguments, &steps).code > 0);
    assert_eq!(lab.vault.cli("alice", &["connector", "list", "-o", "json"]).json(), serde_json::json!([]));
    // Nobody is asked where nobody sits.
    lab.vault.cli("alice", &[&REGISTER[..], &["-i"]].concat()).fails(2, "nobody sits at this terminal");
}

/// A machine with the broker's key in a profile and a role that is assumed with it.
fn furnish(lab: &Lab) {
    fs::create_dir_all(lab.vault.beside(".aws")).unwrap();
    let key = &lab.broker.key;
    let credentials = format!("[base]\naws_access_key_id = {}\naws_secret_access_key = {}\n", key.id, key.secret);
    fs::write(lab.vault.beside(".aws/credentials"), credentials).unwrap();
    let config = format!(
        "[profile ml]\nregion = us-east-1\nendpoint_url = {}\nrole_arn = {}\nsource_profile = base\n\
         [profile corp]\nsso_session = corp\n",
        lab.weed.endpoint(),
        Role::Data.arn()
    );
    fs::write(lab.vault.beside(".aws/config"), config).unwrap();
}

#[test]
fn what_the_machine_has_is_offered_and_registered_when_it_is_confirmed() {
    let lab = Lab::new();
    furnish(&lab);
    let auto = [&REGISTER[..], &["--auto-configure", "--resource-type", "s3-bucket"]].concat();
    // In a script everything is said.
    lab.vault.cli("alice", &auto).fails(2, "found: aws:base, aws:ml");
    let named = [&auto[..], &["--from", "aws:ml"]].concat();
    let said = lab.vault.cli("alice", &named).fails(2, "give --yes");
    assert!(said.stderr.contains("not taken: aws:corp: SSO"), "{said}");
    assert!(said.stderr.contains(&Role::Data.arn()) && !said.all().contains(&lab.broker.key.secret), "{said}");
    let stored = lab.vault.cli("alice", &[&named[..], &["--yes", "-o", "json"]].concat());
    assert!(!stored.all().contains(&lab.broker.key.secret), "{stored}");
    assert_eq!((&stored.json()["name"], &stored.json()["auth_method"]), (&"aws-ml".into(), &"iam-role".into()));
    let key = minted(&lab.mint("bob", &["--connector", "aws-ml", "--resource", &lab.id("train")]));
    assert_eq!(lab.boto(&key).expect(&["get-object", &lab.bucket, "train/a.txt"]), "train/a.txt");
    // A data scientist's machine may have keys; the data scientist may not register them.
    lab.vault.cli("bob", &[&named[..], &["--yes"]].concat()).fails(3, "GRANT_MISSING");
}

#[test]
fn a_passthrough_is_loud_in_every_reply_and_listing() {
    let lab = Lab::new();
    let registered = lab.register("loud", &lab.broker.key, &["--allow-passthrough"]).json();
    let described = lab.vault.cli("alice", &["connector", "describe", "loud", "-o", "json"]).json();
    let verified = lab.vault.cli("alice", &["connector", "verify", "loud", "-o", "json"]).json();
    let listed = lab.vault.cli("bob", &["connector", "list", "-o", "json"]).json()[0].clone();
    for said in [registered, described, verified, listed] {
        assert!(said["warnings"][0].as_str().unwrap().starts_with("PASSTHROUGH: "), "{said}");
    }
    let table = lab.vault.cli("bob", &["connector", "list"]).ok();
    assert!(table.stdout.contains("PASSTHROUGH") && !table.stdout.contains("may be handed out"), "{table}");
    let quiet = lab.vault.cli("alice", &["connector", "update", "loud", "--allow-passthrough=false", "-o", "json"]);
    assert_eq!(quiet.json()["warnings"], serde_json::json!([]));
}

#[test]
fn at_a_terminal_the_machine_s_things_are_chosen_by_number_and_no_means_no() {
    let lab = Lab::new();
    furnish(&lab);
    let arguments: Vec<String> =
        [&REGISTER[..], &["mine", "--auto-configure"]].concat().iter().map(|s| (*s).to_owned()).collect();
    let choose = [("which one (number or name)", "2\n".to_owned()), ("found aws:ml", String::new())];
    let no = [&choose[..], &[("register it? [y/N]", "\n".to_owned())]].concat();
    let screen = run(&lab, "alice", &arguments, &no);
    assert_eq!(screen.code, 1, "{}", screen.text);
    assert!(screen.text.contains("nothing was stored"), "{}", screen.text);
    assert_eq!(lab.vault.cli("alice", &["connector", "list", "-o", "json"]).json(), serde_json::json!([]));
    let yes = [&choose[..], &[("register it? [y/N]", "y\n".to_owned())]].concat();
    let screen = run(&lab, "alice", &arguments, &yes);
    assert_eq!(screen.code, 0, "{}", screen.text);
    assert!(!screen.text.contains(&lab.broker.key.secret), "{}", screen.text);
    lab.vault.cli("alice", &["connector", "describe", "mine"]).ok();
}
