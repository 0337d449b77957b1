//! Recordings that are not as they should be.

use std::path::Path;

use headend::ts::Packet;

use super::ffmpeg::{coded_pictures, complaints, pes_packets};
use super::{cut, place, plain, recording};
use crate::harness::{Run, captures};

/// Two recordings one behind the other.
fn concatenated(name: &str, parts: &[&Path]) -> std::path::PathBuf {
    let bytes: Vec<u8> = parts
        .iter()
        .flat_map(|p| std::fs::read(p).unwrap())
        .collect();
    let path = place(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_clock_that_jumps_is_followed_marked_and_said() {
    let source = plain();
    let twice = concatenated("twice.ts", &[&source, &source]);
    let out = place("jump.ts");
    let ran = Run::new("tscut")
        .args([twice.as_os_str()])
        .args(["--from", "16s", "--to", "26s", "--json", "-o"])
        .args([&out])
        .run()
        .expect(0, &["pcr_jump", "clock_broken"]);
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["pcr_jumps"].as_i64(), Some(1));
    // 4 s of the first, about 6 s of the second: the jump is bridged by one PCR interval, so
    // that the second begins where the last PCR of the first stood.
    let (a, b) = (
        report["in_ms"].as_i64().unwrap(),
        report["out_ms"].as_i64().unwrap(),
    );
    assert_eq!(a, 16_000);
    assert!((26_000..28_100).contains(&b), "out at {b}");
    let digests = |path: &Path| {
        let frames = coded_pictures(path).into_iter();
        frames.map(|f| f.digest).collect::<Vec<_>>()
    };
    let all = digests(&source);
    let got = digests(&out);
    assert_eq!(got[..100], all[400..]);
    assert_eq!(got[100..], all[..got.len() - 100]);
    let bytes = std::fs::read(&out).unwrap();
    let clocks: Vec<_> = Packet::slice_of(&bytes)
        .0
        .iter()
        .filter(|p| p.pcr().is_some())
        .collect();
    let marked = clocks.iter().filter(|p| p.discontinuity()).count();
    assert_eq!(marked, 1, "the jump carries a discontinuity_indicator");
}

#[test]
fn over_a_jump_a_rebased_clock_counts_on() {
    let source = plain();
    let twice = concatenated("twice-rebased.ts", &[&source, &source]);
    let out = place("jump-rebased.ts");
    cut(&twice, &["--from", "16s", "--to", "26s", "--rebase"], &out);
    let bytes = std::fs::read(&out).unwrap();
    let clocks: Vec<_> = Packet::slice_of(&bytes)
        .0
        .iter()
        .filter_map(Packet::pcr)
        .collect();
    for pair in clocks.windows(2) {
        let step = (pair[1] - pair[0]).as_millis();
        assert!((0..=100).contains(&step), "PCR steps by {step} ms");
    }
    assert_eq!(complaints(&out, false), "");
}

#[test]
fn a_pmt_that_changes_inside_the_range_is_followed_and_said() {
    let one = plain();
    let other = recording(
        "other-pids",
        "-c:v libx264 -preset ultrafast -bf 2 -g 50 -flags +cgop -c:a ac3 -b:a 192k \
         -mpegts_start_pid 0x200 -output_ts_offset 20.0",
    );
    let both = concatenated("pmt-change.ts", &[&one, &other]);
    let out = place("pmt-change-out.ts");
    let ran = Run::new("tscut")
        .args([both.as_os_str()])
        .args(["--from", "16s", "--to", "26s", "--json", "-o"])
        .args([&out])
        .run()
        .expect(0, &["program_change"]);
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["in_ms"].as_i64(), Some(16_000));
    let bytes = std::fs::read(&out).unwrap();
    let starts = |pid: u16| {
        let packets = Packet::slice_of(&bytes).0.iter();
        packets
            .filter(|p| p.pid().get() == pid && p.payload_unit_start())
            .count()
    };
    assert_eq!(starts(0x100), 100, "4 s of pictures before the change");
    assert!(
        (150..=200).contains(&starts(0x200)),
        "{} after it",
        starts(0x200)
    );
}

#[test]
fn what_is_no_transport_stream_is_not_cut() {
    let path = place("junk.ts");
    std::fs::write(&path, [0x3F; 50_000]).unwrap();
    Run::new("tscut")
        .args([path.as_os_str(), "-o".as_ref(), place("x.ts").as_os_str()])
        .run()
        .expect(
            3,
            &["is no transport stream: no packet in 50000 bytes", "hint:"],
        );
}

#[test]
fn what_stands_between_packets_and_around_them_is_passed_over() {
    let source = std::fs::read(plain()).unwrap();
    let reference = place("framing-plain.ts");
    cut(&plain(), &["--from", "6s", "--to", "10s"], &reference);
    let reference = std::fs::read(reference).unwrap();
    let packets = Packet::slice_of(&source).0;
    let timed = packets
        .iter()
        .flat_map(|p| [&[0, 0, 0, 0][..], p.as_bytes()].concat());
    let coded = packets
        .iter()
        .flat_map(|p| [&p.as_bytes()[..], &[0x47; 16]].concat());
    let junk = packets.iter().enumerate().flat_map(|(n, p)| {
        let junk: &[u8] = if n % 1000 == 999 { b"-junk-" } else { b"" };
        [&p.as_bytes()[..], junk].concat()
    });
    for (name, bytes) in [
        ("192", timed.collect::<Vec<_>>()),
        ("204", coded.collect()),
        ("junk", junk.collect()),
    ] {
        let (path, out) = (
            place(&format!("framing-{name}.ts")),
            place("framing-out.ts"),
        );
        std::fs::write(&path, bytes).unwrap();
        cut(&path, &["--from", "6s", "--to", "10s"], &out);
        crate::harness::assert_same_packets(&std::fs::read(&out).unwrap(), &reference);
    }
}

#[test]
fn losses_of_the_source_stay_visible_and_harm_nothing_else() {
    let source = std::fs::read(plain()).unwrap();
    let packets = Packet::slice_of(&source).0;
    let lossy: Vec<u8> = packets
        .iter()
        .enumerate()
        .filter(|(n, _)| n % 997 != 0)
        .flat_map(|(_, p)| *p.as_bytes())
        .collect();
    let (path, out) = (place("lossy.ts"), place("lossy-out.ts"));
    std::fs::write(&path, lossy).unwrap();
    cut(&path, &["--from", "6s", "--to", "14s"], &out);
    // Pictures 150 to 349, of 40 ms each: what the losses left of them, bit for bit.
    let whole = pes_packets(&plain(), 0x100);
    let (left, got) = (pes_packets(&path, 0x100), pes_packets(&out, 0x100));
    let place = |picture: &Vec<u8>| left.iter().position(|p| p == picture).unwrap();
    let range = place(&whole[150])..place(&whole[350]);
    assert!(got == left[range], "{} pictures", got.len());
    let hurt = got.iter().filter(|p| !whole.contains(p)).count();
    assert!(hurt > 0 && got.len() > 190, "{hurt} of {}", got.len());
    // Sound is cut to its access units: the first and the last PES packet may be shorter.
    let (left, got) = (pes_packets(&path, 0x101), pes_packets(&out, 0x101));
    let within = &got[1..got.len() - 1];
    assert!(left.windows(within.len()).any(|w| w == within));
    // 24 ms an access unit, so many of them in each PES packet.
    let units = |pes: &[Vec<u8>]| pes.iter().map(Vec::len).sum::<usize>() / 576;
    assert!((300..=334).contains(&units(&got)), "{}", units(&got));
}

#[test]
fn every_capture_is_cut_or_refused_with_a_reason() {
    for capture in captures() {
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        for times in [
            &[][..],
            &["--from", "300ms", "--to", "900ms"],
            &["--rebase"],
        ] {
            let out = place(&format!("capture-{name}"));
            let _ = std::fs::remove_file(&out);
            let ran = Run::new("tscut")
                .args([&capture])
                .args(times)
                .args(["-o"])
                .args([&out])
                .run();
            match ran.status {
                0 => {
                    let bytes = std::fs::read(&out).unwrap();
                    let packets = Packet::slice_of(&bytes).0;
                    assert!(
                        bytes.len().is_multiple_of(188) && packets[0].pid().get() == 0,
                        "{name}"
                    );
                }
                1 | 3 => {
                    assert!(
                        ran.stderr.contains("tscut: error: cannot cut"),
                        "{name}: {}",
                        ran.stderr
                    );
                    assert!(!out.exists());
                }
                status => panic!("{name} {times:?}: status {status}, {}", ran.stderr),
            }
        }
    }
}
