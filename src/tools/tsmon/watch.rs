//! The loop: from the input to the monitor, from findings to alarms.

use std::time::{Duration, Instant};

use super::Args;
use super::capture::Capture;
use super::heard::Heard;
use super::live::Screen;
use super::notices::Notices;
use super::outside::Outside;
use super::page::Page;
use super::profile::ProfileFile;
use crate::cli::{Context, Error, Level};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{Decode, DecodeOptions, Received, Source};
use crate::monitor::{Alarm, Alarms, Check, Finding, Moment, Monitor, MonitorOptions};
use crate::stream::event::{Event, Subject};
use crate::stream::{Batch, Counters};
use crate::units::Ticks27M;

/// How long a turn of the loop waits: signals and absent tables are seen to in between.
const TURN: Duration = Duration::from_millis(100);
/// Packets of a turn at most: 1 MB.
const BATCH_PACKETS: usize = 5577;
/// Sounds that are decoded at most.
const MAX_SOUNDS: usize = 8;

/// Those who are told of alarms.
pub(super) struct Told {
    pub(super) notices: Notices,
    pub(super) capture: Option<Capture>,
    pub(super) outside: Outside,
    pub(super) screen: Option<Screen>,
}

/// A stream that is watched.
pub(super) struct Watch {
    /// `None` until the first packets tell the framing.
    monitor: Option<Monitor>,
    heard: Heard,
    /// Before there was a monitor: bytes came, and no synchronisation.
    unsynced: bool,
    alarms: Alarms,
    told: Told,
    /// What the stream should be.
    profile: Option<ProfileFile>,
    /// The decoder beside the monitor.
    decode: Option<Decode>,
    /// There is none, and there will be none.
    undecoded: bool,
    /// Alarms of this turn that were not told yet.
    news: Vec<Alarm>,
}

impl Watch {
    pub(super) fn new(
        told: Told,
        alarms: Alarms,
        profile: Option<ProfileFile>,
        decode: bool,
    ) -> Self {
        Self {
            monitor: None,
            heard: Heard::default(),
            unsynced: false,
            alarms,
            told,
            profile,
            decode: None,
            undecoded: !decode,
            news: Vec::new(),
        }
    }

    /// Watches until the input ends, enough was seen, or the end is asked for.
    pub(super) fn run(
        &mut self,
        args: &Args,
        source: &mut dyn Source,
        page: &mut Page,
        context: &mut Context,
    ) -> Result<(), Error> {
        let file = source.length().is_some();
        let mut progress = source
            .length()
            .map(|length| context.progress("measured", length));
        let mut batch = Batch::with_capacity(BATCH_PACKETS);
        let mut due = Due::new(args);
        while !context.stopping() {
            batch.clear();
            let mut received = source.receive(&mut batch, TURN)?;
            // A file's batches are filled: the clock looks ahead in them.
            while file && received == Received::Packets && batch.room() > 0 {
                received = source.receive(&mut batch, TURN)?;
            }
            if !batch.is_empty() || received == Received::End || source.is_live() {
                self.start(args, source);
            }
            let mut taken = self.take((&batch, 0), due.next(file), received, source, context);
            // Reports of a file come in the middle of a batch, too.
            while taken < batch.len() {
                self.tell(context)?;
                due.report(self.monitor.as_ref().map(|m| m.now().time), file);
                if let Some(monitor) = &self.monitor {
                    page.print(monitor, context)?;
                }
                let rest = (&batch, taken);
                taken = self.take(rest, due.next(file), received, source, context);
            }
            // What is passed on does not wait for a decoder either.
            self.decode(&batch, source.is_live() || args.pass, context);
            self.tell(context)?;
            if let (Some(progress), Some(monitor)) = (&mut progress, &self.monitor) {
                progress.set(monitor.bytes());
            }
            context.turn(|c| count(c, source, self.monitor.as_ref()));
            let now = self.monitor.as_ref().map(|m| m.now().time);
            if let Some(monitor) = self.monitor.as_ref().filter(|_| due.report(now, file)) {
                page.print_meanwhile(monitor, context)?;
            }
            if let Some(monitor) = &self.monitor {
                self.told.outside.turn(monitor, source, &self.alarms);
            }
            if let Some(screen) = &mut self.told.screen {
                screen.turn(self.monitor.as_ref(), &self.alarms)?;
            }
            let over = self.told.outside.is_dismissed()
                || self.told.screen.as_ref().is_some_and(Screen::is_left)
                || self.monitor.as_ref().is_some_and(Monitor::is_over);
            if received == Received::End || over || due.end(file) {
                break;
            }
        }
        Ok(())
    }

    fn start(&mut self, args: &Args, source: &dyn Source) {
        if self.monitor.is_none() {
            let limits = self.profile.as_ref().map_or(&[][..], |p| &p.limits);
            self.monitor = Some(Monitor::new(MonitorOptions {
                time: args.clock.source(source),
                span: args.span.map(Ticks27M::from),
                network: source.is_live(),
                disciplined: source.is_live() && SystemClock::is_kept(),
                pcr_filter: args.pcr_filter,
                tables: args.limits.tables(limits),
                profile: self.profile.as_ref().map(ProfileFile::profile),
                decode: args.decode,
            }));
            if let Some(monitor) = self.monitor.as_mut().filter(|_| self.unsynced) {
                monitor.never_synced(&mut |_| {});
            }
        }
    }

    /// Takes what a turn brought, without the first packets that were taken before, up to an
    /// instant of the stream; answers how many packets are taken now.
    fn take(
        &mut self,
        (batch, taken): (&Batch, usize),
        until: Ticks27M,
        received: Received,
        source: &mut dyn Source,
        context: &Context,
    ) -> usize {
        let end = received == Received::End;
        let never = self.heard.never_synced(!batch.is_empty(), end, source);
        let (alarms, news) = (&mut self.alarms, &mut self.news);
        let mut found =
            |finding: &Finding| alarms.push(finding, &mut |alarm| news.push(alarm.clone()));
        let Some(monitor) = &mut self.monitor else {
            if never {
                self.unsynced = true;
                let start = Moment::default();
                found(&Finding::new(Check::TsSyncLoss, Subject::Stream, start));
            }
            source.drain_events(&mut |event| context.event(event));
            return batch.len();
        };
        if never {
            monitor.never_synced(&mut found);
        }
        source.drain_events(&mut |event| {
            self.heard.event(event, monitor, &mut found);
            context.event(event);
        });
        self.heard.counters(|c| source.counters(c), monitor);
        let taken = match received {
            Received::Idle => {
                monitor.idle(SystemClock.now(), &mut found);
                batch.len()
            }
            Received::Packets | Received::End => {
                monitor.push_until(batch, taken, until, &mut found)
            }
        };
        let now = monitor.now();
        if self.heard.is_waiting() {
            self.alarms.hold(Check::InputLoss, Subject::Stream, now);
        }
        if source.framing().is_none() {
            self.alarms.hold(Check::TsSyncLoss, Subject::Stream, now);
        }
        self.alarms
            .tick(now, &mut |alarm| self.news.push(alarm.clone()));
        taken
    }

    /// Hands the packets of the turn to the decoder, and takes what it says.
    fn decode(&mut self, batch: &Batch, live: bool, context: &Context) {
        let Some(monitor) = self.monitor.as_mut().filter(|_| !self.undecoded) else {
            return;
        };
        let stopping = &|| context.stopping();
        let log = &mut |event: &dyn Event| context.event(event);
        if let Some(mut decode) = self.decode.take_if(|decode| decode.is_outdated(monitor)) {
            decode.finish(stopping);
            let news = &mut |alarm: &Alarm| self.news.push(alarm.clone());
            decode.turn(monitor, &mut self.alarms, news, log);
        }
        if self.decode.is_none() {
            let options = DecodeOptions {
                live,
                behind: false,
                sounds: MAX_SOUNDS,
                loudness: true,
            };
            match Decode::start(monitor, options) {
                None => {}
                Some(Ok(decode)) => self.decode = Some(decode),
                Some(Err(e)) => {
                    self.undecoded = true;
                    context.say(Level::Error, &format!("cannot decode: {e}"));
                }
            }
        }
        if let Some(decode) = &mut self.decode {
            decode.push(batch, stopping);
            let news = &mut |alarm: &Alarm| self.news.push(alarm.clone());
            decode.turn(monitor, &mut self.alarms, news, log);
        }
    }

    /// Tells the alarms of the turn.
    fn tell(&mut self, context: &mut Context) -> Result<(), Error> {
        for alarm in self.news.drain(..) {
            self.told.outside.alarm(&alarm, context);
            if let Some(screen) = &mut self.told.screen {
                screen.alarm(&alarm);
            }
            if let Some(capture) = &mut self.told.capture {
                capture.alarm(&alarm);
            }
            self.told.notices.tell(&alarm, context)?;
        }
        if let Some(capture) = &self.told.capture {
            capture.turn(context);
        }
        self.told.notices.turn(context);
        Ok(())
    }

    /// Closes what is open; gives the monitor for its report, and whether all alarms were written.
    pub(super) fn finish(
        mut self,
        source: &mut dyn Source,
        context: &mut Context,
    ) -> Result<(Monitor, Result<(), Error>), Error> {
        // The terminal is given back before anything is printed.
        self.told.screen = None;
        context.report().release();
        let nothing = Batch::with_capacity(0);
        self.take((&nothing, 0), Ticks27M::MAX, Received::End, source, context);
        let mut monitor = self
            .monitor
            .take()
            .unwrap_or_else(|| Monitor::new(MonitorOptions::default()));
        if self.unsynced && monitor.sync_losses() == 0 {
            monitor.never_synced(&mut |_| {});
        }
        if let Some(decode) = &mut self.decode {
            decode.finish(&|| context.stopping());
            let news = &mut |alarm: &Alarm| self.news.push(alarm.clone());
            let log = &mut |event: &dyn Event| context.event(event);
            decode.turn(&mut monitor, &mut self.alarms, news, log);
            // What ffmpeg said last may be long over.
            self.alarms.tick(monitor.now(), news);
        }
        let (alarms, news) = (&mut self.alarms, &mut self.news);
        monitor.finish(&mut |finding| {
            alarms.push(finding, &mut |alarm| news.push(alarm.clone()));
        });
        let told = self.tell(context);
        if let Some(capture) = self.told.capture.take() {
            capture.finish(context);
        }
        let written = self.told.notices.finish(context);
        context.last_turn(|c| count(c, source, Some(&monitor)));
        told?;
        Ok((monitor, written))
    }
}

fn count(out: &mut dyn Counters, source: &dyn Source, monitor: Option<&Monitor>) {
    source.counters(out);
    if let Some(monitor) = monitor {
        monitor.counters(out);
    }
}

/// When a report is due, and when the end.
struct Due {
    started: Instant,
    span: Option<Duration>,
    interval: Option<Ticks27M>,
    next: Ticks27M,
}

impl Due {
    fn new(args: &Args) -> Self {
        let interval = args.interval.map(Ticks27M::from);
        Self {
            started: Instant::now(),
            span: args.span,
            interval,
            next: interval.unwrap_or(Ticks27M::ZERO),
        }
    }

    /// How far the stream may be followed before the next report: of a file, whose own time tells.
    fn next(&self, file: bool) -> Ticks27M {
        match self.interval {
            Some(_) if file => self.next,
            _ => Ticks27M::MAX,
        }
    }

    /// True when a report is due: of a file by its own time, else by ours.
    fn report(&mut self, now: Option<Ticks27M>, file: bool) -> bool {
        let now = match file {
            true => now.unwrap_or(Ticks27M::ZERO),
            false => Ticks27M::from(self.started.elapsed()),
        };
        match self.interval {
            Some(interval) if now >= self.next => {
                // Missed ones are not made up for.
                self.next = self.next.max(now - interval) + interval;
                true
            }
            _ => false,
        }
    }

    /// True when enough time has passed of an input that goes on by itself.
    fn end(&self, file: bool) -> bool {
        !file && self.span.is_some_and(|span| self.started.elapsed() >= span)
    }
}
