//! Instants and places: a line through a material's clock.
//!
//! In a plain file the PCRs are the line. Sixty-five of them, evenly spread, give it: they tell
//! whether the clock runs through (and how often it wraps), and a place is found from an instant
//! by halving the stretch between two of them. So finding a time costs the same in a minute and in
//! a day. Only where they do not fit together is the whole file read for its PCRs, jump by jump.
//! Material that keeps arrivals is asked for them.

use std::ops::Range;

use super::material::Material;
use crate::stream::timeline::{Tick, Timeline};
use crate::ts::{Packet, Pcr, Pid};
use crate::units::{StreamTime, Ticks27M};

/// A PCR and where it stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PlacedPcr {
    /// The position of its packet.
    pub position: u64,
    /// Its value.
    pub pcr: Pcr,
}

/// A mark whose instant is known.
#[derive(Copy, Clone, Debug)]
struct Anchor {
    mark: PlacedPcr,
    time: StreamTime,
}

/// The line of one program's clock through a material.
#[derive(Clone, Debug)]
pub struct Line {
    clock: Pid,
    /// By position; empty where the material keeps arrivals.
    anchors: Vec<Anchor>,
    /// Where the clock jumps; known only where it does not run through.
    jumps: Vec<u64>,
    /// Jumps beyond [`ANCHORS`], and where the first of them is.
    beyond: u64,
    beyond_from: u64,
}

/// Anchors, and so jumps, that are kept of a clock that does not run through: 2 MB. Instants behind
/// the last of them are those of the clock before, up to the end.
pub const ANCHORS: usize = 1 << 16;

/// Stretches into which a file is divided to see whether its clock runs through.
const STRETCHES: u64 = 64;
/// How many times more or fewer bytes a second than the median a stretch may carry before its
/// clock is doubted: variable rates differ less, jumps on a 26 h circle far more.
const LIKELY_RATES: u64 = 16;
/// Below this, a stretch is read and not halved.
const SHORT_STRETCH: u64 = 1 << 19;

impl Line {
    /// Looks at the clock on PID `clock`. `None` when there is no PCR on it.
    ///
    /// # Errors
    /// When the material cannot be read.
    pub fn of<M: Material>(material: &mut M, clock: Pid) -> Result<Option<Self>, M::Error> {
        let extent = material.extent();
        let mut line = Self {
            clock,
            anchors: Vec::new(),
            jumps: Vec::new(),
            beyond: 0,
            beyond_from: u64::MAX,
        };
        if material.arrival_at(extent.start)?.is_some() {
            return Ok(Some(line));
        }
        let mut marks: Vec<PlacedPcr> = Vec::new();
        for n in 0..=STRETCHES {
            // The last stretch ends at the last PCR: look for it from a little before the end.
            let length = extent.end - extent.start;
            let from = match n {
                STRETCHES => extent.end.saturating_sub(SHORT_STRETCH).max(extent.start),
                n => {
                    extent.start
                        + (u128::from(length) * u128::from(n) / u128::from(STRETCHES)) as u64
                }
            };
            let mark = if n == STRETCHES {
                last_mark(material, clock, from)?
            } else {
                first_mark(material, clock, from, extent.end)?
            };
            if let Some(mark) = mark
                && marks
                    .last()
                    .is_none_or(|last| last.position < mark.position)
            {
                marks.push(mark);
            }
        }
        if marks.is_empty() {
            return Ok(None);
        }
        if runs_through(&marks) {
            line.anchors = unroll(&marks);
        } else {
            line.read_whole(material)?;
        }
        Ok(Some(line))
    }

    /// How often the clock jumps at these positions; known only where it does not run through.
    pub fn jumps_in(&self, positions: &Range<u64>) -> u64 {
        let within = self.jumps.iter().filter(|at| positions.contains(at));
        within.count() as u64
    }

    /// How many jumps were not followed, when these positions reach behind the first of them.
    pub fn not_followed_in(&self, positions: &Range<u64>) -> u64 {
        match positions.end > self.beyond_from {
            true => self.beyond,
            false => 0,
        }
    }

    /// The instant of a PCR; `None` when the material knows no arrival there.
    ///
    /// # Errors
    /// When the material cannot be read.
    pub fn time_of<M: Material>(
        &self,
        material: &mut M,
        mark: PlacedPcr,
    ) -> Result<Option<StreamTime>, M::Error> {
        if self.anchors.is_empty() {
            return material.arrival_at(mark.position);
        }
        Ok(Some(self.along(mark)))
    }

    /// The instant of a mark by the anchor before it.
    fn along(&self, mark: PlacedPcr) -> StreamTime {
        let after = self
            .anchors
            .partition_point(|a| a.mark.position <= mark.position);
        match self.anchors.get(after.saturating_sub(1)) {
            Some(anchor) => anchor.time + (mark.pcr - anchor.mark.pcr),
            None => StreamTime::default(),
        }
    }

    /// The PCR that dates what is at `position`: `mark`, the last before it, save where material
    /// that keeps arrivals has a silence between the two. Behind one the clock may be another, and
    /// its first PCR tells.
    ///
    /// # Errors
    /// When the material cannot be read.
    pub fn mark_for<M: Material>(
        &self,
        material: &mut M,
        mark: PlacedPcr,
        position: u64,
    ) -> Result<PlacedPcr, M::Error> {
        /// PCRs come every 0.1 s.
        const STALE: Ticks27M = Ticks27M::SECOND;
        /// Bytes in which one does.
        const FAR: u64 = 1 << 22;
        if !self.anchors.is_empty() || mark.position >= position {
            return Ok(mark);
        }
        let (came, here) = (
            material.arrival_at(mark.position)?,
            material.arrival_at(position)?,
        );
        if came
            .zip(here)
            .is_none_or(|(came, here)| here - came < STALE)
        {
            return Ok(mark);
        }
        let behind = first_mark(material, self.clock, position, position.saturating_add(FAR))?;
        Ok(behind.unwrap_or(mark))
    }

    /// A position at which the clock has not reached `time`, as near before it as is cheap; the
    /// beginning when the line begins later.
    ///
    /// # Errors
    /// When the material cannot be read.
    pub fn position_before<M: Material>(
        &self,
        material: &mut M,
        time: StreamTime,
    ) -> Result<u64, M::Error> {
        let extent = material.extent();
        if self.anchors.is_empty() {
            return Ok(material.position_before(time)?.unwrap_or(extent.start));
        }
        let after = self.anchors.partition_point(|a| a.time < time);
        let Some(anchor) = after.checked_sub(1).and_then(|n| self.anchors.get(n)) else {
            return Ok(extent.start);
        };
        let mut low = anchor.mark.position;
        let mut high = self
            .anchors
            .get(after)
            .map_or(extent.end, |a| a.mark.position);
        while high - low > SHORT_STRETCH {
            let middle = low + (high - low) / 2;
            match first_mark(material, self.clock, middle, high)? {
                Some(mark) if self.along(mark) < time => low = mark.position,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The instant of the last PCR (the last arrival, where the material keeps them).
    ///
    /// # Errors
    /// When the material cannot be read.
    pub fn end<M: Material>(&self, material: &mut M) -> Result<Option<StreamTime>, M::Error> {
        match self.anchors.last() {
            Some(anchor) => Ok(Some(anchor.time)),
            None => material.arrival_at(material.extent().end.saturating_sub(1)),
        }
    }

    /// Follows every PCR.
    fn read_whole<M: Material>(&mut self, material: &mut M) -> Result<(), M::Error> {
        let mut timeline = Timeline::new();
        let clock = self.clock;
        let mut last = None;
        material.seek(material.extent().start)?;
        each_mark(material, clock, u64::MAX, |mark, packet| {
            let tick = timeline.push(mark.pcr, packet.discontinuity());
            self.follow(mark, tick);
            last = Some(Anchor {
                mark,
                time: tick.time,
            });
            true
        })?;
        self.anchors.extend(last);
        Ok(())
    }

    /// Takes the next PCR of a clock that does not run through.
    fn follow(&mut self, mark: PlacedPcr, tick: Tick) {
        /// An anchor at least this often: far less than the half circle that a difference spans.
        const EVERY: Ticks27M = Ticks27M::new(3600 * 27_000_000);
        let last = self.anchors.last();
        let due = last.is_none_or(|a| tick.time - a.time > EVERY);
        let jumps = tick.jump.is_some();
        if !due && !jumps {
            return;
        }
        let time = tick.time;
        if self.anchors.len() < ANCHORS {
            self.anchors.push(Anchor { mark, time });
            if jumps {
                self.jumps.push(mark.position);
            }
        } else {
            self.beyond += u64::from(jumps);
            self.beyond_from = self.beyond_from.min(mark.position);
        }
    }
}

/// True when the marks are those of one clock: each stretch carries about as many bytes a second.
fn runs_through(marks: &[PlacedPcr]) -> bool {
    let mut paces: Vec<u64> = marks
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => {
                let ticks = u64::try_from(forward(a.pcr, b.pcr).get()).unwrap_or(0);
                let bytes = (b.position - a.position).max(1);
                Some(
                    u64::try_from(u128::from(ticks) * 1000 / u128::from(bytes)).unwrap_or(u64::MAX),
                )
            }
            _ => None,
        })
        .collect();
    let real = paces.clone();
    paces.sort_unstable();
    let median = paces.get(paces.len() / 2).copied().unwrap_or(0);
    let likely = median / LIKELY_RATES..=median.saturating_mul(LIKELY_RATES).saturating_add(1);
    real.iter().all(|pace| likely.contains(pace))
}

/// From `a` to `b` the forward way round the circle.
fn forward(a: Pcr, b: Pcr) -> Ticks27M {
    let by = b - a;
    if by.is_negative() {
        by + Pcr::CIRCLE
    } else {
        by
    }
}

fn unroll(marks: &[PlacedPcr]) -> Vec<Anchor> {
    let mut anchors: Vec<Anchor> = Vec::with_capacity(marks.len());
    for mark in marks {
        let time = match anchors.last() {
            Some(last) => last.time + forward(last.mark.pcr, mark.pcr),
            None => StreamTime::from_ticks(i64::try_from(mark.pcr.ticks()).unwrap_or(0)),
        };
        anchors.push(Anchor { mark: *mark, time });
    }
    anchors
}

/// Hands over each PCR on `clock` from where the material stands to before `until`, while `visit`
/// says so.
fn each_mark<M: Material>(
    material: &mut M,
    clock: Pid,
    until: u64,
    mut visit: impl FnMut(PlacedPcr, &Packet) -> bool,
) -> Result<(), M::Error> {
    while let Some(run) = material.next_run()? {
        let mut position = run.position;
        for packet in run.packets {
            if position >= until {
                return Ok(());
            }
            if packet.pid() == clock
                && let Some(pcr) = packet.pcr()
                && !visit(PlacedPcr { position, pcr }, packet)
            {
                return Ok(());
            }
            position += run.stride;
        }
    }
    Ok(())
}

fn first_mark<M: Material>(
    material: &mut M,
    clock: Pid,
    from: u64,
    until: u64,
) -> Result<Option<PlacedPcr>, M::Error> {
    let mut found = None;
    material.seek(from)?;
    each_mark(material, clock, until, |mark, _| {
        found = Some(mark);
        false
    })?;
    Ok(found)
}

fn last_mark<M: Material>(
    material: &mut M,
    clock: Pid,
    from: u64,
) -> Result<Option<PlacedPcr>, M::Error> {
    let mut found = None;
    material.seek(from)?;
    each_mark(material, clock, u64::MAX, |mark, _| {
        found = Some(mark);
        true
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::material::Run;
    use crate::stream::timeline::Jump;
    use crate::ts::ContinuityCounter;

    /// Packets with a PCR each, a tenth of a second apart; from the fifth on an hour later.
    struct Restarted(Vec<Packet>, usize);

    const CLOCK: Pid = Pid::PAT;

    impl Restarted {
        fn new() -> Self {
            let pcr = |n: u64| Pcr::from_ticks(n * 2_700_000).unwrap();
            let packet = |n| Packet::pcr_only(CLOCK, ContinuityCounter::default(), pcr(n));
            Self((0..10).map(packet).collect(), 0)
        }

        fn mark(&self, position: u64) -> PlacedPcr {
            let pcr = self.0[position as usize].pcr().unwrap();
            PlacedPcr { position, pcr }
        }
    }

    impl Material for Restarted {
        type Error = std::convert::Infallible;

        fn extent(&self) -> Range<u64> {
            0..10
        }

        fn seek(&mut self, position: u64) -> Result<(), Self::Error> {
            self.1 = position as usize;
            Ok(())
        }

        fn next_run(&mut self) -> Result<Option<Run<'_>>, Self::Error> {
            let (at, packets) = (self.1, &self.0[self.1..]);
            self.1 = self.0.len();
            Ok((!packets.is_empty()).then_some(Run {
                position: at as u64,
                stride: 1,
                packets,
            }))
        }

        fn arrival_at(&mut self, position: u64) -> Result<Option<StreamTime>, Self::Error> {
            let hour = if position < 5 { 0 } else { 36_000 };
            let tenths = position as i64 + hour;
            Ok(Some(StreamTime::from_ticks(tenths * 2_700_000)))
        }

        fn position_before(&mut self, _: StreamTime) -> Result<Option<u64>, Self::Error> {
            Ok(Some(0))
        }
    }

    #[test]
    fn behind_a_silence_its_first_pcr_dates_what_follows() {
        let mut material = Restarted::new();
        let line = Line::of(&mut material, CLOCK).unwrap().unwrap();
        for (before, at, expected) in [(3, 4, 3), (4, 5, 5), (4, 6, 6), (5, 6, 5), (7, 6, 7)] {
            let (mark, expected) = (material.mark(before), material.mark(expected));
            let found = line.mark_for(&mut material, mark, at);
            assert_eq!(found, Ok(expected), "{before} before {at}");
        }
    }

    #[test]
    fn a_clock_that_jumps_for_ever_is_followed_so_far_and_no_farther() {
        let mut line = Line {
            clock: Pid::PAT,
            anchors: Vec::new(),
            jumps: Vec::new(),
            beyond: 0,
            beyond_from: u64::MAX,
        };
        let kept = ANCHORS as u64;
        for position in 0..kept + 1000 {
            let mark = PlacedPcr {
                position,
                pcr: Pcr::from_ticks(position % 2 * 27_000_000 * 60).unwrap(),
            };
            let jump = Jump {
                by: Ticks27M::SECOND * 60,
                announced: false,
            };
            let tick = Tick {
                time: StreamTime::from_ticks(position as i64 * 27_000),
                wrapped: false,
                jump: Some(jump),
            };
            line.follow(mark, tick);
        }
        assert_eq!(line.anchors.len(), ANCHORS);
        assert_eq!(line.jumps_in(&(0..u64::MAX)), kept);
        assert_eq!(line.not_followed_in(&(0..u64::MAX)), 1000);
        assert_eq!(line.not_followed_in(&(0..kept)), 0);
    }
}
