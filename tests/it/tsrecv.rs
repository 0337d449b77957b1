//! `tsrecv` with real files, pipes and sockets; sockets live in a namespace that the test makes.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use crate::harness::{Run, Running, assert_same_packets, captures, command};

#[test]
fn every_capture_passes_byte_for_byte() {
    for capture in captures() {
        let bytes = fs::read(&capture).unwrap();
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        let ran = Run::new("tsrecv").args([&capture]).run();
        assert_eq!(ran.status, 0, "{name}: {}", ran.stderr);
        let expected = match name.as_str() {
            // the same stream with junk between its packets
            "with-junk.ts" => fs::read(capture.with_file_name("h262_mpeg_audio.ts")).unwrap(),
            _ => bytes[..bytes.len() / 188 * 188].to_vec(),
        };
        assert_same_packets(&ran.stdout, &expected);
    }
}

#[test]
fn timed_and_plain_packets_are_told_apart_and_made_of_each_other() {
    for capture in captures() {
        let plain = Run::new("tsrecv").args([&capture]).run().stdout;
        let timed = Run::new("tsrecv")
            .args(["--timed"])
            .args([&capture])
            .run()
            .stdout;
        assert_eq!(timed.len(), plain.len() / 188 * 192);
        assert!(
            timed
                .chunks(192)
                .zip(plain.chunks(188))
                .all(|(t, p)| t[4..] == *p)
        );
        let kept = Run::new("tsrecv").stdin(timed.clone()).run().stdout;
        assert_eq!(
            kept.len(),
            timed.len(),
            "a filter keeps its input's framing"
        );
        let back = Run::new("tsrecv")
            .args(["--plain"])
            .stdin(timed)
            .run()
            .stdout;
        assert_same_packets(&back, &plain);
    }
}

#[test]
fn a_reader_that_goes_away_is_a_normal_end() {
    let mut tsrecv = command("tsrecv");
    let zero = File::open("/dev/zero").unwrap();
    tsrecv
        .stdin(zero)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    tsrecv.args(["-i", "exec:cat /dev/zero | tr '\\0' G"]);
    let mut running = Running::spawn(&mut tsrecv);
    drop(running.0.stdout.take());
    assert_eq!(running.wait(), 0);
}

#[test]
fn what_cannot_be_opened_is_said_with_its_name_and_status() {
    let missing = Run::new("tsrecv").args(["/nowhere/none.ts"]).run();
    missing.expect(3, &["tsrecv: error: cannot open '/nowhere/none.ts': "]);
    let option = Run::new("tsrecv")
        .args(["udp://239.0.0.1:5?fifo_size=3"])
        .run();
    option.expect(2, &["'fifo_size' is unknown; known are iface, ttl"]);
    let folder = Run::new("tsrecv").args([Path::new("/tmp")]).run();
    folder.expect(3, &["'/tmp'", "hint: 'tsring read DIR'"]);
    let looped = Run::new("tsrecv").args(["--loop"]).run();
    looped.expect(2, &["--loop plays a file", "hint: tsrecv --loop FILE"]);
}
