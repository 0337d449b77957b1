//! Containers and files.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;

use super::{cut, place, plain, recording};
use crate::harness::{Run, Running, command, output_of, samples, wait_for};

fn probe(file: &std::path::Path) -> serde_json::Value {
    let args = [
        "-v",
        "error",
        "-show_format",
        "-show_streams",
        "-of",
        "json",
    ]
    .map(OsStr::new);
    let args = [&args[..], &[file.as_os_str()]].concat();
    serde_json::from_str(&output_of("ffprobe", &args)).unwrap()
}

#[test]
fn mp4_and_mkv_have_the_streams_and_the_duration() {
    let source = recording(
        "containers",
        "-map 0:v -map 1:a -map 1:a -c:v libx264 -preset ultrafast -bf 2 -g 50 -flags +cgop \
         -c:a:0 mp2 -c:a:1 aac",
    );
    for extension in ["mp4", "mkv"] {
        let out = place(&format!("container.{extension}"));
        let report = cut(&source, &["--from", "4s", "--to", "14s"], &out);
        assert_eq!(report["duration_ms"].as_i64(), Some(10_000));
        let seen = probe(&out);
        let codecs = seen["streams"].as_array().unwrap().iter();
        let codecs: Vec<_> = codecs.map(|s| s["codec_name"].as_str().unwrap()).collect();
        // Inside MP4, ffprobe calls every layer of MPEG-1 audio mp3.
        let sound = if extension == "mp4" { "mp3" } else { "mp2" };
        assert_eq!(codecs, ["h264", sound, "aac"], "{extension}");
        let duration: f64 = seen["format"]["duration"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            (9.95..10.1).contains(&duration),
            "{extension}: {duration} s"
        );
    }
    // Fast start: the index stands before the media.
    let bytes = std::fs::read(place("container.mp4")).unwrap();
    let at = |what: &[u8]| bytes.windows(4).position(|w| w == what).unwrap();
    assert!(at(b"moov") < at(b"mdat"));
}

#[test]
fn what_a_container_cannot_carry_is_said() {
    let Some(folder) = samples() else { return };
    let source = folder.join("france2-h264-eac3-dvbsub.ts");
    // The capture ends before the sound of its only random-access point comes.
    let silent = "PID 0x0082 (E-AC-3) carries nothing at the in-point";
    for (extension, words, streams) in [
        (
            "mp4",
            &[silent, "mp4 cannot carry PID 0x008c (DVB subtitles)"][..],
            1,
        ),
        ("mkv", &[silent], 3),
    ] {
        let out = place(&format!("france2.{extension}"));
        Run::new("tscut")
            .args([source.as_os_str(), "-o".as_ref(), out.as_os_str()])
            .run()
            .expect(0, words);
        assert_eq!(probe(&out)["streams"].as_array().unwrap().len(), streams);
    }
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    // A reader that takes nothing holds it in the middle of its work.
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("ffmpeg");
    std::fs::write(&fake, "#!/bin/sh\ntouch \"$0.began\"\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let out = folder.path().join("stopped.mp4");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let mut running = Running::spawn(
        command("tscut")
            .args([plain().as_os_str(), "-o".as_ref(), out.as_os_str()])
            .env("PATH", path)
            .stderr(std::process::Stdio::null()),
    );
    wait_for("the start of the false ffmpeg", || {
        folder.path().join("ffmpeg.began").exists()
    });
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.wait(), 3);
    assert!(!out.exists());
}

#[test]
fn a_signal_ends_the_search_for_the_edges_too() {
    // 64 GiB without a packet behind the programme: looking for its end takes minutes.
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("damaged.ts");
    let whole = std::fs::copy(plain(), &source).unwrap();
    let file = std::fs::File::options().write(true).open(&source).unwrap();
    file.set_len(64 << 30).unwrap();
    let out = folder.path().join("stopped.ts");
    let said = folder.path().join("said");
    let mut running = command("tscut")
        .args([source.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let io = format!("/proc/{}/io", running.id());
    wait_for("the search behind the packets", || {
        let counts = std::fs::read_to_string(&io).unwrap_or_default();
        let read = counts.lines().find_map(|l| l.strip_prefix("rchar: "));
        read.is_some_and(|n| n.parse::<u64>().unwrap() > whole + (32 << 20))
    });
    let pid = nix::unistd::Pid::from_raw(running.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(3));
    let said = std::fs::read_to_string(&said).unwrap();
    assert!(said.contains("interrupted: no file was written"), "{said}");
    assert!(!out.exists());
}

#[test]
fn a_missing_ffmpeg_is_said_and_leaves_nothing() {
    let out = place("no-ffmpeg.mp4");
    Run::new("tscut")
        .args([plain().as_os_str(), "-o".as_ref(), out.as_os_str()])
        .env("PATH", "/nonexistent")
        .run()
        .expect(3, &["no 'ffmpeg' in PATH", "tscut: hint: install it"]);
    assert!(!out.exists());
}

#[test]
fn an_ffmpeg_that_fails_is_quoted_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("ffmpeg");
    std::fs::write(
        &fake,
        "#!/bin/sh\necho '[error] no luck today' >&2\necho 'libavcodec.so: not found' >&2\nexit 7\n",
    )
    .unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let out = folder.path().join("failed.mp4");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    Run::new("tscut")
        .args([plain().as_os_str(), "-o".as_ref(), out.as_os_str()])
        .env("PATH", &path)
        .run()
        .expect(
            3,
            &[
                "failed.mp4': ffmpeg ended with status 7",
                "no luck today",
                "libavcodec.so: not found",
            ],
        );
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the false ffmpeg is left: {left:?}");
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let out = place("full.ts");
    let _ = std::fs::remove_file(&out);
    // A limit of 64 KiB a file stands for a full disk; SIGXFSZ ignored, write gives EFBIG.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 64; exec \"$0\" {} -o {}",
        plain().display(),
        out.display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &limited])
        .arg(crate::harness::tool("tscut"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("cannot write"), "{said}");
    let left = std::fs::read_dir(out.parent().unwrap()).unwrap();
    let names: Vec<_> = left
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!names.iter().any(|n| n.contains("full.ts")), "{names:?}");
}

#[test]
fn the_stream_goes_to_stdout_and_a_reader_that_goes_away_is_a_normal_end() {
    let ran = Run::new("tscut")
        .args([plain().as_os_str()])
        .args(["--from", "4s", "--to", "6s", "-q", "-o", "-"])
        .run()
        .expect(0, &[]);
    let out = place("not-stdout.ts");
    cut(&plain(), &["--from", "4s", "--to", "6s"], &out);
    crate::harness::assert_same_packets(&ran.stdout, &std::fs::read(out).unwrap());
    let line = format!(
        "{} {} -q -o - | head -c 188 >/dev/null; echo ${{PIPESTATUS[0]}}",
        crate::harness::tool("tscut").display(),
        plain().display()
    );
    let status = output_of("bash", &["-c".as_ref(), OsStr::new(&line)]);
    assert_eq!(status.trim(), "0");
}

#[test]
fn wrong_usage_is_refused_with_status_2() {
    let source = plain();
    let out = place("usage.ts");
    for (args, words) in [
        (&["--from", "12"][..], "--from: '12' is not a duration"),
        (
            &["--from", "9s", "--to", "8s"],
            "ends at 8.000 s, not after its start, 9.000 s",
        ),
        (&["--from", "9s", "--duration", "0s"], "nothing in it"),
        (
            &["--to", "9s", "--duration", "9s"],
            "cannot be used with '--duration",
        ),
        (&["--tz", "UTC"], "--tz is for rings"),
        (
            &["--in-point", "frame"],
            "re-encodes, which tscut cannot yet",
        ),
    ] {
        Run::new("tscut")
            .args([source.as_os_str(), "-o".as_ref(), out.as_os_str()])
            .args(args)
            .run()
            .expect(2, &[words]);
    }
    Run::new("tscut")
        .args([source.as_os_str()])
        .args(["--json", "-o", "-"])
        .run()
        .expect(2, &["both go to stdout"]);
    for (source, hint) in [
        ("-", "write the stream to a file first"),
        ("udp://@239.0.0.1:1234", "'tsring record DIR -i udp://"),
        ("exec:cat x.ts", "'tsring record DIR -i exec:"),
    ] {
        Run::new("tscut")
            .args([source.as_ref(), "-o".as_ref(), out.as_os_str()])
            .run()
            .expect(2, &["cannot be cut", "tscut: hint:", hint]);
    }
    assert!(!out.exists());
}

/// The recording holds 20 s.
#[test]
fn a_range_without_anything_in_it_is_status_1_and_says_what_there_is() {
    let out = place("nothing.ts");
    for (args, words) in [
        (&["--from", "1h"][..], "from 3600.000 s: it holds nothing"),
        (&["--from", "20s"], "it goes from 0.000 s to 20.000 s"),
        (
            &["--from", "21s", "--duration", "5s"],
            "from 21.000 s to 26.000 s: it holds nothing",
        ),
        (
            &["--from", "5s", "--to", "5.1s", "--snap", "before"],
            "both times move to the same random-access point, at 4.000 s",
        ),
        (&["--service", "77"], "tscut: hint: it has 1 (Service01)"),
    ] {
        Run::new("tscut")
            .args([plain().as_os_str(), "-o".as_ref(), out.as_os_str()])
            .args(args)
            .run()
            .expect(1, &["tscut: error: cannot cut", words]);
        assert!(!out.exists(), "{args:?}");
    }
}

#[test]
fn the_counters_of_the_whole_cut_stand_in_the_file_at_the_end() {
    let (out, stats) = (place("counted.ts"), place("counted.json"));
    let _ = std::fs::remove_file(&stats);
    Run::new("tscut")
        .args([plain().as_os_str(), "-q".as_ref(), "-o".as_ref()])
        .args([out.as_os_str(), "--stats-json".as_ref(), stats.as_os_str()])
        .run()
        .quiet_success();
    let counters: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&stats).unwrap()).unwrap();
    let bytes = std::fs::metadata(&out).unwrap().len();
    assert_eq!(counters["out_bytes"].as_u64(), Some(bytes));
    assert_eq!(counters["out_packets"].as_u64(), Some(bytes / 188));
}

#[test]
fn a_duration_ends_so_long_after_the_start() {
    let (out, same) = (place("duration.ts"), place("to.ts"));
    let report = cut(&plain(), &["--from", "4s", "--duration", "00:00:04"], &out);
    assert_eq!(report["out_ms"].as_i64(), Some(8_000));
    cut(&plain(), &["--from", "4s", "--to", "8s"], &same);
    crate::harness::assert_same_packets(
        &std::fs::read(&out).unwrap(),
        &std::fs::read(&same).unwrap(),
    );
}
