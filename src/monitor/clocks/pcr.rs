//! The PCRs of one PID: how often they come, whether they go on, whether they are where they
//! should be.

use super::accuracy::{Accuracy, Obstacle, Sample};
use super::jitter::Jitter;
use super::{Absence, ClockOptions};
use crate::monitor::{Check, Finding, Moment, Out, Seen, Series};
use crate::si::ServiceId;
use crate::stream::Distribution;
use crate::stream::event::Subject;
use crate::ts::{Pcr, Pid};
use crate::units::Ticks27M;

/// The longest interval between two PCRs (TR 101 290 2.3.a, 2.3.b).
pub(super) const LONGEST_INTERVAL: Ticks27M = Ticks27M::from_millis(100);
/// A longer step of the values is a jump of the clock, not PCRs that are missing: whether they are
/// is then told by the monitor's clock.
const LONGEST_STEP: Ticks27M = Ticks27M::SECOND;
/// On a live input PCRs are missing when none has come for so much longer than they may: what
/// networks may add to the spacing of packets (ETSI TS 102 034: 40 ms from peak to peak).
const NETWORK_JITTER: Ticks27M = Ticks27M::from_millis(50);

/// The clock of one program, or of several that share it.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) pid: Pid,
    /// The first service with it.
    pub(super) service: Option<ServiceId>,
    /// The newest PCR and its place; `None` before the first and after a reset.
    last: Option<(Pcr, Moment)>,
    /// discontinuity_indicator was set since the newest PCR.
    announced: bool,
    absence: Absence,
    /// The newest PCR, unrolled from its circle. Jumps, which begin another line, are not in it.
    ticks: i64,
    /// How often the clock was replaced, or lost sight of: stamps before and after do not compare.
    pub(super) epoch: u32,
    pub(super) count: u64,
    pub(super) announcements: u64,
    pub(super) intervals_us: Distribution,
    pub(super) accuracy: Accuracy,
    pub(super) jitter: Option<Jitter>,
    /// Intervals over time, in microseconds.
    pub(super) intervals: Series,
    /// How late PCRs came over time, in nanoseconds.
    pub(super) lateness: Series,
}

impl Clock {
    pub(super) fn new(pid: Pid, service: ServiceId, options: &ClockOptions, at: Moment) -> Self {
        let absence = if options.live {
            Absence::new(LONGEST_INTERVAL + NETWORK_JITTER, LONGEST_INTERVAL, at)
        } else {
            // On a file values tell of every interval up to this.
            Absence::new(LONGEST_STEP, LONGEST_STEP, at)
        };
        Self {
            pid,
            service: Some(service),
            last: None,
            announced: false,
            absence,
            ticks: 0,
            epoch: 0,
            count: 0,
            announcements: 0,
            intervals_us: Distribution::new(),
            accuracy: Accuracy::new(options.filter),
            jitter: options.live.then(|| Jitter::new(options.filter)),
            intervals: Series::new(Ticks27M::SECOND),
            lateness: Series::new(Ticks27M::SECOND),
        }
    }

    fn found(&self, check: Check, at: Moment) -> Finding {
        Finding::new(check, Subject::Pid(self.pid), at).of(self.service)
    }

    /// Takes a packet of the PID that has an adaptation field.
    pub(super) fn push(&mut self, seen: &Seen<'_>, out: Out<'_>) {
        if seen.packet.discontinuity() && !self.announced {
            self.announced = true;
            self.announcements += 1;
        }
        let Some(pcr) = seen.packet.pcr() else { return };
        let announced = std::mem::take(&mut self.announced);
        self.count += 1;
        if let Some((before, _)) = self.last {
            self.step(pcr - before, announced, seen.at, out);
        }
        self.last = Some((pcr, seen.at));
        self.absence.over(seen.at);
        let (pid, service) = (self.pid, self.service);
        let sample = Sample {
            at: seen.at,
            ticks: self.ticks,
        };
        self.accuracy.push(sample, &mut |at, error| {
            let ns = (error * 1000.0 / 27.0).round() as i64;
            let finding = Finding::new(Check::PcrAccuracyError, Subject::Pid(pid), at).of(service);
            out(finding.with("accuracy_ns", ns));
        });
        if let Some(jitter) = &mut self.jitter
            && let Some(late) = jitter.push(self.ticks, seen.arrival)
        {
            let ns = Ticks27M::new(late.round() as i64).as_nanos();
            self.lateness.push(seen.at.time, ns);
        }
    }

    /// The clock went on by `by` from the PCR before to the one at `at`.
    fn step(&mut self, by: Ticks27M, announced: bool, at: Moment, out: Out<'_>) {
        if announced {
            self.void(Obstacle::Jumped);
            return;
        }
        let steady = !by.is_negative() && by <= LONGEST_STEP;
        if by.is_negative() || by > LONGEST_INTERVAL {
            let check = Check::PcrDiscontinuityIndicatorError;
            out(self.found(check, at).with("difference_ns", by.as_nanos()));
        }
        if by > LONGEST_INTERVAL && steady && !self.absence.is_told() {
            let check = Check::PcrRepetitionError;
            out(self.found(check, at).with("interval_ns", by.as_nanos()));
        }
        if !steady {
            self.void(Obstacle::Jumped);
            return;
        }
        self.ticks += by.get();
        self.intervals_us.add((by.get() / 27) as u64);
        self.intervals.push(at.time, by.get() / 27);
    }

    /// What was measured against earlier PCRs is void.
    fn void(&mut self, why: Obstacle) {
        self.epoch = self.epoch.wrapping_add(1);
        self.accuracy.restart(why);
        if let Some(jitter) = &mut self.jitter {
            jitter.restart();
        }
    }

    /// Time went on to `at`.
    pub(super) fn tick(&mut self, at: Moment, out: Out<'_>) {
        if let Some(absent) = self.absence.tick(at) {
            let finding = self.found(Check::PcrRepetitionError, at);
            let finding = finding
                .with("absent_ms", absent.as_millis())
                .lasting(self.absence.again());
            out(match self.count {
                0 => finding.with("pcr", "never seen"),
                _ => finding,
            });
        }
    }

    /// Bytes are missing before here: places tell nothing of the time between the PCRs around it.
    pub(super) fn lost(&mut self) {
        self.accuracy.restart(Obstacle::Lost);
    }

    /// What was being timed is void.
    pub(super) fn reset(&mut self, at: Moment) {
        self.last = None;
        self.announced = false;
        self.void(Obstacle::Lost);
        self.absence.over(at);
    }

    /// What the clock shows at a moment behind the newest PCR, going on with the monitor's clock:
    /// on a file that lies between this PCR and the next. `None` before the first.
    pub(super) fn now(&self, at: Moment) -> Option<Pcr> {
        self.last.map(|(pcr, then)| pcr + (at.time - then.time))
    }
}
