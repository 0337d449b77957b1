//! registration_descriptor (ISO/IEC 13818-1 §2.6.8).

use mpeg2ts_reader::descriptor::registration::RegistrationDescriptor as Reader;

use super::{DescriptorSyntax, DescriptorTag};
use crate::ts::Put;

/// Says by whose rules the private data of a program or a stream are to be read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RegistrationDescriptor<'a> {
    /// format_identifier, four letters registered with SMPTE RA.
    pub format: [u8; 4],
    /// additional_identification_info.
    pub info: &'a [u8],
}

impl<'a> DescriptorSyntax<'a> for RegistrationDescriptor<'a> {
    const TAG: DescriptorTag = DescriptorTag(0x05);

    fn read(payload: &'a [u8]) -> Option<Self> {
        let format = Reader::new(Self::TAG.0, payload).ok()?.format_identifier();
        let info = payload.get(4..)?;
        Some(Self {
            format: format.0.0,
            info,
        })
    }

    fn write_payload(&self, put: &mut Put<'_>) {
        put.bytes(&self.format);
        put.bytes(self.info);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reads_and_writes;
    use super::*;

    #[test]
    fn each_field_reads_and_writes() {
        let d = RegistrationDescriptor {
            format: *b"CUEI",
            info: &[0x12, 0x34],
        };
        reads_and_writes(d, &[0x05, 6, b'C', b'U', b'E', b'I', 0x12, 0x34]);
        for cut in 0..4 {
            assert_eq!(RegistrationDescriptor::read(&b"CUEI"[..cut]), None);
        }
    }
}
