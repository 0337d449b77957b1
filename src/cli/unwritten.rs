//! A file that takes no more, for one that goes on: a full disk is no reason to lose a stream.

use std::path::Path;

use crate::stream::event::{Event, Severity, Value};

/// `file_unwritten`: something could not be written to a file of `--events` or `--report-file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    file: String,
    why: String,
}

impl Unwritten {
    /// `file` did not take it, for this reason.
    pub fn new(file: &Path, why: String) -> Self {
        Self {
            file: file.display().to_string(),
            why,
        }
    }
}

impl Event for Unwritten {
    fn name(&self) -> &'static str {
        "file_unwritten"
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        field("file", self.file.as_str().into());
        field("reason", self.why.as_str().into());
    }
}
