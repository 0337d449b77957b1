//! What a ring needs besides appending: syncs and expiry, on a thread of their own.
//!
//! Both may take seconds on a busy disk. The writer shares with them what they need to know,
//! through a lock that is held for some copies only, and never waits for them. Rings on one
//! machine do this work at different instants, by a hash of their directories.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::units::{Arrival, Ticks27M, WallTime};

use super::epoch::FILES;
use super::error::RingEvent;
use super::index::{Record, What};
use super::layout::{Layout, SegmentName, epoch_dir};
use super::settings::{EPOCH_SETTINGS, Settings};
use super::storage::{Storage, StoredFile};

/// Old segments are looked for this often.
const EXPIRE_EVERY: Ticks27M = Ticks27M::new(10 * 27_000_000);

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
    room_wanted: AtomicBool,
    keep: Keep,
    state: Mutex<State>,
}

/// What is kept.
#[derive(Copy, Clone, Debug)]
struct Keep {
    age: Ticks27M,
    max_bytes: Option<u64>,
    min_free: Option<u64>,
    sync: Ticks27M,
}

#[derive(Default)]
struct State {
    /// Files written since the last sync; the last two are those of the open segment.
    files: Vec<Arc<dyn StoredFile>>,
    /// A file was made since the directory was synced.
    directory: bool,
    /// Forward steps of the wall clock.
    steps: Vec<(WallTime, Ticks27M)>,
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
            room_wanted: AtomicBool::new(false),
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
            self.oldest.fetch_min(at.ticks(), Ordering::Relaxed);
        } else {
            self.state().steps.push((at, by));
        }
    }

    /// Asks for an expiry at once: the disk is full.
    pub(super) fn want_room(&self) {
        self.room_wanted.store(true, Ordering::Relaxed);
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

/// Syncs and expires; made for a thread of its own.
pub struct Upkeep {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    shared: Arc<Shared>,
    sync: Stagger,
    expire: Stagger,
    short: bool,
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
        let wanted = self.shared.room_wanted.swap(false, Ordering::Relaxed);
        if self.expire.is_due(now) || wanted {
            self.expire(event);
        }
    }

    /// Lets old segments go.
    pub fn expire(&mut self, event: &mut dyn FnMut(RingEvent)) {
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
        if let Some(max) = keep.max_bytes {
            gone = gone.max(self.beyond(segments, max));
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
        if let Some(oldest) = left.first() {
            let start = oldest.start;
            if gone > aged && !self.short {
                event(RingEvent::ShortOfRoom { oldest: start });
            }
            self.short = gone > aged;
            let least = left.iter().map(|s| s.start.ticks()).min();
            let least = least.unwrap_or(i64::MIN);
            self.shared.oldest.store(least, Ordering::Relaxed);
        }
        for epoch in &layout.epochs {
            if !left.iter().any(|s| s.epoch == epoch.number) {
                let dir = epoch_dir(&self.dir, epoch.number);
                let _ = self.storage.remove(&dir.join(EPOCH_SETTINGS));
                let _ = self.storage.remove_dir(&dir);
            }
        }
    }

    /// How many of the oldest segments go beyond `max` bytes; never the newest.
    fn beyond(&self, segments: &[SegmentName], max: u64) -> usize {
        let mut total = 0u64;
        for (i, segment) in segments.iter().enumerate().rev() {
            let sizes = FILES.iter().map(|extension| {
                let size = self.storage.size(&segment.path(&self.dir, extension));
                size.unwrap_or(0)
            });
            total += sizes.sum::<u64>();
            if total > max {
                return (i + 1).min(segments.len() - 1);
            }
        }
        0
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
