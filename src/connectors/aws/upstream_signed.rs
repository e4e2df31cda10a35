//! Calls signed by hand: S3, ECR and EKS have one or two that we need, and a
//! whole SDK each would be three more clients to trust.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningInstructions,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::connectors::{Upstream, UpstreamError};
use crate::domain::Timestamp;
use crate::outbound::{Call, Response};

use super::errors::{self, Doing, Refusal};
use super::place::{Place, Service};

/// One try and one more, when the service throttles or fails.
const ATTEMPTS_MAX: u32 = 2;
/// Before the second try.
const BACKOFF: Duration = Duration::from_millis(100);

/// What a query may have as it is (RFC 3986); the rest is escaped, once, the
/// way that signatures are made over it.
pub const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A call before it is signed.
#[derive(Clone)]
pub struct Plain {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The whole URL.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// May be empty.
    pub body: String,
}

/// Signs and sends a call; one more try when it may help, within one deadline.
pub async fn send(
    upstream: &Upstream,
    place: &Place<'_>,
    service: Service,
    credentials: &Credentials,
    plain: &Plain,
    doing: Doing,
) -> Result<Response, UpstreamError> {
    let deadline = upstream.outbound.rules().call_timeout;
    let tries = attempts(upstream, place, service, credentials, plain, doing);
    tokio::time::timeout(deadline, tries).await.unwrap_or(Err(UpstreamError::DeadlineExceeded))
}

/// The same with one try only, for what must not be done twice.
pub async fn send_once(
    upstream: &Upstream,
    place: &Place<'_>,
    service: Service,
    credentials: &Credentials,
    plain: &Plain,
    doing: Doing,
) -> Result<Response, UpstreamError> {
    let call = signed(place, service, credentials, plain, upstream.clock.now())?;
    match upstream.outbound.call(call).await {
        Ok(answer) if answer.status == 200 => Ok(answer),
        Ok(answer) => Err(refused(service, &answer, doing)),
        Err(error) => Err(errors::unanswered(error)),
    }
}

async fn attempts(
    upstream: &Upstream,
    place: &Place<'_>,
    service: Service,
    credentials: &Credentials,
    plain: &Plain,
    doing: Doing,
) -> Result<Response, UpstreamError> {
    let mut attempt = 1;
    loop {
        let call = signed(place, service, credentials, plain, upstream.clock.now())?;
        let outcome = match upstream.outbound.call(call).await {
            Ok(answer) if answer.status == 200 => return Ok(answer),
            Ok(answer) => refused(service, &answer, doing),
            Err(error) => errors::unanswered(error),
        };
        if attempt >= ATTEMPTS_MAX || !outcome.recoverable() || outcome == UpstreamError::DeadlineExceeded {
            return Err(outcome);
        }
        attempt += 1;
        tokio::time::sleep(BACKOFF).await;
    }
}

fn refused(service: Service, answer: &Response, doing: Doing) -> UpstreamError {
    let (code, message) = match service {
        Service::S3 | Service::Sts | Service::Iam => errors::xml_error(answer.body()),
        Service::Eks | Service::Ecr => errors::json_error(answer.body()),
    };
    let (status, retry_after) = (answer.status, answer.retry_after);
    Refusal { status, code: code.as_deref(), message: &message, retry_after }.explain(doing)
}

fn signed(
    place: &Place<'_>,
    service: Service,
    credentials: &Credentials,
    plain: &Plain,
    now: Timestamp,
) -> Result<Call, UpstreamError> {
    let mut settings = SigningSettings::default();
    // Every service takes it; without it, some hash the body of a GET wrongly.
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    if service == Service::S3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let instructions = instructions(place, service, credentials, plain, settings, now)?;
    let (headers, _) = instructions.into_parts();
    let mut all: Vec<(String, String)> =
        plain.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    all.extend(headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())));
    Ok(Call { method: plain.method, url: plain.url.clone(), headers: all, body: plain.body.clone().into_bytes() })
}

/// A URL that is a signed GET in itself; no call is made.
pub fn presigned(
    place: &Place<'_>,
    service: Service,
    credentials: &Credentials,
    plain: &Plain,
    life: Duration,
    now: Timestamp,
) -> Result<String, UpstreamError> {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(life);
    let instructions = instructions(place, service, credentials, plain, settings, now)?;
    let mut request = http::Request::builder().uri(&plain.url).body(()).map_err(|_| UNSIGNABLE)?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

fn instructions(
    place: &Place<'_>,
    service: Service,
    credentials: &Credentials,
    plain: &Plain,
    settings: SigningSettings,
    now: Timestamp,
) -> Result<SigningInstructions, UpstreamError> {
    let identity = credentials.clone().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(place.signing_region(service))
        .name(service.signing_name())
        .time(system_time(now))
        .settings(settings)
        .build()
        .map_err(|_| UNSIGNABLE)?
        .into();
    let headers = plain.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let body = SignableBody::Bytes(plain.body.as_bytes());
    let request = SignableRequest::new(plain.method, &plain.url, headers, body).map_err(|_| UNSIGNABLE)?;
    Ok(sign(request, &params).map_err(|_| UNSIGNABLE)?.into_parts().0)
}

fn system_time(now: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(now.millis()).unwrap_or(0))
}

const UNSIGNABLE: UpstreamError = UpstreamError::BadAnswer { what: "unsendable request" };
