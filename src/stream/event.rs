//! What machines observe, as values.
//!
//! Each machine has a small enum of its own that implements [`Event`]. Values rise to the tool;
//! `cli::report` turns them into lines of text or JSON and counts repeats. A name, once released,
//! never changes: people grep for it.

use std::fmt;

use crate::ts::Pid;

/// How much an event matters to the person on call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing: a source changed, a table has a new version.
    Info,
    /// Something is damaged or late, and was dealt with.
    Warning,
    /// Something was lost.
    Error,
}

/// What an event is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The transport stream as a whole.
    Stream,
    /// One PID.
    Pid(Pid),
    /// One service, by service_id.
    Service(u16),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream => f.write_str("stream"),
            Self::Pid(pid) => write!(f, "PID {pid}"),
            Self::Service(id) => write!(f, "service {id}"),
        }
    }
}

/// A value of a field of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A count or a number with its unit in the field's name (`_ms`, `_bytes`, `_packets`).
    Number(i64),
    /// A word or a sentence.
    Text(String),
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Number(n)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Number(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::Text(s.to_owned())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Text(s)
    }
}

/// An observation.
pub trait Event {
    /// The stable name, in snake case.
    fn name(&self) -> &'static str;

    /// How much it matters.
    fn severity(&self) -> Severity;

    /// What it is about.
    fn subject(&self) -> Subject {
        Subject::Stream
    }

    /// Hands over each field, unit in the key.
    fn fields(&self, _field: &mut dyn FnMut(&'static str, Value)) {}
}
