//! One sub-table over time: how often its sections come.

use super::TableLimits;
use super::kind::{extension_name, name, section_check};
use super::measures::{Intervals, TableMeasures};
use super::reader::Arrived;
use super::watch::again;
use crate::monitor::{Check, Finding, Moment, Out};
use crate::stream::event::Subject;
use crate::ts::{Pid, TableId, Take};
use crate::units::{BitRate, Ticks27M};

/// A sub-table that stays away so many times its limit is taken as withdrawn: other networks,
/// other transport streams, bouquets and services come and go.
const WITHDRAWN_AFTER: i64 = 10;

/// What names a sub-table (EN 300 468 §5.1.1): PID, table_id, table_id_extension, and of what
/// stands in its body, the transport stream and the network.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) pid: Pid,
    pub(super) id: TableId,
    /// table_id_extension; `None` of a table of short sections.
    pub(super) extension: Option<u16>,
    /// Of an EIT, transport_stream_id.
    stream: u16,
    /// Of an EIT or SDT, original_network_id.
    network: u16,
}

impl Key {
    pub(super) fn of(arrived: &Arrived<'_>) -> Self {
        let id = arrived.id;
        let mut body = Take::new(arrived.section.body());
        let stream = matches!(id.0, 0x4E..=0x6F).then(|| body.u16()).flatten();
        let network = matches!(id.0, 0x42 | 0x46 | 0x4E..=0x6F).then(|| body.u16());
        Self {
            pid: arrived.pid,
            id,
            extension: arrived.syntax.map(|s| s.extension),
            stream: stream.unwrap_or(0),
            network: network.flatten().unwrap_or(0),
        }
    }

    /// All of it in one number, for hashing.
    pub(super) fn packed(&self) -> u128 {
        let extension = self.extension.map_or(0x1_0000, u128::from);
        u128::from(self.pid.get()) << 64
            | extension << 40
            | u128::from(self.stream) << 24
            | u128::from(self.network) << 8
            | u128::from(self.id.0)
    }

    /// The part by which EN 300 468 §5.1.4.1 keeps two sections apart.
    pub(super) fn spaced(&self) -> u64 {
        let extension = self.extension.map_or(0, u64::from);
        u64::from(self.pid.get()) << 24 | extension << 8 | u64::from(self.id.0)
    }

    /// A finding about the sub-table: of its service where it belongs to one of this stream.
    pub(super) fn finding(&self, check: Check, at: Moment) -> Finding {
        let service = self.service();
        let subject = match service {
            Some(id) if self.id.0 == 0x4E => Subject::Service(id.0),
            _ => Subject::Pid(self.pid),
        };
        let mut finding = Finding::new(check, subject, at)
            .of(service)
            .with("table", name(self.id));
        if let Some(extension) = self.extension {
            finding = finding.with(extension_name(self.id), i64::from(extension));
        }
        if matches!(self.id.0, 0x4F | 0x60..=0x6F) {
            finding = finding.with("transport_stream_id", i64::from(self.stream));
        }
        if matches!(self.id.0, 0x46 | 0x4F | 0x60..=0x6F) {
            finding = finding.with("original_network_id", i64::from(self.network));
        }
        finding
    }

    fn service(&self) -> Option<crate::si::ServiceId> {
        let ours = matches!(self.id.0, 0x02 | 0x4E | 0x50..=0x5F);
        self.extension.filter(|_| ours).map(crate::si::ServiceId)
    }
}

/// A sub-table.
#[derive(Debug)]
pub(super) struct SubTable {
    pub(super) key: Key,
    version: Option<u8>,
    last_number: u8,
    first: Moment,
    last: Moment,
    /// For each section when it came last; of one that did not, since when it is waited for.
    slots: Vec<Ticks27M>,
    /// Which sections came.
    seen: [u64; 4],
    /// Which sections were told to be missing since they came last.
    missed: [u64; 4],
    /// When a finding last spoke of what is missing.
    told: Option<Ticks27M>,
    told_pair: Option<Ticks27M>,
    pub(super) withdrawn: bool,
    sections: u64,
    bytes: u64,
    /// Bytes of the first section: a rate counts from its end.
    first_bytes: u64,
    late: u64,
    pub(super) too_close: u64,
    intervals: Intervals,
}

impl SubTable {
    /// A sub-table whose first section this is.
    pub(super) fn new(key: Key, arrived: &Arrived<'_>) -> Self {
        Self {
            key,
            version: None,
            last_number: 0,
            first: arrived.ended,
            last: arrived.ended,
            slots: Vec::new(),
            seen: [0; 4],
            missed: [0; 4],
            told: None,
            told_pair: None,
            withdrawn: false,
            sections: 0,
            bytes: 0,
            first_bytes: arrived.section.as_bytes().len() as u64,
            late: 0,
            too_close: 0,
            intervals: Intervals::default(),
        }
    }

    /// Sections that it keeps the times of.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    fn is_schedule(&self) -> bool {
        matches!(self.key.id.0, 0x50..=0x6F)
    }

    fn is_present_following(&self) -> bool {
        matches!(self.key.id.0, 0x4E | 0x4F)
    }

    fn has_come(&self, number: u8) -> bool {
        self.seen[usize::from(number / 64)] & 1 << (number % 64) != 0
    }

    /// Counts a section; true when what is waited for is other than before.
    pub(super) fn count(&mut self, arrived: &Arrived<'_>, room: usize) -> bool {
        self.sections += 1;
        self.bytes += arrived.section.as_bytes().len() as u64;
        self.last = arrived.ended;
        let Some(syntax) = arrived.syntax else {
            return self.renew(None, 0, arrived.ended.time, room);
        };
        if !syntax.current {
            return false;
        }
        self.renew(
            Some(syntax.version),
            syntax.last_number,
            arrived.ended.time,
            room,
        )
    }

    /// Takes over the version and the number of sections.
    fn renew(&mut self, version: Option<u8>, last: u8, at: Ticks27M, room: usize) -> bool {
        let back = std::mem::replace(&mut self.withdrawn, false);
        if back {
            self.slots.fill(at);
            (self.seen, self.missed) = ([0; 4], [0; 4]);
        }
        if (self.version, self.last_number) == (version, last) && !self.slots.is_empty() {
            return back;
        }
        if self.version != version && self.is_schedule() {
            // Sections of a schedule may go with its version: only what comes again is due again.
            self.seen = [0; 4];
        }
        (self.version, self.last_number) = (version, last);
        let least = if self.is_present_following() { 2 } else { 1 };
        let wanted = (usize::from(last) + 1).max(least);
        if wanted <= room {
            // Exactly: what is kept of many tables is bounded by their sections.
            self.slots
                .reserve_exact(wanted.saturating_sub(self.slots.len()));
            self.slots.resize(wanted, at);
            self.slots.shrink_to_fit();
        }
        true
    }

    /// Times a section that applies now; says when it came later than it may.
    pub(super) fn time(&mut self, arrived: &Arrived<'_>, limits: &TableLimits, out: Out<'_>) {
        let (number, now) = (arrived.number(), arrived.ended.time);
        let came = self.has_come(number);
        let Some(slot) = self.slots.get_mut(usize::from(number)) else {
            return;
        };
        let before = std::mem::replace(slot, now);
        // Where the clock does not run, nothing was measured.
        if came && now > before {
            self.intervals.add(now - before);
        }
        self.seen[usize::from(number / 64)] |= 1 << (number % 64);
        let Some(limit) = limits.of(self.key.id, number) else {
            return;
        };
        let missed = &mut self.missed[usize::from(number / 64)];
        let bit = 1 << (number % 64);
        let untold = *missed & bit == 0;
        *missed &= !bit;
        if (came || !self.is_schedule()) && now - before > limit && untold {
            self.late += 1;
            if !limits.is_advice(self.key.id) {
                let interval = ("interval_ms", now - before);
                self.tell("late", Some(number), interval, limit, arrived.ended, out);
            }
        }
    }

    /// Says that section `number` is late or away, by each check that wants to know.
    fn tell(
        &self,
        reason: &'static str,
        number: Option<u8>,
        (key, span): (&'static str, Ticks27M),
        limit: Ticks27M,
        at: Moment,
        out: Out<'_>,
    ) {
        let checks = [section_check(self.key.id), Some(Check::SiRepetitionError)];
        let lasts = match reason {
            "late" => Ticks27M::ZERO,
            _ => again(limit),
        };
        for check in checks.into_iter().flatten() {
            let mut finding = self.key.finding(check, at).with("reason", reason);
            if let Some(number) = number {
                finding = finding.with("section", i64::from(number));
            }
            out(finding
                .with(key, span.as_millis())
                .with("limit_ms", limit.as_millis())
                .lasting(lasts));
        }
    }

    /// Counts a section that is missing, and says so where that is an error.
    fn miss(
        &mut self,
        number: u8,
        (absent, limit): (Ticks27M, Ticks27M),
        at: Moment,
        limits: &TableLimits,
        out: Out<'_>,
    ) {
        self.late += 1;
        let reason = if self.has_come(number) {
            "absent"
        } else {
            "never seen"
        };
        if !limits.is_advice(self.key.id) {
            let absent = ("absent_ms", absent);
            self.tell(reason, Some(number), absent, limit, at, out);
        }
    }

    /// Looks for what is missing at `at`; gives when there may be something next.
    pub(super) fn check(&mut self, at: Moment, limits: &TableLimits, out: Out<'_>) -> Ticks27M {
        if self.withdrawn {
            return Ticks27M::MAX;
        }
        let (id, now) = (self.key.id, at.time);
        let mut due = Ticks27M::MAX;
        // The section that is missing longest, and how many are that were told before.
        let mut missing: Option<(u8, Ticks27M, Ticks27M)> = None;
        let mut count = 0;
        let mut fresh = false;
        for number in (0..=u8::MAX).take(self.slots.len()) {
            let came = self.slots[usize::from(number)];
            if self.is_schedule() && !self.has_come(number) {
                continue;
            }
            let Some(limit) = limits.of(id, number) else {
                return Ticks27M::MAX;
            };
            if now - came <= limit {
                due = due.min(came + limit);
                continue;
            }
            if missing.is_none_or(|(_, since, _)| came < since) {
                missing = Some((number, came, limit));
            }
            let missed = &mut self.missed[usize::from(number / 64)];
            let bit = 1 << (number % 64);
            if *missed & bit != 0 {
                count += 1;
                continue;
            }
            *missed |= bit;
            fresh = true;
            self.miss(number, (now - came, limit), at, limits, out);
        }
        if let Some((number, since, limit)) = missing {
            if fresh {
                self.told = Some(now);
            } else if self.told.is_none_or(|told| now - told > again(limit)) {
                self.told = Some(now);
                // One finding for all that stay away.
                self.late += count - 1;
                self.miss(number, (now - since, limit), at, limits, out);
            }
            if now - self.last.time > limit * WITHDRAWN_AFTER {
                self.withdrawn = true;
                return Ticks27M::MAX;
            }
            due = due.min(self.told.map_or(now, |told| told + again(limit)));
        }
        due.min(self.check_pair(at, limits, out))
    }

    /// 3.6.c: of an EIT present/following, one section comes and the other does not. TR 101 290
    /// gives no time: one has come within the limit of the table, the other not in twice as long.
    fn check_pair(&mut self, at: Moment, limits: &TableLimits, out: Out<'_>) -> Ticks27M {
        let (true, [present, following, ..]) = (self.is_present_following(), &self.slots[..])
        else {
            return Ticks27M::MAX;
        };
        let Some(limit) = limits.of(self.key.id, 0) else {
            return Ticks27M::MAX;
        };
        let now = at.time;
        let here = |number, came: Ticks27M| self.has_come(number) && now - came <= limit;
        let away = |came: Ticks27M| now - came > limit * 2;
        let (there, gone, since) = if here(0, *present) && away(*following) {
            ("present", "following", *following)
        } else if here(1, *following) && away(*present) {
            ("following", "present", *present)
        } else {
            let next = (*present).min(*following) + limit * 2;
            return if next < now { now + limit } else { next };
        };
        if self
            .told_pair
            .is_none_or(|told| now - told > again(limit) || told < since)
        {
            self.told_pair = Some(now);
            let finding = self.key.finding(Check::EitPfError, at);
            out(finding
                .with("there", there)
                .with("absent", gone)
                .with("absent_ms", (now - since).as_millis())
                .lasting(again(limit)));
        }
        self.told_pair.map_or(now, |told| told + again(limit))
    }

    /// What was timed is void: everything is due from `at` on.
    pub(super) fn restart(&mut self, at: Ticks27M) {
        self.slots.fill(at);
        (self.seen, self.missed) = ([0; 4], [0; 4]);
        (self.told, self.told_pair) = (None, None);
    }

    /// What was measured.
    pub(super) fn measures(&self, limits: &TableLimits) -> TableMeasures {
        let Key {
            pid,
            id,
            extension,
            stream,
            network,
        } = self.key;
        let ms = |span: Ticks27M| span.as_nanos() as f64 / 1e6;
        let some = |span| (self.intervals.count > 0).then(|| ms(span));
        let (timed, span) = (
            self.bytes - self.first_bytes,
            self.last.time - self.first.time,
        );
        let mean = self.intervals.sum / i64::try_from(self.intervals.count).unwrap_or(1).max(1);
        TableMeasures {
            pid: pid.get(),
            table_id: id.0,
            table: name(id),
            table_id_extension: extension,
            transport_stream_id: matches!(id.0, 0x4E..=0x6F).then_some(stream),
            original_network_id: matches!(id.0, 0x42 | 0x46 | 0x4E..=0x6F).then_some(network),
            version: self.version,
            last_section: self.version.map(|_| self.last_number),
            sections_total: self.sections,
            bytes_total: self.bytes,
            rate_bps: BitRate::of(timed, span).map(BitRate::get),
            interval_min_ms: some(self.intervals.min),
            interval_mean_ms: some(mean),
            interval_max_ms: some(self.intervals.max),
            limit_ms: limits.of(id, 0).map(Ticks27M::as_millis),
            limit_is_advice: limits.is_advice(id),
            late_total: self.late,
            too_close_total: self.too_close,
            withdrawn: self.withdrawn,
        }
    }
}
