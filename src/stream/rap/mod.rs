//! Random-access points: where a decoder can start.
//!
//! A [`RapDetector`] is fed the packets of one video PID and looks at the first bytes of each
//! PES packet: a stream is random-access where its own headers say so. random_access_indicator
//! (ISO/IEC 13818-1 §2.4.3.5) helps where they leave it open, and is all there is when the stream
//! is scrambled; many encoders never set it.
//!
//! A packet that does not start a PES packet costs one comparison once the answer is known, and
//! for most pictures it is known in the packet that starts them.

mod h264;
mod hevc;
mod mpeg2;

use crate::stream::codec::Codec;
pub use crate::stream::video::h264::References;
use crate::stream::video::{Bits, h264::references};
use crate::ts::{Dts, Packet, PesHeader, Pts, Scrambling};

/// How free of the past a random-access point is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum RapKind {
    /// Every picture from here on decodes: IDR, MPEG-2 closed_gop. Pictures presented before the
    /// point may follow it (HEVC RADL, MPEG-2 B pictures of a closed GOP) and decode too.
    Closed,
    /// Pictures that follow the point and are presented before it refer to the past and do not
    /// decode: H.264 recovery point or I picture, HEVC CRA and BLA, MPEG-2 without closed_gop.
    Open,
}

/// A place where a decoder can start.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RandomAccess {
    /// The position handed in with the packet in which the PES packet starts.
    pub position: u64,
    /// Closed or open.
    pub kind: RapKind,
    /// PTS of its PES packet; `None` when that has none or is scrambled.
    pub pts: Option<Pts>,
    /// DTS, where it is there beside PTS.
    pub dts: Option<Dts>,
}

impl RandomAccess {
    /// The decoding time: DTS, else PTS.
    pub fn decode_time(&self) -> Option<Dts> {
        self.dts.or_else(|| self.pts.map(Pts::to_dts))
    }
}

/// What the first bytes of an access unit say.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Look {
    /// The bytes end before the answer.
    More,
    /// Not a random-access point.
    No,
    /// A random-access point.
    Yes(RapKind),
}

/// Finds the random-access points of one PID.
///
/// ```
/// use headend::stream::{codec::Codec, rap::{RapDetector, RapKind}};
/// use headend::ts::{ContinuityCounter, Packet, Pid};
///
/// let mut video = Packet::new(Pid::new(0x100).unwrap(), ContinuityCounter::default());
/// video.set_payload_unit_start(true);
/// // PES header with PTS 1, then an H.264 IDR slice.
/// video.fill_payload(&[0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 3, 0, 0, 1, 0x65, 0x88]);
/// let mut detector = RapDetector::new(Codec::H264).unwrap();
/// let rap = detector.push(&video, 17).unwrap();
/// assert_eq!((rap.position, rap.kind), (17, RapKind::Closed));
/// ```
#[derive(Clone, Debug)]
pub struct RapDetector {
    codec: Codec,
    /// The start of the PES packet being looked at.
    bytes: Vec<u8>,
    position: u64,
    indicated: bool,
    looking: bool,
}

impl RapDetector {
    /// How many bytes of a PES packet are looked at: parameter sets and SEI messages (x264 writes
    /// its options, about 700 bytes; captions and HDR data a few hundred) come before the slice.
    pub const LOOK_AHEAD: usize = 8192;

    /// A detector for a PID with this codec; `None` when it is not one of the three video codecs.
    pub fn new(codec: Codec) -> Option<Self> {
        codec.is_video().then(|| Self {
            codec,
            bytes: Vec::new(),
            position: 0,
            indicated: false,
            looking: false,
        })
    }

    /// The codec it looks for.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Takes the next packet of the PID, which stands at `position` (a number of the caller's:
    /// given back, not looked at). Answers when the point is recognised, which may be some
    /// packets after the one at which it stands.
    #[inline]
    pub fn push(&mut self, packet: &Packet, position: u64) -> Option<RandomAccess> {
        if !packet.payload_unit_start() {
            return if self.looking {
                self.go_on(packet)
            } else {
                None
            };
        }
        self.bytes.clear();
        self.position = position;
        self.indicated = packet.random_access();
        self.looking = true;
        self.go_on(packet)
    }

    /// Forgets a PES packet begun: after a gap, its bytes are not one behind the other.
    pub fn reset(&mut self) {
        self.looking = false;
    }

    fn go_on(&mut self, packet: &Packet) -> Option<RandomAccess> {
        if packet.scrambling() != Scrambling::Clear {
            self.looking = false;
            return self.indicated.then_some(RandomAccess {
                position: self.position,
                kind: RapKind::Open,
                pts: None,
                dts: None,
            });
        }
        let room = Self::LOOK_AHEAD - self.bytes.len();
        let payload = packet.payload();
        let taken = payload.get(..room).unwrap_or(payload);
        self.bytes.extend_from_slice(taken);

        let kind = match self.look() {
            Look::More if self.bytes.len() < Self::LOOK_AHEAD => return None,
            Look::More if self.indicated => Some(RapKind::Open),
            Look::More | Look::No => None,
            Look::Yes(kind) => Some(kind),
        };
        self.looking = false;
        let header = PesHeader::new(&self.bytes)?;
        Some(RandomAccess {
            position: self.position,
            kind: kind?,
            pts: header.pts(),
            dts: header.dts(),
        })
    }

    /// True while the start of a PES packet has not been looked at to its first slice.
    pub fn is_looking(&self) -> bool {
        self.looking
    }

    /// How a decoder keeps references, by the parameter set in the PES packet that was looked at
    /// last; `None` where there is none in it, or the codec is not H.264.
    pub fn references(&self) -> Option<References> {
        self.nal_units().find_map(|nal| match nal {
            [header, body @ ..] if header & 0x1F == h264::SPS => references(body),
            _ => None,
        })
    }

    /// The frame_num (ITU-T H.264 §7.4.3) of the picture looked at last, where others refer to it:
    /// both fields of a frame have the same.
    pub fn reference_number(&self, references: References) -> Option<u32> {
        let first = self.nal_units().find_map(|nal| match nal {
            [header, body @ ..] if matches!(header & 0x1F, h264::SLICE | h264::PARTITION_A) => {
                Some((header & 0x60, body))
            }
            _ => None,
        });
        let (_, body) = first.filter(|(importance, _)| *importance != 0)?;
        let mut bits = Bits::new(body);
        bits.pass_ue(3)?; // first_mb_in_slice, slice_type, pic_parameter_set_id
        bits.u(references.number_bits)
    }

    /// The NAL units of H.264 in what was looked at; none of another codec.
    fn nal_units(&self) -> impl Iterator<Item = &[u8]> {
        let header = PesHeader::new(&self.bytes).filter(|_| self.codec == Codec::H264);
        let unit = header.and_then(|h| self.bytes.get(h.header_len()..));
        start_codes(unit.unwrap_or_default()).map(|nal| {
            let end = nal.windows(3).position(|w| w == [0, 0, 1]);
            nal.get(..end.unwrap_or(nal.len())).unwrap_or(nal)
        })
    }

    fn look(&self) -> Look {
        let Some(header) = PesHeader::new(&self.bytes) else {
            // Nine bytes are a whole fixed part: more would not make it a PES packet.
            return if self.bytes.len() < 9 {
                Look::More
            } else {
                Look::No
            };
        };
        let Some(unit) = self.bytes.get(header.header_len()..) else {
            return Look::More;
        };
        match self.codec {
            Codec::H264 => h264::look(unit, self.indicated),
            Codec::Hevc => hevc::look(unit),
            Codec::Mpeg2Video => mpeg2::look(unit),
            _ => Look::No,
        }
    }
}

/// What follows each start code 00 00 01 in `bytes`, the code itself taken off.
fn start_codes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let at = rest.windows(3).position(|w| w == [0, 0, 1])?;
        rest = rest.get(at + 3..)?;
        Some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::{ContinuityCounter, Pid};

    /// A PES packet of stream 0xE0 with PTS 3003 and DTS 0 around `unit`, cut into TS packets.
    fn packets(unit: &[u8], indicated: bool) -> Vec<Packet> {
        let mut pes = vec![
            0, 0, 1, 0xE0, 0, 0, 0x84, 0xC0, 10, 0x31, 0, 1, 0x17, 0x77, 0x11, 0, 1, 0, 1,
        ];
        pes.extend_from_slice(unit);
        let mut rest = &pes[..];
        let mut out = Vec::new();
        while !rest.is_empty() {
            let mut p = Packet::new(Pid::from_field(0x100), ContinuityCounter::default());
            p.set_payload_unit_start(out.is_empty());
            if indicated && out.is_empty() {
                p.set_adaptation_field_control(true, true);
                p.as_bytes_mut()[4..6].copy_from_slice(&[1, 0x40]);
            }
            rest = &rest[p.fill_payload(rest)..];
            out.push(p);
        }
        out
    }

    fn found(codec: Codec, unit: &[u8], indicated: bool) -> Option<(RapKind, usize)> {
        let mut detector = RapDetector::new(codec).unwrap();
        for (n, p) in packets(unit, indicated).iter().enumerate() {
            if let Some(rap) = detector.push(p, 1000 + n as u64) {
                assert_eq!(rap.position, 1000);
                assert_eq!(rap.pts, Pts::from_ticks(3003));
                assert_eq!(rap.dts, Dts::from_ticks(0));
                return Some((rap.kind, n));
            }
        }
        None
    }

    /// AUD, SPS (not looked into), a long SEI of user data, then the slice given.
    fn h264_unit(slice: &[u8]) -> Vec<u8> {
        let mut unit = vec![0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x67, 0x64, 0, 0x1F];
        unit.extend([0, 0, 1, 6, 5, 0xFF, 0xFF, 190]);
        unit.extend(vec![0x55; 700]);
        unit.extend([0x80, 0, 0, 1]);
        unit.extend(slice);
        unit.extend([0x99; 400]);
        unit
    }

    #[test]
    fn the_slice_may_stand_packets_behind_the_start() {
        let unit = h264_unit(&[0x65, 0x88, 0x84]);
        let (kind, n) = found(Codec::H264, &unit, false).unwrap();
        assert_eq!(kind, RapKind::Closed);
        assert!(n >= 4, "seen in packet {n}");
    }

    #[test]
    fn an_indicator_makes_a_lone_i_picture_a_point() {
        // AUD, then a slice with first_mb 0 (1), slice_type 7 (0001000), pps 0 (1): 1 0001000 1.
        let unit = [0, 0, 1, 9, 0x10, 0, 0, 1, 0x41, 0x88, 0xFF, 0xFF, 0xFF];
        assert_eq!(found(Codec::H264, &unit, false), None);
        assert_eq!(
            found(Codec::H264, &unit, true),
            Some((RapKind::Open, 0)),
            "random_access_indicator with an I slice"
        );
    }

    #[test]
    fn a_scrambled_stream_has_its_indicator_only() {
        for indicated in [false, true] {
            let mut p = packets(&[0xAA; 100], indicated)[0];
            p.as_bytes_mut()[3] |= 0x80;
            let mut detector = RapDetector::new(Codec::Hevc).unwrap();
            let rap = detector.push(&p, 5);
            assert_eq!(
                rap.map(|r| (r.position, r.pts)),
                indicated.then_some((5, None))
            );
        }
    }

    #[test]
    fn a_start_that_never_shows_a_slice_is_given_up() {
        let unit = vec![0xFF; 3 * RapDetector::LOOK_AHEAD];
        assert_eq!(found(Codec::Mpeg2Video, &unit, false), None);
        let (kind, n) = found(Codec::Mpeg2Video, &unit, true).unwrap();
        assert_eq!((kind, n), (RapKind::Open, RapDetector::LOOK_AHEAD / 184));
    }

    #[test]
    fn noise_is_never_a_panic() {
        let mut x = 7u64;
        for codec in [Codec::H264, Codec::Hevc, Codec::Mpeg2Video] {
            let mut detector = RapDetector::new(codec).unwrap();
            for n in 0..20_000 {
                let mut bytes = [0u8; 188];
                for b in &mut bytes {
                    x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11);
                    *b = (x >> 60) as u8 & 0x09; // many zeros and ones: many start codes
                }
                bytes[1] = (x >> 33) as u8;
                bytes[3] = (x >> 41) as u8 & 0x30;
                let _ = detector.push(&Packet::from_bytes(bytes), n);
            }
        }
    }

    #[test]
    fn references_are_counted_by_frame_num() {
        // Baseline, level 3, id 0, frame_num of 4 bits, order counts of type 0 and 4 bits, four
        // reference frames (00101): 1 1 1 1 00101. An I slice: 1, 0001000, 1, frame_num 1001.
        let point = [
            0, 0, 1, 0x67, 0x42, 0, 0x1E, 0xF2, 0x80, 0, 0, 1, 0x61, 0x88, 0xCC, 0x80,
        ];
        let mut detector = RapDetector::new(Codec::H264).unwrap();
        packets(&point, false).iter().for_each(|p| {
            detector.push(p, 0);
        });
        let references = detector.references().unwrap();
        assert_eq!((references.frames, references.number_bits), (4, 4));
        assert_eq!(detector.reference_number(references), Some(9));
        // P slices (1, 00110, 1, 0101): one that others refer to, and one that none does.
        for (header, number) in [(0x41, Some(5)), (0x01, None)] {
            packets(&[0, 0, 1, header, 0x9A, 0xA0], false)
                .iter()
                .for_each(|p| {
                    detector.push(p, 0);
                });
            assert_eq!(detector.references(), None);
            assert_eq!(detector.reference_number(references), number);
        }
    }
}
