//! Appends to the side index of the segment that is being written.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::units::WallTime;

use super::index::{HEADER_SIZE, Header, Index, Record, SegmentSummary, What};
use super::layout::SegmentName;
use super::rebuild::is_told_by_packets;
use super::storage::{Access, Storage, StoredFile};

/// Records that may wait for the disk; beyond it the index of the segment is made anew
/// from its packets.
const PENDING: usize = 1 << 16;

/// Lasting records that a digest carries on: 2.6 MB. Beyond it the oldest stay in their own
/// segment's index only.
pub const DIGEST: usize = 1 << 16;

/// The side index of one segment.
pub(super) struct IndexWriter {
    name: SegmentName,
    file: Option<Arc<dyn StoredFile>>,
    len: u64,
    pending: Vec<Record>,
    overflowed: bool,
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

    /// True when records were dropped because too many waited: the index has to be made anew.
    pub(super) fn is_incomplete(&self) -> bool {
        self.overflowed
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
