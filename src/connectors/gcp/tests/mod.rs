//! The GCP type as a whole: settings, ids, scopes and secrets here; tokens,
//! identities and keys against a fake beside.

mod identities;
mod listing;
mod secrets;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::connectors::workbench::{self, attribution, secret};
use crate::domain::{AccessLevel, Downscope};

const PROJECT: &str = r#""project_id":"ml-prod-123456""#;
const TARGET: &str = "ml-data@ml-prod-123456.iam.gserviceaccount.com";

fn settings(method: &str, more: &str) -> Settings {
    let json = format!(r#"{{"auth_method":"{method}",{PROJECT}{more}}}"#);
    let settings: Settings = serde_json::from_str(&json).unwrap();
    Gcp.check(&settings).unwrap();
    settings
}

fn refused_field(method: &str, json: &str) -> String {
    let method = AuthMethodName::parse(method).unwrap();
    crate::connectors::AnyConnectorType::parse_settings(&Gcp, &method, json).unwrap_err().0[0].field.clone()
}

fn kind(name: &str) -> ResourceTypeName {
    ResourceTypeName::parse(name).unwrap()
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
    let long = "a".repeat(31);
    for (method, more, field) in [
        ("service-account", r#","endpoint_url":"http://h/p""#, "settings.endpoint_url"),
        ("service-account", r#","endpoint_url":"file:///etc""#, "settings.endpoint_url"),
        ("service-account", r#","endpoint_url":"https://u@h""#, "settings.endpoint_url"),
        ("service-account", r#","location":"Moon/1""#, "settings.location"),
        ("impersonation", r#","target_principal":"ml-data""#, "settings.target_principal"),
        ("impersonation", r#","target_principal":"a@b.c/../keys""#, "settings.target_principal"),
        ("impersonation", r#","target_principal":"a@b.c","delegates":["x"]"#, "settings.delegates"),
        (
            "impersonation",
            r#","target_principal":"a@b.c","delegates":["a@b.c","a@b.c","a@b.c","a@b.c","a@b.c"]"#,
            "settings.delegates",
        ),
        ("impersonation", r#","target_principal":"a@b.c","lifetime":299"#, "settings.lifetime"),
        ("impersonation", r#","target_principal":"a@b.c","lifetime":43201"#, "settings.lifetime"),
        ("external-account", r#","audience":"//iam.example.com/projects/1""#, "settings.audience"),
        ("external-account", r#","token_audience":"x""#, "settings.token_audience"),
        ("external-account", r#","lifetime":600"#, "settings.lifetime"),
        ("implicit", r#","metadata_url":"http://h/computeMetadata""#, "settings.metadata_url"),
        ("implicit", r#","service_account":"../token""#, "settings.service_account"),
    ] {
        assert_eq!(refused_field(method, &format!("{{{PROJECT}{more}}}")), field, "{more}");
    }
    for project in ["short", "1-begins-with-digit", "Upper-Case", "ends-with-", "with/slash", &long] {
        let json = format!(r#"{{"project_id":"{project}"}}"#);
        assert_eq!(refused_field("service-account", &json), "settings.project_id", "{project}");
    }
    assert_eq!(refused_field("gcloud", "{}"), "auth_method");
}

#[test]
fn every_part_of_the_destination_counts() {
    let all = [
        ("service-account", ""),
        ("service-account", r#","endpoint_url":"https://a""#),
        ("implicit", ""),
        ("implicit", r#","metadata_url":"https://a""#),
        ("implicit", r#","metadata_url":"https://a","endpoint_url":"https://a""#),
    ];
    let distinct: BTreeSet<_> = all.iter().map(|(method, more)| Gcp.destination(&settings(method, more))).collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn f17_a_cluster_s_name_alone_is_refused_with_what_to_write_and_which_setting_to_set() {
    let said = |more: &str, raw: &str| {
        let refused = Gcp.canonical(&settings("service-account", more), &kind("kubernetes-cluster"), Some(raw));
        refused.unwrap_err().to_string()
    };
    let alone = said("", "train");
    for words in ["LOCATION/CLUSTER", "--set location=", "list-resources"] {
        assert!(alone.contains(words), "{alone}");
    }
    assert!(!said("", "Train!").contains("--set"));
    assert!(!said(r#","location":"europe-west4""#, "Train!").contains("--set"));
}

#[test]
fn every_spelling_of_an_id_becomes_one() {
    let settings = settings("service-account", r#","location":"europe-west4""#);
    for (resource_type, raw, id) in [
        ("gcp-generic", "projects/ml-prod-123456", "ml-prod-123456"),
        ("gcs-bucket", "datasets", "gs://datasets"),
        ("gcs-bucket", "gs://datasets/", "gs://datasets"),
        ("gcs-bucket", "gs://my.data_sets/a/b/", "gs://my.data_sets/a/b"),
        ("kubernetes-cluster", "train", "europe-west4/train"),
        ("kubernetes-cluster", "us-central1-a/train", "us-central1-a/train"),
        ("kubernetes-cluster", "projects/ml-prod-123456/locations/us-central1/clusters/train", "us-central1/train"),
        ("kubernetes-cluster", "projects/ml-prod-123456/zones/us-central1-a/clusters/train", "us-central1-a/train"),
        ("docker-registry", "https://gcr.io/ml-prod-123456/", "gcr.io/ml-prod-123456"),
        ("docker-registry", "us.gcr.io/ml-prod-123456", "us.gcr.io/ml-prod-123456"),
        ("docker-registry", "eu.gcr.io/ml-prod-123456", "eu.gcr.io/ml-prod-123456"),
        ("docker-registry", "asia.gcr.io/ml-prod-123456", "asia.gcr.io/ml-prod-123456"),
        (
            "docker-registry",
            "https://europe-west4-docker.pkg.dev/ml-prod-123456/models",
            "europe-west4-docker.pkg.dev/ml-prod-123456/models",
        ),
        ("docker-registry", "us-docker.pkg.dev/ml-prod-123456/models", "us-docker.pkg.dev/ml-prod-123456/models"),
        (
            "docker-registry",
            "projects/ml-prod-123456/locations/us/repositories/models",
            "us-docker.pkg.dev/ml-prod-123456/models",
        ),
        (
            "docker-registry",
            "projects/ml-prod-123456/locations/europe/repositories/eu.gcr.io",
            "eu.gcr.io/ml-prod-123456",
        ),
    ] {
        let canonical = Gcp.canonical(&settings, &kind(resource_type), Some(raw)).unwrap();
        assert_eq!(canonical.as_str(), id, "{raw}");
    }
    assert_eq!(Gcp.canonical(&settings, &kind("gcp-generic"), None).unwrap().as_str(), "ml-prod-123456");
}

#[test]
fn what_is_no_id_is_refused() {
    let settings = settings("service-account", "");
    for (resource_type, raw) in [
        ("gcp-generic", "other-project-1"),
        ("gcs-bucket", "gs://"),
        ("gcs-bucket", "gs://ab"),
        ("gcs-bucket", "gs://Upper"),
        ("gcs-bucket", "gs://1.2.3.4"),
        ("gcs-bucket", "s3://datasets"),
        ("gcs-bucket", "gs://data/a//b"),
        ("gcs-bucket", "gs://data/../b"),
        ("gcs-bucket", "gs://data/a'b"),
        ("gcs-bucket", "gs://data/a\\b"),
        ("gcs-bucket", "gs://data/*"),
        ("gcs-bucket", "gs://data/a\nb"),
        ("kubernetes-cluster", "train"),
        ("kubernetes-cluster", "projects/other-project-1/locations/us/clusters/train"),
        ("kubernetes-cluster", "us/../train"),
        ("docker-registry", "us-docker.pkg.dev/ml-prod-123456"),
        ("docker-registry", "us-docker.pkg.dev/ml-prod-123456/models/image"),
        ("docker-registry", "us-docker.pkg.dev/other-project-1/models"),
        ("docker-registry", "evil.example.com/ml-prod-123456/models"),
        ("docker-registry", "xgcr.io/ml-prod-123456"),
        ("docker-registry", "gcr.io/ml-prod-123456/image"),
    ] {
        let refused = Gcp.canonical(&settings, &kind(resource_type), Some(raw)).unwrap_err();
        assert_eq!(refused.field, "resource_id", "{raw}");
    }
}

#[test]
fn a_bucket_gets_one_rule_that_its_sibling_does_not_match() {
    let settings = settings("service-account", "");
    let boundary = |id: &str, access| {
        let scope = Gcp.narrow(&settings, &ask("gcs-bucket", id, access)).unwrap();
        serde_json::from_str::<serde_json::Value>(&scope.boundary.unwrap()).unwrap()
    };
    assert_eq!(
        boundary("gs://datasets", AccessLevel::Admin),
        serde_json::json!({"accessBoundary": {"accessBoundaryRules": [{
            "availableResource": "//storage.googleapis.com/projects/_/buckets/datasets",
            "availablePermissions": ["inRole:roles/storage.objectAdmin"],
        }]}})
    );
    let rule = boundary("gs://datasets/train", AccessLevel::Read)["accessBoundary"]["accessBoundaryRules"][0].clone();
    assert_eq!(rule["availablePermissions"], serde_json::json!(["inRole:roles/storage.objectViewer"]));
    assert_eq!(
        rule["availabilityCondition"]["expression"],
        "resource.name == 'projects/_/buckets/datasets/objects/train' || \
         resource.name.startsWith('projects/_/buckets/datasets/objects/train/') || \
         api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('train/')"
    );
    let write = boundary("gs://datasets/train", AccessLevel::Write);
    assert!(write.to_string().contains("inRole:roles/storage.objectUser"), "{write}");
    let long = format!("gs://datasets/{}", "a".repeat(1000));
    let refused = Gcp.narrow(&settings, &ask("gcs-bucket", &long, AccessLevel::Read)).unwrap_err();
    assert!(refused.field == "resource_id" && refused.problem.contains("too long"), "{refused}");
}

#[test]
fn scopes_are_as_narrow_as_google_has_them_and_the_reply_says_the_rest() {
    let key = settings("service-account", "");
    let short = |scope: &Scope| -> Vec<String> {
        scope.oauth_scopes.iter().map(|scope| scope.rsplit('/').next().unwrap().to_owned()).collect()
    };
    let registry = "gcr.io/ml-prod-123456";
    for (resource_type, id, access, expected) in [
        ("gcp-generic", "ml-prod-123456", AccessLevel::Read, &["cloud-platform.read-only"][..]),
        ("gcp-generic", "ml-prod-123456", AccessLevel::Admin, &["cloud-platform"]),
        ("docker-registry", registry, AccessLevel::Read, &["devstorage.read_only"]),
        ("docker-registry", registry, AccessLevel::Write, &["devstorage.read_write"]),
        ("docker-registry", registry, AccessLevel::Admin, &["cloud-platform"]),
        ("kubernetes-cluster", "us/train", AccessLevel::Read, &["cloud-platform", "userinfo.email"]),
        ("gcs-bucket", "gs://datasets", AccessLevel::Read, &["cloud-platform"]),
    ] {
        let scope = Gcp.narrow(&key, &ask(resource_type, id, access)).unwrap();
        assert_eq!(short(&scope), expected, "{resource_type} {access}");
        let enforced = Gcp.enforced(&key, &scope);
        assert_eq!(enforced.downscope == Downscope::None, resource_type != "gcs-bucket", "{}", enforced.words);
        assert_eq!(scope.boundary.is_some(), resource_type == "gcs-bucket");
    }
    let generic = |method: &str, access| {
        Gcp.narrow(&settings(method, ""), &ask("gcp-generic", "ml-prod-123456", access))
            .map_err(|refused| refused.field)
    };
    assert_eq!(generic("service-account", AccessLevel::Write), Err("access".to_owned()));
    for method in ["user-account", "oauth2-token", "implicit"] {
        assert_eq!(generic(method, AccessLevel::Read), Err("access".to_owned()), "{method}");
        assert!(generic(method, AccessLevel::Admin).is_ok(), "{method}");
    }
}

#[test]
fn lifetimes_are_what_google_can_do() {
    let of = |method: &str, more: &str| {
        let range = Gcp.ttl_range(&settings(method, more));
        (range.min.as_seconds(), range.default.as_seconds(), range.max.as_seconds())
    };
    for method in ["service-account", "user-account", "external-account", "implicit"] {
        assert_eq!(of(method, ""), (3600, 3600, 3600), "{method}");
    }
    let target = format!(r#","target_principal":"{TARGET}""#);
    assert_eq!(of("impersonation", &target), (300, 3600, 3600));
    assert_eq!(of("impersonation", &format!(r#"{target},"lifetime":43200"#)), (300, 3600, 43_200));
    assert_eq!(of("impersonation", &format!(r#"{target},"lifetime":600"#)), (300, 600, 600));
    assert_eq!(of("external-account", &target), (300, 3600, 3600));
}

#[test]
fn a_handed_in_token_is_passed_through_unless_a_boundary_makes_another_of_it() {
    let settings = settings("oauth2-token", "");
    let now = Timestamp::from_seconds(1_000_000);
    let hours = |hours: u64| Some(now.plus(Duration::from_secs(hours * 3600)));
    let passes = |resource_type: &str, id: &str, end| {
        let scope = Gcp.narrow(&settings, &ask(resource_type, id, AccessLevel::Admin)).unwrap();
        Gcp.passthrough(&settings, &scope, end, now)
    };
    assert!(!passes("gcp-generic", "ml-prod-123456", hours(36)));
    assert!(passes("gcp-generic", "ml-prod-123456", hours(37)) && passes("gcp-generic", "ml-prod-123456", None));
    assert!(!passes("gcs-bucket", "gs://datasets/train", None));
    assert!(
        passes("kubernetes-cluster", "us/train", hours(1))
            && passes("docker-registry", "gcr.io/ml-prod-123456", hours(1))
    );
}
