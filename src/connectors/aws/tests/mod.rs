//! The AWS type as a whole: settings, ids and secrets here, narrowing against an
//! evaluator and minting against a strict STS beside.

mod minting;
mod narrowing;
mod partitions;
mod vouching;

use std::collections::BTreeMap;

use super::*;
use crate::connectors::workbench::{self, Always, attribution, secret};
use crate::domain::{AccessLevel, EntropyError, Minted, NoIssuer};

const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const ROLE: &str = "arn:aws:iam::123456789012:role/ml-data";

fn settings(json: &str) -> Settings {
    let settings: Settings = serde_json::from_str(json).unwrap();
    Aws.check(&settings).unwrap();
    settings
}

fn role_settings(more: &str) -> Settings {
    settings(&format!(r#"{{"auth_method":"iam-role","region":"us-east-1","role_arn":"{ROLE}"{more}}}"#))
}

fn refused_field(method: &str, json: &str) -> String {
    let method = AuthMethodName::parse(method).unwrap();
    crate::connectors::AnyConnectorType::parse_settings(&Aws, &method, json).unwrap_err().0[0].field.clone()
}

fn kind(name: &str) -> ResourceTypeName {
    ResourceTypeName::parse(name).unwrap()
}

fn canonical(resource_type: &str, raw: &str) -> Result<String, FieldError> {
    Aws.canonical(&role_settings(""), &kind(resource_type), Some(raw)).map(|id| id.to_string())
}

fn ask(resource_type: &str, id: &str, access: AccessLevel) -> Ask {
    Ask {
        resource_type: kind(resource_type),
        resource: ResourceId::canonical(id).unwrap(),
        access,
        parameters: BTreeMap::new(),
    }
}

#[test]
fn settings_that_do_not_fit_are_refused_by_field() {
    for (json, field) in [
        (r#"{"region":"moon","role_arn":"arn:aws:iam::123456789012:role/a"}"#, "settings.region"),
        (r#"{"region":"us-east-1","role_arn":"ml-data"}"#, "settings.role_arn"),
        (r#"{"region":"us-east-1","role_arn":"arn:aws:iam::123456789012:user/a"}"#, "settings.role_arn"),
        (r#"{"region":"us-east-1","role_arn":"arn:aws:iam::123:role/a"}"#, "settings.role_arn"),
        (r#"{"region":"us-east-1","role_arn":"arn:aws:iam::123456789012:role/*"}"#, "settings.role_arn"),
        (r#"{"region":"cn-north-1","role_arn":"arn:aws:iam::123456789012:role/a"}"#, "settings.role_arn"),
        (
            r#"{"region":"us-east-1","partition":"aws-cn","role_arn":"arn:aws:iam::123456789012:role/a"}"#,
            "settings.partition",
        ),
        (
            r#"{"region":"us-east-1","endpoint_url":"http://h/p","role_arn":"arn:aws:iam::123456789012:role/a"}"#,
            "settings.endpoint_url",
        ),
        (
            r#"{"region":"us-east-1","sts_endpoint_url":"file:///etc","role_arn":"arn:aws:iam::123456789012:role/a"}"#,
            "settings.sts_endpoint_url",
        ),
        (
            r#"{"region":"us-east-1","external_id":"x","role_arn":"arn:aws:iam::123456789012:role/a"}"#,
            "settings.external_id",
        ),
        (
            r#"{"region":"us-east-1","max_session_duration":60,"role_arn":"arn:aws:iam::123456789012:role/a"}"#,
            "settings.max_session_duration",
        ),
        (
            r#"{"region":"us-east-1","session_tags":{"aws:x":"y"},"role_arn":"arn:aws:iam::123456789012:role/a"}"#,
            "settings.session_tags",
        ),
        (
            r#"{"region":"us-east-1","policy_arns":["arn:aws:iam::999999999999:policy/x"],"role_arn":"arn:aws:iam::123456789012:role/a"}"#,
            "settings.policy_arns",
        ),
    ] {
        assert_eq!(refused_field("iam-role", json), field, "{json}");
    }
    for serial in
        ["short", "arn:aws:iam::123456789012:user/a", "arn:aws-cn:iam::123456789012:mfa/a", "with spaces in it"]
    {
        let json = format!(r#"{{"region":"us-east-1","mfa_serial":"{serial}"}}"#);
        assert_eq!(refused_field("session-token", &json), "settings.mfa_serial", "{serial}");
    }
    assert_eq!(refused_field("web-identities", "{}"), "auth_method");
    assert_eq!(refused_field("secret-key", "[]"), "settings");
}

#[test]
fn an_external_id_is_drawn_once_and_never_replaced() {
    struct Broken;
    impl Entropy for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }
    let drawn = Aws.complete(role_settings(""), &Always(5)).unwrap();
    assert!(
        matches!(&drawn, Settings::IamRole(own) if own.external_id.as_deref() == Some(&*format!("vk-{}", "05".repeat(16))))
    );
    assert_eq!(Aws.complete(drawn.clone(), &Broken).unwrap(), drawn);
    let given = role_settings(r#","external_id":"ours""#);
    assert_eq!(Aws.complete(given.clone(), &Broken).unwrap(), given);
    assert_eq!(Aws.complete(role_settings(""), &Broken).unwrap_err().0[0].field, "settings.external_id");
}

#[test]
fn every_part_of_the_destination_counts() {
    let base = r#"{"auth_method":"secret-key","region":"us-east-1"}"#;
    let all = [
        base,
        r#"{"auth_method":"secret-key","region":"eu-west-1"}"#,
        r#"{"auth_method":"secret-key","region":"us-east-1","endpoint_url":"https://a"}"#,
        r#"{"auth_method":"secret-key","region":"us-east-1","sts_endpoint_url":"https://a"}"#,
        r#"{"auth_method":"secret-key","region":"us-east-1","endpoint_url":"https://a","sts_endpoint_url":"https://a"}"#,
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().map(|json| Aws.destination(&settings(json))).collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn every_spelling_of_an_id_becomes_one() {
    for (resource_type, raw, id) in [
        ("s3-bucket", "datasets", "s3://datasets"),
        ("s3-bucket", "s3://datasets", "s3://datasets"),
        ("s3-bucket", "s3://datasets/", "s3://datasets"),
        ("s3-bucket", "s3://my.data.sets/a/b/", "s3://my.data.sets/a/b"),
        ("s3-bucket", "arn:aws:s3:::datasets/a=1/b c", "s3://datasets/a=1/b c"),
        ("kubernetes-cluster", "train", "us-east-1/train"),
        ("kubernetes-cluster", "us-east-1/train", "us-east-1/train"),
        ("kubernetes-cluster", "arn:aws:eks:us-east-1:123456789012:cluster/train", "us-east-1/train"),
        (
            "docker-registry",
            "https://123456789012.dkr.ecr.us-east-1.amazonaws.com/",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        ),
        (
            "docker-registry",
            "arn:aws:ecr:us-east-1:123456789012:repository/a/b",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b",
        ),
        ("aws-generic", "us-east-1", "us-east-1"),
    ] {
        assert_eq!(canonical(resource_type, raw).as_deref(), Ok(id), "{raw}");
    }
    let implied = Aws.canonical(&role_settings(""), &kind("docker-registry"), None).unwrap();
    assert_eq!(implied.as_str(), "123456789012.dkr.ecr.us-east-1.amazonaws.com");
    let china = settings(r#"{"auth_method":"secret-key","region":"cn-north-1"}"#);
    let bucket = |raw| Aws.canonical(&china, &kind("s3-bucket"), Some(raw));
    assert!(bucket("arn:aws-cn:s3:::datasets").is_ok() && bucket("arn:aws:s3:::datasets").is_err());
}

/// SECURITY D1, D6.
#[test]
fn hostile_ids_are_refused() {
    for raw in [
        "",
        "*",
        "a",
        "ab",
        "s3://",
        "s3:///x",
        "s3://*",
        "a/b",
        "UPPER",
        "s3://data*",
        "s3://data/x*",
        "s3://data/?",
        "s3://data/../y",
        "s3://data/x/../y",
        "s3://data/./y",
        "s3://data//y",
        "s3://data/x//",
        "s3://data/${aws:username}",
        "s3://${aws:username}",
        "s3://data/x\ny",
        "s3://data\n",
        "s3://data/x\\y",
        "s3://data/\u{e9}",
        "s3://data/%2e%2e",
        "s3://data/\"x",
        "s3://192.168.1.1",
        "s3://a..b",
        "s3://-ab",
        "s3://ab-",
        "s3://a.-b",
        "arn:aws:s3:::",
        "arn:aws:s3:::a/*",
        "arn:aws-cn:s3:::datasets",
        "arn:aws:s3:::x:::y",
        "https://datasets",
        "s3://d:x/y",
        "S3://datasets",
    ] {
        assert!(canonical("s3-bucket", raw).is_err(), "{raw:?}");
    }
    for raw in
        ["", "eu-west-1/train", "-x", "a b", "us-east-1/", "a/b/c", "arn:aws:eks:eu-west-1:123456789012:cluster/x", "*"]
    {
        assert!(canonical("kubernetes-cluster", raw).is_err(), "{raw:?}");
    }
    for raw in [
        "",
        "docker.io/x",
        "999999999999.dkr.ecr.us-east-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/A",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/a/*",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/a//b",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com.cn",
    ] {
        assert!(canonical("docker-registry", raw).is_err(), "{raw:?}");
    }
    assert!(canonical("aws-generic", "eu-west-1").is_err());
}

#[test]
fn a_prefix_contains_what_lies_below_it_and_no_neighbour() {
    let contains = |outer: &str, inner: &str| {
        let id = |text| ResourceId::canonical(text).unwrap();
        Aws.contains(&kind("s3-bucket"), &id(outer), &id(inner))
    };
    assert!(contains("s3://b", "s3://b/data") && contains("s3://b/data", "s3://b/data/x"));
    assert!(!contains("s3://b/data", "s3://b/data2") && !contains("s3://b/data/x", "s3://b/data"));
    assert!(!contains("s3://b", "s3://b2") && !contains("s3://b", "s3://b2/data"));
    let cluster = |text| ResourceId::canonical(text).unwrap();
    assert!(!Aws.contains(&kind("kubernetes-cluster"), &cluster("us-east-1"), &cluster("us-east-1/train")));
}

#[test]
fn an_identity_of_the_machine_has_a_roles_lifetimes_with_a_role_and_a_federations_without() {
    let seconds = |more: &str| {
        let json = format!(r#"{{"auth_method":"implicit","region":"us-east-1","profile_name":"ml"{more}}}"#);
        let range = Aws.ttl_range(&settings(&json));
        [range.min, range.default, range.max].map(Ttl::as_seconds)
    };
    assert_eq!(seconds(&format!(r#","role_arn":"{ROLE}""#)), [900, 3600, 3600], "it may be a chain");
    assert_eq!(seconds(""), [900, 3600, 129_600]);
    let named = Aws.ttl_range(&settings(r#"{"auth_method":"federation-token","region":"us-east-1"}"#));
    assert_eq!(named.default.as_seconds(), 43_200, "whoever names the method has its own default");
}

#[test]
fn endpoints_over_http_are_a_danger_beyond_the_machine() {
    let said = |field: &str, url: &str| {
        let told = Aws.dangers(&role_settings(&format!(r#","{field}":"{url}""#)));
        assert!(told.iter().all(|one| one.starts_with("IN THE CLEAR: ") && !one.contains(url)), "{told:?}");
        told.len()
    };
    for field in ["endpoint_url", "sts_endpoint_url"] {
        assert_eq!(said(field, "http://weed.example.com:8333"), 1);
        for safe in ["https://weed.example.com", "http://127.0.0.1:8333", "http://[::1]:8333", "http://localhost:8333"]
        {
            assert_eq!(said(field, safe), 0, "{safe}");
        }
    }
    assert!(Aws.dangers(&role_settings("")).is_empty());
    let keys = secret(&[("aws_access_key_id", "a"), ("aws_secret_access_key", "b")]);
    assert_eq!(Aws.secret_end(&role_settings(""), &keys), None);
}

#[test]
fn secrets_are_checked_by_name_and_length_and_never_repeated() {
    let now = Timestamp::from_seconds(1_000);
    let check = |settings: &Settings, fields: &[(&str, &str)], end| {
        Aws.check_secret(settings, &secret(fields), end, now).map_err(|errors| errors.to_string())
    };
    let key = settings(r#"{"auth_method":"secret-key","region":"us-east-1"}"#);
    let good = [("aws_access_key_id", super::fake::KEY.0), ("aws_secret_access_key", super::fake::KEY.1)];
    assert_eq!(check(&key, &good, None), Ok(()));
    let error = check(&key, &[good[0], ("aws_secret_access_key", "hunter2")], None).unwrap_err();
    assert!(error.contains("secrets.aws_secret_access_key") && !error.contains("hunter2"));
    let surplus = check(&key, &[good[0], good[1], ("aws_session_token", "t")], None).unwrap_err();
    assert!(surplus.contains("secrets.aws_session_token"), "{surplus}");
    assert!(check(&key, &good, Some(now)).unwrap_err().contains("secret_expires_at"));
    let handed = settings(r#"{"auth_method":"sts-token","region":"us-east-1"}"#);
    let token = [good[0], good[1], ("aws_session_token", super::fake::TOKEN)];
    let unsaid = check(&handed, &token, None).unwrap_err();
    assert!(unsaid.contains("secret_expires_at: ") && unsaid.contains("--secret-expires-in"), "{unsaid}");
    assert_eq!(check(&handed, &token, Some(Timestamp::from_seconds(2_000))), Ok(()));
    let mfa = settings(r#"{"auth_method":"session-token","region":"us-east-1","mfa_serial":"GAHT12345678"}"#);
    let seed = [good[0], good[1], ("mfa_totp_seed", SEED)];
    assert_eq!(check(&mfa, &seed, None), Ok(()));
    assert!(check(&mfa, &good, None).unwrap_err().contains("secrets.mfa_totp_seed"));
    let plain = settings(r#"{"auth_method":"session-token","region":"us-east-1"}"#);
    assert!(check(&plain, &seed, None).unwrap_err().contains("secrets.mfa_totp_seed"));
    let implicit = settings(r#"{"auth_method":"implicit","region":"us-east-1","profile_name":"ml"}"#);
    assert_eq!(check(&implicit, &[], None), Ok(()));
    let surplus = check(&implicit, &good, None).unwrap_err();
    assert!(surplus.contains("secrets.aws_access_key_id"), "{surplus}");
}

#[test]
fn every_method_names_itself() {
    for method in &DESCRIPTION.methods {
        assert!(AuthMethodName::parse(method.name).is_ok());
    }
    assert_eq!(Aws.auth_method(&role_settings("")).as_str(), "iam-role");
}
