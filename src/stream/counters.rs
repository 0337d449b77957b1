//! What machines and endpoints have counted, by name.

use super::event::Value;

/// Receives counters: a statistics line, a JSON file, a metrics page.
///
/// A key ends in its unit (`_packets`, `_datagrams`, `_bytes`, `_bps`, `_ms`, `_us`) or in
/// `_total` where the thing counted is in the name (`continuity_errors_total`).
pub trait Counters {
    /// Sets `key` to a number.
    fn set(&mut self, key: &str, value: u64) {
        self.put(key, Value::from(value));
    }

    /// Sets `key` to a number or a text.
    fn put(&mut self, key: &str, value: Value);
}

/// Counters as they stood at one moment, in the order in which they were first set.
///
/// ```
/// use headend::stream::{Counters, Snapshot};
/// let mut seen = Snapshot::default();
/// for packets in [1, 2] {
///     seen.set("in_packets", packets);
///     seen.set("in_bytes", packets * 188);
/// }
/// let text: Vec<_> = seen.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
/// assert_eq!(text, ["in_packets=Number(2)", "in_bytes=Number(376)"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    counters: Vec<(String, Value)>,
    /// Where the counter stands that is likely to be set next: they are always set in one order.
    next: usize,
}

impl Snapshot {
    /// The counters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.counters
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }
}

impl Counters for Snapshot {
    fn put(&mut self, key: &str, value: Value) {
        let is_it = |(k, _): &(String, Value)| k == key;
        let place = match self.counters.get(self.next).is_some_and(is_it) {
            true => Some(self.next),
            false => self.counters.iter().position(is_it),
        };
        let place = place.unwrap_or(self.counters.len());
        self.next = place + 1;
        match self.counters.get_mut(place) {
            Some((_, old)) => *old = value,
            None => self.counters.push((key.to_owned(), value)),
        }
        if self.next == self.counters.len() {
            self.next = 0;
        }
    }
}
