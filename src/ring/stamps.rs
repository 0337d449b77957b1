//! The stamps of a segment, and what stands in for those that are missing or cannot be.
//!
//! Packets outlive their stamps: an aux file may be gone, short, torn or full of anything. A stamp
//! is believed when it lies within what the segment's name says and is not less than the one
//! before. The others are told from their neighbours, from the side index, which knows an instant
//! about once a second, from the pace of the segments around it, and last from the name.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::units::{Ticks27M, WallTime};

use super::layout::SegmentName;
use super::neighbours::Around;
use super::settings::LONGEST_SEGMENT;
use super::storage::{Access, Storage, StoredFile};

/// Bytes of a stamp.
pub const STAMP: u64 = 8;

/// Stamps read at a time while they are examined: 512 KiB.
const CHUNK: usize = 1 << 16;
/// Stamps of a segment that are looked at before all of them are believed.
const PROBES: u64 = 16;
/// Runs of damaged stamps that are told apart: 3 MB. What lies between those beyond counts as
/// damaged.
const RUNS: usize = 1 << 16;
/// No stamp is later than this, the year 2204, whatever a name says.
pub(super) const LATEST: WallTime = WallTime::from_ticks(200_000_000_000_000_000);

/// What a stamp can be at all.
const SANE: Range<WallTime> = WallTime::from_ticks(1)..LATEST;

/// The stamps of a segment: one for each block.
pub struct Stamps {
    file: Option<Arc<dyn StoredFile>>,
    /// What they are held against; without it they are taken as they stand.
    examined: Option<Examined>,
}

/// What was found out about the stamps of a segment.
struct Examined {
    floor: WallTime,
    end: WallTime,
    /// How long the segment is at most is known.
    sized: bool,
    /// Where the stamps agree with one another and not with the name: the first of them, and what
    /// `floor` and `end` are by the name.
    instead: Option<(WallTime, (WallTime, WallTime))>,
    /// Blocks from the first that was looked at to here have a stamp, their own or another.
    settled: u64,
    /// The first block whose own stamp was believed, and the last.
    first: Option<(u64, WallTime)>,
    last: Option<(u64, WallTime)>,
    damaged: Vec<Run>,
}

/// Blocks `from` to `to` lie evenly between two instants.
#[derive(Copy, Clone, Debug)]
struct Run {
    from: u64,
    to: u64,
    before: (u64, WallTime),
    after: (u64, WallTime),
}

impl Run {
    fn at(&self, block: u64) -> WallTime {
        let (a, start) = self.before;
        let (b, end) = self.after;
        let span = i128::from((end - start).get());
        let part = span * i128::from(block.saturating_sub(a)) / i128::from((b - a).max(1));
        start + Ticks27M::new(i64::try_from(part).unwrap_or(0))
    }
}

impl Stamps {
    /// Opens an aux file, whose stamps are taken as they stand.
    pub fn open(storage: &dyn Storage, path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: Some(Arc::from(storage.open(path, Access::Read)?)),
            examined: None,
        })
    }

    /// The stamps of the segment `name` from block `first` on, of which those that cannot be are
    /// told otherwise. Nothing is read before [`Stamps::settle`].
    pub(super) fn examined(
        file: Option<Arc<dyn StoredFile>>,
        name: &SegmentName,
        first: u64,
    ) -> Self {
        let mut stamps = Self {
            file,
            examined: None,
        };
        let ends = stamps.own(0).and_then(|_| stamps.ends());
        let sized = name.length > Ticks27M::ZERO;
        let latest = match (sized, ends) {
            (true, _) => name.end() - Ticks27M::new(1),
            (false, Some(_)) => LATEST,
            (false, None) => stamps.begin().map_or(LATEST, |at| at + LONGEST_SEGMENT),
        };
        let named = (name.start, latest.min(LATEST));
        // Stamps that agree with one another are not doubted for a name.
        let agreed = ends.map(|(_, first, last)| (first, last));
        let agreed = agreed.filter(|(first, last)| *last < named.0 || *first > named.1);
        let before = first.checked_sub(1).and_then(|block| stamps.own(block));
        let within = |(start, end): (WallTime, WallTime)| {
            let before = before.filter(|at| (WallTime::from_ticks(1)..=end).contains(at));
            (before.map_or(start, |at| at.max(start)), end)
        };
        let (floor, end) = within(agreed.map_or(named, |(first, _)| (first, LATEST)));
        stamps.examined = Some(Examined {
            floor,
            end,
            sized,
            instead: agreed.map(|(first, _)| (first, within(named))),
            settled: first,
            first: None,
            last: None,
            damaged: Vec::new(),
        });
        stamps
    }

    /// How many stamps a segment has, the first and the last; `None` when a look at some shows that
    /// they are not in order, or cannot be.
    pub(super) fn ends(&self) -> Option<(u64, WallTime, WallTime)> {
        let count = self.count().ok().filter(|count| *count > 1)?;
        let last = count - 1;
        let places = (0..=PROBES).map(|n| u128::from(last) * u128::from(n) / u128::from(PROBES));
        let probes: Option<Vec<WallTime>> =
            places.map(|at| self.get(u64::try_from(at).ok()?)).collect();
        let probes = probes?;
        let (first, last) = (*probes.first()?, *probes.last()?);
        let sane = first >= WallTime::from_ticks(1) && last < LATEST && probes.is_sorted();
        sane.then_some((count, first, last))
    }

    /// When the segment began: its first stamp or, where those behind it show that it cannot be,
    /// the first that they bear out. `None` where none can be.
    pub(super) fn begin(&self) -> Option<WallTime> {
        let near = |first: WallTime, last: WallTime| last - first <= LONGEST_SEGMENT;
        let count = self.count().ok().filter(|count| *count > 0)?;
        let ends = self.get(0).zip(self.get(count - 1));
        if let Some((first, last)) = ends.filter(|(first, last)| first <= last)
            && SANE.contains(&first)
            && near(first, last)
        {
            return Some(first);
        }
        let step = (count / PROBES).max(1);
        let spread = (0..count).step_by(usize::try_from(step).ok()?);
        let sane = |block: u64| self.get(block).filter(|at| SANE.contains(at));
        let mut probes: Vec<WallTime> = spread.filter_map(sane).collect();
        probes.sort_unstable();
        let middle = *probes.get(probes.len().checked_sub(1)? / 2)?;
        let mut first = (0..count.min(CHUNK as u64)).filter_map(sane);
        first.find(|at| *at <= middle && near(*at, middle))
    }

    /// The stamps of the last of `segments`, which has `blocks` blocks, each with an instant.
    pub(super) fn whole(
        storage: &dyn Storage,
        ring: &Path,
        segments: &[SegmentName],
        blocks: u64,
    ) -> Self {
        let Some((name, before)) = segments.split_last() else {
            return Self {
                file: None,
                examined: None,
            };
        };
        let mut stamps = Self::examined(Self::file(storage, ring, name), name, 0);
        let around = &mut || Around::of(storage, ring, segments, before.len());
        stamps.settle(blocks, true, around);
        stamps
    }

    /// The aux file of a segment. One that cannot be opened is as good as absent: the packets are
    /// there.
    pub(super) fn file(
        storage: &dyn Storage,
        ring: &Path,
        name: &SegmentName,
    ) -> Option<Arc<dyn StoredFile>> {
        let file = storage.open(&name.path(ring, "aux"), Access::Read);
        file.ok().map(Arc::from)
    }

    /// True without an aux file.
    pub(super) fn is_absent(&self) -> bool {
        self.file.is_none()
    }

    /// Gives stamps that had no file one that came since.
    pub(super) fn attach(&mut self, file: Option<Arc<dyn StoredFile>>) {
        self.file = self.file.take().or(file);
    }

    /// Blocks that have an instant, of stamps that are examined.
    pub(super) fn settled(&self) -> u64 {
        self.examined.as_ref().map_or(0, |e| e.settled)
    }

    /// How many there are now; of stamps that are examined, how many are settled.
    pub fn count(&self) -> io::Result<u64> {
        match (&self.examined, &self.file) {
            (Some(examined), _) => Ok(examined.settled),
            (None, Some(file)) => Ok(file.len()? / STAMP),
            (None, None) => Ok(0),
        }
    }

    /// Blocks whose own stamp is missing or cannot be.
    pub fn damaged(&self) -> u64 {
        let runs = self.examined.as_ref().map(|e| e.damaged.as_slice());
        let lengths = runs.unwrap_or_default().iter().map(|run| run.to - run.from);
        lengths.sum()
    }

    /// Where the first damaged run begins.
    pub(super) fn first_damaged(&self) -> Option<u64> {
        let examined = self.examined.as_ref()?;
        examined.damaged.first().map(|run| run.from)
    }

    /// The stamp of a block; `None` beyond the end.
    pub fn get(&self, block: u64) -> Option<WallTime> {
        if let Some(examined) = &self.examined {
            if block >= examined.settled {
                return None;
            }
            if let Some(run) = examined.run(block) {
                return Some(run.at(block));
            }
        }
        self.own(block)
    }

    /// What stands in the file.
    fn own(&self, block: u64) -> Option<WallTime> {
        let mut field = [0; STAMP as usize];
        let at = block.checked_mul(STAMP)?;
        let read = self.file.as_ref()?.read_at(&mut field, at).ok()?;
        (read == field.len()).then(|| stamp(field))
    }

    /// Reads the stamps from `block` on into `out`, as many as are there and fit `most`.
    pub fn read(&self, block: u64, most: usize, out: &mut Vec<WallTime>) -> io::Result<()> {
        let Some(examined) = &self.examined else {
            return self.read_own(block, most, out);
        };
        let left = examined.settled.saturating_sub(block);
        let most = most.min(usize::try_from(left).unwrap_or(most));
        let start = out.len();
        // Blocks without a stamp of their own have a run.
        let _ = self.read_own(block, most, out);
        out.resize(start + most, examined.floor);
        for (at, block) in out
            .get_mut(start..)
            .unwrap_or_default()
            .iter_mut()
            .zip(block..)
        {
            if let Some(run) = examined.run(block) {
                *at = run.at(block);
            }
        }
        Ok(())
    }

    fn read_own(&self, block: u64, most: usize, out: &mut Vec<WallTime>) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut bytes = vec![0; most * STAMP as usize];
        let read = file.read_at(&mut bytes, block.saturating_mul(STAMP))?;
        let (fields, _) = bytes.get(..read).unwrap_or_default().as_chunks();
        out.extend(fields.iter().map(|field| stamp(*field)));
        Ok(())
    }

    /// The first of `count` blocks stamped at or after `at`; `count` when there is none.
    pub fn seek(&self, at: WallTime, count: u64) -> u64 {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(t) if t < at => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// Looks at the stamps that came since the last call, up to block `blocks`. Blocks that have
    /// none get one when `tail` is set: then nobody is about to write them. `around` is asked once
    /// something is damaged.
    pub(super) fn settle(&mut self, blocks: u64, tail: bool, around: &mut dyn FnMut() -> Around) {
        let mut known = None;
        let Some(mut examined) = self.examined.take() else {
            return;
        };
        if let Some((first, named)) = examined.instead.take() {
            let around = known.get_or_insert_with(&mut *around);
            if around.denies(first, named) {
                (examined.floor, examined.end) = named;
            }
        }
        let len = self.file.as_ref().map_or(0, |f| f.len().unwrap_or(0));
        let there = (len / STAMP).min(blocks);
        let mut bad = None;
        let mut stamps = Vec::new();
        while examined.settled < there {
            let from = examined.settled;
            let left = usize::try_from(there - from).unwrap_or(CHUNK);
            let most = left.min(CHUNK);
            stamps.clear();
            // One more, to tell a stamp that leaps from a stream that does.
            let read = self.read_own(from, most + usize::from(left > most), &mut stamps);
            if read.is_err() || stamps.is_empty() {
                break;
            }
            for (i, &at) in stamps.iter().take(most).enumerate() {
                let block = from + i as u64;
                let leaps = stamps
                    .get(i + 1)
                    .is_some_and(|next| *next < at && examined.believes(*next));
                if examined.believes(at) && !leaps {
                    if let Some(bad) = bad.take() {
                        let around = known.get_or_insert_with(&mut *around);
                        examined.bridge(bad, block, Some(at), around);
                    }
                    examined.first.get_or_insert((block, at));
                    examined.last = Some((block, at));
                } else {
                    bad.get_or_insert(block);
                }
            }
            examined.settled = from + stamps.len().min(most) as u64;
        }
        let end = if tail { blocks } else { examined.settled };
        let bad = bad.or((examined.settled < end).then_some(examined.settled));
        if let Some(bad) = bad {
            let around = known.get_or_insert_with(&mut *around);
            examined.bridge(bad, end, None, around);
        }
        examined.settled = examined.settled.max(end);
        self.examined = Some(examined);
    }

    /// The damaged runs, as they are to be written: the first block of each and its stamps, a
    /// part at a time.
    pub(super) fn mended(&self) -> impl Iterator<Item = (u64, Vec<u8>)> + '_ {
        let runs = self.examined.as_ref().map(|e| e.damaged.as_slice());
        runs.unwrap_or_default().iter().flat_map(|run| {
            (run.from..run.to).step_by(CHUNK).map(|from| {
                let mut bytes = Vec::new();
                for block in from..run.to.min(from + CHUNK as u64) {
                    put_stamp(&mut bytes, run.at(block));
                }
                (from, bytes)
            })
        })
    }
}

impl Examined {
    fn run(&self, block: u64) -> Option<&Run> {
        let after = self.damaged.partition_point(|run| run.from <= block);
        let run = self.damaged.get(after.checked_sub(1)?)?;
        (block < run.to).then_some(run)
    }

    fn believes(&self, at: WallTime) -> bool {
        at >= self.last.map_or(self.floor, |(_, last)| last) && at <= self.end
    }

    /// Gives blocks `from` to `to` instants, between the last that was believed, what is known
    /// around, and `next`, the stamp of block `to`.
    fn bridge(&mut self, from: u64, to: u64, next: Option<WallTime>, around: &Around) {
        if from >= to {
            return;
        }
        let mut points: Vec<(u64, WallTime)> = self.last.into_iter().collect();
        let highest = next.unwrap_or(self.end);
        for &(block, at) in around
            .anchors
            .iter()
            .filter(|(b, _)| (from..to).contains(b))
        {
            let lowest = points.last().map_or(self.floor, |(_, last)| *last);
            let behind = points.last().is_none_or(|(last, _)| *last < block);
            if behind && (lowest..=highest).contains(&at) {
                points.push((block, at));
            }
        }
        let after = next.unwrap_or_else(|| {
            let first = self.first.or(points.first().copied());
            let end = match first.zip(points.last().copied()) {
                Some(((a, start), (b, last))) if a < b => {
                    let pace = (last - start) / i64::try_from(b - a).unwrap_or(i64::MAX);
                    last + pace * i64::try_from(to - b).unwrap_or(0)
                }
                // Nothing of its own tells the pace: that around it, or as long as its name says.
                _ => {
                    let named = self.sized.then_some(self.end);
                    let until = around.until.or(named).unwrap_or(LATEST);
                    let before = points.last().copied().unwrap_or((from, self.floor));
                    // That is where the last block of the segment ends.
                    let after = (around.blocks.max(to), until);
                    let run = Run {
                        from,
                        to,
                        before,
                        after,
                    };
                    if until < LATEST { run.at(to) } else { until }
                }
            };
            let lowest = points.last().map_or(self.floor, |(_, last)| *last);
            // A length that is not known is none.
            let end = if end >= LATEST { lowest } else { end };
            end.min(self.end).max(lowest)
        });
        points.push((to, after));
        if let Some(&(block, at)) = points.first()
            && block > from
        {
            // Of a segment of which nothing is known, the name says when it began.
            let unknown = points.len() == 1 && next.is_none();
            points.insert(0, (from, if unknown { self.floor } else { at }));
        }
        for pair in points.windows(2) {
            if let [before, after] = *pair {
                self.damage(Run {
                    from: before.0.max(from),
                    to: after.0,
                    before,
                    after,
                });
            }
        }
        if next.is_none() {
            self.last = Some((to - 1, after));
        }
    }

    fn damage(&mut self, run: Run) {
        if run.from >= run.to {
            return;
        }
        let full = self.damaged.len() >= RUNS;
        match self.damaged.last_mut() {
            Some(last) if full => (last.to, last.after) = (run.to, run.after),
            _ => self.damaged.push(run),
        }
    }
}

fn stamp(field: [u8; 8]) -> WallTime {
    WallTime::from_ticks(i64::try_from(u64::from_be_bytes(field)).unwrap_or(i64::MAX))
}

/// Appends the bytes of a stamp.
pub fn put_stamp(out: &mut Vec<u8>, at: WallTime) {
    out.extend_from_slice(&at.ticks().to_be_bytes());
}
