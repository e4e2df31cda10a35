//! What the types of the settings cannot say, and the source credential that
//! goes with each method. Errors name fields and keys, never contents.

use crate::connectors::refusals::Refusals;
use crate::connectors::secret_end::SECRET_EXPIRES_AT;
use crate::domain::{FieldErrors, Timestamp};
use crate::sealing::SourceCredential;

use super::place;
use super::settings::{ExternalAccount, Impersonation, Implicit, Settings};
use super::upstream_secret;

/// A service account's key file.
pub const SERVICE_ACCOUNT_JSON: &str = "service_account_json";
/// An authorized user's file.
pub const USER_ACCOUNT_JSON: &str = "user_account_json";
/// A credential configuration.
pub const EXTERNAL_ACCOUNT_JSON: &str = "external_account_json";
/// An access token.
pub const TOKEN: &str = "token";

/// What Google takes in a chain.
const DELEGATES_MAX: usize = 4;
/// Seconds that Google takes as the life of an impersonated token.
const LIFETIMES: std::ops::RangeInclusive<u32> = 300..=43_200;
/// The longest endpoint and audience we keep.
const URL_LENGTH_MAX: usize = 400;
/// The longest key file; real ones have some 2,400 bytes.
const JSON_LENGTH_MAX: usize = 16 * 1024;
/// The longest access token; real ones have up to 2,048 bytes.
const TOKEN_LENGTH_MAX: usize = 16 * 1024;

/// Checks settings; see `ConnectorType::check`.
pub fn check(settings: &Settings) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    let place = settings.place();
    let problem = "must be the id of a project such as ml-prod-123456: 6 to 30 of a-z, 0-9 and hyphens";
    refusals.unless(place::project(place.project), "settings.project_id", problem);
    let fits = place.location.is_none_or(place::location);
    refusals.unless(fits, "settings.location", "must be a region or zone such as europe-west4");
    check_endpoint("settings.endpoint_url", place.endpoint_url, &mut refusals);
    match settings {
        Settings::Impersonation(own) => check_impersonation(own, &mut refusals),
        Settings::ExternalAccount(own) => check_external(own, &mut refusals),
        Settings::Implicit(own) => check_implicit(own, &mut refusals),
        Settings::ServiceAccount(_) | Settings::UserAccount(_) | Settings::HandedIn(_) => {}
    }
    refusals.into_result()
}

fn check_endpoint(field: &str, url: Option<&str>, refusals: &mut Refusals) {
    let fits = url.is_none_or(|url| url.len() <= URL_LENGTH_MAX && endpoint(url));
    refusals.unless(fits, field, "must be https://host[:port] or http://host[:port], with no path");
}

/// `scheme://host[:port]`.
fn endpoint(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.contains(['@', '\\']);
    bare && url.has_host() && matches!(url.scheme(), "http" | "https")
}

fn check_email(field: &str, email: &str, refusals: &mut Refusals) {
    let problem = "must be the e-mail of a service account, such as ml-data@ml-prod-123456.iam.gserviceaccount.com";
    refusals.unless(place::email(email), field, problem);
}

fn check_lifetime(lifetime: Option<u32>, refusals: &mut Refusals) {
    let fits = lifetime.is_none_or(|seconds| LIFETIMES.contains(&seconds));
    refusals.unless(fits, "settings.lifetime", "must be 300 to 43200 seconds");
}

fn check_impersonation(own: &Impersonation, refusals: &mut Refusals) {
    check_email("settings.target_principal", &own.target_principal, refusals);
    refusals.unless(own.delegates.len() <= DELEGATES_MAX, "settings.delegates", "at most 4 service accounts");
    for delegate in &own.delegates {
        check_email("settings.delegates", delegate, refusals);
    }
    check_lifetime(own.lifetime, refusals);
}

fn check_external(own: &ExternalAccount, refusals: &mut Refusals) {
    if let Some(audience) = &own.audience {
        let problem = "must be the full name of a provider, such as //iam.googleapis.com/projects/NUMBER/locations/global/\
                       workloadIdentityPools/POOL/providers/PROVIDER";
        refusals.unless(place::provider(audience), "settings.audience", problem);
    }
    if let Some(audience) = &own.token_audience {
        let fits = (1..=URL_LENGTH_MAX).contains(&audience.len()) && audience.bytes().all(|b| b.is_ascii_graphic());
        refusals.unless(fits, "settings.token_audience", "must be 1 to 400 letters with no blanks");
        refusals.unless(
            own.audience.is_some(),
            "settings.token_audience",
            "is only for this server's own issuer: set audience",
        );
    }
    if let Some(target) = &own.target_principal {
        check_email("settings.target_principal", target, refusals);
    }
    check_lifetime(own.lifetime, refusals);
    refusals.unless(
        own.lifetime.is_none() || own.target_principal.is_some(),
        "settings.lifetime",
        "is only for a target_principal: Google's federated tokens live for an hour",
    );
}

fn check_implicit(own: &Implicit, refusals: &mut Refusals) {
    if let Some(account) = &own.service_account {
        check_email("settings.service_account", account, refusals);
    }
    check_endpoint("settings.metadata_url", own.metadata_url.as_deref(), refusals);
}

/// Checks a source credential; see `ConnectorType::check_secret`.
pub fn check_secret(
    settings: &Settings,
    secret: &SourceCredential,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    let wanted = match settings {
        Settings::ServiceAccount(_) | Settings::Impersonation(_) => Some((SERVICE_ACCOUNT_JSON, JSON_LENGTH_MAX)),
        Settings::UserAccount(_) => Some((USER_ACCOUNT_JSON, JSON_LENGTH_MAX)),
        Settings::ExternalAccount(own) => check_federation(own, secret, &mut refusals),
        Settings::HandedIn(_) => Some((TOKEN, TOKEN_LENGTH_MAX)),
        Settings::Implicit(_) => None,
    };
    if let Some((name, length_max)) = wanted {
        let field = format!("secrets.{name}");
        let fits = secret.field(name).is_some_and(|value| (1..=length_max).contains(&value.len()));
        refusals.unless(fits, &field, &format!("must be given, with at most {length_max} bytes"));
        let problem = fits.then(|| upstream_secret::problem(settings, secret)).flatten();
        refusals.unless(problem.is_none(), &field, problem.unwrap_or_default());
    }
    for name in secret.names() {
        let known = wanted.is_some_and(|(wanted, _)| wanted == name.as_str());
        refusals.unless(known, &format!("secrets.{name}"), "is not a field of this auth method with these settings");
    }
    let handed_in = matches!(settings, Settings::HandedIn(_));
    refusals.unless(
        !handed_in || expires_at.is_some(),
        SECRET_EXPIRES_AT,
        "must say when the handed-in token ends: --secret-expires-in LENGTH",
    );
    refusals.unless(expires_at.is_none_or(|end| end > now), SECRET_EXPIRES_AT, "has passed");
    refusals.into_result()
}

/// A federation has either a provider that trusts us or a stored file, and the
/// file alone says whom it impersonates and with what.
fn check_federation(
    own: &ExternalAccount,
    secret: &SourceCredential,
    refusals: &mut Refusals,
) -> Option<(&'static str, usize)> {
    match (own.audience.is_some(), secret.field(EXTERNAL_ACCOUNT_JSON).is_some()) {
        (true, _) => None,
        (false, true) => Some((EXTERNAL_ACCOUNT_JSON, JSON_LENGTH_MAX)),
        (false, false) => {
            let problem =
                "must be the provider that trusts this server's issuer, when there is no external_account_json";
            refusals.unless(false, "settings.audience", problem);
            None
        }
    }
}
