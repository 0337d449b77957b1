//! The media delivery index of one interval after another (RFC 4445).

use crate::units::{Arrival, BitRate, Ticks27M};

/// How long an interval is.
pub(super) const INTERVAL: Ticks27M = Ticks27M::SECOND;

/// The virtual buffer of RFC 4445 §3.1: filled by what arrives, drained at the media rate.
///
/// Its level before each arrival is what has come in the interval less what has been drained, and
/// after it that and the arrival's own size. The delay factor is how far the levels lie apart,
/// as time at the media rate: one datagram's at least.
#[derive(Debug)]
pub(super) struct VirtualBuffer {
    start: Arrival,
    /// Bytes a tick of 27 MHz.
    drain: f64,
    received: f64,
    lowest: f64,
    highest: f64,
}

impl VirtualBuffer {
    /// An interval that begins at `start`; `rate` is not zero.
    pub(super) fn new(start: Arrival, rate: BitRate) -> Self {
        Self {
            start,
            drain: rate.get() as f64 / 8.0 / 27e6,
            received: 0.0,
            lowest: 0.0,
            highest: 0.0,
        }
    }

    /// So many bytes came.
    pub(super) fn arrived(&mut self, bytes: u64, arrival: Arrival) {
        self.drained_until(arrival);
        self.received += bytes as f64;
        let drained = (arrival - self.start).get() as f64 * self.drain;
        self.highest = self.highest.max(self.received - drained);
    }

    /// Nothing has come until `arrival`.
    pub(super) fn drained_until(&mut self, arrival: Arrival) {
        let drained = (arrival - self.start).get() as f64 * self.drain;
        self.lowest = self.lowest.min(self.received - drained);
    }

    /// How far the levels lay apart, as time at the media rate.
    pub(super) fn delay_factor(&self) -> Ticks27M {
        let ticks = (self.highest - self.lowest) / self.drain;
        Ticks27M::new(ticks.round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: BitRate = BitRate::new(10_528_000); // a datagram of 1316 bytes each millisecond

    fn delay_us(arrivals: impl IntoIterator<Item = (i64, u64)>, end_us: i64) -> i64 {
        let mut buffer = VirtualBuffer::new(Arrival::from_ticks(5), RATE);
        let at = |us| Arrival::from_ticks(5 + us * 27);
        for (us, bytes) in arrivals {
            buffer.arrived(bytes, at(us));
        }
        buffer.drained_until(at(end_us));
        buffer.delay_factor().get() / 27
    }

    #[test]
    fn the_delay_factor_of_a_perfect_stream_is_one_datagram() {
        // Whatever the phase of the first.
        for phase in [0, 1, 500, 999] {
            let even = (0..1000).map(|n| (n * 1000 + phase, 1316));
            let us = delay_us(even, 1_000_000);
            assert!((us - 1000).abs() <= 1, "{phase}: {us}");
        }
    }

    #[test]
    fn a_burst_and_a_pause_are_its_length() {
        // 50 datagrams at once each 50 ms: the buffer goes from empty to 50 ms of media.
        let bursts = (0..20).flat_map(|n| (0..50).map(move |_| (n * 50_000, 1316)));
        let us = delay_us(bursts, 1_000_000);
        assert!((us - 50_000).abs() <= 1, "{us}");
        // Nothing comes for 100 ms, then what was held back at once: 100 datagrams and its own.
        let even = |from: i64, to: i64| (from..to).map(|n| (n * 1000, 1316));
        let held = (400..500).map(|_| (500_000, 1316));
        let us = delay_us(even(0, 400).chain(held).chain(even(500, 1000)), 1_000_000);
        assert!((us - 101_000).abs() <= 1, "{us}");
        // A second of silence.
        let us = delay_us([(0, 1316)], 1_000_000);
        assert!((us - 1_000_000).abs() <= 1, "{us}");
    }
}
