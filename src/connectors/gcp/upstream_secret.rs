//! The files of Google's tools, looked into: hostile input, whoever hands it
//! in (googleapis warns of configurations from others for a reason).
//!
//! Source credentials are plaintext here. What is read is what is used; no
//! endpoint, path or command of a file is ever followed. Problems are words of
//! ours with the name of a key, never a value, and never serde's own text.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::connectors::{SecretEnd, UpstreamError};
use crate::domain::SecretText;
use crate::domain::jws::SigningKey;
use crate::sealing::SourceCredential;

use super::place::{self, Place};
use super::settings::Settings;
use super::settings_check::{EXTERNAL_ACCOUNT_JSON, SERVICE_ACCOUNT_JSON, TOKEN, USER_ACCOUNT_JSON};

/// A service account's key. No Debug.
pub struct ServiceAccountKey {
    /// Its e-mail.
    pub email: String,
    /// The key's id, for the header of assertions.
    pub key_id: String,
    /// The key.
    pub key: SigningKey,
}

/// A person's login. No Debug.
pub struct UserLogin {
    /// The OAuth client that the person logged in through.
    pub client_id: String,
    /// Its secret, which is none for Google's own tools.
    pub client_secret: SecretText,
    /// The refresh token.
    pub refresh_token: SecretText,
}

/// A credential configuration with a source that may be asked. No Debug.
pub struct Federation {
    /// The provider.
    pub audience: String,
    /// What kind of token the source gives.
    pub subject_token_type: String,
    /// Where to get it: allowed or refused when it is called.
    pub source: SubjectSource,
    /// Whom to impersonate.
    pub target: Option<String>,
}

/// Where a subject token comes from. No Debug: headers may authorize.
pub struct SubjectSource {
    /// The URL to get.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, SecretText)>,
    /// The field of a JSON answer; otherwise the answer is the token.
    pub field: Option<String>,
}

/// What is wrong with the credential of these settings, or nothing.
pub fn problem(settings: &Settings, secret: &SourceCredential) -> Option<&'static str> {
    let place = settings.place();
    match settings {
        Settings::ServiceAccount(_) | Settings::Impersonation(_) => service_account(&place, secret).err(),
        Settings::UserAccount(_) => user_login(&place, secret).err(),
        // Settings say whom a token is about, so that everybody sees it.
        Settings::ExternalAccount(own) => federation(&place, secret).map_or_else(Some, |found| {
            (found.target != own.target_principal)
                .then_some("`service_account_impersonation_url` and settings.target_principal must name the same")
        }),
        Settings::HandedIn(_) => handed_in(secret).err(),
        Settings::Implicit(_) => None,
    }
}

/// When it ends by its own word: a handed-in token that is a JWT. Keys and
/// refresh tokens of Google's files name no end.
pub fn end(settings: &Settings, secret: &SourceCredential) -> Option<SecretEnd> {
    match settings {
        Settings::HandedIn(_) => SecretEnd::of_token(TOKEN, secret.field(TOKEN)?.expose_text()?),
        Settings::ServiceAccount(_)
        | Settings::Impersonation(_)
        | Settings::UserAccount(_)
        | Settings::ExternalAccount(_)
        | Settings::Implicit(_) => None,
    }
}

/// A stored credential that does not parse any more.
pub fn unreadable(_: &'static str) -> UpstreamError {
    UpstreamError::CredentialRefused { code: "unreadable".to_owned() }
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<Wiped>,
    token_uri: Option<String>,
    universe_domain: Option<String>,
    #[serde(flatten)]
    foreign: Foreign,
}

/// Keys that make other Google clients run, read or ask something.
#[derive(Deserialize)]
struct Foreign {
    credential_source: Option<IgnoredAny>,
    executable: Option<IgnoredAny>,
    token_url: Option<IgnoredAny>,
    service_account_impersonation_url: Option<IgnoredAny>,
    source_credentials: Option<IgnoredAny>,
}

/// The key of a service account; see `problem`.
pub fn service_account(place: &Place<'_>, secret: &SourceCredential) -> Result<ServiceAccountKey, &'static str> {
    let file: KeyFile = parse(secret, SERVICE_ACCOUNT_JSON)?;
    file.foreign.none()?;
    if file.kind != "service_account" {
        return Err("`type` must be service_account");
    }
    universe(file.universe_domain.as_deref())?;
    let token_uri = file.token_uri.ok_or("`token_uri` is missing")?;
    if !place.knows_token_uri(&token_uri) {
        return Err("`token_uri` must be https://oauth2.googleapis.com/token, or /token of settings.endpoint_url");
    }
    let email = file.client_email.ok_or("`client_email` is missing")?;
    if !place::email(&email) {
        return Err("`client_email` must be an e-mail");
    }
    let key_id = file.private_key_id.ok_or("`private_key_id` is missing")?;
    if !key_id_fits(&key_id) {
        return Err("`private_key_id` must be 1 to 128 letters and digits");
    }
    let key = file.private_key.ok_or("`private_key` is missing")?.0;
    let key = SigningKey::from_pem(key.reveal().as_bytes()).map_err(|_| NO_KEY)?;
    if matches!(key, SigningKey::Rsa(_)) { Ok(ServiceAccountKey { email, key_id, key }) } else { Err(NO_KEY) }
}

/// Whether this is the id of a key: it goes into paths.
pub fn key_id_fits(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[derive(Deserialize)]
struct UserFile {
    #[serde(rename = "type")]
    kind: String,
    client_id: Option<String>,
    client_secret: Option<Wiped>,
    refresh_token: Option<Wiped>,
    token_uri: Option<String>,
    universe_domain: Option<String>,
    #[serde(flatten)]
    foreign: Foreign,
}

/// A person's login; see `problem`.
pub fn user_login(place: &Place<'_>, secret: &SourceCredential) -> Result<UserLogin, &'static str> {
    let file: UserFile = parse(secret, USER_ACCOUNT_JSON)?;
    file.foreign.none()?;
    if file.kind != "authorized_user" {
        return Err("`type` must be authorized_user");
    }
    universe(file.universe_domain.as_deref())?;
    if file.token_uri.is_some_and(|uri| !place.knows_token_uri(&uri)) {
        return Err("`token_uri` must be https://oauth2.googleapis.com/token, or /token of settings.endpoint_url");
    }
    let client_id = file.client_id.filter(|id| word(id)).ok_or("`client_id` must be given, one word")?;
    let client_secret = file.client_secret.filter(Wiped::word).ok_or("`client_secret` must be given, one word")?.0;
    let refresh_token = file.refresh_token.filter(Wiped::word).ok_or("`refresh_token` must be given, one word")?.0;
    Ok(UserLogin { client_id, client_secret, refresh_token })
}

#[derive(Deserialize)]
struct FederationFile {
    #[serde(rename = "type")]
    kind: String,
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    service_account_impersonation_url: Option<String>,
    credential_source: Option<SourceFile>,
    universe_domain: Option<String>,
}

#[derive(Deserialize)]
struct SourceFile {
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, Wiped>,
    format: Option<Format>,
    executable: Option<IgnoredAny>,
    file: Option<IgnoredAny>,
    environment_id: Option<IgnoredAny>,
    certificate: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

/// A credential configuration; see `problem`.
pub fn federation(place: &Place<'_>, secret: &SourceCredential) -> Result<Federation, &'static str> {
    let file: FederationFile = parse(secret, EXTERNAL_ACCOUNT_JSON)?;
    if file.kind != "external_account" {
        return Err("`type` must be external_account");
    }
    universe(file.universe_domain.as_deref())?;
    let audience =
        file.audience.filter(|text| place::provider(text)).ok_or("`audience` must be a provider's full name")?;
    let subject_token_type = file.subject_token_type.ok_or("`subject_token_type` is missing")?;
    if !SUBJECT_TYPES.contains(&subject_token_type.as_str()) {
        return Err("`subject_token_type` must be that of a JWT, an ID token or a SAML assertion");
    }
    if !file.token_url.is_some_and(|url| place.knows_sts_url(&url)) {
        return Err("`token_url` must be https://sts.googleapis.com/v1/token, or /v1/token of settings.endpoint_url");
    }
    let target = match &file.service_account_impersonation_url {
        Some(url) => Some(place.impersonated(url).ok_or(
            "`service_account_impersonation_url` must be that of a service account at iamcredentials.googleapis.com",
        )?),
        None => None,
    };
    let target = target.map(str::to_owned);
    let source = source(file.credential_source.ok_or("`credential_source` is missing")?)?;
    Ok(Federation { audience, subject_token_type, source, target })
}

fn source(file: SourceFile) -> Result<SubjectSource, &'static str> {
    let refused = [
        (&file.executable, "`credential_source.executable` is refused: this server runs no command of a file"),
        (&file.file, "`credential_source.file` is refused: this server reads no path of a file"),
        (&file.environment_id, "`credential_source.environment_id` is refused: use the aws of another connector"),
        (&file.certificate, "`credential_source.certificate` is refused: this server reads no path of a file"),
    ];
    if let Some((_, problem)) = refused.iter().find(|(key, _)| key.is_some()) {
        return Err(problem);
    }
    let url = file.url.ok_or("`credential_source.url` is missing")?;
    if origin(&url).is_none() {
        return Err("`credential_source.url` must be an http or https URL with no user in it");
    }
    let field = match file.format {
        None => None,
        Some(Format { kind, subject_token_field_name }) => match (kind.as_deref(), subject_token_field_name) {
            (None | Some("text"), _) => None,
            (Some("json"), Some(field)) => Some(field),
            (Some(_), _) => {
                return Err("`credential_source.format` must be text, or json with subject_token_field_name");
            }
        },
    };
    let headers = file.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.0)).collect();
    Ok(SubjectSource { url, headers, field })
}

/// `scheme://host[:port]` of a URL that may be called, as the config spells it.
pub fn origin(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok().filter(|_| url.len() <= URL_LENGTH_MAX)?;
    let plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none();
    let spoken = matches!(parsed.scheme(), "http" | "https") && parsed.has_host();
    (plain && spoken).then(|| parsed.origin().ascii_serialization())
}

/// The handed-in token.
pub fn handed_in(secret: &SourceCredential) -> Result<SecretText, &'static str> {
    let text = secret.field(TOKEN).filter(|value| value.is_one_word()).and_then(|value| value.expose_text());
    text.map(|text| SecretText::new(text.to_owned())).ok_or("must be one word: an access token such as ya29...")
}

/// See `ConnectorType::key_id`.
pub fn key_id(settings: &Settings, secret: &SourceCredential) -> Option<String> {
    match settings {
        Settings::ServiceAccount(_) | Settings::Impersonation(_) => {
            // The key itself is not opened: that takes long.
            let file: KeyFile = parse(secret, SERVICE_ACCOUNT_JSON).ok()?;
            file.private_key_id.filter(|id| key_id_fits(id))
        }
        Settings::UserAccount(_) | Settings::ExternalAccount(_) | Settings::HandedIn(_) | Settings::Implicit(_) => None,
    }
}

/// A new key file, as Google made it, for the account that asked.
pub fn made_key(place: &Place<'_>, secret: &SourceCredential, email: &str) -> Option<String> {
    let made = service_account(place, secret).ok()?;
    (made.email == email).then_some(made.key_id)
}

fn parse<T: for<'de> Deserialize<'de>>(secret: &SourceCredential, field: &str) -> Result<T, &'static str> {
    let bytes = secret.field(field).ok_or("is missing")?.expose();
    // serde's text may quote what it read.
    serde_json::from_slice(bytes)
        .map_err(|_| "must be Google's JSON file: an object, each key once, with texts as values")
}

fn universe(domain: Option<&str>) -> Result<(), &'static str> {
    let own = domain.is_none_or(|domain| domain == "googleapis.com");
    if own { Ok(()) } else { Err("`universe_domain` must be googleapis.com") }
}

impl Foreign {
    fn none(&self) -> Result<(), &'static str> {
        let keys = [
            (&self.credential_source, "`credential_source` is refused: it belongs to external-account"),
            (&self.executable, "`executable` is refused: this server runs no command of a file"),
            (&self.token_url, "`token_url` is refused: it belongs to external-account"),
            (
                &self.service_account_impersonation_url,
                "`service_account_impersonation_url` is refused: use impersonation",
            ),
            (&self.source_credentials, "`source_credentials` is refused: use impersonation"),
        ];
        keys.iter().find(|(key, _)| key.is_some()).map_or(Ok(()), |(_, problem)| Err(*problem))
    }
}

/// Wiped when it is dropped, also when the rest does not parse.
struct Wiped(SecretText);

impl Wiped {
    fn word(&self) -> bool {
        word(self.0.reveal())
    }
}

impl<'de> Deserialize<'de> for Wiped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretText::new(text)))
    }
}

fn word(text: &str) -> bool {
    (1..=WORD_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

const NO_KEY: &str = "`private_key` must be an RSA key of 2,048 to 4,096 bits in PEM, not encrypted";
const SUBJECT_TYPES: [&str; 3] = [
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:id_token",
    "urn:ietf:params:oauth:token-type:saml2",
];
const URL_LENGTH_MAX: usize = 2048;
const WORD_LENGTH_MAX: usize = 4096;
