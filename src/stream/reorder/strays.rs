//! Datagrams that do not fit the sequence: the first of a sender that has started anew, or lost
//! on their way.

use super::Held;
use crate::stream::RtpHeader;

/// Strays that wait at most for others to confirm them.
const MOST: usize = 16;
/// Datagrams of the sequence that come meanwhile, at most.
const PATIENCE: u32 = 64;
/// Two strays whose numbers are no farther apart belong together.
const TOGETHER: u16 = 16;
/// Nor are their times: 10 s at 90 kHz.
const TOGETHER_TICKS: u32 = 900_000;

/// A datagram that does not fit.
#[derive(Debug)]
pub(super) struct Stray {
    pub(super) header: RtpHeader,
    pub(super) print: u64,
    pub(super) held: Held,
    /// Datagrams of the sequence that came since.
    age: u32,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Strays(Vec<Stray>);

impl Strays {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn knows(&self, sequence: u16, print: u64) -> bool {
        let same = |s: &Stray| s.header.sequence == sequence && s.print == print;
        self.0.iter().any(same)
    }

    /// Takes one more up. Returns how many are given up for it.
    pub(super) fn push(&mut self, header: RtpHeader, print: u64, held: Held) -> u64 {
        let over = self.0.len() >= MOST;
        if over {
            self.0.remove(0);
        }
        self.0.push(Stray {
            header,
            print,
            held,
            age: 0,
        });
        u64::from(over)
    }

    /// True when a datagram with this header belongs to one that strays.
    pub(super) fn have_a_mate_of(&self, header: &RtpHeader) -> bool {
        self.0.iter().any(|s| are_mates(&s.header, header))
    }

    /// The same for one that fits the sequence, whose newest timestamp is `stamp`: it follows a
    /// stray, and lies nearer to it in time.
    pub(super) fn are_continued_by(&self, header: &RtpHeader, stamp: u32) -> bool {
        let to_line = distance(header.timestamp, stamp);
        self.0.iter().any(|s| {
            are_mates(&s.header, header)
                && header.sequence.wrapping_sub(s.header.sequence) <= TOGETHER
                && distance(header.timestamp, s.header.timestamp) < to_line
        })
    }

    /// A datagram of the sequence came. Returns how many strays are given up now.
    pub(super) fn grow_older(&mut self) -> u64 {
        let before = self.0.len();
        self.0.retain_mut(|s| {
            s.age += 1;
            s.age <= PATIENCE
        });
        (before - self.0.len()) as u64
    }

    /// All of them.
    pub(super) fn take(&mut self) -> Vec<Stray> {
        std::mem::take(&mut self.0)
    }
}

fn are_mates(a: &RtpHeader, b: &RtpHeader) -> bool {
    let apart = b.sequence.wrapping_sub(a.sequence).cast_signed();
    a.ssrc == b.ssrc
        && (1..=TOGETHER).contains(&apart.unsigned_abs())
        && distance(a.timestamp, b.timestamp) <= TOGETHER_TICKS
}

/// How far apart two timestamps are, whichever is first.
pub(super) fn distance(a: u32, b: u32) -> u32 {
    a.wrapping_sub(b).cast_signed().unsigned_abs()
}
