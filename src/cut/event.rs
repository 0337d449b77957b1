//! What cutting meets.

use crate::si::ServiceId;
use crate::stream::event::{Event, Severity, Subject, Value};
use crate::ts::Pid;
use crate::units::Ticks27M;

/// An observation made while cutting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutEvent {
    /// The material begins behind the in-point asked for.
    StartsLate {
        /// By so much.
        by: Ticks27M,
    },
    /// The material ends before the out-point asked for.
    EndsEarly {
        /// By so much, as far as that is known.
        by: Ticks27M,
    },
    /// An edge moved over open random-access points, closed ones alone being taken.
    Widened {
        /// Which edge: the in-point (true) or the out-point.
        entry: bool,
        /// How far it lies from the time asked for.
        by: Ticks27M,
        /// How many open points lie between.
        points: u64,
    },
    /// Pictures behind an open random-access point were left out: they refer to pictures before.
    LeadingPictures {
        /// PID of the picture.
        pid: Pid,
        /// How many.
        count: u64,
    },
    /// Pictures behind an open random-access point were kept, though they refer to pictures before:
    /// without them a decoder would let go of the point itself.
    LeadingKept {
        /// PID of the picture.
        pid: Pid,
        /// How many.
        count: u64,
    },
    /// The clock of a program jumped.
    ClockJump {
        /// Its PID.
        pid: Pid,
        /// How far beside where it would have counted on to, the short way round.
        by: Ticks27M,
        /// discontinuity_indicator announced it; otherwise it has been set.
        announced: bool,
    },
    /// The clock of a program went through the end of its 33 bits.
    ClockWrap {
        /// Its PID.
        pid: Pid,
    },
    /// Several programs have picture or sound; all are cut at the points of one.
    OtherPrograms {
        /// Which one.
        service: ServiceId,
        /// How many others there are.
        others: u64,
    },
    /// A PMT, or the PAT, is another from here on.
    ProgramChange {
        /// Its PID.
        pid: Pid,
    },
    /// The clock of a file does not run through: times in it are counted from one PCR to the next,
    /// jump by jump.
    ClockBroken {
        /// How often it jumps in the range.
        jumps: u64,
    },
    /// The clock of a file jumps more often than is followed: times behind that are not exact.
    JumpsNotFollowed {
        /// How many jumps were not followed.
        jumps: u64,
    },
    /// A time stamp could not be moved: it is scrambled, or does not stand in one packet.
    StampNotMoved {
        /// Its PID.
        pid: Pid,
    },
    /// Packets that precede the in-point in the material and belong behind it were left out:
    /// more of them than are held.
    NotHeld {
        /// How many.
        packets: u64,
    },
    /// More sound around an edge than is held: some streams are cut at their PES packets there.
    SoundNotSplit {
        /// How many bytes were not held.
        bytes: u64,
    },
    /// Random-access points were passed over: too many wait for their leading pictures.
    PointsMissed {
        /// PID of the picture.
        pid: Pid,
        /// How many.
        count: u64,
    },
}

impl Event for CutEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::StartsLate { .. } => "cut_starts_late",
            Self::EndsEarly { .. } => "cut_ends_early",
            Self::Widened { entry: true, .. } => "cut_starts_early",
            Self::Widened { entry: false, .. } => "cut_ends_late",
            Self::LeadingPictures { .. } => "leading_pictures_removed",
            Self::LeadingKept { .. } => "leading_pictures_kept",
            Self::ClockJump { .. } => "pcr_jump",
            Self::ClockWrap { .. } => "pcr_wrap",
            Self::OtherPrograms { .. } => "cut_other_programs",
            Self::ProgramChange { .. } => "program_change",
            Self::ClockBroken { .. } => "clock_broken",
            Self::JumpsNotFollowed { .. } => "clock_not_followed",
            Self::StampNotMoved { .. } => "stamp_not_moved",
            Self::NotHeld { .. } => "cut_packets_not_held",
            Self::SoundNotSplit { .. } => "cut_sound_not_split",
            Self::PointsMissed { .. } => "cut_points_missed",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::LeadingPictures { .. } | Self::ClockWrap { .. } | Self::ProgramChange { .. } => {
                Severity::Info
            }
            _ => Severity::Warning,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::LeadingPictures { pid, .. }
            | Self::LeadingKept { pid, .. }
            | Self::ClockJump { pid, .. }
            | Self::ClockWrap { pid }
            | Self::ProgramChange { pid }
            | Self::PointsMissed { pid, .. }
            | Self::StampNotMoved { pid } => Subject::Pid(*pid),
            Self::OtherPrograms { service, .. } => Subject::Service(service.0),
            Self::StartsLate { .. }
            | Self::EndsEarly { .. }
            | Self::Widened { .. }
            | Self::ClockBroken { .. }
            | Self::JumpsNotFollowed { .. }
            | Self::NotHeld { .. }
            | Self::SoundNotSplit { .. } => Subject::Stream,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::StartsLate { by } | Self::EndsEarly { by } => {
                field("by_ms", by.as_millis().into());
            }
            Self::Widened { by, points, .. } => {
                field("by_ms", by.as_millis().into());
                field("open_points", (*points).into());
            }
            Self::LeadingPictures { count, .. } | Self::LeadingKept { count, .. } => {
                field("pictures", (*count).into());
            }
            Self::ClockJump { by, announced, .. } => {
                field("by_ms", by.as_millis().into());
                field("announced", i64::from(*announced).into());
            }
            Self::OtherPrograms { others, .. } => field("others", (*others).into()),
            Self::NotHeld { packets } => field("packets", (*packets).into()),
            Self::SoundNotSplit { bytes } => field("bytes", (*bytes).into()),
            Self::PointsMissed { count, .. } => field("points", (*count).into()),
            Self::ClockBroken { jumps } | Self::JumpsNotFollowed { jumps } => {
                field("jumps", (*jumps).into());
            }
            Self::ClockWrap { .. } | Self::ProgramChange { .. } | Self::StampNotMoved { .. } => {}
        }
    }
}
