//! RTP datagrams put back in order: repeats dropped, losses counted by sequence number.
//!
//! A datagram that comes in order passes at once. One that is ahead waits for those it has
//! overtaken, the window at most; what has not come by then is lost. A jump by which a sender
//! has started anew is believed when a second datagram continues it (RFC 3550 appendix A.1). The
//! very first datagram waits too: it may have overtaken others.

use std::collections::BTreeMap;

use super::event::{Event, Severity, Value};
use super::{Counters, Pending, RtpHeader};
use crate::units::{Arrival, Ticks27M};

/// Bytes of datagrams that wait at most; beyond them the window is cut short.
const MAX_HELD_BYTES: usize = 4 << 20;
/// A step ahead beyond this is a sender that started anew (RFC 3550: MAX_DROPOUT).
const MAX_DROPOUT: i64 = 3000;
/// A step back beyond this is a sender that started anew.
const MAX_MISORDER: i64 = 1000;

/// What the order of RTP datagrams shows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ReorderEvent {
    /// Datagrams never came, or came when it was too late.
    Lost {
        /// How many in a row.
        datagrams: u64,
        /// The sequence number of the first.
        first: u16,
    },
    /// The sequence starts anew: another sender, or the same one after a restart.
    Restarted {
        /// The synchronisation source now.
        ssrc: u32,
    },
}

impl Event for ReorderEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "rtp_lost",
            Self::Restarted { .. } => "rtp_restarted",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Lost { .. } => Severity::Error,
            Self::Restarted { .. } => Severity::Warning,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match *self {
            Self::Lost { datagrams, first } => {
                field("lost_datagrams", Value::from(datagrams));
                field("first_sequence", Value::from(u64::from(first)));
            }
            Self::Restarted { ssrc } => field("ssrc", Value::from(u64::from(ssrc))),
        }
    }
}

/// What became of a datagram.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is the next and nothing waits: use it at once.
    Next,
    /// It was kept; ask [`Reorder::pop`].
    Kept,
    /// It is a repeat, too late, or strays.
    Dropped,
}

/// A datagram that waits.
#[derive(Debug)]
struct Held {
    arrival: Arrival,
    payload: Box<[u8]>,
}

/// Puts datagrams in order; fed with headers, payloads and arrivals, asked with the time.
///
/// ```
/// use headend::stream::{Pushed, Reorder, RtpHeader};
/// use headend::units::{Arrival, Ticks27M};
/// let mut reorder = Reorder::new(Ticks27M::from_millis(50));
/// let at = Arrival::from_ticks(0);
/// let header = |sequence| RtpHeader { sequence, timestamp: 0, ssrc: 1, marker: false };
/// assert_eq!(reorder.push(&header(65535), b"a", at), Pushed::Kept);
/// assert_eq!(reorder.push(&header(1), b"c", at), Pushed::Kept);
/// assert!(reorder.pop(at).is_none());
/// assert_eq!(reorder.push(&header(0), b"b", at), Pushed::Kept);
/// let at = at + Ticks27M::from_millis(50);
/// let out: Vec<_> = std::iter::from_fn(|| reorder.pop(at)).collect();
/// assert_eq!(out.iter().map(|(_, p)| &p[..]).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
/// assert_eq!(reorder.push(&header(2), b"d", at), Pushed::Next);
/// ```
#[derive(Debug)]
pub struct Reorder {
    window: Ticks27M,
    ssrc: u32,
    /// The unwrapped number due next; `None` before the first datagram.
    next: Option<i64>,
    /// When the first datagram came, while those that it may have overtaken are waited for.
    starting: Option<Arrival>,
    /// The number at which the sequence began; what lies before was never waited for.
    first: i64,
    /// Datagrams ahead of `next`, by unwrapped number.
    held: BTreeMap<i64, Held>,
    held_bytes: usize,
    /// A datagram far away, which a second one must confirm, and its source.
    stray: Option<(RtpHeader, Held)>,
    /// Which of the 64 numbers before `next` have come: bit n is `next - 1 - n`.
    seen: u64,
    events: Pending<ReorderEvent>,
    lost: u64,
    duplicates: u64,
    late: u64,
    reordered: u64,
    restarts: u64,
}

impl Reorder {
    /// A machine that waits `window` at most for what was overtaken.
    pub fn new(window: Ticks27M) -> Self {
        Self {
            window,
            ssrc: 0,
            next: None,
            starting: None,
            first: 0,
            held: BTreeMap::new(),
            held_bytes: 0,
            stray: None,
            seen: 0,
            events: Pending::new(),
            lost: 0,
            duplicates: 0,
            late: 0,
            reordered: 0,
            restarts: 0,
        }
    }

    /// Takes up a datagram.
    pub fn push(&mut self, header: &RtpHeader, payload: &[u8], arrival: Arrival) -> Pushed {
        let Some(next) = self.next else {
            self.start(header);
            self.starting = Some(arrival);
            return self.hold(self.first, payload, arrival);
        };
        // The unwrapped number nearest to the one that is due.
        let ahead = i64::from(header.sequence.wrapping_sub(next as u16) as i16);
        let far = header.ssrc != self.ssrc || !(-MAX_MISORDER..=MAX_DROPOUT).contains(&ahead);
        if far {
            return self.far(header, payload, arrival);
        }
        if self.is_next(header) {
            return Pushed::Next;
        }
        self.stray = None;
        let number = next + ahead;
        if ahead < 0 && self.starting.is_none() {
            self.too_late(number, next);
            return Pushed::Dropped;
        }
        self.hold(number, payload, arrival)
    }

    /// True, and counted as come, when this is the datagram that is due and nothing waits:
    /// [`Pushed::Next`] for a receiver that has not moved the payload yet.
    pub fn is_next(&mut self, header: &RtpHeader) -> bool {
        let due = self.next.is_some_and(|n| n as u16 == header.sequence)
            && header.ssrc == self.ssrc
            && self.held.is_empty();
        if due {
            self.stray = None;
            self.step();
        }
        due
    }

    /// The next datagram of those that were kept, once it is its turn at `now`.
    pub fn pop(&mut self, now: Arrival) -> Option<(Arrival, Box<[u8]>)> {
        let (number, held) = self.held.first_key_value()?;
        if let Some(since) = self.starting {
            if now - since < self.window && self.held_bytes <= MAX_HELD_BYTES {
                return None;
            }
            self.starting = None;
            (self.next, self.first) = (Some(*number), *number);
        }
        let gap = *number - self.next?;
        let due = now - held.arrival >= self.window || self.held_bytes > MAX_HELD_BYTES;
        if gap > 0 {
            if !due {
                return None;
            }
            self.lose(gap);
        }
        self.step();
        let (_, held) = self.held.pop_first()?;
        self.held_bytes -= held.payload.len();
        Some((held.arrival, held.payload))
    }

    /// How long until [`Reorder::pop`] has something though nothing more comes; `None` when
    /// nothing waits.
    pub fn due_in(&self, now: Arrival) -> Option<Ticks27M> {
        let (_, held) = self.held.first_key_value()?;
        let since = self.starting.unwrap_or(held.arrival);
        Some(since + self.window - now)
    }

    /// At the end of the input: nothing more is waited for.
    pub fn finish(&mut self) {
        self.window = Ticks27M::new(i64::MIN);
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("rtp_lost_datagrams", self.lost);
        out.set("rtp_duplicate_datagrams", self.duplicates);
        out.set("rtp_late_datagrams", self.late);
        out.set("rtp_reordered_datagrams", self.reordered);
        out.set("rtp_restarts_total", self.restarts);
    }

    fn start(&mut self, header: &RtpHeader) {
        self.ssrc = header.ssrc;
        self.first = i64::from(header.sequence);
        self.next = Some(self.first);
        self.starting = None;
        self.seen = 0;
    }

    /// The datagram that is due came.
    fn step(&mut self) {
        if let Some(next) = &mut self.next {
            *next += 1;
        }
        self.seen = self.seen << 1 | 1;
    }

    /// `gap` datagrams did not come.
    fn lose(&mut self, gap: i64) {
        self.lost += gap.unsigned_abs();
        self.events.push(ReorderEvent::Lost {
            datagrams: gap.unsigned_abs(),
            first: self.next.unwrap_or(0) as u16,
        });
        if let Some(next) = &mut self.next {
            *next += gap;
        }
        self.seen = self.seen.checked_shl(gap.min(64) as u32).unwrap_or(0);
    }

    /// A datagram came whose turn is over: a repeat, or one that was given up.
    fn too_late(&mut self, number: i64, next: i64) {
        let back = next - 1 - number;
        let bit = u32::try_from(back).ok().and_then(|n| 1u64.checked_shl(n));
        let came = bit.is_some_and(|bit| self.seen & bit != 0);
        if came {
            self.duplicates += 1;
            return;
        }
        self.late += 1;
        if number < self.first {
            // Nobody has missed it yet: it is said to be lost as it comes. A repeat of one farther
            // back than is remembered is taken for another.
            self.lost += 1;
            self.seen |= bit.unwrap_or(0);
            self.events.push(ReorderEvent::Lost {
                datagrams: 1,
                first: number as u16,
            });
        }
    }

    fn hold(&mut self, number: i64, payload: &[u8], arrival: Arrival) -> Pushed {
        if self.held.contains_key(&number) {
            self.duplicates += 1;
            return Pushed::Dropped;
        }
        if self
            .held
            .last_key_value()
            .is_some_and(|(last, _)| *last > number)
        {
            self.reordered += 1;
        }
        self.held_bytes += payload.len();
        let payload = payload.into();
        self.held.insert(number, Held { arrival, payload });
        Pushed::Kept
    }

    /// A datagram of another source, or of a far number.
    fn far(&mut self, header: &RtpHeader, payload: &[u8], arrival: Arrival) -> Pushed {
        let stray = self.stray.take();
        let confirmed = stray.filter(|(first, _)| {
            first.ssrc == header.ssrc && first.sequence.wrapping_add(1) == header.sequence
        });
        let Some((first, held)) = confirmed else {
            let payload = payload.into();
            self.stray = Some((*header, Held { arrival, payload }));
            return Pushed::Dropped;
        };
        // What waited leaves first, under numbers that come right before the new ones.
        let waiting = std::mem::take(&mut self.held);
        self.restarts += 1;
        self.events
            .push(ReorderEvent::Restarted { ssrc: first.ssrc });
        self.start(&first);
        let start = i64::from(first.sequence);
        let mut number = start - waiting.len() as i64;
        self.next = Some(number);
        for (_, old) in waiting {
            self.held.insert(number, old);
            number += 1;
        }
        self.held_bytes += held.payload.len();
        self.held.insert(number, held);
        self.hold(number + 1, payload, arrival)
    }
}

#[cfg(test)]
mod tests;
