//! What a session may do, by the judge of AWS's rules.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::judge::{self, Request};
use super::super::policy::Policy;
use super::*;
use crate::domain::Downscope;

/// What AWS would decide for a request under a session policy alone.
fn allowed(policy: &Policy, action: &str, resource: &str, context: &BTreeMap<&str, &str>) -> bool {
    let context: Vec<(&str, &str)> = context.iter().map(|(key, value)| (*key, *value)).collect();
    judge::allows(&policy.json(), Request { action, resource, context: &context })
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
    let refused = |resource_type: &str, id: &str, access| narrow(&federation, resource_type, id, access).unwrap_err();
    assert!(refused("aws-generic", "us-east-1", AccessLevel::Admin).problem.contains("may do nothing"));
    assert!(refused("kubernetes-cluster", "us-east-1/a", AccessLevel::Read).problem.contains("federated names"));
    assert_eq!(narrow(&federation, "s3-bucket", "s3://datasets", AccessLevel::Read), Ok(true));
    let arns = format!(
        r#"{{"auth_method":"iam-role",{place},"role_arn":"{ROLE}","policy_arns":["arn:aws:iam::aws:policy/X"]}}"#
    );
    assert!(
        narrow(&arns, "s3-bucket", "s3://datasets", AccessLevel::Read).unwrap_err().problem.contains("policy_arns")
    );
    assert_eq!(narrow(&arns, "aws-generic", "us-east-1", AccessLevel::Admin), Ok(false));
    let bare = narrow(&session, "s3-bucket", "datasets", AccessLevel::Read).unwrap_err();
    assert_eq!((bare.field.as_str(), bare.problem.contains("canonical")), ("resource_id", true));
}

#[test]
fn the_policies_of_ordinary_asks_fit_aws() {
    for settings in [role_settings(""), role_settings(r#","endpoint_url":"https://s3.example.com""#)] {
        for id in ["s3://datasets", "s3://a-rather-long-bucket-name-of-some-company/with/some/levels/of/prefixes/2026"]
        {
            for access in [AccessLevel::Read, AccessLevel::Write, AccessLevel::Admin] {
                let length = bucket_policy(&settings, id, access).json().len();
                assert!(length <= super::super::policy::POLICY_LENGTH_MAX, "{id} {access}: {length}");
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

/// Seen: SeaweedFS refuses a policy with NotAction or NotResource as malformed.
#[test]
fn policies_for_other_implementations_have_no_not_forms() {
    let place = r#","endpoint_url":"https://s3.example.com""#;
    for (resource_type, id) in [
        ("s3-bucket", "s3://datasets/train"),
        ("kubernetes-cluster", "us-east-1/train"),
        ("docker-registry", "123456789012.dkr.ecr.us-east-1.amazonaws.com/team"),
    ] {
        let scope = Aws.narrow(&role_settings(place), &ask(resource_type, id, AccessLevel::Read)).unwrap();
        let policy = scope.policy.unwrap();
        assert!(!policy.contains("NotAction") && !policy.contains("NotResource"), "{policy}");
        assert!(policy.contains(r#""Effect":"Deny","Action":["sts:*","iam:*"]"#), "{policy}");
    }
}
