//! What a platform engineer sets on an AWS connector: one struct for each auth
//! method, none of it secret. The JSON schema that clients prompt from is
//! derived from here, doc comments included.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::place::{Partition, Place};
use super::policy::Policy;

/// The settings of all auth methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "auth_method", rename_all = "kebab-case")]
pub enum Settings {
    /// A long-lived key; federated or session credentials are minted from it.
    SecretKey(SecretKey),
    /// A long-lived key that assumes a role.
    IamRole(IamRole),
    /// A long-lived key that asks for sessions of its own user.
    SessionToken(SessionToken),
    /// A long-lived key that asks for federated sessions.
    FederationToken(FederationToken),
    /// A session that somebody else minted and handed in.
    StsToken(StsToken),
    /// An identity of the daemon's own machine, named by its config.
    Implicit(Implicit),
    /// A role that trusts the server's own OpenID issuer: no stored secret.
    WebIdentity(WebIdentity),
}

/// A struct with the fields that every method has, and its own.
macro_rules! method {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The region to work in, for example us-east-1.
            #[schemars(title = "Region", regex(pattern = r"^[a-z]+(-[a-z]+)+-[0-9]$"), example = &"us-east-1")]
            pub region: String,
            /// Endpoint for every service, for S3 and STS that are not Amazon's.
            /// The server's config must name it in [outbound] allowed_endpoints.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Endpoint", example = &"https://s3.example.com")]
            pub endpoint_url: Option<String>,
            /// Endpoint for STS alone; otherwise that of endpoint_url.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "STS endpoint", example = &"https://sts.example.com")]
            pub sts_endpoint_url: Option<String>,
            /// The partition; otherwise that of the region.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Partition", example = &"aws")]
            pub partition: Option<Partition>,
            $($(#[$attr])* pub $field: $type,)*
        }

        impl $name {
            fn place(&self) -> Place<'_> {
                Place {
                    region: &self.region,
                    partition: self.partition.unwrap_or_else(|| Partition::of_region(&self.region)),
                    endpoint_url: self.endpoint_url.as_deref(),
                    sts_endpoint_url: self.sts_endpoint_url.as_deref(),
                }
            }
        }
    };
}

method!(
    /// A long-lived key.
    SecretKey {}
);

method!(
    /// A long-lived key and the role it assumes.
    IamRole {
        /// The role to assume, for example arn:aws:iam::123456789012:role/ml-data.
        #[schemars(title = "Role", example = &"arn:aws:iam::123456789012:role/ml-data")]
        role_arn: String,
        /// Roles to assume one after the other before role_arn. A chain caps
        /// every session at one hour.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(title = "Role chain", length(max = 5), example = ["arn:aws:iam::123456789012:role/hub"])]
        role_chain: Vec<String>,
        /// The external id that the role's trust policy asks for; random when
        /// it is not given, and shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "External id", length(min = 2, max = 1224), example = &"vk-6f1c6d3a5d0b4f6e")]
        external_id: Option<String>,
        /// Managed policies that cap sessions of aws-generic. Asks for one
        /// bucket or repository are refused with them: name a policy instead.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(title = "Policy ARNs", length(max = 10), example = ["arn:aws:iam::aws:policy/ReadOnlyAccess"])]
        policy_arns: Vec<String>,
        /// A policy that caps every session, as JSON. Allow and Deny with
        /// Action, Resource and Condition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Policy")]
        policy: Option<Policy>,
        /// Session tags for the role's own conditions.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        #[schemars(title = "Session tags", example = example_tags())]
        session_tags: BTreeMap<String, String>,
        /// The role's own maximum session duration, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Maximum session duration", range(min = 900, max = 43200), example = 3600)]
        max_session_duration: Option<u32>,
    }
);

method!(
    /// A long-lived key that asks for sessions of its own user.
    SessionToken {
        /// The user's MFA device, by its ARN or, for hardware, its serial
        /// number. Its seed is then the secret mfa_totp_seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "MFA device", length(min = 9, max = 256), example = &"arn:aws:iam::123456789012:mfa/broker")]
        mfa_serial: Option<String>,
    }
);

method!(
    /// A long-lived key that asks for federated sessions.
    FederationToken {
        /// Managed policies that cap sessions of aws-generic. Asks for one
        /// bucket or repository are refused with them: name a policy instead.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(title = "Policy ARNs", length(max = 10), example = ["arn:aws:iam::aws:policy/ReadOnlyAccess"])]
        policy_arns: Vec<String>,
        /// A policy that caps every session, as JSON. Allow and Deny with
        /// Action, Resource and Condition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Policy")]
        policy: Option<Policy>,
    }
);

method!(
    /// A session that somebody else minted and handed in.
    StsToken {}
);

method!(
    /// An identity of the daemon's own machine.
    Implicit {
        /// The name of the identity, as in [outbound] implicit_identities of
        /// the server's config.
        #[schemars(title = "Profile", length(min = 1, max = 64), example = &"ml")]
        profile_name: String,
        /// The role to assume with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Role", example = &"arn:aws:iam::123456789012:role/ml-data")]
        role_arn: Option<String>,
        /// The external id that the role's trust policy asks for; random when
        /// it is not given, and shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "External id", length(min = 2, max = 1224), example = &"vk-6f1c6d3a5d0b4f6e")]
        external_id: Option<String>,
        /// Managed policies that cap sessions of aws-generic. Asks for one
        /// bucket or repository are refused with them: name a policy instead.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(title = "Policy ARNs", length(max = 10), example = ["arn:aws:iam::aws:policy/ReadOnlyAccess"])]
        policy_arns: Vec<String>,
        /// A policy that caps every session, as JSON. Allow and Deny with
        /// Action, Resource and Condition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Policy")]
        policy: Option<Policy>,
    }
);

method!(
    /// A role that trusts the server's own OpenID issuer. Nothing is stored:
    /// the server must have [issuer] in its config, and the account an OIDC
    /// provider with its URL.
    WebIdentity {
        /// The role to assume, for example arn:aws:iam::123456789012:role/ml-data.
        #[schemars(title = "Role", example = &"arn:aws:iam::123456789012:role/ml-data")]
        role_arn: String,
        /// The audience of the identity tokens: one of the client ids of the
        /// account's OIDC provider.
        #[serde(default = "audience_default")]
        #[schemars(title = "Audience", length(min = 1, max = 255), example = &"sts.amazonaws.com")]
        audience: String,
        /// Managed policies that cap sessions of aws-generic. Asks for one
        /// bucket or repository are refused with them: name a policy instead.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(title = "Policy ARNs", length(max = 10), example = ["arn:aws:iam::aws:policy/ReadOnlyAccess"])]
        policy_arns: Vec<String>,
        /// A policy that caps every session, as JSON. Allow and Deny with
        /// Action, Resource and Condition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Policy")]
        policy: Option<Policy>,
        /// The role's own maximum session duration, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Maximum session duration", range(min = 900, max = 43200), example = 3600)]
        max_session_duration: Option<u32>,
    }
);

fn audience_default() -> String {
    "sts.amazonaws.com".to_owned()
}

fn example_tags() -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), "ml".to_owned())])
}

/// How sessions are made under some settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// AssumeRole, through a chain.
    Role(RoleWay<'a>),
    /// AssumeRoleWithWebIdentity, with a token of the server's own issuer.
    WebIdentity(WebWay<'a>),
    /// GetFederationToken, or GetSessionToken where nothing is narrowed.
    Key,
    /// GetSessionToken.
    Session,
    /// GetFederationToken.
    Federation,
    /// The handed-in session itself.
    HandedIn,
}

/// What AssumeRole is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleWay<'a> {
    /// The last role.
    pub role_arn: &'a str,
    /// The roles before it.
    pub chain: &'a [String],
    /// For every hop.
    pub external_id: Option<&'a str>,
    /// For the last hop.
    pub tags: Option<&'a BTreeMap<String, String>>,
    /// The longest session, in seconds.
    pub duration_max: u32,
}

/// What AssumeRoleWithWebIdentity is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebWay<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// Of the token.
    pub audience: &'a str,
    /// The longest session, in seconds.
    pub duration_max: u32,
}

/// The default maximum session duration of a role, and the cap of a chain.
pub const ROLE_DURATION_DEFAULT: u32 = 3600;

impl Settings {
    /// Where calls go.
    pub fn place(&self) -> Place<'_> {
        match self {
            Self::SecretKey(own) => own.place(),
            Self::IamRole(own) => own.place(),
            Self::SessionToken(own) => own.place(),
            Self::FederationToken(own) => own.place(),
            Self::StsToken(own) => own.place(),
            Self::Implicit(own) => own.place(),
            Self::WebIdentity(own) => own.place(),
        }
    }

    /// The name of the auth method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::SecretKey(_) => "secret-key",
            Self::IamRole(_) => "iam-role",
            Self::SessionToken(_) => "session-token",
            Self::FederationToken(_) => "federation-token",
            Self::StsToken(_) => "sts-token",
            Self::Implicit(_) => "implicit",
            Self::WebIdentity(_) => "web-identity",
        }
    }

    /// How sessions are made.
    pub fn way(&self) -> Way<'_> {
        match self {
            Self::SecretKey(_) => Way::Key,
            Self::IamRole(own) => Way::Role(own.way()),
            Self::SessionToken(_) => Way::Session,
            Self::FederationToken(_) => Way::Federation,
            Self::StsToken(_) => Way::HandedIn,
            Self::Implicit(own) => own.way(),
            Self::WebIdentity(own) => Way::WebIdentity(own.way()),
        }
    }

    /// The policy that caps every session.
    pub const fn policy(&self) -> Option<&Policy> {
        match self {
            Self::IamRole(own) => own.policy.as_ref(),
            Self::FederationToken(own) => own.policy.as_ref(),
            Self::Implicit(own) => own.policy.as_ref(),
            Self::WebIdentity(own) => own.policy.as_ref(),
            Self::SecretKey(_) | Self::SessionToken(_) | Self::StsToken(_) => None,
        }
    }

    /// The MFA device that sessions of the user are asked for with.
    pub fn mfa_serial(&self) -> Option<&str> {
        match self {
            Self::SessionToken(own) => own.mfa_serial.as_deref(),
            Self::SecretKey(_)
            | Self::IamRole(_)
            | Self::FederationToken(_)
            | Self::StsToken(_)
            | Self::Implicit(_)
            | Self::WebIdentity(_) => None,
        }
    }

    /// The managed policies that cap sessions of aws-generic.
    pub fn policy_arns(&self) -> &[String] {
        match self {
            Self::IamRole(own) => &own.policy_arns,
            Self::FederationToken(own) => &own.policy_arns,
            Self::Implicit(own) => &own.policy_arns,
            Self::WebIdentity(own) => &own.policy_arns,
            Self::SecretKey(_) | Self::SessionToken(_) | Self::StsToken(_) => &[],
        }
    }

    /// The account, when the settings say it.
    pub fn account(&self) -> Option<&str> {
        let role = match self.way() {
            Way::Role(way) => way.role_arn,
            Way::WebIdentity(way) => way.role_arn,
            Way::Key | Way::Session | Way::Federation | Way::HandedIn => return None,
        };
        super::place::iam_arn(role, "role").map(|arn| arn.account)
    }
}

impl IamRole {
    fn way(&self) -> RoleWay<'_> {
        let own = self.max_session_duration.unwrap_or(ROLE_DURATION_DEFAULT);
        let duration_max = if self.role_chain.is_empty() { own } else { own.min(ROLE_DURATION_DEFAULT) };
        RoleWay {
            role_arn: &self.role_arn,
            chain: &self.role_chain,
            external_id: self.external_id.as_deref(),
            tags: Some(&self.session_tags),
            duration_max,
        }
    }
}

impl WebIdentity {
    fn way(&self) -> WebWay<'_> {
        let duration_max = self.max_session_duration.unwrap_or(ROLE_DURATION_DEFAULT);
        WebWay { role_arn: &self.role_arn, audience: &self.audience, duration_max }
    }
}

impl Implicit {
    fn way(&self) -> Way<'_> {
        let Some(role_arn) = &self.role_arn else {
            return Way::Federation;
        };
        Way::Role(RoleWay {
            role_arn,
            chain: &[],
            external_id: self.external_id.as_deref(),
            tags: None,
            // The identity may itself be a session, and then this is a chain.
            duration_max: ROLE_DURATION_DEFAULT,
        })
    }
}
