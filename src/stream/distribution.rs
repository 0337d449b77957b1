//! How a quantity is distributed, in bounded memory.

/// Values below this are counted one by one.
const EXACT: u64 = 64;
/// Steps an octave above that: quantiles are right within 3 %.
const STEPS: u64 = 32;
/// Enough for all 64 octaves of a `u64`.
const BUCKETS: usize = 2048;

/// Counts values, and tells what share of them was below what.
///
/// ```
/// use headend::stream::Distribution;
/// let mut d = Distribution::new();
/// for us in 1..=100 {
///     d.add(us);
/// }
/// assert_eq!((d.count(), d.quantile(50), d.max()), (100, Some(50), Some(100)));
/// ```
#[derive(Debug)]
pub struct Distribution {
    buckets: Box<[u64]>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

impl Distribution {
    /// No values.
    pub fn new() -> Self {
        Self {
            buckets: vec![0; BUCKETS].into(),
            count: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }

    /// Counts `value`.
    pub fn add(&mut self, value: u64) {
        self.add_many(value, 1);
    }

    /// Counts `value` so many times.
    pub fn add_many(&mut self, value: u64, times: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(value)) {
            *bucket += times;
        }
        if times > 0 {
            self.count += times;
            self.sum += u128::from(value) * u128::from(times);
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest value; `None` before the first.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The mean, rounded down; `None` before the first.
    pub fn mean(&self) -> Option<u64> {
        let mean = self.sum.checked_div(u128::from(self.count))?;
        u64::try_from(mean).ok()
    }

    /// The largest value; `None` before the first.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The value that `percent` of the values do not exceed; `None` before the first.
    pub fn quantile(&self, percent: u64) -> Option<u64> {
        let wanted = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut below = 0;
        self.buckets.iter().enumerate().find_map(|(n, bucket)| {
            below += u128::from(*bucket);
            (*bucket > 0 && below >= wanted).then(|| last_of(n).min(self.max))
        })
    }
}

fn bucket_of(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let octave = u64::from(value.ilog2()) - u64::from(EXACT.ilog2());
    let step = (value >> (octave + 1)) - STEPS;
    (EXACT + octave * STEPS + step) as usize
}

/// The largest value of a bucket.
fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let (octave, step) = ((bucket - EXACT) / STEPS, (bucket - EXACT) % STEPS);
    let next = u128::from(STEPS + step + 1) << (octave + 1);
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_reaches_little_beyond_it() {
        let values = (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) + 1, u64::MAX >> bit]);
        for value in values.chain(0..5000) {
            let last = last_of(bucket_of(value));
            assert!(
                last >= value && last - value <= value / 32,
                "{value}: {last}"
            );
        }
        assert!(bucket_of(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_of_nothing_are_none_and_of_one_value_are_it() {
        let mut d = Distribution::new();
        d.add_many(5, 0);
        assert_eq!((d.quantile(50), d.max()), (None, None));
        assert_eq!((d.min(), d.mean()), (None, None));
        d.add_many(1_000_003, 7);
        assert_eq!((d.min(), d.mean()), (Some(1_000_003), Some(1_000_003)));
        assert_eq!(
            (d.quantile(1), d.quantile(99)),
            (Some(1_000_003), Some(1_000_003))
        );
    }
}
