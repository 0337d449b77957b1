//! The recorder: appends blocks, rotates, survives what disks and clocks do.

mod failing;
mod lost;
mod segments;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::stream::{Batch, Counters};
use crate::ts::{PACKET_SIZE, Packet};
use crate::units::{Arrival, Ticks27M, WallTime};

use super::clock::{PcrClock, UtcClock};
use super::dated::Dated;
use super::error::{RingError, RingEvent};
use super::index::{GapCause, Record, What};
use super::index_writer::{IndexWriter, Lasting};
use super::indexer::Indexer;
use super::opening::{self, Making, Opened};
use super::segment::{BLOCK, BLOCK_BYTES, OpenSegment, PER_BLOCK};
use super::settings::{Changes, Settings};
use super::stamps::put_stamp;
use super::storage::{Lock, Storage};
use super::unfiled::Unfiled;
use super::upkeep::{Shared, Stagger};
use failing::Failure;
use lost::Gone;

/// A block that is not full is written when its first packet has waited this long.
pub const PARTIAL_AFTER: Ticks27M = Ticks27M::new(27_000_000 / 2);

/// Silence from this length on is recorded as a gap.
pub const SILENCE: Ticks27M = Ticks27M::SECOND;

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

/// A block that is not full.
struct Held {
    /// Packets of it that are not written yet.
    packets: Vec<u8>,
    /// Its stamp, when it begins in `packets`; `None` when that is on the disk.
    stamp: Option<WallTime>,
    /// Its stamp, wherever that is.
    block_at: WallTime,
}

/// What goes into the side index.
struct Filing {
    index: Option<IndexWriter>,
    indexer: Indexer,
    /// What earlier segments hold that lasts, and what this one does.
    digest: Vec<Record>,
    lasting: Lasting,
    due: Stagger,
    failing: bool,
}

/// The one writer of a ring.
pub struct Writer {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    /// `None` while the ring is gone.
    lock: Option<Box<dyn Lock>>,
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
    filing: Filing,
    /// Gaps and steps, to be recorded with the next packet.
    pending: Vec<(WallTime, What)>,

    held: Held,
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
    /// When names are looked at again, and what went with the ring.
    look_at: Arrival,
    gone: Option<Gone>,
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
            lost_until,
            pending,
            events,
        } = opening::open(&*storage, dir, changes, dating, wall, Making::Above)?;
        let last = lost_until.or(end);
        let step_back = last.is_some_and(|last| last - start > Ticks27M::SECOND);
        let shared = Arc::new(Shared::new(&settings, start, &digest));
        let writer = Self {
            storage,
            dir: dir.to_owned(),
            lock: Some(lock),
            settings,
            shared,
            utc: UtcClock::new(arrival, wall),
            stream: matches!(dating, Dating::Stream(_)).then(|| PcrClock::new(start)),
            arrival,
            now: start,
            first: segment.as_ref().and_then(|s| s.first),
            segment: segment.map(|s| s.open),
            filing: Filing {
                index,
                indexer: Indexer::default(),
                digest,
                lasting,
                due: Stagger::new(dir, INDEX_EVERY, arrival),
                failing: false,
            },
            pending,
            held: Held {
                packets: Vec::with_capacity(BLOCK),
                stamp: None,
                block_at: end.unwrap_or(start),
            },
            stamps: Vec::new(),
            runs: Vec::new(),
            last,
            started: false,
            step_back,
            overflowed: 0,
            failure: None,
            look_at: arrival,
            gone: None,
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
                if by.is_negative() {
                    self.step_back = true;
                } else {
                    self.filing.indexer.clock_set();
                }
            }
            self.now = self.utc.utc(arrival);
            self.shared.set_now(self.now);
        }
        self.look_for_loss(arrival);
        let waited = self.now - self.held.block_at;
        if !self.held.packets.is_empty() && (waited >= PARTIAL_AFTER || waited.is_negative()) {
            self.flush_carry();
        }
        if self.filing.due.is_due(arrival) && self.failure.is_none() {
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
        let unwritten = Unfiled::of(&self.pending);
        let mut filed = false;
        if let Some(bytes) = self.segment.as_ref().map(|s| s.bytes) {
            // An index speaks only of packets that are there: the last stands for the next.
            self.file_pending(bytes.saturating_sub(PACKET_SIZE as u64));
            filed = self.filing.index.is_some();
        }
        filed &= self.flush_index(false);
        if let (Some(lock), Some(gap)) = (&self.lock, unwritten) {
            let line = if filed { String::new() } else { gap.line() };
            let _ = lock.note(&line);
        }
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
                self.filing.indexer.reset();
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

    /// Takes packets from `from` on, as many as belong to this segment; returns how far it came.
    fn take(&mut self, packets: &[Packet], from: usize, dated: &Dated<'_>) -> usize {
        let Some(segment) = self.segment.as_mut() else {
            return packets.len();
        };
        let on_disk = (segment.bytes % BLOCK_BYTES) as usize;
        let filled = (on_disk + self.held.packets.len()) / PACKET_SIZE;
        let offset = segment.bytes + self.held.packets.len() as u64;
        let block_before = self.held.block_at;
        // Stamps of the blocks that begin here, up to the end of the segment.
        self.stamps.clear();
        if let Some(at) = self.held.stamp {
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
            self.held.block_at = at;
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
            if let Err(e) = segment.append([&self.held.packets, now], stamps) {
                let path = segment.name.path(&self.dir, "ts");
                self.failed(&RingError::io("writing", &path)(e), dated.stamp(from));
                self.lose(taken.len());
                return upto;
            }
            self.held.packets.clear();
            self.held.packets.extend_from_slice(later);
            self.held.stamp = (left > 0).then_some(self.held.block_at);
            self.shared.appended((taken.len() * PACKET_SIZE) as u64);
        } else {
            self.held.packets.extend_from_slice(bytes);
            if on_disk == 0 {
                self.held.stamp = Some(self.held.block_at);
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
            self.filing.indexer.push(run, at, stamp);
            at += (run.len() * PACKET_SIZE) as u64;
        }
        let mut records = self.filing.indexer.take();
        records.drain(..).for_each(|record| self.file(record));
        self.filing.indexer.give_back(records);
        upto
    }

    /// Writes the packets of a block that is not full.
    fn flush_carry(&mut self) {
        if self.held.packets.is_empty() {
            return;
        }
        let Some(segment) = self.segment.as_mut() else {
            return;
        };
        self.stamps.clear();
        if let Some(at) = self.held.stamp {
            put_stamp(&mut self.stamps, at);
        }
        match segment.append([&self.held.packets, &[]], &self.stamps) {
            Ok(()) => {
                self.held.packets.clear();
                self.held.stamp = None;
                self.recovered(self.last.unwrap_or(self.now));
            }
            Err(e) => {
                let path = segment.name.path(&self.dir, "ts");
                self.failed(&RingError::io("writing", &path)(e), self.held.block_at);
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}
