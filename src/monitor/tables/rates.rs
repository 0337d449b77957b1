//! How many bits a second tables take, by PID and kind of table.

use serde::Serialize;

use super::kind::name;
use super::reader::Arrived;
use crate::monitor::windows::Windows;
use crate::monitor::{Moment, Series};
use crate::ts::Pid;
use crate::units::{BitRate, Ticks27M};

/// Kinds of tables on PIDs that are told apart at most: the PMTs of 500 services, and more.
const MAX_KINDS: usize = 1024;
/// Those of them whose rate is kept over time.
const MAX_SERIES: usize = 64;

/// The bit rate of the tables of a kind on a PID: bytes of whole sections, headers of packets and
/// stuffing left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableRate {
    /// The PID.
    pub pid: u16,
    /// The name of the table.
    pub table: &'static str,
    /// Sections that came.
    pub sections_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
    /// Over the whole time; `None` before it has a length.
    pub mean_bps: Option<u64>,
    /// In the second with the fewest bytes; `None` before the first whole second.
    pub min_bps: Option<u64>,
    /// In the second with the most.
    pub max_bps: Option<u64>,
    /// Over time, in bit/s; `None` where there are too many to keep.
    #[serde(skip)]
    pub series: Option<Series>,
}

#[derive(Debug)]
struct Kind {
    pid: Pid,
    name: &'static str,
    sections: u64,
    bytes: u64,
    /// Of the window that is being counted.
    begun: u64,
    range: Option<(u64, u64)>,
    series: Option<Series>,
}

/// Counts the bytes of sections in windows of a second.
#[derive(Debug)]
pub(super) struct Rates {
    windows: Windows,
    kinds: Vec<Kind>,
    now: Ticks27M,
}

impl Rates {
    pub(super) const fn new() -> Self {
        Self {
            windows: Windows::new(),
            kinds: Vec::new(),
            now: Ticks27M::ZERO,
        }
    }

    /// Takes a section.
    pub(super) fn take(&mut self, arrived: &Arrived<'_>) {
        let (pid, name) = (arrived.pid, name(arrived.id));
        let same = |k: &Kind| k.pid == pid && k.name == name;
        let place = match self.kinds.iter().position(same) {
            Some(place) => place,
            None if self.kinds.len() >= MAX_KINDS => return,
            None => {
                let with_series = self.kinds.len() < MAX_SERIES;
                self.kinds.push(Kind {
                    pid,
                    name,
                    sections: 0,
                    bytes: 0,
                    begun: 0,
                    range: None,
                    series: with_series.then(|| Series::new(Windows::LENGTH)),
                });
                self.kinds.len() - 1
            }
        };
        if let Some(kind) = self.kinds.get_mut(place) {
            let bytes = arrived.section.as_bytes().len() as u64;
            kind.sections += 1;
            kind.bytes += bytes;
            kind.begun += bytes;
        }
    }

    /// Time went on to `at`.
    pub(super) fn tick(&mut self, at: Moment) {
        self.now = at.time;
        let kinds = &mut self.kinds;
        self.windows.advance(at.time, |start| {
            for kind in &mut *kinds {
                let bits = std::mem::take(&mut kind.begun) * 8;
                let (least, most) = kind.range.unwrap_or((bits, bits));
                kind.range = Some((least.min(bits), most.max(bits)));
                if let Some(series) = &mut kind.series {
                    series.push(start, bits as i64);
                }
            }
        });
    }

    /// The clock jumped, or bytes of the stream are missing: what was begun counts for the mean
    /// only.
    pub(super) fn reset(&mut self, at: Moment) {
        self.now = at.time;
        self.windows.begin(at.time);
        self.kinds.iter_mut().for_each(|k| k.begun = 0);
    }

    /// By PID, and in the order they came.
    pub(super) fn measures(&self) -> Vec<TableRate> {
        let rate = |k: &Kind| TableRate {
            pid: k.pid.get(),
            table: k.name,
            sections_total: k.sections,
            bytes_total: k.bytes,
            mean_bps: BitRate::of(k.bytes, self.now).map(BitRate::get),
            min_bps: k.range.map(|(least, _)| least),
            max_bps: k.range.map(|(_, most)| most),
            series: k.series.clone(),
        };
        let mut rates: Vec<_> = self.kinds.iter().map(rate).collect();
        rates.sort_by_key(|r| r.pid);
        rates
    }
}
