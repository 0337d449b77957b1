//! What a running tool has at hand.

use std::io::{self, IsTerminal, Write};
use std::rc::Rc;

use anyhow::Context as _;

use super::notify::Notify;
use super::report::Report;
use super::stats::Stats;
use super::{Common, Error, Level, Progress};
use crate::io::signal::Signals;
use crate::stream::Counters;
use crate::stream::event::Event;

/// Messages, statistics, signals and the service manager of one run.
#[derive(Debug)]
pub struct Context {
    report: Rc<Report>,
    stats: Stats,
    notify: Notify,
    signals: Signals,
    answer: io::BufWriter<io::Stdout>,
    stopping: bool,
}

impl Context {
    pub(super) fn new(tool: &str, common: &Common) -> Result<Self, Error> {
        Ok(Self {
            report: Rc::new(Report::new(tool, common.log_format, common.least())),
            stats: Stats::new(common.stats, common.stats_json.clone()),
            notify: Notify::new(),
            signals: Signals::install().context("cannot catch signals")?,
            answer: io::BufWriter::new(io::stdout()),
            stopping: false,
        })
    }

    /// The writer of stderr.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Prints an event, or counts it when its like was printed a moment ago.
    pub fn event(&self, event: &dyn Event) {
        self.report.event(event);
    }

    /// Prints a line.
    pub fn say(&self, level: Level, words: &str) {
        self.report.line(level, words);
    }

    /// Prints a page as it is on stderr, where stdout carries something else.
    pub fn page(&self, text: &str) {
        self.report.page(text);
    }

    /// stdout for an answer in words; it is flushed, and the flush checked, when the tool ends.
    pub fn answer(&mut self) -> &mut impl Write {
        &mut self.answer
    }

    /// Tells the service manager that the input is open.
    pub fn ready(&mut self) {
        self.notify.ready();
    }

    /// Tells the service manager how things are, in one line.
    pub fn status(&self, words: &str) {
        self.notify.status(words);
    }

    /// To be called in every turn of the data loop, idle turns included: feeds the watchdog and
    /// shows the counters that are due.
    pub fn turn(&mut self, counters: impl FnOnce(&mut dyn Counters)) {
        self.notify.turn();
        let asked = self.signals.take_statistics();
        self.stats.turn(&self.report, asked, false, counters);
        self.report.flush(false);
        if self.signals.stop() && !self.stopping {
            self.stopping = true;
            self.notify.stopping();
        }
    }

    /// To be called once after the data loop: shows the counters a last time.
    pub fn last_turn(&mut self, counters: impl FnOnce(&mut dyn Counters)) {
        let asked = self.signals.take_statistics();
        self.stats.turn(&self.report, asked, true, counters);
    }

    /// True when SIGINT or SIGTERM asked for the end.
    pub fn stopping(&self) -> bool {
        self.signals.stop()
    }

    /// The signals, for a thread or an endpoint that waits.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// The progress of work on `total` bytes.
    pub fn progress(&self, what: &str, total: u64) -> Progress {
        Progress::new(
            Rc::clone(&self.report),
            what,
            total,
            io::stderr().is_terminal(),
        )
    }

    /// Flushes stdout.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        Ok(self.answer.flush().context("cannot write to stdout")?)
    }
}
