//! The monitor's clock: how long after the first packet another one comes.

use std::collections::VecDeque;

use crate::stream::timeline::Timeline;
use crate::ts::{Packet, Pcr, Pid};
use crate::units::{Arrival, Ticks27M};

use super::unrolled::Unrolled;

/// Packets that are looked ahead for the next PCR, at most: 1 MB, a PCR interval of 100 ms up to
/// 84 Mb/s.
pub(super) const LOOK_AHEAD: u64 = 5577;
/// A PCR PID that is silent for so long is given up for another.
const GIVEN_UP_AFTER: i64 = Ticks27M::SECOND.get();
/// A step between two PCRs that is believed without a look at the next one.
const LIKELY_STEP: Ticks27M = Ticks27M::SECOND;
/// What the mean pace is that of: so long to twice as long.
const PACE_OVER: i64 = Ticks27M::SECOND.get();
/// PIDs that are considered at one time, at most: the newest.
const MAX_OTHERS: usize = 64;
/// Bits behind the point of a slope: ticks a packet in 1/65536.
pub(super) const FRACTION: u32 = 16;

/// What tells the time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeSource {
    /// The arrivals: of a live input, or of packets that carry theirs.
    Arrival,
    /// The PCRs of one PID, between them the place in the stream: of a file or a pipe. A packet is
    /// looked at when the next PCR has come, or 1 MB without one.
    #[default]
    Pcr,
}

/// A place in the stream and its time.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Knot {
    pub(super) position: u64,
    pub(super) ticks: i64,
}

/// The clock. With [`TimeSource::Pcr`] it looks ahead to the next PCR, so that between two of them
/// time goes evenly however the rate changes from pair to pair; where none comes in
/// [`LOOK_AHEAD`] packets, or behind the last, it goes on at the mean pace. What it says of a packet
/// hangs on the packets alone, in whatever pieces they come. It never goes back: where the next PCR
/// proves that it ran too fast, it stands still until the stream has caught up. A jump of the PCRs is
/// no time that passed (see [`Unrolled`]). Before two PCRs of a PID were seen it stands at zero.
#[derive(Debug)]
pub(super) struct StreamClock {
    source: TimeSource,
    /// Ticks since the first packet, at the packet asked for last.
    now: i64,
    start: Option<Arrival>,
    pid: Option<Pid>,
    line: Unrolled,
    /// What is added to the line so that it counts from the first packet.
    shift: i64,
    /// The newest PCR taken.
    last: Knot,
    /// A PCR that only the next one can confirm, and the line with it.
    suspect: Option<(Knot, Unrolled)>,
    /// While another PID may be taken: the newest PCR of each.
    others: Vec<(Pid, u64, Pcr)>,
    /// PCRs between which the mean pace is taken: the older one counts, the newer one is next.
    paced: [Knot; 2],
    /// The mean pace; zero while time cannot be told.
    pace: u64,
    /// Packets that were looked at.
    seen: u64,
    /// PCRs that are not passed yet, in order.
    ahead: VecDeque<Knot>,
    /// From where time goes at which pace.
    from: Knot,
    slope: u64,
}

impl StreamClock {
    pub(super) fn new(source: TimeSource) -> Self {
        Self {
            source,
            now: 0,
            start: None,
            pid: None,
            line: Unrolled::default(),
            shift: 0,
            last: Knot::default(),
            suspect: None,
            others: Vec::new(),
            paced: [Knot::default(); 2],
            pace: 0,
            seen: 0,
            ahead: VecDeque::new(),
            from: Knot::default(),
            slope: 0,
        }
    }

    /// Since the first packet.
    pub(super) const fn now(&self) -> Ticks27M {
        Ticks27M::new(self.now)
    }

    /// True once time can be told: two PCRs of a PID came, or arrivals tell it.
    pub(super) const fn runs(&self) -> bool {
        match self.source {
            TimeSource::Arrival => self.start.is_some(),
            TimeSource::Pcr => self.pace > 0,
        }
    }

    /// True when packets have to wait until [`Self::reach`] knows their time.
    pub(super) fn looks_ahead(&self) -> bool {
        self.source == TimeSource::Pcr
    }

    /// When the place behind the last packet is due, at the mean pace.
    pub(super) fn end(&self) -> Ticks27M {
        match self.source {
            TimeSource::Arrival => self.now(),
            TimeSource::Pcr => Ticks27M::new(self.now + (self.slope >> FRACTION) as i64),
        }
    }

    /// Nothing has come until `arrival`.
    pub(super) fn idle(&mut self, arrival: Arrival) {
        if let (TimeSource::Arrival, Some(start)) = (self.source, self.start) {
            self.now = self.now.max((arrival - start).get());
        }
    }

    /// Looks ahead from `place`, the next packet to be asked for, in the packets before `end`;
    /// answers before which place the time is known. `closed` says that it is not to look beyond
    /// `end`, and not to wait for what comes there. PCRs on `preferred` are taken rather than others.
    pub(super) fn reach<'p>(
        &mut self,
        place: u64,
        (end, closed): (u64, bool),
        packet: impl Fn(u64) -> &'p Packet,
        preferred: Option<Pid>,
    ) -> u64 {
        let horizon = place + LOOK_AHEAD;
        while self.next_after(place).is_none() && self.seen < end && self.seen <= horizon {
            let next = packet(self.seen);
            if next.has_sync() && !next.transport_error() {
                self.look(next, place, preferred);
            }
            self.seen += 1;
        }
        let closed = closed && self.seen == end;
        let alone = |(knot, _): &mut (Knot, Unrolled)| {
            closed || self.seen > horizon && knot.position <= place
        };
        if self.next_after(place).is_none()
            && let Some((knot, line)) = self.suspect.take_if(alone)
        {
            self.accept(knot, line, place);
        }
        match self.next_after(place) {
            Some(position) => position,
            None if closed => end,
            None if self.seen > horizon => place + 1,
            None => place,
        }
    }

    /// Where the newest PCR ahead stands, when it is behind `place`.
    fn next_after(&self, place: u64) -> Option<u64> {
        let newest = self.ahead.back().map(|knot| knot.position);
        newest.filter(|position| *position > place)
    }

    /// Looks at the next packet, whose header can be believed, when those before `place` were asked
    /// for.
    fn look(&mut self, packet: &Packet, place: u64, preferred: Option<Pid>) {
        let pid = packet.pid();
        if Some(pid) == self.pid {
            self.line.pass(packet);
            if let Some((_, line)) = &mut self.suspect {
                line.pass(packet);
            }
            if let Some(pcr) = packet.pcr() {
                self.mark(pcr, packet.discontinuity(), place);
            }
        } else if let Some(pcr) = packet.pcr()
            && (Some(pid) == preferred || self.is_silent())
        {
            self.consider(pid, pcr, place);
        }
    }

    /// True when no PID tells the time, or has not for too long.
    fn is_silent(&self) -> bool {
        let packets = self.seen.saturating_sub(self.last.position);
        self.pace == 0 || due(packets, self.pace) > GIVEN_UP_AFTER
    }

    /// Takes a PCR of the PID that tells the time.
    fn mark(&mut self, pcr: Pcr, announced: bool, place: u64) {
        let follows = |line: &Unrolled| line.last_pcr().is_none_or(|last| is_likely(last, pcr));
        if let Some((knot, line)) = self.suspect.take()
            && !follows(&self.line)
        {
            self.accept(knot, line, place);
        } // else it was one damaged value between two good ones
        if follows(&self.line) {
            let knot = self.line.push(self.seen, pcr, announced);
            self.put(knot, place);
        } else {
            let mut line = self.line.clone();
            let knot = line.push(self.seen, pcr, announced);
            self.suspect = Some((knot, line));
        }
    }

    fn accept(&mut self, knot: Knot, line: Unrolled, place: u64) {
        self.line = line;
        self.put(knot, place);
    }

    /// Puts a PCR of the line ahead.
    fn put(&mut self, mut knot: Knot, place: u64) {
        knot.ticks += self.shift;
        let [older, newer] = &mut self.paced;
        if knot.ticks > older.ticks {
            self.pace = pace(*older, knot);
        }
        if knot.ticks - newer.ticks >= PACE_OVER {
            (*older, *newer) = (*newer, knot);
        }
        self.last = knot;
        if self.ahead.is_empty() {
            let ticks = self.due(place).max(self.now);
            let position = place;
            self.from = Knot { position, ticks };
            self.slope = pace(self.from, knot);
        }
        self.ahead.push_back(knot);
    }

    /// Takes a PCR of a PID that may tell the time from its second one on: what comes before that
    /// goes at the mean pace, at first at that of these two.
    fn consider(&mut self, pid: Pid, pcr: Pcr, place: u64) {
        let before = self.others.iter_mut().find(|(known, ..)| *known == pid);
        let Some(before) = before else {
            if self.others.len() >= MAX_OTHERS {
                self.others.remove(0);
            }
            return self.others.push((pid, self.seen, pcr));
        };
        let (_, position, then) = std::mem::replace(before, (pid, self.seen, pcr));
        let step = pcr - then;
        if step.is_negative() || step == Ticks27M::ZERO || step > Timeline::LONGEST_STEP {
            return;
        }
        self.line = Unrolled::default();
        let first = self.line.push(position, then, false);
        let second = self.line.push(self.seen, pcr, false);
        if self.pace == 0 {
            self.pace = pace(first, second);
        }
        let due = self.due(place).max(self.now) + due(self.seen - place, self.pace);
        self.shift = due - second.ticks;
        let ticks = due - step.get();
        self.paced = [Knot { position, ticks }; 2];
        self.pid = Some(pid);
        self.suspect = None;
        self.others.clear();
        self.put(second, place);
    }

    /// When a place of the present stretch is due.
    #[inline]
    fn due(&self, position: u64) -> i64 {
        self.from.ticks + due(position - self.from.position, self.slope)
    }

    /// When the packet with `position` packets before it came. To be asked in order, with PCRs as
    /// far as [`Self::reach`] said.
    #[inline]
    pub(super) fn at(&mut self, position: u64, arrival: Arrival) -> Ticks27M {
        let ticks = match self.source {
            TimeSource::Arrival => (arrival - *self.start.get_or_insert(arrival)).get(),
            TimeSource::Pcr => {
                while let Some(knot) = self.ahead.front().copied()
                    && knot.position <= position
                {
                    self.ahead.pop_front();
                    self.from = Knot {
                        position: knot.position,
                        ticks: knot.ticks.max(self.now),
                    };
                    let next = self.ahead.front();
                    self.slope = next.map_or(self.pace, |next| pace(self.from, *next));
                }
                self.due(position)
            }
        };
        self.now = self.now.max(ticks);
        Ticks27M::new(self.now)
    }
}

fn is_likely(last: Pcr, next: Pcr) -> bool {
    let step = next - last;
    !step.is_negative() && step <= LIKELY_STEP
}

/// Ticks a packet from `a` to `b`, in 1/65536; none where time would go back.
pub(super) fn pace(a: Knot, b: Knot) -> u64 {
    let ticks = u64::try_from(b.ticks - a.ticks).unwrap_or(0);
    (ticks << FRACTION) / b.position.saturating_sub(a.position).max(1)
}

/// How long so many packets take.
pub(super) fn due(packets: u64, pace: u64) -> i64 {
    (packets.saturating_mul(pace) >> FRACTION) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::ContinuityCounter;

    const PID: Pid = Pid::from_field(0x100);

    fn with_pcr(pid: Pid, ms: i64) -> Packet {
        let ticks = (ms * 27_000).rem_euclid(Pcr::CIRCLE.get()) as u64;
        Packet::pcr_only(
            pid,
            ContinuityCounter::default(),
            Pcr::from_ticks(ticks).unwrap(),
        )
    }

    /// The time in ms of each packet when `size` of them come at once.
    fn times(packets: &[Packet], size: usize) -> Vec<i64> {
        let mut clock = StreamClock::new(TimeSource::Pcr);
        let mut times = Vec::new();
        let mut known = 0;
        while times.len() < packets.len() {
            known = packets.len().min(known + size);
            let ended = known == packets.len();
            loop {
                let place = times.len() as u64;
                let packet = |n| &packets[n as usize];
                let to = clock.reach(place, (known as u64, ended), packet, None);
                times.extend((place..to).map(|n| {
                    let ticks = clock.at(n, Arrival::default());
                    (ticks.get() + 13_500).div_euclid(27_000)
                }));
                if to == place {
                    break;
                }
            }
        }
        times
    }

    /// 40 ms from PCR to PCR, ten packets from one to the next, `before` packets before the first.
    fn steady(before: usize, pcrs: i64, start_ms: i64) -> Vec<Packet> {
        let mut packets = vec![Packet::NULL; before];
        for n in 0..pcrs {
            packets.push(with_pcr(PID, start_ms + n * 40));
            packets.extend([Packet::NULL; 9]);
        }
        packets
    }

    #[test]
    fn packets_stand_evenly_between_pcrs_before_and_behind_them_over_the_wrap() {
        let wrap_ms = Pcr::CIRCLE.get() / 27_000;
        for start in [0, 5_000, wrap_ms - 100] {
            let packets = steady(5, 20, start);
            let due: Vec<_> = (0..packets.len() as i64).map(|n| n * 4).collect();
            assert_eq!(times(&packets, 1000), due);
            assert_eq!(times(&packets, 1), due);
        }
    }

    #[test]
    fn a_rate_that_changes_leaves_no_packet_early_or_late() {
        let mut packets = steady(0, 2, 0);
        packets.push(with_pcr(PID, 80));
        packets.extend([Packet::NULL; 99]);
        packets.push(with_pcr(PID, 120));
        let times = times(&packets, 1000);
        assert_eq!((times[20], times[70], times[120]), (80, 100, 120));
    }

    #[test]
    fn a_clock_that_ran_ahead_waits_and_never_goes_back() {
        // The third PCR comes later than is looked ahead, and sooner than the pace of the first two
        // announces: it is seen from packet 110 on, at 440 ms, and is of 84 ms.
        let mut packets = steady(0, 2, 0);
        let third = 110 + LOOK_AHEAD as usize;
        packets.resize(third, Packet::NULL);
        for n in 0..6 {
            packets.push(with_pcr(PID, 84 + n * 90));
            packets.extend([Packet::NULL; 9]);
        }
        for size in [1, 28, 1000, 100_000] {
            let times = times(&packets, size);
            assert!(times.is_sorted(), "{times:?}");
            assert_eq!((times[105], times[109]), (420, 436));
            assert_eq!((times[110], times[third + 30]), (440, 440));
            assert_eq!((times[third + 40], times[third + 45]), (444, 489));
        }
    }

    #[test]
    fn one_damaged_pcr_and_a_restart_of_the_clock_do_not_move_the_time() {
        let mut packets = steady(0, 40, 1_000_000);
        packets[100] = with_pcr(PID, 1_000_400 + 7_000);
        packets[110] = with_pcr(PID, 1_000_440);
        for n in 20..40 {
            packets[n * 10] = with_pcr(PID, 77 + n as i64 * 40);
        }
        let due: Vec<_> = (0..packets.len() as i64).map(|n| n * 4).collect();
        assert_eq!(times(&packets, 1000), due);
    }

    /// Packets of 4 ms whose clock is set on by `ms` at the middle; a payload on the PID, but for
    /// `lost` packets there, tells that nothing is missing.
    fn set_on_by(ms: i64, lost: u64) -> Vec<Packet> {
        let mut packets = steady(0, 100, 0);
        for (n, packet) in (0..).zip(&mut packets) {
            let set = if n >= 500 { ms } else { 0 };
            match n % 10 {
                0 => *packet = with_pcr(PID, n * 4 + set),
                _ => {
                    let gone = if n >= 500 { lost } else { 0 };
                    let counter =
                        ContinuityCounter::wrapping((n as u64 - n as u64 / 10 + gone) as u8);
                    *packet = Packet::new(PID, counter);
                    packet.fill_payload(&[0; 184]);
                }
            }
        }
        // The PCR that is set on stands behind the loss.
        packets.swap(500, 501);
        packets
    }

    #[test]
    fn a_clock_that_is_set_on_is_no_time_that_passed() {
        for ms in [600, 1_000, 3_000, 9_000, 3_600_000, -600] {
            for size in [1000, 30] {
                let times = times(&set_on_by(ms, 0), size);
                let off = times.iter().zip(0..).map(|(t, n)| (t - n * 4).abs());
                // The PCR stands a packet late; a clock that ran ahead of it waits.
                assert!(off.max() <= Some(8), "{ms} ms, {size} at once: {times:?}");
            }
        }
    }

    #[test]
    fn the_time_of_packets_that_are_missing_has_passed() {
        let times = times(&set_on_by(600, 5), 1000);
        assert_eq!((times[400], times[990] - 990 * 4), (1600, 600));
    }

    #[test]
    fn clocks_that_come_rarely_tell_the_time_of_a_rate_that_changes() {
        // 0.4 s from PCR to PCR, with 100 packets between, then 10.
        let mut packets = Vec::new();
        for n in 0..20 {
            packets.push(with_pcr(PID, n * 400));
            packets.extend(vec![Packet::NULL; if n < 10 { 99 } else { 9 }]);
        }
        let times = times(&packets, 5000);
        assert_eq!((times[1000], times[1090]), (4_000, 7_600));
    }

    #[test]
    fn a_pid_that_falls_silent_is_replaced_and_time_goes_on() {
        let other = Pid::from_field(0x200);
        let mut packets = steady(0, 50, 0);
        for n in 0..100 {
            packets.push(with_pcr(other, 99_000 + n * 40));
            packets.extend([Packet::NULL; 9]);
        }
        let due: Vec<_> = (0..packets.len() as i64).map(|n| n * 4).collect();
        assert_eq!(times(&packets, 50), due);
    }

    #[test]
    fn arrivals_tell_the_time_of_a_live_input_and_of_its_silence() {
        let mut clock = StreamClock::new(TimeSource::Arrival);
        let at = |ms: i64| Arrival::from_ticks(27_000 * ms);
        clock.idle(at(1_000));
        assert!(!clock.runs());
        assert_eq!(clock.at(0, at(5_000)), Ticks27M::ZERO);
        assert_eq!(clock.at(1, at(5_040)), Ticks27M::from_millis(40));
        clock.idle(at(7_000));
        assert_eq!(clock.at(2, at(6_000)), Ticks27M::from_millis(2_000));
    }
}
