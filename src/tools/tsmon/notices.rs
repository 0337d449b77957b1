//! Where alarms are told: JSON lines, and a command that is run.

use std::path::Path;

use serde::Serialize;

use crate::cli::{self, Context, Error};
use crate::io::clock::{Clock, SystemClock};
use crate::monitor::Alarm;
use crate::si::ServiceId;
use crate::ts::Pid;

/// A line of `--events`: when by the wall clock, and what.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    alarm: &'a Alarm,
}

/// Tells alarms.
#[derive(Debug)]
pub(super) struct Notices {
    input: String,
    told: cli::Notices,
    /// On stderr too: of an input that goes on.
    logged: bool,
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
        Ok(Self {
            input,
            told: cli::Notices::open(events, command)?,
            logged,
        })
    }

    /// Tells an alarm. A file that takes no more is said; measuring goes on.
    ///
    /// # Errors
    /// When nobody reads stdout any more.
    pub(super) fn tell(&mut self, alarm: &Alarm, context: &mut Context) -> Result<(), Error> {
        let time = SystemClock.wall().to_string();
        if self.logged {
            context.event(alarm);
        }
        if self.told.has_command() {
            self.told.run(environment(alarm, &self.input, &time)?);
        }
        self.told.line(&Line { time, alarm }, context)
    }

    /// To be called in every turn.
    pub(super) fn turn(&mut self, context: &Context) {
        self.told.turn(context);
    }

    /// Waits a little for commands that run.
    ///
    /// # Errors
    /// When a file did not take all lines.
    pub(super) fn finish(&mut self, context: &Context) -> Result<(), Error> {
        self.told.finish(context)
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
