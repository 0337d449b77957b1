//! `tscut`, with ffmpeg as the second opinion on what a cut holds.
//!
//! For every codec a short recording is made, cut at several places, and what ffmpeg decodes of
//! the result is compared, frame by frame, with what it decodes of the source.

mod changes;
mod damage;
mod edges;
mod epochs;
mod ffmpeg;
mod fidelity;
mod files;
mod rings;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Run, ffmpeg_stream};

/// What every recording shows and plays.
const SHOWN: &str = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=20 \
                     -f lavfi -i sine=frequency=440:beep_factor=4:sample_rate=48000:duration=20";

/// A recording of 20 s whose encoders are told `args`.
fn recording(name: &str, args: &str) -> PathBuf {
    ffmpeg_stream(&format!("cut-{name}"), &format!("{SHOWN} {args}"))
}

/// The usual one: H.264, closed groups of two seconds, MPEG audio.
fn plain() -> PathBuf {
    recording(
        "plain",
        "-c:v libx264 -preset ultrafast -bf 2 -g 50 -flags +cgop -c:a mp2 -b:a 192k",
    )
}

/// A place for a result, of its own for each test.
fn place(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cuts");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// A cut that succeeds, and its report.
#[track_caller]
fn cut(source: &Path, times: &[&str], out: &Path) -> Value {
    let ran = Run::new("tscut")
        .args([source])
        .args(times)
        .args([
            "--json".as_ref(),
            "-q".as_ref(),
            "-o".as_ref(),
            out.as_os_str(),
        ])
        .run()
        .expect(0, &[]);
    serde_json::from_slice(&ran.stdout).unwrap()
}
