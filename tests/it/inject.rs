//! Defects, put into a healthy stream: what was done and where is known afterwards.
//!
//! What a sender does wrong comes first (tables and streams that it leaves out, clocks, flags): the
//! continuity counters are right behind it. Then comes what a line does to packets (loss, repeats,
//! bits, junk). The same seed puts the same defects at the same places of the same stream. No
//! packet is struck twice.
//!
//! ```text
//! let strikes = [Strike::new(Defect::Drop, AUDIO).times(3)];
//! let damaged = inject(&packets, 7, &strikes);
//! assert_eq!(damaged.deeds.len(), 3);
//! ```

mod line;
mod sender;

use std::ops::Range;

use headend::ts::{PACKET_SIZE, Packet, Pid, TableId};

use crate::harness::Random;

/// What is wrong. Unless it says otherwise, a defect befalls one packet of the strike's PID.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Defect {
    // A sender:
    /// Shifts the value of a PCR by so many ticks of 27 MHz.
    ShiftPcr { ticks: i64 },
    /// Shifts each of so many PCRs in a row by up to so many ticks, early or late.
    JitterPcrs { ticks: i64, pcrs: usize },
    /// Sends so many PCRs in a row not at all; their packets are there.
    OmitPcrs { pcrs: usize },
    /// Replaces the clock: PCRs of the PID, and PTS and DTS of all PIDs, are so many ticks of
    /// 27 MHz further from here on. `announced`: discontinuity_indicator says so.
    Jump { ticks: i64, announced: bool },
    /// Sends so many PES packets in a row without their stamps.
    OmitStamps { pes: usize },
    /// Shifts the PTS (not the DTS) of a PES packet by so many ticks of 90 kHz.
    ShiftPts { ticks: i64 },
    /// Leaves out a section of a table so many times in a row; of those with that number if there
    /// is one. The first and the last that are within reach stay.
    OmitTable { table: Table, sections: usize },
    /// Leaves out of so many sections of a table in a row all but each `keep`th.
    StretchTable {
        table: Table,
        sections: usize,
        keep: usize,
    },
    /// Sends a section of a table again, in the first null packet so many packets behind it.
    RepeatTable { table: Table, behind: usize },
    /// Gives a section another table_id, and the right CRC_32.
    Rename { table: Table, to: TableId },
    /// Flips a bit of CRC_32 of a section.
    BreakCrc { table: Table },
    /// Sets transport_scrambling_control of so many packets in a row; the payload is as it was.
    Scramble { packets: usize },
    /// Sends so many packets of the PID in a row not at all. Its first and last stay.
    OmitPid { packets: usize },
    /// Makes a null packet one of that PID.
    Unreferenced { pid: Pid },
    /// Sends so many packets of a PID one behind the other, the later ones too early.
    Bunch { packets: usize },
    /// Sends packets of the PID without payload where null packets are, one behind a packet of it
    /// and then so many more: one of `every` packets is of the PID, its own ones counted.
    Fill { packets: usize, every: usize },

    // A line:
    /// Loses so many packets in a row.
    Drop { packets: usize },
    /// Repeats a packet so many times.
    Duplicate { copies: usize },
    /// Swaps a packet with the next of its PID.
    Reorder,
    /// Flips so many bits of a packet behind its sync byte.
    FlipBits { bits: usize },
    /// Sets transport_error_indicator.
    TransportError,
    /// Spoils the sync bytes of so many packets in a row.
    BreakSync { packets: usize },
    /// Puts so many bytes in front of a packet, none of which is a sync byte.
    Junk { bytes: usize },
}

/// A table, by its table_id, and of its sections one, or all.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Table {
    pub id: u8,
    pub section: Option<u8>,
}

impl Table {
    /// All sections.
    pub const fn all(id: u8) -> Self {
        Self { id, section: None }
    }

    /// One of them.
    pub const fn one(id: u8, section: u8) -> Self {
        Self {
            id,
            section: Some(section),
        }
    }
}

/// A defect that strikes some packets.
#[derive(Clone, Debug)]
pub struct Strike {
    defect: Defect,
    /// `None`: any PID.
    pid: Option<Pid>,
    times: usize,
    within: Range<usize>,
}

impl Strike {
    /// Strikes one packet of a PID anywhere.
    pub const fn new(defect: Defect, pid: Pid) -> Self {
        Self {
            defect,
            pid: Some(pid),
            times: 1,
            within: 0..usize::MAX,
        }
    }

    /// Strikes one packet anywhere.
    pub const fn anywhere(defect: Defect) -> Self {
        Self {
            defect,
            pid: None,
            times: 1,
            within: 0..usize::MAX,
        }
    }

    /// So often.
    pub const fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Only packets of these places of the healthy stream.
    pub fn within(self, within: Range<usize>) -> Self {
        Self { within, ..self }
    }

    fn hits(&self, packet: &Packet) -> bool {
        self.pid.is_none_or(|pid| pid == packet.pid())
    }
}

/// What was done.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Deed {
    pub defect: Defect,
    /// Of the first packet that was struck.
    pub pid: Pid,
    /// Its place in the healthy stream.
    pub healthy: usize,
    /// Packets before it in the damaged one; before the next that is left, where it is not.
    pub place: usize,
    /// Bytes before it in the damaged one, junk included.
    pub offset: usize,
}

/// A stream that is no longer healthy.
pub struct Damaged {
    /// It, as it comes.
    pub bytes: Vec<u8>,
    /// What was done, by place. A strike that found no place has no deed.
    pub deeds: Vec<Deed>,
}

/// A packet of the healthy stream, and what has become of it.
struct Slot {
    junk: Vec<u8>,
    /// None where it is lost, two and more where it is repeated.
    packets: Vec<Packet>,
    /// A strike has been here.
    struck: bool,
}

/// The stream while it is being damaged.
struct Stream {
    slots: Vec<Slot>,
    random: Random,
}

impl Stream {
    /// The packet of a slot that no line has touched yet.
    fn packet(&self, place: usize) -> &Packet {
        &self.slots[place].packets[0]
    }

    fn packet_mut(&mut self, place: usize) -> &mut Packet {
        &mut self.slots[place].packets[0]
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    /// The places within reach of a strike of packets that `wanted` takes and nothing has struck.
    fn places(&self, strike: &Strike, wanted: impl Fn(&Packet) -> bool) -> Vec<usize> {
        let end = strike.within.end.min(self.len());
        let all = strike.within.start.min(end)..end;
        all.filter(|place| {
            let slot = &self.slots[*place];
            let packet = slot.packets.first();
            !slot.struck && packet.is_some_and(|p| strike.hits(p) && wanted(p))
        })
        .collect()
    }

    /// Of `places`, so many neighbours that begin anywhere; none when there are fewer.
    fn row(&mut self, places: &[usize], count: usize) -> Vec<usize> {
        if count == 0 || places.len() < count {
            return Vec::new();
        }
        let first = self.random.below(places.len() - count + 1);
        places[first..first + count].to_vec()
    }
}

/// Puts the defects into the stream, at places that the seed chooses.
pub fn inject(healthy: &[Packet], seed: u64, strikes: &[Strike]) -> Damaged {
    let slots = healthy.iter().map(|packet| Slot {
        junk: Vec::new(),
        packets: vec![*packet],
        struck: false,
    });
    let mut stream = Stream {
        slots: slots.collect(),
        random: Random::new(seed),
    };
    let mut done = Vec::new();
    for turn in [sender::strike, line::strike] {
        for strike in strikes {
            for _ in 0..strike.times {
                let places = turn(&mut stream, strike);
                if let Some(first) = places.iter().min() {
                    done.push((strike.defect, *first));
                }
                for place in places {
                    stream.slots[place].struck = true;
                }
            }
        }
    }
    finish(healthy, &stream, done)
}

/// Writes the stream, and where the deeds are in it.
fn finish(healthy: &[Packet], stream: &Stream, mut done: Vec<(Defect, usize)>) -> Damaged {
    done.sort_by_key(|(_, place)| *place);
    let mut done = done.into_iter().peekable();
    let (mut bytes, mut deeds, mut packets) = (Vec::new(), Vec::new(), 0);
    for (healthy_place, slot) in stream.slots.iter().enumerate() {
        while let Some((defect, _)) = done.next_if(|(_, place)| *place == healthy_place) {
            deeds.push(Deed {
                defect,
                pid: healthy[healthy_place].pid(),
                healthy: healthy_place,
                place: packets,
                offset: bytes.len(),
            });
        }
        bytes.extend(&slot.junk);
        bytes.extend(Packet::bytes_of(&slot.packets));
        packets += slot.packets.len();
    }
    debug_assert!(bytes.len() >= packets * PACKET_SIZE);
    Damaged { bytes, deeds }
}

#[test]
fn what_was_done_is_where_the_deed_says() {
    use crate::healthy::{Healthy, MEGABIT};
    let stray = Pid::from_field(0x321);
    let strikes = [
        Strike::anywhere(Defect::Drop { packets: 3 }),
        Strike::anywhere(Defect::Junk { bytes: 77 }),
        Strike::anywhere(Defect::Duplicate { copies: 2 }),
        Strike::anywhere(Defect::TransportError),
        Strike::anywhere(Defect::BreakSync { packets: 1 }),
        Strike::new(Defect::Unreferenced { pid: stray }, Pid::NULL),
    ];
    let strikes = strikes.map(|strike| strike.times(9));
    let healthy = Healthy::seconds(MEGABIT, 3);
    let Damaged { bytes, deeds } = inject(&healthy, 5, &strikes);
    assert_eq!(deeds.len(), 6 * 9);
    let mut junk = 0;
    for deed in deeds {
        assert_eq!(deed.offset, deed.place * PACKET_SIZE + junk);
        let at = &bytes[deed.offset..];
        let original = healthy[deed.healthy].as_bytes();
        let packet = |n: usize| &at[n * PACKET_SIZE..(n + 1) * PACKET_SIZE];
        assert!(match deed.defect {
            Defect::Drop { packets } => packet(0) == healthy[deed.healthy + packets].as_bytes(),
            Defect::Junk { bytes } => {
                junk += bytes;
                !at[..bytes].contains(&0x47) && &at[bytes..bytes + PACKET_SIZE] == original
            }
            Defect::Duplicate { .. } => (0..3).all(|n| packet(n) == original),
            Defect::TransportError =>
                at[1] == original[1] | 0x80 && packet(0)[2..] == original[2..],
            Defect::BreakSync { .. } => at[0] != 0x47 && packet(0)[1..] == original[1..],
            _ => at[1..3] == [0x03, 0x21] && deed.pid == Pid::NULL,
        });
    }
    assert_eq!(junk, 9 * 77);
}
