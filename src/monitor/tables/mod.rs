//! The checks of tables: whether they come in time, whole, and where they belong; and whether the
//! PIDs that they speak of are there.
//!
//! Limits are those of ETSI TR 101 290 V1.4.1 §5.2 and TR 101 211 V1.9.1 §4.4, all in
//! [`TableLimits`]. Where the report leaves something open, it is read so:
//!
//! - *A section* counts when it came whole and its CRC_32 is right; it comes when its last byte
//!   does. What a lost or scrambled packet broke is no section, and no crc_error.
//! - *What is missing* is told once when its time is over, and again each time as much has passed,
//!   every 5 s at the longest.
//! - *NIT, SDT, EIT and TDT* that never came are missed once any section of service information
//!   came; a stream without any (MPEG only, ATSC) has its checks not judged ([`ExpectSi`]). Nor is
//!   an EIT missed that an SDT says is not there (EIT_present_following_flag).
//! - *3.2* looks at every section of every sub-table, as TR 101 211 §4.4 does; so it is raised
//!   beside the check that a table has of its own.
//! - *25 ms* lie between the last byte of a section and the first byte of the next with the same
//!   PID, table_id and table_id_extension (EN 300 468 §5.1.4.1, where the number comes from), in
//!   streams of up to 100 Mb/s, service information only.
//! - *3.6.a and 3.6.c* are judged for each service whose EIT present/following came.
//! - *A sub-table of others* (another network, transport stream, bouquet) that stays away ten
//!   times its limit has been withdrawn: it is told until then.
//! - *3.4.a* is judged from the first PAT on.

mod actual;
mod judge;
mod kind;
mod limits;
mod measures;
mod pmt;
mod presence;
mod rates;
mod reader;
mod sub_table;
mod sub_tables;
mod watch;

pub use self::limits::{AbsenceLimits, Delivery, ExpectSi, TableLimits};
pub use self::measures::{TableMeasures, TablesMeasures};
pub use self::rates::TableRate;

use self::judge::Judge;
use self::kind::Home;
use self::presence::Presence;
use self::reader::Reader;
use super::{Check, Moment, Out, Seen, Verdict};
use crate::stream::Programs;
use crate::ts::Pid;
use crate::units::Ticks27M;

/// Sub-tables that are timed at most, about 1 MB: a full guide of 500 services has 2,000.
const MAX_SUB_TABLES: usize = 4096;
/// Sections that are timed at most, in all sub-tables together: 4 MiB.
const MAX_SECTIONS: usize = 1 << 19;

/// The family of checks of tables: 1.3.a, 1.5.a, 1.6, 2.2, 2.6, 3.1.a, 3.1.b, 3.2, 3.4.a, 3.5.a,
/// 3.5.b, 3.6.a, 3.6.b, 3.6.c, 3.7, 3.8.
///
/// Wants the packets of every PID; one of a PID without tables costs a few compares. Memory is
/// bounded: 4,096 sub-tables with 524,288 sections are timed (5 MB), sections of more are counted.
#[derive(Debug)]
pub struct Tables {
    presence: Presence,
    readers: Vec<Reader>,
    judge: Judge,
    /// The time of the last packet or tick.
    now: Ticks27M,
}

impl Tables {
    /// The checks of the family.
    pub const CHECKS: &[Check] = &[
        Check::PatError2,
        Check::PmtError2,
        Check::PidError,
        Check::CrcError,
        Check::CatError,
        Check::NitActualError,
        Check::NitOtherError,
        Check::SiRepetitionError,
        Check::UnreferencedPid,
        Check::SdtActualError,
        Check::SdtOtherError,
        Check::EitActualError,
        Check::EitOtherError,
        Check::EitPfError,
        Check::RstError,
        Check::TdtError,
    ];

    /// Before the first packet.
    pub fn new(limits: TableLimits) -> Self {
        let mut tables = Self {
            presence: Presence::new(),
            readers: Home::FIXED.map(|(pid, home)| Reader::new(pid, home)).into(),
            judge: Judge::new(limits),
            now: Ticks27M::ZERO,
        };
        tables.place_readers(Ticks27M::ZERO);
        tables
    }

    /// Other limits hold from `at` on; what is timed by others than before begins anew.
    pub fn renew(&mut self, limits: TableLimits, programs: &Programs, at: Moment) {
        if self.judge.limits != limits {
            self.judge.limits = limits;
            self.services(programs, at);
            self.judge.reset(at);
            self.presence.reset(at.time);
        }
    }

    fn place_readers(&mut self, at: Ticks27M) {
        self.presence.clear_readers();
        for (reader, place) in self.readers.iter().zip(1..) {
            self.presence.sight(reader.pid, at).reader = place;
        }
    }

    /// After a PAT or a PMT changed: the services as they are now.
    pub fn services(&mut self, programs: &Programs, at: Moment) {
        let services: Vec<_> = programs.services().map(|s| (s.pmt_pid, s.id)).collect();
        let readers = std::mem::take(&mut self.readers);
        self.readers = self.judge.services(&services, readers, at.time);
        self.presence
            .services(programs, &self.judge.limits, at.time);
        self.place_readers(at.time);
    }

    /// Takes a packet.
    #[inline]
    pub fn push(&mut self, seen: &Seen<'_>, out: Out<'_>) {
        let now = seen.at.time;
        let sight = match self.presence.known(seen.pid) {
            Some(sight) => sight,
            None => self.presence.sight(seen.pid, now),
        };
        if sight.is_late(now) {
            sight.check_absence(seen.at, Ticks27M::ZERO, out);
        }
        sight.last = now;
        (sight.seen, sight.fresh) = (true, true);
        let reader = sight.reader;
        let scrambled = seen.packet.as_bytes()[3] & 0xC0 != 0;
        if reader != 0 || scrambled {
            self.look(usize::from(reader), scrambled, seen, out);
        }
    }

    /// Takes a packet of a table, or a scrambled one.
    fn look(&mut self, reader: usize, scrambled: bool, seen: &Seen<'_>, out: Out<'_>) {
        let mut reader = self.readers.get_mut(reader.wrapping_sub(1));
        if scrambled && seen.pid != Pid::NULL {
            let home = reader.as_ref().map(|r| r.home);
            self.judge.scrambled(seen, home, out);
        }
        if let Some(reader) = &mut reader {
            let (judge, presence) = (&mut self.judge, &mut self.presence);
            let place = (reader.pid, reader.home, seen.at);
            reader.push(seen, |read| judge.take(place, read, presence, out));
        }
    }

    /// Time went on to `at`: looks for what is missing.
    pub fn tick(&mut self, at: Moment, out: Out<'_>) {
        self.now = at.time;
        self.judge.tick(at, out);
        self.presence.tick(at, &self.judge.limits, out);
    }

    /// Packets were lost or the clock jumped: what is timed is void, what has begun is broken.
    pub fn reset(&mut self, at: Moment) {
        self.readers.iter_mut().for_each(Reader::reset);
        self.judge.reset(at);
        self.presence.reset(at.time);
    }

    /// Whether one of its checks could be judged.
    pub fn verdict(&self, check: Check) -> Verdict {
        const NO_SI: &str =
            "the stream has no service information (no section on PIDs 0x0010 to 0x0014)";
        const SHORT: &str = "the input is shorter than the time that the table has to come";
        let (limits, subs) = (&self.judge.limits, &self.judge.sub_tables);
        let si = |limit: Option<Ticks27M>| match limit {
            _ if !self.judge.actual.expected() => Verdict::NotJudged(NO_SI),
            None => Verdict::NotJudged("no limit is set"),
            Some(limit) if self.now <= limit => Verdict::NotJudged(SHORT),
            Some(_) => Verdict::Judged,
        };
        let needs = |there: bool, why| match there {
            true => Verdict::Judged,
            false => Verdict::NotJudged(why),
        };
        match check {
            Check::PatError2 => needs(self.now > limits.pat, SHORT),
            Check::PmtError2 if self.judge.pmts.is_empty() => {
                Verdict::NotJudged("no PAT names a PMT")
            }
            Check::PmtError2 => needs(self.now > limits.pmt, SHORT),
            Check::PidError | Check::UnreferencedPid if !self.presence.refers => {
                Verdict::NotJudged("no PMT came")
            }
            Check::PidError => match limits.absence.shortest() {
                Some(limit) => needs(
                    self.now > limit,
                    "the input is shorter than a PID may be away",
                ),
                None => Verdict::NotJudged("no limit is set"),
            },
            Check::UnreferencedPid => needs(self.now > limits.unreferenced, SHORT),
            Check::CatError if self.judge.is_scrambled() => needs(self.now > limits.cat, SHORT),
            Check::CrcError => needs(self.judge.sections > 0, "no section came"),
            Check::NitActualError => si(limits.nit_actual),
            Check::SdtActualError => si(limits.sdt_actual),
            Check::EitActualError if self.judge.actual.has_no_eit() => Verdict::NotJudged(
                "the SDT says that no service has an EIT present/following (EIT_present_following_flag)",
            ),
            Check::EitActualError => si(limits.eit_actual),
            Check::TdtError => si(limits.tdt),
            Check::SiRepetitionError if subs.untracked > 0 => {
                Verdict::NotJudged("in part: more than 4,096 sub-tables, or 524,288 sections")
            }
            Check::SiRepetitionError => si(limits.nit_actual),
            Check::NitOtherError => needs(subs.has(0x41), "no NIT of another network came"),
            Check::SdtOtherError => needs(subs.has(0x46), "no SDT of another stream came"),
            Check::EitOtherError => needs(subs.has(0x4F), "no EIT of another stream came"),
            Check::EitPfError => needs(
                subs.has(0x4E) || subs.has(0x4F),
                "no EIT present/following came",
            ),
            Check::RstError => needs(subs.has(0x71), "no RST came"),
            _ => Verdict::Judged,
        }
    }

    /// What was measured.
    pub fn measures(&self) -> TablesMeasures {
        TablesMeasures {
            tables: self.judge.sub_tables.measures(&self.judge.limits),
            rates: self.judge.rates.measures(),
            sections_total: self.judge.sections,
            crc_errors_total: self.judge.crc_errors,
            untimed_sections_total: self.judge.sub_tables.untracked,
        }
    }
}

#[cfg(test)]
mod tests;
