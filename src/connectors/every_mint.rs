//! Every mint of the catalog: what the table of `matrix` says is minted, for
//! each type, auth method, resource type and access level, is minted here on
//! the fake of the type, and comes out as it was promised.
//!
//! A pair is run by being listed: one without a stage fails, and one that no
//! access level is served of must be named in [`REFUSED`] with the reason.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::conformance::Sevens;
use super::matrix::{Cell, cells, settings_of};
use super::*;
use crate::domain::{
    Attribution, Downscope, IssuanceId, ManualClock, Minted, NoIssuer, Principal, PrincipalId, PrincipalKind,
    ProjectId, ResourceId, SecretFieldName, Timestamp, Ttl,
};
use crate::outbound::{Outbound, OutboundRules};
use crate::sealing::{Plaintext, SourceCredential};

/// The lifetime that is asked for, where the settings allow it.
pub const ASKED: u32 = 1800;

/// How long what was handed in lives on.
pub const HANDED_IN: u32 = 7200;

/// Of which pairs nothing is minted at any access level, and a word of why.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("aws", "session-token", "s3-bucket", "GetSessionToken cannot narrow"),
    ("aws", "session-token", "docker-registry", "GetSessionToken cannot narrow"),
    ("aws", "federation-token", "aws-generic", "no policy"),
    ("aws", "federation-token", "kubernetes-cluster", "cannot map federated names"),
    ("azure", "access-token", "kubernetes-cluster", "two audiences"),
];

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
}

impl Stage {
    /// One with no secret.
    pub fn new(settings: Value, upstream: Upstream, lives: RangeInclusive<u64>) -> Self {
        Self { settings, secrets: Vec::new(), ends: false, upstream, renamed: None, lives }
    }

    /// The same with these fields of a secret.
    pub fn with(mut self, secrets: &[(&'static str, &str)]) -> Self {
        self.secrets = secrets.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self
    }

    fn secret(&self) -> SourceCredential {
        let field = |(name, value): &(&str, String)| {
            (SecretFieldName::parse(name).unwrap(), Plaintext::new(value.clone().into_bytes()))
        };
        SourceCredential::new(self.secrets.iter().map(field).collect::<BTreeMap<_, _>>())
    }
}

/// The way to a fake at `url`, with no issuer and no subject.
pub fn upstream(url: &str, root: Option<&str>, implicit: &[&str], now: Timestamp) -> Upstream {
    let rules = OutboundRules {
        allowed_endpoints: vec![url.to_owned()],
        extra_roots_pem: root.map(str::to_owned),
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(20),
        implicit_identities: implicit.iter().map(|&name| name.to_owned()).collect(),
    };
    Upstream {
        outbound: Arc::new(Outbound::new(rules).unwrap()),
        clock: Arc::new(ManualClock::at(now)),
        entropy: Arc::new(Sevens),
        identities: Arc::new(NoIssuer),
        subject: None,
    }
}

/// The machine's own time, for fakes that live by it.
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// About so many seconds: the fake's clock went on since the stage's stopped.
pub const fn about(seconds: u64) -> RangeInclusive<u64> {
    seconds - 2..=seconds + 20
}

async fn stage(cell: &Cell) -> Option<Stage> {
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

fn attribution() -> Attribution {
    let project = ProjectId::from_bytes([1; 16]);
    let principal = Principal {
        id: PrincipalId::from_bytes([2; 16]),
        project,
        name: "anna".parse().unwrap(),
        kind: PrincipalKind::User,
        description: String::new(),
        created_by: None,
        created_at: Timestamp::from_seconds(0),
    };
    Attribution { principal, project, run: None, issuance: IssuanceId::from_bytes([3; 16]) }
}

fn name_of(cell: &Cell) -> String {
    format!("{} {} {} {}", cell.kind, cell.method.name, cell.resource, cell.access)
}

/// Registers on the stage as the broker would, and mints what the cell says.
async fn mint(cell: &Cell, ask: &Ask, stage: &Stage) -> Minted {
    let what = name_of(cell);
    let kind = find(cell.kind).unwrap();
    let settings = settings_of(kind, cell.method);
    let mut settings: Map<String, Value> = serde_json::from_str(&settings.json).unwrap();
    let method = settings.remove("auth_method").unwrap();
    settings.extend(stage.settings.as_object().unwrap().clone());
    let method = AuthMethodName::parse(method.as_str().unwrap()).unwrap();
    let checked = kind.parse_settings(&method, &Value::Object(settings).to_string());
    let settings = checked.unwrap_or_else(|errors| panic!("{what}: {errors}"));
    let (secret, now) = (stage.secret(), stage.upstream.clock.now());
    let ends = stage.ends.then(|| now.plus(Duration::from_secs(HANDED_IN.into())));
    let fits = kind.check_secret(&settings.json, &secret, ends, now);
    fits.unwrap_or_else(|errors| panic!("{what}: {errors}"));

    let mut ask = ask.clone();
    if let Some((theirs, ours)) = &stage.renamed {
        ask.resource = ResourceId::canonical(ask.resource.as_str().replace(theirs, ours)).unwrap();
    }
    let canonical = kind.canonical(&settings.json, &ask.resource_type, Some(ask.resource.as_str()));
    assert_eq!(canonical.as_ref(), Ok(&ask.resource), "{what}");
    let scope = kind.narrow(&settings.json, &ask).unwrap_or_else(|error| panic!("{what}: {error}"));
    let ttl = Ttl::seconds(ASKED.clamp(settings.ttl.min.as_seconds(), settings.ttl.max.as_seconds()));
    let who = attribution();
    let outcome = kind.mint(&stage.upstream, &settings.json, &secret, ends, &scope.json, ttl, &who).await;
    let outcome = outcome.unwrap_or_else(|error| panic!("{what}: {error}: {error:?}"));
    assert!(outcome.successor.is_none() || settings.exclusive, "{what}: only mints that go one at a time rotate");
    let minted = outcome.minted.unwrap_or_else(|error| panic!("{what}: {error}"));

    assert_eq!(minted.shape.name(), scope.shape, "{what}");
    assert_eq!(minted.enforced.downscope, scope.enforced.downscope, "{what}: {}", minted.enforced.words);
    let through = kind.passthrough(&settings.json, &scope.json, ends, now).unwrap();
    assert_eq!(minted.passthrough, through, "{what}");
    assert!(minted.expires_at > now, "{what}");
    let life = minted.expires_at.since(now).as_secs();
    assert!(stage.lives.contains(&life), "{what}: lives for {life} s, and {:?} was given", stage.lives);
    minted
}

#[tokio::test]
async fn every_type_method_and_resource_type_mints_what_the_table_says() {
    for cell in cells() {
        let Ok(promised) = &cell.minted else { continue };
        let what = name_of(&cell);
        let stage = stage(&cell).await.unwrap_or_else(|| panic!("{what}: give it a stage"));
        let minted = mint(&cell, &promised.ask, &stage).await;
        assert_eq!(minted.shape.name(), promised.shape, "{what}");
        assert_eq!(minted.enforced.downscope, promised.enforced.downscope, "{what}");
        // The table's handed-in credentials end soon too.
        assert_eq!(minted.passthrough, promised.passthrough.0, "{what}");
        assert!(!minted.passthrough || minted.enforced.downscope == Downscope::None, "{what}");
        assert!(!minted.attribution.is_empty(), "{what}: the cloud's log shows somebody");
        for (_, secret) in &stage.secrets {
            let kept = !minted.attribution.contains(secret.as_str()) && !minted.enforced.words.contains(secret.as_str());
            assert!(kept, "{what}: tells the source credential");
        }
    }
}

#[test]
fn a_pair_of_which_nothing_is_minted_is_named_with_the_reason() {
    let cells = cells();
    let mut refused = Vec::new();
    for levels in cells.chunk_by(|one, two| (one.kind, one.method.name, one.resource) == (two.kind, two.method.name, two.resource)) {
        assert_eq!(levels.len(), 3, "one for each access level");
        if levels.iter().all(|cell| cell.minted.is_err()) {
            refused.push(levels);
        }
    }
    assert_eq!(refused.len(), REFUSED.len(), "a pair is refused that was minted, or the other way round");
    for levels in refused {
        let Some(cell) = levels.first() else { continue };
        let known = REFUSED.iter().find(|row| (row.0, row.1, row.2) == (cell.kind, cell.method.name, cell.resource));
        let (.., why) = known.unwrap_or_else(|| panic!("{}: say why it is refused", name_of(cell)));
        let said = |cell: &Cell| cell.minted.as_ref().err().is_some_and(|problem| problem.contains(why));
        assert!(levels.iter().any(said), "{}: {why}", name_of(cell));
    }
}
