//! Which datagrams came, by their numbers and by what is in them.

use super::LAG;
use crate::stream::RtpHeader;
use crate::stream::fingerprint::fingerprint;
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
    fingerprint(head, payload)
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
