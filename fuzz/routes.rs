//! Routing of any tables, by any orders.

use std::collections::BTreeMap;
use std::hint::black_box;

use headend::route::{Order, OrderId, PidMap, Router, SiMode};
use headend::stream::event::Event;
use headend::stream::{SectionAssembler, SectionPacketizer};
use headend::ts::{ContinuityCounter, Packet, Pid, Section, SectionBuf};
use headend::units::{Arrival, Ticks27M};

use super::lossy;
use super::tables::{sealed, sealed_short};

/// An order by four bytes and a text; none where the PIDs cannot be mapped so.
fn order(choice: [u8; 4], text: &[u8]) -> Option<Order> {
    let [si, drop_ca, from, to] = choice;
    let pid = |n: u8| Pid::from_field(0x18 + u16::from(n));
    Some(Order {
        selection: lossy(text).parse().ok()?,
        si: [SiMode::None, SiMode::Own, SiMode::All][usize::from(si % 3)],
        pids: PidMap::new([(pid(from), pid(to)), (pid(to), pid(from))]).unwrap_or_default(),
        drop_ca: drop_ca % 2 == 1,
    })
}

/// Routes tables of any content behind right CRC_32s, and packets of any PID, by orders that
/// change: records of a length, a choice, a time, and the section or the order. What is written
/// anew must be whole, and in order.
pub fn route(data: &[u8]) {
    let [by_arrival, rest @ ..] = data else {
        return;
    };
    let mut router = Router::new(by_arrival % 2 == 0);
    let mut orders: BTreeMap<u32, Order> = BTreeMap::new();
    let mut written: BTreeMap<usize, Vec<Packet>> = BTreeMap::new();
    let mut packetizers: Vec<_> = [0x00, 0x11, 0x12, 0x14, 0x20, 0x21, 0x30, 0x31]
        .map(|pid| SectionPacketizer::new(Pid::from_field(pid)))
        .into();
    let (mut rest, mut at) = (rest, Arrival::from_ticks(0));
    while let [length, choice, pause, tail @ ..] = rest {
        let (record, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        at += Ticks27M::from_millis(i64::from(*pause));
        let out = &mut |route: headend::route::Route, packet: &Packet| {
            let packets = written.entry(route.slot).or_default();
            if packets.len() < 4096 {
                packets.push(*packet);
            }
        };
        let n = usize::from(choice & 0x0F);
        match (choice >> 5, record) {
            (0, [a, b, c, d, text @ ..]) => {
                if let Some(order) = order([*a, *b, *c, *d], text) {
                    orders.insert(n as u32, order);
                }
                let all = orders.iter().map(|(id, o)| (OrderId(*id), o.clone()));
                router.set_orders(all.collect(), out);
            }
            (1, _) => {
                orders.remove(&(n as u32));
                let all = orders.iter().map(|(id, o)| (OrderId(*id), o.clone()));
                router.set_orders(all.collect(), out);
            }
            (2, _) => {
                let pid = Pid::from_field(0x18 + u16::from(*choice & 0x1F));
                let mut packet = Packet::new(pid, ContinuityCounter::wrapping(*pause));
                packet.fill_payload(record);
                router.push(&packet, at, out);
            }
            (3, packets) => super::packets(packets).for_each(|p| router.push(&p, at, out)),
            (kind, _) => {
                let section = match kind {
                    4 => sealed_short(record)
                        .and_then(|b| Section::unchecked_crc(&b).ok().map(SectionBuf::from)),
                    _ => sealed(record),
                };
                let n = n % packetizers.len();
                packetizers[n].push(&section, |packet| router.push(packet, at, out));
            }
        }
        router.drain_events(&mut |event| {
            event.fields(&mut |_, value| {
                black_box(value);
            });
            black_box((event.name(), event.severity(), event.subject().to_string()));
        });
    }
    router.finish(at);
    black_box((router.unserved().count(), router.routes().count()));
    for packets in written.values() {
        let mut pat = SectionAssembler::new(Pid::PAT);
        let pats = packets.iter().filter(|p| p.pid() == Pid::PAT);
        pats.for_each(|packet| {
            pat.push(packet, |section| {
                assert!(Section::new(section.unwrap_or_default()).is_ok());
            });
        });
    }
}
