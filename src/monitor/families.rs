//! The families of checks, side by side: what each is told.

use crate::stream::{ProgramEvent, Programs};
use crate::units::Arrival;

use super::clocks::{ClockOptions, Clocks};
use super::content::Content;
use super::network::Network;
use super::profile::ProfileJudge;
use super::tables::Tables;
use super::tstd::SystemTargetDecoders;
use super::{Check, Moment, MonitorOptions, Out, Seen, TimeSource, Verdict};

/// Every family.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) clocks: Clocks,
    pub(super) content: Content,
    pub(super) tables: Tables,
    pub(super) tstd: SystemTargetDecoders,
    /// `None` where nothing tells when packets came.
    pub(super) network: Option<Network>,
    /// Where there is a profile.
    profile: Option<ProfileJudge>,
}

impl Families {
    pub(super) fn new(options: &MonitorOptions) -> Self {
        let clocks = ClockOptions {
            live: options.time == TimeSource::Arrival,
            disciplined: options.disciplined,
            filter: options.pcr_filter,
        };
        Self {
            clocks: Clocks::new(clocks),
            content: Content::new(),
            tables: Tables::new(options.tables.clone()),
            tstd: SystemTargetDecoders::new(),
            network: clocks.live.then(Network::new),
            profile: options.profile.clone().map(ProfileJudge::new),
        }
    }

    /// Following the tables observed something.
    pub(super) fn event(&mut self, event: &ProgramEvent, at: Moment) {
        self.content.event(event, at);
        if let Some(profile) = &mut self.profile {
            profile.event(event);
        }
    }

    /// After a PAT or PMT changed: the services as they are now.
    pub(super) fn services(&mut self, programs: &Programs, at: Moment) {
        self.clocks.services(programs, at);
        self.content.services(programs, at);
        self.tables.services(programs, at);
        self.tstd.services(programs);
        if let Some(profile) = &mut self.profile {
            profile.services(programs);
        }
    }

    /// A packet came, null packets included.
    #[inline]
    pub(super) fn push(&mut self, seen: &Seen<'_>, out: Out<'_>) {
        self.clocks.push(seen, out);
        self.content.push(seen);
        self.tables.push(seen, out);
        self.tstd.push(seen, out);
        if let Some(profile) = &mut self.profile {
            profile.push(seen, out);
        }
    }

    /// Time went on to `at`.
    pub(super) fn tick(&mut self, at: Moment, out: Out<'_>) {
        self.clocks.tick(at, out);
        self.tick_unsynced(at);
        self.tables.tick(at, out);
        if let Some(profile) = &mut self.profile {
            profile.tick(at, out);
        }
    }

    /// Time went on to `at`, and no packets are found in what comes: arrivals and rates are measured,
    /// and nothing is judged.
    pub(super) fn tick_unsynced(&mut self, at: Moment) {
        if let Some(network) = &mut self.network {
            network.tick(at, self.clocks.rate());
        }
        self.content.tick(at);
    }

    /// Synchronisation was found again at `at`: what is timed begins there.
    pub(super) fn resync(&mut self, at: Moment) {
        self.reset(at);
        if let Some(profile) = &mut self.profile {
            profile.reset(at);
        }
    }

    /// The stream has ended at `at`.
    pub(super) fn finish(&mut self, at: Moment, out: Out<'_>) {
        if let Some(profile) = &mut self.profile {
            profile.finish(at, out);
        }
    }

    /// So many packets are about to be pushed that came at once.
    pub(super) fn arrived(&mut self, packets: usize, arrival: Arrival) {
        if let Some(network) = &mut self.network {
            network.arrived(packets, arrival);
        }
    }

    /// So many packets of a PID are missing before the next one at least, by its counter.
    pub(super) fn lost(&mut self, packets: u8) {
        self.clocks.lost();
        self.tstd.lost();
        if let Some(network) = &mut self.network {
            network.lost(packets.into());
        }
    }

    /// Packets were lost: what was being timed is void.
    pub(super) fn reset(&mut self, at: Moment) {
        self.clocks.reset(at);
        self.content.reset(at);
        self.tables.reset(at);
        self.tstd.reset();
    }

    /// Whether a check of a family could be judged, in a stream with so many null packets.
    pub(super) fn verdict(&self, check: Check, null_packets: u64) -> Verdict {
        match check {
            Check::ProfileMissing
            | Check::ProfileUnlisted
            | Check::ProfileBitrate
            | Check::ProfileScrambling
            | Check::ProfileDescription => match &self.profile {
                Some(profile) => profile.verdict(check),
                None => Verdict::NotJudged("no profile was given"),
            },
            Check::PcrRepetitionError
            | Check::PcrDiscontinuityIndicatorError
            | Check::PcrAccuracyError
            | Check::PtsError => self.clocks.verdict(check, null_packets),
            check if Tables::CHECKS.contains(&check) => self.tables.verdict(check),
            Check::BufferError | Check::EmptyBufferError | Check::DataDelayError => {
                self.tstd.verdict(check)
            }
            _ => Verdict::NotJudged("no machine measures it"),
        }
    }
}
