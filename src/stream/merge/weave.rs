//! Where packets of a leg belong among those that are there.

use super::cells::{Cell, NIL};
use super::leg::{Run, Way};
use super::{Merge, MergeEvent};
use crate::ts::{Packet, Pid};
use crate::units::{Arrival, Ticks27M};

/// How far forward a datagram of which most is unknown is believed to be found.
const NEAR: usize = 32;
/// How far back a datagram that was overtaken is looked for a place.
const FARTHEST_BACK: usize = 512;
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
                Some((n, Look::Found(anchors))) => self.weave(leg, n, &anchors),
                _ if runs > 0 && self.is_at_end(leg) => {
                    while let Some(run) = self.legs.get_mut(leg).and_then(super::Leg::pop) {
                        self.append(leg, run);
                    }
                }
                _ => return,
            }
        }
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
        let (mut unknown, mut had, mut back) = (0, 0, 0);
        for (n, (packet, print)) in run.packets.iter().enumerate() {
            if *print == 0 {
                continue;
            }
            let (count, one) = self.cells.find(*print, packet);
            let way = it.way(packet);
            let counts = packet.has_payload();
            let cell = one.and_then(|id| Some((id, self.cells.get(id)?)));
            match cell {
                None => unknown += usize::from(count == 0),
                Some((_, cell)) if cell.was_had_by(leg) => {
                    had += 1;
                    back += usize::from(way == Way::Back);
                }
                // A packet that comes again without counting tells no place.
                Some(_) if counts && way == Way::Same => {}
                Some((id, _)) => {
                    let behind = it.last != NIL && self.cells.is_before(id, it.last);
                    let rises = anchors
                        .last()
                        .is_none_or(|(_, before)| self.cells.is_before(*before, id));
                    // The same content comes again when the counter has gone round.
                    if rises && (!behind || way == Way::Back || !counts) {
                        anchors.push((n, id));
                    }
                }
            }
        }
        if anchors.is_empty() {
            let again = unknown == 0 && had > 0 && (back > 0 || self.is_last(leg, run));
            return if again { Look::Repeat } else { Look::Unknown };
        }
        let far = anchors.first().is_some_and(|(_, id)| self.is_far(leg, *id));
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
            self.segment(leg, items.get(start..end).unwrap_or_default(), left, *id, block);
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
                NIL => self.append(leg, run),
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
        if it.way(&item.packet) != Way::Back || further {
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
        if it.way(&item.packet) != Way::Back || next == NIL {
            it.passed(&item.packet);
        }
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
        }
        id
    }

    /// Adds a datagram to the end, or where its counters belong.
    pub(super) fn append(&mut self, leg: usize, run: Run) {
        let items: Vec<Item> = items_of(&run).collect();
        let tail = self.cells.tail();
        let mut after = match self.is_merging() {
            true => self.overtaken(leg, &items).unwrap_or(tail),
            false => tail,
        };
        for item in &items {
            after = self.insert(leg, item, after);
        }
    }

    /// Behind which cell a datagram belongs that others have overtaken; `None` when none has.
    fn overtaken(&self, leg: usize, items: &[Item]) -> Option<u32> {
        let it = self.legs.get(leg)?;
        let item = items.iter().find(|item| {
            let packet = &item.packet;
            packet.has_payload() && packet.pid() != Pid::NULL && it.way(packet) == Way::Back
        })?;
        let mut id = self.cells.tail();
        let mut place = None;
        for _ in 0..FARTHEST_BACK {
            let cell = self.cells.get(id)?;
            if cell.packet.pid() == item.packet.pid() && cell.packet.has_payload() {
                if cell.packet.continuity_counter() == item.packet.continuity_counter() {
                    return None;
                }
                if !precedes(&item.packet, &cell.packet) {
                    break;
                }
                place = Some(id);
            }
            id = self.cells.prev(id);
        }
        // Before the datagram of the first that has overtaken it.
        let mut place = place?;
        let block = self.cells.get(place)?.block;
        loop {
            let before = self.cells.prev(place);
            let same = |cell: &&Cell| block != 0 && cell.block == block;
            if before == id || self.cells.get(before).filter(same).is_none() {
                return Some(before);
            }
            place = before;
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
            let next = between.get(m).copied().unwrap_or(right);
            if self.fits(news, others, after, next) {
                after = self.interleave(leg, news, others, after);
            } else if let Some(it) = self.legs.get_mut(leg) {
                it.counts.different += news.len() as u64;
            }
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
        // Of a datagram that one side has lost, nothing is on that side, be it alike.
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
            self.is_same(leg, item, *id)
                && !new_blocks.contains(&item.block)
                && !lost_blocks.contains(&block_of(*id))
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

    /// False when counters say that nothing was lost where these packets would go.
    fn fits(&self, news: &[Item], others: &[u32], after: u32, next: u32) -> bool {
        if next == NIL {
            return true;
        }
        let mut seen: Vec<Pid> = Vec::new();
        for item in news {
            let pid = item.packet.pid();
            let counts = |packet: &Packet| packet.has_payload() && packet.pid() == pid;
            if pid == Pid::NULL || !item.packet.has_payload() || seen.contains(&pid) {
                continue;
            }
            seen.push(pid);
            let known = others.iter().filter_map(|id| self.cells.get(*id));
            let known = known.filter(|cell| counts(&cell.packet)).count();
            let new = news.iter().filter(|item| counts(&item.packet)).count();
            let Some(before) = self.neighbour(pid, after, |id| self.cells.prev(id)) else {
                continue;
            };
            let Some(behind) = self.neighbour(pid, next, |id| self.cells.next(id)) else {
                continue;
            };
            let steps = behind
                .continuity_counter()
                .steps_since(before.continuity_counter());
            // 16 of them are not to be told from none.
            let room = usize::from(steps.wrapping_sub(1) & 15);
            if new + known < 16 && new + known > room {
                return false;
            }
        }
        true
    }

    /// The nearest packet that counts of a PID, from a cell on.
    fn neighbour(&self, pid: Pid, from: u32, step: impl Fn(u32) -> u32) -> Option<&Packet> {
        let mut id = from;
        for _ in 0..FARTHEST_BACK {
            let cell = self.cells.get(id)?;
            if cell.packet.pid() == pid && cell.packet.has_payload() {
                return Some(&cell.packet);
            }
            id = step(id);
        }
        None
    }

    /// Puts packets that others have lost among those that this leg has lost, behind `after`.
    fn interleave(&mut self, leg: usize, news: &[Item], others: &[u32], after: u32) -> u32 {
        let (mut x, mut y, mut after) = (0, 0, after);
        let mut block = 0;
        while let Some(item) = news.get(x) {
            let rest = others.get(y..).unwrap_or_default();
            let mine = news.get(x..).unwrap_or_default();
            if self.comes_first(leg, rest, mine, block) {
                after = rest.first().copied().unwrap_or(after);
                block = self.cells.get(after).map_or(0, |cell| cell.block);
                y += 1;
            } else {
                after = self.insert(leg, item, after);
                block = item.block;
                x += 1;
            }
        }
        others.get(y..).and_then(<[u32]>::last).copied().unwrap_or(after)
    }

    /// True when of two the first of `others` comes before the first of `mine`. `block` is the
    /// datagram of what stands before them.
    fn comes_first(&self, leg: usize, others: &[u32], mine: &[Item], block: u64) -> bool {
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
        if other_of(&x.packet).is_some_and(|other| precedes(other, &x.packet)) {
            return true;
        }
        if mine_of(&y.packet).is_some_and(|own| precedes(own, &y.packet)) {
            return false;
        }
        if block != 0 && (x.block == block || y.block == block) {
            return y.block == block;
        }
        let own = mine.iter().take_while(|i| i.block != 0 && i.block == x.block);
        for item in own {
            if let Some(other) = other_of(&item.packet) {
                return precedes(other, &item.packet);
            }
        }
        let theirs = others.iter().filter_map(cell);
        for cell in theirs.take_while(|c| c.block != 0 && c.block == y.block) {
            if let Some(own) = mine_of(&cell.packet) {
                return !precedes(own, &cell.packet);
            }
        }
        let lag = self.legs.get(leg).map(|leg| leg.lag).unwrap_or_default();
        y.came < x.came - lag
    }
}

/// True when the counters of two packets tell which comes first.
fn compares(a: &Packet, b: &Packet) -> bool {
    a.pid() == b.pid() && a.pid() != Pid::NULL && a.has_payload() && b.has_payload()
}

/// True when by its counter `a` comes before `b`, of one PID.
fn precedes(a: &Packet, b: &Packet) -> bool {
    let steps = b.continuity_counter().steps_since(a.continuity_counter());
    (1..=8).contains(&steps)
}
