//! A straight line through measured points, old ones fading: the filter of every clock here.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;

use crate::units::ParseUnitError;

/// The demarcation frequency of a PCR measurement (ETSI TR 101 290 §5.3.2, annex I): slower
/// movements count as frequency offset and drift, faster ones as jitter.
///
/// MGF2 is the default. At MGF1 the drift that ISO/IEC 13818-1 §2.4.2.1 allows (75 mHz/s) would
/// by itself read 1.7 µs; at MGF3 an error that lasts a second is half hidden.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Demarcation {
    /// 10 mHz.
    Mgf1,
    /// 100 mHz.
    #[default]
    Mgf2,
    /// 1 Hz.
    Mgf3,
    /// Any other, in millihertz; never zero.
    Mgf4(std::num::NonZeroU32),
}

impl Demarcation {
    /// In millihertz.
    pub const fn millihertz(self) -> u32 {
        match self {
            Self::Mgf1 => 10,
            Self::Mgf2 => 100,
            Self::Mgf3 => 1000,
            Self::Mgf4(millihertz) => millihertz.get(),
        }
    }

    /// By how much a second of age lowers the weight of a point of a [`Line`], as an exponent,
    /// so that what the line does not follow is a high-pass of this frequency.
    ///
    /// A line whose points fade as e^(-at) answers like two poles at -a: what is left over is
    /// s^2 / (s + a)^2, which is 3 dB down where w = a / sqrt(sqrt(2) - 1) = 1.554 a.
    pub(super) fn fading(self) -> f64 {
        let omega = TAU * f64::from(self.millihertz()) / 1000.0;
        omega * (std::f64::consts::SQRT_2 - 1.0).sqrt()
    }
}

impl fmt::Display for Demarcation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mgf1 => f.write_str("MGF1 (10 mHz)"),
            Self::Mgf2 => f.write_str("MGF2 (100 mHz)"),
            Self::Mgf3 => f.write_str("MGF3 (1 Hz)"),
            Self::Mgf4(millihertz) => write!(f, "MGF4 ({millihertz} mHz)"),
        }
    }
}

impl FromStr for Demarcation {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a demarcation frequency; write mgf1, mgf2, mgf3 or 10mHz to 10Hz";
        let error = || ParseUnitError::new(text, WANTED);
        let lower = text.trim().to_ascii_lowercase();
        match lower.as_str() {
            "mgf1" => return Ok(Self::Mgf1),
            "mgf2" => return Ok(Self::Mgf2),
            "mgf3" => return Ok(Self::Mgf3),
            _ => {}
        }
        let (number, factor) = match lower.strip_suffix("mhz") {
            Some(number) => (number, 1),
            None => (lower.strip_suffix("hz").ok_or_else(error)?, 1000),
        };
        let value: u32 = number.trim().parse().map_err(|_| error())?;
        let millihertz = value.checked_mul(factor).ok_or_else(error)?;
        std::num::NonZeroU32::new(millihertz)
            .filter(|f| (10..=10_000).contains(&f.get()))
            .map(Self::Mgf4)
            .ok_or_else(error)
    }
}

/// The line of least squares through points whose weight fades with age.
///
/// Positions are seconds, counted from where [`Line::advance`] has brought the origin, so all
/// points lie at or before zero and sums stay small however long it goes on. Before the first
/// few points have faded it is the plain line of least squares: there is no settling.
#[derive(Clone, Debug)]
pub(super) struct Line {
    fading: f64,
    weight: f64,
    at: f64,
    at_at: f64,
    value: f64,
    at_value: f64,
    value_value: f64,
}

impl Line {
    /// A line without points; `fading` is the exponent of a second of age, zero for none.
    pub(super) const fn new(fading: f64) -> Self {
        Self {
            fading,
            weight: 0.0,
            at: 0.0,
            at_at: 0.0,
            value: 0.0,
            at_value: 0.0,
            value_value: 0.0,
        }
    }

    /// Moves the origin `seconds` on.
    pub(super) fn advance(&mut self, seconds: f64) {
        self.at_at += seconds * (seconds * self.weight - 2.0 * self.at);
        self.at -= seconds * self.weight;
        self.at_value -= seconds * self.value;
        if self.fading > 0.0 {
            let kept = (-self.fading * seconds).exp();
            for sum in [
                &mut self.weight,
                &mut self.at,
                &mut self.at_at,
                &mut self.value,
                &mut self.at_value,
                &mut self.value_value,
            ] {
                *sum *= kept;
            }
        }
    }

    /// Adds a point at the origin.
    pub(super) fn add(&mut self, value: f64) {
        self.weight += 1.0;
        self.value += value;
        self.value_value += value * value;
    }

    /// Weight times the variance of the positions; `None` while that is nothing to fit through.
    fn spread(&self) -> Option<f64> {
        let spread = self.at_at - self.at * self.at / self.weight;
        (self.weight > 1.0 && spread > 1e-9).then_some(spread)
    }

    /// The slope a second; zero while there is no telling.
    pub(super) fn slope(&self) -> f64 {
        let products = self.at_value - self.at * self.value / self.weight;
        self.spread().map_or(0.0, |spread| products / spread)
    }

    /// The value at the origin; zero before the first point.
    pub(super) fn here(&self) -> f64 {
        if self.weight > 0.0 {
            (self.value - self.slope() * self.at) / self.weight
        } else {
            0.0
        }
    }

    /// The spread of the positions, and the variance of what the line leaves over.
    fn noise(&self) -> Option<(f64, f64)> {
        let spread = self.spread().filter(|_| self.weight > 2.0)?;
        let slope = self.slope();
        let values = self.value_value - self.value * self.value / self.weight;
        let left = (values - slope * slope * spread).max(0.0) / (self.weight - 2.0);
        Some((spread, left))
    }

    /// The standard deviation of what the line leaves over; zero while there is no telling.
    pub(super) fn deviation(&self) -> f64 {
        self.noise().map_or(0.0, |(_, left)| left.sqrt())
    }

    /// The standard error of the slope a second, taking what the line leaves over as noise;
    /// `None` while there is no telling.
    pub(super) fn slope_error(&self) -> Option<f64> {
        self.noise().map(|(spread, left)| (left / spread).sqrt())
    }

    /// The standard error of the value at the origin, in the same way.
    pub(super) fn error_here(&self) -> Option<f64> {
        let (spread, left) = self.noise()?;
        let away = self.at / self.weight;
        Some((left * (1.0 / self.weight + away * away / spread)).sqrt())
    }
}

/// A line of least squares through points that are all there.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub(super) struct Fit {
    pub(super) slope: f64,
    /// The value at zero.
    pub(super) start: f64,
    count: f64,
    /// The mean of the positions, and the sum of the squares of how far they lie from it.
    middle: f64,
    spread: f64,
    /// The variance of what the line leaves over.
    noise: f64,
}

impl Fit {
    /// How far a point lies from the line.
    pub(super) fn off(&self, point: &(f64, f64)) -> f64 {
        point.1 - self.start - self.slope * point.0
    }

    /// The standard error of the line at a position, taking what it leaves over as noise.
    pub(super) fn error_at(&self, position: f64) -> f64 {
        let away = position - self.middle;
        (self.noise * (1.0 / self.count + away * away / self.spread)).sqrt()
    }
}

/// So many points, and one of them may be wild.
const ONE_WILD_IN: usize = 14;

/// The line of least squares through points, a few wild ones left out. `None` when they do not lie
/// apart.
///
/// Where more than a few are off, but by no more than `jitter`, the clock may as well move to and
/// fro between them and the others: none is left out, and the line knows how unsure it is.
pub(super) fn fit(points: &[(f64, f64)], jitter: f64) -> Option<Fit> {
    let mut line = plain_fit(points.iter())?;
    for _ in 0..4 {
        let off = |p: &&(f64, f64)| line.off(p).abs();
        let mut sizes: Vec<f64> = points.iter().map(|p| off(&p)).collect();
        let middle = sizes.len() / 2;
        let (_, median, _) = sizes.select_nth_unstable_by(middle, f64::total_cmp);
        // 4.5 times the median is three standard deviations of normal noise. Below a tick there
        // is nothing wild.
        let near = (*median * 4.5).max(1.0);
        let inner = plain_fit(points.iter().filter(|p| off(p) <= near));
        match inner {
            Some(inner) if inner != line => line = inner,
            _ => break,
        }
    }
    let within = |p: &&(f64, f64)| line.off(p).abs() <= jitter;
    let left_out = points.iter().filter(within).count() as f64 - line.count;
    if left_out * ONE_WILD_IN as f64 > points.len() as f64 {
        return plain_fit(points.iter().filter(within));
    }
    Some(line)
}

fn plain_fit<'a>(points: impl Iterator<Item = &'a (f64, f64)> + Clone) -> Option<Fit> {
    let n = points.clone().count() as f64;
    let (x, y) = points
        .clone()
        .fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
    let (x, y) = (x / n, y / n);
    let (xx, xy) = points.clone().fold((0.0, 0.0), |s, p| {
        (s.0 + (p.0 - x) * (p.0 - x), s.1 + (p.0 - x) * (p.1 - y))
    });
    (xx > 0.0).then(|| {
        let mut fit = Fit {
            slope: xy / xx,
            start: y - xy / xx * x,
            count: n,
            middle: x,
            spread: xx,
            noise: 0.0,
        };
        let squares: f64 = points.map(|p| fit.off(p) * fit.off(p)).sum();
        fit.noise = squares / (n - 2.0).max(1.0);
        fit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_points_of_a_line_is_that_line() {
        for fading in [0.0, 0.4] {
            let mut line = Line::new(fading);
            for n in 0..500 {
                line.advance(0.04);
                line.add(7.0 + 3.0 * f64::from(n) * 0.04);
            }
            line.advance(1.0);
            // 499 steps of 0.04 s and one of 1 s after the first point: 7 + 3 * 20.96.
            assert!((line.here() - 69.88).abs() < 1e-6, "{}", line.here());
            assert!((line.slope() - 3.0).abs() < 1e-7);
            assert!(line.slope_error().unwrap() < 1e-6);
        }
    }

    #[test]
    fn what_is_left_over_is_three_decibels_down_at_the_demarcation_frequency() {
        for filter in [Demarcation::Mgf2, Demarcation::Mgf3] {
            let hertz = f64::from(filter.millihertz()) / 1000.0;
            for (times, expected) in [(1.0, 0.707), (0.1, 0.024), (10.0, 0.996)] {
                // By hand: (w/a)^2 / (1 + (w/a)^2) with w/a = 1.5538 * times.
                let omega = TAU * hertz * times;
                let mut line = Line::new(filter.fading());
                let (mut peak, step) = (0.0f64, 0.001 / hertz / times.max(1.0));
                let steps = (40.0 / hertz / times.min(1.0) / step) as u32;
                for n in 0..steps {
                    let value = (omega * f64::from(n) * step).sin();
                    line.advance(step);
                    let left = value - line.here();
                    line.add(value);
                    if n > steps / 2 {
                        peak = peak.max(left.abs());
                    }
                }
                assert!((peak - expected).abs() < 0.02, "{filter} x {times}: {peak}");
            }
        }
    }

    #[test]
    fn wild_points_do_not_bend_the_fit() {
        let mut points: Vec<_> = (0..50)
            .map(|n| (f64::from(n), 5.0 + 2.0 * f64::from(n)))
            .collect();
        points[7].1 += 9_000.0;
        points[40].1 -= 100.0;
        let line = fit(&points, 50.0).unwrap();
        assert!((line.slope - 2.0).abs() < 1e-9 && (line.start - 5.0).abs() < 1e-9);
        assert!(line.error_at(0.0) < 1e-6);
        assert_eq!(fit(&[(1.0, 2.0), (1.0, 3.0)], 50.0), None);
    }

    #[test]
    fn a_fit_knows_how_sure_it_is() {
        // +1 and -1 in turn at 0 to 49: the noise is 50/48 (and the slope takes 0.0024 of it), the
        // positions spread 50 (50^2 - 1) / 12 = 10 412.5 around 24.5.
        let points: Vec<_> = (0..50u8)
            .map(|n| (f64::from(n), f64::from(n % 2) * 2.0 - 1.0))
            .collect();
        let line = fit(&points, 50.0).unwrap();
        let expected = |at: f64| (50.0f64 / 48.0 * (0.02 + (at - 24.5).powi(2) / 10_412.5)).sqrt();
        for at in [0.0, 24.5, 49.0] {
            let said = line.error_at(at);
            assert!((said - expected(at)).abs() < 0.002, "{said} at {at}");
        }
    }

    #[test]
    fn demarcation_frequencies_are_read_as_they_are_called() {
        assert_eq!("MGF1".parse(), Ok(Demarcation::Mgf1));
        assert_eq!("mgf3".parse::<Demarcation>().unwrap().millihertz(), 1000);
        assert_eq!("25mHz".parse::<Demarcation>().unwrap().millihertz(), 25);
        assert_eq!(
            "2Hz".parse::<Demarcation>().unwrap().to_string(),
            "MGF4 (2000 mHz)"
        );
        for wrong in ["mgf4", "0mHz", "9mHz", "11Hz", "1", "", "5GHz"] {
            assert!(wrong.parse::<Demarcation>().is_err(), "{wrong}");
        }
    }
}
