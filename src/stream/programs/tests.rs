use super::*;
use crate::si::descriptor::{DescriptorSyntax, Descriptors, ServiceDescriptor, ServiceType};
use crate::si::{
    DvbDuration, DvbTime, EitEvent, EitFields, EitKind, EventId, OriginalNetworkId, PatEntry,
    PatFields, PmtFields, PmtStream, RunningStatus, SdtFields, SdtService, SpliceCommand,
    SpliceFields, StreamKind, StreamType, Text,
};
use crate::stream::SectionPacketizer;
use crate::ts::{Pts, Put, SectionSyntax};

const PMT: Pid = Pid::from_field(0x100);
const SPLICE: Pid = Pid::from_field(0x1F0);
const SERVICE: ServiceId = ServiceId(7);

fn syntax(extension: u16, version: u8, number: u8, last_number: u8) -> SectionSyntax {
    SectionSyntax {
        extension,
        version,
        current: true,
        number,
        last_number,
    }
}

fn pat(version: u8, programs: &[(u16, Pid)]) -> SectionBuf {
    let entries: Vec<_> = programs
        .iter()
        .map(|(program, pid)| PatEntry {
            program: ServiceId(*program),
            pid: *pid,
        })
        .collect();
    PatFields::new(TransportStreamId(1), version, &entries)
        .to_section()
        .unwrap()
}

fn pmt(version: u8, streams: &[(u8, Pid)]) -> SectionBuf {
    let streams: Vec<_> = streams
        .iter()
        .map(|(stream_type, pid)| PmtStream {
            stream_type: StreamType(*stream_type),
            pid: *pid,
            descriptors: Descriptors::NONE,
        })
        .collect();
    PmtFields::new(
        SERVICE,
        version,
        streams[0].pid,
        Descriptors::NONE,
        &streams,
    )
    .to_section()
    .unwrap()
}

fn sdt(version: u8, name: &str) -> SectionBuf {
    sdt_section(syntax(1, version, 0, 0), &[(SERVICE.0, name.to_owned())])
}

fn sdt_of(syntax: SectionSyntax, ids: &[u16], version: u8) -> SectionBuf {
    let name = |id: &u16| (*id, format!("S{id} of version {version}"));
    sdt_section(syntax, &ids.iter().map(name).collect::<Vec<_>>())
}

fn sdt_section(syntax: SectionSyntax, services: &[(u16, String)]) -> SectionBuf {
    let descriptor = |(_, name): &(u16, String)| {
        let mut room = [0; 64];
        let mut put = Put::new(&mut room);
        let d = ServiceDescriptor {
            service_type: ServiceType::TELEVISION,
            provider: Text::new(b"P"),
            name: Text::new(name.as_bytes()),
        };
        d.write(&mut put);
        put.written().unwrap().to_vec()
    };
    let descriptors: Vec<_> = services.iter().map(descriptor).collect();
    let lines: Vec<_> = services
        .iter()
        .zip(&descriptors)
        .map(|((id, _), descriptors)| SdtService {
            service: ServiceId(*id),
            eit_schedule: false,
            eit_present_following: true,
            running: RunningStatus::Running,
            scrambled: false,
            descriptors: Descriptors::new(descriptors),
        })
        .collect();
    let fields = SdtFields {
        actual: true,
        syntax,
        original_network: OriginalNetworkId(1),
        services: &lines,
    };
    fields.to_section().unwrap()
}

fn eit(version: u8, number: u8, event: Option<u16>, running: RunningStatus) -> SectionBuf {
    let events: Vec<_> = event
        .map(|id| EitEvent {
            event: EventId(id),
            start: DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]),
            duration: DvbDuration([0, 0x30, 0]),
            running,
            scrambled: false,
            descriptors: Descriptors::NONE,
        })
        .into_iter()
        .collect();
    let fields = EitFields {
        kind: EitKind::PRESENT_FOLLOWING,
        syntax: syntax(SERVICE.0, version, number, 1),
        transport_stream: TransportStreamId(1),
        original_network: OriginalNetworkId(1),
        segment_last_section: 1,
        last_table: crate::ts::TableId(0x4E),
        events: &events,
    };
    fields.to_section().unwrap()
}

/// A stream that is written section by section, and its follower.
struct Bench {
    programs: Programs,
    packetizers: Vec<(Pid, SectionPacketizer)>,
}

impl Bench {
    fn new() -> Self {
        Self {
            programs: Programs::new(),
            packetizers: Vec::new(),
        }
    }

    fn send(&mut self, pid: Pid, section: &SectionBuf) -> Vec<ProgramEvent> {
        let at = match self.packetizers.iter().position(|(p, _)| *p == pid) {
            Some(at) => at,
            None => {
                self.packetizers.push((pid, SectionPacketizer::new(pid)));
                self.packetizers.len() - 1
            }
        };
        let mut events = Vec::new();
        let programs = &mut self.programs;
        self.packetizers[at].1.push([section], |packet| {
            programs.push(packet, &mut |e| events.push(e));
        });
        events
    }

    /// One service with video and splice information, its tables sent.
    fn started() -> Self {
        let mut bench = Self::new();
        bench.send(Pid::PAT, &pat(0, &[(7, PMT)]));
        bench.send(
            PMT,
            &pmt(0, &[(0x1B, Pid::from_field(0x101)), (0x86, SPLICE)]),
        );
        bench
    }
}

fn names(events: &[ProgramEvent]) -> Vec<&'static str> {
    use crate::stream::event::Event;
    events.iter().map(Event::name).collect()
}

#[test]
fn the_pat_leads_to_the_pmt_and_the_pmt_to_splices() {
    let mut bench = Bench::new();
    assert!(!bench.programs.is_complete());
    let events = bench.send(Pid::PAT, &pat(0, &[(0, Pid::NIT), (7, PMT)]));
    let expected = ProgramEvent::PatChanged {
        transport_stream: TransportStreamId(1),
        version: 0,
        services: 1,
    };
    assert_eq!(events, [expected]);
    assert!(bench.programs.pids().contains(PMT) && !bench.programs.is_complete());
    let events = bench.send(
        PMT,
        &pmt(3, &[(0x1B, Pid::from_field(0x101)), (0x86, SPLICE)]),
    );
    let expected = ProgramEvent::PmtChanged {
        service: SERVICE,
        version: 3,
        streams: 2,
    };
    assert_eq!(events, [expected]);
    let pids: Vec<_> = bench.programs.pids().iter().collect();
    assert_eq!(pids, [Pid::PAT, Pid::SDT, Pid::EIT, PMT, SPLICE]);
    assert!(bench.programs.is_complete());
    let service = bench.programs.service(SERVICE).unwrap();
    assert_eq!(
        service.first(StreamKind::Scte35).map(|s| s.pid),
        Some(SPLICE)
    );
}

#[test]
fn what_repeats_is_told_once() {
    let mut bench = Bench::started();
    let splice = |time| {
        let fields = SpliceFields {
            adjustment: 0,
            cw_index: 0xFF,
            tier: 0xFFF,
            command: SpliceCommand::TimeSignal(Pts::from_ticks(time)),
            descriptors: Descriptors::NONE,
        };
        fields.to_section().unwrap()
    };
    for (pid, section, name) in [
        (Pid::SDT, sdt(0, "One"), "service_named"),
        (
            Pid::EIT,
            eit(0, 0, Some(1), RunningStatus::Running),
            "present_changed",
        ),
        (
            Pid::EIT,
            eit(0, 1, Some(2), RunningStatus::Undefined),
            "following_changed",
        ),
        (SPLICE, splice(1), "splice_command"),
        (SPLICE, splice(2), "splice_command"),
        (Pid::PAT, pat(1, &[(7, PMT)]), "pat_changed"),
        (
            PMT,
            pmt(1, &[(0x1B, Pid::from_field(0x101))]),
            "pmt_changed",
        ),
    ] {
        assert_eq!(names(&bench.send(pid, &section)), [name]);
        assert_eq!(bench.send(pid, &section), []);
    }
    assert!(
        !bench.programs.pids().contains(SPLICE),
        "the last PMT has none"
    );
}

#[test]
fn another_event_is_a_transition_and_another_status_is_not() {
    let mut bench = Bench::started();
    let transitions: Vec<_> = [
        eit(0, 0, Some(1), RunningStatus::StartsSoon),
        eit(1, 0, Some(1), RunningStatus::Running),
        eit(2, 0, Some(1), RunningStatus::Running), // a new version that says nothing new
        eit(3, 0, Some(2), RunningStatus::Running),
        eit(4, 0, None, RunningStatus::Running),
    ]
    .iter()
    .flat_map(|section| bench.send(Pid::EIT, section))
    .map(|event| match event {
        ProgramEvent::PresentChanged {
            programme,
            transition,
            ..
        } => (programme.map(|p| p.event.0), transition),
        other => panic!("{other:?}"),
    })
    .collect();
    let expected = [
        (Some(1), true),
        (Some(1), false),
        (Some(2), true),
        (None, true),
    ];
    assert_eq!(transitions, expected);
}

#[test]
fn a_name_that_comes_before_the_pat_is_kept_for_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.send(Pid::SDT, &sdt(0, "One")), []);
    let events = bench.send(Pid::PAT, &pat(0, &[(7, PMT)]));
    assert_eq!(names(&events), ["pat_changed", "service_named"]);
    let service = bench.programs.service(SERVICE).unwrap();
    assert_eq!(service.name.as_deref(), Some("One"));
    assert_eq!(service.provider.as_deref(), Some("P"));
}

/// More services than are followed, in as many sections as an SDT may have; the PAT has three.
#[test]
fn every_service_of_the_pat_is_named_however_many_the_sdt_has() {
    let mut bench = Bench::new();
    let sections = |version| {
        (0..=255u8).map(move |number| {
            let ids: Vec<u16> = (0..8).map(|n| u16::from(number) * 8 + n + 1).collect();
            sdt_of(syntax(1, version, number, 255), &ids, version)
        })
    };
    sections(0).for_each(|section| drop(bench.send(Pid::SDT, &section)));
    let programs = [1, 1024, 2048].map(|id| (id, Pid::from_field(0x100 + id)));
    let named = |events: Vec<ProgramEvent>| -> Vec<(u16, String)> {
        let name = |e| match e {
            ProgramEvent::ServiceNamed { service, name } => Some((service.0, name)),
            _ => None,
        };
        events.into_iter().filter_map(name).collect()
    };
    let expected =
        |version| [1u16, 1024, 2048].map(|id| (id, format!("S{id} of version {version}")));
    assert_eq!(named(bench.send(Pid::PAT, &pat(0, &programs))), expected(0));
    let again = sections(1).flat_map(|section| named(bench.send(Pid::SDT, &section)));
    assert_eq!(again.collect::<Vec<_>>(), expected(1));
    // A shorter table takes the place of all of it: what it leaves out is not remembered.
    bench.send(Pid::SDT, &sdt_of(syntax(1, 2, 0, 0), &[1], 2));
    bench.send(Pid::PAT, &pat(1, &[]));
    let renamed = named(bench.send(Pid::PAT, &pat(2, &programs)));
    assert_eq!(renamed, [(1, "S1 of version 2".to_owned())]);
}

#[test]
fn a_service_that_stays_keeps_what_is_known() {
    let mut bench = Bench::started();
    bench.send(Pid::SDT, &sdt(0, "One"));
    bench.send(Pid::PAT, &pat(1, &[(7, PMT), (8, Pid::from_field(0x200))]));
    assert!(
        bench
            .programs
            .service(SERVICE)
            .unwrap()
            .pmt_version
            .is_some()
    );
    assert!(bench.programs.pids().contains(SPLICE));
    // Its PMT moves: what the old one said is gone.
    bench.send(Pid::PAT, &pat(2, &[(7, Pid::from_field(0x300))]));
    let service = bench.programs.service(SERVICE).unwrap();
    assert_eq!(
        (service.pmt_version, service.name.as_deref()),
        (None, Some("One"))
    );
    assert!(!bench.programs.pids().contains(PMT) && !bench.programs.pids().contains(SPLICE));
}

#[test]
fn a_pat_of_two_sections_applies_when_both_are_there() {
    let part = |version, number, program| {
        let entries = [PatEntry {
            program: ServiceId(program),
            pid: PMT,
        }];
        let fields = PatFields {
            syntax: syntax(1, version, number, 1),
            entries: &entries,
        };
        fields.to_section().unwrap()
    };
    let mut bench = Bench::new();
    assert_eq!(bench.send(Pid::PAT, &part(0, 1, 2)), []);
    assert_eq!(bench.send(Pid::PAT, &part(0, 1, 2)), []);
    assert_eq!(
        names(&bench.send(Pid::PAT, &part(0, 0, 1))),
        ["pat_changed"]
    );
    assert_eq!(bench.programs.services().len(), 2);
    // The next version is applied as a whole, and the old one holds until then.
    assert_eq!(bench.send(Pid::PAT, &part(1, 0, 3)), []);
    assert_eq!(
        bench
            .programs
            .services()
            .map(|s| s.id.0)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        names(&bench.send(Pid::PAT, &part(1, 1, 4))),
        ["pat_changed"]
    );
    assert_eq!(
        bench
            .programs
            .services()
            .map(|s| s.id.0)
            .collect::<Vec<_>>(),
        [3, 4]
    );
}

#[test]
fn damage_is_an_event_and_changes_nothing() {
    let mut bench = Bench::started();
    let before: Vec<_> = bench.programs.services().cloned().collect();
    for (pid, section) in [
        (Pid::PAT, pat(1, &[(9, PMT)])),
        (PMT, pmt(1, &[(2, PMT)])),
        (Pid::SDT, sdt(1, "X")),
        (Pid::EIT, eit(1, 0, Some(3), RunningStatus::Running)),
    ] {
        // The last bit of CRC_32, in the packet, where stuffing follows.
        let mut bytes = Vec::new();
        SectionPacketizer::new(pid).push([&section], |p| bytes.push(*p));
        let mut packet = bytes[0];
        packet.as_bytes_mut()[4 + section.as_bytes().len()] ^= 1;
        packet.set_continuity_counter(crate::ts::ContinuityCounter::default());
        let mut events = Vec::new();
        bench.programs.push(&packet, &mut |e| events.push(e));
        assert_eq!(names(&events), ["section_damaged"], "{pid}");
    }
    assert_eq!(
        bench.programs.services().cloned().collect::<Vec<_>>(),
        before
    );
}

#[test]
fn a_table_that_does_not_apply_yet_is_ignored() {
    let mut bench = Bench::started();
    let mut fields = syntax(1, 9, 0, 0);
    fields.current = false;
    let entries = [PatEntry {
        program: ServiceId(9),
        pid: PMT,
    }];
    let next = PatFields {
        syntax: fields,
        entries: &entries,
    };
    assert_eq!(bench.send(Pid::PAT, &next.to_section().unwrap()), []);
    assert!(bench.programs.service(SERVICE).is_some());
}

#[test]
fn more_services_than_are_followed_are_told() {
    let mut bench = Bench::new();
    let mut all = Vec::new();
    for number in 0..3u8 {
        let entries: Vec<_> = (0..250)
            .map(|n| PatEntry {
                program: ServiceId(u16::from(number) * 250 + n + 1),
                pid: Pid::from_field(0x100 + u16::from(number) * 250 + n),
            })
            .collect();
        let fields = PatFields {
            syntax: syntax(1, 0, number, 2),
            entries: &entries,
        };
        all.extend(bench.send(Pid::PAT, &fields.to_section().unwrap()));
    }
    assert_eq!(names(&all), ["tables_too_large", "pat_changed"]);
    assert_eq!(bench.programs.services().len(), 512);
}
