//! The arrival header of 192-byte packets: 30 bits of 27 MHz that wrap every 39.77 s.

use crate::units::{Arrival, Ticks27M};

/// A pause longer than this cannot be told from one that is a wrap shorter; after it, and after
/// a step of the clock that is no shorter pause, arrivals count anew.
pub const REANCHOR_AFTER: Ticks27M = Ticks27M::new(30 * 27_000_000);

const WRAP: u32 = 1 << 30;

/// The header of a packet that came at `at`: copy permission 00, arrival time in 30 bits.
pub fn header(at: Arrival) -> [u8; 4] {
    (at.ticks().rem_euclid(i64::from(WRAP)) as u32).to_be_bytes()
}

/// Arrivals out of headers: the first counts from when its bytes came.
#[derive(Debug, Default)]
pub(super) struct ArrivalClock {
    /// Arrivals have the headers they were read from: where they count from when bytes came, it is
    /// from the first instant after it that has that header.
    pub(super) keeps_headers: bool,
    /// The last header, what arrival it was, and when its bytes came.
    last: Option<(u32, Arrival, Arrival)>,
}

impl ArrivalClock {
    /// The arrival of the packet with this header, whose bytes came at `at`; true when arrivals
    /// count anew from here.
    pub(super) fn arrival(&mut self, header: [u8; 4], at: Arrival) -> (Arrival, bool) {
        let ticks = u32::from_be_bytes(header) % WRAP;
        let from = if self.keeps_headers {
            let ahead = (i64::from(ticks) - at.ticks()).rem_euclid(i64::from(WRAP));
            at + Ticks27M::new(ahead)
        } else {
            at
        };
        let (arrival, anew) = match self.last {
            None => (from, false),
            Some((last, arrival, came)) => {
                let step = Ticks27M::new(i64::from(ticks.wrapping_sub(last) % WRAP));
                if step > REANCHOR_AFTER || at - came > REANCHOR_AFTER {
                    (from, true)
                } else {
                    (arrival + step, false)
                }
            }
        };
        self.last = Some((ticks, arrival, at));
        (arrival, anew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_headers_gives_an_hour_of_arrivals_over_ninety_wraps() {
        let mut clock = ArrivalClock::default();
        let start = Arrival::from_ticks(123_456_789_012);
        for second in 0..=3600 {
            // bytes reach us up to a second late; their headers do not
            let came = start + Ticks27M::SECOND * second;
            let late = came + Ticks27M::from_millis((second * 37) % 1000);
            let (at, anew) = clock.arrival(header(came), if second == 0 { came } else { late });
            assert_eq!((at, anew), (came, false), "second {second}");
        }
    }

    #[test]
    fn headers_that_are_kept_come_out_as_they_went_in() {
        let mut clock = ArrivalClock {
            keeps_headers: true,
            ..ArrivalClock::default()
        };
        let opened = Arrival::from_ticks(123_456_789_012);
        // Over the wrap, over more than 30 s, and back.
        for ticks in [
            1_073_741_800u32,
            1_073_741_823,
            0,
            900_000_000,
            899_999_999,
            5,
        ] {
            let (at, _) = clock.arrival(ticks.to_be_bytes(), opened);
            assert_eq!(header(at), ticks.to_be_bytes());
            assert!(at >= opened);
        }
    }

    #[test]
    fn a_pause_of_over_thirty_seconds_and_a_step_back_count_anew() {
        let mut clock = ArrivalClock::default();
        let at = |s: i64| Arrival::from_ticks(s * 27_000_000);
        assert_eq!(clock.arrival(header(at(5)), at(100)), (at(100), false));
        assert_eq!(clock.arrival(header(at(34)), at(129)), (at(129), false));
        assert_eq!(clock.arrival(header(at(65)), at(160)), (at(160), true));
        assert_eq!(clock.arrival(header(at(66)), at(161)), (at(161), false));
        // one wrap and a second later: the header alone would say one second
        let wrapped = [
            header(at(67))[0] | 0xC0,
            header(at(67))[1],
            header(at(67))[2],
            header(at(67))[3],
        ];
        assert_eq!(clock.arrival(wrapped, at(203)), (at(203), true));
        assert_eq!(clock.arrival(header(at(60)), at(204)), (at(204), true));
    }
}
