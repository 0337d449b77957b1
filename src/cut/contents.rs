//! What is in the stream: its programs, as PAT and PMT describe them.

use std::collections::{BTreeMap, BTreeSet};

use crate::si::{Pat, Pmt, ServiceId};
use crate::stream::codec::Codec;
use crate::stream::{SectionAssembler, SectionPacketizer};
use crate::ts::{Packet, Pid, Section, SectionBuf, SectionSyntax};

/// One program.
#[derive(Clone, Debug)]
pub struct Program {
    /// program_number.
    pub service: ServiceId,
    /// PID of its PMT.
    pub pmt_pid: Pid,
    /// PID of its PCRs.
    pub clock: Pid,
    /// Its streams, in the order of the PMT.
    pub streams: Vec<(Pid, Codec)>,
    pmt: SectionBuf,
}

impl Program {
    /// The stream that cuts go by: the first with picture, else the first with sound.
    pub fn main(&self) -> Option<(Pid, Codec)> {
        let first = |kind: fn(Codec) -> bool| self.streams.iter().find(|(_, c)| kind(*c)).copied();
        first(Codec::is_video).or_else(|| first(Codec::is_audio))
    }
}

/// PAT and PMTs of a stream, kept current.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The sections of the PAT, once all of one version have come.
    pat: Vec<SectionBuf>,
    /// Those of a PAT that is not whole yet.
    collected: Vec<Option<SectionBuf>>,
    /// The PIDs of the PMTs, as the PAT names them; several programs may share one.
    named: BTreeMap<ServiceId, Pid>,
    /// Those PIDs.
    pmt_pids: BTreeSet<Pid>,
    programs: Vec<Program>,
    sections: BTreeMap<Pid, SectionAssembler>,
}

/// What a packet changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The PAT is there, or is another.
    Pat,
    /// The PMT of this program came for the first time.
    First(ServiceId),
    /// The PMT of this program is another.
    Pmt(ServiceId),
}

impl Contents {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// True when packets of `pid` are to be handed in.
    pub fn wants(&self, pid: Pid) -> bool {
        pid == Pid::PAT || self.pmt_pids.contains(&pid)
    }

    /// Takes a packet of any PID.
    pub fn push(&mut self, packet: &Packet) -> Option<Change> {
        let pid = packet.pid();
        if !self.wants(pid) {
            return None;
        }
        let mut change = None;
        let taken = self.sections.remove(&pid);
        let mut assembler = taken.unwrap_or_else(|| SectionAssembler::new(pid));
        assembler.push(packet, |section| {
            let Some(section) = section.ok().and_then(|bytes| Section::new(bytes).ok()) else {
                return;
            };
            change = change.or(if pid == Pid::PAT {
                self.pat(section)
            } else {
                self.pmt(pid, section)
            });
        });
        self.sections.insert(pid, assembler);
        change
    }

    fn pat(&mut self, section: Section<'_>) -> Option<Change> {
        let syntax = Pat::new(section)?.syntax();
        if !syntax.current || syntax.number > syntax.last_number {
            return None;
        }
        let (number, new) = (usize::from(syntax.number), SectionBuf::from(section));
        if self.collected.is_empty() && self.pat.get(number) == Some(&new) {
            return None;
        }
        // Sections of one table share what identifies it; one of another begins a new table.
        let of = |s: SectionSyntax| (s.extension, s.version, s.last_number);
        let begun = self.collected.iter().flatten().next();
        if begun.and_then(|s| s.section().syntax()).map(of) != Some(of(syntax)) {
            self.collected = vec![None; usize::from(syntax.last_number) + 1];
        }
        if let Some(place) = self.collected.get_mut(number) {
            *place = Some(new);
        }
        if self.collected.iter().any(Option::is_none) {
            return None;
        }
        let collected = std::mem::take(&mut self.collected);
        let new: Vec<SectionBuf> = collected.into_iter().flatten().collect();
        if self.pat == new {
            return None;
        }
        self.pat = new;
        let sections = self.pat.iter().filter_map(|s| Pat::new(s.section()));
        let programs = sections.flat_map(|pat| pat.programs());
        let programs = programs.filter(|e| e.pid != Pid::NULL);
        self.named = programs.map(|e| (e.program, e.pid)).collect();
        self.pmt_pids = self.named.values().copied().collect();
        let named = &self.named;
        self.programs
            .retain(|p| named.get(&p.service) == Some(&p.pmt_pid));
        Some(Change::Pat)
    }

    fn pmt(&mut self, pid: Pid, section: Section<'_>) -> Option<Change> {
        let pmt = Pmt::new(section).filter(|p| p.syntax().current)?;
        if self.named.get(&pmt.program()) != Some(&pid) {
            return None;
        }
        let new = SectionBuf::from(section);
        let old = self
            .programs
            .iter_mut()
            .find(|p| p.service == pmt.program());
        if old.as_ref().is_some_and(|old| old.pmt == new) {
            return None;
        }
        let program = Program {
            service: pmt.program(),
            pmt_pid: pid,
            clock: pmt.pcr_pid(),
            streams: pmt
                .streams()
                .map(|s| (s.pid, Codec::of(s.stream_type.0, s.descriptors.as_bytes())))
                .collect(),
            pmt: new,
        };
        let service = program.service;
        match old {
            Some(old) => {
                *old = program;
                Some(Change::Pmt(service))
            }
            None => {
                self.programs.push(program);
                Some(Change::First(service))
            }
        }
    }

    /// The programs whose PMT has come.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// True when the PAT and the PMT of every program it names have come.
    pub fn is_complete(&self) -> bool {
        !self.pat.is_empty() && self.programs.len() == self.named.len()
    }

    /// The program that cuts go by: of those with a picture, else of those with sound, the one with
    /// the lowest program_number. The order of the PAT may change from one version to the next.
    pub fn main(&self) -> Option<&Program> {
        let with = |kind: fn(Codec) -> bool| {
            let streams = move |p: &&Program| p.streams.iter().any(|(_, c)| kind(*c));
            self.programs
                .iter()
                .filter(streams)
                .min_by_key(|p| p.service.0)
        };
        with(Codec::is_video).or_else(|| with(Codec::is_audio))
    }

    /// The coding of a PID, where a PMT names it.
    pub fn codec_of(&self, pid: Pid) -> Option<Codec> {
        let mut streams = self.programs.iter().flat_map(|p| &p.streams);
        streams.find(|(p, _)| *p == pid).map(|(_, codec)| *codec)
    }

    /// The PIDs of all PCRs.
    pub fn clocks(&self) -> Vec<Pid> {
        self.programs.iter().map(|p| p.clock).collect()
    }

    /// PAT and PMTs as packets.
    pub fn packets(&self) -> Vec<Packet> {
        let pat = self.pat.iter().map(|s| (Pid::PAT, s));
        let pmts = self.programs.iter().map(|p| (p.pmt_pid, &p.pmt));
        let mut packets = Vec::new();
        // One counter a PID, that of several PMTs too.
        let mut packetizers = BTreeMap::new();
        for (pid, section) in pat.chain(pmts) {
            let packetizer = packetizers
                .entry(pid)
                .or_insert_with(|| SectionPacketizer::new(pid));
            packetizer.push([section], |packet| packets.push(*packet));
        }
        packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::si::descriptor::Descriptors;
    use crate::si::{PatEntry, PatFields, PmtFields, PmtStream, StreamType, TransportStreamId};

    const PMT: Pid = Pid::from_field(0x20);

    fn packets(pid: Pid, section: &SectionBuf) -> Vec<Packet> {
        let mut packets = Vec::new();
        SectionPacketizer::new(pid).push([section], |packet| packets.push(*packet));
        packets
    }

    /// Section `number` of a PAT of two: one program, its PMT on the PID of both.
    fn pat(version: u8, number: u8, program: u16) -> Vec<Packet> {
        let entries = [PatEntry {
            program: ServiceId(program),
            pid: PMT,
        }];
        let mut fields = PatFields::new(TransportStreamId(1), version, &entries);
        (fields.syntax.number, fields.syntax.last_number) = (number, 1);
        packets(Pid::PAT, &fields.to_section().unwrap())
    }

    fn pmt(program: u16, pid: u16) -> Vec<Packet> {
        let pid = Pid::from_field(pid);
        let streams = [PmtStream {
            stream_type: StreamType::MPEG1_AUDIO,
            pid,
            descriptors: Descriptors::NONE,
        }];
        let fields = PmtFields::new(ServiceId(program), 0, pid, Descriptors::NONE, &streams);
        packets(PMT, &fields.to_section().unwrap())
    }

    fn take(contents: &mut Contents, packets: Vec<Packet>) -> Option<Change> {
        let changes: Vec<Change> = packets.iter().filter_map(|p| contents.push(p)).collect();
        assert!(changes.len() < 2);
        changes.first().copied()
    }

    #[test]
    fn programs_that_share_a_pmt_pid_and_a_pat_of_two_sections_are_all_known() {
        let mut contents = Contents::new();
        assert_eq!(take(&mut contents, pat(0, 1, 9)), None);
        assert!(!contents.is_complete());
        assert_eq!(take(&mut contents, pat(0, 0, 7)), Some(Change::Pat));
        let first = |service| Some(Change::First(ServiceId(service)));
        assert_eq!(take(&mut contents, pmt(9, 0x109)), first(9));
        assert!(!contents.is_complete());
        assert_eq!(take(&mut contents, pmt(7, 0x107)), first(7));
        assert!(contents.is_complete());
        for pid in [0x107, 0x109] {
            let codec = contents.codec_of(Pid::from_field(pid));
            assert_eq!(codec, Some(Codec::MpegAudio));
        }
        assert_eq!(contents.main().map(|p| p.service), Some(ServiceId(7)));
        // The same again changes nothing.
        for again in [pat(0, 0, 7), pat(0, 1, 9), pmt(7, 0x107), pmt(9, 0x109)] {
            assert_eq!(take(&mut contents, again), None);
        }
        // What it writes says the same, with one counter for each PID.
        let written = contents.packets();
        let counters = |pid| {
            let packets = written.iter().filter(move |p| p.pid() == pid);
            packets.map(|p| p.continuity_counter().get()).collect()
        };
        let (of_pat, of_pmts): (Vec<u8>, Vec<u8>) = (counters(Pid::PAT), counters(PMT));
        assert_eq!((of_pat, of_pmts), (vec![0, 1], vec![0, 1]));
        let mut read = Contents::new();
        written.iter().for_each(|p| {
            read.push(p);
        });
        assert!(read.is_complete());
        assert_eq!(read.clocks().len(), 2);
    }

    #[test]
    fn a_new_pat_applies_when_all_of_it_has_come() {
        let mut contents = Contents::new();
        for packets in [pat(0, 0, 7), pat(0, 1, 9), pmt(7, 0x107), pmt(9, 0x109)] {
            take(&mut contents, packets);
        }
        assert_eq!(take(&mut contents, pat(1, 0, 7)), None);
        assert_eq!(contents.programs().len(), 2);
        assert_eq!(take(&mut contents, pat(1, 1, 8)), Some(Change::Pat));
        let services: Vec<u16> = contents.programs().iter().map(|p| p.service.0).collect();
        assert_eq!(services, [7]);
        assert!(!contents.is_complete());
    }
}
