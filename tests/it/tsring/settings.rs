//! Rings whose settings are gone or damaged.

use std::fs;
use std::path::Path;

use headend::si::descriptor::Descriptors;
use headend::si::{
    DvbDuration, DvbTime, EitEvent, EitFields, EitKind, EventId, OriginalNetworkId, PatEntry,
    PatFields, PmtFields, PmtStream, RunningStatus, SdtFields, SdtService, ServiceId, StreamType,
    TransportStreamId,
};
use headend::stream::SectionPacketizer;
use headend::ts::{Pid, SectionSyntax};

use super::{check, dir, file, json, numbers, stream, tsring};

#[test]
fn damaged_settings_stop_nobody_and_are_kept_aside() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 20_000));
    let path = Path::new(&ring).join("ring.json");
    let sane = fs::read_to_string(&path).unwrap();
    let cases = [
        String::new(),
        sane[..sane.len() / 3].to_owned(),
        "noise".to_owned(),
        sane.replace("\"keep_ms\": 86400000", "\"keep_ms\": 0"),
        sane.replace("54000000", "-54000000"),
    ];
    let mut sent = 20_000;
    for text in cases {
        fs::write(&path, &text).unwrap();
        let words = ["ring_settings_damaged", "ring.json"];
        let read = tsring(&["read", &ring]).run().expect(0, &words);
        assert_eq!(numbers(&read.stdout), (0..sent).collect::<Vec<_>>());
        let info = tsring(&["info", &ring, "--json"]).run().expect(0, &words);
        let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
        assert_eq!(info["segment_ms"], 2000);
        let (status, said) = check(&ring, &[]);
        assert!(
            status == 1 && said[0].starts_with("ring.json: "),
            "{said:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        tsring(&["record", &ring, "--clock", "pcr"])
            .stdin(stream(sent, 1_000))
            .run()
            .expect(0, &["ring_settings_damaged", "ring_settings_found"]);
        sent += 1_000;
        let aside = path.with_extension("json.damaged");
        assert_eq!(fs::read_to_string(aside).unwrap(), text);
        assert_eq!(json(&ring)["segment_ms"], 2000);
        assert_eq!(json(&ring)["epochs"], 0);
        assert_eq!(check(&ring, &[]).0, 0);
    }
}

/// A format of which nothing is known here, but that there will be one: not a word of what it says
/// is damage, and not a file of such a ring is ours to change.
#[test]
fn a_ring_of_a_later_version_is_refused_and_left_as_it_is() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 20_000));
    let path = Path::new(&ring).join("ring.json");
    let later = r#"{"format": 7, "kept": {"hours": 24}, "pieces": "hourly"}"#;
    fs::write(&path, later).unwrap();
    let listed = || {
        let mut names = Vec::new();
        for entry in fs::read_dir(&ring).unwrap() {
            let entry = entry.unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            names.push((entry.file_name(), bytes));
        }
        names.retain(|(name, _)| name != "ring.lock");
        names.sort();
        names
    };
    let before = listed();
    let refused = |args: &[&str]| {
        let words = ["ring.json", "later headend", "format 7", "reads up to 1"];
        let ran = tsring(args).stdin(stream(20_000, 1_000)).run();
        let ran = ran.expect(2, &words);
        assert!(!ran.stderr.contains("damaged"), "{args:?}: {}", ran.stderr);
        assert!(listed() == before, "{args:?} changed a file");
    };
    refused(&["read", &ring]);
    refused(&["info", &ring]);
    refused(&["check", &ring]);
    refused(&["check", &ring, "--repair"]);
    refused(&["record", &ring, "--clock", "pcr"]);
    // Numbers that no version will have are damage.
    for absurd in ["0", "-1", "\"1\"", "1.5"] {
        fs::write(&path, later.replace('7', absurd)).unwrap();
        tsring(&["read", &ring])
            .run()
            .expect(0, &["ring_settings_damaged"]);
    }
}

/// [`stream`] with the tables of one service: PAT, PMT, SDT, and the EIT present section of the
/// event that is on at each packet, four times in three seconds.
fn channel(packets: u32, event_at: impl Fn(u32) -> EitEvent<'static>) -> Vec<u8> {
    let (service, transport) = (ServiceId(7), TransportStreamId(1));
    let syntax = |extension, version| SectionSyntax {
        extension,
        version,
        current: true,
        number: 0,
        last_number: 0,
    };
    let pmt_pid = Pid::new(0x20).unwrap();
    let program = PatEntry {
        program: service,
        pid: pmt_pid,
    };
    let pat = PatFields::new(transport, 0, &[program]).to_section();
    let clock = Pid::new(0x100).unwrap();
    let elementary = [PmtStream {
        stream_type: StreamType::MPEG2_AUDIO,
        pid: clock,
        descriptors: Descriptors::NONE,
    }];
    let pmt = PmtFields::new(service, 0, clock, Descriptors::NONE, &elementary);
    // EN 300 468 §6.2.33: service_type 1, provider "P", name "News".
    let named = [0x48, 8, 1, 1, b'P', 4, b'N', b'e', b'w', b's'];
    let sdt = SdtFields {
        actual: true,
        syntax: syntax(transport.0, 0),
        original_network: OriginalNetworkId(1),
        services: &[SdtService {
            service,
            eit_schedule: false,
            eit_present_following: true,
            running: RunningStatus::Running,
            scrambled: false,
            descriptors: Descriptors::new(&named),
        }],
    };
    let sections = [
        (Pid::PAT, pat),
        (pmt_pid, pmt.to_section()),
        (Pid::SDT, sdt.to_section()),
    ];
    let mut fixed = sections.map(|(pid, s)| (SectionPacketizer::new(pid), s.unwrap()));
    let mut eit_packets = SectionPacketizer::new(Pid::EIT);
    let mut bytes = Vec::new();
    for (n, packet) in (0..packets).zip(stream(0, packets).chunks(188)) {
        if n % 2_500 == 0 {
            let event = event_at(n);
            let eit = EitFields {
                kind: EitKind::PRESENT_FOLLOWING,
                syntax: syntax(service.0, (event.event.0 % 32) as u8),
                transport_stream: transport,
                original_network: OriginalNetworkId(1),
                segment_last_section: 0,
                last_table: EitKind::PRESENT_FOLLOWING.table_id().unwrap(),
                events: &[event],
            };
            for (packets, section) in &mut fixed {
                packets.push([&*section], |p| bytes.extend_from_slice(p.as_bytes()));
            }
            let eit = eit.to_section().unwrap();
            eit_packets.push([&eit], |p| bytes.extend_from_slice(p.as_bytes()));
        }
        bytes.extend_from_slice(packet);
    }
    bytes
}

#[test]
fn services_and_events_are_told_without_the_newest_index() {
    // EN 300 468 §6.2.37: language, a name of one letter, no text.
    const TITLES: [[u8; 8]; 3] = [
        [0x4D, 6, b'e', b'n', b'g', 1, b'A', 0],
        [0x4D, 6, b'e', b'n', b'g', 1, b'B', 0],
        [0x4D, 6, b'e', b'n', b'g', 1, b'C', 0],
    ];
    // At 300.8 us a packet B begins at 3.01 s, and C at 8.27 s: within the newest segment, which
    // begins at 8 s.
    let event_at = |n: u32| {
        let on = usize::from(n >= 10_000) + usize::from(n >= 27_500);
        EitEvent {
            event: EventId(40 + on as u16),
            start: DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]),
            duration: DvbDuration([0, 0, 4]),
            running: RunningStatus::Running,
            scrambled: false,
            descriptors: Descriptors::new(&TITLES[on]),
        }
    };
    let (_keep, ring) = dir();
    file(&ring, &channel(30_000, event_at));
    let whole = json(&ring);
    let service = &whole["services"][0];
    assert_eq!(
        (&service["id"], &service["name"]),
        (&7.into(), &"News".into())
    );
    let clock = (&service["pmt_pid"], &service["pcr_pid"]);
    assert_eq!(clock, (&0x20.into(), &0x100.into()));
    // The start to the tenth of a second: without an index it is that of a block's stamp.
    let told = |info: &serde_json::Value| -> Vec<(u64, String, String)> {
        let events = info["events"].as_array().unwrap().iter();
        let told = events.map(|event| {
            let text = |key: &str| event[key].as_str().unwrap().to_owned();
            let mut start = text("start");
            start.truncate(start.len() - 3);
            (event["event_id"].as_u64().unwrap(), text("title"), start)
        });
        told.collect()
    };
    let expected = [
        (40, "A", "2026-11-20T00:00:00.0"),
        (41, "B", "2026-11-20T00:00:03.0"),
        (42, "C", "2026-11-20T00:00:08.2"),
    ];
    let expected = expected.map(|(id, title, start)| (id, title.to_owned(), start.to_owned()));
    assert_eq!(told(&whole), expected);
    let last = super::files(&ring, "idx").pop().unwrap();
    fs::remove_file(&last).unwrap();
    let without = json(&ring);
    assert_eq!(told(&without), expected);
    for key in ["indexed", "gaps"] {
        assert_eq!(without[key], whole[key], "{key}");
    }
    // Save how often its map came: who looks at the packets of the last segment meets it anew.
    for key in ["id", "name", "type", "pmt_pid", "pcr_pid"] {
        assert_eq!(without["services"][0][key], service[key], "{key}");
    }
    assert_eq!(without["services"].as_array().unwrap().len(), 1);
}

#[test]
fn an_index_that_is_missing_or_torn_costs_nothing_that_older_ones_tell() {
    let (_keep, ring) = dir();
    // Two programmes after one another, with a break between.
    file(&ring, &stream(0, 20_000));
    let at = ["--clock", "pcr", "--at", "2026-11-20T00:01:00Z"];
    tsring(&["record", &ring])
        .args(at)
        .stdin(stream(20_000, 10_000))
        .run()
        .expect(0, &["ring_resumed"]);
    let whole = json(&ring);
    assert_eq!(whole["gaps"].as_array().unwrap().len(), 1);
    let last = super::files(&ring, "idx").pop().unwrap();
    let bytes = fs::read(&last).unwrap();
    let told = |info: &serde_json::Value| {
        [
            "gaps", "services", "events", "indexed", "bytes", "first", "last",
        ]
        .map(|key| info[key].clone())
    };
    for left in [None, Some(0), Some(30), Some(64), Some(bytes.len() - 17)] {
        match left {
            None => fs::remove_file(&last).unwrap(),
            Some(left) => fs::write(&last, &bytes[..left]).unwrap(),
        }
        assert_eq!(told(&json(&ring)), told(&whole), "{left:?}");
        // The next recorder makes it anew.
        tsring(&["record", &ring, "--clock", "pcr"])
            .run()
            .expect(0, &[]);
        assert_eq!(check(&ring, &[]).0, 0, "{left:?}");
        assert_eq!(told(&json(&ring)), told(&whole), "{left:?}");
    }
}
