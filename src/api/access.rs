//! AccessService: decode, one call of the broker, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call};
use crate::proto;
use crate::proto::access_service_server::AccessService;

use super::convert::access as convert;
use super::convert::request::{Listing, once, opened, own_project, reply};
use super::convert::types::{reference, reference_if_any};

/// The handlers of AccessService.
pub struct AccessHandlers {
    broker: Arc<Broker>,
}

impl AccessHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    async fn me(&self, call: &Call, body: proto::WhoAmIRequest) -> Result<proto::WhoAmIResponse, BrokerError> {
        own_project(call, &body.project)?;
        let caller = self.broker.who_am_i(call).await?;
        Ok(convert::who_am_i(call, &self.broker, &caller).await)
    }

    async fn mintable(
        &self,
        call: &Call,
        mut body: proto::ListMintableRequest,
    ) -> Result<proto::ListMintableResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let found = self.broker.list_mintable(call, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let mintable = found.items.into_iter().map(convert::mintable).collect();
        Ok(proto::ListMintableResponse { mintable, next_page_token })
    }

    async fn create(
        &self,
        call: &Call,
        mut body: proto::CreatePrincipalRequest,
    ) -> Result<proto::CreatePrincipalResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let made = self.broker.create_principal(call, convert::new_principal(&body)?, once.as_ref()).await?;
        let principal = Some(convert::principal(call, &self.broker, &made).await);
        Ok(proto::CreatePrincipalResponse { principal })
    }

    async fn principals(
        &self,
        call: &Call,
        mut body: proto::ListPrincipalsRequest,
    ) -> Result<proto::ListPrincipalsResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let found = self.broker.list_principals(call, convert::kind(body.kind)?, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let mut principals = Vec::with_capacity(found.items.len());
        for one in &found.items {
            principals.push(convert::principal(call, &self.broker, one).await);
        }
        Ok(proto::ListPrincipalsResponse { principals, next_page_token })
    }

    async fn delete(
        &self,
        call: &Call,
        mut body: proto::DeletePrincipalRequest,
    ) -> Result<proto::DeletePrincipalResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        self.broker.delete_principal(call, reference("principal", &body.principal)?, once.as_ref()).await?;
        Ok(proto::DeletePrincipalResponse {})
    }

    async fn issue(
        &self,
        call: &Call,
        mut body: proto::CreateTokenRequest,
    ) -> Result<proto::CreateTokenResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let made = self.broker.create_token(call, convert::new_token(&body)?, once.as_ref()).await?;
        Ok(convert::token_once(call, &self.broker, made).await)
    }

    async fn tokens(
        &self,
        call: &Call,
        body: proto::ListTokensRequest,
    ) -> Result<proto::ListTokensResponse, BrokerError> {
        own_project(call, &body.project)?;
        let principal = reference_if_any("principal", &body.principal)?;
        let mut tokens = Vec::new();
        for one in &self.broker.list_tokens(call, principal).await? {
            tokens.push(convert::token(call, &self.broker, one).await);
        }
        Ok(proto::ListTokensResponse { tokens })
    }

    async fn revoke(
        &self,
        call: &Call,
        mut body: proto::RevokeTokenRequest,
    ) -> Result<proto::RevokeTokenResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        self.broker.revoke_token(call, convert::token_reference(&body.token)?, once.as_ref()).await?;
        Ok(proto::RevokeTokenResponse {})
    }

    async fn roles(&self, call: &Call, body: proto::ListRolesRequest) -> Result<proto::ListRolesResponse, BrokerError> {
        own_project(call, &body.project)?;
        let roles = self.broker.list_roles(call).await?;
        Ok(proto::ListRolesResponse { roles: roles.iter().map(convert::role).collect() })
    }

    async fn bind(
        &self,
        call: &Call,
        mut body: proto::CreateBindingRequest,
    ) -> Result<proto::CreateBindingResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let made = self.broker.create_binding(call, convert::new_binding(&body)?, once.as_ref()).await?;
        Ok(proto::CreateBindingResponse { binding: Some(convert::binding(call, &self.broker, &made).await) })
    }

    async fn bindings(
        &self,
        call: &Call,
        mut body: proto::ListBindingsRequest,
    ) -> Result<proto::ListBindingsResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let principal = reference_if_any("principal", &body.principal)?;
        let found = self.broker.list_bindings(call, principal, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let mut bindings = Vec::with_capacity(found.items.len());
        for one in &found.items {
            bindings.push(convert::binding(call, &self.broker, one).await);
        }
        Ok(proto::ListBindingsResponse { bindings, next_page_token })
    }

    async fn unbind(
        &self,
        call: &Call,
        mut body: proto::DeleteBindingRequest,
    ) -> Result<proto::DeleteBindingResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        self.broker.delete_binding(call, reference("binding", &body.binding)?, once.as_ref()).await?;
        Ok(proto::DeleteBindingResponse {})
    }
}

#[tonic::async_trait]
impl AccessService for AccessHandlers {
    async fn who_am_i(
        &self,
        request: Request<proto::WhoAmIRequest>,
    ) -> Result<Response<proto::WhoAmIResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.me(&call, body).await;
        reply(&call, answer)
    }

    async fn list_mintable(
        &self,
        request: Request<proto::ListMintableRequest>,
    ) -> Result<Response<proto::ListMintableResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.mintable(&call, body).await;
        reply(&call, answer)
    }

    async fn create_principal(
        &self,
        request: Request<proto::CreatePrincipalRequest>,
    ) -> Result<Response<proto::CreatePrincipalResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.create(&call, body).await;
        reply(&call, answer)
    }

    async fn list_principals(
        &self,
        request: Request<proto::ListPrincipalsRequest>,
    ) -> Result<Response<proto::ListPrincipalsResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.principals(&call, body).await;
        reply(&call, answer)
    }

    async fn delete_principal(
        &self,
        request: Request<proto::DeletePrincipalRequest>,
    ) -> Result<Response<proto::DeletePrincipalResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.delete(&call, body).await;
        reply(&call, answer)
    }

    async fn create_token(
        &self,
        request: Request<proto::CreateTokenRequest>,
    ) -> Result<Response<proto::CreateTokenResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.issue(&call, body).await;
        reply(&call, answer)
    }

    async fn list_tokens(
        &self,
        request: Request<proto::ListTokensRequest>,
    ) -> Result<Response<proto::ListTokensResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.tokens(&call, body).await;
        reply(&call, answer)
    }

    async fn revoke_token(
        &self,
        request: Request<proto::RevokeTokenRequest>,
    ) -> Result<Response<proto::RevokeTokenResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.revoke(&call, body).await;
        reply(&call, answer)
    }

    async fn list_roles(
        &self,
        request: Request<proto::ListRolesRequest>,
    ) -> Result<Response<proto::ListRolesResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.roles(&call, body).await;
        reply(&call, answer)
    }

    async fn create_binding(
        &self,
        request: Request<proto::CreateBindingRequest>,
    ) -> Result<Response<proto::CreateBindingResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.bind(&call, body).await;
        reply(&call, answer)
    }

    async fn list_bindings(
        &self,
        request: Request<proto::ListBindingsRequest>,
    ) -> Result<Response<proto::ListBindingsResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.bindings(&call, body).await;
        reply(&call, answer)
    }

    async fn delete_binding(
        &self,
        request: Request<proto::DeleteBindingRequest>,
    ) -> Result<Response<proto::DeleteBindingResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.unbind(&call, body).await;
        reply(&call, answer)
    }
}
