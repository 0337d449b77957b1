//! The exclusive-or sum over media datagrams: what a FEC datagram carries.

use super::{FEC_HEADER_SIZE, FecHeader, FecLine};
use crate::stream::{RTP_HEADER_SIZE, RtpHeader};

/// The payload type of FEC datagrams (SMPTE ST 2022-1: dynamic, 96 by custom).
const FEC_PAYLOAD_TYPE: u8 = 96;

/// The protected fields of media datagrams (RFC 2733 §3), summed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// P, X and CC of the first byte, without the version.
    flags: u8,
    /// M and the payload type.
    kind: u8,
    timestamp: u32,
    length: u16,
    /// What stands behind the 12 bytes of header, shorter ones as if zeros followed.
    body: Vec<u8>,
}

impl Sum {
    /// Adds a media datagram, in two parts, the first of which is its RTP header.
    pub(super) fn add(&mut self, head: &[u8; RTP_HEADER_SIZE], body: &[u8]) {
        self.flags ^= head[0] & 0x3F;
        self.kind ^= head[1];
        self.timestamp ^= u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        self.length ^= body.len() as u16;
        if self.body.len() < body.len() {
            self.body.resize(body.len(), 0);
        }
        for (sum, byte) in self.body.iter_mut().zip(body) {
            *sum ^= byte;
        }
    }

    /// Forgets what was added, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.body.clear();
        (self.flags, self.kind, self.timestamp, self.length) = (0, 0, 0, 0);
    }

    /// The sum that a FEC datagram carries, and over what. The first header of one has the sums of
    /// P, X and CC where others have what they mean: nothing stands between the two headers.
    pub(super) fn read(datagram: &[u8]) -> Option<(FecHeader, Self)> {
        let (head, rest) = datagram.split_first_chunk::<RTP_HEADER_SIZE>()?;
        let (fec, body) = rest.split_first_chunk::<FEC_HEADER_SIZE>()?;
        let fec = FecHeader::read(fec).filter(|_| head[0] >> 6 == 2)?;
        let sum = Self {
            flags: head[0] & 0x3F,
            kind: head[1] & 0x80 | fec.payload_type,
            timestamp: fec.timestamp,
            length: fec.length,
            body: body.into(),
        };
        Some((fec, sum))
    }

    /// The FEC datagram that carries the sum.
    pub(super) fn write(&self, set: Set, sequence: u16, timestamp: u32) -> Vec<u8> {
        let rtp = RtpHeader {
            sequence,
            timestamp,
            ssrc: 0,
            marker: self.kind & 0x80 != 0,
        };
        let mut head = rtp.write();
        head[0] |= self.flags;
        head[1] = head[1] & 0x80 | FEC_PAYLOAD_TYPE;
        let fec = FecHeader {
            base: set.base,
            length: self.length,
            payload_type: self.kind & 0x7F,
            timestamp: self.timestamp,
            line: set.line,
            offset: set.offset,
            count: set.count,
        };
        [&head[..], &fec.write(), &self.body].concat()
    }

    /// What is left when all of a set were added to its sum: nothing, where they are what was sent.
    /// The marker and the bits before it are not asked: not all senders sum them.
    pub(super) fn is_nothing(&self) -> bool {
        self.kind & 0x7F == 0
            && self.timestamp == 0
            && self.length == 0
            && self.body.iter().all(|b| *b == 0)
    }

    /// The datagram that is missing, when all others of the set were added to its sum. `None` when
    /// what is left is no datagram: the sum was not over these.
    pub(super) fn into_missing(self, sequence: u16, ssrc: u32) -> Option<Vec<u8>> {
        let (body, rest) = self.body.split_at_checked(usize::from(self.length))?;
        if !rest.iter().all(|b| *b == 0) {
            return None;
        }
        let header = RtpHeader {
            sequence,
            timestamp: self.timestamp,
            ssrc,
            marker: self.kind & 0x80 != 0,
        };
        let mut head = header.write();
        head[0] |= self.flags;
        head[1] = self.kind;
        Some([&head[..], body].concat())
    }
}

/// The datagrams of a sum, where they are being sent.
#[derive(Copy, Clone, Debug)]
pub(super) struct Set {
    pub(super) base: u16,
    pub(super) line: FecLine,
    pub(super) offset: u8,
    pub(super) count: u8,
}
