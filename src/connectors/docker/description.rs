//! What the type of registries says of itself.

use std::sync::LazyLock;

use schemars::schema_for;

use crate::connectors::{
    AccessMeaning, MethodDescription, ResourceDescription, SecretFieldDescription, TypeDescription,
};
use crate::domain::{Ttl, TtlRange};

use super::scope::REGISTRY;
use super::settings::Password;
use super::settings_check::{IDENTITY_TOKEN, PASSWORD, USERNAME};

/// What token services give: minutes, mostly; the service alone decides.
pub const RANGE: TtlRange = TtlRange { min: Ttl::seconds(1), default: Ttl::seconds(300), max: Ttl::seconds(129_600) };

/// Built once.
pub static DESCRIPTION: LazyLock<TypeDescription> = LazyLock::new(|| TypeDescription {
    name: "docker",
    summary: "Any OCI distribution registry: Docker Hub, GitHub's, Harbor, GitLab's and others",
    methods: vec![MethodDescription {
        name: "password",
        summary: "a login; tokens for one repository are asked for with it",
        ttl: RANGE,
        settings_schema: schema_for!(Password).to_value().to_string(),
        secrets: vec![
            SecretFieldDescription { name: USERNAME, summary: "the login's name", required: true },
            SecretFieldDescription {
                name: PASSWORD,
                summary: "its password, or an access token of the registry's",
                required: false,
            },
            SecretFieldDescription {
                name: IDENTITY_TOKEN,
                summary: "in place of the password: what docker login keeps as identitytoken",
                required: false,
            },
        ],
        rotates: false,
    }],
    resources: vec![ResourceDescription {
        name: REGISTRY,
        summary: "a token for one repository",
        id_form: "HOST[:PORT]/REPOSITORY",
        many: false,
        access: AccessMeaning { read: "pull", write: "and push", admin: "and delete" },
        parameters: &[],
    }],
    ends_widely: None,
});
