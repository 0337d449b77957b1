//! The gap that a recorder leaves in its lock, whose bytes a full disk has already.
//!
//! It stands there while nothing can be written, and after the recorder ended so: the next one
//! files it, and who looks at the ring before that is told.

use std::path::Path;

use crate::units::WallTime;

use super::index::{GapCause, Record, What};
use super::layout::LOCK;
use super::storage::{Access, NOTE, Storage};
use super::summary::Gap;

/// What could not be recorded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfiled {
    pub(super) cause: GapCause,
    pub(super) since: WallTime,
    pub(super) until: WallTime,
    pub(super) packets: u64,
}

impl Unfiled {
    /// What stands in the lock of the ring in `dir`.
    pub(super) fn read(storage: &dyn Storage, dir: &Path) -> Option<Self> {
        let lock = storage.open(&dir.join(LOCK), Access::Read);
        let mut bytes = [0; 2 * NOTE];
        let read = lock.ok()?.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(bytes.get(..read)?).ok()?;
        let mut words = text.lines().nth(1)?.split_whitespace();
        let cause = GapCause::from_name(words.next()?)?;
        let since = WallTime::from_ticks(words.next()?.parse().ok()?);
        let packets = words.next()?.parse().ok()?;
        let until = words.next().and_then(|word| word.parse().ok());
        Some(Self {
            cause,
            since,
            until: until.map_or(since, WallTime::from_ticks).max(since),
            packets,
        })
    }

    /// All these gaps as one, named for the one that cost most; `None` where they cost nothing.
    pub(super) fn of(pending: &[(WallTime, What)]) -> Option<Self> {
        let gaps = pending.iter().filter_map(|(since, what)| match *what {
            What::Gap {
                cause,
                until,
                packets,
            } => Some(Self {
                cause,
                since: *since,
                until,
                packets,
            }),
            _ => None,
        });
        let whole = gaps.reduce(|a, b| Self {
            cause: if a.packets > b.packets {
                a.cause
            } else {
                b.cause
            },
            since: a.since.min(b.since),
            until: a.until.max(b.until),
            packets: a.packets + b.packets,
        });
        whole.filter(|gap| gap.packets > 0)
    }

    /// As it stands in the lock.
    pub(super) fn line(&self) -> String {
        let (cause, since, until) = (self.cause.name(), self.since.ticks(), self.until.ticks());
        format!("{cause} {since} {} {until}", self.packets)
    }

    /// As a gap.
    pub(super) fn gap(&self) -> Gap {
        Gap {
            from: self.since,
            to: self.until,
            cause: self.cause,
            packets: self.packets,
            between: None,
            short: None,
        }
    }

    /// What the next recorder files of it.
    pub(super) fn record(&self) -> Record {
        let what = What::Gap {
            cause: self.cause,
            until: self.until,
            packets: self.packets,
        };
        Record::new(0, self.since, what)
    }
}
