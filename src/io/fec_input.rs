//! The ports beside a media port on which its FEC comes.

use std::collections::VecDeque;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use super::clock::{Clock, SystemClock};
use super::endpoint::Fec;
use super::error::Fault;
use super::socket::{self, SocketEvent};
use super::sys::{Places, Received, Receiver};
use super::{InputError, SocketEndpoint};
use crate::stream::event::Event;
use crate::stream::fec::{FecLine, FecReceiver};
use crate::stream::{Counters, RtpHeader};
use crate::units::{Arrival, Ticks27M, WallTime};

/// Bytes of the largest datagram, and of what UDP_GRO hands over at once.
const SLOT_BYTES: usize = 1 << 16;
/// Datagrams a call: FEC is a fifth of the media or less.
const SLOTS: usize = 16;
/// Datagrams that wait for the media before them to be taken up, at most.
const MOST_WAITING: usize = 1024;
/// An arrival that a step of the wall clock has spoilt lies further back than any buffer reaches.
const LONGEST_WAIT_IN_BUFFER: Ticks27M = Ticks27M::new(60 * 27_000_000);
/// What is asked for as receive buffer where `rcvbuf=` says nothing: as much for a fifth of the rate.
const RECEIVE_BUFFER: u64 = 2 << 20;

/// The ports of an endpoint on which FEC goes: columns beside it, then rows.
pub(super) fn ports(
    endpoint: &SocketEndpoint,
) -> Result<[(FecLine, SocketEndpoint); 2], InputError> {
    let beside = |line, step| {
        let mut beside = endpoint.clone();
        beside.options.fec = None;
        beside.port = endpoint.port.checked_add(step).ok_or_else(|| {
            let why = "FEC goes to the ports + 2 and + 4, which do not exist";
            InputError::new(endpoint, Fault::Unusable(why))
        })?;
        Ok((line, beside))
    };
    Ok([beside(FecLine::Column, 2)?, beside(FecLine::Row, 4)?])
}

/// When the kernel received a datagram, on the clock that shows `now` when the other shows `wall`.
pub(super) fn arrival_of(datagram: &Received, now: Arrival, wall: WallTime) -> Arrival {
    datagram
        .realtime
        .map(|ns| now - (wall - WallTime::from_unix_nanos(ns)))
        .filter(|at| *at <= now && now - *at < LONGEST_WAIT_IN_BUFFER)
        .unwrap_or(now)
}

/// Open FEC ports, and the machine that uses what comes there.
pub(super) struct FecInput {
    ports: [(FecLine, UdpSocket); 2],
    source: Option<IpAddr>,
    receiver: Receiver,
    slots: Vec<u8>,
    /// What came, each port in its order.
    waiting: VecDeque<(Arrival, FecLine, Box<[u8]>)>,
    machine: FecReceiver,
    /// The wait that the endpoint names.
    given: Option<Ticks27M>,
    /// What is waited for those that others have overtaken.
    reorder: Ticks27M,
    /// Until when all that came on all ports is known.
    known_until: Arrival,
    /// Datagrams that the sequence had lost when FEC came first.
    lost_before: Option<u64>,
    restarts: u64,
    bytes: u64,
    opening: Vec<SocketEvent>,
}

impl FecInput {
    pub(super) fn open(
        endpoint: &SocketEndpoint,
        fec: Fec,
        reorder: Duration,
    ) -> Result<Self, InputError> {
        let mut opening = Vec::new();
        let mut open = |(line, mut beside): (FecLine, SocketEndpoint)| {
            let rcvbuf = &mut beside.options.rcvbuf;
            rcvbuf.get_or_insert(crate::units::ByteCount::new(RECEIVE_BUFFER));
            let opened = socket::open_receiver(&beside)?;
            opening.extend(opened.event);
            Ok::<_, InputError>((line, opened.socket))
        };
        let [columns, rows] = ports(endpoint)?;
        Ok(Self {
            ports: [open(columns)?, open(rows)?],
            source: endpoint.source,
            receiver: Receiver::new(),
            slots: vec![0; SLOTS * SLOT_BYTES],
            waiting: VecDeque::new(),
            machine: FecReceiver::new(),
            given: match fec {
                Fec::Wait(wait) => Some(Ticks27M::from(wait)),
                Fec::Auto | Fec::Matrix(_) => None,
            },
            reorder: Ticks27M::from(reorder),
            known_until: Arrival::from_ticks(i64::MIN),
            lost_before: None,
            restarts: 0,
            bytes: 0,
            opening,
        })
    }

    /// How long a datagram waits for what is lost before it.
    pub(super) fn window(&self, now: Arrival) -> Ticks27M {
        self.given
            .unwrap_or_else(|| self.machine.wait(now) + self.reorder)
    }

    /// Receives what is there. To be asked when the media that came until `media` was received.
    pub(super) fn receive(&mut self, media: Arrival) -> std::io::Result<()> {
        for (line, socket) in &self.ports {
            loop {
                // The whole of a datagram goes to its slot.
                let places = Places {
                    head: SLOT_BYTES,
                    place: &mut [0; SLOTS],
                    stride: 1,
                    slots: &mut self.slots,
                    slot: SLOT_BYTES,
                };
                let received = match self.receiver.receive(socket.as_fd(), places) {
                    Ok(received) => received,
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                    // An ICMP answer: nothing that ends reception.
                    Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                    Err(e) => return Err(e),
                };
                let (now, wall) = (SystemClock.now(), SystemClock.wall());
                for (datagram, slot) in received.iter().zip(self.slots.chunks(SLOT_BYTES)) {
                    let other = self.source.is_some() && datagram.source != self.source;
                    if other || datagram.truncated {
                        continue;
                    }
                    self.bytes += datagram.len as u64;
                    let arrival = arrival_of(datagram, now, wall);
                    let bytes = slot.get(..datagram.len).unwrap_or_default();
                    for one in bytes.chunks(datagram.segment.unwrap_or(SLOT_BYTES)) {
                        if self.waiting.len() >= MOST_WAITING {
                            self.waiting.pop_front();
                        }
                        self.waiting.push_back((arrival, *line, one.into()));
                    }
                }
                if received.len() < SLOTS {
                    break;
                }
            }
        }
        self.known_until = self.known_until.max(media);
        Ok(())
    }

    /// A media datagram, before it is put in order.
    pub(super) fn media(&mut self, header: &RtpHeader, datagram: &[u8], arrival: Arrival) {
        self.machine.media(header, datagram, arrival);
    }

    /// The same datagram was put in order; the sequence has started anew so often by then.
    pub(super) fn restarts(&mut self, header: &RtpHeader, restarts: u64) {
        if std::mem::replace(&mut self.restarts, restarts) != restarts {
            self.machine.restart(header);
        }
    }

    /// Uses the FEC that came before `media`, the arrival of a media datagram that waits to be
    /// taken up; all of it where none does. Nothing that arrived later than what this gives is
    /// known yet: nothing may be given up then.
    pub(super) fn use_until(&mut self, media: Option<Arrival>, lost: u64) -> Arrival {
        let until = media.map_or(self.known_until, |at| at.min(self.known_until));
        // Two ports, each in its order.
        let mut later = VecDeque::new();
        while let Some((arrival, line, datagram)) = self.waiting.pop_front() {
            match arrival <= until {
                true => self.machine.fec(line, &datagram, arrival),
                false => later.push_back((arrival, line, datagram)),
            }
        }
        self.waiting = later;
        if self.lost_before.is_none() && self.machine.is_in_use() {
            self.lost_before = Some(lost);
        }
        self.machine.turn(until);
        until
    }

    /// A media datagram that was recovered.
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        self.machine.pop()
    }

    pub(super) fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.opening.drain(..).for_each(|e| sink(&e));
        self.machine.drain_events(sink);
    }

    /// What was counted, where the sequence has lost so many datagrams in all.
    pub(super) fn counters(&self, out: &mut dyn Counters, lost: u64) {
        self.machine.counters(out);
        out.set("fec_bytes", self.bytes);
        let since = self.lost_before.map_or(0, |before| lost - before);
        out.set("fec_unrecoverable_datagrams", since);
    }
}
