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
use super::storage::{Access, Storage};

/// Blocks read at a time: 1.3 MB.
const CHUNK_BLOCKS: usize = 1024;

/// How far before the first byte of interest the indexer starts, to know the tables: 4 MB, six
/// seconds at 5 Mb/s and a third of one at 100 Mb/s, where PAT and PMT come each tenth.
const WARM_UP_BLOCKS: u64 = 3 * 1024;

/// Indexes bytes `from` to `to` of a segment; hands each record to `sink`.
pub(super) fn scan(
    storage: &dyn Storage,
    ring: &Path,
    name: &SegmentName,
    from: u64,
    to: u64,
    sink: &mut dyn FnMut(Record),
) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
    let ts = storage.open(&name.path(ring, "ts"), Access::Read)?;
    let stamps = Stamps::whole(storage, ring, name, to.div_ceil(BLOCK_BYTES), None);
    let mut indexer = Indexer::default();
    let mut bytes = vec![0; CHUNK_BLOCKS * BLOCK];
    let mut times: Vec<WallTime> = Vec::with_capacity(CHUNK_BLOCKS);
    let mut block = (from / BLOCK_BYTES).saturating_sub(WARM_UP_BLOCKS);
    let mut last = name.start;
    loop {
        let at = block * BLOCK_BYTES;
        let want = bytes
            .len()
            .min(usize::try_from(to.saturating_sub(at)).unwrap_or(usize::MAX));
        let read = ts.read_at(bytes.get_mut(..want).unwrap_or_default(), at)?;
        times.clear();
        stamps.read(block, CHUNK_BLOCKS, &mut times)?;
        let (packets, _) = Packet::slice_of(bytes.get(..read).unwrap_or_default());
        for (i, packets) in packets.chunks(BLOCK / PACKET_SIZE).enumerate() {
            last = times.get(i).copied().unwrap_or(last);
            indexer.push(packets, at + (i * BLOCK) as u64, last);
        }
        for record in indexer.take().into_iter().filter(|r| r.offset >= from) {
            sink(record);
        }
        if read < bytes.len() {
            return Ok(());
        }
        block += CHUNK_BLOCKS as u64;
    }
}
