//! Finding the format of a video PID.

use super::{SequenceParser, StartCodes, VideoFormat, wanted};
use crate::stream::PesPayload;
use crate::stream::codec::Codec;
use crate::ts::Packet;

/// Follows what the video of one PID says about its pictures.
///
/// Until the first format is known every byte is looked at; then only what stands in front of the
/// first picture of each PES packet, so that other packets cost a compare.
///
/// ```
/// use headend::stream::{codec::Codec, video::VideoFormatDetector};
/// use headend::ts::{ContinuityCounter, Packet, Pid};
///
/// let mut video = Packet::new(Pid::new(0x100).unwrap(), ContinuityCounter::default());
/// video.set_payload_unit_start(true);
/// // PES header; sequence header (352 x 288, 12:11 samples, 25 Hz) without extension: MPEG-1; a
/// // picture header.
/// video.fill_payload(&[
///     0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0, 0, 0, 1, 0xB3, 0x16, 0x01, 0x20, 0x83, 0x02, 0xCE, 0xE0,
///     0xA0, 0, 0, 1, 0, 0, 0x0F, 0xFF, 0xF8, 0, 0, 1, 1, 0x13, 0xF8, 0x7D, 0x29, 0x48, 0x8B,
/// ]);
/// let mut detector = VideoFormatDetector::new(Codec::Mpeg2Video).unwrap();
/// let format = detector.push(&video).unwrap();
/// assert_eq!((format.width, format.height), (352, 288));
/// assert_eq!(format.frame_rate.unwrap().numerator, 25);
/// ```
#[derive(Clone, Debug)]
pub struct VideoFormatDetector {
    payload: PesPayload,
    codes: StartCodes,
    sequence: SequenceParser,
    looking: bool,
}

impl VideoFormatDetector {
    /// For a PID with this codec; `None` when it is not one of the three video codecs.
    pub fn new(codec: Codec) -> Option<Self> {
        Some(Self {
            payload: PesPayload::new(),
            codes: StartCodes::new(),
            sequence: SequenceParser::new(codec)?,
            looking: true,
        })
    }

    /// The format in force.
    pub const fn format(&self) -> Option<&VideoFormat> {
        self.sequence.format()
    }

    /// Takes the next packet of the PID, not one that repeats the packet before it. Answers with
    /// the format when it is the first, or another than before.
    #[inline]
    pub fn push(&mut self, packet: &Packet) -> Option<&VideoFormat> {
        if packet.payload_unit_start() {
            self.looking = true;
        } else if !self.looking {
            return None;
        }
        self.look(packet)
    }

    /// Packets were lost: what was begun is forgotten, the format in force stays.
    pub fn reset(&mut self) {
        self.payload.reset();
        self.codes.reset();
        self.sequence.reset();
        self.looking = self.format().is_none();
    }

    fn look(&mut self, packet: &Packet) -> Option<&VideoFormat> {
        if packet.payload_unit_start() {
            // Bytes between the last one looked at and this packet were passed over.
            self.codes.reset();
        }
        let part = self.payload.push(packet);
        let codec = self.sequence.codec();
        let before = self.sequence.format().copied();
        let mut picture = false;
        let sequence = &mut self.sequence;
        self.codes.push(
            part.payload,
            0,
            |value| wanted(codec, value),
            |unit| picture |= sequence.push(unit),
        );
        if picture {
            self.looking = self.sequence.format().is_none();
        }
        let format = self.sequence.format()?;
        (before != Some(*format)).then_some(format)
    }
}
