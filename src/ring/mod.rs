//! The circular recorder's store: what stands on the disk, who writes it and who reads it.
//!
//! # A ring is a directory
//!
//! ```text
//! ring/
//!   N.ts            the packets of a segment, 188 bytes each, in blocks of 7 (1316 bytes)
//!   N.aux           a stamp for each block: big-endian u64, ticks of 27 MHz UTC since 1970
//!   N.idx           the side index of the segment; a reader may lack it
//!   ring.json       settings: what is kept, and every segment length the ring has had
//!   ring.lock       locked (flock) by the one recorder; holds its process id and, while nothing
//!                   can be written, why, since which stamp, and how many packets that cost
//!   epoch-K/        what a step of the wall clock back set apart, with an epoch.json
//! ```
//!
//! A `ring.json` or `epoch.json` that cannot be believed is as good as missing, and a recorder
//! keeps it aside as `ring.json.damaged`. The segment lengths then come from the indexes and from
//! what numbers and stamps say. A recorder and `tsring check --repair` write an `epoch.json` anew.
//!
//! N is floor(stamp / segment length), both in ticks, of the first block. This is the directory
//! of multicat 2.3 with offset 0: it reads our rings, live ones too, with the segment length as
//! its `-r`. We read its rings, whatever their `-r` and `-O`, by their stamps.
//!
//! *Blocks.* A block's stamp is the arrival of its first packet, and none is less than the one
//! before. Packets are written before their stamp, at once one after the other, so that whoever
//! reads beside the recorder never finds a stamp without packets. A block that is not full is
//! written after half a second, and filled by what comes next, if need be by the next recorder;
//! a segment is left only at the end of a block. What such a block holds that came later than its
//! stamp by a second or more is told by a *split* in the index.
//!
//! Packets are read whatever became of their stamps: what is missing in an aux file, or cannot be,
//! is told from the stamps around it, from the index, from the pace of the segments around it, and
//! last from the segment's name. A file `N.ts` that no recorder can have made here, or in which no packets are, is a stranger's.
//!
//! *Another segment length* changes the names of segments to come. Which length a name was made
//! with is told by `lengths` in `ring.json`: a number read with another length than its own lies
//! years off. A reader needs no `-r`.
//!
//! *Epochs.* After a step back of the wall clock by more than a second, segments stamped later
//! than the new time move to `epoch-K`; `epoch.json` keeps the instant the clock was set back to
//! and the lengths. An epoch was received after what the live part holds before that instant and
//! before what it holds from there on. Smaller steps are slewed at half a percent; a step forward
//! leaves a gap in the stamps and nothing else.
//!
//! # The side index
//!
//! All numbers big-endian. A header of 64 bytes:
//!
//! | byte | field |
//! | --- | --- |
//! | 0 | `tsringix` |
//! | 8 | u16 version, 1; u16 header size, 64; u16 record size, 40; u16 zero |
//! | 16 | i64 N |
//! | 24 | i64 segment length in ticks |
//! | 32 | u32 how many of the records that follow are *carried*; zeros to byte 60 |
//! | 60 | u32 CRC-32/MPEG-2 of the 60 bytes before |
//!
//! Records of 40 bytes, only ever appended:
//!
//! | byte | field |
//! | --- | --- |
//! | 0 | u8 kind, u8 flags, u16 id |
//! | 4 | u32 CRC-32/MPEG-2 of the record with this field zero |
//! | 8 | u64 byte of the segment it speaks of |
//! | 16 | i64 stamp: when that byte came |
//! | 24 | u64 a, u64 b: by kind |
//!
//! | kind | id | flags, a, b |
//! | --- | --- | --- |
//! | 1 PCR | PID | flags 1: a jump; a: PCR |
//! | 2 random access | PID | flags: 0 indicated, 1 closed, 2 open; a: PTS; b: UTC at which the clock reaches it |
//! | 3 discontinuity | PID | a: breaks of the counter |
//! | 4 gap, from its stamp | | flags: cause; a: until; b: packets lost |
//! | 5 split | | |
//! | 6 program map table | service | flags: version; a: PMT PID << 16, PCR PID; b: CRC_32 |
//! | 7 service | service | flags: type; text: name |
//! | 8 event, now present | service | a: event_id << 32, seconds; b: announced start; text: title |
//! | 9 splice | PID | flags: command; a: event; b: PTS |
//! | 10 clock step | | a: by how much |
//! | 11 closed segment | | byte: its bytes; a: milliseconds << 32, breaks; b: N << 24, random-access points |
//! | 12 mark: indexed up to its byte | | flags 1: the segment is complete |
//! | 255 text of the record before | | flags: bytes of text, which stand from byte 8 on |
//!
//! "None" is all ones. Kinds 4 and 6 to 11 *last*: when a segment is begun, its index starts with
//! those of all segments before it that are still there (the digest, [`DIGEST`] at most). So the
//! newest index tells of the whole ring, and the time that takes does not grow with it. A record
//! that is torn ends the file; the next recorder goes on from the last mark, by reading the
//! packets after it. An index that could not be written to its end is made anew by the recorder's
//! upkeep, now or after the next start, and so does `tsring check --repair`. From 240 MB on, six
//! million records, an index takes marks only.
//!
//! # Who does what
//!
//! A [`Writer`] appends. Its [`Upkeep`], on a thread of its own, syncs and lets the oldest segments
//! go. A [`Ring`] lists, sums up and makes [`Cursor`]s, which read. All see files through
//! [`Storage`], time as arguments, and what happens as [`RingEvent`]s.

mod checking;
mod clock;
mod dated;
mod disk;
mod epoch;
mod epoch_found;
mod error;
mod forward_steps;
pub mod index;
mod index_writer;
mod indexer;
mod layout;
mod lengths;
mod missing;
mod neighbours;
mod opening;
mod reader;
mod rebuild;
mod scan;
mod segment;
mod settings;
#[cfg(test)]
mod sim;
mod stamps;
mod storage;
mod summary;
#[cfg(test)]
mod tests;
mod unfiled;
mod upkeep;
mod writer;

pub use checking::{Finding, check};
pub use clock::{HELD_PACKETS, PcrClock, UtcClock};
pub use disk::Disk;
pub use error::{RingError, RingEvent};
pub use forward_steps::ForwardSteps;
pub use index_writer::DIGEST;
pub use indexer::Indexer;
pub use layout::{DamagedFile, Epoch, Layout, SegmentName, is_own_name};
pub use reader::{Cursor, Ring, Step};
pub use segment::{BLOCK, BLOCK_BYTES, Repair};
pub use settings::{
    Changes, DEFAULT_KEEP, DEFAULT_SEGMENT, DEFAULT_SYNC, EpochSettings, LengthSince, Settings,
};
pub use stamps::Stamps;
pub use storage::{Access, DirEntry, Lock, Storage, StoredFile};
pub use summary::{EventSeen, Gap, ServiceSeen, SpliceSeen, Summary};
pub use upkeep::{Shared, Upkeep};
pub use writer::{Dating, PARTIAL_AFTER, SILENCE, Writer, Written};
