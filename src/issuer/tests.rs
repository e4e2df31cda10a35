//! The issuer over a real store: what it publishes verifies what it signed,
//! through rotations and restarts, and nothing else does.

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::audit::{Seq, StoredLine};
use crate::domain::{EntropyError, IssuerKeyState, ManualClock, PrincipalKind, SubjectForm};
use crate::sealing::RootKey;
use crate::store::{AuditLines as _, IssuerKeys as _, SqliteOptions, SqliteStore};

const START: Timestamp = Timestamp::from_seconds(1_767_225_600);
const URL: &str = "https://id.example.com/vk";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const RULES: Rules = Rules { rotation_period: Duration::from_secs(30 * 86_400), max_age: HOUR };

struct System(AtomicBool);

impl Entropy for System {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(EntropyError);
        }
        getrandom::fill(buffer).map_err(|_| EntropyError)
    }
}

struct World {
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    entropy: Arc<System>,
    _folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let options = SqliteOptions::new(Arc::<ManualClock>::clone(&clock), Arc::new(|_| {}));
        let store = Arc::new(SqliteStore::create(&folder.path().join("store.db"), options).unwrap());
        Self { store, clock, entropy: Arc::new(System(AtomicBool::new(false))), _folder: folder }
    }

    /// The issuer as a start of the daemon with this root key finds it.
    async fn opened(&self, root: u8) -> Result<Issuer, IssuerError> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let keyring = Keyring::load(RootKey::for_tests(root), &[], Arc::clone(&clock), self.entropy.clone()).unwrap();
        Issuer::open(IssuerParts {
            url: IssuerUrl::parse(URL).unwrap(),
            rules: RULES,
            token_ttl_max: Duration::from_secs(600),
            store: self.store.clone(),
            keyring: Arc::new(keyring),
            ledger: Ledger::new(self.store.clone(), Arc::clone(&clock)),
            clock,
            entropy: self.entropy.clone(),
        })
        .await
    }

    async fn issuer(&self) -> Issuer {
        let issuer = self.opened(7).await.unwrap();
        issuer.keep().await.unwrap();
        issuer
    }

    /// The steps in the ledger, oldest first.
    async fn steps(&self) -> Vec<String> {
        let lines = self.store.lines_after(None, Seq(0), 100).await.unwrap();
        let step = |line: &StoredLine| line.line.details.get("step").map(|text| text.as_str().to_owned());
        lines.iter().filter_map(step).collect()
    }
}

fn subject() -> Subject {
    Subject {
        project: "default".parse().unwrap(),
        connector: "prod".parse().unwrap(),
        principal: (PrincipalKind::User, "anna".parse().unwrap()),
        run: None,
        issuance: None,
        form: SubjectForm::default(),
    }
}

fn token(issuer: &Issuer) -> String {
    issuer.token(&subject(), "sts.amazonaws.com", Ttl::seconds(300)).unwrap().reveal().to_owned()
}

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

fn published(issuer: &Issuer) -> Vec<Value> {
    let answer = issuer.answer("GET", "/vk/.well-known/jwks.json", None);
    serde_json::from_slice::<Value>(&answer.body).unwrap()["keys"].as_array().unwrap().clone()
}

/// As a cloud does it: the published key of this name, RS256, and nothing else.
fn verifies(issuer: &Issuer, token: &str) -> bool {
    let header = part(token, 0);
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("RS256"), Some("JWT")));
    let keys = published(issuer);
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else { return false };
    assert_eq!(
        (key["alg"].as_str(), key["use"].as_str(), key["kty"].as_str()),
        (Some("RS256"), Some("sig"), Some("RSA"))
    );
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = RsaPublicKeyComponents { n: number("n"), e: number("e") };
    public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).is_ok()
}

fn states(issuer: &Issuer) -> Vec<IssuerKeyState> {
    let mut states: Vec<_> = issuer.keys().iter().map(IssuerKeyFacts::state).collect();
    states.sort_unstable();
    states
}

#[tokio::test]
async fn a_token_verifies_under_the_published_keys_through_a_rotation_and_a_restart() {
    use IssuerKeyState::{Active, Next, Retired};
    let world = World::new();
    let issuer = world.issuer().await;
    assert_eq!(states(&issuer), [Next, Active]);
    let first = token(&issuer);
    assert!(verifies(&issuer, &first));
    let (head, tail) = first.split_at(first.len() / 2);
    let other = if tail.starts_with('A') { 'B' } else { 'A' };
    assert!(!verifies(&issuer, &format!("{head}{other}{}", &tail[1..])));

    world.clock.advance(30 * DAY);
    issuer.keep().await.unwrap();
    assert_eq!(states(&issuer), [Next, Active, Retired]);
    let second = token(&issuer);
    assert_ne!(part(&first, 0)["kid"], part(&second, 0)["kid"]);
    assert!(verifies(&issuer, &first) && verifies(&issuer, &second));

    // A restart finds the same keys and makes none.
    let again = world.issuer().await;
    assert_eq!(again.keys(), issuer.keys());
    assert_eq!(part(&token(&again), 0), part(&second, 0));

    world.clock.advance(2 * HOUR);
    again.keep().await.unwrap();
    assert_eq!(states(&again), [Next, Active]);
    assert!(!verifies(&again, &first) && verifies(&again, &second));
    assert_eq!(world.steps().await, ["make", "make", "activate", "make", "remove"]);
}

async fn rotate(issuer: &Issuer) -> Result<Rotation, IssuerError> {
    issuer.rotate(Line::about("/test", LineKind::Single, Outcome::Ok), |_| Ok(None)).await
}

#[tokio::test]
async fn a_rotation_that_is_asked_for_waits_until_every_cloud_knows_the_key() {
    let world = World::new();
    let issuer = world.issuer().await;
    let ripe_at = Some(START.plus(HOUR));
    assert_eq!(rotate(&issuer).await, Err(IssuerError::NotYet { ripe_at }));
    let before = part(&token(&issuer), 0)["kid"].clone();
    world.clock.advance(HOUR);
    let rotation = rotate(&issuer).await.unwrap();
    assert_eq!(before, rotation.retired.unwrap().as_str());
    assert_eq!(part(&token(&issuer), 0)["kid"], rotation.active.as_str());
    // The one after it is not made yet, and then not known yet.
    assert_eq!(rotate(&issuer).await, Err(IssuerError::NotYet { ripe_at: None }));
    issuer.keep().await.unwrap();
    assert!(matches!(rotate(&issuer).await, Err(IssuerError::NotYet { ripe_at: Some(_) })));
}

#[tokio::test]
async fn a_token_lives_no_longer_than_the_config_allows_and_each_is_another() {
    let world = World::new();
    let issuer = world.issuer().await;
    let made = |seconds| issuer.token(&subject(), "a", Ttl::seconds(seconds)).unwrap().reveal().to_owned();
    let ends = |token: &str| part(token, 1)["exp"].as_i64().unwrap() - START.seconds();
    assert_eq!((ends(&made(60)), ends(&made(600)), ends(&made(86_400))), (60, 600, 600));
    assert_ne!(part(&made(60), 1)["jti"], part(&made(60), 1)["jti"]);
    assert_eq!(part(&made(60), 1)["iss"], URL);
}

#[tokio::test]
async fn a_stored_key_under_another_name_or_root_key_is_refused() {
    let world = World::new();
    let issuer = world.issuer().await;
    assert!(matches!(world.opened(8).await.err(), Some(IssuerError::Sealing(SealingError::WrongRootKey))));
    let stored = world.store.issuer_keys().await.unwrap();
    let (one, two) = (&stored[0], &stored[1]);
    // What a writer of the file could do: swap two keys, or publish his own.
    let swapped = SealedIssuerKey { facts: one.facts.clone(), sealed: two.sealed.clone() };
    let keyring = &issuer.parts.keyring;
    let opened = |key: &SealedIssuerKey| Keys::open(std::slice::from_ref(key), keyring, issuer.url(), HOUR).err();
    assert_eq!(opened(&swapped), Some(SealingError::DoesNotOpen));
    let foreign = rsa::generate(&*world.entropy).unwrap();
    let sealed = keyring.seal_issuer_key(&one.facts.id, &foreign).unwrap();
    assert_eq!(opened(&SealedIssuerKey { facts: one.facts.clone(), sealed }), Some(SealingError::DoesNotOpen));
    assert_eq!(opened(one), None);
}

#[tokio::test]
async fn without_randomness_there_is_no_key_no_token_and_the_next_try_goes_on() {
    let world = World::new();
    world.entropy.0.store(true, Ordering::SeqCst);
    let issuer = world.opened(7).await.unwrap();
    assert_eq!(issuer.keep().await, Err(IssuerError::Generate(GenerateError::Entropy)));
    assert_eq!(issuer.token(&subject(), "a", Ttl::seconds(60)).err(), Some(IdentityError::Unsigned));
    assert!(published(&issuer).is_empty());
    world.entropy.0.store(false, Ordering::SeqCst);
    issuer.keep().await.unwrap();
    assert!(verifies(&issuer, &token(&issuer)));
}

#[tokio::test]
async fn nothing_of_a_private_key_is_published_or_written_down() {
    let world = World::new();
    let issuer = world.issuer().await;
    for key in published(&issuer) {
        let members: Vec<_> = key.as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    }
    for stored in world.store.issuer_keys().await.unwrap() {
        let private = issuer.parts.keyring.open_issuer_key(&stored.facts.id, &stored.sealed).unwrap();
        let part = &private[private.len() - 64..];
        assert!(stored.sealed.as_bytes().windows(64).all(|window| window != part));
    }
}
