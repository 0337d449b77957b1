//! systemd's notification protocol (sd_notify(3)): ready, status, watchdog.
//!
//! The watchdog is fed by the turns of the data loop and by nothing else, so that a loop that
//! hangs is seen, and an off-air channel, whose loop still turns, is not.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The connection to the service manager, if there is one.
#[derive(Debug)]
pub(super) struct Notify {
    there: bool,
    watchdog: Option<Duration>,
    next: Instant,
    ready: bool,
}

impl Notify {
    pub(super) fn new() -> Self {
        let watchdog = sd_notify::watchdog_enabled();
        Self {
            there: std::env::var_os("NOTIFY_SOCKET").is_some(),
            // Half the time-out, as sd_watchdog_enabled(3) advises.
            watchdog: watchdog.map(|timeout| timeout / 2),
            next: Instant::now(),
            ready: false,
        }
    }

    /// `READY=1`, once.
    pub(super) fn ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.send(&[NotifyState::Ready]);
        }
    }

    /// `STATUS=words`.
    pub(super) fn status(&self, words: &str) {
        self.send(&[NotifyState::Status(words)]);
    }

    /// `STOPPING=1`.
    pub(super) fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// Feeds the watchdog when it is hungry.
    pub(super) fn turn(&mut self) {
        let Some(interval) = self.watchdog else {
            return;
        };
        let now = Instant::now();
        if now >= self.next {
            self.next = now + interval;
            self.send(&[NotifyState::Watchdog]);
        }
    }

    /// A manager that does not listen is no reason to stop a stream.
    fn send(&self, states: &[NotifyState<'_>]) {
        if self.there {
            let _ = sd_notify::notify(states);
        }
    }
}
