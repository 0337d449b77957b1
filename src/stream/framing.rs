//! Packets found in bytes: 188, 192 or 204 to a packet, told apart by themselves, junk skipped.
//!
//! Five good sync bytes in a row, one stride apart, lock; two bad ones in a row lose the lock, and
//! the search goes on from the first of them (TR 101 290 5.2.1, 1.1 note; ISO/IEC 13818-1 annex
//! G.1). A bad sync byte between good ones is that of a damaged packet: counted, and passed as it
//! is. So are a few in a row, once it is seen that packets go on behind them where they were due.
//! How the bytes are cut into pieces makes no difference to what comes out.

use super::event::{Event, Severity, Value};
use super::{Batch, Counters, Pending};
use crate::ts::{PACKET_SIZE, Packet, SYNC_BYTE};
use crate::units::Arrival;

mod arrival_clock;
mod search;

use arrival_clock::ArrivalClock;
pub use arrival_clock::{REANCHOR_AFTER, header};
use search::{Search, search};

/// Bytes taken up before they are looked at, where they cannot be used in place: whole packets,
/// so that what starts with a packet leaves nothing over.
const CHUNK: usize = 21 * PACKET_SIZE;
/// Packets with bad sync bytes that are kept until it is seen whether packets go on behind them
/// where they are due: as many as lock. More is junk.
const MOST_BAD: usize = 5;
/// Bytes of the arrival header before a sync byte in 192-byte packets.
const TIMED_HEADER: usize = 4;

/// What stands around each packet.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// 188 bytes: the packet alone.
    #[default]
    Plain,
    /// 192 bytes: four bytes before the packet, the low 30 bits of them an arrival time in ticks
    /// of 27 MHz (as in M2TS).
    Timed,
    /// 204 bytes: 16 bytes behind the packet, the Reed-Solomon code of EN 300 421 §4.4.2 or a
    /// dummy.
    Coded,
}

impl Framing {
    /// Each framing, in the order they are tried.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Timed, Self::Coded];

    /// Bytes from one packet to the next.
    pub const fn size(self) -> usize {
        match self {
            Self::Plain => PACKET_SIZE,
            Self::Timed => PACKET_SIZE + TIMED_HEADER,
            Self::Coded => 204,
        }
    }

    /// Bytes before the sync byte.
    pub const fn offset(self) -> usize {
        match self {
            Self::Timed => TIMED_HEADER,
            Self::Plain | Self::Coded => 0,
        }
    }

    /// The framing of a datagram that holds whole packets and nothing else.
    pub fn of_datagram(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|framing| {
            !bytes.is_empty()
                && bytes.len().is_multiple_of(framing.size())
                && bytes
                    .chunks_exact(framing.size())
                    .all(|unit| unit[framing.offset()] == SYNC_BYTE)
        })
    }
}

/// What the search for packets observes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FramingEvent {
    /// Packets were found after so many bytes that are none, or `again` after they were lost.
    Found {
        /// What stands around each packet.
        framing: Framing,
        /// Bytes skipped since the last packet.
        junk: u64,
        /// True when packets had been found before.
        again: bool,
    },
    /// Two sync bytes in a row were bad, the first so many bytes into the input.
    Lost {
        /// Bytes before the first bad sync byte's packet.
        offset: u64,
        /// Packets passed on before it.
        packets: u64,
    },
    /// A sync byte was bad; its packet was passed on. Of two in a row and more that is seen after
    /// [`FramingEvent::Lost`], when packets were found where they were due.
    BadSyncByte {
        /// Bytes before the packet.
        offset: u64,
    },
    /// The input ended with so many bytes that are no packet.
    Tail {
        /// Bytes at the end.
        bytes: u64,
    },
    /// The arrival clock of 192-byte packets stood still for too long, or went back: arrivals
    /// count anew from when the bytes came.
    Reanchored,
}

impl Event for FramingEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Found { again: false, .. } => "packets_found",
            Self::Found { again: true, .. } => "sync_found",
            Self::Lost { .. } => "sync_lost",
            Self::BadSyncByte { .. } => "sync_byte_error",
            Self::Tail { .. } => "tail_dropped",
            Self::Reanchored => "arrival_clock_reanchored",
        }
    }

    fn severity(&self) -> Severity {
        // A damaged stream is the normal case.
        Severity::Warning
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match *self {
            Self::Found { framing, junk, .. } => {
                field("packet_bytes", Value::from(framing.size() as u64));
                field("junk_bytes", Value::from(junk));
            }
            Self::Lost { offset, packets } => {
                field("offset_bytes", Value::from(offset));
                field("at_packet", Value::from(packets));
            }
            Self::BadSyncByte { offset } => field("offset_bytes", Value::from(offset)),
            Self::Tail { bytes } => field("tail_bytes", Value::from(bytes)),
            Self::Reanchored => {}
        }
    }
}

#[derive(Copy, Clone, Debug)]
enum State {
    /// The bytes of `carry` before `from` start no packet (four of them may be a header).
    Searching {
        from: usize,
    },
    Locked(Framing),
}

/// Finds the packets in pieces of bytes.
///
/// ```
/// use headend::{stream::{Batch, Framer, Framing}, ts::Packet, units::Arrival};
/// let mut bytes = b"junk".to_vec();
/// bytes.extend_from_slice(Packet::bytes_of(&[Packet::NULL; 12]));
/// let (mut framer, mut batch) = (Framer::new(), Batch::with_capacity(100));
/// for piece in bytes.chunks(50) {
///     framer.push(piece, Arrival::from_ticks(0), &mut batch);
/// }
/// assert_eq!(framer.framing(), Some(Framing::Plain));
/// framer.finish(Arrival::from_ticks(0), &mut batch);
/// assert_eq!(batch.len(), 12);
/// ```
#[derive(Debug)]
pub struct Framer {
    state: State,
    /// Bytes that came and are no packet yet.
    carry: Vec<u8>,
    /// Bytes of the input before `carry`.
    offset: u64,
    /// Packets passed on.
    packets: u64,
    /// Bytes skipped since the last packet.
    junk: u64,
    found_before: bool,
    /// The framing that was lost, while all that came since stands in `carry`.
    lost: Option<Framing>,
    /// Packets at the start of `carry` that are passed whatever their sync bytes.
    due: usize,
    clock: ArrivalClock,
    events: Pending<FramingEvent>,
    junk_total: u64,
    losses: u64,
    bad_sync_bytes: u64,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer {
    /// A framer that has seen nothing.
    pub fn new() -> Self {
        Self {
            state: State::Searching { from: 0 },
            carry: Vec::new(),
            offset: 0,
            packets: 0,
            junk: 0,
            found_before: false,
            lost: None,
            due: 0,
            clock: ArrivalClock::default(),
            events: Pending::new(),
            junk_total: 0,
            losses: 0,
            bad_sync_bytes: 0,
        }
    }

    /// Gives packets of 192 bytes arrivals that have the headers they were read with; without it
    /// the first arrives when its bytes came, and the others after it as their headers say.
    pub fn keep_headers(&mut self) {
        self.clock.keeps_headers = true;
    }

    /// What stands around each packet; `None` while there are none.
    pub fn framing(&self) -> Option<Framing> {
        match self.state {
            State::Searching { .. } => None,
            State::Locked(framing) => Some(framing),
        }
    }

    /// Takes up `bytes` and appends the packets that are complete to `batch`. Returns how many
    /// bytes were taken: all, unless the batch is full; the rest is to be pushed again.
    pub fn push(&mut self, bytes: &[u8], at: Arrival, batch: &mut Batch) -> usize {
        let mut taken = 0;
        loop {
            taken += self.push_whole(&bytes[taken..], at, batch);
            let room = CHUNK.saturating_sub(self.carry.len());
            let piece = &bytes[taken..];
            let piece = &piece[..piece.len().min(room)];
            self.carry.extend_from_slice(piece);
            taken += piece.len();
            let all = self.advance(at, false, batch);
            if !all || taken == bytes.len() {
                return taken;
            }
        }
    }

    /// To be called at the end of the input, again while it returns false because `batch` was
    /// full: appends what is still a packet and counts what is none.
    pub fn finish(&mut self, at: Arrival, batch: &mut Batch) -> bool {
        if !self.advance(at, true, batch) {
            return false;
        }
        let tail = self.carry.len() as u64 + std::mem::take(&mut self.junk);
        if tail > 0 {
            self.junk_total += self.carry.len() as u64;
            self.events.push(FramingEvent::Tail { bytes: tail });
        }
        self.offset += self.carry.len() as u64;
        self.carry.clear();
        self.lost = None;
        self.state = State::Searching { from: 0 };
        true
    }

    /// Takes up a datagram of whole packets, which locks at once: a datagram starts with a packet
    /// unless its sender cuts the stream anywhere.
    pub fn expect(&mut self, framing: Framing) {
        if self.carry.is_empty() && self.framing() != Some(framing) {
            self.lock(framing);
        }
    }

    /// So many bytes of the input are missing here, and their loss is no fault of the stream's: a
    /// packet that has begun is forgotten, and packets are looked for anew.
    pub fn forget(&mut self, bytes: u64) {
        self.offset += self.carry.len() as u64 + bytes;
        self.carry.clear();
        self.junk = 0;
        self.found_before = false;
        (self.lost, self.due) = (None, 0);
        self.state = State::Searching { from: 0 };
    }

    /// True when the next byte starts a packet of 188 bytes: whole packets with good sync bytes
    /// may be put into a batch by their receiver, who then calls [`Framer::passed`].
    pub fn is_aligned(&self) -> bool {
        self.carry.is_empty() && matches!(self.state, State::Locked(Framing::Plain))
    }

    /// So many packets passed beside this framer.
    pub fn passed(&mut self, packets: usize) {
        self.offset += (packets * PACKET_SIZE) as u64;
        self.packets += packets as u64;
    }

    /// Offers the spare memory of `batch` to be read into: `Some(n)` when a reader may put bytes
    /// there from the `n`th on and then call [`Framer::adopt`]; `None` when [`Framer::push`] is
    /// the way. Between the two calls the framer must not be used.
    pub fn offer(&mut self, batch: &mut Batch) -> Option<usize> {
        let kept = self.carry.len();
        if !matches!(self.state, State::Locked(Framing::Plain)) || kept >= PACKET_SIZE {
            return None;
        }
        let spare = batch.spare_mut();
        if spare.len() < 2 * PACKET_SIZE {
            return None;
        }
        spare[..kept].copy_from_slice(&self.carry);
        self.carry.clear();
        Some(kept)
    }

    /// Takes up the first `filled` bytes of the spare memory of `batch`, in place, what
    /// [`Framer::offer`] put there included.
    pub fn adopt(&mut self, filled: usize, at: Arrival, batch: &mut Batch) {
        let spare = batch.spare_mut();
        let bytes = &spare[..filled.min(spare.len())];
        let good = good_packets(bytes);
        self.carry.extend_from_slice(&bytes[good * PACKET_SIZE..]);
        batch.commit(good, at);
        self.offset += (good * PACKET_SIZE) as u64;
        self.packets += good as u64;
        self.advance(at, false, batch);
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("junk_bytes", self.junk_total);
        out.set("sync_losses_total", self.losses);
        out.set("sync_byte_errors_total", self.bad_sync_bytes);
    }

    /// The quick way: packets alone, nothing kept back. Returns the bytes taken.
    fn push_whole(&mut self, bytes: &[u8], at: Arrival, batch: &mut Batch) -> usize {
        if !self.is_aligned() {
            return 0;
        }
        let (packets, _) = Packet::slice_of(bytes);
        let passed = batch.extend(&packets[..good_packets(bytes)], at);
        self.offset += (passed * PACKET_SIZE) as u64;
        self.packets += passed as u64;
        passed * PACKET_SIZE
    }

    /// Goes as far as the bytes in `carry` lead; false when it stopped because `batch` is full.
    fn advance(&mut self, at: Arrival, end: bool, batch: &mut Batch) -> bool {
        let mut position = 0;
        let all = loop {
            match self.state {
                State::Searching { from } => {
                    let start = position + from;
                    match search(&self.carry, start, end, self.offset - position as u64) {
                        Search::Found(framing, sync) => {
                            // The first packet of a stream that was joined behind its header has
                            // none; it is left out.
                            let unit = match sync.checked_sub(framing.offset()) {
                                Some(unit) if unit >= position => unit,
                                _ => sync + framing.size() - framing.offset(),
                            };
                            let kept = self.lost.take().filter(|lost| *lost == framing);
                            let bytes = unit - position;
                            if kept.is_some()
                                && bytes.is_multiple_of(framing.size())
                                && bytes <= MOST_BAD * framing.size()
                            {
                                self.due = bytes / framing.size();
                            } else {
                                self.skip(bytes);
                                position = unit;
                            }
                            self.lock(framing);
                        }
                        Search::NeedsMore(from) => {
                            // Four bytes that may be a header stay.
                            let mut keep = from.saturating_sub(TIMED_HEADER).max(position);
                            self.lost = self
                                .lost
                                .filter(|lost| keep - position <= MOST_BAD * lost.size());
                            if self.lost.is_some() {
                                keep = position;
                            }
                            self.skip(keep - position);
                            position = keep;
                            self.state = State::Searching { from: from - keep };
                            break true;
                        }
                    }
                }
                State::Locked(framing) => match self.unit(framing, position, end) {
                    Unit::Packet { bad } => {
                        if batch.room() == 0 {
                            break false;
                        }
                        if bad {
                            self.bad_sync_bytes += 1;
                            let offset = self.offset;
                            self.events.push(FramingEvent::BadSyncByte { offset });
                        }
                        self.emit(framing, position, at, batch);
                        self.due = self.due.saturating_sub(1);
                        let size = framing.size().min(self.carry.len() - position);
                        self.offset += size as u64;
                        position += size;
                    }
                    Unit::Lost => {
                        self.losses += 1;
                        let (offset, packets) = (self.offset, self.packets);
                        self.events.push(FramingEvent::Lost { offset, packets });
                        self.lost = Some(framing);
                        self.state = State::Searching { from: 0 };
                    }
                    Unit::NeedsMore => break true,
                },
            }
        };
        self.carry.drain(..position);
        all
    }

    /// Counts bytes that are in no packet.
    fn skip(&mut self, bytes: usize) {
        self.junk += bytes as u64;
        self.junk_total += bytes as u64;
        self.offset += bytes as u64;
    }

    fn lock(&mut self, framing: Framing) {
        self.state = State::Locked(framing);
        let junk = std::mem::take(&mut self.junk);
        let again = std::mem::replace(&mut self.found_before, true);
        // A stream that starts with a packet is what everybody expects.
        if junk > 0 || again {
            let event = FramingEvent::Found {
                framing,
                junk,
                again,
            };
            self.events.push(event);
        }
    }

    /// What stands at `position`, where a unit of `framing` is due.
    fn unit(&self, framing: Framing, position: usize, end: bool) -> Unit {
        let rest = &self.carry[position..];
        let sync = framing.offset();
        // At the very end the code behind a packet may be missing; the packet is whole.
        let needed = if end {
            sync + PACKET_SIZE
        } else {
            framing.size()
        };
        if rest.len() < needed {
            return Unit::NeedsMore;
        }
        if rest[sync] == SYNC_BYTE {
            return Unit::Packet { bad: false };
        }
        if self.due > 0 {
            return Unit::Packet { bad: true };
        }
        match rest.get(sync + framing.size()) {
            Some(&SYNC_BYTE) => Unit::Packet { bad: true },
            Some(_) => Unit::Lost,
            // One alone: a loss takes two in a row (TR 101 290 1.1).
            None if end => Unit::Packet { bad: true },
            None => Unit::NeedsMore,
        }
    }

    fn emit(&mut self, framing: Framing, position: usize, at: Arrival, batch: &mut Batch) {
        let unit = &self.carry[position..];
        let (before, packet) = unit.split_at(framing.offset());
        let at = match before.first_chunk() {
            Some(header) => {
                let (at, anew) = self.clock.arrival(*header, at);
                if anew {
                    self.events.push(FramingEvent::Reanchored);
                }
                at
            }
            None => at,
        };
        if let Some(packet) = packet.first_chunk() {
            batch.push(&Packet::from_bytes(*packet), at);
            self.packets += 1;
        }
    }
}

enum Unit {
    Packet { bad: bool },
    Lost,
    NeedsMore,
}

/// Whole packets at the start of `bytes` whose sync bytes are good.
fn good_packets(bytes: &[u8]) -> usize {
    let (packets, _) = Packet::slice_of(bytes);
    packets
        .iter()
        .position(|p| !p.has_sync())
        .unwrap_or(packets.len())
}

#[cfg(test)]
mod tests;
