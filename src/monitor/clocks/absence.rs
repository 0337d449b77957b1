//! What has not come for too long.

use crate::monitor::Moment;
use crate::units::Ticks27M;

/// Times something that must come again: told once when it is overdue, and again each time the
/// same span passes, so that an alarm stays raised.
#[derive(Debug)]
pub(super) struct Absence {
    first: Ticks27M,
    again: Ticks27M,
    since: Ticks27M,
    due: Ticks27M,
    told: bool,
}

impl Absence {
    /// Waits from `at` on: overdue after `first`, and again after each `again`.
    pub(super) fn new(first: Ticks27M, again: Ticks27M, at: Moment) -> Self {
        Self {
            first,
            again,
            since: at.time,
            due: at.time + first,
            told: false,
        }
    }

    /// It came, or nothing can be said of the time before `at`.
    pub(super) fn over(&mut self, at: Moment) {
        self.since = at.time;
        self.due = at.time + self.first;
        self.told = false;
    }

    /// That it does not come has been told since it last did.
    pub(super) const fn is_told(&self) -> bool {
        self.told
    }

    /// After how long what stays away is told again.
    pub(super) const fn again(&self) -> Ticks27M {
        self.again
    }

    /// How long it has been absent, if that is to be told at `at`.
    pub(super) fn tick(&mut self, at: Moment) -> Option<Ticks27M> {
        if at.time < self.due {
            return None;
        }
        self.told = true;
        self.due = at.time + self.again;
        Some(at.time - self.since)
    }
}
