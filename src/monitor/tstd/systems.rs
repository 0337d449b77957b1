//! TBsys and Bsys of a program: its PAT, CAT, TSDT and PMT (ISO/IEC 13818-1 §2.4.2.3).
//!
//! Service information of EN 300 468 and network information have no buffer in the T-STD.

use super::finding::{Buffer, Fault, Place, Reporter};
use super::measured::{Extremes, Over};
use super::quantity::{Amount, Fine, Interval};
use super::transport::TransportBuffer;
use crate::ts::{PACKET_SIZE, Packet, Pid, Scrambling};

/// Bits a second out of TBsys.
pub(super) const RATE: u64 = 1_000_000;
/// Bytes of TBsys.
pub(super) const TRANSPORT: Amount = Amount::bytes(512);
/// Bytes of Bsys.
pub(super) const SIZE: Amount = Amount::bytes(1536);
/// Bits a second out of Bsys at least; else a 500th of the transport rate.
const LEAST_LEAK: u64 = 80_000;
const LEAK_SHARE: u64 = 500;
/// PIDs whose packets go to the systems buffers of every program.
pub(super) const EVERYWHERE: [Pid; 4] = [
    Pid::PAT,
    Pid::CAT,
    Pid::from_field(0x0002),
    Pid::from_field(0x0003),
];

/// The systems buffers of one program.
#[derive(Clone, Debug)]
pub(super) struct Systems {
    transport: TransportBuffer,
    level: Amount,
    /// When `level` was right; `None` when nothing has come.
    time: Option<Fine>,
    over: [Over; 2],
    pub(super) transport_seen: Extremes,
    pub(super) main_seen: Extremes,
}

impl Systems {
    pub(super) fn new() -> Self {
        Self {
            transport: TransportBuffer::new(TRANSPORT, RATE),
            level: Amount::ZERO,
            time: None,
            over: [Over::default(); 2],
            transport_seen: Extremes::default(),
            main_seen: Extremes::default(),
        }
    }

    /// Empties them.
    pub(super) fn reset(&mut self) {
        self.transport.reset();
        (self.level, self.time) = (Amount::ZERO, None);
    }

    /// A packet arrives, so many bytes of which belong to sections.
    pub(super) fn arrive(
        &mut self,
        place: Place,
        bytes: u8,
        interval: &Interval,
        report: &mut Reporter<'_, '_>,
    ) {
        let from = interval.start_of(place.position);
        let to = from + interval.packet;
        let passed = self.transport.arrive(from, to);
        if let Some(level) = self.transport.record(&passed) {
            self.transport_seen.high(level);
        }
        if self.over[0].tells(self.transport.is_over(&passed), place) {
            let level = self.transport.level(&passed);
            let buffer = Buffer::SystemsTransport;
            report.fault(place, buffer, Fault::Overflow, level, TRANSPORT);
        }
        if self.transport.is_stuck(to) {
            report.not_empty(place, Buffer::SystemsTransport);
        }
        // Section bytes stand behind the header and pointer_field, stuffing behind them.
        const HEADER: i64 = 5;
        let span = (passed.end - passed.begin).0;
        let byte = |n: i64| Fine(span * n / PACKET_SIZE as i64);
        let first = passed.begin + byte(HEADER);
        let last = first + byte(bytes.into());
        let leak = LEAST_LEAK.max(interval.rate / LEAK_SHARE);
        if let Some(time) = self.time {
            self.level = (self.level - Amount::flow(leak, first - time)).max(Amount::ZERO);
        }
        let gone = Amount::flow(leak, last - first);
        self.level = (self.level + Amount::bytes(bytes.into()) - gone).max(Amount::ZERO);
        self.time = Some(last);
        self.main_seen.high(self.level);
        if self.over[1].is_told(self.level, SIZE, place) {
            report.fault(place, Buffer::Systems, Fault::Overflow, self.level, SIZE);
        }
    }
}

/// Counts the bytes of sections in the packets of a PID.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct SectionBytes {
    /// Of the section under way, still to come.
    left: usize,
    /// The first bytes of a section whose length is in the next packet.
    head: [u8; 3],
    known: usize,
}

impl SectionBytes {
    /// Packets are missing.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// How many bytes of the packet belong to sections: not pointer_field, not stuffing.
    pub(super) fn push(&mut self, packet: &Packet) -> u8 {
        if packet.scrambling() != Scrambling::Clear {
            self.reset();
            return 0;
        }
        let mut rest = packet.payload();
        let mut count = 0;
        if packet.payload_unit_start() {
            let Some((pointer, behind)) = rest.split_first() else {
                return 0;
            };
            let (ending, begun) = behind
                .split_at_checked(usize::from(*pointer))
                .unwrap_or((behind, &[]));
            if self.left > 0 || self.known > 0 {
                count += ending.len();
            }
            self.reset();
            rest = begun;
        } else if self.left == 0 && self.known == 0 {
            return 0;
        }
        while !rest.is_empty() {
            if self.left == 0 {
                if self.known == 0 && rest.first() == Some(&0xFF) {
                    break;
                }
                while let (Some((byte, behind)), true) = (rest.split_first(), self.known < 3) {
                    self.head[self.known] = *byte;
                    self.known += 1;
                    count += 1;
                    rest = behind;
                }
                if self.known < 3 {
                    break;
                }
                self.known = 0;
                self.left = usize::from(self.head[1] & 0x0F) << 8 | usize::from(self.head[2]);
            }
            let taken = self.left.min(rest.len());
            self.left -= taken;
            count += taken;
            rest = rest.get(taken..).unwrap_or_default();
        }
        u8::try_from(count).unwrap_or(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::SectionPacketizer;
    use crate::ts::{SectionBuf, SectionSyntax, TableId};

    fn section(body: usize) -> SectionBuf {
        let syntax = SectionSyntax {
            extension: 1,
            version: 0,
            current: true,
            number: 0,
            last_number: 0,
        };
        SectionBuf::long(TableId(2), false, syntax, &vec![0x55; body]).unwrap()
    }

    #[test]
    fn section_bytes_are_those_of_the_sections() {
        // 12 bytes around a body: header of 8 and CRC_32.
        for sizes in [&[1][..], &[500], &[160, 170], &[171, 1, 400], &[900, 900]] {
            let sections: Vec<_> = sizes.iter().map(|n| section(*n)).collect();
            let (mut counted, mut counter) = (0, SectionBytes::default());
            SectionPacketizer::new(Pid::PAT).push(&sections, |packet| {
                counted += usize::from(counter.push(packet));
            });
            let expected: usize = sizes.iter().map(|n| n + 12).sum();
            assert_eq!(counted, expected, "{sizes:?}");
        }
    }
}
