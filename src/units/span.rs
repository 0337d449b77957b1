//! Spans of time.

use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;
use std::time::Duration;

use super::{ParseUnitError, digits};

/// A signed span of time in ticks of 27 MHz (37.037 ns each).
///
/// Prints as seconds with milliseconds and the unit; reads what it prints, humantime's spelling
/// and `[H:]MM:SS[.fff]`, and refuses a bare number.
///
/// ```
/// use headend::units::Ticks27M;
/// let span: Ticks27M = "12.36s".parse().unwrap();
/// assert_eq!(span.get(), 333_720_000);
/// assert_eq!(span.to_string(), "12.360 s");
/// assert_eq!("00:00:12.360".parse::<Ticks27M>(), Ok(span));
/// assert!("12".parse::<Ticks27M>().is_err());
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks27M(i64);

impl Ticks27M {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// One microsecond: 27 ticks.
    pub const MICROSECOND: Self = Self(27);
    /// One millisecond: 27 000 ticks.
    pub const MILLISECOND: Self = Self(27_000);
    /// One second: 27 000 000 ticks.
    pub const SECOND: Self = Self(27_000_000);
    /// The longest span.
    pub const MAX: Self = Self(i64::MAX);

    /// A span of so many ticks.
    pub const fn new(ticks: i64) -> Self {
        Self(ticks)
    }

    /// The number of ticks.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(27_000))
    }

    /// A span of nanoseconds, rounded to the nearest tick.
    pub const fn from_nanos(ns: i64) -> Self {
        let ticks = (ns as i128 * 27 + if ns < 0 { -500 } else { 500 }) / 1000;
        Self(ticks as i64)
    }

    /// The span in nanoseconds, rounded to the nearest, saturating at ±292 years.
    pub const fn as_nanos(self) -> i64 {
        let ns = (self.0 as i128 * 1000 + if self.0 < 0 { -13 } else { 13 }) / 27;
        if ns > i64::MAX as i128 {
            i64::MAX
        } else if ns < i64::MIN as i128 {
            i64::MIN
        } else {
            ns as i64
        }
    }

    /// The span in whole milliseconds, rounded towards zero.
    pub const fn as_millis(self) -> i64 {
        self.0 / 27_000
    }

    /// The span in seconds, for printing and statistics.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 27e6
    }

    /// The span without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// True when the span runs backward.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The span as a [`Duration`]; a negative one is zero.
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.as_nanos()).unwrap_or(0))
    }
}

impl From<Duration> for Ticks27M {
    /// Rounds to the nearest tick; saturates at 292 years.
    fn from(d: Duration) -> Self {
        Self::from_nanos(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Ticks27M {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = (self.0.unsigned_abs() + 13_500) / 27_000;
        let sign = if self.0 < 0 && ms > 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:03} s", ms / 1000, ms % 1000)
    }
}

impl FromStr for Ticks27M {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a duration; write 90s, 1h30m, 12.360 s or [HH:]MM:SS[.fff]";
        let error = || ParseUnitError::new(text, WANTED);
        let (negative, rest) = match text.trim().strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.trim()),
        };
        let ticks = parse_clock(rest)
            .or_else(|| parse_decimal_seconds(rest))
            .or_else(|| {
                humantime::parse_duration(rest)
                    .ok()
                    .map(|d| Self::from(d).0)
            })
            .ok_or_else(error)?;
        // humantime reads a bare `0`; a number without its unit is refused whatever it is.
        if rest.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        Ok(Self(if negative { -ticks } else { ticks }))
    }
}

/// `[H:]MM:SS[.fraction]`; minutes and seconds below 60, hours free.
fn parse_clock(text: &str) -> Option<i64> {
    let mut parts = text.rsplit(':');
    let seconds = parts.next()?;
    let minutes: i64 = digits(parts.next()?)?;
    let hours: i64 = match parts.next() {
        Some(h) => digits(h)?,
        None => 0,
    };
    let ticks = decimal_ticks(seconds)?;
    if parts.next().is_some() || minutes >= 60 || ticks >= 60 * 27_000_000 {
        return None;
    }
    hours
        .checked_mul(3600)?
        .checked_add(minutes * 60)?
        .checked_mul(27_000_000)?
        .checked_add(ticks)
}

/// `12.360 s` or `12.36s`: what humantime, which takes whole numbers only, does not read.
fn parse_decimal_seconds(text: &str) -> Option<i64> {
    decimal_ticks(text.strip_suffix('s')?.trim_end())
}

/// Digits with an optional fraction, as ticks; the fraction is cut at the nanosecond.
fn decimal_ticks(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits_of_ns = fraction.get(..fraction.len().min(9))?;
    let ns = digits(digits_of_ns)? * 10i64.pow(9 - digits_of_ns.len() as u32);
    digits(whole)?
        .checked_mul(27_000_000)?
        .checked_add(Ticks27M::from_nanos(ns).0)
}

impl Add for Ticks27M {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl AddAssign for Ticks27M {
    fn add_assign(&mut self, rhs: Self) {
        *self = *self + rhs;
    }
}

impl Sub for Ticks27M {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

impl SubAssign for Ticks27M {
    fn sub_assign(&mut self, rhs: Self) {
        *self = *self - rhs;
    }
}

impl Neg for Ticks27M {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Mul<i64> for Ticks27M {
    type Output = Self;
    fn mul(self, rhs: i64) -> Self {
        Self(self.0.saturating_mul(rhs))
    }
}

impl Div<i64> for Ticks27M {
    type Output = Self;
    fn div(self, rhs: i64) -> Self {
        Self(self.0 / rhs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_what_they_read() {
        for (text, ticks) in [
            ("12.360 s", 333_720_000),
            ("500ms", 13_500_000),
            ("1h30m", 5400 * 27_000_000),
            ("-2s", -54_000_000),
            ("01:00:00", 3600 * 27_000_000),
            ("59:59.999", 97_199_973_000),
            ("0.000000037s", 1),
            ("0.0000000370000000000000001 s", 1),
        ] {
            assert_eq!(
                text.parse::<Ticks27M>().map(Ticks27M::get),
                Ok(ticks),
                "{text}"
            );
        }
        for text in [
            "12",
            "0",
            "",
            "s",
            "1:60",
            "60:00.",
            "1:2:3:4",
            "12.s",
            "x",
            "-",
            "1:61:00",
            "1.123456789xyz s",
            "00:01.123456789-",
            "1.1234567890 .s",
            "1.123456789é s",
        ] {
            assert!(
                text.parse::<Ticks27M>().is_err(),
                "{text} was read as a span"
            );
        }
        assert_eq!(Ticks27M::new(-1).to_string(), "0.000 s");
        assert_eq!(Ticks27M::from_millis(-1500).to_string(), "-1.500 s");
    }

    #[test]
    fn nanoseconds_and_ticks_agree_to_the_nearest() {
        for ticks in [0, 1, -1, 26, 27, 13_500, -27_000_001, 1 << 50] {
            assert_eq!(
                Ticks27M::from_nanos(Ticks27M::new(ticks).as_nanos()).get(),
                ticks
            );
        }
    }
}
