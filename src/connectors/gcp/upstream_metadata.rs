//! The metadata server of the daemon's own machine. Twice gated: the config
//! names the identity, and the server as an endpoint.
//!
//! Which account it is asked about is decided here: the token is what Google's
//! client asks for (`upstream_client`), who that is our own question.

use crate::connectors::answer::unanswered;
use crate::connectors::{Doing, Upstream, UpstreamError, token_endpoint};
use crate::outbound::{Call, Response};

use super::place::email as email_fits;
use super::settings::Implicit;
use super::upstream_source::Access;
use super::upstream_tokens;

const ASKING: Doing =
    Doing { permissions: &[], remedy: "attach a service account with the scope cloud-platform to this machine" };
/// Both ways: without it an answer is somebody else's.
pub const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

/// Whether the config names the identity.
pub fn allowed(upstream: &Upstream, own: &Implicit) -> Result<(), UpstreamError> {
    let name = format!("gcp:{}", own.account());
    let remedy = "name it in [outbound] implicit_identities as gcp:default or gcp:E-MAIL, and the metadata server \
                  in allowed_endpoints";
    let allowed = upstream.outbound.rules().implicit_identities.contains(&name);
    if allowed { Ok(()) } else { Err(UpstreamError::NotEnabled { remedy }) }
}

/// The machine's token.
pub async fn token(upstream: &Upstream, own: &Implicit) -> Result<Access, UpstreamError> {
    let asked_at = upstream.clock.now();
    let answer = get(upstream, own, "token").await?;
    upstream_tokens::an_hour_at_most(token_endpoint::answered(&answer, asked_at)?, asked_at)
}

/// Who the machine is.
pub async fn email(upstream: &Upstream, own: &Implicit) -> Result<String, UpstreamError> {
    let answer = get(upstream, own, "email").await?;
    let text = std::str::from_utf8(answer.body()).unwrap_or_default().trim();
    if email_fits(text) { Ok(text.to_owned()) } else { Err(UpstreamError::BadAnswer { what: "not an e-mail" }) }
}

async fn get(upstream: &Upstream, own: &Implicit, what: &str) -> Result<Response, UpstreamError> {
    allowed(upstream, own)?;
    let base = own.metadata_url().trim_end_matches('/');
    let url = format!("{base}/computeMetadata/v1/instance/service-accounts/{}/{what}", own.account());
    let headers = vec![(FLAVOR.0.to_owned(), FLAVOR.1.to_owned())];
    let answer = upstream.outbound.call(Call { method: "GET", url, headers, body: Vec::new() }).await;
    let answer = answer.map_err(unanswered)?;
    if answer.header(FLAVOR.0) != Some(FLAVOR.1) {
        return Err(UpstreamError::BadAnswer { what: "not from a metadata server" });
    }
    if answer.status == 200 { Ok(answer) } else { Err(ASKING.refused(answer.status, None, answer.retry_after)) }
}
