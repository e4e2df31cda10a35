//! A connector type of tests: a cloud of paper, with shelves and boxes in
//! them. Compiled for tests only; its mints are random words. A cloud whose
//! endpoint has `once` in its name takes each stamp once and gives another.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::description::{AccessMeaning, MethodDescription, ResourceDescription, SecretFieldDescription};
use super::{
    Ask, CLOUD_ACCEPTED, Challenge, ConnectorType, ListAsk, MadeKey, MintOutcome, SecretEnd, TypeDescription, Upstream,
    UpstreamError, Verified,
};
use crate::domain::{
    Attribution, AuthMethodName, Downscope, EnforcedScope, Entropy, FieldError, FieldErrors, Issuance, Minted,
    MintedShape, Reach, ResourceId, ResourceTypeName, Revocable, SecretFieldName, SecretText, ShapeName, Timestamp,
    Ttl, TtlRange,
};
use crate::sealing::{Plaintext, SourceCredential};

const TTL: TtlRange = TtlRange { min: Ttl::seconds(60), default: Ttl::seconds(3600), max: Ttl::seconds(7200) };

static DESCRIPTION: LazyLock<TypeDescription> = LazyLock::new(|| TypeDescription {
    name: "paper",
    summary: "a cloud of paper",
    methods: vec![MethodDescription {
        name: "stamp",
        summary: "a stamp",
        ttl: TTL,
        settings_schema: "{}".to_owned(),
        secrets: vec![SecretFieldDescription { name: "stamp", summary: "the stamp", required: true }],
        rotates: true,
    }],
    resources: ["paper-shelf", "paper-ream"].map(resource).to_vec(),
    ends_widely: Some("to end all letters sooner, burn the shelf"),
});

fn resource(name: &'static str) -> ResourceDescription {
    let access = AccessMeaning { read: "look", write: "write", admin: "burn" };
    ResourceDescription {
        name,
        summary: "a shelf",
        id_form: "paper://SHELF[/BOX]",
        many: true,
        access,
        parameters: &[],
    }
}

/// The type.
pub struct Paper;

/// What a test sees and steers of the cloud behind one endpoint.
pub struct Cloud {
    /// How often it was asked to mint.
    pub asked: AtomicU32,
    /// How often it was asked to end a credential.
    pub ended: AtomicU32,
    /// It answers with an outage.
    pub down: AtomicBool,
    /// It asks to slow down, for as long as it says.
    pub slow: Mutex<Option<Option<Duration>>>,
    /// How long what it gives lives, whatever was asked for; 0: as asked.
    pub life: AtomicU32,
    /// A mint takes one permit; none when the endpoint has no gate.
    pub gate: Option<Semaphore>,
    /// The stamps that were made here and are not deleted.
    pub stamps: Mutex<BTreeSet<String>>,
    /// What goes wrong with stamps.
    pub faults: Mutex<BTreeSet<Fault>>,
    /// The stamp that a `once` cloud takes next.
    pub stamp: Mutex<String>,
    /// What a `once` cloud does besides giving the next stamp.
    pub manner: Mutex<Manner>,
}

/// What may go wrong with a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No stamp is made.
    MakeRefused,
    /// A stamp is made, and the answer is lost.
    MakeLost,
    /// A stamp is not accepted.
    VerifyRefused,
    /// A stamp is not accepted the first time.
    VerifySettles,
    /// No stamp is deleted.
    DeleteFails,
}

/// How a `once` cloud answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With a word and the next stamp.
    Sound,
    /// With a word that is of no use, and the next stamp.
    Unusable,
    /// Not so that anybody hears it.
    Unheard,
    /// With a word and something that is no stamp.
    Garbage,
}

static CLOUDS: LazyLock<Mutex<HashMap<String, Arc<Cloud>>>> = LazyLock::new(Mutex::default);

impl Cloud {
    /// The cloud behind `endpoint`; one whose name starts with `gate` lets
    /// mints through by permits only.
    pub fn of(endpoint: &str) -> Arc<Self> {
        let mut clouds = CLOUDS.lock().unwrap();
        let made = || Self {
            asked: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            down: AtomicBool::new(false),
            slow: Mutex::default(),
            life: AtomicU32::new(0),
            gate: endpoint.starts_with("gate").then(|| Semaphore::new(0)),
            stamps: Mutex::default(),
            faults: Mutex::default(),
            stamp: Mutex::new("canary-stamp".to_owned()),
            manner: Mutex::new(Manner::Sound),
        };
        Arc::clone(clouds.entry(endpoint.to_owned()).or_insert_with(|| Arc::new(made())))
    }

    /// Whether this goes wrong.
    fn fails(&self, fault: Fault) -> bool {
        self.faults.lock().unwrap().contains(&fault)
    }

    /// Takes the stamp if it is the next one, and gives its successor.
    fn stamped(&self, secret: &SourceCredential) -> Result<SourceCredential, UpstreamError> {
        let mut next = self.stamp.lock().unwrap();
        if secret.field("stamp").and_then(|field| field.expose_text()) != Some(next.as_str()) {
            return Err(UpstreamError::UsedUp { code: "used_up".to_owned() });
        }
        *next = format!("canary-stamp-{}", self.asked.load(Ordering::SeqCst));
        let garbage = *self.manner.lock().unwrap() == Manner::Garbage;
        let field = SecretFieldName::parse(if garbage { "garbage" } else { "stamp" }).unwrap();
        Ok(SourceCredential::new([(field, Plaintext::new(next.clone().into_bytes()))].into()))
    }
}

/// Its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaperSettings {
    auth_method: String,
    /// Where the stamp is sent.
    #[serde(default)]
    endpoint: String,
}

#[async_trait]
impl ConnectorType for Paper {
    type Settings = PaperSettings;
    type Scope = String;

    fn description(&self) -> &'static TypeDescription {
        &DESCRIPTION
    }

    fn check(&self, _: &PaperSettings) -> Result<(), FieldErrors> {
        Ok(())
    }

    fn complete(&self, settings: PaperSettings, _: &dyn Entropy) -> Result<PaperSettings, FieldErrors> {
        Ok(settings)
    }

    /// Some stamps are JWTs.
    fn secret_end(&self, _: &PaperSettings, secret: &SourceCredential) -> Option<SecretEnd> {
        SecretEnd::of_token("stamp", secret.field("stamp")?.expose_text()?)
    }

    /// Blanks are no part of a stamp.
    fn key_id(&self, _: &PaperSettings, secret: &SourceCredential) -> Option<String> {
        Some(secret.field("stamp")?.expose_text()?.trim().to_owned())
    }

    fn check_secret(
        &self,
        _: &PaperSettings,
        _: &SourceCredential,
        _: Option<Timestamp>,
        _: Timestamp,
    ) -> Result<(), FieldErrors> {
        Ok(())
    }

    fn dangers(&self, settings: &PaperSettings) -> Vec<&'static str> {
        if settings.endpoint.starts_with("open") { vec!["INSECURE: the vault is open; shut it"] } else { Vec::new() }
    }

    fn destination(&self, settings: &PaperSettings) -> Vec<u8> {
        settings.endpoint.clone().into_bytes()
    }

    fn ttl_range(&self, _: &PaperSettings) -> TtlRange {
        TTL
    }

    fn canonical(&self, _: &PaperSettings, _: &ResourceTypeName, raw: Option<&str>) -> Result<ResourceId, FieldError> {
        let raw = raw.ok_or_else(|| FieldError::new("resource_id", "name a shelf"))?;
        let path = raw.strip_prefix("paper://").unwrap_or(raw).trim_end_matches('/');
        let fits = path.split('/').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()));
        if fits {
            ResourceId::canonical(format!("paper://{path}"))
        } else {
            Err(FieldError::new("resource_id", "paper://SHELF[/BOX]"))
        }
    }

    fn contains(&self, _: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
        inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn narrow(&self, _: &PaperSettings, ask: &Ask) -> Result<String, FieldError> {
        Ok(format!("{} {}", ask.resource, ask.access))
    }

    fn shape(&self, settings: &PaperSettings, _: &String) -> ShapeName {
        if signs(settings) { ShapeName::SigningSession } else { ShapeName::Bearer }
    }

    fn exclusive(&self, settings: &PaperSettings) -> bool {
        settings.endpoint.contains("once")
    }

    fn obeys_ttl(&self, _: &PaperSettings, _: &String) -> bool {
        true
    }

    fn enforced(&self, _: &PaperSettings, scope: &String) -> EnforcedScope {
        EnforcedScope { words: scope.clone(), downscope: Downscope::Prefix }
    }

    fn passthrough(&self, settings: &PaperSettings, _: &String, _: Option<Timestamp>, _: Timestamp) -> bool {
        bare(settings)
    }

    async fn verify(
        &self,
        _: &Upstream,
        settings: &PaperSettings,
        _: &SourceCredential,
        _: &ListAsk,
    ) -> Result<Verified, UpstreamError> {
        let cloud = Cloud::of(&settings.endpoint);
        if cloud.faults.lock().unwrap().remove(&Fault::VerifySettles) || cloud.fails(Fault::VerifyRefused) {
            return Err(UpstreamError::CredentialRefused { code: "STAMP".to_owned() });
        }
        Ok(Verified { identity: "the postmaster".to_owned(), reach: Vec::new(), reason: CLOUD_ACCEPTED })
    }

    async fn list_resources(
        &self,
        _: &Upstream,
        _: &PaperSettings,
        _: &SourceCredential,
        _: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError> {
        Ok(Vec::new())
    }

    async fn mint(
        &self,
        upstream: &Upstream,
        settings: &PaperSettings,
        secret: &SourceCredential,
        _: Option<Timestamp>,
        scope: &String,
        ttl: Ttl,
        attribution: &Attribution,
    ) -> Result<MintOutcome, UpstreamError> {
        let word_from = Cloud::of(&settings.endpoint);
        word_from.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &word_from.gate {
            gate.acquire().await.map_err(|_| UpstreamError::Unavailable { what: "closed" })?.forget();
        }
        if word_from.down.load(Ordering::SeqCst) {
            return Err(UpstreamError::Unavailable { what: "down" });
        }
        if let Some(retry_after) = *word_from.slow.lock().unwrap() {
            return Err(UpstreamError::Throttled { retry_after });
        }
        if *word_from.manner.lock().unwrap() == Manner::Unheard {
            return Err(UpstreamError::InDoubt);
        }
        let successor = self.exclusive(settings).then(|| word_from.stamped(secret)).transpose()?;
        if *word_from.manner.lock().unwrap() == Manner::Unusable {
            return Ok(MintOutcome { minted: Err(UpstreamError::BadAnswer { what: "of no use" }), successor });
        }
        let mut word = [0; 16];
        upstream.entropy.fill(&mut word).map_err(|_| UpstreamError::Unavailable { what: "entropy" })?;
        let life = match word_from.life.load(Ordering::SeqCst) {
            0 => ttl.as_seconds(),
            own => own,
        };
        let minted = Minted {
            shape: shape(settings, hex::encode(word)),
            expires_at: upstream.clock.now().plus(Duration::from_secs(life.into())),
            enforced: self.enforced(settings, scope),
            revocable: revocable(settings),
            attribution: attribution.session_name(),
            passthrough: bare(settings),
        };
        Ok(MintOutcome { minted: Ok(minted), successor })
    }

    async fn sign(
        &self,
        _: &Upstream,
        settings: &PaperSettings,
        _: &SourceCredential,
        _: &String,
        challenge: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError> {
        let cloud = Cloud::of(&settings.endpoint);
        cloud.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &cloud.gate {
            gate.acquire().await.map_err(|_| UpstreamError::Unavailable { what: "closed" })?.forget();
        }
        match challenge.data.as_slice() {
            b"a letter" => Ok(b"signed".to_vec()),
            _ => Err(UpstreamError::Rejected { code: "NO_LETTER".to_owned(), remedy: "write one".to_owned() }),
        }
    }

    async fn make_key(
        &self,
        upstream: &Upstream,
        settings: &PaperSettings,
        secret: &SourceCredential,
    ) -> Result<MadeKey, UpstreamError> {
        let cloud = Cloud::of(&settings.endpoint);
        if cloud.fails(Fault::MakeRefused) {
            return Err(UpstreamError::Denied {
                code: "NO".to_owned(),
                missing: Vec::new(),
                remedy: "ask the postmaster".to_owned(),
            });
        }
        let mut bytes = [0; 4];
        upstream.entropy.fill(&mut bytes).map_err(|_| UpstreamError::Unavailable { what: "entropy" })?;
        let key_id = format!("stamp-{}", hex::encode(bytes));
        cloud.stamps.lock().unwrap().insert(key_id.clone());
        if cloud.fails(Fault::MakeLost) {
            return Err(UpstreamError::DeadlineExceeded);
        }
        let old = secret.field("stamp").and_then(Plaintext::expose_text).unwrap().to_owned();
        let stamp = (SecretFieldName::parse("stamp").unwrap(), Plaintext::new(key_id.clone().into_bytes()));
        Ok(MadeKey { secret: SourceCredential::new([stamp].into()), key_id, old_key_id: old })
    }

    async fn delete_key(
        &self,
        _: &Upstream,
        settings: &PaperSettings,
        secret: &SourceCredential,
        key_id: &str,
    ) -> Result<(), UpstreamError> {
        let cloud = Cloud::of(&settings.endpoint);
        assert_ne!(secret.field("stamp").and_then(Plaintext::expose_text), Some(key_id), "a key deletes no other");
        if cloud.fails(Fault::DeleteFails) {
            return Err(UpstreamError::Denied {
                code: "NO".to_owned(),
                missing: Vec::new(),
                remedy: "ask the postmaster".to_owned(),
            });
        }
        cloud.stamps.lock().unwrap().remove(key_id);
        Ok(())
    }

    async fn revoke(
        &self,
        _: &Upstream,
        settings: &PaperSettings,
        _: &SourceCredential,
        _: &Issuance,
    ) -> Result<bool, UpstreamError> {
        Cloud::of(&settings.endpoint).ended.fetch_add(1, Ordering::SeqCst);
        Ok(ends(settings))
    }

    fn auth_method(&self, _: &PaperSettings) -> AuthMethodName {
        AuthMethodName::parse("stamp").unwrap()
    }
}

/// A cloud whose name starts with `signs`, after its gate if it has one, lends
/// signatures.
fn signs(settings: &PaperSettings) -> bool {
    settings.endpoint.trim_start_matches("gate-").starts_with("signs")
}

fn shape(settings: &PaperSettings, word: String) -> MintedShape {
    if signs(settings) {
        let (username, host, host_keys) = ("scribe".to_owned(), "paper".to_owned(), Vec::new());
        return MintedShape::SigningSession { public_key: word, username, host, host_keys };
    }
    MintedShape::Bearer { token: SecretText::new(word), endpoint: None, certificate_authority: None }
}

/// A cloud whose name starts with `bare` is served by its stamp itself.
fn bare(settings: &PaperSettings) -> bool {
    settings.endpoint.starts_with("bare")
}

/// A cloud whose name starts with `wide` ends all that it gave, or nothing.
fn revocable(settings: &PaperSettings) -> Revocable {
    match ends(settings) {
        true => Revocable::Single,
        false if settings.endpoint.starts_with("wide") => Revocable::RoleWide,
        false => Revocable::No,
    }
}

/// A cloud whose name starts with `ends`, after its gate if it has one, ends
/// single credentials.
fn ends(settings: &PaperSettings) -> bool {
    settings.endpoint.trim_start_matches("gate-").starts_with("ends")
}
