//! Playing a stream by its own clock: each packet gets the instant at which it leaves.
//!
//! [`Pacer`] says when a packet is due on the stream's timeline, [`Stuffer`] where it stands at a
//! constant rate, and [`Playout`] lays that line on the monotonic clock: straight for a file, and
//! for a live stream with a slope that follows the sender's clock.

use super::event::{Event, Severity, Value};
use super::pacer::Pacer;
use super::stuffing::{RateExceeded, Stuffer};
use super::{Counters, Pending};
use crate::ts::{Packet, PidSet};
use crate::units::{Arrival, BitRate, StreamTime, Ticks27M};

/// Behind by more than this, a playout does not try to catch up in a burst.
const MOST_BEHIND: Ticks27M = Ticks27M::new(27_000_000);
/// How far ahead of its departure a live packet is kept: the longest PCR interval and its jitter.
const LIVE_MARGIN: Ticks27M = Ticks27M::new(27_000_000 / 5);
/// The share of its error by which a live playout is moved with each PCR.
const SLEW: i64 = 4096;

/// What a playout observes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PlayoutEvent {
    /// The input was so late that the playout was moved back, and goes on at its pace from there.
    Behind {
        /// By how much.
        by: Ticks27M,
    },
}

impl Event for PlayoutEvent {
    fn name(&self) -> &'static str {
        "playout_behind"
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        let Self::Behind { by } = self;
        field("by_ms", Value::from(by.as_millis()));
    }
}

/// How a stream is played.
#[derive(Copy, Clone, Debug)]
pub struct PlayoutOptions {
    /// How much faster than its clock, in thousandths: 1000 is as fast.
    pub speed_permille: u32,
    /// The constant rate to stuff to.
    pub rate: Option<BitRate>,
    /// True for an input that comes at its own pace.
    pub live: bool,
}

impl Default for PlayoutOptions {
    /// A file at its own speed, as it is.
    fn default() -> Self {
        Self {
            speed_permille: 1000,
            rate: None,
            live: false,
        }
    }
}

/// Gives packets their departures.
///
/// ```
/// use headend::stream::playout::{Playout, PlayoutOptions};
/// use headend::ts::{ContinuityCounter, Packet, Pcr, Pid};
/// use headend::units::Arrival;
/// let options = PlayoutOptions { speed_permille: 2000, rate: None, live: false };
/// let mut playout = Playout::new(options);
/// let now = Arrival::from_ticks(500);
/// for ticks in [0, 54_000] {
///     let pcr = Pcr::from_ticks(ticks).unwrap();
///     let packet = Packet::pcr_only(Pid::new(0x100).unwrap(), ContinuityCounter::default(), pcr);
///     playout.push(&packet, now);
/// }
/// playout.finish(now);
/// let mut departures = Vec::new();
/// playout.take(&mut |_, at| departures.push(at.ticks()));
/// assert_eq!(departures, [500, 27_500]);
/// ```
#[derive(Debug)]
pub struct Playout {
    options: PlayoutOptions,
    pacer: Pacer,
    /// The PIDs that leave; all of them when `None`.
    wanted: Option<PidSet>,
    stuffer: Option<Stuffer>,
    /// Packets that the pacer let go, with their instants on the stream's line: those of one PCR
    /// interval, [`Pacer::HELD_PACKETS`] and one at most, beside those that the pacer holds then.
    /// What is stuffed between them is never held.
    ready: Vec<(Packet, StreamTime)>,
    /// An instant of the stream and when it leaves.
    anchor: Option<(StreamTime, Arrival)>,
    events: Pending<PlayoutEvent>,
    behind: u64,
}

impl Playout {
    /// A playout that has seen nothing.
    pub fn new(options: PlayoutOptions) -> Self {
        Self {
            options,
            pacer: match options.rate {
                Some(rate) => Pacer::new().at_rate(rate),
                None => Pacer::new(),
            },
            wanted: None,
            stuffer: options.rate.map(Stuffer::new),
            ready: Vec::new(),
            anchor: None,
            events: Pending::new(),
            behind: 0,
        }
    }

    /// The same, of which only these PIDs leave; `None`: all. The others keep the time: a clock may be among
    /// them, and it is the whole stream whose bytes are evenly spaced.
    #[must_use]
    pub fn passing(mut self, wanted: Option<PidSet>) -> Self {
        self.wanted = wanted;
        self
    }

    /// Takes the next packet, at `now`; [`Playout::take`] is to follow.
    pub fn push(&mut self, packet: &Packet, now: Arrival) {
        let ready = &mut self.ready;
        self.pacer
            .push(packet, &mut |packet, at| ready.push((*packet, at)));
        self.lay(now);
    }

    /// Lets go of what is held: the end of the stream.
    pub fn finish(&mut self, now: Arrival) {
        let ready = &mut self.ready;
        self.pacer
            .finish(&mut |packet, at| ready.push((*packet, at)));
        self.lay(now);
    }

    /// Lays the line anew where it must be.
    fn lay(&mut self, now: Arrival) {
        let Some((_, first)) = self.ready.first() else {
            return;
        };
        let margin = if self.options.live {
            LIVE_MARGIN
        } else {
            Ticks27M::ZERO
        };
        let Some((from, leaves)) = self.anchor else {
            self.anchor = Some((*first, now + margin));
            return;
        };
        let due = leaves + scaled(*first - from, self.options.speed_permille);
        let early = due - now;
        if early < -MOST_BEHIND {
            self.behind += 1;
            self.events.push(PlayoutEvent::Behind { by: -early });
            self.anchor = Some((*first, now + margin));
        } else if self.options.live {
            // The sender's clock and ours drift: the margin is held, far slower than jitter.
            self.anchor = Some((*first, due + (margin - early) / SLEW));
        } else {
            self.anchor = Some((*first, due));
        }
    }

    /// Gives the packets whose departures are known, in order.
    pub fn take(&mut self, out: &mut impl FnMut(&Packet, Arrival)) {
        let (from, leaves) = self.anchor.unwrap_or_default();
        let speed = self.options.speed_permille;
        let mut leave =
            |packet: &Packet, at: StreamTime| out(packet, leaves + scaled(at - from, speed));
        for (packet, at) in self.ready.drain(..) {
            if self
                .wanted
                .as_ref()
                .is_some_and(|w| !w.contains(packet.pid()))
            {
                continue;
            }
            match &mut self.stuffer {
                Some(stuffer) => stuffer.push(&packet, at, &mut leave),
                None => leave(&packet, at),
            }
        }
    }

    /// What did not fit into the constant rate since the start, if anything.
    pub fn exceeded(&self) -> Option<RateExceeded> {
        self.stuffer.as_ref()?.exceeded()
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
        self.pacer.drain_events(sink);
        if let Some(stuffer) = &mut self.stuffer {
            stuffer.drain_events(sink);
        }
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        self.pacer.counters(out);
        if let Some(stuffer) = &self.stuffer {
            stuffer.counters(out);
        }
        out.set("playout_behind_total", self.behind);
    }
}

/// A span of the stream as it takes to play.
fn scaled(span: Ticks27M, speed_permille: u32) -> Ticks27M {
    if speed_permille == 1000 {
        return span;
    }
    let ticks = i128::from(span.get()) * 1000 / i128::from(speed_permille.max(1));
    Ticks27M::new(i64::try_from(ticks).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::{ContinuityCounter, Pcr, Pid};

    fn pcr_at(ticks: i64) -> Packet {
        let pcr = Pcr::from_ticks(ticks.rem_euclid(Pcr::CIRCLE.get()) as u64).unwrap();
        Packet::pcr_only(Pid::from_field(0x100), ContinuityCounter::default(), pcr)
    }

    /// Two days of a live stream whose sender's clock is 30 ppm fast, with 10 ms of jitter, over
    /// a wrap: the margin stays what it was, and departures never jump.
    #[test]
    fn a_live_playout_follows_the_senders_clock() {
        let options = PlayoutOptions {
            speed_permille: 1000,
            rate: None,
            live: true,
        };
        let mut playout = Playout::new(options);
        let (mut last, mut worst, mut x) = (None::<Arrival>, Ticks27M::ZERO, 1u64);
        for n in 0..2 * 24 * 3600 * 25i64 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let jitter = Ticks27M::new((x >> 40) as i64 % 270_000);
            let sent = n * 1_080_000;
            let now = Arrival::from_ticks(sent) + jitter;
            playout.push(&pcr_at(sent + sent / 1_000_000 * 30), now);
            playout.take(&mut |_, at| {
                let margin = at - now;
                // it is let go when the next PCR is there, 40 ms later
                worst = worst.max((margin - (LIVE_MARGIN)).abs());
                if let Some(last) = last {
                    let step = at - last - Ticks27M::from_millis(40);
                    assert!(step.abs() < Ticks27M::from_nanos(20_000), "{n}: {step:?}");
                }
                last = Some(at);
            });
        }
        assert!(worst < Ticks27M::from_millis(25), "{worst}");
        assert_eq!(playout.behind, 0);
    }

    /// 5 ms between packets, of which one PID of three leaves: it leaves when it would have.
    #[test]
    fn packets_that_do_not_leave_keep_the_time() {
        let options = PlayoutOptions {
            speed_permille: 1000,
            rate: None,
            live: false,
        };
        let pid = Pid::from_field(0x101);
        let other = Packet::new(pid, ContinuityCounter::default());
        let mut playout = Playout::new(options).passing(Some([pid].into_iter().collect()));
        let mut out = Vec::new();
        for n in 0..20i64 {
            for packet in [pcr_at(n * 405_000), Packet::NULL, other] {
                playout.push(&packet, Arrival::from_ticks(0));
                playout.take(&mut |p, at| out.push((p.pid(), at.ticks())));
            }
        }
        assert_eq!(out.len(), 19);
        for (n, left) in out.iter().enumerate() {
            assert_eq!(*left, (pid, n as i64 * 405_000 + 270_000));
        }
    }

    #[test]
    fn an_input_that_stood_still_is_not_caught_up_with_in_a_burst() {
        let options = PlayoutOptions {
            speed_permille: 1000,
            rate: None,
            live: false,
        };
        let mut playout = Playout::new(options);
        let mut out = Vec::new();
        for n in 0..100 {
            // ten seconds pass between the 50th and the 51st
            let now = if n < 50 {
                n * 1_080_000
            } else {
                n * 1_080_000 + 270_000_000
            };
            playout.push(&pcr_at(n * 1_080_000), Arrival::from_ticks(now));
            playout.take(&mut |_, at| out.push(at.ticks()));
        }
        let steps: Vec<_> = out.windows(2).map(|w| w[1] - w[0]).collect();
        assert_eq!(
            steps.iter().filter(|s| **s != 1_080_000).count(),
            1,
            "{steps:?}"
        );
        assert_eq!(playout.behind, 1);
    }
}
