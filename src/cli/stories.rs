//! Whole commands against a daemon that is written down: a real tonic server
//! on loopback that answers what a test says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use clap::FromArgMatches as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::proto;
use crate::proto::connector_service_server::{ConnectorService, ConnectorServiceServer};
use crate::proto::connector_type_service_server::{ConnectorTypeService, ConnectorTypeServiceServer};
use crate::proto::credential_service_server::{CredentialService, CredentialServiceServer};

use super::failure::{Failure, Kind};
use super::output::Page;
use super::schema::SCHEMA;
use super::session::Session;
use super::terminal::ScriptedTerminal;

/// What the server was asked, and how it should answer.
#[derive(Default)]
struct Script {
    /// Answer this many calls with UNAVAILABLE first.
    unavailable: AtomicU32,
    /// And with this reason; none as when a connection broke.
    reason: &'static str,
    /// And with the promise that nothing was spent.
    promise: bool,
    /// Answer with this code afterwards.
    refuse: Option<Code>,
    /// Registrations that came.
    registered: Mutex<Vec<proto::RegisterConnectorRequest>>,
    /// Bearer tokens that came.
    tokens: Mutex<Vec<String>>,
    /// Page tokens that came.
    pages: Mutex<Vec<String>>,
}

impl Script {
    fn before<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let token = request.metadata().get("authorization").unwrap().to_str().unwrap().to_owned();
        self.tokens.lock().unwrap().push(token);
        if self.unavailable.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(unavailable(self.reason, self.promise));
        }
        match self.refuse {
            Some(code) => {
                let metadata: HashMap<_, _> = [("hint".to_owned(), "ask an owner".to_owned())].into();
                let details = ErrorDetails::with_error_info("GRANT_MISSING", "valetkey", metadata);
                Err(Status::with_error_details(code, "no", details))
            }
            None => Ok(()),
        }
    }
}

fn unavailable(reason: &str, promise: bool) -> Status {
    let mut details = ErrorDetails::new();
    if !reason.is_empty() {
        let promise = promise.then(|| ("nothing_spent".to_owned(), "true".to_owned()));
        details.set_error_info(reason, "valetkey", promise.into_iter().collect::<HashMap<_, _>>());
        let passes = reason != "CLOCK_JUMPED";
        details.set_retry_info(passes.then_some(std::time::Duration::from_secs(1)));
    }
    Status::with_error_details(Code::Unavailable, "the disk is full", details)
}

#[derive(Clone)]
struct Fake(Arc<Script>);

#[tonic::async_trait]
impl ConnectorTypeService for Fake {
    async fn list_connector_types(
        &self,
        _: Request<proto::ListConnectorTypesRequest>,
    ) -> Result<Response<proto::ListConnectorTypesResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn describe_connector_type(
        &self,
        request: Request<proto::DescribeConnectorTypeRequest>,
    ) -> Result<Response<proto::DescribeConnectorTypeResponse>, Status> {
        let field = |name: &str| proto::SecretFieldSpec { name: name.to_owned(), required: true, ..Default::default() };
        let method = proto::AuthMethod {
            name: "iam-role".to_owned(),
            settings_schema: SCHEMA.to_owned(),
            secret_fields: vec![field("aws_access_key_id"), field("aws_secret_access_key")],
            ..Default::default()
        };
        let name = request.into_inner().name;
        let connector_type = proto::ConnectorType { name, auth_methods: vec![method], ..Default::default() };
        Ok(Response::new(proto::DescribeConnectorTypeResponse { connector_type: Some(connector_type) }))
    }
}

#[tonic::async_trait]
impl ConnectorService for Fake {
    async fn register_connector(
        &self,
        request: Request<proto::RegisterConnectorRequest>,
    ) -> Result<Response<proto::RegisterConnectorResponse>, Status> {
        self.0.registered.lock().unwrap().push(request.get_ref().clone());
        self.0.before(&request)?;
        let name = request.into_inner().name;
        let connector = Some(proto::Connector { name, ..Default::default() });
        Ok(Response::new(proto::RegisterConnectorResponse { connector }))
    }

    async fn list_connectors(
        &self,
        request: Request<proto::ListConnectorsRequest>,
    ) -> Result<Response<proto::ListConnectorsResponse>, Status> {
        self.0.before(&request)?;
        let token = request.into_inner().page_token;
        self.0.pages.lock().unwrap().push(token.clone());
        let name = if token.is_empty() { "first" } else { "second" };
        let next_page_token = if token.is_empty() { "2".to_owned() } else { String::new() };
        let connectors = vec![proto::Connector { name: name.to_owned(), ..Default::default() }];
        Ok(Response::new(proto::ListConnectorsResponse { connectors, next_page_token }))
    }

    async fn describe_connector(
        &self,
        request: Request<proto::DescribeConnectorRequest>,
    ) -> Result<Response<proto::DescribeConnectorResponse>, Status> {
        self.0.before(&request)?;
        Err(Status::not_found("no such connector"))
    }

    async fn update_connector(
        &self,
        _: Request<proto::UpdateConnectorRequest>,
    ) -> Result<Response<proto::UpdateConnectorResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn rotate_connector_secret(
        &self,
        _: Request<proto::RotateConnectorSecretRequest>,
    ) -> Result<Response<proto::RotateConnectorSecretResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn verify_connector(
        &self,
        request: Request<proto::VerifyConnectorRequest>,
    ) -> Result<Response<proto::VerifyConnectorResponse>, Status> {
        self.0.before(&request)?;
        let verification = Some(proto::Verification { state: "failing".to_owned(), ..Default::default() });
        let connector = Some(proto::Connector { verification, ..Default::default() });
        Ok(Response::new(proto::VerifyConnectorResponse { connector }))
    }

    async fn list_connector_resources(
        &self,
        _: Request<proto::ListConnectorResourcesRequest>,
    ) -> Result<Response<proto::ListConnectorResourcesResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_connector(
        &self,
        _: Request<proto::DeleteConnectorRequest>,
    ) -> Result<Response<proto::DeleteConnectorResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

fn credential() -> proto::MintedCredential {
    let aws = proto::AwsSession {
        access_key_id: "ASIA1".to_owned(),
        secret_access_key: "canary-secret".to_owned(),
        session_token: "canary-session".to_owned(),
        ..Default::default()
    };
    let shape = Some(proto::minted_credential::Shape::AwsSession(aws));
    let expires_at = Some(prost_types::Timestamp { seconds: 1_893_456_000, nanos: 0 });
    proto::MintedCredential { shape, expires_at, ..Default::default() }
}

#[tonic::async_trait]
impl CredentialService for Fake {
    type WatchCredentialStream = tokio_stream::Iter<std::vec::IntoIter<Result<proto::WatchCredentialResponse, Status>>>;

    async fn mint_credential(
        &self,
        request: Request<proto::MintCredentialRequest>,
    ) -> Result<Response<proto::MintCredentialResponse>, Status> {
        self.0.before(&request)?;
        Ok(Response::new(proto::MintCredentialResponse { credential: Some(credential()) }))
    }

    async fn watch_credential(
        &self,
        request: Request<proto::WatchCredentialRequest>,
    ) -> Result<Response<Self::WatchCredentialStream>, Status> {
        self.0.before(&request)?;
        let next = || Ok(proto::WatchCredentialResponse { credential: Some(credential()) });
        let ended = Err(Status::permission_denied("the binding was deleted"));
        Ok(Response::new(tokio_stream::iter(vec![next(), next(), ended])))
    }

    async fn sign_challenge(
        &self,
        _: Request<proto::SignChallengeRequest>,
    ) -> Result<Response<proto::SignChallengeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_issuances(
        &self,
        _: Request<proto::ListIssuancesRequest>,
    ) -> Result<Response<proto::ListIssuancesResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn revoke_issuances(
        &self,
        _: Request<proto::RevokeIssuancesRequest>,
    ) -> Result<Response<proto::RevokeIssuancesResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// A daemon on loopback, with its address.
#[allow(clippy::disallowed_methods, reason = "the server of a test runs beside it and ends with its runtime")]
async fn serve(script: &Arc<Script>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fake = Fake(Arc::clone(script));
    let server = Server::builder()
        .add_service(ConnectorTypeServiceServer::new(fake.clone()))
        .add_service(ConnectorServiceServer::new(fake.clone()))
        .add_service(CredentialServiceServer::new(fake));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    format!("http://{address}")
}

/// A CA and a certificate of 127.0.0.1 that it signed: CA, certificate, key.
fn authority() -> (String, String, String) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::from_params(&ca, &ca_key)).unwrap();
    (ca_pem, leaf.pem(), key.serialize_pem())
}

/// A daemon on loopback that speaks TLS, with its address.
#[allow(clippy::disallowed_methods, reason = "the server of a test runs beside it and ends with its runtime")]
async fn serve_tls(certificate: &str, key: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
    let server = Server::builder().tls_config(tls).unwrap();
    let mut server = server;
    let server = server.add_service(CredentialServiceServer::new(Fake(Arc::default())));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    format!("https://{address}")
}

/// Runs a command against that daemon; gives what it printed and how it ended.
async fn run(script: &Arc<Script>, arguments: &[&str], input: &[u8]) -> (String, Result<(), Failure>) {
    let address = serve(script).await;
    run_at(&address, arguments, input).await
}

async fn run_at(address: &str, arguments: &[&str], input: &[u8]) -> (String, Result<(), Failure>) {
    let start = ["valetkey", "--address", address];
    let matches = <super::CommandLine as clap::CommandFactory>::command()
        .get_matches_from(start.iter().chain(arguments).map(|a| (*a).to_owned()));
    let mut line = super::CommandLine::from_arg_matches(&matches).unwrap();
    line.global.token = Some(super::args::TokenText("vk1_user_canary".to_owned().into()));
    let page = Page::default();
    let terminal = Box::new(ScriptedTerminal::piped(input));
    let super::Noun::Remote(noun) = line.noun else { panic!("no daemon does this") };
    let ended = match Session::open(&line.global, page.output(line.global.output), terminal).await {
        Ok(session) => super::dispatch(&session, noun).await,
        Err(failure) => Err(failure),
    };
    (page.text(), ended)
}

const REGISTER: [&str; 12] = [
    "connector",
    "register",
    "prod-s3",
    "--type",
    "aws",
    "--method",
    "iam-role",
    "--set",
    "role_arn=arn:x",
    "--secrets",
    "-",
    "--shared",
];
const SECRETS: &[u8] = br#"{"aws_access_key_id":"AKIA","aws_secret_access_key":"canary"}"#;

#[tokio::test]
async fn register_sends_typed_settings_and_secrets_with_the_token() {
    let script = Arc::new(Script::default());
    let (text, ended) = run(&script, &REGISTER, SECRETS).await;
    ended.unwrap();
    let asks = script.registered.lock().unwrap();
    let ask = &asks[0];
    assert_eq!((ask.settings.as_str(), ask.project.as_str()), (r#"{"role_arn":"arn:x"}"#, "default"));
    assert_eq!(ask.secrets.len(), 2);
    assert_eq!(ask.secrets[1].value, b"canary");
    assert!(ask.mint_policy.as_ref().unwrap().shared && !ask.mint_policy.as_ref().unwrap().allow_passthrough);
    assert_eq!(*script.tokens.lock().unwrap(), ["Bearer vk1_user_canary"]);
    assert!(text.contains("prod-s3") && !text.contains("canary"));
}

#[tokio::test]
async fn an_unavailable_daemon_is_asked_again_with_the_same_request_id() {
    let script =
        Arc::new(Script { unavailable: 2.into(), reason: "STORE_UNWRITABLE", promise: true, ..Script::default() });
    run(&script, &REGISTER, SECRETS).await.1.unwrap();
    let asks = script.registered.lock().unwrap();
    assert_eq!(asks.len(), 3);
    assert!(!asks[0].request_id.is_empty());
    assert!(asks.iter().all(|ask| ask.request_id == asks[0].request_id));
}

#[tokio::test]
async fn a_daemon_that_stays_unavailable_ends_with_5_after_three_tries() {
    let script = Arc::new(Script { unavailable: 100.into(), reason: "STOPPING", promise: true, ..Script::default() });
    let failure = run(&script, &REGISTER, SECRETS).await.1.unwrap_err();
    assert_eq!((failure.kind.exit_code(), failure.message.as_str()), (5, "the disk is full"));
    assert_eq!(script.registered.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_asks_a_cloud_is_asked_again_only_where_the_daemon_promises_that_nothing_was_spent() {
    let tried = async |arguments: &[&str], reason, promise| {
        let script = Arc::new(Script { unavailable: 100.into(), reason, promise, ..Script::default() });
        let failure = run(&script, arguments, SECRETS).await.1.unwrap_err();
        assert_eq!(failure.kind.exit_code(), 5);
        script.tokens.lock().unwrap().len()
    };
    let tries = async |arguments: &[&str], reason| tried(arguments, reason, false).await;
    let mint = ["mint", "--connector", "x"];
    for reason in ["CHANGED_MEANWHILE", "SOMETHING_NEW"] {
        assert_eq!(tried(&mint, reason, true).await, 3, "{reason}");
    }
    assert_eq!(tried(&mint, "CLOCK_JUMPED", true).await, 1, "it does not pass by itself");
    for reason in ["UPSTREAM_BAD_ANSWER", "UPSTREAM_UNAVAILABLE", "CHANGED_MEANWHILE", "SOMETHING_NEW", ""] {
        assert_eq!(tries(&mint, reason).await, 1, "a mint, after {reason:?}");
        assert_eq!(tries(&REGISTER, reason).await, 1, "a registration, after {reason:?}");
    }
    assert_eq!(tries(&["mint", "--connector", "x", "--watch"], "UPSTREAM_BAD_ANSWER").await, 1);
    // Who only reads may ask again when a connection broke.
    assert_eq!(tries(&["connector", "list"], "").await, 3);
}

#[tokio::test]
async fn refusals_end_with_their_exit_code_reason_and_hint() {
    for (code, exit) in
        [(Code::PermissionDenied, 3), (Code::Unauthenticated, 3), (Code::NotFound, 4), (Code::InvalidArgument, 1)]
    {
        let script = Arc::new(Script { refuse: Some(code), ..Script::default() });
        let (text, ended) = run(&script, &["mint", "--connector", "x"], b"").await;
        let failure = ended.unwrap_err();
        assert_eq!(failure.kind.exit_code(), exit);
        assert_eq!(failure.reason.as_deref(), Some("GRANT_MISSING"));
        assert_eq!(failure.hint.as_deref(), Some("ask an owner"));
        assert_eq!(text, "");
        assert_eq!(script.tokens.lock().unwrap().len(), 1, "a refusal is not asked again");
    }
}

#[tokio::test]
async fn a_table_of_a_minted_credential_has_no_values_in_it() {
    let script = Arc::new(Script::default());
    let (text, ended) = run(&script, &["mint", "--component", "artifacts"], b"").await;
    ended.unwrap();
    assert!(text.contains("aws_session") && text.contains("2030-01-01T00:00:00Z"));
    assert!(!text.contains("canary") && !text.contains("ASIA1"));
}

#[tokio::test]
async fn programs_get_the_values() {
    let script = Arc::new(Script::default());
    let (json, _) = run(&script, &["mint", "--component", "a", "-o", "json"], b"").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["aws_session"]["secret_access_key"], "canary-secret");
    let (yaml, _) = run(&script, &["mint", "--component", "a", "-o", "yaml"], b"").await;
    assert!(yaml.contains("secret_access_key: canary-secret"));
    let (env, _) = run(&script, &["mint", "--component", "a", "--format", "env"], b"").await;
    assert!(env.contains("export AWS_SESSION_TOKEN='canary-session'\n"));
}

#[tokio::test]
async fn watching_prints_each_credential_until_the_rights_end() {
    let script = Arc::new(Script::default());
    let watch = ["mint", "--component", "a", "--watch", "--format", "aws-process"];
    let (text, ended) = run(&script, &watch, b"").await;
    assert_eq!(text.lines().count(), 2);
    assert_eq!(ended.unwrap_err().kind, Kind::Denied);
}

#[tokio::test]
async fn lists_follow_pages_to_the_limit() {
    let script = Arc::new(Script::default());
    let (text, ended) = run(&script, &["connector", "list", "-o", "json"], b"").await;
    ended.unwrap();
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap().len(), 2);
    assert_eq!(*script.pages.lock().unwrap(), ["", "2"]);
    let (text, _) = run(&script, &["connector", "list", "-o", "json", "--limit", "1"], b"").await;
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap().len(), 1);
}

#[tokio::test]
async fn a_connector_that_does_not_verify_fails_the_command() {
    let script = Arc::new(Script::default());
    let (text, ended) = run(&script, &["connector", "verify", "prod-s3"], b"").await;
    assert!(text.contains("failing"));
    assert_eq!(ended.unwrap_err().kind, Kind::Failed);
}

#[tokio::test]
async fn a_connector_that_is_not_there_ends_with_4() {
    let script = Arc::new(Script::default());
    let failure = run(&script, &["connector", "describe", "x"], b"").await.1.unwrap_err();
    assert_eq!(failure.kind.exit_code(), 4);
}

#[tokio::test]
async fn missing_secrets_are_a_usage_error_before_anything_is_sent() {
    let script = Arc::new(Script::default());
    let failure = run(&script, &REGISTER, br#"{"aws_access_key_id":"AKIA"}"#).await.1.unwrap_err();
    assert_eq!(failure.kind, Kind::Usage);
    assert!(script.registered.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_at_the_address_ends_with_5_and_says_what_to_check() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let failure = run_at(&address, &["mint", "--connector", "x"], b"").await.1.unwrap_err();
    assert_eq!(failure.kind.exit_code(), 5);
    assert!(failure.message.contains(&address));
    let hint = failure.hint.unwrap();
    assert!(hint.contains("VALETKEY_CA_CERT") && hint.contains("valetkey serve"));
}

#[tokio::test]
async fn the_daemon_is_known_by_its_ca_alone() {
    let (ca, certificate, key) = authority();
    let address = serve_tls(&certificate, &key).await;
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("right.pem"), folder.path().join("wrong.pem"));
    std::fs::write(&right, ca).unwrap();
    std::fs::write(&wrong, authority().0).unwrap();
    let mint =
        |file: &std::path::Path| ["mint", "--component", "a", "--ca-cert", file.to_str().unwrap()].map(str::to_owned);
    let right = mint(&right);
    run_at(&address, &right.each_ref().map(String::as_str), b"").await.1.unwrap();
    let wrong = mint(&wrong);
    let failure = run_at(&address, &wrong.each_ref().map(String::as_str), b"").await.1.unwrap_err();
    assert_eq!(failure.kind, Kind::Unavailable);
    assert!(failure.message.contains("certificate"), "{}", failure.message);
}
