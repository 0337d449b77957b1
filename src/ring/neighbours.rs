//! What stands in for the stamps of a segment: its index, the segments around it, its own PCRs.

use std::path::Path;

use crate::ts::{PACKET_SIZE, Packet, Pcr, Pid};
use crate::units::{Ticks27M, WallTime};

use super::index::{Index, What};
use super::layout::SegmentName;
use super::segment::BLOCK_BYTES;
use super::stamps::{LATEST, Stamps};
use super::storage::{Access, Storage};

/// How many segments on either side are asked for their pace.
const AROUND: usize = 3;
/// Stamps of a segment that are looked at before its pace is believed.
const PROBES: u64 = 16;
/// Bytes at either end of a segment in which PCRs are looked for: 0.4 s at 40 Mb/s.
const ENDS: u64 = 2 << 20;

/// What is known of when the packets of a segment came, its stamps apart.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The instants that the side index knows: a block, and when it came. In order.
    pub(super) anchors: Vec<(u64, WallTime)>,
    /// Where the segment ends, by what follows it and by the pace around it.
    pub(super) until: Option<WallTime>,
}

impl Around {
    /// What is known around segment `at` of `segments`, which are in order.
    pub(super) fn of(
        storage: &dyn Storage,
        ring: &Path,
        segments: &[SegmentName],
        at: usize,
    ) -> Self {
        let Some(name) = segments.get(at) else {
            return Self::default();
        };
        Self {
            anchors: anchors(storage, ring, name),
            until: until(storage, ring, segments, at),
        }
    }
}

fn anchors(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Vec<(u64, WallTime)> {
    let Some(index) = Index::read(storage, ring, name) else {
        return Vec::new();
    };
    let told = |what: &What| matches!(what, What::Pcr { .. } | What::RandomAccess { .. });
    let own = index.own.iter().filter(|r| told(&r.what));
    let mut anchors: Vec<_> = own.map(|r| (r.offset / BLOCK_BYTES, r.at)).collect();
    anchors.sort_unstable();
    anchors
}

/// Where segment `at` ends when its stamps do not say: after as long as so many bytes take around
/// it, and before what follows.
fn until(
    storage: &dyn Storage,
    ring: &Path,
    segments: &[SegmentName],
    at: usize,
) -> Option<WallTime> {
    let name = segments.get(at)?;
    let same = |at: usize| segments.get(at).filter(|s| s.epoch == name.epoch);
    let next = same(at + 1).map(|next| next.start);
    let told = length(storage, ring, segments, at).map(|length| name.start + length);
    match (told, next) {
        (Some(told), Some(next)) => Some(told.min(next)),
        (told, next) => told.or(next),
    }
}

/// How long the bytes of segment `at` take, at the pace of the nearest segment that has one; where
/// none has, by its own PCRs.
pub(super) fn length(
    storage: &dyn Storage,
    ring: &Path,
    segments: &[SegmentName],
    at: usize,
) -> Option<Ticks27M> {
    let name = segments.get(at)?;
    let bytes = storage.size(&name.path(ring, "ts")).ok()?;
    let around = (1..=AROUND).flat_map(|by| [at.checked_sub(by), at.checked_add(by)]);
    let pace = around
        .flatten()
        .filter_map(|at| segments.get(at))
        .filter(|other| other.epoch == name.epoch)
        .find_map(|other| Pace::of(storage, ring, other));
    let pace = pace.or_else(|| Pace::by_pcr(storage, ring, name, bytes))?;
    Some(pace.time(bytes))
}

/// Where the last of `segments` ends: by its stamps, or by what stands in for them.
pub(super) fn end(
    storage: &dyn Storage,
    ring: &Path,
    segments: &[SegmentName],
) -> Option<WallTime> {
    let (at, name) = segments.iter().enumerate().next_back()?;
    let own = stamped(storage, ring, name).map(|(_, _, last)| last);
    let told = || until(storage, ring, segments, at);
    Some(own.or_else(told).unwrap_or(name.start))
}

/// So much time for so many bytes.
#[derive(Copy, Clone, Debug)]
struct Pace {
    span: Ticks27M,
    bytes: u64,
}

impl Pace {
    /// By the stamps of a segment.
    fn of(storage: &dyn Storage, ring: &Path, name: &SegmentName) -> Option<Self> {
        let (blocks, first, last) = stamped(storage, ring, name)?;
        Self::new(last - first, (blocks - 1) * BLOCK_BYTES)
    }

    /// By the first PCR of a segment, and the last of the same PID.
    fn by_pcr(storage: &dyn Storage, ring: &Path, name: &SegmentName, bytes: u64) -> Option<Self> {
        let file = storage.open(&name.path(ring, "ts"), Access::Read).ok()?;
        let size = PACKET_SIZE as u64;
        let read = |from: u64| {
            let from = from / size * size;
            let mut held = vec![0; usize::try_from(ENDS.min(bytes - from)).ok()?];
            let read = file.read_at(&mut held, from).ok()?;
            held.truncate(read);
            let packets = Packet::slice_of(&held)
                .0
                .iter()
                .zip((from..).step_by(PACKET_SIZE));
            let clocks = packets.filter_map(|(p, at)| Some((p.pid(), p.pcr()?, at)));
            Some(clocks.collect::<Vec<(Pid, Pcr, u64)>>())
        };
        let (pid, first, begins) = *read(0)?.first()?;
        let ends = read(bytes.saturating_sub(ENDS))?;
        let (_, last, at) = ends.into_iter().rev().find(|(of, ..)| *of == pid)?;
        Self::new(last - first, at.checked_sub(begins)?)
    }

    fn new(span: Ticks27M, bytes: u64) -> Option<Self> {
        (span > Ticks27M::ZERO && bytes > 0).then_some(Self { span, bytes })
    }

    /// How long so many bytes take.
    fn time(self, bytes: u64) -> Ticks27M {
        let ticks = i128::from(self.span.get()) * i128::from(bytes) / i128::from(self.bytes);
        Ticks27M::new(i64::try_from(ticks).unwrap_or(i64::MAX))
    }
}

/// How many stamps a segment has, the first and the last; `None` when a look at some shows that
/// they are not in order, or cannot be.
fn stamped(
    storage: &dyn Storage,
    ring: &Path,
    name: &SegmentName,
) -> Option<(u64, WallTime, WallTime)> {
    let stamps = Stamps::open(storage, &name.path(ring, "aux")).ok()?;
    let count = stamps.count().ok().filter(|count| *count > 1)?;
    let last = count - 1;
    let places = (0..=PROBES).map(|n| u128::from(last) * u128::from(n) / u128::from(PROBES));
    let probes: Option<Vec<WallTime>> = places
        .map(|at| stamps.get(u64::try_from(at).ok()?))
        .collect();
    let probes = probes?;
    let (first, last) = (*probes.first()?, *probes.last()?);
    let sane = first >= WallTime::default() && last < LATEST && probes.is_sorted();
    sane.then_some((count, first, last))
}
