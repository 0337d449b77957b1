//! The output: one line of time, one counter a PID, tables and PCRs that never pause.

use super::information::{InformationWriter, Passed};
use super::layout::Layout;
use super::leg::Next;
use super::tables::{Naming, Tables};
use super::unit::{Follows, section_packets};
use crate::si::SpliceInfo;
use crate::stream::restamp::shift;
use crate::stream::stuffing::Stuffer;
use crate::ts::{ContinuityCounter, Dts, Packet, Pcr, PesHeader, Pid};
use crate::units::{BitRate, StreamTime, Ticks27M};

/// After so long without a PCR of the input one is sent alone: ISO/IEC 13818-1 §2.7.2 allows 100 ms.
const CLOCK_SILENCE: Ticks27M = Ticks27M::from_millis(80);

/// Where packets go, with their places on the output's line.
pub(super) type Out<'o> = &'o mut dyn FnMut(&Packet, StreamTime);

/// A PID of the output as far as it went.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    /// Of the last packet with a payload.
    counter: Option<ContinuityCounter>,
    /// Where its sound ended.
    pub(super) end: Option<StreamTime>,
    /// When the last picture is decoded.
    dts: Option<Dts>,
}

/// Pictures are decoded at least so long one after the other where an input that reorders more
/// follows one that reorders less: its first pictures are decoded later than it says.
const SQUEEZED: Ticks27M = Ticks27M::from_millis(3);

/// The output.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) layout: Layout,
    pub(super) lanes: Vec<Lane>,
    tables: Tables,
    information: InformationWriter,
    /// The counter of a PID that carries nothing but PCRs.
    bare_clock: ContinuityCounter,
    last_pcr: StreamTime,
    /// The place of what was sent last.
    last: StreamTime,
    stuffer: Option<Stuffer>,
    pub(super) packets: u64,
    /// Breaks of counters that the input on air had, and the output has.
    pub(super) breaks: u64,
    /// Stamps that could not be moved: their PES headers are cut.
    pub(super) stamps_not_moved: u64,
}

impl Output {
    pub(super) fn new(layout: Layout, now: StreamTime, rate: Option<BitRate>) -> Self {
        Self {
            lanes: vec![Lane::default(); layout.slots().len()],
            tables: Tables::new(&layout, now),
            information: InformationWriter::new(),
            layout,
            bare_clock: ContinuityCounter::default(),
            last_pcr: now - CLOCK_SILENCE,
            last: now,
            stuffer: rate.map(Stuffer::new),
            packets: 0,
            breaks: 0,
            stamps_not_moved: 0,
        }
    }

    /// The place of what was sent last: nothing goes out before it.
    pub(super) const fn last(&self) -> StreamTime {
        self.last
    }

    pub(super) const fn stuffer(&mut self) -> Option<&mut Stuffer> {
        self.stuffer.as_mut()
    }

    /// Takes the name of the service, once.
    pub(super) fn name(&mut self, naming: Option<&Naming>) {
        if let Some(naming) = naming.filter(|_| self.tables.is_nameless()) {
            self.tables.name(&self.layout, naming);
        }
    }

    /// Passes a section of the information that goes with a leg, to leave at `due`.
    pub(super) fn inform(&mut self, passed: &Passed, leg: u64, due: StreamTime) {
        let (naming, due) = (self.tables.naming(), due.max(self.last));
        let events = self
            .information
            .push(passed, leg, due, &self.layout, naming);
        if events {
            self.tables.announce_events(&self.layout);
        }
    }

    /// Sections that came faster than they may leave.
    pub(super) const fn uninformed(&self) -> u64 {
        self.information.dropped
    }

    /// The PMT changes at `at`.
    pub(super) fn hurry(&mut self, at: StreamTime) {
        self.tables.hurry(at);
        self.lanes
            .resize(self.layout.slots().len(), Lane::default());
    }

    /// Sends tables and PCRs that are due before `until`, and what fills a constant rate.
    pub(super) fn fill(&mut self, until: StreamTime, out: Out<'_>) {
        loop {
            let clock = self.last_pcr + CLOCK_SILENCE;
            let due = self.tables.due().min(clock).max(self.last);
            let information = self.information.due().map(|at| at.max(self.last));
            let informs = information.filter(|at| *at <= due);
            let due = informs.unwrap_or(due);
            if due >= until {
                break;
            }
            if informs.is_some() {
                if let Some(packet) = self.information.pop() {
                    self.put(packet, due, out);
                }
            } else if clock <= due {
                let pcr = self.clock_packet(due);
                self.put(pcr, due, out);
            } else {
                let mut tables = Vec::new();
                let write = &mut |packet: &Packet| tables.push(*packet);
                self.tables.write(&self.layout, due, write);
                for packet in tables {
                    self.put(packet, due, out);
                }
            }
        }
    }

    /// Fills a constant rate up to `until`.
    pub(super) fn stuff(&mut self, until: StreamTime, out: Out<'_>) {
        if let Some(stuffer) = &mut self.stuffer {
            let packets = &mut self.packets;
            stuffer.fill(until, &mut |packet, at| {
                *packets += 1;
                out(packet, at);
            });
        }
    }

    fn clock_packet(&self, at: StreamTime) -> Packet {
        let pid = self.layout.first.pcr_pid;
        let slot = self.layout.slots().iter().position(|slot| slot.pid == pid);
        let lane = slot.and_then(|slot| self.lanes.get(slot));
        let counter = lane.and_then(|lane| lane.counter);
        Packet::pcr_only(pid, counter.unwrap_or(self.bare_clock), clock(at))
    }

    /// Sends the packet of a leg on a slot, at `due` of the output's line; `by` moves its stamps.
    pub(super) fn send(
        &mut self,
        slot: usize,
        next: Next,
        by: Ticks27M,
        due: StreamTime,
        out: Out<'_>,
    ) {
        let due = due.max(self.last);
        let Some(pid) = self.layout.slots().get(slot).map(|slot| slot.pid) else {
            return;
        };
        if let Some(mut section) = next.splice {
            if !SpliceInfo::restamp(&mut section, by) {
                self.stamps_not_moved += 1;
            }
            for packet in section_packets(&section, pid) {
                self.send_one(slot, pid, packet, Follows::Due, due, out);
            }
            return;
        }
        let mut packet = next.packet;
        if !shift(&mut packet, by) {
            self.stamps_not_moved += 1;
        }
        if packet.payload_unit_start() {
            self.order(slot, &mut packet);
        }
        self.send_one(slot, pid, packet, next.follows, due, out);
    }

    /// Keeps the times at which pictures are decoded in order.
    fn order(&mut self, slot: usize, packet: &mut Packet) {
        let video = self.layout.slots().get(slot);
        let video = video.is_some_and(|slot| slot.stream.codec.is_video());
        let Some(lane) = self.lanes.get_mut(slot).filter(|_| video) else {
            return;
        };
        let Some(header) = PesHeader::new(packet.payload()) else {
            return;
        };
        let Some(mut decoded) = header.decode_time() else {
            return;
        };
        if let Some(last) = lane.dts
            && decoded - last < SQUEEZED
            && decoded - last > -Ticks27M::SECOND
        {
            let later = last + SQUEEZED;
            if PesHeader::set_dts(packet.payload_mut(), later) {
                decoded = later;
            }
        }
        lane.dts = Some(decoded);
    }

    fn send_one(
        &mut self,
        slot: usize,
        pid: Pid,
        mut packet: Packet,
        follows: Follows,
        due: StreamTime,
        out: Out<'_>,
    ) {
        let Some(lane) = self.lanes.get_mut(slot) else {
            return;
        };
        packet.set_pid(pid);
        let counter = match (lane.counter, follows) {
            (None, _) => packet.continuity_counter(),
            (Some(last), Follows::Repeat) => last,
            (Some(last), _) if !packet.has_payload() => last,
            (Some(last), Follows::Due) => last.next(),
            // What the input lost is lost in the output too: a decoder must know.
            (Some(last), Follows::Lost(lost)) => {
                self.breaks += u64::from(lost > 0);
                ContinuityCounter::wrapping(last.next().get().wrapping_add(lost))
            }
        };
        packet.set_continuity_counter(counter);
        if packet.has_payload() {
            lane.counter = Some(counter);
        }
        if packet.pcr().is_some() {
            packet.set_pcr(clock(due));
            if pid == self.layout.first.pcr_pid {
                self.last_pcr = due;
            }
        }
        self.put(packet, due, out);
    }

    fn put(&mut self, packet: Packet, due: StreamTime, out: Out<'_>) {
        self.last = due;
        if packet.pcr().is_some() && packet.pid() == self.layout.first.pcr_pid {
            self.last_pcr = due;
        }
        let packets = &mut self.packets;
        let mut count = |packet: &Packet, at: StreamTime| {
            *packets += 1;
            out(packet, at);
        };
        match &mut self.stuffer {
            Some(stuffer) => stuffer.push(&packet, due, &mut count),
            None => count(&packet, due),
        }
    }
}

/// The output's clock at an instant of its line.
fn clock(at: StreamTime) -> Pcr {
    let ticks = at.ticks().rem_euclid(Pcr::CIRCLE.get());
    Pcr::from_ticks(ticks as u64).unwrap_or_else(|| Pcr::read(&[0; 6]))
}
