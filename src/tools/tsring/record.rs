//! `tsring record`.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::{directory, instant, ring_error};
use crate::cli::when::When;
use crate::cli::{Common, Context, Error, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::io::queue::{BATCH_PACKETS, Feeder, Limits, Outlet, Taken, queue};
use crate::io::{
    Endpoint, EndpointError, InputOptions, OutputOptions, Received, Relay, Sink, Source,
    open_input, open_output,
};
use crate::ring::{Changes, Dating, Disk, Shared, Upkeep, Writer};
use crate::stream::event::Value;
use crate::stream::{Batch, Counters};
use crate::units::{ByteCount, Ticks27M};

/// `tsring record`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The ring; made when it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Where packets come from
    #[arg(short, long, value_name = "ENDPOINT", default_value = "-")]
    input: Endpoint,

    /// Keep what was received in this time [default: as before, 24h in a new ring]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    keep: Option<Duration>,

    /// Let the oldest go when the ring takes more
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<ByteCount>,

    /// Let the oldest go when less is free on the file system
    #[arg(long, value_name = "SIZE")]
    min_free: Option<ByteCount>,

    /// Begin a new file at multiples of this, UTC [default: as before, 5m in a new ring]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    segment: Option<Duration>,

    /// Make data last through a power loss this often [default: as before, 5s in a new ring]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    sync: Option<Duration>,

    /// Date packets by their arrival, or by the PCRs they carry as fast as they can be read
    ///
    /// With less than two PCRs in all of the input, packets are filed under one time: status 3.
    #[arg(long, value_name = "CLOCK", value_enum, default_value_t)]
    clock: ClockArg,

    /// With --clock pcr: file the first packet under this time [default: the end of the ring]
    #[arg(long, value_name = "TIME")]
    at: Option<When>,

    /// Read a local --at in this zone [default: the machine's]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,

    /// Pass the packets on to stdout
    #[arg(long)]
    tee: bool,

    /// Hold so much between reception and a slow disk
    #[arg(long, value_name = "TIME,BYTES", default_value = "2s,16MiB")]
    queue: Limits,

    #[command(flatten)]
    pub(super) common: Common,
}

/// `--clock`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum ClockArg {
    /// By arrival
    #[default]
    System,
    /// By the stream's own clock
    Pcr,
}

/// How long a turn waits for packets: signals, statistics and partial blocks are seen to in
/// between.
const TURN: Duration = Duration::from_millis(100);
/// The queue where the input waits by itself.
const SELF_PACED_BYTES: u64 = 1 << 20;
/// How often the receiving thread posts its counters.
const POST_EVERY: Duration = Duration::from_millis(2);
/// How often the end of the tee is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// Stacks of the threads here: they call nothing deep.
const STACK: usize = 256 << 10;

/// Runs `tsring record`: one thread receives, this one writes, one syncs and expires.
pub(super) fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = directory(&args.dir)?;
    let at = instant(args.at.as_ref(), args.tz.as_deref())?;
    let dating = match (args.clock, at) {
        (ClockArg::Pcr, at) => Dating::Stream(at),
        (ClockArg::System, None) => Dating::Arrival,
        (ClockArg::System, Some(_)) => {
            let words = anyhow!("--at dates a stream by its own clock");
            return Err(Error::usage(words).hint("add --clock pcr"));
        }
    };
    let options = InputOptions {
        linger: InputOptions::RECORDER_LINGER,
        ..InputOptions::default()
    };
    let source = open_input(&args.input, &options)?;
    let changes = Changes {
        keep: args.keep.map(Ticks27M::from),
        max_bytes: args.max_bytes,
        min_free: args.min_free,
        segment: args.segment.map(Ticks27M::from),
        sync: args.sync.map(Ticks27M::from),
    };
    let clock = SystemClock;
    let (now, wall) = (clock.now(), clock.wall());
    let disk = Arc::new(Disk);
    let writer = Writer::open(disk.clone(), &dir, &changes, &dating, now, wall);
    let mut writer = writer.map_err(ring_error)?;

    let live = source.is_live();
    let mut limits = args.queue;
    // Without a pace to keep, a slow disk slows the reader down instead.
    if !live {
        limits.bytes = limits.bytes.min(ByteCount::new(SELF_PACED_BYTES));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let relay = Relay::default();
    let mut tee = args
        .tee
        .then(|| {
            let stop = context.signals().stop_flag();
            Tee::open(args.queue, is_regular(&args.input), stop, &relay)
        })
        .transpose()?;
    let (feeder, mut outlet) = queue(limits);
    let drops = Arc::new(AtomicU64::new(0));
    let reception = Reception {
        source,
        feeder,
        relay: relay.clone(),
        stop: Arc::clone(&stop),
        drops: Arc::clone(&drops),
        dropped: 0,
        posted: None,
    };
    let reception = spawn("receive", move || reception.run())?;
    let filed = matches!(args.clock, ClockArg::Pcr);
    let upkeep = Upkeep::new(disk, &dir, writer.shared(), now);
    let upkeep = spawn("upkeep", {
        let (stop, relay) = (Arc::clone(&stop), relay.clone());
        let shared = writer.shared();
        move || keep_up(upkeep, &shared, filed, &stop, &relay)
    })?;
    context.ready();
    context.status(&format!("recording {} into {}", args.input, dir.display()));

    let mut batch = Batch::with_capacity(0);
    loop {
        let taken = outlet.take(&mut batch, TURN);
        writer.turn(clock.now(), clock.wall());
        writer.overflowed(drops.swap(0, Ordering::Relaxed));
        if taken == Taken::Packets {
            writer.append(&batch);
            // What is filed waits for its room, so that the ring keeps to its size.
            while filed && !writer.shared().wait_for_room(TURN) && !upkeep.is_finished() {
                look_around(&mut writer, &relay, context);
            }
        }
        if let Some(tee) = &mut tee {
            tee.pass(&batch, &mut || {
                writer.turn(clock.now(), clock.wall());
                look_around(&mut writer, &relay, context);
                !context.stopping()
            });
        }
        look_around(&mut writer, &relay, context);
        if context.stopping() {
            stop.store(true, Ordering::Relaxed);
        }
        let upkeep_died = upkeep.is_finished() && !stop.load(Ordering::Relaxed);
        if taken == Taken::End || upkeep_died {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let received = joined(reception, "receives");
    writer.close();
    let kept_up = joined(upkeep, "syncs and expires");
    let passed_on = tee.map_or(Ok(()), |tee| {
        tee.finish(&mut || look_around(&mut writer, &relay, context))
    });
    writer.drain_events(&mut |e| context.event(e));
    relay.drain_events(&mut |e| context.event(e));
    context.last_turn(|c| {
        writer.counters(c);
        relay.counters(c);
    });
    let bytes = received??;
    kept_up?;
    passed_on?;
    let written = writer.written();
    if bytes > 0 && written.packets + written.lost + written.overflowed == 0 {
        return Err(Error::no_stream(&args.input, bytes));
    }
    if writer.lacks_clock() && written.packets > 0 {
        let packets = written.packets;
        let words = anyhow!(
            "{}: less than two PCRs in {packets} packets, which are all filed under one time",
            args.input
        );
        let hint = "without --clock pcr packets are dated by their arrival";
        return Err(Error::failure(words).hint(hint));
    }
    if !live && written.lost > 0 {
        let words = anyhow!("{} packets could not be written", written.lost);
        return Err(Error::failure(words));
    }
    Ok(Verdict::Yes)
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    Ok(builder.stack_size(STACK).spawn(body)?)
}

/// What a thread came to; one that panicked is a failure of the whole.
fn joined<T>(thread: JoinHandle<T>, does: &str) -> Result<T, Error> {
    let ended = thread.join();
    ended.map_err(|_| Error::failure(anyhow!("the thread that {does} panicked")))
}

/// Sees to events, statistics and signals.
fn look_around(writer: &mut Writer, relay: &Relay, context: &mut Context) {
    writer.drain_events(&mut |e| context.event(e));
    relay.drain_events(&mut |e| context.event(e));
    context.turn(|c| {
        writer.counters(c);
        relay.counters(c);
    });
}

/// True for an input that can wait as long as it takes.
fn is_regular(input: &Endpoint) -> bool {
    let metadata = match input {
        Endpoint::Standard => {
            let owned = std::io::stdin().as_fd().try_clone_to_owned();
            owned.and_then(|owned| File::from(owned).metadata())
        }
        Endpoint::File(path) => std::fs::metadata(path),
        Endpoint::Socket(_) | Endpoint::Exec(_) => return false,
    };
    metadata.is_ok_and(|m| m.is_file())
}

fn keep_up(mut upkeep: Upkeep, shared: &Shared, filed: bool, stop: &AtomicBool, relay: &Relay) {
    while !stop.load(Ordering::Relaxed) {
        shared.sleep(Upkeep::TURN.to_duration());
        upkeep.turn(SystemClock.now(), &mut |e| relay.post(&e));
    }
    // A recording filed faster than it was received may have ended before the first turn.
    if filed {
        upkeep.expire(&mut |e| relay.post(&e));
    }
}

/// The thread that receives.
struct Reception {
    source: Box<dyn Source>,
    feeder: Feeder,
    relay: Relay,
    stop: Arc<AtomicBool>,
    /// Packets dropped that the writer does not know of yet, and all of them.
    drops: Arc<AtomicU64>,
    dropped: u64,
    posted: Option<Instant>,
}

/// Picks the packets dropped by the queue out of its counters.
struct Dropped(u64);

impl Counters for Dropped {
    fn put(&mut self, key: &str, value: Value) {
        if let ("queue_dropped_packets", Value::Number(n)) = (key, value) {
            self.0 = u64::try_from(n).unwrap_or(0);
        }
    }
}

impl Reception {
    /// Receives to the end of the input, and tells how many bytes that was; 0 when it was stopped
    /// before.
    fn run(mut self) -> Result<u64, EndpointError> {
        let ended = self.receive();
        self.posted = None;
        self.post();
        self.feeder.close();
        ended
    }

    fn receive(&mut self) -> Result<u64, EndpointError> {
        let live = self.source.is_live();
        while !self.stop.load(Ordering::Relaxed) {
            let received = self.source.receive(self.feeder.batch(), TURN)?;
            if live {
                self.feeder.offer(SystemClock.now());
            } else {
                while !self.feeder.hand_on(TURN) && !self.stop.load(Ordering::Relaxed) {}
            }
            self.post();
            if received == Received::End {
                return Ok(self.source.bytes());
            }
            if self.feeder.is_abandoned() {
                break;
            }
        }
        Ok(0)
    }

    fn post(&mut self) {
        let relay = &self.relay;
        self.source.drain_events(&mut |e| relay.post(e));
        let mut overflowed = false;
        self.feeder.drain_events(&mut |e| {
            overflowed = true;
            relay.post(e);
        });
        if overflowed {
            let mut now = Dropped(self.dropped);
            self.feeder.counters(&mut now);
            let more = now.0.saturating_sub(self.dropped);
            self.drops.fetch_add(more, Ordering::Relaxed);
            self.dropped = now.0;
        }
        if self.posted.is_some_and(|at| at.elapsed() < POST_EVERY) {
            return;
        }
        self.posted = Some(Instant::now());
        let (source, feeder) = (&self.source, &self.feeder);
        relay.post_counters(|c| {
            source.counters(c);
            feeder.counters(c);
        });
    }
}

/// `--tee`: stdout behind a queue of its own, so that who reads it cannot stop the recording.
struct Tee {
    feeder: Feeder,
    /// A regular file is recorded: it waits for who reads stdout. Nothing else does.
    waits: bool,
    relay: Relay,
    thread: JoinHandle<Result<(), EndpointError>>,
    gone: bool,
}

impl Tee {
    fn open(
        limits: Limits,
        waits: bool,
        stop: Arc<AtomicBool>,
        relay: &Relay,
    ) -> Result<Self, Error> {
        let options = OutputOptions {
            stop,
            ..OutputOptions::default()
        };
        let sink = open_output(&Endpoint::Standard, &options);
        let sink = sink?;
        let (feeder, outlet) = queue(limits);
        let copies = relay.clone();
        Ok(Self {
            feeder,
            waits,
            relay: relay.clone(),
            thread: spawn("tee", move || copy(outlet, sink, &copies))?,
            gone: false,
        })
    }

    /// Passes a batch on; to be called in every turn, with an empty one too. `turn` is called
    /// while it waits, and is false once the end was asked for.
    fn pass(&mut self, batch: &Batch, turn: &mut dyn FnMut() -> bool) {
        for (at, mut packets) in batch.runs() {
            while !packets.is_empty() && !self.gone {
                let taken = self.feeder.batch().extend(packets, at);
                packets = packets.get(taken..).unwrap_or_default();
                if self.feeder.batch().room() == 0 {
                    self.hand_on(turn);
                }
            }
        }
        self.hand_on(turn);
    }

    fn hand_on(&mut self, turn: &mut dyn FnMut() -> bool) {
        while self.waits && !self.feeder.hand_on(TURN) {
            self.waits = turn();
        }
        if self.waits {
            self.gone = self.feeder.is_abandoned();
        } else {
            self.gone = !self.feeder.offer(SystemClock.now());
        }
        let relay = &self.relay;
        self.feeder.drain_events(&mut |e| relay.post(e));
    }

    /// Waits until all is passed on, or given up after a request to stop. A reader that went away
    /// ended its copy, not the recording.
    fn finish(mut self, turn: &mut dyn FnMut()) -> Result<(), Error> {
        self.feeder.close();
        while !self.thread.is_finished() {
            turn();
            std::thread::sleep(LOOK);
        }
        match joined(self.thread, "passes packets on")?.map_err(Error::from) {
            Err(e) if !e.is_broken_pipe() => Err(e),
            _ => Ok(()),
        }
    }
}

fn copy(mut outlet: Outlet, mut sink: Box<dyn Sink>, relay: &Relay) -> Result<(), EndpointError> {
    let mut batch = Batch::with_capacity(BATCH_PACKETS);
    loop {
        let taken = outlet.take(&mut batch, TURN);
        match taken {
            Taken::Packets => sink.send(&batch)?,
            Taken::Idle | Taken::End => sink.flush()?,
        }
        sink.drain_events(&mut |e| relay.post(e));
        if taken == Taken::End {
            return Ok(());
        }
    }
}
