//! Continuity counters: which packets of a PID are missing or twice there.
//!
//! ISO/IEC 13818-1 §2.4.3.3: the counter steps with every packet of a PID that has a payload and
//! stands still with those that have none; one packet may come twice, the same to the byte but for
//! its PCR; a set discontinuity_indicator (§2.4.3.5) allows any counter. Null packets and packets
//! marked with transport_error_indicator, whose fields cannot be trusted, are not looked at.

use super::Counters;
use super::event::{Event, Severity, Subject, Value};
use crate::ts::{ContinuityCounter, Packet, Pid};

/// What is wrong with a counter.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ContinuityError {
    /// The PID.
    pub pid: Pid,
    /// The counter that was due.
    pub expected: ContinuityCounter,
    /// The counter that came.
    pub found: ContinuityCounter,
}

impl ContinuityError {
    /// The fewest packets that were lost, 0 to 14; 0 where a packet came too often.
    pub fn lost_packets(&self) -> u8 {
        match self.found.steps_since(self.expected) {
            15 => 0,
            steps => steps,
        }
    }
}

impl Event for ContinuityError {
    fn name(&self) -> &'static str {
        "continuity_count_error"
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn subject(&self) -> Subject {
        Subject::Pid(self.pid)
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        field("expected", u64::from(self.expected.get()).into());
        field("found", u64::from(self.found.get()).into());
        field("lost_packets", u64::from(self.lost_packets()).into());
    }
}

/// How a packet follows the one before it of its PID.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the one due, the first one, or not looked at.
    Due,
    /// It repeats the one before, as it may once.
    Repeat,
    /// It is another than the one due, and discontinuity_indicator announced that.
    Announced,
    /// It is another than the one due.
    Error(ContinuityError),
}

/// The last packet with a payload of one PID, or the first of one that has had none.
#[derive(Clone, Debug)]
struct Last {
    packet: Packet,
    /// It has no payload: the first one with a payload may have any counter.
    bare: bool,
    /// It already came twice.
    twice: bool,
}

/// Follows the counters of all PIDs.
///
/// ```
/// use headend::stream::continuity::Continuity;
/// use headend::ts::{ContinuityCounter, Packet, Pid};
/// let mut continuity = Continuity::new();
/// let packet = |n| Packet::new(Pid::PAT, ContinuityCounter::wrapping(n));
/// assert!([15, 0, 1].iter().all(|n| continuity.push(&packet(*n)).is_none()));
/// assert_eq!(continuity.push(&packet(4)).map(|e| e.lost_packets()), Some(2));
/// ```
#[derive(Debug)]
pub struct Continuity {
    /// For each PID the place of its state plus one, 0 before its first packet.
    places: Box<[u16; Pid::COUNT]>,
    states: Vec<Last>,
    errors: u64,
    duplicates: u64,
}

impl Default for Continuity {
    fn default() -> Self {
        Self::new()
    }
}

impl Continuity {
    /// Before the first packet. At most 1.6 MB, for a stream of all 8191 PIDs: whether a packet
    /// comes twice is told by its bytes, so one is copied, 188 bytes.
    pub fn new() -> Self {
        Self {
            places: Box::new([0; Pid::COUNT]),
            states: Vec::new(),
            errors: 0,
            duplicates: 0,
        }
    }

    /// Takes the next packet of the stream; says what is wrong with its counter.
    #[inline]
    pub fn push(&mut self, packet: &Packet) -> Option<ContinuityError> {
        match self.step(packet) {
            Step::Error(error) => Some(error),
            Step::Due | Step::Repeat | Step::Announced => None,
        }
    }

    /// Takes the next packet of the stream; says how it follows.
    #[inline]
    pub fn step(&mut self, packet: &Packet) -> Step {
        let pid = packet.pid();
        if pid == Pid::NULL || packet.transport_error() {
            return Step::Due;
        }
        let place = self.places[pid.index()];
        let Some(last) = self.states.get_mut(usize::from(place).wrapping_sub(1)) else {
            self.states.push(Last {
                packet: *packet,
                bare: !packet.has_payload(),
                twice: false,
            });
            self.places[pid.index()] = self.states.len() as u16;
            return Step::Due;
        };
        let (before, found) = (
            last.packet.continuity_counter(),
            packet.continuity_counter(),
        );
        if packet.has_payload() && found == before.next() {
            *last = Last {
                packet: *packet,
                bare: false,
                twice: false,
            };
            return Step::Due;
        }
        self.unusual(usize::from(place) - 1, packet)
    }

    /// Everything but the next packet in order.
    #[cold]
    fn unusual(&mut self, place: usize, packet: &Packet) -> Step {
        let Some(last) = self.states.get_mut(place) else {
            return Step::Due;
        };
        let (before, found) = (
            last.packet.continuity_counter(),
            packet.continuity_counter(),
        );
        let error = |expected| {
            Step::Error(ContinuityError {
                pid: packet.pid(),
                expected,
                found,
            })
        };
        let verdict = if last.bare && packet.has_payload() {
            Step::Due
        } else if packet.discontinuity() {
            match packet.has_payload() {
                false if found == before => Step::Due,
                _ => Step::Announced,
            }
        } else if !packet.has_payload() {
            match found == before {
                true => Step::Due,
                false => error(before),
            }
        } else if found == before && !last.twice && same_but_for_pcr(&last.packet, packet) {
            last.twice = true;
            self.duplicates += 1;
            return Step::Repeat;
        } else {
            error(before.next())
        };
        if packet.has_payload() {
            *last = Last {
                packet: *packet,
                bare: false,
                twice: false,
            };
        } else {
            // What follows is judged by the counter that came.
            last.packet.set_continuity_counter(found);
        }
        self.errors += u64::from(matches!(verdict, Step::Error(_)));
        verdict
    }

    /// Forgets every PID: after a gap that is known, nothing is due.
    pub fn reset(&mut self) {
        self.places.fill(0);
        self.states.clear();
    }

    /// How many errors there were.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("continuity_count_errors_total", self.errors);
        out.set("duplicate_packets", self.duplicates);
    }
}

/// §2.4.3.3: each byte of a duplicate is that of the original, PCR fields excepted.
fn same_but_for_pcr(a: &Packet, b: &Packet) -> bool {
    match (a.pcr(), b.pcr()) {
        (Some(pcr), Some(_)) => {
            let mut b = *b;
            b.set_pcr(pcr);
            *a == b
        }
        (None, None) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::Pcr;

    const PID: Pid = Pid::from_field(0x111);

    fn packet(counter: u8, fill: u8) -> Packet {
        let mut packet = Packet::new(PID, ContinuityCounter::wrapping(counter));
        packet.fill_payload(&[fill; 150]);
        packet
    }

    fn bare(counter: u8) -> Packet {
        let pcr = Pcr::from_ticks(0).unwrap();
        Packet::pcr_only(PID, ContinuityCounter::wrapping(counter), pcr)
    }

    fn errors(packets: &[Packet]) -> Vec<(u8, u8, u8)> {
        let mut continuity = Continuity::new();
        packets
            .iter()
            .filter_map(|p| continuity.push(p))
            .map(|e| (e.expected.get(), e.found.get(), e.lost_packets()))
            .collect()
    }

    #[test]
    fn a_step_is_due_a_repeat_or_announced() {
        let announced = {
            let mut p = bare(9);
            p.as_bytes_mut()[5] |= 0x80;
            p
        };
        let mut continuity = Continuity::new();
        let steps = [
            packet(1, 1),
            packet(1, 1),
            bare(1),
            announced,
            packet(10, 2),
        ]
        .each_ref()
        .map(|p| continuity.step(p));
        use Step::{Announced, Due, Repeat};
        assert_eq!(steps, [Due, Repeat, Due, Announced, Due]);
    }

    #[test]
    fn what_the_clause_allows_is_no_error() {
        let flagged = {
            let mut p = bare(9);
            p.as_bytes_mut()[5] |= 0x80;
            p
        };
        let broken = {
            let mut p = packet(3, 9);
            p.as_bytes_mut()[1] |= 0x80;
            p
        };
        for (what, packets) in [
            (
                "steps and the wrap of 16",
                (0..40).map(|n| packet(n, n)).collect::<Vec<_>>(),
            ),
            (
                "a duplicate",
                vec![packet(1, 1), packet(1, 1), packet(2, 2)],
            ),
            (
                "no step without payload",
                vec![packet(1, 1), bare(1), bare(1), packet(2, 2)],
            ),
            ("a flagged jump", vec![packet(1, 1), flagged, packet(10, 2)]),
            (
                "null packets",
                vec![Packet::NULL, packet(1, 1), Packet::NULL, packet(2, 2)],
            ),
            (
                "a packet with errors",
                vec![packet(1, 1), broken, packet(2, 2)],
            ),
            ("no payload at all", vec![bare(5); 20]),
            ("any start", vec![bare(5), packet(7, 7), packet(8, 8)]),
        ] {
            assert_eq!(errors(&packets), [], "{what}");
        }
    }

    #[test]
    fn what_it_forbids_is_one_each() {
        for (what, packets, expected) in [
            (
                "a loss",
                vec![packet(1, 1), packet(4, 4), packet(5, 5)],
                (2, 4, 2),
            ),
            (
                "a third copy",
                vec![packet(1, 1), packet(1, 1), packet(1, 1)],
                (2, 1, 0),
            ),
            (
                "the same counter, other bytes",
                vec![packet(1, 1), packet(1, 2)],
                (2, 1, 0),
            ),
            (
                "a step without payload",
                vec![packet(1, 1), bare(2), packet(3, 3)],
                (1, 2, 1),
            ),
            (
                "a step where no packet has a payload",
                vec![bare(5), bare(5), bare(6), bare(6)],
                (5, 6, 1),
            ),
            (
                "backward",
                vec![packet(5, 5), packet(3, 3), packet(4, 4)],
                (6, 3, 13),
            ),
        ] {
            assert_eq!(errors(&packets), [expected], "{what}");
        }
    }

    #[test]
    fn a_duplicate_may_have_a_pcr_of_its_own() {
        let with_pcr = |ticks| {
            let mut p = bare(1);
            p.fill_payload(&[1, 2, 3]);
            p.set_pcr(Pcr::from_ticks(ticks).unwrap());
            p
        };
        assert_eq!(errors(&[with_pcr(1), with_pcr(2), packet(2, 2)]), []);
    }
}
