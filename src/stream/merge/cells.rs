//! The merged packets: in order, found by content, entered anywhere.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::ts::{Packet, Pid};
use crate::units::Arrival;

/// Nothing: no cell has this number.
pub(super) const NIL: u32 = u32::MAX;
/// Between neighbours at the end, so that others find room between them.
const GAP: u64 = 1 << 24;

/// A packet of the merged stream.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) packet: Packet,
    /// 0 for what cannot be told from others of its kind.
    pub(super) print: u64,
    /// When it was there first.
    pub(super) came: Arrival,
    /// When it leaves.
    pub(super) due: Arrival,
    /// The datagram in which it came, 0 where that is not known.
    pub(super) block: u64,
    /// The leg that had it first.
    pub(super) by: usize,
    /// The legs that had it, a bit each.
    pub(super) had: u32,
    pub(super) sent: bool,
    /// Put into a gap that it fills by its counters, behind which its leg had already been.
    pub(super) guessed: bool,
    label: u64,
    prev: u32,
    next: u32,
}

/// Fingerprints are mixed already.
#[derive(Clone, Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// How many cells have a content, and one of them.
#[derive(Copy, Clone, Debug)]
struct Same {
    count: u32,
    newest: u32,
}

/// The list.
#[derive(Debug)]
pub(super) struct Cells {
    slab: Vec<Cell>,
    free: Vec<u32>,
    head: u32,
    tail: u32,
    /// The first that has not left.
    front: u32,
    len: usize,
    index: HashMap<u64, Same, BuildHasherDefault<AsIs>>,
}

impl Cells {
    pub(super) fn new() -> Self {
        Self {
            slab: Vec::new(),
            free: Vec::new(),
            head: NIL,
            tail: NIL,
            front: NIL,
            len: 0,
            index: HashMap::default(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn head(&self) -> u32 {
        self.head
    }

    pub(super) const fn tail(&self) -> u32 {
        self.tail
    }

    pub(super) const fn front(&self) -> u32 {
        self.front
    }

    pub(super) fn get(&self, id: u32) -> Option<&Cell> {
        self.slab.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Cell> {
        self.slab.get_mut(id as usize)
    }

    pub(super) fn next(&self, id: u32) -> u32 {
        self.get(id).map_or(NIL, |cell| cell.next)
    }

    pub(super) fn prev(&self, id: u32) -> u32 {
        self.get(id).map_or(NIL, |cell| cell.prev)
    }

    /// Where it stands, to be compared.
    pub(super) fn label(&self, id: u32) -> Option<u64> {
        self.get(id).map(|cell| cell.label)
    }

    /// True when `a` stands before `b`; both are there.
    pub(super) fn is_before(&self, a: u32, b: u32) -> bool {
        matches!((self.label(a), self.label(b)), (Some(a), Some(b)) if a < b)
    }

    /// How many there are with a content; the one when it is one.
    pub(super) fn find(&self, print: u64, packet: &Packet) -> (u32, Option<u32>) {
        let Some(same) = self.index.get(&print) else {
            return (0, None);
        };
        let is_it = |cell: &&Cell| cell.packet == *packet;
        let one = same.count == 1 && self.get(same.newest).filter(is_it).is_some();
        (same.count, one.then_some(same.newest))
    }

    /// True when there is one with a content.
    pub(super) fn has(&self, print: u64) -> bool {
        self.index.contains_key(&print)
    }

    /// Puts a packet in behind `after`, at the beginning for [`NIL`]. Its links are not looked at.
    pub(super) fn insert(&mut self, after: u32, mut cell: Cell) -> u32 {
        let next = match after {
            NIL => self.head,
            _ => self.next(after),
        };
        cell.label = self.room(after, next);
        (cell.prev, cell.next) = (after, next);
        let print = cell.print;
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.slab.get_mut(id as usize) {
                    *place = cell;
                }
                id
            }
            None => {
                self.slab.push(cell);
                self.slab.len() as u32 - 1
            }
        };
        match after {
            NIL => self.head = id,
            _ => {
                if let Some(before) = self.get_mut(after) {
                    before.next = id;
                }
            }
        }
        match next {
            NIL => self.tail = id,
            _ => {
                if let Some(behind) = self.get_mut(next) {
                    behind.prev = id;
                }
            }
        }
        if self.front == next {
            self.front = id;
        }
        self.len += 1;
        if print != 0 {
            let same = self.index.entry(print).or_insert(Same {
                count: 0,
                newest: id,
            });
            (same.count, same.newest) = (same.count + 1, id);
        }
        id
    }

    /// A label between those of two neighbours.
    fn room(&mut self, before: u32, behind: u32) -> u64 {
        let least = self.label(before);
        let Some(most) = self.label(behind) else {
            return least.map_or(1 << 40, |label| label + GAP);
        };
        let least = match least {
            Some(label) => label,
            None => most.saturating_sub(2 * GAP),
        };
        if most - least > 1 {
            return least + (most - least) / 2;
        }
        let (mut id, mut label) = (self.head, 1 << 40);
        while let Some(cell) = self.get_mut(id) {
            (cell.label, id) = (label, cell.next);
            label += GAP;
        }
        self.label(before).map_or((1 << 40) - GAP, |l| l + GAP / 2)
    }

    /// Takes a packet out.
    pub(super) fn remove(&mut self, id: u32) -> Option<Cell> {
        let cell = self.get(id)?.clone();
        match cell.prev {
            NIL => self.head = cell.next,
            before => {
                if let Some(before) = self.get_mut(before) {
                    before.next = cell.next;
                }
            }
        }
        match cell.next {
            NIL => self.tail = cell.prev,
            behind => {
                if let Some(behind) = self.get_mut(behind) {
                    behind.prev = cell.prev;
                }
            }
        }
        if self.front == id {
            self.front = cell.next;
        }
        self.len -= 1;
        self.free.push(id);
        if let Some(same) = self.index.get_mut(&cell.print) {
            same.count -= 1;
            if same.newest == id {
                same.newest = NIL;
            }
            if same.count == 0 {
                self.index.remove(&cell.print);
            }
        }
        Some(cell)
    }

    /// The one in front has left.
    pub(super) fn step(&mut self) {
        let front = self.front;
        if let Some(cell) = self.get_mut(front) {
            cell.sent = true;
            self.front = cell.next;
        }
    }
}

impl Cell {
    pub(super) fn new(packet: Packet, print: u64, came: Arrival, due: Arrival) -> Self {
        Self {
            packet,
            print,
            came,
            due,
            block: 0,
            by: 0,
            had: 0,
            sent: false,
            guessed: false,
            label: 0,
            prev: NIL,
            next: NIL,
        }
    }

    /// True when it tells its place by itself.
    pub(super) const fn is_distinct(&self) -> bool {
        self.print != 0
    }

    pub(super) const fn was_had_by(&self, leg: usize) -> bool {
        self.had & 1 << leg != 0
    }
}

/// True for a packet of which there may be many: null packets, and those without payload (whose
/// counter does not step) and clock. What a demodulator marked as wrong tells nothing either.
pub(super) fn is_alike(packet: &Packet) -> bool {
    packet.pid() == Pid::NULL
        || packet.transport_error()
        || !packet.has_sync()
        || !packet.has_payload() && packet.pcr().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(n: u64) -> Cell {
        let at = Arrival::from_ticks(n as i64);
        let mut packet = Packet::NULL;
        packet.as_bytes_mut()[180..].copy_from_slice(&n.to_be_bytes());
        Cell::new(packet, n, at, at)
    }

    fn order(cells: &Cells) -> Vec<u64> {
        let mut all = Vec::new();
        let (mut id, mut last) = (cells.head(), None);
        while let Some(cell) = cells.get(id) {
            assert!(last < cells.label(id), "labels rise");
            last = cells.label(id);
            all.push(cell.print);
            id = cells.next(id);
        }
        all
    }

    #[test]
    fn room_is_made_between_neighbours_however_many_come_between_them() {
        let mut cells = Cells::new();
        let first = cells.insert(NIL, cell(1));
        cells.insert(first, cell(1000));
        // 24 halvings fill a gap.
        for n in (2..100).rev() {
            cells.insert(first, cell(n));
        }
        assert_eq!(order(&cells), (1..100).chain([1000]).collect::<Vec<_>>());
        // And before the first.
        for n in 2000..2100 {
            cells.insert(NIL, cell(n));
        }
        assert_eq!(order(&cells)[..3], [2099, 2098, 2097]);
        assert_eq!((cells.len(), cells.front()), (200, cells.head()));
    }

    #[test]
    fn content_is_found_while_it_is_there_and_what_is_there_twice_is_not_one() {
        let mut cells = Cells::new();
        let one = cells.insert(NIL, cell(1));
        let packet = cell(1).packet;
        assert_eq!(cells.find(1, &packet), (1, Some(one)));
        assert_eq!(cells.find(1, &cell(2).packet), (1, None), "other bytes");
        let two = cells.insert(one, cell(1));
        assert_eq!(cells.find(1, &packet), (2, None));
        cells.remove(one);
        assert_eq!(cells.find(1, &packet), (1, Some(two)));
        cells.step();
        assert_eq!((cells.front(), cells.tail()), (NIL, two));
        let last = cells.insert(two, cell(3));
        assert_eq!(cells.front(), last);
        cells.remove(two);
        assert!(!cells.has(1));
        assert_eq!(order(&cells), [3]);
    }
}
