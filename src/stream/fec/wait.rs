//! How long a lost datagram is to be waited for.

use super::store::Store;
use super::{FecHeader, FecLine};
use crate::units::{Arrival, Ticks27M};

/// The wait at the start, and for how long it is so at least: a stream of variable rate, or one
/// that starts with a burst, shows its pace meanwhile. Without any FEC for so long, nothing is
/// waited for.
const AT_START: Ticks27M = Ticks27M::from_millis(1000);
/// The longest wait.
const LONGEST: Ticks27M = Ticks27M::from_millis(4000);
/// A silence of FEC that is worth a line.
const SILENCE: Ticks27M = Ticks27M::from_millis(10_000);
/// FEC that comes late again and again, never farther apart than the wait and for three times as
/// long, or than this, makes the wait longer. An outage delays what comes in two matrices.
const SHORTEST_STREAK: Ticks27M = Ticks27M::from_millis(500);

/// FEC that came when the wait for it was over, again and again.
#[derive(Copy, Clone, Debug)]
struct Late {
    since: Arrival,
    last: Arrival,
    most: Ticks27M,
}

/// Learns the wait: twice the time of a matrix, for the FEC of the last column may come when the
/// next matrix ends. Never shorter than before, so that what comes evenly leaves evenly.
#[derive(Debug, Default)]
pub(super) struct Wait {
    first_media: Option<Arrival>,
    last_fec: Option<Arrival>,
    /// L x D of the largest matrix.
    matrix: u16,
    /// For which the time was measured.
    measured: u16,
    wait: Option<Ticks27M>,
    late: Option<Late>,
    missing: bool,
    /// The wait as it was told last.
    told: Option<Ticks27M>,
}

impl Wait {
    pub(super) fn media(&mut self, arrival: Arrival) {
        self.first_media.get_or_insert(arrival);
    }

    /// A FEC datagram came.
    pub(super) fn fec(&mut self, header: &FecHeader, store: &Store, arrival: Arrival) {
        self.last_fec = Some(arrival);
        if std::mem::take(&mut self.missing) {
            self.told = None;
        }
        if header.line == FecLine::Row {
            return;
        }
        let starting = self.is_starting(arrival);
        let size = u16::from(header.offset) * u16::from(header.count);
        self.matrix = self.matrix.max(size);
        if (starting || self.measured < self.matrix)
            && let Some(interval) = store.interval(self.matrix)
        {
            self.measured = self.matrix;
            self.grow_to(2.0 * f64::from(self.matrix) * interval);
        }
        let first = header.numbers().find_map(|n| store.get(n));
        if let (Some(wait), Some(first)) = (self.wait, first) {
            self.see_lag(arrival - first.arrival, wait, arrival);
        }
    }

    /// The wait, once it is known; and whether that is news.
    pub(super) fn tell(&mut self, now: Arrival) -> Option<(Ticks27M, bool)> {
        let wait = self.wait.filter(|_| !self.is_starting(now))?;
        Some((wait, self.told.replace(wait) != Some(wait)))
    }

    /// How long is to be waited.
    pub(super) fn get(&self, now: Arrival) -> Ticks27M {
        match self.wait {
            Some(wait) if !self.is_starting(now) => wait,
            None if self.is_missing(now) => Ticks27M::ZERO,
            _ => AT_START,
        }
    }

    /// The wait, where it is known.
    pub(super) fn known(&self) -> Option<Ticks27M> {
        self.wait
    }

    /// True once, when no FEC comes with the media.
    pub(super) fn misses(&mut self, now: Arrival) -> bool {
        !self.missing && self.is_missing(now) && {
            self.missing = true;
            true
        }
    }

    fn is_starting(&self, now: Arrival) -> bool {
        self.first_media.is_none_or(|at| now - at < AT_START)
    }

    fn is_missing(&self, now: Arrival) -> bool {
        match self.last_fec {
            Some(last) => now - last >= SILENCE,
            None => self.first_media.is_some_and(|at| now - at >= AT_START),
        }
    }

    fn grow_to(&mut self, ticks: f64) {
        let wait = Ticks27M::new(ticks as i64).min(LONGEST);
        self.wait = self.wait.max(Some(wait));
    }

    fn see_lag(&mut self, lag: Ticks27M, wait: Ticks27M, now: Arrival) {
        if lag <= wait {
            return;
        }
        let gap = wait.max(SHORTEST_STREAK);
        let mut late = self.late.filter(|l| now - l.last <= gap);
        let late = late.get_or_insert(Late {
            since: now,
            last: now,
            most: lag,
        });
        (late.last, late.most) = (now, late.most.max(lag));
        self.late = Some(*late);
        if late.last - late.since >= Ticks27M::new(3 * gap.get()) {
            let most = late.most.get() as f64;
            self.grow_to(1.1 * most);
            self.late = None;
        }
    }
}
