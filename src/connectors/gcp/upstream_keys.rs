//! Keys of the source service account, for rotation: it makes its own next
//! key and deletes the one before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::connectors::answer::unanswered;
use crate::connectors::{Doing, MadeKey, Upstream, UpstreamError};
use crate::domain::SecretFieldName;
use crate::outbound::Call;
use crate::sealing::{Plaintext, SourceCredential};

use super::errors;
use super::place::Service;
use super::scope::CLOUD_PLATFORM;
use super::settings::Settings;
use super::settings_check::SERVICE_ACCOUNT_JSON;
use super::upstream_secret::{key_id_fits, made_key};
use super::upstream_source::Sourcing;

const MAKING: Doing = Doing {
    permissions: &["iam.serviceAccountKeys.create"],
    remedy: "grant iam.serviceAccountKeys.create on the service account to itself, and let the organisation policy \
             allow keys; an account has ten at most",
};
const DELETING: Doing = Doing {
    permissions: &["iam.serviceAccountKeys.delete"],
    remedy: "grant iam.serviceAccountKeys.delete on the service account to itself",
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    private_key_data: String,
}

/// Makes the next key; see `ConnectorType::make_key`.
pub async fn make(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
) -> Result<MadeKey, UpstreamError> {
    let sourcing = Sourcing { upstream, settings, secret, secret_expires_at: None };
    let old = sourcing.service_account()?;
    let source = sourcing.key(&[CLOUD_PLATFORM]).await?;
    let place = settings.place();
    let url = place.url(Service::Iam, &format!("/v1/projects/-/serviceAccounts/{}/keys", old.email));
    let body = json!({ "privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", "keyAlgorithm": "KEY_ALG_RSA_2048" });
    let call = errors::post(url, source.access.token.reveal(), &body);
    let made: Made = errors::ask(upstream, call, MAKING).await?;
    let encoded = Zeroizing::new(made.private_key_data);
    let file = Plaintext::new(STANDARD.decode(encoded.as_bytes()).map_err(|_| NO_KEY)?);
    let field = SecretFieldName::parse(SERVICE_ACCOUNT_JSON).map_err(|_| UpstreamError::StoredSettings)?;
    let secret = SourceCredential::new([(field, file)].into());
    // The file is read as one that a person hands in, and must be of the same
    // account: a hostile answer would otherwise become the source credential.
    let key_id = made_key(&place, &secret, &old.email).filter(|id| *id != old.key_id).ok_or(NO_KEY)?;
    Ok(MadeKey { secret, key_id, old_key_id: old.key_id })
}

/// Deletes a key; see `ConnectorType::delete_key`.
pub async fn delete(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    key_id: &str,
) -> Result<(), UpstreamError> {
    if !key_id_fits(key_id) {
        return Err(UpstreamError::Rejected {
            code: "INVALID_KEY_ID".to_owned(),
            remedy: "name a key by its id".to_owned(),
        });
    }
    let sourcing = Sourcing { upstream, settings, secret, secret_expires_at: None };
    let email = sourcing.service_account()?.email;
    let source = sourcing.key(&[CLOUD_PLATFORM]).await?;
    let url = settings.place().url(Service::Iam, &format!("/v1/projects/-/serviceAccounts/{email}/keys/{key_id}"));
    let headers = errors::bearer(source.access.token.reveal());
    let answer = upstream.outbound.call(Call { method: "DELETE", url, headers, body: Vec::new() }).await;
    let answer = answer.map_err(unanswered)?;
    match answer.status {
        200..=299 | 404 => Ok(()),
        _ => Err(errors::refusal(&answer, DELETING)),
    }
}

const NO_KEY: UpstreamError = UpstreamError::BadAnswer { what: "no key of this service account" };
