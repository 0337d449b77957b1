//! The passes of a ring's clock: where it was set back, an instant was on air more than once.

use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;

use super::fault::RingFault;
use crate::cli::Ends;
use crate::ring::{Ring, SILENCE, SegmentName};
use crate::units::{Ticks27M, WallTime};

/// `--epoch`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum EpochArg {
    /// What was received since the clock was set back last.
    Live,
    /// What was received up to when the clock was set back from `epoch-K`.
    Number(u32),
}

impl FromStr for EpochArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("epoch-").unwrap_or(text).parse() {
            Ok(number @ 1..) => Ok(Self::Number(number)),
            _ if text == "live" => Ok(Self::Live),
            _ => Err("write live, or the K of epoch-K"),
        }
    }
}

/// Segments received one after the other under a clock that was not set back.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    /// Which of the ring's segments.
    segments: Range<usize>,
    /// The epoch that ends it; `None` for the newest pass.
    pub(super) epoch: Option<u32>,
    /// When its first block came, and its last.
    from: WallTime,
    to: WallTime,
}

impl Pass {
    fn name(&self) -> String {
        self.epoch.map_or("live".to_owned(), |k| k.to_string())
    }

    /// What it has of a range.
    fn holding(&self, ring: &Ring, range: Ends<WallTime>) -> Holding {
        let (from, to) = (range.0.unwrap_or(self.from), range.1.unwrap_or(self.to));
        let mut holding = Holding::default();
        // An end that was not given is its own.
        let (mut begins, mut ends) = (range.0.is_none(), range.1.is_none());
        let mut last: Option<WallTime> = None;
        let mut stamps = Vec::new();
        let segments = ring.segments().get(self.segments.clone());
        let segments = segments.unwrap_or_default();
        for (number, name) in segments.iter().enumerate() {
            let next = segments.get(number + 1);
            // A block may span the instant between two names.
            if next.is_some_and(|next| next.start + SILENCE < from) || name.start > to {
                continue;
            }
            let held = ring.stamps(name);
            let count = held.count().unwrap_or(0);
            let mut block = held.seek(from, count).saturating_sub(1);
            while block < count && last.is_none_or(|last| last <= to) {
                stamps.clear();
                if held.read(block, STAMPS, &mut stamps).is_err() || stamps.is_empty() {
                    break;
                }
                block += stamps.len() as u64;
                for &at in &stamps {
                    let Some(before) = last.replace(at).filter(|last| at - *last < SILENCE) else {
                        continue;
                    };
                    begins |= before <= from && from <= at;
                    ends |= before <= to && to <= at;
                    let length = at.min(to) - before.max(from);
                    holding.length += length.max(Ticks27M::ZERO);
                }
            }
        }
        let bounded = range.0.is_some() && range.1.is_some();
        holding.is_whole = begins && ends && (!bounded || holding.length >= to - from);
        holding
    }
}

/// Stamps looked at together.
const STAMPS: usize = 8192;

/// What a pass has of a range. Silence is nothing.
#[derive(Copy, Clone, Debug, Default)]
struct Holding {
    length: Ticks27M,
    /// Both ends are there, and all between; where one end is not given, the other.
    is_whole: bool,
}

/// Which pass is cut from.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    passes: Vec<Pass>,
    chosen: usize,
    /// What each has of the range; none where the choice was not ours.
    held: Vec<Holding>,
}

impl Choice {
    /// The pass that was asked for; else the newest that holds the whole range; else the one that
    /// holds most of it.
    pub(super) fn of(
        ring: &Ring,
        range: Ends<WallTime>,
        epoch: Option<EpochArg>,
    ) -> Result<Self, RingFault> {
        let passes = passes(ring);
        let last = passes.len().saturating_sub(1);
        // The stamps are read only where there is a choice.
        let held: Vec<Holding> = match epoch {
            None if passes.len() > 1 => {
                let held = passes.iter().map(|pass| pass.holding(ring, range));
                held.collect()
            }
            _ => Vec::new(),
        };
        let chosen = match epoch {
            Some(EpochArg::Live) => last,
            Some(EpochArg::Number(number)) => {
                let of_it = |pass: &Pass| {
                    let segments = ring.segments().get(pass.segments.clone());
                    segments.is_some_and(|s| s.iter().any(|s| s.epoch == number))
                };
                passes.iter().position(of_it).ok_or_else(|| {
                    let epochs = ring.segments().iter().map(|s| s.epoch);
                    let epochs: BTreeSet<u32> = epochs.filter(|epoch| *epoch > 0).collect();
                    RingFault::NoEpoch(number, epochs.into_iter().collect())
                })?
            }
            None => {
                let whole = held.iter().rposition(|held| held.is_whole);
                let most = || {
                    let most = held.iter().enumerate();
                    let most = most.max_by_key(|(_, held)| held.length.get());
                    most.map_or(last, |(number, _)| number)
                };
                whole.unwrap_or_else(most)
            }
        };
        Ok(Self {
            passes,
            chosen,
            held,
        })
    }

    /// Its segments.
    pub(super) fn segments<'a>(&self, ring: &'a Ring) -> &'a [SegmentName] {
        let chosen = self.passes.get(self.chosen);
        let segments = chosen.and_then(|pass| ring.segments().get(pass.segments.clone()));
        segments.unwrap_or_default()
    }

    /// How to ask for it again; `None` where the clock was never set back.
    pub(super) fn name(&self) -> Option<String> {
        let chosen = self.passes.get(self.chosen)?;
        (self.passes.len() > 1).then(|| chosen.name())
    }

    /// What else of the ring is in the range that was asked for, in words; `None` where nothing
    /// is, or the choice was not ours.
    pub(super) fn words(&self) -> Option<String> {
        let chosen = self.passes.get(self.chosen)?;
        let others: Vec<String> = (self.passes.iter().zip(&self.held).enumerate())
            .filter(|(number, (_, held))| *number != self.chosen && held.length > Ticks27M::ZERO)
            .map(|(_, (pass, _))| format!("--epoch {}: {} to {}", pass.name(), pass.from, pass.to))
            .collect();
        let all = (!others.is_empty()).then(|| others.join(", "))?;
        let (name, from, to) = (chosen.name(), chosen.from, chosen.to);
        Some(format!(
            "the recorder's clock was set back, and more than one part of the ring has something \
             of that range: cut from --epoch {name} ({from} to {to}); the ring also has {all}"
        ))
    }
}

/// The passes of a ring, in the order of reception; none without a stamp.
fn passes(ring: &Ring) -> Vec<Pass> {
    let segments = ring.segments();
    let first = |s: &SegmentName| ring.stamps(s).get(0).unwrap_or(s.start);
    let last = |s: &SegmentName| {
        let stamps = ring.stamps(s);
        let last = stamps.count().unwrap_or(0).checked_sub(1);
        last.and_then(|block| stamps.get(block)).unwrap_or(s.start)
    };
    let mut passes: Vec<Pass> = Vec::new();
    let mut begun = 0;
    for (number, pair) in segments.windows(2).enumerate() {
        if let [a, b] = pair
            && a.epoch != b.epoch
            && first(b) < last(a)
        {
            let epoch = Some(a.epoch).filter(|epoch| *epoch > 0);
            passes.extend(pass(segments, begun..number + 1, epoch, first, last));
            begun = number + 1;
        }
    }
    passes.extend(pass(segments, begun..segments.len(), None, first, last));
    passes
}

fn pass(
    segments: &[SegmentName],
    range: Range<usize>,
    epoch: Option<u32>,
    first: impl Fn(&SegmentName) -> WallTime,
    last: impl Fn(&SegmentName) -> WallTime,
) -> Option<Pass> {
    let inside = segments.get(range.clone())?;
    Some(Pass {
        from: first(inside.first()?),
        to: last(inside.last()?),
        segments: range,
        epoch,
    })
}
