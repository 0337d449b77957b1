//! The segment lengths of a ring whose settings are gone, told from its files.
//!
//! An index says the length its segment was named with. Where there is none, N and the stamps do:
//! N is floor(stamp / length), so that the length lies between stamp / (N + 1) and stamp / N, 50 us
//! apart for 5 minutes. Segments that follow one another narrow it, and a length is a whole
//! number of milliseconds, most often of seconds, minutes or hours.

use std::collections::BTreeMap;
use std::path::Path;

use crate::units::{Ticks27M, WallTime};

use super::index::{HEADER_SIZE, Header};
use super::layout::SegmentName;
use super::neighbours;
use super::settings::{LONGEST_SEGMENT, LengthSince, SHORTEST_SEGMENT};
use super::stamps::Stamps;
use super::storage::{Access, Storage};

/// What lengths are multiples of, the likeliest first.
const UNITS: [i64; 4] = [3600 * 27_000_000, 60 * 27_000_000, 27_000_000, 27_000];

/// So many segments after one that fits nothing have to agree with what was before it.
const AGREE: usize = 2;

/// So many segments at either end of those of a length are asked whether they bear it out.
const ENDS: usize = 2;

/// What one segment says of its length: from and to, in ticks, and since when.
#[derive(Copy, Clone, Debug)]
struct Says {
    low: i64,
    high: i64,
    at: WallTime,
}

impl Says {
    fn of(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<Self> {
        let by_index = Self::by_index(storage, ring, name);
        by_index.or_else(|| Self::by_stamps(storage, ring, name))
    }

    fn by_index(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<Self> {
        let length = by_index(storage, ring, name)?;
        let start = WallTime::from_ticks(name.number.checked_mul(length)?);
        Some(Self {
            low: length,
            high: length,
            at: first_stamp(storage, ring, name).unwrap_or(start),
        })
    }

    fn by_stamps(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<Self> {
        let at = first_stamp(storage, ring, name)?;
        let last = neighbours::ends(storage, ring, name).map_or(at, |(_, last)| last);
        let behind = name.number.checked_add(1)?;
        // floor(stamp / length) = N: length > stamp / (N + 1), and length <= stamp / N.
        let low = last.ticks().div_euclid(behind) + 1;
        let high = at.ticks().checked_div(name.number)?;
        let low = low.max(SHORTEST_SEGMENT.get());
        let high = high.min(LONGEST_SEGMENT.get());
        (low <= high).then_some(Self { low, high, at })
    }

    /// What both say; `None` when no length is both.
    fn and(self, other: Self) -> Option<Self> {
        let both = Self {
            low: self.low.max(other.low),
            high: self.high.min(other.high),
            at: self.at,
        };
        both.likeliest().map(|_| both)
    }

    fn likeliest(self) -> Option<i64> {
        let multiple = |unit: &i64| {
            let most = self.high / unit * unit;
            (most >= self.low && most > 0).then_some(most)
        };
        UNITS.iter().find_map(multiple)
    }
}

fn first_stamp(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<WallTime> {
    let stamps = Stamps::open(storage, &name.path(ring, "aux")).ok();
    stamps.and_then(|stamps| stamps.begin())
}

/// What is wrong with the lengths that `segments` were placed by: one that no index and no stamp
/// of its segments bears out, while two of them at least agree on another.
pub(super) fn contradicted(
    storage: &dyn Storage,
    ring: &Path,
    segments: &[SegmentName],
) -> Option<String> {
    let mut by_length: BTreeMap<i64, Vec<&SegmentName>> = BTreeMap::new();
    for name in segments {
        by_length.entry(name.length.get()).or_default().push(name);
    }
    let mut wrong = None;
    let mut borne_out = false;
    for (length, names) in by_length.into_iter().rev() {
        let ends = names.len().saturating_sub(ENDS).max(ENDS);
        let asked = names.iter().take(ENDS).chain(names.iter().skip(ends));
        let said = asked.flat_map(|name| {
            [
                Says::by_index(storage, ring, name),
                Says::by_stamps(storage, ring, name),
            ]
        });
        let said: Vec<Says> = said.flatten().collect();
        if said
            .iter()
            .any(|says| (says.low..=says.high).contains(&length))
        {
            borne_out = true;
            continue;
        }
        let mut others = said.iter().copied();
        let together = others
            .next()
            .and_then(|first| others.try_fold(first, Says::and));
        let other = together
            .filter(|_| said.len() > 1)
            .and_then(Says::likeliest);
        // Names that fit no length are strangers', unless no name fits any.
        if let Some(other) = other.filter(|_| length > 0 || !borne_out) {
            let [length, other] = [length, other].map(Ticks27M::new);
            wrong = Some(match length > Ticks27M::ZERO {
                true => format!("segments are not {length} long: they say {other}"),
                false => format!("segments say that they are {other} long"),
            });
        }
    }
    wrong
}

/// The length in the header of a segment's index.
fn by_index(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<i64> {
    let file = storage.open(&name.path(ring, "idx"), Access::Read).ok()?;
    let mut head = [0; HEADER_SIZE];
    file.read_at(&mut head, 0).ok()?;
    let header = Header::decode(&head).filter(|header| header.number == name.number)?;
    let sane = SHORTEST_SEGMENT..=LONGEST_SEGMENT;
    Some(header.length.get()).filter(|length| sane.contains(&Ticks27M::new(*length)))
}

/// The lengths that `segments`, in the order of their stamps, were named with, oldest first, and
/// how many of them say so; `None` when they say nothing, or fit no length that a recorder takes.
pub(super) fn found(
    storage: &dyn Storage,
    ring: &Path,
    segments: &[SegmentName],
) -> Option<(Vec<LengthSince>, usize)> {
    let said = segments.iter().map(|name| Says::of(storage, ring, name));
    let said: Vec<Says> = said.flatten().collect();
    let mut runs: Vec<Says> = Vec::new();
    let mut agree = 0;
    for (i, says) in said.iter().enumerate() {
        let fits = |run: &Says, says: &Says| run.and(*says).is_some();
        match runs.last_mut() {
            Some(run) if fits(run, says) => {
                *run = run.and(*says)?;
                agree += 1;
            }
            // Damaged, if what follows goes on as before.
            Some(run)
                if (1..=AGREE).all(|n| said.get(i + n).is_some_and(|next| fits(run, next))) => {}
            _ => {
                says.likeliest()?;
                runs.push(*says);
                agree += 1;
            }
        }
    }
    let lengths = runs.iter().enumerate().map(|(i, run)| {
        let ticks = run.likeliest()?;
        let start = run.at.ticks().div_euclid(ticks) * ticks;
        // The first reaches back to the beginning; the others hold since they were seen.
        let from_ticks = if i == 0 { start } else { run.at.ticks() };
        Some(LengthSince { from_ticks, ticks })
    });
    let lengths: Vec<LengthSince> = lengths.collect::<Option<_>>()?;
    (!lengths.is_empty()).then_some((lengths, agree))
}
