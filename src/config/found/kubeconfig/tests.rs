//! Kubeconfigs as tools write them, and as somebody writes them who wants a
//! file read or a program run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

const NOTHING: Allowed = Allowed { insecure: false, files: false };

fn config(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: admin@train\npreferences: {{}}\n\
         clusters:\n- name: train\n  cluster: {{server: 'https://kube.example:6443/', {cluster}}}\n\
         users:\n- name: admin\n  user: {{{user}}}\n\
         contexts:\n- name: admin@train\n  context: {{cluster: train, user: admin, namespace: ml}}\n\
         - name: other\n  context: {{cluster: absent, user: admin}}\n"
    )
}

fn found(cluster: &str, user: &str, allowed: Allowed) -> Result<Found, String> {
    parse(config(cluster, user).as_bytes(), Path::new(""), None, allowed).map_err(|error| error.to_string())
}

fn refused(cluster: &str, user: &str) -> String {
    let said = found(cluster, user, NOTHING).err().unwrap();
    assert!(!said.contains("hunter2"), "{said}");
    said
}

fn fields(found: &Found) -> Vec<(&str, &str)> {
    found.secrets.iter().map(|(name, value)| (*name, std::str::from_utf8(value).unwrap())).collect()
}

#[test]
fn a_token_a_certificate_and_a_password_are_taken() {
    let token = found("certificate-authority-data: Y2E=", "token: hunter2", NOTHING).ok().unwrap();
    assert_eq!((token.connector_type, token.auth_method, token.name.as_str()), ("kubernetes", "token", "admin-train"));
    assert_eq!(token.source, "kubeconfig:admin@train");
    assert_eq!(fields(&token), [("token", "hunter2")]);
    let expected =
        json!({"server": "https://kube.example:6443", "cluster_name": "train", "certificate_authority": "ca"});
    assert_eq!(Value::Object(token.settings), expected);
    let user = "client-certificate-data: Y2VydA==, client-key-data: a2V5";
    let certificate = found("", user, NOTHING).ok().unwrap();
    assert_eq!(fields(&certificate), [("client_certificate", "cert"), ("client_key", "key")]);
    assert_eq!(certificate.settings.get("certificate_authority"), None);
    let login = found("", "username: admin, password: 'hunter2 '", NOTHING).ok().unwrap();
    assert_eq!(
        (login.auth_method, fields(&login)),
        ("password", vec![("username", "admin"), ("password", "hunter2 ")])
    );
}

#[test]
fn the_end_of_a_service_account_token_is_known() {
    let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1900000000}"#);
    let token = found("", &format!("token: h.{claims}.s"), NOTHING).ok().unwrap();
    assert_eq!(token.secret_expires_at.as_deref(), Some("2030-03-17T17:46:40Z"));
    assert_eq!(found("", "token: opaque", NOTHING).ok().unwrap().secret_expires_at, None);
}

#[test]
fn programs_are_never_run_whatever_is_allowed() {
    let all = Allowed { insecure: true, files: true };
    for user in [
        "token: hunter2, exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, args: [hunter2]}",
        "exec: {command: aws}",
        "token: hunter2, auth-provider: {name: gcp, config: {cmd-path: hunter2}}",
    ] {
        let said = found("", user, all).err().unwrap();
        assert!(said.contains("kubectl create token") && !said.contains("hunter2"), "{said}");
    }
    assert!(found("", "token: t, exec: null, auth-provider: ~", NOTHING).is_ok());
    assert!(refused("", "token: hunter2, as: root").contains("as is not taken"));
    assert!(refused("proxy-url: 'http://hunter2'", "token: t").contains("proxy-url"));
    assert!(refused("tls-server-name: hunter2", "token: t").contains("tls-server-name"));
    assert!(refused("", "").contains("no credential"));
    assert!(refused("", "client-certificate-data: Y2VydA==").contains("no credential"));
}

#[test]
fn unverified_servers_are_taken_by_name_alone() {
    let said = refused("insecure-skip-tls-verify: true, certificate-authority-data: Y2E=", "token: hunter2");
    assert!(said.contains("--allow-insecure"), "{said}");
    let allowed = Allowed { insecure: true, files: false };
    let taken = found("insecure-skip-tls-verify: true", "token: t", allowed).ok().unwrap();
    assert_eq!(taken.settings.get("insecure"), Some(&json!(true)));
    assert!(taken.notes.iter().any(|note| note.contains("INSECURE")));
    assert!(found("insecure-skip-tls-verify: false", "token: t", NOTHING).is_ok());
}

#[test]
fn files_are_read_by_name_alone_and_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let write = |cluster: &str, user: &str| {
        fs::write(&path, config(cluster, user)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    fs::write(folder.path().join("ca.pem"), "ca").unwrap();
    fs::write(folder.path().join("token"), "hunter2\n").unwrap();
    for (cluster, user, what) in [
        ("certificate-authority: ca.pem", "token: t", "certificate-authority"),
        ("", "tokenFile: token", "tokenFile"),
        ("", "token: t, tokenFile: /etc/shadow", "tokenFile"),
        ("", "client-certificate: ca.pem, client-key: token", "client-certificate"),
        ("", "client-certificate-data: Y2VydA==, client-key: token", "client-key"),
    ] {
        write(cluster, user);
        let said = read(&path, None, NOTHING).err().unwrap().to_string();
        assert!(said.starts_with(what) && said.contains("--allow-files"), "{said}");
    }
    let allowed = Allowed { insecure: false, files: true };
    write("certificate-authority: ca.pem", "tokenFile: token");
    let taken = read(&path, None, allowed).ok().unwrap();
    assert_eq!((fields(&taken), &taken.settings["certificate_authority"]), (vec![("token", "hunter2")], &json!("ca")));
    assert_eq!(taken.notes.len(), 2, "{:?}", taken.notes);
    fs::write(folder.path().join("token"), vec![b'x'; 64 * 1024 + 1]).unwrap();
    assert!(matches!(read(&path, None, allowed).err(), Some(KubeconfigError::Unreadable { .. })));
    write("", "tokenFile: /dev/zero");
    assert!(matches!(read(&path, None, allowed).err(), Some(KubeconfigError::Unreadable { .. })));
    write("certificate-authority-data: Y2E=, certificate-authority: /etc/shadow", "token: t");
    assert!(read(&path, None, NOTHING).is_ok(), "data counts before a file, which is not looked at");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(read(&path, None, NOTHING).ok().unwrap().notes[0].contains("chmod 600"));
}

#[test]
fn a_context_is_named_or_the_current_one() {
    let of = |text: &str, context| parse(text.as_bytes(), Path::new(""), context, NOTHING).map_err(|e| e.to_string());
    let text = config("", "token: hunter2");
    assert!(of(&text, Some("admin@train")).is_ok());
    assert!(of(&text, Some("other")).err().unwrap().contains("the cluster of this context"));
    assert!(of(&text, Some("none")).err().unwrap().contains("admin@train, other"));
    let no_current = text.replace("current-context: admin@train\n", "");
    assert!(of(&no_current, None).err().unwrap().contains("no such context"));
    let twice = text.replace("users:\n", "users:\n- name: admin\n  user: {token: other}\n");
    assert!(of(&twice, None).err().unwrap().contains("exactly once"));
    assert!(of("{}", None).err().unwrap().contains("none"));
}

#[test]
fn hostile_yaml_is_bounded_and_never_repeated() {
    let mut bomb =
        String::from("a0: &a0 [hunter2, hunter2, hunter2, hunter2, hunter2, hunter2, hunter2, hunter2, hunter2]\n");
    for n in 1..12 {
        let before = format!("*a{}, ", n - 1).repeat(9);
        bomb.push_str(&format!("a{n}: &a{n} [{before}]\n"));
    }
    let deep = format!("clusters: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let typed = "users: hunter2\n".to_owned();
    let secret = "users:\n- name: a\n  user: {token: [hunter2]}\n".to_owned();
    let bomb = format!("{bomb}clusters: *a11\n");
    for text in
        [bomb, deep, typed, secret, "\u{0}".to_owned(), "- hunter2".to_owned(), String::new(), "a: *b".to_owned()]
    {
        let said = parse(text.as_bytes(), Path::new(""), None, NOTHING).err().unwrap().to_string();
        assert!(!said.contains("hunter2"), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, vec![b' '; 512 * 1024 + 1]).unwrap();
    assert!(matches!(read(&path, None, NOTHING).err(), Some(KubeconfigError::Unreadable { .. })));
    assert!(matches!(read(folder.path(), None, NOTHING).err(), Some(KubeconfigError::Unreadable { .. })));
}

#[test]
fn names_are_made_to_fit() {
    assert_eq!(cluster_name("arn:aws:eks:eu-west-1:1:cluster/train"), "arn-aws-eks-eu-west-1-1-cluster-train");
    assert_eq!(cluster_name("../.."), "cluster");
    assert_eq!(cluster_name(&format!("{}train", "x".repeat(200))).len(), 100);
    assert_eq!(connector_name("kubernetes-admin@kubernetes"), "kubernetes-admin-kubernetes");
    assert_eq!((connector_name("9/A_b-").as_str(), connector_name("€").as_str()), ("a-b", "kubernetes"));
    assert_eq!(word("a\u{1b}[31m"), "a?[31m");
}

proptest::proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = parse(&bytes, Path::new(""), None, NOTHING);
    }
}
