//! Appends to the side index of the segment that is being written.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::units::WallTime;

use super::index::{HEADER_SIZE, Header, Index, MAX_INDEX, Record, SegmentSummary, What};
use super::layout::SegmentName;
use super::rebuild::is_told_by_packets;
use super::storage::{Access, Storage, StoredFile};

/// Records that may wait for the disk; beyond it the index of the segment is made anew
/// from its packets.
const PENDING: usize = 1 << 16;

/// Lasting records that a digest carries on, and that a segment holds for it; beyond it the oldest
/// stay in their own segment's index only. In a file that is 2.6 MB, and 23.6 MB where each has the
/// longest text; in memory 4 MB, and 21 MB.
pub const DIGEST: usize = 1 << 16;

/// From this size on an index takes marks only, for which 16 MB are left: one each two seconds for
/// ten days. No larger file is read.
const FULL: u64 = MAX_INDEX - (16 << 20);

/// What lasts of the segment that is being written, at most [`DIGEST`] records.
#[derive(Default)]
pub(super) struct Lasting(VecDeque<Record>);

impl Lasting {
    /// Takes a record; the oldest goes for it where there are too many.
    pub(super) fn push(&mut self, record: Record) {
        if self.0.len() == DIGEST {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    /// Forgets records of packets from `bytes` on, which could not be written.
    pub(super) fn forget_from(&mut self, bytes: u64) {
        self.0.retain(|record| record.offset < bytes);
    }

    /// Hands over all, for the digest.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Record> {
        std::mem::take(&mut self.0).into_iter()
    }
}

/// The side index of one segment.
pub(super) struct IndexWriter {
    name: SegmentName,
    file: Option<Arc<dyn StoredFile>>,
    len: u64,
    pending: Vec<Record>,
    overflowed: bool,
    /// The size from which on only marks are taken, and whether it was reached, and told.
    most: u64,
    full: bool,
    told: bool,
    random_access: u32,
    discontinuities: u64,
    encoded: Vec<u8>,
}

impl IndexWriter {
    /// The index of a segment that has none yet.
    pub(super) fn new(name: SegmentName) -> Self {
        Self {
            name,
            file: None,
            len: 0,
            pending: Vec::new(),
            overflowed: false,
            most: FULL,
            full: false,
            told: false,
            random_access: 0,
            discontinuities: 0,
            encoded: Vec::new(),
        }
    }

    /// Goes on with an index that was read: what is torn is cut off at the next flush.
    pub(super) fn resume(name: SegmentName, found: &Index, file: Arc<dyn StoredFile>) -> Self {
        let mut writer = Self::new(name);
        writer.len = found.valid;
        writer.file = Some(file);
        found.own.iter().for_each(|r| writer.count(r));
        writer
    }

    fn count(&mut self, record: &Record) {
        match record.what {
            What::RandomAccess { .. } => self.random_access += 1,
            What::Discontinuity { count, .. } => self.discontinuities += count,
            _ => {}
        }
    }

    /// Takes a record.
    pub(super) fn push(&mut self, record: Record) {
        self.count(&record);
        if self.full {
            return;
        }
        if self.pending.len() < PENDING {
            self.pending.push(record);
        } else {
            self.overflowed = true;
        }
    }

    /// True when much waits to be written.
    pub(super) fn is_due(&self) -> bool {
        self.pending.len() >= PENDING / 2
    }

    /// True when its file has no name any more.
    pub(super) fn is_removed(&self) -> bool {
        let file = self.file.as_ref();
        file.is_some_and(|file| file.removed().unwrap_or(false))
    }

    /// Has it made anew from the packets, once the segment is complete.
    pub(super) fn give_up(&mut self) {
        self.overflowed = true;
    }

    /// True when records were dropped because too many waited: the index has to be made anew.
    pub(super) fn is_incomplete(&self) -> bool {
        self.overflowed
    }

    /// True once, when the index has become as large as one may be.
    pub(super) fn became_full(&mut self) -> bool {
        self.full && !std::mem::replace(&mut self.told, true)
    }

    /// What waits to be written and cannot be told from the packets.
    pub(super) fn known(&self) -> Vec<Record> {
        let pending = self.pending.iter();
        pending
            .filter(|r| !is_told_by_packets(r))
            .cloned()
            .collect()
    }

    /// Forgets records of packets from `bytes` on, which could not be written.
    pub(super) fn forget_from(&mut self, bytes: u64) {
        self.pending.retain(|r| r.offset < bytes);
    }

    /// What the digest is to say of the segment.
    pub(super) fn summary(&self, bytes: u64, first: WallTime, last: WallTime) -> Record {
        let span = (last - first).as_millis();
        Record::new(
            0,
            first,
            What::Segment(SegmentSummary {
                number: self.name.number,
                bytes,
                span_ms: u32::try_from(span).unwrap_or(u32::MAX),
                random_access: self.random_access,
                discontinuities: u32::try_from(self.discontinuities).unwrap_or(u32::MAX),
            }),
        )
    }

    /// Writes the records of the first `written` bytes of the segment. A new file starts with
    /// `digest`.
    pub(super) fn flush(
        &mut self,
        storage: &dyn Storage,
        ring: &Path,
        digest: &[Record],
        written: u64,
        now: WallTime,
        closed: bool,
    ) -> io::Result<()> {
        if self.overflowed {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let path = self.name.path(ring, "idx");
                Arc::from(storage.open(&path, Access::Replace)?)
            }
        };
        self.encoded.clear();
        if self.len == 0 {
            let header = Header {
                number: self.name.number,
                length: self.name.length,
                carried: digest.iter().map(Record::slots).sum(),
            };
            self.encoded.extend_from_slice(&header.encode());
            debug_assert_eq!(self.encoded.len(), HEADER_SIZE);
            digest.iter().for_each(|r| r.encode(&mut self.encoded));
        }
        let ready = |r: &Record| r.offset < written || closed;
        for record in self.pending.iter().filter(|r| ready(r)) {
            if self.len + self.encoded.len() as u64 >= self.most {
                self.full = true;
                break;
            }
            record.encode(&mut self.encoded);
        }
        Record::new(written, now, What::Mark { closed }).encode(&mut self.encoded);
        file.set_len(self.len)?;
        file.write_at([&self.encoded, &[]], self.len)?;
        self.len += self.encoded.len() as u64;
        self.pending.retain(|r| !ready(r));
        self.file = Some(file);
        Ok(())
    }
}

/// Appends what lasts of `records` to a digest, and drops the oldest beyond its bound.
pub(super) fn extend_digest(digest: &mut Vec<Record>, records: impl IntoIterator<Item = Record>) {
    digest.extend(records.into_iter().filter(Record::lasts));
    let surplus = digest.len().saturating_sub(DIGEST);
    digest.drain(..surplus);
}

/// Drops from a digest what is older than the ring; what still held then (the last event, name
/// and map of a service) stays.
pub(super) fn prune_digest(digest: &mut Vec<Record>, oldest: WallTime) {
    let mut held = Vec::new();
    let mut keep: Vec<bool> = digest
        .iter()
        .rev()
        .map(|r| {
            let key = match r.what {
                What::Event { service, .. } => Some((0, service)),
                What::Service { service, .. } => Some((1, service)),
                What::Program { service, .. } => Some((2, service)),
                _ => None,
            };
            let at = match r.what {
                What::Gap { until, .. } => until,
                _ => r.at,
            };
            if at >= oldest {
                return true;
            }
            let first = key.filter(|key| !held.contains(key));
            held.extend(first);
            first.is_some()
        })
        .collect();
    digest.retain(|_| keep.pop().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::index::AccessKind;
    use crate::ring::sim::SimDisk;
    use crate::ts::Pid;
    use crate::units::Ticks27M;

    fn name() -> SegmentName {
        SegmentName {
            epoch: 0,
            number: 1,
            start: WallTime::from_ticks(27_000_000),
            length: Ticks27M::SECOND,
        }
    }

    fn point(offset: u64) -> Record {
        let what = What::RandomAccess {
            pid: Pid::new(0x100).unwrap(),
            kind: AccessKind::Indicated,
            pts: None,
            presentation: None,
        };
        Record::new(offset, name().start, what)
    }

    #[test]
    fn an_index_that_is_full_takes_marks_only_and_says_so_once() {
        let (disk, ring) = (SimDisk::default(), Path::new("/ring"));
        disk.create_dir(ring).unwrap();
        let mut index = IndexWriter::new(name());
        // A header of 64 bytes and 100 records of 40.
        index.most = 64 + 100 * 40;
        let mut told = 0;
        for flush in 1..=5u64 {
            (0..30).for_each(|i| index.push(point(flush * 1000 + i)));
            let (bytes, closed) = (flush * 1000 + 500, flush == 5);
            let at = name().start;
            index.flush(&disk, ring, &[], bytes, at, closed).unwrap();
            told += u32::from(index.became_full());
        }
        assert_eq!(told, 1);
        let read = Index::read(&disk, ring, &name()).unwrap();
        let points = |r: &&Record| matches!(r.what, What::RandomAccess { .. });
        // Three marks stand among the hundred, two behind them.
        assert_eq!(read.own.iter().filter(points).count(), 97);
        assert_eq!(read.own.len(), 102);
        assert_eq!(read.reach(), (5500, true));
        // What the digest says of the segment counts all.
        let What::Segment(all) = index.summary(5500, name().start, name().start).what else {
            panic!("no summary");
        };
        assert_eq!(all.random_access, 150);
    }

    #[test]
    fn what_lasts_of_a_segment_is_bounded_and_the_newest_stay() {
        let mut lasting = Lasting::default();
        (0..DIGEST as u64 + 10).for_each(|i| lasting.push(point(i)));
        let kept: Vec<Record> = lasting.take().collect();
        assert_eq!(kept.len(), DIGEST);
        assert_eq!(kept.first().map(|r| r.offset), Some(10));
    }
}
