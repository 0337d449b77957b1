//! splice_insert and its parts (SCTE 35 §9.7.3, §9.8).

use crate::ts::{Pts, Put, Take};
use crate::units::Ticks27M;

/// splice_insert: leave for an advertisement, or come back.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpliceInsert<'a> {
    /// splice_event_id; a repeated message has the same.
    pub event: u32,
    /// splice_event_cancel_indicator: an earlier message about this event is void, and nothing
    /// below means anything.
    pub cancel: bool,
    /// out_of_network_indicator: to the advertisement, not back.
    pub out_of_network: bool,
    /// What splices, and when.
    pub target: SpliceTarget<'a>,
    /// event_id_compliance_flag as in the stream: 0 says that splice_event_id follows the rules.
    pub event_id_compliance: bool,
    /// break_duration.
    pub duration: Option<BreakDuration>,
    /// unique_program_id.
    pub program: u16,
    /// avail_num: which advertisement of the break, from 1; 0 when not counted.
    pub avail: u8,
    /// avails_expected.
    pub avails_expected: u8,
}

/// What a [`SpliceInsert`] splices, and when. Times are before pts_adjustment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SpliceTarget<'a> {
    /// The whole program, at the next opportunity.
    Immediate,
    /// The whole program at that time; `None` leaves the time to another message.
    Program(Option<Pts>),
    /// Some components, each at its time (deprecated).
    Components {
        /// At the next opportunity: components have no times.
        immediate: bool,
        /// component_count and the components.
        bytes: &'a [u8],
    },
}

impl<'a> SpliceTarget<'a> {
    /// The time, of the program or of the first component that has one.
    pub fn time(&self) -> Option<Pts> {
        match self {
            Self::Immediate => None,
            Self::Program(time) => *time,
            Self::Components { .. } => self.components().find_map(|(_, time)| time),
        }
    }

    /// component_tag and time of each component.
    pub fn components(&self) -> impl Iterator<Item = (u8, Option<Pts>)> + use<'a> {
        let (immediate, bytes) = match self {
            Self::Components { immediate, bytes } => (*immediate, bytes.get(1..)),
            _ => (true, None),
        };
        let mut take = Take::new(bytes.unwrap_or_default());
        std::iter::from_fn(move || read_component(&mut take, immediate))
    }
}

fn read_component(take: &mut Take<'_>, immediate: bool) -> Option<(u8, Option<Pts>)> {
    let tag = take.u8()?;
    let time = if immediate {
        None
    } else {
        read_splice_time(take)?
    };
    Some((tag, time))
}

/// splice_time: `Some(None)` where no time is specified, `None` where it is cut off.
pub(super) fn read_splice_time(take: &mut Take<'_>) -> Option<Option<Pts>> {
    let mut ahead = *take;
    if ahead.u8()? & 0x80 == 0 {
        *take = ahead;
        return Some(None);
    }
    take.u40().map(|field| Some(Pts::wrapping(field)))
}

pub(super) fn write_splice_time(time: Option<Pts>, put: &mut Put<'_>) {
    match time {
        Some(time) => put.u40(0xFE_0000_0000 | time.ticks()), // six reserved bits, ones
        None => put.u8(0x7F),
    }
}

/// break_duration (§9.8.2).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BreakDuration {
    /// auto_return: the splicer comes back by itself at its end.
    pub auto_return: bool,
    /// duration, whole ticks of 90 kHz, below 2^33 of them.
    pub duration: Ticks27M,
}

impl BreakDuration {
    pub(super) fn read(take: &mut Take<'_>) -> Option<Self> {
        let field = take.u40()?;
        Some(Self {
            auto_return: field >> 39 != 0,
            duration: Ticks27M::new((field & 0x1_FFFF_FFFF) as i64 * 300),
        })
    }

    fn write(self, put: &mut Put<'_>) {
        let ticks = Pts::wrapping((self.duration.get() / 300) as u64).ticks();
        put.u40((self.auto_return as u64) << 39 | 0x7E_0000_0000 | ticks);
    }
}

impl<'a> SpliceInsert<'a> {
    /// A message that voids earlier ones about the event.
    pub const fn cancelled(event: u32) -> Self {
        Self {
            event,
            cancel: true,
            out_of_network: false,
            target: SpliceTarget::Immediate,
            event_id_compliance: true,
            duration: None,
            program: 0,
            avail: 0,
            avails_expected: 0,
        }
    }

    pub(super) fn read(take: &mut Take<'a>) -> Option<Self> {
        let mut insert = Self::cancelled(take.u32()?);
        insert.cancel = take.u8()? & 0x80 != 0;
        if insert.cancel {
            return Some(insert);
        }
        let flags = take.u8()?;
        let immediate = flags & 0x10 != 0;
        insert.out_of_network = flags & 0x80 != 0;
        insert.event_id_compliance = flags & 0x08 != 0;
        insert.target = match (flags & 0x40 != 0, immediate) {
            (true, true) => SpliceTarget::Immediate,
            (true, false) => SpliceTarget::Program(read_splice_time(take)?),
            (false, _) => {
                let bytes = take.rest();
                for _ in 0..take.u8()? {
                    read_component(take, immediate)?;
                }
                let bytes = bytes.get(..bytes.len() - take.rest().len())?;
                SpliceTarget::Components { immediate, bytes }
            }
        };
        if flags & 0x20 != 0 {
            insert.duration = Some(BreakDuration::read(take)?);
        }
        insert.program = take.u16()?;
        insert.avail = take.u8()?;
        insert.avails_expected = take.u8()?;
        Some(insert)
    }

    pub(super) fn write(&self, put: &mut Put<'_>) {
        put.u32(self.event);
        put.u8((self.cancel as u8) << 7 | 0x7F);
        if self.cancel {
            return;
        }
        let (program, immediate) = match self.target {
            SpliceTarget::Immediate => (true, true),
            SpliceTarget::Program(_) => (true, false),
            SpliceTarget::Components { immediate, .. } => (false, immediate),
        };
        put.u8((self.out_of_network as u8) << 7
            | (program as u8) << 6
            | (self.duration.is_some() as u8) << 5
            | (immediate as u8) << 4
            | (self.event_id_compliance as u8) << 3
            | 0x07);
        match self.target {
            SpliceTarget::Immediate => {}
            SpliceTarget::Program(time) => write_splice_time(time, put),
            SpliceTarget::Components { bytes, .. } => put.bytes(bytes),
        }
        if let Some(duration) = self.duration {
            duration.write(put);
        }
        put.u16(self.program);
        put.u8(self.avail);
        put.u8(self.avails_expected);
    }
}
