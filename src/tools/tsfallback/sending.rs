//! The thread that sends: an output that stands still does not stop the switch.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::cli::{Context, Error};
use crate::io::queue::{Feeder, Limits, Outlet, Taken, queue};
use crate::io::{
    Departure, Endpoint, EndpointError, OutputEvent, OutputOptions, Relay, Sink, open_output,
};
use crate::stream::event::Event;
use crate::stream::{Batch, Counters, Framing};
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M};

/// Packets that fill no datagram leave after so long all the same.
const FLUSH_AFTER: Duration = Duration::from_millis(5);
const TURN: Duration = Duration::from_millis(100);
/// How long after its instant a datagram leaves: the switch is asked once in a few milliseconds.
const DELAY: Ticks27M = Ticks27M::from_millis(8);
/// How long the output is given to take what is left.
const DRAIN: Duration = Duration::from_secs(2);

/// The output, and the thread that writes to it.
#[derive(Debug)]
pub(super) struct Sending {
    feeder: Feeder,
    relay: Relay,
    thread: Option<JoinHandle<Result<(), EndpointError>>>,
}

impl Sending {
    /// Opens the output.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn start(
        output: &Endpoint,
        framing: Framing,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let departure = match output {
            Endpoint::Socket(_) => Departure::ByArrival { delay: DELAY },
            _ => Departure::AtOnce,
        };
        let options = OutputOptions {
            departure,
            framing,
            stop,
            grace: DELAY,
            ..OutputOptions::default()
        };
        let sink = open_output(output, &options)?;
        let (feeder, outlet) = queue(Limits::default());
        let relay = Relay::default();
        let theirs = relay.clone();
        let thread = std::thread::Builder::new()
            .name("output".into())
            .spawn(move || write(outlet, sink, &theirs))?;
        Ok(Self {
            feeder,
            relay,
            thread: Some(thread),
        })
    }

    /// Puts a packet in line; it is sent with [`Sending::hand_on`].
    pub(super) fn put(&mut self, packet: &Packet, at: Arrival, now: Arrival) {
        if !self.feeder.batch().push(packet, at) {
            self.feeder.offer(now);
            self.feeder.batch().push(packet, at);
        }
    }

    /// Hands on what is in line; false when nobody takes it any more.
    pub(super) fn hand_on(&mut self, now: Arrival) -> bool {
        self.feeder.offer(now)
    }

    /// Hands over what was observed.
    pub(super) fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.feeder.drain_events(sink);
        self.relay.drain_events(sink);
    }

    /// What was counted.
    pub(super) fn counters(&self, out: &mut dyn Counters) {
        self.feeder.counters(out);
        self.relay.counters(out);
    }

    /// Waits until all is written, for a while.
    ///
    /// # Errors
    /// Why the output failed.
    pub(super) fn finish(&mut self, context: &mut Context) -> Result<(), Error> {
        self.feeder.close();
        let until = Instant::now() + DRAIN;
        while self.thread.as_ref().is_some_and(|t| !t.is_finished()) {
            std::thread::sleep(Duration::from_millis(2));
            context.turn(|_| {});
            if Instant::now() > until {
                let packets = self.feeder.waiting();
                context.event(&OutputEvent::GivenUp { packets });
                return Ok(());
            }
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => Ok(ended?),
            Some(Err(_)) => Err(Error::failure(anyhow!("the thread that writes has failed"))),
            None => Ok(()),
        }
    }
}

fn write(outlet: Outlet, mut sink: Box<dyn Sink>, relay: &Relay) -> Result<(), EndpointError> {
    let ended = write_all(outlet, &mut *sink, relay);
    sink.drain_events(&mut |e| relay.post(e));
    relay.post_counters(|c| sink.counters(c));
    ended
}

fn write_all(mut outlet: Outlet, sink: &mut dyn Sink, relay: &Relay) -> Result<(), EndpointError> {
    let mut batch = Batch::with_capacity(0);
    let mut posted = Instant::now();
    loop {
        let patience = if sink.keeps_back() { FLUSH_AFTER } else { TURN };
        match outlet.take(&mut batch, patience) {
            Taken::Packets => sink.send(&batch)?,
            Taken::Idle => sink.flush()?,
            Taken::End => return sink.finish(),
        }
        sink.drain_events(&mut |e| relay.post(e));
        if posted.elapsed() >= TURN {
            posted = Instant::now();
            relay.post_counters(|c| sink.counters(c));
        }
    }
}
