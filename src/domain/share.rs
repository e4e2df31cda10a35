//! How much of a bounded thing one principal may have at a time: no principal
//! takes all places from all others.

/// A part of the whole, in percent.
// Invariant: from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// Of one who has everything to itself.
    pub const WHOLE: Self = Self(100);
    /// The smallest.
    pub const LEAST: Self = Self(1);

    /// So many percent; nothing from beyond 1 to 100.
    #[must_use]
    pub fn percent(percent: u32) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// So many of `all`, rounded up: at least one, and never more than all.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        let percent = usize::try_from(self.0).unwrap_or(100);
        // Divided first, or a large whole would overflow.
        (all / 100 * percent + (all % 100 * percent).div_ceil(100)).clamp(1, all.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_from_1_to_100_percent() {
        assert_eq!([0, 1, 100, 101].map(|percent| Share::percent(percent).is_some()), [false, true, true, false]);
    }

    #[test]
    fn a_share_is_rounded_up_and_is_never_nothing_nor_more_than_all() {
        let quarter = Share::percent(25).unwrap();
        for (all, own) in [(0, 1), (1, 1), (4, 1), (5, 2), (64, 16), (4_096, 1_024), (40_003, 10_001)] {
            assert_eq!(quarter.of(all), own, "{all}");
        }
        assert_eq!(Share::WHOLE.of(1_000_000), 1_000_000);
        assert_eq!(Share::WHOLE.of(usize::MAX), usize::MAX);
        assert_eq!(Share::percent(1).unwrap().of(1), 1);
    }
}
