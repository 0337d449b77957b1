//! The only writer of stderr: lines for people, or JSON lines for programs.
//!
//! A line is `tool: LEVEL: words`. An event's line starts with its stable name and its subject
//! (`tsrecv: warning: rtp_lost stream: lost_packets=3`). A repeat of an event about the same
//! subject within [`QUIET`] is counted, and the count is printed when that time is over. What is told
//! of another input or endpoint is no repeat.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Map, json};

use super::visible;
use crate::stream::Snapshot;
use crate::stream::event::{Event, Severity, Subject, Value};
use crate::units::WallTime;

/// How long repeats of an event are counted before they are printed together.
pub const QUIET: Duration = Duration::from_secs(10);

/// Fields that say of which of several inputs an event is.
const WHOSE: [&str; 3] = ["input", "endpoint", "decoder_of_input"];

/// How many different (event, subject) pairs are remembered; more are printed one by one.
const REMEMBERED: usize = 4096;

/// How weighty a line is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Detail that only `-v` shows.
    Debug,
    /// Worth knowing.
    Info,
    /// Damaged or late, and dealt with.
    Warning,
    /// Lost, or the reason why the tool ends.
    Error,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The journal's priority (sd-daemon(3)).
    const fn priority(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Error,
        }
    }
}

/// How lines are written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `tool: level: words`
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl Format {
    /// What `--log-format` says on a command line that cannot be parsed.
    pub(super) fn asked(words: impl IntoIterator<Item = std::ffi::OsString>) -> Self {
        let words: Vec<_> = words.into_iter().take_while(|w| w != "--").collect();
        let json = words
            .windows(2)
            .any(|w| w[0] == "--log-format" && w[1] == "json")
            || words.iter().any(|w| w == "--log-format=json");
        if json { Self::Json } else { Self::Text }
    }
}

/// Lines that are kept at most while stderr is drawn on.
pub const HELD: usize = 200;

/// What is done with lines.
#[derive(Debug)]
enum Stderr {
    Open,
    Closed,
    /// Kept, and how many more there were before.
    Held(VecDeque<String>, u64),
}

/// Writes lines to stderr.
#[derive(Debug)]
pub struct Report {
    tool: String,
    format: Format,
    least: Level,
    journal: bool,
    stderr: Mutex<Stderr>,
    repeats: Mutex<HashMap<Key, Repeat>>,
}

/// What an event repeats: one of its name, about the same, of the same input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    name: &'static str,
    subject: Subject,
    whose: Option<String>,
}

impl Key {
    fn new(name: &'static str, subject: Subject, fields: &[(&'static str, Value)]) -> Self {
        let whose = fields.iter().find(|(key, _)| WHOSE.contains(key));
        let whose = whose.map(|(_, value)| match value {
            Value::Number(n) => n.to_string(),
            Value::Text(text) => text.clone(),
        });
        Self {
            name,
            subject,
            whose,
        }
    }
}

#[derive(Debug)]
struct Repeat {
    level: Level,
    since: Instant,
    more: u64,
    last: Vec<(&'static str, Value)>,
}

impl Report {
    /// A report for `tool` that prints lines of at least `least`.
    pub fn new(tool: &str, format: Format, least: Level) -> Self {
        Self {
            tool: tool.to_owned(),
            format,
            least,
            journal: stderr_is_the_journal(),
            stderr: Mutex::new(Stderr::Open),
            repeats: Mutex::new(HashMap::new()),
        }
    }

    /// Says nothing from now on: stderr belongs to somebody who reads a protocol there.
    pub fn silence(&self) {
        *self.stderr() = Stderr::Closed;
    }

    /// Keeps lines, the newest [`HELD`], until [`release`](Self::release): stderr is a screen that
    /// something is drawn on.
    pub fn hold(&self) {
        *self.stderr() = Stderr::Held(VecDeque::new(), 0);
    }

    /// Prints the lines that were kept.
    pub fn release(&self) {
        let Stderr::Held(lines, more) = std::mem::replace(&mut *self.stderr(), Stderr::Open) else {
            return;
        };
        if more > 0 {
            self.line(
                Level::Warning,
                &format!("{more} lines before these were not kept"),
            );
        }
        let lines: String = lines.into_iter().collect();
        let _ = std::io::stderr().lock().write_all(lines.as_bytes());
    }

    fn stderr(&self) -> std::sync::MutexGuard<'_, Stderr> {
        self.stderr
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Prints a line.
    pub fn line(&self, level: Level, words: &str) {
        self.write(level, None, words, &[]);
    }

    /// Prints lines as they are, whatever is asked to be said.
    pub(super) fn page(&self, text: &str) {
        self.raw(Level::Info, text);
    }

    /// Prints a `hint:` line: what to type next.
    pub fn hint(&self, words: &str) {
        if self.format == Format::Json {
            self.write(Level::Error, Some(("hint", Subject::Stream)), words, &[]);
        } else {
            self.raw(Level::Error, &format!("{}: hint: {words}", self.tool));
        }
    }

    /// Prints counters, each as a field.
    pub fn statistics(&self, seen: &Snapshot) {
        let fields: Vec<_> = seen
            .iter()
            .map(|(key, value)| (key, value.clone()))
            .collect();
        let words = match self.format {
            Format::Text => "statistics:",
            Format::Json => "statistics",
        };
        self.write(Level::Info, None, words, &fields);
    }

    /// Prints an event, or counts it when its like was printed a moment ago.
    pub fn event(&self, event: &dyn Event) {
        let (name, subject, level) = (event.name(), event.subject(), event.severity().into());
        if level < self.least {
            return;
        }
        let mut fields = Vec::new();
        event.fields(&mut |key, value| fields.push((key, value)));
        {
            let key = Key::new(name, subject, &fields);
            let mut repeats = self.repeats();
            if let Some(repeat) = repeats.get_mut(&key) {
                repeat.more += 1;
                repeat.last = fields;
                return;
            }
            if repeats.len() < REMEMBERED {
                let since = Instant::now();
                repeats.insert(
                    key,
                    Repeat {
                        level,
                        since,
                        more: 0,
                        last: Vec::new(),
                    },
                );
            }
        }
        self.write(level, Some((name, subject)), "", &fields);
    }

    /// Prints the counts of repeats whose time is over; all of them when `end`.
    pub fn flush(&self, end: bool) {
        let mut over = Vec::new();
        self.repeats().retain(|key, repeat| {
            if !end && repeat.since.elapsed() < QUIET {
                return true;
            }
            if repeat.more == 0 {
                return false;
            }
            let ms = u64::try_from(repeat.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            over.push((
                (key.name, key.subject),
                repeat.level,
                repeat.more,
                ms,
                std::mem::take(&mut repeat.last),
            ));
            // It still goes on: the next ten seconds are counted from here.
            repeat.since = Instant::now();
            repeat.more = 0;
            true
        });
        for (key, level, more, ms, mut fields) in over {
            fields.push(("repeats_total", more.into()));
            fields.push(("within_ms", ms.into()));
            self.write(level, Some(key), "", &fields);
        }
    }

    fn repeats(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Repeat>> {
        self.repeats
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(
        &self,
        level: Level,
        event: Option<(&'static str, Subject)>,
        words: &str,
        fields: &[(&str, Value)],
    ) {
        if level < self.least {
            return;
        }
        let line = match self.format {
            Format::Text => text_line(&self.tool, level, event, words, fields),
            Format::Json => json_line(&self.tool, level, event, words, fields),
        };
        self.raw(level, &line);
    }

    /// One write a line, so that lines of several processes do not mix. A stderr that is gone is
    /// no reason to stop a stream.
    fn raw(&self, level: Level, line: &str) {
        let mut out = String::with_capacity(line.len() + 8);
        for part in line.lines() {
            if self.journal {
                let _ = write!(out, "<{}>", level.priority());
            }
            out.push_str(part);
            out.push('\n');
        }
        match &mut *self.stderr() {
            Stderr::Open => drop(std::io::stderr().lock().write_all(out.as_bytes())),
            Stderr::Closed => {}
            Stderr::Held(lines, more) => {
                lines.push_back(out);
                if lines.len() > HELD {
                    lines.pop_front();
                    *more += 1;
                }
            }
        }
    }
}

fn text_line(
    tool: &str,
    level: Level,
    event: Option<(&'static str, Subject)>,
    words: &str,
    fields: &[(&str, Value)],
) -> String {
    let mut line = format!("{tool}: {}: ", level.word());
    if let Some((name, subject)) = event {
        let _ = write!(line, "{name} {subject}");
        line.push_str(if fields.is_empty() { "" } else { ":" });
    }
    // Words of several lines are meant; other control characters can only have come from outside.
    for (n, words) in words.split('\n').enumerate() {
        line.push_str(if n > 0 { "\n" } else { "" });
        line.push_str(&visible(words));
    }
    for (key, value) in fields {
        let _ = match value {
            Value::Number(n) => write!(line, " {key}={n}"),
            Value::Text(t) if t.is_empty() || t.contains(is_quoted) => {
                write!(line, " {key}={t:?}")
            }
            Value::Text(t) => write!(line, " {key}={t}"),
        };
    }
    line
}

/// True for what would end a field, or the line, or what a terminal obeys.
fn is_quoted(c: char) -> bool {
    matches!(c, ' ' | '"' | '=') || c.is_control()
}

fn json_line(
    tool: &str,
    level: Level,
    event: Option<(&'static str, Subject)>,
    words: &str,
    fields: &[(&str, Value)],
) -> String {
    let mut object = Map::new();
    let now = jiff::Timestamp::now().as_millisecond();
    object.insert(
        "time".into(),
        json!(WallTime::from_unix_millis(now).to_string()),
    );
    object.insert("tool".into(), json!(tool));
    object.insert("level".into(), json!(level.word()));
    if let Some((name, subject)) = event {
        object.insert("event".into(), json!(name));
        match subject {
            Subject::Stream => {}
            Subject::Pid(pid) => drop(object.insert("pid".into(), json!(pid.get()))),
            Subject::Service(id) => drop(object.insert("service".into(), json!(id))),
        }
    }
    if !words.is_empty() {
        object.insert("message".into(), json!(words));
    }
    for (key, value) in fields {
        object.insert((*key).into(), to_json(value));
    }
    serde_json::Value::Object(object).to_string()
}

/// A field's value as JSON.
pub fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(n) => json!(n),
        Value::Text(t) => json!(t),
    }
}

/// True when `JOURNAL_STREAM` names the file behind stderr (systemd.exec(5)).
fn stderr_is_the_journal() -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let file = std::io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .map(std::fs::File::from);
    file.and_then(|f| f.metadata())
        .is_ok_and(|m| stream == format!("{}:{}", m.dev(), m.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::Pid;

    #[test]
    fn a_line_names_the_event_its_subject_and_its_fields() {
        let event = Some((
            "continuity_count_error",
            Subject::Pid(Pid::from_field(0x100)),
        ));
        let fields = [
            ("lost_packets", Value::from(3u64)),
            ("what", Value::from("a b")),
        ];
        assert_eq!(
            text_line("tsrecv", Level::Warning, event, "", &fields),
            r#"tsrecv: warning: continuity_count_error PID 0x0100: lost_packets=3 what="a b""#
        );
        // What a stream or a program says is on one line, and nothing that a terminal obeys.
        let text = "x\ntsrecv:\u{1b}[2J\u{9b}1m";
        let fields = [("line", Value::from(text))];
        let line = text_line("tsrecv", Level::Info, event, "", &fields);
        let (_, said) = line.split_once(": line=").unwrap();
        assert_eq!(said, r#""x\ntsrecv:\u{1b}[2J\u{9b}1m""#);
        let line = text_line("tsrecv", Level::Info, None, "a\u{1b}\r\nb", &[]);
        assert_eq!(line, "tsrecv: info: a\\u{1b}\\r\nb");
        let fields = [
            ("lost_packets", Value::from(3u64)),
            ("what", Value::from("a b")),
        ];
        let json: serde_json::Value =
            serde_json::from_str(&json_line("tsrecv", Level::Warning, event, "", &fields)).unwrap();
        assert_eq!(
            (&json["event"], &json["pid"]),
            (&json!("continuity_count_error"), &json!(256))
        );
        assert_eq!(
            (&json["level"], &json["lost_packets"]),
            (&json!("warning"), &json!(3))
        );
    }
}
