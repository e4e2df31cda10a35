//! Descriptions of connector types, to proto.

use crate::broker::{MethodDescription, ResourceDescription, TypeDescription};
use crate::domain::alias;
use crate::proto;

/// A connector type, to send.
#[must_use]
pub fn connector_type(found: &TypeDescription) -> proto::ConnectorType {
    proto::ConnectorType {
        name: found.name.to_owned(),
        summary: found.summary.to_owned(),
        auth_methods: found.methods.iter().map(method).collect(),
        resource_types: found.resources.iter().map(resource).collect(),
    }
}

fn method(method: &MethodDescription) -> proto::AuthMethod {
    let field = |name: &str, summary: &str, required| proto::SecretFieldSpec {
        name: name.to_owned(),
        summary: summary.to_owned(),
        required,
    };
    proto::AuthMethod {
        name: method.name.to_owned(),
        summary: method.summary.to_owned(),
        ttl_min_seconds: method.ttl.min.as_seconds(),
        ttl_default_seconds: method.ttl.default.as_seconds(),
        ttl_max_seconds: method.ttl.max.as_seconds(),
        settings_schema: method.settings_schema.clone(),
        secret_fields: method.secrets.iter().map(|f| field(f.name, f.summary, f.required)).collect(),
        rotates: method.rotates,
        aliases: alias::of_method(method.name).iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn resource(resource: &ResourceDescription) -> proto::ResourceType {
    let access = resource.access;
    proto::ResourceType {
        name: resource.name.to_owned(),
        summary: resource.summary.to_owned(),
        id_form: resource.id_form.to_owned(),
        many: resource.many,
        access_levels: [access.read, access.write, access.admin].map(str::to_owned).to_vec(),
        parameters: resource
            .parameters
            .iter()
            .map(|one| proto::ParameterSpec { name: one.name.to_owned(), summary: one.summary.to_owned() })
            .collect(),
    }
}
