//! The least constant rate that carries a stream whose packets may wait for a while.

use std::collections::VecDeque;

use crate::ts::PACKET_SIZE;
use crate::units::{BitRate, StreamTime, Ticks27M};

/// Packets are counted by stretches of this.
const STRETCH: Ticks27M = Ticks27M::from_millis(40);
/// Stretches looked back on: 20 s.
const STRETCHES: usize = 500;

/// Measures what rate a stream needs where no packet may leave later than `patience` after it was
/// due: for every interval of length T, its bits over T + `patience`.
///
/// Intervals are whole stretches of 40 ms, so that the result is a little high, never low; from
/// 20 s on the patience is left out, and a longer interval has no more bits a second than the
/// busiest 20 s.
///
/// ```
/// use headend::stream::PeakRate;
/// use headend::units::{StreamTime, Ticks27M};
/// let mut peak = PeakRate::new(Ticks27M::from_millis(500));
/// for ms in 0..60_000 {
///     peak.push(StreamTime::from_ticks(ms * 27_000)); // 1504 bits each millisecond
/// }
/// assert_eq!(peak.needed().get(), 1_510_000);
/// ```
#[derive(Debug)]
pub struct PeakRate {
    patience: Ticks27M,
    /// The number of the open stretch, which is the first of `packets`.
    stretch: Option<i64>,
    packets: VecDeque<u64>,
    /// Bits a second, over all intervals that ended with a closed stretch.
    most: u64,
}

impl PeakRate {
    /// A stream of which nothing was seen.
    pub fn new(patience: Ticks27M) -> Self {
        Self {
            patience,
            stretch: None,
            packets: VecDeque::new(),
            most: 0,
        }
    }

    /// A packet is due, not before those already counted.
    pub fn push(&mut self, due: StreamTime) {
        let now = due.ticks().div_euclid(STRETCH.get());
        let open = *self.stretch.get_or_insert(now);
        if now > open {
            self.most = self.most.max(self.busiest());
        }
        let steps = usize::try_from(now.saturating_sub(open)).unwrap_or(0);
        if steps > 0 || self.packets.is_empty() {
            self.stretch = Some(now);
            for _ in 0..steps.clamp(1, STRETCHES) {
                self.packets.push_front(0);
            }
            self.packets.truncate(STRETCHES);
        }
        if let Some(packets) = self.packets.front_mut() {
            *packets += 1;
        }
    }

    /// What the stream has needed so far, rounded up to three figures.
    pub fn needed(&self) -> BitRate {
        let rate = self.most.max(self.busiest());
        let step = 10u64.pow(rate.max(1).ilog10().saturating_sub(2));
        BitRate::new(rate.div_ceil(step).saturating_mul(step))
    }

    /// Bits a second of the busiest interval up to now.
    fn busiest(&self) -> u64 {
        let (mut packets, mut most) = (0u64, 0);
        for (n, count) in self.packets.iter().enumerate() {
            packets += count;
            // Packets of n + 1 stretches may lie as close as n - 1 of them.
            let within = match n + 1 {
                STRETCHES => STRETCH * STRETCHES as i64,
                _ => STRETCH * (n as i64 - 1).max(0) + self.patience,
            };
            let rate = BitRate::of(packets * PACKET_SIZE as u64, within);
            most = most.max(rate.map_or(0, BitRate::get));
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet each 10 ms, and 1000 packets within 1 s: 1 504 000 bits that may take 1.5 s are
    /// 1 002 667 bit/s, and those that come as well are less than 150 400 bit/s.
    #[test]
    fn a_burst_may_take_its_length_and_the_patience() {
        let mut peak = PeakRate::new(Ticks27M::from_millis(500));
        for ms in 0..100_000i64 {
            if ms % 10 == 0 || (50_000..51_000).contains(&ms) {
                peak.push(StreamTime::from_ticks(ms * 27_000));
            }
        }
        let needed = peak.needed().get();
        assert!((1_002_667..1_153_067).contains(&needed), "{needed}");
    }

    #[test]
    fn a_pause_and_a_long_stream_cost_no_memory() {
        let mut peak = PeakRate::new(Ticks27M::from_millis(500));
        for hours in 0..100 {
            peak.push(StreamTime::from_ticks(hours * 3600 * 27_000_000));
        }
        assert!(peak.packets.len() <= STRETCHES);
        // one packet within half a second: 3008 bit/s
        assert_eq!(peak.needed().get(), 3010);
    }
}
