//! Handlers from proto to proto, on a real broker: what is decoded, what is
//! refused at the door, and that a request id covers the whole request.

use std::sync::Arc;

use tonic::{Code, Request};

use crate::broker::fixture::{House, Person};
use crate::proto;
use crate::proto::access_service_server::AccessService;
use crate::proto::audit_service_server::AuditService;
use crate::proto::component_service_server::ComponentService;
use crate::proto::connector_type_service_server::ConnectorTypeService;
use crate::proto::operator_service_server::OperatorService;
use crate::proto::run_service_server::RunService;
use crate::proto::stack_service_server::StackService;

use super::access::AccessHandlers;
use super::audit::AuditHandlers;
use super::components::ComponentHandlers;
use super::connector_types::ConnectorTypeHandlers;
use super::operator::OperatorHandlers;
use super::runs::RunHandlers;
use super::stacks::StackHandlers;

const REQUEST_ID: &str = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11";

async fn by<T>(house: &House, who: &Person, body: T) -> Request<T> {
    let mut request = Request::new(body);
    request.extensions_mut().insert(house.call(who).await);
    request
}

fn component(name: &str) -> proto::RegisterComponentRequest {
    proto::RegisterComponentRequest {
        name: name.to_owned(),
        component_type: "artifact-store".to_owned(),
        requirement: Some(proto::ConnectorRequirement {
            resource_type: "paper-shelf".to_owned(),
            ..proto::ConnectorRequirement::default()
        }),
        labels: (0..20).map(|at| (format!("key-{at}"), "value".to_owned())).collect(),
        request_id: REQUEST_ID.to_owned(),
        ..proto::RegisterComponentRequest::default()
    }
}

#[tokio::test]
async fn a_request_that_no_layer_authenticated_is_nobodys() {
    let house = House::new().await;
    let access = AccessHandlers::new(Arc::clone(&house.broker));
    let refused = access.who_am_i(Request::new(proto::WhoAmIRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let me =
        access.who_am_i(by(&house, &house.owner, proto::WhoAmIRequest::default()).await).await.unwrap().into_inner();
    assert_eq!(me.principal.unwrap().name, "olga");
    assert_eq!(me.bindings[0].role, "owner");
}

/// Case I5.
#[tokio::test]
async fn the_same_request_is_done_once_and_its_id_takes_no_other_body() {
    let house = House::new().await;
    let components = ComponentHandlers::new(Arc::clone(&house.broker));
    let ask = async |body| components.register_component(by(&house, &house.scientist, body).await).await;
    let first = ask(component("store")).await.unwrap().into_inner();
    let again = ask(component("store")).await.unwrap().into_inner();
    assert_eq!(first, again);
    assert_eq!(first.component.unwrap().created_by, "sam");
    let other = ask(component("store-2")).await.unwrap_err();
    assert_eq!(other.code(), Code::FailedPrecondition);
    let bad = proto::RegisterComponentRequest { request_id: "1".to_owned(), ..component("store-3") };
    assert_eq!(ask(bad).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_answer_to_a_run_is_none_to_its_starter() {
    let house = House::new().await;
    let link = house.component(&house.home, "store", None).await;
    let body = proto::RegisterStackRequest {
        name: "prod".to_owned(),
        components: vec![link.name.to_string()],
        ..Default::default()
    };
    let stacks = StackHandlers::new(Arc::clone(&house.broker));
    stacks.register_stack(by(&house, &house.scientist, body).await).await.unwrap();
    let runs = RunHandlers::new(Arc::clone(&house.broker));
    let body = proto::StartRunRequest { stack: "prod".to_owned(), name: "nightly".to_owned(), ..Default::default() };
    let started = runs.start_run(by(&house, &house.scientist, body).await).await.unwrap().into_inner();
    let run = Person {
        id: house.scientist.id,
        name: house.scientist.name.clone(),
        token: house.scientist.token.clone(),
        header: format!("Bearer {}", started.secret).into_bytes(),
    };
    let renew = async |who: &Person| {
        let body = proto::RenewRunRequest {
            run: "nightly".to_owned(),
            request_id: REQUEST_ID.to_owned(),
            ..Default::default()
        };
        runs.renew_run(by(&house, who, body).await).await.map(tonic::Response::into_inner)
    };
    house.clock.advance(std::time::Duration::from_secs(1));
    let first = renew(&run).await.unwrap();
    assert_eq!(first, renew(&run).await.unwrap());
    let refused = renew(&house.scientist).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
}

/// Case B5.
#[tokio::test]
async fn another_project_is_not_found_whether_it_exists_or_not() {
    let house = House::new().await;
    let broker = &house.broker;
    for project in ["abroad", "no-such", "Default", "default "] {
        let body = proto::ListBindingsRequest { project: project.to_owned(), ..Default::default() };
        let access = AccessHandlers::new(Arc::clone(broker));
        let refused = access.list_bindings(by(&house, &house.owner, body).await).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, "no such project"));
        let body = proto::ListStacksRequest { project: project.to_owned(), ..Default::default() };
        let stacks = StackHandlers::new(Arc::clone(broker));
        let refused = stacks.list_stacks(by(&house, &house.owner, body).await).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        let body = proto::TailAuditLinesRequest { project: project.to_owned(), ..Default::default() };
        let audit = AuditHandlers::new(Arc::clone(broker));
        let refused = audit.tail_audit_lines(by(&house, &house.owner, body).await).await.err().unwrap();
        assert_eq!(refused.code(), Code::NotFound);
    }
    let body = proto::ListBindingsRequest { project: "default".to_owned(), ..Default::default() };
    assert!(AccessHandlers::new(Arc::clone(broker)).list_bindings(by(&house, &house.owner, body).await).await.is_ok());
}

#[tokio::test]
async fn pages_follow_each_other_and_a_changed_filter_breaks_the_chain() {
    let house = House::new().await;
    let access = AccessHandlers::new(Arc::clone(&house.broker));
    let ask = async |page_token: &str, kind: i32| {
        let body = proto::ListPrincipalsRequest {
            page_size: 3,
            page_token: page_token.to_owned(),
            kind,
            ..Default::default()
        };
        access.list_principals(by(&house, &house.owner, body).await).await.map(tonic::Response::into_inner)
    };
    let first = ask("", 0).await.unwrap();
    let second = ask(&first.next_page_token, 0).await.unwrap();
    assert_eq!((first.principals.len(), second.principals.len()), (3, 2));
    assert_eq!(second.next_page_token, "");
    let refused = ask(&first.next_page_token, proto::PrincipalKind::User.into()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_new_token_is_shown_once_and_never_listed() {
    let house = House::new().await;
    let access = AccessHandlers::new(Arc::clone(&house.broker));
    let body = proto::CreateTokenRequest { description: "laptop".to_owned(), ..Default::default() };
    let made = access.create_token(by(&house, &house.scientist, body).await).await.unwrap().into_inner();
    assert!(made.secret.starts_with("vk1_u_"));
    let body = proto::ListTokensRequest::default();
    let listed = access.list_tokens(by(&house, &house.scientist, body).await).await.unwrap().into_inner();
    assert_eq!(listed.tokens.len(), 2);
    assert!(!format!("{listed:?}").contains(&made.secret[30..]));
}

#[tokio::test]
async fn the_catalog_and_the_daemon_describe_themselves_to_those_who_may() {
    let house = House::new().await;
    let types = ConnectorTypeHandlers::new(Arc::clone(&house.broker));
    let body = proto::DescribeConnectorTypeRequest { name: "paper".to_owned(), ..Default::default() };
    let found = types.describe_connector_type(by(&house, &house.scientist, body).await).await.unwrap().into_inner();
    assert_eq!(found.connector_type.unwrap().auth_methods[0].ttl_default_seconds, 3600);
    let body = proto::DescribeConnectorTypeRequest { name: "stone".to_owned(), ..Default::default() };
    let refused = types.describe_connector_type(by(&house, &house.scientist, body).await).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let operator = OperatorHandlers::new(Arc::clone(&house.broker));
    let status = operator.get_status(by(&house, &house.auditor, proto::GetStatusRequest::default()).await).await;
    assert!(status.unwrap().into_inner().ledger_writable);
    let refused =
        operator.get_key_status(by(&house, &house.auditor, proto::GetKeyStatusRequest::default()).await).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
}
