//! `tsring read`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;

use super::{apart, existing};
use crate::cli::{Common, Context, Error, Level, Range, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{DirectOutput, Endpoint, Moved, OutputOptions, Sink, open_output};
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
/// Bytes read at a time where the kernel cannot copy by itself.
const BUFFER: usize = (1 << 20) / PACKET_SIZE * PACKET_SIZE;

/// Runs `tsring read`.
pub(super) fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = existing(&args.dir)?;
    apart(&dir, &args.output)?;
    let ring = Ring::open(Arc::new(Disk), &dir)?;
    let now = SystemClock.wall();
    let (from, to) = args.range.instants(ring.first())?;
    warn(&ring, from, to, now, context)?;
    // What is recorded from now on is not waited for.
    let end = to.unwrap_or(WallTime::from_ticks(i64::MAX));
    let from = from.unwrap_or(WallTime::from_ticks(i64::MIN));
    let mut output = Output::open(&args.output, context)?;
    let total = total(ring.cursor(from, Some(end)))?;
    output.set_room_apart(total);
    context.status(&format!("reading {} into {}", dir.display(), args.output));
    context.ready();
    let mut progress = context.progress("reading", total);
    let mut cursor = ring.cursor(from, Some(end));
    let mut done = 0;
    while !context.stopping() {
        let step = cursor.step(TURN_BYTES)?;
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
    for gap in ring.gaps(from, to)? {
        say(gap.to_string());
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
    endpoint: Endpoint,
    options: OutputOptions,
    buffer: Vec<u8>,
}

enum Out {
    Direct(DirectOutput),
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
        let options = OutputOptions {
            stop: context.signals().stop_flag(),
            ..OutputOptions::default()
        };
        let out = match DirectOutput::open(endpoint)? {
            Some(direct) => Out::Direct(direct),
            None => Out::sink(endpoint, &options)?,
        };
        Ok(Self {
            out,
            endpoint: endpoint.clone(),
            options,
            buffer: Vec::new(),
        })
    }

    fn set_room_apart(&self, bytes: u64) {
        if let Out::Direct(out) = &self.out {
            out.set_room_apart(bytes);
        }
    }

    /// Copies at most `len` bytes at `offset` of the cursor's file; returns how many it were, or
    /// `None` while there is no room for any.
    fn copy(&mut self, cursor: &mut Cursor, offset: u64, len: u64) -> Result<Option<u64>, Error> {
        let input = cursor.file().and_then(|f| f.descriptor());
        if let (Some(input), Out::Direct(out)) = (input, &self.out)
            && out.is_pipe()
        {
            match out.splice(input, offset, len)? {
                Moved::Bytes(moved) => {
                    cursor.advance(moved);
                    return Ok(Some(moved));
                }
                Moved::Full => return Ok(None),
                // This pair of files cannot: the rest goes through memory.
                Moved::Cannot => self.out = Out::sink(&self.endpoint, &self.options)?,
            }
        }
        self.buffer.resize(BUFFER, 0);
        let (_, read) = cursor.read(&mut self.buffer, None)?;
        let bytes = self.buffer.get(..read).unwrap_or_default();
        match &mut self.out {
            Out::Sink(sink, batch) => {
                batch.clear();
                batch.extend(Packet::slice_of(bytes).0, SystemClock.now());
                sink.send(batch)?;
            }
            Out::Direct(out) => out.write(bytes)?,
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
            Out::Direct(out) => Ok(out.finish()?),
        }
    }
}
