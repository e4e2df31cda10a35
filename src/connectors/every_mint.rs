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
    AccessLevel, Attribution, Downscope, IssuanceId, ManualClock, Minted, NoIssuer, Principal, PrincipalId,
    PrincipalKind, ProjectId, ResourceId, SecretFieldName, Timestamp, Ttl,
};
use crate::outbound::{Outbound, OutboundRules};
use crate::sealing::{Plaintext, SourceCredential};

/// The lifetime that is asked for, where the settings allow it.
pub const ASKED: u32 = 1800;

/// How long what was handed in lives on.
pub const HANDED_IN: u32 = 7200;

/// Of which pairs nothing is minted at any access level under the table's
/// settings, a word of why, and with which settings they are minted after all.
const REFUSED: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("aws", "session-token", "s3-bucket", "GetSessionToken cannot narrow", None),
    ("aws", "session-token", "docker-registry", "GetSessionToken cannot narrow", None),
    ("aws", "federation-token", "aws-generic", "no policy", Some(POLICY)),
    ("aws", "federation-token", "kubernetes-cluster", "cannot map federated names", None),
    ("aws", "implicit", "aws-generic", "no policy", Some(ROLE)),
    ("aws", "implicit", "kubernetes-cluster", "cannot map federated names", Some(ROLE)),
    ("azure", "access-token", "kubernetes-cluster", "a cluster takes two", None),
];
const ROLE: &str = r#"{"role_arn": "arn:aws:iam::123456789012:role/ml-data"}"#;
const POLICY: &str = r#"{"policy": {"Version": "2012-10-17", "Statement": {
    "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::datasets/*"}}}"#;

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

/// Registers on the stage as the broker would, mints what was asked for, and
/// holds it against what `narrow` promised.
async fn mint(cell: &Cell, ask: &Ask, stage: &Stage) -> Result<Minted, String> {
    let kind = find(cell.kind).unwrap();
    let settings = settings_of(kind, cell.method);
    let mut settings: Map<String, Value> = serde_json::from_str(&settings.json).unwrap();
    let method = settings.remove("auth_method").unwrap();
    settings.extend(stage.settings.as_object().unwrap().clone());
    let method = AuthMethodName::parse(method.as_str().unwrap()).unwrap();
    let settings = kind.parse_settings(&method, &Value::Object(settings).to_string()).map_err(|why| why.to_string())?;
    let (secret, now) = (stage.secret(), stage.upstream.clock.now());
    let ends = stage.ends.then(|| now.plus(Duration::from_secs(HANDED_IN.into())));
    kind.check_secret(&settings.json, &secret, ends, now).map_err(|why| why.to_string())?;

    let mut ask = ask.clone();
    if let Some((theirs, ours)) = &stage.renamed {
        ask.resource = ResourceId::canonical(ask.resource.as_str().replace(theirs, ours)).unwrap();
    }
    let scope = kind.narrow(&settings.json, &ask).map_err(|why| why.to_string())?;
    let ttl = Ttl::seconds(ASKED.clamp(settings.ttl.min.as_seconds(), settings.ttl.max.as_seconds()));
    let who = attribution();
    let outcome = kind.mint(&stage.upstream, &settings.json, &secret, ends, &scope.json, ttl, &who).await;
    let MintOutcome { minted, successor } = outcome.map_err(|why| why.to_string())?;
    let minted = minted.map_err(|why| why.to_string())?;

    let ensure = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };
    ensure(successor.is_none() || settings.exclusive, "rotates, and mints do not go one at a time".to_owned())?;
    ensure(
        minted.shape.name() == scope.shape,
        format!("a {}, not a {}", minted.shape.name().as_str(), scope.shape.as_str()),
    )?;
    let (told, promised) = (minted.enforced.downscope, scope.enforced.downscope);
    ensure(told == promised, format!("narrowed to {told}, not to {promised}"))?;
    let through = kind.passthrough(&settings.json, &scope.json, ends, now).unwrap();
    ensure(minted.passthrough == through, format!("passthrough is {}", minted.passthrough))?;
    let life = minted.expires_at.since(now).as_secs();
    let lives = &stage.lives;
    ensure(lives.contains(&life), format!("lives for {life} s, and {lives:?} was given"))?;
    ensure(!minted.attribution.is_empty(), "the cloud's log shows nobody".to_owned())?;
    for (_, secret) in stage.secrets.iter().filter(|(name, _)| *name != "username") {
        let told = [&minted.attribution, &minted.enforced.words].iter().any(|text| text.contains(secret.as_str()));
        ensure(!told, "tells the source credential".to_owned())?;
    }
    Ok(minted)
}

#[tokio::test]
async fn every_type_method_and_resource_type_mints_what_the_table_says() {
    let mut wrong = Vec::new();
    for cell in cells() {
        let Ok(promised) = &cell.minted else { continue };
        let Some(stage) = stage(&cell).await else {
            wrong.push(format!("{}: give it a stage", name_of(&cell)));
            continue;
        };
        match mint(&cell, &promised.ask, &stage).await {
            Ok(minted) => {
                // The table's handed-in credentials end soon too.
                let told = (minted.shape.name(), minted.enforced.downscope, minted.passthrough);
                let table = (promised.shape, promised.enforced.downscope, promised.passthrough.0);
                if told != table || (minted.passthrough && minted.enforced.downscope != Downscope::None) {
                    wrong.push(format!("{}: {told:?}, and the table says {table:?}", name_of(&cell)));
                }
            }
            Err(why) => wrong.push(format!("{}: {why}", name_of(&cell))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the settings that a method cannot do without refuse, and others serve.
#[tokio::test]
async fn what_needs_more_settings_is_minted_with_them() {
    let cells = cells();
    let mut minted = 0;
    for (kind, method, resource, _, more) in REFUSED {
        let Some(more) = more else { continue };
        let like = |cell: &&Cell| (cell.kind, cell.resource) == (*kind, *resource) && cell.access == AccessLevel::Admin;
        let own = cells.iter().filter(like).find(|cell| cell.method.name == *method).unwrap();
        let ask = cells.iter().filter(like).find_map(|cell| Some(&cell.minted.as_ref().ok()?.ask)).unwrap();
        let mut stage = stage(own).await.unwrap();
        let more: Value = serde_json::from_str(more).unwrap();
        stage.settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let done = mint(own, ask, &stage).await;
        minted += usize::from(done.unwrap_or_else(|why| panic!("{}: {why}", name_of(own))).expires_at > now());
    }
    assert_eq!(minted, 3);
}

#[test]
fn a_pair_of_which_nothing_is_minted_is_named_with_the_reason() {
    let cells = cells();
    let mut refused = Vec::new();
    for levels in cells
        .chunk_by(|one, two| (one.kind, one.method.name, one.resource) == (two.kind, two.method.name, two.resource))
    {
        assert_eq!(levels.len(), 3, "one for each access level");
        if levels.iter().all(|cell| cell.minted.is_err()) {
            refused.push(levels);
        }
    }
    assert_eq!(refused.len(), REFUSED.len(), "a pair is refused that was minted, or the other way round");
    for levels in refused {
        let Some(cell) = levels.first() else { continue };
        let known = REFUSED.iter().find(|row| (row.0, row.1, row.2) == (cell.kind, cell.method.name, cell.resource));
        let (_, _, _, why, _) = known.unwrap_or_else(|| panic!("{}: say why it is refused", name_of(cell)));
        let said = |cell: &Cell| cell.minted.as_ref().err().is_some_and(|problem| problem.contains(why));
        assert!(levels.iter().any(said), "{}: {why}", name_of(cell));
    }
}
