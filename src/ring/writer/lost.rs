//! What the recorder does when its ring is taken away: the directory removed, the file system
//! unmounted, or a file that it writes.
//!
//! What is open can be written for ever after, and is nowhere. So names are looked at once a
//! second. What was lost with them is counted, and the ring is taken over again, as at the start,
//! as soon as there is a place for it.

use std::io;
use std::path::Path;

use crate::ts::PACKET_SIZE;
use crate::units::{Arrival, Ticks27M, WallTime};

use super::{Dating, Writer};
use crate::ring::error::RingError;
use crate::ring::index_writer::extend_digest;
use crate::ring::indexer::Indexer;
use crate::ring::layout::SegmentName;
use crate::ring::opening::{self, Making, Opened};
use crate::ring::segment::OpenSegment;
use crate::ring::settings::SETTINGS;

/// Names are looked at this often.
const LOOK_EVERY: Ticks27M = Ticks27M::SECOND;

/// What was being written when the ring went.
pub(super) struct Gone {
    name: SegmentName,
    bytes: u64,
    first: Option<WallTime>,
    /// Packets of it that this run wrote; others were there before.
    own: u64,
}

impl Writer {
    /// Sees whether what is written still has its names.
    pub(super) fn look_for_loss(&mut self, now: Arrival) {
        if now < self.look_at || self.failure.is_some() {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        self.find_loss();
    }

    /// Lets go of what has no name any more.
    pub(super) fn find_loss(&mut self) {
        if self.has_lost_ring() {
            self.lose_ring();
            return;
        }
        let settings = self.storage.size(&self.dir.join(SETTINGS));
        if settings.is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            // A disk that does not take them tells so with the packets.
            let _ = self.settings.store(&*self.storage, &self.dir);
        }
        let Some(segment) = &self.segment else {
            return;
        };
        let path = segment.name.path(&self.dir, "ts");
        if segment.ts.removed().unwrap_or(false) {
            self.lose_segment(&path, "the file was removed");
            return;
        }
        let stamps = segment.aux.removed().unwrap_or(false);
        if let Some(index) = self
            .filing
            .index
            .as_mut()
            .filter(|index| index.is_removed())
        {
            index.give_up();
        }
        if stamps {
            self.mend();
        }
    }

    /// True when the lock that is held is nobody's any more.
    pub(super) fn has_lost_ring(&self) -> bool {
        let lock = self.lock.as_ref();
        lock.is_none_or(|lock| lock.is_lost().unwrap_or(false))
    }

    /// The directory was removed, or its file system unmounted: lets go of all that is open.
    pub(super) fn lose_ring(&mut self) {
        self.lock = None;
        self.gone = self.segment.as_ref().map(|segment| Gone {
            name: segment.name,
            bytes: segment.bytes,
            first: self.first,
            own: self.own_packets(segment),
        });
        let dir = self.dir.clone();
        self.lose_segment(&dir, "the ring was removed, or its file system unmounted");
    }

    /// Packets of the segment that this run wrote: one that was taken up holds those of another run
    /// as well, and none lies before it that this run wrote.
    fn own_packets(&self, segment: &OpenSegment) -> u64 {
        let packets = segment.bytes / PACKET_SIZE as u64;
        packets.min(self.written.packets)
    }

    /// What is written now is gone.
    pub(super) fn lose_segment(&mut self, path: &Path, why: &str) {
        self.shared.forget_files();
        let segment = self.segment.take();
        let packets = (segment.as_ref()).map_or(0, |segment| segment.bytes / PACKET_SIZE as u64);
        let own = segment.map_or(0, |segment| self.own_packets(&segment));
        self.filing.index = None;
        extend_digest(&mut self.filing.digest, self.filing.lasting.take());
        let since = self.first.take().or(self.last).unwrap_or(self.now);
        let why = io::Error::new(io::ErrorKind::NotFound, why);
        self.failed(&RingError::io("writing", path)(why), since);
        self.written.packets -= own;
        self.written.lost += own;
        if let Some(failure) = &mut self.failure {
            failure.packets += packets;
            failure.retry_at = self.arrival;
        }
    }

    /// Takes the ring over again where there is one, or where there is room for one.
    pub(super) fn retake(&mut self) -> Result<(), RingError> {
        let dating = match self.stream {
            Some(_) => Dating::Stream(None),
            None => Dating::Arrival,
        };
        let opened = opening::open(
            &*self.storage,
            &self.dir,
            &self.settings.as_changes(),
            &dating,
            self.now,
            Making::Again,
        )?;
        self.go_on_with(opened);
        Ok(())
    }

    fn go_on_with(&mut self, opened: Opened) {
        let Opened {
            lock,
            settings,
            segment,
            index,
            lasting,
            digest,
            end,
            events,
            ..
        } = opened;
        self.lock = Some(lock);
        self.settings = settings;
        self.events.extend(events);
        self.filing.index = index;
        self.filing.lasting = lasting;
        self.filing.digest = digest;
        self.filing.indexer = Indexer::default();
        if let (Some(gone), Some(failure)) = (self.gone.take(), &mut self.failure) {
            // A file system that came back has what was written before it went.
            let same = segment.as_ref().filter(|s| s.open.name == gone.name);
            let there = same.map_or(0, |same| same.open.bytes.min(gone.bytes));
            let packets = there / PACKET_SIZE as u64;
            failure.packets = failure.packets.saturating_sub(packets);
            // Those of this run stand behind the others.
            let own = (packets + gone.own).saturating_sub(gone.bytes / PACKET_SIZE as u64);
            self.written.lost -= own;
            self.written.packets += own;
            failure.since = match (packets, gone.first) {
                (0, Some(first)) => failure.since.min(first),
                _ => end.unwrap_or(failure.since),
            };
        }
        self.first = segment.as_ref().and_then(|s| s.first);
        self.segment = segment.map(|s| s.open);
        self.held.block_at = end.unwrap_or(self.now);
        self.step_back =
            self.stream.is_none() && end.is_some_and(|end| end - self.now > Ticks27M::SECOND);
        self.last = self.last.max(end);
        self.note_failure();
        self.share_files();
    }
}
