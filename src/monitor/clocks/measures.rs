//! What the family of clocks has measured, as it is reported: the unit stands in each key.

use serde::Serialize;

use super::jitter::{FREQUENCY_LIMIT_HZ, Frequency};
use super::pcr::Clock;
use super::stamps::{Spread, Stamps};
use super::{Clocks, why_not_accurate};
use crate::monitor::Series;
use crate::stream::Distribution;
use crate::units::Ticks27M;

/// Everything that was measured of clocks and time stamps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClockMeasures {
    /// The filter of accuracy and jitter.
    pub filter: String,
    /// How far apart arrivals are that can be told apart: jitter below it says nothing. `None`
    /// where arrivals were not measured.
    pub arrival_resolution_ns: Option<i64>,
    /// One for each PCR PID.
    pub pcrs: Vec<PcrMeasures>,
    /// One for each stream with time stamps.
    pub stamps: Vec<StampMeasures>,
}

/// The PCRs of one PID.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PcrMeasures {
    /// The PID.
    pub pid: u16,
    /// The first service whose clock it is.
    pub service: Option<u16>,
    /// How many came.
    pub pcrs_total: u64,
    /// How often discontinuity_indicator announced a jump.
    pub announced_discontinuities_total: u64,
    /// Between one value and the next; `None` before there were two.
    pub interval: Option<IntervalMeasures>,
    /// The rate of the whole transport stream against this clock.
    pub transport_rate_bps: Option<u64>,
    /// That rate is constant.
    pub constant_rate: Option<bool>,
    /// PCR_AC.
    pub accuracy: AccuracyMeasures,
    /// PCR_OJ; `None` where arrivals were not measured.
    pub overall_jitter: Option<JitterMeasures>,
    /// PCR_FO and PCR_DR; `None` where arrivals were not measured.
    pub frequency: Option<FrequencyMeasures>,
    /// Intervals over time, in microseconds.
    #[serde(skip)]
    pub intervals: Series,
    /// PCR_AC over time, in nanoseconds.
    #[serde(skip)]
    pub errors: Series,
    /// PCR_OJ over time, in nanoseconds: how late PCRs came.
    #[serde(skip)]
    pub lateness: Series,
}

/// How intervals are distributed. Quantiles are right within 3 %.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IntervalMeasures {
    /// The shortest.
    pub min_us: u64,
    /// The mean.
    pub mean_us: u64,
    /// What half of them do not exceed.
    pub p50_us: u64,
    /// What 95 % do not exceed.
    pub p95_us: u64,
    /// What 99 % do not exceed.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl IntervalMeasures {
    /// Of intervals in microseconds; `None` of nothing.
    pub fn of(intervals_us: &Distribution) -> Option<Self> {
        Some(Self {
            min_us: intervals_us.min()?,
            mean_us: intervals_us.mean()?,
            p50_us: intervals_us.quantile(50)?,
            p95_us: intervals_us.quantile(95)?,
            p99_us: intervals_us.quantile(99)?,
            max_us: intervals_us.max()?,
        })
    }
}

/// PCR_AC: values against places at constant rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AccuracyMeasures {
    /// More PCRs were judged than not.
    pub judged: bool,
    /// Why they were not.
    pub reason: Option<&'static str>,
    /// How many were judged.
    pub judged_pcrs_total: u64,
    /// How many were not.
    pub not_judged_pcrs_total: u64,
    /// The value that is earliest against its place; `None` before one was judged.
    pub min_ns: Option<f64>,
    /// The value that is latest against its place.
    pub max_ns: Option<f64>,
    /// Root of the mean square.
    pub rms_ns: Option<f64>,
}

/// PCR_OJ: arrivals against the filtered clock.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JitterMeasures {
    /// The earliest arrival, at most zero.
    pub early_ns: f64,
    /// The latest.
    pub late_ns: f64,
}

/// The program's clock against that of the arrivals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrequencyMeasures {
    /// PCR_FO over 27 MHz.
    pub offset_hz: f64,
    /// The same in parts of a million.
    pub offset_ppm: f64,
    /// How far jitter alone may have moved the offset: twice its standard error.
    pub uncertainty_ppm: f64,
    /// PCR_DR: by how much the offset grows.
    pub drift_hz_per_s: Option<f64>,
    /// Whether the offset is within 810 Hz (30 ppm); `None` where that cannot be judged.
    pub within_limit: Option<bool>,
    /// Why it cannot.
    pub reason: Option<&'static str>,
}

impl FrequencyMeasures {
    fn of(found: Frequency, disciplined: bool) -> Self {
        let uncertain = 2.0 * found.error_hz > FREQUENCY_LIMIT_HZ / 10.0;
        let reason = if !disciplined {
            Some("this machine's clock is not known to be right within far less than 30 ppm")
        } else if uncertain {
            Some("too few arrivals, with too much jitter")
        } else {
            None
        };
        Self {
            offset_hz: tidy(found.offset_hz),
            offset_ppm: tidy(found.offset_hz / 27.0),
            uncertainty_ppm: tidy(2.0 * found.error_hz / 27.0),
            drift_hz_per_s: found.drift_hz_per_s.map(tidy),
            within_limit: reason
                .is_none()
                .then(|| found.offset_hz.abs() <= FREQUENCY_LIMIT_HZ),
            reason,
        }
    }
}

/// A signed span: smallest, mean and largest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpanMeasures {
    /// The smallest.
    pub min_ms: f64,
    /// The mean.
    pub mean_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

impl SpanMeasures {
    fn of(spread: &Spread) -> Option<Self> {
        let (min, mean, max) = spread.of_us()?;
        Some(Self {
            min_ms: ms(min),
            mean_ms: ms(mean),
            max_ms: ms(max),
        })
    }
}

/// The time stamps of one stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StampMeasures {
    /// The PID.
    pub pid: u16,
    /// Its service.
    pub service: u16,
    /// PTS that came.
    pub pts_total: u64,
    /// PTS that lie before their DTS.
    pub pts_before_dts_total: u64,
    /// Decoding times that are not after the one before.
    pub dts_not_increasing_total: u64,
    /// Some PES packets were scrambled: their stamps were not seen.
    pub scrambled: bool,
    /// PTS minus the program's clock where the PES packet starts.
    pub pts_pcr: Option<SpanMeasures>,
    /// DTS (or PTS) minus that clock.
    pub dts_pcr: Option<SpanMeasures>,
    /// For audio: where it stands against the video of its service.
    pub av_offset: Option<OffsetMeasures>,
}

/// How far audio stamps lead the clock more than those of the video beside them do. Where it
/// stands is the multiplexer's choice; that it moves is not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OffsetMeasures {
    /// Of the whole time.
    pub mean_ms: f64,
    /// Of the first ten seconds; `None` before they are over.
    pub first_ms: Option<f64>,
    /// Of the newest ten seconds.
    pub last_ms: Option<f64>,
    /// The smallest of ten seconds.
    pub min_ms: Option<f64>,
    /// The largest of ten seconds.
    pub max_ms: Option<f64>,
    /// By how much it grows; `None` before a minute is over.
    pub trend_ms_per_hour: Option<f64>,
}

fn ms(us: i64) -> f64 {
    us as f64 / 1000.0
}

/// Three digits behind the point are more than any of this is good for.
fn tidy(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl PcrMeasures {
    fn of(clock: &Clock, null_packets: u64, disciplined: bool) -> Self {
        let reason = why_not_accurate(clock, null_packets);
        let rate = clock.accuracy.rate();
        let errors = clock.accuracy.errors_ns();
        let jitter = clock.jitter.as_ref();
        Self {
            pid: clock.pid.get(),
            service: clock.service.map(|service| service.0),
            pcrs_total: clock.count,
            intervals: clock.intervals.clone(),
            errors: clock.accuracy.errors().clone(),
            lateness: clock.lateness.clone(),
            announced_discontinuities_total: clock.announcements,
            interval: IntervalMeasures::of(&clock.intervals_us),
            transport_rate_bps: rate.map(|r| r.rate.get()),
            constant_rate: rate.map(|r| r.constant),
            accuracy: AccuracyMeasures {
                judged: reason.is_none(),
                reason,
                judged_pcrs_total: clock.accuracy.judged(),
                not_judged_pcrs_total: clock.accuracy.not_judged(),
                min_ns: errors.map(|e| tidy(e.0)),
                max_ns: errors.map(|e| tidy(e.1)),
                rms_ns: errors.map(|e| tidy(e.2)),
            },
            overall_jitter: jitter.and_then(|j| j.peaks_ns()).map(|(early, late)| {
                let (early_ns, late_ns) = (tidy(early), tidy(late));
                JitterMeasures { early_ns, late_ns }
            }),
            frequency: jitter
                .and_then(|j| j.frequency())
                .map(|found| FrequencyMeasures::of(found, disciplined)),
        }
    }
}

impl ClockMeasures {
    pub(super) fn of(clocks: &Clocks, null_packets: u64, resolution: Option<Ticks27M>) -> Self {
        let disciplined = clocks.options.disciplined;
        let pcr = |clock| PcrMeasures::of(clock, null_packets, disciplined);
        let stamps = clocks.stamps.iter().enumerate();
        Self {
            filter: clocks.options.filter.to_string(),
            arrival_resolution_ns: resolution
                .filter(|_| clocks.options.live)
                .map(Ticks27M::as_nanos),
            pcrs: clocks.clocks.iter().map(pcr).collect(),
            stamps: stamps.map(|(n, one)| stamps_of(clocks, n, one)).collect(),
        }
    }
}

fn stamps_of(clocks: &Clocks, place: usize, one: &Stamps) -> StampMeasures {
    let offset = clocks.offsets.iter().find(|(audio, _, _)| *audio == place);
    let av_offset = offset.and_then(|(_, video, offset)| {
        let video = clocks.stamps.get(*video)?;
        let mean = one.lead.of_us()?.1 - video.lead.of_us()?.1;
        let windows = offset.of_us();
        Some(OffsetMeasures {
            mean_ms: ms(mean),
            first_ms: windows.map(|w| ms(w.0)),
            last_ms: windows.map(|w| ms(w.1)),
            min_ms: windows.map(|w| ms(w.2)),
            max_ms: windows.map(|w| ms(w.3)),
            trend_ms_per_hour: offset.trend_us_per_hour().map(ms),
        })
    });
    StampMeasures {
        pid: one.pid.get(),
        service: one.service.0,
        pts_total: one.pts_count,
        pts_before_dts_total: one.pts_before_dts,
        dts_not_increasing_total: one.dts_not_increasing,
        scrambled: one.scrambled,
        pts_pcr: SpanMeasures::of(&one.lead),
        dts_pcr: SpanMeasures::of(&one.decode_lead),
        av_offset,
    }
}
