//! FEC of SMPTE ST 2022-1, sent and received, over links that lose.

use std::fs;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Receiver, play, stream};
use crate::harness::{Random, Run, Running, assert_same_packets, in_own_network};

/// Passes what comes for the ports 6000, 6002 and 6004 on to 5000, 5002 and 5004, loses some of it,
/// and writes down all of it as `tests/judge/fec.py` reads it.
struct LossyLink {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    record: PathBuf,
}

impl LossyLink {
    fn open(folder: &Path, permille: usize, seed: u64) -> Self {
        let record = folder.join("record");
        let mut file = std::io::BufWriter::new(fs::File::create(&record).unwrap());
        let sockets = [6000, 6002, 6004].map(|port| {
            let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        });
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut random = Random::new(seed);
            let mut datagram = [0; 2000];
            loop {
                // Asked before the sockets: what was sent before it was set is passed on.
                let last = stopped.load(Ordering::Acquire);
                for (port, socket) in sockets.iter().enumerate() {
                    while let Ok(length) = socket.recv(&mut datagram) {
                        let lost = random.below(1000) < permille;
                        let head = [
                            port as u8,
                            u8::from(lost),
                            (length >> 8) as u8,
                            length as u8,
                        ];
                        file.write_all(&head).unwrap();
                        file.write_all(&datagram[..length]).unwrap();
                        if !lost {
                            let to = ("127.0.0.1", 5000 + 2 * port as u16);
                            // Refused where nobody listens.
                            let _ = socket.send_to(&datagram[..length], to);
                        }
                    }
                }
                if last {
                    break;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
            file.flush().unwrap();
        });
        Self {
            stop,
            thread,
            record,
        }
    }

    /// Ends the link; gives what can be had of what it passed on, and how much of it is recovered,
    /// by the judge's computation.
    fn close(self) -> (Vec<u8>, u64) {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap();
        let out = self.record.with_extension("ts");
        let said = judge(&["recover".as_ref(), &self.record, &out]);
        (fs::read(out).unwrap(), said.trim().parse().unwrap())
    }
}

#[track_caller]
fn judge(words: &[&Path]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/fec.py");
    let output = Command::new("python3")
        .arg(script)
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}{complained}");
    said
}

/// Datagrams that were recovered and did not come after all: between two ports, and two processors,
/// FEC can overtake the last of its media, which is then not lost.
fn lost_and_recovered(receiver: &Receiver) -> u64 {
    receiver.counter("fec_recovered_datagrams") - receiver.counter("fec_needless_datagrams")
}

/// The receiver has what the judge says that can be had, and tells how.
#[track_caller]
fn assert_all_is_there(mut receiver: Receiver, link: LossyLink) {
    let (expected, recovered) = link.close();
    assert!(recovered > 5, "{recovered} to be recovered");
    assert_same_packets(&receiver.finish(expected.len() as u64), &expected);
    assert_eq!(lost_and_recovered(&receiver), recovered);
    assert_eq!(receiver.counter("fec_contradicting_datagrams"), 0);
    assert_eq!(receiver.counter("rtp_late_datagrams"), 0);
    let log = receiver.log();
    assert!(
        log.contains("fec_found") && log.contains("fec_recovered"),
        "{log}"
    );
}

/// On a loaded machine things take longer than the matrix.
const PATIENT: [&str; 2] = ["--reorder", "1s"];

#[test]
fn what_ffmpeg_protects_is_recovered_as_far_as_can_be() {
    in_own_network(
        "multicast::fec::what_ffmpeg_protects_is_recovered_as_far_as_can_be",
        || {
            let folder = tempfile::tempdir().unwrap();
            for (fec, permille) in [("prompeg=l=5:d=5", 30), ("prompeg=l=8:d=12", 100)] {
                let link = LossyLink::open(folder.path(), permille, 42);
                let receiver = Receiver::start("rtp://127.0.0.1:5000?fec=auto", &PATIENT);
                let mut ffmpeg = Command::new("ffmpeg");
                ffmpeg
                    .args(["-nostdin", "-loglevel", "error", "-re", "-i"])
                    .arg(stream())
                    .args(["-c", "copy", "-f", "rtp_mpegts", "-fec", fec])
                    .arg("rtp://127.0.0.1:6000")
                    .stdout(Stdio::null());
                assert_eq!(Running::spawn(&mut ffmpeg).wait(), 0);
                assert_all_is_there(receiver, link);
            }
        },
    );
}

#[test]
fn what_is_sent_is_what_the_clauses_say_and_is_recovered() {
    in_own_network(
        "multicast::fec::what_is_sent_is_what_the_clauses_say_and_is_recovered",
        || {
            let folder = tempfile::tempdir().unwrap();
            for (matrix, words, permille) in [
                ("5x10", &["5", "10"][..], 20),
                ("6x4+rows", &["6", "4", "rows"], 100),
            ] {
                let link = LossyLink::open(folder.path(), permille, 7);
                let receiver = Receiver::start("udp://127.0.0.1:5000?fec=auto", &PATIENT);
                play(
                    &stream(),
                    &format!("rtp://127.0.0.1:6000?fec={matrix}"),
                    &[],
                );
                assert_all_is_there(receiver, link);
                let record = folder.path().join("record");
                let mut all: Vec<&Path> = vec!["check".as_ref(), &record];
                all.extend(words.iter().map(Path::new));
                judge(&all);
            }
        },
    );
}

#[test]
fn a_group_is_joined_on_all_three_ports_and_a_wait_can_be_given() {
    in_own_network(
        "multicast::fec::a_group_is_joined_on_all_three_ports_and_a_wait_can_be_given",
        || {
            let file = stream();
            let bytes = fs::read(&file).unwrap();
            let mut one = Receiver::start("rtp://lo@239.1.1.1:5000?fec=auto", &[]);
            let mut other = Receiver::start("rtp://239.1.1.1:5000?fec=300ms", &[]);
            play(
                &file,
                "rtp://239.1.1.1:5000?iface=lo&fec=10x5+rows",
                &["--speed", "4"],
            );
            for receiver in [&mut one, &mut other] {
                assert_same_packets(&receiver.finish(bytes.len() as u64), &bytes);
                let datagrams = receiver.counter("in_datagrams");
                assert_eq!(
                    receiver.counter("fec_column_datagrams"),
                    datagrams / 50 * 10
                );
                assert_eq!(receiver.counter("fec_row_datagrams"), datagrams / 10);
                assert_eq!(lost_and_recovered(receiver), 0);
                assert_eq!(receiver.counter("fec_unrecoverable_datagrams"), 0);
                assert_eq!(receiver.counter("fec_foreign_datagrams"), 0);
                assert_eq!(receiver.counter("fec_matrix_columns"), 10);
                assert_eq!(receiver.counter("fec_matrix_rows"), 5);
            }
        },
    );
}

#[test]
fn fec_that_cannot_be_is_refused_with_what_to_write() {
    let file = stream();
    for (output, words) in [
        ("rtp://127.0.0.1:5000?fec=auto", "FEC is sent by fec=LxD"),
        ("udp://127.0.0.1:5000?fec=5x5", "write rtp://"),
        ("rtp://127.0.0.1:65532?fec=5x5", "ports + 2 and + 4"),
        ("rtp://127.0.0.1:5000?fec=5x21", "D of 4 to 20"),
    ] {
        let args = [file.as_os_str(), output.as_ref()];
        Run::new("tsrecv").args(args).run().expect(2, &[words]);
    }
    Run::new("tsrecv")
        .args(["rtp://127.0.0.1:65532?fec=auto"])
        .run()
        .expect(2, &["ports + 2 and + 4"]);
}
