//! The header of a FEC datagram (SMPTE ST 2022-1, after RFC 2733 §4.2), behind that of RTP.

/// Bytes of the header.
pub const FEC_HEADER_SIZE: usize = 16;
/// Numbers that a set spans at most: four times the 100 of the standard, which devices go beyond.
/// A receiver holds more than twice as many media datagrams.
const MOST_SPAN: u16 = 400;

/// What a FEC datagram protects.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum FecLine {
    /// D datagrams whose numbers are L apart.
    Column,
    /// L datagrams in a row.
    Row,
}

/// The fields of the header that say something.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FecHeader {
    /// `SNBase low bits`: the number of the first datagram of the set. The eight bits above it are
    /// 0 with RTP, whose numbers have 16.
    pub base: u16,
    /// `length recovery`: the lengths, without the 12 bytes of header, summed by exclusive or.
    pub length: u16,
    /// `PT recovery`, 7 bits: the payload types, so summed.
    pub payload_type: u8,
    /// `TS recovery`: the time stamps, so summed.
    pub timestamp: u32,
    /// `D`: a column or a row.
    pub line: FecLine,
    /// `offset`: from one number of the set to the next: L in a column, 1 in a row.
    pub offset: u8,
    /// `NA`: how many datagrams the set has: D in a column, L in a row.
    pub count: u8,
}

impl FecHeader {
    /// Reads the header. `None` for what is not this code: another than exclusive or (`type`, 0),
    /// a mask (RFC 2733's way of saying the set, 0 here), a set of nothing or of too much.
    ///
    /// ```
    /// use headend::stream::fec::{FecHeader, FecLine};
    /// let bytes = [0, 7, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x00, 6, 10, 0];
    /// let header = FecHeader::read(&bytes).unwrap();
    /// assert_eq!((header.line, header.offset, header.count), (FecLine::Column, 6, 10));
    /// assert_eq!(header.numbers().collect::<Vec<_>>()[..3], [7, 13, 19]);
    /// assert_eq!(header.write(), bytes);
    /// ```
    pub fn read(b: &[u8; FEC_HEADER_SIZE]) -> Option<Self> {
        let header = Self {
            base: u16::from_be_bytes([b[0], b[1]]),
            length: u16::from_be_bytes([b[2], b[3]]),
            payload_type: b[4] & 0x7F,
            timestamp: u32::from_be_bytes([b[8], b[9], b[10], b[11]]),
            line: match b[12] & 0x40 {
                0 => FecLine::Column,
                _ => FecLine::Row,
            },
            offset: b[13],
            count: b[14],
        };
        // E: these four bytes more than RFC 2733 has. N, type and index: an extension, a code of
        // another kind, several of them.
        let known = b[4] & 0x80 != 0 && b[5..8] == [0; 3] && b[12] & !0x40 == 0 && b[15] == 0;
        let set = header.offset > 0 && header.count > 0;
        let span = u16::from(header.offset) * u16::from(header.count);
        (known && set && span <= MOST_SPAN).then_some(header)
    }

    /// The sixteen bytes.
    pub fn write(&self) -> [u8; FEC_HEADER_SIZE] {
        let mut b = [0; FEC_HEADER_SIZE];
        b[0..2].copy_from_slice(&self.base.to_be_bytes());
        b[2..4].copy_from_slice(&self.length.to_be_bytes());
        b[4] = 0x80 | self.payload_type & 0x7F;
        b[8..12].copy_from_slice(&self.timestamp.to_be_bytes());
        b[12] = match self.line {
            FecLine::Column => 0,
            FecLine::Row => 0x40,
        };
        (b[13], b[14]) = (self.offset, self.count);
        b
    }

    /// The numbers of the set, which may wrap at 2^16.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        let (base, offset) = (self.base, u16::from(self.offset));
        (0..u16::from(self.count)).map(move |n| base.wrapping_add(n * offset))
    }

    /// True when `number` is one of the set.
    pub fn covers(&self, number: u16) -> bool {
        let (ahead, offset) = (number.wrapping_sub(self.base), u16::from(self.offset));
        ahead % offset.max(1) == 0 && ahead / offset.max(1) < u16::from(self.count)
    }
}
