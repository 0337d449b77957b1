//! The narrowest strip that measured points lie in: what errors that have a limit tell of their
//! clock.

use std::collections::VecDeque;

/// Points are kept for as long as this over the fading of the line beside it: at MGF2 for ten
/// seconds, over which the drift that ISO/IEC 13818-1 §2.4.2.1 allows (75 mHz/s) is half a tick.
const KEPT: f64 = 4.0;
/// Points closer than one in so many of that time are not kept.
const MOST: f64 = 500.0;
/// Fewer points tell of no clock.
const FEWEST: usize = 50;
/// Of more points than one in so many that are beyond the limit, the others tell of no clock.
const BEYOND_ONE_IN: usize = 4;
/// The middle of a strip may be off by so many times the mean distance of points across it. By
/// simulation: of jitter of each shape from two values to the bell, cut off at 13 ticks, 10 to 50
/// points a second, half a day of each raises nothing with 20 times.
const UNSURE: f64 = 25.0;

/// The middle of the strip, at zero.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Strip {
    pub(super) middle: f64,
    /// How far its middle may be off the clock.
    pub(super) unsure: f64,
}

/// What the points before tell of a new one.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// Too few came.
    TooFew,
    /// Too many of them are beyond the limit themselves.
    Beyond,
    /// They lie in that strip.
    Strip(Strip),
}

/// The newest points, at most 501.
#[derive(Debug)]
pub(super) struct Recent {
    /// How long points are kept, in seconds.
    kept: f64,
    /// When, which value, and whether it is beyond the limit.
    points: VecDeque<(f64, f64, bool)>,
}

impl Recent {
    /// For points whose line fades so, in a second.
    pub(super) fn new(fading: f64) -> Self {
        Self {
            kept: KEPT / fading,
            points: VecDeque::new(),
        }
    }

    /// Keeps a point, whose time is not before that of the last.
    pub(super) fn push(&mut self, seconds: f64, value: f64, beyond: bool) {
        if self
            .points
            .back()
            .is_some_and(|p| seconds - p.0 < self.kept / MOST)
        {
            return;
        }
        while self
            .points
            .front()
            .is_some_and(|p| seconds - p.0 > self.kept)
        {
            self.points.pop_front();
        }
        self.points.push_back((seconds, value, beyond));
    }

    /// What they tell of one at that time.
    pub(super) fn at(&self, seconds: f64) -> Told {
        let beyond = self.points.iter().filter(|p| p.2).count();
        if beyond * BEYOND_ONE_IN > self.points.len() {
            return Told::Beyond;
        }
        let Some((_, level, _)) = self.points.back() else {
            return Told::TooFew;
        };
        let within = self.points.iter().filter(|p| !p.2);
        // Near zero sums keep their digits.
        let points: Vec<_> = within.map(|p| (p.0 - seconds, p.1 - level)).collect();
        match narrowest(&points).filter(|_| points.len() >= FEWEST) {
            Some((middle, width)) => Told::Strip(Strip {
                middle: middle + level,
                unsure: UNSURE * width / points.len() as f64,
            }),
            None => Told::TooFew,
        }
    }
}

/// The middle of the narrowest strip with all points in it, at zero, and how high the strip is.
/// Points are in the order of their positions. `None` when they do not lie apart.
fn narrowest(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let length = points.last()?.0 - points.first()?.0;
    let edges = |slope: f64| {
        points.iter().fold((f64::MAX, f64::MIN), |(low, high), p| {
            let level = p.1 - slope * p.0;
            (low.min(level), high.max(level))
        })
    };
    let width = |(low, high): (f64, f64)| high - low;
    // A strip that rises by more than twice the height of a level one is higher than that.
    let most = (length > 0.0).then(|| 2.0 * width(edges(0.0)) / length)?;
    let (mut from, mut to) = (-most, most);
    // The height is convex in the slope. Each turn leaves two thirds: 30 leave 5e-6 of the height.
    for _ in 0..30 {
        let third = (to - from) / 3.0;
        if width(edges(from + third)) < width(edges(to - third)) {
            to -= third;
        } else {
            from += third;
        }
    }
    let found = edges(f64::midpoint(from, to));
    Some((f64::midpoint(found.0, found.1), width(found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_strip_is_that_of_the_edges() {
        // Two lines 26 apart that rise by 3 a second, points of both in no order.
        let points: Vec<_> = (0..100)
            .map(|n| {
                let at = f64::from(n) * 0.1 - 10.0;
                (
                    at,
                    7.0 + 3.0 * at + if n * n % 7 < 3 { 13.0 } else { -13.0 },
                )
            })
            .collect();
        let (middle, width) = narrowest(&points).unwrap();
        assert!((middle - 7.0).abs() < 1e-3, "{middle}");
        assert!((width - 26.0).abs() < 1e-3, "{width}");
        assert_eq!(narrowest(&[(1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(narrowest(&[]), None);
    }

    #[test]
    fn points_fade_after_ten_seconds_and_those_beyond_do_not_count() {
        let mut recent = Recent::new(0.4);
        assert_eq!(recent.at(0.0), Told::TooFew);
        for n in 0..1000u32 {
            let beyond = n % 10 == 0;
            let value = if beyond { 500.0 } else { 1.0 };
            recent.push(f64::from(n) * 0.04, value, beyond);
        }
        assert!(recent.points.len() <= 251, "ten seconds, 40 ms apart");
        match recent.at(40.0) {
            Told::Strip(strip) => assert!((strip.middle - 1.0).abs() < 1e-9 && strip.unsure < 1e-9),
            told => panic!("{told:?}"),
        }
        for n in 1000..2000u32 {
            recent.push(f64::from(n) * 0.04, 0.0, n % 3 == 0);
        }
        assert_eq!(recent.at(80.0), Told::Beyond);
    }
}
