//! A multiplex of several services written by hand: 8 Mb/s, every table of a service, an ECM, and
//! streams whose packets are all different.

use std::collections::{BTreeMap, VecDeque};

use headend::si::descriptor::{
    CaDescriptor, DescriptorSyntax as _, Descriptors, ServiceDescriptor, ServiceType,
};
use headend::si::{
    DvbTime, EitFields, EitKind, OriginalNetworkId, PatEntry, PatFields, PmtFields, PmtStream,
    RunningStatus, SdtFields, SdtService, ServiceId, StreamType, Tdt, Text, TransportStreamId,
};
use headend::stream::SectionPacketizer;
use headend::ts::{ContinuityCounter, Packet, Pcr, Pid, Put, SectionBuf, SectionSyntax, TableId};
use headend::units::Arrival;

/// Ticks of a packet at 8 Mb/s.
const TICKS: i64 = 5_076;
const MS: i64 = 27_000;

pub fn pid(value: u16) -> Pid {
    Pid::new(value).unwrap()
}

/// A service of the multiplex.
#[derive(Clone)]
pub struct Service {
    pub id: u16,
    pub name: &'static str,
    pub pmt: u16,
    /// The first carries the clock.
    pub streams: Vec<u16>,
    pub ecm: Option<u16>,
    /// It is in the tables, and its streams are sent.
    pub there: bool,
    pub version: u8,
}

impl Service {
    pub fn new(id: u16, name: &'static str, pmt: u16, streams: &[u16]) -> Self {
        Self {
            id,
            name,
            pmt,
            streams: streams.to_vec(),
            ecm: None,
            there: true,
            version: 3,
        }
    }

    fn pmt_section(&self) -> SectionBuf {
        let mut room = [0; 16];
        let mut put = Put::new(&mut room);
        if let Some(ecm) = self.ecm {
            let ca = CaDescriptor {
                system: 0x0500,
                pid: pid(ecm),
                private: &[7],
            };
            ca.write(&mut put);
        }
        let program = Descriptors::new(put.written().unwrap());
        let streams: Vec<_> = self
            .streams
            .iter()
            .map(|value| PmtStream {
                stream_type: match *value == self.streams[0] {
                    true => StreamType::MPEG2_VIDEO,
                    false => StreamType::MPEG2_AUDIO,
                },
                pid: pid(*value),
                descriptors: Descriptors::NONE,
            })
            .collect();
        let clock = pid(self.streams[0]);
        let fields = PmtFields::new(ServiceId(self.id), self.version, clock, program, &streams);
        fields.to_section().unwrap()
    }
}

/// The multiplex; what is changed between two calls of [`Mux::run`] is sent from then on.
pub struct Mux {
    pub services: Vec<Service>,
    pub pat_version: u8,
    pub sdt_version: u8,
    pub place: i64,
    waiting: VecDeque<Packet>,
    packetizers: BTreeMap<Pid, SectionPacketizer>,
    counters: BTreeMap<Pid, ContinuityCounter>,
    turn: usize,
    /// The period in which a clock was sent last.
    clocks: BTreeMap<Pid, i64>,
    serial: u32,
}

impl Mux {
    pub fn new(services: Vec<Service>) -> Self {
        Self {
            services,
            pat_version: 9,
            sdt_version: 2,
            place: 0,
            waiting: VecDeque::new(),
            packetizers: BTreeMap::new(),
            counters: BTreeMap::new(),
            turn: 0,
            clocks: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Two services that share a stream (0x300), the second one with an ECM.
    pub fn two() -> Self {
        let mut two = Service::new(2, "Zwei", 0x200, &[0x201, 0x202, 0x300]);
        two.ecm = Some(0x2EC);
        Self::new(vec![
            Service::new(0x101, "Eins", 0x100, &[0x111, 0x112, 0x300]),
            two,
        ])
    }

    pub fn service(&mut self, id: u16) -> &mut Service {
        self.services.iter_mut().find(|s| s.id == id).unwrap()
    }

    /// Its next packets, for so many milliseconds, each with its arrival.
    pub fn run(&mut self, ms: i64) -> Vec<(Packet, Arrival)> {
        let mut out = Vec::new();
        let end = self.place + ms * MS / TICKS;
        while self.place < end {
            let (before, now) = ((self.place - 1) * TICKS, self.place * TICKS);
            self.place += 1;
            self.tables(before, now);
            let packet = match self.waiting.pop_front() {
                Some(packet) => packet,
                None => self.stream(now),
            };
            out.push((packet, Arrival::from_ticks(now)));
        }
        out
    }

    fn put(&mut self, pid: Pid, sections: &[SectionBuf]) {
        let out = self.packetizers.entry(pid);
        let out = out.or_insert_with(|| SectionPacketizer::new(pid));
        out.push(sections, |packet| self.waiting.push_back(*packet));
    }

    fn tables(&mut self, before: i64, now: i64) {
        let due = |ms: i64, after: i64| {
            (now - after * MS).div_euclid(ms * MS) != (before - after * MS).div_euclid(ms * MS)
        };
        let there: Vec<_> = self.services.iter().filter(|s| s.there).cloned().collect();
        if due(200, 0) {
            let entries: Vec<_> = there
                .iter()
                .map(|s| PatEntry {
                    program: ServiceId(s.id),
                    pid: pid(s.pmt),
                })
                .collect();
            let pat = PatFields::new(TransportStreamId(7), self.pat_version, &entries);
            self.put(Pid::PAT, &[pat.to_section().unwrap()]);
        }
        if due(1000, 60) {
            self.put(Pid::SDT, &[sdt(&there, self.sdt_version)]);
        }
        if due(5000, 80) {
            let time = DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]);
            self.put(Pid::TDT, &[Tdt { time }.to_section().unwrap()]);
        }
        for (n, service) in there.iter().enumerate() {
            let after = n as i64;
            if due(200, 3 + after) {
                self.put(pid(service.pmt), &[service.pmt_section()]);
            }
            if due(500, 100 + after) {
                // Present and following one after the other, which is closer than they may be.
                self.put(
                    Pid::EIT,
                    &[eit(service.id, 0x4E, 0), eit(service.id, 0x4E, 1)],
                );
            }
            if due(700, 110 + after) {
                self.put(
                    Pid::EIT,
                    &[eit(service.id, 0x50, 0), eit(service.id, 0x4F, 0)],
                );
            }
            if let Some(ecm) = service.ecm.filter(|_| due(100, after)) {
                let section = SectionBuf::short(TableId(0x80), true, &[n as u8; 20]);
                self.put(pid(ecm), &[section.unwrap()]);
            }
        }
    }

    /// The next packet of the streams in turn, with a PCR where one is due.
    fn stream(&mut self, now: i64) -> Packet {
        let mut pids = Vec::new();
        for service in self.services.iter().filter(|s| s.there) {
            for stream in &service.streams {
                let new = (pid(*stream), *stream == service.streams[0]);
                if !pids.contains(&new) {
                    pids.push(new);
                }
            }
        }
        // Each clock has its moment in a period of 30 ms.
        let clock = pids.iter().enumerate().find(|(n, (pid, clock))| {
            let turn = (now - *n as i64 * MS).div_euclid(30 * MS);
            *clock && self.clocks.get(pid) != Some(&turn)
        });
        let clock = clock.map(|(n, (pid, _))| (*pid, (now - n as i64 * MS).div_euclid(30 * MS)));
        if let Some((pid, turn)) = clock {
            self.clocks.insert(pid, turn);
        } else if pids.is_empty() || self.place % 5 == 0 {
            return Packet::NULL;
        }
        let pid = match clock {
            Some((pid, _)) => pid,
            None => {
                self.turn += 1;
                pids[self.turn % pids.len()].0
            }
        };
        let counter = self.counters.entry(pid).or_default();
        *counter = counter.next();
        self.serial += 1;
        let mut packet = Packet::new(pid, *counter);
        if clock.is_some() {
            let last = *counter;
            packet = Packet::pcr_only(pid, last, Pcr::from_ticks(now as u64).unwrap());
            packet.as_bytes_mut()[4] = 7;
            packet.set_adaptation_field_control(true, true);
        }
        let serial = self.serial.to_be_bytes();
        packet.payload_mut().fill(serial[3] ^ 0x5A);
        packet.payload_mut()[..4].copy_from_slice(&serial);
        packet
    }
}

fn syntax(extension: u16, version: u8, number: u8, last_number: u8) -> SectionSyntax {
    SectionSyntax {
        extension,
        version,
        current: true,
        number,
        last_number,
    }
}

fn sdt(services: &[Service], version: u8) -> SectionBuf {
    let descriptors: Vec<Vec<u8>> = services
        .iter()
        .map(|service| {
            let mut room = [0; 64];
            let mut put = Put::new(&mut room);
            let descriptor = ServiceDescriptor {
                service_type: ServiceType::TELEVISION,
                provider: Text::new(b"Wir"),
                name: Text::new(service.name.as_bytes()),
            };
            descriptor.write(&mut put);
            put.written().unwrap().to_vec()
        })
        .collect();
    let lines: Vec<_> = services
        .iter()
        .zip(&descriptors)
        .map(|(service, descriptors)| SdtService {
            service: ServiceId(service.id),
            eit_schedule: true,
            eit_present_following: true,
            running: RunningStatus::Running,
            scrambled: service.ecm.is_some(),
            descriptors: Descriptors::new(descriptors),
        })
        .collect();
    let fields = SdtFields {
        actual: true,
        syntax: syntax(7, version, 0, 0),
        original_network: OriginalNetworkId(0x233A),
        services: &lines,
    };
    fields.to_section().unwrap()
}

fn eit(service: u16, table: u8, number: u8) -> SectionBuf {
    let kind = EitKind::from_table_id(TableId(table)).unwrap();
    let last = if table == 0x50 { 0 } else { 1 };
    let fields = EitFields {
        kind,
        syntax: syntax(service, 5, number, last),
        transport_stream: TransportStreamId(7),
        original_network: OriginalNetworkId(0x233A),
        segment_last_section: last,
        last_table: TableId(table),
        events: &[],
    };
    fields.to_section().unwrap()
}
