//! Black and frozen pictures, silence and loudness, by one ffmpeg beside a monitor. What is live
//! never waits for it; a file or a pipe does.

mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use self::lines::Said;
use super::clock::{Clock, SystemClock};
use super::queue::{Feeder, Limits, Outlet, Taken, queue};
use super::{Endpoint, EndpointError, OutputOptions, Relay, Sink, open_output};
use crate::monitor::content::Loudness;
use crate::monitor::{Alarms, Check, Finding, Moment, Monitor};
use crate::si::ServiceId;
use crate::stream::Batch;
use crate::stream::event::{Event, Subject, Value};
use crate::ts::{Pid, Pts};
use crate::units::Ticks27M;

/// How long a turn waits: for packets of the queue, and with a file for room in it.
const TURN: Duration = Duration::from_millis(100);
/// What ffmpeg said and nobody has asked for yet, at most.
const MAX_SAID: usize = 4096;

/// How long is waited for PMTs that do not come: a filter may have taken their services out.
const PMT_PATIENCE: Ticks27M = Ticks27M::new(2 * 27_000_000);
/// What an ffmpeg found that died goes on until another could have found it, and for so long at
/// most: there may be no other.
const LONGEST_DOUBT: Ticks27M = Ticks27M::new(30 * 27_000_000);
/// How much later than it began an ffmpeg tells what it finds, beside the time that its filter takes.
const TOLD_LATE: Ticks27M = Ticks27M::SECOND;

/// What is decoded, and for whom.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Packets do not wait for ffmpeg: what it does not take is dropped and said.
    pub live: bool,
    /// ffmpeg is given less of the processor than others, and its end is not waited for.
    pub behind: bool,
    /// Sounds that are listened to at most.
    pub sounds: usize,
    /// Loudness is measured, too.
    pub loudness: bool,
}

/// What is heard of ffmpeg.
#[derive(Copy, Clone, Debug)]
enum Heard {
    /// It has begun.
    Begun,
    Said(Pid, Said),
    /// It has ended, and another will begin anew.
    Died,
}

/// One ffmpeg that decodes one service: its first picture and some of its sounds. It is started again
/// when it dies, as a program of `exec:` is.
#[derive(Debug)]
pub struct Decode {
    service: ServiceId,
    /// What ffmpeg was asked: the PIDs of the service are in it.
    command: String,
    feeder: Feeder,
    writer: JoinHandle<()>,
    relay: Relay,
    heard: Arc<Mutex<Vec<Heard>>>,
    video: Option<Pid>,
    /// How many formats its pictures had when it began.
    formats: u64,
    audio: bool,
    stop: Arc<AtomicBool>,
    options: DecodeOptions,
    /// What goes on.
    going_on: BTreeSet<(Pid, Check)>,
    /// What went on when ffmpeg died, and until when that is not held against what the next one
    /// finds.
    doubts: BTreeMap<(Pid, Check), Ticks27M>,
    /// A picture became black at this place, which was heard then; whether it stays so long
    /// enough is not known yet.
    maybe_black: Option<(Pid, Moment, Ticks27M)>,
    loudness: BTreeMap<Pid, Loudness>,
}

impl Decode {
    /// Starts ffmpeg for the first service that has pictures or sound; `None` before there is one.
    ///
    /// # Errors
    /// When not even a shell can be started.
    pub fn start(monitor: &Monitor, options: DecodeOptions) -> Option<Result<Self, EndpointError>> {
        let programs = monitor.programs();
        if !programs.is_complete() && monitor.now().time < PMT_PATIENCE {
            return None;
        }
        let mut services = programs.services();
        let (service, request) =
            services.find_map(|s| Some((s.id, lines::request(s, options)?)))?;
        let command = request.command.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let output = OutputOptions {
            stop: Arc::clone(&stop),
            disposable: options.behind,
            ..OutputOptions::default()
        };
        let sink = match open_output(&Endpoint::Exec(request.command), &output) {
            Ok(sink) => sink,
            Err(e) => return Some(Err(e)),
        };
        let (feeder, outlet) = queue(Limits::default());
        let (relay, heard) = (Relay::default(), Arc::default());
        let writer = Writer {
            video: request.video,
            outlet,
            sink,
            relay: relay.clone(),
            heard: Arc::clone(&heard),
        };
        Some(Ok(Self {
            service,
            command,
            feeder,
            writer: std::thread::spawn(move || writer.run()),
            relay,
            heard,
            video: request.video,
            formats: formats(monitor, request.video),
            audio: request.audio,
            stop,
            options,
            going_on: BTreeSet::new(),
            doubts: BTreeMap::new(),
            maybe_black: None,
            loudness: BTreeMap::new(),
        }))
    }

    /// True when the tables name other PIDs for the service by now, or it is gone: ffmpeg decodes
    /// what nobody sends any more. So it is when its pictures have another format: the filters begin
    /// anew then, and never tell that what they had found is over.
    pub fn is_outdated(&self, monitor: &Monitor) -> bool {
        if formats(monitor, self.video) != self.formats {
            return true;
        }
        let programs = monitor.programs();
        let request = |service| lines::request(service, self.options);
        match programs.service(self.service).map(request) {
            Some(Some(request)) => request.command != self.command,
            // Its PMT is on its way, or names nothing for now.
            Some(None) => false,
            None => programs.is_complete(),
        }
    }

    /// Hands on packets: those of a live input at once or never, those of a file when there is
    /// room, unless `stopping`.
    pub fn push(&mut self, batch: &Batch, stopping: &dyn Fn() -> bool) {
        for (arrival, packets) in batch.runs() {
            let mut left = packets;
            while !left.is_empty() && !stopping() {
                let taken = self.feeder.batch().extend(left, arrival);
                left = left.get(taken..).unwrap_or_default();
                if self.options.live {
                    if !self.feeder.offer(SystemClock.now()) || taken == 0 {
                        return;
                    }
                } else {
                    self.feeder.hand_on(TURN);
                    if self.feeder.is_abandoned() {
                        return;
                    }
                }
            }
        }
        if self.options.live {
            self.feeder.offer(SystemClock.now());
        }
    }

    /// Tells what ffmpeg found, to the alarms, and what became of it, to `log`.
    pub fn turn(
        &mut self,
        monitor: &mut Monitor,
        alarms: &mut Alarms,
        news: &mut dyn FnMut(&crate::monitor::Alarm),
        log: &mut dyn FnMut(&dyn Event),
    ) {
        self.relay.drain_events(log);
        self.feeder.drain_events(log);
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        for heard in heard {
            let (pid, said) = match heard {
                Heard::Said(pid, said) => (pid, said),
                Heard::Begun => {
                    monitor.is_decoded(self.video.is_some(), self.audio);
                    self.begin(monitor.now().time);
                    continue;
                }
                Heard::Died => {
                    self.die(monitor.now().time);
                    continue;
                }
            };
            // What has gone out of memory is told of where the stream stands.
            let place = |second| place_of(monitor, pid, second).unwrap_or_else(|| monitor.now());
            let (check, from) = match said {
                Said::BlackFrom(at) => {
                    self.maybe_black = Some((pid, place(at), monitor.now().time));
                    continue;
                }
                Said::BlackTo(at) => {
                    self.maybe_black = None;
                    (Check::VideoBlack, Err(place(at)))
                }
                // Told at its end; with a live input it was found before.
                Said::BlackWas(_) if self.going_on.contains(&(pid, Check::VideoBlack)) => {
                    continue;
                }
                Said::BlackWas(at) => {
                    let begun = self.maybe_black.take().filter(|(of, ..)| *of == pid);
                    let from = begun.map_or_else(|| place(at), |(_, from, _)| from);
                    (Check::VideoBlack, Ok(from))
                }
                Said::FrozenFrom(at) => (Check::VideoFrozen, Ok(place(at))),
                Said::FrozenTo(at) => (Check::VideoFrozen, Err(place(at))),
                Said::SilentFrom(at) => (Check::AudioSilent, Ok(place(at))),
                Said::SilentTo(at) => (Check::AudioSilent, Err(place(at))),
                Said::Integrated(_) | Said::ShortTerm(_) | Said::Range(_) => {
                    self.louder(pid, said, monitor);
                    continue;
                }
            };
            let from = match from {
                Ok(from) => from,
                Err(to) => {
                    self.going_on.remove(&(pid, check));
                    self.doubts.remove(&(pid, check));
                    alarms.hold(check, Subject::Pid(pid), to);
                    continue;
                }
            };
            self.found(pid, check, from, monitor, &mut |f| alarms.push(f, news));
        }
        let long = Ticks27M::SECOND * i64::from(lines::PICTURE_SECONDS);
        let now = monitor.now().time;
        let black = self
            .maybe_black
            .filter(|(_, _, heard)| self.options.live && now - *heard >= long);
        if let Some((pid, from, _)) = black {
            self.maybe_black = None;
            self.found(pid, Check::VideoBlack, from, monitor, &mut |f| {
                alarms.push(f, news)
            });
        }
        self.doubts.retain(|_, until| now < *until);
        for (pid, check) in self.going_on.iter().chain(self.doubts.keys()) {
            alarms.hold(*check, Subject::Pid(*pid), monitor.now());
        }
    }

    /// ffmpeg has begun: what went on before is found by it soon, or is over.
    fn begin(&mut self, now: Ticks27M) {
        for ((_, check), until) in &mut self.doubts {
            let seconds = match check {
                Check::AudioSilent => lines::SILENCE_SECONDS,
                _ => lines::PICTURE_SECONDS,
            };
            let found = now + Ticks27M::SECOND * i64::from(seconds) + TOLD_LATE;
            *until = found.min(*until);
        }
    }

    /// ffmpeg has died: what went on goes on for the next one to find.
    fn die(&mut self, now: Ticks27M) {
        let until = now + LONGEST_DOUBT;
        let went_on = std::mem::take(&mut self.going_on);
        self.doubts
            .extend(went_on.into_iter().map(|what| (what, until)));
        self.maybe_black = None;
    }

    /// `check` found something that began at that place.
    fn found(
        &mut self,
        pid: Pid,
        check: Check,
        from: Moment,
        monitor: &mut Monitor,
        out: &mut dyn FnMut(&Finding),
    ) {
        self.going_on.insert((pid, check));
        self.doubts.remove(&(pid, check));
        monitor.outside(&Finding::new(check, Subject::Pid(pid), from), out);
    }

    fn louder(&mut self, pid: Pid, said: Said, monitor: &mut Monitor) {
        let loudness = self.loudness.entry(pid).or_default();
        match said {
            Said::Integrated(lufs) => loudness.integrated_lufs = Some(lufs),
            Said::ShortTerm(lufs) => loudness.short_term_lufs = Some(lufs),
            Said::Range(lu) => loudness.range_lu = Some(lu),
            _ => {}
        }
        monitor.is_as_loud(pid, *loudness);
    }

    /// No more comes: waits for what ffmpeg has to say of the rest; not when the end was asked
    /// for.
    pub fn finish(&mut self, stopping: &dyn Fn() -> bool) {
        self.feeder.close();
        while !self.is_over() {
            if stopping() || self.options.live {
                self.stop.store(true, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends ffmpeg without waiting for it; [`Decode::is_over`] tells when it has gone.
    pub fn let_go(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.feeder.close();
    }

    /// True when ffmpeg has ended and no other follows.
    pub fn is_over(&self) -> bool {
        self.writer.is_finished()
    }
}

/// How many formats the pictures had so far; the first one is there when its headers are not yet.
fn formats(monitor: &Monitor, video: Option<Pid>) -> u64 {
    video.map_or(1, |pid| monitor.picture_formats(pid).max(1))
}

/// Where in the stream ffmpeg's second of a PID is: it tells time stamps as they came, but for whole
/// rounds of their circle.
fn place_of(monitor: &Monitor, pid: Pid, second: f64) -> Option<Moment> {
    let circle = 1i64 << 33;
    let ticks = ((second * 90e3).round() as i64).rem_euclid(circle);
    monitor.place_of(pid, Pts::wrapping(ticks as u64))
}

/// The thread that writes to ffmpeg and reads what it says.
struct Writer {
    video: Option<Pid>,
    outlet: Outlet,
    sink: Box<dyn Sink>,
    relay: Relay,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Batch::with_capacity(0);
        loop {
            let taken = self.outlet.take(&mut batch, TURN);
            let sent = match taken {
                Taken::Packets => self.sink.send(&batch),
                Taken::Idle => self.sink.flush(),
                Taken::End => break,
            };
            self.listen();
            if sent.is_err() {
                break;
            }
        }
        // It is said when it ended badly: that is its `exec_died`.
        let _ = self.sink.finish();
        self.listen();
    }

    fn listen(&mut self) {
        let (heard, relay, video) = (&self.heard, &self.relay, self.video);
        let tell = |new: Heard| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.len() < MAX_SAID || matches!(new, Heard::Died) {
                heard.push(new);
            }
        };
        self.sink.drain_events(&mut |event| match line_of(event) {
            Some(line) => match lines::read(&line, video) {
                Some((pid, said)) => tell(Heard::Said(pid, said)),
                None if lines::is_begin(&line) => tell(Heard::Begun),
                None if lines::is_trouble(&line) => relay.post(event),
                None => {}
            },
            None => {
                if event.name() == "exec_died" {
                    tell(Heard::Died);
                }
                relay.post(event);
            }
        });
    }
}

/// The line of an event that is one of ffmpeg's stderr.
fn line_of(event: &dyn Event) -> Option<String> {
    let mut line = None;
    if event.name() == "exec_stderr" {
        event.fields(&mut |_, value| {
            if let Value::Text(text) = value {
                line = Some(text);
            }
        });
    }
    line
}
