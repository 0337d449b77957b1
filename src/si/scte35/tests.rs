use super::*;
use crate::si::descriptor::DescriptorSyntax;

/// SCTE 35 §14.1: time_signal, Placement Opportunity Start.
const TIME_SIGNAL: [u8; 55] = [
    0xFC, 0x30, 0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xF0, 0x05, 0x06, 0xFE, 0x72,
    0xBD, 0x00, 0x50, 0x00, 0x1E, 0x02, 0x1C, 0x43, 0x55, 0x45, 0x49, 0x48, 0x00, 0x00, 0x8E, 0x7F,
    0xCF, 0x00, 0x01, 0xA5, 0x99, 0xB0, 0x08, 0x08, 0x00, 0x00, 0x00, 0x00, 0x2C, 0xA0, 0xA1, 0x8A,
    0x34, 0x02, 0x00, 0x9A, 0xC9, 0xD1, 0x7E,
];

/// SCTE 35 §14.2: splice_insert with an avail descriptor.
const INSERT: [u8; 50] = [
    0xFC, 0x30, 0x2F, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xF0, 0x14, 0x05, 0x48, 0x00,
    0x00, 0x8F, 0x7F, 0xEF, 0xFE, 0x73, 0x69, 0xC0, 0x2E, 0xFE, 0x00, 0x52, 0xCC, 0xF5, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x0A, 0x00, 0x08, 0x43, 0x55, 0x45, 0x49, 0x00, 0x00, 0x01, 0x35, 0x62, 0xDB,
    0xA3, 0x0A,
];

fn read(bytes: &[u8]) -> SpliceInfo<'_> {
    SpliceInfo::new(Section::new(bytes).unwrap()).unwrap()
}

fn written(command: SpliceCommand<'_>) -> SectionBuf {
    let fields = SpliceFields {
        adjustment: 0,
        cw_index: 0xFF,
        tier: 0xFFF,
        command,
        descriptors: Descriptors::NONE,
    };
    fields.to_section().unwrap()
}

/// Writes the command, reads it back, and expects the bytes between type and loop.
#[track_caller]
fn command(command: SpliceCommand<'_>, bytes: &[u8]) {
    let section = written(command);
    let all = section.as_bytes();
    assert_eq!(&all[14..all.len() - 6], bytes);
    assert_eq!(
        usize::from(all[11] & 0xF) << 8 | usize::from(all[12]),
        bytes.len()
    );
    assert_eq!(read(all).command(), Some(command));
}

#[test]
fn the_standards_time_signal_reads_and_writes() {
    let info = read(&TIME_SIGNAL);
    assert_eq!(info.splice_time(), Pts::from_ticks(0x0_72BD_0050));
    let s: Segmentation<'_> = info.descriptors().get().unwrap();
    let expected = Segmentation {
        event: 0x4800_008E,
        cancel: false,
        event_id_compliance: true,
        components: None,
        duration: Some(Ticks27M::new(0x01A5_99B0 * 300)),
        delivery: Some(0b01111), // web 0, blackout, archive, no device group
        upid_type: 8,
        upid: &[0, 0, 0, 0, 0x2C, 0xA0, 0xA1, 0x8A],
        kind: 0x34,
        number: 2,
        expected: 0,
        sub_segment: None,
    };
    assert_eq!(s, expected);
    assert_eq!(s.kind_name(), Some("Provider Placement Opportunity Start"));
    let fields = SpliceFields {
        adjustment: 0,
        cw_index: 0xFF,
        tier: 0xFFF,
        command: info.command().unwrap(),
        descriptors: info.descriptors(),
    };
    assert_eq!(fields.to_section().unwrap().as_bytes(), TIME_SIGNAL);
}

#[test]
fn the_standards_splice_insert_reads_and_writes() {
    let info = read(&INSERT);
    let expected = SpliceInsert {
        event: 0x4800_008F,
        cancel: false,
        out_of_network: true,
        target: SpliceTarget::Program(Pts::from_ticks(0x0_7369_C02E)),
        event_id_compliance: true,
        duration: Some(BreakDuration {
            auto_return: true,
            duration: Ticks27M::new(0x0052_CCF5 * 300),
        }),
        program: 0,
        avail: 0,
        avails_expected: 0,
    };
    assert_eq!(info.command(), Some(SpliceCommand::Insert(expected)));
    assert_eq!(info.splice_time(), Pts::from_ticks(0x0_7369_C02E));
    assert!(
        info.descriptors().get::<Segmentation<'_>>().is_none(),
        "an avail descriptor"
    );
    let fields = SpliceFields {
        adjustment: 0,
        cw_index: 0xFF,
        tier: 0xFFF,
        command: SpliceCommand::Insert(expected),
        descriptors: info.descriptors(),
    };
    assert_eq!(fields.to_section().unwrap().as_bytes(), INSERT);
}

#[test]
fn each_field_of_the_fixed_part_has_its_bits() {
    let fields = SpliceFields {
        adjustment: 0x1_2345_6789,
        cw_index: 0x5A,
        tier: 0xABC,
        command: SpliceCommand::Null,
        descriptors: Descriptors::new(&[0x00, 1, 9]),
    };
    let section = fields.to_section().unwrap();
    let head = [
        0xFC, 0x30, 0x14, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0x5A, 0xAB, 0xC0, 0x00, 0x00, 0x00,
        0x03, 0x00, 0x01, 0x09,
    ];
    assert_eq!(section.as_bytes()[..19], head);
    let info = read(section.as_bytes());
    assert_eq!((info.pts_adjustment(), info.tier()), (0x1_2345_6789, 0xABC));
    assert_eq!((info.cw_index(), info.is_encrypted()), (0x5A, false));
    for bit in 0..33 {
        let section = SpliceFields {
            adjustment: 1 << bit,
            ..fields
        };
        let section = section.to_section().unwrap();
        assert_eq!(read(section.as_bytes()).pts_adjustment(), 1 << bit);
        let at = 71 - bit; // the field ends with byte 8
        assert_eq!(
            section.as_bytes()[at / 8] & 0x80 >> (at % 8),
            0x80 >> (at % 8)
        );
    }
}

#[test]
fn each_command_reads_and_writes() {
    command(SpliceCommand::Null, &[]);
    command(SpliceCommand::BandwidthReservation, &[]);
    command(SpliceCommand::TimeSignal(None), &[0x7F]);
    let time = Pts::from_ticks(0x1_0000_0001);
    command(SpliceCommand::TimeSignal(time), &[0xFF, 0, 0, 0, 1]);
    let (identifier, bytes) = (*b"ABCD", &[1, 2, 3][..]);
    let private = SpliceCommand::Private { identifier, bytes };
    command(private, &[b'A', b'B', b'C', b'D', 1, 2, 3]);
    command(SpliceCommand::Reserved { kind: 0x42, bytes }, &[1, 2, 3]);
    let cancel = SpliceInsert::cancelled(0x0102_0304);
    command(SpliceCommand::Insert(cancel), &[1, 2, 3, 4, 0xFF]);
    let insert = SpliceInsert {
        cancel: false,
        event_id_compliance: false,
        program: 0x1122,
        avail: 0x33,
        avails_expected: 0x44,
        ..cancel
    };
    let tail = [0x11, 0x22, 0x33, 0x44];
    let immediate = [&[1, 2, 3, 4, 0x7F, 0x57][..], &tail].concat();
    command(SpliceCommand::Insert(insert), &immediate);
    let bytes = [2, 0xA1, 0x7F, 0xA2, 0xFE, 0, 0, 0, 5];
    let target = SpliceTarget::Components {
        immediate: false,
        bytes: &bytes,
    };
    let components: Vec<_> = target.components().collect();
    assert_eq!(components, [(0xA1, None), (0xA2, Pts::from_ticks(5))]);
    assert_eq!(target.time(), Pts::from_ticks(5));
    let whole = [&[1, 2, 3, 4, 0x7F, 0x07][..], &bytes, &tail].concat();
    command(
        SpliceCommand::Insert(SpliceInsert { target, ..insert }),
        &whole,
    );
}

#[test]
fn a_schedule_is_read_event_by_event() {
    // Two events: one cancelled, one out at GPS second 1 000 000 000 for 30 s, not returning.
    let duration = 30u64 * 90_000;
    let mut bytes = vec![
        2, 0, 0, 0, 1, 0xFF, 0, 0, 0, 2, 0x7F, 0xFF, 0x3B, 0x9A, 0xCA, 0x00,
    ];
    bytes.extend(&(0x7E_0000_0000 | duration).to_be_bytes()[3..]);
    bytes.extend([0x12, 0x34, 1, 2]);
    let section = written(SpliceCommand::Reserved {
        kind: 0x04,
        bytes: &bytes,
    });
    let info = read(section.as_bytes());
    let Some(SpliceCommand::Schedule(schedule)) = info.command() else {
        panic!("{info:?}");
    };
    let splices: Vec<_> = schedule.splices().collect();
    assert_eq!(
        (splices.len(), splices[0].cancel, splices[1].cancel),
        (2, true, false)
    );
    assert_eq!(splices[1].program, 0x1234);
    // 2011-09-14T01:46:40 by a calendar that, as the code, knows no leap second.
    assert_eq!(
        splices[1].time.unwrap().to_string(),
        "2011-09-14T01:46:40.000Z"
    );
    let duration = splices[1].duration.unwrap();
    assert_eq!(
        (duration.auto_return, duration.duration),
        (false, Ticks27M::SECOND * 30)
    );
    assert_eq!(written(info.command().unwrap()), section);
}

#[test]
fn a_segmentation_with_components_and_sub_segments_reads_and_writes() {
    let s = Segmentation {
        event: 0x0102_0304,
        cancel: false,
        event_id_compliance: false,
        components: Some(&[9, 0xFE, 0, 0, 0, 1]),
        duration: None,
        delivery: None,
        upid_type: 0x0F,
        upid: b"u",
        kind: 0x30,
        number: 5,
        expected: 6,
        sub_segment: Some((7, 8)),
    };
    let bytes = [
        0x02, 25, b'C', b'U', b'E', b'I', 1, 2, 3, 4, 0x3F, 0x3F, 1, 9, 0xFE, 0, 0, 0, 1, 0x0F, 1,
        b'u', 0x30, 5, 6, 7, 8,
    ];
    let mut room = [0xA5; 64];
    let mut put = Put::new(&mut room);
    s.write(&mut put);
    assert_eq!(put.written(), Some(&bytes[..]));
    assert_eq!(Descriptors::new(&bytes).get(), Some(s));
    for cut in 2..bytes.len() {
        let read = Segmentation::read(&bytes[2..cut]);
        assert_eq!(read.is_some(), cut >= bytes.len() - 2, "cut at {cut}");
    }
    let cancelled = [0x02, 9, b'C', b'U', b'E', b'I', 1, 2, 3, 4, 0xFF];
    let s: Segmentation<'_> = Descriptors::new(&cancelled).get().unwrap();
    assert!(s.cancel && s.event == 0x0102_0304);
    assert!(Segmentation::read(b"CUE-").is_none());
}

/// The section with the command length replaced and CRC_32 made right again.
fn with_length(bytes: &[u8], length: u16) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[11] = bytes[11] & 0xF0 | (length >> 8) as u8;
    bytes[12] = length as u8;
    renew_crc(&mut bytes);
    bytes
}

fn renew_crc(bytes: &mut [u8]) {
    let (covered, crc) = bytes.split_last_chunk_mut::<4>().unwrap();
    *crc = crc32(covered).to_be_bytes();
}

#[test]
fn a_command_of_unknown_length_is_read_to_its_end() {
    for bytes in [&TIME_SIGNAL[..], &INSERT] {
        let open = with_length(bytes, 0xFFF);
        assert_eq!(read(&open).command(), read(bytes).command());
        assert_eq!(read(&open).descriptors(), read(bytes).descriptors());
    }
    let private = SpliceCommand::Private {
        identifier: [0; 4],
        bytes: &[1],
    };
    let open = with_length(written(private).as_bytes(), 0xFFF);
    assert_eq!(read(&open).command(), None, "its end cannot be found");
}

#[test]
fn a_length_that_lies_yields_no_command() {
    for length in [0, 1, 4, 200, 0xFFE] {
        let short = with_length(&TIME_SIGNAL, length);
        let info = read(&short);
        assert_eq!(info.command(), None, "length {length}");
        assert_eq!(info.splice_time(), None);
    }
    for cut in 0..TIME_SIGNAL.len() - 4 {
        let mut bytes = TIME_SIGNAL[..cut.max(3)].to_vec();
        bytes.extend([0; 4]);
        bytes[2] = (bytes.len() - 3) as u8;
        renew_crc(&mut bytes);
        let read = SpliceInfo::new(Section::new(&bytes).unwrap());
        let expected = if cut <= 3 || cut >= 13 {
            None
        } else {
            Some(SpliceError::Short)
        };
        match expected {
            Some(error) => assert_eq!(read.err(), Some(error), "cut at {cut}"),
            None => assert!(cut <= 3 || read.is_ok(), "cut at {cut}"),
        }
    }
}

#[test]
fn an_encrypted_section_is_opaque_and_can_be_restamped() {
    let mut bytes = INSERT;
    bytes[4] |= 0x80 | 0x02; // encrypted, DES ECB
    renew_crc(&mut bytes);
    let info = read(&bytes);
    assert!(info.is_encrypted() && info.command().is_none() && info.splice_time().is_none());
    assert!(SpliceInfo::restamp(&mut bytes, Ticks27M::SECOND));
    assert_eq!(read(&bytes).pts_adjustment(), 90_000);
    assert_eq!(bytes[4], 0x82, "algorithm kept");
    assert_eq!(
        bytes[9..46],
        INSERT[9..46],
        "what is encrypted is untouched"
    );
}

#[test]
fn restamping_goes_round_the_circle() {
    let mut bytes = TIME_SIGNAL;
    let day = Ticks27M::SECOND * 86_400;
    assert!(SpliceInfo::restamp(&mut bytes, -day));
    let info = read(&bytes);
    assert_eq!(info.pts_adjustment(), (1 << 33) - 86_400 * 90_000);
    assert_eq!(
        info.splice_time(),
        Some(Pts::from_ticks(0x72BD_0050).unwrap() + -day)
    );
    assert!(SpliceInfo::restamp(&mut bytes, day));
    assert_eq!(bytes, TIME_SIGNAL);
    let mut damaged = TIME_SIGNAL;
    damaged[20] ^= 1;
    let before = damaged;
    assert!(!SpliceInfo::restamp(&mut damaged, day));
    assert_eq!(damaged, before);
    assert!(!SpliceInfo::restamp(&mut [], day));
}

#[test]
fn another_table_and_another_version_are_told() {
    let mut bytes = TIME_SIGNAL;
    bytes[3] = 1;
    renew_crc(&mut bytes);
    let error = SpliceInfo::new(Section::new(&bytes).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "protocol_version 1 is not known");
    bytes[0] = 0xFD;
    renew_crc(&mut bytes);
    let error = SpliceInfo::new(Section::new(&bytes).unwrap()).unwrap_err();
    assert_eq!(error, SpliceError::OtherTable(TableId(0xFD)));
}
