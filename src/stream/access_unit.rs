//! Access units of sound: where a frame ends and how long it sounds.
//!
//! A PES packet holds several frames of sound and stamps the first; the others follow at the
//! pace of their samples. Only frame headers are read.

use crate::stream::codec::Codec;
use crate::units::Ticks27M;

/// One access unit of sound, as its header describes it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AudioFrame {
    /// Its bytes, header included.
    pub len: usize,
    /// Samples a channel.
    pub samples: u32,
    /// Samples a second.
    pub rate: u32,
}

impl AudioFrame {
    /// The frame whose header starts `bytes`; `None` when no header of this codec does, or when
    /// the codec is not split into frames here (LATM hides its lengths in bits).
    ///
    /// ```
    /// use headend::stream::{access_unit::AudioFrame, codec::Codec};
    /// // MPEG-1 layer II, 192 kbit/s, 48 kHz: 576 bytes of 24 ms.
    /// let frame = AudioFrame::at(Codec::MpegAudio, &[0xFF, 0xFD, 0xA4, 0x00]).unwrap();
    /// assert_eq!((frame.len, frame.duration().as_millis()), (576, 24));
    /// ```
    pub fn at(codec: Codec, bytes: &[u8]) -> Option<Self> {
        match codec {
            Codec::MpegAudio => mpeg_audio(bytes),
            Codec::AacAdts => adts(bytes),
            Codec::Ac3 | Codec::Eac3 => ac3(bytes),
            _ => None,
        }
    }

    /// Whether the frame whose header starts `bytes` belongs to the instant of the one before: a
    /// dependent or further substream of E-AC-3 (TS 102 366 §E.1.3.1.1).
    pub fn is_dependent(codec: Codec, bytes: &[u8]) -> bool {
        let [0x0B, 0x77, first, _, _, id, ..] = *bytes else {
            return false;
        };
        let (kind, substream) = (first >> 6, first >> 3 & 7);
        let eac3 = matches!(codec, Codec::Ac3 | Codec::Eac3) && id >> 3 > LAST_AC3_BSID;
        eac3 && (kind == 1 || substream != 0)
    }

    /// How long it sounds, to the nearest tick.
    pub fn duration(&self) -> Ticks27M {
        Duration::default().plus(self).ticks()
    }
}

/// A sum of frames' durations, kept in samples so that it does not drift.
#[derive(Copy, Clone, Debug, Default)]
struct Duration {
    ticks: i64,
    samples: i64,
    rate: i64,
}

impl Duration {
    fn plus(self, frame: &AudioFrame) -> Self {
        let (samples, rate) = (i64::from(frame.samples), i64::from(frame.rate));
        if rate == self.rate {
            Self {
                samples: self.samples + samples,
                ..self
            }
        } else {
            Self {
                ticks: self.ticks().get(),
                samples,
                rate,
            }
        }
    }

    fn ticks(self) -> Ticks27M {
        if self.rate == 0 {
            return Ticks27M::new(self.ticks);
        }
        let ticks = (self.samples * 27_000_000 + self.rate / 2) / self.rate;
        Ticks27M::new(self.ticks + ticks)
    }
}

/// A frame and its place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PlacedFrame {
    /// Where its header starts.
    pub offset: usize,
    /// Its instant after that of the first frame.
    pub after: Ticks27M,
    /// The frame.
    pub frame: AudioFrame,
}

/// The frames that start in `bytes`, in order. What stands before the first (the rest of a frame
/// that began in an earlier PES packet) is passed over: a header counts as one only when another
/// follows it or the bytes end first. The last frame may reach beyond the bytes. Frames that
/// belong to another's instant (dependent substreams of E-AC-3) are part of that one.
pub fn audio_frames(codec: Codec, bytes: &[u8]) -> impl Iterator<Item = PlacedFrame> + '_ {
    let mut offset = first_frame(codec, bytes);
    let mut after = Duration::default();
    std::iter::from_fn(move || {
        let at = offset?;
        let mut frame = AudioFrame::at(codec, bytes.get(at..)?)?;
        while let Some(part) = next_part(codec, bytes, at + frame.len) {
            frame.len += part;
        }
        let placed = PlacedFrame {
            offset: at,
            after: after.ticks(),
            frame,
        };
        after = after.plus(&frame);
        offset = Some(at + frame.len);
        Some(placed)
    })
}

fn first_frame(codec: Codec, bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|at| {
        let Some(frame) = bytes.get(*at..).and_then(|b| AudioFrame::at(codec, b)) else {
            return false;
        };
        match bytes.get(at + frame.len..) {
            // Fewer bytes than the longest header: nothing to contradict.
            None => true,
            Some(next) if next.len() < 8 => true,
            Some(next) => AudioFrame::at(codec, next).is_some(),
        }
    })
}

/// The length of a dependent or further substream of E-AC-3 at `at`.
fn next_part(codec: Codec, bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?;
    let frame = AudioFrame::at(codec, bytes)?;
    AudioFrame::is_dependent(codec, bytes).then_some(frame.len)
}

/// ISO/IEC 11172-3 §2.4.2.3 and 13818-3 §2.4.2.3.
fn mpeg_audio(bytes: &[u8]) -> Option<AudioFrame> {
    /// kbit/s by bitrate_index, for MPEG-1 layers I, II, III and for low sampling rates layer I
    /// and layers II, III; 0 is free format and not taken.
    const KBITS: [[u32; 15]; 5] = [
        [
            0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
        ],
        [
            0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
        ],
        [
            0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ],
        [
            0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
        ],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    let [0xFF, b, c, _, ..] = *bytes else {
        return None;
    };
    // ID: 11 is MPEG-1, 10 MPEG-2; 00 is the unofficial 2.5, 01 reserved. Layer: 3 is I.
    let (version, layer) = (b >> 3 & 3, b >> 1 & 3);
    if b & 0xE0 != 0xE0 || version == 1 || layer == 0 {
        return None;
    }
    let low = version != 3;
    let row = match (low, layer) {
        (false, 3) => 0,
        (false, 2) => 1,
        (false, _) => 2,
        (true, 3) => 3,
        (true, _) => 4,
    };
    let bits = KBITS
        .get(row)?
        .get(usize::from(c >> 4))
        .filter(|k| **k > 0)?
        * 1000;
    let rate = [44_100, 48_000, 32_000].get(usize::from(c >> 2 & 3))?
        >> match version {
            3 => 0,
            2 => 1,
            _ => 2,
        };
    let padding = u32::from(c >> 1 & 1);
    let (samples, len) = match (layer, low) {
        (3, _) => (384, (12 * bits / rate + padding) * 4),
        (1, true) => (576, 72 * bits / rate + padding),
        _ => (1152, 144 * bits / rate + padding),
    };
    Some(AudioFrame {
        len: len as usize,
        samples,
        rate,
    })
}

/// Samples a second by sampling_frequency_index (ISO/IEC 14496-3 table 1.18).
pub(super) const AAC_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// ISO/IEC 14496-3 §1.A.2.2: ADTS.
fn adts(bytes: &[u8]) -> Option<AudioFrame> {
    let [0xFF, b, c, d, e, f, g, ..] = *bytes else {
        return None;
    };
    let len = usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f >> 5);
    if b & 0xF6 != 0xF0 || len < 7 {
        return None;
    }
    Some(AudioFrame {
        len,
        samples: 1024 * (u32::from(g & 3) + 1),
        rate: *AAC_RATES.get(usize::from(c >> 2 & 0x0F))?,
    })
}

/// bsid up to here is AC-3; above it, Enhanced AC-3.
const LAST_AC3_BSID: u8 = 10;

/// ETSI TS 102 366 §4.3 and §E.1.2.
fn ac3(bytes: &[u8]) -> Option<AudioFrame> {
    /// kbit/s by frmsizecod / 2 (table 4.13).
    const KBITS: [u32; 19] = [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
    ];
    const RATES: [u32; 3] = [48_000, 44_100, 32_000];
    let [0x0B, 0x77, c, d, e, f, ..] = *bytes else {
        return None;
    };
    if f >> 3 <= LAST_AC3_BSID {
        let rate = *RATES.get(usize::from(e >> 6))?;
        let code = e & 0x3F;
        let kbits = *KBITS.get(usize::from(code / 2))?;
        // Words of 16 bits in 1536 samples; 44.1 kHz has a word more in odd codes.
        let words =
            kbits * 1000 * 1536 / rate / 16 + u32::from(rate == 44_100) * u32::from(code & 1);
        return Some(AudioFrame {
            len: words as usize * 2,
            samples: 1536,
            rate,
        });
    }
    let len = ((usize::from(c & 7) << 8 | usize::from(d)) + 1) * 2;
    let (code, second) = (e >> 6, e >> 4 & 3);
    let (rate, blocks) = match code {
        3 => (RATES.get(usize::from(second))? / 2, 6),
        _ => (
            *RATES.get(usize::from(code))?,
            [1, 2, 3, 6][usize::from(second)],
        ),
    };
    Some(AudioFrame {
        len,
        samples: 256 * blocks,
        rate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_give_the_lengths_of_the_tables() {
        // AC-3, 448 kbit/s, 48 kHz: 1792 bytes (frmsizecod 30); 44.1 kHz at 32 kbit/s: 69 and 70
        // words (codes 0 and 1).
        for (codec, header, len, samples, rate) in [
            (
                Codec::Ac3,
                &[0x0B, 0x77, 0, 0, 30, 0x40, 0][..],
                1792,
                1536,
                48_000,
            ),
            (
                Codec::Ac3,
                &[0x0B, 0x77, 0, 0, 0x40, 0x40, 0],
                138,
                1536,
                44_100,
            ),
            (
                Codec::Ac3,
                &[0x0B, 0x77, 0, 0, 0x41, 0x40, 0],
                140,
                1536,
                44_100,
            ),
            // E-AC-3: frmsiz 0x17F, 48 kHz, six blocks, bsid 16.
            (
                Codec::Eac3,
                &[0x0B, 0x77, 0x01, 0x7F, 0x34, 0x80, 0],
                768,
                1536,
                48_000,
            ),
            // MPEG-1 layer I, 384 kbit/s at 32 kHz; layer III, 128 kbit/s at 44.1 kHz, padded.
            (Codec::MpegAudio, &[0xFF, 0xFF, 0xC8, 0], 576, 384, 32_000),
            (Codec::MpegAudio, &[0xFF, 0xFB, 0x92, 0], 418, 1152, 44_100),
            // MPEG-2 layer II, 64 kbit/s at 24 kHz.
            (Codec::MpegAudio, &[0xFF, 0xF5, 0x84, 0], 384, 1152, 24_000),
            // ADTS, 48 kHz, 371 bytes, one block.
            (
                Codec::AacAdts,
                &[0xFF, 0xF1, 0x4C, 0x80, 0x2E, 0x7F, 0xFC],
                371,
                1024,
                48_000,
            ),
        ] {
            let expected = AudioFrame { len, samples, rate };
            assert_eq!(
                AudioFrame::at(codec, header),
                Some(expected),
                "{header:02X?}"
            );
            for n in 0..4 {
                assert_eq!(AudioFrame::at(codec, &header[..n]), None);
            }
        }
        assert_eq!(AudioFrame::at(Codec::AacLatm, &[0x56, 0xE0, 0, 0]), None);
        assert_eq!(
            AudioFrame::at(Codec::MpegAudio, &[0xFF, 0xFF, 0xF8, 0]),
            None
        );
    }

    #[test]
    fn frames_are_found_behind_the_rest_of_another() {
        let mut bytes = vec![0xFF, 0xFD, 0x00, 0x12, 0x34]; // no header: free format
        for _ in 0..3 {
            let at = bytes.len();
            bytes.extend([0xFF, 0xFD, 0xA4, 0x00]);
            bytes.resize(at + 576, 0x55);
        }
        bytes.truncate(5 + 2 * 576 + 100);
        let frames: Vec<_> = audio_frames(Codec::MpegAudio, &bytes)
            .map(|f| (f.offset, f.after.as_millis()))
            .collect();
        assert_eq!(frames, [(5, 0), (581, 24), (1157, 48)]);
    }

    #[test]
    fn instants_do_not_drift() {
        // 44.1 kHz: 1152 samples are 705 306.12 ticks; a hundred of them 70 530 612.24.
        let mut bytes = Vec::new();
        for _ in 0..101 {
            let at = bytes.len();
            bytes.extend([0xFF, 0xFB, 0x90, 0x00]);
            bytes.resize(at + 417, 0x55);
        }
        let last = audio_frames(Codec::MpegAudio, &bytes).last().unwrap();
        assert_eq!(last.after.get(), 70_530_612);
    }

    #[test]
    fn dependent_substreams_belong_to_the_frame_before() {
        let mut bytes = Vec::new();
        for head in [0x01u8, 0x41, 0x01, 0x41] {
            let at = bytes.len();
            bytes.extend([0x0B, 0x77, head, 0x7F, 0x34, 0x80]);
            bytes.resize(at + 768, 0x55);
        }
        let frames: Vec<_> = audio_frames(Codec::Eac3, &bytes)
            .map(|f| (f.offset, f.frame.len, f.after.as_millis()))
            .collect();
        assert_eq!(frames, [(0, 1536, 0), (1536, 1536, 32)]);
    }
}
