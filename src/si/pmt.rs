//! Program map (ISO/IEC 13818-1 §2.4.4.9).

use std::fmt;

use super::ServiceId;
use super::descriptor::Descriptors;
use crate::ts::{Pid, Put, Section, SectionBuf, SectionSyntax, TableId, Take};

/// stream_type, an open list (ISO/IEC 13818-1 table 2-34; from 0x80 on user private).
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct StreamType(pub u8);

impl StreamType {
    /// MPEG-1 video (ISO/IEC 11172-2).
    pub const MPEG1_VIDEO: Self = Self(0x01);
    /// MPEG-2 video (ISO/IEC 13818-2).
    pub const MPEG2_VIDEO: Self = Self(0x02);
    /// MPEG-1 audio (ISO/IEC 11172-3).
    pub const MPEG1_AUDIO: Self = Self(0x03);
    /// MPEG-2 audio (ISO/IEC 13818-3).
    pub const MPEG2_AUDIO: Self = Self(0x04);
    /// Private sections: application information, MPE and others.
    pub const PRIVATE_SECTIONS: Self = Self(0x05);
    /// PES packets of private data: descriptors tell what (AC-3, teletext, subtitles).
    pub const PRIVATE_PES: Self = Self(0x06);
    /// DSM-CC U-N messages: object carousels.
    pub const DSMCC_UN: Self = Self(0x0B);
    /// AAC with ADTS transport (ISO/IEC 13818-7).
    pub const AAC_ADTS: Self = Self(0x0F);
    /// MPEG-4 visual (ISO/IEC 14496-2).
    pub const MPEG4_VIDEO: Self = Self(0x10);
    /// AAC with LATM transport (ISO/IEC 14496-3).
    pub const AAC_LATM: Self = Self(0x11);
    /// Metadata in PES packets.
    pub const METADATA_PES: Self = Self(0x15);
    /// AVC (ISO/IEC 14496-10, ITU-T H.264).
    pub const AVC: Self = Self(0x1B);
    /// HEVC (ISO/IEC 23008-2, ITU-T H.265).
    pub const HEVC: Self = Self(0x24);
    /// VVC (ISO/IEC 23090-3, ITU-T H.266).
    pub const VVC: Self = Self(0x33);
    /// AC-3 (ATSC A/53).
    pub const AC3: Self = Self(0x81);
    /// Splice information (SCTE 35); DTS-HD where the registration says `HDMV`.
    pub const SCTE35: Self = Self(0x86);
    /// E-AC-3 (ATSC A/53).
    pub const EAC3: Self = Self(0x87);
    /// VC-1 (SMPTE RP 227).
    pub const VC1: Self = Self(0xEA);
}

impl fmt::Debug for StreamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamType({:#04x})", self.0)
    }
}

impl fmt::Display for StreamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// A section of a program map: the streams of one service.
///
/// ```
/// use headend::si::{Pmt, PmtFields, PmtStream, ServiceId, StreamType};
/// use headend::{si::descriptor::Descriptors, ts::Pid};
/// let pid = Pid::new(0x101).unwrap();
/// let video = PmtStream { stream_type: StreamType::AVC, pid, descriptors: Descriptors::NONE };
/// let section = PmtFields::new(ServiceId(1), 0, pid, Descriptors::NONE, &[video]).to_section();
/// let section = section.unwrap();
/// assert_eq!(Pmt::new(section.section()).unwrap().streams().next(), Some(video));
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Pmt<'a> {
    syntax: SectionSyntax,
    pcr_pid: Pid,
    descriptors: Descriptors<'a>,
    streams: &'a [u8],
}

/// A stream as its PMT describes it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PmtStream<'a> {
    /// stream_type.
    pub stream_type: StreamType,
    /// elementary_PID.
    pub pid: Pid,
    /// The loop of descriptors after ES_info_length.
    pub descriptors: Descriptors<'a>,
}

impl<'a> Pmt<'a> {
    /// table_id.
    pub const TABLE_ID: TableId = TableId(0x02);

    /// The PMT in `section`; `None` when it is another table, or ends within its fixed part or
    /// its first loop.
    pub fn new(section: Section<'a>) -> Option<Self> {
        let syntax = section.syntax()?;
        let mut take = Take::new(section.body());
        let pcr_pid = Pid::from_field(take.u16()?);
        let descriptors = Descriptors::new(take.counted12()?.1);
        (section.table_id() == Self::TABLE_ID).then_some(Self {
            syntax,
            pcr_pid,
            descriptors,
            streams: take.rest(),
        })
    }

    /// Version and whether it applies now; section numbers are always 0.
    pub const fn syntax(&self) -> SectionSyntax {
        self.syntax
    }

    /// program_number.
    pub const fn program(&self) -> ServiceId {
        ServiceId(self.syntax.extension)
    }

    /// PCR_PID; 0x1FFF where there is no clock.
    pub const fn pcr_pid(&self) -> Pid {
        self.pcr_pid
    }

    /// The descriptors of the whole program.
    pub const fn descriptors(&self) -> Descriptors<'a> {
        self.descriptors
    }

    /// The streams in order; ends early where a length lies.
    pub fn streams(&self) -> PmtStreams<'a> {
        PmtStreams(Take::new(self.streams))
    }
}

/// Iterates over the streams of a PMT.
#[derive(Copy, Clone, Debug)]
pub struct PmtStreams<'a>(Take<'a>);

impl PmtStreams<'_> {
    /// What was not read: after the end of the iteration, bytes only if a length lied.
    pub const fn rest(&self) -> &[u8] {
        self.0.rest()
    }
}

impl<'a> Iterator for PmtStreams<'a> {
    type Item = PmtStream<'a>;

    fn next(&mut self) -> Option<PmtStream<'a>> {
        let mut take = self.0;
        let stream = PmtStream {
            stream_type: StreamType(take.u8()?),
            pid: Pid::from_field(take.u16()?),
            descriptors: Descriptors::new(take.counted12()?.1),
        };
        self.0 = take;
        Some(stream)
    }
}

/// The fields of a PMT section, to be written.
#[derive(Copy, Clone, Debug)]
pub struct PmtFields<'a> {
    /// Version; `extension` is program_number.
    pub syntax: SectionSyntax,
    /// PCR_PID.
    pub pcr_pid: Pid,
    /// The descriptors of the whole program.
    pub descriptors: Descriptors<'a>,
    /// The streams.
    pub streams: &'a [PmtStream<'a>],
}

impl<'a> PmtFields<'a> {
    /// A table that applies now.
    pub const fn new(
        program: ServiceId,
        version: u8,
        pcr_pid: Pid,
        descriptors: Descriptors<'a>,
        streams: &'a [PmtStream<'a>],
    ) -> Self {
        Self {
            syntax: SectionSyntax {
                extension: program.0,
                version,
                current: true,
                number: 0,
                last_number: 0,
            },
            pcr_pid,
            descriptors,
            streams,
        }
    }

    /// The section; `None` when it would be over 1024 bytes, a loop over 1023, or the version
    /// over 31.
    pub fn to_section(&self) -> Option<SectionBuf> {
        let mut body = [0; 1024 - 12];
        let mut put = Put::new(&mut body);
        put.u16(0xE000 | self.pcr_pid.get()); // three reserved bits, ones
        // Four reserved bits, ones; §2.4.4.10 has the first two of the length 00, which the size
        // of the body sees to.
        put.counted12(0xF, self.descriptors.as_bytes());
        for stream in self.streams {
            put.u8(stream.stream_type.0);
            put.u16(0xE000 | stream.pid.get());
            put.counted12(0xF, stream.descriptors.as_bytes());
        }
        SectionBuf::long(Pmt::TABLE_ID, false, self.syntax, put.written()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mpeg2ts_reader::descriptor::CoreDescriptors;
    use mpeg2ts_reader::psi::pmt::PmtSection;

    fn pid(value: u16) -> Pid {
        Pid::new(value).unwrap()
    }

    /// program 0x0BCD, version 10, current; PCR on 0x0123; registration `CUEI`; AVC on 0x0456
    /// without descriptors, type 0x86 on 0x1789 with cue_identifier; by hand from table 2-33.
    const BODY: [u8; 23] = [
        0xE1, 0x23, 0xF0, 0x06, 0x05, 0x04, b'C', b'U', b'E', b'I', //
        0x1B, 0xE4, 0x56, 0xF0, 0x00, //
        0x86, 0xF7, 0x89, 0xF0, 0x03, 0x8A, 0x01, 0x5A,
    ];

    fn syntax() -> SectionSyntax {
        SectionSyntax {
            extension: 0x0BCD,
            version: 10,
            current: true,
            number: 0,
            last_number: 0,
        }
    }

    fn section_of(body: &[u8]) -> SectionBuf {
        SectionBuf::long(TableId(2), false, syntax(), body).unwrap()
    }

    #[test]
    fn each_field_reads_from_its_bits_and_writes_back() {
        let section = section_of(&BODY);
        let pmt = Pmt::new(section.section()).unwrap();
        assert_eq!(
            (pmt.program(), pmt.pcr_pid()),
            (ServiceId(0x0BCD), pid(0x123))
        );
        assert_eq!(pmt.descriptors().as_bytes(), &BODY[4..10]);
        let streams: Vec<_> = pmt.streams().collect();
        let ids: Vec<_> = streams.iter().map(|s| (s.stream_type, s.pid)).collect();
        assert_eq!(
            ids,
            [
                (StreamType::AVC, pid(0x456)),
                (StreamType::SCTE35, pid(0x1789))
            ]
        );
        assert_eq!(streams[1].descriptors.as_bytes(), &BODY[20..]);
        let fields = PmtFields {
            syntax: pmt.syntax(),
            pcr_pid: pmt.pcr_pid(),
            descriptors: pmt.descriptors(),
            streams: &streams,
        };
        assert_eq!(fields.to_section(), Some(section));
    }

    #[test]
    fn each_bit_of_a_pid_has_its_place() {
        for bit in 0..13 {
            let p = pid(1 << bit);
            let stream = PmtStream {
                stream_type: StreamType(0),
                pid: p,
                descriptors: Descriptors::NONE,
            };
            let streams = [stream];
            let fields = PmtFields::new(ServiceId(0), 0, p, Descriptors::NONE, &streams);
            let section = fields.to_section().unwrap();
            let [hi, lo] = (0xE000 | 1u16 << bit).to_be_bytes();
            assert_eq!(
                section.section().body(),
                [hi, lo, 0xF0, 0, 0, hi, lo, 0xF0, 0]
            );
        }
    }

    #[test]
    fn a_second_reader_sees_the_same_streams() {
        let section = section_of(&BODY);
        let body = section.section().body();
        let theirs = PmtSection::from_bytes(body).unwrap();
        let ours = Pmt::new(section.section()).unwrap();
        assert_eq!(u16::from(theirs.pcr_pid()), ours.pcr_pid().get());
        let theirs: Vec<_> = theirs
            .streams()
            .map(|s| {
                let n = s.descriptors::<CoreDescriptors<'_>>().count();
                (u8::from(s.stream_type()), u16::from(s.elementary_pid()), n)
            })
            .collect();
        let ours: Vec<_> = ours
            .streams()
            .map(|s| (s.stream_type.0, s.pid.get(), s.descriptors.iter().count()))
            .collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn a_body_cut_anywhere_yields_its_whole_streams() {
        for cut in 0..BODY.len() {
            let section = section_of(&BODY[..cut]);
            let pmt = Pmt::new(section.section());
            assert_eq!(pmt.is_some(), cut >= 10, "cut at {cut}");
            if let Some(pmt) = pmt {
                let mut streams = pmt.streams();
                assert_eq!(streams.by_ref().count(), usize::from(cut >= 15));
                assert_eq!(
                    streams.rest().len(),
                    if cut >= 15 { cut - 15 } else { cut - 10 }
                );
            }
        }
    }

    #[test]
    fn what_does_not_fit_a_section_is_refused() {
        // 12 bytes of section, 4 and 5 of fixed fields, 1003 of descriptors: 1024.
        let bytes = [0x5A; 1004];
        let fits = [PmtStream {
            stream_type: StreamType(6),
            pid: pid(1),
            descriptors: Descriptors::new(&bytes[..1003]),
        }];
        let streams = [PmtStream {
            stream_type: StreamType(6),
            pid: pid(1),
            descriptors: Descriptors::new(&bytes),
        }];
        let fields = PmtFields::new(ServiceId(1), 0, pid(1), Descriptors::NONE, &streams);
        assert!(fields.to_section().is_none());
        let fields = PmtFields::new(ServiceId(1), 0, pid(1), Descriptors::NONE, &fits);
        assert_eq!(fields.to_section().map(|s| s.as_bytes().len()), Some(1024));
    }
}
