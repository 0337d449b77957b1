//! The recorder: appends blocks, rotates, survives what disks and clocks do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::stream::{Batch, Counters};
use crate::ts::{PACKET_SIZE, Packet};
use crate::units::{Arrival, Ticks27M, WallTime};

use super::clock::{PcrClock, UtcClock};
use super::dated::Dated;
use super::epoch;
use super::error::{RingError, RingEvent};
use super::index::{GapCause, Record, What};
use super::index_writer::{IndexWriter, extend_digest, prune_digest};
use super::indexer::Indexer;
use super::layout::SegmentName;
use super::opening::{self, Opened};
use super::segment::{BLOCK, BLOCK_BYTES, OpenSegment, PER_BLOCK};
use super::settings::{Changes, Settings};
use super::stamps::put_stamp;
use super::storage::{Lock, Storage};
use super::upkeep::{Shared, Stagger};

/// A block that is not full is written when its first packet has waited this long.
pub const PARTIAL_AFTER: Ticks27M = Ticks27M::new(27_000_000 / 2);

/// Silence from this length on is recorded as a gap.
pub const SILENCE: Ticks27M = Ticks27M::SECOND;

/// After a failed write the next is tried this much later.
const RETRY_AFTER: Ticks27M = Ticks27M::SECOND;

/// The index is written this often, each ring at its own phase.
pub(super) const INDEX_EVERY: Ticks27M = Ticks27M::new(2 * 27_000_000);

/// How packets get their stamps.
#[derive(Clone, Debug)]
pub enum Dating {
    /// By arrival.
    Arrival,
    /// By the stream's own clock, as if received from this instant on; when none is given, from
    /// where the ring ends, or from now in an empty one.
    Stream(Option<WallTime>),
}

/// What the recorder has counted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Packets on the disk, or held for at most a second.
    pub packets: u64,
    /// Packets that could not be written.
    pub lost: u64,
    /// Packets that never reached the writer because it was too slow.
    pub overflowed: u64,
    /// Segments begun.
    pub segments: u64,
    /// Writes that failed.
    pub failures: u64,
}

/// Since when and why nothing can be written.
struct Failure {
    cause: GapCause,
    since: WallTime,
    packets: u64,
    retry_at: Arrival,
    /// The gap is filed, with packets that are held and were not written yet.
    filed: bool,
}

/// The one writer of a ring.
pub struct Writer {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    lock: Box<dyn Lock>,
    settings: Settings,
    shared: Arc<Shared>,
    utc: UtcClock,
    stream: Option<PcrClock>,
    arrival: Arrival,
    /// UTC by `utc`, or by the stream, for flushes when nothing arrives.
    now: WallTime,

    segment: Option<OpenSegment>,
    /// The stamp of the first block of the segment.
    first: Option<WallTime>,
    index: Option<IndexWriter>,
    indexer: Indexer,
    /// What earlier segments hold that lasts, and what this one does.
    digest: Vec<Record>,
    lasting: Vec<Record>,
    /// Gaps and steps, to be recorded with the next packet.
    pending: Vec<(WallTime, What)>,

    /// Packets of a block that is not full, not written yet.
    carry: Vec<u8>,
    /// The stamp of the block that begins in `carry`; `None` when it is on the disk.
    carry_stamp: Option<WallTime>,
    /// The stamp of the block that is not full, wherever it is.
    block_at: WallTime,
    /// Reused: stamps as bytes, runs as positions with stamps.
    stamps: Vec<u8>,
    runs: Vec<(usize, WallTime)>,

    /// The stamp of the last packet, of this run or where the ring ended; no later one is less.
    last: Option<WallTime>,
    /// A packet of this run was taken.
    started: bool,
    /// The wall clock was set back, and the segment is not changed yet.
    step_back: bool,
    overflowed: u64,
    failure: Option<Failure>,
    index_due: Stagger,
    index_failing: bool,
    written: Written,
    events: Vec<RingEvent>,
}

impl Writer {
    /// Opens the ring in `dir` to append to it, making it when it is not there. What a kill or a
    /// power loss left is put right first.
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        changes: &Changes,
        dating: &Dating,
        arrival: Arrival,
        wall: WallTime,
    ) -> Result<Self, RingError> {
        let Opened {
            lock,
            settings,
            start,
            segment,
            index,
            lasting,
            digest,
            end,
            events,
        } = opening::open(&*storage, dir, changes, dating, wall)?;
        let step_back = end.is_some_and(|end| end - start > Ticks27M::SECOND);
        let shared = Arc::new(Shared::new(&settings, start, &digest));
        let writer = Self {
            index_due: Stagger::new(dir, INDEX_EVERY, arrival),
            storage,
            dir: dir.to_owned(),
            lock,
            settings,
            shared,
            utc: UtcClock::new(arrival, wall),
            stream: matches!(dating, Dating::Stream(_)).then(|| PcrClock::new(start)),
            arrival,
            now: start,
            first: segment.as_ref().and_then(|s| s.first),
            block_at: end.unwrap_or(start),
            segment: segment.map(|s| s.open),
            index,
            indexer: Indexer::default(),
            digest,
            lasting,
            pending: Vec::new(),
            carry: Vec::with_capacity(BLOCK),
            carry_stamp: None,
            stamps: Vec::new(),
            runs: Vec::new(),
            last: end,
            started: false,
            step_back,
            overflowed: 0,
            failure: None,
            index_failing: false,
            written: Written::default(),
            events,
        };
        writer.share_files();
        Ok(writer)
    }

    /// What the upkeep of this ring needs to know; see [`super::Upkeep`].
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was counted.
    pub fn written(&self) -> Written {
        self.written
    }

    /// The stamp of the last packet; `None` in an empty ring.
    pub fn last(&self) -> Option<WallTime> {
        self.last
    }

    /// Hands over the counters.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("recorded_packets", self.written.packets);
        out.set("lost_packets", self.written.lost);
        out.set("overflowed_packets", self.written.overflowed);
        out.set("segments_total", self.written.segments);
        out.set("write_failures_total", self.written.failures);
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&RingEvent)) {
        self.events.drain(..).for_each(|e| sink(&e));
    }

    /// To be called in every turn, before what was received in it is appended: looks at the wall
    /// clock, and writes what waits.
    pub fn turn(&mut self, arrival: Arrival, wall: WallTime) {
        self.arrival = arrival;
        if self.stream.is_none() {
            if let Some(by) = self.utc.observe(arrival, wall) {
                self.events.push(RingEvent::ClockStep { by });
                self.pending.push((wall, What::ClockStep { by }));
                self.shared.note_step(wall, by);
                self.step_back |= by.is_negative();
            }
            self.now = self.utc.utc(arrival);
            self.shared.set_now(self.now);
        }
        let waited = self.now - self.block_at;
        if !self.carry.is_empty() && (waited >= PARTIAL_AFTER || waited.is_negative()) {
            self.flush_carry();
        }
        if self.index_due.is_due(arrival) && self.failure.is_none() {
            self.flush_index(false);
        }
    }

    /// Appends what was received. Never fails: what the disk does not take is counted, told, and
    /// recorded as a gap when it takes again.
    pub fn append(&mut self, batch: &Batch) {
        if let Some(mut clock) = self.stream.take() {
            clock.push(batch.packets(), &mut |p, at, span| {
                self.put_evenly(p, at, span)
            });
            self.stream = Some(clock);
            return;
        }
        let packets = batch.packets();
        let Some(mut begin) = self.step_back_first(packets) else {
            return;
        };
        let mut runs = std::mem::take(&mut self.runs);
        runs.clear();
        let mut at = begin;
        let mut position = 0;
        let mut last = self.last;
        for (arrival, run) in batch.runs() {
            position += run.len();
            if position <= at {
                continue;
            }
            let stamp = self.utc.utc(arrival);
            let stamp = last.map_or(stamp, |last| stamp.max(last));
            if !runs.is_empty() && last.is_some_and(|last| stamp - last >= SILENCE) {
                self.put(
                    packets.get(begin..at).unwrap_or_default(),
                    &Dated::Runs(&runs),
                );
                runs.clear();
                begin = at;
            }
            runs.push((at - begin, stamp));
            last = Some(stamp);
            at = position;
        }
        self.put(
            packets.get(begin..).unwrap_or_default(),
            &Dated::Runs(&runs),
        );
        self.runs = runs;
    }

    /// Tells that `packets` were received and dropped before they reached the writer.
    pub fn overflowed(&mut self, packets: u64) {
        self.overflowed += packets;
        self.written.overflowed += packets;
    }

    /// True when stamps come from the stream and it had no clock to take them from.
    pub fn lacks_clock(&self) -> bool {
        self.stream.as_ref().is_some_and(|c| !c.has_pace())
    }

    /// Writes all that waits, and makes it last. The ring can be appended to later.
    pub fn close(&mut self) {
        if let Some(mut clock) = self.stream.take() {
            clock.finish(&mut |p, at, span| self.put_evenly(p, at, span));
            self.stream = Some(clock);
        }
        self.flush_carry();
        // A failure that lasts to the end leaves its gap, as far as the disk allows.
        self.end_gap(self.now);
        if let Some(bytes) = self.segment.as_ref().map(|s| s.bytes) {
            // An index speaks only of packets that are there: the last stands for the next.
            self.file_pending(bytes.saturating_sub(PACKET_SIZE as u64));
        }
        self.flush_index(false);
        self.shared.sync_now(&mut |e| self.events.push(e));
    }

    fn put_evenly(&mut self, packets: &[Packet], at: WallTime, span: Ticks27M) {
        let count = packets.len();
        self.put(packets, &Dated::Even { at, span, count });
        self.now = at + span;
        self.shared.set_now(self.now);
    }

    /// Appends packets with their stamps.
    fn put(&mut self, packets: &[Packet], dated: &Dated<'_>) {
        if packets.is_empty() {
            return;
        }
        let first = dated.stamp(0);
        if !self.may_write() {
            self.lose(packets.len());
            return;
        }
        self.note_gap(first);
        self.last = Some(dated.stamp(packets.len() - 1));
        let mut from = 0;
        while from < packets.len() {
            if let Err(e) = self.ready_for(dated.stamp(from)) {
                self.failed(&e, first);
                self.lose(packets.len() - from);
                return;
            }
            from = self.take(packets, from, dated);
        }
    }

    /// After a backward step, the block that is not full is filled under the old clock; then
    /// what is stamped later makes room. Returns how many packets that took; `None` when it
    /// failed and all are lost.
    fn step_back_first(&mut self, packets: &[Packet]) -> Option<usize> {
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
                Some(filling)
            }
            Err(e) => {
                self.failed(&e, self.now);
                self.lose(packets.len() - filling);
                None
            }
        }
    }

    /// False while a failure is too fresh to try again.
    fn may_write(&mut self) -> bool {
        match &self.failure {
            // What is held since waits for its block in a segment that was mended.
            Some(failure) if failure.filed => true,
            Some(failure) => self.arrival >= failure.retry_at && self.mend(),
            None => true,
        }
    }

    /// Opens the segment anew after a failure. One that cannot be opened is given up when its
    /// time is over.
    fn mend(&mut self) -> bool {
        let Some(segment) = &self.segment else {
            return true;
        };
        let name = segment.name;
        // What a failed write left behind was counted as lost.
        let sure = (segment.bytes, segment.blocks);
        let reopened =
            OpenSegment::reopen(&*self.storage, &self.dir, &[name], 0, Some(Ticks27M::ZERO))
                .and_then(|(mut reopened, _)| reopened.cut_to(sure).map(|()| reopened));
        match reopened {
            Ok(reopened) => {
                if let Some(index) = &mut self.index {
                    index.forget_from(reopened.bytes);
                }
                self.segment = Some(reopened);
                self.share_files();
                true
            }
            Err(_) if self.now >= name.end() => {
                self.segment = None;
                let known = self.index.take().map(|index| index.known());
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

    /// Notes why the next packet does not follow the last at once.
    fn note_gap(&mut self, at: WallTime) {
        let started = std::mem::replace(&mut self.started, true);
        let dropped = std::mem::take(&mut self.overflowed);
        let Some(last) = self.last else {
            return;
        };
        let gap = at - last;
        let cause = match (started, dropped) {
            _ if self.failure.is_some() => return,
            // A recording filed behind another joins it.
            (false, _) if self.settings.stream_clock && gap < SILENCE => return,
            (false, _) => {
                self.events.push(RingEvent::Resumed { gap });
                GapCause::NotRunning
            }
            (true, 0) if gap < SILENCE => return,
            (true, 0) => {
                self.events.push(RingEvent::Silence { gap });
                GapCause::Silence
            }
            (true, _) => {
                self.indexer.reset();
                GapCause::Overflow
            }
        };
        let gap = What::Gap {
            cause,
            until: at,
            packets: dropped,
        };
        self.pending.push((last, gap));
    }

    /// Bytes of the block that is not full.
    fn open_block(&self) -> usize {
        let on_disk = self.segment.as_ref().map_or(0, |s| s.bytes % BLOCK_BYTES);
        (on_disk as usize + self.carry.len()) % BLOCK
    }

    /// Sees to it that there is a segment for a packet stamped `at`.
    fn ready_for(&mut self, at: WallTime) -> Result<(), RingError> {
        if let Some(segment) = &self.segment
            && (self.open_block() != 0 || at < segment.name.end())
        {
            return Ok(());
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
        self.index = Some(IndexWriter::new(name));
        self.first = None;
        self.written.segments += 1;
        self.share_files();
        Ok(())
    }

    /// Ends the segment, whose blocks are all full, and files its summary.
    fn leave_segment(&mut self) {
        if let Some(empty) = self.segment.take_if(|s| s.bytes == 0) {
            // Nothing could be written into it.
            for extension in epoch::FILES {
                let _ = self.storage.remove(&empty.name.path(&self.dir, extension));
            }
            self.index = None;
        }
        let indexed = self.flush_index(true);
        if let (Some(segment), Some(index)) = (self.segment.take(), self.index.take()) {
            if !indexed || index.is_incomplete() {
                self.shared.want_index(segment.name, index.known());
            }
            extend_digest(&mut self.digest, self.lasting.drain(..));
            if let (Some(first), Some(last)) = (self.first, self.last) {
                let last = last.min(segment.name.end()).max(first);
                let summary = index.summary(segment.bytes, first, last);
                extend_digest(&mut self.digest, [summary]);
            }
            prune_digest(&mut self.digest, self.shared.oldest());
        }
    }

    /// Takes packets from `from` on, as many as belong to this segment; returns how far it came.
    fn take(&mut self, packets: &[Packet], from: usize, dated: &Dated<'_>) -> usize {
        let Some(segment) = self.segment.as_mut() else {
            return packets.len();
        };
        let on_disk = (segment.bytes % BLOCK_BYTES) as usize;
        let filled = (on_disk + self.carry.len()) / PACKET_SIZE;
        let offset = segment.bytes + self.carry.len() as u64;
        let block_before = self.block_at;
        // Stamps of the blocks that begin here, up to the end of the segment.
        self.stamps.clear();
        if let Some(at) = self.carry_stamp {
            put_stamp(&mut self.stamps, at);
        }
        let mut begin = from + (PER_BLOCK - filled) % PER_BLOCK;
        let mut upto = packets.len();
        while begin < packets.len() {
            let at = dated.stamp(begin);
            if at >= segment.name.end() {
                upto = begin;
                break;
            }
            put_stamp(&mut self.stamps, at);
            self.block_at = at;
            begin += PER_BLOCK;
        }
        let taken = packets.get(from..upto).unwrap_or_default();
        let total = filled + taken.len();
        let left = total % PER_BLOCK;
        let bytes = Packet::bytes_of(taken);
        let writes = total >= PER_BLOCK;
        if writes {
            let (now, later) = bytes.split_at(bytes.len() - left * PACKET_SIZE);
            let whole = self.stamps.len() - if left > 0 { 8 } else { 0 };
            let stamps = self.stamps.get(..whole).unwrap_or_default();
            if let Err(e) = segment.append([&self.carry, now], stamps) {
                let path = segment.name.path(&self.dir, "ts");
                self.failed(&RingError::io("writing", &path)(e), dated.stamp(from));
                self.lose(taken.len());
                return upto;
            }
            self.carry.clear();
            self.carry.extend_from_slice(later);
            self.carry_stamp = (left > 0).then_some(self.block_at);
            self.shared.appended((taken.len() * PACKET_SIZE) as u64);
        } else {
            self.carry.extend_from_slice(bytes);
            if on_disk == 0 {
                self.carry_stamp = Some(self.block_at);
            }
        }
        self.written.packets += taken.len() as u64;
        self.first.get_or_insert(dated.stamp(from));
        self.end_gap(dated.stamp(from));
        if writes {
            self.recovered(dated.stamp(from));
        }
        self.file_pending(offset);
        if filled > 0 && dated.stamp(from) - block_before >= SILENCE {
            self.file(Record::new(offset, dated.stamp(from), What::Split));
        }
        let mut at = offset;
        for (stamp, run) in dated.runs(taken, from) {
            self.indexer.push(run, at, stamp);
            at += (run.len() * PACKET_SIZE) as u64;
        }
        let mut records = self.indexer.take();
        records.drain(..).for_each(|record| self.file(record));
        self.indexer.give_back(records);
        upto
    }

    fn file_pending(&mut self, offset: u64) {
        for (at, what) in std::mem::take(&mut self.pending) {
            self.file(Record::new(offset, at, what));
        }
    }

    fn file(&mut self, record: Record) {
        if record.lasts() {
            self.lasting.push(record.clone());
        }
        if let Some(index) = &mut self.index {
            index.push(record);
        }
    }

    /// Writes the packets of a block that is not full.
    fn flush_carry(&mut self) {
        if self.carry.is_empty() {
            return;
        }
        let Some(segment) = self.segment.as_mut() else {
            return;
        };
        self.stamps.clear();
        if let Some(at) = self.carry_stamp {
            put_stamp(&mut self.stamps, at);
        }
        match segment.append([&self.carry, &[]], &self.stamps) {
            Ok(()) => {
                self.carry.clear();
                self.carry_stamp = None;
                self.recovered(self.last.unwrap_or(self.now));
            }
            Err(e) => {
                let path = segment.name.path(&self.dir, "ts");
                self.failed(&RingError::io("writing", &path)(e), self.block_at);
            }
        }
    }

    /// False when it could not be written.
    fn flush_index(&mut self, closed: bool) -> bool {
        let (Some(segment), Some(index)) = (&self.segment, &mut self.index) else {
            return true;
        };
        let result = index.flush(
            &*self.storage,
            &self.dir,
            &self.digest,
            segment.bytes,
            self.last.unwrap_or(self.now),
            closed,
        );
        let done = result.is_ok();
        match result {
            Ok(()) => self.index_failing = false,
            Err(e) if !self.index_failing => {
                self.index_failing = true;
                self.events
                    .push(RingEvent::IndexFailed { why: e.to_string() });
            }
            Err(_) => {}
        }
        done
    }

    /// Something could not be written: what was held is lost, and the next try is a second off.
    fn failed(&mut self, error: &RingError, at: WallTime) {
        let held = self.carry.len() / PACKET_SIZE;
        self.carry.clear();
        self.carry_stamp = None;
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
    fn note_failure(&self) {
        let line = self.failure.as_ref().map(|failure| {
            let (cause, since) = (failure.cause.name(), failure.since.ticks());
            format!("{cause} {since} {}", failure.packets)
        });
        // A disk that takes no note either was told of already.
        let _ = self.lock.note(&line.unwrap_or_default());
    }

    fn lose(&mut self, packets: usize) {
        self.written.lost += packets as u64;
        if let Some(failure) = &mut self.failure {
            failure.packets += packets as u64;
        }
    }

    /// What was held is lost: neither the index nor the digest may speak of it.
    fn forget_unwritten(&mut self) {
        let Some(segment) = &self.segment else {
            return;
        };
        let bytes = segment.bytes;
        self.lasting.retain(|record| record.offset < bytes);
        if let Some(index) = &mut self.index {
            index.forget_from(bytes);
        }
        if bytes == 0 {
            self.first = None;
        }
    }

    /// Packets were taken after a failure: the gap ends with them, if they can be written.
    fn end_gap(&mut self, at: WallTime) {
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
        self.indexer.reset();
    }

    /// Something was written after a failure.
    fn recovered(&mut self, at: WallTime) {
        if let Some(failure) = self.failure.take() {
            self.note_failure();
            self.events.push(RingEvent::WriteResumed {
                packets: failure.packets,
                gap: (at - failure.since).max(Ticks27M::ZERO),
            });
        }
    }

    fn share_files(&self) {
        if let Some(segment) = &self.segment {
            self.shared.add_files([&segment.ts, &segment.aux]);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}
