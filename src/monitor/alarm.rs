//! Alarms: findings with hysteresis, raised once and cleared once.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::si::ServiceId;
use crate::stream::event::{Event, Severity, Subject, Value};
use crate::ts::Pid;
use crate::units::Ticks27M;

use super::{Check, Finding, Moment};

/// Alarms that stand at one time at most; what is found about more subjects is told as of the
/// stream.
pub const MAX_ALARMS: usize = 1024;

/// What goes on is looked for ten times a second: found again so much later at most than it says.
const FOUND_LATE: Ticks27M = Ticks27M::from_millis(200);

/// What an alarm is about, in an order.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Stream,
    Pid(Pid),
    Service(u16),
}

impl From<Subject> for Key {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Stream => Self::Stream,
            Subject::Pid(pid) => Self::Pid(pid),
            Subject::Service(id) => Self::Service(id),
        }
    }
}

#[derive(Debug)]
struct Standing {
    subject: Subject,
    service: Option<ServiceId>,
    raised: Moment,
    /// The newest finding.
    found: Moment,
    /// The newest time at which it was known to go on.
    held: Ticks27M,
    count: u64,
}

/// An alarm was raised or cleared.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// True when it was raised.
    pub raised: bool,
    /// By which check.
    pub check: Check,
    /// About what.
    pub subject: Subject,
    /// The service it belongs to, where there is one.
    pub service: Option<ServiceId>,
    /// Where and when it was raised, or found to be over.
    pub at: Moment,
    /// Of one that is cleared: when it was raised.
    pub since: Moment,
    /// Of one that is cleared: when it was found last.
    pub last: Moment,
    /// How often it was found meanwhile.
    pub count: u64,
    /// Of one that is raised: what exactly, unit in the key.
    pub fields: Vec<(&'static str, Value)>,
}

impl Alarm {
    /// `raised` or `cleared`.
    pub const fn word(&self) -> &'static str {
        if self.raised { "raised" } else { "cleared" }
    }

    /// The PID, where it is about one.
    pub const fn pid(&self) -> Option<Pid> {
        match self.subject {
            Subject::Pid(pid) => Some(pid),
            Subject::Stream | Subject::Service(_) => None,
        }
    }

    /// The service that it is about, or that its PID belongs to.
    pub fn service_id(&self) -> Option<ServiceId> {
        match self.subject {
            Subject::Service(id) => Some(ServiceId(id)),
            Subject::Stream | Subject::Pid(_) => self.service,
        }
    }
}

impl Event for Alarm {
    fn name(&self) -> &'static str {
        self.check.name()
    }

    fn severity(&self) -> Severity {
        match self.raised {
            true => Finding::new(self.check, self.subject, self.at).severity(),
            false => Severity::Info,
        }
    }

    fn subject(&self) -> Subject {
        self.subject
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        field("alarm", self.word().into());
        field("at_packet", self.at.position.into());
        field("at_ms", self.at.time.as_millis().into());
        if !self.raised {
            field("since_ms", self.since.time.as_millis().into());
            field("found_total", self.count.into());
        }
        for (key, value) in &self.fields {
            field(key, value.clone());
        }
    }
}

/// One JSON object; its keys are fixed, more may come to stand beside them.
impl Serialize for Alarm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", self.word())?;
        map.serialize_entry("check", &self.check)?;
        map.serialize_entry("number", self.check.number())?;
        map.serialize_entry("priority", &self.check.priority())?;
        map.serialize_entry("subject", &self.subject.to_string())?;
        map.serialize_entry("pid", &self.pid().map(Pid::get))?;
        map.serialize_entry("service", &self.service_id())?;
        map.serialize_entry("at_ms", &self.at.time.as_millis())?;
        map.serialize_entry("at_packet", &self.at.position)?;
        if !self.raised {
            map.serialize_entry("since_ms", &self.since.time.as_millis())?;
            map.serialize_entry("last_ms", &self.last.time.as_millis())?;
            map.serialize_entry("last_packet", &self.last.position)?;
        }
        map.serialize_entry("count", &self.count)?;
        for (key, value) in &self.fields {
            match value {
                Value::Number(n) => map.serialize_entry(key, n)?,
                Value::Text(text) => map.serialize_entry(key, text)?,
            }
        }
        map.end()
    }
}

/// Raises an alarm at the first finding of a check about a subject, counts those that follow, and
/// clears it when none has come for a time. What lasts ([`Finding::again`]) counts as found until
/// it would have been found again, so that its alarm stands however short that time is.
///
/// ```
/// use headend::monitor::{Alarms, Check, Finding, Moment};
/// use headend::{stream::event::Subject, units::Ticks27M};
/// let at = |ms| Moment { position: 0, time: Ticks27M::from_millis(ms) };
/// let mut alarms = Alarms::new(Ticks27M::SECOND * 10);
/// let mut said = Vec::new();
/// for ms in [0, 400, 9_000] {
///     let finding = Finding::new(Check::TransportError, Subject::Stream, at(ms));
///     alarms.push(&finding, &mut |alarm| said.push((alarm.word(), alarm.count)));
/// }
/// alarms.tick(at(18_999), &mut |alarm| said.push((alarm.word(), alarm.count)));
/// alarms.tick(at(19_000), &mut |alarm| said.push((alarm.word(), alarm.count)));
/// assert_eq!(said, [("raised", 1), ("cleared", 3)]);
/// ```
#[derive(Debug)]
pub struct Alarms {
    clear_after: Ticks27M,
    standing: BTreeMap<(Check, Key), Standing>,
    /// None is cleared before.
    next_clear: Ticks27M,
    raised_total: u64,
}

impl Alarms {
    /// None stands. One is cleared `clear_after` its last finding.
    pub const fn new(clear_after: Ticks27M) -> Self {
        Self {
            clear_after,
            standing: BTreeMap::new(),
            next_clear: Ticks27M::MAX,
            raised_total: 0,
        }
    }

    /// Takes a finding; what is over by then is cleared before.
    pub fn push(&mut self, finding: &Finding, out: &mut dyn FnMut(&Alarm)) {
        self.tick(finding.at, out);
        let full = self.standing.len() >= MAX_ALARMS;
        let key = (finding.check, finding.subject.into());
        let (key, subject) = match self.standing.contains_key(&key) || !full {
            true => (key, finding.subject),
            false => ((finding.check, Key::Stream), Subject::Stream),
        };
        let mut fresh = false;
        let standing = self.standing.entry(key).or_insert_with(|| {
            fresh = true;
            Standing {
                subject,
                service: finding.service.filter(|_| subject == finding.subject),
                raised: finding.at,
                found: finding.at,
                held: finding.at.time,
                count: 0,
            }
        });
        standing.count += 1;
        standing.found = finding.at;
        let late = match finding.again {
            Ticks27M::ZERO => Ticks27M::ZERO,
            again => again + FOUND_LATE,
        };
        standing.held = standing.held.max(finding.at.time + late);
        self.next_clear = self.next_clear.min(standing.held + self.clear_after);
        if fresh {
            self.raised_total += 1;
            out(&Alarm {
                raised: true,
                check: finding.check,
                subject,
                service: standing.service,
                at: finding.at,
                since: finding.at,
                last: finding.at,
                count: 1,
                fields: finding.fields.clone(),
            });
        }
    }

    /// What was found about `subject` goes on at `at`, without being found anew.
    pub fn hold(&mut self, check: Check, subject: Subject, at: Moment) {
        if let Some(standing) = self.standing.get_mut(&(check, subject.into())) {
            standing.held = standing.held.max(at.time);
        }
    }

    /// Time went on to `at`: what has not been found for long enough is cleared, as of then.
    pub fn tick(&mut self, at: Moment, out: &mut dyn FnMut(&Alarm)) {
        if at.time < self.next_clear {
            return;
        }
        let clear_after = self.clear_after;
        let mut over = Vec::new();
        self.next_clear = Ticks27M::MAX;
        self.standing.retain(|(check, _), standing| {
            let end = standing.held + clear_after;
            if at.time < end {
                self.next_clear = self.next_clear.min(end);
                return true;
            }
            over.push(Alarm {
                raised: false,
                check: *check,
                subject: standing.subject,
                service: standing.service,
                at: Moment { time: end, ..at },
                since: standing.raised,
                last: standing.found,
                count: standing.count,
                fields: Vec::new(),
            });
            false
        });
        over.sort_by_key(|alarm| alarm.at.time);
        over.iter().for_each(out);
    }

    /// The checks with an alarm that stands, each once.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks: Vec<_> = self.standing.keys().map(|(check, _)| *check).collect();
        checks.dedup();
        checks
    }

    /// What the alarms of a check that stand are about.
    pub fn subjects(&self, check: Check) -> impl Iterator<Item = Subject> {
        let of_it = self.standing.iter().filter(move |((c, _), _)| *c == check);
        of_it.map(|(_, standing)| standing.subject)
    }

    /// How many stand.
    pub fn len(&self) -> usize {
        self.standing.len()
    }

    /// True when none stands.
    pub fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }

    /// How many were raised so far.
    pub const fn raised_total(&self) -> u64 {
        self.raised_total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Moment {
        Moment {
            position: ms as u64,
            time: Ticks27M::from_millis(ms),
        }
    }

    fn found(pid: u16, ms: i64) -> Finding {
        let subject = Subject::Pid(Pid::from_field(pid));
        Finding::new(Check::ContinuityCountError, subject, at(ms))
            .of(Some(ServiceId(7)))
            .with("lost_packets", 3u64)
    }

    #[test]
    fn subjects_have_alarms_of_their_own_that_are_raised_again_after_they_were_cleared() {
        let mut alarms = Alarms::new(Ticks27M::SECOND);
        let mut said = Vec::new();
        let mut say =
            |a: &Alarm| said.push((a.word(), a.pid().map(Pid::get), a.at.time.as_millis()));
        for (pid, ms) in [(1, 0), (2, 100), (1, 200), (2, 1_050), (1, 1_300)] {
            alarms.push(&found(pid, ms), &mut say);
        }
        assert_eq!(
            said,
            [
                ("raised", Some(1), 0),
                ("raised", Some(2), 100),
                ("cleared", Some(1), 1_200),
                ("raised", Some(1), 1_300),
            ]
        );
        assert_eq!((alarms.len(), alarms.raised_total()), (2, 3));
    }

    #[test]
    fn a_flood_of_subjects_becomes_one_alarm_of_the_stream() {
        let mut alarms = Alarms::new(Ticks27M::SECOND);
        let mut said = 0;
        for pid in 0..Pid::COUNT as u16 {
            alarms.push(&found(pid, 0), &mut |_| said += 1);
        }
        assert_eq!((said, alarms.len()), (MAX_ALARMS + 1, MAX_ALARMS + 1));
        let mut counts = Vec::new();
        alarms.tick(at(1_000), &mut |a| counts.push((a.subject, a.count)));
        let rest = (Pid::COUNT - MAX_ALARMS) as u64;
        assert_eq!(counts[0], (Subject::Stream, rest));
    }

    #[test]
    fn what_goes_on_is_not_cleared_and_not_counted() {
        let mut alarms = Alarms::new(Ticks27M::SECOND);
        let mut said = Vec::new();
        let finding = Finding::new(Check::TsSyncLoss, Subject::Stream, at(0));
        alarms.push(&finding, &mut |a| said.push((a.word(), a.count)));
        for ms in (0..=60_000).step_by(100) {
            alarms.hold(Check::TsSyncLoss, Subject::Stream, at(ms));
            alarms.tick(at(ms), &mut |a| said.push((a.word(), a.count)));
        }
        alarms.tick(at(61_000), &mut |a| said.push((a.word(), a.count)));
        assert_eq!(said, [("raised", 1), ("cleared", 1)]);
    }

    #[test]
    fn what_lasts_is_not_cleared_before_it_would_be_found_again() {
        let mut alarms = Alarms::new(Ticks27M::SECOND);
        let mut said = Vec::new();
        let mut say = |a: &Alarm| said.push((a.word(), a.at.time.as_millis(), a.count));
        let again = Ticks27M::SECOND * 5;
        for ms in (0..=30_000).step_by(100) {
            alarms.tick(at(ms), &mut say);
            // Away from 1 s to 13 s, found in ticks: 5 s and a tick each.
            if [1_000, 6_100, 11_200].contains(&ms) {
                alarms.push(&found(1, ms).lasting(again), &mut say);
            }
        }
        // 11.2 s and 5.2 s later it would have been found again; a second after that it is over.
        assert_eq!(said, [("raised", 1_000, 1), ("cleared", 17_400, 3)]);
    }

    #[test]
    fn a_line_of_json_has_the_keys_of_the_manual() {
        let mut lines = Vec::new();
        let mut alarms = Alarms::new(Ticks27M::SECOND);
        let mut say = |a: &Alarm| lines.push(serde_json::to_value(a).unwrap());
        alarms.push(&found(0x100, 20), &mut say);
        alarms.push(&found(0x100, 40), &mut say);
        alarms.tick(at(2_000), &mut say);
        let raised = serde_json::json!({
            "event": "raised", "check": "continuity_count_error", "number": "1.4", "priority": 1,
            "subject": "PID 0x0100", "pid": 256, "service": 7, "at_ms": 20, "at_packet": 20,
            "count": 1, "lost_packets": 3,
        });
        let cleared = serde_json::json!({
            "event": "cleared", "check": "continuity_count_error", "number": "1.4", "priority": 1,
            "subject": "PID 0x0100", "pid": 256, "service": 7, "at_ms": 1040, "at_packet": 2000,
            "since_ms": 20, "last_ms": 40, "last_packet": 40, "count": 2,
        });
        assert_eq!(lines, [raised, cleared]);
    }
}
