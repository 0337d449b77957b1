//! Switches between inputs so that the output never stops.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Parser;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::cli::report::to_json;
use crate::cli::{Common, Context, Error, Notices, ToolArgs, Verdict, metrics};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{ControlSocket, Endpoint, OwnedEvent, Sending, is_same_file};
use crate::stream::event::{Event, Value};
use crate::stream::{Batch, Counters, Framing};
use crate::switch::{Fault, Faults, HealthOptions, PolicyOptions, Switch, SwitchOptions};
use crate::units::{Arrival, BitRate, Ticks27M};

mod checks;
mod control;
mod decode;
mod input_news;
mod prometheus;
mod reception;
mod sending;
mod slate;
mod template;

use decode::Decoders;
use reception::{How, Reception};
use slate::{Slate, SlateChoice};

/// One clean output that never stops, from several inputs
///
/// Receives each INPUT at all times and judges it by the checks of tsmon. One is on air; when it
/// has a fault that counts (--on), the first that has none takes its place, and the output goes on
/// as one stream: the old input is left at the end of a picture, the new one is entered at a
/// random-access point, and every other stream is left and entered at the same instant of
/// presentation, sound to the frame. PCR, PTS, DTS and the times of SCTE 35 go on, counters go on,
/// PAT, PMT and SDT never pause.
///
/// The PIDs of the output are those of the input that was on air first, or of --template, for ever.
/// Streams of another input are put on them by kind, coding, language and role; the PMT changes, with
/// a new version, only where it would say something else.
///
/// Inputs are in order of priority. An input that is good again is returned to after --revert.
/// An input that cannot be opened, or fails, is said at once and tried again, each 10 s at last: an
/// interface, a FIFO or a file that is not there yet may come. Where nothing is at the path of any
/// input, and there is no slate, the end is at once, with status 2.
/// Packets leave 300 ms after they came, with --skew 20 ms and --skew later. Without --delay the
/// picture is missing for the time it takes to find the fault and to wait for a random-access point,
/// less these. With --delay
/// of --timeout and one GOP or more, no frame slot is missing: the fault is found, and the
/// splice made, before the output gets there.
///
/// Each input should carry one service; of a multiplex the first is taken, and that is said. PIDs
/// that its PMT does not name (ECMs, null packets) are not passed on, but for the service information of
/// the input on air: EIT present/following of the service, as one of the service of the output, with a
/// version of its own, and TDT and TOT, which say the time at which they came. Their sections leave
/// whole and 400 ms apart. An input that is
/// scrambled cannot be entered, and what is scrambled of the one on air is left out.
///
/// # EXAMPLES
///
/// Two paths, the second one when the first falls silent for 300 ms:
///
/// ```text
/// $ tsfallback -i udp://239.0.0.1:1234 -i udp://239.0.0.2:1234 --timeout 300ms -o udp://239.0.1.1:1234
/// ```
///
/// No frame slot lost, at a constant rate, and a slate when nothing is left:
///
/// ```text
/// $ tsfallback -i rtp://239.0.0.1:5004 -i rtp://239.0.0.2:5004 --slate sorry.ts --delay 2s --cbr 8M -o rtp://239.0.1.1:5004
/// ```
///
/// Left for a black or frozen picture or for silence too, with the PIDs of a recording whatever goes
/// on air first:
///
/// ```text
/// $ tsfallback -i udp://239.0.0.1:1234 -i udp://239.0.0.2:1234 --decode --template channel.ts -o udp://239.0.1.1:1234
/// ```
///
/// Ask, and switch by hand:
///
/// ```text
/// $ tsfallback -i udp://239.0.0.1:1234 -i udp://239.0.0.2:1234 --control /run/one.sock -o udp://239.0.1.1:1234
/// $ echo switch 2 | socat - UNIX-CONNECT:/run/one.sock
/// ok
/// $ echo status | socat - UNIX-CONNECT:/run/one.sock
/// ```
///
/// # FAULTS
///
/// `loss`: no packets for --timeout. `sync`: synchronisation lost. `psi`: no PAT or PMT for 0.5 s.
/// `cc`: --cc-errors breaks of continuity counters in a second. `pcr`: PCRs over 100 ms apart, or
/// jumps that are not announced, three times in a second. `video`, `audio`: no packet of a picture or sound that the PMT names for
/// --timeout, 700 ms at least. `scrambled`: packets of picture or sound are. `bitrate`: outside of
/// --bitrate over a second. A fault is over when it was not found for 2 s; `loss`, with the first
/// packet.
///
/// With --decode: `black` and `freeze`, of the first picture, are found after 2 s; `silence`, of the
/// first sound, after 5 s below -60 dB: as tsmon(1) finds them. A black picture stands still, too. One
/// ffmpeg beside each input decodes it, at a lower priority; at most 2 s or 16 MiB wait for it. What
/// it does not take is not decoded, and that is said (`queue_overflow`, with decoder_of_input): no
/// packet of an input or of the output ever waits. An ffmpeg that dies is said (`exec_died`) and
/// started again after half a second at first and half a minute at last; what it had found stands
/// until the next one could have found it, 30 s at most. Without an ffmpeg that runs tsfallback does
/// not begin.
///
/// # TEMPLATE
///
/// --template takes a transport stream file, as a recording of the channel: the output has its
/// service_id, transport_stream_id, PMT PID, PCR PID and program descriptors, and the PIDs of the
/// streams of its first service. The PMT names those of them that the input on air has
/// (`layout_differs` tells how many it lacks); streams for which the template has no place get PIDs
/// of their own. The name of the service is that of the input.
///
/// # CONTROL
///
/// One line a command, one line an answer: `status` (a JSON object), `switch N` (N is taken, and
/// as long as it is good stays as if it came first), `auto` (the order of the command line again),
/// `enable N`, `disable N`. Answers are `ok` or `error: WHY`. Who may write to the socket may command:
/// its mode is --control-mode.
///
/// # EVENTS
///
/// Decided and done: `switch_decided`, `switched` (how long it took, how much of the picture is
/// missing, and how long the input left was silent), `output_pmt_changed`. Of an input:
/// `input_faulty`, `input_good`, `input_clock_restarted`, `input_failed` (at once, and each 10 min
/// for the same reason), `input_back` (after it had failed), `input_ended`, `other_services`,
/// `layout_differs` (streams that it lacks, or for which there is no room), `input_overflow`;
/// `twin_found`, `twin_lost` (with its reason: differs or silent), `twin_too_late`,
/// `twin_overflow`. Lost: `units_torn` (a picture or sound had begun to leave when its input died),
/// `cbr_rate_exceeded`, `queue_overflow`, `file_unwritten` (the file of --events takes no more: the
/// output goes on, and the status at the end is 3). Of --exec: `command_failed`, `command_killed`,
/// `command_dropped`, as in tsmon(1). Beside them those of reception and sending, as in tsrecv(1);
/// they name their endpoint.
///
/// --events writes `switch_decided`, `switched`, `input_faulty`, `input_good` and
/// `output_pmt_changed` as JSON lines. A command of --exec runs for each of them through the shell
/// with TSFALLBACK_EVENT, TSFALLBACK_TO, TSFALLBACK_FROM, TSFALLBACK_REASON, TSFALLBACK_INPUT,
/// TSFALLBACK_FAULTS, TSFALLBACK_TIME and TSFALLBACK_JSON in its environment.
///
/// # DAMAGE
///
/// With --skew, inputs that carry the same packets (two paths of one encoder) are found out by their
/// content, and merged packet by packet: what any of them has within --skew of the first leaves once and in
/// order, and as long as one of them lives nothing is switched. That is proven up to a loss of 5 % on
/// each; at more, a datagram may seldom leave out of order where each has lost several side by side; what
/// has no place is left out (twin_different_packets). The faults of such an input that
/// count are those that are left then; its own are told all the same. Null packets do not matter
/// here. An input that goes over to something else is found out after 48 packets of it, and is not
/// merged any more for 10 s at least. What no input has is lost in the output too, and its continuity
/// counters tell. With --align a switch between inputs of the same stamps is exact to the picture.
/// Packets with transport_error_indicator are not passed on.
///
/// # COUNTERS
///
/// In --stats and --stats-json: switches_total, missing_ms (of picture), torn_units_total,
/// passed_continuity_errors_total,
/// foreign_units_total (left out: their stamps are of another clock), overflow_packets,
/// held_packets, stamps_not_moved_total (their PES headers are cut),
/// dropped_sections_total (of EIT, TDT or TOT, which came too fast), out_packets; of each input those of
/// tsrecv(1), as input_1_in_packets, and, while there is a twin of it, input_1_twin_lost_packets (a
/// twin had them), input_1_twin_late_packets (later than --skew), input_1_twin_different_packets
/// (in no other: left out), input_1_twin_repeated_packets, input_1_twin_lag_ms.
///
/// # MEMORY
///
/// Of each input what came within --delay and 1.8 s, 340 000 packets (61 MiB) at most, and with
/// --skew twice what came within it and 20 ms, 65 536 packets (16 MiB) at most; a queue of 16 MiB an
/// input and one for the output; with --decode one more an input, and ffmpeg.
#[derive(Debug, Parser)]
#[command(name = "tsfallback", version, verbatim_doc_comment)]
pub struct Args {
    /// Where packets come from, in order of priority (can be repeated)
    #[arg(short, long, value_name = "ENDPOINT", required = true)]
    input: Vec<Endpoint>,

    /// Where packets go
    #[arg(short, long, value_name = "ENDPOINT", default_value = "-")]
    output: Endpoint,

    /// Play this file again and again while no input is good; or make a slate with ffmpeg, like
    /// the input that is on air: 'black' or 'bars' ('./black' is a file of that name)
    #[arg(long, value_name = "FILE")]
    slate: Option<SlateChoice>,

    /// The faults that count [default: all but bitrate; black, freeze and silence with --decode]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Deciding"
    )]
    on: Vec<Fault>,

    /// No packets for so long is a loss: 50ms or more
    #[arg(long, value_name = "DURATION", value_parser = timeout,
          default_value = "500ms", help_heading = "Deciding")]
    timeout: Duration,

    /// So many breaks of continuity counters in a second are a fault
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Deciding"
    )]
    cc_errors: u16,

    /// The bit rate of an input is within these; outside is a fault
    #[arg(long, value_name = "LEAST-MOST", value_parser = window, help_heading = "Deciding")]
    bitrate: Option<(BitRate, BitRate)>,

    /// Decode the first picture and the first sound of each input, with an ffmpeg beside it: for the
    /// faults black, freeze and silence
    #[arg(long, help_heading = "Deciding")]
    decode: bool,

    /// Return to an input of higher priority when it was good for so long; or 'never'
    #[arg(long, value_name = "DURATION", value_parser = revert,
          default_value = "30s", help_heading = "Deciding")]
    revert: Revert,

    /// Take an input that was left for a fault not again for so long, while another is good
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration,
          default_value = "5s", help_heading = "Deciding")]
    hold_off: Duration,

    /// Lay the output out like the first service of this transport stream file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    template: Option<PathBuf>,

    /// Hold the output back by so much more: the timeout and a GOP, and no frame slot is lost
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration,
          default_value = "0s", help_heading = "Output")]
    delay: Duration,

    /// Take inputs of which the stamps are so far apart at most for the same programme with the same
    /// stamps: a switch then neither repeats nor skips a picture
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration,
          help_heading = "Output")]
    align: Option<Duration>,

    /// Merge inputs that bring the same packets, one so much later than another at most: what one has
    /// lost is taken from the other; 50ms, up to 1s
    #[arg(long, value_name = "DURATION", value_parser = skew, help_heading = "Output")]
    skew: Option<Duration>,

    /// Stuff with null packets to a constant rate: 8M, 4500k or bit/s
    #[arg(long, value_name = "RATE", help_heading = "Output")]
    cbr: Option<BitRate>,

    /// Write 192-byte packets with the time at which each leaves
    #[arg(long, help_heading = "Output")]
    timed: bool,

    /// Take commands on this Unix socket
    #[arg(long, value_name = "SOCKET", help_heading = "Control and news")]
    control: Option<PathBuf>,

    /// Who may command: the mode of the socket
    #[arg(long, value_name = "MODE", value_parser = control::mode,
          default_value = "0660", help_heading = "Control and news")]
    control_mode: u32,

    /// Append what happens to this file, a JSON object a line
    #[arg(long, value_name = "FILE", help_heading = "Control and news")]
    events: Option<PathBuf>,

    /// Run this command when something happens
    #[arg(long, value_name = "COMMAND", help_heading = "Control and news")]
    exec: Option<String>,

    /// Serve metrics to Prometheus at http://ADDR:PORT/metrics
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Control and news")]
    prometheus: Option<std::net::SocketAddr>,

    #[command(flatten)]
    common: Common,
}

impl ToolArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

/// When is returned.
#[derive(Copy, Clone, Debug)]
enum Revert {
    Never,
    After(Duration),
}

fn revert(text: &str) -> Result<Revert, String> {
    match text {
        "never" => Ok(Revert::Never),
        _ => humantime::parse_duration(text)
            .map(Revert::After)
            .map_err(|e| format!("{e}; or write 'never'")),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    match timeout >= Duration::from_millis(50) {
        true => Ok(timeout),
        false => Err("write 50ms or more".to_owned()),
    }
}

fn skew(text: &str) -> Result<Duration, String> {
    let skew = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    match Ticks27M::from(skew) <= SwitchOptions::MOST_SKEW {
        true => Ok(skew),
        false => Err("write 1s or less".to_owned()),
    }
}

fn window(text: &str) -> Result<(BitRate, BitRate), String> {
    let error = || "write two rates, as 2M-8M".to_owned();
    let (least, most) = text.split_once('-').ok_or_else(error)?;
    let (least, most) = (least.parse(), most.parse());
    match (least, most) {
        (Ok(least), Ok(most)) if least < most => Ok((least, most)),
        _ => Err(error()),
    }
}

/// How often the switch is asked.
const TURN: Ticks27M = Ticks27M::from_millis(2);
/// How often metrics and the status are brought up to date.
const UPDATE: Duration = Duration::from_secs(1);
/// What is told by --events and --exec.
const NEWS: [&str; 5] = [
    "switch_decided",
    "switched",
    "input_faulty",
    "input_good",
    "output_pmt_changed",
];

fn options(args: &Args) -> SwitchOptions {
    let on = match args.on.is_empty() {
        true if args.decode => HealthOptions::default().on.and(Faults::DECODED),
        true => HealthOptions::default().on,
        false => args.on.iter().copied().collect(),
    };
    SwitchOptions {
        hold: SwitchOptions::LEAST_HOLD + Ticks27M::from(args.delay),
        health: HealthOptions {
            on,
            timeout: args.timeout.into(),
            cc_errors: usize::from(args.cc_errors),
            bitrate: args.bitrate,
        },
        policy: PolicyOptions {
            revert: match args.revert {
                Revert::Never => None,
                Revert::After(time) => Some(time.into()),
            },
            hold_off: args.hold_off.into(),
            slate: args.slate.is_some(),
        },
        rate: args.cbr,
        align: args.align.map(Ticks27M::from),
        skew: args.skew.map(Ticks27M::from),
    }
}

fn check(args: &Args) -> Result<(), Error> {
    let slate = match &args.slate {
        Some(SlateChoice::File(path)) => Some(path.clone()),
        _ => None,
    };
    let slate_file = slate.clone().map(Endpoint::File);
    for input in args.input.iter().chain(&slate_file) {
        if is_same_file(input, &args.output) {
            let error = anyhow!("'{input}' is both input and output");
            return Err(Error::usage(error).hint("write to another file"));
        }
    }
    let standard = args.input.iter().filter(|i| **i == Endpoint::Standard);
    if standard.count() > 1 {
        return Err(Error::usage(anyhow!("stdin is named twice")).hint("one input can be '-'"));
    }
    if let Some(slate) = slate.filter(|path| !path.is_file()) {
        let error = anyhow!("the slate '{}' is no file", slate.display());
        return Err(
            Error::usage(error).hint("--slate takes a transport stream file, black or bars")
        );
    }
    if args.on.contains(&Fault::Bitrate) != args.bitrate.is_some() && !args.on.is_empty()
        || args.on.is_empty() && args.bitrate.is_some()
    {
        let error = anyhow!("--bitrate and --on bitrate belong together");
        return Err(Error::usage(error).hint("--on loss,cc,bitrate --bitrate 2M-8M"));
    }
    checks::decoding(args)?;
    Ok(())
}

/// Everything of a run.
struct Running {
    switch: Switch,
    receptions: Vec<Reception>,
    slate: Option<Slate>,
    decoders: Option<Decoders>,
    sending: Sending,
    control: Option<ControlSocket>,
    notices: Notices,
    page: Option<Arc<Mutex<String>>>,
    updated: Option<Instant>,
    status: String,
    batch: Batch,
}

/// Receives, decides and sends until the end is asked for.
///
/// # Errors
/// Where the output fails, or all inputs have ended without a packet.
pub fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    check(&args)?;
    checks::presence(&args)?;
    let template = args.template.as_deref().map(template::read).transpose()?;
    let decoders = args.decode.then(|| Decoders::new(args.input.len()));
    let decoders = decoders.transpose()?;
    let framing = if args.timed {
        Framing::Timed
    } else {
        Framing::Plain
    };
    let give_up = Arc::new(AtomicBool::new(false));
    let stopped = match args.output {
        // What is due within the drain leaves in time.
        Endpoint::Socket(_) => Arc::clone(&give_up),
        _ => context.signals().stop_flag(),
    };
    let sending = match sending::start(&args.output, framing, stopped) {
        // A FIFO that nobody opened.
        Err(_) if context.stopping() => return Ok(Verdict::Yes),
        sending => sending?,
    };
    let control = args.control.as_ref();
    let control = control.map(|path| control::open(path, args.control_mode));
    let notices = Notices::open(args.events.as_deref(), args.exec.as_deref())?;
    let page = args.prometheus.map(|at| metrics::serve(at, context));
    let stop = Arc::new(AtomicBool::new(false));
    let receptions = args.input.iter().map(|endpoint| {
        let how = How {
            again: false,
            stop: Arc::clone(&stop),
        };
        Reception::start(endpoint.clone(), how)
    });
    let receptions = receptions.collect::<Result<Vec<_>, _>>()?;
    let inputs = receptions.len();
    let slate = args.slate.clone();
    let slate = slate
        .map(|choice| Slate::start(choice, inputs))
        .transpose()?;
    let mut running = Running {
        switch: Switch::new(options(&args), inputs + usize::from(slate.is_some())),
        receptions,
        slate,
        decoders,
        sending,
        control: control.transpose()?,
        notices,
        page: page.transpose()?,
        updated: None,
        status: String::new(),
        batch: Batch::with_capacity(0),
    };
    if let Some(template) = template {
        running.switch.lay_out_like(template);
    }
    context.ready();
    let ended = running.run(context);
    stop.store(true, Ordering::Relaxed);
    let sent = sending::finish(&mut running.sending, context);
    if let Some(decoders) = running.decoders.take() {
        decoders.end();
    }
    give_up.store(true, Ordering::Relaxed);
    running.tell(context)?;
    let told = running.notices.finish(context);
    context.last_turn(|c| running.count(c));
    sent?;
    ended?;
    told?;
    Ok(Verdict::Yes)
}

impl Running {
    fn run(&mut self, context: &mut Context) -> Result<(), Error> {
        let mut next = SystemClock.now();
        while !context.stopping() && !self.is_over() {
            if !self.turn(context)? {
                return Ok(());
            }
            next = (next + TURN).max(SystemClock.now() - TURN);
            SystemClock.sleep_until(next);
        }
        self.switch.end();
        let until = Instant::now() + Duration::from_secs(2) + self.patience();
        while !self.switch.is_over() && Instant::now() < until {
            if !self.turn(context)? {
                return Ok(());
            }
            SystemClock.sleep_until(SystemClock.now() + TURN);
        }
        Ok(())
    }

    /// What an ended input still has to send.
    fn patience(&self) -> Duration {
        match self.is_over() {
            true => self.switch.hold().to_duration(),
            false => Duration::ZERO,
        }
    }

    /// True when every input has ended.
    fn is_over(&self) -> bool {
        self.slate.is_none() && self.receptions.iter().all(|r| r.ended)
    }

    /// A turn of the loop; false when nobody takes the output any more.
    fn turn(&mut self, context: &mut Context) -> Result<bool, Error> {
        let slate = self.slate.as_mut().and_then(|s| s.reception.as_mut());
        for (n, reception) in self.receptions.iter_mut().chain(slate).enumerate() {
            while reception.take(&mut self.batch) {
                self.switch.push(n, &self.batch);
                if let Some(decoders) = &mut self.decoders {
                    decoders.push(n, &self.batch);
                }
            }
            if reception.take_sync_loss() {
                self.switch.sync_lost(n);
            }
            if reception.take_restart() {
                self.switch.restarted(n);
                if let Some(decoders) = &mut self.decoders {
                    decoders.restarted(n);
                }
            }
        }
        if let Some(slate) = &mut self.slate {
            slate.turn(&mut self.switch, context)?;
        }
        if let Some(decoders) = &mut self.decoders {
            decoders.turn(&mut self.switch, context);
        }
        let now = SystemClock.now();
        if let Some(command) = self.control.as_ref().and_then(ControlSocket::next) {
            let text = command.text.clone();
            let all = receptions(&self.receptions, self.slate.as_ref());
            let inputs = self.receptions.len();
            let answer = control::obey(&text, &mut self.switch, &all, inputs, now);
            command.answer(&answer);
        }
        let sending = &mut self.sending;
        self.switch
            .advance(now, &mut |packet, at| sending.put(packet, at, now));
        let taken = sending.offer(now);
        self.tell(context)?;
        self.update(now, context);
        context.turn(|c| self.count(c));
        Ok(taken)
    }

    /// Events to the log and to those who asked for them.
    fn tell(&mut self, context: &mut Context) -> Result<(), Error> {
        let mut news: Vec<OwnedEvent> = Vec::new();
        self.switch.drain_events(&mut |event| {
            context.event(event);
            if NEWS.contains(&event.name()) {
                news.push(event.into());
            }
        });
        for reception in receptions(&self.receptions, self.slate.as_ref()) {
            reception.drain_events(&mut |e| context.event(e));
        }
        self.sending.drain_events(&mut |e| context.event(e));
        for event in &news {
            if event.name() == "switched" {
                self.updated = None;
            }
            let line = News::new(event);
            if self.notices.has_command() {
                let environment = line.environment()?;
                self.notices.run(environment);
            }
            self.notices.line(&line, context)?;
        }
        self.notices.turn(context);
        Ok(())
    }

    fn update(&mut self, now: Arrival, context: &Context) {
        if self.updated.is_some_and(|then| then.elapsed() < UPDATE) {
            return;
        }
        self.updated = Some(Instant::now());
        if let Some(page) = &self.page {
            let all = receptions(&self.receptions, self.slate.as_ref());
            let text = prometheus::page(&self.switch, &all, now);
            *page.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
        let all = receptions(&self.receptions, self.slate.as_ref());
        let on_air = self.switch.on_air();
        let on_air = on_air.and_then(|n| all.get(n).map(|r| (n, r)));
        let status = match on_air {
            Some((n, reception)) => format!("input {} on air: {}", n + 1, reception.endpoint),
            None => "no input is good yet".to_owned(),
        };
        if status != self.status {
            context.status(&status);
            self.status = status;
        }
    }

    fn count(&self, out: &mut dyn Counters) {
        self.switch.counters(out);
        self.sending.counters(out);
        let all = receptions(&self.receptions, self.slate.as_ref());
        for (n, reception) in all.iter().enumerate() {
            reception.counters(&mut Prefixed {
                prefix: format!("input_{}_", n + 1),
                out,
            });
        }
    }
}

/// The inputs, and the slate behind them when there is one.
fn receptions<'a>(inputs: &'a [Reception], slate: Option<&'a Slate>) -> Vec<&'a Reception> {
    let slate = slate.and_then(|slate| slate.reception.as_ref());
    inputs.iter().chain(slate).collect()
}

/// Counters of one input among several.
struct Prefixed<'a> {
    prefix: String,
    out: &'a mut dyn Counters,
}

impl Counters for Prefixed<'_> {
    fn put(&mut self, key: &str, value: Value) {
        self.out.put(&format!("{}{key}", self.prefix), value);
    }
}

/// A line of `--events`.
#[derive(Debug, Serialize)]
struct News {
    time: String,
    event: &'static str,
    #[serde(flatten)]
    fields: Map<String, Json>,
}

impl News {
    fn new(event: &OwnedEvent) -> Self {
        let mut fields = Map::new();
        event.fields(&mut |key, value| {
            fields.insert(key.to_owned(), to_json(&value));
        });
        Self {
            time: SystemClock.wall().to_string(),
            event: event.name(),
            fields,
        }
    }

    /// What a command is told.
    fn environment(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let field = |key: &str| match self.fields.get(key) {
            Some(Json::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        Ok(vec![
            ("TSFALLBACK_EVENT", self.event.to_owned()),
            ("TSFALLBACK_TO", field("to_input")),
            ("TSFALLBACK_FROM", field("from_input")),
            ("TSFALLBACK_REASON", field("reason")),
            ("TSFALLBACK_INPUT", field("input")),
            ("TSFALLBACK_FAULTS", field("faults")),
            ("TSFALLBACK_TIME", self.time.clone()),
            ("TSFALLBACK_JSON", serde_json::to_string(self)?),
        ])
    }
}
