//! What `tsmon` says is in a stream is what ffprobe says.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Run, captures, ffmpeg_stream, output_of};

/// The report on a file.
fn report(path: &Path) -> Value {
    let ran = Run::new("tsmon")
        .args(["--quiet", "--report", "json"])
        .args([path])
        .run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// What ffprobe says of a file.
fn probe(path: &Path, what: &[&str]) -> Value {
    let mut args = ["-v", "quiet", "-of", "json"].map(OsStr::new).to_vec();
    args.extend(what.iter().map(OsStr::new));
    args.push(path.as_os_str());
    serde_json::from_str(&output_of("ffprobe", &args)).unwrap()
}

/// The PID of a stream of ffprobe's, as the report has it.
fn pid_of(stream: &Value) -> u64 {
    let id = stream["id"].as_str().unwrap().trim_start_matches("0x");
    u64::from_str_radix(id, 16).unwrap()
}

/// What is in a PID; `None` when nothing of it came.
fn content(report: &Value, pid: u64) -> Option<&Value> {
    let pids = report["content"]["pids"].as_array().unwrap();
    pids.iter().find(|p| p["pid"] == pid)
}

/// ffprobe's number in a text.
fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

fn compare_video(name: &str, ours: &Value, theirs: &Value) {
    assert_eq!(ours["codec"], theirs["codec_name"], "{name}");
    for key in ["width", "height"] {
        assert_eq!(ours[key], theirs[key], "{name}: {key}");
    }
    if !ours["profile"].is_null() {
        assert_eq!(ours["profile"], theirs["profile"], "{name}");
    }
    assert_eq!(ours["frame_rate"], theirs["r_frame_rate"], "{name}");
    let said = |key: &str| {
        theirs[key]
            .as_str()
            .filter(|t| !matches!(*t, "0:1" | "N/A"))
    };
    assert_eq!(
        ours["sample_aspect"].as_str(),
        said("sample_aspect_ratio"),
        "{name}"
    );
    assert_eq!(
        ours["display_aspect"].as_str(),
        said("display_aspect_ratio"),
        "{name}"
    );
    let progressive = matches!(theirs["field_order"].as_str(), Some("progressive") | None);
    assert_eq!(ours["interlaced"], !progressive, "{name}");
}

fn compare_audio(name: &str, ours: &Value, theirs: &Value) {
    assert_eq!(ours["codec"], theirs["codec_name"], "{name}");
    assert_eq!(
        ours["sample_rate_hz"].as_u64(),
        number(&theirs["sample_rate"]),
        "{name}"
    );
    assert_eq!(ours["channels"], theirs["channels"], "{name}");
    let layout = ours["layout"].as_str().unwrap();
    let theirs_layout = theirs["channel_layout"].as_str().unwrap_or("mono");
    if matches!(theirs_layout, "mono" | "5.1(side)" | "5.1") {
        assert_eq!(layout, theirs_layout.trim_end_matches("(side)"), "{name}");
    }
    // Of AAC ffprobe estimates a rate from a few frames; of the others it is in the headers.
    let coded = theirs["codec_name"] == "aac" || theirs["codec_name"] == "aac_latm";
    if !coded {
        let theirs = number(&theirs["bit_rate"]);
        assert_eq!(ours["bit_rate_bps"].as_u64(), theirs, "{name}");
    }
}

/// Compares every stream of a file; gives how many there were with something to compare.
fn compare(path: &Path) -> usize {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let ours = report(path);
    let theirs = probe(path, &["-show_streams"]);
    let mut compared = 0;
    for stream in theirs["streams"].as_array().unwrap() {
        let Some(ours) = content(&ours, pid_of(stream)) else {
            continue;
        };
        let known = |what: &str| !ours[what].is_null();
        match stream["codec_type"].as_str() {
            Some("video") if known("video") => compare_video(&name, &ours["video"], stream),
            Some("audio") if known("audio") => compare_audio(&name, &ours["audio"], stream),
            _ => continue,
        }
        compared += 1;
    }
    compared
}

const PICTURES: &str = "-f lavfi -i testsrc2=duration=4:size=640x360:rate=25";
const SOUND: &str = "-f lavfi -i sine=duration=4:frequency=440:sample_rate=48000";

#[test]
fn pictures_and_sound_are_what_ffprobe_says_of_streams_of_ffmpegs() {
    for (name, args) in [
        (
            "h264-mp2",
            format!("{PICTURES} {SOUND} -c:v libx264 -preset ultrafast -g 25 -c:a mp2 -b:a 192k"),
        ),
        (
            "h264-interlaced-aac",
            format!(
                "{PICTURES} {SOUND} -c:v libx264 -preset fast -flags +ilme+ildct -x264-params \
                 tff=1:keyint=12 -vf setsar=64/45 -c:a aac -b:a 128k -ac 2"
            ),
        ),
        (
            "hevc-ac3",
            format!(
                "-f lavfi -i testsrc2=duration=4:size=1280x720:rate=30000/1001 {SOUND} -c:v \
                 libx265 -preset ultrafast -x265-params log-level=error -c:a ac3 -ac 6 -b:a 448k"
            ),
        ),
        (
            "mpeg2-eac3",
            format!(
                "{PICTURES} {SOUND} -c:v mpeg2video -b:v 2M -g 15 -bf 2 -flags +ilme+ildct -top 1 \
                 -aspect 16:9 -c:a eac3 -ac 6 -b:a 256k"
            ),
        ),
        (
            "mpeg2-latm",
            format!(
                "{PICTURES} {SOUND} -c:v mpeg2video -b:v 2M -c:a aac -ac 1 -b:a 64k \
                 -mpegts_flags latm"
            ),
        ),
        (
            "mono-441",
            "-f lavfi -i sine=duration=4:sample_rate=44100 -c:a mp2 -ac 1 -b:a 96k".to_owned(),
        ),
    ] {
        let path = ffmpeg_stream(&format!("content-{name}"), &args);
        let streams = 1 + usize::from(name != "mono-441");
        assert_eq!(compare(&path), streams, "{name}: streams with figures");
    }
}

#[test]
fn pictures_and_sound_of_captures_are_what_ffprobe_says() {
    let compared: usize = captures().iter().map(|path| compare(path)).sum();
    assert!(compared == 0 || compared > 12, "only {compared} streams");
}

/// Pictures from one key frame to the next, as ffprobe counts them.
fn groups(path: &Path) -> Vec<i64> {
    let what = ["-select_streams", "v:0", "-show_entries", "packet=flags"];
    let packets = probe(path, &what);
    let keys: Vec<_> = packets["packets"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .filter(|(_, p)| p["flags"].as_str().unwrap().starts_with('K'))
        .map(|(n, _)| n as i64)
        .collect();
    keys.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn groups_of_pictures_are_as_long_as_ffprobe_counts() {
    let changing = "-f lavfi -i testsrc2=duration=20:size=320x240:rate=25 -c:v";
    for (name, args, hertz) in [
        (
            "gop-h264",
            format!("{changing} libx264 -preset fast -g 25 -bf 3"),
            25,
        ),
        (
            "gop-open",
            format!("{changing} libx264 -x264-params keyint=40:open-gop=1:bframes=2"),
            25,
        ),
        (
            "gop-hevc",
            format!("{changing} libx265 -preset ultrafast -x265-params log-level=error:keyint=30"),
            25,
        ),
        (
            "gop-mpeg2",
            format!("{changing} mpeg2video -g 13 -bf 2"),
            25,
        ),
        // Key frames where the encoder is told: groups of 10, 30, 60, ... pictures.
        (
            "gop-uneven",
            format!("{changing} libx264 -g 500 -force_key_frames 0,0.4,1.6,4,9.2,9.4"),
            25,
        ),
    ] {
        let path = ffmpeg_stream(&format!("content-{name}"), &args);
        let expected = groups(&path);
        assert!(expected.len() >= 5, "{name}: {expected:?}");
        let ours = report(&path);
        let gops = &content(&ours, 0x100).unwrap()["gops"];
        let (min, max) = (
            expected.iter().min().unwrap(),
            expected.iter().max().unwrap(),
        );
        assert_eq!(gops["whole_total"], expected.len(), "{name}: {expected:?}");
        assert_eq!(
            (&gops["pictures"]["min"], &gops["pictures"]["max"]),
            (&(*min).into(), &(*max).into()),
            "{name}"
        );
        let mean = expected.iter().sum::<i64>() as f64 / expected.len() as f64;
        let ours = gops["pictures"]["mean"].as_f64().unwrap();
        assert!((ours - mean).abs() < 0.001, "{name}: {ours} for {mean}");
        assert_eq!(gops["duration_ms"]["max"], max * 1000 / hertz, "{name}");
    }
}
