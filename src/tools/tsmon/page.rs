//! Where the report goes, and in which form.

use std::io::Write as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::{Args, Form, html, learn, text};
use crate::cli::{Context, Error};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{Endpoint, StagedFile};
use crate::monitor::Monitor;

/// Where the report goes, and how.
pub(super) struct Page {
    form: Form,
    file: Option<PathBuf>,
    /// stdout carries something else.
    aside: bool,
    /// stdout belongs to snmpd, which is not to read a report.
    silent: bool,
    /// One object a line.
    lines: bool,
    /// What is measured, as it was typed.
    input: String,
}

impl Page {
    pub(super) fn new(args: &Args, input: &Endpoint) -> Result<Self, Error> {
        let page = Self {
            form: args.report,
            file: args.report_file.clone(),
            aside: args.pass || args.events.as_deref() == Some(Path::new("-")),
            silent: args.outside.is_agent(),
            lines: args.interval.is_some() && args.report_file.is_none(),
            input: input.to_string(),
        };
        if page.form == Form::Html && page.file.is_none() && (page.aside || page.lines) {
            let words =
                "a page for a browser needs a file of its own beside --interval or --events -";
            let hint = "add --report-file FILE.html";
            return Err(Error::usage(anyhow!(words)).hint(hint));
        }
        // Said now, and not when hours were measured. A FIFO has no reader yet.
        let fifo = |path: &&PathBuf| std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo());
        if let Some(path) = page.file.as_ref().filter(|path| !fifo(path)) {
            StagedFile::create(path)
                .map_err(|e| Error::usage(e).hint("--report-file takes a file"))?;
        }
        Ok(page)
    }

    pub(super) fn print(&self, monitor: &Monitor, context: &mut Context) -> Result<(), Error> {
        let report = monitor.report();
        let text = match self.form {
            Form::Text => text::page(&report),
            Form::Json if self.lines => serde_json::to_string(&report)? + "\n",
            Form::Json => serde_json::to_string_pretty(&report)? + "\n",
            Form::Html => html::page(&report, &self.input, SystemClock.wall()),
            Form::Profile => learn::page(&report, &self.input, context)?,
        };
        if let Some(path) = &self.file {
            let mut file = StagedFile::create(path)?;
            file.write(text.as_bytes())?;
            file.place()?;
        } else if self.silent {
            return Ok(());
        } else if self.aside {
            context.page(&text);
        } else {
            let out = context.answer();
            let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            written.context("cannot write to stdout")?;
        }
        Ok(())
    }
}
