//! subtitling_descriptor (EN 300 468 §6.2.41).

use super::lines::lines_descriptor;
use crate::si::Language;

lines_descriptor! {
    /// The DVB subtitles in a stream.
    SubtitlingDescriptor(0x59),
    /// Each subtitle.
    subtitles: [u8; 8] => Subtitle = |[l0, l1, l2, kind, c0, c1, a0, a1]| Subtitle {
        language: Language([*l0, *l1, *l2]),
        kind: *kind,
        composition_page: u16::from_be_bytes([*c0, *c1]),
        ancillary_page: u16::from_be_bytes([*a0, *a1]),
    }
}

/// One line of a [`SubtitlingDescriptor`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Subtitle {
    /// Its language.
    pub language: Language,
    /// subtitling_type: 0x10 to 0x15 normal, 0x20 to 0x25 for those who hear badly.
    pub kind: u8,
    /// composition_page_id.
    pub composition_page: u16,
    /// ancillary_page_id.
    pub ancillary_page: u16,
}

impl Subtitle {
    /// The bytes of the line.
    pub const fn to_bytes(self) -> [u8; 8] {
        let Language([l0, l1, l2]) = self.language;
        let [c0, c1] = self.composition_page.to_be_bytes();
        let [a0, a1] = self.ancillary_page.to_be_bytes();
        [l0, l1, l2, self.kind, c0, c1, a0, a1]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reads_and_writes;
    use super::*;

    #[test]
    fn each_field_reads_and_writes() {
        let line = Subtitle {
            language: Language(*b"fra"),
            kind: 0x24,
            composition_page: 0x1234,
            ancillary_page: 0x5678,
        };
        let bytes = line.to_bytes();
        assert_eq!(bytes, [b'f', b'r', b'a', 0x24, 0x12, 0x34, 0x56, 0x78]);
        let d = SubtitlingDescriptor::new(&bytes);
        reads_and_writes(d, &[[0x59, 8].as_slice(), &bytes].concat());
        assert_eq!(d.subtitles().collect::<Vec<_>>(), [line]);
        assert_eq!(
            SubtitlingDescriptor::new(&bytes[..7]).subtitles().count(),
            0
        );
    }
}
