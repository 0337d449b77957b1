//! Something that must come again within a time.

use crate::units::Ticks27M;

/// How often what stays away is told again, at the longest: an alarm is cleared when nothing more is
/// said.
const AGAIN_AFTER: Ticks27M = Ticks27M::from_millis(5_000);

/// When what stays away longer than `limit` is told again.
pub(super) fn again(limit: Ticks27M) -> Ticks27M {
    limit.min(AGAIN_AFTER)
}

/// Tells when something that must come again stays away.
///
/// What is late is told once when its time is over, and again each time as much has passed while
/// it stays away, each 5 s at the latest.
#[derive(Copy, Clone, Debug)]
pub(super) struct Watch {
    /// When it last came; before it ever did, since when it is waited for.
    last: Ticks27M,
    /// When it was last told of, or came.
    told: Ticks27M,
    /// It came once.
    seen: bool,
}

impl Watch {
    /// Waits from `at` on.
    pub(super) const fn new(at: Ticks27M) -> Self {
        Self {
            last: at,
            told: at,
            seen: false,
        }
    }

    /// It came. Gives the time it took when that was over `limit` and had not been told.
    pub(super) fn came(&mut self, at: Ticks27M, limit: Ticks27M) -> Option<Ticks27M> {
        let (took, untold) = (at - self.last, self.told == self.last);
        *self = Self {
            last: at,
            told: at,
            seen: true,
        };
        (untold && took > limit).then_some(took)
    }

    /// Time went on. Gives how long it stays away when that is to be told.
    pub(super) fn overdue(&mut self, at: Ticks27M, limit: Ticks27M) -> Option<Ticks27M> {
        let first = self.told == self.last;
        if at - self.told <= if first { limit } else { again(limit) } {
            return None;
        }
        self.told = at;
        Some(at - self.last)
    }

    /// What was timed is void: counts from `at`.
    pub(super) const fn restart(&mut self, at: Ticks27M) {
        self.last = at;
        self.told = at;
    }

    /// It came once.
    pub(super) const fn seen(&self) -> bool {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Ticks27M = Ticks27M::SECOND;
    const TICK: Ticks27M = Ticks27M::new(1);

    #[test]
    fn the_limit_itself_is_in_time() {
        let mut watch = Watch::new(Ticks27M::ZERO);
        assert_eq!(watch.overdue(LIMIT, LIMIT), None);
        assert_eq!(watch.came(LIMIT, LIMIT), None);
        assert_eq!(watch.came(LIMIT * 2 + TICK, LIMIT), Some(LIMIT + TICK));
        assert!(watch.seen());
    }

    #[test]
    fn an_absence_is_told_once_each_span() {
        let mut watch = Watch::new(Ticks27M::ZERO);
        let told: Vec<_> = (0..40)
            .filter_map(|n| watch.overdue(Ticks27M::from_millis(100 * n), LIMIT))
            .map(Ticks27M::as_millis)
            .collect();
        assert_eq!(told, [1100, 2200, 3300]);
        let mut long = Watch::new(Ticks27M::ZERO);
        let told: Vec<_> = (0..25)
            .filter_map(|n| long.overdue(Ticks27M::SECOND * n, LIMIT * 10))
            .map(Ticks27M::as_millis)
            .collect();
        assert_eq!(told, [11_000, 17_000, 23_000]);
        assert_eq!(
            watch.came(Ticks27M::from_millis(4000), LIMIT),
            None,
            "it was told"
        );
        assert!(watch.overdue(Ticks27M::from_millis(5001), LIMIT).is_some());
        watch.restart(Ticks27M::from_millis(5002));
        assert_eq!(watch.came(Ticks27M::from_millis(6002), LIMIT), None);
    }
}
