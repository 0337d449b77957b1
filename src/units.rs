//! Numbers that carry their unit: spans and instants of the 27 MHz clock, rates, sizes.
//!
//! The field counts time in ticks of 27 MHz (ISO/IEC 13818-1 §2.4.2.1), and so does everything
//! here: a PCR, an arrival, a UTC instant of a recording's index. A *span* ([`Ticks27M`]) is signed;
//! an *instant* is a point on one particular line ([`Arrival`], [`WallTime`], [`StreamTime`]) and
//! only instants of one line can be subtracted. All are `i64`: 2^63 ticks are 10 800 years.
//! Arithmetic saturates, so that no damaged time stamp can panic or wrap to the other end of time.

mod parsed;

pub use parsed::{parsed, parsed_option};

use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;
use std::time::Duration;

/// A text that is not a value of the unit asked for; `Display` says what would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseUnitError {
    text: String,
    wanted: &'static str,
}

impl ParseUnitError {
    pub(crate) fn new(text: &str, wanted: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            wanted,
        }
    }
}

impl fmt::Display for ParseUnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not {}", self.text, self.wanted)
    }
}

impl std::error::Error for ParseUnitError {}

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
    let digits_of_ns = fraction.get(..fraction.len().min(9))?;
    let ns = digits(digits_of_ns)? * 10i64.pow(9 - digits_of_ns.len() as u32);
    digits(whole)?
        .checked_mul(27_000_000)?
        .checked_add(Ticks27M::from_nanos(ns).0)
}

/// A number written with digits only, 18 at most.
fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
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

/// Defines an instant on a line of its own: subtraction gives a span, a span moves it.
macro_rules! instant {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The instant so many 27 MHz ticks after the line's origin.
            pub const fn from_ticks(ticks: i64) -> Self {
                Self(ticks)
            }

            /// Ticks of 27 MHz since the line's origin.
            pub const fn ticks(self) -> i64 {
                self.0
            }
        }

        impl Sub for $name {
            type Output = Ticks27M;
            fn sub(self, rhs: Self) -> Ticks27M {
                Ticks27M(self.0.saturating_sub(rhs.0))
            }
        }

        impl Add<Ticks27M> for $name {
            type Output = Self;
            fn add(self, rhs: Ticks27M) -> Self {
                Self(self.0.saturating_add(rhs.0))
            }
        }

        impl AddAssign<Ticks27M> for $name {
            fn add_assign(&mut self, rhs: Ticks27M) {
                *self = *self + rhs;
            }
        }

        impl Sub<Ticks27M> for $name {
            type Output = Self;
            fn sub(self, rhs: Ticks27M) -> Self {
                Self(self.0.saturating_sub(rhs.0))
            }
        }
    };
}

instant! {
    /// When bytes reached this process: an instant of the machine's monotonic clock.
    ///
    /// Made by `io::clock` (or by a test) and passed down; a machine never asks for the time.
    Arrival
}

instant! {
    /// An instant on the unwrapped timeline of a stream's own clock (its PCRs).
    StreamTime
}

instant! {
    /// A UTC instant, counted since 1970-01-01T00:00:00Z; for names of files, indexes and reports.
    ///
    /// Prints as RFC 3339 with milliseconds.
    ///
    /// ```
    /// use headend::units::{Ticks27M, WallTime};
    /// let t = WallTime::from_unix_millis(1_700_000_000_250);
    /// assert_eq!(t.to_string(), "2023-11-14T22:13:20.250Z");
    /// ```
    WallTime
}

impl WallTime {
    /// The instant so many milliseconds after the Unix epoch.
    pub const fn from_unix_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(27_000))
    }

    /// The instant so many nanoseconds after the Unix epoch, rounded to the nearest tick.
    pub const fn from_unix_nanos(ns: i64) -> Self {
        Self(Ticks27M::from_nanos(ns).0)
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub const fn unix_millis(self) -> i64 {
        self.0.div_euclid(27_000)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = (self.0.saturating_add(13_500)).div_euclid(27_000);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} ms since 1970", ms),
        }
    }
}

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
        let ticks = u128::try_from(span.0).ok().filter(|t| *t > 0)?;
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
        Ticks27M(i64::try_from(ticks).unwrap_or(i64::MAX))
    }

    /// How many whole bytes this rate carries in `span`; none in a negative one.
    pub fn bytes_in(self, span: Ticks27M) -> u64 {
        let ticks = u128::try_from(span.0).unwrap_or(0);
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

/// A size in bytes.
///
/// Prints with a binary prefix; reads plain bytes, `k`, `M`, `G`, `T` (powers of 1000) and `KiB`,
/// `MiB`, `GiB`, `TiB` (powers of 1024).
///
/// ```
/// use headend::units::ByteCount;
/// assert_eq!("16MiB".parse::<ByteCount>().unwrap().get(), 16 << 20);
/// assert_eq!("500G".parse::<ByteCount>().unwrap().get(), 500_000_000_000);
/// assert_eq!(ByteCount::new(1_572_864).to_string(), "1.5 MiB");
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteCount(u64);

impl ByteCount {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = next;
        }
        if unit == "B" {
            write!(f, "{} B", self.0)
        } else {
            write!(f, "{value:.1} {unit}")
        }
    }
}

impl FromStr for ByteCount {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a size; write 16MiB, 500G or plain bytes";
        let bare = text.trim();
        let split = bare
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(bare.len());
        let (number, suffix) = bare.split_at(split);
        let scale = match suffix {
            "" | "B" => Some(1),
            "k" | "kB" | "K" => Some(1_000),
            "M" | "MB" => Some(1_000_000),
            "G" | "GB" => Some(1_000_000_000),
            "T" | "TB" => Some(1_000_000_000_000),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "TiB" => Some(1 << 40),
            _ => None,
        };
        scale
            .and_then(|scale| scaled(number.trim_end(), scale))
            .map(Self)
            .ok_or_else(|| ParseUnitError::new(text, WANTED))
    }
}

/// A decimal number times `scale`, rounded down; `None` when it is none or too large.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fraction_scale = 10u128.pow(u32::try_from(fraction.len().min(18)).ok()?);
    let part = u128::try_from(digits(fraction)?).ok()? * u128::from(scale) / fraction_scale;
    u64::try_from(digits(whole)?)
        .ok()?
        .checked_mul(scale)?
        .checked_add(u64::try_from(part).ok()?)
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
        ] {
            assert_eq!(
                text.parse::<Ticks27M>().map(Ticks27M::get),
                Ok(ticks),
                "{text}"
            );
        }
        for text in [
            "12", "0", "", "s", "1:60", "60:00.", "1:2:3:4", "12.s", "x", "-", "1:61:00",
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

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Ticks27M::MAX + Ticks27M::SECOND, Ticks27M::MAX);
        assert_eq!(
            Arrival::from_ticks(i64::MIN) - Ticks27M::SECOND,
            Arrival::from_ticks(i64::MIN)
        );
    }

    #[test]
    fn rates_and_sizes_refuse_what_cannot_be_meant() {
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
        assert_eq!(
            "1.5 MiB".parse::<ByteCount>().map(ByteCount::get),
            Ok(1_572_864)
        );
        for text in ["", "MiB", "-1", "1 m", "1Mi"] {
            assert!(
                text.parse::<ByteCount>().is_err(),
                "{text} was read as a size"
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
