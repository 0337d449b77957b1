//! What is told of an input.

use std::time::Duration;

use crate::stream::event::{Event, Severity, Value};

/// What happens to an input as a whole.
#[derive(Clone, Debug)]
pub(super) enum ReceptionNews {
    /// It could not be opened, or failed; it is tried again.
    Failed {
        /// Why.
        reason: String,
        /// How often in a row.
        failures: u64,
        /// The pause before the next trial.
        again_in: Duration,
    },
    /// Packets come of one that had failed.
    Back {
        /// How often it had failed in a row.
        failures: u64,
    },
    /// It has ended.
    Ended,
}

impl Event for ReceptionNews {
    fn name(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "input_failed",
            Self::Back { .. } => "input_back",
            Self::Ended => "input_ended",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Failed { .. } | Self::Ended => Severity::Warning,
            Self::Back { .. } => Severity::Info,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Failed {
                reason,
                failures,
                again_in,
            } => {
                field("reason", reason.as_str().into());
                field("failures", (*failures).into());
                field("again_in_ms", (again_in.as_millis() as u64).into());
            }
            Self::Back { failures } => field("failures", (*failures).into()),
            Self::Ended => {}
        }
    }
}
