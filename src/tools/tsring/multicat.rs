//! How multicat is asked for a range of a ring.
//!
//! multicat 2.3 with `-k K -d D` writes, in whole blocks, from the last one stamped before K in
//! the segment of K (its first where none is) to the last one stamped K + D at the latest; and to
//! the end of the ring when D is zero.

use std::path::Path;

use crate::ring::{LengthSince, Ring, SegmentName, Step};
use crate::units::{Ticks27M, WallTime};

/// One tick.
const TICK: Ticks27M = Ticks27M::new(1);

/// The commands that give the packets which `tsring read` gives of a range: one for each segment
/// length that the ring has had in it, and none for an epoch, which multicat does not see. Where
/// the range begins or ends inside a block, or blocks share a stamp, whole blocks come with it.
pub(super) fn command_lines(
    ring: &Ring,
    from: Option<WallTime>,
    to: Option<WallTime>,
) -> Vec<String> {
    let settings = ring.layout().settings.as_ref();
    let lengths = settings.map_or(&[][..], |s| &s.lengths);
    let from = from.unwrap_or_default();
    let to = to.unwrap_or(WallTime::from_ticks(i64::MAX));
    // multicat always gives something.
    if !matches!(ring.cursor(from, Some(to)).step(1), Ok(Step::Data { .. })) {
        return Vec::new();
    }
    let lines = lengths.iter().filter_map(|length| {
        let (start, end) = edges(ring, *length, from, to)?;
        Some(format!(
            "multicat -f -r {} -k {} -d {} {} out.ts",
            length.ticks,
            start.ticks(),
            (end - start).max(TICK).get(),
            quoted(ring.dir())
        ))
    });
    lines.collect()
}

/// K of the first block of a range in the segments of one length, and the stamp of its last block.
fn edges(
    ring: &Ring,
    length: LengthSince,
    from: WallTime,
    to: WallTime,
) -> Option<(WallTime, WallTime)> {
    let live = ring.segments().iter().filter(|s| s.epoch == 0);
    let named: Vec<&SegmentName> = live
        .filter(|s| s.length.get() == length.ticks && s.start < to)
        .collect();
    // The block before the range may hold packets that came later than its stamp.
    let behind = named.partition_point(|s| s.end() <= from);
    let candidates = named.get(behind.saturating_sub(1)..).unwrap_or_default();
    let start = candidates.iter().find_map(|segment| {
        let block = ring.first_block(segment, from)?;
        let stamps = ring.stamps(segment);
        let (own, next) = (stamps.get(block)?, stamps.get(block + 1));
        // Of blocks that share a stamp, the one before the first.
        let alone = next.is_none_or(|next| next > own);
        Some(if alone { own + TICK } else { own })
    })?;
    let end = candidates.iter().rev().find_map(|segment| {
        let stamps = ring.stamps(segment);
        let behind = stamps.seek(to, stamps.count().ok()?);
        stamps.get(behind.checked_sub(1)?)
    })?;
    (end + TICK >= start).then_some((start, end))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
