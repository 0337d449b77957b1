//! Datagrams that a network delivers twice, where no sequence number tells.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use crate::ts::{Packet, Pid};
use crate::units::{Arrival, Ticks27M};

/// Datagrams remembered at most: the window of 50 ms at 500 Mb/s and more.
const MEMORY: usize = 4096;

/// Recognises a datagram that is, byte for byte, one of the last.
///
/// What a sender may repeat itself is no repeat of the network's:
///
/// - Datagrams without payload or clock (null packets, adaptation fields alone) are all alike: of
///   them, as many are taken for repeats as there were among the others within the window, so that
///   a doubled stream keeps its rate.
/// - A packet may follow itself once (ISO/IEC 13818-1 §2.4.3.3): a datagram of one packet that does
///   is taken for a repeat only where the network doubles at least every second of the others.
#[derive(Debug)]
pub struct Repeats {
    window: Ticks27M,
    hasher: RandomState,
    /// Datagrams that were new, and when they came.
    new: VecDeque<(u64, Arrival)>,
    /// When datagrams came that were not.
    repeated: VecDeque<Arrival>,
    /// When packets came that may follow themselves.
    followed: VecDeque<Arrival>,
    /// The datagram before, by its hash, and whether it repeated the one before it.
    before: Option<(u64, bool)>,
    /// The share of a null datagram that is due to pass, in thousandths.
    owed: u64,
}

impl Repeats {
    /// Recognises repeats that come within `window`.
    pub fn new(window: Ticks27M) -> Self {
        Self {
            window,
            hasher: RandomState::new(),
            new: VecDeque::new(),
            repeated: VecDeque::new(),
            followed: VecDeque::new(),
            before: None,
            owed: 0,
        }
    }

    /// True when these bytes came before within the window; else they are remembered.
    pub fn is_repeat(&mut self, datagram: &[u8], at: Arrival) -> bool {
        let window = self.window;
        forget(&mut self.new, |(_, came)| at - *came > window);
        forget(&mut self.repeated, |came| at - *came > window);
        forget(&mut self.followed, |came| at - *came > window);
        let (packets, _) = Packet::slice_of(datagram);
        if packets.iter().all(is_alike) {
            return !self.lets_null_pass();
        }
        let hash = self.hasher.hash_one(datagram);
        let known = self.new.iter().any(|(h, _)| *h == hash);
        let follows = self.before.is_some_and(|(h, twice)| h == hash && !twice);
        self.before = Some((hash, known && follows));
        let twice = self.repeated.len() + self.followed.len() + 1;
        if known && follows && packets.len() == 1 && 2 * twice < self.new.len() {
            self.followed.push_back(at);
            return false;
        }
        if known {
            self.repeated.push_back(at);
        } else {
            self.new.push_back((hash, at));
        }
        known
    }

    fn lets_null_pass(&mut self) -> bool {
        let (new, repeated) = (self.new.len() as u64, self.repeated.len() as u64);
        self.owed += match new {
            0 => 1000,
            _ => (1000 * new).div_ceil(new + repeated),
        };
        let passes = self.owed >= 1000;
        if passes {
            self.owed -= 1000;
        }
        passes
    }
}

/// True for a packet that does not tell its place in the stream: a null packet, or one without
/// payload (whose counter does not step) and clock.
fn is_alike(packet: &Packet) -> bool {
    packet.pid() == Pid::NULL || !packet.has_payload() && packet.pcr().is_none()
}

/// Drops what is over, and makes room for one more.
fn forget<T>(queue: &mut VecDeque<T>, over: impl Fn(&T) -> bool) {
    while queue.len() >= MEMORY || queue.front().is_some_and(&over) {
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::ContinuityCounter;

    #[test]
    fn a_repeat_is_known_for_the_window() {
        let at = |ms: i64| Arrival::from_ticks(ms * 27_000);
        let mut repeats = Repeats::new(Ticks27M::from_millis(50));
        let one = Packet::new(Pid::PAT, ContinuityCounter::default());
        let one = one.as_bytes();
        assert!(!repeats.is_repeat(one, at(0)));
        assert!(repeats.is_repeat(one, at(50)));
        assert!(!repeats.is_repeat(one, at(51)), "the first is forgotten");
    }

    /// Two hundred datagrams of one packet, 1 ms apart, each fifth twice as §2.4.3.3 allows it; and
    /// the same doubled by the network.
    #[test]
    fn a_packet_that_its_sender_repeats_is_no_repeat_of_the_network() {
        for copies in 1..=2 {
            let mut repeats = Repeats::new(Ticks27M::from_millis(50));
            let mut passed = 0;
            for n in 0..200i64 {
                let mut packet = Packet::new(Pid::PAT, ContinuityCounter::default());
                packet.as_bytes_mut()[180..].copy_from_slice(&n.to_be_bytes());
                let times = if n % 5 == 4 { 2 } else { 1 };
                for _ in 0..times * copies {
                    let at = Arrival::from_ticks(n * 27_000);
                    passed += usize::from(!repeats.is_repeat(packet.as_bytes(), at));
                }
            }
            // In a doubled stream the sender's own repeats go too: nothing is missing then.
            assert_eq!(passed, if copies == 1 { 240 } else { 200 });
        }
        // a third in a row is no repeat that a sender may make
        let mut repeats = Repeats::new(Ticks27M::from_millis(50));
        let at = Arrival::from_ticks(0);
        for n in 0..10u8 {
            let packet = Packet::new(Pid::PAT, ContinuityCounter::wrapping(n));
            assert!(!repeats.is_repeat(packet.as_bytes(), at));
        }
        let last = Packet::new(Pid::PAT, ContinuityCounter::wrapping(9));
        assert!(!repeats.is_repeat(last.as_bytes(), at));
        assert!(repeats.is_repeat(last.as_bytes(), at));
    }

    #[test]
    fn packets_without_payload_and_clock_are_alike_and_pass() {
        let mut bare = Packet::new(Pid::PAT, ContinuityCounter::default());
        bare.as_bytes_mut()[3] = 0x20;
        bare.as_bytes_mut()[4] = 183;
        bare.as_bytes_mut()[5] = 0;
        let mut repeats = Repeats::new(Ticks27M::from_millis(50));
        let packets = [bare, Packet::NULL, bare];
        let datagram = Packet::bytes_of(&packets);
        assert!((0..50).all(|_| !repeats.is_repeat(datagram, Arrival::from_ticks(0))));
    }

    /// A second of a stream, two of each 20 datagrams of which are null packets, as it is and
    /// doubled by a network that delays the second of each by 3 ms.
    #[test]
    fn null_datagrams_pass_in_their_number_whether_the_stream_is_doubled_or_not() {
        let datagram = |n: i64| match n % 20 {
            7 | 8 => *Packet::NULL.as_bytes(),
            _ => {
                let mut packet = Packet::new(Pid::PAT, ContinuityCounter::default());
                packet.as_bytes_mut()[180..].copy_from_slice(&n.to_be_bytes());
                *packet.as_bytes()
            }
        };
        for delays in [&[0][..], &[0, 3], &[0, 3, 5]] {
            let mut sent: Vec<(i64, i64)> = (0..1000)
                .flat_map(|n| delays.iter().map(move |d| (n + d, n)))
                .collect();
            sent.sort();
            let mut repeats = Repeats::new(Ticks27M::from_millis(50));
            let mut passed = [0u32; 2];
            for (ms, n) in sent {
                let at = Arrival::from_ticks(ms * 27_000);
                if !repeats.is_repeat(&datagram(n), at) {
                    passed[usize::from(matches!(n % 20, 7 | 8))] += 1;
                }
            }
            assert_eq!(passed[0], 900);
            let close = if delays.len() == 1 { 0 } else { 4 };
            assert!(passed[1].abs_diff(100) <= close, "{delays:?}: {passed:?}");
        }
        let mut repeats = Repeats::new(Ticks27M::from_millis(50));
        let null = Packet::NULL.as_bytes();
        assert!((0..100).all(|_| !repeats.is_repeat(null, Arrival::from_ticks(0))));
    }
}
