//! Event information (EN 300 468 §5.2.4).

use super::descriptor::Descriptors;
use super::{
    DvbDuration, DvbTime, EventId, OriginalNetworkId, RunningStatus, ServiceId, TransportStreamId,
};
use crate::ts::{Put, Section, SectionBuf, SectionSyntax, TableId, Take};

/// Which of the event information tables a section belongs to (EN 300 468 table 2).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct EitKind {
    /// About a service of the transport stream that it is in, rather than of another.
    pub actual: bool,
    /// `None` for present/following; for a schedule, which of the sixteen tables, four days each.
    pub schedule: Option<u8>,
}

impl EitKind {
    /// Present and following event of a service of this transport stream.
    pub const PRESENT_FOLLOWING: Self = Self {
        actual: true,
        schedule: None,
    };

    /// The kind whose table_id is `id`; `None` when no EIT has it.
    pub const fn from_table_id(id: TableId) -> Option<Self> {
        let (actual, schedule) = match id.0 {
            0x4E => (true, None),
            0x4F => (false, None),
            0x50..=0x5F => (true, Some(id.0 - 0x50)),
            0x60..=0x6F => (false, Some(id.0 - 0x60)),
            _ => return None,
        };
        Some(Self { actual, schedule })
    }

    /// table_id; `None` when the number of a schedule is over 15.
    pub const fn table_id(self) -> Option<TableId> {
        match (self.actual, self.schedule) {
            (true, None) => Some(TableId(0x4E)),
            (false, None) => Some(TableId(0x4F)),
            (true, Some(n)) if n < 16 => Some(TableId(0x50 + n)),
            (false, Some(n)) if n < 16 => Some(TableId(0x60 + n)),
            _ => None,
        }
    }

    /// Where a schedule puts the events that start in the `segment`th three hours since midnight
    /// UTC of today: the table, and the first of its eight sections (TR 101 211 §4.1.4).
    /// `None` from segment 512 on: a schedule reaches 64 days.
    pub const fn of_segment(actual: bool, segment: u16) -> Option<(Self, u8)> {
        if segment >= 512 {
            return None;
        }
        let schedule = Some((segment / 32) as u8);
        Some((Self { actual, schedule }, (segment % 32 * 8) as u8))
    }
}

/// A section of an event information table: events of one service.
///
/// In present/following, section 0 holds the present event and section 1 the following one; each
/// may hold none.
#[derive(Copy, Clone, Debug)]
pub struct Eit<'a> {
    kind: EitKind,
    syntax: SectionSyntax,
    transport_stream: TransportStreamId,
    original_network: OriginalNetworkId,
    segment_last_section: u8,
    last_table: TableId,
    events: &'a [u8],
}

/// One event of an EIT.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct EitEvent<'a> {
    /// event_id.
    pub event: EventId,
    /// start_time.
    pub start: DvbTime,
    /// duration.
    pub duration: DvbDuration,
    /// running_status.
    pub running: RunningStatus,
    /// free_CA_mode: some stream may be scrambled.
    pub scrambled: bool,
    /// Its descriptors.
    pub descriptors: Descriptors<'a>,
}

impl<'a> Eit<'a> {
    /// The EIT in `section`; `None` when it is another table or ends within its fixed part.
    pub fn new(section: Section<'a>) -> Option<Self> {
        let kind = EitKind::from_table_id(section.table_id())?;
        let syntax = section.syntax()?;
        let mut take = Take::new(section.body());
        Some(Self {
            kind,
            syntax,
            transport_stream: TransportStreamId(take.u16()?),
            original_network: OriginalNetworkId(take.u16()?),
            segment_last_section: take.u8()?,
            last_table: TableId(take.u8()?),
            events: take.rest(),
        })
    }

    /// Which table it belongs to.
    pub const fn kind(&self) -> EitKind {
        self.kind
    }

    /// Version, section numbers and whether it applies now.
    pub const fn syntax(&self) -> SectionSyntax {
        self.syntax
    }

    /// service_id.
    pub const fn service(&self) -> ServiceId {
        ServiceId(self.syntax.extension)
    }

    /// transport_stream_id.
    pub const fn transport_stream_id(&self) -> TransportStreamId {
        self.transport_stream
    }

    /// original_network_id.
    pub const fn original_network_id(&self) -> OriginalNetworkId {
        self.original_network
    }

    /// segment_last_section_number.
    pub const fn segment_last_section_number(&self) -> u8 {
        self.segment_last_section
    }

    /// last_table_id.
    pub const fn last_table_id(&self) -> TableId {
        self.last_table
    }

    /// For a schedule: which three hours since midnight UTC of today its events start in, 0 to
    /// 511 (TR 101 211 §4.1.4).
    pub fn segment(&self) -> Option<u16> {
        let table = u16::from(self.kind.schedule?);
        Some(table * 32 + u16::from(self.syntax.number / 8))
    }

    /// The events in order; ends early where a length lies.
    pub fn events(&self) -> impl Iterator<Item = EitEvent<'a>> + use<'a> {
        let mut take = Take::new(self.events);
        std::iter::from_fn(move || {
            let event = EventId(take.u16()?);
            let start = DvbTime(take.array()?);
            let duration = DvbDuration(take.array()?);
            let (status, descriptors) = take.counted12()?;
            Some(EitEvent {
                event,
                start,
                duration,
                running: RunningStatus::from_bits(status >> 1),
                scrambled: status & 1 != 0,
                descriptors: Descriptors::new(descriptors),
            })
        })
    }
}

/// The fields of an EIT section, to be written.
#[derive(Copy, Clone, Debug)]
pub struct EitFields<'a> {
    /// Which table.
    pub kind: EitKind,
    /// Version, section numbers; `extension` is service_id.
    pub syntax: SectionSyntax,
    /// transport_stream_id.
    pub transport_stream: TransportStreamId,
    /// original_network_id.
    pub original_network: OriginalNetworkId,
    /// segment_last_section_number; of present/following, last_section_number.
    pub segment_last_section: u8,
    /// last_table_id; of present/following, its own.
    pub last_table: TableId,
    /// The events.
    pub events: &'a [EitEvent<'a>],
}

impl EitFields<'_> {
    /// The section; `None` when it would be over 4096 bytes, the version is over 31, or the kind
    /// has no table_id.
    pub fn to_section(&self) -> Option<SectionBuf> {
        let mut body = [0; Section::MAX_SIZE - 12];
        let mut put = Put::new(&mut body);
        put.u16(self.transport_stream.0);
        put.u16(self.original_network.0);
        put.u8(self.segment_last_section);
        put.u8(self.last_table.0);
        for e in self.events {
            put.u16(e.event.0);
            put.bytes(&e.start.0);
            put.bytes(&e.duration.0);
            let status = e.running.to_bits() << 1 | e.scrambled as u8;
            put.counted12(status, e.descriptors.as_bytes());
        }
        SectionBuf::long(self.kind.table_id()?, true, self.syntax, put.written()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNTAX: SectionSyntax = SectionSyntax {
        extension: 0x0A0B,
        version: 30,
        current: true,
        number: 0x29,
        last_number: 0xF8,
    };

    /// transport stream 0x1112, network 0x1314, segment_last 0x2A, last_table 0x5E; event 0x2122
    /// at 93/10/13 12:45:00 for 01:45:30, pausing, scrambled, one empty descriptor; event 0x3132
    /// without time, running; by hand from §5.2.4.
    const BODY: [u8; 32] = [
        0x11, 0x12, 0x13, 0x14, 0x2A, 0x5E, //
        0x21, 0x22, 0xC0, 0x79, 0x12, 0x45, 0x00, 0x01, 0x45, 0x30, 0x70, 0x02, 0x55, 0x00, //
        0x31, 0x32, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x01, 0x80, 0x00,
    ];

    fn section_of(body: &[u8]) -> SectionBuf {
        SectionBuf::long(TableId(0x53), true, SYNTAX, body).unwrap()
    }

    #[test]
    fn each_field_reads_from_its_bits_and_writes_back() {
        let section = section_of(&BODY);
        let eit = Eit::new(section.section()).unwrap();
        assert_eq!(eit.service(), ServiceId(0x0A0B));
        assert_eq!(eit.transport_stream_id(), TransportStreamId(0x1112));
        assert_eq!(eit.original_network_id(), OriginalNetworkId(0x1314));
        assert_eq!(eit.segment_last_section_number(), 0x2A);
        assert_eq!(eit.last_table_id(), TableId(0x5E));
        // Table 3 of the schedule begins at segment 96; section 0x29 is in its sixth segment.
        assert_eq!(eit.segment(), Some(101));
        let events: Vec<_> = eit.events().collect();
        let expected = [
            EitEvent {
                event: EventId(0x2122),
                start: DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]),
                duration: DvbDuration([0x01, 0x45, 0x30]),
                running: RunningStatus::Pausing,
                scrambled: true,
                descriptors: Descriptors::new(&[0x55, 0]),
            },
            EitEvent {
                event: EventId(0x3132),
                start: DvbTime::UNDEFINED,
                duration: DvbDuration([0, 0, 1]),
                running: RunningStatus::Running,
                scrambled: false,
                descriptors: Descriptors::NONE,
            },
        ];
        assert_eq!(events, expected);
        let fields = EitFields {
            kind: eit.kind(),
            syntax: eit.syntax(),
            transport_stream: eit.transport_stream_id(),
            original_network: eit.original_network_id(),
            segment_last_section: eit.segment_last_section_number(),
            last_table: eit.last_table_id(),
            events: &events,
        };
        assert_eq!(fields.to_section(), Some(section));
    }

    #[test]
    fn each_kind_has_its_table_id() {
        let ids = (0..=255).filter_map(|id| {
            let kind = EitKind::from_table_id(TableId(id))?;
            assert_eq!(kind.table_id(), Some(TableId(id)));
            Some(id)
        });
        assert_eq!(ids.collect::<Vec<_>>(), (0x4E..=0x6F).collect::<Vec<_>>());
        let beyond = EitKind {
            actual: true,
            schedule: Some(16),
        };
        assert_eq!(beyond.table_id(), None);
        assert_eq!(
            Eit::new(section_of(&BODY).section())
                .unwrap()
                .kind()
                .schedule,
            Some(3)
        );
    }

    #[test]
    fn a_segment_of_a_schedule_is_three_hours_in_eight_sections() {
        let place = |segment| {
            EitKind::of_segment(true, segment).map(|(kind, n)| (kind.table_id().unwrap().0, n))
        };
        // TR 101 211 §4.1.4: the first section of day 1 00:00, of 03:00, of the fifth day, and
        // the last of the 64th.
        assert_eq!(place(0), Some((0x50, 0)));
        assert_eq!(place(1), Some((0x50, 8)));
        assert_eq!(place(32), Some((0x51, 0)));
        assert_eq!(place(511), Some((0x5F, 248)));
        assert_eq!(place(512), None);
    }

    #[test]
    fn a_body_cut_anywhere_yields_its_whole_events() {
        for cut in 0..BODY.len() {
            let section = section_of(&BODY[..cut]);
            let eit = Eit::new(section.section());
            assert_eq!(eit.is_some(), cut >= 6);
            if let Some(eit) = eit {
                assert_eq!(eit.events().count(), usize::from(cut >= 20), "cut at {cut}");
            }
        }
    }
}
