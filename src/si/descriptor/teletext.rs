//! teletext_descriptor (EN 300 468 §6.2.43); VBI_teletext_descriptor has the same payload.

use super::lines::lines_descriptor;
use crate::si::Language;

lines_descriptor! {
    /// The teletext pages in a stream that a receiver should know of.
    TeletextDescriptor(0x56),
    /// Each page.
    pages: [u8; 5] => TeletextPage = |[l0, l1, l2, kind, page]| TeletextPage {
        language: Language([*l0, *l1, *l2]),
        kind: kind >> 3,
        magazine: kind & 7,
        page: *page,
    }
}

/// One line of a [`TeletextDescriptor`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TeletextPage {
    /// Its language.
    pub language: Language,
    /// teletext_type, 5 bits: 1 initial page, 2 subtitles, 5 subtitles for those who hear badly.
    pub kind: u8,
    /// teletext_magazine_number, 3 bits; 0 stands for magazine 8.
    pub magazine: u8,
    /// teletext_page_number, two BCD digits.
    pub page: u8,
}

impl TeletextPage {
    /// The bytes of the line; bits of `kind` and `magazine` that have no place are left out.
    pub const fn to_bytes(self) -> [u8; 5] {
        let Language([l0, l1, l2]) = self.language;
        [l0, l1, l2, self.kind << 3 | self.magazine & 7, self.page]
    }

    /// True for subtitles.
    pub const fn is_subtitle(self) -> bool {
        matches!(self.kind, 2 | 5)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reads_and_writes;
    use super::*;

    #[test]
    fn each_field_reads_and_writes() {
        let page = TeletextPage {
            language: Language(*b"deu"),
            kind: 0x12,
            magazine: 5,
            page: 0x89,
        };
        let bytes = page.to_bytes();
        // 10010 101: type 0x12, magazine 5.
        assert_eq!(bytes, [b'd', b'e', b'u', 0x95, 0x89]);
        let d = TeletextDescriptor::new(&bytes);
        reads_and_writes(d, &[[0x56, 5].as_slice(), &bytes].concat());
        assert_eq!(d.pages().collect::<Vec<_>>(), [page]);
        assert_eq!(TeletextDescriptor::new(&bytes[..4]).pages().count(), 0);
        assert!(!page.is_subtitle() && TeletextPage { kind: 2, ..page }.is_subtitle());
    }
}
