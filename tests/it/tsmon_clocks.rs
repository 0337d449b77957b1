//! `tsmon` on clocks: streams with known faults made here, measured by it and by the judge.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use headend::si::descriptor::Descriptors;
use headend::si::{
    PatEntry, PatFields, PmtFields, PmtStream, ServiceId, StreamType, TransportStreamId,
};
use headend::stream::{RtpHeader, SectionPacketizer};
use headend::ts::{ContinuityCounter, Packet, Pcr, PesHeader, Pid, Pts};
use serde_json::Value;

use crate::harness::{
    Run, Running, command, ffmpeg_stream, in_own_network, judged, output_within, wait_for,
};

const PMT: Pid = Pid::from_field(0x100);
const VIDEO: Pid = Pid::from_field(0x101);

/// At 4 060 800 bit/s a packet takes 188 * 8 * 27e6 / 4 060 800 = 10 000 ticks.
const PACKET_TICKS: u64 = 10_000;
/// A PCR every 100 packets: 37.04 ms.
const PCR_PACKETS: u64 = 100;

/// Seconds of one service at constant rate, with the tables each 0.3 s; PCR number n is as many
/// ticks off as `off(n)` says, and the packet with it is changed by `change`.
fn cbr(seconds: u64, off: impl Fn(u64) -> i64, change: impl Fn(u64, &mut Packet)) -> Vec<Packet> {
    let entry = PatEntry {
        program: ServiceId(1),
        pid: PMT,
    };
    let video = PmtStream {
        stream_type: StreamType::MPEG2_VIDEO,
        pid: VIDEO,
        descriptors: Descriptors::NONE,
    };
    let pat = PatFields::new(TransportStreamId(1), 0, &[entry]).to_section();
    let pmt = PmtFields::new(ServiceId(1), 0, VIDEO, Descriptors::NONE, &[video]).to_section();
    let (pat, pmt) = (pat.unwrap(), pmt.unwrap());
    let mut tables = [
        SectionPacketizer::new(Pid::PAT),
        SectionPacketizer::new(PMT),
    ];
    let mut packets = Vec::new();
    let start = Pcr::CIRCLE.get() - 5 * 27_000_000; // the wrap is 5 s in
    let mut counter = ContinuityCounter::default();
    for n in 0..seconds * 27_000_000 / PACKET_TICKS {
        let pcr = n / PCR_PACKETS;
        match n % PCR_PACKETS {
            1 if pcr.is_multiple_of(8) => tables[0].push([&pat], |p| packets.push(*p)),
            2 if pcr.is_multiple_of(8) => tables[1].push([&pmt], |p| packets.push(*p)),
            3 => {
                let ticks = start + (n * PACKET_TICKS) as i64 + off(pcr);
                let ticks = ticks.rem_euclid(Pcr::CIRCLE.get()) as u64;
                let value = Pcr::from_ticks(ticks).unwrap();
                let mut packet = Packet::pcr_only(VIDEO, counter, value);
                change(pcr, &mut packet);
                packets.push(packet);
            }
            4 => {
                counter = counter.next();
                let mut packet = Packet::new(VIDEO, counter);
                let mut pes = [0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1, 0xAA];
                let now = (start + (n * PACKET_TICKS) as i64) as u64 / 300;
                PesHeader::set_pts(&mut pes, Pts::wrapping(now + 45_000));
                packet.fill_payload(&pes);
                packet.set_payload_unit_start(true);
                packets.push(packet);
            }
            _ => packets.push(Packet::NULL),
        }
    }
    packets
}

/// A file of packets, in a folder that lives until the end of the test.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(packets: &[Packet]) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.ts");
    fs::write(&path, Packet::bytes_of(packets)).unwrap();
    File {
        _folder: folder,
        path,
    }
}

fn report(path: &Path, options: &[&str]) -> Value {
    let run = Run::new("tsmon").args(["--quiet", "--report", "json"]);
    let ran = run.args(options).args([path]).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn count(report: &Value, check: &str) -> (bool, u64) {
    let check = &report["checks"][check];
    (
        check["judged"].as_bool().unwrap(),
        check["count"].as_u64().unwrap(),
    )
}

const CHECKS: [&str; 4] = [
    "pcr_repetition_error",
    "pcr_discontinuity_indicator_error",
    "pcr_accuracy_error",
    "pts_error",
];

/// A number from -range to range, the same for the same n.
fn noise(n: u64, range: i64) -> i64 {
    let mut x = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) % (2 * range as u64 + 1)) as i64 - range
}

/// PCR_AC of the same file by both: (peak of ours, peak of the judge's), in nanoseconds.
fn accuracy_of_both(path: &Path) -> (f64, f64, Value, Value) {
    let ours = report(path, &[]);
    let theirs = judged(path, &["--only", "clock"]);
    let accuracy = &ours["clocks"]["pcrs"][0]["accuracy"];
    let pid = ours["clocks"]["pcrs"][0]["pid"].to_string();
    let min = accuracy["min_ns"].as_f64().unwrap();
    let max = accuracy["max_ns"].as_f64().unwrap();
    let peak = theirs["pcr"][&pid]["accuracy"]["max_ns"].as_f64().unwrap();
    (max.max(-min), peak, ours, theirs)
}

#[test]
fn what_tsrecv_and_ffmpeg_make_at_constant_rate_is_accurate() {
    let made = ffmpeg_stream(
        "cbr",
        "-f lavfi -i testsrc2=size=352x288:rate=25 -f lavfi -i sine=frequency=440 -t 8 -c:v mpeg2video \
         -b:v 1M -maxrate 1M -bufsize 500k -c:a mp2 -muxrate 2000000 -pcr_period 30",
    );
    let folder = tempfile::tempdir().unwrap();
    let stuffed = folder.path().join("stuffed.ts");
    let run = Run::new("tsrecv").args(["--quiet", "--cbr", "3M", "-i"]);
    run.args([&made])
        .args(["-o"])
        .args([&stuffed])
        .run()
        .expect(0, &[]);
    for path in [made, stuffed] {
        let (ours, theirs, report, _) = accuracy_of_both(&path);
        for check in CHECKS {
            assert_eq!(
                count(&report, check),
                (true, 0),
                "{check}: {}",
                path.display()
            );
        }
        // A clock of 27 MHz counts to 37 ns.
        assert!(
            (ours - theirs).abs() < 40.0 && ours < 80.0,
            "{ours} {theirs}"
        );
    }
}

#[test]
fn jitter_is_measured_as_the_judge_measures_it() {
    for ticks in [2, 8, 40] {
        let file = file(&cbr(30, |n| noise(n, ticks), |_, _| {}));
        let (ours, theirs, report, judged) = accuracy_of_both(&file.path);
        // Our line goes by the past alone, and is known to a seventh of the deviation, which is
        // 0.58 of the range: two of that, and where no limit holds the edges four.
        let near = if ticks < 13 { 0.16 } else { 0.33 } * theirs + 10.0;
        assert!((ours - theirs).abs() < near, "{ours} {theirs}");
        let rate = report["clocks"]["pcrs"][0]["transport_rate_bps"]
            .as_f64()
            .unwrap();
        assert!((rate - 4_060_800.0).abs() < 20.0, "{rate}");
        let (sure, found) = count(&report, "pcr_accuracy_error");
        let theirs = judged["findings"]["pcr_accuracy"]["count"]
            .as_f64()
            .unwrap_or(0.0);
        assert!(sure);
        if ticks < 13 {
            assert_eq!((found, theirs), (0, 0.0));
        } else {
            // We ask a standard error of the line more than the judge.
            let share = found as f64 / theirs;
            assert!((0.75..1.05).contains(&share), "{found} {theirs}");
        }
    }
}

#[test]
fn thirteen_ticks_to_either_side_are_legal_and_fifteen_are_not_by_both() {
    // 481 ns and 556 ns from where the byte of each PCR is due: no line that is fitted to them moves
    // that.
    for (ticks, legal) in [(13, true), (15, false)] {
        let either = |n| ticks * (noise(n, 1000) >> 31 | 1);
        let file = file(&cbr(60, either, |_, _| {}));
        let (ours, theirs, report, judged) = accuracy_of_both(&file.path);
        let found = count(&report, "pcr_accuracy_error");
        let by_judge = &judged["findings"]["pcr_accuracy"]["count"];
        assert_eq!(found.1 == 0, legal, "{}", report["clocks"]);
        assert_eq!(by_judge.is_null(), legal, "{}", judged["findings"]);
        assert!(found.0 && (!legal || ours <= 500.0 && theirs <= 500.0));
    }
}

#[test]
fn each_fault_of_a_clock_is_found_once_and_by_its_own_check() {
    // (what, PCR, by how much it is off, what is found by each check of CHECKS)
    let wild = |at, ticks| move |n: u64| if n == at { ticks } else { 0 };
    for (what, off, expected) in [
        ("none", wild(300, 0), [0, 0, 0, 0]),
        ("481 ns", wild(300, 13), [0, 0, 0, 0]),
        ("519 ns", wild(300, 14), [0, 0, 1, 0]),
        ("519 ns early, over the wrap", wild(136, -14), [0, 0, 1, 0]),
        ("20 ms", wild(300, 540_000), [0, 0, 1, 0]),
    ] {
        let file = file(&cbr(20, off, |_, _| {}));
        let report = report(&file.path, &[]);
        let found = CHECKS.map(|check| count(&report, check));
        assert_eq!(
            found,
            expected.map(|n| (true, n)),
            "{what}: {}",
            report["checks"]
        );
    }
}

#[test]
fn a_jump_is_announced_or_found_and_the_clock_goes_on_behind_it() {
    let hour = 3600 * 27_000_000;
    for announced in [false, true] {
        let flag = move |n: u64, packet: &mut Packet| {
            if n == 300 && announced {
                packet.as_bytes_mut()[5] |= 0x80;
            }
        };
        let file = file(&cbr(20, |n| if n >= 300 { hour } else { 0 }, flag));
        let report = report(&file.path, &[]);
        let found = CHECKS.map(|check| count(&report, check).1);
        assert_eq!(
            found,
            [0, u64::from(!announced), 0, 0],
            "{}",
            report["checks"]
        );
        let theirs = judged(&file.path, &["--only", "clock"]);
        let judged = theirs["findings"]["pcr_discontinuity"]["count"].as_u64();
        assert_eq!(judged.unwrap_or(0), u64::from(!announced));
        let accuracy = &report["clocks"]["pcrs"][0]["accuracy"];
        assert_eq!(accuracy["judged"], true);
        assert_eq!(
            report["clocks"]["pcrs"][0]["announced_discontinuities_total"],
            u64::from(announced)
        );
    }
}

#[test]
fn clocks_that_are_missing_are_found_as_an_interval() {
    // Two PCRs out of three are no PCRs: 111 ms apart from n = 300 to 330.
    let strip = |n: u64, packet: &mut Packet| {
        if (300..330).contains(&n) && !n.is_multiple_of(3) {
            *packet = Packet::NULL;
        }
    };
    let file = file(&cbr(20, |_| 0, strip));
    let report = report(&file.path, &[]);
    // Ten gaps of 3 * 37.04 ms; by the letter each is a discontinuity too.
    let found = CHECKS.map(|check| count(&report, check).1);
    assert_eq!(found, [10, 10, 0, 0]);
    let theirs = judged(&file.path, &["--only", "clock"]);
    for finding in ["pcr_repetition", "pcr_discontinuity"] {
        assert_eq!(theirs["findings"][finding]["count"], 10, "{finding}");
    }
    let interval = &report["clocks"]["pcrs"][0]["interval"];
    assert_eq!(
        (&interval["min_us"], &interval["max_us"]),
        (&37_037.into(), &111_111.into())
    );
}

#[test]
fn a_stream_without_its_null_packets_is_not_judged_and_says_why() {
    let packets: Vec<_> = cbr(20, |_| 0, |_, _| {})
        .into_iter()
        .filter(|p| p.pid() != Pid::NULL)
        .collect();
    // Twelve packets in 111 ms of PAT, PMT, PCR and picture: the tables come every eighth time.
    let file = file(&packets);
    let report = report(&file.path, &[]);
    let check = &report["checks"]["pcr_accuracy_error"];
    assert_eq!(
        (&check["judged"], &check["count"]),
        (&false.into(), &0.into())
    );
    let reason = check["reason"].as_str().unwrap();
    assert!(reason.contains("null packets"), "{reason}");
}

#[test]
fn lost_packets_spare_the_clock() {
    // A packet of video is lost: its counter tells. So are seven null packets: nothing tells.
    let mut packets = cbr(20, |_| 0, |_, _| {});
    packets.drain(40_010..40_017);
    let at = packets
        .iter()
        .rposition(|p| p.has_payload() && p.pid() == VIDEO)
        .unwrap();
    let lost = packets[..at - 20_000]
        .iter()
        .rposition(|p| p.has_payload() && p.pid() == VIDEO);
    packets.remove(lost.unwrap());
    let file = file(&packets);
    let report = report(&file.path, &[]);
    assert_eq!(count(&report, "continuity_count_error"), (true, 1));
    assert_eq!(count(&report, "pcr_accuracy_error"), (true, 0));
}

#[test]
fn the_filter_is_chosen_and_printed() {
    // A clock that swings by 2 us in 20 s: drift above 10 mHz, nothing above 1 Hz.
    let swing = |n: u64| {
        let seconds = n as f64 / 27.0;
        (54.0 * (std::f64::consts::TAU * seconds / 20.0).sin()).round() as i64
    };
    let file = file(&cbr(120, swing, |_, _| {}));
    for (filter, name, found) in [
        ("mgf3", "MGF3 (1 Hz)", false),
        ("mgf1", "MGF1 (10 mHz)", true),
        ("20mHz", "MGF4 (20 mHz)", true),
    ] {
        let report = report(&file.path, &["--pcr-filter", filter]);
        assert_eq!(report["clocks"]["filter"], name);
        let (judged, count) = count(&report, "pcr_accuracy_error");
        assert_eq!((judged, count > 0), (true, found), "{filter}: {count}");
    }
    let wrong = Run::new("tsmon").args(["--pcr-filter", "mgf9"]).run();
    wrong.expect(2, &["mgf9", "mgf1, mgf2, mgf3"]);
}

/// What tsmon says of `endpoint` after `send` has sent.
fn live_report(endpoint: &str, length: &str, send: impl FnOnce()) -> Value {
    let mut tsmon = command("tsmon");
    tsmon
        .args(["--quiet", "--report", "json", "--for", length, endpoint])
        .stdout(Stdio::piped());
    let child = tsmon.spawn().unwrap();
    // Port 5000 in hexadecimal, as the kernel lists sockets.
    let listens = || fs::read_to_string("/proc/net/udp").is_ok_and(|s| s.contains(":1388 "));
    wait_for("tsmon to listen", listens);
    send();
    let output = output_within(child, Duration::from_secs(60), "tsmon");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_paced_stream_on_the_network_is_measured_by_its_arrivals() {
    in_own_network(
        "tsmon_clocks::a_paced_stream_on_the_network_is_measured_by_its_arrivals",
        || {
            let file = file(&cbr(8, |_| 0, |_, _| {}));
            let mut sender = None;
            let report = live_report("rtp://127.0.0.1:5000", "7s", || {
                let mut tsrecv = command("tsrecv");
                tsrecv
                    .arg("--quiet")
                    .arg(&file.path)
                    .arg("rtp://127.0.0.1:5000");
                sender = Some(Running::spawn(&mut tsrecv));
            });
            assert_eq!(sender.unwrap().wait(), 0);
            let (network, pcr) = (&report["network"], &report["clocks"]["pcrs"][0]);
            let number =
                |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{network} {pcr}"));
            // A datagram takes 7 * 10 000 ticks, which are 2593 us.
            let mean = number(&network["inter_arrival"]["mean_us"]);
            assert!((mean - 2593.0).abs() < 130.0, "{mean}");
            let mdi = &network["mdi"];
            let rate = number(&mdi["media_rate_bps"]);
            assert!((rate - 4_060_800.0).abs() < 100.0, "{mdi}");
            assert_eq!(mdi["constant_rate"], true);
            assert!(number(&mdi["df_min_ms"]) >= 2.59, "{mdi}");
            assert!(mdi["newest"].as_str().unwrap().ends_with(":0"), "{mdi}");
            assert_eq!(mdi["mlr_by_rtp"]["packets_total"], 0);
            assert_eq!(network["rtp"]["lost_datagrams"], 0);
            assert_eq!(network["kernel_drops_datagrams"], 0);
            assert_eq!(count(&report, "pcr_accuracy_error"), (true, 0));
            let resolution = number(&report["clocks"]["arrival_resolution_ns"]);
            assert!((resolution - 2_593_000.0).abs() < 130_000.0, "{resolution}");
            let jitter = &pcr["overall_jitter"];
            assert!(number(&jitter["early_ns"]) <= 0.0 && number(&jitter["late_ns"]) >= 0.0);
            // The sender's clock is ours: what there is of an offset is jitter.
            let frequency = &pcr["frequency"];
            let (offset, error) = (
                number(&frequency["offset_ppm"]),
                number(&frequency["uncertainty_ppm"]),
            );
            assert!(offset.abs() < 3.0 * error + 1.0, "{frequency}");
            let judged = frequency["within_limit"].is_boolean();
            assert_eq!(frequency["reason"].is_null(), judged, "{frequency}");
        },
    );
}

#[test]
fn datagrams_that_are_lost_count_as_media_packets() {
    in_own_network(
        "tsmon_clocks::datagrams_that_are_lost_count_as_media_packets",
        || {
            let packets = cbr(4, |_| 0, |_, _| {});
            let report = live_report("rtp://127.0.0.1:5000", "4s", || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                let mut sent = 0u16;
                // As slowly as the stream: seven packets are 2593 us.
                for (n, seven) in (0u16..).zip(packets.chunks(7)) {
                    let sequence = n.wrapping_add(65_500);
                    std::thread::sleep(Duration::from_micros(2500));
                    if n == 900 || n == 901 {
                        continue;
                    }
                    let header = RtpHeader {
                        sequence,
                        timestamp: 0,
                        ssrc: 1,
                        marker: false,
                    };
                    let datagram = [&header.write()[..], Packet::bytes_of(seven)].concat();
                    socket.send_to(&datagram, "127.0.0.1:5000").ok();
                    sent += 1;
                }
                assert!(sent > 1500);
            });
            let network = &report["network"];
            assert_eq!(network["rtp"]["lost_datagrams"], 2, "{network}");
            let lost = &network["mdi"]["mlr_by_rtp"];
            assert_eq!(lost["packets_total"], 14, "{network}");
            assert_eq!(lost["worst_packets"], 14, "{network}");
        },
    );
}
