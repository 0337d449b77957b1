//! RTP time stamps from the stream's own clock (RFC 2250 §2).

use super::{Batch, RtpHeader};
use crate::ts::{Packet, Pcr, Pid};
use crate::units::{Arrival, Ticks27M};

/// A PCR PID that is silent for so long is given up for another.
const GIVEN_UP_AFTER: Ticks27M = Ticks27M::new(27_000_000);
/// A PCR that is further than this from where it was due is a discontinuity.
const JUMP: Ticks27M = Ticks27M::new(27_000_000 / 2);

/// Tells the time stamp of each datagram: the PCR that its first byte would carry. Between PCRs
/// it runs with the arrivals; of several programs the first that shows a PCR is taken.
#[derive(Debug, Default)]
pub struct RtpClock {
    /// The last PCR of the PID taken, and when it came.
    anchor: Option<(Pid, Pcr, Arrival)>,
    last: Option<u32>,
}

impl RtpClock {
    /// A clock that has seen no PCR.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for the first PCR, which dates the packets before it too.
    pub fn expect(&mut self, batch: &Batch) {
        if self.anchor.is_none() {
            self.anchor = batch.runs().find_map(|(at, packets)| {
                let pcr = packets.iter().find_map(|p| Some((p.pid(), p.pcr()?)))?;
                Some((pcr.0, pcr.1, at))
            });
        }
    }

    /// The time stamp of a datagram that leaves at `at`, and whether it does not continue the one
    /// before. [`RtpClock::pass`] is to follow with its packets.
    pub fn stamp(&mut self, at: Arrival) -> (u32, bool) {
        let due = match self.anchor {
            Some((_, pcr, came)) => RtpHeader::timestamp_of(pcr + (at - came)),
            // No clock at all: the arrivals are one.
            None => (at.ticks() / 300) as u32,
        };
        // A PCR a little early would turn the time stamp back.
        let step = self.last.map_or(0, |last| due.wrapping_sub(last) as i32);
        let jump = i64::from(step).abs() * 300 > JUMP.get();
        let stamp = match self.last {
            Some(last) if step < 0 && !jump => last,
            _ => due,
        };
        self.last = Some(stamp);
        (stamp, jump)
    }

    /// Takes up a packet of that datagram, which came (or leaves) at `at` by itself.
    pub fn pass(&mut self, packet: &Packet, at: Arrival) {
        let Some(pcr) = packet.pcr() else { return };
        let taken = match self.anchor {
            Some((pid, _, came)) => pid == packet.pid() || at - came > GIVEN_UP_AFTER,
            None => true,
        };
        if taken {
            self.anchor = Some((packet.pid(), pcr, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::ContinuityCounter;

    fn pcr_packet(pid: u16, ticks: u64) -> Packet {
        let pcr = Pcr::from_ticks(ticks % 2_576_980_377_600).unwrap();
        Packet::pcr_only(Pid::from_field(pid), ContinuityCounter::default(), pcr)
    }

    #[test]
    fn stamps_run_with_the_pcr_over_both_wraps() {
        // RTP keeps 32 bits, a PCR base 33: start a second before the first of them wraps.
        for start in [(1u64 << 32) - 90_000, (1 << 33) - 90_000] {
            let mut clock = RtpClock::new();
            for n in 0..200u64 {
                let at = Arrival::from_ticks(n as i64 * 270_000);
                let packets = match n % 4 {
                    0 => [pcr_packet(0x100, start * 300 + n * 270_000)],
                    1 => [pcr_packet(0x200, 77)], // another program's clock
                    _ => [Packet::NULL],
                };
                let mut batch = Batch::with_capacity(1);
                batch.extend(&packets, at);
                clock.expect(&batch);
                let (stamp, marker) = clock.stamp(at);
                clock.pass(&packets[0], at);
                assert_eq!((stamp, marker), ((start + n * 900) as u32, false), "{n}");
            }
        }
    }

    #[test]
    fn a_jump_of_the_pcr_is_marked_and_a_little_jitter_never_turns_back() {
        let mut clock = RtpClock::new();
        let mut play = |ms: i64, pcr_ms: u64| {
            let (at, packet) = (
                Arrival::from_ticks(ms * 27_000),
                [pcr_packet(0x100, pcr_ms * 27_000)],
            );
            clock.pass(&packet[0], at);
            let said = clock.stamp(at);
            (said.0 / 90, said.1)
        };
        assert_eq!(play(0, 1000), (1000, false));
        assert_eq!(play(40, 1045), (1045, false));
        assert_eq!(play(41, 1041), (1045, false));
        assert_eq!(play(80, 9080), (9080, true));
        assert_eq!(play(120, 9120), (9120, false));
    }
}
