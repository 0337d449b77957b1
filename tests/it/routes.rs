//! Services of a multiplex routed each to its own output: the machine in simulated time, then the
//! tool with files. Sockets are in `multicast::routes`.

mod files;
mod machine;
pub mod mux;

use std::collections::BTreeMap;

use headend::route::{Order, OrderId, PidMap, RouteEvent, Router, Selection, SiMode};
use headend::stream::SectionAssembler;
use headend::stream::event::Event as _;
use headend::ts::{Packet, Pid, Section};
use headend::units::Arrival;

/// An order for a service, its tables as they are.
fn order(selection: &str) -> Order {
    Order {
        selection: selection.parse::<Selection>().unwrap(),
        si: SiMode::Own,
        pids: PidMap::default(),
        drop_ca: false,
    }
}

/// A router at work, and what it wrote.
struct Bench {
    router: Router,
    out: BTreeMap<usize, Vec<Packet>>,
    events: Vec<RouteEvent>,
}

impl Bench {
    fn new(by_arrival: bool, orders: Vec<Order>) -> Self {
        let mut bench = Self {
            router: Router::new(by_arrival),
            out: BTreeMap::new(),
            events: Vec::new(),
        };
        bench.set(orders.into_iter().enumerate().collect());
        bench
    }

    fn set(&mut self, orders: Vec<(usize, Order)>) {
        let orders = orders
            .into_iter()
            .map(|(n, order)| (OrderId(n as u32), order));
        let out = &mut self.out;
        self.router
            .set_orders(orders.collect(), &mut |route, packet| {
                out.entry(route.slot).or_default().push(*packet);
            });
        self.hear();
    }

    fn push(&mut self, packets: &[(Packet, Arrival)]) {
        for (packet, at) in packets {
            let out = &mut self.out;
            self.router.push(packet, *at, &mut |route, packet| {
                out.entry(route.slot).or_default().push(*packet);
            });
        }
        self.hear();
    }

    fn hear(&mut self) {
        self.router
            .drain_events(&mut |event| self.events.push(event.clone()));
    }

    /// What a slot has written since the last call.
    fn take(&mut self, slot: usize) -> Vec<Packet> {
        self.out.remove(&slot).unwrap_or_default()
    }

    /// The names of events since the last call.
    fn said(&mut self) -> Vec<String> {
        let names = self.events.drain(..).map(|event| event.name().to_owned());
        names.collect()
    }
}

/// The packets of some PIDs.
pub fn of(packets: &[Packet], pids: &[u16]) -> Vec<Packet> {
    let wanted = |p: &&Packet| pids.contains(&p.pid().get());
    packets.iter().filter(wanted).copied().collect()
}

/// The packets of a run of the multiplex.
pub fn plain(run: &[(Packet, Arrival)]) -> Vec<Packet> {
    run.iter().map(|(packet, _)| *packet).collect()
}

/// The sections of a PID, their CRC_32 looked at.
fn sections(packets: &[Packet], pid: u16) -> Vec<Vec<u8>> {
    let mut assembler = SectionAssembler::new(Pid::new(pid).unwrap());
    let mut found = Vec::new();
    for packet in of(packets, &[pid]) {
        assembler.push(&packet, |section| {
            let section = section.unwrap();
            Section::new(section).unwrap();
            found.push(section.to_vec());
        });
    }
    found
}

/// Writes packets into a file for the judge.
fn written(packets: &[Packet]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), Packet::bytes_of(packets)).unwrap();
    file
}
