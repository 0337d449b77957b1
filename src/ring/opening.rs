//! Taking a ring over: its lock, its settings, the end that the last recorder left, its index.

use std::path::Path;
use std::sync::Arc;

use crate::units::{Ticks27M, WallTime};

use super::epoch;
use super::epoch_found;
use super::error::{RingError, RingEvent};
use super::index::{GapCause, Index, Record, What};
use super::index_writer::{IndexWriter, Lasting, extend_digest};
use super::layout::{LOCK, Layout, SegmentName, epoch_dir};
use super::lengths;
use super::missing::Short;
use super::scan::scan;
use super::segment::{OpenSegment, Repair};
use super::settings::{Changes, DEFAULT_SEGMENT, EpochSettings, LengthSince, Settings, set_aside};
use super::stamps::Stamps;
use super::storage::{Access, Lock, Storage};
use super::unfiled::Unfiled;
use super::writer::Dating;

/// Older recordings without stamps are not guessed at: ten years.
const YEARS: Ticks27M = Ticks27M::new(10 * 365 * 86_400 * 27_000_000);
/// multicat's own segment length.
const HOUR: Ticks27M = Ticks27M::new(3600 * 27_000_000);

/// What is made of a directory that is not there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// It and those above it.
    Above,
    /// It alone: the ring was removed, and what is above may be unmounted.
    Again,
}

/// A ring taken over.
pub(super) struct Opened {
    pub(super) lock: Box<dyn Lock>,
    pub(super) settings: Settings,
    /// Where stamps begin.
    pub(super) start: WallTime,
    pub(super) segment: Option<OpenedSegment>,
    pub(super) index: Option<IndexWriter>,
    /// What the open segment holds that lasts, and what those before it do.
    pub(super) lasting: Lasting,
    pub(super) digest: Vec<Record>,
    /// The last stamp; `None` in an empty ring.
    pub(super) end: Option<WallTime>,
    /// The last stamp of what came after `end` and is gone.
    pub(super) lost_until: Option<WallTime>,
    /// What the last segments told of that is not there, to be filed with the next packet.
    pub(super) pending: Vec<(WallTime, What)>,
    pub(super) events: Vec<RingEvent>,
}

/// The segment to append to.
pub(super) struct OpenedSegment {
    pub(super) open: OpenSegment,
    pub(super) first: Option<WallTime>,
}

/// Takes the ring in `dir` over, at `wall`.
pub(super) fn open(
    storage: &dyn Storage,
    dir: &Path,
    changes: &Changes,
    dating: &Dating,
    wall: WallTime,
    making: Making,
) -> Result<Opened, RingError> {
    // What is refused leaves nothing behind.
    Settings::default().apply(changes, wall)?;
    let made = match making {
        Making::Above => storage.create_dir_all(dir),
        Making::Again => storage.create_dir(dir),
    };
    made.map_err(RingError::io("making", dir))?;
    // Who takes the lock empties it.
    let unfiled = Unfiled::read(storage, dir);
    let lock_path = dir.join(LOCK);
    let lock = storage
        .lock(&lock_path)
        .map_err(RingError::io("locking", &lock_path))?
        .ok_or_else(|| RingError::Locked {
            dir: dir.to_owned(),
        })?;

    let mut events = Vec::new();
    let mut layout = Layout::read(storage, dir)?;
    for damaged in &layout.damaged {
        set_aside(storage, &damaged.path)?;
        events.push(damaged.event());
    }
    epoch_found::store(storage, dir, &layout)?;
    events.extend(
        layout
            .foreign
            .drain(..)
            .map(|name| RingEvent::Foreign { name }),
    );
    if !layout.orphans.is_empty() {
        epoch::finish_moves(storage, dir, &layout);
        let settings = layout.settings.take();
        layout = Layout::read_with(storage, dir, settings)?;
        for orphan in &layout.orphans {
            storage
                .remove(orphan)
                .map_err(RingError::io("removing", orphan))?;
        }
    }
    let mut settings = match layout.settings.take() {
        Some(settings) => settings,
        None => {
            let settings = adopt(storage, dir, &layout, changes, wall, &mut events)?;
            layout = Layout::read_with(storage, dir, Some(settings.clone()))?;
            settings
        }
    };

    let unsure = settings.sync() * 2 + Ticks27M::SECOND * 2;
    let mut lost = Vec::new();
    let segments = &mut layout.segments;
    let tail = mend_tail(storage, dir, segments, unsure, &mut events, &mut lost)?;
    lost.extend(unfiled.map(|unfiled| unfiled.record()));
    let end = tail.as_ref().and_then(|(_, repair)| repair.last);
    let until = lost.iter().filter_map(|record| match record.what {
        What::Gap { until, .. } => Some(until),
        _ => None,
    });
    let lost_until = until
        .max()
        .filter(|until| end.is_none_or(|end| *until > end));
    let known_end = lost_until.or(end);
    let start = match dating {
        Dating::Arrival => wall,
        Dating::Stream(Some(at)) => *at,
        Dating::Stream(None) => known_end.unwrap_or(wall),
    };
    if let (Dating::Stream(_), Some(end)) = (dating, known_end)
        && start < end
    {
        return Err(RingError::StartsTooEarly { at: start, end });
    }
    settings.stream_clock = matches!(dating, Dating::Stream(_));
    settings.apply(changes, start)?;
    settings.store(storage, dir)?;
    if settings.keep() < settings.length() {
        events.push(RingEvent::KeepBelowSegment {
            keep: settings.keep(),
            segment: settings.length(),
        });
    }

    let mut opened = Opened {
        lock,
        settings,
        start,
        segment: None,
        index: None,
        lasting: Lasting::default(),
        digest: Vec::new(),
        end,
        lost_until,
        pending: lost
            .into_iter()
            .map(|record| (record.at, record.what))
            .collect(),
        events,
    };
    if let Some((_, before)) = layout.segments.split_last() {
        opened.digest = digest_before(storage, dir, before);
    }
    if let Some((segment, repair)) = tail {
        opened.take_over(storage, dir, segment, &repair);
    }
    Ok(opened)
}

impl Opened {
    /// Goes on with the last segment: its index first.
    fn take_over(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        segment: OpenSegment,
        repair: &Repair,
    ) {
        let name = segment.name;
        let path = name.path(dir, "idx");
        let first = Stamps::open(storage, &name.path(dir, "aux"))
            .ok()
            .and_then(|stamps| stamps.get(0));
        let fits = |i: &Index| i.reach().0 <= segment.bytes && i.has_digest();
        let found = Index::read(storage, dir, &name).filter(fits);
        let file = storage.open(&path, Access::Write).ok();
        let (mut index, from) = match (found, file) {
            (Some(found), Some(file)) => {
                self.digest.clone_from(&found.carried);
                let lasting = found.own.iter().filter(|r| r.lasts());
                lasting.for_each(|r| self.lasting.push(r.clone()));
                let from = found.reach().0;
                (IndexWriter::resume(name, &found, Arc::from(file)), from)
            }
            _ => (IndexWriter::new(name), 0),
        };
        let lasting = &mut self.lasting;
        let mut file = |record: Record| {
            if record.lasts() {
                lasting.push(record.clone());
            }
            index.push(record);
        };
        // Packets that cannot be read are not indexed; who reads them will be told.
        let _ = scan(storage, dir, &[name], from, segment.bytes, &mut file);
        if repair.nulled > 0 {
            let (from, to) = repair.nulled_range;
            let stamps = Stamps::open(storage, &name.path(dir, "aux")).ok();
            let at = |byte: u64| {
                let stamp = stamps
                    .as_ref()
                    .and_then(|s| s.get(byte / super::BLOCK_BYTES));
                stamp.or(repair.last).unwrap_or(name.start)
            };
            let what = What::Gap {
                cause: GapCause::PowerLoss,
                until: at(to.saturating_sub(1)),
                packets: repair.nulled,
            };
            file(Record::new(from, at(from), what));
        }
        if name.epoch == 0 {
            self.index = Some(index);
            self.segment = Some(OpenedSegment {
                open: segment,
                first,
            });
        } else {
            let bytes = segment.bytes;
            extend_digest(&mut self.digest, self.lasting.take());
            if let (Some(first), Some(last)) = (first, repair.last) {
                extend_digest(&mut self.digest, [index.summary(bytes, first, last)]);
            }
        }
    }
}

/// Puts the ends of the last segments right: those that a power loss may have caught before
/// they were synced. Empty ones are removed. Returns the last; `lost` gets the gaps of it, and of
/// those removed behind it.
fn mend_tail(
    storage: &dyn Storage,
    dir: &Path,
    segments: &mut Vec<SegmentName>,
    unsure: Ticks27M,
    events: &mut Vec<RingEvent>,
    lost: &mut Vec<Record>,
) -> Result<Option<(OpenSegment, Repair)>, RingError> {
    let mut last: Option<(OpenSegment, Repair)> = None;
    for at in (0..segments.len()).rev() {
        let Some(&name) = segments.get(at) else {
            break;
        };
        let newest = last.as_ref().and_then(|(_, repair)| repair.last);
        let synced = newest.is_some_and(|newest| name.end() < newest - unsure);
        if synced && at + 2 < segments.len() {
            break;
        }
        let path = name.path(dir, "ts");
        // Of those before the last the digest tells.
        let short = Short::of(storage, dir, &name).filter(|_| last.is_none());
        lost.extend(short.map(|short| short.record()));
        let (segment, repair) = OpenSegment::reopen(storage, dir, segments, at, Some(unsure))
            .map_err(RingError::io("opening", &path))?;
        if segment.bytes == 0 {
            if let (None, Some(index)) = (&last, Index::read(storage, dir, &name)) {
                let gaps = index.own.into_iter();
                lost.extend(gaps.filter(|r| matches!(r.what, What::Gap { .. })));
            }
            for extension in epoch::FILES {
                let _ = storage.remove(&name.path(dir, extension));
            }
            segments.remove(at);
            continue;
        }
        if !repair.was_whole() {
            events.push(RingEvent::Repaired {
                name: name.display(),
                cut_bytes: repair.cut_bytes,
                nulled_packets: repair.nulled,
                stamps: repair.stamps,
            });
        }
        last.get_or_insert((segment, repair));
    }
    lost.reverse();
    Ok(last)
}

/// The digest of `before`, all the segments before one.
pub(super) fn digest_before(
    storage: &dyn Storage,
    dir: &Path,
    before: &[SegmentName],
) -> Vec<Record> {
    let mut digest = Vec::new();
    let newest = before
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(i, name)| Some((i, Index::read(storage, dir, name)?)))
        .find(|(_, index)| index.has_digest());
    let after = match newest {
        Some((i, index)) => {
            digest = index.carried;
            extend_digest(&mut digest, index.own);
            i
        }
        None => 0,
    };
    for at in after..before.len() {
        let upto = before.get(..=at).unwrap_or_default();
        if let Some(summary) = summary_of(storage, dir, upto) {
            extend_digest(&mut digest, [summary]);
        }
    }
    digest
}

/// A summary of the last of `segments`, which has none: from its sizes and stamps.
fn summary_of(storage: &dyn Storage, dir: &Path, segments: &[SegmentName]) -> Option<Record> {
    let name = segments.last()?;
    let bytes = storage.size(&name.path(dir, "ts")).ok()?;
    let blocks = bytes.div_ceil(super::BLOCK_BYTES);
    let stamps = Stamps::whole(storage, dir, segments, blocks);
    let (first, last) = (stamps.get(0)?, stamps.get(blocks.checked_sub(1)?)?);
    let mut index = IndexWriter::new(*name);
    if let Some(found) = Index::read(storage, dir, name) {
        found.own.into_iter().for_each(|r| index.push(r));
    }
    Some(index.summary(bytes, first, last))
}

/// Settings for a directory that has none: a new ring, one that lost them, or one that multicat
/// made. The lengths are those that the files show; segments whose names fit none (made with
/// multicat's `-O`, say) become an epoch of their own.
fn adopt(
    storage: &dyn Storage,
    dir: &Path,
    layout: &Layout,
    changes: &Changes,
    now: WallTime,
    events: &mut Vec<RingEvent>,
) -> Result<Settings, RingError> {
    let live = layout.segments.iter().filter(|s| s.epoch == 0);
    let live: Vec<SegmentName> = live.copied().collect();
    let mut settings = Settings::default();
    // How long was kept is not known: what is there was.
    if let Some(oldest) = layout.segments.first() {
        let age = (now - oldest.start).as_millis().max(0);
        settings.keep_ms = settings.keep_ms.max(age);
    }
    if live.is_empty() {
        return Ok(settings);
    }
    let found = lengths::found(storage, dir, &live).or_else(|| guessed(&live, changes, now));
    if let Some((lengths, segments)) = found {
        settings.lengths = lengths;
        events.push(RingEvent::SettingsFound {
            segment: settings.length(),
            segments,
            keep: changes.keep.unwrap_or(settings.keep()),
        });
        return Ok(settings);
    }
    let number = layout.epochs.iter().map(|e| e.number).max().unwrap_or(0) + 1;
    let path = epoch_dir(dir, number);
    storage
        .create_dir(&path)
        .map_err(RingError::io("making", &path))?;
    let kept = EpochSettings {
        at_ticks: now.ticks(),
        lengths: Vec::new(),
    };
    kept.store(storage, &path)?;
    epoch::move_all(storage, dir, &live, number)?;
    Ok(settings)
}

/// The length of segments that have neither stamps nor indexes: the usual one that puts the newest
/// into the last years.
fn guessed(
    live: &[SegmentName],
    changes: &Changes,
    now: WallTime,
) -> Option<(Vec<LengthSince>, usize)> {
    let newest = live.iter().map(|name| name.number).max()?;
    let usual = [changes.segment, Some(HOUR), Some(DEFAULT_SEGMENT)];
    let length = usual.into_iter().flatten().find(|length| {
        let start = newest.checked_mul(length.get()).map(WallTime::from_ticks);
        start.is_some_and(|start| start <= now && now - start < YEARS)
    })?;
    let ticks = length.get();
    let from_ticks = live
        .iter()
        .map(|name| name.number)
        .min()?
        .checked_mul(ticks)?;
    Some((vec![LengthSince { from_ticks, ticks }], 0))
}
