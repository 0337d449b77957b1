//! Which datagrams came, by their numbers and by what is in them.

use crate::stream::RtpHeader;

/// Numbers remembered: a second copy of a stream of 40 Mb/s may come a second late.
const PLACES: usize = 4096;

/// A datagram that came.
#[derive(Copy, Clone, Debug, Default)]
struct Mark {
    print: u64,
    line: u32,
    sequence: u16,
}

/// The last datagrams: of each place two, so that a sender that started anew with numbers it had
/// used a moment before does not make those of before unknown.
#[derive(Debug)]
pub(super) struct Memory(Box<[[Mark; 2]]>);

impl Memory {
    pub(super) fn new() -> Self {
        Self(vec![[Mark::default(); 2]; PLACES].into())
    }

    fn place(&self, sequence: u16) -> impl Iterator<Item = &Mark> {
        let place = self.0.get(usize::from(sequence) % PLACES);
        let marks = place.into_iter().flatten();
        marks.filter(move |m| m.sequence == sequence && m.print != 0)
    }

    /// True when this very datagram came.
    pub(super) fn knows(&self, sequence: u16, print: u64) -> bool {
        self.place(sequence).any(|m| m.print == print)
    }

    /// True when one with this number came on this line.
    pub(super) fn has_number(&self, sequence: u16, line: u32) -> bool {
        self.place(sequence).any(|m| m.line == line)
    }

    pub(super) fn remember(&mut self, sequence: u16, print: u64, line: u32) {
        if let Some(place) = self.0.get_mut(usize::from(sequence) % PLACES) {
            let mark = Mark {
                print,
                line,
                sequence,
            };
            *place = [mark, place[0]];
        }
    }
}

/// What tells a datagram from another of its number: its source, time and content. Never 0.
pub(super) fn print(header: &RtpHeader, payload: &[u8]) -> u64 {
    /// An odd number without pattern: the fraction of the golden ratio.
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |sum: u64, word: u64| (sum.rotate_left(23) ^ word).wrapping_mul(ODD);
    let head = u64::from(header.ssrc) << 32 | u64::from(header.timestamp);
    let (words, rest) = payload.as_chunks::<8>();
    let mut sum = mix(payload.len() as u64, head);
    for word in words {
        sum = mix(sum, u64::from_le_bytes(*word));
    }
    for byte in rest {
        sum = mix(sum, u64::from(*byte));
    }
    sum.max(1)
}
