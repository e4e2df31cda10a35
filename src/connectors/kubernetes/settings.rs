//! What a platform engineer sets on a Kubernetes connector: where the cluster
//! is, whom to trust there, and which service account stands for which access
//! level. None of it is secret. The JSON schema that clients prompt from is
//! derived from here, doc comments included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::{AccessLevel, FieldError, FieldErrors, TtlRange};
use crate::outbound::check_roots;

use super::description::{LONGEST, SHORTEST, range};
use super::ids::{Account, cluster_name};

/// The lifetime when none is asked for, in seconds.
const DEFAULT: u32 = 3600;
/// The longest address of a server.
const URL_LENGTH_MAX: usize = 512;
/// The most audiences of one connector.
const AUDIENCES_MAX: usize = 32;
/// The longest audience.
const AUDIENCE_LENGTH_MAX: usize = 256;

/// The settings of all auth methods. Both say the same about the cluster; they
/// differ in the source credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "auth_method", rename_all = "kebab-case")]
pub enum Settings {
    /// A bearer token, or a client certificate with its key.
    Token(Cluster),
    /// A user name and a password.
    Password(Cluster),
}

/// A cluster, and who may be handed what of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Address of the API server, https alone, for example
    /// `https://kube.example.com:6443`. The server's config must name it in
    /// [outbound] allowed_endpoints (without a path).
    #[schemars(title = "API server", example = &"https://kube.example.com:6443")]
    pub server: String,
    /// What the cluster is called here: the resource id of the connector.
    #[schemars(title = "Cluster name", regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"), example = &"train")]
    pub cluster_name: String,
    /// For each access level the service account whose tokens are minted, as
    /// NAMESPACE/SERVICE_ACCOUNT. A level with no account is refused.
    #[schemars(title = "Service accounts", example = example_accounts())]
    pub service_accounts: Accounts,
    /// PEM of the CAs that sign the API server's certificate; those of the
    /// system and of the server's config otherwise. Handed out with each token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(title = "Certificate authority", example = &"-----BEGIN CERTIFICATE-----\n...")]
    pub certificate_authority: Option<String>,
    /// DANGEROUS: take any certificate of the API server. Whoever is in
    /// between then reads the source credential. Every reply says so.
    #[serde(default, skip_serializing_if = "is_false")]
    #[schemars(title = "Insecure", example = false)]
    pub insecure: bool,
    /// Audiences that an ask may name with the parameter `audience`, besides
    /// the API server's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(title = "Audiences", length(max = 32), example = ["https://vault.example.com"])]
    pub audiences: Vec<String>,
    /// Bind each token to a Secret made for it, so that a revoke ends it: the
    /// API server refuses a token whose Secret is gone, 10 seconds after it
    /// last took it at the latest (its token cache). Needs create and delete
    /// on secrets in the accounts' namespaces.
    #[serde(default, skip_serializing_if = "is_false")]
    #[schemars(title = "Bind to a Secret", example = false)]
    pub bind_to_secret: bool,
    /// The longest lifetime to ask for, in seconds: the server's own
    /// --service-account-max-token-expiration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(title = "Maximum lifetime", range(min = 600, max = 86400), example = 3600)]
    pub token_seconds_max: Option<u32>,
}

/// One service account for each access level, NAMESPACE/SERVICE_ACCOUNT.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Accounts {
    /// For `read`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    /// For `write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<String>,
    /// For `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
}

fn example_accounts() -> Accounts {
    Accounts { read: Some("ml/reader".to_owned()), ..Accounts::default() }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference in")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Settings {
    /// The cluster.
    pub const fn cluster(&self) -> &Cluster {
        match self {
            Self::Token(cluster) | Self::Password(cluster) => cluster,
        }
    }

    /// The name of the auth method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Password(_) => "password",
        }
    }
}

impl Accounts {
    fn each(&self) -> [(AccessLevel, Option<&str>); 3] {
        [
            (AccessLevel::Read, self.read.as_deref()),
            (AccessLevel::Write, self.write.as_deref()),
            (AccessLevel::Admin, self.admin.as_deref()),
        ]
    }
}

impl Cluster {
    /// The account of a level.
    pub fn account(&self, access: AccessLevel) -> Option<Account> {
        let (_, text) = self.service_accounts.each().into_iter().find(|(level, _)| *level == access)?;
        Account::parse(text?)
    }

    /// Every account, each once.
    pub fn accounts(&self) -> Vec<Account> {
        let mut accounts: Vec<Account> =
            self.service_accounts.each().into_iter().filter_map(|(_, text)| Account::parse(text?)).collect();
        accounts.sort();
        accounts.dedup();
        accounts
    }

    /// The server with no slash at its end.
    pub fn address(&self) -> &str {
        self.server.trim_end_matches('/')
    }

    /// The lifetimes.
    pub fn ttl_range(&self) -> TtlRange {
        let longest = self.token_seconds_max.unwrap_or(LONGEST);
        range(SHORTEST, DEFAULT.min(longest), longest)
    }

    /// Who can read what is sent: the address, and what its server is held to.
    pub fn destination(&self) -> Vec<u8> {
        let trust = match (&self.certificate_authority, self.insecure) {
            (_, true) => "anybody",
            (Some(pem), false) => pem,
            (None, false) => "",
        };
        let mut bytes = Vec::new();
        for part in [self.address(), trust] {
            bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    /// Checks what the types of the fields cannot say; see
    /// `ConnectorType::check`.
    pub fn check(&self) -> Result<(), FieldErrors> {
        let mut refused = Vec::new();
        let mut unless = |fits: bool, field: &str, problem: &str| {
            if !fits {
                refused.push(FieldError::new(format!("settings.{field}"), problem));
            }
        };
        unless(server(&self.server), "server", "must be https://host[:port][/path], with nothing after it");
        let name = "must be 1 to 100 letters, digits or any of ._-, the first a letter or digit";
        unless(cluster_name(&self.cluster_name), "cluster_name", name);
        let accounts = self.service_accounts.each();
        let some = accounts.iter().any(|(_, text)| text.is_some());
        unless(some, "service_accounts", "must name an account for one of read, write and admin at least");
        for (level, text) in accounts {
            let fits = text.is_none_or(|text| Account::parse(text).is_some());
            unless(fits, &format!("service_accounts.{level}"), "must be NAMESPACE/SERVICE_ACCOUNT");
        }
        let pem = self.certificate_authority.as_deref();
        let problem = "must be a PEM bundle of 1 to 32 CA certificates, at most 64 KiB";
        unless(pem.is_none_or(check_roots), "certificate_authority", problem);
        let both = self.insecure && pem.is_some();
        unless(!both, "insecure", "looks at no certificate: leave it out, or leave certificate_authority out");
        unless(self.audiences.len() <= AUDIENCES_MAX, "audiences", "at most 32");
        let problem = "each must be 1 to 256 printable characters with no blanks";
        unless(self.audiences.iter().all(|text| audience(text)), "audiences", problem);
        let fits = self.token_seconds_max.is_none_or(|seconds| (SHORTEST..=LONGEST).contains(&seconds));
        unless(fits, "token_seconds_max", "must be 600 to 86400 seconds");
        if refused.is_empty() { Ok(()) } else { Err(FieldErrors(refused)) }
    }
}

fn server(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(letter);
    let path = url.path().trim_start_matches('/').trim_end_matches('/');
    let bare = url.query().is_none() && url.fragment().is_none() && !text.contains(['@', '\\']);
    // The parser repairs much; what it wrote is what must have been meant. The
    // port that everybody knows is the one thing that it leaves out.
    let meant = if url.port().is_none() { text.replacen(":443", "", 1) } else { text.to_owned() };
    let same = url.as_str().trim_end_matches('/').eq_ignore_ascii_case(meant.trim_end_matches('/'));
    text.len() <= URL_LENGTH_MAX
        && url.scheme() == "https"
        && url.has_host()
        && bare
        && same
        && (path.is_empty() || path.split('/').all(segment))
}

/// Whether this can be an audience.
pub fn audience(text: &str) -> bool {
    (1..=AUDIENCE_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
