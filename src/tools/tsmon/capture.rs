//! Extracts of a ring around alarms: evidence that is still there in the morning.
//!
//! A thread of its own waits until the time after an alarm is recorded, and copies. The monitor
//! never waits for it.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::Least;
use crate::cli::{Context, Error};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{Relay, StagedFile};
use crate::monitor::{Alarm, Check, Priority};
use crate::ring::{Disk, Ring, RingError};
use crate::stream::event::{Event, Severity, Value};
use crate::ts::PACKET_SIZE;
use crate::units::{ByteCount, Ticks27M, WallTime};

/// Extracts that wait for their time at most; an alarm more is left out, and said.
const WAITING: usize = 64;
/// How long after its time a packet may come to stand in a ring: a recorder completes blocks
/// within a second.
const RECORDED: Ticks27M = Ticks27M::from_millis(1500);
/// How often the thread looks at the clock.
const TURN: Duration = Duration::from_millis(200);
/// Bytes copied at a time.
const BUFFER: usize = (1 << 20) / PACKET_SIZE * PACKET_SIZE;

/// Options of extracts.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Extracts")]
pub struct CaptureArgs {
    /// Copy what is around an alarm out of this ring, which records the same stream
    #[arg(long, value_name = "RING", requires = "into")]
    capture: Option<PathBuf>,

    /// Put extracts into this directory
    #[arg(long, value_name = "DIR", requires = "capture")]
    into: Option<PathBuf>,

    /// Begin an extract so long before its alarm
    #[arg(long, value_name = "DURATION", default_value = "20s",
          value_parser = humantime::parse_duration)]
    before: Duration,

    /// End an extract so long after its alarm
    #[arg(long, value_name = "DURATION", default_value = "20s",
          value_parser = humantime::parse_duration)]
    after: Duration,

    /// Of one check, take one extract in this time
    #[arg(long, value_name = "DURATION", default_value = "5m",
          value_parser = humantime::parse_duration)]
    capture_every: Duration,

    /// Remove the oldest extracts so that all together stay below this
    #[arg(long, value_name = "SIZE", default_value = "10GB")]
    capture_bytes: ByteCount,

    /// Take extracts of alarms of this priority and of more weighty ones
    #[arg(long, value_name = "PRIORITY", value_enum, default_value = "p2")]
    capture_on: Least,
}

/// What becomes of extracts.
#[derive(Clone, Debug, PartialEq)]
pub enum CaptureEvent {
    /// `extract_taken`.
    Taken {
        /// The file.
        file: String,
        /// Its bytes.
        bytes: u64,
    },
    /// `extract_failed`: no file.
    Failed {
        /// The file that it would have been.
        file: String,
        /// Why.
        why: String,
    },
    /// `extract_ring_missing`: the ring is not there yet.
    NoRing {
        /// Its directory.
        ring: String,
    },
    /// `extract_left_out`: too many wait.
    LeftOut {
        /// Whose.
        check: Check,
    },
    /// `extract_removed`: the oldest, for room.
    Removed {
        /// The file.
        file: String,
    },
}

impl Event for CaptureEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "extract_taken",
            Self::Failed { .. } => "extract_failed",
            Self::NoRing { .. } => "extract_ring_missing",
            Self::LeftOut { .. } => "extract_left_out",
            Self::Removed { .. } => "extract_removed",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Taken { .. } | Self::Removed { .. } => Severity::Info,
            Self::Failed { .. } | Self::NoRing { .. } | Self::LeftOut { .. } => Severity::Warning,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Taken { file, bytes } => {
                field("file", file.as_str().into());
                field("bytes", (*bytes).into());
            }
            Self::Failed { file, why } => {
                field("file", file.as_str().into());
                field("reason", why.as_str().into());
            }
            Self::NoRing { ring } => field("ring", ring.as_str().into()),
            Self::LeftOut { check } => field("check", check.name().into()),
            Self::Removed { file } => field("file", file.as_str().into()),
        }
    }
}

/// An extract to be taken.
struct Wanted {
    at: WallTime,
    stem: String,
    alarm: String,
}

/// Takes extracts.
pub struct Capture {
    wanted: Option<Sender<Wanted>>,
    /// How many were asked for and not taken yet: [`WAITING`] at most.
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    relay: Relay,
    on: Priority,
    every: Ticks27M,
    /// When the last extract of a check was asked for.
    last: HashMap<Check, WallTime>,
}

impl CaptureArgs {
    /// Begins to take extracts, where it was asked for.
    ///
    /// # Errors
    /// Where what is there is no ring, or no directory can be made.
    pub fn open(&self) -> Result<Option<Capture>, Error> {
        let (Some(ring), Some(into)) = (&self.capture, &self.into) else {
            return Ok(None);
        };
        let relay = Relay::default();
        match Ring::open(Arc::new(Disk), ring) {
            Ok(_) | Err(RingError::Empty { .. }) => {}
            // Its recorder has not begun yet: each extract looks for the ring again.
            Err(RingError::Io { source, .. })
                if source.kind() == ErrorKind::NotFound && has_place(ring) =>
            {
                relay.post(&CaptureEvent::NoRing {
                    ring: ring.display().to_string(),
                });
            }
            Err(e) => return Err(Error::usage(e).hint("--capture takes a ring of tsring record")),
        }
        let made = fs::create_dir_all(into);
        made.with_context(|| format!("cannot make '{}'", into.display()))
            .map_err(Error::usage)?;
        let (sender, receiver) = channel();
        let waiting = Arc::default();
        let worker = Worker {
            ring: ring.clone(),
            into: into.clone(),
            before: Ticks27M::from(self.before),
            after: Ticks27M::from(self.after),
            most: self.capture_bytes.get(),
            relay: relay.clone(),
            count: Arc::clone(&waiting),
            waiting: VecDeque::new(),
        };
        let thread = std::thread::Builder::new()
            .name("capture".into())
            .spawn(move || worker.run(&receiver))?;
        Ok(Some(Capture {
            wanted: Some(sender),
            waiting,
            thread: Some(thread),
            relay,
            on: self.capture_on.priority(),
            every: Ticks27M::from(self.capture_every),
            last: HashMap::new(),
        }))
    }
}

impl Capture {
    /// An alarm was raised now.
    pub fn alarm(&mut self, alarm: &Alarm) {
        let at = SystemClock.wall();
        let recent = self.last.get(&alarm.check);
        let too_soon = recent.is_some_and(|last| at - *last < self.every);
        if !alarm.raised || alarm.check.priority() > self.on || too_soon {
            return;
        }
        if self.waiting.load(Ordering::Relaxed) >= WAITING {
            let event = CaptureEvent::LeftOut { check: alarm.check };
            return self.relay.post(&event);
        }
        self.last.insert(alarm.check, at);
        let wanted = Wanted {
            at,
            stem: stem(at, alarm),
            alarm: serde_json::to_string_pretty(alarm).unwrap_or_default(),
        };
        if let Some(sender) = &self.wanted {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let _ = sender.send(wanted);
        }
    }

    /// Says what became of extracts.
    pub fn turn(&self, context: &Context) {
        self.relay.drain_events(&mut |event| context.event(event));
    }

    /// Takes what still waits, as far as it is recorded: nothing comes after the end.
    pub fn finish(mut self, context: &Context) {
        drop(self.wanted.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.turn(context);
    }
}

/// True where a recorder can make this directory: the one above it is there.
fn has_place(ring: &Path) -> bool {
    let above = ring.parent().filter(|path| !path.as_os_str().is_empty());
    above.unwrap_or(Path::new(".")).is_dir()
}

/// `20261122T210944.123Z_continuity_count_error_pid_0x0100`
fn stem(at: WallTime, alarm: &Alarm) -> String {
    let subject = alarm.subject.to_string().to_lowercase().replace(' ', "_");
    let time = at.to_string().replace(['-', ':'], "");
    format!("{time}_{}_{subject}", alarm.check.name())
}

/// The thread.
struct Worker {
    ring: PathBuf,
    into: PathBuf,
    before: Ticks27M,
    after: Ticks27M,
    most: u64,
    relay: Relay,
    /// How many wait, those included that are on their way here.
    count: Arc<AtomicUsize>,
    waiting: VecDeque<Wanted>,
}

impl Worker {
    fn run(mut self, wanted: &Receiver<Wanted>) {
        loop {
            match wanted.recv_timeout(TURN) {
                Ok(next) => self.waiting.push_back(next),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let due = SystemClock.wall() - (self.after + RECORDED);
            // They stand in the order of their times.
            let ready = self.waiting.partition_point(|next| next.at <= due);
            let ready: Vec<_> = self.waiting.drain(..ready).collect();
            ready.iter().for_each(|next| self.take(next));
        }
        for next in std::mem::take(&mut self.waiting) {
            self.take(&next);
        }
    }

    fn take(&self, wanted: &Wanted) {
        let path = self.into.join(format!("{}.ts", wanted.stem));
        let file = path.display().to_string();
        let event = match self.copy(wanted, &path) {
            Ok(bytes) => CaptureEvent::Taken { file, bytes },
            Err(why) => CaptureEvent::Failed {
                file,
                why: format!("{why:#}"),
            },
        };
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.relay.post(&event);
    }

    fn copy(&self, wanted: &Wanted, path: &Path) -> anyhow::Result<u64> {
        let ring = Ring::open(Arc::new(Disk), &self.ring)?;
        let (from, to) = (wanted.at - self.before, wanted.at + self.after);
        let mut buffer = vec![0; BUFFER];
        // Older ones go only for one that fits in their place: it is measured first.
        let mut bytes = 0;
        let mut cursor = ring.cursor(from, Some(to));
        while let (_, read @ 1..) = cursor.read(&mut buffer, None)? {
            bytes += read as u64;
        }
        if bytes == 0 {
            let ring = self.ring.display();
            return Err(anyhow!("{ring} holds nothing from {from} to {to}"));
        }
        if bytes > self.most {
            return Err(anyhow!("one extract is larger than --capture-bytes"));
        }
        self.make_room(bytes)?;
        let mut staged = StagedFile::create(path)?;
        let mut cursor = ring.cursor(from, Some(to));
        let mut left = bytes;
        while left > 0
            && let (_, read @ 1..) = cursor.read(&mut buffer, None)?
        {
            let read = left.min(read as u64);
            staged.write(&buffer[..read as usize])?;
            left -= read;
        }
        let bytes = bytes - left;
        staged.place()?;
        let mut note = StagedFile::create(&path.with_extension("json"))?;
        note.write(wanted.alarm.as_bytes())?;
        note.place()?;
        Ok(bytes)
    }

    /// Removes the oldest extracts until `more` bytes fit beside them.
    fn make_room(&self, more: u64) -> anyhow::Result<()> {
        let mut extracts = Vec::new();
        let mut all = 0;
        for entry in fs::read_dir(&self.into)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let size = entry.metadata().map_or(0, |m| m.len());
            if is_extract(&name) {
                all += size;
                extracts.push((name, size));
            }
        }
        // The name begins with the time.
        extracts.sort();
        for (name, size) in extracts {
            if all + more <= self.most {
                break;
            }
            let path = self.into.join(&name);
            fs::remove_file(&path)
                .with_context(|| format!("cannot remove '{}'", path.display()))?;
            let _ = fs::remove_file(path.with_extension("json"));
            all = all.saturating_sub(size);
            let file = path.display().to_string();
            self.relay.post(&CaptureEvent::Removed { file });
        }
        Ok(())
    }
}

/// True for the names that [`stem`] makes, and for no other file in the directory.
fn is_extract(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let Some((time, rest)) = name.split_once('_') else {
        return false;
    };
    let Some((date, clock)) = time.strip_suffix('Z').and_then(|t| t.split_once('T')) else {
        return false;
    };
    let clock = clock.replace('.', "");
    let known = Check::ALL
        .iter()
        .any(|check| rest.starts_with(check.name()));
    digits(date) && digits(&clock) && known && name.ends_with(".ts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{Alarms, Finding, Moment};
    use crate::stream::event::Subject;

    #[test]
    fn an_alarm_more_than_wait_is_left_out_and_said() {
        let (sender, receiver) = channel();
        let mut capture = Capture {
            wanted: Some(sender),
            waiting: Arc::default(),
            thread: None,
            relay: Relay::default(),
            on: Priority::Four,
            every: Ticks27M::ZERO,
            last: HashMap::new(),
        };
        let finding = Finding::new(Check::CrcError, Subject::Stream, Moment::default());
        for _ in 0..WAITING + 3 {
            // Nobody takes them over.
            Alarms::new(Ticks27M::ZERO).push(&finding, &mut |alarm| capture.alarm(alarm));
        }
        assert_eq!(receiver.try_iter().count(), WAITING);
        let mut said = Vec::new();
        capture.relay.drain_events(&mut |e| said.push(e.name()));
        assert_eq!(said, ["extract_left_out"; 3]);
    }

    #[test]
    fn only_what_we_named_is_ours_to_remove() {
        for ours in [
            "20261122T210944.123Z_continuity_count_error_pid_0x0100.ts",
            "20261122T210944Z_pat_error_2_stream.ts",
        ] {
            assert!(is_extract(ours), "{ours}");
        }
        for other in [
            "film.ts",
            "20261122T210944.123Z_holiday.ts",
            "20261122T210944.123Z_pat_error_2_stream.json",
            ".20261122T210944.123Z_pat_error_2_stream.ts.77.part",
            "x_pat_error_2.ts",
        ] {
            assert!(!is_extract(other), "{other}");
        }
    }
}
