//! What stands behind a transport buffer: Bn of sound and data, MBn and EBn of video.
//!
//! A place in the stream is its number among the bytes that pass TBn, PES headers included: they
//! leave with the access unit behind them.

use std::collections::VecDeque;

use super::model::{Main, Transfer};
use super::quantity::{Amount, Fine};
use super::scheduled::ScheduledBuffers;

/// Bytes that leave the transport buffer, evenly from `begin` to `end`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Piece {
    pub(super) begin: Fine,
    pub(super) end: Fine,
    pub(super) amount: PieceAmount,
    /// Those of them, the first, that are of a PES header.
    pub(super) header: PieceAmount,
    /// The place behind the last of them.
    pub(super) after: u64,
}

/// An [`Amount`] of a packet's bytes at most, 4e13: pieces wait in thousands and are copied.
#[derive(Copy, Clone, Debug)]
pub(super) struct PieceAmount(i64);

impl PieceAmount {
    pub(super) const fn bytes(n: u8) -> Self {
        Self(n as i64 * Amount::BYTE.0 as i64)
    }
}

impl From<PieceAmount> for Amount {
    fn from(piece: PieceAmount) -> Self {
        Self(piece.0.into())
    }
}

/// Where a unit ends.
#[derive(Copy, Clone, Debug)]
pub(super) struct End {
    pub(super) place: u64,
    /// When PES headers do not count.
    pub(super) data: u64,
}

/// What stood in a buffer when an access unit was taken out of it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Removal {
    /// In Bn or EBn just before.
    pub(super) before: Amount,
    /// Just after.
    pub(super) left: Amount,
    /// How much of the unit had not come.
    pub(super) missing: Amount,
}

/// Bn: what comes stays until it is decoded.
#[derive(Clone, Debug)]
pub(super) struct MainBuffer {
    pieces: VecDeque<Piece>,
    /// What has come by then is in it, though pieces of it may wait.
    until: Fine,
    reached: u64,
    removed: u64,
}

impl MainBuffer {
    const fn new() -> Self {
        Self {
            pieces: VecDeque::new(),
            until: Fine::EARLIEST,
            reached: 0,
            removed: 0,
        }
    }

    /// Empties it; the next byte is at `place`.
    pub(super) fn reset(&mut self, place: u64) {
        self.pieces.clear();
        self.until = Fine::EARLIEST;
        (self.reached, self.removed) = (place, place);
    }

    /// Pieces that may wait until a unit is taken out: before that nobody asks for the level.
    const FEW: usize = 64;

    /// Takes in what has come whole by `until`, at the latest when it is asked for.
    #[inline]
    pub(super) fn advance(&mut self, until: Fine) {
        self.until = self.until.max(until);
        if self.pieces.len() >= Self::FEW {
            self.take_in();
        }
    }

    fn take_in(&mut self) {
        while let Some(piece) = self.pieces.front().filter(|p| p.end <= self.until) {
            self.reached = piece.after;
            self.pieces.pop_front();
        }
    }

    /// What stands before `end` is taken out at once.
    pub(super) fn discard(&mut self, end: u64) {
        self.removed = self.removed.max(end);
    }

    /// At `time` the unit that ends at `end` is taken out.
    pub(super) fn remove(&mut self, time: Fine, end: u64) -> Removal {
        self.until = self.until.max(time);
        self.take_in();
        let mut reached = Amount::bytes(self.reached);
        if let Some(piece) = self.pieces.front() {
            reached += part(piece, time);
        }
        let removed = Amount::bytes(self.removed.max(end));
        let removal = Removal {
            before: (reached - Amount::bytes(self.removed)).max(Amount::ZERO),
            left: (reached - removed).max(Amount::ZERO),
            missing: (Amount::bytes(end) - reached).max(Amount::ZERO),
        };
        self.removed = self.removed.max(end);
        removal
    }
}

/// How much of a piece has come by `time`.
fn part(piece: &Piece, time: Fine) -> Amount {
    let (gone, all) = (time - piece.begin, piece.end - piece.begin);
    if gone.0 <= 0 {
        return Amount::ZERO;
    }
    if gone >= all {
        return piece.amount.into();
    }
    Amount(Amount::from(piece.amount).0 * i128::from(gone.0) / i128::from(all.0.max(1)))
}

/// MBn and EBn by the leak method: what is in MBn goes to EBn at Rbx while that is not full.
#[derive(Clone, Debug)]
pub(super) struct VideoBuffers {
    pieces: VecDeque<Piece>,
    /// Bits a second from MBn to EBn.
    rate: u64,
    /// Of EBn.
    size: Amount,
    /// Up to when it has been followed.
    time: Option<Fine>,
    /// What is in MBn.
    held: Amount,
    /// Places: what has gone on to EBn, been decoded.
    passed: Amount,
    removed: Amount,
    /// When MBn was last empty.
    empty: Fine,
    /// The highest level of MBn since it was last asked for.
    highest: Amount,
}

impl VideoBuffers {
    /// How long MBn may not be empty (TR 101 290 V1.4.1 check 3.9).
    const LONGEST: Fine = Fine::SECOND;

    pub(super) fn new(rate: u64, size: Amount) -> Self {
        Self {
            pieces: VecDeque::new(),
            rate,
            size,
            time: None,
            held: Amount::ZERO,
            passed: Amount::ZERO,
            removed: Amount::ZERO,
            empty: Fine::default(),
            highest: Amount::ZERO,
        }
    }

    /// Empties both; the next byte is at `place`.
    pub(super) fn reset(&mut self, place: u64) {
        self.pieces.clear();
        self.time = None;
        let place = Amount::bytes(place);
        (self.passed, self.removed) = (place, place);
        (self.held, self.highest) = (Amount::ZERO, Amount::ZERO);
    }

    /// Follows what has come whole by `until`.
    pub(super) fn advance(&mut self, until: Fine) {
        while let Some(piece) = self.pieces.front().copied().filter(|p| p.end <= until) {
            self.pieces.pop_front();
            self.enter(&piece, piece.amount.into(), piece.end);
        }
    }

    /// What stands before `end` is taken out of EBn as soon as it comes there.
    pub(super) fn discard(&mut self, end: u64) {
        self.removed = self.removed.max(Amount::bytes(end));
    }

    /// At `time` the unit that ends at `end` is taken out of EBn.
    pub(super) fn remove(&mut self, time: Fine, end: u64) -> Removal {
        self.advance(time);
        if let Some(piece) = self.pieces.front().copied().filter(|p| p.begin < time) {
            // Only what has come of it by then.
            let come = part(&piece, time);
            self.enter(&piece, come, time);
            if let Some(front) = self.pieces.front_mut() {
                front.begin = time;
                front.amount = PieceAmount(front.amount.0 - come.0 as i64);
            }
        }
        if let Some(now) = self.time
            && now < time
        {
            self.drain(time);
        }
        let end = Amount::bytes(end);
        let before = (self.passed - self.removed).max(Amount::ZERO);
        let missing = (end - self.passed).max(Amount::ZERO);
        self.removed = self.removed.max(end);
        Removal {
            before,
            left: (self.passed - self.removed).max(Amount::ZERO),
            missing,
        }
    }

    /// The highest level of MBn since this was last asked.
    pub(super) fn take_highest(&mut self) -> Amount {
        std::mem::replace(&mut self.highest, Amount::ZERO)
    }

    /// True once in each second in which MBn has not been empty.
    pub(super) fn is_stuck(&mut self) -> bool {
        let Some(now) = self.time else {
            return false;
        };
        let stuck = now - self.empty > Self::LONGEST;
        if stuck {
            self.empty = now;
        }
        stuck
    }

    /// `amount` comes evenly from the beginning of a piece to `until`.
    fn enter(&mut self, piece: &Piece, amount: Amount, until: Fine) {
        match self.time {
            None => {
                self.time = Some(piece.begin);
                self.empty = piece.begin;
            }
            Some(now) if now < piece.begin => self.drain(piece.begin),
            Some(_) => {}
        }
        self.flow(amount, until);
    }

    /// Nothing comes until `until`.
    fn drain(&mut self, until: Fine) {
        if self.held == Amount::ZERO {
            // It is empty, as before most packets.
            self.empty = until;
            self.time = Some(until);
        } else {
            self.flow(Amount::ZERO, until);
        }
    }

    /// `amount` comes evenly until `until`. While the inflow is even and what is decoded stands, what
    /// goes on is the least of three lines, and their least at the end is exact: what Rbx takes, what
    /// has come, what EBn has room for.
    fn flow(&mut self, amount: Amount, until: Fine) {
        let now = self.time.unwrap_or(until);
        let span = until.max(now) - now;
        let leaked = Amount::flow(self.rate, span);
        let room = (self.removed + self.size - self.passed).max(Amount::ZERO);
        let held = self.held;
        let come = held + amount;
        let gone = leaked.min(come).min(room);
        self.passed += gone;
        self.held = come - gone;
        if self.held <= Amount::BYTE {
            self.empty = until;
        } else if leaked >= come && amount > Amount::ZERO {
            // Rbx would have emptied it; has it, before EBn was full?
            let gain = leaked - amount;
            let meeting = amount.0 * held.0 / gain.0.max(1);
            if held.0 + meeting <= room.0 {
                self.empty = self.empty.max(now);
            }
        }
        self.highest = self.highest.max(self.held);
        self.time = Some(until.max(now));
    }
}

/// What stands behind TBn of a stream.
#[derive(Clone, Debug)]
pub(super) enum Behind {
    One(MainBuffer),
    Video(VideoBuffers),
    Scheduled(Box<ScheduledBuffers>),
    /// Only TBn is followed.
    Nothing,
}

impl Behind {
    pub(super) fn new(main: &Main) -> Self {
        match main {
            Main::One(_) => Self::One(MainBuffer::new()),
            Main::Video(v) if v.transfer == Transfer::Leak => {
                Self::Video(VideoBuffers::new(v.leak, v.elementary))
            }
            Main::Video(v) => match ScheduledBuffers::new(&v.transfer) {
                Some(buffers) => Self::Scheduled(Box::new(buffers)),
                None => Self::Nothing,
            },
        }
    }

    /// Empties them; the next byte is at `place`, and at `data` when PES headers do not count.
    pub(super) fn reset(&mut self, place: u64, data: u64) {
        match self {
            Self::One(buffer) => buffer.reset(place),
            Self::Video(buffers) => buffers.reset(place),
            Self::Scheduled(buffers) => buffers.reset(data),
            Self::Nothing => {}
        }
    }

    pub(super) fn push(&mut self, piece: Piece) {
        match self {
            Self::One(buffer) => buffer.pieces.push_back(piece),
            Self::Video(buffers) => buffers.pieces.push_back(piece),
            Self::Scheduled(buffers) => buffers.push(&piece),
            Self::Nothing => {}
        }
    }

    /// Pieces that have come and are not followed.
    pub(super) fn waiting(&self) -> usize {
        match self {
            Self::One(buffer) => buffer.pieces.len(),
            Self::Video(buffers) => buffers.pieces.len(),
            Self::Scheduled(buffers) => buffers.waiting(),
            Self::Nothing => 0,
        }
    }

    pub(super) fn advance(&mut self, until: Fine) {
        match self {
            Self::One(buffer) => buffer.advance(until),
            Self::Video(buffers) => buffers.advance(until),
            Self::Scheduled(buffers) => buffers.advance(until),
            Self::Nothing => {}
        }
    }

    pub(super) fn discard(&mut self, end: End) {
        match self {
            Self::One(buffer) => buffer.discard(end.place),
            Self::Video(buffers) => buffers.discard(end.place),
            Self::Scheduled(buffers) => buffers.discard(end.data),
            Self::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_wait_are_in_the_buffer_when_a_unit_is_taken_out() {
        // A piece of 184 bytes each 10 units of time; the unit is taken out half way through the
        // 101st: 18 492 bytes have come, 9200 of them are the unit's.
        let mut buffer = MainBuffer::new();
        buffer.reset(0);
        for n in 0..200 {
            buffer.pieces.push_back(Piece {
                begin: Fine(n * 10),
                end: Fine(n * 10 + 10),
                amount: PieceAmount::bytes(184),
                header: PieceAmount::bytes(0),
                after: (n as u64 + 1) * 184,
            });
            buffer.advance(Fine(n * 10 + 5).min(Fine(1000)));
        }
        let removal = buffer.remove(Fine(1005), 9200);
        assert_eq!(removal.before, Amount::bytes(18_492));
        assert_eq!(removal.left, Amount::bytes(9292));
        assert_eq!(removal.missing, Amount::ZERO);
        // One that comes whole only with the last piece lacks half of it.
        let removal = buffer.remove(Fine(1995), 200 * 184);
        assert_eq!(removal.missing, Amount::bytes(92));
    }
}
