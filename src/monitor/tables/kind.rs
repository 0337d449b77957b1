//! Which table belongs on which PID, and which check watches over it.

use crate::monitor::Check;
use crate::ts::{Pid, TableId};

/// What a PID carries, by ISO/IEC 13818-1 table 2-3, EN 300 468 table 1, or the PAT.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// PID 0x0000.
    Pat,
    /// PID 0x0001.
    Cat,
    /// A program_map_PID.
    Pmt,
    /// PID 0x0010.
    Nit,
    /// PID 0x0011.
    Sdt,
    /// PID 0x0012.
    Eit,
    /// PID 0x0013.
    Rst,
    /// PID 0x0014.
    Tdt,
}

impl Home {
    /// Those whose PID never changes.
    pub(super) const FIXED: [(Pid, Self); 7] = [
        (Pid::PAT, Self::Pat),
        (Pid::CAT, Self::Cat),
        (Pid::NIT, Self::Nit),
        (Pid::SDT, Self::Sdt),
        (Pid::EIT, Self::Eit),
        (Pid::RST, Self::Rst),
        (Pid::TDT, Self::Tdt),
    ];

    /// True when a section of that table may be on the PID.
    ///
    /// TR 101 290 names the tables of each PID; CIT (0x77) is not among those of PID 0x0012, and
    /// is let pass, for EN 300 468 table 1 has since put it there. A program_map_PID may carry
    /// private sections.
    pub(super) const fn admits(self, id: TableId) -> bool {
        match self {
            Self::Pat => id.0 == 0x00,
            Self::Cat => id.0 == 0x01,
            Self::Pmt => true,
            Self::Nit => matches!(id.0, 0x40 | 0x41 | 0x72),
            Self::Sdt => matches!(id.0, 0x42 | 0x46 | 0x4A | 0x72),
            Self::Eit => matches!(id.0, 0x4E..=0x6F | 0x72 | 0x77),
            Self::Rst => matches!(id.0, 0x71 | 0x72),
            Self::Tdt => matches!(id.0, 0x70 | 0x72 | 0x73),
        }
    }

    /// The check that another table on the PID raises.
    pub(super) const fn check(self) -> Check {
        match self {
            Self::Pat => Check::PatError2,
            Self::Cat => Check::CatError,
            Self::Pmt => Check::PmtError2,
            Self::Nit => Check::NitActualError,
            Self::Sdt => Check::SdtActualError,
            Self::Eit => Check::EitActualError,
            Self::Rst => Check::RstError,
            Self::Tdt => Check::TdtError,
        }
    }

    /// It carries service information rather than PSI.
    pub(super) const fn is_si(self) -> bool {
        !matches!(self, Self::Pat | Self::Cat | Self::Pmt)
    }
}

/// The check for which two sections of a table may not follow each other too closely, beside
/// si_repetition_error.
pub(super) const fn gap_check(id: TableId) -> Option<Check> {
    match id.0 {
        0x40 => Some(Check::NitActualError),
        0x42 => Some(Check::SdtActualError),
        0x4E => Some(Check::EitActualError),
        0x70 => Some(Check::TdtError),
        0x71 => Some(Check::RstError),
        _ => None,
    }
}

/// The check for which each section of a sub-table must come in time, beside
/// si_repetition_error.
pub(super) const fn section_check(id: TableId) -> Option<Check> {
    match id.0 {
        0x41 => Some(Check::NitOtherError),
        0x46 => Some(Check::SdtOtherError),
        0x4E => Some(Check::EitActualError),
        0x4F => Some(Check::EitOtherError),
        _ => None,
    }
}

/// CRC_32 stands at the end of a table, whatever section_syntax_indicator says: those that 2.2
/// names.
pub(super) const fn has_crc(id: TableId) -> bool {
    matches!(id.0, 0x00..=0x02 | 0x40..=0x42 | 0x46 | 0x4A | 0x4E..=0x6F | 0x73)
}

/// A table of short sections without CRC_32.
pub(super) const fn has_no_crc(id: TableId) -> bool {
    matches!(id.0, 0x70 | 0x71)
}

/// The name of a table.
pub(super) const fn name(id: TableId) -> &'static str {
    match id.0 {
        0x00 => "PAT",
        0x01 => "CAT",
        0x02 => "PMT",
        0x40 => "NIT actual",
        0x41 => "NIT other",
        0x42 => "SDT actual",
        0x46 => "SDT other",
        0x4A => "BAT",
        0x4E => "EIT present/following actual",
        0x4F => "EIT present/following other",
        0x50..=0x5F => "EIT schedule actual",
        0x60..=0x6F => "EIT schedule other",
        0x70 => "TDT",
        0x71 => "RST",
        0x72 => "ST",
        0x73 => "TOT",
        0x77 => "CIT",
        _ => "other",
    }
}

/// What table_id_extension is in a table.
pub(super) const fn extension_name(id: TableId) -> &'static str {
    match id.0 {
        0x00 | 0x42 | 0x46 => "transport_stream_id",
        0x02 => "program_number",
        0x40 | 0x41 => "network_id",
        0x4A => "bouquet_id",
        0x4E..=0x6F => "service_id",
        _ => "table_id_extension",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pid_admits_the_tables_of_the_report() {
        let admitted = |home: Home| {
            (0..=255)
                .filter(|id| home.admits(TableId(*id)))
                .collect::<Vec<u8>>()
        };
        assert_eq!(admitted(Home::Pat), [0x00]);
        assert_eq!(admitted(Home::Cat), [0x01]);
        assert_eq!(admitted(Home::Nit), [0x40, 0x41, 0x72]);
        assert_eq!(admitted(Home::Sdt), [0x42, 0x46, 0x4A, 0x72]);
        let eit: Vec<u8> = (0x4E..=0x6F).chain([0x72, 0x77]).collect();
        assert_eq!(admitted(Home::Eit), eit);
        assert_eq!(admitted(Home::Rst), [0x71, 0x72]);
        assert_eq!(admitted(Home::Tdt), [0x70, 0x72, 0x73]);
    }
}
