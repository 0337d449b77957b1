//! Which datagrams came, by their numbers and by what is in them.

use super::LAG;
use crate::stream::RtpHeader;
use crate::units::Arrival;

/// Numbers remembered: a second copy of a stream of 40 Mb/s may come a second late.
const PLACES: usize = 4096;

/// A datagram that came.
#[derive(Copy, Clone, Debug, Default)]
struct Mark {
    print: u64,
    line: u32,
    sequence: u16,
    arrival: Arrival,
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

    /// The line on which this very datagram came, no longer ago than a second copy lags.
    pub(super) fn line_of(&self, sequence: u16, print: u64, now: Arrival) -> Option<u32> {
        let known = |m: &&Mark| m.print == print && now - m.arrival <= LAG;
        self.place(sequence).find(known).map(|m| m.line)
    }

    /// True when one with this number came on this line.
    pub(super) fn has_number(&self, sequence: u16, line: u32) -> bool {
        self.place(sequence).any(|m| m.line == line)
    }

    pub(super) fn remember(&mut self, sequence: u16, print: u64, line: u32, arrival: Arrival) {
        if let Some(place) = self.0.get_mut(usize::from(sequence) % PLACES) {
            let mark = Mark {
                print,
                line,
                sequence,
                arrival,
            };
            *place = [mark, place[0]];
        }
    }
}

/// What tells a datagram from another of its number: its source, time and content. Never 0.
pub(super) fn print(header: &RtpHeader, payload: &[u8]) -> u64 {
    let head = u64::from(header.ssrc) << 32 | u64::from(header.timestamp);
    let (blocks, rest) = payload.as_chunks::<32>();
    // What it is filled up with is told from content by the length.
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    // Four sums side by side: a step of one has to wait for its step before.
    let mut sums = [mix(mix(0, payload.len() as u64), head); 4];
    for block in blocks.iter().chain([&last]) {
        for (sum, word) in sums.iter_mut().zip(block.as_chunks::<8>().0) {
            *sum = mix(*sum, u64::from_le_bytes(*word));
        }
    }
    sums.into_iter().fold(0, mix).max(1)
}

/// A sum with one word more. The product has nothing of a word's topmost bits but in its own: the
/// shift brings them down, or the topmost one would be as good as one of the next word.
fn mix(sum: u64, word: u64) -> u64 {
    /// An odd number without pattern: the fraction of the golden ratio.
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let product = (sum.rotate_left(23) ^ word).wrapping_mul(ODD);
    product ^ product >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_and_each_byte_more_makes_another_print() {
        let header = |timestamp, ssrc| RtpHeader {
            sequence: 7,
            timestamp,
            ssrc,
            marker: false,
        };
        let (at, from) = (0x0123_4567, 0x89AB_CDEF);
        // Seven packets, and parts of a block.
        for len in [1316, 33, 32, 31, 8, 1, 0] {
            let mut bytes: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
            let mut prints = vec![print(&header(at, from), &bytes)];
            for bit in 0..len * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                prints.push(print(&header(at, from), &bytes));
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            for bit in 0..32 {
                prints.push(print(&header(at ^ 1 << bit, from), &bytes));
                prints.push(print(&header(at, from ^ 1 << bit), &bytes));
            }
            for _ in 0..64 {
                bytes.push(0);
                prints.push(print(&header(at, from), &bytes));
            }
            let all = prints.len();
            prints.sort_unstable();
            prints.dedup();
            assert_eq!(prints.len(), all, "{len} bytes");
            assert_ne!(prints[0], 0);
        }
    }
}
