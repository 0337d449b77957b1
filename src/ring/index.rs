//! The side index of a segment: a header and fixed records, append-only.
//!
//! The layout is at the top of [`super`]. A record carries a checksum of its own, so that a file
//! that was torn by a power loss is read up to its first bad record and continued from there. What
//! is no record of this version is skipped, so that a later version may add kinds.

mod record;

use std::path::Path;

use crate::ts::crc32;
use crate::units::{Ticks27M, WallTime};

use super::layout::SegmentName;
use super::storage::{Access, Storage};

pub use record::{AccessKind, GapCause, Record, SegmentSummary, What};
use record::{Raw, TEXT_PER_RECORD, kind, seal};

/// Bytes of the header.
pub const HEADER_SIZE: usize = 64;
/// Bytes of a record.
pub const RECORD_SIZE: usize = 40;
/// A side file larger than this is none of ours: the writer stops before.
pub(super) const MAX_INDEX: u64 = 1 << 28;
/// The version written here.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"tsringix";
/// The header of a side file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number in the segment's name.
    pub number: i64,
    /// The segment length the name was made with, in ticks of 27 MHz.
    pub length: Ticks27M,
    /// How many records follow that were carried over from earlier side files (the digest).
    pub carried: u32,
}

impl Header {
    /// The header as bytes.
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_be_bytes());
        put(&mut bytes, 10, &(HEADER_SIZE as u16).to_be_bytes());
        put(&mut bytes, 12, &(RECORD_SIZE as u16).to_be_bytes());
        put(&mut bytes, 16, &self.number.to_be_bytes());
        put(&mut bytes, 24, &self.length.get().to_be_bytes());
        put(&mut bytes, 32, &self.carried.to_be_bytes());
        let check = crc32(bytes.get(..60).unwrap_or_default());
        put(&mut bytes, 60, &check.to_be_bytes());
        bytes
    }

    /// Reads a header; `None` when it is not whole, not ours, or of another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_SIZE] = bytes.first_chunk()?;
        let whole = crc32(bytes.get(..60)?).to_be_bytes() == *bytes.last_chunk::<4>()?;
        let ours = bytes.starts_with(&MAGIC) && take_u16(bytes, 8) == VERSION;
        (whole && ours).then(|| Self {
            number: take_u64(bytes, 16) as i64,
            length: Ticks27M::new(take_u64(bytes, 24) as i64),
            carried: (take_u64(bytes, 32) >> 32) as u32,
        })
    }
}

/// What the last mark of a side file says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes of the segment that were written, and are indexed.
    pub(super) reach: u64,
    /// When the last of them came.
    pub(super) at: WallTime,
    /// The segment is complete.
    pub(super) closed: bool,
}

/// A side file that was read.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its header.
    pub header: Header,
    /// The digest: what earlier segments hold that lasts.
    pub carried: Vec<Record>,
    /// What this segment holds.
    pub own: Vec<Record>,
    /// Bytes of the file up to the first record that is torn or missing.
    pub valid: u64,
}

impl Index {
    /// Reads the side file of a segment; `None` when there is none or it is not ours.
    pub(super) fn read(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<Self> {
        let file = storage.open(&name.path(ring, "idx"), Access::Read).ok()?;
        let len = file.len().ok().filter(|len| *len <= MAX_INDEX)?;
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        let read = file.read_at(&mut bytes, 0).ok()?;
        let index = Self::decode(bytes.get(..read)?)?;
        (index.header.number == name.number).then_some(index)
    }

    /// The mark at the end of the side file of a segment; `None` when it ends otherwise.
    pub(super) fn last_mark(
        storage: &dyn Storage,
        ring: &Path,
        name: &SegmentName,
    ) -> Option<Mark> {
        let file = storage.open(&name.path(ring, "idx"), Access::Read).ok()?;
        let mut record = [0; RECORD_SIZE];
        let at = file.len().ok()?.checked_sub(RECORD_SIZE as u64)?;
        let whole = file.read_at(&mut record, at).ok()? == RECORD_SIZE && seal(record) == record;
        let [kind, flags, ..] = record;
        (whole && kind == kind::MARK).then(|| Mark {
            reach: take_u64(&record, 8),
            at: WallTime::from_ticks(take_u64(&record, 16) as i64),
            closed: flags & 1 != 0,
        })
    }

    /// Reads a side file; `None` when its header is not one of ours.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let header = Header::decode(bytes)?;
        let mut index = Self {
            header,
            carried: Vec::new(),
            own: Vec::new(),
            valid: HEADER_SIZE as u64,
        };
        let mut pending: Option<(Raw, Vec<u8>)> = None;
        let mut slot = 0u32;
        let (records, _) = bytes.get(HEADER_SIZE..)?.as_chunks::<RECORD_SIZE>();
        for record in records {
            if seal(*record) != *record {
                break;
            }
            let [kind, flags, ..] = *record;
            if kind == kind::TEXT {
                if let Some((_, text)) = pending.as_mut() {
                    let chunk = record.get(8..8 + usize::from(flags).min(TEXT_PER_RECORD));
                    text.extend_from_slice(chunk.unwrap_or_default());
                }
            } else {
                index.take(&mut pending, slot);
                pending = Some((
                    Raw {
                        kind,
                        flags,
                        id: take_u16(record, 2),
                        offset: take_u64(record, 8),
                        at: take_u64(record, 16),
                        a: take_u64(record, 24),
                        b: take_u64(record, 32),
                    },
                    Vec::new(),
                ));
            }
            slot += 1;
            index.valid += RECORD_SIZE as u64;
        }
        index.take(&mut pending, slot);
        Some(index)
    }

    /// Files the pending record, which ends before `slot`.
    fn take(&mut self, pending: &mut Option<(Raw, Vec<u8>)>, slot: u32) {
        let Some((raw, text)) = pending.take() else {
            return;
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        if let Some(record) = Record::from_raw(raw, text) {
            if slot <= self.header.carried {
                self.carried.push(record);
            } else {
                self.own.push(record);
            }
        }
    }

    /// True when it carries all that it began with: what earlier segments hold that lasts.
    pub(super) fn has_digest(&self) -> bool {
        let records = (self.valid - HEADER_SIZE as u64) / RECORD_SIZE as u64;
        records >= u64::from(self.header.carried)
    }

    /// How far into the segment the index reaches, and whether the segment was closed.
    pub fn reach(&self) -> (u64, bool) {
        self.own
            .iter()
            .rev()
            .find_map(|r| match r.what {
                What::Mark { closed } => Some((r.offset, closed)),
                _ => None,
            })
            .unwrap_or((0, false))
    }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + field.len()) {
        place.copy_from_slice(field);
    }
}

fn take_u16(bytes: &[u8], at: usize) -> u16 {
    let field = bytes.get(at..).and_then(|b| b.first_chunk());
    field.map_or(0, |b| u16::from_be_bytes(*b))
}

fn take_u64(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..).and_then(|b| b.first_chunk());
    field.map_or(0, |b| u64::from_be_bytes(*b))
}
