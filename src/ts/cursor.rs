//! Bounded reading and writing, one field after another.
//!
//! A [`Take`] never reads behind its bytes and a [`Put`] never writes behind its room, so that
//! the code of a table is a list of its fields and none of it can panic.

/// Takes fields from the front of bytes; what is not there is `None`, and stays.
///
/// ```
/// use headend::ts::Take;
/// let mut take = Take::new(&[1, 0x12, 0x34, 5]);
/// assert_eq!((take.u8(), take.u16(), take.u16()), (Some(1), Some(0x1234), None));
/// assert_eq!(take.rest(), [5]);
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Take<'a> {
    rest: &'a [u8],
}

impl<'a> Take<'a> {
    /// A cursor at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }

    /// An 8-bit field.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// A 16-bit field.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A 32-bit field.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A 40-bit field: what stands before the low 33 bits of a splice time is one.
    pub fn u40(&mut self) -> Option<u64> {
        let [a, b, c, d, e] = self.array()?;
        Some(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    /// Bytes behind their 8-bit length.
    pub fn counted8(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let n = ahead.u8()?;
        let bytes = ahead.bytes(usize::from(n))?;
        *self = ahead;
        Some(bytes)
    }

    /// Bytes behind a 16-bit field whose low 12 bits are their length; also the upper 4 bits.
    pub fn counted12(&mut self) -> Option<(u8, &'a [u8])> {
        let mut ahead = *self;
        let field = ahead.u16()?;
        let bytes = ahead.bytes(usize::from(field & 0x0FFF))?;
        *self = ahead;
        Some(((field >> 12) as u8, bytes))
    }

    /// What was not taken.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True when all was taken.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Puts fields one after another into a buffer; what does not fit is remembered as overflow.
///
/// ```
/// use headend::ts::Put;
/// let mut room = [0; 4];
/// let mut put = Put::new(&mut room);
/// put.u8(1);
/// put.u16(0x1234);
/// assert_eq!(put.written(), Some(&[1, 0x12, 0x34][..]));
/// put.u16(0);
/// assert_eq!(put.written(), None, "only one byte was left");
/// ```
#[derive(Debug)]
pub struct Put<'a> {
    room: &'a mut [u8],
    at: usize,
    overflow: bool,
}

impl<'a> Put<'a> {
    /// A cursor at the start of `room`.
    pub const fn new(room: &'a mut [u8]) -> Self {
        Self {
            room,
            at: 0,
            overflow: false,
        }
    }

    /// Puts `bytes`, all or none.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        match self.room.get_mut(self.at..end) {
            Some(room) if !self.overflow => {
                room.copy_from_slice(bytes);
                self.at = end;
            }
            _ => self.overflow = true,
        }
    }

    /// An 8-bit field.
    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    /// A 16-bit field.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// A 32-bit field.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// The low 40 bits of `value`.
    pub fn u40(&mut self, value: u64) {
        let [_, _, _, low @ ..] = value.to_be_bytes();
        self.bytes(&low);
    }

    /// Bytes behind their 8-bit length; over 255 is overflow.
    pub fn counted8(&mut self, bytes: &[u8]) {
        match u8::try_from(bytes.len()) {
            Ok(n) => {
                self.u8(n);
                self.bytes(bytes);
            }
            Err(_) => self.overflow = true,
        }
    }

    /// Bytes behind a 16-bit field: `upper` in its upper 4 bits, the length in the lower 12;
    /// over 4095 is overflow.
    pub fn counted12(&mut self, upper: u8, bytes: &[u8]) {
        match u16::try_from(bytes.len()) {
            Ok(n) if n < 0x1000 => {
                self.u16(u16::from(upper) << 12 | n);
                self.bytes(bytes);
            }
            _ => self.overflow = true,
        }
    }

    /// Puts what `write` writes behind its 8-bit length.
    pub fn counted8_with(&mut self, write: impl FnOnce(&mut Put<'_>)) {
        let start = self.at;
        self.u8(0);
        let mut inner = Put::new(self.room.get_mut(self.at..).unwrap_or_default());
        write(&mut inner);
        let (n, overflow) = (inner.at, inner.overflow);
        self.overflow |= overflow;
        self.at += n;
        match (self.room.get_mut(start), u8::try_from(n)) {
            (Some(length), Ok(n)) => *length = n,
            _ => self.overflow = true,
        }
    }

    /// What was put; `None` after an overflow.
    pub fn written(&self) -> Option<&[u8]> {
        if self.overflow {
            None
        } else {
            self.room.get(..self.at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_lies_takes_nothing() {
        let mut take = Take::new(&[4, 1, 2, 3]);
        assert_eq!(take.counted8(), None);
        assert_eq!(take.rest(), [4, 1, 2, 3], "the cursor did not move");
        let mut take = Take::new(&[0xF0, 3, 1, 2]);
        assert_eq!(take.counted12(), None);
        assert_eq!(take.u40(), None);
        assert_eq!(take.u32(), Some(0xF003_0102));
        assert!(take.is_empty() && take.bytes(1).is_none());
    }

    #[test]
    fn what_is_put_is_taken_back() {
        let mut room = [0xA5; 64];
        let mut put = Put::new(&mut room);
        put.u32(0x0123_4567);
        put.u40(0x89_ABCD_EF01);
        put.counted8(&[7, 8]);
        put.counted12(0xA, &[9]);
        put.counted8_with(|inner| inner.u16(0x5566));
        let mut take = Take::new(put.written().unwrap());
        assert_eq!(take.u32(), Some(0x0123_4567));
        assert_eq!(take.u40(), Some(0x89_ABCD_EF01));
        assert_eq!(take.counted8(), Some(&[7, 8][..]));
        assert_eq!(take.counted12(), Some((0xA, &[9][..])));
        assert_eq!(take.counted8(), Some(&[0x55, 0x66][..]));
        assert!(take.is_empty());
    }

    #[test]
    fn an_overflow_is_kept_until_it_is_asked_for() {
        let mut room = [0; 3];
        let mut put = Put::new(&mut room);
        put.u32(1);
        put.u8(2);
        assert_eq!(put.written(), None);
        for fill in [
            |put: &mut Put<'_>| put.counted8(&[0; 256]),
            |put: &mut Put<'_>| put.counted12(0, &[0; 4096]),
            |put: &mut Put<'_>| put.counted8_with(|p| p.bytes(&[0; 256])),
        ] {
            let mut room = [0; 5000];
            let mut put = Put::new(&mut room);
            fill(&mut put);
            assert_eq!(put.written(), None);
        }
    }
}
