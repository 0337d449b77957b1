//! Reads a segment's packets with their stamps: to index what is not indexed.

use std::io;
use std::path::Path;

use crate::ts::{PACKET_SIZE, Packet};
use crate::units::WallTime;

use super::index::Record;
use super::indexer::Indexer;
use super::layout::SegmentName;
use super::segment::{BLOCK, BLOCK_BYTES};
use super::stamps::Stamps;
use super::storage::{Access, Storage, StoredFile};

/// Blocks read at a time: 1.3 MB.
const CHUNK_BLOCKS: usize = 1024;

/// How far before the first byte of interest the indexer starts, to know the tables: 4 MB, six
/// seconds at 5 Mb/s and a third of one at 100 Mb/s, where PAT and PMT come each tenth.
const WARM_UP_BLOCKS: u64 = 3 * 1024;

/// Indexes bytes `from` to `to` of the last of `segments`; hands each record to `sink`.
pub(super) fn scan(
    storage: &dyn Storage,
    ring: &Path,
    segments: &[SegmentName],
    from: u64,
    to: u64,
    sink: &mut dyn FnMut(Record),
) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
    let mut scanner = Scanner::new(storage, ring, segments, from, to)?;
    while scanner.step(sink)? {}
    Ok(())
}

/// A scan that goes on a chunk at a time.
pub(super) struct Scanner {
    ts: Box<dyn StoredFile>,
    stamps: Stamps,
    indexer: Indexer,
    bytes: Vec<u8>,
    times: Vec<WallTime>,
    block: u64,
    last: WallTime,
    from: u64,
    to: u64,
}

impl Scanner {
    /// A scan of bytes `from` to `to` of the last of `segments`.
    pub(super) fn new(
        storage: &dyn Storage,
        ring: &Path,
        segments: &[SegmentName],
        from: u64,
        to: u64,
    ) -> io::Result<Self> {
        let Some(name) = segments.last() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        Ok(Self {
            ts: storage.open(&name.path(ring, "ts"), Access::Read)?,
            stamps: Stamps::whole(storage, ring, segments, to.div_ceil(BLOCK_BYTES)),
            indexer: Indexer::default(),
            bytes: vec![0; CHUNK_BLOCKS * BLOCK],
            times: Vec::with_capacity(CHUNK_BLOCKS),
            block: (from / BLOCK_BYTES).saturating_sub(WARM_UP_BLOCKS),
            last: name.start,
            from,
            to,
        })
    }

    /// Bytes before this one were looked at.
    pub(super) fn reach(&self) -> u64 {
        (self.block * BLOCK_BYTES).min(self.to)
    }

    /// The stamp of the last block that was looked at.
    pub(super) fn last(&self) -> WallTime {
        self.last
    }

    /// Looks at the next chunk; false when there is no more.
    pub(super) fn step(&mut self, sink: &mut dyn FnMut(Record)) -> io::Result<bool> {
        let at = self.block * BLOCK_BYTES;
        let left = usize::try_from(self.to.saturating_sub(at)).unwrap_or(usize::MAX);
        let want = self.bytes.len().min(left);
        let room = self.bytes.get_mut(..want).unwrap_or_default();
        let read = self.ts.read_at(room, at)?;
        self.times.clear();
        self.stamps
            .read(self.block, CHUNK_BLOCKS, &mut self.times)?;
        let (packets, _) = Packet::slice_of(self.bytes.get(..read).unwrap_or_default());
        for (i, packets) in packets.chunks(BLOCK / PACKET_SIZE).enumerate() {
            self.last = self.times.get(i).copied().unwrap_or(self.last);
            let offset = at + (i * BLOCK) as u64;
            self.indexer.push(packets, offset, self.last);
        }
        let from = self.from;
        for record in self.indexer.take().into_iter().filter(|r| r.offset >= from) {
            sink(record);
        }
        self.block += CHUNK_BLOCKS as u64;
        Ok(read == self.bytes.len())
    }
}
