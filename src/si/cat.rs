//! Conditional access (ISO/IEC 13818-1 §2.4.4.6).

use super::descriptor::Descriptors;
use crate::ts::{Section, SectionBuf, SectionSyntax, TableId};

/// A section of the conditional access table: where the messages are that grant access (EMM), a
/// CA_descriptor for each system.
///
/// ```
/// use headend::si::{Cat, CatFields, descriptor::{CaDescriptor, Descriptors}};
/// let section = CatFields::new(0, Descriptors::new(&[9, 4, 0x05, 0x00, 0xE0, 0xC0])).to_section();
/// let section = section.unwrap();
/// let cat = Cat::new(section.section()).unwrap();
/// let emm = cat.descriptors().all::<CaDescriptor>().map(|ca| ca.pid.get());
/// assert_eq!(emm.collect::<Vec<_>>(), [0xC0]);
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Cat<'a> {
    syntax: SectionSyntax,
    descriptors: Descriptors<'a>,
}

impl<'a> Cat<'a> {
    /// table_id.
    pub const TABLE_ID: TableId = TableId(0x01);

    /// The CAT in `section`; `None` when it is another table.
    pub fn new(section: Section<'a>) -> Option<Self> {
        let syntax = section.syntax()?;
        let descriptors = Descriptors::new(section.body());
        (section.table_id() == Self::TABLE_ID).then_some(Self {
            syntax,
            descriptors,
        })
    }

    /// Version, section numbers and whether it applies now; `extension` is reserved, all ones.
    pub const fn syntax(&self) -> SectionSyntax {
        self.syntax
    }

    /// Its descriptors.
    pub const fn descriptors(&self) -> Descriptors<'a> {
        self.descriptors
    }
}

/// The fields of a CAT section, to be written.
#[derive(Copy, Clone, Debug)]
pub struct CatFields<'a> {
    /// Version, section numbers; `extension` is reserved and should be 0xFFFF.
    pub syntax: SectionSyntax,
    /// The descriptors.
    pub descriptors: Descriptors<'a>,
}

impl<'a> CatFields<'a> {
    /// The most bytes of descriptors: section_length is 1021 at most.
    const MAX_BODY: usize = 1024 - 12;

    /// A table of one section that applies now.
    pub const fn new(version: u8, descriptors: Descriptors<'a>) -> Self {
        Self {
            syntax: SectionSyntax {
                extension: 0xFFFF,
                version,
                current: true,
                number: 0,
                last_number: 0,
            },
            descriptors,
        }
    }

    /// The section; `None` when it would be over 1024 bytes or the version is over 31.
    pub fn to_section(&self) -> Option<SectionBuf> {
        let body = self.descriptors.as_bytes();
        let fits = body.len() <= Self::MAX_BODY;
        SectionBuf::long(Cat::TABLE_ID, false, self.syntax, body).filter(|_| fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::si::descriptor::CaDescriptor;

    /// Version 21, section 2 of 0 to 3; two systems, 0x0500 with EMMs on 0x00C0 and 0x1801 on
    /// 0x1ABC with a private byte; by hand from tables 2-32 and 2-59.
    const BODY: [u8; 13] = [
        0x09, 0x04, 0x05, 0x00, 0xE0, 0xC0, //
        0x09, 0x05, 0x18, 0x01, 0xFA, 0xBC, 0x33,
    ];
    const HEADER: [u8; 8] = [0x01, 0xB0, 0x16, 0xFF, 0xFF, 0xEB, 0x02, 0x03];

    #[test]
    fn each_field_reads_from_its_bits_and_writes_back() {
        let fields = CatFields {
            syntax: SectionSyntax {
                extension: 0xFFFF,
                version: 21,
                current: true,
                number: 2,
                last_number: 3,
            },
            descriptors: Descriptors::new(&BODY),
        };
        let section = fields.to_section().unwrap();
        assert_eq!(section.as_bytes()[..8], HEADER);
        assert_eq!(section.section().body(), BODY);
        let cat = Cat::new(section.section()).unwrap();
        assert_eq!(cat.syntax(), fields.syntax);
        let emm: Vec<_> = cat
            .descriptors()
            .all::<CaDescriptor<'_>>()
            .map(|ca| (ca.system, ca.pid.get()))
            .collect();
        assert_eq!(emm, [(0x0500, 0x00C0), (0x1801, 0x1ABC)]);
    }

    #[test]
    fn another_table_and_one_that_is_too_long_are_none() {
        let pmt = SectionBuf::long(
            TableId(2),
            false,
            CatFields::new(0, Descriptors::NONE).syntax,
            &BODY,
        );
        assert!(Cat::new(pmt.unwrap().section()).is_none());
        let bytes = [0x5A; 1013];
        let size = |n: usize| {
            let fields = CatFields::new(31, Descriptors::new(&bytes[..n]));
            fields.to_section().map(|s| s.as_bytes().len())
        };
        assert_eq!((size(1012), size(1013)), (Some(1024), None));
    }
}
