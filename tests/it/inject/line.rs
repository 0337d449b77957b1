//! What a line does to packets.

use headend::ts::SYNC_BYTE;

use super::{Defect, Slot, Stream, Strike};

/// Does it once; gives the places that were struck. None where it is no defect of a line, or no
/// packet is left to strike.
pub(super) fn strike(stream: &mut Stream, strike: &Strike) -> Vec<usize> {
    let row = match strike.defect {
        Defect::Drop { packets } | Defect::BreakSync { packets } => packets,
        Defect::Duplicate { .. }
        | Defect::Reorder
        | Defect::FlipBits { .. }
        | Defect::TransportError
        | Defect::Junk { .. } => 1,
        _ => return Vec::new(),
    };
    let carries = matches!(strike.defect, Defect::Duplicate { .. } | Defect::Reorder);
    let first = stream.places(strike, |p| !carries || p.has_payload());
    let places = neighbours(stream, strike, &first, row);
    let Some(place) = places.first().copied() else {
        return places;
    };
    let (random, slots) = (&mut stream.random, &mut stream.slots);
    match strike.defect {
        Defect::Drop { .. } => {
            for place in &places {
                slots[*place].packets.clear();
            }
        }
        Defect::BreakSync { .. } => {
            for place in &places {
                let wrong = no_sync_byte(random.next() as u8);
                slots[*place].packets[0].as_bytes_mut()[0] = wrong;
            }
        }
        Defect::Duplicate { copies } => {
            let packet = slots[place].packets[0];
            slots[place].packets.extend(vec![packet; copies]);
        }
        Defect::Reorder => return reorder(stream, place),
        Defect::FlipBits { bits } => {
            for _ in 0..bits {
                let bit = 8 + random.below(187 * 8);
                slots[place].packets[0].as_bytes_mut()[bit / 8] ^= 1 << (bit % 8);
            }
        }
        Defect::TransportError => slots[place].packets[0].as_bytes_mut()[1] |= 0x80,
        Defect::Junk { bytes } => {
            let junk = (0..bytes).map(|_| no_sync_byte(random.next() as u8));
            slots[place].junk = junk.collect();
        }
        _ => {}
    }
    places
}

/// The places of so many packets one behind the other, each of which the strike may hit and none
/// has; the first is one of `first`.
fn neighbours(stream: &mut Stream, strike: &Strike, first: &[usize], count: usize) -> Vec<usize> {
    let whole = |place: &&usize| {
        let slots = stream.slots.get(**place..**place + count);
        let free = |slot: &Slot| match &slot.packets[..] {
            [packet] => !slot.struck && strike.hits(packet),
            _ => false,
        };
        slots.is_some_and(|slots| slots.iter().all(free))
    };
    let first: Vec<_> = first.iter().filter(whole).copied().collect();
    let Some(place) = stream.row(&first, 1).first().copied() else {
        return Vec::new();
    };
    (place..place + count).collect()
}

fn reorder(stream: &mut Stream, place: usize) -> Vec<usize> {
    let pid = stream.packet(place).pid();
    let of_pid = |slot: &&Slot| slot.packets.first().is_some_and(|p| p.pid() == pid);
    let next = stream.slots[place + 1..]
        .iter()
        .position(|slot| of_pid(&slot));
    let Some(next) = next.map(|n| place + 1 + n) else {
        return Vec::new();
    };
    // One without a payload has no counter of its own, and one that is struck has its deed.
    if stream.slots[next].struck || !stream.packet(next).has_payload() {
        return Vec::new();
    }
    let packet = *stream.packet(place);
    *stream.packet_mut(place) = *stream.packet(next);
    *stream.packet_mut(next) = packet;
    vec![place, next]
}

/// A byte that is no sync byte.
const fn no_sync_byte(byte: u8) -> u8 {
    if byte == SYNC_BYTE { !byte } else { byte }
}
