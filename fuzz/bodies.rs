//! What each fuzz target does with its bytes.
//!
//! Ordinary functions on stable Rust: `tests/it/corpus.rs` includes this file and replays every
//! find. Nothing of the library is switched off for them; where a CRC_32 guards a parser, a body
//! makes it right. A body fails by a panic: of the library, or of an assertion here about what
//! holds for all bytes.

mod cut;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use headend::monitor::tables::{TableLimits, Tables};
use headend::monitor::{Alarms, Check, Moment, Monitor, MonitorOptions, Seen};
use headend::ring::index::{Header, Index};
use headend::ring::{Disk, Ring, Step};
use headend::si::descriptor::{
    CaDescriptor, DescriptorSyntax, Descriptors, ExtendedEventDescriptor, LanguageDescriptor,
    RegistrationDescriptor, ServiceDescriptor, ShortEventDescriptor, SubtitlingDescriptor,
    TeletextDescriptor,
};
use headend::si::{
    Cat, CatFields, Eit, EitFields, Pat, PatFields, Pmt, PmtFields, Programme, Sdt, SdtFields,
    Segmentation, Service, SpliceCommand, SpliceFields, SpliceInfo, Tdt, Text, Tot, encode_text,
};
use headend::stream::codec::Codec;
use headend::stream::event::Event;
use headend::stream::rap::RapDetector;
use headend::stream::video::{SequenceParser, StartCodes, VideoFormatDetector, wanted};
use headend::stream::{Batch, Framer, Programs, SectionAssembler, SectionPacketizer};
use headend::ts::{
    Packet, Pcr, PesHeader, Pid, Pts, Put, Section, SectionBuf, SectionSyntax, TableId, crc32,
};
use headend::units::{Arrival, BitRate, ByteCount, Ticks27M, WallTime};

pub use cut::cut;

/// What a target does with its bytes.
pub type Body = fn(&[u8]);

/// Every body by the name of its target.
pub const ALL: &[(&str, Body)] = &[
    ("packet", packet),
    ("pes", pes),
    ("section", section),
    ("table", table),
    ("splice", splice),
    ("descriptor", descriptor),
    ("text", text),
    ("sections", sections),
    ("programs", programs),
    ("table_checks", table_checks),
    ("monitor", monitor),
    ("framing", framing),
    ("rap", rap),
    ("video", video),
    ("ring_index", ring_index),
    ("ring", ring),
    ("cut", cut),
    ("endpoint", endpoint),
    ("units", units),
];

/// The bytes of a body as text, whatever they are.
fn lossy(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Every packet in `data`, the last one filled up.
fn packets(data: &[u8]) -> impl Iterator<Item = Packet> {
    data.chunks(188).map(|chunk| {
        let mut packet = Packet::NULL;
        packet.as_bytes_mut()[..chunk.len()].copy_from_slice(chunk);
        packet
    })
}

/// Reads every field of a packet, and writes each as it was.
pub fn packet(data: &[u8]) {
    for before in packets(data) {
        let mut p = before;
        black_box(format!("{p:?}"));
        black_box((
            p.transport_error(),
            p.priority(),
            p.scrambling(),
            p.random_access(),
        ));
        black_box((p.discontinuity(), p.payload().len()));
        if let Some(a) = p.adaptation() {
            black_box((
                a.opcr(),
                a.splice_countdown(),
                a.private_data(),
                a.es_priority(),
            ));
        }
        p.set_pid(before.pid());
        p.set_continuity_counter(before.continuity_counter());
        p.set_payload_unit_start(before.payload_unit_start());
        p.set_adaptation_field_control(before.has_adaptation(), before.has_payload());
        if let Some(pcr) = before.pcr() {
            // An extension over 299 is no PCR that a writer could mean.
            if pcr.extension() < 300 && pcr.ticks() == pcr.base() * 300 + u64::from(pcr.extension())
            {
                assert!(p.set_pcr(pcr));
            }
        }
        assert_eq!(p.pcr(), before.pcr());
        assert_eq!(p.payload(), before.payload());
        let taken = p.fill_payload(data);
        assert_eq!(p.payload(), &data[..taken]);
    }
}

/// Reads a PES header, and writes its stamps as they were.
pub fn pes(data: &[u8]) {
    let Some(header) = PesHeader::new(data) else {
        return;
    };
    black_box((
        header.packet_length(),
        header.data_alignment(),
        header.decode_time(),
    ));
    assert!(header.header_len() >= 6);
    let mut copy = data.to_vec();
    if let Some(pts) = header.pts() {
        assert!(PesHeader::set_pts(&mut copy, pts));
    }
    if let Some(dts) = header.dts() {
        assert!(PesHeader::set_dts(&mut copy, dts));
    }
    assert_eq!(copy, data, "what was read is what was written");
}

/// Reads a section as it is, damaged or not.
pub fn section(data: &[u8]) {
    if let Ok(section) = Section::unchecked_crc(data) {
        assert_eq!(Section::size_of(data), Some(section.as_bytes().len()));
        black_box((section.syntax(), section.body()));
        let _ = black_box(section.check_crc());
        let _ = black_box(Tot::new(section));
        let _ = black_box(SpliceInfo::new(section));
    }
    if let Ok(section) = Section::new(data) {
        assert_eq!(SectionBuf::from(section).as_bytes(), section.as_bytes());
    }
}

/// A section with a right CRC_32 around the bytes: table_id, six of the header, the body.
fn sealed(data: &[u8]) -> Option<SectionBuf> {
    let (head, body) = data.split_first_chunk::<7>()?;
    let [id, a, b, version, number, last_number, private] = *head;
    let syntax = SectionSyntax {
        extension: u16::from_be_bytes([a, b]),
        version: version >> 1 & 0x1F,
        current: version & 1 != 0,
        number,
        last_number,
    };
    SectionBuf::long(TableId(id), private & 1 != 0, syntax, body)
}

/// A section without section_syntax_indicator, its last four bytes a right CRC_32.
fn sealed_short(data: &[u8]) -> Option<Vec<u8>> {
    let (id, body) = data.split_first()?;
    let mut bytes = SectionBuf::short(TableId(*id), false, &[body, &[0; 4]].concat())?
        .as_bytes()
        .to_vec();
    let (covered, crc) = bytes.split_last_chunk_mut::<4>()?;
    *crc = crc32(covered).to_be_bytes();
    Some(bytes)
}

/// Reads a table, writes what was read, and reads the same again.
pub fn table(data: &[u8]) {
    let Some(owned) = sealed(data) else {
        return;
    };
    let section = owned.section();
    if let Some(pat) = Pat::new(section) {
        let entries: Vec<_> = pat.entries().collect();
        black_box(pat.network_pid());
        let fields = PatFields {
            syntax: pat.syntax(),
            entries: &entries,
        };
        if let Some(again) = fields.to_section() {
            let again = Pat::new(again.section()).map(|p| p.entries().collect::<Vec<_>>());
            assert_eq!(again.as_deref(), Some(&entries[..]));
        }
    }
    if let Some(cat) = Cat::new(section) {
        let fields = CatFields {
            syntax: cat.syntax(),
            descriptors: cat.descriptors(),
        };
        if let Some(again) = fields.to_section() {
            let again = Cat::new(again.section()).map(|c| c.descriptors() == cat.descriptors());
            assert_eq!(again, Some(true));
        }
    }
    if let Some(pmt) = Pmt::new(section) {
        let streams: Vec<_> = pmt.streams().collect();
        let mut service = Service::new(pmt.program(), Pid::NULL);
        service.take_pmt(&pmt);
        assert_eq!(service.streams.len(), streams.len());
        let fields = PmtFields {
            syntax: pmt.syntax(),
            pcr_pid: pmt.pcr_pid(),
            descriptors: pmt.descriptors(),
            streams: &streams,
        };
        if let Some(again) = fields.to_section() {
            let again = Pmt::new(again.section()).map(|p| p.streams().eq(streams.iter().copied()));
            assert_eq!(again, Some(true));
        }
    }
    if let Some(sdt) = Sdt::new(section) {
        let services: Vec<_> = sdt.services().collect();
        let fields = SdtFields {
            actual: sdt.is_actual(),
            syntax: sdt.syntax(),
            original_network: sdt.original_network_id(),
            services: &services,
        };
        if let Some(again) = fields.to_section() {
            let again =
                Sdt::new(again.section()).map(|s| s.services().eq(services.iter().copied()));
            assert_eq!(again, Some(true));
        }
    }
    if let Some(eit) = Eit::new(section) {
        let events: Vec<_> = eit.events().collect();
        black_box(eit.segment());
        events.iter().for_each(|e| {
            black_box(Programme::from(*e));
        });
        let fields = EitFields {
            kind: eit.kind(),
            syntax: eit.syntax(),
            transport_stream: eit.transport_stream_id(),
            original_network: eit.original_network_id(),
            segment_last_section: eit.segment_last_section_number(),
            last_table: eit.last_table_id(),
            events: &events,
        };
        if let Some(again) = fields.to_section() {
            let again = Eit::new(again.section()).map(|e| e.events().eq(events.iter().copied()));
            assert_eq!(again, Some(true));
        }
    }
    black_box(Tdt::new(section));
    if let Some(bytes) = sealed_short(data)
        && let Ok(section) = Section::new(&bytes)
    {
        black_box(Tdt::new(section));
        if let Ok(Some(tot)) = Tot::new(section)
            && let Some(again) = tot.to_section()
        {
            assert_eq!(Tot::new(again.section()), Ok(Some(tot)));
        }
    }
}

/// Reads splice information behind a right CRC_32, writes it again, and moves it there and back.
pub fn splice(data: &[u8]) {
    let Some(mut bytes) = sealed_short(&[&[SpliceInfo::TABLE_ID.0, 0], data].concat()) else {
        return;
    };
    let before = bytes.clone();
    let Ok(info) = Section::new(&before)
        .map_err(|_| ())
        .and_then(|s| SpliceInfo::new(s).map_err(|_| ()))
    else {
        return;
    };
    black_box(info.splice_time());
    for segmentation in info.descriptors().all::<Segmentation<'_>>() {
        black_box(segmentation.kind_name());
    }
    if let Some(command) = info.command() {
        if let SpliceCommand::Schedule(schedule) = command {
            black_box(schedule.splices().count());
        }
        if let SpliceCommand::Insert(insert) = command {
            black_box(insert.target.components().count());
        }
        let fields = SpliceFields {
            adjustment: info.pts_adjustment(),
            cw_index: info.cw_index(),
            tier: info.tier(),
            command,
            descriptors: info.descriptors(),
        };
        if let Some(again) = fields.to_section() {
            let again = SpliceInfo::new(again.section()).map(|i| i.command() == Some(command));
            assert_eq!(again, Ok(true));
        }
    }
    let there = Ticks27M::new(300 * 0x1_2345_6789);
    assert!(SpliceInfo::restamp(&mut bytes, there) && SpliceInfo::restamp(&mut bytes, -there));
    assert_eq!(bytes, before);
}

/// Writes a descriptor that was read, and expects to read the same again.
fn again<'a, D: DescriptorSyntax<'a> + PartialEq + std::fmt::Debug>(
    descriptors: Descriptors<'a>,
    check: impl Fn(&[u8], &D),
) {
    for d in descriptors.all::<D>() {
        let mut room = [0xA5; 258];
        let mut put = Put::new(&mut room);
        d.write(&mut put);
        // One without the bytes behind its fields is never longer than what was read.
        check(put.written().expect("what was read fits"), &d);
    }
}

/// Reads a loop of descriptors, each kind twice.
pub fn descriptor(data: &[u8]) {
    let all = Descriptors::new(data);
    let mut iter = all.iter();
    let read: usize = iter.by_ref().map(|d| d.payload.len() + 2).sum();
    assert_eq!(read + iter.rest().len(), data.len());
    again::<CaDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d))
    });
    again::<RegistrationDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
    });
    again::<ServiceDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box((d.name.to_string(), d.provider.to_string()));
    });
    again::<ShortEventDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
    });
    again::<ExtendedEventDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box(d.items().count());
    });
    again::<LanguageDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box(d.languages().map(|(l, _)| l.to_string()).last());
    });
    again::<SubtitlingDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box(d.subtitles().count());
    });
    again::<TeletextDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box(d.pages().count());
    });
}

/// Reads a text in every table, and writes what it says so that it reads the same.
pub fn text(data: &[u8]) {
    let read = Text::new(data).to_string();
    let written = encode_text(&read, usize::MAX);
    let twice = Text::new(&written).to_string();
    // A letter and its diacritic may come back as one, and two characters share a byte; what was
    // written once stays.
    assert_eq!(
        Text::new(&encode_text(&twice, usize::MAX)).to_string(),
        twice
    );
    for limit in [0, 1, 2, 3, 20, 255] {
        assert!(encode_text(&read, limit).len() <= limit);
    }
}

/// Assembles packets of any bytes, and cuts what comes out into packets again.
pub fn sections(data: &[u8]) {
    let mut assembler = SectionAssembler::new(Pid::EIT);
    let mut whole = Vec::new();
    for packet in packets(data) {
        assembler.push(&packet, |section| {
            if let Ok(bytes) = section {
                assert_eq!(Section::size_of(bytes), Some(bytes.len()));
                whole.extend(Section::unchecked_crc(bytes).map(SectionBuf::from));
            }
        });
    }
    // 0xFF starts stuffing, not a section, wherever it came from.
    whole.retain(|s| s.section().table_id() != TableId::STUFFING);
    let mut again = SectionAssembler::new(Pid::EIT);
    let mut seen = Vec::new();
    SectionPacketizer::new(Pid::EIT).push(&whole, |packet| {
        again.push(packet, |section| seen.extend(section.map(<[u8]>::to_vec)));
    });
    let expected: Vec<_> = whole.iter().map(|s| s.as_bytes().to_vec()).collect();
    assert_eq!(seen, expected);
}

/// Follows tables of any content behind right CRC_32s, on the PIDs where they belong: records of a
/// length, a choice of PID, and the section.
pub fn programs(data: &[u8]) {
    let mut programs = Programs::new();
    let mut rest = data;
    let mut packetizers: Vec<_> = [0x0000, 0x0011, 0x0012, 0x0020, 0x0021, 0x1FFE]
        .map(|pid| SectionPacketizer::new(Pid::from_field(pid)))
        .into();
    while let [length, choice, tail @ ..] = rest {
        let (record, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        let section = if choice & 0x80 == 0 {
            sealed(record)
        } else {
            sealed_short(record)
                .and_then(|bytes| Section::unchecked_crc(&bytes).ok().map(SectionBuf::from))
        };
        let at = usize::from(choice & 0x7F) % packetizers.len();
        packetizers[at].push(&section, |packet| {
            programs.push(packet, &mut |event| {
                event.fields(&mut |_, value| {
                    black_box(value);
                });
                black_box((event.name(), event.severity(), event.subject().to_string()));
            });
        });
    }
    for service in programs.services() {
        assert!(programs.pids().contains(service.pmt_pid));
        assert_eq!(
            programs.pmt_section(service.id).is_some(),
            service.pmt_version.is_some()
        );
    }
}

/// Times tables of any content, whole and damaged, on the PIDs where they belong and on others:
/// records of a length, a choice of PID, a time, and the section.
pub fn table_checks(data: &[u8]) {
    let (mut tables, mut programs) = (Tables::new(TableLimits::default()), Programs::new());
    let mut at = Moment::default();
    let mut rest = data;
    let mut packetizers: Vec<_> = [0x00, 0x01, 0x10, 0x11, 0x12, 0x13, 0x14, 0x20, 0x21, 0x1FFE]
        .map(|pid| SectionPacketizer::new(Pid::from_field(pid)))
        .into();
    let mut crc_errors = 0;
    while let [length, choice, pause, tail @ ..] = rest {
        let (record, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        let section = match choice >> 6 {
            0 => Section::unchecked_crc(record).ok().map(SectionBuf::from),
            1 => sealed_short(record)
                .and_then(|bytes| Section::unchecked_crc(&bytes).ok().map(SectionBuf::from)),
            _ => sealed(record),
        };
        at.time += Ticks27M::from_millis(i64::from(*pause).pow(2));
        let n = usize::from(choice & 0x3F) % packetizers.len();
        let mut out = |finding: headend::monitor::Finding| {
            crc_errors += u64::from(finding.check == Check::CrcError);
            finding.fields(&mut |_, value| {
                black_box(value);
            });
        };
        packetizers[n].push(&section, |packet| {
            programs.push(packet, &mut |_| {});
            tables.services(&programs, at);
            let seen = Seen {
                packet,
                pid: packet.pid(),
                at,
                arrival: Arrival::default(),
                broken: false,
                repeated: false,
            };
            tables.push(&seen, &mut out);
            at.position += 1;
        });
        tables.tick(at, &mut out);
        if *pause == 255 {
            tables.reset(at);
        }
    }
    let measures = tables.measures();
    assert_eq!(measures.crc_errors_total, crc_errors);
    let whole: u64 = measures.tables.iter().map(|t| t.sections_total).sum();
    assert!(whole + measures.untimed_sections_total + crc_errors <= measures.sections_total);
    for check in Check::ALL {
        black_box(tables.verdict(*check));
    }
}

/// Frames any bytes, in any pieces, and loses none.
pub fn framing(data: &[u8]) {
    let Some((piece, data)) = data.split_first() else {
        return;
    };
    let (mut framer, mut batch) = (Framer::new(), Batch::with_capacity(64));
    let mut framed = 0;
    let at = Arrival::from_ticks(0);
    for mut piece in data.chunks(usize::from(*piece) + 1) {
        while !piece.is_empty() {
            piece = &piece[framer.push(piece, at, &mut batch)..];
            framed += batch.len();
            batch.clear();
        }
    }
    while !framer.finish(at, &mut batch) {
        framed += batch.len();
        batch.clear();
    }
    framed += batch.len();
    assert!(framed <= data.len() / 188);
    framer.drain_events(&mut |event| {
        black_box(event.name());
    });
}

/// Looks for random-access points in packets of any bytes.
pub fn rap(data: &[u8]) {
    for codec in [Codec::Mpeg2Video, Codec::H264, Codec::Hevc] {
        let Some(mut detector) = RapDetector::new(codec) else {
            continue;
        };
        for (position, packet) in packets(data).enumerate() {
            black_box(detector.push(&packet, position as u64));
        }
    }
}

/// Reads what a video stream says of its pictures: the bytes as packets, and as an elementary
/// stream in pieces of a length.
pub fn video(data: &[u8]) {
    for codec in [Codec::Mpeg2Video, Codec::H264, Codec::Hevc] {
        let (Some(mut detector), Some(mut parser)) =
            (VideoFormatDetector::new(codec), SequenceParser::new(codec))
        else {
            continue;
        };
        for packet in packets(data) {
            black_box(detector.push(&packet));
        }
        let Some((piece, stream)) = data.split_first() else {
            return;
        };
        let (mut codes, mut at) = (StartCodes::new(), 0);
        for piece in stream.chunks(usize::from(*piece) + 1) {
            codes.push(
                piece,
                at,
                |value| wanted(codec, value),
                |unit| {
                    assert!(unit.head.len() <= StartCodes::MOST && !unit.head.is_empty());
                    assert!(unit.position < at + piece.len() as u64);
                    parser.push(unit);
                },
            );
            at += piece.len() as u64;
        }
        for format in parser.format().into_iter().chain(detector.format()) {
            assert!(format.width > 0 && format.height > 0);
            black_box((
                format.profile_name(),
                format.level_name(),
                format.display_aspect(),
            ));
        }
    }
}

/// A side file of the ring, its header and each record with a right CRC_32.
fn sealed_index(data: &[u8]) -> Vec<u8> {
    let header = Header {
        number: 1,
        length: Ticks27M::SECOND * 300,
        carried: data.first().copied().unwrap_or(0).into(),
    };
    let mut bytes = header.encode().to_vec();
    for record in data.chunks_exact(40) {
        let mut record = record.to_vec();
        record[4..8].fill(0);
        let crc = crc32(&record);
        record[4..8].copy_from_slice(&crc.to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

/// Reads a side file of the ring, and each record again as it is written.
pub fn ring_index(data: &[u8]) {
    black_box(Index::decode(data).is_some());
    let bytes = sealed_index(data);
    let index = Index::decode(&bytes).expect("the header is one of ours");
    assert_eq!(index.valid, bytes.len() as u64);
    black_box(index.reach());
    for record in index.carried.iter().chain(&index.own) {
        let mut again = Header {
            carried: 0,
            ..index.header
        }
        .encode()
        .to_vec();
        record.encode(&mut again);
        let again = Index::decode(&again).expect("the header is one of ours");
        // A long text is cut at a byte, which may be the middle of a letter.
        let short = record.slots() <= 3;
        assert!(again.own.first() == Some(record) || !short, "{record:?}");
    }
}

/// Reads a ring whose files are pieces of `data`, as a crash or another program may leave them.
pub fn ring(data: &[u8]) {
    let Some((cuts, data)) = data.split_first_chunk::<3>() else {
        return;
    };
    // A name of its own for each thread that replays.
    let thread = format!("{:?}", std::thread::current().id());
    let name = format!("headend-fuzz-{}-{thread}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    let mut rest = data;
    let mut pieces = cuts.map(|cut| {
        let (piece, left) = rest.split_at(usize::from(cut).min(rest.len()));
        rest = left;
        piece.to_vec()
    });
    pieces[1] = sealed_index(&pieces[1]);
    let _ = std::fs::create_dir_all(&dir);
    for (file, bytes) in [
        ("1.aux", &pieces[0]),
        ("1.idx", &pieces[1]),
        ("ring.json", &pieces[2]),
        ("1.ts", &rest.to_vec()),
    ] {
        if !bytes.is_empty() && std::fs::write(dir.join(file), bytes).is_err() {
            return; // the disk, not the library
        }
    }
    read_ring(&dir);
    let _ = std::fs::remove_dir_all(&dir);
}

/// Asks a ring for everything.
fn read_ring(dir: &Path) {
    let Ok(ring) = Ring::open(Arc::new(Disk), dir) else {
        return;
    };
    let _ = black_box(ring.summary());
    let mut cursor = ring.cursor(WallTime::default(), Some(WallTime::from_ticks(i64::MAX)));
    let mut bytes = [0; 188 * 7];
    // No step may be the same for ever.
    for _ in 0..1000 {
        match cursor.read(&mut bytes, Some(&mut Vec::new())) {
            Ok((Step::End, _)) | Err(_) => return,
            Ok(_) => {}
        }
    }
    panic!("the ring has no end");
}

/// Measures packets with every family: what was found is counted, alarms are raised and cleared
/// in turn, time never goes back, and the report can be written.
pub fn monitor(data: &[u8]) {
    let (packets, _) = Packet::slice_of(data);
    let mut monitor = Monitor::new(MonitorOptions::default());
    let mut alarms = Alarms::new(Ticks27M::SECOND);
    let (mut found, mut standing) = (0u64, 0i64);
    let mut last = Moment::default();
    let mut batch = Batch::with_capacity(300);
    for piece in packets.chunks(300) {
        batch.clear();
        batch.extend(piece, Arrival::default());
        monitor.push(&batch, &mut |finding| {
            found += 1;
            alarms.push(finding, &mut |alarm| {
                standing += if alarm.raised { 1 } else { -1 }
            });
        });
        assert!(monitor.now() >= last, "time went back");
        last = monitor.now();
    }
    monitor.finish(&mut |_| found += 1);
    let counted: u64 = Check::ALL.iter().map(|c| monitor.count(*c).count).sum();
    assert_eq!(found, counted);
    assert_eq!(alarms.len() as i64, standing);
    assert_eq!(monitor.packets(), packets.len() as u64);
    black_box(monitor.report());
}

/// Reads an endpoint, and reads what it prints as the same.
pub fn endpoint(data: &[u8]) {
    if let Ok(endpoint) = lossy(data).parse::<headend::io::Endpoint>() {
        let printed = endpoint.to_string();
        assert_eq!(printed.parse().as_ref(), Ok(&endpoint), "{printed}");
    }
}

/// Reads numbers with units, and reads what they print.
pub fn units(data: &[u8]) {
    let text = lossy(data);
    if let Ok(span) = text.parse::<Ticks27M>() {
        assert!(span.to_string().parse::<Ticks27M>().is_ok(), "{span}");
        black_box((
            Pcr::from_ticks(0).map(|p| p + span),
            Pts::wrapping(0) + span,
        ));
    }
    if let Ok(rate) = text.parse::<BitRate>() {
        black_box((rate.span_of(u64::MAX), rate.bytes_in(Ticks27M::MAX)));
        assert!(rate.to_string().parse::<BitRate>().is_ok(), "{rate}");
    }
    if let Ok(size) = text.parse::<ByteCount>() {
        black_box(size.to_string());
    }
    black_box(text.parse::<Pid>().ok());
}
