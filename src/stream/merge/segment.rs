//! Packets of a leg between two that are there: which of them are there too, and where the others
//! belong.

use super::Merge;
use super::cells::{Cell, NIL};
use super::order::compares;
use super::weave::Item;
use crate::ts::Packet;

/// Packets ahead that may tell which of two comes first.
const AHEAD: usize = 64;

impl Merge {
    /// Gives packets between two that are there their places: those that are there too, and those
    /// that the others have lost. `right` is [`NIL`] at the end, `left` where it is not known;
    /// `anchored` is a datagram of which some is there.
    pub(super) fn segment(
        &mut self,
        leg: usize,
        items: &[Item],
        left: u32,
        right: u32,
        anchored: u64,
    ) {
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
        // Null packets tell nothing where something stands among them that one side has lost.
        let nulls = !items.iter().any(|item| unknown(&item)) && !between.iter().any(|id| lost(&id));
        for n in n..last_n {
            if !nulls && items.get(n).is_some_and(|item| item.print == 0) {
                continue;
            }
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
        // A datagram is not cut: what comes before any of it comes before all of it. Of each PID the
        // first of both are compared: there may be more than sixteen behind them.
        let mut own = mine
            .iter()
            .take_while(|i| i.block != 0 && i.block == x.block);
        let is_behind = |item: &Item| {
            let both = other_of(&item.packet).zip(mine_of(&item.packet));
            both.is_some_and(|(other, own)| self.is_first(other, own, after))
        };
        if own.any(is_behind) {
            return true;
        }
        let theirs = others.iter().filter_map(cell);
        let mut theirs = theirs.take_while(|c| c.block != 0 && c.block == y.block);
        let is_behind = |cell: &Cell| {
            let both = other_of(&cell.packet).zip(mine_of(&cell.packet));
            both.is_some_and(|(other, own)| self.is_first(own, other, after))
        };
        if theirs.any(is_behind) {
            return false;
        }
        let lag = self.legs.get(leg).map(|leg| leg.lag).unwrap_or_default();
        y.came < x.came - lag
    }
}
