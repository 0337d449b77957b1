//! Writes reports on the way in a thread of its own: a slow disk does not hold up measuring.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::cli::{Context, Unwritten};
use crate::io::{OutputError, Relay, StagedFile};

/// The thread.
#[derive(Debug)]
pub(super) struct Later {
    /// Holds the report that is written next: while it waits, newer ones are left out.
    reports: SyncSender<String>,
    thread: JoinHandle<()>,
    relay: Relay,
}

impl Later {
    /// Writes to that file.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(path: PathBuf) -> std::io::Result<Self> {
        let (reports, waiting) = sync_channel(1);
        let relay = Relay::default();
        let ours = relay.clone();
        let thread = std::thread::Builder::new()
            .name("report".into())
            .spawn(move || run(&path, &waiting, &ours))?;
        Ok(Self {
            reports,
            thread,
            relay,
        })
    }

    /// Writes a report, unless an older one still waits for the disk: another follows.
    pub(super) fn write(&self, report: String) {
        let _ = self.reports.try_send(report);
    }

    /// Says what was not written.
    pub(super) fn turn(&self, context: &Context) {
        self.relay.drain_events(&mut |event| context.event(event));
    }

    /// Waits for what is being written.
    pub(super) fn finish(self, context: &Context) {
        drop(self.reports);
        let _ = self.thread.join();
        self.relay.drain_events(&mut |event| context.event(event));
    }
}

fn run(path: &Path, reports: &Receiver<String>, relay: &Relay) {
    for report in reports {
        if let Err(e) = put(path, &report) {
            relay.post(&Unwritten::new(path, e.to_string()));
        }
    }
}

/// The next one replaces it: it is not waited for until it is on the disk.
fn put(path: &Path, report: &str) -> Result<(), OutputError> {
    let mut file = StagedFile::create(path)?;
    file.write(report.as_bytes())?;
    file.show()
}
