//! The tables that every DVB stream has: whether any section of them comes in time.

use super::kind::name;
use super::reader::Arrived;
use super::sub_tables::SubTables;
use super::watch::{Watch, again};
use super::{ExpectSi, TableLimits};
use crate::monitor::{Check, Finding, Moment, Out};
use crate::si::Sdt;
use crate::stream::event::Subject;
use crate::ts::{Pid, TableId};
use crate::units::Ticks27M;

/// A table of the stream itself, and where it is.
#[derive(Copy, Clone, Debug)]
struct Row {
    pid: Pid,
    id: TableId,
    /// Of an EIT, which section.
    section: Option<u8>,
    check: Check,
}

const fn row(pid: Pid, id: u8, section: Option<u8>, check: Check) -> Row {
    Row {
        pid,
        id: TableId(id),
        section,
        check,
    }
}

const ROWS: [Row; 5] = [
    row(Pid::NIT, 0x40, None, Check::NitActualError),
    row(Pid::SDT, 0x42, None, Check::SdtActualError),
    row(Pid::EIT, 0x4E, Some(0), Check::EitActualError),
    row(Pid::EIT, 0x4E, Some(1), Check::EitActualError),
    row(Pid::TDT, 0x70, None, Check::TdtError),
];

/// Watches over NIT, SDT, EIT present/following and TDT of the stream itself.
#[derive(Debug)]
pub(super) struct Actual {
    watches: [Watch; ROWS.len()],
    /// They are waited for: by the options, or since the first section of SI.
    expected: bool,
    /// They are waited for whatever the stream says.
    always: bool,
    /// The SDT whose flags stand below: its version.
    sdt_version: Option<u8>,
    /// Some service of that SDT has an EIT present/following (EIT_present_following_flag).
    eit_announced: Option<bool>,
}

impl Actual {
    pub(super) const fn new(expect: ExpectSi) -> Self {
        Self {
            watches: [Watch::new(Ticks27M::ZERO); ROWS.len()],
            expected: matches!(expect, ExpectSi::Always),
            always: matches!(expect, ExpectSi::Always),
            sdt_version: None,
            eit_announced: None,
        }
    }

    /// True when the tables are waited for.
    pub(super) const fn expected(&self) -> bool {
        self.expected
    }

    /// The SDT says that no service has an EIT present/following, and none ever came: there is none
    /// to be missed (EN 300 468 §5.2.3).
    pub(super) fn has_no_eit(&self) -> bool {
        let came = ROWS
            .iter()
            .zip(&self.watches)
            .any(|(row, watch)| row.is_eit() && watch.seen());
        self.eit_announced == Some(false) && !self.always && !came
    }

    /// An SDT of this stream says which services have an EIT present/following.
    fn take_sdt(&mut self, sdt: &Sdt<'_>) {
        let version = Some(sdt.syntax().version);
        if std::mem::replace(&mut self.sdt_version, version) != version {
            self.eit_announced = None;
        }
        let has = sdt.services().any(|s| s.eit_present_following);
        self.eit_announced = Some(has || self.eit_announced == Some(true));
    }

    /// A section of SI came.
    pub(super) fn came(
        &mut self,
        arrived: &Arrived<'_>,
        limits: &TableLimits,
        sub_tables: &SubTables,
        out: Out<'_>,
    ) {
        let (id, section, at) = (arrived.id, arrived.number(), arrived.ended);
        if !self.expected {
            self.expected = true;
            self.reset(at.time);
        }
        if id == Sdt::ACTUAL
            && arrived.is_current()
            && let Some(sdt) = Sdt::new(arrived.section)
        {
            self.take_sdt(&sdt);
        }
        for (row, watch) in ROWS.iter().zip(&mut self.watches) {
            if row.id == id && row.section.is_none_or(|n| n == section) {
                let limit = limits.of(id, section);
                let took = watch.came(at.time, limit.unwrap_or(Ticks27M::MAX));
                if let Some(took) = took.filter(|_| !row.is_told_by(sub_tables)) {
                    out(row.finding("late", ("interval_ms", took), limit, at));
                }
            }
        }
    }

    /// Looks for what is missing.
    pub(super) fn tick(
        &mut self,
        at: Moment,
        limits: &TableLimits,
        sub_tables: &SubTables,
        out: Out<'_>,
    ) {
        if !self.expected {
            return;
        }
        let no_eit = self.has_no_eit();
        for (row, watch) in ROWS.iter().zip(&mut self.watches) {
            if no_eit && row.is_eit() {
                watch.restart(at.time);
                continue;
            }
            if row.is_told_by(sub_tables) {
                continue;
            }
            let limit = limits.of(row.id, row.section.unwrap_or(0));
            let never = !watch.seen();
            if let Some(absent) = watch.overdue(at.time, limit.unwrap_or(Ticks27M::MAX)) {
                let reason = if never { "never seen" } else { "absent" };
                let finding = row.finding(reason, ("absent_ms", absent), limit, at);
                out(finding.lasting(again(limit.unwrap_or_default())));
            }
        }
    }

    /// What was timed is void.
    pub(super) fn reset(&mut self, at: Ticks27M) {
        self.watches.iter_mut().for_each(|w| w.restart(at));
    }
}

impl Row {
    const fn is_eit(&self) -> bool {
        self.section.is_some()
    }

    /// The EIT of each service is missed by itself as long as there is one: the stream as a whole
    /// misses it where none came, or all are withdrawn.
    fn is_told_by(&self, sub_tables: &SubTables) -> bool {
        self.is_eit() && sub_tables.waits_for(self.id)
    }

    fn finding(
        &self,
        reason: &'static str,
        (key, span): (&'static str, Ticks27M),
        limit: Option<Ticks27M>,
        at: Moment,
    ) -> Finding {
        let mut finding = Finding::new(self.check, Subject::Pid(self.pid), at)
            .with("table", name(self.id))
            .with("reason", reason);
        if let Some(section) = self.section {
            finding = finding.with("section", i64::from(section));
        }
        let limit = limit.unwrap_or_default();
        finding
            .with(key, span.as_millis())
            .with("limit_ms", limit.as_millis())
    }
}
