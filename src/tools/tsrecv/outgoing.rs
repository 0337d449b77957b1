//! The output of a route: what it is, how it is opened, how packets are handed to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::routes::{Output, Wanted};
use crate::io::clock::{Clock, SystemClock};
use crate::io::queue::Limits;
use crate::io::{Departure, Endpoint, OutputOptions, Sending};
use crate::route::{OrderId, Route};
use crate::stream::Framing;
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M};

/// Packets of a route that are worth waking its thread up: a datagram.
const WORTH_WAKING: usize = 7;
/// How long fewer may wait.
const LINGER: Ticks27M = Ticks27M::from_millis(4);
/// How long an input that waits is made to wait for an output that takes nothing.
const STALLED: Duration = Duration::from_secs(2);
/// How long after its arrival a datagram leaves: it holds what came within a few milliseconds.
const DELAY: Ticks27M = Ticks27M::from_millis(8);

/// How outputs are opened and served.
pub(super) struct How {
    /// Datagrams leave each at its time.
    pub(super) evenly: bool,
    pub(super) framing: Option<Framing>,
    pub(super) limits: Limits,
    /// The input waits by itself, and packets are not held until they are due: an output that is
    /// slow holds it up.
    pub(super) waits: bool,
    /// Arrivals tell how time passes in the stream.
    pub(super) by_arrival: bool,
    /// The end was asked for.
    pub(super) stop: Arc<AtomicBool>,
    /// There was time enough since.
    pub(super) give_up: Arc<AtomicBool>,
    /// Packets whose time comes so soon after that still leave.
    pub(super) grace: Ticks27M,
}

/// An output of a route.
pub(super) struct Outgoing {
    pub(super) name: String,
    /// `None`: another route goes there, or it cannot be named.
    pub(super) sending: Option<Sending>,
    /// Why there is none, until it is said.
    pub(super) fault: Option<String>,
    pub(super) stop: Arc<AtomicBool>,
    /// It took nothing for a while: it is not waited for.
    pub(super) stalled: bool,
    pub(super) refused: u64,
}

impl Outgoing {
    pub(super) fn open(endpoint: &Endpoint, how: &How) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let departure = match endpoint {
            Endpoint::Socket(_) if how.evenly => Departure::ByArrival { delay: DELAY },
            _ => Departure::AtOnce,
        };
        let options = OutputOptions {
            departure,
            framing: how.framing.unwrap_or_default(),
            stop: Arc::clone(&stop),
            grace: how.grace + DELAY,
            disposable: false,
        };
        let name = endpoint.to_string();
        match Sending::keep(endpoint.clone(), options, how.limits) {
            Ok(sending) => Self {
                sending: Some(sending),
                stop,
                fault: None,
                ..Self::nowhere(name, String::new())
            },
            Err(e) => Self::nowhere(name, e.to_string()),
        }
    }

    /// A route whose packets go nowhere.
    fn nowhere(name: String, fault: String) -> Self {
        Self {
            name,
            sending: None,
            fault: Some(fault),
            stop: Arc::default(),
            stalled: false,
            refused: 0,
        }
    }

    pub(super) fn put(&mut self, packet: &Packet, at: Arrival, how: &How) {
        let Some(sending) = &mut self.sending else {
            self.refused += 1;
            return;
        };
        if !sending.feeder().batch().push(packet, at) {
            self.hand_on(how, true);
            if let Some(sending) = &mut self.sending {
                sending.feeder().batch().push(packet, at);
            }
        }
    }

    /// Hands on what is in line; false while a few packets wait for more.
    pub(super) fn hand_on(&mut self, how: &How, all: bool) -> bool {
        let Some(sending) = &mut self.sending else {
            return true;
        };
        let now = SystemClock.now();
        if how.waits {
            let patience = match self.stalled {
                true => Duration::ZERO,
                false => STALLED,
            };
            self.stalled = !sending.feeder().hand_on(patience);
            if self.stalled {
                let last = sending.feeder().batch().last_arrival();
                sending.offer(last.unwrap_or(now));
            }
            return true;
        }
        let batch = sending.feeder().batch();
        let since = batch.first_arrival().map_or(Ticks27M::ZERO, |at| now - at);
        if !all && !batch.is_empty() && batch.len() < WORTH_WAKING && since < LINGER {
            return false;
        }
        sending.offer(now);
        true
    }

    pub(super) fn close(&mut self) {
        if let Some(sending) = &mut self.sending {
            sending.close();
            if !sending.is_open() {
                // Nobody reads the FIFO, or it is waited for in vain.
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.sending.as_ref().is_none_or(Sending::is_over)
    }
}

/// The outputs, while the router is at work.
pub(super) struct Ways<'a> {
    pub(super) routes: &'a mut Vec<Option<Outgoing>>,
    pub(super) known: &'a BTreeMap<String, (OrderId, Wanted)>,
    pub(super) how: &'a How,
    pub(super) framing: Option<Framing>,
}

impl Ways<'_> {
    #[inline]
    pub(super) fn put(&mut self, route: Route, packet: &Packet, at: Arrival) {
        if !matches!(self.routes.get(route.slot), Some(Some(_))) {
            self.open(route);
        }
        if let Some(Some(outgoing)) = self.routes.get_mut(route.slot) {
            outgoing.put(packet, at, self.how);
        }
    }

    /// Opens the output of a route that has none yet.
    #[cold]
    pub(super) fn open(&mut self, route: Route) {
        while self.routes.len() <= route.slot {
            self.routes.push(None);
        }
        let mut known = self.known.values();
        let wanted = known.find(|(id, _)| *id == route.order).map(|(_, w)| w);
        let Some(output) = wanted.map(|wanted| &wanted.output) else {
            return;
        };
        if matches!(self.routes.get(route.slot), Some(Some(_))) {
            return;
        }
        let outgoing = self.outgoing(output, route);
        if let (Some(sending), Some(framing)) = (&outgoing.sending, self.framing) {
            sending.set_framing(framing);
        }
        if let Some(place) = self.routes.get_mut(route.slot) {
            *place = Some(outgoing);
        }
    }

    fn outgoing(&self, output: &Output, route: Route) -> Outgoing {
        match output.endpoint(route.only) {
            Err(why) => Outgoing::nowhere(output.to_string(), why),
            Ok(endpoint) => {
                let name = endpoint.to_string();
                let mut open = self.routes.iter().flatten();
                match open.any(|o| o.name == name) {
                    true => Outgoing::nowhere(name, "another route goes there".to_owned()),
                    false => Outgoing::open(&endpoint, self.how),
                }
            }
        }
    }
}
