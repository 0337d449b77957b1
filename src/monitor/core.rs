//! The monitor: one pass over the packets, from the header to the families of checks.

use std::collections::VecDeque;

use crate::si::{Service, ServiceId};
use crate::stream::continuity::{Continuity, Step};
use crate::stream::event::Subject;
use crate::stream::{Batch, Counters, ProgramEvent, Programs};
use crate::ts::{PACKET_SIZE, Packet, Pid, Pts};
use crate::units::{Arrival, Ticks27M};

use super::census::Census;
use super::clock::StreamClock;
use super::clocks::{ClockMeasures, Demarcation};
use super::content::Loudness;
use super::families::Families;
use super::network::{Network, NetworkMeasures, ReceptionCounts};
use super::profile::Profile;
use super::report::Report;
use super::shown::Shown;
use super::tables::{TableLimits, TablesMeasures};
use super::tally::Tally;
use super::{Check, Count, Finding, Moment, PidCount, Seen, Series, TimeSource, Verdict};

/// How often the families are asked what has been absent too long.
const TICK: Ticks27M = Ticks27M::from_millis(100);
/// Sync losses whose place waits for its packets; more at once are told at the place of the last.
const MAX_LOSSES_AHEAD: usize = 4096;

/// How a stream is to be watched.
#[derive(Clone, Debug, Default)]
pub struct MonitorOptions {
    /// What tells the time.
    pub time: TimeSource,
    /// The clock that tells arrivals is kept by a better one, to far less than 30 ppm.
    pub disciplined: bool,
    /// What separates jitter of PCRs from drift.
    pub pcr_filter: Demarcation,
    /// Only so much of the stream is looked at.
    pub span: Option<Ticks27M>,
    /// The stream is received from a network.
    pub network: bool,
    /// What the stream should be.
    pub profile: Option<Profile>,
    /// A decoder beside the monitor tells what it finds.
    pub decode: bool,
    /// How often tables and PIDs must come.
    pub tables: TableLimits,
}

/// Where the findings of a turn go, once they are counted.
struct Findings<'a> {
    tally: &'a mut Tally,
    out: &'a mut dyn FnMut(&Finding),
}

impl Findings<'_> {
    fn push(&mut self, finding: &Finding) {
        self.tally.add(finding);
        (self.out)(finding);
    }
}

/// Watches one transport stream.
///
/// ```
/// use headend::monitor::{Check, Monitor, MonitorOptions};
/// use headend::{stream::Batch, ts::Packet, units::Arrival};
/// let mut damaged = Packet::NULL;
/// damaged.as_bytes_mut()[1] |= 0x80; // transport_error_indicator
/// let mut batch = Batch::with_capacity(2);
/// batch.extend(&[Packet::NULL, damaged], Arrival::default());
/// let mut monitor = Monitor::new(MonitorOptions::default());
/// let mut found = Vec::new();
/// monitor.push(&batch, &mut |finding| found.push((finding.check, finding.at.position)));
/// assert_eq!(found, [(Check::TransportError, 1)]);
/// ```
#[derive(Debug)]
pub struct Monitor {
    clock: StreamClock,
    census: Census,
    continuity: Continuity,
    programs: Programs,
    families: Families,
    tally: Tally,
    packets: u64,
    /// How far the clock has looked ahead.
    ahead: u64,
    transport_errors: u64,
    sync_losses: u64,
    /// Places of sync losses that were told and not reached, in order, and how many there.
    losses: VecDeque<(u64, u64)>,
    /// Bad sync bytes before this place were found with the loss that they are.
    told_until: u64,
    /// Synchronisation was lost, and no packet with a good sync byte has come since.
    unsynced: bool,
    next_tick: Ticks27M,
    /// What is looked at ends here.
    end: Ticks27M,
    network: bool,
    /// Where a decoder beside the monitor finds something; `None` without one.
    shown: Option<Shown>,
    /// A decoder has begun with pictures, with sound.
    decoded: (bool, bool),
    /// RTP is what it is received as.
    rtp: bool,
}

impl Monitor {
    /// Before the first packet.
    pub fn new(options: MonitorOptions) -> Self {
        Self {
            families: Families::new(&options),
            clock: StreamClock::new(options.time),
            census: Census::new(),
            continuity: Continuity::new(),
            programs: Programs::new(),
            tally: Tally::new(),
            packets: 0,
            ahead: 0,
            transport_errors: 0,
            sync_losses: 0,
            losses: VecDeque::new(),
            told_until: 0,
            unsynced: false,
            next_tick: TICK,
            end: options.span.unwrap_or(Ticks27M::MAX),
            network: options.network,
            shown: options.decode.then(Shown::default),
            decoded: (false, false),
            rtp: false,
        }
    }

    /// Synchronisation was lost after so many packets: two sync bytes that were due there are bad.
    /// To be told before that place is pushed; what is told later counts where the stream stands
    /// then. It is found as soon as the packets before it were taken; from then on until the next
    /// packet nothing else is judged (TR 101 290 §5.2.1: the other parameters are evaluated once
    /// synchronisation is achieved), and intervals begin anew with that packet.
    pub fn sync_lost(&mut self, packets: u64) {
        self.sync_losses += 1;
        let full = self.losses.len() >= MAX_LOSSES_AHEAD;
        match self.losses.back_mut() {
            Some((place, count)) if full || *place == packets => *count += 1,
            _ => self.losses.push_back((packets, 1)),
        }
    }

    /// Bytes come, and synchronisation was never found in them.
    pub fn never_synced(&mut self, out: &mut dyn FnMut(&Finding)) {
        self.sync_losses += 1;
        self.unsynced = true;
        let finding = Finding::new(Check::TsSyncLoss, Subject::Stream, self.now());
        self.outside(&finding, out);
    }

    /// Takes the next packets of the stream.
    pub fn push(&mut self, batch: &Batch, out: &mut dyn FnMut(&Finding)) {
        self.push_until(batch, 0, Ticks27M::MAX, out);
    }

    /// Takes the packets of a batch that come before `until`, without the `taken` first ones, which
    /// it had before; answers how many of the batch it has now. The clock looks ahead in a batch, so
    /// the whole is to be handed over each time.
    pub fn push_until(
        &mut self,
        batch: &Batch,
        mut taken: usize,
        until: Ticks27M,
        out: &mut dyn FnMut(&Finding),
    ) -> usize {
        if self.packets >= self.ahead {
            self.ahead = self.packets + batch.len() as u64;
            let preferred = self.programs.services().find_map(|s| s.pcr_pid);
            self.clock.expect(batch, self.packets, preferred);
        }
        let mut first = 0;
        for (arrival, packets) in batch.runs() {
            let had = taken.saturating_sub(first).min(packets.len());
            first += packets.len();
            for (n, packet) in packets.iter().enumerate().skip(had) {
                let at = Moment {
                    position: self.packets,
                    time: self.clock.at(self.packets, arrival),
                };
                if at.time >= self.end {
                    return batch.len();
                }
                if at.time >= until {
                    return taken;
                }
                if n == 0 {
                    self.families.arrived(packets.len(), arrival);
                }
                self.take(packet, at, arrival, out);
                taken += 1;
            }
        }
        self.lose_sync(self.now(), out);
        taken
    }

    /// True when all was looked at that was to be: no packet is taken any more.
    pub fn is_over(&self) -> bool {
        self.clock.now() >= self.end
    }

    /// Packets are missing that were not looked at: the fault is ours, and nothing is found for
    /// that.
    pub fn skipped(&mut self) {
        self.continuity.reset();
        self.families.reset(self.now());
    }

    /// The input was silent until now: what was being timed is void.
    pub fn interrupted(&mut self) {
        self.families.reset(self.now());
    }

    /// Something was found outside of the packets: by their reception.
    pub fn outside(&mut self, finding: &Finding, out: &mut dyn FnMut(&Finding)) {
        let tally = &mut self.tally;
        Findings { tally, out }.push(finding);
    }

    /// A decoder beside the monitor has begun with pictures, or with sound.
    pub fn is_decoded(&mut self, pictures: bool, sound: bool) {
        self.decoded.0 |= pictures;
        self.decoded.1 |= sound;
    }

    /// Where the picture or sound of a PID that is shown at `pts` began in the stream; `None` when
    /// that is long ago, or nobody decodes.
    pub fn place_of(&self, pid: Pid, pts: Pts) -> Option<Moment> {
        self.shown.as_ref()?.place_of(pid, pts)
    }

    /// Sound of a PID was found to be so loud.
    pub fn is_as_loud(&mut self, pid: Pid, loudness: Loudness) {
        self.families.content.is_as_loud(pid, loudness);
    }

    /// The reception has counted so much by now.
    pub fn received(&mut self, counts: ReceptionCounts) {
        if let Some(network) = &mut self.families.network {
            network.counted(counts);
        }
    }

    /// The stream comes as RTP.
    pub fn is_rtp(&mut self) {
        self.rtp = true;
    }

    #[inline]
    fn take(
        &mut self,
        packet: &Packet,
        at: Moment,
        arrival: Arrival,
        out: &mut dyn FnMut(&Finding),
    ) {
        if self
            .losses
            .front()
            .is_some_and(|(place, _)| *place <= at.position)
        {
            self.lose_sync(at, out);
        }
        if self.unsynced && packet.has_sync() {
            self.unsynced = false;
            self.families.resync(at);
        }
        if at.time >= self.next_tick {
            self.tick(at, out);
        }
        self.packets += 1;
        let mut findings = Findings {
            tally: &mut self.tally,
            out,
        };
        if !packet.has_sync() {
            if at.position < self.told_until {
                return;
            }
            let check = Check::SyncByteError;
            return findings.push(&Finding::new(check, Subject::Stream, at));
        }
        if packet.transport_error() {
            self.transport_errors += 1;
            let check = Check::TransportError;
            return findings.push(&Finding::new(check, Subject::Stream, at));
        }
        let pid = packet.pid();
        let step = self.continuity.step(packet);
        self.census.push(packet, pid, step, at);
        if let Step::Error(error) = step {
            let finding = Finding::new(Check::ContinuityCountError, Subject::Pid(pid), at)
                .of(owner(&self.programs, pid))
                .with("expected", u64::from(error.expected.get()))
                .with("found", u64::from(error.found.get()))
                .with("lost_packets", u64::from(error.lost_packets()));
            findings.push(&finding);
            self.families.lost(error.lost_packets());
        }
        let seen = Seen {
            packet,
            pid,
            at,
            arrival,
            broken: matches!(step, Step::Error(_) | Step::Announced),
            repeated: step == Step::Repeat,
        };
        if self.programs.pids().contains(pid) && !seen.repeated {
            self.follow(&seen);
        }
        if packet.payload_unit_start()
            && let Some(shown) = &mut self.shown
        {
            shown.push(&seen);
        }
        let out = &mut |finding| {
            Findings {
                tally: &mut self.tally,
                out,
            }
            .push(&finding)
        };
        self.families.push(&seen, out);
    }

    /// Takes a packet of the tables that say what services there are.
    fn follow(&mut self, seen: &Seen<'_>) {
        let mut moved = false;
        self.programs.push(seen.packet, &mut |event| {
            self.families.event(&event, seen.at);
            moved |= matches!(
                event,
                ProgramEvent::PatChanged { .. } | ProgramEvent::PmtChanged { .. }
            );
        });
        if moved {
            self.families.services(&self.programs, seen.at);
        }
    }

    /// Time went on to `at`.
    #[cold]
    fn tick(&mut self, at: Moment, out: &mut dyn FnMut(&Finding)) {
        self.next_tick = at.time + TICK;
        if self.unsynced {
            return self.families.tick_unsynced(at);
        }
        let out = &mut |finding| {
            Findings {
                tally: &mut self.tally,
                out,
            }
            .push(&finding)
        };
        self.families.tick(at, out);
    }

    /// Synchronisation was lost where it was told to be up to `at`: the sync byte that was due
    /// there was another, and the next one too.
    #[cold]
    fn lose_sync(&mut self, at: Moment, out: &mut dyn FnMut(&Finding)) {
        let mut findings = Findings {
            tally: &mut self.tally,
            out,
        };
        let mut lost = false;
        while let Some((place, count)) = self.losses.front().copied()
            && place <= at.position
        {
            self.losses.pop_front();
            self.told_until = place + 2;
            lost = true;
            for _ in 0..count {
                for check in [
                    Check::SyncByteError,
                    Check::SyncByteError,
                    Check::TsSyncLoss,
                ] {
                    findings.push(&Finding::new(check, Subject::Stream, at));
                }
            }
        }
        if lost {
            self.unsynced = true;
            self.families.reset(at);
        }
    }

    /// Nothing has come until `arrival`. To be called in every idle turn of a live input.
    pub fn idle(&mut self, arrival: Arrival, out: &mut dyn FnMut(&Finding)) {
        self.clock.idle(arrival);
        let at = self.now();
        self.lose_sync(at, out);
        if at.time >= self.next_tick {
            self.tick(at, out);
        }
    }

    /// The stream has ended.
    pub fn finish(&mut self, out: &mut dyn FnMut(&Finding)) {
        self.losses
            .iter_mut()
            .for_each(|(place, _)| *place = (*place).min(self.packets));
        let at = Moment {
            position: self.packets,
            time: self.clock.end(),
        };
        self.lose_sync(at, out);
        self.tick(at, out);
        let out = &mut |finding| {
            Findings {
                tally: &mut self.tally,
                out,
            }
            .push(&finding)
        };
        self.families.finish(at, out);
    }

    /// How far the stream has come.
    pub fn now(&self) -> Moment {
        Moment {
            position: self.packets,
            time: self.clock.now(),
        }
    }

    /// From the first packet to the end of the last.
    pub fn duration(&self) -> Ticks27M {
        self.clock.end().min(self.end)
    }

    /// Packets so far, damaged ones included.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes of these packets.
    pub fn bytes(&self) -> u64 {
        self.packets * PACKET_SIZE as u64
    }

    /// Packets marked with transport_error_indicator.
    pub fn transport_errors(&self) -> u64 {
        self.transport_errors
    }

    /// How often synchronisation was lost.
    pub fn sync_losses(&self) -> u64 {
        self.sync_losses
    }

    /// The services as the tables tell them.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// What came on each PID, by ascending PID.
    pub fn pids(&self) -> Vec<&PidCount> {
        self.census.pids()
    }

    /// What came on a PID.
    pub fn pid(&self, pid: Pid) -> Option<&PidCount> {
        self.census.of(pid)
    }

    /// What a check has found.
    pub fn count(&self, check: Check) -> Count {
        self.tally.of(check)
    }

    /// When a check found something, a value each; `None` when it never did.
    pub fn times(&self, check: Check) -> Option<&Series> {
        self.tally.times(check)
    }

    /// Whether a check could be judged.
    pub fn verdict(&self, check: Check) -> Verdict {
        match check {
            Check::InputLoss | Check::KernelDrops | Check::RtpLoss if !self.network => {
                Verdict::NotJudged("not received from a network")
            }
            Check::VideoBlack | Check::VideoFrozen | Check::AudioSilent if self.shown.is_none() => {
                Verdict::NotJudged("decoding was not asked for")
            }
            Check::VideoBlack | Check::VideoFrozen if !self.decoded.0 => {
                Verdict::NotJudged("no picture was decoded")
            }
            Check::AudioSilent if !self.decoded.1 => Verdict::NotJudged("no sound was decoded"),
            Check::VideoBlack | Check::VideoFrozen | Check::AudioSilent => Verdict::Judged,
            Check::RtpLoss if !self.rtp => Verdict::NotJudged("not received as RTP"),
            Check::InputLoss | Check::KernelDrops | Check::RtpLoss => Verdict::Judged,
            Check::TsSyncLoss if self.sync_losses > 0 => Verdict::Judged,
            _ if self.packets == 0 => Verdict::NotJudged("no packets came"),
            Check::TsSyncLoss
            | Check::SyncByteError
            | Check::ContinuityCountError
            | Check::TransportError => Verdict::Judged,
            Check::CrcError => self.families.verdict(check, 0),
            _ if !self.clock.runs() => Verdict::NotJudged("there is no PCR that tells the time"),
            _ => self.families.verdict(check, self.null_packets()),
        }
    }

    /// Packets of PID 0x1FFF.
    pub fn null_packets(&self) -> u64 {
        self.pid(Pid::NULL).map_or(0, |count| count.packets)
    }

    /// What clocks and time stamps there are, and how good they are.
    pub fn clocks(&self) -> ClockMeasures {
        let network = self.families.network.as_ref();
        let resolution = network.and_then(Network::resolution);
        self.families
            .clocks
            .measures(self.null_packets(), resolution)
    }

    /// What the network did to the stream; `None` where nothing tells when packets came.
    pub fn network(&self) -> Option<NetworkMeasures> {
        self.families.network.as_ref().map(Network::measures)
    }

    /// The tables that came, and how often.
    pub fn tables(&self) -> TablesMeasures {
        self.families.tables.measures()
    }

    /// What is in the stream.
    pub fn content(&self) -> super::content::Measures {
        self.families.content.measures()
    }

    /// How many formats the pictures of a PID had so far; 0 before their headers came.
    pub fn picture_formats(&self, pid: Pid) -> u64 {
        self.families.content.picture_formats(pid)
    }

    /// How full the buffers of the system target decoder were.
    pub fn buffers(&self) -> super::tstd::BufferMeasures {
        self.families.tstd.measures()
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("packets", self.packets);
        out.set("bytes", self.bytes());
        out.set("transport_errors_total", self.transport_errors);
        self.continuity.counters(out);
        for check in Check::ALL {
            out.set(&format!("{check}_findings_total"), self.count(*check).count);
        }
    }

    /// What there is to say about the stream so far.
    pub fn report(&self) -> Report {
        Report::new(self)
    }
}

/// The first service with that PID.
fn owner(programs: &Programs, pid: Pid) -> Option<ServiceId> {
    let has = |service: &&Service| {
        service.pmt_pid == pid
            || service.pcr_pid == Some(pid)
            || service.streams.iter().any(|s| s.pid == pid)
    };
    programs.services().find(has).map(|service| service.id)
}

#[cfg(test)]
mod tests;
