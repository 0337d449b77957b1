//! Files played: their pace, their seams, their rate.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::stream;
use crate::harness::{Running, command, in_own_network, judge, output_of};

/// Frames of the picture, and the steps between their times.
fn frames(file: &Path) -> Vec<i64> {
    let args = "-v error -select_streams v -show_entries packet=dts -of csv=p=0";
    let mut args: Vec<_> = args.split(' ').map(std::ffi::OsStr::new).collect();
    args.push(file.as_os_str());
    let text = output_of("ffprobe", &args);
    text.lines()
        .filter_map(|l| l.trim_end_matches(',').parse().ok())
        .collect()
}

#[test]
fn a_loop_has_no_seam() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("loop.ts");
    let script = "\"$1\" --loop \"$2\" | head -c 4700000 > \"$3\"";
    let status = Command::new("sh")
        .args(["-c", script, "sh"])
        .args([&crate::harness::tool("tsrecv"), &stream(), &out])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let dts = frames(&out);
    assert!(
        dts.len() > 3 * 125,
        "{} frames are no three rounds",
        dts.len()
    );
    assert!(
        dts.windows(2).all(|w| w[1] - w[0] == 3600),
        "every frame lasts 40 ms"
    );
    judge(&out, &["--ignore", "tstd"]);
}

/// A place behind `from` where the second packet of a picture, on PID 0x100, is cut.
fn within_a_picture(bytes: &[u8], from: usize) -> usize {
    let video = |p: &&(usize, &[u8])| p.1[1] & 0x1F == 1 && p.1[2] == 0 && p.1[3] & 0x10 != 0;
    let packets: Vec<_> = bytes.chunks(188).enumerate().collect();
    let packets: Vec<_> = packets.iter().skip(from / 188).filter(video).collect();
    let starts = |n: usize| packets[n].1[1] & 0x40 != 0;
    let first = (0..packets.len()).find(|n| starts(*n) && !starts(n + 1));
    packets[first.unwrap() + 1].0 * 188 + 50
}

/// Files that end anywhere: the picture that is cut there is not played, and the first of the next
/// round follows the last whole one after one frame.
#[test]
fn a_loop_of_a_file_that_ends_within_a_picture_has_no_seam_either() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("torn.ts"), folder.path().join("loop.ts"));
    let whole = fs::read(stream()).unwrap();
    for from in [300_000, 700_000, 1_000_000] {
        let cut = within_a_picture(&whole, from);
        fs::write(&file, &whole[..cut]).unwrap();
        // The last picture of the file itself, which is torn, is one of those that are counted.
        let one = frames(&file).len() - 1;
        let bytes = (3 * cut + cut / 2) / 188 * 188;
        let script = format!("\"$1\" --loop \"$2\" | head -c {bytes} > \"$3\"");
        let output = Command::new("sh")
            .args(["-c", &script, "sh"])
            .args([&crate::harness::tool("tsrecv"), &file, &out])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("loop_tail_left_out PID 0x0100"), "{said}");
        let dts = frames(&out);
        assert!(dts.len() > 3 * one, "{} of {one}", dts.len());
        assert!(
            dts.windows(2).all(|w| w[1] - w[0] == 3600),
            "every frame lasts 40 ms: {dts:?}"
        );
        // A table that ends the file and one that begins it come closer than 25 ms.
        judge(&out, &["--ignore", "tstd,si_gap"]);
        // The output itself is cut within a picture: three whole rounds are decoded.
        let whole_rounds = format!(
            "-v error -xerror -i {} -map 0:v -frames:v {} -f null -",
            out.display(),
            3 * one
        );
        let args: Vec<_> = whole_rounds.split(' ').map(std::ffi::OsStr::new).collect();
        output_of("ffmpeg", &args);
    }
}

/// 5 s of a file, of which a moment is played when the end is asked for.
#[test]
fn a_playout_that_is_ended_does_not_wait_for_what_is_to_come() {
    in_own_network(
        "multicast::playout::a_playout_that_is_ended_does_not_wait_for_what_is_to_come",
        || {
            let folder = tempfile::tempdir().unwrap();
            let file = |name: &str| folder.path().join(name);
            for (output, options) in [
                ("udp://239.1.1.1:5000", &["--pace"][..]),
                ("rtp://239.1.1.1:5000", &["--loop"]),
                ("/dev/null", &["--pace"]),
                ("udp://239.1.1.1:5000", &["--cbr", "4M"]),
            ] {
                let mut tsrecv = command("tsrecv");
                tsrecv
                    .arg(stream())
                    .arg(output)
                    .args(options)
                    .arg("--stats-json")
                    .arg(file("stats"))
                    .stderr(fs::File::create(file("log")).unwrap());
                let mut running = Running::spawn(&mut tsrecv);
                let stats = || -> serde_json::Value {
                    let text = fs::read_to_string(file("stats")).unwrap_or_default();
                    serde_json::from_str(&text).unwrap_or_default()
                };
                crate::harness::wait_for("the playout", || {
                    stats()["out_packets"].as_u64() > Some(0)
                });
                let asked = std::time::Instant::now();
                running.signal(nix::sys::signal::Signal::SIGTERM);
                assert_eq!(running.wait(), 0);
                let took = asked.elapsed().as_secs_f64();
                assert!(took < 1.5, "{output} {options:?}: {took} s");
                let log = fs::read_to_string(file("log")).unwrap();
                assert!(!log.contains("given_up"), "{log}");
                let sent = stats()["out_packets"].as_u64().unwrap();
                // 5 s at 2 Mb/s are 6649 packets: what lay in the future was not sent at once
                assert!(sent < 6000, "{sent} packets left");
                fs::remove_file(file("stats")).unwrap();
            }
        },
    );
}

#[test]
fn a_constant_rate_has_its_pcrs_in_their_places_over_the_seam_too() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cbr.ts");
    let script = "\"$1\" --cbr 3333333 --loop \"$2\" | head -c 4700000 > \"$3\"";
    let status = Command::new("sh")
        .args(["-c", script, "sh"])
        .args([&crate::harness::tool("tsrecv"), &stream(), &out])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    // over two rounds; ffmpeg's own multiplexing overflows the buffers of the model
    judge(&out, &["--cbr", "3333333", "--ignore", "tstd"]);
    // a file of constant rate keeps it
    let script = script.replace("3333333", "2M");
    let status = Command::new("sh")
        .args(["-c", &script, "sh"])
        .args([&crate::harness::tool("tsrecv"), &stream(), &out])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    judge(&out, &["--cbr", "2000000", "--ignore", "tstd"]);

    let mut tsrecv = command("tsrecv");
    tsrecv
        .args(["--cbr", "3333333", "-i"])
        .arg(stream())
        .arg("-o")
        .arg(&out);
    assert_eq!(Running::spawn(&mut tsrecv).wait(), 0);
    let size = fs::metadata(&out).unwrap().len() as f64;
    let expected = 3_333_333.0 / 8.0 * 5.0;
    assert!(
        (size / expected - 1.0).abs() < 0.01,
        "{size} bytes, not {expected}"
    );
}

#[test]
fn a_file_is_played_at_its_own_speed_and_the_errors_of_departure_are_counted() {
    in_own_network(
        "multicast::playout::a_file_is_played_at_its_own_speed_and_the_errors_of_departure_are_counted",
        || {
            let folder = tempfile::tempdir().unwrap();
            let stats = folder.path().join("stats");
            for output in ["udp://239.1.1.1:5000", "/dev/null"] {
                let start = std::time::Instant::now();
                let mut tsrecv = command("tsrecv");
                tsrecv
                    .arg(stream())
                    .arg(output)
                    .args(["--speed", "2", "--stats-json"])
                    .arg(&stats);
                assert_eq!(Running::spawn(&mut tsrecv).wait(), 0);
                let took = start.elapsed().as_secs_f64();
                assert!(
                    (2.3..6.0).contains(&took),
                    "5 s at double speed took {took} s"
                );
                if output != "/dev/null" {
                    let text = fs::read_to_string(&stats).unwrap();
                    assert!(
                        text.contains("departure_error_p50_us")
                            && text.contains("departure_error_max_us"),
                        "{text}"
                    );
                }
            }
        },
    );
}
