//! Epochs: what was recorded under a clock that was set back since.
//!
//! After a step back to *now*, the live part must not hold later stamps, or names and stamps
//! would collide. What is stamped later moves away, so that the order of reception can be told
//! from names alone: an epoch was received after what the live part holds before the instant the
//! clock was set back to, and before what it holds from there on. Where an earlier epoch was set
//! back to an instant that is later than *now*, the live segments between the two belong before
//! it, and join it.

use std::io;
use std::path::Path;

use crate::units::WallTime;

use super::error::RingError;
use super::layout::{Layout, SegmentName, epoch_dir};
use super::settings::{EpochSettings, Settings};
use super::storage::Storage;

/// The extensions of a segment's files, the one that makes it exist first.
pub(super) const FILES: [&str; 3] = ["ts", "aux", "idx"];

/// Moves what is stamped later than `now` into epochs, and returns the settings that hold since.
pub(super) fn step_back(
    storage: &dyn Storage,
    ring: &Path,
    mut settings: Settings,
    now: WallTime,
) -> Result<Settings, RingError> {
    let mut layout = Layout::read_with(storage, ring, Some(settings.clone()))?;
    if !layout.orphans.is_empty() {
        // The try before this one failed half-way.
        finish_moves(storage, ring, &layout);
        layout = Layout::read_with(storage, ring, Some(settings.clone()))?;
    }
    let mut later: Vec<SegmentName> = layout
        .segments
        .iter()
        .filter(|s| s.epoch == 0 && s.end() > now)
        .copied()
        .collect();
    for epoch in layout.epochs.iter().filter(|e| e.at > now) {
        let dir = epoch_dir(ring, epoch.number);
        let kept = EpochSettings {
            at_ticks: now.ticks(),
            lengths: epoch.lengths.clone(),
        };
        let (before, after): (Vec<_>, Vec<_>) =
            later.into_iter().partition(|s| s.end() <= epoch.at);
        move_all(storage, ring, &before, epoch.number)?;
        kept.store(storage, &dir)?;
        later = after;
    }
    if !later.is_empty() {
        let number = layout.epochs.iter().map(|e| e.number).max().unwrap_or(0) + 1;
        let dir = epoch_dir(ring, number);
        storage
            .create_dir(&dir)
            .map_err(RingError::io("making", &dir))?;
        let kept = EpochSettings {
            at_ticks: now.ticks(),
            lengths: settings.lengths.clone(),
        };
        kept.store(storage, &dir)?;
        move_all(storage, ring, &later, number)?;
    }
    for length in &mut settings.lengths {
        length.from_ticks = length.from_ticks.min(now.ticks());
    }
    settings.store(storage, ring)?;
    Ok(settings)
}

pub(super) fn move_all(
    storage: &dyn Storage,
    ring: &Path,
    segments: &[SegmentName],
    epoch: u32,
) -> Result<(), RingError> {
    for from in segments {
        let to = SegmentName { epoch, ..*from };
        for extension in FILES {
            let path = from.path(ring, extension);
            match storage.rename(&path, &to.path(ring, extension)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(RingError::io("moving", &path)(e));
                }
                _ => {}
            }
        }
    }
    if !segments.is_empty() {
        let dir = epoch_dir(ring, epoch);
        storage
            .sync_dir(&dir)
            .and_then(|()| storage.sync_dir(ring))
            .map_err(RingError::io("syncing", &dir))?;
    }
    Ok(())
}

/// Finishes a move that was cut short: stamps left behind follow their packets.
pub(super) fn finish_moves(storage: &dyn Storage, ring: &Path, layout: &Layout) {
    for orphan in &layout.orphans {
        let (Some(stem), Some(extension)) = (orphan.file_stem(), orphan.extension()) else {
            continue;
        };
        let home = layout
            .segments
            .iter()
            .find(|s| s.epoch != 0 && stem.to_str() == Some(&s.number.to_string()));
        if let Some((home, extension)) = home.zip(extension.to_str())
            && storage.size(&home.path(ring, extension)).is_err()
        {
            let _ = storage.rename(orphan, &home.path(ring, extension));
        }
    }
}
