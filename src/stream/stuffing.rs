//! A constant rate out of any: null packets where nothing is due.
//!
//! The output is a row of slots, one packet long at the rate. A packet takes the first slot at or
//! behind its own instant; slots before it carry null packets. The PCRs in a packet are moved by
//! as much as the packet is (ISO/IEC 13818-1 §2.4.2.2 asks for ±500 ns; slots are rounded to one
//! tick of 27 MHz, 37 ns). Null packets that come in are dropped first.
//!
//! Moved packets would let PCRs be further apart than the 100 ms of §2.7.2. So where a null packet
//! would stand and a clock was silent for [`Stuffer::CLOCK_SILENCE`], a packet with its PCR alone
//! stands instead; and where no null packet comes in time, for what is due fills every slot, it
//! takes a slot of its own, and what is due waits.

use super::event::{Event, Severity, Value};
use super::{Counters, PeakRate};
use crate::ts::{ContinuityCounter, PACKET_SIZE, Packet, Pcr, Pid};
use crate::units::{BitRate, StreamTime, Ticks27M};

/// Packets were dropped because the stream has more bits than the rate.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RateExceeded {
    /// How far the output had fallen behind.
    pub behind: Ticks27M,
    /// Packets dropped since the start.
    pub dropped: u64,
    /// The rate that would have carried all of it, so far.
    pub needed: BitRate,
}

impl Event for RateExceeded {
    fn name(&self) -> &'static str {
        "cbr_rate_exceeded"
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        field("behind_ms", self.behind.as_millis().into());
        field("dropped_packets", self.dropped.into());
        field("needed_bps", self.needed.get().into());
    }
}

/// Puts packets into the slots of a constant rate.
///
/// ```
/// use headend::stream::stuffing::Stuffer;
/// use headend::ts::{ContinuityCounter, Packet, Pid};
/// use headend::units::{BitRate, StreamTime};
/// let mut stuffer = Stuffer::new(BitRate::new(1_504_000)); // a packet each millisecond
/// let packet = Packet::new(Pid::new(0x100).unwrap(), ContinuityCounter::default());
/// let mut out = Vec::new();
/// for at in [0, 54_001] {
///     stuffer.push(&packet, StreamTime::from_ticks(at), &mut |p, at| out.push((p.pid(), at.ticks())));
/// }
/// let (video, null) = (packet.pid(), Pid::NULL);
/// assert_eq!(out, [(video, 0), (null, 27_000), (null, 54_000), (video, 81_000)]);
/// ```
#[derive(Debug)]
pub struct Stuffer {
    rate: BitRate,
    origin: Option<StreamTime>,
    slot: u64,
    clocks: Vec<Clock>,
    stuffed: u64,
    dropped: u64,
    behind: Ticks27M,
    peak: PeakRate,
    /// Packets dropped, and not said yet.
    unsaid: u64,
}

/// A PID with PCRs, as it went out.
#[derive(Copy, Clone, Debug)]
struct Clock {
    pid: Pid,
    /// That of its last packet with a payload.
    counter: ContinuityCounter,
    pcr: Pcr,
    at: StreamTime,
}

impl Clock {
    /// A packet with its PCR alone, for the slot at `at`.
    fn packet(&mut self, at: StreamTime) -> Packet {
        (self.pcr, self.at) = (self.pcr + (at - self.at), at);
        Packet::pcr_only(self.pid, self.counter, self.pcr)
    }
}

impl Stuffer {
    /// How long a clock may be silent before a null packet gives way to a PCR.
    pub const CLOCK_SILENCE: Ticks27M = Ticks27M::from_millis(80);
    /// PCRs are not further apart (ISO/IEC 13818-1 §2.7.2).
    const LONGEST_INTERVAL: Ticks27M = Ticks27M::from_millis(100);
    /// How many clocks are seen to; those of further programs go as they come.
    const MOST_CLOCKS: usize = 64;
    /// How far the output may fall behind before packets are dropped. Encoders burst for some
    /// frames; a decoder's clock is not moved further than its buffers hold.
    pub const MOST_BEHIND: Ticks27M = Ticks27M::from_millis(500);

    /// What of it the rounding to slots may take, at 150 kb/s and more.
    const ROUNDING: Ticks27M = Ticks27M::from_millis(10);

    /// Slots at this rate.
    pub fn new(rate: BitRate) -> Self {
        Self {
            rate,
            origin: None,
            slot: 0,
            clocks: Vec::new(),
            stuffed: 0,
            dropped: 0,
            behind: Ticks27M::ZERO,
            peak: PeakRate::new(Self::MOST_BEHIND + -Self::ROUNDING),
            unsaid: 0,
        }
    }

    /// The instant of a slot: exact to half a tick, however many there were.
    fn slot_time(&self, origin: StreamTime) -> StreamTime {
        let rate = u128::from(self.rate.get().max(1));
        let bits = u128::from(self.slot) * PACKET_SIZE as u128 * 8;
        let ticks = (bits * 27_000_000 + rate / 2) / rate;
        origin + Ticks27M::new(i64::try_from(ticks).unwrap_or(i64::MAX))
    }

    /// Takes a packet that is due at `due`, not before those already taken; gives the packets of
    /// the slots up to its own.
    pub fn push(
        &mut self,
        packet: &Packet,
        due: StreamTime,
        out: &mut impl FnMut(&Packet, StreamTime),
    ) {
        if packet.pid() == Pid::NULL {
            return;
        }
        self.peak.push(due);
        let origin = *self.origin.get_or_insert(due);
        let mut at = self.slot_time(origin);
        while at < due {
            out(&self.filler(at), at);
            self.stuffed += 1;
            self.slot += 1;
            at = self.slot_time(origin);
        }
        while let Some(clock) = self.overdue(packet, at) {
            self.peak.push(due);
            out(&clock, at);
            self.stuffed += 1;
            self.slot += 1;
            at = self.slot_time(origin);
        }
        self.behind = self.behind.max(at - due);
        if at - due > Self::MOST_BEHIND {
            self.dropped += 1;
            self.unsaid += 1;
            return;
        }
        let mut packet = *packet;
        if let Some(pcr) = packet.pcr() {
            packet.set_pcr(pcr + (at - due));
        }
        self.note(&packet, at);
        out(&packet, at);
        self.slot += 1;
    }

    /// Gives what stands in the slots before `until`, where nothing will be due any more.
    pub fn fill(&mut self, until: StreamTime, out: &mut impl FnMut(&Packet, StreamTime)) {
        let Some(origin) = self.origin else { return };
        let mut at = self.slot_time(origin);
        while at < until {
            out(&self.filler(at), at);
            self.stuffed += 1;
            self.slot += 1;
            at = self.slot_time(origin);
        }
    }

    /// Remembers the clock that goes out in this packet, and the counter of its PID.
    fn note(&mut self, packet: &Packet, at: StreamTime) {
        let (pid, counter) = (packet.pid(), packet.continuity_counter());
        let room = self.clocks.len() < Self::MOST_CLOCKS;
        let clock = self.clocks.iter_mut().find(|clock| clock.pid == pid);
        match (clock, packet.pcr()) {
            (Some(clock), pcr) => {
                clock.counter = counter;
                if let Some(pcr) = pcr {
                    (clock.pcr, clock.at) = (pcr, at);
                }
            }
            (None, Some(pcr)) if room => {
                self.clocks.push(Clock {
                    pid,
                    counter,
                    pcr,
                    at,
                });
            }
            _ => {}
        }
    }

    /// What stands where nothing is due.
    fn filler(&mut self, at: StreamTime) -> Packet {
        let clock = self.silent(Self::CLOCK_SILENCE, at, None);
        clock.map_or(Packet::NULL, |clock| clock.packet(at))
    }

    /// What must stand before `packet`, at `at`: the PCR of a clock that would else be silent for
    /// too long. All clocks may be so at once, and each takes a slot; `packet` takes the last.
    fn overdue(&mut self, packet: &Packet, at: StreamTime) -> Option<Packet> {
        let slot = self.rate.span_of(PACKET_SIZE as u64);
        let slots = slot * (self.clocks.len() as i64 + 1);
        let patience = (Self::LONGEST_INTERVAL - slots).max(Self::CLOCK_SILENCE);
        let own = packet.pcr().map(|_| packet.pid());
        Some(self.silent(patience, at, own)?.packet(at))
    }

    /// The clock that has been silent longest, for `patience` at least, and is not `except`.
    fn silent(
        &mut self,
        patience: Ticks27M,
        at: StreamTime,
        except: Option<Pid>,
    ) -> Option<&mut Clock> {
        self.clocks
            .iter_mut()
            .filter(|clock| at - clock.at >= patience && Some(clock.pid) != except)
            .max_by_key(|clock| at - clock.at)
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        if std::mem::take(&mut self.unsaid) > 0
            && let Some(exceeded) = self.exceeded()
        {
            sink(&exceeded);
        }
    }

    /// What was dropped since the start, if anything.
    pub fn exceeded(&self) -> Option<RateExceeded> {
        (self.dropped > 0).then(|| RateExceeded {
            behind: self.behind,
            dropped: self.dropped,
            needed: self.peak.needed(),
        })
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("cbr_stuffed_packets", self.stuffed);
        out.set("cbr_dropped_packets", self.dropped);
        out.set("cbr_needed_bps", self.peak.needed().get());
        out.set(
            "cbr_behind_max_us",
            u64::try_from(self.behind.get() / 27).unwrap_or(0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::{ContinuityCounter, Pcr};

    const VIDEO: Pid = Pid::from_field(0x100);

    fn clock(ticks: i64) -> Packet {
        let pcr = Pcr::from_ticks(ticks.rem_euclid(Pcr::CIRCLE.get()) as u64).unwrap();
        Packet::pcr_only(VIDEO, ContinuityCounter::default(), pcr)
    }

    /// PCRs of a bursty stream, put into slots of an odd rate: each PCR equals its place to a
    /// tick, over the wrap, for an hour.
    #[test]
    fn a_pcr_says_where_it_stands() {
        let rate = BitRate::new(4_999_999);
        let start = Pcr::CIRCLE.get() - 27_000_000;
        let mut stuffer = Stuffer::new(rate);
        let (mut slots, mut first, mut worst) = (0u64, None::<(u64, Pcr)>, 0);
        let mut x = 1u64;
        for n in 0..90_000i64 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let ticks = n * 1_080_000 + (x >> 44) as i64 % 500_000;
            let due = StreamTime::from_ticks(start + ticks);
            stuffer.push(&clock(start + ticks), due, &mut |p, _| {
                if let Some(pcr) = p.pcr() {
                    let (slot, origin) = *first.get_or_insert((slots, pcr));
                    // 13818-1 eq. 2-4: byte distance over the rate.
                    let place = (slots - slot) as f64 * 1504.0 / rate.get() as f64 * 27e6;
                    let place = Ticks27M::new(place.round() as i64 % Pcr::CIRCLE.get());
                    worst = worst.max((pcr - (origin + place)).get().abs());
                }
                slots += 1;
            });
        }
        assert!(worst <= 1, "a PCR lies {worst} ticks beside its place");
        let span = 90_000.0 * 0.040;
        assert!(
            (slots as f64 - span * 4_999_999.0 / 1504.0).abs() < 200.0,
            "{slots} slots"
        );
    }

    #[test]
    fn more_bits_than_the_rate_are_dropped_and_said() {
        let mut stuffer = Stuffer::new(BitRate::new(150_400)); // a packet each 10 ms
        let mut gone = 0;
        for n in 0..200i64 {
            let due = StreamTime::from_ticks(n * 135_000); // each 5 ms
            stuffer.push(&clock(n * 135_000), due, &mut |_, _| gone += 1);
        }
        // 1 s of input: 100 slots, and half a second's worth that waits.
        assert!((148..=152).contains(&gone), "{gone} packets came through");
        let mut said = Vec::new();
        stuffer.drain_events(&mut |e| said.push((e.name(), e.severity())));
        assert_eq!(said, [("cbr_rate_exceeded", Severity::Error)]);
    }

    /// PCRs each 100 ms, moved by up to a slot: the output has one at least each 82 ms.
    #[test]
    fn a_clock_is_never_silent_for_long() {
        let mut stuffer = Stuffer::new(BitRate::new(1_000_003));
        let (mut last, mut counters) = (None::<(Pcr, StreamTime)>, Vec::new());
        for n in 0..200i64 {
            let mut packet = Packet::new(VIDEO, ContinuityCounter::wrapping(n as u8));
            packet.set_adaptation_field_control(true, true);
            packet.as_bytes_mut()[4..12].copy_from_slice(&[7, 0x10, 0, 0, 0, 0, 0x7E, 0]);
            packet.set_pcr(Pcr::from_ticks(n as u64 * 2_700_000).unwrap());
            let due = StreamTime::from_ticks(n * 2_700_000);
            stuffer.push(&packet, due, &mut |p, at| {
                let Some(pcr) = p.pcr() else { return };
                if let Some((before, then)) = last {
                    assert!(at - then <= Ticks27M::from_millis(82));
                    assert!(((pcr - before) - (at - then)).get().abs() <= 1);
                }
                last = Some((pcr, at));
                counters.push((p.has_payload(), p.continuity_counter().get()));
            });
        }
        // A PCR alone has the counter of the packet before it.
        assert!(
            counters
                .windows(2)
                .all(|w| w[1].1 == (w[0].1 + u8::from(w[1].0)) % 16)
        );
        assert!(counters.len() > 300);
    }

    /// Two clocks, PCRs each 99 ms, and from 70 ms behind each on bursts of other packets for which
    /// there are no slots until 40 ms behind the next: no null packet stands where a PCR is due.
    #[test]
    fn pcrs_are_never_more_than_100_ms_apart_when_bursts_fill_every_slot() {
        const OTHER: Pid = Pid::from_field(0x200);
        let mut stuffer = Stuffer::new(BitRate::new(1_504_000)); // a packet each millisecond
        let mut last = [None::<(Pcr, StreamTime)>; 2];
        let (mut longest, mut burst) = (Ticks27M::ZERO, 0);
        let mut out = |p: &Packet, at: StreamTime| {
            burst += usize::from(p.pid() == Pid::from_field(0x300));
            let Some(pcr) = p.pcr() else { return };
            let last = &mut last[usize::from(p.pid() == OTHER)];
            if let Some((before, then)) = last.replace((pcr, at)) {
                longest = longest.max(at - then);
                assert!(((pcr - before) - (at - then)).get().abs() <= 1);
            }
        };
        for n in 0..100i64 {
            let start = n * 99 * 27_000;
            let mut both = [clock(start), clock(start)];
            both[1].set_pid(OTHER);
            for packet in both {
                stuffer.push(&packet, StreamTime::from_ticks(start), &mut out);
            }
            let packet = Packet::new(Pid::from_field(0x300), ContinuityCounter::default());
            let due = StreamTime::from_ticks(start + 70 * 27_000);
            (0..69).for_each(|_| stuffer.push(&packet, due, &mut out));
        }
        assert_eq!(burst, 6900);
        assert!(longest <= Ticks27M::from_millis(100), "{longest}");
    }

    #[test]
    fn null_packets_of_the_input_make_room() {
        let mut stuffer = Stuffer::new(BitRate::new(1_504_000));
        let mut out = 0;
        for n in 0..1000 {
            let at = StreamTime::from_ticks(n * 2_700);
            stuffer.push(&Packet::NULL, at, &mut |_, _| out += 1);
        }
        assert_eq!(out, 0);
    }
}
