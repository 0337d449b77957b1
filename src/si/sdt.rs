//! Service description (EN 300 468 §5.2.3).

use serde::{Deserialize, Serialize};

use super::descriptor::Descriptors;
use super::{OriginalNetworkId, ServiceId, TransportStreamId};
use crate::ts::{Put, Section, SectionBuf, SectionSyntax, TableId, Take};

/// running_status, three bits (EN 300 468 table 6).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunningStatus {
    /// 0: not said.
    Undefined,
    /// 1: not on air.
    NotRunning,
    /// 2: starts in a few seconds, for a recorder that has to wake up.
    StartsSoon,
    /// 3: paused.
    Pausing,
    /// 4: on air.
    Running,
    /// 5: a service is off air.
    OffAir,
    /// 6: reserved.
    Reserved6,
    /// 7: reserved.
    Reserved7,
}

impl RunningStatus {
    /// The status in the low three bits.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Undefined,
            1 => Self::NotRunning,
            2 => Self::StartsSoon,
            3 => Self::Pausing,
            4 => Self::Running,
            5 => Self::OffAir,
            6 => Self::Reserved6,
            _ => Self::Reserved7,
        }
    }

    /// The three bits.
    pub const fn to_bits(self) -> u8 {
        self as u8
    }
}

/// A section of the service description table: what the services of a transport stream are.
#[derive(Copy, Clone, Debug)]
pub struct Sdt<'a> {
    actual: bool,
    syntax: SectionSyntax,
    original_network: OriginalNetworkId,
    services: &'a [u8],
}

/// One service of an SDT.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SdtService<'a> {
    /// service_id.
    pub service: ServiceId,
    /// EIT_schedule_flag: an EIT schedule for it is in this transport stream.
    pub eit_schedule: bool,
    /// EIT_present_following_flag: an EIT present/following for it is in this transport stream.
    pub eit_present_following: bool,
    /// running_status.
    pub running: RunningStatus,
    /// free_CA_mode: some stream of it may be scrambled.
    pub scrambled: bool,
    /// Its descriptors.
    pub descriptors: Descriptors<'a>,
}

impl<'a> Sdt<'a> {
    /// table_id of the table about the transport stream it is in.
    pub const ACTUAL: TableId = TableId(0x42);
    /// table_id of a table about another transport stream.
    pub const OTHER: TableId = TableId(0x46);

    /// The SDT in `section`; `None` when it is another table or ends within its fixed part.
    pub fn new(section: Section<'a>) -> Option<Self> {
        let syntax = section.syntax()?;
        let mut take = Take::new(section.body());
        let original_network = OriginalNetworkId(take.u16()?);
        take.u8()?; // reserved_future_use
        let id = section.table_id();
        (id == Self::ACTUAL || id == Self::OTHER).then_some(Self {
            actual: id == Self::ACTUAL,
            syntax,
            original_network,
            services: take.rest(),
        })
    }

    /// True when it speaks of the transport stream that it is in.
    pub const fn is_actual(&self) -> bool {
        self.actual
    }

    /// Version, section numbers and whether it applies now.
    pub const fn syntax(&self) -> SectionSyntax {
        self.syntax
    }

    /// transport_stream_id.
    pub const fn transport_stream_id(&self) -> TransportStreamId {
        TransportStreamId(self.syntax.extension)
    }

    /// original_network_id.
    pub const fn original_network_id(&self) -> OriginalNetworkId {
        self.original_network
    }

    /// The services in order; ends early where a length lies.
    pub fn services(&self) -> impl Iterator<Item = SdtService<'a>> + use<'a> {
        let mut take = Take::new(self.services);
        std::iter::from_fn(move || {
            let service = ServiceId(take.u16()?);
            let flags = take.u8()?;
            let (status, descriptors) = take.counted12()?;
            Some(SdtService {
                service,
                eit_schedule: flags & 2 != 0,
                eit_present_following: flags & 1 != 0,
                running: RunningStatus::from_bits(status >> 1),
                scrambled: status & 1 != 0,
                descriptors: Descriptors::new(descriptors),
            })
        })
    }
}

/// The fields of an SDT section, to be written.
#[derive(Copy, Clone, Debug)]
pub struct SdtFields<'a> {
    /// About the transport stream that it is in.
    pub actual: bool,
    /// Version, section numbers; `extension` is transport_stream_id.
    pub syntax: SectionSyntax,
    /// original_network_id.
    pub original_network: OriginalNetworkId,
    /// The services.
    pub services: &'a [SdtService<'a>],
}

impl SdtFields<'_> {
    /// The section; `None` when it would be over 1024 bytes or the version is over 31.
    pub fn to_section(&self) -> Option<SectionBuf> {
        let mut body = [0; 1024 - 12];
        let mut put = Put::new(&mut body);
        put.u16(self.original_network.0);
        put.u8(0xFF); // reserved_future_use
        for s in self.services {
            put.u16(s.service.0);
            put.u8(0xFC | (s.eit_schedule as u8) << 1 | s.eit_present_following as u8);
            let status = s.running.to_bits() << 1 | s.scrambled as u8;
            put.counted12(status, s.descriptors.as_bytes());
        }
        let id = if self.actual { Sdt::ACTUAL } else { Sdt::OTHER };
        SectionBuf::long(id, true, self.syntax, put.written()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNTAX: SectionSyntax = SectionSyntax {
        extension: 0x0FED,
        version: 13,
        current: true,
        number: 1,
        last_number: 2,
    };

    /// original_network_id 0x20FA; service 0x0101 with schedule, running, a stream_identifier;
    /// service 0x0202 with present/following, not running, scrambled; by hand from §5.2.3.
    const BODY: [u8; 16] = [
        0x20, 0xFA, 0xFF, 0x01, 0x01, 0xFE, 0x80, 0x03, 0x52, 0x01, 0x07, //
        0x02, 0x02, 0xFD, 0x30, 0x00,
    ];

    fn section_of(body: &[u8]) -> SectionBuf {
        SectionBuf::long(Sdt::OTHER, true, SYNTAX, body).unwrap()
    }

    #[test]
    fn each_field_reads_from_its_bits_and_writes_back() {
        let section = section_of(&BODY);
        let sdt = Sdt::new(section.section()).unwrap();
        assert!(!sdt.is_actual());
        assert_eq!(sdt.transport_stream_id(), TransportStreamId(0x0FED));
        assert_eq!(sdt.original_network_id(), OriginalNetworkId(0x20FA));
        let services: Vec<_> = sdt.services().collect();
        let expected = [
            SdtService {
                service: ServiceId(0x0101),
                eit_schedule: true,
                eit_present_following: false,
                running: RunningStatus::Running,
                scrambled: false,
                descriptors: Descriptors::new(&[0x52, 1, 7]),
            },
            SdtService {
                service: ServiceId(0x0202),
                eit_schedule: false,
                eit_present_following: true,
                running: RunningStatus::NotRunning,
                scrambled: true,
                descriptors: Descriptors::NONE,
            },
        ];
        assert_eq!(services, expected);
        let fields = SdtFields {
            actual: false,
            syntax: sdt.syntax(),
            original_network: sdt.original_network_id(),
            services: &services,
        };
        assert_eq!(fields.to_section(), Some(section));
    }

    #[test]
    fn each_running_status_has_its_bits() {
        for bits in 0..8 {
            assert_eq!(RunningStatus::from_bits(bits).to_bits(), bits);
        }
    }

    #[test]
    fn a_body_cut_anywhere_yields_its_whole_services() {
        for cut in 0..BODY.len() {
            let section = section_of(&BODY[..cut]);
            let sdt = Sdt::new(section.section());
            assert_eq!(sdt.is_some(), cut >= 3);
            if let Some(sdt) = sdt {
                assert_eq!(
                    sdt.services().count(),
                    usize::from(cut >= 11),
                    "cut at {cut}"
                );
            }
        }
    }
}
