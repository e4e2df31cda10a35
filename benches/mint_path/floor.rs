//! The floor: the service of the daemon with a constant answer and nothing else, over the same TLS and HTTP/2.
//!
//! Same codec, same message sizes, same certificate. What the daemon needs beyond this is what it does for security.

use std::pin::Pin;
use std::sync::Arc;

use prost::Message as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use valetkey::proto;
use valetkey::proto::credential_service_server::{CredentialService, CredentialServiceServer};

use super::plan::{self, FloorPlan, Outcome};

/// Serves until it is killed.
pub fn run() -> Outcome<()> {
    let plan: FloorPlan = plan::of_this_process()?;
    let runtime = match plan.threads {
        0 | 1 => Builder::new_current_thread().enable_all().build()?,
        many => Builder::new_multi_thread().worker_threads(many).enable_all().build()?,
    };
    runtime.block_on(served(plan))
}

async fn served(plan: FloorPlan) -> Outcome<()> {
    let acceptor = acceptor(&plan)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?.port());
    let (sender, receiver) = mpsc::channel(CONNECTIONS_WAITING_MAX);
    tokio::spawn(accepted(listener, acceptor, sender));
    let floor = CredentialServiceServer::new(Floor { answer: answer(plan.answer_bytes) });
    Ok(Server::builder().add_service(floor).serve_with_incoming(ReceiverStream::new(receiver)).await?)
}

fn acceptor(plan: &FloorPlan) -> Outcome<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(&plan.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&plan.key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Accepted = Result<TlsStream<TcpStream>, std::io::Error>;

async fn accepted(listener: TcpListener, acceptor: TlsAcceptor, sender: mpsc::Sender<Accepted>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            if stream.set_nodelay(true).is_ok()
                && let Ok(stream) = acceptor.accept(stream).await
            {
                // The server is gone only when the process is.
                let _ = sender.send(Ok(stream)).await;
            }
        });
    }
}

/// A credential whose encoded answer has this length.
fn answer(bytes: usize) -> proto::MintCredentialResponse {
    let of = |length: usize| {
        let session = proto::AwsSession { session_token: "t".repeat(length), ..proto::AwsSession::default() };
        let shape = proto::minted_credential::Shape::AwsSession(session);
        let credential = proto::MintedCredential { shape: Some(shape), ..proto::MintedCredential::default() };
        proto::MintCredentialResponse { credential: Some(credential) }
    };
    let around = of(bytes).encoded_len().saturating_sub(bytes);
    of(bytes.saturating_sub(around))
}

struct Floor {
    answer: proto::MintCredentialResponse,
}

type Watched = Pin<Box<dyn Stream<Item = Result<proto::WatchCredentialResponse, Status>> + Send>>;

#[tonic::async_trait]
impl CredentialService for Floor {
    type WatchCredentialStream = Watched;

    async fn mint_credential(
        &self,
        _: Request<proto::MintCredentialRequest>,
    ) -> Result<Response<proto::MintCredentialResponse>, Status> {
        Ok(Response::new(self.answer.clone()))
    }

    async fn watch_credential(&self, _: Request<proto::WatchCredentialRequest>) -> Result<Response<Watched>, Status> {
        Err(Status::unimplemented("the floor mints only"))
    }

    async fn sign_challenge(
        &self,
        _: Request<proto::SignChallengeRequest>,
    ) -> Result<Response<proto::SignChallengeResponse>, Status> {
        Err(Status::unimplemented("the floor mints only"))
    }

    async fn list_issuances(
        &self,
        _: Request<proto::ListIssuancesRequest>,
    ) -> Result<Response<proto::ListIssuancesResponse>, Status> {
        Err(Status::unimplemented("the floor mints only"))
    }

    async fn revoke_issuances(
        &self,
        _: Request<proto::RevokeIssuancesRequest>,
    ) -> Result<Response<proto::RevokeIssuancesResponse>, Status> {
        Err(Status::unimplemented("the floor mints only"))
    }
}

const CONNECTIONS_WAITING_MAX: usize = 128;
