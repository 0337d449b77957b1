//! Profiles and levels by their names.

use std::fmt;

use super::{VideoCoding, VideoFormat};

impl VideoFormat {
    /// The profile as the specifications call it; `None` for one they do not name, and MPEG-1.
    pub const fn profile_name(&self) -> Option<&'static str> {
        const SET1: u8 = 0x40;
        const SET3: u8 = 0x10;
        Some(match (self.coding, self.profile) {
            (VideoCoding::Mpeg2, 5) => "Simple",
            (VideoCoding::Mpeg2, 4) => "Main",
            (VideoCoding::Mpeg2, 3) => "SNR Scalable",
            (VideoCoding::Mpeg2, 2) => "Spatially Scalable",
            (VideoCoding::Mpeg2, 1) => "High",
            (VideoCoding::Mpeg2, 8) => "4:2:2",
            (VideoCoding::H264, 66) if self.constraints & SET1 != 0 => "Constrained Baseline",
            (VideoCoding::H264, 66) => "Baseline",
            (VideoCoding::H264, 77) => "Main",
            (VideoCoding::H264, 88) => "Extended",
            (VideoCoding::H264, 100) => "High",
            (VideoCoding::H264, 110) if self.constraints & SET3 != 0 => "High 10 Intra",
            (VideoCoding::H264, 110) => "High 10",
            (VideoCoding::H264, 122) if self.constraints & SET3 != 0 => "High 4:2:2 Intra",
            (VideoCoding::H264, 122) => "High 4:2:2",
            (VideoCoding::H264, 244) => "High 4:4:4 Predictive",
            (VideoCoding::H264, 44) => "CAVLC 4:4:4 Intra",
            (VideoCoding::Hevc, 1) => "Main",
            (VideoCoding::Hevc, 2) => "Main 10",
            (VideoCoding::Hevc, 3) => "Main Still Picture",
            (VideoCoding::Hevc, 4) => "Range Extensions",
            _ => return None,
        })
    }

    /// The level as the specifications write it: `4.1`, `1b`, `Main`; a number they do not name as
    /// it stands; empty for MPEG-1.
    pub fn level_name(&self) -> String {
        match (self.coding, self.level) {
            (VideoCoding::Mpeg1, _) => String::new(),
            (VideoCoding::Mpeg2, 10) => "Low".to_owned(),
            (VideoCoding::Mpeg2, 8) => "Main".to_owned(),
            (VideoCoding::Mpeg2, 6) => "High 1440".to_owned(),
            (VideoCoding::Mpeg2, 4) => "High".to_owned(),
            // 4:2:2 Profile has its own numbers behind the escape bit (13818-2 table 8-4).
            (VideoCoding::Mpeg2, 5) if self.profile >= 8 => "Main".to_owned(),
            (VideoCoding::Mpeg2, 2) if self.profile >= 8 => "High".to_owned(),
            (VideoCoding::Mpeg2, level) => level.to_string(),
            (VideoCoding::H264, _) if self.is_level_1b() => "1b".to_owned(),
            (VideoCoding::H264, level) => tenths(u32::from(level)),
            (VideoCoding::Hevc, level) => tenths(u32::from(level) / 3),
        }
    }

    /// H.264 level 1b: 9, or 11 with constraint_set3_flag in the older profiles (§A.3.1).
    pub const fn is_level_1b(&self) -> bool {
        matches!(self.coding, VideoCoding::H264)
            && (self.level == 9
                || self.level == 11
                    && self.constraints & 0x10 != 0
                    && matches!(self.profile, 66 | 77 | 88))
    }
}

fn tenths(level: u32) -> String {
    if level.is_multiple_of(10) {
        (level / 10).to_string()
    } else {
        format!("{}.{}", level / 10, level % 10)
    }
}

impl fmt::Display for VideoCoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mpeg1 => "MPEG-1 video",
            Self::Mpeg2 => "MPEG-2 video",
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
        })
    }
}
