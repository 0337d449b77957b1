//! The checks of tables of `tsmon`, on a multiplex made here and on real captures.

use std::collections::BTreeMap;
use std::fs;

use headend::monitor::tables::Tables;
use headend::si::descriptor::Descriptors;
use headend::si::{DvbTime, EitFields, EitKind, OriginalNetworkId, Tdt, Tot, TransportStreamId};
use headend::stream::SectionPacketizer;
use headend::ts::{Packet, Pid, SectionBuf, SectionSyntax, TableId};
use serde_json::Value;

use crate::harness::{Run, captures, ffmpeg_stream};

/// Bits a second of the multiplex: a packet every 1504 µs.
const RATE: u64 = 1_000_000;
/// Long enough for a TDT, which may be away for 30 s.
const SECONDS: u64 = 32;
/// ffmpeg's PMT.
const PMT: Pid = Pid::from_field(0x1000);
/// ffmpeg's second stream.
const AUDIO: Pid = Pid::from_field(0x101);

fn report(bytes: &[u8], options: &[&str]) -> Value {
    let run = Run::new("tsmon")
        .args(["--quiet", "--report", "json"])
        .args(options)
        .stdin(bytes);
    // Alarms of a pipe go to stderr.
    let ran = run.run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// What the checks of tables found, those that found nothing left out.
fn counts(report: &Value) -> BTreeMap<&'static str, u64> {
    let count = |name: &str| report["checks"][name]["count"].as_u64().unwrap();
    let all = Tables::CHECKS.iter().map(|check| check.name());
    all.map(|name| (name, count(name)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn syntax(extension: u16, number: u8, last_number: u8) -> SectionSyntax {
    SectionSyntax {
        extension,
        version: 3,
        current: true,
        number,
        last_number,
    }
}

fn eit(actual: bool, service: u16, number: u8) -> SectionBuf {
    let kind = EitKind {
        actual,
        schedule: None,
    };
    let fields = EitFields {
        kind,
        syntax: syntax(service, number, 1),
        transport_stream: TransportStreamId(1),
        original_network: OriginalNetworkId(0x20FA),
        segment_last_section: 1,
        last_table: kind.table_id().unwrap(),
        events: &[],
    };
    fields.to_section().unwrap()
}

/// NIT or BAT without descriptors and transport streams.
fn two_loops(id: u8, extension: u16) -> SectionBuf {
    let body = [0xF0, 0, 0xF0, 0];
    SectionBuf::long(TableId(id), true, syntax(extension, 0, 0), &body).unwrap()
}

/// Something that is sent every so many milliseconds, from some millisecond on.
struct Item {
    pid: Pid,
    section: SectionBuf,
    every: u64,
    from: u64,
}

fn plan() -> Vec<Item> {
    const TIME: DvbTime = DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]);
    let tot = Tot {
        time: TIME,
        descriptors: Descriptors::NONE,
    };
    let rows = [
        (Pid::NIT, two_loops(0x40, 1), 9_900, 100),
        (Pid::NIT, two_loops(0x41, 2), 9_900, 200),
        (Pid::SDT, two_loops(0x4A, 3), 9_900, 300),
        (Pid::EIT, eit(true, 1, 0), 1_900, 130),
        (Pid::EIT, eit(true, 1, 1), 1_900, 1_130),
        (Pid::EIT, eit(false, 9, 0), 9_900, 400),
        (Pid::EIT, eit(false, 9, 1), 9_900, 5_400),
        (
            Pid::TDT,
            Tdt { time: TIME }.to_section().unwrap(),
            29_000,
            500,
        ),
        (Pid::TDT, tot.to_section().unwrap(), 29_000, 600),
    ];
    rows.map(|(pid, section, every, from)| Item {
        pid,
        section,
        every,
        from,
    })
    .into()
}

/// When a packet is on air.
fn milliseconds(place: usize) -> u64 {
    place as u64 * 188 * 8 * 1000 / RATE
}

/// A multiplex of constant rate: ffmpeg's, null packets replaced by the sections of `plan`.
fn multiplex(plan: &[Item]) -> Vec<Packet> {
    let path = ffmpeg_stream(
        "tables",
        &format!(
            "-f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i sine -t {SECONDS} -c:v libx264 \
             -b:v 200k -maxrate 300k -bufsize 100k -g 25 -c:a mp2 -b:a 64k -muxrate {RATE} -pat_period 0.4 \
             -sdt_period 1.5"
        ),
    );
    let bytes = fs::read(path).unwrap();
    let (packets, rest) = Packet::slice_of(&bytes);
    assert!(rest.is_empty());
    let mut packets = packets.to_vec();
    let mut packetizers = BTreeMap::new();
    let mut sent = vec![0; plan.len()];
    for (place, packet) in packets.iter_mut().enumerate() {
        let now = milliseconds(place);
        let is_due = |(n, item): &(usize, &Item)| item.from + sent[*n] * item.every <= now;
        let Some((n, item)) = plan.iter().enumerate().find(is_due) else {
            continue;
        };
        if packet.pid() != Pid::NULL {
            continue;
        }
        let packetizer = packetizers
            .entry(item.pid)
            .or_insert_with(|| SectionPacketizer::new(item.pid));
        packetizer.push([&item.section], |p| *packet = *p);
        sent[n] += 1;
    }
    packets
}

/// The places of the packets of a PID.
fn places(packets: &[Packet], pid: Pid) -> Vec<usize> {
    let all = packets.iter().enumerate();
    all.filter(|(_, p)| p.pid() == pid)
        .map(|(n, _)| n)
        .collect()
}

fn counted<'c>(counts: &[(&'c str, u64)]) -> BTreeMap<&'c str, u64> {
    counts.iter().copied().collect()
}

#[test]
fn a_multiplex_with_every_table_in_time_raises_none_and_is_judged_by_all() {
    let packets = multiplex(&plan());
    let report = report(Packet::bytes_of(&packets), &[]);
    assert_eq!(counts(&report), BTreeMap::new());
    for check in Tables::CHECKS {
        // There is no SDT of another stream and no RST.
        let there = !matches!(check.name(), "sdt_other_error" | "rst_error");
        assert_eq!(report["checks"][check.name()]["judged"], there, "{check}");
    }
    let tables = report["tables"]["tables"].as_array().unwrap();
    let table = |id: u64| tables.iter().find(|t| t["table_id"] == id).unwrap();
    let pats = places(&packets, Pid::PAT);
    assert_eq!(table(0)["sections_total"], pats.len());
    // Places of a constant rate: the time between two packets is that of the packets between.
    let longest = pats.windows(2).map(|w| w[1] - w[0]).max().unwrap() as f64 * 1.504;
    let measured = table(0)["interval_max_ms"].as_f64().unwrap();
    assert!((measured - longest).abs() < 0.1, "{measured} {longest}");
    let nit = table(0x40)["interval_mean_ms"].as_f64().unwrap();
    assert!((nit - 9_900.0).abs() < 20.0, "{nit}");
    assert_eq!(table(0x40)["version"], 3);
    // A PAT of one service has 16 bytes.
    let rates = report["tables"]["rates"].as_array().unwrap();
    let pat = rates.iter().find(|r| r["table"] == "PAT").unwrap();
    let bytes = pats.len() as u64 * 16;
    let duration = report["duration_ms"].as_u64().unwrap();
    assert_eq!(
        (&pat["pid"], &pat["bytes_total"]),
        (&0.into(), &bytes.into())
    );
    let mean = pat["mean_bps"].as_u64().unwrap();
    assert!(mean.abs_diff(bytes * 8000 / duration) <= 1, "{pat}");
    let mut seconds = [0; SECONDS as usize - 1];
    for place in &pats {
        if let Some(second) = seconds.get_mut(milliseconds(*place) as usize / 1000) {
            *second += 16 * 8;
        }
    }
    let range = (seconds.iter().min().copied(), seconds.iter().max().copied());
    let told = (pat["min_bps"].as_u64(), pat["max_bps"].as_u64());
    assert_eq!(told, range);
    assert_eq!(table(0x4E)["table_id_extension"], 1);
}

#[test]
fn a_table_that_is_left_out_is_missed_unless_its_limit_is_lifted() {
    let mut plan = plan();
    plan.retain(|item| item.section.section().table_id() != TableId(0x40));
    let packets = multiplex(&plan);
    let bytes = Packet::bytes_of(&packets);
    // After 10 s, and every 5 s and a bit up to 32 s.
    assert_eq!(
        counts(&report(bytes, &[])),
        counted(&[("nit_actual_error", 5)])
    );
    let options = ["--limit", "nit=never"];
    let without = report(bytes, &options);
    assert_eq!(counts(&without), BTreeMap::new());
    assert_eq!(
        without["checks"]["nit_actual_error"]["reason"],
        "no limit is set"
    );
}

#[test]
fn the_following_event_that_is_left_out_raises_the_pair_too() {
    let mut plan = plan();
    plan.remove(4);
    let found = counts(&report(Packet::bytes_of(&multiplex(&plan)), &[]));
    let names: Vec<_> = found.keys().copied().collect();
    assert_eq!(
        names,
        ["eit_actual_error", "eit_pf_error", "si_repetition_error"]
    );
}

#[test]
fn each_defect_in_one_packet_raises_its_check() {
    let healthy = multiplex(&plan());
    let bytes = |change: &dyn Fn(&mut Vec<Packet>)| {
        let mut packets = healthy.clone();
        change(&mut packets);
        Packet::bytes_of(&packets).to_vec()
    };
    let nulls = places(&healthy, Pid::NULL);
    let null_after = |place: usize| *nulls.iter().find(|n| **n > place).unwrap();
    let eit = places(&healthy, Pid::EIT)[5];
    let tdt = places(&healthy, Pid::TDT)[0];
    let pmt = places(&healthy, PMT)[7];

    // A bit of a section: the damaged one does not count, so that its neighbours lie too far apart.
    let flipped = bytes(&|packets| packets[eit].as_bytes_mut()[20] ^= 1);
    let found = counts(&report(&flipped, &[]));
    assert_eq!(found.get("crc_error"), Some(&1), "{found:?}");

    // A lost packet is no damaged section.
    let lost = bytes(&|packets| packets[eit] = Packet::NULL);
    assert_eq!(counts(&report(&lost, &[])).get("crc_error"), None);

    // The same TDT again, at once.
    let doubled = bytes(&|packets| {
        let mut again = packets[tdt];
        // The next packet of the PID is the TOT: a PID 0x14 that skips a counter is 1.4's business.
        again.set_continuity_counter(again.continuity_counter().next());
        packets[null_after(tdt)] = again;
    });
    let expected = counted(&[("si_repetition_error", 1), ("tdt_error", 1)]);
    assert_eq!(counts(&report(&doubled, &[])), expected);

    // A packet that no table knows, and the user does.
    let stray = bytes(&|packets| packets[nulls[100]].set_pid(Pid::from_field(0x321)));
    assert_eq!(
        counts(&report(&stray, &[])),
        counted(&[("unreferenced_pid", 1)])
    );
    assert_eq!(
        counts(&report(&stray, &["--private-pid", "0x321"])),
        BTreeMap::new()
    );

    // An SDT on the PID of the NIT.
    let foreign = bytes(&|packets| {
        let sdt = places(packets, Pid::SDT)[0];
        let mut packet = packets[sdt];
        packet.set_pid(Pid::NIT);
        packets[nulls[3]] = packet;
    });
    assert_eq!(
        counts(&report(&foreign, &[])),
        counted(&[("nit_actual_error", 1)])
    );

    // A scrambled PMT: and without it, the next one is too late.
    let scrambled = bytes(&|packets| packets[pmt].as_bytes_mut()[3] |= 0x80);
    let found = counts(&report(&scrambled, &[]));
    assert!(found["pmt_error_2"] >= 1, "{found:?}");
    assert_eq!(
        found.get("cat_error"),
        None,
        "one packet: no CAT for 10 s after it is no matter"
    );

    // Two PATs in a row are gone.
    let pats = places(&healthy, Pid::PAT);
    let gone = bytes(&|packets| {
        packets[pats[9]] = Packet::NULL;
        packets[pats[10]] = Packet::NULL;
    });
    let expected = counted(&[("pat_error_2", 2)]);
    let found = counts(&report(&gone, &[]));
    assert!(found.keys().eq(expected.keys()), "{found:?}");
}

#[test]
fn a_stream_that_loses_its_sound_says_so_after_five_seconds() {
    let packets = multiplex(&plan());
    let cut = |range: std::ops::Range<u64>| {
        let mut packets = packets.clone();
        for (place, packet) in packets.iter_mut().enumerate() {
            if packet.pid() == AUDIO && range.contains(&milliseconds(place)) {
                *packet = Packet::NULL;
            }
        }
        counts(&report(Packet::bytes_of(&packets), &[]))
    };
    // ffmpeg sends 0.4 s of sound at a time: what is cut is a little less than what is missing.
    assert_eq!(cut(10_000..14_300), BTreeMap::new());
    assert_eq!(cut(10_000..15_100), counted(&[("pid_error", 1)]));
}

#[test]
fn terrestrial_limits_and_wrong_options_reach_the_operator() {
    let mut plan = plan();
    // An EIT other of 15 s: too slow by satellite, in time on the ground.
    for item in &mut plan[5..7] {
        item.every = 15_000;
    }
    let packets = multiplex(&plan);
    let bytes = Packet::bytes_of(&packets);
    let satellite = counts(&report(bytes, &[]));
    let names: Vec<_> = satellite.keys().copied().collect();
    assert_eq!(names, ["eit_other_error", "si_repetition_error"]);
    assert_eq!(
        counts(&report(bytes, &["--delivery", "terrestrial"])),
        BTreeMap::new()
    );
    let wrong = Run::new("tsmon").args(["--limit", "std=2s"]).run();
    wrong.expect(2, &["std", "sdt-other"]);
}

/// What is found in the captures, and why it is right.
const FOUND: [(&str, &[(&str, u64)]); 3] = [
    // PAT at packets 1, 43, 85 and 127, the PCRs by hand 0.2 s at packet 91 and 0.9 s at the
    // last: 750 ms without a PAT, and without the PMT in the packet after it.
    ("h265.ts", &[("pat_error_2", 1), ("pmt_error_2", 1)]),
    // Off air, damaged: each of eight PMTs (all of CRC_32 0xFDD02337) and two of ten PATs have
    // wrong bits, by a second implementation. So no PMT is known, none refers to the 38 PIDs
    // over 0x1F, most of which are wrong bits themselves.
    (
        "hd-scte35-12pids.ts",
        &[
            ("crc_error", 10),
            ("pmt_error_2", 1),
            ("unreferenced_pid", 38),
        ],
    ),
    // An SDT, no NIT and no TDT, for less than they may be away; its SDT announces no EIT.
    ("bbb-h264-mp2.ts", &[]),
];

#[test]
fn what_is_found_in_captures_is_known_and_nothing_else_is() {
    for path in captures() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let report = report(&fs::read(&path).unwrap(), &[]);
        let expected = FOUND.iter().find(|(file, _)| *file == name);
        let expected = expected.map_or(&[][..], |(_, found)| found);
        assert_eq!(counts(&report), counted(expected), "{name}");
    }
}
