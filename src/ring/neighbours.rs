//! What stands in for the stamps of a segment: its index, the segments around it, its own PCRs.

use std::path::Path;

use crate::ts::{PACKET_SIZE, Packet, Pcr, Pid};
use crate::units::{Ticks27M, WallTime};

use super::index::{Index, Record, What};
use super::layout::SegmentName;
use super::segment::BLOCK_BYTES;
use super::stamps::Stamps;
use super::storage::{Access, Storage};

/// How many segments on either side are asked for their pace.
const AROUND: usize = 3;
/// Places in a segment in which PCRs are looked for: between two of them less time passes than half
/// the circle of a PCR (13 h 15 min), beyond which a difference says nothing.
const LOOKS: u64 = 16;
/// Bytes looked at in each: 0.4 s at 40 Mb/s.
const LOOK_BYTES: u64 = 2 << 20;
/// From one look to the next a stream's rate changes by less than this factor; where its clock says
/// otherwise, the clock jumped. A jump by less than half of what passes between two looks is not
/// seen, and costs no more than that.
const STEADY: i128 = 2;

/// What is known of when the packets of a segment came, its stamps apart.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The instants that the side index knows: a block, and when it came. In order.
    pub(super) anchors: Vec<(u64, WallTime)>,
    /// Where the segment ends, by what follows it and by the pace around it.
    pub(super) until: Option<WallTime>,
    /// The blocks of its packets.
    pub(super) blocks: u64,
    /// When its packets came, by its index: in no order.
    indexed: Vec<WallTime>,
    /// The times that the names of the other segments of its epoch take.
    taken: Vec<(WallTime, WallTime)>,
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
        let index = Index::read(storage, ring, name);
        // A gap, or a step of the clock, is told with the packet behind it.
        let apart = |what: &What| matches!(what, What::Gap { .. } | What::ClockStep { .. });
        let came = |record: &Record| (!apart(&record.what)).then_some(record.at);
        Self {
            anchors: index.as_ref().map(anchors).unwrap_or_default(),
            until: until(storage, ring, segments, at),
            blocks: storage
                .size(&name.path(ring, "ts"))
                .map_or(0, |bytes| bytes.div_ceil(BLOCK_BYTES)),
            indexed: index
                .iter()
                .flat_map(|index| &index.own)
                .filter_map(came)
                .collect(),
            taken: segments
                .iter()
                .filter(|other| other.epoch == name.epoch && *other != name)
                .map(|other| (other.start, other.end()))
                .collect(),
        }
    }

    /// True when stamps that begin at `first` are not those of the segment, which by its name has
    /// those from `named.0` to `named.1`: another has that time, or its own index knows better.
    pub(super) fn denies(&self, first: WallTime, named: (WallTime, WallTime)) -> bool {
        let taken = |(start, end): &(WallTime, WallTime)| (*start..*end).contains(&first);
        // The last mark of a segment is of the packets that began the next.
        let near = named.0..=named.1 + Ticks27M::SECOND;
        let inside = |at: &WallTime| near.contains(at);
        self.taken.iter().any(taken) || self.indexed.iter().any(inside)
    }
}

fn anchors(index: &Index) -> Vec<(u64, WallTime)> {
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

/// The first stamp of a segment and the last; `None` when a look at some shows that they are not in
/// order, or cannot be.
pub(super) fn ends(
    storage: &dyn Storage,
    ring: &Path,
    name: &SegmentName,
) -> Option<(WallTime, WallTime)> {
    stamped(storage, ring, name).map(|(_, first, last)| (first, last))
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

    /// By the PCRs of a segment: those of its first PID that are found in a look here and there.
    /// Steps between two looks that do not agree with most are jumps, and left out; `None` when
    /// they are more than half of what was looked at.
    fn by_pcr(storage: &dyn Storage, ring: &Path, name: &SegmentName, bytes: u64) -> Option<Self> {
        let file = storage.open(&name.path(ring, "ts"), Access::Read).ok()?;
        // Looks at a short segment touch one another: all of it is read, and none of it twice.
        let most = (bytes / LOOKS).clamp(PACKET_SIZE as u64, LOOK_BYTES);
        let mut held = Vec::new();
        let mut found: Vec<(Pid, Pcr, u64)> = Vec::new();
        for look in 0..=LOOKS {
            let behind = bytes.saturating_sub(most);
            let from = u64::try_from(u128::from(bytes) * u128::from(look) / u128::from(LOOKS));
            let from = from.ok()?.min(behind) / PACKET_SIZE as u64 * PACKET_SIZE as u64;
            held.resize(usize::try_from(most.min(bytes - from)).ok()?, 0);
            let read = file.read_at(&mut held, from).ok()?;
            let packets = Packet::slice_of(held.get(..read)?).0.iter();
            let clocks = packets.zip((from..).step_by(PACKET_SIZE));
            let pid = found.first().map(|(pid, ..)| *pid);
            let mut clocks = clocks
                .filter_map(|(p, at)| Some((p.pid(), p.pcr()?, at)))
                .filter(|(of, ..)| pid.is_none_or(|pid| pid == *of));
            match look {
                LOOKS => found.extend(clocks.last()),
                _ => found.extend(clocks.next()),
            }
        }
        let pairs = found.iter().zip(found.iter().skip(1));
        let steps: Vec<(Ticks27M, u64)> = pairs
            .map(|((_, before, from), (_, after, to))| (*after - *before, to.saturating_sub(*from)))
            .filter(|(_, bytes)| *bytes > 0)
            .collect();
        Self::of_most(&steps)
    }

    /// That of the steps that agree with their median.
    fn of_most(steps: &[(Ticks27M, u64)]) -> Option<Self> {
        // In 2^-20 ticks a byte.
        let rate =
            |(span, bytes): &(Ticks27M, u64)| (i128::from(span.get()) << 20) / i128::from(*bytes);
        let mut rates: Vec<i128> = steps.iter().map(rate).collect();
        rates.sort_unstable();
        let median = *rates.get(rates.len() / 2)?;
        let agree = |step: &&(Ticks27M, u64)| {
            let rate = rate(step);
            rate > 0 && rate <= median * STEADY && median <= rate * STEADY
        };
        let (mut span, mut bytes) = (Ticks27M::ZERO, 0);
        for (step, over) in steps.iter().filter(agree) {
            span += *step;
            bytes += over;
        }
        let all: u64 = steps.iter().map(|(_, bytes)| bytes).sum();
        Self::new(span, bytes).filter(|pace| pace.bytes >= all / 2)
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
    let stamps = Stamps::open(storage, &name.path(ring, "aux"));
    stamps.ok()?.ends()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::sim::SimDisk;
    use crate::ts::ContinuityCounter;

    /// How long a segment of 24 h is taken to be by its PCRs alone: 2000 packets, 43.2 s apart,
    /// from the middle of the circle on; at packet 700 the clock jumps by `jump`.
    fn told(jump: Ticks27M) -> Option<Ticks27M> {
        let name = SegmentName {
            epoch: 0,
            number: 19_000,
            start: WallTime::from_unix_millis(19_000 * 86_400_000),
            length: Ticks27M::SECOND * 86_400,
        };
        let (disk, ring) = (SimDisk::default(), Path::new("/ring"));
        let (pid, counter) = (Pid::new(0x100).unwrap(), ContinuityCounter::default());
        let mut pcr = Pcr::from_ticks(1 << 40).unwrap();
        let mut packets = Vec::new();
        for n in 0..2000 {
            packets.push(Packet::pcr_only(pid, counter, pcr));
            pcr = pcr + Ticks27M::from_millis(43_200);
            if n == 700 {
                pcr = pcr + jump;
            }
        }
        disk.create_dir(ring).unwrap();
        disk.put(&name.path(ring, "ts"), Packet::bytes_of(&packets));
        length(&disk, ring, &[name], 0)
    }

    #[test]
    fn a_day_is_told_by_its_clock_over_the_wrap_and_over_a_jump() {
        let day = Ticks27M::SECOND * 86_400;
        let hours = Ticks27M::SECOND * 3600;
        for jump in [Ticks27M::ZERO, hours * 10, hours * -10, hours * -1] {
            assert_eq!(told(jump), Some(day), "jump of {jump}");
        }
    }
}
