//! Readers: any number beside the writer, none of which it notices.
//!
//! A reader holds the segment it stands in open: the kernel keeps its data even when expiry
//! removes the name, and the reader is told ([`RingEvent::Expiring`]). What expires before the
//! reader opened it is gone: the reader is told so ([`RingEvent::Lapped`]) and goes on with the
//! oldest there is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ts::PACKET_SIZE;
use crate::units::{Ticks27M, WallTime};

use super::error::{RingError, RingEvent};
use super::index::{Index, What};
use super::layout::{DamagedFile, LOCK, Layout, SegmentName};
use super::lengths;
use super::neighbours::Around;
use super::segment::BLOCK_BYTES;
use super::stamps::Stamps;
use super::storage::{Access, Storage, StoredFile};
use super::writer::SILENCE;

/// A ring opened to read.
#[derive(Clone)]
pub struct Ring {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    layout: Layout,
}

impl Ring {
    /// Lists the ring in `dir`; an error when nothing is recorded there.
    pub fn open(storage: Arc<dyn Storage>, dir: &Path) -> Result<Self, RingError> {
        let layout = Layout::read(&*storage, dir)?;
        if layout.segments.is_empty() {
            return Err(RingError::Empty {
                dir: dir.to_owned(),
            });
        }
        Ok(Self::of(storage, dir, layout))
    }

    /// The ring in `dir`, which was listed.
    pub(super) fn of(storage: Arc<dyn Storage>, dir: &Path, layout: Layout) -> Self {
        Self {
            storage,
            dir: dir.to_owned(),
            layout,
        }
    }

    /// Lists the ring again.
    pub fn refresh(&mut self) -> Result<(), RingError> {
        self.layout = Layout::read(&*self.storage, &self.dir)?;
        Ok(())
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file system it is on.
    pub fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// What was listed last.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The segments in the order of reception.
    pub fn segments(&self) -> &[SegmentName] {
        &self.layout.segments
    }

    /// The segment length of names made now: by the settings or, where they are missing, by what
    /// the files say.
    pub fn segment_length(&self) -> Option<Ticks27M> {
        if let Some(settings) = &self.layout.settings {
            return Some(settings.length());
        }
        let live: Vec<_> = self
            .segments()
            .iter()
            .filter(|s| s.epoch == 0)
            .copied()
            .collect();
        let (lengths, _) = lengths::found(&*self.storage, &self.dir, &live)?;
        lengths.last().map(|length| Ticks27M::new(length.ticks))
    }

    /// The stamp of the first block.
    pub fn first(&self) -> Option<WallTime> {
        self.segments().iter().find_map(|s| self.stamps(s).get(0))
    }

    /// The stamp of the last block.
    pub fn last(&self) -> Option<WallTime> {
        self.segments().iter().rev().find_map(|s| {
            let stamps = self.stamps(s);
            stamps.get(stamps.count().ok()?.checked_sub(1)?)
        })
    }

    /// The side index of a segment; `None` when there is none or it cannot be read.
    pub fn index(&self, segment: &SegmentName) -> Option<Index> {
        Index::read(&*self.storage, &self.dir, segment)
    }

    /// A reader of what was received from `from` on, up to `to`, exclusive.
    ///
    /// With an end, it reads the blocks stamped in between, whatever their order; without one it
    /// starts at the first block stamped `from` or later and reads all that was received after.
    pub fn cursor(&self, from: WallTime, to: Option<WallTime>) -> Cursor {
        Cursor {
            ring: self.clone(),
            from,
            to,
            next: 0,
            passed: None,
            begun: false,
            current: None,
            events: self.layout.damaged.iter().map(DamagedFile::event).collect(),
        }
    }

    /// The instants of a segment's blocks. Those whose stamps are missing or cannot be are told
    /// from their neighbours, the index or the segment's name; what a recorder has not stamped yet
    /// is left out.
    pub fn stamps(&self, segment: &SegmentName) -> Stamps {
        let aux = Stamps::file(&*self.storage, &self.dir, segment);
        let mut stamps = Stamps::examined(aux, segment, 0);
        let path = segment.path(&self.dir, "ts");
        let bytes = self.storage.size(&path).unwrap_or(0);
        let newest = self.segments().last() == Some(segment);
        self.settle(&mut stamps, segment, bytes, newest);
        stamps
    }

    /// The first block of a segment in which something is that came at `from` or later; `None` when
    /// there is none.
    pub fn first_block(&self, segment: &SegmentName, from: WallTime) -> Option<u64> {
        let stamps = self.stamps(segment);
        let count = stamps.settled();
        let byte = self.first_byte(segment, &stamps, from);
        Some(byte / BLOCK_BYTES).filter(|block| *block < count)
    }

    /// The first byte of a segment that came at `from` or later; its end when there is none.
    fn first_byte(&self, segment: &SegmentName, stamps: &Stamps, from: WallTime) -> u64 {
        let block = stamps.seek(from, stamps.settled());
        let split = match block.checked_sub(1) {
            Some(before) if self.gap_after(stamps, before) => self.split(segment, before, from),
            _ => None,
        };
        split.unwrap_or(block * BLOCK_BYTES)
    }

    /// Sees to it that the blocks of `bytes` have their instants.
    fn settle(&self, stamps: &mut Stamps, segment: &SegmentName, bytes: u64, newest: bool) {
        let blocks = (bytes / PACKET_SIZE as u64 * PACKET_SIZE as u64).div_ceil(BLOCK_BYTES);
        if stamps.settled() >= blocks {
            return;
        }
        let storage = &*self.storage;
        let mut around = || {
            let at = self.segments().iter().position(|s| s == segment);
            Around::of(
                storage,
                &self.dir,
                self.segments(),
                at.unwrap_or(usize::MAX),
            )
        };
        stamps.settle(blocks, false, &mut around);
        // Packets are written before their stamps.
        let follow = || newest && storage.is_locked(&self.dir.join(LOCK)).unwrap_or(false);
        if stamps.settled() < blocks && !follow() {
            stamps.settle(blocks, true, &mut around);
        }
    }

    /// Where a segment ends at the latest, by its name or that of the next.
    fn end_of(&self, position: usize) -> WallTime {
        let next = self.segments().get(position + 1);
        match self.segments().get(position) {
            Some(s) if s.length.get() > 0 => s.end(),
            _ => next.map_or(WallTime::from_ticks(i64::MAX), |n| n.start),
        }
    }

    /// Where what can be read of a segment ends, whole packets only: at its end or before the
    /// first packet received at `to` or later.
    fn end_in(
        &self,
        standing: &mut Standing,
        to: Option<WallTime>,
        newest: bool,
    ) -> std::io::Result<u64> {
        if let Some(end) = standing.end {
            return Ok(end);
        }
        let there = standing.ts.len()?;
        if there > 0 && standing.stamps.is_absent() {
            let aux = Stamps::file(&*self.storage, &self.dir, &standing.name);
            standing.stamps.attach(aux);
        }
        self.settle(&mut standing.stamps, &standing.name, there, newest);
        let count = standing.stamps.settled();
        let whole = there.min(count * BLOCK_BYTES) / PACKET_SIZE as u64;
        let bytes = whole * PACKET_SIZE as u64;
        let Some(to) = to else {
            return Ok(bytes);
        };
        let block = standing.stamps.seek(to, count);
        let end = (block * BLOCK_BYTES).min(bytes);
        if block == count && newest {
            return Ok(end);
        }
        let split = match block.checked_sub(1) {
            Some(last) if self.gap_after(&standing.stamps, last) => {
                self.split(&standing.name, last, to)
            }
            _ => None,
        };
        let end = split.unwrap_or(end);
        // Stamps are only added: once there is one at or after `to`, this is the end.
        standing.end = (block < count).then_some(end);
        Ok(end)
    }

    /// True when time passed between a block and the next one, or there is no next one: only then
    /// can a block hold packets that came later than its stamp says.
    fn gap_after(&self, stamps: &Stamps, block: u64) -> bool {
        match (stamps.get(block), stamps.get(block + 1)) {
            (Some(a), Some(b)) => b - a >= SILENCE,
            _ => true,
        }
    }

    fn newest_epoch(&self) -> u32 {
        let numbers = self.layout.epochs.iter().map(|e| e.number);
        numbers.max().unwrap_or(0)
    }

    /// The place behind the segment `name` in the list; `epochs` were there before. A segment may
    /// have moved to a new epoch meanwhile; where it is gone, the oldest comes next.
    fn after(&self, name: &SegmentName, epochs: u32) -> usize {
        let segments = self.segments();
        let moved = segments
            .iter()
            .position(|s| s.number == name.number && s.epoch > epochs);
        // Told anew without settings, its start may be another by what was added since.
        let stayed = segments
            .iter()
            .position(|s| (s.epoch, s.number) == (name.epoch, name.number));
        moved.or(stayed).map_or(0, |i| i + 1)
    }

    /// The byte of `segment` from which on packets came at `at` or later, though their block
    /// (`block`) is stamped earlier.
    fn split(&self, segment: &SegmentName, block: u64, at: WallTime) -> Option<u64> {
        let inside = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
        let index = self.index(segment)?;
        let splits = index
            .own
            .iter()
            .filter(|r| matches!(r.what, What::Split) && inside.contains(&r.offset) && r.at >= at);
        splits.map(|r| r.offset).min()
    }
}

/// The segment a cursor stands in.
struct Standing {
    name: SegmentName,
    ts: Box<dyn StoredFile>,
    stamps: Stamps,
    position: u64,
    /// Where the range ends in this segment, once that is certain.
    end: Option<u64>,
    expiry_told: bool,
    /// Damaged stamps that were told of.
    damage_told: u64,
}

/// What comes next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Packets: bytes `offset` to `offset + len` of [`Cursor::file`].
    Data {
        /// Where they start.
        offset: u64,
        /// How many bytes: whole packets.
        len: u64,
    },
    /// Nothing yet: the reader stands at the live end.
    Wait,
    /// Nothing more in the range.
    End,
}

/// A reader of a ring.
pub struct Cursor {
    ring: Ring,
    from: WallTime,
    to: Option<WallTime>,
    /// The segment to be opened next, and the one before it.
    next: usize,
    passed: Option<SegmentName>,
    /// The place of `from` was found.
    begun: bool,
    current: Option<Standing>,
    events: Vec<RingEvent>,
}

impl Cursor {
    /// What can be read now: at most `most` bytes that stand in one file. Reading is confirmed
    /// by [`Cursor::advance`].
    pub fn step(&mut self, most: u64) -> Result<Step, RingError> {
        loop {
            let Some(standing) = &mut self.current else {
                match self.open_next()? {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            };
            let path = &self.ring.dir;
            let removed = standing.ts.removed();
            if removed.map_err(RingError::io("reading", path))? && !standing.expiry_told {
                standing.expiry_told = true;
                self.events.push(RingEvent::Expiring {
                    segment: standing.name.start,
                });
            }
            let newest = self.next >= self.ring.layout.segments.len();
            let end = self.ring.end_in(standing, self.to, newest);
            let end = end.map_err(RingError::io("reading", path))?;
            let damaged = standing.stamps.damaged();
            if damaged > standing.damage_told {
                let stamps = damaged - standing.damage_told;
                standing.damage_told = damaged;
                self.events.push(RingEvent::StampsDamaged {
                    name: standing.name.display(),
                    stamps,
                });
            }
            if standing.position < end {
                let whole = PACKET_SIZE as u64;
                let len = (end - standing.position).min((most / whole * whole).max(whole));
                return Ok(Step::Data {
                    offset: standing.position,
                    len,
                });
            }
            if let Some(step) = self.leave(end)? {
                return Ok(step);
            }
        }
    }

    /// The file that [`Step::Data`] speaks of.
    pub fn file(&self) -> Option<&dyn StoredFile> {
        self.current.as_ref().map(|c| &*c.ts)
    }

    /// The segment the reader stands in.
    pub fn segment(&self) -> Option<SegmentName> {
        self.current.as_ref().map(|c| c.name)
    }

    /// Confirms that so many bytes were read.
    pub fn advance(&mut self, bytes: u64) {
        if let Some(standing) = &mut self.current {
            standing.position += bytes;
        }
    }

    /// Reads packets into `bytes`; with the stamps of the blocks they stand in, one for each
    /// packet, when asked.
    pub fn read(
        &mut self,
        bytes: &mut [u8],
        stamps: Option<&mut Vec<WallTime>>,
    ) -> Result<(Step, usize), RingError> {
        let step = self.step(bytes.len() as u64)?;
        let (Step::Data { offset, len }, Some(standing)) = (step, &self.current) else {
            return Ok((step, 0));
        };
        let io = || RingError::io("reading", &self.ring.dir);
        let len = usize::try_from(len).unwrap_or(0).min(bytes.len());
        let room = bytes.get_mut(..len).unwrap_or_default();
        let read = standing.ts.read_at(room, offset).map_err(io())?;
        let read = read / PACKET_SIZE * PACKET_SIZE;
        if let Some(stamps) = stamps {
            let first = offset / BLOCK_BYTES;
            let blocks = (offset + read as u64).div_ceil(BLOCK_BYTES) - first;
            let mut times = Vec::new();
            let blocks = usize::try_from(blocks).unwrap_or(0);
            standing
                .stamps
                .read(first, blocks, &mut times)
                .map_err(io())?;
            stamps.extend((0..read / PACKET_SIZE).map(|i| {
                let block = (offset + (i * PACKET_SIZE) as u64) / BLOCK_BYTES - first;
                let at = usize::try_from(block).ok().and_then(|b| times.get(b));
                at.copied().unwrap_or(standing.name.start)
            }));
        }
        self.advance(read as u64);
        Ok((step, read))
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&RingEvent)) {
        self.events.drain(..).for_each(|e| sink(&e));
    }

    /// Opens the next segment of the range; a step when there is none.
    fn open_next(&mut self) -> Result<Option<Step>, RingError> {
        let Some(name) = self.ring.segments().get(self.next).copied() else {
            if self.to.is_some() {
                return Ok(Some(Step::End));
            }
            let epochs = self.ring.newest_epoch();
            self.ring.refresh()?;
            self.next = self.passed.map_or(0, |name| self.ring.after(&name, epochs));
            let there = self.next < self.ring.segments().len();
            return Ok((!there).then_some(Step::Wait));
        };
        let position = self.next;
        self.next += 1;
        let outside = self.to.is_some_and(|to| name.start >= to);
        let searching = !self.begun || self.to.is_some();
        let end = self.ring.end_of(position);
        // Its last block may hold packets that came much later, with the next recording.
        let may_split = self
            .ring
            .segments()
            .get(self.next)
            .is_none_or(|n| n.start > self.from || self.ring.end_of(self.next) > self.from);
        if outside || searching && end <= self.from && !may_split {
            self.passed = Some(name);
            return Ok(None);
        }
        let ts = self
            .ring
            .storage
            .open(&name.path(&self.ring.dir, "ts"), Access::Read);
        let ts = match ts {
            Ok(ts) => ts,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.lapped(name)?;
                return Ok(None);
            }
            Err(e) => {
                return Err(RingError::io("opening", &name.path(&self.ring.dir, "ts"))(
                    e,
                ));
            }
        };
        let stamps = self.ring.stamps(&name);
        let start = if searching {
            self.start_in(&name, &stamps)
        } else {
            Some(0)
        };
        self.passed = Some(name);
        if let Some(start) = start {
            self.begun = true;
            self.current = Some(Standing {
                name,
                ts,
                stamps,
                position: start,
                end: None,
                expiry_told: false,
                damage_told: 0,
            });
        }
        Ok(None)
    }

    /// The byte at which the range begins in a segment; `None` when it does not.
    fn start_in(&self, name: &SegmentName, stamps: &Stamps) -> Option<u64> {
        let byte = self.ring.first_byte(name, stamps, self.from);
        // Where the range begins behind what is there, the live end may still grow to it.
        let behind = byte >= stamps.settled() * BLOCK_BYTES;
        let over = behind && self.ring.end_of(self.next - 1) <= self.from;
        (!over).then_some(byte)
    }

    /// The segment is read up to `end`: goes on with the next, or says that there is none.
    fn leave(&mut self, end: u64) -> Result<Option<Step>, RingError> {
        let Some(name) = self.segment() else {
            return Ok(None);
        };
        if self.next >= self.ring.segments().len() {
            let epochs = self.ring.newest_epoch();
            self.ring.refresh()?;
            self.next = self.ring.after(&name, epochs);
            if self.next == 0
                && let Some(oldest) = self.ring.segments().first()
                && oldest.start > name.end()
            {
                self.events.push(RingEvent::Lapped {
                    from: name.end(),
                    to: oldest.start,
                });
            }
            if self.next >= self.ring.segments().len() {
                let step = if self.to.is_some() {
                    Step::End
                } else {
                    Step::Wait
                };
                return Ok(Some(step));
            }
        }
        // The writer may have added to it before it made the next.
        if let Some(standing) = &mut self.current {
            let now = self.ring.end_in(standing, self.to, false);
            if now.map_err(RingError::io("reading", &self.ring.dir))? > end {
                return Ok(None);
            }
        }
        self.current = None;
        Ok(None)
    }

    /// What should come next is gone: tells, and goes on with the oldest there is.
    fn lapped(&mut self, gone: SegmentName) -> Result<(), RingError> {
        let epochs = self.ring.newest_epoch();
        self.ring.refresh()?;
        let moved = self
            .ring
            .segments()
            .iter()
            .position(|s| s.number == gone.number && (s.epoch > epochs || *s == gone));
        self.next = moved.unwrap_or(0);
        if moved.is_none() {
            self.events.push(RingEvent::Lapped {
                from: gone.start.max(self.from),
                to: self.ring.first().unwrap_or(gone.start),
            });
        }
        Ok(())
    }
}
