//! Google's application-default credentials: the file that a variable names,
//! or the one that `gcloud auth application-default login` wrote.

use serde_json::{Map, Value};

use super::ini::sections;
use super::{Found, Machine, Search, field, name_of, secret, word};

const TYPE: &str = "gcp";
const SOURCE: &str = "gcp:adc";
/// Where a file, a command or the metadata of this machine would be asked for
/// a token.
const OF_THIS_MACHINE: &[&str] = &["executable", "file", "environment_id", "certificate"];
/// How Google writes an account in a chain, and how we do not.
const ACCOUNT_HEAD: &str = "projects/-/serviceAccounts/";

/// Looks at the one file there is.
pub fn look(machine: &Machine, search: &mut Search) {
    let folder = machine.path("CLOUDSDK_CONFIG", ".config/gcloud");
    let path = machine
        .variable("GOOGLE_APPLICATION_CREDENTIALS")
        .map_or_else(|| folder.join("application_default_credentials.json"), Into::into);
    let Some(object) = machine.json(&path, search) else { return };
    let project = project(machine, &object, search);
    match found(&object, project) {
        Ok(found) => search.found.push(found),
        Err(why) => search.pass_over(SOURCE, why),
    }
}

/// The project: what the file says, the environment, or gcloud's own config.
fn project(machine: &Machine, object: &Map<String, Value>, search: &mut Search) -> Option<String> {
    let own = field(object, "project_id").or_else(|| field(object, "quota_project_id"));
    if let Some(own) = own {
        return Some(own.to_owned());
    }
    let named = machine.variable("GOOGLE_CLOUD_PROJECT").or_else(|| machine.variable("CLOUDSDK_CORE_PROJECT"));
    named.or_else(|| {
        let folder = machine.path("CLOUDSDK_CONFIG", ".config/gcloud");
        let text = machine.text(&folder.join("configurations/config_default"), search)?;
        let core = sections(&text).remove("core")?;
        core.get("project").and_then(|project| word(project)).map(str::to_owned)
    })
}

fn found(object: &Map<String, Value>, project: Option<String>) -> Result<Found, &'static str> {
    let mut settings = Map::new();
    let mut notes = Vec::new();
    match project {
        Some(project) => drop(settings.insert("project_id".to_owned(), project.into())),
        None => notes.push("it names no project: give --set project_id=PROJECT".to_owned()),
    }
    let whole = || secret(&Value::Object(object.clone()).to_string());
    let (auth_method, field_name, content, who) = match field(object, "type") {
        Some("service_account") => {
            ("service-account", "service_account_json", whole(), field(object, "client_email").unwrap_or("key"))
        }
        Some("authorized_user") => {
            notes.push("it acts as a person: a service account, or impersonation of one, is better to keep".to_owned());
            ("user-account", "user_account_json", whole(), "user")
        }
        Some("impersonated_service_account") => {
            let source = impersonated(object, &mut settings)?;
            ("impersonation", "service_account_json", secret(&source.to_string()), "impersonation")
        }
        Some("external_account") => {
            federated(object, &mut settings, &mut notes)?;
            ("external-account", "external_account_json", whole(), "external")
        }
        Some("external_account_authorized_user") => {
            return Err("a workforce identity ends with its session; use a service account");
        }
        Some(_) | None => return Err("is of no type that can be registered"),
    };
    Ok(Found {
        source: SOURCE.to_owned(),
        name: name_of(TYPE, who.split('@').next().unwrap_or(who)),
        connector_type: TYPE,
        auth_method,
        settings,
        secrets: vec![(field_name, content)],
        secret_expires_at: None,
        notes,
    })
}

/// A configuration whose token a server can get too: from an https URL. What
/// it impersonates goes into the settings, where everybody sees it.
fn federated(
    object: &Map<String, Value>,
    settings: &mut Map<String, Value>,
    notes: &mut Vec<String>,
) -> Result<(), &'static str> {
    let place = object.get("credential_source").and_then(Value::as_object);
    let place = place.filter(|place| !OF_THIS_MACHINE.iter().any(|key| place.contains_key(*key)));
    // Metadata of machines is served over http.
    let url = place.and_then(|place| field(place, "url")).filter(|url| url.starts_with("https://"));
    if url.is_none() {
        return Err("its token comes from a file, URL or command of this machine, which the server does not have; \
                    register external-account with the server's own issuer");
    }
    notes.push("the server gets its token itself and must be allowed to: [outbound] allowed_endpoints".to_owned());
    if object.contains_key("service_account_impersonation_url") {
        settings.insert("target_principal".to_owned(), target(object)?.into());
    }
    Ok(())
}

/// The account that a file impersonates.
fn target(object: &Map<String, Value>) -> Result<&str, &'static str> {
    let url = object.get("service_account_impersonation_url").and_then(Value::as_str).unwrap_or_default();
    let target = url.rsplit("/serviceAccounts/").next().and_then(|rest| rest.strip_suffix(":generateAccessToken"));
    target.and_then(word).filter(|target| target.contains('@')).ok_or("it does not say which account it impersonates")
}

/// The key that impersonates; the account that is impersonated goes into the
/// settings.
fn impersonated<'a>(
    object: &'a Map<String, Value>,
    settings: &mut Map<String, Value>,
) -> Result<&'a Value, &'static str> {
    settings.insert("target_principal".to_owned(), target(object)?.into());
    let delegates = object.get("delegates").and_then(Value::as_array).filter(|list| !list.is_empty());
    if let Some(delegates) = delegates {
        let bare = |one: &Value| Some(Value::from(one.as_str().map(|one| one.trim_start_matches(ACCOUNT_HEAD))?));
        let delegates: Option<Vec<Value>> = delegates.iter().map(bare).collect();
        settings.insert("delegates".to_owned(), delegates.ok_or("its delegates are no accounts")?.into());
    }
    let source = object.get("source_credentials").ok_or("it has no source credentials")?;
    match source.get("type").and_then(Value::as_str) {
        Some("service_account") => Ok(source),
        Some(_) | None => Err("it impersonates as a person; impersonation needs the key of a service account"),
    }
}
