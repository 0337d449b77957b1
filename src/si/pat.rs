//! Program association (ISO/IEC 13818-1 §2.4.4.4).

use super::{ServiceId, TransportStreamId};
use crate::ts::{Pid, Put, Section, SectionBuf, SectionSyntax, TableId, Take};

/// A section of the program association table: which PMT is on which PID.
///
/// ```
/// use headend::{si::{Pat, PatEntry, PatFields, ServiceId, TransportStreamId}, ts::Pid};
/// let entry = PatEntry { program: ServiceId(1), pid: Pid::new(0x100).unwrap() };
/// let section = PatFields::new(TransportStreamId(7), 0, &[entry]).to_section().unwrap();
/// let pat = Pat::new(section.section()).unwrap();
/// assert_eq!(pat.programs().collect::<Vec<_>>(), [entry]);
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Pat<'a> {
    syntax: SectionSyntax,
    body: &'a [u8],
}

/// One line of a PAT.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PatEntry {
    /// program_number; 0 stands for the network information table.
    pub program: ServiceId,
    /// program_map_PID, or network_PID when `program` is 0.
    pub pid: Pid,
}

impl<'a> Pat<'a> {
    /// table_id.
    pub const TABLE_ID: TableId = TableId(0x00);

    /// The PAT in `section`; `None` when it is another table.
    pub fn new(section: Section<'a>) -> Option<Self> {
        let syntax = section.syntax()?;
        let body = section.body();
        (section.table_id() == Self::TABLE_ID).then_some(Self { syntax, body })
    }

    /// Version, section numbers and whether it applies now.
    pub const fn syntax(&self) -> SectionSyntax {
        self.syntax
    }

    /// transport_stream_id.
    pub const fn transport_stream_id(&self) -> TransportStreamId {
        TransportStreamId(self.syntax.extension)
    }

    /// Every line, in order, the network's included.
    pub fn entries(&self) -> impl Iterator<Item = PatEntry> + use<'a> {
        let mut take = Take::new(self.body);
        std::iter::from_fn(move || {
            let [a, b, c, d] = take.array()?;
            Some(PatEntry {
                program: ServiceId(u16::from_be_bytes([a, b])),
                pid: Pid::from_field(u16::from_be_bytes([c, d])),
            })
        })
    }

    /// The lines that name a PMT.
    pub fn programs(&self) -> impl Iterator<Item = PatEntry> + use<'a> {
        self.entries().filter(|e| e.program.0 != 0)
    }

    /// network_PID, if the table names it.
    pub fn network_pid(&self) -> Option<Pid> {
        self.entries().find(|e| e.program.0 == 0).map(|e| e.pid)
    }
}

/// The fields of a PAT section, to be written.
#[derive(Copy, Clone, Debug)]
pub struct PatFields<'a> {
    /// Version, section numbers; `extension` is transport_stream_id.
    pub syntax: SectionSyntax,
    /// The lines.
    pub entries: &'a [PatEntry],
}

impl<'a> PatFields<'a> {
    /// A table of one section that applies now.
    pub const fn new(id: TransportStreamId, version: u8, entries: &'a [PatEntry]) -> Self {
        Self {
            syntax: SectionSyntax {
                extension: id.0,
                version,
                current: true,
                number: 0,
                last_number: 0,
            },
            entries,
        }
    }

    /// The section; `None` when there are over 253 lines (section_length is 1021 at most) or the
    /// version is over 31.
    pub fn to_section(&self) -> Option<SectionBuf> {
        let mut body = [0; 1024 - 12];
        let mut put = Put::new(&mut body);
        for entry in self.entries {
            put.u16(entry.program.0);
            put.u16(0xE000 | entry.pid.get()); // three reserved bits, ones
        }
        SectionBuf::long(Pat::TABLE_ID, false, self.syntax, put.written()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mpeg2ts_reader::psi::pat::{PatSection, ProgramDescriptor};

    fn pid(value: u16) -> Pid {
        Pid::new(value).unwrap()
    }

    /// transport_stream_id 0x1234, version 21, not current, section 3 of 0 to 5; network on
    /// 0x0010, program 0x5678 on 0x0ABC; spelt by hand from table 2-30.
    const BODY: [u8; 8] = [0x00, 0x00, 0xE0, 0x10, 0x56, 0x78, 0xEA, 0xBC];
    const HEADER: [u8; 8] = [0x00, 0xB0, 0x11, 0x12, 0x34, 0xEA, 0x03, 0x05];

    fn syntax() -> SectionSyntax {
        SectionSyntax {
            extension: 0x1234,
            version: 21,
            current: false,
            number: 3,
            last_number: 5,
        }
    }

    fn vector() -> SectionBuf {
        SectionBuf::long(TableId(0), false, syntax(), &BODY).unwrap()
    }

    #[test]
    fn each_field_reads_from_its_bits_and_writes_back() {
        let section = vector();
        assert_eq!(section.as_bytes()[..8], HEADER);
        let pat = Pat::new(section.section()).unwrap();
        assert_eq!(pat.transport_stream_id(), TransportStreamId(0x1234));
        assert_eq!(pat.syntax(), syntax());
        assert_eq!(pat.network_pid(), Some(pid(0x10)));
        let program = PatEntry {
            program: ServiceId(0x5678),
            pid: pid(0xABC),
        };
        assert_eq!(pat.programs().collect::<Vec<_>>(), [program]);
        let entries: Vec<_> = pat.entries().collect();
        let fields = PatFields {
            syntax: syntax(),
            entries: &entries,
        };
        assert_eq!(fields.to_section(), Some(section));
    }

    #[test]
    fn a_second_reader_sees_the_same_programs() {
        let section = vector();
        let body = section.section().body().to_vec();
        let theirs: Vec<_> = PatSection::new(&body)
            .programs()
            .map(|p| match p {
                ProgramDescriptor::Network { pid } => (0, u16::from(pid)),
                ProgramDescriptor::Program {
                    program_number,
                    pid,
                } => (program_number, u16::from(pid)),
            })
            .collect();
        let pat = Pat::new(section.section()).unwrap();
        let ours: Vec<_> = pat.entries().map(|e| (e.program.0, e.pid.get())).collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn bytes_behind_the_last_whole_line_are_left() {
        for cut in 0..BODY.len() {
            let s = SectionBuf::long(TableId(0), false, syntax(), &BODY[..cut]).unwrap();
            assert_eq!(Pat::new(s.section()).unwrap().entries().count(), cut / 4);
        }
        let other = SectionBuf::long(TableId(2), false, syntax(), &BODY).unwrap();
        assert!(Pat::new(other.section()).is_none());
        let short = SectionBuf::short(TableId(0), false, &BODY).unwrap();
        assert!(Pat::new(short.section()).is_none());
    }

    #[test]
    fn the_longest_section_has_253_lines() {
        let entry = PatEntry {
            program: ServiceId(1),
            pid: Pid::NULL,
        };
        let fields = |n| PatFields::new(TransportStreamId(1), 31, &vec![entry; n]).to_section();
        assert_eq!(fields(253).map(|s| s.as_bytes().len()), Some(1024));
        assert_eq!(fields(254), None);
    }
}
