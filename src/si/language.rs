//! Language codes (ISO 639-2).

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::units::ParseUnitError;

/// A three-letter code of ISO 639-2, or a private one such as `qad`, exactly as in the stream.
///
/// Prints lower case (some broadcasters send `FRA`); a byte that is no letter or digit prints as
/// `?`.
///
/// ```
/// use headend::si::Language;
/// assert_eq!(Language(*b"FRA").to_string(), "fra");
/// assert_eq!("deu".parse::<Language>(), Ok(Language(*b"deu")));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Language(pub [u8; 3]);

impl Language {
    /// `und`: undetermined.
    pub const UNDETERMINED: Self = Self(*b"und");
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            let letter = if byte.is_ascii_alphanumeric() {
                char::from(byte.to_ascii_lowercase())
            } else {
                '?'
            };
            write!(f, "{letter}")?;
        }
        Ok(())
    }
}

impl FromStr for Language {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|b| b.is_ascii_lowercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(ParseUnitError::new(
                text,
                "a language; write three letters of ISO 639-2, such as fra",
            )),
        }
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_letters_still_print() {
        assert_eq!(Language([0, b'e', 0xFF]).to_string(), "?e?");
        for text in ["", "fr", "fren", "FRA", "fr1", "fré"] {
            assert!(
                text.parse::<Language>().is_err(),
                "{text} was read as a language"
            );
        }
    }
}
