//! `tscut`: programmes out of recordings.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::cli::{Common, Context, Error, Level, ToolArgs, Verdict};
use crate::cut::edit::Cutter;
use crate::cut::error::SurveyError;
use crate::cut::material::Material;
use crate::cut::retime::Retimer;
use crate::cut::survey::{Place, Plan, Snap, Survey};
use crate::io::{Endpoint, InputError, Recording};
use crate::stream::rap::RapKind;
use crate::ts::Packet;
use crate::units::{StreamTime, Ticks27M};

mod output;

use output::Output;

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
/// SOURCE is a plain file; times are offsets from its earliest picture, as 90s, 1h30m or
/// HH:MM:SS.fff. A file need not be read to find a place in it: how long that takes does not
/// depend on its length.
///
/// A PMT that changes, a PCR that jumps and the wrap of the 33-bit clock inside the range are
/// passed on and said. Where a clock jumps unannounced its discontinuity_indicator is set; with
/// --rebase the clock counts on as well. Lost packets stay lost: their counters show it.
///
/// The file appears under its name when it is whole; a failure or a signal (status 3) leaves
/// nothing behind.
///
/// # Examples
///
/// Twenty minutes of a file, and the same as MP4:
///
/// ```text
/// $ tscut recording.ts --from 00:10:00 --to 00:30:00 -o part.ts
/// $ tscut recording.ts --from 00:10:00 --to 00:30:00 -o part.mp4
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
#[derive(Debug, Parser)]
#[command(name = "tscut", version, verbatim_doc_comment)]
pub struct Args {
    /// What to cut from: a transport stream file
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

/// Packets put out between two looks at signals and counters.
const TURN_PACKETS: usize = 8192;

/// Runs the tool.
///
/// # Errors
/// When the source cannot be read or has nothing to cut there, or the output fails.
pub fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    let InPoint::Rap = args.in_point;
    let format = args.format.unwrap_or_else(|| Format::of(&args.output));
    if args.json && args.output == Endpoint::Standard {
        return Err(
            Error::usage(anyhow!("--json and the stream cannot both go to stdout"))
                .hint("name a file with -o"),
        );
    }
    let from = offset(args.from.as_deref(), "--from")?;
    let to = offset(args.to.as_deref(), "--to")?;
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        return Err(Error::usage(anyhow!(
            "--to {to} does not lie behind --from {from}"
        )));
    }
    let mut source = Recording::open(&args.source).map_err(input_error)?;
    let failed = |e: SurveyError<InputError>| survey_error(&args.source, e);
    let survey = Survey::of(&mut source).map_err(failed)?;
    context.ready();
    let at = |offset: Option<Ticks27M>| offset.map(|offset| survey.origin() + offset);
    let plan = survey
        .plan(&mut source, at(from), at(to), args.snap.into())
        .map_err(failed)?;
    for event in &plan.events {
        context.event(event);
    }
    let output = Output::open(&args.output, format, &plan, context)?;
    let done = cut(&mut source, &plan, args.rebase, output, context)?;
    if source.junk() > 0 {
        let words = format!("{} bytes between packets were passed over", source.junk());
        context.say(Level::Warning, &words);
    }
    let report = Report::new(&plan, survey.origin(), &done);
    if args.json {
        use std::io::Write as _;
        let line = serde_json::to_string(&report)?;
        writeln!(context.answer(), "{line}")?;
    } else {
        context.say(Level::Info, &report.to_string());
    }
    Ok(Verdict::Yes)
}

/// What was written.
#[derive(Copy, Clone, Debug, Default)]
struct Done {
    packets: u64,
    jumps: u64,
    wraps: u64,
}

fn cut(
    source: &mut Recording,
    plan: &Plan,
    rebase: bool,
    mut output: Output,
    context: &mut Context,
) -> Result<Done, Error> {
    let mut cutter = Cutter::new(plan.instructions.clone());
    let mut retimer = Retimer::new(plan.contents.clone(), rebase);
    let mut out: Vec<Packet> = Vec::with_capacity(2 * TURN_PACKETS);
    let mut done = Done::default();
    let total = plan.read.end - plan.read.start;
    let mut progress = context.progress("cutting", total);
    let mut events = Vec::new();
    source.seek(plan.read.start).map_err(input_error)?;
    let mut reached = plan.read.start;
    let mut ended = false;
    while !ended {
        out.clear();
        match source.next_run().map_err(input_error)? {
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
            retimer.finish(&mut out);
        }
        events.drain(..).for_each(|event| context.event(&event));
        output.write(&out)?;
        done.packets += out.len() as u64;
        context.turn(|counters| {
            counters.set("output_packets", done.packets);
            counters.set("output_bytes", done.packets * 188);
        });
        if context.stopping() {
            return Err(Error::failure(anyhow!("interrupted: nothing was written")));
        }
        progress.set(reached - plan.read.start);
    }
    output.finish()?;
    done.jumps = retimer.jumps();
    done.wraps = retimer.wraps();
    Ok(done)
}

fn offset(text: Option<&str>, option: &str) -> Result<Option<Ticks27M>, Error> {
    let parsed = text.map(str::parse::<Ticks27M>).transpose();
    parsed.map_err(|e| {
        Error::usage(anyhow!("{option}: {e}"))
            .hint("times in a file are offsets from its beginning")
    })
}

/// What was cut, in words or JSON.
#[derive(Debug, Serialize)]
struct Report {
    /// In the key's unit, offsets from the earliest picture.
    in_ms: i64,
    out_ms: i64,
    duration_ms: i64,
    in_pts: u64,
    out_pts: u64,
    in_kind: &'static str,
    out_kind: &'static str,
    video_pid: u16,
    leading_pictures_removed: u64,
    leading_pictures_before_out: u64,
    packets: u64,
    bytes: u64,
    pcr_jumps: u64,
    pcr_wraps: u64,
}

impl Report {
    fn new(plan: &Plan, origin: StreamTime, done: &Done) -> Self {
        let ms = |place: &Place| round_ms(place.time - origin);
        let kind = |place: &Place| match place.kind {
            Some(RapKind::Closed) => "closed",
            Some(RapKind::Open) => "open",
            None => "end",
        };
        Self {
            in_ms: ms(&plan.from),
            out_ms: ms(&plan.to),
            duration_ms: round_ms(plan.to.time - plan.from.time),
            in_pts: plan.from.pts.ticks(),
            out_pts: plan.to.pts.ticks(),
            in_kind: kind(&plan.from),
            out_kind: kind(&plan.to),
            video_pid: plan.pid.get(),
            leading_pictures_removed: plan.from.leading,
            leading_pictures_before_out: plan.to.leading,
            packets: done.packets,
            bytes: done.packets * 188,
            pcr_jumps: done.jumps,
            pcr_wraps: done.wraps,
        }
    }
}

/// Milliseconds, to the nearest.
fn round_ms(span: Ticks27M) -> i64 {
    (span + Ticks27M::new(13_500)).get().div_euclid(27_000)
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let span = Ticks27M::from_millis;
        write!(
            f,
            "cut from {} ({}) to {} ({}): {}, {} packets",
            span(self.in_ms),
            self.in_kind,
            span(self.out_ms),
            self.out_kind,
            span(self.duration_ms),
            self.packets
        )?;
        if self.leading_pictures_removed > 0 {
            write!(
                f,
                "; {} leading pictures removed",
                self.leading_pictures_removed
            )?;
        }
        if self.leading_pictures_before_out > 0 {
            let count = self.leading_pictures_before_out;
            write!(
                f,
                "; {count} pictures before the out-point belong to what follows it"
            )?;
        }
        Ok(())
    }
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

fn survey_error(source: &Path, e: SurveyError<InputError>) -> Error {
    let e = match e {
        SurveyError::Material(e) => return input_error(e),
        e => e,
    };
    let hint = match &e {
        SurveyError::EndsBefore { .. } | SurveyError::NothingBetween { .. } => {
            Some("times are offsets from the beginning of the file")
        }
        SurveyError::Scrambled { .. } => Some("descramble it before recording"),
        _ => None,
    };
    let usage = matches!(
        e,
        SurveyError::EndsBefore { .. } | SurveyError::NothingBetween { .. }
    );
    let cause = anyhow!("cannot cut '{}': {e}", source.display());
    let error = if usage {
        Error::usage(cause)
    } else {
        Error::failure(cause)
    };
    hint.into_iter().fold(error, Error::hint)
}
