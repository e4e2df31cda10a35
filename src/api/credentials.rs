//! CredentialService: decode, one call of the broker, encode.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call, MintAsk, Revoked};
use crate::proto;
use crate::proto::credential_service_server::CredentialService;

use super::convert::credentials as convert;
use super::convert::request::{Listing, failed, opened, own_project, reply};

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

    async fn list(
        &self,
        call: &Call,
        mut body: proto::ListIssuancesRequest,
    ) -> Result<proto::ListIssuancesResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let found = self.broker.list_issuances(call, &convert::issuance_ask(&body)?, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let issuances = found.items.into_iter().map(|one| convert::issuance(call, &self.broker, one)).collect();
        Ok(proto::ListIssuancesResponse { issuances, next_page_token })
    }

    async fn sign(&self, call: &Call, body: proto::SignChallengeRequest) -> Result<Vec<u8>, BrokerError> {
        own_project(call, &body.project)?;
        self.broker.sign_challenge(call, convert::challenge(body)?).await
    }

    async fn revoke(
        &self,
        call: &Call,
        body: proto::RevokeIssuancesRequest,
    ) -> Result<(Vec<Revoked>, bool), BrokerError> {
        own_project(call, &body.project)?;
        let ask = convert::revoke(call, body)?;
        let results = self.broker.revoke_issuances(call, &ask).await?;
        let more = ask.more_after(&results);
        Ok((results, more))
    }
}

fn asked(call: &Call, ask: Option<proto::MintAsk>) -> Result<MintAsk, BrokerError> {
    own_project(call, ask.as_ref().map_or("", |ask| &ask.project))?;
    Ok(convert::ask(ask)?)
}

#[tonic::async_trait]
impl CredentialService for CredentialHandlers {
    async fn mint_credential(
        &self,
        request: Request<proto::MintCredentialRequest>,
    ) -> Result<Response<proto::MintCredentialResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = async {
            let out = self.broker.mint_credential(&call, &asked(&call, body.ask)?).await?;
            Ok(proto::MintCredentialResponse { credential: Some(convert::credential(&out)) })
        };
        reply(&call, answer.await)
    }

    type WatchCredentialStream = Pin<Box<dyn Stream<Item = Result<proto::WatchCredentialResponse, Status>> + Send>>;

    async fn watch_credential(
        &self,
        request: Request<proto::WatchCredentialRequest>,
    ) -> Result<Response<Self::WatchCredentialStream>, Status> {
        let (call, body) = opened(request)?;
        let pushed = asked(&call, body.ask).and_then(|ask| self.broker.watch_credential(&call, ask));
        let pushed = pushed.map_err(|error| failed(&call, error))?;
        let stream = ReceiverStream::new(pushed).map(move |item| match item {
            Ok(out) => Ok(proto::WatchCredentialResponse { credential: Some(convert::credential(&out)) }),
            Err(error) => Err(failed(&call, error)),
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn sign_challenge(
        &self,
        request: Request<proto::SignChallengeRequest>,
    ) -> Result<Response<proto::SignChallengeResponse>, Status> {
        let (call, body) = opened(request)?;
        reply(&call, self.sign(&call, body).await.map(|signature| proto::SignChallengeResponse { signature }))
    }

    async fn list_issuances(
        &self,
        request: Request<proto::ListIssuancesRequest>,
    ) -> Result<Response<proto::ListIssuancesResponse>, Status> {
        let (call, body) = opened(request)?;
        reply(&call, self.list(&call, body).await)
    }

    async fn revoke_issuances(
        &self,
        request: Request<proto::RevokeIssuancesRequest>,
    ) -> Result<Response<proto::RevokeIssuancesResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.revoke(&call, body).await;
        let encode = |one| convert::revoked(&call, &self.broker, one);
        reply(
            &call,
            answer.map(|(all, more)| proto::RevokeIssuancesResponse {
                results: all.into_iter().map(encode).collect(),
                more,
            }),
        )
    }
}
