//! The PES packet header (ISO/IEC 13818-1 §2.4.3.6, §2.4.3.7).

use super::{Dts, Pts};

/// stream_id (table 2-22), an open list.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u8);

impl StreamId {
    /// Private stream 1: AC-3, teletext, DVB subtitles and others.
    pub const PRIVATE_1: Self = Self(0xBD);
    /// Padding.
    pub const PADDING: Self = Self(0xBE);

    /// True for the eight ids whose PES packets have no header beyond PES_packet_length.
    pub const fn is_bare(self) -> bool {
        // program_stream_map, padding, private_stream_2, ECM, EMM, program_stream_directory,
        // DSM-CC, ITU-T H.222.1 type E
        matches!(
            self.0,
            0xBC | 0xBE | 0xBF | 0xF0 | 0xF1 | 0xFF | 0xF2 | 0xF8
        )
    }

    /// True for MPEG-1, -2, -4, AVC, HEVC video: 0xE0 to 0xEF.
    pub const fn is_video(self) -> bool {
        self.0 & 0xF0 == 0xE0
    }

    /// True for MPEG audio and AAC: 0xC0 to 0xDF.
    pub const fn is_audio(self) -> bool {
        self.0 & 0xE0 == 0xC0
    }
}

/// Where PTS_DTS_flags stand in a PES packet.
const FLAGS: usize = 7;
/// Where PES_header_data_length stands.
const HEADER_LENGTH: usize = 8;
/// Where the optional fields start, PTS first.
const OPTIONAL: usize = 9;

/// A checked PES packet header: start code, and the fixed part all there.
///
/// ```
/// use headend::ts::{PesHeader, Pts};
/// let bytes = [0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 3, 0xAA];
/// let pes = PesHeader::new(&bytes).unwrap();
/// assert_eq!(pes.pts(), Pts::from_ticks(1));
/// assert_eq!(&bytes[pes.header_len()..], [0xAA]);
/// ```
#[derive(Copy, Clone, Debug)]
pub struct PesHeader<'a> {
    bytes: &'a [u8],
}

impl<'a> PesHeader<'a> {
    /// The header at the start of `bytes`; `None` when there is no packet_start_code_prefix or
    /// the fixed part (six bytes, or nine where flags follow) is cut off.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let id = StreamId(*bytes.get(3)?);
        let fixed = if id.is_bare() { 6 } else { OPTIONAL };
        (bytes.starts_with(&[0, 0, 1]) && bytes.len() >= fixed).then_some(Self { bytes })
    }

    /// stream_id.
    pub fn stream_id(&self) -> StreamId {
        StreamId(self.bytes[3])
    }

    /// PES_packet_length: bytes after this field; 0 is unbounded (video only).
    pub fn packet_length(&self) -> u16 {
        u16::from_be_bytes([self.bytes[4], self.bytes[5]])
    }

    fn flags(&self) -> Option<u8> {
        if self.stream_id().is_bare() {
            None
        } else {
            self.bytes.get(FLAGS).copied()
        }
    }

    /// data_alignment_indicator: the payload starts with an access unit's start code.
    pub fn data_alignment(&self) -> bool {
        self.flags().is_some() && self.bytes[6] & 0x04 != 0
    }

    /// How many stamps PTS_DTS_flags announce, whether or not their bytes are here: 0, 1 or 2.
    /// The value 01 is forbidden and announces none.
    pub fn stamps_announced(&self) -> usize {
        match self.flags().unwrap_or(0) >> 6 {
            2 => 1,
            3 => 2,
            _ => 0,
        }
    }

    /// PTS; `None` when there is none or its bytes are cut off.
    pub fn pts(&self) -> Option<Pts> {
        let there = self.flags()? & 0x80 != 0;
        self.optional(0).filter(|_| there).map(Pts::read)
    }

    /// DTS where it differs from PTS; `None` when there is none or its bytes are cut off.
    pub fn dts(&self) -> Option<Dts> {
        let there = self.flags()? & 0xC0 == 0xC0;
        self.optional(5).filter(|_| there).map(Dts::read)
    }

    /// The decoding time: DTS, else PTS.
    pub fn decode_time(&self) -> Option<Dts> {
        self.dts().or_else(|| self.pts().map(Pts::to_dts))
    }

    /// Bytes before the payload: 6, or 9 and PES_header_data_length. May lie beyond `bytes` when
    /// the header goes on in the next transport packet.
    pub fn header_len(&self) -> usize {
        if self.stream_id().is_bare() {
            6
        } else {
            OPTIONAL + usize::from(self.bytes[HEADER_LENGTH])
        }
    }

    /// The five bytes at `offset` in the optional part, if the header says it is that long.
    fn optional(&self, offset: usize) -> Option<&'a [u8; 5]> {
        if usize::from(*self.bytes.get(HEADER_LENGTH)?) < offset + 5 {
            return None;
        }
        self.bytes.get(OPTIONAL + offset..)?.first_chunk()
    }

    /// Replaces the PTS of the PES packet at the start of `bytes`; false when it has none.
    pub fn set_pts(bytes: &mut [u8], pts: Pts) -> bool {
        let there = PesHeader::new(bytes).is_some_and(|h| h.pts().is_some());
        match bytes.get_mut(OPTIONAL..).and_then(|b| b.first_chunk_mut()) {
            Some(field) if there => {
                pts.write(field);
                true
            }
            _ => false,
        }
    }

    /// Replaces the DTS of the PES packet at the start of `bytes`; false when it has none.
    pub fn set_dts(bytes: &mut [u8], dts: Dts) -> bool {
        let there = PesHeader::new(bytes).is_some_and(|h| h.dts().is_some());
        match bytes
            .get_mut(OPTIONAL + 5..)
            .and_then(|b| b.first_chunk_mut())
        {
            Some(field) if there => {
                dts.write(field);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PTS 0x1_0000_0001 and DTS 0x0_8000_0002 on stream 0xE3, aligned, length 0x1234, one
    /// stuffing byte; fields spelt by hand from table 2-21.
    const HEADER: [u8; 21] = [
        0, 0, 1, 0xE3, 0x12, 0x34, 0x84, 0xC0, 11, 0x39, 0x00, 0x01, 0x00, 0x03, 0x15, 0x00, 0x01,
        0x00, 0x05, 0xFF, 0x77,
    ];

    #[test]
    fn each_field_reads_from_its_bits() {
        let h = PesHeader::new(&HEADER).unwrap();
        assert_eq!((h.stream_id(), h.packet_length()), (StreamId(0xE3), 0x1234));
        assert!(h.data_alignment() && h.stream_id().is_video() && !h.stream_id().is_audio());
        assert_eq!(h.pts(), Pts::from_ticks(0x1_0000_0001));
        assert_eq!(h.dts(), Dts::from_ticks(0x0_8000_0002));
        assert_eq!(h.decode_time(), h.dts());
        assert_eq!(h.header_len(), 20);
    }

    #[test]
    fn a_header_cut_anywhere_yields_what_is_there() {
        for n in 0..HEADER.len() {
            let h = PesHeader::new(&HEADER[..n]);
            assert_eq!(h.is_some(), n >= 9);
            if let Some(h) = h {
                assert_eq!((h.pts().is_some(), h.dts().is_some()), (n >= 14, n >= 19));
            }
        }
        let bare = [0, 0, 1, 0xBF, 0, 2, 0xC0, 0xC0];
        let h = PesHeader::new(&bare).unwrap();
        assert_eq!(
            (h.pts(), h.dts(), h.header_len(), h.data_alignment()),
            (None, None, 6, false)
        );
    }

    #[test]
    fn a_flag_without_room_in_the_header_is_no_stamp() {
        let mut bytes = HEADER;
        bytes[8] = 5;
        let h = PesHeader::new(&bytes).unwrap();
        assert!(h.pts().is_some() && h.dts().is_none());
        bytes[8] = 4;
        assert!(PesHeader::new(&bytes).unwrap().pts().is_none());
        assert!(!PesHeader::set_pts(&mut bytes, Pts::wrapping(0)));
    }

    #[test]
    fn stamps_are_written_in_place() {
        let mut bytes = HEADER;
        assert!(PesHeader::set_pts(&mut bytes, Pts::wrapping(0x1_5555_5555)));
        assert!(PesHeader::set_dts(&mut bytes, Dts::wrapping(0x0_AAAA_AAAA)));
        let h = PesHeader::new(&bytes).unwrap();
        assert_eq!(h.pts().map(Pts::ticks), Some(0x1_5555_5555));
        assert_eq!(h.dts().map(Dts::ticks), Some(0x0_AAAA_AAAA));
        assert!(PesHeader::set_pts(&mut bytes, Pts::wrapping(0x1_0000_0001)));
        assert!(PesHeader::set_dts(&mut bytes, Dts::wrapping(0x0_8000_0002)));
        assert_eq!(bytes, HEADER);
    }
}
