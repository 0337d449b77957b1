//! Identifiers that are all 16 bits wide and must not be swapped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::units::ParseUnitError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Prints as decimal; reads decimal or `0x` hexadecimal.
        #[derive(
            Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u16);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseUnitError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let (digits, radix) = match text.strip_prefix("0x") {
                    Some(hex) => (hex, 16),
                    None => (text, 10),
                };
                // from_str_radix also takes a sign.
                Some(digits)
                    .filter(|d| d.bytes().all(|b| b.is_ascii_alphanumeric()))
                    .and_then(|d| u16::from_str_radix(d, radix).ok())
                    .map(Self)
                    .ok_or_else(|| {
                        ParseUnitError::new(text, "an id; write 0 to 65535 or 0x0 to 0xFFFF")
                    })
            }
        }
    };
}

id! {
    /// service_id of SI, the same number as program_number of PSI (EN 300 468 §5.2.3).
    ServiceId
}

id! {
    /// transport_stream_id.
    TransportStreamId
}

id! {
    /// original_network_id: where a transport stream was first made.
    OriginalNetworkId
}

id! {
    /// event_id: names an event within its service.
    EventId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_print() {
        assert_eq!("0x0101".parse(), Ok(ServiceId(257)));
        assert_eq!(EventId(65535).to_string().parse(), Ok(EventId(65535)));
        for text in ["", "65536", "-1", "+1", "0x", "0x+1", "1 "] {
            assert!(
                text.parse::<ServiceId>().is_err(),
                "{text} was read as an id"
            );
        }
    }
}
