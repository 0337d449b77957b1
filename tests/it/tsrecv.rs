//! `tsrecv` with real files, pipes and sockets; sockets live in a namespace that the test makes.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use headend::stream::playout::{Playout, PlayoutOptions};
use headend::stream::restamp::Seam;
use headend::stream::{Batch, Framer, Reorder, RtpHeader};
use headend::ts::{ContinuityCounter, Packet, Pcr, Pid};
use headend::units::{Arrival, BitRate, Ticks27M};

use nix::sys::signal::Signal;

use crate::harness::{
    Run, Running, assert_same_packets, captures, command, packets_of, samples, wait_for,
};

#[test]
fn every_capture_passes_byte_for_byte() {
    for capture in captures() {
        let ran = Run::new("tsrecv").args([&capture]).run();
        assert_eq!(ran.status, 0, "{}: {}", capture.display(), ran.stderr);
        assert_same_packets(&ran.stdout, &packets_of(&capture));
    }
}

#[test]
fn timed_and_plain_packets_are_told_apart_and_made_of_each_other() {
    for capture in captures() {
        let plain = packets_of(&capture);
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
        // A file keeps its headers: a copy is the same each time.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &timed).unwrap();
        let copy = Run::new("tsrecv").args([file.path()]).run().stdout;
        assert!(copy == timed, "a copy differs");
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
fn a_reader_that_stands_still_does_not_hold_up_the_end_and_what_is_left_is_said() {
    let mut tsrecv = command("tsrecv");
    tsrecv
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let stats = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tsrecv-stuck.json");
    tsrecv.arg("--stats-json").arg(&stats);
    let mut running = Running::spawn(&mut tsrecv);
    let _reader = running.0.stdout.take().unwrap();
    let mut stdin = running.0.stdin.take().unwrap();
    let fed = Arc::new(AtomicUsize::new(0));
    let feeder = std::thread::spawn({
        let fed = Arc::clone(&fed);
        move || {
            while stdin.write_all(&[0x47; 1880]).is_ok() {
                fed.fetch_add(1880, Ordering::Relaxed);
            }
        }
    });
    // A MiB in each pipe: the rest is inside, and finds no room.
    wait_for("a full pipe", || fed.load(Ordering::Relaxed) > 2_500_000);
    let asked = Instant::now();
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait(), 0);
    feeder.join().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(6));
    let mut said = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(
        said.contains("output_given_up stream: left_packets="),
        "{said}"
    );
    let fates = fates(&stats);
    assert!(fates.dropped > 0, "{fates:?}");
    assert_eq!(fates.came, fates.left + fates.dropped, "{fates:?}");
}

/// What became of the packets that came.
#[derive(Debug)]
struct Fates {
    came: u64,
    left: u64,
    unplayed: u64,
    dropped: u64,
}

fn fates(stats: &Path) -> Fates {
    let stats = fs::read(stats).unwrap();
    let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
    let count = |key: &str| stats[key].as_u64().unwrap_or_default();
    Fates {
        came: count("in_packets"),
        left: count("out_packets"),
        unplayed: count("unplayed_packets"),
        dropped: count("out_dropped_packets") + count("left_packets"),
    }
}

#[test]
fn what_a_playout_into_a_pipe_did_not_play_is_counted_and_said() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (file, stats) = (
        folder.join("tsrecv-unplayed.ts"),
        folder.join("tsrecv-unplayed.json"),
    );
    let pid = Pid::new(0x100).unwrap();
    // Twenty seconds, ten packets between one PCR and the next.
    let mut bytes = Vec::new();
    for n in 0..500 {
        let pcr = Pcr::from_ticks(n * 27_000 * 40).unwrap();
        let clock = Packet::pcr_only(pid, ContinuityCounter::default(), pcr);
        bytes.extend_from_slice(clock.as_bytes());
        (0..9).for_each(|_| bytes.extend_from_slice(Packet::NULL.as_bytes()));
    }
    fs::write(&file, &bytes).unwrap();
    // A file has them another time.
    for from_pipe in [false, true] {
        let mut tsrecv = command("tsrecv");
        tsrecv.stdout(Stdio::piped()).stderr(Stdio::piped());
        tsrecv.args(["--pace", "--stats-json"]).arg(&stats);
        match from_pipe {
            true => tsrecv.stdin(File::open(&file).unwrap()),
            false => tsrecv.arg(&file),
        };
        let mut running = Running::spawn(&mut tsrecv);
        let mut reader = running.0.stdout.take().unwrap();
        reader.read_exact(&mut [0; 188]).unwrap();
        running.signal(Signal::SIGTERM);
        assert_eq!(running.wait(), 0);
        let mut played = Vec::new();
        reader.read_to_end(&mut played).unwrap();
        let fates = fates(&stats);
        assert_eq!(fates.left, 1 + played.len() as u64 / 188, "{fates:?}");
        assert!(fates.unplayed > 0, "{fates:?}");
        assert_eq!(fates.came, fates.left + fates.unplayed, "{fates:?}");
        let mut said = String::new();
        let mut stderr = running.0.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        let unplayed = fates.unplayed;
        let words = format!("output_unplayed stream: unplayed_packets={unplayed}");
        assert_eq!(said.contains(&words), from_pipe, "{said}");
    }
}

#[test]
fn a_fifo_that_nobody_opens_does_not_hold_up_the_end() {
    let fifo = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tsrecv-unopened.fifo");
    let _ = fs::remove_file(&fifo);
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut tsrecv = command("tsrecv");
    tsrecv.args(["-i", "exec:exec cat /dev/zero", "-o"]);
    let mut running = Running::spawn(tsrecv.arg(&fifo));
    let me = running.0.id();
    // The handlers are in place when there is a child; the FIFO is opened after that.
    wait_for("its input", || {
        fs::read_to_string(format!("/proc/{me}/task/{me}/children"))
            .is_ok_and(|children| !children.trim().is_empty())
    });
    running.signal(Signal::SIGTERM);
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

/// Packets by PID.
fn pids(bytes: &[u8]) -> std::collections::BTreeMap<u16, usize> {
    let mut pids = std::collections::BTreeMap::new();
    for packet in bytes.chunks(188) {
        *pids
            .entry(u16::from_be_bytes([packet[1] & 0x1F, packet[2]]))
            .or_default() += 1;
    }
    pids
}

#[test]
fn filters_keep_and_drop_pids_and_touch_nothing_else() {
    let Some(capture) = captures()
        .into_iter()
        .find(|c| c.ends_with("mpeg2-mp2-dvb.ts"))
    else {
        return;
    };
    let all = pids(&fs::read(&capture).unwrap());
    let run = |args: &[&str]| pids(&Run::new("tsrecv").args(args).args([&capture]).run().stdout);
    let (first, last) = (*all.keys().next().unwrap(), *all.keys().last().unwrap());
    let list = format!("{first},{last:#06x}");
    let kept = run(&["--pid", &list]);
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [first, last]);
    assert_eq!((kept[&first], kept[&last]), (all[&first], all[&last]));
    let mut dropped = run(&["--drop-pid", &list]);
    dropped.extend(kept);
    assert_eq!(dropped, all);
    let mut without_null = all;
    without_null.remove(&0x1FFF);
    assert_eq!(run(&["--drop-null"]), without_null);
}

/// EN 300 421 §4.4.2: a code word is zero at each root l^0 .. l^15 of the generator, in the field
/// of x^8 + x^4 + x^3 + x^2 + 1 with l = 2.
fn is_code_word(word: &[u8]) -> bool {
    let product = |a: u8, b: u8| {
        let wide = (0..8).fold(0u16, |sum, bit| {
            sum ^ ((u16::from(a) << bit) * u16::from(b >> bit & 1))
        });
        let reduced = (8..15).rev().fold(wide, |left, bit| {
            left ^ ((0x11D << (bit - 8)) * (left >> bit & 1))
        });
        reduced as u8
    };
    let mut root = 1;
    (0..16).all(|_| {
        let value = word.iter().fold(0, |sum, byte| product(sum, root) ^ byte);
        root = product(root, 2);
        value == 0
    })
}

#[test]
fn coded_packets_keep_a_code_behind_them() {
    for capture in captures().into_iter().take(3) {
        let plain = packets_of(&capture);
        let coded: Vec<u8> = plain
            .chunks(188)
            .flat_map(|p| p.iter().copied().chain([0; 16]))
            .collect();
        let out = Run::new("tsrecv").stdin(coded).run().stdout;
        assert_eq!(out.len(), plain.len() / 188 * 204);
        assert!(
            out.chunks(204)
                .zip(plain.chunks(188))
                .all(|(c, p)| c[..188] == *p)
        );
        assert!(out.chunks(204).all(is_code_word), "{}", capture.display());
    }
}

#[test]
fn a_program_is_an_input_and_an_output_and_its_words_are_in_the_log() {
    let Some(capture) = captures().into_iter().next() else {
        return;
    };
    let expected = packets_of(&capture);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.ts");
    let input = format!("exec:echo hello >&2; cat '{}'", capture.display());
    let output = format!("exec:cat > '{}'", out.display());
    let ran = Run::new("tsrecv").args([&input, &output]).run();
    ran.expect(0, &["exec_stderr", "hello"]);
    assert_same_packets(&fs::read(&out).unwrap(), &expected);
}

#[test]
fn a_file_that_a_program_has_not_taken_whole_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("in.ts"), folder.path().join("out.ts"));
    // 7.5 MB: more than all pipes and queues hold
    fs::write(
        &file,
        vec![*headend::ts::Packet::NULL.as_bytes(); 40_000].concat(),
    )
    .unwrap();
    let run = |program: &str| Run::new("tsrecv").args([&file]).args([program]).run();
    run("exec:exit 3").expect(
        3,
        &[
            "'exec:exit 3' ended early: exit status: 3;",
            "packets were lost",
        ],
    );
    let early = run("exec:head -c 1880 >/dev/null");
    early.expect(3, &["ended early: exit status: 0;", "packets were lost"]);
    let late = run(&format!(
        "exec:cat >'{}'; echo full >&2; exit 4",
        out.display()
    ));
    late.expect(3, &["failed: exit status: 4", "exec_stderr", "full"]);
    assert_same_packets(&fs::read(&out).unwrap(), &fs::read(&file).unwrap());
    run("exec:cat >/dev/null").expect(0, &[]);
}

#[test]
fn a_rate_that_is_too_low_is_a_failure_that_names_the_rate_to_take() {
    let mut told = 0;
    for capture in captures() {
        let play = |rate: &str| {
            let run = Run::new("tsrecv").args(["--cbr", rate, "-i"]);
            run.args([&capture]).run()
        };
        let low = play("60k");
        if low.status == 0 {
            continue; // less than half a second, or no clock
        }
        let low = low.expect(3, &["packets were dropped", "needed_bps=", "hint: --cbr "]);
        let (_, rate) = low.stderr.split_once("hint: --cbr ").unwrap();
        let rate = rate.split(' ').next().unwrap();
        let held = play(rate);
        let said = &held.stderr;
        assert!(
            held.status == 0 && !said.contains("cbr_rate_exceeded"),
            "{said}"
        );
        told += 1;
    }
    assert!(told >= 5 || captures().is_empty(), "{told}");
}

/// Each PCR packet's arrival header counts as its PCR does (SMPTE and Blu-ray's 30 bits at 27 MHz),
/// also where the PID of the PCRs is not among those that are kept.
#[test]
fn a_file_without_arrival_times_gets_those_of_its_clock() {
    let Some(folder) = samples() else { return };
    let file = folder.join("bbb-h264-mp2.ts");
    let pcr = |p: &[u8]| {
        let has = p[3] & 0x20 != 0 && p[4] > 0 && p[5] & 0x10 != 0;
        let base = u64::from(u32::from_be_bytes([p[6], p[7], p[8], p[9]])) << 1;
        has.then(|| {
            (base | u64::from(p[10] >> 7)) * 300
                + u64::from(u16::from_be_bytes([p[10], p[11]]) & 0x1FF)
        })
    };
    let header = |p: &[u8]| u32::from_be_bytes([p[0], p[1], p[2], p[3]]) & 0x3FFF_FFFF;
    let run = Run::new("tsrecv").args(["--timed"]).args([&file]).run();
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let packets: Vec<&[u8]> = run.stdout.chunks(192).collect();
    let clocks: Vec<(u32, u64)> = packets
        .iter()
        .filter_map(|p| Some((header(p), pcr(&p[4..])?)))
        .collect();
    assert!(clocks.len() > 100, "{}", clocks.len());
    for pair in clocks.windows(2) {
        let arrivals = u64::from(pair[1].0.wrapping_sub(pair[0].0) & 0x3FFF_FFFF);
        assert_eq!(arrivals, pair[1].1 - pair[0].1);
    }
    let sound = |p: &&[u8]| u16::from_be_bytes([p[5], p[6]]) & 0x1FFF == 0x101;
    let expected: Vec<u8> = packets
        .iter()
        .filter(|p| sound(p))
        .flat_map(|p| &p[4..])
        .copied()
        .collect();
    let run = Run::new("tsrecv")
        .args(["--timed", "--pid", "0x101"])
        .args([&file])
        .run();
    let kept: Vec<u8> = run
        .stdout
        .chunks(192)
        .flat_map(|p| &p[4..])
        .copied()
        .collect();
    assert_same_packets(&kept, &expected);
    let spans = |packets: Vec<u32>| -> Vec<u32> {
        packets
            .windows(2)
            .map(|w| w[1].wrapping_sub(w[0]) & 0x3FFF_FFFF)
            .collect()
    };
    assert_eq!(
        spans(run.stdout.chunks(192).map(header).collect()),
        spans(
            packets
                .iter()
                .filter(|p| sound(p))
                .map(|p| header(p))
                .collect()
        )
    );
    let none = Run::new("tsrecv")
        .args(["--timed"])
        .args([folder.join("ait.ts")])
        .run();
    none.expect(0, &["pace_without_clock"]);
}

/// 2000 packets of a stream without PCRs: 3 008 000 bits.
#[test]
fn a_file_without_clock_is_played_at_the_rate_that_is_given_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("in.ts"), folder.path().join("out.ts"));
    let packet = [&[0x47, 0x01, 0x00, 0x10][..], &[0xAA; 184]].concat();
    let bytes: Vec<u8> = (0..2000u16)
        .flat_map(|n| {
            let mut packet = packet.clone();
            packet[3] |= (n % 16) as u8;
            packet
        })
        .collect();
    std::fs::write(&file, &bytes).unwrap();
    let wanted: [&[&str]; 2] = [&["--loop"], &[]];
    for (options, to) in wanted
        .iter()
        .zip([out.to_str().unwrap(), "udp://127.0.0.1:9"])
    {
        let run = Run::new("tsrecv").args(*options).args([&file]).args([to]);
        run.run().expect(
            3,
            &[
                "has no clock: no two PCRs in its first 2000 packets",
                "hint: --cbr RATE plays it at that rate",
            ],
        );
        assert!(!out.exists());
    }
    let begun = Instant::now();
    let run = Run::new("tsrecv")
        .args(["--cbr", "2M", "--pace"])
        .args([&file, &out])
        .run();
    run.expect(0, &[]);
    // 1.504 s at 2 Mb/s, less the last packet.
    assert!(begun.elapsed() > Duration::from_millis(1450));
    assert!(std::fs::read(&out).unwrap() == bytes);
}

#[test]
fn what_holds_no_packet_is_no_transport_stream_and_what_is_empty_is_empty() {
    let run = |bytes: Vec<u8>| Run::new("tsrecv").args(["-"]).stdin(bytes).run();
    let junk = run((0..50_000u32)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 16 & 0x3F3F).to_be_bytes())
        .collect());
    junk.expect(
        3,
        &[
            "'-' is no transport stream: no packet in 200000 bytes",
            "hint:",
        ],
    );
    run(Vec::new()).expect(0, &[]);
    let one = headend::ts::Packet::NULL.as_bytes().to_vec();
    assert_eq!(run(one.clone()).expect(0, &[]).stdout, one);
    let program = Run::new("tsrecv").args(["exec:echo hello"]).run();
    program.expect(
        3,
        &["'exec:echo hello' is no transport stream: no packet in 6 bytes"],
    );
    let silent = Run::new("tsrecv").args(["exec:true"]).run();
    silent.expect(0, &[]);
}

#[test]
fn what_is_asked_for_wrongly_is_told_with_what_to_type() {
    let run = |args: &[&str]| Run::new("tsrecv").args(args).run();
    let twice = run(&["-i", "a.ts", "b.ts"]);
    twice.expect(
        2,
        &[
            "INPUT is named twice: 'a.ts'",
            "hint: '-o b.ts' makes it the OUTPUT",
        ],
    );
    let twice = run(&["a.ts", "b.ts", "-o", "c.ts"]);
    twice.expect(
        2,
        &[
            "OUTPUT is named twice: 'c.ts'",
            "hint: leave one of them out",
        ],
    );
    let speed = run(&["--speed", "2", "udp://239.0.0.1:5"]);
    speed.expect(2, &["--speed plays a file", "hint: --pace"]);
    let unknown = run(&["--nope", "x"]).expect(2, &["unexpected argument '--nope'"]);
    assert!(!unknown.stderr.contains("as a value"), "{}", unknown.stderr);
    let near = run(&["--qeue", "1s"]);
    near.expect(2, &["hint: did you mean '--queue'?"]);
    let near = Run::new("tsring").args(["recrod"]).run();
    near.expect(2, &["hint: did you mean 'read' or 'record'?"]);
}

/// Every line on stderr is an object, whatever is wrong, and counters are its fields.
#[test]
fn lines_for_programs_are_json_and_nothing_else() {
    let lines = |args: &[&str], status| -> Vec<serde_json::Value> {
        let ran = Run::new("tsrecv").args(args).stdin([0x47; 1880]).run();
        assert_eq!(ran.status, status, "{}", ran.stderr);
        let objects = ran.stderr.lines().map(serde_json::from_str);
        objects
            .collect::<Result<_, _>>()
            .unwrap_or_else(|e| panic!("{e}: {}", ran.stderr))
    };
    for form in [&["--log-format", "json"][..], &["--log-format=json"]] {
        let said = lines(&[form, &["--nope"]].concat(), 2);
        assert!(said.len() >= 2 && said[0]["level"] == "error", "{said:?}");
        let said = lines(&[form, &["--stats", "1h"]].concat(), 0);
        assert_eq!(said.len(), 1);
        assert_eq!(
            (
                &said[0]["message"],
                &said[0]["in_packets"],
                &said[0]["out_bytes"]
            ),
            (&"statistics".into(), &10.into(), &1880.into())
        );
    }
}

/// A pseudo-terminal in raw mode stands in for the card of an ASI input or output.
#[test]
fn a_character_device_is_an_input_and_an_output() {
    let Some(capture) = captures().into_iter().next() else {
        return;
    };
    let expected = packets_of(&capture);
    let pty = || {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut raw = nix::sys::termios::tcgetattr(&pty.slave).unwrap();
        nix::sys::termios::cfmakeraw(&mut raw);
        nix::sys::termios::tcsetattr(&pty.slave, nix::sys::termios::SetArg::TCSANOW, &raw).unwrap();
        let path = fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).unwrap();
        (File::from(pty.master), pty.slave, path)
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.ts");
    let (mut master, _slave, device) = pty();
    let mut reader = Running::spawn(command("tsrecv").arg(&device).arg(&out));
    master.write_all(&expected).unwrap();
    wait_for("the packets", || {
        fs::metadata(&out).is_ok_and(|m| m.len() >= expected.len() as u64)
    });
    reader.signal(Signal::SIGTERM);
    assert_eq!(reader.wait(), 0);
    assert_same_packets(&fs::read(&out).unwrap(), &expected);

    let (mut master, _slave, device) = pty();
    let mut writer = Running::spawn(command("tsrecv").arg(&capture).arg(&device));
    let mut written = vec![0; expected.len()];
    master.read_exact(&mut written).unwrap();
    assert_eq!(writer.wait(), 0);
    assert_same_packets(&written, &expected);
}

#[test]
fn a_fifo_connects_two_programs() {
    let Some(capture) = captures().into_iter().next() else {
        return;
    };
    let expected = packets_of(&capture);
    let folder = tempfile::tempdir().unwrap();
    let (fifo, out) = (folder.path().join("fifo"), folder.path().join("out.ts"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut reader = Running::spawn(command("tsrecv").arg(&fifo).arg(&out));
    let ran = Run::new("tsrecv").args([&capture, &fifo]).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(reader.wait(), 0);
    assert_same_packets(&fs::read(&out).unwrap(), &expected);
}

#[test]
fn datagrams_do_not_carry_arrival_times() {
    let ran = Run::new("tsrecv")
        .args(["--timed", "-o", "udp://127.0.0.1:5"])
        .run();
    ran.expect(2, &["cannot use 'udp://127.0.0.1:5'", "leave --timed out"]);
}

/// Captures with bytes changed, dropped and doubled, through every machine of the tool:
/// `HEADEND_MUTATIONS` packets of them, 100 000 where it says nothing.
#[test]
fn no_damage_ends_a_machine() {
    let wanted = std::env::var("HEADEND_MUTATIONS")
        .ok()
        .and_then(|n| n.parse().ok());
    let wanted: u64 = wanted.unwrap_or(100_000);
    let options = PlayoutOptions {
        speed_permille: 1000,
        rate: Some(BitRate::new(8_000_000)),
        live: true,
    };
    let captures: Vec<Vec<u8>> = captures().iter().map(|c| fs::read(c).unwrap()).collect();
    let (mut seed, mut done) = (0x9E37_79B9_7F4A_7C15u64, 0u64);
    let mut random = move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    while done < wanted && !captures.is_empty() {
        for capture in &captures {
            let mut bytes = capture.clone();
            for _ in 0..1 + bytes.len() / 400 {
                let at = random() as usize % bytes.len();
                match random() % 16 {
                    // headers are where damage hurts
                    0..8 => {
                        let near = at / 188 * 188 + random() as usize % 20;
                        let last = bytes.len() - 1;
                        bytes[near.min(last)] = random() as u8;
                    }
                    8..15 => bytes[at] ^= 1 << (random() % 8),
                    _ => drop(bytes.drain(at..bytes.len().min(at + random() as usize % 300))),
                }
            }
            let (mut framer, mut seam) = (Framer::new(), Seam::new());
            let (mut playout, mut reorder) = (
                Playout::new(options),
                Reorder::new(Ticks27M::from_millis(50)),
            );
            let mut batch = Batch::with_capacity(64);
            for (n, piece) in bytes.chunks(1316).enumerate() {
                let at = Arrival::from_ticks(n as i64 * 27_000);
                if let Some((header, payload)) = RtpHeader::read(piece) {
                    reorder.push(&header, &piece[payload], at);
                }
                let mut rest = piece;
                while !rest.is_empty() {
                    rest = &rest[framer.push(rest, at, &mut batch)..];
                    done += batch.len() as u64;
                    for packet in batch.packets_mut() {
                        seam.push(packet);
                        playout.push(packet, at);
                        playout.take(&mut |_, _| {});
                    }
                    batch.clear();
                }
            }
            framer.finish(Arrival::default(), &mut batch);
        }
    }
    eprintln!("{done} damaged packets");
}

#[test]
fn an_input_is_never_its_own_output() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.ts");
    let bytes = headend::ts::Packet::bytes_of(&[headend::ts::Packet::NULL; 20]).to_vec();
    std::fs::write(&file, &bytes).unwrap();
    let ran = Run::new("tsrecv").args([&file, &file]).run();
    ran.expect(2, &["is both input and output", "hint:"]);
    let ran = Run::new("tscut")
        .args([file.as_os_str(), "-o".as_ref(), file.as_os_str()])
        .run();
    ran.expect(2, &["is both source and output", "hint:"]);
    assert_eq!(
        std::fs::read(&file).unwrap(),
        bytes,
        "the input is as it was"
    );
}
