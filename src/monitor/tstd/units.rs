//! Where access units begin, and when they are decoded.

use crate::si::Codec;
use crate::stream::access_unit::AudioFrame;
use crate::stream::codec::Codec as Coding;
use crate::stream::video::{
    InitialDelay, LONGEST_MESSAGE, SequenceParser, StartCode, StartCodes, VideoFormat,
    buffering_period, is_message, opens_period, wanted,
};
use crate::stream::{PesPart, PesPayload};
use crate::ts::{Dts, Packet};

use super::quantity::{Amount, Fine};

/// When a unit is decoded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// By its PES packet.
    At(Dts),
    /// So long after the unit before it.
    After(Fine),
    /// Somewhere between its neighbours.
    Between,
}

/// The beginning of an access unit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct UnitStart {
    /// The place of its first byte.
    pub(super) start: u64,
    /// The place behind the unit before it: that of the PES header between the two, if any.
    pub(super) after_previous: u64,
    /// The place of its first byte when PES headers do not count.
    pub(super) data: u64,
    pub(super) stamp: Stamp,
}

/// What an access unit of video says of its way into EBn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// vbv_delay, and the place behind the start code of its picture, PES headers not counted.
    Vbv { delay: u16, after_code: u64 },
    /// vbv_delay is 0xFFFF.
    NoVbv,
    /// A buffering period begins.
    Period(InitialDelay),
}

/// What is found in a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A unit begins.
    Unit(UnitStart),
    /// The newest unit says this.
    Delivery(Delivery),
}

/// The bytes of a packet that go on behind the transport buffer.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passing {
    pub(super) bytes: u8,
    /// Those among them, in front, that are of a PES header.
    pub(super) header: u8,
}

/// What a stream's own headers say of its buffers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The format of its pictures.
    Video(VideoFormat),
    /// ADTS channel_configuration.
    Channels(u8),
    /// DVB subtitles with a display definition segment.
    DisplayDefinition,
}

/// Finds the access units of a PID, each by the number of its first byte among those of PES
/// packets, headers included.
#[derive(Clone, Debug)]
pub(super) struct UnitFinder {
    payload: PesPayload,
    /// The place of the next byte.
    place: u64,
    /// That of the newest PES packet's header, and of what is behind it.
    header: u64,
    payload_start: u64,
    /// Bytes of PES headers so far, and before the newest one.
    headers: u64,
    headers_before: u64,
    /// What the newest PES packet says, until a unit begins in it.
    stamp: Option<Dts>,
    kind: Kind,
    told: Option<Told>,
    /// How long the last unit of sound lasts.
    lasts: Option<Fine>,
}

#[derive(Clone, Debug)]
enum Kind {
    Video(Box<VideoUnits>),
    Audio(AudioUnits),
    /// Every PES packet is a unit.
    Whole {
        subtitle: bool,
    },
}

impl UnitFinder {
    /// `scheduled`: what units say of their way into EBn is wanted.
    pub(super) fn new(codec: Option<Codec>, scheduled: bool) -> Self {
        let video = |coding| {
            SequenceParser::new(coding).map(|sequence| {
                Kind::Video(Box::new(VideoUnits {
                    codes: StartCodes::new(),
                    sequence,
                    begun: false,
                    coded: false,
                    scheduled,
                    message: Vec::new(),
                }))
            })
        };
        let kind = match codec {
            Some(Codec::Mpeg1Video | Codec::Mpeg2Video) => video(Coding::Mpeg2Video),
            Some(Codec::H264) => video(Coding::H264),
            Some(Codec::Hevc) => video(Coding::Hevc),
            Some(Codec::Mp2) => Some(Kind::Audio(AudioUnits::new(Coding::MpegAudio))),
            Some(Codec::Aac) => Some(Kind::Audio(AudioUnits::new(Coding::AacAdts))),
            Some(Codec::AacLatm) => Some(Kind::Audio(AudioUnits::new(Coding::AacLatm))),
            Some(Codec::Ac3) => Some(Kind::Audio(AudioUnits::new(Coding::Ac3))),
            Some(Codec::Eac3) => Some(Kind::Audio(AudioUnits::new(Coding::Eac3))),
            _ => None,
        };
        Self {
            payload: PesPayload::new(),
            place: 0,
            header: 0,
            payload_start: 0,
            headers: 0,
            headers_before: 0,
            stamp: None,
            kind: kind.unwrap_or(Kind::Whole {
                subtitle: codec == Some(Codec::DvbSubtitle),
            }),
            told: None,
            lasts: None,
        }
    }

    /// What the stream said of itself since this was last asked.
    pub(super) const fn take_told(&mut self) -> Option<Told> {
        self.told.take()
    }

    /// Bytes are missing.
    pub(super) fn reset(&mut self) {
        self.payload.reset();
        self.stamp = None;
        self.lasts = None;
        match &mut self.kind {
            Kind::Video(units) => units.reset(),
            Kind::Audio(units) => units.reset(),
            Kind::Whole { .. } => {}
        }
    }

    /// Takes a packet that brings something new. Answers what of it goes on behind the transport
    /// buffer, and hands over the units that begin and what they say.
    #[inline]
    pub(super) fn push(&mut self, packet: &Packet, found: &mut impl FnMut(Found)) -> Passing {
        let bytes = packet.payload();
        if bytes.is_empty() {
            return Passing::default();
        }
        if packet.payload_unit_start() {
            self.header = self.place;
            self.headers_before = self.headers;
        }
        let PesPart {
            start,
            payload,
            header,
        } = self.payload.push(packet);
        self.headers += header as u64;
        let passing = Passing {
            bytes: bytes.len() as u8,
            header: header as u8,
        };
        let at = self.place + header as u64;
        if start.is_none()
            && let Kind::Video(units) = &mut self.kind
            && units.codes.pass(payload)
        {
            self.place += bytes.len() as u64;
            return passing;
        }
        if let Some(start) = start {
            self.stamp = start.decode_time();
            self.payload_start = at;
            if let Kind::Video(units) = &mut self.kind {
                units.codes.pes_start(at);
            }
        }
        let (header, payload_start) = (self.header, self.payload_start);
        let (headers, headers_before) = (self.headers, self.headers_before);
        // What stands in front of the newest header was found late; further back there is nothing
        // but damage.
        let data = |place: u64| {
            place.saturating_sub(if place < payload_start {
                headers_before
            } else {
                headers
            })
        };
        let after_previous = |start: u64| {
            if start <= payload_start {
                header
            } else {
                start
            }
        };
        let stamp = &mut self.stamp;
        match &mut self.kind {
            Kind::Video(units) => {
                let mut tell = |event| {
                    found(match event {
                        VideoEvent::Begins(start) => Found::Unit(UnitStart {
                            start,
                            after_previous: after_previous(start),
                            data: data(start),
                            stamp: stamp.take().map_or(Stamp::Between, Stamp::At),
                        }),
                        VideoEvent::VbvDelay(0xFFFF, _) => Found::Delivery(Delivery::NoVbv),
                        VideoEvent::VbvDelay(delay, code) => Found::Delivery(Delivery::Vbv {
                            delay,
                            after_code: data(code) + 1,
                        }),
                        VideoEvent::Period(initial) => Found::Delivery(Delivery::Period(initial)),
                    });
                };
                if let Some(format) = units.push(payload, at, &mut tell) {
                    self.told = Some(Told::Video(format));
                }
            }
            Kind::Audio(units) => {
                let (lasts, told) = (&mut self.lasts, &mut self.told);
                units.push(payload, at, payload_start, |unit| {
                    let after = lasts.take().map_or(Stamp::Between, Stamp::After);
                    found(Found::Unit(UnitStart {
                        start: unit.start,
                        after_previous: after_previous(unit.start),
                        data: data(unit.start),
                        stamp: stamp.take().map_or(after, Stamp::At),
                    }));
                    *lasts = unit.lasts;
                    *told = unit.channels.map(Told::Channels).or(*told);
                });
            }
            Kind::Whole { subtitle } => {
                if start.is_some() {
                    found(Found::Unit(UnitStart {
                        start: at,
                        after_previous: header,
                        data: data(at),
                        stamp: stamp.take().map_or(Stamp::Between, Stamp::At),
                    }));
                    if *subtitle && has_display_definition(payload) {
                        self.told = Some(Told::DisplayDefinition);
                    }
                }
            }
        }
        self.place += bytes.len() as u64;
        passing
    }
}

/// Looks for a display definition segment (EN 300 743 §7.2.1), which comes first in its unit.
fn has_display_definition(payload: &[u8]) -> bool {
    matches!(payload, [_, _, 0x0F, 0x14, ..])
}

/// Access units of video.
#[derive(Clone, Debug)]
struct VideoUnits {
    codes: StartCodes,
    sequence: SequenceParser,
    /// A unit is under way.
    begun: bool,
    /// It has its picture: what comes next may begin another.
    coded: bool,
    /// What units say of their way into EBn is wanted.
    scheduled: bool,
    /// SEI that may be a buffering period's, until the picture brings its parameter set into force.
    message: Vec<u8>,
}

/// What is found in a video stream.
#[derive(Copy, Clone, Debug)]
enum VideoEvent {
    /// A unit begins at this place.
    Begins(u64),
    /// vbv_delay, and the place of the value of the start code of its picture.
    VbvDelay(u16, u64),
    /// A buffering period begins.
    Period(InitialDelay),
}

impl VideoUnits {
    fn reset(&mut self) {
        self.codes.reset();
        self.sequence.reset();
        (self.begun, self.coded) = (false, false);
        self.message.clear();
    }

    /// Hands over where units begin and what they say; answers with the format when it is another
    /// one.
    fn push(
        &mut self,
        payload: &[u8],
        at: u64,
        tell: &mut impl FnMut(VideoEvent),
    ) -> Option<VideoFormat> {
        let codec = self.sequence.codec();
        let before = self.sequence.format().copied();
        let mut pictures = false;
        let Self {
            codes,
            sequence,
            begun: under_way,
            coded,
            scheduled,
            message,
        } = self;
        let scheduled = *scheduled;
        codes.push(
            payload,
            at,
            |value| match wanted(codec, value) {
                _ if scheduled && is_message(codec, value) => LONGEST_MESSAGE,
                wanted => wanted,
            },
            |unit| {
                let picture = sequence.push(unit);
                pictures |= picture;
                if (!*under_way || *coded) && begins(codec, unit, picture) {
                    tell(VideoEvent::Begins(unit.position));
                    (*under_way, *coded) = (true, false);
                    message.clear();
                }
                if scheduled && *under_way {
                    let format = sequence.format();
                    if let Some(event) = delivery(codec, unit, picture, format, message) {
                        tell(event);
                    }
                }
                *coded |= picture && *under_way;
            },
        );
        if !pictures {
            return None;
        }
        let format = self.sequence.format().copied();
        format.filter(|_| format != before)
    }
}

/// What a unit says of the way into EBn. An SEI message waits for its picture: then the parameter
/// set by which it is read is in force.
fn delivery(
    codec: Coding,
    unit: StartCode<'_>,
    picture: bool,
    format: Option<&VideoFormat>,
    message: &mut Vec<u8>,
) -> Option<VideoEvent> {
    if opens_period(codec, unit.head) {
        message.clear();
        message.extend_from_slice(unit.head);
        return None;
    }
    match (codec, unit.head) {
        (Coding::Mpeg2Video, [0, _, b, c, d, ..]) => {
            let delay = u16::from(b & 7) << 13 | u16::from(*c) << 5 | u16::from(d >> 3);
            Some(VideoEvent::VbvDelay(delay, unit.value))
        }
        _ if picture && !message.is_empty() => {
            let schedule = format.and_then(|f| f.schedule);
            let initial = buffering_period(codec, message, &schedule?);
            message.clear();
            initial.map(VideoEvent::Period)
        }
        _ => None,
    }
}

/// Whether a unit that comes behind a picture, or first of all, begins an access unit (13818-2
/// §6.2.2, H.264 §7.4.1.2.3, H.265 §7.4.2.4.4).
fn begins(codec: Coding, unit: StartCode<'_>, picture: bool) -> bool {
    /// first_mb_in_slice 0 and first_slice_segment_in_pic_flag.
    const FIRST: u8 = 0x80;
    match (codec, unit.head) {
        (Coding::Mpeg2Video, [value, ..]) => matches!(value, 0x00 | 0xB3 | 0xB8),
        (Coding::H264, [_, first, ..]) if picture => first & FIRST != 0,
        (Coding::H264, [value, ..]) => matches!(value & 0x1F, 6..=9 | 14..=18),
        (Coding::Hevc, [_, _, first, ..]) if picture => first & FIRST != 0,
        (Coding::Hevc, [value, second, ..]) => {
            // Those of other layers belong to the unit under way.
            let base = value & 1 == 0 && second >> 3 == 0;
            base && matches!(value >> 1 & 0x3F, 32..=35 | 39 | 41..=44 | 48..=55)
        }
        _ => false,
    }
}

/// A frame of sound.
#[derive(Copy, Clone, Debug)]
struct AudioUnit {
    start: u64,
    lasts: Option<Fine>,
    channels: Option<u8>,
}

/// Access units of sound, over the edges of packets.
#[derive(Clone, Debug)]
struct AudioUnits {
    codec: Coding,
    /// The bytes of a header, as far as they came.
    head: Vec<u8>,
    /// The place of the first of them.
    at: u64,
    /// Bytes until the next header.
    skip: u64,
    /// The header stands where the frame before ends.
    synchronised: bool,
}

impl AudioUnits {
    /// Bytes of the longest header.
    const HEADER: usize = 8;

    const fn new(codec: Coding) -> Self {
        Self {
            codec,
            head: Vec::new(),
            at: 0,
            skip: 0,
            synchronised: false,
        }
    }

    fn reset(&mut self) {
        self.head.clear();
        self.skip = 0;
        self.synchronised = false;
    }

    /// Hands over the frames that begin; `aligned` is where the payload of a PES packet begins: a
    /// header there is believed at once, elsewhere when another follows it.
    fn push(&mut self, payload: &[u8], at: u64, aligned: u64, mut begun: impl FnMut(AudioUnit)) {
        let mut rest = payload;
        loop {
            let skipped = usize::try_from(self.skip)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            self.skip -= skipped as u64;
            rest = rest.get(skipped..).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            if self.head.is_empty() {
                self.at = at + (payload.len() - rest.len()) as u64;
            }
            let taken = (Self::HEADER - self.head.len()).min(rest.len());
            self.head
                .extend_from_slice(rest.get(..taken).unwrap_or_default());
            rest = rest.get(taken..).unwrap_or_default();
            if self.head.len() < Self::HEADER {
                return;
            }
            self.header(aligned, &mut begun);
        }
    }

    /// The head is whole.
    fn header(&mut self, aligned: u64, begun: &mut impl FnMut(AudioUnit)) {
        let Some((len, unit)) = self.frame() else {
            // The next byte may begin one.
            self.synchronised = false;
            self.head.remove(0);
            self.at += 1;
            return;
        };
        if let Some(unit) = unit.filter(|_| self.synchronised || self.at == aligned) {
            begun(unit);
        }
        self.synchronised = true;
        match len.checked_sub(Self::HEADER as u64) {
            Some(rest) => {
                self.skip = rest;
                self.head.clear();
            }
            None => {
                self.head.drain(..len as usize);
                self.at += len;
            }
        }
    }

    /// The length of the frame in front and the unit that it begins; a dependent substream is part
    /// of the unit before.
    fn frame(&self) -> Option<(u64, Option<AudioUnit>)> {
        let head = &self.head;
        if self.codec == Coding::AacLatm {
            // LOAS (ISO/IEC 14496-3 §1.7.2): 11 bits of synchronisation, 13 of length.
            let [0x56, b, c, ..] = **head else {
                return None;
            };
            let len = u64::from(b & 0x1F) << 8 | u64::from(c);
            let unit = AudioUnit {
                start: self.at,
                lasts: None,
                channels: None,
            };
            return (b & 0xE0 == 0xE0).then_some((len + 3, Some(unit)));
        }
        let frame = AudioFrame::at(self.codec, head).filter(|f| f.len > 0)?;
        let (lasts, _) = Amount(i128::from(frame.samples) * i128::from(Fine::SECOND.0))
            .time_at(u64::from(frame.rate));
        let unit = AudioUnit {
            start: self.at,
            lasts: Some(lasts),
            channels: match (self.codec, &head[..]) {
                (Coding::AacAdts, [_, _, c, d, ..]) => Some(match (c & 1) << 2 | d >> 6 {
                    7 => 8,
                    channels => channels,
                }),
                _ => None,
            },
        };
        let dependent = AudioFrame::is_dependent(self.codec, head);
        Some((frame.len as u64, (!dependent).then_some(unit)))
    }
}
