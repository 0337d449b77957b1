//! How evenly `tsring play` sends to a socket.

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use headend::ts::Packet;

use crate::harness::{Run, Running, command, in_own_network, wait_for};
use crate::tsring::{numbers, stream};

/// Nanoseconds that a packet takes at 5 Mb/s: 188 * 8 bits at 5 b/us.
const PACKET_NS: i64 = 300_800;

/// 5 s at 5 Mb/s, filed by their clock: each datagram is due so long after the first as its first
/// packet stands behind the first of all.
#[test]
fn datagrams_leave_when_they_were_received() {
    in_own_network(
        "tsring_play::datagrams_leave_when_they_were_received",
        || {
            let folder = tempfile::tempdir().unwrap();
            let ring = folder.path().join("ring").display().to_string();
            let bytes = stream(0, 16_625);
            let at = "2026-11-20T00:00:00Z";
            Run::new("tsring")
                .args(["record", &ring, "--clock", "pcr", "--at", at])
                .stdin(&bytes[..])
                .run()
                .quiet_success();
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let output = format!("udp://{}", socket.local_addr().unwrap());
            let stats = folder.path().join("stats");
            let mut player = command("tsring");
            player.args(["play", &ring, "--from", at, "-o", &output]);
            player.arg("--stats-json").arg(&stats);
            let mut player = Running::spawn(&mut player);
            let (mut received, mut arrivals) = (Vec::new(), Vec::new());
            let mut datagram = [0; 2048];
            let start = Instant::now();
            while received.len() < bytes.len() {
                let size = socket.recv(&mut datagram).unwrap();
                let first = numbers(&datagram[..size])[0];
                let due = i64::from(first) * PACKET_NS;
                let came = i64::try_from(start.elapsed().as_nanos()).unwrap();
                arrivals.push(came - due);
                received.extend_from_slice(&datagram[..size]);
            }
            assert!(received == bytes);
            assert_eq!(player.wait(), 0);
            // What is late is late against the earliest: a packet that left too early shows too.
            let earliest = *arrivals.iter().min().unwrap();
            let mut late: Vec<i64> = arrivals.iter().map(|a| (a - earliest) / 1000).collect();
            late.sort_unstable();
            let at = |percent: usize| late[(late.len() - 1) * percent / 100];
            wait_for("statistics", || stats.exists());
            let own: serde_json::Value =
                serde_json::from_slice(&fs::read(&stats).unwrap()).unwrap();
            eprintln!(
                "late by p50 {} us, p99 {} us, most {} us; by its own account p50 {} us, most {} us",
                at(50),
                at(99),
                at(100),
                own["departure_error_p50_us"],
                own["departure_error_max_us"],
            );
            assert!(at(50) <= 5_000, "p50 {} us", at(50));
            // Seven packets a datagram, of 2.1 ms.
            assert_eq!(arrivals.len(), Packet::slice_of(&bytes).0.len() / 7);
        },
    );
}
