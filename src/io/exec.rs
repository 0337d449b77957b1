//! `exec:`: an external program's stdout as input, its stdin as output.
//!
//! A program that dies is started again, after a pause that doubles from half a second to half a
//! minute; one that lived for a while starts over with the shortest. An input program that ends
//! with status 0 has said that there is no more.
//!
//! A program whose pipe is closed and that lives on is sent SIGTERM after two seconds, and SIGKILL
//! after two more. One that reads our packets may take its time for its end, as an encoder does,
//! until our own end is asked for. Where it lost packets of an input that ended, or failed in the
//! end, that is an error.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::clock::{Clock, SystemClock};
use super::file::{FileSink, FileSource};
use super::{Fault, InputError, OutputError, OutputOptions, Received, Sink, Source};
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
/// What a program is given to end by itself, and then to heed SIGTERM.
const GRACE: Ticks27M = Ticks27M::new(2 * 27_000_000);
/// How often is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(5);

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
    /// It did not run, or closed its stdin: packets for it were dropped.
    Dropped {
        /// How many.
        packets: u64,
    },
}

impl Event for ExecEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Said { .. } => "exec_stderr",
            Self::Died { .. } => "exec_died",
            Self::Dropped { .. } => "exec_dropped",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Said { .. } => Severity::Info,
            Self::Died { .. } | Self::Dropped { .. } => Severity::Error,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Said { line } => field("line", Value::from(line.as_str())),
            Self::Died { how, again_in } => {
                field("status", Value::from(how.as_str()));
                field("restart_in_ms", Value::from(again_in.as_millis()));
            }
            Self::Dropped { packets } => field("lost_packets", Value::from(*packets)),
        }
    }
}

/// Sends the lines of a program's stderr; a progress display ends them by carriage returns.
fn pass_lines(mut stderr: impl BufRead, lines: &SyncSender<String>) {
    let mut line = Vec::with_capacity(LINE_BYTES);
    loop {
        let (used, ended) = match stderr.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => {
                let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
                let part = bytes.iter().take(end.unwrap_or(bytes.len()));
                line.extend(part.take(LINE_BYTES - line.len()));
                (end.map_or(bytes.len(), |end| end + 1), end.is_some())
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        stderr.consume(used);
        if ended {
            pass_line(&mut line, lines);
        }
    }
    pass_line(&mut line, lines);
}

fn pass_line(line: &mut Vec<u8>, lines: &SyncSender<String>) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if !text.is_empty() {
        let _ = lines.try_send(text.to_owned());
    }
    line.clear();
}

/// A program and its restarts.
#[derive(Debug)]
struct Program {
    command: String,
    child: Option<Child>,
    /// Since when it is to end, and what it was sent for that.
    ending: Option<Arrival>,
    sent: Option<Signal>,
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
            ending: None,
            sent: None,
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
            std::thread::spawn(move || pass_lines(BufReader::new(stderr), &sender));
        }
        self.child = Some(child);
        (self.ending, self.sent) = (None, None);
        self.started = SystemClock.now();
        self.again = None;
        ours.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
    }

    /// Looks whether the program has ended, whose pipe is closed already; one that lives on is
    /// made to.
    fn reap(&mut self) -> Reaped {
        let Some(child) = &mut self.child else {
            return Reaped::Ended(None);
        };
        let ended = child.try_wait();
        if !matches!(ended, Ok(None)) {
            self.child = None;
            return Reaped::Ended(ended.ok().flatten());
        }
        let now = SystemClock.now();
        let since = now - *self.ending.get_or_insert(now);
        let signal = match since {
            s if s >= GRACE * 2 => Some(Signal::SIGKILL),
            s if s >= GRACE => Some(Signal::SIGTERM),
            _ => None,
        };
        if let (Some(signal), Ok(group)) = (signal, i32::try_from(child.id()))
            && self.sent != Some(signal)
        {
            self.sent = Some(signal);
            let _ = killpg(Pid::from_raw(group), signal);
        }
        Reaped::Lives
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
        // Without delay: nobody waits for what it would still do.
        self.ending = Some(SystemClock.now() + -GRACE);
        while self.reap() == Reaped::Lives {
            std::thread::sleep(LOOK);
        }
    }
}

/// What [`Program::reap`] saw.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Reaped {
    /// It has not ended yet.
    Lives,
    /// It has, with this status where the system knows one.
    Ended(Option<ExitStatus>),
}

/// Packets out of a program.
pub(super) struct ExecSource {
    name: String,
    program: Program,
    pipe: Option<FileSource>,
    packets: u64,
    /// Bytes of the programs before the one that runs.
    bytes_before: u64,
}

impl ExecSource {
    pub(super) fn open(name: String, command: &str) -> Result<Self, InputError> {
        let mut source = Self {
            name,
            program: Program::new(command),
            pipe: None,
            packets: 0,
            bytes_before: 0,
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
            self.bytes_before = self.bytes();
            self.pipe = None;
        }
        if self.program.child.is_some() {
            return Ok(match self.program.reap() {
                Reaped::Lives => {
                    std::thread::sleep(LOOK.min(patience));
                    Received::Idle
                }
                Reaped::Ended(Some(status)) if !status.success() => {
                    self.program.plan(status.to_string());
                    Received::Idle
                }
                Reaped::Ended(_) => Received::End,
            });
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

    fn bytes(&self) -> u64 {
        self.bytes_before + self.pipe.as_ref().map_or(0, FileSource::bytes)
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
        out.set("in_bytes", self.bytes());
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
    /// Dropped and not said yet.
    unsaid: u64,
    /// How the program ended that ended last.
    ended: Option<String>,
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
            unsaid: 0,
            ended: None,
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

impl ExecSink {
    /// Closes the program's stdin, which is the end of its input, and waits for its own end: it
    /// may write out what it has.
    fn end(&mut self) -> Reaped {
        if self.pipe.take().is_none() {
            return Reaped::Ended(None);
        }
        loop {
            let reaped = self.program.reap();
            if reaped != Reaped::Lives {
                return reaped;
            }
            if !self.options.stop.load(Ordering::Relaxed) {
                // An encoder may have much to do yet: its time runs from a request to stop.
                self.program.ending = None;
            } else if self.options.disposable {
                let at_once = SystemClock.now() + -GRACE * 2;
                self.program.ending = self.program.ending.min(Some(at_once));
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn words(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "its status is unknown".to_owned(), |s| s.to_string())
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
        self.unsaid += batch.len() as u64;
        self.pipe = None;
        if self.program.child.is_some()
            && let Reaped::Ended(status) = self.program.reap()
        {
            let how = words(status);
            self.ended = Some(how.clone());
            self.program.plan(how);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        let lost = self.dropped;
        let how = match (self.end(), lost) {
            (Reaped::Ended(Some(status)), _) if !status.success() => Some(status.to_string()),
            (_, 0) => None,
            _ => self
                .ended
                .take()
                .or_else(|| Some("it closed its stdin".into())),
        };
        match how {
            // Who asked for the end has cut the stream off.
            Some(how) if !self.options.stop.load(Ordering::Relaxed) => {
                Err(OutputError::new(&self.name, Fault::Program { how, lost }))
            }
            _ => Ok(()),
        }
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
        let packets = std::mem::take(&mut self.unsaid);
        if packets > 0 {
            sink(&ExecEvent::Dropped { packets });
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
        self.end();
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

    #[test]
    fn a_program_that_lives_on_without_its_pipe_is_ended() {
        let command = "trap '' TERM; exec >&-; while :; do sleep 1; done";
        let mut source = ExecSource::open("exec:x".into(), command).unwrap();
        let mut batch = Batch::with_capacity(64);
        let started = SystemClock.now();
        while source.program.restarts == 0 {
            let patience = Duration::from_millis(100);
            source.receive(&mut batch, patience).unwrap();
            assert!(SystemClock.now() - started < Ticks27M::SECOND * 30);
        }
        assert!(SystemClock.now() - started >= GRACE * 2);
    }

    #[test]
    fn a_program_that_never_ends_its_reading_is_ended_once_that_is_asked_for() {
        let options = OutputOptions::default();
        let sink = ExecSink::open("exec:x".into(), "exec sleep 1000", &options).unwrap();
        options.stop.store(true, Ordering::Relaxed);
        let started = SystemClock.now();
        drop(sink);
        assert!(SystemClock.now() - started < Ticks27M::SECOND * 30);
    }

    #[test]
    fn a_program_of_which_nothing_is_kept_is_killed_once_the_end_is_asked_for() {
        let options = OutputOptions {
            disposable: true,
            ..OutputOptions::default()
        };
        let command = "trap '' TERM; exec <&-; while :; do sleep 1; done";
        let sink = ExecSink::open("exec:x".into(), command, &options).unwrap();
        options.stop.store(true, Ordering::Relaxed);
        let started = SystemClock.now();
        drop(sink);
        assert!(SystemClock.now() - started < GRACE);
    }

    #[test]
    fn packets_for_a_program_that_died_are_dropped_and_said() {
        let options = OutputOptions::default();
        let mut sink = ExecSink::open("exec:x".into(), "exit 3", &options).unwrap();
        let mut batch = Batch::with_capacity(64);
        batch.push(&crate::ts::Packet::NULL, Arrival::default());
        let mut seen = std::collections::BTreeSet::new();
        let started = SystemClock.now();
        while !seen.contains("exec_died") || !seen.contains("exec_dropped") {
            sink.send(&batch).unwrap();
            sink.drain_events(&mut |e| {
                seen.insert(e.name());
            });
            assert!(SystemClock.now() - started < Ticks27M::SECOND * 30);
        }
        assert!(sink.dropped > 0);
    }

    #[test]
    fn lines_end_with_either_sign_and_are_bounded() {
        let (sender, receiver) = sync_channel(LINES);
        let long = "x".repeat(100_000);
        let said = format!("frame=1\rframe=2\r\n{long}\nlast");
        pass_lines(BufReader::with_capacity(7, said.as_bytes()), &sender);
        drop(sender);
        let lines: Vec<String> = receiver.iter().collect();
        assert_eq!(lines, ["frame=1", "frame=2", &long[..LINE_BYTES], "last"]);
    }
}
