//! Where to leave the one input and to enter the other.
//!
//! Entered is at a random-access point that is not due yet, left at the end of a picture with which
//! every picture presented before it is there. Among the points the first is taken at which the
//! old pictures reach up to the new ones: no frame slot is missing then, and the new input is moved
//! by the part of a frame (or the few frames, where pictures are reordered) that makes them
//! meet. Where the old input ended before, the new one is moved by the part of a frame that keeps
//! the cadence.

use super::input::{Input, InputStream};
use super::leg::{Leg, Now};
use super::unit::Unit;
use crate::stream::restamp::whole_stamps;
use crate::ts::Pcr;
use crate::units::{StreamTime, Ticks27M};

/// A new input is moved later by this at most so that pictures meet.
const MOST_MOVED: Ticks27M = Ticks27M::from_millis(400);
/// So long before its point is due an input that goes on is not waited for any longer.
const LAST_CALL: Ticks27M = Ticks27M::from_millis(20);

/// A splice.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The unit at which the new input is entered.
    pub(super) point: u64,
    /// Added to the new input's line gives the output's.
    pub(super) offset: Ticks27M,
    /// How much later it leaves than by its delay alone.
    pub(super) phase: Ticks27M,
    /// When its first picture is presented, on the new input's line.
    pub(super) presents: StreamTime,
    /// The unit of the old input's main stream before which it is left.
    pub(super) before: Option<u64>,
    /// Time without pictures.
    pub(super) missing: Ticks27M,
}

/// How packets leave after they came.
#[derive(Copy, Clone, Debug)]
pub(super) struct Lag {
    /// So long after.
    pub(super) hold: Ticks27M,
    /// Inputs of which the stamps are this far apart at most carry the same programme.
    pub(super) align: Option<Ticks27M>,
}

impl Lag {
    /// What is left of the hold where an input is sent sooner after it came: for its jitter.
    const LEAST: Ticks27M = Ticks27M::from_millis(200);

    /// The offset at which the stamps of an input are those of the one on air, whose offset is
    /// `old`, where its own would be `own`. Stamps are points on their circle.
    fn aligned(self, own: Ticks27M, old: Ticks27M) -> Option<Ticks27M> {
        let circle = Pcr::CIRCLE.get();
        let apart = (old - own).get().rem_euclid(circle);
        let apart = Ticks27M::new(if apart > circle / 2 {
            apart - circle
        } else {
            apart
        });
        let in_time = apart >= Self::LEAST - self.hold;
        let same = self.align.is_some_and(|most| apart.abs() <= most);
        (same && in_time).then(|| own + apart)
    }
}

/// Where an input could be left: before this unit, and when what was presented by then ends, on
/// its line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Exit {
    before: u64,
    end: StreamTime,
}

/// The input on air, as a plan sees it.
pub(super) struct OnAir<'a> {
    pub(super) leg: &'a Leg,
    pub(super) input: &'a Input,
    /// It goes on: what is not there yet may come.
    pub(super) alive: bool,
}

/// The splice to `new`, of which packets leave `lag` after they came; `None` while there is none.
/// `line` is the output's line less the monotonic clock.
pub(super) fn plan(
    old: Option<&OnAir<'_>>,
    new: &Input,
    line: Ticks27M,
    lag: Lag,
    now: Now,
) -> Option<Plan> {
    let main = new.description.as_ref()?.main()?;
    let stream = new.streams.get(main)?;
    if !new.recovery.is_settled() {
        return None;
    }
    let own = line + new.recovery.delay()? + lag.hold;
    let aligned = old.and_then(|old| lag.aligned(own, old.leg.offset));
    let natural = aligned.unwrap_or(own);
    let points = stream.units.iter().chain(stream.gatherer.open());
    let points = points.filter(|unit| {
        let enters = !stream.codec.is_video() || unit.rap.is_some();
        enters
            && unit.session == new.session
            && !unit.damaged
            && !unit.scrambled
            && !unit.foreign
            && unit.at() + natural >= now.clock
    });
    let points = points.filter_map(|unit| Some((unit, unit.pts?)));
    let Some(old) = old else {
        let (unit, pts) = points.into_iter().next()?;
        return Some(entry(unit, pts, (own, natural), Ticks27M::ZERO, None));
    };
    let offset = old.leg.offset;
    let leaving = old.input.streams.get(old.leg.main)?;
    let exits = exits(old.leg, leaving);
    let step = leaving
        .step
        .or(stream.step)
        .filter(|_| stream.codec.is_video());
    let half = step.map_or(Ticks27M::ZERO, |step| step / 2);
    let last = exits.last().copied();
    let mut late = None;
    for (unit, pts) in points {
        let presents = pts + natural;
        let meets = |exit: &&Exit| exit.end + offset >= presents - half;
        if let Some(exit) = exits.iter().find(meets) {
            let moved = exit.end + offset - presents;
            let same = aligned.is_some() && moved > half;
            if moved <= MOST_MOVED && !same {
                return Some(entry(unit, pts, (own, natural), moved, Some(*exit)));
            }
            continue;
        }
        late.get_or_insert((unit, pts));
    }
    let (unit, pts) = late?;
    let due = unit.at() + natural;
    if old.alive && due - now.clock > LAST_CALL {
        return None;
    }
    let Some(last) = last else {
        return Some(entry(unit, pts, (own, natural), Ticks27M::ZERO, None));
    };
    let gap = pts + natural - (last.end + offset);
    let cadence = step.filter(|step| stream.step.is_none_or(|new| new == *step));
    let cadence = cadence.filter(|_| aligned.is_none());
    let moved = cadence.map_or(Ticks27M::ZERO, |step| {
        let frames = (gap.get() + step.get() / 2).div_euclid(step.get());
        step * frames - gap
    });
    let mut plan = entry(unit, pts, (own, natural), moved, Some(last));
    plan.missing = gap + moved;
    Some(plan)
}

/// Where a leg can be left first: before which unit of its main stream, and when what was presented
/// by then ends, on its input's line.
pub(super) fn first_exit(leg: &Leg, input: &Input) -> Option<(u64, StreamTime)> {
    let exits = exits(leg, input.streams.get(leg.main)?);
    exits.first().map(|exit| (exit.before, exit.end))
}

fn entry(
    unit: &Unit,
    pts: StreamTime,
    (own, natural): (Ticks27M, Ticks27M),
    moved: Ticks27M,
    exit: Option<Exit>,
) -> Plan {
    let offset = whole_stamps(natural + moved + Ticks27M::new(150));
    Plan {
        point: unit.serial,
        offset,
        phase: offset - own,
        presents: pts,
        before: exit.map(|exit| exit.before),
        missing: Ticks27M::ZERO,
    }
}

/// Where the main stream of a leg can be left, in order.
fn exits(leg: &Leg, stream: &InputStream) -> Vec<Exit> {
    let Some(state) = leg.streams.get(leg.main) else {
        return Vec::new();
    };
    let video = stream.codec.is_video();
    let step = stream.step.filter(|_| video).unwrap_or_default();
    // Before its first picture a leg ends where it begins.
    let begins = state.begins.map(|at| at - step);
    let mut newest = state.newest.or(begins);
    let mut exits: Vec<Exit> = Vec::new();
    // Units since the last exit.
    let mut since = 0;
    let mut next = None;
    let begun = usize::from(state.is_inside());
    let units = stream.units.iter().chain(stream.gatherer.open());
    for unit in units.skip(begun) {
        if unit.session > leg.session {
            break;
        }
        // What the leg before it of the same input has not sent yet is none of it.
        if unit.session < leg.session || state.is_passed_over(unit) {
            continue;
        }
        next = Some(unit.serial);
        let Some(pts) = unit.pts.filter(|_| unit.is_sound()) else {
            break;
        };
        if let Some(newest) = newest.filter(|newest| pts > *newest || !video && pts >= *newest) {
            let before = unit.serial;
            let end = if video { newest + step } else { pts };
            exits.push(Exit { before, end });
            since = 0;
        }
        since += 1;
        newest = newest.max(Some(if video { pts } else { unit.end.unwrap_or(pts) }));
        next = Some(unit.serial + 1);
    }
    // The end of what is there, if no picture that is presented before it is missing.
    let Some(newest) = newest else {
        return exits;
    };
    let before = next.unwrap_or(stream.gatherer.next_serial());
    let end = newest + step;
    let whole = exits.last().is_none_or(|exit| {
        let pictures = (end - exit.end).get() + step.get() / 2;
        !video || step == Ticks27M::ZERO || pictures.div_euclid(step.get()) == since
    });
    if whole && exits.last().is_none_or(|exit| exit.before != before) {
        exits.push(Exit { before, end });
    }
    exits
}
