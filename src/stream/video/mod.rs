//! What a video stream says about its pictures: one description for MPEG-1, MPEG-2, H.264 and HEVC.
//!
//! Read from sequence headers and parameter sets, without decoding: ISO/IEC 11172-2 §2.4.2.3,
//! 13818-2 §6.2.2, ITU-T H.264 §7.3.2.1 and annex E, ITU-T H.265 §7.3.2.1, §7.3.2.2 and annex E.

mod bits;
mod delivery;
mod detector;
pub(in crate::stream) mod h264;
mod hevc;
mod mpeg2;
mod names;
mod parser;
mod start_codes;
#[cfg(test)]
mod tests;

pub(in crate::stream) use bits::Bits;
pub use delivery::{
    DeliverySchedule, InitialDelay, LONGEST_MESSAGE, buffering_period, is_message, opens_period,
};
pub use detector::VideoFormatDetector;
pub use parser::{SequenceParser, wanted};
pub use start_codes::{StartCode, StartCodes};

/// How pictures are coded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum VideoCoding {
    /// ISO/IEC 11172-2.
    Mpeg1,
    /// ISO/IEC 13818-2.
    Mpeg2,
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    Hevc,
}

/// How colour is sampled against brightness (chroma_format_idc).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// No colour.
    Monochrome,
    /// Half as fine both ways.
    C420,
    /// Half as fine across.
    C422,
    /// As fine.
    C444,
}

impl Chroma {
    const fn from_idc(idc: u32) -> Option<Self> {
        match idc {
            0 => Some(Self::Monochrome),
            1 => Some(Self::C420),
            2 => Some(Self::C422),
            3 => Some(Self::C444),
            _ => None,
        }
    }

    /// How many samples of brightness stand across and above one of colour.
    const fn subsampling(self) -> (u32, u32) {
        match self {
            Self::C420 => (2, 2),
            Self::C422 => (2, 1),
            Self::C444 | Self::Monochrome => (1, 1),
        }
    }
}

/// A ratio in lowest terms: pictures a second, or width to height. Neither part is zero.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fraction {
    /// Above the line.
    pub numerator: u32,
    /// Below it.
    pub denominator: u32,
}

impl Fraction {
    /// `numerator`/`denominator`; `None` when one of them is 0, or does not fit 32 bits in lowest
    /// terms.
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        let (mut a, mut b) = (numerator, denominator);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Some(Self {
            numerator: u32::try_from(numerator.checked_div(a)?)
                .ok()
                .filter(|n| *n > 0)?,
            denominator: u32::try_from(denominator.checked_div(a)?)
                .ok()
                .filter(|n| *n > 0)?,
        })
    }

    /// For printing and plots.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

/// The coded picture buffer that a stream says it was made for: vbv_buffer of MPEG video, NAL HRD
/// of H.264 and HEVC (of several, the largest).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodedBuffer {
    /// Bits.
    pub size_bits: u64,
    /// Bits a second into it: BitRate of the HRD, bit_rate of a sequence header; 0 where the
    /// latter says that the rate is variable.
    pub rate_bps: u64,
}

/// What the sequence header or the parameter sets in force say.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct VideoFormat {
    /// How pictures are coded.
    pub coding: VideoCoding,
    /// profile_idc; of MPEG-2 the upper four bits of profile_and_level_indication, whose highest is
    /// the escape bit; 0 for MPEG-1.
    pub profile: u8,
    /// level_idc; of MPEG-2 the lower four bits of profile_and_level_indication (10 Low, 8 Main,
    /// 6 High 1440, 4 High); 0 for MPEG-1.
    pub level: u8,
    /// HEVC: High tier.
    pub high_tier: bool,
    /// H.264: constraint_set0_flag in the highest bit, and so on.
    pub constraints: u8,
    /// Samples across, those outside the conformance window left out.
    pub width: u32,
    /// Lines; of a field where HEVC codes fields.
    pub height: u32,
    /// Frames a second (fields where HEVC codes fields), if told.
    pub frame_rate: Option<Fraction>,
    /// Width to height of a sample, if told.
    pub sample_aspect: Option<Fraction>,
    /// Pictures may be fields, or frames of two fields.
    pub interlaced: bool,
    /// Sampling of colour.
    pub chroma: Chroma,
    /// Bits a sample of brightness.
    pub bit_depth: u8,
    /// The buffer that the stream was made for, if told.
    pub buffer: Option<CodedBuffer>,
    /// How it says that it comes into that buffer: the NAL HRD of H.264 and HEVC, if told.
    pub schedule: Option<DeliverySchedule>,
    /// No picture waits for a later one (13818-2 low_delay), or pictures may come later than they
    /// are due (low_delay_hrd_flag).
    pub low_delay: bool,
}

impl VideoFormat {
    /// Width to height of the picture as it is shown, if told.
    pub fn display_aspect(&self) -> Option<Fraction> {
        let sample = self.sample_aspect?;
        Fraction::new(
            u64::from(self.width) * u64::from(sample.numerator),
            u64::from(self.height) * u64::from(sample.denominator),
        )
    }
}

/// Width to height of a sample by aspect_ratio_idc (H.264 table E-1, H.265 table E.1), from 1 on.
const SAMPLE_ASPECTS: [(u8, u8); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// aspect_ratio_info of video usability information, behind its flag.
fn sample_aspect(bits: &mut Bits<'_>) -> Option<Option<Fraction>> {
    const EXTENDED: u32 = 255;
    let idc = bits.u(8)?;
    if idc == EXTENDED {
        let (width, height) = (bits.u(16)?, bits.u(16)?);
        return Some(Fraction::new(width.into(), height.into()));
    }
    let known = (idc as usize)
        .checked_sub(1)
        .and_then(|n| SAMPLE_ASPECTS.get(n));
    Some(known.and_then(|(width, height)| Fraction::new((*width).into(), (*height).into())))
}
