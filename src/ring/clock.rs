//! When a packet came: monotonic arrivals as UTC, or the stream's own clock as UTC.

use crate::ts::{Packet, Pcr, Pid};
use crate::units::{Arrival, Ticks27M, WallTime};

/// A difference between the wall clock and ours up to which ours is slewed; beyond, it steps.
const STEP: Ticks27M = Ticks27M::SECOND;

/// Slewing takes one part in this many: half a percent, so that a second is made good in 200 s
/// and whoever plays by the stamps needs 5 ms of buffer a second.
const SLEW: i64 = 200;

/// UTC by the monotonic clock, kept near the wall clock.
///
/// A backward or forward step of the wall clock by up to a second is slewed; a larger one is
/// reported and taken over at once.
///
/// ```
/// use headend::ring::UtcClock;
/// use headend::units::{Arrival, Ticks27M, WallTime};
/// let mut clock = UtcClock::new(Arrival::from_ticks(0), WallTime::from_unix_millis(1000));
/// let later = Arrival::from_ticks(0) + Ticks27M::SECOND;
/// assert_eq!(clock.utc(later), WallTime::from_unix_millis(2000));
/// let step = clock.observe(later, WallTime::from_unix_millis(3_602_000));
/// assert_eq!(step, Some(Ticks27M::SECOND * 3600));
/// assert_eq!(clock.utc(later), WallTime::from_unix_millis(3_602_000));
/// ```
#[derive(Clone, Debug)]
pub struct UtcClock {
    /// UTC minus monotonic.
    offset: Ticks27M,
    observed: Arrival,
}

impl UtcClock {
    /// A clock that shows `wall` at `arrival`.
    pub fn new(arrival: Arrival, wall: WallTime) -> Self {
        Self {
            offset: Ticks27M::new(wall.ticks()) - Ticks27M::new(arrival.ticks()),
            observed: arrival,
        }
    }

    /// Compares with the wall clock; the size of the step where it was set.
    pub fn observe(&mut self, arrival: Arrival, wall: WallTime) -> Option<Ticks27M> {
        let elapsed = arrival - self.observed;
        self.observed = arrival;
        let off = wall - self.utc(arrival);
        if off.abs() > STEP {
            self.offset += off;
            return Some(off);
        }
        let most = Ticks27M::new(elapsed.get().max(0) / SLEW);
        self.offset += off.clamp(-most, most);
        None
    }

    /// The UTC of an arrival. Not quite monotonic over an observation: the writer sees to that.
    pub fn utc(&self, arrival: Arrival) -> WallTime {
        WallTime::from_ticks(arrival.ticks()) + self.offset
    }
}

/// Packets that may wait for the next PCR: 6 MB, half a second at 100 Mb/s. Beyond it they are
/// dated by the last known rate.
pub const HELD_PACKETS: usize = 32_768;

/// A PCR that moves by more than this, or backward, starts its count anew (§2.7.2 of
/// ISO/IEC 13818-1 wants one each 100 ms; broadcasters have been seen with 1 s). Half of what a
/// timeline follows, which has to get over reception that failed: here a longer step would be
/// filed as time in which the packets around it were spread, and whoever plays by the stamps
/// would wait through it.
const MAX_PCR_STEP: Ticks27M = Ticks27M::new(5 * 27_000_000);

/// After so many PCRs of another PID without one of the chosen PID, the other is chosen.
const OTHERS_BEFORE_CHANGE: u32 = 100;

/// Since when a PID's clock is the one that dates.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Followed {
    Before,
    FromHere,
}

/// Dates packets by the PCR they carry, as if the first had been received at a given instant.
#[derive(Clone, Debug)]
pub struct PcrClock {
    pid: Option<Pid>,
    others: u32,
    last_pcr: Option<Pcr>,
    /// Where the next packet stands: at the last PCR, or the start.
    now: WallTime,
    /// Ticks a packet, as a fraction: span over packets of the last whole interval.
    pace: (Ticks27M, i64),
    held: Vec<Packet>,
}

impl PcrClock {
    /// A clock whose first packet comes at `at`.
    pub fn new(at: WallTime) -> Self {
        Self {
            pid: None,
            others: 0,
            last_pcr: None,
            now: at,
            pace: (Ticks27M::ZERO, 1),
            held: Vec::with_capacity(1024),
        }
    }

    /// Takes packets, and hands out those whose time is known, in order: packets, the instant of
    /// the first, and the span they cover.
    pub fn push(&mut self, packets: &[Packet], out: &mut dyn FnMut(&[Packet], WallTime, Ticks27M)) {
        let mut done = 0;
        for (i, packet) in packets.iter().enumerate() {
            let Some(pcr) = packet.pcr() else {
                continue;
            };
            let Some(followed) = self.follow(packet.pid()) else {
                continue;
            };
            self.hold(packets.get(done..i).unwrap_or_default(), out);
            done = i;
            let span = match self.last_pcr {
                Some(last) if followed == Followed::Before => Some(pcr - last)
                    .filter(|d| !d.is_negative() && *d <= MAX_PCR_STEP)
                    .filter(|_| !packet.discontinuity()),
                // A PID's clock cannot be compared with another's: the count starts anew.
                _ => None,
            };
            match span {
                Some(span) => self.release(span, out),
                None if self.has_pace() => self.release_at_pace(out),
                // The packets before the first interval wait for its pace.
                None => {}
            }
            self.last_pcr = Some(pcr);
        }
        self.hold(packets.get(done..).unwrap_or_default(), out);
    }

    /// Hands out what waits for a PCR that does not come, by the last known pace.
    pub fn finish(&mut self, out: &mut dyn FnMut(&[Packet], WallTime, Ticks27M)) {
        self.release_at_pace(out);
    }

    /// True once two PCRs gave a pace.
    pub fn has_pace(&self) -> bool {
        self.pace.0 > Ticks27M::ZERO
    }

    /// Whether a PCR of `pid` is looked at; `None` when the clock is another PID's.
    fn follow(&mut self, pid: Pid) -> Option<Followed> {
        if self.pid == Some(pid) {
            self.others = 0;
            return Some(Followed::Before);
        }
        self.others += 1;
        if self.pid.is_some() && self.others <= OTHERS_BEFORE_CHANGE {
            return None;
        }
        (self.pid, self.others) = (Some(pid), 0);
        Some(Followed::FromHere)
    }

    fn hold(&mut self, packets: &[Packet], out: &mut dyn FnMut(&[Packet], WallTime, Ticks27M)) {
        let mut rest = packets;
        while self.held.len() + rest.len() > HELD_PACKETS {
            let (now, later) = rest.split_at(HELD_PACKETS.saturating_sub(self.held.len()));
            self.held.extend_from_slice(now);
            self.release_at_pace(out);
            rest = later;
        }
        self.held.extend_from_slice(rest);
    }

    /// Hands out what is held, evenly over `span`.
    fn release(&mut self, span: Ticks27M, out: &mut dyn FnMut(&[Packet], WallTime, Ticks27M)) {
        if let Ok(count @ 1..) = i64::try_from(self.held.len()) {
            self.pace = (span, count);
            out(&self.held, self.now, span);
            self.held.clear();
        }
        self.now += span;
    }

    fn release_at_pace(&mut self, out: &mut dyn FnMut(&[Packet], WallTime, Ticks27M)) {
        let (span, count) = self.pace;
        let held = i128::try_from(self.held.len()).unwrap_or(0);
        let ticks = i128::from(span.get()) * held / i128::from(count.max(1));
        let span = Ticks27M::new(i64::try_from(ticks).unwrap_or(i64::MAX));
        if !self.held.is_empty() {
            out(&self.held, self.now, span);
            self.held.clear();
        }
        self.now += span;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::ContinuityCounter;

    fn at_ms(ms: i64) -> Arrival {
        Arrival::from_ticks(ms * 27_000)
    }

    #[test]
    fn small_differences_are_slewed_and_never_turn_time_back() {
        let mut clock = UtcClock::new(at_ms(0), WallTime::from_unix_millis(0));
        // The wall clock is set back by 900 ms: made good after 180 s, at 5 ms a second.
        let mut last = WallTime::default();
        for ms in (10..=200_000).step_by(10) {
            assert_eq!(
                clock.observe(at_ms(ms), WallTime::from_unix_millis(ms - 900)),
                None
            );
            let now = clock.utc(at_ms(ms));
            assert!(now > last, "time went back at {ms} ms");
            last = now;
            if ms == 100_000 {
                assert_eq!(now.unix_millis(), 100_000 - 500);
            }
        }
        assert_eq!(last.unix_millis(), 200_000 - 900);
    }

    #[test]
    fn a_step_of_a_day_is_told_and_taken() {
        let day = Ticks27M::SECOND * 86_400;
        for step in [
            day,
            -day,
            Ticks27M::from_millis(1001),
            Ticks27M::from_millis(-1001),
        ] {
            let start = WallTime::from_unix_millis(1_700_000_000_000);
            let mut clock = UtcClock::new(at_ms(5), start);
            assert_eq!(clock.observe(at_ms(5), start + step), Some(step));
            assert_eq!(clock.utc(at_ms(6)) - start, step + Ticks27M::MILLISECOND);
        }
    }

    fn filler() -> Packet {
        Packet::new(Pid::NULL, ContinuityCounter::default())
    }

    fn pcr(ms: i64) -> Packet {
        let pid = Pid::new(0x100).unwrap();
        let zero = Pcr::from_ticks(Pcr::CIRCLE.get() as u64 - 27_000 * 150).unwrap();
        Packet::pcr_only(
            pid,
            ContinuityCounter::default(),
            zero + Ticks27M::from_millis(ms),
        )
    }

    fn dated(clock: &mut PcrClock, packets: &[Packet], chunk: usize) -> Vec<(i64, usize, i64)> {
        let mut seen = Vec::new();
        let mut out = |p: &[Packet], at: WallTime, span: Ticks27M| {
            seen.push((at.unix_millis(), p.len(), span.as_millis()));
        };
        for part in packets.chunks(chunk) {
            clock.push(part, &mut out);
        }
        clock.finish(&mut out);
        seen
    }

    #[test]
    fn packets_are_dated_between_their_pcrs_over_the_wrap_in_any_chunks() {
        // 2 packets, then PCRs at 0, 100, 200 ms (the wrap lies between) with 4, 9, 2 after them.
        let mut packets = vec![filler(); 2];
        for (ms, after) in [(0, 4), (100, 9), (200, 2)] {
            packets.push(pcr(ms));
            packets.extend(vec![filler(); after]);
        }
        for chunk in 1..packets.len() + 1 {
            let mut clock = PcrClock::new(WallTime::from_unix_millis(1000));
            assert_eq!(
                dated(&mut clock, &packets, chunk),
                // 7 packets in the first 100 ms (two before its PCR), 10 in the second, and the
                // tail of 3 at the pace of the last interval: 10 ms each.
                [(1000, 7, 100), (1100, 10, 100), (1200, 3, 30)],
                "chunks of {chunk}"
            );
        }
    }

    #[test]
    fn a_jump_of_the_pcr_goes_on_at_the_old_pace() {
        let mut packets = Vec::new();
        for ms in [0, 40, 3_600_000, 3_600_040] {
            packets.push(pcr(ms));
            packets.push(filler());
        }
        let mut clock = PcrClock::new(WallTime::from_unix_millis(0));
        assert_eq!(
            dated(&mut clock, &packets, 3),
            [(0, 2, 40), (40, 2, 40), (80, 2, 40), (120, 2, 40)]
        );
        assert!(clock.has_pace());
    }

    #[test]
    fn where_the_clock_changes_its_pid_what_waits_goes_on_at_the_old_pace() {
        // 20 ms a packet on one PID; then it ends, and another PID's clock comes with every
        // packet, 10 ms apart and elsewhere on the circle.
        let mut packets = vec![pcr(0), filler(), pcr(40), filler()];
        let other = Pid::new(0x200).unwrap();
        for i in 0..103 {
            let at = Pcr::from_ticks(1 << 30).unwrap() + Ticks27M::from_millis(10 * i);
            packets.push(Packet::pcr_only(other, ContinuityCounter::default(), at));
        }
        for chunk in [1, 7, packets.len()] {
            let mut clock = PcrClock::new(WallTime::from_unix_millis(0));
            // The 101st of the other PID is the first that is followed: before it, 2 packets of
            // the old clock and 100 of the other wait, 20 ms each.
            assert_eq!(
                dated(&mut clock, &packets, chunk),
                [
                    (0, 2, 40),
                    (40, 102, 2040),
                    (2080, 1, 10),
                    (2090, 1, 10),
                    (2100, 1, 10)
                ],
                "chunks of {chunk}"
            );
        }
    }

    #[test]
    fn without_a_pcr_the_hold_is_bounded() {
        let packets = vec![filler(); HELD_PACKETS + 10];
        let mut clock = PcrClock::new(WallTime::from_unix_millis(0));
        let seen = dated(&mut clock, &packets, 1000);
        assert_eq!(seen, [(0, HELD_PACKETS, 0), (0, 10, 0)]);
        assert!(!clock.has_pace());
    }
}
