//! A call that a connector type has signed by hand.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use zeroize::Zeroizing;

use super::Outbound;
use super::bounded::{cause, unsent};
use super::error::OutboundError;

/// The longest answer that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest wait that a cloud may ask for and be believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
const CONTENT_LENGTH: &str = "content-length";

/// A request, signed and ready. No Debug: its headers authorize.
pub struct Call {
    /// For example `GET`.
    pub method: &'static str,
    /// The whole URL.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// May be empty.
    pub body: Vec<u8>,
}

/// An answer. No Debug: its body may be a credential; it is wiped on drop.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// How long the cloud asks to wait.
    pub retry_after: Option<Duration>,
    headers: Vec<(String, String)>,
    body: Zeroizing<Vec<u8>>,
}

impl Response {
    /// An answer with this body.
    pub(crate) fn new(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let (retry_after, body) = (retry_after.and_then(seconds), Zeroizing::new(body.to_vec()));
        Self { status, retry_after, headers: Vec::new(), body }
    }

    /// The body, at most [`BODY_BYTES_MAX`] bytes. Hostile input.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The first header with this name, in lower case. Hostile input.
    #[must_use]
    pub fn header(&self, name: &'static str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// Every header with this name, in lower case, in order. Hostile input.
    pub fn headers_named(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Why a call that cannot be made twice gave no answer.
pub struct Unheard {
    /// Why.
    pub error: OutboundError,
    /// It may have reached the server, which may have done it.
    pub sent: bool,
}

impl Outbound {
    /// Makes one call that cannot be made twice, for example one that uses a
    /// refresh token up. It is waited for longer than any other: an answer
    /// that nobody hears is lost.
    ///
    /// # Errors
    /// As [`Outbound::call`], with whether it may have been done all the same.
    pub async fn call_once(&self, call: Call) -> Result<Response, Unheard> {
        let request = request(call).ok_or(Unheard { error: OutboundError::Malformed, sent: false })?;
        let answer = self.patient.call(request).await;
        let answer = answer.map_err(|error| Unheard { error: cause(&error), sent: !unsent(&error) })?;
        Ok(response(&answer))
    }

    /// Makes one call, with no retry and following no redirect.
    ///
    /// # Errors
    /// Any [`OutboundError`] but `Rules`; an HTTP error status is an answer.
    pub async fn call(&self, call: Call) -> Result<Response, OutboundError> {
        let request = request(call).ok_or(OutboundError::Malformed)?;
        let answer = self.connector.call(request).await.map_err(|error| cause(&error))?;
        Ok(response(&answer))
    }

    /// Why an SDK's request got no answer.
    #[must_use]
    pub fn cause(&self, error: &ConnectorError) -> OutboundError {
        cause(error)
    }
}

fn response(answer: &HttpResponse) -> Response {
    let body = answer.body().bytes().unwrap_or_default();
    let header = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.to_owned());
    let headers = answer.headers().iter().map(header).collect();
    let plain = Response::new(answer.status().as_u16(), answer.headers().get("retry-after"), body);
    Response { headers, ..plain }
}

fn request(call: Call) -> Option<HttpRequest> {
    let unsaid = says_no_length(&call);
    let mut builder = http::Request::builder().method(call.method).uri(call.url);
    if unsaid {
        builder = builder.header(CONTENT_LENGTH, "0");
    }
    for (name, value) in call.headers {
        let mut value = http::HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        builder = builder.header(name, value);
    }
    builder.body(SdkBody::from(call.body)).ok()?.try_into().ok()
}

/// Whether nobody else says how long the body is. RFC 9110 section 8.6: where a
/// body is foreseen its absence is said too. hyper says nothing of it, and
/// Azure's resource manager then answers 411.
pub(super) fn says_no_length(call: &Call) -> bool {
    let foreseen = matches!(call.method, "POST" | "PUT" | "PATCH");
    foreseen && call.body.is_empty() && !call.headers.iter().any(|(name, _)| name == CONTENT_LENGTH)
}

/// What a server wishes in `Retry-After`, within bounds.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    let asked = Duration::from_secs(text.trim().parse().ok()?);
    Some(asked.min(RETRY_AFTER_MAX))
}
