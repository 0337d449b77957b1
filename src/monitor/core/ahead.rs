//! Packets wait here until the next PCR tells their time, so that what is found hangs on the stream
//! and not on the pieces in which it is read.

use crate::stream::Batch;
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M};

use super::super::clock::LOOK_AHEAD;
use super::super::{Finding, Moment};
use super::Monitor;

/// What begins anew before a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// Packets were not looked at.
    Skipped,
    /// Nothing came for a while.
    Interrupted,
}

/// Packets whose time is not known yet: [`LOOK_AHEAD`] at most, and as many that are passed.
#[derive(Debug, Default)]
pub(super) struct Held {
    packets: Vec<Packet>,
    /// The first ones, which are passed.
    gone: usize,
}

impl Held {
    fn len(&self) -> usize {
        self.packets.len() - self.gone
    }

    fn packets(&self) -> &[Packet] {
        &self.packets[self.gone..]
    }

    fn pass(&mut self, packets: usize) {
        self.gone += packets;
        if self.gone == self.packets.len() {
            self.packets.clear();
            self.gone = 0;
        } else if self.gone as u64 > LOOK_AHEAD {
            self.packets.drain(..self.gone);
            self.gone = 0;
        }
    }
}

impl Monitor {
    /// [`Monitor::push_until`] where PCRs tell the time.
    pub(super) fn push_ahead(
        &mut self,
        batch: &Batch,
        taken: usize,
        until: Ticks27M,
        out: &mut dyn FnMut(&Finding),
    ) -> usize {
        let mut held = std::mem::take(&mut self.held);
        let fresh = &batch.packets()[taken..];
        let first = self.packets;
        let end = first + (held.len() + fresh.len()) as u64;
        let stopped = self.take_known(end, (held.packets(), fresh), until, out);
        let passed = (self.packets - first) as usize;
        let of_held = passed.min(held.len());
        held.pass(of_held);
        let mut taken = taken + passed - of_held;
        if !stopped {
            held.packets.extend(&batch.packets()[taken..]);
            taken = batch.len();
        }
        self.held = held;
        if self.is_over() { batch.len() } else { taken }
    }

    /// Takes what is held as far as its time is known without further packets.
    pub(super) fn go_on(&mut self, out: &mut dyn FnMut(&Finding)) {
        if self.clock.looks_ahead() {
            self.push_ahead(&Batch::with_capacity(0), 0, Ticks27M::MAX, out);
        }
    }

    /// Something begins anew behind the packets that came.
    pub(super) fn break_off(&mut self, what: Break) {
        let place = self.packets + self.held.len() as u64;
        if self.breaks.back() != Some(&(place, what)) {
            self.breaks.push_back((place, what));
        }
        if self.held.len() == 0 {
            self.begin_anew();
        }
    }

    /// Takes packets before `end`, those held and then fresh ones, as far as their time is known;
    /// true when it stopped at `until`, or where no more is to be looked at.
    fn take_known(
        &mut self,
        end: u64,
        (held, fresh): (&[Packet], &[Packet]),
        until: Ticks27M,
        out: &mut dyn FnMut(&Finding),
    ) -> bool {
        let first = self.packets;
        let packet = |position: u64| {
            let n = (position - first) as usize;
            held.get(n).unwrap_or_else(|| &fresh[n - held.len()])
        };
        loop {
            let place = self.packets;
            self.begin_anew();
            if self.losses.front().is_some_and(|(loss, _)| *loss <= place) {
                let time = self.clock.at(place, Arrival::default());
                let position = place;
                self.lose_sync(Moment { position, time }, out);
            }
            // Nobody waits for what comes behind a loss: it may be long.
            let loss = self.losses.front().map(|(place, _)| *place);
            let broken = self.breaks.front().map(|(place, _)| *place);
            let next = loss.into_iter().chain(broken).min();
            let reached = match next {
                Some(next) if next <= end => (next, true),
                _ => (end, self.ended),
            };
            let preferred = self.programs.services().find_map(|s| s.pcr_pid);
            let known = self.clock.reach(place, reached, packet, preferred);
            if known == place {
                return false;
            }
            for position in place..known {
                let time = self.clock.at(position, Arrival::default());
                if time >= self.end || time >= until {
                    return true;
                }
                let at = Moment { position, time };
                self.take(packet(position), at, Arrival::default(), out);
            }
        }
    }

    /// Begins anew what is broken before the next packet.
    fn begin_anew(&mut self) {
        while let Some((place, what)) = self.breaks.front().copied()
            && place <= self.packets
        {
            self.breaks.pop_front();
            if what == Break::Skipped {
                self.continuity.reset();
            }
            self.families.reset(self.now());
        }
    }
}
