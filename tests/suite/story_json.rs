//! `-o json` of every verb, on a real S3 and STS: a record is the same in a list, in a description and in the answer of
//! a change, and a field is of one kind wherever it stands. `rig::even` holds each answer against the rest of the promise.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::rig::even;
use crate::rig::lab::{Lab, secrets};

/// The commands there are.
const HELP: &str = include_str!("../golden/cli_help.txt");

/// Verbs that answer no JSON here, each for a reason.
const WITHOUT: [&str; 6] = [
    // They go on until somebody ends them.
    "serve",
    "ssh-agent",
    // A script for a shell.
    "completion",
    // Every vault of this suite was made by it; its answer has a test beside it.
    "init",
    // There is no issuer here, and the clock is in no doubt: `story_issuer` and `cases_g6` have both.
    "key rotate-issuer",
    "clock accept",
];

/// Fields that are of two kinds: a name where something is told of a record, the record where it is about that.
const TWO_KINDS: [&str; 1] = ["principal"];

struct Walk<'a> {
    lab: &'a Lab,
    seen: BTreeSet<String>,
    kinds: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Walk<'_> {
    /// The answer of a verb; `words` of it are the verb.
    fn ask(&mut self, who: &str, words: usize, arguments: &[&str]) -> Value {
        self.ask_with(who, words, arguments, "")
    }

    fn ask_with(&mut self, who: &str, words: usize, arguments: &[&str], input: &str) -> Value {
        let said = self.lab.vault.cli_with(who, &[arguments, &["-o", "json"]].concat(), input).json();
        self.seen.insert(arguments[..words].join(" "));
        self.look(&said);
        said
    }

    fn look(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.kinds.entry(key.clone()).or_default().insert(kind(value));
                    if !["labels", "details", "settings", "settings_schema"].contains(&key.as_str()) {
                        self.look(value);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The record with this id in a list.
    fn listed(&mut self, who: &str, noun: &str, id: &Value) -> Value {
        let list = self.ask(who, 2, &[noun, "list"]);
        let found = list.as_array().unwrap().iter().find(|record| record["id"] == *id);
        found.unwrap_or_else(|| panic!("{id} is in no list of {noun}: {list:#}")).clone()
    }

    /// The record is the same, however it is asked for.
    fn same(&mut self, who: &str, noun: &str, name: &str, changed: &Value) {
        let described = self.ask(who, 2, &[noun, "describe", name]);
        assert_eq!(described, *changed, "{noun}");
        assert_eq!(self.listed(who, noun, &described["id"]), described, "{noun}");
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "yes or no",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "record",
    }
}

/// Without what only the answer of a change has.
fn without(mut record: Value, more: &[&str]) -> Value {
    for key in more {
        record.as_object_mut().unwrap().remove(*key).unwrap_or_else(|| panic!("no {key}"));
    }
    record
}

#[test]
fn every_verb_answers_json_of_one_form() {
    let lab = Lab::with(crate::rig::vault::Setup::new());
    let mut walk = Walk { lab: &lab, seen: BTreeSet::new(), kinds: BTreeMap::new() };
    connectors(&mut walk);
    components_and_stacks(&mut walk);
    runs(&mut walk);
    people(&mut walk);
    the_daemon(&mut walk);
    ends(&mut walk);
    let all: BTreeSet<String> = verbs().into_iter().filter(|verb| !WITHOUT.contains(&verb.as_str())).collect();
    assert_eq!(walk.seen, all, "a verb with an answer that nobody looked at");
    for (field, kinds) in &walk.kinds {
        let one = kinds.iter().filter(|kind| **kind != "null").count() < 2 || TWO_KINDS.contains(&field.as_str());
        assert!(one, "{field} is of more kinds than one: {kinds:?}");
        assert!(!(kinds.contains("list") && kinds.contains("null")), "{field} is a list here and null there");
    }
}

fn connectors(walk: &mut Walk) {
    walk.ask("bob", 2, &["connector-type", "list"]);
    for name in ["aws", "docker", "ssh", "oauth2"] {
        walk.ask("bob", 2, &["connector-type", "describe", name]);
    }
    walk.ask("bob", 2, &["connector-type", "describe", "aws", "--method", "iam-role"]);
    let key = secrets(&walk.lab.broker.key);
    let made = walk.lab.register("prod-s3", &walk.lab.broker.key.clone(), &["--label", "team=ml"]).json();
    walk.seen.insert("connector register".to_owned());
    walk.look(&made);
    walk.same("alice", "connector", "prod-s3", &made);
    let seen_by_others = walk.ask("bob", 2, &["connector", "describe", "prod-s3"]);
    assert_eq!(seen_by_others["settings"], Value::Null);
    assert_eq!(walk.listed("bob", "connector", &made["id"]), seen_by_others);
    let changed = walk.ask("alice", 2, &["connector", "update", "prod-s3", "--ttl-max", "30m"]);
    walk.same("alice", "connector", "prod-s3", &changed);
    let looked = walk.ask("alice", 2, &["connector", "verify", "prod-s3"]);
    walk.same("alice", "connector", "prod-s3", &looked);
    let rotated = walk.ask_with("alice", 2, &["connector", "rotate-secret", "prod-s3", "--secrets", "-"], &key);
    walk.same("alice", "connector", "prod-s3", &rotated);
    walk.ask("alice", 2, &["connector", "list-resources", "prod-s3"]);
    let spare = walk.lab.register("spare", &walk.lab.broker.key.clone(), &["--skip-verify"]).json();
    assert_eq!(keys(&spare), keys(&made));
    let gone = walk.ask("alice", 2, &["connector", "delete", "spare"]);
    assert_eq!((&gone["deleted"], &gone["outstanding_until"]), (&json!("spare"), &Value::Null));
}

fn components_and_stacks(walk: &mut Walk) {
    let register =
        ["component", "register", "artifacts", "--type", "artifact-store", "--needs-resource-type", "s3-bucket"];
    let made = walk.ask("bob", 2, &register);
    walk.same("bob", "component", "artifacts", &made);
    let place = walk.lab.id("train");
    let connect = ["component", "connect", "artifacts", "--connector", "prod-s3", "--resource", &place];
    let linked = walk.ask("bob", 2, &connect);
    assert_eq!(keys(&linked), keys(&made));
    walk.same("bob", "component", "artifacts", &linked);
    walk.ask(
        "bob",
        2,
        &[
            "component",
            "register",
            "other",
            "--type",
            "trainer",
            "--needs-resource-type",
            "s3-bucket",
            "--label",
            "team=ml",
        ],
    );
    let stack = walk.ask("bob", 2, &["stack", "register", "prod", "--component", "artifacts"]);
    walk.same("bob", "stack", "prod", &stack);
    let stack = walk.ask("bob", 2, &["stack", "update", "prod", "--component", "artifacts", "--component", "other"]);
    walk.same("bob", "stack", "prod", &stack);
}

fn runs(walk: &mut Walk) {
    let started = walk.ask("bob", 2, &["run", "start", "--stack", "prod", "--name", "nightly"]);
    assert!(started["secret"].as_str().unwrap().starts_with("vk1_r_"));
    walk.lab.vault.keep_token("run", started["secret"].as_str().unwrap());
    walk.same("bob", "run", "nightly", &without(started, &["secret"]));
    let renewed = walk.ask("run", 2, &["run", "renew", "--self", "--ttl", "10m"]);
    walk.same("bob", "run", "nightly", &renewed);
    let minted = walk.ask("run", 1, &["mint", "--component", "artifacts"]);
    assert_eq!(
        (&minted["shape"], &minted["access"], &minted["downscope"]),
        (&json!("aws_session"), &json!("read"), &json!("prefix"))
    );
    walk.ask("run", 1, &["whoami"]);
    let listed = walk.ask("bob", 2, &["issuance", "list"]);
    assert_eq!((&listed[0]["id"], &listed[0]["run_id"]), (&minted["issuance_id"], &renewed["id"]));
    let finished = walk.ask("bob", 2, &["run", "finish", "nightly"]);
    assert_eq!(keys(&finished["credentials"][0]["issuance"]), keys(&listed[0]));
    walk.same("bob", "run", "nightly", &without(finished, &["credentials", "more"]));
    walk.ask("bob", 1, &["mint", "--component", "artifacts"]);
    let ended = walk.ask("alice", 2, &["issuance", "revoke", "--connector", "prod-s3"]);
    assert_eq!(keys(&ended[0]["issuance"]), keys(&listed[0]));
    walk.ask("bob", 2, &["access", "can"]);
}

fn people(walk: &mut Walk) {
    for noun in ["user", "service-account"] {
        let name = format!("new-{noun}");
        let made = walk.ask("owner", 2, &[noun, "create", &name]);
        assert_eq!(walk.listed("owner", noun, &made["id"]), made);
        let token = walk.ask("owner", 2, &["token", "create", "--for", &name]);
        assert!(token["secret"].as_str().unwrap().starts_with("vk1_"));
        let list = walk.ask("owner", 2, &["token", "list", "--for", &name]);
        assert_eq!(list[0], without(token, &["secret"]));
        let ended = walk.ask("owner", 2, &["token", "revoke", list[0]["id"].as_str().unwrap()]);
        assert_eq!(ended, json!({"revoked": list[0]["id"]}));
        let give = ["binding", "create", "--principal", &name, "--role", "auditor", "--expires-in", "1h"];
        let bound = walk.ask("owner", 2, &give);
        assert_eq!(walk.listed("owner", "binding", &bound["id"]), bound);
        let taken = walk.ask("owner", 2, &["binding", "delete", bound["id"].as_str().unwrap()]);
        assert_eq!(taken, json!({"deleted": bound["id"]}));
        assert_eq!(walk.ask("owner", 2, &[noun, "delete", &name]), json!({"deleted": name}));
    }
    let who = walk.ask("bob", 1, &["whoami"]);
    let bob = walk.ask("owner", 2, &["user", "list"]);
    assert!(bob.as_array().unwrap().contains(&who["principal"]));
    assert!(walk.ask("owner", 2, &["binding", "list"]).as_array().unwrap().contains(&who["bindings"][0]));
    walk.ask("bob", 2, &["role", "list"]);
}

fn the_daemon(walk: &mut Walk) {
    walk.ask("alice", 1, &["status"]);
    walk.ask("alice", 2, &["key", "status"]);
    let lines = walk.ask("carol", 2, &["audit", "list"]);
    let mut tail = walk.lab.vault.command();
    tail.env("VALETKEY_TOKEN_FILE", walk.lab.vault.token_file("carol"));
    let mut tail = tail.args(["audit", "tail", "--after", "1", "-o", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(tail.stdout.take().unwrap()).read_line(&mut line).unwrap();
    tail.kill().unwrap();
    tail.wait().unwrap();
    even::documents(&line);
    walk.seen.insert("audit tail".to_owned());
    let line: Value = serde_json::from_str(&line).unwrap();
    assert!(lines.as_array().unwrap().contains(&line), "a line is the same in a list: {line:#}");
    walk.look(&line);
    let data = walk.lab.vault.data().display().to_string();
    walk.ask("carol", 2, &["audit", "verify", "--data-dir", &data]);
}

/// What is left is deleted; and what is refused is told in one form, too.
fn ends(walk: &mut Walk) {
    for (arguments, code) in [
        (&["stack", "describe", "no-such"][..], 4),
        (&["connector", "delete", "prod-s3"], 3),
        (&["mint", "--component", "artifacts", "--access", "admin"], 3),
        (&["component", "register", "X y", "--type", "trainer"], 1),
    ] {
        let refused = walk.lab.vault.cli("bob", &[arguments, &["-o", "json"]].concat());
        assert_eq!(refused.code, code, "{refused}");
        let told: Value = serde_json::from_str(&refused.stderr).unwrap();
        assert_eq!(even::uneven(&told, ""), None, "{told:#}");
        assert_eq!(
            keys(&told["error"]),
            keys(&json!({"exit_code": 0, "fields": [], "hint": 0, "message": 0, "reason": 0}))
        );
    }
    assert_eq!(walk.ask("bob", 2, &["stack", "delete", "prod"]), json!({"deleted": "prod"}));
    assert_eq!(walk.ask("bob", 2, &["component", "delete", "artifacts"]), json!({"deleted": "artifacts"}));
}

fn keys(record: &Value) -> BTreeSet<&str> {
    record.as_object().unwrap_or_else(|| panic!("no record: {record}")).keys().map(String::as_str).collect()
}

/// The verbs that have no verbs below them.
fn verbs() -> Vec<String> {
    let all: Vec<&str> = HELP.lines().filter_map(|line| line.strip_prefix("=== valetkey ")).collect();
    let leaf = |verb: &&str| !all.iter().any(|other| other.starts_with(&format!("{verb} ")));
    all.iter().copied().filter(leaf).map(str::to_owned).collect()
}
