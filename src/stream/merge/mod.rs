//! Several ways of one stream, put together packet by packet.
//!
//! Two paths from one encoder carry the same packets; each loses some, and the one comes later than
//! the other. Nothing numbers them: they are told by their content.
//!
//! [`Merge`] has a *main* leg, of which it gives the packets [`Merge::delay`] after they came, and
//! others that may turn out to be twins of it. A leg *joins* when at least 22 of 32 packets of it
//! that were compared are those of the main one, and *parts* when it carries something else, or
//! nothing. Every packet that one leg has within the skew then leaves once, in order. It goes like
//! this:
//!
//! - A packet that can be told from all others that are there is found in the list of those that
//!   came by another leg. What stands beside it in its datagram has its place then too, even null
//!   packets and tables that are sent again and again without counting.
//! - What is not found waits until something behind it is: it has been lost by the others, and
//!   belongs between the two. Where each leg has lost something there, continuity counters tell
//!   the order, and where they do not, the times of arrival. Where it does not fill a gap of their
//!   counters, three datagrams more have to be those of the others before it is believed.
//! - The leg that leads adds to the end. A datagram that was overtaken is put into the gap that it
//!   fills, if the one behind it goes on from the end.
//!
//! What content cannot tell: null packets, where each leg has lost some between the same two
//! neighbours, and a packet that its sender repeats (§2.4.3.3), where each leg has lost one of the
//! two. Of these there may be one more or one less than there was. A plain datagram that was overtaken
//! and of which a neighbour is lost may be left where it came. What the others lost between gaps of
//! their own, and no datagram confirms within 10 ms, is left out and counted as different.
//!
//! Proven, in simulated time with two and three legs up to 450 ms apart, each of which loses
//! datagrams by itself: up to a loss of 5 % everything but those leaves once and in order. At 10 %
//! that holds too but where each leg has lost some datagrams side by side and others than its
//! neighbour: more than sixteen packets of a PID leave its counter open, and two datagrams may change
//! places. Two of forty runs of 4 s with three legs had one such place, of forty with two legs none.
//!
//! A leg that goes on to carry something else is found out by 48 packets of it and 48 of others that
//! have nothing in common. The main one is then followed, and packets of the others that the main
//! one did not have are taken back as far as they have not left.

mod cells;
mod event;
mod leg;
mod order;
mod segment;
mod weave;

use std::collections::VecDeque;

use super::Pending;
use super::fingerprint::fingerprint;
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M};
use cells::{Cell, Cells, NIL, is_alike};
pub use event::{MergeEvent, Parted};
pub use leg::LegCounts;
use leg::{Leg, Run};

/// Legs at most.
pub const MAX_LEGS: usize = 32;
/// What a packet is waited for beyond the skew: until the next ones of its leg tell its place.
const GUARD: Ticks27M = Ticks27M::from_millis(20);
/// A leg without packets for so long is not waited for, and what it lacks is not called lost.
const SILENT: Ticks27M = Ticks27M::SECOND;
/// A leg that carried something else is not looked at again for so long.
const APART: Ticks27M = Ticks27M::from_millis(10_000);
/// Packets that tell that two legs differ.
const DIFFERENT: usize = 48;
/// Packets over which a leg and the main one must have more than a quarter in common.
const WEIGHED: u32 = 512;
/// Packets that are kept at most, those that have left among them: 16 MiB with their index.
pub const MOST_PACKETS: usize = 65_536;
/// Packets of a leg that wait for their place at most.
const MOST_PENDING: usize = 16_384;
/// A datagram has no more packets: what comes in greater pieces comes from a pipe.
const MOST_IN_DATAGRAM: usize = 64;

/// Puts the legs of a stream together; fed with what came, asked with the time.
///
/// ```
/// use headend::stream::merge::Merge;
/// use headend::ts::{ContinuityCounter, Packet, Pid};
/// use headend::units::{Arrival, Ticks27M};
/// let packet = |n: u64| {
///     let mut packet = Packet::new(Pid::new(0x100).unwrap(), ContinuityCounter::wrapping(n as u8));
///     packet.as_bytes_mut()[180..].copy_from_slice(&n.to_be_bytes());
///     packet
/// };
/// let mut merge = Merge::new(2, Ticks27M::from_millis(50));
/// let mut out = Vec::new();
/// // The second is 30 ms later; after 400 packets each has lost every fifth, but not the same.
/// for n in 0..1000 {
///     let at = |n: u64| Arrival::from_ticks(n as i64 * 27_000);
///     if n < 400 || n % 5 != 0 {
///         merge.push(0, &[packet(n)], at(n));
///     }
///     if n >= 30 && (n < 430 || n % 5 != 3) {
///         merge.push(1, &[packet(n - 30)], at(n));
///     }
///     merge.pop(at(n), &mut |packet, _| out.push(*packet));
/// }
/// // Those of the last 70 ms have not left yet.
/// assert_eq!(out, (0..930).map(packet).collect::<Vec<_>>());
/// assert!(merge.is_joined(1) && merge.counts(0).lost >= 90);
/// ```
#[derive(Debug)]
pub struct Merge {
    delay: Ticks27M,
    legs: Vec<Leg>,
    cells: Cells,
    blocks: u64,
    /// The instant at which the last packet left.
    last_out: Option<Arrival>,
    overflow: u64,
    told_overflow: bool,
    events: Pending<MergeEvent>,
}

/// Fingerprints of packets, for [`Merge::push_known`].
pub fn prints(packets: &[Packet], prints: &mut Vec<u64>) {
    prints.clear();
    prints.extend(packets.iter().map(|packet| match is_alike(packet) {
        true => 0,
        false => fingerprint(0, packet.as_bytes()),
    }));
}

impl Merge {
    /// A machine for so many legs, of which one comes later than another by `skew` at most.
    pub fn new(legs: usize, skew: Ticks27M) -> Self {
        Self {
            delay: skew + GUARD,
            legs: (0..legs.min(MAX_LEGS)).map(|_| Leg::new()).collect(),
            cells: Cells::new(),
            blocks: 0,
            last_out: None,
            overflow: 0,
            told_overflow: false,
            events: Pending::new(),
        }
    }

    /// How long after it came a packet leaves: the skew and 20 ms.
    pub const fn delay(&self) -> Ticks27M {
        self.delay
    }

    /// Takes packets of a leg that came together, in one datagram.
    pub fn push(&mut self, leg: usize, packets: &[Packet], came: Arrival) {
        let mut known = Vec::new();
        prints(packets, &mut known);
        self.push_known(leg, packets, &known, came);
    }

    /// The same, where [`prints`] were asked for before.
    pub fn push_known(&mut self, leg: usize, packets: &[Packet], prints: &[u64], came: Arrival) {
        self.blocks += 1;
        let alone = !self.is_merging();
        let Some(it) = self.legs.get_mut(leg) else {
            return;
        };
        it.counts.packets += packets.len() as u64;
        if it.last_arrival.is_some_and(|last| came - last > SILENT) {
            it.forget();
            it.since = it.since.map(|_| came);
        }
        it.last_arrival = Some(came);
        let together = packets.len() <= MOST_IN_DATAGRAM;
        let all = packets.iter().copied().zip(prints.iter().copied());
        let mut run = Run {
            packets: all.collect(),
            came,
            block: if together { self.blocks } else { 0 },
        };
        if leg == 0 {
            self.compare(&run);
            if alone {
                self.append(0, &run, self.cells.tail());
                return;
            }
        } else if !it.joined {
            let cells = &self.cells;
            it.candidate
                .push(&run, self.delay, |print| cells.has(print));
            if it.candidate.is_twin() {
                self.join(leg, came);
            }
            return;
        }
        // What is marked as wrong may be right on another leg.
        run.packets
            .retain(|(packet, _)| packet.has_sync() && !packet.transport_error());
        if run.packets.is_empty() {
            return;
        }
        if let Some(it) = self.legs.get_mut(leg) {
            if it.is_repeat(&run) {
                it.counts.repeated += run.packets.len() as u64;
                return;
            }
            it.push(run);
        }
        self.settle(leg);
    }

    /// Legs that are no twins yet, with what came of the main one.
    fn compare(&mut self, run: &Run) {
        let mut twins = Vec::new();
        for (n, leg) in self.legs.iter_mut().enumerate().skip(1) {
            if !leg.joined {
                leg.candidate.compare(run);
                if leg.candidate.is_twin() {
                    twins.push(n);
                }
            }
        }
        twins.into_iter().for_each(|n| self.join(n, run.came));
    }

    fn join(&mut self, leg: usize, now: Arrival) {
        if !self.is_merging()
            && let Some(main) = self.legs.first_mut()
        {
            main.since = Some(now);
        }
        if let Some(it) = self.legs.get_mut(leg) {
            it.forget();
            it.candidate.reset();
            (it.joined, it.lag) = (true, Ticks27M::ZERO);
            it.since = Some(now);
            self.events.push(MergeEvent::Joined { leg });
        }
    }

    fn part(&mut self, leg: usize, why: Parted, now: Arrival) {
        let Some(it) = self.legs.get_mut(leg).filter(|it| it.joined) else {
            return;
        };
        it.joined = false;
        if why == Parted::Differs {
            let all = it.pending.iter().map(|run| run.packets.len() as u64);
            it.counts.different += all.sum::<u64>();
            it.candidate.not_before = Some(now + APART);
        }
        it.forget();
        self.events.push(MergeEvent::Parted { leg, why });
        if !self.is_merging() {
            self.release_main();
        }
    }

    /// Without another leg nothing of the main one waits.
    fn release_main(&mut self) {
        while let Some(run) = self.legs.first_mut().and_then(Leg::pop) {
            self.append(0, &run, self.cells.tail());
        }
    }

    /// True when a leg is a twin of the main one.
    pub fn is_merging(&self) -> bool {
        self.legs.iter().any(|leg| leg.joined)
    }

    /// True when a leg is a twin of the main one; the main one is none.
    pub fn is_joined(&self, leg: usize) -> bool {
        self.legs.get(leg).is_some_and(|leg| leg.joined)
    }

    /// What was counted of a leg.
    pub fn counts(&self, leg: usize) -> LegCounts {
        self.legs.get(leg).map(|leg| leg.counts).unwrap_or_default()
    }

    /// How much later than the first a leg comes, on the mean of the last packets.
    pub fn lag(&self, leg: usize) -> Ticks27M {
        self.legs.get(leg).map(|leg| leg.lag).unwrap_or_default()
    }

    /// Gives what leaves by `now`, in order, with the instant of each.
    pub fn pop(&mut self, now: Arrival, out: &mut dyn FnMut(&Packet, Arrival)) {
        if self.is_merging() {
            for leg in 0..self.legs.len() {
                self.look_after(leg, now);
            }
        }
        self.give(now, out);
    }

    fn give(&mut self, now: Arrival, out: &mut dyn FnMut(&Packet, Arrival)) {
        while let Some(cell) = self.cells.get(self.cells.front()) {
            let many = self.cells.len() > MOST_PACKETS;
            if cell.due > now && !many {
                break;
            }
            if cell.due > now {
                self.overflow += 1;
            }
            let at = self
                .last_out
                .map_or(cell.due, |last| last.max(cell.due))
                .min(now);
            self.last_out = Some(at);
            out(&cell.packet, at);
            self.cells.step();
            if many {
                self.drop_first();
            }
        }
        if self.overflow > 0 && !self.told_overflow {
            self.told_overflow = true;
            let packets = self.overflow;
            self.events.push(MergeEvent::Overflow { packets });
        }
        let delay = self.delay;
        let old = |cell: &Cell| cell.sent && now - cell.due >= delay;
        while self.cells.get(self.cells.head()).is_some_and(old) {
            self.drop_first();
        }
    }

    /// Gives everything that has not left, at the end of the stream.
    pub fn finish(&mut self, now: Arrival, out: &mut dyn FnMut(&Packet, Arrival)) {
        for leg in 0..self.legs.len() {
            self.close(leg);
        }
        // Later, but no leg is silent for that.
        self.give(now + self.delay * 3, out);
    }

    /// Hands over what was observed since the last call.
    pub fn drain(&mut self, sink: &mut dyn FnMut(&MergeEvent)) {
        self.events.drain_each(sink);
    }

    /// Packets that left before their time, for want of room.
    pub const fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Packets that are kept.
    pub fn held(&self) -> usize {
        let pending: usize = self.legs.iter().map(|leg| leg.held).sum();
        self.cells.len() + pending
    }

    /// The oldest packet is forgotten: who had it not by now has lost it.
    fn drop_first(&mut self) {
        let id = self.cells.head();
        let Some(cell) = self.cells.remove(id) else {
            return;
        };
        let (merging, delay) = (self.is_merging(), self.delay);
        // What it had brought before it joined is not known any more.
        let counted = |leg: &Leg| leg.since.is_some_and(|since| cell.came > since + delay);
        let alive = |leg: &Leg| leg.last_arrival.is_some_and(|last| cell.came <= last);
        let main = self
            .legs
            .first()
            .is_some_and(|leg| counted(leg) && alive(leg));
        for (n, leg) in self.legs.iter_mut().enumerate() {
            if leg.last == id {
                leg.last = NIL;
            }
            if leg.furthest == id {
                leg.furthest = NIL;
            }
            let since = counted(leg);
            let counts = merging && (n == 0 || leg.joined) && since;
            let there = leg
                .last_arrival
                .is_some_and(|last| cell.came - last < SILENT);
            if counts && there && !cell.was_had_by(n) {
                leg.counts.lost += 1;
            }
            let both = main && alive(leg);
            if leg.joined && both && since && cell.is_distinct() {
                let by = usize::from(cell.was_had_by(0)) + usize::from(cell.was_had_by(n));
                if let Some(shared) = 2usize.checked_sub(by).and_then(|n| leg.shared.get_mut(n)) {
                    *shared += 1;
                }
            }
        }
    }

    /// Sees to what of a leg waits for too long.
    fn look_after(&mut self, leg: usize, now: Arrival) {
        let Some(it) = self.legs.get(leg) else { return };
        let silent = it
            .last_arrival
            .is_none_or(|last| now - last > SILENT + self.delay);
        if leg > 0 && it.joined && silent {
            self.part(leg, Parted::Silent, now);
            return;
        }
        let [shared, alone] = it.shared;
        if shared + alone >= WEIGHED {
            if shared * 3 < alone {
                self.part(leg, Parted::Differs, now);
                return;
            }
            if let Some(it) = self.legs.get_mut(leg) {
                it.shared = [0; 2];
            }
        }
        let Some(it) = self.legs.get(leg) else { return };
        if it.pending.is_empty() {
            return;
        }
        self.settle(leg);
        let Some(it) = self.legs.get(leg) else { return };
        let Some(since) = it.pending.front().map(|run| run.came) else {
            return;
        };
        let others = self.legs.iter().enumerate().filter(|(n, _)| *n != leg);
        let led = others.filter_map(|(_, other)| other.led_at).max();
        let quiet = led.is_none_or(|led| led < since);
        if now - since >= GUARD && quiet {
            self.close(leg);
            return;
        }
        let waiting = self.unknown(leg);
        let differs = waiting >= DIFFERENT && it.furthest != NIL && self.is_alone_behind(leg);
        let given_up = differs || now - since >= self.delay || it.held > MOST_PENDING;
        if given_up || now - since >= GUARD / 2 && !self.resolve(leg, now) {
            self.differs(leg, now);
        }
    }

    /// Packets that wait of a leg and came by no other.
    fn unknown(&self, leg: usize) -> usize {
        let pending = self.legs.get(leg).map(|leg| &leg.pending);
        let all = pending.into_iter().flatten().flat_map(|run| &run.packets);
        all.filter(|(_, print)| *print != 0 && !self.cells.has(*print))
            .count()
    }

    /// True when the others went on by many packets that this leg has not.
    fn is_alone_behind(&self, leg: usize) -> bool {
        let mut id = self.cells.tail();
        let mut count = 0;
        while let Some(cell) = self.cells.get(id).filter(|c| !c.was_had_by(leg)) {
            count += usize::from(cell.is_distinct());
            if count >= DIFFERENT {
                return true;
            }
            id = self.cells.prev(id);
        }
        false
    }

    /// A packet that has not left loses its place.
    fn take_out(&mut self, id: u32) {
        self.cells.remove(id);
        for leg in &mut self.legs {
            if leg.last == id {
                leg.last = NIL;
            }
            if leg.furthest == id {
                leg.furthest = NIL;
            }
        }
    }

    /// A leg carries something else: the main one is followed.
    fn differs(&mut self, leg: usize, now: Arrival) {
        if leg > 0 {
            self.part(leg, Parted::Differs, now);
            return;
        }
        let mut id = self.cells.tail();
        let mut cut = VecDeque::new();
        while let Some(cell) = self.cells.get(id).filter(|cell| !cell.sent) {
            if !cell.was_had_by(0) {
                cut.push_back((id, cell.had));
            }
            id = self.cells.prev(id);
        }
        let mut had = 0;
        for (id, by) in cut {
            had |= by;
            self.take_out(id);
            for (n, leg) in self.legs.iter_mut().enumerate() {
                leg.counts.different += u64::from(by & 1 << n != 0);
            }
        }
        for n in 1..self.legs.len() {
            if had & 1 << n != 0 || had == 0 {
                self.part(n, Parted::Differs, now);
            }
        }
        self.release_main();
    }
}

#[cfg(test)]
mod tests;
