//! What a ring remembers of how it is kept: `ring.json`, and `epoch.json` of an epoch.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::units::{ByteCount, Ticks27M, WallTime};

use super::error::RingError;
use super::stamps::LATEST;
use super::storage::{Access, Storage};

/// The version of the settings that is written, and the latest that is read.
const FORMAT: u32 = 1;
/// The settings file of a ring.
pub const SETTINGS: &str = "ring.json";
/// The settings file of an epoch.
pub const EPOCH_SETTINGS: &str = "epoch.json";
/// A settings file is larger than this only when it is not ours.
const MAX_SETTINGS: u64 = 1 << 20;

/// What the name of a file ends with that could not be believed, and was kept aside.
pub(super) const ASIDE: &str = ".damaged";

/// The least and the longest that a segment may be.
pub(super) const SHORTEST_SEGMENT: Ticks27M = Ticks27M::SECOND;
pub(super) const LONGEST_SEGMENT: Ticks27M = Ticks27M::new(86_400 * 27_000_000);
const LEAST_KEEP: Ticks27M = Ticks27M::SECOND;
const LEAST_SYNC: Ticks27M = Ticks27M::from_millis(100);
/// No disk is larger: 1 EiB.
const MOST_BYTES: u64 = 1 << 60;

/// How long is kept when nothing is said.
pub const DEFAULT_KEEP: Ticks27M = Ticks27M::new(24 * 3600 * 27_000_000);
/// The segment length when nothing is said.
pub const DEFAULT_SEGMENT: Ticks27M = Ticks27M::new(300 * 27_000_000);
/// How often data is made to last through a power loss when nothing is said.
pub const DEFAULT_SYNC: Ticks27M = Ticks27M::new(5 * 27_000_000);

/// A segment length, and from when on names are made with it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LengthSince {
    /// Ticks of 27 MHz UTC from which on names are made with this length.
    pub from_ticks: i64,
    /// The segment length in ticks of 27 MHz.
    pub ticks: i64,
}

/// What a ring remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Version of this file, and of all that is in the ring.
    pub format: u32,
    /// How long a block is kept, in milliseconds.
    pub keep_ms: i64,
    /// Bytes the ring may take at most.
    pub max_bytes: Option<u64>,
    /// Bytes to be left free on the file system.
    pub min_free: Option<u64>,
    /// Milliseconds between syncs.
    pub sync_ms: i64,
    /// True when stamps come from the stream's own clock: age then counts from the newest block.
    pub stream_clock: bool,
    /// Every segment length the ring has had, oldest first.
    pub lengths: Vec<LengthSince>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: FORMAT,
            keep_ms: DEFAULT_KEEP.as_millis(),
            max_bytes: None,
            min_free: None,
            sync_ms: DEFAULT_SYNC.as_millis(),
            stream_clock: false,
            lengths: Vec::new(),
        }
    }
}

/// What is changed of a ring's settings when recording starts; `None` leaves what was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How long a block is kept.
    pub keep: Option<Ticks27M>,
    /// Bytes the ring may take at most.
    pub max_bytes: Option<ByteCount>,
    /// Bytes to be left free on the file system.
    pub min_free: Option<ByteCount>,
    /// The segment length.
    pub segment: Option<Ticks27M>,
    /// How often data is made to last through a power loss.
    pub sync: Option<Ticks27M>,
}

impl Settings {
    /// Applies what a recorder was told at `now`. A new segment length holds for names from then
    /// on; segments that are there keep theirs.
    pub fn apply(&mut self, changes: &Changes, now: WallTime) -> Result<(), RingError> {
        if let Some(keep) = changes.keep {
            at_least("a time to keep", keep, LEAST_KEEP)?;
            self.keep_ms = keep.as_millis();
        }
        if let Some(sync) = changes.sync {
            at_least("a time between syncs", sync, LEAST_SYNC)?;
            self.sync_ms = sync.as_millis();
        }
        if changes.max_bytes.is_some_and(|most| most.get() == 0) {
            return Err(RingError::NoRoom);
        }
        let sizes = [changes.max_bytes, changes.min_free].into_iter().flatten();
        if let Some(size) = sizes.max().filter(|size| size.get() > MOST_BYTES) {
            return Err(RingError::TooLarge { size });
        }
        self.max_bytes = changes.max_bytes.map(ByteCount::get).or(self.max_bytes);
        self.min_free = changes.min_free.map(ByteCount::get).or(self.min_free);
        let wanted = changes.segment.unwrap_or_else(|| self.length());
        if !(SHORTEST_SEGMENT..=LONGEST_SEGMENT).contains(&wanted)
            || wanted.get() % Ticks27M::MILLISECOND.get() != 0
        {
            return Err(RingError::SegmentLength { length: wanted });
        }
        if self.lengths.last().map(|l| l.ticks) != Some(wanted.get()) {
            self.lengths.push(LengthSince {
                from_ticks: now.ticks(),
                ticks: wanted.get(),
            });
        }
        Ok(())
    }

    /// What a recorder is told that is to go on as before.
    pub(super) fn as_changes(&self) -> Changes {
        Changes {
            keep: Some(self.keep()),
            max_bytes: self.max_bytes.map(ByteCount::new),
            min_free: self.min_free.map(ByteCount::new),
            segment: Some(self.length()),
            sync: Some(self.sync()),
        }
    }

    /// The segment length of names made now.
    pub fn length(&self) -> Ticks27M {
        self.lengths
            .last()
            .map_or(DEFAULT_SEGMENT, |l| Ticks27M::new(l.ticks))
    }

    /// How long a block is kept.
    pub fn keep(&self) -> Ticks27M {
        Ticks27M::from_millis(self.keep_ms)
    }

    /// How often data is made to last through a power loss.
    pub fn sync(&self) -> Ticks27M {
        Ticks27M::from_millis(self.sync_ms.max(1))
    }

    /// Reads the settings of the ring in `dir`; `None` when there are none. Those that cannot be
    /// believed are [`RingError::Settings`], those of a later format are [`RingError::Later`].
    pub fn load(storage: &dyn Storage, dir: &Path) -> Result<Option<Self>, RingError> {
        load(storage, &dir.join(SETTINGS))
    }

    /// Replaces the settings of the ring in `dir`, whole or not at all.
    pub fn store(&self, storage: &dyn Storage, dir: &Path) -> Result<(), RingError> {
        store(storage, dir, SETTINGS, self)
    }
}

fn at_least(what: &'static str, span: Ticks27M, least: Ticks27M) -> Result<(), RingError> {
    if span >= least {
        return Ok(());
    }
    Err(RingError::TooShort { what, span, least })
}

/// What an epoch remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochSettings {
    /// Where the wall clock was set back to: the epoch was received before what the live part
    /// holds from this instant on, and after what it holds before.
    pub at_ticks: i64,
    /// The segment lengths its names were made with.
    pub lengths: Vec<LengthSince>,
}

impl EpochSettings {
    /// Reads the settings of an epoch; `None` when there are none. Those that cannot be believed
    /// are [`RingError::Settings`], those of a later format are [`RingError::Later`].
    pub fn load(storage: &dyn Storage, dir: &Path) -> Result<Option<Self>, RingError> {
        load(storage, &dir.join(EPOCH_SETTINGS))
    }

    /// Replaces the settings of an epoch, whole or not at all.
    pub fn store(&self, storage: &dyn Storage, dir: &Path) -> Result<(), RingError> {
        store(storage, dir, EPOCH_SETTINGS, self)
    }
}

/// What settings of any format have; those of an epoch may leave it to the ring's.
#[derive(Deserialize)]
struct Version {
    format: Option<u64>,
}

/// What is read from a file may be anything.
trait Sane {
    /// What of it cannot be; `None` when all can.
    fn absurd(&self) -> Option<String>;
}

impl Sane for Settings {
    fn absurd(&self) -> Option<String> {
        let most = Ticks27M::MAX.as_millis();
        let spans = [
            ("keep_ms", self.keep_ms, LEAST_KEEP),
            ("sync_ms", self.sync_ms, LEAST_SYNC),
        ];
        let sizes = [("max_bytes", self.max_bytes), ("min_free", self.min_free)];
        if self.format != FORMAT {
            return Some(format!("format {} is none we know", self.format));
        }
        for (name, value, least) in spans {
            if !(least.as_millis()..=most).contains(&value) {
                return Some(format!("{name} cannot be {value}"));
            }
        }
        for (name, value) in sizes {
            if let Some(value) = value.filter(|value| *value > MOST_BYTES) {
                return Some(format!("{name} cannot be {value}"));
            }
        }
        if self.max_bytes == Some(0) {
            return Some("max_bytes cannot be 0".to_owned());
        }
        if self.lengths.is_empty() {
            return Some("no segment length".to_owned());
        }
        absurd_length(&self.lengths)
    }
}

impl Sane for EpochSettings {
    fn absurd(&self) -> Option<String> {
        let at = WallTime::from_ticks(self.at_ticks);
        if at > LATEST {
            return Some(format!("at_ticks cannot be {}", self.at_ticks));
        }
        absurd_length(&self.lengths)
    }
}

fn absurd_length(lengths: &[LengthSince]) -> Option<String> {
    let sane = SHORTEST_SEGMENT.get()..=LONGEST_SEGMENT.get();
    if let Some(length) = lengths.iter().find(|l| !sane.contains(&l.ticks)) {
        return Some(format!("a segment cannot be {} ticks long", length.ticks));
    }
    if let Some(late) = lengths.iter().find(|l| l.from_ticks > LATEST.ticks()) {
        return Some(format!("from_ticks cannot be {}", late.from_ticks));
    }
    let ordered = lengths.is_sorted_by_key(|l| l.from_ticks);
    (!ordered).then(|| "segment lengths are not in order".to_owned())
}

fn load<T: for<'a> Deserialize<'a> + Sane>(
    storage: &dyn Storage,
    path: &Path,
) -> Result<Option<T>, RingError> {
    let file = match storage.open(path, Access::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(RingError::io("opening", path)(e)),
    };
    let mut later = None;
    let mut read = || {
        let len = file.len().map_err(|e| e.to_string())?.min(MAX_SETTINGS);
        let mut bytes = vec![0; len as usize];
        let read = file.read_at(&mut bytes, 0).map_err(|e| e.to_string())?;
        if read == 0 {
            return Err("it is empty".to_owned());
        }
        let read = bytes.get(..read).unwrap_or_default();
        let version: Version = serde_json::from_slice(read).map_err(|e| e.to_string())?;
        later = version.format.filter(|format| *format > u64::from(FORMAT));
        let value: T = serde_json::from_slice(read).map_err(|e| e.to_string())?;
        match value.absurd() {
            Some(why) => Err(why),
            None => Ok(Some(value)),
        }
    };
    let read = read();
    match (read, later) {
        // Nothing more of it can be understood, and nothing of it is damaged.
        (_, Some(format)) => Err(RingError::Later {
            path: path.to_owned(),
            format,
            latest: FORMAT,
        }),
        (read, None) => read.map_err(|why| RingError::Settings {
            path: path.to_owned(),
            why,
        }),
    }
}

/// Keeps a file aside that could not be believed; one that is missing needs no place.
pub(super) fn set_aside(storage: &dyn Storage, path: &Path) -> Result<(), RingError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(ASIDE);
    let moved = match storage.rename(path, Path::new(&aside)) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        moved => moved,
    };
    moved.map_err(RingError::io("keeping aside", path))
}

fn store(
    storage: &dyn Storage,
    dir: &Path,
    name: &str,
    value: &impl Serialize,
) -> Result<(), RingError> {
    let path = dir.join(name);
    let new = dir.join(format!("{name}.new"));
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| RingError::Settings {
        path: path.clone(),
        why: e.to_string(),
    })?;
    text.push(b'\n');
    let attempt = || {
        let file = storage.open(&new, Access::Replace)?;
        file.write_at([&text, &[]], 0)?;
        file.sync()?;
        storage.rename(&new, &path)?;
        storage.sync_dir(dir)
    };
    attempt().map_err(RingError::io("writing", &path))
}
