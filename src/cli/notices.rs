//! Where news are told: JSON lines, and a command that is run.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::{Context, Error, Unwritten};
use crate::io::Hook;

/// What running commands are given at the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the lines go.
#[derive(Debug)]
enum Lines {
    Nowhere,
    Answer,
    File(File, PathBuf),
}

/// Tells news: `--events` and `--exec`.
#[derive(Debug)]
pub struct Notices {
    lines: Lines,
    hook: Option<Hook>,
    /// Lines that a file did not take.
    unwritten: u64,
    /// The file may end within a line.
    torn: bool,
}

impl Notices {
    /// Opens what was asked for; `events` is a file that is appended to, or `-` for stdout.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(events: Option<&Path>, command: Option<&str>) -> Result<Self, Error> {
        let lines = match events {
            None => Lines::Nowhere,
            Some(path) if path == Path::new("-") => Lines::Answer,
            Some(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                let file = file.with_context(|| format!("cannot open '{}'", path.display()));
                let file = file.map_err(|e| Error::usage(e).hint("--events takes a file or -"))?;
                Lines::File(file, path.to_owned())
            }
        };
        Ok(Self {
            lines,
            hook: command.map(Hook::new),
            unwritten: 0,
            torn: false,
        })
    }

    /// True when a command is run.
    pub const fn has_command(&self) -> bool {
        self.hook.is_some()
    }

    /// Writes a line. A file that takes no more is said, and the next line is tried again.
    ///
    /// # Errors
    /// When nobody reads stdout any more.
    pub fn line(&mut self, line: &impl Serialize, context: &mut Context) -> Result<(), Error> {
        if matches!(self.lines, Lines::Nowhere) {
            return Ok(());
        }
        let line = serde_json::to_string(line)? + "\n";
        match &mut self.lines {
            Lines::Nowhere => {}
            Lines::Answer => {
                let out = context.answer();
                let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
                written.context("cannot write to stdout")?;
            }
            Lines::File(file, path) => {
                let line = if self.torn { format!("\n{line}") } else { line };
                let written = file.write_all(line.as_bytes());
                self.torn = written.is_err();
                if let Err(e) = written {
                    self.unwritten += 1;
                    context.event(&Unwritten::new(path, e.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Runs the command with `environment` added to ours.
    pub fn run(&mut self, environment: Vec<(&'static str, String)>) {
        if let Some(hook) = &mut self.hook {
            hook.run(environment);
        }
    }

    /// To be called in every turn.
    pub fn turn(&mut self, context: &Context) {
        if let Some(hook) = &mut self.hook {
            hook.turn();
            hook.drain_events(&mut |e| context.event(e));
        }
    }

    /// Waits a little for commands that run.
    ///
    /// # Errors
    /// When a file did not take all lines.
    pub fn finish(&mut self, context: &Context) -> Result<(), Error> {
        if let Some(hook) = &mut self.hook {
            hook.finish(PATIENCE);
            hook.drain_events(&mut |e| context.event(e));
        }
        match &self.lines {
            Lines::File(_, path) if self.unwritten > 0 => {
                let (n, path) = (self.unwritten, path.display());
                Err(anyhow!("{n} lines were not written to '{path}'").into())
            }
            _ => Ok(()),
        }
    }
}
