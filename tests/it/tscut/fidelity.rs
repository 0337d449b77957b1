//! What is between the points is what was there, and nothing else is.

use super::ffmpeg::{Frame, complaints, pes_packets, pictures, sounds};
use super::{cut, place, recording};
use crate::harness::{captures, judge};

/// How much the instants of sound that ffmpeg computes differ from those of the stamps: a frame's
/// length in ticks of 90 kHz is no whole number at 44.1 kHz.
const ROUNDING: i64 = 2;

/// Which the frames of `source` that belong to the cut are.
fn within(source: &[Frame], from: i64, to: i64) -> Vec<Frame> {
    let inside = |f: &&Frame| f.pts >= from - ROUNDING && f.pts < to - ROUNDING;
    source.iter().filter(inside).cloned().collect()
}

#[track_caller]
fn assert_same(what: &str, ours: &[Frame], theirs: &[Frame]) {
    let digests = |frames: &[Frame]| frames.iter().map(|f| f.digest.clone()).collect::<Vec<_>>();
    let ends = |frames: &[Frame]| (frames.first().map(|f| f.pts), frames.last().map(|f| f.pts));
    assert!(
        digests(ours) == digests(theirs),
        "{what}: {} frames {:?} against {} of the source {:?}",
        ours.len(),
        ends(ours),
        theirs.len(),
        ends(theirs)
    );
}

/// Cuts `source` at several places and compares picture and sound with the source's.
#[track_caller]
fn is_faithful(name: &str, args: &str, streams_of_sound: usize) {
    let source = recording(name, args);
    let shown = pictures(&source);
    let heard: Vec<_> = (0..streams_of_sound).map(|n| sounds(&source, n)).collect();
    for (n, (from, to)) in [
        ("5.3s", "11.1s"),
        ("0s", "4s"),
        ("7.99s", "8.01s"),
        ("13s", "60s"),
    ]
    .into_iter()
    .enumerate()
    {
        let what = format!("{name} {from} to {to}");
        let out = place(&format!("{name}-{n}.ts"));
        let report = cut(&source, &["--from", from, "--to", to], &out);
        let stamp = |key: &str| report[key].as_i64().unwrap();
        let (first, last) = (stamp("in_pts"), stamp("out_pts"));

        // Pictures that precede an open out-point in presentation need what follows it.
        let mut expected = within(&shown, first, last);
        let missing = stamp("leading_pictures_before_out") as usize;
        expected.truncate(expected.len() - missing);
        assert_same(&what, &pictures(&out), &expected);
        for (n, heard) in heard.iter().enumerate() {
            let expected = within(heard, first, last);
            assert_same(&format!("{what}, sound {n}"), &sounds(&out, n), &expected);
        }
        let open = report["in_kind"] == "open";
        assert_eq!(complaints(&out, open), "", "{what}");
        // ffmpeg's multiplexer obeys no buffer model.
        judge(&out, &["--ignore", "tstd"]);
    }
}

#[test]
fn h264_of_closed_groups_with_mpeg_audio() {
    is_faithful(
        "h264-closed",
        "-c:v libx264 -preset veryfast -bf 3 -g 50 -flags +cgop -c:a mp2 -b:a 192k",
        1,
    );
}

#[test]
fn h264_of_open_groups_with_ac3() {
    is_faithful(
        "h264-open",
        "-c:v libx264 -preset veryfast -bf 3 -g 50 -x264-params open-gop=1 -c:a ac3 -b:a 192k",
        1,
    );
}

#[test]
fn h264_interlaced_with_aac() {
    is_faithful(
        "h264-interlaced",
        "-vf tinterlace=interleave_top,fieldorder=tff -c:v libx264 -preset veryfast -bf 2 -g 24 \
         -flags +ildct+ilme -x264-params tff=1:open-gop=1 -c:a aac -b:a 128k",
        1,
    );
}

#[test]
fn hevc_of_closed_groups_with_eac3() {
    is_faithful(
        "hevc-closed",
        "-c:v libx265 -preset ultrafast \
         -x265-params open-gop=0:keyint=50:bframes=3:log-level=error -c:a eac3 -b:a 192k",
        1,
    );
}

#[test]
fn hevc_with_leading_pictures_that_decode() {
    is_faithful(
        "hevc-radl",
        "-c:v libx265 -preset ultrafast \
         -x265-params open-gop=0:radl=2:keyint=50:bframes=3:log-level=error -c:a eac3 -b:a 192k",
        1,
    );
}

#[test]
fn hevc_of_open_groups_with_aac() {
    is_faithful(
        "hevc-open",
        "-c:v libx265 -preset ultrafast \
         -x265-params open-gop=1:keyint=50:bframes=3:log-level=error -c:a aac -b:a 128k",
        1,
    );
}

#[test]
fn mpeg2_of_open_groups_with_three_kinds_of_sound() {
    is_faithful(
        "mpeg2-open",
        "-map 0:v -map 1:a -map 1:a -map 1:a -c:v mpeg2video -bf 2 -g 12 -b:v 1M \
         -c:a:0 mp2 -b:a:0 192k -c:a:1 ac3 -b:a:1 192k -c:a:2 aac -b:a:2 128k",
        3,
    );
}

#[test]
fn mpeg2_of_closed_groups_at_44100_hz() {
    is_faithful(
        "mpeg2-closed",
        "-c:v mpeg2video -bf 2 -g 12 -flags +cgop -sc_threshold 1000000000 -b:v 1M -ar 44100 \
         -c:a mp2 -b:a 128k",
        1,
    );
}

/// Coded pictures of two cuts that meet, joined; those of the cut of both; and how many are said
/// to be missing.
fn joined(name: &str, args: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, usize) {
    let source = recording(name, args);
    let out = |part: &str| place(&format!("{name}-join-{part}.ts"));
    let (a, c) = ("4s", "14s");
    let report = cut(&source, &["--from", a, "--to", "8s"], &out("ab"));
    let b = format!("{}ms", report["out_ms"]);
    let report = cut(&source, &["--from", &b, "--to", c], &out("bc"));
    cut(&source, &["--from", a, "--to", c], &out("ac"));
    let mut parts = pes_packets(&out("ab"), 0x100);
    parts.extend(pes_packets(&out("bc"), 0x100));
    assert_same(
        "sound of the parts",
        &[sounds(&out("ab"), 0), sounds(&out("bc"), 0)].concat(),
        &sounds(&out("ac"), 0),
    );
    let missing = report["leading_pictures_removed"].as_u64().unwrap();
    (parts, pes_packets(&out("ac"), 0x100), missing as usize)
}

#[test]
fn parts_that_meet_at_a_closed_point_hold_every_access_unit_once() {
    for (name, args) in [
        (
            "h264-closed",
            "-c:v libx264 -preset veryfast -bf 3 -g 50 -flags +cgop -c:a mp2 -b:a 192k",
        ),
        (
            "hevc-radl",
            "-c:v libx265 -preset ultrafast \
             -x265-params open-gop=0:radl=2:keyint=50:bframes=3:log-level=error -c:a eac3 -b:a 192k",
        ),
    ] {
        let (parts, whole, missing) = joined(name, args);
        assert_eq!(missing, 0);
        assert!(
            parts == whole,
            "{name}: {} pictures, not {}",
            parts.len(),
            whole.len()
        );
    }
}

#[test]
fn at_an_open_point_exactly_the_leading_pictures_are_missing_and_counted() {
    for (name, args) in [
        (
            "hevc-open",
            "-c:v libx265 -preset ultrafast \
             -x265-params open-gop=1:keyint=50:bframes=3:log-level=error -c:a aac -b:a 128k",
        ),
        (
            "mpeg2-open-join",
            "-r 30000/1001 -c:v mpeg2video -bf 2 -g 25 -b:v 1M -c:a mp2 -b:a 192k",
        ),
    ] {
        let (parts, whole, missing) = joined(name, args);
        let lost: Vec<_> = whole.iter().filter(|f| !parts.contains(f)).collect();
        assert_eq!(lost.len(), missing, "{name}");
        assert!(missing > 0, "{name} has no leading pictures at 8 s");
        assert!(parts.iter().all(|f| whole.contains(f)), "{name}");
    }
}

/// Six references of a decoder that keeps four lead the only point of this capture: without them
/// the point is let go of, and with it what follows.
#[test]
fn no_picture_behind_the_point_of_a_real_capture_is_lost_with_the_leading_ones() {
    let captures = captures();
    let Some(source) = (captures.iter()).find(|path| path.ends_with("france2-h264-eac3-dvbsub.ts"))
    else {
        return;
    };
    let out = place("france2.ts");
    let report = cut(source, &[], &out);
    let from = report["in_pts"].as_i64().unwrap();
    let shown = within(&pictures(&out), from, i64::MAX);
    assert_same(
        "pictures",
        &shown,
        &within(&pictures(source), from, i64::MAX),
    );
    assert!(shown.len() > 3, "{}", shown.len());
    assert_eq!(report["leading_pictures_removed"], 0);
}
