//! Every sub-table of the stream, in bounded memory.

use std::collections::HashMap;

use super::kind::gap_check;
use super::measures::TableMeasures;
use super::reader::Arrived;
use super::sub_table::{Key, SubTable};
use super::{MAX_SECTIONS, MAX_SUB_TABLES, TableLimits};
use crate::monitor::{Check, Moment, Out};
use crate::si::ServiceId;
use crate::ts::TableId;
use crate::units::Ticks27M;

/// The sub-tables, found by what names them.
#[derive(Debug, Default)]
pub(super) struct SubTables {
    /// The place of each in the lists below, which run together.
    places: HashMap<u128, usize>,
    tables: Vec<SubTable>,
    /// Before when none of them can be late: a tick reads this list and mostly nothing else.
    dues: Vec<Ticks27M>,
    /// When the last section ended, of each PID, table_id and table_id_extension.
    ends: HashMap<u64, Moment>,
    /// Sections whose times are kept.
    slots: usize,
    /// How many sub-tables are withdrawn.
    withdrawn: usize,
    /// Sections of sub-tables for which there was no room.
    pub(super) untracked: u64,
}

impl SubTables {
    /// Takes a section. `spaced`: the shortest time between two holds at the rate of the stream.
    pub(super) fn take(
        &mut self,
        arrived: &Arrived<'_>,
        limits: &TableLimits,
        spaced: bool,
        out: Out<'_>,
    ) {
        let key = Key::of(arrived);
        let place = self.place(key, arrived);
        if arrived.home.is_si() && is_timed(arrived) {
            let close = self.space(key, arrived, limits, spaced, out);
            if let Some(table) = place.and_then(|place| self.tables.get_mut(place)) {
                table.too_close += u64::from(close);
            }
        }
        let Some(place) = place else {
            self.untracked += 1;
            return;
        };
        let (Some(table), Some(due)) = (self.tables.get_mut(place), self.dues.get_mut(place))
        else {
            return;
        };
        let (slots, withdrawn) = (table.slots(), table.withdrawn);
        let room = MAX_SECTIONS - self.slots + slots;
        if table.count(arrived, room) {
            *due = arrived.ended.time;
        }
        if arrived.is_current() {
            table.time(arrived, limits, out);
        }
        self.slots = self.slots - slots + table.slots();
        self.withdrawn -= usize::from(withdrawn && !table.withdrawn);
        if arrived.is_current() && table.slots() == 0 {
            self.untracked += 1;
        }
    }

    /// Where the sub-table is, or is now; `None` when there is no room.
    fn place(&mut self, key: Key, arrived: &Arrived<'_>) -> Option<usize> {
        let packed = key.packed();
        if let Some(place) = self.places.get(&packed) {
            return Some(*place);
        }
        if self.tables.len() >= MAX_SUB_TABLES {
            self.make_room();
        }
        let place = self.tables.len();
        if place >= MAX_SUB_TABLES {
            return None;
        }
        self.places.insert(packed, place);
        self.tables.push(SubTable::new(key, arrived));
        self.dues.push(arrived.ended.time);
        Some(place)
    }

    /// Forgets what was withdrawn, if anything was.
    fn make_room(&mut self) {
        if self.withdrawn == 0 {
            return;
        }
        let mut keep = self.tables.iter().map(|t| !t.withdrawn);
        self.dues.retain(|_| keep.next().unwrap_or(true));
        self.tables.retain(|t| !t.withdrawn);
        let places = self.tables.iter().enumerate();
        self.places = places.map(|(n, t)| (t.key.packed(), n)).collect();
        self.slots = self.tables.iter().map(SubTable::slots).sum();
        self.withdrawn = 0;
    }

    /// EN 300 468 §5.1.4.1: a while from the last byte of a section to the first of the next.
    fn space(
        &mut self,
        key: Key,
        arrived: &Arrived<'_>,
        limits: &TableLimits,
        spaced: bool,
        out: Out<'_>,
    ) -> bool {
        if self.ends.len() >= MAX_SUB_TABLES {
            let now = arrived.ended.time;
            self.ends.retain(|_, end| now - end.time < limits.gap);
        }
        let before = if self.ends.len() < MAX_SUB_TABLES {
            self.ends.insert(key.spaced(), arrived.ended)
        } else {
            let end = self.ends.get_mut(&key.spaced());
            end.map(|end| std::mem::replace(end, arrived.ended))
        };
        let Some(end) = before.filter(|end| spaced && moves(*end, arrived.began)) else {
            return false;
        };
        let gap = arrived.began.time - end.time;
        if gap >= limits.gap {
            return false;
        }
        for check in [gap_check(key.id), Some(Check::SiRepetitionError)]
            .into_iter()
            .flatten()
        {
            out(key
                .finding(check, arrived.ended)
                .with("reason", "too close")
                .with("section", i64::from(arrived.number()))
                .with("gap_us", gap.as_nanos() / 1000)
                .with("limit_ms", limits.gap.as_millis()));
        }
        true
    }

    /// Looks for what is missing.
    pub(super) fn tick(&mut self, at: Moment, limits: &TableLimits, out: Out<'_>) {
        for (due, table) in self.dues.iter_mut().zip(&mut self.tables) {
            if *due <= at.time {
                let before = table.withdrawn;
                *due = table.check(at, limits, out);
                self.withdrawn += usize::from(table.withdrawn && !before);
            }
        }
    }

    /// Nobody waits any more for what is said of services that are not `there`.
    pub(super) fn services(&mut self, there: impl Fn(ServiceId) -> bool) {
        for (table, due) in self.tables.iter_mut().zip(&mut self.dues) {
            let service = table.key.extension.map(ServiceId);
            let ours = matches!(table.key.id.0, 0x02 | 0x4E | 0x50..=0x5F);
            if ours && !table.withdrawn && service.is_some_and(|id| !there(id)) {
                table.withdrawn = true;
                *due = Ticks27M::MAX;
                self.withdrawn += 1;
            }
        }
    }

    /// What was timed is void.
    pub(super) fn reset(&mut self, at: Ticks27M) {
        self.ends.clear();
        for (due, table) in self.dues.iter_mut().zip(&mut self.tables) {
            if !table.withdrawn {
                table.restart(at);
                *due = at;
            }
        }
    }

    /// True when a sub-table of that table_id came.
    pub(super) fn has(&self, id: u8) -> bool {
        self.tables.iter().any(|t| t.key.id.0 == id)
    }

    /// True when the sections of a sub-table of that table_id are missed once they stay away.
    pub(super) fn waits_for(&self, id: TableId) -> bool {
        let mut tables = self.tables.iter();
        tables.any(|t| t.key.id == id && !t.withdrawn && t.slots() > 0)
    }

    /// What was measured of each, by PID, table_id and extension.
    pub(super) fn measures(&self, limits: &TableLimits) -> Vec<TableMeasures> {
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_unstable_by_key(|t| t.key);
        tables.iter().map(|t| t.measures(limits)).collect()
    }
}

/// Packets that come at one moment at most: those of a datagram.
const AT_ONCE: u64 = 7;

/// True when the time from one moment to the other can be told: the clock runs, and has not stood
/// still in between.
fn moves(from: Moment, to: Moment) -> bool {
    let stands = to.time == from.time && to.position - from.position >= AT_ONCE;
    to.time > Ticks27M::ZERO && !stands
}

/// A table of which EN 300 468 §5.1.4.1 speaks: not stuffing, nor what is not known.
fn is_timed(arrived: &Arrived<'_>) -> bool {
    matches!(arrived.id.0, 0x40..=0x42 | 0x46 | 0x4A | 0x4E..=0x71 | 0x73)
}
