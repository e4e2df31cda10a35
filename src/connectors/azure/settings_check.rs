//! What the types of the settings cannot say, and which fields of a source
//! credential go with each method. Errors name fields, never contents.

use uuid::Uuid;

use crate::connectors::refusals::Refusals;
use crate::connectors::secret_end::SECRET_EXPIRES_AT;
use crate::domain::{FieldErrors, Timestamp};
use crate::sealing::SourceCredential;

use super::ids;
use super::scope;
use super::settings::{Settings, Way};
use super::upstream_secret;

/// The longest endpoint we keep.
const URL_LENGTH_MAX: usize = 512;
/// Audiences of one connector.
const AUDIENCES_MAX: usize = 20;
/// Letters of a subscription's name.
const NAME_LENGTH_MAX: usize = 64;
/// The longest name of DNS.
const DOMAIN_LENGTH_MAX: usize = 253;

/// An application's secret.
pub const CLIENT_SECRET: &str = "client_secret";
/// An application's certificate and key.
pub const CLIENT_CERTIFICATE: &str = "client_certificate";
/// A handed-in token.
pub const TOKEN: &str = "token";

/// Checks settings; see `ConnectorType::check`.
pub fn check(settings: &Settings) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    check_names(settings, &mut refusals);
    check_endpoints(settings, &mut refusals);
    let common = settings.common();
    let field = "settings.audiences";
    refusals.unless(common.audiences.len() <= AUDIENCES_MAX, field, "at most 20");
    let fits = common.audiences.iter().all(|text| scope::audience(text).as_deref() == Some(text));
    refusals.unless(fits, field, scope::AUDIENCE_FORM);
    let client_id = match settings.way() {
        Way::Application { client_id, .. } => Some(client_id),
        Way::Machine { client_id } => client_id,
        Way::HandedIn => None,
    };
    refusals.unless(client_id.is_none_or(guid), "settings.client_id", GUID_FORM);
    refusals.into_result()
}

fn check_names(settings: &Settings, refusals: &mut Refusals) {
    let common = settings.common();
    let tenant = settings.tenant().is_none_or(|text| guid(text) || domain(text));
    refusals.unless(tenant, "settings.tenant_id", "must be a lower-case GUID or a domain of the tenant");
    refusals.unless(common.subscription_id.is_none_or(guid), "settings.subscription_id", GUID_FORM);
    let named = common.subscription_name.is_none_or(|text| {
        (1..=NAME_LENGTH_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control) && !guid(text)
    });
    refusals.unless(named, "settings.subscription_name", "must be 1 to 64 characters, and no GUID");
    let alone = common.subscription_name.is_none() || common.subscription_id.is_some();
    refusals.unless(alone, "settings.subscription_name", "needs subscription_id beside it");
    let group = common.resource_group.is_none_or(ids::resource_group);
    let problem = "must be 1 to 90 lower-case letters, digits or any of _.()-, with no dot at the end";
    refusals.unless(group, "settings.resource_group", problem);
    let account = common.storage_account.is_none_or(ids::account);
    refusals.unless(account, "settings.storage_account", "must be 3 to 24 lower-case letters and digits");
}

fn check_endpoints(settings: &Settings, refusals: &mut Refusals) {
    let place = settings.place();
    for (field, url) in [
        ("settings.authority_url", place.authority_url),
        ("settings.management_url", place.management_url),
        ("settings.blob_url", place.blob_url),
        ("settings.registry_url", place.registry_url),
    ] {
        refusals.unless(url.is_none_or(|url| endpoint(url, &["https"])), field, "must be https://host[:port]");
    }
    let machine = place.identity_url.is_none_or(|url| endpoint(url, &["http", "https"]));
    refusals.unless(machine, "settings.identity_url", "must be http://host[:port] or https://host[:port]");
}

const GUID_FORM: &str = "must be a lower-case GUID such as 0b1f6471-1bf0-4dda-aec3-cb9272f09590";

/// In the one spelling that we keep.
pub fn guid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|parsed| parsed.hyphenated().to_string() == text)
}

fn domain(text: &str) -> bool {
    let label = |part: &str| {
        let letters = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (1..=63).contains(&part.len()) && letters && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= DOMAIN_LENGTH_MAX && text.contains('.') && text.split('.').all(label)
}

fn endpoint(text: &str, schemes: &[&str]) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.contains(['@', '\\']);
    text.len() <= URL_LENGTH_MAX && bare && url.has_host() && schemes.contains(&url.scheme())
}

/// Checks a source credential; see `ConnectorType::check_secret`.
pub fn check_secret(
    settings: &Settings,
    secret: &SourceCredential,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    let known: &[&str] = match settings.way() {
        Way::Application { federated: false, .. } => &[CLIENT_SECRET, CLIENT_CERTIFICATE],
        Way::HandedIn => &[TOKEN],
        Way::Application { federated: true, .. } | Way::Machine { .. } => &[],
    };
    for name in secret.names() {
        let problem = match settings.way() {
            Way::Application { federated: true, .. } => "is not stored: the settings say federated",
            Way::Application { .. } | Way::HandedIn | Way::Machine { .. } => "is not a field of this auth method",
        };
        refusals.unless(known.contains(&name.as_str()), &format!("secrets.{name}"), problem);
    }
    match settings.way() {
        Way::Application { federated: false, .. } => application(secret, now, &mut refusals),
        Way::HandedIn => {
            word(secret, TOKEN, 16..=32_768, &mut refusals);
            refusals.unless(
                expires_at.is_some(),
                SECRET_EXPIRES_AT,
                "must say when the handed-in token ends: --secret-expires-in LENGTH",
            );
        }
        Way::Application { federated: true, .. } | Way::Machine { .. } => {}
    }
    refusals.unless(expires_at.is_none_or(|end| end > now), SECRET_EXPIRES_AT, "has passed");
    refusals.into_result()
}

fn application(secret: &SourceCredential, now: Timestamp, refusals: &mut Refusals) {
    match (secret.field(CLIENT_SECRET), secret.field(CLIENT_CERTIFICATE)) {
        (Some(_), None) => word(secret, CLIENT_SECRET, 8..=512, refusals),
        (None, Some(pem)) => {
            if let Err(problem) = upstream_secret::look_at_certificate(pem, now) {
                refusals.unless(false, "secrets.client_certificate", problem);
            }
        }
        (Some(_), Some(_)) => {
            refusals.unless(false, "secrets.client_certificate", "give it or client_secret, not both");
        }
        (None, None) => {
            let problem = "give it or client_certificate, or set federated to trust valetkey's own issuer";
            refusals.unless(false, "secrets.client_secret", problem);
        }
    }
}

fn word(secret: &SourceCredential, name: &str, length: std::ops::RangeInclusive<usize>, refusals: &mut Refusals) {
    let fits = secret.field(name).is_some_and(|value| length.contains(&value.len()) && value.is_one_word());
    let (min, max) = (length.start(), length.end());
    let problem = format!("must be given, with {min} to {max} characters and no blanks or line ends among them");
    refusals.unless(fits, &format!("secrets.{name}"), &problem);
}
