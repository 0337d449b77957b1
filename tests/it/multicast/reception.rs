//! Reception: what is lost, repeated, late or silent, and what is said of it.

use std::fs;
use std::io::Read as _;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::Duration;

use headend::ts::{ContinuityCounter, Packet, Pid};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::{Receiver, stream};
use crate::harness::{LIMIT, Running, assert_same_packets, command, in_own_network, wait_for};

#[test]
fn a_clamped_receive_buffer_is_told_with_the_remedy() {
    in_own_network(
        "multicast::reception::a_clamped_receive_buffer_is_told_with_the_remedy",
        || {
            let mut receiver = Receiver::start("udp://239.1.1.1:5000?rcvbuf=1GiB", &[]);
            let granted = receiver.counter("receive_buffer_bytes");
            receiver.stop();
            let log = receiver.log();
            assert!(
                log.contains("receive_buffer_clamped")
                    && log.contains("sysctl -w net.core.rmem_max=1073741824")
                    && log.contains(&granted.to_string()),
                "{granted}: {log}"
            );
            let mut small = Receiver::start("udp://239.1.1.1:5000?rcvbuf=100k", &[]);
            assert_eq!(small.counter("receive_buffer_bytes"), 100_000);
            small.stop();
            assert_eq!(small.log(), "");
        },
    );
}

/// Datagrams of 1000 bytes without regard to packets, one of which begins as RTCP does and is as long
/// as that would say.
#[test]
fn a_datagram_out_of_the_middle_of_packets_is_not_taken_for_rtcp() {
    in_own_network(
        "multicast::reception::a_datagram_out_of_the_middle_of_packets_is_not_taken_for_rtcp",
        || {
            let mut packets = vec![Packet::new(Pid::PAT, ContinuityCounter::default()); 500];
            for (n, packet) in packets.iter_mut().enumerate() {
                packet.as_bytes_mut()[180..].copy_from_slice(&n.to_be_bytes());
            }
            let mut bytes = Packet::bytes_of(&packets).to_vec();
            // 250 words of 32 bits, less one; byte 112 of a packet, within its payload
            bytes[5000..5004].copy_from_slice(&[0x80, 200, 0, 249]);
            let mut receiver = Receiver::start("udp://239.1.1.1:5000", &[]);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            for datagram in bytes.chunks(1000) {
                socket.send_to(datagram, "239.1.1.1:5000").unwrap();
            }
            assert_same_packets(&receiver.finish(bytes.len() as u64), &bytes);
            assert_eq!(receiver.counter("rtcp_datagrams"), 0);
        },
    );
}

#[test]
fn a_stalled_reader_costs_packets_that_are_counted_and_reception_goes_on() {
    in_own_network(
        "multicast::reception::a_stalled_reader_costs_packets_that_are_counted_and_reception_goes_on",
        || {
            let folder = tempfile::tempdir().unwrap();
            let (stats, log) = (folder.path().join("stats"), folder.path().join("log"));
            let mut tsrecv = command("tsrecv");
            tsrecv
                .args([
                    "udp://239.1.1.1:5000",
                    "--queue",
                    "10s,400k",
                    "--stats-json",
                ])
                .arg(&stats)
                .stdout(Stdio::piped())
                .stderr(fs::File::create(&log).unwrap());
            // nobody reads
            let mut running = Running::spawn(&mut tsrecv);
            let counter = |key: &str| {
                let text = fs::read_to_string(&stats).unwrap_or_default();
                let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                value[key].as_u64().unwrap_or(0)
            };
            wait_for("the receiver", || stats.exists());
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let nulls = vec![*Packet::NULL.as_bytes(); 7].concat();
            // the pipe takes 1 MiB, the queue 400 kB, a batch each side
            for n in 0..3000u32 {
                socket.send_to(&nulls, "239.1.1.1:5000").unwrap();
                if n % 20 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            wait_for("the last datagram", || counter("in_packets") == 21_000);
            assert!(counter("queue_dropped_packets") > 0);
            assert_eq!(counter("kernel_drops_datagrams"), 0);
            assert!(fs::read_to_string(&log).unwrap().contains("queue_overflow"));
            // the reader that stands still is given two seconds at the end
            running.signal(Signal::SIGTERM);
            assert_eq!(running.wait(), 0);
        },
    );
}

/// 700 packets a second for two seconds: in each report what came in has gone out, but for what
/// waits and for the packets of some milliseconds.
#[test]
fn the_counters_of_a_report_are_of_one_moment() {
    in_own_network(
        "multicast::reception::the_counters_of_a_report_are_of_one_moment",
        || {
            let mut receiver = Receiver::start("udp://127.0.0.1:5000", &[]);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let nulls = [*Packet::NULL.as_bytes(); 7].concat();
            let mut reports = std::collections::BTreeSet::new();
            while reports.len() < 4 {
                socket.send_to(&nulls, "127.0.0.1:5000").unwrap();
                std::thread::sleep(Duration::from_millis(10));
                let text = fs::read_to_string(receiver.path("stats")).unwrap();
                let seen: serde_json::Value = serde_json::from_str(&text).unwrap();
                let count = |key: &str| seen[key].as_u64().unwrap_or(0);
                if count("in_packets") > 0 {
                    let out = count("out_packets") + count("queue_packets");
                    reports.insert((count("in_packets"), out));
                }
            }
            assert!(
                reports
                    .iter()
                    .all(|(came, gone)| came.abs_diff(*gone) <= 35),
                "{reports:?}"
            );
            receiver.stop();
        },
    );
}

/// A datagram each 10 ms: the next is sent when the last stands in the pipe, and half of them at
/// least are there long before a turn of the loop (100 ms) is over.
#[test]
fn a_live_packet_does_not_wait_for_others_on_its_way_to_a_pipe() {
    in_own_network(
        "multicast::reception::a_live_packet_does_not_wait_for_others_on_its_way_to_a_pipe",
        || {
            let folder = tempfile::tempdir().unwrap();
            let stats = folder.path().join("stats");
            let mut tsrecv = command("tsrecv");
            tsrecv
                .args(["udp://127.0.0.1:5000", "--stats-json"])
                .arg(&stats);
            let mut running = Running::spawn(tsrecv.stdout(Stdio::piped()));
            let mut pipe = running.0.stdout.take().unwrap();
            wait_for("the receiver", || stats.exists());
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let nulls = [*Packet::NULL.as_bytes(); 7].concat();
            let mut took = Vec::new();
            for _ in 0..100 {
                let sent = std::time::Instant::now();
                socket.send_to(&nulls, "127.0.0.1:5000").unwrap();
                let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
                let limit = PollTimeout::try_from(LIMIT).unwrap();
                assert_eq!(poll(&mut ready, limit).unwrap(), 1, "the datagram waits");
                pipe.read_exact(&mut [0; 7 * 188]).unwrap();
                took.push(sent.elapsed());
                std::thread::sleep(Duration::from_millis(10));
            }
            took.sort();
            let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
            eprintln!("from socket to pipe: p50 {half:?}, p99 {most:?}");
            assert!(half <= Duration::from_millis(50), "{half:?}");
            running.signal(Signal::SIGTERM);
            assert_eq!(running.wait(), 0);
        },
    );
}

#[test]
fn what_the_kernel_loses_is_counted_by_itself() {
    in_own_network(
        "multicast::reception::what_the_kernel_loses_is_counted_by_itself",
        || {
            let mut receiver = Receiver::start("udp://127.0.0.1:5000?rcvbuf=100k", &[]);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let nulls = [*Packet::NULL.as_bytes(); 7].concat();
            receiver.running.signal(Signal::SIGSTOP);
            for _ in 0..1000 {
                socket.send_to(&nulls, "127.0.0.1:5000").unwrap();
            }
            receiver.running.signal(Signal::SIGCONT);
            // no datagram follows
            wait_for("the counter", || {
                receiver.counter("kernel_drops_datagrams") + receiver.counter("in_datagrams")
                    == 1000
            });
            receiver.stop();
            assert!(receiver.counter("kernel_drops_datagrams") > 0);
            assert!(
                receiver.log().contains("kernel_drops"),
                "{}",
                receiver.log()
            );
        },
    );
}

#[test]
fn datagrams_that_the_kernel_hands_over_as_one_are_taken_apart() {
    in_own_network(
        "multicast::reception::datagrams_that_the_kernel_hands_over_as_one_are_taken_apart",
        || {
            let bytes = fs::read(stream()).unwrap();
            let mut receiver = Receiver::start("udp://239.1.1.1:5000", &[]);
            let mut sender = command("tsrecv");
            // from a pipe at once: many datagrams a call, which loopback leaves together
            sender
                .args(["-", "udp://239.1.1.1:5000"])
                .stdin(fs::File::open(stream()).unwrap());
            assert_eq!(Running::spawn(&mut sender).wait(), 0);
            assert_same_packets(&receiver.finish(bytes.len() as u64), &bytes);
            assert!(receiver.counter("coalesced_datagrams") > 0);
        },
    );
}

#[test]
fn repeated_datagrams_without_a_number_are_dropped_where_asked() {
    in_own_network(
        "multicast::reception::repeated_datagrams_without_a_number_are_dropped_where_asked",
        || {
            let mut receiver = Receiver::start("udp://127.0.0.1:5000", &["--dedup"]);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let packet = |n| *Packet::new(Pid::PAT, ContinuityCounter::new(n).unwrap()).as_bytes();
            for n in [0, 0, 1, 0, 1, 2] {
                socket.send_to(&packet(n), "127.0.0.1:5000").unwrap();
            }
            let expected = [packet(0), packet(1), packet(2)].concat();
            assert_same_packets(&receiver.finish(3 * 188), &expected);
            assert_eq!(receiver.counter("repeated_datagrams"), 3);
        },
    );
}

#[test]
fn a_stream_cut_anywhere_and_datagrams_of_other_sizes_are_found_packets_in() {
    in_own_network(
        "multicast::reception::a_stream_cut_anywhere_and_datagrams_of_other_sizes_are_found_packets_in",
        || {
            let bytes = fs::read(stream()).unwrap();
            for size in [1000, 1472, 188, 1316, 5 * 188] {
                let mut receiver = Receiver::start("udp://127.0.0.1:5000", &[]);
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                for (n, datagram) in bytes[..188 * 2000].chunks(size).enumerate() {
                    socket.send_to(datagram, "127.0.0.1:5000").unwrap();
                    if n % 20 == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                let out = receiver.finish(188 * 2000);
                assert_same_packets(&out, &bytes[..188 * 2000]);
            }
        },
    );
}

#[test]
fn silence_is_told_and_after_its_timeout_an_error() {
    in_own_network(
        "multicast::reception::silence_is_told_and_after_its_timeout_an_error",
        || {
            let mut tsrecv = command("tsrecv");
            tsrecv
                .args(["udp://239.1.1.1:5000?timeout=300ms", "/dev/null"])
                .stderr(Stdio::piped());
            let output = tsrecv.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(3), "{said}");
            assert!(
                said.contains("'udp://239.1.1.1:5000?timeout=300ms' was silent for 300ms"),
                "{said}"
            );
            let mut receiver = Receiver::start("udp://239.1.1.1:5000", &[]);
            wait_for("the word", || receiver.log().contains("input_waiting"));
            receiver.stop();
        },
    );
}
