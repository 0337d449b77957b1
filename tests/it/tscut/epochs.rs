//! Rings whose clock was set back, and segments that cannot be read.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::rings::{BEGIN, SEGMENT, ring};
use super::{place, recording};
use crate::harness::{Ran, Run};

/// A recording whose first PTS is about so many seconds.
fn starting(at: u32) -> PathBuf {
    recording(
        &format!("constant-{at}"),
        &format!(
            "-c:v libx264 -preset ultrafast -b:v 800k -maxrate 800k -bufsize 400k -bf 2 -g 50 \
             -flags +cgop -c:a mp2 -b:a 192k -muxrate 2M -output_ts_offset {at}"
        ),
    )
}

/// A ring that had the same twenty seconds three times, of recordings that begin at 1000, 2000 and
/// 3000 s; of the last, the first ten are gone.
fn thrice(name: &str) -> PathBuf {
    let dir = ring(name, &starting(3000), 0..0);
    for extension in ["ts", "aux"] {
        let first = format!("{}.{extension}", BEGIN.ticks() / SEGMENT);
        let _ = std::fs::remove_file(dir.join(first));
        // What precedes the first PCR stands in the segment before.
        let before = format!("{}.{extension}", BEGIN.ticks() / SEGMENT - 1);
        let _ = std::fs::remove_file(dir.join(before));
    }
    for (epoch, at) in [(1, 1000), (2, 2000)] {
        let epoch = ring(&format!("{name}/epoch-{epoch}"), &starting(at), 0..0);
        set_back_to(&epoch, BEGIN.ticks() - SEGMENT);
    }
    dir
}

/// Writes what an epoch remembers of the clock that was set back.
fn set_back_to(epoch: &Path, ticks: i64) {
    let settings =
        format!(r#"{{"at_ticks":{ticks},"lengths":[{{"from_ticks":0,"ticks":{SEGMENT}}}]}}"#);
    std::fs::write(epoch.join("epoch.json"), settings).unwrap();
}

fn tscut(dir: &PathBuf, args: &[&str], status: i32, words: &[&str]) -> (Option<Value>, Ran) {
    let name = dir.file_name().unwrap().display();
    let out = place(&format!("epochs-{name}.ts"));
    let ran = Run::new("tscut")
        .args([dir])
        .args(args)
        .args(["--json".as_ref(), "-o".as_ref(), out.as_os_str()])
        .run()
        .expect(status, words);
    (serde_json::from_slice(&ran.stdout).ok(), ran)
}

/// The recording that a cut was taken from, by its first PTS, and how long it is.
fn taken(report: &Value) -> (u64, i64) {
    let seconds = report["in_pts"].as_u64().unwrap() / 90_000;
    (
        seconds / 1000 * 1000,
        report["duration_ms"].as_i64().unwrap(),
    )
}

#[test]
fn an_instant_that_was_on_air_thrice_is_taken_from_the_newest_and_the_others_are_named() {
    let dir = thrice("ring-thrice");
    let later = [
        "--from",
        "2026-11-22T19:00:13Z",
        "--to",
        "2026-11-22T19:00:17Z",
    ];
    let said = [
        "clock was set back",
        "cut from --epoch live",
        "--epoch 1: 2026-11-22T",
        "--epoch 2: 2026-11-22T",
    ];
    let (report, _) = tscut(&dir, &later, 0, &said);
    let report = report.unwrap();
    assert_eq!(report["epoch"], "live");
    let (from, length) = taken(&report);
    assert_eq!(from, 3000);
    // Four seconds between points of two: eight at most.
    assert!((4000..=8000).contains(&length), "{length} ms");
    // Ten seconds more: the newest does not have them.
    let whole = [
        "--from",
        "2026-11-22T19:00:03Z",
        "--to",
        "2026-11-22T19:00:17Z",
    ];
    let (report, _) = tscut(&dir, &whole, 0, &["cut from --epoch 2"]);
    let (from, length) = taken(&report.unwrap());
    assert_eq!(from, 2000);
    assert!((14_000..=18_000).contains(&length), "{length} ms");
}

/// The clock went back an hour and was put right ten seconds later: the newest pass begins before
/// the range and ends behind it, and has nothing of its first half.
#[test]
fn a_pass_with_a_hole_in_the_range_does_not_hold_it() {
    let name = "ring-back-and-forth";
    let dir = ring(name, &starting(3000), 0..0);
    let hour = 3600 * 27_000_000;
    for number in [BEGIN.ticks() / SEGMENT - 1, BEGIN.ticks() / SEGMENT] {
        let moved = number - hour / SEGMENT;
        let file = |number: i64, extension| dir.join(format!("{number}.{extension}"));
        std::fs::rename(file(number, "ts"), file(moved, "ts")).unwrap();
        let stamps = std::fs::read(file(number, "aux")).unwrap();
        let stamps = stamps.chunks_exact(8).flat_map(|stamp| {
            let at = i64::from_be_bytes(stamp.try_into().unwrap());
            (at - hour).to_be_bytes()
        });
        std::fs::write(file(moved, "aux"), stamps.collect::<Vec<_>>()).unwrap();
        std::fs::remove_file(file(number, "aux")).unwrap();
    }
    let epoch = ring(&format!("{name}/epoch-1"), &starting(1000), 0..0);
    set_back_to(&epoch, BEGIN.ticks() - hour - SEGMENT);
    let cut = |from: &str, duration: &str, epoch: &str| {
        let times = ["--from", from, "--duration", duration];
        let said = [format!("cut from --epoch {epoch} ")];
        let (report, _) = tscut(&dir, &times, 0, &said.each_ref().map(|s| s.as_str()));
        taken(&report.unwrap())
    };
    // Ten seconds between points of two: fourteen at most.
    let (from, length) = cut("2026-11-22T19:00:04Z", "10s", "1");
    assert_eq!(from, 1000);
    assert!((10_000..=14_000).contains(&length), "{length} ms");
    // What the newest has of it, it has whole.
    let (from, length) = cut("2026-11-22T19:00:13Z", "4s", "live");
    assert_eq!(from, 3000);
    assert!((4000..=8000).contains(&length), "{length} ms");
}

#[test]
fn each_part_of_a_ring_whose_clock_was_set_back_can_be_asked_for() {
    let dir = thrice("ring-each");
    for (epoch, start) in [("1", 1000), ("2", 2000), ("epoch-2", 2000), ("live", 3000)] {
        let args = [
            "--epoch",
            epoch,
            "--from",
            "2026-11-22T19:00:13Z",
            "--duration",
            "4s",
        ];
        let (report, ran) = tscut(&dir, &args, 0, &[]);
        let (from, length) = taken(&report.unwrap());
        assert_eq!(from, start, "--epoch {epoch}");
        assert!((4000..=8000).contains(&length), "{length} ms");
        assert!(!ran.stderr.contains("set back"), "{}", ran.stderr);
    }
    tscut(
        &dir,
        &["--epoch", "7"],
        2,
        &["nothing of epoch 7", "it has live, 1, 2"],
    );
    tscut(
        &dir,
        &["--epoch", "0"],
        2,
        &["write live, or the K of epoch-K"],
    );
    let plain = ring("ring-once", &starting(1000), 0..0);
    tscut(&plain, &["--epoch", "1"], 2, &["leave --epoch out"]);
}

/// An epoch goes when its last segment is let go, and nothing is left that tells of it.
#[test]
fn an_epoch_that_is_gone_is_not_said_never_to_have_been() {
    let dir = thrice("ring-gone");
    let ask = |words: &[&str]| {
        let (_, ran) = tscut(&dir, &["--epoch", "1"], 2, words);
        assert!(!ran.stderr.contains("never"), "{}", ran.stderr);
    };
    std::fs::remove_dir_all(dir.join("epoch-1")).unwrap();
    ask(&["nothing of epoch 1", "it has live, 2"]);
    std::fs::remove_dir_all(dir.join("epoch-2")).unwrap();
    ask(&["nothing of epoch 1", "it has live alone"]);
}

/// Root may open what is forbidden to others, save without the capability for it.
#[test]
fn a_segment_that_cannot_be_opened_is_an_error_and_no_gap() {
    let dir = ring("ring-unreadable", &starting(1000), 0..0);
    let segment = dir.join(format!("{}.ts", BEGIN.ticks() / SEGMENT + 1));
    std::fs::set_permissions(&segment, Permissions::from_mode(0o000)).unwrap();
    let out = place("unreadable.ts");
    let ranges = [
        (&["19:00:05Z", "19:00:15Z"], 3),
        (&["19:00:12Z", "19:00:15Z"], 3),
        // Where nothing of it is wanted it does not matter.
        (&["19:00:02Z", "19:00:05Z"], 0),
    ];
    for ([from, to], status) in ranges {
        let _ = std::fs::remove_file(&out);
        let ran = Command::new("setpriv")
            .arg("--bounding-set=-dac_override,-dac_read_search")
            .arg(env!("CARGO_BIN_EXE_tscut"))
            .arg(&dir)
            .args(["--from", &format!("2026-11-22T{from}")])
            .args(["--to", &format!("2026-11-22T{to}")])
            .arg("-o")
            .arg(&out)
            .output()
            .expect("setpriv (util-linux) runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(status), "{said}");
        assert_eq!(out.exists(), status == 0, "{said}");
        if status > 0 {
            let name = format!("cannot read '{}': Permission denied", segment.display());
            assert!(said.contains(&name), "{said}");
        }
    }
}
