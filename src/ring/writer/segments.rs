//! From one segment to the next, and the side index of each.

use crate::ts::{PACKET_SIZE, Packet};
use crate::units::WallTime;

use super::Writer;
use crate::ring::dated::Dated;
use crate::ring::epoch;
use crate::ring::error::{RingError, RingEvent};
use crate::ring::index::Record;
use crate::ring::index_writer::{IndexWriter, extend_digest, prune_digest};
use crate::ring::layout::SegmentName;
use crate::ring::segment::{BLOCK, BLOCK_BYTES, OpenSegment, PER_BLOCK};

impl Writer {
    /// After a backward step, the block that is not full is filled under the old clock; then
    /// what is stamped later makes room. Returns how many packets that took; `None` when it
    /// failed and all are lost.
    pub(super) fn step_back_first(&mut self, packets: &[Packet]) -> Option<usize> {
        if !self.step_back || packets.is_empty() {
            return Some(0);
        }
        if !self.may_write() {
            self.lose(packets.len());
            return None;
        }
        let missing = (PER_BLOCK - self.open_block() / PACKET_SIZE) % PER_BLOCK;
        let filling = missing.min(packets.len());
        let failures = self.written.failures;
        if let (1.., Some(last)) = (filling, self.last) {
            let runs = [(0, last)];
            self.put(
                packets.get(..filling).unwrap_or_default(),
                &Dated::Runs(&runs),
            );
        }
        if filling < missing || self.written.failures != failures {
            self.lose(packets.len() - filling);
            return (filling == packets.len()).then_some(filling);
        }
        self.leave_segment();
        let stepped = epoch::step_back(&*self.storage, &self.dir, self.settings.clone(), self.now);
        match stepped {
            Ok(settings) => {
                self.settings = settings;
                self.step_back = false;
                self.last = None;
                self.filing.indexer.clock_set();
                Some(filling)
            }
            Err(e) => {
                self.failed(&e, self.now);
                self.lose(packets.len() - filling);
                None
            }
        }
    }

    /// Bytes of the block that is not full.
    pub(super) fn open_block(&self) -> usize {
        let on_disk = self.segment.as_ref().map_or(0, |s| s.bytes % BLOCK_BYTES);
        (on_disk as usize + self.held.packets.len()) % BLOCK
    }

    /// Sees to it that there is a segment for a packet stamped `at`.
    pub(super) fn ready_for(&mut self, at: WallTime) -> Result<(), RingError> {
        if let Some(segment) = &self.segment
            && (self.open_block() != 0 || at < segment.name.end())
        {
            return Ok(());
        }
        if self.segment.is_some() && self.failure.is_none() {
            // What is left now is not looked at again.
            self.find_loss();
            if self.lock.is_none() {
                self.retake()?;
                return self.ready_for(at);
            }
        }
        self.leave_segment();
        let length = self.settings.length();
        let number = at.ticks().div_euclid(length.get());
        let name = SegmentName {
            epoch: 0,
            number,
            start: WallTime::from_ticks(number.saturating_mul(length.get())),
            length,
        };
        let path = name.path(&self.dir, "ts");
        let segment = OpenSegment::create(&*self.storage, &self.dir, name)
            .map_err(RingError::io("making", &path))?;
        self.segment = Some(segment);
        self.filing.index = Some(IndexWriter::new(name));
        self.first = None;
        self.written.segments += 1;
        self.share_files();
        Ok(())
    }

    /// Ends the segment, whose blocks are all full, and files its summary.
    pub(super) fn leave_segment(&mut self) {
        if let Some(empty) = self.segment.take_if(|s| s.bytes == 0) {
            // Nothing could be written into it.
            for extension in epoch::FILES {
                let _ = self.storage.remove(&empty.name.path(&self.dir, extension));
            }
            self.filing.index = None;
        }
        let indexed = self.flush_index(true);
        if let (Some(segment), Some(index)) = (self.segment.take(), self.filing.index.take()) {
            if !indexed || index.is_incomplete() {
                self.shared.want_index(segment.name, index.known());
            }
            extend_digest(&mut self.filing.digest, self.filing.lasting.take());
            if let (Some(first), Some(last)) = (self.first, self.last) {
                let last = last.min(segment.name.end()).max(first);
                let summary = index.summary(segment.bytes, first, last);
                extend_digest(&mut self.filing.digest, [summary]);
            }
            prune_digest(&mut self.filing.digest, self.shared.oldest());
        }
    }

    pub(super) fn file_pending(&mut self, offset: u64) {
        for (at, what) in std::mem::take(&mut self.pending) {
            self.file(Record::new(offset, at, what));
        }
    }

    pub(super) fn file(&mut self, record: Record) {
        if record.lasts() {
            self.filing.lasting.push(record.clone());
        }
        if let Some(index) = &mut self.filing.index {
            index.push(record);
        }
    }

    /// False when it could not be written.
    pub(super) fn flush_index(&mut self, closed: bool) -> bool {
        let (Some(segment), Some(index)) = (&self.segment, &mut self.filing.index) else {
            return true;
        };
        let result = index.flush(
            &*self.storage,
            &self.dir,
            &self.filing.digest,
            segment.bytes,
            self.last.unwrap_or(self.now),
            closed,
        );
        if index.became_full() {
            let name = segment.name.display();
            self.events.push(RingEvent::IndexFull { name });
        }
        let done = result.is_ok();
        match result {
            Ok(()) => self.filing.failing = false,
            Err(e) if !self.filing.failing => {
                self.filing.failing = true;
                self.events
                    .push(RingEvent::IndexFailed { why: e.to_string() });
            }
            Err(_) => {}
        }
        done
    }

    pub(super) fn share_files(&self) {
        if let Some(segment) = &self.segment {
            self.shared.add_files([&segment.ts, &segment.aux]);
        }
    }
}
