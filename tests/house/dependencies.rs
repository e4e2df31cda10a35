//! What is depended on: each line of Cargo.toml says what for, and the crates that must never come in stay out.
//!
//! The same list stands in `deny.toml` for `cargo deny`, which knows advisories too but takes minutes to
//! install; this test reads the lock file in no time on every run. Advisories it does not know: `deny.toml` says so.

/// Every dependency line without a comment.
pub fn without_a_reason(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut findings = Vec::new();
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section.ends_with("dependencies") && line.contains('=') && !line.starts_with('#') {
            let reason = line.rsplit_once(" # ").map_or("", |(_, reason)| reason.trim());
            if reason.is_empty() {
                findings.push(format!("Cargo.toml:{}: does not say what for: {line}", number + 1));
            }
        }
    }
    findings
}

/// Every locked crate that is banned.
pub fn banned(lock: &str) -> Vec<String> {
    let locked: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
    assert!(!locked.is_empty(), "Cargo.lock names no crate");
    let names = locked.into_iter().map(|name| name.trim_matches('"'));
    let found = names.filter_map(|name| BANNED.iter().find(|(banned, _)| *banned == name));
    found.map(|(name, reason)| format!("Cargo.lock: {name}: {reason}")).collect()
}

/// Every locked crate that comes from elsewhere than crates.io; our own has no source.
pub fn from_elsewhere(lock: &str) -> Vec<String> {
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(!packages.is_empty(), "Cargo.lock names no crate");
    let value = |package: &str, key: &str| {
        package
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ").map(|text| text.trim_matches('"').to_owned()))
    };
    let source = |package: &&str| (value(package, "name").unwrap_or_default(), value(package, "source"));
    let sources = packages.iter().map(source).filter(|(name, source)| match source {
        Some(source) => source != CRATES_IO,
        None => name != "valetkey",
    });
    let said = |source: Option<String>| source.unwrap_or_else(|| "a path".to_owned());
    sources.map(|(name, source)| format!("Cargo.lock: {name}: comes from {}", said(source))).collect()
}

/// Every banned crate that `deny.toml` would let in.
pub fn not_in_deny(deny: &str) -> Vec<String> {
    let named = |name: &str| deny.contains(&format!("{{ crate = \"{name}\"")) || deny.contains(&format!("\"{name}\""));
    let lost = BANNED.iter().filter(|(name, _)| !named(name));
    lost.map(|(name, _)| format!("deny.toml: does not ban {name}")).collect()
}

/// As the lock file writes it, whatever mirror a machine fetches from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "a second TLS and C code we do not build"),
    ("native-tls", "a second TLS"),
    ("aws-lc-sys", "a second crypto provider; ours is ring"),
    ("aws-lc-rs", "a second crypto provider; ours is ring"),
    ("rsa", "RUSTSEC-2023-0071, a timing leak without a fix"),
    ("serde_yaml", "unmaintained; serde_yaml_ng is kept"),
];

#[test]
fn a_dependency_without_a_reason_is_found() {
    let of = |manifest: &str| without_a_reason(manifest).len();
    assert_eq!(of("[dependencies]\na = \"1\" # for a\n# heading\nb = { version = \"1\" }\n"), 1);
    assert_eq!(of("[dev-dependencies]\na = \"1\"\n[build-dependencies]\nb = \"1\" # \n"), 2);
    assert_eq!(of("[package]\nname = \"x\"\n[profile.dev]\ndebug = 1\n"), 0);
}

#[test]
fn a_banned_crate_is_found() {
    let of = |name: &str| banned(&format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n")).len();
    for (name, _) in BANNED {
        assert_eq!(of(name), 1, "{name}");
    }
    assert_eq!(of("ring"), 0);
    assert_eq!(of("rsa-pss-names"), 0);
}

#[test]
fn a_crate_from_elsewhere_is_found() {
    let of = |name: &str, source: &str| {
        from_elsewhere(&format!("version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{source}")).len()
    };
    assert_eq!(of("a", &format!("source = \"{CRATES_IO}\"\n")), 0);
    assert_eq!(of("valetkey", ""), 0);
    assert_eq!(of("a", ""), 1, "a path");
    assert_eq!(of("a", "source = \"git+https://github.com/a/a#0123\"\n"), 1);
    assert_eq!(of("a", "source = \"registry+https://crates.example.com/index\"\n"), 1);
}

#[test]
fn a_ban_that_deny_lacks_is_found() {
    assert_eq!(not_in_deny("").len(), BANNED.len());
    assert_eq!(not_in_deny("deny = [{ crate = \"rsa\" }]").len(), BANNED.len() - 1);
}
