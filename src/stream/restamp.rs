//! Moving a stream in time: every clock value and time stamp by one span.
//!
//! [`shift`] changes a packet in place: PCR and OPCR, PTS and DTS where a PES packet starts,
//! pts_adjustment of a SCTE 35 section (which stands outside its encrypted part). [`Seam`] makes a
//! file that is played again and again one stream: it learns the file in its first round and lays
//! each later one so that counters, clocks and the cadence of the picture go on.

use super::event::{Event, Severity, Subject, Value};
use super::soon::Soon;
use crate::si::SpliceInfo;
use crate::ts::{ContinuityCounter, Dts, Packet, Pcr, PesHeader, Pid, Scrambling};
use crate::units::Ticks27M;

/// Ticks of 27 MHz in one of 90 kHz.
const TICKS_PER_STAMP: i64 = 300;

/// A span rounded down to whole ticks of 90 kHz: by it, clocks and stamps move alike.
pub fn whole_stamps(span: Ticks27M) -> Ticks27M {
    Ticks27M::new(span.get().div_euclid(TICKS_PER_STAMP) * TICKS_PER_STAMP)
}

/// Moves every time in the packet by `by`, rounded by [`whole_stamps`].
///
/// Returns false when a stamp could not be reached: its PES header goes on in the next packet, or
/// the payload is scrambled.
pub fn shift(packet: &mut Packet, by: Ticks27M) -> bool {
    let by = whole_stamps(by);
    shift_clock(packet, by);
    if !packet.payload_unit_start() || packet.payload().is_empty() {
        return true;
    }
    if packet.scrambling() != Scrambling::Clear {
        return false;
    }
    let payload = packet.payload_mut();
    let Some(header) = PesHeader::new(payload) else {
        return shift_splice(payload, by);
    };
    let (pts, dts, announced) = (header.pts(), header.dts(), header.stamps_announced());
    if let Some(dts) = dts {
        PesHeader::set_dts(payload, dts + by);
    }
    if let Some(pts) = pts {
        PesHeader::set_pts(payload, pts + by);
    }
    announced == usize::from(pts.is_some()) + usize::from(dts.is_some())
}

/// Moves PCR and OPCR alone, by `by` rounded by [`whole_stamps`].
pub fn shift_clock(packet: &mut Packet, by: Ticks27M) {
    let by = whole_stamps(by);
    if let Some(pcr) = packet.pcr() {
        packet.set_pcr(pcr + by);
        if let Some(opcr) = packet.adaptation().and_then(|field| field.opcr()) {
            packet.set_opcr(opcr + by);
        }
    }
}

/// A SCTE 35 section that stands whole in this payload; false when it goes on in the next packet.
fn shift_splice(payload: &mut [u8], by: Ticks27M) -> bool {
    let start = payload
        .first()
        .map_or(0, |pointer| 1 + usize::from(*pointer));
    match payload.get_mut(start..) {
        Some(section) if section.first() == Some(&SpliceInfo::TABLE_ID.0) => {
            SpliceInfo::restamp(section, by)
        }
        _ => true,
    }
}

/// What a [`Seam`] meets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SeamEvent {
    /// The file begins anew.
    Again {
        /// How many rounds were played.
        rounds: u64,
        /// How far one round is moved against the one before.
        period: Ticks27M,
    },
    /// Stamps of this PID could not be moved: scrambled, or cut by a packet's end.
    Fixed(Pid),
}

impl Event for SeamEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Again { .. } => "loop_again",
            Self::Fixed(_) => "stamp_not_moved",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Again { .. } => Severity::Info,
            Self::Fixed(_) => Severity::Warning,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Again { .. } => Subject::Stream,
            Self::Fixed(pid) => Subject::Pid(*pid),
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        if let Self::Again { rounds, period } = self {
            field("rounds_total", (*rounds).into());
            field("period_ms", period.as_millis().into());
        }
    }
}

/// What one PID was in the first round, and where its counter stands.
#[derive(Clone, Debug, Default)]
struct Track {
    counter: Option<ContinuityCounter>,
    /// Added to the counters of this round; `None` until its first packet.
    offset: Option<u8>,
    pcrs: Option<Ends<Pcr>>,
    stamps: Option<Ends<Dts>>,
    /// No PES packet of this round was let through yet.
    joining: bool,
    /// The PES packet that goes on is left out.
    left_out: bool,
    /// A PES packet or section has begun in this round.
    begun: bool,
}

/// The last point on a circle, the way to it from the first, and the last step.
#[derive(Copy, Clone, Debug)]
struct Ends<T> {
    last: T,
    way: Ticks27M,
    step: Ticks27M,
}

impl<T: Copy + std::ops::Sub<Output = Ticks27M>> Ends<T> {
    /// The longest step that belongs to the way: beyond, the clock was replaced.
    const LONGEST: Ticks27M = Ticks27M::new(10 * 27_000_000);

    fn grow(ends: &mut Option<Self>, point: T) {
        let step = match ends {
            Some(ends) => point - ends.last,
            None => Ticks27M::ZERO,
        };
        let ends = ends.get_or_insert(Self {
            last: point,
            way: step,
            step,
        });
        if step.abs() <= Self::LONGEST {
            ends.way += step;
        }
        if !step.is_negative() && step <= Self::LONGEST && step != Ticks27M::ZERO {
            ends.step = step;
        }
        ends.last = point;
    }

    /// From the first point to where the next would stand.
    fn period(&self) -> Ticks27M {
        self.way + self.step
    }
}

/// Joins the end of a file to its beginning.
///
/// One round is moved against the one before by the length of the picture (from the first frame's
/// DTS to one frame behind the last), so that frames follow each other as in the file; without
/// video, or where that is over a second off the clock's own length, by the length of the PCRs.
/// Periods are whole ticks of 90 kHz. All 33-bit values go over their wrap as often as it comes.
///
/// Sound does not end with the picture. Where its first PES packet of a round would begin before
/// the last one is half over it is left out (null packets stand in its place), so that no stamp
/// goes back, and at the seam at most half a PES packet of sound is missing or twice there.
///
/// Where a file begins within a PES packet, what there is of it is left out from the second round
/// on. So is a section of service information that ended the round before less than 25 ms ago
/// (EN 300 468 §5.1.4.1). What is torn at a file's end ([`Tail`](super::torn::Tail)) is no part of the picture's length.
#[derive(Debug, Default)]
pub struct Seam {
    tracks: Vec<(Pid, Track)>,
    video: Option<Pid>,
    clock: Option<Pid>,
    rounds: u64,
    period: Ticks27M,
    moved: Ticks27M,
    /// The last PCR of this round, and the way to it.
    round: Option<(Pcr, Ticks27M)>,
    /// The picture of this round is over: no clock and no null packet has a place any more.
    over: bool,
    /// A torn PES packet was met in this round.
    torn: bool,
    soon: Soon,
    events: Vec<SeamEvent>,
}

impl Seam {
    /// A seam before the first round.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays a packet of the file, in order, where it belongs in the endless stream.
    pub fn push(&mut self, packet: &mut Packet) {
        let pid = packet.pid();
        if pid == Pid::NULL {
            self.soon.pass(packet, self.clock);
            return;
        }
        if self.rounds > 0 && !shift(packet, self.moved) {
            let event = SeamEvent::Fixed(pid);
            if !self.events.contains(&event) {
                self.events.push(event);
            }
        }
        let left_out = self.look(packet);
        self.soon.pass(packet, self.clock);
        if self.soon.is_again(packet) {
            // What follows counts on from what was sent before.
            self.track(pid).offset = None;
            *packet = Packet::NULL;
            return;
        }
        if left_out {
            let last = self.track(pid).counter;
            *packet = match packet.pcr().zip(last) {
                Some((pcr, last)) => Packet::pcr_only(pid, last, pcr),
                None => Packet::NULL,
            };
            return;
        }
        let (first_round, track) = (self.rounds == 0, self.track(pid));
        let read = packet.continuity_counter();
        let offset = *track.offset.get_or_insert_with(|| match track.counter {
            Some(last) if !first_round => {
                // The counter does not step with a packet that has no payload (§2.4.3.3).
                let due = if packet.has_payload() {
                    last.next()
                } else {
                    last
                };
                due.steps_since(read)
            }
            _ => 0,
        });
        let counter = ContinuityCounter::wrapping(read.get() + offset);
        packet.set_continuity_counter(counter);
        track.counter = Some(counter);
    }

    /// The same for what a [`Tail`](super::torn::Tail) has held back. False when the packet has no
    /// place in the round: behind a torn picture the clock ends where the next round's begins, and
    /// what only fills goes with it.
    pub fn push_of_tail(&mut self, packet: &mut Packet, torn: bool) -> bool {
        self.torn |= torn;
        let clock = packet.pcr().filter(|_| self.torn && !packet.has_payload());
        if let Some(pcr) = clock.filter(|_| self.clock == Some(packet.pid())) {
            self.over |= !self.fits(pcr);
            if self.over {
                return false;
            }
        }
        if self.over && packet.pid() == Pid::NULL {
            return false;
        }
        self.push(packet);
        true
    }

    /// True when a PCR of the file lies before the end of this round's picture.
    fn fits(&mut self, pcr: Pcr) -> bool {
        let picture = match self.rounds {
            0 => self.picture().unwrap_or_default(),
            _ => self.period,
        };
        let moved = self.moved;
        self.video.is_none()
            || self
                .round
                .is_none_or(|(last, way)| way + (pcr + moved - last) < picture)
    }

    /// The file ended, and its beginning comes next. False when it held no packet of any stream:
    /// there is nothing to play.
    pub fn again(&mut self) -> bool {
        if self.tracks.is_empty() {
            return false;
        }
        if self.rounds == 0 {
            self.period = self.length();
        }
        self.rounds += 1;
        self.moved += self.period;
        for (_, track) in &mut self.tracks {
            (track.offset, track.joining, track.left_out) = (None, true, false);
            track.begun = false;
        }
        (self.round, self.over, self.torn) = (None, false, false);
        self.soon.again();
        self.events.push(SeamEvent::Again {
            rounds: self.rounds,
            period: self.period,
        });
        true
    }

    /// How far the packets of this round are moved against the file.
    pub fn moved(&self) -> Ticks27M {
        self.moved
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(..).for_each(|event| sink(&event));
    }

    fn track(&mut self, pid: Pid) -> &mut Track {
        let at = match self.tracks.binary_search_by_key(&pid, |(pid, _)| *pid) {
            Ok(at) => at,
            Err(at) => {
                self.tracks.insert(at, (pid, Track::default()));
                at
            }
        };
        &mut self.tracks[at].1
    }

    /// Learns what the packet says of time; true when it is to be left out.
    fn look(&mut self, packet: &Packet) -> bool {
        let pid = packet.pid();
        if let Some(pcr) = packet.pcr() {
            if *self.clock.get_or_insert(pid) == pid {
                self.round = Some(match self.round {
                    Some((last, way)) if (pcr - last).abs() <= Ends::<Pcr>::LONGEST => {
                        (pcr, way + (pcr - last))
                    }
                    Some((_, way)) => (pcr, way),
                    None => (pcr, Ticks27M::ZERO),
                });
            }
            Ends::grow(&mut self.track(pid).pcrs, pcr);
        }
        let start = packet.payload_unit_start() && packet.scrambling() == Scrambling::Clear;
        let header = start.then(|| PesHeader::new(packet.payload())).flatten();
        let Some((header, stamp)) = header.and_then(|h| Some((h, h.decode_time()?))) else {
            let track = self.track(pid);
            track.begun |= packet.payload_unit_start();
            // It would be taken for the rest of the last PES packet of the round before.
            let headless = track.joining && !track.begun && track.stamps.is_some();
            return track.left_out || headless && packet.has_payload();
        };
        if header.stream_id().is_video() {
            self.video.get_or_insert(pid);
        }
        let carries_clock = self.clock == Some(pid);
        let track = self.track(pid);
        track.begun = true;
        if std::mem::take(&mut track.joining) && !carries_clock {
            let late = |ends: &Ends<Dts>| stamp - ends.last < ends.step / 2;
            track.left_out =
                !header.stream_id().is_video() && track.stamps.as_ref().is_some_and(late);
            track.joining = track.left_out;
        }
        if !track.left_out {
            Ends::grow(&mut track.stamps, stamp);
        }
        track.left_out
    }

    /// The length of the picture of the first round.
    fn picture(&mut self) -> Option<Ticks27M> {
        let stamps = self.video.and_then(|pid| self.track(pid).stamps);
        stamps.map(|ends| ends.period())
    }

    /// The length of a round.
    fn length(&mut self) -> Ticks27M {
        let pcrs = self.clock.and_then(|pid| self.track(pid).pcrs);
        let clock = pcrs.map(|ends| ends.period()).unwrap_or_default();
        let picture = self.picture().unwrap_or_default();
        // The clock must not stand still or run back over the seam.
        let runs_on = pcrs.is_none_or(|ends| picture > ends.way);
        let near = (picture - clock).abs() <= Ticks27M::SECOND || pcrs.is_none();
        whole_stamps(if near && runs_on { picture } else { clock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::Pts;

    const VIDEO: Pid = Pid::from_field(0x100);
    const SOUND: Pid = Pid::from_field(0x101);

    /// The start of a PES packet with both stamps, in ticks of 90 kHz.
    fn pes(pid: Pid, id: u8, counter: u8, pts: u64, dts: u64) -> Packet {
        let mut bytes = [
            0, 0, 1, id, 0, 0, 0x80, 0xC0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1,
        ];
        PesHeader::set_pts(&mut bytes, Pts::wrapping(pts));
        PesHeader::set_dts(&mut bytes, Dts::wrapping(dts));
        let mut packet = Packet::new(pid, ContinuityCounter::wrapping(counter));
        packet.set_payload_unit_start(true);
        packet.fill_payload(&bytes);
        packet
    }

    fn clock(counter: u8, ms: i64, origin: Pcr) -> Packet {
        let pcr = origin + Ticks27M::from_millis(ms);
        Packet::pcr_only(VIDEO, ContinuityCounter::wrapping(counter), pcr)
    }

    fn stamps(packet: &Packet) -> (u64, u64) {
        let header = PesHeader::new(packet.payload()).unwrap();
        (header.pts().unwrap().ticks(), header.dts().unwrap().ticks())
    }

    #[test]
    fn a_shift_moves_every_time_and_nothing_else() {
        let before = pes(VIDEO, 0xE0, 3, (1 << 33) - 90, 45_000);
        let mut moved = before;
        assert!(shift(
            &mut moved,
            Ticks27M::from_millis(2) + Ticks27M::new(299)
        ));
        assert_eq!(stamps(&moved), (90, 45_180));
        assert!(shift(&mut moved, -Ticks27M::from_millis(2)));
        assert_eq!(moved, before);

        let mut with_clock = clock(
            0,
            0,
            Pcr::from_ticks(Pcr::CIRCLE.get() as u64 - 27).unwrap(),
        );
        assert!(shift(&mut with_clock, Ticks27M::MILLISECOND));
        assert_eq!(with_clock.pcr().map(Pcr::ticks), Some(27_000 - 27));
    }

    #[test]
    fn what_cannot_be_moved_is_told() {
        let mut scrambled = pes(VIDEO, 0xE0, 0, 1, 1);
        scrambled.as_bytes_mut()[3] |= 0xC0;
        let before = scrambled;
        assert!(!shift(&mut scrambled, Ticks27M::SECOND));
        assert_eq!(scrambled, before);
        let mut cut = Packet::new(VIDEO, ContinuityCounter::wrapping(0));
        cut.set_payload_unit_start(true);
        cut.fill_payload(&[0, 0, 1, 0xE0, 0, 0, 0x80, 0xC0, 10, 0x31, 0, 1, 0, 1]);
        assert!(
            !shift(&mut cut, Ticks27M::SECOND),
            "the DTS stands in the next packet"
        );
    }

    /// Three frames of 40 ms, 1.5 s before the wrap of the clock, played for fifty rounds: counters,
    /// frames and PCRs are one stream.
    #[test]
    fn rounds_follow_each_other_without_a_seam() {
        let origin = Pcr::from_ticks(Pcr::CIRCLE.get() as u64 - 40_500_000).unwrap();
        let first = origin.base() + 18_000;
        let round = || {
            let frame = |n: u64, c| pes(VIDEO, 0xE0, c, first + 3600 * (n + 1), first + 3600 * n);
            // A packet without payload first: its counter is that of the packet before it.
            vec![
                clock(6, 0, origin),
                frame(0, 7),
                pes(SOUND, 0xC0, 14, first, first),
                clock(7, 40, origin),
                frame(1, 8),
                Packet::NULL,
                frame(2, 9),
                clock(9, 80, origin),
            ]
        };
        let mut seam = Seam::new();
        let mut counters = [None::<u8>; 2];
        let (mut frames, mut ticks) = (0u64, 0i64);
        for n in 0..50 {
            if n > 0 {
                seam.again();
            }
            for mut packet in round() {
                seam.push(&mut packet);
                if packet.pid() == Pid::NULL {
                    assert_eq!(packet, Packet::NULL);
                    continue;
                }
                let counter = &mut counters[usize::from(packet.pid() == SOUND)];
                let step = u8::from(packet.has_payload());
                let read = packet.continuity_counter().get();
                assert!(
                    counter.is_none_or(|last| read == (last + step) % 16),
                    "round {n}"
                );
                *counter = Some(read);
                if packet.pid() == VIDEO && packet.has_payload() {
                    let dts = (first + 3600 * frames) % (1 << 33);
                    assert_eq!(
                        stamps(&packet),
                        ((dts + 3600) % (1 << 33), dts),
                        "frame {frames}"
                    );
                    frames += 1;
                }
                if let Some(pcr) = packet.pcr() {
                    assert_eq!(pcr - origin, Ticks27M::from_millis(ticks), "round {n}");
                    ticks += 40;
                }
            }
        }
        assert_eq!(seam.moved(), Ticks27M::from_millis(49 * 120));
        let mut told = 0;
        seam.drain_events(&mut |event| told += i32::from(event.name() == "loop_again"));
        assert_eq!(told, 49);
    }

    /// Two frames of 40 ms with sound in steps of 36 ms, three to a round: the third goes on for
    /// 28 ms behind the picture. Half of it counts: one in some rounds is left out, no stamp goes
    /// back.
    #[test]
    fn sound_that_outlasts_the_picture_never_goes_back() {
        let mut seam = Seam::new();
        let (mut last, mut left_out) = (None::<u64>, 0);
        for n in 0..20 {
            if n > 0 {
                seam.again();
            }
            let origin = Pcr::from_ticks(0).unwrap();
            let sound = |n: u64| pes(SOUND, 0xC0, n as u8, 3240 * n, 3240 * n);
            let video = |n: u64| pes(VIDEO, 0xE0, n as u8, 3600 * n, 3600 * n);
            let round = [
                clock(15, 0, origin),
                video(0),
                sound(0),
                video(1),
                sound(1),
                sound(2),
            ];
            for mut packet in round {
                seam.push(&mut packet);
                left_out += i32::from(packet.pid() == Pid::NULL);
                if packet.pid() == SOUND {
                    let dts = stamps(&packet).1;
                    // Half a step of 36 ms is 1620 ticks.
                    assert!(
                        last.is_none_or(|last| dts >= last + 1620),
                        "round {n}: {dts}"
                    );
                    last = Some(dts);
                }
            }
        }
        assert_eq!(seam.moved(), Ticks27M::from_millis(19 * 80));
        // 80 ms hold 2.2 steps of the three that come: the third is left out each time.
        assert_eq!(left_out, 19);
    }

    #[test]
    fn without_a_picture_a_round_is_as_long_as_its_clock() {
        let origin = Pcr::from_ticks(0).unwrap();
        let mut seam = Seam::new();
        for n in 0..10 {
            seam.push(&mut clock(0, n * 30, origin));
        }
        seam.again();
        assert_eq!(seam.moved(), Ticks27M::from_millis(300));
    }
}
