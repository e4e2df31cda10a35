//! What every connector type must hold to, run over the whole catalog: a new
//! type is under it by its line there, and by a row of examples here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::workbench::Always;
use super::*;
use crate::domain::{AccessLevel, AuthMethodName, ResourceId, ResourceTypeName, Timestamp};

/// Ids to try, canonical, each list with at least two that differ.
pub(super) const EXAMPLES: &[(&str, &str, &[&str])] = &[
    ("aws", "aws-generic", &["us-east-1"]),
    ("aws", "s3-bucket", &["s3://datasets", "s3://datasets/train", "s3://datasets/train/a", "s3://datasets/train2"]),
    ("aws", "kubernetes-cluster", &["us-east-1/train", "us-east-1/serve"]),
    (
        "aws",
        "docker-registry",
        &[
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/model",
        ],
    ),
    ("kubernetes", "kubernetes-cluster", &["train", "train/ml/reader", "train/ml/reader2", "train/serve/reader"]),
    ("gcp", "gcp-generic", &["ml-prod-123456"]),
    ("gcp", "gcs-bucket", &["gs://datasets", "gs://datasets/train", "gs://datasets/train/a", "gs://datasets/train2"]),
    ("gcp", "kubernetes-cluster", &["europe-west4/train", "europe-west4-a/train"]),
    (
        "gcp",
        "docker-registry",
        &["europe-west4-docker.pkg.dev/ml-prod-123456/models", "gcr.io/ml-prod-123456", "eu.gcr.io/ml-prod-123456"],
    ),
    ("azure", "azure-generic", &["0b1f6471-1bf0-4dda-aec3-cb9272f09590", "1b1f6471-1bf0-4dda-aec3-cb9272f09590"]),
    (
        "azure",
        "blob-container",
        &["az://mldata/datasets", "az://mldata/datasets/train", "az://mldata/datasets/train2", "az://mldata/models"],
    ),
    ("azure", "kubernetes-cluster", &["ml/train", "ml/serve"]),
    ("azure", "docker-registry", &["mlteam.azurecr.io", "mlteam.azurecr.io/base", "mlteam.azurecr.io/base/model"]),
    ("ssh", "ssh-host", &["gpu1.example.com", "gpu2.example.com:2222"]),
    (
        "docker",
        "docker-registry",
        &["registry.example.com", "registry.example.com/team/model", "registry.example.com/team/model-2"],
    ),
    ("oauth2", "oauth2-api", &["https://api.example.com/v1"]),
];

/// What some asks need beyond that; each ask is tried with it and without.
const PARAMETERS: &[(&str, &str, &str)] =
    &[("ssh-host", "public_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM")];

/// The required fields of a schema, each with its first example.
pub(super) fn example(schema: &str) -> Value {
    let schema: Value = serde_json::from_str(schema).expect("a schema is JSON");
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["additionalProperties"], false, "unknown fields are refused, and the schema says so");
    let properties = schema["properties"].as_object().expect("a schema has properties");
    for (name, property) in properties {
        assert!(property.get("title").is_some() && property.get("description").is_some(), "{name} is documented");
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let first = |name: &Value| {
        let name = name.as_str().expect("a name is text");
        let example = properties[name]["examples"][0].clone();
        assert!(!example.is_null(), "{name} is required and has an example");
        (name.to_owned(), example)
    };
    Value::Object(required.iter().map(first).collect::<Map<_, _>>())
}

/// Each type with each method and its example settings, stored form.
fn each(mut look: impl FnMut(&'static dyn AnyConnectorType, &'static MethodDescription, &str)) {
    for kind in CATALOG {
        for method in &kind.description().methods {
            let name = AuthMethodName::parse(method.name).expect("a method is a word");
            let settings = example(&method.settings_schema).to_string();
            let checked = kind.parse_settings(&name, &settings).expect("the schema's own examples are taken");
            look(*kind, method, &checked.json);
        }
    }
}

fn ask_for(resource_type: ResourceTypeName, id: &str, access: AccessLevel) -> Ask {
    Ask { resource_type, resource: ResourceId::canonical(id).unwrap(), access, parameters: BTreeMap::new() }
}

fn asks(kind: &dyn AnyConnectorType) -> Vec<Ask> {
    let mut asks = Vec::new();
    for (_, resource_type, ids) in EXAMPLES.iter().filter(|(name, ..)| *name == kind.description().name) {
        for id in *ids {
            for access in [AccessLevel::Read, AccessLevel::Write, AccessLevel::Admin] {
                let name = ResourceTypeName::parse(resource_type).unwrap();
                let plain = ask_for(name, id, access);
                let named = PARAMETERS.iter().filter(|(name, ..)| name == resource_type);
                let parameters = named.map(|(_, name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                asks.push(Ask { parameters, ..plain.clone() });
                asks.push(plain);
            }
        }
    }
    asks
}

#[test]
fn names_are_words_and_different() {
    let names: BTreeSet<_> = CATALOG.iter().map(|kind| kind.description().name).collect();
    assert_eq!(names.len(), CATALOG.len());
    for kind in CATALOG {
        let described = kind.description();
        assert!(find(described.name).is_some() && !described.summary.is_empty());
        let methods: BTreeSet<_> = described.methods.iter().map(|method| method.name).collect();
        assert_eq!(methods.len(), described.methods.len());
        for resource in &described.resources {
            assert!(ResourceTypeName::parse(resource.name).is_ok() && !resource.id_form.is_empty());
            let AccessMeaning { read, write, admin } = resource.access;
            assert!([resource.summary, read, write, admin].iter().all(|text| !text.is_empty()));
            let tried = EXAMPLES.iter().any(|(name, kind, _)| (*name, *kind) == (described.name, resource.name));
            assert!(tried, "{} {} needs a row of examples", described.name, resource.name);
        }
    }
}

#[test]
fn methods_have_sensible_lifetimes_and_documented_secrets() {
    each(|kind, method, settings| {
        let ttl = kind.stored_settings(settings).unwrap().ttl;
        assert!(ttl.min <= ttl.default && ttl.default <= ttl.max, "{}", method.name);
        assert!(ttl.max <= method.ttl.max, "{}: settings shorten the method's range", method.name);
        assert!(!method.summary.is_empty() && method.secrets.iter().all(|secret| !secret.summary.is_empty()));
    });
}

#[test]
fn stored_settings_are_canonical_and_completing_twice_changes_nothing() {
    each(|kind, _, settings| {
        assert_eq!(kind.stored_settings(settings).unwrap().json, settings);
        let once = kind.complete(settings, &Always(7)).unwrap();
        assert_eq!(kind.complete(&once.json, &Always(7)).unwrap(), once);
        assert_eq!(once.destination, kind.stored_settings(settings).unwrap().destination);
    });
}

#[test]
fn unknown_fields_methods_and_types_are_refused_by_name() {
    each(|kind, method, settings| {
        let name = AuthMethodName::parse(method.name).unwrap();
        let mut object: Map<String, Value> = serde_json::from_str(settings).unwrap();
        let doubled = kind.parse_settings(&name, settings).unwrap_err();
        assert!(doubled.to_string().contains("auth_method"), "{doubled}");
        object.remove("auth_method");
        object.insert("surprise".to_owned(), "hunter2".into());
        let refused = kind.parse_settings(&name, &Value::Object(object).to_string()).unwrap_err().to_string();
        assert!(refused.contains("surprise") && !refused.contains("hunter2"), "{refused}");
        let unknown = ResourceTypeName::parse("no-such-type").unwrap();
        assert_eq!(kind.canonical(settings, &unknown, Some("x")).unwrap_err().field, "resource_type");
        let ask = ask_for(unknown, "x", AccessLevel::Read);
        let refused = kind.narrow(settings, &ask).unwrap_err();
        // An id is read by its type, so that either may be said to be the wrong one.
        assert!(["resource_type", "resource_id"].contains(&refused.field.as_str()), "{}: {refused}", method.name);
    });
}

#[test]
fn canonical_forms_stay_and_containment_is_an_order() {
    each(|kind, _, settings| {
        let asks = asks(kind);
        for ask in &asks {
            let again = kind.canonical(settings, &ask.resource_type, Some(ask.resource.as_str()));
            assert_eq!(again.as_ref(), Ok(&ask.resource));
            assert!(kind.contains(&ask.resource_type, &ask.resource, &ask.resource));
        }
        for (one, two) in asks.iter().flat_map(|one| asks.iter().map(move |two| (one, two))) {
            let same_type = one.resource_type == two.resource_type;
            let both = kind.contains(&one.resource_type, &one.resource, &two.resource)
                && kind.contains(&one.resource_type, &two.resource, &one.resource);
            assert!(!same_type || !both || one.resource == two.resource);
        }
    });
}

#[test]
fn narrowing_is_pure_says_what_is_enforced_and_serves_every_method() {
    each(|kind, method, settings| {
        let mut served = 0;
        for ask in asks(kind) {
            let Ok(scope) = kind.narrow(settings, &ask) else {
                continue;
            };
            served += 1;
            assert_eq!(kind.narrow(settings, &ask).as_ref(), Ok(&scope));
            assert!(scope.enforced.words.contains(ask.resource.as_str()), "{}", scope.enforced.words);
            assert!(kind.passthrough(settings, &scope.json, None, Timestamp::from_seconds(0)).is_ok());
        }
        // A federated session with no policy may do nothing, and is refused.
        assert!(served > 0, "{} serves something", method.name);
    });
}

#[test]
fn hostile_settings_never_panic() {
    for text in
        ["", "{}", "[]", "null", "{\"region\":7}", "{\"policy\":{\"Version\":[]}}", "{\"role_chain\":{}}", "\u{0}"]
    {
        fuzz_settings(text.as_bytes());
    }
    fuzz_settings(b"\xff\xfe");
}

proptest::proptest! {
    #[test]
    fn any_bytes_as_settings_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        fuzz_settings(&bytes);
    }
}
