//! How often each check found something, when first and when last.

use super::{Check, Finding, Moment, Series};
use crate::units::Ticks27M;

/// What a check has found so far.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub count: u64,
    /// When first.
    pub first: Option<Moment>,
    /// When last.
    pub last: Option<Moment>,
    /// Seconds of the monitor's clock in which it found something.
    pub seconds: u64,
}

/// Counts findings by check.
#[derive(Debug)]
pub(super) struct Tally {
    counts: [Count; Check::ALL.len()],
    times: [Option<Series>; Check::ALL.len()],
    seconds: [Seconds; Check::ALL.len()],
}

/// Seconds with findings: findings of several machines are told out of the order of time.
#[derive(Copy, Clone, Debug, Default)]
struct Seconds {
    newest: i64,
    /// A bit for the newest one, the one before, and so on for a minute.
    known: u64,
}

impl Seconds {
    const NONE: Self = Self {
        newest: 0,
        known: 0,
    };

    /// True when `second` was not counted. One further back than is known was.
    fn add(&mut self, second: i64) -> bool {
        let ahead = u32::try_from(second - self.newest).unwrap_or(0);
        self.known = self.known.checked_shl(ahead).unwrap_or(0);
        self.newest += i64::from(ahead);
        let back = u32::try_from(self.newest - second).unwrap_or(u32::MAX);
        let bit = 1u64.checked_shl(back).unwrap_or(0);
        let new = self.known & bit == 0 && bit != 0;
        self.known |= bit;
        new
    }
}

impl Tally {
    pub(super) const fn new() -> Self {
        Self {
            counts: [Count {
                count: 0,
                first: None,
                last: None,
                seconds: 0,
            }; Check::ALL.len()],
            times: [const { None }; Check::ALL.len()],
            seconds: [Seconds::NONE; Check::ALL.len()],
        }
    }

    pub(super) fn add(&mut self, finding: &Finding) {
        let count = &mut self.counts[finding.check as usize];
        let second = |at: Moment| at.time.as_millis() / 1000;
        if self.seconds[finding.check as usize].add(second(finding.at)) {
            count.seconds += 1;
        }
        count.count += 1;
        count.first = Some(
            count
                .first
                .map_or(finding.at, |first| first.min(finding.at)),
        );
        count.last = count.last.max(Some(finding.at));
        let times = &mut self.times[finding.check as usize];
        let times = times.get_or_insert_with(|| Series::new(Ticks27M::SECOND));
        times.push(finding.at.time, 1);
    }

    /// When a check found something, a value each; `None` when it never did.
    pub(super) fn times(&self, check: Check) -> Option<&Series> {
        self.times[check as usize].as_ref()
    }

    pub(super) fn of(&self, check: Check) -> Count {
        self.counts[check as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::event::Subject;
    use crate::units::Ticks27M;

    #[test]
    fn seconds_with_errors_are_counted_once_each() {
        let mut tally = Tally::new();
        for (position, ms) in [(1, 10), (2, 20), (3, 999), (4, 1_000), (9, 70_000)] {
            let at = Moment {
                position,
                time: Ticks27M::from_millis(ms),
            };
            tally.add(&Finding::new(Check::TransportError, Subject::Stream, at));
        }
        let count = tally.of(Check::TransportError);
        assert_eq!((count.count, count.seconds), (5, 3));
        assert_eq!(count.first.map(|at| at.position), Some(1));
        assert_eq!(count.last.map(|at| at.position), Some(9));
        assert_eq!(tally.of(Check::SyncByteError), Count::default());
    }

    #[test]
    fn findings_out_of_order_make_no_more_seconds_than_there_are() {
        let mut tally = Tally::new();
        // Two buffers, the second told 1.5 s late, in seconds 3 to 9; then one from long before.
        let late = (3..10).flat_map(|s| [s * 1_000, s * 1_000 - 1_500]);
        for ms in late.chain([100_000, 9_500, 99_999, 100_001]) {
            let at = Moment {
                position: ms as u64,
                time: Ticks27M::from_millis(ms),
            };
            tally.add(&Finding::new(Check::BufferError, Subject::Stream, at));
        }
        let count = tally.of(Check::BufferError);
        // 1 to 9, 99 and 100; of 9.5 s nothing is known any more, and nothing is counted.
        assert_eq!((count.count, count.seconds), (18, 11));
        let ms = |at: Option<Moment>| at.map(|at| at.time.as_millis());
        assert_eq!(
            (ms(count.first), ms(count.last)),
            (Some(1_500), Some(100_001))
        );
    }
}
