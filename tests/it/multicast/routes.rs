//! Services routed to groups of their own.

use std::fs;
use std::net::UdpSocket;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headend::ts::Packet;
use nix::sys::signal::Signal;

use super::Receiver;
use crate::harness::{Running, command, in_own_network, wait_for};
use crate::routes::mux::{Mux, Service};
use crate::routes::{of, plain};

/// Sends packets at their pace, seven a datagram, to a group.
fn send(packets: &[Packet], from: Instant, to: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (n, datagram) in packets.chunks(7).enumerate() {
        // 8 Mb/s are 1 316 µs a datagram.
        let due = from + Duration::from_micros(1_316) * n as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        socket.send_to(Packet::bytes_of(datagram), to).unwrap();
    }
}

/// A running `tsrecv` that routes.
struct Routing {
    running: Running,
    folder: tempfile::TempDir,
}

impl Routing {
    fn start(input: &str, routes: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("routes.yaml"), routes).unwrap();
        let mut tsrecv = command("tsrecv");
        tsrecv
            .args(["-i", input, "--routes"])
            .arg(path("routes.yaml"))
            .arg("--stats-json")
            .arg(path("stats"))
            .args(options)
            .stderr(Stdio::from(fs::File::create(path("log")).unwrap()));
        let running = Running::spawn(&mut tsrecv);
        let routing = Self { running, folder };
        wait_for("the router", || {
            routing.folder.path().join("stats").exists()
        });
        routing
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The counters, which are written each second.
    fn stats(&self) -> serde_json::Value {
        let stats = fs::read(self.folder.path().join("stats")).unwrap();
        serde_json::from_slice(&stats).unwrap()
    }

    fn reload(&mut self, routes: &str) {
        let done = self.stats()["reloads_total"].as_u64();
        fs::write(self.folder.path().join("routes.yaml"), routes).unwrap();
        self.running.signal(Signal::SIGHUP);
        wait_for("the reload", || {
            self.stats()["reloads_total"].as_u64() > done
        });
    }

    fn stop(&mut self) -> serde_json::Value {
        self.running.signal(Signal::SIGTERM);
        assert_eq!(self.running.wait(), 0, "{}", self.log());
        self.stats()
    }
}

fn packets(bytes: &[u8]) -> Vec<Packet> {
    Packet::slice_of(bytes).0.to_vec()
}

#[test]
fn services_of_one_group_go_each_to_a_group_of_their_own() {
    in_own_network(
        "multicast::routes::services_of_one_group_go_each_to_a_group_of_their_own",
        || {
            let routes = "routes:
  - {service: Eins, output: \"udp://239.2.0.1:5000\"}
  - {service: \"*\", output: \"rtp://239.3.{sid_high}.{sid_low}:5000\"}
  - {service: 2, output: \"udp://10.99.0.1:5000?iface=nowhere0\"}
";
            let mut routing = Routing::start("udp://239.1.1.1:5000", routes, &[]);
            let mut one = Receiver::start("udp://239.2.0.1:5000", &[]);
            let mut two = Receiver::start("udp://239.3.0.2:5000", &[]);
            let input = plain(&Mux::two().run(4_000));
            send(&input, Instant::now(), "239.1.1.1:5000");
            let pids = [0x111, 0x112, 0x300];
            let came = of(&input, &pids);
            let bytes = (came.len() as u64 - 100) * 188;
            wait_for("the packets", || {
                one.received() >= bytes && two.received() >= bytes
            });
            let stats = routing.stop();
            let (one, two) = (packets(&one.stop()), packets(&two.stop()));
            let sent = of(&one, &pids);
            assert!(
                came.ends_with(&sent) && came.len() - sent.len() < 250,
                "{}",
                sent.len()
            );
            let pids = [0x201, 0x202, 0x300, 0x2EC];
            assert!(of(&input, &pids).ends_with(&of(&two, &pids)));
            // The interface that is not there is said, and tried again.
            let log = routing.log();
            assert!(
                log.contains("output_failed") && log.contains("no interface nowhere0"),
                "{log}"
            );
            assert_eq!(stats["kernel_drops_datagrams"], 0);
            assert_eq!(stats["queue_dropped_packets"], 0);
            let sent = stats["route_1_out_packets"].as_u64().unwrap();
            assert_eq!(sent, one.len() as u64);
        },
    );
}

/// Sixteen services on a hundred routes, half of them others after each of fifteen reloads.
#[test]
fn reloads_of_a_hundred_routes_cost_those_that_stay_no_packet() {
    in_own_network(
        "multicast::routes::reloads_of_a_hundred_routes_cost_those_that_stay_no_packet",
        || {
            let services = (0..16u16).map(|n| {
                let (id, base) = (n + 1, 0x100 + n * 0x10);
                Service::new(id, "S", base, &[base + 1, base + 2])
            });
            let mut mux = Mux::new(services.collect());
            let file = |turn: usize| {
                let route = |n: usize| {
                    let moves = n % 2 == 1;
                    let service = 1 + (n + turn * usize::from(moves)) % 16;
                    let absent = moves && (n + turn).is_multiple_of(5);
                    let line =
                        format!("  - {{service: {service}, output: \"udp://239.5.0.{n}:5000\"}}\n");
                    if absent { String::new() } else { line }
                };
                format!("routes:\n{}", (0..100).map(route).collect::<String>())
            };
            let mut routing = Routing::start("udp://239.1.1.1:5000", &file(0), &[]);
            // Two of those that stay, and one that moves.
            let mut stay: Vec<Receiver> = [0, 98]
                .map(|n| Receiver::start(&format!("udp://239.5.0.{n}:5000"), &[]))
                .into();
            let done = Arc::new(AtomicBool::new(false));
            let sender = std::thread::spawn({
                let done = Arc::clone(&done);
                move || {
                    let (mut input, from) = (Vec::new(), Instant::now());
                    while !done.load(Ordering::Relaxed) {
                        let run = plain(&mux.run(100));
                        let passed = Duration::from_micros(188) * input.len() as u32;
                        send(&run, from + passed, "239.1.1.1:5000");
                        input.extend(run);
                    }
                    input
                }
            });
            for turn in 1..=15 {
                routing.reload(&file(turn));
            }
            done.store(true, Ordering::Relaxed);
            let input = sender.join().unwrap();
            let last = [(1u16, 0usize), (3, 1)];
            for (service, at) in last {
                let base = 0x100 + (service - 1) * 0x10;
                let pids = [base + 1, base + 2];
                let came = of(&input, &pids);
                let bytes = (came.len() as u64 - 50) * 188;
                wait_for("the packets", || stay[at].received() >= bytes);
                let out = packets(&stay[at].stop());
                let sent = of(&out, &pids);
                assert!(came.ends_with(&sent), "service {service} lost packets");
                assert!(
                    came.len() - sent.len() < 50,
                    "{} {}",
                    came.len(),
                    sent.len()
                );
            }
            let stats = routing.stop();
            for key in ["kernel_drops_datagrams", "queue_dropped_packets"] {
                assert_eq!(stats[key], 0, "{key}");
            }
            assert_eq!(stats["reloads_total"], 15);
        },
    );
}
