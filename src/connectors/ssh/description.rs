//! What the SSH connector type says of itself.

use std::sync::LazyLock;

use schemars::{JsonSchema, schema_for};

use crate::connectors::{
    AccessMeaning, MethodDescription, ParameterDescription, ResourceDescription, SecretFieldDescription,
    TypeDescription,
};
use crate::domain::{Ttl, TtlRange};

use super::hosts::SSH_HOST;
use super::scope::PUBLIC_KEY;
use super::settings::{CaKey, PrivateKey};
use super::upstream_secret::{BASE64_SSH_KEY, CA_PASSPHRASE, CA_PRIVATE_KEY, SSH_PASSPHRASE};

/// Of certificates and of signing sessions: a minute, an hour, a day.
pub const TTL: TtlRange = TtlRange { min: Ttl::seconds(60), default: Ttl::seconds(3600), max: Ttl::seconds(86_400) };

/// Built once.
pub static DESCRIPTION: LazyLock<TypeDescription> = LazyLock::new(|| TypeDescription {
    name: "ssh",
    summary: "hosts that are reached by SSH",
    methods: vec![
        method::<CaKey>("ca-key", "a CA key; certificates are signed for the caller's own key", CA_FIELDS),
        method::<PrivateKey>("private-key", "a user's key; signatures are lent, the key never leaves", KEY_FIELDS),
    ],
    resources: vec![ResourceDescription {
        name: SSH_HOST,
        summary: "signing in to a host",
        id_form: "HOST[:PORT]",
        many: true,
        access: AccessMeaning {
            read: "ca-key: the principals of read; private-key: the configured user",
            write: "ca-key: the principals of write; private-key: the configured user",
            admin: "ca-key: the principals of admin; private-key: the configured user",
        },
        parameters: &[ParameterDescription {
            name: PUBLIC_KEY,
            summary: "the line of the public key to certify; for ca-key",
        }],
    }],
    ends_widely: None,
});

fn method<T: JsonSchema>(
    name: &'static str,
    summary: &'static str,
    secrets: &[SecretFieldDescription],
) -> MethodDescription {
    let settings_schema = schema_for!(T).to_value().to_string();
    MethodDescription { name, summary, ttl: TTL, settings_schema, secrets: secrets.to_vec(), rotates: false }
}

const fn field(name: &'static str, summary: &'static str, required: bool) -> SecretFieldDescription {
    SecretFieldDescription { name, summary, required }
}

/// Both of a CA and of a user: what the server signs with.
const KEY_FORM: &str = "the private key file, as it is or in base64: ed25519, ecdsa on P-256 or P-384 (not P-521), or rsa \
                        of 2,048 to 4,096 bits";

const CA_FIELDS: &[SecretFieldDescription] =
    &[field(CA_PRIVATE_KEY, KEY_FORM, true), field(CA_PASSPHRASE, "its passphrase, when it is encrypted", false)];
const KEY_FIELDS: &[SecretFieldDescription] =
    &[field(BASE64_SSH_KEY, KEY_FORM, true), field(SSH_PASSPHRASE, "its passphrase, when it is encrypted", false)];
