//! Text of SI (EN 300 468 annex A).
//!
//! A text says by its first byte or bytes which character table it uses; without them it is the
//! Latin table that extends ISO/IEC 6937, where a diacritic stands before its letter. The tables of
//! ISO/IEC 8859 and the multibyte ones are encoding_rs's, from 0xA0 on where the two agree: below,
//! its Windows tables have letters where DVB has control codes.

use std::fmt::{self, Write};

use encoding_rs::Encoding;

/// A text as it stands in a descriptor.
///
/// `Display` reads it and cannot fail: what no table has is U+FFFD, emphasis is left out, CR/LF
/// (0x8A) is a line feed.
///
/// ```
/// use headend::si::Text;
/// assert_eq!(Text::new(b"caf\xC2e").to_string(), "café");
/// assert_eq!(Text::new(b"\x15\xC4\x8Desk\xC3\xA1").to_string(), "česká");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// A text of those bytes, its table selector included.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// A character table.
#[derive(Copy, Clone)]
enum Table {
    /// Table 00.
    Latin,
    /// ISO/IEC 8859, one byte a character.
    Single(&'static Encoding),
    /// KS X 1001, GB 2312, Big5.
    Multi(&'static Encoding),
    /// ISO/IEC 10646 in two bytes a character, big endian.
    Ucs2,
    Utf8,
    /// Reserved, or a compression by arrangement (0x1F).
    Unknown,
}

impl Table {
    /// The table that the selector at the start of `bytes` names, and the bytes after it (tables
    /// A.3 and A.4).
    fn select(bytes: &[u8]) -> (Self, &[u8]) {
        match bytes {
            [0x20..=0xFF, ..] | [] => (Self::Latin, bytes),
            [n @ 0x01..=0x0B, rest @ ..] => (Self::iso_8859(n + 4), rest),
            [0x10, 0x00, n, rest @ ..] => (Self::iso_8859(*n), rest),
            [0x11, rest @ ..] => (Self::Ucs2, rest),
            [0x12, rest @ ..] => (Self::Multi(encoding_rs::EUC_KR), rest),
            [0x13, rest @ ..] => (Self::Multi(encoding_rs::GBK), rest),
            [0x14, rest @ ..] => (Self::Multi(encoding_rs::BIG5), rest),
            [0x15, rest @ ..] => (Self::Utf8, rest),
            [0x1F, _, rest @ ..] => (Self::Unknown, rest),
            [_, rest @ ..] => (Self::Unknown, rest),
        }
    }

    /// ISO/IEC 8859-`part`, by the table of encoding_rs that has it from 0xA0 on.
    const fn iso_8859(part: u8) -> Self {
        Self::Single(match part {
            1 => encoding_rs::WINDOWS_1252,
            2 => encoding_rs::ISO_8859_2,
            3 => encoding_rs::ISO_8859_3,
            4 => encoding_rs::ISO_8859_4,
            5 => encoding_rs::ISO_8859_5,
            6 => encoding_rs::ISO_8859_6,
            7 => encoding_rs::ISO_8859_7,
            8 => encoding_rs::ISO_8859_8,
            9 => encoding_rs::WINDOWS_1254,
            10 => encoding_rs::ISO_8859_10,
            11 => encoding_rs::WINDOWS_874,
            13 => encoding_rs::ISO_8859_13,
            14 => encoding_rs::ISO_8859_14,
            15 => encoding_rs::ISO_8859_15,
            _ => return Self::Unknown,
        })
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, bytes) = Table::select(self.0);
        match table {
            Table::Latin => write_latin(f, bytes),
            Table::Single(encoding) => write_single(f, bytes, encoding),
            Table::Multi(encoding) => {
                let (text, _) = encoding.decode_without_bom_handling(bytes);
                text.chars().try_for_each(|c| write_char(f, c))
            }
            Table::Ucs2 => {
                let (units, _) = bytes.as_chunks();
                char::decode_utf16(units.iter().map(|unit| u16::from_be_bytes(*unit)))
                    .try_for_each(|c| write_char(f, c.unwrap_or(char::REPLACEMENT_CHARACTER)))
            }
            Table::Utf8 => String::from_utf8_lossy(bytes)
                .chars()
                .try_for_each(|c| write_char(f, c)),
            Table::Unknown => bytes.iter().try_for_each(|b| write_char(f, ascii(*b))),
        }
    }
}

/// The character of a byte below 0x80 or of a control code; U+FFFD for every other.
const fn ascii(byte: u8) -> char {
    if byte < 0xA0 {
        byte as char
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

/// Writes `c`, or what a control code asks for (tables A.1 and A.2; in two-byte tables they stand
/// in the private use area).
fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '\n' | '\u{8A}' | '\u{E08A}' => f.write_char('\n'),
        '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{E080}'..='\u{E09F}' => Ok(()),
        c => f.write_char(c),
    }
}

fn write_single(
    f: &mut fmt::Formatter<'_>,
    bytes: &[u8],
    encoding: &'static Encoding,
) -> fmt::Result {
    for run in bytes.chunk_by(|a, b| (*a < 0xA0) == (*b < 0xA0)) {
        if run.first().is_some_and(|b| *b < 0xA0) {
            run.iter().try_for_each(|b| write_char(f, ascii(*b)))?;
        } else {
            f.write_str(&encoding.decode_without_bom_handling(run).0)?;
        }
    }
    Ok(())
}

/// Table 00 from 0xA0 to 0xFF; space where it has nothing, or a diacritic.
///
/// 0xE2 is the capital of 0xF2 (Croatian); ISO/IEC 6937 lets Icelandic's Eth share it.
const LATIN: [char; 96] = [
    '\u{A0}', '¡', '¢', '£', '€', '¥', ' ', '§', '¤', '‘', '“', '«', '←', '↑', '→', '↓', //
    '°', '±', '²', '³', '×', 'µ', '¶', '·', '÷', '’', '”', '»', '¼', '½', '¾', '¿', //
    ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', //
    '—', '¹', '®', '©', '™', '♪', '¬', '¦', ' ', ' ', ' ', ' ', '⅛', '⅜', '⅝', '⅞', //
    '\u{2126}', 'Æ', 'Đ', 'ª', 'Ħ', ' ', 'Ĳ', 'Ŀ', 'Ł', 'Ø', 'Œ', 'º', 'Þ', 'Ŧ', 'Ŋ', 'ŉ', //
    'ĸ', 'æ', 'đ', 'ð', 'ħ', 'ı', 'ĳ', 'ŀ', 'ł', 'ø', 'œ', 'ß', 'þ', 'ŧ', 'ŋ', '\u{AD}',
];

/// The diacritics of table 00: the byte, the combining character, and the letters that ISO/IEC
/// 6937 puts under it, each before what the two make.
const DIACRITICS: [(u8, char, &str); 13] = [
    (0xC1, '\u{300}', "AÀEÈIÌOÒUÙaàeèiìoòuù"),
    (
        0xC2,
        '\u{301}',
        " ´AÁCĆEÉIÍLĹNŃOÓRŔSŚUÚYÝZŹaácćeéiílĺnńoórŕsśuúyýzź",
    ),
    (
        0xC3,
        '\u{302}',
        "AÂCĈEÊGĜHĤIÎJĴOÔSŜUÛWŴYŶaâcĉeêgĝhĥiîjĵoôsŝuûwŵyŷ",
    ),
    (0xC4, '\u{303}', "AÃIĨNÑOÕUŨaãiĩnñoõuũ"),
    (0xC5, '\u{304}', " ¯AĀEĒIĪOŌUŪaāeēiīoōuū"),
    (0xC6, '\u{306}', " ˘AĂGĞUŬaăgğuŭ"),
    (0xC7, '\u{307}', " ˙CĊEĖGĠIİZŻcċeėgġzż"),
    (0xC8, '\u{308}', " ¨AÄEËIÏOÖUÜYŸaäeëiïoöuüyÿ"),
    (0xCA, '\u{30A}', " ˚AÅUŮaåuů"),
    (0xCB, '\u{327}', " ¸CÇGĢKĶLĻNŅRŖSŞTŢcçgģkķlļnņrŗsştţ"),
    (0xCD, '\u{30B}', " ˝OŐUŰoőuű"),
    (0xCE, '\u{328}', " ˛AĄEĘIĮUŲaąeęiįuų"),
    (0xCF, '\u{30C}', " ˇCČDĎEĚLĽNŇRŘSŠTŤZŽcčdďeělľnňrřsštťzž"),
];

/// The pairs of letter and composed letter in a line of [`DIACRITICS`].
fn pairs(letters: &str) -> impl Iterator<Item = (char, char)> {
    let mut letters = letters.chars();
    std::iter::from_fn(move || Some((letters.next()?, letters.next()?)))
}

fn write_latin(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        let Some((_, mark, letters)) = DIACRITICS.iter().find(|(b, ..)| *b == byte) else {
            write_char(f, latin(byte))?;
            continue;
        };
        // A diacritic with nothing after it is lost with what was cut off.
        let Some(base) = bytes.next() else { break };
        let base = latin(base);
        match pairs(letters).find(|(letter, _)| *letter == base) {
            Some((_, composed)) => write_char(f, composed)?,
            None => {
                write_char(f, base)?;
                f.write_char(*mark)?;
            }
        }
    }
    Ok(())
}

/// One byte of table 00.
fn latin(byte: u8) -> char {
    match byte.checked_sub(0xA0) {
        None => ascii(byte),
        Some(index) => match LATIN.get(usize::from(index)) {
            Some(c) if *c != ' ' => *c,
            _ => char::REPLACEMENT_CHARACTER,
        },
    }
}

/// The parts of ISO/IEC 8859 that a one-byte selector names and receivers are known to have, in
/// the order in which a text tries them.
const WRITTEN_PARTS: [u8; 6] = [5, 7, 8, 6, 11, 13];

/// Writes `text` in the table that takes the fewest bytes: table 00, else a part of ISO/IEC 8859
/// that has every character, else UTF-8. It is cut at a character so that it has at most `limit`
/// bytes with the selector.
///
/// ```
/// use headend::si::encode_text;
/// assert_eq!(encode_text("café", 255), b"caf\xC2e");
/// assert_eq!(encode_text("Вести", 255), b"\x01\xB2\xD5\xE1\xE2\xD8");
/// assert_eq!(encode_text("日本", 255), "\x15日本".as_bytes());
/// ```
pub fn encode_text(text: &str, limit: usize) -> Vec<u8> {
    let text = text.replace("\r\n", "\n");
    if let Some(bytes) = encode(&text, &[], limit, latin_bytes) {
        return bytes;
    }
    for part in WRITTEN_PARTS {
        let Table::Single(encoding) = Table::iso_8859(part) else {
            continue;
        };
        let one = |c, out: &mut Vec<u8>| single_byte(c, encoding, out);
        if let Some(bytes) = encode(&text, &[part - 4], limit, one) {
            return bytes;
        }
    }
    let utf8 = |c: char, out: &mut Vec<u8>| {
        let c = if c == '\n' { '\u{E08A}' } else { c };
        out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
        true
    };
    encode(&text, &[0x15], limit, utf8).unwrap_or_default()
}

/// `selector`, then each character as `one` writes it, until `limit`; `None` when `one` has no
/// bytes for some character.
fn encode(
    text: &str,
    selector: &[u8],
    limit: usize,
    one: impl Fn(char, &mut Vec<u8>) -> bool,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut fits = 0;
    for c in text.chars() {
        if bytes.is_empty() {
            bytes.extend(selector);
        }
        if !one(c, &mut bytes) {
            return None;
        }
        if bytes.len() <= limit {
            fits = bytes.len();
        }
    }
    bytes.truncate(fits);
    Some(bytes)
}

/// Writes the bytes of `c` in table 00; false when it has none.
fn latin_bytes(c: char, out: &mut Vec<u8>) -> bool {
    match c {
        '\n' => out.push(0x8A),
        ' '..='~' => out.push(c as u8),
        'Ð' => out.push(0xE2),
        'Ω' => out.push(0xE0),
        _ => {
            if let Some(i) = LATIN.iter().position(|l| *l == c) {
                out.push(0xA0 + i as u8);
                return true;
            }
            let found = DIACRITICS.iter().find_map(|(byte, _, letters)| {
                let (base, _) = pairs(letters).find(|(_, composed)| *composed == c)?;
                Some([*byte, base as u8])
            });
            match found {
                Some(two) => out.extend(two),
                None => return false,
            }
        }
    }
    true
}

/// Writes the byte of `c` in a table of one byte a character; false when it has none.
fn single_byte(c: char, encoding: &'static Encoding, out: &mut Vec<u8>) -> bool {
    match c {
        '\n' => out.push(0x8A),
        ' '..='~' => out.push(c as u8),
        _ => {
            let mut utf8 = [0; 4];
            let (bytes, _, failed) = encoding.encode(c.encode_utf8(&mut utf8));
            match *bytes {
                [byte @ 0xA0..=0xFF] if !failed => out.push(byte),
                _ => return false,
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(bytes: &[u8], expected: &str) {
        assert_eq!(Text::new(bytes).to_string(), expected);
    }

    #[test]
    fn each_selector_names_its_table() {
        // 0xE4 in each part of ISO/IEC 8859, from the parts themselves; part 12 was never made.
        let by_part = [
            (1, "ä"),
            (2, "ä"),
            (3, "ä"),
            (4, "ä"),
            (5, "ф"),
            (6, "ل"),
            (7, "δ"),
            (8, "ה"),
            (9, "ä"),
            (10, "ä"),
            (11, "ไ"),
            (12, "\u{FFFD}"),
            (13, "ä"),
            (14, "ä"),
            (15, "ä"),
        ];
        for (part, expected) in by_part {
            reads(&[0x10, 0x00, part, 0xE4], expected);
            if part >= 5 {
                reads(&[part - 4, 0xE4], expected);
            }
        }
        reads(b"\x0B\xA4", "€"); // 8859-15 differs from 8859-1 here
        reads(b"\x11\x04\x12\xD8\x3D\xDE\x00", "В😀");
        reads(b"\x12\xC7\xD1", "한");
        reads(b"\x13\xD6\xD0", "中");
        reads(b"\x14\xA4\xA4", "中");
        reads(b"\x15\xE4\xB8\xAD", "中");
        reads(b"\x1F\x01abc\xE4", "abc\u{FFFD}");
        reads(b"\x0Cabc", "abc");
        reads(b"", "");
        reads(b"\x10", "");
        reads(b"\x1F", "");
    }

    #[test]
    fn control_codes_are_no_letters() {
        // Emphasis on and off, CR/LF; 0x8A is a letter in Windows-1252.
        reads(b"a\x86b\x87\x8Ac", "ab\nc");
        reads(b"\x10\x00\x01a\x86b\x87\x8Ac", "ab\nc");
        reads("\x15a\u{E086}b\u{E087}\u{E08A}c".as_bytes(), "ab\nc");
        reads(b"\x11\0a\xE0\x86\0b\xE0\x87\xE0\x8A\0c", "ab\nc");
    }

    #[test]
    fn every_byte_reads_in_every_table() {
        for selector in 0..=255 {
            let bytes: Vec<u8> = std::iter::once(selector).chain(0..=255).collect();
            for cut in 0..bytes.len() {
                let _ = Text::new(&bytes[..cut]).to_string();
            }
        }
    }

    #[test]
    fn a_diacritic_stands_before_its_letter() {
        reads(b"\xC8a\xCDo\xCFs", "äőš");
        reads(b"\xC8x", "x\u{308}"); // no such letter: the mark combines
        reads(b"\xC8\xF1", "æ\u{308}");
        reads(b"a\xC8", "a");
        reads(b"\xC2 ", "´");
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "",
            "Tagesschau",
            "Où est-elle\u{a0}? «Čeština» – œuvre",
            "ŁÓDŹ, Øresund, ĦĿ™♪",
            "Вести недели",
            "Ειδήσεις",
            "חדשות",
            "日本放送協会 😀",
            "one\ntwo",
            "Вести\nдва",
            "日\n本",
        ] {
            let bytes = encode_text(text, 255);
            assert_eq!(Text::new(&bytes).to_string(), text);
        }
        assert_eq!(Text::new(&encode_text("a\r\nb", 9)).to_string(), "a\nb");
        assert_eq!(Text::new(&encode_text("Ð", 9)).to_string(), "Đ");
    }

    #[test]
    fn every_letter_of_table_00_writes_as_it_reads() {
        for byte in 0xA0..=0xFFu8 {
            let c = latin(byte);
            if c != char::REPLACEMENT_CHARACTER {
                assert_eq!(encode_text(&c.to_string(), 2), [byte]);
            }
        }
        for (byte, _, letters) in DIACRITICS {
            for (base, composed) in pairs(letters) {
                assert_eq!(encode_text(&composed.to_string(), 2), [byte, base as u8]);
                reads(&[byte, base as u8], &composed.to_string());
            }
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(encode_text("aé", 2), b"a");
        assert_eq!(encode_text("日本", 6), "\x15日".as_bytes());
        assert_eq!(encode_text("日本", 3), b"");
        assert_eq!(encode_text("abc", 0), b"");
    }
}
