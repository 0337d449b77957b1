//! What is remembered of the levels of buffers.

use super::finding::Place;
use super::quantity::{Amount, Fine};

/// A PCR is rounded to 37 ns, which is a fifth of a byte at 40 Mbit/s.
pub(super) const TOLERANCE: Amount = Amount::BYTE;

/// How full a buffer was.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Extremes {
    pub(super) highest: Amount,
    pub(super) lowest: Option<Amount>,
}

impl Extremes {
    pub(super) fn high(&mut self, level: Amount) {
        self.highest = self.highest.max(level);
    }

    pub(super) fn low(&mut self, level: Amount) {
        self.lowest = Some(self.lowest.map_or(level, |l| l.min(level)));
    }
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    pub(super) transport: Extremes,
    pub(super) multiplex: Extremes,
    /// Of EBn, or of Bn.
    pub(super) last: Extremes,
    pub(super) units: u64,
    pub(super) resets: u64,
    /// How often vbv_delay spoke against the decoding times.
    pub(super) contradictions: u64,
    /// Packets of it were scrambled.
    pub(super) scrambled: bool,
    pub(super) longest_delay: Option<Fine>,
    pub(super) shortest_delay: Option<Fine>,
}

impl Measured {
    /// A unit that stayed for so long.
    pub(super) fn unit(&mut self, delay: Fine) {
        self.units += 1;
        let (longest, shortest) = (&mut self.longest_delay, &mut self.shortest_delay);
        *longest = Some(longest.map_or(delay, |d| d.max(delay)));
        *shortest = Some(shortest.map_or(delay, |d| d.min(delay)));
    }
}

/// A buffer above its size: told when it begins, and anew in each second of the monitor's clock in
/// which it goes on, so that its alarm stays raised and the seconds are counted. Holds the second
/// it was told of.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Over(Option<i64>);

impl Over {
    pub(super) fn is_told(&mut self, level: Amount, size: Amount, at: Place) -> bool {
        self.tells(level > size + TOLERANCE, at)
    }

    /// The same, when it is known whether it is above.
    #[inline]
    pub(super) fn tells(&mut self, over: bool, at: Place) -> bool {
        if !over {
            self.0 = None;
            return false;
        }
        let second = at.time.as_millis() / 1000;
        // A unit is told of where it began, which may be before what was told last.
        let new = self.0.is_none_or(|told| second > told);
        if new {
            self.0 = Some(second);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ticks27M;

    #[test]
    fn what_lasts_is_told_once_in_each_second() {
        let size = Amount::bytes(100);
        let mut over = Over::default();
        let mut told = Vec::new();
        // Too full from 0.9 s on, not at 4.5 s, and again from 4.6 s on; units of 24 ms that are
        // told of up to 48 ms late.
        for n in 0..250i64 {
            let time = Ticks27M::from_millis(n * 24 - 48 * (n % 2));
            let full = n * 24 >= 900 && n * 24 / 100 != 45;
            let level = Amount::bytes(if full { 102 } else { 101 });
            let at = Place { position: 0, time };
            if over.is_told(level, size, at) {
                told.push(n * 24);
            }
        }
        // 900 / 24 = 37.5: 38; those with an odd number wait for the second, too.
        assert_eq!(told, [912, 1008, 2016, 3024, 4032, 4608, 5040]);
    }
}
