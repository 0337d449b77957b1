//! An input's way into the output, from where it was entered to where it is left.

mod judge;
mod stream;

use super::input::Input;
use super::unit::{Follows, Unit};
use crate::stream::codec::Codec;
use crate::ts::Packet;
use crate::units::{Arrival, StreamTime, Ticks27M};

pub(super) use stream::{From, LegStream, Until};

use judge::Judged;
use stream::{Gate, drop_front, front};

/// Sound that is presented sooner than this cannot be sent any more.
const TOO_LATE: Ticks27M = Ticks27M::from_millis(40);
/// An input that was silent for so long does not complete what it has begun: jitter is less.
const STALLED: Ticks27M = Ticks27M::from_millis(60);
/// A stream without packets for so long, while others go on, does not complete what it has begun.
const GONE: Ticks27M = Ticks27M::from_millis(400);
/// A unit that says how long it is, and of which nothing came for so long, is not begun.
const UNCERTAIN: Ticks27M = Ticks27M::from_millis(150);

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
