//! What the daemon promised: written by the clients the moment an answer arrives, held against the store later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use valetkey::proto::Connector;

/// Everything that was acknowledged so far.
#[derive(Default)]
pub struct Diary(Mutex<Promises>);

/// What was acknowledged.
#[derive(Default, Clone)]
pub struct Promises {
    /// Connector id to the highest version (etag) and secret version that was acknowledged.
    pub connectors: BTreeMap<String, (u64, u64)>,
    /// Names that clients gave to connectors, by id.
    pub names: BTreeMap<String, String>,
    /// Component ids.
    pub components: BTreeSet<String>,
    /// Token ids that must be there.
    pub tokens: BTreeSet<String>,
    /// Token ids that must not.
    pub revoked: BTreeSet<String>,
    /// Issuance id to how many times its credential was received.
    pub hand_outs: BTreeMap<String, u32>,
}

impl Diary {
    /// To write into, or to read.
    pub fn open(&self) -> MutexGuard<'_, Promises> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promises {
    /// How many answers there were.
    pub fn total(&self) -> usize {
        let handed: u32 = self.hand_outs.values().sum();
        self.connectors.len() + self.components.len() + self.tokens.len() + self.revoked.len() + handed as usize
    }

    /// A connector is at least as this answer says.
    pub fn connector(&mut self, connector: &Connector) {
        let version = connector.etag.trim_matches('"').parse().expect("an etag of ours is a quoted number");
        let entry = self.connectors.entry(connector.id.clone()).or_default();
        entry.0 = entry.0.max(version);
        entry.1 = entry.1.max(connector.secret_version);
        self.names.insert(connector.id.clone(), connector.name.clone());
    }
}
