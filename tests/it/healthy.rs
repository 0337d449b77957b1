//! A healthy multiplex of constant rate whose every packet has its place by hand: PSI, every table
//! of service information, MPEG-2 video, MPEG audio of low sampling frequency, null packets. Of
//! pictures and sound there are the headers; nobody is to decode them.
//!
//! It needs 53 kbit/s, so that a simulated day of it is short. Each table comes so often that one
//! that is left out is no error yet, and two in a row are: each 0.48 of its limit. The TDT alone
//! comes each 15.2 s: one that is left out is too much.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use headend::si::descriptor::Descriptors;
use headend::si::{
    CatFields, DvbTime, EitFields, EitKind, OriginalNetworkId, PatEntry, PatFields, PmtFields,
    PmtStream, RunningStatus, SdtFields, SdtService, ServiceId, StreamType, Tdt, Tot,
    TransportStreamId,
};
use headend::stream::SectionPacketizer;
use headend::stream::packetize::pes_packets;
use headend::ts::{
    ContinuityCounter, Packet, Pcr, PesHeader, Pid, Pts, SectionBuf, SectionSyntax, TableId,
};

/// The PMT of service 1.
pub const PMT: Pid = Pid::from_field(0x100);
/// Pictures and the clock: ten pictures in a PES packet each 400 ms; a PCR each 36 ms at most, at
/// 75 kbit/s each four packets, which are 80.2 ms.
pub const VIDEO: Pid = Pid::from_field(0x101);
/// A frame of 72 ms in each PES packet, which is one packet.
pub const AUDIO: Pid = Pid::from_field(0x102);

/// A packet every 541 440 ticks: 75 kbit/s.
pub const SLOW: i64 = 541_440;
/// 1 Mbit/s.
pub const MEGABIT: i64 = 40_608;
/// 8.0016 Mbit/s: four packets take 20 300 ticks, which is what 2 Mbit/s, the rate at which sound
/// leaves its transport buffer, take for 187.96 bytes.
pub const FAST: i64 = 5_075;

/// Milliseconds in ticks.
const MS: i64 = 27_000;
/// How long after its first byte a frame of sound is decoded, and a picture at the earliest.
pub const LEAD: i64 = 400 * MS;
/// The PCR of the first packet: its 33 bits wrap 2 h 30 min later.
const START: i64 = Pcr::CIRCLE.get() - 9_000_000 * MS;

/// Something that is sent again and again.
struct Item {
    every: i64,
    /// When it is due next, in ticks since the first packet.
    due: i64,
    pid: Pid,
    what: What,
}

enum What {
    Section(SectionBuf),
    /// A PES packet, in which the PTS is put when it is sent.
    Pes(Vec<u8>),
}

/// The packets of the multiplex, without end.
pub struct Healthy {
    /// Ticks a packet.
    ticks: i64,
    place: i64,
    /// Packets from one PCR to the next.
    pcr_every: i64,
    /// By when they are due.
    items: VecDeque<Item>,
    waiting: VecDeque<Packet>,
    packetizers: BTreeMap<Pid, SectionPacketizer>,
    counters: BTreeMap<Pid, ContinuityCounter>,
}

impl Healthy {
    /// The multiplex with so many ticks a packet.
    pub fn new(ticks: i64) -> Self {
        Self {
            ticks,
            place: 0,
            pcr_every: (36 * MS / ticks).max(4),
            items: items(),
            waiting: VecDeque::new(),
            packetizers: BTreeMap::new(),
            counters: BTreeMap::new(),
        }
    }

    /// The packets of so many seconds from the beginning.
    pub fn seconds(ticks: i64, seconds: i64) -> Vec<Packet> {
        let packets = seconds * 1000 * MS / ticks;
        Self::new(ticks).take(packets as usize).collect()
    }

    /// The next in order of a PID, with a payload.
    fn numbered(&mut self, mut packet: Packet) -> Packet {
        let counter = self.counters.entry(packet.pid()).or_default();
        *counter = counter.next();
        packet.set_continuity_counter(*counter);
        packet
    }

    /// Puts what the next item sends in line, if it is due by now.
    fn send(&mut self, now: i64) {
        if self.items.front().is_none_or(|item| item.due > now) {
            return;
        }
        let Some(mut item) = self.items.pop_front() else {
            return;
        };
        let (due, pid) = (item.due, item.pid);
        let pes = match &mut item.what {
            What::Section(section) => {
                let packetizer = self.packetizers.entry(pid);
                let packetizer = packetizer.or_insert_with(|| SectionPacketizer::new(pid));
                packetizer.push([&*section], |p| self.waiting.push_back(*p));
                None
            }
            What::Pes(pes) => {
                PesHeader::set_pts(pes, Pts::wrapping(clock(due + LEAD).base()));
                Some(pes)
            }
        };
        for packet in pes.map_or_else(Vec::new, |pes| pes_packets(pid, pes)) {
            let packet = self.numbered(packet);
            self.waiting.push_back(packet);
        }
        item.due += item.every;
        let place = self.items.partition_point(|other| other.due <= item.due);
        self.items.insert(place, item);
    }
}

impl Iterator for Healthy {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        let now = self.place * self.ticks;
        let is_clock = self.place % self.pcr_every == 0;
        self.place += 1;
        if is_clock {
            let last = self.counters.entry(VIDEO).or_default();
            return Some(Packet::pcr_only(VIDEO, *last, clock(now)));
        }
        if self.waiting.is_empty() {
            self.send(now);
        }
        Some(self.waiting.pop_front().unwrap_or(Packet::NULL))
    }
}

/// The clock so many ticks after the first packet.
fn clock(ticks: i64) -> Pcr {
    let ticks = (START + ticks).rem_euclid(Pcr::CIRCLE.get());
    Pcr::from_ticks(ticks as u64).unwrap()
}

/// A PES packet with a PTS of nothing yet.
fn pes(stream_id: u8, unit: &[u8]) -> Vec<u8> {
    let [high, low] = (unit.len() as u16 + 8).to_be_bytes();
    let mut pes = vec![0, 0, 1, stream_id, high, low, 0x84, 0x80, 5];
    pes.extend([0x21, 0, 1, 0, 1]);
    pes.extend(unit);
    pes
}

/// Ten intra pictures of Main profile at Low level, 352 x 288 at 25 Hz, behind the sequence header
/// and extension.
fn pictures() -> Vec<u8> {
    let mut bytes = vec![
        0, 0, 1, 0xB3, 0x16, 0x01, 0x20, 0x13, 0x09, 0xC4, 0x20, 0xE8,
    ];
    bytes.extend([0, 0, 1, 0xB5, 0x14, 0xAA, 0, 1, 0, 0]);
    for n in 0..10 {
        bytes.extend([0, 0, 1, 0, 0, 0x0F, 0xFF, 0xF8, 0, 0, 1, 1]);
        bytes.extend([0x55 + n; 2]);
    }
    bytes
}

/// A frame of layer II of low sampling frequency: 8 kbit/s, 16 kHz, mono: 72 bytes, 72 ms.
fn sound() -> Vec<u8> {
    let mut frame = vec![0xFF, 0xF5, 0x18, 0xC0];
    frame.resize(72, 0x55);
    frame
}

fn syntax(extension: u16, number: u8, last_number: u8) -> SectionSyntax {
    SectionSyntax {
        extension,
        version: 1,
        current: true,
        number,
        last_number,
    }
}

fn pat() -> SectionBuf {
    let entry = PatEntry {
        program: ServiceId(1),
        pid: PMT,
    };
    let pat = PatFields::new(TransportStreamId(7), 0, &[entry]).to_section();
    pat.unwrap()
}

fn pmt() -> SectionBuf {
    let stream = |stream_type, pid| PmtStream {
        stream_type,
        pid,
        descriptors: Descriptors::NONE,
    };
    let streams = [
        stream(StreamType::MPEG2_VIDEO, VIDEO),
        stream(StreamType::MPEG2_AUDIO, AUDIO),
    ];
    let fields = PmtFields::new(ServiceId(1), 0, VIDEO, Descriptors::NONE, &streams);
    fields.to_section().unwrap()
}

/// NIT and BAT: two empty loops.
fn two_loops(id: u8, extension: u16) -> SectionBuf {
    let body = [0xF0, 0, 0xF0, 0];
    SectionBuf::long(TableId(id), true, syntax(extension, 0, 0), &body).unwrap()
}

fn sdt(actual: bool, stream: u16) -> SectionBuf {
    let service = SdtService {
        service: ServiceId(1),
        eit_schedule: false,
        eit_present_following: true,
        running: RunningStatus::Running,
        scrambled: false,
        descriptors: Descriptors::NONE,
    };
    let fields = SdtFields {
        actual,
        syntax: syntax(stream, 0, 0),
        original_network: OriginalNetworkId(1),
        services: &[service],
    };
    fields.to_section().unwrap()
}

fn eit(actual: bool, service: u16, number: u8) -> SectionBuf {
    let kind = EitKind {
        actual,
        schedule: None,
    };
    let fields = EitFields {
        kind,
        syntax: syntax(service, number, 1),
        transport_stream: TransportStreamId(if actual { 7 } else { 8 }),
        original_network: OriginalNetworkId(1),
        segment_last_section: 1,
        last_table: kind.table_id().unwrap(),
        events: &[],
    };
    fields.to_section().unwrap()
}

fn items() -> VecDeque<Item> {
    let time = DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]);
    let tdt = Tdt { time }.to_section().unwrap();
    let descriptors = Descriptors::NONE;
    let tot = Tot { time, descriptors }.to_section().unwrap();
    let cat = CatFields::new(0, descriptors).to_section().unwrap();
    // EN 300 468 §5.2.7: one status of one event.
    let rst = SectionBuf::short(TableId(0x71), true, &[0, 7, 0, 1, 0, 1, 0, 9, 0xFC]).unwrap();
    // (PID, section, each so many ms, the first after so many)
    let tables = [
        (Pid::PAT, pat(), 240, 0),
        (PMT, pmt(), 240, 1),
        (Pid::SDT, sdt(true, 7), 960, 100),
        (Pid::EIT, eit(true, 1, 0), 960, 200),
        (Pid::EIT, eit(true, 1, 1), 960, 600),
        (Pid::CAT, cat, 4_800, 250),
        (Pid::NIT, two_loops(0x40, 1), 4_800, 300),
        (Pid::NIT, two_loops(0x41, 2), 4_800, 400),
        (Pid::SDT, sdt(false, 8), 4_800, 500),
        (Pid::SDT, two_loops(0x4A, 3), 4_800, 700),
        (Pid::EIT, eit(false, 9, 0), 4_800, 800),
        (Pid::EIT, eit(false, 9, 1), 4_800, 900),
        (Pid::RST, rst, 4_800, 1_000),
        (Pid::TDT, tdt, 15_200, 1_100),
        (Pid::TDT, tot, 14_400, 1_300),
    ];
    let item = |pid, what, every: i64, from: i64| Item {
        every: every * MS,
        due: from * MS,
        pid,
        what,
    };
    let tables =
        tables.map(|(pid, section, every, from)| item(pid, What::Section(section), every, from));
    let mut items = Vec::from(tables);
    items.push(item(VIDEO, What::Pes(pes(0xE0, &pictures())), 400, 120));
    items.push(item(AUDIO, What::Pes(pes(0xC0, &sound())), 72, 130));
    items.sort_by_key(|item| item.due);
    items.into()
}

/// The places of so many seconds, of packets of so many ticks.
pub fn seconds(ticks: i64, from: i64, to: i64) -> Range<usize> {
    let place = |seconds: i64| (seconds * 1000 * MS / ticks) as usize;
    place(from)..place(to)
}
