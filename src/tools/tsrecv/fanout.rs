//! One reception into many outputs: a sink that sorts packets into routes.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::desk::{Desk, Figures, RoutesEvent};
use super::outgoing::{How, Outgoing, Ways};
use super::routes::Wanted;
use super::{DRAIN, TURN};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{Endpoint, EndpointError, OutputEvent, OwnedEvent, Sending, SendingEvent, Sink};
use crate::route::{Order, OrderId, Route, Router};
use crate::stream::event::Event;
use crate::stream::{Batch, Counters, Framing, Pending, Snapshot};

/// How often figures are brought up to date.
const UPDATE: Duration = Duration::from_millis(500);
/// How often events are gathered, and outputs looked after.
const GATHER: Duration = Duration::from_millis(50);
/// Events of routes that wait to be told at most.
pub(super) const MOST_EVENTS: usize = 2048;

/// Sorts packets into the outputs of routes, and all of them into a main output if there is one.
pub(super) struct Fanout {
    router: Router,
    how: How,
    desk: Desk,
    main: Option<Outgoing>,
    /// By slot of the router.
    routes: Vec<Option<Outgoing>>,
    /// No longer wanted: they send what they have.
    closing: Vec<Outgoing>,
    /// Orders by their outputs, which tell one from another.
    known: BTreeMap<String, (OrderId, Wanted)>,
    next: u32,
    framing: Option<Framing>,
    events: Pending<OwnedEvent>,
    updated: Option<Instant>,
    keeps_back: bool,
    /// Why an output failed.
    failed: Option<EndpointError>,
    gathered: Option<Instant>,
    /// How often other routes were taken.
    reloads: u64,
}

/// An event of a route with the output that it is about, where there is one.
fn about(event: &dyn Event, output: String) -> OwnedEvent {
    match output.is_empty() {
        true => event.into(),
        false => OwnedEvent::from(event).led_by("output", output.as_str()),
    }
}

impl Fanout {
    pub(super) fn new(wanted: Vec<Wanted>, main: Option<&Endpoint>, how: How, desk: Desk) -> Self {
        let mut fanout = Self {
            router: Router::new(how.by_arrival),
            main: main.map(|endpoint| Outgoing::open(endpoint, &how)),
            how,
            desk,
            routes: Vec::new(),
            closing: Vec::new(),
            known: BTreeMap::new(),
            next: 0,
            framing: None,
            events: Pending::with_room(MOST_EVENTS),
            updated: None,
            keeps_back: false,
            failed: None,
            gathered: None,
            reloads: 0,
        };
        fanout.set_orders(wanted);
        fanout
    }

    /// Makes the routes those that are wanted; counts those that are as they were.
    fn set_orders(&mut self, wanted: Vec<Wanted>) -> RoutesEvent {
        let mut old = std::mem::take(&mut self.known);
        let (mut kept, mut changed, mut added) = (0, 0, 0);
        for wanted in wanted {
            let key = wanted.output.to_string();
            let id = match old.remove(&key) {
                Some((id, same)) if same == wanted => {
                    kept += 1;
                    id
                }
                Some((id, _)) => {
                    changed += 1;
                    id
                }
                None => {
                    added += 1;
                    self.next += 1;
                    OrderId(self.next)
                }
            };
            self.known.insert(key, (id, wanted));
        }
        let removed = old.len() as u64;
        let orders: Vec<(OrderId, Order)> = self
            .known
            .values()
            .map(|(id, wanted)| (*id, wanted.order.clone()))
            .collect();
        let at = SystemClock.now();
        let Self {
            router,
            routes,
            known,
            how,
            framing,
            ..
        } = self;
        let mut ways = Ways {
            routes,
            known,
            how,
            framing: *framing,
        };
        router.set_orders(orders, &mut |route, packet| ways.put(route, packet, at));
        let stay: Vec<Route> = router.routes().map(|status| status.route).collect();
        for (slot, place) in routes.iter_mut().enumerate() {
            if !stay.iter().any(|route| route.slot == slot)
                && let Some(mut outgoing) = place.take()
            {
                outgoing.close();
                self.closing.push(outgoing);
            }
        }
        let mut ways = Ways {
            routes,
            known,
            how,
            framing: *framing,
        };
        for route in stay {
            ways.open(route);
        }
        RoutesEvent::Reloaded {
            kept,
            changed,
            added,
            removed,
        }
    }

    /// What came up since the last turn: other routes, outputs that have ended.
    ///
    /// # Errors
    /// When there is nobody left to send to.
    fn turn(&mut self) -> Result<(), EndpointError> {
        if let Some(wanted) = self.desk.take_new() {
            self.gather_events();
            let event = self.set_orders(wanted);
            self.reloads += 1;
            self.tell(&event, String::new());
        }
        if self.gathered.is_some_and(|then| then.elapsed() < GATHER) {
            return Ok(());
        }
        self.gathered = Some(Instant::now());
        self.gather_events();
        let (over, closing) = std::mem::take(&mut self.closing)
            .into_iter()
            .partition(Outgoing::is_over);
        self.closing = closing;
        let over: Vec<Outgoing> = over;
        for mut outgoing in over {
            // What failed of a route that is not wanted any more was said.
            outgoing.sending.iter_mut().for_each(|s| drop(s.join()));
        }
        if self.updated.is_none_or(|then| then.elapsed() >= UPDATE) {
            self.update();
        }
        let open = self.all().filter(|outgoing| outgoing.sending.is_some());
        let over: Vec<bool> = open.map(|outgoing| outgoing.is_over()).collect();
        if !over.is_empty() && over.iter().all(|over| *over) {
            self.end();
            return self.failed.take().map_or(Ok(()), Err);
        }
        Ok(())
    }

    fn tell(&mut self, event: &dyn Event, output: String) {
        self.events.push(about(event, output));
    }

    fn gather_events(&mut self) {
        let mut told = Vec::new();
        let routes = &self.routes;
        self.router.drain_events(&mut |event| {
            let slot = event.route().map(|n| n - 1);
            let outgoing = slot.and_then(|slot| routes.get(slot)?.as_ref());
            let output = outgoing.map_or_else(String::new, |o| o.name.clone());
            told.push(about(event, output));
        });
        let all = self.routes.iter_mut().flatten().chain(&mut self.main);
        for outgoing in all.chain(&mut self.closing) {
            let name = outgoing.name.clone();
            if let Some(reason) = outgoing.fault.take() {
                let again_in = None;
                let event: &dyn Event = &SendingEvent::Failed { reason, again_in };
                told.push(about(event, name.clone()));
            }
            let Some(sending) = &mut outgoing.sending else {
                continue;
            };
            sending.drain_events(&mut |event| {
                told.push(about(event, name.clone()));
            });
        }
        told.into_iter().for_each(|event| self.events.push(event));
    }

    fn update(&mut self) {
        self.updated = Some(Instant::now());
        let figures = self.router.routes().map(|status| {
            let slot = status.route.slot;
            let outgoing = self.routes.get(slot).and_then(Option::as_ref);
            let sending = outgoing.and_then(|o| o.sending.as_ref());
            let mut counted = Snapshot::default();
            self.router.route_counters(slot, &mut counted);
            match (sending, outgoing) {
                (Some(sending), _) => sending.counters(&mut counted),
                (None, Some(outgoing)) => counted.set("unsent_packets", outgoing.refused),
                (None, None) => {}
            }
            Figures {
                number: slot + 1,
                output: outgoing.map_or_else(String::new, |o| o.name.clone()),
                service: status.service.map(|id| id.0),
                name: status.name.unwrap_or_default().to_owned(),
                on: status.on,
                open: sending.is_some_and(Sending::is_open),
                counted,
            }
        });
        self.desk.post_figures(figures.collect());
    }

    /// Hands on what is in line everywhere.
    fn hand_on(&mut self, all: bool) {
        self.keeps_back = false;
        for outgoing in self.routes.iter_mut().flatten().chain(&mut self.main) {
            self.keeps_back |= !outgoing.hand_on(&self.how, all);
        }
    }

    /// Waits for the outputs to end: for as long as they take, or for a while once the end was
    /// asked for.
    fn wait(&mut self) {
        let mut asked = None::<Instant>;
        let mut told = Instant::now();
        loop {
            let mut all = self.routes.iter().flatten().chain(&self.main);
            if all.all(Outgoing::is_over) && self.closing.iter().all(Outgoing::is_over) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
            if told.elapsed() > TURN {
                told = Instant::now();
                self.gather_events();
            }
            if self.how.give_up.load(Ordering::Relaxed) {
                let since = asked.get_or_insert_with(Instant::now).elapsed();
                for outgoing in self.all() {
                    outgoing.stop.store(true, Ordering::Relaxed);
                }
                // Readers have their 2 s from here.
                if since > DRAIN + DRAIN / 4 {
                    return;
                }
            }
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Outgoing> {
        let routes = self.routes.iter_mut().flatten();
        routes.chain(&mut self.main).chain(&mut self.closing)
    }

    fn end(&mut self) {
        let mut failed = self.failed.take();
        let mut left = Vec::new();
        for outgoing in self.all() {
            let Some(sending) = &mut outgoing.sending else {
                continue;
            };
            if !sending.is_over() {
                let packets = sending.waiting();
                left.push((outgoing.name.clone(), packets));
            } else if let Err(e) = sending.join() {
                failed.get_or_insert(e);
            }
        }
        self.failed = failed;
        for (name, packets) in left {
            self.tell(&OutputEvent::GivenUp { packets }, name);
        }
    }
}

impl Sink for Fanout {
    fn send(&mut self, batch: &Batch) -> Result<(), EndpointError> {
        self.turn()?;
        let Self {
            router,
            routes,
            known,
            how,
            framing,
            main,
            ..
        } = self;
        let mut ways = Ways {
            routes,
            known,
            how,
            framing: *framing,
        };
        for (at, packets) in batch.runs() {
            for packet in packets {
                router.push(packet, at, &mut |route, packet| ways.put(route, packet, at));
                if let Some(main) = main {
                    main.put(packet, at, how);
                }
            }
        }
        self.hand_on(false);
        Ok(())
    }

    fn set_framing(&mut self, framing: Framing) {
        self.framing = Some(framing);
        for outgoing in self.all() {
            if let Some(sending) = &outgoing.sending {
                sending.set_framing(framing);
            }
        }
    }

    fn keeps_back(&self) -> bool {
        self.keeps_back
    }

    fn flush(&mut self) -> Result<(), EndpointError> {
        self.turn()?;
        self.router.idle(SystemClock.now());
        self.hand_on(true);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), EndpointError> {
        self.router.finish(SystemClock.now());
        self.hand_on(true);
        self.all().for_each(Outgoing::close);
        self.wait();
        self.gather_events();
        self.update();
        self.end();
        let unserved = self.router.unserved();
        let unserved = unserved.map(|(_, order)| order.selection.to_string());
        self.desk.post_unserved(unserved.collect());
        match self.failed.take() {
            Some(e) if !self.how.stop.load(Ordering::Relaxed) => Err(e),
            _ => Ok(()),
        }
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
    }

    fn counters(&self, out: &mut dyn Counters) {
        self.router.counters(out);
        out.set("reloads_total", self.reloads);
        if let Some(sending) = self.main.as_ref().and_then(|main| main.sending.as_ref()) {
            sending.counters(out);
        }
    }
}
