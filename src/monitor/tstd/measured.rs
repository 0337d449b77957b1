//! What is remembered of the levels of buffers.

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

/// A buffer above its size: told when it begins.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Over(bool);

impl Over {
    pub(super) fn begins(&mut self, level: Amount, size: Amount) -> bool {
        self.becomes(level > size + TOLERANCE)
    }

    /// The same, when it is known whether it is above.
    #[inline]
    pub(super) fn becomes(&mut self, over: bool) -> bool {
        !std::mem::replace(&mut self.0, over) && over
    }
}
