//! The windows around the edges.

use super::search::Found;
use super::{Place, Survey, each};
use crate::cut::contents::{Contents, Program};
use crate::cut::error::SurveyError;
use crate::cut::find::Point;
use crate::cut::material::Material;
use crate::cut::window::{Edge, Window};
use crate::ts::{ContinuityCounter, Packet, Pid};
use crate::units::Ticks27M;

impl Survey {
    /// The window around an in-point.
    pub(super) fn read_entry<M: Material>(
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
    pub(super) fn read_exit<M: Material>(
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

    /// Packets from `from` to some way behind the point; sections that begin behind `stop` are not
    /// wanted, and where all are, it is an in-point: pictures of other programs wait there for a
    /// point of their own.
    fn read_window<M: Material>(
        &self,
        material: &mut M,
        found: &Found,
        from: u64,
        stop: u64,
    ) -> Result<Window, SurveyError<M::Error>> {
        let point = &found.point;
        let entry = stop == u64::MAX;
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
                    let waits = entry && window.awaits_point(point.pid, edge);
                    let far = if waits {
                        Self::FAR_TO_A_POINT
                    } else {
                        Self::FAR_BEHIND
                    };
                    // A jump of the clock ends the window too.
                    if past > far || past < -Self::FAR_BEHIND * 12 {
                        return false;
                    }
                    if past > Self::BEHIND && !waits && !window.is_unsettled(point.pid, edge) {
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

    /// The window before the end of the material, not before the in-point, and where the last
    /// picture in it ends; `first` itself where there is none.
    pub(super) fn read_end<M: Material>(
        &self,
        material: &mut M,
        first: &Found,
    ) -> Result<(Window, Place), SurveyError<M::Error>> {
        let end = self.line.end(material).map_err(SurveyError::Material)?;
        let back = Self::SOUND_AHEAD + Ticks27M::SECOND;
        let from = match end {
            Some(end) => self.line.position_before(material, end - back),
            None => Ok(first.point.position),
        };
        let from = from
            .map_err(SurveyError::Material)?
            .max(first.point.position)
            // A clock that stopped or jumped does not tell how far back a second is.
            .max(material.extent().end.saturating_sub(Self::LONGEST_WINDOW));
        let clock = clock_of(&first.contents, first.point.pid);
        let mut window = Window::new(first.contents.clone(), clock, u64::MAX, u64::MAX);
        each(material, from..u64::MAX, |at, packet| {
            window.push(at, packet);
            true
        })?;
        let (pts, step) = window
            .last_presented(first.point.pid)
            .unwrap_or((first.point.pts, Ticks27M::ZERO));
        let pts = pts + step;
        let time = match window.last_mark() {
            Some(mark) => {
                let at = self.line.time_of(material, mark);
                let at = at.map_err(SurveyError::Material)?;
                at.map(|at| at + (pts - mark.pcr))
            }
            None => None,
        };
        let end = Place {
            time: time.unwrap_or(first.time),
            pts,
            kind: None,
            leading: 0,
            kept: 0,
        };
        Ok((window, end))
    }
}

/// The PID of the clock of the program that `pid` belongs to.
pub(super) fn clock_of(contents: &Contents, pid: Pid) -> Pid {
    let has = |p: &&Program| p.streams.iter().any(|(s, _)| *s == pid);
    contents
        .programs()
        .iter()
        .find(has)
        .map_or(Pid::NULL, |p| p.clock)
}

/// PAT, PMTs and, unless the point's own packet carries one, a PCR.
pub(super) fn opening(entry: &Window, point: &Point) -> Vec<Packet> {
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
