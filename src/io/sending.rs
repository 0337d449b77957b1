//! An output with a queue and a thread of its own: one that stands still, or fails, holds up
//! nobody else.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::Fault;
use super::queue::{Feeder, Limits, Outlet, Taken, queue};
use super::{Endpoint, EndpointError, OutputOptions, Relay, Sink, open_output};
use crate::stream::event::{Event, Severity, Value};
use crate::stream::{Batch, Counters, Framing};
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M};

/// Packets that fill no datagram leave after so long all the same.
const FLUSH_AFTER: Duration = Duration::from_millis(5);
/// How long the thread waits for packets, and how often its counters are posted.
const TURN: Duration = Duration::from_millis(100);
/// An output that failed is opened again after so long, then after twice as long, and so on.
const FIRST_AGAIN: Duration = Duration::from_secs(1);
const LAST_AGAIN: Duration = Duration::from_secs(30);
/// No framing was said.
const UNSAID: u8 = u8::MAX;

/// What an output observes that is opened again when it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendingEvent {
    /// `output_failed`: what is sent to it is lost until it is back.
    Failed {
        /// Which, what failed and why.
        reason: String,
        /// When it is opened again; `None`: it is not.
        again_in: Option<Ticks27M>,
    },
    /// `output_back`: it is open again.
    Back {
        /// Packets lost meanwhile.
        lost: u64,
    },
}

impl Event for SendingEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "output_failed",
            Self::Back { .. } => "output_back",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Failed { .. } => Severity::Error,
            Self::Back { .. } => Severity::Info,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Failed { reason, again_in } => {
                field("reason", reason.as_str().into());
                if let Some(again) = again_in {
                    field("again_in_ms", again.as_millis().into());
                }
            }
            Self::Back { lost } => field("lost_packets", Value::from(*lost)),
        }
    }
}

/// What both sides know.
#[derive(Debug)]
struct Shared {
    framing: AtomicU8,
    open: AtomicBool,
    unsent: AtomicU64,
}

/// An output, the queue before it and the thread that writes.
#[derive(Debug)]
pub struct Sending {
    feeder: Feeder,
    relay: Relay,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), EndpointError>>>,
    kept: bool,
}

impl Sending {
    /// Sends to `sink`, until it fails.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start(sink: Box<dyn Sink>, limits: Limits) -> io::Result<Self> {
        Self::spawn(limits, true, |mut outlet, relay, shared| {
            let mut sink = sink;
            write_all(&mut outlet, &mut *sink, relay, shared)
        })
    }

    /// Opens `endpoint` on the thread, and again after a while where it cannot be opened or fails;
    /// a regular file that has failed is left as it is, for opening empties it.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn keep(endpoint: Endpoint, options: OutputOptions, limits: Limits) -> io::Result<Self> {
        Self::spawn(limits, false, move |outlet, relay, shared| {
            let keeper = Keeper {
                endpoint,
                options,
                outlet,
                relay,
                shared,
            };
            keeper.run()
        })
    }

    fn spawn(
        limits: Limits,
        open: bool,
        run: impl FnOnce(Outlet, &Relay, &Shared) -> Result<(), EndpointError> + Send + 'static,
    ) -> io::Result<Self> {
        let (feeder, outlet) = queue(limits);
        let relay = Relay::default();
        let shared = Arc::new(Shared {
            framing: AtomicU8::new(UNSAID),
            open: AtomicBool::new(open),
            unsent: AtomicU64::new(0),
        });
        let (theirs, common) = (relay.clone(), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("output".into())
            .spawn(move || run(outlet, &theirs, &common))?;
        Ok(Self {
            feeder,
            relay,
            shared,
            thread: Some(thread),
            kept: !open,
        })
    }

    /// The queue: what is appended to its batch is sent with [`Feeder::offer`] or
    /// [`Feeder::hand_on`].
    pub const fn feeder(&mut self) -> &mut Feeder {
        &mut self.feeder
    }

    /// Puts a packet in line; it is sent with [`Sending::offer`].
    pub fn put(&mut self, packet: &Packet, at: Arrival, now: Arrival) {
        if !self.feeder.batch().push(packet, at) {
            self.feeder.offer(now);
            self.feeder.batch().push(packet, at);
        }
    }

    /// Hands on what is in line, without waiting; false when nobody takes it any more.
    pub fn offer(&mut self, now: Arrival) -> bool {
        self.feeder.offer(now)
    }

    /// What stands around each packet from now on, where the output has room for it.
    pub fn set_framing(&self, framing: Framing) {
        self.shared.framing.store(framing as u8, Ordering::Release);
    }

    /// No more comes: what is in line is sent, and the output ends.
    pub fn close(&mut self) {
        self.feeder.close();
    }

    /// True while it is open.
    pub fn is_open(&self) -> bool {
        self.shared.open.load(Ordering::Acquire)
    }

    /// True when the thread has ended.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Packets that were not sent yet.
    pub fn waiting(&self) -> u64 {
        self.feeder.waiting()
    }

    /// How a thread that is over has ended.
    ///
    /// # Errors
    /// Why the output failed.
    pub fn join(&mut self) -> Result<(), EndpointError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => {
                let fault = Fault::Unusable("the thread that writes has failed");
                Err(EndpointError::new("output", fault))
            }
            None => Ok(()),
        }
    }

    /// Hands over what was observed.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.feeder.drain_events(sink);
        self.relay.drain_events(sink);
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        self.feeder.counters(out);
        self.relay.counters(out);
        if self.kept {
            out.set("unsent_packets", self.shared.unsent.load(Ordering::Relaxed));
        }
    }
}

/// Writes until the queue ends or the sink fails; what was not written of a batch is counted.
fn write_all(
    outlet: &mut Outlet,
    sink: &mut dyn Sink,
    relay: &Relay,
    shared: &Shared,
) -> Result<(), EndpointError> {
    let mut batch = Batch::with_capacity(0);
    let ended = write_batches(outlet, &mut batch, sink, relay, shared);
    if ended.is_err() {
        let lost = batch.len() as u64;
        shared.unsent.fetch_add(lost, Ordering::Relaxed);
    }
    sink.drain_events(&mut |e| relay.post(e));
    relay.post_counters(|c| sink.counters(c));
    ended
}

fn write_batches(
    outlet: &mut Outlet,
    batch: &mut Batch,
    sink: &mut dyn Sink,
    relay: &Relay,
    shared: &Shared,
) -> Result<(), EndpointError> {
    let mut posted = Instant::now();
    let mut framing = UNSAID;
    loop {
        let patience = if sink.keeps_back() { FLUSH_AFTER } else { TURN };
        let taken = outlet.take(batch, patience);
        let said = shared.framing.load(Ordering::Acquire);
        if said != framing {
            framing = said;
            let known = Framing::ALL.into_iter().find(|f| *f as u8 == said);
            known.into_iter().for_each(|f| sink.set_framing(f));
        }
        match taken {
            Taken::Packets => sink.send(batch)?,
            Taken::Idle => sink.flush()?,
            Taken::End => return sink.finish(),
        }
        sink.drain_events(&mut |e| relay.post(e));
        if posted.elapsed() >= TURN {
            posted = Instant::now();
            relay.post_counters(|c| sink.counters(c));
        }
    }
}

/// The thread of an output that is opened again.
struct Keeper<'a> {
    endpoint: Endpoint,
    options: OutputOptions,
    outlet: Outlet,
    relay: &'a Relay,
    shared: &'a Shared,
}

impl Keeper<'_> {
    fn run(mut self) -> Result<(), EndpointError> {
        let mut again = FIRST_AGAIN;
        let mut lost = None;
        loop {
            let opened = open_output(&self.endpoint, &self.options);
            let was_open = opened.is_ok();
            let ended = opened.and_then(|mut sink| {
                if let Some(lost) = lost.take() {
                    self.relay.post(&SendingEvent::Back { lost });
                }
                self.shared.open.store(true, Ordering::Release);
                let begun = Instant::now();
                let ended = write_all(&mut self.outlet, &mut *sink, self.relay, self.shared);
                if begun.elapsed() > LAST_AGAIN {
                    again = FIRST_AGAIN;
                }
                ended
            });
            let Err(error) = ended else { return Ok(()) };
            self.shared.open.store(false, Ordering::Release);
            let once = was_open && !self.may_be_opened_again() || error.is_usage();
            let stopped = self.options.stop.load(Ordering::Relaxed);
            if !stopped && !is_gone(&error) {
                self.relay.post(&SendingEvent::Failed {
                    reason: reason(&error),
                    again_in: (!once).then(|| again.into()),
                });
            }
            if once {
                self.drop_packets(None);
                return Err(error);
            }
            match self.drop_packets(Some(again)) {
                Some(packets) => lost = Some(lost.unwrap_or(0) + packets),
                None => return Err(error),
            }
            again = (again * 2).min(LAST_AGAIN);
        }
    }

    /// What has failed once, but is no file or program of ours: a socket, a FIFO.
    fn may_be_opened_again(&self) -> bool {
        match &self.endpoint {
            Endpoint::Standard => false,
            Endpoint::File(path) => !path.is_file(),
            Endpoint::Socket(_) | Endpoint::Exec(_) => true,
        }
    }

    /// Drops what comes for so long, or to the end; `None` at the end.
    fn drop_packets(&mut self, during: Option<Duration>) -> Option<u64> {
        let until = during.map(|time| Instant::now() + time);
        let mut batch = Batch::with_capacity(0);
        let mut lost = 0;
        while until.is_none_or(|until| Instant::now() < until) {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match self.outlet.take(&mut batch, left.unwrap_or(TURN).min(TURN)) {
                Taken::Packets => {
                    let packets = batch.len() as u64;
                    lost += packets;
                    self.shared.unsent.fetch_add(packets, Ordering::Relaxed);
                }
                Taken::Idle => {}
                Taken::End => return None,
            }
        }
        Some(lost)
    }
}

/// True where the reader went away, which is a normal end.
fn is_gone(error: &EndpointError) -> bool {
    matches!(error.fault(), Fault::System(_, e) if e.kind() == ErrorKind::BrokenPipe)
}

fn reason(error: &EndpointError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
