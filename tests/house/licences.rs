//! What may be given away: the licence of every crate that is built, held against the list in `deny.toml`.
//!
//! Cargo itself says what is built and under which licence, without the network. An expression that is not understood
//! is a finding: somebody has to look at it.

use std::process::Command;

use serde_json::Value;

/// Every crate whose licence is not allowed, of what cargo says is built.
pub fn not_allowed(metadata: &str, deny: &str) -> Vec<String> {
    let allowed = allowed(deny);
    assert!(!allowed.is_empty(), "deny.toml allows no licence");
    let said: Value = serde_json::from_str(metadata).expect("cargo's metadata is JSON");
    let packages = said["packages"].as_array().expect("it has packages");
    assert!(!packages.is_empty(), "cargo names no crate");
    let refused = packages.iter().filter(|package| !permits(package["license"].as_str().unwrap_or(""), &allowed));
    refused
        .map(|package| format!("{}: licence {}, which deny.toml does not allow", package["name"], package["license"]))
        .collect()
}

/// What cargo says of every crate that is built here.
pub fn metadata() -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments =
        ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let said = Command::new(cargo).args(arguments).output().expect("cargo runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).expect("it is text")
}

/// The list of `[licenses]`.
fn allowed(deny: &str) -> Vec<&str> {
    let section = deny.split_once("[licenses]").map_or("", |(_, rest)| rest);
    let list = section.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    list.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty()).collect()
}

/// Whether one may choose such that everything that is chosen is allowed.
fn permits(expression: &str, allowed: &[&str]) -> bool {
    // As older crates write it.
    let expression = expression.replace('/', " OR ");
    !expression.trim().is_empty()
        && expression.split(" AND ").all(|part| {
            let part = part.trim();
            let inside = part.strip_prefix('(').map_or(Some(part), |rest| rest.strip_suffix(')'));
            inside.is_some_and(|inside| inside.split(" OR ").any(|one| allowed.contains(&one.trim())))
        })
}

#[test]
fn a_licence_that_nobody_allowed_is_found() {
    let deny = "[bans]\ndeny = []\n[licenses]\nallow = [\n    \"MIT\",\n    \"Apache-2.0\",\n]\n";
    let of = |licence: &str| {
        let crates = serde_json::json!({ "packages": [{ "name": "one", "license": licence }] });
        not_allowed(&crates.to_string(), deny).len()
    };
    for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "MIT AND Apache-2.0", "(MIT OR GPL-3.0) AND Apache-2.0"] {
        assert_eq!(of(good), 0, "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0", "MITX", "(MIT"] {
        assert_eq!(of(bad), 1, "{bad}");
    }
}
