//! Ranges: what is asked for, and what there is.

use super::{dir, file, stream, tsring};
use crate::harness::Run;

#[test]
fn ranges_join_at_a_millisecond_around_every_boundary() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 20_000);
    file(&ring, &bytes);
    for at in [
        "01.999", "02.000", "02.001", "03.999", "04.000", "04.001", "00.000",
    ] {
        let at = format!("2026-11-20T00:00:{at}Z");
        let left = tsring(&["read", &ring, "--to", &at]).run();
        let right = tsring(&["read", &ring, "--from", &at]).run();
        assert!([left.stdout, right.stdout].concat() == bytes, "{at}");
    }
}

#[test]
fn a_ring_is_never_written_over_by_what_is_read_of_it() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 20_000);
    file(&ring, &bytes);
    let segment = super::files(&ring, "ts").remove(0);
    let segment = segment.to_str().unwrap();
    let next = format!("{ring}/{}.ts", i64::MAX / 54_000_000);
    for output in [segment, &next, &format!("{ring}/ring.json")] {
        let from = "2026-11-20T00:00:00Z";
        let cases = [
            tsring(&["read", &ring, "-o", output]),
            tsring(&["play", &ring, "--from", from, "-o", output]),
            Run::new("tscut").args([&ring, "-o", output]),
        ];
        for run in cases {
            let words = format!("'{output}' is a file of the ring '{ring}'");
            run.run().expect(2, &[&words, "hint:"]);
        }
    }
    // What is no file of the ring's may lie in its directory.
    let beside = format!("{ring}/out.ts");
    tsring(&["read", &ring, "-o", &beside]).run().expect(0, &[]);
    assert!(std::fs::read(&beside).unwrap() == bytes);
    assert!(tsring(&["read", &ring]).run().quiet_success() == bytes);
}

#[test]
fn the_zone_of_the_machine_changes_how_times_are_typed_and_nothing_else() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 20_000));
    let expected = tsring(&["read", &ring, "--from", "@1795132802", "--duration", "2s"]).run();
    assert!(!expected.stdout.is_empty());
    for (tz, from) in [
        ("Europe/Paris", "2026-11-20 01:00:02"),
        ("America/New_York", "2026-11-19 19:00:02"),
        ("UTC", "2026-11-20 00:00:02"),
    ] {
        let args = ["read", &ring, "--from", from, "--duration", "2s"];
        let read = tsring(&args).env("TZ", tz).run();
        assert!(read.stdout == expected.stdout, "{tz}: {}", read.stderr);
    }
}

#[test]
fn a_range_that_is_not_there_is_answered_with_what_is_and_said() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 10_000);
    file(&ring, &bytes);
    let read = tsring(&[
        "read",
        &ring,
        "--from",
        "2026-11-19T00:00:00Z",
        "--to",
        "2099-01-01T00:00:00Z",
    ]);
    let read = read
        .run()
        .expect(0, &["is before the ring", "is in the future"]);
    assert!(read.stdout == bytes);
    tsring(&["read", &ring, "--from", "2026-11-21T00:00:00Z"])
        .run()
        .expect(1, &["nothing in that range"]);
    tsring(&["read", &ring, "--from", "@20", "--to", "@10"])
        .run()
        .expect(2, &["not after"]);
    tsring(&["read", "/nowhere"]).run().expect(2, &["/nowhere"]);
}

#[test]
fn a_ring_that_is_not_there_is_a_matter_of_usage() {
    for command in ["read", "info", "check"] {
        let ran = Run::new("tsring")
            .args([command, "/nonexistent/ring"])
            .run();
        ran.expect(
            2,
            &["'/nonexistent/ring': there is no such directory", "hint:"],
        );
    }
}

#[test]
fn what_an_engineer_cannot_have_meant_is_refused_or_said() {
    let (_keep, ring) = dir();
    let record = ["record", ring.as_str()];
    for (options, words) in [
        (["--keep", "0s"], "a time to keep of 0.000 s is too short"),
        (
            ["--sync", "0s"],
            "a time between syncs of 0.000 s is too short",
        ),
        (["--segment", "0s"], "a segment cannot be 0.000 s long"),
        (["--max-bytes", "0"], "a ring of no bytes"),
    ] {
        tsring(&record)
            .args(options)
            .run()
            .expect(2, &[words, "hint:"]);
    }
    let little = ["--segment", "1h", "--keep", "1m"];
    tsring(&record)
        .args(little)
        .run()
        .expect(0, &["ring_keep_below_segment"]);
    tsring(&[])
        .run()
        .expect(2, &["requires a subcommand", "record, read, play"]);
    tsring(&["play"])
        .run()
        .expect(2, &["<--delay <DURATION>|--from <TIME>>", "<DIR>"]);
    tsring(&["play", &ring, "--delay", "1h", "--from", "@1"])
        .run()
        .expect(2, &["cannot be used"]);
    let mut one_clock = stream(0, 10);
    one_clock.extend(stream(1, 10));
    tsring(&record)
        .args(["--clock", "pcr"])
        .stdin(one_clock)
        .run()
        .expect(
            3,
            &[
                "less than two PCRs in 20 packets",
                "hint: without --clock pcr",
            ],
        );
    // Damage is the normal case: a warning, and the recording goes on.
    let mut junk = stream(0, 1000);
    junk.splice(94_000..94_000, [0; 3000]);
    let run = tsring(&record)
        .stdin(junk)
        .run()
        .expect(0, &["warning: sync_lost"]);
    assert!(!run.stderr.contains("error"), "{}", run.stderr);
}
