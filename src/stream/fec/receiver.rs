//! Puts lost media datagrams together again.

use std::collections::VecDeque;

use super::store::{LONGEST, Store};
use super::sum::Sum;
use super::wait::Wait;
use super::{FecEvent, FecHeader, FecLine};
use crate::stream::event::Event;
use crate::stream::{Counters, Pending, RtpHeader};
use crate::units::{Arrival, Ticks27M};

/// FEC datagrams that wait at most: more than two of the largest matrices have.
const MOST_WAITING: usize = 256;
/// Sets that have to be right, after one that was not, before anything is recovered again.
const PROBATION: u32 = 8;

/// A FEC datagram of whose set more than one is missing.
#[derive(Debug)]
struct Equation {
    header: FecHeader,
    sum: Sum,
}

/// Fed with media and FEC datagrams as they come, gives those that did not come.
///
/// Each FEC datagram stands for itself, whatever matrix it belongs to: once a single datagram of its
/// set is missing, that one is recovered, and may leave a single one missing in another set: so it
/// goes on until nothing more can be done. With rows and columns that is all that the sums tell.
///
/// What came is never changed. A set that is whole and whose sum is another contradicts, and so
/// does a recovered datagram that is none, or that comes after all and differs: that is counted,
/// and nothing is recovered until eight whole sets in a row have the right sum.
///
/// Holds the last 1024 media datagrams (1.4 MB of 1328 bytes; longer ones than 9000 are not held)
/// and 256 FEC datagrams (340 kB); a set that is older can not be used any more.
#[derive(Debug)]
pub struct FecReceiver {
    store: Store,
    waiting: VecDeque<Equation>,
    recovered: VecDeque<Vec<u8>>,
    /// Sets that have to be right before FEC is believed; 0 where it is.
    doubt: u32,
    wait: Wait,
    /// L and D, as the last column said.
    matrix: Option<(u8, u8)>,
    with_rows: bool,
    /// L, D and rows as they were told last.
    told: Option<(u8, u8, bool)>,
    events: Pending<FecEvent>,
    /// Since the events were asked for.
    new_recovered: u64,
    new_contradicting: u64,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    columns: u64,
    rows: u64,
    foreign: u64,
    recovered: u64,
    needless: u64,
    contradicting: u64,
}

impl Default for FecReceiver {
    fn default() -> Self {
        Self::new()
    }
}

impl FecReceiver {
    /// A machine that has seen nothing.
    pub fn new() -> Self {
        Self {
            store: Store::new(),
            waiting: VecDeque::new(),
            recovered: VecDeque::new(),
            doubt: 0,
            wait: Wait::default(),
            matrix: None,
            with_rows: false,
            told: None,
            events: Pending::new(),
            new_recovered: 0,
            new_contradicting: 0,
            counts: Counts::default(),
        }
    }

    /// A media datagram came: its header, and all of it.
    pub fn media(&mut self, header: &RtpHeader, datagram: &[u8], arrival: Arrival) {
        self.wait.media(arrival);
        if datagram.len() > LONGEST {
            return;
        }
        match self.store.get(header.sequence) {
            Some(known) if known.is(datagram) => {
                if known.recovered {
                    self.counts.needless += 1;
                    self.store.came(header.sequence);
                }
                return;
            }
            Some(known) if known.recovered => self.contradict(),
            _ => {}
        }
        self.store.put(header, datagram, arrival, false);
        self.settle(vec![header.sequence], arrival);
    }

    /// A datagram came on the port of the columns or of the rows.
    pub fn fec(&mut self, port: FecLine, datagram: &[u8], arrival: Arrival) {
        let Some((header, sum)) = Sum::read(datagram).filter(|_| datagram.len() <= LONGEST) else {
            self.counts.foreign += 1;
            return;
        };
        match port {
            FecLine::Column => self.counts.columns += 1,
            FecLine::Row => self.counts.rows += 1,
        }
        self.learn(&header, arrival);
        let near = |header: &FecHeader| {
            let last = header.numbers().last().unwrap_or(header.base);
            self.store.is_near(header.base) && self.store.is_near(last)
        };
        self.waiting.retain(|e| near(&e.header));
        if !near(&header) {
            return;
        }
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.pop_front();
        }
        let base = header.base;
        self.waiting.push_back(Equation { header, sum });
        self.settle(vec![base], arrival);
        if self.doubt > 0 {
            // It may be of that which was wrong.
            self.waiting.clear();
        }
    }

    /// The sequence of the media starts anew with this header: what was before does not belong to
    /// it.
    pub fn restart(&mut self, header: &RtpHeader) {
        self.store.restart(header);
        self.waiting.clear();
    }

    /// A datagram that was recovered, its RTP header included.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        self.recovered.pop_front()
    }

    /// How long a lost datagram is to be waited for from the one behind it on: twice the time of a
    /// matrix, 4 s at most; 1 s in the first second and before the matrix is known, nothing where no
    /// FEC comes. To be added is what is waited for datagrams that others have overtaken.
    pub fn wait(&self, now: Arrival) -> Ticks27M {
        self.wait.get(now)
    }

    /// Asks the machine to see that time passes.
    pub fn turn(&mut self, now: Arrival) {
        if self.wait.misses(now) {
            self.events.push(FecEvent::Missing);
        }
    }

    /// True once a FEC datagram has come.
    pub fn is_in_use(&self) -> bool {
        self.counts.columns + self.counts.rows > 0
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
        let datagrams = std::mem::take(&mut self.new_recovered);
        if datagrams > 0 {
            sink(&FecEvent::Recovered { datagrams });
        }
        let datagrams = std::mem::take(&mut self.new_contradicting);
        if datagrams > 0 {
            sink(&FecEvent::Contradicted { datagrams });
        }
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        let counts = &self.counts;
        out.set("fec_column_datagrams", counts.columns);
        out.set("fec_row_datagrams", counts.rows);
        out.set("fec_foreign_datagrams", counts.foreign);
        out.set("fec_recovered_datagrams", counts.recovered);
        out.set("fec_needless_datagrams", counts.needless);
        out.set("fec_contradicting_datagrams", counts.contradicting);
        if let Some((columns, rows)) = self.matrix {
            out.set("fec_matrix_columns", u64::from(columns));
            out.set("fec_matrix_rows", u64::from(rows));
        }
        if let Some(wait) = self.wait.known() {
            out.set("fec_wait_ms", wait.as_millis().unsigned_abs());
        }
    }

    /// Learns matrix and wait.
    fn learn(&mut self, header: &FecHeader, arrival: Arrival) {
        match header.line {
            FecLine::Column => self.matrix = Some((header.offset, header.count)),
            FecLine::Row => self.with_rows = true,
        }
        self.wait.fec(header, &self.store, arrival);
        let (Some((columns, rows)), Some((wait, news))) = (self.matrix, self.wait.tell(arrival))
        else {
            return;
        };
        let matrix = (columns, rows, self.with_rows);
        if self.told.replace(matrix) != Some(matrix) || news {
            self.events.push(FecEvent::Found {
                columns,
                rows,
                with_rows: self.with_rows,
                wait,
            });
        }
    }

    /// Numbers are there, or bases of sets: uses what is complete by them, and by what that gives.
    fn settle(&mut self, mut fresh: Vec<u16>, arrival: Arrival) {
        while let Some(number) = fresh.pop() {
            let mut at = 0;
            while let Some(equation) = self.waiting.get(at) {
                let missing = equation
                    .header
                    .covers(number)
                    .then(|| self.missing(&equation.header));
                let ripe = match missing {
                    Some(Missing::Nothing) => true,
                    Some(Missing::One(_)) => self.doubt == 0,
                    Some(Missing::More) | None => false,
                };
                if !ripe {
                    at += 1;
                    continue;
                }
                let Some(equation) = self.waiting.remove(at) else {
                    return;
                };
                match missing {
                    Some(Missing::One(number)) => {
                        fresh.extend(self.recover(equation, number, arrival));
                    }
                    _ => self.verify(equation),
                }
                // What is left may have moved.
                at = 0;
            }
        }
    }

    fn missing(&self, header: &FecHeader) -> Missing {
        let mut missing = header
            .numbers()
            .filter(|number| self.store.get(*number).is_none());
        match (missing.next(), missing.next()) {
            (None, _) => Missing::Nothing,
            (Some(number), None) => Missing::One(number),
            _ => Missing::More,
        }
    }

    /// The sum, with all that are there of its set added.
    fn rest(&self, equation: Equation) -> Sum {
        let mut sum = equation.sum;
        for number in equation.header.numbers() {
            if let Some((head, body)) = self.store.get(number).and_then(|m| m.parts()) {
                sum.add(head, body);
            }
        }
        sum
    }

    /// A set is whole.
    fn verify(&mut self, equation: Equation) {
        match self.rest(equation).is_nothing() {
            true => self.doubt = self.doubt.saturating_sub(1),
            false => self.contradict(),
        }
    }

    /// One of a set is missing.
    fn recover(&mut self, equation: Equation, number: u16, arrival: Arrival) -> Option<u16> {
        let header = equation.header;
        let ssrc = self.store.newest()?.ssrc;
        let datagram = self.rest(equation).into_missing(number, ssrc);
        let found = datagram.and_then(|datagram| {
            let (rtp, _) = RtpHeader::read(&datagram)?;
            let kind = |n| Some(self.store.get(n)?.parts()?.0[1] & 0x7F);
            let kinds = header.numbers().filter_map(kind);
            let fits = RtpHeader::payload_type(&datagram)
                .is_some_and(|ours| kinds.into_iter().all(|other| ours == other))
                && self.store.knows_time(rtp.timestamp, header.numbers());
            fits.then_some((rtp, datagram))
        });
        let Some((rtp, datagram)) = found else {
            self.contradict();
            return None;
        };
        self.store.put(&rtp, &datagram, arrival, true);
        self.recovered.push_back(datagram);
        self.counts.recovered += 1;
        self.new_recovered += 1;
        Some(number)
    }

    fn contradict(&mut self) {
        self.doubt = PROBATION;
        self.counts.contradicting += 1;
        self.new_contradicting += 1;
    }
}

/// What is missing of a set.
#[derive(Copy, Clone, Debug)]
enum Missing {
    Nothing,
    One(u16),
    More,
}
