//! The records of a side index: what they say, and how they are written.

use crate::ts::{Pcr, Pid, Pts, crc32};
use crate::units::{Ticks27M, WallTime};

use super::{RECORD_SIZE, put};

/// Bytes of text in one continuation record.
pub(super) const TEXT_PER_RECORD: usize = 32;
/// Continuation records a text may have: 256 bytes, what a title of EN 300 468 can hold.
const TEXT_RECORDS: usize = 8;

/// Why there is nothing in the ring for a while.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum GapCause {
    /// Nothing arrived.
    Silence,
    /// The recorder was not running.
    NotRunning,
    /// The disk took nothing more.
    DiskFull,
    /// The disk failed, or became read-only.
    DiskError,
    /// The queue before the disk overflowed: the disk was too slow.
    Overflow,
    /// The wall clock was set forward.
    ClockStep,
    /// Un-synced data was lost with the power, and null packets stand in their place.
    PowerLoss,
    /// What was recorded is gone: its files were removed, or a file system lost them.
    Missing,
    /// A cause this version does not know.
    Other,
}

impl GapCause {
    const ALL: [Self; 9] = [
        Self::Other,
        Self::Silence,
        Self::NotRunning,
        Self::DiskFull,
        Self::DiskError,
        Self::Overflow,
        Self::ClockStep,
        Self::PowerLoss,
        Self::Missing,
    ];

    fn code(self) -> u8 {
        Self::ALL
            .iter()
            .position(|c| *c == self)
            .map_or(0, |at| at as u8)
    }

    fn from_code(code: u8) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::Other)
    }

    /// The cause of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// The stable word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::NotRunning => "not_running",
            Self::DiskFull => "disk_full",
            Self::DiskError => "disk_error",
            Self::Overflow => "overflow",
            Self::ClockStep => "clock_step",
            Self::PowerLoss => "power_loss",
            Self::Missing => "missing",
            Self::Other => "other",
        }
    }
}

/// What a decoder may do with a random-access point.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// Only random_access_indicator says so.
    Indicated,
    /// Every picture after it can be decoded.
    Closed,
    /// Leading pictures after it need what was before.
    Open,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A program clock reference, about one a second and PID.
    Pcr {
        /// Where it was carried.
        pid: Pid,
        /// Its value.
        pcr: Pcr,
        /// discontinuity_indicator, or a jump without one.
        discontinuity: bool,
    },
    /// A decoder can start here.
    RandomAccess {
        /// The video PID.
        pid: Pid,
        /// What may be decoded from here.
        kind: AccessKind,
        /// PTS of the picture.
        pts: Option<Pts>,
        /// The UTC at which the program's clock reaches that PTS.
        presentation: Option<WallTime>,
    },
    /// Packets of a PID are missing, by its continuity counter.
    Discontinuity {
        /// The PID.
        pid: Pid,
        /// Breaks counted since the last such record of the segment, this one included.
        count: u64,
    },
    /// From the record's instant to `until` nothing could be recorded, or nothing came.
    Gap {
        /// Why.
        cause: GapCause,
        /// When it went on.
        until: WallTime,
        /// Packets known to have been lost.
        packets: u64,
    },
    /// Packets from the record's offset on came at its instant, later than their block says.
    Split,
    /// A program map table came or changed.
    Program {
        /// program_number.
        service: u16,
        /// Where it is carried.
        pmt_pid: Pid,
        /// Where its clock is carried.
        pcr_pid: Pid,
        /// version_number.
        version: u8,
        /// CRC-32 of the section.
        crc: u32,
    },
    /// A service got its name.
    Service {
        /// service_id.
        service: u16,
        /// service_type.
        kind: u8,
        /// Name, from the SDT.
        name: String,
    },
    /// EIT present changed to this event.
    Event {
        /// service_id.
        service: u16,
        /// event_id.
        event: u16,
        /// Announced start.
        start: Option<WallTime>,
        /// Announced duration in seconds.
        duration_s: u32,
        /// Title.
        title: String,
    },
    /// An SCTE-35 command.
    Splice {
        /// Where it was carried.
        pid: Pid,
        /// splice_command_type.
        command: u8,
        /// splice_event_id, where the command has one.
        event: Option<u32>,
        /// When it takes effect, on the programme's clock, adjusted.
        pts: Option<Pts>,
    },
    /// The wall clock was set, by so much.
    ClockStep {
        /// Forward when positive.
        by: Ticks27M,
    },
    /// A segment that was closed, in the digest of later ones.
    Segment(SegmentSummary),
    /// Everything before the record's offset is in this index.
    Mark {
        /// The segment is complete.
        closed: bool,
    },
}

/// What the digest tells of a closed segment; its first stamp is the record's instant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The number in its name.
    pub number: i64,
    /// Bytes of its packets.
    pub bytes: u64,
    /// Milliseconds from its first stamp to its last.
    pub span_ms: u32,
    /// Random-access points.
    pub random_access: u32,
    /// Breaks of continuity.
    pub discontinuities: u32,
}

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Byte of the segment the record speaks of.
    pub offset: u64,
    /// When that byte was received.
    pub at: WallTime,
    /// What it says.
    pub what: What,
}

pub(super) mod kind {
    pub(in super::super) const PCR: u8 = 1;
    pub(in super::super) const RANDOM_ACCESS: u8 = 2;
    pub(in super::super) const DISCONTINUITY: u8 = 3;
    pub(in super::super) const GAP: u8 = 4;
    pub(in super::super) const SPLIT: u8 = 5;
    pub(in super::super) const PROGRAM: u8 = 6;
    pub(in super::super) const SERVICE: u8 = 7;
    pub(in super::super) const EVENT: u8 = 8;
    pub(in super::super) const SPLICE: u8 = 9;
    pub(in super::super) const CLOCK_STEP: u8 = 10;
    pub(in super::super) const SEGMENT: u8 = 11;
    pub(in super::super) const MARK: u8 = 12;
    pub(in super::super) const TEXT: u8 = 255;
}

/// "There is none" in a field of 64 bits whose values are smaller.
const NONE: u64 = u64::MAX;

/// The raw fields of a record, in order.
#[derive(Copy, Clone, Default)]
pub(super) struct Raw {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) id: u16,
    pub(super) offset: u64,
    pub(super) at: u64,
    pub(super) a: u64,
    pub(super) b: u64,
}

impl Raw {
    fn encode(self) -> [u8; RECORD_SIZE] {
        let mut bytes = [0; RECORD_SIZE];
        put(&mut bytes, 0, &[self.kind, self.flags]);
        put(&mut bytes, 2, &self.id.to_be_bytes());
        put(&mut bytes, 8, &self.offset.to_be_bytes());
        put(&mut bytes, 16, &self.at.to_be_bytes());
        put(&mut bytes, 24, &self.a.to_be_bytes());
        put(&mut bytes, 32, &self.b.to_be_bytes());
        seal(bytes)
    }
}

/// Puts the checksum, which is that of the record with a checksum of zero.
pub(super) fn seal(mut bytes: [u8; RECORD_SIZE]) -> [u8; RECORD_SIZE] {
    put(&mut bytes, 4, &[0; 4]);
    let check = crc32(&bytes);
    put(&mut bytes, 4, &check.to_be_bytes());
    bytes
}

impl Record {
    /// A record.
    pub const fn new(offset: u64, at: WallTime, what: What) -> Self {
        Self { offset, at, what }
    }

    /// True for what the digest of later segments carries on.
    pub const fn lasts(&self) -> bool {
        matches!(
            self.what,
            What::Gap { .. }
                | What::Program { .. }
                | What::Service { .. }
                | What::Event { .. }
                | What::Splice { .. }
                | What::ClockStep { .. }
                | What::Segment(_)
        )
    }

    /// Appends the record, and the continuation records of its text.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (raw, text) = self.raw();
        out.extend_from_slice(&raw.encode());
        for chunk in text.as_bytes().chunks(TEXT_PER_RECORD).take(TEXT_RECORDS) {
            let mut bytes = [0; RECORD_SIZE];
            put(&mut bytes, 0, &[kind::TEXT, chunk.len() as u8]);
            put(&mut bytes, 8, chunk);
            out.extend_from_slice(&seal(bytes));
        }
    }

    /// How many fixed records `encode` appends.
    pub fn slots(&self) -> u32 {
        let (_, text) = self.raw();
        1 + text.len().div_ceil(TEXT_PER_RECORD).min(TEXT_RECORDS) as u32
    }

    fn raw(&self) -> (Raw, &str) {
        let mut raw = Raw {
            offset: self.offset,
            at: self.at.ticks() as u64,
            ..Raw::default()
        };
        let mut text = "";
        match &self.what {
            What::Pcr {
                pid,
                pcr,
                discontinuity,
            } => {
                (raw.kind, raw.id) = (kind::PCR, pid.get());
                (raw.flags, raw.a) = (u8::from(*discontinuity), pcr.ticks());
            }
            What::RandomAccess {
                pid,
                kind,
                pts,
                presentation,
            } => {
                (raw.kind, raw.id) = (kind::RANDOM_ACCESS, pid.get());
                raw.flags = match kind {
                    AccessKind::Indicated => 0,
                    AccessKind::Closed => 1,
                    AccessKind::Open => 2,
                };
                raw.a = pts.map_or(NONE, Pts::ticks);
                raw.b = presentation.map_or(NONE, |t| t.ticks() as u64);
            }
            What::Discontinuity { pid, count } => {
                (raw.kind, raw.id, raw.a) = (kind::DISCONTINUITY, pid.get(), *count);
            }
            What::Gap {
                cause,
                until,
                packets,
            } => {
                (raw.kind, raw.flags) = (kind::GAP, cause.code());
                (raw.a, raw.b) = (until.ticks() as u64, *packets);
            }
            What::Split => raw.kind = kind::SPLIT,
            What::Program {
                service,
                pmt_pid,
                pcr_pid,
                version,
                crc,
            } => {
                (raw.kind, raw.id, raw.flags) = (kind::PROGRAM, *service, *version);
                raw.a = u64::from(pmt_pid.get()) << 16 | u64::from(pcr_pid.get());
                raw.b = u64::from(*crc);
            }
            What::Service {
                service,
                kind,
                name,
            } => {
                (raw.kind, raw.id, raw.flags) = (kind::SERVICE, *service, *kind);
                text = name;
            }
            What::Event {
                service,
                event,
                start,
                duration_s,
                title,
            } => {
                (raw.kind, raw.id) = (kind::EVENT, *service);
                raw.a = u64::from(*event) << 32 | u64::from(*duration_s);
                raw.b = start.map_or(NONE, |t| t.ticks() as u64);
                text = title;
            }
            What::Splice {
                pid,
                command,
                event,
                pts,
            } => {
                (raw.kind, raw.id, raw.flags) = (kind::SPLICE, pid.get(), *command);
                raw.a = event.map_or(NONE, u64::from);
                raw.b = pts.map_or(NONE, Pts::ticks);
            }
            What::ClockStep { by } => {
                (raw.kind, raw.a) = (kind::CLOCK_STEP, by.get() as u64);
            }
            What::Segment(s) => {
                (raw.kind, raw.offset) = (kind::SEGMENT, s.bytes);
                raw.a = u64::from(s.span_ms) << 32 | u64::from(s.discontinuities);
                raw.b = (s.number as u64) << 24 | u64::from(s.random_access.min(0xFF_FFFF));
            }
            What::Mark { closed } => {
                (raw.kind, raw.flags) = (kind::MARK, u8::from(*closed));
            }
        }
        (raw, text)
    }

    pub(super) fn from_raw(raw: Raw, text: String) -> Option<Self> {
        let pid = Pid::from_field(raw.id);
        let instant = |ticks: u64| (ticks != NONE).then(|| WallTime::from_ticks(ticks as i64));
        let what = match raw.kind {
            kind::PCR => What::Pcr {
                pid,
                pcr: Pcr::from_ticks(raw.a)?,
                discontinuity: raw.flags & 1 != 0,
            },
            kind::RANDOM_ACCESS => What::RandomAccess {
                pid,
                kind: match raw.flags {
                    1 => AccessKind::Closed,
                    2 => AccessKind::Open,
                    _ => AccessKind::Indicated,
                },
                pts: Pts::from_ticks(raw.a),
                presentation: instant(raw.b),
            },
            kind::DISCONTINUITY => What::Discontinuity { pid, count: raw.a },
            kind::GAP => What::Gap {
                cause: GapCause::from_code(raw.flags),
                until: WallTime::from_ticks(raw.a as i64),
                packets: raw.b,
            },
            kind::SPLIT => What::Split,
            kind::PROGRAM => What::Program {
                service: raw.id,
                pmt_pid: Pid::from_field((raw.a >> 16) as u16),
                pcr_pid: Pid::from_field(raw.a as u16),
                version: raw.flags,
                crc: raw.b as u32,
            },
            kind::SERVICE => What::Service {
                service: raw.id,
                kind: raw.flags,
                name: text,
            },
            kind::EVENT => What::Event {
                service: raw.id,
                event: (raw.a >> 32) as u16,
                start: instant(raw.b),
                duration_s: raw.a as u32,
                title: text,
            },
            kind::SPLICE => What::Splice {
                pid,
                command: raw.flags,
                event: u32::try_from(raw.a).ok(),
                pts: Pts::from_ticks(raw.b),
            },
            kind::CLOCK_STEP => What::ClockStep {
                by: Ticks27M::new(raw.a as i64),
            },
            kind::SEGMENT => What::Segment(SegmentSummary {
                number: (raw.b >> 24) as i64,
                bytes: raw.offset,
                span_ms: (raw.a >> 32) as u32,
                random_access: raw.b as u32 & 0xFF_FFFF,
                discontinuities: raw.a as u32,
            }),
            kind::MARK => What::Mark {
                closed: raw.flags & 1 != 0,
            },
            _ => return None,
        };
        let offset = if raw.kind == kind::SEGMENT {
            0
        } else {
            raw.offset
        };
        Some(Self::new(offset, WallTime::from_ticks(raw.at as i64), what))
    }
}
