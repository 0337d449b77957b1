//! A ring as material to cut from.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::fault::RingFault;
use super::passes::{Choice, EpochArg};
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
const READ_BYTES: usize = 1 << 20;
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
    ahead: usize,
    held: Vec<u8>,
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
                Ok(bytes) => bytes / PACKET_SIZE as u64 * PACKET_SIZE as u64,
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
            ahead: FIRST_BYTES,
            held: Vec::new(),
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
                    if let Some(before) = last
                        && *at - before >= SILENCE
                    {
                        holes.push(Hole {
                            position: start + block * BLOCK_BYTES,
                            since: before,
                            length: *at - before,
                        });
                    }
                    last = Some(*at);
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
        noted.retain(|gap| self.is_of_this_pass(gap));
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

    /// True for a gap in the pass of the clock that is cut; other passes have theirs at the same
    /// instants.
    fn is_of_this_pass(&self, gap: &Gap) -> bool {
        let is_part = |name: &SegmentName| self.parts.iter().any(|part| part.name == *name);
        if let Some((before, behind)) = &gap.between {
            return is_part(before) || is_part(behind);
        }
        let noted_in = |name: &SegmentName| {
            let index = self.ring.index(name);
            let own = index.iter().flat_map(|index| &index.own);
            own.into_iter()
                .any(|r| r.at == gap.from && matches!(r.what, What::Gap { .. }))
        };
        let mut names = self.parts.iter().map(|part| part.name);
        self.ring.segments().iter().all(is_part)
            || names.any(|n| n.start <= gap.to && n.end() >= gap.from && noted_in(&n))
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
            let points = records.unwrap_or_default().into_iter();
            let points = points.filter_map(|record| match record.what {
                What::RandomAccess {
                    pts: Some(pts),
                    presentation: Some(at),
                    ..
                } => Some((record.offset, pts, at)),
                _ => None,
            });
            if let Some(part) = self.parts.get_mut(number) {
                part.damaged = stamps.damaged();
            }
            self.open = Some(Open {
                part: number,
                name,
                packets,
                stamps,
                points: points.collect(),
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
        // Positions between packets are asked for where one is looked for by halving.
        let size = PACKET_SIZE as u64;
        let behind = self.parts.partition_point(|p| p.position <= position);
        let part = behind.checked_sub(1).and_then(|n| self.parts.get(n));
        let start = part.map_or(0, |p| p.position);
        let position = start + (position - start).next_multiple_of(size);
        if position != self.at {
            self.at = position;
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
        let whole = ahead / PACKET_SIZE * PACKET_SIZE;
        held.resize(left.min(whole), 0);
        let read = match &self.open {
            Some(open) => open.packets.read_at(&mut held, offset),
            None => Ok(0),
        };
        let path = || part.name.path(self.ring.dir(), "ts");
        let read = read.map_err(|e| RingFault::Read(path(), e))?;
        held.truncate(read / PACKET_SIZE * PACKET_SIZE);
        // A segment that was shortened ends here.
        self.at = if held.is_empty() {
            part.missing = part.missing.max(part.bytes - offset);
            part.position + part.bytes
        } else {
            at + held.len() as u64
        };
        self.held = held;
        self.ahead = (ahead * 4).min(READ_BYTES);
        Ok(Some(Run {
            position: at,
            stride: PACKET_SIZE as u64,
            packets: Packet::slice_of(&self.held).0,
        }))
    }

    /// The stamp of its block; between two stamps by the packet's place in the block.
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
        let (own, next) = (stamps.get(block), stamps.get(block + 1));
        let own = own.or_else(|| stamps.get(stamps.count().ok()?.checked_sub(1)?));
        let own = own.unwrap_or(part.name.start);
        let inside = match next.map(|next| next - own) {
            Some(length) if length <= LONGEST_BLOCK => {
                let within = i64::try_from(offset % BLOCK_BYTES).unwrap_or(0);
                Ticks27M::new(length.get() * within / BLOCK_BYTES as i64)
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
                return Ok(Some(start + before * BLOCK_BYTES));
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
