//! Sections of an EIT on their way, no closer to one another than a receiver can take.

use std::collections::VecDeque;

use super::tables::GAP;
use crate::ts::{SectionBuf, TableId};
use crate::units::StreamTime;

/// Sections of one route that wait at most: 512 KiB.
const MOST_WAITING: usize = 128;
/// EIT actual has so many tables: present/following, and sixteen of the schedule.
const TABLES: usize = 17;

/// The EIT of one service.
#[derive(Debug, Default)]
pub(super) struct Guide {
    waiting: VecDeque<SectionBuf>,
    /// Before this no section of the table leaves.
    free: [StreamTime; TABLES],
    pub(super) sections: u64,
    pub(super) dropped: u64,
}

/// The place of a table: 0x4E, then 0x50 to 0x5F.
fn place(id: TableId) -> Option<usize> {
    match id.0 {
        0x4E => Some(0),
        0x50..=0x5F => Some(usize::from(id.0 - 0x4F)),
        _ => None,
    }
}

fn place_of(section: &SectionBuf) -> usize {
    place(section.section().table_id()).unwrap_or_default()
}

impl Guide {
    /// Takes a section: a newer one takes the place of the same that waits still. False where
    /// there is no room.
    pub(super) fn push(&mut self, section: SectionBuf) -> bool {
        let key = |s: &SectionBuf| {
            let number = s.section().syntax().map(|s| s.number);
            (s.section().table_id(), number)
        };
        if let Some(same) = self.waiting.iter_mut().find(|s| key(s) == key(&section)) {
            *same = section;
            return true;
        }
        let room = self.waiting.len() < MOST_WAITING;
        match room {
            true => self.waiting.push_back(section),
            false => self.dropped += 1,
        }
        room
    }

    /// When the next may leave.
    pub(super) fn due(&self) -> Option<StreamTime> {
        let free = |s: &SectionBuf| self.free.get(place_of(s)).copied().unwrap_or_default();
        self.waiting.iter().map(free).min()
    }

    /// A section that may leave at `now`, which may be as late as `late` for a receiver.
    pub(super) fn take(&mut self, now: StreamTime, late: StreamTime) -> Option<SectionBuf> {
        let at = self.waiting.iter().position(|s| {
            let free = self.free.get(place_of(s));
            free.is_some_and(|free| *free <= now)
        })?;
        let section = self.waiting.remove(at)?;
        if let Some(free) = self.free.get_mut(place_of(&section)) {
            *free = late + GAP;
        }
        self.sections += 1;
        Some(section)
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
