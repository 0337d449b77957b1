//! The clocks of the result: watched, marked where they jump, and moved to zero where asked.
//!
//! The packets a cutter puts out pass here. A PCR that does not follow from the one before gets
//! discontinuity_indicator where it is missing: a decoder would otherwise wait, or drop what it
//! has. With rebasing, all clocks are moved by what the first PCR shows, and over a jump the clock
//! counts on (the indicator stays: the packets before and behind still do not belong together): PCR, PTS, DTS and the pts_adjustment of SCTE 35 alike. Every move is a whole number of
//! 90 kHz ticks, so that stamps and clock keep their distance to the tick.

use std::collections::BTreeMap;

use super::contents::Contents;
use super::event::CutEvent;
use crate::si::SpliceInfo;
use crate::stream::codec::Codec;
use crate::stream::timeline::Timeline;
use crate::ts::{Packet, PesHeader, Pid, Section};
use crate::units::{StreamTime, Ticks27M};

/// One program's clock.
#[derive(Debug)]
struct Clock {
    pid: Pid,
    line: Timeline,
    /// What is added to its PCRs and stamps.
    shift: Ticks27M,
}

/// What has to be done with packets of a PID.
#[derive(Copy, Clone, Debug, Default)]
struct Role {
    psi: bool,
    clock: bool,
    splices: bool,
    /// Number of the clock its stamps belong to.
    owner: u8,
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
        };
        retimer.assign();
        retimer
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
                });
                clocks.len() - 1
            });
            let owner = u8::try_from(number).unwrap_or(0);
            let role = &mut self.roles[program.clock.index()];
            (role.clock, role.owner) = (true, owner);
            for (pid, codec) in &program.streams {
                let role = &mut self.roles[pid.index()];
                role.owner = owner;
                role.splices = *codec == Codec::Scte35;
            }
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
            if role.psi && self.contents.push(packet).is_some() {
                event(CutEvent::ProgramChange { pid: packet.pid() });
                self.assign();
            }
            if self.rebase && packet.has_payload() {
                if role.splices {
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
                } else if packet.payload_unit_start() {
                    self.stamps(role, packet, event);
                }
            }
            at += 1;
        }
        if held {
            packets.retain(|p| p.pid() != Pid::NULL);
        }
    }

    /// Gives back what still waits, at the end.
    pub fn finish(&mut self, packets: &mut Vec<Packet>) {
        packets.extend(std::mem::take(&mut self.splices).into_values().flatten());
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
        if let Some(jump) = tick.jump {
            self.jumps += 1;
            let (by, announced) = (jump.by, jump.announced);
            event(CutEvent::ClockJump { pid, by, announced });
            if !announced {
                packet.as_bytes_mut()[5] |= 0x80;
            }
            // The moved clock counts on by the usual step.
            let step = before.map_or(Ticks27M::ZERO, |before| tick.time - before);
            let skipped = (by - step).get().div_euclid(300) * 300;
            clock.shift -= Ticks27M::new(skipped);
        }
        if !self.rebase {
            return;
        }
        let first = Ticks27M::new(-i64::try_from(pcr.base() * 300).unwrap_or(0));
        if self.zero.is_none() {
            self.zero = Some(first);
            for clock in &mut self.clocks {
                clock.shift = first;
            }
        }
        let shift = self.shift(role);
        packet.set_pcr(pcr + shift);
    }

    fn shift(&self, role: Role) -> Ticks27M {
        let clock = self.clocks.get(usize::from(role.owner));
        clock.map_or(Ticks27M::ZERO, |clock| clock.shift)
    }

    fn stamps(&self, role: Role, packet: &mut Packet, event: &mut dyn FnMut(CutEvent)) {
        let (pid, shift) = (packet.pid(), self.shift(role));
        let payload = packet.payload_mut();
        let Some(header) = PesHeader::new(payload) else {
            return;
        };
        let (pts, dts) = (header.pts(), header.dts());
        let flagged = payload.get(7).is_some_and(|flags| flags & 0x80 != 0);
        match pts {
            Some(pts) => {
                PesHeader::set_pts(payload, pts + shift);
            }
            None if flagged
                && !PesHeader::new(payload).is_some_and(|h| h.stream_id().is_bare()) =>
            {
                event(CutEvent::StampNotMoved { pid });
            }
            None => {}
        }
        if let Some(dts) = dts {
            PesHeader::set_dts(payload, dts + shift);
        }
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
        held.push(packet);
        let moved = move_splices(held, shift);
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
