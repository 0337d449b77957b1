//! What was cut, in words and in JSON.

use std::fmt;

use serde::Serialize;

use super::scale::{Scale, wall};
use crate::cut::survey::{Place, Plan};
use crate::stream::rap::RapKind;
use crate::ts::PACKET_SIZE;
use crate::units::{StreamTime, Ticks27M};

/// What was written.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) packets: u64,
    pub(super) jumps: u64,
    pub(super) wraps: u64,
    pub(super) jumped: Ticks27M,
    /// What is presented, and in how many pieces.
    pub(super) presented: Ticks27M,
    pub(super) pieces: u64,
    /// Times without packets in the recording.
    pub(super) holes: u64,
    pub(super) missing: Ticks27M,
}

/// What was cut. Offsets where the source is a file, UTC where it is a ring.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    in_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_utc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_utc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    duration_ms: i64,
    pieces: u64,
    holes: u64,
    holes_ms: i64,
    in_pts: u64,
    out_pts: u64,
    in_kind: &'static str,
    out_kind: &'static str,
    video_pid: u16,
    leading_pictures_removed: u64,
    leading_pictures_kept: u64,
    leading_pictures_before_out: u64,
    packets: u64,
    bytes: u64,
    pcr_jumps: u64,
    pcr_jumped_ms: i64,
    pcr_wraps: u64,
}

impl Report {
    pub(super) fn new(plan: &Plan, scale: Scale, epoch: Option<String>, done: &Done) -> Self {
        let offset = |time: StreamTime| match scale {
            Scale::File { origin } => Some(round_ms(time - origin)),
            Scale::Utc => None,
        };
        let utc = |time: StreamTime| match scale {
            Scale::File { .. } => None,
            Scale::Utc => Some(wall(time).to_string()),
        };
        let kind = |place: &Place| match place.kind {
            Some(RapKind::Closed) => "closed",
            Some(RapKind::Open) => "open",
            None => "end",
        };
        let (from, to) = (&plan.from, &plan.to);
        Self {
            in_ms: offset(from.time),
            out_ms: offset(to.time),
            in_utc: utc(from.time),
            out_utc: utc(to.time),
            epoch,
            duration_ms: round_ms(done.presented),
            pieces: done.pieces,
            holes: done.holes,
            holes_ms: round_ms(done.missing),
            in_pts: from.pts.ticks(),
            out_pts: to.pts.ticks(),
            in_kind: kind(from),
            out_kind: kind(to),
            video_pid: plan.pid.get(),
            leading_pictures_removed: from.leading,
            leading_pictures_kept: from.kept,
            leading_pictures_before_out: to.leading,
            packets: done.packets,
            bytes: done.packets * PACKET_SIZE as u64,
            pcr_jumps: done.jumps,
            pcr_jumped_ms: round_ms(done.jumped),
            pcr_wraps: done.wraps,
        }
    }
}

/// Milliseconds, to the nearest.
fn round_ms(span: Ticks27M) -> i64 {
    (span + Ticks27M::new(13_500)).get().div_euclid(27_000)
}

/// An edge as it is written: UTC, or an offset.
fn edge(utc: Option<&String>, ms: Option<i64>) -> String {
    let offset = || Ticks27M::from_millis(ms.unwrap_or(0)).to_string();
    utc.cloned().unwrap_or_else(offset)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cut from {} ({}) to {} ({}): {}{}, {} packets",
            edge(self.in_utc.as_ref(), self.in_ms),
            self.in_kind,
            edge(self.out_utc.as_ref(), self.out_ms),
            self.out_kind,
            Ticks27M::from_millis(self.duration_ms),
            match self.pieces {
                0 | 1 => String::new(),
                pieces => format!(" in {pieces} pieces"),
            },
            self.packets
        )?;
        if self.holes > 0 {
            let (holes, missing) = (self.holes, Ticks27M::from_millis(self.holes_ms));
            let word = if holes == 1 { "hole" } else { "holes" };
            write!(f, "; {holes} {word}, {missing} in all")?;
        }
        if self.pcr_jumps > 0 {
            let (jumps, by) = (self.pcr_jumps, Ticks27M::from_millis(self.pcr_jumped_ms));
            let word = if jumps == 1 { "jump" } else { "jumps" };
            write!(f, "; {jumps} {word} of the clock, by {by} in all")?;
        }
        if self.leading_pictures_removed > 0 {
            let count = self.leading_pictures_removed;
            write!(f, "; {count} leading pictures removed")?;
        }
        if self.leading_pictures_kept > 0 {
            let count = self.leading_pictures_kept;
            write!(f, "; {count} leading pictures kept")?;
        }
        if self.leading_pictures_before_out > 0 {
            let count = self.leading_pictures_before_out;
            write!(
                f,
                "; {count} pictures before the out-point need what follows it"
            )?;
        }
        Ok(())
    }
}
