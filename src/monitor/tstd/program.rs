//! The T-STD of one program: its clock, its streams, its systems buffers.

use super::chain::Chain;
use super::finding::{Place, Reporter};
use super::quantity::{Fine, Interval};
use super::systems::Systems;
use super::units::Passing;
use crate::monitor::{Out, Seen};
use crate::si::ServiceId;
use crate::ts::{Packet, Pcr, Pid, Scrambling};
use crate::units::Ticks27M;

/// Packets kept from one PCR to the next, at most: 24 bytes each. At 100 ms between PCRs that is
/// room for 980 Mbit/s of one program.
const MOST_PENDING: usize = 65_536;

/// A packet that waits for the PCR behind it, which tells when it arrived.
#[derive(Copy, Clone, Debug)]
struct Record {
    place: Place,
    pid: Pid,
    target: Target,
    /// What of it goes on behind the transport buffer.
    passing: Passing,
    /// What came before it on its PID does not go on.
    fresh: bool,
}

#[derive(Copy, Clone, Debug)]
enum Target {
    Chain(u16),
    Systems,
}

/// A PCR and where it stands.
#[derive(Copy, Clone, Debug)]
struct Anchor {
    pcr: Pcr,
    position: u64,
    time: Fine,
}

/// One program.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) service: ServiceId,
    pub(super) pcr_pid: Pid,
    pub(super) pmt_pid: Pid,
    pub(super) chains: Vec<Chain>,
    pub(super) systems: Systems,
    /// Pairs of PCRs between which packets were followed.
    pub(super) intervals: u64,
    anchor: Option<Anchor>,
    /// discontinuity_indicator came since the last PCR.
    announced: bool,
    /// Packets are missing since the last PCR: the bytes between do not tell the time.
    broken: bool,
    pending: Vec<Record>,
}

impl Program {
    /// The longest step from one PCR to the next that counts as the same clock.
    const LONGEST_STEP: Ticks27M = Ticks27M::SECOND;

    pub(super) fn new(service: ServiceId, pcr_pid: Pid, pmt_pid: Pid, chains: Vec<Chain>) -> Self {
        Self {
            service,
            pcr_pid,
            pmt_pid,
            chains,
            systems: Systems::new(),
            intervals: 0,
            anchor: None,
            announced: false,
            broken: false,
            pending: Vec::new(),
        }
    }

    /// Its streams.
    pub(super) fn chains_of(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter()
    }

    /// Forgets what is under way, and waits for two PCRs.
    pub(super) fn reset(&mut self) {
        self.anchor = None;
        self.announced = false;
        self.drop_pending();
    }

    /// Packets are missing somewhere since the last PCR.
    pub(super) const fn lose(&mut self) {
        self.broken = true;
    }

    /// The time of the packets that wait will not be known.
    fn drop_pending(&mut self) {
        for record in self.pending.drain(..) {
            if let Target::Chain(n) = record.target
                && let Some(chain) = self.chains.get_mut(usize::from(n))
            {
                chain.skip(record.passing);
            }
        }
        self.broken = false;
        self.chains.iter_mut().for_each(Chain::reset);
        self.systems.reset();
    }

    /// A packet of the clock's PID, before it counts.
    pub(super) fn clock_before(&mut self, packet: &Packet, position: u64) {
        let Some(adaptation) = packet.adaptation() else {
            return;
        };
        self.announced |= adaptation.discontinuity();
        let Some(pcr) = adaptation.pcr() else {
            return;
        };
        let announced = std::mem::take(&mut self.announced);
        if let Some(anchor) = self.anchor {
            let step = pcr - anchor.pcr;
            if !announced && !step.is_negative() && step <= Self::LONGEST_STEP {
                return;
            }
        }
        self.drop_pending();
        self.anchor = Some(Anchor {
            pcr,
            position,
            time: Fine::default(),
        });
    }

    /// The same packet, when it has been counted: what waited for its PCR is followed.
    pub(super) fn clock_after(&mut self, packet: &Packet, position: u64, out: &mut Out<'_>) {
        let (Some(pcr), Some(anchor)) = (packet.pcr(), self.anchor) else {
            return;
        };
        let (span, packets) = (pcr - anchor.pcr, position - anchor.position);
        if packets == 0 || span <= Ticks27M::ZERO {
            return;
        }
        let interval = Interval::new(anchor.position, anchor.time, packets, span);
        if self.broken {
            self.drop_pending();
        } else {
            self.intervals += 1;
            self.follow(&interval, anchor.pcr, out);
        }
        self.anchor = Some(Anchor {
            pcr,
            position,
            time: anchor.time + Fine::of(span),
        });
    }

    fn follow(&mut self, interval: &Interval, clock: Pcr, out: &mut Out<'_>) {
        let service = self.service;
        for record in self.pending.drain(..) {
            let mut report = Reporter {
                out: &mut *out,
                pid: record.pid,
                service,
                now: record.place,
            };
            let (place, passing) = (record.place, record.passing);
            match record.target {
                Target::Systems => self
                    .systems
                    .arrive(place, passing.bytes, interval, &mut report),
                Target::Chain(n) => {
                    let Some(chain) = self.chains.get_mut(usize::from(n)) else {
                        continue;
                    };
                    if record.fresh {
                        chain.reset();
                    }
                    chain.arrive(place, passing, interval, clock, &mut report);
                }
            }
        }
    }

    fn keep(&mut self, record: Record) {
        if self.pending.len() >= MOST_PENDING {
            self.reset();
        }
        if self.anchor.is_some() {
            self.pending.push(record);
        } else if let Target::Chain(n) = record.target
            && let Some(chain) = self.chains.get_mut(usize::from(n))
        {
            chain.skip(record.passing);
        }
    }

    /// A packet of a stream.
    pub(super) fn stream_packet(&mut self, place: u16, seen: &Seen<'_>) {
        let Some(chain) = self.chains.get_mut(usize::from(place)) else {
            return;
        };
        let scrambled = seen.packet.scrambling() != Scrambling::Clear;
        let fresh = seen.broken || scrambled && !chain.scrambled;
        chain.scrambled = scrambled;
        chain.measured.scrambled |= scrambled;
        if fresh {
            chain.lose();
        }
        let mut passing = Passing::default();
        if !seen.repeated && !scrambled {
            passing = chain.find_units(seen.packet);
        }
        self.keep(Record {
            place: seen.at.into(),
            pid: seen.pid,
            target: Target::Chain(place),
            passing,
            fresh,
        });
    }

    /// A packet of PSI, so many bytes of which belong to sections.
    pub(super) fn systems_packet(&mut self, seen: &Seen<'_>, bytes: u8) {
        self.keep(Record {
            place: seen.at.into(),
            pid: seen.pid,
            target: Target::Systems,
            passing: Passing { bytes, header: 0 },
            fresh: false,
        });
    }
}
