//! What a ring needs besides appending: syncs, expiry, indexes that could not be written, on a
//! thread of their own.
//!
//! They may take seconds on a busy disk. The writer shares with them what they need to know,
//! through a lock that is held for some copies only, and never waits for them. Rings on one
//! machine do this work at different instants, by a hash of their directories.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::units::{Arrival, Ticks27M, WallTime};

use super::epoch::FILES;
use super::error::RingEvent;
use super::index::{Record, What};
use super::layout::{Layout, SegmentName, epoch_dir};
use super::rebuild::{Rebuild, is_indexed};
use super::settings::{ASIDE, EPOCH_SETTINGS, Settings};
use super::storage::{Storage, StoredFile};

/// Old segments are looked for this often.
const EXPIRE_EVERY: Ticks27M = Ticks27M::new(10 * 27_000_000);

/// The limits are looked at after so many bytes at most.
const STEP: u64 = 16 << 20;

/// Steps of 1.3 MB of an index that is made anew in one turn: 32 MB/s, so that neither syncs nor
/// the recording wait for it.
const REINDEX_STEPS: usize = 6;
/// An index that cannot be made is tried again this much later.
const REINDEX_AGAIN: Ticks27M = Ticks27M::new(10 * 27_000_000);

/// When to do a periodic work: at the same phase of each period, which differs between rings.
#[derive(Clone, Debug)]
pub(super) struct Stagger {
    period: Ticks27M,
    next: Arrival,
}

impl Stagger {
    pub(super) fn new(dir: &Path, period: Ticks27M, now: Arrival) -> Self {
        // FNV-1a: stable over runs and versions.
        let bytes = dir.as_os_str().as_encoded_bytes();
        let hash = bytes.iter().fold(0xCBF2_9CE4_8422_2325u64, |h, b| {
            (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01B3)
        });
        let phase = (hash >> 33) as i64 % period.get().max(1);
        let since = (now.ticks() - phase).rem_euclid(period.get().max(1));
        let next = now + period - Ticks27M::new(since);
        Self { period, next }
    }

    pub(super) fn is_due(&mut self, now: Arrival) -> bool {
        if now < self.next {
            return false;
        }
        let late = now - self.next;
        let periods = late.get() / self.period.get().max(1) + 1;
        self.next += self.period * periods;
        true
    }
}

/// What the writer and the upkeep of a ring share.
pub struct Shared {
    now: AtomicI64,
    oldest: AtomicI64,
    /// Bytes appended since room was asked for.
    appended: AtomicU64,
    keep: Keep,
    state: Mutex<State>,
    /// Room is wanted, or was made.
    room: Condvar,
}

/// What becomes of a wish for room.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum Room {
    #[default]
    Enough,
    Wanted,
    InTheMaking,
}

/// What is kept.
#[derive(Copy, Clone, Debug)]
struct Keep {
    age: Ticks27M,
    max_bytes: Option<u64>,
    min_free: Option<u64>,
    sync: Ticks27M,
}

impl Keep {
    /// After so many bytes appended the limits are looked at: a 64th of the smaller one, so that
    /// keeping to it costs little of it, and 16 MiB at most.
    fn step(&self) -> u64 {
        let limits = [self.max_bytes, self.min_free].into_iter().flatten();
        let least = limits.min().map(|limit| limit / 64);
        least.map_or(u64::MAX, |step| step.clamp(1, STEP))
    }
}

#[derive(Default)]
struct State {
    /// Files written since the last sync; the last two are those of the open segment.
    files: Vec<Arc<dyn StoredFile>>,
    /// A file was made since the directory was synced.
    directory: bool,
    /// Forward steps of the wall clock.
    steps: Vec<(WallTime, Ticks27M)>,
    room: Room,
    /// Closed segments whose index could not be written, with what only the writer knew.
    unindexed: VecDeque<(SegmentName, Vec<Record>)>,
}

impl Shared {
    pub(super) fn new(settings: &Settings, now: WallTime, digest: &[Record]) -> Self {
        let steps = digest.iter().filter_map(|r| match r.what {
            What::ClockStep { by } if !by.is_negative() => Some((r.at, by)),
            _ => None,
        });
        Self {
            now: AtomicI64::new(now.ticks()),
            oldest: AtomicI64::new(i64::MIN),
            appended: AtomicU64::new(0),
            room: Condvar::new(),
            keep: Keep {
                age: settings.keep(),
                max_bytes: settings.max_bytes,
                min_free: settings.min_free,
                sync: settings.sync(),
            },
            state: Mutex::new(State {
                steps: steps.collect(),
                directory: true,
                ..State::default()
            }),
        }
    }

    /// A thread that panicked while it held the lock left copies only: go on.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_now(&self, now: WallTime) {
        self.now.store(now.ticks(), Ordering::Relaxed);
    }

    pub(super) fn note_step(&self, at: WallTime, by: Ticks27M) {
        if by.is_negative() {
            // Stamps differ from the wall clock by less than a second.
            let least = at + -Ticks27M::SECOND;
            self.oldest.fetch_min(least.ticks(), Ordering::Relaxed);
        } else {
            self.state().steps.push((at, by));
        }
    }

    /// Asks for an expiry at once: the disk is full, or a limit is near.
    pub(super) fn want_room(&self) {
        self.state().room = Room::Wanted;
        self.room.notify_all();
    }

    /// Counts what was appended, and asks for room when it is time to look at the limits.
    pub(super) fn appended(&self, bytes: u64) {
        let step = self.keep.step();
        if step < u64::MAX && self.appended.fetch_add(bytes, Ordering::Relaxed) + bytes >= step {
            self.appended.store(0, Ordering::Relaxed);
            self.want_room();
        }
    }

    /// Has the index of a closed segment made anew.
    pub(super) fn want_index(&self, name: SegmentName, known: Vec<Record>) {
        self.state().unindexed.push_back((name, known));
    }

    /// For the thread of the upkeep: sleeps until room is wanted, `most` at most.
    pub fn sleep(&self, most: Duration) {
        let idle = |state: &mut State| state.room != Room::Wanted;
        drop(self.room.wait_timeout_while(self.state(), most, idle));
    }

    /// For who files faster than it was received: waits until the room that was asked for is
    /// made, `most` at most; false when it is not.
    pub fn wait_for_room(&self, most: Duration) -> bool {
        let wanted = |state: &mut State| state.room != Room::Enough;
        let waited = self.room.wait_timeout_while(self.state(), most, wanted);
        waited.is_ok_and(|(_, limit)| !limit.timed_out())
    }

    /// Where the oldest segment starts that expiry left.
    pub(super) fn oldest(&self) -> WallTime {
        WallTime::from_ticks(self.oldest.load(Ordering::Relaxed))
    }

    pub(super) fn add_files(&self, files: [&Arc<dyn StoredFile>; 2]) {
        let mut state = self.state();
        state.files.extend(files.map(Arc::clone));
        state.directory = true;
    }

    /// Closes what was removed before it was synced: an open file keeps its room.
    fn let_go(&self) {
        let files = &mut self.state().files;
        files.retain(|file| !file.removed().unwrap_or(false));
    }

    /// Closes all that was written: its names are gone.
    pub(super) fn forget_files(&self) {
        self.state().files.clear();
    }

    /// Syncs the packets and stamps written so far.
    pub(super) fn sync_now(&self, event: &mut dyn FnMut(RingEvent)) {
        let files = {
            let mut state = self.state();
            let files = state.files.clone();
            let closed = state.files.len().saturating_sub(2);
            state.files.drain(..closed);
            files
        };
        // Packets before their stamps.
        for file in files {
            if let Err(e) = file.sync() {
                event(failed("fdatasync", &e));
            }
        }
    }
}

fn failed(doing: &'static str, e: &io::Error) -> RingEvent {
    RingEvent::UpkeepFailed {
        doing,
        why: e.to_string(),
    }
}

/// Syncs, expires and mends indexes; made for a thread of its own.
pub struct Upkeep {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    shared: Arc<Shared>,
    sync: Stagger,
    expire: Stagger,
    short: bool,
    /// It was said that one segment takes more than the ring may.
    over: bool,
    /// What an earlier recorder left without an index was looked for.
    looked: bool,
    rebuild: Option<Rebuild>,
    /// When indexes are seen to again.
    index_at: Arrival,
}

impl Upkeep {
    /// How long a thread may sleep between turns.
    pub const TURN: Ticks27M = Ticks27M::new(27_000_000 / 4);

    /// The upkeep of the ring in `dir`; `shared` is its writer's.
    pub fn new(storage: Arc<dyn Storage>, dir: &Path, shared: Arc<Shared>, now: Arrival) -> Self {
        Self {
            sync: Stagger::new(dir, shared.keep.sync, now),
            expire: Stagger::new(dir, EXPIRE_EVERY.min(shared.keep.age), now),
            storage,
            dir: dir.to_owned(),
            shared,
            short: false,
            over: false,
            looked: false,
            rebuild: None,
            index_at: now,
        }
    }

    /// Does what is due at `now`.
    pub fn turn(&mut self, now: Arrival, event: &mut dyn FnMut(RingEvent)) {
        if self.sync.is_due(now) {
            let directory = std::mem::take(&mut self.shared.state().directory);
            self.shared.sync_now(event);
            if directory && let Err(e) = self.storage.sync_dir(&self.dir) {
                event(failed("sync of the directory", &e));
            }
        }
        if self.expire.is_due(now) || self.shared.state().room == Room::Wanted {
            self.expire(event);
        }
        if now >= self.index_at {
            self.reindex(now, event);
        }
    }

    /// Makes indexes anew that could not be written, a little at a time.
    fn reindex(&mut self, now: Arrival, event: &mut dyn FnMut(RingEvent)) {
        let storage = Arc::clone(&self.storage);
        if !std::mem::replace(&mut self.looked, true) {
            self.look_for_unindexed();
        }
        if self.rebuild.is_none() {
            let Some((name, known)) = self.shared.state().unindexed.pop_front() else {
                return;
            };
            match self.begin(&name, known.clone()) {
                Ok(rebuild) => self.rebuild = rebuild,
                // One that expired needs no index.
                Err(e) if e.kind() == io::ErrorKind::NotFound => return,
                Err(_) => {
                    self.shared.want_index(name, known);
                    self.index_at = now + REINDEX_AGAIN;
                    return;
                }
            }
        }
        for _ in 0..REINDEX_STEPS {
            let Some(rebuild) = &mut self.rebuild else {
                return;
            };
            let name = rebuild.name();
            match rebuild.step(&*storage, &self.dir, true) {
                Ok(false) => {}
                Ok(true) => {
                    let name = name.display();
                    if rebuild.became_full() {
                        let name = name.clone();
                        event(RingEvent::IndexFull { name });
                    }
                    self.rebuild = None;
                    event(RingEvent::Reindexed { name });
                }
                Err(_) => {
                    let known = self.rebuild.take().map(Rebuild::known);
                    self.shared.want_index(name, known.unwrap_or_default());
                    self.index_at = now + REINDEX_AGAIN;
                }
            }
        }
    }

    fn begin(&self, name: &SegmentName, known: Vec<Record>) -> io::Result<Option<Rebuild>> {
        let layout = Layout::read(&*self.storage, &self.dir).map_err(io::Error::other)?;
        let Some(at) = layout.segments.iter().position(|s| s == name) else {
            return Ok(None);
        };
        let bytes = self.storage.size(&name.path(&self.dir, "ts"))?;
        let upto = layout.segments.get(..=at).unwrap_or_default();
        Rebuild::begin(&*self.storage, &self.dir, upto, bytes, known)
    }

    /// What an earlier recorder left without an index. What multicat recorded never had one where
    /// its names are not of our making.
    fn look_for_unindexed(&self) {
        let Ok(layout) = Layout::read(&*self.storage, &self.dir) else {
            return;
        };
        let Some((_, closed)) = layout.segments.split_last() else {
            return;
        };
        for name in closed.iter().filter(|name| name.length > Ticks27M::ZERO) {
            if !is_indexed(&*self.storage, &self.dir, name) {
                self.shared.want_index(*name, Vec::new());
            }
        }
    }

    /// Lets old segments go.
    pub fn expire(&mut self, event: &mut dyn FnMut(RingEvent)) {
        self.shared.state().room = Room::InTheMaking;
        self.make_room(event);
        let mut state = self.shared.state();
        // More may have been asked for meanwhile.
        if state.room == Room::InTheMaking {
            state.room = Room::Enough;
        }
        self.shared.room.notify_all();
    }

    fn make_room(&mut self, event: &mut dyn FnMut(RingEvent)) {
        let layout = match Layout::read(&*self.storage, &self.dir) {
            Ok(layout) => layout,
            Err(e) => {
                event(RingEvent::UpkeepFailed {
                    doing: "listing the ring",
                    why: e.to_string(),
                });
                return;
            }
        };
        let steps = self.shared.state().steps.clone();
        let now = WallTime::from_ticks(self.shared.now.load(Ordering::Relaxed));
        let keep = self.shared.keep;
        let segments = layout.segments.as_slice();
        let aged = aged(segments, now, keep.age, &steps);
        let mut gone = aged;
        if let Some(most) = keep.max_bytes {
            // The next look is a step away.
            let (beyond, newest) = self.beyond(segments, most.saturating_sub(keep.step()));
            gone = gone.max(beyond);
            let over = newest > most;
            if over && !std::mem::replace(&mut self.over, over) {
                event(RingEvent::SegmentOverLimit {
                    bytes: newest,
                    most,
                });
            }
        }
        // File systems may give room back late: what was removed in this turn counts as free.
        let free = match keep.min_free {
            Some(least) => self.storage.free_bytes(&self.dir).ok().zip(Some(least)),
            None => None,
        };
        let mut removed = 0;
        let mut left: Vec<&SegmentName> = Vec::with_capacity(segments.len());
        for (i, segment) in segments.iter().enumerate() {
            let short = free.is_some_and(|(free, least)| free.saturating_add(removed) < least);
            if i >= gone && !(short && i + 1 < segments.len()) {
                left.push(segment);
                continue;
            }
            gone = gone.max(i + 1);
            match self.remove(segment) {
                Ok(bytes) => removed += bytes,
                Err(e) => {
                    event(failed("removing an old segment", &e));
                    left.push(segment);
                }
            }
        }
        if removed > 0 {
            self.shared.let_go();
        }
        if let Some(oldest) = left.first() {
            let start = oldest.start;
            if gone > aged && !self.short {
                event(RingEvent::ShortOfRoom { oldest: start });
            }
            // Until age alone lets segments go again.
            self.short = gone > aged || self.short && aged == 0;
            let least = left.iter().map(|s| s.start.ticks()).min();
            let least = least.unwrap_or(i64::MIN);
            self.shared.oldest.store(least, Ordering::Relaxed);
        }
        for epoch in &layout.epochs {
            if !left.iter().any(|s| s.epoch == epoch.number) {
                let dir = epoch_dir(&self.dir, epoch.number);
                for name in [EPOCH_SETTINGS, &format!("{EPOCH_SETTINGS}{ASIDE}")] {
                    let _ = self.storage.remove(&dir.join(name));
                }
                let _ = self.storage.remove_dir(&dir);
            }
        }
    }

    /// How many of the oldest segments go beyond `most` bytes, never the newest; and the bytes of
    /// that one.
    fn beyond(&self, segments: &[SegmentName], most: u64) -> (usize, u64) {
        let (mut total, mut newest) = (0u64, 0);
        for (i, segment) in segments.iter().enumerate().rev() {
            let sizes = FILES.iter().map(|extension| {
                let size = self.storage.size(&segment.path(&self.dir, extension));
                size.unwrap_or(0)
            });
            total += sizes.sum::<u64>();
            if i + 1 == segments.len() {
                newest = total;
            }
            if total > most {
                return ((i + 1).min(segments.len() - 1), newest);
            }
        }
        (0, newest)
    }

    /// Removes a segment; returns the bytes that its files had.
    fn remove(&self, segment: &SegmentName) -> io::Result<u64> {
        let mut bytes = 0;
        for extension in FILES {
            let path = segment.path(&self.dir, extension);
            let size = self.storage.size(&path).unwrap_or(0);
            match self.storage.remove(&path) {
                Ok(()) => bytes += size,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(bytes)
    }
}

/// How many of the oldest segments are older than `keep`; never the newest.
///
/// What was received before something else is at least as old, whatever its stamps say; and a
/// step of the wall clock forward makes nothing older.
fn aged(
    segments: &[SegmentName],
    now: WallTime,
    keep: Ticks27M,
    steps: &[(WallTime, Ticks27M)],
) -> usize {
    let mut latest = now;
    for (i, segment) in segments.iter().enumerate().rev() {
        let end = if segment.length > Ticks27M::ZERO {
            segment.end()
        } else {
            latest
        };
        let end = end.min(latest);
        let stepped = steps.iter().filter(|(at, _)| *at > end && *at <= now);
        let stepped = stepped.fold(Ticks27M::ZERO, |sum, (_, by)| sum + *by);
        if now - end - stepped >= keep && i + 1 < segments.len() {
            return i + 1;
        }
        latest = latest.min(segment.start);
    }
    0
}
