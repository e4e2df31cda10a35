//! What each access level means, as the statements of a session policy.
//!
//! Each policy says twice what it is for: Allow names the resource, and Deny
//! fences off the rest, because a resource policy that names the session could
//! add rights that no Allow of ours stops.

use crate::domain::AccessLevel;

use super::ids::Target;
use super::place::Place;
use super::policy::{Policy, Statement};

const S3_READ_OBJECTS: &[&str] = &["s3:GetObject"];
const S3_WRITE_OBJECTS: &[&str] =
    &["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
const S3_ADMIN_OBJECTS: &[&str] = &[
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:GetObjectVersion",
    "s3:DeleteObjectVersion",
    "s3:GetObjectAcl",
    "s3:PutObjectAcl",
    "s3:RestoreObject",
];
const S3_ADMIN_BUCKET: &[&str] = &[
    "s3:GetBucketVersioning",
    "s3:PutBucketVersioning",
    "s3:GetLifecycleConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:GetBucketAcl",
    "s3:PutBucketAcl",
];
const ECR_PULL: &[&str] = &[
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:DescribeImages",
    "ecr:ListImages",
];
const ECR_PUSH: &[&str] =
    &["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"];
const ECR_DELETE: &[&str] = &["ecr:BatchDeleteImage"];
const ECR_OF_REPOSITORY: &[&str] = &["ecr:Batch*", "ecr:*Layer*", "ecr:Put*", "ecr:Describe*", "ecr:List*"];
const ECR_LOGIN: &str = "ecr:GetAuthorizationToken";
/// What listing asks of a role.
const LISTING: &[&str] = &[
    "s3:ListAllMyBuckets",
    "s3:ListBucket",
    "s3:GetBucketLocation",
    "eks:ListClusters",
    "eks:DescribeCluster",
    "ecr:DescribeRepositories",
];

/// The narrow policy for a target; nothing for `aws-generic`.
pub fn policy(place: &Place<'_>, target: &Target, access: AccessLevel) -> Option<Policy> {
    let statements = match target {
        Target::Generic { .. } => return None,
        Target::Bucket { bucket, prefix } => bucket_statements(place, bucket, prefix.as_deref(), access),
        Target::Cluster { region, cluster } => cluster_statements(place, region, cluster),
        Target::Registry { account, region, repository, .. } => {
            let arn = format!("arn:{}:ecr:{region}:{account}:repository/", place.partition.as_str());
            registry_statements(place, &format!("{arn}{}", repository.as_deref().unwrap_or("*")), access)
        }
    };
    Some(Policy::new(statements))
}

/// What is asked of a role to list what it reaches.
pub fn listing(place: &Place<'_>) -> Policy {
    Policy::new(vec![Statement::allow(LISTING, &everywhere()), others(place, LISTING)])
}

/// What an intermediate session of a role chain may do.
pub fn next_hop(role_arn: &str) -> Policy {
    let actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];
    Policy::new(vec![Statement::allow(&actions, &[role_arn.to_owned()])])
}

/// Denies what the session is not for. Other implementations than AWS refuse
/// a policy with NotAction or NotResource, and some let a session whose policy
/// says nothing of STS assume roles: there, what makes rights is denied by name.
fn others(place: &Place<'_>, actions: &[&str]) -> Statement {
    if place.endpoint_url.is_none() {
        Statement::deny_others(actions)
    } else {
        Statement::deny(&["sts:*", "iam:*"], &everywhere())
    }
}

fn everywhere() -> Vec<String> {
    vec!["*".to_owned()]
}

fn bucket_statements(place: &Place<'_>, bucket: &str, prefix: Option<&str>, access: AccessLevel) -> Vec<Statement> {
    let arn = format!("arn:{}:s3:::{bucket}", place.partition.as_str());
    let objects = objects(&arn, prefix);
    let mut statements = vec![
        Statement::allow(object_actions(access), &objects),
        listing_of(&arn, prefix, access),
        Statement::allow(&["s3:GetBucketLocation"], std::slice::from_ref(&arn)),
    ];
    // The bucket's own settings reach past any prefix.
    if access == AccessLevel::Admin && prefix.is_none() {
        statements.push(Statement::allow(S3_ADMIN_BUCKET, std::slice::from_ref(&arn)));
    }
    statements.extend(encryption(place, &arn, &objects, access));
    statements.extend(fences(place, arn, objects));
    statements
}

/// With a prefix, the object of that name and those below it.
fn objects(arn: &str, prefix: Option<&str>) -> Vec<String> {
    match prefix {
        None => vec![format!("{arn}/*")],
        Some(prefix) => vec![format!("{arn}/{prefix}"), format!("{arn}/{prefix}/*")],
    }
}

const fn object_actions(access: AccessLevel) -> &'static [&'static str] {
    match access {
        AccessLevel::Read => S3_READ_OBJECTS,
        AccessLevel::Write => S3_WRITE_OBJECTS,
        AccessLevel::Admin => S3_ADMIN_OBJECTS,
    }
}

/// A list for the prefix `data` would show `data2`: only lists for what
/// begins with `data/` are allowed.
fn listing_of(arn: &str, prefix: Option<&str>, access: AccessLevel) -> Statement {
    let actions: &[&str] = match access {
        AccessLevel::Read => &["s3:ListBucket"],
        AccessLevel::Write => &["s3:ListBucket", "s3:ListBucketMultipartUploads"],
        AccessLevel::Admin => &["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"],
    };
    let statement = Statement::allow(actions, &[arn.to_owned()]);
    match prefix {
        None => statement,
        Some(prefix) => statement.when("StringLike", "s3:prefix", &[format!("{prefix}/*")]),
    }
}

/// Keys of KMS, but only as S3 uses them for these very objects.
fn encryption(place: &Place<'_>, arn: &str, objects: &[String], access: AccessLevel) -> Option<Statement> {
    if place.endpoint_url.is_some() {
        return None;
    }
    let actions: &[&str] = match access {
        AccessLevel::Read => &["kms:Decrypt"],
        AccessLevel::Write | AccessLevel::Admin => &["kms:Decrypt", "kms:GenerateDataKey"],
    };
    let via = format!("s3.{}.{}", place.region, place.partition.domain());
    let mut contexts = vec![arn.to_owned()];
    contexts.extend_from_slice(objects);
    let statement = Statement::allow(actions, &everywhere()).when("StringEquals", "kms:ViaService", &[via]).when(
        "StringLike",
        "kms:EncryptionContext:aws:s3:arn",
        &contexts,
    );
    Some(statement)
}

fn fences(place: &Place<'_>, arn: String, objects: Vec<String>) -> Vec<Statement> {
    let mut fences = vec![others(place, &["s3:*", "kms:Decrypt", "kms:GenerateDataKey"])];
    if place.endpoint_url.is_none() {
        let mut inside = vec![arn];
        inside.extend(objects);
        fences.push(Statement::deny_elsewhere(&["s3:*"], &inside));
        let region = [place.region.to_owned()];
        let elsewhere = Statement::deny(&["s3:*"], &everywhere());
        // IfExists: a request without the key would match the negated operator.
        fences.push(elsewhere.when("StringNotEqualsIfExists", "aws:RequestedRegion", &region));
    }
    if !place.plain_http() {
        let plain = Statement::deny(&["s3:*"], &everywhere());
        fences.push(plain.when("Bool", "aws:SecureTransport", &["false".to_owned()]));
    }
    fences
}

/// The session never leaves the broker: it signs one GetCallerIdentity, which
/// needs no right, and looks up the cluster's address.
fn cluster_statements(place: &Place<'_>, region: &str, cluster: &str) -> Vec<Statement> {
    let arn = format!("arn:{}:eks:{region}:*:cluster/{cluster}", place.partition.as_str());
    let describe = ["eks:DescribeCluster"];
    vec![Statement::allow(&describe, &[arn]), others(place, &describe)]
}

fn registry_statements(place: &Place<'_>, repository: &str, access: AccessLevel) -> Vec<Statement> {
    let mut actions = ECR_PULL.to_vec();
    if access >= AccessLevel::Write {
        actions.extend_from_slice(ECR_PUSH);
    }
    if access >= AccessLevel::Admin {
        actions.extend_from_slice(ECR_DELETE);
    }
    let repository = [repository.to_owned()];
    let mut statements = vec![
        Statement::allow(&actions, &repository),
        Statement::allow(&[ECR_LOGIN], &everywhere()),
        others(place, &["ecr:*"]),
    ];
    if place.endpoint_url.is_none() {
        // GetAuthorizationToken has no resource, so not ecr:* as a whole.
        statements.push(Statement::deny_elsewhere(ECR_OF_REPOSITORY, &repository));
    }
    statements
}
