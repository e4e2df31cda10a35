//! What the agent lends: signing sessions and certificates of a daemon, minted
//! again in time. Every signature of a session is the daemon's, which judges
//! it; a refusal is told on standard error. A session that somebody revoked is
//! not minted again before its time.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{Mutex, OnceCell};
use tonic::Request;

use crate::agent::ssh::{Identity, Lender, SignWish};
use crate::cli::failure::Failure;
use crate::cli::moment::Moment;
use crate::cli::session::{Door, Session};
use crate::proto;
use crate::proto::credential_service_client::CredentialServiceClient;
use crate::proto::minted_credential::Shape;

use super::own_key::OwnKey;

/// The parameter of a CA connector.
const PUBLIC_KEY: &str = "public_key";
/// How a server says that it is missing.
const PUBLIC_KEY_FIELD: &str = "parameters.public_key";

/// The daemon as a lender.
pub(super) struct Remote {
    client: CredentialServiceClient<Door>,
    timeout: Duration,
    own: OnceCell<OwnKey>,
    held: Mutex<Vec<Held>>,
}

/// What was minted for one host.
struct Held {
    ask: proto::MintAsk,
    issuance: String,
    refresh_at: i64,
    offer: Identity,
    /// The pinned keys of the host; none for a certificate.
    host_keys: Option<Vec<Vec<u8>>>,
}

impl Remote {
    /// Mints for each host, so that a refusal is known before anything runs.
    ///
    /// # Errors
    /// What the daemon answered.
    pub(super) async fn open(session: &Session, asks: Vec<proto::MintAsk>) -> Result<Self, Failure> {
        let (client, timeout) = (session.credentials(), session.timeout());
        let remote = Self { client, timeout, own: OnceCell::new(), held: Mutex::new(Vec::new()) };
        for ask in asks {
            let held = remote.mint(ask).await?;
            remote.held.lock().await.push(held);
        }
        Ok(remote)
    }

    /// Mints; with a key of the agent's own where the connector wants one.
    async fn mint(&self, ask: proto::MintAsk) -> Result<Held, Failure> {
        match self.mint_once(ask.clone()).await {
            Err(failure) if failure.fields.iter().any(|problem| problem.field.ends_with(PUBLIC_KEY_FIELD)) => {
                let own = self.own.get_or_try_init(async || OwnKey::new()).await?;
                let line = own.line().ok_or_else(|| Failure::failed("the agent's own key cannot be written"))?;
                let mut ask = ask;
                ask.parameters.insert(PUBLIC_KEY.to_owned(), line);
                self.mint_once(ask).await
            }
            minted => minted,
        }
    }

    async fn mint_once(&self, ask: proto::MintAsk) -> Result<Held, Failure> {
        let mut request = Request::new(proto::MintCredentialRequest { ask: Some(ask.clone()) });
        request.set_timeout(self.timeout);
        let answer = self.client.clone().mint_credential(request).await?.into_inner();
        let minted = answer.credential.unwrap_or_default();
        let refresh_at = minted.refresh_at.map_or(0, |at| at.seconds);
        let host = minted.resource_id;
        let unknown = || Failure::failed("the server sent no credential for SSH");
        let (key, comment, host_keys) = match minted.shape {
            Some(Shape::SigningSession(session)) => {
                let keys = session.host_keys.iter().map(|line| blob_of(line)).collect::<Option<Vec<_>>>();
                let comment = format!("{}@{host} (valetkey)", session.username);
                (blob_of(&session.public_key), comment, Some(keys.ok_or_else(unknown)?))
            }
            Some(Shape::SshCertificate(certificate)) => {
                (blob_of(&certificate.certificate), format!("{host} (valetkey)"), None)
            }
            Some(
                Shape::AwsSession(_)
                | Shape::BearerToken(_)
                | Shape::BasicLogin(_)
                | Shape::ClientCertificate(_)
                | Shape::SignedUrl(_),
            )
            | None => return Err(unknown()),
        };
        let offer = Identity { key: key.ok_or_else(unknown)?, comment };
        Ok(Held { ask, issuance: minted.issuance_id, refresh_at, offer, host_keys })
    }

    /// Mints again what is due; what cannot be minted stays as it is.
    async fn renew(&self, held: &mut [Held]) {
        let now = Moment::now().to_proto().seconds;
        for one in held.iter_mut().filter(|one| one.refresh_at <= now) {
            match self.mint(one.ask.clone()).await {
                Ok(minted) => *one = minted,
                Err(failure) => tell(&failure),
            }
        }
    }

    async fn lend(&self, wish: SignWish) -> Result<Option<Vec<u8>>, Failure> {
        let mut held = self.held.lock().await;
        self.renew(&mut held).await;
        let Some(one) = chosen(&held, &wish) else { return Ok(None) };
        if one.host_keys.is_none() {
            return Ok(self.own.get().and_then(|own| own.sign(&wish.data)));
        }
        let (project, issuance_id) = (one.ask.project.clone(), one.issuance.clone());
        drop(held);
        let SignWish { data, flags, binding, .. } = wish;
        let host_binding = binding.map(|proof| proto::HostBinding {
            host_key: proof.host_key,
            session_id: proof.session_id,
            signature: proof.signature,
        });
        let mut request = Request::new(proto::SignChallengeRequest { project, issuance_id, data, flags, host_binding });
        request.set_timeout(self.timeout);
        Ok(Some(self.client.clone().sign_challenge(request).await?.into_inner().signature))
    }
}

#[async_trait]
impl Lender for Remote {
    /// One key is offered once, for however many hosts it is good.
    async fn identities(&self) -> Vec<Identity> {
        let mut held = self.held.lock().await;
        self.renew(&mut held).await;
        let mut offers: Vec<Identity> = Vec::new();
        for one in held.iter() {
            if offers.iter().all(|offer| offer.key != one.offer.key) {
                offers.push(one.offer.clone());
            }
        }
        offers
    }

    async fn sign(&self, wish: SignWish) -> Option<Vec<u8>> {
        self.lend(wish).await.unwrap_or_else(|failure| {
            tell(&failure);
            None
        })
    }
}

/// The session of the host that the wish is for; the daemon refuses, with a
/// reason and a line in its ledger, when there is none.
fn chosen<'a>(held: &'a [Held], wish: &SignWish) -> Option<&'a Held> {
    let mut fitting = held.iter().filter(|one| one.offer.key == wish.key);
    let of_host = |one: &&Held| match (&one.host_keys, &wish.binding) {
        (Some(keys), Some(binding)) => keys.contains(&binding.host_key),
        (Some(_), None) => false,
        (None, _) => true,
    };
    let first = fitting.clone().next();
    fitting.find(of_host).or(first)
}

/// The bytes of a line in OpenSSH's form.
fn blob_of(line: &str) -> Option<Vec<u8>> {
    STANDARD.decode(line.split_whitespace().nth(1)?).ok()
}

/// `ssh` says no more than that the agent refused.
fn tell(failure: &Failure) {
    eprint!("{}", failure.text(false));
}
