//! Cutting from rings, which are made here block by block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headend::ring::index::What;
use headend::ring::{Disk, Indexer, Ring};
use headend::ts::{Packet, Pcr, Pts};
use headend::units::{Ticks27M, WallTime};

use super::ffmpeg::{complaints, pictures, sounds};
use super::{cut, place, recording};
use crate::harness::Run;

/// 2026-11-22T19:00:00Z.
pub(super) const BEGIN: WallTime = WallTime::from_unix_millis(1_795_374_000_000);
/// Ticks of a segment: ten seconds.
pub(super) const SEGMENT: i64 = 270_000_000;

/// A recording at a constant rate, so that each packet's instant is known.
fn constant() -> PathBuf {
    recording(
        "constant",
        "-c:v libx264 -preset ultrafast -b:v 800k -maxrate 800k -bufsize 400k -bf 2 -g 50 \
         -flags +cgop -c:a mp2 -b:a 192k -muxrate 2M",
    )
}

fn first_pcr(packets: &[Packet]) -> (usize, Pcr) {
    let mut clocks = packets.iter().enumerate();
    clocks.find_map(|(n, p)| Some((n, p.pcr()?))).unwrap()
}

/// Ticks that a packet takes at 2 Mb/s.
const PACKET: i64 = 188 * 8 * 27_000_000 / 2_000_000;

/// A ring in which the first PCR of `source` arrived at [`BEGIN`]; without the blocks that
/// `lost` names, by number.
pub(super) fn ring(name: &str, source: &Path, lost: std::ops::Range<usize>) -> PathBuf {
    let dir = place(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let bytes = std::fs::read(source).unwrap();
    let (first, _) = first_pcr(Packet::slice_of(&bytes).0);
    let mut segments: std::collections::BTreeMap<i64, (Vec<u8>, Vec<u8>)> = Default::default();
    for (n, block) in bytes.chunks_exact(7 * 188).enumerate() {
        if lost.contains(&n) {
            continue;
        }
        let stamp = BEGIN.ticks() + (n as i64 * 7 - first as i64) * PACKET;
        let (ts, aux) = segments.entry(stamp / SEGMENT).or_default();
        ts.extend_from_slice(block);
        aux.extend_from_slice(&stamp.to_be_bytes());
    }
    for (number, (ts, aux)) in segments {
        std::fs::write(dir.join(format!("{number}.ts")), ts).unwrap();
        std::fs::write(dir.join(format!("{number}.aux")), aux).unwrap();
    }
    dir
}

/// The UTC at which the clock reaches a stamp.
fn presented(source: &Path, pts: u64) -> WallTime {
    let bytes = std::fs::read(source).unwrap();
    let (_, pcr) = first_pcr(Packet::slice_of(&bytes).0);
    BEGIN + (Pts::from_ticks(pts).unwrap() - pcr)
}

#[test]
fn times_in_a_ring_are_instants_of_presentation() {
    let source = constant();
    let dir = ring("ring-whole", &source, 0..0);
    let out = place("ring-whole.ts");
    let (from, to) = (BEGIN + Ticks27M::SECOND * 6, BEGIN + Ticks27M::SECOND * 12);
    let times = [from.to_string(), to.to_string()];
    let report = cut(&dir, &["--from", &times[0], "--to", &times[1]], &out);
    let (a, b) = (
        report["in_pts"].as_u64().unwrap(),
        report["out_pts"].as_u64().unwrap(),
    );
    for (key, pts) in [("in_utc", a), ("out_utc", b)] {
        let utc: jiff::Timestamp = report[key].as_str().unwrap().parse().unwrap();
        let off = utc.as_millisecond() - presented(&source, pts).unix_millis();
        assert!(off.abs() <= 1, "{key} is {off} ms off");
    }
    assert!(presented(&source, a) <= from && presented(&source, b) >= to);
    // Six seconds between points of two: eight at most.
    assert_eq!((b - a) % 180_000, 0);
    assert!((6 * 90_000..=10 * 90_000).contains(&(b - a)));
    let digests =
        |f: Vec<super::ffmpeg::Frame>| f.into_iter().map(|f| f.digest).collect::<Vec<_>>();
    let inside = |f: Vec<super::ffmpeg::Frame>| {
        let kept = f
            .into_iter()
            .filter(|f| (a as i64..b as i64).contains(&f.pts));
        kept.collect::<Vec<_>>()
    };
    assert_eq!(digests(pictures(&out)), digests(inside(pictures(&source))));
    assert_eq!(
        digests(sounds(&out, 0)),
        digests(inside(sounds(&source, 0)))
    );
    assert_eq!(complaints(&out, false), "");
}

#[test]
fn a_ring_that_tsring_recorded_gives_its_programmes() {
    // Filed at the pace of its PCRs: instants then differ as stamps do, to the millisecond.
    let source = super::plain();
    let dir = place("ring-recorded");
    let _ = std::fs::remove_dir_all(&dir);
    Run::new("tsring")
        .args([
            "record".as_ref(),
            dir.as_os_str(),
            "-i".as_ref(),
            source.as_os_str(),
        ])
        .args([
            "--clock",
            "pcr",
            "--at",
            "2026-11-22T19:00:00Z",
            "--segment",
            "10s",
        ])
        .run()
        .expect(0, &[]);
    let out = place("ring-recorded.ts");
    let cut_at = |from: &str, to: &str| {
        let report = cut(&dir, &["--from", from, "--to", to], &out);
        let utc = |key: &str| {
            report[key]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
        };
        let span = utc("out_utc").as_millisecond() - utc("in_utc").as_millisecond();
        (
            report["in_utc"].as_str().unwrap().to_owned(),
            utc("out_utc").to_string(),
            span,
            report,
        )
    };
    let (begin, end, span, report) = cut_at("2026-11-22T19:00:05Z", "2026-11-22T19:00:11Z");
    assert_eq!(span % 2000, 0, "{begin} to {end}");
    assert_eq!(report["duration_ms"].as_i64(), Some(span));
    assert_eq!(complaints(&out, false), "");
    let shown = pictures(&out).len() as i64;
    assert_eq!(shown * 40, span);
    // What was reported can be asked for again.
    let (again_begin, again_end, ..) = cut_at(&begin, &end);
    assert_eq!((again_begin, again_end), (begin, end));
}

#[test]
fn a_range_beyond_the_ring_gives_what_there_is_and_says_so() {
    let dir = ring("ring-beyond", &constant(), 0..0);
    let out = place("ring-beyond.ts");
    Run::new("tscut")
        .args([dir.as_os_str()])
        .args(["--tz", "Europe/Paris", "--from", "2026-11-22 19:59:50"])
        .args(["--to", "2026-11-22T20:30:00Z", "-o"])
        .args([&out])
        .run()
        .expect(0, &["cut_starts_late", "cut_ends_early"]);
    assert!(pictures(&out).len() >= 495);
    Run::new("tscut")
        .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--from", "2026-11-22T20:00:00Z"])
        .run()
        .expect(1, &["from 2026-11-22T20:00:00.000Z: it holds nothing"]);
    // Before it: what it begins with is not at 18:00.
    let ran = Run::new("tscut")
        .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--from", "2026-11-22T18:00:00Z", "--duration", "10m"])
        .run()
        .expect(1, &["to 2026-11-22T18:10:00.000Z: it holds nothing"]);
    assert!(ran.stderr.contains("it goes from 2026-11-22T19:00:0"));
}

#[test]
fn over_a_gap_the_cut_goes_on() {
    // Blocks of 1316 bytes at 2 Mb/s: 190 a second; from 8 to 11 s nothing was received.
    let dir = ring("ring-gap", &constant(), 1520..2090);
    let out = place("ring-gap.ts");
    let report = cut(
        &dir,
        &[
            "--from",
            "2026-11-22T19:00:05Z",
            "--to",
            "2026-11-22T19:00:15Z",
        ],
        &out,
    );
    let shown = pictures(&out);
    assert!(
        (150..=250).contains(&shown.len()),
        "{} pictures",
        shown.len()
    );
    // What is presented, and beside it what is not.
    let length = report["duration_ms"].as_i64().unwrap();
    let of_pictures = shown.len() as i64 * 40;
    assert!(
        (of_pictures - length).abs() <= 80,
        "{length} ms, {of_pictures} shown"
    );
    assert_eq!(report["holes"], 1);
    // 570 blocks, and the one before them, at 190 a second.
    let missing = report["holes_ms"].as_i64().unwrap();
    assert!((2950..=3050).contains(&missing), "{missing} ms");
    assert_eq!(report["pieces"], 2);
}

/// Segments of ten seconds: the instants that one's aux file held are told from its neighbours.
#[test]
fn a_ring_without_some_of_its_stamps_is_cut_all_the_same() {
    let source = constant();
    let number = BEGIN.ticks() / SEGMENT;
    let whole = place("ring-stamped.ts");
    let times = ["--from", "2026-11-22T19:00:06Z", "--duration", "8s"];
    let dir = ring("ring-unstamped", &source, 0..0);
    let report = cut(&dir, &times, &whole);
    let aux = dir.join(format!("{number}.aux"));
    let stamps = std::fs::read(&aux).unwrap();
    let out = place("ring-unstamped.ts");
    for damage in [
        None,
        Some(vec![0xFF; stamps.len()]),
        Some(stamps[..400].to_vec()),
    ] {
        match &damage {
            None => std::fs::remove_file(&aux).unwrap(),
            Some(bytes) => std::fs::write(&aux, bytes).unwrap(),
        }
        let ran = Run::new("tscut")
            .args([
                dir.as_os_str(),
                "-o".as_ref(),
                out.as_os_str(),
                "--json".as_ref(),
            ])
            .args(times)
            .run();
        let ran = ran.expect(0, &["tscut: warning: ring_stamps_damaged", "segment="]);
        let again: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(
            (&again["in_pts"], &again["out_pts"]),
            (&report["in_pts"], &report["out_pts"])
        );
        crate::harness::assert_same_packets(
            &std::fs::read(&out).unwrap(),
            &std::fs::read(&whole).unwrap(),
        );
    }
}

/// Nothing stands behind the newest segment that would tell how long it is.
#[test]
fn a_ring_whose_newest_stamps_are_gone_is_cut_to_its_end() {
    let dir = ring("ring-unstamped-end", &constant(), 0..0);
    let newest = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path());
    let newest = newest.filter(|p| p.extension().is_some_and(|e| e == "aux"));
    std::fs::remove_file(newest.max().unwrap()).unwrap();
    let out = place("ring-unstamped-end.ts");
    Run::new("tscut")
        .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--from", "2026-11-22T19:00:12Z"])
        .run()
        .expect(0, &["tscut: warning: ring_stamps_damaged"]);
    // Eight seconds at 25 pictures a second, and what the point before adds: two seconds at most.
    let shown = pictures(&out).len();
    assert!((195..=250).contains(&shown), "{shown} pictures");
}

/// A segment of ten seconds removed by hand from a ring without side indexes.
#[test]
fn a_segment_that_is_gone_is_said_and_the_clock_behind_it_marked() {
    let dir = ring("ring-hole", &constant(), 0..0);
    let number = BEGIN.ticks() / SEGMENT + 1;
    // Five seconds: what a clock may do without a jump.
    let blocks = |file: &str, size: usize| {
        let path = dir.join(file);
        let bytes = std::fs::read(&path).unwrap();
        let kept = bytes.len() / size / 2 * size;
        std::fs::write(&path, &bytes[kept..]).unwrap();
    };
    blocks(&format!("{number}.ts"), 1316);
    blocks(&format!("{number}.aux"), 8);
    let out = place("ring-hole.ts");
    let ran = Run::new("tscut")
        .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--from", "2026-11-22T19:00:05Z"])
        .run()
        .expect(0, &["tscut: warning: gap of 5.", "2026-11-22T19:00:09."]);
    assert!(!ran.stderr.contains("pcr_jump"), "{}", ran.stderr);
    assert_eq!(marked_steps(&out), [true]);
    // All of it.
    std::fs::remove_file(dir.join(format!("{number}.ts"))).unwrap();
    std::fs::remove_file(dir.join(format!("{number}.aux"))).unwrap();
    let (before, behind) = (number - 1, number + 1);
    std::fs::copy(
        dir.join(format!("{before}.ts")),
        dir.join(format!("{behind}.ts")),
    )
    .unwrap();
    let stamps = std::fs::read(dir.join(format!("{before}.aux"))).unwrap();
    let later: Vec<u8> = stamps
        .chunks_exact(8)
        .map(|s| u64::from_be_bytes(s.try_into().unwrap()) + 2 * SEGMENT as u64)
        .flat_map(u64::to_be_bytes)
        .collect();
    std::fs::write(dir.join(format!("{behind}.aux")), later).unwrap();
    let words = format!("no segment between {before}.ts and {behind}.ts");
    Run::new("tscut")
        .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .run()
        .expect(0, &["tscut: warning: gap of 1", &words]);
    assert_eq!(marked_steps(&out), [true]);
}

/// Of each PCR that is half a second or more from the one before: whether it is marked.
fn marked_steps(file: &Path) -> Vec<bool> {
    let bytes = std::fs::read(file).unwrap();
    let clocks = Packet::slice_of(&bytes).0.iter();
    let clocks: Vec<(Pcr, bool)> = clocks
        .filter_map(|p| Some((p.pcr()?, p.discontinuity())))
        .collect();
    let half = Ticks27M::from_millis(500);
    let far = clocks.windows(2).filter(|w| (w[1].0 - w[0].0).abs() > half);
    far.map(|w| w[1].1).collect()
}

/// A recording of whole blocks and one packet, filed twice: the second time, the block that the
/// first left is filled by packets that came two hours later than its stamp says.
#[test]
fn the_first_point_behind_a_restart_is_dated_by_what_came_after_it() {
    let bytes = std::fs::read(constant()).unwrap();
    let source = place("ring-restart-source.ts");
    std::fs::write(&source, &bytes[..188 * (7 * 1500 + 1)]).unwrap();
    let dir = place("ring-restart");
    let _ = std::fs::remove_dir_all(&dir);
    for at in ["2026-11-22T10:00:00Z", "2026-11-22T12:00:00Z"] {
        let dir = dir.to_str().unwrap();
        let input = source.to_str().unwrap();
        Run::new("tsring")
            .args(["record", dir, "-q", "-i", input, "--clock", "pcr"])
            .args(["--at", at, "--segment", "5s"])
            .run()
            .expect(0, &[]);
    }
    let out = place("ring-restart.ts");
    let times = ["--from", "2026-11-22T12:00:00.9Z", "--duration", "3s"];
    let report = cut(&dir, &times, &out);
    // The first picture of all is the point.
    let first = report["in_utc"].as_str().unwrap();
    assert!(first.starts_with("2026-11-22T12:00:00."), "{first}");
    assert_eq!(
        (&report["holes"], &report["pieces"]),
        (&0.into(), &1.into())
    );
    let until = report["out_pts"].as_i64().unwrap();
    assert!(sounds(&out, 0).iter().all(|frame| frame.pts < until));
    // Each index speaks of its own segment: what stands later in it came later.
    let ring = Ring::open(Arc::new(Disk), &dir).unwrap();
    for segment in ring.segments() {
        let mut records = ring.index(segment).unwrap().own;
        records.retain(|r| matches!(r.what, What::Pcr { .. } | What::RandomAccess { .. }));
        records.sort_by_key(|r| r.offset);
        assert!(records.is_sorted_by_key(|r| r.at), "{records:?}");
    }
}

/// An hour passes before the second point of all: the clock from before it does not date it.
#[test]
fn an_index_dates_no_picture_by_a_clock_from_before_a_silence() {
    let bytes = std::fs::read(constant()).unwrap();
    let packets = Packet::slice_of(&bytes).0;
    let points = packets.iter().enumerate();
    let mut points = points.filter(|(_, p)| p.pid().get() == 0x100 && p.random_access());
    let (place, _) = points.nth(1).unwrap();
    let (before, behind) = packets.split_at(place);
    let later = BEGIN + Ticks27M::SECOND * 3600;
    let mut indexer = Indexer::default();
    indexer.push(before, 0, BEGIN);
    indexer.push(behind, before.len() as u64 * 188, later);
    let mut seen = 0;
    for record in indexer.take() {
        if let What::RandomAccess { presentation, .. } = record.what
            && record.offset >= before.len() as u64 * 188
        {
            // All came at once: up to twenty seconds are in it.
            let ahead = presentation.map_or(Ticks27M::ZERO, |at| at - later);
            assert!((0..20_000).contains(&ahead.as_millis()), "{record:?}");
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen} points");
}

/// From 8 to 11 s nothing was received.
#[test]
fn a_range_inside_a_gap_holds_nothing() {
    let dir = ring("ring-inside-gap", &constant(), 1520..2090);
    let out = place("ring-inside-gap.ts");
    let _ = std::fs::remove_file(&out);
    // Pictures are presented a second after they came, at most.
    for snap in ["outward", "before", "after", "nearest", "closed"] {
        Run::new("tscut")
            .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
            .args(["--from", "2026-11-22T19:00:09.2Z", "--duration", "1500ms"])
            .args(["--snap", snap])
            .run()
            .expect(1, &["cannot cut"]);
        assert!(!out.exists(), "--snap {snap}");
    }
    Run::new("tscut")
        .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--from", "2026-11-22T19:00:09.2Z", "--duration", "1500ms"])
        .run()
        .expect(1, &["it holds nothing of that: gap of 3.0"]);
    // A part of it is there.
    Run::new("tscut")
        .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--from", "2026-11-22T19:00:07.5Z", "--duration", "3s"])
        .run()
        .expect(0, &["warning: gap of 3.0"]);
}

/// Bytes of the second segment overwritten, put in and taken out.
#[test]
fn what_is_no_packet_is_left_out_and_said() {
    let source = constant();
    let times = ["--from", "2026-11-22T19:00:12Z", "--duration", "6s"];
    let whole = place("ring-undamaged.ts");
    cut(&ring("ring-undamaged", &source, 0..0), &times, &whole);
    let whole = std::fs::read(whole).unwrap();
    let out = place("ring-overwritten.ts");
    let number = BEGIN.ticks() / SEGMENT + 1;
    // Blocks 570 to 579 come three seconds into the segment; 190 a second.
    let at = 570 * 1316;
    let junk = vec![0x22; 13_160];
    for (name, from, to, put, said) in [
        ("overwritten", at, at + 13_160, &junk[..], 13_160),
        // The packets that are hit are gone as well.
        ("inside", at + 50, at + 150, &junk[..100], 0),
        ("one byte", at, at + 1, &junk[..1], 188),
        ("more", at, at, &junk[..100], 100),
        ("less", at, at + 100, &junk[..0], 88),
    ] {
        let dir = ring("ring-overwritten", &source, 0..0);
        let segment = dir.join(format!("{number}.ts"));
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes.splice(from..to, put.iter().copied());
        std::fs::write(&segment, bytes).unwrap();
        let words = format!("warning: {said} bytes between packets were passed over");
        let ran = Run::new("tscut")
            .args([dir.as_os_str(), "-o".as_ref(), out.as_os_str()])
            .args(times)
            .run()
            .expect(0, &[if said > 0 { &words } else { "cut from" }]);
        assert_eq!(ran.stderr.contains("passed over"), said > 0, "{name}");
        let got = std::fs::read(&out).unwrap();
        let (packets, rest) = Packet::slice_of(&got);
        assert!(rest.is_empty() && packets.iter().all(|p| p.as_bytes()[0] == 0x47));
        let lost = (whole.len() - got.len()) / 188;
        // 70 packets were overwritten, some of them null packets, which a cut leaves out.
        let most = if name == "overwritten" { 70 } else { 1 };
        assert!(lost <= most, "{name}: {lost} packets are gone");
        assert!(name != "overwritten" || lost > 20, "{lost}");
    }
}

#[test]
fn an_empty_directory_is_no_ring() {
    let dir = tempfile::tempdir().unwrap();
    Run::new("tscut")
        .args([dir.path().as_os_str(), "-o".as_ref(), "x.ts".as_ref()])
        .run()
        .expect(2, &["tscut: error:", "tscut: hint: tsring record DIR"]);
}
