//! Files, FIFOs, character devices, stdin and stdout.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::clock::{Clock, SystemClock};
use super::error::Fault;
use super::silence::Silence;
use super::writer::PacketWriter;
use super::{InputError, OutputError, OutputOptions, Received, Sink, Source};
use crate::stream::event::Event;
use crate::stream::{Batch, Counters, Framer, Framing};
use crate::units::Arrival;

/// Bytes read at once where they cannot be read in place.
const READ_BYTES: usize = 256 * 1024;
/// What a pipe is asked to hold, so that two processes change places less often.
const PIPE_BYTES: i32 = 1024 * 1024;
/// How often a FIFO is looked at that nobody reads yet.
const FIFO_RETRY: Duration = Duration::from_millis(50);

/// Packets read from a file descriptor.
#[derive(Debug)]
pub(super) struct FileSource {
    name: String,
    file: File,
    kind: Kind,
    framer: Framer,
    /// Bytes read and not yet taken by the framer.
    staged: Vec<u8>,
    staged_from: usize,
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
            staged: Vec::new(),
            staged_from: 0,
            ended: false,
            opened,
            bytes: 0,
            packets: 0,
        })
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
        if kept.is_none() && self.staged.is_empty() {
            self.staged.resize(READ_BYTES, 0);
        }
        let target = match kept {
            Some(kept) => batch.spare_mut().get_mut(kept..).unwrap_or_default(),
            None => &mut self.staged[..],
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
        match kept {
            Some(kept) => {
                self.staged = Vec::new();
                self.framer.adopt(kept + filled, at, batch);
            }
            None => {
                self.staged.truncate(filled);
                self.staged_from = 0;
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
        let rest = &self.staged[self.staged_from..];
        self.staged_from += self.framer.push(rest, at, batch);
        let all = self.staged_from == self.staged.len();
        if all {
            self.staged.clear();
            self.staged_from = 0;
        }
        all
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
            self.silence.over(now);
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

/// Packets written to a file descriptor.
#[derive(Debug)]
pub(super) struct FileSink {
    name: String,
    file: File,
    writer: PacketWriter,
    packets: u64,
    bytes: u64,
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
        Ok(Self::of(
            name.clone(),
            opened.map_err(fail)?,
            options.framing,
        ))
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
        Ok(Self::of("stdout".to_owned(), owned.into(), options.framing))
    }

    /// Anything that can be written.
    pub(super) fn of(name: String, file: File, framing: Framing) -> Self {
        let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Self {
            name,
            file,
            writer: PacketWriter::new(framing),
            packets: 0,
            bytes: 0,
        }
    }
}

impl Sink for FileSink {
    fn send(&mut self, batch: &Batch) -> Result<(), OutputError> {
        let mut rest = self.writer.bytes(batch);
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // Somebody who shares the descriptor made it so.
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    ready(&self.file, PollFlags::POLLOUT, Duration::from_secs(1))
                        .map_err(OutputError::system(&self.name, "write to"))?;
                }
                Err(e) => return Err(OutputError::new(&self.name, Fault::System("write to", e))),
            }
        }
        self.packets += batch.len() as u64;
        self.bytes += (batch.len() * self.writer.framing().size()) as u64;
        Ok(())
    }

    fn set_framing(&mut self, framing: Framing) {
        self.writer.set_framing(framing);
    }

    fn drain_events(&mut self, _: &mut dyn FnMut(&dyn Event)) {}

    fn counters(&self, out: &mut dyn Counters) {
        out.set("out_packets", self.packets);
        out.set("out_bytes", self.bytes);
    }
}

#[cfg(test)]
mod tests;
