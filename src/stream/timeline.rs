//! A program's clock unrolled from its circle into a line.
//!
//! A PCR goes round once in 26 h 30 min, and starts anew where a sender restarts, a file was
//! joined or a playlist stepped on. A [`Timeline`] is fed the PCRs of one program in stream order
//! and gives each an instant that never goes back: over a wrap it counts on, over a jump it goes
//! on where the old clock stopped and begins a new *epoch*. Stamps of the same epoch are placed
//! on the line by their distance from the newest PCR.

use crate::ts::{Pcr, Pts};
use crate::units::{StreamTime, Ticks27M};

/// What one PCR did to the line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The instant of this PCR.
    pub time: StreamTime,
    /// The 33-bit counter went through zero since the PCR before.
    pub wrapped: bool,
    /// The clock was not continued but replaced.
    pub jump: Option<Jump>,
}

/// A PCR that does not follow from the one before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// How far the PCR lies from the one before, the short way round.
    pub by: Ticks27M,
    /// discontinuity_indicator announced it (ISO/IEC 13818-1 §2.4.3.5).
    pub announced: bool,
}

/// The line of one program's clock.
///
/// ```
/// use headend::stream::timeline::Timeline;
/// use headend::ts::{Pcr, Pts};
/// use headend::units::Ticks27M;
///
/// let mut line = Timeline::new();
/// let late = Pcr::from_ticks(2_576_980_377_600 - 270_000).unwrap(); // 10 ms before the wrap
/// let start = line.push(late, false).time;
/// let tick = line.push(late + Ticks27M::from_millis(40), false);
/// assert!(tick.wrapped && tick.jump.is_none());
/// assert_eq!(tick.time - start, Ticks27M::from_millis(40));
/// let pts = Pts::from_ticks(90_000).unwrap(); // 1 s after the wrap
/// assert_eq!(line.time_of(pts).unwrap() - start, Ticks27M::from_millis(1010));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    last: Option<(Pcr, StreamTime)>,
    /// The newest regular distance between two PCRs: what a jump is bridged with.
    step: Ticks27M,
    epoch: u32,
}

impl Timeline {
    /// The longest forward step that counts as the same clock (reception may have failed
    /// meanwhile); a longer one, or one back, is a jump.
    pub const LONGEST_STEP: Ticks27M = Ticks27M::new(10 * 27_000_000);
    /// The longest step at a discontinuity_indicator that counts as the same clock: senders set
    /// the flag at their own splices although the clock goes on. Twice the PCR interval that
    /// TR 101 290 allows.
    pub const LONGEST_ANNOUNCED_STEP: Ticks27M = Ticks27M::from_millis(200);

    /// A line whose first PCR stands at its own number of ticks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next PCR in stream order; `announced` is its packet's discontinuity_indicator.
    pub fn push(&mut self, pcr: Pcr, announced: bool) -> Tick {
        let Some((last, then)) = self.last else {
            let time = StreamTime::from_ticks(i64::try_from(pcr.ticks()).unwrap_or(0));
            self.last = Some((pcr, time));
            return Tick {
                time,
                wrapped: false,
                jump: None,
            };
        };
        let by = pcr - last;
        let longest = if announced {
            Self::LONGEST_ANNOUNCED_STEP
        } else {
            Self::LONGEST_STEP
        };
        let steady = !by.is_negative() && by <= longest;
        if steady {
            self.step = by;
        } else {
            self.epoch = self.epoch.saturating_add(1);
        }
        let time = then + self.step;
        self.last = Some((pcr, time));
        Tick {
            time,
            wrapped: steady && pcr.ticks() < last.ticks(),
            jump: (!steady).then_some(Jump { by, announced }),
        }
    }

    /// The instant of the newest PCR; `None` before the first.
    pub fn now(&self) -> Option<StreamTime> {
        self.last.map(|(_, time)| time)
    }

    /// The newest PCR.
    pub fn last_pcr(&self) -> Option<Pcr> {
        self.last.map(|(pcr, _)| pcr)
    }

    /// How many jumps there were.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// When the frame of this stamp is presented: the instant at which the clock passes it, taken
    /// the short way round (within 13 h) from the newest PCR; `None` before the first PCR.
    pub fn time_of(&self, pts: Pts) -> Option<StreamTime> {
        self.last.map(|(pcr, time)| time + (pts - pcr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcr(ticks: i64) -> Pcr {
        Pcr::from_ticks(ticks.rem_euclid(Pcr::CIRCLE.get()) as u64).unwrap()
    }

    #[test]
    fn three_days_of_pcrs_are_one_line() {
        let mut line = Timeline::new();
        let origin = 2_000_000_000_000i64;
        let step = 27_000_000 / 25;
        let mut wraps = 0;
        for n in 0..3 * 86_400 * 25 {
            let tick = line.push(pcr(origin + n * step), false);
            assert_eq!(tick.jump, None);
            assert_eq!(tick.time.ticks(), origin + n * step);
            wraps += i32::from(tick.wrapped);
        }
        // 72 h after 20.6 h of the first circle: (2e12 + 72 x 97.2e9) / 2.577e12 = 3.49.
        assert_eq!((wraps, line.epoch()), (3, 0));
    }

    #[test]
    fn a_jump_begins_an_epoch_and_the_line_goes_on() {
        let mut line = Timeline::new();
        line.push(pcr(1_000_000_000), false);
        let before = line.push(pcr(1_001_080_000), false).time;
        for (by, announced) in [
            (-27_000_000, false),
            (11 * 27_000_000, false),
            (8_100_000, true),
        ] {
            let epoch = line.epoch();
            let from = line.now().unwrap();
            let next = line.last_pcr().unwrap() + Ticks27M::new(by);
            let tick = line.push(next, announced);
            let by = Ticks27M::new(by);
            assert_eq!(tick.jump, Some(Jump { by, announced }));
            assert_eq!(tick.time - from, Ticks27M::from_millis(40));
            assert_eq!(line.epoch(), epoch + 1);
        }
        assert_eq!(line.now().unwrap() - before, Ticks27M::from_millis(120));
    }

    #[test]
    fn lost_seconds_and_a_flag_without_a_jump_keep_the_clock() {
        let mut line = Timeline::new();
        line.push(pcr(0), false);
        assert_eq!(line.push(pcr(9 * 27_000_000), false).jump, None);
        assert_eq!(line.push(pcr(9 * 27_000_000 + 1_080_000), true).jump, None);
        assert_eq!(line.push(pcr(9 * 27_000_000 + 1_080_000), false).jump, None);
        assert_eq!(line.now(), Some(StreamTime::from_ticks(244_080_000)));
    }

    #[test]
    fn stamps_stand_where_the_clock_will_pass_them() {
        let mut line = Timeline::new();
        assert_eq!(line.time_of(Pts::wrapping(0)), None);
        let t = line.push(pcr(-27_000), false).time;
        let pts = Pts::wrapping(0);
        assert_eq!(line.time_of(pts), Some(t + Ticks27M::MILLISECOND));
        let pts = Pts::wrapping((1 << 33) - 180);
        assert_eq!(line.time_of(pts), Some(t - Ticks27M::MILLISECOND));
    }
}
