//! Reading bit by bit.

/// Takes fields from the front of a raw byte sequence payload (ITU-T H.264 §7.4.1, H.265 §7.4.2):
/// emulation_prevention_three_byte is left out on the way. What is not there is `None`.
#[derive(Copy, Clone, Debug)]
pub(in crate::stream) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte.
    at: usize,
    /// Of the byte before it, how many bits are left.
    left: u32,
    current: u8,
    /// Zero bytes in a row that were read.
    zeros: u8,
}

impl<'a> Bits<'a> {
    pub(in crate::stream) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            left: 0,
            current: 0,
            zeros: 0,
        }
    }

    fn load(&mut self) -> Option<()> {
        let mut byte = *self.bytes.get(self.at)?;
        if self.zeros >= 2 && byte == 3 {
            self.at += 1;
            self.zeros = 0;
            byte = *self.bytes.get(self.at)?;
        }
        self.at += 1;
        self.zeros = if byte == 0 { self.zeros.min(2) + 1 } else { 0 };
        self.current = byte;
        self.left = 8;
        Some(())
    }

    /// One bit.
    pub(in crate::stream) fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.load()?;
        }
        self.left -= 1;
        Some(self.current >> self.left & 1 != 0)
    }

    /// A field of `n` bits, at most 32.
    pub(in crate::stream) fn u(&mut self, n: u32) -> Option<u32> {
        let mut value = 0u32;
        let mut wanted = n;
        while wanted > 0 {
            if self.left == 0 {
                self.load()?;
            }
            let taken = wanted.min(self.left);
            self.left -= taken;
            let part = u32::from(self.current) >> self.left & ((1 << taken) - 1);
            value = value.checked_shl(taken).unwrap_or(0) | part;
            wanted -= taken;
        }
        Some(value)
    }

    /// Passes over `n` bits.
    pub(in crate::stream) fn skip(&mut self, n: u32) -> Option<()> {
        let mut n = n;
        while n > 0 {
            let part = n.min(32);
            self.u(part)?;
            n -= part;
        }
        Some(())
    }

    /// ue(v): an unsigned Exp-Golomb number (H.264 §9.1), up to 2^32 - 2.
    pub(in crate::stream) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let low = self.u(zeros)?;
        Some((1u32 << zeros) - 1 + low)
    }

    /// Passes over so many numbers ue(v).
    pub(in crate::stream) fn pass_ue(&mut self, count: u32) -> Option<()> {
        for _ in 0..count {
            self.ue()?;
        }
        Some(())
    }

    /// se(v): a signed Exp-Golomb number.
    pub(in crate::stream) fn se(&mut self) -> Option<i32> {
        let k = i64::from(self.ue()?);
        let value = if k & 1 == 1 { (k + 1) / 2 } else { -(k / 2) };
        i32::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_table_9_2() {
        // 1 010 011 00100 00101 00110 00111 0001000: 0 to 7.
        let bytes = [
            0b1010_0110,
            0b0100_0010,
            0b1001_1000,
            0b1110_0010,
            0b0000_0000,
        ];
        let mut bits = Bits::new(&bytes);
        for n in 0..=7 {
            assert_eq!(bits.ue(), Some(n));
        }
        let mut bits = Bits::new(&bytes);
        let signed: Vec<_> = (0..8).filter_map(|_| bits.se()).collect();
        assert_eq!(signed, [0, 1, -1, 2, -2, 3, -3, 4]);
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0, 1]).ue(), None, "over 32 bits");
    }

    #[test]
    fn emulation_prevention_is_no_data() {
        // 03 behind two zero bytes is not of the payload, at the end neither.
        let mut bits = Bits::new(&[0, 0, 3, 1, 0xAB, 0xCD, 0, 0, 3]);
        assert_eq!(bits.u(32), Some(0x0000_01AB));
        assert_eq!((bits.u(24), bits.flag()), (Some(0xCD_0000), None));
        // Two zero bytes are needed, and they may end a first 03.
        let mut bits = Bits::new(&[0, 3, 0, 0, 3, 0, 0, 3, 5]);
        assert_eq!((bits.u(32), bits.u(24)), (Some(0x0003_0000), Some(5)));
    }
}
