//! How an input is: the monitor's checks, as far as they are faults.

use std::collections::VecDeque;

use super::fault::{Fault, Faults};
use crate::monitor::tables::{AbsenceLimits, TableLimits};
use crate::monitor::{Alarms, Check, Finding, Monitor, MonitorOptions, TimeSource};
use crate::si::StreamKind;
use crate::stream::Batch;
use crate::stream::event::Subject;
use crate::ts::{PACKET_SIZE, Pid};
use crate::units::{Arrival, BitRate, Ticks27M};

/// When a fault counts.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct HealthOptions {
    /// The faults that count.
    pub on: Faults,
    /// No packets for so long is a loss, and no picture or sound for so long but 700 ms at least is
    /// a fault of it. 50 ms at least.
    pub timeout: Ticks27M,
    /// So many breaks of continuity counters in a second are a fault.
    pub cc_errors: usize,
    /// The least and the most bit rate, over a second.
    pub bitrate: Option<(BitRate, BitRate)>,
}

impl Default for HealthOptions {
    /// Everything but the bit rate and what a decoder finds, 500 ms, 10 a second.
    fn default() -> Self {
        let all: Faults = Fault::ALL.iter().copied().collect();
        let bitrate = [Fault::Bitrate].into_iter().collect();
        Self {
            on: all.without(Faults::DECODED).without(bitrate),
            timeout: Ticks27M::from_millis(500),
            cc_errors: 10,
            bitrate: None,
        }
    }
}

/// What is over after so long without being found again.
const CLEAR_AFTER: Ticks27M = Ticks27M::from_millis(2_000);
/// Picture and sound may come in bursts: ISO/IEC 13818-1 §2.7.4 wants a stamp each 0.7 s.
const LEAST_ABSENCE: Ticks27M = Ticks27M::from_millis(700);
/// Over what a bit rate is measured.
const RATE_OVER: Ticks27M = Ticks27M::SECOND;
/// Without packets for so long, what must come again is not missed by itself: all is silent.
const SILENCE: Ticks27M = Ticks27M::from_millis(40);
/// How often is looked whether packets are scrambled.
const LOOK_EVERY: Ticks27M = Ticks27M::from_millis(20);

/// So many errors of the clock in a second are a fault: one late PCR is jitter, and a jump is one.
const PCR_ERRORS: usize = 3;

/// Something that is a fault when it comes often within a second.
#[derive(Debug)]
struct Burst {
    most: usize,
    /// When it came, within the last second.
    times: VecDeque<Ticks27M>,
    until: Option<Ticks27M>,
}

impl Burst {
    const fn of(most: usize) -> Self {
        Self {
            most,
            times: VecDeque::new(),
            until: None,
        }
    }

    fn push(&mut self, at: Ticks27M) {
        self.times.push_back(at);
        let old = |time: &Ticks27M| at - *time > Ticks27M::SECOND;
        while self.times.front().is_some_and(old) {
            self.times.pop_front();
        }
        if self.times.len() >= self.most {
            self.until = Some(at + CLEAR_AFTER);
            self.times.pop_front();
        }
    }

    fn goes_on(&self, now: Ticks27M) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// Follows one input.
#[derive(Debug)]
pub struct Health {
    options: HealthOptions,
    monitor: Monitor,
    alarms: Alarms,
    last_arrival: Option<Arrival>,
    /// No packet has come since synchronisation was lost.
    unsynced: bool,
    breaks: Burst,
    clock_errors: Burst,
    scrambled: u64,
    scrambled_at: Option<Arrival>,
    looked_at: Option<Arrival>,
    /// Packets at the beginning of the second that is measured.
    rate_from: Option<(Arrival, u64)>,
    rate_wrong: bool,
    rate: Option<BitRate>,
}

impl Health {
    /// Before the first packet.
    pub fn new(options: HealthOptions) -> Self {
        let longest = Some(options.timeout.max(LEAST_ABSENCE));
        let absence = AbsenceLimits {
            video: longest,
            audio: longest,
            ..AbsenceLimits::default()
        };
        let tables = TableLimits {
            absence,
            ..TableLimits::default()
        };
        Self {
            monitor: Monitor::new(MonitorOptions {
                time: TimeSource::Arrival,
                tables,
                decode: !options.on.among(Faults::DECODED).is_empty(),
                ..MonitorOptions::default()
            }),
            options,
            alarms: Alarms::new(CLEAR_AFTER),
            last_arrival: None,
            unsynced: false,
            breaks: Burst::of(options.cc_errors),
            clock_errors: Burst::of(PCR_ERRORS),
            scrambled: 0,
            scrambled_at: None,
            looked_at: None,
            rate_from: None,
            rate_wrong: false,
            rate: None,
        }
    }

    /// The monitor that judges.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The monitor and its alarms, for a decoder that tells what it finds.
    pub fn decoded(&mut self) -> (&mut Monitor, &mut Alarms) {
        (&mut self.monitor, &mut self.alarms)
    }

    /// The bit rate of the last second; `None` before there was one.
    pub const fn rate(&self) -> Option<BitRate> {
        self.rate
    }

    /// Synchronisation was lost.
    pub fn sync_lost(&mut self) {
        self.monitor.sync_lost(self.monitor.packets());
        self.unsynced = true;
    }

    /// Takes packets as they came.
    pub fn push(&mut self, batch: &Batch) {
        let Some(last) = batch.last_arrival() else {
            return;
        };
        // A silence is a loss when it is long enough, and no other fault.
        let first = batch.first_arrival().unwrap_or(last);
        if self
            .last_arrival
            .is_some_and(|before| first - before > SILENCE)
        {
            self.monitor.interrupted();
        }
        self.last_arrival = Some(last);
        self.unsynced = false;
        let mut found = Vec::new();
        self.monitor.push(batch, &mut |f| found.push(f.clone()));
        self.take(&found);
        self.measure(last);
    }

    /// Time went on to `now`.
    pub fn idle(&mut self, now: Arrival) {
        if self.last_arrival.is_none_or(|last| now - last > SILENCE) {
            return self.measure(now);
        }
        let mut found = Vec::new();
        self.monitor.idle(now, &mut |f| found.push(f.clone()));
        self.take(&found);
        self.alarms.tick(self.monitor.now(), &mut |_| {});
        self.measure(now);
    }

    fn take(&mut self, found: &[Finding]) {
        for finding in found {
            match self.fault_of(finding) {
                Some(Fault::Cc) => self.breaks.push(finding.at.time),
                Some(Fault::Pcr) => self.clock_errors.push(finding.at.time),
                Some(_) => self.alarms.push(finding, &mut |_| {}),
                None => {}
            }
        }
    }

    /// What a finding is as a fault.
    fn fault_of(&self, finding: &Finding) -> Option<Fault> {
        match finding.check {
            Check::ContinuityCountError => Some(Fault::Cc),
            Check::TsSyncLoss => Some(Fault::Sync),
            Check::PatError2 | Check::PmtError2 => Some(Fault::Psi),
            Check::PcrRepetitionError | Check::PcrDiscontinuityIndicatorError => Some(Fault::Pcr),
            Check::PidError => match finding.subject {
                Subject::Pid(pid) => self.kind_of(pid),
                Subject::Stream | Subject::Service(_) => None,
            },
            _ => None,
        }
    }

    fn kind_of(&self, pid: Pid) -> Option<Fault> {
        let mut streams = self.monitor.programs().services().flat_map(|s| &s.streams);
        match streams.find(|s| s.pid == pid)?.kind {
            StreamKind::Video => Some(Fault::Video),
            StreamKind::Audio => Some(Fault::Audio),
            _ => None,
        }
    }

    /// Looks at what is counted: scrambled packets and the bit rate.
    fn measure(&mut self, now: Arrival) {
        if self.looked_at.is_some_and(|then| now - then < LOOK_EVERY) {
            return;
        }
        self.looked_at = Some(now);
        let streams = self.monitor.programs().services().flat_map(|s| &s.streams);
        let wanted = streams.filter(|s| matches!(s.kind, StreamKind::Video | StreamKind::Audio));
        let counts = wanted.filter_map(|s| self.monitor.pid(s.pid));
        let scrambled = counts.map(|count| count.scrambled_packets).sum();
        if scrambled > self.scrambled {
            self.scrambled_at = Some(now);
        }
        self.scrambled = scrambled;
        let packets = self.monitor.packets();
        let (from, before) = *self.rate_from.get_or_insert((now, packets));
        if now - from >= RATE_OVER {
            self.rate = BitRate::of((packets - before) * PACKET_SIZE as u64, now - from);
            self.rate_from = Some((now, packets));
            if let (Some(rate), Some((least, most))) = (self.rate, self.options.bitrate) {
                self.rate_wrong = rate < least || rate > most;
            }
        }
    }

    /// The faults that count at `now`.
    pub fn faults(&self, now: Arrival) -> Faults {
        let mut faults = Faults::NONE;
        for check in self.alarms.checks() {
            let fault = match check {
                Check::TsSyncLoss => Fault::Sync,
                Check::PatError2 | Check::PmtError2 => Fault::Psi,
                Check::VideoBlack => Fault::Black,
                Check::VideoFrozen => Fault::Freeze,
                Check::AudioSilent => Fault::Silence,
                _ => continue,
            };
            faults.set(fault, true);
        }
        // The alarm is raised with the packets that come after, if any do.
        faults.set(Fault::Sync, self.unsynced || faults.has(Fault::Sync));
        for pid in self.alarms.subjects(Check::PidError) {
            if let Subject::Pid(pid) = pid
                && let Some(fault) = self.kind_of(pid)
            {
                faults.set(fault, true);
            }
        }
        let loss = |last: Arrival| now - last >= self.options.timeout;
        faults.set(Fault::Loss, self.last_arrival.is_none_or(loss));
        let time = self.monitor.now().time;
        faults.set(Fault::Cc, self.breaks.goes_on(time));
        faults.set(Fault::Pcr, self.clock_errors.goes_on(time));
        let recent = |at: Arrival| now - at < CLEAR_AFTER;
        faults.set(Fault::Scrambled, self.scrambled_at.is_some_and(recent));
        faults.set(Fault::Bitrate, self.rate_wrong);
        faults.among(self.options.on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::Packet;

    #[test]
    fn a_loss_of_synchronisation_counts_before_the_next_packet_and_for_two_seconds_more() {
        let mut health = Health::new(HealthOptions::default());
        let at = |ms| Arrival::default() + Ticks27M::from_millis(ms);
        let come = |health: &mut Health, ms| {
            let mut batch = Batch::with_capacity(1);
            assert!(batch.push(&Packet::NULL, at(ms)));
            health.push(&batch);
        };
        come(&mut health, 0);
        assert!(!health.faults(at(10)).has(Fault::Sync));
        health.sync_lost();
        assert!(health.faults(at(10)).has(Fault::Sync));
        for ms in (20..2_000).step_by(20) {
            come(&mut health, ms);
            health.idle(at(ms));
            assert!(health.faults(at(ms)).has(Fault::Sync), "{ms}");
        }
        for ms in (2_000..2_200).step_by(20) {
            come(&mut health, ms);
            health.idle(at(ms));
        }
        assert!(!health.faults(at(2_200)).has(Fault::Sync));
    }
}
