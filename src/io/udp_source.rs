//! Packets received in UDP datagrams, RTP among them.
//!
//! Datagrams are received many a call, payloads straight into the batch one behind the other;
//! only what does not fit that pattern (another size, another framing, RTP out of order, several
//! coalesced by the kernel) is copied.

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use super::clock::{Clock, SystemClock};
use super::error::Fault;
use super::file::readable;
use super::silence::Silence;
use super::socket::{self, SocketEvent};
use super::sys::{self, Places, Receiver};
use super::{InputError, InputOptions, Received, ReceptionEvent, SocketEndpoint, Source};
use crate::stream::event::Event;
use crate::stream::{
    Batch, Counters, Framer, Framing, Pending, Pushed, RTP_HEADER_SIZE, Reorder, Repeats, RtpHeader,
};
use crate::ts::{PACKET_SIZE, Packet};
use crate::units::{Arrival, Ticks27M};

/// Bytes of the largest datagram, and of what UDP_GRO hands over at once.
const SLOT_BYTES: usize = 1 << 16;
/// The payload that is expected first: seven packets.
const USUAL_PAYLOAD: usize = 7 * PACKET_SIZE;
/// The largest payload that is received in place: the least room that a batch should have.
const LARGEST_PAYLOAD: usize = 64 * PACKET_SIZE;
/// What a datagram costs of the receive buffer: its memory in the kernel, rounded up.
const DATAGRAM_COST: u64 = 2560;
/// The shortest wait for more.
const SHORTEST_LINGER: Ticks27M = Ticks27M::new(27 * 100);
/// An arrival that a step of the wall clock has spoilt lies further back than any buffer reaches.
const LONGEST_WAIT_IN_BUFFER: Ticks27M = Ticks27M::new(60 * 27_000_000);

/// A datagram, or several of one size, that waits in its slot.
#[derive(Copy, Clone, Debug)]
struct Waiting {
    start: usize,
    end: usize,
    /// Bytes of each, headers included.
    segment: usize,
    arrival: Arrival,
}

/// What to do first in the next turn.
#[derive(Copy, Clone, Debug)]
enum Next {
    /// Nothing comes: wait for the socket.
    Wait,
    /// The socket was empty at that instant, and packets come: let some gather.
    Gather(Arrival),
    /// There may be more at once.
    Receive,
}

/// An open UDP or RTP input.
pub(super) struct UdpSource {
    endpoint: SocketEndpoint,
    socket: UdpSocket,
    receiver: Receiver,
    slots: Vec<u8>,
    waiting: std::collections::VecDeque<Waiting>,
    framer: Framer,
    reorder: Reorder,
    repeats: Option<Repeats>,
    /// A payload out of the reorder window that did not fit the batch.
    left_over: Option<(Arrival, Box<[u8]>, usize)>,
    /// Bytes before the payload of the datagrams as they come: 12 once they are RTP.
    head: usize,
    /// The payload type, once they are RTP.
    payload_type: Option<u8>,
    /// Something came since [`Silence`] was told, RTCP apart.
    came: bool,
    /// Bytes of a payload as they come.
    stride: usize,
    linger: Ticks27M,
    next: Next,
    /// Datagrams received since the socket was last empty, to tell how fast they come.
    since_emptied: u64,
    /// How long datagrams may gather at the pace of the last turn.
    safe: Ticks27M,
    last_arrival: Arrival,
    receive_buffer: usize,
    /// The kernel's drop counter as last seen; it starts at zero with the socket.
    drops_seen: u32,
    sender: Option<IpAddr>,
    silence: Silence,
    events: Pending<ReceptionEvent>,
    opening: Option<SocketEvent>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    packets: u64,
    datagrams: u64,
    bytes: u64,
    kernel_drops: u64,
    foreign: u64,
    rtcp: u64,
    other_sender: u64,
    repeats: u64,
    calls: u64,
    coalesced: u64,
}

impl UdpSource {
    pub(super) fn open(
        endpoint: &SocketEndpoint,
        options: &InputOptions,
    ) -> Result<Self, InputError> {
        let opened = socket::open_receiver(endpoint)?;
        Ok(Self {
            endpoint: endpoint.clone(),
            socket: opened.socket,
            receiver: Receiver::new(),
            // Zeroed by the kernel when it is first touched: what is never used costs nothing.
            slots: vec![0; sys::DATAGRAMS * SLOT_BYTES],
            waiting: std::collections::VecDeque::new(),
            framer: Framer::new(),
            reorder: Reorder::new(Ticks27M::from(options.reorder)),
            repeats: options
                .dedup
                .then(|| Repeats::new(Ticks27M::from(options.reorder))),
            left_over: None,
            head: 0,
            payload_type: None,
            came: false,
            stride: USUAL_PAYLOAD,
            linger: Ticks27M::from(options.linger),
            next: Next::Wait,
            since_emptied: 0,
            safe: SHORTEST_LINGER,
            last_arrival: Arrival::default(),
            receive_buffer: opened.receive_buffer,
            drops_seen: 0,
            sender: None,
            silence: Silence::new(
                endpoint.to_string(),
                endpoint.options.timeout,
                SystemClock.now(),
            ),
            events: Pending::new(),
            opening: opened.event,
            counts: Counts::default(),
        })
    }

    /// Lets datagrams gather, so that one call takes many: for `linger` from `since` on, less
    /// where they would fill a quarter of the receive buffer.
    fn gather(&self, since: Arrival) {
        SystemClock.sleep_until(since + self.linger.min(self.safe));
    }

    /// The socket is empty: learns how fast datagrams came since it was last.
    fn found_empty(&mut self, now: Arrival) {
        if let Next::Gather(before) = self.next {
            let cost = std::mem::take(&mut self.since_emptied) * DATAGRAM_COST;
            let quarter = self.receive_buffer as i64 / 4;
            let passed = (now - before).get().max(1);
            let safe = quarter.saturating_mul(passed) / i64::try_from(cost.max(1)).unwrap_or(1);
            self.safe = Ticks27M::new(safe).max(SHORTEST_LINGER);
        }
        self.since_emptied = 0;
        self.next = Next::Gather(now);
    }

    /// Receives once what is there; false when that was all. The batch has room for a payload.
    fn receive_once(&mut self, batch: &mut Batch) -> Result<bool, InputError> {
        let aligned = self.framer.is_aligned() && self.repeats.is_none();
        // Without a batch that takes them as they come, datagrams go to their slots whole.
        let (head, stride) = if aligned {
            (self.head, self.stride)
        } else {
            (0, 1)
        };
        let mut byte_each = [0u8; sys::DATAGRAMS];
        let places = Places {
            head,
            place: if aligned {
                batch.spare_mut()
            } else {
                &mut byte_each
            },
            stride,
            slots: &mut self.slots,
            slot: SLOT_BYTES,
        };
        let offered = (places.place.len() / stride).min(sys::DATAGRAMS);
        self.counts.calls += 1;
        let received = match self.receiver.receive(self.socket.as_fd(), places) {
            Ok(received) => received,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(false);
            }
            // An ICMP answer to something sent from this port: nothing that ends reception.
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => return Ok(true),
            Err(e) => {
                return Err(InputError::new(
                    &self.endpoint,
                    Fault::System("receive from", e),
                ));
            }
        };
        let came = received.len();
        let (now, wall) = (SystemClock.now(), SystemClock.wall());
        let mut in_place = aligned;
        let first = batch.len();
        for (n, datagram) in received.iter().enumerate() {
            let arrival = datagram
                .realtime
                .map(|ns| now - (wall - crate::units::WallTime::from_unix_nanos(ns)))
                .filter(|at| *at <= now && now - *at < LONGEST_WAIT_IN_BUFFER)
                .unwrap_or(now)
                .max(self.last_arrival);
            self.last_arrival = arrival;
            self.counts.bytes += datagram.len as u64;
            let segment = datagram.segment.unwrap_or(datagram.len).max(1);
            let members = datagram.len.div_ceil(segment) as u64;
            self.counts.datagrams += members;
            self.counts.coalesced += members - members.min(1);
            self.since_emptied += members.max(1);
            if datagram.source != self.sender {
                if datagram.source.is_some()
                    && self
                        .endpoint
                        .source
                        .is_some_and(|s| Some(s) != datagram.source)
                {
                    self.counts.other_sender += members;
                    in_place = false;
                    continue;
                }
                if self.sender.is_some()
                    && let Some(source) = datagram.source
                {
                    self.events.push(ReceptionEvent::SourceChanged { source });
                }
                self.sender = datagram.source;
            }
            let slot = n * SLOT_BYTES;
            in_place = in_place
                && members == 1
                && datagram.len == head + stride
                && !datagram.truncated
                && place_is_next(
                    &mut self.reorder,
                    self.slots.get(slot..slot + head).unwrap_or_default(),
                    batch.spare_mut().get(..stride).unwrap_or_default(),
                    arrival,
                );
            if in_place {
                batch.commit(stride / PACKET_SIZE, arrival);
                self.came = true;
                self.framer.passed(stride / PACKET_SIZE);
                continue;
            }
            // What went to its place is put behind its head: the datagram as it was sent.
            let kept = stride.min(datagram.len.saturating_sub(head));
            let from = n * stride - (batch.len() - first) * PACKET_SIZE;
            let memory: &[u8] = if aligned {
                batch.spare_mut()
            } else {
                &byte_each
            };
            let to = self.slots.get_mut(slot + head..slot + head + kept);
            if let Some((to, bytes)) = to.zip(memory.get(from..from + kept)) {
                to.copy_from_slice(bytes);
            }
            self.waiting.push_back(Waiting {
                start: slot,
                end: slot + datagram.len.min(SLOT_BYTES),
                segment,
                arrival,
            });
        }
        Ok(came == offered)
    }

    /// Takes up what waits, as far as the batch has room.
    fn work_off(&mut self, now: Arrival, batch: &mut Batch) {
        loop {
            if !self.release(now, batch) {
                return;
            }
            let Some(first) = self.waiting.front_mut() else {
                return;
            };
            let end = first.end.min(first.start + first.segment);
            let datagram = first.start..end;
            let arrival = first.arrival;
            first.start = end;
            if first.start >= first.end {
                self.waiting.pop_front();
            }
            self.take_up(datagram, arrival, batch);
        }
    }

    /// The header and payload of an RTP datagram. Whole packets with good sync bytes tell that
    /// datagrams are RTP; what goes on in the sequence is from then on, whatever it carries.
    fn as_rtp(&self, datagram: &[u8]) -> Option<(RtpHeader, std::ops::Range<usize>)> {
        RtpHeader::read(datagram).or_else(|| {
            let known = self.payload_type.is_some()
                && self.payload_type == RtpHeader::payload_type(datagram);
            RtpHeader::read_any(datagram).filter(|(h, _)| known && self.reorder.is_near(h))
        })
    }

    /// Takes up one datagram out of a slot. The batch has room for it, or the rest is left over.
    fn take_up(&mut self, range: std::ops::Range<usize>, arrival: Arrival, batch: &mut Batch) {
        let Some(datagram) = self.slots.get(range.clone()) else {
            return;
        };
        if let Some((header, payload)) = self.as_rtp(datagram) {
            self.came = true;
            self.payload_type = RtpHeader::payload_type(datagram);
            let bytes = datagram.get(payload.clone()).unwrap_or_default();
            if payload.start == RTP_HEADER_SIZE && payload.end == datagram.len() {
                self.head = RTP_HEADER_SIZE;
                self.stride = next_stride(bytes.len(), self.stride);
            }
            match self.reorder.push(&header, bytes, arrival) {
                Pushed::Next => {
                    let start = range.start + payload.start;
                    self.frame(start..range.start + payload.end, arrival, batch);
                }
                Pushed::Kept | Pushed::Dropped => {}
            }
            return;
        }
        let expects_rtp = self.head > 0 || self.framer.framing().is_none();
        if expects_rtp && RtpHeader::is_rtcp(datagram) {
            self.counts.rtcp += 1;
            return;
        }
        self.came = true;
        if let Some(repeats) = &mut self.repeats
            && repeats.is_repeat(datagram, arrival)
        {
            self.counts.repeats += 1;
            return;
        }
        let whole = Framing::of_datagram(datagram).is_some();
        if whole {
            self.head = 0;
            self.stride = next_stride(datagram.len(), self.stride);
        }
        if !whole && self.framer.framing().is_none() && !datagram.contains(&crate::ts::SYNC_BYTE) {
            self.counts.foreign += 1;
            self.events.push(ReceptionEvent::Foreign);
            return;
        }
        self.frame(range, arrival, batch);
    }

    /// Finds the packets of a payload in a slot.
    fn frame(&mut self, payload: std::ops::Range<usize>, arrival: Arrival, batch: &mut Batch) {
        let bytes = self.slots.get(payload).unwrap_or_default();
        let taken = find_packets(&mut self.framer, bytes, arrival, batch);
        if taken < bytes.len() {
            self.left_over = Some((arrival, bytes.into(), taken));
        }
    }

    /// Hands over payloads whose turn it is; false when the batch is full.
    fn release(&mut self, now: Arrival, batch: &mut Batch) -> bool {
        loop {
            if let Some((arrival, payload, from)) = self.left_over.take() {
                let rest = payload.get(from..).unwrap_or_default();
                let taken = from + self.framer.push(rest, arrival, batch);
                if taken < payload.len() {
                    self.left_over = Some((arrival, payload, taken));
                }
            }
            if self.left_over.is_some() || batch.room() == 0 {
                return false;
            }
            let Some((arrival, payload)) = self.reorder.pop(now) else {
                return true;
            };
            let taken = find_packets(&mut self.framer, &payload, arrival, batch);
            if taken < payload.len() {
                self.left_over = Some((arrival, payload, taken));
            }
        }
    }

    /// Waits until the socket has something, or something in the reorder window is due.
    fn wait(&mut self, patience: Duration, now: Arrival) -> Result<(), InputError> {
        let mut patience = self.silence.patience(patience, now);
        if let Some(due) = self.reorder.due_in(now) {
            patience = patience.min(due.to_duration());
        }
        let fail = InputError::system(&self.endpoint, "wait for");
        if readable(&self.socket, patience).map_err(fail)? {
            let now = SystemClock.now();
            self.next = Next::Gather(now);
            self.gather(now);
        }
        Ok(())
    }

    /// Asks what the kernel has lost since it was asked last.
    fn see_drops(&mut self) {
        let Ok(drops) = sys::drops(self.socket.as_fd()) else {
            return;
        };
        let datagrams = u64::from(drops.wrapping_sub(self.drops_seen));
        self.drops_seen = drops;
        if datagrams > 0 {
            self.counts.kernel_drops += datagrams;
            self.events.push(ReceptionEvent::KernelDrops { datagrams });
        }
    }

    /// Receives until the socket is empty or the batch full.
    fn receive_all(&mut self, batch: &mut Batch) -> Result<(), InputError> {
        loop {
            let more = self.receive_once(batch)?;
            let now = SystemClock.now();
            self.work_off(now, batch);
            if !more {
                self.found_empty(now);
                return Ok(());
            }
            if batch.room() * PACKET_SIZE < self.stride || !self.waiting.is_empty() {
                self.next = Next::Receive;
                return Ok(());
            }
        }
    }
}

/// The payload that is expected next: like this one, where it is whole packets, else as before.
fn next_stride(payload: usize, before: usize) -> usize {
    let whole = payload > 0 && payload.is_multiple_of(PACKET_SIZE) && payload <= LARGEST_PAYLOAD;
    if whole { payload } else { before }
}

/// Appends the packets of a datagram's payload; returns the bytes taken.
fn find_packets(framer: &mut Framer, payload: &[u8], at: Arrival, batch: &mut Batch) -> usize {
    if let Some(framing) = Framing::of_datagram(payload) {
        framer.expect(framing);
    }
    framer.push(payload, at, batch)
}

/// True when a payload where it lies continues the batch: packets, and the next of its sequence
/// where there is a header.
fn place_is_next(reorder: &mut Reorder, head: &[u8], payload: &[u8], arrival: Arrival) -> bool {
    let (packets, rest) = Packet::slice_of(payload);
    if !rest.is_empty() || packets.is_empty() || !packets.iter().all(Packet::has_sync) {
        return false;
    }
    match head.first_chunk() {
        None => true,
        Some(fixed) => RtpHeader::read_plain(fixed)
            .is_some_and(|header| reorder.is_next(&header, payload, arrival)),
    }
}

impl Source for UdpSource {
    fn receive(&mut self, batch: &mut Batch, patience: Duration) -> Result<Received, InputError> {
        let before = batch.len();
        let now = SystemClock.now();
        self.work_off(now, batch);
        if self.waiting.is_empty() && batch.room() * PACKET_SIZE >= self.stride {
            match self.next {
                Next::Gather(since) => self.gather(since),
                Next::Wait if batch.len() == before => self.wait(patience, now)?,
                Next::Wait | Next::Receive => {}
            }
            self.receive_all(batch)?;
        }
        let now = SystemClock.now();
        let came = batch.len() - before;
        self.counts.packets += came as u64;
        if std::mem::take(&mut self.came) || came > 0 {
            self.silence.over(now);
        }
        if came > 0 {
            return Ok(Received::Packets);
        }
        self.next = Next::Wait;
        self.silence.goes_on(now)?;
        Ok(Received::Idle)
    }

    fn framing(&self) -> Option<Framing> {
        self.framer.framing()
    }

    fn is_live(&self) -> bool {
        true
    }

    fn bytes(&self) -> u64 {
        self.counts.bytes
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        if let Some(event) = self.opening.take() {
            sink(&event);
        }
        self.see_drops();
        self.events.drain(sink);
        self.reorder.drain_events(sink);
        self.framer.drain_events(sink);
        self.silence.drain_events(sink);
    }

    fn counters(&self, out: &mut dyn Counters) {
        let counts = &self.counts;
        out.set("in_packets", counts.packets);
        out.set("in_datagrams", counts.datagrams);
        out.set("in_bytes", counts.bytes);
        out.set("kernel_drops_datagrams", counts.kernel_drops);
        out.set("receive_buffer_bytes", self.receive_buffer as u64 / 2);
        out.set("receive_calls_total", counts.calls);
        out.set("coalesced_datagrams", counts.coalesced);
        out.set("foreign_datagrams", counts.foreign);
        out.set("rtcp_datagrams", counts.rtcp);
        out.set("other_sender_datagrams", counts.other_sender);
        if self.repeats.is_some() {
            out.set("repeated_datagrams", counts.repeats);
        }
        if self.payload_type.is_some() {
            self.reorder.counters(out);
        }
        self.framer.counters(out);
    }
}
