//! When pictures of a plan are presented, where their stamps alone do not tell.

use std::ops::Range;

use super::edges::clock_of;
use super::{Plan, each};
use crate::cut::error::SurveyError;
use crate::cut::line::PlacedPcr;
use crate::cut::material::Material;
use crate::ts::{PesHeader, Pid, Pts};
use crate::units::{StreamTime, Ticks27M};

/// Farther ahead of its clock no stamp is (ISO/IEC 13818-1 §2.4.2.6): the clock is another.
const FARTHEST: Ticks27M = Ticks27M::new(10 * 27_000_000);

/// How long a picture is shown, about.
const SHOWN: Ticks27M = Ticks27M::from_millis(40);

impl Plan {
    /// True when something of the program that cuts go by is presented in this range, and not only
    /// between it and the points.
    ///
    /// # Errors
    /// When the material cannot be read.
    pub fn presents_in<M: Material>(
        &self,
        material: &mut M,
        (from, to): (Option<StreamTime>, Option<StreamTime>),
    ) -> Result<bool, SurveyError<M::Error>> {
        let (start, stop) = (self.instructions.start, self.instructions.stop);
        let mut contents = self.contents.clone();
        let mut clock = None;
        let mut stamps = Vec::new();
        material.seek(start).map_err(SurveyError::Material)?;
        while let Some(run) = material.next_run().map_err(SurveyError::Material)? {
            let mut at = run.position;
            for packet in run.packets {
                contents.push(packet);
                let Some(program) = contents.main() else {
                    continue;
                };
                let pid = packet.pid();
                if pid == program.clock
                    && let Some(pcr) = packet.pcr()
                {
                    clock = Some(PlacedPcr { position: at, pcr });
                }
                if packet.payload_unit_start()
                    && program.streams.iter().any(|(stream, _)| *stream == pid)
                    && let Some(pts) = PesHeader::new(packet.payload()).and_then(|h| h.pts())
                    && let Some(mark) = clock.filter(|mark| is_near(pts, *mark))
                {
                    stamps.push((mark, pts));
                }
                at += run.stride;
            }
            for (mark, pts) in stamps.drain(..) {
                let time = self.line.time_of(material, mark);
                let time = time.map_err(SurveyError::Material)?.unwrap_or_default();
                let time = time + (pts - mark.pcr);
                if to.is_none_or(|to| time < to) && from.is_none_or(|from| time + SHOWN > from) {
                    return Ok(true);
                }
            }
            if at >= stop {
                break;
            }
        }
        Ok(false)
    }

    /// The instant of the last PES packet on `pid` with this PTS that starts at these positions,
    /// by the clock it stands behind; without such a one that of the last PCR. `None` where there
    /// is no PCR.
    ///
    /// # Errors
    /// When the material cannot be read.
    pub fn instant_in<M: Material>(
        &self,
        material: &mut M,
        positions: Range<u64>,
        (pid, pts): (Pid, Option<Pts>),
    ) -> Result<Option<StreamTime>, SurveyError<M::Error>> {
        let clock = match clock_of(&self.contents, pid) {
            Pid::NULL => clock_of(&self.contents, self.pid),
            clock => clock,
        };
        let mut last: Option<PlacedPcr> = None;
        let mut found: Option<(PlacedPcr, Pts)> = None;
        let mut waits: Option<Pts> = None;
        each(material, positions, |position, packet| {
            if packet.pid() == clock
                && let Some(pcr) = packet.pcr()
            {
                let mark = PlacedPcr { position, pcr };
                last = Some(mark);
                if let Some(pts) = waits.take() {
                    found = Some((mark, pts));
                }
            }
            if packet.pid() == pid
                && packet.payload_unit_start()
                && let Some(stamp) = PesHeader::new(packet.payload()).and_then(|h| h.pts())
                && Some(stamp) == pts
            {
                // The clock may be changed with the picture, and its PCR come behind it.
                match last.filter(|mark| is_near(stamp, *mark)) {
                    Some(mark) => (found, waits) = (Some((mark, stamp)), None),
                    None => waits = Some(stamp),
                }
            }
            true
        })?;
        let found = found.filter(|(mark, pts)| is_near(*pts, *mark));
        let Some(mark) = found.map(|(mark, _)| mark).or(last) else {
            return Ok(None);
        };
        let at = self.line.time_of(material, mark);
        let at = at.map_err(SurveyError::Material)?;
        let ahead = found.map_or(Ticks27M::ZERO, |(mark, pts)| pts - mark.pcr);
        Ok(at.map(|at| at + ahead))
    }
}

fn is_near(pts: Pts, mark: PlacedPcr) -> bool {
    (pts - mark.pcr).abs() <= FARTHEST
}
