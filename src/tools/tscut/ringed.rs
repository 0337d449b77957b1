//! A ring as material to cut from.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::fault::RingFault;
use super::passes::{Choice, EpochArg};
use super::resync::{Expected, stretch};
use super::scale::wall;
use crate::cli::Ends;
use crate::cut::material::{Material, Run};
use crate::cut::survey::Plan;
use crate::ring::RingEvent;
use crate::ring::index::What;
use crate::ring::{
    Access, BLOCK_BYTES, DamagedFile, Disk, Gap, Ring, SILENCE, SegmentName, Stamps, StoredFile,
};
use crate::ts::{PACKET_SIZE, Packet, Pts};
use crate::units::{StreamTime, Ticks27M, WallTime};

/// Bytes read at once on the way through, and the first time after a jump.
const READ_BYTES: usize = 1 << 18;
const FIRST_BYTES: usize = 1 << 16;
/// Between two stamps this far apart the arrivals of the packets between are not known.
const LONGEST_BLOCK: Ticks27M = Ticks27M::SECOND;
/// Stamps looked at together.
const STAMPS: usize = 8192;

/// A segment, and where it stands among the bytes of all.
#[derive(Debug)]
struct Part {
    name: SegmentName,
    position: u64,
    bytes: u64,
    /// What of them was gone when it was to be read.
    missing: u64,
    /// How many of its stamps were missing or could not be, when it was opened last.
    damaged: u64,
}

/// An open segment: what is open stays readable when its name expires.
struct Open {
    part: usize,
    name: SegmentName,
    packets: Box<dyn StoredFile>,
    stamps: Stamps,
    /// Its random-access points: bytes before each, its PTS, and when that is presented.
    points: Vec<(u64, Pts, WallTime)>,
    /// Bytes before packets that came later than the stamp of their block says, and when.
    splits: Vec<(u64, WallTime)>,
}

impl Open {
    /// The splits of a block, ascending.
    fn splits_in(&self, block: u64) -> &[(u64, WallTime)] {
        let before = |byte: u64| self.splits.partition_point(|(at, _)| *at < byte);
        let inside = before(block * BLOCK_BYTES)..before((block + 1) * BLOCK_BYTES);
        self.splits.get(inside).unwrap_or_default()
    }
}

/// A time for which the ring has no packets.
#[derive(Copy, Clone, Debug)]
pub(super) struct Hole {
    /// That of the first packet behind it.
    pub(super) position: u64,
    since: WallTime,
    pub(super) length: Ticks27M,
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, since) = (self.length, self.since);
        write!(
            f,
            "gap of {length} in the ring at {since}: nothing was received"
        )
    }
}

/// What one pass of a ring's clock held when it was opened. A position counts the bytes of all
/// segments, in the order of reception; times are arrivals.
pub(super) struct Ringed {
    ring: Ring,
    parts: Vec<Part>,
    open: Option<Open>,
    at: u64,
    /// `at` was sought: what stands there may be the middle of a packet.
    sought: bool,
    ahead: usize,
    held: Vec<u8>,
    junk: u64,
}

impl Ringed {
    /// Takes of the ring in `dir` the pass of the clock that a range is in.
    pub(super) fn open(
        dir: &Path,
        range: Ends<WallTime>,
        epoch: Option<EpochArg>,
    ) -> Result<(Self, Choice), RingFault> {
        let ring = Ring::open(Arc::new(Disk), dir).map_err(RingFault::Ring)?;
        let choice = Choice::of(&ring, range, epoch)?;
        let mut parts = Vec::new();
        let mut position = 0;
        for name in choice.segments(&ring) {
            let path = name.path(dir, "ts");
            // What cannot be told here is told when it is to be read: elsewhere in the ring it is
            // nobody's concern.
            let bytes = match ring.storage().size(&path) {
                Ok(bytes) => bytes,
                // One that expires meanwhile is not there.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => 0,
            };
            parts.push(Part {
                name: *name,
                position,
                bytes,
                missing: 0,
                damaged: 0,
            });
            position += bytes;
        }
        let ringed = Self {
            ring,
            parts,
            open: None,
            at: 0,
            sought: false,
            ahead: FIRST_BYTES,
            held: Vec::new(),
            junk: 0,
        };
        Ok((ringed, choice))
    }

    /// Sees to it that every segment of what was asked for and of what is cut can be read: one
    /// that cannot is no gap, and no end either.
    pub(super) fn attest(&self, asked: Ends<StreamTime>, plan: &Plan) -> Result<(), RingFault> {
        let from = asked.0.map(|from| wall(from.min(plan.from.time)));
        let to = asked.1.map(|to| wall(to.max(plan.to.time)));
        let (dir, storage) = (self.ring.dir(), self.ring.storage());
        for (number, part) in self.parts.iter().enumerate() {
            let next = self.parts.get(number + 1).map(|next| next.name.start);
            let end = match part.name.length {
                Ticks27M::ZERO => next.unwrap_or(WallTime::from_ticks(i64::MAX)),
                _ => part.name.end(),
            };
            if to.is_some_and(|to| part.name.start >= to) || from.is_some_and(|from| end <= from) {
                continue;
            }
            let path = part.name.path(dir, "ts");
            match storage.open(&path, Access::Read) {
                // Let go since the ring was opened: told when it is reached.
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(RingFault::Read(path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where time passed between two blocks without a packet, or segments are gone, by the stamps
    /// at these positions.
    pub(super) fn holes(&mut self, positions: Range<u64>) -> Result<Vec<Hole>, RingFault> {
        let mut holes = Vec::new();
        let mut last: Option<WallTime> = None;
        for number in 0..self.parts.len() {
            let Some(part) = self.parts.get(number) else {
                continue;
            };
            let (name, start, end) = (part.name, part.position, part.position + part.bytes);
            if end <= positions.start || start >= positions.end {
                continue;
            }
            let aux = name.path(self.ring.dir(), "aux");
            let Some(open) = self.enter_part(number)? else {
                continue;
            };
            let first = positions.start.saturating_sub(start) / BLOCK_BYTES;
            let blocks = (end.min(positions.end) - start).div_ceil(BLOCK_BYTES);
            let mut stamps = Vec::new();
            for block in (first..blocks).step_by(STAMPS) {
                stamps.clear();
                let most = usize::try_from(blocks - block)
                    .unwrap_or(STAMPS)
                    .min(STAMPS);
                let read = open.stamps.read(block, most, &mut stamps);
                read.map_err(|e| RingFault::Read(aux.clone(), e))?;
                for (block, at) in (block..).zip(&stamps) {
                    let own = [(block * BLOCK_BYTES, *at)];
                    for (byte, at) in own.iter().chain(open.splits_in(block)) {
                        let position = start + byte;
                        let length = last.map_or(Ticks27M::ZERO, |last| *at - last);
                        if let Some(since) = last
                            && length >= SILENCE
                            && position > positions.start
                            && position < positions.end
                        {
                            holes.push(Hole {
                                position,
                                since,
                                length,
                            });
                        }
                        last = Some(*at);
                    }
                }
            }
        }
        Ok(holes)
    }

    /// What is missing in the range, in words: the gaps that were recorded, and the holes that are
    /// none of them.
    pub(super) fn gaps(&self, plan: &Plan, holes: &[Hole]) -> Vec<String> {
        let (from, to) = (wall(plan.from.time), wall(plan.to.time));
        // A ring that cannot be summed up still tells its holes.
        let mut noted = self.ring.gaps(from, to).unwrap_or_default();
        self.keep_own(&mut noted);
        let mut words: Vec<(WallTime, String)> = Vec::new();
        for gap in &noted {
            let (length, since) = (gap.to - gap.from, gap.from);
            let said = format!("gap of {length} in the ring at {since}: {}", gap.why());
            words.push((since, said));
        }
        for hole in holes {
            let until = hole.since + hole.length;
            // Stamps are those of blocks: a gap that was noted begins up to a block later.
            let is_noted = noted
                .iter()
                .any(|gap| gap.from < until && gap.to > hole.since);
            if !is_noted {
                words.push((hole.since, hole.to_string()));
            }
        }
        words.sort_by_key(|(since, _)| *since);
        words.into_iter().map(|(_, words)| words).collect()
    }

    /// Leaves the gaps of the pass of the clock that is cut; other passes have theirs at the same
    /// instants. Each index is read once, and none where there is one pass.
    fn keep_own(&self, gaps: &mut Vec<Gap>) {
        let parts: HashSet<SegmentName> = self.parts.iter().map(|part| part.name).collect();
        if self.ring.segments().iter().all(|name| parts.contains(name)) {
            return;
        }
        let plain = || gaps.iter().filter(|gap| gap.between.is_none());
        let first = plain().map(|gap| gap.from).min();
        let last = plain().map(|gap| gap.to).max();
        let near = |n: &&SegmentName| Some(n.start) <= last && Some(n.end()) >= first;
        let near = parts.iter().filter(near);
        let indexes = near.filter_map(|name| self.ring.index(name));
        let noted: HashSet<WallTime> = indexes
            .flat_map(|index| index.own)
            .filter(|record| matches!(record.what, What::Gap { .. }))
            .map(|record| record.at)
            .collect();
        gaps.retain(|gap| match &gap.between {
            Some((before, behind)) => parts.contains(before) || parts.contains(behind),
            None => noted.contains(&gap.from),
        });
    }

    /// Settings that cannot be believed, and the segments at these positions of which stamps had to
    /// be told from others.
    pub(super) fn damaged(&self, positions: &Range<u64>) -> impl Iterator<Item = RingEvent> {
        let within = |part: &&Part| {
            part.damaged > 0
                && part.position < positions.end
                && part.position + part.bytes > positions.start
        };
        let parts = self.parts.iter().filter(within);
        let stamps = parts.map(|part| RingEvent::StampsDamaged {
            name: part.name.display(),
            stamps: part.damaged,
        });
        let settings = self.ring.layout().damaged.iter();
        settings.map(DamagedFile::event).chain(stamps)
    }

    /// The segments that were shorter than when the ring was opened, and by how many bytes.
    pub(super) fn shortened(&self) -> impl Iterator<Item = (String, u64)> {
        let parts = self.parts.iter().filter(|part| part.missing > 0);
        parts.map(|part| (part.name.display(), part.missing))
    }

    /// Bytes passed over so far because they are no packets; what is read twice counts twice.
    pub(super) fn junk(&self) -> u64 {
        self.junk
    }

    /// Opens the segment at `position`; the number of its part.
    fn enter(&mut self, position: u64) -> Result<Option<&Open>, RingFault> {
        let behind = self.parts.partition_point(|p| p.position <= position);
        let Some(number) = behind.checked_sub(1) else {
            return Ok(None);
        };
        self.enter_part(number)
    }

    fn enter_part(&mut self, number: usize) -> Result<Option<&Open>, RingFault> {
        let Some(part) = self.parts.get(number) else {
            return Ok(None);
        };
        if self.open.as_ref().is_none_or(|open| open.part != number) {
            let name = part.name;
            let (storage, dir) = (self.ring.storage(), self.ring.dir());
            let fault = |e: io::Error| match e.kind() {
                io::ErrorKind::NotFound => RingFault::Gone(name.display()),
                _ => RingFault::Read(name.path(dir, "ts"), e),
            };
            let packets = storage
                .open(&name.path(dir, "ts"), Access::Read)
                .map_err(fault)?;
            let stamps = self.ring.stamps(&name);
            let records = self.ring.index(&name).map(|index| index.own);
            let (mut points, mut splits) = (Vec::new(), Vec::new());
            for record in records.unwrap_or_default() {
                match record.what {
                    What::RandomAccess {
                        pts: Some(pts),
                        presentation: Some(at),
                        ..
                    } => points.push((record.offset, pts, at)),
                    What::Split => splits.push((record.offset, record.at)),
                    _ => {}
                }
            }
            splits.sort_unstable();
            if let Some(part) = self.parts.get_mut(number) {
                part.damaged = stamps.damaged();
            }
            self.open = Some(Open {
                part: number,
                name,
                packets,
                stamps,
                points,
                splits,
            });
        }
        Ok(self.open.as_ref())
    }
}

impl Material for Ringed {
    type Error = RingFault;

    fn extent(&self) -> Range<u64> {
        0..self.parts.last().map_or(0, |p| p.position + p.bytes)
    }

    fn seek(&mut self, position: u64) -> Result<(), RingFault> {
        if position != self.at {
            self.at = position;
            self.sought = true;
            self.ahead = FIRST_BYTES;
        }
        Ok(())
    }

    fn next_run(&mut self) -> Result<Option<Run<'_>>, RingFault> {
        let at = self.at;
        if at >= self.extent().end {
            return Ok(None);
        }
        let mut held = std::mem::take(&mut self.held);
        let ahead = self.ahead;
        let Some(open) = self.enter(at)? else {
            return Ok(None);
        };
        let number = open.part;
        let Some(part) = self.parts.get_mut(number) else {
            return Ok(None);
        };
        let offset = at - part.position;
        let left = usize::try_from(part.bytes - offset).unwrap_or(usize::MAX);
        held.resize(left.min(ahead), 0);
        let read = match &self.open {
            Some(open) => open.packets.read_at(&mut held, offset),
            None => Ok(0),
        };
        let path = || part.name.path(self.ring.dir(), "ts");
        let read = read.map_err(|e| RingFault::Read(path(), e))?;
        let last = read == left || read < held.len();
        held.truncate(read);
        let beyond = usize::try_from(offset % PACKET_SIZE as u64).unwrap_or(0);
        let expected = match self.sought {
            true => Expected::InStep((PACKET_SIZE - beyond) % PACKET_SIZE),
            false => Expected::Here,
        };
        let found = stretch(&held, expected, last);
        let position = at + found.junk as u64;
        let bytes = found.packets * PACKET_SIZE;
        // A packet that is being written is none yet, and no damage.
        let is_tail = found.packets == 0 && last && !self.sought && read < PACKET_SIZE;
        if !self.sought && !is_tail {
            self.junk += found.junk as u64;
        }
        if found.packets == 0 && last {
            // A segment that was shortened ends here.
            part.missing = part.missing.max((left - read) as u64);
            self.at = part.position + part.bytes;
            self.sought = false;
        } else {
            self.at = position + bytes as u64;
            self.sought &= found.packets == 0;
        }
        self.held = held;
        self.ahead = (ahead * 4).min(READ_BYTES);
        let packets = self.held.get(found.junk..found.junk + bytes);
        Ok(Some(Run {
            position,
            stride: PACKET_SIZE as u64,
            packets: Packet::slice_of(packets.unwrap_or_default()).0,
        }))
    }

    /// The stamp of its block, or of the split before it; between two stamps by the packet's place
    /// in the block.
    fn arrival_at(&mut self, position: u64) -> Result<Option<StreamTime>, RingFault> {
        self.enter(position)?;
        let Some((open, part)) = self
            .open
            .as_ref()
            .and_then(|open| Some((open, self.parts.get(open.part)?)))
        else {
            return Ok(Some(StreamTime::default()));
        };
        let stamps = &open.stamps;
        let offset = position.saturating_sub(part.position);
        let block = offset / BLOCK_BYTES;
        let own = stamps.get(block);
        let own = own.or_else(|| stamps.get(stamps.count().ok()?.checked_sub(1)?));
        let own = (block * BLOCK_BYTES, own.unwrap_or(part.name.start));
        let splits = open.splits_in(block);
        let behind = splits.partition_point(|(at, _)| *at <= offset);
        let (from, own) = match behind.checked_sub(1).and_then(|n| splits.get(n)) {
            Some(split) => *split,
            None => own,
        };
        let next = match splits.get(behind) {
            Some(split) => Some(*split),
            None => (stamps.get(block + 1)).map(|at| ((block + 1) * BLOCK_BYTES, at)),
        };
        let inside = match next {
            Some((to, next)) if next - own <= LONGEST_BLOCK => {
                let part = |bytes: u64| i64::try_from(bytes).unwrap_or(0);
                let (within, length) = (part(offset - from), part(to - from).max(1));
                Ticks27M::new((next - own).get() * within / length)
            }
            _ => Ticks27M::ZERO,
        };
        Ok(Some(StreamTime::from_ticks((own + inside).ticks())))
    }

    fn position_before(&mut self, time: StreamTime) -> Result<Option<u64>, RingFault> {
        let time = WallTime::from_ticks(time.ticks());
        // The newest segment that begins before; its name may say a little less than its stamps.
        for number in (0..self.parts.len()).rev() {
            if self.parts.get(number).is_none_or(|p| p.name.start > time) {
                continue;
            }
            let Some(open) = self.enter_part(number)? else {
                continue;
            };
            let (count, name) = (open.stamps.count(), open.name);
            let aux = |e| RingFault::Read(name.path(self.ring.dir(), "aux"), e);
            let count = count.map_err(aux)?;
            let block = self.open.as_ref().map_or(0, |o| o.stamps.seek(time, count));
            if let Some(before) = block.checked_sub(1) {
                let start = self.parts.get(number).map_or(0, |p| p.position);
                let splits = self.open.iter().flat_map(|open| open.splits_in(before));
                let split = splits.filter(|(_, at)| *at < time).map(|(byte, _)| *byte);
                let byte = split.max().unwrap_or(before * BLOCK_BYTES);
                return Ok(Some(start + byte));
            }
        }
        Ok(Some(0))
    }

    fn presentation_at(
        &mut self,
        position: u64,
        pts: Pts,
    ) -> Result<Option<StreamTime>, RingFault> {
        self.enter(position)?;
        let noted = self.open.as_ref().and_then(|open| {
            let offset = position - self.parts.get(open.part)?.position;
            let at_point = |(at, stamp, _): &&(u64, Pts, WallTime)| *at == offset && *stamp == pts;
            open.points.iter().find(at_point)
        });
        Ok(noted.map(|(_, _, at)| StreamTime::from_ticks(at.ticks())))
    }
}
