//! OAuth 2.0 through the real daemon and command line, against a certified provider over https: every way to
//! authenticate, scopes that narrow, and a refresh token that each use replaces, also when the power goes.

use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use crate::rig::oidc::{Provider, inspector};
use crate::rig::process::eventually;
use crate::rig::vault::{Outcome, Setup, Vault};

const BASIC: (&str, &str) = ("ml platform:basic", "b4sic+s3cret/ %&=:~ with-blanks");
const POST: (&str, &str) = ("ml-post", "p0st-secret-p0st-secret-p0st-secret");
const REFRESHER: (&str, &str) = ("refresher", "refr3sher-secret-refr3sher-secret");
const LENIENT: (&str, &str) = ("lenient", "l3nient-secret-l3nient-secret-l3n");
const API: &str = "https://api.example.com/v1";

fn client(client: (&str, &str), grants: &[&str], method: &str) -> Value {
    let code = grants.contains(&"refresh_token");
    let grants: Vec<&str> = if code { [&["authorization_code"][..], grants].concat() } else { grants.to_vec() };
    json!({
        "client_id": client.0, "client_secret": client.1, "grant_types": grants,
        "redirect_uris": if code { json!(["https://app.example.com/cb"]) } else { json!([]) },
        "response_types": if code { json!(["code"]) } else { json!([]) },
        "token_endpoint_auth_method": method,
        "scope": if code { "openid offline_access models.read models.write" } else { "models.read models.write" },
    })
}

/// The key as PEM, and its public half as a JWK with an id.
fn signing_key(id: &str) -> (String, Value) {
    use base64::Engine as _;
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let point = key.der_bytes()[1..].to_vec();
    let text = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id,
                     "x": text(&point[..32]), "y": text(&point[32..])});
    (key.serialize_pem(), jwk)
}

fn vault(provider: &Provider) -> Vault {
    let roots = format!("extra_roots = {:?}", provider.authority.ca.display().to_string());
    Setup::new().reaching(&[&provider.url]).with("outbound", roots).start()
}

/// Registers a connector as alice.
fn register(
    vault: &Vault,
    provider: &Provider,
    (name, method): (&str, &str),
    client: &str,
    secrets: &Value,
    sets: &[&str],
) -> Outcome {
    let (api, token) = (format!("api_url={API}"), format!("token_url={}", provider.token_url()));
    let id = format!("client_id={client}");
    let mut arguments = vec!["connector", "register", name, "--type", "oauth2", "--method", method, "--secrets", "-"];
    arguments.extend_from_slice(&["-o", "json", "--access-max", "admin"]);
    for set in [api.as_str(), &token, &id].into_iter().chain(sets.iter().copied()) {
        arguments.extend_from_slice(&["--set", set]);
    }
    vault.cli_with("alice", &arguments, &secrets.to_string())
}

fn mint(vault: &Vault, connector: &str, more: &[&str]) -> Outcome {
    vault.cli("bob", &[&["mint", "--connector", connector, "-o", "json"], more].concat())
}

fn token_of(said: &Value) -> String {
    said["bearer_token"]["token"].as_str().unwrap_or_else(|| panic!("no token in {said}")).to_owned()
}

fn described(vault: &Vault, connector: &str) -> Value {
    vault.cli("alice", &["connector", "describe", connector, "-o", "json"]).json()
}

#[test]
fn a_client_mints_tokens_of_its_scopes_by_every_way_to_authenticate() {
    let (pem, jwk) = signing_key("k1");
    let (stranger, _) = signing_key("k1");
    let signer = json!({
        "client_id": "signer", "grant_types": ["client_credentials"], "redirect_uris": [], "response_types": [],
        "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [jwk]},
        "scope": "models.read models.write", "token_endpoint_auth_signing_alg": "ES256",
    });
    let grants = ["client_credentials"];
    let provider = Provider::start(&json!([
        client(BASIC, &grants, "client_secret_basic"),
        client(POST, &grants, "client_secret_post"),
        signer,
        inspector(),
    ]));
    let vault = vault(&provider);
    let scopes = ["read_scope=models.read", "write_scope=models.read models.write"];
    let signed = ["client_auth_method=private_key_jwt", "key_id=k1"];
    for (name, id, secrets, sets) in [
        ("basic", BASIC.0, json!({ "client_secret": BASIC.1 }), vec![]),
        ("post", POST.0, json!({ "client_secret": POST.1 }), vec!["client_auth_method=post"]),
        ("signed", "signer", json!({ "private_key": pem }), signed.to_vec()),
    ] {
        let sets = [&scopes[..], &sets].concat();
        let made = register(&vault, &provider, (name, "client-credentials"), id, &secrets, &sets).json();
        assert_eq!(made["verification"]["state"], "verified", "{made}");
        let said = mint(&vault, name, &["--access", "write"]).json();
        let seen = provider.introspect(&token_of(&said));
        assert_eq!((&seen["active"], &seen["client_id"]), (&json!(true), &json!(id)), "{seen}");
        assert_eq!(seen["scope"], "models.read models.write");
        // The provider's own end, to the second or two of the call.
        let ends: jiff::Timestamp = said["expires_at"].as_str().unwrap().parse().unwrap();
        assert!((ends.as_second() - seen["exp"].as_i64().unwrap()).abs() <= 3, "{said} {seen}");
        let read = mint(&vault, name, &[]).json();
        assert_eq!(provider.introspect(&token_of(&read))["scope"], "models.read", "read is read");
        assert_eq!(read["downscope"], "resource");
        // The level above has no scope here, and a wish is a subset or refused.
        mint(&vault, name, &["--access", "admin"]).fails(1, "no scope for admin");
        mint(&vault, name, &["--param", "scope=models.write"]).fails(1, "among those of this access level");
        let narrow = mint(&vault, name, &["--access", "write", "--param", "scope=models.write"]).json();
        assert_eq!(provider.introspect(&token_of(&narrow))["scope"], "models.write");
        assert!(narrow["enforced_scope"].as_str().unwrap().ends_with("scope models.write"), "{narrow}");
    }
    // Refused neighbours: another secret, another key, another way, a scope that the provider does not give.
    let wrong = json!({ "client_secret": "wrong-secret" });
    let said = register(&vault, &provider, ("wrong", "client-credentials"), BASIC.0, &wrong, &[]);
    said.fails(1, "SOURCE_CREDENTIAL_REFUSED");
    let other = json!({ "private_key": stranger });
    let said = register(&vault, &provider, ("other-key", "client-credentials"), "signer", &other, &signed);
    said.fails(1, "SOURCE_CREDENTIAL_REFUSED");
    let key = json!({ "private_key": pem });
    let said = register(&vault, &provider, ("other-way", "client-credentials"), BASIC.0, &key, &signed);
    said.fails(1, "SOURCE_CREDENTIAL_REFUSED");
    let right = json!({ "client_secret": POST.1 });
    let sets = ["client_auth_method=post", "scope=models.admin"];
    let said = register(&vault, &provider, ("too-much", "client-credentials"), POST.0, &right, &sets);
    said.fails(1, "invalid_scope");
    assert!(!vault.logs().contains(BASIC.1) && !vault.logs().contains(POST.1));
}

/// The provider gives ten minutes, whatever it is asked for.
#[test]
fn d9_a_token_that_would_outlive_a_ceiling_or_a_run_is_handed_to_nobody() {
    let provider = Provider::start(&json!([client(POST, &["client_credentials"], "client_secret_post"), inspector()]));
    let vault = vault(&provider);
    let (secret, sets) = (json!({ "client_secret": POST.1 }), ["client_auth_method=post", "scope=models.read"]);
    register(&vault, &provider, ("models", "client-credentials"), POST.0, &secret, &sets).ok();
    // A wish is no ceiling: handed out, and nothing is said to be cut.
    let said = mint(&vault, "models", &["--ttl", "2m"]).json();
    let note = said["ttl_note"].as_str().unwrap();
    assert!(note.contains("asked for 120 s; the provider decides") && !note.contains("cut"), "{said}");
    assert_eq!(provider.introspect(&token_of(&said))["active"], json!(true));
    // A run that ends sooner than the token would.
    let bob = |arguments: &[&str]| vault.cli("bob", arguments);
    bob(&["component", "register", "api", "--type", "model-registry", "--needs-resource-type", "oauth2-api"]).ok();
    bob(&["component", "connect", "api", "--connector", "models", "--resource", API]).ok();
    bob(&["stack", "register", "prod", "--component", "api"]).ok();
    let file = vault.token_file("run").display().to_string();
    bob(&["run", "start", "--stack", "prod", "--max-duration", "5m", "--token-out", &file]).ok();
    let in_run = |more: &[&str]| vault.cli("run", &[&["mint", "--component", "api", "-o", "json"], more].concat());
    let refused = in_run(&[]).fails(1, "OUTLIVES_CEILING");
    assert!(
        refused.stderr.contains("past the end of the run") && refused.stderr.contains("--max-duration"),
        "{refused}"
    );
    in_run(&["--ttl", "1m"]).fails(1, "OUTLIVES_CEILING");
    bob(&["mint", "--component", "api", "-o", "json"]).ok();
    let long = vault.token_file("long-run").display().to_string();
    bob(&["run", "start", "--stack", "prod", "--max-duration", "1h", "--token-out", &long]).ok();
    vault.cli("long-run", &["mint", "--component", "api", "-o", "json"]).ok();
    // A ceiling of the connector, for everybody, also for what is kept.
    vault.cli("alice", &["connector", "update", "models", "--ttl-max", "5m"]).ok();
    let refused = mint(&vault, "models", &[]).fails(1, "OUTLIVES_CEILING");
    assert!(refused.stderr.contains("the connector's ttl_max of 300 s"), "{refused}");
    let watch = ["mint", "--connector", "models", "--ttl", "1m", "-o", "json"];
    bob(&watch).fails(1, "OUTLIVES_CEILING");
    // What nobody was handed is in the record as what it is.
    let listed = vault.cli("carol", &["issuance", "list", "-o", "json"]).json();
    let states: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(
        states.iter().filter(|state| **state == "withdrawn").count(),
        2,
        "the run's and the ceiling's: {listed}"
    );
    let lines = vault.cli("carol", &["audit", "list", "--outcome", "failed", "-o", "json"]).json();
    let said: Vec<_> = lines.as_array().unwrap().iter().filter(|line| line["reason"] == "OUTLIVES_CEILING").collect();
    assert_eq!(said.len(), 2, "{lines}");
    assert!(said.iter().all(|line| line["details"]["fate"].as_str().unwrap().contains("handed to nobody")), "{lines}");
    vault.cli("alice", &["connector", "update", "models", "--ttl-max", "10m"]).ok();
    mint(&vault, "models", &[]).ok();
}

#[test]
fn a_refresh_token_that_rotates_serves_many_and_is_never_used_twice() {
    let refresher = client(REFRESHER, &["refresh_token"], "client_secret_basic");
    let provider = Provider::start(&json!([refresher, inspector()]));
    let vault = vault(&provider);
    let first = provider.refresh_token(REFRESHER.0);
    let secrets = json!({ "client_secret": REFRESHER.1, "refresh_token": first });
    let sets = ["read_scope=models.read", "write_scope=models.read models.write"];
    let method = ("anna", "refresh-token");
    let made = register(&vault, &provider, method, REFRESHER.0, &secrets, &sets).json();
    assert_eq!(made["verification"]["state"], "verified", "{made}");
    assert_eq!(provider.granted(), 1, "verified by a mint, whose successor was sealed");
    // A name that is taken costs nothing.
    register(&vault, &provider, method, REFRESHER.0, &secrets, &sets).fails(1, "NAME_TAKEN");
    assert_eq!(provider.granted(), 1);
    // Different asks at once: each with what the last one left.
    let asks: [&[&str]; 4] = [
        &[],
        &["--access", "write"],
        &["--access", "write", "--param", "scope=models.write"],
        &["--access", "write", "--param", "scope=models.read"],
    ];
    let said: Vec<Value> = std::thread::scope(|scope| {
        let running: Vec<_> = asks.iter().map(|ask| scope.spawn(|| mint(&vault, "anna", ask).json())).collect();
        running.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    assert_eq!(provider.granted(), 1 + 4);
    for one in &said {
        let seen = provider.introspect(&token_of(one));
        assert_eq!((&seen["active"], &seen["sub"]), (&json!(true), &json!("anna")), "{one} {seen}");
    }
    // What was minted before stays good, and is handed out from memory.
    assert_eq!(mint(&vault, "anna", asks[0]).json()["issuance_id"], said[0]["issuance_id"]);
    assert_eq!(provider.granted(), 5);
    // Verifying goes the same way, and listing uses nothing up.
    vault.cli("alice", &["connector", "verify", "anna"]).ok();
    assert_eq!(provider.granted(), 6);
    vault.cli("alice", &["connector", "list-resources", "anna"]).ok();
    assert_eq!(provider.granted(), 6);
    // Other settings do not look by themselves: that would use it up beside its turn.
    vault.cli("alice", &["connector", "update", "anna", "--set", "admin_scope=models.write"]).ok();
    assert_eq!(described(&vault, "anna")["verification"]["state"], "unverified");
    assert_eq!(provider.granted(), 6);
    // After a stop the newest one is still there.
    vault.restart();
    mint(&vault, "anna", asks[1]).ok();
    assert_eq!(provider.granted(), 7);
    let kept = vault.cli("alice", &["connector", "describe", "anna", "-o", "json"]);
    assert!(!kept.all().contains(&first));
    // Used by somebody else meanwhile, the provider ends the whole line: the connector says so.
    let fresh = provider.refresh_token(REFRESHER.0);
    let secrets = json!({ "client_secret": REFRESHER.1, "refresh_token": fresh });
    vault.cli_with("alice", &["connector", "rotate-secret", "anna", "--secrets", "-"], &secrets.to_string()).ok();
    mint(&vault, "anna", asks[0]).ok();
    let used = json!({ "client_secret": REFRESHER.1, "refresh_token": fresh });
    let arguments = ["connector", "rotate-secret", "anna", "--secrets", "-"];
    vault.cli_with("alice", &arguments, &used.to_string()).fails(1, "SOURCE_CREDENTIAL_USED_UP");
    let said = mint(&vault, "anna", asks[1]).fails(1, "SOURCE_CREDENTIAL_USED_UP");
    assert!(said.stderr.contains("rotate-secret"), "{said}");
    assert_eq!(described(&vault, "anna")["verification"]["state"], "failing");
}

#[test]
fn a_refresh_token_that_came_with_nonsense_is_stored_before_the_nonsense_is_told() {
    let provider = Provider::start(&json!([client(REFRESHER, &["refresh_token"], "client_secret_basic"), inspector()]));
    let vault = vault(&provider);
    let secrets = json!({ "client_secret": REFRESHER.1, "refresh_token": provider.refresh_token(REFRESHER.0) });
    let sets = ["scope=models.read models.write"];
    register(&vault, &provider, ("anna", "refresh-token"), REFRESHER.0, &secrets, &sets).ok();
    // Each answer has used up what the one before it left: a token that was lost would be refused by the next.
    for fields in
        [json!({"access_token": ""}), json!({"expires_in": -1}), json!({"token_type": 7}), json!({"scope": []})]
    {
        provider.spoil(&fields);
        mint(&vault, "anna", &[]).fails(5, "UPSTREAM_BAD_ANSWER");
    }
    // The command line tries some answers again: each of these asks was served by what the last one left.
    assert!(provider.granted() > 4);
    provider.spoil(&json!({}));
    let said = mint(&vault, "anna", &[]).json();
    assert_eq!(provider.introspect(&token_of(&said))["active"], true);
    assert_eq!(described(&vault, "anna")["verification"]["state"], "verified");
}

/// Kills the daemon between the provider's answer and the commit, and starts it again.
fn killed_in_mid_mint(vault: &Vault, provider: &Provider, connector: &str) {
    provider.hold(true);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| mint(vault, connector, &["--access", "write"]));
        assert!(eventually(Duration::from_secs(20), || provider.held() == 1), "the provider was not asked");
        vault.sigkill();
        assert_ne!(asking.join().unwrap().code, 0);
    });
    provider.hold(false);
    vault.start();
    let unknown = |line: &Value| line["outcome"] == "unknown" && line["reason"] == "DAEMON_STOPPED";
    assert!(vault.ledger().iter().any(unknown), "the intent is closed as unknown");
}

#[test]
fn a_power_cut_between_the_answer_and_the_commit_is_survived_or_said() {
    let grants = ["refresh_token"];
    let provider = Provider::start(&json!([
        client(REFRESHER, &grants, "client_secret_basic"),
        client(LENIENT, &grants, "client_secret_basic"),
        inspector(),
    ]));
    let vault = vault(&provider);
    let sets = ["scope=models.read models.write"];
    for (name, who) in [("strict", REFRESHER), ("lenient", LENIENT)] {
        let secrets = json!({ "client_secret": who.1, "refresh_token": provider.refresh_token(who.0) });
        register(&vault, &provider, (name, "refresh-token"), who.0, &secrets, &sets).ok();
    }
    // Where the provider takes the old one again, nothing was lost.
    killed_in_mid_mint(&vault, &provider, "lenient");
    let said = mint(&vault, "lenient", &["--access", "write"]).json();
    assert_eq!(provider.introspect(&token_of(&said))["active"], true);
    // Where it does not, the error says what happened and what to do, and the connector is failing.
    killed_in_mid_mint(&vault, &provider, "strict");
    let said = mint(&vault, "strict", &["--access", "write"]).fails(1, "SOURCE_CREDENTIAL_USED_UP");
    assert!(
        said.stderr.contains("its replacement was lost on its way") && said.stderr.contains("rotate-secret"),
        "{said}"
    );
    let seen = described(&vault, "strict");
    assert_eq!(seen["verification"]["state"], "failing", "{seen}");
    assert!(seen["verification"]["reason"].as_str().unwrap().contains("rotate-secret"), "{seen}");
    // A new one from a person mends it.
    let secrets = json!({ "client_secret": REFRESHER.1, "refresh_token": provider.refresh_token(REFRESHER.0) });
    vault.cli_with("alice", &["connector", "rotate-secret", "strict", "--secrets", "-"], &secrets.to_string()).ok();
    let said = mint(&vault, "strict", &["--access", "write"]).json();
    assert_eq!(provider.introspect(&token_of(&said))["active"], true);
    assert_eq!(described(&vault, "strict")["verification"]["state"], "verified");
}

#[test]
fn a_token_endpoint_that_the_config_does_not_name_gets_no_secret() {
    let provider = Provider::start(&json!([client(POST, &["client_credentials"], "client_secret_post")]));
    let vault = Setup::new().start();
    let secrets = json!({ "client_secret": POST.1 });
    let said = register(&vault, &provider, ("closed", "client-credentials"), POST.0, &secrets, &[]);
    said.fails(1, "ADDRESS_REFUSED");
    assert_eq!(provider.granted(), 0);
    // Handed in, it is handed on while it lives, and only at its own level.
    let arguments = |end: &'static str| {
        let api: &'static str = "api_url=https://api.example.com/v1";
        vec![
            "connector",
            "register",
            "handed-in",
            "--type",
            "oauth2",
            "--method",
            "token",
            "--secrets",
            "-",
            "--set",
            api,
            "--set",
            "access=write",
            "--skip-verify",
            "--secret-expires-in",
            end,
        ]
    };
    let secret = json!({ "access_token": "t0ken-from-elsewhere" }).to_string();
    vault.cli_with("alice", &arguments("50m"), &secret).ok();
    let said = mint(&vault, "handed-in", &["--access", "write"]).json();
    assert_eq!((token_of(&said).as_str(), &said["downscope"]), ("t0ken-from-elsewhere", &json!("none")), "{said}");
    mint(&vault, "handed-in", &[]).fails(1, "PASSTHROUGH_OFF");
}
