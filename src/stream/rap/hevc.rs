//! HEVC (ITU-T H.265 §7.3.1.2, table 7-1): the first slice's nal_unit_type is the answer.

use super::{Look, RapKind, start_codes};

/// IDR_W_RADL and IDR_N_LP; the pictures that precede an IDR_W_RADL in output decode.
const IDR: std::ops::RangeInclusive<u8> = 19..=20;
/// BLA_W_LP, BLA_W_RADL, BLA_N_LP and CRA_NUT.
const BLA: std::ops::RangeInclusive<u8> = 16..=18;
const CRA: u8 = 21;
/// Types from here on carry no slice.
const FIRST_NON_VCL: u8 = 32;

pub(super) fn look(unit: &[u8]) -> Look {
    for nal in start_codes(unit) {
        let Some(header) = nal.first() else {
            return Look::More;
        };
        let kind = header >> 1 & 0x3F;
        if IDR.contains(&kind) {
            return Look::Yes(RapKind::Closed);
        }
        if BLA.contains(&kind) || kind == CRA {
            return Look::Yes(RapKind::Open);
        }
        if kind < FIRST_NON_VCL {
            return Look::No;
        }
    }
    Look::More
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_the_first_slice_decides() {
        for kind in 0..64u8 {
            // AUD (35), VPS (32), then a NAL of this type.
            let unit = [
                0,
                0,
                1,
                35 << 1,
                1,
                0x50,
                0,
                0,
                1,
                32 << 1,
                1,
                0xC,
                0,
                0,
                1,
                kind << 1,
                1,
            ];
            let expected = match kind {
                19 | 20 => Look::Yes(RapKind::Closed),
                16 | 17 | 18 | 21 => Look::Yes(RapKind::Open),
                0..=31 => Look::No,
                _ => Look::More,
            };
            assert_eq!(look(&unit), expected, "nal_unit_type {kind}");
        }
    }
}
