//! The RTP header (RFC 3550 §5.1) as it carries transport packets (RFC 2250 §2, SMPTE ST 2022-2).

use super::Framing;
use crate::ts::Pcr;

/// Bytes of a header without contributing sources and extension.
pub const RTP_HEADER_SIZE: usize = 12;
/// The payload type of MPEG-2 transport streams (RFC 3551 table 5).
const PAYLOAD_TYPE: u8 = 33;

/// What an RTP header says that matters here.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// The sequence number: steps by one a datagram, wraps at 2^16.
    pub sequence: u16,
    /// 90 kHz, on a circle of 2^32.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The time stamp does not continue the one before.
    pub marker: bool,
}

impl RtpHeader {
    /// The header of a datagram that carries transport packets, and where they stand in it.
    /// `None` when it is not RTP, or carries something else.
    ///
    /// ```
    /// use headend::{stream::RtpHeader, ts::Packet};
    /// let header = RtpHeader { sequence: 7, timestamp: 9, ssrc: 1, marker: false };
    /// let datagram = [&header.write()[..], Packet::NULL.as_bytes()].concat();
    /// assert_eq!(RtpHeader::read(&datagram), Some((header, 12..200)));
    /// assert_eq!(RtpHeader::read(Packet::NULL.as_bytes()), None);
    /// ```
    pub fn read(datagram: &[u8]) -> Option<(Self, std::ops::Range<usize>)> {
        Self::read_any(datagram)
            .filter(|(_, payload)| Framing::of_datagram(&datagram[payload.clone()]).is_some())
    }

    /// The header of a datagram that is known to be RTP, and where its payload stands in it,
    /// whatever that is.
    pub fn read_any(datagram: &[u8]) -> Option<(Self, std::ops::Range<usize>)> {
        let fixed: &[u8; RTP_HEADER_SIZE] = datagram.first_chunk()?;
        let header = Self::read_fixed(fixed)?;
        let mut start = RTP_HEADER_SIZE + 4 * usize::from(fixed[0] & 0x0F);
        if fixed[0] & 0x10 != 0 {
            let words = datagram.get(start + 2..start + 4)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let padding = match fixed[0] & 0x20 {
            0 => 0,
            _ => usize::from(*datagram.last()?),
        };
        let end = datagram.len().checked_sub(padding)?;
        (start <= end).then_some((header, start..end))
    }

    /// The payload type, 7 bits, of a datagram that is RTP.
    pub fn payload_type(datagram: &[u8]) -> Option<u8> {
        datagram.get(1).map(|b| b & 0x7F)
    }

    /// The fields that every header has, whatever follows them; `None` when it is not version 2.
    fn read_fixed(b: &[u8; RTP_HEADER_SIZE]) -> Option<Self> {
        (b[0] >> 6 == 2).then_some(Self {
            sequence: u16::from_be_bytes([b[2], b[3]]),
            timestamp: u32::from_be_bytes([b[4], b[5], b[6], b[7]]),
            ssrc: u32::from_be_bytes([b[8], b[9], b[10], b[11]]),
            marker: b[1] & 0x80 != 0,
        })
    }

    /// The header, when `fixed` is one of 12 bytes that nothing follows but the payload.
    pub fn read_plain(fixed: &[u8; RTP_HEADER_SIZE]) -> Option<Self> {
        Self::read_fixed(fixed).filter(|_| fixed[0] == 0x80)
    }

    /// The twelve bytes: version 2, payload type 33.
    pub fn write(&self) -> [u8; RTP_HEADER_SIZE] {
        let mut b = [0; RTP_HEADER_SIZE];
        b[0] = 0x80;
        b[1] = u8::from(self.marker) << 7 | PAYLOAD_TYPE;
        b[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        b[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        b[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        b
    }

    /// True for RTCP (RFC 3550 §6.1), which some senders send to the same port: version 2, a type
    /// that RFC 5761 §4 keeps for it, and lengths that lead to the end. A datagram out of the
    /// middle of a stream can look like it: only where RTP is expected is it to be asked.
    ///
    /// ```
    /// use headend::{stream::RtpHeader, ts::Packet};
    /// let sender_report = [&[0x80, 200, 0, 6][..], &[0; 24]].concat();
    /// assert!(RtpHeader::is_rtcp(&sender_report));
    /// assert!(RtpHeader::is_rtcp(&sender_report.repeat(2)));
    /// assert!(!RtpHeader::is_rtcp(&sender_report[..27]));
    /// assert!(!RtpHeader::is_rtcp(&[&sender_report[..], &[0; 4]].concat()));
    /// assert!(!RtpHeader::is_rtcp(Packet::NULL.as_bytes()));
    /// ```
    pub fn is_rtcp(datagram: &[u8]) -> bool {
        let mut rest = datagram;
        while let Some([first, kind, len @ ..]) = rest.first_chunk::<4>() {
            // In words of 32 bits, less one.
            let len = 4 * (usize::from(u16::from_be_bytes(*len)) + 1);
            let Some(next) = rest.get(len..) else {
                return false;
            };
            if first >> 6 != 2 || !(192..=223).contains(kind) {
                return false;
            }
            rest = next;
        }
        rest.is_empty() && !datagram.is_empty()
    }

    /// The time stamp at a PCR: its base, of which RTP keeps 32 of 33 bits (RFC 2250 §2).
    pub const fn timestamp_of(pcr: Pcr) -> u32 {
        pcr.base() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::Packet;

    /// RFC 3550 §5.1 by hand: V=2 P=1 X=1 CC=2, M=1 PT=33, then two CSRC, an extension of one
    /// word, a packet, and three bytes of padding.
    #[test]
    fn what_may_stand_around_the_payload_is_skipped() {
        let mut datagram = vec![
            0xB2, 0xA1, 0x12, 0x34, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98,
        ];
        datagram.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        datagram.extend_from_slice(&[0xBE, 0xDE, 0, 1, 9, 9, 9, 9]);
        datagram.extend_from_slice(Packet::NULL.as_bytes());
        datagram.extend_from_slice(&[0, 0, 3]);
        let (header, payload) = RtpHeader::read(&datagram).unwrap();
        assert_eq!(
            header,
            RtpHeader {
                sequence: 0x1234,
                timestamp: 0x89AB_CDEF,
                ssrc: 0xFEDC_BA98,
                marker: true
            }
        );
        assert_eq!(&datagram[payload], Packet::NULL.as_bytes());
        for cut in 0..datagram.len() {
            let _ = RtpHeader::read(&datagram[..cut]);
        }
    }

    /// RFC 3550 §5.1: the header says where the payload is, the payload need not look like packets.
    #[test]
    fn a_datagram_that_is_known_to_be_rtp_is_read_whatever_it_carries() {
        let header = RtpHeader {
            sequence: 7,
            timestamp: 9,
            ssrc: 1,
            marker: true,
        };
        let mut datagram = [&header.write()[..], Packet::NULL.as_bytes()].concat();
        datagram[12] ^= 1;
        assert_eq!(RtpHeader::read(&datagram), None);
        assert_eq!(RtpHeader::read_any(&datagram), Some((header, 12..200)));
        assert_eq!(RtpHeader::payload_type(&datagram), Some(33));
        assert_eq!(RtpHeader::read_any(&datagram[..12]), Some((header, 12..12)));
        // More padding than there is payload; another version.
        let last = datagram.len() - 1;
        (datagram[0], datagram[last]) = (0xA0, 189);
        assert_eq!(RtpHeader::read_any(&datagram), None);
        datagram[0] = 0x40;
        assert_eq!(RtpHeader::read_any(&datagram), None);
    }

    #[test]
    fn a_written_header_is_version_two_type_33() {
        let header = RtpHeader {
            sequence: 0xFFFE,
            timestamp: 0x0102_0304,
            ssrc: 0x0A0B_0C0D,
            marker: false,
        };
        assert_eq!(
            header.write(),
            [0x80, 33, 0xFF, 0xFE, 1, 2, 3, 4, 10, 11, 12, 13]
        );
        assert_eq!(RtpHeader::read_plain(&header.write()), Some(header));
        let pcr = Pcr::from_ticks(0x1_0000_0007 * 300 + 299).unwrap();
        assert_eq!(RtpHeader::timestamp_of(pcr), 7);
    }
}
