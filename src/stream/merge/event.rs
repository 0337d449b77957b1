//! What merging observes.

use crate::stream::event::{Event, Severity, Value};
use crate::units::Ticks27M;

/// Why a leg is not merged any more.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Parted {
    /// It carries something else.
    Differs,
    /// No packets came of it.
    Silent,
}

/// What merging observes. Legs are counted from 0, the main one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MergeEvent {
    /// A leg carries the same packets as the main one, and is merged from here on.
    Joined {
        /// Which leg.
        leg: usize,
    },
    /// A leg is not merged any more.
    Parted {
        /// Which leg.
        leg: usize,
        /// Why.
        why: Parted,
    },
    /// A leg came later than the skew allows: what the others lost cannot be taken from it.
    TooLate {
        /// Which leg.
        leg: usize,
        /// How much later than the first.
        by: Ticks27M,
    },
    /// There were more packets than are kept: some left before their time.
    Overflow {
        /// How many.
        packets: u64,
    },
}

impl Event for MergeEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Joined { .. } => "leg_joined",
            Self::Parted { .. } => "leg_parted",
            Self::TooLate { .. } => "leg_too_late",
            Self::Overflow { .. } => "merge_overflow",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Joined { .. } => Severity::Info,
            Self::Parted { .. } | Self::TooLate { .. } | Self::Overflow { .. } => Severity::Warning,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Joined { leg } => field("leg", (*leg as u64).into()),
            Self::Parted { leg, why } => {
                field("leg", (*leg as u64).into());
                field("reason", why.word().into());
            }
            Self::TooLate { leg, by } => {
                field("leg", (*leg as u64).into());
                field("late_ms", by.as_millis().into());
            }
            Self::Overflow { packets } => field("packets", (*packets).into()),
        }
    }
}

impl Parted {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::Silent => "silent",
        }
    }
}
