//! A service as several tables describe it together, in owned values.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::descriptor::{
    CaDescriptor, Descriptor, DescriptorTag, Descriptors, LanguageDescriptor,
    RegistrationDescriptor, ServiceType, SubtitlingDescriptor, TeletextDescriptor,
};
use super::{Language, Pmt, PmtStream, Programme, ServiceId, StreamType};
use crate::ts::Pid;
use crate::units::ParseUnitError;

/// What a stream is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// DVB subtitles.
    Subtitle,
    /// Teletext, subtitles on its pages included.
    Teletext,
    /// Splice information.
    Scte35,
    /// Everything else: applications, carousels, metadata.
    Data,
}

impl StreamKind {
    /// The word for it in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Subtitle => "subtitle",
            Self::Teletext => "teletext",
            Self::Scte35 => "scte35",
            Self::Data => "data",
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! codecs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident;)*) => {
        /// How a stream is coded, as far as the tables tell; prints as ffmpeg names it.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Codec {
            $($(#[$doc])* $variant,)*
        }

        impl Codec {
            /// Every codec.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// ffmpeg's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What a stream of this codec is for.
            pub const fn kind(self) -> StreamKind {
                match self { $(Self::$variant => StreamKind::$kind,)* }
            }
        }
    };
}

codecs! {
    /// MPEG-1 video.
    Mpeg1Video = "mpeg1video", Video;
    /// MPEG-2 video.
    Mpeg2Video = "mpeg2video", Video;
    /// MPEG-4 visual.
    Mpeg4 = "mpeg4", Video;
    /// AVC.
    H264 = "h264", Video;
    /// HEVC.
    Hevc = "hevc", Video;
    /// VVC.
    Vvc = "vvc", Video;
    /// VC-1.
    Vc1 = "vc1", Video;
    /// MPEG-1 or MPEG-2 audio; the tables do not tell the layer, and broadcasting has layer II.
    Mp2 = "mp2", Audio;
    /// AAC with ADTS headers.
    Aac = "aac", Audio;
    /// AAC with LATM headers.
    AacLatm = "aac_latm", Audio;
    /// AC-3.
    Ac3 = "ac3", Audio;
    /// E-AC-3.
    Eac3 = "eac3", Audio;
    /// AC-4.
    Ac4 = "ac4", Audio;
    /// DTS, DTS-HD.
    Dts = "dts", Audio;
    /// Opus.
    Opus = "opus", Audio;
    /// Linear PCM by SMPTE 302M.
    S302m = "s302m", Audio;
    /// DVB subtitles.
    DvbSubtitle = "dvb_subtitle", Subtitle;
    /// Teletext.
    DvbTeletext = "dvb_teletext", Teletext;
    /// Splice information.
    Scte35 = "scte_35", Scte35;
    /// ID3 tags with times.
    TimedId3 = "timed_id3", Data;
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a codec; write ffmpeg's name of it, as h264, hevc, mpeg2video, mp2, \
                              aac, ac3, eac3, dvb_subtitle, dvb_teletext, scte_35";
        let mut all = Self::ALL.iter().copied();
        all.find(|codec| codec.name() == text)
            .ok_or_else(|| ParseUnitError::new(text, WANTED))
    }
}

impl Serialize for Codec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Codec {
    /// The codec of a stream of a program with those descriptors, if the tables tell.
    pub fn of(stream: &PmtStream<'_>, program: Descriptors<'_>) -> Option<Self> {
        Some(match stream.stream_type {
            StreamType::MPEG1_VIDEO => Self::Mpeg1Video,
            StreamType::MPEG2_VIDEO => Self::Mpeg2Video,
            StreamType::MPEG1_AUDIO | StreamType::MPEG2_AUDIO => Self::Mp2,
            StreamType::AAC_ADTS => Self::Aac,
            StreamType::AAC_LATM => Self::AacLatm,
            StreamType::MPEG4_VIDEO => Self::Mpeg4,
            StreamType::AVC => Self::H264,
            StreamType::HEVC => Self::Hevc,
            StreamType::VVC => Self::Vvc,
            StreamType::VC1 => Self::Vc1,
            StreamType::AC3 => Self::Ac3,
            StreamType::EAC3 => Self::Eac3,
            // Blu-ray's list of stream types gives this number to DTS-HD.
            StreamType::SCTE35 if registered(program, b"HDMV") => Self::Dts,
            StreamType::SCTE35 => Self::Scte35,
            StreamType::METADATA_PES if registered(stream.descriptors, b"ID3 ") => Self::TimedId3,
            StreamType::PRIVATE_PES => return Self::of_private(stream.descriptors),
            _ => return None,
        })
    }

    /// The codec of PES packets of private data, by its descriptors.
    fn of_private(descriptors: Descriptors<'_>) -> Option<Self> {
        // descriptor_tag_extension of AC-4_descriptor (EN 300 468 table 109).
        const AC4: u8 = 0x15;
        const REGISTERED: [(&[u8; 4], Codec); 9] = [
            (b"AC-3", Codec::Ac3),
            (b"EAC3", Codec::Eac3),
            (b"AC-4", Codec::Ac4),
            (b"DTS1", Codec::Dts),
            (b"DTS2", Codec::Dts),
            (b"DTS3", Codec::Dts),
            (b"Opus", Codec::Opus),
            (b"BSSD", Codec::S302m),
            (b"HEVC", Codec::Hevc),
        ];
        for d in descriptors.iter() {
            let codec = match d.tag {
                DescriptorTag::AC3 => Some(Self::Ac3),
                DescriptorTag::EAC3 => Some(Self::Eac3),
                DescriptorTag::DTS => Some(Self::Dts),
                DescriptorTag::AAC => Some(Self::Aac),
                DescriptorTag::EXTENSION if d.payload.first() == Some(&AC4) => Some(Self::Ac4),
                DescriptorTag::VBI_TELETEXT => Some(Self::DvbTeletext),
                DescriptorTag(0x56) => Some(Self::DvbTeletext),
                DescriptorTag(0x59) => Some(Self::DvbSubtitle),
                _ => None,
            };
            if codec.is_some() {
                return codec;
            }
        }
        REGISTERED
            .iter()
            .find(|(format, _)| registered(descriptors, format))
            .map(|(_, codec)| *codec)
    }
}

fn registered(descriptors: Descriptors<'_>, format: &[u8; 4]) -> bool {
    descriptors
        .all::<RegistrationDescriptor<'_>>()
        .any(|r| r.format == *format)
}

/// A stream of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementaryStream {
    /// elementary_PID.
    pub pid: Pid,
    /// stream_type.
    pub stream_type: StreamType,
    /// What it is for.
    pub kind: StreamKind,
    /// How it is coded, if the tables tell.
    pub codec: Option<Codec>,
    /// Its first language, if the tables tell.
    pub language: Option<Language>,
    /// It has a conditional access descriptor of its own.
    pub scrambled: bool,
    /// It may hold still pictures, by its video descriptor: stamps may then come seldom.
    pub still: bool,
}

impl ElementaryStream {
    /// What a PMT says about the stream, given the descriptors of its program.
    pub fn new(stream: &PmtStream<'_>, program: Descriptors<'_>) -> Self {
        let codec = Codec::of(stream, program);
        Self {
            pid: stream.pid,
            stream_type: stream.stream_type,
            kind: codec.map_or(StreamKind::Data, Codec::kind),
            codec,
            language: language(stream.descriptors),
            scrambled: stream.descriptors.get::<CaDescriptor<'_>>().is_some(),
            still: stream.descriptors.iter().any(announces_stills),
        }
    }
}

/// still_picture_flag of video_stream_descriptor, AVC_still_present_flag of AVC_video_descriptor
/// and HEVC_still_present_flag of HEVC_video_descriptor (ISO/IEC 13818-1 §2.6.2, §2.6.64, §2.6.95).
fn announces_stills(d: Descriptor<'_>) -> bool {
    let (byte, bit) = match d.tag {
        DescriptorTag::VIDEO_STREAM => (0, 0x01),
        DescriptorTag::AVC_VIDEO => (3, 0x80),
        DescriptorTag::HEVC_VIDEO => (12, 0x40),
        _ => return false,
    };
    d.payload.get(byte).is_some_and(|flags| flags & bit != 0)
}

/// The first language that some descriptor of a stream names.
fn language(descriptors: Descriptors<'_>) -> Option<Language> {
    let audio = descriptors
        .all::<LanguageDescriptor<'_>>()
        .find_map(|d| d.languages().next().map(|(language, _)| language));
    let subtitle = || {
        let mut all = descriptors.all::<SubtitlingDescriptor<'_>>();
        all.find_map(|d| d.subtitles().next().map(|s| s.language))
    };
    let teletext = || {
        let mut all = descriptors.all::<TeletextDescriptor<'_>>();
        all.find_map(|d| d.pages().next().map(|p| p.language))
    };
    audio.or_else(subtitle).or_else(teletext)
}

/// A service, gathered over time: from PAT and PMT its streams, from SDT its name, from EIT
/// present/following what is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// service_id, which is program_number.
    pub id: ServiceId,
    /// Where its PMT is.
    pub pmt_pid: Pid,
    /// version_number of the PMT below; `None` until one came.
    pub pmt_version: Option<u8>,
    /// Where its clock is; `None` until a PMT came, or when it says 0x1FFF.
    pub pcr_pid: Option<Pid>,
    /// Its streams in the order of the PMT.
    pub streams: Vec<ElementaryStream>,
    /// service_name.
    pub name: Option<String>,
    /// service_provider_name.
    pub provider: Option<String>,
    /// service_type.
    pub service_type: Option<ServiceType>,
    /// Some stream is or may be scrambled.
    pub scrambled: bool,
    /// What is on air.
    pub present: Option<Programme>,
    /// What comes next.
    pub following: Option<Programme>,
}

impl Service {
    /// A service of which only the line of the PAT is known.
    pub const fn new(id: ServiceId, pmt_pid: Pid) -> Self {
        Self {
            id,
            pmt_pid,
            pmt_version: None,
            pcr_pid: None,
            streams: Vec::new(),
            name: None,
            provider: None,
            service_type: None,
            scrambled: false,
            present: None,
            following: None,
        }
    }

    /// Takes over what a PMT says.
    pub fn take_pmt(&mut self, pmt: &Pmt<'_>) {
        let program = pmt.descriptors();
        self.pmt_version = Some(pmt.syntax().version);
        self.pcr_pid = Some(pmt.pcr_pid()).filter(|pid| *pid != Pid::NULL);
        self.streams.clear();
        self.streams
            .extend(pmt.streams().map(|s| ElementaryStream::new(&s, program)));
        self.scrambled =
            program.get::<CaDescriptor<'_>>().is_some() || self.streams.iter().any(|s| s.scrambled);
    }

    /// The first stream of that kind.
    pub fn first(&self, kind: StreamKind) -> Option<&ElementaryStream> {
        self.streams.iter().find(|s| s.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(stream_type: u8, descriptors: &[u8]) -> PmtStream<'_> {
        PmtStream {
            stream_type: StreamType(stream_type),
            pid: Pid::from_field(0x100),
            descriptors: Descriptors::new(descriptors),
        }
    }

    #[test]
    fn private_data_are_told_apart_by_their_descriptors() {
        let cases: [(&[u8], Option<Codec>, Option<&str>); 9] = [
            (
                &[0x6A, 1, 0, 0x0A, 4, b'q', b'a', b'd', 3],
                Some(Codec::Ac3),
                Some("qad"),
            ),
            (&[0x7A, 0], Some(Codec::Eac3), None),
            (&[0x7F, 1, 0x15], Some(Codec::Ac4), None),
            (&[0x7F, 1, 0x0E], None, None),
            (
                &[0x56, 5, b'd', b'e', b'u', 0x09, 0],
                Some(Codec::DvbTeletext),
                Some("deu"),
            ),
            (
                &[0x59, 8, b'f', b'r', b'a', 0x14, 0, 1, 0, 1],
                Some(Codec::DvbSubtitle),
                Some("fra"),
            ),
            (&[0x05, 4, b'O', b'p', b'u', b's'], Some(Codec::Opus), None),
            (&[0x05, 3, b'O', b'p', b'u'], None, None),
            (&[], None, None),
        ];
        for (descriptors, codec, language) in cases {
            let s = ElementaryStream::new(&stream(0x06, descriptors), Descriptors::NONE);
            assert_eq!(s.codec, codec, "{descriptors:02x?}");
            assert_eq!(s.language.map(|l| l.to_string()).as_deref(), language);
            assert_eq!(s.kind, codec.map_or(StreamKind::Data, Codec::kind));
        }
    }

    #[test]
    fn still_pictures_are_announced_by_one_bit_of_the_video_descriptor() {
        // (tag, length of the payload, byte, bit), from the syntax of the three descriptors.
        for (tag, length, byte, bit) in
            [(0x02, 1, 0, 0x01), (0x28, 4, 3, 0x80), (0x38, 13, 12, 0x40)]
        {
            for (place, flag) in (0..length).flat_map(|b| (0..8).map(move |f| (b, 1u8 << f))) {
                let mut descriptor = vec![tag, length];
                descriptor.resize(2 + usize::from(length), 0);
                descriptor[2 + usize::from(place)] = flag;
                let s = ElementaryStream::new(&stream(0x1B, &descriptor), Descriptors::NONE);
                assert_eq!(
                    s.still,
                    (place, flag) == (byte, bit),
                    "{tag:#x} {place} {flag:#x}"
                );
            }
        }
    }

    #[test]
    fn a_blu_ray_registration_makes_type_86_a_dts_stream() {
        let hdmv = Descriptors::new(&[0x05, 4, b'H', b'D', b'M', b'V']);
        let cuei = Descriptors::new(&[0x05, 4, b'C', b'U', b'E', b'I']);
        let s = stream(0x86, &[]);
        assert_eq!(Codec::of(&s, hdmv), Some(Codec::Dts));
        assert_eq!(Codec::of(&s, cuei), Some(Codec::Scte35));
        assert_eq!(Codec::of(&s, Descriptors::NONE), Some(Codec::Scte35));
    }

    #[test]
    fn conditional_access_is_seen_in_either_loop() {
        let ca = [0x09, 4, 0x05, 0x00, 0xE1, 0x23];
        assert!(ElementaryStream::new(&stream(0x1B, &ca), Descriptors::NONE).scrambled);
        let streams = [stream(0x1B, &[])];
        let fields =
            crate::si::PmtFields::new(ServiceId(1), 3, Pid::NULL, Descriptors::new(&ca), &streams);
        let section = fields.to_section().unwrap();
        let mut service = Service::new(ServiceId(1), Pid::from_field(0x20));
        service.take_pmt(&Pmt::new(section.section()).unwrap());
        assert!(service.scrambled && service.pcr_pid.is_none());
        assert_eq!(service.pmt_version, Some(3));
        assert_eq!(
            service.first(StreamKind::Video).map(|s| s.codec),
            Some(Some(Codec::H264))
        );
    }
}
