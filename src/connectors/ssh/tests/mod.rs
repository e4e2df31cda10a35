//! The SSH type as a whole: settings, hosts and narrowing here, certificates
//! and signatures beside.

mod keys;
mod signing;

use std::sync::Arc;

use super::*;
use crate::connectors::workbench::{self, Always, attribution, secret};
use crate::domain::{AccessLevel, Downscope, Minted};

/// Of RFC 8032's second test vector.
const CALLER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM";
const NOW: i64 = 1_800_000_000;

fn ca(more: &str) -> Settings {
    let json = format!(
        r#"{{"auth_method":"ca-key","hosts":["*.gpu.example.com"],"principals":{{"read":["view@{{host}}"],"write":["train"]}}{more}}}"#
    );
    let settings: Settings = serde_json::from_str(&json).unwrap();
    Ssh.check(&settings).unwrap();
    settings
}

fn private(pins: &[String]) -> Settings {
    let json = serde_json::json!({
        "auth_method": "private-key", "hosts": ["*.gpu.example.com"], "username": "trainer", "host_keys": pins,
    });
    let settings: Settings = serde_json::from_value(json).unwrap();
    Ssh.check(&settings).unwrap();
    settings
}

fn kind() -> ResourceTypeName {
    ResourceTypeName::parse("ssh-host").unwrap()
}

fn ask(host: &str, access: AccessLevel, public_key: Option<&str>) -> Ask {
    let parameters = public_key.map(|line| ("public_key".to_owned(), line.to_owned()));
    let resource = ResourceId::canonical(host).unwrap();
    Ask { resource_type: kind(), resource, access, parameters: parameters.into_iter().collect() }
}

fn upstream() -> Upstream {
    let upstream = workbench::upstream("https://nobody.example", None, &[], Timestamp::from_seconds(NOW));
    Upstream { entropy: Arc::new(Always(8)), ..upstream }
}

async fn mint(settings: &Settings, secret: &SourceCredential, ask: &Ask, ttl: u32) -> Result<Minted, UpstreamError> {
    let scope = Ssh.narrow(settings, ask).unwrap();
    let (upstream, attribution) = (upstream(), attribution());
    let minted = Ssh.mint(&upstream, settings, secret, None, &scope, Ttl::seconds(ttl), &attribution);
    minted.await.and_then(|outcome| outcome.minted)
}

fn refused(method: &str, json: &str) -> String {
    let method = AuthMethodName::parse(method).unwrap();
    crate::connectors::AnyConnectorType::parse_settings(&Ssh, &method, json).unwrap_err().0[0].field.clone()
}

#[test]
fn a_host_has_one_spelling() {
    let hosts = ["a.example.com".to_owned(), "*".to_owned()];
    let canonical = |raw: &str| hosts::canonical(&hosts, &kind(), Some(raw)).map(|id| id.to_string());
    for (raw, id) in [
        ("gpu1", "gpu1"),
        ("GPU1.Example.COM.", "gpu1.example.com"),
        ("gpu1:22", "gpu1"),
        ("gpu1:2222", "gpu1:2222"),
        ("[gpu1]:2222", "gpu1:2222"),
        ("ssh://gpu1:2222/", "gpu1:2222"),
        ("10.0.0.7", "10.0.0.7"),
        ("::1", "[::1]"),
        ("[0:0::1]:2222", "[::1]:2222"),
    ] {
        assert_eq!(canonical(raw).as_deref(), Ok(id), "{raw}");
    }
    for raw in [
        "",
        "trainer@gpu1",
        "-oProxyCommand=x",
        "a.-b",
        "gpu1:",
        "gpu1:0",
        "gpu1:022",
        "gpu1:+22",
        "gpu1:65536",
        "a b",
        "a..b",
        "gpu*",
        "[::1",
        "[::1]2222",
        "a/b",
        "ssh://a/b",
        "a:1:2",
        "xn--ü",
    ] {
        assert_eq!(canonical(raw).unwrap_err().field, "resource_id", "{raw}");
    }
    assert!(hosts::canonical(&hosts, &kind(), None).is_err(), "which of them?");
    assert_eq!(hosts::canonical(&hosts[..1], &kind(), None).unwrap().as_str(), "a.example.com");
}

#[test]
fn a_glob_covers_names_on_its_port_alone() {
    let covers = |glob: &str, host: &str| hosts::served(&[glob.to_owned()], &hosts::Host::parse(host).unwrap());
    for (glob, host, fits) in [
        ("*.gpu.example.com", "a.gpu.example.com", true),
        ("*.GPU.example.com", "a.gpu.example.com", true),
        ("*.gpu.example.com", "gpu.example.com", false),
        ("*.gpu.example.com", "a.gpu.example.com.evil.org", false),
        ("*.gpu.example.com", "a.gpu.example.com:2222", false),
        ("*.gpu.example.com:2222", "a.gpu.example.com:2222", true),
        ("*.gpu.example.com:*", "a.gpu.example.com:2222", true),
        ("gpu1", "gpu1", true),
        ("gpu1", "gpu11", false),
        ("gpu1:2222", "gpu1", false),
    ] {
        assert_eq!(covers(glob, host), fits, "{glob} {host}");
    }
}

#[test]
fn settings_that_do_not_fit_are_refused_by_field() {
    for (json, field) in [
        (r#"{"hosts":[],"principals":{"read":["a"]}}"#, "settings.hosts"),
        (r#"{"hosts":["a b"],"principals":{"read":["a"]}}"#, "settings.hosts"),
        (r#"{"hosts":["root@a"],"principals":{"read":["a"]}}"#, "settings.hosts"),
        (r#"{"hosts":["a"],"principals":{}}"#, "settings.principals"),
        (r#"{"hosts":["a"],"principals":{"read":["a,root"]}}"#, "settings.principals"),
        (r#"{"hosts":["a"],"principals":{"read":[""]}}"#, "settings.principals"),
        (r#"{"hosts":["a"],"principals":{"read":["{host}{port}"]}}"#, "settings.principals"),
        (r#"{"hosts":["a"],"principals":{"read":["{host}-1{port}"]}}"#, "settings.principals"),
        (r#"{"hosts":["a"],"principals":{"read":["{port}{host}"]}}"#, "settings.principals"),
        (r#"{"hosts":["a"],"principals":{"read":["a"]},"source_address":["10.0.0.1/8"]}"#, "settings.source_address"),
        (r#"{"hosts":["a"],"principals":{"read":["a"]},"source_address":["10.0.0.0/33"]}"#, "settings.source_address"),
        (
            r#"{"hosts":["a"],"principals":{"read":["a"]},"source_address":["10.0.0.0/8,0.0.0.0/0"]}"#,
            "settings.source_address",
        ),
        (r#"{"hosts":["a"],"principals":{"read":["a"]},"force_command":"a\nb"}"#, "settings.force_command"),
        (
            r#"{"hosts":["a"],"principals":{"read":["a"]},"extensions":["permit-pty","permit-pty"]}"#,
            "settings.extensions",
        ),
        (r#"{"hosts":["a"],"principals":{"read":["a"]},"extensions":["permit-everything"]}"#, "settings"),
    ] {
        assert_eq!(refused("ca-key", json), field, "{json}");
    }
    for (user, pins, field) in [
        ("-l", r#""a ssh-ed25519 K""#, "settings.username"),
        ("", r#""a ssh-ed25519 K""#, "settings.username"),
        ("t", "", "settings.host_keys"),
        ("t", r#""a ssh-ed25519""#, "settings.host_keys"),
        ("t", r#""a ssh-rsa K""#, "settings.host_keys"),
        ("t", r#""* ssh-ed25519 K""#, "settings.host_keys"),
        ("t", r#""|1|x|y ssh-ed25519 K""#, "settings.host_keys"),
        ("t", r#""@cert-authority a ssh-ed25519 K""#, "settings.host_keys"),
        ("t", r#""b ssh-ed25519 K""#, "settings.host_keys"),
    ] {
        let key = CALLER.split(' ').nth(1).unwrap();
        let json = format!(r#"{{"hosts":["a"],"username":"{user}","host_keys":[{pins}]}}"#).replace('K', key);
        assert_eq!(refused("private-key", &json), field, "{json}");
    }
    for fits in ["10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "2001:db8::/32", "::1/128"] {
        ca(&format!(r#","source_address":["{fits}"]"#));
    }
}

#[test]
fn narrowing_refuses_other_hosts_levels_and_keys() {
    let settings = ca("");
    let field =
        |host: &str, access, key: Option<&str>| Ssh.narrow(&settings, &ask(host, access, key)).unwrap_err().field;
    let read = AccessLevel::Read;
    assert_eq!(field("other.example.com", read, Some(CALLER)), "resource_id");
    assert_eq!(field("GPU1.gpu.example.com", read, Some(CALLER)), "resource_id", "not canonical");
    assert_eq!(field("a.gpu.example.com", AccessLevel::Admin, Some(CALLER)), "access");
    assert_eq!(field("a.gpu.example.com", read, None), "parameters.public_key");
    assert_eq!(field("a.gpu.example.com", read, Some("hunter2")), "parameters.public_key");
    let pin = format!("a.gpu.example.com {CALLER}");
    let settings = private(std::slice::from_ref(&pin));
    let field = |host: &str, key: Option<&str>| Ssh.narrow(&settings, &ask(host, read, key)).unwrap_err().field;
    assert_eq!(field("b.gpu.example.com", None), "resource_id", "no key is pinned");
    assert_eq!(field("a.gpu.example.com", Some(CALLER)), "parameters.public_key");
}

#[test]
fn what_is_enforced_is_said_truthfully() {
    let enforced = |settings: &Settings, host: &str, access, key: Option<&str>| {
        Ssh.enforced(settings, &Ssh.narrow(settings, &ask(host, access, key)).unwrap())
    };
    let settings = ca(r#","source_address":["10.0.0.0/8"],"force_command":"run-job""#);
    let read = enforced(&settings, "a.gpu.example.com", AccessLevel::Read, Some(CALLER));
    assert_eq!(read.downscope, Downscope::Resource, "every principal names the host");
    assert_eq!(
        read.words,
        "a.gpu.example.com read: principals view@a.gpu.example.com; from 10.0.0.0/8 only; runs run-job only"
    );
    let write = enforced(&settings, "a.gpu.example.com", AccessLevel::Write, Some(CALLER));
    assert_eq!(write.downscope, Downscope::None, "{}", write.words);
    assert!(write.words.contains("any host that trusts this CA"), "{}", write.words);
    let pins = [format!("a.gpu.example.com {CALLER}")];
    let alone = enforced(&private(&pins), "a.gpu.example.com", AccessLevel::Read, None);
    assert_eq!(alone.downscope, Downscope::Resource);
    let pins = [format!("a.gpu.example.com,b.gpu.example.com {CALLER}")];
    let twin = enforced(&private(&pins), "a.gpu.example.com", AccessLevel::Read, None);
    assert_eq!(twin.downscope, Downscope::None);
    assert!(twin.words.contains("b.gpu.example.com"), "{}", twin.words);
}

/// `gpu2` and `gpu2:2222` come to the same principal when it names no port.
#[test]
fn a_name_served_on_several_ports_is_not_told_apart_unless_principals_name_the_port() {
    let enforced = |hosts: &str, principal: &str, host: &str| {
        let json = format!(r#"{{"auth_method":"ca-key","hosts":[{hosts}],"principals":{{"read":["{principal}"]}}}}"#);
        let settings: Settings = serde_json::from_str(&json).unwrap();
        Ssh.check(&settings).unwrap();
        Ssh.enforced(&settings, &Ssh.narrow(&settings, &ask(host, AccessLevel::Read, Some(CALLER))).unwrap())
    };
    for (hosts, host) in [
        (r#""gpu2","gpu2:2222""#, "gpu2"),
        (r#""gpu2","gpu2:2222""#, "gpu2:2222"),
        (r#""gpu*:*""#, "gpu2"),
        (r#""gpu*","*:2222""#, "gpu2"),
        (r#""gpu*","gpu2:2222""#, "gpu2:2222"),
    ] {
        let wide = enforced(hosts, "view@{host}", host);
        assert_eq!(wide.downscope, Downscope::None, "{hosts} {host}: {}", wide.words);
        assert!(wide.words.contains("on its other ports too"), "{}", wide.words);
        let narrow = enforced(hosts, "view@{host}:{port}", host);
        let port = if host.ends_with("2222") { "2222" } else { "22" };
        assert_eq!(narrow.downscope, Downscope::Resource, "{hosts} {host}: {}", narrow.words);
        assert!(narrow.words.contains(&format!("view@gpu2:{port}")), "{}", narrow.words);
    }
    // The neighbours: each name on one port alone.
    for (hosts, host) in [
        (r#""gpu1","gpu2:2222""#, "gpu2:2222"),
        (r#""gpu1:2222","gpu2""#, "gpu2"),
        (r#""gpu*","other*:2222""#, "gpu2"),
        (r#""gpu*:2222""#, "gpu2:2222"),
    ] {
        assert_eq!(enforced(hosts, "view@{host}", host).downscope, Downscope::Resource, "{hosts} {host}");
    }
}

#[test]
fn a_scope_that_was_kept_before_ports_counted_is_still_read() {
    let kept = r#"{"kind":"certificate","host":"a","access":"read","public_key":"k","principals":["p"],"names_host":true,"source_address":[],"force_command":null,"extensions":[]}"#;
    let scope: Scope = serde_json::from_str(kept).unwrap();
    assert_eq!(scope.enforced().downscope, Downscope::Resource);
    assert_eq!(serde_json::to_string(&scope).unwrap(), kept, "and written as it was");
}

/// What `$(ssh-keyscan ...)` gives is one text of several lines.
#[test]
fn each_line_of_a_scan_is_a_pin_and_its_remarks_are_none() {
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    let scan = format!(
        "# a.gpu.example.com:22 SSH-2.0-OpenSSH_9.2p1\r\na.gpu.example.com {CALLER}\n\n\
         a.gpu.example.com {other}\n# b.gpu.example.com:22 SSH-2.0\nb.gpu.example.com {other} remark\n"
    );
    let settings = private(&[scan]);
    let pinned = |host: &str| match Ssh.narrow(&settings, &ask(host, AccessLevel::Read, None)).unwrap() {
        Scope::Session(scope) => scope.host_keys,
        Scope::Certificate(_) => panic!("a session is due"),
    };
    assert_eq!(pinned("a.gpu.example.com"), [CALLER, other]);
    assert_eq!(pinned("b.gpu.example.com"), [other]);
    let of =
        |pins: &str| refused("private-key", &format!(r#"{{"hosts":["a"],"username":"t","host_keys":["{pins}"]}}"#));
    assert_eq!(of("# a:22 SSH-2.0"), "settings.host_keys", "remarks alone pin nothing");
    assert_eq!(of(&format!("a {CALLER}\\na ssh-ed25519")), "settings.host_keys", "half a line");
    assert!(public_key::pins(&format!("a {CALLER}\nb {CALLER}")).is_err(), "a pin is one line");
}

#[test]
fn a_caller_s_key_is_one_line_of_openssh() {
    let base64 = CALLER.split(' ').nth(1).unwrap();
    for line in [
        CALLER.to_owned(),
        format!("{CALLER} anna@laptop and more"),
        format!("  {CALLER}\t"),
        format!(r#"command="echo \"ssh-rsa AAAA\"",no-pty {CALLER}"#),
    ] {
        assert_eq!(public_key::of_caller(&line).unwrap().line(), CALLER, "{line}");
    }
    let cut = &CALLER[..CALLER.len() - 8];
    for line in [
        "".to_owned(),
        "ssh-ed25519".to_owned(),
        cut.to_owned(),
        format!("ssh-rsa {base64}"),
        format!("ssh-ed25519-cert-v01@openssh.com {base64}"),
        format!("ssh-dss {base64}"),
        format!("{}{}", "x".repeat(3000), CALLER),
        format!(r#"command="never closed {CALLER}"#),
    ] {
        assert!(public_key::of_caller(&line).is_err(), "{line}");
    }
    // A short RSA key, and one more byte than the key has.
    let short = fake::strings(&[b"ssh-rsa", &[1, 0, 1], &[&[0][..], &[0xa5; 128]].concat()]);
    let long = fake::strings(&[b"ssh-rsa", &[1, 0, 1], &[&[0][..], &[0xa5; 256]].concat()]);
    let line = |kind: &str, blob: &[u8]| {
        use base64::Engine as _;
        format!("{kind} {}", base64::engine::general_purpose::STANDARD.encode(blob))
    };
    assert!(public_key::of_caller(&line("ssh-rsa", &short)).is_err());
    assert!(public_key::of_caller(&line("ssh-rsa", &long)).is_ok());
    assert!(public_key::of_caller(&line("ssh-rsa", &[long.as_slice(), &[0]].concat())).is_err());
    let sk = fake::strings(&[b"sk-ssh-ed25519@openssh.com", &[7; 32], b"ssh:"]);
    assert!(public_key::of_caller(&line("sk-ssh-ed25519@openssh.com", &sk)).is_ok());
}
