//! Clients that write without pause, and note in the diary what was acknowledged, the moment it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Status;
use valetkey::proto;
use valetkey::proto::access_service_client::AccessServiceClient;
use valetkey::proto::component_service_client::ComponentServiceClient;
use valetkey::proto::connector_service_client::ConnectorServiceClient;
use valetkey::proto::credential_service_client::CredentialServiceClient;

use super::asks;
use super::diary::Diary;
use crate::rig::vault::Vault;
use crate::rig::wire::Door;

/// The connector that the minters use; nobody changes it.
pub const MINTER: &str = "minter";

/// Clients at work on one vault; `end` them before the next ones.
pub struct Load {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// What a client needs.
#[derive(Clone)]
struct Desk {
    diary: Arc<Diary>,
    sts: String,
    stop: watch::Receiver<bool>,
}

impl Load {
    /// Sets the clients to work; each has a connection of its own.
    pub fn start(vault: &Vault, diary: &Arc<Diary>, sts: &str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let desk = Desk { diary: Arc::clone(diary), sts: sts.to_owned(), stop: stopped };
        let mut tasks = Vec::new();
        for _ in 0..REGISTRARS {
            tasks.push(vault.spawn(desk.clone().registrar(vault.connectors("alice"))));
        }
        tasks.push(vault.spawn(desk.clone().assembler(vault.components("bob"))));
        tasks.push(vault.spawn(desk.clone().porter(vault.access("owner"))));
        for number in 0..MINTERS {
            tasks.push(vault.spawn(desk.clone().minter(vault.credentials("bob"), number)));
        }
        Self { stop, tasks }
    }

    /// Tells them that it is over, and waits for them.
    pub fn end(self, vault: &Vault) {
        self.stop.send_replace(true);
        vault.run(async {
            for task in self.tasks {
                task.await.expect("no client panics");
            }
        });
    }
}

impl Desk {
    /// Registers, changes and rotates.
    async fn registrar(self, mut client: ConnectorServiceClient<Door>) {
        while self.goes_on() {
            let done = self.register_and_change(&mut client).await;
            self.pause_after(done).await;
        }
    }

    async fn register_and_change(&self, client: &mut ConnectorServiceClient<Door>) -> Result<(), Status> {
        let ask = asks::role_connector(&fresh("c"), &self.sts, KEY);
        let made = client.register_connector(ask).await?.into_inner().connector.unwrap_or_default();
        self.diary.open().connector(&made);
        let description = fresh("changed");
        let update = proto::UpdateConnectorRequest {
            connector: made.id.clone(),
            etag: made.etag,
            description,
            ..Default::default()
        };
        let changed = client.update_connector(update).await?.into_inner().connector.unwrap_or_default();
        self.diary.open().connector(&changed);
        let rotate = proto::RotateConnectorSecretRequest {
            connector: made.id,
            secrets: asks::key_fields(KEY),
            skip_verify: true,
            ..Default::default()
        };
        let rotated = client.rotate_connector_secret(rotate).await?.into_inner().connector.unwrap_or_default();
        self.diary.open().connector(&rotated);
        Ok(())
    }

    /// Registers components.
    async fn assembler(self, mut client: ComponentServiceClient<Door>) {
        while self.goes_on() {
            let bucket = proto::ConnectorRequirement { resource_type: "s3-bucket".to_owned(), ..Default::default() };
            let ask = proto::RegisterComponentRequest {
                name: fresh("k"),
                component_type: "artifact-store".to_owned(),
                flavor: "s3".to_owned(),
                requirement: Some(bucket),
                ..Default::default()
            };
            let made = client.register_component(ask).await;
            if let Ok(reply) = &made {
                let component = reply.get_ref().component.clone().unwrap_or_default();
                self.diary.open().components.insert(component.id);
            }
            self.pause_after(made).await;
        }
    }

    /// Lets principals in, gives each a token, and takes every second one away again.
    async fn porter(self, mut client: AccessServiceClient<Door>) {
        let mut round = 0_u32;
        while self.goes_on() {
            round += 1;
            let done = self.let_in(&mut client, round.is_multiple_of(2)).await;
            self.pause_after(done).await;
        }
    }

    async fn let_in(&self, client: &mut AccessServiceClient<Door>, and_out: bool) -> Result<(), Status> {
        let (name, kind) = (fresh("p"), proto::PrincipalKind::User.into());
        let principal = proto::CreatePrincipalRequest { name: name.clone(), kind, ..Default::default() };
        client.create_principal(principal).await?;
        let ask = proto::CreateTokenRequest { principal: name, ..Default::default() };
        let token = client.create_token(ask).await?.into_inner().token.unwrap_or_default();
        self.diary.open().tokens.insert(token.id.clone());
        if and_out {
            // Once it is sent nobody knows whether the token is there, until the answer.
            self.diary.open().tokens.remove(&token.id);
            let revoke = proto::RevokeTokenRequest { token: token.id.clone(), ..Default::default() };
            client.revoke_token(revoke).await?;
            self.diary.open().revoked.insert(token.id);
        }
        Ok(())
    }

    /// Mints, now from the cloud and now from the cache.
    async fn minter(self, mut client: CredentialServiceClient<Door>, number: u32) {
        let mut round = 0_u32;
        while self.goes_on() {
            round += 1;
            let bucket = format!("datasets-{}", (round / MINTS_PER_BUCKET) * MINTERS + number);
            let minted = client.mint_credential(asks::bucket(MINTER, &bucket)).await;
            if let Ok(reply) = &minted {
                let issuance = reply.get_ref().credential.as_ref().map(|found| found.issuance_id.clone());
                *self.diary.open().hand_outs.entry(issuance.unwrap_or_default()).or_default() += 1;
            }
            self.pause_after(minted).await;
        }
    }

    fn goes_on(&self) -> bool {
        !*self.stop.borrow()
    }

    /// After a failure the daemon is gone, or ends the connection: a moment, or the end, whichever comes first.
    async fn pause_after<T>(&self, done: Result<T, Status>) {
        if let Err(status) = done {
            let said = status.message();
            let transport = ["transport error", "connection", "error reading a body", "h2 protocol error"];
            let expected = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Cancelled)
                || transport.iter().any(|word| said.contains(word));
            assert!(expected, "a client was refused: {status:?}");
            let mut stop = self.stop.clone();
            let _ = tokio::time::timeout(PAUSE, stop.changed()).await;
        }
    }
}

/// A name that nobody has.
fn fresh(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

const KEY: [&[u8]; 2] = [b"AKIALOAD000000000001", b"load/secret+load/secret+load/secret+load"];
const REGISTRARS: u32 = 2;
const MINTERS: u32 = 2;
const MINTS_PER_BUCKET: u32 = 4;
const PAUSE: Duration = Duration::from_millis(10);
