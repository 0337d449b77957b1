//! Makes the index of a segment anew, from its packets.
//!
//! An index ends early where the disk was full, or its recorder was killed. What the packets do
//! not tell, gaps and steps of the clock, is kept from the old one.

use std::io;
use std::path::Path;

use super::index::{Index, Record, What};
use super::index_writer::IndexWriter;
use super::layout::SegmentName;
use super::opening::digest_before;
use super::scan::Scanner;
use super::storage::Storage;

/// An index that is being made.
pub(super) struct Rebuild {
    name: SegmentName,
    scanner: Scanner,
    index: IndexWriter,
    carried: Vec<Record>,
    known: Vec<Record>,
    bytes: u64,
}

impl Rebuild {
    /// Begins with the first `bytes` bytes of the last of `segments`; those before it tell what
    /// it carries. `known` is what its recorder knew and could not write.
    pub(super) fn begin(
        storage: &dyn Storage,
        ring: &Path,
        segments: &[SegmentName],
        bytes: u64,
        known: Vec<Record>,
    ) -> io::Result<Option<Self>> {
        let Some((&name, before)) = segments.split_last() else {
            return Ok(None);
        };
        let old = Index::read(storage, ring, &name);
        let (carried, own) = match old {
            Some(old) if old.has_digest() => (old.carried, old.own),
            Some(old) => (Vec::new(), old.own),
            None => Default::default(),
        };
        let mut index = IndexWriter::new(name);
        let own = own.into_iter().filter(|r| !is_told_by_packets(r));
        let mut kept: Vec<Record> = own.filter(|r| r.offset < bytes).collect();
        for record in known {
            if !kept.contains(&record) {
                kept.push(record);
            }
        }
        kept.iter().for_each(|record| index.push(record.clone()));
        Ok(Some(Self {
            scanner: Scanner::new(storage, ring, segments, 0, bytes)?,
            carried: match carried.is_empty() {
                true => digest_before(storage, ring, before),
                false => carried,
            },
            name,
            index,
            known: kept,
            bytes,
        }))
    }

    /// The segment.
    pub(super) fn name(&self) -> SegmentName {
        self.name
    }

    /// True once, when the index has become as large as one may be.
    pub(super) fn became_full(&mut self) -> bool {
        self.index.became_full()
    }

    /// What the packets do not tell, for another try.
    pub(super) fn known(self) -> Vec<Record> {
        self.known
    }

    /// Reads another 1.3 MB; true when the index is made. Nothing more is going to be appended to
    /// a segment that is `closed`.
    pub(super) fn step(
        &mut self,
        storage: &dyn Storage,
        ring: &Path,
        closed: bool,
    ) -> io::Result<bool> {
        let index = &mut self.index;
        let more = self.scanner.step(&mut |record| index.push(record))?;
        let (reach, closed) = match more {
            true if !index.is_due() => return Ok(false),
            true => (self.scanner.reach(), false),
            false => (self.bytes, closed),
        };
        let last = self.scanner.last();
        index.flush(storage, ring, &self.carried, reach, last, closed)?;
        Ok(!more)
    }
}

/// False for what only a recorder knows.
pub(super) fn is_told_by_packets(record: &Record) -> bool {
    !matches!(
        record.what,
        What::Gap { .. } | What::Split | What::ClockStep { .. }
    )
}

/// True when the index of a segment is complete: a look at its end.
pub(super) fn is_indexed(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> bool {
    let bytes = storage.size(&name.path(ring, "ts")).unwrap_or(0);
    Index::last_mark(storage, ring, name).is_some_and(|mark| mark.closed && mark.reach == bytes)
}
