//! What a switch observes.

use super::fault::Faults;
use super::policy::Reason;
use crate::stream::event::{Event, Severity, Value};
use crate::stream::merge::{MergeEvent, Parted};
use crate::units::Ticks27M;

/// What a switch observes. Inputs are counted from 1, in order of priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchEvent {
    /// An input should be on air from now on; it is entered at its next random-access point.
    Decided {
        /// Which.
        to: usize,
        /// Which was on air.
        from: Option<usize>,
        /// Why.
        reason: Reason,
    },
    /// The output comes from another input from here on.
    Switched {
        /// Which.
        to: usize,
        /// Which was on air.
        from: Option<usize>,
        /// From the decision to the first packet.
        took: Ticks27M,
        /// Time of the picture for which there is none.
        missing: Ticks27M,
        /// Since the last packet of the one before; zero where it goes on.
        silence: Ticks27M,
    },
    /// The faults of an input that count are others now.
    Faults {
        /// Which input.
        input: usize,
        /// Its faults.
        faults: Faults,
    },
    /// The clock of an input began anew.
    Restarted {
        /// Which input.
        input: usize,
    },
    /// The PMT of the output has another version.
    PmtChanged {
        /// version_number.
        version: u8,
    },
    /// An input has services beside the one that is used.
    OtherServices {
        /// Which input.
        input: usize,
        /// service_id of the one used.
        service: u16,
        /// How many others.
        others: usize,
    },
    /// An input lacks streams of the output, or has more than the output has room for.
    LayoutDiffers {
        /// Which input.
        input: usize,
        /// Streams of the output that it lacks.
        lacks: usize,
        /// Its streams that have no place.
        left_out: usize,
    },
    /// Pictures or sound were begun and their ends never came.
    Torn {
        /// Which input.
        input: usize,
        /// How many.
        units: u64,
    },
    /// Something about inputs that carry the same packets.
    Twin {
        /// Which input.
        input: usize,
        /// What.
        event: MergeEvent,
    },
    /// Packets of an input were given up: it has more than is kept.
    Overflow {
        /// Which input.
        input: usize,
        /// How many, so far.
        packets: u64,
    },
}

impl Event for SwitchEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Decided { .. } => "switch_decided",
            Self::Switched { .. } => "switched",
            Self::Faults { faults, .. } if faults.is_empty() => "input_good",
            Self::Faults { .. } => "input_faulty",
            Self::Restarted { .. } => "input_clock_restarted",
            Self::PmtChanged { .. } => "output_pmt_changed",
            Self::OtherServices { .. } => "other_services",
            Self::LayoutDiffers { .. } => "layout_differs",
            Self::Torn { .. } => "units_torn",
            Self::Twin { event, .. } => match event {
                MergeEvent::Joined { .. } => "twin_found",
                MergeEvent::Parted { .. } => "twin_lost",
                MergeEvent::TooLate { .. } => "twin_too_late",
                MergeEvent::Overflow { .. } => "twin_overflow",
            },
            Self::Overflow { .. } => "input_overflow",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Faults { faults, .. } if faults.is_empty() => Severity::Info,
            Self::Faults { .. }
            | Self::Switched { .. }
            | Self::Restarted { .. }
            | Self::OtherServices { .. }
            | Self::LayoutDiffers { .. } => Severity::Warning,
            Self::Twin { event, .. } => match event {
                MergeEvent::Parted {
                    why: Parted::Silent,
                    ..
                } => Severity::Info,
                event => event.severity(),
            },
            Self::Torn { .. } | Self::Overflow { .. } => Severity::Error,
            Self::Decided { .. } | Self::PmtChanged { .. } => Severity::Info,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        let mut number = |key, n: usize| field(key, (n as u64).into());
        match self {
            Self::Decided { to, from, reason } => {
                number("to_input", to + 1);
                if let Some(from) = from {
                    number("from_input", from + 1);
                }
                field("reason", reason.word().into());
                if let Reason::Faults(faults) = reason {
                    field("faults", faults.to_string().into());
                }
            }
            Self::Switched {
                to,
                from,
                took,
                missing,
                silence,
            } => {
                number("to_input", to + 1);
                if let Some(from) = from {
                    number("from_input", from + 1);
                }
                field("took_ms", took.as_millis().into());
                field("missing_ms", missing.as_millis().into());
                field("silence_ms", silence.as_millis().into());
            }
            Self::Faults { input, faults } => {
                number("input", input + 1);
                if !faults.is_empty() {
                    field("faults", faults.to_string().into());
                }
            }
            Self::Restarted { input } => number("input", input + 1),
            Self::PmtChanged { version } => field("version", u64::from(*version).into()),
            Self::OtherServices {
                input,
                service,
                others,
            } => {
                number("input", input + 1);
                number("others", *others);
                field("service", u64::from(*service).into());
            }
            Self::LayoutDiffers {
                input,
                lacks,
                left_out,
            } => {
                number("input", input + 1);
                number("lacks_streams", *lacks);
                number("left_out_streams", *left_out);
            }
            Self::Twin { input, event } => event.fields_of(*input, field),
            Self::Torn { input, units } => {
                number("input", input + 1);
                field("units_total", (*units).into());
            }
            Self::Overflow { input, packets } => {
                number("input", input + 1);
                field("lost_packets", (*packets).into());
            }
        }
    }
}
