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
        }
    }

    pub(super) fn add(&mut self, finding: &Finding) {
        let count = &mut self.counts[finding.check as usize];
        let second = |at: Moment| at.time.as_millis() / 1000;
        if count.last.map(second) != Some(second(finding.at)) {
            count.seconds += 1;
        }
        count.count += 1;
        count.first.get_or_insert(finding.at);
        count.last = Some(finding.at);
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
}
