//! service_descriptor (EN 300 468 §6.2.33).

use super::{DescriptorSyntax, DescriptorTag};
use crate::si::Text;
use crate::ts::{Put, Take};

/// service_type, an open list (EN 300 468 table 89).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceType(pub u8);

impl ServiceType {
    /// Digital television (MPEG-2, SD).
    pub const TELEVISION: Self = Self(0x01);
    /// Digital radio sound.
    pub const RADIO: Self = Self(0x02);
    /// Advanced codec HD television (H.264).
    pub const HD_TELEVISION: Self = Self(0x19);
}

/// What a service is and how it is called.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ServiceDescriptor<'a> {
    /// service_type.
    pub service_type: ServiceType,
    /// service_provider_name.
    pub provider: Text<'a>,
    /// service_name.
    pub name: Text<'a>,
}

impl<'a> DescriptorSyntax<'a> for ServiceDescriptor<'a> {
    const TAG: DescriptorTag = DescriptorTag(0x48);

    fn read(payload: &'a [u8]) -> Option<Self> {
        let mut take = Take::new(payload);
        Some(Self {
            service_type: ServiceType(take.u8()?),
            provider: Text::new(take.counted8()?),
            name: Text::new(take.counted8()?),
        })
    }

    fn write_payload(&self, put: &mut Put<'_>) {
        put.u8(self.service_type.0);
        put.counted8(self.provider.as_bytes());
        put.counted8(self.name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reads_and_writes;
    use super::*;

    const BYTES: [u8; 10] = [0x48, 8, 0x19, 2, b'P', b'r', 3, b'O', b'n', b'e'];

    #[test]
    fn each_field_reads_and_writes() {
        let d = ServiceDescriptor {
            service_type: ServiceType::HD_TELEVISION,
            provider: Text::new(b"Pr"),
            name: Text::new(b"One"),
        };
        reads_and_writes(d, &BYTES);
    }

    #[test]
    fn a_length_that_lies_is_no_descriptor() {
        for cut in 2..BYTES.len() {
            assert_eq!(ServiceDescriptor::read(&BYTES[2..cut]), None);
        }
    }
}
