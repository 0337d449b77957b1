//! An input's clock against ours.
//!
//! PCRs arrive with the network's jitter, and the sender's crystal is up to 30 ppm off
//! (ISO/IEC 13818-1 §2.4.2.1). What is wanted is the *delay* of the input: how much later than its
//! own line its packets come, on the mean. It is learned fast from the first PCRs and then follows
//! the drift far more slowly than jitter comes.

use crate::units::{Arrival, StreamTime, Ticks27M};

/// The share of its error by which the delay is moved with each PCR, at last: with 25 PCRs a second
/// a jitter of 10 ms moves it by 60 ppm for a moment, and a drift of 30 ppm is 5 ms behind.
const SLOWEST: i64 = 4096;
/// Farther off, the line was not continued but begun anew.
const LONGEST: Ticks27M = Ticks27M::SECOND;

/// Where the line of an input lies on the monotonic clock.
///
/// ```
/// use headend::switch::Recovery;
/// use headend::units::{Arrival, StreamTime, Ticks27M};
/// let mut recovery = Recovery::new();
/// for n in 0..1000 {
///     let jitter = (n % 3 - 1) * 27_000; // -1, 0, 1 ms
///     let at = StreamTime::from_ticks(n * 1_080_000);
///     assert!(recovery.push(at, Arrival::from_ticks(n * 1_080_000 + 500_000_000 + jitter)));
/// }
/// let off = recovery.delay().unwrap() - Ticks27M::new(500_000_000);
/// assert!(off.abs() < Ticks27M::from_nanos(10_000));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    delay: Option<Ticks27M>,
    taken: i64,
}

impl Recovery {
    /// Before the first PCR.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a PCR that stands at `at` on the line and came at `arrival`. False when it is so far
    /// from where it was due that the line cannot be the same: the delay is then learned anew.
    pub fn push(&mut self, at: StreamTime, arrival: Arrival) -> bool {
        let found = Ticks27M::new(arrival.ticks().wrapping_sub(at.ticks()));
        let Some(delay) = self.delay else {
            (self.delay, self.taken) = (Some(found), 1);
            return true;
        };
        let error = found - delay;
        if error.abs() > LONGEST {
            (self.delay, self.taken) = (Some(found), 1);
            return false;
        }
        self.taken = (self.taken + 1).min(SLOWEST);
        self.delay = Some(delay + error / self.taken);
        true
    }

    /// What is added to an instant of the line to get when it arrives.
    pub const fn delay(&self) -> Option<Ticks27M> {
        self.delay
    }

    /// True once the delay is more than the jitter of single packets.
    pub const fn is_settled(&self) -> bool {
        self.taken >= 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_of_thirty_parts_in_a_million_is_followed_for_a_day() {
        let mut recovery = Recovery::new();
        let mut seed = 7u64;
        let mut worst = 0;
        for n in 0..25 * 86_400_i64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let jitter = (seed >> 40) as i64 % 270_000; // 0 to 10 ms
            let line = n * 1_080_000;
            let real = line + line / 1_000_000 * 30;
            assert!(recovery.push(
                StreamTime::from_ticks(line),
                Arrival::from_ticks(real + jitter)
            ));
            let off = recovery.delay().unwrap().get() - (real - line) - 135_000;
            if n > 25 * 60 {
                worst = worst.max(off.abs());
            }
        }
        // 5 ms behind by the drift, and a little jitter.
        assert!(worst < 27_000 * 7, "{worst}");
    }

    #[test]
    fn a_line_that_begins_anew_is_learned_anew() {
        let mut recovery = Recovery::new();
        assert!(recovery.push(StreamTime::from_ticks(0), Arrival::from_ticks(1000)));
        let late = Arrival::from_ticks(1000 + 40 * 27_000_000);
        assert!(!recovery.push(StreamTime::from_ticks(27_000), late));
        assert_eq!(
            recovery.delay(),
            Some(Ticks27M::new(40 * 27_000_000 + 1000 - 27_000))
        );
    }
}
