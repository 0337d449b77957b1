//! An input's way into the output, from where it was entered to where it is left.

use std::collections::VecDeque;

use super::input::{Input, InputStream};
use super::unit::{Follows, Unit, sounds_for};
use crate::stream::codec::Codec;
use crate::stream::packetize::pes_packets;
use crate::stream::split_sound::split;
use crate::ts::{Packet, Pcr, Pts};
use crate::units::{Arrival, StreamTime, Ticks27M};

/// Stamps that differ by less are those of the same instant: 90 kHz rounds, and so do encoders.
const SAME: Ticks27M = Ticks27M::from_millis(1);
/// An input that was silent for so long does not complete what it has begun: jitter is less.
const STALLED: Ticks27M = Ticks27M::from_millis(60);
/// A stream without packets for so long, while others go on, does not complete what it has begun.
const GONE: Ticks27M = Ticks27M::from_millis(400);
/// A unit that says how long it is, and of which nothing came for so long, is not begun.
const UNCERTAIN: Ticks27M = Ticks27M::from_millis(150);
/// Sound that is presented sooner than this cannot be sent any more.
const TOO_LATE: Ticks27M = Ticks27M::from_millis(40);

/// Where a stream is entered, on the input's line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// At this unit.
    Unit(u64),
    /// At what is presented from here on.
    Presented(StreamTime),
    /// At what stands from here on.
    Placed(StreamTime),
}

/// Where a stream is left, on the input's line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Before this unit.
    Unit(u64),
    /// Before what is presented from here on.
    Presented(StreamTime),
    /// Before what stands from here on.
    Placed(StreamTime),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Gate {
    Waiting,
    Open,
    Closed,
}

/// A stream of a leg.
#[derive(Debug)]
pub(super) struct LegStream {
    /// Where it goes; nowhere when the layout has no room.
    pub(super) slot: Option<usize>,
    pub(super) from: From,
    pub(super) until: Option<Until>,
    gate: Gate,
    /// When its first picture or sound is presented.
    pub(super) begins: Option<StreamTime>,
    /// Pictures presented before this follow a point at which was entered, and do not decode.
    floor: Option<StreamTime>,
    /// Packets of the unit in front that were sent.
    sent: usize,
    /// Packets that were made of a unit, to be sent first.
    made: VecDeque<Packet>,
    made_at: StreamTime,
    made_by: Ticks27M,
    /// What comes next of the input follows what was sent last.
    follows: bool,
    /// Where the sound ends that was sent.
    pub(super) ended: Option<StreamTime>,
    /// The newest instant of presentation that was sent.
    pub(super) newest: Option<StreamTime>,
    /// Units that were begun and never came whole.
    pub(super) torn: u64,
    /// Units whose stamps are of another clock: they were left out.
    pub(super) foreign: u64,
    /// Units that nobody can decode, as no CA system goes with them: they were left out.
    pub(super) scrambled: u64,
}

impl LegStream {
    fn new(slot: Option<usize>, from: From, begins: StreamTime, floor: Option<StreamTime>) -> Self {
        Self {
            begins: Some(begins),
            slot,
            from,
            until: None,
            gate: if slot.is_some() {
                Gate::Waiting
            } else {
                Gate::Closed
            },
            floor,
            sent: 0,
            made: VecDeque::new(),
            made_at: StreamTime::default(),
            made_by: Ticks27M::ZERO,
            follows: false,
            ended: None,
            newest: None,
            torn: 0,
            foreign: 0,
            scrambled: 0,
        }
    }

    /// A unit that stands before the point of entry, or follows it and does not decode.
    pub(super) fn is_passed_over(&self, unit: &Unit) -> bool {
        let before = matches!(self.from, From::Unit(serial) if unit.serial < serial);
        before
            || self
                .floor
                .zip(unit.pts)
                .is_some_and(|(floor, pts)| pts < floor)
    }

    fn sounds_until(&mut self, end: Option<StreamTime>) {
        self.ended = self.ended.max(end);
        self.newest = self.newest.max(end);
    }

    /// Nothing more of it is sent.
    pub(super) fn is_over(&self) -> bool {
        self.gate == Gate::Closed && self.made.is_empty()
    }

    /// True when the unit in front was begun.
    pub(super) const fn is_inside(&self) -> bool {
        self.sent > 0
    }
}

/// A packet that is due.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) packet: Packet,
    /// What its stamps are moved by to be on the input's line.
    pub(super) base: Ticks27M,
    pub(super) follows: Follows,
    /// A splice information section to be moved, which the packet begins.
    pub(super) splice: Option<Vec<u8>>,
}

/// How things stand for a leg.
#[derive(Copy, Clone, Debug)]
pub(super) struct Now {
    /// The time.
    pub(super) arrival: Arrival,
    /// The output's clock.
    pub(super) clock: StreamTime,
}

/// An input in the output.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: u64,
    pub(super) input: usize,
    pub(super) session: u32,
    /// Added to the input's line gives the output's.
    pub(super) offset: Ticks27M,
    /// How much later than others at the same delay this leg leaves.
    pub(super) phase: Ticks27M,
    pub(super) streams: Vec<LegStream>,
    /// The stream by which was entered.
    pub(super) main: usize,
    /// It is being left; at this instant of presentation, on the output's line.
    pub(super) left_at: Option<StreamTime>,
}

impl Leg {
    pub(super) fn new(id: u64, input: usize, session: u32, main: usize) -> Self {
        Self {
            id,
            input,
            session,
            offset: Ticks27M::ZERO,
            phase: Ticks27M::ZERO,
            streams: Vec::new(),
            main,
            left_at: None,
        }
    }

    /// Lets the streams of `input` in: the main one at a unit that is presented at `presents`,
    /// the others at what is presented or stands there.
    pub(super) fn enter(
        &mut self,
        input: &Input,
        slots: &[Option<usize>],
        point: &Unit,
        presents: StreamTime,
    ) {
        let streams = input.streams.iter().zip(slots).enumerate();
        self.streams = streams
            .map(|(n, (stream, slot))| {
                let from = match stream.codec {
                    _ if n == self.main => From::Unit(point.serial),
                    Codec::Scte35 | Codec::Sections | Codec::Other => From::Placed(point.at()),
                    _ => From::Presented(presents),
                };
                let floor = stream.codec.is_video().then_some(presents);
                LegStream::new(*slot, from, presents, floor)
            })
            .collect();
    }

    /// Closes the streams where another input takes over: the main one before a unit, the others
    /// at what is presented at `presents` or stands at `placed`, both on the output's line.
    pub(super) fn leave(
        &mut self,
        input: &Input,
        before: u64,
        presents: StreamTime,
        placed: StreamTime,
    ) {
        self.left_at = Some(presents);
        let (presents, placed) = (presents - self.offset, placed - self.offset);
        for (n, (leg, stream)) in self.streams.iter_mut().zip(&input.streams).enumerate() {
            leg.until = Some(match stream.codec {
                _ if n == self.main => Until::Unit(before),
                Codec::Scte35 | Codec::Sections | Codec::Other => Until::Placed(placed),
                _ => Until::Presented(presents),
            });
        }
    }

    /// Nothing more of it is sent.
    pub(super) fn close(&mut self) {
        for stream in &mut self.streams {
            stream.gate = Gate::Closed;
            stream.made.clear();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.streams.iter().all(LegStream::is_over)
    }

    /// When the next packet of a stream is due, on the output's line: `None` when there is none
    /// yet, or never. `edge` is where the sound of the slot ended, on the output's line.
    pub(super) fn due(
        &mut self,
        input: &mut Input,
        n: usize,
        edge: Option<StreamTime>,
        now: Now,
    ) -> Option<StreamTime> {
        let (offset, session, leaving) = (self.offset, self.session, self.left_at.is_some());
        let past = self.left_at.is_some_and(|at| now.clock >= at);
        let silent =
            |last: Option<Arrival>, longest| last.is_none_or(|at| now.arrival - at > longest);
        let stalled = silent(input.last_arrival, STALLED) || input.session != session;
        let leg = self.streams.get_mut(n)?;
        let stream = input.streams.get_mut(n)?;
        let steady = stream.codec.is_video() || stream.codec.is_audio();
        let stalled = stalled || steady && silent(stream.last_arrival, GONE);
        loop {
            if !leg.made.is_empty() {
                return Some(leg.made_at + offset);
            }
            if leg.gate == Gate::Closed {
                return None;
            }
            let open = stream.units.is_empty();
            let Some(unit) = front(stream) else {
                // Sections are few: what stands before the splice is there by then.
                let past = match leg.until {
                    Some(Until::Placed(at)) => now.clock >= at + offset,
                    _ => past,
                };
                if past || stalled && (leaving || input.session != session) {
                    leg.gate = Gate::Closed;
                }
                return None;
            };
            if unit.session != session {
                if unit.session > session {
                    leg.torn += u64::from(leg.sent > 0);
                    leg.gate = Gate::Closed;
                    return None;
                }
                drop_front(stream);
                leg.sent = 0;
                continue;
            }
            if leg.sent > 0 {
                if let Some(next) = unit.packets.get(leg.sent) {
                    return Some(next.at + offset);
                }
                if !open {
                    let unit = stream.units.pop_front();
                    // Where it ends was not known when it began to leave.
                    leg.sounds_until(unit.and_then(|unit| unit.end));
                    leg.sent = 0;
                    continue;
                }
                if leaving && stalled {
                    leg.torn += 1;
                    leg.gate = Gate::Closed;
                }
                return None;
            }
            if unit.foreign {
                drop_front(stream);
                leg.follows = false;
                leg.foreign += 1;
                continue;
            }
            if unit.scrambled && leg.gate == Gate::Open {
                match leg.until {
                    // When it is presented is scrambled too.
                    Some(Until::Presented(_)) => {
                        leg.gate = Gate::Closed;
                        return None;
                    }
                    Some(Until::Unit(serial)) if unit.serial >= serial => {}
                    _ => {
                        drop_front(stream);
                        leg.follows = false;
                        leg.scrambled += 1;
                        continue;
                    }
                }
            }
            let due = unit.at() + offset;
            match leg.judge(stream, offset, edge, now) {
                Judged::Pass => {}
                Judged::Wait => {
                    if leaving && stalled {
                        leg.gate = Gate::Closed;
                    }
                    return None;
                }
                Judged::Drop => {
                    drop_front(stream);
                    leg.follows = false;
                    continue;
                }
                Judged::Made => continue,
                Judged::Close => {
                    leg.gate = Gate::Closed;
                    return None;
                }
            }
            // What an input has begun and does not go on with is not begun here. Sound can wait for
            // its end nearly until it is presented.
            let unit = front(stream)?;
            let halted = stalled || unit.is_measured() && silent(stream.last_arrival, UNCERTAIN);
            let early = unit
                .pts
                .is_some_and(|pts| pts + offset - now.clock > TOO_LATE);
            let waits = stream.codec.is_audio() && (early || leaving);
            if !unit.whole && (halted || waits) {
                if leaving && (halted || !early) {
                    leg.gate = Gate::Closed;
                }
                return None;
            }
            return Some(due);
        }
    }

    /// Takes the packet that [`Leg::due`] told of.
    pub(super) fn take(&mut self, input: &mut Input, n: usize) -> Option<Next> {
        let leg = self.streams.get_mut(n)?;
        let stream = input.streams.get_mut(n)?;
        if let Some(packet) = leg.made.pop_front() {
            leg.follows = false;
            return Some(Next {
                packet,
                base: leg.made_by,
                follows: Follows::Due,
                splice: None,
            });
        }
        let open = stream.units.is_empty();
        let sound = stream.codec.is_audio();
        let unit = match open {
            true => stream.gatherer.open_mut(),
            false => stream.units.front_mut(),
        }?;
        let placed = unit.packets.get(leg.sent)?;
        let follows = match placed.follows {
            _ if leg.follows => placed.follows,
            _ => Follows::Due,
        };
        let mut next = Next {
            packet: placed.packet,
            base: unit.base,
            follows,
            splice: None,
        };
        if leg.sent == 0 {
            next.splice = unit.splice.take();
            let presents = if sound { unit.end } else { unit.pts };
            leg.newest = leg.newest.max(presents.or(unit.pts));
        }
        leg.sent += 1;
        leg.follows = true;
        if sound {
            leg.sounds_until(unit.end);
        }
        if !open && leg.sent == unit.packets.len() {
            stream.units.pop_front();
            leg.sent = 0;
        }
        if next.splice.is_some() {
            // The section goes out as a whole, moved: its packets here are not needed.
            stream.units.pop_front();
            leg.sent = 0;
        }
        Some(next)
    }
}

enum Judged {
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
    fn judge(
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
fn divide(
    stream: &InputStream,
    at: StreamTime,
) -> Option<(crate::stream::split_sound::SplitSound, Ticks27M)> {
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

fn front(stream: &InputStream) -> Option<&Unit> {
    stream.units.front().or_else(|| stream.gatherer.open())
}

fn drop_front(stream: &mut InputStream) {
    if stream.units.pop_front().is_none() {
        stream.gatherer.reset();
    }
}
