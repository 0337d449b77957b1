//! EIT present/following, TDT and TOT of the input on air, in the output.

use std::path::{Path, PathBuf};

use headend::si::descriptor::Descriptors;
use headend::si::{
    DvbDuration, DvbTime, EitEvent, EitFields, EitKind, EventId, OriginalNetworkId, RunningStatus,
    Tdt, Tot, TransportStreamId,
};
use headend::stream::SectionPacketizer;
use headend::switch::SwitchOptions;
use headend::ts::{Packet, Pid, SectionBuf, SectionSyntax};
use headend::units::{BitRate, Ticks27M};

use super::sim::{Feed, Sim};
use super::{SECOND, backup, complaints, main_channel};
use crate::harness::judge;

/// An event whose short_event_descriptors make a section of about 800 bytes: five packets.
fn eit(service: u16, version: u8, number: u8, name: &str) -> SectionBuf {
    let mut descriptors = Vec::new();
    for language in [b"fra", b"deu", b"eng", b"ita"] {
        let text = [name.as_bytes(), &[b'.'; 150]].concat();
        let size = 3 + 1 + name.len() + 1 + text.len();
        descriptors.extend([0x4D, size as u8]);
        descriptors.extend(language);
        descriptors.push(name.len() as u8);
        descriptors.extend(name.as_bytes());
        descriptors.push(text.len() as u8);
        descriptors.extend(text);
    }
    let event = EitEvent {
        event: EventId(u16::from(version) * 2 + u16::from(number)),
        start: DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]),
        duration: DvbDuration([0x01, 0x45, 0x30]),
        running: RunningStatus::Running,
        scrambled: false,
        descriptors: Descriptors::new(&descriptors),
    };
    let fields = EitFields {
        kind: EitKind::PRESENT_FOLLOWING,
        syntax: SectionSyntax {
            extension: service,
            version,
            current: true,
            number,
            last_number: 1,
        },
        transport_stream: TransportStreamId(1),
        original_network: OriginalNetworkId(0xFF01),
        segment_last_section: 1,
        last_table: headend::ts::TableId(0x4E),
        events: &[event],
    };
    fields.to_section().unwrap()
}

/// A channel of ffmpeg's with tables where it has null packets: `every` packets a round of the EIT,
/// present and following, of the service and of another one; and of TDT and TOT.
fn informed(file: &Path, name: &str, version: u8, every: usize) -> PathBuf {
    let bytes = std::fs::read(file).unwrap();
    let mut packets = Packet::slice_of(&bytes).0.to_vec();
    let time = DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]);
    let tdt = Tdt { time }.to_section().unwrap();
    let descriptors = Descriptors::new(&[]);
    let tot = Tot { time, descriptors }.to_section().unwrap();
    let tables = [
        (Pid::EIT, eit(1, version, 0, name)),
        (Pid::EIT, eit(1, version, 1, name)),
        (Pid::EIT, eit(77, version, 0, "another service")),
        (Pid::TDT, tdt),
        (Pid::TDT, tot),
    ];
    let mut out = [
        SectionPacketizer::new(Pid::EIT),
        SectionPacketizer::new(Pid::TDT),
    ];
    let mut waiting = std::collections::VecDeque::new();
    let mut next = 0;
    for (n, packet) in packets.iter_mut().enumerate() {
        if n * tables.len() >= next * every {
            let (pid, section) = &tables[next % tables.len()];
            out[usize::from(*pid == Pid::TDT)].push([section], |p| waiting.push_back(*p));
            next += 1;
        }
        if packet.pid() == Pid::NULL
            && let Some(table) = waiting.pop_front()
        {
            *packet = table;
        }
    }
    let path = file.with_file_name(format!("informed-{name}-{every}.ts"));
    std::fs::write(&path, Packet::bytes_of(&packets)).unwrap();
    path
}

/// What a name stands in: packets of the EIT, by where they are.
fn told(packets: &[Packet], name: &str) -> Vec<usize> {
    let all = packets.iter().enumerate();
    let of_it = all.filter(|(_, packet)| {
        let bytes = packet.as_bytes();
        packet.pid() == Pid::EIT && bytes.windows(name.len()).any(|w| w == name.as_bytes())
    });
    of_it.map(|(n, _)| n).collect()
}

/// At a constant rate the judge knows when each packet comes.
fn constant(feeds: Vec<Feed>) -> Sim {
    let options = SwitchOptions {
        rate: Some(BitRate::new(2_000_000)),
        ..SwitchOptions::default()
    };
    Sim::with(options, feeds)
}

#[test]
fn tables_of_the_input_on_air_go_with_it_whole_and_as_those_of_one_service() {
    for ms in [0, 270, 430, 810] {
        let feeds = vec![
            Feed::new(&informed(&main_channel(), "first", 7, 1_400)),
            Feed::new(&informed(&backup(), "second", 7, 1_400)),
        ];
        let mut sim = constant(feeds);
        sim.run_until(SECOND * 6 + Ticks27M::from_millis(ms));
        sim.feeds[0].alive = false;
        sim.run_until(SECOND * 12);
        sim.finish();
        assert_eq!(sim.switched(), [1, 2], "{}", sim.log());
        let file = sim.write(&format!("informed-{ms}.ts"));
        assert_eq!(complaints(&file), "");
        // Without a delay the picture is missing for a time-out and a GOP.
        let options = ["--ignore", "tstd,pts_interval", "--require", "eit,tdt,tot"];
        judge(&file, &options);
        let packets = Packet::slice_of(&sim.out).0;
        let (first, second) = (told(packets, "first"), told(packets, "second"));
        assert!(first.len() > 20 && second.len() > 20);
        assert!(first.last() < second.first(), "one after the other");
        assert!(told(packets, "another").is_empty());
        assert_eq!(sim.counter("dropped_sections_total"), 0);
    }
}

/// The judge knows that versions step where content changes; here both inputs say the same.
#[test]
fn where_both_inputs_say_the_same_the_version_stays() {
    let feeds = vec![
        Feed::new(&informed(&main_channel(), "same", 3, 1_400)),
        Feed::new(&informed(&backup(), "same", 3, 1_400)),
    ];
    let mut sim = constant(feeds);
    sim.run_until(SECOND * 6);
    sim.feeds[0].alive = false;
    sim.run_until(SECOND * 12);
    sim.finish();
    judge(
        &sim.write("informed-same.ts"),
        &["--ignore", "tstd,pts_interval", "--require", "eit,tdt,tot"],
    );
    let packets = Packet::slice_of(&sim.out).0;
    // The byte behind table_id, section_length and service_id: reserved, version, current_next.
    let starts = packets
        .iter()
        .filter(|p| p.pid() == Pid::EIT && p.payload_unit_start());
    let mut versions: Vec<u8> = starts.map(|p| p.payload()[6] >> 1 & 31).collect();
    versions.dedup();
    assert_eq!(versions.len(), 1, "{versions:?}");
}

/// An input whose tables come too fast: what is passed is 25 ms apart all the same.
#[test]
fn tables_that_come_too_fast_are_passed_as_fast_as_they_may() {
    let feeds = vec![Feed::new(&informed(&main_channel(), "fast", 7, 20))];
    let mut sim = constant(feeds);
    sim.run_until(SECOND * 8);
    sim.finish();
    judge(
        &sim.write("informed-fast.ts"),
        &["--ignore", "tstd", "--require", "eit,tdt,tot"],
    );
    assert!(sim.counter("dropped_sections_total") > 0);
}

#[test]
fn a_service_of_another_number_is_told_as_that_of_the_output() {
    let renumbered = super::channel("renumbered", "testsrc", 880, "-mpegts_service_id 9");
    let bytes = std::fs::read(&renumbered).unwrap();
    let other = informed(&renumbered, "ninth", 4, 1_400);
    let mut packets = Packet::slice_of(&std::fs::read(&other).unwrap()).0.to_vec();
    assert_eq!(packets.len() * 188, bytes.len());
    // Its tables are about service 9.
    let mut out = SectionPacketizer::new(Pid::EIT);
    let mut made = Vec::new();
    for number in [0, 1] {
        out.push([&eit(9, 4, number, "ninth")], |p| made.push(*p));
    }
    let mut tables = made.iter().cycle();
    let mut counter = headend::ts::ContinuityCounter::default();
    for packet in packets.iter_mut().filter(|p| p.pid() == Pid::EIT) {
        *packet = *tables.next().unwrap();
        counter = counter.next();
        packet.set_continuity_counter(counter);
    }
    std::fs::write(&other, Packet::bytes_of(&packets)).unwrap();
    let feeds = vec![
        Feed::new(&informed(&main_channel(), "first", 7, 1_400)),
        Feed::new(&other),
    ];
    let mut sim = constant(feeds);
    sim.run_until(SECOND * 6);
    sim.feeds[0].alive = false;
    sim.run_until(SECOND * 12);
    sim.finish();
    let packets = Packet::slice_of(&sim.out).0;
    assert!(told(packets, "ninth").len() > 20, "{}", sim.log());
    let starts = packets
        .iter()
        .filter(|p| p.pid() == Pid::EIT && p.payload_unit_start());
    // service_id stands behind pointer_field, table_id and section_length.
    let mut services: Vec<_> = starts.map(|p| (p.payload()[4], p.payload()[5])).collect();
    services.dedup();
    assert_eq!(services, [(0, 1)]);
    judge(
        &sim.write("informed-ninth.ts"),
        &["--ignore", "tstd,pts_interval", "--require", "eit"],
    );
}
