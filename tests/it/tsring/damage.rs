//! Rings that are not as they should be.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::{check, dir, file, files, json, numbers, stream, tsring};

#[test]
fn a_segment_without_its_stamps_is_read_all_the_same_and_that_is_said() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 30_000);
    file(&ring, &bytes);
    let aux = files(&ring, "aux")[2].clone();
    let stamps = fs::read(&aux).unwrap();
    let noise: Vec<u8> = stamps.iter().map(|b| b.wrapping_mul(167) ^ 0xA5).collect();
    for broken in [
        &[][..],
        &stamps[..stamps.len() / 3],
        &noise,
        &vec![0xFF; stamps.len()],
    ] {
        fs::write(&aux, broken).unwrap();
        let read = tsring(&["read", &ring])
            .run()
            .expect(0, &["ring_stamps_damaged"]);
        assert!(read.stdout == bytes, "{} bytes of aux", broken.len());
    }
    fs::remove_file(&aux).unwrap();
    let read = tsring(&["read", &ring])
        .run()
        .expect(0, &["ring_stamps_damaged"]);
    assert!(read.stdout == bytes);
    // 3 s into the stream, by the PCRs that the index knows: one a second, so that the place is
    // known to a few milliseconds.
    let from = ["read", &ring, "--from", "2026-11-20T00:00:05Z"];
    let read = tsring(&from).run().expect(0, &["ring_stamps_damaged"]);
    let first = numbers(&read.stdout)[0];
    // 5 s of 300.8 us a packet.
    assert!(first.abs_diff(16_622) < 100, "{first}");
    let played = tsring(&["play", &ring, "--from", "2026-11-20T00:00:03.8Z"]).run();
    assert_eq!(numbers(&played.stdout).last(), Some(&29_999));
    assert!(
        played.stderr.contains("ring_stamps_damaged"),
        "{}",
        played.stderr
    );
}

#[test]
fn a_stranger_with_a_number_for_a_name_is_left_alone() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 10_000);
    file(&ring, &bytes);
    let stranger = Path::new(&ring).join("1.ts");
    let noise: Vec<u8> = (0..50_000u32).map(|n| ((n * n) >> 3) as u8).collect();
    fs::write(&stranger, &noise).unwrap();
    assert!(tsring(&["read", &ring]).run().quiet_success() == bytes);
    let info = tsring(&["info", &ring])
        .run()
        .expect(0, &["ring_foreign_file", "1.ts"]);
    assert!(
        info.text().contains("2026-11-20T00:00:00.000Z"),
        "{}",
        info.text()
    );
    let check = tsring(&["check", &ring, "--repair"]).run();
    assert_eq!(
        (check.status, check.text().as_str()),
        (0, "1.ts: not of this ring\n2 segments, 0 findings\n")
    );
    let at = ["--clock", "pcr", "--max-bytes", "1M"];
    tsring(&["record", &ring])
        .args(at)
        .stdin(stream(10_000, 20_000))
        .run();
    assert_eq!(fs::read(&stranger).unwrap(), noise);
}

#[test]
fn what_is_no_transport_stream_is_not_recorded_and_what_is_empty_is_empty() {
    let (_keep, ring) = dir();
    let record = |bytes: &[u8]| tsring(&["record", &ring]).stdin(bytes).run();
    record(&[0x3F; 50_000]).expect(
        3,
        &[
            "'-' is no transport stream: no packet in 50000 bytes",
            "hint:",
        ],
    );
    record(&[]).expect(0, &[]);
    let one = stream(0, 1);
    record(&one).expect(0, &[]);
    assert!(tsring(&["read", &ring]).run().quiet_success() == one);
}

#[test]
fn what_is_broken_in_a_ring_is_found_and_put_right() {
    // What is done to the third segment, or behind the last, and what is said of it.
    type Breakage = fn(&Path);
    let cases: [(Breakage, &str); 6] = [
        (
            |ts| append(ts, &[0x47; 100]),
            "100 bytes that are no whole packet, 0 packets",
        ),
        (
            |ts| fs::remove_file(ts.with_extension("aux")).unwrap(),
            "950 stamps missing or wrong",
        ),
        (
            |ts| shorten(&ts.with_extension("aux"), 100),
            "850 stamps missing or wrong",
        ),
        (
            |ts| fs::remove_file(ts.with_extension("idx")).unwrap(),
            "not indexed",
        ),
        (|ts| shorten(&ts.with_extension("idx"), 100), "not indexed"),
        (
            |ts| fs::rename(ts, ts.with_extension("gone")).unwrap(),
            "aux: without packets",
        ),
    ];
    for (breaks, words) in cases {
        let gone = words.contains("without packets");
        let (_keep, ring) = dir();
        let bytes = stream(0, 30_000);
        file(&ring, &bytes);
        let third = files(&ring, "ts")[2].clone();
        breaks(&third);
        let (status, said) = check(&ring, &[]);
        assert!(
            status == 1 && said.iter().any(|line| line.contains(words)),
            "{words}: {said:?}"
        );
        let (status, said) = check(&ring, &["--repair"]);
        let done = |line: &String| line.starts_with("repaired: ") && line.contains(words);
        // Nothing brings packets back.
        let left = i32::from(gone);
        assert!(status == left && said.iter().any(done), "{words}: {said:?}");
        if gone {
            fs::rename(third.with_extension("gone"), &third).unwrap();
            assert_eq!(check(&ring, &["--repair"]).0, 0);
        }
        let (status, said) = check(&ring, &[]);
        assert_eq!(
            (status, said),
            (0, vec!["5 segments, 0 findings".to_owned()]),
            "{words}"
        );
        assert!(
            tsring(&["read", &ring]).run().quiet_success() == bytes,
            "{words}"
        );
        let points = json(&ring);
        assert_eq!(points["indexed"], true);
    }
}

#[test]
fn segments_that_are_gone_from_the_middle_are_said_by_all() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 30_000));
    let third = files(&ring, "ts")[2].clone();
    for extension in ["ts", "aux", "idx"] {
        fs::remove_file(third.with_extension(extension)).unwrap();
    }
    // Segments of 2 s from midnight on: from 4 to 6 s, blocks 2.1 ms apart.
    let stem = |at: usize| files(&ring, "ts")[at].file_name().unwrap().to_owned();
    let words = format!(
        "missing: no segment between {} and {}",
        stem(1).display(),
        stem(2).display()
    );
    let info = json(&ring);
    let gaps = info["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["cause"], "missing");
    let millis = gaps[0]["duration_ms"].as_i64().unwrap();
    assert!((2_000..2_010).contains(&millis), "{millis} ms");
    let left = files(&ring, "ts")
        .iter()
        .map(|f| fs::metadata(f).unwrap().len())
        .sum::<u64>();
    assert_eq!(gaps[0]["lost_packets"], 30_000 - left / 188);
    let text = tsring(&["info", &ring]).run();
    assert!(text.text().contains(&words), "{}", text.text());
    tsring(&["read", &ring])
        .run()
        .expect(0, &["gap of", &words]);
    let within = ["read", &ring, "--from", "2026-11-20T00:00:06.1Z"];
    tsring(&within).run().quiet_success();
    let play = ["play", &ring, "--from", "2026-11-20T00:00:03.5Z"];
    let played = tsring(&play).run().expect(0, &["gap of", &words]);
    assert_eq!(
        played.stderr.matches("gap of").count(),
        1,
        "{}",
        played.stderr
    );
    let (status, said) = check(&ring, &[]);
    assert_eq!(status, 1);
    assert!(said[0].contains(&words), "{said:?}");
    assert_eq!(said[1], "4 segments, 1 findings");
    // Nothing puts it right.
    assert_eq!(check(&ring, &["--repair"]), (1, said));
}

/// Makes a file of `bytes` longer.
fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Keeps so many stamps of 8 bytes, or as many bytes of anything else.
fn shorten(path: &Path, count: u64) {
    let size = if path.extension().is_some_and(|e| e == "aux") {
        8
    } else {
        1
    };
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(count * size).unwrap();
}
