//! What sections say to the checks.

use super::actual::Actual;
use super::kind::Home;
use super::pmt::PmtWatch;
use super::presence::Presence;
use super::rates::Rates;
use super::reader::{Arrived, Read, Reader};
use super::sub_tables::SubTables;
use super::watch::{Watch, again};
use super::{TableLimits, kind};
use crate::monitor::{Check, Finding, Moment, Out, Seen};
use crate::si::descriptor::CaDescriptor;
use crate::si::{Cat, ServiceId};
use crate::stream::event::Subject;
use crate::ts::{PACKET_SIZE, Pid, SectionError, TableId};
use crate::units::{BitRate, Ticks27M};

/// The rate of the stream is that of so long.
const RATE_OVER: Ticks27M = Ticks27M::SECOND;

/// Judges the sections of all PIDs, and their absence.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) limits: TableLimits,
    pat: Watch,
    cat: Watch,
    cat_version: Option<u8>,
    /// When the last scrambled packet came.
    scrambled: Option<Ticks27M>,
    /// By ascending PID.
    pub(super) pmts: Vec<PmtWatch>,
    pub(super) actual: Actual,
    pub(super) sub_tables: SubTables,
    pub(super) rates: Rates,
    /// Where the rate was last taken.
    rate_from: Moment,
    /// The stream is not too fast for the shortest time between two sections.
    spaced: bool,
    pub(super) sections: u64,
    pub(super) crc_errors: u64,
}

impl Judge {
    pub(super) fn new(limits: TableLimits) -> Self {
        Self {
            pat: Watch::new(Ticks27M::ZERO),
            cat: Watch::new(Ticks27M::ZERO),
            cat_version: None,
            scrambled: None,
            pmts: Vec::new(),
            actual: Actual::new(limits.expect_si),
            sub_tables: SubTables::default(),
            rates: Rates::new(),
            rate_from: Moment::default(),
            spaced: true,
            sections: 0,
            crc_errors: 0,
            limits,
        }
    }

    /// A packet is scrambled.
    pub(super) fn scrambled(&mut self, seen: &Seen<'_>, home: Option<Home>, out: Out<'_>) {
        let now = seen.at.time;
        let begins = self
            .scrambled
            .is_none_or(|last| now - last > self.limits.cat);
        if begins {
            self.cat.restart(now);
        }
        self.scrambled = Some(now);
        let check = match home {
            Some(Home::Pat) => Check::PatError2,
            Some(Home::Pmt) => Check::PmtError2,
            _ => return,
        };
        let service = self.pmt(seen.pid).and_then(|pmt| pmt.service());
        out(Finding::new(check, Subject::Pid(seen.pid), seen.at)
            .of(service)
            .with("reason", "scrambled"));
    }

    /// A scrambled packet came.
    pub(super) const fn is_scrambled(&self) -> bool {
        self.scrambled.is_some()
    }

    fn pmt(&mut self, pid: Pid) -> Option<&mut PmtWatch> {
        let place = self.pmts.binary_search_by_key(&pid, |pmt| pmt.pid).ok()?;
        self.pmts.get_mut(place)
    }

    /// Takes what a PID gave.
    pub(super) fn take(
        &mut self,
        (pid, home, at): (Pid, Home, Moment),
        read: Read<'_>,
        presence: &mut Presence,
        out: Out<'_>,
    ) {
        self.sections += 1;
        match read {
            Read::Whole(arrived) => self.whole(&arrived, presence, out),
            Read::Foreign(id) => {
                out(Finding::new(home.check(), Subject::Pid(pid), at)
                    .with("reason", "other table")
                    .with("table_id", i64::from(id.0)));
            }
            Read::Damaged(id, error) => {
                self.crc_errors += 1;
                // 2.2 names its tables, and CIT is none of them; of one that does not belong here
                // nobody knows which it was.
                if kind::has_crc(id) || !home.admits(id) {
                    out(crc_finding(pid, id, error, at));
                }
            }
        }
    }

    fn whole(&mut self, arrived: &Arrived<'_>, presence: &mut Presence, out: Out<'_>) {
        self.rates.take(arrived);
        let at = arrived.ended;
        match (arrived.home, arrived.id.0) {
            (Home::Pat, _) => {
                if let Some(took) = self.pat.came(at.time, self.limits.pat) {
                    out(self.pat_error("late", ("interval_ms", took), at));
                }
            }
            (Home::Cat, _) => self.take_cat(arrived, presence),
            (Home::Pmt, 0x02) => {
                let (limit, program) = (self.limits.pmt, ServiceId(arrived.extension()));
                if let Some(pmt) = self.pmt(arrived.pid) {
                    pmt.came(program, at, limit, out);
                }
            }
            (Home::Pmt, _) => return,
            (_, 0x72) => return,
            (_, 0x4E) if !arrived.is_current() => {}
            _ => {
                let sub_tables = &self.sub_tables;
                self.actual.came(arrived, &self.limits, sub_tables, out);
            }
        }
        self.sub_tables
            .take(arrived, &self.limits, self.spaced, out);
    }

    fn take_cat(&mut self, arrived: &Arrived<'_>, presence: &mut Presence) {
        self.cat.came(arrived.ended.time, self.limits.cat);
        let Some(cat) = Cat::new(arrived.section).filter(|cat| cat.syntax().current) else {
            return;
        };
        if self.cat_version.replace(cat.syntax().version) != Some(cat.syntax().version) {
            presence.clear_emm();
        }
        presence.emm(cat.descriptors().all::<CaDescriptor<'_>>().map(|ca| ca.pid));
    }

    fn pat_error(
        &self,
        reason: &'static str,
        (key, span): (&'static str, Ticks27M),
        at: Moment,
    ) -> Finding {
        Finding::new(Check::PatError2, Subject::Pid(Pid::PAT), at)
            .with("reason", reason)
            .with(key, span.as_millis())
            .with("limit_ms", self.limits.pat.as_millis())
    }

    /// Looks for what is missing.
    pub(super) fn tick(&mut self, at: Moment, out: Out<'_>) {
        self.take_rate(at);
        self.rates.tick(at);
        let never = !self.pat.seen();
        if let Some(absent) = self.pat.overdue(at.time, self.limits.pat) {
            let reason = if never { "never seen" } else { "absent" };
            let finding = self.pat_error(reason, ("absent_ms", absent), at);
            out(finding.lasting(again(self.limits.pat)));
        }
        for pmt in &mut self.pmts {
            pmt.tick(at, self.limits.pmt, out);
        }
        self.tick_cat(at, out);
        self.actual.tick(at, &self.limits, &self.sub_tables, out);
        self.sub_tables.tick(at, &self.limits, out);
    }

    fn tick_cat(&mut self, at: Moment, out: Out<'_>) {
        let limit = self.limits.cat;
        if self.scrambled.is_none_or(|last| at.time - last > limit) {
            return;
        }
        let never = !self.cat.seen();
        if let Some(absent) = self.cat.overdue(at.time, limit) {
            out(Finding::new(Check::CatError, Subject::Pid(Pid::CAT), at)
                .with("reason", if never { "never seen" } else { "absent" })
                .with("absent_ms", absent.as_millis())
                .with("limit_ms", limit.as_millis())
                .lasting(again(limit)));
        }
    }

    fn take_rate(&mut self, at: Moment) {
        let span = at.time - self.rate_from.time;
        if span >= RATE_OVER {
            let packets = at.position.saturating_sub(self.rate_from.position);
            let rate = BitRate::of(packets * PACKET_SIZE as u64, span);
            self.spaced = rate.is_none_or(|rate| rate <= self.limits.gap_up_to);
            self.rate_from = at;
        }
    }

    /// What was timed is void.
    pub(super) fn reset(&mut self, at: Moment) {
        self.pat.restart(at.time);
        self.cat.restart(at.time);
        self.pmts.iter_mut().for_each(|pmt| pmt.reset(at.time));
        self.actual.reset(at.time);
        self.sub_tables.reset(at.time);
        self.rates.reset(at);
        self.rate_from = at;
    }

    /// Takes over which PMTs there should be; gives what reads the PIDs, those that read before
    /// included.
    pub(super) fn services(
        &mut self,
        services: &[(Pid, ServiceId)],
        readers: Vec<Reader>,
        at: Ticks27M,
    ) -> Vec<Reader> {
        let mut old = std::mem::take(&mut self.pmts);
        let wanted: crate::ts::PidSet = services.iter().map(|(pid, _)| *pid).collect();
        for pid in wanted.iter().filter(|pid| *pid != Pid::NULL) {
            let known = old.iter().position(|pmt| pmt.pid == pid);
            let mut pmt = known.map_or_else(|| PmtWatch::new(pid, at), |n| old.swap_remove(n));
            let here = services.iter().filter(|(other, _)| *other == pid);
            pmt.programs(here.map(|(_, id)| *id), at);
            self.pmts.push(pmt);
        }
        self.sub_tables
            .services(|id| services.iter().any(|(_, other)| *other == id));
        let kept = |r: &Reader| r.home != Home::Pmt || wanted.contains(r.pid);
        let mut readers: Vec<_> = readers.into_iter().filter(kept).collect();
        for pmt in &self.pmts {
            if !readers.iter().any(|r| r.pid == pmt.pid) {
                readers.push(Reader::new(pmt.pid, Home::Pmt));
            }
        }
        readers
    }
}

fn crc_finding(pid: Pid, id: TableId, error: SectionError, at: Moment) -> Finding {
    Finding::new(Check::CrcError, Subject::Pid(pid), at)
        .with("table", kind::name(id))
        .with("table_id", i64::from(id.0))
        .with("reason", error.to_string())
}
