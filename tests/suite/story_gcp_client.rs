//! Google's own client in the daemon: an environment that would lead it elsewhere, such as proxies, and what is left of
//! it. It asks for a login, a federation and a machine; with a key it has no part in anything.

use std::fs;
use std::time::Duration;

use crate::rig::evil::Evil;
use crate::rig::google::Google;
use crate::rig::process::eventually;
use crate::rig::vault::{Outcome, Setup, Vault};

/// What a proxy, or another metadata server, would have the daemon take.
const FORGED: &str =
    r#"{"access_token":"ya29.forged","issued_token_type":"x","token_type":"Bearer","expires_in":3599}"#;

fn elsewhere() -> Evil {
    Evil::answering(200, FORGED, Duration::ZERO)
}

fn vault(google: &Google, variables: &[(&'static str, &str)]) -> Vault {
    let setup = Setup::new().reaching(&[google.endpoint()]).with("outbound", "implicit_identities = [\"gcp:default\"]");
    variables.iter().fold(setup, |setup, (name, value)| setup.variable(name, *value)).start()
}

/// Registers a connector of each method that Google's client has a part in; verifying it makes a token.
fn register(google: &Google, vault: &Vault) -> [(&'static str, Outcome); 3] {
    let user = google.user_file().to_string();
    let external = google.external_file(&format!("{}/fake/subject", google.endpoint()), None).to_string();
    let metadata = format!("metadata_url={}", google.endpoint());
    let of = |method: &'static str, secret: Option<(&str, &str)>, more: &[&str]| {
        (method, google.register(vault, method, method, secret, more))
    };
    [
        of("user-account", Some(("user_account_json", &user)), &[]),
        of("external-account", Some(("external_account_json", &external)), &[]),
        of("implicit", None, &["--set", &metadata]),
    ]
}

#[test]
fn a_proxy_in_the_environment_hears_nothing_and_the_refusal_says_what_to_do() {
    let (google, proxy) = (Google::shared(), elsewhere());
    let address = proxy.endpoint();
    for variables in [
        &[("HTTP_PROXY", address)][..],
        &[("http_proxy", address), ("NO_PROXY", "localhost,10.0.0.0/8")],
        &[("ALL_PROXY", address), ("no_proxy", "*")],
        // The first of a name counts, though it is empty.
        &[("all_proxy", address), ("NO_PROXY", ""), ("no_proxy", "127.0.0.1")],
    ] {
        let vault = vault(&google, variables);
        for (method, said) in register(&google, &vault) {
            let said = said.fails(1, "NOT_ENABLED");
            assert!(said.stderr.contains("127.0.0.1") && said.stderr.contains("NO_PROXY"), "{method}: {said}");
        }
        // What is ours from end to end goes its own way.
        let key = google.key("broker").to_string();
        google.register(&vault, "key", "service-account", Some(("service_account_json", &key)), &[]).ok();
    }
    assert_eq!(proxy.asked(), 0);
}

#[test]
fn a_proxy_that_spares_loopback_is_in_nobodys_way() {
    let (google, proxy) = (Google::shared(), elsewhere());
    let address = proxy.endpoint();
    for variables in [
        &[("HTTP_PROXY", address), ("ALL_PROXY", address), ("NO_PROXY", "example.com, 127.0.0.0/8")][..],
        &[("http_proxy", address), ("no_proxy", "127.0.0.1")],
        // Of a CGI program's caller: no proxy is one.
        &[("HTTP_PROXY", address), ("REQUEST_METHOD", "GET")],
        &[("HTTPS_PROXY", address)],
    ] {
        let vault = vault(&google, variables);
        for (_, said) in register(&google, &vault) {
            said.ok();
        }
    }
    assert_eq!(proxy.asked(), 0);
}

#[test]
fn another_metadata_server_in_the_environment_is_refused_and_not_asked() {
    let (google, other) = (Google::shared(), elsewhere());
    let host = other.endpoint().trim_start_matches("http://").to_owned();
    for host in [host.as_str(), ""] {
        let vault = vault(&google, &[("GCE_METADATA_HOST", host)]);
        let [(_, user), (_, external), (_, implicit)] = register(&google, &vault);
        user.ok();
        external.ok();
        let said = implicit.fails(1, "NOT_ENABLED");
        assert!(said.stderr.contains("GCE_METADATA_HOST"), "{said}");
    }
    assert_eq!(other.asked(), 0);
}

/// Threads of the daemon that Google's client runs on, and the sockets it has open.
fn left(vault: &Vault) -> (usize, usize) {
    let folder = format!("/proc/{}", vault.daemon().as_ref().unwrap().id());
    let entries = |name: &str| fs::read_dir(format!("{folder}/{name}")).unwrap().filter_map(Result::ok);
    let named = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "google-auth")
    };
    let socket = |file: &fs::DirEntry| {
        fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    (entries("task").filter(named).count(), entries("fd").filter(socket).count())
}

#[test]
fn nothing_of_googles_client_is_left_in_the_daemon() {
    let google = Google::shared();
    let vault = vault(&google, &[]);
    for (_, said) in register(&google, &vault) {
        said.ok();
    }
    let verify = || {
        for method in ["user-account", "external-account", "implicit"] {
            vault.cli("alice", &["connector", "verify", method]).ok();
        }
    };
    verify();
    // Connections to Google are kept for the next call, those of a command go with it.
    let (_, before) = left(&vault);
    for _ in 0..5 {
        verify();
    }
    let gone = eventually(Duration::from_secs(20), || {
        let (threads, sockets) = left(&vault);
        threads == 0 && sockets <= before + 2
    });
    assert!(gone, "{:?}, {before} sockets before", left(&vault));
}
