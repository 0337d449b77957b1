//! The threads that receive: one an input, so that none waits for another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::input_news::ReceptionNews;
use crate::io::clock::{Clock, SystemClock};
use crate::io::queue::{Feeder, Limits, Outlet, Taken, queue};
use crate::io::{
    Endpoint, InputError, InputOptions, OwnedEvent, Received, Relay, Source, is_regular, open_input,
};
use crate::stream::event::Event;
use crate::stream::playout::{Playout, PlayoutOptions};
use crate::stream::restamp::Seam;
use crate::stream::{Batch, Counters, Snapshot};
use crate::units::{Arrival, Ticks27M};

/// How long a turn of reception waits.
const TURN: Duration = Duration::from_millis(20);
/// How long is waited before an input that failed is opened again: the first time, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How often is said that an input fails for the reason that was said before.
const SAID_AGAIN: Duration = Duration::from_secs(600);
/// How far ahead of its time a file is handed on.
const AHEAD: Ticks27M = Ticks27M::from_millis(5);

/// What a thread tells beside packets.
#[derive(Debug, Default)]
struct Signs {
    restarts: AtomicU64,
    sync_losses: AtomicU64,
    /// Why it fails, as long as it does.
    failing: Mutex<Option<String>>,
}

/// An input that is being received.
#[derive(Debug)]
pub(super) struct Reception {
    pub(super) endpoint: Endpoint,
    outlet: Outlet,
    relay: Relay,
    signs: Arc<Signs>,
    restarts: u64,
    sync_losses: u64,
    pub(super) ended: bool,
}

/// How an input is to be received.
pub(super) struct How {
    /// A file is played again and again.
    pub(super) again: bool,
    pub(super) stop: Arc<AtomicBool>,
}

impl Reception {
    /// Begins to receive.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(endpoint: Endpoint, how: How) -> std::io::Result<Self> {
        let (feeder, outlet) = queue(Limits::default());
        let (relay, signs) = (Relay::default(), Arc::new(Signs::default()));
        let receiver = Receiver {
            endpoint: endpoint.clone(),
            feeder,
            relay: relay.clone(),
            signs: Arc::clone(&signs),
            how,
            posted: Instant::now(),
            trouble: Trouble::default(),
        };
        std::thread::Builder::new()
            .name("input".into())
            .spawn(move || receiver.run())?;
        Ok(Self {
            endpoint,
            outlet,
            relay,
            signs,
            restarts: 0,
            sync_losses: 0,
            ended: false,
        })
    }

    /// The next packets that came, if any.
    pub(super) fn take(&mut self, batch: &mut Batch) -> bool {
        match self.outlet.take(batch, Duration::ZERO) {
            Taken::Packets => true,
            Taken::Idle => false,
            Taken::End => {
                self.ended = true;
                false
            }
        }
    }

    /// True once for each time the input was opened anew.
    pub(super) fn take_restart(&mut self) -> bool {
        let restarts = self.signs.restarts.load(Ordering::Acquire);
        std::mem::replace(&mut self.restarts, restarts) != restarts
    }

    /// True once when synchronisation was lost.
    pub(super) fn take_sync_loss(&mut self) -> bool {
        let losses = self.signs.sync_losses.load(Ordering::Acquire);
        std::mem::replace(&mut self.sync_losses, losses) != losses
    }

    /// Why it cannot be opened or fails, as long as it does.
    pub(super) fn failing(&self) -> Option<String> {
        let failing = self.signs.failing.lock();
        failing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands over what was observed.
    pub(super) fn drain_events(&self, sink: &mut dyn FnMut(&dyn Event)) {
        self.relay.drain_events(sink);
    }

    /// What was counted.
    pub(super) fn counters(&self, out: &mut dyn Counters) {
        self.relay.counters(out);
    }
}

struct Receiver {
    endpoint: Endpoint,
    feeder: Feeder,
    relay: Relay,
    signs: Arc<Signs>,
    how: How,
    posted: Instant,
    trouble: Trouble,
}

/// An input that fails, as far as that was said.
#[derive(Debug, Default)]
struct Trouble {
    failures: u64,
    /// What was said last, and when.
    said: Option<(String, Instant)>,
}

impl Receiver {
    fn run(mut self) {
        let mut backoff = BACKOFF.0;
        while !self.stops() {
            let began = Instant::now();
            // What comes to be at a path may be a file, or a FIFO.
            let ended = match is_regular(&self.endpoint) {
                true => self.play(),
                false => self.receive(),
            };
            match ended {
                Ok(true) => {}
                Ok(false) => {
                    if !self.stops() {
                        self.post(&ReceptionNews::Ended);
                    }
                    return;
                }
                Err(e) => {
                    if began.elapsed() > BACKOFF.1 {
                        backoff = BACKOFF.0;
                    }
                    self.fail(&e, backoff);
                }
            }
            self.signs.restarts.fetch_add(1, Ordering::Release);
            let until = Instant::now() + backoff;
            while Instant::now() < until && !self.stops() {
                std::thread::sleep(TURN);
                self.feeder.offer(SystemClock.now());
            }
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    /// It has failed: that is said at once, and again now and then as long as it goes on.
    fn fail(&mut self, error: &InputError, again_in: Duration) {
        let reason = match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        self.trouble.failures += 1;
        let said = self.trouble.said.as_ref();
        if said.is_some_and(|(what, when)| *what == reason && when.elapsed() < SAID_AGAIN) {
            return;
        }
        self.trouble.said = Some((reason.clone(), Instant::now()));
        self.set_failing(Some(reason.clone()));
        self.post(&ReceptionNews::Failed {
            reason,
            failures: self.trouble.failures,
            again_in,
        });
    }

    /// Packets have come.
    fn is_back(&mut self) {
        if self.trouble.said.is_some() {
            let Trouble { failures, .. } = std::mem::take(&mut self.trouble);
            self.set_failing(None);
            self.post(&ReceptionNews::Back { failures });
        }
    }

    fn set_failing(&self, reason: Option<String>) {
        let failing = self.signs.failing.lock();
        *failing.unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn post(&self, news: &ReceptionNews) {
        let endpoint = self.endpoint.to_string();
        self.relay.post(&of_input(news, &endpoint));
    }

    fn stops(&self) -> bool {
        self.how.stop.load(Ordering::Relaxed) || self.feeder.is_abandoned()
    }

    /// Receives what comes at its own pace; true when it should be opened again.
    fn receive(&mut self) -> Result<bool, InputError> {
        let mut source = open_input(&self.endpoint, &InputOptions::default())?;
        while !self.stops() {
            let received = source.receive(self.feeder.batch(), TURN);
            self.feeder.offer(SystemClock.now());
            self.tell(&mut *source);
            match received? {
                Received::Packets => self.is_back(),
                Received::Idle => {}
                // Somebody else may open a FIFO; stdin ends once.
                Received::End => return Ok(matches!(self.endpoint, Endpoint::File(_))),
            }
        }
        Ok(false)
    }

    /// Plays a file at the pace of its PCRs.
    fn play(&mut self) -> Result<bool, InputError> {
        let mut source = open_input(&self.endpoint, &InputOptions::default())?;
        let mut playout = Playout::new(PlayoutOptions::default());
        let mut seam = Seam::new();
        let mut batch = Batch::with_capacity(1024);
        while !self.stops() {
            batch.clear();
            let received = source.receive(&mut batch, TURN)?;
            if received == Received::End {
                if !self.how.again || !seam.again() {
                    playout.finish(SystemClock.now());
                    self.hand_on(&mut playout);
                    return Ok(false);
                }
                source = open_input(&self.endpoint, &InputOptions::default())?;
                continue;
            }
            if received == Received::Packets {
                self.is_back();
            }
            let now = SystemClock.now();
            for packet in batch.packets_mut() {
                if self.how.again {
                    seam.push(packet);
                }
                playout.push(packet, now);
                self.hand_on(&mut playout);
            }
            self.tell(&mut *source);
        }
        Ok(false)
    }

    /// Hands on what a playout has let go, each packet at its time.
    fn hand_on(&mut self, playout: &mut Playout) {
        let mut due: Vec<(crate::ts::Packet, Arrival)> = Vec::new();
        playout.take(&mut |packet, at| due.push((*packet, at)));
        for (packet, at) in due {
            while at - SystemClock.now() > AHEAD && !self.stops() {
                self.feeder.offer(SystemClock.now());
                let step = SystemClock.now() + Ticks27M::from(TURN);
                SystemClock.sleep_until((at - AHEAD).min(step));
            }
            while !self.feeder.batch().push(&packet, at) && !self.stops() {
                self.feeder.offer(SystemClock.now());
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.feeder.offer(SystemClock.now());
    }

    /// Events and counters, for the other thread to report.
    fn tell(&mut self, source: &mut dyn Source) {
        let (relay, signs) = (&self.relay, &self.signs);
        let name = self.endpoint.to_string();
        let mut post = |event: &dyn Event| {
            if event.name() == "sync_lost" {
                signs.sync_losses.fetch_add(1, Ordering::Release);
            }
            relay.post(&of_input(event, &name));
        };
        source.drain_events(&mut post);
        self.feeder.drain_events(&mut post);
        if self.posted.elapsed() >= Relay::POST_EVERY * 50 {
            self.posted = Instant::now();
            let mut seen = Snapshot::default();
            source.counters(&mut seen);
            self.feeder.counters(&mut seen);
            relay.post_counters(|out| {
                for (key, value) in seen.iter() {
                    out.put(key, value.clone());
                }
            });
        }
    }
}

/// An event, with the input that it is of where it does not say so itself.
fn of_input(event: &dyn Event, endpoint: &str) -> OwnedEvent {
    OwnedEvent::from(event).with("endpoint", endpoint)
}
