//! Receives a stream, or plays a file, into a pipe, a file or a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Parser;

use crate::cli::{Common, Context, Error, ToolArgs, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::io::queue::{Feeder, Limits, queue};
use crate::io::{
    Departure, Ending, Endpoint, EndpointError, OutputEvent, OutputOptions, Received, Relay,
    Source, is_same_file, open_input, open_output,
};
use crate::stream::playout::Playout;
use crate::stream::stuffing::RateExceeded;
use crate::stream::{Batch, Counters};
use crate::ts::Pid;
use crate::units::BitRate;

mod clock;
mod looped;
mod plan;
mod writer;

use looped::Looped;
use plan::Plan;
use writer::{OUT_PACKETS, UNKNOWN_FRAMING, Writer};

/// Receive, play out and filter transport streams
///
/// Reads INPUT and writes its packets to OUTPUT, as they are and in order: from a multicast to a
/// pipe or a file, from a file to a multicast at the pace of its PCRs, from one address to
/// another. Both are `-` (stdin, stdout), a path, `udp://[SOURCE@]ADDR:PORT`,
/// `rtp://[SOURCE@]ADDR:PORT`, `exec:COMMAND`, or multicat's own form; RTP inside `udp://` is
/// found by itself, and so are packets of 188, 192 and 204 bytes.
///
/// A bounded queue stands between reception and OUTPUT: reception never waits for a slow reader;
/// what finds no room is dropped, counted and said. Damage is passed on and said: bytes that are
/// no packets are skipped, RTP datagrams are put in order, repeats dropped and losses counted.
/// Datagrams that arrive evenly leave evenly, 5 ms later.
///
/// # EXAMPLES
///
/// Receive a channel, from one source only, and record it:
///
/// ```text
/// $ tsrecv udp://10.0.0.7@232.1.1.1:1234 | tsring record /var/lib/ring/one
/// ```
///
/// Play a file for ever, without a seam, stuffed to 10 Mb/s:
///
/// ```text
/// $ tsrecv --loop --cbr 10M slate.ts 'rtp://239.0.0.1:5004?iface=eth1&ttl=8'
/// ```
///
/// Pass a group on to another, without null packets:
///
/// ```text
/// $ tsrecv --drop-null udp://eth0@239.0.0.1:1234 udp://eth1@239.0.1.1:1234
/// ```
///
/// # EVENTS
///
/// Lost: `kernel_drops` (the receive buffer was full; so many at least, for what the kernel had put
/// together counts once), `rtp_lost`, `rtp_strayed` (datagrams that fit into no sequence), `rtp_repeated` (64 and
/// more came again within 2 s, and nothing new),
/// `queue_overflow` (OUTPUT was too slow), `output_given_up` (SIGTERM came, and OUTPUT stood still
/// for 2 s), `output_unplayed` (SIGTERM came before the time of packets that `--pace` had taken from a
/// pipe for another one), `cbr_rate_exceeded`, `send_refused`, `exec_dropped`. Damaged: `sync_lost`,
/// `sync_found`, `sync_byte_error`, `tail_dropped`, `foreign_datagrams`. Changed: `packets_found`
/// (what kind of packets), `source_changed`, `rtp_restarted`, `arrival_clock_reanchored`,
/// `pace_clock_jump`, `pace_without_clock`, `playout_behind`, `loop_again`, `loop_tail_left_out`,
/// `stamp_not_moved` (`--loop` found one that it cannot change), Waiting: `input_waiting`,
/// `input_back`. Of the machine: `receive_buffer_clamped` with the sysctl to set,
/// `exec_died`, `exec_stderr`.
///
/// # COUNTERS
///
/// What is lost or damaged is counted too, in `--stats` and `--stats-json`, in the unit that ends
/// the counter's name; `unplayed_packets` are those whose time had not come when a playout was asked
/// to end, `out_dropped_packets` and `left_packets` those of `output_given_up`;
/// `departure_error_p50_us`, `_p99_us` and `_max_us` tell how evenly datagrams left.
///
/// # LOSS AND STATUS
///
/// An input that ends gives status 3 where a part of it did not reach OUTPUT: an `exec:` program
/// ended early or failed, or `--cbr` was too low (the hint names the rate to take). So does one in
/// which there is no packet (an empty one gives 0), and a file without PCRs that is played into a
/// socket, or with `--loop`, unless `--cbr` says at which rate. Losses of reception, and those before a signal
/// asked for the end, are events and counters, and the status is 0.
///
/// # MEMORY
///
/// The queue holds what `--queue` says; the kernel's receive buffer 8 MiB, or `rcvbuf=`; RTP out
/// of order waits in 4 MiB; a playout holds the packets up to the next PCR, 65 536 at most (12 MiB),
/// and room for as many again, which it gives their times; `--loop` holds 17 408 more (3.5 MiB).
#[derive(Debug, Parser)]
#[command(name = "tsrecv", version, verbatim_doc_comment)]
pub struct Args {
    /// Where packets come from [default: -]
    #[arg(value_name = "INPUT")]
    input_operand: Option<Endpoint>,

    /// Where packets go [default: -]
    #[arg(value_name = "OUTPUT")]
    output_operand: Option<Endpoint>,

    /// Where packets come from, as an option
    #[arg(short, long, value_name = "ENDPOINT")]
    input: Option<Endpoint>,

    /// Where packets go, as an option
    #[arg(short, long, value_name = "ENDPOINT")]
    output: Option<Endpoint>,

    /// Play at the speed of the PCRs (default from a file to a socket); what comes live is held
    /// back for 200 ms for that, and its jitter is gone
    #[arg(long, help_heading = "Playing")]
    pace: bool,

    /// Play this many times as fast as the PCRs say
    #[arg(long, value_name = "FACTOR", value_parser = speed, help_heading = "Playing")]
    speed: Option<u32>,

    /// Play a file again and again: counters, clocks and stamps go on over the seam. Rounds are
    /// whole frames, and a picture or sound that the end of the file cuts is left out; sound is
    /// joined at PES packets, of which half a one may be missing or twice at a seam; with --cbr at
    /// its own rate, a file of constant rate keeps it over the seam too
    #[arg(long = "loop", help_heading = "Playing")]
    again: bool,

    /// Stuff with null packets to a constant rate: 38M, 4500k or bit/s; what has no PCRs is played
    /// at that rate
    #[arg(long, value_name = "RATE", help_heading = "Playing")]
    cbr: Option<BitRate>,

    /// Wait so long for RTP datagrams that others have overtaken
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration,
          default_value = "50ms", help_heading = "Receiving")]
    reorder: Duration,

    /// Drop datagrams without RTP that repeat one of the last 50 ms (or --reorder)
    ///
    /// Datagrams are compared whole, byte for byte, with those that came within that time. What a
    /// sender repeats itself stays: a packet sent twice in a row in datagrams of its own
    /// (ISO/IEC 13818-1 2.4.3.3), unless the network doubles most of them; and of datagrams that
    /// hold null packets alone the share that is as large as that of the others.
    #[arg(long, help_heading = "Receiving")]
    dedup: bool,

    /// Hold so much between reception and a slow output
    #[arg(
        long,
        value_name = "TIME,BYTES",
        default_value = "2s,16MiB",
        help_heading = "Receiving"
    )]
    queue: Limits,

    /// Pass these PIDs only (can be repeated)
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Filtering"
    )]
    pid: Vec<Pid>,

    /// Drop these PIDs (can be repeated)
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Filtering"
    )]
    drop_pid: Vec<Pid>,

    /// Drop null packets
    #[arg(long, help_heading = "Filtering")]
    drop_null: bool,

    /// Write 192-byte packets with their arrival times: of a file those of its PCRs
    #[arg(long, conflicts_with = "plain", help_heading = "Filtering")]
    timed: bool,

    /// Write 188-byte packets whatever comes in
    #[arg(long, help_heading = "Filtering")]
    plain: bool,

    #[command(flatten)]
    common: Common,
}

impl ToolArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

/// How long a turn of the loop waits: signals and statistics are seen to in between.
const TURN: Duration = Duration::from_millis(100);
/// How long the queue is given to drain when the end was asked for.
const DRAIN: Duration = Duration::from_secs(2);
/// How long after that request a writer that hangs, on a disk or a program, is left behind.
const ABANDON: Duration = Duration::from_secs(6);

/// A factor, in thousandths.
fn speed(text: &str) -> Result<u32, String> {
    let factor: f64 = text
        .parse()
        .map_err(|_| "write 2, 0.5 or 1.25".to_owned())?;
    if (0.001..=1000.0).contains(&factor) {
        Ok((factor * 1000.0).round() as u32)
    } else {
        Err("write a factor from 0.001 to 1000".to_owned())
    }
}

/// Receives on this thread and writes on another, until the input ends or the end is asked for.
///
/// # Errors
/// Where an endpoint fails.
pub fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    let plan = Plan::new(&args)?;
    if is_same_file(&plan.input, &plan.output) {
        let error = anyhow!("'{}' is both input and output", plan.input);
        return Err(Error::usage(error).hint("write to another file"));
    }
    if let Some(path) = &plan.by_clock {
        clock::need_clock(path, &plan.input_options)?;
    }
    let mut source: Box<dyn Source> = match &plan.again {
        Some(path) => Box::new(Looped::open(path.clone(), plan.input_options.clone())?),
        None => open_input(&plan.input, &plan.input_options)?,
    };
    let give_up = Arc::new(AtomicBool::new(false));
    let sink = open_output(
        &plan.output,
        &OutputOptions {
            departure: plan.departure,
            framing: plan.framing.unwrap_or_default(),
            stop: context.signals().stop_flag(),
            grace: plan.grace,
            disposable: false,
        },
    );
    let sink = match sink {
        // A FIFO that nobody opened.
        Err(_) if context.stopping() => return Ok(Verdict::Yes),
        sink => sink?,
    };
    let mut limits = args.queue;
    if !source.is_live() {
        limits = limits.self_paced();
    }
    let (mut feeder, outlet) = queue(limits);
    let relay = Relay::default();
    let framing = Arc::new(AtomicU8::new(UNKNOWN_FRAMING));
    let in_hand = Arc::new(AtomicU64::new(0));
    let writer = Writer {
        outlet,
        sink,
        playout: plan
            .playing
            .map(|options| Playout::new(options).passing(plan.wanted.clone())),
        wanted: plan.wanted.clone(),
        dates: plan.dates,
        opened: None,
        wait: (plan.paced && plan.departure == Departure::AtOnce)
            .then(|| Ending::new(context.signals().stop_flag(), plan.grace)),
        framing: Arc::clone(&framing),
        keep_framing: plan.framing.is_none(),
        relay: relay.clone(),
        out: Batch::with_capacity(OUT_PACKETS),
        give_up: Arc::clone(&give_up),
        left: 0,
        unplayed: 0,
        lasting: plan.lasting,
        in_hand: Arc::clone(&in_hand),
    };
    let writer = std::thread::spawn(move || writer.run());
    context.ready();
    context.status(&format!("{} to {}", plan.input, plan.output));
    let received = receive(&plan, &mut source, &mut feeder, &framing, &relay, context);
    feeder.close();
    let undelivered = || feeder.waiting() + in_hand.load(Ordering::Relaxed);
    let written = drain(writer, undelivered, &give_up, &relay, context);
    source.drain_events(&mut |e| context.event(e));
    feeder.drain_events(&mut |e| context.event(e));
    context.last_turn(|c| count(c, &*source, &feeder, &relay));
    // A reader that went away ends reception; what it said is the reason.
    let exceeded = written?;
    received?;
    match exceeded {
        // Who asked for the end knows the loss by its events.
        Some(exceeded) if !context.stopping() => Err(too_slow(&args, &exceeded)),
        _ => Ok(Verdict::Yes),
    }
}

/// A stream that has ended did not fit into `--cbr`.
fn too_slow(args: &Args, exceeded: &RateExceeded) -> Error {
    let rate = args.cbr.unwrap_or_default();
    let needed = exceeded.needed.get().div_ceil(1000);
    let lost = exceeded.dropped;
    Error::failure(anyhow!(
        "the stream has more than {rate}: {lost} packets were dropped"
    ))
    .hint(format!("--cbr {needed}k holds it"))
}

fn count(out: &mut dyn Counters, source: &dyn Source, feeder: &Feeder, relay: &Relay) {
    source.counters(out);
    feeder.counters(out);
    relay.counters(out);
}

/// The reception loop: until the input ends, the end is asked for or nobody reads any more.
fn receive(
    plan: &Plan,
    source: &mut Box<dyn Source>,
    feeder: &mut Feeder,
    framing: &AtomicU8,
    relay: &Relay,
    context: &mut Context,
) -> Result<(), Error> {
    let live = source.is_live();
    let mut known = None;
    let mut packets = 0;
    while !context.stopping() {
        let before = feeder.batch().len();
        let received = source.receive(feeder.batch(), TURN)?;
        packets += (feeder.batch().len() - before) as u64;
        if source.framing() != known {
            known = source.framing();
            if let Some(known) = known {
                framing.store(known as u8, Ordering::Release);
            }
        }
        let goes_on = match live {
            true => feeder.offer(SystemClock.now()),
            false => hand_on(source, feeder, relay, context),
        };
        tell(source, feeder, relay, context);
        if !goes_on {
            return Ok(());
        }
        if received == Received::End && packets == 0 && source.bytes() > 0 {
            return Err(Error::no_stream(&plan.input, source.bytes()));
        }
        match (received, &plan.again) {
            (Received::End, Some(path)) => {
                let name = path.display();
                return Err(Error::failure(anyhow!(
                    "cannot play '{name}' again: no packets in it"
                )));
            }
            (Received::End, None) => return Ok(()),
            (Received::Packets | Received::Idle, _) => {}
        }
    }
    Ok(())
}

/// Waits for room in the queue; false when nobody takes any more, or the end was asked for.
fn hand_on(
    source: &mut Box<dyn Source>,
    feeder: &mut Feeder,
    relay: &Relay,
    context: &mut Context,
) -> bool {
    while !feeder.hand_on(TURN) {
        tell(source, feeder, relay, context);
        if context.stopping() {
            return false;
        }
    }
    !feeder.is_abandoned()
}

/// Events to the log, and what a turn has to see to.
fn tell(source: &mut Box<dyn Source>, feeder: &mut Feeder, relay: &Relay, context: &mut Context) {
    source.drain_events(&mut |e| context.event(e));
    feeder.drain_events(&mut |e| context.event(e));
    relay.drain_events(&mut |e| context.event(e));
    context.turn(|c| count(c, &**source, feeder, relay));
}

/// Waits for the writer: to the end of a file, or for [`DRAIN`] once the end was asked for. What
/// is left then is said: by the writer, or here where even that stands still.
fn drain(
    writer: JoinHandle<Result<Option<RateExceeded>, EndpointError>>,
    undelivered: impl Fn() -> u64,
    give_up: &AtomicBool,
    relay: &Relay,
    context: &mut Context,
) -> Result<Option<RateExceeded>, Error> {
    let mut asked = None::<Instant>;
    while !writer.is_finished() {
        std::thread::sleep(Duration::from_millis(2));
        relay.drain_events(&mut |e| context.event(e));
        context.turn(|c| relay.counters(c));
        if !context.stopping() {
            continue;
        }
        let since = asked.get_or_insert_with(Instant::now).elapsed();
        if since > DRAIN {
            give_up.store(true, Ordering::Relaxed);
        }
        if since > ABANDON {
            let packets = undelivered();
            relay.post_counters(|c| c.set("left_packets", packets));
            context.event(&OutputEvent::GivenUp { packets });
            return Ok(None);
        }
    }
    let ended = writer.join();
    relay.drain_events(&mut |e| context.event(e));
    match ended {
        Ok(ended) => Ok(ended?),
        Err(_) => Err(Error::failure(anyhow!("the thread that writes has failed"))),
    }
}
