//! Real gRPC to a vault: typed clients with somebody's token, and raw calls of any method with any bytes and metadata.
//!
//! Every client has a connection of its own: the daemon ends a connection after a call that carried a secret.

use std::fs;
use std::time::Duration;

use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use prost::bytes::{Buf as _, BufMut as _};
use valetkey::proto::access_service_client::AccessServiceClient;
use valetkey::proto::audit_service_client::AuditServiceClient;
use valetkey::proto::component_service_client::ComponentServiceClient;
use valetkey::proto::connector_service_client::ConnectorServiceClient;
use valetkey::proto::credential_service_client::CredentialServiceClient;
use valetkey::proto::operator_service_client::OperatorServiceClient;
use valetkey::proto::run_service_client::RunServiceClient;
use valetkey::proto::stack_service_client::StackServiceClient;

use super::vault::Vault;

/// A connection with somebody's token on every call.
pub type Door = InterceptedService<Channel, Bearer>;

/// Puts a token on a call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $client:ident,)*) => {
        impl Vault {
            $($(#[$doc])* pub fn $name(&self, who: &str) -> $client<Door> {
                $client::new(self.door(who))
            })*
        }
    };
}

clients! {
    /// Principals, tokens and bindings.
    access: AccessServiceClient,
    /// The ledger.
    audit: AuditServiceClient,
    /// Components.
    components: ComponentServiceClient,
    /// Connectors.
    connectors: ConnectorServiceClient,
    /// What mints.
    credentials: CredentialServiceClient,
    /// The daemon itself.
    operator: OperatorServiceClient,
    /// Stacks.
    stacks: StackServiceClient,
    /// Runs.
    runs: RunServiceClient,
}

impl Vault {
    /// A new connection to the daemon, made with the first call.
    pub fn channel(&self) -> Channel {
        let ca = Certificate::from_pem(fs::read(self.ca()).expect("init made a CA"));
        let endpoint = Endpoint::from_shared(self.address()).expect("the address is a URL");
        let tls = ClientTlsConfig::new().ca_certificate(ca);
        // Connecting needs a runtime to be entered, though nothing is done yet.
        self.run(async { endpoint.tls_config(tls).expect("the CA is a certificate").connect_lazy() })
    }

    /// A new connection with this token on every call.
    pub fn door_with(&self, token: &str) -> Door {
        let value = format!("Bearer {token}").parse().expect("a token is a header value");
        InterceptedService::new(self.channel(), Bearer(value))
    }

    fn door(&self, who: &str) -> Door {
        self.door_with(&self.token(who))
    }

    /// Calls any method with any bytes, as somebody or as nobody.
    pub fn raw(
        &self,
        who: Option<&str>,
        path: &'static str,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, Status>> + Send + use<> {
        let mut metadata = MetadataMap::new();
        if let Some(who) = who {
            let value = format!("Bearer {}", self.token(who));
            metadata.insert("authorization", value.parse().expect("a token is a header value"));
        }
        self.raw_with(metadata, path, body)
    }

    /// The same with this metadata. Of a stream the first message counts.
    pub fn raw_with(
        &self,
        metadata: MetadataMap,
        path: &'static str,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, Status>> + Send + use<> {
        let channel = self.channel();
        async move {
            let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
            client.ready().await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
            let mut request = Request::new(body);
            *request.metadata_mut() = metadata;
            let mut stream = client.server_streaming(request, PathAndQuery::from_static(path), Raw).await?.into_inner();
            // A stream that has nothing to say yet has let the caller in.
            match tokio::time::timeout(FIRST_MESSAGE, stream.message()).await {
                Ok(message) => Ok(message?.unwrap_or_default()),
                Err(_) => Ok(Vec::new()),
            }
        }
    }

    /// Calls a method and expects a refusal.
    #[track_caller]
    pub fn refused(&self, who: &str, path: &'static str, body: &impl prost::Message) -> Status {
        match self.run(self.raw(Some(who), path, body.encode_to_vec())) {
            Err(status) => status,
            Ok(_) => panic!("{who} was not refused {path}"),
        }
    }
}

/// The reason code of a refusal.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request().map(|found| found.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

/// All that a refusal says, details included, as bytes to search in.
pub fn everything(status: &Status) -> Vec<u8> {
    let mut all = status.message().as_bytes().to_vec();
    all.extend_from_slice(status.details());
    all.extend_from_slice(format!("{:?}", status.metadata()).as_bytes());
    all
}

/// The call was refused with this code.
#[track_caller]
pub fn refused_with<T>(answer: Result<T, Status>, code: Code) -> Status {
    match answer {
        Ok(_) => panic!("not refused; {code:?} was due"),
        Err(status) => {
            assert_eq!(status.code(), code, "{status:?}");
            status
        }
    }
}

/// Messages as they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}

/// How long to wait for a stream's first message.
const FIRST_MESSAGE: Duration = Duration::from_secs(3);
