//! MPEG-2 video (ISO/IEC 13818-2 §6.2.2): a sequence header and then an I picture.

use super::{Look, RapKind, start_codes};

const PICTURE: u8 = 0x00;
const SEQUENCE: u8 = 0xB3;
const GROUP: u8 = 0xB8;
/// picture_coding_type of an intra picture (table 6-12).
const INTRA: u8 = 1;

pub(super) fn look(unit: &[u8]) -> Look {
    let mut sequence = false;
    let mut closed = false;
    for code in start_codes(unit) {
        match code {
            [SEQUENCE, ..] => sequence = true,
            // time_code is 25 bits, closed_gop the next.
            [GROUP, _, _, _, flags, ..] => closed = flags & 0x40 != 0,
            // temporal_reference is 10 bits, picture_coding_type the next three.
            [PICTURE, _, b, ..] => {
                return match (sequence && b >> 3 & 7 == INTRA, closed) {
                    (false, _) => Look::No,
                    (true, true) => Look::Yes(RapKind::Closed),
                    (true, false) => Look::Yes(RapKind::Open),
                };
            }
            [GROUP | PICTURE, ..] | [] => return Look::More,
            _ => {}
        }
    }
    Look::More
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequence header and extension, group header with the flags given, picture header of the
    /// type given (temporal_reference 2: 00000000 10).
    fn unit(flags: u8, kind: u8) -> Vec<u8> {
        let mut unit = vec![
            0, 0, 1, 0xB3, 0x14, 0x00, 0xF0, 0x23, 0xFF, 0xFF, 0xE0, 0x18,
        ];
        unit.extend([0, 0, 1, 0xB5, 0x14, 0x8A, 0, 1, 0, 0]);
        unit.extend([0, 0, 1, 0xB8, 0x00, 0x08, 0x00, flags]);
        unit.extend([0, 0, 1, 0x00, 0x00, 0x80 | kind << 3, 0xFF, 0xF8]);
        unit
    }

    #[test]
    fn the_group_header_says_closed_or_open() {
        assert_eq!(look(&unit(0x40, 1)), Look::Yes(RapKind::Closed));
        assert_eq!(look(&unit(0x20, 1)), Look::Yes(RapKind::Open));
        assert_eq!(look(&unit(0x40, 2)), Look::No);
        let without_sequence = &unit(0x40, 1)[22..];
        assert_eq!(look(without_sequence), Look::No);
    }

    #[test]
    fn a_cut_header_asks_for_more() {
        let unit = unit(0x40, 1);
        for n in 0..unit.len() - 2 {
            assert_eq!(look(&unit[..n]), Look::More, "{n} bytes");
        }
    }
}
