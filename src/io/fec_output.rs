//! The ports beside a media port to which its FEC goes.

use std::io::ErrorKind;
use std::net::UdpSocket;

use super::endpoint::Fec;
use super::error::Fault;
use super::udp_sink::passes;
use super::{OutputError, Protocol, SendEvent, SocketEndpoint, fec_input, socket};
use crate::stream::fec::{FecLine, FecSender};
use crate::stream::{Counters, Pending, RTP_HEADER_SIZE};

/// Open FEC ports, and the machine that makes what goes there.
pub(super) struct FecOutput {
    endpoint: SocketEndpoint,
    columns: UdpSocket,
    rows: Option<UdpSocket>,
    machine: FecSender,
    datagrams: u64,
    bytes: u64,
    refused: u64,
}

impl FecOutput {
    pub(super) fn open(endpoint: &SocketEndpoint, fec: Fec) -> Result<Self, OutputError> {
        let unusable = |why| Err(OutputError::new(endpoint, Fault::Unusable(why)));
        let Fec::Matrix(layout) = fec else {
            return unusable("FEC is sent by fec=LxD or fec=LxD+rows, 10x10 for instance");
        };
        if endpoint.protocol != Protocol::Rtp {
            return unusable("FEC goes with RTP; write rtp://");
        }
        let [columns, rows] = fec_input::ports(endpoint)?;
        let rows = match layout.has_rows() {
            true => Some(socket::open_sender(&rows.1)?),
            false => None,
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            columns: socket::open_sender(&columns.1)?,
            rows,
            machine: FecSender::new(layout),
            datagrams: 0,
            bytes: 0,
            refused: 0,
        })
    }

    /// A media datagram is about to be sent.
    pub(super) fn push(&mut self, head: &[u8; RTP_HEADER_SIZE], body: &[u8]) {
        self.machine.push(head, body);
    }

    /// Sends what is to follow the media that was sent.
    pub(super) fn send(&mut self, events: &mut Pending<SendEvent>) -> Result<(), OutputError> {
        while let Some(datagram) = self.machine.pop() {
            let socket = match (datagram.line, &self.rows) {
                (FecLine::Row, Some(rows)) => rows,
                _ => &self.columns,
            };
            let sent = loop {
                match socket.send(&datagram.bytes) {
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    sent => break sent,
                }
            };
            match sent {
                Ok(bytes) => {
                    self.datagrams += 1;
                    self.bytes += bytes as u64;
                }
                Err(e) if passes(&e) => {
                    self.refused += 1;
                    // A receiver that has no use for FEC has no port for it.
                    if e.kind() != ErrorKind::ConnectionRefused {
                        events.push(SendEvent::Refused {
                            datagrams: 1,
                            why: e.to_string(),
                        });
                    }
                }
                Err(e) => {
                    let fault = Fault::System("send the FEC of", e);
                    return Err(OutputError::new(&self.endpoint, fault));
                }
            }
        }
        Ok(())
    }

    /// Sends what is left, at the end.
    pub(super) fn finish(&mut self, events: &mut Pending<SendEvent>) -> Result<(), OutputError> {
        self.machine.finish();
        self.send(events)
    }

    pub(super) fn counters(&self, out: &mut dyn Counters) {
        out.set("fec_sent_datagrams", self.datagrams);
        out.set("fec_sent_bytes", self.bytes);
        out.set("fec_refused_datagrams", self.refused);
    }
}
