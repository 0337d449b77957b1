//! What a figure was over time, in bounded memory: what a plot is drawn from.

use serde::{Serialize, Serializer};

use crate::units::Ticks27M;

/// One point of a [`Series`]: the values of one stretch of time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// How many values fell into the stretch; the others mean nothing when there is none.
    pub count: u32,
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
    sum: i64,
}

impl Point {
    /// Their mean, rounded to the nearest; `None` without values.
    pub fn mean(&self) -> Option<i64> {
        let count = i64::from(self.count);
        (count > 0).then(|| self.sum.saturating_add(self.sum.signum() * (count / 2)) / count)
    }

    fn take(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

/// Values over time, at most [`Series::POINTS`] points of them.
///
/// Each point stands for a stretch of the monitor's clock, from a whole multiple of its length
/// on; where the points would become too many, each two become one and the stretch twice as long.
/// So series of one first stretch that have come equally far have points of the same stretches,
/// whenever each of them began. Lowest and highest values survive; only their places blur.
///
/// ```
/// use headend::{monitor::Series, units::Ticks27M};
/// let mut rate = Series::new(Ticks27M::SECOND);
/// for second in 0..86_400 {
///     rate.push(Ticks27M::SECOND * second, second % 7);
/// }
/// assert_eq!(rate.stretch(), Ticks27M::SECOND * 128);
/// let (at, last) = rate.points().last().unwrap();
/// assert_eq!((at, last.min, last.max), (Ticks27M::SECOND * 86_272, 0, 6));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    stretch: Ticks27M,
    points: Vec<Point>,
}

impl Series {
    /// Points kept at most: half of them at least once the first doubling came.
    pub const POINTS: usize = 720;

    /// Nothing yet; a point stands for `stretch`, of which there is at least a tick.
    pub fn new(stretch: Ticks27M) -> Self {
        Self {
            stretch: stretch.max(Ticks27M::new(1)),
            points: Vec::new(),
        }
    }

    /// Takes the value of the instant `at` since the first packet; one before it counts as of it.
    pub fn push(&mut self, at: Ticks27M, value: i64) {
        let point = Point {
            count: 1,
            min: value,
            max: value,
            sum: value,
        };
        let mut place = self.place(at);
        while place >= Self::POINTS {
            self.halve();
            place = self.place(at);
        }
        if place >= self.points.len() {
            self.points.resize(place + 1, Point::default());
        }
        if let Some(known) = self.points.get_mut(place) {
            known.take(&point);
        }
    }

    fn place(&self, at: Ticks27M) -> usize {
        usize::try_from(at.get() / self.stretch.get()).unwrap_or(0)
    }

    fn halve(&mut self) {
        let halves = self.points.chunks(2).map(|pair| {
            let mut one = Point::default();
            pair.iter().for_each(|p| one.take(p));
            one
        });
        self.points = halves.collect();
        self.stretch = self.stretch * 2;
    }

    /// How long a stretch of time a point stands for.
    pub const fn stretch(&self) -> Ticks27M {
        self.stretch
    }

    /// The points and where their stretches begin, those without values left out.
    pub fn points(&self) -> impl Iterator<Item = (Ticks27M, &Point)> {
        let places = self.points.iter().enumerate().filter(|(_, p)| p.count > 0);
        places.map(|(n, p)| (self.stretch * n as i64, p))
    }

    /// True before the first value.
    pub const fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

/// `{"stretch_ms": 1000, "points": [[at_ms, min, mean, max], ...]}`, in the unit of the values.
impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let row = |(at, p): (Ticks27M, &Point)| {
            [at.as_millis(), p.min, p.mean().unwrap_or_default(), p.max]
        };
        let points: Vec<[i64; 4]> = self.points().map(row).collect();
        let mut series = serializer.serialize_struct("Series", 2)?;
        series.serialize_field("stretch_ms", &self.stretch.as_millis())?;
        series.serialize_field("points", &points)?;
        series.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: i64) -> Ticks27M {
        Ticks27M::SECOND * n
    }

    #[test]
    fn doubling_keeps_extremes_counts_and_sums() {
        let mut series = Series::new(Ticks27M::SECOND);
        // A spike of 1000 at 17 s in a day and a half of 0, 1, 2, 3.
        let last = 129_600;
        for n in 0..last {
            series.push(second(n), if n == 17 { 1000 } else { n % 4 });
        }
        // 720 x 128 s = 25.6 h is too little; 256 s it is.
        assert_eq!(series.stretch(), second(256));
        assert_eq!(series.points().count(), 507, "129600 / 256 = 506.25");
        let (_, first) = series.points().next().unwrap();
        // 256 values of mean 1.5 give 384; the spike stands where a 1 would: 384 + 999 = 1383.
        assert_eq!((first.count, first.min, first.max), (256, 0, 1000));
        assert_eq!(first.mean(), Some(5), "1383 / 256 = 5.4");
        let total: u64 = series.points().map(|(_, p)| u64::from(p.count)).sum();
        assert_eq!(total, last as u64);
    }

    #[test]
    fn series_that_begin_late_have_the_stretches_of_the_others() {
        let (mut early, mut late) = (Series::new(Ticks27M::SECOND), Series::new(Ticks27M::SECOND));
        for n in 0..5000 {
            early.push(second(n), 0);
            if n >= 4000 {
                late.push(second(n), 0);
            }
        }
        let starts = |s: &Series| s.points().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(early.stretch(), second(8));
        assert_eq!(starts(&late), starts(&early)[500..]);
    }

    #[test]
    fn holes_and_leaps_are_no_points() {
        let mut series = Series::new(Ticks27M::SECOND);
        series.push(second(-3), -7);
        series.push(second(2), 5);
        series.push(Ticks27M::MAX, 9);
        let means: Vec<_> = series.points().map(|(_, p)| (p.count, p.mean())).collect();
        // (-7 + 5) / 2 = -1, both now in the first stretch.
        assert_eq!(means, [(2, Some(-1)), (1, Some(9))]);
        assert!(series.points.len() <= Series::POINTS);
    }
}
