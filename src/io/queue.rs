//! A bounded queue of batches between the thread that receives and the one that writes.
//!
//! The receiver never waits for a live input's reader: what finds no room is dropped, oldest
//! first, and counted. Where the input waits by itself (a file, a pipe) the receiver waits too,
//! and nothing is dropped.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::stream::event::{Event, Severity, Value};
use crate::stream::{Batch, Counters, Pending};
use crate::ts::PACKET_SIZE;
use crate::units::{Arrival, ByteCount, ParseUnitError, Ticks27M};

/// Packets of a batch of the queue: 192.5 KiB.
pub const BATCH_PACKETS: usize = 1024;
/// Room that a batch must have left to be filled further.
const LEAST_ROOM: usize = BATCH_PACKETS / 4;
/// Parts of the time limit after which a batch is filled no further: what is dropped at once.
const PARTS: i64 = 8;
/// Empty batches kept for later; the rest of a passed jam is given back.
const SPARE_BATCHES: usize = 4;

/// How much a queue holds: by time and by bytes, whichever is less.
///
/// Prints and reads `2s,16MiB`.
///
/// ```
/// use headend::io::queue::Limits;
/// let limits: Limits = "500ms,4MiB".parse().unwrap();
/// assert_eq!(limits.to_string(), "500ms,4.0 MiB");
/// assert_eq!("4MiB,500ms".parse(), Ok(limits));
/// assert!("4".parse::<Limits>().is_err());
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that a packet waits.
    pub time: Duration,
    /// The most bytes that wait.
    pub bytes: ByteCount,
}

impl Limits {
    /// Where the input waits by itself no more than this is queued: 1 MiB keeps both sides busy.
    const SELF_PACED: ByteCount = ByteCount::new(1 << 20);

    /// The limits for such an input.
    #[must_use]
    pub fn self_paced(self) -> Self {
        Self {
            bytes: self.bytes.min(Self::SELF_PACED),
            ..self
        }
    }
}

impl Default for Limits {
    /// 2 s and 16 MiB.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(2),
            bytes: ByteCount::new(16 << 20),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{},{}",
            humantime::format_duration(self.time),
            self.bytes
        )
    }
}

impl FromStr for Limits {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseUnitError::new(text, "a queue; write 2s,16MiB or one of the two");
        let mut limits = Self::default();
        for part in text.split(',') {
            let part = part.trim();
            match (humantime::parse_duration(part), part.parse::<ByteCount>()) {
                (Ok(time), Err(_)) if !time.is_zero() => limits.time = time,
                (Err(_), Ok(bytes)) if part.ends_with(|c: char| !c.is_ascii_digit()) => {
                    limits.bytes = bytes;
                }
                _ => return Err(error()),
            }
        }
        let least = (BATCH_PACKETS * PACKET_SIZE) as u64;
        if limits.bytes.get() < least {
            return Err(ParseUnitError::new(text, "a queue of 200k or more"));
        }
        Ok(limits)
    }
}

/// What a queue observes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum QueueEvent {
    /// The reader was too slow: the oldest packets were dropped.
    Overflow {
        /// How many.
        packets: u64,
    },
}

impl Event for QueueEvent {
    fn name(&self) -> &'static str {
        "queue_overflow"
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        let Self::Overflow { packets } = self;
        field("lost_packets", Value::from(*packets));
    }
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Batch>,
    ready_packets: usize,
    spare: Vec<Batch>,
    /// No more comes.
    closed: bool,
    /// Nobody takes any more.
    abandoned: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change until `until`.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, until: Instant) -> MutexGuard<'a, State> {
        let left = until.saturating_duration_since(Instant::now());
        self.changed
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// The receiver's end.
#[derive(Debug)]
pub struct Feeder {
    shared: Arc<Shared>,
    limits: Limits,
    /// What is being filled.
    current: Batch,
    events: Pending<QueueEvent>,
    dropped: u64,
    most: usize,
}

/// The writer's end.
#[derive(Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
}

/// What [`Outlet::take`] brought.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Packets.
    Packets,
    /// Nothing in time.
    Idle,
    /// There will be no more.
    End,
}

/// A queue within `limits`.
pub fn queue(limits: Limits) -> (Feeder, Outlet) {
    let shared = Arc::new(Shared::default());
    let feeder = Feeder {
        shared: Arc::clone(&shared),
        limits,
        current: Batch::with_capacity(BATCH_PACKETS),
        events: Pending::new(),
        dropped: 0,
        most: 0,
    };
    (feeder, Outlet { shared })
}

impl Feeder {
    /// The batch to append to; [`Feeder::offer`] or [`Feeder::hand_on`] follows.
    pub fn batch(&mut self) -> &mut Batch {
        &mut self.current
    }

    /// Hands on what came, without ever waiting; while the reader is busy the batch goes on being
    /// filled. To be called in every turn, idle ones included, with the time. False when nobody
    /// takes any more.
    pub fn offer(&mut self, now: Arrival) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if state.abandoned {
            return false;
        }
        let busy = !state.ready.is_empty();
        let span = now - self.current.first_arrival().unwrap_or(now);
        let fits = self.current.room() >= LEAST_ROOM && span * PARTS < self.limits.time.into();
        if self.current.is_empty() || busy && fits {
            return true;
        }
        // The oldest go first: who reads again finds what is fresh, in one piece.
        let mut lost = 0;
        let most = self.limits.bytes.get() as usize / PACKET_SIZE;
        while let Some(oldest) = state.ready.front() {
            let first = oldest.first_arrival().unwrap_or(now);
            let old = now - first > Ticks27M::from(self.limits.time);
            if !old && state.ready_packets + self.current.len() <= most {
                break;
            }
            lost += oldest.len() as u64;
            state.ready_packets -= oldest.len();
            if let Some(mut batch) = state.ready.pop_front() {
                batch.clear();
                keep(&mut state.spare, batch);
            }
        }
        if lost > 0 {
            self.dropped += lost;
            self.events.push(QueueEvent::Overflow { packets: lost });
        }
        self.push(state);
        true
    }

    /// Hands on what came, waiting at most `patience` for room. False when there was none: to be
    /// called again before more is appended.
    pub fn hand_on(&mut self, patience: Duration) -> bool {
        if self.current.is_empty() {
            return true;
        }
        let until = Instant::now() + patience;
        let most = self.limits.bytes.get() as usize / PACKET_SIZE;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        while state.ready_packets + self.current.len() > most && !state.abandoned {
            if Instant::now() >= until {
                return false;
            }
            state = shared.wait(state, until);
        }
        self.push(state);
        true
    }

    fn push(&mut self, mut state: MutexGuard<'_, State>) {
        let next = state.spare.pop();
        let next = next.unwrap_or_else(|| Batch::with_capacity(BATCH_PACKETS));
        let full = std::mem::replace(&mut self.current, next);
        state.ready_packets += full.len();
        self.most = self.most.max(state.ready_packets);
        state.ready.push_back(full);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// True when nobody takes any more.
    pub fn is_abandoned(&self) -> bool {
        self.shared.lock().abandoned
    }

    /// Packets that nobody has taken yet.
    pub fn waiting(&self) -> u64 {
        (self.shared.lock().ready_packets + self.current.len()) as u64
    }

    /// Hands on the last packets, whatever the limits, and says that no more come.
    pub fn close(&mut self) {
        let shared = Arc::clone(&self.shared);
        let state = shared.lock();
        if !self.current.is_empty() {
            self.push(state);
        } else {
            drop(state);
        }
        shared.lock().closed = true;
        shared.changed.notify_all();
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
    }

    /// Packets dropped because the reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("queue_packets", self.waiting());
        out.set("queue_most_packets", self.most as u64);
        out.set("queue_dropped_packets", self.dropped);
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.close();
    }
}

fn keep(spare: &mut Vec<Batch>, batch: Batch) {
    if spare.len() < SPARE_BATCHES {
        spare.push(batch);
    }
}

impl Outlet {
    /// Replaces `batch` by the next one, waiting at most `patience`; its memory goes back to the
    /// queue.
    pub fn take(&mut self, batch: &mut Batch, patience: Duration) -> Taken {
        batch.clear();
        let until = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            if let Some(next) = state.ready.pop_front() {
                state.ready_packets -= next.len();
                let used = std::mem::replace(batch, next);
                if used.capacity() == BATCH_PACKETS {
                    keep(&mut state.spare, used);
                }
                drop(state);
                self.shared.changed.notify_all();
                return Taken::Packets;
            }
            if state.closed {
                return Taken::End;
            }
            if Instant::now() >= until {
                return Taken::Idle;
            }
            state = self.shared.wait(state, until);
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.shared.lock().abandoned = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::{Packet, Pid};

    fn at(ms: i64) -> Arrival {
        Arrival::from_ticks(ms * 27_000)
    }

    fn feed(feeder: &mut Feeder, from: u64, count: u64, now: Arrival) {
        for n in from..from + count {
            let mut packet = Packet::NULL;
            packet.set_pid(Pid::from_field((n % 8192) as u16));
            assert!(feeder.batch().push(&packet, now));
        }
        assert!(feeder.offer(now));
    }

    fn take_all(outlet: &mut Outlet) -> Vec<u16> {
        let mut batch = Batch::with_capacity(0);
        let mut out = Vec::new();
        while outlet.take(&mut batch, Duration::ZERO) == Taken::Packets {
            out.extend(batch.packets().iter().map(|p| p.pid().get()));
        }
        out
    }

    #[test]
    fn a_reader_that_keeps_up_gets_everything_in_order() {
        let (mut feeder, mut outlet) = queue(Limits::default());
        let mut out = Vec::new();
        for turn in 0..1000 {
            feed(&mut feeder, turn * 7, 7, at(turn as i64));
            if turn % 3 == 0 {
                out.extend(take_all(&mut outlet));
            }
        }
        feeder.close();
        out.extend(take_all(&mut outlet));
        assert!(out.iter().map(|n| u64::from(*n)).eq(0..7000));
        assert_eq!(
            outlet.take(&mut Batch::with_capacity(0), Duration::ZERO),
            Taken::End
        );
        assert_eq!(feeder.dropped, 0);
    }

    #[test]
    fn what_a_stalled_reader_does_not_take_is_dropped_by_bytes_and_by_time_and_counted() {
        // 100 Mb/s for 10 s: 66 489 packets a second, 16 MiB hold 89 240 of them
        let (mut feeder, mut outlet) = queue(Limits::default());
        for ms in 0..10_000 {
            feed(&mut feeder, 0, 66, at(ms));
            let mut bytes = Sum::default();
            feeder.counters(&mut bytes);
            assert!(bytes.0 <= 89_240 + BATCH_PACKETS as u64);
        }
        let left = take_all(&mut outlet).len() as u64;
        let kept = feeder.batch().len() as u64;
        assert_eq!(left + kept + feeder.dropped, 660_000);
        assert!(left > 80_000, "{left}");

        // 1 Mb/s for 60 s: 2 s hold 1330 packets
        let (mut feeder, mut outlet) = queue(Limits::default());
        for ms in 0..60_000 {
            feed(&mut feeder, 0, u64::from(ms % 3 < 2), at(ms));
        }
        let left = take_all(&mut outlet).len() as u64;
        assert_eq!(left + feeder.batch().len() as u64 + feeder.dropped, 40_000);
        assert!((1000..3500).contains(&left), "{left}");
        let mut events = 0;
        feeder.drain_events(&mut |e| events += usize::from(e.name() == "queue_overflow"));
        assert!(events > 0);
    }

    /// The counter `queue_packets`.
    #[derive(Default)]
    struct Sum(u64);
    impl Counters for Sum {
        fn put(&mut self, _: &str, _: Value) {}
        fn set(&mut self, key: &str, value: u64) {
            if key == "queue_packets" {
                self.0 = value;
            }
        }
    }

    #[test]
    fn where_the_input_waits_by_itself_nothing_is_dropped() {
        let limits = "200k".parse().unwrap();
        let (mut feeder, mut outlet) = queue(limits);
        let writer = std::thread::spawn(move || {
            let (mut batch, mut count) = (Batch::with_capacity(0), 0);
            while outlet.take(&mut batch, Duration::from_secs(10)) == Taken::Packets {
                count += batch.len();
            }
            count
        });
        for _ in 0..500 {
            feeder.batch().extend(&[Packet::NULL; 1000], at(0));
            while !feeder.hand_on(Duration::from_secs(10)) {}
        }
        feeder.close();
        assert_eq!((writer.join().unwrap(), feeder.dropped), (500_000, 0));
    }

    #[test]
    fn a_writer_that_is_gone_is_noticed() {
        let (mut feeder, outlet) = queue(Limits::default());
        assert!(feeder.offer(at(0)));
        drop(outlet);
        assert!(!feeder.offer(at(0)) && feeder.is_abandoned());
    }
}
