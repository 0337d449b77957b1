//! The passes of a ring's clock: where it was set back, an instant was on air more than once.

use std::ops::Range;
use std::str::FromStr;

use super::fault::RingFault;
use crate::cli::Ends;
use crate::ring::{Ring, SegmentName};
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

    /// How much of a range it has.
    fn overlap(&self, range: Ends<WallTime>) -> Ticks27M {
        let from = range.0.map_or(self.from, |from| from.max(self.from));
        let to = range.1.map_or(self.to, |to| to.min(self.to));
        to - from
    }

    fn holds(&self, range: Ends<WallTime>) -> bool {
        let inside = |at: Option<WallTime>| at.is_none_or(|at| self.from <= at && at <= self.to);
        inside(range.0) && inside(range.1)
    }
}

/// Which pass is cut from.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    passes: Vec<Pass>,
    chosen: usize,
    asked: bool,
    range: Ends<WallTime>,
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
        let chosen = match epoch {
            Some(EpochArg::Live) => last,
            Some(EpochArg::Number(number)) => {
                let of_it = |pass: &Pass| {
                    let segments = ring.segments().get(pass.segments.clone());
                    segments.is_some_and(|s| s.iter().any(|s| s.epoch == number))
                };
                passes.iter().position(of_it).ok_or_else(|| {
                    let epochs = passes.iter().filter_map(|pass| pass.epoch);
                    RingFault::NoEpoch(number, epochs.collect())
                })?
            }
            None => {
                let whole = passes.iter().rposition(|pass| pass.holds(range));
                let most = || {
                    let overlaps = passes.iter().map(|pass| pass.overlap(range)).enumerate();
                    let most = overlaps.max_by_key(|(_, overlap)| overlap.get());
                    most.map_or(last, |(number, _)| number)
                };
                whole.unwrap_or_else(most)
            }
        };
        Ok(Self {
            passes,
            chosen,
            asked: epoch.is_some(),
            range,
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
        let chosen = self.passes.get(self.chosen).filter(|_| !self.asked)?;
        let others: Vec<String> = (self.passes.iter().enumerate())
            .filter(|(number, pass)| {
                *number != self.chosen && pass.overlap(self.range) > Ticks27M::ZERO
            })
            .map(|(_, pass)| format!("--epoch {}: {} to {}", pass.name(), pass.from, pass.to))
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
