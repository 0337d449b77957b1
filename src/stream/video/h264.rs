//! The sequence parameter set of H.264 (ITU-T H.264 §7.3.2.1.1, §E.1).

use super::{
    Bits, Chroma, CodedBuffer, DeliverySchedule, Fraction, VideoCoding, VideoFormat, sample_aspect,
};

pub(super) const SLICE: u8 = 1;
pub(super) const PARTITION_A: u8 = 2;
pub(super) const IDR: u8 = 5;
pub(super) const SEI: u8 = 6;
pub(super) const SPS: u8 = 7;

/// nal_unit_type.
pub(super) const fn kind(value: u8) -> u8 {
    value & 0x1F
}

/// Profiles whose parameter sets tell of chroma and bit depth (§7.3.2.1.1).
const HIGH: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Most pictures in a cycle of pic_order_cnt_type 1, and most schedules of an HRD.
const MOST_IN_CYCLE: u32 = 255;
const MOST_SCHEDULES: u32 = 32;

/// What a parameter set says first.
struct Head {
    profile: u32,
    constraints: u32,
    level: u32,
    chroma: Chroma,
    bit_depth: u8,
    references: References,
}

/// How reference frames are kept and counted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct References {
    /// max_num_ref_frames.
    pub frames: u32,
    /// Bits of a frame_num, 4 to 16.
    pub number_bits: u32,
}

fn head(bits: &mut Bits<'_>) -> Option<Head> {
    let (profile, constraints, level) = (bits.u(8)?, bits.u(8)?, bits.u(8)?);
    bits.ue()?; // seq_parameter_set_id
    let (mut chroma, mut bit_depth) = (Chroma::C420, 8);
    if HIGH.contains(&profile) {
        chroma = Chroma::from_idc(bits.ue()?)?;
        if chroma == Chroma::C444 {
            bits.skip(1)?; // separate_colour_plane_flag
        }
        bit_depth = bits.ue()?.checked_add(8).filter(|d| *d <= 14)? as u8;
        bits.ue()?; // bit_depth_chroma_minus8
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            scaling_matrices(bits, chroma)?;
        }
    }
    let number_bits = bits.ue()?.checked_add(4).filter(|n| *n <= 16)?;
    order_counts(bits)?;
    Some(Head {
        profile,
        constraints,
        level,
        chroma,
        bit_depth,
        references: References {
            frames: bits.ue()?,
            number_bits,
        },
    })
}

/// From what follows the first byte of a sequence parameter set.
pub(in crate::stream) fn references(body: &[u8]) -> Option<References> {
    head(&mut Bits::new(body)).map(|head| head.references)
}

/// What follows the first byte of the NAL unit.
pub(super) fn sequence(body: &[u8]) -> Option<VideoFormat> {
    let mut bits = Bits::new(body);
    let Head {
        profile,
        constraints,
        level,
        chroma,
        bit_depth,
        ..
    } = head(&mut bits)?;
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let columns = bits.ue()?.checked_add(1)?;
    let rows = bits.ue()?.checked_add(1)?;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    let crop = if bits.flag()? {
        [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?]
    } else {
        [0; 4]
    };
    let per_frame = 2 - u32::from(frames_only);
    let (across, down) = chroma.subsampling();
    let cropped = |size: u32, unit: u32, before: u32, after: u32| {
        let cut = u64::from(before) + u64::from(after);
        let rest = u64::from(size) * 16 - cut.checked_mul(unit.into())?.min(u64::from(size) * 16);
        u32::try_from(rest).ok().filter(|s| *s > 0)
    };
    let [left, right, top, bottom] = crop;
    let mut format = VideoFormat {
        coding: VideoCoding::H264,
        profile: profile as u8,
        level: level as u8,
        high_tier: false,
        constraints: constraints as u8,
        width: cropped(columns, across, left, right)?,
        height: cropped(rows.checked_mul(per_frame)?, down * per_frame, top, bottom)?,
        frame_rate: None,
        sample_aspect: None,
        interlaced: !frames_only,
        chroma,
        bit_depth,
        buffer: None,
        schedule: None,
        low_delay: false,
    };
    if bits.flag()? {
        // What is cut short here leaves the rest of the set as it is.
        let _ = usability(&mut bits, &mut format);
    }
    Some(format)
}

fn order_counts(bits: &mut Bits<'_>) -> Option<()> {
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.skip(1)?;
            bits.se()?;
            bits.se()?;
            let cycle = bits.ue().filter(|n| *n <= MOST_IN_CYCLE)?;
            for _ in 0..cycle {
                bits.se()?;
            }
        }
        _ => {}
    }
    Some(())
}

/// seq_scaling_matrix, whose lists end early when a step leads to scale 0.
fn scaling_matrices(bits: &mut Bits<'_>, chroma: Chroma) -> Option<()> {
    let lists = if chroma == Chroma::C444 { 12 } else { 8 };
    for list in 0..lists {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8i32, 8i32);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.se()?.rem_euclid(256)) % 256;
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

/// vui_parameters.
fn usability(bits: &mut Bits<'_>, format: &mut VideoFormat) -> Option<()> {
    if bits.flag()? {
        format.sample_aspect = sample_aspect(bits)?;
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.skip(4)?; // video_format, video_full_range_flag
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    if bits.flag()? {
        bits.pass_ue(2)?; // chroma sample locations
    }
    if bits.flag()? {
        let (units, scale) = (bits.u(32)?, bits.u(32)?);
        bits.skip(1)?; // fixed_frame_rate_flag
        // A tick is a field (§E.2.1).
        format.frame_rate = Fraction::new(scale.into(), u64::from(units) * 2);
    }
    let nal = bits.flag()?;
    if nal {
        let (buffer, schedule) = schedules(bits)?;
        (format.buffer, format.schedule) = (Some(buffer), Some(schedule));
    }
    let vcl = bits.flag()?;
    if vcl {
        schedules(bits)?;
    }
    if nal || vcl {
        format.low_delay = bits.flag()?;
    }
    Some(())
}

/// hrd_parameters: of several schedules the largest figures, and the last.
fn schedules(bits: &mut Bits<'_>) -> Option<(CodedBuffer, DeliverySchedule)> {
    let count = bits.ue().filter(|n| *n < MOST_SCHEDULES)? + 1;
    let (rate_scale, size_scale) = (bits.u(4)?, bits.u(4)?);
    let mut largest = CodedBuffer {
        size_bits: 0,
        rate_bps: 0,
    };
    let mut last = DeliverySchedule::of_count(count);
    for _ in 0..count {
        let rate = (u64::from(bits.ue()?) + 1) << (6 + rate_scale);
        let size = (u64::from(bits.ue()?) + 1) << (4 + size_scale);
        largest.rate_bps = largest.rate_bps.max(rate);
        largest.size_bits = largest.size_bits.max(size);
        last.buffer = CodedBuffer {
            size_bits: size,
            rate_bps: rate,
        };
        last.constant = bits.flag()?;
    }
    last.delay_bits = bits.u(5)? as u8 + 1;
    bits.skip(15)?; // lengths of three more fields
    Some((largest, last))
}
