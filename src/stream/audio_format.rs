//! What a stream of sound is like, from the headers of its frames: channels, sampling rate, bit
//! rate. Nothing is decoded.

use super::access_unit::audio_frames;
use super::codec::Codec;

/// What the headers of sound say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// ffmpeg's name of the coding: `mp1`, `mp2`, `mp3`, `aac`, `aac_latm`, `ac3`, `eac3`. The
    /// layer of MPEG audio stands in the frame, not in the tables.
    pub coding: &'static str,
    /// Samples a second that come out of the decoder; without SBR where that is not announced
    /// (ADTS cannot).
    pub rate: u32,
    /// Channels, LFE included; `None` where the header leaves them to the data.
    pub channels: Option<u8>,
    /// How they stand: `mono`, `dual mono`, `stereo`, `joint stereo`, `5.1`, or front and rear
    /// (`3/1`).
    pub layout: Option<String>,
}

/// Frames of one look at a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioLook {
    /// What they are like.
    pub format: AudioFormat,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Their samples a channel, at the rate of the format.
    pub samples: u64,
}

impl AudioLook {
    /// Bits a second of the frames; `None` for no samples. Codings whose rates are whole kbit/s
    /// reach them only over many frames, some padded and some not: rounded to that.
    pub fn bit_rate(&self) -> Option<u64> {
        let rate = (self.bytes * 8 * u64::from(self.format.rate) + self.samples / 2)
            .checked_div(self.samples)?;
        Some(match self.format.coding {
            "mp2" | "mp3" | "ac3" => (rate + 500) / 1000 * 1000,
            _ => rate,
        })
    }

    /// The frames of `codec` in `bytes`, which are one behind the other; what stands before the
    /// first is passed over, and a frame that reaches beyond the bytes counts whole. `None` when
    /// there is none, or no codec whose frames are known.
    ///
    /// ```
    /// use headend::stream::{audio_format::AudioLook, codec::Codec};
    /// // MPEG-1 layer II, 192 kbit/s, 48 kHz, joint stereo.
    /// let look = AudioLook::at(Codec::MpegAudio, &[0xFF, 0xFD, 0xA4, 0x40]).unwrap();
    /// assert_eq!(look.bit_rate(), Some(192_000));
    /// assert_eq!((look.format.coding, look.format.rate), ("mp2", 48_000));
    /// assert_eq!(look.format.layout.as_deref(), Some("joint stereo"));
    /// ```
    pub fn at(codec: Codec, bytes: &[u8]) -> Option<Self> {
        if codec == Codec::AacLatm {
            return latm::look(bytes);
        }
        let mut frames = audio_frames(codec, bytes);
        let first = frames.next()?;
        let header = bytes.get(first.offset..)?;
        let whole = header.get(..first.frame.len).unwrap_or(header);
        let (coding, shape) = match codec {
            Codec::MpegAudio => (layer(header)?, mpeg_audio(header)?),
            Codec::AacAdts => ("aac", aac(adts_channels(header)?)),
            _ => ac3(whole)?,
        };
        let sizes = std::iter::once(first).chain(frames);
        let (mut len, mut samples) = (0, 0);
        for placed in sizes.filter(|p| p.frame.rate == first.frame.rate) {
            len += placed.frame.len as u64;
            samples += u64::from(placed.frame.samples);
        }
        Some(Self {
            format: AudioFormat {
                coding,
                rate: first.frame.rate,
                channels: shape.map(|s| s.channels),
                layout: shape.map(|s| s.layout()),
            },
            bytes: len,
            samples,
        })
    }
}

/// Channels and where they stand.
#[derive(Copy, Clone, Debug)]
struct Shape {
    channels: u8,
    /// A name of its own.
    name: Option<&'static str>,
    front: u8,
    rear: u8,
    lfe: bool,
}

impl Shape {
    const fn named(channels: u8, name: &'static str) -> Self {
        Self {
            channels,
            name: Some(name),
            front: channels,
            rear: 0,
            lfe: false,
        }
    }

    const fn of(front: u8, rear: u8, lfe: bool) -> Self {
        let name = match (front, rear, lfe) {
            (1, 0, false) => Some("mono"),
            (2, 0, false) => Some("stereo"),
            (3, 2, false) => Some("5.0"),
            (3, 2, true) => Some("5.1"),
            (3, 4, true) | (5, 2, true) => Some("7.1"),
            _ => None,
        };
        Self {
            channels: front + rear + lfe as u8,
            name,
            front,
            rear,
            lfe,
        }
    }

    fn layout(&self) -> String {
        let lfe = if self.lfe { ".1" } else { "" };
        match self.name {
            Some(name) => name.to_owned(),
            None => format!("{}/{}{lfe}", self.front, self.rear),
        }
    }
}

/// ISO/IEC 11172-3 §2.4.2.3: the layer.
fn layer(header: &[u8]) -> Option<&'static str> {
    Some(match header.get(1)? >> 1 & 3 {
        1 => "mp3",
        2 => "mp2",
        _ => "mp1",
    })
}

/// ISO/IEC 11172-3 §2.4.2.3: mode.
fn mpeg_audio(header: &[u8]) -> Option<Option<Shape>> {
    Some(Some(match header.get(3)? >> 6 {
        0 => Shape::of(2, 0, false),
        1 => Shape::named(2, "joint stereo"),
        2 => Shape::named(2, "dual mono"),
        _ => Shape::of(1, 0, false),
    }))
}

/// channel_configuration of an ADTS header (ISO/IEC 14496-3 §1.A.2.2.1).
fn adts_channels(header: &[u8]) -> Option<u8> {
    Some((header.get(2)? & 1) << 2 | header.get(3)? >> 6)
}

/// ISO/IEC 14496-3 table 1.19; 0 leaves it to a program_config_element.
fn aac(configuration: u8) -> Option<Shape> {
    Some(match configuration {
        1 => Shape::of(1, 0, false),
        2 => Shape::of(2, 0, false),
        3 => Shape::of(3, 0, false),
        4 => Shape::of(3, 1, false),
        5 => Shape::of(3, 2, false),
        6 => Shape::of(3, 2, true),
        7 => Shape::of(5, 2, true),
        11 => Shape::named(7, "6.1"),
        12 => Shape::of(3, 4, true),
        _ => return None,
    })
}

/// acmod as front and rear channels (ETSI TS 102 366 table 4.3).
fn acmod(mode: u32, lfe: bool) -> Shape {
    match mode {
        0 => Shape {
            lfe,
            channels: 2 + u8::from(lfe),
            ..Shape::named(2, "dual mono")
        },
        1 => Shape::of(1, 0, lfe),
        2 => Shape::of(2, 0, lfe),
        3 => Shape::of(3, 0, lfe),
        4 => Shape::of(2, 1, lfe),
        5 => Shape::of(3, 1, lfe),
        6 => Shape::of(2, 2, lfe),
        _ => Shape::of(3, 2, lfe),
    }
}

/// The frame with its dependent substreams (ETSI TS 102 366 §4.3.2, §E.1.2.2).
fn ac3(frame: &[u8]) -> Option<(&'static str, Option<Shape>)> {
    const LAST_AC3_BSID: u8 = 10;
    if frame.get(5)? >> 3 > LAST_AC3_BSID {
        return Some(("eac3", Some(eac3_shape(frame)?)));
    }
    let mut bits = Bits::new(frame.get(6..)?);
    let mode = bits.take(3)?;
    if mode & 1 != 0 && mode != 1 {
        bits.take(2)?; // cmixlev
    }
    if mode & 4 != 0 {
        bits.take(2)?; // surmixlev
    }
    if mode == 2 {
        bits.take(2)?; // dsurmod
    }
    Some(("ac3", Some(acmod(mode, bits.take(1)? == 1))))
}

fn eac3_shape(frame: &[u8]) -> Option<Shape> {
    let mut rest = frame;
    let mut all = None::<(Shape, u16)>;
    while let [0x0B, 0x77, c, d, e, ..] = *rest {
        let len = ((usize::from(c & 7) << 8 | usize::from(d)) + 1) * 2;
        let own = acmod(u32::from(e >> 1 & 7), e & 1 == 1);
        let dependent = c >> 6 == 1;
        all = match all {
            None => Some((own, locations(own))),
            Some((first, map)) if dependent && c >> 3 & 7 == 0 => {
                Some((first, map | channel_map(rest).unwrap_or(0)))
            }
            // Another programme in substreams of its own: not of this one.
            known => known,
        };
        rest = rest.get(len..).unwrap_or_default();
    }
    let (first, map) = all?;
    if map == locations(first) {
        return Some(first);
    }
    Some(shape_of(map))
}

/// Bits of chanmap, the first of them highest (table E.1.4): L, C, R, Ls, Rs, and the LFE last.
const LEFT_RIGHT: u16 = 0xA000;
const CENTRE: u16 = 0x4000;
const SURROUND: u16 = 0x1800;
const CENTRE_SURROUND: u16 = 0x0100;
const LFE: u16 = 0x0001;
/// Lc/Rc, Lrs/Rrs, Lsd/Rsd, Lw/Rw, Lvh/Rvh, Lts/Rts: two channels each.
const PAIRS: u16 = 0x0400 | 0x0200 | 0x0040 | 0x0020 | 0x0010 | 0x0004;
/// The LFE and the second one.
const LOW: u16 = 0x0003;
/// Lrs/Rrs, Lsd/Rsd, Ls, Rs, Cs.
const BEHIND_PAIRS: u16 = 0x0200 | 0x0040;

/// Where the channels of an independent substream stand.
const fn locations(shape: Shape) -> u16 {
    let front = match shape.front {
        1 => CENTRE,
        2 => LEFT_RIGHT,
        _ => LEFT_RIGHT | CENTRE,
    };
    let rear = match shape.rear {
        0 => 0,
        1 => CENTRE_SURROUND,
        _ => SURROUND,
    };
    front | rear | if shape.lfe { LFE } else { 0 }
}

fn shape_of(map: u16) -> Shape {
    let count = |map: u16| (map.count_ones() + (map & PAIRS).count_ones()) as u8;
    let behind = map & (BEHIND_PAIRS | SURROUND | CENTRE_SURROUND);
    let (rear, low) = (count(behind), count(map & LOW));
    let front = count(map & !(behind | LOW));
    Shape {
        channels: front + rear + low,
        ..Shape::of(front, rear, low > 0)
    }
}

/// chanmap of a dependent substream, or what its acmod stands for where it has none (§E.1.3.1.7).
fn channel_map(frame: &[u8]) -> Option<u16> {
    let mut bits = Bits::new(frame.get(4..)?);
    bits.take(4)?; // fscod, numblkscod
    let mode = bits.take(3)?;
    let lfe = bits.take(1)? == 1;
    bits.take(5 + 5)?; // bsid, dialnorm
    if bits.take(1)? == 1 {
        bits.take(8)?; // compr
    }
    if mode == 0 {
        bits.take(5)?; // dialnorm2
        if bits.take(1)? == 1 {
            bits.take(8)?; // compr2
        }
    }
    if bits.take(1)? == 0 {
        return Some(locations(acmod(mode, lfe)));
    }
    bits.take(16).map(|map| map as u16)
}

/// Bits from the first on, high ones first. (Those of `video` leave emulation prevention out,
/// which sound does not have.)
#[derive(Debug)]
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `n`, 32 at most.
    fn take(&mut self, n: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..n {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

mod latm;

#[cfg(test)]
mod tests;
