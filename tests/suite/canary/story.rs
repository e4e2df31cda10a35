//! The whole life of a source credential, with everything that can go wrong on the way, at log level trace; then the
//! search: nothing of any source credential is anywhere, and nothing of a minted one on disk, in the ledger or the log.

use std::fs;
use std::path::Path;

use prost::Message;
use tonic::Status;
use valetkey::proto;

use super::encodings::Canary;
use super::memory;
use super::misuse;
use super::scanner::{Hit, Scanner};
use super::sinks::{Heard, scan_files};
use crate::faults::asks::{self, reaching};
use crate::faults::root;
use crate::faults::sts::{Manner, SessionParts, Sts};
use crate::rig::vault::{Outcome, Vault};
use crate::rig::wire::{everything, reason};

/// What a story is told with.
pub struct Story {
    /// The daemon.
    pub vault: Vault,
    /// Its only cloud.
    pub sts: Sts,
    /// Everything that was answered.
    pub heard: Heard,
    sources: Vec<Canary>,
    minted: Vec<Canary>,
}

#[test]
fn no_source_credential_is_left_anywhere_and_no_minted_one_on_disk() {
    let mut story = Story::begin();
    story.serve_well();
    story.meet_a_hostile_cloud();
    misuse::by_grpc(&mut story);
    misuse::by_command_line(&mut story);
    assert!(story.heard.len() > 60, "the story is too short: {}", story.heard.len());
    story.search_while_running();
    story.vault.stop();
    story.search_files();
}

impl Story {
    /// A vault that logs all it can, with every variable set that makes libraries talk.
    pub fn begin() -> Self {
        let minted = ["session id", "session secret", "session token"].map(Canary::new);
        let [id, secret, token] = minted.each_ref().map(|canary| canary.text.clone());
        let sts = Sts::start(SessionParts { id, secret, token });
        let key_log = "/proc/self/cwd/valetkey-canary-keys";
        let vault = reaching(&sts.url())
            .with("log", "level = \"trace\"")
            .variable("RUST_LOG", "trace,h2=trace,hyper=trace,rustls=trace,tonic=trace,aws_smithy_runtime=trace")
            .variable("RUST_BACKTRACE", "full")
            .variable("SSLKEYLOGFILE", key_log)
            .start();
        Self { vault, sts, heard: Heard::default(), sources: Vec::new(), minted: minted.into() }
    }

    /// A new secret that nobody may ever see.
    pub fn secret(&mut self, name: &str) -> Canary {
        let canary = Canary::new(name);
        self.sources.push(canary.clone());
        canary
    }

    /// A new AWS key of such secrets.
    pub fn key(&mut self, name: &str) -> Vec<proto::SecretField> {
        let [id, secret] = [self.secret(&format!("{name}: id")), self.secret(&format!("{name}: secret"))];
        asks::key_fields([id.bytes(), secret.bytes()])
    }

    /// Calls a method over a connection of its own, and notes whatever is answered.
    pub fn call(&mut self, who: &str, path: &'static str, ask: &impl Message) -> Result<Vec<u8>, Status> {
        self.send(Some(who), path, ask.encode_to_vec())
    }

    /// The same with any bytes.
    pub fn send(&mut self, who: Option<&str>, path: &'static str, body: Vec<u8>) -> Result<Vec<u8>, Status> {
        let answer = self.vault.run(self.vault.raw(who, path, body));
        match &answer {
            Ok(reply) => self.heard.note(path, reply.clone()),
            Err(status) => self.heard.note(path, everything(status)),
        }
        answer
    }

    /// Calls what must succeed.
    #[track_caller]
    pub fn must(&mut self, who: &str, path: &'static str, ask: &impl Message) {
        self.call(who, path, ask).unwrap_or_else(|status| panic!("{path}: {status:?}"));
    }

    /// Calls what must be refused, for this reason.
    #[track_caller]
    pub fn must_not(&mut self, who: &str, path: &'static str, ask: &impl Message, due: &str) {
        let answer = self.call(who, path, ask);
        let status = answer.err().unwrap_or_else(|| panic!("{path} was not refused; {due} was due"));
        assert_eq!(reason(&status), due, "{path}: {status:?}");
    }

    /// Runs the command line and notes what it says.
    pub fn cli(&mut self, who: &str, arguments: &[&str], input: &str) -> Outcome {
        let outcome = self.vault.cli_with(who, arguments, input);
        self.heard.note(&format!("valetkey {}", arguments.first().unwrap_or(&"")), outcome.all());
        outcome
    }

    /// A register request with a fresh key.
    pub fn connector(&mut self, name: &str) -> proto::RegisterConnectorRequest {
        let secrets = self.key(name);
        let request_id = uuid::Uuid::new_v4().to_string();
        proto::RegisterConnectorRequest {
            secrets,
            request_id,
            ..asks::role_connector(name, &self.sts.url(), [b"", b""])
        }
    }

    fn serve_well(&mut self) {
        let ask = self.connector("good");
        self.must("alice", REGISTER, &ask);
        self.must("alice", REGISTER, &ask);
        let other = proto::RegisterConnectorRequest { secrets: self.key("under a used request id"), ..ask };
        self.must_not("alice", REGISTER, &other, "REQUEST_ID_REUSED");
        let ask = proto::RegisterConnectorRequest { validate_only: true, ..self.connector("only-looked-at") };
        self.must("alice", REGISTER, &ask);
        let rotate = self.rotation("good", true);
        self.must("alice", ROTATE, &rotate);
        let update = self.update("good", asks::role_settings(&self.sts.url()).replace("ml-data", "ml-other"));
        self.must("alice", UPDATE, &update);
        self.must("alice", VERIFY, &verification("good"));
        self.must("bob", MINT, &asks::bucket("good", "datasets"));
        self.must("bob", MINT, &asks::bucket("good", "datasets"));
        self.must("bob", WATCH, &asks::bucket("good", "datasets"));
        self.look_around();
    }

    /// Every way to read, as everybody, also those who may not.
    fn look_around(&mut self) {
        for who in ["owner", "alice", "bob", "carol", "stranger", "trainer"] {
            let connector = "good".to_owned();
            let describe = proto::DescribeConnectorRequest { connector, ..Default::default() };
            let _ = self.call(who, "/valetkey.v1.ConnectorService/DescribeConnector", &describe);
            for path in READS {
                let _ = self.send(Some(who), path, Vec::new());
            }
        }
    }

    /// The cloud repeats what it was sent, and the secret for good measure.
    fn meet_a_hostile_cloud(&mut self) {
        let ask = self.connector("refused");
        let all: Vec<String> = self.sources.iter().map(|canary| canary.text.clone()).collect();
        self.sts.behave(Manner::Echo(all.join(" ")));
        let ask = proto::RegisterConnectorRequest { skip_verify: false, ..ask };
        self.must_not("alice", REGISTER, &ask, "UPSTREAM_DENIED");
        let rotate = self.rotation("good", false);
        self.must_not("alice", ROTATE, &rotate, "UPSTREAM_DENIED");
        let _ = self.call("alice", VERIFY, &verification("good"));
        let resources = proto::ListConnectorResourcesRequest { connector: "good".to_owned(), ..Default::default() };
        let _ = self.call("alice", "/valetkey.v1.ConnectorService/ListConnectorResources", &resources);
        self.must_not("bob", MINT, &asks::bucket("good", "models"), "UPSTREAM_DENIED");
        self.sts.behave(Manner::Down);
        self.must_not("bob", MINT, &asks::bucket("good", "models-2"), "UPSTREAM_UNAVAILABLE");
        self.sts.behave(Manner::Session(std::time::Duration::ZERO));
        self.look_around();
    }

    fn rotation(&mut self, connector: &str, skip_verify: bool) -> proto::RotateConnectorSecretRequest {
        let (connector, secrets) = (connector.to_owned(), self.key("rotated"));
        proto::RotateConnectorSecretRequest { connector, secrets, skip_verify, ..Default::default() }
    }

    /// What an update of the connector as it is now names.
    pub fn etag(&self, connector: &str) -> String {
        let describe = proto::DescribeConnectorRequest { connector: connector.to_owned(), ..Default::default() };
        let found = self.vault.run(self.vault.connectors("alice").describe_connector(describe)).expect("it is there");
        found.into_inner().connector.expect("the reply has the connector").etag
    }

    fn update(&mut self, connector: &str, settings: String) -> proto::UpdateConnectorRequest {
        let etag = self.etag(connector);
        let (connector, secrets) = (connector.to_owned(), self.key("updated"));
        proto::UpdateConnectorRequest { connector, etag, settings, secrets, skip_verify: true, ..Default::default() }
    }

    /// Answers, files, logs and memory.
    fn search_while_running(&self) {
        let sources = Scanner::new(&self.sources);
        none("a source credential was answered", &self.heard.scan(&sources));
        let hits = memory::scan_when_quiet(&self.vault, &sources);
        none("a source credential is in memory", &hits);
        let live = memory::scan(&self.vault, &Scanner::new(&self.minted));
        assert!(live.iter().any(|hit| hit.canary == "session secret"), "the search does not see the cache");
        self.search_files();
        assert!(self.vault.logs().len() > 200, "a log at level trace says something");
        self.search_process();
    }

    fn search_files(&self) {
        let folder = self.vault.beside("");
        let is_token = |path: &Path| path.extension().is_some_and(|extension| extension == "token");
        let tokens: Vec<Canary> = ["owner", "alice", "bob"]
            .map(|who| Canary::of(&format!("{who}'s token"), self.vault.token(who).get(LAST_OF_TOKEN..).unwrap()))
            .into();
        for canaries in [&self.sources, &self.minted, &tokens] {
            none("it is on disk", &scan_files(&folder, &Scanner::new(canaries), &is_token));
        }
    }

    fn search_process(&self) {
        let pid = self.vault.daemon().as_ref().expect("the daemon runs").id();
        let limits = root::command("cat").arg(format!("/proc/{pid}/limits")).output().expect("cat runs").stdout;
        let limits = String::from_utf8_lossy(&limits).into_owned();
        let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("there is a limit");
        assert_eq!(cores.split_whitespace().filter(|word| *word == "0").count(), 2, "{cores}");
        assert!(!fs::exists("valetkey-canary-keys").unwrap(), "H10: SSLKEYLOGFILE had an effect");
        let opened = root::command("ls").args(["-l", &format!("/proc/{pid}/fd")]).output().expect("ls runs").stdout;
        assert!(!String::from_utf8_lossy(&opened).contains("valetkey-canary-keys"), "H10");
        // Nothing of ours logs so much; libraries at these levels print what they carry.
        for level in [" DEBUG ", " TRACE "] {
            assert!(!self.vault.logs().contains(level), "H10: RUST_LOG made a library talk");
        }
    }
}

/// Nothing was found.
#[track_caller]
pub fn none(problem: &str, hits: &[Hit]) {
    assert!(hits.is_empty(), "{problem}: {} times: {:#?}", hits.len(), &hits[..hits.len().min(HITS_SHOWN)]);
}

fn verification(connector: &str) -> proto::VerifyConnectorRequest {
    proto::VerifyConnectorRequest { connector: connector.to_owned(), ..Default::default() }
}

/// RegisterConnector.
pub const REGISTER: &str = "/valetkey.v1.ConnectorService/RegisterConnector";
/// RotateConnectorSecret.
pub const ROTATE: &str = "/valetkey.v1.ConnectorService/RotateConnectorSecret";
/// UpdateConnector.
pub const UPDATE: &str = "/valetkey.v1.ConnectorService/UpdateConnector";
/// VerifyConnector.
pub const VERIFY: &str = "/valetkey.v1.ConnectorService/VerifyConnector";
/// WatchCredential, whose request is laid out as MintCredential's.
const WATCH: &str = "/valetkey.v1.CredentialService/WatchCredential";
/// MintCredential.
pub const MINT: &str = "/valetkey.v1.CredentialService/MintCredential";

/// Methods that an empty request reads everything of.
const READS: [&str; 10] = [
    "/valetkey.v1.AuditService/TailAuditLines",
    "/valetkey.v1.ConnectorService/ListConnectors",
    "/valetkey.v1.ComponentService/ListComponents",
    "/valetkey.v1.CredentialService/ListIssuances",
    "/valetkey.v1.AuditService/ListAuditLines",
    "/valetkey.v1.AccessService/ListTokens",
    "/valetkey.v1.AccessService/ListBindings",
    "/valetkey.v1.AccessService/ListMintable",
    "/valetkey.v1.OperatorService/GetStatus",
    "/valetkey.v1.OperatorService/GetKeyStatus",
];
/// The public part of a token may be on disk; the secret behind it may not.
const LAST_OF_TOKEN: usize = 45;
const HITS_SHOWN: usize = 12;
