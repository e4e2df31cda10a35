//! CredentialService: decode, one call of the broker, encode.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use crate::broker::Broker;
use crate::proto::credential_service_server::CredentialService;
use crate::proto::{
    ListIssuancesRequest, ListIssuancesResponse, MintCredentialRequest, MintCredentialResponse, RevokeIssuancesRequest,
    RevokeIssuancesResponse, WatchCredentialRequest, WatchCredentialResponse,
};

use super::caller::{call_in, failed};
use super::convert::credentials as convert;

/// The handlers of CredentialService.
pub struct CredentialHandlers {
    broker: Arc<Broker>,
}

impl CredentialHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }
}

#[tonic::async_trait]
impl CredentialService for CredentialHandlers {
    async fn mint_credential(
        &self,
        request: Request<MintCredentialRequest>,
    ) -> Result<Response<MintCredentialResponse>, Status> {
        let call = call_in(&request, convert::project_of(request.get_ref().ask.as_ref()))?;
        let ask = convert::ask(request.into_inner().ask).map_err(|e| failed(&call, e.into()))?;
        let out = self.broker.mint_credential(&call, &ask).await.map_err(|e| failed(&call, e))?;
        Ok(Response::new(MintCredentialResponse { credential: Some(convert::credential(&out)) }))
    }

    type WatchCredentialStream = Pin<Box<dyn Stream<Item = Result<WatchCredentialResponse, Status>> + Send>>;

    async fn watch_credential(
        &self,
        request: Request<WatchCredentialRequest>,
    ) -> Result<Response<Self::WatchCredentialStream>, Status> {
        let call = call_in(&request, convert::project_of(request.get_ref().ask.as_ref()))?;
        let ask = convert::ask(request.into_inner().ask).map_err(|e| failed(&call, e.into()))?;
        let pushed = self.broker.watch_credential(&call, ask).map_err(|e| failed(&call, e))?;
        let stream = ReceiverStream::new(pushed).map(move |item| match item {
            Ok(out) => Ok(WatchCredentialResponse { credential: Some(convert::credential(&out)) }),
            Err(error) => Err(failed(&call, error)),
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn list_issuances(
        &self,
        request: Request<ListIssuancesRequest>,
    ) -> Result<Response<ListIssuancesResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let filters = convert::list_digest(&request);
        let page = self.broker.pages().parse(&call, &filters, request.page_size, &request.page_token);
        let page = page.map_err(|e| failed(&call, e.into()))?;
        let ask = convert::issuance_ask(request);
        let found = self.broker.list_issuances(&call, &ask, &page).await.map_err(|e| failed(&call, e))?;
        let next_page_token = self.broker.pages().next(&call, &filters, found.next.as_deref());
        let issuances = found.items.into_iter().map(|one| convert::issuance(&call, &self.broker, one)).collect();
        Ok(Response::new(ListIssuancesResponse { issuances, next_page_token }))
    }

    async fn revoke_issuances(
        &self,
        request: Request<RevokeIssuancesRequest>,
    ) -> Result<Response<RevokeIssuancesResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let ask = convert::revoke(request.into_inner(), &call).map_err(|e| failed(&call, e.into()))?;
        let results = self.broker.revoke_issuances(&call, &ask).await.map_err(|e| failed(&call, e))?;
        let results = results.into_iter().map(|one| convert::revoked(&call, &self.broker, one)).collect();
        Ok(Response::new(RevokeIssuancesResponse { results }))
    }
}
