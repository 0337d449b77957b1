//! The tables that our writers make, read by others: the channel of `scripts/demo`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{ffmpeg_stream, output_of};

/// The built example, built now if this run left it out.
fn demo_channel() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--example", "demo_channel"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success());
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.with_file_name("debug").join("examples/demo_channel")
}

/// Twelve seconds of the channel, programmes of four.
fn channel(name: &str) -> PathBuf {
    let bare = ffmpeg_stream(
        "bare-channel",
        "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=f=440 -t 12 \
         -c:v libx264 -preset ultrafast -g 25 -c:a mp2",
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let status = Command::new(demo_channel())
        .arg("4")
        .stdin(File::open(bare).unwrap())
        .stdout(Stdio::from(File::create(&path).unwrap()))
        .status()
        .unwrap();
    assert!(status.success());
    path
}

#[test]
fn ffprobe_reads_the_name_of_the_service() {
    let path = channel("demo-ffprobe.ts");
    let args = ["-v", "error", "-of", "flat", "-show_programs"].map(OsStr::new);
    let text = output_of("ffprobe", &[&args[..], &[path.as_os_str()]].concat());
    assert!(text.contains("service_name=\"Démo\""), "{text}");
    assert!(text.contains("service_provider=\"headend\""), "{text}");
    fs::remove_file(path).unwrap();
}

#[test]
fn tshark_reads_the_events_and_their_times() {
    if Command::new("tshark").arg("-v").output().is_err() {
        eprintln!("SKIPPED: tshark is not installed");
        return;
    }
    let path = channel("demo-tshark.ts");
    let args = [
        "-o",
        "mpeg_sect.verify_crc:TRUE",
        "-Y",
        "dvb_eit || dvb_sdt || dvb_tdt",
        "-V",
        "-r",
    ]
    .map(OsStr::new);
    let text = output_of("tshark", &[&args[..], &[path.as_os_str()]].concat());
    let count = |words: &str| text.matches(words).count();
    // One table a second from the first to the last PCR: twelve of SDT, twice that of EIT.
    let (sdt, eit, tdt) = (
        count("DVB Service Description Table\n"),
        count("DVB Event Information Table\n"),
        count("DVB Time and Date Table"),
    );
    assert!(
        (11..=12).contains(&sdt) && eit == 2 * sdt && tdt == 2,
        "{sdt} {eit} {tdt}"
    );
    // Four seconds of each programme; each is the next one for as long before.
    for (event, present, following) in [(100, 4, 0), (101, 4, 4), (102, 4, 4)] {
        let seen = count(&format!("Event ID: {event:#06x}"));
        let expected = present + following;
        assert!(
            (expected - 1..=expected).contains(&seen),
            "event {event}: {seen}"
        );
    }
    assert!(
        !text.contains("Malformed") && !text.contains("CRC 32 Status: Bad"),
        "{text}"
    );
    fs::remove_file(path).unwrap();
}
