//! Datagrams that a network delivers twice, where no sequence number tells.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use crate::ts::{Packet, Pid};
use crate::units::{Arrival, Ticks27M};

/// Datagrams remembered at most: the window of 50 ms at 500 Mb/s and more.
const MEMORY: usize = 4096;

/// Recognises a datagram that is, byte for byte, one of the last.
///
/// Datagrams of null packets alone repeat by nature and are never recognised.
#[derive(Debug)]
pub struct Repeats {
    window: Ticks27M,
    hasher: RandomState,
    last: VecDeque<(u64, Arrival)>,
}

impl Repeats {
    /// Recognises repeats that come within `window`.
    pub fn new(window: Ticks27M) -> Self {
        Self {
            window,
            hasher: RandomState::new(),
            last: VecDeque::new(),
        }
    }

    /// True when these bytes came before within the window; else they are remembered.
    pub fn is_repeat(&mut self, datagram: &[u8], at: Arrival) -> bool {
        let (packets, _) = Packet::slice_of(datagram);
        if packets.iter().all(|p| p.pid() == Pid::NULL) {
            return false;
        }
        let over = |(_, came): &(u64, Arrival)| at - *came > self.window;
        while self.last.len() >= MEMORY || self.last.front().is_some_and(over) {
            self.last.pop_front();
        }
        let hash = self.hasher.hash_one(datagram);
        if self.last.iter().any(|(h, _)| *h == hash) {
            return true;
        }
        self.last.push_back((hash, at));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::ContinuityCounter;

    #[test]
    fn a_repeat_is_known_for_the_window_and_null_packets_never_are() {
        let at = |ms: i64| Arrival::from_ticks(ms * 27_000);
        let mut repeats = Repeats::new(Ticks27M::from_millis(50));
        let one = Packet::new(Pid::PAT, ContinuityCounter::default());
        let one = one.as_bytes();
        assert!(!repeats.is_repeat(one, at(0)));
        assert!(repeats.is_repeat(one, at(50)));
        assert!(!repeats.is_repeat(one, at(51)), "the first is forgotten");
        assert!(!repeats.is_repeat(Packet::NULL.as_bytes(), at(51)));
        assert!(!repeats.is_repeat(Packet::NULL.as_bytes(), at(52)));
    }
}
