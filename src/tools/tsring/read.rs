//! `tsring read`.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::poll::{PollFd, PollFlags, poll};

use super::{existing, ring_error};
use crate::cli::{Common, Context, Error, Level, Range, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{Endpoint, OutputOptions, Sink, open_output};
use crate::ring::{Cursor, Disk, Ring, Step};
use crate::stream::Batch;
use crate::ts::{PACKET_SIZE, Packet};
use crate::units::WallTime;

/// `tsring read`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The ring
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    #[command(flatten)]
    range: Range,

    /// Where packets go
    #[arg(short, long, value_name = "ENDPOINT", default_value = "-")]
    output: Endpoint,

    #[command(flatten)]
    pub(super) common: Common,
}

/// Bytes copied between two looks at signals.
const TURN_BYTES: u64 = 8 << 20;
/// How long room in a pipe is waited for at a time, in milliseconds.
const ROOM: u8 = 100;
/// Bytes read at a time where the kernel cannot copy by itself.
const BUFFER: usize = (1 << 20) / PACKET_SIZE * PACKET_SIZE;

/// Runs `tsring read`.
pub(super) fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = existing(&args.dir)?;
    let ring = Ring::open(Arc::new(Disk), &dir).map_err(ring_error)?;
    let now = SystemClock.wall();
    let (from, to) = args.range.instants(ring.first())?;
    warn(&ring, from, to, now, context)?;
    // What is recorded from now on is not waited for.
    let end = to.unwrap_or(WallTime::from_ticks(i64::MAX));
    let from = from.unwrap_or(WallTime::from_ticks(i64::MIN));
    let mut output = Output::open(&args.output, context)?;
    let total = total(ring.cursor(from, Some(end))).map_err(ring_error)?;
    context.ready();
    let mut progress = context.progress("reading", total);
    let mut cursor = ring.cursor(from, Some(end));
    let mut done = 0;
    while !context.stopping() {
        let step = cursor.step(TURN_BYTES).map_err(ring_error)?;
        cursor.drain_events(&mut |e| context.event(e));
        let Step::Data { offset, len } = step else {
            break;
        };
        let copied = output.copy(&mut cursor, offset, len)?;
        output.drain_events(context);
        let Some(copied) = copied else {
            // Who reads the pipe takes its time.
            context.turn(|c| c.set("out_packets", done / PACKET_SIZE as u64));
            continue;
        };
        if copied == 0 {
            return Err(Error::failure(anyhow!(
                "{}: a segment became shorter while it was read",
                dir.display()
            )));
        }
        done += copied;
        progress.set(done);
        context.turn(|c| c.set("out_packets", done / PACKET_SIZE as u64));
    }
    progress.finish();
    output.finish()?;
    output.drain_events(context);
    if context.stopping() && done < total {
        let left = (total - done).div_ceil(PACKET_SIZE as u64);
        let words = format!("stopped: {left} packets of the range were not written");
        context.say(Level::Warning, &words);
    }
    context.last_turn(|c| c.set("out_packets", done / PACKET_SIZE as u64));
    if done == 0 && !context.stopping() {
        context.say(Level::Warning, "there is nothing in that range");
        return Ok(Verdict::No);
    }
    Ok(Verdict::Yes)
}

/// Says what of the range is not there.
fn warn(
    ring: &Ring,
    from: Option<WallTime>,
    to: Option<WallTime>,
    now: WallTime,
    context: &Context,
) -> Result<(), Error> {
    let (Some(first), Some(last)) = (ring.first(), ring.last()) else {
        return Ok(());
    };
    let say = |words: String| context.say(Level::Warning, &words);
    if let Some(from) = from.filter(|from| *from < first) {
        say(format!(
            "{from} is before the ring, which begins at {first}"
        ));
    }
    if let Some(to) = to.filter(|to| *to > last) {
        let when = if to > now {
            "in the future"
        } else {
            "after the ring"
        };
        say(format!("{to} is {when}: the ring ends at {last}"));
    }
    let (from, to) = (from.unwrap_or(first), to.unwrap_or(last));
    for gap in ring.gaps(from, to).map_err(ring_error)? {
        say(format!(
            "gap of {} from {} to {} ({}, {} packets known lost)",
            gap.to - gap.from,
            gap.from,
            gap.to,
            gap.cause.name(),
            gap.packets
        ));
    }
    Ok(())
}

/// Bytes in a range.
fn total(mut cursor: Cursor) -> Result<u64, crate::ring::RingError> {
    let mut total = 0;
    while let Step::Data { len, .. } = cursor.step(u64::MAX)? {
        total += len;
        cursor.advance(len);
    }
    Ok(total)
}

/// Where packets go, and how.
struct Output {
    out: Out,
    /// A pipe, into which the kernel moves pages by itself. Between files it gains nothing: the
    /// segments' ends are not those of pages, and copy_file_range then took a third more time
    /// than a copy through a buffer.
    splices: bool,
    endpoint: Endpoint,
    options: OutputOptions,
    name: String,
    buffer: Vec<u8>,
}

enum Out {
    File(File),
    Sink(Box<dyn Sink>, Batch),
}

impl Out {
    fn sink(endpoint: &Endpoint, options: &OutputOptions) -> Result<Self, Error> {
        let sink = open_output(endpoint, options)?;
        Ok(Self::Sink(sink, Batch::with_capacity(BUFFER / PACKET_SIZE)))
    }
}

impl Output {
    fn open(endpoint: &Endpoint, context: &Context) -> Result<Self, Error> {
        let name = endpoint.to_string();
        let file = match endpoint {
            Endpoint::Standard if io::stdout().is_terminal() => {
                let words = anyhow!("stdout is a terminal, and packets are not for reading");
                return Err(Error::usage(words).hint("name a file with -o, or pipe it on"));
            }
            Endpoint::Standard => {
                let copy = io::stdout().as_fd().try_clone_to_owned();
                Some(File::from(copy.context("cannot write to stdout")?))
            }
            // A FIFO is waited for, until the end is asked for: that is the sink's work.
            Endpoint::File(path) if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) => None,
            Endpoint::File(path) => {
                let file = File::create(path);
                Some(file.with_context(|| format!("cannot make '{name}'"))?)
            }
            Endpoint::Socket(_) | Endpoint::Exec(_) => None,
        };
        let kind = file.as_ref().map(|f| f.metadata().map(|m| m.file_type()));
        let kind = kind.and_then(Result::ok);
        let splices = kind.is_some_and(|kind| kind.is_fifo());
        let straight = kind.is_some_and(|kind| kind.is_file() || kind.is_char_device());
        let options = OutputOptions {
            stop: context.signals().stop_flag(),
            ..OutputOptions::default()
        };
        let out = match file {
            Some(file) if splices || straight => Out::File(file),
            _ => Out::sink(endpoint, &options)?,
        };
        Ok(Self {
            out,
            splices,
            endpoint: endpoint.clone(),
            options,
            name,
            buffer: Vec::new(),
        })
    }

    /// Copies at most `len` bytes at `offset` of the cursor's file; returns how many it were, or
    /// `None` while there is no room for any.
    fn copy(&mut self, cursor: &mut Cursor, offset: u64, len: u64) -> Result<Option<u64>, Error> {
        let input = cursor.file().and_then(|f| f.descriptor());
        if let (true, Some(input), Out::File(out)) = (self.splices, input, &self.out) {
            let moved = splice_all(input, out, offset, len);
            let moved = moved.with_context(|| format!("cannot write to '{}'", self.name))?;
            match moved {
                Moved::Bytes(moved) => {
                    cursor.advance(moved);
                    return Ok(Some(moved));
                }
                Moved::Full => return Ok(None),
                // This pair of files cannot: the rest goes through memory.
                Moved::Cannot => {
                    self.splices = false;
                    self.out = Out::sink(&self.endpoint, &self.options)?;
                }
            }
        }
        self.buffer.resize(BUFFER, 0);
        let (_, read) = cursor.read(&mut self.buffer, None).map_err(ring_error)?;
        let bytes = self.buffer.get(..read).unwrap_or_default();
        match &mut self.out {
            Out::Sink(sink, batch) => {
                batch.clear();
                batch.extend(Packet::slice_of(bytes).0, SystemClock.now());
                sink.send(batch)?;
            }
            Out::File(out) => {
                let written = out.write_all(bytes);
                written.with_context(|| format!("cannot write to '{}'", self.name))?;
            }
        }
        Ok(Some(read as u64))
    }

    fn drain_events(&mut self, context: &Context) {
        if let Out::Sink(sink, _) = &mut self.out {
            sink.drain_events(&mut |e| context.event(e));
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        match &mut self.out {
            Out::Sink(sink, _) => Ok(sink.finish()?),
            Out::File(_) => Ok(()),
        }
    }
}

/// What became of a move.
enum Moved {
    /// So many bytes; 0 at the end of the input.
    Bytes(u64),
    /// The pipe has no room.
    Full,
    /// The kernel cannot.
    Cannot,
}

/// Moves up to `len` bytes into a pipe, as many as it takes; waits for room a moment.
fn splice_all(input: BorrowedFd<'_>, out: &File, offset: u64, len: u64) -> io::Result<Moved> {
    let mut at = i64::try_from(offset).map_err(io::Error::other)?;
    let mut left = usize::try_from(len).map_err(io::Error::other)?;
    let how = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    while left > 0 {
        match splice(input, Some(&mut at), out, None, left, how) {
            Ok(0) => break,
            Ok(moved) => left -= moved,
            Err(Errno::EINTR) => {}
            // What is slow to be read is left alone in between, for signals to be seen.
            Err(Errno::EAGAIN) if (left as u64) < len => break,
            Err(Errno::EAGAIN) => {
                let mut fds = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
                if matches!(poll(&mut fds, ROOM), Ok(0) | Err(Errno::EINTR)) {
                    return Ok(Moved::Full);
                }
            }
            Err(Errno::EINVAL) if left as u64 == len => return Ok(Moved::Cannot),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(Moved::Bytes(len - left as u64))
}
