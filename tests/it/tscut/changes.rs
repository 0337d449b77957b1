//! What changes inside the range: codings, sizes, clocks.

use std::path::{Path, PathBuf};

use super::ffmpeg::pictures;
use super::{cut, place, recording};
use crate::harness::Run;

const PICTURE: &str = "-c:v libx264 -preset ultrafast -bf 2 -g 50 -flags +cgop";

/// One recording behind the other.
fn joined(name: &str, parts: [&Path; 2]) -> PathBuf {
    let path = place(name);
    let bytes = parts.map(|part| std::fs::read(part).unwrap()).concat();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Twenty seconds from zero on, and twenty more as `args` say, whose stamps go on.
fn changing(name: &str, args: &str) -> PathBuf {
    let first = recording("change-first", &format!("{PICTURE} -c:a mp2 -b:a 192k"));
    let args = format!("{args} -output_ts_offset 20 -tables_version 1");
    let second = recording(&format!("change-{name}"), &args);
    joined(&format!("change-{name}.ts"), [&first, &second])
}

#[track_caller]
fn is_refused(source: &Path, words: &str) {
    let stem = source.file_stem().unwrap().to_str().unwrap();
    for extension in ["mp4", "mkv"] {
        let out = place(&format!("{stem}-part.{extension}"));
        let _ = std::fs::remove_file(&out);
        let range = ["--from", "10s", "--to", "30s", "-o"];
        Run::new("tscut")
            .args([source])
            .args(range)
            .args([&out])
            .run()
            .expect(3, &[words, "tscut: hint: write a .ts"]);
        assert!(!out.exists(), "{}", out.display());
        // Either side is as it was.
        cut(source, &["--from", "2s", "--to", "12s"], &out);
        cut(source, &["--from", "26s", "--to", "36s"], &out);
    }
    let out = place(&format!("{stem}-part.ts"));
    cut(source, &["--from", "10s", "--to", "30s"], &out);
}

#[test]
fn sound_that_changes_its_coding_is_refused_where_it_cannot_follow() {
    let source = changing("ac3", &format!("{PICTURE} -c:a ac3 -b:a 192k"));
    is_refused(&source, "PID 0x0101 changes from");
}

#[test]
fn a_picture_that_changes_its_coding_or_its_size_is_refused_where_it_cannot_follow() {
    let coding = "-c:v libx265 -preset ultrafast -x265-params keyint=50:log-level=none \
                  -c:a mp2 -b:a 192k";
    is_refused(&changing("hevc", coding), "PID 0x0100 changes from");
    let size = format!("{PICTURE} -s 640x360 -c:a mp2 -b:a 192k");
    is_refused(&changing("size", &size), "changes from 320x180 to 640x360");
}

#[test]
fn sound_that_begins_inside_the_range_is_said_to_be_left_out() {
    let args = format!("{PICTURE} -map 0:v -map 1:a -map 1:a -c:a mp2 -b:a 192k");
    let source = changing("more", &args);
    let out = place("changes-more.mp4");
    Run::new("tscut")
        .args([source.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--from", "10s", "--to", "30s"])
        .run()
        .expect(0, &["PID 0x0102", "begins inside the range: left out"]);
}

/// Two recordings of twenty seconds, an hour apart: what is presented is forty.
#[test]
fn over_a_jump_of_the_clock_the_duration_is_what_is_presented() {
    let first = recording("change-first", &format!("{PICTURE} -c:a mp2 -b:a 192k"));
    let args = format!("{PICTURE} -c:a mp2 -b:a 192k -output_ts_offset 3600");
    let second = recording("change-hour", &args);
    // From 20 s to 3600 s, and from 3620 s to zero.
    for (name, parts, seconds) in [
        ("jump-on.ts", [&first, &second], 3580),
        ("jump-back.ts", [&second, &first], -3620),
    ] {
        let source = joined(name, parts.map(|part| part.as_path()));
        let out = place(&format!("cut-{name}"));
        let report = cut(&source, &[], &out);
        assert_eq!(pictures(&out).len(), 1000);
        assert_eq!(report["duration_ms"], 40_000);
        assert_eq!(report["pieces"], 2);
        assert_eq!(report["pcr_jumps"], 1);
        let by = report["pcr_jumped_ms"].as_i64().unwrap();
        assert!((by - seconds * 1000).abs() < 500, "{by} ms");
    }
}

#[test]
fn over_a_jump_of_the_clock_the_pictures_of_a_container_keep_their_order_and_their_distance() {
    let first = recording("change-first", &format!("{PICTURE} -c:a mp2 -b:a 192k"));
    let args = format!("{PICTURE} -c:a mp2 -b:a 192k -output_ts_offset 3600");
    let second = recording("change-hour", &args);
    let shown = |part: &Path| pictures(part).into_iter().map(|frame| frame.digest);
    for (name, parts) in [("again", [&first, &first]), ("back", [&second, &first])] {
        let expected: Vec<String> = parts.iter().flat_map(|part| shown(part)).collect();
        let source = joined(&format!("seam-{name}.ts"), parts.map(|part| part.as_path()));
        for extension in ["mp4", "mkv"] {
            let out = place(&format!("seam-{name}.{extension}"));
            let report = cut(&source, &[], &out);
            assert_eq!(report["duration_ms"], 40_000);
            let seen = pictures(&out);
            let order: Vec<&String> = seen.iter().map(|frame| &frame.digest).collect();
            assert!(order == expected.iter().collect::<Vec<_>>(), "{out:?}");
            // 25 a second, in ticks of 90 kHz; Matroska rounds to the millisecond. Over the seam
            // the PCR tells, which stands up to 0.1 s from where it would.
            for (at, pair) in seen.windows(2).enumerate() {
                let off = (pair[1].pts - pair[0].pts - 3_600).abs();
                assert!(
                    off <= if at == 499 { 9_000 } else { 90 },
                    "{out:?}: {at}: {off}"
                );
            }
        }
    }
}

/// Twenty seconds, and twenty more of another size whose clock is an hour ahead.
#[test]
fn behind_a_jump_of_the_clock_the_place_of_a_change_is_on_the_scale_of_the_file() {
    let first = recording("change-first", &format!("{PICTURE} -c:a mp2 -b:a 192k"));
    let args = format!("{PICTURE} -s 640x360 -c:a mp2 -b:a 192k -output_ts_offset 3600");
    let second = recording("change-hour-size", &args);
    for (name, parts, first_pts) in [
        ("jump-size.ts", [&first, &second], 3600),
        ("jump-size-back.ts", [&second, &first], 0),
    ] {
        let source = joined(name, parts.map(|part| part.as_path()));
        let out = place("jump-size.mp4");
        let ran = Run::new("tscut")
            .args([source.as_os_str(), "-o".as_ref(), out.as_os_str()])
            .run()
            .expect(3, &["the picture on PID 0x0100 changes from", "at about "]);
        let (_, at) = ran.stderr.split_once("at about ").unwrap();
        let (at, _) = at.split_once(" s,").unwrap();
        // By hand: twenty seconds, less or more by what a PCR comes before or after its picture.
        let seconds: f64 = at.parse().unwrap();
        assert!((19.5..20.5).contains(&seconds), "{name}: {at}");
        // And it can be asked for: there the second begins.
        let times = ["--from", &format!("{at}s"), "--snap", "nearest"];
        let report = cut(&source, &times, &place("jump-size-cut.ts"));
        let pts = report["in_pts"].as_u64().unwrap() / 90_000;
        assert!((first_pts..first_pts + 3).contains(&pts), "{name}: {pts} s");
    }
}
