//! `valetkey init`: makes a data directory, whole or not at all.
//!
//! Everything is made in a sibling directory, which takes the name of the
//! data directory when it is complete.

use std::path::Path;
use std::sync::Arc;

use crate::audit::Ledger;
use crate::cli::args::{InitArgs, RootKeyProvider};
use crate::config;
use crate::domain::{Clock, Entropy, Name, Role};
use crate::sealing::{Keyring, RootKey};
use crate::store::{SqliteOptions, SqliteStore, Unsealed};

use super::certificates;
use super::data_dir::DataDir;
use super::error::DaemonError;
use super::founding::{Founder, Founding, Person};
use super::system::{SystemClock, SystemEntropy};

/// What to make.
pub(super) struct Plan {
    pub(super) data_dir: DataDir,
    pub(super) root_key: RootKeyProvider,
    pub(super) passphrase_file: Option<std::path::PathBuf>,
    pub(super) projects: Vec<Name>,
    pub(super) people: Vec<Person>,
    pub(super) hosts: Vec<String>,
}

impl Plan {
    /// What the arguments say.
    pub(super) fn of(args: &InitArgs) -> Result<Self, DaemonError> {
        let mut projects: Vec<Name> = Vec::new();
        for text in &args.projects {
            let project = name("--project", text)?;
            if !projects.contains(&project) {
                projects.push(project);
            }
        }
        Ok(Self {
            data_dir: DataDir::at(absolute(&config::data_dir(args.data_dir.as_deref()))?),
            root_key: args.root_key,
            passphrase_file: args.passphrase_file.clone(),
            projects,
            people: vec![Person { name: name("--name", &args.name)?, role: Role::Owner }],
            hosts: args.hosts.clone(),
        })
    }

    /// Makes it.
    pub(super) fn carry_out(&self) -> Result<Vec<Founder>, DaemonError> {
        self.data_dir.check_free()?;
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random)?;
        let unfinished = self.data_dir.sibling(&format!("init-{}", hex::encode(random)))?;
        let mut unfinished = Unfinished { dir: unfinished, whole: false };
        let founders = self.fill(&unfinished.dir)?;
        unfinished.dir.rename_to(&self.data_dir)?;
        unfinished.whole = true;
        Ok(founders)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "after a failed fsync nothing may be written, so there is nothing to drain"
    )]
    fn fill(&self, dir: &DataDir) -> Result<Vec<Founder>, DaemonError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let root = self.root_key(dir, &*entropy)?;
        self.write_certificates(dir, &*clock)?;
        let keyring = Arc::new(Keyring::load(root, &[], Arc::clone(&clock), Arc::clone(&entropy))?);
        let options = SqliteOptions::new(Arc::clone(&clock), Arc::new(super::exit_at_once));
        let store = Arc::new(SqliteStore::create(&dir.store(), options)?);
        let ledger = Ledger::new(Arc::clone(&store) as _, Arc::clone(&clock));
        let founding = Founding { store: Arc::clone(&store) as _, keyring, ledger, clock, entropy };
        let runtime = super::runtime::current_thread()?;
        let founders = runtime.block_on(async {
            store.seal_records(super::serve::record_mac(&founding.keyring), Unsealed::Refused).await?;
            let mut founders = Vec::new();
            for project in &self.projects {
                founders.extend(founding.project(project, &self.people).await?);
            }
            Ok::<_, DaemonError>(founders)
        });
        store.close();
        founders
    }

    fn root_key(&self, dir: &DataDir, entropy: &dyn Entropy) -> Result<RootKey, DaemonError> {
        match self.root_key {
            RootKeyProvider::File => Ok(RootKey::create_file(&dir.root_key(), entropy)?),
            RootKeyProvider::Passphrase => {
                let passphrase = config::passphrase(self.passphrase_file.as_deref(), true)?;
                Ok(RootKey::create_passphrase(&dir.passphrase(), &passphrase, entropy)?)
            }
        }
    }

    fn write_certificates(&self, dir: &DataDir, clock: &dyn Clock) -> Result<(), DaemonError> {
        let made = certificates::make(&self.hosts, clock.now())?;
        write(&dir.ca_certificate(), made.ca.as_bytes())?;
        write(&dir.ca_key(), made.ca_key.as_bytes())?;
        write(&dir.server_certificate(), made.server.as_bytes())?;
        write(&dir.server_key(), made.server_key.as_bytes())
    }
}

/// A directory that goes unless it became whole, also when a library panics:
/// some do without a random source.
struct Unfinished {
    dir: DataDir,
    whole: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.whole {
            self.dir.remove();
        }
    }
}

/// What is printed is pasted elsewhere.
fn absolute(path: &Path) -> Result<std::path::PathBuf, DaemonError> {
    std::path::absolute(path).map_err(DaemonError::file(format!("{} is not a path", path.display())))
}

/// A name, or which option has none.
pub(super) fn name(option: &str, text: &str) -> Result<Name, DaemonError> {
    text.parse().map_err(|error| DaemonError::Refused(format!("{option}: {error}")))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DaemonError> {
    let failed = DaemonError::file(format!("{} cannot be written", path.display()));
    config::write_new_private_file(path, bytes).map_err(failed)
}
