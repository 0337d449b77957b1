//! `--stats`, `--stats-json` and SIGUSR1: the counters of a running tool.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};

use super::Error;
use super::report::{Level, Report, to_json};
use crate::io::{Fault, OutputError, StagedFile};
use crate::stream::{Counters, Snapshot};

/// How often the file of `--stats-json` is replaced.
const FILE_INTERVAL: Duration = Duration::from_secs(1);

/// When counters were last shown, and where they go.
#[derive(Debug)]
pub(super) struct Stats {
    line_every: Option<Duration>,
    next_line: Instant,
    file: Option<PathBuf>,
    next_file: Instant,
    file_failed: bool,
}

impl Stats {
    pub(super) fn new(line_every: Option<Duration>, file: Option<PathBuf>) -> Self {
        let now = Instant::now();
        let next_line = now + line_every.unwrap_or_default();
        Self {
            line_every,
            next_line,
            file,
            next_file: now,
            file_failed: false,
        }
    }

    /// Shows what is due; `asked` is SIGUSR1, `end` the last turn. `counters` is called only
    /// when something is due.
    pub(super) fn turn(
        &mut self,
        report: &Report,
        asked: bool,
        end: bool,
        counters: impl FnOnce(&mut dyn Counters),
    ) {
        let now = Instant::now();
        let line = asked || self.line_every.is_some() && (end || now >= self.next_line);
        let file = self.file.is_some() && (end || now >= self.next_file);
        if !line && !file {
            return;
        }
        let mut seen = Snapshot::default();
        counters(&mut seen);
        if line {
            report.statistics(&seen);
            // Missed intervals are not made up for.
            self.next_line = now + self.line_every.unwrap_or_default();
        }
        if let Some(path) = self.file.as_deref().filter(|_| file) {
            self.next_file = now + FILE_INTERVAL;
            match replace(path, &json(&seen)) {
                Ok(()) => self.file_failed = false,
                Err(e) if !self.file_failed => {
                    let words = format!("no statistics: {}", Error::from(e));
                    report.line(Level::Warning, &words);
                    self.file_failed = true;
                }
                Err(_) => {}
            }
        }
    }
}

fn json(seen: &Snapshot) -> String {
    let object: Map<String, Json> = seen
        .iter()
        .map(|(key, value)| (key.to_owned(), to_json(value)))
        .collect();
    format!("{:#}\n", Json::Object(object))
}

/// A reader sees the old text or the new one.
fn replace(path: &Path, text: &str) -> Result<(), OutputError> {
    // Opening a FIFO waits for its reader, and a device is none to replace.
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        let fault = Fault::Unusable("statistics go to a regular file");
        return Err(OutputError::new(path.display(), fault));
    }
    let mut file = StagedFile::create(path)?;
    file.write(text.as_bytes())?;
    file.show()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_twice_keeps_its_place_and_its_last_value() {
        let mut seen = Snapshot::default();
        seen.set("in_packets", 1);
        seen.set("in_bytes", 188);
        seen.set("in_packets", 2);
        assert_eq!(
            serde_json::from_str::<Json>(&json(&seen)).unwrap(),
            serde_json::json!({"in_packets": 2, "in_bytes": 188})
        );
    }
}
