//! A stream of a leg: where it is entered and left, and how far it went.

use std::collections::VecDeque;

use super::super::input::InputStream;
use super::super::unit::Unit;
use crate::ts::Packet;
use crate::units::{StreamTime, Ticks27M};

/// Where a stream is entered, on the input's line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::switch) enum From {
    /// At this unit.
    Unit(u64),
    /// At what is presented from here on.
    Presented(StreamTime),
    /// At what stands from here on.
    Placed(StreamTime),
}

/// Where a stream is left, on the input's line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::switch) enum Until {
    /// Before this unit.
    Unit(u64),
    /// Before what is presented from here on.
    Presented(StreamTime),
    /// Before what stands from here on.
    Placed(StreamTime),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Waiting,
    Open,
    Closed,
}

/// A stream of a leg.
#[derive(Debug)]
pub(in crate::switch) struct LegStream {
    /// Where it goes; nowhere when the layout has no room.
    pub(in crate::switch) slot: Option<usize>,
    pub(in crate::switch) from: From,
    pub(in crate::switch) until: Option<Until>,
    pub(super) gate: Gate,
    /// When its first picture or sound is presented.
    pub(in crate::switch) begins: Option<StreamTime>,
    /// Pictures presented before this follow a point at which was entered, and do not decode.
    pub(super) floor: Option<StreamTime>,
    /// Packets of the unit in front that were sent.
    pub(super) sent: usize,
    /// Packets that were made of a unit, to be sent first.
    pub(super) made: VecDeque<Packet>,
    pub(super) made_at: StreamTime,
    pub(super) made_by: Ticks27M,
    /// What comes next of the input follows what was sent last.
    pub(super) follows: bool,
    /// Where the sound ends that was sent.
    pub(in crate::switch) ended: Option<StreamTime>,
    /// The newest instant of presentation that was sent.
    pub(in crate::switch) newest: Option<StreamTime>,
    /// Units that were begun and never came whole.
    pub(in crate::switch) torn: u64,
    /// Units whose stamps are of another clock: they were left out.
    pub(in crate::switch) foreign: u64,
    /// Units that nobody can decode, as no CA system goes with them: they were left out.
    pub(in crate::switch) scrambled: u64,
}

impl LegStream {
    pub(super) fn new(
        slot: Option<usize>,
        from: From,
        begins: StreamTime,
        floor: Option<StreamTime>,
    ) -> Self {
        Self {
            begins: Some(begins),
            slot,
            from,
            until: None,
            gate: if slot.is_some() {
                Gate::Waiting
            } else {
                Gate::Closed
            },
            floor,
            sent: 0,
            made: VecDeque::new(),
            made_at: StreamTime::default(),
            made_by: Ticks27M::ZERO,
            follows: false,
            ended: None,
            newest: None,
            torn: 0,
            foreign: 0,
            scrambled: 0,
        }
    }

    /// A unit that stands before the point of entry, or follows it and does not decode.
    pub(in crate::switch) fn is_passed_over(&self, unit: &Unit) -> bool {
        let before = matches!(self.from, From::Unit(serial) if unit.serial < serial);
        before
            || self
                .floor
                .zip(unit.pts)
                .is_some_and(|(floor, pts)| pts < floor)
    }

    pub(super) fn sounds_until(&mut self, end: Option<StreamTime>) {
        self.ended = self.ended.max(end);
        self.newest = self.newest.max(end);
    }

    /// Nothing more of it is sent.
    pub(in crate::switch) fn is_over(&self) -> bool {
        self.gate == Gate::Closed && self.made.is_empty()
    }

    /// True when the unit in front was begun.
    pub(in crate::switch) const fn is_inside(&self) -> bool {
        self.sent > 0
    }
}

pub(super) fn front(stream: &InputStream) -> Option<&Unit> {
    stream.units.front().or_else(|| stream.gatherer.open())
}

pub(super) fn drop_front(stream: &mut InputStream) {
    if stream.units.pop_front().is_none() {
        stream.gatherer.reset();
    }
}
