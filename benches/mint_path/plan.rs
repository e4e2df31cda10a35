//! What the processes of the bench tell each other: plans on standard input, findings on standard output, both JSON.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How anything here ends.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What the load process prints when its window begins, and when it ends.
pub const WINDOW_OPENS: &str = "window opens";
/// See [`WINDOW_OPENS`].
pub const WINDOW_CLOSES: &str = "window closes";

/// A load: a closed loop of `in_flight` callers over `connections`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadPlan {
    /// Of the server, on loopback.
    pub port: u16,
    /// PEM of its CA.
    pub ca: PathBuf,
    /// Who calls.
    pub token: String,
    /// TLS connections.
    pub connections: usize,
    /// Calls at a time, over all connections.
    pub in_flight: usize,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured; ends earlier when `calls_max` is reached.
    pub measured: Duration,
    /// How many calls in all.
    pub calls_max: Option<u64>,
    /// Which call.
    pub call: Call,
}

/// A call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Call {
    /// `WhoAmI`.
    WhoAmI,
    /// `MintCredential` for one of `spread` prefixes of a bucket, in turn; 0: another one each time.
    Mint {
        /// The connector's name.
        connector: String,
        /// Above the prefixes; new for each load that must miss the cache.
        folder: String,
        /// How many prefixes.
        spread: u64,
    },
    /// The cloud itself, past the daemon: each caller over a connection of its own.
    Upstream,
    /// `RegisterConnector`, another name each time.
    Register {
        /// What the names begin with.
        prefix: String,
        /// The settings, JSON.
        settings: String,
    },
}

/// What a load found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Calls that were answered inside the window.
    pub calls: u64,
    /// Calls that were refused inside the window, with the first refusal.
    pub refused: u64,
    /// The first refusal, in words.
    pub refusal: String,
    /// The window's length.
    pub seconds: f64,
    /// Milliseconds below which half of the calls were answered.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
}

impl Findings {
    /// Calls a second.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { count(self.calls) / self.seconds } else { 0.0 }
    }
}

/// The floor: the same call, answered by a constant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FloorPlan {
    /// PEM chain.
    pub certificate: PathBuf,
    /// PEM key.
    pub key: PathBuf,
    /// 1: a runtime of one thread; more: so many workers.
    pub threads: usize,
    /// Encoded length of the answer.
    pub answer_bytes: usize,
}

/// Reads the plan of this process.
pub fn of_this_process<T: DeserializeOwned>() -> Outcome<T> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// A count as a number to divide.
#[allow(clippy::cast_precision_loss, reason = "counts of a bench stay below 2^52")]
pub const fn count(value: u64) -> f64 {
    value as f64
}
