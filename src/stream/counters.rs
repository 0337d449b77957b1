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
