//! The big store: 100,000 connectors and 1,000,000 ledger lines, put in through the store's own door.
//!
//! The connectors' sealed credentials are noise: they are counted and carried, never opened.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use valetkey::audit::{Ledger, Line, LineKind, Outcome as LineOutcome};
use valetkey::domain::{
    AuthMethodName, Clock, Connector, ConnectorId, ConnectorTypeName, Entropy, EntropyError, Labels, MintPolicy, Name,
    PrincipalId, Project, SecretFacts, SecretFieldName, Timestamp, Verification, VerificationState, Version,
};
use valetkey::sealing::{Keyring, Purpose, RootKey, Sealed, SealedCredential};
use valetkey::store::{Keks as _, Projects as _, SqliteOptions, SqliteStore, Transactions as _, Tx, Unsealed, Write};

use super::daemon::Place;
use super::founding;
use super::meter;
use super::options::Options;
use super::plan::Outcome;

/// What a daemon needs for a big store.
pub struct Big {
    filled: Duration,
    ready: Duration,
    rss_mib: f64,
}

impl Big {
    /// Issue 2, section 10.
    pub fn targets(&self) -> Vec<(bool, String)> {
        let (ready, rss) = (self.ready.as_secs_f64(), self.rss_mib);
        vec![
            (ready <= 1.0, format!("big store: ready in {ready:.2} s (<= 1 s)")),
            (rss <= 150.0, format!("big store: {rss:.1} MiB (<= 150 MiB)")),
        ]
    }
}

impl fmt::Display for Big {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (filled, ready) = (self.filled.as_secs_f64(), self.ready.as_secs_f64());
        write!(
            f,
            "big store ({CONNECTORS} connectors, {LINES} lines; filled in {filled:.0} s): ready in {ready:.2} s, \
             {:.1} MiB after all were listed",
            self.rss_mib
        )
    }
}

/// Fills a new store, and starts a daemon on it.
pub fn measured(options: &Options, sts_port: u16) -> Outcome<Big> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let place = Place::make(folder.path())?;
    println!("filling the big store ...");
    let begun = Instant::now();
    fill(&place, sts_port)?;
    let filled = begun.elapsed();
    // The first start may have to look at what was written last; the second is the rule.
    place.serve(options.threads, sts_port, None)?.stop()?;
    let daemon = place.serve(options.threads, sts_port, None)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listed = runtime.block_on(founding::list_connectors(daemon.port, &place.ca(), &place.owner))?;
    if listed < CONNECTORS {
        return Err(format!("the big store lists {listed} connectors").into());
    }
    let big = Big { filled, ready: daemon.ready, rss_mib: meter::rss_mib(daemon.id)? };
    daemon.stop()?;
    Ok(big)
}

fn fill(place: &Place, sts_port: u16) -> Outcome<()> {
    let clock: Arc<dyn Clock> = Arc::new(WallClock(Instant::now()));
    let store_options = SqliteOptions::new(Arc::clone(&clock), Arc::new(|cause| eprintln!("the store: {cause}")));
    let store = Arc::new(SqliteStore::open(&place.data().join("valetkey.db"), store_options)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let filled = runtime.block_on(async {
        // As the daemon does: records that are put in get their seals.
        let root = RootKey::from_file(&place.data().join("root.key"))?;
        let keks = store.keks().await?;
        let keyring = Arc::new(Keyring::load(root, &keks, Arc::clone(&clock), Arc::new(Counting(0)))?);
        let mac = move |message: &[u8]| keyring.mac(Purpose::Record, message);
        store.seal_records(Arc::new(mac), Unsealed::Refused).await?;
        let project = store.project_named(&"default".parse::<Name>()?).await?;
        let ledger = Ledger::new(Arc::clone(&store) as _, clock);
        let settings = founding::settings(sts_port);
        let mut lines = 0;
        for first in (0..CONNECTORS).step_by(WRITES) {
            let last = CONNECTORS.min(first + WRITES);
            let mut tx = Tx::default();
            for number in first..last {
                tx = tx.write(connector(&project, number, &settings)?);
            }
            tx.lines = (0..WRITES).map(|_| ledger.stamp(line(&project))).collect();
            lines += WRITES;
            store.commit(tx).await?;
        }
        while lines < LINES {
            let tx = Tx { lines: (0..WRITES).map(|_| ledger.stamp(line(&project))).collect(), ..Tx::default() };
            lines += WRITES;
            store.commit(tx).await?;
        }
        Ok(())
    });
    store.close();
    filled
}

fn connector(project: &Project, number: usize, settings: &str) -> Outcome<Write> {
    let now = Timestamp::from_seconds(CREATED_AT);
    let fields = vec![SecretFieldName::parse("aws_access_key_id")?, SecretFieldName::parse("aws_secret_access_key")?];
    let sealed = fields.iter().cloned().map(|field| (field, Sealed::from_stored(vec![7; SEALED_BYTES]))).collect();
    let facts = SecretFacts {
        fields,
        version: 1,
        lineage: 1,
        created_at: now,
        expires_at: None,
        own_end: None,
        skew_tolerance: 0,
        fingerprint: "0".repeat(16),
        key_fingerprint: None,
        rotation: None,
    };
    let found = Verification {
        state: VerificationState::Unverified,
        checked_at: now,
        reason: String::new(),
        identity: String::new(),
        reach: Vec::new(),
    };
    let connector = Connector {
        id: ConnectorId::random(&Counting(number))?,
        project: project.id,
        name: format!("big-{number}").parse()?,
        connector_type: ConnectorTypeName::parse("aws")?,
        auth_method: AuthMethodName::parse("iam-role")?,
        resource_type: None,
        resource_id: None,
        settings: settings.to_owned(),
        description: String::new(),
        labels: Labels::default(),
        policy: MintPolicy::default(),
        verification: found,
        secret: facts,
        created_by: PrincipalId::random(&Counting(0))?,
        created_at: now,
        updated_at: now,
        version: Version::FIRST,
    };
    Ok(Write::InsertConnector { connector, sealed: SealedCredential { secret_version: 1, fields: sealed } })
}

fn line(project: &Project) -> Line {
    let method = "/valetkey.v1.CredentialService/MintCredential";
    Line { project: Some(project.id), ..Line::about(method, LineKind::Single, LineOutcome::Ok) }
}

/// The machine's clock, for lines that nobody reads.
struct WallClock(Instant);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Another id for each number, spread like random ones.
struct Counting(usize);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(self.0.to_be_bytes());
        for (slot, byte) in buffer.iter_mut().zip(digest) {
            *slot = byte;
        }
        Ok(())
    }
}

const CONNECTORS: usize = 100_000;

const LINES: usize = 1_000_000;

// What one transaction may hold.
const WRITES: usize = 256;

// A header of 100 bytes and a secret of 40.
const SEALED_BYTES: usize = 140;

const CREATED_AT: i64 = 1_767_225_600;
