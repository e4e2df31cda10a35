//! valetkey as an OpenID issuer: a connector without any stored secret, an STS that fetches our keys and checks each
//! token, stock libraries that find us by discovery, and everything next to it refused.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::federated::{AUDIENCE, Federated, role_arn};
use crate::rig::lab::minted;
use crate::rig::overheard::Overheard;
use crate::rig::process::eventually;
use crate::rig::vault::{Outcome, Setup, Vault, outcome};
use crate::rig::{cache, ports};

const OBJECTS: [&str; 2] = ["train/a.txt", "test/c.txt"];

/// A vault that is an issuer, and a cloud that trusts it; the test listens in between.
pub struct World {
    pub vault: Vault,
    issuer: String,
    pub cloud: Federated,
    between: Overheard,
}

impl World {
    /// Both, with two buckets.
    pub fn new(setup: Setup) -> Self {
        let between = Overheard::new();
        let (vault, issuer) = issuing(setup, between.endpoint());
        let cloud = Federated::start(&vault.beside("cloud"), &issuer, &vault.ca());
        between.relay_to(cloud.endpoint());
        cloud.bucket("datasets", &OBJECTS);
        cloud.bucket("models", &OBJECTS);
        Self { vault, issuer, cloud, between }
    }

    /// Registers a connector that has no secret, as alice.
    pub fn register(&self, name: &str, more: &[&str]) -> Outcome {
        register(&self.vault, self.between.endpoint(), name, more)
    }

    fn mint(&self, resource: &str) -> Outcome {
        self.vault.cli("bob", &["mint", "-o", "json", "--connector", "keyless", "--resource", resource])
    }

    /// The token that was sent last.
    pub fn token(&self) -> String {
        self.between.heard("WebIdentityToken").pop().expect("a token was sent")
    }

    /// The claims, as stock libraries that found the keys by discovery read them.
    pub fn verify(&self, token: &str, audience: &str) -> Result<Value, String> {
        let ca = self.vault.ca().display().to_string();
        oidc(&["verify", &ca, &self.issuer, audience], token)
    }

    /// Whether the cloud takes it.
    pub fn exchange(&self, token: &str) -> Result<Value, String> {
        oidc(&["exchange", self.cloud.endpoint(), &role_arn()], token)
    }

    fn keys(&self) -> Vec<(String, String)> {
        let status = self.vault.cli("owner", &["key", "status", "-o", "json"]).json();
        let word = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
        status["issuer_keys"].as_array().unwrap().iter().map(|key| (word(key, "state"), word(key, "id"))).collect()
    }
}

fn issuing(setup: Setup, cloud: &str) -> (Vault, String) {
    vouching(setup.reaching(&[cloud]))
}

/// A vault that is an issuer, and its URL.
pub fn vouching(setup: Setup) -> (Vault, String) {
    let [port] = ports::free::<1>();
    let issuer = format!("https://127.0.0.1:{port}");
    let setup =
        setup.with("issuer", format!("url = \"{issuer}\"")).with("issuer", format!("listen = \"127.0.0.1:{port}\""));
    (setup.start(), issuer)
}

fn register(vault: &Vault, endpoint: &str, name: &str, more: &[&str]) -> Outcome {
    let (endpoint, role) = (format!("endpoint_url={endpoint}"), format!("role_arn={}", role_arn()));
    let mut arguments = vec!["connector", "register", name, "--type", "aws", "--method", "web-identity", "-o", "json"];
    arguments.extend(["--set", "region=us-east-1", "--set", &endpoint, "--set", &role, "--resource-type", "s3-bucket"]);
    arguments.extend_from_slice(more);
    vault.cli("alice", &arguments)
}

/// Runs the relying party; the error is the class of the refusal.
fn oidc(arguments: &[&str], token: &str) -> Result<Value, String> {
    let mut command = Command::new(cache::command("python"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("AWS_EC2_METADATA_DISABLED", "true");
    let said = outcome(command.arg(cache::client_program("oidc.py")).args(arguments), token);
    let answer: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("oidc.py {arguments:?}: {said}"));
    if answer["ok"] == true { Ok(answer["value"].clone()) } else { Err(answer["code"].to_string()) }
}

/// The token with one thing wrong.
pub fn forged(token: &str, how: &[&str]) -> String {
    oidc(&[&["forge"], how].concat(), token).unwrap().as_str().unwrap().to_owned()
}

fn kid(token: &str) -> String {
    use base64::Engine as _;
    let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[test]
fn a_connector_without_a_secret_mints_one_prefix_and_the_ledger_names_the_identity() {
    let world = World::new(Setup::new());
    let registered = world.register("keyless", &[]).json();
    assert_eq!(registered["verification"]["state"], "verified", "{registered}");
    let identity = registered["verification"]["identity"].as_str().unwrap();
    assert!(identity.contains("assumed-role/ml-web") && identity.ends_with("by web identity"), "{identity}");
    assert_eq!(registered["secret_fields_set"], json!([]));

    let outcome = world.mint("s3://datasets/train");
    assert_eq!((&outcome.json()["downscope"], &outcome.json()["revocable"]), (&json!("prefix"), &json!("role-wide")));
    let key = minted(&outcome);
    let boto = world.cloud.boto(&key);
    assert_eq!(boto.expect(&["get-object", "datasets", "train/a.txt"]), "train/a.txt");
    assert!(boto.expect(&["whoami"]).as_str().unwrap().contains("assumed-role/ml-web/vk-bob-"));
    for refused in [
        ["get-object", "datasets", "test/c.txt"],
        ["get-object", "models", "train/a.txt"],
        ["put-object", "datasets", "train/new.txt"],
    ] {
        assert_eq!(boto.refused(&refused), "AccessDenied", "{refused:?}");
    }

    let ledger = world.vault.ledger();
    let ok = |line: &&Value| line["outcome"] == "ok" && line["details"]["identity"] == "issuer";
    let named: Vec<_> = ledger.iter().filter(ok).map(|line| line["details"]["identity_subject"].clone()).collect();
    let subject = |who: &str| format!("project:default:connector:keyless:principal:user/{who}");
    assert_eq!(named, [subject("alice"), subject("bob")]);
    assert!(ledger.iter().filter(ok).all(|line| line["details"]["identity_audience"] == AUDIENCE));
    // There is nothing to rotate, and no secret to show again when the endpoint changes.
    world.vault.cli("alice", &["connector", "verify", "keyless"]).ok();
    world.vault.cli("alice", &["connector", "rotate-secret", "keyless"]).ok();
    let endpoint = format!("sts_endpoint_url={}", world.between.endpoint());
    world.vault.cli("alice", &["connector", "update", "keyless", "--set", &endpoint]).ok();
    world.mint("s3://datasets/train").ok();
    assert!(
        !world.vault.logs().contains(&world.token()) && !ledger.iter().any(|line| line.to_string().contains("eyJ"))
    );
}

#[test]
fn stock_libraries_find_the_keys_by_discovery_and_refuse_every_neighbour() {
    let world = World::new(Setup::new());
    world.register("keyless", &[]).ok();
    world.mint("s3://datasets/train").ok();
    let token = world.token();
    let claims = world.verify(&token, AUDIENCE).unwrap();
    assert_eq!(claims["sub"], "project:default:connector:keyless:principal:user/bob");
    for (name, value) in
        [("project", "default"), ("connector", "keyless"), ("principal", "bob"), ("principal_kind", "user")]
    {
        assert_eq!(claims[name], value, "{claims}");
    }
    assert!(claims["issuance"].is_string() && claims.get("run").is_none(), "{claims}");
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 310, "{claims}");

    assert!(world.exchange(&token).is_ok());
    assert_eq!(world.verify(&token, "somebody-else").unwrap_err(), "\"InvalidAudienceError\"");
    for (how, library, cloud) in [
        (&["none"][..], "InvalidAlgorithmError", "InvalidParameterValue"),
        (&["hs256"], "InvalidAlgorithmError", "InvalidParameterValue"),
        (&["signature"], "InvalidSignatureError", "InvalidParameterValue"),
        (
            &["sub", "project:default:connector:keyless:principal:user/alice"],
            "InvalidSignatureError",
            "InvalidParameterValue",
        ),
        (&["aud", "other"], "InvalidSignatureError", "InvalidParameterValue"),
        (&["iss", "https://127.0.0.1:1"], "InvalidSignatureError", "AccessDenied"),
        (&["exp", "4102444800"], "InvalidSignatureError", "InvalidParameterValue"),
        (&["kid", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"], "PyJWKClientError", "AccessDenied"),
    ] {
        let bad = forged(&token, how);
        let refusals = (world.verify(&bad, AUDIENCE).unwrap_err(), world.exchange(&bad).unwrap_err());
        assert_eq!(refusals, (format!("{library:?}"), format!("{cloud:?}")), "{how:?}");
    }
    // Another connector, another audience, another vault: refused by the cloud, and said so.
    world.register("other", &[]).fails(1, "AssumeRoleWithWebIdentity");
    let elsewhere = ["connector", "update", "keyless", "--set", "audience=elsewhere"];
    world.vault.cli("alice", &elsewhere).fails(1, "UPSTREAM_REJECTED");
    let (foreign, _) = issuing(Setup::new(), world.between.endpoint());
    register(&foreign, world.between.endpoint(), "keyless", &[]).fails(1, "UPSTREAM_DENIED");
}

#[test]
fn keys_rotate_and_survive_a_restart_while_tokens_stay_good() {
    let world = World::new(Setup::new().with("issuer", "jwks_max_age = \"1s\""));
    world.register("keyless", &[]).ok();
    let first = world.token();
    let before = world.keys();
    assert!(before.contains(&("active".to_owned(), kid(&first))), "{before:?}");
    world.vault.cli("bob", &["key", "rotate-issuer"]).fails(3, "operator.rotateIssuerKey");
    assert!(eventually(LIMIT, || world.vault.cli("owner", &["key", "rotate-issuer"]).code == 0));
    world.mint("s3://datasets/train").ok();
    let second = world.token();
    assert_ne!(kid(&first), kid(&second));
    for token in [&first, &second] {
        assert!(world.verify(token, AUDIENCE).is_ok() && world.exchange(token).is_ok());
    }
    let states = || world.keys().into_iter().map(|(state, _)| state).collect::<Vec<_>>();
    assert!(eventually(LIMIT, || states() == ["retired", "active", "next"]), "{:?}", world.keys());

    let kept = world.keys();
    world.vault.restart();
    assert_eq!(world.keys(), kept);
    world.mint("s3://datasets/test").ok();
    assert_eq!(kid(&world.token()), kid(&second));
    assert!(world.verify(&first, AUDIENCE).is_ok());
    let ledger = world.vault.ledger();
    let steps = |method: &str| ledger.iter().filter(|line| line["method"].as_str().unwrap().contains(method)).count();
    assert_eq!((steps("issuer/rotate-key"), steps("RotateIssuerKey")), (3, ledger_rotations(&ledger)));
}

fn ledger_rotations(ledger: &[Value]) -> usize {
    let of = |line: &&Value| line["method"].as_str().unwrap().contains("RotateIssuerKey");
    let done = ledger.iter().filter(of).filter(|line| line["details"]["step"] == "activate").count();
    assert_eq!(done, 1);
    ledger.iter().filter(of).count()
}

#[test]
fn a_token_that_has_ended_is_refused_everywhere() {
    let world = World::new(Setup::new().with("issuer", "token_ttl_max = \"5s\""));
    world.register("keyless", &[]).ok();
    let token = world.token();
    let mut refusal = String::new();
    let ended = eventually(LIMIT, || {
        let asked = world.exchange(&token);
        refusal = asked.err().unwrap_or_default();
        !refusal.is_empty()
    });
    assert!(ended && refusal.contains("ExpiredToken"), "{refusal}");
    assert_eq!(world.verify(&token, AUDIENCE).unwrap_err(), "\"ExpiredSignatureError\"");
}

#[test]
fn without_an_issuer_the_remedy_names_the_config() {
    let vault = Setup::new().reaching(&["http://127.0.0.1:1"]).start();
    register(&vault, "http://127.0.0.1:1", "keyless", &[]).fails(1, "NOT_ENABLED");
    register(&vault, "http://127.0.0.1:1", "keyless", &["--skip-verify"]).ok();
    let said = vault.cli("bob", &["mint", "--connector", "keyless", "--resource", "s3://datasets/train"]);
    assert!(said.fails(1, "NOT_ENABLED").stderr.contains("[issuer] url"));
    let status = vault.cli("owner", &["key", "status", "-o", "json"]).json();
    assert_eq!((&status["issuer_url"], &status["issuer_keys"]), (&Value::Null, &json!([])));
    vault.cli("owner", &["key", "rotate-issuer"]).fails(1, "NOT_ENABLED");
}

#[test]
fn the_door_serves_two_documents_and_says_nothing_else() {
    let (vault, issuer) = issuing(Setup::new(), "http://127.0.0.1:1");
    let ca = vault.ca().display().to_string();
    let fetch = |method: &str, path: &str, bytes: &str| {
        oidc(&["fetch", &ca, method, &format!("{issuer}{path}"), bytes], "").unwrap()
    };
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        let found = fetch("GET", path, "0");
        assert_eq!((&found["status"], &found["headers"]["content-type"]), (&json!(200), &json!("application/json")));
        assert_eq!(found["headers"]["cache-control"], "public, max-age=3600");
        assert!(found["headers"].get("server").is_none() && found["body"].as_str().unwrap().starts_with('{'));
        let head = fetch("HEAD", path, "0");
        assert_eq!((&head["status"], &head["body"]), (&json!(200), &json!("")));
        assert_eq!(fetch("POST", path, "0")["status"], 405);
        assert_eq!(fetch("GET", &format!("{path}?x=1"), "0")["status"], 404);
    }
    for path in ["/", "/.well-known/", "/valetkey.v1.AccessService/WhoAmI", "/metrics"] {
        let answer = fetch("GET", path, "0");
        assert_eq!((&answer["status"], &answer["body"]), (&json!(404), &json!("")), "{path}");
        assert!(!answer.to_string().contains("valetkey"), "{answer}");
    }
    assert_eq!(fetch("GET", "/", "20000")["status"], 431);
    // Twice as many silent peers as there are places: the oldest ones lose theirs, and nobody waits.
    let port: u16 = issuer.rsplit(':').next().unwrap().parse().unwrap();
    let silent: Vec<_> = (0..512).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()).collect();
    for _ in 0..3 {
        assert_eq!(fetch("GET", "/.well-known/jwks.json", "0")["status"], 200);
    }
    drop(silent);
    let keys = fetch("GET", "/.well-known/jwks.json", "0")["body"].as_str().unwrap().to_owned();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none() && key["alg"] == "RS256"));
}

/// For what takes seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(40);
