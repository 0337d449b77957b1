//! The whole of cutting over streams made here, whole and damaged.

use std::convert::Infallible;
use std::ops::Range;

use super::edit::Cutter;
use super::error::SurveyError;
use super::event::CutEvent;
use super::find::{Finder, Point};
use super::material::{Material, Run};
use super::retime::Retimer;
use super::survey::{Plan, Snap, Survey};
use crate::si::descriptor::Descriptors;
use crate::si::{
    Pat, PatEntry, PatFields, Pmt, PmtFields, PmtStream, ServiceId, SpliceInfo, StreamType,
    TransportStreamId,
};
use crate::stream::codec::Codec;
use crate::stream::packetize::pes_packets;
use crate::stream::{SectionAssembler, SectionPacketizer};
use crate::ts::{
    ContinuityCounter, Dts, Packet, Pcr, PesHeader, Pid, Pts, Section, SectionBuf, SectionSyntax,
    TableId,
};
use crate::units::{StreamTime, Ticks27M};

/// Packets in memory; a position is an index times 188.
struct Memory {
    packets: Vec<Packet>,
    at: usize,
}

impl Memory {
    fn new(packets: Vec<Packet>) -> Self {
        Self { packets, at: 0 }
    }
}

impl Material for Memory {
    type Error = Infallible;

    fn extent(&self) -> Range<u64> {
        0..self.packets.len() as u64 * 188
    }

    fn seek(&mut self, position: u64) -> Result<(), Infallible> {
        self.at = position.div_ceil(188) as usize;
        Ok(())
    }

    fn next_run(&mut self) -> Result<Option<Run<'_>>, Infallible> {
        let at = self.at;
        // An odd number, so that runs end anywhere.
        let rest = self.packets.get(at..).unwrap_or_default();
        let packets = &rest[..rest.len().min(77)];
        self.at += packets.len();
        Ok((!packets.is_empty()).then_some(Run {
            position: at as u64 * 188,
            stride: 188,
            packets,
        }))
    }

    fn arrival_at(&mut self, _: u64) -> Result<Option<StreamTime>, Infallible> {
        Ok(None)
    }

    fn position_before(&mut self, _: StreamTime) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

const PMT: Pid = Pid::from_field(0x20);
const VIDEO: Pid = Pid::from_field(0x100);
const SOUND: Pid = Pid::from_field(0x101);
const SPLICES: Pid = Pid::from_field(0x102);
const CLOCK: Pid = Pid::from_field(0x103);
const TELETEXT: Pid = Pid::from_field(0x104);
const SUBTITLES: Pid = Pid::from_field(0x105);
const PAGES: Pid = Pid::from_field(0x106);
/// Ticks of 90 kHz: a picture, a frame of sound.
const PICTURE: u64 = 3600;
const FRAME: u64 = 2160;

/// How a stream is made.
#[derive(Copy, Clone)]
struct Recipe {
    /// The first PTS.
    start: u64,
    /// Pictures.
    pictures: u64,
    /// Of each group of twelve the second and third are presented before the first.
    open: bool,
    /// PCRs stand on a PID of their own.
    own_clock: bool,
    /// Sound comes so many pictures late (early, when negative).
    sound_late: i64,
    /// Each picture is two fields, each in a PES packet of its own.
    fields: bool,
    /// There are teletext with stamps, DVB subtitles now and then, and teletext without stamps.
    subtitles: bool,
}

const PLAIN: Recipe = Recipe {
    start: 900_000,
    pictures: 250,
    open: false,
    own_clock: false,
    sound_late: 5,
    fields: false,
    subtitles: false,
};

/// Packets with counters as they should be.
struct Mux {
    packets: Vec<Packet>,
    counters: Vec<ContinuityCounter>,
}

impl Mux {
    fn put(&mut self, mut packet: Packet) {
        let counter = &mut self.counters[packet.pid().index()];
        if packet.has_payload() {
            *counter = counter.next();
        }
        packet.set_continuity_counter(*counter);
        self.packets.push(packet);
    }

    fn section(&mut self, pid: Pid, section: &SectionBuf) {
        let mut packets = Vec::new();
        SectionPacketizer::new(pid).push([section], |p| packets.push(*p));
        packets.into_iter().for_each(|p| self.put(p));
    }
}

fn pes(id: u8, pts: u64, dts: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![
        0, 0, 1, id, 0, 0, 0x84, 0xC0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1,
    ];
    bytes.extend_from_slice(payload);
    if id != 0xE0 {
        let length = (bytes.len() - 6) as u16;
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
    }
    assert!(PesHeader::set_pts(&mut bytes, Pts::wrapping(pts)));
    assert!(PesHeader::set_dts(&mut bytes, Dts::wrapping(dts)));
    bytes
}

/// A PES packet of private_stream_1 without stamps.
fn unstamped_pes(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() + 3) as u16;
    let [high, low] = length.to_be_bytes();
    [&[0, 0, 1, 0xBD, high, low, 0x84, 0, 0], payload].concat()
}

/// A splice_null with CRC, from SCTE 35 §9.7.1 (14.x of its examples has other commands).
fn splice_null() -> SectionBuf {
    let mut body = vec![0, 0, 0, 0, 0, 0, 0, 0xFF, 0xF0, 0, 0, 0, 0];
    let mut bytes = vec![0xFC, 0x30, body.len() as u8 + 4];
    bytes.append(&mut body);
    let crc = crate::ts::crc32(&bytes);
    let mut body = bytes.split_off(3);
    body.extend(crc.to_be_bytes());
    SectionBuf::short(TableId(0xFC), false, &body).unwrap()
}

/// Pictures of about 600 bytes, sound in packets of four frames, tables every ten pictures, an
/// EIT section of three packets every seven, a null packet here and there.
fn stream(recipe: Recipe) -> Vec<Packet> {
    let mut mux = Mux {
        packets: Vec::new(),
        counters: vec![ContinuityCounter::default(); Pid::COUNT],
    };
    let entry = PatEntry {
        program: ServiceId(1),
        pid: PMT,
    };
    let pat = PatFields::new(TransportStreamId(1), 0, &[entry])
        .to_section()
        .unwrap();
    let clock = if recipe.own_clock { CLOCK } else { VIDEO };
    let page: &[u8] = &[0x56, 5, b'd', b'e', b'u', 0x11, 0x50];
    let subtitle: &[u8] = &[0x59, 8, b'd', b'e', b'u', 0x10, 0, 1, 0, 1];
    let streams = [
        (StreamType::AVC, VIDEO, &[][..]),
        (StreamType::MPEG1_AUDIO, SOUND, &[]),
        (StreamType::SCTE35, SPLICES, &[]),
        (StreamType(0x06), TELETEXT, page),
        (StreamType(0x06), SUBTITLES, subtitle),
        (StreamType(0x06), PAGES, page),
    ];
    let announced = if recipe.subtitles { 6 } else { 3 };
    let streams = streams.map(|(stream_type, pid, descriptors)| PmtStream {
        stream_type,
        pid,
        descriptors: Descriptors::new(descriptors),
    });
    let streams = &streams[..announced];
    let pmt = PmtFields::new(ServiceId(1), 0, clock, Descriptors::NONE, streams);
    let pmt = pmt.to_section().unwrap();
    let syntax = SectionSyntax {
        extension: 1,
        version: 0,
        current: true,
        number: 0,
        last_number: 0,
    };
    let eit = SectionBuf::long(TableId(0x4E), true, syntax, &[0x5A; 400]).unwrap();
    let mut sounded = 0;
    for n in 0..recipe.pictures {
        if n % 10 == 0 {
            mux.section(Pid::PAT, &pat);
            mux.section(PMT, &pmt);
        }
        if n % 7 == 3 {
            mux.section(Pid::EIT, &eit);
            mux.section(SPLICES, &splice_null());
        }
        let place = n % 12;
        let order = match (recipe.open, place) {
            (true, 0) => n + 2,
            (true, 1 | 2) => n - 1,
            _ => n,
        };
        // PCR 400 ms before decoding.
        let dts = recipe.start + n * PICTURE - 2 * PICTURE;
        let ticks = ((dts + (1 << 33) - 36_000) % (1 << 33)) * 300;
        let pcr = Pcr::from_ticks(ticks).unwrap();
        let slice: &[u8] = match (place, recipe.open && n > 0) {
            (0, false) => &[0, 0, 1, 9, 0x10, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 0x88],
            // SPS, then an I slice that is no IDR.
            (0, true) => &[0, 0, 1, 9, 0x10, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x61, 0x88],
            _ => &[0, 0, 1, 9, 0x30, 0, 0, 1, 0x41, 0x9A],
        };
        let mut unit = slice.to_vec();
        unit.resize(400 + (n % 5 * 97) as usize, 0xA5);
        if recipe.own_clock {
            mux.put(Packet::pcr_only(CLOCK, ContinuityCounter::default(), pcr));
        }
        let pts = recipe.start + order * PICTURE;
        for (i, mut packet) in pes_packets(VIDEO, &pes(0xE0, pts, dts, &unit))
            .into_iter()
            .enumerate()
        {
            if i == 0 && !recipe.own_clock {
                let payload = packet.payload().to_vec();
                let mut clocked = Packet::pcr_only(VIDEO, ContinuityCounter::default(), pcr);
                // A packet of the same start with the PCR before it, what is over in the next.
                clocked.as_bytes_mut()[4] = 7;
                clocked.set_adaptation_field_control(true, true);
                clocked.set_payload_unit_start(true);
                let taken = clocked.fill_payload(&payload);
                mux.put(clocked);
                packet.set_payload_unit_start(false);
                if packet.payload().len() > taken {
                    packet.set_adaptation_field_control(false, true);
                    packet.fill_payload(&payload[taken..]);
                    mux.put(packet);
                }
                continue;
            }
            mux.put(packet);
        }
        if recipe.fields {
            let half = PICTURE / 2;
            let mut second = vec![0, 0, 1, 9, 0x30, 0, 0, 1, 0x41, 0x9A];
            second.resize(200, 0x5A);
            for packet in pes_packets(VIDEO, &pes(0xE0, pts + half, dts + half, &second)) {
                mux.put(packet);
            }
        }
        if recipe.subtitles {
            // Presented with the picture that was decoded 200 ms ago, as late as subtitles come.
            let at = dts + 5 * PICTURE;
            let lines = vec![(n % 251) as u8; 1 + 46 * 7];
            let mut all = vec![
                (TELETEXT, pes(0xBD, at, at, &lines)),
                (PAGES, unstamped_pes(&lines)),
            ];
            if n % 25 == 0 {
                all.push((SUBTITLES, pes(0xBD, at, at, &[0x20; 900])));
            }
            for (pid, pes) in all {
                pes_packets(pid, &pes).into_iter().for_each(|p| mux.put(p));
            }
        }
        let until = (n as i64 - recipe.sound_late) * PICTURE as i64;
        while (sounded as i64) < until {
            let mut frames = Vec::new();
            for k in 0..4u64 {
                let mut frame = vec![((sounded / FRAME + k) % 251) as u8; 576];
                frame[..4].copy_from_slice(&[0xFF, 0xFD, 0xA4, 0]);
                frames.extend(frame);
            }
            let at = recipe.start + sounded;
            for packet in pes_packets(SOUND, &pes(0xC0, at, at, &frames)) {
                mux.put(packet);
            }
            sounded += 4 * FRAME;
        }
        if n % 3 == 0 {
            mux.put(Packet::NULL);
        }
    }
    mux.packets
}

/// What a cut of `packets` gives.
fn cut(
    packets: Vec<Packet>,
    from: Option<u64>,
    to: Option<u64>,
    rebase: bool,
) -> Result<(Plan, Vec<Packet>, Vec<CutEvent>), SurveyError<Infallible>> {
    let mut material = Memory::new(packets);
    let survey = Survey::of(&mut material, None, None)?;
    let at = |ms: Option<u64>| ms.map(|ms| survey.origin() + Ticks27M::from_millis(ms as i64));
    let plan = survey.plan(&mut material, at(from), at(to), Snap::Outward)?;
    let mut cutter = Cutter::new(plan.instructions.clone());
    let mut retimer = Retimer::new(plan.contents.clone(), rebase);
    let (mut out, mut all, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let _ = material.seek(plan.read.start);
    while let Ok(Some(run)) = material.next_run() {
        let left = plan.read.end.saturating_sub(run.position).div_ceil(188) as usize;
        let packets = &run.packets[..run.packets.len().min(left)];
        cutter.push(run.position, run.stride, packets, &mut out);
        retimer.push(&mut out, &mut |e| events.push(e));
        all.append(&mut out);
    }
    cutter.finish(&mut out);
    retimer.push(&mut out, &mut |e| events.push(e));
    retimer.finish(&mut out, &mut |e| events.push(e));
    all.append(&mut out);
    Ok((plan, all, events))
}

/// The stamps and payloads of the PES packets of a PID, by payload_unit_start.
fn units(packets: &[Packet], pid: Pid) -> Vec<(u64, Vec<u8>)> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for packet in packets.iter().filter(|p| p.pid() == pid && p.has_payload()) {
        if packet.payload_unit_start() {
            found.push(Vec::new());
        }
        found
            .last_mut()
            .expect("a start first")
            .extend_from_slice(packet.payload());
    }
    let parts = |bytes: Vec<u8>| {
        let header = PesHeader::new(&bytes).unwrap();
        let length = usize::from(header.packet_length());
        assert!(
            length == 0 || length + 6 == bytes.len(),
            "a PES packet is not whole"
        );
        (
            header.pts().unwrap().ticks(),
            bytes[header.header_len()..].to_vec(),
        )
    };
    found.into_iter().map(parts).collect()
}

/// Counters step by one with each payload; a packet without keeps the counter.
fn assert_continuous(packets: &[Packet]) {
    let mut last: Vec<Option<ContinuityCounter>> = vec![None; Pid::COUNT];
    for (n, packet) in packets.iter().enumerate() {
        let counter = packet.continuity_counter();
        let expected = match last[packet.pid().index()] {
            Some(last) if packet.has_payload() => last.next(),
            Some(last) => last,
            None => counter,
        };
        assert_eq!(counter, expected, "packet {n}, PID {}", packet.pid());
        last[packet.pid().index()] = Some(counter);
    }
}

fn sections(packets: &[Packet], pid: Pid) -> Vec<Vec<u8>> {
    let mut assembler = SectionAssembler::new(pid);
    let mut found = Vec::new();
    for packet in packets.iter().filter(|p| p.pid() == pid) {
        assembler.push(packet, |section| {
            found.push(section.expect("a whole section").to_vec())
        });
    }
    found
}

/// What must hold of every cut of a whole stream.
fn assert_cut(recipe: Recipe, from: u64, to: u64) {
    let (plan, out, _) = cut(stream(recipe), Some(from), Some(to), false).unwrap();
    assert_eq!((out[0].pid(), out[1].pid()), (Pid::PAT, PMT));
    assert!(out.iter().all(|p| p.pid() != Pid::NULL));
    assert_continuous(&out);
    let clock = out.iter().position(|p| p.pcr().is_some()).unwrap();
    let picture = out
        .iter()
        .position(|p| p.pid() == VIDEO && p.has_payload())
        .unwrap();
    assert!(
        clock <= picture && clock == 2,
        "clock in packet {clock}, picture in {picture}"
    );
    let between = |pts: u64| {
        let after = Pts::wrapping(pts);
        !(after - plan.from.pts).is_negative() && (after - plan.to.pts).is_negative()
    };
    let whole = stream(recipe);
    let pictures: Vec<_> = units(&whole, VIDEO)
        .into_iter()
        .filter(|u| between(u.0))
        .collect();
    let missing = plan.to.leading as usize;
    assert_eq!(units(&out, VIDEO).len(), pictures.len() - missing);
    assert!(units(&out, VIDEO).iter().all(|u| pictures.contains(u)));
    let frames = |packets: &[Packet]| {
        let units = units(packets, SOUND).into_iter();
        let frames = units.flat_map(|(pts, bytes)| {
            let frames = bytes
                .chunks(576)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
                .into_iter();
            frames
                .enumerate()
                .map(move |(n, f)| (Pts::wrapping(pts + n as u64 * FRAME).ticks(), f))
        });
        frames.collect::<Vec<_>>()
    };
    let expected: Vec<_> = frames(&whole)
        .into_iter()
        .filter(|f| between(f.0))
        .collect();
    assert_eq!(frames(&out), expected, "sound from {from} to {to} ms");
    if recipe.subtitles {
        for pid in [TELETEXT, SUBTITLES] {
            let mut expected = units(&whole, pid);
            expected.retain(|unit| between(unit.0));
            assert_eq!(
                units(&out, pid),
                expected,
                "PID {pid} from {from} to {to} ms"
            );
        }
        // Without stamps, by place: what comes with the picture that is cut.
        let pages = |packets: &[Packet]| {
            let mut starts = packets.iter().filter(|p| p.pid() == PAGES);
            let first = starts.next().map(|p| p.payload()[9]);
            let starts = starts.filter(|p| p.payload_unit_start());
            (first, starts.count() + 1)
        };
        let (first, last) = (plan.instructions.start / 188, plan.instructions.stop / 188);
        let there = &whole[first as usize..last as usize];
        assert_eq!(pages(&out), pages(there), "from {from} to {to} ms");
    }
    let eit = sections(&out, Pid::EIT);
    assert!(!eit.is_empty() && eit.iter().all(|s| Section::new(s).is_ok()));
    let clocks: Vec<_> = out.iter().filter_map(Packet::pcr).collect();
    for pair in clocks.windows(2) {
        assert!((0..=100).contains(&(pair[1] - pair[0]).as_millis()));
    }
}

#[test]
fn every_stream_is_cut_to_the_same_stretch() {
    for open in [false, true] {
        for own_clock in [false, true] {
            for sound_late in [-3, 0, 5, 12] {
                for start in [900_000, (1 << 33) - 4 * 90_000] {
                    let recipe = Recipe {
                        start,
                        open,
                        own_clock,
                        sound_late,
                        ..PLAIN
                    };
                    for (from, to) in [(2000, 5000), (1920, 1921), (3, 7000)] {
                        assert_cut(recipe, from, to);
                    }
                }
            }
        }
    }
}

#[test]
fn fields_in_packets_of_their_own_stay_together() {
    for open in [false, true] {
        let recipe = Recipe {
            open,
            fields: true,
            ..PLAIN
        };
        for (from, to) in [(2000, 5000), (1920, 1921), (3, 7000)] {
            assert_cut(recipe, from, to);
        }
        let (plan, out, _) = cut(stream(recipe), Some(2000), Some(5000), false).unwrap();
        // Two leading pictures at either edge, each of two fields.
        let fields = if open { 4 } else { 0 };
        assert_eq!((plan.from.leading, plan.to.leading), (fields, fields));
        assert_eq!(units(&out, VIDEO).len() % 2, 0);
    }
}

#[test]
fn teletext_and_subtitles_are_cut_at_their_packets() {
    for open in [false, true] {
        for start in [900_000, (1 << 33) - 4 * 90_000] {
            let recipe = Recipe {
                start,
                open,
                subtitles: true,
                ..PLAIN
            };
            for (from, to) in [(2000, 5000), (1920, 1921), (3, 7000)] {
                assert_cut(recipe, from, to);
            }
        }
    }
}

#[test]
fn a_rebased_stream_begins_at_zero_and_its_splices_move_along() {
    let (_, kept, _) = cut(stream(PLAIN), Some(2000), Some(6000), false).unwrap();
    let (_, moved, events) = cut(stream(PLAIN), Some(2000), Some(6000), true).unwrap();
    assert_eq!(events, []);
    let pcr = |packets: &[Packet]| packets.iter().find_map(Packet::pcr).unwrap();
    assert!(pcr(&moved).ticks() < 300);
    let shift = pcr(&moved) - pcr(&kept);
    for (a, b) in units(&kept, VIDEO).iter().zip(units(&moved, VIDEO)) {
        assert_eq!(Pts::wrapping(b.0) - Pts::wrapping(a.0), shift);
    }
    let splices = sections(&moved, SPLICES);
    assert!(!splices.is_empty());
    for section in splices {
        let info = SpliceInfo::new(Section::unchecked_crc(&section).unwrap()).unwrap();
        assert_eq!(
            Pts::wrapping(info.pts_adjustment()) - Pts::wrapping(0),
            shift
        );
    }
    assert_continuous(&moved);
}

#[test]
fn where_the_clock_jumps_it_is_marked_and_told() {
    let first = stream(PLAIN);
    let second = stream(Recipe {
        start: 50_000_000,
        ..PLAIN
    });
    let pcrs = |packets: &[Packet]| packets.iter().filter_map(Packet::pcr).collect::<Vec<_>>();
    let (before, behind) = (pcrs(&first), pcrs(&second));
    let last = before.len() - 1;
    // It would have gone on by one interval.
    let step = before[last] - before[last - 1];
    let expected = behind[0] - (before[last] + step);
    let both = [first, second].concat();
    let (plan, out, events) = cut(both.clone(), Some(8000), Some(12_000), false).unwrap();
    let jumps = events.iter().filter_map(|e| match e {
        CutEvent::ClockJump { by, announced, .. } => Some((*by, *announced)),
        _ => None,
    });
    assert_eq!(jumps.collect::<Vec<_>>(), [(expected, false)]);
    let broken = |plan: &Plan| plan.events.contains(&CutEvent::ClockBroken { jumps: 1 });
    assert!(broken(&plan));
    // A range without the jump has nothing to tell of it.
    let (plan, _, _) = cut(both.clone(), Some(2000), Some(6000), false).unwrap();
    assert!(!broken(&plan));
    let marked = out
        .iter()
        .filter(|p| p.pcr().is_some() && p.discontinuity());
    assert_eq!(marked.count(), 1);
    let (_, out, _) = cut(both, Some(8000), Some(12_000), true).unwrap();
    let clocks: Vec<_> = out.iter().filter_map(Packet::pcr).collect();
    let steps = clocks.windows(2).map(|p| (p[1] - p[0]).as_millis());
    assert!(
        steps.clone().all(|s| (0..=100).contains(&s)),
        "{:?}",
        steps.max()
    );
}

/// The stream breaks off behind an open point, before the pictures that lead it, and goes on with
/// stamps from minutes or half a second earlier: none of what follows leads that point.
#[test]
fn pictures_behind_stamps_that_go_back_lead_no_point() {
    let open = |start| {
        stream(Recipe {
            start,
            open: true,
            ..PLAIN
        })
    };
    let without_dts = |packets: &mut [Packet]| {
        for packet in packets.iter_mut().filter(|p| p.pid() == VIDEO) {
            if packet.payload_unit_start() {
                let bytes = packet.payload_mut();
                bytes[7] = 0x80; // PTS_DTS_flags: PTS alone
                bytes[9] = 0x20 | bytes[9] & 0x0F;
            }
        }
    };
    for (back, announced, stamps) in [
        (20_000_000, false, 2),
        (20_000_000, true, 2),
        (20_000_000, false, 1),
        (45_000, true, 2),
        (90_000 * 8, false, 2),
        (90_000 * 8, true, 1),
        (90_000 * 8, false, 1),
    ] {
        let mut first = open(50_000_000);
        // Picture 120 is a point of a group of twelve; the next PES packet is the first to go.
        let starts = |p: &&Packet| p.pid() == VIDEO && p.payload_unit_start();
        let next = first.iter().filter(starts).nth(121).copied().unwrap();
        let at = first.iter().position(|p| *p == next).unwrap();
        first.truncate(at);
        let mut second = open(50_000_000 + 120 * PICTURE - back);
        if announced {
            let clock = second.iter_mut().find(|p| p.pcr().is_some()).unwrap();
            clock.as_bytes_mut()[5] |= 0x80;
        }
        let mut both = [first, second].concat();
        if stamps == 1 {
            without_dts(&mut both);
        }
        let mut finder = Finder::new(VIDEO, Codec::H264, VIDEO);
        let mut points = Vec::new();
        for (n, packet) in both.iter().enumerate() {
            finder.push(n as u64 * 188, packet);
            points.extend(std::iter::from_fn(|| finder.next_point()));
        }
        let led = |p: &Point| p.leading.iter().filter(|r| r.end < u64::MAX).count();
        let leading: Vec<_> = points.iter().map(|p| (p.leading.len(), led(p))).collect();
        let case = format!("{back} ticks back, announced {announced}, {stamps} stamps");
        // Points 0 to 120 each twelve pictures, then 0 to 240: two pictures lead each.
        let mut expected = vec![(2, 2); 11 + 21];
        expected[10] = (0, 0);
        assert_eq!(leading, expected, "{case}");
        assert_eq!(finder.missed(), 0, "{case}");
    }
}

#[test]
fn tables_are_read_as_they_were_written() {
    let (plan, out, _) = cut(stream(PLAIN), Some(2000), Some(4000), false).unwrap();
    assert_eq!(plan.contents.programs().len(), 1);
    let pat = sections(&out, Pid::PAT);
    assert!(
        pat.iter()
            .all(|s| Pat::new(Section::new(s).unwrap()).is_some())
    );
    let pmt = sections(&out, PMT);
    assert!(
        pmt.iter()
            .all(|s| Pmt::new(Section::new(s).unwrap()).is_some())
    );
}

#[test]
fn a_scrambled_picture_is_refused_as_such() {
    for header_too in [false, true] {
        let mut packets = stream(PLAIN);
        for packet in packets.iter_mut().filter(|p| p.pid() == VIDEO) {
            packet.as_bytes_mut()[3] |= 0x80;
            if header_too {
                packet.payload_mut().fill(0x99);
            }
        }
        let error = cut(packets, None, None, false).map(|_| ()).unwrap_err();
        assert_eq!(error, SurveyError::Scrambled { pid: VIDEO });
    }
}

#[test]
fn a_stream_without_what_is_needed_is_refused_with_the_reason() {
    let without = |pid: Pid| {
        let packets = stream(PLAIN).into_iter().filter(|p| p.pid() != pid);
        cut(packets.collect(), None, None, false)
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(without(Pid::PAT), SurveyError::NoPrograms);
    assert_eq!(without(PMT), SurveyError::NoPrograms);
    assert_eq!(without(VIDEO), SurveyError::NoClock { pid: VIDEO });
    let nothing = cut(Vec::new(), None, None, false).map(|_| ()).unwrap_err();
    assert_eq!(nothing, SurveyError::Empty);
    let late = cut(stream(PLAIN), Some(60_000), None, false)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(late, SurveyError::Elsewhere { .. }));
}

/// 25 Hz, a point every twelve pictures: instants from counting.
#[test]
fn a_place_is_found_wherever_it_is() {
    let packets = stream(Recipe {
        pictures: 9000,
        start: (1 << 33) - 300 * 90_000,
        ..PLAIN
    });
    let mut material = Memory::new(packets);
    let survey = Survey::of(&mut material, None, None).unwrap();
    for picture in [0u64, 12, 7488, 7500, 8976] {
        let at = survey.origin() + Ticks27M::from_millis(picture as i64 * 40 + 60);
        let plan = survey
            .plan(&mut material, Some(at), None, Snap::Before)
            .unwrap();
        let after = (plan.from.time - survey.origin()).as_millis();
        assert_eq!(after, picture as i64 * 40, "picture {picture}");
    }
}

#[test]
fn damage_is_never_a_panic() {
    let whole = stream(Recipe {
        open: true,
        ..PLAIN
    });
    let mut x = 1u64;
    let mut random = move |below: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 11) as usize % below
    };
    let mut done = 0;
    for round in 0..400 {
        let mut packets = whole.clone();
        for _ in 0..1 + random(1 << (round % 9)) {
            let n = random(packets.len());
            match random(5) {
                0 => {
                    packets.remove(n);
                }
                1 => {
                    let twice = packets[n];
                    packets.insert(n, twice);
                }
                2 => {
                    let other = random(packets.len());
                    packets.swap(n, other);
                }
                // Headers, adaptation fields and PES headers stand in the first bytes.
                3 => packets[n].as_bytes_mut()[random(24)] = random(256) as u8,
                _ => packets[n].as_bytes_mut()[random(188)] ^= 1 << random(8),
            }
        }
        let from = random(9000) as u64;
        let result = cut(
            packets,
            Some(from),
            Some(from + random(3000) as u64),
            random(2) == 0,
        );
        done += usize::from(result.is_ok());
    }
    assert!(done > 200, "only {done} of 400 damaged streams were cut");
}
