//! An input: its packets on its own line, in units, as far back as they may be wanted.

use std::collections::VecDeque;

use super::description::Description;
use super::information::InformationReader;
use super::recovery::Recovery;
use super::tables::{Naming, NamingReader};
use super::unit::{Follows, Gatherer, Place, Placed, Unit};
use crate::stream::codec::Codec;
use crate::stream::continuity::Continuity;
use crate::stream::pacer::Pacer;
use crate::stream::restamp::whole_stamps;
use crate::stream::timeline::Timeline;
use crate::stream::{Batch, ProgramEvent, Programs};
use crate::ts::{Packet, Pcr, Pid};
use crate::units::{Arrival, StreamTime, Ticks27M};

/// Packets of an input that are kept at most: 61 MiB.
pub const MOST_PACKETS: usize = 340_000;
/// Silence after which what waits for the next PCR is let go.
const PAUSE: Ticks27M = Ticks27M::from_millis(200);

/// One elementary stream of an input.
#[derive(Debug)]
pub(super) struct InputStream {
    pub(super) pid: Pid,
    pub(super) codec: Codec,
    pub(super) units: VecDeque<Unit>,
    pub(super) gatherer: Gatherer,
    /// From picture to picture, in the order of decoding.
    pub(super) step: Option<Ticks27M>,
    /// When its last packet came.
    pub(super) last_arrival: Option<Arrival>,
    last_dts: Option<StreamTime>,
}

impl InputStream {
    fn new(pid: Pid, codec: Codec) -> Self {
        Self {
            pid,
            codec,
            units: VecDeque::new(),
            gatherer: Gatherer::new(codec, pid),
            step: None,
            last_arrival: None,
            last_dts: None,
        }
    }

    /// Takes a packet; true when a decoder can start at a unit that it completes.
    fn push(&mut self, placed: Placed, place: Place) -> bool {
        self.last_arrival = Some(place.arrival);
        let mut enters = false;
        for unit in self.gatherer.push(placed, place).done {
            if let (Some(dts), Some(last)) = (unit.dts, self.last_dts) {
                let step = dts - last;
                if step >= Ticks27M::from_millis(5) && step <= Ticks27M::from_millis(200) {
                    self.step = Some(self.step.map_or(step, |known| known.min(step)));
                }
            }
            self.last_dts = unit.dts.or(self.last_dts);
            enters |= unit.is_sound() && (unit.rap.is_some() || !self.codec.is_video());
            self.units.push_back(unit);
        }
        enters
    }

    fn packets(&self) -> usize {
        let open = self.gatherer.open().map_or(0, |u| u.packets.len());
        open + self.units.iter().map(|u| u.packets.len()).sum::<usize>()
    }
}

/// What the pacer holds of a packet beside itself.
#[derive(Copy, Clone, Debug)]
struct Held {
    follows: Follows,
    arrival: Arrival,
}

/// An input as it is received.
#[derive(Debug)]
pub(super) struct Input {
    programs: Programs,
    naming: NamingReader,
    /// Tables that go with the service, to be passed.
    pub(super) information: InformationReader,
    continuity: Continuity,
    pacer: Pacer,
    held: VecDeque<Held>,
    pub(super) recovery: Recovery,
    pub(super) description: Option<Description>,
    pub(super) streams: Vec<InputStream>,
    /// For each PID the place of its stream plus one.
    places: Box<[u8; Pid::COUNT]>,
    /// Counts up when the line begins anew: what came before cannot be joined to what comes.
    pub(super) session: u32,
    base: Option<Ticks27M>,
    last_pcr: Option<Pcr>,
    pub(super) last_arrival: Option<Arrival>,
    /// When the last unit came at which a decoder can start.
    pub(super) last_point: Option<Arrival>,
    paused: bool,
    /// Packets given up for want of room.
    pub(super) overflow: u64,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            programs: Programs::new(),
            naming: NamingReader::new(),
            information: InformationReader::new(),
            continuity: Continuity::new(),
            pacer: Pacer::new(),
            held: VecDeque::new(),
            recovery: Recovery::new(),
            description: None,
            streams: Vec::new(),
            places: vec![0; Pid::COUNT]
                .try_into()
                .unwrap_or_else(|_| Box::new([0; Pid::COUNT])),
            session: 0,
            base: None,
            last_pcr: None,
            last_arrival: None,
            last_point: None,
            paused: true,
            overflow: 0,
        }
    }

    /// What its SDT says about the service.
    pub(super) fn naming(&self) -> Option<&Naming> {
        self.naming.found.as_ref()
    }

    /// Takes packets as they came.
    pub(super) fn push(&mut self, batch: &Batch) {
        for (arrival, packets) in batch.runs() {
            self.last_arrival = Some(arrival);
            self.paused = false;
            for packet in packets {
                if packet.has_sync() && !packet.transport_error() {
                    self.take(packet, arrival);
                }
            }
        }
    }

    /// Time went on to `now`.
    pub(super) fn idle(&mut self, now: Arrival) {
        if !self.paused && self.last_arrival.is_some_and(|last| now - last >= PAUSE) {
            self.paused = true;
            let mut due = Vec::new();
            self.pacer.finish(&mut |packet, at| due.push((*packet, at)));
            self.place(&due);
        }
    }

    /// The input ended, or was lost: what comes next is of another line.
    pub(super) fn restart(&mut self) {
        if self.base.is_none() {
            return;
        }
        self.renew();
        self.continuity.reset();
    }

    /// The line begins anew.
    fn renew(&mut self) {
        let mut due = Vec::new();
        self.pacer.finish(&mut |packet, at| due.push((*packet, at)));
        self.place(&due);
        self.pacer = clocked_by(self.description.as_ref());
        self.held.clear();
        self.recovery = Recovery::new();
        (self.base, self.last_pcr) = (None, None);
        self.begin_session();
    }

    /// True when a PCR is none that the clock comes to from the last one.
    fn jumps(&mut self, packet: &Packet) -> bool {
        let clock = self.description.as_ref().map(|d| d.pcr_pid);
        let Some(pcr) = packet.pcr().filter(|_| clock == Some(packet.pid())) else {
            return false;
        };
        let longest = match packet.discontinuity() {
            true => Timeline::LONGEST_ANNOUNCED_STEP,
            false => Timeline::LONGEST_STEP,
        };
        let last = self.last_pcr.replace(pcr);
        last.is_some_and(|last| (pcr - last).is_negative() || pcr - last > longest)
    }

    fn begin_session(&mut self) {
        self.session += 1;
        self.information.interrupt();
        for stream in &mut self.streams {
            stream.gatherer.reset();
            stream.last_dts = None;
        }
    }

    fn take(&mut self, packet: &Packet, arrival: Arrival) {
        let mut moved = false;
        self.programs.push(packet, &mut |event| {
            moved |= matches!(
                event,
                ProgramEvent::PatChanged { .. } | ProgramEvent::PmtChanged { .. }
            );
        });
        if moved {
            self.describe();
        }
        if packet.pid() == Pid::SDT
            && let Some(description) = &self.description
        {
            self.naming.push(packet, description.service);
        }
        if self.jumps(packet) {
            self.renew();
            self.last_pcr = packet.pcr();
        }
        let follows = self.continuity.step(packet).into();
        self.held.push_back(Held { follows, arrival });
        let mut due = Vec::new();
        self.pacer
            .push(packet, &mut |packet, at| due.push((*packet, at)));
        self.place(&due);
    }

    fn describe(&mut self) {
        let Some(description) = Description::of(&self.programs) else {
            return;
        };
        if self.description.as_ref() == Some(&description) {
            return;
        }
        let clock = |d: &Description| d.pcr_pid;
        if self.description.as_ref().map(clock) != Some(description.pcr_pid) {
            self.pacer = clocked_by(Some(&description));
            self.held.clear();
            self.recovery = Recovery::new();
            (self.base, self.last_pcr) = (None, None);
        }
        let mut old = std::mem::take(&mut self.streams);
        self.places.fill(0);
        for (n, stream) in description.streams.iter().enumerate().take(255) {
            let kept = old
                .iter()
                .position(|s| s.pid == stream.pid && s.codec == stream.codec);
            let kept = kept.map(|at| old.swap_remove(at));
            let made = kept.unwrap_or_else(|| InputStream::new(stream.pid, stream.codec));
            self.streams.push(made);
            self.places[stream.pid.index()] = n as u8 + 1;
        }
        // Streams are known by their places: to an output that reads them they are others now.
        self.begin_session();
        self.description = Some(description);
    }

    /// Puts packets whose place on the line is known where they belong.
    fn place(&mut self, due: &[(Packet, StreamTime)]) {
        for (packet, at) in due {
            let Some(held) = self.held.pop_front() else {
                continue;
            };
            let clock = self.description.as_ref().map(|d| d.pcr_pid);
            if let Some(pcr) = packet.pcr().filter(|_| clock == Some(packet.pid())) {
                self.take_clock(pcr, *at, held.arrival);
            }
            let Some(base) = self.base else { continue };
            if let Some(description) = &self.description {
                let (session, service) = (self.session, description.service);
                self.information.push(packet, *at, session, service);
            }
            let main = self.description.as_ref().and_then(Description::main);
            let place = usize::from(self.places[packet.pid().index()]);
            let number = place.wrapping_sub(1);
            let Some(stream) = self.streams.get_mut(number) else {
                continue;
            };
            let placed = Placed {
                packet: *packet,
                at: *at,
                follows: held.follows,
            };
            let place = Place {
                arrival: held.arrival,
                base,
                session: self.session,
            };
            if stream.push(placed, place) && main == Some(number) {
                self.last_point = Some(held.arrival);
            }
        }
    }

    fn take_clock(&mut self, pcr: Pcr, at: StreamTime, arrival: Arrival) {
        let ticks = i64::try_from(pcr.ticks()).unwrap_or(0);
        let base = whole_stamps(Ticks27M::new(at.ticks() - ticks));
        if !self.recovery.push(at, arrival) {
            self.begin_session();
        }
        self.base = Some(base);
    }

    /// Packets that are kept.
    pub(super) fn held(&self) -> usize {
        self.streams.iter().map(InputStream::packets).sum()
    }

    /// Forgets what came before `until`, and the oldest where there is no room.
    pub(super) fn trim(&mut self, until: Arrival) {
        for stream in &mut self.streams {
            while stream.units.front().is_some_and(|u| u.arrival < until) {
                stream.units.pop_front();
            }
        }
        let mut packets = self.held();
        while packets > MOST_PACKETS {
            let oldest = self
                .streams
                .iter_mut()
                .filter(|s| !s.units.is_empty())
                .min_by_key(|s| s.units.front().map(|u| u.arrival));
            let Some(unit) = oldest.and_then(|s| s.units.pop_front()) else {
                return;
            };
            packets -= unit.packets.len();
            self.overflow += unit.packets.len() as u64;
        }
    }
}

/// A pacer that goes by the clock of the service.
fn clocked_by(description: Option<&Description>) -> Pacer {
    match description {
        Some(description) => Pacer::clocked_by(description.pcr_pid),
        None => Pacer::new(),
    }
}
