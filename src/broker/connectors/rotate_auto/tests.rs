//! Rotation at a cloud of paper: each step that can fail, and what is left
//! then: a stored key that works, known keys, and words about the rest.

use super::*;
use crate::audit::LineFilter;
use crate::broker::fixture::{House, Person, once};
use crate::connectors::paper::{Cloud, Fault};
use crate::domain::{BindingTarget, Onlooker, PageAsk, Role, warnings};
use crate::store::{AuditLines, Bindings, Connectors, Transactions as _};

const FIRST: &str = "canary-stamp";

struct Scene {
    house: House,
    cloud: Arc<Cloud>,
}

impl Scene {
    /// A connector whose stamp the cloud knows.
    async fn new(endpoint: &str) -> Self {
        let house = House::new().await;
        house.connector_at(&house.home, "prod", endpoint, |_| {}).await;
        let cloud = Cloud::of(endpoint);
        cloud.stamps.lock().unwrap().insert(FIRST.to_owned());
        Self { house, cloud }
    }

    async fn rotate_as(&self, who: &Person) -> Result<Rotated, BrokerError> {
        let call = self.house.call(who).await;
        self.house.broker.rotate_connector_secret_auto(&call, ask()).await
    }

    async fn rotate(&self) -> Result<Rotated, BrokerError> {
        self.rotate_as(&self.house.engineer).await
    }

    fn with(&self, fault: Fault) {
        self.cloud.faults.lock().unwrap().insert(fault);
    }

    fn healed(&self) {
        self.cloud.faults.lock().unwrap().clear();
    }

    fn stamps(&self) -> Vec<String> {
        self.cloud.stamps.lock().unwrap().iter().cloned().collect()
    }

    async fn stored(&self) -> Connector {
        let call = self.house.call(&self.house.engineer).await;
        self.house.broker.describe_connector(&call, "prod").await.unwrap().connector
    }

    async fn warnings(&self) -> String {
        let onlooker = Onlooker { settings_visible: true, rotates: true };
        warnings(&self.stored().await, &[], onlooker, self.house.broker.now()).join("\n")
    }

    /// The reasons of the ledger's lines about rotations, oldest first.
    async fn reasons(&self) -> Vec<String> {
        let page = PageAsk { size: 1000, after: None };
        let lines = self.house.store.lines(&LineFilter::default(), &page).await.unwrap().items;
        let reasons = lines.iter().map(|stored| stored.line.reason.as_str().to_owned());
        let mut reasons: Vec<_> = reasons.filter(|reason| reason.starts_with("ROTATION")).collect();
        reasons.reverse();
        reasons
    }

    /// Asks the paper cloud to verify with what is stored: the seal opens.
    async fn opens(&self) {
        let call = self.house.call(&self.house.engineer).await;
        self.house.broker.verify_connector(&call, "prod").await.unwrap();
    }
}

fn ask() -> RotateAuto {
    RotateAuto { connector: "prod".to_owned(), expected: None, secret_expires_at: None, once: None }
}

fn said(outcome: Result<Rotated, BrokerError>) -> String {
    outcome.err().unwrap().to_string()
}

#[tokio::test]
async fn a_key_is_made_verified_stored_and_the_old_one_deleted() {
    let scene = Scene::new("rotate-well").await;
    let before = scene.stored().await;
    let rotated = scene.rotate().await.unwrap();
    let made = rotated.made_key.clone().unwrap();
    assert_eq!((scene.stamps(), rotated.deleted_keys.as_slice()), (vec![made], [FIRST.to_owned()].as_slice()));
    let after = scene.stored().await;
    assert_eq!(after.secret, rotated.connector.secret);
    assert_eq!((after.secret.version, after.secret.lineage, &after.secret.rotation), (2, 1, &None));
    assert_ne!(after.secret.fingerprint, before.secret.fingerprint);
    assert_eq!(scene.reasons().await, ["ROTATION_ASKED", "ROTATION_MADE", "ROTATION_SWITCHED", "ROTATION_DONE"]);
    assert_eq!(scene.warnings().await, "");
    scene.opens().await;
    // And once more, with the key that was made.
    assert_eq!(scene.rotate().await.unwrap().deleted_keys, [rotated.made_key.unwrap()]);
}

/// Case B12.
#[tokio::test]
async fn who_is_removed_while_the_new_key_settles_rotates_nothing() {
    for gone in ["principal", "binding"] {
        let scene = Scene::new(&format!("rotate-without-{gone}")).await;
        scene.with(Fault::VerifySettles);
        let (house, before) = (&scene.house, scene.stored().await);
        let remove = async {
            while !scene.reasons().await.contains(&"ROTATION_MADE".to_owned()) {
                tokio::task::yield_now().await;
            }
            let owner = house.call(&house.owner).await;
            if gone == "principal" {
                house.broker.delete_principal(&owner, "emil", None).await.unwrap();
            } else {
                let held = house.store.bindings_of(house.home.id, house.engineer.id).await.unwrap();
                house.broker.delete_binding(&owner, &held[0].id.to_string(), None).await.unwrap();
            }
        };
        let (outcome, ()) = tokio::join!(scene.rotate(), remove);
        assert!(said(outcome).contains("the new key"), "{gone}");
        assert_eq!(scene.stamps(), [FIRST], "{gone}");
        assert_eq!(scene.reasons().await.last().unwrap(), "ROTATION_STOPPED", "{gone}");
        let after = house.store.connector(house.home.id, before.id).await.unwrap();
        assert_eq!((after.secret.version, after.secret.rotation), (1, None), "{gone}");
    }
}

#[tokio::test]
async fn only_who_may_rotate_secrets_rotates_them() {
    let scene = Scene::new("rotate-roles").await;
    for who in [&scene.house.owner, &scene.house.scientist, &scene.house.auditor, &scene.house.runner] {
        assert_eq!(scene.rotate_as(who).await.unwrap_err().code(), "GRANT_MISSING");
    }
    assert_eq!(scene.rotate_as(&scene.house.foreigner).await.unwrap_err().code(), "GRANT_MISSING");
    assert_eq!(scene.stamps(), [FIRST]);
}

/// The key would be gone for both, and nobody would know why the other fails.
#[tokio::test]
async fn a_key_that_another_connector_holds_is_not_rotated_away_under_it() {
    let scene = Scene::new("rotate-shared").await;
    let house = &scene.house;
    let other = house.connector_at(&house.home, "staging", "rotate-shared", |_| {}).await;
    let error = scene.rotate().await.err().unwrap();
    assert_eq!(error.code(), "SECRET_IS_SHARED");
    assert!(error.to_string().ends_with("which this would delete: staging"), "{error}");
    // Nothing was asked for, and nothing stands in the record.
    assert_eq!((scene.stamps(), scene.reasons().await.is_empty()), (vec![FIRST.to_owned()], true));
    let stored = scene.stored().await;
    assert_eq!((stored.version, &stored.secret.rotation), (Version::FIRST, &None));
    // Who may see this one alone is told that there are others, and not which.
    house.bind(&house.runner, Role::PlatformEngineer, BindingTarget::Connector(stored.id)).await;
    let error = scene.rotate_as(&house.runner).await.err().unwrap();
    assert!(error.to_string().ends_with("which this would delete: 1 more"), "{error}");
    // With a key of its own, or gone, it stands in nobody's way.
    let call = house.call(&house.engineer).await;
    let line = call.line(Outcome::Ok, "");
    let mut moved = other.clone();
    moved.secret.fingerprint = "1".repeat(16);
    moved.version = other.version.next();
    let write = Write::UpdateConnector { connector: moved, expected: other.version, sealed: None };
    house.store.commit(Tx::with_line(line).write(write)).await.unwrap();
    scene.rotate().await.unwrap();
}

/// The same digits in another project are another credential.
#[tokio::test]
async fn a_connector_of_another_project_is_not_looked_at() {
    let scene = Scene::new("rotate-abroad").await;
    let abroad = scene.house.abroad.clone();
    scene.house.connector_at(&abroad, "prod", "rotate-abroad", |_| {}).await;
    scene.rotate().await.unwrap();
}

#[tokio::test]
async fn a_cloud_that_makes_no_key_changes_nothing() {
    let scene = Scene::new("rotate-refused").await;
    scene.with(Fault::MakeRefused);
    assert!(said(scene.rotate().await).contains("ask the postmaster"));
    assert_eq!((scene.stamps(), scene.warnings().await.as_str()), (vec![FIRST.to_owned()], ""));
    assert_eq!(scene.stored().await.secret.version, 1);
}

#[tokio::test]
async fn a_lost_answer_is_told_and_warned_about_until_the_next_rotation() {
    let scene = Scene::new("rotate-lost").await;
    scene.with(Fault::MakeLost);
    assert!(said(scene.rotate().await).contains("there may be a new key that nobody holds"));
    assert!(scene.warnings().await.starts_with("rotation stopped: "));
    scene.opens().await;
    scene.healed();
    scene.rotate().await.unwrap();
    assert_eq!(scene.warnings().await, "");
    // The one whose answer was lost is known to the cloud alone.
    assert_eq!(scene.stamps().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_accepted_is_deleted_and_the_old_one_stays() {
    let scene = Scene::new("rotate-unaccepted").await;
    scene.with(Fault::VerifyRefused);
    let said = said(scene.rotate().await);
    assert!(said.contains("verifying the new key") && said.contains("was deleted"), "{said}");
    assert_eq!((scene.stamps(), scene.warnings().await.as_str()), (vec![FIRST.to_owned()], ""));
    scene.healed();
    scene.opens().await;
    assert_eq!(scene.stored().await.secret.version, 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_cloud_needs_a_moment_to_know_is_waited_for() {
    let scene = Scene::new("rotate-settles").await;
    scene.with(Fault::VerifySettles);
    scene.rotate().await.unwrap();
    assert_eq!(scene.stamps().len(), 1);
}

#[tokio::test]
async fn an_old_key_that_cannot_be_deleted_is_kept_in_mind_and_deleted_by_the_next_one() {
    let scene = Scene::new("rotate-undeleted").await;
    scene.with(Fault::DeleteFails);
    let said = said(scene.rotate().await);
    assert!(said.contains("deleting the old key") && said.contains(FIRST), "{said}");
    assert_eq!(scene.stored().await.secret.version, 2, "the new one is in use");
    assert!(scene.warnings().await.contains(&format!("old key not deleted: the key {FIRST}")));
    scene.opens().await;
    scene.healed();
    let finished = scene.rotate().await.unwrap();
    assert_eq!((finished.made_key, finished.deleted_keys), (None, vec![FIRST.to_owned()]));
    assert_eq!((scene.stamps().len(), scene.warnings().await.as_str()), (1, ""));
    assert_eq!(scene.stored().await.secret.version, 2, "a rotation that had just stopped is finished, not repeated");
}

#[tokio::test]
async fn an_old_leftover_is_deleted_and_then_the_next_rotation_is_done() {
    let scene = Scene::new("rotate-late").await;
    scene.with(Fault::DeleteFails);
    assert_eq!(scene.rotate().await.unwrap_err().code(), "ROTATION_STOPPED");
    scene.healed();
    scene.house.clock.advance(FRESH);
    let rotated = scene.rotate().await.unwrap();
    assert_eq!((rotated.made_key.is_some(), rotated.deleted_keys.len()), (true, 2));
    assert_eq!((scene.stamps(), scene.stored().await.secret.version), (vec![rotated.made_key.unwrap()], 3));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_could_be_neither_verified_nor_deleted_is_named_and_cleaned_up_later() {
    let scene = Scene::new("rotate-both").await;
    scene.with(Fault::VerifyRefused);
    scene.with(Fault::DeleteFails);
    let said = said(scene.rotate().await);
    let orphan = scene.stamps().into_iter().find(|stamp| stamp != FIRST).unwrap();
    assert!(said.contains(&orphan) && said.contains("is not deleted"), "{said}");
    assert!(scene.warnings().await.contains(&orphan));
    scene.healed();
    let rotated = scene.rotate().await.unwrap();
    assert_eq!(rotated.deleted_keys, [orphan, FIRST.to_owned()]);
    assert_eq!(scene.stamps(), [rotated.made_key.unwrap()]);
}

#[tokio::test]
async fn what_a_person_hands_in_ends_a_rotation_that_stopped() {
    let scene = Scene::new("rotate-by-hand").await;
    scene.with(Fault::DeleteFails);
    assert_eq!(scene.rotate().await.unwrap_err().code(), "ROTATION_STOPPED");
    let call = scene.house.call(&scene.house.engineer).await;
    let field = crate::domain::SecretFieldName::parse("stamp").unwrap();
    let secret = crate::sealing::SourceCredential::new([(field, crate::sealing::Plaintext::new(FIRST.into()))].into());
    let by_hand = super::super::Rotate {
        connector: "prod".to_owned(),
        secret,
        expected: None,
        secret_expires_at: None,
        skip_verify: true,
        validate_only: false,
        once: None,
    };
    scene.house.broker.rotate_connector_secret(&call, by_hand).await.unwrap();
    let stored = scene.stored().await.secret;
    // The old key is in use again, and nothing is about to delete it.
    assert_eq!((stored.rotation, stored.version), (None, 3));
}

#[tokio::test]
async fn a_new_key_has_as_long_a_life_as_the_old_one_had_or_the_one_that_is_asked_for() {
    let scene = Scene::new("rotate-life").await;
    let call = scene.house.call(&scene.house.engineer).await;
    assert_eq!(scene.rotate().await.unwrap().connector.secret.expires_at, None);
    let end = scene.house.broker.now().plus(FRESH);
    let asked = RotateAuto { secret_expires_at: Some(end), ..ask() };
    let rotated = scene.house.broker.rotate_connector_secret_auto(&call, asked).await.unwrap();
    assert_eq!(rotated.connector.secret.expires_at, Some(end));
    scene.house.clock.advance(FRESH / 2);
    let rotated = scene.rotate().await.unwrap();
    assert_eq!(rotated.connector.secret.expires_at, Some(scene.house.broker.now().plus(FRESH)));
}

#[tokio::test]
async fn the_same_request_rotates_once_and_a_stale_one_not_at_all() {
    let scene = Scene::new("rotate-once").await;
    let call = scene.house.call(&scene.house.engineer).await;
    let broker = &scene.house.broker;
    let again = || RotateAuto { once: Some(once(1, 1)), ..ask() };
    let first = broker.rotate_connector_secret_auto(&call, again()).await.unwrap();
    assert_eq!(broker.rotate_connector_secret_auto(&call, again()).await.unwrap(), first);
    assert_eq!(scene.stored().await.secret.version, 2);
    let stale = RotateAuto { expected: Some(Version::FIRST), ..ask() };
    let refused = broker.rotate_connector_secret_auto(&call, stale).await;
    assert_eq!(refused.err(), Some(BrokerError::Stale { noun: "connector" }));
}

#[tokio::test]
async fn two_at_once_are_one() {
    let scene = Scene::new("rotate-twice").await;
    let turn = scene.house.broker.rotations.take(scene.stored().await.id);
    assert_eq!(scene.rotate().await.err(), Some(under_way()));
    drop(turn);
    scene.rotate().await.unwrap();
}
