//! `tscut`: programmes out of recordings.

use std::io::Write;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Parser, ValueEnum};
use jiff::tz::TimeZone;

use crate::cli::when::{When, zone};
use crate::cli::{Common, Context, Error, Level, ToolArgs, Verdict};
use crate::cut::edit::Cutter;
use crate::cut::error::SurveyError;
use crate::cut::event::CutEvent;
use crate::cut::material::Material;
use crate::cut::retime::Retimer;
use crate::cut::survey::{Plan, Snap, Survey};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{Endpoint, InputError, Recording, is_same_file};
use crate::ts::{PACKET_SIZE, Packet};
use crate::units::{StreamTime, Ticks27M, WallTime};

mod output;
mod report;
mod ringed;
mod watched;

use output::Output;
use report::{Done, Report};
use ringed::{RingFault, Ringed};
use watched::Watched;

/// Cut a range out of a recording, nothing re-encoded
///
/// The result begins at a random-access point and ends before another: by default the one at or
/// before --from and the one at or after --to, so that nothing of what was asked for is missing,
/// and results whose times are random-access points join. Every stream is cut to the same stretch
/// of presentation: sound to its access unit, wherever its packets stand in the recording; PES
/// packets and sections stay whole. PAT, PMT and PCR come first, null packets go, every PID
/// stays. After an open random-access point (H.264 recovery point, HEVC CRA, MPEG-2 open GOP) the
/// pictures that need earlier ones are left out; how many is said.
///
/// SOURCE is a ring of tsring's or multicat's, or a plain file. In a ring times are instants of
/// presentation (the UTC at which the PCR reaches a picture's PTS): RFC 3339, `YYYY-MM-DD
/// HH:MM[:SS[.fff]][ ZONE]`, @UNIX, now, now-2h. In a file they are offsets from its earliest
/// picture: 90s, 1h30m, HH:MM:SS.fff. Neither need be read to find a place in it: how long that
/// takes does not depend on its length. What a ring does not have (yet, or any more) is left out,
/// and said, and so are gaps in the range.
///
/// A PMT that changes, a PCR that jumps and the wrap of the 33-bit clock inside the range are
/// passed on and said. Where a clock jumps unannounced its discontinuity_indicator is set; with
/// --rebase the clock counts on as well. Lost packets stay lost: their counters show it.
///
/// The file appears under its name when it is whole; a failure or a signal (status 3) leaves
/// nothing behind.
///
/// # EXAMPLES
///
/// Twenty minutes of a file, and the same as MP4:
///
/// ```text
/// $ tscut recording.ts --from 00:10:00 --to 00:30:00 -o part.ts
/// $ tscut recording.ts --from 00:10:00 --to 00:30:00 -o part.mp4
/// ```
///
/// A programme out of a ring:
///
/// ```text
/// $ tscut /var/lib/ring/one --from '2026-11-22 20:55' --to '2026-11-22 22:40' -o film.ts
/// ```
///
/// Two parts that join without a picture missing or twice:
///
/// ```text
/// $ tscut recording.ts --snap closed --to 00:30:00 -o one.ts
/// $ tscut recording.ts --snap closed --from 00:30:00 -o two.ts
/// ```
///
/// What was cut, to the millisecond, for a script:
///
/// ```text
/// $ tscut recording.ts --from 600s --to 660s -o minute.ts --json
/// ```
///
/// # MEMORY
///
/// The source is read 1 MiB at a time. Around an edge the sound of some seconds is held, 16 MiB at
/// most; what precedes the first picture in the recording and belongs behind it, 65 536 packets at
/// most.
#[derive(Debug, Parser)]
#[command(name = "tscut", version, verbatim_doc_comment)]
pub struct Args {
    /// What to cut from: the directory of a ring, or a transport stream file
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// Where to begin; the beginning when not given
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Where to end, exclusive; the end when not given
    #[arg(long, value_name = "TIME")]
    to: Option<String>,

    /// Where to write: a file or another endpoint
    #[arg(short, long, value_name = "OUT")]
    output: Endpoint,

    /// What to write; by the name of the output when not given, a transport stream in doubt
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,

    /// To which random-access points the times move
    #[arg(long, value_name = "WAY", value_enum, default_value_t)]
    snap: SnapArg,

    /// Where the picture begins
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    in_point: InPoint,

    /// Begin the clock of the result at zero (PCR, PTS, DTS, splice times)
    #[arg(long)]
    rebase: bool,

    /// Zone of times without one [default: the machine's]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,

    /// Print what was cut on stdout, as one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: Common,
}

impl ToolArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

/// `--format`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Transport stream
    Ts,
    /// MP4, index first
    Mp4,
    /// Matroska
    Mkv,
}

/// `--snap`.
#[derive(Copy, Clone, Debug, Default, ValueEnum)]
enum SnapArg {
    /// --from to the point at or before, --to to the one at or after
    #[default]
    Outward,
    /// Both to the point at or before
    Before,
    /// Both to the point at or after
    After,
    /// Both to the nearest point
    Nearest,
    /// As outward, over closed points alone
    Closed,
}

impl From<SnapArg> for Snap {
    fn from(arg: SnapArg) -> Self {
        match arg {
            SnapArg::Outward => Self::Outward,
            SnapArg::Before => Self::Before,
            SnapArg::After => Self::After,
            SnapArg::Nearest => Self::Nearest,
            SnapArg::Closed => Self::Closed,
        }
    }
}

/// `--in-point`.
#[derive(Copy, Clone, Debug, Default, ValueEnum)]
enum InPoint {
    /// At a random-access point
    #[default]
    Rap,
}

impl Format {
    /// By the name's extension.
    fn of(output: &Endpoint) -> Self {
        let extension = match output {
            Endpoint::File(path) => path.extension().and_then(|e| e.to_str()),
            _ => None,
        };
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("mp4" | "m4v") => Self::Mp4,
            Some("mkv") => Self::Mkv,
            _ => Self::Ts,
        }
    }
}

/// Positions before the first packet that is wanted: where junk stands between packets, the search
/// for them has found its step by then. A multiple of 188, 192 and 204.
const RUN_UP: u64 = 153_408;

/// Runs the tool.
///
/// # Errors
/// When the source cannot be read or has nothing to cut there, or the output fails.
pub fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    let InPoint::Rap = args.in_point;
    if args.json && args.output == Endpoint::Standard {
        return Err(
            Error::usage(anyhow!("--json and the stream cannot both go to stdout"))
                .hint("name a file with -o"),
        );
    }
    if is_same_file(&Endpoint::File(args.source.clone()), &args.output) {
        let error = anyhow!("'{}' is both source and output", args.source.display());
        return Err(Error::usage(error).hint("name another file with -o"));
    }
    if args.source.is_dir() {
        let zone = zone(args.tz.as_deref())?;
        let now = SystemClock.wall();
        let scale = Scale::Utc { zone, now };
        let (from, to) = times(&args, &scale)?;
        let mut ring = Ringed::open(&args.source).map_err(ring_error)?;
        let survey = Survey::of(&mut Watched::new(&mut ring, context, ring_error), from)
            .map_err(|e| survey_error(&args, &scale, e))?;
        let plan = plan(
            &args,
            context,
            &survey,
            &mut ring,
            (from, to),
            &scale,
            ring_error,
        )?;
        for (since, length, cause) in ring.gaps(wall(plan.from.time), wall(plan.to.time)) {
            let words = format!("gap of {length} in the ring at {since}: {}", cause.name());
            context.say(Level::Warning, &words);
        }
        let verdict = deliver(&args, context, &plan, &mut ring, &scale, ring_error)?;
        for (name, bytes) in ring.shortened() {
            let words =
                format!("{name} was shortened while it was read: {bytes} bytes are missing");
            context.say(Level::Warning, &words);
        }
        return Ok(verdict);
    }
    if args.tz.is_some() {
        return Err(
            Error::usage(anyhow!("--tz is for rings: times in a file have no zone"))
                .hint("leave --tz out"),
        );
    }
    let mut file = Recording::open(&args.source).map_err(input_error)?;
    let unread = Scale::File {
        origin: StreamTime::default(),
    };
    // Words first: a wrong one is refused before anything is read.
    times(&args, &unread)?;
    let survey = Survey::of(&mut Watched::new(&mut file, context, input_error), None)
        .map_err(|e| survey_error(&args, &unread, e))?;
    let scale = Scale::File {
        origin: survey.origin(),
    };
    let times = times(&args, &scale)?;
    let plan = plan(
        &args,
        context,
        &survey,
        &mut file,
        times,
        &scale,
        input_error,
    )?;
    let junk_before = file.junk();
    let verdict = deliver(&args, context, &plan, &mut file, &scale, input_error)?;
    let junk = file.junk() - junk_before;
    if junk > 0 {
        let words = format!("{junk} bytes between packets were passed over");
        context.say(Level::Warning, &words);
    }
    Ok(verdict)
}

/// How times are written.
enum Scale {
    /// As offsets from the earliest picture.
    File {
        /// That picture's instant.
        origin: StreamTime,
    },
    /// As UTC.
    Utc {
        /// The zone of times without one.
        zone: TimeZone,
        /// What `now` means.
        now: WallTime,
    },
}

impl Scale {
    fn read(&self, text: &str, option: &str) -> Result<StreamTime, Error> {
        match self {
            Self::File { origin } => {
                let offset: Ticks27M = text.parse().map_err(|e| {
                    Error::usage(anyhow!("{option}: {e}"))
                        .hint("times in a file are offsets from its beginning")
                })?;
                Ok(*origin + offset)
            }
            Self::Utc { zone, now } => {
                let when: When = text.parse()?;
                Ok(StreamTime::from_ticks(when.resolve(zone, *now)?.ticks()))
            }
        }
    }

    fn write(&self, time: StreamTime) -> String {
        match self {
            Self::File { origin } => (time - *origin).to_string(),
            Self::Utc { .. } => wall(time).to_string(),
        }
    }
}

fn wall(time: StreamTime) -> WallTime {
    WallTime::from_ticks(time.ticks())
}

type Times = (Option<StreamTime>, Option<StreamTime>);

fn times(args: &Args, scale: &Scale) -> Result<Times, Error> {
    let read = |text: &Option<String>, option| {
        let text = text.as_deref();
        text.map(|text| scale.read(text, option)).transpose()
    };
    let (from, to) = (read(&args.from, "--from")?, read(&args.to, "--to")?);
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        let (from, to) = (scale.write(from), scale.write(to));
        return Err(Error::usage(anyhow!(
            "--to {to} does not lie behind --from {from}"
        )));
    }
    Ok((from, to))
}

/// Finds the points and says what was met.
fn plan<M: Material>(
    args: &Args,
    context: &mut Context,
    survey: &Survey,
    source: &mut M,
    (from, to): Times,
    scale: &Scale,
    error: fn(M::Error) -> Error,
) -> Result<Plan, Error> {
    context.ready();
    let plan = survey
        .plan(
            &mut Watched::new(source, context, error),
            from,
            to,
            args.snap.into(),
        )
        .map_err(|e| survey_error(args, scale, e))?;
    for event in &plan.events {
        context.event(event);
    }
    Ok(plan)
}

/// Cuts and reports.
fn deliver<M: Material>(
    args: &Args,
    context: &mut Context,
    plan: &Plan,
    source: &mut M,
    scale: &Scale,
    error: fn(M::Error) -> Error,
) -> Result<Verdict, Error> {
    let format = args.format.unwrap_or_else(|| Format::of(&args.output));
    let output = Output::open(&args.output, format, plan, context)?;
    let done = cut(source, plan, args.rebase, output, context, error)?;
    let report = Report::new(plan, scale, &done);
    if args.json {
        let line = serde_json::to_string(&report)?;
        writeln!(context.answer(), "{line}")?;
    } else {
        context.say(Level::Info, &report.to_string());
    }
    Ok(Verdict::Yes)
}

fn cut<M: Material>(
    source: &mut M,
    plan: &Plan,
    rebase: bool,
    mut output: Output,
    context: &mut Context,
    error: fn(M::Error) -> Error,
) -> Result<Done, Error> {
    let mut cutter = Cutter::new(plan.instructions.clone());
    let mut retimer = Retimer::new(plan.contents.clone(), rebase);
    let mut out: Vec<Packet> = Vec::new();
    let mut done = Done::default();
    let mut events = Vec::new();
    let total = plan.read.end - plan.read.start;
    let mut progress = context.progress("cutting", total);
    source
        .seek(plan.read.start.saturating_sub(RUN_UP))
        .map_err(error)?;
    let mut reached = plan.read.start;
    let mut ended = false;
    while !ended {
        out.clear();
        match source.next_run().map_err(error)? {
            Some(run) if run.position < plan.read.end => {
                let left = (plan.read.end - run.position).div_ceil(run.stride);
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let packets = run.packets.get(..left).unwrap_or(run.packets);
                cutter.push(run.position, run.stride, packets, &mut out);
                reached = run.position + packets.len() as u64 * run.stride;
            }
            _ => {
                cutter.finish(&mut out);
                ended = true;
            }
        }
        retimer.push(&mut out, &mut |event| events.push(event));
        if ended {
            retimer.finish(&mut out, &mut |event| events.push(event));
        }
        events.drain(..).for_each(|event| context.event(&event));
        if let Err(e) = output.write(&out) {
            return Err(interrupted(context).unwrap_or(e));
        }
        done.packets += out.len() as u64;
        context.turn(|counters| {
            counters.set("output_packets", done.packets);
            counters.set("output_bytes", done.packets * PACKET_SIZE as u64);
        });
        if let Some(e) = interrupted(context) {
            return Err(e);
        }
        progress.set(reached.saturating_sub(plan.read.start));
    }
    if cutter.not_held() > 0 {
        let packets = cutter.not_held();
        context.event(&CutEvent::NotHeld { packets });
    }
    if let Err(e) = output.finish() {
        return Err(interrupted(context).unwrap_or(e));
    }
    done.jumps = retimer.jumps();
    done.wraps = retimer.wraps();
    Ok(done)
}

/// What a signal makes of the work: a part of a programme is no programme.
fn interrupted(context: &Context) -> Option<Error> {
    let words = "interrupted: no file was written";
    context.stopping().then(|| Error::failure(anyhow!(words)))
}

fn input_error(e: InputError) -> Error {
    let hint = e.hint();
    let error = if e.is_usage() {
        Error::usage(e)
    } else {
        Error::failure(e)
    };
    hint.into_iter().fold(error, Error::hint)
}

fn ring_error(e: RingFault) -> Error {
    let hint = e.hint();
    let error = if e.is_usage() {
        Error::usage(e)
    } else {
        Error::failure(e)
    };
    hint.into_iter().fold(error, Error::hint)
}

fn survey_error(args: &Args, scale: &Scale, e: SurveyError<Error>) -> Error {
    let mut times = String::new();
    let mut usage = true;
    match &e {
        SurveyError::NothingBetween { from, to } => {
            times = format!(": {} and {}", scale.write(*from), scale.write(*to));
        }
        SurveyError::EndsBefore { last } => {
            times = format!(
                ": its last random-access point is at {}",
                scale.write(*last)
            );
        }
        _ => usage = false,
    }
    let scrambled = matches!(e, SurveyError::Scrambled { .. });
    let source = args.source.display();
    let cause = match e {
        SurveyError::Material(e) => return e,
        e => anyhow!("cannot cut '{source}': {e}{times}"),
    };
    if scrambled {
        Error::failure(cause).hint("descramble it before recording")
    } else if usage {
        Error::usage(cause)
    } else {
        Error::failure(cause)
    }
}
