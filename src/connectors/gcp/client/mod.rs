//! Google's own client, google-cloud-auth, where it can do no harm: it says
//! what to ask for a login, a federation and a machine, and never holds a
//! secret, reaches a cloud or reads a cloud's answer.
//!
//! Its HTTP client is its own: it obeys proxies and redirects, knows no address
//! rules, and puts answers into errors; a task of its refreshes for most of an
//! hour. So it asks with stand-ins at a relay on loopback and gets another for
//! an answer, on a thread and a runtime that end before anybody else is asked.
//! `upstream_client` then sends on what it asked for.

use std::thread::Builder;
use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};

use crate::connectors::{Upstream, UpstreamError};
use crate::outbound::Detours;

mod asking;
mod relay;
mod stand_in;
#[cfg(test)]
mod tests;

pub use relay::Asked;
pub use stand_in::StandIn;

use relay::Relay;

/// Asks at a time. Each takes some milliseconds, most of them to read the
/// system's roots, which the client does anew each time; no cloud's slowness
/// makes it longer.
const PLACES_MAX: usize = 8;
/// How long one waits for a place: callers have deadlines of ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// For one ask, on a machine with much to do.
const DEADLINE: Duration = Duration::from_secs(10);
/// Where the client asks a metadata server, below what it is told.
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// Any: the client is gone long before, and the cloud says the real end.
const EXPIRES_IN: u64 = 3600;
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

// Of the process and not of a connector: what it bounds is the machine's.
static PLACES: Semaphore = Semaphore::const_new(PLACES_MAX);

/// What the client is to ask for. It holds no secret.
#[derive(Debug)]
pub enum Wish {
    /// A token for a person's refresh token.
    Login {
        /// The OAuth client that the person logged in through.
        client_id: String,
        /// For its secret.
        client_secret: StandIn,
        /// For the refresh token.
        refresh_token: StandIn,
        /// The OAuth scopes; all that were granted when there are none.
        scopes: Vec<String>,
    },
    /// A token for one that a provider is to believe.
    Federation {
        /// The provider.
        audience: String,
        /// For the token.
        subject: StandIn,
        /// Of which kind that is.
        subject_type: String,
        /// The OAuth scopes.
        scopes: Vec<String>,
    },
    /// The machine's own token.
    Machine,
}

/// What Google's client asks for this wish. When this returns, nothing of the
/// client is left.
///
/// # Errors
/// `NotEnabled` where the environment would lead it elsewhere; `Unavailable`
/// when it does not ask, or too many do at once.
pub async fn ask(upstream: &Upstream, wish: Wish) -> Result<Asked, UpstreamError> {
    undisturbed(upstream.outbound.rules().detours, &wish)?;
    let draw = |of| StandIn::draw(&*upstream.entropy, of);
    let (path, token) = (draw("ask")?, draw("access-token")?);
    let place = tokio::time::timeout(PATIENCE, PLACES.acquire()).await.ok().and_then(Result::ok).ok_or(BUSY)?;
    let (tell, told) = oneshot::channel();
    let work = move || {
        let asked = aside(wish, &path, &token);
        drop(place);
        // Whoever went away is not told.
        let _ = tell.send(asked);
    };
    Builder::new().name(THREAD.to_owned()).spawn(work).map_err(|_| BUSY)?;
    told.await.ok().flatten().ok_or(FAILED)
}

impl Wish {
    const fn method(&self) -> Method {
        match self {
            Self::Login { .. } | Self::Federation { .. } => Method::POST,
            Self::Machine => Method::GET,
        }
    }

    /// What the client adds to the URL that it is told.
    const fn below(&self) -> &'static str {
        match self {
            Self::Login { .. } | Self::Federation { .. } => "",
            Self::Machine => METADATA_PATH,
        }
    }
}

/// Nothing secret could get lost on a detour, and no token come back that way;
/// nor would any ask come through.
fn undisturbed(detours: Detours, wish: &Wish) -> Result<(), UpstreamError> {
    match (detours, wish) {
        (Detours { proxied: true, .. }, _) => Err(UpstreamError::NotEnabled { remedy: PROXIED }),
        (Detours { metadata_host: true, .. }, Wish::Machine) => {
            Err(UpstreamError::NotEnabled { remedy: METADATA_HOST })
        }
        (Detours { .. }, Wish::Login { .. } | Wish::Federation { .. } | Wish::Machine) => Ok(()),
    }
}

/// One ask, on a runtime that ends with it: so do the client, its refreshing,
/// and the relay with its connections, whatever became of the ask.
fn aside(wish: Wish, path: &StandIn, token: &StandIn) -> Option<Asked> {
    // The client makes ready for TLS, which it does not get to speak, with the
    // process's provider. The daemon has set the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let door = format!("/{}", path.word());
        let relay = Relay::open(wish.method(), format!("{door}{}", wish.below()), answer(token)).await.ok()?;
        let url = format!("{}{door}", relay.url());
        tokio::time::timeout(DEADLINE, asked_at(wish, url, relay, token)).await.ok().flatten()
    })
}

/// What came in at the relay, when the client has its answer from there: it
/// may have been led elsewhere.
async fn asked_at(wish: Wish, url: String, mut relay: Relay, token: &StandIn) -> Option<Asked> {
    let taken = tokio::select! {
        () = relay.serve() => None,
        taken = asking::token(wish, url) => taken,
    };
    if taken.as_deref() == Some(token.word()) { relay.asked() } else { None }
}

/// What each of the client's identities takes for the answer of its cloud.
fn answer(token: &StandIn) -> String {
    json!({
        "access_token": token.word(),
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": EXPIRES_IN,
    })
    .to_string()
}

const THREAD: &str = "google-auth";
const BUSY: UpstreamError = UpstreamError::Unavailable { what: "too many asks at once" };
/// It panics where the system has no CA certificates.
const FAILED: UpstreamError =
    UpstreamError::Unavailable { what: "google-cloud-auth did not ask: are the system's CA certificates there?" };
const PROXIED: &str = "HTTP_PROXY or ALL_PROXY is set for the server and would lead Google's client away from the \
                       server itself: add 127.0.0.1 to its NO_PROXY, and start it again";
const METADATA_HOST: &str = "GCE_METADATA_HOST is set for the server and would lead Google's client away from the \
                             server itself: unset it, set metadata_url of the connector, and start the server again";
