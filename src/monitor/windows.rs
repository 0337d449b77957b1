//! Time in windows of a second, over which something is counted.

use crate::units::Ticks27M;

/// Which window is being counted.
#[derive(Copy, Clone, Debug)]
pub(super) struct Windows {
    start: Option<Ticks27M>,
    /// When it is over; the least instant before the first.
    end: Ticks27M,
}

impl Windows {
    /// How long one lasts.
    pub(super) const LENGTH: Ticks27M = Ticks27M::SECOND;
    /// Windows without anything that are values of nothing; a longer leap of the clock is a hole.
    const LONGEST_HOLE: Ticks27M = Ticks27M::new(60 * Self::LENGTH.get());

    pub(super) const fn new() -> Self {
        Self {
            start: None,
            end: Ticks27M::new(i64::MIN),
        }
    }

    /// When the window is over.
    pub(super) const fn end(&self) -> Ticks27M {
        self.end
    }

    /// One has begun.
    pub(super) const fn is_open(&self) -> bool {
        self.start.is_some()
    }

    /// A window begins at `at`, whatever was before.
    pub(super) fn begin(&mut self, at: Ticks27M) {
        self.start = Some(at);
        self.end = at + Self::LENGTH;
    }

    /// Time went on to `at`: hands over the beginning of each window that is over. True when
    /// another has begun.
    pub(super) fn advance(&mut self, at: Ticks27M, mut close: impl FnMut(Ticks27M)) -> bool {
        let Some(start) = self.start else {
            self.begin(at);
            return true;
        };
        if at < self.end {
            return false;
        }
        close(start);
        let mut next = self.end;
        if at - next > Self::LONGEST_HOLE {
            self.begin(at);
            return true;
        }
        while next + Self::LENGTH <= at {
            close(next);
            next += Self::LENGTH;
        }
        self.begin(next);
        true
    }
}
