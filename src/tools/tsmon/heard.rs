//! What an input says about its reception, as findings: the search for packets and the network see
//! what no packet shows.

use crate::io::Source;
use crate::monitor::network::ReceptionCounts;
use crate::monitor::{Check, Finding, Monitor};
use crate::stream::Counters;
use crate::stream::event::{Event, Subject, Value};

/// Bytes in a row without a packet in which synchronisation would have been found.
const UNSYNCED_BYTES: u64 = 4096;
/// Datagrams without a packet that are more than strays.
const UNSYNCED_DATAGRAMS: u64 = 4;

/// Findings on their way.
pub(super) type Found<'f> = &'f mut dyn FnMut(&Finding);

/// Listens to an input.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Losses of synchronisation that were told to the monitor.
    losses: u64,
    /// Where the last of them was.
    place: u64,
    /// Nothing comes.
    waiting: bool,
    /// Packets came, or that none are among what comes was said.
    settled: bool,
}

impl Heard {
    /// Nothing comes from the input.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// True once, when bytes come from the input and synchronisation was not found in them; at the
    /// end of the input few are enough. To be asked each turn, which brought packets or not.
    pub(super) fn never_synced(&mut self, packets: bool, end: bool, source: &dyn Source) -> bool {
        if self.settled {
            return false;
        }
        let mut told = Told::default();
        source.counters(&mut told);
        let came = told.junk_bytes > 0 || told.foreign > 0;
        let at_end = end && !packets && (came || !source.is_live() && source.bytes() > 0);
        let enough = told.junk_bytes >= UNSYNCED_BYTES || told.foreign >= UNSYNCED_DATAGRAMS;
        let never = told.sync_losses == 0 && (enough || at_end);
        self.settled = packets || never;
        never
    }

    /// Takes an event of the input. To be called before the packets of its turn are pushed.
    pub(super) fn event(&mut self, event: &dyn Event, monitor: &mut Monitor, found: Found<'_>) {
        let check = match event.name() {
            "sync_lost" => {
                self.place = number(event, "at_packet").unwrap_or(self.place);
                monitor.sync_lost(self.place);
                self.losses += 1;
                return;
            }
            "input_back" => {
                self.waiting = false;
                monitor.interrupted();
                return;
            }
            "measuring_skipped" => return monitor.skipped(),
            "input_waiting" => {
                self.waiting = true;
                Check::InputLoss
            }
            "kernel_drops" => Check::KernelDrops,
            "rtp_lost" => Check::RtpLoss,
            _ => return,
        };
        let mut finding = Finding::new(check, Subject::Stream, monitor.now());
        event.fields(&mut |key, value| finding.fields.push((key, value)));
        monitor.outside(&finding, found);
    }

    /// Takes the counters of the input: of a flood of losses few are events, and all are counted.
    pub(super) fn counters(
        &mut self,
        counters: impl FnOnce(&mut dyn Counters),
        monitor: &mut Monitor,
    ) {
        let mut told = Told::default();
        counters(&mut told);
        while self.losses < told.sync_losses {
            monitor.sync_lost(self.place);
            self.losses += 1;
        }
        if told.reception.rtp_lost.is_some() {
            monitor.is_rtp();
        }
        monitor.received(told.reception);
    }
}

fn number(event: &dyn Event, wanted: &str) -> Option<u64> {
    let mut found = None;
    event.fields(&mut |key, value| {
        if let (true, Value::Number(n)) = (key == wanted, value) {
            found = u64::try_from(n).ok();
        }
    });
    found
}

/// What is picked out of the counters of an input.
#[derive(Debug, Default)]
struct Told {
    sync_losses: u64,
    junk_bytes: u64,
    foreign: u64,
    reception: ReceptionCounts,
}

impl Counters for Told {
    fn put(&mut self, key: &str, value: Value) {
        match (key, value) {
            ("sync_losses_total", Value::Number(n)) => {
                self.sync_losses = u64::try_from(n).unwrap_or(0)
            }
            ("junk_bytes", Value::Number(n)) => self.junk_bytes = u64::try_from(n).unwrap_or(0),
            ("foreign_datagrams", Value::Number(n)) => self.foreign = u64::try_from(n).unwrap_or(0),
            (_, value) => self.reception.put(key, value),
        }
    }
}
