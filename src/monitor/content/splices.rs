//! The log of splice information (SCTE 35): each command once, its repeats counted.

use serde::Serialize;

use super::log::Log;
use crate::monitor::{Moment, Seen};
use crate::si::{Segmentation, ServiceId, SpliceCommand, SpliceInfo, SpliceTarget};
use crate::stream::SectionAssembler;
use crate::ts::{Pcr, Pid, Section};
use crate::units::Ticks27M;

/// A command, as it came first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Splice {
    /// When.
    pub at_ms: i64,
    /// Packets before it.
    pub at_packet: u64,
    /// Where.
    pub pid: u16,
    /// The first service with that PID.
    pub service: Option<ServiceId>,
    /// The name in the standard; `encrypted` or `unreadable` where it cannot be read.
    pub command: &'static str,
    /// splice_event_id of a splice_insert.
    pub event_id: Option<u32>,
    /// An earlier message about the event is void.
    pub cancelled: bool,
    /// To the advertisement (true) or back (false), of a splice_insert.
    pub out_of_network: Option<bool>,
    /// At the next opportunity.
    pub immediate: bool,
    /// When it takes effect, pts_adjustment added.
    pub splice_pts: Option<u64>,
    /// From its arrival until the program's clock reaches that; negative when it came too late.
    pub pre_roll_ms: Option<i64>,
    /// break_duration of a splice_insert.
    pub duration_ms: Option<i64>,
    /// What begins or ends, of a time_signal.
    pub segmentations: Vec<SpliceSegment>,
    /// How often it came again.
    pub repeats_total: u64,
    /// When it came last.
    pub last_ms: i64,
}

/// A segmentation_descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpliceSegment {
    /// segmentation_event_id.
    pub event_id: u32,
    /// An earlier message about the event is void.
    pub cancelled: bool,
    /// segmentation_type_id.
    pub type_id: u8,
    /// Its name in the standard.
    pub type_name: Option<&'static str>,
    /// segmentation_duration.
    pub duration_ms: Option<i64>,
    /// segmentation_upid: as text where it is printable, else in hexadecimal.
    pub upid: String,
}

impl From<Segmentation<'_>> for SpliceSegment {
    fn from(s: Segmentation<'_>) -> Self {
        let printable = s.upid.iter().all(|b| (0x20..0x7F).contains(b));
        Self {
            event_id: s.event,
            cancelled: s.cancel,
            type_id: s.kind,
            type_name: s.kind_name().filter(|_| !s.cancel),
            duration_ms: s.duration.map(Ticks27M::as_millis),
            upid: match printable {
                true => String::from_utf8_lossy(s.upid).into_owned(),
                false => s.upid.iter().map(|b| format!("{b:02x}")).collect(),
            },
        }
    }
}

/// Entries back from the newest that a repeat is looked for in.
const REPEATS_WITHIN: usize = 32;
/// Segmentation descriptors of a command that are logged.
const MAX_SEGMENTS: usize = 32;

/// What one PID of splice information has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SplicePid {
    /// The PID.
    pub pid: u16,
    /// splice_null and bandwidth_reservation: signs of life, not logged.
    pub heartbeats_total: u64,
    /// Sections whose CRC_32 is wrong, or that cannot be read, or that were lost.
    pub damaged_total: u64,
}

/// Follows one PID.
#[derive(Debug)]
pub(super) struct SpliceWatch {
    assembler: SectionAssembler,
    service: Option<ServiceId>,
    /// Whose clock counts.
    pub(super) pcr_pid: Option<Pid>,
    figures: SplicePid,
}

/// A clock of a program: a PCR, and when it came.
pub(super) type Clock = (Pcr, Ticks27M);

impl SpliceWatch {
    pub(super) fn new(pid: Pid) -> Self {
        Self {
            assembler: SectionAssembler::new(pid),
            service: None,
            pcr_pid: None,
            figures: SplicePid {
                pid: pid.get(),
                ..SplicePid::default()
            },
        }
    }

    /// The first service with this PID, and where its clock is.
    pub(super) const fn belongs_to(&mut self, service: ServiceId, pcr_pid: Option<Pid>) {
        self.service = Some(service);
        self.pcr_pid = pcr_pid;
    }

    pub(super) const fn figures(&self) -> &SplicePid {
        &self.figures
    }

    pub(super) fn push(&mut self, seen: &Seen<'_>, clock: Option<Clock>, log: &mut Log<Splice>) {
        let (service, pid, figures) = (self.service, seen.pid, &mut self.figures);
        self.assembler.push(seen.packet, |section| {
            let section = section.ok().and_then(|bytes| Section::new(bytes).ok());
            let Some(info) = section.and_then(|s| SpliceInfo::new(s).ok()) else {
                figures.damaged_total += 1;
                return;
            };
            match info.command() {
                Some(SpliceCommand::Null | SpliceCommand::BandwidthReservation) => {
                    figures.heartbeats_total += 1;
                }
                _ => enter(entry(&info, seen.at, pid, service, clock), log),
            }
        });
    }
}

/// Logs a command, or counts it as the repeat of one.
fn enter(entry: Splice, log: &mut Log<Splice>) {
    let mut newest = log.entries.iter_mut().rev().take(REPEATS_WITHIN);
    match newest.find(|known| same(known, &entry)) {
        Some(known) => {
            known.repeats_total += 1;
            known.last_ms = entry.at_ms;
        }
        None => log.push(entry),
    }
}

/// The same message: it says the same of the same events.
fn same(a: &Splice, b: &Splice) -> bool {
    let of = |s: &Splice| {
        let flags = (s.cancelled, s.out_of_network, s.immediate);
        (
            s.pid,
            s.command,
            s.event_id,
            flags,
            s.splice_pts,
            s.duration_ms,
        )
    };
    of(a) == of(b) && a.segmentations == b.segmentations
}

fn entry(
    info: &SpliceInfo<'_>,
    at: Moment,
    pid: Pid,
    service: Option<ServiceId>,
    clock: Option<Clock>,
) -> Splice {
    let insert = match info.command() {
        Some(SpliceCommand::Insert(insert)) => Some(insert),
        _ => None,
    };
    let said = insert.filter(|i| !i.cancel);
    let at_once = |target| match target {
        SpliceTarget::Immediate => true,
        SpliceTarget::Components { immediate, .. } => immediate,
        SpliceTarget::Program(_) => false,
    };
    let pts = info
        .splice_time()
        .filter(|_| insert.is_none_or(|i| !i.cancel));
    let now = clock.map(|(pcr, then)| pcr + (at.time - then));
    let segmentations = info.descriptors().all::<Segmentation<'_>>();
    Splice {
        at_ms: at.time.as_millis(),
        at_packet: at.position,
        pid: pid.get(),
        service,
        command: match info.command() {
            Some(command) => command.name(),
            None if info.is_encrypted() => "encrypted",
            None => "unreadable",
        },
        event_id: insert.map(|i| i.event),
        cancelled: insert.is_some_and(|i| i.cancel),
        out_of_network: said.map(|i| i.out_of_network),
        immediate: said.is_some_and(|i| at_once(i.target))
            || matches!(info.command(), Some(SpliceCommand::TimeSignal(None))),
        splice_pts: pts.map(|p| p.ticks()),
        pre_roll_ms: pts.zip(now).map(|(pts, now)| (pts - now).as_millis()),
        duration_ms: said
            .and_then(|i| i.duration)
            .map(|d| d.duration.as_millis()),
        segmentations: segmentations.take(MAX_SEGMENTS).map(Into::into).collect(),
        repeats_total: 0,
        last_ms: at.time.as_millis(),
    }
}
