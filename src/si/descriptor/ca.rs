//! CA_descriptor (ISO/IEC 13818-1 §2.6.16).

use super::{DescriptorSyntax, DescriptorTag};
use crate::ts::{Pid, Put, Take};

/// In a PMT: which conditional access system scrambles, and where its ECMs are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct CaDescriptor<'a> {
    /// CA_system_ID.
    pub system: u16,
    /// CA_PID.
    pub pid: Pid,
    /// private_data_bytes.
    pub private: &'a [u8],
}

impl CaDescriptor<'_> {
    /// Replaces CA_PID in a payload and no other bit; nothing where it is cut off before.
    pub(super) fn set_pid(payload: &mut [u8], pid: Pid) {
        if let [_, _, high, low, ..] = payload {
            *high = *high & 0xE0 | (pid.get() >> 8) as u8;
            *low = pid.get() as u8;
        }
    }
}

impl<'a> DescriptorSyntax<'a> for CaDescriptor<'a> {
    const TAG: DescriptorTag = DescriptorTag(0x09);

    fn read(payload: &'a [u8]) -> Option<Self> {
        let mut take = Take::new(payload);
        Some(Self {
            system: take.u16()?,
            pid: Pid::from_field(take.u16()?),
            private: take.rest(),
        })
    }

    fn write_payload(&self, put: &mut Put<'_>) {
        put.u16(self.system);
        put.u16(0xE000 | self.pid.get());
        put.bytes(self.private);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reads_and_writes;
    use super::*;

    #[test]
    fn each_field_reads_and_writes() {
        let d = CaDescriptor {
            system: 0x0500,
            pid: Pid::from_field(0x1ABC),
            private: &[0x14, 0x03],
        };
        reads_and_writes(d, &[0x09, 6, 0x05, 0x00, 0xFA, 0xBC, 0x14, 0x03]);
        for cut in 0..4 {
            assert_eq!(CaDescriptor::read(&[0x05, 0x00, 0xFA, 0xBC][..cut]), None);
        }
    }
}
