//! Splice information (SCTE 35 2023r1): where advertisements and programmes begin and end.

mod command;
mod insert;
mod segmentation;

use std::fmt;

pub use command::{SpliceCommand, SpliceSchedule};
pub use insert::{BreakDuration, SpliceInsert, SpliceTarget};
pub use segmentation::Segmentation;

use super::descriptor::Descriptors;
use crate::ts::{Pts, Put, Section, SectionBuf, SectionError, TableId, Take, crc32};
use crate::units::Ticks27M;

/// Why a section is not a splice_info_section.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SpliceError {
    /// It has another table_id.
    OtherTable(TableId),
    /// CRC_32 is wrong or missing.
    Section(SectionError),
    /// protocol_version is not 0: its fields are not known.
    Version(u8),
    /// It ends within its fixed part.
    Short,
}

impl fmt::Display for SpliceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherTable(id) => write!(f, "table_id {id} is not that of splice information"),
            Self::Section(e) => e.fmt(f),
            Self::Version(v) => write!(f, "protocol_version {v} is not known"),
            Self::Short => f.write_str("splice information ends within its fixed part"),
        }
    }
}

impl std::error::Error for SpliceError {}

/// Bytes of the section before encrypted_packet: table_id, section_length, protocol_version.
const ADJUSTMENT: usize = 4;

/// A splice information section.
///
/// Of an encrypted one only the fixed part can be read; it can be carried and restamped all the
/// same, since pts_adjustment stands outside the encryption.
#[derive(Copy, Clone, Debug)]
pub struct SpliceInfo<'a> {
    encrypted: bool,
    adjustment: u64,
    cw_index: u8,
    tier: u16,
    command: Option<SpliceCommand<'a>>,
    descriptors: Descriptors<'a>,
}

impl<'a> SpliceInfo<'a> {
    /// table_id.
    pub const TABLE_ID: TableId = TableId(0xFC);

    /// Reads the section.
    ///
    /// # Errors
    /// When it is another table, CRC_32 is wrong, the version is unknown, or the fixed part is
    /// not there. A command or descriptor that cannot be read is no error: see
    /// [`command`](Self::command).
    pub fn new(section: Section<'a>) -> Result<Self, SpliceError> {
        if section.table_id() != Self::TABLE_ID {
            return Err(SpliceError::OtherTable(section.table_id()));
        }
        section.check_crc().map_err(SpliceError::Section)?;
        let covered = section.as_bytes().len().saturating_sub(4);
        let body = section.as_bytes().get(3..covered).unwrap_or_default();
        let mut take = Take::new(body);
        match take.u8() {
            None => return Err(SpliceError::Short),
            Some(0) => {}
            Some(version) => return Err(SpliceError::Version(version)),
        }
        Self::read(take).ok_or(SpliceError::Short)
    }

    /// Reads what follows protocol_version.
    fn read(mut take: Take<'a>) -> Option<Self> {
        let flags = take.u40()?;
        let cw_index = take.u8()?;
        let [a, b, c] = take.array()?;
        let mut info = Self {
            encrypted: flags >> 39 != 0,
            adjustment: flags & 0x1_FFFF_FFFF,
            cw_index,
            tier: u16::from_be_bytes([a, b]) >> 4,
            command: None,
            descriptors: Descriptors::NONE,
        };
        if !info.encrypted {
            let length = usize::from(u16::from_be_bytes([b, c]) & 0x0FFF);
            info.read_clear(take, length);
        }
        Some(info)
    }

    /// Reads command and descriptors, as far as they can be read.
    fn read_clear(&mut self, mut take: Take<'a>, length: usize) -> Option<()> {
        /// splice_command_length of equipment older than 2011: find the end by reading.
        const UNKNOWN_LENGTH: usize = 0xFFF;
        let kind = take.u8()?;
        if length == UNKNOWN_LENGTH {
            self.command = SpliceCommand::read_open(kind, &mut take);
            self.command?;
        } else {
            self.command = SpliceCommand::read(kind, take.bytes(length)?);
        }
        let n = take.u16()?;
        self.descriptors = Descriptors::new(take.bytes(usize::from(n))?);
        Some(())
    }

    /// encrypted_packet: command and descriptors are opaque.
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// pts_adjustment: ticks of 90 kHz, below 2^33, to be added to every time in the section.
    pub const fn pts_adjustment(&self) -> u64 {
        self.adjustment
    }

    /// cw_index: which key; without meaning in a clear section.
    pub const fn cw_index(&self) -> u8 {
        self.cw_index
    }

    /// tier, 12 bits; 0xFFF is for all.
    pub const fn tier(&self) -> u16 {
        self.tier
    }

    /// The command; `None` when it is encrypted or cut off.
    pub const fn command(&self) -> Option<SpliceCommand<'a>> {
        self.command
    }

    /// The descriptors, such as [`Segmentation`]; none when encrypted or out of reach.
    pub const fn descriptors(&self) -> Descriptors<'a> {
        self.descriptors
    }

    /// A time of the section on the clock of the program: pts_adjustment added, modulo 2^33.
    pub const fn adjusted(&self, time: Pts) -> Pts {
        Pts::wrapping(time.ticks() + self.adjustment)
    }

    /// When the command takes effect, on the clock of the program; `None` when that is at once,
    /// or not said, or the command has no such time.
    pub fn splice_time(&self) -> Option<Pts> {
        let time = match self.command? {
            SpliceCommand::TimeSignal(time) => time,
            SpliceCommand::Insert(insert) => insert.target.time(),
            _ => None,
        };
        time.map(|t| self.adjusted(t))
    }

    /// Moves every time of the section at the start of `bytes` by `shift`, rounded down to
    /// 90 kHz: adds to pts_adjustment modulo 2^33 and renews CRC_32. False, and nothing changed,
    /// when there is no such section.
    pub fn restamp(bytes: &mut [u8], shift: Ticks27M) -> bool {
        let info = Section::new(bytes)
            .map(|s| (s.as_bytes().len(), SpliceInfo::new(s).map(|i| i.adjustment)));
        let Ok((size, Ok(adjustment))) = info else {
            return false;
        };
        let Some(section) = bytes.get_mut(..size) else {
            return false;
        };
        let moved = Pts::wrapping(adjustment) + shift;
        if let Some([hi, low @ ..]) = section
            .get_mut(ADJUSTMENT..)
            .and_then(|b| b.first_chunk_mut::<5>())
        {
            *hi = *hi & 0xFE | (moved.ticks() >> 32) as u8;
            *low = (moved.ticks() as u32).to_be_bytes();
        }
        if let Some((covered, crc)) = section.split_last_chunk_mut() {
            *crc = crc32(covered).to_be_bytes();
        }
        true
    }
}

/// The fields of a clear splice information section, to be written.
#[derive(Copy, Clone, Debug)]
pub struct SpliceFields<'a> {
    /// pts_adjustment, ticks of 90 kHz; its low 33 bits are written.
    pub adjustment: u64,
    /// cw_index; without meaning in a clear section, where the examples of §14 have 0xFF.
    pub cw_index: u8,
    /// tier; its low 12 bits are written. 0xFFF is for all.
    pub tier: u16,
    /// The command.
    pub command: SpliceCommand<'a>,
    /// The descriptors.
    pub descriptors: Descriptors<'a>,
}

impl SpliceFields<'_> {
    /// The section; `None` when it would be over 4096 bytes.
    pub fn to_section(&self) -> Option<SectionBuf> {
        let mut body = [0; Section::MAX_SIZE - 3];
        let mut command = [0; 4094];
        let mut put = Put::new(&mut command);
        self.command.write(&mut put);
        let command = put.written()?;
        let length = u16::try_from(command.len()).ok().filter(|n| *n < 0xFFF)?;

        let mut put = Put::new(&mut body);
        put.u8(0); // protocol_version
        put.u40(self.adjustment & 0x1_FFFF_FFFF);
        put.u8(self.cw_index);
        let [_, b, c, d] = (u32::from(self.tier & 0xFFF) << 12 | u32::from(length)).to_be_bytes();
        put.bytes(&[b, c, d]);
        put.u8(self.command.kind());
        put.bytes(command);
        put.u16(u16::try_from(self.descriptors.as_bytes().len()).ok()?);
        put.bytes(self.descriptors.as_bytes());
        put.u32(0); // CRC_32, below
        let size = put.written()?.len();
        // private_indicator 0; the two bits after it are sap_type, 3: not specified.
        let draft = SectionBuf::short(SpliceInfo::TABLE_ID, false, body.get(..size)?)?;
        let (covered, _) = draft.as_bytes().split_last_chunk::<4>()?;
        *body.get_mut(..size)?.last_chunk_mut()? = crc32(covered).to_be_bytes();
        SectionBuf::short(SpliceInfo::TABLE_ID, false, body.get(..size)?)
    }
}

#[cfg(test)]
mod tests;
