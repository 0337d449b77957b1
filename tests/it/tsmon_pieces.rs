//! What tsmon says of a stream hangs on its bytes, and not on the pieces in which it reads them.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use nix::fcntl::OFlag;
use serde_json::Value;

use headend::monitor::{Monitor, MonitorOptions};
use headend::stream::{Batch, Framer};
use headend::ts::Packet;
use headend::units::Arrival;

use crate::harness::{LIMIT, Random, Run, captures, command, output_within};
use crate::healthy::{Healthy, MEGABIT};
use crate::inject::inject;
use crate::tsmon_endurance::{healthy, number, strikes};

/// A megabyte and more, as a file is read.
const FILE: usize = 5577 * 188;

/// The report on bytes that come in pieces of these sizes.
fn report(bytes: &[u8], mut size: impl FnMut() -> usize) -> Value {
    let mut monitor = Monitor::new(MonitorOptions::default());
    let (mut framer, mut batch) = (Framer::new(), Batch::with_capacity(FILE / 188 + 1));
    let (mut rest, mut ended) = (bytes, false);
    while !ended {
        let (mut piece, behind) = rest.split_at(rest.len().min(size()));
        rest = behind;
        loop {
            batch.clear();
            let taken = framer.push(piece, Arrival::default(), &mut batch);
            piece = &piece[taken..];
            if rest.is_empty() && piece.is_empty() {
                ended = framer.finish(Arrival::default(), &mut batch);
            }
            framer.drain_events(&mut |event| {
                if event.name() == "sync_lost" {
                    monitor.sync_lost(number(event, "at_packet"));
                }
            });
            monitor.push(&batch, &mut |_| {});
            if piece.is_empty() {
                break;
            }
        }
    }
    monitor.finish(&mut |_| {});
    serde_json::to_value(monitor.report()).unwrap()
}

/// The bytes as a file, and in pieces of many sizes.
#[track_caller]
fn assert_is_the_same_in_pieces(bytes: &[u8], what: &str) {
    let whole = report(bytes, || FILE);
    for size in [187, 188, 1316, 9000, 11_280, 13_000] {
        assert_same(&report(bytes, || size), &whole, &format!("{what}, {size}"));
    }
    let mut random = Random::new(bytes.len() as u64);
    let pieces = report(bytes, || 1 + random.below(20_000));
    assert_same(&pieces, &whole, &format!("{what}, any"));
}

#[track_caller]
fn assert_same(left: &Value, right: &Value, what: &str) {
    for (key, value) in right.as_object().unwrap() {
        assert_eq!(&left[key], value, "{what}: {key}");
    }
}

#[test]
fn a_report_of_a_healthy_stream_is_the_same_in_pieces_of_any_size() {
    let packets = Healthy::seconds(MEGABIT, 10);
    let bytes = Packet::bytes_of(&packets);
    let whole = report(bytes, || FILE);
    let ms = packets.len() as i64 * MEGABIT / 27_000;
    let duration = whole["duration_ms"].as_i64().unwrap();
    assert!((ms - duration).abs() <= 1, "{ms} {duration}");
    assert_same(&report(bytes, || 1), &whole, "1");
    assert_is_the_same_in_pieces(bytes, "healthy");
}

#[test]
fn reports_of_damaged_streams_are_the_same_in_pieces_of_any_size() {
    for seed in 0..24 {
        let packets = healthy(seed);
        let damaged = inject(&packets, seed, &strikes(&packets, seed));
        let what = format!("seed {seed}: {:?}", damaged.deeds);
        assert_is_the_same_in_pieces(&damaged.bytes, &what);
    }
}

#[test]
fn reports_of_captures_are_the_same_in_pieces_of_any_size() {
    for path in captures() {
        let bytes = fs::read(&path).unwrap();
        let bytes = &bytes[..bytes.len().min(6 * FILE)];
        assert_is_the_same_in_pieces(bytes, &path.display().to_string());
    }
}

#[test]
fn a_pipe_whose_writer_brings_a_packet_at_a_time_is_told_as_the_file() {
    let packets = Healthy::seconds(MEGABIT, 5);
    let bytes = Packet::bytes_of(&packets);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stream.ts");
    fs::write(&file, bytes).unwrap();
    let ran = Run::new("tsmon")
        .args(["-q", "--report", "json"])
        .args([&file])
        .run();
    let whole: Value = serde_json::from_slice(&ran.expect(0, &[]).stdout).unwrap();
    for size in [188, 1316, 4096] {
        // Each read of such a pipe brings what one write brought (pipe(2), O_DIRECT).
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_DIRECT | OFlag::O_CLOEXEC).unwrap();
        let child = command("tsmon")
            .args(["-q", "--report", "json", "-"])
            .stdin(reader)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut writer = fs::File::from(writer);
        for piece in bytes.chunks(size) {
            writer.write_all(piece).unwrap();
        }
        drop(writer);
        let output = output_within(child, LIMIT, "tsmon");
        assert!(output.status.success(), "{output:?}");
        let piped = serde_json::from_slice(&output.stdout).unwrap();
        assert_same(&piped, &whole, &format!("{size} bytes"));
    }
}
