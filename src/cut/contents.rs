//! What is in the stream: its programs, as PAT and PMT describe them.

use std::collections::BTreeMap;

use crate::si::{Pat, Pmt, ServiceId};
use crate::stream::codec::Codec;
use crate::stream::{SectionAssembler, SectionPacketizer};
use crate::ts::{Packet, Pid, Section, SectionBuf};

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
    pat: Option<SectionBuf>,
    /// By PID of the PMT, with its program_number: what the PAT names.
    named: BTreeMap<Pid, ServiceId>,
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
        pid == Pid::PAT || self.named.contains_key(&pid)
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
        let pat = Pat::new(section).filter(|p| p.syntax().current && p.syntax().number == 0)?;
        let new = SectionBuf::from(section);
        if self.pat.as_ref() == Some(&new) {
            return None;
        }
        self.named = pat.programs().map(|e| (e.pid, e.program)).collect();
        let named = &self.named;
        self.programs
            .retain(|p| named.get(&p.pmt_pid) == Some(&p.service));
        self.pat = Some(new);
        Some(Change::Pat)
    }

    fn pmt(&mut self, pid: Pid, section: Section<'_>) -> Option<Change> {
        let pmt = Pmt::new(section).filter(|p| p.syntax().current)?;
        if self.named.get(&pid) != Some(&pmt.program()) {
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
        self.pat.is_some() && self.programs.len() == self.named.len()
    }

    /// The program that cuts go by: the first in the PAT that has a picture, else sound.
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
        for (pid, section) in pat.chain(pmts) {
            SectionPacketizer::new(pid).push([section], |packet| packets.push(*packet));
        }
        packets
    }
}
