//! SSH with OpenSSH's own server, client, agent tools and key maker: certificates for the caller's key, and sign-ins
//! with a key that never leaves the daemon. For each one that works, the neighbours that do not.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use valetkey::proto;

use crate::rig::process::{Daemon, eventually};
use crate::rig::sshd::{Pair, Sshd, Trust, user};
use crate::rig::vault::{Outcome, Setup, Vault, outcome};
use crate::rig::wire::reason;

/// Registers a connector as alice.
fn register(vault: &Vault, name: &str, kind: (&str, &str), settings: &Value, secrets: &Value) -> Outcome {
    let file = vault.beside(&format!("{name}.json"));
    std::fs::write(&file, settings.to_string()).unwrap();
    let settings = format!("@{}", file.display());
    let (connector_type, method) = kind;
    let words = ["connector", "register", name, "--type", connector_type, "--method", method];
    let more = ["--settings", &settings, "--secrets", "-", "-o", "json"];
    vault.cli_with("alice", &[&words[..], &more[..]].concat(), &secrets.to_string())
}

fn register_ca(vault: &Vault, name: &str, ca: &Pair, sshd: &Sshd, more: &Value) {
    let mut settings = json!({
        "hosts": [sshd.host()],
        "principals": {"read": ["view@{host}"], "write": ["train@{host}"]},
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    register(vault, name, ("ssh", "ca-key"), &settings, &json!({"ca_private_key": ca.secret()})).ok();
}

/// Has a key certified as bob, and puts the certificate beside it.
fn certify(vault: &Vault, connector: &str, sshd: &Sshd, pair: &Pair, access: &str) -> Value {
    let (host, key) = (sshd.host(), format!("public_key={}", pair.public));
    let ask = ["mint", "--connector", connector, "--resource-type", "ssh-host", "--resource", &host];
    let minted = vault.cli("bob", &[&ask[..], &["--param", &key, "--access", access, "-o", "json"]].concat()).json();
    let line = minted["ssh_certificate"]["certificate"].as_str().unwrap();
    let name = pair.file.file_name().unwrap().to_str().unwrap();
    std::fs::write(pair.file.with_file_name(format!("{name}-cert.pub")), format!("{line}\n")).unwrap();
    minted
}

/// A vault, a CA, and a server that trusts it for `train@127.0.0.1`.
fn certified() -> (Vault, Pair, Sshd) {
    let vault = Setup::new().start();
    let ca = Pair::new(&vault.beside(""), "ca", &["-t", "ed25519"]);
    let trust = Trust { authorities: &[&ca.public], principals: &["train@127.0.0.1"], ..Default::default() };
    let sshd = Sshd::start(&vault.beside("sshd"), &trust);
    (vault, ca, sshd)
}

#[test]
fn a_certificate_opens_the_host_for_its_principal_and_no_other() {
    let (vault, ca, sshd) = certified();
    register_ca(&vault, "gpus", &ca, &sshd, &json!({}));
    let pair = Pair::new(&vault.beside(""), "bob-key", &["-t", "ed25519"]);
    assert_eq!(sshd.sign_in(&pair, "echo in").code, 255, "without a certificate nobody is let in");
    let minted = certify(&vault, "gpus", &sshd, &pair, "write");
    assert_eq!(minted["downscope"], json!("resource"), "{minted}");
    assert_eq!(minted["revocable"], json!("no"));
    assert_eq!(sshd.sign_in(&pair, "echo in").ok().stdout, "in\n");
    let log = sshd.log();
    assert!(log.contains(minted["attribution"].as_str().unwrap()), "the host's log names who it was:\n{log}");
    // Reading has other principals, which this host does not list.
    certify(&vault, "gpus", &sshd, &pair, "read");
    let refused = sshd.sign_in(&pair, "echo in");
    assert_eq!(refused.code, 255, "{refused}");
    // And administering has none.
    let key = format!("public_key={}", pair.public);
    let host = sshd.host();
    let ask = ["mint", "--connector", "gpus", "--resource-type", "ssh-host", "--resource", &host, "--param", &key];
    vault.cli("bob", &[&ask[..], &["--access", "admin"]].concat()).fails(1, "access");
    vault.cli("stranger", &ask).fails(3, "GRANT_MISSING");
    vault.cli("bob", &ask[..7]).fails(1, "parameters.public_key");
}

#[test]
fn a_certificate_of_another_ca_or_for_another_key_opens_nothing() {
    let (vault, ca, sshd) = certified();
    let other = Pair::new(&vault.beside(""), "other-ca", &["-t", "ecdsa", "-b", "384"]);
    register_ca(&vault, "gpus", &ca, &sshd, &json!({}));
    register_ca(&vault, "others", &other, &sshd, &json!({}));
    let pair = Pair::new(&vault.beside(""), "bob-key", &["-t", "ecdsa", "-b", "521"]);
    certify(&vault, "others", &sshd, &pair, "write");
    assert_eq!(sshd.sign_in(&pair, "echo in").code, 255, "another CA");
    certify(&vault, "gpus", &sshd, &pair, "write");
    sshd.sign_in(&pair, "echo in").ok();
    // The certificate of one key beside another key.
    let thief = Pair::new(&vault.beside(""), "thief", &["-t", "ecdsa", "-b", "521"]);
    let beside = |name: &str| vault.beside(&format!("{name}-cert.pub"));
    std::fs::copy(beside("bob-key"), beside("thief")).unwrap();
    assert_eq!(sshd.sign_in(&thief, "echo in").code, 255, "another key");
}

#[test]
fn source_address_and_forced_command_hold() {
    let (vault, ca, sshd) = certified();
    let pair = Pair::new(&vault.beside(""), "bob-key", &["-t", "rsa", "-b", "2048"]);
    register_ca(&vault, "near", &ca, &sshd, &json!({"source_address": ["127.0.0.0/8"]}));
    certify(&vault, "near", &sshd, &pair, "write");
    assert_eq!(sshd.sign_in(&pair, "echo asked").ok().stdout, "asked\n");
    register_ca(&vault, "far", &ca, &sshd, &json!({"source_address": ["10.9.9.0/24"]}));
    certify(&vault, "far", &sshd, &pair, "write");
    assert_eq!(sshd.sign_in(&pair, "echo asked").code, 255);
    register_ca(&vault, "job", &ca, &sshd, &json!({"force_command": "echo forced"}));
    certify(&vault, "job", &sshd, &pair, "write");
    assert_eq!(sshd.sign_in(&pair, "echo asked").ok().stdout, "forced\n");
}

#[test]
fn an_rsa_ca_signs_with_sha2_and_what_it_signed_ends() {
    let vault = Setup::new().start();
    let ca = Pair::new(&vault.beside(""), "ca", &["-t", "rsa", "-b", "3072", "-N", "open sesame", "-a", "4"]);
    let trust = Trust { authorities: &[&ca.public], principals: &["train@127.0.0.1"], ..Default::default() };
    let sshd = Sshd::start(&vault.beside("sshd"), &trust);
    let settings = json!({"hosts": ["127.0.0.1:*"], "principals": {"write": ["train@{host}"]}});
    let wrong = json!({"ca_private_key": ca.secret(), "ca_passphrase": "open says me"});
    register(&vault, "gpus", ("ssh", "ca-key"), &settings, &wrong).fails(1, "secrets.ca_passphrase");
    let right = json!({"ca_private_key": ca.secret(), "ca_passphrase": "open sesame"});
    let said = register(&vault, "gpus", ("ssh", "ca-key"), &settings, &right).ok();
    assert!(said.stdout.contains("SHA256:") && said.stdout.contains("no host was asked"), "{said}");
    let pair = Pair::new(&vault.beside(""), "bob-key", &["-t", "ed25519"]);
    certify(&vault, "gpus", &sshd, &pair, "write");
    sshd.sign_in(&pair, "echo in").ok();
    let certificate = vault.beside("bob-key-cert.pub");
    let shown = outcome(Command::new("ssh-keygen").arg("-Lf").arg(certificate), "").ok().stdout;
    assert!(shown.contains("using rsa-sha2-512") && shown.contains("train@127.0.0.1"), "{shown}");
    // A server that lives two hours later trusts the same CA.
    let later = Trust { wrapper: &["faketime", "-f", "+2h"], ..trust };
    let later = Sshd::start(&vault.beside("later"), &later);
    let settings = json!({"hosts": [later.host()], "principals": {"write": ["train@{host}"]}});
    register(&vault, "later", ("ssh", "ca-key"), &settings, &right).ok();
    certify(&vault, "later", &later, &pair, "write");
    let refused = later.sign_in(&pair, "echo in");
    assert_eq!(refused.code, 255, "{refused}");
    assert!(later.log().contains("expired"), "{}", later.log());
}

#[test]
fn a_certificate_that_names_the_port_opens_that_server_and_not_its_neighbour_of_the_same_name() {
    let vault = Setup::new().start();
    let ca = Pair::new(&vault.beside(""), "ca", &["-t", "ed25519"]);
    let [first, second] = ["first", "second"].map(|name| {
        let trust = Trust { authorities: &[&ca.public], ..Default::default() };
        let sshd = Sshd::start(&vault.beside(name), &trust);
        // Read at each sign-in: both take the name alone, too.
        let principals = format!("train@{}\ntrain@127.0.0.1\n", sshd.host());
        std::fs::write(vault.beside(name).join("principals"), principals).unwrap();
        sshd
    });
    let pair = Pair::new(&vault.beside(""), "bob-key", &["-t", "ed25519"]);
    for (name, principal, downscope, beside) in
        [("narrow", "train@{host}:{port}", "resource", 255), ("wide", "train@{host}", "none", 0)]
    {
        let settings = json!({"hosts": ["127.0.0.1:*"], "principals": {"write": [principal]}});
        register(&vault, name, ("ssh", "ca-key"), &settings, &json!({"ca_private_key": ca.secret()})).ok();
        let minted = certify(&vault, name, &first, &pair, "write");
        assert_eq!(minted["downscope"], json!(downscope), "{minted}");
        first.sign_in(&pair, "echo in").ok();
        let outcome = second.sign_in(&pair, "echo in");
        assert_eq!(outcome.code, beside, "{name}: {outcome}");
    }
}

#[test]
fn what_ssh_keyscan_prints_is_pinned_in_whole() {
    let lent = Lent::new(&["-t", "ed25519"], None);
    let vault = &lent.vault;
    let other = Sshd::start(&vault.beside("other"), &Trust::default());
    let scan =
        |port: u16| outcome(Command::new("ssh-keyscan").args(["-p", &port.to_string(), "127.0.0.1"]), "").ok().stdout;
    let scanned = format!("# remark\n{}{}", scan(lent.sshd.port), scan(other.port));
    let file = vault.beside("pins");
    std::fs::write(&file, &scanned).unwrap();
    let hosts = format!("hosts={},{}", lent.sshd.host(), other.host());
    let username = format!("username={}", user());
    for (name, pins) in [("text", format!("host_keys={scanned}")), ("file", format!("host_keys=@{}", file.display()))] {
        let words = ["connector", "register", name, "--type", "ssh", "--method", "private-key", "--secrets", "-"];
        let set = ["--set", &hosts, "--set", &username, "--set", &pins];
        let secrets = json!({"base64_ssh_key": lent.pair.secret()}).to_string();
        vault.cli_with("alice", &[&words[..], &set[..]].concat(), &secrets).ok();
        for sshd in [&lent.sshd, &other] {
            let host = sshd.host();
            let ask = ["mint", "--connector", name, "--resource-type", "ssh-host", "--resource", &host, "-o", "json"];
            let minted = vault.cli("bob", &ask).json();
            assert_eq!(minted["signing_session"]["host_keys"], json!([sshd.host_key.line()]), "{name}: {minted}");
        }
    }
}

/// Characters of a private key's file that are nowhere by chance.
const PIECE: usize = 24;

/// A vault, a key that is registered with it, and a server that knows the key.
struct Lent {
    vault: Vault,
    pair: Pair,
    sshd: Sshd,
}

impl Lent {
    fn new(kind: &[&str], passphrase: Option<&str>) -> Self {
        let vault = Setup::new().start();
        let pair = Pair::new(&vault.beside(""), "lent", kind);
        let trust = Trust { keys: &[&pair.public], ..Default::default() };
        let sshd = Sshd::start(&vault.beside("sshd"), &trust);
        let lent = Self { vault, pair, sshd };
        lent.register("hosts", &user(), passphrase);
        lent
    }

    fn register(&self, name: &str, username: &str, passphrase: Option<&str>) {
        let settings = json!({"hosts": [self.sshd.host()], "username": username, "host_keys": [self.sshd.pin()]});
        let mut secrets = json!({"base64_ssh_key": self.pair.secret()});
        if let Some(passphrase) = passphrase {
            secrets["ssh_passphrase"] = json!(passphrase);
        }
        let said = register(&self.vault, name, ("ssh", "private-key"), &settings, &secrets).ok();
        self.no_key(&said.all());
    }

    /// Runs a command with an agent of this connector, as somebody.
    fn agent(&self, who: &str, connector: &str, command: &[String]) -> Outcome {
        let host = self.sshd.host();
        let words = ["ssh-agent", "--connector", connector, "--resource", &host, "--"];
        let words: Vec<&str> = words.into_iter().chain(command.iter().map(String::as_str)).collect();
        let said = self.vault.cli(who, &words);
        self.no_key(&said.all());
        said
    }

    fn sign_in(&self, who: &str, connector: &str) -> Outcome {
        self.agent(who, connector, &self.sshd.client(&[], "echo in"))
    }

    /// Nothing of the private key is in here.
    #[track_caller]
    fn no_key(&self, text: &str) {
        let secret = self.pair.secret();
        let file: String = secret.lines().filter(|line| !line.starts_with("-----")).collect();
        for start in (0..file.len().saturating_sub(PIECE)).step_by(PIECE / 3) {
            let piece = &file[start..start + PIECE];
            // The public key is in the file, too, and anybody may have it.
            let leaked = text.contains(piece) && !self.pair.public.contains(piece);
            assert!(!leaked, "the key is in: {text}");
        }
    }

    /// Outcome and reason of each line about a signature, oldest first.
    fn signatures(&self) -> Vec<(String, String)> {
        let lines = self.vault.ledger();
        let of_signing = lines.iter().filter(|line| line["method"].as_str().unwrap().ends_with("/SignChallenge"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        of_signing.map(|line| (text(&line["outcome"]), text(&line["reason"]))).collect()
    }
}

#[test]
fn ssh_signs_in_with_keys_of_every_kind_that_never_leave() {
    let sesame = ["-N", "open sesame", "-a", "4"];
    for (kind, passphrase) in [
        (["-t", "ed25519"].to_vec(), None),
        (["-t", "ecdsa", "-b", "256"].to_vec(), None),
        ([&["-t", "rsa", "-b", "2048"][..], &sesame].concat(), Some("open sesame")),
    ] {
        let lent = Lent::new(&kind, passphrase);
        assert_eq!(lent.sign_in("bob", "hosts").ok().stdout, "in\n", "{kind:?}");
        let listed = lent.agent("bob", "hosts", &["ssh-add".to_owned(), "-l".to_owned()]).ok().stdout;
        let print = outcome(Command::new("ssh-keygen").arg("-lf").arg(lent.pair.file.with_extension("pub")), "");
        assert!(listed.contains(print.ok().stdout.split(' ').nth(1).unwrap()), "{listed}");
        assert_eq!(lent.signatures(), [("pending", ""), ("ok", "SIGNED")].map(|(a, b)| (a.to_owned(), b.to_owned())));
        lent.no_key(&lent.vault.logs());
        lent.no_key(&lent.vault.ledger().iter().map(Value::to_string).collect::<String>());
        let minted = lent.vault.cli(
            "bob",
            &[
                "mint",
                "--connector",
                "hosts",
                "--resource-type",
                "ssh-host",
                "--resource",
                &lent.sshd.host(),
                "-o",
                "json",
            ],
        );
        lent.no_key(&minted.all());
        assert_eq!(minted.json()["shape"], json!("signing_session"));
        assert_eq!(minted.json()["revocable"], json!("single"));
    }
}

#[test]
fn every_signature_has_its_line_with_host_and_key() {
    let lent = Lent::new(&["-t", "ed25519"], None);
    for _ in 0..3 {
        lent.sign_in("bob", "hosts").ok();
    }
    let lines = lent.vault.ledger();
    let signed: Vec<&Value> = lines.iter().filter(|line| line["reason"] == "SIGNED").collect();
    assert_eq!(signed.len(), 3);
    let print = outcome(Command::new("ssh-keygen").arg("-lf").arg(lent.sshd.host_key.file.with_extension("pub")), "");
    let print = print.ok().stdout.split(' ').nth(1).unwrap().to_owned();
    for line in signed {
        assert_eq!(line["principal_name"], json!("bob"), "{line}");
        assert_eq!(line["resource"], json!(lent.sshd.host()), "{line}");
        assert_eq!(line["details"]["host_key"], json!(print), "{line}");
        assert!(line["issuance"].is_string() && line["details"]["fingerprint"].is_string(), "{line}");
    }
}

#[test]
fn the_agent_refuses_other_users_other_hosts_and_other_texts() {
    let lent = Lent::new(&["-t", "ed25519"], None);
    // Another user than the one of the settings.
    lent.register("elsewhere", "somebody-else", None);
    lent.sign_in("bob", "elsewhere").fails(255, "OTHER_USER");
    // A host that knows the key but is not pinned.
    let trust = Trust { keys: &[&lent.pair.public], ..Default::default() };
    let unpinned = Sshd::start(&lent.vault.beside("unpinned"), &trust);
    lent.agent("bob", "hosts", &unpinned.client(&[], "echo in")).fails(255, "UNPINNED_HOST");
    // What git and others sign.
    let (public, text) = (lent.pair.file.with_extension("pub"), lent.vault.beside("text"));
    std::fs::write(&text, "a commit").unwrap();
    std::fs::remove_file(&lent.pair.file).unwrap();
    let words = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f"].map(str::to_owned);
    let files = [public, text].map(|path| path.display().to_string());
    let said = {
        let host = lent.sshd.host();
        let words: Vec<&str> = words.iter().chain(&files).map(String::as_str).collect();
        let start = ["ssh-agent", "--connector", "hosts", "--resource", &host, "--"];
        lent.vault.cli("bob", &[&start[..], &words].concat())
    };
    assert!(said.code != 0 && said.stderr.contains("NOT_A_SIGN_IN"), "{said}");
    // Who may not mint has no agent.
    let host = lent.sshd.host();
    for who in ["stranger", "alice", "carol"] {
        let said = lent.vault.cli(who, &["ssh-agent", "--connector", "hosts", "--resource", &host, "--", "true"]);
        assert_eq!(said.code, 3, "{who}: {said}");
    }
    assert!(!lent.vault.ledger().iter().any(|line| line["reason"] == "SIGNED"), "nothing was signed");
    let refused = lent.vault.ledger().iter().filter(|line| line["reason"] == "SIGNATURE_REFUSED").count();
    assert!(refused >= 3, "each refusal is in the ledger");
}

#[test]
fn a_revoked_session_signs_nothing_from_then_on() {
    let lent = Lent::new(&["-t", "ed25519"], None);
    let folder = lent.vault.beside("agent");
    let socket = folder.join("agent.sock");
    let mut command = lent.vault.command();
    command.env("VALETKEY_TOKEN_FILE", lent.vault.token_file("bob"));
    command.args(["ssh-agent", "--connector", "hosts", "--resource", &lent.sshd.host(), "--socket"]).arg(&socket);
    let agent = Daemon::start(&mut command, &lent.vault.beside(""), "agent");
    assert!(eventually(Duration::from_secs(20), || agent.stdout().contains("SSH_AUTH_SOCK")), "{}", agent.stderr());
    let sign_in = || with_socket(&lent.sshd, &socket);
    assert_eq!(sign_in().ok().stdout, "in\n");
    let listed = lent.vault.cli("bob", &["issuance", "list", "--active", "-o", "json"]).json();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    let said = lent.vault.cli("owner", &["issuance", "revoke", &id, "-o", "json"]);
    let said = if said.code == 0 { said } else { lent.vault.cli("alice", &["issuance", "revoke", &id, "-o", "json"]) };
    assert_eq!(said.json()[0]["issuance"]["state"], json!("revoked"), "{said}");
    assert_eq!(sign_in().code, 255);
    assert!(agent.stderr().contains("SESSION_ENDED"), "{}", agent.stderr());
    let last = lent.signatures().pop().unwrap();
    assert_eq!(last, ("denied".to_owned(), "SESSION_ENDED".to_owned()));
    agent.signal(rustix::process::Signal::TERM);
    assert!(eventually(Duration::from_secs(20), || !folder.exists()), "the socket goes with the agent");
}

fn with_socket(sshd: &Sshd, socket: &Path) -> Outcome {
    let words = sshd.client(&[], "echo in");
    outcome(Command::new(&words[0]).args(&words[1..]).env("SSH_AUTH_SOCK", socket), "")
}

#[test]
fn a_session_signs_for_its_own_principal_and_for_a_bound_host_only() {
    let lent = Lent::new(&["-t", "ed25519"], None);
    let host = lent.sshd.host();
    let ask = ["mint", "--connector", "hosts", "--resource-type", "ssh-host", "--resource", &host, "-o", "json"];
    let issuance_id = lent.vault.cli("bob", &ask).json()["issuance_id"].as_str().unwrap().to_owned();
    crate::rig::cast::principal(&lent.vault, "owner", "dave", proto::PrincipalKind::User);
    crate::rig::cast::bind(&lent.vault, "owner", crate::rig::cast::binding("dave", "data-scientist"));
    let sign = |who: &str, issuance_id: &str, data: Vec<u8>| {
        let ask = proto::SignChallengeRequest { issuance_id: issuance_id.to_owned(), data, ..Default::default() };
        lent.vault.run(lent.vault.credentials(who).sign_challenge(ask)).unwrap_err()
    };
    let sign_in = sign_in_text(&user(), &lent.pair.line());
    let status = sign("bob", &issuance_id, sign_in.clone());
    assert_eq!(reason(&status), "SIGNATURE_REFUSED", "{status:?}");
    assert!(status.message().contains("NO_HOST_BINDING"), "{status:?}");
    assert!(sign("bob", &issuance_id, b"SSHSIG".to_vec()).message().contains("NOT_A_SIGN_IN"));
    // Of somebody else, of nobody, of no form, too long.
    assert_eq!(sign("dave", &issuance_id, sign_in.clone()).code(), tonic::Code::NotFound);
    let nobody = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11";
    assert_eq!(sign("bob", nobody, sign_in.clone()).code(), tonic::Code::NotFound);
    assert_eq!(sign("stranger", &issuance_id, sign_in.clone()).code(), tonic::Code::PermissionDenied);
    assert_eq!(sign("bob", "x", sign_in.clone()).code(), tonic::Code::InvalidArgument);
    assert_eq!(sign("bob", &issuance_id, vec![0; 16 * 1024 + 1]).code(), tonic::Code::InvalidArgument);
    // A grant that ends, ends the use of what was minted under it.
    let listed = lent.vault.cli("owner", &["binding", "list", "-o", "json"]).json();
    let bound = listed.as_array().unwrap().iter().find(|one| one["principal_name"] == "bob").unwrap();
    lent.vault.cli("owner", &["binding", "delete", bound["id"].as_str().unwrap()]).ok();
    assert_eq!(sign("bob", &issuance_id, sign_in).code(), tonic::Code::PermissionDenied);
}

/// The text that `ssh` would have signed, in a session that nobody has.
fn sign_in_text(user: &str, line: &str) -> Vec<u8> {
    use base64::Engine as _;
    let (kind, key) = line.split_once(' ').unwrap();
    let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let words = [user.as_bytes(), b"ssh-connection", b"publickey"].map(string).concat();
    [string(&[9; 32]), vec![50], words, vec![1], string(kind.as_bytes()), string(&key)].concat()
}

#[test]
fn the_agent_certifies_a_key_of_its_own_where_a_ca_is() {
    let (vault, ca, sshd) = certified();
    register_ca(&vault, "gpus", &ca, &sshd, &json!({}));
    let host = sshd.host();
    let agent = |access: &str, words: &[String]| {
        let start = ["ssh-agent", "--connector", "gpus", "--resource", &host, "--access", access, "--"];
        let words: Vec<&str> = start.into_iter().chain(words.iter().map(String::as_str)).collect();
        vault.cli("bob", &words)
    };
    assert_eq!(agent("write", &sshd.client(&[], "echo in")).ok().stdout, "in\n");
    assert_eq!(agent("read", &sshd.client(&[], "echo in")).code, 255, "another principal");
    assert!(agent("write", &["ssh-add".to_owned(), "-l".to_owned()]).ok().stdout.contains("ED25519-CERT"));
    // What the command ends with, the agent ends with.
    assert_eq!(agent("write", &["sh".to_owned(), "-c".to_owned(), "exit 42".to_owned()]).code, 42);
}

#[test]
fn names_of_zenml_are_taken_and_dsa_is_refused_with_a_reason() {
    let vault = Setup::new().start();
    let host = Pair::new(&vault.beside(""), "host", &["-t", "ed25519"]);
    let settings = json!({
        "hosts": ["gpu1.example.com"], "username": "zenml",
        "host_keys": [format!("gpu1.example.com {}", host.line())],
    });
    let pair = Pair::new(&vault.beside(""), "key", &["-t", "rsa", "-b", "2048"]);
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(pair.secret());
    let made = register(&vault, "old", ("hyperai", "rsa-key"), &settings, &json!({"base64_ssh_key": text})).json();
    assert_eq!((&made["connector_type"], &made["auth_method"]), (&json!("ssh"), &json!("private-key")), "{made}");
    let ask = ["mint", "--connector", "old", "--resource-type", "hyperai-instance", "--resource", "GPU1.example.com"];
    let minted = vault.cli("bob", &[&ask[..], &["-o", "json"]].concat()).json();
    assert_eq!(minted["resource_type"], json!("ssh-host"), "{minted}");
    assert_eq!(minted["signing_session"]["host"], json!("gpu1.example.com"));
    let dsa = Pair::new(&vault.beside(""), "dsa", &["-t", "dsa"]);
    let secrets = json!({"base64_ssh_key": dsa.secret()});
    register(&vault, "older", ("hyperai", "dsa-key"), &settings, &secrets).fails(1, "DSA");
    register(&vault, "oldest", ("ssh", "private-key"), &settings, &secrets).fails(1, "DSA");
}
