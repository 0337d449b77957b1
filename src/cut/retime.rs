//! The clocks of the result: watched, marked where they jump, and moved to zero where asked.
//!
//! The packets a cutter puts out pass here. A PCR that does not follow from the one before gets
//! discontinuity_indicator where it is missing: a decoder would otherwise wait, or drop what it
//! has. With rebasing, all clocks are moved by what the first PCR shows, and over a jump the clock
//! counts on (the indicator stays: the packets before and behind still do not belong together):
//! PCR, OPCR, PTS, DTS and the pts_adjustment of SCTE 35 alike. Every move is a whole number of
//! 90 kHz ticks, so that stamps and clock keep their distance to the tick. Stamps that cannot be
//! moved (scrambled, or cut by a packet's end) are told.

use std::collections::BTreeMap;

use super::contents::Contents;
use super::event::CutEvent;
use super::presented::Presented;
use crate::si::SpliceInfo;
use crate::stream::codec::Codec;
use crate::stream::restamp::{shift, shift_clock};
use crate::stream::timeline::Timeline;
use crate::ts::{Packet, Pid, Pts, Scrambling, Section};
use crate::units::{StreamTime, Ticks27M};

/// One program's clock.
#[derive(Debug)]
struct Clock {
    pid: Pid,
    line: Timeline,
    /// What is added to its PCRs and stamps.
    shift: Ticks27M,
    /// Its next PCR is the first behind a gap.
    interrupted: bool,
}

/// What has to be done with packets of a PID.
#[derive(Copy, Clone, Debug, Default)]
struct Role {
    psi: bool,
    clock: bool,
    splices: bool,
    /// The stream that cuts go by.
    main: bool,
    /// Number of the clock its stamps belong to.
    owner: u16,
}

/// Watches and moves the clocks of a stream.
#[derive(Debug)]
pub struct Retimer {
    contents: Contents,
    rebase: bool,
    roles: Box<[Role]>,
    clocks: Vec<Clock>,
    /// What the first PCR of all showed.
    zero: Option<Ticks27M>,
    splices: BTreeMap<Pid, Vec<Packet>>,
    wraps: u64,
    jumps: u64,
    /// The sum of the jumps of the program that cuts go by.
    jumped: Ticks27M,
    presented: Presented,
    /// What was presented last when PAT or PMT changed last.
    changed: Option<Pts>,
}

/// The most packets of a splice information section that are held until it is whole: 4096 bytes.
const MOST_HELD: usize = 23;

impl Retimer {
    /// A retimer for a stream that begins with these contents.
    pub fn new(contents: Contents, rebase: bool) -> Self {
        let mut retimer = Self {
            contents,
            rebase,
            roles: vec![Role::default(); Pid::COUNT].into(),
            clocks: Vec::new(),
            zero: None,
            splices: BTreeMap::new(),
            wraps: 0,
            jumps: 0,
            jumped: Ticks27M::ZERO,
            presented: Presented::default(),
            changed: None,
        };
        retimer.assign();
        retimer
    }

    /// To be called where packets are missing from the material: the next PCR of each clock gets
    /// discontinuity_indicator, for it does not follow from the one before as the bytes between
    /// them say.
    pub fn interrupt(&mut self) {
        for clock in &mut self.clocks {
            clock.interrupted = true;
        }
        self.presented.interrupt();
    }

    /// By how much the clock that cuts go by jumped, all in all.
    pub fn jumped(&self) -> Ticks27M {
        self.jumped
    }

    /// What is presented.
    pub fn presented(&self) -> &Presented {
        &self.presented
    }

    /// PAT and PMTs as they stand, and what was presented last when they changed last.
    pub fn contents(&self) -> (&Contents, Option<Pts>) {
        (&self.contents, self.changed)
    }

    /// How often a clock jumped.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// How often a clock wrapped.
    pub fn wraps(&self) -> u64 {
        self.wraps
    }

    /// Gives each PID its role by the contents; clocks that run go on.
    fn assign(&mut self) {
        // Between a PAT and its PMTs a program is not known, and its clock goes on all the same.
        if self.contents.is_complete() {
            let named = self.contents.clocks();
            self.clocks.retain(|clock| named.contains(&clock.pid));
        }
        self.roles.fill(Role::default());
        self.roles[Pid::PAT.index()].psi = true;
        for program in self.contents.programs() {
            self.roles[program.pmt_pid.index()].psi = true;
            let clocks = &mut self.clocks;
            let number = clocks.iter().position(|c| c.pid == program.clock);
            let number = number.unwrap_or_else(|| {
                clocks.push(Clock {
                    pid: program.clock,
                    line: Timeline::new(),
                    shift: self.zero.unwrap_or(Ticks27M::ZERO),
                    interrupted: false,
                });
                clocks.len() - 1
            });
            // One a PID: at most 8192 of them.
            let owner = number as u16;
            let role = &mut self.roles[program.clock.index()];
            (role.clock, role.owner) = (true, owner);
            for (pid, codec) in &program.streams {
                let role = &mut self.roles[pid.index()];
                role.owner = owner;
                role.splices = *codec == Codec::Scte35;
            }
        }
        if let Some((main, _)) = self.contents.main().and_then(|p| p.main()) {
            self.roles[main.index()].main = true;
        }
    }

    /// Takes the next packets of the result and changes them in place; those of a splice
    /// information section wait until it is whole.
    pub fn push(&mut self, packets: &mut Vec<Packet>, event: &mut dyn FnMut(CutEvent)) {
        let mut held = false;
        let mut at = 0;
        while let Some(packet) = packets.get_mut(at) {
            let role = self.roles[packet.pid().index()];
            if role.clock {
                self.clock(packet, role, event);
            }
            if role.psi && self.contents.push(packet) {
                event(CutEvent::ProgramChange { pid: packet.pid() });
                self.changed = self.presented.last();
                self.assign();
            }
            if role.main {
                self.presented.push(packet);
            }
            if self.rebase {
                let by = self.shift(role);
                if role.splices && packet.has_payload() {
                    shift_clock(packet, by);
                    let pid = packet.pid();
                    let packet = std::mem::replace(packet, Packet::NULL);
                    let whole = self.splice(role, packet, event);
                    held |= whole.is_empty();
                    if !whole.is_empty() {
                        let more = whole.len();
                        packets.splice(at..=at, whole);
                        at += more - 1;
                        self.splices.remove(&pid);
                    }
                } else if !shift(packet, by) {
                    event(CutEvent::StampNotMoved { pid: packet.pid() });
                }
            }
            at += 1;
        }
        if held {
            packets.retain(|p| p.pid() != Pid::NULL);
        }
    }

    /// Gives back what still waits, at the end: sections that are not whole.
    pub fn finish(&mut self, packets: &mut Vec<Packet>, event: &mut dyn FnMut(CutEvent)) {
        for (pid, held) in std::mem::take(&mut self.splices) {
            if !held.is_empty() {
                event(CutEvent::StampNotMoved { pid });
            }
            packets.extend(held);
        }
    }

    fn clock(&mut self, packet: &mut Packet, role: Role, event: &mut dyn FnMut(CutEvent)) {
        let (Some(pcr), pid) = (packet.pcr(), packet.pid()) else {
            return;
        };
        let Some(clock) = self.clocks.get_mut(usize::from(role.owner)) else {
            return;
        };
        let before: Option<StreamTime> = clock.line.now();
        let tick = clock.line.push(pcr, packet.discontinuity());
        if tick.wrapped {
            self.wraps += 1;
            event(CutEvent::ClockWrap { pid });
        }
        if std::mem::take(&mut clock.interrupted) {
            packet.as_bytes_mut()[5] |= 0x80;
        }
        if let Some(jump) = tick.jump {
            self.jumps += 1;
            // The clock would have counted on by the usual step.
            let step = before.map_or(Ticks27M::ZERO, |before| tick.time - before);
            let (by, announced) = (jump.by - step, jump.announced);
            if self.contents.main().is_some_and(|p| p.clock == pid) {
                self.jumped += by;
                self.presented.interrupt();
            }
            event(CutEvent::ClockJump { pid, by, announced });
            if !announced {
                packet.as_bytes_mut()[5] |= 0x80;
            }
            let skipped = by.get().div_euclid(300) * 300;
            clock.shift -= Ticks27M::new(skipped);
        }
        if self.rebase && self.zero.is_none() {
            let first = Ticks27M::new(-i64::try_from(pcr.base() * 300).unwrap_or(0));
            self.zero = Some(first);
            for clock in &mut self.clocks {
                clock.shift = first;
            }
        }
    }

    fn shift(&self, role: Role) -> Ticks27M {
        let clock = self.clocks.get(usize::from(role.owner));
        clock.map_or(Ticks27M::ZERO, |clock| clock.shift)
    }

    /// Takes a packet of splice information; gives back all that waited once every section in
    /// them is whole and moved.
    fn splice(
        &mut self,
        role: Role,
        packet: Packet,
        event: &mut dyn FnMut(CutEvent),
    ) -> Vec<Packet> {
        let (pid, shift) = (packet.pid(), self.shift(role));
        let held = self.splices.entry(pid).or_default();
        let clear = packet.scrambling() == Scrambling::Clear;
        held.push(packet);
        let moved = match clear {
            true => move_splices(held, shift),
            false => Some(false),
        };
        if moved.is_none() && held.len() < MOST_HELD {
            return Vec::new();
        }
        if moved != Some(true) {
            event(CutEvent::StampNotMoved { pid });
        }
        std::mem::take(held)
    }
}

/// Moves the splice information sections that start in the first of these packets; `None` while
/// the last of them is not whole, `Some(false)` when one is damaged or none starts there.
fn move_splices(packets: &mut [Packet], shift: Ticks27M) -> Option<bool> {
    let first = packets.first().filter(|p| p.payload_unit_start());
    let Some(pointer) = first.and_then(|p| p.payload().first()).copied() else {
        return Some(false);
    };
    let before = 1 + usize::from(pointer);
    let mut bytes: Vec<u8> = packets.iter().flat_map(|p| p.payload()).copied().collect();
    let mut at = before;
    let mut all = true;
    while let Some(rest) = bytes
        .get_mut(at..)
        .filter(|b| b.first().is_some_and(|id| *id != 0xFF))
    {
        let size = Section::size_of(rest)?;
        let section = rest.get_mut(..size)?;
        all &= SpliceInfo::restamp(section, shift);
        at += size;
    }
    let mut rest = &bytes[..];
    for packet in packets {
        let payload = packet.payload_mut();
        let (mine, others) = rest.split_at_checked(payload.len())?;
        payload.copy_from_slice(mine);
        rest = others;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::si::descriptor::Descriptors;
    use crate::si::{
        PatEntry, PatFields, PmtFields, PmtStream, ServiceId, StreamType, TransportStreamId,
    };
    use crate::stream::SectionPacketizer;
    use crate::ts::{ContinuityCounter, Dts, Pcr, PesHeader, SectionBuf};

    const PMT: Pid = Pid::from_field(0x20);

    fn packets(pid: Pid, section: &SectionBuf) -> Vec<Packet> {
        let mut packets = Vec::new();
        SectionPacketizer::new(pid).push([section], |packet| packets.push(*packet));
        packets
    }

    /// The picture and clock of the program of this number.
    fn video(number: u16) -> Pid {
        Pid::from_field(0x100 + number)
    }

    /// The tables of programs 1 to `last`; a section of a PAT holds 253 at most.
    fn tables(version: u8, last: u16) -> Vec<Packet> {
        let line = |number| PatEntry {
            program: ServiceId(number),
            pid: PMT,
        };
        let entries: Vec<PatEntry> = (1..=last).map(line).collect();
        let parts = entries.chunks(200);
        let parts_total = parts.len() as u8;
        let mut all = Vec::new();
        for (number, entries) in (0u8..).zip(parts) {
            let mut fields = PatFields::new(TransportStreamId(1), version, entries);
            (fields.syntax.number, fields.syntax.last_number) = (number, parts_total - 1);
            all.extend(packets(Pid::PAT, &fields.to_section().unwrap()));
        }
        for number in 1..=last {
            let (service, pid) = (ServiceId(number), video(number));
            let streams = [PmtStream {
                stream_type: StreamType::AVC,
                pid,
                descriptors: Descriptors::NONE,
            }];
            let pmt = PmtFields::new(service, version, pid, Descriptors::NONE, &streams);
            all.extend(packets(PMT, &pmt.to_section().unwrap()));
        }
        all
    }

    fn retimer(last: u16) -> Retimer {
        let mut contents = Contents::new();
        tables(0, last).iter().for_each(|packet| {
            contents.push(packet);
        });
        assert!(contents.is_complete());
        Retimer::new(contents, true)
    }

    fn clock(number: u16, ms: i64) -> Packet {
        let pcr = Pcr::from_ticks(0).unwrap() + Ticks27M::from_millis(ms);
        Packet::pcr_only(video(number), ContinuityCounter::default(), pcr)
    }

    fn push(retimer: &mut Retimer, packet: Packet) -> (Packet, Vec<CutEvent>) {
        let (mut packets, mut events) = (vec![packet], Vec::new());
        retimer.push(&mut packets, &mut |event| events.push(event));
        (packets[0], events)
    }

    /// A PES packet with both stamps, at 10 s, of which the first `bytes` stand in the packet.
    fn picture(bytes: usize) -> Packet {
        let mut pes = [
            0, 0, 1, 0xE0, 0, 0, 0x80, 0xC0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1,
        ];
        PesHeader::set_pts(&mut pes, Pts::wrapping(900_000));
        PesHeader::set_dts(&mut pes, Dts::wrapping(900_000));
        let mut packet = Packet::new(video(1), ContinuityCounter::default());
        packet.set_payload_unit_start(true);
        packet.fill_payload(&pes[..bytes]);
        packet
    }

    #[test]
    fn three_hundred_clocks_are_told_apart() {
        let mut retimer = retimer(300);
        for number in 1..=300 {
            let (_, events) = push(&mut retimer, clock(number, i64::from(number) * 100_000));
            assert_eq!(events, [], "{number}");
        }
        for number in 1..=300 {
            let at = i64::from(number) * 100_000 + 40;
            assert_eq!(push(&mut retimer, clock(number, at)).1, [], "{number}");
        }
        let first = |packet: Packet| packet.pcr().unwrap().ticks();
        assert_eq!(first(push(&mut retimer, clock(1, 100_080)).0), 80 * 27_000);
    }

    #[test]
    fn clocks_that_no_program_names_are_let_go() {
        let mut retimer = retimer(3);
        assert_eq!(retimer.clocks.len(), 3);
        let mut packets = tables(1, 1);
        retimer.push(&mut packets, &mut |_| {});
        assert_eq!(retimer.clocks.len(), 1);
        assert_eq!(retimer.clocks[0].pid, video(1));
    }

    #[test]
    fn the_original_clock_moves_with_the_clock() {
        let mut retimer = retimer(1);
        let mut packet = clock(1, 10_000);
        // OPCR_flag, and behind the PCR an OPCR of the same value.
        let bytes = packet.as_bytes_mut();
        bytes[5] |= 0x08;
        bytes.copy_within(6..12, 12);
        let (moved, events) = push(&mut retimer, packet);
        assert_eq!(events, []);
        assert_eq!(moved.pcr().map(Pcr::ticks), Some(0));
        let opcr = moved.adaptation().and_then(|field| field.opcr());
        assert_eq!(opcr.map(Pcr::ticks), Some(0));
    }

    #[test]
    fn what_cannot_be_moved_is_told_and_what_is_scrambled_is_left_alone() {
        let mut retimer = retimer(1);
        push(&mut retimer, clock(1, 10_000));
        let told = [CutEvent::StampNotMoved { pid: video(1) }];
        let (moved, events) = push(&mut retimer, picture(19));
        let header = PesHeader::new(moved.payload()).unwrap();
        assert_eq!(header.pts().map(Pts::ticks), Some(0));
        assert_eq!(header.dts().map(Dts::ticks), Some(0));
        assert_eq!(events, []);
        // The DTS stands in the next packet.
        assert_eq!(push(&mut retimer, picture(16)).1, told);
        let mut scrambled = picture(19);
        scrambled.as_bytes_mut()[3] |= 0x80;
        let (kept, events) = push(&mut retimer, scrambled);
        assert_eq!(kept, scrambled);
        assert_eq!(events, told);
    }
}
