//! The first gate: what is not exactly a gRPC call of a method we have goes
//! no further, before anybody is authenticated.
//!
//! Owns the table of paths. tonic alone would run handlers for GET and JSON,
//! and take the first of two `authorization` headers. Everything behind this
//! gate is keyed on the method found here, never on what the client sent.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::authz::{MethodRule, rule_of};

/// What a caller of health says fits in this many bytes.
const HEALTH_REQUEST_BYTES: usize = 4096;
/// Of each message of a reflection stream.
const REFLECTION_REQUEST_BYTES: usize = 4096;
/// The number of `AUDIT_CLASS_READ`.
const READ: i32 = 1;
/// Calls whose request holds a source credential: their connection ends after
/// them, so that its buffers are freed and wiped (SECURITY.md 2.1).
const WITH_SECRET: [&str; 3] = [
    "/valetkey.v1.ConnectorService/RegisterConnector",
    "/valetkey.v1.ConnectorService/UpdateConnector",
    "/valetkey.v1.ConnectorService/RotateConnectorSecret",
];
/// The one call that many make at once.
const MINT: &str = "/valetkey.v1.CredentialService/MintCredential";
/// Methods that go on when the ledger cannot be written: who must find out
/// what is wrong needs them then, and who must find what to take away. They
/// are counted, and the counts are written when there is room.
const WITHOUT_LEDGER: [&str; 8] = [
    "/valetkey.v1.AuditService/",
    "/valetkey.v1.OperatorService/GetStatus",
    "/valetkey.v1.AccessService/ListBindings",
    "/valetkey.v1.AccessService/ListPrincipals",
    "/valetkey.v1.AccessService/ListTokens",
    "/valetkey.v1.ConnectorService/ListConnectors",
    "/valetkey.v1.CredentialService/ListIssuances",
    "/valetkey.v1.RunService/ListRuns",
];

/// A method that may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownMethod {
    /// Its path, from our table.
    pub path: &'static str,
    /// Who may call it.
    pub door: Entrance,
    /// The largest request message.
    pub request_bytes_max: usize,
    /// The server streams.
    pub streaming: bool,
    /// The client may send more than one message.
    pub client_streaming: bool,
    /// It changes nothing and uses no key.
    pub read: bool,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// Everybody, unrecorded: health.
    Open,
    /// Whoever is authenticated.
    Authenticated,
}

impl KnownMethod {
    /// Whether the connection ends after a call.
    #[must_use]
    pub fn carries_secret(&self) -> bool {
        WITH_SECRET.contains(&self.path)
    }

    /// Whether a call that has begun must go on when its caller goes away. A
    /// mint sees to that itself: what touches a key or a cloud is a flight of
    /// its own, and a line that was handed to the ledger is written.
    #[must_use]
    pub fn outlives_caller(&self) -> bool {
        !self.read && self.path != MINT
    }

    /// Whether a reply may leave though its line could not be written.
    #[must_use]
    pub fn goes_on_without_ledger(&self) -> bool {
        self.door == Entrance::Open || WITHOUT_LEDGER.iter().any(|prefix| self.path.starts_with(prefix))
    }

    fn of(rule: &'static MethodRule) -> Self {
        Self {
            path: rule.path,
            door: Entrance::Authenticated,
            request_bytes_max: usize::try_from(rule.max_request_bytes).unwrap_or(usize::MAX),
            streaming: rule.streaming,
            client_streaming: false,
            read: rule.audit == READ,
        }
    }

    const fn health(path: &'static str, streaming: bool) -> Self {
        let request_bytes_max = HEALTH_REQUEST_BYTES;
        Self { path, door: Entrance::Open, request_bytes_max, streaming, client_streaming: false, read: true }
    }

    const fn reflection(path: &'static str) -> Self {
        Self {
            path,
            door: Entrance::Authenticated,
            request_bytes_max: REFLECTION_REQUEST_BYTES,
            streaming: true,
            client_streaming: true,
            read: true,
        }
    }
}

/// Methods that are not in our proto files.
static FOREIGN: [KnownMethod; 3] = [
    KnownMethod::health("/grpc.health.v1.Health/Check", false),
    KnownMethod::health("/grpc.health.v1.Health/Watch", true),
    KnownMethod::reflection("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
];

/// Why a request has not the shape of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misshape {
    /// Not HTTP/2.
    Version,
    /// Not POST.
    Method,
    /// Not `application/grpc` or `application/grpc+proto`.
    ContentType,
    /// Not the path of a method.
    Path,
    /// `te` says something other than `trailers`.
    Te,
    /// Compressed, though nobody agreed on that.
    Encoding,
    /// More than one `authorization`.
    Authorization,
    /// Binary metadata that is not base64.
    Metadata,
}

impl Misshape {
    /// The HTTP status, where gRPC names one for it.
    #[must_use]
    pub const fn http_status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Path | Self::Te | Self::Encoding | Self::Authorization | Self::Metadata => StatusCode::OK,
        }
    }

    /// The reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Version => "HTTP_VERSION",
            Self::Method => "HTTP_METHOD",
            Self::ContentType => "CONTENT_TYPE",
            Self::Path => "UNKNOWN_METHOD",
            Self::Te => "TE",
            Self::Encoding => "ENCODING",
            Self::Authorization => "AUTHORIZATION_REPEATED",
            Self::Metadata => "METADATA",
        }
    }
}

/// The method of a path; exact, or nothing.
#[must_use]
pub fn method_at(path: &str) -> Option<KnownMethod> {
    rule_of(path).map(KnownMethod::of).or_else(|| FOREIGN.iter().copied().find(|method| method.path == path))
}

/// Checks the head of a request.
///
/// # Errors
/// Says what is wrong, with the method when it is known.
pub fn check(head: &Parts) -> Result<KnownMethod, (Misshape, Option<KnownMethod>)> {
    // A query is refused with the path: no method has one.
    let path = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let method = method_at(path);
    let wrong = |misshape| Err((misshape, method));
    if head.version != Version::HTTP_2 {
        return wrong(Misshape::Version);
    }
    if head.method != Method::POST {
        return wrong(Misshape::Method);
    }
    if !one_of(&head.headers, CONTENT_TYPE, &["application/grpc", "application/grpc+proto"], false) {
        return wrong(Misshape::ContentType);
    }
    let Some(found) = method else { return wrong(Misshape::Path) };
    if !one_of(&head.headers, TE, &["trailers"], true) {
        return wrong(Misshape::Te);
    }
    if !one_of(&head.headers, "grpc-encoding", &["identity"], true) {
        return wrong(Misshape::Encoding);
    }
    if head.headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return wrong(Misshape::Authorization);
    }
    if !head.headers.iter().all(|(name, value)| !name.as_str().ends_with("-bin") || is_base64(value)) {
        return wrong(Misshape::Metadata);
    }
    Ok(found)
}

/// The header is there once, with one of these values.
fn one_of(headers: &HeaderMap, name: impl http::header::AsHeaderName, allowed: &[&str], absent: bool) -> bool {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => absent,
        (Some(value), None) => allowed.iter().any(|allowed| value.as_bytes() == allowed.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// gRPC allows padding and its absence, and several values joined by commas.
fn is_base64(value: &HeaderValue) -> bool {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    value.as_bytes().split(|byte| *byte == b',').all(|part| engine.decode(part.trim_ascii()).is_ok())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::authz::METHOD_RULES;

    const PATH: &str = "/valetkey.v1.AccessService/WhoAmI";

    fn checked(
        change: impl FnOnce(http::request::Builder) -> http::request::Builder,
    ) -> Result<&'static str, Misshape> {
        let builder = Request::builder().version(Version::HTTP_2).method(Method::POST).uri(PATH);
        let parts = change(builder).body(()).unwrap().into_parts().0;
        check(&parts).map(|method| method.path).map_err(|(misshape, _)| misshape)
    }

    fn grpc(builder: http::request::Builder) -> http::request::Builder {
        builder.header("content-type", "application/grpc").header("te", "trailers")
    }

    #[test]
    fn b22_only_a_grpc_call_of_a_known_method_passes() {
        assert_eq!(checked(grpc), Ok(PATH));
        assert_eq!(checked(|b| b.header("content-type", "application/grpc+proto")), Ok(PATH));
        assert_eq!(checked(|b| grpc(b).method(Method::GET)), Err(Misshape::Method));
        assert_eq!(checked(|b| grpc(b).method(Method::PUT)), Err(Misshape::Method));
        assert_eq!(checked(|b| grpc(b).version(Version::HTTP_11)), Err(Misshape::Version));
        for other in ["application/json", "application/grpc-web", "application/grpc+json", "Application/gRPC", ""] {
            assert_eq!(checked(|b| b.header("content-type", other)), Err(Misshape::ContentType), "{other}");
        }
        assert_eq!(checked(|b| b), Err(Misshape::ContentType));
        assert_eq!(checked(|b| grpc(b).header("content-type", "application/grpc")), Err(Misshape::ContentType));
        assert_eq!(checked(|b| grpc(b).header("te", "trailers")), Err(Misshape::Te));
        assert_eq!(checked(|b| grpc(b).header("grpc-encoding", "gzip")), Err(Misshape::Encoding));
        assert_eq!(checked(|b| grpc(b).header("grpc-encoding", "identity")), Ok(PATH));
    }

    #[test]
    fn a_change_outlives_its_caller_and_what_only_hands_over_does_not() {
        let outlives = |path: &str| method_at(path).unwrap().outlives_caller();
        assert!(outlives("/valetkey.v1.ConnectorService/UpdateConnector"));
        assert!(outlives("/valetkey.v1.CredentialService/RevokeIssuances"));
        for path in [MINT, PATH, "/valetkey.v1.AuditService/ListAuditLines", "/grpc.health.v1.Health/Check"] {
            assert!(!outlives(path), "{path}");
        }
    }

    #[test]
    fn b22_a_path_that_is_not_exactly_a_methods_is_refused() {
        for path in [
            "/valetkey.v1.AccessService/WhoAmI?x=1",
            "/valetkey.v1.AccessService/WhoAmI/",
            "//valetkey.v1.AccessService/WhoAmI",
            "/valetkey.v1.AccessService/whoami",
            "/valetkey.v1.AccessService/%57hoAmI",
            "/x/../valetkey.v1.AccessService/WhoAmI",
            "/valetkey.v1.AccessService/Steal",
            "/",
        ] {
            assert_eq!(checked(|b| grpc(b).uri(path)), Err(Misshape::Path), "{path}");
        }
    }

    #[test]
    fn two_authorization_headers_are_refused_and_one_passes() {
        assert_eq!(checked(|b| grpc(b).header("authorization", "Bearer a")), Ok(PATH));
        let twice = checked(|b| grpc(b).header("authorization", "Bearer a").header("authorization", "Bearer b"));
        assert_eq!(twice, Err(Misshape::Authorization));
    }

    #[test]
    fn e5_binary_metadata_must_be_base64() {
        for (value, fits) in
            [("AAEC", true), ("AAE", true), ("AAE=", true), ("AA,AAE=", true), ("***", false), ("A", false)]
        {
            assert_eq!(checked(|b| grpc(b).header("x-bin", value)).is_ok(), fits, "{value}");
        }
    }

    #[test]
    fn the_named_methods_exist() {
        for path in WITH_SECRET {
            assert!(method_at(path).is_some(), "{path}");
        }
        for prefix in WITHOUT_LEDGER {
            assert!(METHOD_RULES.iter().any(|rule| rule.path.starts_with(prefix)), "{prefix}");
        }
        let unrecorded: Vec<_> = FOREIGN.iter().filter(|method| method.door == Entrance::Open).collect();
        assert!(unrecorded.iter().all(|method| method.path.starts_with("/grpc.health.v1.Health/")));
    }
}
