//! `--decode`: black and frozen pictures, silence and loudness, by one ffmpeg beside the
//! measuring. What is live, or passed on, never waits for it; a file or a pipe does.

mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use self::lines::Said;
use crate::cli::Context;
use crate::io::clock::{Clock, SystemClock};
use crate::io::queue::{Feeder, Limits, Outlet, Taken, queue};
use crate::io::{Endpoint, EndpointError, OutputOptions, Relay, Sink, open_output};
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

/// What is heard of ffmpeg.
#[derive(Copy, Clone, Debug)]
enum Heard {
    /// It has begun.
    Begun,
    Said(Pid, Said),
    /// It has ended, and another will begin anew.
    Died,
}

/// One ffmpeg that decodes one service.
pub(super) struct Decode {
    service: ServiceId,
    /// What ffmpeg was asked: the PIDs of the service are in it.
    command: String,
    feeder: Feeder,
    writer: Option<JoinHandle<()>>,
    relay: Relay,
    heard: Arc<Mutex<Vec<Heard>>>,
    video: Option<Pid>,
    audio: bool,
    stop: Arc<AtomicBool>,
    live: bool,
    /// What goes on.
    going_on: BTreeSet<(Pid, Check)>,
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
    pub(super) fn start(monitor: &Monitor, live: bool) -> Option<Result<Self, EndpointError>> {
        let programs = monitor.programs();
        if !programs.is_complete() && monitor.now().time < PMT_PATIENCE {
            return None;
        }
        let mut services = programs.services();
        let (service, request) = services.find_map(|s| Some((s.id, lines::request(s)?)))?;
        let command = request.command.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let options = OutputOptions {
            stop: Arc::clone(&stop),
            ..OutputOptions::default()
        };
        let sink = match open_output(&Endpoint::Exec(request.command), &options) {
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
            writer: Some(std::thread::spawn(move || writer.run())),
            relay,
            heard,
            video: request.video,
            audio: request.audio,
            stop,
            live,
            going_on: BTreeSet::new(),
            maybe_black: None,
            loudness: BTreeMap::new(),
        }))
    }

    /// True when the tables name other PIDs for the service by now, or it is gone: ffmpeg decodes
    /// what nobody sends any more.
    pub(super) fn is_outdated(&self, monitor: &Monitor) -> bool {
        let programs = monitor.programs();
        match programs.service(self.service).map(lines::request) {
            Some(Some(request)) => request.command != self.command,
            // Its PMT is on its way, or names nothing for now.
            Some(None) => false,
            None => programs.is_complete(),
        }
    }

    /// Hands on packets: those of a live input at once or never, those of a file when there is
    /// room.
    pub(super) fn push(&mut self, batch: &Batch, context: &Context) {
        for (arrival, packets) in batch.runs() {
            let mut left = packets;
            while !left.is_empty() && !context.stopping() {
                let taken = self.feeder.batch().extend(left, arrival);
                left = left.get(taken..).unwrap_or_default();
                if self.live {
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
        if self.live {
            self.feeder.offer(SystemClock.now());
        }
    }

    /// Tells what ffmpeg found, and what became of it.
    pub(super) fn turn(
        &mut self,
        monitor: &mut Monitor,
        alarms: &mut Alarms,
        news: &mut dyn FnMut(&crate::monitor::Alarm),
        context: &Context,
    ) {
        self.relay.drain_events(&mut |event| context.event(event));
        self.feeder.drain_events(&mut |event| context.event(event));
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        for heard in heard {
            let (pid, said) = match heard {
                Heard::Said(pid, said) => (pid, said),
                Heard::Begun => {
                    monitor.is_decoded(self.video.is_some(), self.audio);
                    continue;
                }
                Heard::Died => {
                    // What went on goes on for the next one to find.
                    self.going_on.clear();
                    self.maybe_black = None;
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
            .filter(|(_, _, heard)| self.live && now - *heard >= long);
        if let Some((pid, from, _)) = black {
            self.maybe_black = None;
            self.found(pid, Check::VideoBlack, from, monitor, &mut |f| {
                alarms.push(f, news)
            });
        }
        for (pid, check) in &self.going_on {
            alarms.hold(*check, Subject::Pid(*pid), monitor.now());
        }
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
        let finding = Finding::new(check, Subject::Pid(pid), from);
        monitor.outside(&finding.of(Some(self.service)), out);
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
    pub(super) fn finish(&mut self, context: &Context) {
        self.feeder.close();
        let Some(writer) = self.writer.take() else {
            return;
        };
        while !writer.is_finished() {
            if context.stopping() || self.live {
                self.stop.store(true, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = writer.join();
    }
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
