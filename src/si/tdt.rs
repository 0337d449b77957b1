//! Time and date, and time offset (EN 300 468 §5.2.5, §5.2.6).

use super::DvbTime;
use super::descriptor::Descriptors;
use crate::ts::{Put, Section, SectionBuf, SectionError, TableId, Take, crc32};

/// The time and date section: UTC, to the second, of its transmission.
///
/// ```
/// use headend::{si::{DvbTime, Tdt}, units::WallTime};
/// let now = WallTime::from_unix_millis(1_700_000_000_000);
/// let tdt = Tdt { time: DvbTime::new(now).unwrap() };
/// let section = tdt.to_section().unwrap();
/// assert_eq!(Tdt::new(section.section()).and_then(|t| t.time.get()), Some(now));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Tdt {
    /// UTC_time.
    pub time: DvbTime,
}

impl Tdt {
    /// table_id.
    pub const TABLE_ID: TableId = TableId(0x70);

    /// The TDT in `section`; `None` when it is another table or too short.
    pub fn new(section: Section<'_>) -> Option<Self> {
        let time = DvbTime(Take::new(section.body()).array()?);
        let short = section.syntax().is_none();
        (short && section.table_id() == Self::TABLE_ID).then_some(Self { time })
    }

    /// The section, eight bytes, without CRC_32.
    pub fn to_section(&self) -> Option<SectionBuf> {
        SectionBuf::short(Self::TABLE_ID, true, &self.time.0)
    }
}

/// The time offset section: UTC, and what local time makes of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Tot<'a> {
    /// UTC_time.
    pub time: DvbTime,
    /// Its descriptors, local_time_offset above all.
    pub descriptors: Descriptors<'a>,
}

impl<'a> Tot<'a> {
    /// table_id.
    pub const TABLE_ID: TableId = TableId(0x73);

    /// The TOT in `section`; `None` when it is another table or too short.
    ///
    /// # Errors
    /// When CRC_32 is wrong. A TOT has one although its section_syntax_indicator is 0, so that
    /// [`Section::new`] did not look at it.
    pub fn new(section: Section<'a>) -> Result<Option<Self>, SectionError> {
        if section.table_id() != Self::TABLE_ID || section.syntax().is_some() {
            return Ok(None);
        }
        section.check_crc()?;
        let mut take = Take::new(section.body());
        let (Some(time), Some((_, descriptors))) = (take.array(), take.counted12()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            time: DvbTime(time),
            descriptors: Descriptors::new(descriptors),
        }))
    }

    /// The section; `None` when it would be over 1024 bytes.
    pub fn to_section(&self) -> Option<SectionBuf> {
        let mut body = [0; 1024 - 3];
        let mut put = Put::new(&mut body);
        put.bytes(&self.time.0);
        put.counted12(0xF, self.descriptors.as_bytes());
        put.u32(0);
        let with_crc = put.written()?.len();
        // CRC_32 covers the header, which the section writes: once without it, then with it.
        let draft = SectionBuf::short(Self::TABLE_ID, true, body.get(..with_crc)?)?;
        let (covered, _) = draft.as_bytes().split_last_chunk::<4>()?;
        let crc = crc32(covered).to_be_bytes();
        *body.get_mut(..with_crc)?.last_chunk_mut()? = crc;
        SectionBuf::short(Self::TABLE_ID, true, body.get(..with_crc)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: DvbTime = DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]);

    #[test]
    fn a_tdt_reads_and_writes() {
        let section = Tdt { time: TIME }.to_section().unwrap();
        // 0x70, syntax 0, reserved_future_use 1, reserved 11, length 5.
        assert_eq!(
            section.as_bytes(),
            [0x70, 0x70, 0x05, 0xC0, 0x79, 0x12, 0x45, 0x00]
        );
        assert_eq!(Tdt::new(section.section()), Some(Tdt { time: TIME }));
        let short = SectionBuf::short(Tdt::TABLE_ID, true, &TIME.0[..4]).unwrap();
        assert_eq!(Tdt::new(short.section()), None);
    }

    #[test]
    fn a_tot_reads_and_writes_and_checks_its_crc() {
        let tot = Tot {
            time: TIME,
            descriptors: Descriptors::new(&[0x58, 0]),
        };
        let section = tot.to_section().unwrap();
        let head = [
            0x73, 0x70, 0x0D, 0xC0, 0x79, 0x12, 0x45, 0x00, 0xF0, 0x02, 0x58, 0x00,
        ];
        assert_eq!(section.as_bytes()[..12], head);
        assert_eq!(Tot::new(section.section()), Ok(Some(tot)));
        for bit in 24..section.as_bytes().len() * 8 {
            let mut bytes = section.as_bytes().to_vec();
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            let read = Section::new(&bytes).map(Tot::new);
            assert!(
                matches!(read, Ok(Err(SectionError::Crc { .. }))),
                "bit {bit}"
            );
        }
    }
}
