//! Which registry, in one spelling, and where its API and its token service
//! are. Pure.
//!
//! The token service is where the password goes: it is the one that was set,
//! the registry's own host, or a well-known one. What a registry says of it
//! is compared with that and never followed.

use url::Url;

/// Docker Hub's id.
pub const HUB: &str = "docker.io";
/// Docker Hub's API.
const HUB_API: &str = "registry-1.docker.io";
/// Docker Hub's token service.
const HUB_TOKENS: &str = "https://auth.docker.io/token";
/// Other names of Docker Hub.
const HUB_NAMES: &[&str] = &["index.docker.io", "registry-1.docker.io", "hub.docker.com", "registry.hub.docker.com"];
/// Where official images are.
const HUB_OFFICIAL: &str = "library";
/// The longest host with its port.
const HOST_LENGTH_MAX: usize = 260;
/// The longest name of a repository (OCI distribution: 255 with the host).
const REPOSITORY_LENGTH_MAX: usize = 255;
/// The longest URL of a token service.
const URL_LENGTH_MAX: usize = 512;

/// A registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `host[:port]`, in lower case; `docker.io` for Docker Hub.
    pub host: String,
    /// Spoken to in the clear.
    pub plain: bool,
}

impl Place {
    /// The registry of `HOST[:PORT]`, with a scheme or without, or of Docker
    /// Hub's old address.
    pub fn parse(text: &str) -> Option<Self> {
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("https://").unwrap_or(text)),
        };
        let rest = rest.strip_suffix("/v1/").or_else(|| rest.strip_suffix("/v2/")).unwrap_or(rest);
        Some(Self { host: host(rest.trim_end_matches('/'), plain)?, plain })
    }

    /// `scheme://host[:port]` of its API.
    pub fn base(&self) -> String {
        let host = if self.host == HUB { HUB_API } else { &self.host };
        format!("{}://{host}", if self.plain { "http" } else { "https" })
    }

    /// `scheme://host[:port]` as its users name it.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", if self.plain { "http" } else { "https" }, self.host)
    }

    /// The token service that gets the password, when the registry's answer
    /// says `realm` and `set` is what the engineer set. Nothing when the
    /// registry names a place that nobody agreed to.
    pub fn token_service(&self, realm: &str, set: Option<&str>) -> Option<Url> {
        if let Some(set) = set {
            return service_url(set);
        }
        if self.host == HUB {
            return (realm == HUB_TOKENS).then(|| service_url(HUB_TOKENS)).flatten();
        }
        let realm = service_url(realm)?;
        let own = Url::parse(&self.base()).ok()?;
        (realm.origin() == own.origin()).then_some(realm)
    }
}

/// The URL of a token service: one that a password may be sent to.
pub fn service_url(text: &str) -> Option<Url> {
    let fits =
        text.len() <= URL_LENGTH_MAX && text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains(['@', '\\']);
    let url = Url::parse(text).ok().filter(|_| fits)?;
    let web = matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none();
    (web && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// Splits `HOST[:PORT][/REPOSITORY]`, with a scheme or without.
pub fn split(text: &str) -> Option<(Place, Option<String>)> {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at_checked(at + 3)?,
        None => ("", text),
    };
    let rest = if rest.trim_end_matches('/') == "index.docker.io/v1" { HUB } else { rest };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let place = Place::parse(&format!("{scheme}{host}"))?;
    match path.trim_end_matches('/') {
        "" => Some((place, None)),
        path => {
            let name = repository(&place, path)?;
            Some((place, Some(name)))
        }
    }
}

/// A repository's whole name: an official image of Docker Hub has a folder.
fn repository(place: &Place, path: &str) -> Option<String> {
    let whole = if place.host == HUB && !path.contains('/') { format!("{HUB_OFFICIAL}/{path}") } else { path.into() };
    let fits = whole.len() <= REPOSITORY_LENGTH_MAX && whole.split('/').all(component);
    fits.then_some(whole)
}

/// OCI distribution: letters and digits, separated by one dot, one or two
/// underscores, or hyphens. No tag, no digest.
fn component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<u8>| byte.is_some_and(word);
    let separators = || text.split(|c: char| u8::try_from(c).is_ok_and(word)).filter(|part| !part.is_empty());
    let separator = |part: &str| matches!(part, "." | "_" | "__") || part.bytes().all(|byte| byte == b'-');
    ends(text.bytes().next()) && ends(text.bytes().last()) && separators().all(separator)
}

/// Whether a catalog may name it.
pub fn repository_name(text: &str) -> bool {
    text.len() <= REPOSITORY_LENGTH_MAX && text.split('/').all(component)
}

fn host(text: &str, plain: bool) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
        None => (text.as_str(), None),
    };
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let labels = name.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    if text.len() > HOST_LENGTH_MAX || !name.bytes().all(letter) || !labels {
        return None;
    }
    let implied = if plain { 80 } else { 443 };
    match port.filter(|port| *port != implied) {
        Some(port) => Some(format!("{name}:{port}")),
        None if name == HUB || HUB_NAMES.contains(&name) => Some(HUB.to_owned()),
        None => Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<String> {
        let (place, repository) = split(text)?;
        Some(repository.map_or_else(|| place.host.clone(), |name| format!("{}/{name}", place.host)))
    }

    #[test]
    fn one_registry_and_one_repository_have_one_spelling() {
        for (raw, canonical) in [
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io/v1/", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io/ubuntu", "docker.io/library/ubuntu"),
            ("docker.io/library/ubuntu", "docker.io/library/ubuntu"),
            ("index.docker.io/team/model", "docker.io/team/model"),
            ("https://Registry.Example.com:443/", "registry.example.com"),
            ("registry.example.com:5000/team/model_1.0--a", "registry.example.com:5000/team/model_1.0--a"),
            ("http://127.0.0.1:5000/model", "127.0.0.1:5000/model"),
            ("ghcr.io/team/model", "ghcr.io/team/model"),
        ] {
            assert_eq!(id(raw).as_deref(), Some(canonical), "{raw}");
        }
        for raw in [
            "",
            "/model",
            "host/Model",
            "host/model:latest",
            "host/model@sha256:00",
            "host/a//b",
            "host/../b",
            "host/a..b",
            "host/a___b",
            "host/-a",
            "host/a?b",
            "user@host/a",
            "host:0/a",
            "host:port",
            "ftp://host",
            "-host",
            "a..b",
        ] {
            assert_eq!(id(raw), None, "{raw}");
        }
    }

    #[test]
    fn the_registry_does_not_choose_who_gets_the_password() {
        let of = |registry: &str, realm: &str, set: Option<&str>| {
            Place::parse(registry).unwrap().token_service(realm, set).map(|url| url.to_string())
        };
        let hub = "https://auth.docker.io/token";
        assert_eq!(of("docker.io", hub, None).as_deref(), Some(hub));
        let own = "https://harbor.example/service/token";
        assert_eq!(of("harbor.example", own, None).as_deref(), Some(own));
        assert_eq!(of("ghcr.io", "https://ghcr.io/token", None).as_deref(), Some("https://ghcr.io/token"));
        let set = "https://gitlab.example/jwt/auth";
        assert_eq!(of("registry.gitlab.example", "https://evil.example/token", Some(set)).as_deref(), Some(set));
        for (registry, realm) in [
            ("docker.io", "https://evil.example/token"),
            ("docker.io", "https://registry-1.docker.io/token"),
            ("harbor.example", "https://evil.example/token"),
            ("harbor.example", "http://harbor.example/token"),
            ("harbor.example", "https://harbor.example:444/token"),
            ("harbor.example", "https://harbor.example.evil.example/token"),
            ("harbor.example", "https://user@harbor.example/token"),
            ("harbor.example", "https://harbor.example@evil.example/token"),
            ("harbor.example", "https://harbor.example\\@evil.example/token"),
            ("harbor.example", "//harbor.example/token"),
            ("harbor.example", "file:///etc/passwd"),
            ("harbor.example", ""),
            ("ghcr.io", "https://auth.docker.io/token"),
        ] {
            assert_eq!(of(registry, realm, None), None, "{registry} {realm}");
        }
    }
}
