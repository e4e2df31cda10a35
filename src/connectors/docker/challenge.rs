//! What a registry says of how to log in: the header `WWW-Authenticate`
//! (RFC 9110 section 11.6.1). Hostile input: bounded, and refused as a whole
//! when a part of it makes no sense.

/// The longest header that is read, in bytes.
const HEADER_LENGTH_MAX: usize = 4096;
/// The most challenges in one header.
const CHALLENGES_MAX: usize = 8;
/// The most parameters of one challenge.
const PARAMETERS_MAX: usize = 16;

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A token of this realm.
    Bearer {
        /// Where tokens are given; not to be trusted.
        realm: String,
        /// For what; not to be trusted.
        service: Option<String>,
    },
    /// A name and a password.
    Basic,
}

/// The challenge to meet: a token where the registry takes one.
pub fn read(headers: &[String]) -> Option<Challenge> {
    let mut found = Vec::new();
    for header in headers {
        found.extend(parse(header)?);
    }
    let bearer = found.iter().find_map(|raw| {
        let realm = raw.parameter("realm").filter(|_| raw.scheme == "bearer")?;
        Some(Challenge::Bearer { realm: realm.to_owned(), service: raw.parameter("service").map(str::to_owned) })
    });
    let basic = || found.iter().any(|raw| raw.scheme == "basic").then_some(Challenge::Basic);
    bearer.or_else(basic)
}

struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Raw {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

fn parse(header: &str) -> Option<Vec<Raw>> {
    if header.len() > HEADER_LENGTH_MAX {
        return None;
    }
    let mut rest = header;
    let mut found: Vec<Raw> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(found);
        }
        let (word, after) = token(rest)?;
        let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            // A scheme: a blank or the end follows it.
            if !after.is_empty() && !after.starts_with([' ', '\t', ',']) || found.len() >= CHALLENGES_MAX {
                return None;
            }
            found.push(Raw { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            rest = after;
            continue;
        };
        let (value, after) = value_of(value.trim_start_matches([' ', '\t']))?;
        let current = found.last_mut()?;
        let name = word.to_ascii_lowercase();
        if current.parameters.len() >= PARAMETERS_MAX || current.parameter(&name).is_some() {
            return None;
        }
        current.parameters.push((name, value));
        if !after.is_empty() && !after.starts_with([' ', '\t', ',']) {
            return None;
        }
        rest = after;
    }
}

/// A word and what follows it.
fn token(text: &str) -> Option<(&str, &str)> {
    let letter = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !letter(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then_some((word, rest))
}

/// A value, bare or in quotes, and what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text).map(|(word, rest)| (word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(letters.next().map(|(_, escaped)| escaped).filter(|c| !c.is_control())?),
            c if c.is_control() => return None,
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Option<Challenge> {
        read(&[header.to_owned()])
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn the_forms_of_known_registries_are_read() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#;
        assert_eq!(of(hub), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        let ghcr = r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull""#;
        assert_eq!(of(ghcr), bearer("https://ghcr.io/token", Some("ghcr.io")));
        let harbor = r#"Bearer realm="https://h/service/token",service="harbor-registry""#;
        assert_eq!(of(harbor), bearer("https://h/service/token", Some("harbor-registry")));
        assert_eq!(of(r#"Basic realm="Registry Realm""#), Some(Challenge::Basic));
        assert_eq!(of("basic"), Some(Challenge::Basic));
        assert_eq!(of(r#"bEARER  Realm = "a,b\"c" , x=y"#), bearer("a,b\"c", None));
        let both = [r#"Basic realm="x""#.to_owned(), r#"Bearer realm="y""#.to_owned()];
        assert_eq!(read(&both), bearer("y", None), "a token where there is one");
        assert_eq!(of(r#"Basic realm="x", Bearer realm="y", service=z"#), bearer("y", Some("z")));
    }

    #[test]
    fn nonsense_is_refused_as_a_whole() {
        for header in [
            "",
            "Negotiate",
            "Bearer",
            r#"realm="x""#,
            r#"Bearer realm="x"#,
            r#"Bearer realm="x\"#,
            r#"Bearer realm="x"y"#,
            r#"Bearer realm="x", realm="y""#,
            r#"Bearer realm="x", REALM="y""#,
            "Bearer realm=\"a\nb\"",
            "Bearer realm=",
            "Bearer =x",
            "Bearer dG9rZW4=",
            "\u{1f511}",
        ] {
            assert_eq!(of(header), None, "{header:?}");
        }
        assert_eq!(of(&format!("Bearer realm=\"{}\"", "x".repeat(5000))), None, "too long");
        let many: String = (0..20).map(|n| format!("p{n}=x,")).collect();
        assert_eq!(of(&format!("Bearer realm=\"y\",{many}")), None, "too many parameters");
        assert_eq!(of(&"Basic,".repeat(20)), None, "too many challenges");
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_or_refused(header in "[ -~\\t\\n\u{e9}]{0,200}") {
            let _ = of(&header);
        }
    }
}
