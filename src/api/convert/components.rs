//! Components between proto and domain.

use crate::broker::{Broker, Call, ComponentFilter, Connect, Link, NewComponent};
use crate::domain::{
    AccessLevel, Component, ComponentLink, ConnectorTypeName, FieldError, Requirement, ResourceId, ResourceTypeName,
};
use crate::proto;

use super::types::{
    access_level, access_level_out, description, etag, etag_out, labels, labels_out, name, name_if_any, reference,
    reference_if_any, timestamp_out,
};

/// A component to register.
///
/// # Errors
/// Names the refused field.
pub fn new_component(body: proto::RegisterComponentRequest) -> Result<NewComponent, FieldError> {
    Ok(NewComponent {
        name: name("name", &body.name)?,
        component_type: name("component_type", &body.component_type)?,
        flavor: name_if_any("flavor", &body.flavor)?,
        requirement: requirement(body.requirement.as_ref())?,
        description: description(&body.description)?,
        labels: labels(body.labels)?,
    })
}

fn requirement(raw: Option<&proto::ConnectorRequirement>) -> Result<Requirement, FieldError> {
    let raw = raw.ok_or_else(|| FieldError::new("requirement", "say which resource type the component needs"))?;
    let within = |error: FieldError| FieldError::new(format!("requirement.{}", error.field), error.problem);
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Requirement {
        connector_type: optional(&raw.connector_type)
            .map(|text| ConnectorTypeName::parse(&text))
            .transpose()
            .map_err(within)?,
        resource_type: ResourceTypeName::parse(&raw.resource_type).map_err(within)?,
        resource_id: optional(&raw.resource_id).map(ResourceId::canonical).transpose().map_err(within)?,
    })
}

/// Which components to list.
///
/// # Errors
/// Names the refused field.
pub fn filter(body: &proto::ListComponentsRequest) -> Result<ComponentFilter, FieldError> {
    Ok(ComponentFilter {
        component_type: name_if_any("component_type", &body.component_type)?,
        connector: reference_if_any("connector", &body.connector)?.map(str::to_owned),
        labels: labels(body.labels.clone())?,
    })
}

/// A change of a link.
///
/// # Errors
/// Names the refused field.
pub fn connect(body: &proto::ConnectComponentRequest) -> Result<Connect, FieldError> {
    let access = access_level("access_max", body.access_max)?;
    let link = match reference_if_any("connector", &body.connector)? {
        Some(connector) => Some(Link {
            connector: connector.to_owned(),
            resource: resource(&body.resource_id)?,
            access_max: access.unwrap_or(AccessLevel::Read),
        }),
        // A forgotten connector must not unlink.
        None if access.is_some() || !body.resource_id.is_empty() => {
            return Err(FieldError::new("connector", "name the connector of this resource"));
        }
        None => None,
    };
    Ok(Connect { component: reference("component", &body.component)?.to_owned(), link, expected: etag(&body.etag)? })
}

/// A resource in any form that a connector type accepts, within the bounds of
/// an id.
fn resource(text: &str) -> Result<Option<String>, FieldError> {
    if text.is_empty() { Ok(None) } else { ResourceId::canonical(text).map(|id| Some(id.as_str().to_owned())) }
}

/// A component, to send.
pub async fn component(call: &Call, broker: &Broker, component: &Component) -> proto::Component {
    let link = match &component.link {
        Some(link) => Some(link_out(call, broker, link).await),
        None => None,
    };
    proto::Component {
        id: component.id.to_string(),
        project: call.caller.project.name.to_string(),
        name: component.name.to_string(),
        component_type: component.component_type.to_string(),
        flavor: component.flavor.as_ref().map(ToString::to_string).unwrap_or_default(),
        requirement: Some(requirement_out(&component.requirement)),
        link,
        description: component.description.clone(),
        labels: labels_out(&component.labels),
        created_by: broker.principal_name(call, component.created_by).await,
        created_at: Some(timestamp_out(component.created_at)),
        updated_at: Some(timestamp_out(component.updated_at)),
        etag: etag_out(component.version),
    }
}

async fn link_out(call: &Call, broker: &Broker, link: &ComponentLink) -> proto::ComponentLink {
    proto::ComponentLink {
        connector_id: link.connector.to_string(),
        connector_name: broker.connector_name(call, link.connector).await,
        resource_type: link.resource_type.to_string(),
        resource_id: link.resource_id.to_string(),
        access_max: access_level_out(link.access_max).into(),
    }
}

fn requirement_out(requirement: &Requirement) -> proto::ConnectorRequirement {
    proto::ConnectorRequirement {
        connector_type: requirement.connector_type.as_ref().map(ToString::to_string).unwrap_or_default(),
        resource_type: requirement.resource_type.to_string(),
        resource_id: requirement.resource_id.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlinking_takes_no_connector_and_nothing_that_needs_one() {
        let unlink = proto::ConnectComponentRequest { component: "store".to_owned(), ..Default::default() };
        assert_eq!(connect(&unlink).unwrap().link, None);
        let forgotten = proto::ConnectComponentRequest { resource_id: "s3://a".to_owned(), ..unlink.clone() };
        assert_eq!(connect(&forgotten).unwrap_err().field, "connector");
        let forgotten = proto::ConnectComponentRequest { access_max: 1, ..unlink };
        assert_eq!(connect(&forgotten).unwrap_err().field, "connector");
    }

    #[test]
    fn a_link_without_a_level_is_for_reading() {
        let ask = proto::ConnectComponentRequest {
            component: "store".to_owned(),
            connector: "prod".to_owned(),
            ..Default::default()
        };
        assert_eq!(connect(&ask).unwrap().link.unwrap().access_max, AccessLevel::Read);
    }

    #[test]
    fn a_refused_requirement_is_named_by_its_path() {
        let ask = |requirement| proto::RegisterComponentRequest {
            name: "store".to_owned(),
            component_type: "artifact-store".to_owned(),
            requirement,
            ..Default::default()
        };
        assert_eq!(new_component(ask(None)).unwrap_err().field, "requirement");
        let bad = proto::ConnectorRequirement { resource_type: "S3".to_owned(), ..Default::default() };
        assert_eq!(new_component(ask(Some(bad))).unwrap_err().field, "requirement.resource_type");
        let bad = proto::ConnectorRequirement {
            resource_type: "s3-bucket".to_owned(),
            resource_id: "s3://a\n".to_owned(),
            ..Default::default()
        };
        assert_eq!(new_component(ask(Some(bad))).unwrap_err().field, "requirement.resource_id");
    }
}
