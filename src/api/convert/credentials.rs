//! Minting between proto and domain. A minted credential is copied once, into
//! the reply.

use crate::broker::{Broker, Call, HandedOut, IssuanceAsk, MintAsk, MintSource, Revoke, Revoked};
use crate::domain::{FieldError, Issuance, Minted, MintedShape, ResourceTypeName, Ttl};
use crate::proto;
use crate::proto::mint_ask::Source;
use crate::proto::minted_credential::Shape;

use super::types::{access_level, access_view, digest, downscope_view, once, revocable_view, timestamp};

/// The longest name, id or prefix of an id.
const REFERENCE_LENGTH_MAX: usize = 128;

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
        Some(Source::Connector(text)) => MintSource::Connector(reference("ask.connector", text)?),
        Some(Source::Component(text)) => MintSource::Component(reference("ask.component", text)?),
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
        ttl: (ask.ttl_seconds > 0).then(|| Ttl::seconds(ask.ttl_seconds)),
        min_remaining: (ask.min_remaining_seconds > 0).then_some(ask.min_remaining_seconds),
    })
}

fn reference(field: &str, text: String) -> Result<String, FieldError> {
    if text.is_empty() || text.len() > REFERENCE_LENGTH_MAX {
        return Err(FieldError::new(field, "is a name, an id, or a unique prefix of an id"));
    }
    Ok(text)
}

/// A credential on its way out.
#[must_use]
pub fn credential(out: &HandedOut) -> proto::MintedCredential {
    let minted = out.minted();
    proto::MintedCredential {
        issuance_id: out.issuance().to_string(),
        shape: Some(shape(minted)),
        expires_at: Some(timestamp(minted.expires_at)),
        refresh_at: Some(timestamp(out.refresh_at)),
        enforced_scope: minted.enforced.words.clone(),
        downscope: downscope_view(minted.enforced.downscope),
        revocable: revocable_view(minted.revocable),
        attribution: minted.attribution.clone(),
        resource_id: out.resource.to_string(),
        resource_type: out.resource_type.to_string(),
        access: access_view(out.access),
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
    }
}

/// Which issuances to list.
#[must_use]
pub fn issuance_ask(request: proto::ListIssuancesRequest) -> IssuanceAsk {
    IssuanceAsk {
        connector: (!request.connector.is_empty()).then_some(request.connector),
        principal: (!request.principal.is_empty()).then_some(request.principal),
        active_only: request.active_only,
    }
}

/// What binds a page token to its listing.
#[must_use]
pub fn list_digest(request: &proto::ListIssuancesRequest) -> Vec<u8> {
    format!("{:?}", (&request.connector, &request.principal, request.active_only)).into_bytes()
}

/// What to revoke.
///
/// # Errors
/// Names the refused field.
pub fn revoke(mut request: proto::RevokeIssuancesRequest, call: &Call) -> Result<Revoke, FieldError> {
    let request_id = std::mem::take(&mut request.request_id);
    let once = once(&request_id, digest(call, &request))?;
    Ok(Revoke {
        issuances: request.issuances,
        connector: (!request.connector.is_empty()).then_some(request.connector),
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
        access: access_view(one.access),
        enforced_scope: one.enforced.words.clone(),
        downscope: downscope_view(one.enforced.downscope),
        revocable: revocable_view(one.revocable),
        issued_at: Some(timestamp(one.issued_at)),
        expires_at: Some(timestamp(one.expires_at)),
        fingerprint: one.fingerprint.clone(),
        state: one.state_at(broker.now()).to_owned(),
        ended_at: one.ended_at.map(timestamp),
    }
}
