//! The sections of one PID, each with the moments of its first and last byte.

use super::kind::{Home, has_crc, has_no_crc};
use crate::monitor::{Moment, Seen};
use crate::stream::SectionAssembler;
use crate::ts::{Pid, Section, SectionError, SectionSyntax, TableId};

/// A section that came whole, its CRC_32 right where it has one.
#[derive(Copy, Clone, Debug)]
pub(super) struct Arrived<'a> {
    pub(super) pid: Pid,
    pub(super) home: Home,
    pub(super) section: Section<'a>,
    pub(super) id: TableId,
    /// What stands after section_length; `None` in a short section.
    pub(super) syntax: Option<SectionSyntax>,
    /// The packet of its first byte.
    pub(super) began: Moment,
    /// The packet of its last byte.
    pub(super) ended: Moment,
}

impl Arrived<'_> {
    /// It applies now; a short section always does.
    pub(super) fn is_current(&self) -> bool {
        self.syntax.is_none_or(|s| s.current)
    }

    /// section_number; 0 of a short section.
    pub(super) fn number(&self) -> u8 {
        self.syntax.map_or(0, |s| s.number)
    }

    /// table_id_extension; 0 of a short section.
    pub(super) fn extension(&self) -> u16 {
        self.syntax.map_or(0, |s| s.extension)
    }
}

/// What comes out of a PID.
#[derive(Debug)]
pub(super) enum Read<'a> {
    /// A section.
    Whole(Arrived<'a>),
    /// One of a table that does not belong on the PID.
    Foreign(TableId),
    /// One whose CRC_32 is wrong; what its table_id says.
    Damaged(TableId, SectionError),
}

/// Reads the sections of one PID.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) pid: Pid,
    pub(super) home: Home,
    assembler: SectionAssembler,
    /// Where the section began that the assembler is collecting.
    began: Option<Moment>,
}

impl Reader {
    pub(super) const fn new(pid: Pid, home: Home) -> Self {
        Self {
            pid,
            home,
            assembler: SectionAssembler::new(pid),
            began: None,
        }
    }

    /// Forgets what has begun: packets are missing, and nobody knows how many.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.pid, self.home);
    }

    /// Takes a packet of the PID. A section that does not come whole, for packets are missing or
    /// scrambled, is no finding of ours: what is wrong there has a check of its own.
    pub(super) fn push(&mut self, seen: &Seen<'_>, mut out: impl FnMut(Read<'_>)) {
        if seen.repeated {
            return;
        }
        let (pid, home, at) = (self.pid, self.home, seen.at);
        let began = &mut self.began;
        // After wrong bytes, section_length may be what is wrong: what is read next in the packet
        // may be no section at all.
        let mut doubted = false;
        self.assembler.push(seen.packet, |bytes| {
            let began = began.take().unwrap_or(at);
            let Ok(bytes) = bytes else {
                return;
            };
            // Private sections beside a PMT are no business of 2.2.
            let judged = |id| home != Home::Pmt || id == TableId(0x02);
            let section = match (Section::unchecked_crc(bytes), bytes.first()) {
                (Ok(section), _) => section,
                (Err(error), Some(id)) => {
                    // Too short for its own header: damage that CRC_32 cannot show.
                    let id = TableId(*id);
                    if home.admits(id) && judged(id) && !doubted {
                        out(Read::Damaged(id, error));
                    }
                    doubted = true;
                    return;
                }
                (Err(_), None) => return,
            };
            let (id, syntax) = (section.table_id(), section.syntax());
            let admitted = home.admits(id);
            // RST and TDT have no CRC_32 (EN 300 468 §5.2.7, §5.2.5), whatever their
            // section_syntax_indicator says.
            let long = syntax.is_some() && !(admitted && has_no_crc(id));
            let sealed = id != TableId::ST && judged(id) && (has_crc(id) || long);
            if let Some(error) = sealed.then(|| section.check_crc().err()).flatten() {
                if admitted || !doubted {
                    out(Read::Damaged(id, error));
                }
                doubted = true;
            } else if admitted {
                out(Read::Whole(Arrived {
                    pid,
                    home,
                    section,
                    id,
                    syntax,
                    began,
                    ended: at,
                }));
            } else if sealed || !doubted {
                out(Read::Foreign(id));
            }
        });
        if self.assembler.has_begun() {
            self.began.get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::SectionPacketizer;
    use crate::ts::{Packet, SectionBuf};
    use crate::units::{Arrival, Ticks27M};

    fn table(id: u8, extension: u16, size: usize) -> SectionBuf {
        let syntax = SectionSyntax {
            extension,
            version: 0,
            current: true,
            number: 0,
            last_number: 0,
        };
        SectionBuf::long(TableId(id), true, syntax, &vec![0; size]).unwrap()
    }

    fn cut(sections: &[SectionBuf]) -> Vec<Packet> {
        let mut packets = Vec::new();
        SectionPacketizer::new(Pid::EIT).push(sections, |p| packets.push(*p));
        packets
    }

    /// What comes out, as words: table_id, and the packets of the first and the last byte.
    fn read(packets: &[Packet]) -> Vec<String> {
        let mut reader = Reader::new(Pid::EIT, Home::Eit);
        let mut all = Vec::new();
        for (position, packet) in (0..).zip(packets) {
            let seen = Seen {
                packet,
                pid: packet.pid(),
                at: Moment {
                    position,
                    time: Ticks27M::new(position as i64),
                },
                arrival: Arrival::default(),
                broken: false,
                repeated: false,
            };
            reader.push(&seen, |read| {
                all.push(match read {
                    Read::Whole(a) => format!("{} {}-{}", a.id, a.began.position, a.ended.position),
                    Read::Foreign(id) => format!("{id} foreign"),
                    Read::Damaged(id, _) => format!("{id} damaged"),
                });
            });
        }
        all
    }

    #[test]
    fn a_section_is_dated_by_its_first_and_its_last_byte() {
        // 183 bytes follow the first pointer_field and 184 a packet without one; after a start,
        // 183. Sections of 12 more than their bodies: 100, 400, 60.
        let packets = cut(&[table(0x4E, 1, 88), table(0x50, 1, 388), table(0x4F, 1, 48)]);
        // 100 and 83 bytes in packet 0, 184 in 1, 133 and 50 in 2, the last 10 in 3.
        assert_eq!(read(&packets), ["0x4e 0-0", "0x50 0-2", "0x4f 2-3"]);
    }

    #[test]
    fn a_wrong_bit_is_damage_and_a_lost_packet_is_not() {
        let packets = cut(&[table(0x4E, 1, 88), table(0x50, 1, 388), table(0x4F, 1, 48)]);
        let mut flipped = packets.clone();
        flipped[1].as_bytes_mut()[100] ^= 1;
        assert_eq!(read(&flipped), ["0x4e 0-0", "0x50 damaged", "0x4f 2-3"]);
        let mut short = packets.clone();
        short.remove(1);
        assert_eq!(read(&short), ["0x4e 0-0", "0x4f 1-2"]);
    }

    #[test]
    fn what_follows_a_wrong_length_is_not_taken_for_tables() {
        // section_length of the first section says ten bytes less: zeros are read as sections of
        // table 0x00, and the true next section is met again behind the pointer_field.
        let mut packets = cut(&[table(0x4E, 1, 88), table(0x50, 1, 10)]);
        packets[0].as_bytes_mut()[7] -= 10;
        assert_eq!(read(&packets), ["0x4e damaged"]);
    }

    #[test]
    fn a_running_status_table_has_no_crc_that_could_be_wrong() {
        // EN 300 468 §5.2.7: section_syntax_indicator is 0, and behind the statuses comes nothing.
        let mut packets = cut(&[table(0x71, 1, 20)]);
        packets[0].as_bytes_mut()[30] ^= 1;
        let read = |home| {
            let mut all = Vec::new();
            let seen = Seen {
                packet: &packets[0],
                pid: packets[0].pid(),
                at: Moment::default(),
                arrival: Arrival::default(),
                broken: false,
                repeated: false,
            };
            Reader::new(Pid::EIT, home).push(&seen, |read| {
                all.push(matches!(read, Read::Whole(_)));
            });
            all
        };
        assert_eq!(read(Home::Rst), [true]);
        assert_eq!(read(Home::Eit), [false], "damaged, whatever it was");
    }

    #[test]
    fn a_table_of_another_pid_is_foreign_when_its_crc_says_so_too() {
        let mut packets = cut(&[table(0x42, 1, 20)]);
        assert_eq!(read(&packets), ["0x42 foreign"]);
        packets[0].as_bytes_mut()[5] = 0x41;
        assert_eq!(read(&packets), ["0x41 damaged"]);
    }
}
