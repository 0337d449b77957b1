//! stdin to stdout byte for byte, and a look at the bytes on their way.
//!
//! A thread of its own reads and writes; what it has written it leaves in a buffer of
//! [`PASS_BYTES`], from where they are taken as packets. The stream never waits for that: what
//! finds no room is not looked at, counted and said.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::clock::{Clock, SystemClock};
use super::error::Fault;
use super::file::{readable, writable};
use super::silence::Silence;
use super::{InputError, Received, Source};
use crate::stream::event::{Event, Severity, Value};
use crate::stream::{Batch, Counters, Framer, Framing, Pending};
use crate::units::Arrival;

/// Bytes that wait to be looked at, at most: 3 s of 40 Mb/s.
const PASS_BYTES: usize = 16 << 20;
/// Bytes read at once: what a pipe holds.
const READ_BYTES: usize = 1 << 16;
/// Bytes that are worth waking up for at once; fewer are looked at after [`LINGER`].
const WORTH_WAKING: usize = 1 << 18;
/// How long bytes may wait to be looked at.
const LINGER: Duration = Duration::from_millis(20);
/// Marks that wait at most; later reads then count as one.
const MAX_MARKS: usize = 1 << 16;
/// How often a request to stop is looked for while nothing comes.
const LOOK: Duration = Duration::from_millis(100);
/// What a reader that stands still is given once the end was asked for.
const DRAIN: Duration = Duration::from_secs(2);

/// Bytes that passed were not looked at.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub bytes: u64,
}

impl Event for Skipped {
    fn name(&self) -> &'static str {
        "measuring_skipped"
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        field("skipped_bytes", self.bytes.into());
    }
}

/// What is known about the bytes from a place on.
#[derive(Copy, Clone, Debug)]
enum Stretch {
    Came(Arrival),
    /// So many are missing before it.
    Skipped(u64),
}

/// Bytes that passed, with marks by their place among them.
#[derive(Debug, Default)]
struct Looked {
    bytes: Vec<u8>,
    marks: Vec<(usize, Stretch)>,
}

impl Looked {
    /// Appends what came at `at`, as far as there is room for it as a whole.
    fn put(&mut self, bytes: &[u8], at: Arrival, capacity: usize) {
        let place = self.bytes.len();
        if place + bytes.len() > capacity {
            match self.marks.last_mut() {
                Some((p, Stretch::Skipped(n))) if *p == place => *n += bytes.len() as u64,
                _ => self
                    .marks
                    .push((place, Stretch::Skipped(bytes.len() as u64))),
            }
            return;
        }
        if self.marks.len() < MAX_MARKS {
            self.marks.push((place, Stretch::Came(at)));
        }
        self.bytes.extend_from_slice(bytes);
    }
}

#[derive(Debug, Default)]
struct Shared {
    looked: Looked,
    /// The thread has ended; why, when it failed.
    ended: Option<Result<(), InputError>>,
}

#[derive(Debug, Default)]
struct Exchange {
    shared: Mutex<Shared>,
    news: Condvar,
}

impl Exchange {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// stdin as an input whose bytes go on to stdout, looked at or not.
#[derive(Debug)]
pub struct PassSource {
    exchange: Arc<Exchange>,
    thread: Option<JoinHandle<()>>,
    /// Nobody looks any more.
    left: Arc<AtomicBool>,
    framer: Framer,
    /// What was taken over and is not in a batch yet, from `place` and `mark` on.
    staged: Looked,
    place: usize,
    mark: usize,
    arrival: Arrival,
    ended: bool,
    silence: Silence,
    events: Pending<Skipped>,
    skipped: u64,
    bytes: u64,
    packets: u64,
}

impl PassSource {
    /// Begins to pass stdin on to stdout; `stop` ends it.
    ///
    /// # Errors
    /// When one of them is a terminal or cannot be used.
    pub fn start(stop: Arc<AtomicBool>) -> Result<Self, InputError> {
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        for (name, terminal) in [
            ("stdin", stdin.is_terminal()),
            ("stdout", stdout.is_terminal()),
        ] {
            if terminal {
                return Err(InputError::new(name, Fault::Terminal));
            }
        }
        let input = stdin.as_fd().try_clone_to_owned();
        let input = input.map_err(InputError::system("stdin", "open"))?;
        let output = stdout.as_fd().try_clone_to_owned();
        let output = output.map_err(InputError::system("stdout", "open"))?;
        Self::of(input.into(), output.into(), stop, PASS_BYTES)
    }

    fn of(
        input: File,
        output: File,
        stop: Arc<AtomicBool>,
        capacity: usize,
    ) -> Result<Self, InputError> {
        let exchange = Arc::new(Exchange::default());
        let left = Arc::new(AtomicBool::new(false));
        let passing = Passing {
            input,
            output,
            exchange: Arc::clone(&exchange),
            stop,
            left: Arc::clone(&left),
            capacity,
        };
        let thread = std::thread::Builder::new()
            .name("pass".to_owned())
            .spawn(move || passing.run())
            .map_err(InputError::system("stdin", "pass on"))?;
        let now = SystemClock.now();
        Ok(Self {
            exchange,
            thread: Some(thread),
            left,
            framer: Framer::new(),
            staged: Looked::default(),
            place: 0,
            mark: 0,
            arrival: now,
            ended: false,
            silence: Silence::new("stdin".to_owned(), None, now),
            events: Pending::new(),
            skipped: 0,
            bytes: 0,
            packets: 0,
        })
    }

    /// Takes over what passed meanwhile, waiting at most `patience` for some.
    fn take_over(&mut self, patience: Duration) -> Result<(), InputError> {
        let until = Instant::now() + patience;
        let linger = Instant::now() + LINGER.min(patience);
        let mut shared = self.exchange.lock();
        while shared.ended.is_none() && shared.looked.bytes.len() < WORTH_WAKING {
            let end = match shared.looked.marks.is_empty() {
                true => until,
                false => linger,
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Few bytes wake nobody up.
            let wait = self.exchange.news.wait_timeout(shared, left.min(LINGER));
            shared = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.staged.bytes.clear();
        self.staged.marks.clear();
        (self.place, self.mark) = (0, 0);
        std::mem::swap(&mut self.staged, &mut shared.looked);
        match shared.ended.take() {
            Some(Ok(())) => self.ended = true,
            Some(Err(e)) if self.staged.marks.is_empty() => return Err(e),
            // What came before is looked at first.
            other => shared.ended = other,
        }
        Ok(())
    }

    /// Puts packets into the batch; false when it is full, or ends before bytes that are missing.
    fn fill(&mut self, batch: &mut Batch) -> bool {
        loop {
            while let Some((place, mark)) = self.staged.marks.get(self.mark).copied() {
                if place > self.place {
                    break;
                }
                match mark {
                    Stretch::Came(at) => self.arrival = at,
                    Stretch::Skipped(_) if !batch.is_empty() => return false,
                    Stretch::Skipped(bytes) => {
                        self.framer.forget(bytes);
                        self.skipped += bytes;
                        self.events.push(Skipped { bytes });
                    }
                }
                self.mark += 1;
            }
            let next = self.staged.marks.get(self.mark);
            let end = next.map_or(self.staged.bytes.len(), |(place, _)| *place);
            let piece = &self.staged.bytes[self.place..end];
            let taken = self.framer.push(piece, self.arrival, batch);
            self.bytes += taken as u64;
            self.place += taken;
            if self.place < end {
                return false;
            }
            if self.mark == self.staged.marks.len() {
                return true;
            }
        }
    }
}

impl Source for PassSource {
    fn receive(&mut self, batch: &mut Batch, patience: Duration) -> Result<Received, InputError> {
        let (before, bytes) = (batch.len(), self.bytes());
        if batch.room() == 0 {
            return Ok(Received::Packets);
        }
        if self.fill(batch) && !self.ended && batch.len() == before {
            self.take_over(patience)?;
            self.fill(batch);
        }
        let all = self.place == self.staged.bytes.len() && self.mark == self.staged.marks.len();
        if self.ended && all {
            self.framer.finish(self.arrival, batch);
        }
        let came = batch.len() - before;
        self.packets += came as u64;
        let now = SystemClock.now();
        if self.bytes() > bytes {
            self.silence.over(now);
        }
        if came > 0 {
            Ok(Received::Packets)
        } else if self.ended && all {
            Ok(Received::End)
        } else {
            self.silence.goes_on(now)?;
            Ok(Received::Idle)
        }
    }

    fn framing(&self) -> Option<Framing> {
        self.framer.framing()
    }

    fn is_live(&self) -> bool {
        false
    }

    fn bytes(&self) -> u64 {
        self.bytes + self.skipped
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
        self.framer.drain_events(sink);
        self.silence.drain_events(sink);
    }

    fn counters(&self, out: &mut dyn Counters) {
        out.set("in_bytes", self.bytes());
        out.set("in_packets", self.packets);
        out.set("skipped_bytes", self.skipped);
        self.framer.counters(out);
    }
}

impl Drop for PassSource {
    /// Ends the passing; a reader that stands still is left behind after 2 s.
    fn drop(&mut self) {
        self.left.store(true, Ordering::Relaxed);
        let end = Instant::now() + DRAIN;
        while let Some(thread) = &self.thread {
            if thread.is_finished() {
                let _ = self.thread.take().map(JoinHandle::join);
            } else if Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            } else {
                return;
            }
        }
    }
}

/// The thread that passes.
struct Passing {
    input: File,
    output: File,
    exchange: Arc<Exchange>,
    stop: Arc<AtomicBool>,
    left: Arc<AtomicBool>,
    capacity: usize,
}

impl Passing {
    fn run(mut self) {
        let ended = self.pass();
        let ended = match ended {
            // A reader that goes away is a normal end.
            Err(e) if is_broken_pipe(&e) => Ok(()),
            ended => ended,
        };
        self.exchange.lock().ended = Some(ended);
        self.exchange.news.notify_one();
    }

    fn pass(&mut self) -> Result<(), InputError> {
        let mut bytes = vec![0; READ_BYTES];
        let over = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        while !over(&self.stop) && !over(&self.left) {
            let waited = readable(&self.input, LOOK);
            if !waited.map_err(InputError::system("stdin", "wait for"))? {
                continue;
            }
            let came = match self.input.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(n) => &bytes[..n],
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {
                    continue;
                }
                Err(e) => return Err(InputError::new("stdin", Fault::System("read", e))),
            };
            let at = SystemClock.now();
            write_all(&mut self.output, came)?;
            let mut shared = self.exchange.lock();
            shared.looked.put(came, at, self.capacity);
            if shared.looked.bytes.len() >= WORTH_WAKING {
                self.exchange.news.notify_one();
            }
        }
        Ok(())
    }
}

fn write_all(output: &mut File, bytes: &[u8]) -> Result<(), InputError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match output.write(rest) {
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // Somebody else, who shares the pipe, made it so.
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                writable(output, "stdout")?;
            }
            Err(e) => return Err(InputError::new("stdout", Fault::System("write to", e))),
        }
    }
    Ok(())
}

fn is_broken_pipe(e: &InputError) -> bool {
    matches!(e.fault(), Fault::System(_, e) if e.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::Packet;

    fn pipe() -> (File, File) {
        let (read, write) = nix::unistd::pipe().unwrap();
        (read.into(), write.into())
    }

    #[test]
    fn every_byte_passes_before_anybody_looks_and_what_found_no_room_is_said() {
        let (input, mut feed) = pipe();
        let (mut drain, output) = pipe();
        let stop = Arc::new(AtomicBool::new(false));
        // Room for 60 packets.
        let mut source = PassSource::of(input, output, stop, 60 * 188).unwrap();
        let mut stream = b"junk".to_vec();
        stream.extend_from_slice(Packet::bytes_of(&[Packet::NULL; 100]));
        let mut passed = vec![0; stream.len()];
        // Each piece is out before the next goes in, and nobody has looked yet.
        for (piece, out) in stream.chunks(1316).zip(passed.chunks_mut(1316)) {
            feed.write_all(piece).unwrap();
            drain.read_exact(out).unwrap();
        }
        assert_eq!(passed, stream);
        let mut batch = Batch::with_capacity(1000);
        while source.receive(&mut batch, Duration::from_secs(60)).unwrap() != Received::Packets {}
        // Eight pieces of 1316 bytes: four bytes are junk, the last packet is cut.
        assert_eq!(batch.len(), 8 * 7 - 1);
        source.drain_events(&mut |_| {});
        batch.clear();
        // With room again the rest is looked at.
        feed.write_all(Packet::bytes_of(&[Packet::NULL; 10]))
            .unwrap();
        drop(feed);
        let mut skipped = Vec::new();
        while source.receive(&mut batch, Duration::from_secs(60)).unwrap() != Received::End {
            source.drain_events(&mut |e| skipped.push(e.name()));
        }
        // The last piece of the stream, four bytes and two packets, was small enough.
        assert_eq!(batch.len(), 2 + 10);
        assert_eq!(skipped, ["measuring_skipped", "packets_found"]);
        assert_eq!(source.bytes(), (stream.len() + 10 * 188) as u64);
    }
}
