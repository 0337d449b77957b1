//! Service information that goes with an input: what is on now and next (EIT present/following of
//! the service), and the time (TDT, TOT).
//!
//! Sections are passed whole, in packets of the output's own, as those of one service for ever:
//! with the ids of the layout, and with a version of the output that steps when what they say
//! changes, and not when it does not, be it from one input to another.

use std::collections::VecDeque;

use super::layout::Layout;
use super::tables::Naming;
use crate::si::{Eit, EitKind, ServiceId, Tdt, Tot};
use crate::stream::{SectionAssembler, SectionPacketizer};
use crate::ts::{Packet, Pid, Section, SectionBuf, SectionSyntax};
use crate::units::{StreamTime, Ticks27M};

/// Sections of an input that are kept at most, until they leave.
const MOST_KEPT: usize = 64;
/// From the last byte of a section to the first of the next of its table. EN 300 468 §5.1.4.1 wants
/// 25 ms; at a constant rate the one may wait for its slot longer than the other, and nobody needs
/// these more often.
const APART: Ticks27M = Ticks27M::from_millis(400);
/// From packet to packet of a PID, so that no section leaves in a burst.
const STEP: Ticks27M = Ticks27M::from_millis(1);
/// Packets that wait at most: what comes faster than it may leave is given up.
const MOST_WAITING: usize = 64;

/// A section of an input, and where it stands on its line.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) section: SectionBuf,
    pub(super) at: StreamTime,
    pub(super) session: u32,
}

/// Finds them in an input.
#[derive(Debug)]
pub(super) struct InformationReader {
    eit: SectionAssembler,
    tdt: SectionAssembler,
    pub(super) found: VecDeque<Passed>,
}

impl InformationReader {
    pub(super) const fn new() -> Self {
        Self {
            eit: SectionAssembler::new(Pid::EIT),
            tdt: SectionAssembler::new(Pid::TDT),
            found: VecDeque::new(),
        }
    }

    /// What was begun does not go on.
    pub(super) fn interrupt(&mut self) {
        self.eit = SectionAssembler::new(Pid::EIT);
        self.tdt = SectionAssembler::new(Pid::TDT);
    }

    /// Takes a packet of the input that stands at `at`.
    pub(super) fn push(
        &mut self,
        packet: &Packet,
        at: StreamTime,
        session: u32,
        service: ServiceId,
    ) {
        let assembler = match packet.pid() {
            Pid::EIT => &mut self.eit,
            Pid::TDT => &mut self.tdt,
            _ => return,
        };
        let found = &mut self.found;
        assembler.push(packet, |section| {
            let section = section.ok().and_then(|bytes| Section::new(bytes).ok());
            let Some(section) = section.filter(|section| is_passed(*section, service)) else {
                return;
            };
            if found.len() == MOST_KEPT {
                found.pop_front();
            }
            found.push_back(Passed {
                section: SectionBuf::from(section),
                at,
                session,
            });
        });
    }
}

fn is_passed(section: Section<'_>, service: ServiceId) -> bool {
    if let Some(eit) = Eit::new(section) {
        let now = eit.syntax().current;
        return eit.kind() == EitKind::PRESENT_FOLLOWING && eit.service() == service && now;
    }
    matches!(section.table_id(), Tdt::TABLE_ID | Tot::TABLE_ID)
}

/// Sends them in the output.
#[derive(Debug)]
pub(super) struct InformationWriter {
    eit_out: SectionPacketizer,
    tdt_out: SectionPacketizer,
    waiting: VecDeque<(StreamTime, Packet)>,
    /// When the last section of EIT, TDT and TOT ended.
    ended: [Option<StreamTime>; 3],
    version: u8,
    /// What present and following said last, the version apart.
    said: [Vec<u8>; 2],
    /// The leg and its version for which the version was stepped last.
    stepped: Option<(u64, u8)>,
    /// Sections that came faster than they may leave.
    pub(super) dropped: u64,
}

impl InformationWriter {
    pub(super) fn new() -> Self {
        Self {
            eit_out: SectionPacketizer::new(Pid::EIT),
            tdt_out: SectionPacketizer::new(Pid::TDT),
            waiting: VecDeque::new(),
            ended: [None; 3],
            version: 0,
            said: [Vec::new(), Vec::new()],
            stepped: None,
            dropped: 0,
        }
    }

    /// When the next packet is due.
    pub(super) fn due(&self) -> Option<StreamTime> {
        self.waiting.front().map(|(due, _)| *due)
    }

    pub(super) fn pop(&mut self) -> Option<Packet> {
        self.waiting.pop_front().map(|(_, packet)| packet)
    }

    /// Puts a section of a leg in line, to leave at `due` or as soon as it may. True for one of the
    /// EIT.
    pub(super) fn push(
        &mut self,
        passed: &Passed,
        leg: u64,
        due: StreamTime,
        layout: &Layout,
        naming: Option<&Naming>,
    ) -> bool {
        let section = passed.section.section();
        let eit = Eit::new(section);
        let table = match (&eit, section.table_id()) {
            (Some(_), _) => 0,
            (None, Tdt::TABLE_ID) => 1,
            (None, _) => 2,
        };
        let last = self.waiting.back().map(|(due, _)| *due + STEP);
        let ended = self.ended.get(table).copied().flatten();
        let due = due.max(last.unwrap_or(due));
        let mut due = due.max(ended.map_or(due, |ended| ended + APART));
        if self.waiting.len() > MOST_WAITING {
            self.dropped += 1;
            return false;
        }
        let own = match &eit {
            Some(eit) => self.of_output(section, eit, leg, layout, naming),
            None => Some(passed.section.clone()),
        };
        let Some(own) = own else { return false };
        let mut packets = Vec::new();
        let out = if table == 0 {
            &mut self.eit_out
        } else {
            &mut self.tdt_out
        };
        out.push([&own], |packet| packets.push(*packet));
        for packet in packets {
            self.waiting.push_back((due, packet));
            due += STEP;
        }
        if let Some(ended) = self.ended.get_mut(table) {
            *ended = Some(due);
        }
        table == 0
    }

    /// A section of the EIT as one of the output's service.
    fn of_output(
        &mut self,
        section: Section<'_>,
        eit: &Eit<'_>,
        leg: u64,
        layout: &Layout,
        naming: Option<&Naming>,
    ) -> Option<SectionBuf> {
        let mut syntax = eit.syntax();
        let from = (leg, syntax.version);
        syntax.extension = layout.first.service.0;
        let mut body = section.body().to_vec();
        let (ids, _) = body.split_first_chunk_mut::<4>()?;
        let network = naming.map_or(eit.original_network_id(), |naming| naming.network);
        let [a, b] = layout.first.transport_stream.0.to_be_bytes();
        let [c, d] = network.0.to_be_bytes();
        *ids = [a, b, c, d];
        let fields = |version| {
            let syntax = SectionSyntax { version, ..syntax };
            SectionBuf::long(section.table_id(), true, syntax, &body)
        };
        let plain = fields(0)?;
        let said = self.said.get_mut(usize::from(syntax.number))?;
        if said != plain.as_bytes() {
            let first = said.is_empty();
            *said = plain.as_bytes().to_vec();
            if !first && self.stepped != Some(from) {
                self.version = (self.version + 1) % 32;
            }
            self.stepped = Some(from);
        }
        fields(self.version)
    }
}
