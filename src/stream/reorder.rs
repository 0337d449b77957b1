//! RTP datagrams put back in order: repeats dropped, losses counted by sequence number.
//!
//! A datagram that comes in order passes at once. One that is ahead waits for those it has
//! overtaken, the window at most; what has not come by then is lost. The very first datagram waits
//! too: it may have overtaken others.
//!
//! A datagram that came a moment before is known by its content: of one that comes again later the
//! sender has started anew, with the numbers and times it had. One that does not fit (a far number, one
//! under which another came, a late one with a time that is yet to come) strays: a second that
//! belongs to it tells that the sender has started anew (RFC 3550 appendix A.1), and then none of
//! them is lost.

use std::collections::{BTreeMap, VecDeque};

use super::event::Event;
use super::{Counters, Pending, RtpHeader};
use crate::ts::{PACKET_SIZE, SYNC_BYTE};
use crate::units::{Arrival, Ticks27M};

mod event;
mod memory;
mod strays;

pub use event::ReorderEvent;
use memory::{Memory, print};
use strays::{Strays, distance};

/// Bytes of datagrams that wait at most; beyond them the window is cut short.
const MAX_HELD_BYTES: usize = 4 << 20;
/// A step ahead beyond this is a sender that started anew (RFC 3550: MAX_DROPOUT).
const MAX_DROPOUT: i64 = 3000;
/// A step back beyond this is a sender that started anew.
const MAX_MISORDER: i64 = 1000;
/// Numbers over which the strays of one new sequence lie at most.
const MAX_STRAY_SPAN: i64 = 64;
/// How long after a datagram its second copy may come, and those of a sequence after it has ended.
const LAG: Ticks27M = Ticks27M::new(2 * 27_000_000);
/// Repeats with nothing new between them from which on it is said.
const MANY_REPEATS: u64 = 64;
/// Numbers and times behind the newest at which a datagram still follows it.
const FOLLOWS: u16 = 16;
/// How far before its end a datagram of a sequence that has ended lies at most.
const OLD_BACK: i16 = 4096;
/// And how far behind the last that came.
const OLD_AHEAD: i16 = 64;

/// What became of a datagram.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is the next and nothing waits: use it at once.
    Next,
    /// It was kept; ask [`Reorder::pop`].
    Kept,
    /// It is a repeat, or too late.
    Dropped,
}

/// A datagram that waits.
#[derive(Debug)]
struct Held {
    arrival: Arrival,
    timestamp: u32,
    payload: Box<[u8]>,
}

/// The newest datagram of the sequence that comes.
#[derive(Debug, Default)]
struct Newest {
    number: i64,
    stamp: u32,
    /// What a number is worth in time.
    step: u32,
}

impl Newest {
    fn see(&mut self, number: i64, stamp: u32) {
        if number > self.number {
            let numbers = u32::try_from(number - self.number).unwrap_or(u32::MAX);
            let step = distance(stamp, self.stamp) / numbers;
            (self.number, self.stamp, self.step) = (number, stamp, step);
        }
    }

    /// True when a datagram comes close behind.
    fn is_followed_by(&self, header: &RtpHeader) -> bool {
        (1..=FOLLOWS).contains(&header.sequence.wrapping_sub(self.number as u16))
            && self.has_the_time_of(header)
    }

    /// True when a datagram has about the time that its number has in this sequence.
    fn has_the_time_of(&self, header: &RtpHeader) -> bool {
        let numbers = header
            .sequence
            .wrapping_sub(self.number as u16)
            .cast_signed();
        let ticks = self.step.wrapping_mul(i32::from(numbers).cast_unsigned());
        let time = self.stamp.wrapping_add(ticks);
        distance(header.timestamp, time) <= self.step.saturating_mul(FOLLOWS.into())
    }
}

/// The sequence before the sender started anew: what still comes of it is late.
#[derive(Debug)]
struct OldLine {
    ssrc: u32,
    /// Its numbers have the times that they have in the sequence that comes: nothing but the
    /// content tells one from the other.
    is_played_again: bool,
    /// The number that was due next.
    next: u16,
    /// The timestamp of the one before.
    stamp: u32,
    /// Until when its datagrams may come.
    until: Arrival,
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
    /// What waited when the sequence started anew, and leaves before it.
    leaving: VecDeque<Held>,
    /// The timestamp of the datagram that went last, or of the first.
    stamp: u32,
    newest: Newest,
    strays: Strays,
    memory: Memory,
    /// Counts the sequences, for `memory`.
    line: u32,
    old: Option<OldLine>,
    events: Pending<ReorderEvent>,
    lost: u64,
    duplicates: u64,
    /// Duplicates since something else came.
    repeats: u64,
    late: u64,
    reordered: u64,
    restarts: u64,
    strayed: u64,
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
            leaving: VecDeque::new(),
            stamp: 0,
            newest: Newest::default(),
            strays: Strays::default(),
            memory: Memory::new(),
            line: 0,
            old: None,
            events: Pending::new(),
            lost: 0,
            duplicates: 0,
            repeats: 0,
            late: 0,
            reordered: 0,
            restarts: 0,
            strayed: 0,
        }
    }

    /// Takes up a datagram.
    pub fn push(&mut self, header: &RtpHeader, payload: &[u8], arrival: Arrival) -> Pushed {
        let print = print(header, payload);
        let Some(next) = self.next else {
            self.start(header, arrival);
            return self.hold(self.first, header, print, payload, arrival);
        };
        let sequence = header.sequence;
        if self.is_repeat(header, print, payload, arrival) {
            self.duplicates += 1;
            self.repeats += 1;
            return Pushed::Dropped;
        }
        self.end_repeats();
        if self.is_of_old_line(header, arrival) {
            return Pushed::Dropped;
        }
        // The unwrapped number nearest to the one that is due.
        let ahead = i64::from(sequence.wrapping_sub(next as u16).cast_signed());
        let far = header.ssrc != self.ssrc || !(-MAX_MISORDER..=MAX_DROPOUT).contains(&ahead);
        let late = ahead < 0 && self.starting.is_none();
        if far
            || self.memory.has_number(sequence, self.line)
            || late && header.timestamp.wrapping_sub(self.stamp).cast_signed() > 0
            || self.strays.are_continued_by(header, self.stamp)
        {
            return self.stray(header, print, payload, arrival);
        }
        let given_up = self.strays.grow_older();
        self.give_up(given_up);
        if late {
            self.memory.remember(sequence, print, self.line, arrival);
            self.too_late(next + ahead);
            return Pushed::Dropped;
        }
        if ahead == 0 && self.held.is_empty() && self.leaving.is_empty() {
            self.memory.remember(sequence, print, self.line, arrival);
            self.newest.see(next, header.timestamp);
            self.step(header.timestamp);
            return Pushed::Next;
        }
        self.hold(next + ahead, header, print, payload, arrival)
    }

    /// True when a datagram is of the sequence that comes, and near to the one that is due.
    pub fn is_near(&self, header: &RtpHeader) -> bool {
        self.next.is_some_and(|next| {
            let ahead = i64::from(header.sequence.wrapping_sub(next as u16).cast_signed());
            header.ssrc == self.ssrc && (-MAX_MISORDER..=MAX_DROPOUT).contains(&ahead)
        })
    }

    /// True, and counted as come, when this is the datagram that is due and nothing waits:
    /// [`Pushed::Next`] for a receiver that has not moved the payload yet.
    pub fn is_next(&mut self, header: &RtpHeader, payload: &[u8], arrival: Arrival) -> bool {
        let Some(next) = self.next else {
            return false;
        };
        let due = next as u16 == header.sequence
            && header.ssrc == self.ssrc
            && self.held.is_empty()
            && self.leaving.is_empty()
            && self.strays.is_empty();
        if due {
            self.end_repeats();
            let print = print(header, payload);
            self.memory
                .remember(header.sequence, print, self.line, arrival);
            self.newest.see(next, header.timestamp);
            self.step(header.timestamp);
        }
        due
    }

    /// The next datagram of those that were kept, once it is its turn at `now`.
    pub fn pop(&mut self, now: Arrival) -> Option<(Arrival, Box<[u8]>)> {
        if let Some(held) = self.leaving.pop_front() {
            self.held_bytes -= held.payload.len();
            return Some((held.arrival, held.payload));
        }
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
        let (_, held) = self.held.pop_first()?;
        self.step(held.timestamp);
        self.held_bytes -= held.payload.len();
        Some((held.arrival, held.payload))
    }

    /// How long until [`Reorder::pop`] has something though nothing more comes; `None` when
    /// nothing waits.
    pub fn due_in(&self, now: Arrival) -> Option<Ticks27M> {
        if !self.leaving.is_empty() {
            return Some(Ticks27M::ZERO);
        }
        let (_, held) = self.held.first_key_value()?;
        let since = self.starting.unwrap_or(held.arrival);
        Some(since + self.window - now)
    }

    /// At the end of the input: nothing more is waited for.
    pub fn finish(&mut self) {
        self.window = Ticks27M::new(i64::MIN);
        self.end_repeats();
        let strays = self.strays.take().len() as u64;
        self.give_up(strays);
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
        out.set("rtp_strayed_datagrams", self.strayed);
    }

    fn start(&mut self, header: &RtpHeader, arrival: Arrival) {
        self.ssrc = header.ssrc;
        self.first = i64::from(header.sequence);
        self.next = Some(self.first);
        self.starting = Some(arrival);
        self.stamp = header.timestamp;
        self.newest = Newest {
            number: self.first,
            stamp: header.timestamp,
            step: 0,
        };
    }

    /// True when this very datagram came a moment before. One of null packets alone is like
    /// others: such a one that follows the newest, or the first of a new sequence, is no repeat
    /// though its like came in the sequence before.
    fn is_repeat(&self, header: &RtpHeader, print: u64, payload: &[u8], arrival: Arrival) -> bool {
        let sequence = header.sequence;
        if self.strays.knows(sequence, print) {
            return true;
        }
        match self.memory.line_of(sequence, print, arrival) {
            None => false,
            Some(line) => {
                let is_new = match line == self.line {
                    true => self.strays.are_continued_by(header, self.stamp),
                    false => self.newest.is_followed_by(header),
                };
                !is_new || !is_of_nulls(payload)
            }
        }
    }

    /// Something came that is no repeat.
    fn end_repeats(&mut self) {
        let datagrams = std::mem::take(&mut self.repeats);
        if datagrams >= MANY_REPEATS {
            self.events.push(ReorderEvent::Repeated { datagrams });
        }
    }

    /// The datagram that is due came.
    fn step(&mut self, timestamp: u32) {
        if let Some(next) = &mut self.next {
            *next += 1;
        }
        self.stamp = timestamp;
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
    }

    /// A datagram came that was given up, or that nobody has missed yet.
    fn too_late(&mut self, number: i64) {
        self.late += 1;
        if number < self.first {
            self.lose_unmissed(number as u16);
        }
    }

    /// One is lost that was not waited for.
    fn lose_unmissed(&mut self, first: u16) {
        self.lost += 1;
        let datagrams = 1;
        self.events.push(ReorderEvent::Lost { datagrams, first });
    }

    /// Strays are dropped.
    fn give_up(&mut self, datagrams: u64) {
        if datagrams > 0 {
            self.strayed += datagrams;
            self.events.push(ReorderEvent::Strayed { datagrams });
        }
    }

    /// True, and counted, when a datagram belongs to the sequence before this one.
    fn is_of_old_line(&mut self, header: &RtpHeader, arrival: Arrival) -> bool {
        let Some(old) = self.old.take_if(|old| arrival <= old.until) else {
            self.old = None;
            return false;
        };
        let back = old.next.wrapping_sub(header.sequence).cast_signed();
        let nearer = !old.is_played_again
            && distance(header.timestamp, old.stamp) < distance(header.timestamp, self.stamp);
        let belongs = header.ssrc == old.ssrc
            && match old.ssrc == self.ssrc {
                true => (-OLD_AHEAD..=OLD_BACK).contains(&back) && nearer,
                false => (1..=OLD_BACK).contains(&back),
            };
        self.old = Some(old);
        if belongs {
            self.late += 1;
            if back <= 0 {
                self.lose_unmissed(header.sequence);
            }
        }
        belongs
    }

    fn hold(
        &mut self,
        number: i64,
        header: &RtpHeader,
        print: u64,
        payload: &[u8],
        arrival: Arrival,
    ) -> Pushed {
        if self.held.contains_key(&number) {
            self.give_up(1);
            return Pushed::Dropped;
        }
        self.memory
            .remember(header.sequence, print, self.line, arrival);
        self.newest.see(number, header.timestamp);
        if self
            .held
            .last_key_value()
            .is_some_and(|(last, _)| *last > number)
        {
            self.reordered += 1;
        }
        self.held_bytes += payload.len();
        let held = Held {
            arrival,
            timestamp: header.timestamp,
            payload: payload.into(),
        };
        self.held.insert(number, held);
        Pushed::Kept
    }

    /// A datagram does not fit: the second of its kind is a new sequence.
    fn stray(
        &mut self,
        header: &RtpHeader,
        print: u64,
        payload: &[u8],
        arrival: Arrival,
    ) -> Pushed {
        let confirmed = self.strays.have_a_mate_of(header);
        let held = Held {
            arrival,
            timestamp: header.timestamp,
            payload: payload.into(),
        };
        let given_up = self.strays.push(*header, print, held);
        self.give_up(given_up);
        if confirmed {
            self.restart(header, arrival);
        }
        Pushed::Kept
    }

    /// The sequence starts anew, with the strays that belong to `header`.
    fn restart(&mut self, header: &RtpHeader, arrival: Arrival) {
        let apart = |sequence: u16| i64::from(sequence.wrapping_sub(header.sequence).cast_signed());
        let number = |sequence: u16| i64::from(header.sequence) + apart(sequence);
        let (ours, others): (Vec<_>, Vec<_>) = self.strays.take().into_iter().partition(|s| {
            s.header.ssrc == header.ssrc && apart(s.header.sequence).abs() <= MAX_STRAY_SPAN
        });
        self.give_up(others.len() as u64);
        self.restarts += 1;
        let ssrc = header.ssrc;
        self.events.push(ReorderEvent::Restarted { ssrc });
        // What waited was of the old sequence, and leaves first, or is of the new one already.
        let same_source = ssrc == self.ssrc;
        let mut of_new = BTreeMap::new();
        for (old, held) in std::mem::take(&mut self.held) {
            let to_new = distance(held.timestamp, header.timestamp);
            if same_source && to_new < distance(held.timestamp, self.stamp) {
                of_new.insert(number(old as u16), held);
                continue;
            }
            let due = match self.starting.take() {
                Some(_) => old,
                None => self.next.unwrap_or(old),
            };
            self.next = Some(due);
            if old > due {
                self.lose(old - due);
            }
            self.step(held.timestamp);
            self.leaving.push_back(held);
        }
        self.old = Some(OldLine {
            ssrc: self.ssrc,
            is_played_again: same_source && self.newest.has_the_time_of(header),
            next: self.next.unwrap_or_default() as u16,
            stamp: self.stamp,
            until: arrival + LAG,
        });
        self.line += 1;
        let came = ours.iter().map(|s| s.held.arrival).min();
        self.start(header, came.unwrap_or(arrival));
        self.held = of_new;
        for stray in ours {
            let number = number(stray.header.sequence);
            let Held {
                arrival, payload, ..
            } = stray.held;
            self.hold(number, &stray.header, stray.print, &payload, arrival);
        }
        if let Some(first) = self.held.first_key_value().map(|(number, _)| *number) {
            (self.next, self.first) = (Some(first), first);
        }
        if let Some((last, held)) = self.held.last_key_value() {
            self.newest.see(*last, held.timestamp);
        }
    }
}

/// True when a datagram holds null packets and nothing else.
fn is_of_nulls(payload: &[u8]) -> bool {
    let (packets, rest) = payload.as_chunks::<PACKET_SIZE>();
    let null = |p: &[u8; PACKET_SIZE]| p[0] == SYNC_BYTE && p[1] & 0x1F == 0x1F && p[2] == 0xFF;
    rest.is_empty() && packets.iter().all(null)
}

#[cfg(test)]
mod tests;
