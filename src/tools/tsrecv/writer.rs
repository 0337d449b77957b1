//! The side of `tsrecv` that writes: out of the queue, through filter and playout, into the output.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::TURN;
use crate::io::clock::{Clock, SystemClock};
use crate::io::queue::{Outlet, Taken};
use crate::io::{Ending, EndpointError, OutputEvent, OutputOptions, Relay, Sink};
use crate::stream::event::Event;
use crate::stream::playout::{Playout, PlayoutOptions};
use crate::stream::stuffing::RateExceeded;
use crate::stream::{Batch, Counters, Framing};
use crate::ts::{Packet, PidSet};
use crate::units::Arrival;

/// Packets that fill no datagram leave after so long all the same.
const FLUSH_AFTER: Duration = Duration::from_millis(5);
/// The framing before the first packet.
pub(super) const UNKNOWN_FRAMING: u8 = u8::MAX;
/// Packets of an output batch that was made here.
pub(super) const OUT_PACKETS: usize = 1024;

/// The thread that writes.
pub(super) struct Writer {
    pub(super) outlet: Outlet,
    pub(super) sink: Box<dyn Sink>,
    pub(super) wanted: Option<PidSet>,
    pub(super) playout: Option<Playout>,
    /// Makes a playout of which arrival times are taken, for an input that has none.
    pub(super) dates: bool,
    /// When such an input was opened: its playout is as fast as the reader.
    pub(super) opened: Option<Arrival>,
    /// The sink takes packets at once: they are held until they are due.
    pub(super) wait: Option<Ending>,
    /// The input's framing.
    pub(super) framing: Arc<AtomicU8>,
    /// It is the output's too.
    pub(super) keep_framing: bool,
    pub(super) relay: Relay,
    /// Packets on their way to the sink, where they are not those of the queue.
    pub(super) out: Batch,
    pub(super) give_up: Arc<AtomicBool>,
    /// Packets that came after that.
    pub(super) left: u64,
    /// Packets held here whose time had not come when the end was asked for.
    pub(super) unplayed: u64,
    /// They are not lost: the input has them.
    pub(super) lasting: bool,
    /// How many packets of the queue are in hand.
    pub(super) in_hand: Arc<AtomicU64>,
}

impl Writer {
    /// Writes until the queue ends; returns what did not fit into the constant rate.
    pub(super) fn run(mut self) -> Result<Option<RateExceeded>, EndpointError> {
        let ended = self.write_all();
        let relay = &self.relay;
        if let Some(playout) = &mut self.playout {
            playout.drain_events(&mut |e| relay.post(e));
        }
        self.sink.drain_events(&mut |e| relay.post(e));
        if self.left > 0 {
            let packets = self.left;
            relay.post(&OutputEvent::GivenUp { packets });
        }
        if self.unplayed > 0 && !self.lasting {
            let packets = self.unplayed;
            relay.post(&OutputEvent::Unplayed { packets });
        }
        self.relay.post_counters(|c| self.counters(c));
        ended.map(|()| self.playout.as_ref().and_then(Playout::exceeded))
    }

    fn write_all(&mut self) -> Result<(), EndpointError> {
        let mut batch = Batch::with_capacity(0);
        let mut posted = Instant::now();
        loop {
            let patience = if self.sink.keeps_back() {
                FLUSH_AFTER
            } else {
                TURN
            };
            match self.outlet.take(&mut batch, patience) {
                Taken::Packets => {
                    self.follow_framing();
                    self.in_hand.store(batch.len() as u64, Ordering::Relaxed);
                    self.write(&batch)?;
                    self.in_hand.store(0, Ordering::Relaxed);
                }
                // A playout goes by its clock: what fills no datagram yet is not due yet.
                Taken::Idle if self.playout.is_none() => self.sink.flush()?,
                Taken::Idle => {}
                Taken::End => break,
            }
            self.post(&mut posted);
        }
        if let Some(mut playout) = self.playout.take() {
            playout.finish(self.now());
            let ended = self.play(&mut playout);
            self.playout = Some(playout);
            ended?;
        }
        self.send_out()?;
        self.sink.finish()
    }

    fn follow_framing(&mut self) {
        let known = self.framing.load(Ordering::Acquire);
        let Some(framing) = Framing::ALL.into_iter().find(|f| *f as u8 == known) else {
            return;
        };
        if self.keep_framing {
            self.sink.set_framing(framing);
        }
        if std::mem::take(&mut self.dates) && framing != Framing::Timed {
            let playout = Playout::new(PlayoutOptions::default());
            self.playout = Some(playout.passing(self.wanted.clone()));
            self.opened = Some(SystemClock.now());
        }
    }

    /// The time for the playout.
    fn now(&self) -> Arrival {
        self.opened.unwrap_or_else(|| SystemClock.now())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), EndpointError> {
        if self.gives_up() {
            self.left += batch.len() as u64;
            return Ok(());
        }
        if self.playout.is_none() && self.wanted.is_none() {
            return self.sink.send(batch);
        }
        let wanted = self.wanted.take();
        let passes = |p: &&Packet| wanted.as_ref().is_none_or(|w| w.contains(p.pid()));
        let mut ended = Ok(());
        match self.playout.take() {
            None => {
                for (at, packets) in batch.runs() {
                    for packet in packets.iter().filter(passes) {
                        ended = ended.and_then(|()| self.put(packet, at));
                    }
                }
                ended = ended.and_then(|()| self.send_out());
            }
            Some(mut playout) => {
                let now = self.now();
                for packet in batch.packets() {
                    playout.push(packet, now);
                    ended = ended.and_then(|()| self.play(&mut playout));
                }
                let relay = &self.relay;
                playout.drain_events(&mut |e| relay.post(e));
                self.playout = Some(playout);
                ended = ended.and_then(|()| self.send_out());
            }
        }
        self.wanted = wanted;
        ended
    }

    /// Sends what the playout has let go.
    fn play(&mut self, playout: &mut Playout) -> Result<(), EndpointError> {
        let mut ended = Ok(());
        playout.take(&mut |packet, at| {
            if ended.is_ok() {
                ended = self.put(packet, at);
            }
        });
        ended
    }

    /// Appends to the output batch, which is sent when it is full or spans long enough.
    fn put(&mut self, packet: &Packet, at: Arrival) -> Result<(), EndpointError> {
        let span = at - self.out.first_arrival().unwrap_or(at);
        if self.out.room() == 0 || self.wait.is_some() && span >= OutputOptions::TOGETHER {
            self.send_out()?;
        }
        self.out.push(packet, at);
        Ok(())
    }

    fn send_out(&mut self) -> Result<(), EndpointError> {
        let due = match (&mut self.wait, self.out.last_arrival()) {
            (Some(wait), Some(due)) => wait.wait_until(due),
            _ => true,
        };
        let sent = if self.gives_up() {
            self.left += self.out.len() as u64;
            Ok(())
        } else if due {
            self.sink.send(&self.out)
        } else {
            self.unplayed += self.out.len() as u64;
            Ok(())
        };
        self.out.clear();
        sent
    }

    /// True when there has been time enough since the end was asked for.
    fn gives_up(&self) -> bool {
        self.give_up.load(Ordering::Relaxed)
    }

    /// Posts events, and from time to time counters, for the other thread to report.
    fn post(&mut self, posted: &mut Instant) {
        let relay = &self.relay;
        self.sink.drain_events(&mut |e: &dyn Event| relay.post(e));
        if posted.elapsed() >= Relay::POST_EVERY {
            *posted = Instant::now();
            relay.post_counters(|c| self.counters(c));
        }
    }

    fn counters(&self, out: &mut dyn Counters) {
        self.sink.counters(out);
        if self.wait.is_some() {
            out.set("unplayed_packets", self.unplayed);
        }
        out.set("left_packets", self.left);
        if let Some(playout) = &self.playout {
            playout.counters(out);
        }
    }
}
