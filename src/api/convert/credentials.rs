//! Minting between proto and domain. A minted credential is copied once, into
//! the reply.

use std::collections::BTreeMap;

use crate::broker::{
    Broker, Call, Challenge, HandedOut, HostBinding, IssuanceAsk, MintAsk, MintSource, Revoke, Revoked, SignAsk,
};
use crate::domain::{FieldError, Issuance, Minted, MintedShape, ResourceTypeName};
use crate::proto;
use crate::proto::mint_ask::Source;
use crate::proto::minted_credential::Shape;

use super::request::once;
use super::types::{
    access_level, access_level_out, downscope_out, reference, reference_if_any, revocable_out, timestamp_out, ttl,
};

/// The most parameters of one ask.
const PARAMETERS_MAX: usize = 8;
/// The longest parameter, in bytes: the public part of a long RSA key fits.
const PARAMETER_LENGTH_MAX: usize = 4096;

/// The longest text to sign; what SSH signs for a sign-in has some hundred
/// bytes.
const CHALLENGE_LENGTH_MAX: usize = 16 * 1024;

/// The project that an ask names.
#[must_use]
pub fn project_of(ask: Option<&proto::MintAsk>) -> &str {
    ask.map_or("", |ask| &ask.project)
}

/// What to mint.
///
/// # Errors
/// Names the refused field.
pub fn ask(ask: Option<proto::MintAsk>) -> Result<MintAsk, FieldError> {
    let ask = ask.ok_or_else(|| FieldError::new("ask", "is needed"))?;
    let source = match ask.source {
        Some(Source::Connector(text)) => MintSource::Connector(reference("ask.connector", &text)?.to_owned()),
        Some(Source::Component(text)) => MintSource::Component(reference("ask.component", &text)?.to_owned()),
        None => return Err(FieldError::new("ask.source", "name a connector or a component")),
    };
    let resource_type = match ask.resource_type.as_str() {
        "" => None,
        text => Some(ResourceTypeName::parse(text)?),
    };
    Ok(MintAsk {
        source,
        resource_type,
        resource: (!ask.resource_id.is_empty()).then_some(ask.resource_id),
        access: access_level("ask.access", ask.access)?.unwrap_or(crate::domain::AccessLevel::Read),
        parameters: parameters(ask.parameters)?,
        ttl: ttl(ask.ttl_seconds),
        min_remaining: (ask.min_remaining_seconds > 0).then_some(ask.min_remaining_seconds),
    })
}

/// Bounded here; which names there are is for the connector type.
fn parameters(sent: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, FieldError> {
    if sent.len() > PARAMETERS_MAX {
        return Err(FieldError::new("ask.parameters", "at most 8"));
    }
    if sent.values().any(|value| value.len() > PARAMETER_LENGTH_MAX || value.chars().any(char::is_control)) {
        return Err(FieldError::new("ask.parameters", "each at most 4,096 bytes with no control characters"));
    }
    Ok(sent)
}

/// A credential on its way out.
#[must_use]
pub fn credential(out: &HandedOut) -> proto::MintedCredential {
    let minted = out.minted();
    proto::MintedCredential {
        issuance_id: out.issuance().to_string(),
        shape: Some(shape(minted)),
        expires_at: Some(timestamp_out(minted.expires_at)),
        refresh_at: Some(timestamp_out(out.refresh_at)),
        enforced_scope: minted.enforced.words.clone(),
        downscope: downscope_out(minted.enforced.downscope).into(),
        revocable: revocable_out(minted.revocable).into(),
        attribution: minted.attribution.clone(),
        resource_id: out.resource.to_string(),
        resource_type: out.resource_type.to_string(),
        access: access_level_out(out.access).into(),
        ttl_note: out.ttl_note.clone().unwrap_or_default(),
        passthrough: minted.passthrough,
    }
}

fn shape(minted: &Minted) -> Shape {
    let text = |optional: &Option<String>| optional.clone().unwrap_or_default();
    match &minted.shape {
        MintedShape::AwsSession { access_key_id, secret_access_key, session_token, region, endpoint_url } => {
            Shape::AwsSession(proto::AwsSession {
                access_key_id: access_key_id.reveal().to_owned(),
                secret_access_key: secret_access_key.reveal().to_owned(),
                session_token: session_token.reveal().to_owned(),
                region: region.clone(),
                endpoint_url: text(endpoint_url),
            })
        }
        MintedShape::Bearer { token, endpoint, certificate_authority } => Shape::BearerToken(proto::BearerToken {
            token: token.reveal().to_owned(),
            endpoint: text(endpoint),
            certificate_authority: text(certificate_authority),
        }),
        MintedShape::Basic { username, password, endpoint } => Shape::BasicLogin(proto::BasicLogin {
            username: username.clone(),
            password: password.reveal().to_owned(),
            endpoint: text(endpoint),
        }),
        MintedShape::ClientCertificate { certificate, private_key, endpoint, certificate_authority } => {
            Shape::ClientCertificate(proto::ClientCertificate {
                certificate: certificate.clone(),
                private_key: private_key.reveal().to_owned(),
                endpoint: text(endpoint),
                certificate_authority: text(certificate_authority),
            })
        }
        MintedShape::SshCertificate { certificate } => {
            Shape::SshCertificate(proto::SshCertificate { certificate: certificate.clone() })
        }
        MintedShape::SignedUrl { url } => Shape::SignedUrl(proto::SignedUrl { url: url.reveal().to_owned() }),
        MintedShape::SigningSession { public_key, username, host, host_keys } => {
            Shape::SigningSession(proto::SigningSession {
                public_key: public_key.clone(),
                username: username.clone(),
                host: host.clone(),
                host_keys: host_keys.clone(),
            })
        }
    }
}

/// What to sign.
///
/// # Errors
/// Names the refused field.
pub fn challenge(request: proto::SignChallengeRequest) -> Result<SignAsk, FieldError> {
    let uuid = |_| FieldError::new("issuance_id", "must be the id of an issuance");
    if request.data.is_empty() || request.data.len() > CHALLENGE_LENGTH_MAX {
        return Err(FieldError::new("data", "must be 1 to 16,384 bytes"));
    }
    let binding = request.host_binding.map(|proof| HostBinding {
        host_key: proof.host_key,
        session_id: proof.session_id,
        signature: proof.signature,
    });
    let challenge = Challenge { data: request.data, flags: request.flags, binding };
    Ok(SignAsk { issuance: request.issuance_id.parse().map_err(uuid)?, challenge })
}

/// Which issuances to list.
///
/// # Errors
/// Names the refused field.
pub fn issuance_ask(request: &proto::ListIssuancesRequest) -> Result<IssuanceAsk, FieldError> {
    Ok(IssuanceAsk {
        connector: reference_if_any("connector", &request.connector)?.map(str::to_owned),
        principal: reference_if_any("principal", &request.principal)?.map(str::to_owned),
        run: reference_if_any("run", &request.run)?.map(str::to_owned),
        active_only: request.active_only,
    })
}

/// What to revoke.
///
/// # Errors
/// Names the refused field.
pub fn revoke(call: &Call, mut request: proto::RevokeIssuancesRequest) -> Result<Revoke, FieldError> {
    let request_id = std::mem::take(&mut request.request_id);
    let once = once(call, &request_id, &request)?;
    Ok(Revoke {
        issuances: request.issuances,
        connector: reference_if_any("connector", &request.connector)?.map(str::to_owned),
        once,
    })
}

/// What became of one.
#[must_use]
pub fn revoked(call: &Call, broker: &Broker, revoked: Revoked) -> proto::RevokedIssuance {
    proto::RevokedIssuance { issuance: Some(issuance(call, broker, revoked.issuance)), note: revoked.note }
}

/// The record of a mint.
#[must_use]
pub fn issuance(call: &Call, broker: &Broker, one: Issuance) -> proto::Issuance {
    proto::Issuance {
        id: one.id.to_string(),
        project: call.caller.project.name.to_string(),
        connector_id: one.connector.to_string(),
        connector_name: one.connector_name.to_string(),
        component_id: one.component.map(|id| id.to_string()).unwrap_or_default(),
        principal: one.principal_name.to_string(),
        resource_type: one.resource_type.to_string(),
        resource_id: one.resource_id.to_string(),
        access: access_level_out(one.access).into(),
        enforced_scope: one.enforced.words.clone(),
        downscope: downscope_out(one.enforced.downscope).into(),
        revocable: revocable_out(one.revocable).into(),
        issued_at: Some(timestamp_out(one.issued_at)),
        expires_at: Some(timestamp_out(one.expires_at)),
        fingerprint: one.fingerprint.clone(),
        state: one.state_at(broker.now()).to_owned(),
        ended_at: one.ended_at.map(timestamp_out),
        run_id: one.run.map(|id| id.to_string()).unwrap_or_default(),
        passthrough: one.passthrough,
    }
}
