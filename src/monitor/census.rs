//! What each PID carried: one look at the header a packet.

use crate::stream::continuity::Step;
use crate::ts::{Packet, PesHeader, Pid, Scrambling};

use super::Moment;

/// What came on one PID.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PidCount {
    /// The PID.
    pub pid: Pid,
    /// Packets, repeats included.
    pub packets: u64,
    /// Packets that repeat the one before.
    pub duplicates: u64,
    /// Breaks of the continuity counter.
    pub continuity_errors: u64,
    /// Packets scrambled with one of the two keys.
    pub scrambled_packets: u64,
    /// Packets with a PCR.
    pub pcr_count: u64,
    /// PES packets that begin with a PTS.
    pub pts_count: u64,
    /// The first packet.
    pub first: Moment,
    /// The last packet.
    pub last: Moment,
}

/// Counts the packets of all PIDs. At most 0.9 MB, for a stream of all 8192.
#[derive(Debug)]
pub(super) struct Census {
    /// For each PID the place of its counts plus one, 0 before its first packet.
    places: Box<[u16; Pid::COUNT]>,
    counts: Vec<PidCount>,
}

impl Census {
    pub(super) fn new() -> Self {
        Self {
            places: Box::new([0; Pid::COUNT]),
            counts: Vec::new(),
        }
    }

    /// Takes a packet whose header can be believed.
    #[inline]
    pub(super) fn push(&mut self, packet: &Packet, pid: Pid, step: Step, at: Moment) {
        let place = usize::from(self.places[pid.index()]);
        let count = match self.counts.get_mut(place.wrapping_sub(1)) {
            Some(count) => count,
            None => self.first(pid, at),
        };
        count.packets += 1;
        count.last = at;
        match step {
            Step::Due | Step::Announced => {}
            Step::Repeat => count.duplicates += 1,
            Step::Error(_) => count.continuity_errors += 1,
        }
        match packet.scrambling() {
            Scrambling::EvenKey | Scrambling::OddKey => count.scrambled_packets += 1,
            Scrambling::Clear if packet.payload_unit_start() => {
                let stamped = PesHeader::new(packet.payload()).is_some_and(|p| p.pts().is_some());
                count.pts_count += u64::from(stamped);
            }
            Scrambling::Clear | Scrambling::Reserved => {}
        }
        if packet.has_adaptation() {
            count.pcr_count += u64::from(packet.pcr().is_some());
        }
    }

    #[cold]
    fn first(&mut self, pid: Pid, at: Moment) -> &mut PidCount {
        self.places[pid.index()] = self.counts.len() as u16 + 1;
        self.counts.push(PidCount {
            pid,
            packets: 0,
            duplicates: 0,
            continuity_errors: 0,
            scrambled_packets: 0,
            pcr_count: 0,
            pts_count: 0,
            first: at,
            last: at,
        });
        let last = self.counts.len() - 1;
        &mut self.counts[last]
    }

    /// What came on a PID; `None` when nothing did.
    pub(super) fn of(&self, pid: Pid) -> Option<&PidCount> {
        let place = usize::from(self.places[pid.index()]);
        self.counts.get(place.wrapping_sub(1))
    }

    /// Every PID that came, in order.
    pub(super) fn pids(&self) -> Vec<&PidCount> {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_unstable_by_key(|count| count.pid);
        all
    }
}
