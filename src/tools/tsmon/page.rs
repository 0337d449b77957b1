//! Where the report goes, and in which form.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::later::Later;
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
    /// What writes reports on the way to the file; `None` before the first.
    later: Option<Later>,
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
            later: None,
        };
        if page.form == Form::Html && page.file.is_none() && (page.aside || page.lines) {
            let words =
                "a page for a browser needs a file of its own beside --interval or --events -";
            let hint = "add --report-file FILE.html";
            return Err(Error::usage(anyhow!(words)).hint(hint));
        }
        // Now, and not when hours of measuring are to be written. A FIFO has no reader yet.
        let special =
            |path: &&PathBuf| fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir());
        if let Some(path) = page.file.as_ref().filter(|path| !special(path)) {
            StagedFile::create(path)
                .map_err(|e| Error::usage(e).hint("--report-file takes a file"))?;
        }
        Ok(page)
    }

    /// A report on the way of an input that goes on, of which another follows: measuring does not
    /// wait for its file, and goes on where that does not take it, which is said.
    ///
    /// # Errors
    /// When nobody reads stdout any more.
    pub(super) fn print_meanwhile(
        &mut self,
        monitor: &Monitor,
        context: &mut Context,
    ) -> Result<(), Error> {
        let Some(path) = self.file.clone() else {
            return self.print(monitor, context);
        };
        let text = self.text(monitor, context)?;
        let later = match &mut self.later {
            Some(later) => later,
            empty => empty.insert(Later::start(path)?),
        };
        later.write(text);
        later.turn(context);
        Ok(())
    }

    fn text(&self, monitor: &Monitor, context: &mut Context) -> Result<String, Error> {
        let report = monitor.report();
        Ok(match self.form {
            Form::Text => text::page(&report),
            Form::Json if self.lines => serde_json::to_string(&report)? + "\n",
            Form::Json => serde_json::to_string_pretty(&report)? + "\n",
            Form::Html => html::page(&report, &self.input, SystemClock.wall()),
            Form::Profile => learn::page(&report, &self.input, context)?,
        })
    }

    /// The report as it is now.
    ///
    /// # Errors
    /// When its file cannot be written, or nobody reads stdout any more.
    pub(super) fn print(&mut self, monitor: &Monitor, context: &mut Context) -> Result<(), Error> {
        if let Some(later) = self.later.take() {
            later.finish(context);
        }
        let text = self.text(monitor, context)?;
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
