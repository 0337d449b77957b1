//! From packets to records: what the side index says of a stream.
//!
//! The machines of [`crate::stream`] observe; here their observations become records. Each packet
//! costs a look at its counter and one table entry; only packets of tables and video are handed
//! on, and only those that start something are looked into.

use crate::si::{ServiceId, SpliceCommand, SpliceInfo, StreamKind};
use crate::stream::codec::Codec;
use crate::stream::continuity::Continuity;
use crate::stream::rap::{RandomAccess, RapDetector, RapKind};
use crate::stream::{ProgramEvent, Programs};
use crate::ts::{PACKET_SIZE, Packet, Pcr, Pid};
use crate::units::{Ticks27M, WallTime};

use super::index::{AccessKind, Record, What};

/// A PCR is recorded about once in this time.
const PCR_EVERY: Ticks27M = Ticks27M::SECOND;

/// A PCR that moves by more than this or backward is recorded as a discontinuity. Less than a
/// timeline follows ([`Timeline::LONGEST_STEP`](crate::stream::timeline::Timeline::LONGEST_STEP)): what is
/// recorded is what §2.7.2 of ISO/IEC 13818-1 (100 ms) does not allow ten times over, so that
/// whoever reads the index may count on the clock between two records without a flag.
const PCR_JUMP: Ticks27M = Ticks27M::SECOND;

/// Breaks of continuity are recorded once in this time for each PID, with their count.
const BREAKS_EVERY: Ticks27M = Ticks27M::SECOND;

/// A PCR that came this long before a picture does not date it: PCRs come every 0.1 s, and behind
/// a silence the clock may be another.
const PCR_STALE: Ticks27M = Ticks27M::SECOND;

/// Video PIDs that are looked at, at most.
const MAX_VIDEOS: usize = 255;

/// What is known of the clock on a PID.
struct ClockOn {
    pid: Pid,
    pcr: Pcr,
    /// When it came, and when one was recorded last; `None` from a step of the wall clock to the
    /// next PCR, as old stamps cannot be compared with new ones.
    stamps: Option<(WallTime, WallTime)>,
}

/// Breaks of continuity on a PID that are not recorded yet.
struct Breaks {
    pid: Pid,
    count: u64,
    recorded: WallTime,
}

/// One video PID.
struct Video {
    pid: Pid,
    clock: Option<Pid>,
    detector: RapDetector,
    /// When the PES packet under inspection started to come.
    started: WallTime,
    /// It started in the segment before.
    elsewhere: bool,
}

/// True when what was recorded last at `recorded` is to be recorded again at `at`: stamps that go
/// back are another clock's, by which it was never recorded.
fn is_due(recorded: WallTime, at: WallTime, every: Ticks27M) -> bool {
    let since = at - recorded;
    since.is_negative() || since >= every
}

/// What is to be done with the packets of a PID: 0 nothing, 1 they carry tables, from 2 on they
/// are video, with the place of the detector.
type Class = u8;
const TABLES: Class = 1;
const VIDEO: Class = 2;

/// Turns packets into records.
pub struct Indexer {
    classes: Box<[Class; Pid::COUNT]>,
    continuity: Continuity,
    programs: Programs,
    videos: Vec<Video>,
    clocks: Vec<ClockOn>,
    breaks: Vec<Breaks>,
    observed: Vec<ProgramEvent>,
    records: Vec<Record>,
    /// Where the packets so far end in their segment.
    reach: u64,
}

impl Default for Indexer {
    fn default() -> Self {
        let mut indexer = Self {
            classes: Box::new([0; Pid::COUNT]),
            continuity: Continuity::new(),
            programs: Programs::new(),
            videos: Vec::new(),
            clocks: Vec::new(),
            breaks: Vec::new(),
            observed: Vec::new(),
            records: Vec::new(),
            reach: 0,
        };
        indexer.classify();
        indexer
    }
}

impl Indexer {
    /// Takes packets that follow the last ones: the first stands at byte `offset`, all came at
    /// `at`. Where offsets go back, a segment begins.
    pub fn push(&mut self, packets: &[Packet], offset: u64, at: WallTime) {
        if offset < self.reach {
            self.videos.iter_mut().for_each(|v| v.elsewhere = true);
        }
        let mut position = offset;
        for packet in packets {
            if self.continuity.push(packet).is_some() {
                self.broken(packet.pid(), position, at);
            }
            // First the clock: a picture that begins in this packet is dated by it.
            if let Some(pcr) = packet.pcr() {
                self.clock(packet, pcr, position, at);
            }
            match self.classes[packet.pid().index()] {
                0 => {
                    // Without tables, the indicator is all there is.
                    if self.videos.is_empty() && packet.has_adaptation() && packet.random_access() {
                        self.indicated(packet.pid(), position, at);
                    }
                }
                TABLES => self.table(packet, position, at),
                video => self.video(usize::from(video - VIDEO), packet, position, at),
            }
            position += PACKET_SIZE as u64;
        }
        self.reach = position;
    }

    /// Forgets what was begun: packets are missing from here on, and why is known.
    pub fn reset(&mut self) {
        self.continuity.reset();
        self.videos.iter_mut().for_each(|v| v.detector.reset());
    }

    /// The wall clock was set: what comes from here on is stamped by another clock.
    pub(super) fn clock_set(&mut self) {
        self.clocks.iter_mut().for_each(|c| c.stamps = None);
    }

    /// The records made since the last call.
    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Takes back the memory of [`Indexer::take`], emptied.
    pub(super) fn give_back(&mut self, records: Vec<Record>) {
        if self.records.is_empty() {
            self.records = records;
        }
    }

    fn broken(&mut self, pid: Pid, offset: u64, at: WallTime) {
        let known = self.breaks.iter().position(|b| b.pid == pid);
        let place = known.unwrap_or_else(|| {
            self.breaks.push(Breaks {
                pid,
                count: 0,
                recorded: at - BREAKS_EVERY,
            });
            self.breaks.len() - 1
        });
        if let Some(breaks) = self.breaks.get_mut(place) {
            breaks.count += 1;
            if is_due(breaks.recorded, at, BREAKS_EVERY) {
                let count = std::mem::take(&mut breaks.count);
                breaks.recorded = at;
                let what = What::Discontinuity { pid, count };
                self.records.push(Record::new(offset, at, what));
            }
        }
    }

    fn indicated(&mut self, pid: Pid, offset: u64, at: WallTime) {
        let what = What::RandomAccess {
            pid,
            kind: AccessKind::Indicated,
            pts: None,
            presentation: None,
        };
        self.records.push(Record::new(offset, at, what));
    }

    fn video(&mut self, place: usize, packet: &Packet, offset: u64, at: WallTime) {
        let Some(video) = self.videos.get_mut(place) else {
            return;
        };
        if packet.payload_unit_start() {
            video.started = at;
            video.elsewhere = false;
        }
        let Some(point) = video.detector.push(packet, offset) else {
            return;
        };
        let RandomAccess {
            position,
            kind,
            pts,
            ..
        } = point;
        let clock = video.clock.unwrap_or(video.pid);
        let clock = self.clocks.iter().find(|c| c.pid == clock);
        let presentation = clock.zip(pts).and_then(|(clock, pts)| {
            let (came, _) = clock.stamps?;
            (at - came < PCR_STALE).then(|| came + (pts - clock.pcr))
        });
        let what = What::RandomAccess {
            pid: video.pid,
            kind: match kind {
                RapKind::Closed => AccessKind::Closed,
                RapKind::Open => AccessKind::Open,
            },
            pts,
            presentation,
        };
        // An index speaks of its own segment: of a point that starts in the one before, the first
        // byte that tells.
        let (position, came) = match video.elsewhere {
            true => (offset, at),
            false => (position, video.started),
        };
        self.records.push(Record::new(position, came, what));
    }

    fn clock(&mut self, packet: &Packet, pcr: Pcr, offset: u64, at: WallTime) {
        let pid = packet.pid();
        let known = self.clocks.iter_mut().find(|c| c.pid == pid);
        let mut jumped = false;
        match known {
            Some(clock) => {
                let step = pcr - clock.pcr;
                jumped = packet.discontinuity() || step.is_negative() || step > PCR_JUMP;
                clock.pcr = pcr;
                let recorded = clock.stamps.map(|(_, recorded)| recorded);
                let recent = recorded.filter(|recorded| !is_due(*recorded, at, PCR_EVERY));
                if let Some(recorded) = recent.filter(|_| !jumped) {
                    clock.stamps = Some((at, recorded));
                    return;
                }
                clock.stamps = Some((at, at));
            }
            None => self.clocks.push(ClockOn {
                pid,
                pcr,
                stamps: Some((at, at)),
            }),
        }
        let what = What::Pcr {
            pid,
            pcr,
            discontinuity: jumped,
        };
        self.records.push(Record::new(offset, at, what));
    }

    fn table(&mut self, packet: &Packet, offset: u64, at: WallTime) {
        let observed = &mut self.observed;
        self.programs
            .push(packet, &mut |event| observed.push(event));
        if self.observed.is_empty() {
            return;
        }
        for event in std::mem::take(&mut self.observed) {
            if let Some(what) = self.said(event) {
                self.records.push(Record::new(offset, at, what));
            }
        }
        self.classify();
    }

    /// The record of what the tables say; `None` for what is not indexed.
    fn said(&self, event: ProgramEvent) -> Option<What> {
        Some(match event {
            ProgramEvent::PmtChanged {
                service, version, ..
            } => {
                let known = self.programs.service(service)?;
                let section = self.programs.pmt_section(service)?;
                let crc = section.as_bytes().last_chunk().copied().unwrap_or_default();
                What::Program {
                    service: service.0,
                    pmt_pid: known.pmt_pid,
                    pcr_pid: known.pcr_pid.unwrap_or(Pid::NULL),
                    version,
                    crc: u32::from_be_bytes(crc),
                }
            }
            ProgramEvent::ServiceNamed { service, name } => What::Service {
                service: service.0,
                kind: self.service_type(service),
                name,
            },
            ProgramEvent::PresentChanged {
                service,
                programme: Some(programme),
                ..
            } => {
                let seconds = programme.duration.map_or(0, |d| d.as_millis() / 1000);
                What::Event {
                    service: service.0,
                    event: programme.event.0,
                    start: programme.start,
                    duration_s: u32::try_from(seconds).unwrap_or(0),
                    title: programme.title,
                }
            }
            ProgramEvent::Splice { pid, section, .. } => {
                let info = SpliceInfo::new(section.section()).ok()?;
                What::Splice {
                    pid,
                    command: info.command().map_or(0xFF, |c| c.kind()),
                    event: match info.command() {
                        Some(SpliceCommand::Insert(insert)) => Some(insert.event),
                        _ => None,
                    },
                    pts: info.splice_time(),
                }
            }
            _ => return None,
        })
    }

    fn service_type(&self, service: ServiceId) -> u8 {
        let known = self.programs.service(service);
        known.and_then(|s| s.service_type).map_or(0, |t| t.0)
    }

    /// Makes the classes what the tables say.
    fn classify(&mut self) {
        self.classes.fill(0);
        for pid in self.programs.pids().iter() {
            self.classes[pid.index()] = TABLES;
        }
        let mut before = std::mem::take(&mut self.videos);
        for service in self.programs.services() {
            let streams = service
                .streams
                .iter()
                .filter(|s| s.kind == StreamKind::Video);
            for stream in streams.take(MAX_VIDEOS - VIDEO as usize) {
                let codec = Codec::of(stream.stream_type.0, &[]);
                let Some(fresh) = RapDetector::new(codec) else {
                    continue;
                };
                let seen = self.videos.iter().any(|v| v.pid == stream.pid);
                // A PMT may claim the PID of a table; tables go first.
                let table = self.classes[stream.pid.index()] == TABLES;
                if seen || table || self.videos.len() >= MAX_VIDEOS - VIDEO as usize {
                    continue;
                }
                let known = before
                    .iter()
                    .position(|v| v.pid == stream.pid && v.detector.codec() == codec);
                let mut video = known.map_or_else(
                    || Video {
                        pid: stream.pid,
                        clock: None,
                        detector: fresh,
                        started: WallTime::default(),
                        elsewhere: false,
                    },
                    |i| before.swap_remove(i),
                );
                video.clock = service.pcr_pid;
                self.classes[stream.pid.index()] = VIDEO + self.videos.len() as u8;
                self.videos.push(video);
            }
        }
    }
}
