//! Readers of stdout that stand still.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::{dir, file, stream, tsring};
use crate::harness::{Running, command, wait_for};

/// `tsring` with nobody who reads its stdout.
struct Stalled {
    running: Running,
    stdout: (std::io::PipeReader, std::io::PipeWriter),
}

impl Stalled {
    fn start(args: &[&str], stdin: Stdio) -> Self {
        let stdout = std::io::pipe().unwrap();
        let mut tsring = command("tsring");
        tsring.args(args).stdin(stdin);
        tsring.stdout(stdout.1.try_clone().unwrap());
        let running = Running::spawn(&mut tsring);
        Self { running, stdout }
    }

    /// Waits until its stdout takes nothing more, and gives the status that SIGTERM leads to. 2 s
    /// are promised for that; the rest is for a loaded machine.
    fn end(&mut self) -> i32 {
        wait_for("a full pipe", || {
            let mut room = [PollFd::new(self.stdout.1.as_fd(), PollFlags::POLLOUT)];
            poll(&mut room, PollTimeout::ZERO).unwrap() == 0
        });
        let start = Instant::now();
        self.running.signal(Signal::SIGTERM);
        let status = self.running.wait();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(15), "{took:?}");
        status
    }
}

#[test]
fn a_reader_of_stdout_that_stands_still_keeps_nobody_from_ending() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 30_000));
    assert_eq!(Stalled::start(&["read", &ring], Stdio::null()).end(), 0);
    let from = ["play", &ring, "--from", "2026-11-20T00:00:00Z"];
    assert_eq!(Stalled::start(&from, Stdio::null()).end(), 0);
}

#[test]
fn a_reader_of_the_tee_that_stands_still_stops_no_recording() {
    let (_keep, ring) = dir();
    let (input, mut feed) = std::io::pipe().unwrap();
    let args = ["record", &ring, "--tee", "--queue", "1s,1MiB"];
    let mut record = Stalled::start(&args, input.into());
    // Much more than the pipe and the queues hold.
    let bytes = stream(0, 50_000);
    feed.write_all(&bytes).unwrap();
    wait_for("all to be recorded", || {
        fs::read_dir(&ring).is_ok_and(|entries| {
            let sizes = entries
                .flatten()
                .filter(|e| e.path().extension() == Some("ts".as_ref()));
            sizes.map(|e| e.metadata().unwrap().len()).sum::<u64>() == bytes.len() as u64
        })
    });
    assert_eq!(record.end(), 0);
    assert!(tsring(&["read", &ring]).run().stdout == bytes);
}
