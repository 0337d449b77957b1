//! What a person must act upon, and what only has to be known.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::stream::event::{Event, Severity, Value};
use crate::units::{ByteCount, Ticks27M, WallTime};

use super::index::GapCause;

/// The system's number for a device that failed.
const EIO: i32 = 5;

/// Why a ring cannot be opened, written or read.
#[derive(Debug)]
pub enum RingError {
    /// Another recorder holds the ring.
    Locked {
        /// The ring.
        dir: PathBuf,
    },
    /// There is no segment in the directory.
    Empty {
        /// The directory.
        dir: PathBuf,
    },
    /// The settings file cannot be understood.
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        why: String,
    },
    /// The ring was written by a later version of these tools, in a format that this one does not
    /// know.
    Later {
        /// Its settings file.
        path: PathBuf,
        /// The format it is in.
        format: u64,
        /// The latest that can be read.
        latest: u32,
    },
    /// A segment length that a directory of files cannot have.
    SegmentLength {
        /// What was asked for.
        length: Ticks27M,
    },
    /// A span that a ring cannot be kept by.
    TooShort {
        /// Which, in words.
        what: &'static str,
        /// What was asked for.
        span: Ticks27M,
        /// What it is at least.
        least: Ticks27M,
    },
    /// More bytes than any disk has.
    TooLarge {
        /// What was asked for.
        size: ByteCount,
    },
    /// A ring of no bytes was asked for.
    NoRoom,
    /// Recording should start before what is there ends.
    StartsTooEarly {
        /// The start asked for.
        at: WallTime,
        /// Where the ring ends.
        end: WallTime,
    },
    /// The file system failed.
    Io {
        /// What was attempted, as a verb.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl RingError {
    /// For `map_err`: wraps the error of doing something with `path`.
    pub(super) fn io<'a>(
        doing: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// True when the words of a person are wrong, and trying again does not help.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Locked { .. })
    }

    /// What to type next, where one thing is likely.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locked { .. } => Some("one recorder a ring: stop the other, or use another DIR"),
            Self::Empty { .. } => Some("tsring record DIR fills it"),
            Self::Settings { .. } => Some("tsring check DIR --repair keeps the file aside"),
            Self::Later { .. } => {
                Some("nothing was changed: use the headend that recorded the ring")
            }
            Self::SegmentLength { .. } => Some("--segment takes 1s to 24h, in whole milliseconds"),
            Self::TooShort { .. } => Some("a unit may be missing: 24h, 5m, 500ms"),
            Self::TooLarge { .. } => Some("the unit may be wrong: 500M, 100G, 2T"),
            Self::NoRoom => Some("--max-bytes takes some segments' bytes: 100G"),
            Self::StartsTooEarly { .. } => Some("use a later --at, or an empty DIR"),
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some("'ls -ld DIR' and 'id' tell who may"),
                io::ErrorKind::StorageFull => Some("'df -h DIR' tells what is free"),
                io::ErrorKind::ReadOnlyFilesystem => {
                    Some("'findmnt -T DIR' tells how it is mounted; 'dmesg' may tell why")
                }
                io::ErrorKind::NotADirectory => Some("a ring is a directory: name another DIR"),
                _ if source.raw_os_error() == Some(EIO) => Some("'dmesg' tells what the disk said"),
                _ => None,
            },
        }
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { dir } => write!(f, "{}: another recorder holds it", dir.display()),
            Self::Empty { dir } => write!(f, "{}: nothing is recorded there", dir.display()),
            Self::Settings { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Later {
                path,
                format,
                latest,
            } => write!(
                f,
                "{}: written by a later headend, in format {format}: this one reads up to {latest}",
                path.display()
            ),
            Self::SegmentLength { length } => write!(f, "a segment cannot be {length} long"),
            Self::TooShort { what, span, least } => {
                write!(f, "{what} of {span} is too short: it is {least} at least")
            }
            Self::TooLarge { size } => write!(f, "{size} is more than any disk has"),
            Self::NoRoom => f.write_str("a ring of no bytes holds nothing"),
            Self::StartsTooEarly { at, end } => {
                write!(f, "recording from {at} on: the ring ends at {end}")
            }
            Self::Io {
                doing,
                path,
                source,
            } => {
                write!(f, "{doing} {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for RingError {}

/// What the ring observes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingEvent {
    /// A new recording joined one that ended `gap` ago.
    Resumed {
        /// From the last block to the first new one.
        gap: Ticks27M,
    },
    /// A segment's end was not whole, and was put right.
    Repaired {
        /// The segment.
        name: String,
        /// Bytes cut off that were no whole packet.
        cut_bytes: u64,
        /// Packets that a power loss left empty, now null packets.
        nulled_packets: u64,
        /// Stamps that were missing or wrong, now interpolated.
        stamps: u64,
    },
    /// Less is to be kept than a segment holds; segments go whole.
    KeepBelowSegment {
        /// What is to be kept.
        keep: Ticks27M,
        /// The segment length.
        segment: Ticks27M,
    },
    /// The settings of the ring or of an epoch cannot be believed, and are as good as missing, or
    /// those of an epoch are missing. A recorder keeps the file aside and makes another, who reads
    /// leaves it alone.
    SettingsDamaged {
        /// The file.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The settings were missing; what there is was told from the files.
    SettingsFound {
        /// The segment length in use before.
        segment: Ticks27M,
        /// How many segments say so.
        segments: usize,
        /// How long is kept from now on.
        keep: Ticks27M,
    },
    /// A file in the directory is none of the ring's; it is left alone.
    Foreign {
        /// Its name.
        name: String,
    },
    /// Writing failed; reception goes on and is counted as lost.
    WriteFailed {
        /// Why.
        cause: GapCause,
        /// The system's words.
        why: String,
    },
    /// Writing works again.
    WriteResumed {
        /// Packets lost meanwhile.
        packets: u64,
        /// How long.
        gap: Ticks27M,
    },
    /// The side index could not be written; it is made anew once the disk takes it.
    IndexFailed {
        /// The system's words.
        why: String,
    },
    /// The side index of a segment is as large as one may be, 240 MB: what comes in the rest of
    /// the segment is recorded, and not indexed.
    IndexFull {
        /// The segment.
        name: String,
    },
    /// The index of a segment was made anew from its packets.
    Reindexed {
        /// The segment.
        name: String,
    },
    /// One segment alone takes more than the ring may: the newest is never let go.
    SegmentOverLimit {
        /// Its bytes.
        bytes: u64,
        /// What the ring may take.
        most: u64,
    },
    /// fdatasync or the removal of an old segment failed.
    UpkeepFailed {
        /// What was attempted.
        doing: &'static str,
        /// The system's words.
        why: String,
    },
    /// The wall clock was set by more than a second.
    ClockStep {
        /// Forward when positive.
        by: Ticks27M,
    },
    /// Nothing came for a while.
    Silence {
        /// How long.
        gap: Ticks27M,
    },
    /// Old segments were let go before `--keep` for want of room.
    ShortOfRoom {
        /// The oldest instant left.
        oldest: WallTime,
    },
    /// A reader was overtaken: what it would have read next is gone.
    Lapped {
        /// Where it stood.
        from: WallTime,
        /// Where it goes on.
        to: WallTime,
    },
    /// The segment a reader stands in was let go: its data last until the reader leaves it.
    Expiring {
        /// Where the segment starts.
        segment: WallTime,
    },
    /// Stamps of a segment are missing or cannot be; its packets are dated by their neighbours,
    /// by the index, or by its name.
    StampsDamaged {
        /// The segment.
        name: String,
        /// How many stamps, each of a block of seven packets.
        stamps: u64,
    },
}

impl Event for RingEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Resumed { .. } => "ring_resumed",
            Self::Repaired { .. } => "ring_repaired",
            Self::KeepBelowSegment { .. } => "ring_keep_below_segment",
            Self::SettingsDamaged { .. } => "ring_settings_damaged",
            Self::SettingsFound { .. } => "ring_settings_found",
            Self::Foreign { .. } => "ring_foreign_file",
            Self::WriteFailed { .. } => "ring_write_failed",
            Self::WriteResumed { .. } => "ring_write_resumed",
            Self::IndexFailed { .. } => "ring_index_failed",
            Self::IndexFull { .. } => "ring_index_full",
            Self::Reindexed { .. } => "ring_reindexed",
            Self::SegmentOverLimit { .. } => "ring_segment_over_limit",
            Self::UpkeepFailed { .. } => "ring_upkeep_failed",
            Self::ClockStep { .. } => "ring_clock_step",
            Self::Silence { .. } => "ring_silence",
            Self::ShortOfRoom { .. } => "ring_short_of_room",
            Self::Lapped { .. } => "ring_reader_lapped",
            Self::Expiring { .. } => "ring_segment_expiring",
            Self::StampsDamaged { .. } => "ring_stamps_damaged",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Resumed { .. } | Self::Foreign { .. } | Self::Reindexed { .. } => Severity::Info,
            Self::WriteFailed { .. } | Self::WriteResumed { .. } | Self::Lapped { .. } => {
                Severity::Error
            }
            _ => Severity::Warning,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Resumed { gap } | Self::Silence { gap } => {
                field("gap_ms", gap.as_millis().into());
            }
            Self::Repaired {
                name,
                cut_bytes,
                nulled_packets,
                stamps,
            } => {
                field("segment", name.as_str().into());
                field("cut_bytes", (*cut_bytes).into());
                field("nulled_packets", (*nulled_packets).into());
                field("stamps", (*stamps).into());
            }
            Self::KeepBelowSegment { keep, segment } => {
                field("keep_ms", keep.as_millis().into());
                field("segment_ms", segment.as_millis().into());
            }
            Self::SettingsDamaged { name, why } => {
                field("file", name.as_str().into());
                field("why", why.as_str().into());
            }
            Self::SettingsFound {
                segment,
                segments,
                keep,
            } => {
                field("segment_ms", segment.as_millis().into());
                field("segments", (*segments as u64).into());
                field("keep_ms", keep.as_millis().into());
            }
            Self::Foreign { name } => field("file", name.as_str().into()),
            Self::StampsDamaged { name, stamps } => {
                field("segment", name.as_str().into());
                field("stamps", (*stamps).into());
            }
            Self::WriteFailed { cause, why } => {
                field("cause", cause.name().into());
                field("why", why.as_str().into());
            }
            Self::WriteResumed { packets, gap } => {
                field("lost_packets", (*packets).into());
                field("gap_ms", gap.as_millis().into());
            }
            Self::IndexFailed { why } => field("why", why.as_str().into()),
            Self::IndexFull { name } | Self::Reindexed { name } => {
                field("segment", name.as_str().into())
            }
            Self::SegmentOverLimit { bytes, most } => {
                field("segment_bytes", (*bytes).into());
                field("max_bytes", (*most).into());
            }
            Self::UpkeepFailed { doing, why } => {
                field("doing", (*doing).into());
                field("why", why.as_str().into());
            }
            Self::ClockStep { by } => field("by_ms", by.as_millis().into()),
            Self::ShortOfRoom { oldest } => field("oldest", oldest.to_string().into()),
            Self::Lapped { from, to } => {
                field("from", from.to_string().into());
                field("to", to.to_string().into());
            }
            Self::Expiring { segment } => field("segment", segment.to_string().into()),
        }
    }
}
