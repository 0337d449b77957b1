//! AAC in LOAS and LATM (ISO/IEC 14496-3 §1.7.2, §1.7.3).

use super::{AudioFormat, AudioLook, Bits, aac};

/// Bytes of syncword and audioMuxLengthBytes.
const HEADER: usize = 3;

/// The elements in `bytes`; `None` when none of them says what the stream is.
pub(super) fn look(bytes: &[u8]) -> Option<AudioLook> {
    let mut at = first_element(bytes)?;
    let mut config = None;
    let (mut len, mut elements) = (0, 0);
    while let Some(size) = element_size(bytes, at) {
        let end = (at + size).min(bytes.len());
        let payload = bytes.get(at + HEADER..end).unwrap_or_default();
        config = config.or_else(|| stream_mux_config(payload));
        len += size as u64;
        elements += 1;
        at += size;
    }
    let config = config?;
    Some(AudioLook {
        bytes: len,
        samples: elements * u64::from(config.samples),
        format: config.format,
    })
}

/// The size of the element at `at`, header included.
fn element_size(bytes: &[u8], at: usize) -> Option<usize> {
    let [0x56, b, c, ..] = *bytes.get(at..)? else {
        return None;
    };
    let size = usize::from(b & 0x1F) << 8 | usize::from(c);
    (b & 0xE0 == 0xE0 && size > 0).then_some(HEADER + size)
}

/// Where an element starts that another follows, or whose end is not there.
fn first_element(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|at| {
        element_size(bytes, *at).is_some_and(|size| {
            bytes.len() < at + size + HEADER || element_size(bytes, at + size).is_some()
        })
    })
}

struct Config {
    format: AudioFormat,
    /// Of an element, at the rate of the format.
    samples: u32,
}

/// StreamMuxConfig of an AudioMuxElement; `None` where it is that of an earlier element, or has
/// more than the one layer of one programme that broadcasting has.
fn stream_mux_config(element: &[u8]) -> Option<Config> {
    let mut bits = Bits::new(element);
    if bits.take(1)? == 1 {
        return None; // useSameStreamMux
    }
    let version = bits.take(1)?;
    if version == 1 {
        if bits.take(1)? == 1 {
            return None; // audioMuxVersionA: reserved
        }
        latm_value(&mut bits)?; // taraBufferFullness
    }
    bits.take(1)?; // allStreamsSameTimeFraming
    let frames = bits.take(6)? + 1;
    if bits.take(4)? != 0 || bits.take(3)? != 0 {
        return None;
    }
    if version == 1 {
        latm_value(&mut bits)?; // ascLen
    }
    audio_specific_config(&mut bits, frames)
}

fn latm_value(bits: &mut Bits<'_>) -> Option<u32> {
    let bytes = bits.take(2)? + 1;
    bits.take(8 * bytes)
}

fn audio_specific_config(bits: &mut Bits<'_>, frames: u32) -> Option<Config> {
    const SBR: u32 = 5;
    const PARAMETRIC_STEREO: u32 = 29;
    let kind = object_type(bits)?;
    let core = sampling_rate(bits)?;
    let mut shape = aac(bits.take(4)? as u8);
    let extended = matches!(kind, SBR | PARAMETRIC_STEREO);
    let rate = if extended { sampling_rate(bits)? } else { core };
    if kind == PARAMETRIC_STEREO {
        shape = aac(2);
    }
    // SBR doubles the rate of the core, or leaves it as it is (ISO/IEC 14496-3 §4.6.18.2.5).
    let doubled = match rate.checked_div(core)? {
        1 if rate == core => 1,
        2 if rate == 2 * core => 2,
        _ => return None,
    };
    Some(Config {
        format: AudioFormat {
            coding: "aac_latm",
            rate,
            channels: shape.map(|s| s.channels),
            layout: shape.map(|s| s.layout()),
        },
        samples: 1024 * frames * doubled,
    })
}

fn object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.take(5)? {
        31 => Some(32 + bits.take(6)?),
        kind => Some(kind),
    }
}

fn sampling_rate(bits: &mut Bits<'_>) -> Option<u32> {
    let rate = match bits.take(4)? {
        15 => bits.take(24)?,
        index => *crate::stream::access_unit::AAC_RATES.get(index as usize)?,
    };
    (rate > 0).then_some(rate)
}
