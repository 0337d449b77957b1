//! Instants, each on a line of its own.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use super::Ticks27M;

/// Defines an instant on a line of its own: subtraction gives a span, a span moves it.
macro_rules! instant {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The instant so many 27 MHz ticks after the line's origin.
            pub const fn from_ticks(ticks: i64) -> Self {
                Self(ticks)
            }

            /// Ticks of 27 MHz since the line's origin.
            pub const fn ticks(self) -> i64 {
                self.0
            }
        }

        impl Sub for $name {
            type Output = Ticks27M;
            fn sub(self, rhs: Self) -> Ticks27M {
                Ticks27M::new(self.0.saturating_sub(rhs.0))
            }
        }

        impl Add<Ticks27M> for $name {
            type Output = Self;
            fn add(self, rhs: Ticks27M) -> Self {
                Self(self.0.saturating_add(rhs.get()))
            }
        }

        impl AddAssign<Ticks27M> for $name {
            fn add_assign(&mut self, rhs: Ticks27M) {
                *self = *self + rhs;
            }
        }

        impl Sub<Ticks27M> for $name {
            type Output = Self;
            fn sub(self, rhs: Ticks27M) -> Self {
                Self(self.0.saturating_sub(rhs.get()))
            }
        }
    };
}

instant! {
    /// When bytes reached this process: an instant of the machine's monotonic clock.
    ///
    /// Made by `io::clock` (or by a test) and passed down; a machine never asks for the time.
    Arrival
}

instant! {
    /// An instant on the unwrapped timeline of a stream's own clock (its PCRs).
    StreamTime
}

instant! {
    /// A UTC instant, counted since 1970-01-01T00:00:00Z; for names of files, indexes and reports.
    ///
    /// Prints as RFC 3339 with milliseconds.
    ///
    /// ```
    /// use headend::units::{Ticks27M, WallTime};
    /// let t = WallTime::from_unix_millis(1_700_000_000_250);
    /// assert_eq!(t.to_string(), "2023-11-14T22:13:20.250Z");
    /// ```
    WallTime
}

impl WallTime {
    /// The instant so many milliseconds after the Unix epoch.
    pub const fn from_unix_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(27_000))
    }

    /// The instant so many nanoseconds after the Unix epoch, rounded to the nearest tick.
    pub const fn from_unix_nanos(ns: i64) -> Self {
        Self(Ticks27M::from_nanos(ns).get())
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub const fn unix_millis(self) -> i64 {
        self.0.div_euclid(27_000)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = (self.0.saturating_add(13_500)).div_euclid(27_000);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} ms since 1970", ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Ticks27M::MAX + Ticks27M::SECOND, Ticks27M::MAX);
        assert_eq!(
            Arrival::from_ticks(i64::MIN) - Ticks27M::SECOND,
            Arrival::from_ticks(i64::MIN)
        );
    }
}
