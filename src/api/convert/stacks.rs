//! Stacks between proto and domain.

use crate::broker::{Broker, BrokerError, Call, NewStack};
use crate::domain::stack::STACK_COMPONENTS_MAX;
use crate::domain::{FieldError, Stack};
use crate::proto;

use super::types::{description, etag_out, labels, labels_out, name, reference, timestamp_out};

/// A stack to register.
///
/// # Errors
/// Names the refused field.
pub fn new_stack(body: proto::RegisterStackRequest) -> Result<NewStack, FieldError> {
    Ok(NewStack {
        name: name("name", &body.name)?,
        components: components(body.components)?,
        description: description(&body.description)?,
        labels: labels(body.labels)?,
    })
}

/// The components of a list.
///
/// # Errors
/// Names `components` or the place in it.
pub fn components(texts: Vec<String>) -> Result<Vec<String>, FieldError> {
    if texts.len() > STACK_COMPONENTS_MAX {
        return Err(FieldError::new("components", format!("at most {STACK_COMPONENTS_MAX}")));
    }
    for (place, text) in texts.iter().enumerate() {
        reference(&format!("components[{place}]"), text)?;
    }
    Ok(texts)
}

/// A stack, to send.
///
/// # Errors
/// When its components cannot be read.
pub async fn stack(call: &Call, broker: &Broker, stack: &Stack) -> Result<proto::Stack, BrokerError> {
    let components = broker.stack_components(call, stack).await?;
    let part = |component: &std::sync::Arc<crate::domain::Component>| proto::StackComponent {
        id: component.id.to_string(),
        name: component.name.to_string(),
        component_type: component.component_type.to_string(),
    };
    Ok(proto::Stack {
        id: stack.id.to_string(),
        project: call.caller.project.name.to_string(),
        name: stack.name.to_string(),
        components: components.iter().map(part).collect(),
        description: stack.description.clone(),
        labels: labels_out(&stack.labels),
        created_by: broker.principal_name(call, stack.created_by).await,
        created_at: Some(timestamp_out(stack.created_at)),
        updated_at: Some(timestamp_out(stack.updated_at)),
        etag: etag_out(stack.version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_components_is_bounded_and_a_bad_one_is_named_by_place() {
        let many = vec!["a".to_owned(); STACK_COMPONENTS_MAX];
        assert!(components(many.clone()).is_ok());
        assert_eq!(components([many, vec!["a".to_owned()]].concat()).unwrap_err().field, "components");
        assert_eq!(components(vec!["a".to_owned(), "B".to_owned()]).unwrap_err().field, "components[1]");
    }
}
