//! The tables of a stream as lines of text: one for all sub-tables of a kind on a PID.

use std::fmt::Write as _;

use crate::monitor::tables::TablesMeasures;
use crate::ts::Pid;
use crate::units::BitRate;

/// What the sub-tables of one kind on one PID have in common.
#[derive(Default)]
struct Row {
    sub_tables: usize,
    sections: u64,
    rate: u64,
    shortest: Option<f64>,
    longest: Option<f64>,
    late: u64,
    too_close: u64,
    version: Option<u8>,
}

/// The lines.
pub(super) fn lines(page: &mut String, measures: &TablesMeasures) {
    let mut rows: Vec<((u16, &str), Row)> = Vec::new();
    for table in &measures.tables {
        let key = (table.pid, table.table);
        // They are in order of PID and table_id: those of a kind follow each other.
        if rows.last().is_none_or(|(last, _)| *last != key) {
            rows.push((key, Row::default()));
        }
        let Some((_, row)) = rows.last_mut() else {
            return;
        };
        row.sub_tables += 1;
        row.sections += table.sections_total;
        row.rate += table.rate_bps.unwrap_or(0);
        let pick = |a: Option<f64>, b: Option<f64>, f: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(f(a, b)),
            (a, b) => a.or(b),
        };
        row.shortest = pick(row.shortest, table.interval_min_ms, f64::min);
        row.longest = pick(row.longest, table.interval_max_ms, f64::max);
        row.late += table.late_total;
        row.too_close += table.too_close_total;
        row.version = table.version;
    }
    if !rows.is_empty() {
        let _ = writeln!(page, "\ntables");
    }
    for ((pid, name), row) in &rows {
        let what = match (row.sub_tables, row.version) {
            (1, Some(version)) => format!("version {version}"),
            (1, None) => String::new(),
            (n, _) => format!("{n} sub-tables"),
        };
        let mut more = match (row.shortest, row.longest) {
            (Some(a), Some(b)) => format!(", a section every {a:.0} to {b:.0} ms"),
            _ => String::new(),
        };
        for (count, name) in [(row.late, "late"), (row.too_close, "too close")] {
            if count > 0 {
                let _ = write!(more, ", {count} {name}");
            }
        }
        let (pid, rate) = (Pid::from_field(*pid), BitRate::new(row.rate).to_string());
        let _ = writeln!(
            page,
            "  {pid}  {name:<27} {what:<16} {:>7} sections {rate:>13}{more}",
            row.sections
        );
    }
    if measures.untimed_sections_total > 0 {
        let _ = writeln!(
            page,
            "  {} sections of more sub-tables than can be timed",
            measures.untimed_sections_total
        );
    }
}
