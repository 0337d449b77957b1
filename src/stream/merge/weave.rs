//! Where packets of a leg belong among those that are there.

use super::cells::{Cell, NIL};
use super::leg::Run;
use super::{Merge, MergeEvent};
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M};

/// How far forward a datagram of which most is unknown is believed to be found.
const NEAR: usize = 32;
/// How far off in time what comes once more, or was overtaken, is believed to be found.
const SOON: Ticks27M = Ticks27M::from_millis(100);
/// Datagrams that confirm what counters speak against.
const CONFIRMED: usize = 3;
/// Datagrams that wait for their place and are looked at each time.
const LOOKED_AT: usize = 16;

/// A packet of a leg without a place.
#[derive(Copy, Clone, Debug)]
pub(super) struct Item {
    pub(super) packet: Packet,
    pub(super) print: u64,
    pub(super) block: u64,
    pub(super) came: Arrival,
}

fn items_of(run: &Run) -> impl Iterator<Item = Item> {
    run.packets.iter().map(|(packet, print)| Item {
        packet: *packet,
        print: *print,
        block: run.block,
        came: run.came,
    })
}

/// What a datagram is to the packets that are there.
enum Look {
    /// This leg had all of it.
    Repeat,
    /// So many of its packets are there, and where.
    Found(Vec<(usize, u32)>),
    Unknown,
}

impl Merge {
    /// Gives what waits of a leg its place, as far as it has one.
    pub(super) fn settle(&mut self, leg: usize) {
        loop {
            let Some(it) = self.legs.get(leg) else { return };
            let (runs, last) = (it.pending.len(), it.last);
            // The first ones, and the one that came last.
            let looked_at = (0..runs).filter(|n| *n < LOOKED_AT || n + 1 == runs);
            let found = looked_at
                .filter_map(|n| Some((n, self.look(leg, it.pending.get(n)?))))
                .find(|(_, look)| !matches!(look, Look::Unknown));
            match found {
                Some((n, Look::Repeat)) => {
                    if let Some(it) = self.legs.get_mut(leg)
                        && let Some(run) = it.pending.remove(n)
                    {
                        it.held -= run.packets.len();
                        it.counts.repeated += run.packets.len() as u64;
                    }
                }
                Some((_, Look::Found(anchors))) if self.take_back(leg, &anchors) => {}
                Some((n, Look::Found(anchors))) => {
                    let doubtful = self.is_doubtful(leg, n, &anchors);
                    if doubtful
                        && n > 0
                        && let Some(after) = self.gap_for(leg, last)
                        && let Some(run) = self.legs.get_mut(leg).and_then(super::Leg::pop)
                    {
                        self.append(leg, &run, after);
                        continue;
                    }
                    if doubtful && self.confirming(leg, n) < CONFIRMED {
                        return;
                    }
                    self.weave(leg, n, &anchors);
                }
                _ if runs > 0 && self.is_at_end(leg) => {
                    let Some(after) = self.end_for(leg) else {
                        return;
                    };
                    if let Some(run) = self.legs.get_mut(leg).and_then(super::Leg::pop) {
                        self.append(leg, &run, after);
                    }
                }
                _ => return,
            }
        }
    }

    /// What one leg seemed to have been overtaken with, and another has behind what it had before,
    /// was where it came: it waits for its place again. True when there was such.
    fn take_back(&mut self, leg: usize, anchors: &[(usize, u32)]) -> bool {
        let (Some(it), Some((_, first))) = (self.legs.get(leg), anchors.first()) else {
            return false;
        };
        let wrong = |cell: &Cell| cell.guessed && !cell.sent && cell.by != leg;
        if it.last == NIL || !self.cells.is_before(*first, it.last) {
            return false;
        }
        let Some(block) = self.cells.get(*first).filter(|c| wrong(c)).map(|c| c.block) else {
            return false;
        };
        let same = |cell: &Cell| wrong(cell) && cell.block == block;
        let mut id = *first;
        while self.cells.get(self.cells.prev(id)).is_some_and(same) {
            id = self.cells.prev(id);
        }
        while self.cells.get(id).is_some_and(same) {
            let (before, next) = (self.cells.prev(id), self.cells.next(id));
            for leg in self.legs.iter_mut().filter(|leg| leg.last == id) {
                leg.last = before;
            }
            self.take_out(id);
            id = next;
        }
        true
    }

    /// True when the datagrams before the one at `n` do not fill a gap where they would go.
    fn is_doubtful(&self, leg: usize, n: usize, anchors: &[(usize, u32)]) -> bool {
        let (Some(it), Some((place, right))) = (self.legs.get(leg), anchors.first()) else {
            return false;
        };
        let before = it.pending.iter().take(n).flat_map(|run| &run.packets);
        let own = it.pending.get(n).map(|run| &run.packets);
        let own = own.into_iter().flatten().take(*place);
        let unknown = |(packet, print): &&(Packet, u64)| {
            *print != 0 && packet.has_payload() && !self.cells.has(*print)
        };
        let news: Vec<&Packet> = before
            .chain(own)
            .filter(unknown)
            .map(|(packet, _)| packet)
            .collect();
        !news.is_empty() && !self.fits(&news, it.last, *right)
    }

    /// What is doubtful and has waited long enough is believed when one datagram confirms it; else
    /// it is left out. False when the main leg cannot be believed.
    pub(super) fn resolve(&mut self, leg: usize, now: Arrival) -> bool {
        let Some(it) = self.legs.get(leg) else {
            return true;
        };
        let found = it
            .pending
            .iter()
            .enumerate()
            .find_map(|(n, run)| match self.look(leg, run) {
                Look::Found(anchors) => Some((n, run.came, anchors)),
                _ => None,
            });
        let Some((n, came, anchors)) = found else {
            return true;
        };
        // What confirms it has to have come.
        if it.last == NIL || now - came < super::GUARD / 2 {
            return true;
        }
        if self.confirming(leg, n) == 0 && leg == 0 {
            if self.unknown(leg) >= super::DIFFERENT {
                return false;
            }
            self.weave(leg, n, &anchors);
        } else if self.confirming(leg, n) == 0 {
            for _ in 0..n {
                if let Some(it) = self.legs.get_mut(leg)
                    && let Some(run) = it.pop()
                {
                    it.counts.different += run.packets.len() as u64;
                }
            }
            self.weave(leg, 0, &anchors);
        } else {
            self.weave(leg, n, &anchors);
        }
        self.settle(leg);
        true
    }

    /// How many datagrams behind the one at `n` are those of the others.
    fn confirming(&self, leg: usize, n: usize) -> usize {
        let Some(it) = self.legs.get(leg) else {
            return 0;
        };
        let known = |run: &&super::Run| {
            let distinct = run.packets.iter().filter(|(_, print)| *print != 0);
            let known = distinct.filter(|(_, print)| self.cells.has(*print));
            run.distinct() > 0 && known.count() * 2 > run.distinct()
        };
        it.pending.iter().skip(n + 1).filter(known).count()
    }

    /// True when nothing came by others that this leg has not passed.
    fn is_at_end(&self, leg: usize) -> bool {
        let furthest = self.legs.get(leg).map(|leg| leg.furthest);
        let tail = self.cells.tail();
        tail == NIL || furthest == Some(tail)
    }

    fn look(&self, leg: usize, run: &Run) -> Look {
        let Some(it) = self.legs.get(leg) else {
            return Look::Unknown;
        };
        let mut anchors: Vec<(usize, u32)> = Vec::new();
        let (mut unknown, mut had, mut again) = (0, 0, 0);
        for (n, (packet, print)) in run.packets.iter().enumerate() {
            if *print == 0 {
                continue;
            }
            let (count, one) = self.cells.find(*print, packet);
            let Some((id, cell)) = one.and_then(|id| Some((id, self.cells.get(id)?))) else {
                unknown += usize::from(count == 0);
                continue;
            };
            // Tables come again with the same counter, be it after sixteen of them.
            let soon = !it.stands_still(packet) && (run.came - cell.came - it.lag).abs() < SOON;
            if cell.was_had_by(leg) {
                had += 1;
                again += usize::from(soon);
                continue;
            }
            let behind = it.last != NIL && self.cells.is_before(id, it.last);
            let rises = anchors
                .last()
                .is_none_or(|(_, before)| self.cells.is_before(*before, id));
            if rises && !it.stands_still(packet) && (!behind || soon) {
                anchors.push((n, id));
            }
        }
        if anchors.is_empty() {
            let repeats = unknown == 0 && had > 0 && (again > 0 || self.is_last(leg, run));
            return match repeats {
                true => Look::Repeat,
                false => Look::Unknown,
            };
        }
        // Where nothing is known of where it is, most of a datagram has to be found.
        let far = it.last == NIL || anchors.first().is_some_and(|(_, id)| self.is_far(leg, *id));
        match far && (anchors.len() < unknown || !self.is_sure(leg, run, &anchors)) {
            true => Look::Unknown,
            false => Look::Found(anchors),
        }
    }

    /// False where a datagram may be another one: a table that counts comes again after sixteen of
    /// it, and null packets beside it tell nothing.
    fn is_sure(&self, leg: usize, run: &Run, anchors: &[(usize, u32)]) -> bool {
        let (Some(it), Some((_, first))) = (self.legs.get(leg), anchors.first()) else {
            return false;
        };
        let cells = || anchors.iter().filter_map(|(_, id)| self.cells.get(*id));
        let timely = self
            .cells
            .get(*first)
            .is_some_and(|cell| it.last != NIL && (run.came - cell.came - it.lag).abs() < SOON);
        let several = anchors.len() > 1 || run.packets.len() == 1;
        timely || several && cells().any(|cell| cell.packet.pid().get() >= 0x20)
    }

    /// True for a datagram of several packets that is the one before once more.
    fn is_last(&self, leg: usize, run: &Run) -> bool {
        let mut id = self.legs.get(leg).map_or(NIL, |leg| leg.last);
        run.packets.len() > 1
            && run.packets.iter().rev().all(|(packet, _)| {
                let cell = self.cells.get(id);
                let same = cell.is_some_and(|c| c.was_had_by(leg) && c.packet == *packet);
                id = self.cells.prev(id);
                same
            })
    }

    /// True when many packets lie between what a leg had last and `id`.
    fn is_far(&self, leg: usize, id: u32) -> bool {
        let mut at = self.legs.get(leg).map_or(NIL, |leg| leg.last);
        if at == NIL {
            return false;
        }
        for _ in 0..NEAR {
            at = self.cells.next(at);
            if at == id || at == NIL {
                return false;
            }
        }
        true
    }

    /// Gives the datagrams of a leg up to the one at `n` their places, of which some packets are
    /// there.
    fn weave(&mut self, leg: usize, n: usize, anchors: &[(usize, u32)]) {
        let mut items = Vec::new();
        let mut first = 0;
        let Some(it) = self.legs.get_mut(leg) else {
            return;
        };
        for _ in 0..=n {
            first = items.len();
            let Some(run) = it.pop() else { break };
            items.extend(items_of(&run));
        }
        let mut left = it.last;
        let mut start = 0;
        let block = items.last().map_or(0, |item| item.block);
        for (place, id) in anchors {
            if left != NIL && !self.cells.is_before(left, *id) {
                left = NIL;
            }
            let end = first + place;
            self.segment(
                leg,
                items.get(start..end).unwrap_or_default(),
                left,
                *id,
                block,
            );
            if let Some(item) = items.get(end).copied() {
                self.is_had(leg, *id, &item);
            }
            (left, start) = (*id, end + 1);
        }
        // What stands beside it in its datagram.
        while let Some(item) = items.get(start).copied() {
            let id = self.cells.next(left);
            if !self.is_same(leg, &item, id) {
                break;
            }
            self.is_had(leg, id, &item);
            (left, start) = (id, start + 1);
        }
        // What comes last of it may have come with what overtook it.
        while let Some(item) = items.last().filter(|_| items.len() > start) {
            let (_, one) = self.cells.find(item.print, &item.packet);
            let cell = one.and_then(|id| self.cells.get(id));
            if !cell.is_some_and(|cell| cell.was_had_by(leg)) {
                break;
            }
            items.pop();
        }
        if let Some(rest) = items.get(start..)
            && let (Some(first), Some(it)) = (rest.first(), self.legs.get_mut(leg))
        {
            it.push_front(Run {
                packets: rest.iter().map(|i| (i.packet, i.print)).collect(),
                came: first.came,
                block: first.block,
            });
        }
    }

    /// What waits of a leg goes to the end: the others brought nothing since.
    pub(super) fn close(&mut self, leg: usize) {
        let left = self.legs.get(leg).map_or(NIL, |leg| leg.last);
        let mut items = Vec::new();
        while let Some(run) = self.legs.get_mut(leg).and_then(super::Leg::pop) {
            match left {
                NIL => self.append(leg, &run, self.cells.tail()),
                _ => items.extend(items_of(&run)),
            }
        }
        if items.is_empty() {
            return;
        }
        self.segment(leg, &items, left, NIL, 0);
        let tail = self.cells.tail();
        if let Some(it) = self.legs.get_mut(leg) {
            (it.last, it.furthest) = (tail, tail);
        }
    }

    /// True when a cell is what a leg has brought, and it had it not yet.
    pub(super) fn is_same(&self, leg: usize, item: &Item, id: u32) -> bool {
        let cell = self.cells.get(id).filter(|cell| !cell.was_had_by(leg));
        cell.is_some_and(|cell| cell.print == item.print && cell.packet == item.packet)
    }

    /// A leg had a packet that is there.
    pub(super) fn is_had(&mut self, leg: usize, id: u32, item: &Item) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        cell.had |= 1 << leg;
        let (late, by, lag) = (cell.sent, cell.by, item.came - cell.came);
        if let Some(first) = self.legs.get_mut(by).filter(|_| by != leg) {
            // It came first: slowly, so that what leaves does not pause.
            first.lag -= first.lag / 256;
        }
        let further = self
            .legs
            .get(leg)
            .is_some_and(|it| it.furthest == NIL || self.cells.is_before(it.furthest, id));
        let Some(it) = self.legs.get_mut(leg) else {
            return;
        };
        match it.last {
            NIL => it.lag = lag,
            _ => it.lag += (lag - it.lag) / 16,
        }
        it.last = id;
        if further {
            it.furthest = id;
        }
        if further {
            it.passed(&item.packet);
        }
        it.counts.late += u64::from(late);
        if late && lag > self.delay && !it.told_late {
            it.told_late = true;
            self.events.push(MergeEvent::TooLate { leg, by: lag });
        }
    }

    /// Puts a packet in behind `after`; gives where it is now.
    pub(super) fn insert(&mut self, leg: usize, item: &Item, after: u32) -> u32 {
        let next = match after {
            NIL => self.cells.head(),
            _ => self.cells.next(after),
        };
        let Some(it) = self.legs.get_mut(leg) else {
            return after;
        };
        let behind = self.cells.get(next);
        if behind.is_some_and(|cell| cell.sent) {
            it.counts.late += 1;
            return after;
        }
        let lag = it.lag.max(Ticks27M::ZERO).min(self.delay - super::GUARD);
        let came = item.came - lag;
        let due = behind.map_or(came + self.delay, |cell| cell.due);
        let mut cell = Cell::new(item.packet, item.print, came, due);
        (cell.block, cell.by, cell.had) = (item.block, leg, 1 << leg);
        it.counts.first += 1;
        if next == NIL {
            it.led_at = Some(item.came);
        }
        let id = self.cells.insert(after, cell);
        it.last = id;
        if it.furthest == NIL || self.cells.is_before(it.furthest, id) {
            it.furthest = id;
            it.passed(&item.packet);
        }
        id
    }

    /// Adds a datagram behind a cell.
    pub(super) fn append(&mut self, leg: usize, run: &Run, after: u32) {
        let guessed = after != self.cells.tail();
        let mut after = after;
        for item in items_of(run) {
            let id = self.insert(leg, &item, after);
            if let Some(cell) = self.cells.get_mut(id).filter(|_| id != after) {
                cell.guessed = guessed;
            }
            after = id;
        }
    }
}
