//! What `az login` left: subscriptions, service principals with their secret,
//! and, where it is not encrypted, the token of a person.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{FINDINGS_MAX, Found, Machine, Search, field, name_of, secret};

const TYPE: &str = "azure";
/// Whose tokens are for the resource manager.
const MANAGERS: &[&str] = &["https://management.core.windows.net", "https://management.azure.com"];

/// Looks at the environment and at the folder of az.
pub fn look(machine: &Machine, search: &mut Search) {
    let folder = machine.path("AZURE_CONFIG_DIR", ".azure");
    let subscriptions = subscriptions(machine, search);
    environment(machine, &subscriptions, search);
    let entries = machine.text(&folder.join("service_principal_entries.json"), search);
    let entries: Vec<Map<String, Value>> =
        entries.and_then(|text| serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()).unwrap_or_default();
    for entry in entries.iter().take(FINDINGS_MAX) {
        principal(machine, entry, &subscriptions, search);
    }
    tokens(machine, &subscriptions, search);
    for encrypted in ["msal_token_cache.bin", "service_principal_entries.bin"] {
        if folder.join(encrypted).is_file() {
            search.pass_over(&format!("azure:{encrypted}"), "is encrypted for az alone");
        }
    }
    let person = subscriptions.iter().any(|one| one.person);
    if person && !search.found.iter().any(|found| found.connector_type == TYPE) {
        search.pass_over(
            "azure:login",
            "is a person's login, which a server cannot renew; make a service principal: az ad sp create-for-rbac",
        );
    }
}

/// A subscription of `az login`.
struct Subscription {
    id: String,
    tenant: String,
    cloud: &'static str,
    default: bool,
    person: bool,
}

fn subscriptions(machine: &Machine, search: &mut Search) -> Vec<Subscription> {
    let path = machine.path("AZURE_CONFIG_DIR", ".azure").join("azureProfile.json");
    let Some(profile) = machine.json(&path, search) else { return Vec::new() };
    let all = profile.get("subscriptions").and_then(Value::as_array).into_iter().flatten();
    let read = |one: &Value| {
        let one = one.as_object()?;
        let user = one.get("user").and_then(Value::as_object);
        Some(Subscription {
            id: lower(field(one, "id")?),
            tenant: lower(field(one, "tenantId")?),
            cloud: cloud(field(one, "environmentName").unwrap_or_default()),
            default: one.get("isDefault").and_then(Value::as_bool).unwrap_or_default(),
            person: user.and_then(|user| field(user, "type")) == Some("user"),
        })
    };
    all.filter_map(read).take(FINDINGS_MAX).collect()
}

/// Ids are compared in lower case, whatever the portal showed.
fn lower(id: &str) -> String {
    id.to_ascii_lowercase()
}

fn cloud(environment: &str) -> &'static str {
    match environment {
        "AzureChinaCloud" => "china",
        "AzureUSGovernment" => "usgov",
        _ => "public",
    }
}

/// What every method says of a tenant: its default subscription and cloud.
fn settings(tenant: &str, subscriptions: &[Subscription]) -> Map<String, Value> {
    let mut settings = Map::from_iter([("tenant_id".to_owned(), tenant.into())]);
    let mut mine = subscriptions.iter().filter(|one| one.tenant == tenant).collect::<Vec<_>>();
    mine.sort_by_key(|one| !one.default);
    if let Some(one) = mine.first() {
        settings.insert("subscription_id".to_owned(), one.id.as_str().into());
        if one.cloud != "public" {
            settings.insert("cloud".to_owned(), one.cloud.into());
        }
    }
    settings
}

fn environment(machine: &Machine, subscriptions: &[Subscription], search: &mut Search) {
    let variable = |name: &str| machine.variable(name);
    let (Some(client), Some(tenant)) = (variable("AZURE_CLIENT_ID"), variable("AZURE_TENANT_ID")) else { return };
    let mut entry = Map::from_iter([("client_id".to_owned(), client.into()), ("tenant".to_owned(), tenant.into())]);
    let secrets = [("client_secret", "AZURE_CLIENT_SECRET"), ("certificate", "AZURE_CLIENT_CERTIFICATE_PATH")];
    entry.extend(secrets.into_iter().filter_map(|(key, name)| Some((key.to_owned(), variable(name)?.into()))));
    principal(machine, &entry, subscriptions, search);
}

/// A service principal with its secret, or with the file of its certificate.
fn principal(machine: &Machine, entry: &Map<String, Value>, subscriptions: &[Subscription], search: &mut Search) {
    let id = |name: &str| field(entry, name).map(lower);
    let (Some(client), Some(tenant)) = (id("client_id"), id("tenant")) else { return };
    let source = format!("azure:{client}");
    if search.found.iter().any(|found| found.source == source) {
        return;
    }
    let held = match (entry.get("client_secret").and_then(Value::as_str), field(entry, "certificate")) {
        (Some(text), _) => Some(("client_secret", secret(text))),
        (None, Some(path)) => certificate(machine, path, search).map(|pem| ("client_certificate", pem)),
        (None, None) => None,
    };
    let Some(held) = held else {
        return search.pass_over(&source, "has neither a secret nor a readable certificate here");
    };
    let mut settings = settings(&tenant, subscriptions);
    settings.insert("client_id".to_owned(), client.as_str().into());
    search.found.push(Found {
        name: name_of(TYPE, &client),
        source,
        connector_type: TYPE,
        auth_method: "service-principal",
        settings,
        secrets: vec![held],
        secret_expires_at: None,
        notes: Vec::new(),
    });
}

fn certificate(machine: &Machine, path: &str, search: &mut Search) -> Option<Zeroizing<Vec<u8>>> {
    let text = machine.text(path.as_ref(), search)?;
    text.contains("-----BEGIN").then(|| secret(&text))
}

/// Where az keeps its cache in plain text: the newest token of each tenant for
/// the resource manager, good for about an hour.
fn tokens(machine: &Machine, subscriptions: &[Subscription], search: &mut Search) {
    let path = machine.path("AZURE_CONFIG_DIR", ".azure").join("msal_token_cache.json");
    let Some(cache) = machine.json(&path, search) else { return };
    let mut newest: Vec<(String, i64, &str)> = Vec::new();
    for one in cache.get("AccessToken").and_then(Value::as_object).into_iter().flat_map(Map::values) {
        let Some(token) = one.as_object().and_then(manager_token) else { continue };
        newest.retain(|(tenant, ends, _)| *tenant != token.0 || *ends > token.1);
        if newest.iter().all(|(tenant, ..)| *tenant != token.0) && newest.len() < FINDINGS_MAX {
            newest.push(token);
        }
    }
    for (tenant, ends, token) in newest {
        search.found.push(Found {
            source: format!("azure:login:{tenant}"),
            name: name_of(TYPE, "login"),
            connector_type: TYPE,
            auth_method: "access-token",
            settings: settings(&tenant, subscriptions),
            secrets: vec![("token", secret(token))],
            secret_expires_at: jiff::Timestamp::from_second(ends).ok().map(|end| end.to_string()),
            notes: vec!["it is a person's token for about an hour: good to try things, not to keep".to_owned()],
        });
    }
}

/// Tenant, end and token, when it is for the resource manager.
fn manager_token(one: &Map<String, Value>) -> Option<(String, i64, &str)> {
    let target = one.get("target").and_then(Value::as_str)?;
    if !MANAGERS.iter().any(|manager| target.starts_with(manager)) {
        return None;
    }
    let ends = one.get("expires_on").and_then(Value::as_str)?.parse().ok()?;
    Some((lower(field(one, "realm")?), ends, one.get("secret").and_then(Value::as_str)?))
}
