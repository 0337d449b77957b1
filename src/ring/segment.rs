//! One segment's files: stamps read, blocks appended, a torn end put right.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::ts::{PACKET_SIZE, Packet, SYNC_BYTE};
use crate::units::{Ticks27M, WallTime};

use super::layout::SegmentName;
use super::storage::{Access, Storage, StoredFile};

/// Bytes of a block: seven packets, a datagram's payload.
pub const BLOCK: usize = 7 * PACKET_SIZE;
/// [`BLOCK`] for offsets.
pub const BLOCK_BYTES: u64 = BLOCK as u64;
/// Packets of a block.
pub(super) const PER_BLOCK: usize = BLOCK / PACKET_SIZE;
/// Bytes of a stamp.
pub const STAMP: u64 = 8;

/// The smallest unit that a disk writes or loses.
const SECTOR: usize = 512;
/// Bytes read at a time while the end of a segment is examined.
const EXAMINE: usize = 1 << 20;
/// Blocks before the end that are examined: 172 MB, 13 s at 100 Mb/s.
const TAIL_BLOCKS: u64 = 1 << 17;

/// The stamps of a segment: one for each block.
pub struct Stamps {
    file: Box<dyn StoredFile>,
}

impl Stamps {
    /// Opens an aux file.
    pub fn open(storage: &dyn Storage, path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: storage.open(path, Access::Read)?,
        })
    }

    /// How many there are now.
    pub fn count(&self) -> io::Result<u64> {
        Ok(self.file.len()? / STAMP)
    }

    /// The stamp of a block; `None` beyond the end.
    pub fn get(&self, block: u64) -> Option<WallTime> {
        let mut field = [0; STAMP as usize];
        let read = self
            .file
            .read_at(&mut field, block.checked_mul(STAMP)?)
            .ok()?;
        (read == field.len()).then(|| stamp(field))
    }

    /// Reads the stamps from `block` on into `out`, as many as are there and fit `most`.
    pub fn read(&self, block: u64, most: usize, out: &mut Vec<WallTime>) -> io::Result<()> {
        let mut bytes = vec![0; most * STAMP as usize];
        let read = self.file.read_at(&mut bytes, block.saturating_mul(STAMP))?;
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
}

fn stamp(field: [u8; 8]) -> WallTime {
    WallTime::from_ticks(i64::try_from(u64::from_be_bytes(field)).unwrap_or(i64::MAX))
}

/// Appends the bytes of a stamp.
pub fn put_stamp(out: &mut Vec<u8>, at: WallTime) {
    out.extend_from_slice(&at.ticks().to_be_bytes());
}

/// What [`repair`] found at the end of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// Bytes of the packets that are whole.
    pub bytes: u64,
    /// The stamp of the last block.
    pub last: Option<WallTime>,
    /// Bytes cut off that were no whole packet.
    pub cut_bytes: u64,
    /// Packets found empty, and replaced by null packets.
    pub nulled: u64,
    /// The bytes from the first such packet to the end of the last.
    pub nulled_range: (u64, u64),
    /// Stamps that were missing, surplus or wrong.
    pub stamps: u64,
}

impl Repair {
    /// True when nothing had to be done.
    pub fn was_whole(&self) -> bool {
        self.cut_bytes == 0 && self.nulled == 0 && self.stamps == 0
    }
}

/// Puts right what a kill, a full disk or a power loss left of a segment: whole packets only, a
/// stamp for each block, none decreasing.
///
/// Bytes stamped up to `unsure` before the end may be damaged (they were perhaps never synced):
/// there, packets that a lost sector left empty become null packets, so that blocks keep their
/// place. Nothing is written when `write` is false.
pub fn repair(
    ts: &dyn StoredFile,
    aux: &dyn StoredFile,
    name: &SegmentName,
    unsure: Ticks27M,
    write: bool,
) -> io::Result<Repair> {
    let (ts_len, aux_len) = (ts.len()?, aux.len()?);
    let mut done = Repair::default();
    let stamped = aux_len / STAMP;
    // What is far from the end was synced long ago.
    let first = stamped
        .min(ts_len.div_ceil(BLOCK_BYTES))
        .saturating_sub(TAIL_BLOCKS);
    let (floor, stamps) = read_stamps(aux, first, stamped)?;
    let floor = floor.unwrap_or(name.start);
    let believed = plausible(&stamps, name, floor);
    let newest = believed.iter().rev().flatten().next().copied();
    let unsure_from = newest.map_or(first, |newest| {
        let sure = believed
            .iter()
            .position(|s| s.is_none_or(|s| newest - s <= unsure));
        first + sure.unwrap_or(0) as u64
    });
    let whole = ts_len / PACKET_SIZE as u64 * PACKET_SIZE as u64;
    let unsure_from = (unsure_from * BLOCK_BYTES).min(whole);
    done.bytes = examine(ts, unsure_from, whole, write, &mut done)?;
    done.cut_bytes = ts_len - done.bytes;
    let blocks = done.bytes.div_ceil(BLOCK_BYTES);
    let wanted = usize::try_from(blocks.saturating_sub(first)).unwrap_or(usize::MAX);
    let fixed = interpolate(&believed, wanted, floor, last_instant(name));
    done.last = fixed.last().copied().or((first > 0).then_some(floor));
    let same = fixed
        .iter()
        .zip(&stamps)
        .take_while(|(a, b)| a == b)
        .count();
    done.stamps = fixed.len().max(stamps.len()) as u64 - same as u64;
    if write && done.cut_bytes > 0 {
        ts.set_len(done.bytes)?;
    }
    if write && (aux_len != blocks * STAMP || done.stamps > 0) {
        let mut tail = Vec::new();
        for at in fixed.get(same..).unwrap_or_default() {
            put_stamp(&mut tail, *at);
        }
        aux.write_at([&tail, &[]], (first + same as u64) * STAMP)?;
        aux.set_len(blocks * STAMP)?;
    }
    Ok(done)
}

/// The stamp before block `first`, and those from it to `end`.
fn read_stamps(
    aux: &dyn StoredFile,
    first: u64,
    end: u64,
) -> io::Result<(Option<WallTime>, Vec<WallTime>)> {
    let from = first.saturating_sub(1);
    let len = usize::try_from((end - from) * STAMP).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let read = aux.read_at(&mut bytes, from * STAMP)?;
    let (fields, _) = bytes.get(..read).unwrap_or_default().as_chunks();
    let mut stamps = fields.iter().map(|field| stamp(*field));
    let before = if first > 0 { stamps.next() } else { None };
    Ok((before, stamps.collect()))
}

/// The last instant that a block of this segment can have.
fn last_instant(name: &SegmentName) -> WallTime {
    if name.length > Ticks27M::ZERO {
        name.end() - Ticks27M::new(1)
    } else {
        WallTime::from_ticks(i64::MAX)
    }
}

/// Which stamps can be: within the segment's name (where that is known), not decreasing.
fn plausible(stamps: &[WallTime], name: &SegmentName, floor: WallTime) -> Vec<Option<WallTime>> {
    let end = last_instant(name);
    let mut last = floor;
    stamps
        .iter()
        .map(|&s| {
            let fits = s > WallTime::default() && s >= last && s <= end;
            if fits {
                last = s;
            }
            fits.then_some(s)
        })
        .collect()
}

/// A stamp for each block: the missing ones evenly between their neighbours, the first ones as
/// the one after them, the last ones at the pace before them.
fn interpolate(
    believed: &[Option<WallTime>],
    blocks: usize,
    floor: WallTime,
    end: WallTime,
) -> Vec<WallTime> {
    let known: Vec<(usize, WallTime)> = believed
        .iter()
        .take(blocks)
        .enumerate()
        .filter_map(|(i, s)| s.map(|s| (i, s)))
        .collect();
    let steps = |from: usize, to: usize| i64::try_from(to - from).unwrap_or(i64::MAX).max(1);
    let pace = match (known.first(), known.last()) {
        (Some((a, t)), Some((b, u))) if a < b => (*u - *t) / steps(*a, *b),
        _ => Ticks27M::ZERO,
    };
    let mut out = Vec::with_capacity(blocks);
    let mut next = known.iter().peekable();
    let mut last: Option<(usize, WallTime)> = None;
    for i in 0..blocks {
        if let Some(&(at, s)) = next.next_if(|(at, _)| *at == i) {
            last = Some((at, s));
            out.push(s);
            continue;
        }
        out.push(match (last, next.peek()) {
            (Some((a, s)), Some(&&(b, u))) => s + (u - s) / steps(a, b) * steps(a, i),
            (Some((a, s)), None) => (s + pace * steps(a, i)).min(end).max(s),
            (None, Some(&&(_, u))) => u,
            (None, None) => floor,
        });
    }
    out
}

/// Looks for what lost sectors left empty from `from` to `to`; returns where the last packet that
/// is not empty ends. Those before it are replaced by null packets.
fn examine(
    ts: &dyn StoredFile,
    from: u64,
    to: u64,
    write: bool,
    done: &mut Repair,
) -> io::Result<u64> {
    let packet = PACKET_SIZE as u64;
    let chunk = EXAMINE / PACKET_SIZE * PACKET_SIZE;
    let mut buffer = vec![0; chunk];
    let mut empty: Vec<u64> = Vec::new();
    let mut good = from / packet * packet;
    let mut at = good;
    while at < to {
        let want = chunk.min(usize::try_from(to - at).unwrap_or(chunk));
        let part = buffer.get_mut(..want).unwrap_or_default();
        let read = ts.read_at(part, at)?;
        let part = part.get(..read).unwrap_or_default();
        for (i, bytes) in part.as_chunks::<PACKET_SIZE>().0.iter().enumerate() {
            let offset = at + (i * PACKET_SIZE) as u64;
            if bytes[0] == SYNC_BYTE && !touches_lost_sector(part, i * PACKET_SIZE, at) {
                good = offset + packet;
            } else {
                empty.push(offset);
            }
        }
        if read < want {
            break;
        }
        at += want as u64;
    }
    empty.retain(|offset| *offset < good);
    for offset in &empty {
        if write {
            ts.write_at([Packet::NULL.as_bytes(), &[]], *offset)?;
        }
    }
    done.nulled = empty.len() as u64;
    if let (Some(first), Some(last)) = (empty.first(), empty.last()) {
        done.nulled_range = (*first, *last + packet);
    }
    Ok(good)
}

/// True when the packet at `start` of `part` (whose first byte is byte `base` of the file)
/// reaches into a sector that is all zero. A sector holds the head of two packets, so no stream
/// has such sectors.
fn touches_lost_sector(part: &[u8], start: usize, base: u64) -> bool {
    let phase = usize::try_from(base % SECTOR as u64).unwrap_or(0);
    let first = (start + phase) / SECTOR;
    let last = (start + PACKET_SIZE - 1 + phase) / SECTOR;
    (first..=last).any(|sector| {
        let from = (sector * SECTOR).saturating_sub(phase);
        let to = ((sector + 1) * SECTOR - phase).min(part.len());
        // Cheap for a sound packet: its own bytes in the sector are seldom all zero.
        let own = from.max(start)..to.min(start + PACKET_SIZE);
        part.get(own).is_some_and(|own| own.iter().all(|b| *b == 0))
            && part
                .get(from..to)
                .is_some_and(|s| s.iter().all(|b| *b == 0))
            && to - from > PACKET_SIZE
    })
}

/// A segment that is being written.
pub(super) struct OpenSegment {
    pub(super) name: SegmentName,
    pub(super) ts: Arc<dyn StoredFile>,
    pub(super) aux: Arc<dyn StoredFile>,
    /// Bytes of packets written.
    pub(super) bytes: u64,
    /// Stamps written.
    pub(super) blocks: u64,
}

impl OpenSegment {
    /// Makes a new segment.
    pub(super) fn create(
        storage: &dyn Storage,
        ring: &Path,
        name: SegmentName,
    ) -> io::Result<Self> {
        let path = name.path(ring, "ts");
        let ts = match storage.open(&path, Access::Create) {
            // An attempt that failed half-way left it; one that holds packets is not ours to fill.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let ts = storage.open(&path, Access::Write)?;
                if !ts.is_empty()? {
                    return Err(e);
                }
                ts
            }
            other => other?,
        };
        // Stamps whose packets are gone may be left of a removal that was cut short.
        let aux = storage.open(&name.path(ring, "aux"), Access::Replace)?;
        Ok(Self {
            name,
            ts: Arc::from(ts),
            aux: Arc::from(aux),
            bytes: 0,
            blocks: 0,
        })
    }

    /// Opens a segment that is there, and puts its end right.
    pub(super) fn reopen(
        storage: &dyn Storage,
        ring: &Path,
        name: SegmentName,
        unsure: Ticks27M,
    ) -> io::Result<(Self, Repair)> {
        let ts = storage.open(&name.path(ring, "ts"), Access::Write)?;
        let path = name.path(ring, "aux");
        let aux = match storage.open(&path, Access::Write) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => storage.open(&path, Access::Create)?,
            other => other?,
        };
        let repair = repair(&*ts, &*aux, &name, unsure, true)?;
        let segment = Self {
            name,
            ts: Arc::from(ts),
            aux: Arc::from(aux),
            bytes: repair.bytes,
            blocks: repair.bytes.div_ceil(BLOCK_BYTES),
        };
        Ok((segment, repair))
    }

    /// Cuts the segment back to so many bytes and stamps, where it has more.
    pub(super) fn cut_to(&mut self, (bytes, blocks): (u64, u64)) -> io::Result<()> {
        if self.bytes > bytes {
            self.ts.set_len(bytes)?;
            self.bytes = bytes;
        }
        if self.blocks > blocks {
            self.aux.set_len(blocks * STAMP)?;
            self.blocks = blocks;
        }
        Ok(())
    }

    /// Appends packets, and stamps for the blocks that begin in them. On failure the segment is
    /// as it was, as far as the disk lets it be.
    pub(super) fn append(&mut self, packets: [&[u8]; 2], stamps: &[u8]) -> io::Result<()> {
        let result = self.ts.write_at(packets, self.bytes).and_then(|()| {
            if stamps.is_empty() {
                return Ok(());
            }
            self.aux.write_at([stamps, &[]], self.blocks * STAMP)
        });
        match result {
            Ok(()) => {
                self.bytes += packets.iter().map(|p| p.len() as u64).sum::<u64>();
                self.blocks += stamps.len() as u64 / STAMP;
                Ok(())
            }
            Err(e) => {
                // Cutting needs no room. What it leaves undone, the next opening puts right.
                let cut = self.ts.set_len(self.bytes);
                let _ = cut.and_then(|()| self.aux.set_len(self.blocks * STAMP));
                Err(e)
            }
        }
    }
}
