//! Numbers that carry their unit: spans and instants of the 27 MHz clock, rates, sizes.
//!
//! The field counts time in ticks of 27 MHz (ISO/IEC 13818-1 §2.4.2.1), and so does everything
//! here: a PCR, an arrival, a UTC instant of a recording's index. A *span* ([`Ticks27M`]) is signed;
//! an *instant* is a point on one particular line ([`Arrival`], [`WallTime`], [`StreamTime`]) and
//! only instants of one line can be subtracted. All are `i64`: 2^63 ticks are 10 800 years.
//! Arithmetic saturates, so that no damaged time stamp can panic or wrap to the other end of time.

mod instant;
mod parsed;
mod rate;
mod size;
mod span;

pub use instant::{Arrival, StreamTime, WallTime};
pub use parsed::{parsed, parsed_option};
pub use rate::BitRate;
pub use size::ByteCount;
pub use span::Ticks27M;

use std::fmt;

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

/// A number written with digits only, 18 at most.
fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
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
