//! The adaptation field (ISO/IEC 13818-1 §2.4.3.4, §2.4.3.5).

use super::Pcr;

/// A checked adaptation field: its length fits the packet.
///
/// Optional parts whose flag is set but whose bytes are missing read as absent.
#[derive(Copy, Clone, Debug)]
pub struct Adaptation<'a> {
    /// What follows adaptation_field_length: flags, then the parts.
    field: &'a [u8],
}

impl<'a> Adaptation<'a> {
    /// The field that starts at `bytes` with its length; `None` when it does not fit.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first()?;
        Some(Self {
            field: rest.get(..usize::from(*length))?,
        })
    }

    /// adaptation_field_length: 0 to 183.
    pub const fn length(&self) -> usize {
        self.field.len()
    }

    fn flags(&self) -> u8 {
        self.field.first().copied().unwrap_or(0)
    }

    /// discontinuity_indicator.
    pub fn discontinuity(&self) -> bool {
        self.flags() & 0x80 != 0
    }

    /// random_access_indicator.
    pub fn random_access(&self) -> bool {
        self.flags() & 0x40 != 0
    }

    /// program_clock_reference.
    pub fn pcr(&self) -> Option<Pcr> {
        self.part(0x10).and_then(|p| p.first_chunk()).map(Pcr::read)
    }

    /// original_program_clock_reference.
    pub fn opcr(&self) -> Option<Pcr> {
        self.part(0x08).and_then(|p| p.first_chunk()).map(Pcr::read)
    }

    /// splice_countdown: packets of this PID until the splicing point, negative after it.
    pub fn splice_countdown(&self) -> Option<i8> {
        self.part(0x04)?.first().map(|b| *b as i8)
    }

    /// transport_private_data_bytes.
    pub fn private_data(&self) -> Option<&'a [u8]> {
        let (length, data) = self.part(0x02)?.split_first()?;
        data.get(..usize::from(*length))
    }

    /// What stands from the part whose flag is `flag` on, if that flag is set.
    fn part(&self, flag: u8) -> Option<&'a [u8]> {
        const SIZES: [(u8, usize); 3] = [(0x10, 6), (0x08, 6), (0x04, 1)];
        let flags = self.flags();
        let before: usize = SIZES
            .iter()
            .filter(|(bit, _)| *bit > flag && flags & bit != 0)
            .map(|(_, size)| size)
            .sum();
        if flags & flag == 0 {
            None
        } else {
            self.field.get(1 + before..)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All five flags of parts, each part with values of its own: PCR base 0x100000001
    /// extension 3, OPCR base 2 extension 0x104, countdown -5, two private bytes.
    const FIELD: [u8; 18] = [
        17, 0xBE, 0x80, 0x00, 0x00, 0x00, 0xFE, 0x03, 0x00, 0x00, 0x00, 0x01, 0x7F, 0x04, 0xFB, 2,
        0xCA, 0xFE,
    ];

    #[test]
    fn parts_are_found_behind_each_other() {
        let a = Adaptation::new(&FIELD).unwrap();
        assert!(a.discontinuity() && !a.random_access());
        assert_eq!(
            a.pcr().map(|p| (p.base(), p.extension())),
            Some((0x1_0000_0001, 3))
        );
        assert_eq!(
            a.opcr().map(|p| (p.base(), p.extension())),
            Some((2, 0x104))
        );
        assert_eq!(a.splice_countdown(), Some(-5));
        assert_eq!(a.private_data(), Some(&[0xCA, 0xFE][..]));
    }

    #[test]
    fn flags_that_lie_read_as_absent() {
        for length in 0..18u8 {
            let mut bytes = FIELD;
            bytes[0] = length;
            let a = Adaptation::new(&bytes).unwrap();
            assert_eq!(a.pcr().is_some(), length >= 7);
            assert_eq!(a.opcr().is_some(), length >= 13);
            assert_eq!(a.splice_countdown().is_some(), length >= 14);
            assert_eq!(a.private_data().is_some(), length >= 17);
        }
        assert!(Adaptation::new(&[1]).is_none() && Adaptation::new(&[]).is_none());
    }
}
