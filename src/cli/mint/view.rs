//! What is shown of a minted credential.
//!
//! Owns the view of a credential. People get its facts; the values go to
//! programs alone (`-o json`, `-o yaml`, `--format`), so that they do not end
//! up in a scroll-back by accident. No Debug: it holds the credential.

use serde::Serialize;

use crate::cli::moment::{self, Moment};
use crate::cli::output::{Facts, Record, Row};
use crate::cli::pairs::{access_in_words, given};
use crate::proto;
use crate::proto::minted_credential::Shape;

/// A minted credential.
#[derive(Serialize)]
pub(in crate::cli) struct CredentialView {
    /// A UUID; what an audit line and a revoke name.
    issuance_id: String,
    /// Which of the shapes: the key of the object with the values.
    shape: &'static str,
    /// The values, under the name of the shape.
    #[serde(flatten)]
    pub(super) values: Option<ShapeView>,
    /// When it really ends.
    pub(super) expires_at: Option<Moment>,
    /// Ask again at this time.
    refresh_at: Option<Moment>,
    /// The scope that is really enforced, in words.
    enforced_scope: String,
    /// `none`, `resource` or `prefix`.
    downscope: &'static str,
    /// `no`, `role-wide` or `single`.
    revocable: &'static str,
    /// What the cloud's own audit log will show.
    attribution: Option<String>,
    /// The resource type.
    pub(super) resource_type: String,
    /// The canonical resource.
    resource_id: String,
    /// The access level.
    access: String,
    /// The asked lifetime was cut, and why.
    ttl_note: Option<String>,
    /// This is the long-lived secret itself.
    passthrough: bool,
}

/// The values of a credential.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum ShapeView {
    /// An AWS session.
    AwsSession {
        /// The id of the access key.
        access_key_id: String,
        /// Secret.
        secret_access_key: String,
        /// Secret.
        session_token: String,
        /// The region to use.
        region: Option<String>,
        /// The endpoint, when it is not AWS's own.
        endpoint_url: Option<String>,
    },
    /// A bearer token.
    BearerToken {
        /// Secret.
        token: String,
        /// Where to use it.
        endpoint: Option<String>,
        /// PEM of the CA of that endpoint.
        certificate_authority: Option<String>,
    },
    /// A user name and a password.
    BasicLogin {
        /// The user name.
        username: String,
        /// Secret.
        password: String,
        /// Where to use it.
        endpoint: Option<String>,
    },
    /// A client certificate and its key.
    ClientCertificate {
        /// PEM.
        certificate: String,
        /// PEM; secret.
        private_key: String,
        /// Where to use it.
        endpoint: Option<String>,
        /// PEM of the CA of that endpoint.
        certificate_authority: Option<String>,
    },
    /// An SSH certificate.
    SshCertificate {
        /// One line in OpenSSH's form.
        certificate: String,
    },
    /// A signed URL.
    SignedUrl {
        /// Secret.
        url: String,
    },
    /// Leave to have sign-ins signed; nothing of it is secret.
    SigningSession {
        /// One line in OpenSSH's form.
        public_key: String,
        /// The user to sign in as.
        username: String,
        /// The host.
        host: String,
        /// The pinned keys of the host.
        host_keys: Vec<String>,
    },
}

impl From<Shape> for ShapeView {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::AwsSession(aws) => Self::AwsSession {
                access_key_id: aws.access_key_id,
                secret_access_key: aws.secret_access_key,
                session_token: aws.session_token,
                region: given(aws.region),
                endpoint_url: given(aws.endpoint_url),
            },
            Shape::BearerToken(bearer) => Self::BearerToken {
                token: bearer.token,
                endpoint: given(bearer.endpoint),
                certificate_authority: given(bearer.certificate_authority),
            },
            Shape::BasicLogin(basic) => {
                Self::BasicLogin { username: basic.username, password: basic.password, endpoint: given(basic.endpoint) }
            }
            Shape::ClientCertificate(client) => Self::ClientCertificate {
                certificate: client.certificate,
                private_key: client.private_key,
                endpoint: given(client.endpoint),
                certificate_authority: given(client.certificate_authority),
            },
            Shape::SshCertificate(ssh) => Self::SshCertificate { certificate: ssh.certificate },
            Shape::SignedUrl(signed) => Self::SignedUrl { url: signed.url },
            Shape::SigningSession(session) => Self::SigningSession {
                public_key: session.public_key,
                username: session.username,
                host: session.host,
                host_keys: session.host_keys,
            },
        }
    }
}

impl ShapeView {
    /// The key under which the values stand.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::AwsSession { .. } => "aws_session",
            Self::BearerToken { .. } => "bearer_token",
            Self::BasicLogin { .. } => "basic_login",
            Self::ClientCertificate { .. } => "client_certificate",
            Self::SshCertificate { .. } => "ssh_certificate",
            Self::SignedUrl { .. } => "signed_url",
            Self::SigningSession { .. } => "signing_session",
        }
    }
}

impl From<proto::MintedCredential> for CredentialView {
    fn from(minted: proto::MintedCredential) -> Self {
        let (downscope, revocable) = (downscope(minted.downscope), revocable(minted.revocable));
        let values = minted.shape.map(ShapeView::from);
        Self {
            shape: values.as_ref().map_or("unknown", ShapeView::name),
            values,
            expires_at: Moment::from_proto(minted.expires_at.as_ref()),
            refresh_at: Moment::from_proto(minted.refresh_at.as_ref()),
            downscope,
            revocable,
            access: access_in_words(minted.access),
            issuance_id: minted.issuance_id,
            enforced_scope: minted.enforced_scope,
            attribution: given(minted.attribution),
            resource_type: minted.resource_type,
            resource_id: minted.resource_id,
            ttl_note: given(minted.ttl_note),
            passthrough: minted.passthrough,
        }
    }
}

impl CredentialView {
    /// The canonical resource.
    pub(super) fn resource(&self) -> &str {
        &self.resource_id
    }
}

/// How far the cloud narrows, in words.
pub(in crate::cli) fn downscope(number: i32) -> &'static str {
    match proto::Downscope::try_from(number) {
        Ok(proto::Downscope::None) => "none",
        Ok(proto::Downscope::Resource) => "resource",
        Ok(proto::Downscope::Prefix) => "prefix",
        Ok(proto::Downscope::Unspecified) | Err(_) => "unknown",
    }
}

/// What can be done about it, in words.
pub(in crate::cli) fn revocable(number: i32) -> &'static str {
    match proto::Revocable::try_from(number) {
        Ok(proto::Revocable::No) => "no",
        Ok(proto::Revocable::RoleWide) => "role-wide",
        Ok(proto::Revocable::Single) => "single",
        Ok(proto::Revocable::Unspecified) | Err(_) => "unknown",
    }
}

impl Record for CredentialView {
    fn facts(&self, now: Moment) -> Facts {
        let passthrough = if self.passthrough { "YES: this is the long-lived secret itself" } else { "" };
        vec![
            ("credential", self.shape.to_owned()),
            ("resource", format!("{} {}, {}", self.resource_type, self.resource_id, self.access)),
            ("enforced scope", format!("{} (narrowed to: {})", self.enforced_scope, self.downscope)),
            ("expires", moment::words(self.expires_at, now)),
            ("ask again", moment::words(self.refresh_at, now)),
            ("lifetime", self.ttl_note.clone().unwrap_or_default()),
            ("passthrough", passthrough.to_owned()),
            ("attribution", self.attribution.clone().unwrap_or_default()),
            ("revocable", self.revocable.to_owned()),
            ("issuance", self.issuance_id.clone()),
        ]
    }
}

impl Row for CredentialView {
    const HEAD: &'static [&'static str] = &["expires", "credential", "enforced scope", "issuance"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            moment::words(self.expires_at, now),
            self.shape.to_owned(),
            self.enforced_scope.clone(),
            self.issuance_id.clone(),
        ]
    }
}
