//! What the GCP connector type says of itself.

use std::sync::LazyLock;

use schemars::{JsonSchema, schema_for};

use crate::connectors::{
    AccessMeaning, MethodDescription, ResourceDescription, SecretFieldDescription, TypeDescription,
};
use crate::domain::{Ttl, TtlRange};

use super::ids;
use super::settings::{ExternalAccount, HandedIn, Impersonation, Implicit, ServiceAccount, UserAccount};
use super::settings_check::{EXTERNAL_ACCOUNT_JSON, SERVICE_ACCOUNT_JSON, TOKEN, USER_ACCOUNT_JSON};

/// How far ahead a handed-in token may end before it counts as long-lived.
pub const LONGEST: u32 = 129_600;
/// Google's tokens live for an hour, whatever is asked: a shorter ask would be
/// answered with a longer life, and so it is refused.
pub const AN_HOUR: TtlRange = range(3600, 3600, 3600);

/// Built once.
pub static DESCRIPTION: LazyLock<TypeDescription> = LazyLock::new(|| TypeDescription {
    name: "gcp",
    summary: "Google Cloud",
    methods: vec![
        method::<ServiceAccount>("service-account", "a service account's key", AN_HOUR, &[KEY], true),
        method::<Impersonation>(
            "impersonation",
            "a service account's key that impersonates another service account",
            range(300, 3600, 43_200),
            &[KEY],
            true,
        ),
        method::<UserAccount>("user-account", "a person's refresh token", AN_HOUR, &[USER], false),
        method::<ExternalAccount>(
            "external-account",
            "workload identity federation, with this server's own issuer or another",
            range(300, 3600, 43_200),
            &[EXTERNAL],
            false,
        ),
        method::<HandedIn>(
            "oauth2-token",
            "an access token that was minted elsewhere",
            range(1, LONGEST, LONGEST),
            &[HANDED_IN],
            false,
        ),
        method::<Implicit>("implicit", "the service account of the server's machine", AN_HOUR, &[], false),
    ],
    resources: RESOURCES.to_vec(),
    ends_widely: None,
});

/// A range of lifetimes in seconds.
pub const fn range(min: u32, default: u32, max: u32) -> TtlRange {
    TtlRange { min: Ttl::seconds(min), default: Ttl::seconds(default), max: Ttl::seconds(max) }
}

fn method<T: JsonSchema>(
    name: &'static str,
    summary: &'static str,
    ttl: TtlRange,
    secrets: &[SecretFieldDescription],
    rotates: bool,
) -> MethodDescription {
    let settings_schema = schema_for!(T).to_value().to_string();
    MethodDescription { name, summary, ttl, settings_schema, secrets: secrets.to_vec(), rotates }
}

const KEY: SecretFieldDescription = SecretFieldDescription {
    name: SERVICE_ACCOUNT_JSON,
    summary: "the key file of the service account",
    required: true,
};
const USER: SecretFieldDescription = SecretFieldDescription {
    name: USER_ACCOUNT_JSON,
    summary: "the file of gcloud auth application-default login",
    required: true,
};
const EXTERNAL: SecretFieldDescription = SecretFieldDescription {
    name: EXTERNAL_ACCOUNT_JSON,
    summary: "the credential configuration, with a url source; none when audience is set",
    required: false,
};
const HANDED_IN: SecretFieldDescription =
    SecretFieldDescription { name: TOKEN, summary: "the access token, ya29...", required: true };

const RESOURCES: &[ResourceDescription] = &[
    ResourceDescription {
        name: ids::GENERIC,
        summary: "an access token for services that have no type of their own",
        id_form: "PROJECT_ID",
        many: false,
        access: AccessMeaning {
            read: "scope cloud-platform.read-only, where the auth method takes scopes",
            write: "refused: Google has no scope for it",
            admin: "everything the identity may do",
        },
        parameters: &[],
    },
    ResourceDescription {
        name: ids::GCS_BUCKET,
        summary: "an access token for one bucket, or one prefix of it",
        id_form: "gs://BUCKET[/PREFIX]",
        many: true,
        access: AccessMeaning {
            read: "get and list (roles/storage.objectViewer)",
            write: "and create, replace, delete (roles/storage.objectUser)",
            admin: "and policies of objects (roles/storage.objectAdmin)",
        },
        parameters: &[],
    },
    ResourceDescription {
        name: ids::KUBERNETES_CLUSTER,
        summary: "a bearer token for a GKE cluster, with its endpoint and CA",
        id_form: "LOCATION/CLUSTER",
        many: true,
        access: AccessMeaning {
            read: "what the cluster's RBAC and IAM give the identity",
            write: "what the cluster's RBAC and IAM give the identity",
            admin: "what the cluster's RBAC and IAM give the identity",
        },
        parameters: &[],
    },
    ResourceDescription {
        name: ids::DOCKER_REGISTRY,
        summary: "a docker login for a repository of Artifact Registry, or for gcr.io",
        id_form: "LOCATION-docker.pkg.dev/PROJECT/REPOSITORY",
        many: true,
        access: AccessMeaning {
            read: "pull, by scope devstorage.read_only where the auth method takes scopes",
            write: "what IAM gives the identity",
            admin: "what IAM gives the identity",
        },
        parameters: &[],
    },
];
