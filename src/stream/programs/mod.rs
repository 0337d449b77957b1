//! What services a transport stream has, followed over time.

mod event;
mod tables;

pub use event::ProgramEvent;

use self::tables::Tables;
use super::sections::SectionAssembler;
use crate::si::{Service, ServiceId, TransportStreamId};
use crate::ts::{Packet, Pid, PidSet, SectionBuf};

/// PIDs that are followed at most: each may hold the start of a section, 4 KiB.
const MAX_PIDS: usize = 1024;

/// Follows PAT, PMTs, SDT, EIT present/following and splice information.
///
/// Made for the path of every packet: only those of [`pids`](Self::pids) need to be pushed, and a
/// section that repeats what is known costs a comparison of twelve bytes, for no CRC_32 is
/// computed over it. What changes is handed over as a [`ProgramEvent`], once.
///
/// At most 512 services and 1,024 PIDs are followed; a stream that announces more says so in an
/// event.
///
/// ```
/// use headend::si::{PatEntry, PatFields, ServiceId, TransportStreamId};
/// use headend::stream::{Programs, SectionPacketizer};
/// use headend::ts::Pid;
/// let entry = PatEntry { program: ServiceId(7), pid: Pid::new(0x100).unwrap() };
/// let pat = PatFields::new(TransportStreamId(1), 0, &[entry]).to_section().unwrap();
/// let mut programs = Programs::new();
/// SectionPacketizer::new(Pid::PAT).push([&pat], |packet| programs.push(packet, &mut |_| {}));
/// assert_eq!(programs.services().next().map(|s| s.id), Some(ServiceId(7)));
/// assert!(programs.pids().contains(entry.pid));
/// ```
#[derive(Clone, Debug)]
pub struct Programs {
    pids: PidSet,
    watched: Vec<SectionAssembler>,
    /// For each PID, its place in `watched`: one look a packet. Valid where `pids` has the PID.
    places: Box<[u16; Pid::COUNT]>,
    tables: Tables,
}

impl Programs {
    /// A follower that knows nothing yet.
    pub fn new() -> Self {
        let mut programs = Self {
            pids: PidSet::new(),
            watched: Vec::new(),
            places: vec![0; Pid::COUNT]
                .try_into()
                .unwrap_or_else(|_| Box::new([0; Pid::COUNT])),
            tables: Tables::new(),
        };
        programs.watch(&mut |_| {});
        programs
    }

    /// The PIDs whose packets are wanted. Grows and shrinks while packets are pushed.
    pub const fn pids(&self) -> &PidSet {
        &self.pids
    }

    /// Takes a packet; one of no PID of interest is ignored.
    pub fn push(&mut self, packet: &Packet, out: &mut dyn FnMut(ProgramEvent)) {
        let pid = packet.pid();
        if !self.pids.contains(pid) {
            return;
        }
        let place = usize::from(self.places[pid.index()]);
        let Some(assembler) = self.watched.get_mut(place) else {
            return;
        };
        let tables = &mut self.tables;
        assembler.push(packet, |section| match section {
            Ok(section) => tables.push(pid, section, out),
            Err(lost) => out(ProgramEvent::SectionLost(lost)),
        });
        if self.tables.take_moved() {
            self.watch(out);
        }
    }

    /// Makes the set of PIDs what the tables say, keeping sections that have begun.
    fn watch(&mut self, out: &mut dyn FnMut(ProgramEvent)) {
        let mut old: Vec<_> = std::mem::take(&mut self.watched)
            .into_iter()
            .map(Some)
            .collect();
        let wanted: PidSet = self.tables.pids().collect();
        let known = std::mem::take(&mut self.pids);
        let announced = wanted.iter().count();
        for pid in wanted.iter().take(MAX_PIDS) {
            let place = &mut self.places[pid.index()];
            let begun = match known.contains(pid) {
                true => old.get_mut(usize::from(*place)).and_then(Option::take),
                false => None,
            };
            *place = self.watched.len() as u16;
            self.watched
                .push(begun.unwrap_or_else(|| SectionAssembler::new(pid)));
            self.pids.insert(pid);
        }
        if announced > MAX_PIDS {
            out(ProgramEvent::TooMany {
                what: "PIDs",
                announced,
                followed: MAX_PIDS,
            });
        }
    }

    /// transport_stream_id, once a PAT came.
    pub fn transport_stream_id(&self) -> Option<TransportStreamId> {
        self.tables.transport_stream_id()
    }

    /// The services, by ascending id.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &Service> {
        self.tables.services()
    }

    /// The service of that id.
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.tables.service(id)
    }

    /// True once the PAT and the PMT of each of its services came.
    pub fn is_complete(&self) -> bool {
        self.transport_stream_id().is_some() && self.services().all(|s| s.pmt_version.is_some())
    }

    /// The sections of the PAT that applies, in order; empty until it is there as a whole.
    pub fn pat_sections(&self) -> impl Iterator<Item = &SectionBuf> {
        self.tables.pat_sections()
    }

    /// The sections of the SDT of this stream, by section_number, as far as they came.
    pub fn sdt_sections(&self) -> impl Iterator<Item = &SectionBuf> {
        self.tables.sdt_sections()
    }

    /// The section of the PMT that applies to a service.
    pub fn pmt_section(&self, id: ServiceId) -> Option<&SectionBuf> {
        self.tables.pmt_section(id)
    }
}

impl Default for Programs {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
