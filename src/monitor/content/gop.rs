//! Groups of pictures: how far apart the places are at which a decoder can start.

use serde::Serialize;

use crate::monitor::Seen;
use crate::stream::codec::Codec;
use crate::stream::rap::RapDetector;
use crate::ts::Dts;
use crate::units::Ticks27M;

/// Random-access points further apart than this by their stamps are of different clocks.
const LONGEST: Ticks27M = Ticks27M::new(600 * 27_000_000);

/// How long the groups of pictures of a PID are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gops {
    /// Random-access points.
    pub random_access_total: u64,
    /// Whole groups: from one random-access point to the next, nothing missing between.
    pub whole_total: u64,
    /// Pictures of a group, counted as PES packets: one a picture in broadcasting.
    pub pictures: Range,
    /// By decoding times; by the monitor's clock where they are scrambled.
    pub duration_ms: Range,
    /// Since the last random-access point, at the end.
    pub open_ms: Option<i64>,
}

/// Smallest, mean, largest; `None` of nothing.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Range {
    /// The smallest.
    pub min: Option<i64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The largest.
    pub max: Option<i64>,
}

#[derive(Copy, Clone, Debug, Default)]
struct Sum {
    count: i64,
    sum: i64,
    min: i64,
    max: i64,
}

impl Sum {
    fn add(&mut self, value: i64) {
        let first = self.count == 0;
        self.min = if first { value } else { self.min.min(value) };
        self.max = if first { value } else { self.max.max(value) };
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }

    fn range(&self) -> Range {
        if self.count == 0 {
            return Range::default();
        }
        Range {
            min: Some(self.min),
            // Thousandths are enough to read.
            mean: Some((self.sum as f64 / self.count as f64 * 1e3).round() / 1e3),
            max: Some(self.max),
        }
    }
}

/// A random-access point that a group began with.
#[derive(Copy, Clone, Debug)]
struct Start {
    picture: u64,
    time: Ticks27M,
    decode: Option<Dts>,
}

/// Follows one PID of video.
#[derive(Debug)]
pub(super) struct GopWatch {
    detector: RapDetector,
    /// PES packets that have started.
    pictures: u64,
    /// When the newest of them did.
    started: Ticks27M,
    /// The group that is open and whole so far.
    open: Option<Start>,
    /// The newest random-access point.
    last: Option<Ticks27M>,
    points: u64,
    lengths: Sum,
    durations: Sum,
}

impl GopWatch {
    /// `None` for a codec whose random-access points are not known.
    pub(super) fn new(codec: Codec) -> Option<Self> {
        Some(Self {
            detector: RapDetector::new(codec)?,
            pictures: 0,
            started: Ticks27M::ZERO,
            open: None,
            last: None,
            points: 0,
            lengths: Sum::default(),
            durations: Sum::default(),
        })
    }

    pub(super) fn codec(&self) -> Codec {
        self.detector.codec()
    }

    /// Takes a packet that repeats none; one behind a gap after [`reset`](Self::reset).
    #[inline]
    pub(super) fn push(&mut self, seen: &Seen<'_>) {
        if seen.packet.payload_unit_start() {
            self.pictures += 1;
            self.started = seen.at.time;
        }
        if let Some(point) = self.detector.push(seen.packet, seen.at.position) {
            self.point(point.decode_time());
        }
    }

    /// The newest picture is a random-access point.
    fn point(&mut self, decode: Option<Dts>) {
        let next = Start {
            picture: self.pictures,
            time: self.started,
            decode,
        };
        self.points += 1;
        self.last = Some(next.time);
        let Some(start) = self.open.replace(next) else {
            return;
        };
        let stamps = next.decode.zip(start.decode).map(|(b, a)| b - a);
        let span = stamps.unwrap_or(next.time - start.time);
        if span.is_negative() || span > LONGEST {
            return;
        }
        self.lengths.add((next.picture - start.picture) as i64);
        self.durations.add((span.get() + 13_500) / 27_000);
    }

    /// Packets are missing: pictures may be.
    pub(super) fn reset(&mut self) {
        self.detector.reset();
        self.open = None;
    }

    pub(super) fn measures(&self, now: Ticks27M) -> Gops {
        Gops {
            random_access_total: self.points,
            whole_total: self.lengths.count as u64,
            pictures: self.lengths.range(),
            duration_ms: self.durations.range(),
            open_ms: self.last.map(|last| (now - last).as_millis()),
        }
    }
}
