//! How the sound of a service moves against its pictures.

use super::line::Line;
use super::stamps::Spread;
use crate::units::Ticks27M;

/// Stamps of so long are averaged: buffers fill and empty from picture to picture.
pub(super) const WINDOW: Ticks27M = Ticks27M::new(10 * 27_000_000);
/// The fewest windows that a trend is told from: a minute.
const TREND_WINDOWS: u64 = 6;

/// Follows the distance between the stamps of an audio stream and those of the video beside it.
///
/// Where in the multiplex audio lies against video is the multiplexer's choice; that it moves is
/// a clock, or a buffer, that runs away. What the viewer sees can only be told by decoding.
#[derive(Debug)]
pub(super) struct Offset {
    first_us: Option<i64>,
    last_us: i64,
    spread: Spread,
    trend: Line,
}

impl Offset {
    pub(super) const fn new() -> Self {
        Self {
            first_us: None,
            last_us: 0,
            spread: Spread::EMPTY,
            trend: Line::new(0.0),
        }
    }

    /// Takes what both streams led their clock by in the window that ended `seconds` after the one
    /// before.
    pub(super) fn push(&mut self, audio: &Spread, video: &Spread, seconds: f64) {
        self.trend.advance(seconds);
        let (Some((_, audio, _)), Some((_, video, _))) = (audio.of_us(), video.of_us()) else {
            return;
        };
        let us = audio - video;
        self.first_us.get_or_insert(us);
        self.last_us = us;
        self.spread.add(us);
        self.trend.add(us as f64);
    }

    /// First, newest, smallest and largest offset in microseconds; `None` before a window ended.
    pub(super) fn of_us(&self) -> Option<(i64, i64, i64, i64)> {
        let (min, _, max) = self.spread.of_us()?;
        Some((self.first_us?, self.last_us, min, max))
    }

    /// Microseconds an hour; `None` before there were enough windows.
    pub(super) fn trend_us_per_hour(&self) -> Option<i64> {
        let told = self.spread.count >= TREND_WINDOWS;
        told.then(|| (self.trend.slope() * 3600.0).round() as i64)
    }
}
