//! `--decode`: pictures that are black or stand still and sound that is silent, found by a real
//! ffmpeg beside the tool.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::live::LiveFeed;
use super::sockets::Fallback;
use super::{complaints, main_channel};
use crate::harness::{Run, children, ffmpeg_stream, in_own_network, judge, wait_for};

const ONE: &str = "udp://239.9.0.1:5000";
const TWO: &str = "udp://239.9.0.2:5000";

const MOVING: &str = "testsrc2=size=320x240:rate=25";
const TONE: &str = "sine=frequency=440:sample_rate=48000";

/// Eight seconds as they should be, eleven of `picture` with `sound`, and fifteen as they should be.
fn interrupted(name: &str, picture: &str, sound: &str) -> PathBuf {
    let lasting = |source: &str, seconds| format!("-f lavfi -i {source}:duration={seconds} ");
    let inputs: String = [
        lasting(MOVING, 8),
        lasting(picture, 11),
        lasting(MOVING, 15),
        lasting(TONE, 8),
        lasting(sound, 11),
        lasting(TONE, 15),
    ]
    .concat();
    ffmpeg_stream(
        &format!("fallback-{name}"),
        &format!(
            "{inputs} -filter_complex [0:v][1:v][2:v]concat=n=3:v=1[v];\
             [3:a][4:a][5:a]concat=n=3:v=0:a=1[a] -map [v] -map [a] \
             -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -bf 2 \
             -b:v 800k -maxrate 800k -bufsize 400k -c:a mp2 -b:a 128k -muxrate 1500k"
        ),
    )
}

/// The first input has something for a time that only a decoder finds: it is left for that time,
/// and by a tool that does not decode it is not.
fn left_and_returned_to(test: &str, file: impl FnOnce() -> PathBuf, fault: &str) {
    in_own_network(&format!("tsfallback::decoded::{test}"), || {
        let file = file();
        let on = format!("loss,{fault}");
        let more = ["--revert", "3s", "--on", &on, "--decode"];
        let mut decoding = Fallback::start(&[ONE, TWO], &more);
        let mut other = Fallback::start(&[ONE, TWO], &["--revert", "3s", "--on", "loss"]);
        let _second = LiveFeed::start(&main_channel(), "239.9.0.2:5000");
        let _first = LiveFeed::start(&file, "239.9.0.1:5000");
        for fallback in [&decoding, &other] {
            fallback.wait_for_input(1);
        }
        decoding.wait_for_input(2);
        let status = decoding.status();
        assert_eq!(status["inputs"][0]["faults"][0], fault, "{status}");
        assert_eq!(status["inputs"][1]["faults"], serde_json::json!([]));
        decoding.wait_for_input(1);
        decoding.wait_on_air(1, 1000);
        for fallback in [&mut decoding, &mut other] {
            let file = fallback.stop();
            assert_eq!(complaints(&file), "", "{}", fallback.log());
            judge(&file, &["--ignore", "tstd,pts_interval"]);
        }
        assert_eq!(decoding.switched(), [1, 2, 1], "{}", decoding.log());
        let decided = decoding.events();
        let why = decided.iter().filter(|e| e["event"] == "switch_decided");
        let why: Vec<_> = why.map(|e| (&e["reason"], &e["faults"])).collect();
        assert_eq!(
            (why[1].0.as_str(), why[1].1.as_str()),
            (Some("faults"), Some(fault))
        );
        assert_eq!(why[2].0, "revert");
        assert_eq!(other.switched(), [1], "{}", other.log());
    });
}

#[test]
fn a_black_picture_is_left_and_returned_to() {
    left_and_returned_to(
        "a_black_picture_is_left_and_returned_to",
        || interrupted("black", "color=black:size=320x240:rate=25", TONE),
        "black",
    );
}

#[test]
fn a_picture_that_stands_still_is_left_and_returned_to() {
    left_and_returned_to(
        "a_picture_that_stands_still_is_left_and_returned_to",
        || interrupted("frozen", "smptebars=size=320x240:rate=25", TONE),
        "freeze",
    );
}

#[test]
fn silence_is_left_and_returned_to() {
    left_and_returned_to(
        "silence_is_left_and_returned_to",
        || {
            interrupted(
                "silence",
                MOVING,
                "anullsrc=sample_rate=48000:channel_layout=mono",
            )
        },
        "silence",
    );
}

/// A folder with an `ffmpeg` that is this script.
fn fake(folder: &Path, script: &str) -> String {
    let path = folder.join("ffmpeg");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", folder.display())
}

#[test]
fn a_decoder_that_dies_is_followed_by_another_and_the_output_does_not_notice() {
    in_own_network(
        "tsfallback::decoded::a_decoder_that_dies_is_followed_by_another_and_the_output_does_not_notice",
        || {
            let _first = LiveFeed::start(&main_channel(), "239.9.0.1:5000");
            let more = ["--decode", "--on", "loss,cc,black"];
            let mut fallback = Fallback::start(&[ONE], &more);
            fallback.wait_for_input(1);
            let mut ffmpeg = 0;
            wait_for("ffmpeg", || {
                ffmpeg = children(fallback.id()).first().copied().unwrap_or(0);
                ffmpeg != 0
            });
            fallback.wait_on_air(1, 1000);
            kill(Pid::from_raw(ffmpeg), Signal::SIGKILL).unwrap();
            wait_for("its end", || fallback.log().contains("exec_died"));
            let said = fallback.log();
            let line = said
                .lines()
                .find(|line| line.contains("exec_died"))
                .unwrap();
            assert!(line.contains("decoder_of_input=1"), "{line}");
            wait_for("another", || {
                children(fallback.id()).iter().any(|child| *child != ffmpeg)
            });
            fallback.wait_on_air(1, 1000);
            let file = fallback.stop();
            assert_eq!(fallback.switched(), [1], "{}", fallback.log());
            assert_eq!(complaints(&file), "");
            judge(&file, &["--ignore", "tstd"]);
        },
    );
}

#[test]
fn a_decoder_that_hangs_or_dies_at_once_holds_up_nothing() {
    in_own_network(
        "tsfallback::decoded::a_decoder_that_hangs_or_dies_at_once_holds_up_nothing",
        || {
            for script in ["exec sleep 600", "exit 1", "kill -STOP $$"] {
                let folder = tempfile::tempdir().unwrap();
                let asked = format!("case $* in *-version*) exit 0;; esac\n{script}");
                let path = fake(folder.path(), &asked);
                let first = LiveFeed::start(&main_channel(), "239.9.0.1:5000");
                let _second = LiveFeed::start(&super::backup(), "239.9.0.2:5000");
                let more = ["--decode", "--timeout", "300ms", "--delay", "1200ms"];
                let mut fallback = Fallback::start_in(&path, "out.ts", &[ONE, TWO], &more);
                fallback.wait_for_input(1);
                // More than waits for ffmpeg at most.
                fallback.wait_on_air(1, 5000);
                drop(first);
                fallback.wait_for_input(2);
                fallback.wait_on_air(2, 2500);
                let file = fallback.stop();
                let log = fallback.log();
                assert_eq!(fallback.switched(), [1, 2], "{script}\n{log}");
                let said = if script == "exit 1" {
                    "exec_died"
                } else {
                    "queue_overflow"
                };
                assert!(log.contains(said), "{script}\n{log}");
                assert_eq!(complaints(&file), "", "{script}\n{log}");
                judge(&file, &["--ignore", "tstd"]);
            }
        },
    );
}

#[test]
fn without_ffmpeg_it_does_not_begin_and_without_decoding_nothing_is_black() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.ts");
    let run = |words: &[&str], path: &str| {
        Run::new("tsfallback")
            .args(words)
            .args(["-i", "udp://239.9.0.1:5000", "-o"])
            .args([&output])
            .env("PATH", path)
            .run()
    };
    let empty = folder.path().to_str().unwrap();
    run(&["--decode"], empty).expect(
        2,
        &["cannot decode", "no 'ffmpeg' in PATH", "hint: install"],
    );
    let broken = tempfile::tempdir().unwrap();
    let path = fake(broken.path(), "echo 'libx.so: cannot open' >&2; exit 127");
    run(&["--decode"], &path).expect(2, &["cannot decode", "status 127: libx.so: cannot open"]);
    let usual = std::env::var("PATH").unwrap();
    run(&["--on", "loss,black"], &usual).expect(
        2,
        &[
            "black cannot be found without decoding",
            "hint: --decode --on loss,black",
        ],
    );
    run(&["--decode", "--on", "loss"], &usual).expect(
        2,
        &[
            "names none of them",
            "hint: --decode --on loss,black,freeze,silence",
        ],
    );
    assert!(!output.exists());
}
