//! SECURITY.md group E, parsing and limits, through the real daemon. E2 to E5 are in `cases_b22`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use tonic::Code;
use valetkey::proto;

use crate::rig::cast;
use crate::rig::vault::{BINARY, Outcome, Setup, Vault, outcome};
use crate::rig::wire::{fields, refused_with};

/// Texts that no field takes.
fn hostile() -> Vec<(&'static str, String)> {
    let of = |name, text: &str| (name, text.to_owned());
    vec![
        of("NUL", "a\0b"),
        of("newline", "a\nb"),
        of("escape", "a\u{1b}[31mb"),
        of("bidi", "a\u{202e}b"),
        of("zero width", "a\u{200b}b"),
        of("a mebibyte less than the request's limit", &"a".repeat(100_000)),
    ]
}

#[test]
fn e1_every_text_of_a_connector_is_checked_and_the_field_is_named() {
    let vault = Setup::new().start();
    let before = vault.revision();
    type Change = fn(&mut proto::RegisterConnectorRequest, String);
    let text_fields: [(&str, Change); 7] = [
        ("name", |ask, text| ask.name = text),
        ("connector_type", |ask, text| ask.connector_type = text),
        ("auth_method", |ask, text| ask.auth_method = text),
        ("resource_type", |ask, text| ask.resource_type = text),
        ("request_id", |ask, text| ask.request_id = text),
        ("labels", |ask, text| drop(ask.labels.insert(text, "x".to_owned()))),
        ("settings", |ask, text| ask.settings = text),
    ];
    for (field, change) in text_fields {
        for (what, text) in hostile() {
            let mut ask = cast::unverified("hostile");
            change(&mut ask, text);
            let started = Instant::now();
            let answer = vault.run(vault.connectors("alice").register_connector(ask));
            let status = refused_with(answer, Code::InvalidArgument);
            let named = fields(&status);
            assert!(named.iter().any(|name| name.starts_with(field)), "{field} with {what}: {named:?} {status:?}");
            assert!(started.elapsed() < Duration::from_secs(10), "{field} with {what}");
        }
    }
    for empty in ["name", "connector_type", "auth_method"] {
        let mut ask = cast::unverified("empty");
        text_fields.iter().find(|(name, _)| *name == empty).unwrap().1(&mut ask, String::new());
        refused_with(vault.run(vault.connectors("alice").register_connector(ask)), Code::InvalidArgument);
    }
    assert_eq!(vault.revision(), before);
}

#[test]
fn e1_bounds_are_exact() {
    let vault = Setup::new().start();
    let register = |ask| vault.run(vault.connectors("alice").register_connector(ask)).map(drop);
    let named = |length| cast::unverified(&"n".repeat(length));
    register(named(63)).unwrap();
    assert_eq!(fields(&register(named(64)).unwrap_err()), ["name"]);
    let described = |length, name: &str| proto::RegisterConnectorRequest {
        description: "d".repeat(length),
        ..cast::unverified(name)
    };
    register(described(1000, "described")).unwrap();
    assert_eq!(fields(&register(described(1001, "too-long")).unwrap_err()), ["description"]);
    let labelled = |count: usize, name: &str| {
        let labels = (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect();
        proto::RegisterConnectorRequest { labels, ..cast::unverified(name) }
    };
    register(labelled(64, "labelled")).unwrap();
    assert_eq!(fields(&register(labelled(65, "too-many")).unwrap_err()), ["labels"]);
}

#[test]
fn e1_times_out_of_range_are_refused_by_field() {
    let vault = Setup::new().start();
    for (seconds, nanos) in [(-1, 0), (253_402_300_800, 0), (i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
        let time = Some(prost_types::Timestamp { seconds, nanos });
        let lines = proto::ListAuditLinesRequest { since: time, ..Default::default() };
        let status = refused_with(vault.run(vault.audit("carol").list_audit_lines(lines)), Code::InvalidArgument);
        assert_eq!(fields(&status), ["since"]);
        let ask = proto::RegisterConnectorRequest { secret_expires_at: time, ..cast::unverified("timed") };
        let status = refused_with(vault.run(vault.connectors("alice").register_connector(ask)), Code::InvalidArgument);
        assert_eq!(fields(&status), ["secret_expires_at"]);
    }
    let past = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let ask = proto::RegisterConnectorRequest { secret_expires_at: past, ..cast::unverified("past") };
    refused_with(vault.run(vault.connectors("alice").register_connector(ask)), Code::InvalidArgument);
}

#[test]
fn e7_filters_take_no_language() {
    let vault = Setup::new().start();
    cast::connector(&vault, cast::unverified("prod"));
    for text in ["' OR 1=1 --", "prod' --", "prod%", "(a+)+$", "*", "prod;drop table connectors"] {
        let text = text.to_owned();
        let list = proto::ListConnectorsRequest { connector_type: text.clone(), ..Default::default() };
        refused_with(vault.run(vault.connectors("bob").list_connectors(list)), Code::InvalidArgument);
        let describe = proto::DescribeConnectorRequest { connector: text.clone(), ..Default::default() };
        refused_with(vault.run(vault.connectors("bob").describe_connector(describe)), Code::InvalidArgument);
        let lines = proto::ListAuditLinesRequest { outcome: text.clone(), ..Default::default() };
        refused_with(vault.run(vault.audit("carol").list_audit_lines(lines)), Code::InvalidArgument);
        let page = proto::ListConnectorsRequest { page_token: text, ..Default::default() };
        refused_with(vault.run(vault.connectors("bob").list_connectors(page)), Code::InvalidArgument);
    }
    for (size, code) in [(-1, Code::InvalidArgument), (i32::MIN, Code::InvalidArgument), (i32::MAX, Code::Ok)] {
        let list = proto::ListConnectorsRequest { page_size: size, ..Default::default() };
        // A page larger than there is is a page as large as there is.
        let answer = vault.run(vault.connectors("bob").list_connectors(list));
        assert_eq!(answer.as_ref().map_or_else(tonic::Status::code, |_| Code::Ok), code, "{size}");
        assert!(answer.is_ok() || fields(&answer.unwrap_err()) == ["page_size"], "{size}");
    }
}

#[test]
fn e7_a_page_token_of_one_list_is_none_of_another() {
    let vault = Setup::new().start();
    for name in ["one", "two", "three"] {
        cast::connector(&vault, cast::unverified(name));
    }
    let page = |who: &str, size, token: &str, kind: &str| {
        let ask = proto::ListConnectorsRequest {
            page_size: size,
            page_token: token.to_owned(),
            connector_type: kind.to_owned(),
            ..Default::default()
        };
        vault.run(vault.connectors(who).list_connectors(ask)).map(tonic::Response::into_inner)
    };
    let token = page("bob", 1, "", "").unwrap().next_page_token;
    assert!(page("bob", 1, &token, "").is_ok());
    assert_eq!(fields(&page("bob", 1, &token, "aws").unwrap_err()), ["page_token"], "another filter");
    let mut flipped = token.clone().into_bytes();
    let last = flipped.len() - 2;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(fields(&page("bob", 1, &String::from_utf8(flipped).unwrap(), "").unwrap_err()), ["page_token"]);
    let components = proto::ListComponentsRequest { page_token: token, ..Default::default() };
    refused_with(vault.run(vault.components("bob").list_components(components)), Code::InvalidArgument);
}

#[test]
fn e10_the_machines_own_identities_are_out_of_reach() {
    let vault = Setup::new().start();
    let home = vault.beside(".aws");
    std::fs::create_dir(&home).unwrap();
    let marker = vault.beside("ran");
    let process = format!("[ml]\ncredential_process = touch {}\nregion = us-east-1\n", marker.display());
    std::fs::write(home.join("credentials"), &process).unwrap();
    std::fs::write(home.join("config"), process.replace("[ml]", "[profile ml]")).unwrap();
    let settings = r#"{"region": "us-east-1", "profile_name": "ml"}"#.to_owned();
    let implicit = proto::RegisterConnectorRequest {
        auth_method: "implicit".to_owned(),
        settings,
        secrets: Vec::new(),
        skip_verify: false,
        ..cast::unverified("implicit")
    };
    let answer = vault.run(vault.connectors("alice").register_connector(implicit));
    let status = answer.expect_err("an identity that no config names was used");
    assert!(status.message().contains("configuration"), "{status:?}");
    assert!(!marker.exists(), "a command of a profile was run");
}

/// Tries to serve with this config, and expects it to end.
fn serve(vault: &Vault, config: &str, mode: u32, variables: &[(&str, &str)]) -> Outcome {
    let file = vault.beside("tried.toml");
    std::fs::write(&file, config).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let mut command = Command::new("timeout");
    command.arg("10").arg(BINARY).arg("serve").arg("--config").arg(&file).arg("--data-dir").arg(vault.data());
    command.env_clear().env("PATH", "/usr/bin:/bin").envs(variables.iter().copied());
    outcome(&mut command, "")
}

#[test]
fn e14_a_config_that_does_not_fit_stops_the_daemon_and_names_the_key_not_the_value() {
    let vault = Setup::new().start_empty();
    vault.stop();
    const VALUE: &str = "hunter2-hunter2";
    for (config, key) in [
        (format!("[server]\nlisten_on = \"{VALUE}\""), "server.listen_on"),
        (format!("[server]\nlisten = \"{VALUE}\""), "server.listen"),
        (format!("[server]\nworker_threads = \"{VALUE}\""), "server.worker_threads"),
        (format!("[secrets]\ntoken = \"{VALUE}\""), "secrets"),
        (format!("[log]\nlevel = \"{VALUE}\""), "log.level"),
        (format!("[outbound]\nallowed_endpoints = \"{VALUE}\""), "outbound.allowed_endpoints"),
        (format!("[server]\nlisten = \"{VALUE}"), "TOML"),
        ("[server]\nconnections_max = 0".to_owned(), "server.connections_max"),
    ] {
        let said = serve(&vault, &config, 0o600, &[]);
        assert!(said.code == 1 && said.stderr.contains(key) && !said.all().contains(VALUE), "{config}: {said}");
    }
    let said = serve(&vault, "", 0o600, &[("VALETKEY__SERVER__LISTEN", VALUE)]);
    assert!(said.code == 1 && said.stderr.contains("server.listen") && !said.all().contains(VALUE), "{said}");
    let said = serve(&vault, "", 0o600, &[("VALETKEY__ROOT__KEY", VALUE)]);
    assert!(said.code == 1 && !said.all().contains(VALUE), "{said}");
    for mode in [0o622, 0o666, 0o660] {
        let said = serve(&vault, "", mode, &[]);
        assert!(said.code == 1 && said.stderr.contains("chmod"), "{mode:o}: {said}");
    }
}
