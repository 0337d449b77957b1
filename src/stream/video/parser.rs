//! The units of a sequence, put together to what they say.

use super::{StartCode, StartCodes, VideoFormat, h264, hevc, mpeg2};
use crate::stream::codec::Codec;

/// Bytes of a head that say of which kind a unit is.
const KIND: usize = 2;
/// Bytes of a slice or picture header that its readers look at.
const PICTURE: usize = 20;

/// How many bytes behind a start code of this value [`SequenceParser::push`] and readers of
/// pictures' headers look at, for [`StartCodes::push`]; 0 for units nobody looks at.
pub const fn wanted(codec: Codec, value: u8) -> usize {
    match codec {
        Codec::Mpeg2Video => match value {
            mpeg2::PICTURE | mpeg2::SEQUENCE | mpeg2::EXTENSION | mpeg2::GROUP => 12,
            mpeg2::SEQUENCE_END => KIND,
            _ => 0,
        },
        Codec::H264 => match h264::kind(value) {
            h264::SLICE | h264::PARTITION_A | h264::IDR => PICTURE,
            h264::SPS => StartCodes::MOST,
            _ => KIND,
        },
        Codec::Hevc => match hevc::kind(value) {
            0..hevc::FIRST_NON_VCL => PICTURE,
            hevc::VPS | hevc::SPS => StartCodes::MOST,
            _ => KIND + 1,
        },
        _ => 0,
    }
}

/// Keeps the [`VideoFormat`] in force, fed the units of an elementary stream in order.
///
/// A format comes into force with the first picture behind it: what an encoder repeats with other
/// numbers for other layers does not flicker.
#[derive(Clone, Debug)]
pub struct SequenceParser {
    codec: Codec,
    mpeg2: mpeg2::Sequence,
    timing: Option<hevc::Timing>,
    next: Option<VideoFormat>,
    format: Option<VideoFormat>,
}

impl SequenceParser {
    /// For a stream of this codec; `None` when it is not one of the three video codecs.
    pub fn new(codec: Codec) -> Option<Self> {
        codec.is_video().then_some(Self {
            codec,
            mpeg2: mpeg2::Sequence::default(),
            timing: None,
            next: None,
            format: None,
        })
    }

    /// The codec it was made for.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The format in force; `None` before the first picture behind a whole sequence header or
    /// parameter set.
    pub const fn format(&self) -> Option<&VideoFormat> {
        self.format.as_ref()
    }

    /// What a unit was begun to say is forgotten, after a gap; the format in force stays.
    pub fn reset(&mut self) {
        self.next = None;
        self.mpeg2 = mpeg2::Sequence::default();
    }

    /// Takes a unit. True when it is a picture (its first slice or any other, the picture header
    /// in MPEG video); then the format in force may be another one.
    pub fn push(&mut self, unit: StartCode<'_>) -> bool {
        let picture = match self.codec {
            Codec::Mpeg2Video => self.mpeg(unit.head),
            Codec::H264 => self.h264(unit.head),
            _ => self.hevc(unit.head),
        };
        if picture && let Some(next) = self.next.take() {
            self.format = Some(next);
        }
        picture
    }

    fn mpeg(&mut self, head: &[u8]) -> bool {
        match head {
            [mpeg2::SEQUENCE, header @ ..] => self.mpeg2.header(header),
            [mpeg2::EXTENSION, extension @ ..] => self.mpeg2.extension(extension),
            [mpeg2::PICTURE, ..] => {
                self.next = self.mpeg2.take();
                return true;
            }
            _ => {}
        }
        false
    }

    fn h264(&mut self, head: &[u8]) -> bool {
        let Some((value, body)) = head.split_first() else {
            return false;
        };
        match h264::kind(*value) {
            h264::SPS => self.next = h264::sequence(body).or(self.next),
            h264::SLICE | h264::PARTITION_A | h264::IDR => return true,
            _ => {}
        }
        false
    }

    fn hevc(&mut self, head: &[u8]) -> bool {
        let [value, second, body @ ..] = head else {
            return false;
        };
        if hevc::layer(*value, *second) != 0 {
            return false;
        }
        match hevc::kind(*value) {
            hevc::VPS => self.timing = hevc::video_parameter_set(body),
            hevc::SPS => self.next = hevc::sequence(body, self.timing).or(self.next),
            0..hevc::FIRST_NON_VCL => return true,
            _ => {}
        }
        false
    }
}
