//! What is said, and what is left, where there is little to do.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{check, dir, file, files, stream, tsring};

#[test]
fn playing_from_behind_the_ring_says_where_the_ring_ends() {
    let (_keep, ring) = dir();
    // 1000 packets of 300.8 us: the last block begins with packet 994, 299 ms after midnight.
    file(&ring, &stream(0, 1_000));
    let words =
        "2026-11-21T00:00:00.000Z is after the ring, which ends at 2026-11-20T00:00:00.299Z";
    tsring(&["play", &ring, "--from", "2026-11-21T00:00:00Z"])
        .run()
        .expect(1, &[words]);
}

#[test]
fn statistics_are_kept_of_what_only_looks_too() {
    let (keep, ring) = dir();
    file(&ring, &stream(0, 10_000));
    let stats = keep.path().join("stats.json");
    for (work, expected) in [
        ("info", [("ring_bytes", 1_880_000), ("segments_total", 2)]),
        ("check", [("findings_total", 0), ("segments_total", 2)]),
    ] {
        let run = tsring(&[work, &ring, "--stats-json"]).args([&stats]).run();
        assert_eq!(run.status, 0, "{}", run.stderr);
        let text = fs::read(&stats).unwrap();
        let seen: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for (key, value) in expected {
            assert_eq!(seen[key], value, "{work}: {seen}");
        }
        fs::remove_file(&stats).unwrap();
    }
}

#[test]
fn who_reads_or_plays_tells_the_service_manager_what() {
    let (keep, ring) = dir();
    file(&ring, &stream(0, 1_000));
    let from = ["--from", "2026-11-20T00:00:00Z", "-o", "/dev/null"];
    for (work, status) in [
        ("read", format!("STATUS=reading {ring} into /dev/null")),
        ("play", format!("STATUS=playing {ring} to /dev/null")),
    ] {
        let path = keep.path().join(format!("notify-{work}"));
        let notify = UnixDatagram::bind(&path).unwrap();
        notify
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let run = tsring(&[work, &ring]).args(from);
        let run = run.env("NOTIFY_SOCKET", path.to_str().unwrap()).run();
        assert_eq!(run.status, 0, "{}", run.stderr);
        let mut words = [0; 1000];
        let mut told = Vec::new();
        for _ in 0..2 {
            let n = notify.recv(&mut words).unwrap();
            told.push(String::from_utf8_lossy(&words[..n]).trim_end().to_owned());
        }
        assert_eq!(told, [status, "READY=1".to_owned()]);
    }
}

#[test]
fn no_command_of_multicats_is_told_of_a_range_that_holds_nothing() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 1_000));
    let at = ["--clock", "pcr", "--at", "2026-11-20T00:00:01.5Z"];
    tsring(&["record", &ring])
        .args(at)
        .stdin(stream(1_000, 1_000))
        .run()
        .expect(0, &["ring_resumed"]);
    for (from, to, lines) in [("00.600", "01.200", 0), ("00.100", "01.200", 1)] {
        let edge = |at| format!("2026-11-20T00:00:{at}Z");
        let (from, to) = (edge(from), edge(to));
        let range = ["--from", &from, "--to", &to];
        let read = tsring(&["read", &ring]).args(range).run();
        assert_eq!(read.status, i32::from(lines == 0), "{}", read.stderr);
        let info = tsring(&["info", &ring, "--json"]).args(range).run();
        let info: serde_json::Value = serde_json::from_str(&info.text()).unwrap();
        assert_eq!(info["multicat"].as_array().unwrap().len(), lines, "{info}");
    }
}

#[test]
fn what_is_refused_leaves_no_directory_behind() {
    let (keep, _) = dir();
    let new = keep.path().join("above/new").display().to_string();
    for (options, words) in [
        (["--keep", "0s"], "time to keep"),
        (["--segment", "1ms"], "segment"),
        (["--max-bytes", "0"], "hint:"),
    ] {
        tsring(&["record", &new])
            .args(options)
            .stdin(stream(0, 1))
            .run()
            .expect(2, &[words]);
        assert!(!keep.path().join("above").exists(), "{options:?}");
    }
    tsring(&["info", &new, "--stats", "0s"])
        .run()
        .expect(2, &["no time between two lines"]);
}

#[test]
fn a_directory_as_an_output_is_told_from_a_ring_to_play() {
    let (keep, ring) = dir();
    file(&ring, &stream(0, 100));
    let folder = keep.path().display().to_string();
    let read = tsring(&["read", &ring, "-o", &folder]).run();
    assert!(!read.stderr.contains("plays a ring"), "{}", read.stderr);
    read.expect(
        3,
        &["Is a directory", "hint: it is a directory: name a file"],
    );
    crate::harness::Run::new("tsrecv")
        .args([&folder, "/dev/null"])
        .run()
        .expect(3, &["'tsring read DIR' plays a ring"]);
}

/// A ring without settings or lock, as multicat makes it, to which somebody appends blocks, and
/// their stamps a hundred at a time.
#[test]
fn a_ring_that_multicat_is_recording_has_no_fault() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 30_000));
    for name in ["ring.json", "ring.lock"] {
        fs::remove_file(Path::new(&ring).join(name)).unwrap();
    }
    for idx in files(&ring, "idx") {
        fs::remove_file(idx).unwrap();
    }
    let newest = files(&ring, "ts").pop().unwrap();
    let open = |path: &Path| fs::OpenOptions::new().append(true).open(path).unwrap();
    let (mut ts, mut aux) = (open(&newest), open(&newest.with_extension("aux")));
    // Whole blocks: 30 000 packets do not fill the last.
    let whole = ts.metadata().unwrap().len() / 1316 * 1316;
    ts.set_len(whole).unwrap();
    aux.set_len(whole / 1316 * 8).unwrap();
    let stamps = fs::read(newest.with_extension("aux")).unwrap();
    let last = u64::from_be_bytes(*stamps.last_chunk().unwrap());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let block = stream(0, 7);
            let mut kept = Vec::new();
            for n in 1.. {
                ts.write_all(&block).unwrap();
                kept.extend((last + n).to_be_bytes());
                let over = stop.load(Ordering::Relaxed);
                if over || n % 100 == 0 {
                    aux.write_all(&kept).unwrap();
                    kept.clear();
                }
                if over {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for _ in 0..5 {
            let (status, said) = check(&ring, &[]);
            assert_eq!(status, 0, "{said:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    // Nobody records it any more, and it is whole.
    let (status, said) = check(&ring, &[]);
    assert_eq!((status, said.len()), (0, 1), "{said:?}");
}
