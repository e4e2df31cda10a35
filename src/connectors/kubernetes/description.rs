//! What the Kubernetes connector type says of itself.

use std::sync::LazyLock;

use schemars::schema_for;

use crate::connectors::{
    AccessMeaning, MethodDescription, ParameterDescription, ResourceDescription, SecretFieldDescription,
    TypeDescription,
};
use crate::domain::{Ttl, TtlRange};

use super::ids;
use super::scope::AUDIENCE;
use super::settings::Cluster;
use super::upstream_secret::{CLIENT_CERTIFICATE, CLIENT_KEY, PASSWORD, TOKEN, USERNAME};

/// The floor of TokenRequest, in seconds.
pub const SHORTEST: u32 = 600;
/// The longest that is asked for, in seconds: a day. What lives longer is not
/// short-lived.
pub const LONGEST: u32 = 86_400;

/// Built once.
pub static DESCRIPTION: LazyLock<TypeDescription> = LazyLock::new(|| TypeDescription {
    name: "kubernetes",
    summary: "Kubernetes, any cluster that serves TokenRequest",
    methods: vec![
        method("token", "a bearer token, or a client certificate with its key; tokens are minted from it", BEARER),
        method("password", "a user name and a password; tokens are minted from it", LOGIN),
    ],
    resources: RESOURCES.to_vec(),
    ends_widely: None,
});

/// A range of lifetimes in seconds.
pub const fn range(min: u32, default: u32, max: u32) -> TtlRange {
    TtlRange { min: Ttl::seconds(min), default: Ttl::seconds(default), max: Ttl::seconds(max) }
}

fn method(name: &'static str, summary: &'static str, secrets: &[SecretFieldDescription]) -> MethodDescription {
    MethodDescription {
        name,
        summary,
        ttl: range(SHORTEST, 3600, LONGEST),
        settings_schema: schema_for!(Cluster).to_value().to_string(),
        secrets: secrets.to_vec(),
        rotates: false,
    }
}

const BEARER: &[SecretFieldDescription] = &[
    SecretFieldDescription {
        name: TOKEN,
        summary: "a bearer token of the API server; or the next two instead",
        required: false,
    },
    SecretFieldDescription {
        name: CLIENT_CERTIFICATE,
        summary: "a client certificate that the API server knows, PEM",
        required: false,
    },
    SecretFieldDescription { name: CLIENT_KEY, summary: "the key of client_certificate, PEM", required: false },
];
const LOGIN: &[SecretFieldDescription] = &[
    SecretFieldDescription { name: USERNAME, summary: "the user name", required: true },
    SecretFieldDescription { name: PASSWORD, summary: "the password", required: true },
];

const RESOURCES: &[ResourceDescription] = &[ResourceDescription {
    name: ids::KUBERNETES_CLUSTER,
    summary: "a bearer token of one service account, with the cluster's endpoint and CA",
    id_form: "CLUSTER[/NAMESPACE/SERVICE_ACCOUNT]",
    many: false,
    access: AccessMeaning {
        read: "what RBAC gives to the service account set for read",
        write: "what RBAC gives to the service account set for write",
        admin: "what RBAC gives to the service account set for admin",
    },
    parameters: &[ParameterDescription {
        name: AUDIENCE,
        summary: "for whom the token is, one of the connector's audiences; the API server otherwise",
    }],
}];
