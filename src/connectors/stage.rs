//! A stage for each pair of the catalog: the fake of its type, and a connector
//! to it that is registered as the broker would, ready for one mint.
//!
//! A pair is played by being listed: whoever walks the catalog fails where
//! there is no stage.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::loopback::Gate;
use super::matrix::{Cell, settings_of};
use super::*;
use crate::domain::{ResourceId, Timestamp, Ttl};
use crate::sealing::SourceCredential;

/// The lifetime that is asked for, where the settings allow it.
pub const ASKED: u32 = 1800;

/// How long what was handed in lives on.
pub const HANDED_IN: u32 = 7200;

/// A fake with a connector to it, for one mint.
pub struct Stage {
    /// On top of the examples of the schema.
    pub settings: Value,
    /// The source credential.
    pub secrets: Vec<(&'static str, String)>,
    /// It ends [`HANDED_IN`] seconds from now.
    pub ends: bool,
    /// To the fake.
    pub upstream: Upstream,
    /// A part of the example ids, and what it is here.
    pub renamed: Option<(&'static str, String)>,
    /// The life that the fake gives, in seconds.
    pub lives: RangeInclusive<u64>,
    /// Where the fake can be had lie; nobody's, where nobody is asked.
    pub gate: Gate,
}

impl Stage {
    /// One with no secret, and nobody to ask.
    pub fn new(settings: Value, upstream: Upstream, lives: RangeInclusive<u64>) -> Self {
        let gate = Gate::default();
        Self { settings, secrets: Vec::new(), ends: false, upstream, renamed: None, lives, gate }
    }

    /// The same with these fields of a secret.
    pub fn with(mut self, secrets: &[(&'static str, &str)]) -> Self {
        self.secrets = secrets.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self
    }

    /// The same with the gate of its fake.
    pub fn lied_to_by(self, gate: &Gate) -> Self {
        Self { gate: gate.clone(), ..self }
    }

    fn secret(&self) -> SourceCredential {
        let fields: Vec<(&str, &str)> = self.secrets.iter().map(|(name, value)| (*name, value.as_str())).collect();
        workbench::secret(&fields)
    }

    /// What is secret about it, in text.
    pub fn confidential(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().filter(|(name, _)| *name != "username").map(|(_, value)| value.as_str())
    }
}

/// About so many seconds: the fake's clock went on since the stage's stopped.
pub const fn about(seconds: u64) -> RangeInclusive<u64> {
    seconds - 2..=seconds + 20
}

/// The stage of a pair; nothing when its type has none.
pub async fn stage(cell: &Cell) -> Option<Stage> {
    let (method, resource) = (cell.method.name, cell.resource);
    match cell.kind {
        "aws" => aws::stage::stage(method, resource).await,
        "azure" => azure::stage::stage(method, resource).await,
        "docker" => docker::stage::stage(method).await,
        "gcp" => gcp::stage::stage(method).await,
        "kubernetes" => kubernetes::stage::stage(method).await,
        "oauth2" => oauth2::stage::stage(method).await,
        "ssh" => ssh::stage::stage(method),
        _ => None,
    }
}

/// A connector that is registered on a stage, and an ask that was narrowed.
pub struct Registered {
    /// Its type.
    pub kind: &'static dyn AnyConnectorType,
    /// Its settings.
    pub settings: CheckedSettings,
    /// Its source credential.
    pub secret: SourceCredential,
    /// When that ends.
    pub ends: Option<Timestamp>,
    /// What was asked for.
    pub scope: NarrowedScope,
    /// For how long.
    pub ttl: Ttl,
}

impl Registered {
    /// Registers as the broker would, and narrows the ask.
    pub fn on(stage: &Stage, cell: &Cell, ask: &Ask) -> Result<Self, String> {
        let kind = find(cell.kind).unwrap();
        let settings = settings_of(kind, cell.method);
        let mut settings: Map<String, Value> = serde_json::from_str(&settings.json).unwrap();
        let method = settings.remove("auth_method").unwrap();
        settings.extend(stage.settings.as_object().unwrap().clone());
        let method = AuthMethodName::parse(method.as_str().unwrap()).unwrap();
        let settings =
            kind.parse_settings(&method, &Value::Object(settings).to_string()).map_err(|why| why.to_string())?;
        let (secret, now) = (stage.secret(), stage.upstream.clock.now());
        let ends = stage.ends.then(|| now.plus(Duration::from_secs(HANDED_IN.into())));
        kind.check_secret(&settings.json, &secret, ends, now).map_err(|why| why.to_string())?;

        let mut ask = ask.clone();
        if let Some((theirs, ours)) = &stage.renamed {
            ask.resource = ResourceId::canonical(ask.resource.as_str().replace(theirs, ours)).unwrap();
        }
        let scope = kind.narrow(&settings.json, &ask).map_err(|why| why.to_string())?;
        let ttl = Ttl::seconds(ASKED.clamp(settings.ttl.min.as_seconds(), settings.ttl.max.as_seconds()));
        Ok(Self { kind, settings, secret, ends, scope, ttl })
    }

    /// Mints for Anna.
    pub async fn mint(&self, upstream: &Upstream) -> Result<MintOutcome, UpstreamError> {
        let who = workbench::attribution();
        let Self { kind, settings, secret, ends, scope, ttl } = self;
        kind.mint(upstream, &settings.json, secret, *ends, &scope.json, *ttl, &who).await
    }
}
