//! TBn and TBsys: transport packets come in at the rate of the stream and leak out at Rx.

use super::measured::TOLERANCE;
use super::quantity::{Amount, Fine};
use crate::ts::PACKET_SIZE;

/// How long what is in a transport buffer needs to leave it, and the rest that is less than a
/// [`Fine`] at its rate: in the order of levels, and cheaper to compare than these.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lag(Fine, u64);

/// What a packet did to a transport buffer.
#[derive(Copy, Clone, Debug)]
pub(super) struct Passed {
    /// What is in the buffer when the packet's last byte has come.
    lag: Lag,
    /// When its first byte leaves, and when the last has left.
    pub(super) begin: Fine,
    pub(super) end: Fine,
}

/// A transport buffer (ISO/IEC 13818-1 §2.4.2.3): first in, first out.
#[derive(Clone, Debug)]
pub(super) struct TransportBuffer {
    /// Bits a second out of it.
    rate: u64,
    /// Above this it is too full.
    full: Lag,
    /// The most that was in it.
    fullest: Lag,
    /// How long a packet takes, and the rest that is less than a [`Fine`].
    whole: (Fine, u64),
    /// When all that came will have left, and the rest.
    busy: (Fine, u64),
    /// Since when it has not been empty.
    occupied: Fine,
}

impl TransportBuffer {
    /// How long it may not be empty (TR 101 290 V1.4.1 check 3.9).
    const LONGEST: Fine = Fine::SECOND;

    /// Of a size, with so many bits a second out of it.
    pub(super) fn new(size: Amount, rate: u64) -> Self {
        let (time, rest) = (size + TOLERANCE).time_at(rate);
        Self {
            rate,
            full: Lag(time, rest),
            fullest: Lag(Fine::default(), 0),
            whole: Amount::bytes(PACKET_SIZE as u64).time_at(rate),
            busy: (Fine::EARLIEST, 0),
            occupied: Fine::EARLIEST,
        }
    }

    /// Empties it.
    pub(super) fn reset(&mut self) {
        self.busy = (Fine::EARLIEST, 0);
    }

    pub(super) const fn rate(&self) -> u64 {
        self.rate
    }

    /// A packet arrives, evenly from `from` to `to`.
    pub(super) fn arrive(&mut self, from: Fine, to: Fine) -> Passed {
        let (mut begin, mut rest) = self.busy;
        if begin <= from {
            (begin, rest) = (from, 0);
            self.occupied = from;
        }
        let mut end = begin + self.whole.0;
        rest += self.whole.1;
        if rest >= self.rate {
            rest -= self.rate;
            end = end + Fine(1);
        }
        if end < to {
            // It leaks out faster than it comes in.
            (end, rest) = (to, 0);
        }
        self.busy = (end, rest);
        Passed {
            lag: Lag(end - to, rest),
            begin,
            end,
        }
    }

    /// What is in it when the last byte of a packet has come.
    pub(super) fn level(&self, passed: &Passed) -> Amount {
        let Lag(time, rest) = passed.lag;
        Amount::flow(self.rate, time) + Amount(rest.into())
    }

    /// What is in it, where that is more than ever before.
    pub(super) fn record(&mut self, passed: &Passed) -> Option<Amount> {
        (passed.lag > self.fullest).then(|| {
            self.fullest = passed.lag;
            self.level(passed)
        })
    }

    /// There is more in it than its size allows.
    pub(super) fn is_over(&self, passed: &Passed) -> bool {
        passed.lag > self.full
    }

    /// True once in each second in which it has not been empty.
    pub(super) fn is_stuck(&mut self, now: Fine) -> bool {
        let stuck = now - self.occupied > Self::LONGEST && self.busy.0 > now;
        if stuck {
            self.occupied = now;
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Amount = Amount::bytes(512);

    const fn us(n: i64) -> Fine {
        Fine(n * 27 * Fine::PER_TICK)
    }

    #[test]
    fn packets_back_to_back_pile_up_at_the_difference_of_the_rates() {
        // 15.04 Mbit/s is a packet in 100 us; 2 Mbit/s takes out 25 bytes of each 188.
        let mut buffer = TransportBuffer::new(SIZE, 2_000_000);
        for n in 1..=4 {
            let passed = buffer.arrive(us(100 * (n - 1)), us(100 * n));
            assert_eq!(buffer.level(&passed).to_bytes(), 163 * n as u64);
            // The size and a byte of tolerance are passed by the fourth, 652 bytes.
            assert_eq!(buffer.is_over(&passed), n == 4);
            assert_eq!(buffer.record(&passed), Some(buffer.level(&passed)));
            assert_eq!(passed.end - passed.begin, us(752));
        }
        // 652 bytes need 2.608 ms.
        let passed = buffer.arrive(us(3007), us(3107));
        assert_eq!(buffer.level(&passed).to_bytes(), 163 + 1 - 1);
        assert_eq!(buffer.record(&passed), None);
    }

    #[test]
    fn a_slow_stream_leaves_nothing_behind() {
        let mut buffer = TransportBuffer::new(SIZE, 2_000_000);
        let passed = buffer.arrive(us(0), us(1000));
        assert_eq!(buffer.level(&passed), Amount::ZERO);
        assert_eq!((passed.begin, passed.end), (us(0), us(1000)));
    }

    #[test]
    fn service_times_do_not_drift_in_a_busy_period() {
        // 7 Mbit/s divides nothing evenly: 10 000 packets at once need 1504 x 10 000 / 7e6 s.
        let mut buffer = TransportBuffer::new(SIZE, 7_000_000);
        let mut last = Fine::default();
        for _ in 0..10_000 {
            last = buffer.arrive(us(0), us(1)).end;
        }
        let exact = 15_040_000i128 * i128::from(Fine::SECOND.0) / 7_000_000;
        assert_eq!(i128::from(last.0), exact);
    }

    #[test]
    fn a_buffer_that_is_never_empty_is_told_once_a_second() {
        // Packets each 752 us, the time that one takes: the first leaves it empty for an instant,
        // one more than that never.
        let flood = |more: usize| {
            let mut buffer = TransportBuffer::new(SIZE, 2_000_000);
            let mut told = 0;
            for n in 0..4000 {
                for _ in 0..if n == 0 { 1 + more } else { 1 } {
                    buffer.arrive(us(752 * n), us(752 * n + 100));
                }
                told += i32::from(buffer.is_stuck(us(752 * n + 100)));
            }
            told
        };
        assert_eq!((flood(0), flood(1)), (0, 3));
    }
}
