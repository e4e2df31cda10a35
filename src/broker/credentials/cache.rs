//! Minted credentials in memory, never on disk: bounded, dropped (and so
//! wiped) when they expire or when what they came from changes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::{ComponentId, ConnectorId, IssuanceId, Minted, PrincipalId, RunId, Timestamp, Ttl};
use crate::store::Revision;

use super::plan::CacheKey;
use super::touched::{Changes, Epoch, Since, Touched};

/// The most minted credentials in memory.
const CREDENTIALS_MAX: u64 = 100_000;
/// Up to so many seconds a life is short: what registries give lives for five
/// minutes, and AWS gives no less than fifteen.
const SHORT_LIFE: u32 = 15 * 60;
/// Longer than any hand-out or mint takes.
const WITHDRAWN_KEPT: Duration = Duration::from_secs(600);

/// A minted credential that is kept.
pub(super) struct Kept {
    pub(super) minted: Minted,
    pub(super) issuance: IssuanceId,
    pub(super) connector: ConnectorId,
    /// Through which component it was minted.
    pub(super) component: Option<ComponentId>,
    /// Who had it minted.
    pub(super) principal: PrincipalId,
    /// In which run it was minted.
    pub(super) run: Option<RunId>,
    pub(super) issued_at: Timestamp,
    /// No refresh ahead before this time, in milliseconds: after a failure.
    pub(super) refresh_not_before: AtomicI64,
}

impl Kept {
    /// Seconds of life left.
    pub(super) fn remaining(&self, now: Timestamp) -> u32 {
        u32::try_from(self.minted.expires_at.since(now).as_secs()).unwrap_or(u32::MAX)
    }

    /// Seconds of life it had.
    fn lifetime(&self) -> u32 {
        u32::try_from(self.minted.expires_at.since(self.issued_at).as_secs()).unwrap_or(u32::MAX)
    }

    /// The least life to hand it out with: what its consumers re-ask at, but
    /// never more than half of what it had, or a short one would be minted
    /// for every ask. Who asks for less is still not given one that is all but
    /// over: five minutes, or a fifth of its life.
    pub(super) fn floor(&self, asked: Option<u32>) -> u32 {
        let floor = asked.unwrap_or_else(|| self.minted.floor_seconds().min(self.lifetime() / 2));
        floor.max((5 * 60).min(self.lifetime() / 5))
    }

    /// Below this life a new one is minted ahead: floor and five minutes, or
    /// half of its life with a tenth of jitter, whichever is sooner to come. Of
    /// a short one five minutes are most of its life: half of that, or its
    /// floor, or it would be due as soon as it is there.
    pub(super) fn refresh_below(&self, floor: u32) -> u32 {
        let half = self.lifetime() / 2;
        let tenth = (self.lifetime() / 10).max(1);
        let jitter = u32::from(self.issuance.as_bytes()[0]) * tenth / 255;
        let half_with_jitter = half.saturating_sub(tenth / 2).saturating_add(jitter);
        if self.lifetime() <= SHORT_LIFE {
            return half_with_jitter.max(floor.min(self.lifetime()));
        }
        half_with_jitter.max((floor + 5 * 60).min(self.lifetime() * 9 / 10))
    }

    /// When a holder should ask again.
    pub(super) fn refresh_at(&self, floor: u32) -> Timestamp {
        let early = self.refresh_below(floor).min(self.lifetime());
        let late = self.lifetime() - early;
        self.issued_at.plus(Ttl::seconds(late).as_duration())
    }

    /// Whether it is time to mint the next one.
    pub(super) fn due(&self, now: Timestamp, floor: u32) -> bool {
        self.remaining(now) < self.refresh_below(floor)
            && now.millis() >= self.refresh_not_before.load(Ordering::Relaxed)
    }
}

/// Drops each credential when it expires, whoever asks or does not.
struct UntilExpiry;

impl moka::Expiry<CacheKey, Arc<Kept>> for UntilExpiry {
    fn expire_after_create(&self, _: &CacheKey, kept: &Arc<Kept>, _: Instant) -> Option<Duration> {
        Some(kept.minted.expires_at.since(kept.issued_at))
    }
}

/// Minted credentials by key.
pub(in crate::broker) struct CredentialCache {
    kept: moka::sync::Cache<CacheKey, Arc<Kept>>,
    /// What was withdrawn lately: a hand-out that began before the withdrawal
    /// looks here once more before the credential leaves.
    withdrawn: moka::sync::Cache<IssuanceId, ()>,
    // Held for the insertion of one credential, never across an await.
    changes: Mutex<Changes>,
}

impl CredentialCache {
    pub(in crate::broker) fn new() -> Self {
        let kept = moka::sync::Cache::builder().max_capacity(CREDENTIALS_MAX).expire_after(UntilExpiry).build();
        let withdrawn = moka::sync::Cache::builder().max_capacity(CREDENTIALS_MAX).time_to_live(WITHDRAWN_KEPT).build();
        Self { kept, withdrawn, changes: Mutex::default() }
    }

    pub(super) fn find(&self, key: &CacheKey) -> Option<Arc<Kept>> {
        self.kept.get(key)
    }

    /// Stops handing out one issuance, also where that is under way.
    pub(super) fn withdraw(&self, issuance: IssuanceId) {
        self.withdrawn.insert(issuance, ());
        // Whoever looked before has put it in by now.
        drop(self.changes());
        self.drop_where(|kept| kept.issuance == issuance);
    }

    /// Whether this issuance was withdrawn lately.
    pub(super) fn withdrawn(&self, issuance: IssuanceId) -> bool {
        self.withdrawn.contains_key(&issuance)
    }

    /// How many changes there were: a mint says at its end what it was at its
    /// beginning.
    pub(super) fn epoch(&self) -> Epoch {
        self.changes().epoch()
    }

    /// Keeps a credential, unless a change that its mint does not know of took
    /// it meanwhile.
    pub(super) fn keep(&self, key: CacheKey, kept: Arc<Kept>, since: Since) {
        let changes = self.changes();
        if !changes.took(&kept, since) && !self.withdrawn(kept.issuance) {
            self.kept.insert(key, kept);
        }
    }

    pub(super) fn drop_key(&self, key: &CacheKey) {
        self.kept.invalidate(key);
    }

    /// Drops what matches, at once.
    fn drop_where(&self, matches: impl Fn(&Kept) -> bool) {
        let keys: Vec<CacheKey> =
            self.kept.iter().filter(|(_, kept)| matches(kept)).map(|(key, _)| CacheKey::clone(&key)).collect();
        for key in keys {
            self.kept.invalidate(&key);
        }
        // Runs what moka puts off, so that the memory is wiped now.
        self.kept.run_pending_tasks();
    }

    /// Drops what a change touched, also what is on its way here. `revision`
    /// is that of the change or a later one.
    pub(in crate::broker) fn forget(&self, touched: &[Touched], revision: Revision) {
        if touched.is_empty() {
            return;
        }
        let mut changes = self.changes();
        touched.iter().for_each(|one| changes.remember(*one, revision));
        drop(changes);
        self.drop_where(|kept| touched.iter().any(|one| one.takes(kept)));
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are kept.
    pub(in crate::broker) fn count(&self) -> u64 {
        self.kept.entry_count()
    }
}

/// A credential of an hour, for tests.
#[cfg(test)]
pub(super) fn kept_by(principal: PrincipalId, run: Option<RunId>, component: Option<ComponentId>) -> Kept {
    Kept { principal, run, component, ..tests::sample(3600, 1, 7) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Downscope, EnforcedScope, MintedShape, Revocable, SecretText};

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const REVISION: Revision = Revision(1);

    fn kept(lifetime: u64, issuance: u8, connector: u8) -> Arc<Kept> {
        Arc::new(sample(lifetime, issuance, connector))
    }

    fn keep(cache: &CredentialCache, key: u8, kept: Arc<Kept>) {
        cache.keep(CacheKey::of(key), kept, Since { revision: REVISION, epoch: cache.epoch() });
    }

    pub(super) fn sample(lifetime: u64, issuance: u8, connector: u8) -> Kept {
        let secret = || SecretText::new("x".to_owned());
        let shape = MintedShape::AwsSession {
            access_key_id: secret(),
            secret_access_key: secret(),
            session_token: secret(),
            region: String::new(),
            endpoint_url: None,
        };
        let minted = Minted {
            shape,
            expires_at: NOW.plus(Duration::from_secs(lifetime)),
            enforced: EnforcedScope { words: String::new(), downscope: Downscope::Resource },
            revocable: Revocable::No,
            attribution: String::new(),
            passthrough: false,
        };
        Kept {
            minted,
            issuance: IssuanceId::from_bytes([issuance; 16]),
            connector: ConnectorId::from_bytes([connector; 16]),
            component: None,
            principal: PrincipalId::from_bytes([connector; 16]),
            run: Some(RunId::from_bytes([connector; 16])),
            issued_at: NOW,
            refresh_not_before: AtomicI64::new(0),
        }
    }

    #[test]
    fn an_hour_for_aws_is_handed_out_with_twenty_minutes_or_more() {
        let kept = kept(3600, 0, 0);
        let floor = kept.floor(None);
        assert_eq!(floor, 1200);
        let refresh_in = 3600 - kept.refresh_below(floor);
        assert!((1500..=2100).contains(&refresh_in), "ahead of the floor: after {refresh_in} s");
        assert!(!kept.due(NOW, floor));
        assert!(kept.due(NOW.plus(Duration::from_secs(2_200)), floor));
    }

    #[test]
    fn a_short_credential_is_not_minted_for_every_ask() {
        let kept = kept(900, 0, 0);
        assert_eq!(kept.floor(None), 450);
        assert!(kept.remaining(NOW) >= kept.floor(None));
        assert_eq!(kept.floor(Some(800)), 800, "what the consumer asks for counts");
        assert_eq!(kept.floor(Some(1)), 180, "but none is handed out that is all but over");
    }

    #[test]
    fn a_short_credential_is_asked_for_again_after_half_of_its_life_and_not_at_once() {
        for (life, issuance) in [(300, 0), (300, 255), (600, 128), (900, 0), (900, 255)] {
            let kept = kept(life, issuance, 0);
            let floor = kept.floor(None);
            let asked_again = kept.refresh_at(floor).since(NOW).as_secs();
            assert!((life * 4 / 10..=life / 2).contains(&asked_again), "{life} s: after {asked_again} s");
            assert!(!kept.due(NOW.plus(Duration::from_secs(asked_again)), floor), "{life} s");
            assert!(kept.due(NOW.plus(Duration::from_secs(asked_again + 1)), floor), "{life} s");
        }
        // Who needs more of it is given no less, and is told to come sooner.
        let kept = kept(300, 0, 0);
        assert_eq!(kept.refresh_at(kept.floor(Some(240))).since(NOW).as_secs(), 60);
    }

    #[test]
    fn jitter_spreads_refreshes_over_a_tenth_of_the_life() {
        let floor = 60;
        let spread: Vec<u32> = (0..=255).map(|id| kept(36_000, id, 0).refresh_below(floor)).collect();
        let (min, max) = (spread.iter().min().unwrap(), spread.iter().max().unwrap());
        assert!(max - min >= 3_000, "{min}..{max}");
    }

    #[test]
    fn a_withdrawn_issuance_and_a_changed_connector_are_dropped_at_once() {
        let cache = CredentialCache::new();
        keep(&cache, 1, kept(3600, 1, 7));
        keep(&cache, 2, kept(3600, 2, 7));
        keep(&cache, 3, kept(3600, 3, 8));
        cache.withdraw(IssuanceId::from_bytes([1; 16]));
        assert!(cache.find(&CacheKey::of(1)).is_none());
        assert!(cache.withdrawn(IssuanceId::from_bytes([1; 16])), "also for a hand-out under way");
        assert!(!cache.withdrawn(IssuanceId::from_bytes([2; 16])));
        cache.forget(&[Touched::Connector(ConnectorId::from_bytes([7; 16]))], REVISION);
        assert!(cache.find(&CacheKey::of(2)).is_none());
        assert!(cache.find(&CacheKey::of(3)).is_some(), "the neighbour stays");
    }

    #[test]
    fn what_a_run_minted_is_dropped_with_it_and_nothing_else_is() {
        let cache = CredentialCache::new();
        keep(&cache, 1, kept(3600, 1, 7));
        keep(&cache, 2, kept(3600, 2, 8));
        cache.forget(&[Touched::Run(RunId::from_bytes([7; 16]))], REVISION);
        assert!(cache.find(&CacheKey::of(1)).is_none());
        assert!(cache.find(&CacheKey::of(2)).is_some(), "another run's stays");
    }

    #[test]
    fn what_was_under_way_when_it_was_withdrawn_or_forgotten_is_not_put_back() {
        let cache = CredentialCache::new();
        let before = Since { revision: REVISION, epoch: cache.epoch() };
        cache.withdraw(IssuanceId::from_bytes([1; 16]));
        cache.keep(CacheKey::of(1), kept(3600, 1, 8), before);
        assert!(cache.find(&CacheKey::of(1)).is_none(), "withdrawn");
        cache.forget(&[Touched::Connector(ConnectorId::from_bytes([7; 16]))], REVISION);
        cache.keep(CacheKey::of(2), kept(3600, 2, 7), before);
        assert!(cache.find(&CacheKey::of(2)).is_none(), "forgotten");
        cache.keep(CacheKey::of(3), kept(3600, 3, 8), before);
        assert!(cache.find(&CacheKey::of(3)).is_some(), "the neighbour's is kept");
        keep(&cache, 2, kept(3600, 4, 7));
        assert!(cache.find(&CacheKey::of(2)).is_some(), "and so is the next one");
    }

    #[test]
    fn dropped_credentials_are_freed_not_only_hidden() {
        let cache = CredentialCache::new();
        let held = kept(3600, 1, 7);
        let alive = Arc::downgrade(&held);
        keep(&cache, 1, held);
        cache.forget(&[Touched::Connector(ConnectorId::from_bytes([7; 16]))], REVISION);
        assert!(alive.upgrade().is_none(), "the memory is wiped now, not some time later");
    }
}
