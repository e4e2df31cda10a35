//! Docker's logins. Those that are kept by a credential helper are named, and
//! no helper is run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{FINDINGS_MAX, Fields, Found, Machine, Search, field, name_of, secret, word};

const TYPE: &str = "docker";
/// How docker names Docker Hub.
const HUB: &[&str] = &["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"];
/// The user that stands for an identity token, which is sent with none.
const TOKEN_USER: &str = "<token>";
/// What `docker login` to Docker Hub keeps for itself beside a login.
const HUB_OWN: &[&str] = &["https://index.docker.io/v1/access-token", "https://index.docker.io/v1/refresh-token"];

/// Looks at docker's config.
pub fn look(machine: &Machine, search: &mut Search) {
    let path = machine.path("DOCKER_CONFIG", ".docker").join("config.json");
    let Some(config) = machine.json(&path, search) else { return };
    if let Some(store) = field(&config, "credsStore") {
        let why = format!("logins are kept by docker-credential-{store}, which is not run; hand them in by hand");
        search.pass_over("docker", &why);
    }
    for (host, helper) in config.get("credHelpers").and_then(Value::as_object).into_iter().flatten().take(FINDINGS_MAX)
    {
        if let (Some(host), Some(helper)) = (word(host), helper.as_str().and_then(word)) {
            let why = format!("its login is kept by docker-credential-{helper}, which is not run");
            search.pass_over(&format!("docker:{host}"), &why);
        }
    }
    for (host, login) in config.get("auths").and_then(Value::as_object).into_iter().flatten().take(FINDINGS_MAX) {
        let (Some(host), Some(login)) = (word(host), login.as_object()) else { continue };
        if HUB_OWN.contains(&host) {
            search.pass_over(&format!("docker:{host}"), "docker renews it for itself; register an access token");
            continue;
        }
        let registry = registry(host);
        let source = format!("docker:{registry}");
        if !registry.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:[]".contains(&b)) {
            search.pass_over(&source, "its name is no host");
            continue;
        }
        match held(login) {
            Ok(secrets) => search.found.push(Found {
                name: name_of(TYPE, &registry),
                settings: Map::from_iter([("registry".to_owned(), registry.into())]),
                source,
                connector_type: TYPE,
                auth_method: "password",
                secrets,
                secret_expires_at: None,
                notes: Vec::new(),
            }),
            // An empty entry is how docker marks a login that a helper keeps.
            Err(_) if login.is_empty() => {}
            Err(why) => search.pass_over(&source, why),
        }
    }
}

/// `host[:port]`, and `docker.io` for Docker Hub.
fn registry(host: &str) -> String {
    if HUB.contains(&host) {
        return "docker.io".to_owned();
    }
    let bare = host.trim_start_matches("https://").trim_start_matches("http://");
    bare.split('/').next().unwrap_or(bare).to_owned()
}

fn held(login: &Map<String, Value>) -> Result<Fields, &'static str> {
    let pair = login.get("auth").and_then(Value::as_str).map(|auth| decoded(auth).ok_or("its auth is not readable"));
    let pair = pair.transpose()?;
    let user = pair.as_ref().and_then(|pair| pair.split_once(':')).filter(|(user, _)| !user.is_empty());
    if let Some(token) = login.get("identitytoken").and_then(Value::as_str).filter(|token| !token.is_empty()) {
        let user = user.map_or(TOKEN_USER, |(user, _)| user);
        return Ok(vec![("username", secret(user)), ("identity_token", secret(token))]);
    }
    let (user, password) = user.ok_or("it has no user name and password")?;
    let password = password.trim_end_matches('\0');
    if password.is_empty() {
        return Err("it has no password");
    }
    Ok(vec![("username", secret(user)), ("password", secret(password))])
}

fn decoded(auth: &str) -> Option<Zeroizing<String>> {
    let bytes = Zeroizing::new(STANDARD.decode(auth.trim()).ok()?);
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}
