//! What an option of few words may be.

use clap::ValueEnum;

use crate::io::Source;
use crate::monitor::{Priority, TimeSource};
use crate::stream::Framing;

/// How a report is written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For a person, on one screen
    #[default]
    Text,
    /// One JSON object
    Json,
    /// One page with plots, for a browser
    Html,
    /// A profile learned from the stream
    #[value(skip)]
    Profile,
}

/// The least priority that counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Least {
    /// The stream cannot be decoded
    P1,
    /// What should be watched all the time, too
    P2,
    /// All of TR 101 290
    P3,
    /// What stands beside it, too: reception, decoding, the profile
    P4,
}

impl Least {
    pub(super) const fn priority(self) -> Priority {
        match self {
            Self::P1 => Priority::One,
            Self::P2 => Priority::Two,
            Self::P3 => Priority::Three,
            Self::P4 => Priority::Four,
        }
    }
}

/// What tells the time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ClockChoice {
    /// Arrivals on live inputs and where packets carry them, PCRs elsewhere
    #[default]
    Auto,
    /// The arrivals: of a pipe too
    Arrival,
    /// The PCRs of one PID
    Pcr,
}

impl ClockChoice {
    /// What tells the time of an input that has shown its first packets.
    pub(super) fn source(self, source: &dyn Source) -> TimeSource {
        let timed = source.is_live() || source.framing() == Some(Framing::Timed);
        match self {
            Self::Auto if timed => TimeSource::Arrival,
            Self::Auto | Self::Pcr => TimeSource::Pcr,
            Self::Arrival => TimeSource::Arrival,
        }
    }
}
