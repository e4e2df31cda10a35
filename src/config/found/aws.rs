//! AWS profiles: static keys, and roles that are assumed with them.
//!
//! Never runs a `credential_process`, never follows SSO or the metadata of a
//! machine: such a profile is named and passed over.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::ini::{Section, sections};
use super::{FINDINGS_MAX, Found, Machine, Search, name_of, secret, word};

const TYPE: &str = "aws";
/// Roles before the last one that a connector takes.
const CHAIN_LENGTH_MAX: usize = 5;
/// The profile without a name.
const DEFAULT: &str = "default";
/// What a profile may ask for that a file alone cannot give.
const NOT_STATIC: &[(&str, &str)] = &[
    ("credential_process", "it would run a command; hand its keys in with --secrets -"),
    ("sso_session", "SSO sessions end within hours and cannot be renewed by a server; use a role or a user's key"),
    ("sso_start_url", "SSO sessions end within hours and cannot be renewed by a server; use a role or a user's key"),
    ("web_identity_token_file", "its token is of this machine; use the method web-identity"),
    ("credential_source", "it is an identity of this machine; use the method implicit on the server"),
    ("mfa_serial", "it asks for a code each time; register its key with the method session-token"),
];
/// Where tools that write sessions into a profile say when they end.
const ENDS: &[&str] = &["aws_session_expiration", "x_security_token_expires", "aws_expiration", "expiration"];

/// Looks at the environment and at both files.
pub fn look(machine: &Machine, search: &mut Search) {
    let region = machine.variable("AWS_REGION").or_else(|| machine.variable("AWS_DEFAULT_REGION"));
    if let Some(section) = environment(machine) {
        let profiles = Profiles { all: BTreeMap::from([(String::new(), section)]), region: region.as_deref() };
        profiles.take("", "aws:environment", "environment", search);
    }
    let profiles = Profiles { all: read(machine, search), region: region.as_deref() };
    let wanted = machine.variable("AWS_PROFILE");
    if let Some(wanted) = &wanted
        && !profiles.all.contains_key(wanted)
    {
        search.pass_over("AWS_PROFILE", "names a profile that is in neither file");
    }
    let names = profiles.all.keys().filter(|name| wanted.as_ref().is_none_or(|wanted| wanted == *name));
    for name in names.take(FINDINGS_MAX) {
        if let Some(shown) = word(name) {
            profiles.take(name, &format!("aws:{shown}"), shown, search);
        }
    }
}

fn environment(machine: &Machine) -> Option<Section> {
    let pairs = [
        ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
        ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        ("aws_session_token", "AWS_SESSION_TOKEN"),
        ("aws_session_expiration", "AWS_CREDENTIAL_EXPIRATION"),
    ];
    let taken = |(key, variable): (&str, &str)| Some((key.to_owned(), Zeroizing::new(machine.variable(variable)?)));
    let section: Section = pairs.into_iter().filter_map(taken).collect();
    section.contains_key("aws_access_key_id").then_some(section)
}

/// Both files as one; the credentials file counts where both say something.
fn read(machine: &Machine, search: &mut Search) -> BTreeMap<String, Section> {
    let mut all: BTreeMap<String, Section> = BTreeMap::new();
    let config = machine.path("AWS_CONFIG_FILE", ".aws/config");
    if let Some(text) = machine.text(&config, search) {
        for (name, section) in sections(&text) {
            let profile = if name == DEFAULT { Some(DEFAULT) } else { name.strip_prefix("profile ").map(str::trim) };
            all.extend(profile.map(|profile| (profile.to_owned(), section)));
        }
    }
    let credentials = machine.path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
    if let Some(text) = machine.text(&credentials, search) {
        for (name, section) in sections(&text) {
            all.entry(name).or_default().extend(section);
        }
    }
    all
}

struct Profiles<'a> {
    all: BTreeMap<String, Section>,
    region: Option<&'a str>,
}

/// A key and the roles from it to a profile, the profile's own last.
struct Route<'a> {
    key: &'a Section,
    roles: Vec<&'a str>,
}

impl Profiles<'_> {
    /// Puts a profile among what was found, or says why not.
    fn take(&self, name: &str, source: &str, suggested: &str, search: &mut Search) {
        match self.found(name, source, suggested) {
            Ok(Some(found)) => search.found.push(found),
            // A profile of settings alone, such as a region.
            Ok(None) => {}
            Err(why) => search.pass_over(source, why),
        }
    }

    fn found(&self, name: &str, source: &str, suggested: &str) -> Result<Option<Found>, &'static str> {
        let Some(route) = self.route(name)? else { return Ok(None) };
        let own = self.all.get(name).ok_or("there is no such profile")?;
        let mut settings = Map::new();
        let mut notes = Vec::new();
        let region = own.get("region").map(|region| region.as_str()).and_then(word).or(self.region);
        match region {
            Some(region) => drop(settings.insert("region".to_owned(), region.into())),
            None => notes.push("it names no region: give --set region=REGION".to_owned()),
        }
        if let Some(url) = own.get("endpoint_url").and_then(|url| word(url)) {
            settings.insert("endpoint_url".to_owned(), url.into());
            notes.push("the server must allow this endpoint: [outbound] allowed_endpoints".to_owned());
        }
        let token = route.key.get("aws_session_token").filter(|token| !token.is_empty());
        let mut secrets = vec![
            ("aws_access_key_id", secret(text(route.key, "aws_access_key_id")?)),
            ("aws_secret_access_key", secret(text(route.key, "aws_secret_access_key")?)),
        ];
        let mut secret_expires_at = None;
        let auth_method = match (route.roles.as_slice(), token) {
            ([], None) => "secret-key",
            ([], Some(token)) => {
                secrets.push(("aws_session_token", secret(token)));
                secret_expires_at =
                    ENDS.iter().find_map(|key| own.get(*key).and_then(|end| word(end))).map(str::to_owned);
                if secret_expires_at.is_none() {
                    notes.push("it does not say when it ends: give --secret-expires-in LENGTH".to_owned());
                }
                notes.push("it is a session, and ends with it: good to try things, not to keep".to_owned());
                "sts-token"
            }
            (_, Some(_)) => return Err("its role is assumed with a session, which ends; a user's key is needed"),
            ([before @ .., last], None) => {
                role(&mut settings, own, before, last);
                "iam-role"
            }
        };
        Ok(Some(Found {
            source: source.to_owned(),
            name: name_of(TYPE, suggested),
            connector_type: TYPE,
            auth_method,
            settings,
            secrets,
            secret_expires_at,
            notes,
        }))
    }

    /// Follows source profiles to a key. Nothing for a profile without any.
    fn route(&self, name: &str) -> Result<Option<Route<'_>>, &'static str> {
        let (mut at, mut roles, mut seen) = (name, Vec::new(), Vec::new());
        loop {
            let Some(section) = self.all.get(at) else { return Err("its source_profile does not exist") };
            if let Some((_, why)) = NOT_STATIC.iter().find(|(key, _)| section.contains_key(*key)) {
                return Err(why);
            }
            let role = section.get("role_arn").map(|role| role.as_str());
            let keyed = section.contains_key("aws_access_key_id");
            seen.push(at);
            roles.extend(role);
            let next = section.get("source_profile").map(|next| next.as_str());
            match (role, next) {
                // A profile with keys that names itself assumes its role with them.
                (Some(_), Some(next)) if next == at && keyed => break,
                (Some(_), Some(next)) if seen.contains(&next) => return Err("its source profiles go in a circle"),
                (Some(_), Some(next)) if roles.len() <= CHAIN_LENGTH_MAX => at = next,
                (Some(_), Some(_)) => return Err("it goes through more roles than a connector takes"),
                (Some(_), None) => return Err("it has a role and no source_profile"),
                (None, _) if keyed => break,
                (None, _) if roles.is_empty() => return Ok(None),
                (None, _) => return Err("the profile at the end of its source profiles has no key"),
            }
        }
        roles.reverse();
        Ok(self.all.get(at).map(|key| Route { key, roles }))
    }
}

fn role(settings: &mut Map<String, Value>, own: &Section, before: &[&str], last: &str) {
    settings.insert("role_arn".to_owned(), last.into());
    if !before.is_empty() {
        settings.insert("role_chain".to_owned(), before.into());
    }
    if let Some(id) = own.get("external_id") {
        settings.insert("external_id".to_owned(), id.as_str().into());
    }
    if let Some(seconds) = own.get("duration_seconds").and_then(|text| text.parse::<u32>().ok()) {
        settings.insert("max_session_duration".to_owned(), seconds.into());
    }
}

fn text<'a>(section: &'a Section, key: &str) -> Result<&'a str, &'static str> {
    let value = section.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty());
    value.ok_or("it has half a key: aws_access_key_id and aws_secret_access_key belong together")
}
