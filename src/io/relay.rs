//! What one thread saw and counted, for another to report.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::stream::event::{Event, Severity, Subject, Value};
use crate::stream::{Counters, Pending, Snapshot};

/// An event that outlives what observed it.
#[derive(Clone, Debug)]
pub struct OwnedEvent {
    name: &'static str,
    severity: Severity,
    subject: Subject,
    fields: Vec<(&'static str, Value)>,
}

impl OwnedEvent {
    /// With one more field behind the others; as it is where it has one of that name.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        if !self.fields.iter().any(|(other, _)| *other == key) {
            self.fields.push((key, value.into()));
        }
        self
    }

    /// With one more field before the others.
    #[must_use]
    pub fn led_by(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.fields.insert(0, (key, value.into()));
        self
    }
}

impl From<&dyn Event> for OwnedEvent {
    fn from(event: &dyn Event) -> Self {
        let mut fields = Vec::new();
        event.fields(&mut |key, value| fields.push((key, value)));
        Self {
            name: event.name(),
            severity: event.severity(),
            subject: event.subject(),
            fields,
        }
    }
}

impl Event for OwnedEvent {
    fn name(&self) -> &'static str {
        self.name
    }

    fn severity(&self) -> Severity {
        self.severity
    }

    fn subject(&self) -> Subject {
        self.subject
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        for (key, value) in &self.fields {
            field(key, value.clone());
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    events: Pending<OwnedEvent>,
    counters: Snapshot,
}

/// Events and counters on their way from thread to thread; its clones share them. What is not
/// fetched is bounded by [`Pending::CAPACITY`], or by what [`Relay::with_room`] was told.
#[derive(Clone, Debug, Default)]
pub struct Relay {
    seen: Arc<Mutex<Seen>>,
}

impl Relay {
    /// A relay that holds so many events, for who has many to tell of at once.
    pub fn with_room(events: usize) -> Self {
        let seen = Seen {
            events: Pending::with_room(events),
            counters: Snapshot::default(),
        };
        Self {
            seen: Arc::new(Mutex::new(seen)),
        }
    }

    /// How often a thread posts its counters at most: what is reported together is of one moment.
    pub const POST_EVERY: Duration = Duration::from_millis(2);

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts an event.
    pub fn post(&self, event: &dyn Event) {
        self.lock().events.push(event.into());
    }

    /// Posts how the counters stand.
    pub fn post_counters(&self, counters: impl FnOnce(&mut dyn Counters)) {
        counters(&mut self.lock().counters);
    }

    /// Hands over the events since the last call.
    pub fn drain_events(&self, sink: &mut dyn FnMut(&dyn Event)) {
        self.lock().events.drain(sink);
    }

    /// The counters as they were posted last.
    pub fn counters(&self, out: &mut dyn Counters) {
        for (key, value) in self.lock().counters.iter() {
            out.put(key, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::FramingEvent;

    #[test]
    fn what_is_posted_is_fetched_once_and_counters_keep_their_last_value() {
        let relay = Relay::default();
        let poster = relay.clone();
        poster.post(&FramingEvent::BadSyncByte { offset: 7 });
        poster.post_counters(|c| c.set("in_packets", 1));
        poster.post_counters(|c| c.set("in_packets", 2));
        let mut seen = Vec::new();
        relay.drain_events(&mut |e| {
            e.fields(&mut |k, v| seen.push((e.name(), k, v)));
        });
        assert_eq!(
            seen,
            [("sync_byte_error", "offset_bytes", Value::Number(7))]
        );
        relay.drain_events(&mut |_| panic!("fetched twice"));
        let mut counters = Snapshot::default();
        relay.counters(&mut counters);
        let seen: Vec<_> = counters.iter().collect();
        assert_eq!(seen, [("in_packets", &Value::Number(2))]);
    }
}
