//! Work with a known end: a bar on a terminal, a line now and then elsewhere.

use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::{Level, Report};
use crate::units::ByteCount;

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The progress of one piece of work, counted in bytes. Update it once a batch: each update of a
/// bar takes a lock.
#[derive(Debug)]
pub struct Progress {
    report: Rc<Report>,
    what: String,
    total: u64,
    bar: Option<ProgressBar>,
    next_line: Instant,
}

impl Progress {
    pub(super) fn new(report: Rc<Report>, what: &str, total: u64, bar: bool) -> Self {
        let bar = bar.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(what.to_owned());
            bar
        });
        let next_line = Instant::now() + LINE_INTERVAL;
        Self {
            report,
            what: what.to_owned(),
            total,
            bar,
            next_line,
        }
    }

    /// `done` bytes of the total are done.
    pub fn set(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if Instant::now() >= self.next_line {
            self.next_line = Instant::now() + LINE_INTERVAL;
            let percent = (u128::from(done) * 100).checked_div(u128::from(self.total));
            let (done, total) = (ByteCount::new(done), ByteCount::new(self.total));
            let words = format!(
                "{}: {done} of {total} ({} %)",
                self.what,
                percent.unwrap_or(100)
            );
            self.report.line(Level::Info, &words);
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
