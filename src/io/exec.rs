//! `exec:`: an external program's stdout as input, its stdin as output.
//!
//! A program that dies is started again, after a pause that doubles from half a second to half a
//! minute; one that lived for a while starts over with the shortest. An input program that ends
//! with status 0 has said that there is no more.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::clock::{Clock, SystemClock};
use super::file::{FileSink, FileSource};
use super::{InputError, OutputError, OutputOptions, Received, Sink, Source};
use crate::stream::event::{Event, Severity, Value};
use crate::stream::{Batch, Counters, Framing, Pending};
use crate::units::{Arrival, Ticks27M};

/// The first pause before a program is started again, and the longest.
const PAUSES: (Ticks27M, Ticks27M) = (
    Ticks27M::new(27_000_000 / 2),
    Ticks27M::new(30 * 27_000_000),
);
/// A program that lived so long starts over with the first pause.
const LIVED: Ticks27M = Ticks27M::new(10 * 27_000_000);
/// Lines of a program's stderr that wait for the log; what is over is dropped.
const LINES: usize = 64;
/// Bytes of a line that are shown.
const LINE_BYTES: usize = 500;

/// What a program does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecEvent {
    /// A line that it wrote to stderr.
    Said {
        /// The line.
        line: String,
    },
    /// It died, and is started again after a pause.
    Died {
        /// How, in the system's words.
        how: String,
        /// The pause.
        again_in: Ticks27M,
    },
}

impl Event for ExecEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Said { .. } => "exec_stderr",
            Self::Died { .. } => "exec_died",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Said { .. } => Severity::Info,
            Self::Died { .. } => Severity::Error,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Said { line } => field("line", Value::from(line.as_str())),
            Self::Died { how, again_in } => {
                field("status", Value::from(how.as_str()));
                field("restart_in_ms", Value::from(again_in.as_millis()));
            }
        }
    }
}

/// A program and its restarts.
#[derive(Debug)]
struct Program {
    command: String,
    child: Option<Child>,
    stderr: Option<Receiver<String>>,
    started: Arrival,
    pause: Ticks27M,
    /// When it is to be started again.
    again: Option<Arrival>,
    restarts: u64,
    events: Pending<ExecEvent>,
}

impl Program {
    fn new(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            child: None,
            stderr: None,
            started: Arrival::default(),
            pause: PAUSES.0,
            again: None,
            restarts: 0,
            events: Pending::new(),
        }
    }

    /// Starts it; `input` says which of its ends is ours. Returns that end.
    fn start(&mut self, input: bool) -> std::io::Result<OwnedFd> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.command).stderr(Stdio::piped());
        // A group of its own: it is ended as a whole, and a ^C on the terminal is for us to pass on.
        command.process_group(0);
        if input {
            command.stdin(Stdio::null()).stdout(Stdio::piped());
        } else {
            command.stdin(Stdio::piped()).stdout(Stdio::null());
        }
        let mut child = command.spawn()?;
        let ours: Option<OwnedFd> = if input {
            child.stdout.take().map(OwnedFd::from)
        } else {
            child.stdin.take().map(OwnedFd::from)
        };
        if let Some(stderr) = child.stderr.take() {
            let (sender, receiver) = sync_channel(LINES);
            self.stderr = Some(receiver);
            // Ends with the program, whose stderr it drains so that it never blocks.
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES)]);
                    let _ = sender.try_send(line.trim_end().to_owned());
                }
            });
        }
        self.child = Some(child);
        self.started = SystemClock.now();
        self.again = None;
        ours.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
    }

    /// Waits for the end of the program, whose pipe is closed already.
    fn reap(&mut self) -> Option<ExitStatus> {
        self.child.take()?.wait().ok()
    }

    /// Plans the restart of a program that ended.
    fn plan(&mut self, how: String) {
        let now = SystemClock.now();
        if now - self.started > LIVED {
            self.pause = PAUSES.0;
        }
        self.events.push(ExecEvent::Died {
            how,
            again_in: self.pause,
        });
        self.again = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
        self.restarts += 1;
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
        for line in self.stderr.iter().flat_map(Receiver::try_iter) {
            sink(&ExecEvent::Said { line });
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Ok(group) = i32::try_from(child.id()) {
                let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
            }
            let _ = child.wait();
        }
    }
}

/// Packets out of a program.
pub(super) struct ExecSource {
    name: String,
    program: Program,
    pipe: Option<FileSource>,
    packets: u64,
}

impl ExecSource {
    pub(super) fn open(name: String, command: &str) -> Result<Self, InputError> {
        let mut source = Self {
            name,
            program: Program::new(command),
            pipe: None,
            packets: 0,
        };
        source.start()?;
        Ok(source)
    }

    fn start(&mut self) -> Result<(), InputError> {
        let end = self
            .program
            .start(true)
            .map_err(InputError::system(&self.name, "start"))?;
        self.pipe = Some(FileSource::of(self.name.clone(), File::from(end))?);
        Ok(())
    }
}

impl Source for ExecSource {
    fn receive(&mut self, batch: &mut Batch, patience: Duration) -> Result<Received, InputError> {
        if let Some(pipe) = &mut self.pipe {
            let before = batch.len();
            let received = pipe.receive(batch, patience)?;
            self.packets += (batch.len() - before) as u64;
            if received != Received::End {
                return Ok(received);
            }
            self.pipe = None;
            return match self.program.reap() {
                Some(status) if status.success() => Ok(Received::End),
                Some(status) => {
                    self.program.plan(status.to_string());
                    Ok(Received::Idle)
                }
                None => Ok(Received::End),
            };
        }
        let Some(again) = self.program.again else {
            return Ok(Received::End);
        };
        let now = SystemClock.now();
        if again > now {
            SystemClock.sleep_until(again.min(now + Ticks27M::from(patience)));
        } else {
            self.start()?;
        }
        Ok(Received::Idle)
    }

    fn framing(&self) -> Option<Framing> {
        self.pipe.as_ref().and_then(FileSource::framing)
    }

    fn is_live(&self) -> bool {
        false
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.program.drain_events(sink);
        if let Some(pipe) = &mut self.pipe {
            pipe.drain_events(sink);
        }
    }

    fn counters(&self, out: &mut dyn Counters) {
        if let Some(pipe) = &self.pipe {
            pipe.counters(out);
        }
        out.set("in_packets", self.packets);
        out.set("exec_restarts_total", self.program.restarts);
    }
}

/// Packets into a program.
pub(super) struct ExecSink {
    name: String,
    program: Program,
    options: OutputOptions,
    pipe: Option<FileSink>,
    packets: u64,
    dropped: u64,
}

impl ExecSink {
    pub(super) fn open(
        name: String,
        command: &str,
        options: &OutputOptions,
    ) -> Result<Self, OutputError> {
        let mut sink = Self {
            name,
            program: Program::new(command),
            options: options.clone(),
            pipe: None,
            packets: 0,
            dropped: 0,
        };
        sink.start()?;
        Ok(sink)
    }

    fn start(&mut self) -> Result<(), OutputError> {
        let end = self
            .program
            .start(false)
            .map_err(OutputError::system(&self.name, "start"))?;
        let sink = FileSink::of(self.name.clone(), File::from(end), &self.options);
        self.pipe = Some(sink);
        Ok(())
    }
}

impl Sink for ExecSink {
    fn send(&mut self, batch: &Batch) -> Result<(), OutputError> {
        if self
            .program
            .again
            .is_some_and(|again| again <= SystemClock.now())
        {
            self.start()?;
        }
        if let Some(pipe) = &mut self.pipe {
            let (packets, left) = pipe.fates();
            let sent = pipe.send(batch);
            if sent.is_ok() {
                let (packets_now, left_now) = pipe.fates();
                self.packets += packets_now - packets;
                self.dropped += left_now - left;
                return Ok(());
            }
        }
        self.dropped += batch.len() as u64;
        if self.pipe.take().is_some() {
            let how = self.program.reap().map(|s| s.to_string());
            self.program.plan(how.unwrap_or_default());
        }
        Ok(())
    }

    fn set_framing(&mut self, framing: Framing) {
        self.options.framing = framing;
        if let Some(pipe) = &mut self.pipe {
            pipe.set_framing(framing);
        }
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.program.drain_events(sink);
        if let Some(pipe) = &mut self.pipe {
            pipe.drain_events(sink);
        }
    }

    fn counters(&self, out: &mut dyn Counters) {
        out.set("out_packets", self.packets);
        out.set(
            "out_bytes",
            self.packets * self.options.framing.size() as u64,
        );
        out.set("out_dropped_packets", self.dropped);
        out.set("exec_restarts_total", self.program.restarts);
    }
}

impl Drop for ExecSink {
    fn drop(&mut self) {
        // Closing its stdin is the end of its input: it may write out what it has.
        if self.pipe.take().is_some() {
            let _ = self.program.reap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &mut impl Source) -> Vec<String> {
        let mut names = Vec::new();
        source.drain_events(&mut |e| names.push(e.name().to_owned()));
        names
    }

    #[test]
    fn a_program_that_ends_well_is_the_end_and_its_stderr_is_in_the_log() {
        let command = "echo hello >&2; head -c 3760 /dev/zero | tr '\\0' 'G'";
        let mut source = ExecSource::open("exec:x".into(), command).unwrap();
        let mut batch = Batch::with_capacity(64);
        let mut seen = Vec::new();
        while source.receive(&mut batch, Duration::from_secs(5)).unwrap() != Received::End {}
        for _ in 0..200 {
            seen.extend(names(&mut source));
            if seen.iter().any(|n| n == "exec_stderr") {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(batch.len(), 20);
        assert!(seen.contains(&"exec_stderr".to_owned()), "{seen:?}");
    }

    #[test]
    fn a_program_that_dies_is_started_again() {
        let mut source = ExecSource::open("exec:x".into(), "exit 3").unwrap();
        let mut batch = Batch::with_capacity(64);
        let started = SystemClock.now();
        while source.program.restarts < 2 {
            source
                .receive(&mut batch, Duration::from_millis(100))
                .unwrap();
            assert!(SystemClock.now() - started < Ticks27M::SECOND * 20);
        }
        let seen = names(&mut source);
        assert_eq!(seen.iter().filter(|n| *n == "exec_died").count(), 2);
        assert_eq!(source.program.pause, PAUSES.0 * 4);
    }
}
