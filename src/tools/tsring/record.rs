//! `tsring record`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::{directory, instant};
use crate::cli::when::When;
use crate::cli::{Common, Context, Error, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::io::queue::{BATCH_PACKETS, Feeder, Limits, Outlet, Taken, queue};
use crate::io::{
    Endpoint, EndpointError, InputOptions, OutputOptions, Received, Relay, Sink, Source,
    is_regular, open_input, open_output,
};
use crate::ring::{Changes, Dating, Disk, Shared, Upkeep, Writer, Written};
use crate::stream::Batch;
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
/// How often the end of the tee is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// Stacks of the threads here: they call nothing deep.
const STACK: usize = 256 << 10;

/// Runs `tsring record`: one thread receives, this one writes, one syncs and expires.
pub(super) fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = directory(&args.dir)?;
    let dating = dating(&args)?;
    let options = InputOptions {
        linger: InputOptions::RECORDER_LINGER,
        ..InputOptions::default()
    };
    let source = open_input(&args.input, &options)?;
    let (now, wall) = (SystemClock.now(), SystemClock.wall());
    let disk = Arc::new(Disk);
    let writer = Writer::open(disk.clone(), &dir, &changes(&args), &dating, now, wall)?;
    let upkeep = Upkeep::new(disk, &dir, writer.shared(), now);
    let live = source.is_live();
    let recorder = Recorder::start(&args, source, writer, upkeep, context)?;
    context.ready();
    context.status(&format!("recording {} into {}", args.input, dir.display()));
    let (written, bytes, lacks_clock) = recorder.record(context)?;
    if bytes > 0 && written.packets + written.lost + written.overflowed == 0 {
        return Err(Error::no_stream(&args.input, bytes));
    }
    if lacks_clock && written.packets > 0 {
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

/// How packets are to be dated.
fn dating(args: &Args) -> Result<Dating, Error> {
    let at = instant(args.at.as_ref(), args.tz.as_deref())?;
    match (args.clock, at) {
        (ClockArg::Pcr, at) => Ok(Dating::Stream(at)),
        (ClockArg::System, None) => Ok(Dating::Arrival),
        (ClockArg::System, Some(_)) => {
            let words = anyhow!("--at dates a stream by its own clock");
            Err(Error::usage(words).hint("add --clock pcr"))
        }
    }
}

/// What is to be kept from now on.
fn changes(args: &Args) -> Changes {
    Changes {
        keep: args.keep.map(Ticks27M::from),
        max_bytes: args.max_bytes,
        min_free: args.min_free,
        segment: args.segment.map(Ticks27M::from),
        sync: args.sync.map(Ticks27M::from),
    }
}

/// The threads, and what goes between them.
struct Recorder {
    writer: Writer,
    outlet: Outlet,
    tee: Option<Tee>,
    relay: Relay,
    /// Packets dropped before they reached the writer, which does not know of them yet.
    drops: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    /// What is recorded is filed, as fast as it can be.
    filed: bool,
    reception: JoinHandle<Result<u64, EndpointError>>,
    upkeep: JoinHandle<()>,
}

impl Recorder {
    fn start(
        args: &Args,
        source: Box<dyn Source>,
        writer: Writer,
        upkeep: Upkeep,
        context: &Context,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let relay = Relay::default();
        let tee = args.tee.then(|| {
            let stop = context.signals().stop_flag();
            Tee::open(args.queue, is_regular(&args.input), stop, &relay)
        });
        let tee = tee.transpose()?;
        // Without a pace to keep, a slow disk slows the reader down instead.
        let limits = match source.is_live() {
            true => args.queue,
            false => args.queue.self_paced(),
        };
        let (feeder, outlet) = queue(limits);
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
        let filed = matches!(args.clock, ClockArg::Pcr);
        Ok(Self {
            reception: spawn("receive", move || reception.run())?,
            upkeep: spawn("upkeep", {
                let (stop, relay) = (Arc::clone(&stop), relay.clone());
                let shared = writer.shared();
                move || keep_up(upkeep, &shared, filed, &stop, &relay)
            })?,
            writer,
            outlet,
            tee,
            relay,
            drops,
            stop,
            filed,
        })
    }

    /// Records to the end of the input, or until that is asked for. Returns what was written, the
    /// bytes of an input that ended, and whether it had no clock to date it by.
    fn record(mut self, context: &mut Context) -> Result<(Written, u64, bool), Error> {
        let mut batch = Batch::with_capacity(0);
        while self.turn(&mut batch, context) {}
        let Self {
            mut writer, relay, ..
        } = self;
        self.stop.store(true, Ordering::Relaxed);
        let received = joined(self.reception, "receives");
        writer.close();
        let kept_up = joined(self.upkeep, "syncs and expires");
        let passed_on = self.tee.map_or(Ok(()), |tee| {
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
        Ok((writer.written(), bytes, writer.lacks_clock()))
    }

    /// Writes what was received, and waits for some; false at the end.
    fn turn(&mut self, batch: &mut Batch, context: &mut Context) -> bool {
        let (writer, relay) = (&mut self.writer, &self.relay);
        let taken = self.outlet.take(batch, TURN);
        writer.turn(SystemClock.now(), SystemClock.wall());
        writer.overflowed(self.drops.swap(0, Ordering::Relaxed));
        if taken == Taken::Packets {
            writer.append(batch);
            // What is filed waits for its room, so that the ring keeps to its size.
            while self.filed && !writer.shared().wait_for_room(TURN) && !self.upkeep.is_finished() {
                look_around(writer, relay, context);
            }
        }
        if let Some(tee) = &mut self.tee {
            tee.pass(batch, &mut || {
                writer.turn(SystemClock.now(), SystemClock.wall());
                look_around(writer, relay, context);
                !context.stopping()
            });
        }
        look_around(writer, relay, context);
        if context.stopping() {
            self.stop.store(true, Ordering::Relaxed);
        }
        let upkeep_died = self.upkeep.is_finished() && !self.stop.load(Ordering::Relaxed);
        taken != Taken::End && !upkeep_died
    }
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
        self.feeder.drain_events(&mut |e| relay.post(e));
        let dropped = self.feeder.dropped();
        self.drops
            .fetch_add(dropped - self.dropped, Ordering::Relaxed);
        self.dropped = dropped;
        if self
            .posted
            .is_some_and(|at| at.elapsed() < Relay::POST_EVERY)
        {
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
