//! What is switched as a whole: a PES packet, or a section.

use crate::stream::access_unit::audio_frames;
use crate::stream::codec::Codec;
use crate::stream::continuity::Step;
use crate::stream::rap::{RapDetector, RapKind};
use crate::stream::{SectionAssembler, SectionPacketizer};
use crate::ts::{ContinuityCounter, Packet, PesHeader, Pts, Scrambling, Section, SectionBuf};
use crate::units::{Arrival, StreamTime, Ticks27M};

/// A stamp is not farther from its clock: H.222.0 §2.4.2.6 allows 10 s of delay for pictures.
const FARTHEST: Ticks27M = Ticks27M::from_millis(12_000);

/// How a packet follows the one before it of its PID.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// As it should.
    Due,
    /// It repeats it, as it may once.
    Repeat,
    /// At least so many are missing between the two.
    Lost(u8),
}

impl From<Step> for Follows {
    fn from(step: Step) -> Self {
        match step {
            Step::Due | Step::Announced => Self::Due,
            Step::Repeat => Self::Repeat,
            Step::Error(error) => Self::Lost(error.lost_packets()),
        }
    }
}

/// A packet of an input, with its place on the input's line.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) packet: Packet,
    pub(super) at: StreamTime,
    pub(super) follows: Follows,
}

/// A PES packet, or a section cut into packets.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// By which it is known to its stream: they count up.
    pub(super) serial: u64,
    /// Of which session of its input.
    pub(super) session: u32,
    pub(super) packets: Vec<Placed>,
    /// When its first packet came.
    pub(super) arrival: Arrival,
    /// The input's line less the input's PCR: what is added to its stamps.
    pub(super) base: Ticks27M,
    /// When it is presented, on the input's line.
    pub(super) pts: Option<StreamTime>,
    /// When it is decoded, on the input's line.
    pub(super) dts: Option<StreamTime>,
    /// Of sound: where its last frame ends, on the input's line. Known when it is whole.
    pub(super) end: Option<StreamTime>,
    /// A decoder can start here.
    pub(super) rap: Option<RapKind>,
    pub(super) whole: bool,
    /// Packets are missing in it.
    pub(super) damaged: bool,
    pub(super) scrambled: bool,
    /// Its stamps are of another clock than the one it came with: a sender begins anew, and its new
    /// PCR is still to come.
    pub(super) foreign: bool,
    /// A splice information section, not restamped yet.
    pub(super) splice: Option<Vec<u8>>,
    announced: Option<usize>,
    came: usize,
}

impl Unit {
    /// Where its first packet stands on the input's line.
    pub(super) fn at(&self) -> StreamTime {
        self.packets.first().map_or(StreamTime::default(), |p| p.at)
    }

    /// True when all of it is there and can be decoded.
    pub(super) fn is_sound(&self) -> bool {
        self.whole && !self.damaged && !self.scrambled && !self.foreign
    }

    /// True when it says how long it is.
    pub(super) const fn is_measured(&self) -> bool {
        self.announced.is_some()
    }

    /// The PES packet.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.came);
        for placed in &self.packets {
            if placed.follows != Follows::Repeat {
                bytes.extend_from_slice(placed.packet.payload());
            }
        }
        bytes
    }
}

/// From the first frame of a PES packet of sound to the end of the last that begins in it.
pub(super) fn sounds_for(codec: Codec, pes: &[u8]) -> Option<Ticks27M> {
    let payload = pes.get(PesHeader::new(pes)?.header_len()..)?;
    let last = audio_frames(codec, payload).last()?;
    Some(last.after + last.frame.duration())
}

/// Puts the units of one PID together.
#[derive(Debug)]
pub(super) struct Gatherer {
    codec: Codec,
    detector: Option<RapDetector>,
    sections: Option<SectionAssembler>,
    open: Option<Unit>,
    serial: u64,
}

/// What a packet did.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// A unit is whole now, or given up.
    pub(super) done: Vec<Unit>,
}

/// Where a packet stands, beside its own line.
#[derive(Copy, Clone, Debug)]
pub(super) struct Place {
    pub(super) arrival: Arrival,
    pub(super) base: Ticks27M,
    pub(super) session: u32,
}

impl Gatherer {
    pub(super) fn new(codec: Codec, pid: crate::ts::Pid) -> Self {
        let sections = matches!(codec, Codec::Scte35 | Codec::Sections);
        Self {
            codec,
            detector: RapDetector::new(codec),
            sections: sections.then(|| SectionAssembler::new(pid)),
            open: None,
            serial: 0,
        }
    }

    /// The unit whose end is not there yet.
    pub(super) fn open(&self) -> Option<&Unit> {
        self.open.as_ref()
    }

    /// The same, to take its packets out.
    pub(super) fn open_mut(&mut self) -> Option<&mut Unit> {
        self.open.as_mut()
    }

    /// The serial of the unit that begins next.
    pub(super) const fn next_serial(&self) -> u64 {
        self.serial + 1
    }

    /// Forgets what was begun.
    pub(super) fn reset(&mut self) {
        self.open = None;
        if let Some(detector) = &mut self.detector {
            detector.reset();
        }
    }

    /// Takes the next packet of the PID.
    pub(super) fn push(&mut self, placed: Placed, place: Place) -> Gathered {
        let mut gathered = Gathered::default();
        if self.sections.is_some() {
            self.push_section(&placed, place, &mut gathered);
            return gathered;
        }
        let packet = placed.packet;
        let starts = packet.payload_unit_start() && packet.has_payload();
        if starts && placed.follows != Follows::Repeat {
            if let (Some(unit), Follows::Lost(_)) = (&mut self.open, placed.follows) {
                // What is missing may be its end.
                unit.damaged = true;
            }
            gathered.done.extend(self.close());
            self.open = Some(self.begin(&placed, place));
        }
        let Some(unit) = &mut self.open else {
            return gathered;
        };
        unit.damaged |= matches!(placed.follows, Follows::Lost(_)) && !starts;
        unit.scrambled |= packet.scrambling() != Scrambling::Clear;
        if placed.follows != Follows::Repeat {
            unit.came += packet.payload().len();
            if let Some(found) = self
                .detector
                .as_mut()
                .and_then(|d| d.push(&packet, unit.serial))
                && found.position == unit.serial
            {
                unit.rap = Some(found.kind);
            }
        }
        unit.packets.push(placed);
        if unit.announced.is_some_and(|bytes| unit.came >= bytes) {
            gathered.done.extend(self.close());
        }
        gathered
    }

    /// Ends the unit that is open: the next one starts, or all of it is there.
    fn close(&mut self) -> Option<Unit> {
        let mut unit = self.open.take()?;
        unit.whole = unit.announced.is_none_or(|bytes| unit.came >= bytes);
        if self.codec.is_audio()
            && let Some(pts) = unit.pts
        {
            unit.end = sounds_for(self.codec, &unit.bytes()).map(|length| pts + length);
        }
        Some(unit)
    }

    fn begin(&mut self, placed: &Placed, place: Place) -> Unit {
        let header = PesHeader::new(placed.packet.payload());
        let clear = placed.packet.scrambling() == Scrambling::Clear;
        let header = header.filter(|_| clear);
        let on_line = |stamp: Pts| {
            let clock = placed.at - place.base;
            let ticks = clock.ticks().rem_euclid(crate::ts::Pcr::CIRCLE.get());
            let clock = crate::ts::Pcr::from_ticks(ticks as u64);
            clock.map(|clock| placed.at + (stamp - clock))
        };
        let pts = header.as_ref().and_then(PesHeader::pts).and_then(on_line);
        let dts = header.as_ref().and_then(PesHeader::dts);
        let dts = dts.map(crate::ts::Dts::to_pts).and_then(on_line);
        let announced = header.as_ref().map(PesHeader::packet_length);
        let far = |stamp: StreamTime| (stamp - placed.at).abs() > FARTHEST;
        Unit {
            foreign: pts.is_some_and(far),
            announced: announced.filter(|n| *n > 0).map(|n| usize::from(n) + 6),
            dts: dts.or(pts),
            pts,
            ..self.empty(place)
        }
    }

    fn empty(&mut self, place: Place) -> Unit {
        self.serial += 1;
        Unit {
            serial: self.serial,
            session: place.session,
            packets: Vec::new(),
            arrival: place.arrival,
            base: place.base,
            pts: None,
            dts: None,
            end: None,
            rap: None,
            whole: false,
            damaged: false,
            scrambled: false,
            foreign: false,
            splice: None,
            announced: None,
            came: 0,
        }
    }

    /// Sections are passed on whole, each in packets of its own.
    fn push_section(&mut self, placed: &Placed, place: Place, gathered: &mut Gathered) {
        let Some(mut assembler) = self.sections.take() else {
            return;
        };
        let splice = self.codec == Codec::Scte35;
        assembler.push(&placed.packet, |section| {
            let Ok(bytes) = section else { return };
            let mut unit = self.empty(place);
            unit.whole = true;
            if splice {
                unit.splice = Some(bytes.to_vec());
            }
            unit.packets = section_packets(bytes, placed.packet.pid())
                .into_iter()
                .map(|packet| Placed {
                    packet,
                    at: placed.at,
                    follows: Follows::Due,
                })
                .collect();
            if !unit.packets.is_empty() {
                gathered.done.push(unit);
            }
        });
        self.sections = Some(assembler);
    }
}

/// A section in packets of its own; none when its length or CRC_32 is wrong.
pub(super) fn section_packets(bytes: &[u8], pid: crate::ts::Pid) -> Vec<Packet> {
    let mut packets = Vec::new();
    if let Ok(section) = Section::new(bytes) {
        let section = SectionBuf::from(section);
        SectionPacketizer::after(pid, ContinuityCounter::default())
            .push([&section], |packet| packets.push(*packet));
    }
    packets
}
