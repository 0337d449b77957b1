//! Segments that are gone from between others, or shorter than they were: removed or cut by hand,
//! or lost by a file system.
//!
//! That is decided here and nowhere else; [`Ring::summary`] puts it into the map of gaps, from
//! which who reads, plays, cuts or checks a ring tells it. The digest knows which segments there
//! were: where it names none between two, nothing is missing, however far they lie apart. Where it
//! does not reach (multicat's own rings have none) the names have to tell, and not why. What was
//! recorded as a gap is not told again, and what expired from the head of a ring is none.
//!
//! How long a segment was tells the digest or, where it does not reach, its own index and stamps,
//! which are written after the packets: what they tell of and is not there is gone. Who cuts those
//! to what is left files the gap in the index first ([`Short::record`]).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::ts::PACKET_SIZE;
use crate::units::{Ticks27M, WallTime};

use super::index::{GapCause, Index, Record, SegmentSummary, What};
use super::layout::SegmentName;
use super::neighbours;
use super::reader::Ring;
use super::segment::BLOCK_BYTES;
use super::stamps::{LATEST, Stamps};
use super::storage::Storage;
use super::summary::Gap;
use super::writer::SILENCE;

/// What the newest index tells of the segments before it.
#[derive(Default)]
pub(super) struct Told {
    /// Which of the carried records speaks of a segment that is there, by epoch and number; of
    /// the newest segment that is indexed, their count.
    pub(super) places: HashMap<(u32, i64), usize>,
    /// A summary each, in the order of reception, and its place.
    pub(super) segments: Vec<(usize, WallTime, SegmentSummary)>,
}

impl Told {
    /// Takes the summaries of `carried`.
    pub(super) fn of(carried: &[Record]) -> Self {
        let segments = carried.iter().enumerate().filter_map(|(place, record)| {
            let What::Segment(summary) = record.what else {
                return None;
            };
            Some((place, record.at, summary))
        });
        Self {
            places: HashMap::new(),
            segments: segments.collect(),
        }
    }
}

/// A segment that the digest tells of and that is not there.
struct Lost {
    from: WallTime,
    to: WallTime,
    packets: u64,
}

impl Lost {
    fn overlaps(&self, from: WallTime, to: WallTime) -> bool {
        self.from < to && self.to >= from
    }
}

/// A segment in which less is than there was.
#[derive(Copy, Clone, Debug)]
pub(super) struct Short {
    name: SegmentName,
    /// Bytes that are there: whole packets.
    bytes: u64,
    /// The last stamp that is there or, where none is, the first that was.
    from: WallTime,
    /// The last that was.
    pub(super) to: WallTime,
    packets: u64,
}

impl Short {
    /// What a segment lacks of what its own index and stamps tell of.
    pub(super) fn of(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<Self> {
        let there = storage.size(&name.path(ring, "ts")).ok()?;
        let mark = Index::last_mark(storage, ring, name);
        let indexed = mark.map(|mark| (mark.reach, mark.at));
        let stamps = Stamps::open(storage, &name.path(ring, "aux")).ok();
        let stamped = stamps.and_then(|stamps| {
            let last = stamps.count().ok()?.checked_sub(1)?;
            let kept = (there / BLOCK_BYTES).min(last);
            let (kept, at) = (stamps.get(kept)?, stamps.get(last)?);
            let end = match name.length > Ticks27M::ZERO {
                true => name.end(),
                false => LATEST,
            };
            // Stamps may be anything: those that cannot be tell of nothing.
            let sane = name.start <= kept && kept <= at && at < end;
            sane.then_some((last * BLOCK_BYTES + PACKET_SIZE as u64, at))
        });
        let (was, to) = indexed.into_iter().chain(stamped).max()?;
        Self::than(storage, ring, name, was, to)
    }

    /// What a segment lacks of the `was` bytes, up to the stamp `to`, that it had.
    fn than(
        storage: &dyn Storage,
        ring: &Path,
        name: &SegmentName,
        was: u64,
        to: WallTime,
    ) -> Option<Self> {
        let packet = PACKET_SIZE as u64;
        // One that expired since it was listed has no size.
        let bytes = storage.size(&name.path(ring, "ts")).ok()? / packet * packet;
        if bytes >= was {
            return None;
        }
        let stamps = Stamps::open(storage, &name.path(ring, "aux")).ok();
        let last = bytes.div_ceil(BLOCK_BYTES).saturating_sub(1);
        let from = stamps.and_then(|stamps| stamps.get(last));
        let from = from.filter(|from| (name.start..=to).contains(from));
        Some(Self {
            name: *name,
            bytes,
            from: from.unwrap_or(name.start.min(to)),
            to,
            packets: (was - bytes).div_ceil(packet),
        })
    }

    /// As a gap.
    fn gap(&self) -> Gap {
        Gap {
            from: self.from,
            to: self.to,
            cause: GapCause::Missing,
            packets: self.packets,
            between: None,
            short: Some(self.name),
        }
    }

    /// What the index is to tell of it.
    pub(super) fn record(&self) -> Record {
        let what = What::Gap {
            cause: GapCause::Missing,
            until: self.to,
            packets: self.packets,
        };
        // An index speaks only of packets that are there: the last stands for the next.
        let offset = self.bytes.saturating_sub(PACKET_SIZE as u64);
        Record::new(offset, self.from, what)
    }
}

impl Ring {
    /// The segments that are shorter than they were, `noted` apart. The one that is being written
    /// may be ahead of its index, never behind it for long.
    pub(super) fn shortened(&self, told: &Told, noted: &[Gap]) -> Vec<Gap> {
        let summaries: HashMap<usize, (WallTime, SegmentSummary)> = told
            .segments
            .iter()
            .map(|(place, at, s)| (*place, (*at, *s)))
            .collect();
        let (storage, dir) = (self.storage(), self.dir());
        let newest = self.segments().last();
        let short = self.segments().iter().filter_map(|name| {
            let place = told.places.get(&(name.epoch, name.number));
            match place.and_then(|place| summaries.get(place)) {
                Some((at, s)) => {
                    let to = *at + Ticks27M::from_millis(i64::from(s.span_ms));
                    Short::than(storage, dir, name, s.bytes, to)
                }
                None if newest == Some(name) && self.is_recorded() => None,
                None => Short::of(storage, dir, name),
            }
        });
        let known = |short: &Short| {
            noted.iter().any(|gap| {
                gap.cause == GapCause::Missing && gap.from <= short.from && gap.to >= short.to
            })
        };
        short
            .filter(|short| !known(short))
            .map(|short| short.gap())
            .collect()
    }

    /// The segments that are gone from between others, `noted` apart.
    pub(super) fn missing(&self, told: &Told, noted: &[Gap]) -> Vec<Gap> {
        let taken: HashSet<usize> = told.places.values().copied().collect();
        let place = |name: &SegmentName| told.places.get(&(name.epoch, name.number)).copied();
        let mut gaps = Vec::new();
        for pair in self.segments().windows(2) {
            let &[before, behind] = pair else {
                continue;
            };
            let lost: Option<Vec<Lost>> = place(&before).zip(place(&behind)).map(|(a, b)| {
                let from = told.segments.partition_point(|(place, ..)| *place <= a);
                let between = told.segments.get(from..).unwrap_or_default().iter();
                between
                    .take_while(|(place, ..)| *place < b)
                    .filter(|(place, ..)| !taken.contains(place))
                    .map(|(_, at, s)| Lost {
                        from: *at,
                        to: *at + Ticks27M::from_millis(i64::from(s.span_ms)),
                        packets: s.bytes / PACKET_SIZE as u64,
                    })
                    .collect()
            });
            match lost {
                Some(lost) if lost.is_empty() => {}
                Some(lost) => self.between(before, behind, Some(lost), noted, &mut gaps),
                None if skips(&before, &behind) && !self.is_about_to_tell(&behind) => {
                    self.between(before, behind, None, noted, &mut gaps);
                }
                None => {}
            }
        }
        gaps
    }

    /// True for the segment that a recorder has just begun: its index, due in two seconds, tells
    /// why there is nothing before it.
    fn is_about_to_tell(&self, name: &SegmentName) -> bool {
        self.segments().last() == Some(name) && self.is_recorded() && self.index(name).is_none()
    }

    /// Tells what is missing between two segments that follow one another: what of the time
    /// between them is no gap that was noted, and what is known to have been there.
    fn between(
        &self,
        before: SegmentName,
        behind: SegmentName,
        mut lost: Option<Vec<Lost>>,
        noted: &[Gap],
        gaps: &mut Vec<Gap>,
    ) {
        // Names do not say whether something was there.
        let cause = lost.as_ref().map_or(GapCause::Other, |_| GapCause::Missing);
        let gap = |from: WallTime, to: WallTime, packets: u64| Gap {
            from,
            to,
            cause,
            packets,
            between: Some((before, behind)),
            short: None,
        };
        let last = self.ends(&before).map(|(_, last)| last);
        let first = self.ends(&behind).map(|(first, _)| first);
        let same = before.epoch == behind.epoch;
        if let (true, Some((from, to))) = (same, last.zip(first)) {
            for (from, to) in without(from, to, noted) {
                let packets = match &mut lost {
                    Some(lost) => {
                        let (inside, rest): (Vec<Lost>, _) = std::mem::take(lost)
                            .into_iter()
                            .partition(|l| l.overlaps(from, to));
                        *lost = rest;
                        if inside.is_empty() {
                            continue;
                        }
                        inside.iter().map(|l| l.packets).sum()
                    }
                    // A slow stream may fill no block in all of a segment's time.
                    None if to - from < before.length => continue,
                    None => 0,
                };
                gaps.push(gap(from, to, packets));
            }
        }
        // Under a clock that was set back since, or in an epoch that is gone as a whole.
        let mut rest = lost.unwrap_or_default();
        rest.retain(|l| !noted.iter().any(|gap| l.overlaps(gap.from, gap.to)));
        if let (Some(a), Some(b)) = (rest.first(), rest.last()) {
            let packets = rest.iter().map(|l| l.packets).sum();
            gaps.push(gap(a.from, b.to, packets));
        }
    }

    /// How long it was recorded, gaps and steps forward of the clock included: from the first
    /// stamp to the last, or the sum of that over the parts between which the clock was set back.
    pub fn length(&self) -> Ticks27M {
        let (first, last) = self.first().zip(self.last()).unwrap_or_default();
        if self.layout().epochs.is_empty() {
            return last - first;
        }
        let ends = self.segments().iter().filter_map(|name| self.ends(name));
        let mut length = Ticks27M::ZERO;
        let mut before = None;
        for (first, last) in ends {
            let from = before.filter(|before| *before <= first).unwrap_or(first);
            length += last - from;
            before = Some(last);
        }
        length
    }

    /// The first stamp of a segment and the last.
    fn ends(&self, name: &SegmentName) -> Option<(WallTime, WallTime)> {
        neighbours::ends(self.storage(), self.dir(), name).or_else(|| {
            let stamps = self.stamps(name);
            let last = stamps.settled().checked_sub(1)?;
            stamps.get(0).zip(stamps.get(last))
        })
    }
}

/// True when there is a name between those of two segments.
fn skips(before: &SegmentName, behind: &SegmentName) -> bool {
    let dated = before.length > Ticks27M::ZERO && behind.length > Ticks27M::ZERO;
    before.epoch == behind.epoch
        && match dated {
            true => behind.start > before.end(),
            false => behind.number - before.number > 1,
        }
}

/// What is left of `from` to `to` without the gaps in it; less than [`SILENCE`] is none.
fn without(from: WallTime, to: WallTime, gaps: &[Gap]) -> Vec<(WallTime, WallTime)> {
    let mut inside: Vec<_> = gaps.iter().filter(|g| g.from < to && g.to > from).collect();
    inside.sort_by_key(|g| g.from);
    let mut left = Vec::new();
    let mut at = from;
    for gap in inside {
        left.push((at, gap.from));
        at = at.max(gap.to);
    }
    left.push((at, to));
    left.retain(|(from, to)| *to - *from >= SILENCE);
    left
}
