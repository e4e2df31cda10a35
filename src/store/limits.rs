//! How much a store takes. Every backend holds the same limits.

/// Live tokens of one principal: enough for a person's machines and a
/// program's rolling replacement, few enough to review.
pub const TOKENS_MAX: u32 = 16;
/// Live runs of one principal: a large scheduler's, and few enough to end one
/// by one.
pub const RUNS_MAX: u32 = 1000;
/// How long runs that are over stay, in milliseconds: 90 days. The ledger and
/// the issuances name them for longer.
pub const RUNS_KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// Bindings of one principal: what a decision reads at most.
pub const BINDINGS_MAX: u32 = 1000;
/// Records of one noun in one project: above any real platform, below what
/// one malicious engineer needs to fill a disk.
pub const RECORDS_MAX: u32 = 1_000_000;
/// Names in a refusal to delete what others name: enough to act on.
pub const LINKED_NAMES_MAX: u32 = 10;
/// Writes in one transaction: no request needs more.
pub const WRITES_MAX: usize = 256;
/// Ledger lines in one transaction: a batch of closed intents at start.
pub const LINES_MAX: usize = 256;
/// Revisions that the change feed keeps. Revisions are gapless: a reader that
/// is handed a later one than the next has fallen behind and reads anew.
pub const REVISIONS_KEPT: u64 = 100_000;
/// How long answers are kept, in milliseconds: 24 hours.
pub const ANSWERS_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// How long expired tokens stay visible, in milliseconds: 30 days, so that
/// somebody can see why a program stopped.
pub const EXPIRED_TOKENS_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// The shortest prefix of an id that names a record.
pub const ID_PREFIX_LENGTH_MIN: usize = 4;
