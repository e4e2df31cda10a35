//! SECURITY.md case B12: whoever asks for a change is still there, and still allowed it, when the change commits. What
//! an owner was told is gone, or given, counts for calls that wait for a cloud, and for those whose body comes late.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use serde_json::json;
use tonic::{Code, Status};
use valetkey::proto;

use crate::rig::cast;
use crate::rig::http::frame;
use crate::rig::oidc::Provider;
use crate::rig::process::eventually;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{reason, refused_with};

const CLIENT: (&str, &str) = ("ml-post", "p0st-secret-p0st-secret-p0st-secret");

/// A cloud that can keep its answers back, and a vault with a second engineer.
struct Scene {
    provider: Provider,
    vault: Vault,
}

impl Scene {
    fn new() -> Self {
        let client = json!({
            "client_id": CLIENT.0, "client_secret": CLIENT.1, "grant_types": ["client_credentials"],
            "redirect_uris": [], "response_types": [], "token_endpoint_auth_method": "client_secret_post",
            "scope": "models.read",
        });
        let provider = Provider::start(&json!([client]));
        let roots = format!("extra_roots = {:?}", provider.authority.ca.display().to_string());
        let vault = Setup::new().reaching(&[&provider.url]).with("outbound", roots).start();
        for engineer in ["erin", "mona"] {
            cast::principal(&vault, "owner", engineer, proto::PrincipalKind::User);
            cast::bind(&vault, "owner", cast::binding(engineer, "platform-engineer"));
            let token = cast::token(&vault, "owner", engineer, 3600).secret;
            vault.keep_token(engineer, &token);
        }
        Self { provider, vault }
    }

    fn new_connector(&self, name: &str) -> proto::RegisterConnectorRequest {
        let settings = json!({
            "api_url": "https://api.example.com/v1", "token_url": self.provider.token_url(),
            "client_id": CLIENT.0, "client_auth_method": "post",
        });
        proto::RegisterConnectorRequest {
            name: name.to_owned(),
            connector_type: "oauth2".to_owned(),
            auth_method: "client-credentials".to_owned(),
            settings: settings.to_string(),
            secrets: secrets(),
            ..Default::default()
        }
    }

    /// Sends `ask`, lets `meanwhile` happen while the cloud thinks, and gives the answer.
    fn while_it_waits<T: Send + 'static>(
        &self,
        ask: impl Future<Output = Result<T, Status>> + Send + 'static,
        meanwhile: impl FnOnce(&Vault),
    ) -> Result<T, Status> {
        self.provider.hold(true);
        let under_way = self.vault.spawn(ask);
        assert!(eventually(Duration::from_secs(10), || self.provider.held() > 0), "the cloud was never asked");
        meanwhile(&self.vault);
        self.provider.hold(false);
        self.vault.run(under_way).expect("the call ends")
    }

    fn stored(&self, name: &str) -> proto::Connector {
        let ask = proto::DescribeConnectorRequest { connector: name.to_owned(), ..Default::default() };
        self.vault.run(self.vault.connectors("mona").describe_connector(ask)).unwrap().into_inner().connector.unwrap()
    }

    fn names(&self) -> Vec<String> {
        let ask = proto::ListConnectorsRequest::default();
        let found = self.vault.run(self.vault.connectors("owner").list_connectors(ask)).unwrap().into_inner();
        found.connectors.into_iter().map(|connector| connector.name).collect()
    }
}

fn secrets() -> Vec<proto::SecretField> {
    vec![proto::SecretField { name: "client_secret".to_owned(), value: CLIENT.1.into() }]
}

fn remove(vault: &Vault, name: &str) {
    let ask = proto::DeletePrincipalRequest { principal: name.to_owned(), ..Default::default() };
    vault.run(vault.access("owner").delete_principal(ask)).expect("an owner removes people");
}

fn revoke_tokens(vault: &Vault, name: &str) {
    let ask = proto::ListTokensRequest { principal: name.to_owned(), ..Default::default() };
    for token in vault.run(vault.access("owner").list_tokens(ask)).unwrap().into_inner().tokens {
        let ask = proto::RevokeTokenRequest { token: token.id, ..Default::default() };
        vault.run(vault.access("owner").revoke_token(ask)).unwrap();
    }
}

fn unbind(vault: &Vault, name: &str) {
    let ask = proto::ListBindingsRequest { principal: name.to_owned(), ..Default::default() };
    for held in vault.run(vault.access("owner").list_bindings(ask)).unwrap().into_inner().bindings {
        let ask = proto::DeleteBindingRequest { binding: held.id, ..Default::default() };
        vault.run(vault.access("owner").delete_binding(ask)).unwrap();
    }
}

#[test]
fn b12_who_is_removed_while_the_cloud_is_asked_registers_nothing() {
    let scene = Scene::new();
    let register = |who: &str, name: &str| {
        let (mut client, ask) = (scene.vault.connectors(who), scene.new_connector(name));
        async move { client.register_connector(ask).await }
    };
    // Who stays is served, also when somebody else's grants change meanwhile.
    scene.while_it_waits(register("alice", "kept"), |vault| unbind(vault, "bob")).expect("alice stays");
    let answer = scene.while_it_waits(register("alice", "gone"), |vault| remove(vault, "alice"));
    refused_with(answer, Code::Unauthenticated);
    let answer = scene.while_it_waits(register("erin", "unbound"), |vault| unbind(vault, "erin"));
    assert_eq!(reason(&refused_with(answer, Code::Unavailable)), "CHANGED_MEANWHILE");
    let answer = scene.while_it_waits(register("mona", "revoked"), |vault| revoke_tokens(vault, "mona"));
    refused_with(answer, Code::Unauthenticated);
    assert_eq!(scene.names(), ["kept"]);
    // Each intent has its result.
    let lines = scene.vault.ledger();
    let outcomes: Vec<_> = lines
        .iter()
        .filter(|line| line["method"] == "/valetkey.v1.ConnectorService/RegisterConnector" && line["kind"] == "result")
        .map(|line| (line["outcome"].as_str().unwrap(), line["reason"].as_str().unwrap_or_default()))
        .collect();
    let failed = |reason| ("failed", reason);
    let gone = "UNAUTHENTICATED";
    assert_eq!(outcomes, [("ok", ""), failed(gone), failed("CHANGED_MEANWHILE"), failed(gone)]);
}

#[test]
fn b12_nor_updates_rotates_or_verifies() {
    let scene = Scene::new();
    let vault = &scene.vault;
    vault.run(vault.connectors("mona").register_connector(scene.new_connector("prod"))).unwrap();
    let before = scene.stored("prod");
    let connector = || "prod".to_owned();

    let (mut client, etag) = (vault.connectors("alice"), before.etag.clone());
    let policy = proto::MintPolicy { access_max: proto::AccessLevel::Admin.into(), ..Default::default() };
    let ask = proto::UpdateConnectorRequest {
        connector: connector(),
        etag,
        mint_policy: Some(policy),
        secrets: secrets(),
        ..Default::default()
    };
    let update = ask.clone();
    let answer =
        scene.while_it_waits(async move { client.update_connector(update).await }, |vault| remove(vault, "alice"));
    refused_with(answer, Code::Unauthenticated);

    let mut client = vault.connectors("erin");
    let rotate =
        proto::RotateConnectorSecretRequest { connector: connector(), secrets: secrets(), ..Default::default() };
    let answer = scene.while_it_waits(async move { client.rotate_connector_secret(rotate).await }, |vault| {
        revoke_tokens(vault, "erin")
    });
    refused_with(answer, Code::Unauthenticated);

    vault.keep_token("erin", &cast::token(vault, "owner", "erin", 3600).secret);
    let mut client = vault.connectors("erin");
    let verify = proto::VerifyConnectorRequest { connector: connector(), ..Default::default() };
    let answer =
        scene.while_it_waits(async move { client.verify_connector(verify).await }, |vault| unbind(vault, "erin"));
    assert_eq!(reason(&refused_with(answer, Code::Unavailable)), "CHANGED_MEANWHILE");

    assert_eq!(scene.stored("prod"), before);
    // The same ask of one who is there.
    vault.run(vault.connectors("mona").update_connector(ask)).unwrap();
}

#[test]
fn b4_a_grant_that_comes_while_the_cloud_is_asked_is_seen_at_the_commit() {
    let scene = Scene::new();
    let vault = &scene.vault;
    vault.run(vault.connectors("alice").register_connector(scene.new_connector("prod"))).unwrap();
    let before = scene.stored("prod");
    let mut client = vault.connectors("alice");
    let ask = proto::UpdateConnectorRequest {
        connector: "prod".to_owned(),
        etag: before.etag.clone(),
        mint_policy: Some(proto::MintPolicy { access_max: proto::AccessLevel::Admin.into(), ..Default::default() }),
        secrets: secrets(),
        ..Default::default()
    };
    let again = ask.clone();
    let grant =
        proto::CreateBindingRequest { connector: "prod".to_owned(), ..cast::binding("alice", "data-scientist") };
    let answer = scene.while_it_waits(async move { client.update_connector(ask).await }, |vault| {
        cast::bind(vault, "owner", grant);
    });
    assert_eq!(reason(&refused_with(answer, Code::Unavailable)), "CHANGED_MEANWHILE");
    assert_eq!(scene.stored("prod"), before);
    let answer = vault.run(vault.connectors("alice").update_connector(again));
    assert_eq!(reason(&refused_with(answer, Code::PermissionDenied)), "SELF_GRANT");
}

/// A thief whose stolen token is revoked holds calls open that were let in before.
#[test]
fn b12_a_body_that_comes_after_the_token_is_gone_changes_nothing() {
    let vault = Setup::new().start();
    let path = "/valetkey.v1.AccessService/CreateToken";
    let answered = |meanwhile: &dyn Fn()| -> Status {
        let (parts, arrive) = tokio::sync::mpsc::unbounded_channel::<Result<Frame<Bytes>, Infallible>>();
        let body = StreamBody::new(tokio_stream::wrappers::UnboundedReceiverStream::new(arrive));
        let (connecting, request) = (vault.connect(&[b"h2"]), vault.head("bob", path).body(body).unwrap());
        let under_way = vault.spawn(async move {
            let stream = connecting.await.expect("the handshake succeeds");
            let made = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
            let (mut sender, connection) = made.expect("it speaks HTTP/2");
            let driver = tokio::spawn(connection);
            let (head, body) = sender.send_request(request).await.expect("it is answered").into_parts();
            let trailers = body.collect().await.expect("the answer ends").trailers().cloned().unwrap_or_default();
            driver.abort();
            Status::from_header_map(&head.headers).or_else(|| Status::from_header_map(&trailers)).expect("a status")
        });
        let message = frame(&proto::CreateTokenRequest { ttl_seconds: 60, ..Default::default() }.encode_to_vec());
        let (first, rest) = message.split_at(3);
        parts.send(Ok(Frame::data(Bytes::copy_from_slice(first)))).unwrap();
        // Another call of the same token: when it is answered, the first one was let in long ago.
        vault.cli("bob", &["whoami"]).ok();
        meanwhile();
        parts.send(Ok(Frame::data(Bytes::copy_from_slice(rest)))).unwrap();
        drop(parts);
        vault.run(under_way).expect("the call ends")
    };
    assert_eq!(answered(&|| {}).code(), Code::Ok);
    assert_eq!(answered(&|| revoke_tokens(&vault, "bob")).code(), Code::Unauthenticated);
    let ask = proto::ListTokensRequest { principal: "bob".to_owned(), ..Default::default() };
    let left = vault.run(vault.access("owner").list_tokens(ask)).unwrap().into_inner().tokens;
    assert!(left.is_empty(), "{left:?}");
}
