//! Sequence headers of MPEG-1 (ISO/IEC 11172-2 §2.4.2.3) and MPEG-2 video (13818-2 §6.2.2).

use super::{Bits, Chroma, CodedBuffer, Fraction, VideoCoding, VideoFormat};

pub(super) const PICTURE: u8 = 0x00;
pub(super) const SEQUENCE: u8 = 0xB3;
pub(super) const EXTENSION: u8 = 0xB5;
pub(super) const SEQUENCE_END: u8 = 0xB7;
pub(super) const GROUP: u8 = 0xB8;

/// extension_start_code_identifier (13818-2 table 6-2).
const SEQUENCE_EXTENSION: u32 = 1;
const DISPLAY_EXTENSION: u32 = 2;

/// Frames a second by frame_rate_code, from 1 on (table 6-4).
const FRAME_RATES: [(u64, u64); 8] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
];

/// Height to width of a sample in MPEG-1 by pel_aspect_ratio, from 1 on, in 1/10000 (11172-2
/// §2.4.3.2).
const MPEG1_ASPECTS: [u64; 14] = [
    10_000, 6735, 7031, 7615, 8055, 8437, 8935, 9157, 9815, 10_255, 10_695, 10_950, 11_575, 12_015,
];

/// bit_rate counts these.
const BIT_RATE_UNIT: u64 = 400;
/// vbv_buffer_size counts these.
const VBV_UNIT: u64 = 16 * 1024;
/// bit_rate of an MPEG-1 stream of variable rate.
const VARIABLE: u64 = 0x3_FFFF;

/// A sequence header.
#[derive(Copy, Clone, Debug)]
struct Header {
    width: u32,
    height: u32,
    aspect: u32,
    rate: u32,
    bit_rate: u64,
    vbv: u64,
}

/// A sequence extension.
#[derive(Copy, Clone, Debug)]
struct Extension {
    profile: u8,
    level: u8,
    progressive: bool,
    chroma: u32,
    width: u32,
    height: u32,
    bit_rate: u64,
    vbv: u64,
    low_delay: bool,
    rate_n: u64,
    rate_d: u64,
}

/// A sequence header and its extensions, as far as they came.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Sequence {
    header: Option<Header>,
    extension: Option<Extension>,
    /// display_horizontal_size and display_vertical_size.
    display: Option<(u32, u32)>,
}

impl Sequence {
    /// What follows the sequence_header_code.
    pub(super) fn header(&mut self, body: &[u8]) {
        *self = Self {
            header: header(body),
            ..Self::default()
        };
    }

    /// What follows the extension_start_code.
    pub(super) fn extension(&mut self, body: &[u8]) {
        if self.header.is_none() {
            return;
        }
        let mut bits = Bits::new(body);
        match bits.u(4) {
            Some(SEQUENCE_EXTENSION) => self.extension = extension(&mut bits),
            Some(DISPLAY_EXTENSION) => self.display = display(&mut bits),
            _ => {}
        }
    }

    /// What header and extensions say together; once.
    pub(super) fn take(&mut self) -> Option<VideoFormat> {
        let Self {
            header,
            extension,
            display,
        } = std::mem::take(self);
        let header = header?;
        match extension {
            None => header.mpeg1(),
            Some(extension) => header.mpeg2(&extension, display),
        }
    }
}

fn header(body: &[u8]) -> Option<Header> {
    let mut bits = Bits::new(body);
    let header = Header {
        width: bits.u(12)?,
        height: bits.u(12)?,
        aspect: bits.u(4)?,
        rate: bits.u(4)?,
        bit_rate: bits.u(18)?.into(),
        // Behind a marker bit.
        vbv: (bits.u(11)? & 0x3FF).into(),
    };
    Some(header)
}

fn extension(bits: &mut Bits<'_>) -> Option<Extension> {
    let (profile, level) = (bits.u(4)? as u8, bits.u(4)? as u8);
    let progressive = bits.flag()?;
    let chroma = bits.u(2)?;
    let (width, height) = (bits.u(2)? << 12, bits.u(2)? << 12);
    // Each with 13818-2's own place for it: the upper bits of the header's field.
    let bit_rate = u64::from(bits.u(12)?) << 18;
    bits.skip(1)?;
    Some(Extension {
        profile,
        level,
        progressive,
        chroma,
        width,
        height,
        bit_rate,
        vbv: u64::from(bits.u(8)?) << 10,
        low_delay: bits.flag()?,
        rate_n: bits.u(2)?.into(),
        rate_d: bits.u(5)?.into(),
    })
}

fn display(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    bits.skip(3)?;
    if bits.flag()? {
        bits.skip(24)?;
    }
    let width = bits.u(14)?;
    bits.skip(1)?;
    Some((width, bits.u(14)?)).filter(|(w, h)| *w > 0 && *h > 0)
}

impl Header {
    fn rate(&self, n: u64, d: u64) -> Option<Fraction> {
        let (above, below) = FRAME_RATES.get((self.rate as usize).checked_sub(1)?)?;
        Fraction::new(above * (n + 1), below * (d + 1))
    }

    fn mpeg1(&self) -> Option<VideoFormat> {
        let aspect = (self.aspect as usize)
            .checked_sub(1)
            .and_then(|n| MPEG1_ASPECTS.get(n));
        Some(VideoFormat {
            coding: VideoCoding::Mpeg1,
            profile: 0,
            level: 0,
            high_tier: false,
            constraints: 0,
            width: Some(self.width).filter(|w| *w > 0)?,
            height: Some(self.height).filter(|h| *h > 0)?,
            frame_rate: self.rate(0, 0),
            sample_aspect: aspect.and_then(|a| Fraction::new(10_000, *a)),
            interlaced: false,
            chroma: Chroma::C420,
            bit_depth: 8,
            buffer: Some(CodedBuffer {
                size_bits: self.vbv * VBV_UNIT,
                rate_bps: if self.bit_rate == VARIABLE {
                    0
                } else {
                    self.bit_rate * BIT_RATE_UNIT
                },
            }),
            schedule: None,
            low_delay: false,
        })
    }

    fn mpeg2(&self, e: &Extension, display: Option<(u32, u32)>) -> Option<VideoFormat> {
        let width = Some(self.width | e.width).filter(|w| *w > 0)?;
        let height = Some(self.height | e.height).filter(|h| *h > 0)?;
        // aspect_ratio_information is of the area shown (§6.3.3).
        let (across, down) = display.unwrap_or((width, height));
        let shown = |w: u64, h: u64| Fraction::new(w * u64::from(down), h * u64::from(across));
        Some(VideoFormat {
            coding: VideoCoding::Mpeg2,
            profile: e.profile,
            level: e.level,
            high_tier: false,
            constraints: 0,
            width,
            height,
            frame_rate: self.rate(e.rate_n, e.rate_d),
            sample_aspect: match self.aspect {
                1 => Fraction::new(1, 1),
                2 => shown(4, 3),
                3 => shown(16, 9),
                4 => shown(221, 100),
                _ => None,
            },
            interlaced: !e.progressive,
            chroma: Chroma::from_idc(e.chroma)?,
            bit_depth: 8,
            buffer: Some(CodedBuffer {
                size_bits: (self.vbv | e.vbv) * VBV_UNIT,
                rate_bps: (self.bit_rate | e.bit_rate) * BIT_RATE_UNIT,
            }),
            schedule: None,
            low_delay: e.low_delay,
        })
    }
}
