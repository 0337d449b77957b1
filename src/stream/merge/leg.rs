//! One leg: what came of it and has no place yet, and how far it got.

use std::collections::{HashSet, VecDeque};

use super::cells::NIL;
use crate::ts::{Packet, Pid};
use crate::units::{Arrival, Ticks27M};

/// What a leg brought, and what it did not.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LegCounts {
    /// Packets that came.
    pub packets: u64,
    /// Packets of the merged stream that this leg had not, while it was merged.
    pub lost: u64,
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets that came twice.
    pub repeated: u64,
    /// Packets that have no place in what the other legs carry: they were left out.
    pub different: u64,
    /// Packets that were taken from this leg first.
    pub first: u64,
}

/// A datagram that comes twice comes so soon after the first at most.
const REPEATED: Ticks27M = Ticks27M::from_millis(20);
/// Datagrams that are remembered.
const MOST_RECENT: usize = 256;

/// Packets that came together.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// With its fingerprint each, 0 where it tells nothing.
    pub(super) packets: Vec<(Packet, u64)>,
    pub(super) came: Arrival,
    pub(super) block: u64,
}

impl Run {
    pub(super) fn distinct(&self) -> usize {
        self.packets.iter().filter(|(_, print)| *print != 0).count()
    }
}

/// A leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) joined: bool,
    /// When it began to be merged.
    pub(super) since: Option<Arrival>,
    /// The cell that was found or made last.
    pub(super) last: u32,
    /// The cell that stands furthest of those.
    pub(super) furthest: u32,
    pub(super) pending: VecDeque<Run>,
    pub(super) held: usize,
    /// Datagrams that came, by their fingerprints, and when.
    recent: VecDeque<(Arrival, u64)>,
    /// The counter of each PID, 0xFF before the first.
    counters: Box<[u8; Pid::COUNT]>,
    pub(super) last_arrival: Option<Arrival>,
    /// When the leg last brought what no other had before.
    pub(super) led_at: Option<Arrival>,
    pub(super) told_late: bool,
    /// Of packets that have gone: how many it had in common with the main leg, and how many one of
    /// the two had alone.
    pub(super) shared: [u32; 2],
    pub(super) counts: LegCounts,
    /// How much later than the first it came last.
    pub(super) lag: Ticks27M,
    pub(super) candidate: Candidate,
}

impl Leg {
    pub(super) fn new() -> Self {
        Self {
            joined: false,
            since: None,
            last: NIL,
            furthest: NIL,
            pending: VecDeque::new(),
            held: 0,
            recent: VecDeque::new(),
            counters: Box::new([0xFF; Pid::COUNT]),
            last_arrival: None,
            led_at: None,
            told_late: false,
            shared: [0; 2],
            counts: LegCounts::default(),
            lag: Ticks27M::ZERO,
            candidate: Candidate::new(),
        }
    }

    /// True when the counter of its PID is where it was: a repeat, or a sender that does not count.
    pub(super) fn stands_still(&self, packet: &Packet) -> bool {
        let last = self.counters[packet.pid().index()];
        packet.has_payload() && last == packet.continuity_counter().get()
    }

    /// True for a datagram of several packets that came a moment ago: the network has doubled it.
    pub(super) fn is_repeat(&mut self, run: &Run) -> bool {
        let old = |(came, _): &(Arrival, u64)| run.came - *came > REPEATED;
        while self.recent.len() >= MOST_RECENT || self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
        if run.packets.len() < 2 || run.distinct() == 0 {
            return false;
        }
        let sum = |sum: u64, (_, print): &(Packet, u64)| sum.rotate_left(7) ^ *print;
        let print = run.packets.iter().fold(0, sum);
        let known = self.recent.iter().any(|(_, before)| *before == print);
        if !known {
            self.recent.push_back((run.came, print));
        }
        known
    }

    /// A packet has its place: its PID is as far as that.
    pub(super) fn passed(&mut self, packet: &Packet) {
        if packet.has_payload() && packet.pid() != Pid::NULL {
            self.counters[packet.pid().index()] = packet.continuity_counter().get();
        }
    }

    pub(super) fn push(&mut self, run: Run) {
        self.held += run.packets.len();
        self.pending.push_back(run);
    }

    pub(super) fn push_front(&mut self, run: Run) {
        self.held += run.packets.len();
        self.pending.push_front(run);
    }

    pub(super) fn pop(&mut self) -> Option<Run> {
        let run = self.pending.pop_front()?;
        self.held -= run.packets.len();
        Some(run)
    }

    pub(super) fn forget(&mut self) {
        self.pending.clear();
        self.held = 0;
        (self.last, self.furthest) = (NIL, NIL);
        self.counters.fill(0xFF);
        self.told_late = false;
        self.shared = [0; 2];
    }
}

/// Packets of which one in so many is compared, while a leg is no twin.
const SAMPLE: u64 = 4;
/// Compared packets that are looked back upon.
const COMPARED: u32 = 32;
/// So many of them have to be the same: at a loss of a tenth nine in ten are.
const ALIKE: u32 = 22;
/// Fingerprints that are kept of a leg that leads.
const REMEMBERED: usize = 16_384;

/// A leg that may be found to be a twin.
#[derive(Debug)]
pub(super) struct Candidate {
    recent: VecDeque<(Arrival, u64)>,
    known: HashSet<u64>,
    /// Of the last packets compared: those of this leg that the main one had before, and those of
    /// the main one that this one had before.
    follows: Score,
    leads: Score,
    /// Nothing is compared before this.
    pub(super) not_before: Option<Arrival>,
}

#[derive(Copy, Clone, Debug, Default)]
struct Score {
    bits: u32,
    compared: u32,
}

impl Score {
    fn push(&mut self, same: bool) {
        self.bits = self.bits << 1 | u32::from(same);
        self.compared = (self.compared + 1).min(COMPARED);
    }

    fn is_enough(self) -> bool {
        self.compared == COMPARED && self.bits.count_ones() >= ALIKE
    }
}

impl Candidate {
    fn new() -> Self {
        Self {
            recent: VecDeque::new(),
            known: HashSet::new(),
            follows: Score::default(),
            leads: Score::default(),
            not_before: None,
        }
    }

    /// True for packets that are compared: tables are the same in what is not.
    fn is_sample(packet: &Packet, print: u64) -> bool {
        print != 0 && print.is_multiple_of(SAMPLE) && packet.pid().get() >= 0x20
    }

    /// Packets of this leg; `has` tells what the main one had.
    pub(super) fn push(&mut self, run: &Run, longest: Ticks27M, has: impl Fn(u64) -> bool) {
        if self.not_before.is_some_and(|then| run.came < then) {
            return;
        }
        let old = |(came, _): &(Arrival, u64)| run.came - *came > longest;
        while self.recent.front().is_some_and(old) || self.recent.len() >= REMEMBERED {
            if let Some((_, print)) = self.recent.pop_front() {
                self.known.remove(&print);
            }
        }
        for (packet, print) in &run.packets {
            if Self::is_sample(packet, *print) {
                self.follows.push(has(*print));
                self.recent.push_back((run.came, *print));
                self.known.insert(*print);
            }
        }
    }

    /// Packets of the main leg.
    pub(super) fn compare(&mut self, run: &Run) {
        for (packet, print) in &run.packets {
            if Self::is_sample(packet, *print) && !self.known.is_empty() {
                self.leads.push(self.known.contains(print));
            }
        }
    }

    pub(super) fn is_twin(&self) -> bool {
        self.follows.is_enough() || self.leads.is_enough()
    }

    pub(super) fn reset(&mut self) {
        *self = Self {
            not_before: self.not_before,
            ..Self::new()
        };
    }
}
