//! `tsmon --decode`: what ffmpeg's filters find beside the measuring.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Run, ffmpeg_stream};

/// The report on a file, and what was said on stderr.
fn decoded(path: &Path, folder: Option<&Path>) -> (Value, String) {
    let mut run = Run::new("tsmon")
        .args(["--decode", "--report", "json"])
        .args([path]);
    if let Some(folder) = folder {
        run = run.env("PATH", folder.to_str().unwrap());
    }
    let ran = run.run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    (serde_json::from_slice(&ran.stdout).unwrap(), ran.stderr)
}

/// What a check found, or why it was not judged.
fn found(report: &Value, check: &str) -> Result<u64, String> {
    let check = &report["checks"][check];
    match check["judged"].as_bool().unwrap() {
        true => Ok(check["count"].as_u64().unwrap()),
        false => Err(check["reason"].as_str().unwrap().to_owned()),
    }
}

fn loudness(report: &Value, pid: u64) -> Option<f64> {
    let mut pids = report["content"]["pids"].as_array().unwrap().iter();
    pids.find(|p| p["pid"] == pid)?["loudness"]["integrated_lufs"].as_f64()
}

/// `seconds` of moving pictures with a tone, of black without, and of pictures with a tone.
fn interrupted(seconds: u32) -> std::path::PathBuf {
    let moving = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=6";
    let tone = "-f lavfi -i sine=frequency=1000:sample_rate=48000:duration=6";
    ffmpeg_stream(
        &format!("decode-{seconds}"),
        &format!(
            "{moving} -f lavfi -i color=black:size=320x240:rate=25:duration={seconds} {tone} -f lavfi \
             -i anullsrc=sample_rate=48000:channel_layout=mono:duration={seconds} -filter_complex \
             [0:v]split[a][b];[a][1:v][b]concat=n=3:v=1[v];[2:a]asplit[c][d];[c][3:a][d]concat=n=3:v=0:a=1[s] \
             -map [v] -map [s] -c:v libx264 -preset ultrafast -g 25 -c:a mp2 -ac 2"
        ),
    )
}

#[test]
fn black_frozen_and_silent_stretches_are_found_and_shorter_ones_are_not() {
    for (seconds, picture, sound) in [(8, 1, 1), (3, 1, 0), (1, 0, 0)] {
        let (report, said) = decoded(&interrupted(seconds), None);
        assert_eq!(
            found(&report, "video_black"),
            Ok(picture),
            "{seconds} s: {said}"
        );
        assert_eq!(found(&report, "video_frozen"), Ok(picture), "{seconds} s");
        assert_eq!(found(&report, "audio_silent"), Ok(sound), "{seconds} s");
    }
}

/// EBU Tech 3341: a stereo tone of 1 kHz at -23 dBFS in both channels is -23 LUFS.
#[test]
fn a_tone_of_minus_23_decibels_is_minus_23_lufs() {
    let stream = ffmpeg_stream(
        "decode-loudness",
        // An amplitude of 10^(-23/20).
        "-f lavfi -i aevalsrc=0.0707946*sin(2*PI*1000*t)|0.0707946*sin(2*PI*1000*t):s=48000:d=20 \
         -c:a mp2 -b:a 256k",
    );
    let (report, said) = decoded(&stream, None);
    let lufs = loudness(&report, 0x100).unwrap_or_else(|| panic!("{report}\n{said}"));
    assert!((lufs + 23.0).abs() <= 0.1, "{lufs}");
    assert_eq!(found(&report, "audio_silent"), Ok(0));
    let reason = found(&report, "video_black").unwrap_err();
    assert_eq!(reason, "no picture was decoded");
}

#[test]
fn without_ffmpeg_everything_else_is_measured_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("sh")).unwrap();
    let stream = interrupted(3);
    let (report, said) = decoded(&stream, Some(folder.path()));
    assert!(
        said.contains("exec_died") && said.contains("ffmpeg: not found"),
        "{said}"
    );
    assert_eq!(report["bytes"], fs::metadata(&stream).unwrap().len());
    assert_eq!(
        found(&report, "video_black"),
        Err("no picture was decoded".to_owned())
    );
    assert_eq!(
        found(&report, "audio_silent"),
        Err("no sound was decoded".to_owned())
    );
}
