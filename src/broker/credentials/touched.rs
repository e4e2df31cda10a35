//! What a change takes with it of the minted credentials in memory, and what
//! was changed lately: a mint that was under way then puts nothing back.
//!
//! Bounded: of what was changed longer ago than the log reaches, nothing is
//! known, and a mint from before that is not kept.

use std::collections::VecDeque;

use crate::domain::{ComponentId, ConnectorId, PrincipalId, RunId};
use crate::store::Revision;

use super::cache::Kept;

/// The changes that are remembered. A mint takes seconds.
const REMEMBERED_MAX: usize = 1024;

/// What a change touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Touched {
    /// Everything that a connector minted.
    Connector(ConnectorId),
    /// What was minted through a component.
    Component(ComponentId),
    /// The same, in runs: for others a stack changes nothing.
    InRunsThrough(ComponentId),
    /// What a principal had minted, in runs and outside.
    Principal(PrincipalId),
    /// What a principal had minted with tokens of its own, or in this run with
    /// the run's.
    Token(PrincipalId, Option<RunId>),
    /// What was minted in a run.
    Run(RunId),
}

impl Touched {
    /// Whether this is touched.
    pub(super) fn takes(self, kept: &Kept) -> bool {
        match self {
            Self::Connector(id) => kept.connector == id,
            Self::Component(id) => kept.component == Some(id),
            Self::InRunsThrough(id) => kept.component == Some(id) && kept.run.is_some(),
            Self::Principal(id) => kept.principal == id,
            Self::Token(id, run) => kept.principal == id && kept.run == run,
            Self::Run(id) => kept.run == Some(id),
        }
    }
}

/// How many changes there had been when something began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Epoch(u64);

/// From when a mint knows what is so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// The store's revision that its caller's rights are as of.
    pub(super) revision: Revision,
    /// When it was decided.
    pub(super) epoch: Epoch,
}

struct Change {
    epoch: Epoch,
    revision: Revision,
    touched: Touched,
}

/// The last changes.
#[derive(Default)]
pub(super) struct Changes {
    newest: Epoch,
    // Invariant: ordered by epoch, and at most `REMEMBERED_MAX`.
    last: VecDeque<Change>,
    /// The newest of those that are remembered no more.
    forgotten: Option<(Epoch, Revision)>,
}

impl Changes {
    /// How many there were.
    pub(super) const fn epoch(&self) -> Epoch {
        self.newest
    }

    /// Remembers a change; `revision` is that of the change or a later one.
    pub(super) fn remember(&mut self, touched: Touched, revision: Revision) {
        self.newest.0 += 1;
        if self.last.len() >= REMEMBERED_MAX
            && let Some(oldest) = self.last.pop_front()
        {
            let newest = self.forgotten.map_or(oldest.revision, |(_, revision)| revision.max(oldest.revision));
            self.forgotten = Some((oldest.epoch, newest));
        }
        self.last.push_back(Change { epoch: self.newest, revision, touched });
    }

    /// Whether a change that a mint does not know of touched what it minted,
    /// or may have.
    pub(super) fn took(&self, kept: &Kept, since: Since) -> bool {
        let unknown = |epoch, revision| epoch > since.epoch || revision > since.revision;
        self.forgotten.is_some_and(|(epoch, revision)| unknown(epoch, revision))
            || self.last.iter().any(|change| unknown(change.epoch, change.revision) && change.touched.takes(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::kept_by;
    use super::*;

    const SAM: PrincipalId = PrincipalId::from_bytes([1; 16]);
    const SIRI: PrincipalId = PrincipalId::from_bytes([2; 16]);
    const RUN: RunId = RunId::from_bytes([3; 16]);
    const THROUGH: ComponentId = ComponentId::from_bytes([4; 16]);

    fn since(revision: u64, epoch: Epoch) -> Since {
        Since { revision: Revision(revision), epoch }
    }

    #[test]
    fn a_change_takes_what_it_touched_and_leaves_the_neighbour() {
        let (own, in_run) = (kept_by(SAM, None, Some(THROUGH)), kept_by(SAM, Some(RUN), Some(THROUGH)));
        let (theirs, direct) = (kept_by(SIRI, None, Some(THROUGH)), kept_by(SAM, Some(RUN), None));
        let taken = |touched: Touched| [&own, &in_run, &theirs, &direct].map(|kept| touched.takes(kept));
        assert_eq!(taken(Touched::Principal(SAM)), [true, true, false, true]);
        assert_eq!(taken(Touched::Token(SAM, None)), [true, false, false, false]);
        assert_eq!(taken(Touched::Token(SAM, Some(RUN))), [false, true, false, true]);
        assert_eq!(taken(Touched::Run(RUN)), [false, true, false, true]);
        assert_eq!(taken(Touched::Component(THROUGH)), [true, true, true, false]);
        assert_eq!(taken(Touched::InRunsThrough(THROUGH)), [false, true, false, false]);
        assert_eq!(taken(Touched::Connector(own.connector)), [true; 4]);
        assert_eq!(taken(Touched::Connector(ConnectorId::from_bytes([9; 16]))), [false; 4]);
    }

    #[test]
    fn a_mint_that_does_not_know_of_a_change_is_taken_and_one_that_does_is_not() {
        let mut changes = Changes::default();
        let kept = kept_by(SAM, None, None);
        let before = changes.epoch();
        changes.remember(Touched::Principal(SAM), Revision(7));
        let now = changes.epoch();
        assert!(changes.took(&kept, since(7, before)), "decided before");
        assert!(changes.took(&kept, since(6, now)), "decided after, on rights of before");
        assert!(!changes.took(&kept, since(7, now)), "it knows");
        assert!(!changes.took(&kept_by(SIRI, None, None), since(6, before)), "it is somebody else's");
    }

    #[test]
    fn a_mint_from_before_all_that_is_remembered_is_not_kept() {
        let mut changes = Changes::default();
        let kept = kept_by(SAM, None, None);
        let before = changes.epoch();
        for _ in 0..REMEMBERED_MAX {
            changes.remember(Touched::Principal(SIRI), Revision(1));
        }
        assert!(!changes.took(&kept, since(1, before)), "all of them are known, and are not about it");
        changes.remember(Touched::Principal(SIRI), Revision(2));
        assert!(changes.took(&kept, since(1, before)), "nobody knows what the oldest was");
        assert!(!changes.took(&kept, since(2, changes.epoch())));
        assert_eq!(changes.last.len(), REMEMBERED_MAX);
    }
}
