//! multicat reads our rings, and we read multicat's.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headend::units::{Ticks27M, WallTime};

use super::{check, dir, file, files, json, numbers, stream, tsring};
use crate::harness::{Running, command, wait_for};

fn multicat(args: &[&str]) -> PathBuf {
    let out = PathBuf::from(args.last().unwrap());
    let run = Command::new("multicat")
        .args(args)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&run.stderr);
    assert!(out.exists(), "{args:?}: {words}");
    out
}

#[test]
fn multicat_reads_our_ring_while_it_is_recorded() {
    let (keep, ring) = dir();
    let mut recorder = command("tsring");
    recorder.args(["record", &ring, "--segment", "1s"]);
    let mut recorder = Running::spawn(recorder.stdin(Stdio::piped()).stderr(Stdio::null()));
    let mut pipe = recorder.0.stdin.take().unwrap();
    let mut sent = 0;
    wait_for("three segments", || {
        pipe.write_all(&stream(sent, 70)).unwrap();
        sent += 70;
        let names = fs::read_dir(&ring).into_iter().flatten().flatten();
        names
            .filter(|n| n.path().extension().is_some_and(|e| e == "ts"))
            .count()
            >= 3
    });
    let ours = numbers(&tsring(&["read", &ring]).run().stdout);
    let line = json(&ring)["multicat"][0].as_str().unwrap().to_owned();
    let out = keep.path().join("out.ts").display().to_string();
    let words: Vec<&str> = line
        .split(' ')
        .skip(1)
        .map(|w| if w == "out.ts" { &out } else { w })
        .collect();
    let theirs = numbers(&fs::read(multicat(&words)).unwrap());
    assert!(theirs.len() > 1000 && theirs.starts_with(&ours[..theirs.len().min(ours.len())]));
    drop(pipe);
    assert_eq!(recorder.wait(), 0);
}

/// A ring of 2142 blocks, 4.5 s (multicat fills up a last block that is not full), and one of blocks that share their stamps in pairs.
#[test]
fn the_command_of_info_gives_what_read_gives_in_whole_blocks() {
    let (keep, _) = dir();
    let out = keep.path().join("out.ts").display().to_string();
    for shared in [false, true] {
        let ring = keep
            .path()
            .join(format!("ring {shared}"))
            .display()
            .to_string();
        file(&ring, &stream(0, 14_994));
        let mut stamps = Vec::new();
        for aux in files(&ring, "aux") {
            let mut bytes = fs::read(&aux).unwrap();
            if shared {
                for pair in bytes.chunks_exact_mut(16) {
                    pair.copy_within(0..8, 8);
                }
                fs::write(&aux, &bytes).unwrap();
            }
            let fields = bytes.as_chunks::<8>().0.iter();
            stamps.extend(fields.map(|field| u64::from_be_bytes(*field)));
        }
        // Edges on a stamp, around it, at the ends of segments of 2 s, and beyond the ring.
        let boundary = stamps
            .iter()
            .position(|at| at % 54_000_000 < 100_000 && *at != stamps[0]);
        let boundary = boundary.unwrap();
        let near = |block: usize| [stamps[block] - 1, stamps[block], stamps[block] + 1];
        let begins = [
            near(0),
            near(40),
            near(boundary - 1),
            near(boundary),
            near(boundary + 1),
        ];
        let ends = [
            near(41),
            near(100),
            near(boundary),
            near(boundary + 1),
            near(stamps.len() - 1),
        ];
        let mut exact = 0;
        let ranges = begins
            .iter()
            .flatten()
            .flat_map(|a| ends.iter().flatten().map(move |b| (a, b)));
        for (from, to) in ranges.filter(|(from, to)| from < to) {
            let instant = |ticks: &u64| WallTime::from_ticks(*ticks as i64);
            // Instants are typed in milliseconds: the next before, and after.
            let times = [
                instant(from).to_string(),
                (instant(to) + Ticks27M::from_millis(1)).to_string(),
            ];
            let range = ["--from", &times[0], "--to", &times[1]];
            let ours = numbers(&tsring(&["read", &ring]).args(range).run().stdout);
            let said = tsring(&["info", &ring, "--json"]).args(range).run().text();
            let info: serde_json::Value = serde_json::from_str(&said).unwrap();
            let line = info["multicat"][0].as_str().unwrap();
            let words: Vec<&str> = line
                .split_once(" '")
                .unwrap()
                .0
                .split(' ')
                .skip(1)
                .collect();
            let _ = fs::remove_file(&out);
            let theirs = fs::read(multicat(&[&words[..], &[&ring, &out]].concat())).unwrap();
            let theirs = numbers(&theirs);
            let begins = ours[0] - theirs[0];
            assert_eq!(theirs.last(), ours.last(), "{line}: {times:?}");
            let most = if shared { 7 } else { 0 };
            assert!(
                begins <= most && begins.is_multiple_of(7),
                "{line}: {begins} more, {times:?}"
            );
            exact += usize::from(begins == 0);
        }
        assert!(exact > 10, "{exact}");
    }
}

#[test]
fn we_read_multicats_rings_with_an_offset_too() {
    let (keep, _) = dir();
    let input = keep.path().join("in.ts").display().to_string();
    fs::write(&input, stream(0, 10_003)).unwrap(); // 3 s; 10 003 = 7 x 1429
    let made = Command::new("ingests")
        .args(["-p", "256", &input])
        .output()
        .unwrap();
    assert!(made.status.success());
    for offset in ["0", "11000000"] {
        let ring = keep
            .path()
            .join(format!("ring{offset}"))
            .display()
            .to_string();
        fs::create_dir(&ring).unwrap();
        multicat(&["-r", "27000000", "-O", offset, &input, &ring]);
        let read = tsring(&["read", &ring]).run().quiet_success();
        assert_eq!(
            numbers(&read),
            (0..10_003).collect::<Vec<_>>(),
            "offset {offset}"
        );
        // And one of ours goes on in it.
        tsring(&["record", &ring]).stdin(stream(10_003, 700)).run();
        let read = tsring(&["read", &ring]).run();
        assert_eq!(
            numbers(&read.stdout),
            (0..10_703).collect::<Vec<_>>(),
            "offset {offset}"
        );
    }
}

/// A ring of multicat's own: 10 003 packets, 3.009 s at 5 Mb/s, in segments of `ticks`.
fn ring_of_multicat(keep: &Path, name: &str, ticks: &str) -> String {
    let input = keep.join("in.ts").display().to_string();
    fs::write(&input, stream(0, 10_003)).unwrap();
    let made = Command::new("ingests")
        .args(["-p", "256", &input])
        .output()
        .unwrap();
    assert!(made.status.success());
    let ring = keep.join(name).display().to_string();
    fs::create_dir(&ring).unwrap();
    multicat(&["-r", ticks, &input, &ring]);
    ring
}

#[test]
fn a_ring_of_multicats_own_that_lost_stamps_keeps_its_length() {
    let (keep, _) = dir();
    // Of three segments, the newest and the oldest lose their stamps; then the only one there is.
    for (ticks, segments, lost) in [
        ("32400000", 3, 2),
        ("32400000", 3, 0),
        ("97200000000", 1, 0),
    ] {
        let name = format!("ring-{segments}-{lost}");
        let ring = ring_of_multicat(keep.path(), &name, ticks);
        let aux = files(&ring, "aux");
        assert_eq!(aux.len(), segments);
        fs::remove_file(&aux[lost]).unwrap();
        let info = tsring(&["info", &ring, "--json"])
            .run()
            .expect(0, &["warning: ring_stamps_damaged", "segment="]);
        let info: serde_json::Value = serde_json::from_str(&info.text()).unwrap();
        let (ms, rate) = (&info["duration_ms"], &info["bitrate_bps"]);
        assert!(
            (2_900..=3_100).contains(&ms.as_i64().unwrap()),
            "{name}: {ms} ms"
        );
        assert!(
            (4_850_000..=5_150_000).contains(&rate.as_i64().unwrap()),
            "{name}: {rate} b/s"
        );
    }
}

#[test]
fn a_ring_of_multicats_own_has_no_index_and_no_fault() {
    let (keep, _) = dir();
    let ring = ring_of_multicat(keep.path(), "ring", "27000000");
    let (status, said) = check(&ring, &[]);
    assert!(
        status == 0
            && said
                .last()
                .is_some_and(|line| line.ends_with(", 0 findings")),
        "{said:?}"
    );
    // A stamp that is wrong is one, far from the end too.
    let aux = files(&ring, "aux")[0].clone();
    let mut stamps = fs::read(&aux).unwrap();
    stamps[80..88].fill(0xFF);
    fs::write(&aux, stamps).unwrap();
    let (status, said) = check(&ring, &[]);
    assert!(
        status == 1 && said[0].contains("1 stamps missing or wrong"),
        "{said:?}"
    );
}
