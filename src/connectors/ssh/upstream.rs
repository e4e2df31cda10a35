//! What is done with the source key: certificates are signed, signing sessions
//! opened, signatures lent. All of it here: no host is called.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::connectors::{Challenge, ListAsk, Upstream, UpstreamError, Verified, unsupported};
use crate::domain::{Attribution, Minted, MintedShape, Reach, ResourceId, ResourceTypeName, Revocable, Timestamp, Ttl};
use crate::sealing::SourceCredential;

use super::certificate::{self, Facts};
use super::challenge::Agreed;
use super::hosts::{self, SSH_HOST};
use super::public_key::{self, Key};
use super::scope::{CertificateScope, Scope, SessionScope};
use super::settings::Settings;
use super::upstream_key::SourceKey;
use super::upstream_secret::source_key_aside;

/// A certificate is valid from a little before it was made: clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

const UNSIGNED: UpstreamError = UpstreamError::Unavailable { what: "signing failed" };

/// Mints; see `ConnectorType::mint`.
pub async fn mint(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    scope: &Scope,
    ttl: Ttl,
    attribution: &Attribution,
) -> Result<Minted, UpstreamError> {
    let key = opened(settings, secret).await?;
    // Whole seconds: a certificate knows no others.
    let now = Timestamp::from_seconds(upstream.clock.now().seconds());
    let expires_at = now.plus(ttl.as_duration());
    let (shape, revocable, attribution) = match scope {
        Scope::Certificate(own) => {
            let key_id = attribution.session_name();
            let certificate = certified(upstream, &key, own, &key_id, (now, expires_at))?;
            (MintedShape::SshCertificate { certificate }, Revocable::No, key_id)
        }
        Scope::Session(own) => {
            let public = key.public().map_err(|_| UNSIGNED)?;
            let attribution = format!("the key {} in the host's log; who asked is in this ledger", print_of(&public));
            (session(&key, own, &public), Revocable::Single, attribution)
        }
    };
    Ok(Minted { shape, expires_at, enforced: scope.enforced(), revocable, attribution, passthrough: false })
}

fn certified(
    upstream: &Upstream,
    ca: &SourceKey,
    scope: &CertificateScope,
    key_id: &str,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<String, UpstreamError> {
    let entropy = |_| UpstreamError::Unavailable { what: "the random source" };
    let (mut nonce, mut serial) = ([0; 32], [0; 8]);
    upstream.entropy.fill(&mut nonce).map_err(entropy)?;
    upstream.entropy.fill(&mut serial).map_err(entropy)?;
    let seconds = |at: Timestamp| u64::try_from(at.seconds()).unwrap_or(0);
    let key = public_key::of_caller(&scope.public_key).map_err(|_| UpstreamError::StoredSettings)?;
    let facts = Facts {
        nonce: &nonce,
        serial: u64::from_be_bytes(serial),
        key_id,
        valid_after: seconds(now).saturating_sub(CLOCK_SKEW.as_secs()),
        valid_before: seconds(expires_at),
        ca: &ca.public().map_err(|_| UNSIGNED)?,
    };
    let text = certificate::to_be_signed(&key, scope, &facts).map_err(|_| UNSIGNED)?;
    let signature = ca.sign(ca.best(), &text).ok_or(UNSIGNED)?;
    certificate::line(&key, text, &signature, key_id).map_err(|_| UNSIGNED)
}

fn session(key: &SourceKey, scope: &SessionScope, public: &[u8]) -> MintedShape {
    MintedShape::SigningSession {
        public_key: format!("{} {}", key.kind(), STANDARD.encode(public)),
        username: scope.username.clone(),
        host: scope.host.clone(),
        host_keys: scope.host_keys.clone(),
    }
}

/// Signs; see `ConnectorType::sign`.
pub async fn sign(
    settings: &Settings,
    secret: &SourceCredential,
    scope: &Scope,
    challenge: &Challenge,
) -> Result<Vec<u8>, UpstreamError> {
    let Scope::Session(scope) = scope else {
        return Err(unsupported("a CA signs certificates: mint one for your own key"));
    };
    let key = opened(settings, secret).await?;
    let host_keys: Vec<Key> = scope.host_keys.iter().filter_map(|line| public_key::of_caller(line).ok()).collect();
    let public_key = &key.public().map_err(|_| UNSIGNED)?;
    let agreed = Agreed { username: &scope.username, public_key, host_keys: &host_keys };
    let algorithm = agreed.judge(challenge).map_err(|refusal| UpstreamError::Rejected {
        code: refusal.code().to_owned(),
        remedy: refusal.remedy().to_owned(),
    })?;
    key.sign(algorithm, &challenge.data).ok_or(UNSIGNED)
}

/// Says whose key it is. Which hosts take it shows at the first sign-in only:
/// none is asked.
pub async fn verify(
    settings: &Settings,
    secret: &SourceCredential,
    focus: &ListAsk,
) -> Result<Verified, UpstreamError> {
    let key = opened(settings, secret).await?;
    let public = key.public().map_err(|_| UNSIGNED)?;
    // A key that cannot sign is found now and not at the first mint.
    key.sign(key.best(), b"valetkey").ok_or(UNSIGNED)?;
    let identity = format!("{} ({}); read here, no host was asked", print_of(&public), key.kind());
    Ok(Verified { identity, reach: reach(settings, focus)?, reason: "the key opens and signs; no host was asked" })
}

/// The hosts that the settings name, as far as they name any.
pub fn reach(settings: &Settings, ask: &ListAsk) -> Result<Vec<Reach>, UpstreamError> {
    let resource_type = ResourceTypeName::parse(SSH_HOST).map_err(|_| UpstreamError::StoredSettings)?;
    if ask.resource_type.as_ref().is_some_and(|asked| *asked != resource_type) {
        return Ok(Vec::new());
    }
    let wanted = |id: &ResourceId| ask.resource.as_ref().is_none_or(|asked| asked == id);
    let named = hosts::named(settings.hosts()).into_iter().filter_map(|host| ResourceId::canonical(host.id()).ok());
    let resource_ids = named.filter(wanted).take(usize::try_from(ask.limit).unwrap_or(usize::MAX)).collect();
    let remedy = "as the settings name them; globs are not listed, and no host was asked whether it takes the key";
    Ok(vec![Reach {
        resource_type,
        resource_ids,
        error: None,
        missing_permissions: Vec::new(),
        remedy: Some(remedy.to_owned()),
        next_page: None,
    }])
}

async fn opened(settings: &Settings, secret: &SourceCredential) -> Result<SourceKey, UpstreamError> {
    let unread = |_| UpstreamError::CredentialRefused { code: "the key does not open".to_owned() };
    let busy = |_| UpstreamError::Unavailable { what: "too many keys are being opened" };
    source_key_aside(settings, secret).await.map_err(busy)?.map_err(unread)
}

/// As ssh-keygen -l prints it.
fn print_of(public: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(public)))
}
