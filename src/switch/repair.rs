//! What the input on air has lost, taken from another that carries the same packets.
//!
//! Two paths of one encoder carry the same PES packets with the same stamps, the one later than
//! the other. A damaged unit that is about to leave is replaced by the one of the same stamps whose
//! packets are the same, byte for byte but for what was lost; units that are missing as a whole
//! behind it are put in. Nothing has to be said: it is the content that tells twins.

use std::collections::VecDeque;

use super::unit::{Follows, Placed, Unit};
use crate::ts::Pcr;
use crate::units::{StreamTime, Ticks27M};

/// Units that are put in behind one that was repaired, at most: a longer loss is another fault.
const MOST_MISSING: usize = 64;

/// Replaces the unit at `place` by its twin among `others`, and puts in what is missing behind
/// it. Gives how many units were repaired or put in.
pub(super) fn repair(units: &mut VecDeque<Unit>, place: usize, others: &VecDeque<Unit>) -> usize {
    let Some(unit) = units.get(place) else {
        return 0;
    };
    let Some(at) = others.iter().position(|other| is_twin(unit, other)) else {
        return 0;
    };
    let (session, base) = (unit.session, unit.base);
    let Some(moved) = others
        .get(at)
        .and_then(|other| Some(unit.pts? - other.pts?))
    else {
        return 0;
    };
    let next = units.get(place + 1).and_then(stamp);
    let mut taken = Vec::new();
    for (n, other) in others.iter().skip(at).enumerate() {
        let reached = n > 0 && (next.is_none() || stamp(other) == next);
        if reached || n > MOST_MISSING || !other.is_sound() {
            break;
        }
        let mut copy = other.clone();
        copy.session = session;
        copy.base = base;
        move_by(&mut copy, moved);
        taken.push(copy);
    }
    // What is not reached again within that many units is no twin's gap.
    if taken.len() > MOST_MISSING {
        taken.truncate(1);
    }
    let serial = unit.serial;
    let count = taken.len();
    if count == 0 {
        return 0;
    }
    units.remove(place);
    for (n, mut copy) in taken.into_iter().enumerate() {
        // Those put in share the serial: nothing is entered or left between them.
        copy.serial = serial;
        units.insert(place + n, copy);
    }
    count
}

fn move_by(unit: &mut Unit, by: Ticks27M) {
    let later = |at: StreamTime| at + by;
    (unit.pts, unit.dts, unit.end) = (
        unit.pts.map(later),
        unit.dts.map(later),
        unit.end.map(later),
    );
    for placed in &mut unit.packets {
        placed.at += by;
        placed.follows = match placed.follows {
            Follows::Lost(_) => Follows::Due,
            follows => follows,
        };
    }
}

/// PTS and DTS as they stand in the packet, in ticks of 27 MHz.
fn stamp(unit: &Unit) -> Option<(i64, i64)> {
    let raw = |at: StreamTime| (at - unit.base).ticks().rem_euclid(Pcr::CIRCLE.get());
    Some((raw(unit.pts?), raw(unit.dts?)))
}

/// True when `other` is whole and has every packet of `unit` up to the first that is another unit's.
fn is_twin(unit: &Unit, other: &Unit) -> bool {
    if !other.is_sound() || stamp(unit).is_none() || stamp(unit) != stamp(other) {
        return false;
    }
    let same = |a: &Placed, b: &Placed| {
        let counters = (a.packet.continuity_counter(), b.packet.continuity_counter());
        counters.0 == counters.1 && a.packet.payload() == b.packet.payload()
    };
    let first = unit.packets.first().zip(other.packets.first());
    if !first.is_some_and(|(a, b)| same(a, b)) {
        return false;
    }
    // Behind a start that was lost stand packets of the next unit: most are the twin's.
    let found = unit
        .packets
        .iter()
        .filter(|a| other.packets.iter().any(|b| same(a, b)));
    let found = found.count();
    found * 2 >= unit.packets.len() || found == other.packets.len()
}
