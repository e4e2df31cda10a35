//! Every mint of the catalog: what the table of `matrix` says is minted, for
//! each type, auth method, resource type and access level, is minted here on
//! the fake of the type, and comes out as it was promised.
//!
//! A pair is run by being listed: one without a stage fails, and one that no
//! access level is served of must be named in [`REFUSED`] with the reason.

use serde_json::Value;

use super::matrix::{Cell, cells};
use super::stage::{Registered, Stage, stage};
use super::workbench::now;
use super::*;
use crate::domain::{AccessLevel, Downscope, Minted};

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

fn name_of(cell: &Cell) -> String {
    format!("{} {} {} {}", cell.kind, cell.method.name, cell.resource, cell.access)
}

/// Mints what was asked for, and holds it against what `narrow` promised.
async fn mint(cell: &Cell, ask: &Ask, stage: &Stage) -> Result<Minted, String> {
    let registered = Registered::on(stage, cell, ask)?;
    let outcome = registered.mint(&stage.upstream).await;
    let MintOutcome { minted, successor } = outcome.map_err(|why| why.to_string())?;
    let minted = minted.map_err(|why| why.to_string())?;
    let (Registered { kind, settings, ends, scope, .. }, now) = (&registered, stage.upstream.clock.now());

    let ensure = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };
    ensure(successor.is_none() || settings.exclusive, "rotates, and mints do not go one at a time".to_owned())?;
    ensure(
        minted.shape.name() == scope.shape,
        format!("a {}, not a {}", minted.shape.name().as_str(), scope.shape.as_str()),
    )?;
    let (told, promised) = (minted.enforced.downscope, scope.enforced.downscope);
    ensure(told == promised, format!("narrowed to {told}, not to {promised}"))?;
    let through = kind.passthrough(&settings.json, &scope.json, *ends, now).unwrap();
    ensure(minted.passthrough == through, format!("passthrough is {}", minted.passthrough))?;
    let life = minted.expires_at.since(now).as_secs();
    let lives = &stage.lives;
    ensure(lives.contains(&life), format!("lives for {life} s, and {lives:?} was given"))?;
    ensure(!minted.attribution.is_empty(), "the cloud's log shows nobody".to_owned())?;
    for secret in stage.confidential() {
        let told = [&minted.attribution, &minted.enforced.words].iter().any(|text| text.contains(secret));
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
