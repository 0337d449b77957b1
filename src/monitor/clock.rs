//! The monitor's clock: how long after the first packet another one comes.

use crate::stream::Batch;
use crate::ts::{Packet, Pcr, Pid};
use crate::units::{Arrival, Ticks27M};

use super::unrolled::Unrolled;

/// A PCR PID that is silent for so long is given up for another.
const GIVEN_UP_AFTER: Ticks27M = Ticks27M::SECOND;
/// A step between two PCRs that is believed without a look at the next one.
const LIKELY_STEP: Ticks27M = Ticks27M::SECOND;
/// PCRs that are looked at when a PID is chosen, at most.
const MAX_LOOKED_AT: usize = 1000;
/// Bits behind the point of a slope: ticks a packet in 1/65536.
pub(super) const FRACTION: u32 = 16;

/// What tells the time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeSource {
    /// The arrivals: of a live input, or of packets that carry theirs.
    Arrival,
    /// The PCRs of one PID, between them the place in the stream: of a file.
    #[default]
    Pcr,
}

/// A place in the stream and its time.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Knot {
    pub(super) position: u64,
    pub(super) ticks: i64,
}

/// The clock. With [`TimeSource::Pcr`] it looks ahead in each batch, so that between two PCRs time
/// goes evenly however the rate changes from pair to pair; behind the last of a batch it goes on at
/// the mean pace of the batch. It never goes back: where the next PCR proves that it ran too fast, it
/// stands still until the stream has caught up. A jump of the PCRs is no time that passed (see
/// [`Unrolled`]). Before the first pair of PCRs it stands at zero,
/// unless that pair lies in the same batch.
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
    last: Option<Knot>,
    /// The mean pace over the newest batch with PCRs.
    pace: u64,
    /// PCRs of this batch that are not passed yet, the next one at the end.
    ahead: Vec<Knot>,
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
            last: None,
            pace: 0,
            ahead: Vec::new(),
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

    /// When the place behind the last packet is due, at the mean pace.
    pub(super) fn end(&self) -> Ticks27M {
        match self.source {
            TimeSource::Arrival => self.now(),
            TimeSource::Pcr => Ticks27M::new(self.now + (self.slope >> FRACTION) as i64),
        }
    }

    /// To be called before the packets of `batch` are asked for, the first of which has `position`
    /// packets before it. PCRs on `preferred` are taken rather than others.
    pub(super) fn expect(&mut self, batch: &Batch, position: u64, preferred: Option<Pid>) {
        if self.source == TimeSource::Arrival {
            return;
        }
        let silent = |last: Knot| self.now - last.ticks > GIVEN_UP_AFTER.get();
        let silent = self.last.is_none_or(silent);
        if silent || preferred.is_some() && preferred != self.pid {
            self.choose(batch, preferred, silent);
        }
        let from = Knot {
            position,
            ticks: self.due(position).max(self.now),
        };
        self.look_ahead(batch, from);
        self.turn(from);
    }

    /// Nothing has come until `arrival`.
    pub(super) fn idle(&mut self, arrival: Arrival) {
        if let (TimeSource::Arrival, Some(start)) = (self.source, self.start) {
            self.now = self.now.max((arrival - start).get());
        }
    }

    /// Takes `preferred` if it has two PCRs in the batch; else, when the one before is `silent`,
    /// the PID with most of them.
    fn choose(&mut self, batch: &Batch, preferred: Option<Pid>, silent: bool) {
        let mut counts: Vec<(Pid, u32)> = Vec::new();
        let pcrs = batch.packets().iter().filter_map(pcr_of);
        for (pid, _) in pcrs.take(MAX_LOOKED_AT) {
            match counts.iter_mut().find(|(known, _)| *known == pid) {
                Some((_, count)) => *count += 1,
                None => counts.push((pid, 1)),
            }
        }
        counts.retain(|(_, count)| *count > 1);
        let wanted = counts.iter().find(|(pid, _)| Some(*pid) == preferred);
        let most = counts.iter().max_by_key(|(_, count)| *count);
        let chosen = wanted.or(most.filter(|_| silent)).map(|(pid, _)| *pid);
        if chosen.is_some() && chosen != self.pid {
            self.pid = chosen;
            self.line = Unrolled::default();
            self.last = None;
        }
    }

    /// Puts the PCRs of the batch on the line.
    fn look_ahead(&mut self, batch: &Batch, first: Knot) {
        self.ahead.clear();
        let Some(pid) = self.pid else { return };
        let mut values = (first.position..)
            .zip(batch.packets())
            .filter(|(_, packet)| packet.pid() == pid && is_believed(packet));
        while let Some((position, packet)) = values.next() {
            self.line.pass(packet);
            let Some(pcr) = packet.pcr() else { continue };
            if let Some(last) = self.line.last_pcr()
                && !is_likely(last, pcr)
                && values
                    .clone()
                    .find_map(|(_, packet)| packet.pcr())
                    .is_some_and(|next| is_likely(last, next))
            {
                continue; // one damaged value between two good ones
            }
            let knot = self.line.push(position, pcr, packet.discontinuity());
            self.ahead.push(knot);
        }
        if self.last.is_none() && !self.anchor(first) {
            return;
        }
        for knot in &mut self.ahead {
            knot.ticks += self.shift;
        }
        let from = self.last.or(self.ahead.first().copied());
        if let (Some(from), Some(to)) = (from, self.ahead.last())
            && from.ticks < to.ticks
        {
            self.pace = pace(from, *to);
        }
        self.last = self.ahead.last().copied().or(self.last);
        self.ahead.reverse();
    }

    /// Relates the line of a PID just taken to the time so far: what comes before its first PCR
    /// comes at the mean pace of those of the batch. False when there is no pair.
    fn anchor(&mut self, first: Knot) -> bool {
        let [a, .., b] = self.ahead[..] else {
            self.ahead.clear();
            self.line = Unrolled::default();
            return false;
        };
        let before = (a.position - first.position).saturating_mul(pace(a, b)) >> FRACTION;
        self.shift = first.ticks + before as i64 - a.ticks;
        true
    }

    /// Passes on to the stretch that begins at `from`.
    fn turn(&mut self, from: Knot) {
        self.from = from;
        self.slope = match self.ahead.last() {
            Some(next) => pace(from, *next),
            None => self.pace,
        };
    }

    /// When a place of the present stretch is due.
    #[inline]
    fn due(&self, position: u64) -> i64 {
        let passed = (position - self.from.position).saturating_mul(self.slope);
        self.from.ticks + (passed >> FRACTION) as i64
    }

    /// When the packet with `position` packets before it came. To be asked in order.
    #[inline]
    pub(super) fn at(&mut self, position: u64, arrival: Arrival) -> Ticks27M {
        let ticks = match self.source {
            TimeSource::Arrival => (arrival - *self.start.get_or_insert(arrival)).get(),
            TimeSource::Pcr => {
                while let Some(knot) = self.ahead.pop_if(|knot| knot.position <= position) {
                    self.turn(Knot {
                        position: knot.position,
                        ticks: knot.ticks.max(self.now),
                    });
                }
                self.due(position)
            }
        };
        self.now = self.now.max(ticks);
        Ticks27M::new(self.now)
    }
}

/// The PCR of a packet whose header can be believed.
fn pcr_of(packet: &Packet) -> Option<(Pid, Pcr)> {
    let pcr = packet.pcr()?;
    is_believed(packet).then_some((packet.pid(), pcr))
}

fn is_believed(packet: &Packet) -> bool {
    packet.has_sync() && !packet.transport_error()
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

    /// The time in ms of each packet, batches of `size` packets at once.
    fn times(packets: &[Packet], size: usize) -> Vec<i64> {
        let mut clock = StreamClock::new(TimeSource::Pcr);
        let mut times = Vec::new();
        for piece in packets.chunks(size) {
            let mut batch = Batch::with_capacity(size);
            batch.extend(piece, Arrival::default());
            let first = times.len() as u64;
            clock.expect(&batch, first, None);
            for n in 0..piece.len() as u64 {
                let ticks = clock.at(first + n, Arrival::default());
                times.push((ticks.get() + 13_500).div_euclid(27_000));
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
            // In pieces too, once the first pair was there.
            assert_eq!(times(&packets, 30), due);
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
        // The second piece comes to its PCR sooner than the pace of the first announces.
        let mut packets = steady(0, 2, 0);
        packets.extend([Packet::NULL; 10]);
        packets.push(with_pcr(PID, 84));
        packets.push(with_pcr(PID, 124));
        let times = times(&packets, 28);
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(times[27..], [108, 112, 112, 112, 124]);
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
