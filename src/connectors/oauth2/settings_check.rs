//! What the types of the settings cannot say, and the source credential that
//! goes with each method. Errors name fields, never contents.

use std::collections::BTreeMap;

use url::Url;

use crate::connectors::refusals::Refusals;
use crate::connectors::secret_end::SECRET_EXPIRES_AT;
use crate::domain::jws::JwsError;
use crate::domain::{FieldErrors, Timestamp};
use crate::sealing::{Plaintext, SourceCredential};

use super::scope;
use super::settings::{Client, ClientAuth, Settings};
use super::upstream_secret;

/// The longest URL or name that is kept.
const TEXT_LENGTH_MAX: usize = 512;
/// The most parameters or headers beside our own.
const EXTRAS_MAX: usize = 16;
/// The longest value of one.
const EXTRA_LENGTH_MAX: usize = 1024;
/// Bounds of a lifetime that is assumed, in seconds.
const ASSUMED: std::ops::RangeInclusive<u32> = 60..=86_400;

/// What decides the grant or who asks is ours to send, never a setting.
const RESERVED_PARAMS: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "refresh_token",
    "scope",
    "audience",
    "code",
    "code_verifier",
    "redirect_uri",
    "username",
    "password",
    "assertion",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "device_code",
];
/// What frames the request, routes it, or authenticates somebody.
const RESERVED_HEADERS: &[&str] = &[
    "authorization",
    "host",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "accept",
    "accept-encoding",
    "cookie",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "forwarded",
    "dpop",
    "date",
    "via",
];
/// The beginnings of such headers.
const RESERVED_HEADER_BEGINNINGS: &[&str] = &["proxy-", "sec-", "x-forwarded-", "x-real-ip", ":"];

/// The client's secret.
pub const CLIENT_SECRET: &str = "client_secret";
/// The client's key.
pub const PRIVATE_KEY: &str = "private_key";
/// The refresh token.
pub const REFRESH_TOKEN: &str = "refresh_token";
/// The handed-in token.
pub const ACCESS_TOKEN: &str = "access_token";

/// Checks settings; see `ConnectorType::check`.
pub fn check(settings: &Settings) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    let problem = "must be https://HOST[:PORT][/PATH] (http only where the server's config names that endpoint), with no user, \
                   query or fragment";
    refusals.unless(api_url(settings.api_url()).is_some(), "settings.api_url", problem);
    if let Some(client) = settings.client() {
        check_client(settings, &client, &mut refusals);
    }
    refusals.into_result()
}

fn check_client(settings: &Settings, client: &Client<'_>, refusals: &mut Refusals) {
    let problem =
        "must be an https URL (http only where the server's config names that endpoint), with no user and no fragment";
    refusals.unless(endpoint(client.token_url), "settings.token_url", problem);
    let problem = "must be 1 to 512 printable ASCII characters";
    refusals.unless(printable(client.client_id), "settings.client_id", problem);
    for (field, text) in [
        ("settings.audience", client.audience),
        ("settings.assertion_audience", client.assertion_audience),
        ("settings.key_id", client.key_id),
    ] {
        refusals.unless(text.is_none_or(printable), field, problem);
    }
    let [read, write, admin] = client.own_scopes;
    for (field, text) in [
        ("settings.scope", client.scope),
        ("settings.read_scope", read),
        ("settings.write_scope", write),
        ("settings.admin_scope", admin),
    ] {
        let fits = text.is_none_or(|text| scope::words(text).is_some());
        refusals.unless(fits, field, "must be 1 to 64 scopes with blanks between them (RFC 6749 section 3.3)");
    }
    let signs = client.auth == ClientAuth::PrivateKeyJwt;
    let problem = "goes with client_auth_method private_key_jwt only";
    refusals.unless(signs || client.key_id.is_none(), "settings.key_id", problem);
    refusals.unless(signs || client.assertion_audience.is_none(), "settings.assertion_audience", problem);
    let public = client.auth == ClientAuth::None;
    let problem = "none is for public clients with a refresh token";
    refusals.unless(!public || matches!(settings, Settings::RefreshToken(_)), "settings.client_auth_method", problem);
    let fits = client.assumed_lifetime.is_none_or(|seconds| ASSUMED.contains(&seconds));
    refusals.unless(fits, "settings.assumed_lifetime", "must be 60 to 86400 seconds");
    check_params(client.params, refusals);
    check_headers(client.headers, refusals);
}

fn check_params(params: &BTreeMap<String, String>, refusals: &mut Refusals) {
    let field = "settings.token_params";
    refusals.unless(params.len() <= EXTRAS_MAX, field, "at most 16");
    for (name, value) in params {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let fits = (1..=64).contains(&name.len()) && name.bytes().all(letter);
        refusals.unless(fits, field, "names are 1 to 64 letters, digits or any of _-.");
        let ours = RESERVED_PARAMS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        refusals.unless(!ours, field, "names a parameter that valetkey sets itself, or that would be another grant");
        let fits = value.len() <= EXTRA_LENGTH_MAX && !value.chars().any(char::is_control);
        refusals.unless(fits, field, "values are at most 1,024 bytes with no control characters");
    }
}

fn check_headers(headers: &BTreeMap<String, String>, refusals: &mut Refusals) {
    let field = "settings.token_headers";
    refusals.unless(headers.len() <= EXTRAS_MAX, field, "at most 16");
    let mut seen = Vec::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = (1..=64).contains(&name.len()) && name.bytes().all(letter);
        refusals.unless(fits, field, "names are 1 to 64 letters, digits, - or _");
        let ours = RESERVED_HEADERS.contains(&lower.as_str())
            || RESERVED_HEADER_BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning));
        refusals.unless(!ours, field, "names a header that valetkey sets itself, or that authenticates");
        let fits = value.len() <= EXTRA_LENGTH_MAX && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        refusals.unless(fits, field, "values are at most 1,024 printable ASCII characters");
        refusals.unless(!seen.contains(&lower), field, "names a header twice");
        seen.push(lower);
    }
}

/// The canonical form of an API's base URL: no trailing slash, the host in
/// lower case, no port that goes without saying.
pub fn api_url(text: &str) -> Option<String> {
    let url = web_url(text)?;
    let bare = url.query().is_none() && url.fragment().is_none();
    bare.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// `scheme://host[:port]` of a URL.
pub fn origin_of(text: &str) -> Option<String> {
    web_url(text).map(|url| url.origin().ascii_serialization())
}

fn endpoint(text: &str) -> bool {
    web_url(text).is_some_and(|url| url.fragment().is_none())
}

// Plain http is refused by the way out unless the server's config names exactly
// that endpoint, scheme included: whoever runs the server decides on it, not
// who registers. Beyond loopback the connector then says IN THE CLEAR.
fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain =
        text.len() <= TEXT_LENGTH_MAX && !text.contains(['@', '\\']) && text.bytes().all(|b| b.is_ascii_graphic());
    let fits = plain && url.has_host() && matches!(url.scheme(), "http" | "https");
    let anonymous = url.username().is_empty() && url.password().is_none();
    (fits && anonymous).then_some(url)
}

fn printable(text: &str) -> bool {
    (1..=TEXT_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Checks a source credential; see `ConnectorType::check_secret`.
pub fn check_secret(
    settings: &Settings,
    secret: &SourceCredential,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    let auth = settings.client().map(|client| client.auth);
    let mut wanted = match auth {
        Some(ClientAuth::Basic | ClientAuth::Post) => vec![CLIENT_SECRET],
        Some(ClientAuth::PrivateKeyJwt) => vec![PRIVATE_KEY],
        Some(ClientAuth::None) => Vec::new(),
        None => vec![ACCESS_TOKEN],
    };
    if matches!(settings, Settings::RefreshToken(_)) {
        wanted.push(REFRESH_TOKEN);
    }
    for name in &wanted {
        let problem = secret_problem(name, secret.field(name));
        refusals.unless(problem.is_none(), &format!("secrets.{name}"), &problem.unwrap_or_default());
    }
    for name in secret.names() {
        let known = wanted.contains(&name.as_str());
        refusals.unless(known, &format!("secrets.{name}"), "does not go with this client_auth_method");
    }
    let handed_in = matches!(settings, Settings::Token(_));
    refusals.unless(
        !handed_in || expires_at.is_some(),
        SECRET_EXPIRES_AT,
        "must say when the handed-in token ends: --secret-expires-in LENGTH",
    );
    refusals.unless(expires_at.is_none_or(|end| end > now), SECRET_EXPIRES_AT, "has passed");
    refusals.into_result()
}

/// What is wrong with a field, or that it is not there.
fn secret_problem(name: &str, field: Option<&Plaintext>) -> Option<String> {
    let (fits, problem) = match name {
        PRIVATE_KEY => {
            let problem = field.map_or(Some(JwsError::NoKey), upstream_secret::key_problem);
            return problem.map(|problem| problem.to_string());
        }
        CLIENT_SECRET => {
            (field.is_some_and(upstream_secret::printable), "must be 1 to 1,024 printable ASCII characters")
        }
        _ => {
            let fits = field.is_some_and(|field| (1..=16_384).contains(&field.len()) && field.is_one_word());
            (fits, "must be 1 to 16,384 characters with no blanks or line ends among them")
        }
    };
    (!fits).then(|| problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ec_key_in_the_form_of_openssls_ecparam_is_refused_with_how_to_write_it() {
        let said = |label: &str| {
            let pem = format!("-----BEGIN {label}-----\naHVudGVyMg==\n-----END {label}-----\n");
            secret_problem(PRIVATE_KEY, Some(&Plaintext::new(pem.into_bytes()))).unwrap()
        };
        assert!(said("EC PRIVATE KEY").contains("openssl pkcs8 -topk8 -nocrypt"), "{}", said("EC PRIVATE KEY"));
        assert!(!said("PRIVATE KEY").contains("openssl") && secret_problem(PRIVATE_KEY, None).is_some());
    }
}
