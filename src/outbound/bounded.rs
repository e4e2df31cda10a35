//! The connector that every request passes, an SDK's or our own: it checks the
//! address, keeps the deadline, and reads the body up to the cap.
//!
//! Redirects are answers like any other: nothing here follows them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::call::BODY_BYTES_MAX;
use super::endpoint::{Endpoints, refused_url};
use super::error::OutboundError;
use super::resolve::CheckedResolver;
use super::{OutboundRules, tls};

/// Idle connections kept for each host: as many as a burst of mints needs.
const IDLE_PER_HOST_MAX: usize = 32;
/// Below the idle limit of AWS's load balancers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// How many times as long as any other a call that cannot be made twice is
/// waited for, and the longest wait that comes of it.
const PATIENCE_TIMES: u32 = 6;
const PATIENCE_MAX: Duration = Duration::from_secs(60);

/// How long a call that cannot be made twice is waited for.
pub(super) fn patience(rules: &OutboundRules) -> Duration {
    rules.call_timeout.saturating_mul(PATIENCE_TIMES).min(PATIENCE_MAX).max(rules.call_timeout)
}

/// The connectors under these rules, which share their connections.
pub(super) struct Connectors {
    /// For any call.
    pub(super) usual: SharedHttpConnector,
    /// For one that cannot be made twice.
    pub(super) patient: SharedHttpConnector,
}

/// The connectors under these rules.
pub(super) fn connectors(rules: &OutboundRules, endpoints: &Arc<Endpoints>) -> Result<Connectors, OutboundError> {
    // The deadlines are kept around it: those of the patient calls, too.
    let settings =
        HttpConnectorSettings::builder().connect_timeout(rules.connect_timeout).read_timeout(patience(rules)).build();
    let context = tls::context(rules.extra_roots_pem.as_deref())?;
    let inner = Connector::builder()
        .connector_settings(settings)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .tls_provider(tls::provider())
        .tls_context(context)
        .build_with_resolver(CheckedResolver::new(Arc::clone(endpoints)));
    let inner = SharedHttpConnector::new(inner);
    let bounded = |deadline| {
        let (inner, endpoints) = (inner.clone(), Arc::clone(endpoints));
        SharedHttpConnector::new(BoundedConnector { inner, endpoints, deadline })
    };
    Ok(Connectors { usual: bounded(rules.call_timeout), patient: bounded(patience(rules)) })
}

/// Gives every SDK the same connector, so that all share its connections.
pub(super) struct BoundedClient(pub(super) SharedHttpConnector);

impl HttpClient for BoundedClient {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.0.clone()
    }
}

impl fmt::Debug for BoundedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedClient")
    }
}

struct BoundedConnector {
    inner: SharedHttpConnector,
    endpoints: Arc<Endpoints>,
    deadline: Duration,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Err(refused) = self.endpoints.check_request(request.uri()) {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(refused.into())));
        }
        let (inner, deadline) = (self.inner.clone(), self.deadline);
        // The resolver knows the name alone.
        let url = request.uri().to_owned();
        HttpConnectorFuture::new(async move {
            let answer = tokio::time::timeout(deadline, exchange(&inner, request)).await;
            let answer = answer.unwrap_or_else(|_| Err(ConnectorError::timeout(OutboundError::TimedOut.into())));
            let refused = |error: &ConnectorError| matches!(cause(error), OutboundError::AddressRefused { .. });
            answer.map_err(|error| if refused(&error) { ConnectorError::user(refused_url(&url).into()) } else { error })
        })
    }
}

impl fmt::Debug for BoundedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedConnector")
    }
}

async fn exchange(inner: &SharedHttpConnector, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let mut response = inner.call(request).await?;
    let body = Limited::new(response.take_body(), BODY_BYTES_MAX).collect().await.map_err(broken)?;
    *response.body_mut() = SdkBody::from(body.to_bytes());
    Ok(response)
}

fn broken(error: Box<dyn std::error::Error + Send + Sync>) -> ConnectorError {
    if error.is::<LengthLimitError>() {
        ConnectorError::other(OutboundError::TooLong.into(), None)
    } else {
        ConnectorError::io(OutboundError::Unreachable.into())
    }
}

/// Whether a request reached nobody for certain: it was not allowed, or no
/// connection for it came about.
pub(super) fn unsent(error: &ConnectorError) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        let refused = matches!(cause.downcast_ref(), Some(OutboundError::AddressRefused { .. }));
        if refused || cause.downcast_ref().is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// What became of a request, whatever the layers in between wrapped it in.
pub(super) fn cause(error: &ConnectorError) -> OutboundError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(ours) = cause.downcast_ref::<OutboundError>() {
            return ours.clone();
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && OutboundError::of_connect(io) == OutboundError::Untrusted
        {
            return OutboundError::Untrusted;
        }
        source = cause.source();
    }
    if error.is_timeout() { OutboundError::TimedOut } else { OutboundError::Unreachable }
}
