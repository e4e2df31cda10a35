//! What the fake answers beside Entra: the resource manager, blob storage and
//! a registry. Each takes tokens for itself alone.

use serde_json::{Value, json};

use super::fake::{Asked, State, TENANT, delegation_value, taken, token_of};
use super::place::{KUBERNETES, REGISTRY, STORAGE};

/// The subscription.
pub const SUBSCRIPTION: &str = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
/// The registry's login server.
pub const REGISTRY_HOST: &str = "mlteam.azurecr.io";
/// Its repository, which the principal may pull and push and not delete.
pub const REPOSITORY: &str = "base/model";
/// Storage accounts in one page of their list.
pub const ACCOUNTS_A_PAGE: usize = 12;
/// The resource manager's audience.
const MANAGEMENT: &str = "https://management.azure.com";

/// Whatever is not Entra.
pub fn answer(asked: &Asked, state: &State) -> (u16, String) {
    let path = asked.line.split(' ').nth(1).unwrap_or_default();
    if path.starts_with("/oauth2/") {
        return registry(asked, state, path);
    }
    let bearer = asked.headers.get("authorization").and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    if path.starts_with("/subscriptions") {
        if taken(bearer, &[MANAGEMENT]).is_none() {
            return (401, manager_error("InvalidAuthenticationToken"));
        }
        return manager(asked, state);
    }
    if taken(bearer, &[STORAGE]).is_none() || !asked.headers.contains_key("x-ms-version") {
        return (401, storage_error("InvalidAuthenticationInfo"));
    }
    storage(asked)
}

fn manager_error(code: &str) -> String {
    json!({"error": {"code": code, "message": "the client does not have authorization"}}).to_string()
}

fn storage_error(code: &str) -> String {
    format!("\u{feff}<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>")
}

fn manager(asked: &Asked, state: &State) -> (u16, String) {
    let own = format!("/subscriptions/{SUBSCRIPTION}");
    let cluster = format!("{own}/resourceGroups/ml/providers/Microsoft.ContainerService/managedClusters/train");
    let accounts = format!("{own}/providers/Microsoft.Storage/storageAccounts");
    let clusters = format!("{own}/providers/Microsoft.ContainerService/managedClusters");
    let registries = format!("{own}/providers/Microsoft.ContainerRegistry/registries");
    let host = "train-dns.hcp.westeurope.azmk8s.io";
    let body: Value = match asked.line.split_once(' ') {
        Some(("GET", "/subscriptions")) => json!({"value": [{"subscriptionId": SUBSCRIPTION}]}),
        Some(("GET", path)) if path == own => json!({"subscriptionId": SUBSCRIPTION}),
        Some(("GET", path)) if path == accounts || path.starts_with(&format!("{own}/resourceGroups/ML/")) => {
            match storage_accounts(path, asked, state) {
                Some(body) => body,
                None => return (403, manager_error("AuthorizationFailed")),
            }
        }
        Some(("GET", path)) if path == clusters => match asked.fields.get("$skiptoken").map(String::as_str) {
            None => {
                let next = format!("{}{clusters}?api-version=2024-05-01&$skiptoken=more%20please", state.url);
                json!({"value": [{"id": cluster}], "nextLink": next})
            }
            Some("more please") => json!({"value": [{"id": cluster.replace("/train", "/Serve")}]}),
            Some(_) => return (400, manager_error("InvalidSkipToken")),
        },
        Some(("GET", path)) if path == registries => {
            json!({"value": [{"id": "x", "properties": {"loginServer": REGISTRY_HOST}}]})
        }
        Some(("GET", path)) if path == cluster => {
            json!({"properties": {"fqdn": host, "aadProfile": {"managed": true}}})
        }
        Some(("POST", path)) if path == format!("{cluster}/listClusterUserCredential") => {
            json!({"kubeconfigs": [{"name": "clusterUser", "value": kubeconfig(host)}]})
        }
        _ => return (403, manager_error("AuthorizationFailed")),
    };
    (200, body.to_string())
}

/// The accounts of the subscription, and the containers of each, in pages.
fn storage_accounts(path: &str, asked: &Asked, state: &State) -> Option<Value> {
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/ML/providers/Microsoft.Storage/storageAccounts");
    let page = asked.fields.get("$skiptoken").map_or(Some(0), |text| text.parse::<usize>().ok())?;
    let pages: Vec<Vec<Value>> = match path.strip_prefix(&format!("{group}/")) {
        None => {
            let of = |name: &String| json!({"id": format!("{group}/{name}"), "name": name});
            state.manner.accounts().chunks(ACCOUNTS_A_PAGE).map(|page| page.iter().map(of).collect()).collect()
        }
        Some(rest) => {
            let name = rest.strip_suffix("/blobServices/default/containers")?;
            if !state.manner.accounts().iter().any(|own| own == name) || name.starts_with("closed") {
                return None;
            }
            let of = |name: &&str| json!({"name": name});
            let list = |names: &[&str]| names.iter().map(of).collect();
            if name == "mldata" {
                vec![list(&["datasets", "$logs"])]
            } else {
                vec![list(&["models", "first"]), list(&["more"])]
            }
        }
    };
    let next = format!("{}{path}?api-version=2023-05-01&$skiptoken={}", state.url, page + 1);
    let next = if page + 1 < pages.len() { json!(next) } else { Value::Null };
    Some(json!({"value": pages.get(page)?, "nextLink": next}))
}

fn kubeconfig(host: &str) -> String {
    use base64::Engine as _;
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let ca = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap().cert.pem();
    encode(format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: train\n  cluster:\n    server: https://{host}:443\n    \
         certificate-authority-data: {}\nusers:\n- name: u\n  user:\n    client-key-data: {}\n",
        encode(ca),
        encode("the-cluster-admins-key".to_owned())
    ))
}

fn storage(asked: &Asked) -> (u16, String) {
    let field = |name: &str| asked.fields.get(name).map(String::as_str);
    match (asked.line.as_str(), field("comp")) {
        ("POST /mldata/", Some("userdelegationkey")) => {
            let part = |tag: &str| {
                let (_, rest) = asked.body.split_once(&format!("<{tag}>")).unwrap();
                rest.split('<').next().unwrap().to_owned()
            };
            let (start, expiry) = (part("Start"), part("Expiry"));
            let value = delegation_value(&start, &expiry);
            (
                200,
                format!(
                    "\u{feff}<?xml version=\"1.0\"?><UserDelegationKey><SignedOid>{}</SignedOid><SignedTid>{TENANT}</SignedTid>\
                     <SignedStart>{start}</SignedStart><SignedExpiry>{expiry}</SignedExpiry><SignedService>b</SignedService>\
                     <SignedVersion>2022-11-02</SignedVersion><Value>{value}</Value></UserDelegationKey>",
                    super::fake::OBJECT
                ),
            )
        }
        ("GET /mldata/", Some("list")) => {
            let (name, next) = match field("marker") {
                None => ("datasets", "<NextMarker>/mldata/models</NextMarker>"),
                Some("/mldata/models") => ("models", "<NextMarker />"),
                Some(_) => return (400, storage_error("InvalidQueryParameterValue")),
            };
            let list = format!("<Containers><Container><Name>{name}</Name></Container></Containers>{next}");
            (200, format!("<EnumerationResults>{list}</EnumerationResults>"))
        }
        ("GET /mldata/datasets", Some("list")) => {
            (200, "<EnumerationResults><Blobs /></EnumerationResults>".to_owned())
        }
        _ => (403, storage_error("AuthorizationPermissionMismatch")),
    }
}

/// What is asked for, cut to what the principal may do, as the registry does.
fn registry(asked: &Asked, state: &State, path: &str) -> (u16, String) {
    let field = |name: &str| asked.fields.get(name).map(String::as_str).unwrap_or_default();
    let now = jiff::Timestamp::now().as_second();
    if field("service") != REGISTRY_HOST {
        return (401, "{}".to_owned());
    }
    match (path, field("grant_type")) {
        ("/oauth2/exchange", "access_token") => {
            let good = taken(field("access_token"), &[REGISTRY, MANAGEMENT]).is_some() && field("tenant") == TENANT;
            let refresh = token_of(&json!({"aud": REGISTRY_HOST, "exp": now + 3 * 3600, "use": "refresh"}));
            if good { (200, json!({ "refresh_token": refresh }).to_string()) } else { (401, "{}".to_owned()) }
        }
        ("/oauth2/token", "refresh_token") => {
            let refresh = taken(field("refresh_token"), &[REGISTRY_HOST]).filter(|claims| claims["use"] == "refresh");
            let scope: Vec<&str> = field("scope").split(':').collect();
            let (Some(_), ["repository", name, actions]) = (refresh, scope.as_slice()) else {
                return (401, "{}".to_owned());
            };
            let granted: Vec<&str> =
                actions.split(',').filter(|action| *name == REPOSITORY && *action != "delete").collect();
            let own = json!([{"type": "repository", "name": name, "actions": granted}]);
            let access = state.manner.access.clone().unwrap_or(own);
            let claims = json!({"aud": REGISTRY_HOST, "exp": now + 4500, "use": "access", "access": access});
            (200, json!({"access_token": token_of(&claims)}).to_string())
        }
        _ => (400, "{}".to_owned()),
    }
}

/// So that the audience of clusters is not taken for another's.
pub fn for_clusters(text: &str) -> bool {
    taken(text, &[KUBERNETES]).is_some()
}
