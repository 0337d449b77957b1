//! PCRs against their arrivals: overall jitter, frequency offset and drift (TR 101 290 §5.3.2).

use super::line::{Demarcation, Line};
use crate::units::{Arrival, Ticks27M};

/// Jitter is measured once the line has so much behind it.
const SETTLED_AFTER: Ticks27M = Ticks27M::SECOND;
/// Frequency is that of about so long: a packet's jitter of 1 ms then counts 0.1 ppm.
const FREQUENCY_MEMORY_SECONDS: f64 = 100.0;
/// How often the frequency is looked at, to tell its drift.
const DRIFT_STEP: Ticks27M = Ticks27M::SECOND;
/// Looks before this do not count: the frequency follows a drift only once it has forgotten that
/// it began.
const DRIFT_FROM: Ticks27M = Ticks27M::new(400 * 27_000_000);
/// The fewest looks that drift is told from.
const DRIFT_POINTS: u32 = 100;
/// 30 ppm of 27 MHz (ISO/IEC 13818-1 §2.4.2.1).
pub(super) const FREQUENCY_LIMIT_HZ: f64 = 810.0;

/// What a clock's frequency was found to be, against the clock of the arrivals.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Frequency {
    /// Over 27 MHz.
    pub offset_hz: f64,
    /// Standard error of the offset, as far as jitter makes it.
    pub error_hz: f64,
    /// By how much the offset grows; `None` before there is any telling.
    pub drift_hz_per_s: Option<f64>,
}

/// Follows the PCRs of one PID against their arrivals.
#[derive(Debug)]
pub(super) struct Jitter {
    filter: Demarcation,
    /// The first PCR and its arrival.
    first: Option<(i64, Arrival)>,
    last: Arrival,
    /// PCR minus arrival, in ticks, with the demarcation frequency.
    line: Line,
    slow: Line,
    drift: Line,
    drift_points: u32,
    drift_at: Arrival,
    count: u64,
    peaks: (f64, f64),
}

impl Jitter {
    pub(super) fn new(filter: Demarcation) -> Self {
        Self {
            filter,
            first: None,
            last: Arrival::default(),
            line: Line::new(filter.fading()),
            slow: Line::new(1.0 / FREQUENCY_MEMORY_SECONDS),
            drift: Line::new(1.0 / FREQUENCY_MEMORY_SECONDS),
            drift_points: 0,
            drift_at: Arrival::default(),
            count: 0,
            peaks: (0.0, 0.0),
        }
    }

    /// The clock jumped, or was not received: lines begin anew, peaks stay.
    pub(super) fn restart(&mut self) {
        let (count, peaks) = (self.count, self.peaks);
        *self = Self::new(self.filter);
        (self.count, self.peaks) = (count, peaks);
    }

    /// Takes the next PCR, unrolled from its circle, and when it came; gives by how many ticks it
    /// was late against the filtered clock, once that has settled.
    pub(super) fn push(&mut self, ticks: i64, arrival: Arrival) -> Option<f64> {
        let Some((ticks_then, then)) = self.first else {
            self.first = Some((ticks, arrival));
            self.last = arrival;
            self.drift_at = arrival;
            self.line.add(0.0);
            self.slow.add(0.0);
            return None;
        };
        let seconds = (arrival - self.last).as_secs_f64().max(0.0);
        self.last = arrival;
        let ahead = (ticks - ticks_then - (arrival - then).get()) as f64;
        self.line.advance(seconds);
        let settled = arrival - then >= SETTLED_AFTER;
        // Late is positive: arrival minus PCR.
        let late = settled.then(|| self.line.here() - ahead);
        if let Some(late) = late {
            self.count += 1;
            self.peaks = (self.peaks.0.min(late), self.peaks.1.max(late));
        }
        self.line.add(ahead);
        self.slow.advance(seconds);
        self.slow.add(ahead);
        if arrival - self.drift_at >= DRIFT_STEP && arrival - then >= DRIFT_FROM {
            self.drift.advance((arrival - self.drift_at).as_secs_f64());
            self.drift.add(self.slow.slope());
            self.drift_points += 1;
            self.drift_at = arrival;
        }
        late
    }

    /// The earliest and the latest arrival against the filtered clock, in nanoseconds; `None`
    /// before it settled.
    pub(super) fn peaks_ns(&self) -> Option<(f64, f64)> {
        let ns = |ticks: f64| ticks * 1000.0 / 27.0;
        (self.count > 0).then(|| (ns(self.peaks.0), ns(self.peaks.1)))
    }

    /// The frequency; `None` before it settled.
    pub(super) fn frequency(&self) -> Option<Frequency> {
        let (_, then) = self.first?;
        if self.last - then < SETTLED_AFTER {
            return None;
        }
        // Ticks of 27 MHz a second are hertz.
        Some(Frequency {
            offset_hz: self.slow.slope(),
            error_hz: self.slow.slope_error()?,
            drift_hz_per_s: (self.drift_points >= DRIFT_POINTS).then(|| self.drift.slope()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock of 27 MHz and `hertz`, drifting, whose PCRs come every 20 ms for `seconds`;
    /// `late` tells by how many ticks PCR number n is late.
    fn played(seconds: i64, hertz: f64, drift: f64, late: impl Fn(i64) -> i64) -> Jitter {
        let mut jitter = Jitter::new(Demarcation::default());
        for n in 0..seconds * 50 {
            let s = n as f64 / 50.0;
            let ticks = (s * 27e6 + hertz * s + drift * s * s / 2.0).round() as i64;
            jitter.push(ticks, Arrival::from_ticks(n * 540_000 + late(n)));
        }
        jitter
    }

    #[test]
    fn a_clock_as_fast_as_ours_has_neither_jitter_nor_offset() {
        let jitter = played(600, 0.0, 0.0, |_| 0);
        assert_eq!(jitter.peaks_ns(), Some((0.0, 0.0)));
        let f = jitter.frequency().unwrap();
        assert!(f.offset_hz.abs() < 1e-6 && f.drift_hz_per_s.unwrap().abs() < 1e-6);
        assert_eq!(
            played(60, 0.0, 0.0, |_| 0)
                .frequency()
                .unwrap()
                .drift_hz_per_s,
            None
        );
    }

    #[test]
    fn an_offset_is_no_jitter() {
        // 30 ppm are 810 Hz.
        let jitter = played(600, 810.0, 0.0, |_| 0);
        let f = jitter.frequency().unwrap();
        assert!((f.offset_hz - FREQUENCY_LIMIT_HZ).abs() < 0.01, "{f:?}");
        assert!(f.drift_hz_per_s.unwrap().abs() < 1e-3, "{f:?}");
        let (early, late) = jitter.peaks_ns().unwrap();
        // A PCR counts whole ticks of 37 ns.
        assert!(early > -40.0 && late < 40.0, "{early} {late}");
    }

    #[test]
    fn a_drift_is_told_by_its_slope() {
        let jitter = played(2000, 0.0, 0.075, |_| 0);
        let drift = jitter.frequency().unwrap().drift_hz_per_s.unwrap();
        assert!((drift - 0.075).abs() < 0.002, "{drift}");
    }

    #[test]
    fn one_late_packet_is_a_peak_of_its_lateness_and_lines_hardly_move() {
        // 1 ms late, a minute in; then early by the same.
        let jitter = played(120, 0.0, 0.0, |n| match n {
            3000 => 27_000,
            4000 => -27_000,
            _ => 0,
        });
        let (early, late) = jitter.peaks_ns().unwrap();
        assert!(
            (late - 1e6).abs() < 1e3 && (early + 1e6).abs() < 1e3,
            "{early} {late}"
        );
        assert!(jitter.frequency().unwrap().offset_hz.abs() < 27.0, "1 ppm");
    }

    #[test]
    fn a_restart_forgets_the_line_and_keeps_the_peaks() {
        let mut jitter = played(10, 0.0, 0.0, |n| if n == 400 { 2700 } else { 0 });
        let peaks = jitter.peaks_ns();
        jitter.restart();
        jitter.push(99, Arrival::from_ticks(270_000_000));
        assert_eq!((jitter.peaks_ns(), jitter.frequency()), (peaks, None));
    }
}
