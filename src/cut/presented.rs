//! How much is presented: the sum over the pieces in which stamps follow one another.

use crate::ts::{Packet, PesHeader, Pts};
use crate::units::Ticks27M;

/// Follows the stamps of the picture (of the sound, where there is no picture).
///
/// Where they go back, or more than a second on, a new piece begins: PTS come every 0.7 s at least
/// (ISO/IEC 13818-1 §2.7.4). Where the clock jumped or packets are missing, so does a smaller
/// leap. What lies between two pieces is not presented.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    piece: Option<Piece>,
    pieces: u64,
    /// Of the pieces that are over.
    before: Ticks27M,
    broken: bool,
}

#[derive(Clone, Debug)]
struct Piece {
    first: Pts,
    /// The last instant of decoding, and how far that is behind `first`.
    decoded: (Pts, Ticks27M),
    /// The earliest and the latest that is presented, after `first`.
    from: Ticks27M,
    to: Ticks27M,
    /// The PTS at `to`.
    last: Pts,
    /// The shortest time from one to the next.
    step: Ticks27M,
}

impl Piece {
    fn length(&self) -> Ticks27M {
        self.to + self.shown() - self.from
    }

    /// How long the last is presented.
    fn shown(&self) -> Ticks27M {
        match self.step == Presented::LONGEST_STEP {
            true => Ticks27M::ZERO,
            false => self.step,
        }
    }
}

impl Presented {
    const LONGEST_STEP: Ticks27M = Ticks27M::SECOND;

    /// The clock jumped, or packets are missing: what comes next need not follow.
    pub fn interrupt(&mut self) {
        self.broken = true;
    }

    /// Takes the next packet of the PID.
    pub fn push(&mut self, packet: &Packet) {
        if !packet.payload_unit_start() {
            return;
        }
        let header = PesHeader::new(packet.payload());
        let stamps = header.and_then(|h| Some((h.pts()?, h.decode_time()?.to_pts())));
        let Some((pts, dts)) = stamps else {
            return;
        };
        let broken = std::mem::take(&mut self.broken);
        if let Some(piece) = &mut self.piece {
            let on = dts - piece.decoded.0;
            let leaps = on.is_negative()
                || on > Self::LONGEST_STEP
                || broken && on > piece.step + piece.step;
            if !leaps {
                piece.decoded = (dts, piece.decoded.1 + on);
                let at = piece.decoded.1 + (pts - dts);
                piece.from = piece.from.min(at);
                if at > piece.to {
                    (piece.to, piece.last) = (at, pts);
                }
                if on > Ticks27M::ZERO {
                    piece.step = piece.step.min(on);
                }
                return;
            }
            self.before += piece.length();
        }
        self.pieces += 1;
        self.piece = Some(Piece {
            first: pts,
            decoded: (dts, dts - pts),
            from: Ticks27M::ZERO,
            to: Ticks27M::ZERO,
            last: pts,
            step: Self::LONGEST_STEP,
        });
    }

    /// The pieces so far.
    pub fn pieces(&self) -> u64 {
        self.pieces
    }

    /// The latest PTS of the piece.
    pub fn last(&self) -> Option<Pts> {
        self.piece.as_ref().map(|piece| piece.last)
    }

    /// How much is presented from `from` on, the first instant, to `end`, where the last ends:
    /// of an open out-point the last pictures are missing, and their time is not.
    pub fn length(&self, from: Pts, end: Pts) -> Ticks27M {
        let Some(piece) = &self.piece else {
            return Ticks27M::ZERO;
        };
        let mut length = self.before + piece.length();
        let rest = end - (piece.last + piece.shown());
        if rest.abs() <= Self::LONGEST_STEP {
            length += rest;
        }
        if self.pieces == 1 {
            let ahead = (piece.first + piece.from) - from;
            if ahead.abs() <= Self::LONGEST_STEP {
                length += ahead;
            }
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::{ContinuityCounter, Pid};

    /// A picture's PES packet with this PTS, in ticks of 90 kHz.
    fn picture(pts: u64) -> Packet {
        let mut pes = [0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1];
        PesHeader::set_pts(&mut pes, Pts::wrapping(pts));
        let mut packet = Packet::new(Pid::from_field(0x100), ContinuityCounter::default());
        packet.set_payload_unit_start(true);
        packet.fill_payload(&pes);
        packet
    }

    fn presented(stamps: impl IntoIterator<Item = u64>) -> Presented {
        let mut presented = Presented::default();
        stamps
            .into_iter()
            .for_each(|at| presented.push(&picture(at)));
        presented
    }

    fn millis(presented: &Presented, from: u64, end: u64) -> i64 {
        let length = presented.length(Pts::wrapping(from), Pts::wrapping(end));
        length.as_millis()
    }

    #[test]
    fn a_day_and_more_is_one_piece_over_the_wrap() {
        // 30 hours at 2 Hz from an hour before the wrap of 26 h 30 min.
        let start = (1u64 << 33) - 3600 * 90_000;
        let count = 30 * 3600 * 2;
        let whole = presented((0..count).map(|n| start + n * 45_000));
        assert_eq!(whole.pieces(), 1);
        let end = start + count * 45_000;
        assert_eq!(millis(&whole, start % (1 << 33), end), 30 * 3_600_000);
    }

    #[test]
    fn what_lies_between_pieces_does_not_count() {
        // Ten pictures of 40 ms, a leap of an hour on, ten more, one of an hour back, ten more.
        let ten = |start: u64| (0..10).map(move |n| start + n * 3600);
        let hour = 3600 * 90_000;
        let stamps = ten(hour).chain(ten(2 * hour)).chain(ten(0));
        let pieces = presented(stamps);
        assert_eq!(pieces.pieces(), 3);
        assert_eq!(millis(&pieces, hour, 36_000), 1200);
    }

    #[test]
    fn a_short_hole_counts_where_it_is_known_to_be_one() {
        let mut short = presented((0..10).map(|n| n * 3600));
        short.interrupt();
        (0..10).for_each(|n| short.push(&picture(36_000 + 45_000 + n * 3600)));
        assert_eq!(short.pieces(), 2);
        assert_eq!(millis(&short, 0, 117_000), 800);
        // An announced jump that is none.
        let mut whole = presented((0..10).map(|n| n * 3600));
        whole.interrupt();
        (10..20).for_each(|n| whole.push(&picture(n * 3600)));
        assert_eq!((whole.pieces(), millis(&whole, 0, 72_000)), (1, 800));
    }
}
