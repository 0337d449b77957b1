//! Sizes.

use std::fmt;
use std::str::FromStr;

use super::{ParseUnitError, scaled};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_no_size() {
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
}
