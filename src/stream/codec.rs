//! What an elementary stream is coded in, from its entry in the PMT.

use std::fmt;

use crate::si::{self, descriptor::Descriptors};
use crate::ts::Pid;

/// The coding of an elementary stream, as far as a machine here treats it in a way of its own.
///
/// ```
/// use headend::stream::codec::Codec;
/// assert_eq!(Codec::of(0x1B, &[]), Codec::H264);
/// // Private data with an AC-3 descriptor (EN 300 468 annex D), length 1.
/// assert_eq!(Codec::of(0x06, &[0x6A, 1, 0]), Codec::Ac3);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ISO/IEC 11172-2 or 13818-2.
    Mpeg2Video,
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    Hevc,
    /// ISO/IEC 11172-3 or 13818-3, layers I to III.
    MpegAudio,
    /// AAC in ADTS frames (ISO/IEC 13818-7).
    AacAdts,
    /// AAC in LOAS/LATM (ISO/IEC 14496-3).
    AacLatm,
    /// AC-3 (ETSI TS 102 366).
    Ac3,
    /// Enhanced AC-3 (ETSI TS 102 366 annex E).
    Eac3,
    /// EBU teletext (EN 300 472).
    Teletext,
    /// DVB subtitles (EN 300 743).
    DvbSubtitle,
    /// SCTE 35 splice information sections.
    Scte35,
    /// Sections of another kind: private, MHEG, DSM-CC.
    Sections,
    /// Anything else.
    Other,
}

impl Codec {
    /// The coding of a stream with this stream_type (ISO/IEC 13818-1 table 2-34) and these
    /// descriptors: the bytes of its loop in the PMT, a damaged rest is not looked at.
    ///
    /// stream_type 0x86 is SCTE 35 here; DTS-HD of Blu-ray discs, which shares the value, does not
    /// occur in broadcast.
    pub fn of(stream_type: u8, descriptors: &[u8]) -> Self {
        let stream = si::PmtStream {
            stream_type: si::StreamType(stream_type),
            pid: Pid::NULL,
            descriptors: Descriptors::new(descriptors),
        };
        match si::Codec::of(&stream, Descriptors::NONE) {
            Some(si::Codec::Mpeg1Video | si::Codec::Mpeg2Video) => Self::Mpeg2Video,
            Some(si::Codec::H264) => Self::H264,
            Some(si::Codec::Hevc) => Self::Hevc,
            Some(si::Codec::Mp2) => Self::MpegAudio,
            Some(si::Codec::Aac) if stream_type == 0x0F => Self::AacAdts,
            Some(si::Codec::AacLatm) => Self::AacLatm,
            Some(si::Codec::Ac3) => Self::Ac3,
            Some(si::Codec::Eac3) => Self::Eac3,
            Some(si::Codec::DvbTeletext) => Self::Teletext,
            Some(si::Codec::DvbSubtitle) => Self::DvbSubtitle,
            Some(si::Codec::Scte35) => Self::Scte35,
            None if matches!(stream_type, 0x05 | 0x0A..=0x0D) => Self::Sections,
            _ => Self::Other,
        }
    }

    /// True for video.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Mpeg2Video | Self::H264 | Self::Hevc)
    }

    /// True for sound.
    pub const fn is_audio(self) -> bool {
        matches!(
            self,
            Self::MpegAudio | Self::AacAdts | Self::AacLatm | Self::Ac3 | Self::Eac3
        )
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mpeg2Video => "MPEG-2 video",
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::MpegAudio => "MPEG audio",
            Self::AacAdts | Self::AacLatm => "AAC",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Teletext => "teletext",
            Self::DvbSubtitle => "DVB subtitles",
            Self::Scte35 => "SCTE 35",
            Self::Sections => "sections",
            Self::Other => "other data",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_data_is_what_its_descriptors_say() {
        // ISO 639 language, then E-AC-3.
        let described = [0x0A, 4, b'f', b'r', b'a', 0, 0x7A, 2, 0, 0];
        assert_eq!(Codec::of(6, &described), Codec::Eac3);
        assert_eq!(
            Codec::of(6, &[0x05, 4, b'H', b'E', b'V', b'C']),
            Codec::Hevc
        );
        assert_eq!(Codec::of(6, &[0x56, 0]), Codec::Teletext);
        assert_eq!(Codec::of(6, &[0x59, 0]), Codec::DvbSubtitle);
        for damaged in [&[][..], &[0x6A], &[0x0A, 9, 0x6A], &[0x05, 2, b'A', b'C']] {
            assert_eq!(Codec::of(6, damaged), Codec::Other);
        }
    }
}
