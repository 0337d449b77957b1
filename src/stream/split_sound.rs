//! Sound at an edge: PES packets split at an access unit.
//!
//! A PES packet of sound holds up to some tenths of a second. Cut at PES packets, the sound would
//! begin or end that much beside the picture; so the packet that an edge falls into is rewritten
//! on either side, with the frames of that side and the stamp of its first.

use super::access_unit::audio_frames;
use super::codec::Codec;
use crate::ts::{PesHeader, Pts};
use crate::units::Ticks27M;

/// What the PES packets around an edge become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitSound {
    /// In place of the last packet before the edge, when what ends there is not all of it.
    pub before: Option<Vec<u8>>,
    /// In front of the first packet behind the edge: the last packet's frames from the edge on.
    pub after: Option<Vec<u8>>,
    /// In place of the first packet behind the edge, when it starts with the rest of a frame
    /// from before.
    pub next: Option<Vec<u8>>,
}

/// Splits at `edge` the whole PES packet `last`, whose PTS lies before it, and `next`, the whole
/// one that follows, whose PTS does not. A frame belongs to the side its instant is on; one that
/// begins in `last` and ends in `next` goes whole. A packet in which no frame of `codec` is found
/// stays as it is.
pub fn split(codec: Codec, last: &[u8], next: Option<&[u8]>, edge: Pts) -> SplitSound {
    let mut seam = SplitSound::default();
    let Some((start, payload)) = parts(last) else {
        return seam;
    };
    let next_payload = next.and_then(parts).map_or(&[][..], |(_, payload)| payload);
    let sound = [payload, next_payload].concat();
    // Where the far side begins: in `last` a frame of the far side, in `next` the end of the
    // frame that reaches into it.
    let mut boundary = None;
    let mut stamp = edge;
    for placed in audio_frames(codec, &sound) {
        let at = start + (placed.after + HALF_STAMP);
        if placed.offset >= payload.len() {
            break;
        }
        if !(at - edge).is_negative() {
            (boundary, stamp) = (Some(placed.offset), at);
            break;
        }
        boundary = Some((placed.offset + placed.frame.len).max(payload.len()));
    }
    let Some((near, far)) = boundary.and_then(|at| sound.split_at_checked(at)) else {
        return seam;
    };
    if near.len() < payload.len() {
        seam.after = rewrite(last, Some(stamp), &far[..payload.len() - near.len()]);
    } else if near.len() > payload.len() {
        seam.next = next.and_then(|next| rewrite(next, None, far));
    }
    if near.len() != payload.len() {
        seam.before = rewrite(last, None, near);
    }
    seam
}

/// Half a tick of 90 kHz: stamps are rounded to the nearest.
const HALF_STAMP: Ticks27M = Ticks27M::new(150);

/// PTS and payload of a PES packet that has both.
fn parts(pes: &[u8]) -> Option<(Pts, &[u8])> {
    let header = PesHeader::new(pes)?;
    Some((header.pts()?, pes.get(header.header_len()..)?))
}

/// `pes` with another payload and, if one is given, another PTS; `None` when nothing would be in
/// it, or more than a PES packet of known length holds.
fn rewrite(pes: &[u8], pts: Option<Pts>, payload: &[u8]) -> Option<Vec<u8>> {
    let header = pes.get(..PesHeader::new(pes)?.header_len())?;
    let length = u16::try_from(header.len() - 6 + payload.len()).ok()?;
    if payload.is_empty() {
        return None;
    }
    let mut bytes = [header, payload].concat();
    bytes.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
    if let Some(pts) = pts {
        PesHeader::set_pts(&mut bytes, pts);
        PesHeader::set_dts(&mut bytes, pts.to_dts());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PES packet of MPEG audio with this PTS and payload.
    fn pes(pts: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 1, 0xC0, 0, 0, 0x84, 0x80, 5, 0x21, 0, 1, 0, 1];
        bytes.extend_from_slice(payload);
        let length = (bytes.len() - 6) as u16;
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        assert!(PesHeader::set_pts(&mut bytes, Pts::wrapping(pts)));
        bytes
    }

    /// Frames of layer II, 576 bytes and 2160 ticks of 90 kHz each, told apart by their bytes.
    fn frames(ids: std::ops::Range<u8>) -> Vec<u8> {
        ids.flat_map(|id| {
            let mut frame = vec![id; 576];
            frame[..4].copy_from_slice(&[0xFF, 0xFD, 0xA4, 0x00]);
            frame
        })
        .collect()
    }

    #[test]
    fn a_packet_is_split_at_the_first_frame_behind_the_edge() {
        let last = pes(90_000, &frames(0..4));
        let next = pes(90_000 + 4 * 2160, &frames(4..6));
        // Between frames 1 and 2 of the packet: frame 2 (94 320) is the first behind.
        let seam = split(Codec::MpegAudio, &last, Some(&next), Pts::wrapping(93_000));
        assert_eq!(seam.before, Some(pes(90_000, &frames(0..2))));
        assert_eq!(seam.after, Some(pes(94_320, &frames(2..4))));
        assert_eq!(seam.next, None);
        // A frame on the edge belongs behind it.
        let seam = split(Codec::MpegAudio, &last, None, Pts::wrapping(92_160));
        assert_eq!(seam.after, Some(pes(92_160, &frames(1..4))));
    }

    #[test]
    fn packets_that_meet_at_the_edge_stay_whole() {
        let last = pes(90_000, &frames(0..4));
        let next = pes(90_000 + 4 * 2160, &frames(4..6));
        let edge = Pts::wrapping(90_000 + 4 * 2160);
        assert_eq!(
            split(Codec::MpegAudio, &last, Some(&next), edge),
            SplitSound::default()
        );
        assert_eq!(
            split(Codec::MpegAudio, &last, None, edge),
            SplitSound::default()
        );
    }

    #[test]
    fn a_frame_over_two_packets_goes_whole() {
        let all = frames(0..6);
        let last = pes(90_000, &all[..2000]); // three frames and 272 bytes of frame 3
        let next = pes(90_000 + 4 * 2160, &all[2000..]);
        // Frame 3 (96 480) lies before the edge: its rest comes from the next packet.
        let seam = split(Codec::MpegAudio, &last, Some(&next), Pts::wrapping(97_000));
        assert_eq!(seam.before, Some(pes(90_000, &frames(0..4))));
        assert_eq!(seam.after, None);
        assert_eq!(seam.next, Some(pes(90_000 + 4 * 2160, &frames(4..6))));
        // Behind it: the next packet goes on with the rest as it stands.
        let seam = split(Codec::MpegAudio, &last, Some(&next), Pts::wrapping(95_000));
        assert_eq!(seam.after, Some(pes(96_480, &all[1728..2000])));
        assert_eq!(
            (seam.before, seam.next),
            (Some(pes(90_000, &frames(0..3))), None)
        );
    }

    #[test]
    fn a_split_over_the_wrap_counts_on() {
        let top = 1u64 << 33;
        let last = pes(top - 3000, &frames(0..4));
        let seam = split(Codec::MpegAudio, &last, None, Pts::wrapping(0));
        // Frames at -3000, -840, 1320: the third is the first behind zero.
        assert_eq!(seam.after, Some(pes(1320, &frames(2..4))));
    }

    #[test]
    fn what_is_not_understood_stays() {
        for (codec, last) in [
            (Codec::AacLatm, pes(0, &frames(0..3))),
            (Codec::MpegAudio, pes(0, &[0x11; 900])),
            (Codec::MpegAudio, vec![0, 0, 1]),
            (Codec::MpegAudio, pes(0, &[])),
        ] {
            assert_eq!(
                split(codec, &last, None, Pts::wrapping(2000)),
                SplitSound::default()
            );
        }
    }
}
