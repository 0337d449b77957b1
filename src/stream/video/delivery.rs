//! How the NAL HRD of H.264 and HEVC delivers access units to the coded picture buffer (ITU-T H.264
//! annex C and §D.1.1, H.265 annex C and §D.2.2).

use super::{Bits, CodedBuffer, h264, hevc};
use crate::stream::codec::Codec;

/// A delivery schedule of the NAL HRD: of several the last, SchedSelIdx cpb_cnt_minus1.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeliverySchedule {
    /// CpbSize and BitRate.
    pub buffer: CodedBuffer,
    /// cbr_flag: access units come without a pause.
    pub constant: bool,
    /// Schedules that are told.
    pub(super) count: u8,
    /// Bits of initial_cpb_removal_delay and its offset.
    pub(super) delay_bits: u8,
    /// HEVC: bits of au_cpb_removal_delay and of dpb_output_delay.
    pub(super) removal_bits: u8,
    pub(super) output_bits: u8,
    /// HEVC: sub_pic_hrd_params_present_flag.
    pub(super) parts: bool,
}

/// What a buffering period SEI message says of a schedule, in ticks of 90 kHz.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct InitialDelay {
    /// initial_cpb_removal_delay.
    pub delay: u32,
    /// initial_cpb_removal_delay_offset.
    pub offset: u32,
}

impl DeliverySchedule {
    /// The last of so many, 1 to 32.
    pub(super) const fn of_count(count: u32) -> Self {
        Self {
            buffer: CodedBuffer {
                size_bits: 0,
                rate_bps: 0,
            },
            constant: false,
            count: count as u8,
            delay_bits: 0,
            removal_bits: 0,
            output_bits: 0,
            parts: false,
        }
    }
}

/// payloadType of a buffering period message.
const BUFFERING_PERIOD: u32 = 0;

/// The bytes of an SEI unit that [`buffering_period`] looks at: room for seven schedules.
pub const LONGEST_MESSAGE: usize = 80;

/// True of the NAL units that bring SEI messages in front of a picture.
pub const fn is_message(codec: Codec, value: u8) -> bool {
    match codec {
        Codec::H264 => h264::kind(value) == h264::SEI,
        Codec::Hevc => hevc::kind(value) == hevc::PREFIX_SEI,
        _ => false,
    }
}

/// True of an SEI unit, its header in front, that begins with a buffering period message: no other
/// message stands before one (H.264 §7.4.1.2.3).
pub fn opens_period(codec: Codec, unit: &[u8]) -> bool {
    let message = unit.get(header_of(codec)).copied();
    let kind = unit.first().is_some_and(|value| is_message(codec, *value));
    kind && message.map(u32::from) == Some(BUFFERING_PERIOD)
}

/// Bytes of a NAL unit's header.
fn header_of(codec: Codec) -> usize {
    if codec == Codec::Hevc { 2 } else { 1 }
}

/// Reads the buffering period message of an SEI unit, its header in front; `None` where it does not
/// begin with one.
pub fn buffering_period(
    codec: Codec,
    unit: &[u8],
    schedule: &DeliverySchedule,
) -> Option<InitialDelay> {
    let mut bits = Bits::new(unit.get(header_of(codec)..)?);
    if bits.u(8)? != BUFFERING_PERIOD {
        return None;
    }
    bits.skip(8)?; // payloadSize, under 255 for so many schedules
    bits.ue()?; // the parameter set's id
    let mut alternatives = schedule.parts;
    if codec == Codec::Hevc {
        let (removal, output) = (schedule.removal_bits, schedule.output_bits);
        if !schedule.parts && bits.flag()? {
            alternatives = true;
            bits.skip(u32::from(removal) + u32::from(output))?;
        }
        bits.skip(1 + u32::from(removal))?; // concatenation_flag, au_cpb_removal_delay_delta
    }
    let width = schedule.delay_bits.into();
    let mut last = None;
    for _ in 0..schedule.count {
        last = Some(InitialDelay {
            delay: bits.u(width)?,
            offset: bits.u(width)?,
        });
        if alternatives {
            bits.skip(2 * width)?;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(count: u32) -> DeliverySchedule {
        DeliverySchedule {
            delay_bits: 24,
            removal_bits: 10,
            output_bits: 6,
            ..DeliverySchedule::of_count(count)
        }
    }

    const DELAY: InitialDelay = InitialDelay {
        delay: 81_000,
        offset: 9000,
    };

    #[test]
    fn the_last_schedule_of_h264_counts() {
        // seq_parameter_set_id 0, then 24 bits each: 81 000 is 0x013C68, 9000 is 0x002328. With
        // the first bit taken, all of it stands one bit further down.
        let one = [0x06, 0, 7, 0x80, 0x9E, 0x34, 0x00, 0x11, 0x94, 0x40, 0x80];
        assert_eq!(
            buffering_period(Codec::H264, &one, &schedule(1)),
            Some(DELAY)
        );
        assert_eq!(buffering_period(Codec::H264, &one, &schedule(2)), None);
        // Behind another schedule.
        let two = [
            0x06, 0, 13, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x9E, 0x34, 0x00, 0x11, 0x94,
            0x40,
        ];
        assert_eq!(
            buffering_period(Codec::H264, &two, &schedule(2)),
            Some(DELAY)
        );
    }

    #[test]
    fn hevc_has_more_in_front() {
        // 1, irap_cpb_params 0, concatenation 0, ten bits, then the two; 13 bits in front.
        let mut bits = String::from("1000000000000");
        bits += &format!("{:024b}{:024b}1000000", 81_000, 9000);
        assert_eq!(
            buffering_period(Codec::Hevc, &unit(&bits), &schedule(1)),
            Some(DELAY)
        );
        // irap_cpb_params 1: 16 bits more, and the alternatives behind each.
        let mut bits = format!("11{:027b}", 0);
        bits += &format!("{:024b}{:024b}{:048b}1", 81_000, 9000, 0);
        assert_eq!(
            buffering_period(Codec::Hevc, &unit(&bits), &schedule(1)),
            Some(DELAY)
        );
    }

    /// A prefix SEI unit of these bits, emulation prevention put in.
    fn unit(bits: &str) -> Vec<u8> {
        let mut unit = vec![0x4E, 0x01, 0, bits.len().div_ceil(8) as u8];
        let mut zeros = 0;
        for byte in bits.as_bytes().chunks(8) {
            let text = format!("{:0<8}", std::str::from_utf8(byte).unwrap());
            let byte = u8::from_str_radix(&text, 2).unwrap();
            if zeros == 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    }
}
