//! Where alarms are told: JSON lines, and a command that is run.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::unwritten::Unwritten;
use crate::cli::{Context, Error};
use crate::io::Hook;
use crate::io::clock::{Clock, SystemClock};
use crate::monitor::Alarm;
use crate::si::ServiceId;
use crate::ts::Pid;

/// What running commands are given at the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// A line of `--events`: when by the wall clock, and what.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    alarm: &'a Alarm,
}

/// Where the lines go.
#[derive(Debug)]
enum Lines {
    Nowhere,
    Answer,
    File(File, PathBuf),
}

/// Tells alarms.
#[derive(Debug)]
pub(super) struct Notices {
    input: String,
    lines: Lines,
    hook: Option<Hook>,
    /// On stderr too: of an input that goes on.
    logged: bool,
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
    pub(super) fn open(
        events: Option<&Path>,
        command: Option<&str>,
        input: String,
        logged: bool,
    ) -> Result<Self, Error> {
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
            input,
            lines,
            hook: command.map(Hook::new),
            logged,
            unwritten: 0,
            torn: false,
        })
    }

    /// Tells an alarm. A file that takes no more is said; measuring goes on, and the next alarm
    /// is tried again.
    ///
    /// # Errors
    /// When nobody reads stdout any more.
    pub(super) fn tell(&mut self, alarm: &Alarm, context: &mut Context) -> Result<(), Error> {
        let time = SystemClock.wall().to_string();
        if self.logged {
            context.event(alarm);
        }
        if let Some(hook) = &mut self.hook {
            hook.run(environment(alarm, &self.input, &time)?);
        }
        if matches!(self.lines, Lines::Nowhere) {
            return Ok(());
        }
        let line = serde_json::to_string(&Line { time, alarm })? + "\n";
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

    /// To be called in every turn.
    pub(super) fn turn(&mut self, context: &Context) {
        if let Some(hook) = &mut self.hook {
            hook.turn();
            hook.drain_events(&mut |e| context.event(e));
        }
    }

    /// Waits a little for commands that run.
    ///
    /// # Errors
    /// When a file did not take all lines.
    pub(super) fn finish(&mut self, context: &Context) -> Result<(), Error> {
        if let Some(hook) = &mut self.hook {
            hook.finish(PATIENCE);
            hook.drain_events(&mut |e| context.event(e));
        }
        match &self.lines {
            Lines::File(_, path) if self.unwritten > 0 => {
                let (n, path) = (self.unwritten, path.display());
                Err(anyhow!("{n} alarms were not written to '{path}'").into())
            }
            _ => Ok(()),
        }
    }
}

/// What a command is told of an alarm.
fn environment(
    alarm: &Alarm,
    input: &str,
    time: &str,
) -> Result<Vec<(&'static str, String)>, Error> {
    let pid = alarm.pid().as_ref().map(Pid::to_string);
    let service = alarm.service_id().as_ref().map(ServiceId::to_string);
    Ok(vec![
        ("TSMON_EVENT", alarm.word().to_owned()),
        ("TSMON_CHECK", alarm.check.name().to_owned()),
        ("TSMON_NUMBER", alarm.check.number().to_owned()),
        (
            "TSMON_PRIORITY",
            alarm.check.priority().number().to_string(),
        ),
        ("TSMON_SUBJECT", alarm.subject.to_string()),
        ("TSMON_PID", pid.unwrap_or_default()),
        ("TSMON_SERVICE", service.unwrap_or_default()),
        ("TSMON_AT_MS", alarm.at.time.as_millis().to_string()),
        ("TSMON_AT_PACKET", alarm.at.position.to_string()),
        ("TSMON_COUNT", alarm.count.to_string()),
        ("TSMON_INPUT", input.to_owned()),
        ("TSMON_TIME", time.to_owned()),
        ("TSMON_JSON", serde_json::to_string(alarm)?),
    ])
}
