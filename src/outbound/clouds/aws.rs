//! Amazon Web Services, in its three partitions.

/// The AWS services that connectors call. Not any host below amazonaws.com:
/// API gateways, buckets and load balancers there belong to anybody.
const AWS_SERVICES: &[&str] = &["sts", "sts-fips", "s3", "s3-fips", "eks", "fips.eks", "api.ecr", "ecr-fips"];
/// The domains of the partitions aws and aws-us-gov, and of aws-cn.
const AWS_DOMAINS: &[&str] = &[".amazonaws.com.cn", ".amazonaws.com"];

/// `SERVICE.REGION.DOMAIN`, or the global `sts.amazonaws.com`.
pub(super) fn host(host: &str) -> bool {
    let Some(name) = AWS_DOMAINS.iter().find_map(|domain| host.strip_suffix(domain)) else {
        return false;
    };
    let regional = AWS_SERVICES
        .iter()
        .any(|service| name.strip_prefix(service).and_then(|rest| rest.strip_prefix('.')).is_some_and(region));
    // IAM is one for a partition, under these names.
    regional || matches!(name, "sts" | "iam" | "iam.us-gov" | "iam.cn-north-1")
}

/// `us-east-1`, `us-gov-west-1`: letters, then one digit; never a dot.
fn region(text: &str) -> bool {
    let mut parts = text.split('-').rev();
    let number = parts.next().is_some_and(|part| part.len() == 1 && part.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<&str> = parts.collect();
    let letters = words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
    number && letters && (2..=4).contains(&words.len())
}
