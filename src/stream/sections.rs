//! Sections out of packets, and packets out of sections (ISO/IEC 13818-1 §2.4.4).

use super::event::{Event, Severity, Subject, Value};
use crate::ts::{ContinuityCounter, Packet, Pid, Section, SectionBuf, TableId};

/// Why a section that had begun, or was to begin, is lost.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SectionLoss {
    /// Packets are missing in its middle.
    Gap,
    /// A packet of it is scrambled.
    Scrambled,
    /// A demodulator marked a packet of it as wrong.
    TransportError,
    /// pointer_field points behind the packet.
    Pointer,
    /// The next section began before its end.
    Truncated,
    /// section_length is over 4093.
    TooLong,
}

impl SectionLoss {
    const fn reason(self) -> &'static str {
        match self {
            Self::Gap => "packets are missing",
            Self::Scrambled => "scrambled",
            Self::TransportError => "transport_error_indicator",
            Self::Pointer => "pointer_field points behind the packet",
            Self::Truncated => "the next section began before its end",
            Self::TooLong => "section_length over 4093",
        }
    }
}

/// A section of a PID was lost. Its name as an event is `section_lost`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SectionLost {
    /// The PID.
    pub pid: Pid,
    /// Why.
    pub loss: SectionLoss,
}

impl Event for SectionLost {
    fn name(&self) -> &'static str {
        "section_lost"
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn subject(&self) -> Subject {
        Subject::Pid(self.pid)
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        field("reason", self.loss.reason().into());
    }
}

/// Puts the sections of one PID together.
///
/// A section that lies within one packet is handed over in place; one that spans packets is
/// collected in a buffer of at most [`Section::MAX_SIZE`] bytes. Sections are handed over as bytes,
/// CRC_32 not looked at: a caller that knows a section by its version needs none.
///
/// ```
/// use headend::stream::{SectionAssembler, SectionPacketizer};
/// use headend::{si::{DvbTime, Tdt}, ts::Pid};
/// let tdt = Tdt { time: DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]) }.to_section().unwrap();
/// let mut assembler = SectionAssembler::new(Pid::TDT);
/// let mut found = Vec::new();
/// SectionPacketizer::new(Pid::TDT).push([&tdt], |packet| {
///     assembler.push(packet, |section| found.push(section.map(<[u8]>::to_vec)));
/// });
/// assert_eq!(found, [Ok(tdt.as_bytes().to_vec())]);
/// ```
#[derive(Clone, Debug)]
pub struct SectionAssembler {
    pid: Pid,
    /// The last packet with a payload: what a repeat is compared with.
    last: Option<Packet>,
    /// The start of a section whose end is not there; empty when there is none.
    begun: Vec<u8>,
}

impl SectionAssembler {
    /// An assembler that waits for the first start of a section.
    pub const fn new(pid: Pid) -> Self {
        Self {
            pid,
            last: None,
            begun: Vec::new(),
        }
    }

    /// The PID.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// True while a section has begun whose end is not there.
    pub const fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Takes a packet of the PID and hands over each section that ends in it, and each loss.
    pub fn push(&mut self, packet: &Packet, mut out: impl FnMut(Result<&[u8], SectionLost>)) {
        if packet.transport_error() {
            // Nothing in it can be trusted, its counter and PID least.
            self.lose(SectionLoss::TransportError, &mut out);
            return;
        }
        if !packet.has_payload() {
            return;
        }
        if let Some(last) = self.last.replace(*packet) {
            let steps = packet
                .continuity_counter()
                .steps_since(last.continuity_counter());
            if steps == 0 && *packet == last {
                return; // a legal repeat
            }
            if steps != 1 {
                self.lose(SectionLoss::Gap, &mut out);
            }
        }
        if packet.scrambling() != crate::ts::Scrambling::Clear {
            self.lose(SectionLoss::Scrambled, &mut out);
            return;
        }
        let payload = packet.payload();
        if !packet.payload_unit_start() {
            self.go_on(payload, &mut out);
            return;
        }
        let Some((tail, starts)) = payload
            .split_first()
            .and_then(|(pointer, rest)| rest.split_at_checked(usize::from(*pointer)))
        else {
            self.begun.clear();
            let pid = self.pid;
            let loss = SectionLoss::Pointer;
            out(Err(SectionLost { pid, loss }));
            return;
        };
        self.go_on(tail, &mut out);
        self.lose(SectionLoss::Truncated, &mut out);
        self.start(starts, &mut out);
    }

    /// Forgets a section that has begun, and tells.
    fn lose(&mut self, loss: SectionLoss, out: &mut impl FnMut(Result<&[u8], SectionLost>)) {
        if !self.begun.is_empty() {
            self.begun.clear();
            out(Err(SectionLost {
                pid: self.pid,
                loss,
            }));
        }
    }

    /// Adds `bytes` to the section that has begun, if one has.
    fn go_on(&mut self, bytes: &[u8], out: &mut impl FnMut(Result<&[u8], SectionLost>)) {
        let mut bytes = bytes;
        while !self.begun.is_empty() && !bytes.is_empty() {
            // Until its length is there, a section wants three bytes.
            let size = Section::size_of(&self.begun);
            if size.is_some_and(|size| size > Section::MAX_SIZE) {
                self.lose(SectionLoss::TooLong, out);
                return;
            }
            let wanted = size.unwrap_or(3).saturating_sub(self.begun.len());
            let (head, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.begun.extend_from_slice(head);
            bytes = rest;
            if Section::size_of(&self.begun) == Some(self.begun.len()) {
                out(Ok(&self.begun));
                self.begun.clear();
            }
        }
    }

    /// Takes the sections that start in `bytes`, the last of which may end elsewhere.
    fn start(&mut self, bytes: &[u8], out: &mut impl FnMut(Result<&[u8], SectionLost>)) {
        let mut bytes = bytes;
        while let Some(first) = bytes.first() {
            if TableId(*first) == TableId::STUFFING {
                return;
            }
            let whole = Section::size_of(bytes).and_then(|size| bytes.split_at_checked(size));
            match whole {
                Some((section, rest)) => {
                    out(Ok(section));
                    bytes = rest;
                }
                None => {
                    self.begun.extend_from_slice(bytes);
                    if Section::size_of(bytes).is_some_and(|size| size > Section::MAX_SIZE) {
                        self.lose(SectionLoss::TooLong, out);
                    }
                    return;
                }
            }
        }
    }
}

/// Cuts sections into packets of one PID, continuity counter included.
///
/// Sections that are pushed together follow each other without a gap; the last packet of a push
/// is filled up with 0xFF (§2.4.4.1).
#[derive(Clone, Debug)]
pub struct SectionPacketizer {
    pid: Pid,
    counter: ContinuityCounter,
}

impl SectionPacketizer {
    /// A packetizer whose first packet has the counter 0.
    pub fn new(pid: Pid) -> Self {
        Self::after(pid, ContinuityCounter::default())
    }

    /// A packetizer whose first packet follows a packet of counter `last`.
    pub const fn after(pid: Pid, last: ContinuityCounter) -> Self {
        Self { pid, counter: last }
    }

    /// The PID.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// The counter of the last packet.
    pub const fn last(&self) -> ContinuityCounter {
        self.counter
    }

    /// Cuts `sections` and hands over each packet.
    pub fn push<'s>(
        &mut self,
        sections: impl IntoIterator<Item = &'s SectionBuf>,
        mut out: impl FnMut(&Packet),
    ) {
        let mut sections = sections.into_iter().map(SectionBuf::as_bytes).peekable();
        let mut rest: &[u8] = &[];
        while !rest.is_empty() || sections.peek().is_some() {
            self.counter = self.counter.next();
            let mut packet = Packet::new(self.pid, self.counter);
            let payload = packet.payload_mut();
            // A start needs room for pointer_field, the tail before it, and one byte.
            let starts = sections.peek().is_some() && rest.len() + 2 <= payload.len();
            let mut room = match payload {
                [pointer, room @ ..] if starts => {
                    *pointer = rest.len() as u8;
                    room
                }
                room => room,
            };
            loop {
                let n = rest.len().min(room.len());
                let (head, tail) = rest.split_at(n);
                let (filled, left) = room.split_at_mut(n);
                filled.copy_from_slice(head);
                (rest, room) = (tail, left);
                if !starts || room.is_empty() {
                    break;
                }
                match sections.next() {
                    Some(next) => rest = next,
                    None => break,
                }
            }
            packet.set_payload_unit_start(starts);
            out(&packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::SectionSyntax;
    use proptest::prelude::*;

    fn section(n: usize, fill: u8) -> SectionBuf {
        let syntax = SectionSyntax {
            extension: n as u16,
            version: 1,
            current: true,
            number: 0,
            last_number: 0,
        };
        SectionBuf::long(TableId(0x50), true, syntax, &vec![fill; n]).unwrap()
    }

    fn packets(sections: &[SectionBuf]) -> Vec<Packet> {
        let mut packets = Vec::new();
        SectionPacketizer::new(Pid::EIT).push(sections, |p| packets.push(*p));
        packets
    }

    type Seen = Vec<Result<Vec<u8>, SectionLoss>>;

    fn assemble(packets: &[Packet]) -> Seen {
        let mut assembler = SectionAssembler::new(Pid::EIT);
        let mut seen = Vec::new();
        for packet in packets {
            assembler.push(packet, |s| {
                seen.push(s.map(<[u8]>::to_vec).map_err(|lost| lost.loss));
            });
        }
        seen
    }

    fn whole(sections: &[SectionBuf]) -> Seen {
        sections.iter().map(|s| Ok(s.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_packet_of_three_sections_yields_three() {
        let sections = [section(10, 1), section(0, 2), section(30, 3)];
        let packets = packets(&sections);
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].as_bytes()[4], 0, "pointer_field");
        assert_eq!(assemble(&packets), whole(&sections));
    }

    #[test]
    fn a_tail_that_leaves_one_byte_leaves_it_to_stuffing() {
        // 183 bytes are left for the second packet: pointer_field and they fill it, and the next
        // section cannot start in it.
        let first = 183 + 183;
        let sections = [section(first - 12, 7), section(5, 8)];
        let packets = packets(&sections);
        let starts: Vec<_> = packets.iter().map(Packet::payload_unit_start).collect();
        assert_eq!(starts, [true, false, true]);
        assert_eq!(packets[1].as_bytes()[187], 0xFF);
        assert_eq!(assemble(&packets), whole(&sections));
    }

    #[test]
    fn a_header_split_over_packets_is_put_together() {
        for left in 1..=3 {
            // The first section leaves room for 1, 2 or 3 bytes of the next.
            let sections = [section(183 - left - 12, 1), section(300, 2)];
            assert_eq!(
                assemble(&packets(&sections)),
                whole(&sections),
                "{left} bytes"
            );
        }
    }

    #[test]
    fn a_missing_packet_loses_one_section_and_says_so() {
        let sections = [section(500, 1), section(500, 2), section(500, 3)];
        let all = packets(&sections);
        for missing in 0..all.len() {
            let mut some = all.clone();
            some.remove(missing);
            let seen = assemble(&some);
            let got = seen.iter().filter(|s| s.is_ok()).count();
            assert!(got >= 1, "packet {missing}: {seen:?}");
            for section in seen.iter().flatten() {
                assert!(Section::new(section).is_ok(), "packet {missing}");
            }
        }
        let mut some = all.clone();
        some.remove(1);
        assert_eq!(assemble(&some)[0], Err(SectionLoss::Gap));
    }

    #[test]
    fn a_repeated_packet_is_taken_once_and_a_changed_one_is_a_gap() {
        let sections = [section(500, 1)];
        let all = packets(&sections);
        let twice: Vec<_> = all.iter().flat_map(|p| [*p, *p]).collect();
        assert_eq!(assemble(&twice), whole(&sections));
        let mut changed = all.clone();
        changed[2].set_continuity_counter(all[1].continuity_counter());
        assert_eq!(assemble(&changed), [Err(SectionLoss::Gap)]);
    }

    #[test]
    fn packets_without_payload_do_not_disturb() {
        let sections = [section(500, 1)];
        let all = packets(&sections);
        let mut empty = all[0];
        empty.set_adaptation_field_control(true, false);
        let mixed: Vec<_> = all.iter().flat_map(|p| [empty, *p]).collect();
        assert_eq!(assemble(&mixed), whole(&sections));
    }

    #[test]
    fn what_cannot_be_read_is_lost_with_its_reason() {
        let sections = [section(500, 1)];
        let all = packets(&sections);
        let mut scrambled = all.clone();
        scrambled[1].as_bytes_mut()[3] |= 0x80;
        assert_eq!(assemble(&scrambled), [Err(SectionLoss::Scrambled)]);
        let mut marked = all.clone();
        marked[1].as_bytes_mut()[1] |= 0x80;
        assert_eq!(assemble(&marked), [Err(SectionLoss::TransportError)]);
        let mut pointer = all.clone();
        pointer[0].as_bytes_mut()[4] = 184;
        assert_eq!(assemble(&pointer), [Err(SectionLoss::Pointer)]);
        let mut long = all.clone();
        long[0].as_bytes_mut()[6] = 0xBF;
        long[0].as_bytes_mut()[7] = 0xFE;
        assert_eq!(assemble(&long), [Err(SectionLoss::TooLong)]);
        let mut restart = all.clone();
        restart[1].set_payload_unit_start(true);
        restart[1].as_bytes_mut()[4] = 0; // pointer_field: a section starts at once
        assert_eq!(assemble(&restart)[0], Err(SectionLoss::Truncated));
    }

    proptest! {
        #[test]
        fn any_cutting_of_sections_gives_them_back(
            sizes in prop::collection::vec((0usize..=4084, 1usize..4), 1..12),
        ) {
            // Sections pushed together in groups, so that starts fall everywhere.
            let sections: Vec<_> = sizes.iter().map(|(n, _)| section(*n, *n as u8)).collect();
            let mut packetizer = SectionPacketizer::new(Pid::EIT);
            let mut all = Vec::new();
            let mut left = &sections[..];
            for (_, group) in &sizes {
                let (now, later) = left.split_at((*group).min(left.len()));
                packetizer.push(now, |p| all.push(*p));
                left = later;
            }
            prop_assert_eq!(assemble(&all), whole(&sections));
        }

        #[test]
        fn any_bytes_are_survived_and_what_comes_out_has_its_length(
            bytes in prop::collection::vec(any::<[u8; 188]>().no_shrink(), 1..20),
        ) {
            let packets: Vec<_> = bytes.into_iter().map(Packet::from_bytes).collect();
            for section in assemble(&packets).iter().flatten() {
                prop_assert_eq!(Section::size_of(section), Some(section.len()));
                prop_assert!(section.len() <= Section::MAX_SIZE);
            }
        }
    }
}
