//! What a PID of video says about its pictures.

use serde::Serialize;

use super::gop::{GopWatch, Gops};
use crate::monitor::Seen;
use crate::stream::codec::Codec;
use crate::stream::video::{Chroma, Fraction, VideoCoding, VideoFormat, VideoFormatDetector};
use crate::units::Ticks27M;

/// What sequence headers or parameter sets say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Video {
    /// ffmpeg's name of the coding.
    pub codec: &'static str,
    /// The profile as its specification calls it.
    pub profile: Option<&'static str>,
    /// The level as its specification writes it.
    pub level: String,
    /// Samples across.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Frames a second as a ratio: `25/1`, `30000/1001`.
    pub frame_rate: Option<String>,
    /// Frames a second.
    pub frame_rate_hz: Option<f64>,
    /// Width to height of a sample: `1:1`.
    pub sample_aspect: Option<String>,
    /// Width to height of the picture: `16:9`.
    pub display_aspect: Option<String>,
    /// Pictures may be fields, or frames of two fields.
    pub interlaced: bool,
    /// `4:2:0`, `4:2:2`, `4:4:4`, `4:0:0`.
    pub chroma: &'static str,
    /// Bits a sample.
    pub bit_depth: u8,
    /// How often any of these became another.
    pub changes_total: u64,
}

impl Video {
    fn new(format: &VideoFormat, changes_total: u64) -> Self {
        let ratio = |f: Fraction, by: char| format!("{}{by}{}", f.numerator, f.denominator);
        Self {
            codec: match format.coding {
                VideoCoding::Mpeg1 => "mpeg1video",
                VideoCoding::Mpeg2 => "mpeg2video",
                VideoCoding::H264 => "h264",
                VideoCoding::Hevc => "hevc",
            },
            profile: format.profile_name(),
            level: format.level_name(),
            width: format.width,
            height: format.height,
            frame_rate: format.frame_rate.map(|f| ratio(f, '/')),
            // Thousandths are enough to read.
            frame_rate_hz: format.frame_rate.map(|f| (f.as_f64() * 1e3).round() / 1e3),
            sample_aspect: format.sample_aspect.map(|f| ratio(f, ':')),
            display_aspect: format.display_aspect().map(|f| ratio(f, ':')),
            interlaced: format.interlaced,
            chroma: match format.chroma {
                Chroma::Monochrome => "4:0:0",
                Chroma::C420 => "4:2:0",
                Chroma::C422 => "4:2:2",
                Chroma::C444 => "4:4:4",
            },
            bit_depth: format.bit_depth,
            changes_total,
        }
    }
}

/// Follows one PID.
#[derive(Debug)]
pub(super) struct VideoWatch {
    gops: GopWatch,
    format: VideoFormatDetector,
    /// Formats so far.
    formats: u64,
}

impl VideoWatch {
    /// `None` for a codec whose headers are not known.
    pub(super) fn new(codec: Codec) -> Option<Self> {
        Some(Self {
            gops: GopWatch::new(codec)?,
            format: VideoFormatDetector::new(codec)?,
            formats: 0,
        })
    }

    pub(super) fn codec(&self) -> Codec {
        self.gops.codec()
    }

    #[inline]
    pub(super) fn push(&mut self, seen: &Seen<'_>) {
        if seen.broken {
            self.reset();
        }
        if seen.repeated {
            return;
        }
        self.gops.push(seen);
        if self.format.push(seen.packet).is_some() {
            self.formats += 1;
        }
    }

    pub(super) fn reset(&mut self) {
        self.gops.reset();
        self.format.reset();
    }

    pub(super) const fn formats(&self) -> u64 {
        self.formats
    }

    pub(super) fn format(&self) -> Option<Video> {
        let changes = self.formats.saturating_sub(1);
        self.format.format().map(|f| Video::new(f, changes))
    }

    pub(super) fn gops(&self, now: Ticks27M) -> Gops {
        self.gops.measures(now)
    }
}
