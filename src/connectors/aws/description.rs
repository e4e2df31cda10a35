//! What the AWS connector type says of itself.

use std::sync::LazyLock;

use schemars::{JsonSchema, schema_for};

use crate::connectors::{
    AccessMeaning, MethodDescription, ResourceDescription, SecretFieldDescription, TypeDescription,
};
use crate::domain::{Ttl, TtlRange};

use super::ids;
use super::settings::{FederationToken, IamRole, Implicit, SecretKey, SessionToken, StsToken, WebIdentity};
use super::settings_check::{ACCESS_KEY_ID, MFA_TOTP_SEED, SECRET_ACCESS_KEY, SESSION_TOKEN};

/// The longest session of GetFederationToken and GetSessionToken, and how far
/// ahead a handed-in session may end before it counts as long-lived.
pub const LONGEST: u32 = 129_600;

/// Built once.
pub static DESCRIPTION: LazyLock<TypeDescription> = LazyLock::new(|| TypeDescription {
    name: "aws",
    summary: "Amazon Web Services, and what speaks its STS and S3",
    methods: vec![
        method::<SecretKey>("secret-key", "a user's key; sessions are minted from it", range(900, 3600, LONGEST), KEY),
        method::<IamRole>("iam-role", "a user's key that assumes a role", range(900, 3600, 43_200), KEY),
        method::<SessionToken>(
            "session-token",
            "a user's key; sessions of that user",
            range(900, 43_200, LONGEST),
            KEY_AND_SEED,
        ),
        method::<FederationToken>(
            "federation-token",
            "a user's key; federated sessions",
            range(900, 43_200, LONGEST),
            KEY,
        ),
        method::<StsToken>("sts-token", "a session that was minted elsewhere", range(1, LONGEST, LONGEST), SESSION),
        method::<Implicit>("implicit", "an identity of the server's machine", range(900, 3600, LONGEST), &[]),
        method::<WebIdentity>(
            "web-identity",
            "a role that trusts this server's OpenID issuer; no stored secret",
            range(900, 3600, 43_200),
            &[],
        ),
    ],
    resources: RESOURCES.to_vec(),
    ends_widely: Some("to end every session of its role sooner, deny the role on aws:TokenIssueTime"),
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
) -> MethodDescription {
    let settings_schema = schema_for!(T).to_value().to_string();
    // Those that store the key of a user: IAM makes the user another one.
    let rotates = matches!(name, "secret-key" | "iam-role" | "session-token" | "federation-token");
    MethodDescription { name, summary, ttl, settings_schema, secrets: secrets.to_vec(), rotates }
}

const ID: SecretFieldDescription =
    SecretFieldDescription { name: ACCESS_KEY_ID, summary: "the key's id, AKIA... or ASIA...", required: true };
const SECRET: SecretFieldDescription =
    SecretFieldDescription { name: SECRET_ACCESS_KEY, summary: "the key", required: true };
const TOKEN: SecretFieldDescription =
    SecretFieldDescription { name: SESSION_TOKEN, summary: "the session's token", required: true };
const KEY: &[SecretFieldDescription] = &[ID, SECRET];
const SEED: SecretFieldDescription = SecretFieldDescription {
    name: MFA_TOTP_SEED,
    summary: "the base32 seed of the device, exactly when mfa_serial is set",
    required: false,
};
const KEY_AND_SEED: &[SecretFieldDescription] = &[ID, SECRET, SEED];
const SESSION: &[SecretFieldDescription] = &[ID, SECRET, TOKEN];

const RESOURCES: &[ResourceDescription] = &[
    ResourceDescription {
        name: ids::GENERIC,
        summary: "an AWS session for services that have no type of their own",
        id_form: "REGION",
        many: false,
        access: AccessMeaning {
            read: "what the connector's own policy allows",
            write: "what the connector's own policy allows",
            admin: "everything the source identity or its role may do",
        },
        parameters: &[],
    },
    ResourceDescription {
        name: ids::S3_BUCKET,
        summary: "an AWS session for one bucket, or one prefix of it",
        id_form: "s3://BUCKET[/PREFIX]",
        many: true,
        access: AccessMeaning {
            read: "get and list",
            write: "and put, delete, multipart uploads",
            admin: "and versions and ACLs; lifecycle and versioning of a whole bucket",
        },
        parameters: &[],
    },
    ResourceDescription {
        name: ids::KUBERNETES_CLUSTER,
        summary: "a bearer token for an EKS cluster, with its endpoint and CA",
        id_form: "REGION/CLUSTER",
        many: true,
        access: AccessMeaning {
            read: "what the cluster's RBAC gives the role",
            write: "what the cluster's RBAC gives the role",
            admin: "what the cluster's RBAC gives the role",
        },
        parameters: &[],
    },
    ResourceDescription {
        name: ids::DOCKER_REGISTRY,
        summary: "a docker login for an ECR registry, or one repository of it",
        id_form: "ACCOUNT.dkr.ecr.REGION.amazonaws.com[/REPOSITORY]",
        many: false,
        access: AccessMeaning { read: "pull", write: "and push", admin: "and delete" },
        parameters: &[],
    },
];
