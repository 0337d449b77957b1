//! What becomes of a unit: whether it is passed, divided or left out where a stream is entered and
//! where it is left.

use super::super::input::InputStream;
use super::super::unit::sounds_for;
use super::stream::{From, Gate, LegStream, Until, front};
use super::{Now, TOO_LATE};
use crate::stream::packetize::pes_packets;
use crate::stream::split_sound::{SplitSound, split};
use crate::ts::{Pcr, Pts};
use crate::units::{StreamTime, Ticks27M};

/// Stamps that differ by less are those of the same instant: 90 kHz rounds, and so do encoders.
const SAME: Ticks27M = Ticks27M::from_millis(1);

pub(super) enum Judged {
    Pass,
    /// It is not known yet.
    Wait,
    Drop,
    /// Packets were made of it.
    Made,
    Close,
}

impl LegStream {
    /// What becomes of the unit in front.
    pub(super) fn judge(
        &mut self,
        stream: &mut InputStream,
        offset: Ticks27M,
        edge: Option<StreamTime>,
        now: Now,
    ) -> Judged {
        if self.gate == Gate::Waiting {
            let judged = self.judge_entry(stream, offset, edge, now);
            if !matches!(judged, Judged::Pass) {
                return judged;
            }
            self.gate = Gate::Open;
        }
        let Some(unit) = front(stream) else {
            return Judged::Wait;
        };
        if let (Some(floor), Some(pts)) = (self.floor, unit.pts)
            && pts < floor
        {
            return Judged::Drop;
        }
        match self.until {
            None => Judged::Pass,
            Some(Until::Unit(serial)) if unit.serial >= serial => Judged::Close,
            Some(Until::Placed(at)) if unit.at() >= at => Judged::Close,
            Some(Until::Presented(at)) => self.judge_end(stream, at),
            Some(_) => Judged::Pass,
        }
    }

    fn judge_entry(
        &mut self,
        stream: &mut InputStream,
        offset: Ticks27M,
        edge: Option<StreamTime>,
        now: Now,
    ) -> Judged {
        let Some(unit) = front(stream) else {
            return Judged::Wait;
        };
        let at = match self.from {
            From::Unit(serial) if unit.serial < serial => return Judged::Drop,
            From::Placed(at) if unit.at() < at => return Judged::Drop,
            From::Unit(_) | From::Placed(_) => return Judged::Pass,
            From::Presented(at) => at,
        };
        let Some(pts) = unit.pts else {
            return Judged::Drop;
        };
        if !stream.codec.is_audio() {
            let enters = !stream.codec.is_video() || unit.rap.is_some();
            return match enters && pts >= at - SAME {
                true => Judged::Pass,
                false => Judged::Drop,
            };
        }
        // Sound goes on where it ended, be it before the picture.
        let near = |edge: &StreamTime| (*edge - at).abs() < Ticks27M::SECOND * 5;
        let at = edge.map(|edge| edge - offset).filter(near).unwrap_or(at);
        let at = at.max(now.clock + TOO_LATE - offset);
        if pts >= at - SAME {
            return Judged::Pass;
        }
        if !unit.whole {
            return Judged::Wait;
        }
        if !unit.is_sound() || unit.end.is_none_or(|end| end <= at + SAME) {
            return Judged::Drop;
        }
        let parts = divide(stream, at);
        let Some((parts, base)) = parts else {
            return Judged::Wait;
        };
        let (unit, pid) = (stream.units.pop_front(), stream.pid);
        let made = parts.after.map(|bytes| pes_packets(pid, &bytes));
        let next = parts.next.map(|bytes| pes_packets(pid, &bytes));
        let (placed, end) = unit.map_or((StreamTime::default(), None), |u| (u.at(), u.end));
        if let Some(packets) = next {
            // The rest of a frame that begins before is left out of the one behind.
            stream.units.pop_front();
            self.made.extend(packets);
        }
        self.made.extend(made.unwrap_or_default());
        (self.made_at, self.made_by) = (placed, base);
        self.sounds_until(end);
        self.gate = Gate::Open;
        Judged::Made
    }

    /// A unit that may reach over the instant at which the stream is left.
    fn judge_end(&mut self, stream: &mut InputStream, at: StreamTime) -> Judged {
        let Some(unit) = front(stream) else {
            return Judged::Wait;
        };
        let Some(pts) = unit.pts else {
            return Judged::Pass;
        };
        if pts >= at - SAME {
            return Judged::Close;
        }
        if !stream.codec.is_audio() {
            return Judged::Pass;
        }
        if !unit.whole {
            return Judged::Wait;
        }
        if !unit.is_sound() || unit.end.is_none_or(|end| end <= at + SAME) {
            return Judged::Pass;
        }
        let Some((parts, base)) = divide(stream, at) else {
            return Judged::Wait;
        };
        let Some(before) = parts.before else {
            return Judged::Pass;
        };
        let pid = stream.pid;
        if let Some(unit) = stream.units.pop_front() {
            self.made.extend(pes_packets(pid, &before));
            (self.made_at, self.made_by) = (unit.at(), base);
            let length = sounds_for(stream.codec, &before).unwrap_or_default();
            self.sounds_until(Some(pts + length));
        }
        self.gate = Gate::Closed;
        Judged::Made
    }
}

/// The unit in front divided at an instant of the line; `None` while the one behind it, into which
/// its last frame may reach, is not there.
fn divide(stream: &InputStream, at: StreamTime) -> Option<(SplitSound, Ticks27M)> {
    let mut units = stream.units.iter();
    let unit = units.next()?;
    let next = units.next()?;
    let next = next.is_sound().then(|| next.bytes());
    let clock = (at - unit.base).ticks().rem_euclid(Pcr::CIRCLE.get());
    // Rounded up: what is presented at the very instant is behind it.
    let edge = Pts::wrapping((clock as u64).div_ceil(300));
    let parts = split(stream.codec, &unit.bytes(), next.as_deref(), edge);
    Some((parts, unit.base))
}
