//! `tsrecv` on real sockets, in a network that each test makes for itself.

use std::fs;
use std::io::Read as _;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use headend::stream::RtpHeader;
use headend::ts::{ContinuityCounter, Packet, Pid};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::harness::{
    LIMIT, Running, assert_same_packets, command, ffmpeg_stream, in_own_network, judge, output_of,
    wait_for,
};

/// Five seconds of picture and sound at 2 Mb/s.
fn stream() -> PathBuf {
    ffmpeg_stream(
        "five-seconds",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=5 \
         -f lavfi -i sine=frequency=440:duration=5 \
         -c:v libx264 -preset ultrafast -g 25 -bf 0 -c:a mp2 -muxrate 2M",
    )
}

/// A running `tsrecv` from `input` into a file, whose events and counters can be read.
struct Receiver {
    running: Running,
    folder: tempfile::TempDir,
}

impl Receiver {
    fn start(input: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let mut tsrecv = command("tsrecv");
        tsrecv
            .args(options)
            .args(["--log-format", "json", "--stats-json"])
            .arg(file("stats"))
            .args(["-i", input, "-o"])
            .arg(file("out.ts"))
            .stderr(fs::File::create(file("log")).unwrap());
        let running = Running::spawn(&mut tsrecv);
        let receiver = Self { running, folder };
        // The counters are there in the first turn of the loop: the socket is open.
        wait_for("the receiver", || receiver.path("stats").exists());
        receiver
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn received(&self) -> u64 {
        fs::metadata(self.path("out.ts")).map_or(0, |m| m.len())
    }

    /// Waits for so many bytes, ends the receiver, gives its output.
    #[track_caller]
    fn finish(&mut self, bytes: u64) -> Vec<u8> {
        wait_for("the packets", || self.received() >= bytes);
        self.stop()
    }

    #[track_caller]
    fn stop(&mut self) -> Vec<u8> {
        self.running.signal(Signal::SIGTERM);
        assert_eq!(self.running.wait(), 0, "{}", self.log());
        fs::read(self.path("out.ts")).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn counter(&self, key: &str) -> u64 {
        let text = fs::read_to_string(self.path("stats")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value[key]
            .as_u64()
            .unwrap_or_else(|| panic!("no {key} in {text}"))
    }
}

/// Plays a file to the end.
#[track_caller]
fn play(file: &Path, output: &str, options: &[&str]) {
    let mut tsrecv = command("tsrecv");
    tsrecv.arg(file).arg(output).args(options);
    assert_eq!(Running::spawn(&mut tsrecv).wait(), 0);
}

fn ip(words: &str) {
    output_of(
        "ip",
        &words.split(' ').map(AsRef::as_ref).collect::<Vec<_>>(),
    );
}

#[test]
fn what_is_sent_arrives_byte_for_byte_in_udp_and_in_rtp() {
    in_own_network(
        "multicast::what_is_sent_arrives_byte_for_byte_in_udp_and_in_rtp",
        || {
            let file = stream();
            let bytes = fs::read(&file).unwrap();
            for output in [
                "udp://239.1.1.1:5000",
                "rtp://239.1.1.1:5000",
                "rtp://239.1.1.1:5000?pkts=1",
            ] {
                // RTP is found by itself
                let mut receiver = Receiver::start("udp://@239.1.1.1:5000", &[]);
                play(&file, output, &["--speed", "20"]);
                assert_same_packets(&receiver.finish(bytes.len() as u64), &bytes);
                assert_eq!(receiver.counter("kernel_drops_datagrams"), 0);
            }
            let mut receiver = Receiver::start("127.0.0.1:5001", &[]);
            play(&file, "udp://127.0.0.1:5001?pkts=3", &["--speed", "20"]);
            assert_same_packets(&receiver.finish(bytes.len() as u64), &bytes);
        },
    );
}

#[test]
fn groups_that_share_a_port_do_not_mix() {
    in_own_network("multicast::groups_that_share_a_port_do_not_mix", || {
        let file = stream();
        let bytes = fs::read(&file).unwrap();
        let mut one = Receiver::start("udp://239.1.1.1:5000", &[]);
        let mut same = Receiver::start("udp://239.1.1.1:5000", &[]);
        let mut other = Receiver::start("udp://239.1.1.2:5000", &[]);
        play(&file, "udp://239.1.1.1:5000", &["--speed", "20"]);
        let nulls = vec![*Packet::NULL.as_bytes(); 7].concat();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&nulls, "239.1.1.2:5000").unwrap();
        assert_same_packets(&other.finish(nulls.len() as u64), &nulls);
        assert_same_packets(&one.finish(bytes.len() as u64), &bytes);
        assert_same_packets(&same.finish(bytes.len() as u64), &bytes);
    });
}

#[test]
fn a_source_isolates_and_without_one_a_second_sender_is_told() {
    in_own_network(
        "multicast::a_source_isolates_and_without_one_a_second_sender_is_told",
        || {
            ip("addr add 10.9.0.1/32 dev lo");
            ip("addr add 10.9.0.2/32 dev lo");
            let file = stream();
            let bytes = fs::read(&file).unwrap();
            let mut ours = Receiver::start("udp://10.9.0.1@232.1.1.1:5000?iface=lo", &[]);
            let mut any = Receiver::start("udp://lo@232.1.1.1:5000", &[]);
            let nulls = vec![*Packet::NULL.as_bytes(); 7].concat();
            let foreign = UdpSocket::bind("10.9.0.2:0").unwrap();
            foreign.send_to(&nulls, "232.1.1.1:5000").unwrap();
            play(
                &file,
                "udp://232.1.1.1:5000?iface=10.9.0.1",
                &["--speed", "20"],
            );
            assert_same_packets(&ours.finish(bytes.len() as u64), &bytes);
            let both = any.finish((bytes.len() + nulls.len()) as u64);
            assert_eq!(both.len(), bytes.len() + nulls.len());
            assert!(any.log().contains("source_changed"), "{}", any.log());
        },
    );
}

#[test]
fn ipv6_groups_are_joined_by_name_and_by_address() {
    in_own_network(
        "multicast::ipv6_groups_are_joined_by_name_and_by_address",
        || {
            // the kernel takes no IPv6 multicast over lo
            ip("link add v0 type veth peer name v1");
            ip("link set v0 up");
            ip("link set v1 up");
            ip("-6 addr add 2001:db8::1/64 dev v0 nodad");
            let file = stream();
            let bytes = fs::read(&file).unwrap();
            let mut name = Receiver::start("udp://[ff15::1%v0]:5000", &[]);
            let mut address =
                Receiver::start("udp://[2001:db8::1]@[ff15::1]:5000?iface=2001:db8::1", &[]);
            play(&file, "rtp://[ff15::1]:5000?iface=v0", &["--speed", "20"]);
            assert_same_packets(&name.finish(bytes.len() as u64), &bytes);
            assert_same_packets(&address.finish(bytes.len() as u64), &bytes);
        },
    );
}

#[test]
fn a_clamped_receive_buffer_is_told_with_the_remedy() {
    in_own_network(
        "multicast::a_clamped_receive_buffer_is_told_with_the_remedy",
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

#[test]
fn a_stalled_reader_costs_packets_that_are_counted_and_reception_goes_on() {
    in_own_network(
        "multicast::a_stalled_reader_costs_packets_that_are_counted_and_reception_goes_on",
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
        "multicast::the_counters_of_a_report_are_of_one_moment",
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
        "multicast::a_live_packet_does_not_wait_for_others_on_its_way_to_a_pipe",
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
        "multicast::what_the_kernel_loses_is_counted_by_itself",
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
        "multicast::datagrams_that_the_kernel_hands_over_as_one_are_taken_apart",
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
fn rtp_is_put_in_order_and_its_losses_are_counted() {
    in_own_network(
        "multicast::rtp_is_put_in_order_and_its_losses_are_counted",
        || {
            let mut receiver = Receiver::start("udp://127.0.0.1:5000", &["--reorder", "200ms"]);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let pid = Pid::new(0x100).unwrap();
            let packet = |n: u16| Packet::new(pid, ContinuityCounter::new(n as u8 % 16).unwrap());
            // over the wrap of 16 bits: the first and two more overtaken, one twice, one lost
            let order = [1u16, 0, 3, 2, 4, 4, 5, 7, 8, 9, 6, 10, 12, 13, 14, 15];
            for n in order {
                // a sender report and a source description, one compound (RFC 3550 §6.1)
                let report = [
                    &[0x80, 200, 0, 6][..],
                    &[7; 24],
                    &[0x81, 202, 0, 1, 0, 0, 0, 7],
                ];
                socket.send_to(&report.concat(), "127.0.0.1:5000").unwrap();
                let header = RtpHeader {
                    sequence: n.wrapping_sub(5),
                    timestamp: 0,
                    ssrc: 7,
                    marker: false,
                };
                let datagram = [&header.write()[..], packet(n).as_bytes()].concat();
                socket.send_to(&datagram, "127.0.0.1:5000").unwrap();
            }
            let expected: Vec<u8> = (0..16)
                .filter(|n| *n != 11)
                .flat_map(|n| *packet(n).as_bytes())
                .collect();
            assert_same_packets(&receiver.finish(expected.len() as u64), &expected);
            assert_eq!(receiver.counter("rtp_lost_datagrams"), 1);
            assert_eq!(receiver.counter("rtp_duplicate_datagrams"), 1);
            assert_eq!(receiver.counter("rtcp_datagrams"), 16);
            assert_eq!(receiver.counter("sync_losses_total"), 0);
            assert!(receiver.log().contains("rtp_lost"), "{}", receiver.log());
        },
    );
}

#[test]
fn repeated_datagrams_without_a_number_are_dropped_where_asked() {
    in_own_network(
        "multicast::repeated_datagrams_without_a_number_are_dropped_where_asked",
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
        "multicast::a_stream_cut_anywhere_and_datagrams_of_other_sizes_are_found_packets_in",
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
        "multicast::silence_is_told_and_after_its_timeout_an_error",
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

#[test]
fn a_relay_passes_a_group_on_in_whole_datagrams() {
    in_own_network(
        "multicast::a_relay_passes_a_group_on_in_whole_datagrams",
        || {
            let file = stream();
            let bytes = fs::read(&file).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let stats = folder.path().join("stats");
            let mut relay = command("tsrecv");
            relay
                .args([
                    "udp://239.1.1.1:5000",
                    "rtp://239.1.1.2:5000",
                    "--stats-json",
                ])
                .arg(&stats);
            let mut relay = Running::spawn(&mut relay);
            wait_for("the relay", || stats.exists());
            let mut receiver = Receiver::start("udp://239.1.1.2:5000", &[]);
            play(&file, "udp://239.1.1.1:5000", &["--speed", "4"]);
            assert_same_packets(&receiver.finish(bytes.len() as u64), &bytes);
            let datagrams = receiver.counter("in_datagrams");
            assert!(datagrams <= bytes.len() as u64 / 1316 + 2, "{datagrams}");
            relay.signal(Signal::SIGTERM);
            assert_eq!(relay.wait(), 0);
        },
    );
}

#[test]
fn multicat_hears_us_and_we_hear_multicat() {
    in_own_network("multicast::multicat_hears_us_and_we_hear_multicat", || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in.ts");
        // multicat writes whole blocks of seven packets
        let bytes = fs::read(stream()).unwrap();
        let bytes = &bytes[..bytes.len() / 1316 * 1316];
        fs::write(&file, bytes).unwrap();
        for ours in ["udp", "rtp"] {
            let out = folder.path().join("multicat.ts");
            let mut multicat = Command::new("multicat");
            if ours == "udp" {
                multicat.arg("-u"); // without it multicat expects RTP
            }
            multicat
                .arg("@239.1.1.1:5000")
                .arg(&out)
                .stderr(Stdio::null());
            let multicat = Running::spawn(&mut multicat);
            wait_for("multicat to join", || {
                fs::read_to_string("/proc/net/igmp")
                    .unwrap()
                    .contains("010101EF")
            });
            play(
                &file,
                &format!("{ours}://239.1.1.1:5000"),
                &["--speed", "4"],
            );
            wait_for("multicat's packets", || {
                fs::metadata(&out).map_or(0, |m| m.len()) >= bytes.len() as u64
            });
            drop(multicat);
            assert_same_packets(&fs::read(&out).unwrap(), bytes);
            fs::remove_file(&out).unwrap();
        }
        // a recording of multicat's needs its side file; -U sends without RTP
        for plain in [true, false] {
            let mut receiver = Receiver::start("@239.1.1.3:5000", &[]);
            let mut multicat = Command::new("multicat");
            if plain {
                multicat.arg("-U");
            }
            let aux: Vec<u8> = (0..bytes.len() / 1316)
                .flat_map(|n| (n as u64 * 27_000).to_be_bytes())
                .collect();
            fs::write(folder.path().join("in.aux"), aux).unwrap();
            multicat
                .arg("-u")
                .arg(&file)
                .arg("239.1.1.3:5000")
                .stderr(Stdio::null());
            Running::spawn(&mut multicat).wait();
            assert_same_packets(&receiver.finish(bytes.len() as u64), bytes);
        }
    });
}

/// RFC 2250 §2: the time stamp is the clock at the first byte. At 2 Mb/s a packet takes
/// 188 x 8 / 2 000 000 s = 67.68 ticks of 90 kHz.
#[test]
fn rtp_time_stamps_are_the_streams_own_clock() {
    in_own_network(
        "multicast::rtp_time_stamps_are_the_streams_own_clock",
        || {
            let socket = UdpSocket::bind("127.0.0.1:5000").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let mut tsrecv = command("tsrecv");
            tsrecv.arg(stream()).arg("rtp://127.0.0.1:5000?ssrc=77");
            let mut sender = Running::spawn(&mut tsrecv);
            let mut datagram = [0; 2000];
            let (mut last, mut clocks) = (None::<RtpHeader>, 0);
            for _ in 0..400 {
                let n = socket.recv(&mut datagram).unwrap();
                let (header, payload) = RtpHeader::read(&datagram[..n]).unwrap();
                assert_eq!((datagram[1], header.ssrc), (33, 77));
                if let Some(last) = last {
                    assert_eq!(header.sequence, last.sequence.wrapping_add(1));
                    assert!(header.timestamp.wrapping_sub(last.timestamp) < 2000);
                }
                last = Some(header);
                let (packets, _) = Packet::slice_of(&datagram[payload]);
                for (place, packet) in packets.iter().enumerate() {
                    if let Some(pcr) = packet.pcr() {
                        let ahead = (pcr.base() as u32).wrapping_sub(header.timestamp);
                        let error = f64::from(ahead) - place as f64 * 67.68;
                        assert!(error.abs() <= 2.0, "{place}: {ahead} ticks ahead");
                        clocks += 1;
                    }
                }
            }
            assert!(clocks > 50);
            assert_eq!(sender.wait(), 0);
        },
    );
}

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
        "multicast::a_file_is_played_at_its_own_speed_and_the_errors_of_departure_are_counted",
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
