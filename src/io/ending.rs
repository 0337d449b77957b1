//! Waiting for the time of a packet, until the end is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::clock::{Clock, SystemClock};
use crate::units::{Arrival, Ticks27M};

/// How long a request to stop may go unheard.
const LONGEST_SLEEP: Ticks27M = Ticks27M::new(27_000_000 / 20);

/// A wait for packets' times that a request to stop cuts short: what is due still leaves, what lies
/// in the future is not waited for.
#[derive(Debug)]
pub struct Ending {
    stop: Arc<AtomicBool>,
    grace: Ticks27M,
    /// The latest time that is waited for, once the end was asked for.
    last: Option<Arrival>,
}

impl Ending {
    /// `stop` asks for the end; what is due within `grace` of it is waited for.
    pub fn new(stop: Arc<AtomicBool>, grace: Ticks27M) -> Self {
        Self {
            stop,
            grace,
            last: None,
        }
    }

    /// Waits until `due`. False, and at once, when the end was asked for and that is too far off.
    #[must_use]
    pub fn wait_until(&mut self, due: Arrival) -> bool {
        loop {
            let now = SystemClock.now();
            if due <= now {
                return true;
            }
            if self.last.is_none() && self.stop.load(Ordering::Relaxed) {
                self.last = Some(now + self.grace);
            }
            if self.last.is_some_and(|last| due > last) {
                return false;
            }
            SystemClock.sleep_until(due.min(now + LONGEST_SLEEP));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_request_to_stop_only_what_is_near_is_waited_for() {
        let stop = Arc::new(AtomicBool::new(false));
        let grace = Ticks27M::from_millis(20);
        let mut ending = Ending::new(Arc::clone(&stop), grace);
        let start = SystemClock.now();
        assert!(ending.wait_until(start + Ticks27M::from_millis(5)));
        assert!(SystemClock.now() >= start + Ticks27M::from_millis(5));
        stop.store(true, Ordering::Relaxed);
        let hour = Ticks27M::SECOND * 3600;
        let asked = SystemClock.now();
        assert!(!ending.wait_until(asked + hour));
        assert!(ending.wait_until(asked + grace));
        assert!(SystemClock.now() >= asked + grace);
        assert!(ending.wait_until(asked), "what is due leaves");
        // the grace counts from the request, not from each wait
        assert!(!ending.wait_until(SystemClock.now() + grace));
    }
}
