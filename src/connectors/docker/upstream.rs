//! Asking a registry: how it wants to be logged into, and its token service
//! for a token of one repository. Source credentials are plaintext here, for
//! one call.
//!
//! The password goes to the token service that was agreed to and nowhere
//! else; what the registry answers never chooses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::connectors::answer::{json, send, unanswered};
use crate::connectors::token_endpoint::{self, TokenAsk};
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::domain::{Minted, MintedShape, Revocable, SecretText, Timestamp, Ttl, claimed_end};
use crate::outbound::Call;
use crate::sealing::{Plaintext, SourceCredential};

use super::challenge::{self, Challenge};
use super::place::Place;
use super::scope::{Scope, enforced, unread};
use super::settings::{Login, Settings};
use super::settings_check::{IDENTITY_TOKEN, PASSWORD, USERNAME};
use super::token::{Reading, echoes, read};

/// What is said when the registry or its token service refuses.
pub const DOING: Doing =
    Doing { permissions: &[], remedy: "check the registry's settings, and what the login may do there" };
/// The most `WWW-Authenticate` headers that are looked at.
const CHALLENGES_MAX: usize = 4;
/// How long a token lives when nobody says (the token specification).
const LIFE_UNSAID: Ttl = Ttl::seconds(60);
/// The longest life that is believed, in seconds: 36 hours.
const LIFE_MAX: u64 = 129_600;
/// The longest token that is believed, in bytes.
const TOKEN_LENGTH_MAX: usize = 32 * 1024;

/// A connector's registry with its login, for one call.
pub struct Registry<'a> {
    /// The way out.
    pub upstream: &'a Upstream,
    /// The connector's.
    pub settings: &'a Settings,
    /// The source credential.
    pub secret: &'a SourceCredential,
    /// Which one.
    pub place: Place,
}

/// A token of the token service.
pub struct Token {
    /// The token.
    pub text: SecretText,
    /// When it ends.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Wire {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
    issued_at: Option<String>,
}

impl<'a> Registry<'a> {
    /// The registry of these settings.
    pub fn new(
        upstream: &'a Upstream,
        settings: &'a Settings,
        secret: &'a SourceCredential,
    ) -> Result<Self, UpstreamError> {
        let place = settings.place().ok_or(UpstreamError::StoredSettings)?;
        Ok(Self { upstream, settings, secret, place })
    }

    /// Mints; see `ConnectorType::mint`.
    pub async fn mint(&self, scope: &Scope, secret_expires_at: Option<Timestamp>) -> Result<Minted, UpstreamError> {
        match self.settings.login() {
            Login::Basic => self.hand_on(scope, secret_expires_at),
            Login::Token => self.narrowed(scope).await,
        }
    }

    async fn narrowed(&self, scope: &Scope) -> Result<Minted, UpstreamError> {
        let words = scope.words().ok_or(UpstreamError::StoredSettings)?;
        let token = self.token(Some(&words)).await?;
        let refused = |code: &str, remedy: &str| {
            Err(UpstreamError::Rejected { code: code.to_owned(), remedy: remedy.to_owned() })
        };
        if self.hands_back(&token) {
            let remedy = "its token is the password itself; use login=basic with allow_passthrough, or another login";
            return refused("echo", remedy);
        }
        let (enforced, end) = match read(&token.text, scope) {
            Reading::AsAsked(end) => (enforced(self.settings, scope), end),
            Reading::Opaque => (unread(scope), claimed_end(token.text.reveal())),
            Reading::Wider => return Err(UpstreamError::BadAnswer { what: "a token for more than was asked for" }),
            Reading::Lacks(actions) => {
                let name = |action: &&str| format!("{action} on {}", scope.resource);
                let missing: Vec<String> = actions.iter().map(name).collect();
                let remedy = format!("give the login {} in the registry", missing.join(", "));
                return Err(UpstreamError::Denied { code: "not_granted".to_owned(), missing, remedy });
            }
        };
        Ok(Minted {
            shape: MintedShape::Bearer {
                token: token.text,
                endpoint: Some(self.place.endpoint()),
                certificate_authority: None,
            },
            expires_at: end.map_or(token.expires_at, |end| end.min(token.expires_at)),
            enforced,
            revocable: Revocable::No,
            attribution: "the login: a registry's log names nobody else".to_owned(),
            passthrough: false,
        })
    }

    /// Whether a token is the login's own secret in another dress.
    pub fn hands_back(&self, token: &Token) -> bool {
        let held = self.secret.field(PASSWORD).or(self.secret.field(IDENTITY_TOKEN));
        held.is_some_and(|held| echoes(&token.text, held.expose()))
    }

    /// The password as it is: only where the connector allows passthrough.
    fn hand_on(&self, scope: &Scope, secret_expires_at: Option<Timestamp>) -> Result<Minted, UpstreamError> {
        let expires_at = secret_expires_at.ok_or(UpstreamError::StoredSettings)?;
        if expires_at <= self.upstream.clock.now() {
            return Err(UpstreamError::Expired);
        }
        Ok(Minted {
            shape: MintedShape::Basic {
                username: self.text(USERNAME)?.to_owned(),
                password: SecretText::new(self.text(PASSWORD)?.to_owned()),
                endpoint: Some(self.place.endpoint()),
            },
            expires_at,
            enforced: enforced(self.settings, scope),
            revocable: Revocable::No,
            attribution: "the login: a registry's log names nobody else".to_owned(),
            passthrough: true,
        })
    }

    /// A token for this scope, or for none: whether the login is taken.
    pub async fn token(&self, scope: Option<&str>) -> Result<Token, UpstreamError> {
        let (url, service) = self.token_service().await?;
        if self.secret.field(IDENTITY_TOKEN).is_some() {
            return self.by_identity_token(&url, service.as_deref(), scope).await;
        }
        let mut url = url;
        url.query_pairs_mut().extend_pairs(service.iter().map(|service| ("service", service)));
        url.query_pairs_mut().extend_pairs(scope.iter().map(|scope| ("scope", scope)));
        let headers = vec![("authorization".to_owned(), self.basic()?), ("accept".to_owned(), JSON.to_owned())];
        let asked_at = self.upstream.clock.now();
        let call = Call { method: "GET", url: url.into(), headers, body: Vec::new() };
        let answer = send(self.upstream, call, DOING).await?;
        believed(json(&answer)?, asked_at)
    }

    /// The POST form of the token specification, for what `docker login`
    /// keeps in place of a password.
    async fn by_identity_token(
        &self,
        url: &Url,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Token, UpstreamError> {
        let mut form = vec![("grant_type", "refresh_token"), ("client_id", "valetkey")];
        form.extend(service.map(|service| ("service", service)));
        form.extend(scope.map(|scope| ("scope", scope)));
        form.push(("refresh_token", self.text(IDENTITY_TOKEN)?));
        let asked_at = self.upstream.clock.now();
        let ask = TokenAsk { url: url.as_str(), headers: Vec::new(), form };
        let answer = token_endpoint::ask(self.upstream, ask, DOING).await?;
        let unsaid = asked_at.plus(LIFE_UNSAID.as_duration());
        Ok(Token { text: answer.access_token, expires_at: answer.expires_at.unwrap_or(unsaid) })
    }

    /// Where the password goes, and for which service: what was agreed to.
    async fn token_service(&self) -> Result<(Url, Option<String>), UpstreamError> {
        let set = self.settings.own();
        let (realm, service) = match self.challenge().await? {
            Challenge::Bearer { realm, service } => (realm, service),
            Challenge::Basic => {
                return Err(UpstreamError::Rejected {
                    code: "basic_only".to_owned(),
                    remedy: "this registry takes passwords alone; set login=basic, which needs allow_passthrough"
                        .to_owned(),
                });
            }
        };
        let remedy = match self.settings.login() {
            Login::Token => {
                "the registry wants the password sent to another host; if that is right, set token_url to it"
            }
            Login::Basic => "the registry has a token service on another host; set login=token, and token_url to it",
        };
        let url = self
            .place
            .token_service(&realm, set.token_url.as_deref())
            .ok_or_else(|| UpstreamError::Rejected { code: "foreign_realm".to_owned(), remedy: remedy.to_owned() })?;
        let service = set.service.clone().or(service);
        let fits =
            service.as_ref().is_none_or(|text| text.len() <= 256 && text.bytes().all(|b| (b' '..=b'~').contains(&b)));
        if fits { Ok((url, service)) } else { Err(UpstreamError::BadAnswer { what: "a service that cannot be" }) }
    }

    /// How the registry wants to be logged into, asked with no login.
    pub async fn challenge(&self) -> Result<Challenge, UpstreamError> {
        let url = format!("{}/v2/", self.place.base());
        let call = Call { method: "GET", url, headers: Vec::new(), body: Vec::new() };
        let answer = self.upstream.outbound.call(call).await.map_err(unanswered)?;
        match answer.status {
            401 => {
                let named = answer.headers_named("www-authenticate").take(CHALLENGES_MAX);
                let challenges: Vec<String> = named.map(str::to_owned).collect();
                challenge::read(&challenges).ok_or(UpstreamError::BadAnswer { what: "no challenge that makes sense" })
            }
            200 => Err(UpstreamError::Rejected {
                code: "no_login".to_owned(),
                remedy: "the registry asks for no login; there is nothing to mint".to_owned(),
            }),
            status => Err(DOING.refused(status, None, answer.retry_after)),
        }
    }

    /// HTTP Basic with the login (RFC 7617).
    pub fn basic(&self) -> Result<String, UpstreamError> {
        let pair = Zeroizing::new(format!("{}:{}", self.text(USERNAME)?, self.text(PASSWORD)?));
        Ok(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
    }

    fn text(&self, name: &str) -> Result<&'a str, UpstreamError> {
        let field = self.secret.field(name).and_then(Plaintext::expose_text);
        field.ok_or_else(|| UpstreamError::CredentialRefused { code: "incomplete".to_owned() })
    }
}

/// Lives are counted from when the token was issued, if that was before the
/// ask: token services may hand out one that they kept.
fn believed(mut wire: Wire, asked_at: Timestamp) -> Result<Token, UpstreamError> {
    let bad = |what| UpstreamError::BadAnswer { what };
    let other = wire.access_token.take().map(SecretText::new);
    let text = wire.token.take().map(SecretText::new).or(other).ok_or(bad("no token"))?;
    let fits = (1..=TOKEN_LENGTH_MAX).contains(&text.len()) && text.reveal().bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        return Err(bad("a token that is none"));
    }
    let seconds = wire.expires_in.unwrap_or(u64::from(LIFE_UNSAID.as_seconds()));
    if !(1..=LIFE_MAX).contains(&seconds) {
        return Err(bad("a life that cannot be"));
    }
    let issued_at = wire.issued_at.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let issued_at = issued_at.map_or(asked_at, |at| Timestamp::from_millis(at.as_millisecond()).min(asked_at));
    Ok(Token { text, expires_at: issued_at.plus(std::time::Duration::from_secs(seconds)) })
}

const JSON: &str = "application/json";
