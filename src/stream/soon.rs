//! Sections that come again too soon, where the end of a file meets its beginning.

use crate::ts::{Packet, Pcr, Pid};
use crate::units::Ticks27M;

/// Tells sections of service information (NIT, BAT, SDT, EIT) that repeat the one before within
/// 25 ms: EN 300 468 §5.1.4.1 wants as much between the end of a section and the beginning of the
/// next with the same PID, table_id and table_id_extension. Times are those of the PCRs; between
/// two of them packets are taken to be evenly spaced.
///
/// Sections that say something else are never told, however soon they come, nor are those that the
/// file repeats itself.
#[derive(Debug, Default)]
pub(super) struct Soon {
    /// The sections that ended less than 25 ms ago: few.
    last: Vec<Seen>,
    /// The latest PCR, what it counts from the first on, and the packets since.
    pcr: Option<Pcr>,
    at: Ticks27M,
    packets: i64,
    a_packet: Ticks27M,
    /// When this round began; `None` in the first.
    began: Option<Ticks27M>,
    /// The PIDs whose section is being left out.
    left_out: Vec<Pid>,
}

#[derive(Debug)]
struct Seen {
    pid: Pid,
    /// Its first eight bytes: table, extension, version and number.
    head: [u8; HEAD],
    end: Ticks27M,
}

const HEAD: usize = 8;
const LEAST: Ticks27M = Ticks27M::from_millis(25);
/// Between PCRs farther apart than this the clock was replaced.
const LONGEST: Ticks27M = Ticks27M::SECOND;

impl Soon {
    /// Takes the next packet of the stream, null packets too, `clock` being the PID of its PCRs.
    pub(super) fn pass(&mut self, packet: &Packet, clock: Option<Pid>) {
        self.packets += 1;
        let Some(pcr) = packet.pcr().filter(|_| clock == Some(packet.pid())) else {
            return;
        };
        if let Some(last) = self.pcr.replace(pcr) {
            let step = pcr - last;
            if step.is_negative() || step > LONGEST {
                self.last.clear();
            } else {
                self.at += step;
                self.a_packet = step / self.packets;
            }
        }
        self.packets = 0;
    }

    /// The file begins anew.
    pub(super) fn again(&mut self) {
        self.began = Some(self.now());
    }

    fn now(&self) -> Ticks27M {
        self.at + self.a_packet * self.packets
    }

    /// True when the packet, which [`passed`](Self::pass) last, begins or goes on with a section
    /// that comes too soon. What begins a section in which another ends or begins is kept.
    pub(super) fn is_again(&mut self, packet: &Packet) -> bool {
        let pid = packet.pid();
        if !(Pid::NIT..=Pid::EIT).contains(&pid) || !packet.has_payload() {
            return false;
        }
        let now = self.now();
        if !packet.payload_unit_start() {
            if self.left_out.contains(&pid) {
                return true;
            }
            if let Some(seen) = self.last.iter_mut().rfind(|seen| seen.pid == pid) {
                seen.end = now;
            }
            return false;
        }
        self.left_out.retain(|left_out| *left_out != pid);
        self.last.retain(|seen| now - seen.end < LEAST);
        let Some((pointer, rest)) = packet.payload().split_first() else {
            return false;
        };
        let section = rest.get(usize::from(*pointer)..).unwrap_or_default();
        let Some(head) = section.first_chunk::<HEAD>() else {
            return false;
        };
        let length = 3 + (usize::from(head[1] & 0x0F) << 8) + usize::from(head[2]);
        let alone = *pointer == 0 && section.get(length).is_none_or(|next| *next == 0xFF);
        let before = |seen: &Seen| seen.pid == pid && seen.head == *head;
        match self.last.iter_mut().find(|seen| before(seen)) {
            // Its end stays that of the one that was sent.
            Some(_) if alone && self.began.is_some_and(|began| now - began < LEAST) => {
                self.left_out.push(pid);
            }
            Some(seen) => seen.end = now,
            None => self.last.push(Seen {
                pid,
                head: *head,
                end: now,
            }),
        }
        self.left_out.contains(&pid)
    }
}

#[cfg(test)]
mod tests {
    use crate::stream::restamp::Seam;
    use crate::ts::{ContinuityCounter, Packet, Pcr, Pid};
    use crate::units::Ticks27M;

    const CLOCK: Pid = Pid::from_field(0x100);

    /// A section of the SDT of transport stream 1 with this number, of 20 bytes in all, in as many
    /// packets as there are counters.
    fn sdt(number: u8, counters: std::ops::Range<u8>) -> Vec<Packet> {
        let bytes = 160 * (counters.len() - 1) + 20;
        let length = bytes as u16 - 3;
        let [high, low] = length.to_be_bytes();
        let mut payload = vec![0, 0x42, 0xF0 | high, low, 0, 1, 0xC1, number, 1];
        payload.resize(1 + bytes, 0xAA);
        let mut packets = Vec::new();
        let mut rest = &payload[..];
        for (n, counter) in counters.enumerate() {
            let mut packet = Packet::new(Pid::SDT, ContinuityCounter::wrapping(counter));
            packet.set_payload_unit_start(n == 0);
            let taken = packet.fill_payload(rest.get(..160).unwrap_or(rest));
            rest = &rest[taken..];
            packets.push(packet);
        }
        packets
    }

    /// A file of 200 ms and 200 packets, a PCR in every twentieth, with these at their places.
    fn file(placed: &[(usize, Vec<Packet>)]) -> Vec<Packet> {
        let mut packets: Vec<Packet> = (0..200)
            .map(|n| match n % 20 {
                0 => {
                    let pcr = Pcr::from_ticks(27_000 * n).unwrap();
                    Packet::pcr_only(CLOCK, ContinuityCounter::default(), pcr)
                }
                _ => Packet::NULL,
            })
            .collect();
        for (at, section) in placed {
            packets[*at..at + section.len()].copy_from_slice(section);
        }
        packets
    }

    /// At which millisecond of three rounds packets of the SDT leave, with their counters.
    fn played(file: &[Packet]) -> Vec<(usize, u8)> {
        let mut seam = Seam::new();
        let mut left = Vec::new();
        for round in 0..3 {
            if round > 0 {
                assert!(seam.again());
            }
            for (n, packet) in file.iter().enumerate() {
                let mut packet = *packet;
                seam.push(&mut packet);
                if packet.pid() == Pid::SDT {
                    left.push((round * 200 + n, packet.continuity_counter().get()));
                }
            }
        }
        assert_eq!(seam.moved(), Ticks27M::from_millis(400));
        left
    }

    #[test]
    fn a_section_that_ends_a_round_is_not_sent_again_at_once() {
        // 198 to 202 ms: 4 ms. The next comes at its own time, and no counter is left out.
        let near = file(&[(2, sdt(0, 0..1)), (90, sdt(0, 1..2)), (198, sdt(0, 2..3))]);
        let expected = [
            (2, 0),
            (90, 1),
            (198, 2),
            (290, 3),
            (398, 4),
            (490, 5),
            (598, 6),
        ];
        assert_eq!(played(&near), expected);
        // 27 ms apart, and one of another number.
        let far = file(&[(15, sdt(0, 0..1)), (187, sdt(0, 1..2)), (195, sdt(1, 2..3))]);
        assert_eq!(played(&far).len(), 9);
        let other = file(&[(2, sdt(0, 0..1)), (198, sdt(1, 1..2))]);
        assert_eq!(played(&other).len(), 6);
    }

    #[test]
    fn a_section_of_several_packets_is_left_out_as_a_whole() {
        let long = file(&[(2, sdt(0, 0..3)), (101, sdt(0, 3..6)), (181, sdt(0, 6..9))]);
        let at: Vec<usize> = played(&long).iter().map(|(at, _)| *at).collect();
        let round = [101, 102, 103, 181, 182, 183];
        let all = (0..3).flat_map(|n| round.map(|at| n * 200 + at));
        let expected: Vec<usize> = [2, 3, 4].into_iter().chain(all).collect();
        assert_eq!(at, expected);
    }

    #[test]
    fn what_a_file_repeats_itself_stays() {
        let quick = file(&[(101, sdt(0, 0..1)), (106, sdt(0, 1..2))]);
        assert_eq!(played(&quick).len(), 6);
    }
}
