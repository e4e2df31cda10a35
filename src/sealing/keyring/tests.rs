//! The keyring against swapped records, foreign keys and missing proofs.

use std::sync::Mutex;

use async_trait::async_trait;

use crate::audit::{Journal, JournalError, Ledger, Line, LineKind, Outcome, Seq};
use crate::authz::{Decision, MintWish, Permission, Question, Subject, Target, decide};
use crate::domain::{
    AccessLevel, Binding, BindingId, BindingTarget, Conditions, ConnectorId, ConnectorTypeName, ManualClock, Principal,
    PrincipalId, PrincipalKind, ResourceId, Role, Timestamp,
};
use crate::sealing::seeded::{Failing, Seeded, Standing};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_000);
const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const OTHER_PROJECT: ProjectId = ProjectId::from_bytes([2; 16]);
const CONNECTOR: ConnectorId = ConnectorId::from_bytes([3; 16]);
const OTHER_CONNECTOR: ConnectorId = ConnectorId::from_bytes([4; 16]);

#[derive(Default)]
struct Lines(Mutex<u64>);

#[async_trait]
impl Journal for Lines {
    async fn append(&self, _: Line) -> Result<Seq, JournalError> {
        let mut count = self.0.lock().unwrap();
        *count += 1;
        Ok(Seq(*count))
    }

    async fn append_withdrawal(&self, line: Line) -> Result<Seq, JournalError> {
        self.append(line).await
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(NOW))
}

fn load(root: u8, keks: &[WrappedKek]) -> Result<Keyring, SealingError> {
    Keyring::load(RootKey::for_tests(root), keks, clock(), Arc::new(Seeded::new(root)))
}

/// A keyring with a key for each of two projects.
fn keyring() -> Keyring {
    let keyring = load(1, &[]).unwrap();
    keyring.make_kek(PROJECT).unwrap();
    keyring.make_kek(OTHER_PROJECT).unwrap();
    keyring
}

fn context(project: ProjectId, connector: ConnectorId, secret_version: u64) -> SealContext {
    let connector_type = ConnectorTypeName::parse("aws").unwrap();
    SealContext { project, connector, connector_type, secret_version, destination: [5; 32] }
}

fn here() -> SealContext {
    context(PROJECT, CONNECTOR, 1)
}

fn credential(pairs: &[(&str, &str)]) -> SourceCredential {
    let field = |(name, value): &(&str, &str)| {
        (SecretFieldName::parse(name).unwrap(), Plaintext::new(value.as_bytes().to_vec()))
    };
    SourceCredential::new(pairs.iter().map(field).collect())
}

fn two_fields() -> SourceCredential {
    credential(&[("access_key", "AKIA"), ("secret_key", "hush")])
}

async fn entry(project: ProjectId, connector: Option<ConnectorId>) -> OpenEntry {
    let ledger = Ledger::new(Arc::new(Lines::default()), clock());
    let mut line = Line::about("test", LineKind::Intent, Outcome::Pending);
    line.project = Some(project);
    line.connector = connector;
    ledger.open(line).await.unwrap()
}

fn permit(project: ProjectId, role: Role, permission: Permission, connector: Option<ConnectorId>) -> Permit {
    let principal = PrincipalId::from_bytes([6; 16]);
    let binding = Binding {
        id: BindingId::from_bytes([7; 16]),
        project,
        principal,
        role,
        target: BindingTarget::Project,
        conditions: Conditions::default(),
        created_by: None,
        created_at: NOW,
    };
    let principal = Principal {
        id: principal,
        project,
        name: "ada".parse().unwrap(),
        kind: PrincipalKind::User,
        description: String::new(),
        created_by: None,
        created_at: NOW,
    };
    let subject = Subject { principal: Arc::new(principal), bindings: Arc::new([binding]), run: None };
    let resource = ResourceId::canonical("s3://a").unwrap();
    let wish = Some(MintWish { resource: &resource, access: AccessLevel::Read });
    let target = Target::about(permission, project, connector, None);
    match decide(&subject, &Question { permission, target, wish }, NOW) {
        Decision::Allow(permit) => permit,
        Decision::Deny(reason) => panic!("{reason:?}"),
    }
}

fn to_mint(project: ProjectId, connector: Option<ConnectorId>) -> Permit {
    permit(project, Role::DataScientist, Permission::CredentialsMint, connector)
}

/// Opens and gives the fields as text, as no product code may.
async fn spill(
    keyring: &Keyring,
    sealed: &SealedCredential,
    context: &SealContext,
    permit: &Permit,
    entry: &OpenEntry,
) -> Result<Vec<(String, String)>, SealingError> {
    let read = |credential: &SourceCredential| {
        let text = |plain: &Plaintext| plain.expose_text().unwrap().to_owned();
        credential.fields().map(|(name, plain)| (name.as_str().to_owned(), text(plain))).collect()
    };
    keyring.with_open(sealed, context, permit, entry, |c| Box::pin(async move { read(c) })).await
}

async fn opens(keyring: &Keyring, sealed: &SealedCredential, context: &SealContext) -> Result<usize, SealingError> {
    let permit = to_mint(context.project, Some(context.connector));
    let entry = entry(context.project, Some(context.connector)).await;
    spill(keyring, sealed, context, &permit, &entry).await.map(|fields| fields.len())
}

#[tokio::test]
async fn a_credential_opens_with_permit_and_entry() {
    let keyring = keyring();
    let sealed = keyring.seal(&here(), &two_fields()).unwrap();
    let permit = to_mint(PROJECT, Some(CONNECTOR));
    let fields = spill(&keyring, &sealed, &here(), &permit, &entry(PROJECT, Some(CONNECTOR)).await).await.unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(fields, [pair("access_key", "AKIA"), pair("secret_key", "hush")]);
}

#[tokio::test]
async fn nothing_opens_when_permit_or_entry_name_something_else() {
    let keyring = keyring();
    let sealed = keyring.seal(&here(), &two_fields()).unwrap();
    let (good_permit, good_entry) = (to_mint(PROJECT, Some(CONNECTOR)), entry(PROJECT, Some(CONNECTOR)).await);
    for permit in
        [to_mint(PROJECT, Some(OTHER_CONNECTOR)), to_mint(PROJECT, None), to_mint(OTHER_PROJECT, Some(CONNECTOR))]
    {
        let refused = spill(&keyring, &sealed, &here(), &permit, &good_entry).await;
        assert_eq!(refused, Err(SealingError::NotPermitted));
    }
    for entry in [
        entry(PROJECT, Some(OTHER_CONNECTOR)).await,
        entry(PROJECT, None).await,
        entry(OTHER_PROJECT, Some(CONNECTOR)).await,
    ] {
        let refused = spill(&keyring, &sealed, &here(), &good_permit, &entry).await;
        assert_eq!(refused, Err(SealingError::NotPermitted));
    }
}

#[tokio::test]
async fn only_permissions_that_need_the_cloud_open_a_secret() {
    let keyring = keyring();
    let sealed = keyring.seal(&here(), &two_fields()).unwrap();
    let entry = entry(PROJECT, Some(CONNECTOR)).await;
    let mut opening = Vec::new();
    for permission in Permission::ALL.iter().copied() {
        let allowed = |role: &Role| crate::authz::permissions_of(*role).contains(&permission) && *role != Role::Runner;
        let Some(role) = Role::ALL.into_iter().find(allowed) else { continue };
        let permit = permit(PROJECT, role, permission, Some(CONNECTOR));
        if spill(&keyring, &sealed, &here(), &permit, &entry).await.is_ok() {
            opening.push(permission.as_str());
        }
    }
    assert_eq!(
        opening,
        [
            "connectors.update",
            "connectors.rotateSecret",
            "connectors.verify",
            "connectors.listResources",
            "credentials.mint",
            "issuances.revoke"
        ]
    );
}

#[tokio::test]
async fn c2_records_swapped_between_fields_connectors_projects_and_versions_do_not_open() {
    let keyring = keyring();
    let sealed = keyring.seal(&here(), &two_fields()).unwrap();
    for elsewhere in [
        context(PROJECT, OTHER_CONNECTOR, 1),
        context(OTHER_PROJECT, CONNECTOR, 1),
        SealContext { connector_type: ConnectorTypeName::parse("gcp").unwrap(), ..here() },
        SealContext { destination: [6; 32], ..here() },
    ] {
        assert_eq!(opens(&keyring, &sealed, &elsewhere).await, Err(SealingError::DoesNotOpen));
    }
    let mut swapped = sealed.clone();
    swapped.fields[0].1 = sealed.fields[1].1.clone();
    swapped.fields[1].1 = sealed.fields[0].1.clone();
    assert_eq!(opens(&keyring, &swapped, &here()).await, Err(SealingError::DoesNotOpen));
    let newer = SealedCredential { secret_version: 2, ..sealed.clone() };
    assert_eq!(opens(&keyring, &newer, &context(PROJECT, CONNECTOR, 2)).await, Err(SealingError::DoesNotOpen));
    assert_eq!(opens(&keyring, &sealed, &context(PROJECT, CONNECTOR, 2)).await, Err(SealingError::DoesNotOpen));
    assert_eq!(opens(&keyring, &sealed, &here()).await, Ok(2));
}

#[tokio::test]
async fn c2_a_field_cannot_be_dropped_doubled_or_added() {
    let keyring = keyring();
    let sealed = keyring.seal(&here(), &two_fields()).unwrap();
    let mut dropped = sealed.clone();
    dropped.fields.pop();
    let mut doubled = sealed.clone();
    doubled.fields.push(sealed.fields[0].clone());
    let mut added = sealed.clone();
    added.fields.push((SecretFieldName::parse("token").unwrap(), sealed.fields[0].1.clone()));
    for altered in [dropped, doubled, added] {
        assert_eq!(opens(&keyring, &altered, &here()).await, Err(SealingError::DoesNotOpen));
    }
    let mut reordered = sealed;
    reordered.fields.reverse();
    assert_eq!(opens(&keyring, &reordered, &here()).await, Ok(2));
}

#[tokio::test]
async fn c5_a_record_cannot_choose_the_key_of_another_project() {
    let keyring = keyring();
    let sealed = keyring.seal(&here(), &two_fields()).unwrap();
    let foreign = keyring.status().into_iter().find(|key| key.project == OTHER_PROJECT).unwrap();
    let mut altered = sealed.clone();
    let mut bytes = sealed.fields[0].1.as_bytes().to_vec();
    bytes[6..22].copy_from_slice(foreign.id.as_bytes());
    altered.fields[0].1 = Sealed::from_stored(bytes);
    assert_eq!(opens(&keyring, &altered, &here()).await, Err(SealingError::DoesNotOpen));
}

#[tokio::test]
async fn c5_a_record_sealed_for_here_under_the_key_of_another_project_does_not_open() {
    let keyring = keyring();
    let id = keyring.status().into_iter().find(|key| key.project == OTHER_PROJECT).unwrap().id;
    let key = keyring.keys.load().get(&id).cloned().unwrap();
    let (context, field) = (here(), SecretFieldName::parse("key").unwrap());
    let place = Place::SourceField { context: &context, field: &field, names: &[&field] };
    let record = envelope::seal(key.kek().unwrap(), key.key_id(), &place, b"planted", &keyring.fresh).unwrap();
    let planted = SealedCredential { secret_version: 1, fields: vec![(field, record)] };
    assert_eq!(opens(&keyring, &planted, &here()).await, Err(SealingError::DoesNotOpen));
}

#[test]
fn c7_a_wrapped_key_of_another_project_or_maker_is_refused() {
    let keyring = load(1, &[]).unwrap();
    let (mine, theirs) = (keyring.make_kek(PROJECT).unwrap(), keyring.make_kek(OTHER_PROJECT).unwrap());
    let moved = WrappedKek { project: PROJECT, ..theirs.clone() };
    let renamed = WrappedKek { id: mine.id, project: PROJECT, ..theirs.clone() };
    let forged = load(2, &[]).unwrap().make_kek(PROJECT).unwrap();
    let cut = WrappedKek { sealed: Sealed::from_stored(vec![]), ..mine.clone() };
    for wrapped in [moved, renamed, forged, cut] {
        assert_eq!(load(1, &[mine.clone(), wrapped]).err(), Some(SealingError::WrongRootKey));
    }
    assert!(load(1, &[mine, theirs]).is_ok());
}

#[test]
fn c14_the_root_key_of_another_store_is_refused() {
    let wrapped = load(1, &[]).unwrap().make_kek(PROJECT).unwrap();
    assert_eq!(load(2, std::slice::from_ref(&wrapped)).err(), Some(SealingError::WrongRootKey));
    assert!(load(1, &[wrapped]).is_ok());
}

#[test]
fn c9_no_key_is_made_without_randomness() {
    let of = |entropy: Arc<dyn Entropy>| Keyring::load(RootKey::for_tests(1), &[], clock(), entropy).unwrap();
    assert_eq!(of(Arc::new(Failing)).make_kek(PROJECT).err(), Some(SealingError::Entropy));
    for step in [0, 1] {
        assert_eq!(of(Arc::new(Standing { step })).make_kek(PROJECT).err(), Some(SealingError::Entropy));
    }
}

#[tokio::test]
async fn what_was_sealed_opens_after_a_restart() {
    let before = load(1, &[]).unwrap();
    let wrapped = before.make_kek(PROJECT).unwrap();
    let sealed = before.seal(&here(), &two_fields()).unwrap();
    let after = load(1, &[wrapped]).unwrap();
    assert_eq!(opens(&after, &sealed, &here()).await, Ok(2));
    assert_eq!(before.root_key_id(), after.root_key_id());
    let digest = |keyring: &Keyring| keyring.mac(Purpose::TokenPepper, b"token");
    assert_eq!(digest(&before), digest(&after));
    let fingerprint = |keyring: &Keyring| keyring.fingerprint(PROJECT, &two_fields()).unwrap();
    assert_eq!(fingerprint(&before), fingerprint(&after));
}

#[tokio::test]
async fn a_retired_key_opens_and_does_not_seal_and_a_destroyed_one_does_neither() {
    let before = load(1, &[]).unwrap();
    let wrapped = before.make_kek(PROJECT).unwrap();
    let sealed = before.seal(&here(), &two_fields()).unwrap();
    for (state, result) in [(KekState::DecryptOnly, Ok(2)), (KekState::Destroyed, Err(SealingError::DoesNotOpen))] {
        let after = load(1, &[WrappedKek { state, ..wrapped.clone() }]).unwrap();
        assert_eq!(opens(&after, &sealed, &here()).await, result);
        assert_eq!(after.seal(&here(), &two_fields()).err(), Some(SealingError::NoKey));
        assert_eq!(after.status()[0].state, state);
    }
}

#[tokio::test]
async fn the_newest_active_key_seals_and_the_older_still_opens() {
    let time = Arc::new(ManualClock::at(NOW));
    let clock: Arc<dyn Clock> = time.clone();
    let keyring = Keyring::load(RootKey::for_tests(1), &[], clock, Arc::new(Seeded::new(1))).unwrap();
    keyring.make_kek(PROJECT).unwrap();
    let old = keyring.seal(&here(), &two_fields()).unwrap();
    time.advance(std::time::Duration::from_secs(1));
    let newer = keyring.make_kek(PROJECT).unwrap();
    let new = keyring.seal(&here(), &two_fields()).unwrap();
    assert_eq!(new.fields[0].1.as_bytes()[6..22], *newer.id.as_bytes());
    assert_eq!(opens(&keyring, &old, &here()).await, Ok(2));
    keyring.forget(newer.id);
    assert_eq!(opens(&keyring, &new, &here()).await, Err(SealingError::DoesNotOpen));
    assert!(keyring.seal(&here(), &two_fields()).is_ok());
}

#[test]
fn fingerprints_tell_credentials_projects_and_borders_apart() {
    let keyring = keyring();
    let of = |project, pairs: &[(&str, &str)]| keyring.fingerprint(project, &credential(pairs)).unwrap();
    let one = of(PROJECT, &[("a", "bc")]);
    assert_eq!(one, of(PROJECT, &[("a", "bc")]));
    assert_eq!(one.len(), 16);
    assert_ne!(one, of(OTHER_PROJECT, &[("a", "bc")]));
    assert_ne!(one, of(PROJECT, &[("ab", "c")]));
    assert_ne!(one, of(PROJECT, &[("b", "bc")]), "another field");
    assert_ne!(one, of(PROJECT, &[("a", "b"), ("c", "")]));
    let nobody = ProjectId::from_bytes([9; 16]);
    assert_eq!(keyring.fingerprint(nobody, &two_fields()).err(), Some(SealingError::NoKey));
}

#[test]
fn each_purpose_has_its_own_key() {
    let keyring = keyring();
    let all = [Purpose::TokenPepper, Purpose::PageToken, Purpose::SourceDigest, Purpose::Record];
    let macs = all.map(|p| keyring.mac(p, b"same"));
    assert_eq!(macs.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    let other = load(2, &[]).unwrap();
    assert_ne!(other.mac(Purpose::TokenPepper, b"same"), macs[0]);
}

#[test]
fn more_than_64_fields_are_refused() {
    let keyring = keyring();
    let of = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("f{n}")).collect();
        credential(&names.iter().map(|name| (name.as_str(), "x")).collect::<Vec<_>>())
    };
    assert!(keyring.seal(&here(), &of(FIELDS_MAX)).is_ok());
    assert_eq!(keyring.seal(&here(), &of(FIELDS_MAX + 1)).err(), Some(SealingError::TooLarge));
}
