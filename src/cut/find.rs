//! Finding the random-access points that a cut may begin or end at.

use std::collections::VecDeque;
use std::ops::Range;

use super::line::PlacedPcr;
use crate::stream::codec::Codec;
use crate::stream::rap::{RapDetector, RapKind, References};
use crate::ts::{Dts, Packet, PesHeader, Pid, Pts, Scrambling};
use crate::units::Ticks27M;

/// A place where a cut may begin or end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// PID of the picture (of the sound, where there is no picture).
    pub pid: Pid,
    /// Where the PES packet of the random-access point starts.
    pub position: u64,
    /// Closed or open.
    pub kind: RapKind,
    /// PTS of the picture at the point.
    pub pts: Pts,
    /// PTS of the first picture presented that decodes when decoding starts here: that of the
    /// point itself, or of an earlier one that follows a closed point.
    pub presents: Pts,
    /// The PES packets with the pictures that follow the point and precede it in presentation:
    /// 32 at most.
    pub leading: Vec<Range<u64>>,
    /// How a decoder keeps references, where the point says so (H.264).
    pub references: Option<References>,
    /// How many frames of the leading pictures others refer to, and the frame_num of the last.
    pub leading_references: (u32, Option<u32>),
    /// The last PCR at or before it; the first behind it when none precedes.
    pub clock: PlacedPcr,
    /// The counter of its first packet.
    pub counter: u8,
}

impl Point {
    /// The leading pictures that do not decode when decoding starts here.
    pub fn undecodable(&self) -> &[Range<u64>] {
        match self.kind {
            RapKind::Open => &self.leading,
            RapKind::Closed => &[],
        }
    }

    /// The leading pictures to leave out when a stream begins here. All that do not decode, save
    /// where a decoder would take so many missing references for as many frames lost: for each gap
    /// in frame_num the oldest reference goes (ITU-T H.264 §8.2.5.2, §8.2.5.3), at last the point
    /// itself, which the pictures behind need.
    pub fn left_out(&self) -> &[Range<u64>] {
        match self.references {
            Some(kept) if self.leading_references.0 >= kept.frames.max(1) => &[],
            _ => self.undecodable(),
        }
    }

    /// A leading picture was looked at.
    fn count_reference(&mut self, detector: &RapDetector) {
        let number = self.references.and_then(|r| detector.reference_number(r));
        let (count, last) = &mut self.leading_references;
        if number.is_some() && number != *last {
            (*count, *last) = (*count + 1, number);
        }
    }
}

/// A point whose leading pictures may still come.
#[derive(Debug)]
struct WaitingPoint {
    point: Point,
    /// When the point itself is decoded, where its header says so.
    decoded: Option<Dts>,
    /// No PCR has come yet: the point's is none.
    clockless: bool,
    /// The PES packet being passed is one of its leading pictures.
    in_leading: bool,
    /// No leading picture can follow.
    complete: bool,
}

/// What one PES packet of the picture is, as far as its start shows.
#[derive(Copy, Clone, Debug)]
struct Start {
    position: u64,
    clock: Option<PlacedPcr>,
    counter: u8,
    decoded: Option<Dts>,
}

/// Fed the packets of a material in order, hands over its points.
#[derive(Debug)]
pub struct Finder {
    pid: Pid,
    codec: Codec,
    clock_pid: Pid,
    /// `None` for sound: each PES packet with a PTS is a point.
    detector: Option<RapDetector>,
    clock: Option<PlacedPcr>,
    start: Option<Start>,
    pending: VecDeque<WaitingPoint>,
    /// A discontinuity of the clock was announced, and no PES packet of the picture has started
    /// since.
    broken: bool,
    scrambled: bool,
    missed: u64,
}

impl Finder {
    /// The most points whose leading pictures are waited for at once.
    const MOST_PENDING: usize = 16;
    /// The most PES packets that lead a point: a decoder keeps sixteen pictures at most (ITU-T
    /// H.264 §A.3.1, H.265 §A.4.2), and each may be two fields.
    const MOST_LEADING: usize = 32;
    /// The farthest that one is presented before the point: nothing stays longer in the buffers of
    /// a decoder (ISO/IEC 13818-1 §2.4.2.6).
    const LONGEST_LEAD: Ticks27M = Ticks27M::new(10 * 27_000_000);

    /// A finder for the points of `pid`, coded in `codec`, on the clock of `clock_pid`.
    pub fn new(pid: Pid, codec: Codec, clock_pid: Pid) -> Self {
        Self {
            pid,
            codec,
            clock_pid,
            detector: RapDetector::new(codec),
            clock: None,
            start: None,
            pending: VecDeque::new(),
            broken: false,
            scrambled: false,
            missed: 0,
        }
    }

    /// What it looks for: the picture, how it is coded, and its clock.
    pub fn subject(&self) -> (Pid, Codec, Pid) {
        (self.pid, self.codec, self.clock_pid)
    }

    /// The newest PCR.
    pub fn clock(&self) -> Option<PlacedPcr> {
        self.clock
    }

    /// True when packets of the PID were scrambled.
    pub fn saw_scrambled(&self) -> bool {
        self.scrambled
    }

    /// Points that were passed over: too many before them wait for their leading pictures.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Takes the next packet; returns true when a PCR came or a point is complete.
    pub fn push(&mut self, position: u64, packet: &Packet) -> bool {
        let pid = packet.pid();
        let mut news = false;
        if pid == self.clock_pid
            && let Some(pcr) = packet.pcr()
        {
            let mark = PlacedPcr { position, pcr };
            self.clock = Some(mark);
            self.broken |= packet.discontinuity();
            for pending in self.pending.iter_mut().filter(|p| p.clockless) {
                pending.point.clock = mark;
                pending.clockless = false;
            }
            news = true;
        }
        if pid == self.pid {
            self.picture(position, packet);
        }
        news || self.pending.front().is_some_and(WaitingPoint::is_done)
    }

    /// The next point, in the order of the stream, once it is known which pictures lead it.
    pub fn next_point(&mut self) -> Option<Point> {
        self.pending.front().filter(|p| p.is_done())?;
        self.pending.pop_front().map(|p| p.point)
    }

    /// The material ends: what was waited for does not come.
    pub fn finish(&mut self) {
        for pending in &mut self.pending {
            pending.complete = true;
        }
    }

    fn picture(&mut self, position: u64, packet: &Packet) {
        self.scrambled |= packet.scrambling() != Scrambling::Clear;
        if packet.payload_unit_start() {
            let header = PesHeader::new(packet.payload());
            self.start = Some(Start {
                position,
                clock: self.clock,
                counter: packet.continuity_counter().get(),
                decoded: header.and_then(|h| h.dts()),
            });
            let pts = header.and_then(|h| h.pts());
            let dts = header.and_then(|h| h.decode_time());
            self.picture_starts(position, pts, dts);
            if let (None, Some(pts)) = (&self.detector, pts) {
                self.found(RapKind::Closed, pts);
            }
        }
        let looked = |d: &RapDetector| !d.is_looking();
        let before = self.detector.as_ref().is_some_and(looked);
        let starts = packet.payload_unit_start();
        let rap = self
            .detector
            .as_mut()
            .and_then(|d| d.push(packet, position));
        if let Some(detector) = self.detector.as_ref().filter(|d| looked(d))
            && (starts || !before)
        {
            for pending in self.pending.iter_mut().filter(|p| p.in_leading) {
                pending.point.count_reference(detector);
            }
        }
        if let Some(rap) = rap
            && let Some(pts) = rap.pts
        {
            self.found(rap.kind, pts);
        }
    }

    fn found(&mut self, kind: RapKind, pts: Pts) {
        let Some(start) = self.start else {
            return;
        };
        let references = self.detector.as_ref().and_then(RapDetector::references);
        let nowhere = PlacedPcr {
            position: start.position,
            pcr: pts.to_pcr(),
        };
        if self.pending.len() == Self::MOST_PENDING {
            self.missed += 1;
            return;
        }
        self.pending.push_back(WaitingPoint {
            point: Point {
                pid: self.pid,
                position: start.position,
                kind,
                pts,
                presents: pts,
                leading: Vec::new(),
                references,
                leading_references: (0, None),
                clock: start.clock.unwrap_or(nowhere),
                counter: start.counter,
            },
            decoded: start.decoded,
            clockless: start.clock.is_none(),
            in_leading: false,
            complete: false,
        });
    }

    /// A PES packet starts: is its picture presented before a point that it follows? One without
    /// stamps goes with the one before it.
    fn picture_starts(&mut self, position: u64, pts: Option<Pts>, dts: Option<Dts>) {
        let broken = std::mem::take(&mut self.broken);
        if pts.is_none() && !broken {
            return;
        }
        for pending in self.pending.iter_mut().filter(|p| !p.complete) {
            pending.picture_starts(position, pts.filter(|_| !broken), dts);
        }
    }
}

impl WaitingPoint {
    /// A PES packet of the picture starts behind the point; `None` on another clock than that of
    /// the point.
    fn picture_starts(&mut self, position: u64, pts: Option<Pts>, dts: Option<Dts>) {
        if std::mem::take(&mut self.in_leading)
            && let Some(range) = self.point.leading.last_mut()
        {
            range.end = position;
        }
        let leads = pts.filter(|pts| (*pts - self.point.pts).is_negative());
        if leads.is_some() && self.point.leading.len() == Finder::MOST_LEADING {
            // The stamps went back unsaid: which pictures lead cannot be told, and good ones are
            // not to be taken for them.
            self.point.leading.clear();
            self.point.presents = self.point.pts;
            self.complete = true;
        } else if self.is_elsewhere(pts, dts) {
            self.complete = true;
        } else if let Some(pts) = leads {
            self.in_leading = true;
            self.point.leading.push(position..u64::MAX);
            if self.point.kind == RapKind::Closed && (pts - self.point.presents).is_negative() {
                self.point.presents = pts;
            }
        } else if let Some(dts) = dts {
            // What decodes after a point is presented cannot be presented before it.
            self.complete = !(dts.to_pts() - self.point.pts).is_negative();
        }
    }

    /// True for stamps of another clock: what follows the point is not decoded before it.
    fn is_elsewhere(&self, pts: Option<Pts>, dts: Option<Dts>) -> bool {
        let Some(pts) = pts else {
            return true;
        };
        let back = |(dts, point): (Dts, Dts)| (dts.to_pts() - point.to_pts()).is_negative();
        self.point.pts - pts > Finder::LONGEST_LEAD || dts.zip(self.decoded).is_some_and(back)
    }

    fn is_done(&self) -> bool {
        self.complete && !self.clockless
    }
}
