//! Bit rates.

use std::fmt;
use std::str::FromStr;

use super::{ParseUnitError, Ticks27M, scaled};

/// A bit rate in bit/s.
///
/// Prints with a decimal prefix; reads plain bit/s and the suffixes `k`, `M`, `G`.
///
/// ```
/// use headend::units::{BitRate, Ticks27M};
/// let rate: BitRate = "38M".parse().unwrap();
/// assert_eq!(rate.get(), 38_000_000);
/// assert_eq!(rate.to_string(), "38.000 Mb/s");
/// // 1316 bytes at 38 Mb/s: 277.05 µs, rounded to the nearest tick
/// assert_eq!(rate.span_of(1316), Ticks27M::new(7480));
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(u64);

impl BitRate {
    /// So many bits a second.
    pub const fn new(bits_per_second: u64) -> Self {
        Self(bits_per_second)
    }

    /// Bits a second.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The rate that carries `bytes` in `span`; `None` when the span is not positive.
    pub fn of(bytes: u64, span: Ticks27M) -> Option<Self> {
        let ticks = u128::try_from(span.get()).ok().filter(|t| *t > 0)?;
        let rate = (u128::from(bytes) * 8 * 27_000_000 + ticks / 2) / ticks;
        Some(Self(u64::try_from(rate).unwrap_or(u64::MAX)))
    }

    /// How long `bytes` take at this rate, to the nearest tick; the longest span at rate zero.
    pub fn span_of(self, bytes: u64) -> Ticks27M {
        if self.0 == 0 {
            return Ticks27M::MAX;
        }
        let rate = u128::from(self.0);
        let ticks = (u128::from(bytes) * 8 * 27_000_000 + rate / 2) / rate;
        Ticks27M::new(i64::try_from(ticks).unwrap_or(i64::MAX))
    }

    /// How many whole bytes this rate carries in `span`; none in a negative one.
    pub fn bytes_in(self, span: Ticks27M) -> u64 {
        let ticks = u128::try_from(span.get()).unwrap_or(0);
        u64::try_from(u128::from(self.0) * ticks / (8 * 27_000_000)).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} b/s", self.0),
            1_000..1_000_000 => write!(f, "{:.3} kb/s", self.0 as f64 / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.3} Mb/s", self.0 as f64 / 1e6),
            _ => write!(f, "{:.3} Gb/s", self.0 as f64 / 1e9),
        }
    }
}

impl FromStr for BitRate {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a bit rate; write 38M, 4500k or plain bit/s";
        let bare = text.trim();
        let bare = bare.strip_suffix("b/s").unwrap_or(bare).trim_end();
        let (number, scale) = match bare.as_bytes().last() {
            Some(b'k') => (bare.get(..bare.len() - 1), 1_000),
            Some(b'M') => (bare.get(..bare.len() - 1), 1_000_000),
            Some(b'G') => (bare.get(..bare.len() - 1), 1_000_000_000),
            _ => (Some(bare), 1),
        };
        number
            .and_then(|n| scaled(n.trim_end(), scale))
            .filter(|rate| *rate > 0)
            .map(Self)
            .ok_or_else(|| ParseUnitError::new(text, WANTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_no_rate() {
        assert_eq!("4500k".parse::<BitRate>().map(BitRate::get), Ok(4_500_000));
        assert_eq!(
            "38.015 Mb/s".parse::<BitRate>().map(BitRate::get),
            Ok(38_015_000)
        );
        for text in [
            "",
            "M",
            "-1",
            "1e6",
            "38 Q",
            "0",
            "1.",
            ".5M",
            "99999999999999999999",
        ] {
            assert!(
                text.parse::<BitRate>().is_err(),
                "{text} was read as a rate"
            );
        }
    }

    #[test]
    fn a_rate_is_bytes_over_time() {
        assert_eq!(
            BitRate::of(1_250_000, Ticks27M::SECOND),
            Some(BitRate::new(10_000_000))
        );
        assert_eq!(BitRate::of(1, Ticks27M::ZERO), None);
        assert_eq!(
            BitRate::new(10_000_000).bytes_in(Ticks27M::SECOND),
            1_250_000
        );
    }
}
