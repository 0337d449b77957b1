//! A stream in simulated time, and what the checks say of it.

mod pids;
mod psi;
mod si;

use std::collections::BTreeMap;

use super::*;
use crate::monitor::Finding;
use crate::si::descriptor::Descriptors;
use crate::si::{
    DvbTime, EitFields, EitKind, OriginalNetworkId, PatEntry, PatFields, PmtFields, PmtStream,
    RunningStatus, SdtFields, SdtService, ServiceId, StreamType, Tdt, Tot, TransportStreamId,
};
use crate::stream::event::{Event as _, Value};
use crate::stream::{ProgramEvent, SectionPacketizer};
use crate::ts::{ContinuityCounter, Packet, SectionBuf, SectionSyntax, TableId};
use crate::units::Arrival;

const VIDEO: Pid = Pid::from_field(0x101);
const AUDIO: Pid = Pid::from_field(0x102);
const PMT: Pid = Pid::from_field(0x100);

const fn ms(n: i64) -> Ticks27M {
    Ticks27M::from_millis(n)
}

const TICK: Ticks27M = Ticks27M::new(1);

/// Fields of a table of one section.
fn syntax(extension: u16, number: u8, last_number: u8) -> SectionSyntax {
    SectionSyntax {
        extension,
        version: 1,
        current: true,
        number,
        last_number,
    }
}

fn pat() -> SectionBuf {
    let entry = PatEntry {
        program: ServiceId(1),
        pid: PMT,
    };
    PatFields::new(TransportStreamId(7), 0, &[entry])
        .to_section()
        .unwrap()
}

fn stream(kind: u8, pid: Pid) -> PmtStream<'static> {
    PmtStream {
        stream_type: StreamType(kind),
        pid,
        descriptors: Descriptors::NONE,
    }
}

fn pmt_with(version: u8, streams: &[PmtStream<'_>]) -> SectionBuf {
    PmtFields::new(ServiceId(1), version, VIDEO, Descriptors::NONE, streams)
        .to_section()
        .unwrap()
}

/// AVC and MPEG audio.
fn pmt() -> SectionBuf {
    pmt_with(0, &[stream(0x1B, VIDEO), stream(0x03, AUDIO)])
}

/// NIT and BAT: two empty loops (EN 300 468 §5.2.1, §5.2.2).
fn two_loops(id: u8, extension: u16, number: u8, last: u8) -> SectionBuf {
    let body = [0xF0, 0, 0xF0, 0];
    SectionBuf::long(TableId(id), true, syntax(extension, number, last), &body).unwrap()
}

fn sdt(actual: bool, stream: u16) -> SectionBuf {
    sdt_with(actual, stream, true)
}

/// One service, and whether it has an EIT present/following.
fn sdt_with(actual: bool, stream: u16, eit: bool) -> SectionBuf {
    SdtFields {
        actual,
        syntax: syntax(stream, 0, 0),
        original_network: OriginalNetworkId(1),
        services: &[SdtService {
            service: ServiceId(1),
            eit_schedule: false,
            eit_present_following: eit,
            running: RunningStatus::Running,
            scrambled: false,
            descriptors: Descriptors::NONE,
        }],
    }
    .to_section()
    .unwrap()
}

fn eit_of(kind: EitKind, service: u16, number: u8, last: u8, version: u8) -> SectionBuf {
    EitFields {
        kind,
        syntax: SectionSyntax {
            version,
            ..syntax(service, number, last)
        },
        transport_stream: TransportStreamId(7),
        original_network: OriginalNetworkId(1),
        segment_last_section: number,
        last_table: kind.table_id().unwrap(),
        events: &[],
    }
    .to_section()
    .unwrap()
}

fn eit_pf(actual: bool, service: u16, number: u8) -> SectionBuf {
    let kind = EitKind {
        actual,
        schedule: None,
    };
    eit_of(kind, service, number, 1, 1)
}

fn tdt() -> SectionBuf {
    Tdt {
        time: DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]),
    }
    .to_section()
    .unwrap()
}

fn tot() -> SectionBuf {
    Tot {
        time: DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]),
        descriptors: Descriptors::NONE,
    }
    .to_section()
    .unwrap()
}

/// The checks behind a stream that is written as time goes.
struct Sim {
    tables: Tables,
    programs: Programs,
    at: Moment,
    packetizers: BTreeMap<Pid, SectionPacketizer>,
    counters: BTreeMap<Pid, ContinuityCounter>,
    found: Vec<Finding>,
    next_tick: Ticks27M,
}

impl Sim {
    fn new(limits: TableLimits) -> Self {
        Self {
            tables: Tables::new(limits),
            programs: Programs::new(),
            at: Moment::default(),
            packetizers: BTreeMap::new(),
            counters: BTreeMap::new(),
            found: Vec::new(),
            next_tick: Ticks27M::ZERO,
        }
    }

    /// One packet, at this moment.
    fn packet(&mut self, packet: &Packet) {
        self.flagged(packet, false, false);
    }

    fn flagged(&mut self, packet: &Packet, broken: bool, repeated: bool) {
        let mut changed = false;
        self.programs.push(packet, &mut |event| {
            changed |= matches!(
                event,
                ProgramEvent::PatChanged { .. } | ProgramEvent::PmtChanged { .. }
            );
        });
        if changed {
            self.tables.services(&self.programs, self.at);
        }
        let seen = Seen {
            packet,
            pid: packet.pid(),
            at: self.at,
            arrival: Arrival::default(),
            broken,
            repeated,
        };
        let found = &mut self.found;
        self.tables.push(&seen, &mut |f| found.push(f));
        self.at.position += 1;
    }

    /// Sections on a PID, all at this moment.
    fn send(&mut self, pid: Pid, sections: &[SectionBuf]) {
        for packet in self.cut(pid, sections) {
            self.packet(&packet);
        }
    }

    fn cut(&mut self, pid: Pid, sections: &[SectionBuf]) -> Vec<Packet> {
        let packetizer = self
            .packetizers
            .entry(pid)
            .or_insert_with(|| SectionPacketizer::new(pid));
        let mut packets = Vec::new();
        packetizer.push(sections, |p| packets.push(*p));
        packets
    }

    /// A packet of a stream; scrambled or not.
    fn media(&mut self, pid: Pid, scrambled: bool) {
        let counter = self.counters.entry(pid).or_default();
        *counter = counter.next();
        let mut packet = Packet::new(pid, *counter);
        if scrambled {
            packet.as_bytes_mut()[3] |= 0x80;
        }
        self.packet(&packet);
    }

    fn tick(&mut self) {
        let found = &mut self.found;
        self.tables.tick(self.at, &mut |f| found.push(f));
    }

    /// Time goes on to `time`, with a tick every 100 ms.
    fn go(&mut self, time: Ticks27M) {
        self.next_tick = self.next_tick.max(self.at.time);
        while self.next_tick <= time {
            self.at.time = self.next_tick;
            self.tick();
            self.next_tick += ms(100);
        }
        self.at.time = time;
    }

    /// The same, and a tick at the end.
    fn to(&mut self, time: Ticks27M) {
        self.go(time);
        self.tick();
    }

    /// Writes the `plan` up to `end`.
    fn run(&mut self, plan: &mut [Item], end: Ticks27M) {
        while let Some(item) = plan.iter_mut().min_by_key(|item| item.next)
            && item.next <= end
        {
            self.go(item.next);
            match &item.what {
                What::Sections(all) => {
                    let section = all[item.turn % all.len()].clone();
                    self.send(item.pid, &[section]);
                }
                What::Media => self.media(item.pid, false),
                What::Scrambled => self.media(item.pid, true),
            }
            item.turn += 1;
            item.next += item.every;
        }
        self.to(end);
    }

    /// How often each check was raised.
    fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for finding in &self.found {
            *counts.entry(finding.check.name()).or_insert(0) += 1;
        }
        counts
    }

    fn of(&self, check: Check) -> Vec<&Finding> {
        self.found.iter().filter(|f| f.check == check).collect()
    }

    #[track_caller]
    fn expect(&self, expected: &[(Check, usize)]) {
        let expected: BTreeMap<_, _> = expected.iter().map(|(c, n)| (c.name(), *n)).collect();
        assert_eq!(self.counts(), expected, "{:#?}", self.found);
    }
}

/// A field of a finding, as text.
fn field(finding: &Finding, key: &str) -> String {
    let mut text = String::new();
    finding.fields(&mut |name, value| {
        if name == key {
            text = match value {
                Value::Number(n) => n.to_string(),
                Value::Text(t) => t,
            };
        }
    });
    text
}

enum What {
    /// One of these at a time, in turn.
    Sections(Vec<SectionBuf>),
    Media,
    Scrambled,
}

/// Something that is sent again and again.
struct Item {
    pid: Pid,
    what: What,
    every: Ticks27M,
    next: Ticks27M,
    turn: usize,
}

fn every(milliseconds: i64, from: i64, pid: Pid, what: What) -> Item {
    Item {
        pid,
        what,
        every: ms(milliseconds),
        next: ms(from),
        turn: 0,
    }
}

fn tables(milliseconds: i64, from: i64, pid: Pid, sections: &[SectionBuf]) -> Item {
    every(milliseconds, from, pid, What::Sections(sections.to_vec()))
}

/// PAT, PMT, video and audio.
fn mpeg() -> Vec<Item> {
    vec![
        tables(500, 0, Pid::PAT, &[pat()]),
        tables(500, 1, PMT, &[pmt()]),
        every(40, 2, VIDEO, What::Media),
        every(24, 3, AUDIO, What::Media),
    ]
}

/// The same with all tables of a DVB stream, each exactly as seldom as it may come.
fn dvb() -> Vec<Item> {
    let mut plan = mpeg();
    let pf = |actual, service| [eit_pf(actual, service, 0), eit_pf(actual, service, 1)];
    plan.extend([
        tables(10_000, 10, Pid::NIT, &[two_loops(0x40, 1, 0, 0)]),
        tables(10_000, 50, Pid::NIT, &[two_loops(0x41, 2, 0, 0)]),
        tables(2_000, 20, Pid::SDT, &[sdt(true, 7)]),
        tables(10_000, 60, Pid::SDT, &[sdt(false, 8)]),
        tables(10_000, 70, Pid::SDT, &[two_loops(0x4A, 3, 0, 0)]),
        tables(1_000, 30, Pid::EIT, &pf(true, 1)),
        tables(5_000, 40, Pid::EIT, &pf(false, 9)),
        tables(30_000, 80, Pid::TDT, &[tdt()]),
        tables(30_000, 90, Pid::TDT, &[tot()]),
    ]);
    plan
}

#[test]
fn an_hour_at_every_limit_is_healthy() {
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut dvb(), Ticks27M::SECOND * 3600);
    sim.expect(&[]);
    for check in Check::ALL {
        let unjudged = matches!(check, Check::RstError);
        let judged = sim.tables.verdict(*check) == Verdict::Judged;
        assert_eq!(judged, !unjudged, "{check}");
    }
}

#[test]
fn what_was_measured_is_what_was_sent() {
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut dvb(), Ticks27M::SECOND * 100 - TICK);
    let measures = sim.tables.measures();
    let of = |id: u8| measures.tables.iter().find(|t| t.table_id == id).unwrap();
    // Every 10 s from 10 ms on: ten within 100 s. 16 bytes are 8 of header, 4 of two empty loops
    // and CRC_32; nine of them after the first, in 90 s.
    let nit = of(0x40);
    assert_eq!((nit.sections_total, nit.bytes_total), (10, 160));
    assert_eq!(nit.rate_bps, Some((9 * 16 * 8 + 45) / 90));
    let interval = (
        nit.interval_min_ms,
        nit.interval_mean_ms,
        nit.interval_max_ms,
    );
    assert_eq!(interval, (Some(10_000.0), Some(10_000.0), Some(10_000.0)));
    assert_eq!((nit.pid, nit.table_id_extension), (0x10, Some(1)));
    assert_eq!(
        (nit.version, nit.last_section, nit.limit_ms),
        (Some(1), Some(0), Some(10_000))
    );
    // Sections 0 and 1 in turn each second: 100 of them, each again after 2 s.
    let eit = of(0x4E);
    assert_eq!(
        (eit.sections_total, eit.interval_mean_ms),
        (100, Some(2_000.0))
    );
    assert_eq!(
        (eit.transport_stream_id, eit.original_network_id),
        (Some(7), Some(1))
    );
    let pat = of(0x00);
    assert_eq!(
        (pat.sections_total, pat.interval_max_ms, pat.limit_ms),
        (200, Some(500.0), None)
    );
    assert_eq!(measures.crc_errors_total, 0);
    assert_eq!(
        measures.sections_total,
        measures
            .tables
            .iter()
            .map(|t| t.sections_total)
            .sum::<u64>()
    );
}

#[test]
fn a_reset_voids_what_was_timed() {
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut dvb(), Ticks27M::SECOND * 60);
    // A gap of five minutes, told by a reset: nothing was late in it.
    sim.at.time += Ticks27M::SECOND * 300;
    sim.tables.reset(sim.at);
    let mut plan = dvb();
    for item in &mut plan {
        item.next += sim.at.time;
    }
    sim.run(&mut plan, Ticks27M::SECOND * 420);
    sim.expect(&[]);
}
