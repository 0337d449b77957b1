//! What continuity counters tell about where packets belong.

use super::Merge;
use super::cells::{Cell, NIL};
use super::leg::Run;
use crate::ts::{Packet, Pid};
use crate::units::Ticks27M;

/// How far off a packet of the same PID is looked for.
const FARTHEST: usize = 512;
/// How much later than what stands beside it comes what was overtaken, at most.
const OVERTAKEN: Ticks27M = Ticks27M::from_millis(10);

/// True when the counters of two packets tell which comes first.
pub(super) fn compares(a: &Packet, b: &Packet) -> bool {
    a.pid() == b.pid() && a.pid() != Pid::NULL && a.has_payload() && b.has_payload()
}

/// True when by its counter `a` comes before `b`, of one PID.
fn precedes(a: &Packet, b: &Packet) -> bool {
    let steps = b.continuity_counter().steps_since(a.continuity_counter());
    (1..=8).contains(&steps)
}

fn follows(a: &Packet, b: &Packet) -> bool {
    b.continuity_counter() == a.continuity_counter().next()
}

/// The first and the last packet of the PID of which a datagram has most.
fn ends(run: &Run) -> Option<(&Packet, &Packet)> {
    let packets = || run.packets.iter().map(|(packet, _)| packet);
    let of = |first: &Packet| packets().filter(|p| compares(p, first)).count();
    let first = packets().filter(|p| of(p) > 0);
    let most = first.max_by_key(|p| of(p))?;
    let own: Vec<&Packet> = packets().filter(|p| compares(p, most)).collect();
    Some((own.first()?, own.last()?))
}

impl Merge {
    /// True when where these packets would go, behind `left` and before `right`, there is a gap that
    /// they fill, by the counters of most.
    pub(super) fn fits(&self, news: &[&Packet], left: u32, right: u32) -> bool {
        let left = match left {
            NIL => self.cells.prev(right),
            _ => left,
        };
        let (mut with, mut against, mut unknown) = (0, 0, 0);
        let mut seen: Vec<Pid> = Vec::new();
        for first in news {
            if seen.contains(&first.pid()) {
                continue;
            }
            seen.push(first.pid());
            let own = news.iter().filter(|packet| compares(packet, first));
            let own: Vec<&Packet> = own.copied().collect();
            let last = own.last().unwrap_or(first);
            let before = self.neighbour(first, left, |id| self.cells.prev(id));
            let behind = self.neighbour(first, right, |id| self.cells.next(id));
            if before.is_none() && behind.is_none() {
                unknown += own.len();
                continue;
            }
            // What this leg has lost may stand there too.
            let mut between = Vec::new();
            let mut id = self.cells.next(left);
            while id != right
                && let Some(cell) = self.cells.get(id)
            {
                between.push(&cell.packet);
                id = self.cells.next(id);
            }
            let of_it = || between.iter().copied().filter(|p| compares(p, first));
            let mut starts = before.into_iter().chain(of_it());
            let mut stops = behind.into_iter().chain(of_it());
            let begins = before.is_none() || starts.any(|p| follows(p, first));
            let ends = behind.is_none() || stops.any(|p| follows(last, p));
            match begins && ends {
                true => with += own.len(),
                false => against += own.len(),
            }
        }
        with >= against && (with > 0 || unknown <= 2)
    }

    /// True when of two packets of a PID `a` comes first behind `after`, by their counters: the one
    /// that is nearer to what stands there.
    pub(super) fn is_first(&self, a: &Packet, b: &Packet, after: u32) -> bool {
        match self.neighbour(a, after, |id| self.cells.prev(id)) {
            Some(last) => {
                let due = last.continuity_counter().next();
                // The one itself, where its sender repeats it, comes first.
                let steps = |packet: &Packet| match packet == last {
                    true => 0,
                    false => 1 + packet.continuity_counter().steps_since(due),
                };
                steps(a) < steps(b)
            }
            None => precedes(a, b),
        }
    }

    /// The nearest packet of the same PID from a cell on.
    fn neighbour(&self, packet: &Packet, from: u32, step: impl Fn(u32) -> u32) -> Option<&Packet> {
        let mut id = from;
        for _ in 0..FARTHEST {
            let cell = self.cells.get(id)?;
            if compares(&cell.packet, packet) {
                return Some(&cell.packet);
            }
            id = step(id);
        }
        None
    }

    /// Behind which cell the datagram of a leg that waits in front belongs, which is at the end:
    /// there, or, when others have overtaken it, in the gap that it fills. `None` while the
    /// next one, which tells, is not there.
    pub(super) fn end_for(&self, leg: usize) -> Option<u32> {
        let tail = self.cells.tail();
        if self.gap(leg, tail).is_none() {
            return Some(tail);
        }
        self.legs.get(leg)?.pending.get(1)?;
        Some(self.gap_for(leg, tail).unwrap_or(tail))
    }

    /// Behind which cell before `from` the datagram of a leg that waits in front fills a gap, if it
    /// does and the next one goes on from `from`: others have overtaken it. Without that it stands
    /// where it came, and others of its PID are lost beside it: counters alone come again after
    /// sixteen packets, and somewhere is a gap that fits.
    pub(super) fn gap_for(&self, leg: usize, from: u32) -> Option<u32> {
        let gap = self.gap(leg, from)?;
        let mut pending = self.legs.get(leg)?.pending.iter();
        let (first, _) = ends(pending.next()?)?;
        let newest = self.neighbour(first, from, |id| self.cells.prev(id))?;
        let mut next = pending.next()?.packets.iter().map(|(packet, _)| packet);
        let next = next.find(|packet| compares(packet, first))?;
        follows(newest, next).then_some(gap)
    }

    /// Behind which cell before `from` is a gap that the datagram of a leg that waits in front
    /// fills, where it does not go on from there.
    fn gap(&self, leg: usize, from: u32) -> Option<u32> {
        let (first, last) = ends(self.legs.get(leg)?.pending.front()?)?;
        let newest = self.neighbour(first, from, |id| self.cells.prev(id))?;
        if follows(newest, first) {
            return None;
        }
        let it = self.legs.get(leg)?;
        let came = it.pending.front()?.came - it.lag;
        let mut id = from;
        let mut behind: Option<u32> = None;
        for _ in 0..FARTHEST {
            let cell = self.cells.get(id)?;
            if came - cell.came > OVERTAKEN {
                return None;
            }
            if compares(&cell.packet, first) {
                let after = behind.and_then(|id| self.cells.get(id));
                let fills = after.is_some_and(|after| {
                    follows(&cell.packet, first)
                        && follows(last, &after.packet)
                        && !follows(&cell.packet, &after.packet)
                });
                if fills && let Some(behind) = behind {
                    // Other datagrams between the two would leave open between which.
                    let before = self.start_of(behind, id);
                    let block = self.cells.get(before).map_or(0, |cell| cell.block);
                    let tight = before == id || block != 0 && block == cell.block;
                    return tight.then_some(before);
                }
                behind = Some(id);
            }
            id = self.cells.prev(id);
        }
        None
    }

    /// What stands before the datagram of a cell, `least` at the farthest.
    fn start_of(&self, id: u32, least: u32) -> u32 {
        let block = self.cells.get(id).map_or(0, |cell| cell.block);
        let same = |cell: &Cell| block != 0 && cell.block == block;
        let mut before = self.cells.prev(id);
        while before != least && self.cells.get(before).is_some_and(same) {
            before = self.cells.prev(before);
        }
        before
    }
}
