//! Use cases of connectors, one verb a file.

mod delete;
mod list;
mod probe;
mod register;
mod resources;
mod rotate;
mod rotate_auto;
mod same_secret;
mod source;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests_change;
mod turns;
mod update;
mod verify;

pub(super) use turns::RotationTurns;

pub(super) use source::{check_successor, known_resource_type, only_type, seal_context, stored_settings, type_of};

pub use delete::Deleted;
pub use list::{ConnectorFilter, ConnectorSeen};
pub use register::Register;
pub use resources::ResourcesAsk;
pub use rotate::Rotate;
pub use rotate_auto::{RotateAuto, Rotated};
pub use update::Update;

use std::time::Duration;

/// How long a verification may take in all: several clouds' listings in
/// parallel, each with a deadline of its own.
const VERIFY_DEADLINE: Duration = Duration::from_secs(25);
/// How many ids of each type a verification keeps.
const VERIFY_IDS_MAX: u32 = 100;
