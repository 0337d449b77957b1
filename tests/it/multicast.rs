//! `tsrecv` on real sockets, in a network that each test makes for itself.

mod fec;
mod playout;
mod reception;
mod routes;
mod rtp;

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headend::ts::Packet;
use nix::sys::signal::Signal;

use crate::harness::{
    Running, assert_same_packets, command, ffmpeg_stream, in_own_network, output_of, wait_for,
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
