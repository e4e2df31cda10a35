//! Where things are in Google Cloud: the endpoints that a connector's calls go
//! to, and the grammar of the names in their paths. Pure; nothing is looked up.
//!
//! A source credential names endpoints too (`token_uri` and the like). None of
//! them is ever called: they are compared with those from here, and refused.

/// What every auth method says about where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The project's id.
    pub project: &'a str,
    /// Of clusters that are named without one.
    pub location: Option<&'a str>,
    /// For every service.
    pub endpoint_url: Option<&'a str>,
}

/// A service that connectors call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The token endpoint.
    OAuth,
    /// Token exchange.
    Sts,
    /// Tokens of service accounts.
    IamCredentials,
    /// Keys of service accounts.
    Iam,
    /// Buckets.
    Storage,
    /// Clusters.
    Container,
    /// Registries.
    ArtifactRegistry,
    /// Projects.
    ResourceManager,
}

impl Service {
    const fn host(self) -> &'static str {
        match self {
            Self::OAuth => "oauth2.googleapis.com",
            Self::Sts => "sts.googleapis.com",
            Self::IamCredentials => "iamcredentials.googleapis.com",
            Self::Iam => "iam.googleapis.com",
            Self::Storage => "storage.googleapis.com",
            Self::Container => "container.googleapis.com",
            Self::ArtifactRegistry => "artifactregistry.googleapis.com",
            Self::ResourceManager => "cloudresourcemanager.googleapis.com",
        }
    }
}

/// What Google's own files name as the token endpoint, old ones included.
const TOKEN_URIS: [&str; 3] = [
    "https://oauth2.googleapis.com/token",
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v4/token",
];

impl Place<'_> {
    /// The URL of a path at a service. Google's paths differ between services,
    /// so that one endpoint can serve them all.
    pub fn url(&self, service: Service, path: &str) -> String {
        match self.endpoint_url {
            Some(url) => format!("{}{path}", url.trim_end_matches('/')),
            None => format!("https://{}{path}", service.host()),
        }
    }

    /// The token endpoint.
    pub fn token_url(&self) -> String {
        self.url(Service::OAuth, "/token")
    }

    /// The token exchange endpoint.
    pub fn sts_url(&self) -> String {
        self.url(Service::Sts, "/v1/token")
    }

    /// Whether a credential that names this token endpoint may be used here.
    pub fn knows_token_uri(&self, uri: &str) -> bool {
        TOKEN_URIS.contains(&uri) || uri == self.token_url()
    }

    /// Whether a credential that names this exchange endpoint may be used here.
    pub fn knows_sts_url(&self, url: &str) -> bool {
        url == self.sts_url() || url == "https://sts.googleapis.com/v1/token"
    }

    /// The service account that an impersonation URL is about, when the URL is
    /// the one that is called here for it.
    pub fn impersonated<'u>(&self, url: &'u str) -> Option<&'u str> {
        let own = self.url(Service::IamCredentials, IMPERSONATION_HEAD);
        let googles = format!("https://{}{IMPERSONATION_HEAD}", Service::IamCredentials.host());
        let rest = url.strip_prefix(&own).or_else(|| url.strip_prefix(&googles))?;
        rest.strip_suffix(IMPERSONATION_TAIL).filter(|address| email(address))
    }

    /// Where tokens of a service account are made.
    pub fn impersonation_url(&self, email: &str) -> String {
        self.url(Service::IamCredentials, &format!("{IMPERSONATION_HEAD}{email}{IMPERSONATION_TAIL}"))
    }

    /// Everything that decides where secrets go: each part with its length
    /// before it, so that no two places share an encoding.
    pub fn encode(&self, metadata_url: Option<&str>) -> Vec<u8> {
        let parts = [Some("valetkey/gcp/destination/v1"), self.endpoint_url, metadata_url];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.push(u8::from(part.is_some()));
            let text = part.unwrap_or_default();
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

const IMPERSONATION_HEAD: &str = "/v1/projects/-/serviceAccounts/";
const IMPERSONATION_TAIL: &str = ":generateAccessToken";

/// The longest e-mail that is taken.
const EMAIL_LENGTH_MAX: usize = 254;
/// The longest location; the longest of Google has 23 letters.
const LOCATION_LENGTH_MAX: usize = 40;

/// Lower-case letters, digits and hyphens, as everywhere in Google's names.
fn word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn letter_first(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_lowercase()) && !text.ends_with('-')
}

/// A project's id: 6 to 30 letters, digits and hyphens.
pub fn project(text: &str) -> bool {
    (6..=30).contains(&text.len()) && word(text) && letter_first(text)
}

/// A region, a zone, or a multi-region such as `us`.
pub fn location(text: &str) -> bool {
    (1..=LOCATION_LENGTH_MAX).contains(&text.len()) && word(text) && letter_first(text)
}

/// A cluster's or repository's name.
pub fn name(text: &str) -> bool {
    (1..=63).contains(&text.len()) && word(text) && letter_first(text)
}

/// An e-mail that means the same in a URL's path as anywhere else.
pub fn email(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    let fits = text.split_once('@').is_some_and(|(local, host)| part(local) && part(host) && host.contains('.'));
    fits && text.len() <= EMAIL_LENGTH_MAX && !text.contains("..")
}

/// A provider of a workload identity pool, by its full name.
pub fn provider(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("//iam.googleapis.com/") else {
        return false;
    };
    let number = |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    let id = |text: &str| (1..=63).contains(&text.len()) && word(text);
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["projects", project, "locations", "global", "workloadIdentityPools", pool, "providers", provider] => {
            number(project) && id(pool) && id(provider)
        }
        ["locations", "global", "workforcePools", pool, "providers", provider] => id(pool) && id(provider),
        _ => false,
    }
}
