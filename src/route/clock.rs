//! The time of a route: when its tables are due.

use crate::ts::Pcr;
use crate::units::{Arrival, StreamTime, Ticks27M};

/// PCRs further apart than this are not of one line: 0.1 s is the limit (ISO/IEC 13818-1 §2.7.2).
const LONGEST_STEP: Ticks27M = Ticks27M::from_millis(500);

/// How far apart PCRs may be that are as they should be (ISO/IEC 13818-1 §2.7.2).
const USUAL_STEP: Ticks27M = Ticks27M::from_millis(100);

/// A line that only goes forward, from PCR to PCR or from arrival to arrival.
#[derive(Debug)]
pub(super) struct Clock {
    now: StreamTime,
    arrival: Option<Arrival>,
    pcr: Option<Pcr>,
    step: Ticks27M,
}

impl Clock {
    /// A line of arrivals or of PCRs.
    pub(super) fn new(by_arrival: bool) -> Self {
        Self {
            now: StreamTime::default(),
            arrival: None,
            pcr: None,
            step: match by_arrival {
                true => Ticks27M::ZERO,
                false => USUAL_STEP,
            },
        }
    }

    /// Now, at the latest [`Clock::step`] less than what a receiver sees.
    pub(super) const fn now(&self) -> StreamTime {
        self.now
    }

    /// How far apart PCRs have been of late: it may be so much later than the line says.
    pub(super) const fn step(&self) -> Ticks27M {
        self.step
    }

    /// It is `at`. What lies before stands still: arrivals of a file may begin anew.
    pub(super) fn arrive(&mut self, at: Arrival) {
        if let Some(last) = self.arrival.replace(at) {
            self.now += (at - last).max(Ticks27M::ZERO);
        }
    }

    /// A PCR of the service came. A jump, and what is over half a second, is no time.
    pub(super) fn pcr(&mut self, pcr: Pcr) {
        if let Some(last) = self.pcr.replace(pcr) {
            let step = pcr - last;
            if (Ticks27M::ZERO..=LONGEST_STEP).contains(&step) {
                self.now += step;
                self.step = step.max(self.step - self.step / 8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_goes_over_the_wrap_and_stands_at_a_jump() {
        let mut clock = Clock::new(false);
        let circle = Pcr::CIRCLE.get() as u64;
        for ticks in [circle - 540_000, circle - 1, 539_999, 5_000_000_000, 12] {
            clock.pcr(Pcr::from_ticks(ticks).unwrap());
        }
        assert_eq!(clock.now().ticks(), 540_000 - 1 + 540_000);
        clock.arrive(Arrival::from_ticks(1_000));
        clock.arrive(Arrival::from_ticks(10));
        clock.arrive(Arrival::from_ticks(30));
        assert_eq!(clock.now().ticks(), 1_079_999 + 20);
    }
}
