//! Packets sent in UDP datagrams, with or without RTP, at once or each at its time.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::ops::Range;
use std::os::fd::AsFd;

use super::clock::{Clock, SystemClock};
use super::ending::Ending;
use super::error::Fault;
use super::fec_output::FecOutput;
use super::socket;
use super::sys::{self, Outgoing, Sender};
use super::{Departure, OutputError, OutputOptions, Protocol, Sink, SocketEndpoint};
use crate::stream::event::{Event, Severity, Value};
use crate::stream::{
    Batch, Counters, Distribution, Framing, Pending, RTP_HEADER_SIZE, RtpClock, RtpHeader,
};
use crate::ts::{PACKET_SIZE, Packet};
use crate::units::{Arrival, Ticks27M};

/// Bytes that the kernel cuts into datagrams at most: a UDP payload.
const SEGMENTED_BYTES: usize = 65_000;
/// Datagrams that the kernel makes of one at most (UDP_MAX_SEGMENTS).
const MOST_SEGMENTS: usize = 64;
/// A datagram whose time is past by more than this has no time: the source stood still.
const HOPELESSLY_LATE: Ticks27M = Ticks27M::new(27_000_000 * 2);

/// What sending observes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendEvent {
    /// The network took datagrams not, for now; they are gone.
    Refused {
        /// How many.
        datagrams: u64,
        /// Why, in the system's words.
        why: String,
    },
}

impl Event for SendEvent {
    fn name(&self) -> &'static str {
        "send_refused"
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        let Self::Refused { datagrams, why } = self;
        field("lost_datagrams", Value::from(*datagrams));
        field("reason", Value::from(why.as_str()));
    }
}

/// What makes RTP of datagrams.
#[derive(Debug)]
struct Rtp {
    clock: RtpClock,
    ssrc: u32,
    sequence: u16,
}

/// An open UDP or RTP output.
pub(super) struct UdpSink {
    endpoint: SocketEndpoint,
    socket: UdpSocket,
    sender: Sender,
    /// Datagrams that are ready, of the batch in hand: empty between calls.
    queue: Vec<Ready>,
    rtp: Option<Rtp>,
    fec: Option<FecOutput>,
    departure: Departure,
    ending: Ending,
    /// Sleeps of this thread end on time.
    precise: bool,
    /// Packets a datagram.
    packets: usize,
    /// Packets that fill no datagram yet, and when the first of them came.
    partial: Batch,
    /// False once the kernel or the device has refused to cut datagrams.
    segment: bool,
    lateness: Distribution,
    events: Pending<SendEvent>,
    datagrams: u64,
    sent_packets: u64,
    refused: u64,
    /// Packets whose time had not come when the end was asked for.
    unplayed: u64,
    calls: u64,
}

/// A datagram that is ready: its header, which packets of its batch, and when it leaves.
struct Ready {
    head: [u8; RTP_HEADER_SIZE],
    packets: Range<usize>,
    due: Arrival,
}

impl UdpSink {
    pub(super) fn open(
        endpoint: &SocketEndpoint,
        options: &OutputOptions,
    ) -> Result<Self, OutputError> {
        if options.framing != Framing::Plain {
            let why = "datagrams carry packets of 188 bytes; leave --timed out";
            return Err(OutputError::new(endpoint, Fault::Unusable(why)));
        }
        let socket = socket::open_sender(endpoint)?;
        let random = RandomState::new().hash_one(std::process::id());
        let rtp = (endpoint.protocol == Protocol::Rtp).then(|| Rtp {
            clock: RtpClock::new(),
            ssrc: endpoint.options.ssrc.unwrap_or(random as u32),
            // A random start, as RFC 3550 §5.1 wants it.
            sequence: (random >> 32) as u16,
        });
        let packets = endpoint.options.packets_per_datagram();
        let fec = match endpoint.options.fec {
            Some(fec) => Some(FecOutput::open(endpoint, fec)?),
            None => None,
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            socket,
            sender: Sender::new(),
            queue: Vec::with_capacity(sys::DATAGRAMS),
            rtp,
            fec,
            departure: options.departure,
            ending: Ending::new(options.stop.clone(), options.grace),
            precise: false,
            packets,
            partial: Batch::with_capacity(packets),
            segment: true,
            lateness: Distribution::new(),
            events: Pending::new(),
            datagrams: 0,
            sent_packets: 0,
            refused: 0,
            unplayed: 0,
            calls: 0,
        })
    }

    /// Sends the packets of `batch` in `range` as datagrams; the last may be a short one.
    fn send_datagrams(&mut self, batch: &Batch, range: Range<usize>) -> Result<(), OutputError> {
        if let Some(rtp) = &mut self.rtp {
            rtp.clock.expect(batch);
        }
        // After an error, what was not sent is of a batch that is gone.
        self.queue.clear();
        let mut runs = batch.runs();
        let (mut at, mut next_run) = (Arrival::default(), 0);
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + self.packets);
            while next_run <= start
                && let Some((arrival, packets)) = runs.next()
            {
                at = arrival;
                next_run += packets.len();
            }
            let mut due = at;
            if let Departure::ByArrival { delay } = self.departure {
                due = at + delay;
                if !self.wait_until(due, batch)? {
                    self.unplayed += (range.end - start) as u64;
                    break;
                }
            }
            let mut head = [0; RTP_HEADER_SIZE];
            if let Some(rtp) = &mut self.rtp {
                head = rtp.header(at);
                rtp.pass(batch, start..end);
            }
            if let Some(fec) = &mut self.fec {
                let packets = batch.packets().get(start..end).unwrap_or_default();
                fec.push(&head, Packet::bytes_of(packets));
            }
            self.queue.push(Ready {
                head,
                packets: start..end,
                due,
            });
            if self.queue.len() == sys::DATAGRAMS {
                self.send_now(batch)?;
            }
            start = end;
        }
        self.send_now(batch)
    }

    /// Waits until `due`, after what is in the queue was sent if there is time for it; false when
    /// the end was asked for, and that time is not waited for.
    fn wait_until(&mut self, due: Arrival, batch: &Batch) -> Result<bool, OutputError> {
        if due <= SystemClock.now() {
            return Ok(true);
        }
        self.send_now(batch)?;
        if !std::mem::replace(&mut self.precise, true) {
            // The 50 us by which the kernel may put off a wake-up are a fifth of a datagram of
            // 41 Mb/s. Where it is refused, departures are that much less even.
            let _ = nix::sys::prctl::set_timerslack(1);
        }
        Ok(self.ending.wait_until(due))
    }

    /// Sends what is in the queue, in one call where it goes, and empties it.
    fn send_now(&mut self, batch: &Batch) -> Result<(), OutputError> {
        if let Departure::ByArrival { .. } = self.departure {
            let now = SystemClock.now();
            for late in self.queue.iter().map(|ready| now - ready.due) {
                if late < HOPELESSLY_LATE {
                    self.lateness.add(late.as_nanos().max(0) as u64 / 1000);
                }
            }
        }
        let mut done = 0;
        let packets = self.packets;
        while let Some(rest) = self.queue.get(done..).filter(|rest| !rest.is_empty()) {
            let (rtp, segment) = (self.rtp.is_some(), self.segment);
            let mut outgoing = outgoing(batch, rest, packets, rtp, segment);
            self.calls += 1;
            match self.sender.send(self.socket.as_fd(), outgoing.clone()) {
                Ok(sent) => {
                    for out in outgoing.take(sent) {
                        done += datagrams(&out);
                        self.datagrams += datagrams(&out) as u64;
                        self.sent_packets += (out.body.len() / PACKET_SIZE) as u64;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // The device cannot cut datagrams: it is done without, from here on.
                Err(e)
                    if self.segment
                        && matches!(e.raw_os_error(), Some(libc::EIO | libc::EINVAL)) =>
                {
                    self.segment = false;
                }
                Err(e) if passes(&e) => {
                    let lost = outgoing.next().map_or(1, |out| datagrams(&out));
                    done += lost;
                    self.refused += lost as u64;
                    self.events.push(SendEvent::Refused {
                        datagrams: lost as u64,
                        why: e.to_string(),
                    });
                }
                Err(e) => {
                    return Err(OutputError::new(
                        &self.endpoint,
                        Fault::System("send to", e),
                    ));
                }
            }
        }
        self.queue.clear();
        match &mut self.fec {
            Some(fec) => fec.send(&mut self.events),
            None => Ok(()),
        }
    }
}

/// Datagrams of `packets` each as the kernel takes them, with RTP headers or without: neighbours
/// as one where it may cut them (`segment`).
fn outgoing<'a>(
    batch: &'a Batch,
    queue: &'a [Ready],
    packets: usize,
    rtp: bool,
    segment: bool,
) -> impl Iterator<Item = Outgoing<'a>> + Clone {
    let size = packets * PACKET_SIZE;
    let together = match segment && !rtp {
        true => (SEGMENTED_BYTES / size).clamp(1, MOST_SEGMENTS),
        false => 1,
    };
    queue.chunks(together).filter_map(move |part| {
        let (first, last) = (part.first()?, part.last()?);
        let body = batch.packets().get(first.packets.start..last.packets.end)?;
        Some(Outgoing {
            head: if rtp { &first.head } else { &[] },
            body: Packet::bytes_of(body),
            segment: u16::try_from(size).ok().filter(|_| part.len() > 1),
        })
    })
}

/// How many datagrams that makes.
fn datagrams(out: &Outgoing<'_>) -> usize {
    out.segment
        .map_or(1, |size| out.body.len().div_ceil(usize::from(size)))
}

/// True for what passes by itself: a receiver that is not there yet, a link that is down, a queue
/// that is full.
pub(super) fn passes(e: &io::Error) -> bool {
    matches!(
        e.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::ENOBUFS
                | libc::EAGAIN
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENETDOWN
                | libc::EPERM
        )
    )
}

impl Rtp {
    fn header(&mut self, at: Arrival) -> [u8; RTP_HEADER_SIZE] {
        let (timestamp, marker) = self.clock.stamp(at);
        let header = RtpHeader {
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            marker,
        };
        self.sequence = self.sequence.wrapping_add(1);
        header.write()
    }

    /// Takes up the PCRs of a datagram, each as of its own packet's arrival.
    fn pass(&mut self, batch: &Batch, range: Range<usize>) {
        let packets = batch.packets().get(range.clone()).unwrap_or_default();
        for (place, packet) in packets.iter().enumerate() {
            if packet.pcr().is_none() {
                continue;
            }
            let mut before = 0;
            let run = batch.runs().find(|(_, packets)| {
                before += packets.len();
                range.start + place < before
            });
            if let Some((at, _)) = run {
                self.clock.pass(packet, at);
            }
        }
    }
}

impl Sink for UdpSink {
    fn send(&mut self, batch: &Batch) -> Result<(), OutputError> {
        let mut first = 0;
        if !self.partial.is_empty() {
            for (at, packets) in batch.runs() {
                first += self.partial.extend(packets, at);
            }
            if self.partial.room() > 0 {
                return Ok(());
            }
            self.flush()?;
        }
        let whole = (batch.len() - first) / self.packets * self.packets;
        self.send_datagrams(batch, first..first + whole)?;
        let mut before = 0;
        for (at, packets) in batch.runs() {
            let skip = (first + whole).saturating_sub(before).min(packets.len());
            self.partial.extend(&packets[skip..], at);
            before += packets.len();
        }
        Ok(())
    }

    fn set_framing(&mut self, _: Framing) {}

    fn keeps_back(&self) -> bool {
        !self.partial.is_empty()
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        let partial = std::mem::replace(&mut self.partial, Batch::with_capacity(0));
        let sent = self.send_datagrams(&partial, 0..partial.len());
        self.partial = partial;
        self.partial.clear();
        sent
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.flush()?;
        match &mut self.fec {
            Some(fec) => fec.finish(&mut self.events),
            None => Ok(()),
        }
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
    }

    fn counters(&self, out: &mut dyn Counters) {
        out.set("out_packets", self.sent_packets);
        out.set("out_datagrams", self.datagrams);
        out.set("out_bytes", self.sent_packets * PACKET_SIZE as u64);
        out.set("send_refused_datagrams", self.refused);
        out.set("unplayed_packets", self.unplayed);
        out.set("send_calls_total", self.calls);
        if let Some(fec) = &self.fec {
            fec.counters(out);
        }
        let error = &self.lateness;
        for (key, value) in [
            ("departure_error_p50_us", error.quantile(50)),
            ("departure_error_p99_us", error.quantile(99)),
            ("departure_error_max_us", error.max()),
        ] {
            if let Some(us) = value {
                out.set(key, us);
            }
        }
    }
}
