//! `--stats`, `--stats-json` and SIGUSR1: the counters of a running tool.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};

use super::report::{Level, Report, to_json};
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
                    let path = path.display();
                    report.line(
                        Level::Warning,
                        &format!("cannot write statistics '{path}': {e}"),
                    );
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

/// Writes beside the file and renames, so that a reader sees the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path).inspect_err(|_| drop(std::fs::remove_file(&beside)))
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
