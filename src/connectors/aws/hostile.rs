//! The entries for the fuzz targets: hostile answers of AWS, and hostile ids
//! and caps given to the writer of session policies.
//!
//! Asks nobody. The policy of whatever id is let in is laid before `judge`
//! with requests for what lies inside, beside and above it: a session may do
//! nothing outside of what was asked for, whatever the id looked like.

use std::time::Duration;

use crate::connectors::hostile::tells_little;
use crate::connectors::{AnyConnectorType, Ask};
use crate::domain::{AccessLevel, AuthMethodName, ResourceTypeName, Timestamp};

use super::Aws;
use super::ids::{DOCKER_REGISTRY, KUBERNETES_CLUSTER, S3_BUCKET, Target};
use super::judge::{Request, allows};
use super::scope::Scope;
use super::{upstream_ecr, upstream_eks, upstream_s3};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// The longest login, and what a clock may be off.
const LOGIN_LIFE: Duration = Duration::from_secs(12 * 3600 + 300);
/// Lines of an input that are tried as keys.
const KEYS_MAX: usize = 8;
/// A request over TLS in the connector's region.
const AS_USUAL: [(&str, &str); 2] = [("aws:SecureTransport", "true"), ("aws:RequestedRegion", "us-east-1")];
/// What no session for one resource may ever do.
const NEVER: [&str; 6] = [
    "sts:AssumeRole",
    "sts:GetFederationToken",
    "iam:CreateAccessKey",
    "s3:DeleteBucket",
    "s3:PutBucketPolicy",
    "ecr:SetRepositoryPolicy",
];
const READS: [&str; 2] = ["s3:GetObject", "s3:GetObjectVersion"];
const WRITES: [&str; 4] = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl"];

/// Reads `data` as the answer of AWS that its first byte names. Those of STS
/// and IAM are read by AWS's own library.
///
/// For the fuzz target: returns for every input. True when it was believed.
#[must_use]
pub fn fuzz_answer(data: &[u8]) -> bool {
    let Some((kind, body)) = data.split_first() else { return false };
    let read = match kind {
        b'l' => upstream_ecr::read_login(body, NOW).map(|login| {
            debug_assert!(login.username == "AWS" && !login.password.reveal().is_empty());
            debug_assert!(login.expires_at > NOW && login.expires_at <= NOW.plus(LOGIN_LIFE));
        }),
        b'c' => upstream_eks::located(body).map(|found| {
            debug_assert!(found.endpoint.starts_with("https://") && !found.endpoint.contains(char::is_whitespace));
            let pem = |text: &String| text.starts_with("-----BEGIN CERTIFICATE-----");
            debug_assert!(found.certificate_authority.as_ref().is_none_or(pem));
        }),
        b'b' => {
            let found = upstream_s3::names(body);
            debug_assert!(found.is_none() || upstream_s3::root(body).is_none_or(|root| root == upstream_s3::LIST));
            return found.is_some_and(|(names, _)| names.len() <= body.len());
        }
        _ => return false,
    };
    read.inspect_err(tells_little).is_ok()
}

/// Narrows an ask made of `text`, whose first line says level, resource type
/// and kind of endpoint by a letter each and then, after a blank, the cap of
/// the connector's own policy, if it has any; whose second line is the id; and
/// whose others are keys to try.
///
/// For the fuzz target: returns for every input. True when a session would be
/// made.
#[must_use]
pub fn fuzz_policy(text: &str) -> bool {
    let mut lines = text.lines();
    let (Some(first), Some(raw)) = (lines.next(), lines.next()) else { return false };
    let (letters, cap) = first.split_once(' ').map_or((first, None), |(letters, cap)| (letters, Some(cap)));
    let has = |letter: char| letters.contains(letter);
    let access = match (has('a'), has('w')) {
        (true, _) => AccessLevel::Admin,
        (false, true) => AccessLevel::Write,
        (false, false) => AccessLevel::Read,
    };
    let kind = match (has('k'), has('d')) {
        (true, _) => KUBERNETES_CLUSTER,
        (false, true) => DOCKER_REGISTRY,
        (false, false) => S3_BUCKET,
    };
    let Some((scope, policy)) = narrowed(kind, raw, access, has('e'), cap) else { return false };
    let Some(target) = scope.target() else { return false };
    let session = Session { policy: &policy, access, capped: cap.is_some() };
    for action in NEVER {
        debug_assert!(!session.may(action, "*") && !session.may(action, "arn:aws:s3:::datasets"), "{action}: {policy}");
    }
    let keys: Vec<&str> = lines.take(KEYS_MAX).collect();
    match &target {
        Target::Bucket { bucket, prefix } => session.is_of_bucket(bucket, prefix.as_deref(), &keys),
        Target::Registry { account, region, repository, .. } => {
            let arn = format!("arn:aws:ecr:{region}:{account}:repository/");
            session.is_of_repository(&arn, repository.as_deref(), &keys);
        }
        Target::Cluster { region, cluster } => {
            // Only what a cluster can be called is one.
            let name = |key: &&str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            for name in keys.iter().copied().filter(name).chain(["", "train2", cluster]) {
                let may =
                    session.may("eks:DescribeCluster", &format!("arn:aws:eks:{region}:123456789012:cluster/{name}"));
                debug_assert_eq!(may, name == cluster, "{name}: {policy}");
            }
        }
        Target::Generic { .. } => {}
    }
    true
}

/// The scope and its policy, by the settings that the letters stand for.
fn narrowed(kind: &str, raw: &str, access: AccessLevel, elsewhere: bool, cap: Option<&str>) -> Option<(Scope, String)> {
    let endpoint_url = elsewhere.then_some("https://s3.example.com");
    let policy = cap.map(|cap| {
        let statement = serde_json::json!({"Effect": "Allow", "Action": "s3:*", "Resource": cap});
        serde_json::json!({"Version": "2012-10-17", "Statement": [statement]})
    });
    let settings = serde_json::json!({
        "region": "us-east-1", "role_arn": "arn:aws:iam::123456789012:role/ml-data", "external_id": "ours-1",
        "endpoint_url": endpoint_url, "policy": policy,
    });
    let (method, resource_type) = (AuthMethodName::parse("iam-role").ok()?, ResourceTypeName::parse(kind).ok()?);
    let settings = AnyConnectorType::parse_settings(&Aws, &method, &settings.to_string()).ok()?.json;
    let resource = AnyConnectorType::canonical(&Aws, &settings, &resource_type, Some(raw)).ok()?;
    let ask = Ask { resource_type, resource, access, parameters: std::collections::BTreeMap::new() };
    let scope = AnyConnectorType::narrow(&Aws, &settings, &ask).ok()?;
    let scope: Scope = serde_json::from_str(&scope.json).ok()?;
    debug_assert!(scope.policy.is_some() && scope.policy_arns.is_empty(), "a session with no policy has every right");
    let policy = scope.policy.clone()?;
    Some((scope, policy))
}

/// A session under a policy.
struct Session<'a> {
    policy: &'a str,
    access: AccessLevel,
    /// The connector's own policy takes something away, perhaps.
    capped: bool,
}

impl Session<'_> {
    fn may(&self, action: &str, resource: &str) -> bool {
        allows(self.policy, Request { action, resource, context: &AS_USUAL })
    }

    fn is_of_bucket(&self, bucket: &str, prefix: Option<&str>, keys: &[&str]) {
        let prefix = prefix.unwrap_or_default();
        let within = |key: &str| prefix.is_empty() || key == prefix || key.starts_with(&format!("{prefix}/"));
        let near =
            [String::new(), prefix.to_owned(), format!("{prefix}/x"), format!("{prefix}2"), format!("{prefix}2/x")];
        let shorter: String = prefix.chars().take(prefix.chars().count().saturating_sub(1)).collect();
        let all = near.iter().map(String::as_str).chain([shorter.as_str(), "*", "?"]).chain(keys.iter().copied());
        for key in all {
            for other in [bucket, "datasets2", "*", &format!("{bucket}2"), &format!("{bucket}.a")] {
                let object = format!("arn:aws:s3:::{other}/{key}");
                let own = other == bucket && within(key);
                for action in READS.iter().chain(&WRITES) {
                    let writes = WRITES.contains(action) && self.access == AccessLevel::Read;
                    let may = self.may(action, &object);
                    debug_assert!(!may || (own && !writes), "{action} {object}: {}", self.policy);
                }
                let context = [AS_USUAL[0], AS_USUAL[1], ("s3:prefix", key)];
                let list =
                    Request { action: "s3:ListBucket", resource: &format!("arn:aws:s3:::{other}"), context: &context };
                let listed = other == bucket && within(key) && (prefix.is_empty() || key != prefix);
                debug_assert!(!allows(self.policy, list) || listed, "lists {key} of {other}: {}", self.policy);
            }
        }
        // And it is of use.
        let object =
            format!("arn:aws:s3:::{bucket}/{}", if prefix.is_empty() { "x".to_owned() } else { format!("{prefix}/x") });
        debug_assert!(self.capped || self.may("s3:GetObject", &object), "{object}: {}", self.policy);
    }

    fn is_of_repository(&self, arn: &str, repository: Option<&str>, names: &[&str]) {
        let own = repository.unwrap_or("team/model");
        let near = [own.to_owned(), format!("{own}2"), format!("{own}/x"), "*".to_owned()];
        for name in near.iter().map(String::as_str).chain(names.iter().copied()) {
            let (one, other) =
                (format!("{arn}{name}"), format!("arn:aws:ecr:eu-west-1:123456789012:repository/{name}"));
            let within = repository.is_none_or(|own| own == name);
            let writes = self.access == AccessLevel::Read;
            debug_assert!(!self.may("ecr:BatchGetImage", &one) || within, "{one}: {}", self.policy);
            debug_assert!(!self.may("ecr:PutImage", &one) || (within && !writes), "{one}: {}", self.policy);
            debug_assert!(!self.may("ecr:BatchGetImage", &other), "{other}: {}", self.policy);
        }
        debug_assert!(self.capped || self.may("ecr:BatchGetImage", &format!("{arn}{own}")), "{}", self.policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_fuzzing_are_narrowed_or_refused() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds/session_policy");
        let mut seeds = 0;
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            let refused = file.to_string_lossy().ends_with(".refused");
            let text = std::fs::read_to_string(&file).unwrap();
            assert_eq!(fuzz_policy(&text), !refused, "{}", file.display());
            seeds += 1;
        }
        assert!(seeds >= 10, "{seeds} seeds");
        assert!(!fuzz_policy("") && !fuzz_policy("r") && !fuzz_policy("r\n*"));
    }

    /// The judge would see it: policies that are too wide, of each kind.
    #[test]
    #[should_panic(expected = "s3:GetObject arn:aws:s3:::datasets/train2")]
    fn a_policy_that_is_too_wide_is_found() {
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::datasets/train*"]}]}"#;
        Session { policy, access: AccessLevel::Read, capped: false }.is_of_bucket("datasets", Some("train"), &[]);
    }
}
