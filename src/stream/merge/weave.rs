//! Where packets of a leg belong among those that are there.

use super::cells::{Cell, NIL};
use super::leg::Run;
use super::order::compares;
use super::{Merge, MergeEvent};
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M};

/// How far forward a datagram of which most is unknown is believed to be found.
const NEAR: usize = 32;
/// How far off in time what comes once more, or was overtaken, is believed to be found.
const SOON: Ticks27M = Ticks27M::from_millis(100);
/// Datagrams that confirm what counters speak against.
const CONFIRMED: usize = 3;
/// Packets ahead that may tell which of two comes first.
const AHEAD: usize = 64;
/// Datagrams that wait for their place and are looked at each time.
const LOOKED_AT: usize = 16;

/// A packet of a leg without a place.
#[derive(Copy, Clone, Debug)]
struct Item {
    packet: Packet,
    print: u64,
    block: u64,
    came: Arrival,
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
            let runs = it.pending.len();
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
                Some((n, Look::Found(anchors))) => {
                    let doubtful = self.is_doubtful(leg, n, &anchors);
                    if doubtful
                        && n > 0
                        && let Some(after) = self.gap_for(leg)
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
    pub(super) fn resolve(&mut self, leg: usize) -> bool {
        let Some(it) = self.legs.get(leg) else {
            return true;
        };
        let found = it
            .pending
            .iter()
            .enumerate()
            .find_map(|(n, run)| match self.look(leg, run) {
                Look::Found(anchors) => Some((n, anchors)),
                _ => None,
            });
        let Some((n, anchors)) = found else {
            return true;
        };
        if it.last == NIL {
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
        match anchors.len() < unknown && far {
            true => Look::Unknown,
            false => Look::Found(anchors),
        }
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
    fn is_same(&self, leg: usize, item: &Item, id: u32) -> bool {
        let cell = self.cells.get(id).filter(|cell| !cell.was_had_by(leg));
        cell.is_some_and(|cell| cell.print == item.print && cell.packet == item.packet)
    }

    /// A leg had a packet that is there.
    fn is_had(&mut self, leg: usize, id: u32, item: &Item) {
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
        it.lag += (lag - it.lag) / 16;
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
    fn insert(&mut self, leg: usize, item: &Item, after: u32) -> u32 {
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
        let mut after = after;
        for item in items_of(run) {
            after = self.insert(leg, &item, after);
        }
    }

    /// Gives packets between two that are there their places: those that are there too, and those
    /// that the others have lost. `right` is [`NIL`] at the end, `left` where it is not known;
    /// `anchored` is a datagram of which some is there.
    fn segment(&mut self, leg: usize, items: &[Item], left: u32, right: u32, anchored: u64) {
        if items.is_empty() {
            return;
        }
        let between = self.between(leg, items.len(), left, right);
        let first = between.first().copied().unwrap_or(right);
        let start = match left {
            NIL => self.cells.prev(first),
            _ => left,
        };
        let pairs = self.pairs(leg, items, &between, (left, right), anchored);
        let (mut after, mut x, mut y) = (start, 0, 0);
        for (n, m) in pairs.into_iter().chain([(items.len(), between.len())]) {
            let news = items.get(x..n).unwrap_or_default();
            let others = between.get(y..m).unwrap_or_default();
            after = self.interleave(leg, news, others, after);
            if let (Some(item), Some(id)) = (items.get(n), between.get(m)) {
                self.is_had(leg, *id, item);
                after = *id;
            }
            (x, y) = (n + 1, m + 1);
        }
    }

    /// The cells between two; where the left one is not known, as many as there are items.
    fn between(&self, leg: usize, items: usize, left: u32, right: u32) -> Vec<u32> {
        let mut between = Vec::new();
        if left != NIL {
            let mut id = self.cells.next(left);
            while id != right && id != NIL {
                between.push(id);
                id = self.cells.next(id);
            }
            return between;
        }
        let mut id = match right {
            NIL => self.cells.tail(),
            _ => self.cells.prev(right),
        };
        let free = |cell: &&Cell| !cell.sent && !cell.was_had_by(leg);
        while between.len() < items && self.cells.get(id).filter(free).is_some() {
            between.push(id);
            id = self.cells.prev(id);
        }
        between.reverse();
        between
    }

    /// Which items are which of the cells, by their places in both; in order.
    fn pairs(
        &self,
        leg: usize,
        items: &[Item],
        between: &[u32],
        (left, right): (u32, u32),
        anchored: u64,
    ) -> Vec<(usize, usize)> {
        // Of a datagram that one side has lost, nothing is on that side, null packets neither.
        let block_of = |id: u32| self.cells.get(id).map_or(0, |cell| cell.block);
        let unknown = |item: &&Item| item.print != 0 && !self.cells.has(item.print);
        let lost = |id: &&u32| {
            let cell = self.cells.get(**id);
            cell.is_some_and(|cell| cell.is_distinct() && !cell.was_had_by(leg))
        };
        let new_blocks: Vec<u64> = items
            .iter()
            .filter(unknown)
            .map(|item| item.block)
            .filter(|block| *block != 0 && *block != anchored)
            .collect();
        let sides = [block_of(left), block_of(right)];
        let known: Vec<u64> = items.iter().map(|item| item.print).collect();
        let lost_blocks: Vec<u64> = between
            .iter()
            .filter(lost)
            .filter(|id| {
                let print = self.cells.get(**id).map_or(0, |cell| cell.print);
                !known.contains(&print)
            })
            .map(|id| block_of(*id))
            .filter(|block| *block != 0 && !sides.contains(block))
            .collect();
        let same = |n: usize, m: usize| {
            let (Some(item), Some(id)) = (items.get(n), between.get(m)) else {
                return false;
            };
            let placed = item.print != 0
                || !new_blocks.contains(&item.block) && !lost_blocks.contains(&block_of(*id));
            placed && self.is_same(leg, item, *id)
        };
        let (mut n, mut m) = (0, 0);
        let (mut last_n, mut last_m) = (items.len(), between.len());
        let mut pairs = Vec::new();
        while left != NIL && n < last_n && m < last_m && same(n, m) {
            pairs.push((n, m));
            (n, m) = (n + 1, m + 1);
        }
        let mut behind = Vec::new();
        while right != NIL && n < last_n && m < last_m && same(last_n - 1, last_m - 1) {
            (last_n, last_m) = (last_n - 1, last_m - 1);
            behind.push((last_n, last_m));
        }
        for n in n..last_n {
            if let Some(found) = (m..last_m).find(|m| same(n, *m)) {
                pairs.push((n, found));
                m = found + 1;
            }
        }
        pairs.extend(behind.into_iter().rev());
        pairs
    }

    /// Puts packets that others have lost among those that this leg has lost, behind `after`.
    fn interleave(&mut self, leg: usize, news: &[Item], others: &[u32], after: u32) -> u32 {
        let (mut x, mut y, mut after) = (0, 0, after);
        let mut block = 0;
        while let Some(item) = news.get(x) {
            let rest = others.get(y..).unwrap_or_default();
            let mine = news.get(x..).unwrap_or_default();
            if !rest.is_empty() && self.comes_first(leg, rest, mine, (block, after)) {
                after = rest.first().copied().unwrap_or(after);
                block = self.cells.get(after).map_or(0, |cell| cell.block);
                y += 1;
            } else {
                after = self.insert(leg, item, after);
                block = item.block;
                x += 1;
            }
        }
        others
            .get(y..)
            .and_then(<[u32]>::last)
            .copied()
            .unwrap_or(after)
    }

    /// True when of two the first of `others` comes before the first of `mine`. `block` is the
    /// datagram of what stands before them, at `after`.
    fn comes_first(
        &self,
        leg: usize,
        others: &[u32],
        mine: &[Item],
        (block, after): (u64, u32),
    ) -> bool {
        let cell = |id: &u32| self.cells.get(*id);
        let (Some(x), Some(y)) = (mine.first(), others.first().and_then(cell)) else {
            return false;
        };
        let other_of = |packet: &Packet| {
            let all = others.iter().take(AHEAD).filter_map(cell);
            all.map(|cell| &cell.packet).find(|o| compares(o, packet))
        };
        let mine_of = |packet: &Packet| {
            let all = mine.iter().take(AHEAD);
            all.map(|item| &item.packet).find(|o| compares(o, packet))
        };
        if other_of(&x.packet).is_some_and(|other| self.is_first(other, &x.packet, after)) {
            return true;
        }
        if mine_of(&y.packet).is_some_and(|own| self.is_first(own, &y.packet, after)) {
            return false;
        }
        if block != 0 && (x.block == block || y.block == block) {
            return y.block == block;
        }
        let own = mine
            .iter()
            .take_while(|i| i.block != 0 && i.block == x.block);
        for item in own {
            if let Some(other) = other_of(&item.packet) {
                return self.is_first(other, &item.packet, after);
            }
        }
        let theirs = others.iter().filter_map(cell);
        for cell in theirs.take_while(|c| c.block != 0 && c.block == y.block) {
            if let Some(own) = mine_of(&cell.packet) {
                return !self.is_first(own, &cell.packet, after);
            }
        }
        let lag = self.legs.get(leg).map(|leg| leg.lag).unwrap_or_default();
        y.came < x.came - lag
    }
}
