//! Events that a machine has seen and nobody has asked for yet.

use super::event::Event;

/// Events kept for the next question, at most [`Pending::CAPACITY`]: a flood costs no memory. What
/// is over is not kept; the machine's counters have counted it all the same.
#[derive(Debug)]
pub struct Pending<E> {
    events: Vec<E>,
}

impl<E: Event> Pending<E> {
    /// Events kept at most.
    pub const CAPACITY: usize = 64;

    /// Nothing.
    pub const fn new() -> Self {
        Self { events: Vec::new() }
    }

    /// Keeps `event` if there is room.
    pub fn push(&mut self, event: E) {
        if self.events.len() < Self::CAPACITY {
            self.events.push(event);
        }
    }

    /// Hands over what was kept, in order.
    pub fn drain(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.drain_each(&mut |event| sink(event));
    }

    /// The same, for who knows what they are.
    pub fn drain_each(&mut self, sink: &mut dyn FnMut(&E)) {
        for event in self.events.drain(..) {
            sink(&event);
        }
    }
}

impl<E: Event> Default for Pending<E> {
    fn default() -> Self {
        Self::new()
    }
}
