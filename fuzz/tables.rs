//! Sections, tables, descriptors and texts.

use std::hint::black_box;

use headend::si::descriptor::{
    CaDescriptor, DescriptorSyntax, Descriptors, ExtendedEventDescriptor, LanguageDescriptor,
    RegistrationDescriptor, ServiceDescriptor, ShortEventDescriptor, SubtitlingDescriptor,
    TeletextDescriptor,
};
use headend::si::{
    Cat, CatFields, Eit, EitFields, Pat, PatFields, Pmt, PmtFields, Programme, Sdt, SdtFields,
    Segmentation, Service, SpliceCommand, SpliceFields, SpliceInfo, Tdt, Text, Tot, encode_text,
};
use headend::ts::{Pid, Put, Section, SectionBuf, SectionSyntax, TableId, crc32};
use headend::units::Ticks27M;

/// Reads a section as it is, damaged or not.
pub fn section(data: &[u8]) {
    if let Ok(section) = Section::unchecked_crc(data) {
        assert_eq!(Section::size_of(data), Some(section.as_bytes().len()));
        black_box((section.syntax(), section.body()));
        let _ = black_box(section.check_crc());
        let _ = black_box(Tot::new(section));
        let _ = black_box(SpliceInfo::new(section));
    }
    if let Ok(section) = Section::new(data) {
        assert_eq!(SectionBuf::from(section).as_bytes(), section.as_bytes());
    }
}

/// A section with a right CRC_32 around the bytes: table_id, six of the header, the body.
pub(super) fn sealed(data: &[u8]) -> Option<SectionBuf> {
    let (head, body) = data.split_first_chunk::<7>()?;
    let [id, a, b, version, number, last_number, private] = *head;
    let syntax = SectionSyntax {
        extension: u16::from_be_bytes([a, b]),
        version: version >> 1 & 0x1F,
        current: version & 1 != 0,
        number,
        last_number,
    };
    SectionBuf::long(TableId(id), private & 1 != 0, syntax, body)
}

/// A section without section_syntax_indicator, its last four bytes a right CRC_32.
pub(super) fn sealed_short(data: &[u8]) -> Option<Vec<u8>> {
    let (id, body) = data.split_first()?;
    let mut bytes = SectionBuf::short(TableId(*id), false, &[body, &[0; 4]].concat())?
        .as_bytes()
        .to_vec();
    let (covered, crc) = bytes.split_last_chunk_mut::<4>()?;
    *crc = crc32(covered).to_be_bytes();
    Some(bytes)
}

/// Reads a table, writes what was read, and reads the same again.
pub fn table(data: &[u8]) {
    let Some(owned) = sealed(data) else {
        return;
    };
    let section = owned.section();
    if let Some(pat) = Pat::new(section) {
        let entries: Vec<_> = pat.entries().collect();
        black_box(pat.network_pid());
        let fields = PatFields {
            syntax: pat.syntax(),
            entries: &entries,
        };
        if let Some(again) = fields.to_section() {
            let again = Pat::new(again.section()).map(|p| p.entries().collect::<Vec<_>>());
            assert_eq!(again.as_deref(), Some(&entries[..]));
        }
    }
    if let Some(cat) = Cat::new(section) {
        let fields = CatFields {
            syntax: cat.syntax(),
            descriptors: cat.descriptors(),
        };
        if let Some(again) = fields.to_section() {
            let again = Cat::new(again.section()).map(|c| c.descriptors() == cat.descriptors());
            assert_eq!(again, Some(true));
        }
    }
    if let Some(pmt) = Pmt::new(section) {
        let streams: Vec<_> = pmt.streams().collect();
        let mut service = Service::new(pmt.program(), Pid::NULL);
        service.take_pmt(&pmt);
        assert_eq!(service.streams.len(), streams.len());
        let fields = PmtFields {
            syntax: pmt.syntax(),
            pcr_pid: pmt.pcr_pid(),
            descriptors: pmt.descriptors(),
            streams: &streams,
        };
        if let Some(again) = fields.to_section() {
            let again = Pmt::new(again.section()).map(|p| p.streams().eq(streams.iter().copied()));
            assert_eq!(again, Some(true));
        }
    }
    if let Some(sdt) = Sdt::new(section) {
        let services: Vec<_> = sdt.services().collect();
        let fields = SdtFields {
            actual: sdt.is_actual(),
            syntax: sdt.syntax(),
            original_network: sdt.original_network_id(),
            services: &services,
        };
        if let Some(again) = fields.to_section() {
            let again =
                Sdt::new(again.section()).map(|s| s.services().eq(services.iter().copied()));
            assert_eq!(again, Some(true));
        }
    }
    if let Some(eit) = Eit::new(section) {
        let events: Vec<_> = eit.events().collect();
        black_box(eit.segment());
        events.iter().for_each(|e| {
            black_box(Programme::from(*e));
        });
        let fields = EitFields {
            kind: eit.kind(),
            syntax: eit.syntax(),
            transport_stream: eit.transport_stream_id(),
            original_network: eit.original_network_id(),
            segment_last_section: eit.segment_last_section_number(),
            last_table: eit.last_table_id(),
            events: &events,
        };
        if let Some(again) = fields.to_section() {
            let again = Eit::new(again.section()).map(|e| e.events().eq(events.iter().copied()));
            assert_eq!(again, Some(true));
        }
    }
    black_box(Tdt::new(section));
    if let Some(bytes) = sealed_short(data)
        && let Ok(section) = Section::new(&bytes)
    {
        black_box(Tdt::new(section));
        if let Ok(Some(tot)) = Tot::new(section)
            && let Some(again) = tot.to_section()
        {
            assert_eq!(Tot::new(again.section()), Ok(Some(tot)));
        }
    }
}

/// Reads splice information behind a right CRC_32, writes it again, and moves it there and back.
pub fn splice(data: &[u8]) {
    let Some(mut bytes) = sealed_short(&[&[SpliceInfo::TABLE_ID.0, 0], data].concat()) else {
        return;
    };
    let before = bytes.clone();
    let Ok(info) = Section::new(&before)
        .map_err(|_| ())
        .and_then(|s| SpliceInfo::new(s).map_err(|_| ()))
    else {
        return;
    };
    black_box(info.splice_time());
    for segmentation in info.descriptors().all::<Segmentation<'_>>() {
        black_box(segmentation.kind_name());
    }
    if let Some(command) = info.command() {
        if let SpliceCommand::Schedule(schedule) = command {
            black_box(schedule.splices().count());
        }
        if let SpliceCommand::Insert(insert) = command {
            black_box(insert.target.components().count());
        }
        let fields = SpliceFields {
            adjustment: info.pts_adjustment(),
            cw_index: info.cw_index(),
            tier: info.tier(),
            command,
            descriptors: info.descriptors(),
        };
        if let Some(again) = fields.to_section() {
            let again = SpliceInfo::new(again.section()).map(|i| i.command() == Some(command));
            assert_eq!(again, Ok(true));
        }
    }
    let there = Ticks27M::new(300 * 0x1_2345_6789);
    assert!(SpliceInfo::restamp(&mut bytes, there) && SpliceInfo::restamp(&mut bytes, -there));
    assert_eq!(bytes, before);
}

/// Writes a descriptor that was read, and expects to read the same again.
fn again<'a, D: DescriptorSyntax<'a> + PartialEq + std::fmt::Debug>(
    descriptors: Descriptors<'a>,
    check: impl Fn(&[u8], &D),
) {
    for d in descriptors.all::<D>() {
        let mut room = [0xA5; 258];
        let mut put = Put::new(&mut room);
        d.write(&mut put);
        // One without the bytes behind its fields is never longer than what was read.
        check(put.written().expect("what was read fits"), &d);
    }
}

/// Reads a loop of descriptors, each kind twice.
pub fn descriptor(data: &[u8]) {
    let all = Descriptors::new(data);
    let mut iter = all.iter();
    let read: usize = iter.by_ref().map(|d| d.payload.len() + 2).sum();
    assert_eq!(read + iter.rest().len(), data.len());
    again::<CaDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d))
    });
    again::<RegistrationDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
    });
    again::<ServiceDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box((d.name.to_string(), d.provider.to_string()));
    });
    again::<ShortEventDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
    });
    again::<ExtendedEventDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box(d.items().count());
    });
    again::<LanguageDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box(d.languages().map(|(l, _)| l.to_string()).last());
    });
    again::<SubtitlingDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box(d.subtitles().count());
    });
    again::<TeletextDescriptor<'_>>(all, |b, d| {
        assert_eq!(Descriptors::new(b).get().as_ref(), Some(d));
        black_box(d.pages().count());
    });
}

/// Reads a text in every table, and writes what it says so that it reads the same.
pub fn text(data: &[u8]) {
    let read = Text::new(data).to_string();
    let written = encode_text(&read, usize::MAX);
    let twice = Text::new(&written).to_string();
    // A letter and its diacritic may come back as one, and two characters share a byte; what was
    // written once stays.
    assert_eq!(
        Text::new(&encode_text(&twice, usize::MAX)).to_string(),
        twice
    );
    for limit in [0, 1, 2, 3, 20, 255] {
        assert!(encode_text(&read, limit).len() <= limit);
    }
}
