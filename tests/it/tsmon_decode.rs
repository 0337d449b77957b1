//! `tsmon --decode`: what ffmpeg's filters find beside the measuring.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Run, Running, children, command, ffmpeg_stream, in_own_network, wait_for};

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

#[test]
fn pids_that_become_others_are_decoded_too_and_a_pmt_that_never_comes_is_not_waited_for() {
    // Of more than a turn of the loop reads at once.
    let part = |name: &str, picture: &str, tables: &str| {
        let stream = ffmpeg_stream(
            name,
            &format!(
                "-f lavfi -i {picture}size=320x240:rate=25:duration=6 -c:v libx264 \
                 -preset ultrafast -g 25 -muxrate 5M {tables}"
            ),
        );
        fs::read(stream).unwrap()
    };
    let moving = part("decode-moving-256", "testsrc2=", "-mpegts_start_pid 256");
    let black = part(
        "decode-black-512",
        "color=black:",
        "-mpegts_start_pid 512 -tables_version 1",
    );
    let folder = tempfile::tempdir().unwrap();
    let both = folder.path().join("both.ts");
    fs::write(&both, [&moving[..], &black[..]].concat()).unwrap();
    let (report, said) = decoded(&both, None);
    assert_eq!(found(&report, "video_black"), Ok(1), "{said}");

    // The PAT names a second program, whose PMT a filter has taken out.
    let mut partial = black;
    for packet in partial.as_chunks_mut::<188>().0 {
        if packet[1] & 0x1F == 0 && packet[2] == 0 {
            // pointer_field 0, one program: section_length 13; two programs: 17.
            let section = &mut packet[5..];
            assert_eq!((section[0], section[2]), (0, 13));
            section[2] = 17;
            section[12..16].copy_from_slice(&[0, 2, 0xFF, 0x00]);
            let crc = headend::ts::crc32(&section[..16]);
            section[16..20].copy_from_slice(&crc.to_be_bytes());
        }
    }
    fs::write(&both, partial).unwrap();
    let (report, said) = decoded(&both, None);
    assert_eq!(found(&report, "video_black"), Ok(1), "{said}");
}

#[test]
fn what_is_found_stands_where_it_began_in_the_stream() {
    let stream = interrupted(8);
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let ran = Run::new("tsmon")
        .args([
            "--decode",
            "--report",
            "json",
            "--clear-after",
            "1s",
            "--events",
        ])
        .args([&events, &stream])
        .run();
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    // The first picture that is shown 6 s after the first one, as ffprobe finds it, and its byte.
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-of", "csv=p=0"])
        .args(["-show_entries", "packet=pts,pos"])
        .arg(&stream)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| {
        let mut numbers = line.split(',').map_while(|n| n.parse::<u64>().ok());
        Some((numbers.next()?, numbers.next()? / 188))
    };
    // Empty lines stand between them.
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    assert!(rows.len() > 400, "{text}");
    let first = rows.iter().map(|(pts, _)| *pts).min().unwrap();
    let packet_of = |ms: u64| {
        let wanted = first + ms * 90;
        let nearest = rows.iter().min_by_key(|(pts, _)| pts.abs_diff(wanted));
        nearest.unwrap().1
    };
    let check = &report["checks"]["video_black"];
    assert_eq!(check["first_packet"], packet_of(6_000), "{report}");
    let told = fs::read_to_string(&events).unwrap();
    let mut told = told
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let raised = told.find(|l| l["check"] == "video_black").unwrap();
    assert_eq!(raised["at_packet"], packet_of(6_000));
    // It comes before it is shown, by no more than a second.
    let at = raised["at_ms"].as_u64().unwrap();
    assert!((5_000..=6_100).contains(&at), "{at}");
    // Black lasts 8 s; a second after its end the alarm is over.
    let cleared = told.find(|l| l["check"] == "video_black").unwrap();
    let lasted = cleared["at_ms"].as_u64().unwrap() - at;
    assert!((8_900..=9_100).contains(&lasted), "{lasted}");
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

#[test]
fn a_live_stream_is_decoded_and_an_ffmpeg_that_dies_is_followed_by_another() {
    in_own_network(
        "tsmon_decode::a_live_stream_is_decoded_and_an_ffmpeg_that_dies_is_followed_by_another",
        || {
            let file = interrupted(4);
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            let read = |name: &str| fs::read_to_string(path(name)).unwrap_or_default();
            let mut tsmon = command("tsmon");
            tsmon
                .args([
                    "--decode",
                    "--report",
                    "json",
                    "--clear-after",
                    "1s",
                    "--report-file",
                ])
                .arg(path("report"))
                .arg("--events")
                .arg(path("events"))
                .arg("--stats-json")
                .arg(path("stats"))
                .arg("udp://@239.1.1.1:5000")
                .stderr(fs::File::create(path("log")).unwrap());
            let mut tsmon = Running::spawn(&mut tsmon);
            wait_for("the socket", || path("stats").exists());
            let mut player = command("tsrecv");
            player.arg(&file).arg("udp://239.1.1.1:5000");
            let mut player = Running::spawn(&mut player);
            let is_told = |check: &str, state: &str| {
                let told = read("events");
                let mut lines = told
                    .lines()
                    .map(|l| serde_json::from_str::<Value>(l).unwrap());
                lines.any(|l| l["check"] == check && l["event"] == state)
            };
            wait_for("black", || is_told("video_black", "raised"));
            wait_for("a frozen picture", || is_told("video_frozen", "raised"));
            let [ffmpeg] = children(tsmon.0.id())[..] else {
                panic!("one ffmpeg");
            };
            kill(Pid::from_raw(ffmpeg), Signal::SIGKILL).unwrap();
            wait_for("its end", || read("log").contains("exec_died"));
            // What its black was is not held any more, and the next one begins.
            wait_for("the end of black", || is_told("video_black", "cleared"));
            wait_for("another", || {
                children(tsmon.0.id()).iter().any(|c| *c != ffmpeg)
            });
            assert_eq!(player.wait(), 0);
            wait_for("the packets", || {
                let stats: Value = serde_json::from_str(&read("stats")).unwrap_or_default();
                stats["bytes"] == fs::metadata(&file).unwrap().len()
            });
            tsmon.signal(Signal::SIGTERM);
            assert_eq!(tsmon.wait(), 0, "{}", read("log"));
            let report: Value = serde_json::from_str(&read("report")).unwrap();
            assert_eq!(found(&report, "kernel_drops"), Ok(0));
            assert_eq!(found(&report, "continuity_count_error"), Ok(0));
            assert_eq!(found(&report, "video_black"), Ok(1), "{}", read("log"));
        },
    );
}

#[test]
fn an_ffmpeg_that_hangs_or_dies_holds_up_neither_the_stream_nor_the_measuring() {
    let stream = interrupted(3);
    let bytes = fs::read(&stream).unwrap();
    for script in ["exec sleep 600", "exit 1", "exec cat > /dev/null"] {
        let folder = tempfile::tempdir().unwrap();
        let fake = folder.path().join("ffmpeg");
        fs::write(&fake, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let report = folder.path().join("report");
        let ran = Run::new("tsmon")
            .args(["--pass", "--decode", "--report", "json", "--report-file"])
            .args([&report])
            .env("PATH", &path)
            .stdin(bytes.clone())
            .run();
        assert_eq!(ran.status, 0, "{script}: {}", ran.stderr);
        assert!(ran.stdout == bytes, "{script}");
        let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
        assert_eq!(report["bytes"], bytes.len(), "{script}: {}", ran.stderr);
        assert!(!ran.stderr.contains("measuring_skipped"), "{}", ran.stderr);
    }
}
