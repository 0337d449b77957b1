//! What our tables say of real captures is what an independent analyser says of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use headend::si::{Service, SpliceCommand, SpliceInfo};
use headend::stream::event::Event as _;
use headend::stream::{ProgramEvent, Programs};
use headend::ts::{PACKET_SIZE, Packet, Pts};
use serde_json::Value;

use crate::harness;

/// The services of a capture as they are known at its end, and the names of what was observed.
fn follow(path: &Path) -> (Programs, BTreeMap<&'static str, usize>) {
    let bytes = fs::read(path).unwrap();
    let (packets, _) = Packet::slice_of(&bytes);
    let mut programs = Programs::new();
    let mut events = BTreeMap::new();
    for packet in packets {
        programs.push(packet, &mut |event| {
            *events.entry(event.name()).or_insert(0) += 1;
        });
    }
    (programs, events)
}

/// ffmpeg's name of the codec that the analyser describes in words; `None` for what has none.
fn codec_of(description: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 10] = [
        ("AVC video", "h264"),
        ("HEVC video", "hevc"),
        ("MPEG-2 Video", "mpeg2video"),
        ("MPEG-1 Audio", "mp2"),
        ("MPEG-2 Audio", "mp2"),
        ("E-AC-3 Audio", "eac3"),
        ("ATSC AC-3 Audio", "ac3"),
        ("Subtitles", "dvb_subtitle"),
        ("Teletext", "dvb_teletext"),
        ("SCTE 35", "scte_35"),
    ];
    let found = WORDS.iter().find(|(word, _)| description.starts_with(word));
    found.map(|(_, codec)| *codec)
}

/// A number of the figures.
fn number(value: &Value, key: &str) -> Option<u64> {
    value[key].as_u64()
}

fn check_service(name: &str, service: &Service, figures: &Value) {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "(unknown)".to_owned());
    assert_eq!(known(&service.name), figures["name"], "{name}");
    assert_eq!(known(&service.provider), figures["provider"], "{name}");
    let pcr = service.pcr_pid.map(|pid| u64::from(pid.get()));
    assert_eq!(pcr, number(figures, "pcr-pid"), "{name}");
    let pmt = Some(u64::from(service.pmt_pid.get()));
    assert_eq!(pmt, number(figures, "pmt-pid"), "{name}");
    let kind = service.service_type.map_or(0, |t| u64::from(t.0));
    assert_eq!(Some(kind), number(figures, "type"), "{name}");
    assert_eq!(figures["is-scrambled"], false, "{name}");
    assert!(!service.scrambled, "{name}");
    // Its PIDs: the PMT's, the clock's, the streams'.
    let mut pids: Vec<u64> = service.streams.iter().map(|s| s.pid.get().into()).collect();
    pids.extend(pmt);
    pids.extend(pcr);
    pids.sort_unstable();
    pids.dedup();
    let expected = figures["pids"].as_array().unwrap();
    let expected: Vec<u64> = expected.iter().filter_map(Value::as_u64).collect();
    assert_eq!(pids, expected, "{name}");
}

#[test]
fn services_streams_and_languages_are_those_of_the_analyser() {
    let mut compared = 0;
    for path in harness::captures() {
        let figures = path.with_extension("figures.json");
        let length = fs::metadata(&path).unwrap().len();
        let Ok(text) = fs::read_to_string(&figures) else {
            continue;
        };
        let figures: Value = serde_json::from_str(&text).unwrap();
        let services = figures["services"].as_array().cloned().unwrap_or_default();
        if !length.is_multiple_of(PACKET_SIZE as u64) || services.is_empty() {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (programs, _) = follow(&path);
        let id = programs.transport_stream_id().map(|id| u64::from(id.0));
        assert_eq!(id, number(&figures["ts"], "id"), "{name}");
        let ours: Vec<_> = programs.services().map(|s| u64::from(s.id.0)).collect();
        let theirs: Vec<_> = services.iter().filter_map(|s| number(s, "id")).collect();
        assert_eq!(ours, theirs, "{name}");
        for (service, figures) in programs.services().zip(&services) {
            check_service(&name, service, figures);
        }
        let streams: Vec<_> = programs.services().flat_map(|s| &s.streams).collect();
        for pid in figures["pids"].as_array().unwrap() {
            let stream = streams
                .iter()
                .find(|s| Some(u64::from(s.pid.get())) == number(pid, "id"));
            let Some(stream) = stream else {
                continue;
            };
            let description = pid["description"].as_str().unwrap();
            let codec = stream.codec.map(|c| c.name());
            assert_eq!(codec, codec_of(description), "{name}: {description}");
            let language = stream.language.map(|l| l.to_string());
            assert_eq!(
                language.as_deref(),
                pid["language"].as_str(),
                "{name}: {description}"
            );
            compared += 1;
        }
    }
    assert!(
        compared > 20 || harness::samples().is_none(),
        "{compared} streams compared"
    );
}

#[test]
fn splice_information_of_a_capture_is_found_once_a_message() {
    let Some(folder) = harness::samples() else {
        return;
    };
    // The analyser counts three sections of table 0xFC on PID 600, two of them the same: out at
    // 0x30D40 twice, back at 0x493E0; read by eye off a dump.
    let (_, events) = follow(&folder.join("scte35.ts"));
    assert_eq!(events.get("splice_command"), Some(&2), "{events:?}");
    assert_eq!(events.get("section_damaged"), None, "{events:?}");
    let bytes = fs::read(folder.join("scte35.ts")).unwrap();
    let mut programs = Programs::new();
    let mut splices = Vec::new();
    for packet in Packet::slice_of(&bytes).0 {
        programs.push(packet, &mut |event| {
            if let ProgramEvent::Splice { section, .. } = event {
                let info = SpliceInfo::new(section.section()).unwrap();
                let Some(SpliceCommand::Insert(insert)) = info.command() else {
                    panic!("{info:?}");
                };
                let time = info.splice_time().map(Pts::ticks);
                splices.push((insert.event, insert.out_of_network, time));
            }
        });
    }
    assert_eq!(
        splices,
        [(100, true, Some(200_000)), (100, false, Some(300_000))]
    );
}

#[test]
fn a_guide_in_a_capture_tells_what_is_on() {
    let Some(folder) = harness::samples() else {
        return;
    };
    // ait.ts has one EIT present section for its service, 1031.
    let (programs, events) = follow(&folder.join("ait.ts"));
    assert_eq!(events.get("present_changed"), Some(&1), "{events:?}");
    let present = programs.services().find_map(|s| s.present.clone()).unwrap();
    assert!(present.start.is_some() && present.duration.is_some());
    assert!(!present.title.is_empty());
}
