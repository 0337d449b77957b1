//! short_event_descriptor (EN 300 468 §6.2.37).

use super::{DescriptorSyntax, DescriptorTag};
use crate::si::{Language, Text};
use crate::ts::{Put, Take};

/// The title of an event and a line about it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ShortEventDescriptor<'a> {
    /// The language of both.
    pub language: Language,
    /// event_name.
    pub name: Text<'a>,
    /// text.
    pub text: Text<'a>,
}

impl<'a> DescriptorSyntax<'a> for ShortEventDescriptor<'a> {
    const TAG: DescriptorTag = DescriptorTag(0x4D);

    fn read(payload: &'a [u8]) -> Option<Self> {
        let mut take = Take::new(payload);
        Some(Self {
            language: Language(take.array()?),
            name: Text::new(take.counted8()?),
            text: Text::new(take.counted8()?),
        })
    }

    fn write_payload(&self, put: &mut Put<'_>) {
        put.bytes(&self.language.0);
        put.counted8(self.name.as_bytes());
        put.counted8(self.text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reads_and_writes;
    use super::*;

    const BYTES: [u8; 12] = [
        0x4D, 10, b'd', b'e', b'u', 2, b'T', b'i', 3, b'x', b'y', b'z',
    ];

    #[test]
    fn each_field_reads_and_writes() {
        let d = ShortEventDescriptor {
            language: Language(*b"deu"),
            name: Text::new(b"Ti"),
            text: Text::new(b"xyz"),
        };
        reads_and_writes(d, &BYTES);
    }

    #[test]
    fn a_length_that_lies_is_no_descriptor() {
        for cut in 2..BYTES.len() {
            assert_eq!(ShortEventDescriptor::read(&BYTES[2..cut]), None);
        }
    }
}
