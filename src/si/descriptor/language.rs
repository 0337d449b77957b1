//! ISO_639_language_descriptor (ISO/IEC 13818-1 §2.6.18).

use super::{DescriptorSyntax, DescriptorTag};
use crate::si::Language;
use crate::ts::Put;

/// audio_type, an open list (table 2-60).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AudioType(pub u8);

impl AudioType {
    /// Nothing special.
    pub const UNDEFINED: Self = Self(0);
    /// No speech: music and effects.
    pub const CLEAN_EFFECTS: Self = Self(1);
    /// For those who hear badly.
    pub const HEARING_IMPAIRED: Self = Self(2);
    /// Describes the picture for those who see badly.
    pub const VISUAL_IMPAIRED: Self = Self(3);
}

/// The languages of an audio stream, each with what it is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LanguageDescriptor<'a> {
    /// Four bytes a language: code, audio_type.
    entries: &'a [u8],
}

impl<'a> LanguageDescriptor<'a> {
    /// A descriptor of entries of four bytes: code, audio_type.
    pub const fn new(entries: &'a [u8]) -> Self {
        Self { entries }
    }

    /// Each language; a broken tail is left out.
    pub fn languages(&self) -> impl Iterator<Item = (Language, AudioType)> + use<'a> {
        let (whole, _) = self.entries.as_chunks();
        whole
            .iter()
            .map(|[a, b, c, kind]| (Language([*a, *b, *c]), AudioType(*kind)))
    }
}

impl<'a> DescriptorSyntax<'a> for LanguageDescriptor<'a> {
    const TAG: DescriptorTag = DescriptorTag(0x0A);

    fn read(payload: &'a [u8]) -> Option<Self> {
        Some(Self::new(payload))
    }

    fn write_payload(&self, put: &mut Put<'_>) {
        put.bytes(self.entries);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reads_and_writes;
    use super::*;
    use mpeg2ts_reader::descriptor::iso_639_language::Iso639LanguageDescriptor;

    const BYTES: [u8; 10] = [0x0A, 8, b'f', b'r', b'a', 3, b'q', b'a', b'd', 1];

    #[test]
    fn each_field_reads_and_writes() {
        let d = LanguageDescriptor::new(&BYTES[2..]);
        reads_and_writes(d, &BYTES);
        assert_eq!(
            d.languages().collect::<Vec<_>>(),
            [
                (Language(*b"fra"), AudioType::VISUAL_IMPAIRED),
                (Language(*b"qad"), AudioType::CLEAN_EFFECTS)
            ]
        );
        assert_eq!(LanguageDescriptor::new(&BYTES[2..9]).languages().count(), 1);
    }

    #[test]
    fn a_second_reader_sees_the_same_languages() {
        let theirs = Iso639LanguageDescriptor::new(0x0A, &BYTES[2..]).unwrap();
        let theirs: Vec<_> = theirs
            .languages()
            .map(|l| l.unwrap().code().into_owned())
            .collect();
        let ours: Vec<_> = LanguageDescriptor::new(&BYTES[2..])
            .languages()
            .map(|(l, _)| l.to_string())
            .collect();
        assert_eq!(ours, theirs);
    }
}
