//! Measures a transport stream, and says what is wrong with it.

mod content;
mod text;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::cli::{Common, Context, Error, Progress, ToolArgs, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{Endpoint, InputOptions, Received, Source, open_input};
use crate::monitor::clocks::Demarcation;
use crate::monitor::{Finding, Monitor, MonitorOptions, TimeSource};
use crate::stream::event::Value;
use crate::stream::{Batch, Counters, Framing};

/// Measure a transport stream, and say what is wrong with it
///
/// tsmon reads INPUT to its end, or until SIGINT or SIGTERM, and prints a report on stdout: the
/// services, the PIDs with their bit rates, and what each check of ETSI TR 101 290 V1.4.1 found.
/// A check that could not be judged on this input says so, and why: it has not been passed.
///
/// INPUT is `-` (stdin), a file, FIFO or device, `udp://[SOURCE@]ADDR:PORT`, `rtp://…`,
/// `exec:COMMAND`, or multicat's own form. Packets of 188, 192 and 204 bytes are told apart by
/// themselves. Packets with transport_error_indicator or a bad sync byte are counted, and belong
/// to no PID.
///
/// Time is told by the arrivals on a socket, a device, and where packets carry theirs (192
/// bytes); elsewhere by the PCRs of one PID, the first service's where it has any, and between
/// two PCRs by the place in the stream. `--clock` decides otherwise.
///
/// # CHECKS
///
/// Every place where a sync byte is due and is another is one `sync_byte_error`; two in a row are
/// also a `ts_sync_loss`, which is over when five good ones follow. One repeat of a packet that is
/// the same, PCR apart, is legal; any other step of the continuity counter that no
/// discontinuity_indicator announces is a `continuity_count_error`.
///
/// `pcr_repetition_error` is more than 100 ms between the values of two PCRs of a PID that a PMT
/// names; on a live input also none for 150 ms. `pcr_discontinuity_indicator_error` is a step of
/// the value back, or of more than 100 ms, that no discontinuity_indicator announces.
/// `pcr_accuracy_error` is a PCR more than 500 ns from its place in a stream of constant rate
/// (PCR_AC), and not judged where the rate is not constant or packets are missing: the rate is
/// that of a window of a second or more, refined as it goes on, and what moves more slowly than
/// `--pcr-filter` is no error. Where the line through jittering PCRs is itself uncertain, an error
/// counts when it is beyond the limit by three standard errors. `pts_error` is more than 700 ms
/// between two PTS (by decoding order) of a video or audio stream that announces no still
/// pictures, or none for 1.7 s.
///
/// Overall jitter (PCR_OJ), frequency offset and drift of the PCRs are measured where arrivals
/// tell the time, and are as good as these. Whether 27 MHz is kept within 30 ppm is judged only
/// when the kernel says that this machine's clock is kept by NTP or PTP.
///
/// # EXAMPLES
///
/// What is in a recording, and what is wrong with it:
///
/// ```text
/// $ tsmon recording.ts
/// ```
///
/// The bit rate of each PID of a channel, for a script:
///
/// ```text
/// $ tsmon --report json recording.ts | jq '.pids[] | {pid, bitrate_bps}'
/// ```
#[derive(Debug, Parser)]
#[command(name = "tsmon", version, verbatim_doc_comment)]
pub struct Args {
    /// Where packets come from [default: -]
    #[arg(value_name = "INPUT")]
    input_operand: Option<Endpoint>,

    /// Where packets come from, as an option
    #[arg(short, long, value_name = "ENDPOINT", conflicts_with = "input_operand")]
    input: Option<Endpoint>,

    /// Print the report in this form
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    report: Form,

    /// What tells the time
    #[arg(long, value_name = "SOURCE", value_enum, default_value_t)]
    clock: ClockChoice,

    /// What separates jitter of PCRs from drift: mgf1 (10 mHz), mgf2 (100 mHz), mgf3 (1 Hz), or
    /// any frequency from 10mHz to 10Hz
    #[arg(long, value_name = "FREQUENCY", default_value = "mgf2")]
    pcr_filter: Demarcation,

    #[command(flatten)]
    common: Common,
}

impl ToolArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

/// How a report is written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person, on one screen
    #[default]
    Text,
    /// One JSON object
    Json,
}

/// What tells the time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ClockChoice {
    /// Arrivals on live inputs and where packets carry them, PCRs elsewhere
    #[default]
    Auto,
    /// The arrivals: of a pipe too
    Arrival,
    /// The PCRs of one PID
    Pcr,
}

impl ClockChoice {
    /// What tells the time of an input that has shown its first packets.
    fn source(self, source: &dyn Source) -> TimeSource {
        let timed = source.is_live() || source.framing() == Some(Framing::Timed);
        match self {
            Self::Auto if timed => TimeSource::Arrival,
            Self::Auto | Self::Pcr => TimeSource::Pcr,
            Self::Arrival => TimeSource::Arrival,
        }
    }
}

/// How long a turn of the loop waits: signals and absent tables are seen to in between.
const TURN: Duration = Duration::from_millis(100);
/// Packets of a turn at most: 1 MB.
const BATCH_PACKETS: usize = 5577;

/// Measures until the input ends or the end is asked for, and prints the report.
///
/// # Errors
/// Where the input fails.
pub fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    let input = args
        .input
        .or(args.input_operand)
        .unwrap_or(Endpoint::Standard);
    let options = InputOptions {
        linger: InputOptions::RECORDER_LINGER,
        ..InputOptions::default()
    };
    let mut source = open_input(&input, &options)?;
    context.ready();
    context.status(&format!("measuring {input}"));
    let mut progress = source
        .length()
        .map(|length| context.progress("measured", length));
    // A file's batches are filled: the clock looks ahead in them.
    let file = source.length().is_some();
    let mut batch = Batch::with_capacity(BATCH_PACKETS);
    // What tells the time is known when the framing is.
    let mut started = None::<Monitor>;
    let mut losses = Losses::default();
    loop {
        batch.clear();
        let mut received = source.receive(&mut batch, TURN)?;
        while file && received == Received::Packets && batch.room() > 0 {
            received = source.receive(&mut batch, TURN)?;
        }
        let monitor = match &mut started {
            Some(monitor) => monitor,
            None if batch.is_empty() && received == Received::Idle => {
                if turn(context, &mut *source, None, &mut progress) {
                    break;
                }
                continue;
            }
            None => started.insert(Monitor::new(MonitorOptions {
                time: args.clock.source(&*source),
                disciplined: source.is_live() && SystemClock::is_kept(),
                pcr_filter: args.pcr_filter,
            })),
        };
        losses.tell(&mut *source, monitor, context);
        match received {
            Received::Idle => monitor.idle(SystemClock.now(), &mut found),
            Received::Packets | Received::End => monitor.push(&batch, &mut found),
        }
        let stopping = turn(context, &mut *source, Some(monitor), &mut progress);
        if received == Received::End || stopping {
            break;
        }
    }
    drop(progress);
    let mut monitor = started.unwrap_or_else(|| Monitor::new(MonitorOptions::default()));
    losses.tell(&mut *source, &mut monitor, context);
    monitor.finish(&mut found);
    context.last_turn(|c| count(c, &*source, Some(&monitor)));
    print(args.report, &monitor, context)?;
    Ok(Verdict::Yes)
}

/// What was found is counted by the monitor and stands in the report.
fn found(_finding: &Finding) {}

/// What a turn has to see to; true when the end was asked for.
fn turn(
    context: &mut Context,
    source: &mut dyn Source,
    monitor: Option<&Monitor>,
    progress: &mut Option<Progress>,
) -> bool {
    if let (Some(progress), Some(monitor)) = (progress, monitor) {
        progress.set(monitor.bytes());
    }
    context.turn(|c| count(c, source, monitor));
    context.stopping()
}

fn count(out: &mut dyn Counters, source: &dyn Source, monitor: Option<&Monitor>) {
    source.counters(out);
    if let Some(monitor) = monitor {
        monitor.counters(out);
    }
}

/// The losses of synchronisation, which the search for packets sees and no check can.
#[derive(Debug, Default)]
struct Losses {
    told: u64,
}

impl Losses {
    /// Hands over the losses since the last call, and the other events to the log. To be called
    /// before the packets of the turn are pushed.
    fn tell(&mut self, source: &mut dyn Source, monitor: &mut Monitor, context: &Context) {
        let mut place = monitor.packets();
        source.drain_events(&mut |event| {
            if event.name() == "sync_lost" {
                event.fields(&mut |key, value| {
                    if let ("at_packet", Value::Number(n)) = (key, value) {
                        place = u64::try_from(n).unwrap_or(0);
                    }
                });
                monitor.sync_lost(place);
                self.told += 1;
            }
            context.event(event);
        });
        // Of a flood, few are events and all are counted.
        let mut counted = LossCount(self.told);
        source.counters(&mut counted);
        while self.told < counted.0 {
            monitor.sync_lost(place);
            self.told += 1;
        }
    }
}

/// Picks one counter out of a source's.
struct LossCount(u64);

impl Counters for LossCount {
    fn put(&mut self, key: &str, value: Value) {
        if let ("sync_losses_total", Value::Number(n)) = (key, value) {
            self.0 = u64::try_from(n).unwrap_or(0);
        }
    }
}

/// Prints the report on stdout.
fn print(form: Form, monitor: &Monitor, context: &mut Context) -> Result<(), Error> {
    let report = monitor.report();
    let text = match form {
        Form::Text => text::page(&report),
        Form::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    let written = context.answer().write_all(text.as_bytes());
    Ok(written.context("cannot write to stdout")?)
}
