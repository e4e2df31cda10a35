//! What the types of the settings cannot say, and the source credential that
//! goes with each method. Errors name fields, never contents.

use std::collections::BTreeMap;

use crate::connectors::refusals::Refusals;
use crate::connectors::secret_end::SECRET_EXPIRES_AT;
use crate::domain::{Entropy, FieldError, FieldErrors, Timestamp};
use crate::sealing::SourceCredential;

use super::place::{self, Partition, Place};
use super::settings::{Settings, Way};

/// Hops of a role chain before the last role.
const CHAIN_LENGTH_MAX: usize = 5;
/// What AWS takes for one session.
const POLICY_ARNS_MAX: usize = 10;
/// AWS takes 50; three are ours.
const TAGS_MAX: usize = 47;
/// What AWS takes as a role's maximum.
const DURATIONS: std::ops::RangeInclusive<u32> = 900..=43_200;
/// The longest endpoint we keep.
const URL_LENGTH_MAX: usize = 512;
/// What IAM takes as a client id of an OIDC provider.
const AUDIENCE_LENGTH_MAX: usize = 255;
/// Bytes of randomness in an external id.
const EXTERNAL_ID_BYTES: usize = 16;

/// Checks settings; see `ConnectorType::check`.
pub fn check(settings: &Settings) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    let place = settings.place();
    check_place(&place, &mut refusals);
    check_policies(settings, &mut refusals);
    match settings {
        Settings::IamRole(own) => {
            check_role("settings.role_arn", &own.role_arn, place.partition, &mut refusals);
            refusals.unless(own.role_chain.len() <= CHAIN_LENGTH_MAX, "settings.role_chain", "at most 5 roles");
            for role in &own.role_chain {
                check_role("settings.role_chain", role, place.partition, &mut refusals);
            }
            check_external_id(own.external_id.as_deref(), &mut refusals);
            check_tags(&own.session_tags, &mut refusals);
            check_duration(own.max_session_duration, &mut refusals);
        }
        Settings::WebIdentity(own) => {
            check_role("settings.role_arn", &own.role_arn, place.partition, &mut refusals);
            let audience = own.audience.as_bytes();
            let fits = (1..=AUDIENCE_LENGTH_MAX).contains(&audience.len()) && audience.iter().all(u8::is_ascii_graphic);
            refusals.unless(fits, "settings.audience", "must be 1 to 255 characters without blanks");
            check_duration(own.max_session_duration, &mut refusals);
        }
        Settings::Implicit(own) => {
            let name = own.profile_name.as_bytes();
            let fits = (1..=64).contains(&name.len()) && name.iter().copied().all(place::iam_letter);
            refusals.unless(fits, "settings.profile_name", "must be 1 to 64 letters, digits or any of _+=,.@-");
            if let Some(role) = &own.role_arn {
                check_role("settings.role_arn", role, place.partition, &mut refusals);
            }
            check_external_id(own.external_id.as_deref(), &mut refusals);
        }
        Settings::SessionToken(own) => check_mfa(own.mfa_serial.as_deref(), place.partition, &mut refusals),
        Settings::SecretKey(_) | Settings::FederationToken(_) | Settings::StsToken(_) => {}
    }
    refusals.into_result()
}

fn check_duration(seconds: Option<u32>, refusals: &mut Refusals) {
    let fits = seconds.is_none_or(|seconds| DURATIONS.contains(&seconds));
    refusals.unless(fits, "settings.max_session_duration", "must be 900 to 43200 seconds, as set on the role");
}

/// STS: 9 to 256 letters; an ARN is checked as one.
fn check_mfa(serial: Option<&str>, partition: Partition, refusals: &mut Refusals) {
    let hardware = |text: &str| (9..=256).contains(&text.len()) && text.bytes().all(place::iam_letter);
    let device = |text: &str| {
        text.len() <= 256 && place::iam_arn(text, "mfa").is_some_and(|arn| arn.partition == partition.as_str())
    };
    let fits = serial.is_none_or(|text| hardware(text) || device(text));
    let problem = "must be a device such as arn:aws:iam::123456789012:mfa/broker, or a serial number";
    refusals.unless(fits, "settings.mfa_serial", problem);
}

fn check_place(place: &Place<'_>, refusals: &mut Refusals) {
    refusals.unless(place::region(place.region), "settings.region", "must be a region such as us-east-1");
    let agrees = place.partition == Partition::of_region(place.region);
    refusals.unless(agrees, "settings.partition", "is not the partition of this region");
    for (field, url) in
        [("settings.endpoint_url", place.endpoint_url), ("settings.sts_endpoint_url", place.sts_endpoint_url)]
    {
        let fits = url.is_none_or(endpoint);
        refusals.unless(fits, field, "must be https://host[:port] or http://host[:port], with no path");
    }
}

fn endpoint(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.contains(['@', '\\']);
    text.len() <= URL_LENGTH_MAX && bare && url.has_host() && matches!(url.scheme(), "http" | "https")
}

fn check_role(field: &str, role: &str, partition: Partition, refusals: &mut Refusals) {
    let arn = place::iam_arn(role, "role");
    refusals.unless(arn.is_some(), field, "must be a role such as arn:aws:iam::123456789012:role/ml-data");
    let agrees = arn.is_none_or(|arn| arn.partition == partition.as_str());
    refusals.unless(agrees, field, "is a role of another partition than the region's");
}

fn check_policies(settings: &Settings, refusals: &mut Refusals) {
    let arns = settings.policy_arns();
    refusals.unless(arns.len() <= POLICY_ARNS_MAX, "settings.policy_arns", "at most 10 policies");
    for arn in arns {
        let parsed = place::iam_arn(arn, "policy");
        let problem = "must be policies such as arn:aws:iam::aws:policy/ReadOnlyAccess";
        refusals.unless(parsed.is_some(), "settings.policy_arns", problem);
        // AWS: policies must be in the role's account, or AWS's own.
        let own = parsed.zip(settings.account()).is_none_or(|(arn, own)| arn.account == own || arn.account == "aws");
        refusals.unless(own, "settings.policy_arns", "must be in the account of role_arn");
    }
    if let Some(policy) = settings.policy() {
        let fits = policy.json().len() <= super::policy::POLICY_LENGTH_MAX;
        refusals.unless(fits, "settings.policy", "is longer than the 2,048 characters that AWS takes");
    }
}

fn check_external_id(id: Option<&str>, refusals: &mut Refusals) {
    let letter = |b: u8| place::iam_letter(b) || b":/".contains(&b);
    let fits = id.is_none_or(|id| (2..=1224).contains(&id.len()) && id.bytes().all(letter));
    refusals.unless(fits, "settings.external_id", "must be 2 to 1,224 letters, digits or any of _+=,.@:/-");
}

fn check_tags(tags: &BTreeMap<String, String>, refusals: &mut Refusals) {
    let field = "settings.session_tags";
    refusals.unless(tags.len() <= TAGS_MAX, field, "at most 47 tags");
    for (key, value) in tags {
        let lower = key.to_ascii_lowercase();
        let own = lower.starts_with("aws:") || lower.starts_with("valetkey:");
        refusals.unless(!own, field, "names beginning with aws: and valetkey: are not yours to set");
        let fits = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
        refusals.unless(fits, field, "names have 1 to 128 characters, values at most 256");
        let letters = key.chars().chain(value.chars()).all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
        refusals.unless(letters, field, "only letters, digits, spaces and any of _.:/=+-@");
    }
}

/// Draws the external id when none was given and a role is assumed.
pub fn complete(mut settings: Settings, entropy: &dyn Entropy) -> Result<Settings, FieldErrors> {
    let slot = match &mut settings {
        Settings::IamRole(own) => &mut own.external_id,
        Settings::Implicit(own) if own.role_arn.is_some() => &mut own.external_id,
        Settings::SecretKey(_)
        | Settings::SessionToken(_)
        | Settings::FederationToken(_)
        | Settings::StsToken(_)
        | Settings::Implicit(_)
        | Settings::WebIdentity(_) => return Ok(settings),
    };
    if slot.is_none() {
        let mut bytes = [0; EXTERNAL_ID_BYTES];
        let failed = |_| FieldError::new("settings.external_id", "none could be drawn: the random source failed");
        entropy.fill(&mut bytes).map_err(failed)?;
        *slot = Some(format!("vk-{}", hex::encode(bytes)));
    }
    Ok(settings)
}

/// The key's id.
pub const ACCESS_KEY_ID: &str = "aws_access_key_id";
/// The key.
pub const SECRET_ACCESS_KEY: &str = "aws_secret_access_key";
/// The token of a handed-in session.
pub const SESSION_TOKEN: &str = "aws_session_token";
/// The seed of the MFA device, base32.
pub const MFA_TOTP_SEED: &str = "mfa_totp_seed";

/// Checks a source credential; see `ConnectorType::check_secret`. Which
/// fields there are and how long they are, never what is in them.
pub fn check_secret(
    settings: &Settings,
    secret: &SourceCredential,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    let handed_in = settings.way() == Way::HandedIn;
    let mut wanted = Vec::new();
    if !matches!(settings, Settings::Implicit(_) | Settings::WebIdentity(_)) {
        wanted.extend([(ACCESS_KEY_ID, 16..=128), (SECRET_ACCESS_KEY, 16..=256)]);
    }
    if handed_in {
        wanted.push((SESSION_TOKEN, 16..=16_384));
    }
    if settings.mfa_serial().is_some() {
        wanted.push((MFA_TOTP_SEED, 16..=256));
    }
    for (name, length) in &wanted {
        let fits = secret.field(name).is_some_and(|value| length.contains(&value.len()) && value.is_one_word());
        let (min, max) = (length.start(), length.end());
        let problem = format!("must be given, with {min} to {max} characters and no blanks or line ends among them");
        refusals.unless(fits, &format!("secrets.{name}"), &problem);
    }
    for name in secret.names() {
        let known = wanted.iter().any(|(wanted, _)| *wanted == name.as_str());
        let problem = match name.as_str() {
            MFA_TOTP_SEED => "is only for session-token with mfa_serial",
            _ => "is not a field of this auth method",
        };
        refusals.unless(known, &format!("secrets.{name}"), problem);
    }
    refusals.unless(
        !handed_in || expires_at.is_some(),
        SECRET_EXPIRES_AT,
        "must say when the handed-in session ends: --secret-expires-in LENGTH",
    );
    refusals.unless(expires_at.is_none_or(|end| end > now), SECRET_EXPIRES_AT, "has passed");
    refusals.into_result()
}
