//! The tables themselves: what is known, and what a section adds to it.

use std::collections::BTreeMap;

use super::ProgramEvent;
use crate::si::descriptor::ServiceDescriptor;
use crate::si::{
    Codec, Eit, EitKind, Pat, PatEntry, Pmt, Programme, Sdt, Service, ServiceId, SpliceInfo,
    TransportStreamId,
};
use crate::ts::{Pid, Section, SectionBuf, SectionError, SectionSyntax};

/// Services that are followed at most.
const MAX_SERVICES: usize = 512;
/// PIDs of splice information whose last message is remembered at most.
const MAX_SPLICE_PIDS: usize = 64;

type Out<'o> = &'o mut dyn FnMut(ProgramEvent);

/// A service, with the sections that told what it is.
#[derive(Clone, Debug)]
struct Entry {
    service: Service,
    pmt: Option<SectionBuf>,
    /// EIT present and following.
    eit: [Option<SectionBuf>; 2],
}

/// The tables of a stream as far as they came.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// The PAT that applies, then the one that is being collected.
    pat: Vec<SectionBuf>,
    collected: Vec<Option<SectionBuf>>,
    entries: BTreeMap<ServiceId, Entry>,
    /// The sections of the SDT: 256 at most. It may come before the PAT, and name others too.
    sdt: BTreeMap<u8, SectionBuf>,
    splices: BTreeMap<Pid, Option<SectionBuf>>,
    /// The PIDs of interest are others than before.
    moved: bool,
}

/// Says whether `bytes` are the section that `known` holds: same length, header up to
/// last_section_number, and CRC_32. Damage that leaves all of these alone goes unseen.
fn is_known(known: Option<&SectionBuf>, bytes: &[u8]) -> bool {
    let Some(known) = known.map(SectionBuf::as_bytes) else {
        return false;
    };
    known.len() == bytes.len()
        && known.get(..8) == bytes.get(..8)
        && known.last_chunk::<4>() == bytes.last_chunk::<4>()
}

/// Gives the services the names that a section of the SDT has for them.
fn name_services(entries: &mut BTreeMap<ServiceId, Entry>, sdt: &Sdt<'_>, out: Out<'_>) {
    for line in sdt.services() {
        let (Some(entry), Some(d)) = (
            entries.get_mut(&line.service),
            line.descriptors.get::<ServiceDescriptor<'_>>(),
        ) else {
            continue;
        };
        let (service, name) = (&mut entry.service, d.name.to_string());
        if service.name.as_ref() != Some(&name) {
            out(ProgramEvent::ServiceNamed {
                service: line.service,
                name: name.clone(),
            });
        }
        service.name = Some(name);
        service.provider = Some(d.provider.to_string());
        service.service_type = Some(d.service_type);
    }
}

impl Tables {
    pub(super) const fn new() -> Self {
        Self {
            pat: Vec::new(),
            collected: Vec::new(),
            entries: BTreeMap::new(),
            sdt: BTreeMap::new(),
            splices: BTreeMap::new(),
            moved: false,
        }
    }

    /// True once after the PIDs of interest changed.
    pub(super) const fn take_moved(&mut self) -> bool {
        std::mem::replace(&mut self.moved, false)
    }

    /// The PIDs of interest.
    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        [Pid::PAT, Pid::SDT, Pid::EIT]
            .into_iter()
            .chain(self.entries.values().map(|e| e.service.pmt_pid))
            .chain(self.splices.keys().copied())
    }

    pub(super) fn transport_stream_id(&self) -> Option<TransportStreamId> {
        let first = Pat::new(self.pat.first()?.section())?;
        Some(first.transport_stream_id())
    }

    pub(super) fn services(&self) -> impl ExactSizeIterator<Item = &Service> {
        self.entries.values().map(|e| &e.service)
    }

    pub(super) fn service(&self, id: ServiceId) -> Option<&Service> {
        self.entries.get(&id).map(|e| &e.service)
    }

    pub(super) fn pat_sections(&self) -> impl Iterator<Item = &SectionBuf> {
        self.pat.iter()
    }

    pub(super) fn sdt_sections(&self) -> impl Iterator<Item = &SectionBuf> {
        self.sdt.values()
    }

    pub(super) fn pmt_section(&self, id: ServiceId) -> Option<&SectionBuf> {
        self.entries.get(&id)?.pmt.as_ref()
    }

    /// Takes a section of `pid`, CRC_32 not looked at yet.
    pub(super) fn push(&mut self, pid: Pid, bytes: &[u8], out: Out<'_>) {
        let [table, ..] = bytes else { return };
        let taken = match (pid, table) {
            (Pid::PAT, 0x00) => self.take_pat(bytes, out),
            (Pid::SDT, 0x42) => self.take_sdt(bytes, out),
            (Pid::EIT, 0x4E) => self.take_eit(bytes, out),
            (_, 0x02) => self.take_pmt(pid, bytes, out),
            (_, 0xFC) => self.take_splice(pid, bytes, out),
            _ => Ok(()),
        };
        if let Err(error) = taken {
            out(ProgramEvent::Damaged { pid, error });
        }
    }

    fn take_pat(&mut self, bytes: &[u8], out: Out<'_>) -> Result<(), Option<SectionError>> {
        let number = bytes.get(6).copied().map_or(0, usize::from);
        if self.collected.is_empty() && is_known(self.pat.get(number), bytes) {
            return Ok(());
        }
        let section = Section::new(bytes).map_err(Some)?;
        let pat = Pat::new(section).ok_or(None)?;
        let syntax = pat.syntax();
        if !syntax.current || syntax.number > syntax.last_number {
            return Ok(());
        }
        // Sections of one table share what identifies it; one of another begins a new table.
        let of = |s: SectionSyntax| (s.extension, s.version, s.last_number);
        let begun = self.collected.iter().flatten().next();
        if begun.and_then(|s| s.section().syntax()).map(of) != Some(of(syntax)) {
            self.collected = vec![None; usize::from(syntax.last_number) + 1];
        }
        if let Some(place) = self.collected.get_mut(number) {
            *place = Some(section.into());
        }
        if self.collected.iter().all(Option::is_some) {
            self.pat = std::mem::take(&mut self.collected)
                .into_iter()
                .flatten()
                .collect();
            self.apply_pat(out);
        }
        Ok(())
    }

    /// Makes the services those of the PAT; what is known of one that stays is kept.
    fn apply_pat(&mut self, out: Out<'_>) {
        let mut old = std::mem::take(&mut self.entries);
        let mut announced = 0;
        let lines = self.pat.iter().filter_map(|s| Pat::new(s.section()));
        for PatEntry { program, pid } in lines.flat_map(|pat| pat.programs()) {
            announced += 1;
            if self.entries.len() == MAX_SERVICES || pid == Pid::NULL {
                continue;
            }
            let kept = old.remove(&program).filter(|e| e.service.pmt_pid == pid);
            let entry = kept.unwrap_or_else(|| Entry {
                service: Service::new(program, pid),
                pmt: None,
                eit: [None, None],
            });
            self.entries.insert(program, entry);
        }
        if announced > MAX_SERVICES {
            out(ProgramEvent::TooMany {
                what: "services",
                announced,
                followed: MAX_SERVICES,
            });
        }
        let first = self.pat.first().and_then(|s| Pat::new(s.section()));
        if let Some(pat) = first {
            out(ProgramEvent::PatChanged {
                transport_stream: pat.transport_stream_id(),
                version: pat.syntax().version,
                services: announced,
            });
        }
        for sdt in self.sdt.values().filter_map(|s| Sdt::new(s.section())) {
            name_services(&mut self.entries, &sdt, out);
        }
        self.find_splice_pids();
        self.moved = true;
    }

    fn take_pmt(
        &mut self,
        pid: Pid,
        bytes: &[u8],
        out: Out<'_>,
    ) -> Result<(), Option<SectionError>> {
        let [_, _, _, a, b, ..] = bytes else {
            return Err(None);
        };
        // Several PMTs may share a PID, and a PMT may come on the PID of another service.
        let id = ServiceId(u16::from_be_bytes([*a, *b]));
        let Some(entry) = self
            .entries
            .get_mut(&id)
            .filter(|e| e.service.pmt_pid == pid)
        else {
            return Section::new(bytes).map(|_| ()).map_err(Some);
        };
        if is_known(entry.pmt.as_ref(), bytes) {
            return Ok(());
        }
        let section = Section::new(bytes).map_err(Some)?;
        let pmt = Pmt::new(section).ok_or(None)?;
        if !pmt.syntax().current {
            return Ok(());
        }
        entry.service.take_pmt(&pmt);
        entry.pmt = Some(section.into());
        out(ProgramEvent::PmtChanged {
            service: id,
            version: pmt.syntax().version,
            streams: entry.service.streams.len(),
        });
        self.find_splice_pids();
        Ok(())
    }

    /// Makes the PIDs of splice information those of the PMTs.
    fn find_splice_pids(&mut self) {
        let mut old = std::mem::take(&mut self.splices);
        let streams = self.entries.values().flat_map(|e| &e.service.streams);
        let splices = streams.filter(|s| s.codec == Some(Codec::Scte35));
        for pid in splices.map(|s| s.pid).take(MAX_SPLICE_PIDS) {
            let known = old.remove(&pid);
            self.moved |= known.is_none();
            self.splices.insert(pid, known.flatten());
        }
        self.moved |= !old.is_empty();
    }

    fn take_sdt(&mut self, bytes: &[u8], out: Out<'_>) -> Result<(), Option<SectionError>> {
        let number = bytes.get(6).copied().unwrap_or(0);
        if is_known(self.sdt.get(&number), bytes) {
            return Ok(());
        }
        let section = Section::new(bytes).map_err(Some)?;
        let sdt = Sdt::new(section).ok_or(None)?;
        if !sdt.syntax().current {
            return Ok(());
        }
        let SectionSyntax {
            extension,
            last_number,
            ..
        } = sdt.syntax();
        // Sections of another stream, or of a longer table before this one, say nothing any more.
        self.sdt.retain(|number, s| {
            let same = |s: SectionSyntax| s.extension == extension;
            *number <= last_number && s.section().syntax().is_some_and(same)
        });
        name_services(&mut self.entries, &sdt, out);
        self.sdt.insert(number, section.into());
        Ok(())
    }

    fn take_eit(&mut self, bytes: &[u8], out: Out<'_>) -> Result<(), Option<SectionError>> {
        let [_, _, _, a, b, _, number, ..] = bytes else {
            return Err(None);
        };
        let id = ServiceId(u16::from_be_bytes([*a, *b]));
        let Some(entry) = self.entries.get_mut(&id) else {
            return Ok(());
        };
        let Some(known) = entry.eit.get_mut(usize::from(*number)) else {
            return Ok(());
        };
        if is_known(known.as_ref(), bytes) {
            return Ok(());
        }
        let section = Section::new(bytes).map_err(Some)?;
        let eit = Eit::new(section).ok_or(None)?;
        if !eit.syntax().current || eit.kind() != EitKind::PRESENT_FOLLOWING {
            return Ok(());
        }
        *known = Some(section.into());
        let programme = eit.events().next().map(Programme::from);
        let service = &mut entry.service;
        let place = match number {
            0 => &mut service.present,
            _ => &mut service.following,
        };
        if *place == programme {
            return Ok(());
        }
        let event = |p: &Option<Programme>| p.as_ref().map(|p| p.event);
        let transition = event(place) != event(&programme);
        place.clone_from(&programme);
        out(match number {
            0 => ProgramEvent::PresentChanged {
                service: id,
                programme,
                transition,
            },
            _ => ProgramEvent::FollowingChanged {
                service: id,
                programme,
            },
        });
        Ok(())
    }

    fn take_splice(
        &mut self,
        pid: Pid,
        bytes: &[u8],
        out: Out<'_>,
    ) -> Result<(), Option<SectionError>> {
        let Some(last) = self.splices.get_mut(&pid) else {
            return Ok(());
        };
        if is_known(last.as_ref(), bytes) {
            return Ok(());
        }
        let section = Section::new(bytes).map_err(Some)?;
        section.check_crc().map_err(Some)?;
        // Fields that cannot be read do not make it less of a message: it is carried all the same.
        SpliceInfo::new(section).map_err(|_| None)?;
        let section = SectionBuf::from(section);
        *last = Some(section.clone());
        let has = |e: &&Entry| e.service.streams.iter().any(|s| s.pid == pid);
        out(ProgramEvent::Splice {
            pid,
            service: self.entries.values().find(has).map(|e| e.service.id),
            section,
        });
        Ok(())
    }
}
