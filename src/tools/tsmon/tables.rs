//! The tables of a stream as lines of text: one for all sub-tables of a kind on a PID.

use std::fmt::Write as _;

use super::html::markup::Page;
use super::html::plot;
use crate::monitor::tables::{TableRate, TablesMeasures};
use crate::ts::Pid;
use crate::units::BitRate;

/// What the sub-tables of one kind on one PID have in common.
#[derive(Default)]
struct Row {
    sub_tables: usize,
    sections: u64,
    shortest: Option<f64>,
    longest: Option<f64>,
    late: u64,
    too_close: u64,
    version: Option<u8>,
}

/// All sub-tables of a kind on a PID as one row each.
fn rows(measures: &TablesMeasures) -> Vec<((u16, &'static str), Row)> {
    let mut rows: Vec<((u16, &str), Row)> = Vec::new();
    for table in &measures.tables {
        let key = (table.pid, table.table);
        // They are in order of PID and table_id: those of a kind follow each other.
        if rows.last().is_none_or(|(last, _)| *last != key) {
            rows.push((key, Row::default()));
        }
        let Some((_, row)) = rows.last_mut() else {
            return rows;
        };
        row.sub_tables += 1;
        row.sections += table.sections_total;
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
    rows
}

impl Row {
    /// `version 3`, or how many there are.
    fn what(&self) -> String {
        match (self.sub_tables, self.version) {
            (1, Some(version)) => format!("version {version}"),
            (1, None) => String::new(),
            (n, _) => format!("{n} sub-tables"),
        }
    }
}

/// The bit rate of the tables of a kind on a PID.
fn rate_of<'m>(measures: &'m TablesMeasures, (pid, name): (u16, &str)) -> Option<&'m TableRate> {
    let mut rates = measures.rates.iter();
    rates.find(|r| r.pid == pid && r.table == name)
}

/// The lines.
pub(super) fn lines(page: &mut String, measures: &TablesMeasures) {
    let rows = rows(measures);
    if !rows.is_empty() {
        let _ = writeln!(page, "\ntables");
    }
    for (key, row) in &rows {
        let (pid, name) = key;
        let what = row.what();
        let rate = rate_of(measures, *key).and_then(|r| r.mean_bps);
        let mut more = match (row.shortest, row.longest) {
            (Some(a), Some(b)) => format!(", a section every {a:.0} to {b:.0} ms"),
            _ => String::new(),
        };
        for (count, name) in [(row.late, "late"), (row.too_close, "too close")] {
            if count > 0 {
                let _ = write!(more, ", {count} {name}");
            }
        }
        let (pid, rate) = (
            Pid::from_field(*pid),
            BitRate::new(rate.unwrap_or(0)).to_string(),
        );
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

/// The same as a table of a page, with the rates over time.
pub(super) fn table(page: &mut Page, measures: &TablesMeasures, seconds: f64) {
    let rows = rows(measures);
    if rows.is_empty() {
        return;
    }
    page.element("h2", "Tables")
        .raw("<section><div class=\"scroll\"><table><tr><th>PID</th><th>table</th><th></th>")
        .raw("<th class=\"n\">sections</th><th class=\"n\">every, ms</th>")
        .raw("<th class=\"n\">mean</th><th class=\"n\">lowest</th><th class=\"n\">highest</th>")
        .raw("<th>over time</th><th class=\"n\">late</th><th class=\"n\">too close</th></tr>\n");
    for (key, row) in &rows {
        let rate = rate_of(measures, *key);
        let bps = |of: fn(&TableRate) -> Option<u64>| {
            let bps = rate.and_then(of);
            bps.map(|r| BitRate::new(r).to_string()).unwrap_or_default()
        };
        let every = match (row.shortest, row.longest) {
            (Some(a), Some(b)) => format!("{a:.0} to {b:.0}"),
            _ => String::new(),
        };
        page.raw("<tr>")
            .element("td class=\"id\"", &Pid::from_field(key.0).to_string())
            .element("td", key.1)
            .element("td class=\"soft\"", &row.what());
        for cell in [
            row.sections.to_string(),
            every,
            bps(|r| r.mean_bps),
            bps(|r| r.min_bps),
            bps(|r| r.max_bps),
        ] {
            page.element("td class=\"n\"", &cell);
        }
        page.raw("<td>");
        if let Some(series) = rate.and_then(|r| r.series.as_ref()) {
            plot::sparkline(page, series, seconds);
        }
        page.raw("</td>");
        for count in [row.late, row.too_close] {
            match count {
                0 => page.element("td class=\"n\"", ""),
                n => page.element("td class=\"bad\"", &n.to_string()),
            };
        }
        page.raw("</tr>\n");
    }
    page.raw("</table></div></section>\n");
}
