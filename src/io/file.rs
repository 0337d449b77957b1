//! Files, FIFOs, character devices, stdin and stdout.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::clock::{Clock, SystemClock};
use super::error::Fault;
use super::silence::Silence;
use super::writer::PacketWriter;
use super::{InputError, OutputError, OutputOptions, Received, Sink, Source};
use crate::stream::event::{Event, Severity, Value};
use crate::stream::{Batch, Counters, Framer, Framing};
use crate::units::Arrival;

/// Bytes read at once where they cannot be read in place.
const READ_BYTES: usize = 256 * 1024;
/// What a pipe is asked to hold, so that two processes change places less often.
const PIPE_BYTES: i32 = 1024 * 1024;
/// How often a FIFO is looked at that nobody reads yet.
const FIFO_RETRY: Duration = Duration::from_millis(50);
/// How often a request to stop is looked for while the reader of a pipe takes nothing.
const STOP_LOOK: Duration = Duration::from_millis(100);
/// What the reader of a pipe is given, all in all, once the end was asked for: with the looks
/// before and after it, and what a tool needs to end, less than the 2 s that are promised.
const DRAIN: Duration = Duration::from_millis(1700);

/// Packets read from a file descriptor.
#[derive(Debug)]
pub(super) struct FileSource {
    name: String,
    file: File,
    kind: Kind,
    framer: Framer,
    /// Memory for what is read in a framing that has more than packets; made when it is needed,
    /// and written over.
    staging: Vec<u8>,
    /// Where in `staging` the bytes stand that the framer has not taken yet.
    staged: Range<usize>,
    ended: bool,
    /// When a regular file was opened; its packets have no arrivals of their own.
    opened: Arrival,
    silence: Silence,
    bytes: u64,
    packets: u64,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A regular file: never waited for.
    Regular,
    /// A pipe or FIFO: what is not read waits in its writer.
    Pipe,
    /// A character device: what is not read in time is lost.
    Device,
}

impl Kind {
    fn of(file: &File) -> std::io::Result<Self> {
        let kind = file.metadata()?.file_type();
        Ok(if kind.is_file() || kind.is_block_device() {
            Self::Regular
        } else if kind.is_char_device() {
            Self::Device
        } else if kind.is_dir() {
            return Err(std::io::Error::from_raw_os_error(libc::EISDIR));
        } else {
            Self::Pipe
        })
    }
}

impl FileSource {
    /// Opens a file by its path. A FIFO that nobody writes to is opened all the same, and waited
    /// for in [`Source::receive`].
    pub(super) fn open(path: &Path) -> Result<Self, InputError> {
        let name = path.display().to_string();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(InputError::system(&name, "open"))?;
        Self::of(name, file)
    }

    /// stdin, which must not be a terminal.
    pub(super) fn stdin() -> Result<Self, InputError> {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Err(InputError::new("stdin", Fault::Terminal));
        }
        let owned = stdin
            .as_fd()
            .try_clone_to_owned()
            .map_err(InputError::system("stdin", "open"))?;
        Self::of("stdin".to_owned(), owned.into())
    }

    /// Anything that can be read.
    pub(super) fn of(name: String, file: File) -> Result<Self, InputError> {
        let kind = Kind::of(&file).map_err(InputError::system(&name, "read"))?;
        let opened = SystemClock.now();
        if kind == Kind::Pipe {
            // Refused where the user has many pipes; then it is a smaller one.
            let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        }
        Ok(Self {
            silence: Silence::new(name.clone(), None, opened),
            name,
            file,
            kind,
            framer: Framer::new(),
            staging: Vec::new(),
            staged: 0..0,
            ended: false,
            opened,
            bytes: 0,
            packets: 0,
        })
    }

    /// Has the arrival headers of a regular file come out as they are in it: a copy is the same
    /// each time. Of anything else arrivals count from now.
    pub(super) fn keep_headers(mut self, keep: bool) -> Self {
        if keep && self.kind == Kind::Regular {
            self.framer.keep_headers();
        }
        self
    }

    /// Waits until there is something to read.
    fn wait(&mut self, patience: Duration) -> Result<bool, InputError> {
        if self.kind == Kind::Regular {
            return Ok(true);
        }
        let patience = self.silence.patience(patience, SystemClock.now());
        let ready =
            readable(&self.file, patience).map_err(InputError::system(&self.name, "wait for"))?;
        if !ready {
            self.silence.goes_on(SystemClock.now())?;
        }
        Ok(ready)
    }

    /// Reads once, straight into the batch where its packets stand alone. `None` at the end.
    fn read(&mut self, batch: &mut Batch) -> Result<Option<()>, InputError> {
        let at = match self.kind {
            Kind::Regular => self.opened,
            Kind::Pipe | Kind::Device => SystemClock.now(),
        };
        let kept = self.framer.offer(batch);
        if kept.is_none() && self.staging.is_empty() {
            self.staging.resize(READ_BYTES, 0);
        }
        let target = match kept {
            Some(kept) => batch.spare_mut().get_mut(kept..).unwrap_or_default(),
            None => &mut self.staging[..],
        };
        let read = loop {
            match self.file.read(target) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break None,
                other => break Some(other),
            }
        };
        let filled = match &read {
            Some(Ok(n)) => *n,
            _ => 0,
        };
        self.bytes += filled as u64;
        if filled > 0 {
            self.silence.over(SystemClock.now());
        }
        match kept {
            Some(kept) => {
                self.staging = Vec::new();
                self.framer.adopt(kept + filled, at, batch);
            }
            None => {
                self.staged = 0..filled;
                self.push_staged(at, batch);
            }
        }
        match read {
            Some(Err(e)) => Err(InputError::new(&self.name, Fault::System("read", e))),
            Some(Ok(0)) => Ok(None),
            _ => Ok(Some(())),
        }
    }

    /// Gives the framer what was read before; true when it has taken all.
    fn push_staged(&mut self, at: Arrival, batch: &mut Batch) -> bool {
        let rest = self.staging.get(self.staged.clone()).unwrap_or_default();
        self.staged.start += self.framer.push(rest, at, batch);
        self.staged.is_empty()
    }
}

impl Source for FileSource {
    fn receive(&mut self, batch: &mut Batch, patience: Duration) -> Result<Received, InputError> {
        let before = batch.len();
        if batch.room() == 0 {
            return Ok(Received::Packets);
        }
        let now = SystemClock.now();
        let at = if self.kind == Kind::Regular {
            self.opened
        } else {
            now
        };
        let more = self.push_staged(at, batch) && !self.ended && batch.room() > 0;
        if more && (batch.len() > before || self.wait(patience)?) {
            self.ended = self.read(batch)?.is_none();
        }
        if self.ended && self.staged.is_empty() {
            self.framer.finish(at, batch);
        }
        let came = batch.len() - before;
        self.packets += came as u64;
        if came > 0 {
            Ok(Received::Packets)
        } else if self.ended && self.staged.is_empty() {
            Ok(Received::End)
        } else {
            Ok(Received::Idle)
        }
    }

    fn framing(&self) -> Option<Framing> {
        self.framer.framing()
    }

    fn is_live(&self) -> bool {
        self.kind == Kind::Device
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn length(&self) -> Option<u64> {
        let length = self.file.metadata().ok()?.len();
        (self.kind == Kind::Regular).then_some(length)
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.framer.drain_events(sink);
        self.silence.drain_events(sink);
    }

    fn counters(&self, out: &mut dyn Counters) {
        out.set("in_bytes", self.bytes);
        out.set("in_packets", self.packets);
        self.framer.counters(out);
    }
}

/// Waits until `file` can be read, or is at its end; false when nothing came in time.
pub(super) fn readable(file: &impl AsFd, patience: Duration) -> std::io::Result<bool> {
    ready(file, PollFlags::POLLIN, patience)
}

fn ready(file: &impl AsFd, wanted: PollFlags, patience: Duration) -> std::io::Result<bool> {
    // Rounded up: a wait of half a millisecond must not become a busy loop.
    let ms = patience.as_nanos().div_ceil(1_000_000).min(60_000);
    let timeout = PollTimeout::try_from(ms as i32).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(file.as_fd(), wanted)];
    match poll(&mut fds, timeout) {
        Ok(n) => Ok(n > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Waits for room, until it is time to look for a request to stop.
pub(super) fn writable(file: &File, name: &str) -> Result<bool, OutputError> {
    ready(file, PollFlags::POLLOUT, STOP_LOOK).map_err(OutputError::system(name, "write to"))
}

/// What a writer observes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OutputEvent {
    /// The end was asked for, and the reader has not taken these in the time it was given.
    GivenUp {
        /// How many, a packet cut short included.
        packets: u64,
    },
    /// The end was asked for, and the time of these had not come.
    Unplayed {
        /// How many.
        packets: u64,
    },
}

impl Event for OutputEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::GivenUp { .. } => "output_given_up",
            Self::Unplayed { .. } => "output_unplayed",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::GivenUp { .. } => Severity::Error,
            Self::Unplayed { .. } => Severity::Warning,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::GivenUp { packets } => field("left_packets", Value::from(*packets)),
            Self::Unplayed { packets } => field("unplayed_packets", Value::from(*packets)),
        }
    }
}

/// How a descriptor is written to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Way {
    /// A regular file or a device: never waited for.
    Straight,
    /// A pipe through a description of our own that does not block.
    NonBlocking,
    /// A pipe or socket whose description is not ours alone and may block: written to when there
    /// is room, and no more than fits then.
    Watched,
}

/// Opens a pipe a second time, so that O_NONBLOCK concerns nobody who shares the first.
fn own_description(file: &File) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Packets written to a file descriptor.
#[derive(Debug)]
pub(super) struct FileSink {
    name: String,
    file: File,
    way: Way,
    writer: PacketWriter,
    patience: Patience,
    packets: u64,
    bytes: u64,
    /// Packets given up, and how many of them were said.
    left: u64,
    left_said: u64,
}

/// How long the reader of a pipe is waited for.
#[derive(Debug)]
struct Patience {
    stop: Arc<AtomicBool>,
    /// When the request to stop was seen.
    asked: Option<Instant>,
}

impl Patience {
    fn is_over(&mut self) -> bool {
        self.stop.load(Ordering::Relaxed)
            && self.asked.get_or_insert_with(Instant::now).elapsed() >= DRAIN
    }
}

impl FileSink {
    /// Opens a file by its path: created or emptied. The reader of a FIFO is waited for until
    /// `options.stop` is set.
    pub(super) fn open(path: &Path, options: &OutputOptions) -> Result<Self, OutputError> {
        let name = path.display().to_string();
        let fail = OutputError::system(&name, "open");
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(true);
        let fifo = std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo());
        let opened = if fifo {
            how.custom_flags(OFlag::O_NONBLOCK.bits());
            loop {
                match how.open(path) {
                    Err(e)
                        if e.raw_os_error() == Some(libc::ENXIO)
                            && !options.stop.load(Ordering::Relaxed) =>
                    {
                        std::thread::sleep(FIFO_RETRY);
                    }
                    other => break other,
                }
            }
        } else {
            how.open(path)
        };
        Ok(Self::of(name.clone(), opened.map_err(fail)?, options))
    }

    /// stdout, which must not be a terminal.
    pub(super) fn stdout(options: &OutputOptions) -> Result<Self, OutputError> {
        let stdout = std::io::stdout();
        if stdout.is_terminal() {
            return Err(OutputError::new("stdout", Fault::Terminal));
        }
        let owned = stdout
            .as_fd()
            .try_clone_to_owned()
            .map_err(OutputError::system("stdout", "open"))?;
        Ok(Self::of("stdout".to_owned(), owned.into(), options))
    }

    /// Anything that can be written.
    pub(super) fn of(name: String, mut file: File, options: &OutputOptions) -> Self {
        let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        let way = match (Kind::of(&file), own_description(&file)) {
            (Ok(Kind::Pipe), Ok(own)) => {
                file = own;
                Way::NonBlocking
            }
            (Ok(Kind::Pipe), Err(_)) => Way::Watched,
            _ => Way::Straight,
        };
        Self {
            name,
            file,
            way,
            writer: PacketWriter::new(options.framing),
            patience: Patience {
                stop: Arc::clone(&options.stop),
                asked: None,
            },
            packets: 0,
            bytes: 0,
            left: 0,
            left_said: 0,
        }
    }

    /// Packets written, and packets given up.
    pub(super) fn fates(&self) -> (u64, u64) {
        (self.packets, self.left)
    }
}

impl Sink for FileSink {
    fn send(&mut self, batch: &Batch) -> Result<(), OutputError> {
        let bytes = self.writer.bytes(batch);
        let mut rest = bytes;
        while !rest.is_empty() && (self.way == Way::Straight || !self.patience.is_over()) {
            let piece = match self.way {
                Way::Straight | Way::NonBlocking => rest,
                Way::Watched => rest.get(..libc::PIPE_BUF).unwrap_or(rest),
            };
            let full = match self.way {
                Way::Watched => !writable(&self.file, &self.name)?,
                Way::Straight | Way::NonBlocking => false,
            };
            if full {
                continue;
            }
            match self.file.write(piece) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    writable(&self.file, &self.name)?;
                }
                Err(e) => return Err(OutputError::new(&self.name, Fault::System("write to", e))),
            }
        }
        let written = bytes.len() - rest.len();
        let packets = written / self.writer.framing().size();
        self.packets += packets as u64;
        self.bytes += written as u64;
        self.left += (batch.len() - packets) as u64;
        Ok(())
    }

    fn set_framing(&mut self, framing: Framing) {
        self.writer.set_framing(framing);
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        let packets = self.left - std::mem::replace(&mut self.left_said, self.left);
        if packets > 0 {
            sink(&OutputEvent::GivenUp { packets });
        }
    }

    fn counters(&self, out: &mut dyn Counters) {
        out.set("out_packets", self.packets);
        out.set("out_bytes", self.bytes);
        out.set("out_dropped_packets", self.left);
    }
}

#[cfg(test)]
mod tests;
