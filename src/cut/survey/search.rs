//! The search for the points nearest to an instant.

use super::Snap;
use super::Survey;
use crate::cut::contents::Contents;
use crate::cut::error::SurveyError;
use crate::cut::event::CutEvent;
use crate::cut::find::{Finder, Point};
use crate::cut::material::Material;
use crate::stream::rap::RapKind;
use crate::ts::Pid;
use crate::units::StreamTime;

/// A point that was looked for.
pub(super) struct Found {
    pub(super) point: Point,
    pub(super) time: StreamTime,
    pub(super) contents: Contents,
}

/// What a search around an instant came upon.
#[derive(Default)]
pub(super) struct Around {
    /// The last point at or before the instant.
    pub(super) before: Option<Found>,
    /// The first point at or behind it.
    pub(super) behind: Option<Found>,
    /// The last PCR of the material, where the search went on to its end.
    pub(super) last: Option<StreamTime>,
    /// How many open points that were not to be taken lie between either and the instant.
    pub(super) opens: (u64, u64),
    /// How many points were passed over.
    pub(super) missed: u64,
}

impl Survey {
    pub(super) fn in_point<M: Material>(
        &self,
        material: &mut M,
        asked: StreamTime,
        snap: Snap,
        events: &mut Vec<CutEvent>,
    ) -> Result<Found, SurveyError<M::Error>> {
        let around = self.around(material, asked, snap)?;
        self.tell_missed(&around, events);
        let opens = around.opens;
        let found = around
            .choose(
                asked,
                match snap {
                    Snap::Outward | Snap::Closed => Snap::Before,
                    other => other,
                },
            )
            .ok_or_else(|| {
                let pid = self.picture();
                match opens {
                    (0, 0) => SurveyError::NoPoint { pid },
                    _ => SurveyError::NoClosedPoint { pid },
                }
            })?;
        let by = asked - found.time;
        if opens.0 > 0 && by > Self::SAME {
            let (entry, points) = (true, opens.0);
            events.push(CutEvent::Widened { entry, by, points });
        }
        Ok(found)
    }

    /// The out-point, `None` where it is the end; and how many open points that were not to be
    /// taken lie before it.
    pub(super) fn out_point<M: Material>(
        &self,
        material: &mut M,
        asked: StreamTime,
        snap: Snap,
        events: &mut Vec<CutEvent>,
    ) -> Result<(Option<Found>, u64), SurveyError<M::Error>> {
        let around = self.around(material, asked, snap)?;
        self.tell_missed(&around, events);
        let opens = around.opens.1;
        let found = match snap {
            Snap::Outward | Snap::After | Snap::Closed => around.behind,
            // Of what lies beyond the end, the end is nearer than any point.
            Snap::Before | Snap::Nearest if around.behind.is_none() => match around.last {
                Some(last) if asked > last => None,
                _ => around.choose(asked, snap),
            },
            Snap::Before | Snap::Nearest => around.choose(asked, snap),
        };
        Ok((found, opens))
    }

    fn tell_missed(&self, around: &Around, events: &mut Vec<CutEvent>) {
        let (pid, count) = (self.picture(), around.missed);
        if count > 0 {
            events.push(CutEvent::PointsMissed { pid, count });
        }
    }

    pub(super) fn picture(&self) -> Pid {
        let main = self.contents.main().and_then(|p| p.main());
        main.map_or(Pid::NULL, |(pid, _)| pid)
    }

    /// The points around `asked`: looks from some seconds before it, and from earlier as long as
    /// there is none.
    pub(super) fn around<M: Material>(
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
    pub(super) fn search<M: Material>(
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
            let (mut more, mut on) = (false, from);
            if let Some(run) = material.next_run().map_err(SurveyError::Material)? {
                more = true;
                let mut position = run.position;
                for packet in run.packets {
                    if contents.push(packet) {
                        let now = finder_for(&contents);
                        if now.as_ref().map(Finder::subject) != finder.as_ref().map(Finder::subject)
                        {
                            around.missed += finder.map_or(0, |f| f.missed());
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
                on = position;
            } else if let Some(finder) = &mut finder {
                finder.finish();
                points.extend(std::iter::from_fn(|| finder.next_point()));
            }
            let looked = !points.is_empty();
            for point in points.drain(..) {
                let time = self.time(material, &point)?;
                let (at_or_before, at_or_behind) =
                    (time - asked <= Self::SAME, asked - time <= Self::SAME);
                if closed && point.kind == RapKind::Open {
                    around.opens.0 += u64::from(at_or_before);
                    around.opens.1 += u64::from(at_or_behind);
                    continue;
                }
                let found = |point: &Point| Found {
                    point: point.clone(),
                    time,
                    contents: contents.clone(),
                };
                if at_or_before {
                    around.before = Some(found(&point));
                    around.opens.0 = 0;
                }
                if at_or_behind && around.behind.is_none() {
                    around.behind = Some(found(&point));
                }
            }
            if more && looked {
                material.seek(on).map_err(SurveyError::Material)?;
            }
            if around.behind.is_some() || !more {
                around.missed += finder.as_ref().map_or(0, Finder::missed);
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

    /// When a point is presented; where the material stands afterwards is not said.
    pub(super) fn time<M: Material>(
        &self,
        material: &mut M,
        point: &Point,
    ) -> Result<StreamTime, SurveyError<M::Error>> {
        let noted = material.presentation_at(point.position, point.pts);
        if let Some(noted) = noted.map_err(SurveyError::Material)? {
            return Ok(noted + (point.presents - point.pts));
        }
        let mark = self.line.mark_for(material, point.clock, point.position);
        let mark = mark.map_err(SurveyError::Material)?;
        let at = self.line.time_of(material, mark);
        let at = at.map_err(SurveyError::Material)?.unwrap_or_default();
        Ok(at + (point.presents - mark.pcr))
    }
}

impl Around {
    pub(super) fn choose(self, asked: StreamTime, snap: Snap) -> Option<Found> {
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

pub(super) fn finder_for(contents: &Contents) -> Option<Finder> {
    let program = contents.main()?;
    let (pid, codec) = program.main()?;
    Some(Finder::new(pid, codec, program.clock))
}
