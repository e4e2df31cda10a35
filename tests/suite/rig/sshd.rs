//! OpenSSH's own server on loopback, with a host key of its own, and its client and key maker.
//!
//! Everybody signs in as the user who runs the tests: no server but root's could let in another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::ports;
use super::process::{Daemon, listening};
use super::vault::{Outcome, outcome};

/// A key pair in files.
pub struct Pair {
    /// The private key's.
    pub file: PathBuf,
    /// The line of the public key.
    pub public: String,
}

impl Pair {
    /// A fresh pair by ssh-keygen, for example `["-t", "ed25519"]`.
    pub fn new(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let file = folder.join(name);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-C", name, "-f"]).arg(&file).args(arguments);
        if !arguments.contains(&"-N") {
            command.args(["-N", ""]);
        }
        outcome(&mut command, "").ok();
        let public = fs::read_to_string(file.with_extension("pub")).expect("ssh-keygen wrote the public key");
        Self { file, public: public.trim().to_owned() }
    }

    /// The text of the private key's file.
    pub fn secret(&self) -> String {
        fs::read_to_string(&self.file).expect("ssh-keygen wrote the key")
    }

    /// `TYPE KEY`.
    pub fn line(&self) -> String {
        self.public.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }
}

/// What a server trusts.
#[derive(Default)]
pub struct Trust<'a> {
    /// Lines of CA keys.
    pub authorities: &'a [&'a str],
    /// The principals that may sign in.
    pub principals: &'a [&'a str],
    /// Lines of keys.
    pub keys: &'a [&'a str],
    /// A command that runs the server, for example faketime.
    pub wrapper: &'a [&'a str],
}

/// A running server.
pub struct Sshd {
    /// Its port.
    pub port: u16,
    /// Its host key.
    pub host_key: Pair,
    folder: PathBuf,
    daemon: Daemon,
}

impl Sshd {
    /// Starts a server with its files in a new folder.
    pub fn start(folder: &Path, trust: &Trust<'_>) -> Self {
        fs::create_dir_all(folder).expect("the folder can be made");
        let host_key = Pair::new(folder, "host", &["-t", "ed25519"]);
        let write = |name: &str, lines: &[&str]| {
            fs::write(folder.join(name), lines.join("\n") + "\n").expect("the folder is writable");
            folder.join(name).display().to_string()
        };
        let [port] = ports::free::<1>();
        let config = [
            format!("ListenAddress 127.0.0.1:{port}"),
            format!("HostKey {}", host_key.file.display()),
            format!("TrustedUserCAKeys {}", write("authorities", trust.authorities)),
            format!("AuthorizedPrincipalsFile {}", write("principals", trust.principals)),
            format!("AuthorizedKeysFile {}", write("keys", trust.keys)),
            "PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nLogLevel VERBOSE".to_owned(),
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no".to_owned(),
        ];
        let config = write("config", &config.each_ref().map(String::as_str));
        // Root's server wants this folder; nobody else's does.
        let _ = fs::create_dir_all("/run/sshd");
        let server = ["/usr/sbin/sshd", "/sbin/sshd", "/usr/local/sbin/sshd"];
        let server = server.into_iter().find(|path| Path::new(path).exists()).expect("sshd is installed");
        let mut words = trust.wrapper.iter().copied().chain([server]);
        let mut command = Command::new(words.next().expect("there is a word"));
        command.args(words).args(["-D", "-e", "-f", &config]);
        let mut daemon = Daemon::start(&mut command, folder, "sshd");
        daemon.wait_until("sshd listens", START_LIMIT, |_| listening(port).then_some(()));
        Self { port, host_key, folder: folder.to_owned(), daemon }
    }

    /// The resource id.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The line to pin.
    pub fn pin(&self) -> String {
        format!("{} {}", self.host(), self.host_key.line())
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        self.daemon.stderr()
    }

    /// The words of a client that knows the host's key and tries what it is given alone.
    pub fn client(&self, options: &[&str], ask: &str) -> Vec<String> {
        let known = self.folder.join("known_hosts");
        let line = format!("[127.0.0.1]:{} {}\n", self.port, self.host_key.line());
        fs::write(&known, line).expect("the folder is writable");
        let mut words = vec!["ssh".to_owned(), "-F".to_owned(), "none".to_owned()];
        for option in [
            "BatchMode=yes".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "PreferredAuthentications=publickey".to_owned(),
            format!("UserKnownHostsFile={}", known.display()),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
        ] {
            words.extend(["-o".to_owned(), option]);
        }
        words.extend(["-p".to_owned(), self.port.to_string()]);
        words.extend(options.iter().map(|option| (*option).to_owned()));
        words.extend([format!("{}@127.0.0.1", user()), ask.to_owned()]);
        words
    }

    /// Signs in with a key, and the certificate beside it if there is one.
    pub fn sign_in(&self, pair: &Pair, ask: &str) -> Outcome {
        let file = pair.file.display().to_string();
        let words = self.client(&["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", &file], ask);
        outcome(Command::new(&words[0]).args(&words[1..]), "")
    }
}

/// Who runs the tests.
pub fn user() -> String {
    outcome(Command::new("id").arg("-un"), "").ok().stdout.trim().to_owned()
}

// Seen: well under a second.
const START_LIMIT: Duration = Duration::from_secs(20);
