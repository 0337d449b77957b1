//! `kill -9` at random instants: nothing unreadable, and what is lost is told in milliseconds.
//!
//! Ten runs by default; `TSRING_KILLS=200` makes more.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Run, Running, command};
use crate::tsring::{numbers, stream};

/// Packets written at a time, 10 ms of 5 Mb/s.
const AT_ONCE: u32 = 33;

#[test]
fn a_kill_at_any_instant_loses_less_than_a_second() {
    let runs = std::env::var("TSRING_KILLS").ok();
    let runs: u64 = runs.and_then(|n| n.parse().ok()).unwrap_or(10);
    let temporary = tempfile::tempdir().unwrap();
    let ring = temporary.path().join("ring").display().to_string();
    let mut sent = 0;
    let mut worst = Duration::ZERO;
    let mut lost_before = 0;
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    for run in 0..runs {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let life = Duration::from_millis(100 + (random >> 33) % 1500);
        let mut recorder = command("tsring");
        recorder.args(["record", &ring, "--segment", "1s"]);
        let mut recorder = Running::spawn(recorder.stdin(Stdio::piped()).stderr(Stdio::null()));
        let mut pipe = recorder.0.stdin.take().unwrap();
        let start = Instant::now();
        let mut written = Vec::new();
        while start.elapsed() < life {
            if pipe.write_all(&stream(sent, AT_ONCE)).is_err() {
                break;
            }
            written.push((sent, Instant::now()));
            sent += AT_ONCE;
            std::thread::sleep(Duration::from_millis(10));
        }
        recorder.signal(Signal::SIGKILL);
        let killed = Instant::now();
        recorder.wait();
        drop(pipe);
        let read = Run::new("tsring").args(["read", &ring]).run();
        let found = numbers(&read.stdout);
        assert!(
            found.is_sorted_by(|a, b| a < b),
            "run {run}: {}",
            read.stderr
        );
        let missing = sent as usize - lost_before - found.len();
        let last = found.last().map_or(0, |n| n + 1);
        assert_eq!(missing as u32, sent - last, "run {run}: a hole inside");
        if let Some((_, at)) = written.iter().find(|(n, _)| n + AT_ONCE > last) {
            worst = worst.max(killed - *at);
        }
        lost_before += missing;
    }
    let worst = worst.as_millis();
    eprintln!("kill -9: {runs} runs, 0 unreadable, worst loss {worst} ms");
    assert!(worst <= 1000, "{worst} ms");
}
