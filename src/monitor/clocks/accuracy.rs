//! PCR_AC: PCRs against their places in a stream of constant rate (TR 101 290 2.4, §5.3.2).

use super::line::{Demarcation, Line, fit};
use super::pcr::LONGEST_INTERVAL;
use super::strip::{Recent, Told};
use crate::monitor::{Moment, Series};
use crate::ts::PACKET_SIZE;
use crate::units::{BitRate, Ticks27M};

/// How far a PCR may be off, as ticks: 500 ns (ISO/IEC 13818-1 §2.4.2.2).
const LIMIT: f64 = 13.5;
/// What is off by no more, in a window, may be jitter to both sides: 2 us.
const JITTER: f64 = 4.0 * LIMIT;
/// The shortest stretch that a rate is told from.
const WINDOW: Ticks27M = Ticks27M::SECOND;
/// The fewest PCRs that a rate is told from: as many as a second must have.
const WINDOW_PCRS: usize = 10;
/// PCRs closer than this wait for no window: it holds at most 1001.
const CLOSEST: Ticks27M = Ticks27M::MILLISECOND;
/// Further from the line than this, or than a packet where that is less, a rate is not constant.
const NEAR: f64 = 200.0 * 27.0;
/// So many PCRs in a row that are not near are a new rate, or packets that are missing.
const FAR_IN_A_ROW: usize = 5;
/// So many in a row off to one side are a clock that goes on elsewhere.
const ASIDE_IN_A_ROW: u32 = 16;
/// An error counts when it is beyond the limit by so many standard errors of the line: where a
/// clock jitters, the line through it is not known to the nanosecond.
const SURE: f64 = 4.5;
/// What is off by more deviations than this bends the line no further.
const WILD: f64 = 2.0;
/// Until a line is so many seconds old, what it is not sure of is left out of the peaks.
const PEAKS_AFTER_SECONDS: f64 = 5.0;
/// Rates that differ by less than this part are one: 20 ppm, what a window of a second tells.
const SAME_RATE: f64 = 20e-6;

/// Why PCRs were not judged.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Too few for a rate.
    Few,
    /// They do not lie on a line.
    Variable,
    /// Bytes are missing between them.
    Lost,
    /// The clock jumped, announced or not.
    Jumped,
}

/// A PCR at its place.
#[derive(Copy, Clone, Debug)]
pub(super) struct Sample {
    /// Where its packet stands.
    pub at: Moment,
    /// The clock, unrolled from its circle.
    pub ticks: i64,
}

impl Sample {
    /// Bytes since `earlier`: the same byte of both packets is dated.
    fn bytes_since(&self, earlier: &Self) -> f64 {
        self.at.position.wrapping_sub(earlier.at.position) as f64 * PACKET_SIZE as f64
    }

    fn ticks_since(&self, earlier: &Self) -> f64 {
        (self.ticks - earlier.ticks) as f64
    }
}

/// The rate that a line of PCRs shows.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Rate {
    /// Of the whole transport stream, against the program's clock.
    pub rate: BitRate,
    /// PCRs are where a constant rate puts them.
    pub constant: bool,
}

/// How far a PCR is off.
#[derive(Copy, Clone, Debug)]
struct Error {
    ticks: f64,
    /// How far the line itself may be off.
    unsure: f64,
    /// The line is known well.
    settled: bool,
    /// It is beyond the limit by the strip as well, if perhaps by chance: it tells nothing of the
    /// others.
    doubtful: bool,
}

impl Error {
    /// What it is off by at least.
    const fn sure(&self) -> f64 {
        (self.ticks.abs() - self.unsure).max(0.0)
    }

    fn is_beyond(&self) -> bool {
        self.sure() > LIMIT
    }
}

/// A line that was followed: one of constant rate.
#[derive(Debug)]
struct Followed {
    /// Ticks a byte.
    slope: f64,
    /// What `slope` leaves over, as a line that fades.
    line: Line,
    /// How long the line has been followed behind its window, in seconds.
    age: f64,
    /// How long the newest PCR is behind the first, in seconds.
    seconds: f64,
    /// What it and those before leave over.
    recent: Recent,
    last: Sample,
    /// How far the newest PCR lies from the first line.
    off: f64,
    /// PCRs that are far away, until it is known why.
    far: Vec<(Sample, Error)>,
    /// The first of them is a jump of the clock by itself (2.3.b).
    jumped: bool,
    /// How many in a row were beyond the limit, and on which side.
    aside: (u32, bool),
}

impl Followed {
    /// The error of the newest PCR, which lies so many ticks off the line.
    fn error(&self, ticks: f64) -> Error {
        let line = self.line.error_here().unwrap_or(0.0);
        let mut error = Error {
            ticks,
            unsure: SURE * line,
            settled: self.age >= PEAKS_AFTER_SECONDS,
            doubtful: false,
        };
        if ticks.abs() <= LIMIT {
            return error;
        }
        match self.recent.at(self.seconds) {
            Told::TooFew => {}
            Told::Beyond => error.unsure = line,
            Told::Strip(strip) => {
                let other = self.off - strip.middle;
                let sure = (ticks.abs() - line).min(other.abs() - strip.unsure);
                error.doubtful = ticks.abs().min(other.abs()) > LIMIT;
                if other.abs() < ticks.abs() {
                    error.ticks = other;
                }
                error.unsure = error.ticks.abs() - sure;
            }
        }
        error
    }
}

/// A line that PCRs left.
#[derive(Copy, Clone, Debug)]
struct Before {
    slope: f64,
    /// How far the first of them lay from it.
    step: f64,
    /// That is a jump of the clock by itself.
    jumped: bool,
}

/// Follows the PCRs of one PID.
///
/// A rate is fitted to a window of a second or more; PCRs in it are judged when it is full.
/// From then on each is judged at once by the line through those before it, on which old ones
/// fade as the demarcation frequency asks. What is off by far more than others bends the line no
/// further than they do, or than the limit would.
///
/// Where a clock jitters, that line is off by some ticks itself, and a PCR at the limit would be
/// found or not by chance. So a PCR is beyond the limit only where it is, too, beyond it from the
/// middle of the narrowest strip that holds those before it: a constant rate that all of them keep
/// to is a legal one (ISO/IEC 13818-1 §2.4.2.2), and of jitter with a limit its edges tell more than
/// its mean.
#[derive(Debug)]
pub(super) struct Accuracy {
    filter: Demarcation,
    window: Vec<Sample>,
    followed: Option<Followed>,
    /// What was followed until PCRs went away.
    before: Option<Before>,
    obstacle: Obstacle,
    rate: Option<Rate>,
    judged: u64,
    not_judged: u64,
    /// The smallest and the largest error, in ticks.
    peaks: (f64, f64),
    squares: f64,
    /// Over time, in nanoseconds.
    errors: Series,
}

impl Accuracy {
    pub(super) fn new(filter: Demarcation) -> Self {
        Self {
            filter,
            window: Vec::new(),
            followed: None,
            before: None,
            obstacle: Obstacle::Few,
            rate: None,
            judged: 0,
            not_judged: 0,
            peaks: (0.0, 0.0),
            squares: 0.0,
            errors: Series::new(Ticks27M::SECOND),
        }
    }

    /// The line is void from here on, for that reason.
    pub(super) fn restart(&mut self, why: Obstacle) {
        let left = self.window.len() + self.followed.take().map_or(0, |f| f.far.len());
        self.not_judged += left as u64;
        self.window.clear();
        self.before = None;
        self.obstacle = why;
    }

    /// What was judged, over time, in nanoseconds.
    pub(super) const fn errors(&self) -> &Series {
        &self.errors
    }

    /// Takes the next PCR; each error beyond the limit is handed over with where it is, in ticks.
    pub(super) fn push(&mut self, sample: Sample, out: &mut dyn FnMut(Moment, f64)) {
        if self.followed.is_some() {
            self.follow(sample, out);
        } else {
            self.gather(sample, out);
        }
    }

    fn follow(&mut self, sample: Sample, out: &mut dyn FnMut(Moment, f64)) {
        let Some(f) = &mut self.followed else { return };
        let due = sample.bytes_since(&f.last) * f.slope;
        let step = sample.ticks_since(&f.last);
        f.off += step - due;
        f.last = sample;
        f.line.advance(due / 27e6);
        f.age += due / 27e6;
        f.seconds += due / 27e6;
        let here = f.line.here();
        let ticks = f.off - here;
        let error = f.error(ticks);
        if ticks.abs() > NEAR.min(f.slope * PACKET_SIZE as f64) {
            if f.far.is_empty() {
                f.jumped = step > LONGEST_INTERVAL.get() as f64;
            }
            f.far.push((sample, error));
            if f.far.len() == FAR_IN_A_ROW {
                let first = f.far.first().map_or(0.0, |(_, error)| error.ticks);
                self.before = Some(Before {
                    slope: f.slope,
                    step: first,
                    jumped: f.jumped,
                });
                self.window.clear();
                self.window.extend(f.far.iter().map(|(sample, _)| *sample));
                self.followed = None;
            }
            return;
        }
        let bend = (WILD * f.line.deviation()).clamp(LIMIT, 2.0 * LIMIT);
        f.line.add(here + ticks.clamp(-bend, bend));
        let beyond = error.is_beyond() || error.doubtful;
        f.recent.push(f.seconds, f.off, beyond);
        let side = ticks > 0.0;
        f.aside = match f.aside {
            _ if !error.is_beyond() => (0, side),
            (n, before) if before == side => (n + 1, side),
            _ => (1, side),
        };
        let moved = f.aside.0 >= ASIDE_IN_A_ROW;
        let far = std::mem::take(&mut f.far);
        for (sample, error) in far {
            self.judge(sample.at, error, out);
        }
        self.judge(sample.at, error, out);
        if moved {
            self.followed = None;
            self.before = None;
            self.window.clear();
        }
    }

    fn judge(&mut self, at: Moment, error: Error, out: &mut dyn FnMut(Moment, f64)) {
        let ticks = error.ticks;
        self.judged += 1;
        self.squares += ticks * ticks;
        let ns = Ticks27M::new(ticks.round() as i64).as_nanos();
        self.errors.push(at.time, ns);
        let sure = error.sure();
        let peak = if error.settled { ticks.abs() } else { sure };
        let peak = peak.copysign(ticks);
        self.peaks = (self.peaks.0.min(peak), self.peaks.1.max(peak));
        if error.is_beyond() {
            out(at, ticks);
        }
    }

    fn gather(&mut self, sample: Sample, out: &mut dyn FnMut(Moment, f64)) {
        if let (Some(first), Some(last)) = (self.window.first(), self.window.last()) {
            if sample.ticks_since(last) < CLOSEST.get() as f64 {
                self.not_judged += 1;
                return;
            }
            let long = sample.ticks_since(first) >= WINDOW.get() as f64;
            if long && self.window.len() + 1 >= WINDOW_PCRS {
                self.window.push(sample);
                self.settle(out);
                return;
            }
        }
        self.window.push(sample);
    }

    /// The window is full: tells its rate, and judges it if that is constant.
    fn settle(&mut self, out: &mut dyn FnMut(Moment, f64)) {
        let window = std::mem::take(&mut self.window);
        let (Some(first), Some(last)) = (window.first(), window.last()) else {
            return;
        };
        let before = self.before.take();
        let points: Vec<_> = window
            .iter()
            .map(|s| (s.bytes_since(first), s.ticks_since(first)))
            .collect();
        let line = fit(&points, JITTER).filter(|line| line.slope > 0.0);
        let mean = BitRate::of(
            last.bytes_since(first) as u64,
            Ticks27M::new(last.ticks - first.ticks),
        );
        let line = line.unwrap_or_default();
        let slope = line.slope;
        let near = |p: &(f64, f64)| line.off(p).abs() <= NEAR.min(slope * PACKET_SIZE as f64);
        let inner = points
            .iter()
            .position(near)
            .zip(points.iter().rposition(near));
        let Some((head, tail)) =
            inner.filter(|_| points.iter().filter(|p| near(p)).count() * 5 >= points.len() * 4)
        else {
            self.rate = mean.map(|rate| Rate {
                rate,
                constant: false,
            });
            self.obstacle = Obstacle::Variable;
            self.not_judged += window.len() as u64 - 1;
            self.window.push(*last);
            return;
        };
        self.rate = Some(Rate {
            rate: BitRate::new((8.0 * 27e6 / slope).round() as u64),
            constant: true,
        });
        if let Some(Before {
            slope: old,
            step,
            jumped,
        }) = before
            && (slope / old - 1.0).abs() < SAME_RATE
        {
            // The same rate on another line. Whole packets are missing, or were put in, where no
            // counter tells (null packets); anything else is the clock's own.
            let packets = step / (slope * PACKET_SIZE as f64);
            if (packets - packets.round()).abs() * slope * PACKET_SIZE as f64 <= 2.0 * LIMIT {
                self.obstacle = Obstacle::Lost;
            } else if jumped {
                self.obstacle = Obstacle::Jumped;
            } else {
                out(first.at, step);
            }
        }
        let mut followed = Followed {
            slope,
            line: Line::new(self.filter.fading()),
            age: 0.0,
            seconds: 0.0,
            recent: Recent::new(self.filter.fading()),
            last: *first,
            off: 0.0,
            far: Vec::new(),
            jumped: false,
            aside: (0, false),
        };
        self.not_judged += head as u64;
        for (sample, point) in window.iter().zip(&points).take(tail + 1).skip(head) {
            let ticks = line.off(point);
            let due = sample.bytes_since(&followed.last) * slope;
            followed.line.advance(due / 27e6);
            followed.seconds += due / 27e6;
            followed.line.add(ticks.clamp(-LIMIT, LIMIT));
            followed.off = ticks;
            followed.last = *sample;
            let error = Error {
                ticks,
                // A second of PCRs that jitter tells its ends no better than half their jitter.
                unsure: SURE * line.error_at(point.0),
                settled: false,
                doubtful: false,
            };
            followed
                .recent
                .push(followed.seconds, ticks, error.is_beyond());
            self.judge(sample.at, error, out);
        }
        self.followed = Some(followed);
        // What the window ends with off the line may be the start of something else.
        for sample in window.iter().skip(tail + 1) {
            self.follow(*sample, out);
        }
    }

    /// The rate that the newest window showed.
    pub(super) const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// How many PCRs were judged.
    pub(super) const fn judged(&self) -> u64 {
        self.judged
    }

    /// Why what was not judged was not; `None` when more was judged than not.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        let waiting = if self.judged == 0 {
            self.window.len() as u64
        } else {
            0
        };
        (self.judged <= self.not_judged + waiting).then_some(self.obstacle)
    }

    /// How many PCRs were not judged, and will not be.
    pub(super) const fn not_judged(&self) -> u64 {
        self.not_judged
    }

    /// The smallest error, the largest, and the root of the mean square, in nanoseconds; `None`
    /// before the first was judged.
    pub(super) fn errors_ns(&self) -> Option<(f64, f64, f64)> {
        let ns = |ticks: f64| ticks * 1000.0 / 27.0;
        let rms = (self.squares / self.judged as f64).sqrt();
        (self.judged > 0).then(|| (ns(self.peaks.0), ns(self.peaks.1), ns(rms)))
    }
}

#[cfg(test)]
mod tests;
