//! What the OAuth 2.0 type says of itself.

use std::sync::LazyLock;

use schemars::{JsonSchema, schema_for};

use crate::connectors::{
    AccessMeaning, MethodDescription, ParameterDescription, ResourceDescription, SecretFieldDescription,
    TypeDescription,
};
use crate::domain::{Ttl, TtlRange};

use super::scope::{API, SCOPE};
use super::settings::{ClientCredentials, RefreshToken, Token};
use super::settings_check::{ACCESS_TOKEN, CLIENT_SECRET, PRIVATE_KEY, REFRESH_TOKEN};

/// The longest life of a token, in seconds: what lives longer counts as a
/// long-lived secret.
pub const LONGEST: u32 = 129_600;

/// Built once.
pub static DESCRIPTION: LazyLock<TypeDescription> = LazyLock::new(|| TypeDescription {
    name: "oauth2",
    summary: "Any API whose tokens come from an OAuth 2.0 token endpoint",
    methods: vec![
        method::<ClientCredentials>("client-credentials", "a client that asks for tokens of its own", CLIENT),
        method::<RefreshToken>(
            "refresh-token",
            "a client with a refresh token of somebody; a rotated one is stored before anything is handed out",
            REFRESH,
        ),
        method::<Token>("token", "an access token that was minted elsewhere", HANDED_IN),
    ],
    resources: vec![ResourceDescription {
        name: API,
        summary: "a bearer token for one API",
        id_form: "https://HOST[:PORT][/PATH]",
        many: false,
        access: AccessMeaning {
            read: "the connector's read_scope, or its scope",
            write: "the connector's write_scope, or its scope",
            admin: "the connector's admin_scope, or its scope",
        },
        parameters: &[ParameterDescription {
            name: SCOPE,
            summary: "scopes with blanks between them, among those of the access level",
        }],
    }],
    ends_widely: None,
});

/// What the provider says of its tokens' lives, up to the longest.
pub const RANGE: TtlRange = TtlRange { min: Ttl::seconds(1), default: Ttl::seconds(3600), max: Ttl::seconds(LONGEST) };

fn method<T: JsonSchema>(
    name: &'static str,
    summary: &'static str,
    secrets: &[SecretFieldDescription],
) -> MethodDescription {
    let settings_schema = schema_for!(T).to_value().to_string();
    MethodDescription { name, summary, ttl: RANGE, settings_schema, secrets: secrets.to_vec(), rotates: false }
}

const SECRET: SecretFieldDescription = SecretFieldDescription {
    name: CLIENT_SECRET,
    summary: "the client's secret, with client_auth_method basic or post",
    required: false,
};
const KEY: SecretFieldDescription = SecretFieldDescription {
    name: PRIVATE_KEY,
    summary: "the client's private key in PEM, with client_auth_method private_key_jwt",
    required: false,
};
const REFRESHES: SecretFieldDescription =
    SecretFieldDescription { name: REFRESH_TOKEN, summary: "the refresh token", required: true };
const ACCESSES: SecretFieldDescription =
    SecretFieldDescription { name: ACCESS_TOKEN, summary: "the access token", required: true };
const CLIENT: &[SecretFieldDescription] = &[SECRET, KEY];
const REFRESH: &[SecretFieldDescription] = &[SECRET, KEY, REFRESHES];
const HANDED_IN: &[SecretFieldDescription] = &[ACCESSES];
