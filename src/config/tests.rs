//! What is read, what is refused, and that the example knows every key.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const EXAMPLE: &str = include_str!("../../deploy/config.example.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Some((Path::new("valetkey.toml"), text)), &[])
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn keys(value: &serde_json::Value, prefix: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(map) => map.iter().for_each(|(key, value)| keys(value, &format!("{prefix}.{key}"), found)),
        None => found.push(prefix.to_owned()),
    }
}

#[test]
fn the_example_is_the_defaults_and_has_every_key() {
    assert_eq!(parse(EXAMPLE).unwrap(), Config::default());
    let example: figment::value::Dict = Figment::from(Toml::string(EXAMPLE)).extract().unwrap();
    let (mut written, mut known) = (Vec::new(), Vec::new());
    keys(&serde_json::to_value(&example).unwrap(), "", &mut written);
    keys(&serde_json::to_value(Config::default()).unwrap(), "", &mut known);
    written.sort();
    known.sort();
    assert_eq!(written, known);
}

#[test]
fn a_variable_overrides_the_file_and_an_unknown_one_is_refused() {
    let over = |name: &str, value: &str| {
        let overrides = [(name.to_owned(), value.to_owned())];
        Config::parse(Some((Path::new("f"), "[server]\nworker_threads = 3")), &overrides)
    };
    let config = over("VALETKEY__SERVER__LISTEN", "127.0.0.1:9").unwrap();
    assert_eq!((config.server.listen.port(), config.server.worker_threads), (9, 3));
    assert_eq!(over("VALETKEY__SERVER__WORKER_THREADS", "1").unwrap().server.worker_threads, 1);
    // As the README and the manual have it: all that `serve --dev` reads.
    let allowed = over("VALETKEY__OUTBOUND__ALLOWED_ENDPOINTS", r#"["https://127.0.0.1:6443"]"#).unwrap();
    assert_eq!(allowed.outbound.allowed_endpoints, ["https://127.0.0.1:6443"]);
    let refused = over("VALETKEY__SERVER__TOKEN", "hunter2").unwrap_err().to_string();
    assert!(refused.contains("server.token") && !refused.contains("hunter2"), "{refused}");
}

#[test]
fn e14_unknown_keys_and_wrong_types_are_named_without_their_value() {
    for (text, key) in [
        ("[server]\npassword = \"hunter2\"", "server.password"),
        ("hunter = \"hunter2\"", "hunter"),
        ("[server]\nworker_threads = \"hunter2\"", "server.worker_threads"),
        ("[server]\ndrain_timeout = \"hunter2\"", "server.drain_timeout"),
        ("[server]\nlisten = \"hunter2\"", "server.listen"),
        ("[log]\nlevel = \"hunter2\"", "log.level"),
        ("[outbound]\nallowed_endpoints = \"hunter2\"", "outbound.allowed_endpoints"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(key) && !refused.contains("hunter2"), "{refused}");
    }
    let broken = refusal("[server]\nlisten = hunter2 = 3");
    assert!(broken.contains("not valid TOML") && !broken.contains("hunter2"), "{broken}");
}

#[test]
fn e14_values_out_of_bounds_are_named_and_their_neighbours_pass() {
    for (text, fits) in [
        ("[server]\nconnections_max = 0", false),
        ("[server]\nconnections_max = 1", true),
        ("[server]\nrequest_timeout_max = \"121s\"", false),
        ("[server]\nrequest_timeout_max = \"120s\"", true),
        ("[server]\nhandshake_timeout = \"0s\"", false),
        ("[limits]\ncalls_burst = 0", false),
        ("[limits]\nprincipal_share = 0", false),
        ("[limits]\nprincipal_share = 1", true),
        ("[limits]\nprincipal_share = 100", true),
        ("[limits]\nprincipal_share = 101", false),
        ("[store]\nreaders = 65", false),
        ("[outbound]\nimplicit_identities = [\"ml\"]", false),
        ("[outbound]\nimplicit_identities = [\"gcp:default\"]", true),
        ("[outbound]\nimplicit_identities = [\"gcp:default\", \"ml\"]", false),
        ("[outbound]\nimplicit_identities = [\"azure:system\"]", true),
        ("[outbound]\nimplicit_identities = [\"azure:system\", \"ml\"]", false),
        ("[outbound]\nimplicit_identities = [\"ml\"]\naws_credentials_file = \"/f\"", true),
        ("[issuer]\nurl = \"https://id.example.com\"", true),
        ("[issuer]\nurl = \"https://id.example.com/\"", false),
        ("[issuer]\nurl = \"http://id.example.com\"", false),
        ("[issuer]\ntoken_ttl_max = \"4s\"", false),
        ("[issuer]\ntoken_ttl_max = \"5s\"", true),
        ("[issuer]\ntoken_ttl_max = \"61m\"", false),
        ("[issuer]\nrotation_period = \"59m\"", false),
        ("[issuer]\nrotation_period = \"2h\"", true),
        ("[issuer]\nrotation_period = \"2h\"\njwks_max_age = \"2h\"", false),
        ("[issuer]\njwks_max_age = \"0s\"", false),
        ("[issuer]\ntls_certificate = \"/c\"", false),
        ("[issuer]\ntls_key = \"/k\"\ntls_certificate = \"/c\"", true),
        ("[server]\ntls_key = \"/k\"", false),
        ("[server]\ntls_key = \"/k\"\ntls_certificate = \"/c\"", true),
    ] {
        assert_eq!(parse(text).is_ok(), fits, "{text}");
    }
}

#[test]
fn e14_a_config_that_others_may_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("valetkey.toml");
    std::fs::write(&path, "[log]\nlevel = \"debug\"").unwrap();
    for (mode, fits) in [(0o600, true), (0o644, true), (0o664, false), (0o646, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let text = files::config_text(&path);
        assert_eq!(text.is_ok(), fits, "{mode:o}");
    }
}

#[test]
fn a_passphrase_file_is_private_and_loses_only_its_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passphrase");
    write_new_private_file(&path, b" correct horse \n").unwrap();
    assert_eq!(passphrase(Some(&path), true).unwrap().as_slice(), b" correct horse ");
    assert!(write_new_private_file(&path, b"again").is_err());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(passphrase(Some(&path), true), Err(ConfigError::Exposed { .. })));
}

#[test]
fn a_credentials_file_is_private_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    write_new_private_file(&path, &b"#".repeat(64 * 1024)).unwrap();
    assert_eq!(credentials_file(&path).unwrap().len(), 64 * 1024);
    for mode in [0o640, 0o604, 0o622] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(credentials_file(&path), Err(ConfigError::Exposed { .. })), "{mode:o}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(credentials_file(&path).is_ok());
    std::fs::remove_file(&path).unwrap();
    write_new_private_file(&path, &b"#".repeat(64 * 1024 + 1)).unwrap();
    assert!(credentials_file(&path).is_err() && credentials_file(folder.path()).is_err());
}

#[test]
fn a_config_beyond_its_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("valetkey.toml");
    std::fs::write(&path, "#".repeat(256 * 1024)).unwrap();
    assert!(files::config_text(&path).is_ok());
    std::fs::write(&path, "#".repeat(256 * 1024 + 1)).unwrap();
    assert!(files::config_text(&path).is_err());
}
