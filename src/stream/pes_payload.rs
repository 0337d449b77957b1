//! What the PES packets of a PID carry, told apart from their headers.

use crate::ts::{Dts, Packet, PesHeader, Pts, Scrambling, StreamId};

/// A PES packet whose header is whole.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PesStart {
    /// stream_id.
    pub stream_id: StreamId,
    /// PTS.
    pub pts: Option<Pts>,
    /// DTS, where it is there beside PTS.
    pub dts: Option<Dts>,
}

impl PesStart {
    /// The decoding time of the first access unit that begins in the packet: DTS, else PTS.
    pub fn decode_time(&self) -> Option<Dts> {
        self.dts.or_else(|| self.pts.map(Pts::to_dts))
    }
}

/// What a transport packet brought.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PesPart<'p> {
    /// The PES packet whose header became whole with this packet.
    pub start: Option<PesStart>,
    /// Bytes of the packet's payload in front of `payload`: the header, or the end of one.
    pub header: usize,
    /// Elementary stream bytes; empty where the PES packet is scrambled, damaged, or not one of
    /// elementary stream data.
    pub payload: &'p [u8],
}

impl PesPart<'_> {
    const NOTHING: Self = Self {
        start: None,
        header: 0,
        payload: &[],
    };
}

/// What the bytes that come next are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum State {
    /// Of no PES packet that can be read: until the next start.
    Lost,
    /// A header, not whole yet.
    Header,
    /// Payload, so many bytes at most.
    Payload(usize),
}

/// Takes the packets of a PID and hands over the payload of its PES packets.
///
/// Of a PES packet with PES_packet_length, what comes behind its end is not handed over.
#[derive(Clone, Debug)]
pub struct PesPayload {
    header: Vec<u8>,
    state: State,
}

impl PesPayload {
    /// Before the first packet.
    pub const fn new() -> Self {
        Self {
            header: Vec::new(),
            state: State::Lost,
        }
    }

    /// Packets were lost: the PES packet under way is given up.
    pub fn reset(&mut self) {
        self.state = State::Lost;
    }

    /// Takes the next packet of the PID; not one that repeats the packet before it.
    #[inline]
    pub fn push<'p>(&mut self, packet: &'p Packet) -> PesPart<'p> {
        if packet.scrambling() != Scrambling::Clear {
            self.state = State::Lost;
            return PesPart::NOTHING;
        }
        if packet.payload_unit_start() {
            self.header.clear();
            self.state = State::Header;
        }
        match self.state {
            State::Lost => PesPart::NOTHING,
            State::Payload(left) => self.carry(packet.payload(), left),
            State::Header => self.go_on(packet.payload()),
        }
    }

    fn carry<'p>(&mut self, bytes: &'p [u8], left: usize) -> PesPart<'p> {
        let payload = bytes.get(..left).unwrap_or(bytes);
        if left != usize::MAX {
            self.state = State::Payload(left - payload.len());
        }
        PesPart {
            start: None,
            header: 0,
            payload,
        }
    }

    fn go_on<'p>(&mut self, bytes: &'p [u8]) -> PesPart<'p> {
        /// Bytes that say how long the header is.
        const FIXED: usize = 9;
        let before = self.header.len();
        self.header.extend_from_slice(bytes);
        let Some(header) = PesHeader::new(&self.header) else {
            if self.header.len() >= FIXED {
                self.state = State::Lost;
            }
            return PesPart::NOTHING;
        };
        let len = header.header_len();
        if self.header.len() < len {
            return PesPart::NOTHING;
        }
        let bare = header.stream_id().is_bare();
        let scrambled = self.header.get(6).is_some_and(|b| b & 0x30 != 0);
        let start = PesStart {
            stream_id: header.stream_id(),
            pts: header.pts(),
            dts: header.dts(),
        };
        let left = match header.packet_length() {
            0 => usize::MAX,
            length => (usize::from(length) + 6).saturating_sub(len),
        };
        if bare || scrambled {
            self.state = State::Lost;
            return PesPart::NOTHING;
        }
        // What of this packet is behind the header.
        let header = len.saturating_sub(before);
        let behind = bytes.get(header..).unwrap_or_default();
        self.state = State::Payload(left);
        PesPart {
            start: Some(start),
            header,
            ..self.carry(behind, left)
        }
    }
}

impl Default for PesPayload {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::{ContinuityCounter, Pid};

    /// Packets of at most `piece` bytes of payload each.
    fn packets(bytes: &[u8], piece: usize) -> Vec<Packet> {
        let mut all = Vec::new();
        for (n, piece) in bytes.chunks(piece).enumerate() {
            let mut p = Packet::new(Pid::from_field(0x100), ContinuityCounter::default());
            p.set_payload_unit_start(n == 0);
            p.fill_payload(piece);
            all.push(p);
        }
        all
    }

    /// Stream 0xC0, PES_packet_length 13, PTS 90 000, five bytes of payload.
    const PES: [u8; 19] = [
        0, 0, 1, 0xC0, 0, 13, 0x80, 0x80, 5, 0x21, 0x00, 0x05, 0xBF, 0x21, 1, 2, 3, 4, 5,
    ];

    fn read(bytes: &[u8], piece: usize) -> (Option<PesStart>, Vec<u8>) {
        let (mut reader, mut start, mut payload) = (PesPayload::new(), None, Vec::new());
        for packet in packets(bytes, piece) {
            let part = reader.push(&packet);
            start = start.or(part.start);
            payload.extend_from_slice(part.payload);
        }
        (start, payload)
    }

    #[test]
    fn a_header_may_be_cut_anywhere() {
        let expected = PesStart {
            stream_id: StreamId(0xC0),
            pts: Pts::from_ticks(90_000),
            dts: None,
        };
        for piece in 1..=20 {
            let (start, payload) = read(&PES, piece);
            assert_eq!(start, Some(expected), "pieces of {piece}");
            assert_eq!(payload, [1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn the_length_ends_the_payload_and_zero_does_not() {
        let longer = [&PES[..], &[0xAA; 30]].concat();
        assert_eq!(read(&longer, 8).1, [1, 2, 3, 4, 5]);
        let mut unbounded = longer;
        unbounded[5] = 0;
        assert_eq!(read(&unbounded, 8).1.len(), 35);
    }

    #[test]
    fn what_cannot_be_read_is_not_handed_over() {
        let mut scrambled = PES;
        scrambled[6] |= 0x20;
        let mut padding = PES;
        padding[3] = StreamId::PADDING.0;
        let mut none = PES;
        none[2] = 2;
        for bytes in [scrambled, padding, none] {
            assert_eq!(read(&bytes, 4), (None, Vec::new()));
        }
        let mut reader = PesPayload::new();
        let all = packets(&PES, 16);
        assert_eq!(reader.push(&all[0]).payload, [1, 2]);
        reader.reset();
        assert_eq!(reader.push(&all[1]), PesPart::NOTHING);
    }
}
