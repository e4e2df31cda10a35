//! Source keys of every kind and form, made by OpenSSH and OpenSSL themselves.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::connectors::ssh::challenge::Algorithm;
use crate::connectors::ssh::public_key::Key;
use crate::connectors::ssh::upstream_key::{PASSPHRASE_MISSING, PASSPHRASE_WRONG, SourceKey};
use crate::domain::MintedShape;

const MESSAGE: &[u8] = b"to be signed";

/// Makes a key with ssh-keygen; gives the text of the private key, and the
/// line of the public one.
fn keygen(folder: &Path, arguments: &[&str]) -> (String, String) {
    let file = folder.join(format!("key-{}", arguments.join("").replace(|c: char| !c.is_alphanumeric(), "")));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", "", "-f"]).arg(&file).args(arguments);
    if !arguments.contains(&"-N") {
        command.args(["-N", ""]);
    }
    assert!(command.status().expect("ssh-keygen is installed").success(), "{arguments:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    (text, std::fs::read_to_string(file.with_extension("pub")).unwrap().trim().to_owned())
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn works(key: &SourceKey) {
    let public = Key::decode(&key.public().unwrap()).unwrap();
    let signature = key.sign(key.best(), MESSAGE).unwrap();
    assert!(public.verifies(MESSAGE, &signature));
    assert!(!public.verifies(b"something else", &signature));
    let other = match key.best() {
        Algorithm::OfKey => Algorithm::RsaSha256,
        Algorithm::RsaSha256 | Algorithm::RsaSha512 => Algorithm::OfKey,
    };
    assert!(key.sign(other, MESSAGE).is_none());
}

#[test]
fn every_kind_of_key_opens_and_signs_encrypted_or_not() {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    for kind in [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "rsa", "-b", "2048"],
    ] {
        let (text, line) = keygen(folder.path(), kind);
        let key = SourceKey::read(text.as_bytes(), None).unwrap();
        works(&key);
        assert_eq!(Key::decode(&key.public().unwrap()).unwrap().line(), line, "{kind:?}");
        let wrapped = base64::engine::general_purpose::STANDARD.encode(&text);
        works(&SourceKey::read(wrapped.as_bytes(), None).unwrap());
        let (text, _) = keygen(folder.path(), &[kind, &["-N", "open sesame", "-a", "4"]].concat());
        works(&SourceKey::read(text.as_bytes(), Some(b"open sesame")).unwrap());
        assert_eq!(SourceKey::read(text.as_bytes(), None).err(), Some(PASSPHRASE_MISSING));
        assert_eq!(SourceKey::read(text.as_bytes(), Some(b"open says me")).err(), Some(PASSPHRASE_WRONG));
    }
}

#[test]
fn rsa_signs_with_both_digests_of_sha2_under_the_right_names() {
    let folder = tempfile::tempdir().unwrap();
    let (text, _) = keygen(folder.path(), &["-t", "rsa", "-b", "3072"]);
    let key = SourceKey::read(text.as_bytes(), None).unwrap();
    let public = Key::decode(&key.public().unwrap()).unwrap();
    for (algorithm, name) in [(Algorithm::RsaSha256, "rsa-sha2-256"), (Algorithm::RsaSha512, "rsa-sha2-512")] {
        let signature = key.sign(algorithm, MESSAGE).unwrap();
        assert!(public.verifies(MESSAGE, &signature));
        assert!(signature.starts_with(&super::fake::string(name.as_bytes())));
        // The digest of the other name is another.
        let other = if name.ends_with("256") { "rsa-sha2-512" } else { "rsa-sha2-256" };
        let renamed = [super::fake::string(other.as_bytes()), signature[4 + name.len()..].to_vec()].concat();
        assert!(!public.verifies(MESSAGE, &renamed));
    }
}

#[test]
fn pem_of_openssl_opens_where_ring_reads_it() {
    let rsa = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    works(&SourceKey::read(rsa.as_bytes(), None).unwrap());
    works(&SourceKey::read(openssl(&["genrsa", "-traditional", "2048"]).as_bytes(), None).unwrap());
    let ec = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    works(&SourceKey::read(ec.as_bytes(), None).unwrap());
    works(&SourceKey::read(openssl(&["genpkey", "-algorithm", "ED25519"]).as_bytes(), None).unwrap());
    let sec1 = openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
    assert!(SourceKey::read(sec1.as_bytes(), None).err().unwrap().contains("ssh-keygen -p"));
}

#[test]
fn what_is_no_key_of_ours_is_refused_with_a_reason_and_without_a_word_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| SourceKey::read(text.as_bytes(), None).err().unwrap();
    let (dsa, _) = keygen(folder.path(), &["-t", "dsa"]);
    assert!(read(&dsa).contains("DSA"));
    let (p521, _) = keygen(folder.path(), &["-t", "ecdsa", "-b", "521"]);
    assert!(read(&p521).contains("P-521") && read(&p521).contains("ssh-keygen -t ed25519"), "{}", read(&p521));
    let packed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &p521);
    assert!(read(&packed).contains("P-521"));
    let (closed, _) = keygen(folder.path(), &["-t", "ecdsa", "-b", "521", "-N", "open sesame"]);
    assert!(read(&closed).contains("P-521"));
    // The neighbour: one that is only called so.
    let (named, _) = keygen(folder.path(), &["-t", "ed25519", "-C", "ecdsa-sha2-nistp521"]);
    assert!(SourceKey::read(named.as_bytes(), None).is_ok());
    let (short, _) = keygen(folder.path(), &["-t", "rsa", "-b", "1024"]);
    assert!(read(&short).contains("2,048"));
    let (slow, _) = keygen(folder.path(), &["-t", "ed25519", "-N", "open sesame", "-a", "129"]);
    assert!(SourceKey::read(slow.as_bytes(), Some(b"open sesame")).err().unwrap().contains("rounds"));
    let (text, public) = keygen(folder.path(), &["-t", "ed25519"]);
    let lines: Vec<&str> = text.lines().collect();
    let halved = [lines[0], lines[1], lines[lines.len() - 1]].join("\n");
    for text in ["", "hunter2", "aHVudGVyMg==", &public, &halved, "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n"] {
        assert!(!read(text).contains("hunter2"), "{text}");
    }
    // One byte flipped in the middle of an RSA key: the parts do not fit.
    let (text, _) = keygen(folder.path(), &["-t", "rsa", "-b", "2048"]);
    let at = text.len() / 2;
    let flipped = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    let damaged = [&text[..at], flipped, &text[at + 1..]].concat();
    if let Ok(key) = SourceKey::read(damaged.as_bytes(), None) {
        // `d` alone is not checked when it is read: signing checks itself.
        assert!(key.sign(Algorithm::RsaSha512, MESSAGE).is_none());
    }
}

#[tokio::test]
async fn a_certificate_says_what_was_narrowed_as_ssh_keygen_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let more = r#","source_address":["10.0.0.0/8","2001:db8::/32"],"force_command":"run-job --gpu","extensions":["permit-user-rc","permit-X11-forwarding","permit-pty"]"#;
    let settings = ca(more);
    let mut keys = vec![CALLER.to_owned()];
    for kind in [&["-t", "rsa", "-b", "2048"][..], &["-t", "ecdsa", "-b", "521"]] {
        keys.push(keygen(folder.path(), kind).1);
    }
    for ca_kind in [&["-t", "ed25519"][..], &["-t", "ecdsa", "-b", "384"], &["-t", "rsa", "-b", "3072"]] {
        let (text, ca_line) = keygen(folder.path(), ca_kind);
        let secret = secret(&[("ca_private_key", &text)]);
        for key in &keys {
            let ask = ask("a.gpu.example.com", AccessLevel::Read, Some(key));
            let minted = mint(&settings, &secret, &ask, 600).await.unwrap();
            assert_eq!(minted.expires_at, Timestamp::from_seconds(NOW + 600));
            let MintedShape::SshCertificate { certificate } = &minted.shape else { panic!("no certificate") };
            let file = folder.path().join("cert.pub");
            std::fs::write(&file, certificate).unwrap();
            let shown = Command::new("ssh-keygen").env("TZ", "UTC").arg("-Lf").arg(&file).output().unwrap();
            let shown = String::from_utf8(shown.stdout).unwrap();
            let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in [
                "user certificate",
                &format!("Key ID: \"{}\"", minted.attribution),
                "Serial: 578721382704613384",
                "Valid: from 2027-01-15T07:59:00 to 2027-01-15T08:10:00",
                "Principals: view@a.gpu.example.com Critical Options:",
                "force-command run-job --gpu source-address 10.0.0.0/8,2001:db8::/32 Extensions:",
                "Extensions: permit-X11-forwarding permit-pty permit-user-rc",
            ] {
                assert!(flat.contains(part), "{part}\n{shown}");
            }
            assert!(shown.contains(&print_of_line(folder.path(), &ca_line)), "{shown}");
            assert!(!certificate.contains(text.lines().nth(3).unwrap()));
        }
    }
}

/// `SHA256:...` of a public key, by ssh-keygen.
fn print_of_line(folder: &Path, line: &str) -> String {
    let file = folder.join("print.pub");
    std::fs::write(&file, line).unwrap();
    let shown = Command::new("ssh-keygen").arg("-lf").arg(&file).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().split_whitespace().nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn verify_says_whose_key_it_is_and_that_no_host_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (text, line) = keygen(folder.path(), &["-t", "ed25519"]);
    let pins = [format!("a.gpu.example.com {CALLER}")];
    let focus = ListAsk { resource_type: None, resource: None, limit: 10, page: None };
    let verified =
        Ssh.verify(&upstream(), &private(&pins), &secret(&[("base64_ssh_key", &text)]), &focus).await.unwrap();
    assert!(verified.identity.starts_with(&print_of_line(folder.path(), &line)), "{}", verified.identity);
    assert!(verified.identity.contains("no host was asked"));
    assert_eq!(verified.reach.len(), 1);
}

#[test]
fn secrets_are_named_by_method_and_never_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let (text, _) = keygen(folder.path(), &["-t", "ed25519", "-N", "open sesame", "-a", "4"]);
    let pins = [format!("a.gpu.example.com {CALLER}")];
    let settings = private(&pins);
    let field = |fields: &[(&str, &str)]| {
        let now = Timestamp::from_seconds(NOW);
        let errors = Ssh.check_secret(&settings, &secret(fields), None, now).unwrap_err();
        assert!(!errors.to_string().contains("sesame") && !errors.to_string().contains("hunter2"), "{errors}");
        errors.0[0].field.clone()
    };
    assert_eq!(field(&[("base64_ssh_key", "hunter2")]), "secrets.base64_ssh_key");
    assert_eq!(field(&[("base64_ssh_key", &text)]), "secrets.ssh_passphrase");
    assert_eq!(field(&[("base64_ssh_key", &text), ("ssh_passphrase", "sesame")]), "secrets.ssh_passphrase");
    assert_eq!(field(&[("base64_ssh_key", &text), ("ca_private_key", &text)]), "secrets.ca_private_key");
    assert_eq!(field(&[]), "secrets.base64_ssh_key");
    let both = secret(&[("base64_ssh_key", &text), ("ssh_passphrase", "open sesame")]);
    assert!(Ssh.check_secret(&settings, &both, None, Timestamp::from_seconds(NOW)).is_ok());
}
