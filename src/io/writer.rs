//! Packets with what stands around them, as bytes to be written.

use crate::stream::{Batch, Framing, arrival_header, parity};
use crate::ts::PACKET_SIZE;

/// Lays out batches in one framing. Packets alone are written from where they are.
#[derive(Debug)]
pub(super) struct PacketWriter {
    framing: Framing,
    /// The last batch laid out, at most its packets times 204 bytes.
    laid_out: Vec<u8>,
}

impl PacketWriter {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            laid_out: Vec::new(),
        }
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    pub(super) fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// The bytes of the packets of `batch`, valid until the next call.
    pub(super) fn bytes<'a>(&'a mut self, batch: &'a Batch) -> &'a [u8] {
        if self.framing == Framing::Plain {
            return batch.as_bytes();
        }
        self.laid_out.clear();
        self.laid_out.reserve(batch.len() * self.framing.size());
        for (at, packets) in batch.runs() {
            for packet in packets {
                let bytes: &[u8; PACKET_SIZE] = packet.as_bytes();
                match self.framing {
                    Framing::Timed => {
                        self.laid_out.extend_from_slice(&arrival_header(at));
                        self.laid_out.extend_from_slice(bytes);
                    }
                    Framing::Coded => {
                        self.laid_out.extend_from_slice(bytes);
                        self.laid_out.extend_from_slice(&parity(bytes));
                    }
                    Framing::Plain => self.laid_out.extend_from_slice(bytes),
                }
            }
        }
        &self.laid_out
    }
}
