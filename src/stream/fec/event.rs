//! What forward error correction observes.

use crate::stream::event::{Event, Severity, Value};
use crate::units::Ticks27M;

/// What a receiver of FEC observes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FecEvent {
    /// The matrix is known, for the first time, after a silence or after a change, and how long a
    /// lost datagram has to be waited for.
    Found {
        /// L.
        columns: u8,
        /// D.
        rows: u8,
        /// Rows are protected as well.
        with_rows: bool,
        /// The wait, the one for what others have overtaken not included.
        wait: Ticks27M,
    },
    /// Media comes, and no FEC with it: losses stay losses.
    Missing,
    /// Lost datagrams were put together again.
    Recovered {
        /// How many.
        datagrams: u64,
    },
    /// FEC that is not of the media it names. Nothing is recovered by FEC from then on until eight
    /// of it in a row are right again.
    Contradicted {
        /// How many FEC datagrams, or media datagrams that came after all and were others.
        datagrams: u64,
    },
}

impl Event for FecEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Found { .. } => "fec_found",
            Self::Missing => "fec_missing",
            Self::Recovered { .. } => "fec_recovered",
            Self::Contradicted { .. } => "fec_contradicted",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Found { .. } | Self::Recovered { .. } => Severity::Info,
            Self::Missing | Self::Contradicted { .. } => Severity::Warning,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match *self {
            Self::Found {
                columns,
                rows,
                with_rows,
                wait,
            } => {
                let both = if with_rows { "+rows" } else { "" };
                field("matrix", Value::from(format!("{columns}x{rows}{both}")));
                field("wait_ms", Value::from(wait.as_millis()));
            }
            Self::Missing => {}
            Self::Recovered { datagrams } => field("recovered_datagrams", Value::from(datagrams)),
            Self::Contradicted { datagrams } => {
                field("contradicting_datagrams", Value::from(datagrams));
            }
        }
    }
}
