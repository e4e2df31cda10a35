//! One API server as one source credential sees it: the login, the TLS that
//! the connector sets, and what an error status means. The source credential
//! is plaintext here, for one call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::connectors::answer::unanswered;
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::outbound::{Call, ClientIdentity, PrivateTls, Response};
use crate::sealing::SourceCredential;

use super::settings::{Cluster, Settings};
use super::upstream_secret::{PASSWORD, TOKEN, USERNAME, identity};

/// Reasons of the Kubernetes API (`metav1.StatusReason`); any other word of an
/// answer is not repeated.
const REASONS: [&str; 17] = [
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Expired",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "RequestEntityTooLarge",
    "ServerTimeout",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
];

/// An API server. No Debug: it holds the source credential.
pub struct Api<'a> {
    /// The way out.
    pub upstream: &'a Upstream,
    /// The connector's.
    pub cluster: &'a Cluster,
    login: Login<'a>,
}

enum Login<'a> {
    Bearer(&'a str),
    Basic(&'a str, &'a str),
    Certificate(ClientIdentity<'a>),
}

/// What a request is about, for the words about why it was refused.
pub struct Asking {
    /// What it needs, as RBAC has it, for example
    /// `create serviceaccounts/token ml/reader`.
    pub permission: String,
    /// What to do when RBAC refuses it.
    pub grant: String,
    /// What to do when there is no such thing.
    pub absent: &'static str,
}

impl<'a> Api<'a> {
    /// The server of these settings with this source credential.
    ///
    /// # Errors
    /// `CredentialRefused` when the credential is incomplete.
    pub fn new(
        upstream: &'a Upstream,
        settings: &'a Settings,
        secret: &'a SourceCredential,
    ) -> Result<Self, UpstreamError> {
        let text = |name: &str| secret.field(name).and_then(|field| field.expose_text());
        let login = match settings {
            Settings::Token(_) => text(TOKEN).map(Login::Bearer).or_else(|| identity(secret).map(Login::Certificate)),
            Settings::Password(_) => text(USERNAME).zip(text(PASSWORD)).map(|(name, word)| Login::Basic(name, word)),
        };
        let login = login.ok_or_else(|| UpstreamError::CredentialRefused { code: "incomplete".to_owned() })?;
        Ok(Self { upstream, cluster: settings.cluster(), login })
    }

    /// Asks: `path` begins with a slash. Any status is an answer.
    ///
    /// # Errors
    /// What no answer means.
    pub async fn ask(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Response, UpstreamError> {
        self.ask_for(method, path, body, "application/json").await
    }

    /// The same, for these media types.
    ///
    /// # Errors
    /// What no answer means.
    pub async fn ask_for(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
        accept: &str,
    ) -> Result<Response, UpstreamError> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![header("accept", accept), header("user-agent", "valetkey")];
        headers.extend(self.authorization().map(|value| header("authorization", &value)));
        headers.extend(body.map(|_| header("content-type", "application/json")));
        let body = body.map(|value| value.to_string().into_bytes()).unwrap_or_default();
        let call = Call { method, url: format!("{}{path}", self.cluster.address()), headers, body };
        let outbound = &self.upstream.outbound;
        let answer = match self.tls() {
            Some(tls) => outbound.call_with(call, &tls).await,
            None => outbound.call(call).await,
        };
        answer.map_err(unanswered)
    }

    /// What a token that is handed out must not be.
    pub fn is_own_token(&self, token: &str) -> bool {
        match self.login {
            Login::Bearer(own) | Login::Basic(_, own) => own == token,
            Login::Certificate(_) => false,
        }
    }

    fn authorization(&self) -> Option<Zeroizing<String>> {
        match self.login {
            Login::Bearer(token) => Some(Zeroizing::new(format!("Bearer {token}"))),
            Login::Basic(name, word) => {
                let pair = Zeroizing::new(format!("{name}:{word}"));
                Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
            }
            Login::Certificate(_) => None,
        }
    }

    /// None when the shared client does.
    fn tls(&self) -> Option<PrivateTls<'a>> {
        let identity = match self.login {
            Login::Certificate(identity) => Some(identity),
            Login::Bearer(_) | Login::Basic(..) => None,
        };
        let roots = self.cluster.certificate_authority.as_deref();
        let own = roots.is_some() || identity.is_some() || self.cluster.insecure;
        own.then_some(PrivateTls { roots, identity, verify: !self.cluster.insecure })
    }
}

impl Asking {
    /// The answer when its status is a success.
    ///
    /// # Errors
    /// What the status means.
    pub fn done(&self, answer: Response) -> Result<Response, UpstreamError> {
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let code = reason(answer.body()).map_or_else(|| format!("HTTP {}", answer.status), str::to_owned);
        Err(match answer.status {
            403 => self.denied(code),
            404 => UpstreamError::Rejected { code, remedy: self.absent.to_owned() },
            status => ANYTHING.refused(status, None, answer.retry_after),
        })
    }

    /// RBAC refuses it.
    pub fn denied(&self, code: String) -> UpstreamError {
        UpstreamError::Denied { code, missing: vec![self.permission.clone()], remedy: self.grant.clone() }
    }
}

const ANYTHING: Doing = Doing {
    permissions: &[],
    remedy: "check the settings against what this API server serves, and the lifetime against its limits",
};

#[derive(Deserialize)]
struct Refusal<'a> {
    reason: &'a str,
}

/// The reason in an error answer, if it is one that we know.
fn reason(body: &[u8]) -> Option<&'static str> {
    let said = serde_json::from_slice::<Refusal<'_>>(body).ok()?.reason;
    REASONS.into_iter().find(|known| *known == said)
}
