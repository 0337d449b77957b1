//! Sends one file to many multicast groups at a constant rate: the other end of the benchmarks.
//!
//! `sender FILE BASE COUNT RATE SECONDS`: to groups BASE, BASE + 1, ... (an IPv4 address with its
//! port), each RATE for SECONDS, one datagram of seven packets at a time, evenly. Prints one JSON
//! object: packets sent to each group, and how late the latest datagram left.

#![allow(clippy::print_stdout, reason = "its answer")]

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Context, bail};
use headend::io::clock::{Clock, SystemClock};
use headend::io::{Endpoint, OutputOptions, Sink, open_output};
use headend::stream::Batch;
use headend::ts::Packet;
use headend::units::{BitRate, Ticks27M};

/// Packets of a datagram.
const PACKETS: usize = 7;
/// How often it wakes up at most.
const TICK: Ticks27M = Ticks27M::MILLISECOND;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, base, count, rate, seconds] = args.as_slice() else {
        bail!("usage: sender FILE BASE COUNT RATE SECONDS");
    };
    let bytes = std::fs::read(file).with_context(|| format!("cannot read '{file}'"))?;
    let (packets, _) = Packet::slice_of(&bytes);
    let base: SocketAddrV4 = base.parse()?;
    let count: u32 = count.parse()?;
    let rate: BitRate = rate.parse()?;
    let length = Ticks27M::from(Duration::from_secs(seconds.parse()?));

    let mut sinks = Vec::new();
    for n in 0..count {
        let group = std::net::Ipv4Addr::from(u32::from(*base.ip()) + n);
        let endpoint: Endpoint = format!("udp://{group}:{}?iface=lo", base.port()).parse()?;
        sinks.push(open_output(&endpoint, &OutputOptions::default())?);
    }
    let (sent, latest) = send(packets, &mut sinks, rate, length)?;
    println!(
        "{{\"packets\":{sent},\"groups\":{count},\"latest_us\":{}}}",
        latest.get() / 27
    );
    Ok(())
}

/// Sends to every sink what its time has come for; the groups take turns within a datagram's
/// time, so that they do not all come at once.
fn send(
    packets: &[Packet],
    sinks: &mut [Box<dyn Sink>],
    rate: BitRate,
    length: Ticks27M,
) -> anyhow::Result<(u64, Ticks27M)> {
    let datagrams: Vec<&[Packet]> = packets.chunks_exact(PACKETS).collect();
    if datagrams.is_empty() {
        bail!("the file holds no datagram");
    }
    let size = (PACKETS * headend::ts::PACKET_SIZE) as u64;
    let total = rate.bytes_in(length) / size;
    let spacing = rate.span_of(size);
    let clock = SystemClock;
    let start = clock.now() + Ticks27M::MILLISECOND * 10;
    let groups = sinks.len() as u64;
    let mut batch = Batch::with_capacity(PACKETS);
    let (mut next, mut latest) = (0u64, Ticks27M::ZERO);
    let due = |n: u64| {
        let (turn, group) = (n / groups, n % groups);
        start + rate.span_of(turn * size) + spacing * group as i64 / groups as i64
    };
    while next < total * groups {
        let now = clock.now();
        while next < total * groups && due(next) <= now {
            latest = latest.max(now - due(next));
            let (turn, group) = (next / groups, next % groups);
            batch.clear();
            batch.extend(datagrams[turn as usize % datagrams.len()], now);
            sinks[group as usize].send(&batch)?;
            next += 1;
        }
        clock.sleep_until(now + TICK);
    }
    Ok((total * PACKETS as u64, latest))
}
