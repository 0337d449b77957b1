//! Inputs that carry the same packets, each mended by the others before it is laid on its line.
//!
//! Every input is the main leg of a [`Merge`] of its own, of which the others may turn out to be
//! twins. So it does not matter which of them is on air: what is read of each is what any has.

use super::health::{Health, HealthOptions};
use crate::stream::Batch;
use crate::stream::event::Event;
use crate::stream::merge::{LegCounts, Merge, MergeEvent, prints};
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M};

/// Packets that are handed on together.
const TOGETHER: usize = 1024;

#[derive(Debug)]
struct Mended {
    merge: Merge,
    /// How it is when it is mended, while it is.
    health: Option<Health>,
}

/// The inputs and what mends them.
#[derive(Debug)]
pub(super) struct Twins {
    mended: Vec<Mended>,
    health: HealthOptions,
    prints: Vec<u64>,
    batch: Batch,
}

/// What the merging of an input has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TwinStatus {
    /// The inputs that carry the same packets.
    pub twins: Vec<usize>,
    /// What it brought, and what it did not.
    pub counts: LegCounts,
    /// How much later it comes than the first of its twins.
    pub lag: Ticks27M,
}

/// The leg of an input where `main` is the main one.
const fn leg_of(input: usize, main: usize) -> usize {
    if input == main {
        0
    } else if input < main {
        input + 1
    } else {
        input
    }
}

/// The input of a leg.
pub(super) const fn input_of(leg: usize, main: usize) -> usize {
    if leg == 0 {
        main
    } else if leg <= main {
        leg - 1
    } else {
        leg
    }
}

impl Twins {
    pub(super) fn new(inputs: usize, skew: Ticks27M, health: HealthOptions) -> Self {
        let mended = |_| Mended {
            merge: Merge::new(inputs, skew),
            health: None,
        };
        Self {
            mended: (0..inputs).map(mended).collect(),
            health,
            prints: Vec::new(),
            batch: Batch::with_capacity(TOGETHER),
        }
    }

    /// How much later packets leave for it.
    pub(super) fn delay(&self) -> Ticks27M {
        let delay = self.mended.first().map(|mended| mended.merge.delay());
        delay.unwrap_or_default()
    }

    /// Takes packets of an input; false when it is none of these.
    pub(super) fn push(&mut self, input: usize, batch: &Batch) -> bool {
        if input >= self.mended.len() {
            return false;
        }
        for (came, packets) in batch.runs() {
            prints(packets, &mut self.prints);
            for (main, mended) in self.mended.iter_mut().enumerate() {
                let leg = leg_of(input, main);
                mended.merge.push_known(leg, packets, &self.prints, came);
            }
        }
        true
    }

    /// Gives what is due of an input by `now`.
    pub(super) fn pop(&mut self, input: usize, now: Arrival, out: &mut dyn FnMut(&Batch)) {
        let Some(mended) = self.mended.get_mut(input) else {
            return;
        };
        let merging = mended.merge.is_merging();
        if !merging {
            mended.health = None;
        }
        let options = self.health;
        let (batch, health) = (&mut self.batch, &mut mended.health);
        let mut hand_on = |batch: &mut Batch| {
            // It begins with a packet: before, nothing is a loss.
            if merging {
                health
                    .get_or_insert_with(|| Health::new(options))
                    .push(batch);
            }
            out(batch);
            batch.clear();
        };
        mended.merge.pop(now, &mut |packet: &Packet, at| {
            batch.push(packet, at);
            if batch.room() == 0 {
                hand_on(batch);
            }
        });
        if !batch.is_empty() {
            hand_on(batch);
        }
    }

    /// How an input is with what its twins have; `None` where it has none.
    pub(super) fn health(&mut self, input: usize) -> Option<&mut Health> {
        self.mended.get_mut(input)?.health.as_mut()
    }

    /// True when an input has a twin.
    pub(super) fn is_merging(&self, input: usize) -> bool {
        let mended = self.mended.get(input);
        mended.is_some_and(|mended| mended.merge.is_merging())
    }

    /// What was counted of an input; `None` when it is none of these.
    pub(super) fn status(&self, input: usize) -> Option<TwinStatus> {
        let merge = &self.mended.get(input)?.merge;
        let others = (0..self.mended.len()).filter(|other| *other != input);
        let twins = others
            .clone()
            .filter(|other| merge.is_joined(leg_of(*other, input)));
        let mut counts = merge.counts(0);
        // As a main leg it is never the one that is left.
        let different = others.filter_map(|other| {
            let mended = self.mended.get(other)?;
            Some(mended.merge.counts(leg_of(input, other)).different)
        });
        counts.different = different.max().unwrap_or_default();
        Some(TwinStatus {
            twins: twins.collect(),
            counts,
            lag: merge.lag(0),
        })
    }

    /// Packets that are kept.
    pub(super) fn held(&self) -> usize {
        self.mended.iter().map(|mended| mended.merge.held()).sum()
    }

    /// What happened since the last call: of which input, and what. What two have in common is told
    /// of the first of them.
    pub(super) fn drain(&mut self, sink: &mut dyn FnMut(usize, MergeEvent)) {
        for (main, mended) in self.mended.iter_mut().enumerate() {
            mended.merge.drain(&mut |event| {
                let of_other = event.leg().map(|leg| input_of(leg, main));
                if of_other.is_none_or(|other| other >= main) {
                    sink(main, *event);
                }
            });
        }
    }
}

impl MergeEvent {
    /// The leg that it is about, if it is about one.
    const fn leg(&self) -> Option<usize> {
        match self {
            Self::Joined { leg } | Self::Parted { leg, .. } | Self::TooLate { leg, .. } => {
                Some(*leg)
            }
            Self::Overflow { .. } => None,
        }
    }
}

/// As the event of a switch tells it.
impl MergeEvent {
    pub(super) fn fields_of(
        &self,
        main: usize,
        field: &mut dyn FnMut(&'static str, crate::stream::event::Value),
    ) {
        field("input", (main as u64 + 1).into());
        if let Some(leg) = self.leg() {
            field("twin", (input_of(leg, main) as u64 + 1).into());
        }
        self.fields(&mut |key, value| {
            if key != "leg" {
                field(key, value);
            }
        });
    }
}
