//! Looking before cutting: where the in- and out-points are, and what happens around them.
//!
//! A survey reads the start of a material (programs, clock), then some seconds around each of the
//! two instants asked for, and nothing between: what it costs does not grow with the material.

use std::ops::Range;

use super::contents::Contents;
use super::edit::Instructions;
use super::error::SurveyError;
use super::event::CutEvent;
use super::find::Finder;
use super::line::Line;
use super::material::Material;
use super::window::Edge;
use crate::si::ServiceSelector;
use crate::stream::codec::Codec;
use crate::stream::rap::RapKind;
use crate::ts::{Packet, PesHeader, Pid, Pts};
use crate::units::{StreamTime, Ticks27M};

mod edges;
mod instants;
mod scripts;
mod search;

use edges::opening;
use scripts::Scripts;
use search::Found;

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
    /// The PIDs on which something is presented from the in-point on.
    pub present: Vec<Pid>,
    /// What was met.
    pub events: Vec<CutEvent>,
    line: Line,
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
    /// Such pictures behind an in-point that are kept, because an H.264 decoder would lose the
    /// point itself for their absence.
    pub kept: u64,
}

/// A material whose programs and clock are known.
#[derive(Debug)]
pub struct Survey {
    contents: Contents,
    line: Line,
    origin: StreamTime,
    /// Where it began to read.
    begin: u64,
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
    /// How far, where a picture beside the main one waits for a point of its own.
    const FAR_TO_A_POINT: Ticks27M = Ticks27M::new(15 * 27_000_000);
    /// A point this near to an instant is at it: what is reported to the millisecond can be asked
    /// for again.
    const SAME: Ticks27M = Ticks27M::new(27_000 / 2);
    /// How far before an instant a point is looked for first; then four times as far, and so on.
    const FIRST_LOOK: Ticks27M = Ticks27M::new(4 * 27_000_000);

    /// Reads the start of `material`; where it keeps arrivals, from `near` on, if that is given:
    /// what a ring began with may be of no interest, and gone in a moment. Cuts go by `service`;
    /// where none is named, by the first with a picture.
    ///
    /// # Errors
    /// When it cannot be read, or has no program with a clock and picture or sound, or not that
    /// service.
    pub fn of<M: Material>(
        material: &mut M,
        near: Option<StreamTime>,
        service: Option<&ServiceSelector>,
    ) -> Result<Self, SurveyError<M::Error>> {
        let begin = match near {
            Some(near) => material.position_before(near - Self::FIRST_LOOK),
            None => Ok(None),
        };
        let start = material.extent().start;
        let mut begin = begin.map_err(SurveyError::Material)?.unwrap_or(start);
        let mut contents = Self::read_contents(material, begin, service)?;
        if !contents.is_complete() && begin > start {
            // Too near to the end.
            begin = begin.saturating_sub(Self::LONGEST_START).max(start);
            contents = Self::read_contents(material, begin, service)?;
        }
        if contents.programs().is_empty() {
            return Err(SurveyError::NoPrograms);
        }
        if let Some(selector) = service {
            let found = contents.find(selector);
            contents.choose(found.ok_or_else(|| {
                let services = contents.services();
                let owned = services.map(|(id, name)| (id, name.map(str::to_owned)));
                SurveyError::NoService {
                    services: owned.collect(),
                }
            })?);
        }
        let until = begin.saturating_add(Self::LONGEST_START);
        let program = contents.main().ok_or(SurveyError::NothingToCutBy)?;
        let (pid, _) = program.main().ok_or(SurveyError::NothingToCutBy)?;
        let clock = program.clock;
        let line = Line::of(material, clock).map_err(SurveyError::Material)?;
        let line = line.ok_or(SurveyError::NoClock { pid: clock })?;

        // The earliest stamp: later pictures may precede the first, until one is decoded late.
        let mut first: Option<Pts> = None;
        let mut finder = Finder::new(pid, Codec::Other, clock);
        each(material, begin..until, |at, packet| {
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
            return Err(match finder.saw_scrambled() {
                true => SurveyError::Scrambled { pid },
                false => SurveyError::NoPoint { pid },
            });
        };
        let time = line
            .time_of(material, mark)
            .map_err(SurveyError::Material)?;
        Ok(Self {
            contents,
            origin: time.unwrap_or_default() + (pts - mark.pcr),
            line,
            begin,
        })
    }

    /// PAT and PMTs from `begin` on; for a service that is named, its name too.
    fn read_contents<M: Material>(
        material: &mut M,
        begin: u64,
        service: Option<&ServiceSelector>,
    ) -> Result<Contents, SurveyError<M::Error>> {
        let mut contents = Contents::new();
        let mut any = false;
        let until = begin.saturating_add(Self::LONGEST_START);
        each(material, begin..until, |_, packet| {
            any = true;
            contents.push(packet);
            !contents.is_complete() || service.is_some_and(|s| contents.find(s).is_none())
        })?;
        if any {
            Ok(contents)
        } else {
            Err(SurveyError::Empty)
        }
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
        if let (Some(main), others @ 1..) = (self.contents.main(), self.contents.others()) {
            events.push(CutEvent::OtherPrograms {
                service: main.service,
                others: others as u64,
            });
        }
        let first = self.in_point(material, from.unwrap_or(self.origin), snap, &mut events)?;
        if let Some(asked) = from
            && first.time - asked > Self::SAME
            && matches!(snap, Snap::Outward | Snap::Before | Snap::Closed)
        {
            let by = first.time - asked;
            events.push(CutEvent::StartsLate { by });
        }
        let (last, opens) = match to {
            Some(to) => self.out_point(material, to, snap, &mut events)?,
            None => (None, 0),
        };
        let mut scripts = Scripts::new(first.point.position);
        let entry = self.read_entry(material, &first)?;
        scripts.enter(entry.scripts_in(&first.point));
        let opening = opening(&entry, &first.point);

        let (pid, position) = (first.point.pid, first.point.position);
        let (end, exit, stop) = match &last {
            Some(last) if last.point.position <= position => {
                let (_, end) = self.read_end(material, &first)?;
                // Points that coincide may lie on either side of the range, or in it.
                let before = to.is_some_and(|to| to - self.origin <= Ticks27M::ZERO);
                return Err(if before || from.is_some_and(|from| from >= end.time) {
                    self.elsewhere(material, end.time)
                } else {
                    SurveyError::NothingBetween { at: first.time }
                });
            }
            Some(last) => {
                let exit = self.read_exit(material, last)?;
                let at = last.point.presents;
                let edge = Edge {
                    at,
                    position: last.point.position,
                };
                scripts.leave(exit.scripts_out(last.point.pid, edge));
                (Place::of(last), exit, edge.position)
            }
            None => {
                let (exit, end) = self.read_end(material, &first)?;
                if from.is_some_and(|from| from >= end.time) {
                    return Err(self.elsewhere(material, end.time));
                }
                let edge = Edge {
                    at: end.pts,
                    position: exit.end(),
                };
                scripts.leave(exit.scripts_at_end(pid, edge));
                if let Some(asked) = to
                    && asked - end.time > Ticks27M::ZERO
                {
                    let by = asked - end.time;
                    events.push(CutEvent::EndsEarly { by });
                }
                (end, exit, edge.position)
            }
        };
        if let Some(asked) = to
            && opens > 0
            && end.time - asked > Self::SAME
        {
            let (entry, by, points) = (false, end.time - asked, opens);
            events.push(CutEvent::Widened { entry, by, points });
        }
        let bytes = entry.bytes_not_kept() + exit.bytes_not_kept();
        if bytes > 0 {
            events.push(CutEvent::SoundNotSplit { bytes });
        }
        let mut from = Place::of(&first);
        let left_out = first.point.left_out().len() as u64;
        (from.leading, from.kept) = (left_out, from.leading - left_out);
        if from.kept > 0 {
            let count = from.kept;
            events.push(CutEvent::LeadingKept { pid, count });
        }
        if from.leading > 0 {
            let count = from.leading;
            events.push(CutEvent::LeadingPictures { pid, count });
        }
        let read = scripts.first.min(position)..exit.end();
        let jumps = self.line.jumps_in(&read);
        if jumps > 0 {
            events.push(CutEvent::ClockBroken { jumps });
        }
        let jumps = self.line.not_followed_in(&read);
        if jumps > 0 {
            events.push(CutEvent::JumpsNotFollowed { jumps });
        }
        Ok(Plan {
            read,
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
            present: entry.present(Edge {
                at: first.point.presents,
                position,
            }),
            events,
            line: self.line.clone(),
        })
    }
}

impl Survey {
    /// What was asked for is not in the material: from where to where that reaches.
    fn elsewhere<M: Material>(&self, material: &mut M, ends: StreamTime) -> SurveyError<M::Error> {
        let mut begins = self.origin;
        if self.begin > material.extent().start
            && let Ok(whole) = Self::of(material, None, None)
        {
            begins = whole.origin;
        }
        SurveyError::Elsewhere { begins, ends }
    }
}

impl Place {
    fn of(found: &Found) -> Self {
        Self {
            time: found.time,
            pts: found.point.presents,
            kind: Some(found.point.kind),
            leading: found.point.undecodable().len() as u64,
            kept: 0,
        }
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
