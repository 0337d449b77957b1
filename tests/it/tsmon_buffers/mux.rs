//! Streams whose every byte has a time that is known beforehand.

use std::collections::BTreeMap;

use headend::si::descriptor::Descriptors;
use headend::si::{
    PatEntry, PatFields, PmtFields, PmtStream, ServiceId, StreamType, TransportStreamId,
};
use headend::stream::{Batch, SectionPacketizer};
use headend::ts::{ContinuityCounter, Packet, Pcr, Pid, Pts};
use headend::units::{Arrival, Ticks27M};

pub const VIDEO: Pid = Pid::from_field(0x100);
pub const SOUND: Pid = Pid::from_field(0x101);
pub const PMT: Pid = Pid::from_field(0x20);
pub const CLOCK: Pid = Pid::from_field(0x1F0);

/// A stream of constant rate in slots of one packet. The byte that a PCR dates stands in slot `n`
/// at `n * ticks` of the program's clock, counted from [`Mux::base`].
pub struct Mux {
    /// Ticks a packet.
    pub ticks: i64,
    /// The clock at slot 0.
    pub base: i64,
    /// Slots from one PCR to the next.
    pub pcr_every: u64,
    slots: BTreeMap<u64, Packet>,
    counters: BTreeMap<Pid, ContinuityCounter>,
}

impl Mux {
    pub fn new(ticks: i64) -> Self {
        Self {
            ticks,
            base: 27_000_000 * 100,
            pcr_every: (1_080_000 / ticks as u64).max(1),
            slots: BTreeMap::new(),
            counters: BTreeMap::new(),
        }
    }

    /// Slots in so many milliseconds.
    pub fn slots(&self, ms: i64) -> u64 {
        (ms * 27_000 / self.ticks) as u64
    }

    /// When the last byte of the packet in a slot has come, after slot 0's dated byte.
    pub fn end_of(&self, slot: u64) -> i64 {
        slot as i64 * self.ticks + 178 * self.ticks / 188
    }

    /// Makes `ticks` after slot 0's dated byte a whole tick of 90 kHz, and names it.
    pub fn stamp(&mut self, ticks: i64) -> u64 {
        self.base -= (self.base + ticks).rem_euclid(300);
        ((self.base + ticks) / 300) as u64
    }

    /// The tick of 90 kHz at or before `ticks`.
    pub fn stamp_at(&self, ticks: i64) -> u64 {
        ((self.base + ticks) / 300) as u64
    }

    /// Puts packets one behind the other from `slot` on; slots of PCRs are passed over.
    /// Answers with the last slot used.
    pub fn put(&mut self, slot: u64, packets: Vec<Packet>) -> u64 {
        self.put_every(slot, 1, packets)
    }

    /// The same, in every `step`th slot.
    pub fn put_every(&mut self, mut slot: u64, step: u64, packets: Vec<Packet>) -> u64 {
        let mut last = slot;
        for mut packet in packets {
            while slot.is_multiple_of(self.pcr_every) || self.slots.contains_key(&slot) {
                slot += 1;
            }
            let pid = packet.pid();
            let counter = self.counters.entry(pid).or_default();
            packet.set_continuity_counter(*counter);
            *counter = counter.next();
            self.slots.insert(slot, packet);
            last = slot;
            slot += step;
        }
        last
    }

    /// The whole stream of so many slots, PCRs and null packets put in.
    pub fn packets(mut self, slots: u64) -> Vec<Packet> {
        (0..slots)
            .map(|slot| {
                let at = self.base + slot as i64 * self.ticks;
                let pcr = Pcr::from_ticks(at.rem_euclid(Pcr::CIRCLE.get()) as u64).unwrap();
                if slot.is_multiple_of(self.pcr_every) {
                    return Packet::pcr_only(CLOCK, ContinuityCounter::wrapping(15), pcr);
                }
                self.slots.remove(&slot).unwrap_or(Packet::NULL)
            })
            .collect()
    }
}

/// The PAT, a packet.
pub fn pat() -> Vec<Packet> {
    let entry = PatEntry {
        program: ServiceId(1),
        pid: PMT,
    };
    let entries = [entry];
    let pat = PatFields::new(TransportStreamId(1), 0, &entries);
    sections(Pid::PAT, &[pat.to_section().unwrap()])
}

/// The PMT with streams of these types and descriptors, on VIDEO and SOUND, and `info` in front.
pub fn pmt(streams: &[(u8, &[u8])], info: &[u8]) -> Vec<Packet> {
    let streams: Vec<_> = [VIDEO, SOUND]
        .into_iter()
        .zip(streams)
        .map(|(pid, (stream_type, descriptors))| PmtStream {
            stream_type: StreamType(*stream_type),
            pid,
            descriptors: Descriptors::new(descriptors),
        })
        .collect();
    let info = Descriptors::new(info);
    let fields = PmtFields::new(ServiceId(1), 0, CLOCK, info, &streams);
    sections(PMT, &[fields.to_section().unwrap()])
}

pub fn sections(pid: Pid, all: &[headend::ts::SectionBuf]) -> Vec<Packet> {
    let mut packets = Vec::new();
    SectionPacketizer::new(pid).push(all, |packet| packets.push(*packet));
    packets
}

/// A PES packet decoded at `stamp`, its header stuffed with so many bytes.
pub fn pes(stream_id: u8, stamp: Option<u64>, stuffing: u8, unit: &[u8]) -> Vec<u8> {
    let length = 3 + 5 * u8::from(stamp.is_some()) + stuffing;
    let total = usize::from(length) + unit.len();
    let declared = if stream_id & 0xF0 == 0xE0 {
        0
    } else {
        total as u16
    };
    let [high, low] = declared.to_be_bytes();
    let flags = if stamp.is_some() { 0x80 } else { 0 };
    let mut pes = vec![0, 0, 1, stream_id, high, low, 0x84, flags, length - 3];
    if let Some(stamp) = stamp {
        let mut field = [0x21, 0, 1, 0, 1];
        Pts::wrapping(stamp).write(&mut field);
        pes.extend(field);
    }
    pes.extend(vec![0xFF; stuffing.into()]);
    pes.extend(unit);
    pes
}

/// Cuts a PES packet into transport packets; the last is filled up in its adaptation field.
pub fn split(pid: Pid, pes: &[u8]) -> Vec<Packet> {
    let mut rest = pes;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let mut packet = Packet::new(pid, ContinuityCounter::default());
        packet.set_payload_unit_start(packets.is_empty());
        let taken = packet.fill_payload(rest);
        rest = &rest[taken..];
        packets.push(packet);
    }
    packets
}

/// A frame of MPEG-1 layer II, 192 kbit/s at 48 kHz: 576 bytes, 24 ms.
pub fn mp2() -> Vec<u8> {
    let mut frame = vec![0xFF, 0xFD, 0xA4, 0x00];
    frame.resize(576, 0x55);
    frame
}

/// A picture of MPEG-2 video, Main profile at Low level, so many bytes long (40 at least);
/// vbv_buffer_size counts 16 384 bits. vbv_delay is 0xFFFF.
pub fn picture(vbv: u16, size: usize) -> Vec<u8> {
    picture_after(vbv, 0xFFFF, size)
}

/// The same with a vbv_delay in ticks of 90 kHz.
pub fn picture_after(vbv: u16, delay: u16, size: usize) -> Vec<u8> {
    // 352 x 288, 25 Hz, 4 Mbit/s; then the sequence extension, profile and level 0x4A.
    let mut bytes = vec![0, 0, 1, 0xB3, 0x16, 0x01, 0x20, 0x13, 0x09, 0xC4];
    bytes.extend([0x20 | (vbv >> 5) as u8, (vbv << 3) as u8]);
    bytes.extend([0, 0, 1, 0xB5, 0x14, 0xAA, 0, 1, 0, 0]);
    let [high, middle, low] = [(delay >> 13) as u8, (delay >> 5) as u8, (delay << 3) as u8];
    bytes.extend([0, 0, 1, 0, 0, 0x08 | high, middle, low, 0, 0, 1, 1]);
    bytes.resize(size, 0x55);
    bytes
}

/// One batch of all packets.
pub fn batch(packets: &[Packet]) -> Batch {
    let mut batch = Batch::with_capacity(packets.len());
    batch.extend(packets, Arrival::from_ticks(Ticks27M::ZERO.get()));
    batch
}
