//! H.264 (ITU-T H.264 §7.3.1, §7.3.3, §7.3.4, §D.1.8): an IDR, or an I picture that a recovery
//! point, a sequence parameter set beside it or the indicator vouches for.

use super::{Look, RapKind, start_codes};
use crate::stream::video::Bits;

pub(super) const SLICE: u8 = 1;
pub(super) const PARTITION_A: u8 = 2;
const IDR: u8 = 5;
const SEI: u8 = 6;
pub(super) const SPS: u8 = 7;
/// payloadType of a recovery point SEI message.
const RECOVERY_POINT: u32 = 6;

pub(super) fn look(unit: &[u8], indicated: bool) -> Look {
    let mut vouched = indicated;
    for nal in start_codes(unit) {
        let Some((header, body)) = nal.split_first() else {
            return Look::More;
        };
        match header & 0x1F {
            IDR => return Look::Yes(RapKind::Closed),
            SPS => vouched = true,
            SEI => vouched |= has_instant_recovery(body),
            SLICE | PARTITION_A => {
                return match slice_type(body) {
                    None => Look::More,
                    Some(2 | 4 | 7 | 9) if vouched => Look::Yes(RapKind::Open),
                    Some(_) => Look::No,
                };
            }
            _ => {}
        }
    }
    Look::More
}

/// slice_type (table 7-6); `None` when the bytes end before it.
fn slice_type(body: &[u8]) -> Option<u32> {
    let mut bits = Bits::new(body);
    bits.ue()?; // first_mb_in_slice
    bits.ue()
}

/// True when the SEI messages at the start of `body` hold a recovery point with
/// recovery_frame_cnt 0. What follows the end of the unit reads as messages of no meaning; a
/// unit cut off is read again when more of it is there.
fn has_instant_recovery(mut body: &[u8]) -> bool {
    while let Some((kind, rest)) = sei_number(body) {
        let Some((size, rest)) = sei_number(rest) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            return Bits::new(rest).ue() == Some(0);
        }
        // A trailing 0x80 with nothing but a start code behind ends the unit.
        match rest.get(size as usize..) {
            Some([0x80, 0, ..]) | None => return false,
            Some(next) => body = next,
        }
    }
    false
}

/// A number coded as 0xFF bytes and a last byte (§7.3.2.3.1), at most 64 KiB.
fn sei_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let ones = bytes.iter().take(256).take_while(|b| **b == 0xFF).count();
    let (last, rest) = bytes.get(ones..)?.split_first()?;
    Some((ones as u32 * 255 + u32::from(*last), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUD: [u8; 5] = [0, 0, 1, 9, 0x30];
    /// nal_ref_idc 3, first_mb_in_slice 0 (1), slice_type 7 (0001000).
    const I_SLICE: [u8; 6] = [0, 0, 1, 0x61, 0x88, 0x80];
    /// first_mb_in_slice 0 (1), slice_type 5 (00110), pps 0 (1).
    const P_SLICE: [u8; 6] = [0, 0, 1, 0x41, 0x9A, 0x80];
    const SPS_NAL: [u8; 7] = [0, 0, 1, 0x67, 0x64, 0x00, 0x1F];

    /// pic_timing (type 1, 2 bytes), then a recovery point (type 6, 1 byte): cnt 0 is 1,
    /// exact_match 1, broken_link 0, slice group 00, stop bit 1: 1 1 0 00 1 00.
    const RECOVERY: [u8; 11] = [0, 0, 1, 6, 1, 2, 0x12, 0x34, 6, 1, 0xC4];

    #[test]
    fn an_i_picture_needs_a_voucher() {
        let no_voucher = [&AUD[..], &I_SLICE].concat();
        assert_eq!(look(&no_voucher, false), Look::No);
        assert_eq!(look(&no_voucher, true), Look::Yes(RapKind::Open));
        for voucher in [&SPS_NAL[..], &RECOVERY] {
            let unit = [&AUD[..], voucher, &[0x80], &I_SLICE].concat();
            assert_eq!(look(&unit, false), Look::Yes(RapKind::Open));
            let unit = [&AUD[..], voucher, &[0x80], &P_SLICE].concat();
            assert_eq!(look(&unit, false), Look::No, "a P picture is none");
        }
    }

    #[test]
    fn a_slow_recovery_is_no_point() {
        // recovery_frame_cnt 12: 0001101.
        let mut slow = RECOVERY;
        slow[10] = 0b0001_1011;
        let unit = [&AUD[..], &slow, &[0x80], &I_SLICE].concat();
        assert_eq!(look(&unit, false), Look::No);
    }

    #[test]
    fn an_idr_is_closed_and_its_second_field_does_not_matter() {
        let unit = [&AUD[..], &[0, 0, 1, 0x65, 0x88], &P_SLICE].concat();
        assert_eq!(look(&unit, false), Look::Yes(RapKind::Closed));
    }

    #[test]
    fn a_cut_unit_asks_for_more() {
        let unit = [&AUD[..], &SPS_NAL, &RECOVERY, &[0x80], &I_SLICE].concat();
        for n in 0..unit.len() - 1 {
            assert_eq!(look(&unit[..n], false), Look::More, "{n} bytes");
        }
    }

    #[test]
    fn long_numbers_of_sei_messages_are_sums() {
        assert_eq!(sei_number(&[0xFF, 0xFF, 190, 7]), Some((700, &[7][..])));
        assert_eq!(sei_number(&[0xFF; 3]), None);
    }
}
