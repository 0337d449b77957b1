//! The tool on real sockets, with real senders that die in real ways.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{backup, is_clean, main_channel, stamps, steps};
use crate::harness::{Running, command, in_own_network, wait_for};

/// Plays a file for ever.
pub fn sender(file: &Path, to: &str) -> Running {
    let mut tsrecv = command("tsrecv");
    tsrecv.arg("--loop").arg("-q").arg(file).arg(to);
    Running::spawn(&mut tsrecv)
}

/// A running tsfallback with all that it tells.
pub struct Fallback {
    running: Running,
    folder: tempfile::TempDir,
}

impl Fallback {
    /// Into the file `out.ts` of its folder.
    pub fn start(inputs: &[&str], more: &[&str]) -> Self {
        Self::start_to("out.ts", inputs, more)
    }

    /// Into an endpoint.
    pub fn start_to(output: &str, inputs: &[&str], more: &[&str]) -> Self {
        Self::start_in(&std::env::var("PATH").unwrap(), output, inputs, more)
    }

    /// With other programs in its path.
    pub fn start_in(path: &str, output: &str, inputs: &[&str], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let mut tool = command("tsfallback");
        tool.env("PATH", path);
        for input in inputs {
            tool.args(["-i", input]);
        }
        tool.args(more);
        tool.arg("--control").arg(file("control"));
        tool.arg("--events").arg(file("events"));
        let output = if output.contains("://") {
            output.into()
        } else {
            file(output)
        };
        tool.arg("-o").arg(output);
        tool.stderr(File::create(file("log")).unwrap());
        let running = Running::spawn(&mut tool);
        let control = file("control");
        let started = Self { running, folder };
        wait_for("the control socket", || control.exists());
        started
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.running.0.id()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The answer to a command.
    pub fn ask(&self, line: &str) -> String {
        let mut connection = UnixStream::connect(self.path("control")).unwrap();
        writeln!(connection, "{line}").unwrap();
        let mut answer = String::new();
        BufReader::new(connection).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.ask("status")).unwrap()
    }

    pub fn wait_for_input(&self, number: u64) {
        wait_for("an input to be on air", || {
            self.status()["on_air"] == number
        });
    }

    /// Waits for so many more milliseconds on air of an input.
    pub fn wait_on_air(&self, number: usize, ms: u64) {
        let on_air = || {
            self.status()["inputs"][number - 1]["on_air_ms"]
                .as_u64()
                .unwrap()
        };
        let until = on_air() + ms;
        wait_for("time on air", || on_air() >= until);
    }

    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("events")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// The inputs that went on air, in order.
    pub fn switched(&self) -> Vec<u64> {
        let events = self.events();
        let switched = events.iter().filter(|e| e["event"] == "switched");
        switched.map(|e| e["to_input"].as_u64().unwrap()).collect()
    }

    /// Ends it as an operator does; gives its output.
    pub fn stop(&mut self) -> PathBuf {
        let began = Instant::now();
        self.running.signal(Signal::SIGTERM);
        assert_eq!(self.running.wait(), 0, "{}", self.log());
        assert!(began.elapsed() < Duration::from_secs(8));
        assert!(!self.path("control").exists());
        self.path("out.ts")
    }
}

const ONE: &str = "udp://239.9.0.1:5000";
const TWO: &str = "udp://239.9.0.2:5000";

#[test]
fn a_sender_that_is_killed_is_replaced_and_returned_to() {
    in_own_network(
        "tsfallback::sockets::a_sender_that_is_killed_is_replaced_and_returned_to",
        || {
            let first = sender(&main_channel(), ONE);
            let _second = sender(&backup(), TWO);
            let more = ["--timeout", "300ms", "--delay", "1200ms", "--revert", "2s"];
            let mut fallback = Fallback::start(&[ONE, TWO], &more);
            fallback.wait_for_input(1);
            fallback.wait_on_air(1, 2500);
            drop(first);
            fallback.wait_for_input(2);
            assert!(
                fallback
                    .ask("switch 1")
                    .starts_with("error: input 1 has faults: loss")
            );
            let _again = sender(&main_channel(), ONE);
            fallback.wait_for_input(1);
            assert_eq!(fallback.ask("switch 2"), "ok");
            fallback.wait_for_input(2);
            fallback.wait_on_air(2, 2500);
            assert_eq!(fallback.status()["preferred"], 2);
            let file = fallback.stop();
            assert_eq!(fallback.switched(), [1, 2, 1, 2], "{}", fallback.log());
            is_clean(&file);
            let (longest, shortest) = steps(&stamps(&file, "v"));
            let log = fallback.log();
            assert!(
                longest < 41.0 && shortest > 39.0,
                "{longest} {shortest}\n{log}"
            );
        },
    );
}
