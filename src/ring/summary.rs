//! What is in a ring, told from the newest side index and a look at its ends.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::ts::{Pid, Pts};
use crate::units::{Ticks27M, WallTime};

use super::error::RingError;
use super::index::{GapCause, Index, Record, SegmentSummary, What};
use super::layout::{LOCK, SegmentName};
use super::missing::Told;
use super::reader::Ring;
use super::scan::scan;
use super::storage::Storage;
use super::unfiled::Unfiled;
use super::writer::INDEX_EVERY;

/// Where there is no index, so much of the end of the newest segment is looked at: 8 MB.
const LOOK_BACK: u64 = 8 << 20;

/// Nothing for so long is a gap that lasts: silence, and what packets may wait to be written.
const LASTING: Ticks27M = Ticks27M::new(2 * 27_000_000);

/// How many of the newest segments are asked for an index before it is taken that there is none.
const NEWEST: usize = 3;

/// A time for which there is nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From the last packet before it.
    pub from: WallTime,
    /// To the first packet after it.
    pub to: WallTime,
    /// Why.
    pub cause: GapCause,
    /// Packets known to have been lost.
    pub packets: u64,
    /// Between which segments others are missing, where that is the cause.
    pub between: Option<(SegmentName, SegmentName)>,
    /// Which segment has less in it than it had, where that is the cause.
    pub short: Option<SegmentName>,
}

impl Gap {
    /// Why, in words.
    pub fn why(&self) -> String {
        let cause = self.cause.name();
        match self.what() {
            Some(what) => format!("{cause}: {what}"),
            None => cause.to_owned(),
        }
    }

    /// Which segments are concerned, in words, where some are missing or shorter than they were.
    pub fn what(&self) -> Option<String> {
        if let Some(name) = &self.short {
            return Some(format!("{} is shorter than it was", name.display()));
        }
        let (a, b) = self.between.as_ref()?;
        let (a, b) = (a.display(), b.display());
        Some(format!("no segment between {a} and {b}"))
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to, why, packets) = (self.from, self.to, self.why(), self.packets);
        let span = to - from;
        write!(
            f,
            "gap of {span} from {from} to {to} ({why}, {packets} packets known lost)"
        )
    }
}

/// A service of the recorded stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSeen {
    /// service_id.
    pub service: u16,
    /// Name, from the SDT.
    pub name: Option<String>,
    /// service_type, from the SDT.
    pub kind: Option<u8>,
    /// Where its map is carried, and its clock, as announced last.
    pub pids: Option<(Pid, Pid)>,
    /// How often its map came or changed.
    pub maps: u32,
}

/// An event that EIT present announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSeen {
    /// service_id.
    pub service: u16,
    /// event_id.
    pub event: u16,
    /// Title.
    pub title: String,
    /// Announced start.
    pub announced: Option<WallTime>,
    /// Announced duration.
    pub duration: Ticks27M,
    /// When it became present, in ring time; where it was present when recording began, that.
    pub from: WallTime,
    /// When the next event of the service became present; `None` while it is present.
    pub to: Option<WallTime>,
}

/// An SCTE-35 command.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpliceSeen {
    /// When it came.
    pub at: WallTime,
    /// Where it was carried.
    pub pid: Pid,
    /// splice_command_type.
    pub command: u8,
    /// splice_event_id.
    pub event: Option<u32>,
    /// When it takes effect, on the programme's clock.
    pub pts: Option<Pts>,
}

/// What is in a ring.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The first stamp and the last.
    pub span: Option<(WallTime, WallTime)>,
    /// Segments.
    pub segments: usize,
    /// Bytes of packets.
    pub bytes: u64,
    /// Random-access points.
    pub random_access: u64,
    /// Breaks of continuity.
    pub discontinuities: u64,
    /// Times for which there is nothing, in the order they were recorded.
    pub gaps: Vec<Gap>,
    /// Steps of the wall clock.
    pub steps: Vec<(WallTime, Ticks27M)>,
    /// Services, by id.
    pub services: Vec<ServiceSeen>,
    /// Events, in order.
    pub events: Vec<EventSeen>,
    /// SCTE-35 commands, in order.
    pub splices: Vec<SpliceSeen>,
    /// No index was found: services, events and gaps are those of the newest segment's end.
    pub unindexed: bool,
}

impl Ring {
    /// What is there. The newest index tells of all before it: of each older segment no more is
    /// asked than its size, unless it is not as it was.
    pub fn summary(&self) -> Result<Summary, RingError> {
        let mut summary = Summary {
            span: self.first().zip(self.last()),
            segments: self.segments().len(),
            ..Summary::default()
        };
        let (records, told) = self.lasting(&mut summary)?;
        for record in &records {
            summary.take(record);
        }
        // What the last recorder could not file. While one records, it lasts.
        let noted = Unfiled::read(self.storage(), self.dir());
        if let Some(noted) = noted.filter(|_| !self.is_recorded()) {
            summary.gaps.push(noted.gap());
        }
        let mut missing = self.missing(&told, &summary.gaps);
        missing.extend(self.shortened(&told, &summary.gaps));
        if !missing.is_empty() {
            summary.gaps.extend(missing);
            // Under a clock that was set back, the order of reception is not that of times.
            if self.layout().epochs.is_empty() {
                summary.gaps.sort_by_key(|gap| gap.from);
            }
        }
        summary.services.sort_by_key(|s| s.service);
        let Some((first, _)) = summary.span else {
            return Ok(summary);
        };
        summary.gaps.retain(|g| g.to >= first || g.to < g.from);
        let services: HashSet<u16> = summary.events.iter().map(|e| e.service).collect();
        for service in services {
            let mut next = None;
            for event in summary.events.iter_mut().rev() {
                if event.service == service {
                    event.to = next;
                    next = Some(event.from);
                }
            }
        }
        summary.events.retain(|e| e.to.is_none_or(|to| to > first));
        for event in &mut summary.events {
            event.from = event.from.max(first);
        }
        Ok(summary)
    }

    /// True while a recorder holds the ring.
    pub fn is_recorded(&self) -> bool {
        let lock = self.dir().join(LOCK);
        self.storage().is_locked(&lock).unwrap_or(false)
    }

    /// The gap that lasts at `now`, which it is given for its end: the recorder cannot write, or
    /// nothing arrives. `None` in a ring that nobody records, or that is filed faster.
    pub fn lasting_gap(&self, now: WallTime) -> Option<Gap> {
        let settings = self.layout().settings.as_ref()?;
        if settings.stream_clock || !self.is_recorded() {
            return None;
        }
        let noted = Unfiled::read(self.storage(), self.dir());
        let noted = noted.map(|noted| Gap {
            to: now,
            ..noted.gap()
        });
        let silent = || {
            Some(Gap {
                from: self.silent_since(now)?,
                to: now,
                cause: GapCause::Silence,
                packets: 0,
                between: None,
                short: None,
            })
        };
        noted.or_else(silent)
    }

    /// Since when nothing came. A stamp is that of a block's first packet, and a slow stream fills
    /// a block for seconds: whether it stands still tells the recorder's last mark in the index.
    fn silent_since(&self, now: WallTime) -> Option<WallTime> {
        let (newest, before) = self.segments().split_last()?;
        let mark = |name| Index::last_mark(self.storage(), self.dir(), name);
        let bytes = self.storage().size(&newest.path(self.dir(), "ts")).ok()?;
        // One that was just begun has no mark yet, and perhaps no stamp.
        let (own, of_last) = (mark(newest), before.last().and_then(mark));
        let marks = own.into_iter().chain(of_last).map(|mark| mark.at);
        let since = marks.chain(self.last()).max()?;
        // What was written behind the mark came since: up to now, or until the next mark was due.
        let patience = match own {
            Some(mark) if mark.reach == bytes => LASTING,
            _ => LASTING + INDEX_EVERY,
        };
        (now - since >= patience).then_some(since)
    }

    /// The gaps that overlap `from` to `to`.
    pub fn gaps(&self, from: WallTime, to: WallTime) -> Result<Vec<Gap>, RingError> {
        let mut gaps = self.summary()?.gaps;
        gaps.retain(|g| g.from < to && g.to > from);
        Ok(gaps)
    }

    /// Where segments between others are gone, or are shorter than they were.
    pub(super) fn missing_segments(&self) -> Result<Vec<Gap>, RingError> {
        let mut gaps = self.summary()?.gaps;
        gaps.retain(|gap| gap.between.is_some() || gap.short.is_some());
        Ok(gaps)
    }

    /// Every record of the ring that lasts, and of which segments they tell; counts bytes on the
    /// way.
    fn lasting(&self, summary: &mut Summary) -> Result<(Vec<Record>, Told), RingError> {
        let storage: &dyn Storage = self.storage();
        let segments = self.segments();
        let newest = segments
            .iter()
            .enumerate()
            .rev()
            .take(NEWEST)
            .filter_map(|(i, s)| Some((i, self.index(s)?)))
            .find(|(_, index)| index.has_digest());
        summary.unindexed = newest.is_none();
        let indexed = newest.as_ref().map(|(i, _)| *i);
        let mut records = Vec::new();
        let mut told = Told::default();
        let (mut reach, mut carried) = (0, 0);
        if let Some((i, index)) = newest {
            reach = index.reach().0;
            records = index.carried;
            carried = records.len();
            told = self.told(&records, segments.get(..i).unwrap_or_default(), summary);
            let name = segments.get(i);
            let there = name.and_then(|n| storage.size(&n.path(self.dir(), "ts")).ok());
            for record in index.own {
                // Of packets that are gone no more is known than that they are.
                let gone = there.is_some_and(|bytes| reach > bytes && record.offset >= bytes);
                if !gone || record.lasts() {
                    summary.file(record, &mut records);
                }
            }
        }
        for (i, segment) in segments.iter().enumerate() {
            if told.places.contains_key(&(segment.epoch, segment.number)) {
                continue;
            }
            let path = segment.path(self.dir(), "ts");
            // One that expired since it was listed has none.
            let bytes = storage.size(&path).unwrap_or(0);
            summary.bytes += bytes;
            let start = match indexed {
                Some(indexed) if indexed == i => reach,
                _ if i + 1 == segments.len() => 0,
                _ => continue,
            };
            let start = start.max(bytes.saturating_sub(LOOK_BACK));
            let upto = segments.get(..=i).unwrap_or_default();
            let mut sink = |record| summary.file(record, &mut records);
            scan(storage, self.dir(), upto, start, bytes, &mut sink)
                .map_err(RingError::io("reading", &path))?;
        }
        if let Some(name) = indexed.and_then(|i| segments.get(i)) {
            told.places.insert((name.epoch, name.number), carried);
        }
        Ok((records, told))
    }

    /// Counts what a digest tells of the segments before its own, and returns which it tells of.
    ///
    /// It knows segments by their numbers, which are used again after a step back of the clock.
    /// Both lists are in the order of reception, and the oldest of either may be gone: so they
    /// are compared from their ends. Where a number is there more than once, the digest may lack
    /// the newer segment: then the sizes of the files decide.
    fn told(&self, carried: &[Record], before: &[SegmentName], summary: &mut Summary) -> Told {
        let mut numbered: HashMap<i64, Vec<&SegmentName>> = HashMap::new();
        for segment in before {
            numbered.entry(segment.number).or_default().push(segment);
        }
        let mut told = Told::of(carried);
        for (place, _, s) in told.segments.iter().rev() {
            let Some(same) = numbered.get_mut(&s.number) else {
                continue;
            };
            let size = |n: &SegmentName| self.storage().size(&n.path(self.dir(), "ts")).ok();
            let sized = match same.len() {
                0 | 1 => None,
                _ => same.iter().rposition(|n| size(n) == Some(s.bytes)),
            };
            if let Some(last) = same.len().checked_sub(1) {
                let segment = same.remove(sized.unwrap_or(last));
                let key = (segment.epoch, segment.number);
                told.places.insert(key, *place);
                summary.add(&self.as_it_is(segment, s));
            }
        }
        told
    }

    /// What is there of a segment of which the digest tells: of one that is shorter than it was,
    /// its own index knows.
    fn as_it_is(&self, name: &SegmentName, told: &SegmentSummary) -> SegmentSummary {
        // One that expired since it was listed has none.
        let bytes = self
            .storage()
            .size(&name.path(self.dir(), "ts"))
            .unwrap_or(0);
        let mut there = SegmentSummary { bytes, ..*told };
        if bytes >= told.bytes {
            return there;
        }
        let own = self.index(name).map(|index| index.own).unwrap_or_default();
        let mut counted = Summary::default();
        for record in own.into_iter().filter(|record| record.offset < bytes) {
            counted.file(record, &mut Vec::new());
        }
        there.random_access = u32::try_from(counted.random_access).unwrap_or(u32::MAX);
        there.discontinuities = u32::try_from(counted.discontinuities).unwrap_or(u32::MAX);
        there
    }
}

impl Summary {
    fn add(&mut self, segment: &SegmentSummary) {
        self.bytes += segment.bytes;
        self.random_access += u64::from(segment.random_access);
        self.discontinuities += u64::from(segment.discontinuities);
    }

    /// Counts a record, and puts it to the others when it lasts.
    fn file(&mut self, record: Record, lasting: &mut Vec<Record>) {
        match record.what {
            What::RandomAccess { .. } => self.random_access += 1,
            What::Discontinuity { count, .. } => self.discontinuities += count,
            _ if record.lasts() => lasting.push(record),
            _ => {}
        }
    }

    fn service(&mut self, service: u16) -> Option<&mut ServiceSeen> {
        if !self.services.iter().any(|s| s.service == service) {
            self.services.push(ServiceSeen {
                service,
                ..ServiceSeen::default()
            });
        }
        self.services.iter_mut().find(|s| s.service == service)
    }

    fn take(&mut self, record: &Record) {
        match &record.what {
            What::Gap {
                cause,
                until,
                packets,
            } => self.gaps.push(Gap {
                from: record.at,
                to: *until,
                cause: *cause,
                packets: *packets,
                between: None,
                short: None,
            }),
            What::ClockStep { by } => self.steps.push((record.at, *by)),
            What::Program {
                service,
                pmt_pid,
                pcr_pid,
                ..
            } => {
                if let Some(s) = self.service(*service) {
                    s.pids = Some((*pmt_pid, *pcr_pid));
                    s.maps += 1;
                }
            }
            What::Service {
                service,
                kind,
                name,
            } => {
                if let Some(s) = self.service(*service) {
                    (s.kind, s.name) = (Some(*kind), Some(name.clone()));
                }
            }
            What::Event {
                service,
                event,
                start,
                duration_s,
                title,
            } => {
                let last = self.events.iter_mut().rev().find(|e| e.service == *service);
                let seen = EventSeen {
                    service: *service,
                    event: *event,
                    title: title.clone(),
                    announced: *start,
                    duration: Ticks27M::SECOND * i64::from(*duration_s),
                    from: record.at,
                    to: None,
                };
                match last {
                    // Told again: by a new recorder, or with a new title or duration.
                    Some(last) if last.event == *event => {
                        let from = last.from;
                        *last = EventSeen { from, ..seen };
                    }
                    _ => self.events.push(seen),
                }
            }
            What::Splice {
                pid,
                command,
                event,
                pts,
            } => self.splices.push(SpliceSeen {
                at: record.at,
                pid: *pid,
                command: *command,
                event: *event,
                pts: *pts,
            }),
            _ => {}
        }
    }
}
