//! What the order of RTP datagrams shows.

use crate::stream::event::{Event, Severity, Value};

/// What the order of RTP datagrams shows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ReorderEvent {
    /// Datagrams never came, or came when it was too late.
    Lost {
        /// How many in a row.
        datagrams: u64,
        /// The sequence number of the first.
        first: u16,
    },
    /// The sequence starts anew: another sender, or the same one after a restart.
    Restarted {
        /// The synchronisation source now.
        ssrc: u32,
    },
    /// For a while there came nothing but datagrams that had come before; they were dropped.
    Repeated {
        /// How many.
        datagrams: u64,
    },
    /// Datagrams fitted nowhere, and were dropped.
    Strayed {
        /// How many.
        datagrams: u64,
    },
}

impl Event for ReorderEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "rtp_lost",
            Self::Restarted { .. } => "rtp_restarted",
            Self::Repeated { .. } => "rtp_repeated",
            Self::Strayed { .. } => "rtp_strayed",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Lost { .. } => Severity::Error,
            Self::Restarted { .. } | Self::Repeated { .. } | Self::Strayed { .. } => {
                Severity::Warning
            }
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match *self {
            Self::Lost { datagrams, first } => {
                field("lost_datagrams", Value::from(datagrams));
                field("first_sequence", Value::from(u64::from(first)));
            }
            Self::Restarted { ssrc } => field("ssrc", Value::from(u64::from(ssrc))),
            Self::Repeated { datagrams } => {
                field("repeated_datagrams", Value::from(datagrams));
            }
            Self::Strayed { datagrams } => field("lost_datagrams", Value::from(datagrams)),
        }
    }
}
