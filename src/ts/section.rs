//! Sections (ISO/IEC 13818-1 §2.4.4.10, EN 300 468 §5.1.1).

use std::fmt;

use super::crc32;

/// table_id, an open list (ISO/IEC 13818-1 table 2-31, EN 300 468 table 2).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u8);

impl TableId {
    /// Stuffing section of SI: any bytes, behind a header (EN 300 468 §5.2.8).
    pub const ST: Self = Self(0x72);
    /// Stuffing: no section follows in this packet.
    pub const STUFFING: Self = Self(0xFF);
}

impl fmt::Debug for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableId({:#04x})", self.0)
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// Why bytes are not a section.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SectionError {
    /// Fewer bytes than section_length announces, or than any section has.
    Short {
        /// Bytes that were announced.
        wanted: usize,
        /// Bytes that were there.
        had: usize,
    },
    /// CRC_32 does not match.
    Crc {
        /// The value in the section.
        stored: u32,
        /// The value of its bytes.
        computed: u32,
    },
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { wanted, had } => write!(f, "section of {wanted} bytes has only {had}"),
            Self::Crc { stored, computed } => {
                write!(
                    f,
                    "CRC_32 is {stored:#010x}, the bytes give {computed:#010x}"
                )
            }
        }
    }
}

impl std::error::Error for SectionError {}

/// The fields that a section with section_syntax_indicator 1 has after section_length.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SectionSyntax {
    /// table_id_extension: transport_stream_id, program_number, service_id, ...
    pub extension: u16,
    /// version_number, 0 to 31.
    pub version: u8,
    /// current_next_indicator: applicable now.
    pub current: bool,
    /// section_number.
    pub number: u8,
    /// last_section_number.
    pub last_number: u8,
}

/// Bytes from table_id to section_length.
const HEADER: usize = 3;
/// Bytes from table_id to last_section_number.
const LONG_HEADER: usize = 8;
/// Bytes of CRC_32.
const CRC: usize = 4;

/// A checked section: all its bytes are there and, where it has one, CRC_32 is right.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    bytes: &'a [u8],
}

impl<'a> Section<'a> {
    /// The most bytes any section has: section_length is 12 bits, 4093 at most (§2.4.4.11).
    pub const MAX_SIZE: usize = 4096;

    /// How many bytes the section that starts so has, or `None` before its length is there.
    pub fn size_of(start: &[u8]) -> Option<usize> {
        match start {
            [_, a, b, ..] => Some(HEADER + (usize::from(*a & 0x0F) << 8 | usize::from(*b))),
            _ => None,
        }
    }

    /// The section at the start of `bytes`.
    ///
    /// # Errors
    /// When bytes are missing, or CRC_32 of a section with section_syntax_indicator is wrong. A
    /// TOT has a CRC_32 without that indicator (EN 300 468 §5.2.6): its reader checks.
    pub fn new(bytes: &'a [u8]) -> Result<Self, SectionError> {
        let section = Self::unchecked_crc(bytes)?;
        if section.is_long() {
            section.check_crc()?
        };
        Ok(section)
    }

    /// The section at the start of `bytes`, CRC_32 not looked at.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn unchecked_crc(bytes: &'a [u8]) -> Result<Self, SectionError> {
        let had = bytes.len();
        let wanted = Self::size_of(bytes).unwrap_or(HEADER);
        let short = SectionError::Short { wanted, had };
        let bytes = bytes.get(..wanted).ok_or(short)?;
        let section = Self { bytes };
        if section.is_long() && wanted < LONG_HEADER + CRC {
            return Err(SectionError::Short {
                wanted: LONG_HEADER + CRC,
                had: wanted,
            });
        }
        Ok(section)
    }

    /// Checks the last four bytes as CRC_32 of all before them.
    ///
    /// # Errors
    /// When they do not match, or there are none.
    pub fn check_crc(&self) -> Result<(), SectionError> {
        let short = SectionError::Short {
            wanted: HEADER + CRC,
            had: self.bytes.len(),
        };
        let (body, stored) = self.bytes.split_last_chunk::<CRC>().ok_or(short)?;
        let (stored, computed) = (u32::from_be_bytes(*stored), crc32(body));
        if stored == computed {
            Ok(())
        } else {
            Err(SectionError::Crc { stored, computed })
        }
    }

    /// The whole section.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// table_id.
    pub fn table_id(&self) -> TableId {
        TableId(self.bytes[0])
    }

    /// section_syntax_indicator.
    fn is_long(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// The fields of a section with section_syntax_indicator; `None` for a short one.
    pub fn syntax(&self) -> Option<SectionSyntax> {
        self.is_long().then(|| SectionSyntax {
            extension: u16::from_be_bytes([self.bytes[3], self.bytes[4]]),
            version: self.bytes[5] >> 1 & 0x1F,
            current: self.bytes[5] & 1 != 0,
            number: self.bytes[6],
            last_number: self.bytes[7],
        })
    }

    /// What stands between the header and CRC_32; in a short section, all after section_length.
    pub fn body(&self) -> &'a [u8] {
        if self.is_long() {
            &self.bytes[LONG_HEADER..self.bytes.len() - CRC]
        } else {
            &self.bytes[HEADER..]
        }
    }
}

/// An owned section.
///
/// ```
/// use headend::ts::{SectionBuf, SectionSyntax, TableId};
/// let syntax = SectionSyntax { extension: 1, version: 0, current: true, number: 0, last_number: 0 };
/// let pat = SectionBuf::long(TableId(0), false, syntax, &[0, 1, 0xE1, 0]).unwrap();
/// assert_eq!(pat.section().body(), [0, 1, 0xE1, 0]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionBuf(Vec<u8>);

impl SectionBuf {
    /// A section with section_syntax_indicator, CRC_32 computed, reserved bits 1. `private` is
    /// the bit after section_syntax_indicator: 0 in PSI, 1 (reserved_future_use) in SI. `None`
    /// when `body` is over 4084 bytes or a field is out of range.
    pub fn long(id: TableId, private: bool, syntax: SectionSyntax, body: &[u8]) -> Option<Self> {
        let size = LONG_HEADER + body.len() + CRC;
        if size > Section::MAX_SIZE || syntax.version > 31 {
            return None;
        }
        let mut bytes = Vec::with_capacity(size);
        let length = (size - HEADER) as u16;
        let field = 0xB000 | (private as u16) << 14 | length;
        bytes.push(id.0);
        bytes.extend(field.to_be_bytes());
        bytes.extend(syntax.extension.to_be_bytes());
        bytes.push(0xC0 | syntax.version << 1 | syntax.current as u8);
        bytes.extend([syntax.number, syntax.last_number]);
        bytes.extend(body);
        bytes.extend(crc32(&bytes).to_be_bytes());
        Some(Self(bytes))
    }

    /// A section without section_syntax_indicator; reserved bits 1. `None` when `body` is over
    /// 4093 bytes. A CRC_32 in it is the caller's.
    pub fn short(id: TableId, private: bool, body: &[u8]) -> Option<Self> {
        if HEADER + body.len() > Section::MAX_SIZE {
            return None;
        }
        let field = 0x3000 | (private as u16) << 14 | body.len() as u16;
        let mut bytes = vec![id.0];
        bytes.extend(field.to_be_bytes());
        bytes.extend(body);
        Some(Self(bytes))
    }

    /// The section, to be read.
    pub fn section(&self) -> Section<'_> {
        Section { bytes: &self.0 }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Section<'_>> for SectionBuf {
    fn from(section: Section<'_>) -> Self {
        Self(section.bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The PAT of ffmpeg's muxer (transport stream 1, program 1 on 0x1000), as ffmpeg 5.1 wrote it.
    const FFMPEG_PAT: [u8; 16] = [
        0x00, 0xB0, 0x0D, 0x00, 0x01, 0xC1, 0x00, 0x00, 0x00, 0x01, 0xF0, 0x00, 0x2A, 0xB1, 0x04,
        0xB2,
    ];

    #[test]
    fn a_real_section_reads_and_writes_back_to_the_byte() {
        let s = Section::new(&FFMPEG_PAT).unwrap();
        let syntax = s.syntax().unwrap();
        let expected = SectionSyntax {
            extension: 1,
            version: 0,
            current: true,
            number: 0,
            last_number: 0,
        };
        assert_eq!((s.table_id(), syntax), (TableId(0), expected));
        let written = SectionBuf::long(s.table_id(), false, syntax, s.body()).unwrap();
        assert_eq!(written.as_bytes(), FFMPEG_PAT);
    }

    #[test]
    fn every_wrong_bit_is_a_crc_error() {
        for bit in 24..FFMPEG_PAT.len() * 8 {
            let mut bytes = FFMPEG_PAT;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(Section::new(&bytes), Err(SectionError::Crc { .. })),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_length_that_lies_is_an_error() {
        for n in 0..FFMPEG_PAT.len() {
            assert!(matches!(
                Section::new(&FFMPEG_PAT[..n]),
                Err(SectionError::Short { .. })
            ));
        }
        // A long section too short for its own header.
        assert!(Section::new(&[0x00, 0x80, 0x00, 0xFF]).is_err());
        assert_eq!(
            Section::new(&[0x70, 0x70, 0x00]).map(|s| s.body().len()),
            Ok(0)
        );
    }

    #[test]
    fn the_longest_section_is_4096_bytes() {
        let syntax = SectionSyntax {
            extension: 0xABCD,
            version: 31,
            current: false,
            number: 1,
            last_number: 2,
        };
        let body = vec![0x5A; 4084];
        let s = SectionBuf::long(TableId(0x50), true, syntax, &body).unwrap();
        assert_eq!(s.as_bytes().len(), Section::MAX_SIZE);
        assert_eq!(
            Section::new(s.as_bytes()).map(|s| s.syntax()),
            Ok(Some(syntax))
        );
        assert!(SectionBuf::long(TableId(0x50), true, syntax, &[0; 4085]).is_none());
        assert!(SectionBuf::short(TableId(0x70), true, &[0; 4094]).is_none());
    }
}
