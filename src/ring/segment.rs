//! One segment's files: stamps read, blocks appended, a torn end put right.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::ts::{PACKET_SIZE, Packet, SYNC_BYTE};
use crate::units::{Ticks27M, WallTime};

use super::layout::SegmentName;
use super::neighbours::Around;
use super::stamps::{STAMP, Stamps};
use super::storage::{Access, Storage, StoredFile};

/// Bytes of a block: seven packets, a datagram's payload.
pub const BLOCK: usize = 7 * PACKET_SIZE;
/// [`BLOCK`] for offsets.
pub const BLOCK_BYTES: u64 = BLOCK as u64;
/// Packets of a block.
pub(super) const PER_BLOCK: usize = BLOCK / PACKET_SIZE;
/// The smallest unit that a disk writes or loses.
const SECTOR: usize = 512;
/// Bytes read at a time while the end of a segment is examined.
const EXAMINE: usize = 1 << 20;
/// Blocks before the end that are examined: 172 MB, 13 s at 100 Mb/s.
const TAIL_BLOCKS: u64 = 1 << 17;

/// What was found at the end of a segment that was perhaps not closed.
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

/// What [`repair`] is to do.
pub(super) struct Care<'a> {
    /// Bytes stamped so long before the end may be damaged: they were perhaps never synced.
    pub(super) unsure: Ticks27M,
    /// Everything is looked at; otherwise what is far from the end was synced long ago.
    pub(super) all: bool,
    /// Something is written.
    pub(super) write: bool,
    /// Asked for what stands in for stamps that are lost.
    pub(super) around: &'a mut dyn FnMut() -> Around,
}

/// Puts right what a kill, a full disk or a power loss left of a segment: whole packets only, a
/// stamp for each block, none decreasing.
///
/// In what is unsure, packets that a lost sector left empty become null packets, so that blocks
/// keep their place.
pub(super) fn repair(
    ts: &dyn StoredFile,
    aux: Option<&Arc<dyn StoredFile>>,
    name: &SegmentName,
    care: Care<'_>,
) -> io::Result<Repair> {
    let ts_len = ts.len()?;
    let aux_len = aux.map_or(Ok(0), |aux| aux.len())?;
    let mut done = Repair::default();
    let stamped = aux_len / STAMP;
    let whole = ts_len / PACKET_SIZE as u64 * PACKET_SIZE as u64;
    let there = whole.div_ceil(BLOCK_BYTES);
    let first = match care.all {
        true => 0,
        false => stamped.min(there).saturating_sub(TAIL_BLOCKS),
    };
    let mut stamps = Stamps::examined(aux.map(Arc::clone), name, first);
    stamps.settle(stamped.min(there), false, care.around);
    let settled = stamps.count()?;
    let newest = settled.checked_sub(1).and_then(|last| stamps.get(last));
    let unsure_from = newest.map_or(first, |newest| {
        let sure = stamps.seek(newest - care.unsure, settled).max(first);
        stamps.first_damaged().map_or(sure, |bad| bad.min(sure))
    });
    let unsure_from = (unsure_from * BLOCK_BYTES).min(whole);
    done.bytes = examine(ts, unsure_from, whole, care.write, &mut done)?;
    done.cut_bytes = ts_len - done.bytes;
    let blocks = done.bytes.div_ceil(BLOCK_BYTES);
    let mut stamps = Stamps::examined(aux.map(Arc::clone), name, first);
    stamps.settle(blocks, true, care.around);
    done.last = blocks.checked_sub(1).and_then(|last| stamps.get(last));
    done.stamps = stamps.damaged() + stamped.saturating_sub(blocks);
    if care.write && done.cut_bytes > 0 {
        ts.set_len(done.bytes)?;
    }
    if let (true, Some(aux)) = (care.write, aux) {
        for (block, bytes) in stamps.mended() {
            aux.write_at([&bytes, &[]], block * STAMP)?;
        }
        if aux_len != blocks * STAMP {
            aux.set_len(blocks * STAMP)?;
        }
    }
    Ok(done)
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

    /// Opens segment `at` of `segments`, which is there, and puts its end right: what was stamped
    /// `unsure` before the end, or all of it when that is `None`.
    pub(super) fn reopen(
        storage: &dyn Storage,
        ring: &Path,
        segments: &[SegmentName],
        at: usize,
        unsure: Option<Ticks27M>,
    ) -> io::Result<(Self, Repair)> {
        let Some(&name) = segments.get(at) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let ts = storage.open(&name.path(ring, "ts"), Access::Write)?;
        let path = name.path(ring, "aux");
        let aux = match storage.open(&path, Access::Write) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => storage.open(&path, Access::Create)?,
            other => other?,
        };
        let aux = Arc::from(aux);
        let care = Care {
            unsure: unsure.unwrap_or(Ticks27M::MAX),
            all: unsure.is_none(),
            write: true,
            around: &mut || Around::of(storage, ring, segments, at),
        };
        let repair = repair(&*ts, Some(&aux), &name, care)?;
        let segment = Self {
            name,
            ts: Arc::from(ts),
            aux,
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
