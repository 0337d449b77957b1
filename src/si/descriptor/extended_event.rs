//! extended_event_descriptor (EN 300 468 §6.2.15).

use super::{DescriptorSyntax, DescriptorTag};
use crate::si::{Language, Text};
use crate::ts::{Put, Take};

/// A part of the long description of an event: up to sixteen descriptors make one text.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ExtendedEventDescriptor<'a> {
    /// descriptor_number, 0 to 15: which part this is.
    pub number: u8,
    /// last_descriptor_number, 0 to 15.
    pub last_number: u8,
    /// The language of this part.
    pub language: Language,
    /// The loop of items, pairs of counted texts.
    items: &'a [u8],
    /// text.
    pub text: Text<'a>,
}

impl<'a> ExtendedEventDescriptor<'a> {
    /// A part without items.
    pub const fn new(number: u8, last_number: u8, language: Language, text: Text<'a>) -> Self {
        Self {
            number,
            last_number,
            language,
            items: &[],
            text,
        }
    }

    /// Pairs of description and item ("Director", a name); ends early where a length lies.
    pub fn items(&self) -> impl Iterator<Item = (Text<'a>, Text<'a>)> + use<'a> {
        let mut take = Take::new(self.items);
        std::iter::from_fn(move || Some((Text::new(take.counted8()?), Text::new(take.counted8()?))))
    }
}

impl<'a> DescriptorSyntax<'a> for ExtendedEventDescriptor<'a> {
    const TAG: DescriptorTag = DescriptorTag(0x4E);

    fn read(payload: &'a [u8]) -> Option<Self> {
        let mut take = Take::new(payload);
        let numbers = take.u8()?;
        Some(Self {
            number: numbers >> 4,
            last_number: numbers & 0x0F,
            language: Language(take.array()?),
            items: take.counted8()?,
            text: Text::new(take.counted8()?),
        })
    }

    fn write_payload(&self, put: &mut Put<'_>) {
        put.u8(self.number << 4 | self.last_number & 0x0F);
        put.bytes(&self.language.0);
        put.counted8(self.items);
        put.counted8(self.text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reads_and_writes;
    use super::*;

    const BYTES: [u8; 16] = [
        0x4E, 14, 0x2B, b'e', b'n', b'g', 5, 1, b'D', 2, b'A', b'B', 3, b'x', b'y', b'z',
    ];

    #[test]
    fn each_field_reads_and_writes() {
        let d = ExtendedEventDescriptor {
            number: 2,
            last_number: 11,
            language: Language(*b"eng"),
            items: &[1, b'D', 2, b'A', b'B'],
            text: Text::new(b"xyz"),
        };
        reads_and_writes(d, &BYTES);
        let items: Vec<_> = d.items().collect();
        assert_eq!(items, [(Text::new(b"D"), Text::new(b"AB"))]);
    }

    #[test]
    fn a_length_that_lies_is_no_descriptor() {
        for cut in 2..BYTES.len() {
            assert_eq!(ExtendedEventDescriptor::read(&BYTES[2..cut]), None);
        }
        let mut bytes = BYTES;
        bytes[9] = 3; // the item runs out of its loop
        let d = ExtendedEventDescriptor::read(&bytes[2..]).unwrap();
        assert_eq!(d.items().count(), 0);
    }
}
