//! Minting: the client proves who it is and the token endpoint answers.
//! Source credentials are plaintext here, for one call.
//!
//! An answer that cannot be served is refused with its successor kept: the
//! provider has rotated the refresh token whatever else it said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, json};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::connectors::token_endpoint::{self, NoToken, TokenAnswer, TokenAsk};
use crate::connectors::{Doing, MintOutcome, Upstream, UpstreamError};
use crate::domain::jws::SigningKey;
use crate::domain::{Minted, MintedShape, Revocable, SecretText, Timestamp, Ttl};
use crate::sealing::{Plaintext, SourceCredential};

use super::description::LONGEST;
use super::scope::{Scope, enforced, granted};
use super::settings::{Client, ClientAuth, Settings};
use super::settings_check::{ACCESS_TOKEN, CLIENT_SECRET, PRIVATE_KEY, REFRESH_TOKEN};

/// What is said when the provider refuses.
pub const DOING: Doing = Doing {
    permissions: &[],
    remedy: "check the connector's scopes and audience, and what the provider lets this client ask for",
};
/// RFC 7523 section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long the token lives by which a client proves who it is: one call.
const ASSERTION_LIFE: Ttl = Ttl::seconds(60);
/// Bytes of randomness in its id.
const ASSERTION_ID_BYTES: usize = 16;

/// Mints; see `ConnectorType::mint`.
pub async fn mint(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    secret_expires_at: Option<Timestamp>,
    scope: &Scope,
    passthrough: bool,
) -> Result<MintOutcome, UpstreamError> {
    let Some(client) = settings.client() else {
        return Ok(handed_in(upstream, settings, secret, secret_expires_at, scope, passthrough)?.into());
    };
    let asked_at = upstream.clock.now();
    match exchange(upstream, settings, secret, scope).await {
        Ok(answer) => {
            let successor = successor(secret, answer.refresh_token.as_ref());
            Ok(MintOutcome { minted: served(settings, &client, scope, answer, asked_at), successor })
        }
        // Rotated, with an answer that is not believed.
        Err(NoToken { error, refresh_token }) => match successor(secret, refresh_token.as_ref()) {
            Some(successor) => Ok(MintOutcome { minted: Err(error), successor: Some(successor) }),
            None => Err(error),
        },
    }
}

/// What is handed out of an answer, where that can be served.
fn served(
    settings: &Settings,
    client: &Client<'_>,
    scope: &Scope,
    answer: TokenAnswer,
    asked_at: Timestamp,
) -> Result<Minted, UpstreamError> {
    let expires_at = lives_until(client, &answer, asked_at)?;
    let enforced = granted(settings, scope, answer.scope.as_deref())?;
    Ok(Minted {
        shape: MintedShape::Bearer {
            token: answer.access_token,
            endpoint: Some(settings.api_url().to_owned()),
            certificate_authority: None,
        },
        expires_at,
        enforced,
        revocable: Revocable::No,
        attribution: format!("client {}", client.client_id),
        passthrough: false,
    })
}

fn handed_in(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    secret_expires_at: Option<Timestamp>,
    scope: &Scope,
    passthrough: bool,
) -> Result<Minted, UpstreamError> {
    let expires_at = secret_expires_at.ok_or(UpstreamError::StoredSettings)?;
    if expires_at <= upstream.clock.now() {
        return Err(UpstreamError::Expired);
    }
    Ok(Minted {
        shape: MintedShape::Bearer {
            token: SecretText::new(text(secret, ACCESS_TOKEN)?.to_owned()),
            endpoint: Some(settings.api_url().to_owned()),
            certificate_authority: None,
        },
        expires_at,
        enforced: enforced(settings, scope),
        revocable: Revocable::No,
        attribution: "whoever made the handed-in token".to_owned(),
        passthrough,
    })
}

/// Asks the token endpoint for this scope.
pub async fn exchange(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    scope: &Scope,
) -> Result<TokenAnswer, NoToken> {
    let client = settings.client().ok_or(UpstreamError::StoredSettings)?;
    let refreshes = matches!(settings, Settings::RefreshToken(_));
    let mut ask = TokenAsk { url: client.token_url, headers: Vec::new(), form: Vec::new() };
    if refreshes {
        ask.form.extend([("grant_type", "refresh_token"), ("refresh_token", text(secret, REFRESH_TOKEN)?)]);
    } else {
        ask.form.push(("grant_type", "client_credentials"));
    }
    ask.form.extend(scope.scope.as_deref().map(|scope| ("scope", scope)));
    ask.form.extend(client.audience.map(|audience| ("audience", audience)));
    ask.form.extend(client.params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    ask.headers.extend(client.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    let assertion = match client.auth {
        ClientAuth::PrivateKeyJwt => Some(assertion(upstream, &client, secret)?),
        ClientAuth::Basic | ClientAuth::Post | ClientAuth::None => None,
    };
    match client.auth {
        ClientAuth::Basic => {
            ask.headers.push(("authorization".to_owned(), basic(client.client_id, text(secret, CLIENT_SECRET)?)));
        }
        ClientAuth::Post => {
            ask.form.extend([("client_id", client.client_id), ("client_secret", text(secret, CLIENT_SECRET)?)]);
        }
        ClientAuth::PrivateKeyJwt => {
            ask.form.extend([("client_id", client.client_id), ("client_assertion_type", JWT_BEARER)]);
            ask.form.extend(assertion.as_ref().map(|token| ("client_assertion", token.reveal())));
        }
        ClientAuth::None => ask.form.push(("client_id", client.client_id)),
    }
    let answer = match refreshes {
        true => token_endpoint::ask_once(upstream, ask, DOING).await,
        false => token_endpoint::ask_rotating(upstream, ask, DOING).await,
    };
    match answer {
        // The client was taken, the refresh token was not.
        Err(NoToken { error: UpstreamError::CredentialRefused { code }, .. })
            if refreshes && code == "invalid_grant" =>
        {
            Err(UpstreamError::UsedUp { code }.into())
        }
        answer => answer,
    }
}

/// RFC 6749 section 2.3.1: both are form-encoded first.
fn basic(client_id: &str, client_secret: &str) -> String {
    let encoded = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encoded(client_id), *encoded(client_secret)));
    format!("Basic {}", STANDARD.encode(pair.as_bytes()))
}

/// RFC 7523 section 3: for this endpoint, this minute, and once.
fn assertion(upstream: &Upstream, client: &Client<'_>, secret: &SourceCredential) -> Result<SecretText, UpstreamError> {
    let refused = |code: &str| UpstreamError::CredentialRefused { code: code.to_owned() };
    let pem = secret.field(PRIVATE_KEY).ok_or_else(|| refused("incomplete"))?.expose();
    let key = SigningKey::from_pem(pem).map_err(|_| refused("unreadable key"))?;
    let mut id = [0; ASSERTION_ID_BYTES];
    upstream.entropy.fill(&mut id).map_err(|_| UpstreamError::Unavailable { what: "no randomness" })?;
    let now = upstream.clock.now().millis() / 1000;
    let claims = json!({
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": client.assertion_audience.unwrap_or(client.token_url),
        "iat": now,
        "exp": now + i64::from(ASSERTION_LIFE.as_seconds()),
        "jti": hex::encode(id),
    });
    let header: Map<_, _> = client.key_id.map(|id| ("kid".to_owned(), id.into())).into_iter().collect();
    key.sign(header, &claims).map_err(|_| UpstreamError::Unavailable { what: "the assertion cannot be signed" })
}

/// When the token ends, or why that cannot be served.
fn lives_until(client: &Client<'_>, answer: &TokenAnswer, asked_at: Timestamp) -> Result<Timestamp, UpstreamError> {
    let assumed = client.assumed_lifetime.map(|seconds| asked_at.plus(Ttl::seconds(seconds).as_duration()));
    let Some(expires_at) = answer.expires_at.or(assumed) else {
        let remedy = "the provider does not say how long its tokens live; set assumed_lifetime".to_owned();
        return Err(UpstreamError::Rejected { code: "no_lifetime".to_owned(), remedy });
    };
    if expires_at > asked_at.plus(Ttl::seconds(LONGEST).as_duration()) {
        let remedy = "the provider's tokens live longer than 36 hours; shorten them there".to_owned();
        return Err(UpstreamError::Rejected { code: "long_lived".to_owned(), remedy });
    }
    Ok(expires_at)
}

/// The whole source credential with its next refresh token; nothing when it
/// stays the same one.
fn successor(secret: &SourceCredential, next: Option<&SecretText>) -> Option<SourceCredential> {
    let next = next?;
    if secret.field(REFRESH_TOKEN)?.expose() == next.reveal().as_bytes() {
        return None;
    }
    let fields = secret.fields().map(|(name, value)| {
        let bytes = if name.as_str() == REFRESH_TOKEN { next.reveal().as_bytes() } else { value.expose() };
        (name.clone(), Plaintext::new(bytes.to_vec()))
    });
    Some(SourceCredential::new(fields.collect()))
}

/// A field of the source credential as text.
pub fn text<'a>(secret: &'a SourceCredential, name: &str) -> Result<&'a str, UpstreamError> {
    let field = secret.field(name).and_then(Plaintext::expose_text);
    field.ok_or_else(|| UpstreamError::CredentialRefused { code: "incomplete".to_owned() })
}
