//! What happened, newest last, in bounded memory.

use std::collections::VecDeque;

use serde::Serialize;

/// The newest entries of a log, and how many there were.
#[derive(Clone, Debug, Serialize)]
pub struct Log<T> {
    /// All that came; those over [`Log::CAPACITY`] are not here any more.
    pub entries_total: u64,
    /// The newest, oldest first.
    pub entries: VecDeque<T>,
}

impl<T> Log<T> {
    /// Entries kept at most.
    pub const CAPACITY: usize = 256;

    pub(super) const fn new() -> Self {
        Self {
            entries_total: 0,
            entries: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, entry: T) {
        if self.entries.len() == Self::CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.entries_total += 1;
    }
}
