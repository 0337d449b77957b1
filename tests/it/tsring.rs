//! `tsring`, with real processes, disks and multicat.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use headend::ts::{ContinuityCounter, Packet, Pcr, Pid};
use headend::units::{Ticks27M, WallTime};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::harness::{Run, Running, captures, command, packets_of, wait_for};

/// So many packets of one PID at 5 Mb/s, a PCR each twentieth, numbered in their payload.
pub fn stream(from: u32, packets: u32) -> Vec<u8> {
    let pid = Pid::new(0x100).unwrap();
    let mut counter = ContinuityCounter::new((from % 16) as u8).unwrap();
    let mut bytes = Vec::new();
    for n in from..from + packets {
        let mut p = Packet::new(pid, counter);
        counter = counter.next();
        if n % 20 == 0 {
            // 188 bytes at 5 Mb/s are 8121.6 ticks of 27 MHz.
            let ticks = Ticks27M::new(i64::from(n) * 81_216 / 10);
            p.set_adaptation_field_control(true, true);
            p.as_bytes_mut()[4..12].copy_from_slice(&[7, 0x10, 0, 0, 0, 0, 0x7E, 0]);
            assert!(p.set_pcr(Pcr::from_ticks(1).unwrap() + ticks));
        }
        p.payload_mut()[..4].copy_from_slice(&n.to_be_bytes());
        bytes.extend_from_slice(p.as_bytes());
    }
    bytes
}

/// The numbers of the packets of [`stream`].
pub fn numbers(bytes: &[u8]) -> Vec<u32> {
    let (packets, rest) = Packet::slice_of(bytes);
    assert!(rest.is_empty(), "{} bytes are no packets", bytes.len());
    let number = |p: &Packet| u32::from_be_bytes(*p.payload().first_chunk().unwrap());
    packets.iter().map(number).collect()
}

fn tsring(args: &[&str]) -> Run {
    Run::new("tsring").args(args)
}

fn dir() -> (tempfile::TempDir, String) {
    let temporary = tempfile::tempdir().unwrap();
    let ring = temporary.path().join("ring").display().to_string();
    (temporary, ring)
}

/// Files `bytes` from midnight on, in segments of 2 s.
fn file(ring: &str, bytes: &[u8]) {
    let at = "2026-11-20T00:00:00Z";
    let options = ["--clock", "pcr", "--at", at, "--segment", "2s"];
    tsring(&["record", ring])
        .args(options)
        .stdin(bytes)
        .run()
        .quiet_success();
}

fn json(ring: &str) -> serde_json::Value {
    let text = tsring(&["info", ring, "--json"]).run().quiet_success();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn what_is_recorded_is_read_back_byte_for_byte() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 30_000);
    file(&ring, &bytes);
    assert!(tsring(&["read", &ring]).run().quiet_success() == bytes);
    let copy = format!("{ring}.ts");
    tsring(&["read", &ring, "-o", &copy]).run().quiet_success();
    assert!(fs::read(copy).unwrap() == bytes);
    // 30 000 packets of 300.8 µs: 9.02 s, in segments of 2 s.
    let info = json(&ring);
    assert_eq!(info["segments"], 5);
    assert_eq!(info["bytes"], bytes.len());
    assert_eq!(info["first"], "2026-11-20T00:00:00.000Z");
    assert_eq!(info["last"], "2026-11-20T00:00:09.022Z");
    assert_eq!(info["gaps"].as_array().unwrap().len(), 0);
    let lock = Path::new(&ring).join("ring.lock");
    let recorder = fs::read(&lock).unwrap();
    let check = tsring(&["check", &ring]).run();
    assert!(fs::read(&lock).unwrap() == recorder);
    assert_eq!(
        (check.status, check.text().as_str()),
        (0, "5 segments, 0 findings\n")
    );
}

#[test]
fn captures_are_read_back_byte_for_byte() {
    for capture in captures() {
        let (_keep, ring) = dir();
        let input = capture.display().to_string();
        let recorded = tsring(&["record", &ring, "-i", &input]).run();
        assert_eq!(recorded.status, 0, "{input}: {}", recorded.stderr);
        let read = tsring(&["read", &ring]).run();
        assert!(packets_of(&capture) == read.stdout, "{input}");
    }
}

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
fn settings_stay_with_the_ring_and_a_new_segment_length_loses_nothing() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 20_000));
    let more = [
        "record",
        &ring,
        "--clock",
        "pcr",
        "--segment",
        "3s",
        "--keep",
        "2h",
    ];
    tsring(&more)
        .stdin(stream(20_000, 20_000))
        .run()
        .quiet_success();
    tsring(&["record", &ring, "--clock", "pcr"])
        .stdin(stream(40_000, 5_000))
        .run()
        .quiet_success();
    let read = tsring(&["read", &ring]).run().stdout;
    assert_eq!(numbers(&read), (0..45_000).collect::<Vec<_>>());
    let info = json(&ring);
    assert_eq!(
        (&info["segment_ms"], &info["keep_ms"]),
        (&3000.into(), &7_200_000.into())
    );
    assert_eq!(info["multicat"].as_array().unwrap().len(), 2);
}

#[test]
fn a_second_writer_is_refused() {
    let (_keep, ring) = dir();
    let mut first = command("tsring");
    let child = first.args(["record", &ring]).stdin(Stdio::piped());
    let mut first = Running::spawn(child.stderr(Stdio::null()));
    let mut pipe = first.0.stdin.take().unwrap();
    pipe.write_all(&stream(0, 1000)).unwrap();
    wait_for("the first block", || {
        tsring(&["read", &ring]).run().stdout.len() >= 990 * 188
    });
    tsring(&["record", &ring])
        .run()
        .expect(3, &["another recorder holds it", "hint:"]);
    drop(pipe);
    assert_eq!(first.wait(), 0);
    assert_eq!(numbers(&tsring(&["read", &ring]).run().stdout).len(), 1000);
}

#[test]
fn a_partial_block_waits_for_no_more_and_is_filled_by_the_next_start() {
    let (_keep, ring) = dir();
    let mut first = command("tsring");
    let child = first.args(["record", &ring]).stdin(Stdio::piped());
    let mut first = Running::spawn(child.stderr(Stdio::null()));
    let mut pipe = first.0.stdin.take().unwrap();
    pipe.write_all(&stream(0, 10)).unwrap();
    wait_for("ten packets", || {
        tsring(&["read", &ring]).run().stdout.len() == 1880
    });
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait(), 0);
    let again = tsring(&["record", &ring]).stdin(stream(10, 11)).run();
    again.expect(0, &["ring_resumed"]);
    let read = tsring(&["read", &ring]).run().stdout;
    assert_eq!(numbers(&read), (0..21).collect::<Vec<_>>());
}

#[test]
fn what_is_passed_on_is_what_is_recorded() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 50_000);
    let tee = tsring(&["record", &ring, "--tee"])
        .stdin(bytes.clone())
        .run();
    assert!(tee.quiet_success() == bytes);
    assert!(tsring(&["read", &ring]).run().stdout == bytes);
}

/// `tsring` with nobody who reads its stdout.
struct Stalled {
    running: Running,
    stdout: (std::io::PipeReader, std::io::PipeWriter),
}

impl Stalled {
    fn start(args: &[&str], stdin: Stdio) -> Self {
        let stdout = std::io::pipe().unwrap();
        let mut tsring = command("tsring");
        tsring.args(args).stdin(stdin);
        tsring.stdout(stdout.1.try_clone().unwrap());
        let running = Running::spawn(&mut tsring);
        Self { running, stdout }
    }

    /// Waits until its stdout takes nothing more, and gives the status that SIGTERM leads to. 2 s
    /// are promised for that; the rest is for a loaded machine.
    fn end(&mut self) -> i32 {
        wait_for("a full pipe", || {
            let mut room = [PollFd::new(self.stdout.1.as_fd(), PollFlags::POLLOUT)];
            poll(&mut room, PollTimeout::ZERO).unwrap() == 0
        });
        let start = Instant::now();
        self.running.signal(Signal::SIGTERM);
        let status = self.running.wait();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(15), "{took:?}");
        status
    }
}

#[test]
fn a_reader_of_stdout_that_stands_still_keeps_nobody_from_ending() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 30_000));
    assert_eq!(Stalled::start(&["read", &ring], Stdio::null()).end(), 0);
    let from = ["play", &ring, "--from", "2026-11-20T00:00:00Z"];
    assert_eq!(Stalled::start(&from, Stdio::null()).end(), 0);
}

#[test]
fn a_reader_of_the_tee_that_stands_still_stops_no_recording() {
    let (_keep, ring) = dir();
    let (input, mut feed) = std::io::pipe().unwrap();
    let args = ["record", &ring, "--tee", "--queue", "1s,1MiB"];
    let mut record = Stalled::start(&args, input.into());
    // Much more than the pipe and the queues hold.
    let bytes = stream(0, 50_000);
    feed.write_all(&bytes).unwrap();
    wait_for("all to be recorded", || {
        fs::read_dir(&ring).is_ok_and(|entries| {
            let sizes = entries
                .flatten()
                .filter(|e| e.path().extension() == Some("ts".as_ref()));
            sizes.map(|e| e.metadata().unwrap().len()).sum::<u64>() == bytes.len() as u64
        })
    });
    assert_eq!(record.end(), 0);
    assert!(tsring(&["read", &ring]).run().stdout == bytes);
}

#[test]
fn a_ring_is_played_at_its_own_pace() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 5_000); // 1.5 s
    file(&ring, &bytes);
    let start = Instant::now();
    let played = tsring(&["play", &ring, "--from", "2026-11-20T00:00:00Z"]).run();
    assert!(played.quiet_success() == bytes);
    // And a wait of 3 s for more.
    let took = start.elapsed().as_millis();
    assert!((4_400..20_000).contains(&took), "{took} ms");
}

#[test]
fn a_disk_that_fills_up_costs_a_gap() {
    let me = std::env::current_exe().unwrap();
    if std::env::var_os("TSRING_FULL").is_none() {
        let status = Command::new("unshare")
            .args(["-rm", "--"])
            .arg(me)
            .args(["--exact", "tsring::a_disk_that_fills_up_costs_a_gap"])
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

/// The files of a ring with this extension, oldest first.
fn files(ring: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(ring).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    files.sort();
    files
}

#[test]
fn a_segment_without_its_stamps_is_read_all_the_same_and_that_is_said() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 30_000);
    file(&ring, &bytes);
    let aux = files(&ring, "aux")[2].clone();
    let stamps = fs::read(&aux).unwrap();
    let noise: Vec<u8> = stamps.iter().map(|b| b.wrapping_mul(167) ^ 0xA5).collect();
    for broken in [
        &[][..],
        &stamps[..stamps.len() / 3],
        &noise,
        &vec![0xFF; stamps.len()],
    ] {
        fs::write(&aux, broken).unwrap();
        let read = tsring(&["read", &ring])
            .run()
            .expect(0, &["ring_stamps_damaged"]);
        assert!(read.stdout == bytes, "{} bytes of aux", broken.len());
    }
    fs::remove_file(&aux).unwrap();
    let read = tsring(&["read", &ring])
        .run()
        .expect(0, &["ring_stamps_damaged"]);
    assert!(read.stdout == bytes);
    // 3 s into the stream, by the PCRs that the index knows: one a second, so that the place is
    // known to a few milliseconds.
    let from = ["read", &ring, "--from", "2026-11-20T00:00:05Z"];
    let read = tsring(&from).run().expect(0, &["ring_stamps_damaged"]);
    let first = numbers(&read.stdout)[0];
    // 5 s of 300.8 us a packet.
    assert!(first.abs_diff(16_622) < 100, "{first}");
    let played = tsring(&["play", &ring, "--from", "2026-11-20T00:00:03.8Z"]).run();
    assert_eq!(numbers(&played.stdout).last(), Some(&29_999));
    assert!(
        played.stderr.contains("ring_stamps_damaged"),
        "{}",
        played.stderr
    );
}

#[test]
fn a_stranger_with_a_number_for_a_name_is_left_alone() {
    let (_keep, ring) = dir();
    let bytes = stream(0, 10_000);
    file(&ring, &bytes);
    let stranger = Path::new(&ring).join("1.ts");
    let noise: Vec<u8> = (0..50_000u32).map(|n| ((n * n) >> 3) as u8).collect();
    fs::write(&stranger, &noise).unwrap();
    assert!(tsring(&["read", &ring]).run().quiet_success() == bytes);
    let info = tsring(&["info", &ring])
        .run()
        .expect(0, &["ring_foreign_file", "1.ts"]);
    assert!(
        info.text().contains("2026-11-20T00:00:00.000Z"),
        "{}",
        info.text()
    );
    let check = tsring(&["check", &ring, "--repair"]).run();
    assert_eq!(
        (check.status, check.text().as_str()),
        (0, "1.ts: not of this ring\n2 segments, 0 findings\n")
    );
    let at = ["--clock", "pcr", "--max-bytes", "1M"];
    tsring(&["record", &ring])
        .args(at)
        .stdin(stream(10_000, 20_000))
        .run();
    assert_eq!(fs::read(&stranger).unwrap(), noise);
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
            .args(["--exact", "tsring::as_much_stays_free_as_was_asked_for"])
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

#[test]
fn silence_is_told_while_it_lasts_and_a_ring_that_nobody_records_has_none() {
    let (_keep, ring) = dir();
    let mut recorder = command("tsring");
    recorder.args(["record", &ring]);
    let mut recorder = Running::spawn(recorder.stdin(Stdio::piped()).stderr(Stdio::null()));
    let mut pipe = recorder.0.stdin.take().unwrap();
    pipe.write_all(&stream(0, 70)).unwrap();
    wait_for("a ring", || tsring(&["info", &ring]).run().status == 0);
    assert_eq!(json(&ring)["recording"], true);
    let mut info = serde_json::Value::Null;
    wait_for("the gap", || {
        info = json(&ring);
        !info["gaps"].as_array().unwrap().is_empty()
    });
    let gap = &info["gaps"][0];
    assert_eq!(
        (&gap["cause"], &gap["to"]),
        (&"silence".into(), &serde_json::Value::Null)
    );
    assert_eq!(gap["from"], info["last"]);
    assert!(gap["duration_ms"].as_u64() >= Some(2000), "{gap}");
    let mut sent = 70;
    wait_for("the end of the gap", || {
        pipe.write_all(&stream(sent, 70)).unwrap();
        sent += 70;
        json(&ring)["gaps"][0]["to"].is_string()
    });
    drop(pipe);
    assert_eq!(recorder.wait(), 0);
    assert_eq!(json(&ring)["recording"], false);
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
fn what_is_no_transport_stream_is_not_recorded_and_what_is_empty_is_empty() {
    let (_keep, ring) = dir();
    let record = |bytes: &[u8]| tsring(&["record", &ring]).stdin(bytes).run();
    record(&[0x3F; 50_000]).expect(
        3,
        &[
            "'-' is no transport stream: no packet in 50000 bytes",
            "hint:",
        ],
    );
    record(&[]).expect(0, &[]);
    let one = stream(0, 1);
    record(&one).expect(0, &[]);
    assert!(tsring(&["read", &ring]).run().quiet_success() == one);
}

/// What `check` says of a ring, line by line, and its status.
fn check(ring: &str, options: &[&str]) -> (i32, Vec<String>) {
    let run = tsring(&["check", ring]).args(options).run();
    let text = run.text();
    (run.status, text.lines().map(str::to_owned).collect())
}

#[test]
fn what_is_broken_in_a_ring_is_found_and_put_right() {
    // What is done to the third segment, or behind the last, and what is said of it.
    type Breakage = fn(&Path);
    let cases: [(Breakage, &str); 6] = [
        (
            |ts| append(ts, &[0x47; 100]),
            "100 bytes that are no whole packet, 0 packets",
        ),
        (
            |ts| fs::remove_file(ts.with_extension("aux")).unwrap(),
            "950 stamps missing or wrong",
        ),
        (
            |ts| shorten(&ts.with_extension("aux"), 100),
            "850 stamps missing or wrong",
        ),
        (
            |ts| fs::remove_file(ts.with_extension("idx")).unwrap(),
            "not indexed",
        ),
        (|ts| shorten(&ts.with_extension("idx"), 100), "not indexed"),
        (
            |ts| fs::rename(ts, ts.with_extension("gone")).unwrap(),
            "aux: without packets",
        ),
    ];
    for (breaks, words) in cases {
        let (_keep, ring) = dir();
        let bytes = stream(0, 30_000);
        file(&ring, &bytes);
        let third = files(&ring, "ts")[2].clone();
        breaks(&third);
        let (status, said) = check(&ring, &[]);
        assert!(
            status == 1 && said.iter().any(|line| line.contains(words)),
            "{words}: {said:?}"
        );
        let (status, said) = check(&ring, &["--repair"]);
        let done = |line: &String| line.starts_with("repaired: ") && line.contains(words);
        assert!(status == 0 && said.iter().any(done), "{words}: {said:?}");
        let gone = third.with_extension("gone");
        if gone.exists() {
            fs::rename(&gone, &third).unwrap();
            assert_eq!(check(&ring, &["--repair"]).0, 0);
        }
        let (status, said) = check(&ring, &[]);
        assert_eq!(
            (status, said),
            (0, vec!["5 segments, 0 findings".to_owned()]),
            "{words}"
        );
        assert!(
            tsring(&["read", &ring]).run().quiet_success() == bytes,
            "{words}"
        );
        let points = json(&ring);
        assert_eq!(points["indexed"], true);
    }
}

/// Makes a file of `bytes` longer.
fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Keeps so many stamps of 8 bytes, or as many bytes of anything else.
fn shorten(path: &Path, count: u64) {
    let size = if path.extension().is_some_and(|e| e == "aux") {
        8
    } else {
        1
    };
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(count * size).unwrap();
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
