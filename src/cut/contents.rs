//! What is in the stream: its programs, as PAT and PMT describe them.

use std::collections::BTreeMap;

use crate::si::{Pmt, ServiceId, ServiceSelector};
use crate::stream::codec::Codec;
use crate::stream::{ProgramEvent, Programs, SectionPacketizer};
use crate::ts::{Packet, Pid};

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
    tables: Programs,
    /// Those whose PMT has come, by ascending program_number.
    programs: Vec<Program>,
    /// The program that cuts go by, where one was asked for.
    chosen: Option<ServiceId>,
}

impl Contents {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// True when `pid` carries the PAT or a PMT.
    pub fn is_psi(&self, pid: Pid) -> bool {
        pid == Pid::PAT || self.tables.services().any(|s| s.pmt_pid == pid)
    }

    /// Takes a packet of any PID; true when the PAT or a PMT came for the first time, or is
    /// another.
    pub fn push(&mut self, packet: &Packet) -> bool {
        if !self.tables.pids().contains(packet.pid()) {
            return false;
        }
        let mut changed = false;
        self.tables.push(packet, &mut |event| {
            let of_psi = matches!(
                event,
                ProgramEvent::PatChanged { .. } | ProgramEvent::PmtChanged { .. }
            );
            changed |= of_psi;
        });
        if changed {
            self.gather();
        }
        changed
    }

    fn gather(&mut self) {
        let services = self.tables.services();
        let programs = services.filter_map(|service| {
            let pmt = Pmt::new(self.tables.pmt_section(service.id)?.section())?;
            let streams = pmt.streams();
            let coded =
                streams.map(|s| (s.pid, Codec::of(s.stream_type.0, s.descriptors.as_bytes())));
            Some(Program {
                service: service.id,
                pmt_pid: service.pmt_pid,
                clock: pmt.pcr_pid(),
                streams: coded.collect(),
            })
        });
        self.programs = programs.collect();
    }

    /// The programs whose PMT has come, by ascending program_number.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// True when the PAT and the PMT of every program it names have come.
    pub fn is_complete(&self) -> bool {
        self.tables.is_complete()
    }

    /// The service that `selector` names, as far as the tables have come: by its id, or by its
    /// name in the SDT.
    pub fn find(&self, selector: &ServiceSelector) -> Option<ServiceId> {
        let found = self.tables.services().find(|s| selector.selects(s));
        found.map(|s| s.id)
    }

    /// The services of the PAT, with the names that the SDT has for them.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, Option<&str>)> {
        let services = self.tables.services();
        services.map(|s| (s.id, s.name.as_deref()))
    }

    /// Makes cuts go by this program and no other.
    pub fn choose(&mut self, service: ServiceId) {
        self.chosen = Some(service);
    }

    /// The program that cuts go by: the one chosen; else, of those with a picture (of those with
    /// sound, where there is no picture), the one with the lowest program_number. The order of the
    /// PAT may change from one version to the next.
    pub fn main(&self) -> Option<&Program> {
        if let Some(chosen) = self.chosen {
            return self.programs.iter().find(|p| p.service == chosen);
        }
        let with = |kind: fn(Codec) -> bool| {
            let streams = move |p: &&Program| p.streams.iter().any(|(_, c)| kind(*c));
            self.programs.iter().find(streams)
        };
        with(Codec::is_video).or_else(|| with(Codec::is_audio))
    }

    /// How many programs with picture or sound there are beside the one that cuts go by, where
    /// none was chosen.
    pub fn others(&self) -> usize {
        let main = match (self.chosen, self.main()) {
            (None, Some(main)) => main.service,
            _ => return 0,
        };
        let others = self.programs.iter();
        let others = others.filter(|p| p.service != main && p.main().is_some());
        others.count()
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
        let pat = self.tables.pat_sections().map(|s| (Pid::PAT, s));
        let sections = |p: &Program| Some((p.pmt_pid, self.tables.pmt_section(p.service)?));
        let pmts = self.programs.iter().filter_map(sections);
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
    use crate::ts::SectionBuf;

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

    fn take(contents: &mut Contents, packets: Vec<Packet>) -> bool {
        let changes = packets.iter().filter(|p| contents.push(p)).count();
        assert!(changes < 2);
        changes == 1
    }

    #[test]
    fn programs_that_share_a_pmt_pid_and_a_pat_of_two_sections_are_all_known() {
        let mut contents = Contents::new();
        assert!(!take(&mut contents, pat(0, 1, 9)));
        assert!(!contents.is_complete());
        assert!(take(&mut contents, pat(0, 0, 7)));
        assert!(take(&mut contents, pmt(9, 0x109)));
        assert!(!contents.is_complete());
        assert!(take(&mut contents, pmt(7, 0x107)));
        assert!(contents.is_complete());
        for pid in [0x107, 0x109] {
            let codec = contents.codec_of(Pid::from_field(pid));
            assert_eq!(codec, Some(Codec::MpegAudio));
        }
        let main = |contents: &Contents| contents.main().map(|p| p.service);
        assert_eq!(
            (main(&contents), contents.others()),
            (Some(ServiceId(7)), 1)
        );
        let mut chosen = contents.clone();
        let nine = contents.find(&"0x9".parse().unwrap()).unwrap();
        chosen.choose(nine);
        assert_eq!((main(&chosen), chosen.others()), (Some(ServiceId(9)), 0));
        // The same again changes nothing.
        for again in [pat(0, 0, 7), pat(0, 1, 9), pmt(7, 0x107), pmt(9, 0x109)] {
            assert!(!take(&mut contents, again));
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
        assert!(!take(&mut contents, pat(1, 0, 7)));
        assert_eq!(contents.programs().len(), 2);
        assert!(take(&mut contents, pat(1, 1, 8)));
        let services: Vec<u16> = contents.programs().iter().map(|p| p.service.0).collect();
        assert_eq!(services, [7]);
        assert!(!contents.is_complete());
    }
}
