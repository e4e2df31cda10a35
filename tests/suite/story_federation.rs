//! Google and Azure with no stored secret at all: their token services fetch the vault's own keys over https, and take an
//! identity token of one connector, for one audience, until its end.

use std::fs;

use serde_json::{Value, json};

use crate::rig::azure::{CLIENT, Cloud, OBJECT, SUBSCRIPTION, TENANT};
use crate::rig::google::Google;
use crate::rig::overheard::Overheard;
use crate::rig::vault::{Outcome, Setup, Vault};
use crate::rig::weed::unique;
use crate::story_issuer::{forged, vouching};

fn ca(vault: &Vault) -> String {
    fs::read_to_string(vault.ca()).unwrap()
}

fn mint(vault: &Vault, connector: &str, more: &[&str]) -> Outcome {
    vault.cli("bob", &[&["mint", "--connector", connector, "-o", "json"], more].concat())
}

/// What every ledger line about a use of the issuer says: of whom, and for whom.
fn vouched(vault: &Vault) -> Vec<(String, String)> {
    let word = |line: &Value, name: &str| line["details"][name].as_str().unwrap().to_owned();
    let lines =
        vault.ledger().into_iter().filter(|line| line["outcome"] == "ok" && line["details"]["identity"] == "issuer");
    lines.map(|line| (word(&line, "identity_subject"), word(&line, "identity_audience"))).collect()
}

/// The parts of a compact token that anybody reads.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn google_takes_our_identity_token_of_one_connector_and_gives_a_bounded_one() {
    let google = Google::shared();
    let between = Overheard::new();
    between.relay_to(google.endpoint());
    let (vault, issuer) = vouching(Setup::new().reaching(&[between.endpoint()]));
    let pool =
        format!("//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/{}", unique("p"));
    let provider = format!("{pool}/providers/ours");
    let trusting = |changed: &Value| {
        let mut ask = json!({
            "name": provider, "issuer": issuer, "audiences": [format!("https:{provider}")], "ca": ca(&vault),
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"), "subjects": "project:default:connector:keyless:",
        });
        ask.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        ask
    };
    google.ask("provider", &trusting(&json!({})));
    let audience = format!("audience={provider}");
    let register = |vault: &Vault, name: &str| {
        let more = ["--set", audience.as_str(), "--resource-type", "gcs-bucket"];
        Google::register_at(between.endpoint(), vault, name, "external-account", None, &more)
    };
    let registered = register(&vault, "keyless").json();
    let principal =
        |who: &str| format!("principal:{pool}/subject/project:default:connector:keyless:principal:user/{who}");
    assert_eq!(registered["verification"]["state"], "verified", "{registered}");
    assert!(registered.to_string().contains(&principal("alice")), "{registered}");
    assert_eq!(registered["secret_fields_set"], json!([]));

    let bucket = google.new_bucket(&["train/a.txt", "test/c.txt"]);
    let said = mint(&vault, "keyless", &["--resource", &format!("gs://{bucket}/train")]);
    let token = said.json()["bearer_token"]["token"].as_str().unwrap().to_owned();
    assert_eq!((&said.json()["downscope"], &said.json()["attribution"]), (&json!("prefix"), &json!(principal("bob"))));
    let storage = google.storage(&token);
    assert_eq!(storage.expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt");
    assert_eq!(storage.refused(&["get-object", &bucket, "test/c.txt"]), 403);
    assert_eq!(storage.refused(&["put-object", &bucket, "train/a.txt", "x"]), 403);
    let of = |who: &str| {
        let subject = format!("project:default:connector:keyless:principal:user/{who}");
        (subject, format!("https:{provider}"))
    };
    assert_eq!(vouched(&vault), [of("alice"), of("bob")]);

    // What was sent, sent again by stock google-auth; and all that is next to it.
    let ours = between.heard("subject_token").into_iter().rfind(|text| text.starts_with("eyJ")).unwrap();
    let alice = forged(&ours, &["sub", "project:default:connector:keyless:principal:user/alice"]);
    let cases = [
        (json!({}), ours.as_str(), "taken"),
        (json!({}), &forged(&ours, &["signature"]), "invalid_grant"),
        (json!({}), &alice, "invalid_grant"),
        (json!({"ahead": 3600}), &ours, "invalid_grant"),
        (json!({"audiences": ["https://elsewhere"]}), &ours, "invalid_grant"),
        (json!({"issuer": "https://127.0.0.1:1"}), &ours, "invalid_grant"),
        (json!({"ca": google.authority()}), &ours, "invalid_grant"),
        (json!({"subjects": "project:default:connector:other:"}), &ours, "unauthorized_client"),
    ];
    let asks: Vec<_> = cases.iter().map(|(changed, token, _)| json!([trusting(changed), token])).collect();
    assert_eq!(google.exchanges(&Value::from(asks)), json!(cases.map(|(_, _, code)| code)));
    google.ask("provider", &trusting(&json!({})));
    // Another connector, and a connector of this name in another vault.
    let said = register(&vault, "other").fails(1, "UPSTREAM_DENIED");
    assert!(said.stderr.contains("conditions"), "{said}");
    let (foreign, _) = vouching(Setup::new().reaching(&[between.endpoint()]));
    register(&foreign, "keyless").fails(1, "invalid_grant");
    let ledger = Value::from(vault.ledger()).to_string();
    assert!(!ledger.contains("eyJ") && !vault.logs().contains(&ours), "no token is written down");
}

#[test]
fn entra_takes_our_identity_token_of_one_connector_and_gives_tokens_and_signed_urls() {
    let cloud = Cloud::shared();
    let (vault, issuer) = vouching(cloud.reached_by(Setup::new()));
    let trusting = |changed: &Value| {
        let mut ask = json!({
            "issuer": issuer, "subject": "project:default:connector:keyless", "ca": ca(&vault),
            "audience": "api://AzureADTokenExchange",
        });
        ask.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        ask
    };
    cloud.ask("federated", &trusting(&json!({})));
    let register = |vault: &Vault, name: &str| {
        cloud.register(vault, name, "", &["--set", "federated=true", "--access-max", "admin"])
    };
    let registered = register(&vault, "keyless").json();
    assert_eq!(registered["verification"]["state"], "verified", "{registered}");
    assert!(registered["verification"].to_string().contains(OBJECT), "{registered}");
    assert_eq!(registered["secret_fields_set"], json!([]));

    let said = mint(&vault, "keyless", &["--resource-type", "azure-generic", "--access", "admin"]).json();
    let token = said["bearer_token"]["token"].as_str().unwrap();
    let management = format!("{}/subscriptions/{SUBSCRIPTION}", cloud.cloud());
    assert_eq!(cloud.client(&["http", "GET", &management], token)["ok"], 200);
    let container = ["--resource-type", "blob-container", "--resource", "az://mldata/datasets"];
    let said = mint(&vault, "keyless", &container).json();
    let url = said["signed_url"]["url"].as_str().unwrap();
    assert_eq!(cloud.client(&["sas", "read"], url)["ok"], "train/a.txt");
    assert_eq!(cloud.client(&["sas", "write"], url)["error"], "AuthorizationPermissionMismatch");
    let vouched = vouched(&vault);
    let all = ("project:default:connector:keyless".to_owned(), "api://AzureADTokenExchange".to_owned());
    assert!(vouched.len() >= 3 && vouched.iter().all(|one| *one == all), "{vouched:?}");

    // What was sent, sent again by stock azure-identity; and all that is next to it.
    let heard = cloud.ask("heard", &json!({"issuer": issuer}))["assertion"].clone();
    let ours = heard.as_str().unwrap();
    assert_eq!(claims(ours)["principal"], "bob", "the claims say more than the subject");
    let other = forged(ours, &["sub", "project:default:connector:other"]);
    let cases = [
        (json!({}), ours, "taken"),
        (json!({}), &forged(ours, &["signature"]), "AADSTS700027"),
        (json!({}), &other, "AADSTS700027"),
        (json!({"ahead": 3600}), ours, "AADSTS700024"),
        (json!({"audience": "api://elsewhere"}), ours, "AADSTS700212"),
        (json!({"subject": "project:default:connector:Keyless"}), ours, "AADSTS700213"),
    ];
    let asks: Vec<_> = cases.iter().map(|(changed, token, _)| json!([trusting(changed), token])).collect();
    let said = cloud.client(&["federated", cloud.cloud(), TENANT, CLIENT], &Value::from(asks).to_string());
    assert_eq!(said["ok"], json!(cases.map(|(_, _, code)| code)));
    cloud.ask("federated", &trusting(&json!({})));
    // Another connector, and a connector of this name in another vault.
    let said = register(&vault, "other").fails(1, "AADSTS700213");
    let compared = format!("issuer {issuer}, subject project:default:connector:other, audience api://AzureADTokenEx");
    let text = said.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&compared) && !text.contains("rotate"), "{said}");
    let (foreign, _) = vouching(cloud.reached_by(Setup::new()));
    register(&foreign, "keyless").fails(1, "AADSTS700211");
    let ledger = Value::from(vault.ledger()).to_string();
    assert!(!ledger.contains("eyJ") && !vault.logs().contains(ours), "no token is written down");
}
