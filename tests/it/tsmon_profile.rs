//! `tsmon learn` and `tsmon --profile`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use headend::ts::Packet;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Run, Running, captures, command, ffmpeg_stream, wait_for};
use crate::healthy::{Healthy, MEGABIT};

/// Two services of 22 s with null packets, one of them with French sound.
fn healthy() -> PathBuf {
    ffmpeg_stream(
        "profile",
        "-f lavfi -i testsrc2=duration=22:size=320x240:rate=25 -f lavfi -i sine=duration=22 \
         -map 0 -map 1 -map 1 -c:v libx264 -preset ultrafast -g 25 -b:v 800k -maxrate 1M -bufsize 1M \
         -c:a mp2 -metadata:s:a:0 language=fra -program title=One:program_num=11:st=0:st=1 \
         -program title=Two:program_num=12:st=2 -muxrate 3M",
    )
}

/// The profile that `tsmon learn` writes of a file.
fn learned(path: &Path) -> String {
    let ran = Run::new("tsmon")
        .args(["learn", "--quiet"])
        .args([path])
        .run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    String::from_utf8(ran.stdout).unwrap()
}

/// How often the checks of the profile found something; those that were not judged are left out.
fn found(stream: &Path, profile: &str) -> Vec<(String, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.yaml");
    fs::write(&file, profile).unwrap();
    let ran = Run::new("tsmon")
        .args(["--quiet", "--report", "json", "--profile"])
        .args([&file, stream])
        .run();
    assert_eq!(ran.status, 0, "{}\n{profile}", ran.stderr);
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let checks = report["checks"].as_object().unwrap().iter();
    checks
        .filter(|(name, check)| name.starts_with("profile_") && check["judged"] == true)
        .map(|(name, check)| (name.clone(), check["count"].as_u64().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[test]
fn a_stream_keeps_to_what_was_learned_from_it() {
    let stream = healthy();
    let profile = learned(&stream);
    for line in [
        "name: \"One\"",
        "language: \"fra\"",
        "codec: \"h264\"",
        "unlisted_pids: forbidden",
    ] {
        assert!(profile.contains(line), "{line}:\n{profile}");
    }
    assert_eq!(found(&stream, &profile), []);
    for path in captures()
        .iter()
        .filter(|p| p.metadata().unwrap().len() > 2_000_000)
    {
        let ran = Run::new("tsmon")
            .args(["learn", "--quiet"])
            .args([path])
            .run();
        assert_eq!(ran.status, 3, "of 10 s and more only: {}", ran.stderr);
    }
}

#[test]
fn each_thing_that_differs_from_a_profile_is_found() {
    let stream = healthy();
    // Four whole windows of 5 s in 22 s.
    for (profile, check, count) in [
        ("services:\n  - id: 13\n", "profile_missing", 4),
        ("services:\n  - id: 13\n    required: false\n", "", 0),
        ("pids:\n  - pid: 0x555\n", "profile_missing", 4),
        ("pids:\n  - pid: 0x540-0x555\n", "", 0),
        (
            "services:\n  - id: 11\nunlisted_services: forbidden\n",
            "profile_unlisted",
            4,
        ),
        (
            "services:\n  - id: 11\n  - id: 12\nunlisted_services: forbidden\n",
            "",
            0,
        ),
        // The PMT of service 12, 0x1001, is not listed.
        (
            "pids:\n  - pid: 0-0x1F\n  - pid: 0x100-0x1000\nunlisted_pids: forbidden\n",
            "profile_unlisted",
            4,
        ),
        (
            "services:\n  - id: 12\n    name: Three\n",
            "profile_description",
            4,
        ),
        (
            "pids:\n  - pid: 0x101\n    language: deu\n",
            "profile_description",
            4,
        ),
        (
            "pids:\n  - pid: 0x101\n    codec: ac3\n",
            "profile_description",
            4,
        ),
        ("transport_stream_id: 77\n", "profile_description", 4),
        (
            "pids:\n  - pid: 0x101\n    scrambling: scrambled\n",
            "profile_scrambling",
            4,
        ),
        (
            "services:\n  - id: 11\n    scrambling: scrambled\n",
            "profile_scrambling",
            4,
        ),
        ("services:\n  - id: 11\n    scrambling: clear\n", "", 0),
        // 3 Mb/s in all, exactly.
        ("bitrate: {min: 2999k, max: 3001k}\n", "", 0),
        ("bitrate: {min: 3001k}\n", "profile_bitrate", 4),
        ("bitrate: {max: 2999k}\n", "profile_bitrate", 4),
        ("stuffing: {max: 100k}\n", "profile_bitrate", 4),
        (
            "pids:\n  - pid: 0x100\n    bitrate: {max: 100k}\n",
            "profile_bitrate",
            4,
        ),
        (
            "services:\n  - id: 11\n    bitrate: {min: 3M}\n",
            "profile_bitrate",
            4,
        ),
        ("window: 10s\nbitrate: {min: 3001k}\n", "profile_bitrate", 2),
    ] {
        let expected: Vec<_> = match check {
            "" => Vec::new(),
            check => vec![(check.to_owned(), count)],
        };
        assert_eq!(found(&stream, profile), expected, "{profile}");
    }
}

#[test]
fn a_profile_that_is_wrong_is_status_2_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yaml");
    fs::write(&file, "services:\n  - id: 1\n    nmae: x\n").unwrap();
    let run = || {
        Run::new("tsmon")
            .args(["--profile"])
            .args([&file])
            .args(["-"])
    };
    run().run().expect(
        2,
        &[
            "wrong.yaml' line 3, column 5",
            "unknown field `nmae`",
            "hint",
        ],
    );
    fs::write(&file, "window: 5s\nwindow: 6s\n").unwrap();
    run()
        .run()
        .expect(2, &["line 2, column 1", "the key 'window' stands twice"]);
    fs::remove_file(&file).unwrap();
    run().run().expect(2, &["cannot read", "wrong.yaml"]);
}

#[test]
fn a_limit_of_a_profile_is_that_of_its_check() {
    let stream = healthy();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits.yaml");
    // ffmpeg sends the PAT each 100 ms.
    fs::write(&file, "limits: [pat=50ms]\n").unwrap();
    let count = |more: &[&str]| {
        let ran = Run::new("tsmon")
            .args(["--quiet", "--report", "json", "--profile"])
            .args([&file, &stream])
            .args(more)
            .run();
        let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
        report["checks"]["pat_error_2"]["count"].as_u64().unwrap()
    };
    assert!(count(&[]) > 100);
    assert_eq!(
        count(&["--limit", "pat=500ms"]),
        0,
        "the command line comes after"
    );
}

#[test]
fn sighup_reads_the_profile_anew_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (profile, log, page) = (path("p.yaml"), path("log"), path("report.json"));
    // 1 Mb/s, which is enough, then too little.
    fs::write(&profile, "window: 1s\nbitrate: {min: 900k}\n").unwrap();
    let mut tsmon = command("tsmon");
    tsmon
        .args(["--report", "json", "--report-file"])
        .args([&page, Path::new("--profile"), &profile, Path::new("-")])
        .stdin(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap());
    let mut running = Running::spawn(&mut tsmon);
    let mut pipe = running.0.stdin.take().unwrap();
    let packets = Healthy::seconds(MEGABIT, 15);
    let pieces: Vec<_> = packets.chunks(packets.len().div_ceil(3)).collect();
    let said = |word: &str| fs::read_to_string(&log).unwrap().contains(word);
    pipe.write_all(Packet::bytes_of(pieces[0])).unwrap();
    fs::write(&profile, "window: 1s\nbitrate: {min: 2M}\n").unwrap();
    running.signal(Signal::SIGHUP);
    wait_for("the new profile", || said("profile_reloaded"));
    pipe.write_all(Packet::bytes_of(pieces[1])).unwrap();
    fs::write(&profile, "window: 1s\nbitrate: {min: 100k\n").unwrap();
    running.signal(Signal::SIGHUP);
    wait_for("the wrong one", || said("profile_refused"));
    assert!(said("line "), "{}", fs::read_to_string(&log).unwrap());
    pipe.write_all(Packet::bytes_of(pieces[2])).unwrap();
    drop(pipe);
    assert_eq!(running.wait(), 0);
    let report: Value = serde_json::from_slice(&fs::read(&page).unwrap()).unwrap();
    let found = &report["checks"]["profile_bitrate"];
    let ms = |key: &str| found[key].as_i64().unwrap();
    // What the pipe and the tool hold of the first 5 s the first profile may not have seen; had it
    // never held, the first window of 1 s would be the first to be found.
    assert!((2_000..=7_000).contains(&ms("first_ms")), "{found}");
    assert!(ms("last_ms") > 13_000 && ms("count") >= 7, "{found}");
}
