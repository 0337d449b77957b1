//! ISO_639_language_descriptor (ISO/IEC 13818-1 §2.6.18).

use super::lines::lines_descriptor;
use crate::si::Language;

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

lines_descriptor! {
    /// The languages of an audio stream, each with what it is for.
    LanguageDescriptor(0x0A),
    /// Each language.
    languages: [u8; 4] => (Language, AudioType) =
        |[a, b, c, kind]| (Language([*a, *b, *c]), AudioType(*kind))
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
