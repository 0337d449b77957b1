//! Commands that are run when something happens: never waited for, and never too many.

use std::collections::VecDeque;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::clock::{Clock, SystemClock};
use crate::stream::Pending;
use crate::stream::event::{Event, Severity, Value};
use crate::units::{Arrival, Ticks27M};

/// Commands that run at one time at most.
const MAX_RUNNING: usize = 4;
/// Commands that wait for their turn at most; what is over is dropped and said.
const MAX_WAITING: usize = 256;
/// What a command is given to end.
const LONGEST_RUN: Ticks27M = Ticks27M::new(60 * 27_000_000);
/// How often is looked whether one has ended, at our own end.
const LOOK: Duration = Duration::from_millis(5);

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// It could not be started, or ended badly.
    Failed {
        /// How, in the system's words.
        how: String,
    },
    /// It ran for too long and was killed, or our own end came first.
    Overdue,
    /// Too many wait already.
    Dropped,
}

impl Event for HookEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "command_failed",
            Self::Overdue => "command_killed",
            Self::Dropped => "command_dropped",
        }
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        if let Self::Failed { how } = self {
            field("status", how.as_str().into());
        }
    }
}

type Environment = Vec<(&'static str, String)>;

/// Runs one command again and again, through `sh -c`, each time with an environment of its own.
/// What it prints goes to stderr.
#[derive(Debug)]
pub struct Hook {
    command: String,
    running: Vec<(Child, Arrival)>,
    waiting: VecDeque<Environment>,
    events: Pending<HookEvent>,
}

impl Hook {
    /// Nothing runs yet.
    pub fn new(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            running: Vec::new(),
            waiting: VecDeque::new(),
            events: Pending::new(),
        }
    }

    /// Runs the command with `environment` added to ours, now or when another has ended.
    pub fn run(&mut self, environment: Environment) {
        if self.waiting.len() == MAX_WAITING {
            self.events.push(HookEvent::Dropped);
            return;
        }
        self.waiting.push_back(environment);
        self.turn();
    }

    /// Sees to those that have ended and starts those that wait. Returns at once.
    pub fn turn(&mut self) {
        let now = SystemClock.now();
        let events = &mut self.events;
        self.running
            .retain_mut(|(child, since)| match child.try_wait() {
                Ok(Some(status)) => {
                    if !status.success() {
                        let how = status.to_string();
                        events.push(HookEvent::Failed { how });
                    }
                    false
                }
                Ok(None) if now - *since < LONGEST_RUN => true,
                // Its end is seen in a later turn.
                Ok(None) => {
                    kill(child);
                    *since = now;
                    events.push(HookEvent::Overdue);
                    true
                }
                Err(_) => false,
            });
        while self.running.len() < MAX_RUNNING {
            let Some(environment) = self.waiting.pop_front() else {
                return;
            };
            match self.start(environment) {
                Ok(child) => self.running.push((child, now)),
                Err(e) => self.events.push(HookEvent::Failed { how: e.to_string() }),
            }
        }
    }

    fn start(&self, environment: Environment) -> std::io::Result<Child> {
        // stdout may carry a stream.
        let script = format!("exec >&2\n{}", self.command);
        Command::new("sh")
            .args(["-c", &script])
            .envs(environment)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
    }

    /// Waits for those that run and wait, `patience` at most; what is left then is killed.
    pub fn finish(&mut self, patience: Duration) {
        let end = SystemClock.now() + Ticks27M::from(patience);
        self.turn();
        while !(self.running.is_empty() && self.waiting.is_empty()) {
            if SystemClock.now() >= end {
                self.waiting
                    .drain(..)
                    .for_each(|_| self.events.push(HookEvent::Dropped));
                for (mut child, _) in self.running.drain(..) {
                    kill(&child);
                    let _ = child.wait();
                    self.events.push(HookEvent::Overdue);
                }
                return;
            }
            std::thread::sleep(LOOK);
            self.turn();
        }
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
    }
}

fn kill(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(hook: &mut Hook) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        hook.drain_events(
            &mut |e| match counts.iter_mut().find(|(n, _)| *n == e.name()) {
                Some((_, count)) => *count += 1,
                None => counts.push((e.name(), 1)),
            },
        );
        counts
    }

    #[test]
    fn each_run_has_its_environment_and_none_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut hook = Hook::new(r#"echo x > "$FOLDER/$NUMBER""#);
        for number in 0..40 {
            hook.run(vec![
                ("FOLDER", folder.path().display().to_string()),
                ("NUMBER", number.to_string()),
            ]);
        }
        hook.finish(Duration::from_secs(30));
        assert_eq!(folder.path().read_dir().unwrap().count(), 40);
        assert_eq!(seen(&mut hook), []);
    }

    #[test]
    fn a_flood_and_commands_that_hang_are_bounded_and_said() {
        let mut hook = Hook::new("sleep 100");
        for _ in 0..MAX_RUNNING + MAX_WAITING + 3 {
            hook.run(Vec::new());
            assert!(hook.running.len() <= MAX_RUNNING);
        }
        assert_eq!(seen(&mut hook), [("command_dropped", 3)]);
        hook.finish(Duration::ZERO);
        assert!(hook.running.is_empty() && hook.waiting.is_empty());
    }

    #[test]
    fn a_command_that_fails_is_told_with_its_status() {
        let mut hook = Hook::new("exit 7");
        hook.run(Vec::new());
        hook.finish(Duration::from_secs(30));
        let mut said = Vec::new();
        hook.drain_events(&mut |e| e.fields(&mut |key, value| said.push((key, value))));
        assert_eq!(said, [("status", Value::from("exit status: 7"))]);
    }
}
