//! The whole monitor over a healthy day, and over two hundred damaged streams.

use std::collections::BTreeMap;

use headend::monitor::{
    Check, Finding, Monitor, MonitorOptions, Priority, Report, Series, TimeSource,
};
use headend::stream::event::{Event, Value};
use headend::stream::{Batch, Counters, Framer};
use headend::ts::{PACKET_SIZE, Packet, Pid, TableId};
use headend::units::Arrival;

use crate::harness::{Random, ffmpeg_stream};
use crate::healthy::{Healthy, MEGABIT, SLOW};
use crate::inject::{Damaged, Defect, Strike, Table, inject};

fn options(time: TimeSource) -> MonitorOptions {
    MonitorOptions {
        time,
        ..MonitorOptions::default()
    }
}

/// Hours of 75 kbit/s, the wrap of the PCR 2 h 30 min after the beginning.
fn healthy_hours(hours: i64, time: TimeSource) {
    const BATCH: usize = 4096;
    let packets = hours * 3600 * 27_000_000 / SLOW;
    let mut monitor = Monitor::new(options(time));
    let (mut place, mut found) = (0, Vec::new());
    let mut stream = Healthy::new(SLOW).take(packets as usize);
    let mut batch = Batch::with_capacity(BATCH);
    loop {
        batch.clear();
        for packet in stream.by_ref().take(BATCH) {
            batch.push(&packet, Arrival::from_ticks(place * SLOW));
            place += 1;
        }
        if batch.is_empty() {
            break;
        }
        monitor.push(&batch, &mut |finding| found.push(finding.clone()));
        assert_eq!(found, []);
    }
    monitor.finish(&mut |finding| found.push(finding.clone()));
    assert_eq!(found, []);
    let report = monitor.report();
    assert_eq!(report.packets, packets as u64);
    assert!((0..=40).contains(&(hours * 3_600_000 - report.duration_ms)));
    for row in &report.checks {
        let judged = row.priority < Priority::Four;
        assert_eq!(
            (row.judged, row.count),
            (judged, 0),
            "{} {:?}",
            row.check,
            row.reason
        );
    }
    assert_is_bounded(&report, 20);
}

#[test]
fn a_day_of_a_healthy_file_raises_nothing() {
    healthy_hours(24, TimeSource::Pcr);
}

#[test]
fn the_hours_around_the_wrap_of_a_healthy_live_input_raise_nothing() {
    healthy_hours(4, TimeSource::Arrival);
}

/// What a report may hold of a stream with so many PIDs.
fn assert_is_bounded(report: &Report, pids: usize) {
    assert!(report.pids.len() <= pids, "{} PIDs", report.pids.len());
    assert!(report.services.len() <= pids);
    // Sub-tables are those of the plan, and what damage makes of them with a right CRC_32.
    let tables = report.tables.tables.len();
    assert!(tables <= 64, "{tables} tables");
    assert!(report.clocks.pcrs.len() <= report.services.len());
    let series = report.checks.iter().filter_map(|c| c.times.as_ref());
    assert!(
        series
            .into_iter()
            .all(|s| s.points().count() <= Series::POINTS)
    );
    let json = serde_json::to_vec(report).unwrap().len();
    assert!(json <= 200_000 + pids * 600, "{json} bytes of JSON");
}

/// The stream that the seed damages: made to the packet, or by ffmpeg.
pub fn healthy(seed: u64) -> Vec<Packet> {
    const SECONDS: i64 = 15;
    if seed.is_multiple_of(2) {
        return Healthy::seconds(MEGABIT, SECONDS);
    }
    let path = ffmpeg_stream(
        "endurance",
        &format!(
            "-f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i sine -t {SECONDS} -c:v libx264 \
             -b:v 200k -maxrate 300k -bufsize 100k -g 25 -c:a mp2 -b:a 64k -muxrate 1000000"
        ),
    );
    let bytes = std::fs::read(path).unwrap();
    Packet::slice_of(&bytes).0.to_vec()
}

/// One to twelve strikes of any kind; each twentieth seed is a storm of wrong bits besides.
pub fn strikes(packets: &[Packet], seed: u64) -> Vec<Strike> {
    let mut random = Random::new(seed);
    let mut strikes = Vec::new();
    for _ in 0..=random.below(12) {
        let defect = defect(&mut random);
        let somewhere = packets[random.below(packets.len())].pid();
        let strike = match random.below(4) {
            0 => Strike::anywhere(defect),
            _ => Strike::new(defect, somewhere),
        };
        strikes.push(strike.times(1 + random.below(5)));
    }
    if seed.is_multiple_of(20) {
        strikes.push(Strike::anywhere(Defect::FlipBits { bits: 3 }).times(1000));
    }
    strikes
}

fn defect(random: &mut Random) -> Defect {
    let table = |random: &mut Random| {
        Table::all([0x00, 0x01, 0x02, 0x40, 0x42, 0x46, 0x4E, 0x4F, 0x70, 0x73][random.below(10)])
    };
    let ticks = |random: &mut Random| {
        let size = 1i64 << random.below(40);
        if random.below(2) == 0 { size } else { -size }
    };
    match random.below(23) {
        0 => Defect::ShiftPcr {
            ticks: ticks(random),
        },
        1 => Defect::JitterPcrs {
            ticks: 1 << random.below(24),
            pcrs: random.below(50),
        },
        2 => Defect::OmitPcrs {
            pcrs: random.below(60),
        },
        3 => Defect::Jump {
            ticks: ticks(random),
            announced: random.below(2) == 0,
        },
        4 => Defect::OmitStamps {
            pes: random.below(40),
        },
        5 => Defect::ShiftPts {
            ticks: ticks(random) >> 8,
        },
        6 => Defect::OmitTable {
            table: table(random),
            sections: 1 + random.below(9),
        },
        7 => Defect::StretchTable {
            table: table(random),
            sections: 1 + random.below(30),
            keep: 2 + random.below(4),
        },
        8 => Defect::RepeatTable {
            table: table(random),
            behind: 1 + random.below(20),
        },
        9 => Defect::Rename {
            table: table(random),
            to: TableId(random.next() as u8),
        },
        10 => Defect::BreakCrc {
            table: table(random),
        },
        11 => Defect::Scramble {
            packets: random.below(200),
        },
        12 => Defect::OmitPid {
            packets: random.below(100),
        },
        13 => Defect::Unreferenced {
            pid: Pid::from_field(0x300 + random.below(1000) as u16),
        },
        14 => Defect::Bunch {
            packets: 2 + random.below(6),
        },
        15 => Defect::Fill {
            packets: random.below(100),
            every: 1 + random.below(4),
        },
        16 => Defect::Drop {
            packets: 1 + random.below(20),
        },
        17 => Defect::Duplicate {
            copies: 1 + random.below(3),
        },
        18 => Defect::Reorder,
        19 => Defect::FlipBits {
            bits: 1 + random.below(4),
        },
        20 => Defect::TransportError,
        21 => Defect::BreakSync {
            packets: 1 + random.below(4),
        },
        _ => Defect::Junk {
            bytes: 1 + random.below(400),
        },
    }
}

/// What was seen of a stream: its report, its findings by check, and the bytes that are no packets.
struct Watched {
    report: Report,
    findings: BTreeMap<Check, u64>,
    junk: u64,
    /// Packets with a bad sync byte.
    bad: u64,
}

/// Counters by name.
#[derive(Default)]
struct Named(BTreeMap<String, u64>);

impl Counters for Named {
    fn put(&mut self, key: &str, value: Value) {
        if let Value::Number(n) = value {
            self.0.insert(key.to_owned(), u64::try_from(n).unwrap());
        }
    }
}

/// The bytes through framer and monitor in pieces of any length, as tsmon feeds them; a live input
/// comes late now and then, and is silent for up to three seconds.
fn watch(bytes: &[u8], seed: u64) -> Watched {
    let mut random = Random::new(seed ^ 0xFEED);
    let live = seed.is_multiple_of(3);
    let time = if live {
        TimeSource::Arrival
    } else {
        TimeSource::Pcr
    };
    let mut monitor = Monitor::new(options(time));
    let (mut framer, mut batch) = (Framer::new(), Batch::with_capacity(512));
    let mut findings: BTreeMap<Check, u64> = BTreeMap::new();
    let mut find = |finding: &Finding| *findings.entry(finding.check).or_default() += 1;
    let (mut taken, mut now, mut losses, mut bad) = (0, 0, 0, 0);
    let mut ended = false;
    while !ended {
        let piece = &bytes[taken..bytes.len().min(taken + 1 + random.below(60_000))];
        if live && random.below(40) == 0 {
            now += random.below(3 * 27_000_000) as i64;
            monitor.idle(Arrival::from_ticks(now), &mut find);
            monitor.interrupted();
        }
        let at = Arrival::from_ticks(now);
        now += (piece.len() / PACKET_SIZE) as i64 * MEGABIT;
        batch.clear();
        taken += framer.push(piece, at, &mut batch);
        if taken == bytes.len() {
            ended = framer.finish(at, &mut batch);
        }
        framer.drain_events(&mut |event| {
            if event.name() == "sync_lost" {
                losses += 1;
                monitor.sync_lost(number(event, "at_packet"));
            }
        });
        bad += batch.packets().iter().filter(|p| !p.has_sync()).count() as u64;
        monitor.push(&batch, &mut find);
    }
    monitor.finish(&mut find);
    let mut counters = Named::default();
    framer.counters(&mut counters);
    assert_eq!(counters.0["sync_losses_total"], losses);
    Watched {
        report: monitor.report(),
        findings,
        junk: counters.0["junk_bytes"],
        bad,
    }
}

pub fn number(event: &dyn Event, wanted: &str) -> u64 {
    let mut found = 0;
    event.fields(&mut |key, value| {
        if let (true, Value::Number(n)) = (key == wanted, value) {
            found = u64::try_from(n).unwrap();
        }
    });
    found
}

#[test]
fn two_hundred_damaged_streams_are_survived_and_counted_right() {
    let mut struck = 0;
    for seed in 0..200 {
        let packets = healthy(seed);
        let strikes = strikes(&packets, seed);
        let damaged = inject(&packets, seed, &strikes);
        struck += damaged.deeds.len();
        let watched = watch(&damaged.bytes, seed);
        let what = || format!("seed {seed}: {:?}", damaged.deeds);
        assert_is_consistent(&watched, &what);
        assert_is_no_more_than_was_done(&watched, &damaged, &what);
        // Each bit that is flipped may make a PID, and so may each packet made unreferenced.
        assert_is_bounded(&watched.report, 20 + damaged.deeds.len());
    }
    assert!(struck > 5_000, "{struck} deeds");
}

/// The figures of a report fit one another.
fn assert_is_consistent(watched: &Watched, what: &dyn Fn() -> String) {
    let report = &watched.report;
    let count = |check: Check| watched.findings.get(&check).copied().unwrap_or(0);
    for row in &report.checks {
        assert_eq!(row.count, count(row.check), "{} {}", row.check, what());
        assert_eq!(row.count > 0, row.first_ms.is_some(), "{}", what());
        assert!(row.first_ms <= row.last_ms && row.first_packet <= row.last_packet);
        assert!(row.error_seconds <= row.count && row.judged | (row.count == 0));
        assert!(row.last_packet.is_none_or(|last| last <= report.packets));
        assert!(row.last_ms.is_none_or(|last| last <= report.duration_ms));
    }
    let of_pids: u64 = report.pids.iter().map(|p| p.packets).sum();
    let errors = report.transport_errors;
    assert_eq!(report.packets, of_pids + errors + watched.bad, "{}", what());
    // A loss is two bad sync bytes, of packets or of junk.
    let (bad, losses) = (count(Check::SyncByteError), count(Check::TsSyncLoss));
    assert!(bad >= watched.bad.max(2 * losses), "{}", what());
    assert!(bad <= watched.bad + 2 * losses, "{}", what());
    assert_eq!(errors, count(Check::TransportError), "{}", what());
    assert_eq!(report.sync_losses, count(Check::TsSyncLoss), "{}", what());
    let breaks: u64 = report.pids.iter().map(|p| p.continuity_errors).sum();
    assert_eq!(breaks, count(Check::ContinuityCountError), "{}", what());
}

/// Each finding of the first kind that looks at packets has its deed.
fn assert_is_no_more_than_was_done(
    watched: &Watched,
    damaged: &Damaged,
    what: &dyn Fn() -> String,
) {
    let report = &watched.report;
    let count = |check: Check| watched.findings.get(&check).copied().unwrap_or(0);
    let sum = |of: fn(&Defect) -> usize| -> u64 {
        damaged.deeds.iter().map(|d| of(&d.defect) as u64).sum()
    };
    let flips = sum(|d| usize::from(matches!(d, Defect::FlipBits { .. })));
    // Bytes are packets or junk.
    let bytes = report.packets * PACKET_SIZE as u64 + watched.junk;
    assert_eq!(bytes, damaged.bytes.len() as u64, "{}", what());
    // What the search for packets passes over is missing: each packet of it one break at most.
    let junk = sum(|d| match d {
        Defect::Junk { bytes } => *bytes,
        _ => 0,
    });
    let passed_over = watched
        .junk
        .saturating_sub(junk)
        .div_ceil(PACKET_SIZE as u64);
    let breaks = sum(|d| match d {
        Defect::Drop { packets } | Defect::BreakSync { packets } => *packets,
        // One repeat is allowed.
        Defect::Duplicate { copies } => copies - 1,
        Defect::Reorder => 3,
        // Missing where it was, and a stranger where it is: not the one due, nor is the next.
        Defect::FlipBits { .. } => 3,
        Defect::TransportError | Defect::Unreferenced { .. } => 1,
        _ => 0,
    });
    let found = count(Check::ContinuityCountError);
    assert!(found <= breaks + passed_over, "{found} {breaks} {}", what());
    let marked = sum(|d| usize::from(*d == Defect::TransportError));
    let found = count(Check::TransportError);
    assert!(found <= marked + flips, "{found} {}", what());
    assert!(found + flips + passed_over >= marked, "{found} {}", what());
    let damaged_sections = sum(|d| usize::from(matches!(d, Defect::BreakCrc { .. })));
    let found = count(Check::CrcError);
    assert!(found <= damaged_sections + flips, "{found} {}", what());
    let spoilt = sum(|d| match d {
        Defect::BreakSync { packets } => *packets,
        Defect::Junk { .. } => 1,
        _ => 0,
    });
    assert!(report.sync_losses <= spoilt, "{}", what());
}

#[test]
fn the_same_seed_does_the_same_and_another_something_else() {
    let packets = Healthy::seconds(MEGABIT, 15);
    let run = |seed| inject(&packets, seed, &strikes(&packets, 1));
    let (one, again, other) = (run(1), run(1), run(2));
    assert_eq!((&one.bytes, &one.deeds), (&again.bytes, &again.deeds));
    assert_ne!(one.bytes, other.bytes);
    let places: Vec<_> = one.deeds.iter().map(|d| d.healthy).collect();
    assert!(places.is_sorted());
}
