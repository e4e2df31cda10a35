//! Random moments and sizes that come again: everything follows from one seed, which is printed.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A seeded generator (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// From `VALETKEY_FAULT_SEED`, else from the clock; says which.
    pub fn thrown(story: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_nanos();
        let seed = env::var("VALETKEY_FAULT_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or(now as u64);
        println!("{story}: VALETKEY_FAULT_SEED={seed}");
        Self(seed)
    }

    /// Another one that follows from this one.
    pub fn child(&mut self) -> Self {
        Self(self.next())
    }

    /// Below the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Between two lengths of time.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + Duration::from_micros(self.below((most - least).as_micros() as u64 + 1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
