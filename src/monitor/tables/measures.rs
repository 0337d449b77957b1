//! What is measured of tables, for reports.

use serde::Serialize;

use super::rates::TableRate;
use crate::units::Ticks27M;

/// What was measured of the tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TablesMeasures {
    /// Each sub-table, by PID, table_id and table_id_extension.
    pub tables: Vec<TableMeasures>,
    /// The bit rate of tables, by PID and kind.
    pub rates: Vec<TableRate>,
    /// Sections read, damaged and foreign ones included.
    pub sections_total: u64,
    /// Sections whose CRC_32 is wrong.
    pub crc_errors_total: u64,
    /// Sections of sub-tables that were not timed, for there were too many.
    pub untimed_sections_total: u64,
}

/// What was measured of a sub-table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableMeasures {
    /// Its PID.
    pub pid: u16,
    /// Its table_id.
    pub table_id: u8,
    /// Its name.
    pub table: &'static str,
    /// table_id_extension; none in a table of short sections.
    pub table_id_extension: Option<u16>,
    /// Of an EIT, transport_stream_id.
    pub transport_stream_id: Option<u16>,
    /// Of an EIT or SDT, original_network_id.
    pub original_network_id: Option<u16>,
    /// version_number, the last one.
    pub version: Option<u8>,
    /// last_section_number, the last one.
    pub last_section: Option<u8>,
    /// Sections that came.
    pub sections_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
    /// Bytes of sections over time, from the end of the first to that of the last one.
    pub rate_bps: Option<u64>,
    /// Shortest time between two of a section.
    pub interval_min_ms: Option<f64>,
    /// Mean time between two of a section.
    pub interval_mean_ms: Option<f64>,
    /// Longest time between two of a section.
    pub interval_max_ms: Option<f64>,
    /// The limit of that time, of section 0.
    pub limit_ms: Option<i64>,
    /// The limit is advice: what is slower is no error.
    pub limit_is_advice: bool,
    /// Sections that came later than the limit, or not at all, each span.
    pub late_total: u64,
    /// Sections that followed another too closely.
    pub too_close_total: u64,
    /// It has stayed away so long that it is not waited for any more.
    pub withdrawn: bool,
}

/// How long something took, over many times.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Intervals {
    pub(super) count: u64,
    pub(super) sum: Ticks27M,
    pub(super) min: Ticks27M,
    pub(super) max: Ticks27M,
}

impl Intervals {
    /// Counts one.
    pub(super) fn add(&mut self, span: Ticks27M) {
        self.min = if self.count == 0 {
            span
        } else {
            self.min.min(span)
        };
        self.max = self.max.max(span);
        self.sum += span;
        self.count += 1;
    }
}
