//! Splice commands (SCTE 35 §9.7).

use super::insert::{read_splice_time, write_splice_time};
use super::{BreakDuration, SpliceInsert};
use crate::ts::{Pts, Put, Take};
use crate::units::WallTime;

/// A splice command.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SpliceCommand<'a> {
    /// splice_null: a sign of life.
    Null,
    /// splice_schedule: splices by the wall clock.
    Schedule(SpliceSchedule<'a>),
    /// splice_insert: out to, or back from, an advertisement.
    Insert(SpliceInsert<'a>),
    /// time_signal: the time that the descriptors speak of; `None` is at once.
    TimeSignal(Option<Pts>),
    /// bandwidth_reservation.
    BandwidthReservation,
    /// private_command.
    Private {
        /// Whose it is.
        identifier: [u8; 4],
        /// What it says.
        bytes: &'a [u8],
    },
    /// A splice_command_type that is reserved.
    Reserved {
        /// splice_command_type.
        kind: u8,
        /// What it says.
        bytes: &'a [u8],
    },
}

impl<'a> SpliceCommand<'a> {
    /// splice_command_type.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Null => 0x00,
            Self::Schedule(_) => 0x04,
            Self::Insert(_) => 0x05,
            Self::TimeSignal(_) => 0x06,
            Self::BandwidthReservation => 0x07,
            Self::Private { .. } => 0xFF,
            Self::Reserved { kind, .. } => *kind,
        }
    }

    /// The name of the command in the standard.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Null => "splice_null",
            Self::Schedule(_) => "splice_schedule",
            Self::Insert(_) => "splice_insert",
            Self::TimeSignal(_) => "time_signal",
            Self::BandwidthReservation => "bandwidth_reservation",
            Self::Private { .. } => "private_command",
            Self::Reserved { .. } => "reserved",
        }
    }

    /// The command in `bytes`, which are all of it; `None` when it is cut off.
    pub(super) fn read(kind: u8, bytes: &'a [u8]) -> Option<Self> {
        let mut take = Take::new(bytes);
        match kind {
            0xFF => Some(Self::Private {
                identifier: take.array()?,
                bytes: take.rest(),
            }),
            0x00 | 0x04..=0x07 => Self::read_open(kind, &mut take),
            _ => Some(Self::Reserved { kind, bytes }),
        }
    }

    /// The command at the start of `take`, whose length is not known; `None` when it is cut off
    /// or of a kind that does not tell its end.
    pub(super) fn read_open(kind: u8, take: &mut Take<'a>) -> Option<Self> {
        match kind {
            0x00 => Some(Self::Null),
            0x04 => SpliceSchedule::read(take).map(Self::Schedule),
            0x05 => SpliceInsert::read(take).map(Self::Insert),
            0x06 => read_splice_time(take).map(Self::TimeSignal),
            0x07 => Some(Self::BandwidthReservation),
            _ => None,
        }
    }

    pub(super) fn write(&self, put: &mut Put<'_>) {
        match self {
            Self::Null | Self::BandwidthReservation => {}
            Self::Schedule(schedule) => schedule.write(put),
            Self::Insert(insert) => insert.write(put),
            Self::TimeSignal(time) => write_splice_time(*time, put),
            Self::Private { identifier, bytes } => {
                put.bytes(identifier);
                put.bytes(bytes);
            }
            Self::Reserved { bytes, .. } => put.bytes(bytes),
        }
    }
}

/// splice_schedule (§9.7.2): splices by the wall clock, to be announced again in time by
/// splice_insert.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpliceSchedule<'a> {
    count: u8,
    events: &'a [u8],
}

/// One splice of a [`SpliceSchedule`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ScheduledSplice {
    /// splice_event_id.
    pub event: u32,
    /// splice_event_cancel_indicator: an earlier message about this event is void.
    pub cancel: bool,
    /// out_of_network_indicator: to the advertisement, not back.
    pub out_of_network: bool,
    /// utc_splice_time, of the whole program or of its first component; `None` when cancelled.
    pub time: Option<WallTime>,
    /// break_duration.
    pub duration: Option<BreakDuration>,
    /// unique_program_id.
    pub program: u16,
}

impl<'a> SpliceSchedule<'a> {
    fn read(take: &mut Take<'a>) -> Option<Self> {
        let count = take.u8()?;
        let events = take.rest();
        for _ in 0..count {
            read_scheduled(take)?;
        }
        let events = events.get(..events.len() - take.rest().len())?;
        Some(Self { count, events })
    }

    fn write(&self, put: &mut Put<'_>) {
        put.u8(self.count);
        put.bytes(self.events);
    }

    /// The splices in order.
    pub fn splices(&self) -> impl Iterator<Item = ScheduledSplice> + use<'a> {
        let mut take = Take::new(self.events);
        std::iter::from_fn(move || read_scheduled(&mut take))
    }
}

fn read_scheduled(take: &mut Take<'_>) -> Option<ScheduledSplice> {
    /// From 1980-01-06, where utc_splice_time counts from, back to 1970-01-01. The field is GPS
    /// time; the leap seconds since are not known here and left in.
    const GPS_EPOCH_MS: i64 = 315_964_800_000;
    let event = take.u32()?;
    let cancel = take.u8()? & 0x80 != 0;
    let mut splice = ScheduledSplice {
        event,
        cancel,
        out_of_network: false,
        time: None,
        duration: None,
        program: 0,
    };
    if cancel {
        return Some(splice);
    }
    let at = |s: u32| WallTime::from_unix_millis(i64::from(s) * 1000 + GPS_EPOCH_MS);
    let flags = take.u8()?;
    splice.out_of_network = flags & 0x80 != 0;
    if flags & 0x40 != 0 {
        splice.time = Some(at(take.u32()?));
    } else {
        for _ in 0..take.u8()? {
            take.u8()?; // component_tag
            let time = at(take.u32()?);
            splice.time = splice.time.or(Some(time));
        }
    }
    if flags & 0x20 != 0 {
        splice.duration = Some(BreakDuration::read(take)?);
    }
    splice.program = take.u16()?;
    take.u16()?; // avail_num, avails_expected
    Some(splice)
}
