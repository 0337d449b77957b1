//! Packets and the instants they are filed under.

use crate::ts::Packet;
use crate::units::{Ticks27M, WallTime};

/// The stamps of a slice of packets; none decreases.
pub(super) enum Dated<'a> {
    /// From each position on, that stamp; the first position is 0.
    Runs(&'a [(usize, WallTime)]),
    /// Evenly from `at` over `span`.
    Even {
        at: WallTime,
        span: Ticks27M,
        count: usize,
    },
}

impl Dated<'_> {
    /// The stamp of the packet at `position`.
    pub(super) fn stamp(&self, position: usize) -> WallTime {
        match self {
            Self::Runs(runs) => {
                let after = runs.partition_point(|(start, _)| *start <= position);
                let run = runs.get(after.saturating_sub(1));
                run.map_or(WallTime::default(), |(_, at)| *at)
            }
            Self::Even { at, span, count } => {
                let of = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
                *at + Ticks27M::new(span.get().saturating_mul(of(position)) / of(*count).max(1))
            }
        }
    }

    /// `packets`, which begin at position `from`, in runs of one stamp.
    pub(super) fn runs<'p>(
        &self,
        packets: &'p [Packet],
        from: usize,
    ) -> impl Iterator<Item = (WallTime, &'p [Packet])> {
        let mut done = 0;
        std::iter::from_fn(move || {
            let rest = packets.get(done..).filter(|rest| !rest.is_empty())?;
            let at = from + done;
            let take = match self {
                Self::Runs(runs) => {
                    let after = runs.partition_point(|(start, _)| *start <= at);
                    runs.get(after).map_or(rest.len(), |(start, _)| start - at)
                }
                Self::Even { .. } => 1,
            };
            let run = rest.get(..take).unwrap_or(rest);
            done += run.len();
            Some((self.stamp(at), run))
        })
    }
}
