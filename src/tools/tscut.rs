//! `tscut`: programmes out of recordings.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Parser, ValueEnum};

use crate::cli::{Common, Context, Error, Level, Range, ToolArgs, Verdict};
use crate::cut::error::SurveyError;
use crate::cut::survey::{Snap, Survey};
use crate::io::{Endpoint, Recording, is_file_of_ring, is_same_file};
use crate::si::ServiceSelector;

mod delivery;
mod fault;
mod output;
mod passes;
mod report;
mod resync;
mod ringed;
mod scale;
mod tracks;
mod watched;

use delivery::{Order, deliver};
use passes::EpochArg;
use ringed::Ringed;
use scale::{Asked, Scale, nothing_there, ring_error, survey_error};
use watched::Watched;

/// Cut a range out of a recording, nothing re-encoded
///
/// The result begins at a random-access point and ends before another: by default the one at or
/// before --from and the one at or after --to, so that results whose times are random-access
/// points join. What was asked for is all there, save the last pictures before an open out-point,
/// which need what follows it: --snap closed keeps them, and goes farther for it. Every stream is
/// cut to the same stretch of presentation: sound to its access unit, wherever its packets stand in
/// the recording; PES packets and sections stay whole. PAT, PMT and PCR come first, null packets
/// go, every PID stays. Of several services all stay, and the points are those of one: --service
/// says which; the others begin at the first point of their own behind it. After an open
/// random-access point (H.264 recovery point, HEVC CRA, MPEG-2 open GOP) the pictures that need
/// earlier ones are left out; how many is said. Where so many of them are references that an H.264
/// decoder would let go of the point itself they are kept, and that is said: they are presented
/// before the in-point, and damaged.
///
/// SOURCE is a ring of tsring's or multicat's, or a plain file. In a ring times are instants of
/// presentation (the UTC at which the PCR reaches a picture's PTS): RFC 3339, `YYYY-MM-DD
/// HH:MM[:SS[.fff]][ ZONE]`, @UNIX, now, now-2h. In a file they are offsets from its earliest
/// picture: 90s, 1h30m, HH:MM:SS.fff. Neither need be read to find a place in it: how long that
/// takes does not depend on its length. What a ring does not have (yet, or any more) is left out,
/// and said, and so are gaps in the range.
///
/// Where the clock of a recorder was set back by more than a second, instants between were on air
/// twice. A cut never goes over such a step: it is taken from the newest part of the ring that has
/// the whole range without a gap (where none has, from the one that has most of it), other parts
/// that have something of it are named, and --epoch takes one of those. The part that epoch-K closes
/// includes what was received before it under the same clock.
///
/// A segment of the range that is there and cannot be read is an error, and no gap. A range that
/// lies in a gap as a whole is status 1, and nothing is written. What is no packet in a damaged
/// segment or file is left out, and how many bytes that is is said.
///
/// The result has packets of 188 bytes, also where those of SOURCE have 192 or 204: an arrival
/// header or a check sum belongs to a packet where it was, and packets move and are written anew.
///
/// A PMT that changes, a PCR that jumps and the wrap of the 33-bit clock inside the range are
/// passed on and said. Where a clock jumps unannounced its discontinuity_indicator is set; with
/// --rebase, and in MP4 and Matroska always, the clock counts on as well. Lost packets stay lost: their counters show it.
///
/// The duration that is reported is what is presented: the sum over the pieces in which stamps
/// follow one another (`duration_ms`, `pieces`), by PTS. `in_utc` and `out_utc` of a ring go by when
/// packets came, and a ring stamps one packet in seven: with what the network and the recorder
/// make of it, they may lie some milliseconds farther apart or closer than that. What lies between is told beside it: the times
/// for which a ring has no packets (`holes`, `holes_ms`) and by how much the clock jumped
/// (`pcr_jumps`, `pcr_jumped_ms`). `epoch` names the part of a ring whose clock was set back.
///
/// MP4 and Matroska describe a stream once, at the head of the file. Where the coding of one, the
/// size of the picture or the sampling rate of sound changes inside the range, or one stream takes
/// the place of another, no such file is written (status 3, with the instant); a .ts holds both.
/// Streams that begin inside the range are left out of these files, and said.
///
/// The file appears under its name when it is whole; a failure leaves nothing behind. So does
/// SIGINT or SIGTERM, and the status is 3, not 0: the file that was promised is not there.
///
/// # EXAMPLES
///
/// Twenty minutes of a file, and the same as MP4:
///
/// ```text
/// $ tscut recording.ts --from 00:10:00 --to 00:30:00 -o part.ts
/// $ tscut recording.ts --from 00:10:00 --duration 20m -o part.mp4
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
/// # EVENTS
///
/// The range is another: `cut_starts_late`, `cut_ends_early` (what was asked for is not there);
/// `cut_starts_early`, `cut_ends_late` (`--snap closed` passed open points by);
/// `cut_points_missed`. Left out: `leading_pictures_removed`, `cut_packets_not_held`; kept:
/// `leading_pictures_kept`. Left as it was: `stamp_not_moved`, `cut_sound_not_split`. In the
/// recording: `program_change`, `cut_other_programs`, `pcr_jump`, `pcr_wrap`, and of a file's clock
/// `clock_broken`, `clock_not_followed` (times behind it are not exact). Those of OUT are tsrecv's,
/// those of reading a ring tsring's.
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
    source: Endpoint,

    #[command(flatten)]
    range: Range,

    /// Where to write: a file or another endpoint
    #[arg(short, long, value_name = "OUT")]
    output: Endpoint,

    /// What to write; by the name of the output when not given, a transport stream in doubt
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,

    /// The service whose picture gives the points, by its id or name [default: the first one with
    /// a picture]
    #[arg(long, value_name = "SEL")]
    service: Option<ServiceSelector>,

    /// In a ring whose clock was set back, which part the times are in: live or the K of epoch-K
    /// [default: the newest that has all of the range]
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<EpochArg>,

    /// To which random-access points the times move
    #[arg(long, value_name = "WAY", value_enum, default_value_t)]
    snap: SnapArg,

    /// Where the picture begins: at a random-access point, the only place so far
    #[arg(long, value_name = "WHERE", value_parser = in_point, default_value = "rap")]
    in_point: InPoint,

    /// Begin the clock of the result at zero (PCR, PTS, DTS, splice times); that of MP4 and
    /// Matroska always does
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
#[derive(Copy, Clone, Debug)]
enum InPoint {
    /// At a random-access point.
    Rap,
}

fn in_point(text: &str) -> Result<InPoint, String> {
    match text {
        "rap" => Ok(InPoint::Rap),
        "frame" => Err("a cut on the frame re-encodes, which tscut cannot yet: write rap".into()),
        _ => Err("write rap".into()),
    }
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
    let source = source(&args)?;
    if is_same_file(&Endpoint::File(source.clone()), &args.output) {
        let error = anyhow!("'{}' is both source and output", source.display());
        return Err(Error::usage(error).hint("name another file with -o"));
    }
    if source.is_dir() {
        if is_file_of_ring(&source, &args.output) {
            return Err(Error::own_file(&args.output, source.display()));
        }
        from_ring(&args, &source, context)
    } else {
        from_file(&args, &source, context)
    }
}

/// The path of what is cut: places in it are looked for, which takes a file or a ring.
fn source(args: &Args) -> Result<PathBuf, Error> {
    match &args.source {
        Endpoint::File(path) => Ok(path.clone()),
        Endpoint::Standard => {
            let words = anyhow!("'-' cannot be cut: tscut looks for places in a file or a ring");
            Err(Error::usage(words).hint("write the stream to a file first, and cut that"))
        }
        other => {
            let words =
                anyhow!("'{other}' cannot be cut: tscut looks for places in a file or a ring");
            let hint = format!("'tsring record DIR -i {other}' makes a ring to cut from");
            Err(Error::usage(words).hint(hint))
        }
    }
}

fn from_ring(args: &Args, path: &Path, context: &mut Context) -> Result<Verdict, Error> {
    let range = args.range.instants(None)?;
    let near = range.0.map(scale::stream);
    let (mut ring, choice) = Ringed::open(path, range, args.epoch).map_err(ring_error)?;
    if let Some(words) = choice.words() {
        context.say(Level::Warning, &words);
    }
    let service = args.service.as_ref();
    let survey = Survey::of(
        &mut Watched::new(&mut ring, context, ring_error),
        near,
        service,
    );
    let asked = Asked {
        source: path,
        scale: Scale::Utc,
        times: (near, None),
        snap: args.snap,
    };
    let survey = survey.map_err(|e| survey_error(&asked, e))?;
    let times = args.range.instants(Some(scale::wall(survey.origin())))?;
    let asked = Asked {
        times: (times.0.map(scale::stream), times.1.map(scale::stream)),
        ..asked
    };
    let plan = {
        let mut watched = Watched::new(&mut ring, context, ring_error);
        survey.plan(&mut watched, asked.times.0, asked.times.1, args.snap.into())
    };
    let plan = plan.map_err(|e| survey_error(&asked, e))?;
    ring.attest(asked.times, &plan).map_err(ring_error)?;
    let holes = ring.holes(plan.read.clone()).map_err(ring_error)?;
    for event in ring.damaged(&plan.read) {
        context.event(&event);
    }
    let gaps = ring.gaps(&plan, &holes);
    if !holes.is_empty() {
        let mut watched = Watched::new(&mut ring, context, ring_error);
        let held = plan.presents_in(&mut watched, asked.times);
        if !held.map_err(|e| survey_error(&asked, e))? {
            return Err(nothing_there(&asked, &gaps));
        }
    }
    for words in &gaps {
        context.say(Level::Warning, words);
    }
    let order = Order {
        args,
        plan: &plan,
        scale: asked.scale,
        holes: holes
            .iter()
            .map(|hole| (hole.position, hole.length))
            .collect(),
        epoch: choice.name(),
    };
    let junk_before = ring.junk();
    let verdict = deliver(&order, context, &mut ring, ring_error)?;
    say_passed_over(ring.junk() - junk_before, context);
    for (name, bytes) in ring.shortened() {
        let words = format!("{name} was shortened while it was read: {bytes} bytes are missing");
        context.say(Level::Warning, &words);
    }
    Ok(verdict)
}

fn from_file(args: &Args, path: &Path, context: &mut Context) -> Result<Verdict, Error> {
    if args.epoch.is_some() {
        let words = anyhow!("--epoch is for rings: the times of a file are offsets");
        return Err(Error::usage(words).hint("leave --epoch out"));
    }
    // Words first: a wrong one is refused before anything is read.
    let offsets = args.range.offsets()?;
    let mut file = Recording::open(path)?;
    let service = args.service.as_ref();
    let survey = Survey::of(
        &mut Watched::new(&mut file, context, Error::from),
        None,
        service,
    );
    let asked = Asked {
        source: path,
        scale: Scale::default(),
        times: (None, None),
        snap: args.snap,
    };
    let survey = survey.map_err(|e| match e {
        SurveyError::Empty if file.size() > 0 => {
            Error::no_stream(path.display(), file.size().min(Survey::LONGEST_START))
        }
        e => survey_error(&asked, e),
    })?;
    let origin = survey.origin();
    let asked = Asked {
        scale: Scale::File { origin },
        times: (offsets.0.map(|t| origin + t), offsets.1.map(|t| origin + t)),
        ..asked
    };
    let plan = {
        let mut watched = Watched::new(&mut file, context, Error::from);
        survey.plan(&mut watched, asked.times.0, asked.times.1, args.snap.into())
    };
    let plan = plan.map_err(|e| survey_error(&asked, e))?;
    let junk_before = file.junk();
    let order = Order {
        args,
        plan: &plan,
        scale: asked.scale,
        holes: Vec::new(),
        epoch: None,
    };
    let verdict = deliver(&order, context, &mut file, Error::from)?;
    say_passed_over(file.junk() - junk_before, context);
    Ok(verdict)
}

fn say_passed_over(junk: u64, context: &Context) {
    if junk > 0 {
        let words = format!("{junk} bytes between packets were passed over");
        context.say(Level::Warning, &words);
    }
}
