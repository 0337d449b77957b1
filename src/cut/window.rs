//! What happens around an edge: where PES packets and sections start and end on every PID.

use std::collections::BTreeMap;

use super::contents::Contents;
use super::edit::{Action, Script, tail_only};
use super::find::Point;
use super::line::PlacedPcr;
use crate::stream::codec::Codec;
use crate::stream::packetize::pes_packets;
use crate::stream::rap::RapDetector;
use crate::stream::split_sound::{SplitSound, split};
use crate::ts::{Packet, Pcr, PesHeader, Pid, Pts, Scrambling, Section};
use crate::units::Ticks27M;

/// A PES packet of which the start is in the window.
#[derive(Debug)]
struct Pes {
    position: u64,
    pts: Option<Pts>,
    /// All of it, for sound; empty otherwise.
    bytes: Vec<u8>,
    /// Bytes that its header announced, if it did.
    announced: Option<usize>,
    /// Bytes that came.
    came: usize,
    /// Its last packet so far is stuffed, as the last of a PES packet nearly always is.
    stuffed: bool,
    /// A decoder can start here (video beside the main one).
    access: bool,
}

impl Pes {
    fn is_whole(&self) -> bool {
        match self.announced {
            Some(announced) => self.came >= announced,
            None => self.stuffed,
        }
    }
}

/// What one PID carries in the window.
#[derive(Debug, Default)]
struct Carried {
    pes: Vec<Pes>,
    detector: Option<RapDetector>,
    /// `Some` when it carries sections.
    sections: Option<Sections>,
}

/// Where in its sections a PID is.
#[derive(Debug, Default)]
struct Sections {
    /// Bytes of the section begun that are still to come; `None` before the first start.
    open: Option<usize>,
    /// The first bytes of a section of which the length is not there yet.
    head: Vec<u8>,
    /// The end of the section that was open at the edge: from there on nothing is kept.
    end: Option<u64>,
    /// Behind the last packet with which no section was left open.
    closed: Option<u64>,
    /// In place of the packet before `end`: one in which another section starts.
    last: Option<(u64, Packet)>,
}

/// A window being read.
#[derive(Debug)]
pub struct Window {
    contents: Contents,
    /// Sections that begin from here on are not wanted.
    stop: u64,
    carried: BTreeMap<Pid, Carried>,
    clock_pid: Pid,
    /// The last PCR before the edge's point and the first at or behind it, of every clock.
    around: BTreeMap<Pid, EitherSide>,
    point: u64,
    bytes_kept: usize,
    bytes_not_kept: u64,
    end: u64,
}

/// The PCRs of one clock on either side of a point.
type EitherSide = (Option<PlacedPcr>, Option<PlacedPcr>);

/// The most bytes of sound that a window keeps: sixteen streams of 640 kbit/s for ten seconds.
const MOST_SOUND: usize = 16 << 20;

impl Window {
    /// An empty window around the point at `point`, in a stream of these contents with this PID
    /// of the clock; sections that begin behind `stop` are not wanted.
    pub fn new(contents: Contents, clock_pid: Pid, point: u64, stop: u64) -> Self {
        Self {
            contents,
            stop,
            carried: BTreeMap::new(),
            clock_pid,
            around: BTreeMap::new(),
            point,
            bytes_kept: 0,
            bytes_not_kept: 0,
            end: 0,
        }
    }

    /// PAT and PMTs as they stand behind the last packet.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Bytes of sound beyond what a window keeps: the PES packets they belong to are not split.
    pub fn bytes_not_kept(&self) -> u64 {
        self.bytes_not_kept
    }

    /// Takes the next packet.
    pub fn push(&mut self, position: u64, packet: &Packet) {
        let pid = packet.pid();
        self.end = position + 1;
        if pid == Pid::NULL {
            return;
        }
        if position <= self.point {
            self.contents.push(packet);
        }
        if let Some(pcr) = packet.pcr() {
            let mark = PlacedPcr { position, pcr };
            let around = self.around.entry(pid).or_default();
            if position < self.point {
                around.0 = Some(mark);
            } else {
                around.1.get_or_insert(mark);
            }
        }
        if !packet.has_payload() || packet.scrambling() != Scrambling::Clear {
            return;
        }
        let codec = self.contents.codec_of(pid);
        let carried = self.carried.entry(pid).or_default();
        let starts = packet.payload_unit_start();
        let payload = packet.payload();
        if starts && payload.starts_with(&[0, 0, 1]) {
            if carried.detector.is_none() {
                carried.detector = codec.and_then(RapDetector::new);
            }
            carried.pes.push(Pes::starting(position, payload));
        } else if starts && carried.pes.is_empty() {
            carried.sections.get_or_insert_default();
        }
        if let Some(sections) = &mut carried.sections {
            sections.push(position, packet, self.stop);
            return;
        }
        let Some(pes) = carried.pes.last_mut() else {
            return;
        };
        pes.came += payload.len();
        pes.stuffed = packet.has_adaptation() && packet.payload_offset() > 5;
        if codec.is_some_and(Codec::is_audio) {
            if self.bytes_kept < MOST_SOUND {
                pes.bytes.extend_from_slice(payload);
                self.bytes_kept += payload.len();
            } else {
                self.bytes_not_kept += payload.len() as u64;
            }
        }
        if let Some(rap) = carried
            .detector
            .as_mut()
            .and_then(|d| d.push(packet, position))
        {
            pes.access |= rap.position == pes.position;
        }
    }
}

/// What divides the packets before from those behind.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The instant that divides.
    pub at: Pts,
    /// The position that divides where there is no instant.
    pub position: u64,
}

impl Edge {
    /// Farther apart, a stamp is of another clock and says nothing.
    const FAR: Ticks27M = Ticks27M::new(60 * 27_000_000);

    /// True when the packet lies behind the edge; `None` when it has no stamp.
    fn is_passed_by(self, pes: &Pes) -> Option<bool> {
        let ahead = pes.pts? - self.at;
        Some(if ahead.abs() > Self::FAR {
            pes.position >= self.position
        } else {
            !ahead.is_negative()
        })
    }
}

impl Window {
    /// The scripts that let each PID in behind the edge; `picture` is the point there.
    pub fn scripts_in(&self, picture: &Point) -> Vec<Script> {
        let edge = Edge {
            at: picture.presents,
            position: picture.position,
        };
        let mut scripts = vec![main_in(picture)];
        for (pid, carried) in &self.carried {
            if *pid == picture.pid || !carried.is_stamped() {
                continue;
            }
            let edge = self.edge_of(*pid, edge);
            let enters = |pes: &Pes| {
                (carried.detector.is_none() || pes.access) && edge.is_passed_by(pes) == Some(true)
            };
            let actions = match carried.pes.iter().position(enters) {
                None => vec![(self.end.max(edge.position), Action::Gate)],
                Some(first) => self.enter(*pid, carried, first, edge.at),
            };
            scripts.push(Script { pid: *pid, actions });
        }
        scripts
    }

    /// The PIDs on which something is presented behind the edge, as far as the window reaches.
    pub fn present(&self, edge: Edge) -> Vec<Pid> {
        let stamped = |(pid, carried): &(&Pid, &Carried)| {
            let edge = self.edge_of(**pid, edge);
            let mut pes = carried.pes.iter();
            pes.any(|pes| edge.is_passed_by(pes) == Some(true))
        };
        let present = self.carried.iter().filter(stamped);
        present.map(|(pid, _)| *pid).collect()
    }

    /// A PID whose packet number `first` is the first behind the edge.
    fn enter(&self, pid: Pid, carried: &Carried, first: usize, at: Pts) -> Vec<(u64, Action)> {
        let seam = self.seam(pid, carried, first, at);
        let mut actions = Vec::new();
        if let (Some(bytes), Some(last)) = (seam.after, carried.before(first)) {
            actions.push((last.position, Action::Replace(pes_packets(pid, &bytes))));
        }
        let Some(next) = carried.pes.get(first) else {
            return actions;
        };
        match (seam.next, carried.pes.get(first + 1)) {
            (Some(bytes), Some(behind)) => {
                actions.push((next.position, Action::Replace(pes_packets(pid, &bytes))));
                actions.push((behind.position, Action::Pass));
            }
            _ => actions.push((next.position, Action::Pass)),
        }
        actions
    }

    /// The scripts that let each PID out before the edge; `main` is dropped from `edge.position`.
    pub fn scripts_out(&self, main: Pid, edge: Edge) -> Vec<Script> {
        let mut scripts = vec![Script {
            pid: main,
            actions: vec![(edge.position, Action::Drop)],
        }];
        for (pid, carried) in self.carried.iter().filter(|(pid, _)| **pid != main) {
            let actions = if let Some(sections) = &carried.sections {
                sections.leave(self.contents.is_psi(*pid), self.end)
            } else {
                self.leave(*pid, carried, self.edge_of(*pid, edge))
            };
            scripts.push(Script { pid: *pid, actions });
        }
        scripts
    }

    /// The scripts for the end of the material: no PES packet that is cut off, no sound behind
    /// the last picture.
    pub fn scripts_at_end(&self, main: Pid, edge: Edge) -> Vec<Script> {
        let mut scripts = self.scripts_out(main, edge);
        for script in &mut scripts {
            let Some(last) = self.carried.get(&script.pid).and_then(|c| c.pes.last()) else {
                continue;
            };
            if !last.is_whole() {
                script.actions.retain(|(at, _)| *at < last.position);
                script.actions.push((last.position, Action::Drop));
            }
        }
        scripts
    }

    fn leave(&self, pid: Pid, carried: &Carried, edge: Edge) -> Vec<(u64, Action)> {
        let beyond = |pes: &Pes| match edge.is_passed_by(pes) {
            Some(behind) => behind,
            None => !carried.is_stamped() && pes.position >= edge.position,
        };
        let Some(first) = carried.pes.iter().position(beyond) else {
            return vec![(self.end, Action::Drop)];
        };
        let mut actions = Vec::new();
        let seam = self.seam(pid, carried, first, edge.at);
        if let (Some(bytes), Some(last)) = (seam.before, carried.before(first)) {
            actions.push((last.position, Action::Replace(pes_packets(pid, &bytes))));
        }
        if let Some(next) = carried.pes.get(first) {
            actions.push((next.position, Action::Drop));
        }
        actions
    }

    /// What the edge does to the sound around it.
    fn seam(&self, pid: Pid, carried: &Carried, first: usize, at: Pts) -> SplitSound {
        let codec = self.contents.codec_of(pid).unwrap_or(Codec::Other);
        let whole = |pes: &&Pes| pes.announced == Some(pes.bytes.len());
        let next = carried
            .pes
            .get(first)
            .filter(whole)
            .map(|pes| &pes.bytes[..]);
        match carried.before(first).filter(whole) {
            Some(last) => split(codec, &last.bytes, next, at),
            None => SplitSound::default(),
        }
    }

    /// True when a PID beside `main` is in the middle of a PES packet that is presented before the
    /// edge.
    pub fn is_unsettled(&self, main: Pid, edge: Edge) -> bool {
        self.carried.iter().any(|(pid, carried)| {
            let edge = self.edge_of(*pid, edge);
            let waits = |pes: &Pes| edge.is_passed_by(pes) == Some(false) && !pes.is_whole();
            *pid != main && carried.pes.last().is_some_and(waits)
        })
    }

    /// True when a picture beside `main` has come behind the edge, and no point of its own.
    pub fn awaits_point(&self, main: Pid, edge: Edge) -> bool {
        self.carried.iter().any(|(pid, carried)| {
            let edge = self.edge_of(*pid, edge);
            let behind = |pes: &&Pes| edge.is_passed_by(pes) == Some(true);
            let mut behind = carried.pes.iter().filter(behind).peekable();
            let others = *pid != main && carried.detector.is_some();
            others && behind.peek().is_some() && !behind.any(|pes| pes.access)
        })
    }

    /// True when the packet of the point carries a PCR.
    pub fn has_pcr_at_point(&self) -> bool {
        let behind = self.around(self.clock_pid).1;
        behind.is_some_and(|mark| mark.position == self.point)
    }

    /// The last PCR before the point.
    pub fn last_mark(&self) -> Option<PlacedPcr> {
        self.around(self.clock_pid).0
    }

    fn around(&self, clock: Pid) -> EitherSide {
        self.around.get(&clock).copied().unwrap_or_default()
    }

    /// The edge on the clock that the stamps of `pid` belong to: programs of one multiplex may each
    /// have a clock of their own.
    fn edge_of(&self, pid: Pid, edge: Edge) -> Edge {
        let mut programs = self.contents.programs().iter();
        let owner = programs.find(|p| p.streams.iter().any(|(stream, _)| *stream == pid));
        let position = edge.position.min(self.point);
        let clock = owner.map_or(self.clock_pid, |p| p.clock);
        if clock == self.clock_pid {
            return edge;
        }
        let both = self
            .pcr_of(clock, position)
            .zip(self.pcr_of(self.clock_pid, position));
        let ahead = both.map_or(Ticks27M::ZERO, |(its, main)| its - main);
        Edge {
            at: edge.at + ahead,
            ..edge
        }
    }

    /// The position behind the last packet.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The PCR at `position`, from those around it; `None` when there is none near.
    pub fn pcr_at(&self, position: u64) -> Option<Pcr> {
        self.pcr_of(self.clock_pid, position)
    }

    fn pcr_of(&self, clock: Pid, position: u64) -> Option<Pcr> {
        let (before, behind) = self.around(clock);
        match (before, behind) {
            (Some(a), Some(b)) if b.position > a.position => {
                let whole = i128::from(b.position - a.position);
                let part = i128::from(position.saturating_sub(a.position));
                let span = i128::from((b.pcr - a.pcr).get());
                let ticks = i64::try_from(span * part / whole).unwrap_or(0);
                Some(a.pcr + Ticks27M::new(ticks))
            }
            (Some(mark), _) | (None, Some(mark)) => Some(mark.pcr),
            (None, None) => None,
        }
    }

    /// The last instant at which a picture of `pid` is presented, and how long it stands: as long
    /// as the shortest one near it.
    pub fn last_presented(&self, pid: Pid) -> Option<(Pts, Ticks27M)> {
        let pes = &self.carried.get(&pid)?.pes;
        let whole = |pes: &&Pes| pes.is_whole() || pes.announced.is_none();
        let anchor = pes.iter().find_map(|p| p.pts)?;
        let mut offsets: Vec<i64> = pes
            .iter()
            .filter(whole)
            .filter_map(|p| Some((p.pts? - anchor).get()))
            .collect();
        offsets.sort_unstable();
        offsets.dedup();
        let last = *offsets.last()?;
        let steps = offsets
            .windows(2)
            .filter_map(|w| Some(w.last()? - w.first()?));
        let step = steps.min().unwrap_or(0);
        Some((anchor + Ticks27M::new(last), Ticks27M::new(step)))
    }
}

/// The picture enters at its point, without the leading pictures that are left out there.
fn main_in(picture: &Point) -> Script {
    let mut actions = vec![(picture.position, Action::Pass)];
    for leading in picture.left_out() {
        actions.push((leading.start, Action::Drop));
        actions.push((leading.end, Action::Pass));
    }
    Script {
        pid: picture.pid,
        actions,
    }
}

impl Carried {
    /// True when its PES packets have stamps to go by.
    fn is_stamped(&self) -> bool {
        self.pes.iter().any(|pes| pes.pts.is_some())
    }

    fn before(&self, first: usize) -> Option<&Pes> {
        self.pes.get(first.checked_sub(1)?)
    }
}

impl Pes {
    fn starting(position: u64, payload: &[u8]) -> Self {
        let header = PesHeader::new(payload);
        let announced = header.map(|h| usize::from(h.packet_length()));
        Self {
            position,
            pts: header.and_then(|h| h.pts()),
            bytes: Vec::new(),
            announced: announced.filter(|n| *n > 0).map(|n| n + 6),
            came: 0,
            stuffed: false,
            access: false,
        }
    }
}

impl Sections {
    fn push(&mut self, position: u64, packet: &Packet, stop: u64) {
        let starts = packet.payload_unit_start();
        let was_open = self.is_open();
        self.follow(packet.payload(), starts);
        if !self.is_open() {
            self.closed = Some(position + 1);
        }
        if position < stop || self.end.is_some() {
            return;
        }
        if !was_open {
            self.end = Some(position);
        } else if starts {
            let tail = tail_only(packet);
            self.end = Some(position + u64::from(tail.is_some()));
            self.last = tail.map(|tail| (position, tail));
        } else if !self.is_open() {
            self.end = Some(position + 1);
        }
    }

    fn is_open(&self) -> bool {
        self.open.is_some_and(|left| left > 0) || !self.head.is_empty()
    }

    fn follow(&mut self, payload: &[u8], starts: bool) {
        let mut bytes = payload;
        if starts {
            let Some((pointer, rest)) = payload.split_first() else {
                return;
            };
            bytes = rest.get(usize::from(*pointer)..).unwrap_or_default();
            self.open = Some(0);
            self.head.clear();
        }
        while let (Some(open), Some(first)) = (self.open, bytes.first()) {
            if open > 0 {
                let taken = open.min(bytes.len());
                self.open = Some(open - taken);
                bytes = bytes.get(taken..).unwrap_or_default();
            } else if self.head.is_empty() && *first == 0xFF {
                return; // stuffing to the end of the packet
            } else {
                self.head.push(*first);
                bytes = bytes.get(1..).unwrap_or_default();
                if let Some(size) = Section::size_of(&self.head) {
                    self.open = Some(size - self.head.len());
                    self.head.clear();
                }
            }
        }
    }

    /// PAT and PMT go on as long as sound does; other sections end with the picture.
    fn leave(&self, goes_on: bool, end: u64) -> Vec<(u64, Action)> {
        if goes_on {
            return vec![(self.closed.unwrap_or(end), Action::Drop)];
        }
        let mut actions = Vec::new();
        if let Some((position, packet)) = self.last {
            actions.push((position, Action::Replace(vec![packet])));
        }
        actions.push((self.end.unwrap_or(end), Action::Drop));
        actions
    }
}
