//! Video and sequence parameter sets of HEVC (ITU-T H.265 §7.3.2.1, §7.3.2.2, §E.2).

use super::{
    Bits, Chroma, CodedBuffer, DeliverySchedule, Fraction, VideoCoding, VideoFormat, sample_aspect,
};

/// From this nal_unit_type on, units are no slices (table 7-1).
pub(super) const FIRST_NON_VCL: u8 = 32;
pub(super) const VPS: u8 = 32;
pub(super) const SPS: u8 = 33;
pub(super) const PREFIX_SEI: u8 = 39;

/// nal_unit_type.
pub(super) const fn kind(value: u8) -> u8 {
    value >> 1 & 0x3F
}

/// nuh_layer_id.
pub(super) const fn layer(value: u8, second: u8) -> u8 {
    (value & 1) << 5 | second >> 3
}

/// Bounds of §7.4.3: more is damage.
const MOST_SETS: u32 = 64;
const MOST_LONG_TERM: u32 = 32;
const MOST_SCHEDULES: u32 = 32;
const MOST_LAYER_SETS: u32 = 1023;
const MOST_PICTURES: u32 = 16;

/// When pictures come, and for which buffer they were made.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Timing {
    rate: Option<Fraction>,
    buffer: Option<CodedBuffer>,
    schedule: Option<DeliverySchedule>,
    low_delay: bool,
}

/// profile_tier_level of the whole stream.
#[derive(Copy, Clone, Debug)]
struct Profile {
    profile: u8,
    high_tier: bool,
    level: u8,
    progressive: bool,
    interlaced: bool,
}

/// What a video parameter set says of times; what follows the two bytes of the NAL unit's header.
pub(super) fn video_parameter_set(body: &[u8]) -> Option<Timing> {
    let mut bits = Bits::new(body);
    bits.skip(12)?; // id, base layer flags, max_layers
    let sub_layers = bits.u(3)?;
    bits.skip(17)?; // nesting, reserved
    profile(&mut bits, sub_layers)?;
    orderings(&mut bits, sub_layers)?;
    let layers = bits.u(6)? + 1;
    let sets = bits.ue().filter(|n| *n <= MOST_LAYER_SETS)?;
    for _ in 0..sets {
        bits.skip(layers)?;
    }
    if !bits.flag()? {
        return None;
    }
    let mut timing = Timing {
        rate: rate(&mut bits)?,
        ..Timing::default()
    };
    if bits.ue()? > 0 {
        bits.ue()?; // hrd_layer_set_idx
        let _ = schedules(&mut bits, sub_layers, &mut timing);
    }
    Some(timing)
}

/// What a sequence parameter set says; what it leaves out of times is taken from the video
/// parameter set before it.
pub(super) fn sequence(body: &[u8], of_vps: Option<Timing>) -> Option<VideoFormat> {
    let mut bits = Bits::new(body);
    bits.skip(4)?; // sps_video_parameter_set_id
    let sub_layers = bits.u(3)?;
    bits.skip(1)?; // sps_temporal_id_nesting_flag
    let general = profile(&mut bits, sub_layers)?;
    bits.ue()?; // sps_seq_parameter_set_id
    let chroma = Chroma::from_idc(bits.ue()?)?;
    if chroma == Chroma::C444 {
        bits.skip(1)?;
    }
    let (width, height) = (bits.ue()?, bits.ue()?);
    let window = if bits.flag()? {
        [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?]
    } else {
        [0; 4]
    };
    let [left, right, top, bottom] = window;
    let (across, down) = chroma.subsampling();
    let shown = |size: u32, unit: u32, before: u32, after: u32| {
        let cut = (u64::from(before) + u64::from(after)) * u64::from(unit);
        let rest = u64::from(size).checked_sub(cut)?;
        u32::try_from(rest).ok().filter(|s| *s > 0)
    };
    let bit_depth = bits.ue()?.checked_add(8).filter(|d| *d <= 16)? as u8;
    let mut format = VideoFormat {
        coding: VideoCoding::Hevc,
        profile: general.profile,
        level: general.level,
        high_tier: general.high_tier,
        constraints: 0,
        width: shown(width, across, left, right)?,
        height: shown(height, down, top, bottom)?,
        frame_rate: None,
        sample_aspect: None,
        interlaced: general.interlaced && !general.progressive,
        chroma,
        bit_depth,
        buffer: None,
        schedule: None,
        low_delay: false,
    };
    let mut timing = Timing::default();
    // What is cut short from here on leaves what was read as it is.
    let _ = usability(&mut bits, sub_layers, &mut format, &mut timing);
    let vps = of_vps.unwrap_or_default();
    format.frame_rate = timing.rate.or(vps.rate);
    let told = if timing.buffer.is_some() { timing } else { vps };
    (format.buffer, format.schedule) = (told.buffer, told.schedule);
    format.low_delay = told.low_delay;
    Some(format)
}

fn profile(bits: &mut Bits<'_>, sub_layers: u32) -> Option<Profile> {
    bits.skip(2)?; // general_profile_space
    let high_tier = bits.flag()?;
    let profile = bits.u(5)? as u8;
    bits.skip(32)?; // compatibility flags
    let (progressive, interlaced) = (bits.flag()?, bits.flag()?);
    bits.skip(46)?;
    let level = bits.u(8)? as u8;
    let mut there = Vec::with_capacity(8);
    for _ in 0..sub_layers {
        there.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    for (profile, level) in there {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Some(Profile {
        profile,
        high_tier,
        level,
        progressive,
        interlaced,
    })
}

/// Sub-layer ordering information.
fn orderings(bits: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    let count = if bits.flag()? { sub_layers + 1 } else { 1 };
    for _ in 0..count {
        bits.pass_ue(3)?;
    }
    Some(())
}

/// num_units_in_tick and time_scale, and what depends on them.
fn rate(bits: &mut Bits<'_>) -> Option<Option<Fraction>> {
    let (units, scale) = (bits.u(32)?, bits.u(32)?);
    if bits.flag()? {
        bits.ue()?; // num_ticks_poc_diff_one_minus1
    }
    Some(Fraction::new(scale.into(), units.into()))
}

/// The rest of the set behind the bit depth, up to the end of vui_parameters.
fn usability(
    bits: &mut Bits<'_>,
    sub_layers: u32,
    format: &mut VideoFormat,
    timing: &mut Timing,
) -> Option<()> {
    bits.ue()?; // bit_depth_chroma_minus8
    let order_bits = bits.ue().filter(|n| *n <= 12)? + 4;
    orderings(bits, sub_layers)?;
    for _ in 0..6 {
        bits.ue()?; // sizes of blocks
    }
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag()? {
        bits.skip(8)?; // pcm bit depths
        bits.pass_ue(2)?;
        bits.skip(1)?;
    }
    reference_sets(bits)?;
    if bits.flag()? {
        let count = bits.ue().filter(|n| *n <= MOST_LONG_TERM)?;
        for _ in 0..count {
            bits.skip(order_bits + 1)?;
        }
    }
    bits.skip(2)?; // temporal mvp, strong intra smoothing
    if !bits.flag()? {
        return Some(());
    }
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
    bits.skip(1)?; // neutral_chroma_indication_flag
    format.interlaced |= bits.flag()?; // field_seq_flag
    bits.skip(1)?; // frame_field_info_present_flag
    if bits.flag()? {
        bits.pass_ue(4)?; // default display window
    }
    if bits.flag()? {
        timing.rate = rate(bits)?;
        if bits.flag()? {
            schedules(bits, sub_layers, timing)?;
        }
    }
    Some(())
}

fn scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.ue()?;
                continue;
            }
            if size > 1 {
                bits.se()?;
            }
            for _ in 0..64.min(1 << (4 + (size << 1))) {
                bits.se()?;
            }
        }
    }
    Some(())
}

/// st_ref_pic_set of each set (§7.3.7): only how many pictures each has matters to the next.
fn reference_sets(bits: &mut Bits<'_>) -> Option<()> {
    let count = bits.ue().filter(|n| *n <= MOST_SETS)?;
    let mut pictures = 0;
    for set in 0..count {
        if set > 0 && bits.flag()? {
            bits.skip(1)?; // delta_rps_sign
            bits.ue()?; // abs_delta_rps_minus1
            let mut next = 0;
            for _ in 0..=pictures {
                // used_by_curr_pic_flag, else use_delta_flag
                if bits.flag()? || bits.flag()? {
                    next += 1;
                }
            }
            pictures = next;
        } else {
            let before = bits.ue().filter(|n| *n <= MOST_PICTURES)?;
            let after = bits.ue().filter(|n| *n <= MOST_PICTURES)?;
            pictures = before + after;
            for _ in 0..pictures {
                bits.ue()?;
                bits.skip(1)?;
            }
        }
    }
    Some(())
}

/// hrd_parameters with common information: the NAL schedule of the highest sub-layer, of several
/// the largest figures, and the last.
fn schedules(bits: &mut Bits<'_>, sub_layers: u32, timing: &mut Timing) -> Option<()> {
    let (nal, vcl) = (bits.flag()?, bits.flag()?);
    let (mut rate_scale, mut size_scale, mut parts) = (0, 0, false);
    let mut lengths = [0; 3];
    if nal || vcl {
        parts = bits.flag()?;
        if parts {
            bits.skip(19)?;
        }
        (rate_scale, size_scale) = (bits.u(4)?, bits.u(4)?);
        if parts {
            bits.skip(4)?; // cpb_size_du_scale
        }
        for length in &mut lengths {
            *length = bits.u(5)? as u8 + 1;
        }
    }
    for _ in 0..=sub_layers {
        let general = bits.flag()?;
        let within = general || bits.flag()?;
        let mut low_delay = false;
        if within {
            bits.ue()?; // elemental_duration_in_tc_minus1
        } else {
            low_delay = bits.flag()?;
        }
        let count = if low_delay {
            0
        } else {
            bits.ue().filter(|n| *n < MOST_SCHEDULES)?
        } + 1;
        for kind in [nal, vcl].into_iter().enumerate() {
            let (is_vcl, true) = kind else { continue };
            let mut largest = CodedBuffer {
                size_bits: 0,
                rate_bps: 0,
            };
            let mut last = DeliverySchedule::of_count(count);
            [last.delay_bits, last.removal_bits, last.output_bits] = lengths;
            last.parts = parts;
            for _ in 0..count {
                let rate = (u64::from(bits.ue()?) + 1) << (6 + rate_scale);
                let size = (u64::from(bits.ue()?) + 1) << (4 + size_scale);
                if parts {
                    bits.pass_ue(2)?;
                }
                last.constant = bits.flag()?;
                last.buffer = CodedBuffer {
                    size_bits: size,
                    rate_bps: rate,
                };
                largest.rate_bps = largest.rate_bps.max(rate);
                largest.size_bits = largest.size_bits.max(size);
            }
            if is_vcl == 0 {
                (timing.buffer, timing.schedule) = (Some(largest), Some(last));
            }
        }
        timing.low_delay = low_delay;
    }
    Some(())
}
