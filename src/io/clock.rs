//! The machine's clocks.
//!
//! Only `io`, `cli` and tools ask what time it is; everything below is told.

use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

use crate::units::{Arrival, Ticks27M, WallTime};

/// What tells the time and waits for it.
pub trait Clock: Send {
    /// Now, on the monotonic line of [`Arrival`].
    fn now(&self) -> Arrival;

    /// Now, as UTC.
    fn wall(&self) -> WallTime;

    /// Waits until `at`; returns at once when it is past, and early when a signal comes.
    fn sleep_until(&self, at: Arrival);
}

/// The machine's clocks: CLOCK_MONOTONIC and CLOCK_REALTIME.
///
/// Monotonic time is slewed with UTC and never steps; it is the same for every process on the
/// machine, so arrivals of two tools in one pipeline can be compared.
#[derive(Copy, Clone, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Whether both clocks are kept by a better one (NTP, PTP), by the kernel's word: they then
    /// run right within far less than a part in a million. Else a PC's are 20 to 50 off.
    pub fn is_kept() -> bool {
        super::sys::clock_is_kept()
    }
}

/// A clock in nanoseconds; zero should the kernel refuse it, which Linux does not.
fn nanos(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}

impl Clock for SystemClock {
    fn now(&self) -> Arrival {
        Arrival::from_ticks(Ticks27M::from_nanos(nanos(ClockId::CLOCK_MONOTONIC)).get())
    }

    fn wall(&self) -> WallTime {
        WallTime::from_unix_nanos(nanos(ClockId::CLOCK_REALTIME))
    }

    fn sleep_until(&self, at: Arrival) {
        let ns = Ticks27M::new(at.ticks()).as_nanos().max(0);
        let when = nix::sys::time::TimeSpec::new(ns / 1_000_000_000, ns % 1_000_000_000);
        // An interrupted sleep is the caller's to go on with: a signal may have asked for the end.
        let _ = clock_nanosleep(
            ClockId::CLOCK_MONOTONIC,
            ClockNanosleepFlags::TIMER_ABSTIME,
            &when,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_sleeps_until_an_instant() {
        let clock = SystemClock;
        let start = clock.now();
        clock.sleep_until(start + Ticks27M::from_millis(5));
        clock.sleep_until(start - Ticks27M::SECOND);
        assert!(clock.now() - start >= Ticks27M::from_millis(5));
        assert!(clock.wall().unix_millis() > 1_600_000_000_000);
    }
}
