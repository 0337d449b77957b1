//! Events that a machine has seen and nobody has asked for yet.

use super::event::Event;

/// Events kept for the next question, at most [`Pending::CAPACITY`] where nothing else is said: a
/// flood costs no memory. What is over is not kept; the machine's counters have counted it all the
/// same.
#[derive(Debug)]
pub struct Pending<E, const MOST: usize = 64> {
    events: Vec<E>,
    most: usize,
}

impl<E: Event, const MOST: usize> Pending<E, MOST> {
    /// Events kept at most.
    pub const CAPACITY: usize = MOST;

    /// Nothing.
    pub const fn new() -> Self {
        Self::with_room(Self::CAPACITY)
    }

    /// Nothing, and room for so many.
    pub const fn with_room(most: usize) -> Self {
        let events = Vec::new();
        Self { events, most }
    }

    /// Keeps `event` if there is room.
    pub fn push(&mut self, event: E) {
        if self.events.len() < self.most {
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

impl<E: Event, const MOST: usize> Default for Pending<E, MOST> {
    fn default() -> Self {
        Self::new()
    }
}
