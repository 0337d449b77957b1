//! `tsring`, with real processes, disks and multicat.

mod damage;
mod limits;
mod lost;
mod multicat;
mod range;
mod said;
mod settings;
mod stalled;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use headend::ts::{ContinuityCounter, Packet, Pcr, Pid};
use headend::units::Ticks27M;
use nix::sys::signal::Signal;

use crate::harness::{Run, Running, captures, command, packets_of, wait_for};

/// So many packets of one PID at 5 Mb/s, a PCR each twentieth, numbered in their payload.
pub fn stream(from: u32, packets: u32) -> Vec<u8> {
    let pid = Pid::new(0x100).unwrap();
    let mut counter = ContinuityCounter::new((from % 16) as u8).unwrap();
    let mut bytes = Vec::new();
    for n in from..from + packets {
        let mut p = Packet::new(pid, counter);
        counter = counter.next();
        if n % 20 == 0 {
            // 188 bytes at 5 Mb/s are 8121.6 ticks of 27 MHz.
            let ticks = Ticks27M::new(i64::from(n) * 81_216 / 10);
            p.set_adaptation_field_control(true, true);
            p.as_bytes_mut()[4..12].copy_from_slice(&[7, 0x10, 0, 0, 0, 0, 0x7E, 0]);
            assert!(p.set_pcr(Pcr::from_ticks(1).unwrap() + ticks));
        }
        p.payload_mut()[..4].copy_from_slice(&n.to_be_bytes());
        bytes.extend_from_slice(p.as_bytes());
    }
    bytes
}

/// The numbers of the packets of [`stream`].
pub fn numbers(bytes: &[u8]) -> Vec<u32> {
    let (packets, rest) = Packet::slice_of(bytes);
    assert!(rest.is_empty(), "{} bytes are no packets", bytes.len());
    let number = |p: &Packet| u32::from_be_bytes(*p.payload().first_chunk().unwrap());
    packets.iter().map(number).collect()
}

fn tsring(args: &[&str]) -> Run {
    Run::new("tsring").args(args)
}

fn dir() -> (tempfile::TempDir, String) {
    let temporary = tempfile::tempdir().unwrap();
    let ring = temporary.path().join("ring").display().to_string();
    (temporary, ring)
}

/// Files `bytes` from midnight on, in segments of 2 s.
fn file(ring: &str, bytes: &[u8]) {
    let at = "2026-11-20T00:00:00Z";
    let options = ["--clock", "pcr", "--at", at, "--segment", "2s"];
    tsring(&["record", ring])
        .args(options)
        .stdin(bytes)
        .run()
        .quiet_success();
}

fn json(ring: &str) -> serde_json::Value {
    let text = tsring(&["info", ring, "--json"]).run().quiet_success();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn what_is_recorded_is_read_back_byte_for_byte() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 30_000);
    file(&ring, &bytes);
    assert!(tsring(&["read", &ring]).run().quiet_success() == bytes);
    let copy = format!("{ring}.ts");
    tsring(&["read", &ring, "-o", &copy]).run().quiet_success();
    assert!(fs::read(copy).unwrap() == bytes);
    // 30 000 packets of 300.8 µs: 9.02 s, in segments of 2 s.
    let info = json(&ring);
    assert_eq!(info["segments"], 5);
    assert_eq!(info["bytes"], bytes.len());
    assert_eq!(info["first"], "2026-11-20T00:00:00.000Z");
    assert_eq!(info["last"], "2026-11-20T00:00:09.022Z");
    assert_eq!(info["gaps"].as_array().unwrap().len(), 0);
    let lock = Path::new(&ring).join("ring.lock");
    let recorder = fs::read(&lock).unwrap();
    let check = tsring(&["check", &ring]).run();
    assert!(fs::read(&lock).unwrap() == recorder);
    assert_eq!(
        (check.status, check.text().as_str()),
        (0, "5 segments, 0 findings\n")
    );
}

#[test]
fn captures_are_read_back_byte_for_byte() {
    for capture in captures() {
        let (_keep, ring) = dir();
        let input = capture.display().to_string();
        let recorded = tsring(&["record", &ring, "-i", &input]).run();
        assert_eq!(recorded.status, 0, "{input}: {}", recorded.stderr);
        let read = tsring(&["read", &ring]).run();
        assert!(packets_of(&capture) == read.stdout, "{input}");
    }
}

#[test]
fn settings_stay_with_the_ring_and_a_new_segment_length_loses_nothing() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 20_000));
    let more = [
        "record",
        &ring,
        "--clock",
        "pcr",
        "--segment",
        "3s",
        "--keep",
        "2h",
    ];
    tsring(&more)
        .stdin(stream(20_000, 20_000))
        .run()
        .quiet_success();
    tsring(&["record", &ring, "--clock", "pcr"])
        .stdin(stream(40_000, 5_000))
        .run()
        .quiet_success();
    let read = tsring(&["read", &ring]).run().stdout;
    assert_eq!(numbers(&read), (0..45_000).collect::<Vec<_>>());
    let info = json(&ring);
    assert_eq!(
        (&info["segment_ms"], &info["keep_ms"]),
        (&3000.into(), &7_200_000.into())
    );
    assert_eq!(info["multicat"].as_array().unwrap().len(), 2);
}

#[test]
fn a_second_writer_is_refused() {
    let (_keep, ring) = dir();
    let mut first = command("tsring");
    let child = first.args(["record", &ring]).stdin(Stdio::piped());
    let mut first = Running::spawn(child.stderr(Stdio::null()));
    let mut pipe = first.0.stdin.take().unwrap();
    pipe.write_all(&stream(0, 1000)).unwrap();
    wait_for("the first block", || {
        tsring(&["read", &ring]).run().stdout.len() >= 990 * 188
    });
    tsring(&["record", &ring])
        .run()
        .expect(3, &["another recorder holds it", "hint:"]);
    drop(pipe);
    assert_eq!(first.wait(), 0);
    assert_eq!(numbers(&tsring(&["read", &ring]).run().stdout).len(), 1000);
}

#[test]
fn a_partial_block_waits_for_no_more_and_is_filled_by_the_next_start() {
    let (_keep, ring) = dir();
    let mut first = command("tsring");
    let child = first.args(["record", &ring]).stdin(Stdio::piped());
    let mut first = Running::spawn(child.stderr(Stdio::null()));
    let mut pipe = first.0.stdin.take().unwrap();
    pipe.write_all(&stream(0, 10)).unwrap();
    wait_for("ten packets", || {
        tsring(&["read", &ring]).run().stdout.len() == 1880
    });
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait(), 0);
    let again = tsring(&["record", &ring]).stdin(stream(10, 11)).run();
    again.expect(0, &["ring_resumed"]);
    let read = tsring(&["read", &ring]).run().stdout;
    assert_eq!(numbers(&read), (0..21).collect::<Vec<_>>());
}

#[test]
fn what_is_passed_on_is_what_is_recorded() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 50_000);
    let tee = tsring(&["record", &ring, "--tee"])
        .stdin(bytes.clone())
        .run();
    assert!(tee.quiet_success() == bytes);
    assert!(tsring(&["read", &ring]).run().stdout == bytes);
}

#[test]
fn a_ring_is_played_at_its_own_pace() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 5_000); // 1.5 s
    file(&ring, &bytes);
    let start = Instant::now();
    let played = tsring(&["play", &ring, "--from", "2026-11-20T00:00:00Z"]).run();
    assert!(played.quiet_success() == bytes);
    // And a wait of 3 s for more.
    let took = start.elapsed().as_millis();
    assert!((4_400..20_000).contains(&took), "{took} ms");
}

/// The files of a ring with this extension, oldest first.
fn files(ring: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(ring).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    files.sort();
    files
}

#[test]
fn silence_is_told_while_it_lasts_and_a_ring_that_nobody_records_has_none() {
    let (_keep, ring) = dir();
    let mut recorder = command("tsring");
    recorder.args(["record", &ring]);
    let mut recorder = Running::spawn(recorder.stdin(Stdio::piped()).stderr(Stdio::null()));
    let mut pipe = recorder.0.stdin.take().unwrap();
    pipe.write_all(&stream(0, 70)).unwrap();
    wait_for("a ring", || tsring(&["info", &ring]).run().status == 0);
    assert_eq!(json(&ring)["recording"], true);
    let mut info = serde_json::Value::Null;
    wait_for("the gap", || {
        info = json(&ring);
        !info["gaps"].as_array().unwrap().is_empty()
    });
    let gap = &info["gaps"][0];
    assert_eq!(
        (&gap["cause"], &gap["to"]),
        (&"silence".into(), &serde_json::Value::Null)
    );
    assert_eq!(gap["from"], info["last"]);
    assert!(gap["duration_ms"].as_u64() >= Some(2000), "{gap}");
    let mut sent = 70;
    wait_for("the end of the gap", || {
        pipe.write_all(&stream(sent, 70)).unwrap();
        sent += 70;
        json(&ring)["gaps"][0]["to"].is_string()
    });
    drop(pipe);
    assert_eq!(recorder.wait(), 0);
    assert_eq!(json(&ring)["recording"], false);
}

/// What `check` says of a ring, line by line, and its status.
fn check(ring: &str, options: &[&str]) -> (i32, Vec<String>) {
    let run = tsring(&["check", ring]).args(options).run();
    let text = run.text();
    (run.status, text.lines().map(str::to_owned).collect())
}
