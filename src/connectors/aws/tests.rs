//! The AWS type as a whole: settings, ids, narrowing against an evaluator, and
//! minting against a strict STS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::fake::{Fake, Manner, error};
use super::policy::{Effect, Policy, Statement};
use super::*;
use crate::domain::{
    AccessLevel, Downscope, EntropyError, IssuanceId, ManualClock, MintedShape, Principal, PrincipalId, PrincipalKind,
    ProjectId, Revocable, SecretFieldName,
};
use crate::outbound::{Outbound, OutboundRules};
use crate::sealing::Plaintext;

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
    Ask { resource_type: kind(resource_type), resource: ResourceId::canonical(id).unwrap(), access }
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
    assert_eq!(refused_field("web-identity", "{}"), "auth_method");
    assert_eq!(refused_field("secret-key", "[]"), "settings");
}

#[test]
fn an_external_id_is_drawn_once_and_never_replaced() {
    struct Fives;
    impl Entropy for Fives {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
            buffer.fill(5);
            Ok(())
        }
    }
    struct Broken;
    impl Entropy for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }
    let drawn = Aws.complete(role_settings(""), &Fives).unwrap();
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

/// What AWS would decide for a request under a session policy alone: an
/// evaluator of the documented rules, written apart from the code it judges.
fn allowed(policy: &Policy, action: &str, resource: &str, context: &BTreeMap<&str, &str>) -> bool {
    let holds = |statement: &Statement| {
        let any =
            |patterns: &[String], text: &str| patterns.iter().any(|pattern| wild(pattern.as_bytes(), text.as_bytes()));
        let action_holds = if statement.action.is_empty() {
            !any(&statement.not_action, action)
        } else {
            any(&statement.action, action)
        };
        let resource_holds = if statement.resource.is_empty() {
            !any(&statement.not_resource, resource)
        } else {
            any(&statement.resource, resource)
        };
        let condition_holds = statement.condition.iter().all(|(operator, keys)| {
            keys.iter().all(|(key, values)| match (operator.as_str(), context.get(key.as_str())) {
                ("StringLike", value) => value.is_some_and(|value| any(values, value)),
                ("StringEquals" | "Bool", value) => value.is_some_and(|value| values.iter().any(|want| want == value)),
                ("StringNotEqualsIfExists", value) => {
                    value.is_none_or(|value| !values.iter().any(|want| want == value))
                }
                (other, _) => panic!("the evaluator knows no {other}"),
            })
        });
        action_holds && resource_holds && condition_holds
    };
    let effect = |effect| policy.statements().iter().any(|statement| statement.effect == effect && holds(statement));
    effect(Effect::Allow) && !effect(Effect::Deny)
}

fn wild(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if wild(rest, text) => true,
        (Some((b'*', _)), Some((_, tail))) => wild(pattern, tail),
        (Some((b'?', rest)), Some((_, tail))) => wild(rest, tail),
        (Some((one, rest)), Some((other, tail))) => one == other && wild(rest, tail),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn bucket_policy(settings: &Settings, id: &str, access: AccessLevel) -> Policy {
    let scope = Aws.narrow(settings, &ask("s3-bucket", id, access)).unwrap();
    let place = settings.place();
    let built = grants::policy(&place, &scope.target().unwrap(), access).unwrap();
    if settings.policy().is_none() {
        assert_eq!(scope.policy.as_deref(), Some(built.json().as_str()));
    }
    settings.policy().map_or(built.clone(), |cap| built.within(cap).unwrap())
}

fn over_tls() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("aws:SecureTransport", "true"), ("aws:RequestedRegion", "us-east-1")])
}

#[test]
fn a_bucket_session_does_what_it_is_for_and_not_its_neighbours() {
    let read = bucket_policy(&role_settings(""), "s3://datasets/train", AccessLevel::Read);
    let can = |policy: &Policy, action: &str, resource: &str| allowed(policy, action, resource, &over_tls());
    assert!(can(&read, "s3:GetObject", "arn:aws:s3:::datasets/train/a"));
    assert!(can(&read, "s3:GetObject", "arn:aws:s3:::datasets/train"));
    assert!(!can(&read, "s3:GetObject", "arn:aws:s3:::datasets/train2/a"));
    assert!(!can(&read, "s3:GetObject", "arn:aws:s3:::models/train/a"));
    assert!(!can(&read, "s3:PutObject", "arn:aws:s3:::datasets/train/a"));
    assert!(
        !can(&read, "s3:ListAllMyBuckets", "*")
            && !can(&read, "sts:AssumeRole", ROLE)
            && !can(&read, "iam:GetUser", "*")
    );
    let mut plain = over_tls();
    plain.insert("aws:SecureTransport", "false");
    assert!(!allowed(&read, "s3:GetObject", "arn:aws:s3:::datasets/train/a", &plain));
    let mut elsewhere = over_tls();
    elsewhere.insert("aws:RequestedRegion", "eu-west-1");
    assert!(!allowed(&read, "s3:GetObject", "arn:aws:s3:::datasets/train/a", &elsewhere));
    for (prefix, listed) in [("train/", true), ("train/x", true), ("train", false), ("train2/", false), ("", false)] {
        let mut context = over_tls();
        context.insert("s3:prefix", prefix);
        assert_eq!(allowed(&read, "s3:ListBucket", "arn:aws:s3:::datasets", &context), listed, "{prefix:?}");
    }
    let write = bucket_policy(&role_settings(""), "s3://datasets", AccessLevel::Write);
    assert!(
        can(&write, "s3:PutObject", "arn:aws:s3:::datasets/x") && can(&write, "s3:ListBucket", "arn:aws:s3:::datasets")
    );
    assert!(
        !can(&write, "s3:PutLifecycleConfiguration", "arn:aws:s3:::datasets")
            && !can(&write, "s3:DeleteBucket", "arn:aws:s3:::datasets")
    );
    let admin = bucket_policy(&role_settings(""), "s3://datasets", AccessLevel::Admin);
    assert!(
        can(&admin, "s3:PutLifecycleConfiguration", "arn:aws:s3:::datasets")
            && !can(&admin, "s3:DeleteBucket", "arn:aws:s3:::datasets")
    );
    let below = bucket_policy(&role_settings(""), "s3://datasets/train", AccessLevel::Admin);
    assert!(!can(&below, "s3:PutLifecycleConfiguration", "arn:aws:s3:::datasets"));
}

#[test]
fn keys_of_kms_work_for_these_objects_through_s3_only() {
    let read = bucket_policy(&role_settings(""), "s3://datasets/train", AccessLevel::Read);
    let key = "arn:aws:kms:us-east-1:123456789012:key/k";
    let mut context = over_tls();
    context.insert("kms:ViaService", "s3.us-east-1.amazonaws.com");
    context.insert("kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::datasets/train/a");
    assert!(allowed(&read, "kms:Decrypt", key, &context) && !allowed(&read, "kms:GenerateDataKey", key, &context));
    context.insert("kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::models/a");
    assert!(!allowed(&read, "kms:Decrypt", key, &context));
    assert!(!allowed(&read, "kms:Decrypt", key, &over_tls()));
}

proptest! {
    /// The oracle "no wider than asked" over keys near the prefix.
    #[test]
    fn no_key_outside_the_prefix_is_ever_allowed(
        prefix in "[a-c]{1,3}(/[a-c]{1,2}){0,2}",
        key in "[a-c/.*]{0,8}",
        admin in any::<bool>(),
        cap in prop::option::of("[a-c]{0,2}"),
    ) {
        let access = if admin { AccessLevel::Admin } else { AccessLevel::Read };
        let cap = cap.map(|start| format!(
            r#","policy":{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::datasets/{start}*"}}]}}"#
        ));
        let settings = role_settings(cap.as_deref().unwrap_or_default());
        let id = format!("s3://datasets/{prefix}");
        if let Ok(scope) = Aws.narrow(&settings, &ask("s3-bucket", &id, access)) {
            prop_assert!(scope.policy.is_some());
            let policy = bucket_policy(&settings, &id, access);
            let inside = key == prefix || key.starts_with(&format!("{prefix}/"));
            for action in ["s3:GetObject", "s3:PutObject", "s3:DeleteObjectVersion"] {
                let may = allowed(&policy, action, &format!("arn:aws:s3:::datasets/{key}"), &over_tls());
                prop_assert!(!may || inside, "{} {} under {}", action, key, prefix);
            }
            for bucket in ["models", "datasets2"] {
                let other = format!("arn:aws:s3:::{bucket}/{key}");
                let may = allowed(&policy, "s3:GetObject", &other, &over_tls());
                prop_assert!(!may, "another bucket");
            }
        }
    }
}

#[test]
fn what_cannot_be_narrowed_is_refused_and_says_why() {
    let narrow = |json: &str, resource_type: &str, id: &str, access| {
        Aws.narrow(&settings(json), &ask(resource_type, id, access)).map(|scope| scope.policy.is_some())
    };
    let place = r#""region":"us-east-1""#;
    let session = format!(r#"{{"auth_method":"session-token",{place}}}"#);
    assert!(
        narrow(&session, "s3-bucket", "s3://datasets", AccessLevel::Read)
            .unwrap_err()
            .problem
            .contains("GetSessionToken")
    );
    assert_eq!(narrow(&session, "aws-generic", "us-east-1", AccessLevel::Admin), Ok(false));
    assert_eq!(narrow(&session, "aws-generic", "us-east-1", AccessLevel::Read).unwrap_err().field, "access");
    let federation = format!(r#"{{"auth_method":"federation-token",{place}}}"#);
    assert!(narrow(&federation, "aws-generic", "us-east-1", AccessLevel::Admin).is_err());
    assert!(narrow(&federation, "kubernetes-cluster", "us-east-1/a", AccessLevel::Read).is_err());
    assert_eq!(narrow(&federation, "s3-bucket", "s3://datasets", AccessLevel::Read), Ok(true));
    let arns = format!(
        r#"{{"auth_method":"iam-role",{place},"role_arn":"{ROLE}","policy_arns":["arn:aws:iam::aws:policy/X"]}}"#
    );
    assert!(
        narrow(&arns, "s3-bucket", "s3://datasets", AccessLevel::Read).unwrap_err().problem.contains("policy_arns")
    );
    assert_eq!(narrow(&arns, "aws-generic", "us-east-1", AccessLevel::Admin), Ok(false));
    assert!(narrow(&session, "s3-bucket", "datasets", AccessLevel::Read).is_err(), "not canonical");
}

#[test]
fn the_policies_of_ordinary_asks_fit_aws() {
    for settings in [role_settings(""), role_settings(r#","endpoint_url":"https://s3.example.com""#)] {
        for id in ["s3://datasets", "s3://a-rather-long-bucket-name-of-some-company/with/some/levels/of/prefixes/2026"]
        {
            for access in [AccessLevel::Read, AccessLevel::Write, AccessLevel::Admin] {
                let length = bucket_policy(&settings, id, access).json().len();
                assert!(length <= super::policy::POLICY_LENGTH_MAX, "{id} {access}: {length}");
            }
        }
    }
}

#[test]
fn a_handed_in_session_is_never_called_narrowed() {
    let settings = settings(r#"{"auth_method":"sts-token","region":"us-east-1"}"#);
    let now = Timestamp::from_seconds(1_000_000);
    let hours = |hours: u64| Some(now.plus(Duration::from_secs(hours * 3600)));
    let bucket = Aws.narrow(&settings, &ask("s3-bucket", "s3://datasets", AccessLevel::Read)).unwrap();
    assert_eq!(Aws.enforced(&settings, &bucket).downscope, Downscope::None);
    assert!(Aws.passthrough(&settings, &bucket, hours(1), now));
    let generic = Aws.narrow(&settings, &ask("aws-generic", "us-east-1", AccessLevel::Admin)).unwrap();
    assert!(!Aws.passthrough(&settings, &generic, hours(36), now));
    assert!(Aws.passthrough(&settings, &generic, hours(37), now) && Aws.passthrough(&settings, &generic, None, now));
    let cluster = Aws.narrow(&settings, &ask("kubernetes-cluster", "us-east-1/a", AccessLevel::Read)).unwrap();
    assert!(!Aws.passthrough(&settings, &cluster, hours(1), now));
}

#[test]
fn http_is_said_and_tls_is_enforced() {
    let plain = role_settings(r#","endpoint_url":"http://127.0.0.1:1""#);
    let scope = Aws.narrow(&plain, &ask("s3-bucket", "s3://datasets/a", AccessLevel::Read)).unwrap();
    let enforced = Aws.enforced(&plain, &scope);
    assert!(enforced.words.contains("plain http") && enforced.downscope == Downscope::Prefix);
    assert!(!scope.policy.unwrap().contains("SecureTransport"));
    let tls = role_settings(r#","endpoint_url":"https://s3.example.com""#);
    let scope = Aws.narrow(&tls, &ask("s3-bucket", "s3://datasets", AccessLevel::Read)).unwrap();
    assert!(scope.policy.unwrap().contains("SecureTransport"));
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
    assert!(check(&key, &[good[0], good[1], ("aws_session_token", "t")], None).is_err());
    assert!(check(&key, &good, Some(now)).unwrap_err().contains("expires_at"));
    let handed = settings(r#"{"auth_method":"sts-token","region":"us-east-1"}"#);
    let token = [good[0], good[1], ("aws_session_token", super::fake::TOKEN)];
    assert!(check(&handed, &token, None).unwrap_err().contains("expires_at"));
    assert_eq!(check(&handed, &token, Some(Timestamp::from_seconds(2_000))), Ok(()));
    let implicit = settings(r#"{"auth_method":"implicit","region":"us-east-1","profile_name":"ml"}"#);
    assert_eq!(check(&implicit, &[], None), Ok(()));
    assert!(check(&implicit, &good, None).is_err());
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        buffer.fill(0);
        Ok(())
    }
}

fn secret(fields: &[(&str, &str)]) -> SourceCredential {
    let field = |(name, value): &(&str, &str)| {
        (SecretFieldName::parse(name).unwrap(), Plaintext::new(value.as_bytes().to_vec()))
    };
    SourceCredential::new(fields.iter().map(field).collect())
}

fn source_key() -> SourceCredential {
    secret(&[("aws_access_key_id", super::fake::KEY.0), ("aws_secret_access_key", super::fake::KEY.1)])
}

fn upstream(allowed: &str) -> Upstream {
    let rules = OutboundRules {
        allowed_endpoints: vec![allowed.to_owned()],
        extra_roots_pem: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(10),
        implicit_identities: Vec::new(),
    };
    let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    let outbound = Arc::new(Outbound::new(rules).unwrap());
    Upstream { outbound, clock: Arc::new(ManualClock::at(now)), entropy: Arc::new(Zeros) }
}

fn attribution() -> Attribution {
    let project = ProjectId::from_bytes([1; 16]);
    let principal = Principal {
        id: PrincipalId::from_bytes([2; 16]),
        project,
        name: "anna".parse().unwrap(),
        kind: PrincipalKind::User,
        description: String::new(),
        created_by: None,
        created_at: Timestamp::from_seconds(0),
    };
    Attribution { principal, project, issuance: IssuanceId::from_bytes([3; 16]) }
}

/// Mints with these settings (of this method, at the fake) for this resource.
async fn mint(
    fake: &Fake,
    method: &str,
    more: &str,
    (resource_type, id): (&str, &str),
) -> Result<Minted, UpstreamError> {
    let json = format!(r#"{{"auth_method":"{method}","region":"us-east-1","endpoint_url":"{}"{more}}}"#, fake.url);
    let settings = settings(&json);
    let access = if resource_type == "aws-generic" { AccessLevel::Admin } else { AccessLevel::Read };
    let scope = Aws.narrow(&settings, &ask(resource_type, id, access)).unwrap();
    let ttl = Ttl::seconds(3600);
    Aws.mint(&upstream(&fake.url), &settings, &source_key(), None, &scope, ttl, &attribution()).await
}

fn role_at_fake() -> String {
    format!(r#","role_arn":"{ROLE}","external_id":"ours-1","session_tags":{{"team":"ml"}}"#)
}

const BUCKET: (&str, &str) = ("s3-bucket", "s3://datasets/train");

#[tokio::test]
async fn a_role_session_carries_the_whole_attribution_and_the_narrow_policy() {
    let fake = Fake::start(Manner::default()).await;
    let minted = mint(&fake, "iam-role", &role_at_fake(), BUCKET).await.ok().unwrap();
    let MintedShape::AwsSession { access_key_id, session_token, endpoint_url, .. } = &minted.shape else {
        panic!("an AWS session is due");
    };
    assert_eq!((access_key_id.reveal(), session_token.reveal()), (super::fake::SESSION.0, super::fake::TOKEN));
    assert_eq!(endpoint_url.as_deref(), Some(fake.url.as_str()));
    assert_eq!((minted.revocable, minted.passthrough), (Revocable::RoleWide, false));
    let asked = &fake.asked()[0];
    let names = super::attribution::Names::of(&attribution());
    assert_eq!((asked["RoleArn"].as_str(), asked["ExternalId"].as_str()), (ROLE, "ours-1"));
    assert_eq!((&asked["RoleSessionName"], &asked["SourceIdentity"]), (&names.session, &names.source_identity));
    assert_eq!(minted.attribution, names.session);
    let tags: Vec<_> = (1..=4).map(|at| asked[&format!("Tags.member.{at}.Key")].as_str()).collect();
    assert_eq!(tags, ["valetkey:project", "valetkey:principal", "valetkey:issuance", "team"]);
    assert!(
        asked["Policy"].contains("arn:aws:s3:::datasets/train/*") && !asked.contains_key("PolicyArns.member.1.arn")
    );
    assert_eq!(asked["DurationSeconds"], "3600");
}

#[tokio::test]
async fn each_hop_of_a_chain_may_do_nothing_but_the_next() {
    let fake = Fake::start(Manner::default()).await;
    let hub = "arn:aws:iam::123456789012:role/hub";
    let more = format!(r#","role_chain":["{hub}"],"max_session_duration":43200{}"#, role_at_fake());
    mint(&fake, "iam-role", &more, BUCKET).await.ok().unwrap();
    let asked = fake.asked();
    assert_eq!((asked[0]["RoleArn"].as_str(), asked[0]["key"].as_str()), (hub, super::fake::KEY.0));
    assert!(asked[0]["Policy"].contains("sts:AssumeRole") && asked[0]["Policy"].contains(ROLE));
    assert_eq!((asked[1]["RoleArn"].as_str(), asked[1]["key"].as_str()), (ROLE, super::fake::SESSION.0));
    let chained = role_settings(&format!(r#","role_chain":["{hub}"],"max_session_duration":43200"#));
    assert_eq!(Aws.ttl_range(&chained).max.as_seconds(), 3600);
}

#[tokio::test]
async fn a_secret_key_is_never_handed_out() {
    let fake = Fake::start(Manner::default()).await;
    for (resource, action) in [(BUCKET, "GetFederationToken"), (("aws-generic", "us-east-1"), "GetSessionToken")] {
        let minted = mint(&fake, "secret-key", "", resource).await.ok().unwrap();
        let MintedShape::AwsSession { access_key_id, .. } = &minted.shape else {
            panic!("an AWS session is due");
        };
        assert_eq!(access_key_id.reveal(), super::fake::SESSION.0);
        assert_eq!(fake.asked().last().unwrap()["Action"], action);
    }
}

#[tokio::test]
async fn a_login_dies_with_its_session_and_a_token_before_it() {
    let fake = Fake::start(Manner::default()).await;
    let registry = ("docker-registry", "123456789012.dkr.ecr.us-east-1.amazonaws.com/team");
    let login = mint(&fake, "iam-role", &role_at_fake(), registry).await.ok().unwrap();
    let MintedShape::Basic { username, password, endpoint } = &login.shape else {
        panic!("a login is due");
    };
    assert_eq!((username.as_str(), password.reveal()), ("AWS", "pass"));
    assert_eq!(endpoint.as_deref(), Some("https://123456789012.dkr.ecr.us-east-1.amazonaws.com"));
    let now = upstream(&fake.url).clock.now();
    assert!(login.expires_at <= now.plus(Duration::from_secs(3601)), "not the twelve hours of the registry");
    let cluster =
        mint(&fake, "iam-role", &role_at_fake(), ("kubernetes-cluster", "us-east-1/train")).await.ok().unwrap();
    let MintedShape::Bearer { token, endpoint, certificate_authority } = &cluster.shape else {
        panic!("a token is due");
    };
    assert!(token.reveal().starts_with("k8s-aws-v1.") && certificate_authority.is_none());
    assert_eq!(endpoint.as_deref(), Some("https://x.eks"));
    let life = cluster.expires_at.since(now).as_secs();
    assert!((13 * 60..=14 * 60 + 5).contains(&life), "{life}");
}

#[tokio::test]
async fn an_impossible_expiry_and_an_overfull_policy_are_refused() {
    let late = Fake::start(Manner { longer_seconds: 4000, ..Manner::default() }).await;
    assert!(matches!(
        mint(&late, "iam-role", &role_at_fake(), BUCKET).await.err(),
        Some(UpstreamError::BadAnswer { .. })
    ));
    let past = Fake::start(Manner { longer_seconds: -4000, ..Manner::default() }).await;
    assert!(matches!(
        mint(&past, "iam-role", &role_at_fake(), BUCKET).await.err(),
        Some(UpstreamError::BadAnswer { .. })
    ));
    let packed = Fake::start(Manner { packed: 112, ..Manner::default() }).await;
    let error = mint(&packed, "iam-role", &role_at_fake(), BUCKET).await.err();
    assert_eq!(error, Some(UpstreamError::PolicyTooLarge { percent: 112 }));
}

/// SECURITY D2: nothing is asked for, least of all a wider session.
#[tokio::test]
async fn a_policy_that_is_too_long_is_never_sent() {
    let fake = Fake::start(Manner::default()).await;
    let id = format!("s3://datasets/{}", "long/".repeat(100) + "end");
    let error = mint(&fake, "iam-role", &role_at_fake(), ("s3-bucket", &id)).await.err();
    assert!(matches!(error, Some(UpstreamError::PolicyTooLarge { percent }) if percent > 100));
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn refusals_are_told_apart_and_pages_are_no_answer() {
    let page = "<html><body>captive portal</body></html>".to_owned();
    let weed = "<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message></Error>".to_owned();
    for (always, expected) in [
        (error(403, "AccessDenied"), "UPSTREAM_DENIED"),
        (error(403, "InvalidClientTokenId"), "SOURCE_CREDENTIAL_REFUSED"),
        ((403, weed), "SOURCE_CREDENTIAL_REFUSED"),
        (error(400, "PackedPolicyTooLarge"), "POLICY_TOO_LARGE"),
        (error(400, "Throttling"), "UPSTREAM_THROTTLED"),
        ((200, page.clone()), "UPSTREAM_BAD_ANSWER"),
        ((307, page), "UPSTREAM_BAD_ANSWER"),
        ((500, String::new()), "UPSTREAM_UNAVAILABLE"),
    ] {
        let fake = Fake::start(Manner { always: Some(always.clone()), ..Manner::default() }).await;
        let refused = mint(&fake, "iam-role", &role_at_fake(), BUCKET).await.err().unwrap();
        assert_eq!(refused.code(), expected, "{always:?}");
        assert!(fake.asked().len() <= 2, "one try and one more");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_allowed_is_told() {
    let fake = Fake::start(Manner::default()).await;
    let settings = role_settings(&format!(r#","endpoint_url":"{}""#, fake.url));
    let elsewhere = upstream("http://127.0.0.1:1");
    let all = ListAsk { resource_type: None, limit: 10, page: None };
    let error = Aws.verify(&elsewhere, &settings, &source_key(), &all).await.err();
    assert_eq!(error, Some(UpstreamError::AddressRefused));
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn verification_says_who_and_what_with_each_type_by_itself() {
    let fake = Fake::start(Manner::default()).await;
    let settings = role_settings(&format!(r#","endpoint_url":"{}""#, fake.url));
    let all = ListAsk { resource_type: None, limit: 10, page: None };
    let found = Aws.verify(&upstream(&fake.url), &settings, &source_key(), &all).await.unwrap();
    assert!(found.identity.contains("assumed-role/ml-data") && found.identity.contains("user/broker"));
    let ids = |name: &str| {
        let reach = found.reach.iter().find(|reach| reach.resource_type.as_str() == name).unwrap();
        reach.resource_ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(ids("s3-bucket"), ["s3://datasets", "s3://models"]);
    assert_eq!(ids("kubernetes-cluster"), ["us-east-1/a", "us-east-1/b"]);
    let registry = &found.reach[3];
    assert_eq!(registry.missing_permissions, ["ecr:DescribeRepositories"]);
    assert!(registry.error.is_some() && registry.remedy.is_some());
}

#[tokio::test]
async fn lists_go_on_where_a_page_ended() {
    let fake = Fake::start(Manner::default()).await;
    let settings = role_settings(&format!(r#","endpoint_url":"{}""#, fake.url));
    let upstream = upstream(&fake.url);
    for (resource_type, pages) in
        [("s3-bucket", ["s3://datasets", "s3://models"]), ("kubernetes-cluster", ["us-east-1/a", "us-east-1/b"])]
    {
        let mut ask = ListAsk { resource_type: Some(kind(resource_type)), limit: 1, page: None };
        for id in pages {
            let reach = Aws.list_resources(&upstream, &settings, &source_key(), &ask).await.unwrap().remove(0);
            assert_eq!(reach.resource_ids.iter().map(ResourceId::as_str).collect::<Vec<_>>(), [id]);
            ask.page = reach.next_page;
        }
        assert_eq!(ask.page, None);
    }
}

#[tokio::test]
async fn an_implicit_identity_that_the_config_does_not_name_is_refused() {
    let fake = Fake::start(Manner::default()).await;
    let refused = mint(&fake, "implicit", &format!(r#","profile_name":"ml","role_arn":"{ROLE}""#), BUCKET).await.err();
    assert!(matches!(refused, Some(UpstreamError::NotEnabled { .. })));
    assert!(fake.asked().is_empty());
}

#[test]
fn every_method_names_itself() {
    for method in &DESCRIPTION.methods {
        assert!(AuthMethodName::parse(method.name).is_ok());
    }
    assert_eq!(Aws.auth_method(&role_settings("")).as_str(), "iam-role");
}
