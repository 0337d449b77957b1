//! Packets in a segment that may be damaged: bytes overwritten, put in or taken out.

use crate::ts::{PACKET_SIZE, SYNC_BYTE};

/// Sync bytes in a row that tell packets from junk (as in `stream`'s framer).
const TO_LOCK: usize = 5;

/// Where the next packet is looked for first.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// At once: packets were there up to here.
    Here,
    /// So many bytes on, where it would stand in a segment without damage. What is here may be the
    /// middle of a packet.
    InStep(usize),
}

/// What some bytes begin with.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Bytes that are no packet.
    pub(super) junk: usize,
    /// Whole packets behind them, each with its sync byte.
    pub(super) packets: usize,
}

/// Looks at bytes of a segment; nothing follows them when they are the `last`.
pub(super) fn stretch(bytes: &[u8], expected: Expected, last: bool) -> Stretch {
    // Beyond what is there nothing speaks against a packet, when nothing follows.
    let is_good = |at: usize| match bytes.get(at) {
        Some(byte) => *byte == SYNC_BYTE,
        None => last,
    };
    let is_whole = |at: usize| at + PACKET_SIZE <= bytes.len();
    let both = |at: usize| is_good(at) && is_good(at + PACKET_SIZE);
    let start = match expected {
        Expected::Here if is_good(0) => Some(0),
        // One damaged packet.
        Expected::Here if both(PACKET_SIZE) => Some(PACKET_SIZE),
        Expected::InStep(at) if both(at) => Some(at),
        _ => (0..bytes.len()).find(|at| {
            let mut places = (0..TO_LOCK).map(|n| at + n * PACKET_SIZE);
            is_whole(*at) && places.all(is_good)
        }),
    };
    let Some(start) = start.filter(|at| is_whole(*at)) else {
        // What a run of sync bytes may reach into is looked at again.
        let again = if last { 0 } else { TO_LOCK * PACKET_SIZE };
        return Stretch {
            junk: bytes.len().saturating_sub(again),
            packets: 0,
        };
    };
    let packets = bytes.get(start..).unwrap_or_default();
    let packets = packets.as_chunks::<PACKET_SIZE>().0.iter();
    Stretch {
        junk: start,
        packets: packets
            .take_while(|p| p.first() == Some(&SYNC_BYTE))
            .count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets without a sync byte in their payload.
    fn packets(count: usize) -> Vec<u8> {
        let mut one = [0x11; PACKET_SIZE];
        one[0] = SYNC_BYTE;
        one.repeat(count)
    }

    fn seen(bytes: &[u8], expected: Expected, last: bool) -> (usize, usize) {
        let found = stretch(bytes, expected, last);
        (found.junk, found.packets)
    }

    #[test]
    fn whole_packets_are_all_taken() {
        assert_eq!(seen(&packets(9), Expected::Here, false), (0, 9));
        // A packet that is being written.
        let torn = [packets(3), vec![SYNC_BYTE; 20]].concat();
        assert_eq!(seen(&torn, Expected::Here, true), (0, 3));
        let middle = &packets(9)[100..];
        assert_eq!(seen(middle, Expected::InStep(88), false), (88, 8));
    }

    #[test]
    fn packets_are_found_again_behind_damage_of_any_length() {
        for junk in [1, 100, 187, 188, 189, 188 * 3, 1000] {
            let bytes = [vec![0x22; junk], packets(9)].concat();
            assert_eq!(seen(&bytes, Expected::Here, false), (junk, 9));
            // Where it would have stood does not matter.
            assert_eq!(seen(&bytes, Expected::InStep(40), false), (junk, 9));
        }
        // At the end of a segment fewer sync bytes must do.
        let bytes = [vec![0x22; 100], packets(2)].concat();
        assert_eq!(seen(&bytes, Expected::Here, true), (100, 2));
    }

    #[test]
    fn packets_end_where_a_sync_byte_is_missing() {
        let mut bytes = packets(9);
        bytes[4 * PACKET_SIZE] = 0;
        assert_eq!(seen(&bytes, Expected::Here, false), (0, 4));
        let rest = &bytes[4 * PACKET_SIZE..];
        assert_eq!(seen(rest, Expected::Here, false), (PACKET_SIZE, 4));
    }

    #[test]
    fn junk_alone_is_passed_over_to_where_packets_may_begin() {
        let bytes = [0x22; 10_000];
        assert_eq!(seen(&bytes, Expected::Here, true), (10_000, 0));
        assert_eq!(seen(&bytes, Expected::Here, false), (10_000 - 940, 0));
    }
}
