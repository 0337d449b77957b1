//! When each packet of a recording is due, by its own clock.
//!
//! Between two PCRs the bytes of a stream are evenly spaced (ISO/IEC 13818-1 §2.4.2.2): so a
//! packet's instant is known when the PCR behind it has been read, and the packets of one such
//! stretch are held until then. One program's PCRs are followed: those of the first PID that has
//! any. A clock that jumps is bridged by the [`Timeline`]; one that stops goes on at its last pace.

use super::event::{Event, Severity, Subject, Value};
use super::timeline::Timeline;
use super::{Counters, Pending};
use crate::ts::{PACKET_SIZE, Packet, Pid};
use crate::units::{BitRate, StreamTime, Ticks27M};

/// What a [`Pacer`] meets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PacerEvent {
    /// So many packets went by without a PCR: they go at the last pace, or at once before the
    /// first.
    NoClock {
        /// Packets held in vain.
        packets: u64,
    },
    /// The clock was replaced; the pace goes on.
    Jump {
        /// The PID of the clock.
        pid: Pid,
        /// How far the new clock lies from the old one.
        by: Ticks27M,
    },
}

impl Event for PacerEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::NoClock { .. } => "pace_without_clock",
            Self::Jump { .. } => "pace_clock_jump",
        }
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn subject(&self) -> Subject {
        match self {
            Self::NoClock { .. } => Subject::Stream,
            Self::Jump { pid, .. } => Subject::Pid(*pid),
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::NoClock { packets } => field("packets", (*packets).into()),
            Self::Jump { by, .. } => field("by_ms", by.as_millis().into()),
        }
    }
}

/// Gives each packet its instant on the stream's own timeline.
///
/// ```
/// use headend::stream::pacer::Pacer;
/// use headend::ts::{ContinuityCounter, Packet, Pcr, Pid};
/// let clock = |ticks| {
///     let pcr = Pcr::from_ticks(ticks).unwrap();
///     Packet::pcr_only(Pid::new(0x100).unwrap(), ContinuityCounter::default(), pcr)
/// };
/// let mut pacer = Pacer::new();
/// let mut due = Vec::new();
/// for packet in [clock(1000), Packet::NULL, Packet::NULL, clock(4000)] {
///     pacer.push(&packet, &mut |_, at| due.push(at.ticks()));
/// }
/// pacer.finish(&mut |_, at| due.push(at.ticks()));
/// assert_eq!(due, [1000, 2000, 3000, 4000]);
/// ```
#[derive(Debug, Default)]
pub struct Pacer {
    line: Timeline,
    clock: Option<Pid>,
    held: Vec<Packet>,
    /// Where among the held packets the newest PCR stands, and its instant.
    anchor: Option<(usize, StreamTime)>,
    /// The pace before the PCR at `anchor`: so many packets in so long.
    pace: Option<(usize, Ticks27M)>,
    /// The instant of the packet let go last.
    last: Option<StreamTime>,
    jumps: u64,
    unclocked: u64,
    events: Pending<PacerEvent>,
}

impl Pacer {
    /// Packets held at most for the next PCR: 12.3 MB, 100 ms at 986 Mb/s. When it comes, all of
    /// them are given at once: who keeps what is given holds as many again.
    pub const HELD_PACKETS: usize = 65_536;

    /// A pacer that follows the first PID with a PCR.
    pub fn new() -> Self {
        Self::default()
    }

    /// A pacer that follows the PCRs of this PID.
    pub fn clocked_by(pid: Pid) -> Self {
        Self {
            clock: Some(pid),
            ..Self::default()
        }
    }

    /// The same, which lets packets go at this rate until a clock gives another pace.
    #[must_use]
    pub fn at_rate(mut self, rate: BitRate) -> Self {
        const PACKETS: usize = 10_000;
        let span = rate.span_of((PACKETS * PACKET_SIZE) as u64);
        self.pace = Some((PACKETS, span));
        self
    }

    /// Takes the next packet; gives those whose instants are now known, in order.
    pub fn push(&mut self, packet: &Packet, out: &mut impl FnMut(&Packet, StreamTime)) {
        let pcr = packet
            .pcr()
            .filter(|_| *self.clock.get_or_insert(packet.pid()) == packet.pid());
        if let Some(pcr) = pcr {
            let tick = self.line.push(pcr, packet.discontinuity());
            if let Some(jump) = tick.jump {
                self.jumps += 1;
                self.events.push(PacerEvent::Jump {
                    pid: packet.pid(),
                    by: jump.by,
                });
            }
            self.stretch_ends(tick.time, out);
        } else if self.held.len() >= Self::HELD_PACKETS {
            if self.pace.is_some() {
                self.unclocked(self.held.len() as u64);
            }
            self.finish(out);
        }
        self.held.push(*packet);
    }

    fn unclocked(&mut self, packets: u64) {
        self.unclocked += packets;
        self.events.push(PacerEvent::NoClock { packets });
    }

    /// Lets go what is held, at the last pace: the end, or a clock that stopped.
    pub fn finish(&mut self, out: &mut impl FnMut(&Packet, StreamTime)) {
        let (packets, span) = self.pace.unwrap_or((1, Ticks27M::ZERO));
        let origin = self
            .anchor
            .map(|(_, time)| time)
            .or(self.last.map(|last| last + share(span, 1, packets)))
            .unwrap_or_default();
        if self.pace.is_none() && self.held.len() > 1 {
            self.unclocked(self.held.len() as u64);
        }
        self.let_go(
            Spread {
                origin,
                packets,
                span,
            },
            out,
        );
        // Packets that come before the next PCR follow at the same pace.
        let next = self.last.unwrap_or(origin) + share(span, 1, packets);
        self.anchor = self.anchor.map(|_| (0, next));
    }

    /// A PCR stands behind the held packets: those from the last PCR on are spread up to it.
    fn stretch_ends(&mut self, time: StreamTime, out: &mut impl FnMut(&Packet, StreamTime)) {
        if let Some((start, then)) = self.anchor {
            let packets = self.held.len() - start;
            if packets > 0 {
                self.pace = Some((packets, time - then));
                // Packets before the first PCR take the pace of the first stretch, backward.
                let origin = then - share(time - then, start, packets);
                self.let_go(
                    Spread {
                        origin,
                        packets,
                        span: time - then,
                    },
                    out,
                );
            }
            self.anchor = Some((0, time));
        } else {
            self.anchor = Some((self.held.len(), time));
        }
    }

    fn let_go(&mut self, spread: Spread, out: &mut impl FnMut(&Packet, StreamTime)) {
        for (n, packet) in self.held.iter().enumerate() {
            let time = spread.origin + share(spread.span, n, spread.packets);
            // A clock that starts anew while packets were let go unclocked never turns time back.
            let time = self.last.map_or(time, |last| last.max(time));
            self.last = Some(time);
            out(packet, time);
        }
        self.held.clear();
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("pace_clock_jumps_total", self.jumps);
        out.set("pace_unclocked_packets", self.unclocked);
    }
}

/// A straight line: packet n stands at `origin` + n x `span` / `packets`.
struct Spread {
    origin: StreamTime,
    packets: usize,
    span: Ticks27M,
}

/// `span` x `n` / `of`, rounded toward zero.
fn share(span: Ticks27M, n: usize, of: usize) -> Ticks27M {
    let ticks = i128::from(span.get()) * n as i128 / (of.max(1)) as i128;
    Ticks27M::new(i64::try_from(ticks).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::{ContinuityCounter, Pcr};

    const CLOCK: Pid = Pid::from_field(0x100);

    fn pcr_at(ticks: i64) -> Packet {
        let around = ticks.rem_euclid(Pcr::CIRCLE.get()) as u64;
        Packet::pcr_only(
            CLOCK,
            ContinuityCounter::default(),
            Pcr::from_ticks(around).unwrap(),
        )
    }

    fn run(pacer: &mut Pacer, packets: &[Packet]) -> Vec<i64> {
        let mut due = Vec::new();
        packets
            .iter()
            .for_each(|p| pacer.push(p, &mut |_, at| due.push(at.ticks())));
        due
    }

    #[test]
    fn packets_before_the_first_pcr_take_the_first_pace_backward() {
        let mut pacer = Pacer::new();
        let null = Packet::NULL;
        let packets = [null, null, pcr_at(10_000), null, pcr_at(12_000), null, null];
        let mut due = run(&mut pacer, &packets);
        assert_eq!(due, [8_000, 9_000, 10_000, 11_000]);
        pacer.finish(&mut |_, at| due.push(at.ticks()));
        assert_eq!(&due[4..], [12_000, 13_000, 14_000]);
    }

    #[test]
    fn the_wrap_and_a_jump_leave_the_pace_alone() {
        let mut pacer = Pacer::new();
        let circle = Pcr::CIRCLE.get();
        let packets: Vec<Packet> = (0..4)
            .flat_map(|n| [pcr_at(circle - 2_700_000 + n * 1_080_000), Packet::NULL])
            .chain([pcr_at(5_000_000_000), Packet::NULL, pcr_at(5_001_080_000)])
            .collect();
        let due = run(&mut pacer, &packets);
        assert_eq!(due.len(), 10);
        assert!(due.windows(2).all(|w| w[1] - w[0] == 540_000), "{due:?}");
        let mut names = Vec::new();
        pacer.drain_events(&mut |e| names.push(e.name()));
        assert_eq!(names, ["pace_clock_jump"]);
    }

    #[test]
    fn a_stream_without_clock_is_let_go_and_said() {
        let mut pacer = Pacer::new();
        let due = run(&mut pacer, &vec![Packet::NULL; Pacer::HELD_PACKETS + 1]);
        assert_eq!(due.len(), Pacer::HELD_PACKETS);
        let mut names = Vec::new();
        pacer.drain_events(&mut |e| names.push(e.name()));
        assert_eq!(names, ["pace_without_clock"]);
    }

    /// At 1.504 Mb/s a packet takes 1 ms.
    #[test]
    fn what_has_no_clock_goes_at_the_rate_that_is_given() {
        let mut pacer = Pacer::new().at_rate(BitRate::new(1_504_000));
        let packets = Pacer::HELD_PACKETS * 2 + 10;
        let mut due = run(&mut pacer, &vec![Packet::NULL; packets]);
        pacer.finish(&mut |_, at| due.push(at.ticks()));
        assert_eq!(due.len(), packets);
        assert!(due.windows(2).all(|w| w[1] - w[0] == 27_000));
    }

    #[test]
    fn a_short_stream_without_clock_is_said_too() {
        for packets in [
            vec![Packet::NULL; 10],
            vec![pcr_at(0), Packet::NULL, Packet::NULL],
        ] {
            let mut pacer = Pacer::new();
            run(&mut pacer, &packets);
            pacer.finish(&mut |_, _| {});
            let mut names = Vec::new();
            pacer.drain_events(&mut |e| names.push(e.name()));
            assert_eq!(names, ["pace_without_clock"]);
        }
    }

    #[test]
    fn a_clock_that_stops_keeps_its_pace() {
        let mut pacer = Pacer::new();
        let mut packets = vec![pcr_at(0), Packet::NULL, pcr_at(2_000)];
        packets.extend(vec![Packet::NULL; Pacer::HELD_PACKETS * 2]);
        let mut due = run(&mut pacer, &packets);
        pacer.finish(&mut |_, at| due.push(at.ticks()));
        assert_eq!(due.len(), packets.len());
        assert!(due.windows(2).all(|w| w[1] - w[0] == 1_000));
    }

    /// A second of 5 Mb/s whose encoder's PCRs drift by 30 ppm: due times follow the PCRs.
    #[test]
    fn a_drifting_clock_is_followed() {
        let mut pacer = Pacer::new();
        let mut due = Vec::new();
        for n in 0..250i64 {
            let ticks = n * 108_000 + n * 108_000 * 30 / 1_000_000;
            pacer.push(&pcr_at(ticks), &mut |_, at| due.push(at.ticks()));
            (0..12).for_each(|_| pacer.push(&Packet::NULL, &mut |_, at| due.push(at.ticks())));
        }
        assert_eq!(
            due[13 * 248],
            248 * 108_000 + 248 * 108_000 * 30 / 1_000_000
        );
    }
}
