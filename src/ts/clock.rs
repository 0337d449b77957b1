//! Points on the circles of a program's clock (ISO/IEC 13818-1 §2.4.2.2, §2.4.3.5, §2.4.3.7).
//!
//! A PCR lives on a circle of 2^33 x 300 ticks of 27 MHz, a PTS or DTS on one of 2^33 ticks of
//! 90 kHz; both go round once in 26 h 30 min 43.7 s. On a circle nothing is before or after, so
//! none of the three is `Ord`. The difference of two points is the short way round, -13 h 15 min
//! to +13 h 15 min: one rule for every wrap.

use std::fmt;
use std::ops::{Add, Sub};

use crate::units::Ticks27M;

/// Length of the circle in ticks of 90 kHz.
const CIRCLE_90K: i64 = 1 << 33;
/// Length of the circle in ticks of 27 MHz.
const CIRCLE_27M: i64 = CIRCLE_90K * 300;

/// The representative of `ticks` nearest to zero on a circle of `circle` ticks.
const fn short_way(ticks: i64, circle: i64) -> i64 {
    let around = ticks.rem_euclid(circle);
    if around >= circle / 2 {
        around - circle
    } else {
        around
    }
}

/// A program clock reference: a point on a circle of 2^33 x 300 ticks of 27 MHz.
///
/// ```
/// use headend::{ts::Pcr, units::Ticks27M};
/// let late = Pcr::from_ticks(2_576_980_377_599).unwrap();
/// let early = late + Ticks27M::SECOND;
/// assert_eq!(early.ticks(), 26_999_999);
/// assert_eq!(early - late, Ticks27M::SECOND);
/// assert_eq!(late - early, -Ticks27M::SECOND);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pcr(u64);

impl Pcr {
    /// Length of the circle: 26 h 30 min 43.7 s.
    pub const CIRCLE: Ticks27M = Ticks27M::new(CIRCLE_27M);

    /// The point so many 27 MHz ticks from zero; `None` from 2^33 x 300 on.
    pub const fn from_ticks(ticks: u64) -> Option<Self> {
        if ticks < CIRCLE_27M as u64 {
            Some(Self(ticks))
        } else {
            None
        }
    }

    /// Ticks of 27 MHz from zero, below 2^33 x 300.
    pub const fn ticks(self) -> u64 {
        self.0
    }

    /// program_clock_reference_base: 33 bits of 90 kHz.
    pub const fn base(self) -> u64 {
        self.0 / 300
    }

    /// program_clock_reference_extension: 0 to 299.
    pub const fn extension(self) -> u16 {
        (self.0 % 300) as u16
    }

    /// Reads the six bytes of the field. An extension of 300 to 511, which the syntax allows and
    /// the clause does not, counts as what it adds.
    pub const fn read(field: &[u8; 6]) -> Self {
        let high = u32::from_be_bytes([field[0], field[1], field[2], field[3]]) as u64;
        let base = high << 1 | (field[4] >> 7) as u64;
        let extension = ((field[4] & 1) as u64) << 8 | field[5] as u64;
        Self((base * 300 + extension) % CIRCLE_27M as u64)
    }

    /// Writes the field; the six reserved bits of `field` stay as they are.
    pub const fn write(self, field: &mut [u8; 6]) {
        let (base, extension) = (self.base(), self.extension());
        let [a, b, c, d] = ((base >> 1) as u32).to_be_bytes();
        *field = [
            a,
            b,
            c,
            d,
            (base as u8) << 7 | field[4] & 0x7E | (extension >> 8) as u8,
            extension as u8,
        ];
    }

    /// The 90 kHz point this PCR passes, as a PTS.
    pub const fn to_pts(self) -> Pts {
        Pts(self.base())
    }
}

impl Sub for Pcr {
    type Output = Ticks27M;
    fn sub(self, rhs: Self) -> Ticks27M {
        Ticks27M::new(short_way(self.0 as i64 - rhs.0 as i64, CIRCLE_27M))
    }
}

impl Add<Ticks27M> for Pcr {
    type Output = Self;
    fn add(self, rhs: Ticks27M) -> Self {
        let ticks = (self.0 as i64).wrapping_add(rhs.get().rem_euclid(CIRCLE_27M));
        Self(ticks.rem_euclid(CIRCLE_27M) as u64)
    }
}

impl Sub<Ticks27M> for Pcr {
    type Output = Self;
    fn sub(self, rhs: Ticks27M) -> Self {
        self + -rhs
    }
}

impl fmt::Display for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_clock(f, self.0 / 27_000)
    }
}

/// `26:30:43.717`: where on the circle.
fn write_clock(f: &mut fmt::Formatter<'_>, ms: u64) -> fmt::Result {
    let s = ms / 1000;
    write!(
        f,
        "{:02}:{:02}:{:02}.{:03}",
        s / 3600,
        s / 60 % 60,
        s % 60,
        ms % 1000
    )
}

/// Defines a 33-bit 90 kHz time stamp.
macro_rules! stamp {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The point so many 90 kHz ticks from zero; `None` from 2^33 on.
            pub const fn from_ticks(ticks: u64) -> Option<Self> {
                if ticks < CIRCLE_90K as u64 { Some(Self(ticks)) } else { None }
            }

            /// The point in the low 33 bits of `ticks`.
            pub const fn wrapping(ticks: u64) -> Self {
                Self(ticks & (CIRCLE_90K as u64 - 1))
            }

            /// Ticks of 90 kHz from zero, below 2^33.
            pub const fn ticks(self) -> u64 {
                self.0
            }

            /// Reads the five bytes of the field in a PES header, whatever its marker bits say.
            pub const fn read(field: &[u8; 5]) -> Self {
                Self(
                    ((field[0] >> 1 & 7) as u64) << 30
                        | (field[1] as u64) << 22
                        | ((field[2] >> 1) as u64) << 15
                        | (field[3] as u64) << 7
                        | (field[4] >> 1) as u64,
                )
            }

            /// Writes the field; prefix and marker bits of `field` stay as they are.
            pub const fn write(self, field: &mut [u8; 5]) {
                *field = [
                    field[0] & 0xF1 | (self.0 >> 29) as u8 & 0x0E,
                    (self.0 >> 22) as u8,
                    field[2] & 1 | (self.0 >> 14) as u8 & 0xFE,
                    (self.0 >> 7) as u8,
                    field[4] & 1 | (self.0 << 1) as u8,
                ];
            }
        }

        impl Sub for $name {
            type Output = Ticks27M;
            fn sub(self, rhs: Self) -> Ticks27M {
                Ticks27M::new(short_way(self.0 as i64 - rhs.0 as i64, CIRCLE_90K) * 300)
            }
        }

        impl Sub<Pcr> for $name {
            type Output = Ticks27M;
            /// How far the stamp lies ahead of the clock (the short way round).
            fn sub(self, rhs: Pcr) -> Ticks27M {
                Ticks27M::new(short_way(self.0 as i64 * 300 - rhs.0 as i64, CIRCLE_27M))
            }
        }

        impl Add<Ticks27M> for $name {
            type Output = Self;
            /// Moves by the span, rounded down to 90 kHz.
            fn add(self, rhs: Ticks27M) -> Self {
                let ticks = self.0 as i64 + rhs.get().div_euclid(300);
                Self(ticks.rem_euclid(CIRCLE_90K) as u64)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_clock(f, self.0 / 90)
            }
        }
    };
}

stamp! {
    /// A presentation time stamp: a point on a circle of 2^33 ticks of 90 kHz (§2.4.3.7).
    ///
    /// ```
    /// use headend::{ts::{Pcr, Pts}, units::Ticks27M};
    /// let pts = Pts::from_ticks(90_000).unwrap();
    /// assert_eq!(pts - Pcr::from_ticks(13_500_000).unwrap(), Ticks27M::from_millis(500));
    /// assert_eq!((pts + -Ticks27M::SECOND * 2).ticks(), (1 << 33) - 90_000);
    /// ```
    Pts
}

stamp! {
    /// A decoding time stamp: a point on a circle of 2^33 ticks of 90 kHz (§2.4.3.7).
    Dts
}

impl Pts {
    /// The same point on the circle of the PCR.
    pub const fn to_pcr(self) -> Pcr {
        Pcr(self.0 * 300)
    }

    /// The same point as a DTS: a stream without DTS decodes when it presents.
    pub const fn to_dts(self) -> Dts {
        Dts(self.0)
    }
}

impl Dts {
    /// The same point as a PTS, to compare the two.
    pub const fn to_pts(self) -> Pts {
        Pts(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// base = 0x1_2345_6789 (33 bits), extension = 0x0AB, reserved bits 111111, by hand:
    /// base >> 1 = 0x91A2B3C4, base & 1 = 1, so byte 4 = 1 111111 0.
    const PCR_FIELD: [u8; 6] = [0x91, 0xA2, 0xB3, 0xC4, 0xFE, 0xAB];

    #[test]
    fn a_pcr_reads_and_writes_its_field() {
        let pcr = Pcr::read(&PCR_FIELD);
        assert_eq!((pcr.base(), pcr.extension()), (0x1_2345_6789, 0x0AB));
        let mut field = [0xA5; 6];
        pcr.write(&mut field);
        assert_eq!(
            field,
            [0x91, 0xA2, 0xB3, 0xC4, 0xA4, 0xAB],
            "reserved bits 0x24 kept"
        );
    }

    #[test]
    fn every_bit_of_a_pcr_has_its_place() {
        for bit in 0..33 {
            let pcr = Pcr((1 << bit) * 300);
            let mut field = [0; 6];
            pcr.write(&mut field);
            let value = field.iter().fold(0u64, |v, b| v << 8 | u64::from(*b));
            assert_eq!(value, 1 << (bit + 15), "base bit {bit}");
            assert_eq!(Pcr::read(&field), pcr);
        }
        for bit in 0..9 {
            let mut field = [0; 6];
            Pcr(1 << bit).write(&mut field);
            assert_eq!(
                field.iter().fold(0u64, |v, b| v << 8 | u64::from(*b)),
                1 << bit
            );
        }
    }

    #[test]
    fn every_bit_of_a_stamp_has_its_place() {
        // §2.4.3.7: bits 32..30, marker, 29..15, marker, 14..0, marker after a 4-bit prefix.
        for bit in 0..33 {
            let at = if bit >= 30 {
                bit + 3
            } else if bit >= 15 {
                bit + 2
            } else {
                bit + 1
            };
            let mut field = [0; 5];
            Pts(1 << bit).write(&mut field);
            assert_eq!(
                field.iter().fold(0u64, |v, b| v << 8 | u64::from(*b)),
                1 << at
            );
            assert_eq!(Pts::read(&field), Pts(1 << bit));
        }
        let mut field = [0x21, 0, 1, 0, 1];
        Pts((1 << 33) - 1).write(&mut field);
        assert_eq!(field, [0x2F, 0xFF, 0xFF, 0xFF, 0xFF]);
    }

    #[test]
    fn on_the_circles_going_there_and_back_is_staying() {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        for _ in 0..10_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let a = Pcr((x >> 8) % CIRCLE_27M as u64);
            let b = Pcr((x >> 3) % CIRCLE_27M as u64);
            assert_eq!(a + (b - a), b);
            let (a, b) = (Pts::wrapping(x >> 7), Pts::wrapping(x >> 31));
            assert_eq!(a + (b - a), b);
        }
        assert_eq!(Pcr(0) - Ticks27M::new(1), Pcr(CIRCLE_27M as u64 - 1));
        assert_eq!(Pcr(5) + Ticks27M::MAX + Ticks27M::new(i64::MIN + 1), Pcr(5));
    }
}
