//! Machines over packets.

use std::hint::black_box;

use headend::monitor::tables::{TableLimits, Tables};
use headend::monitor::{Alarms, Check, Moment, Monitor, MonitorOptions, Seen};
use headend::stream::audio_format::AudioLook;
use headend::stream::codec::Codec;
use headend::stream::event::Event;
use headend::stream::rap::RapDetector;
use headend::stream::video::{SequenceParser, StartCodes, VideoFormatDetector, wanted};
use headend::stream::{Batch, Framer, Programs, SectionAssembler, SectionPacketizer};
use headend::ts::{Packet, Pid, Section, SectionBuf, TableId};
use headend::units::{Arrival, Ticks27M};

use super::packets;
use super::tables::{sealed, sealed_short};

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
    // Damage of tables that 2.2 does not name is measured and raises nothing.
    let damaged = measures.crc_errors_total;
    assert!(crc_errors <= damaged);
    let whole: u64 = measures.tables.iter().map(|t| t.sections_total).sum();
    assert!(whole + measures.untimed_sections_total + damaged <= measures.sections_total);
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

/// Reads what the headers of sound say, in bytes of any kind.
pub fn audio(data: &[u8]) {
    for codec in [
        Codec::MpegAudio,
        Codec::AacAdts,
        Codec::AacLatm,
        Codec::Ac3,
        Codec::Eac3,
    ] {
        if let Some(look) = AudioLook::at(codec, data) {
            assert!(look.format.rate > 0 && look.bytes > 0);
            black_box(look.bit_rate());
        }
    }
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
