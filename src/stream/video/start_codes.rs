//! Start codes of an elementary stream that comes in pieces.

/// What follows a start code.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct StartCode<'a> {
    /// Where the unit begins: the prefix 00 00 01, and the zero byte before it where there is one.
    pub position: u64,
    /// Where the start code's value stands.
    pub value: u64,
    /// The start code's value and the bytes behind it, as many as were wanted, or fewer when the
    /// next start code comes earlier.
    pub head: &'a [u8],
}

/// Finds start codes (ISO/IEC 13818-2 §5.2.3, ITU-T H.264 annex B) in the payload of PES packets,
/// over the edges of packets. Keeps at most [`MOST`](Self::MOST) bytes.
#[derive(Clone, Debug, Default)]
pub struct StartCodes {
    /// The head under way; empty when there is none.
    head: Vec<u8>,
    /// Bytes it shall have; 0 when there is none.
    wanted: usize,
    position: u64,
    value: u64,
    /// Zero bytes at the end of what was pushed, up to three.
    zeros: usize,
    /// No unit reaches back over this position.
    floor: u64,
}

impl StartCodes {
    /// Bytes of a head at most: a parameter set with scaling lists and HRD parameters.
    pub const MOST: usize = 1024;

    /// Nothing found yet.
    pub const fn new() -> Self {
        Self {
            head: Vec::new(),
            wanted: 0,
            position: 0,
            value: 0,
            zeros: 0,
            floor: 0,
        }
    }

    /// Bytes are missing: what was begun is forgotten.
    pub fn reset(&mut self) {
        (self.wanted, self.zeros) = (0, 0);
    }

    /// A PES packet begins with the byte at `position`: a zero byte before it belongs to the unit
    /// before, if the prefix is whole without it.
    pub fn pes_start(&mut self, position: u64) {
        self.floor = position;
    }

    /// Takes the next bytes if no start code ends in them and no head goes on in them, as in most
    /// packets; else false, and they are to be [`push`](Self::push)ed.
    #[inline]
    pub fn pass(&mut self, bytes: &[u8]) -> bool {
        if self.wanted > 0 || self.zeros > 0 || has_zero_pair(bytes) {
            return false;
        }
        self.zeros = usize::from(bytes.last() == Some(&0));
        true
    }

    /// Takes the next bytes, the first of which stands at `position` (a number of the caller's that
    /// counts on). `wanted` says of a start code's value how many bytes of its head to hand over;
    /// with 0 it is passed over.
    pub fn push(
        &mut self,
        bytes: &[u8],
        position: u64,
        wanted: impl Fn(u8) -> usize,
        mut found: impl FnMut(StartCode<'_>),
    ) {
        if self.pass(bytes) {
            return;
        }
        // Bytes from here on belong to the head under way, or wait for the value of a start code.
        let mut from = 0;
        let mut next = 0;
        while let Some(one) = self.prefix(bytes, next) {
            next = one + 1;
            let zeros = self.zeros_before(bytes, one);
            if self.wanted > 0 {
                self.take(
                    bytes.get(from..one.saturating_sub(2)).unwrap_or_default(),
                    &wanted,
                );
                self.hand_over(&mut found);
            }
            let prefix = position.wrapping_add(one as u64).wrapping_sub(2);
            self.position = match prefix {
                p if zeros > 2 && p != self.floor => p.wrapping_sub(1),
                p => p,
            };
            self.value = position.wrapping_add(next as u64);
            self.head.clear();
            self.wanted = Self::MOST;
            from = next;
        }
        if self.wanted > 0 {
            self.take(bytes.get(from..).unwrap_or_default(), &wanted);
            if self.wanted > 0 && self.head.len() >= self.wanted {
                self.hand_over(&mut found);
            }
        }
        let zeros = bytes.iter().rev().take(3).take_while(|b| **b == 0).count();
        self.zeros = if zeros == bytes.len() {
            (self.zeros + zeros).min(3)
        } else {
            zeros
        };
    }

    /// The place of the next byte 01 behind two zero bytes, from `next` on.
    fn prefix(&self, bytes: &[u8], next: usize) -> Option<usize> {
        for one in next..2.min(bytes.len()) {
            if bytes[one] == 1 && self.zeros_before(bytes, one) >= 2 {
                return Some(one);
            }
        }
        let mut zero = next;
        loop {
            zero = next_zero(bytes, zero)?;
            match bytes.get(zero + 1..zero + 3)? {
                [0, 1] => return Some(zero + 2),
                [0, 0] => zero = end_of_zeros(bytes, zero + 2) - 2,
                [0, _] => zero += 3,
                _ => zero += 2,
            }
        }
    }

    /// How many zero bytes stand before `one`, up to three.
    fn zeros_before(&self, bytes: &[u8], one: usize) -> usize {
        let here = bytes[..one]
            .iter()
            .rev()
            .take(3)
            .take_while(|b| **b == 0)
            .count();
        if here == one {
            (here + self.zeros).min(3)
        } else {
            here
        }
    }

    /// Adds to the head; its first byte says how long it shall be.
    fn take(&mut self, bytes: &[u8], wanted: impl Fn(u8) -> usize) {
        let room = self.wanted.saturating_sub(self.head.len());
        let first = self.head.is_empty();
        let room = match bytes.first() {
            Some(value) if first => {
                self.wanted = wanted(*value).min(Self::MOST);
                self.wanted
            }
            _ => room,
        };
        self.head
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn hand_over(&mut self, found: &mut impl FnMut(StartCode<'_>)) {
        if !self.head.is_empty() {
            found(StartCode {
                position: self.position,
                value: self.value,
                head: &self.head,
            });
        }
        self.wanted = 0;
    }
}

/// The place behind the zero bytes from `at` on, over 0: zero_stuffing may fill packets.
fn end_of_zeros(bytes: &[u8], mut at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    for word in rest.chunks_exact(8) {
        if word != [0; 8] {
            break;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|b| **b == 0).count()
}

/// Whether two zero bytes stand side by side somewhere in `bytes`: in coded pictures, in few packets
/// of a hundred. One pass without a way out, so that the compiler compares whole vectors and the
/// processor has nothing to guess: a packet costs 80 instructions, and 200 to 450 where each lone
/// zero byte is looked at.
fn has_zero_pair(bytes: &[u8]) -> bool {
    const LANES: usize = 32;
    let Some(last) = bytes.last_chunk::<{ LANES + 1 }>() else {
        return bytes.windows(2).any(|pair| pair == [0, 0]);
    };
    let mut least = [0xFF; LANES];
    let mut look = |firsts: &[u8], seconds: &[u8]| {
        for (least, (a, b)) in least.iter_mut().zip(firsts.iter().zip(seconds)) {
            *least = (*least).min(a | b);
        }
    };
    let (firsts, _) = bytes[..bytes.len() - 1].as_chunks::<LANES>();
    let (seconds, _) = bytes[1..].as_chunks::<LANES>();
    for (firsts, seconds) in firsts.iter().zip(seconds) {
        look(firsts, seconds);
    }
    // What is left over stands in the last pairs, some of which are looked at twice.
    look(&last[..LANES], &last[1..]);
    least.iter().fold(false, |zero, b| zero | (*b == 0))
}

/// The place of the next zero byte from `at` on, looked for in vectors, then in words: coded
/// pictures have few.
fn next_zero(bytes: &[u8], mut at: usize) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    for vector in bytes.get(at..)?.chunks_exact(32) {
        // Without an early way out, so that the compiler compares all of them at once.
        if vector.iter().fold(false, |zero, b| zero | (*b == 0)) {
            break;
        }
        at += 32;
    }
    for word in bytes.get(at..)?.chunks_exact(8) {
        let word = u64::from_le_bytes(*word.first_chunk()?);
        // The lowest bit is that of a zero byte; those above it may be of ones behind it.
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|b| *b == 0).map(|n| at + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value, position and head of all start codes in `bytes`, pushed in pieces of `piece`; heads
    /// of 3 bytes, none of 0x11.
    fn found(bytes: &[u8], piece: usize) -> Vec<(u64, Vec<u8>)> {
        let (mut codes, mut all, mut at) = (StartCodes::new(), Vec::new(), 100);
        for piece in bytes.chunks(piece) {
            let wanted = |value| if value == 0x11 { 0 } else { 3 };
            codes.push(piece, at, wanted, |c| {
                all.push((c.position, c.head.to_vec()))
            });
            at += piece.len() as u64;
        }
        all
    }

    #[test]
    fn cuts_between_packets_change_nothing() {
        let bytes = [
            0, 0, 1, 0xB3, 5, 6, 7, 8, 0, 0, 0, 0, 1, 0xB5, 0, 0, 1, 0x11, 9, 9, 0, 0, 1, 0, 0, 0,
            1, 0xB8, 1, 2, 3,
        ];
        let expected = [
            (100, vec![0xB3, 5, 6]),
            (109, vec![0xB5]),
            (120, vec![0]),
            (123, vec![0xB8, 1, 2]),
        ];
        assert_eq!(found(&bytes, 1000), expected);
        for piece in 1..bytes.len() {
            // A zero that ends a unit may have gone into its head before the prefix was whole.
            let mut got = found(&bytes, piece);
            for ((_, head), (_, want)) in got.iter_mut().zip(&expected) {
                assert!(head.len() >= want.len() && head[want.len()..].iter().all(|b| *b == 0));
                head.truncate(want.len());
            }
            assert_eq!(got, expected, "pieces of {piece}");
        }
    }

    #[test]
    fn any_mix_of_zeros_and_ones_is_searched_whole() {
        let mut x = 1u64;
        for _ in 0..200 {
            let bytes: Vec<u8> = (0..97)
                .map(|_| {
                    x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    [0, 0, 0, 1, 2, 0x80][(x >> 33) as usize % 6]
                })
                .collect();
            let prefix = |n: usize| bytes.get(n - 2..=n) == Some(&[0, 0, 1]);
            // A value of 0 may belong to the next prefix.
            let expected: Vec<_> = (2..bytes.len() - 1)
                .filter(|n| prefix(*n) && bytes[n + 1] != 0)
                .collect();
            for piece in [1, 2, 3, 7, 8, 9, 50, 97] {
                let values: Vec<_> = found(&bytes, piece)
                    .iter()
                    .map(|(_, h)| h[0])
                    .filter(|v| *v != 0)
                    .collect();
                let wanted: Vec<_> = expected.iter().map(|n| bytes[n + 1]).collect();
                // Those whose bytes end before the head is whole are still held.
                let held = wanted.len() - values.len();
                assert!(
                    held <= 1 && wanted.starts_with(&values),
                    "pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn two_zero_bytes_are_seen_wherever_they_stand() {
        for len in 0..120 {
            let lone: Vec<u8> = (0..len).map(|n| n as u8 % 2).collect();
            assert!(!has_zero_pair(&lone), "{len} bytes");
            for at in 1..len {
                let mut bytes = vec![1; len];
                bytes[at - 1..=at].fill(0);
                assert!(has_zero_pair(&bytes), "{at} of {len} bytes");
            }
        }
    }

    #[test]
    fn bytes_pass_when_no_start_code_ends_and_no_head_goes_on_in_them() {
        let mut codes = StartCodes::new();
        assert!(codes.pass(&[0, 1, 0x65]) && codes.pass(&[9, 9, 0]));
        // The zero before may be of this prefix.
        assert!(!codes.pass(&[0, 1, 0x65]));
        let mut found = Vec::new();
        codes.push(&[0, 1, 0x65], 6, |_| 2, |c| found.push(c.position));
        // Its head lacks a byte.
        assert!(!codes.pass(&[0x88, 1]));
        codes.push(&[0x88, 1], 9, |_| 2, |c| found.push(c.position));
        assert!(codes.pass(&[1, 2]));
        assert_eq!(found, [5]);
    }

    #[test]
    fn a_zero_byte_of_the_pes_packet_before_stays_there() {
        let mut codes = StartCodes::new();
        let mut positions = Vec::new();
        codes.push(&[7, 0], 0, |_| 1, |c| positions.push(c.position));
        codes.pes_start(2);
        codes.push(
            &[0, 0, 1, 0x65, 9, 0],
            2,
            |_| 1,
            |c| positions.push(c.position),
        );
        codes.pes_start(8);
        // Here the prefix itself begins in the packet before.
        codes.push(&[0, 1, 0x41, 9], 8, |_| 1, |c| positions.push(c.position));
        assert_eq!(positions, [2, 7]);
    }

    #[test]
    fn after_a_gap_nothing_is_joined() {
        let mut codes = StartCodes::new();
        codes.push(&[0, 0], 0, |_| 1, |_| panic!("no start code"));
        codes.reset();
        codes.push(&[1, 0x65], 2, |_| 1, |_| panic!("no start code"));
    }
}
