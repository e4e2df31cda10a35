//! China and GovCloud: nothing of them is written or called like the public
//! regions. Expectations are literal, from AWS's documentation of endpoints.

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::place::{Partition, Service};
use super::super::policy::Policy;
use super::super::{ids::Target, upstream_eks};
use super::*;
use crate::outbound::{Detours, Outbound, OutboundRules};

/// What is written of one partition.
struct Expected {
    region: &'static str,
    partition: Partition,
    role: &'static str,
    endpoints: [(Service, &'static str); 5],
    /// Where the one IAM signs.
    iam_region: &'static str,
    registry: &'static str,
    repository: &'static str,
    bucket: &'static str,
    objects: [&'static str; 2],
    kms_via: &'static str,
    cluster: &'static str,
}

const CHINA: Expected = Expected {
    region: "cn-northwest-1",
    partition: Partition::China,
    role: "arn:aws-cn:iam::123456789012:role/ml-data",
    endpoints: [
        (Service::Sts, "https://sts.cn-northwest-1.amazonaws.com.cn"),
        (Service::S3, "https://s3.cn-northwest-1.amazonaws.com.cn"),
        (Service::Eks, "https://eks.cn-northwest-1.amazonaws.com.cn"),
        (Service::Ecr, "https://api.ecr.cn-northwest-1.amazonaws.com.cn"),
        (Service::Iam, "https://iam.cn-north-1.amazonaws.com.cn"),
    ],
    iam_region: "cn-north-1",
    registry: "123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn",
    repository: "arn:aws-cn:ecr:cn-northwest-1:123456789012:repository/team/train",
    bucket: "arn:aws-cn:s3:::datasets",
    objects: ["arn:aws-cn:s3:::datasets/train", "arn:aws-cn:s3:::datasets/train/*"],
    kms_via: "s3.cn-northwest-1.amazonaws.com.cn",
    cluster: "arn:aws-cn:eks:cn-northwest-1:*:cluster/demo",
};

const GOVCLOUD: Expected = Expected {
    region: "us-gov-east-1",
    partition: Partition::GovCloud,
    role: "arn:aws-us-gov:iam::123456789012:role/ml-data",
    endpoints: [
        (Service::Sts, "https://sts.us-gov-east-1.amazonaws.com"),
        (Service::S3, "https://s3.us-gov-east-1.amazonaws.com"),
        (Service::Eks, "https://eks.us-gov-east-1.amazonaws.com"),
        (Service::Ecr, "https://api.ecr.us-gov-east-1.amazonaws.com"),
        (Service::Iam, "https://iam.us-gov.amazonaws.com"),
    ],
    iam_region: "us-gov-west-1",
    registry: "123456789012.dkr.ecr.us-gov-east-1.amazonaws.com",
    repository: "arn:aws-us-gov:ecr:us-gov-east-1:123456789012:repository/team/train",
    bucket: "arn:aws-us-gov:s3:::datasets",
    objects: ["arn:aws-us-gov:s3:::datasets/train", "arn:aws-us-gov:s3:::datasets/train/*"],
    kms_via: "s3.us-gov-east-1.amazonaws.com",
    cluster: "arn:aws-us-gov:eks:us-gov-east-1:*:cluster/demo",
};

const BOTH: [Expected; 2] = [CHINA, GOVCLOUD];

impl Expected {
    fn settings(&self) -> Settings {
        let Self { region, role, .. } = self;
        settings(&format!(r#"{{"auth_method":"iam-role","region":"{region}","role_arn":"{role}"}}"#))
    }

    fn policy(&self, resource_type: &str, id: &str, access: AccessLevel) -> Policy {
        let settings = self.settings();
        let target = Target::parse(resource_type, id).unwrap();
        grants::policy(&settings.place(), &target, access).unwrap()
    }
}

#[test]
fn each_partition_is_called_at_its_own_hosts_and_the_outbound_rules_know_them() {
    let rules = OutboundRules {
        allowed_endpoints: Vec::new(),
        extra_roots_pem: None,
        connect_timeout: std::time::Duration::from_secs(1),
        call_timeout: std::time::Duration::from_secs(1),
        implicit_identities: Vec::new(),
        detours: Detours::default(),
    };
    let outbound = Outbound::new(rules).unwrap();
    for expected in BOTH {
        let settings = expected.settings();
        let place = settings.place();
        assert_eq!((place.partition, place.region), (expected.partition, expected.region));
        for (service, endpoint) in expected.endpoints {
            assert_eq!(place.endpoint(service), endpoint);
            assert!(outbound.check_endpoint(endpoint).is_ok(), "{endpoint}");
            let signed_in = if service == Service::Iam { expected.iam_region } else { expected.region };
            assert_eq!(place.signing_region(service), signed_in, "{endpoint}");
        }
    }
}

#[test]
fn policies_name_the_arns_of_their_partition_and_of_no_other() {
    for expected in BOTH {
        let bucket = expected.policy("s3-bucket", "s3://datasets/train", AccessLevel::Write);
        let statements = bucket.statements();
        assert_eq!(statements[0].resource, expected.objects, "objects");
        assert_eq!(statements[1].resource, [expected.bucket], "listing");
        let whole = expected.policy("s3-bucket", "s3://datasets", AccessLevel::Admin);
        assert!(whole.statements().iter().any(|s| s.resource == [format!("{}/*", expected.bucket)]));
        let keys = statements.iter().find(|s| s.action.contains(&"kms:Decrypt".to_owned())).unwrap();
        assert_eq!(keys.condition["StringEquals"]["kms:ViaService"], [expected.kms_via]);

        let id = format!("{}/team/train", expected.registry);
        let registry = expected.policy("docker-registry", &id, AccessLevel::Write);
        assert_eq!(registry.statements()[0].resource, [expected.repository]);
        let id = format!("{}/demo", expected.region);
        let cluster = expected.policy("kubernetes-cluster", &id, AccessLevel::Read);
        assert_eq!(cluster.statements()[0].resource, [expected.cluster]);

        let own = format!("arn:{}:", expected.partition.as_str());
        for policy in [bucket, whole, registry, cluster] {
            let json = policy.json();
            // A context key has an `arn` in its name, and no partition.
            let named = json.matches("\"arn:").count();
            assert!(named > 0 && named == json.matches(&format!("\"{own}")).count(), "{json}");
        }
    }
}

#[test]
fn registries_and_ids_are_those_of_the_partition_and_the_neighbours_are_refused() {
    for (expected, neighbour) in [(CHINA, GOVCLOUD), (GOVCLOUD, CHINA)] {
        let settings = expected.settings();
        let canonical = |resource_type: &str, raw: Option<&str>| {
            Aws.canonical(&settings, &kind(resource_type), raw).map(|id| id.to_string())
        };
        assert_eq!(canonical("docker-registry", None).as_deref(), Ok(expected.registry));
        let repository = format!("{}/team/train", expected.registry);
        assert_eq!(canonical("docker-registry", Some(expected.repository)), Ok(repository.clone()));
        assert_eq!(canonical("docker-registry", Some(&format!("https://{repository}"))), Ok(repository));
        assert_eq!(canonical("s3-bucket", Some(expected.bucket)).as_deref(), Ok("s3://datasets"));
        let cluster = format!("arn:{}:eks:{}:123456789012:cluster/demo", expected.partition.as_str(), expected.region);
        assert_eq!(canonical("kubernetes-cluster", Some(&cluster)), Ok(format!("{}/demo", expected.region)));

        for (resource_type, theirs) in [
            ("docker-registry", neighbour.registry),
            ("docker-registry", neighbour.repository),
            ("docker-registry", "123456789012.dkr.ecr.us-east-1.amazonaws.com"),
            ("s3-bucket", neighbour.bucket),
            ("s3-bucket", "arn:aws:s3:::datasets"),
            ("kubernetes-cluster", neighbour.cluster),
            ("kubernetes-cluster", "arn:aws:eks:us-east-1:123456789012:cluster/demo"),
        ] {
            assert!(canonical(resource_type, Some(theirs)).is_err(), "{theirs} in {}", expected.region);
        }
        // The other domain with this region.
        let wrong = match expected.registry.strip_suffix(".cn") {
            Some(without) => without.to_owned(),
            None => format!("{}.cn", expected.registry),
        };
        assert!(canonical("docker-registry", Some(&wrong)).is_err(), "{wrong}");
        let role = format!(r#"{{"region":"{}","role_arn":"{}"}}"#, expected.region, neighbour.role);
        assert_eq!(refused_field("iam-role", &role), "settings.role_arn");
    }
}

#[test]
fn the_token_of_a_cluster_is_a_call_to_the_sts_of_its_partition() {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("TOKEN".to_owned()), None, "test");
    let now = Timestamp::from_seconds(1_767_225_600);
    for (expected, begins, scope) in [
        (
            CHINA,
            "https://sts.cn-northwest-1.amazonaws.com.cn/?Action=GetCallerIdentity",
            "X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Fcn-northwest-1%2Fsts%2Faws4_request",
        ),
        (
            GOVCLOUD,
            "https://sts.us-gov-east-1.amazonaws.com/?Action=GetCallerIdentity",
            "X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Fus-gov-east-1%2Fsts%2Faws4_request",
        ),
    ] {
        let settings = expected.settings();
        let token = upstream_eks::token(&settings.place(), &credentials, "demo", now).ok().unwrap();
        let url = URL_SAFE_NO_PAD.decode(token.reveal().strip_prefix("k8s-aws-v1.").unwrap()).unwrap();
        let url = String::from_utf8(url).unwrap();
        assert!(url.starts_with(begins) && url.contains(scope), "{url}");
    }
}
