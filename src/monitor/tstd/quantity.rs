//! Time and amounts of data in whole numbers, so that nothing drifts.
//!
//! An instant counts 1/1024 of a tick of 27 MHz, and an amount the product of that with a bit a
//! second: then a rate in bits a second, times a span, is an amount without a rounding. What is
//! rounded is where a byte stands between two PCRs, and anew for each pair of them.

use std::ops::{Add, AddAssign, Sub, SubAssign};

use crate::units::Ticks27M;

/// An instant of a program's clock, or a span of it: 1/1024 of a tick (36 ps). Within
/// [`EARLIEST`](Self::EARLIEST) and [`LATEST`](Self::LATEST), which is two years and a half, the sum of
/// two is in range: the packets' arithmetic does not look for it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fine(pub(super) i64);

impl Fine {
    pub(super) const PER_TICK: i64 = 1024;
    pub(super) const SECOND: Self = Self::of(Ticks27M::SECOND);
    /// Before every instant: so far that no span from it leaves the range.
    pub(super) const EARLIEST: Self = Self(i64::MIN / 2);
    /// As late as an instant, and as long as a span, may be.
    pub(super) const LATEST: Self = Self(i64::MAX / 4);

    pub(super) const fn of(span: Ticks27M) -> Self {
        Self(span.get().saturating_mul(Self::PER_TICK))
    }

    pub(super) const fn ticks(self) -> Ticks27M {
        Ticks27M::new(self.0 / Self::PER_TICK)
    }
}

impl Add for Fine {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.wrapping_add(rhs.0))
    }
}

impl Sub for Fine {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(self.0.wrapping_sub(rhs.0))
    }
}

/// An amount of data: bits a second times [`Fine`] spans. A byte is 2.2e11 of them.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(pub(super) i128);

impl Amount {
    const BIT: i128 = (Fine::SECOND.0) as i128;
    /// One byte.
    pub(super) const BYTE: Self = Self(8 * Self::BIT);
    /// Nothing.
    pub(super) const ZERO: Self = Self(0);

    pub(super) const fn bytes(n: u64) -> Self {
        Self(n as i128 * Self::BYTE.0)
    }

    /// What comes at a rate in bits a second in a span.
    pub(super) fn flow(bits_per_second: u64, span: Fine) -> Self {
        // Without signs it is one multiplication; below 2^127, for the span is below 2^63.
        let span = u64::try_from(span.0).unwrap_or(0);
        Self((u128::from(bits_per_second) * u128::from(span)) as i128)
    }

    /// `n` bits divided by `d`.
    pub(super) const fn bits(n: u64, d: u64) -> Self {
        Self(n as i128 * Self::BIT / d as i128)
    }

    /// Whole bytes, rounded to the nearest; negative amounts are none.
    pub(super) fn to_bytes(self) -> u64 {
        let rounded = (self.0 + Self::BYTE.0 / 2) / Self::BYTE.0;
        u64::try_from(rounded).unwrap_or(0)
    }

    /// How long it takes at a rate in bits a second, rounded down, and the remainder that was left.
    pub(super) fn time_at(self, bits_per_second: u64) -> (Fine, u64) {
        let rate = i128::from(bits_per_second.max(1));
        let fine = i64::try_from(self.0 / rate).map_or(Fine::LATEST, Fine);
        (
            fine.min(Fine::LATEST),
            u64::try_from(self.0 % rate).unwrap_or(0),
        )
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0 + rhs.0)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, rhs: Self) {
        self.0 += rhs.0;
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(self.0 - rhs.0)
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, rhs: Self) {
        self.0 -= rhs.0;
    }
}

/// When the bytes between two PCRs of a program arrive (ISO/IEC 13818-1 §2.4.2.2, equations 2-4
/// and 2-5): evenly, and a PCR dates the byte with the last bit of its base, the eleventh of its
/// packet.
#[derive(Copy, Clone, Debug)]
pub(super) struct Interval {
    /// The packet of the first PCR, and its instant.
    pub(super) position: u64,
    pub(super) time: Fine,
    /// [`Fine`] a byte, shifted by [`SHIFT`](Self::SHIFT).
    slope: i128,
    /// How long a packet takes.
    pub(super) packet: Fine,
    /// Bits a second.
    pub(super) rate: u64,
}

impl Interval {
    const SHIFT: u32 = 40;
    /// The byte of its packet that a PCR dates.
    const DATED: i64 = 10;
    const PACKET: i64 = crate::ts::PACKET_SIZE as i64;

    /// From a PCR in the packet at `position` to one so many packets and ticks later, both over 0.
    pub(super) fn new(position: u64, time: Fine, packets: u64, span: Ticks27M) -> Self {
        let bytes = i128::from(packets.max(1)) * i128::from(Self::PACKET);
        let fine = i128::from(Fine::of(span).0.max(1));
        let rate = bytes * 8 * Amount::BIT / fine;
        let slope = (fine << Self::SHIFT) / bytes;
        Self {
            position,
            time,
            slope,
            packet: Fine(((slope * i128::from(Self::PACKET)) >> Self::SHIFT) as i64),
            rate: u64::try_from(rate).unwrap_or(u64::MAX),
        }
    }

    /// When the first byte of the packet at `position` begins to arrive.
    pub(super) fn start_of(&self, position: u64) -> Fine {
        let packets = position.wrapping_sub(self.position) as i64;
        self.after(packets.saturating_mul(Self::PACKET) - Self::DATED)
    }

    fn after(&self, bytes: i64) -> Fine {
        self.time + Fine(((self.slope * i128::from(bytes)) >> Self::SHIFT) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_times_a_span_is_exact() {
        // 15 Mbit/s for 40 ms: 75 000 bytes.
        let span = Fine::of(Ticks27M::from_millis(40));
        assert_eq!(Amount::flow(15_000_000, span), Amount::bytes(75_000));
        assert_eq!(Amount::bytes(75_000).time_at(15_000_000), (span, 0));
        // A byte at 7 bit/s: 8/7 s, the remainder brings it back.
        let (time, rest) = Amount::BYTE.time_at(7);
        assert_eq!(Amount::flow(7, time) + Amount(rest.into()), Amount::BYTE);
    }

    #[test]
    fn bytes_between_pcrs_arrive_evenly() {
        // 188 packets in 9.4 ms: 50 us each; 30.08 Mbit/s.
        let step = Interval::new(100, Fine::SECOND, 188, Ticks27M::from_nanos(9_400_000));
        assert_eq!(step.rate, 30_080_000);
        let us = |n: i64| Fine(n * 27 * Fine::PER_TICK);
        assert!((step.packet - us(50)).0.abs() <= 1);
        // The dated byte of packet 150 is 2.5 ms after that of packet 100; the packet begins 10
        // bytes before.
        let begin = step.start_of(150) - Fine::SECOND;
        let early = 50 * 10 * 27 * Fine::PER_TICK / 188;
        assert!((begin.0 - (us(2500).0 - early)).abs() <= 2, "{begin:?}");
    }
}
