//! Principals, tokens, roles and bindings between proto and domain.

use crate::broker::{
    Broker, Call, CallerFacts, Mintable, NewBinding, NewPrincipal, NewToken, NewTokenSecret, RoleSeen, TokenSeen,
    WishedTarget,
};
use crate::domain::{Binding, BindingTarget, Conditions, FieldError, Principal, PrincipalId, PrincipalKind};
use crate::proto;

use super::runs::run;
use super::types::{
    access_level, access_level_out, description, name, patterns, reference, reference_if_any, timestamp, timestamp_out,
    ttl, ttl_out,
};

/// The longest text that names a token: its whole public part.
const TOKEN_ID_LENGTH_MAX: usize = 22;

/// A kind, when one was sent.
///
/// # Errors
/// Names `kind`.
pub fn kind(raw: i32) -> Result<Option<PrincipalKind>, FieldError> {
    match proto::PrincipalKind::try_from(raw) {
        Ok(proto::PrincipalKind::Unspecified) => Ok(None),
        Ok(proto::PrincipalKind::User) => Ok(Some(PrincipalKind::User)),
        Ok(proto::PrincipalKind::ServiceAccount) => Ok(Some(PrincipalKind::ServiceAccount)),
        Err(_) => Err(FieldError::new("kind", "a user or a service account")),
    }
}

const fn kind_out(kind: PrincipalKind) -> proto::PrincipalKind {
    match kind {
        PrincipalKind::User => proto::PrincipalKind::User,
        PrincipalKind::ServiceAccount => proto::PrincipalKind::ServiceAccount,
    }
}

/// A principal to create.
///
/// # Errors
/// Names the refused field.
pub fn new_principal(body: &proto::CreatePrincipalRequest) -> Result<NewPrincipal, FieldError> {
    Ok(NewPrincipal {
        name: name("name", &body.name)?,
        kind: kind(body.kind)?.ok_or_else(|| FieldError::new("kind", "say user or service account"))?,
        description: description(&body.description)?,
    })
}

/// A principal, to send.
pub async fn principal(call: &Call, broker: &Broker, principal: &Principal) -> proto::Principal {
    proto::Principal {
        id: principal.id.to_string(),
        name: principal.name.to_string(),
        kind: kind_out(principal.kind).into(),
        description: principal.description.clone(),
        created_by: creator(call, broker, principal.created_by).await,
        created_at: Some(timestamp_out(principal.created_at)),
    }
}

/// Who made something, by name; nobody made what `init` made.
async fn creator(call: &Call, broker: &Broker, id: Option<PrincipalId>) -> String {
    match id {
        Some(id) => broker.principal_name(call, id).await,
        None => String::new(),
    }
}

/// Who is calling, to send.
pub async fn who_am_i(call: &Call, broker: &Broker, caller: &CallerFacts) -> proto::WhoAmIResponse {
    let mut bindings = Vec::with_capacity(caller.subject.bindings.len());
    for one in caller.subject.bindings.iter() {
        bindings.push(binding(call, broker, one).await);
    }
    proto::WhoAmIResponse {
        principal: Some(principal(call, broker, &caller.subject.principal).await),
        bindings,
        token_expires_at: Some(timestamp_out(caller.token_expires_at)),
        run: caller.subject.run.as_ref().map(|scope| run(call, broker, &scope.run)),
    }
}

/// Something the caller may mint, to send.
#[must_use]
pub fn mintable(found: Mintable) -> proto::Mintable {
    proto::Mintable {
        connector: found.connector,
        component: found.component.unwrap_or_default(),
        resource_type: found.resource_type.map(|t| t.to_string()).unwrap_or_default(),
        resources: found.resources,
        access_max: access_level_out(found.access_max).into(),
        ttl_max_seconds: ttl_out(found.ttl_max),
        role: found.role.to_string(),
        command: found.command,
    }
}

/// A token to create.
///
/// # Errors
/// Names the refused field.
pub fn new_token(body: &proto::CreateTokenRequest) -> Result<NewToken, FieldError> {
    Ok(NewToken {
        principal: reference_if_any("principal", &body.principal)?.map(str::to_owned),
        description: description(&body.description)?,
        ttl_seconds: (body.ttl_seconds > 0).then_some(body.ttl_seconds),
    })
}

/// A new token, to send this once.
pub async fn token_once(call: &Call, broker: &Broker, made: NewTokenSecret) -> proto::CreateTokenResponse {
    let token = Some(token(call, broker, &made.token).await);
    let secret = made.secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default();
    proto::CreateTokenResponse { token, secret }
}

/// A token without its secret, to send.
pub async fn token(call: &Call, broker: &Broker, token: &TokenSeen) -> proto::Token {
    proto::Token {
        id: token.id.to_string(),
        principal: token.principal.to_string(),
        description: token.description.clone(),
        created_at: Some(timestamp_out(token.created_at)),
        expires_at: Some(timestamp_out(token.expires_at)),
        created_by: creator(call, broker, token.created_by).await,
    }
}

/// A token's public part or a prefix of it.
///
/// # Errors
/// Names `token`; a whole token is refused, never looked up or repeated.
pub fn token_reference(text: &str) -> Result<&str, FieldError> {
    let fits =
        !text.is_empty() && text.len() <= TOKEN_ID_LENGTH_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { Ok(text) } else { Err(FieldError::new("token", "a token's id or a unique prefix of it; see token list")) }
}

/// A role, to send.
#[must_use]
pub fn role(role: &RoleSeen) -> proto::Role {
    proto::Role {
        name: role.role.to_string(),
        summary: role.summary.to_owned(),
        permissions: role.permissions.iter().map(ToString::to_string).collect(),
    }
}

/// A binding to create.
///
/// # Errors
/// Names the refused field.
pub fn new_binding(body: &proto::CreateBindingRequest) -> Result<NewBinding, FieldError> {
    let connector = reference_if_any("connector", &body.connector)?;
    let target = match (connector, reference_if_any("component", &body.component)?) {
        (Some(_), Some(_)) => return Err(FieldError::new("component", "name a connector or a component, not both")),
        (Some(connector), None) => WishedTarget::Connector(connector.to_owned()),
        (None, Some(component)) => WishedTarget::Component(component.to_owned()),
        (None, None) => WishedTarget::Project,
    };
    Ok(NewBinding {
        principal: reference("principal", &body.principal)?.to_owned(),
        role: body.role.parse()?,
        target,
        conditions: body.conditions.as_ref().map(conditions).transpose()?.unwrap_or_default(),
    })
}

fn conditions(raw: &proto::BindingConditions) -> Result<Conditions, FieldError> {
    Ok(Conditions {
        resource_patterns: patterns("conditions.resource_patterns", &raw.resource_patterns)?,
        access_max: access_level("conditions.access_max", raw.access_max)?,
        ttl_max: ttl(raw.ttl_max_seconds),
        expires_at: timestamp("conditions.expires_at", raw.expires_at.as_ref())?,
    })
}

fn conditions_out(conditions: &Conditions) -> proto::BindingConditions {
    let level = conditions.access_max.map_or(proto::AccessLevel::Unspecified, access_level_out);
    proto::BindingConditions {
        resource_patterns: conditions.resource_patterns.iter().map(ToString::to_string).collect(),
        access_max: level.into(),
        ttl_max_seconds: ttl_out(conditions.ttl_max),
        expires_at: conditions.expires_at.map(timestamp_out),
    }
}

/// A binding, to send.
pub async fn binding(call: &Call, broker: &Broker, binding: &Binding) -> proto::Binding {
    let (connector_id, component_id) = match binding.target {
        BindingTarget::Project => (String::new(), String::new()),
        BindingTarget::Connector(id) => (id.to_string(), String::new()),
        BindingTarget::Component(id) => (String::new(), id.to_string()),
    };
    proto::Binding {
        id: binding.id.to_string(),
        project: call.caller.project.name.to_string(),
        principal_id: binding.principal.to_string(),
        principal_name: broker.principal_name(call, binding.principal).await,
        role: binding.role.to_string(),
        connector_id,
        component_id,
        conditions: Some(conditions_out(&binding.conditions)),
        created_by: creator(call, broker, binding.created_by).await,
        created_at: Some(timestamp_out(binding.created_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding_ask(role: &str) -> proto::CreateBindingRequest {
        proto::CreateBindingRequest { principal: "bob".to_owned(), role: role.to_owned(), ..Default::default() }
    }

    /// Case B7.
    #[test]
    fn a_role_is_taken_in_one_spelling_only() {
        assert!(new_binding(&binding_ask("platform-engineer")).is_ok());
        for bad in
            ["Platform Engineer ", "PLATFORM_ENGINEER", "root", "owner ", "own\u{200b}er", "\u{202e}renwo", "", "Owner"]
        {
            assert_eq!(new_binding(&binding_ask(bad)).unwrap_err().field, "role", "{bad:?}");
        }
    }

    #[test]
    fn a_binding_is_on_one_thing() {
        let both = proto::CreateBindingRequest {
            connector: "a".to_owned(),
            component: "b".to_owned(),
            ..binding_ask("data-scientist")
        };
        assert_eq!(new_binding(&both).unwrap_err().field, "component");
    }

    #[test]
    fn a_whole_token_is_no_reference_to_one() {
        assert!(token_reference("0Ab9").is_ok());
        for bad in ["", "vk1_u_", &"a".repeat(23), "a%", "a\n"] {
            assert_eq!(token_reference(bad).unwrap_err().field, "token");
        }
    }

    #[test]
    fn a_principal_without_a_kind_is_refused() {
        let ask = proto::CreatePrincipalRequest { name: "bob".to_owned(), ..Default::default() };
        assert_eq!(new_principal(&ask).unwrap_err().field, "kind");
        let ask = proto::CreatePrincipalRequest { kind: 9, ..ask };
        assert_eq!(new_principal(&ask).unwrap_err().field, "kind");
    }
}
