//! How far the wall clock was set forward, for who plays a ring by its stamps.

use super::index::What;
use super::layout::SegmentName;
use super::reader::Ring;
use crate::units::{Ticks27M, WallTime};

/// The forward steps of the clock that the indexes of the segment that is played and of the one
/// before it tell: a step is filed with the packet behind it, which may still have filled the last
/// block of the segment before.
///
/// An index is read when a step in its segment is asked for, and once; that of a segment which is
/// being recorded each time.
pub struct ForwardSteps {
    ring: Ring,
    /// In the order they are played.
    segments: Vec<(SegmentName, Option<Noted>)>,
}

/// What an index tells.
struct Noted {
    steps: Vec<(WallTime, Ticks27M)>,
    /// The recorder has left the segment: nothing more is filed there.
    closed: bool,
}

impl Noted {
    fn read(ring: &Ring, name: &SegmentName) -> Self {
        let index = ring.index(name);
        let closed = index.as_ref().is_some_and(|index| index.reach().1);
        let own = index.map(|index| index.own).unwrap_or_default();
        let steps = own.into_iter().filter_map(|record| match record.what {
            What::ClockStep { by } if !by.is_negative() => Some((record.at, by)),
            _ => None,
        });
        Self {
            steps: steps.collect(),
            closed,
        }
    }
}

impl ForwardSteps {
    /// None are known of `ring` yet.
    pub fn new(ring: &Ring) -> Self {
        Self {
            ring: ring.clone(),
            segments: Vec::with_capacity(2),
        }
    }

    /// To be called with the segment that packets are read from.
    pub fn enter(&mut self, segment: SegmentName) {
        if self
            .segments
            .last()
            .is_none_or(|(last, _)| *last != segment)
        {
            if self.segments.len() > 1 {
                self.segments.remove(0);
            }
            self.segments.push((segment, None));
        }
    }

    /// How far the clock was set forward between two stamps that follow one another.
    pub fn between(&mut self, last: WallTime, at: WallTime) -> Ticks27M {
        let mut sum = Ticks27M::ZERO;
        for (name, known) in &mut self.segments {
            let closed = known.take_if(|noted| noted.closed);
            let noted = known.insert(closed.unwrap_or_else(|| Noted::read(&self.ring, name)));
            // A step is filed under the wall clock, from which stamps differ by less than a second.
            let between = |when: WallTime| when > last && when <= at + Ticks27M::SECOND;
            let steps = noted.steps.iter().filter(|(when, _)| between(*when));
            sum = steps.fold(sum, |sum, (_, by)| sum + *by);
        }
        sum
    }
}
