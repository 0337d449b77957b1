//! `tsring info`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::existing;
use super::multicat::command_lines;
use crate::cli::{Common, Context, Error, Range, Verdict, visible};
use crate::io::clock::{Clock, SystemClock};
use crate::ring::{Disk, Ring, RingEvent, Summary};
use crate::stream::Counters;
use crate::units::{BitRate, ByteCount, Ticks27M, WallTime};

/// `tsring info`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The ring
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    range: Range,

    #[command(flatten)]
    pub(super) common: Common,
}

/// Gaps, events and commands shown in text; JSON has them all.
const SHOWN: usize = 20;

#[derive(Serialize)]
struct Info {
    directory: String,
    first: Option<String>,
    last: Option<String>,
    duration_ms: i64,
    bytes: u64,
    bitrate_bps: Option<u64>,
    segments: usize,
    segment_ms: Option<i64>,
    keep_ms: Option<i64>,
    max_bytes: Option<u64>,
    min_free_bytes: Option<u64>,
    epochs: usize,
    recording: bool,
    indexed: bool,
    random_access_points: u64,
    discontinuities: u64,
    gaps: Vec<GapInfo>,
    clock_steps: Vec<StepInfo>,
    services: Vec<ServiceInfo>,
    events: Vec<EventInfo>,
    splices: Vec<SpliceInfo>,
    multicat: Vec<String>,
}

#[derive(Serialize)]
struct GapInfo {
    from: String,
    /// `None` while it lasts.
    to: Option<String>,
    duration_ms: i64,
    cause: &'static str,
    lost_packets: u64,
    /// Between which files others are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    between: Option<[String; 2]>,
    /// Which file has less in it than it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    short: Option<String>,
    #[serde(skip)]
    what: Option<String>,
}

#[derive(Serialize)]
struct StepInfo {
    at: String,
    by_ms: i64,
}

#[derive(Serialize)]
struct ServiceInfo {
    id: u16,
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<u8>,
    pmt_pid: Option<u16>,
    pcr_pid: Option<u16>,
    pmt_seen: u32,
}

#[derive(Serialize)]
struct EventInfo {
    service: u16,
    event_id: u16,
    title: String,
    start: String,
    stop: Option<String>,
    announced_start: Option<String>,
    announced_duration_ms: i64,
}

#[derive(Serialize)]
struct SpliceInfo {
    at: String,
    pid: u16,
    command: u8,
    event_id: Option<u32>,
    pts_90k: Option<u64>,
}

/// Runs `tsring info`.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = existing(&args.dir)?;
    let ring = Ring::open(Arc::new(Disk), &dir)?;
    let summary = ring.summary()?;
    let range = args.range.instants(ring.first())?;
    let info = Info::new(&ring, &summary, range);
    for damaged in &ring.layout().damaged {
        context.event(&damaged.event());
    }
    for name in &ring.layout().foreign {
        context.event(&RingEvent::Foreign { name: name.clone() });
    }
    // What is told of times and rates rests on the ends.
    let segments = ring.segments();
    let only = segments.first() == segments.last();
    let newest = segments.last().filter(|_| !only);
    for segment in segments.first().into_iter().chain(newest) {
        let stamps = ring.stamps(segment).damaged();
        if stamps > 0 {
            let name = segment.display();
            context.event(&RingEvent::StampsDamaged { name, stamps });
        }
    }
    let text = if args.json {
        let mut line = serde_json::to_string_pretty(&info)?;
        line.push('\n');
        line
    } else {
        info.text()
    };
    context.answer().write_all(text.as_bytes())?;
    context.last_turn(|c| info.count(c));
    Ok(Verdict::Yes)
}

impl Info {
    fn new(ring: &Ring, summary: &Summary, range: (Option<WallTime>, Option<WallTime>)) -> Self {
        let (first, last) = summary.span.unzip();
        let duration = ring.length();
        let settings = ring.layout().settings.as_ref();
        let lasting = ring.lasting_gap(SystemClock.wall());
        let text = |at: WallTime| at.to_string();
        Self {
            directory: ring.dir().display().to_string(),
            first: first.map(text),
            last: last.map(text),
            duration_ms: duration.as_millis(),
            bytes: summary.bytes,
            bitrate_bps: BitRate::of(summary.bytes, duration).map(BitRate::get),
            segments: summary.segments,
            segment_ms: ring.segment_length().map(Ticks27M::as_millis),
            keep_ms: settings.map(|s| s.keep().as_millis()),
            max_bytes: settings.and_then(|s| s.max_bytes),
            min_free_bytes: settings.and_then(|s| s.min_free),
            epochs: ring.layout().epochs.len(),
            recording: ring.is_recorded(),
            indexed: !summary.unindexed,
            random_access_points: summary.random_access,
            discontinuities: summary.discontinuities,
            gaps: summary
                .gaps
                .iter()
                .map(|g| (g, Some(text(g.to))))
                .chain(lasting.iter().map(|g| (g, None)))
                .map(|(g, to)| GapInfo {
                    from: text(g.from),
                    to,
                    duration_ms: (g.to - g.from).as_millis(),
                    cause: g.cause.name(),
                    lost_packets: g.packets,
                    between: g.between.map(|(a, b)| [a.display(), b.display()]),
                    short: g.short.map(|name| name.display()),
                    what: g.what(),
                })
                .collect(),
            clock_steps: summary
                .steps
                .iter()
                .map(|(at, by)| StepInfo {
                    at: text(*at),
                    by_ms: by.as_millis(),
                })
                .collect(),
            services: summary
                .services
                .iter()
                .map(|s| ServiceInfo {
                    id: s.service,
                    name: s.name.clone(),
                    kind: s.kind,
                    pmt_pid: s.pids.map(|(pmt, _)| pmt.get()),
                    pcr_pid: s.pids.map(|(_, pcr)| pcr.get()),
                    pmt_seen: s.maps,
                })
                .collect(),
            events: summary
                .events
                .iter()
                .map(|e| EventInfo {
                    service: e.service,
                    event_id: e.event,
                    title: e.title.clone(),
                    start: text(e.from),
                    stop: e.to.map(text),
                    announced_start: e.announced.map(text),
                    announced_duration_ms: e.duration.as_millis(),
                })
                .collect(),
            splices: summary
                .splices
                .iter()
                .map(|s| SpliceInfo {
                    at: text(s.at),
                    pid: s.pid.get(),
                    command: s.command,
                    event_id: s.event,
                    pts_90k: s.pts.map(crate::ts::Pts::ticks),
                })
                .collect(),
            multicat: command_lines(ring, range.0, range.1),
        }
    }

    fn count(&self, counters: &mut dyn Counters) {
        let many = |len: usize| len as u64;
        counters.set("ring_bytes", self.bytes);
        counters.set("ring_ms", u64::try_from(self.duration_ms).unwrap_or(0));
        counters.set("segments_total", many(self.segments));
        counters.set("random_access_points_total", self.random_access_points);
        counters.set("discontinuities_total", self.discontinuities);
        counters.set("gaps_total", many(self.gaps.len()));
        let lost = self.gaps.iter().map(|gap| gap.lost_packets);
        counters.set("lost_packets", lost.sum());
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let none = || "-".to_owned();
        let size = ByteCount::new(self.bytes);
        let rate = self
            .bitrate_bps
            .map_or(String::new(), |rate| format!(", {}", BitRate::new(rate)));
        let first = self.first.clone().unwrap_or_else(none);
        let last = self.last.clone().unwrap_or_else(none);
        let span = Ticks27M::from_millis(self.duration_ms);
        let seconds = std::time::Duration::from_secs(span.to_duration().as_secs());
        let span = humantime::format_duration(seconds);
        let _ = writeln!(out, "{}", self.directory);
        let back = match self.epochs {
            0 => "",
            _ => "; the clock was set back in between",
        };
        let _ = writeln!(out, "  from {first}\n  to   {last}  ({span}{back})");
        let _ = writeln!(out, "  {size} in {} segments{rate}", self.segments);
        let _ = writeln!(
            out,
            "  {} random-access points, {} breaks of continuity, {} gaps",
            self.random_access_points,
            self.discontinuities,
            self.gaps.len()
        );
        if self.recording {
            out.push_str("  is being recorded\n");
        }
        if !self.indexed {
            out.push_str("  no index: what follows is of the newest segment only\n");
        }
        let tail = |len: usize| len.saturating_sub(SHOWN);
        for g in self.gaps.iter().skip(tail(self.gaps.len())) {
            let lost = g.lost_packets;
            let span = Ticks27M::from_millis(g.duration_ms);
            let lasts = if g.to.is_none() { ", lasts" } else { "" };
            let what = g
                .what
                .as_ref()
                .map_or(String::new(), |what| format!(": {what}"));
            let _ = writeln!(
                out,
                "  gap of {span} from {} ({}{what}, {lost} packets lost{lasts})",
                g.from, g.cause
            );
        }
        for s in &self.clock_steps {
            let by = Ticks27M::from_millis(s.by_ms);
            let _ = writeln!(out, "  clock set by {by} at {}", s.at);
        }
        for s in &self.services {
            let name = visible(s.name.as_deref().unwrap_or("(no name)"));
            let _ = writeln!(out, "  service {} {name}", s.id);
        }
        for e in self.events.iter().skip(tail(self.events.len())) {
            let stop = e.stop.as_deref().unwrap_or("now");
            let _ = writeln!(
                out,
                "  event {} of service {} from {} to {stop}  {}",
                e.event_id,
                e.service,
                e.start,
                visible(&e.title)
            );
        }
        for s in self.splices.iter().skip(tail(self.splices.len())) {
            let _ = writeln!(out, "  splice command {} at {}", s.command, s.at);
        }
        for line in &self.multicat {
            let _ = writeln!(out, "  {line}");
        }
        out
    }
}
