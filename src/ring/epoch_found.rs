//! An epoch whose settings are missing: when it was received is told from what else there is.
//!
//! A step of the clock back from where the epoch ends stands in the newest index. Where none does
//! (the clock was set back while nobody recorded), its digest names the segments in the order of
//! reception: the first live one behind the epoch began when the clock had been set back. The
//! instants of epochs never decrease with their numbers, so that the ones behind bound it.

use std::collections::HashMap;
use std::path::Path;

use crate::units::{Ticks27M, WallTime};

use super::error::RingError;
use super::index::{Index, What};
use super::layout::{Layout, SegmentName, epoch_dir};
use super::missing::Told;
use super::neighbours;
use super::settings::{EPOCH_SETTINGS, EpochSettings};
use super::stamps::Stamps;
use super::storage::Storage;
use super::writer::SILENCE;

/// How many of the newest live segments are asked for an index.
const NEWEST: usize = 3;

/// Where the clock was set back to when the segments `inside`, in order, became an epoch; `live`
/// are those of the live part, in order, and `others` those of other epochs.
pub(super) fn set_back_to(
    storage: &dyn Storage,
    ring: &Path,
    live: &[SegmentName],
    inside: &[SegmentName],
    others: &[SegmentName],
) -> Option<WallTime> {
    let newest = live.iter().rev().take(NEWEST);
    let mut indexes = newest.filter_map(|name| Some((*name, Index::read(storage, ring, name)?)));
    let (name, index) = indexes.find(|(_, index)| index.has_digest())?;
    // A step of the clock from where the epoch ends says it best.
    let ended = neighbours::end(storage, ring, inside);
    let records = index.carried.iter().chain(&index.own);
    let steps = records.filter_map(|record| match record.what {
        What::ClockStep { by } if by.is_negative() => Some((record.at - by, record.at)),
        _ => None,
    });
    // Stamps differ from the wall clock by less than a second.
    let behind = steps.filter(|(from, _)| ended.is_some_and(|end| *from + Ticks27M::SECOND >= end));
    let step = behind.min_by_key(|(from, _)| *from);
    let is_near = |from: WallTime| ended.is_some_and(|end| from - end <= SILENCE * 2);
    match step {
        Some((from, to)) if is_near(from) => Some(to),
        _ => by_reception(storage, ring, (name, &index), live, inside, others)
            .or(step.map(|(_, to)| to)),
    }
}

/// The first stamp of the live segment that was received next after the segments `inside`, by the
/// digest of the newest index.
fn by_reception(
    storage: &dyn Storage,
    ring: &Path,
    (newest, index): (SegmentName, &Index),
    live: &[SegmentName],
    inside: &[SegmentName],
    others: &[SegmentName],
) -> Option<WallTime> {
    // A number is used again after a step back: the live part has the newest.
    let mut numbered: HashMap<i64, Vec<SegmentName>> = HashMap::new();
    let newer = live.iter().filter(|live| **live != newest);
    for known in newer.chain(others).chain(inside) {
        numbered.entry(known.number).or_default().push(*known);
    }
    let mut behind = newest;
    for (_, at, s) in Told::of(&index.carried).segments.iter().rev() {
        let Some(same) = numbered.get_mut(&s.number) else {
            continue;
        };
        let off = |name: &SegmentName| {
            let first = first_stamp(storage, ring, name).unwrap_or(name.start);
            (first - *at).max(*at - first)
        };
        let nearest = same.iter().enumerate().min_by_key(|(_, name)| off(name));
        let Some(place) = nearest.map(|(place, _)| place) else {
            continue;
        };
        match same.remove(place) {
            name if name.epoch == 0 => behind = name,
            name if inside.contains(&name) => {
                return first_stamp(storage, ring, &behind).or(Some(behind.start));
            }
            _ => {}
        }
    }
    None
}

fn first_stamp(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<WallTime> {
    let stamps = Stamps::open(storage, &name.path(ring, "aux"));
    stamps.ok()?.get(0)
}

/// Writes the settings anew of each epoch of `layout` that has none or damaged ones, which were
/// kept aside.
pub(super) fn store(storage: &dyn Storage, ring: &Path, layout: &Layout) -> Result<(), RingError> {
    for epoch in &layout.epochs {
        let dir = epoch_dir(ring, epoch.number);
        let path = dir.join(EPOCH_SETTINGS);
        if layout.damaged.iter().any(|damaged| damaged.path == path) {
            let told = EpochSettings {
                at_ticks: epoch.at.ticks(),
                lengths: epoch.lengths.clone(),
            };
            told.store(storage, &dir)?;
        }
    }
    Ok(())
}
