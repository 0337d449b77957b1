//! The end of a file that was cut anywhere: PES packets that are not whole there.

use std::collections::VecDeque;

use super::event::{Event, Severity, Subject, Value};
use crate::ts::{ContinuityCounter, Packet, Pid, Scrambling};
use crate::units::Arrival;

/// A PES packet was cut by the end of the file and is left out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Its PID.
    pub pid: Pid,
    /// How many transport packets there are of it.
    pub packets: u64,
}

impl Event for Torn {
    fn name(&self) -> &'static str {
        "loop_tail_left_out"
    }

    fn severity(&self) -> Severity {
        Severity::Info
    }

    fn subject(&self) -> Subject {
        Subject::Pid(self.pid)
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        field("packets", self.packets.into());
    }
}

/// Whether the PES packet that began last on a PID is whole.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Rest {
    /// So many bytes of it are missing.
    Bytes(usize),
    /// It does not say how long it is (PES_packet_length 0, or scrambled): it is whole when its
    /// last packet was stuffed, and where it filled that to the last byte nobody can tell.
    Unsaid { stuffed: bool },
}

impl Rest {
    fn is_whole(self) -> bool {
        matches!(self, Self::Bytes(0) | Self::Unsaid { stuffed: true })
    }
}

#[derive(Copy, Clone, Debug)]
struct Open {
    pid: Pid,
    /// Which of all packets it begins with.
    start: u64,
    rest: Rest,
    /// The counter of the packet before it.
    before: ContinuityCounter,
    /// The counter of its last.
    last: ContinuityCounter,
}

/// A packet on its way to the end of a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TailPacket {
    /// The packet; of a torn PES packet a null packet, or its PCR alone.
    pub packet: Packet,
    /// When it arrived.
    pub arrival: Arrival,
    /// It stands for one of a torn PES packet.
    pub torn: bool,
}

/// Holds back the last packets of a file until its end is known, so that PES packets that are cut
/// there can be left out as a whole.
#[derive(Debug)]
pub struct Tail {
    /// Never grown: who doubled it to hold one packet more would take twice the memory.
    held: VecDeque<TailPacket>,
    /// Packets taken up.
    pushed: u64,
    open: Vec<Open>,
    ended: bool,
    events: Vec<Torn>,
}

impl Tail {
    /// Packets held back, more than a picture ever takes: 3.3 MB of 200 bytes each.
    pub const HELD_PACKETS: usize = 16_384;

    /// Before the first packet. So many packets are [pushed](Self::push) at most before what need
    /// not be held back is [taken](Self::pop).
    pub fn new(together: usize) -> Self {
        Self {
            held: VecDeque::with_capacity(Self::HELD_PACKETS + together),
            pushed: 0,
            open: Vec::new(),
            ended: false,
            events: Vec::new(),
        }
    }

    /// Takes the next packet.
    pub fn push(&mut self, packet: &Packet, arrival: Arrival) {
        if packet.pid() != Pid::NULL && packet.has_payload() {
            self.follow(packet);
        }
        self.pushed += 1;
        self.held.push_back(TailPacket {
            packet: *packet,
            arrival,
            torn: false,
        });
    }

    /// The file has ended: what is not whole is left out.
    pub fn finish(&mut self) {
        self.ended = true;
        let first = self.pushed - self.held.len() as u64;
        for open in std::mem::take(&mut self.open) {
            if open.rest.is_whole() || open.start < first {
                continue;
            }
            let from = usize::try_from(open.start - first).unwrap_or(usize::MAX);
            let mut packets = 0;
            let of_pid = |held: &&mut TailPacket| held.packet.pid() == open.pid;
            for held in self.held.iter_mut().skip(from).filter(of_pid) {
                held.torn = true;
                packets += 1;
                held.packet = match held.packet.pcr() {
                    Some(pcr) => Packet::pcr_only(open.pid, open.before, pcr),
                    None => Packet::NULL,
                };
            }
            let pid = open.pid;
            self.events.push(Torn { pid, packets });
        }
    }

    /// The next packet that need not be held back any more.
    pub fn pop(&mut self) -> Option<TailPacket> {
        if !self.ended && self.held.len() <= Self::HELD_PACKETS {
            return None;
        }
        self.held.pop_front()
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(..).for_each(|event| sink(&event));
    }

    fn follow(&mut self, packet: &Packet) {
        let (pid, counter) = (packet.pid(), packet.continuity_counter());
        let place = self.open.binary_search_by_key(&pid, |open| open.pid);
        let payload = packet.payload();
        if packet.payload_unit_start() {
            let before = place.ok().and_then(|at| self.open.get(at)).map(|o| o.last);
            let open = pes_bytes(packet).map(|bytes| Open {
                pid,
                start: self.pushed,
                rest: match bytes {
                    Some(bytes) => Rest::Bytes(bytes.saturating_sub(payload.len())),
                    None => Rest::Unsaid {
                        stuffed: is_stuffed(packet),
                    },
                },
                before: before.unwrap_or(counter),
                last: counter,
            });
            match (place, open) {
                (Ok(at), Some(open)) => self.open[at] = open,
                (Err(at), Some(open)) => self.open.insert(at, open),
                (Ok(at), None) => drop(self.open.remove(at)),
                (Err(_), None) => {}
            }
        } else if let Some(open) = place.ok().and_then(|at| self.open.get_mut(at)) {
            open.last = counter;
            match &mut open.rest {
                Rest::Bytes(bytes) => *bytes = bytes.saturating_sub(payload.len()),
                Rest::Unsaid { stuffed } => *stuffed = is_stuffed(packet),
            }
        }
    }
}

/// `None` when no PES packet starts here; else how long the one is, where it says so.
fn pes_bytes(packet: &Packet) -> Option<Option<usize>> {
    const FIXED: usize = 6;
    if packet.scrambling() != Scrambling::Clear {
        return Some(None);
    }
    let payload = packet.payload();
    if !payload.starts_with(&[0, 0, 1]) {
        return None;
    }
    let length = payload.get(4..FIXED)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    Some((length > 0).then_some(FIXED + length))
}

/// True when the adaptation field is longer than what it says: a PES packet ended (§2.4.3.5).
fn is_stuffed(packet: &Packet) -> bool {
    let bytes = packet.as_bytes();
    if bytes[3] & 0x20 == 0 {
        return false;
    }
    let length = usize::from(bytes[4]);
    if length == 0 {
        return true;
    }
    let flags = bytes[5];
    // In order: PCR, OPCR, splice_countdown, and two fields that say their own length.
    let mut used = 1 + usize::from(flags & 0x10 != 0) * 6;
    used += usize::from(flags & 0x08 != 0) * 6 + usize::from(flags & 0x04 != 0);
    for flag in [0x02, 0x01] {
        if flags & flag != 0 {
            used += 1 + usize::from(bytes.get(5 + used).copied().unwrap_or_default());
        }
    }
    length > used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::Pcr;

    const VIDEO: Pid = Pid::from_field(0x100);
    const SOUND: Pid = Pid::from_field(0x101);

    /// A packet with so many bytes of payload, the rest stuffed; the payload of a start is that of
    /// a PES packet with this length.
    fn packet(pid: Pid, counter: u8, bytes: usize, start: Option<u16>) -> Packet {
        let mut payload = vec![0xAA; bytes];
        if let Some(length) = start {
            let [high, low] = length.to_be_bytes();
            payload[..6].copy_from_slice(&[0, 0, 1, 0xE0, high, low]);
        }
        let mut packet = Packet::new(pid, ContinuityCounter::wrapping(counter));
        packet.set_payload_unit_start(start.is_some());
        assert_eq!(packet.fill_payload(&payload), bytes);
        packet
    }

    fn after(packets: &[Packet]) -> Vec<TailPacket> {
        let mut tail = Tail::new(packets.len());
        for packet in packets {
            tail.push(packet, Arrival::default());
        }
        assert_eq!(tail.pop(), None);
        tail.finish();
        std::iter::from_fn(|| tail.pop()).collect()
    }

    #[test]
    fn a_picture_without_length_is_whole_when_its_last_packet_is_stuffed() {
        let whole = [
            packet(VIDEO, 0, 184, Some(0)),
            packet(VIDEO, 1, 100, None),
            packet(VIDEO, 2, 184, Some(0)),
            packet(VIDEO, 3, 183, None),
        ];
        assert!(after(&whole).iter().map(|t| t.packet).eq(whole));
        let torn = after(&whole[..3]);
        assert!(
            torn[..2]
                .iter()
                .map(|t| t.packet)
                .eq(whole[..2].iter().copied())
        );
        assert_eq!((torn[2].packet, torn[2].torn), (Packet::NULL, true));
    }

    #[test]
    fn a_pes_packet_with_a_length_is_whole_when_that_is_reached() {
        // 300 bytes behind the 6 of the header
        let whole = [
            packet(SOUND, 7, 184, Some(300)),
            packet(SOUND, 8, 122, None),
        ];
        assert!(after(&whole).iter().all(|t| !t.torn));
        let short = [whole[0], packet(SOUND, 8, 121, None)];
        assert!(after(&short).iter().all(|t| t.torn));
        // a section is none
        let mut section = packet(Pid::PAT, 0, 184, None);
        section.set_payload_unit_start(true);
        assert!(after(&[section]).iter().all(|t| !t.torn));
    }

    #[test]
    fn of_a_torn_picture_the_clock_stays_and_others_are_untouched() {
        let pcr = Pcr::from_ticks(270_000).unwrap();
        let mut clocked = packet(VIDEO, 2, 170, None);
        clocked.as_bytes_mut()[5] |= 0x10;
        clocked.set_pcr(pcr);
        let sound = packet(SOUND, 1, 100, Some(94));
        let packets = [
            packet(VIDEO, 0, 60, Some(0)),
            packet(VIDEO, 1, 184, Some(0)),
            sound,
            clocked,
            packet(VIDEO, 3, 184, None),
        ];
        let left = after(&packets);
        assert_eq!(left[2].packet, sound);
        let expected = Packet::pcr_only(VIDEO, ContinuityCounter::wrapping(0), pcr);
        assert_eq!((left[3].packet, left[3].torn), (expected, true));
        assert_eq!(
            (left[1].packet, left[4].packet),
            (Packet::NULL, Packet::NULL)
        );
    }

    #[test]
    fn no_more_is_held_than_is_said() {
        const TOGETHER: usize = 1024;
        let mut tail = Tail::new(TOGETHER);
        for round in 1..100 {
            for _ in 0..TOGETHER {
                tail.push(&Packet::NULL, Arrival::default());
            }
            let left = std::iter::from_fn(|| tail.pop()).count();
            let over = (round * TOGETHER).saturating_sub(Tail::HELD_PACKETS);
            assert_eq!(left, over.min(TOGETHER));
        }
        assert_eq!(tail.held.len(), Tail::HELD_PACKETS);
        // 3.5 MiB, as the manual of tsrecv says.
        let bytes = tail.held.capacity() * size_of::<TailPacket>();
        assert!(bytes <= 7 << 19, "{bytes} bytes");
    }
}
