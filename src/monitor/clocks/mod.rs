//! Clocks and time stamps: TR 101 290 2.3.a, 2.3.b, 2.4 and 2.5, and what is measured beside
//! them.
//!
//! A PCR has a value, a place and an arrival. 2.3 compares values; 2.4 (PCR_AC) values and places,
//! where the rate is constant; PCR_OJ, frequency offset and drift compare values and arrivals, and
//! are as good as the clock that tells these: measurements, never alarms. The clocks followed are
//! those that a PMT names, at most one for each service that
//! [`Programs`] follows.

mod absence;
mod accuracy;
mod jitter;
mod line;
mod measures;
mod offset;
mod pcr;
mod stamps;
mod strip;

use self::absence::Absence;
use self::accuracy::Obstacle;
use self::offset::Offset;
use self::pcr::Clock;
use self::stamps::{Spread, Stamps};
use super::{Check, Moment, Out, Seen, Verdict};
use crate::si::{ServiceId, StreamKind};
use crate::stream::Programs;
use crate::ts::Pid;
use crate::units::Ticks27M;

pub use accuracy::Rate;
pub use line::Demarcation;
pub use measures::{
    AccuracyMeasures, ClockMeasures, FrequencyMeasures, IntervalMeasures, JitterMeasures,
    OffsetMeasures, PcrMeasures, SpanMeasures, StampMeasures,
};

/// How clocks are to be measured.
#[derive(Copy, Clone, Debug, Default)]
pub struct ClockOptions {
    /// Arrivals tell when packets came: those of a live input, or that packets carry.
    pub live: bool,
    /// The clock that tells arrivals is kept by a better one, to far less than 30 ppm.
    pub disciplined: bool,
    /// What separates jitter from drift.
    pub filter: Demarcation,
}

/// What a PID is for: a place in `clocks` and one in `stamps`, plus one; zero for none.
#[derive(Copy, Clone, Debug, Default)]
struct Place {
    clock: u16,
    stamps: u16,
}

/// The family of checks of clocks and time stamps.
///
/// Memory: at most 70 kB a clock, three series of 17 kB and a distribution of 16 kB among them, 24 kB
/// more where PCRs come every millisecond, and 0.3 kB a stream.
#[derive(Debug)]
pub struct Clocks {
    options: ClockOptions,
    places: Box<[Place; Pid::COUNT]>,
    clocks: Vec<Clock>,
    stamps: Vec<Stamps>,
    /// Places of an audio stream and of the video beside it.
    offsets: Vec<(usize, usize, Offset)>,
    /// When the window of the offsets began.
    window: Ticks27M,
}

impl Clocks {
    /// Before the first packet: no service is known.
    pub fn new(options: ClockOptions) -> Self {
        Self {
            options,
            places: Box::new([Place::default(); Pid::COUNT]),
            clocks: Vec::new(),
            stamps: Vec::new(),
            offsets: Vec::new(),
            window: Ticks27M::ZERO,
        }
    }

    /// The tables changed: follows the clocks and streams that they name now. Those that were
    /// followed before go on.
    pub fn services(&mut self, programs: &Programs, at: Moment) {
        let mut clocks = std::mem::take(&mut self.clocks);
        let mut stamps = std::mem::take(&mut self.stamps);
        let mut known: Vec<_> = std::mem::take(&mut self.offsets)
            .into_iter()
            .map(|(audio, _, offset)| (stamps.get(audio).map(|s| s.pid), offset))
            .collect();
        self.places.fill(Place::default());
        for service in programs.services() {
            let clock = service
                .pcr_pid
                .map(|pid| self.clock(pid, service.id, &mut clocks, at));
            let mut video = None;
            for stream in &service.streams {
                let place = &mut self.places[stream.pid.index()].stamps;
                let has_stamps = !matches!(stream.kind, StreamKind::Scte35 | StreamKind::Data);
                if *place != 0 || !has_stamps {
                    continue;
                }
                let old = stamps.iter().position(|s| s.pid == stream.pid);
                let mut one = match old {
                    Some(old) => stamps.swap_remove(old),
                    None => Stamps::new(stream, service.id, self.options.live),
                };
                one.renew(stream, service.id, clock);
                self.stamps.push(one);
                *place = self.stamps.len() as u16;
                if stream.kind == StreamKind::Video {
                    video.get_or_insert(self.stamps.len() - 1);
                }
            }
            let Some(video) = video else { continue };
            for (n, audio) in self.stamps.iter().enumerate() {
                if audio.service == service.id && audio.kind == StreamKind::Audio {
                    let old = known.iter().position(|(pid, _)| *pid == Some(audio.pid));
                    let offset = old.map_or_else(Offset::new, |old| known.swap_remove(old).1);
                    self.offsets.push((n, video, offset));
                }
            }
        }
    }

    /// The place of the clock of `pid`, which `service` has.
    fn clock(&mut self, pid: Pid, service: ServiceId, old: &mut Vec<Clock>, at: Moment) -> usize {
        let place = &mut self.places[pid.index()].clock;
        if *place == 0 {
            let known = old.iter().position(|c| c.pid == pid);
            let mut clock = match known {
                Some(known) => old.swap_remove(known),
                None => Clock::new(pid, service, &self.options, at),
            };
            clock.service = Some(service);
            self.clocks.push(clock);
            *place = self.clocks.len() as u16;
        }
        usize::from(*place) - 1
    }

    /// Takes a packet of any PID.
    #[inline]
    pub fn push(&mut self, seen: &Seen<'_>, out: Out<'_>) {
        let header = seen.packet.as_bytes();
        // A clock needs an adaptation field, a stamp the start of a PES packet; most have neither.
        if header[3] & 0x20 == 0 && header[1] & 0x40 == 0 {
            return;
        }
        let place = self.places[seen.pid.index()];
        if place.clock | place.stamps != 0 && !seen.repeated {
            self.take(place, seen, out);
        }
    }

    fn take(&mut self, place: Place, seen: &Seen<'_>, out: Out<'_>) {
        if seen.packet.has_adaptation()
            && let Some(clock) = self
                .clocks
                .get_mut(usize::from(place.clock).wrapping_sub(1))
        {
            clock.push(seen, out);
        }
        if seen.packet.payload_unit_start()
            && let Some(stamps) = self
                .stamps
                .get_mut(usize::from(place.stamps).wrapping_sub(1))
        {
            let clock = stamps.clock.and_then(|place| self.clocks.get(place));
            let clock = clock.map_or((None, 0), |c| (c.now(seen.at), c.epoch));
            stamps.push(seen, clock, out);
        }
    }

    /// Bytes of any PID are missing before the next packet, by a continuity counter or a report
    /// of the reception: places before and after do not compare.
    pub fn lost(&mut self) {
        for clock in &mut self.clocks {
            clock.lost();
        }
    }

    /// Time went on to `at`: finds what has been absent too long.
    pub fn tick(&mut self, at: Moment, out: Out<'_>) {
        for clock in &mut self.clocks {
            clock.tick(at, out);
        }
        for stamps in &mut self.stamps {
            stamps.tick(at, out);
        }
        let passed = at.time - self.window;
        if passed >= offset::WINDOW {
            self.window = at.time;
            for (audio, video, offset) in &mut self.offsets {
                if let (Some(audio), Some(video)) =
                    (self.stamps.get(*audio), self.stamps.get(*video))
                {
                    offset.push(&audio.window, &video.window, passed.as_secs_f64());
                }
            }
            for stamps in &mut self.stamps {
                stamps.window = Spread::EMPTY;
            }
        }
    }

    /// Synchronisation was lost, or the input paused: what was being timed is void.
    pub fn reset(&mut self, at: Moment) {
        for clock in &mut self.clocks {
            clock.reset(at);
        }
        for stamps in &mut self.stamps {
            stamps.reset();
        }
    }

    /// The rate of the transport stream, as the clock tells it that has shown a constant one, or
    /// else as the first does. `None` before there was a second of PCRs.
    pub fn rate(&self) -> Option<Rate> {
        let rates = || self.clocks.iter().filter_map(|c| c.accuracy.rate());
        rates()
            .find(|rate| rate.constant)
            .or_else(|| rates().next())
    }

    /// Whether 2.3.a, 2.3.b, 2.4 or 2.5 could be judged, in a stream with so many null packets.
    pub fn verdict(&self, check: Check, null_packets: u64) -> Verdict {
        let obstacle = match check {
            _ if self.clocks.is_empty() && check != Check::PtsError => {
                Some("no PMT names a PCR PID")
            }
            Check::PcrAccuracyError => self
                .clocks
                .iter()
                .find_map(|clock| why_not_accurate(clock, null_packets)),
            Check::PtsError => self.why_no_stamps(),
            _ if self.clocks.iter().any(|c| c.count < 2) => {
                Some("a PCR PID has fewer than two PCRs")
            }
            _ => None,
        };
        obstacle.map_or(Verdict::Judged, Verdict::NotJudged)
    }

    fn why_no_stamps(&self) -> Option<&'static str> {
        let regular = || self.stamps.iter().filter(|s| s.is_regular());
        if regular().any(|s| s.pts_count >= 2) {
            return None;
        }
        Some(if self.stamps.is_empty() {
            "no PMT names a stream with time stamps"
        } else if regular().next().is_none() {
            "no video, but still pictures, and no audio"
        } else if regular().any(|s| s.scrambled) {
            "the streams are scrambled"
        } else {
            "fewer than two time stamps of video or audio"
        })
    }

    /// What was measured. `resolution` is how far apart arrivals are that can be told apart, for
    /// what rests on them.
    pub fn measures(&self, null_packets: u64, resolution: Option<Ticks27M>) -> ClockMeasures {
        ClockMeasures::of(self, null_packets, resolution)
    }
}

/// Why PCR_AC of a clock was not judged; `None` when it was.
fn why_not_accurate(clock: &Clock, null_packets: u64) -> Option<&'static str> {
    Some(match clock.accuracy.obstacle()? {
        _ if clock.count < 3 => "fewer than three PCRs",
        Obstacle::Few => "no second of PCRs without a break",
        Obstacle::Variable if null_packets == 0 => {
            "the rate is not constant: there are no null packets, they may have been taken out"
        }
        Obstacle::Variable => "the rate is not constant",
        Obstacle::Lost => "packets were lost: places in the stream do not tell its time",
        Obstacle::Jumped => "the clock jumps",
    })
}

#[cfg(test)]
mod tests;
