//! Lifetimes of minted credentials.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::field_error::FieldError;

/// A lifetime in whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(u32);

impl Ttl {
    /// A lifetime of `seconds`, at least one.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Self {
        Self(if seconds == 0 { 1 } else { seconds })
    }

    /// In whole seconds.
    #[must_use]
    pub const fn as_seconds(self) -> u32 {
        self.0
    }

    /// The nearest step that is not longer: whole minutes up to a quarter of
    /// an hour, then 5 minutes up to an hour, half hours up to 12, and hours.
    /// Who asks for a second less each time would else have as many credentials
    /// made of one.
    #[must_use]
    pub const fn in_steps(self) -> Self {
        let step = match self.0 {
            ..60 => 1,
            60..900 => 60,
            900..3600 => 300,
            3600..43_200 => 1800,
            43_200.. => 3600,
        };
        Self(self.0 - self.0 % step)
    }

    /// As a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

/// What an auth method can mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TtlRange {
    /// The shortest.
    pub min: Ttl,
    /// When none is asked for.
    pub default: Ttl,
    /// The longest.
    pub max: Ttl,
}

/// A granted lifetime, and why it is shorter than what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedTtl {
    /// What is granted.
    pub ttl: Ttl,
    /// Why it was cut, or nothing.
    pub note: Option<String>,
}

impl TtlRange {
    /// The lifetime to mint when `asked` is wished for under `ceilings`
    /// (value and whose it is). A longer wish is cut, and the note says so (what
    /// the cloud makes of it is another matter, which the broker looks at); a
    /// ceiling below the cloud's floor is refused, because the cloud would
    /// mint something longer. What is asked for is granted in steps.
    ///
    /// # Errors
    /// Names `ttl_seconds`.
    pub fn grant(self, asked: Option<Ttl>, ceilings: &[(Ttl, &str)]) -> Result<GrantedTtl, FieldError> {
        let mut granted = GrantedTtl { ttl: asked.unwrap_or(self.default), note: None };
        if granted.ttl < self.min {
            let min = self.min.as_seconds();
            return Err(FieldError::new(
                "ttl_seconds",
                format!("the shortest lifetime of this auth method is {min} s"),
            ));
        }
        if let Some(asked) = asked {
            // Not below what the cloud gives at least.
            let step = asked.in_steps().max(self.min);
            if step < asked {
                granted = GrantedTtl {
                    ttl: step,
                    note: Some(format!("cut to {} s: lifetimes are granted in steps", step.as_seconds())),
                };
            }
        }
        for (limit, whose) in std::iter::once((self.max, "the auth method")).chain(ceilings.iter().copied()) {
            if granted.ttl > limit {
                granted.ttl = limit;
                granted.note = asked.map(|_| format!("cut to {} s by {whose}", limit.as_seconds()));
            }
        }
        if granted.ttl < self.min {
            return Err(FieldError::new(
                "ttl_seconds",
                format!(
                    "only {} s are allowed, and the shortest lifetime of this auth method is {} s",
                    granted.ttl.as_seconds(),
                    self.min.as_seconds()
                ),
            ));
        }
        Ok(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: TtlRange = TtlRange { min: Ttl::seconds(910), default: Ttl::seconds(3601), max: Ttl::seconds(50_000) };

    fn granted(asked: Option<u32>, ceilings: &[(Ttl, &str)]) -> (u32, Option<String>) {
        let granted = RANGE.grant(asked.map(Ttl::seconds), ceilings).unwrap();
        (granted.ttl.as_seconds(), granted.note)
    }

    #[test]
    fn asks_that_differ_by_little_are_granted_the_same_and_told_so() {
        let told = |seconds: u32| Some(format!("cut to {seconds} s: lifetimes are granted in steps"));
        for asked in [3599, 3301] {
            assert_eq!(granted(Some(asked), &[]), (3300, told(3300)));
        }
        assert_eq!(granted(Some(3300), &[]), (3300, None));
        assert_eq!(granted(Some(5400), &[]), (5400, None));
        assert_eq!(granted(Some(5399), &[]), (3600, told(3600)));
        assert_eq!(granted(Some(47_000), &[]), (46_800, told(46_800)));
        // Nobody asked for the default, and no ceiling is in steps.
        assert_eq!(granted(None, &[]), (3601, None));
        assert_eq!(granted(Some(3599), &[(Ttl::seconds(1001), "a ceiling")]).0, 1001);
    }

    #[test]
    fn a_step_is_never_below_the_shortest() {
        assert_eq!(granted(Some(911), &[]).0, 910);
        let short = RANGE.grant(Some(Ttl::seconds(909)), &[]).unwrap_err();
        assert_eq!(short.problem, "the shortest lifetime of this auth method is 910 s");
        let left = RANGE.grant(None, &[(Ttl::seconds(909), "a ceiling")]).unwrap_err();
        assert!(left.problem.starts_with("only 909 s are allowed"), "{left}");
        assert_eq!(granted(None, &[(Ttl::seconds(910), "a ceiling")]), (910, None));
    }

    #[test]
    fn the_lowest_of_all_ceilings_counts_and_the_methods_own_is_one() {
        let told = |seconds: u32, whose: &str| Some(format!("cut to {seconds} s by {whose}"));
        assert_eq!(granted(Some(50_400), &[]), (50_000, told(50_000, "the auth method")));
        let (low, high) = ((Ttl::seconds(1200), "the low one"), (Ttl::seconds(7200), "the high one"));
        for ceilings in [[low, high], [high, low]] {
            assert_eq!(granted(Some(36_000), &ceilings), (1200, told(1200, "the low one")));
        }
    }

    #[test]
    fn all_asks_of_a_day_and_a_half_are_a_few_hundred() {
        let steps: std::collections::BTreeSet<Ttl> =
            (1..=129_600).map(|asked| Ttl::seconds(asked).in_steps()).collect();
        assert!(steps.len() < 200, "{}", steps.len());
        assert!(steps.iter().all(|step| step.in_steps() == *step));
    }
}
