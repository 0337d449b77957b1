//! Where pictures and sounds stand in the stream, for a decoder that knows their time stamps only.

use std::collections::VecDeque;

use crate::ts::{PesHeader, Pid, Pts, Scrambling};
use crate::units::Ticks27M;

use super::{Moment, Seen};

/// Time stamps that are remembered: 12 s of a multiplex of twenty services, in 0.6 MB.
const MOST: usize = 16_384;
/// A stamp further from all of its PID than this is none of them.
const FARTHEST: Ticks27M = Ticks27M::SECOND;

/// The newest starts of PES packets with a PTS.
#[derive(Debug, Default)]
pub(super) struct Shown {
    log: VecDeque<(Pid, Pts, Moment)>,
}

impl Shown {
    /// Takes a packet in which a payload unit starts.
    pub(super) fn push(&mut self, seen: &Seen<'_>) {
        if seen.repeated || seen.packet.scrambling() != Scrambling::Clear {
            return;
        }
        if let Some(pts) = PesHeader::new(seen.packet.payload()).and_then(|pes| pes.pts()) {
            if self.log.len() >= MOST {
                self.log.pop_front();
            }
            self.log.push_back((seen.pid, pts, seen.at));
        }
    }

    /// Where the PES packet of `pid` began whose PTS is nearest to `pts`; the newest of several.
    pub(super) fn place_of(&self, pid: Pid, pts: Pts) -> Option<Moment> {
        let off = |other: Pts| Ticks27M::new((other - pts).get().abs());
        let of_pid = self.log.iter().rev().filter(|(other, ..)| *other == pid);
        of_pid
            .map(|(_, other, at)| (off(*other), *at))
            .filter(|(off, _)| *off <= FARTHEST)
            .min_by_key(|(off, _)| *off)
            .map(|(_, at)| at)
    }
}
