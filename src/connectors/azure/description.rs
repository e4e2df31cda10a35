//! What the Azure connector type says of itself.

use std::sync::LazyLock;

use schemars::{JsonSchema, schema_for};

use crate::connectors::{
    AccessMeaning, MethodDescription, ParameterDescription, ResourceDescription, SecretFieldDescription,
    TypeDescription,
};
use crate::domain::{Ttl, TtlRange};

use super::settings::{AccessToken, Implicit, ServicePrincipal};
use super::settings_check::{CLIENT_CERTIFICATE, CLIENT_SECRET, TOKEN};
use super::upstream_entra::HANDED_IN_MAX;
use super::{ids, scope};

/// Of what is made by Entra or signed with a delegation key: seven days at
/// most. The life of a token is Entra's own choice.
pub const MADE: TtlRange = range(300, 3600, 604_800);
/// Of what is handed in.
pub const HANDED_IN: TtlRange = range(1, HANDED_IN_MAX, HANDED_IN_MAX);

/// Built once.
pub static DESCRIPTION: LazyLock<TypeDescription> = LazyLock::new(|| TypeDescription {
    name: "azure",
    summary: "Microsoft Azure: the public, China's and the US government's",
    methods: vec![
        method::<ServicePrincipal>(
            "service-principal",
            "an application, by secret, by certificate, or by valetkey's own issuer with nothing stored",
            MADE,
            APPLICATION,
        ),
        method::<AccessToken>("access-token", "an access token that was got elsewhere", HANDED_IN, HANDED),
        method::<Implicit>("implicit", "the managed identity of the server's machine", MADE, &[]),
    ],
    resources: RESOURCES.to_vec(),
    ends_widely: Some(
        "to end every signed URL of its storage account sooner, run az storage account revoke-delegation-keys",
    ),
});

const fn range(min: u32, default: u32, max: u32) -> TtlRange {
    TtlRange { min: Ttl::seconds(min), default: Ttl::seconds(default), max: Ttl::seconds(max) }
}

fn method<T: JsonSchema>(
    name: &'static str,
    summary: &'static str,
    ttl: TtlRange,
    secrets: &[SecretFieldDescription],
) -> MethodDescription {
    let settings_schema = schema_for!(T).to_value().to_string();
    MethodDescription { name, summary, ttl, settings_schema, secrets: secrets.to_vec(), rotates: false }
}

const APPLICATION: &[SecretFieldDescription] = &[
    SecretFieldDescription {
        name: CLIENT_SECRET,
        summary: "the application's secret; or client_certificate, or neither when federated",
        required: false,
    },
    SecretFieldDescription {
        name: CLIENT_CERTIFICATE,
        summary: "PEM with the application's certificate and its RSA key, not encrypted",
        required: false,
    },
];
const HANDED: &[SecretFieldDescription] =
    &[SecretFieldDescription { name: TOKEN, summary: "the access token, a JWT of Entra", required: true }];

const RESOURCES: &[ResourceDescription] = &[
    ResourceDescription {
        name: ids::GENERIC,
        summary: "an Entra token for an audience, with all the rights of its principal there",
        id_form: "SUBSCRIPTION_ID",
        many: false,
        access: AccessMeaning {
            read: "refused: a token cannot be narrowed",
            write: "refused: a token cannot be narrowed",
            admin: "everything that the principal may do at the audience",
        },
        parameters: &[ParameterDescription {
            name: scope::AUDIENCE,
            summary: "what the token is for, for example https://vault.azure.net; the resource manager by default",
        }],
    },
    ResourceDescription {
        name: ids::BLOB_CONTAINER,
        summary: "a signed URL for one container, or one directory of it; or an Entra token for blobs",
        id_form: "az://ACCOUNT/CONTAINER[/DIRECTORY]",
        many: true,
        access: AccessMeaning {
            read: "read and list",
            write: "and add, create, write, delete",
            admin: "and versions, tags and immutability; ownership and permissions on hierarchical accounts",
        },
        parameters: &[ParameterDescription {
            name: scope::TOKEN,
            summary: "aad: an Entra token with all the principal's rights on blobs, for admin only",
        }],
    },
    ResourceDescription {
        name: ids::KUBERNETES_CLUSTER,
        summary: "an Entra token for AKS, with the cluster's endpoint and CA",
        id_form: "RESOURCE_GROUP/CLUSTER",
        many: true,
        access: AccessMeaning {
            read: "what the cluster's RBAC gives the principal",
            write: "what the cluster's RBAC gives the principal",
            admin: "what the cluster's RBAC gives the principal",
        },
        parameters: &[],
    },
    ResourceDescription {
        name: ids::DOCKER_REGISTRY,
        summary: "a token for one repository of an ACR registry, or a docker login to all of it",
        id_form: "NAME.azurecr.io[/REPOSITORY]",
        many: true,
        access: AccessMeaning {
            read: "pull, from one repository",
            write: "and push, to one repository",
            admin: "and delete; without a repository all that the principal may do in the registry",
        },
        parameters: &[],
    },
];
