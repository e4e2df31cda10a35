//! Minted credentials: a closed set of shapes, wiped when dropped.

use sha2::{Digest, Sha256};

use super::clock::Timestamp;
use super::scope::{EnforcedScope, Revocable};
use super::secret_text::SecretText;

/// What a caller gets.
pub enum MintedShape {
    /// An AWS session.
    AwsSession {
        /// `ASIA...`.
        access_key_id: SecretText,
        /// The secret key of the session.
        secret_access_key: SecretText,
        /// The session token.
        session_token: SecretText,
        /// The region to use.
        region: String,
        /// The endpoint, when the connector names one.
        endpoint_url: Option<String>,
    },
    /// A bearer token.
    Bearer {
        /// The token.
        token: SecretText,
        /// Where to use it.
        endpoint: Option<String>,
        /// PEM of the CA of that endpoint.
        certificate_authority: Option<String>,
    },
    /// A user name and a password.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: SecretText,
        /// Where to use it.
        endpoint: Option<String>,
    },
    /// A client certificate and its key.
    ClientCertificate {
        /// PEM.
        certificate: String,
        /// PEM.
        private_key: SecretText,
        /// Where to use it.
        endpoint: Option<String>,
        /// PEM of the CA of that endpoint.
        certificate_authority: Option<String>,
    },
    /// An SSH certificate for the caller's own key.
    SshCertificate {
        /// One line in OpenSSH's form.
        certificate: String,
    },
    /// A signed URL.
    SignedUrl {
        /// The URL.
        url: SecretText,
    },
    /// Leave to have the broker sign with a key that stays with it. Nothing
    /// of it is secret.
    SigningSession {
        /// One line in OpenSSH's form, without a comment.
        public_key: String,
        /// The user to sign in as.
        username: String,
        /// The host, as the resource id names it.
        host: String,
        /// The host's pinned keys, each a line in OpenSSH's form.
        host_keys: Vec<String>,
    },
}

/// Which of the shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShapeName {
    /// An AWS session.
    AwsSession,
    /// A bearer token.
    Bearer,
    /// A user name and a password.
    Basic,
    /// A client certificate and its key.
    ClientCertificate,
    /// An SSH certificate.
    SshCertificate,
    /// A signed URL.
    SignedUrl,
    /// Leave to have the broker sign.
    SigningSession,
}

impl ShapeName {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsSession => "AWS session",
            Self::Bearer => "bearer token",
            Self::Basic => "login",
            Self::ClientCertificate => "client certificate",
            Self::SshCertificate => "SSH certificate",
            Self::SignedUrl => "signed URL",
            Self::SigningSession => "signing session",
        }
    }
}

impl MintedShape {
    /// Which of the shapes it is.
    #[must_use]
    pub const fn name(&self) -> ShapeName {
        match self {
            Self::AwsSession { .. } => ShapeName::AwsSession,
            Self::Bearer { .. } => ShapeName::Bearer,
            Self::Basic { .. } => ShapeName::Basic,
            Self::ClientCertificate { .. } => ShapeName::ClientCertificate,
            Self::SshCertificate { .. } => ShapeName::SshCertificate,
            Self::SignedUrl { .. } => ShapeName::SignedUrl,
            Self::SigningSession { .. } => ShapeName::SigningSession,
        }
    }
}

/// A minted credential with the truth about it.
pub struct Minted {
    /// The credential.
    pub shape: MintedShape,
    /// When it really ends.
    pub expires_at: Timestamp,
    /// What it is really narrowed to.
    pub enforced: EnforcedScope,
    /// What can be done about it before it ends.
    pub revocable: Revocable,
    /// What the cloud's own audit log shows.
    pub attribution: String,
    /// This is the long-lived secret itself.
    pub passthrough: bool,
}

impl Minted {
    /// The first 16 hex characters of a digest: tells two credentials apart
    /// and gives neither away.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let secret = match &self.shape {
            MintedShape::AwsSession { session_token, .. } => session_token.reveal(),
            MintedShape::Bearer { token, .. } => token.reveal(),
            MintedShape::Basic { password, .. } => password.reveal(),
            MintedShape::ClientCertificate { certificate, .. } | MintedShape::SshCertificate { certificate } => {
                certificate
            }
            MintedShape::SignedUrl { url } => url.reveal(),
            MintedShape::SigningSession { public_key, .. } => public_key,
        };
        let digest = Sha256::new().chain_update(b"valetkey/issuance/v1").chain_update(secret.as_bytes()).finalize();
        hex::encode(digest.iter().take(8).copied().collect::<Vec<u8>>())
    }

    /// The least life, in seconds, that a consumer of this shape needs to be
    /// handed (DELIVERY.md section 7: at what remaining life it re-asks).
    #[must_use]
    pub const fn floor_seconds(&self) -> u32 {
        match self.shape {
            // boto re-asks below 15 minutes.
            MintedShape::AwsSession { .. } => 20 * 60,
            // MSAL re-asks below 5 minutes.
            MintedShape::Bearer { .. } => 8 * 60,
            MintedShape::Basic { .. }
            | MintedShape::ClientCertificate { .. }
            | MintedShape::SshCertificate { .. }
            | MintedShape::SignedUrl { .. }
            | MintedShape::SigningSession { .. } => 5 * 60,
        }
    }
}
