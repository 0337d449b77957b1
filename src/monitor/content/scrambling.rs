//! Which PIDs are scrambled, and when that changed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::log::Log;
use crate::monitor::{Moment, Seen};
use crate::ts::{Pid, Scrambling as Control};

/// A PID became scrambled, or clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScramblingChange {
    /// When.
    pub at_ms: i64,
    /// Packets before it.
    pub at_packet: u64,
    /// Which.
    pub pid: u16,
    /// What it is from here on.
    pub scrambled: bool,
}

/// No packet with a payload yet.
const UNSEEN: u8 = 0xFF;

/// transport_scrambling_control of every PID.
#[derive(Debug)]
pub(super) struct Scrambling {
    /// The two bits of the last packet with a payload.
    states: Box<[u8; Pid::COUNT]>,
    /// How often the key became the other one.
    keys: BTreeMap<Pid, u64>,
    changes: Log<ScramblingChange>,
}

impl Scrambling {
    pub(super) fn new() -> Self {
        Self {
            states: vec![UNSEEN; Pid::COUNT]
                .try_into()
                .unwrap_or_else(|_| Box::new([UNSEEN; Pid::COUNT])),
            keys: BTreeMap::new(),
            changes: Log::new(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, seen: &Seen<'_>) {
        let control = seen.packet.scrambling() as u8;
        if control != self.states[seen.pid.index()] && seen.packet.has_payload() {
            self.change(seen.pid, control, seen.at);
        }
    }

    #[cold]
    fn change(&mut self, pid: Pid, control: u8, at: Moment) {
        const CLEAR: u8 = Control::Clear as u8;
        let before = std::mem::replace(&mut self.states[pid.index()], control);
        // The bits of a null packet mean nothing.
        if before == UNSEEN || pid == Pid::NULL {
            return;
        }
        if before != CLEAR && control != CLEAR {
            *self.keys.entry(pid).or_default() += 1;
            return;
        }
        self.changes.push(ScramblingChange {
            at_ms: at.time.as_millis(),
            at_packet: at.position,
            pid: pid.get(),
            scrambled: control != CLEAR,
        });
    }

    /// Whether a PID is scrambled; `None` when no packet with a payload came.
    pub(super) fn of(&self, pid: Pid) -> Option<bool> {
        match self.states[pid.index()] {
            UNSEEN => None,
            control => Some(pid != Pid::NULL && control != Control::Clear as u8),
        }
    }

    pub(super) fn key_changes(&self, pid: Pid) -> u64 {
        self.keys.get(&pid).copied().unwrap_or(0)
    }

    pub(super) const fn changes(&self) -> &Log<ScramblingChange> {
        &self.changes
    }
}
