//! What the recorder does while the disk takes nothing: counts, tries again, leaves a gap.

use crate::ts::PACKET_SIZE;
use crate::units::{Arrival, Ticks27M, WallTime};

use super::Writer;
use crate::ring::error::{RingError, RingEvent};
use crate::ring::index::{GapCause, What};
use crate::ring::layout::SegmentName;
use crate::ring::segment::OpenSegment;
use crate::ring::unfiled::Unfiled;

const TICK: Ticks27M = Ticks27M::new(1);

/// After a failed write the next is tried this much later.
const RETRY_AFTER: Ticks27M = Ticks27M::SECOND;

/// Since when and why nothing can be written.
pub(super) struct Failure {
    pub(super) cause: GapCause,
    pub(super) since: WallTime,
    pub(super) packets: u64,
    pub(super) retry_at: Arrival,
    /// The gap is filed, with packets that are held and were not written yet.
    pub(super) filed: bool,
}

impl Writer {
    /// False while a failure is too fresh to try again.
    pub(super) fn may_write(&mut self) -> bool {
        match &self.failure {
            // What is held since waits for its block in a segment that was mended.
            Some(failure) if failure.filed => true,
            Some(failure) => self.arrival >= failure.retry_at && self.mend(),
            None => true,
        }
    }

    /// Opens the segment anew after a failure. One that cannot be opened is given up when its
    /// time is over.
    pub(super) fn mend(&mut self) -> bool {
        if self.has_lost_ring() {
            if self.lock.is_some() {
                self.lose_ring();
            }
            let retaken = self.retake();
            if let Err(e) = &retaken {
                self.failed(e, self.now);
            }
            return retaken.is_ok();
        }
        let Some(segment) = &self.segment else {
            return true;
        };
        let name = segment.name;
        // What a failed write left behind was counted as lost.
        let sure = (segment.bytes, segment.blocks);
        // Stamps that are lost lie before the last.
        let upto = self
            .last
            .map_or(name.length, |last| last + TICK - name.start);
        let short = SegmentName {
            length: upto.clamp(TICK, name.length),
            ..name
        };
        let unsure = Some(Ticks27M::ZERO);
        let reopened = OpenSegment::reopen(&*self.storage, &self.dir, &[short], 0, unsure)
            .and_then(|(mut reopened, _)| reopened.cut_to(sure).map(|()| reopened))
            .map(|reopened| OpenSegment { name, ..reopened });
        match reopened {
            Ok(reopened) => {
                if let Some(index) = &mut self.filing.index {
                    index.forget_from(reopened.bytes);
                }
                self.segment = Some(reopened);
                self.share_files();
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let path = name.path(&self.dir, "ts");
                self.lose_segment(&path, "the file was removed");
                true
            }
            Err(_) if self.now >= name.end() => {
                self.segment = None;
                let known = self.filing.index.take().map(|index| index.known());
                self.shared.want_index(name, known.unwrap_or_default());
                true
            }
            Err(e) => {
                let path = name.path(&self.dir, "ts");
                self.failed(&RingError::io("opening", &path)(e), self.now);
                false
            }
        }
    }

    /// Something could not be written: what was held is lost, and the next try is a second off.
    pub(super) fn failed(&mut self, error: &RingError, at: WallTime) {
        let held = self.held.packets.len() / PACKET_SIZE;
        self.held.packets.clear();
        self.held.stamp = None;
        self.written.packets -= held as u64;
        self.written.failures += 1;
        self.forget_unwritten();
        let retry_at = self.arrival + RETRY_AFTER;
        if let Some(failure) = &mut self.failure {
            failure.retry_at = retry_at;
            failure.filed = false;
            self.lose(held);
            self.note_failure();
            return;
        }
        let cause = match error {
            RingError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                GapCause::DiskFull
            }
            RingError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                GapCause::Missing
            }
            _ => GapCause::DiskError,
        };
        self.events.push(RingEvent::WriteFailed {
            cause,
            why: error.to_string(),
        });
        self.shared.want_room();
        self.failure = Some(Failure {
            cause,
            since: at,
            packets: 0,
            retry_at,
            filed: false,
        });
        self.lose(held);
        self.note_failure();
    }

    /// Tells who looks at the ring what its files cannot say while nothing can be written.
    pub(super) fn note_failure(&self) {
        let line = self.failure.as_ref().map(|failure| {
            let noted = Unfiled {
                cause: failure.cause,
                since: failure.since,
                until: self.now,
                packets: failure.packets,
            };
            noted.line()
        });
        // A disk that takes no note either was told of already.
        if let Some(lock) = &self.lock {
            let _ = lock.note(&line.unwrap_or_default());
        }
    }

    pub(super) fn lose(&mut self, packets: usize) {
        self.written.lost += packets as u64;
        if let Some(failure) = &mut self.failure {
            failure.packets += packets as u64;
        }
    }

    /// What was held is lost: neither the index nor the digest may speak of it.
    pub(super) fn forget_unwritten(&mut self) {
        let Some(segment) = &self.segment else {
            return;
        };
        let bytes = segment.bytes;
        self.filing.lasting.forget_from(bytes);
        if let Some(index) = &mut self.filing.index {
            index.forget_from(bytes);
        }
        if bytes == 0 {
            self.first = None;
        }
    }

    /// Packets were taken after a failure: the gap ends with them, if they can be written.
    pub(super) fn end_gap(&mut self, at: WallTime) {
        let Some(failure) = self.failure.as_mut().filter(|f| !f.filed) else {
            return;
        };
        failure.filed = true;
        let gap = What::Gap {
            cause: failure.cause,
            until: at,
            packets: failure.packets,
        };
        // The wall clock may have been set back meanwhile.
        self.pending.push((failure.since.min(at), gap));
        self.filing.indexer.reset();
    }

    /// Something was written after a failure.
    pub(super) fn recovered(&mut self, at: WallTime) {
        if let Some(failure) = self.failure.take() {
            self.note_failure();
            self.events.push(RingEvent::WriteResumed {
                packets: failure.packets,
                gap: (at - failure.since).max(Ticks27M::ZERO),
            });
        }
    }
}
