//! All routes of one input.

use std::collections::BTreeMap;

use super::event::RouteEvent;
use super::lane::Lane;
use super::order::{Order, OrderId, Selection};
use crate::si::{Eit, ServiceId};
use crate::stream::{Counters, ProgramEvent, Programs, SectionAssembler};
use crate::ts::{Packet, Pid, Section, SectionBuf};
use crate::units::{Arrival, Ticks27M};

/// Routes at a time, at most.
pub const MOST_ROUTES: usize = 512;
/// Events that wait to be asked for, at most: some for each route.
const MOST_EVENTS: usize = 4 * MOST_ROUTES;
/// How often tables are looked at whose service sends nothing.
const SWEEP: Ticks27M = Ticks27M::from_millis(10);

/// Which route a packet is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its place, which it keeps and no other ever gets; events say this plus one.
    pub slot: usize,
    /// Whose it is.
    pub order: OrderId,
    /// Of [`Selection::Every`]: the service that it was made for.
    pub only: Option<ServiceId>,
}

/// How a route is.
#[derive(Copy, Clone, Debug)]
pub struct Status<'a> {
    /// Which.
    pub route: Route,
    /// The service that is on it, or was last.
    pub service: Option<ServiceId>,
    /// Its service_name.
    pub name: Option<&'a str>,
    /// The service is there.
    pub on: bool,
}

/// Where packets go.
pub type Out<'o> = &'o mut dyn FnMut(Route, &Packet);

/// A way of a PID into a route.
#[derive(Copy, Clone, Debug)]
struct Way {
    slot: usize,
    place: usize,
}

/// What of the tables has changed.
#[derive(Debug, Default)]
struct Changed {
    all: bool,
    services: Vec<ServiceId>,
}

/// Sorts the packets of a transport stream into routes.
///
/// ```
/// use headend::route::{Order, OrderId, PidMap, Router, Selection, SiMode};
/// use headend::ts::Packet;
/// use headend::units::Arrival;
/// let order = Order {
///     selection: Selection::Every,
///     si: SiMode::Own,
///     pids: PidMap::default(),
///     drop_ca: false,
/// };
/// let mut router = Router::new(true);
/// router.set_orders(vec![(OrderId(0), order)], &mut |_, _| {});
/// router.push(&Packet::NULL, Arrival::from_ticks(0), &mut |route, _| {
///     unreachable!("{route:?} carries no null packets");
/// });
/// ```
#[derive(Debug)]
pub struct Router {
    by_arrival: bool,
    programs: Programs,
    eit: SectionAssembler,
    /// The CRC_32s of the SDT that the routes know.
    sdt: Vec<[u8; 4]>,
    orders: BTreeMap<OrderId, Order>,
    lanes: Vec<Option<Lane>>,
    /// For each PID the place of its ways plus one; 0 where it has none.
    places: Box<[u16; Pid::COUNT]>,
    ways: Vec<Vec<Way>>,
    swept: Option<Arrival>,
    events: Vec<RouteEvent>,
    unsaid: u64,
}

impl Router {
    /// A router without orders. `by_arrival`: arrivals tell the time that passes; else the PCRs
    /// of each service do, for an input that comes as fast as it is read.
    pub fn new(by_arrival: bool) -> Self {
        Self {
            by_arrival,
            programs: Programs::new(),
            eit: SectionAssembler::new(Pid::EIT),
            sdt: Vec::new(),
            orders: BTreeMap::new(),
            lanes: Vec::new(),
            places: vec![0; Pid::COUNT]
                .try_into()
                .unwrap_or_else(|_| Box::new([0; Pid::COUNT])),
            ways: Vec::new(),
            swept: None,
            events: Vec::new(),
            unsaid: 0,
        }
    }

    /// Replaces the orders. A route whose order is the same goes on as if nothing had been said;
    /// one whose order is another keeps its slot, its counters and the versions of its tables.
    pub fn set_orders(&mut self, orders: Vec<(OrderId, Order)>, out: Out<'_>) {
        self.orders = orders.into_iter().collect();
        for place in &mut self.lanes {
            let order = place
                .as_ref()
                .and_then(|lane| self.orders.get(&lane.route.order));
            match (place.as_mut(), order) {
                (Some(lane), Some(order)) => {
                    let every = order.selection == Selection::Every;
                    if every == lane.route.only.is_some() {
                        lane.order.clone_from(order);
                    } else {
                        *place = None;
                    }
                }
                _ => *place = None,
            }
        }
        let single = self
            .orders
            .iter()
            .filter(|o| o.1.selection != Selection::Every);
        for (id, order) in single {
            if !self
                .lanes
                .iter()
                .flatten()
                .any(|lane| lane.route.order == *id)
            {
                let route = Route {
                    slot: self.lanes.len(),
                    order: *id,
                    only: None,
                };
                self.lanes
                    .push(Some(Lane::new(route, order.clone(), self.by_arrival)));
            }
        }
        let all = Changed {
            all: true,
            services: Vec::new(),
        };
        self.settle(&all, out);
        self.aim();
    }

    /// Takes a packet that came at `at`.
    #[inline]
    pub fn push(&mut self, packet: &Packet, at: Arrival, out: Out<'_>) {
        if self
            .swept
            .is_none_or(|swept| at - swept >= SWEEP || at < swept)
        {
            self.sweep(at, &mut *out);
        }
        let pid = packet.pid();
        if self.programs.pids().contains(pid) {
            self.take_table(packet, &mut *out);
        }
        let place = usize::from(self.places[pid.index()]);
        let Some(ways) = place.checked_sub(1).and_then(|n| self.ways.get(n)) else {
            return;
        };
        for way in ways {
            let Some(Some(lane)) = self.lanes.get_mut(way.slot) else {
                continue;
            };
            if self.by_arrival {
                lane.clock.arrive(at);
            }
            lane.carry(packet, way.place, self.by_arrival, &mut *out);
        }
    }

    /// Nothing came up to `at`: says what is waited for. Tables pause with their input.
    pub fn idle(&mut self, at: Arrival) {
        for lane in self.lanes.iter_mut().flatten() {
            lane.wait(at, false, &mut say(&mut self.events, &mut self.unsaid));
        }
    }

    /// The input has ended: says what was never there.
    pub fn finish(&mut self, at: Arrival) {
        for lane in self.lanes.iter_mut().flatten() {
            lane.wait(at, true, &mut say(&mut self.events, &mut self.unsaid));
        }
    }

    /// Orders whose services were never there.
    pub fn unserved(&self) -> impl Iterator<Item = (OrderId, &Order)> {
        let served = |id: OrderId| {
            let mut lanes = self.lanes.iter().flatten();
            lanes.any(|lane| lane.route.order == id && !lane.never_began())
        };
        let orders = self.orders.iter().filter(move |(id, _)| !served(**id));
        orders.map(|(id, order)| (*id, order))
    }

    /// The time goes on for all, also for those whose service sends nothing.
    fn sweep(&mut self, at: Arrival, out: Out<'_>) {
        self.swept = Some(at);
        for lane in self.lanes.iter_mut().flatten() {
            if self.by_arrival {
                lane.clock.arrive(at);
                lane.send_tables(&mut *out);
            }
            lane.wait(at, false, &mut say(&mut self.events, &mut self.unsaid));
        }
    }

    /// A packet of a table of the input.
    fn take_table(&mut self, packet: &Packet, out: Out<'_>) {
        let pid = packet.pid();
        let mut changed = Changed::default();
        let (events, unsaid) = (&mut self.events, &mut self.unsaid);
        if pid == Pid::EIT {
            let say = &mut say(events, unsaid);
            guide(&mut self.eit, packet, &mut self.lanes, say);
        }
        self.programs.push(packet, &mut |event| match event {
            ProgramEvent::PatChanged { .. } | ProgramEvent::ServiceNamed { .. } => {
                changed.all = true;
            }
            ProgramEvent::PmtChanged { service, .. } => changed.services.push(service),
            ProgramEvent::Damaged { .. }
            | ProgramEvent::SectionLost(_)
            | ProgramEvent::TooMany { .. } => say(events, unsaid)(RouteEvent::Tables(event)),
            ProgramEvent::PresentChanged { .. }
            | ProgramEvent::FollowingChanged { .. }
            | ProgramEvent::Splice { .. } => {}
        });
        if pid == Pid::SDT {
            let sections = self.programs.sdt_sections();
            let ends = sections.filter_map(|s| s.as_bytes().last_chunk::<4>().copied());
            let sdt: Vec<_> = ends.collect();
            changed.all |= sdt != self.sdt;
            self.sdt = sdt;
        }
        self.settle(&changed, &mut *out);
        if packet.payload_unit_start() {
            for lane in self.lanes.iter_mut().flatten() {
                match pid {
                    Pid::PAT => lane.pat_passes(),
                    pid => lane.pmt_passes(pid),
                }
                lane.send_tables(&mut *out);
            }
        }
    }

    /// Makes the routes what the tables say.
    fn settle(&mut self, changed: &Changed, out: Out<'_>) {
        let touched = changed.all || !changed.services.is_empty();
        if !touched || self.programs.transport_stream_id().is_none() {
            return;
        }
        self.open_each();
        for lane in self.lanes.iter_mut().flatten() {
            let is_of = |id: &ServiceId| lane.may_be(*id, &self.programs);
            if changed.all || changed.services.iter().any(is_of) {
                lane.settle(&self.programs, &mut say(&mut self.events, &mut self.unsaid));
                lane.send_tables(&mut *out);
            }
        }
        self.aim();
    }

    /// Makes a route of each service, for the orders that want that.
    fn open_each(&mut self) {
        for (id, order) in &self.orders {
            if order.selection != Selection::Every {
                continue;
            }
            for service in self.programs.services().filter(|s| s.pmt_version.is_some()) {
                let only = Some(service.id);
                let mut lanes = self.lanes.iter().flatten();
                if lanes.any(|l| l.route.order == *id && l.route.only == only) {
                    continue;
                }
                if self.lanes.iter().flatten().count() >= MOST_ROUTES {
                    let service = service.id;
                    say(&mut self.events, &mut self.unsaid)(RouteEvent::TooMany { service });
                    continue;
                }
                let route = Route {
                    slot: self.lanes.len(),
                    order: *id,
                    only,
                };
                self.lanes
                    .push(Some(Lane::new(route, order.clone(), self.by_arrival)));
            }
        }
    }

    /// Finds the ways of each PID anew.
    fn aim(&mut self) {
        self.places.fill(0);
        self.ways.clear();
        for lane in self.lanes.iter().flatten() {
            for (pid, place) in lane.takes() {
                let way = Way {
                    slot: lane.route.slot,
                    place: *place,
                };
                let n = &mut self.places[pid.index()];
                if *n == 0 {
                    self.ways.push(Vec::new());
                    *n = self.ways.len() as u16; // PIDs are 8192 at most
                }
                if let Some(ways) = self.ways.get_mut(usize::from(*n) - 1) {
                    ways.push(way);
                }
            }
        }
    }

    /// How each route is, in the order in which they were made.
    pub fn routes(&self) -> impl Iterator<Item = Status<'_>> {
        self.lanes.iter().flatten().map(Lane::status)
    }

    /// What was counted of a route.
    pub fn route_counters(&self, slot: usize, out: &mut dyn Counters) {
        if let Some(Some(lane)) = self.lanes.get(slot) {
            lane.counters(out);
        }
    }

    /// What was counted of all.
    pub fn counters(&self, out: &mut dyn Counters) {
        let lanes = self.lanes.iter().flatten();
        out.set("routes_total", lanes.clone().count() as u64);
        let on = lanes.filter(|lane| lane.is_on()).count();
        out.set("routes_on_total", on as u64);
        out.set("route_events_unsaid_total", self.unsaid);
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&RouteEvent)) {
        self.events.drain(..).for_each(|event| sink(&event));
    }
}

/// Keeps an event while there is room, and counts it where there is none.
fn say<'a>(events: &'a mut Vec<RouteEvent>, unsaid: &'a mut u64) -> impl FnMut(RouteEvent) + 'a {
    |event| match events.len() < MOST_EVENTS {
        true => events.push(event),
        false => *unsaid += 1,
    }
}

/// Gives the sections of the EIT to the routes of their services.
fn guide(
    assembler: &mut SectionAssembler,
    packet: &Packet,
    lanes: &mut [Option<Lane>],
    say: &mut dyn FnMut(RouteEvent),
) {
    assembler.push(packet, |section| {
        // What is lost is said by who follows the present event.
        let Ok(bytes @ [0x4E | 0x50..=0x5F, _, _, high, low, ..]) = section else {
            return;
        };
        let service = Some(ServiceId(u16::from_be_bytes([*high, *low])));
        let lanes = lanes.iter_mut().flatten();
        for lane in lanes.filter(|lane| lane.is_on() && lane.service == service) {
            let whole = Section::new(bytes).ok();
            let applies = |s: &Section<'_>| Eit::new(*s).is_some_and(|e| e.syntax().current);
            match whole.filter(applies) {
                Some(section) => lane.take_event(&SectionBuf::from(section), say),
                None if whole.is_none() => lane.counts.damaged += 1,
                None => {}
            }
        }
    });
}
