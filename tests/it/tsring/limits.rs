//! Disks that fill up, and what a ring may take.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{dir, files, json, numbers, stream, tsring};
use crate::harness::{Run, Running, command, wait_for};

#[test]
fn a_disk_that_fills_up_costs_a_gap() {
    let me = std::env::current_exe().unwrap();
    if std::env::var_os("TSRING_FULL").is_none() {
        let status = Command::new("unshare")
            .args(["-rm", "--"])
            .arg(me)
            .args([
                "--exact",
                "tsring::limits::a_disk_that_fills_up_costs_a_gap",
            ])
            .env("TSRING_FULL", "1")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let (keep, ring) = dir();
    fs::create_dir(&ring).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "none", &ring])
        .status()
        .unwrap();
    assert!(mounted.success());
    let stranger = Path::new(&ring).join("stranger");
    fs::write(&stranger, vec![1; 1 << 20]).unwrap();
    let mut recorder = command("tsring");
    recorder.args(["record", &ring, "--stats", "1s"]);
    let said = fs::File::create(keep.path().join("said")).unwrap();
    let mut recorder = Running::spawn(recorder.stdin(Stdio::piped()).stderr(said));
    let mut pipe = recorder.0.stdin.take().unwrap();
    let said = || fs::read_to_string(keep.path().join("said")).unwrap();
    let mut sent = 0;
    let mut feed = || {
        pipe.write_all(&stream(sent, 200)).unwrap();
        sent += 200;
    };
    wait_for("a full disk", || {
        feed();
        said().contains("ring_write_failed")
    });
    // The gap is told while it lasts.
    wait_for("the gap", || {
        feed();
        let info = tsring(&["info", &ring, "--json"]).run().stdout;
        let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
        let gaps = info["gaps"].as_array().unwrap();
        let lasts = gaps.iter().find(|g| g["to"].is_null());
        lasts.is_some_and(|g| g["cause"] == "disk_full" && g["lost_packets"].as_u64() > Some(0))
    });
    let text = tsring(&["info", &ring]).run();
    assert!(
        text.text().contains("packets lost, lasts)"),
        "{}",
        text.text()
    );
    fs::remove_file(stranger).unwrap();
    wait_for("room again", || {
        feed();
        said().contains("ring_write_resumed")
    });
    feed();
    drop(pipe);
    // The input waits by itself, so that a loss is a failure.
    assert_eq!(recorder.wait(), 3);
    let read = numbers(&tsring(&["read", &ring]).run().stdout);
    let info = json(&ring);
    let gaps = info["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["cause"], "disk_full");
    let lost = gaps[0]["lost_packets"].as_u64().unwrap();
    assert_eq!(read.len() as u64 + lost, u64::from(sent));
    assert!(read.is_sorted());
}

#[test]
fn a_recording_filed_faster_than_received_keeps_to_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring");
    // 12 s at 5 Mb/s: 7.5 MB in segments of 625 kB.
    let packets = 5_000_000 / 8 / 188 * 12;
    let options = [
        "--segment",
        "1s",
        "--max-bytes",
        "2M",
        "--clock",
        "pcr",
        "--at",
    ];
    let ran = Run::new("tsring")
        .args(["record".as_ref(), ring.as_os_str()])
        .args(options)
        .args(["2026-01-01T00:00:00Z"])
        .stdin(stream(0, packets))
        .run();
    ran.expect(0, &["ring_short_of_room"]);
    let left: u64 = fs::read_dir(&ring)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|e| e != "json" && e != "lock")
        })
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(
        (625_000..=2_000_000).contains(&left),
        "{left} bytes are left"
    );
}

/// Bytes of a ring's segments with all their files.
fn ring_bytes(ring: &str) -> u64 {
    let of = |e| {
        files(ring, e)
            .into_iter()
            .filter_map(|path| fs::metadata(path).ok())
    };
    let sizes = ["ts", "aux", "idx"].map(|e| of(e).map(|m| m.len()).sum::<u64>());
    sizes.iter().sum()
}

/// Runs a recorder of a live stream with `options` for `packets`, and calls `look` about 100
/// times a second of its time.
fn record_live(ring: &str, options: &[&str], packets: u32, look: &mut dyn FnMut()) -> String {
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut recorder = command("tsring");
    recorder.args(["record", ring]).args(options);
    let stderr = said.reopen().unwrap();
    let mut recorder = Running::spawn(recorder.stdin(Stdio::piped()).stderr(stderr));
    let mut pipe = recorder.0.stdin.take().unwrap();
    for sent in (0..packets).step_by(133) {
        pipe.write_all(&stream(sent, 133)).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        if Path::new(ring).is_dir() {
            look();
        }
    }
    drop(pipe);
    assert_eq!(recorder.wait(), 0);
    fs::read_to_string(said.path()).unwrap()
}

#[test]
fn a_live_ring_never_takes_more_than_it_may() {
    let (_keep, ring) = dir();
    // 20 Mb/s: 2.5 MB in a segment, three of them in 8 MB.
    let options = ["--segment", "1s", "--max-bytes", "8M"];
    let mut most = 0;
    let said = record_live(&ring, &options, 80_000, &mut || {
        most = most.max(ring_bytes(&ring))
    });
    // What comes while the oldest is removed: a quarter of a second, if the machine is busy.
    assert!(
        (5_000_000..8_800_000).contains(&most),
        "{most} bytes at most"
    );
    assert_eq!(said.matches("ring_short_of_room").count(), 1, "{said}");
    let read = numbers(&tsring(&["read", &ring]).run().stdout);
    assert_eq!(read.last(), Some(&(80_000 / 133 * 133 + 132)));
}

#[test]
fn a_segment_that_alone_is_more_than_the_ring_may_take_is_said() {
    let (_keep, ring) = dir();
    let options = ["--segment", "1h", "--max-bytes", "1M"];
    let said = record_live(&ring, &options, 20_000, &mut || {});
    assert!(said.contains("ring_segment_over_limit"), "{said}");
}

#[test]
fn as_much_stays_free_as_was_asked_for() {
    let me = std::env::current_exe().unwrap();
    if std::env::var_os("TSRING_FREE").is_none() {
        let status = Command::new("unshare")
            .args(["-rm", "--"])
            .arg(me)
            .args([
                "--exact",
                "tsring::limits::as_much_stays_free_as_was_asked_for",
            ])
            .env("TSRING_FREE", "1")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let (_keep, ring) = dir();
    fs::create_dir(&ring).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16m", "none", &ring])
        .status()
        .unwrap();
    assert!(mounted.success());
    let options = ["--segment", "1s", "--min-free", "6M"];
    let mut least = u64::MAX;
    let said = record_live(&ring, &options, 80_000, &mut || {
        let stat = nix::sys::statvfs::statvfs(ring.as_str()).unwrap();
        least = least.min(stat.blocks_available() * stat.fragment_size());
    });
    assert!(
        (5_200_000..9_000_000).contains(&least),
        "{least} bytes free at least"
    );
    assert_eq!(said.matches("ring_short_of_room").count(), 1, "{said}");
    assert!(!said.contains("ring_write_failed"), "{said}");
}
