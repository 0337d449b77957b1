//! Which segments a ring has, and in what order they were received.

use std::path::{Path, PathBuf};

use crate::ts::{PACKET_SIZE, SYNC_BYTE};
use crate::units::{Ticks27M, WallTime};

use super::epoch_found;
use super::error::{RingError, RingEvent};
use super::lengths;
use super::neighbours;
use super::settings::{ASIDE, EPOCH_SETTINGS, EpochSettings, LengthSince, SETTINGS, Settings};
use super::stamps::{LATEST, Stamps};
use super::storage::{Access, Storage};

/// The file that a recorder locks.
pub const LOCK: &str = "ring.lock";
const EPOCH_PREFIX: &str = "epoch-";
/// Bytes that are looked at to tell packets from anything else: 64 packets.
const HEAD: usize = 64 * PACKET_SIZE;

/// A segment, by its names.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct SegmentName {
    /// The epoch it was moved to; 0 is the live part.
    pub epoch: u32,
    /// N of `N.ts`.
    pub number: i64,
    /// Where its name says that it starts (in a directory not made by us: its first stamp).
    pub start: WallTime,
    /// The length its name was made with; zero where that is not known.
    pub length: Ticks27M,
}

impl SegmentName {
    /// The path of one of its files, by extension.
    pub fn path(&self, ring: &Path, extension: &str) -> PathBuf {
        epoch_dir(ring, self.epoch).join(format!("{}.{extension}", self.number))
    }

    /// Its transport packets, as a name relative to the ring.
    pub fn display(&self) -> String {
        match self.epoch {
            0 => format!("{}.ts", self.number),
            k => format!("{EPOCH_PREFIX}{k}/{}.ts", self.number),
        }
    }

    /// Where its name says that it ends.
    pub fn end(&self) -> WallTime {
        self.start + self.length
    }
}

/// The directory of an epoch; 0 is the live part.
pub fn epoch_dir(ring: &Path, epoch: u32) -> PathBuf {
    match epoch {
        0 => ring.to_owned(),
        k => ring.join(format!("{EPOCH_PREFIX}{k}")),
    }
}

/// An epoch of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// K of `epoch-K`.
    pub number: u32,
    /// Where the wall clock was set back to.
    pub at: WallTime,
    /// The segment lengths its names were made with.
    pub lengths: Vec<LengthSince>,
}

/// What is in the directory of a ring.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Every segment in the order of reception.
    pub segments: Vec<SegmentName>,
    /// The epochs, in the order of their numbers.
    pub epochs: Vec<Epoch>,
    /// Names that are none of the ring's.
    pub foreign: Vec<String>,
    /// Side files and stamps whose packets are gone.
    pub orphans: Vec<PathBuf>,
    /// The settings, where there are some that can be believed.
    pub settings: Option<Settings>,
    /// Settings that cannot be: of the ring, and of epochs.
    pub damaged: Vec<DamagedFile>,
}

/// A settings file that cannot be believed, or that is missing where there was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    /// The file.
    pub path: PathBuf,
    /// Its name, relative to the ring.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

impl DamagedFile {
    /// Tells of it.
    pub fn event(&self) -> RingEvent {
        RingEvent::SettingsDamaged {
            name: self.name.clone(),
            why: self.why.clone(),
        }
    }
}

impl Layout {
    /// Lists the ring in `dir`. Settings that cannot be believed, or whose segment lengths the
    /// files contradict, are as good as missing; a ring in a later format is
    /// [`RingError::Later`].
    pub fn read(storage: &dyn Storage, dir: &Path) -> Result<Self, RingError> {
        let mut damaged = Vec::new();
        let settings = believed(Settings::load(storage, dir), dir, &mut damaged)?;
        let known = settings.is_some();
        let mut layout = Self::read_with(storage, dir, settings)?;
        let live = layout.segments.iter().filter(|s| s.epoch == 0);
        let live: Vec<SegmentName> = live.copied().collect();
        if let Some(why) = lengths::contradicted(storage, dir, &live).filter(|_| known) {
            damaged.push(DamagedFile {
                path: dir.join(SETTINGS),
                name: SETTINGS.to_owned(),
                why,
            });
            layout = Self::read_with(storage, dir, None)?;
        }
        layout.damaged.splice(0..0, damaged);
        Ok(layout)
    }

    /// Lists the ring in `dir`, whose settings are known.
    pub fn read_with(
        storage: &dyn Storage,
        dir: &Path,
        settings: Option<Settings>,
    ) -> Result<Self, RingError> {
        let mut layout = Self::default();
        let lengths = settings.as_ref().map(|s| s.lengths.as_slice());
        let (live, epochs) = layout.list(storage, dir, 0)?;
        let live = layout.place(storage, dir, 0, &live, lengths.unwrap_or_default());
        let mut segments = live.clone();
        let mut loaded = Vec::with_capacity(epochs.len());
        for number in epochs {
            let path = epoch_dir(dir, number);
            let kept = EpochSettings::load(storage, &path);
            let kept = match believed(kept, dir, &mut layout.damaged) {
                Err(later @ RingError::Later { .. }) => return Err(later),
                kept => kept.unwrap_or_default(),
            };
            loaded.push((number, layout.list(storage, &path, number)?.0, kept));
        }
        let mut placed = Vec::with_capacity(loaded.len());
        // The instants of epochs never decrease with their numbers.
        let mut most = WallTime::from_ticks(i64::MAX);
        for (number, numbers, kept) in loaded.iter().rev() {
            let number = *number;
            let (inside, lengths) = match kept {
                Some(kept) => layout.checked(storage, dir, number, numbers, &kept.lengths),
                None => layout.found(storage, dir, number, numbers, lengths.unwrap_or_default()),
            };
            let at = match (kept, inside.first()) {
                (Some(kept), _) => WallTime::from_ticks(kept.at_ticks),
                (None, Some(first)) => {
                    layout.tell_damaged(dir, number, "it is missing".to_owned());
                    let others = loaded.iter().filter(|(other, ..)| *other != number).rev();
                    let others = others.flat_map(|(epoch, numbers, _)| unplaced(*epoch, numbers));
                    let others: Vec<SegmentName> = others.collect();
                    let told = epoch_found::set_back_to(storage, dir, &live, &inside, &others);
                    told.unwrap_or(first.start).min(most)
                }
                (None, None) => continue,
            };
            most = most.min(at);
            placed.push((number, at, lengths, inside));
        }
        for (number, at, lengths, inside) in placed.into_iter().rev() {
            layout.epochs.push(Epoch {
                number,
                at,
                lengths,
            });
            // What the live part holds up to `at` came before the epoch; the epochs before it
            // with the same `at` did too.
            let place = segments
                .iter()
                .rposition(|s: &SegmentName| {
                    let before = layout
                        .epochs
                        .iter()
                        .any(|e| e.number == s.epoch && e.number != number && e.at <= at);
                    before || s.epoch == 0 && s.end() <= at && s.start < at
                })
                .map_or(0, |last| last + 1);
            segments.splice(place..place, inside);
        }
        layout.segments = segments;
        layout.settings = settings;
        Ok(layout)
    }

    /// The segments of an epoch whose settings are missing, in order, and the lengths their names
    /// were made with: as its files show or, where they show none, those of the live part.
    fn found(
        &mut self,
        storage: &dyn Storage,
        ring: &Path,
        number: u32,
        numbers: &[Numbered],
        live: &[LengthSince],
    ) -> (Vec<SegmentName>, Vec<LengthSince>) {
        let foreign = self.foreign.len();
        let by_stamps = self.place(storage, ring, number, numbers, &[]);
        self.foreign.truncate(foreign);
        let found = lengths::found(storage, ring, &by_stamps);
        let lengths = found.map_or_else(|| live.to_vec(), |(lengths, _)| lengths);
        let inside = self.place(storage, ring, number, numbers, &lengths);
        (inside, lengths)
    }

    /// The segments of an epoch whose settings are there, in order, and the lengths of their names:
    /// those of the settings, unless the files contradict them.
    fn checked(
        &mut self,
        storage: &dyn Storage,
        ring: &Path,
        number: u32,
        numbers: &[Numbered],
        lengths: &[LengthSince],
    ) -> (Vec<SegmentName>, Vec<LengthSince>) {
        let foreign = self.foreign.len();
        let inside = self.place(storage, ring, number, numbers, lengths);
        let why = lengths::contradicted(storage, ring, &inside);
        let Some(why) = why.filter(|_| !lengths.is_empty()) else {
            return (inside, lengths.to_vec());
        };
        self.foreign.truncate(foreign);
        self.tell_damaged(ring, number, why);
        self.found(storage, ring, number, numbers, lengths)
    }

    /// Tells what is wrong with the settings of an epoch, unless it was told.
    fn tell_damaged(&mut self, ring: &Path, number: u32, why: String) {
        let path = epoch_dir(ring, number).join(EPOCH_SETTINGS);
        if !self.damaged.iter().any(|damaged| damaged.path == path) {
            self.damaged.push(DamagedFile {
                name: format!("{EPOCH_PREFIX}{number}/{EPOCH_SETTINGS}"),
                why,
                path,
            });
        }
    }

    /// The numbers and the epochs in a directory; the rest is sorted away.
    fn list(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        epoch: u32,
    ) -> Result<(Vec<Numbered>, Vec<u32>), RingError> {
        let names = storage.list(dir).map_err(RingError::io("listing", dir))?;
        let (mut numbers, mut epochs, mut sides) = (Vec::new(), Vec::new(), Vec::new());
        for entry in names {
            let class = match entry.strange {
                true => Class::Foreign,
                false => classify(&entry.name, entry.directory),
            };
            match class {
                Class::Packets(n) => numbers.push(n),
                Class::Side(n) => sides.push((n, entry.name)),
                Class::Epoch(k) if epoch == 0 => epochs.push(k),
                Class::Own => {}
                _ if epoch == 0 => self.foreign.push(entry.name),
                _ => self
                    .foreign
                    .push(format!("{EPOCH_PREFIX}{epoch}/{}", entry.name)),
            }
        }
        numbers.sort_unstable();
        epochs.sort_unstable();
        let mut numbers: Vec<Numbered> = numbers
            .into_iter()
            .map(|number| Numbered {
                number,
                stamped: false,
            })
            .collect();
        for (n, name) in sides {
            match numbers.binary_search_by_key(&n, |numbered| numbered.number) {
                Err(_) => self.orphans.push(dir.join(name)),
                Ok(at) if name.ends_with("aux") => {
                    if let Some(numbered) = numbers.get_mut(at) {
                        numbered.stamped = true;
                    }
                }
                Ok(_) => {}
            }
        }
        Ok((numbers, epochs))
    }

    /// Gives each number its start, and puts them in order. Files that only look like segments
    /// are sorted away.
    fn place(
        &mut self,
        storage: &dyn Storage,
        ring: &Path,
        epoch: u32,
        numbers: &[Numbered],
        lengths: &[LengthSince],
    ) -> Vec<SegmentName> {
        let mut segments: Vec<SegmentName> = Vec::with_capacity(numbers.len());
        let mut keys = Vec::with_capacity(numbers.len());
        // Segments at the beginning of which nothing says when they came.
        let mut undated = 0;
        for &Numbered { number, stamped } in numbers {
            let known = length_of(number, lengths);
            let (order, since, start, length) = known.unwrap_or_default();
            let mut name = SegmentName {
                epoch,
                number,
                start,
                length,
            };
            let fits = known.is_some() || lengths.is_empty();
            if !(fits && stamped) && is_foreign(storage, ring, &name, fits, stamped) {
                self.foreign.push(name.display());
                continue;
            }
            // The first of a new length may be named after an instant before the change.
            let mut key = start.max(since);
            if known.is_none() {
                // Not by our naming: the first stamp says when. Without one that can be (the
                // segment was just made, or its aux is lost) it follows the one before it.
                let stamps = Stamps::open(storage, &name.path(ring, "aux")).ok();
                let first = stamps.and_then(|stamps| stamps.get(0));
                let sane = first.filter(|at| (WallTime::from_ticks(1)..LATEST).contains(at));
                if sane.is_none() && segments.len() == undated {
                    undated += 1;
                }
                let behind = || neighbours::end(storage, ring, &segments);
                name.start = sane.or_else(behind).unwrap_or_default();
                key = name.start;
            }
            segments.push(name);
            keys.push((key, order));
        }
        // What nothing is before ends where the next begins.
        for at in (0..undated.min(segments.len().saturating_sub(1))).rev() {
            let length = neighbours::length(storage, ring, &segments, at);
            if let [name, next, ..] = segments.get_mut(at..).unwrap_or_default() {
                name.start = next.start - length.unwrap_or(Ticks27M::ZERO);
                if let Some((key, _)) = keys.get_mut(at) {
                    *key = name.start;
                }
            }
        }
        let mut placed: Vec<_> = keys.into_iter().zip(segments).collect();
        // Where the length was changed as a segment began, that segment comes first.
        placed.sort_by_key(|(key, s)| (*key, s.number));
        placed.into_iter().map(|(_, s)| s).collect()
    }
}

/// What was loaded, unless it is damaged.
fn believed<T>(
    loaded: Result<Option<T>, RingError>,
    ring: &Path,
    damaged: &mut Vec<DamagedFile>,
) -> Result<Option<T>, RingError> {
    let Err(RingError::Settings { path, why }) = loaded else {
        return loaded;
    };
    let name = path.strip_prefix(ring).unwrap_or(&path);
    let name = name.display().to_string();
    damaged.push(DamagedFile { path, name, why });
    Ok(None)
}

/// The number of an `N.ts`, and whether there is an `N.aux`.
#[derive(Copy, Clone, Debug)]
struct Numbered {
    number: i64,
    stamped: bool,
}

/// Segments of an epoch that were not given their starts.
fn unplaced(epoch: u32, numbers: &[Numbered]) -> impl Iterator<Item = SegmentName> {
    numbers.iter().map(move |numbered| SegmentName {
        epoch,
        number: numbered.number,
        start: WallTime::default(),
        length: Ticks27M::ZERO,
    })
}

/// True for a file that has the name of a segment and is none: by its number no recorder has made
/// it here, and nothing dates it; or there are no packets in it.
fn is_foreign(
    storage: &dyn Storage,
    ring: &Path,
    name: &SegmentName,
    fits: bool,
    stamped: bool,
) -> bool {
    if !fits && !stamped {
        return true;
    }
    let mut head = [0; HEAD];
    let file = storage.open(&name.path(ring, "ts"), Access::Read);
    // What cannot be read is told of by who reads it.
    let Ok(read) = file.and_then(|file| file.read_at(&mut head, 0)) else {
        return false;
    };
    let head = head.get(..read).unwrap_or_default();
    let starts = head.iter().step_by(PACKET_SIZE);
    let synced = starts.clone().filter(|b| **b == SYNC_BYTE).count();
    // A segment that was just made, and what a power loss left empty of one, are ours.
    let strange = starts.filter(|b| !matches!(**b, SYNC_BYTE | 0)).count();
    strange > synced
}

enum Class {
    Packets(i64),
    Side(i64),
    Epoch(u32),
    Own,
    Foreign,
}

fn classify(name: &str, directory: bool) -> Class {
    if directory {
        return match name.strip_prefix(EPOCH_PREFIX).and_then(number) {
            Some(k @ 1..) => u32::try_from(k).map_or(Class::Foreign, Class::Epoch),
            _ => Class::Foreign,
        };
    }
    let stem = name.strip_suffix(".new").or(name.strip_suffix(ASIDE));
    let stem = stem.unwrap_or(name);
    if stem == SETTINGS || stem == EPOCH_SETTINGS || name == LOCK {
        return Class::Own;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return Class::Foreign;
    };
    match (number(stem), extension) {
        (Some(n), "ts") => Class::Packets(n),
        (Some(n), "aux" | "idx") => Class::Side(n),
        _ => Class::Foreign,
    }
}

/// A number as we write it: digits only, no leading zero.
fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// The place of the length that the name of segment `number` was made with, since when it was
/// used, where that name says that it starts, and the length.
///
/// A number read with another length is off by the ratio of the two, years for lengths that
/// differ at all; only the newest length has no upper bound and takes what no older one explains.
fn length_of(
    number: i64,
    lengths: &[LengthSince],
) -> Option<(usize, WallTime, WallTime, Ticks27M)> {
    lengths.iter().enumerate().find_map(|(i, l)| {
        let start = number.checked_mul(l.ticks)?;
        let end = start.checked_add(l.ticks)?;
        let until = lengths.get(i + 1).map_or(i64::MAX, |next| next.from_ticks);
        // The first and the last segment of a length reach over its bounds.
        (end > l.from_ticks && start <= until).then(|| {
            let instant = WallTime::from_ticks;
            (
                i,
                instant(l.from_ticks),
                instant(start),
                Ticks27M::new(l.ticks),
            )
        })
    })
}
