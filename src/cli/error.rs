//! How a tool ends when it does not end well.

use std::fmt;
use std::io;

use crate::io::EndpointError;
use crate::ring::RingError;

/// What a tool found, where it was asked a question.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done, or the answer is yes: status 0.
    Yes,
    /// The verdict is no, or nothing matched: status 1.
    No,
}

/// Why a tool stops, and with which status.
///
/// `?` on any error makes a failure, and on one of an endpoint or a ring what that says, with its
/// hint; [`Error::usage`] is said where a person's words are wrong.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    cause: anyhow::Error,
    hints: Vec<String>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing matched: status 1.
    Nothing,
    /// Wrong usage or configuration: status 2, a supervisor should not restart.
    Usage,
    /// Failed while running: status 3, a supervisor should restart.
    Failure,
}

impl Error {
    /// Nothing is as it was asked for: status 1.
    pub fn nothing(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            kind: Kind::Nothing,
            cause: cause.into(),
            hints: Vec::new(),
        }
    }

    /// The command line or a configuration file is wrong: status 2.
    pub fn usage(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            kind: Kind::Usage,
            cause: cause.into(),
            hints: Vec::new(),
        }
    }

    /// Something failed while running: status 3.
    pub fn failure(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            kind: Kind::Failure,
            cause: cause.into(),
            hints: Vec::new(),
        }
    }

    /// The input has ended, and there was something in it, but no packet: status 3. (An empty one
    /// ends as it does for cat(1).)
    pub fn no_stream(input: impl fmt::Display, bytes: u64) -> Self {
        Self::failure(anyhow::anyhow!(
            "'{input}' is no transport stream: no packet in {bytes} bytes"
        ))
        .hint(
            "packets of 188, 192 or 204 bytes begin with 0x47; \
             'ffprobe FILE' tells what else it is",
        )
    }

    /// What is written would take the place of a file of the ring that is read: status 2.
    pub fn own_file(output: impl fmt::Display, ring: impl fmt::Display) -> Self {
        Self::usage(anyhow::anyhow!(
            "'{output}' is a file of the ring '{ring}', which is read"
        ))
        .hint("write to a file outside of the ring")
    }

    /// Adds a line that says what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What to type next, in the order it was said.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The exit status: 1, 2 or 3.
    pub fn status(&self) -> u8 {
        match self.kind {
            Kind::Nothing => 1,
            Kind::Usage => 2,
            Kind::Failure => 3,
        }
    }

    /// True when the reader of our output went away, which is a normal end.
    pub fn is_broken_pipe(&self) -> bool {
        self.cause.chain().any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
        })
    }
}

impl fmt::Display for Error {
    /// The cause and what caused it, joined by colons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = String::new();
        for cause in self.cause.chain() {
            let text = cause.to_string();
            // An error that quotes its source in its own text is not quoted twice.
            if said.ends_with(&text) {
                continue;
            }
            if !said.is_empty() {
                said.push_str(": ");
            }
            said.push_str(&text);
        }
        f.write_str(&said)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Error {
    fn from(cause: E) -> Self {
        let error = Self::failure(cause);
        let (usage, hint) = if let Some(e) = error.cause.downcast_ref::<EndpointError>() {
            (e.is_usage(), e.hint())
        } else if let Some(e) = error.cause.downcast_ref::<RingError>() {
            (e.is_usage(), e.hint().map(str::to_owned))
        } else {
            return error;
        };
        let kind = match usage {
            true => Kind::Usage,
            false => Kind::Failure,
        };
        hint.into_iter().fold(Self { kind, ..error }, Self::hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Fault;
    use anyhow::{Context, anyhow};

    #[test]
    fn the_kind_gives_the_status_and_the_chain_gives_the_words() {
        let cause = io::Error::from(io::ErrorKind::PermissionDenied);
        let e = Error::from(
            Err::<(), _>(cause)
                .context("cannot open '/ring'")
                .unwrap_err(),
        );
        assert_eq!(
            (e.status(), e.to_string().as_str()),
            (3, "cannot open '/ring': permission denied")
        );
        let e = Error::usage(anyhow!("no such thing")).hint("type another");
        assert_eq!(
            (e.status(), e.hints()),
            (2, &["type another".to_owned()][..])
        );
    }

    #[test]
    fn an_endpoint_says_its_status_and_its_hint_itself() {
        let e = Error::from(EndpointError::new("stdin", Fault::Terminal));
        assert_eq!((e.status(), e.hints().len()), (2, 1));
        let e = Error::from(EndpointError::new("x", Fault::NoInterface("eth7".into())));
        assert_eq!(
            (e.status(), e.hints()),
            (3, &["'ip -br address' lists the interfaces".to_owned()][..])
        );
    }

    #[test]
    fn a_broken_pipe_is_found_however_deep() {
        let e = io::Error::from(io::ErrorKind::BrokenPipe);
        let e = Error::from(
            Err::<(), _>(e)
                .context("write")
                .context("stdout")
                .unwrap_err(),
        );
        assert!(e.is_broken_pipe());
        assert!(!Error::from(anyhow!("broken pipe")).is_broken_pipe());
    }
}
