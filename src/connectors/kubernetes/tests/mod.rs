//! The Kubernetes type as a whole: settings, ids, secrets and narrowing here,
//! an API server beside.

mod asking;
mod ends;
mod minting;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Fake, NOW};
use super::*;
use crate::connectors::workbench::{self, secret};
use crate::domain::{AccessLevel, EntropyError};

const SOURCE: &str = "source-token-that-stays";

fn settings_of(method: &str, more: Value) -> Settings {
    let mut json = json!({
        "auth_method": method,
        "server": "https://kube.example:6443",
        "cluster_name": "train",
        "service_accounts": {"read": "ml/reader", "write": "ml/writer"},
    });
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json).unwrap()
}

fn settings(more: Value) -> Settings {
    let settings = settings_of("token", more);
    Kubernetes.check(&settings).unwrap();
    settings
}

fn refused_fields(more: Value) -> Vec<String> {
    let refused = Kubernetes.check(&settings_of("token", more)).unwrap_err();
    refused.0.into_iter().map(|error| error.field).collect()
}

fn kind() -> ResourceTypeName {
    ResourceTypeName::parse("kubernetes-cluster").unwrap()
}

fn id(text: &str) -> ResourceId {
    ResourceId::canonical(text).unwrap()
}

fn ask(resource: &str, access: AccessLevel, audience: Option<&str>) -> Ask {
    let parameters = audience.map(|text| ("audience".to_owned(), text.to_owned())).into_iter().collect();
    Ask { resource_type: kind(), resource: id(resource), access, parameters }
}

struct NoDice;

impl Entropy for NoDice {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

fn upstream(fake: &Fake, call_timeout: Duration) -> Upstream {
    let upstream = workbench::upstream(&fake.url, None, &[], Timestamp::from_seconds(NOW));
    workbench::within(&Upstream { entropy: Arc::new(NoDice), ..upstream }, call_timeout)
}

/// Settings for this fake, with its CA.
fn settings_at(fake: &Fake, mut more: Value) -> Settings {
    more["server"] = json!(fake.url);
    if more.get("insecure").is_none() && more.get("certificate_authority").is_none() {
        more["certificate_authority"] = json!(fake.ca);
    }
    settings(more)
}

#[test]
fn settings_that_do_not_fit_are_refused_by_field() {
    for server in [
        "http://kube.example",
        "kube.example:6443",
        "https://",
        "https://u:p@kube.example",
        "https://kube.example/?x",
        "https://kube.example/#f",
        "https://kube.example/a/../b",
        "https://kube.example/a//b",
        "https://kube.example\\evil",
        "https://kube.example/%2e%2e",
        "https://kube.example/a:443",
        "https://kube.example\t:6443",
    ] {
        assert_eq!(refused_fields(json!({"server": server})), ["settings.server"], "{server}");
    }
    for (more, field) in [
        (json!({"cluster_name": "a/b"}), "settings.cluster_name"),
        (json!({"cluster_name": ""}), "settings.cluster_name"),
        (json!({"service_accounts": {}}), "settings.service_accounts"),
        (json!({"service_accounts": {"read": "reader"}}), "settings.service_accounts.read"),
        (json!({"service_accounts": {"admin": "ml/Reader"}}), "settings.service_accounts.admin"),
        (json!({"service_accounts": {"write": "ml/../reader"}}), "settings.service_accounts.write"),
        (json!({"certificate_authority": "junk"}), "settings.certificate_authority"),
        (json!({"audiences": ["a b"]}), "settings.audiences"),
        (json!({"audiences": vec!["a"; 33]}), "settings.audiences"),
        (json!({"token_seconds_max": 599}), "settings.token_seconds_max"),
        (json!({"token_seconds_max": 86_401}), "settings.token_seconds_max"),
    ] {
        assert_eq!(refused_fields(more.clone()), [field], "{more}");
    }
    for server in [
        "https://kube.example",
        "https://10.0.0.1:6443/",
        "https://[::1]:6443",
        "https://rancher.example:443/k8s/clusters/c-1",
    ] {
        settings(json!({"server": server}));
    }
}

#[tokio::test]
async fn a_ca_and_no_verification_exclude_each_other() {
    let fake = Fake::start(super::fake::honest).await;
    let both = json!({"certificate_authority": fake.ca, "insecure": true});
    assert_eq!(refused_fields(both), ["settings.insecure"]);
}

#[test]
fn ids_have_one_form_with_the_cluster_in_front() {
    let own = settings(json!({}));
    let canonical = |raw: Option<&str>| Kubernetes.canonical(&own, &kind(), raw).map(|id| id.to_string());
    assert_eq!(canonical(None).unwrap(), "train");
    assert_eq!(canonical(Some("train")).unwrap(), "train");
    for raw in ["ml/reader", "train/ml/reader", "system:serviceaccount:ml:reader"] {
        assert_eq!(canonical(Some(raw)).unwrap(), "train/ml/reader");
    }
    for raw in ["", "other", "other/ml/reader", "train/", "train/ml/", "ml/Reader", "train/ml/a/b", "train2", "ml/a\n"]
    {
        assert_eq!(canonical(Some(raw)).unwrap_err().field, "resource_id", "{raw:?}");
    }
    let within = |outer: &str, inner: &str| Kubernetes.contains(&kind(), &id(outer), &id(inner));
    assert!(within("train", "train/ml/reader") && within("train/ml/reader", "train/ml/reader"));
    assert!(!within("train/ml/reader", "train") && !within("train/ml/reader", "train/ml/reader2"));
    assert!(!within("train", "train2/ml/reader") && !within("train/ml/reader", "train/ml/writer"));
}

#[test]
fn each_level_has_its_own_account_and_no_other() {
    let own = settings(json!({"audiences": ["https://vault.example"]}));
    let narrow = |resource: &str, access, audience| Kubernetes.narrow(&own, &ask(resource, access, audience));
    let read = narrow("train", AccessLevel::Read, None).unwrap();
    assert_eq!((read.service_account.as_str(), read.audience.as_deref()), ("ml/reader", None));
    assert_eq!(narrow("train", AccessLevel::Write, None).unwrap().service_account, "ml/writer");
    assert_eq!(narrow("train/ml/reader", AccessLevel::Read, None).unwrap().service_account, "ml/reader");
    let refused = |resource, access, audience| narrow(resource, access, audience).unwrap_err().field;
    assert_eq!(refused("train", AccessLevel::Admin, None), "access");
    assert_eq!(refused("train/ml/writer", AccessLevel::Read, None), "resource_id");
    assert_eq!(refused("train/ml/reader", AccessLevel::Write, None), "resource_id");
    assert_eq!(refused("train/kube-system/root", AccessLevel::Read, None), "resource_id");
    assert_eq!(refused("other", AccessLevel::Read, None), "resource_id");
    let named = narrow("train", AccessLevel::Read, Some("https://vault.example")).unwrap();
    assert_eq!(named.audience.as_deref(), Some("https://vault.example"));
    assert_eq!(refused("train", AccessLevel::Read, Some("https://vault.example.evil")), "parameters.audience");
}

#[test]
fn the_enforced_scope_names_the_account_for_ever() {
    let own = settings(json!({"audiences": ["system:serviceaccount:a:b"]}));
    let scope = Kubernetes.narrow(&own, &ask("train", AccessLevel::Read, Some("system:serviceaccount:a:b"))).unwrap();
    let words = Kubernetes.enforced(&own, &scope).words;
    assert_eq!(scope::account_in(&words).unwrap().to_string(), "ml/reader", "{words}");
    assert!(scope::account_in("train read: as somebody").is_none());
    let blind = settings(json!({"insecure": true}));
    assert!(Kubernetes.enforced(&blind, &scope).words.contains("NOT verified"));
}

#[tokio::test]
async fn a_server_that_is_not_verified_is_a_danger_and_its_neighbours_are_none() {
    let fake = Fake::start(super::fake::honest).await;
    let dangers = |more| Kubernetes.dangers(&settings(more));
    let said = dangers(json!({"insecure": true}));
    assert!(said.len() == 1 && said[0].starts_with("INSECURE: insecure is on, "), "{said:?}");
    for safe in [json!({}), json!({"insecure": false}), json!({"certificate_authority": fake.ca})] {
        assert_eq!(dangers(safe), Vec::<&str>::new());
    }
}

#[test]
fn lifetimes_are_the_floor_of_tokenrequest_to_the_servers_own_maximum() {
    let seconds = |more| {
        let range = Kubernetes.ttl_range(&settings(more));
        [range.min, range.default, range.max].map(Ttl::as_seconds)
    };
    assert_eq!(seconds(json!({})), [600, 3600, 86_400]);
    assert_eq!(seconds(json!({"token_seconds_max": 900})), [600, 900, 900]);
}

#[tokio::test]
async fn whoever_could_read_the_secret_after_a_change_needs_it_again() {
    let fake = Fake::start(super::fake::honest).await;
    let of = |more| Kubernetes.destination(&settings(more));
    let plain = of(json!({}));
    assert_eq!(plain, of(json!({"audiences": ["x"], "service_accounts": {"admin": "ml/x"}})));
    let others = [
        of(json!({"server": "https://kube.example:6444"})),
        of(json!({"insecure": true})),
        of(json!({"certificate_authority": fake.ca})),
    ];
    assert!(others.iter().all(|other| *other != plain));
}

#[test]
fn a_source_credential_is_a_token_or_a_certificate_or_a_login() {
    let now = Timestamp::from_seconds(NOW);
    let refused = |method: &str, fields: &[(&str, &str)], expires_at: Option<Timestamp>| {
        let checked = Kubernetes.check_secret(&settings_of(method, json!({})), &secret(fields), expires_at, now);
        checked.err().map(|errors| errors.0[0].field.clone()).unwrap_or_default()
    };
    assert_eq!(refused("token", &[("token", SOURCE)], None), "");
    assert_eq!(refused("password", &[("username", "admin"), ("password", "p w")], None), "");
    assert_eq!(refused("token", &[], None), "secrets.token");
    assert_eq!(refused("token", &[("token", "a b")], None), "secrets.token");
    assert_eq!(refused("token", &[("token", SOURCE), ("client_key", "k")], None), "secrets.token");
    assert_eq!(refused("token", &[("client_certificate", "c")], None), "secrets.token");
    assert_eq!(
        refused("token", &[("client_certificate", "c"), ("client_key", "k")], None),
        "secrets.client_certificate"
    );
    assert_eq!(refused("token", &[("token", SOURCE), ("username", "u")], None), "secrets.username");
    assert_eq!(refused("password", &[("username", "a:b"), ("password", "p")], None), "secrets.username");
    assert_eq!(refused("password", &[("username", "a")], None), "secrets.password");
    assert_eq!(refused("token", &[("token", SOURCE)], Some(now)), "secret_expires_at");
}
