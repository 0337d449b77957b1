//! Looking before cutting: where the in- and out-points are, and what happens around them.
//!
//! A survey reads the start of a material (programs, clock), then some seconds around each of the
//! two instants asked for, and nothing between: what it costs does not grow with the material.

use std::collections::BTreeMap;
use std::ops::Range;

use super::contents::Contents;
use super::edit::{Action, Instructions, Script};
use super::error::SurveyError;
use super::event::CutEvent;
use super::find::{Finder, Point};
use super::line::Line;
use super::material::Material;
use super::window::{Edge, Window};
use crate::stream::rap::RapKind;
use crate::ts::{ContinuityCounter, Packet, PesHeader, Pid, Pts};
use crate::units::{StreamTime, Ticks27M};

/// To which random-access point an instant moves.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Snap {
    /// The in-point to the one at or before, the out-point to the one at or after: nothing asked
    /// for is missing.
    #[default]
    Outward,
    /// Both to the one at or before.
    Before,
    /// Both to the one at or after.
    After,
    /// Both to the nearest; of two equally near, the earlier.
    Nearest,
    /// As outward, over closed points alone: the results of neighbouring cuts join.
    Closed,
}

/// What is cut, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For the cutter.
    pub instructions: Instructions,
    /// The positions to hand it.
    pub read: Range<u64>,
    /// PID of the picture, or of the sound where there is none.
    pub pid: Pid,
    /// The in-point.
    pub from: Place,
    /// The out-point.
    pub to: Place,
    /// PAT and PMTs at the in-point.
    pub contents: Contents,
    /// What was met.
    pub events: Vec<CutEvent>,
}

/// An in- or out-point as it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The instant, on the material's line.
    pub time: StreamTime,
    /// The stamp of that instant.
    pub pts: Pts,
    /// The kind of its random-access point; `None` at the end of the material.
    pub kind: Option<RapKind>,
    /// Pictures that follow the point, are presented before it and need pictures before it: left
    /// out behind an in-point, missing before an out-point.
    pub leading: u64,
}

/// A material whose programs and clock are known.
#[derive(Debug)]
pub struct Survey {
    contents: Contents,
    line: Line,
    origin: StreamTime,
}

/// A point that was looked for.
struct Found {
    point: Point,
    time: StreamTime,
    contents: Contents,
}

/// What a search came upon: the last at or before the instant, the first at or behind it, the
/// clock at the end of the search.
#[derive(Default)]
struct Around {
    before: Option<Found>,
    behind: Option<Found>,
    last: Option<StreamTime>,
}

impl Survey {
    /// How many positions of a material may pass before its PAT and PMT: at 40 Mb/s, 13 s.
    pub const LONGEST_START: u64 = 64 << 20;
    /// How long before it is presented sound may arrive: the second that ISO/IEC 13818-1 §2.4.2.7
    /// allows, and half of one for its PES packet.
    const SOUND_AHEAD: Ticks27M = Ticks27M::new(3 * 27_000_000 / 2);
    /// How far behind its instant a window around an edge reaches.
    const BEHIND: Ticks27M = Ticks27M::from_millis(500);
    /// How far, where a PES packet takes longer.
    const FAR_BEHIND: Ticks27M = Ticks27M::new(5 * 27_000_000);
    /// A point this near to an instant is at it: what is reported to the millisecond can be asked
    /// for again.
    const SAME: Ticks27M = Ticks27M::new(27_000 / 2);
    /// How far before an instant a point is looked for first; then four times as far, and so on.
    const FIRST_LOOK: Ticks27M = Ticks27M::new(4 * 27_000_000);

    /// Reads the start of `material`.
    ///
    /// # Errors
    /// When it cannot be read, or has no program with a clock and picture or sound.
    pub fn of<M: Material>(material: &mut M) -> Result<Self, SurveyError<M::Error>> {
        let mut contents = Contents::new();
        let extent = material.extent();
        let until = extent.start.saturating_add(Self::LONGEST_START);
        let mut any = false;
        each(material, extent.start..until, |_, packet| {
            any = true;
            contents.push(packet);
            !contents.is_complete()
        })?;
        if !any {
            return Err(SurveyError::Empty);
        }
        if contents.programs().is_empty() {
            return Err(SurveyError::NoPrograms);
        }
        let program = contents.main().ok_or(SurveyError::NothingToCutBy)?;
        let (pid, _) = program.main().ok_or(SurveyError::NothingToCutBy)?;
        let clock = program.clock;
        let line = Line::of(material, clock).map_err(SurveyError::Material)?;
        let line = line.ok_or(SurveyError::NoClock { pid: clock })?;

        // The earliest stamp: later pictures may precede the first, until one is decoded late.
        let mut first: Option<Pts> = None;
        let mut finder = Finder::new(pid, crate::stream::codec::Codec::Other, clock);
        each(material, extent.start..until, |at, packet| {
            finder.push(at, packet);
            if packet.pid() == pid
                && packet.payload_unit_start()
                && let Some(header) = PesHeader::new(packet.payload())
                && let (Some(pts), Some(dts)) = (header.pts(), header.decode_time())
            {
                match first {
                    Some(earliest) if (pts - earliest).is_negative() => first = Some(pts),
                    Some(earliest) if !(dts.to_pts() - earliest).is_negative() => {
                        return finder.clock().is_none();
                    }
                    Some(_) => {}
                    None => first = Some(pts),
                }
            }
            true
        })?;
        let (Some(pts), Some(mark)) = (first, finder.clock()) else {
            return Err(SurveyError::NoPoint { pid });
        };
        let time = line
            .time_of(material, mark)
            .map_err(SurveyError::Material)?;
        Ok(Self {
            contents,
            origin: time.unwrap_or_default() + (pts - mark.pcr),
            line,
        })
    }

    /// The instant of the earliest picture: where the offsets into a file count from.
    pub fn origin(&self) -> StreamTime {
        self.origin
    }

    /// Finds the points for `from` and `to` (the beginning and the end where there is none).
    ///
    /// # Errors
    /// When the material cannot be read, or there is nothing to cut there.
    pub fn plan<M: Material>(
        &self,
        material: &mut M,
        from: Option<StreamTime>,
        to: Option<StreamTime>,
        snap: Snap,
    ) -> Result<Plan, SurveyError<M::Error>> {
        let mut events = Vec::new();
        if self.line.jumps() > 0 {
            let jumps = self.line.jumps();
            events.push(CutEvent::ClockBroken { jumps });
        }
        let first = self.in_point(material, from.unwrap_or(self.origin), snap)?;
        if let Some(asked) = from
            && first.time - asked > Self::SAME
            && matches!(snap, Snap::Outward | Snap::Before | Snap::Closed)
        {
            let by = first.time - asked;
            events.push(CutEvent::StartsLate { by });
        }
        let last = match to {
            Some(to) => self.out_point(material, to, snap)?,
            None => None,
        };
        let mut scripts = Scripts::new(first.point.position);
        let entry = self.read_entry(material, &first)?;
        scripts.enter(entry.scripts_in(&first.point));
        let opening = opening(&entry, &first.point);

        let (pid, position) = (first.point.pid, first.point.position);
        let (end, exit, stop) = match &last {
            Some(last) if last.point.position <= position => {
                return Err(SurveyError::NothingBetween {
                    from: first.time - self.origin,
                    to: last.time - self.origin,
                });
            }
            Some(last) => {
                let exit = self.read_exit(material, last)?;
                let at = last.point.presents;
                let edge = Edge {
                    at,
                    position: last.point.position,
                };
                scripts.leave(exit.scripts_out(last.point.pid, edge), edge.position);
                (Place::of(last), exit, edge.position)
            }
            None => {
                let exit = self.read_end(material, &first)?;
                let (pts, step) = exit
                    .last_presented(pid)
                    .unwrap_or((first.point.pts, Ticks27M::ZERO));
                let edge = Edge {
                    at: pts + step,
                    position: exit.end(),
                };
                scripts.leave(exit.scripts_at_end(pid, edge), edge.position);
                let end = Place {
                    time: self
                        .time_at_end(material, &exit, edge.at)?
                        .unwrap_or(first.time),
                    pts: edge.at,
                    kind: None,
                    leading: 0,
                };
                if let Some(asked) = to
                    && asked - end.time > Ticks27M::ZERO
                {
                    let by = asked - end.time;
                    events.push(CutEvent::EndsEarly { by });
                }
                (end, exit, edge.position)
            }
        };
        let from = Place::of(&first);
        if from.leading > 0 {
            let count = from.leading;
            events.push(CutEvent::LeadingPictures { pid, count });
        }
        Ok(Plan {
            read: scripts.first.min(position)..exit.end(),
            instructions: Instructions {
                opening,
                start: position,
                stop,
                scripts: scripts.finish(stop),
                clocks: first.contents.clocks(),
            },
            pid,
            from,
            to: end,
            contents: entry.contents().clone(),
            events,
        })
    }

    fn in_point<M: Material>(
        &self,
        material: &mut M,
        asked: StreamTime,
        snap: Snap,
    ) -> Result<Found, SurveyError<M::Error>> {
        let around = self.around(material, asked, snap)?;
        let last = around.last;
        let gone = last.is_some_and(|last| asked - last > Self::FIRST_LOOK);
        let known = |f: &Found| f.time - self.origin;
        if around.behind.is_none() && gone {
            return Err(match &around.before {
                Some(last) => SurveyError::EndsBefore { last: known(last) },
                None => SurveyError::NoPoint {
                    pid: self.picture(),
                },
            });
        }
        around
            .choose(
                asked,
                match snap {
                    Snap::Outward | Snap::Closed => Snap::Before,
                    other => other,
                },
            )
            .ok_or(SurveyError::NoPoint {
                pid: self.picture(),
            })
    }

    fn out_point<M: Material>(
        &self,
        material: &mut M,
        asked: StreamTime,
        snap: Snap,
    ) -> Result<Option<Found>, SurveyError<M::Error>> {
        let around = self.around(material, asked, snap)?;
        Ok(match snap {
            Snap::Outward | Snap::After | Snap::Closed => around.behind,
            // Of what lies beyond the end, the end is nearer than any point.
            Snap::Before | Snap::Nearest if around.behind.is_none() => match around.last {
                Some(last) if asked > last => None,
                _ => around.choose(asked, snap),
            },
            Snap::Before | Snap::Nearest => around.choose(asked, snap),
        })
    }

    fn picture(&self) -> Pid {
        let main = self.contents.main().and_then(|p| p.main());
        main.map_or(Pid::NULL, |(pid, _)| pid)
    }

    /// The points around `asked`: looks from some seconds before it, and from earlier as long as
    /// there is none.
    fn around<M: Material>(
        &self,
        material: &mut M,
        asked: StreamTime,
        snap: Snap,
    ) -> Result<Around, SurveyError<M::Error>> {
        let mut back = Self::FIRST_LOOK;
        loop {
            let from = self.line.position_before(material, asked - back);
            let from = from.map_err(SurveyError::Material)?;
            let around = self.search(material, from, asked, snap == Snap::Closed)?;
            if around.before.is_some() || from <= material.extent().start {
                return Ok(around);
            }
            back = back * 4;
        }
    }

    /// Reads from `from` until a point behind `asked` comes.
    fn search<M: Material>(
        &self,
        material: &mut M,
        from: u64,
        asked: StreamTime,
        closed: bool,
    ) -> Result<Around, SurveyError<M::Error>> {
        let mut around = Around::default();
        let mut contents = self.contents.clone();
        let mut finder = finder_for(&contents);
        material.seek(from).map_err(SurveyError::Material)?;
        let mut points: Vec<Point> = Vec::new();
        loop {
            let mut more = false;
            if let Some(run) = material.next_run().map_err(SurveyError::Material)? {
                more = true;
                let mut position = run.position;
                for packet in run.packets {
                    if contents.push(packet).is_some() {
                        let now = finder_for(&contents);
                        if now.as_ref().map(Finder::pid) != finder.as_ref().map(Finder::pid) {
                            finder = now;
                        }
                    }
                    if let Some(finder) = &mut finder
                        && finder.push(position, packet)
                    {
                        points.extend(std::iter::from_fn(|| finder.next_point()));
                    }
                    position += run.stride;
                    // One point at a time: where it is decides whether to go on.
                    if !points.is_empty() {
                        break;
                    }
                }
                if !points.is_empty() {
                    material.seek(position).map_err(SurveyError::Material)?;
                }
            } else if let Some(finder) = &mut finder {
                finder.finish();
                points.extend(std::iter::from_fn(|| finder.next_point()));
            }
            for point in points.drain(..) {
                let time = self.time(material, &point)?;
                if closed && point.kind == RapKind::Open {
                    continue;
                }
                let found = |point: &Point| Found {
                    point: point.clone(),
                    time,
                    contents: contents.clone(),
                };
                if time - asked <= Self::SAME {
                    around.before = Some(found(&point));
                }
                if asked - time <= Self::SAME && around.behind.is_none() {
                    around.behind = Some(found(&point));
                }
            }
            if around.behind.is_some() {
                return Ok(around);
            }
            if !more {
                let scrambled = finder.as_ref().is_some_and(Finder::saw_scrambled);
                if around.before.is_none() && scrambled {
                    return Err(SurveyError::Scrambled {
                        pid: self.picture(),
                    });
                }
                if let Some(mark) = finder.and_then(|f| f.clock()) {
                    around.last = self
                        .line
                        .time_of(material, mark)
                        .map_err(SurveyError::Material)?;
                }
                return Ok(around);
            }
        }
    }

    fn time<M: Material>(
        &self,
        material: &mut M,
        point: &Point,
    ) -> Result<StreamTime, SurveyError<M::Error>> {
        let at = self
            .line
            .time_of(material, point.clock)
            .map_err(SurveyError::Material)?;
        Ok(at.unwrap_or_default() + (point.presents - point.clock.pcr))
    }

    /// The window around an in-point.
    fn read_entry<M: Material>(
        &self,
        material: &mut M,
        found: &Found,
    ) -> Result<Window, SurveyError<M::Error>> {
        let from = self
            .line
            .position_before(material, found.time - Self::SOUND_AHEAD);
        let from = from
            .map_err(SurveyError::Material)?
            .min(found.point.position);
        self.read_window(material, found, from, u64::MAX)
    }

    /// The window around an out-point: as far again before it as a PES packet of sound may be long.
    fn read_exit<M: Material>(
        &self,
        material: &mut M,
        found: &Found,
    ) -> Result<Window, SurveyError<M::Error>> {
        let back = Self::SOUND_AHEAD + Ticks27M::SECOND;
        let from = self.line.position_before(material, found.time - back);
        let from = from
            .map_err(SurveyError::Material)?
            .min(found.point.position);
        self.read_window(material, found, from, found.point.position)
    }

    fn read_window<M: Material>(
        &self,
        material: &mut M,
        found: &Found,
        from: u64,
        stop: u64,
    ) -> Result<Window, SurveyError<M::Error>> {
        let point = &found.point;
        let clock = clock_of(&found.contents, point.pid);
        let mut window = Window::new(found.contents.clone(), clock, point.position, stop);
        let edge = Edge {
            at: point.presents,
            position: point.position,
        };
        each(
            material,
            from..from.saturating_add(Self::LONGEST_WINDOW),
            |at, packet| {
                if at > point.position
                    && packet.pid() == clock
                    && let Some(pcr) = packet.pcr()
                {
                    let past = -(point.presents - pcr);
                    // A jump of the clock ends the window too.
                    if past > Self::FAR_BEHIND || past < -Self::FAR_BEHIND * 12 {
                        return false;
                    }
                    if past > Self::BEHIND && !window.is_unsettled(point.pid, edge) {
                        return false;
                    }
                }
                window.push(at, packet);
                true
            },
        )?;
        Ok(window)
    }

    /// The most positions that a window around an edge takes.
    const LONGEST_WINDOW: u64 = 256 << 20;

    /// The window before the end of the material, not before the in-point.
    fn read_end<M: Material>(
        &self,
        material: &mut M,
        first: &Found,
    ) -> Result<Window, SurveyError<M::Error>> {
        let end = self.line.end(material).map_err(SurveyError::Material)?;
        let back = Self::SOUND_AHEAD + Ticks27M::SECOND;
        let from = match end {
            Some(end) => self.line.position_before(material, end - back),
            None => Ok(first.point.position),
        };
        let from = from
            .map_err(SurveyError::Material)?
            .max(first.point.position);
        let clock = clock_of(&first.contents, first.point.pid);
        let mut window = Window::new(first.contents.clone(), clock, u64::MAX, u64::MAX);
        each(material, from..u64::MAX, |at, packet| {
            window.push(at, packet);
            true
        })?;
        Ok(window)
    }

    fn time_at_end<M: Material>(
        &self,
        material: &mut M,
        exit: &Window,
        pts: Pts,
    ) -> Result<Option<StreamTime>, SurveyError<M::Error>> {
        let Some(mark) = exit.last_mark() else {
            return Ok(None);
        };
        let at = self
            .line
            .time_of(material, mark)
            .map_err(SurveyError::Material)?;
        Ok(at.map(|at| at + (pts - mark.pcr)))
    }
}

impl Place {
    fn of(found: &Found) -> Self {
        Self {
            time: found.time,
            pts: found.point.presents,
            kind: Some(found.point.kind),
            leading: found.point.undecodable().len() as u64,
        }
    }
}

impl Around {
    fn choose(self, asked: StreamTime, snap: Snap) -> Option<Found> {
        match (self.before, self.behind) {
            (Some(a), Some(b)) => Some(match snap {
                Snap::After => b,
                Snap::Nearest if b.time - asked < asked - a.time => b,
                _ => a,
            }),
            (before, behind) => before.or(behind),
        }
    }
}

fn finder_for(contents: &Contents) -> Option<Finder> {
    let program = contents.main()?;
    let (pid, codec) = program.main()?;
    Some(Finder::new(pid, codec, program.clock))
}

/// The PID of the clock of the program that `pid` belongs to.
fn clock_of(contents: &Contents, pid: Pid) -> Pid {
    let has = |p: &&super::contents::Program| p.streams.iter().any(|(s, _)| *s == pid);
    contents
        .programs()
        .iter()
        .find(has)
        .map_or(Pid::NULL, |p| p.clock)
}

/// PAT, PMTs and, unless the point's own packet carries one, a PCR.
fn opening(entry: &Window, point: &Point) -> Vec<Packet> {
    let mut packets = entry.contents().packets();
    let clock = clock_of(entry.contents(), point.pid);
    if !entry.has_pcr_at_point()
        && let Some(pcr) = entry.pcr_at(point.position)
    {
        let before = (point.counter + 15) & 15;
        let counter = ContinuityCounter::new(before).unwrap_or_default();
        packets.push(Packet::pcr_only(clock, counter, pcr));
    }
    packets
}

/// Scripts of both edges, being joined.
struct Scripts {
    start: u64,
    actions: BTreeMap<Pid, Vec<(u64, Action)>>,
    /// The first position of any.
    first: u64,
}

impl Scripts {
    fn new(start: u64) -> Self {
        Self {
            start,
            actions: BTreeMap::new(),
            first: start,
        }
    }

    fn enter(&mut self, scripts: Vec<Script>) {
        for script in scripts {
            let first = script.actions.first().map(|(at, _)| *at);
            self.first = self.first.min(first.unwrap_or(self.start));
            self.actions.insert(script.pid, script.actions);
        }
    }

    fn leave(&mut self, scripts: Vec<Script>, _stop: u64) {
        for script in scripts {
            let actions = self
                .actions
                .entry(script.pid)
                .or_insert_with(|| vec![(self.start, Action::Gate)]);
            for (at, action) in script.actions {
                // In a cut of less than a PES packet both edges fall into the same one: it is
                // replaced once.
                let last = actions.last().map_or(0, |(at, _)| *at);
                if at <= last && matches!(action, Action::Replace(_)) {
                    continue;
                }
                actions.push((at.max(last), action));
            }
        }
    }

    fn finish(self, stop: u64) -> Vec<Script> {
        let drops = |actions: &[(u64, Action)]| {
            actions
                .last()
                .is_some_and(|(_, action)| *action == Action::Drop)
        };
        self.actions
            .into_iter()
            .map(|(pid, mut actions)| {
                if !drops(&actions) {
                    let last = actions.last().map_or(0, |(at, _)| *at);
                    actions.push((stop.max(last), Action::Drop));
                }
                Script { pid, actions }
            })
            .collect()
    }
}

/// Hands over the packets at these positions while `visit` says so.
fn each<M: Material>(
    material: &mut M,
    positions: Range<u64>,
    mut visit: impl FnMut(u64, &Packet) -> bool,
) -> Result<(), SurveyError<M::Error>> {
    material
        .seek(positions.start)
        .map_err(SurveyError::Material)?;
    while let Some(run) = material.next_run().map_err(SurveyError::Material)? {
        let mut position = run.position;
        for packet in run.packets {
            if position >= positions.end || !visit(position, packet) {
                return Ok(());
            }
            position += run.stride;
        }
    }
    Ok(())
}
