//! Tokens: from Entra by `azure_identity`, from the machine, or the one that
//! was handed in.
//!
//! Each mint makes a fresh credential of the library: its own cache holds one
//! lock over all scopes during a call, and ours decides what is kept. The
//! library's transport is the one way out, with its address rules, deadline
//! and size cap; it never tries again. Its errors may hold bodies: they are
//! dropped, and what the transport saw decides.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::request::Body;
use azure_core::http::{
    AsyncRawResponse, ClientMethodOptions, ClientOptions, HttpClient, Method, Request, RetryOptions, StatusCode,
    Transport,
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use crate::connectors::answer::{printable, unanswered};
use crate::connectors::{Doing, Upstream, UpstreamError, token_endpoint};
use crate::domain::{SecretText, Timestamp, Ttl};
use crate::outbound::{Call, Response};

use super::claims::Claims;
use super::place::Place;
use super::settings::{Settings, Way};
use super::upstream_secret::{Certificate, Source};

/// The life of an assertion: it is sent at once, and Entra's clock may differ.
const ASSERTION_LIFE: Ttl = Ttl::seconds(300);
/// The longest life of a token that is believed; Entra's own is about an hour,
/// and a day where an organisation says so.
const TOKEN_LIFE_MAX: std::time::Duration = std::time::Duration::from_secs(25 * 3600);
/// The version of the machine's identity endpoint.
const MACHINE_VERSION: &str = "2018-02-01";
/// The longest handed-in token that is still not a long-lived secret.
pub const HANDED_IN_MAX: u32 = 129_600;

const ASKING: Doing = Doing {
    permissions: &[],
    remedy: "check tenant_id, client_id and cloud, and that the audience has a service principal in the tenant",
};
const BORROWING: Doing = Doing { permissions: &[], remedy: "assign the managed identity to the server's machine" };

/// A token of Entra. No Debug.
pub struct Token {
    /// The token.
    pub text: SecretText,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Who asks for tokens.
pub struct Asker<'a> {
    /// The way out.
    pub upstream: &'a Upstream,
    /// The connector's.
    pub settings: &'a Settings,
    /// What with.
    pub source: &'a Source,
    /// When a handed-in token ends.
    pub secret_expires_at: Option<Timestamp>,
}

impl Asker<'_> {
    /// A token for this audience.
    ///
    /// # Errors
    /// What Entra's code means; `Rejected` for a handed-in token of another
    /// audience; `NotEnabled`.
    pub async fn token(&self, audience: &str) -> Result<Token, UpstreamError> {
        self.token_of(&[audience]).await
    }

    /// A token for the first of these audiences, or of any of them when it is
    /// handed in.
    ///
    /// # Errors
    /// As [`Self::token`].
    pub async fn token_of(&self, audiences: &[&str]) -> Result<Token, UpstreamError> {
        let audience = audiences.first().copied().ok_or(UpstreamError::StoredSettings)?;
        match self.source {
            Source::HandedIn(text) => self.handed_in(text, audiences),
            Source::Machine => self.machine(audience).await,
            Source::Secret(_) | Source::Certificate(_) | Source::Federated => self.application(audience).await,
        }
    }

    /// Ends when the token says, and no later than who handed it in says.
    fn handed_in(&self, text: &SecretText, audiences: &[&str]) -> Result<Token, UpstreamError> {
        let refused = |code: &str| UpstreamError::CredentialRefused { code: code.to_owned() };
        let claims = Claims::read(text.reveal()).ok_or_else(|| refused("unreadable"))?;
        let said = claims.aud.as_deref().unwrap_or_default();
        let place = self.settings.place();
        if !audiences.iter().any(|wanted| place.audience_is(said, wanted)) {
            let remedy = "the handed-in token is for another audience; hand in one for this resource type";
            return Err(UpstreamError::Rejected { code: "AUDIENCE".to_owned(), remedy: remedy.to_owned() });
        }
        let own = claims.expires_at().ok_or_else(|| refused("unreadable"))?;
        let expires_at = own.min(self.secret_expires_at.unwrap_or(own));
        if expires_at <= self.upstream.clock.now() {
            return Err(UpstreamError::Expired);
        }
        Ok(Token { text: SecretText::new(text.reveal().to_owned()), expires_at })
    }

    async fn application(&self, audience: &str) -> Result<Token, UpstreamError> {
        let Way::Application { tenant, client_id, .. } = self.settings.way() else {
            return Err(UpstreamError::StoredSettings);
        };
        let place = self.settings.place();
        let scope = format!("{audience}/.default");
        let way = WayOut { upstream: self.upstream.clone(), trust: None, seen: Mutex::new(None) };
        let (answer, way) = match self.source {
            Source::Secret(secret) => {
                let (secret, way) = (Secret::new(secret.reveal().to_owned()), Arc::new(way));
                let options = ClientSecretCredentialOptions { client_options: client_options(&place, &way) };
                let answer = match ClientSecretCredential::new(tenant, client_id.to_owned(), secret, Some(options)) {
                    Ok(credential) => credential.get_token(&[&scope], None).await,
                    Err(error) => Err(error),
                };
                (answer, way)
            }
            Source::Certificate(_) | Source::Federated | Source::HandedIn(_) | Source::Machine => {
                let assertion = self.assertion(&place, tenant, client_id)?;
                let trust = matches!(self.source, Source::Federated).then(|| trust(&assertion));
                let (assertion, way) = (Assertion(assertion), Arc::new(WayOut { trust, ..way }));
                let options = ClientAssertionCredentialOptions { client_options: client_options(&place, &way) };
                let (tenant, client_id) = (tenant.to_owned(), client_id.to_owned());
                let answer = match ClientAssertionCredential::new(tenant, client_id, assertion, Some(options)) {
                    Ok(credential) => credential.get_token(&[&scope], None).await,
                    Err(error) => Err(error),
                };
                (answer, way)
            }
        };
        match (answer, way.seen()) {
            (Ok(token), Some(Ok(expires_at))) => {
                Ok(Token { text: SecretText::new(token.token.secret().to_owned()), expires_at })
            }
            (_, Some(Err(error))) => Err(error),
            (Err(_), Some(Ok(_))) => Err(UpstreamError::BadAnswer { what: "not an answer of Entra" }),
            (_, None) => Err(UpstreamError::StoredSettings),
        }
    }

    /// RFC 7523: who the application is, signed by its key or by our issuer.
    fn assertion(&self, place: &Place<'_>, tenant: &str, client_id: &str) -> Result<SecretText, UpstreamError> {
        match self.source {
            Source::Certificate(certificate) => {
                let endpoint = format!("{}/{tenant}/oauth2/v2.0/token", place.authority());
                signed(self.upstream, certificate, &endpoint, client_id)
            }
            Source::Federated => {
                self.upstream.connector_identity_token(place.cloud.federation_audience(), ASSERTION_LIFE)
            }
            Source::Secret(_) | Source::HandedIn(_) | Source::Machine => Err(UpstreamError::StoredSettings),
        }
    }

    /// The machine's own identity. Not by the library: its address is fixed
    /// there, and it looks at the environment.
    async fn machine(&self, audience: &str) -> Result<Token, UpstreamError> {
        let Way::Machine { client_id } = self.settings.way() else {
            return Err(UpstreamError::StoredSettings);
        };
        let name = format!("azure:{}", client_id.unwrap_or("system"));
        if !self.upstream.outbound.rules().implicit_identities.contains(&name) {
            return Err(UpstreamError::NotEnabled {
                remedy: "name azure:CLIENT_ID, or azure:system, in [outbound] implicit_identities, and the identity \
                         endpoint in allowed_endpoints",
            });
        }
        let query = Serializer::new(String::new())
            .append_pair("api-version", MACHINE_VERSION)
            .append_pair("resource", audience)
            .extend_pairs(client_id.map(|id| ("client_id", id)))
            .finish();
        let url = format!("{}/metadata/identity/oauth2/token?{query}", self.settings.place().machine());
        let headers = vec![("metadata".to_owned(), "true".to_owned())];
        let asked_at = self.upstream.clock.now();
        let call = Call { method: "GET", url, headers, body: Vec::new() };
        let answer = self.upstream.outbound.call(call).await.map_err(unanswered)?;
        let token = token_endpoint::read(&answer, asked_at, BORROWING)?;
        let expires_at = bounded(token.expires_at, asked_at)?;
        Ok(Token { text: token.access_token, expires_at })
    }
}

/// What the application must have for this assertion of our issuer to be
/// taken: what to compare, letter by letter.
fn trust(assertion: &SecretText) -> String {
    let claims = Claims::read(assertion.reveal());
    let said = |claim: Option<&str>| claim.unwrap_or("of the token").to_owned();
    let claim = |of: fn(&Claims) -> Option<&str>| said(claims.as_ref().and_then(of));
    format!(
        "compare with the federated credential of the application, letter by letter: issuer {}, subject {}, audience \
         {}; and see that Entra reaches the issuer's documents and that the server's clock is right",
        claim(|claims| claims.iss.as_deref()),
        claim(|claims| claims.sub.as_deref()),
        claim(|claims| claims.aud.as_deref()),
    )
}

fn signed(
    upstream: &Upstream,
    certificate: &Certificate,
    endpoint: &str,
    client_id: &str,
) -> Result<SecretText, UpstreamError> {
    let failed = UpstreamError::Unavailable { what: "the assertion cannot be signed" };
    let mut id = [0; 16];
    upstream.entropy.fill(&mut id).map_err(|_| failed.clone())?;
    let now = upstream.clock.now().seconds();
    let claims = json!({
        "aud": endpoint,
        "iss": client_id,
        "sub": client_id,
        "jti": Uuid::from_bytes(id).hyphenated().to_string(),
        "iat": now,
        "nbf": now,
        "exp": now + i64::from(ASSERTION_LIFE.as_seconds()),
    });
    let header = Map::from_iter([("x5t".to_owned(), Value::from(certificate.thumbprint.as_str()))]);
    certificate.key.sign(header, &claims).map_err(|_| failed)
}

fn client_options(place: &Place<'_>, way: &Arc<WayOut>) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = place.authority();
    ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::clone(way) as Arc<dyn HttpClient>)),
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        ..ClientOptions::default()
    }
}

/// An assertion on its way. The library wants a Debug; it shows nothing.
struct Assertion(SecretText);

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion")
    }
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.reveal().to_owned())
    }
}

/// The library's transport: one call, and what came of it.
struct WayOut {
    upstream: Upstream,
    /// What to compare when an assertion of our own issuer is refused: it is
    /// no source credential that anybody could rotate.
    trust: Option<String>,
    seen: Mutex<Option<Result<Timestamp, UpstreamError>>>,
}

impl fmt::Debug for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WayOut")
    }
}

impl WayOut {
    fn seen(&self) -> Option<Result<Timestamp, UpstreamError>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the answer before the library does: its sums over a lifetime
    /// that cannot be would panic.
    async fn exchange(&self, request: &Request) -> Result<(Response, Timestamp), UpstreamError> {
        let Body::Bytes(body) = request.body() else {
            return Err(UpstreamError::StoredSettings);
        };
        if request.method() != Method::Post {
            return Err(UpstreamError::StoredSettings);
        }
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str().to_ascii_lowercase(), value.as_str().to_owned()));
        let call =
            Call { method: "POST", url: request.url().to_string(), headers: headers.collect(), body: body.to_vec() };
        let asked_at = self.upstream.clock.now();
        let answer = self.upstream.outbound.call(call).await.map_err(unanswered)?;
        let token = match refusal(&answer) {
            Some(refused) => Err(refused),
            None => token_endpoint::read(&answer, asked_at, ASKING),
        };
        let token = match (token, &self.trust) {
            (Err(UpstreamError::CredentialRefused { code }), Some(trust)) => {
                return Err(UpstreamError::Rejected { code, remedy: trust.clone() });
            }
            (token, _) => token?,
        };
        Ok((answer, bounded(token.expires_at, asked_at)?))
    }
}

#[async_trait]
impl HttpClient for WayOut {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (seen, answer) = match self.exchange(request).await {
            Ok((response, expires_at)) => {
                let body = response.body().to_vec();
                (Ok(expires_at), Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, Headers::new(), body)))
            }
            Err(error) => (Err(error), Err(Error::with_message(ErrorKind::Other, "no answer"))),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        answer
    }
}

fn bounded(expires_at: Option<Timestamp>, asked_at: Timestamp) -> Result<Timestamp, UpstreamError> {
    expires_at
        .filter(|end| *end <= asked_at.plus(TOKEN_LIFE_MAX))
        .ok_or(UpstreamError::BadAnswer { what: "a life that cannot be" })
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

/// What Entra's own code means; nothing when it is none of these.
pub fn refusal(answer: &Response) -> Option<UpstreamError> {
    if answer.status == 200 {
        return None;
    }
    let sent: Refusal = serde_json::from_slice(answer.body()).ok()?;
    let number = *sent.error_codes.first()?;
    let code = format!("AADSTS{number}");
    let rejected = |remedy: &str| UpstreamError::Rejected { code: code.clone(), remedy: remedy.to_owned() };
    Some(match number {
        // The tenant is not there, or is of another cloud.
        90002 | 900_021 | 900_023 | 900_382 => rejected("check tenant_id and cloud"),
        // The application is not there, or is switched off.
        700_016 | 7_000_112 => rejected("check client_id, and that the application is enabled in the tenant"),
        // The audience is not there, or the principal may not have it.
        500_011 | 500_014 | 1_002_012 | 70_011 => {
            rejected("check the audience, and that it has a service principal in the tenant")
        }
        // Asked in a loop, or too often.
        50_196 | 90_055 => UpstreamError::Throttled { retry_after: answer.retry_after },
        // Secret or assertion: wrong, ended, or not of this application; or no federated credential of the application
        // fits our issuer, subject or audience.
        7_000_215 | 7_000_222 | 50_012 | 50_013 | 700_023 | 700_024 | 700_027 | 7_000_214 => {
            UpstreamError::CredentialRefused { code }
        }
        70_021 | 700_211..=700_213 | 700_238 => UpstreamError::CredentialRefused { code },
        _ if sent.error == "invalid_client" || sent.error == "invalid_grant" => {
            UpstreamError::CredentialRefused { code }
        }
        _ => ASKING.refused(answer.status, Some(&printable(&code)), answer.retry_after),
    })
}
