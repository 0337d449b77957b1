//! What a network does to a stream: when packets arrive, how they bunch, what is lost.
//!
//! Measurements, not checks: there are no limits in TR 101 290 for a network. Of a file there is
//! nothing to measure.

mod bursts;
mod counts;
mod index;
mod measures;

use self::bursts::Bursts;
use self::index::{INTERVAL, VirtualBuffer};
use super::clocks::Rate;
use super::{Moment, Series};
use crate::stream::Distribution;
use crate::ts::PACKET_SIZE;
use crate::units::{Arrival, Ticks27M};

pub use counts::ReceptionCounts;
pub use measures::{BurstMeasures, IndexMeasures, LossMeasures, NetworkMeasures, RtpMeasures};

/// Silent intervals that are measured one by one; of a longer pause, only its last is.
const MOST_SILENT: i64 = 60;

/// Media packets lost: in the interval that goes on, in the newest, in the worst, and in all.
#[derive(Copy, Clone, Debug, Default)]
struct Losses {
    now: u64,
    last: u64,
    worst: u64,
    total: u64,
}

impl Losses {
    fn add(&mut self, packets: u64) {
        self.now += packets;
        self.total += packets;
    }

    fn close(&mut self) {
        self.last = std::mem::take(&mut self.now);
        self.worst = self.worst.max(self.last);
    }
}

/// Watches arrivals, and keeps what the reception counts.
///
/// Memory: two distributions and two series, about 90 kB, however long it goes on.
#[derive(Debug)]
pub struct Network {
    first: Option<Arrival>,
    last: Arrival,
    arrivals: u64,
    between_us: Distribution,
    between_over_time: Series,
    rate: Option<Rate>,
    /// When the interval that goes on began.
    interval: Arrival,
    buffer: Option<VirtualBuffer>,
    /// The delay factor of the newest whole interval.
    delay: Option<Ticks27M>,
    delays_us: Distribution,
    delays_over_time: Series,
    bursts: Bursts,
    counts: ReceptionCounts,
    by_rtp: Losses,
    by_counter: Losses,
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Network {
    /// Before the first arrival.
    pub fn new() -> Self {
        Self {
            first: None,
            last: Arrival::default(),
            arrivals: 0,
            between_us: Distribution::new(),
            between_over_time: Series::new(Ticks27M::SECOND),
            rate: None,
            interval: Arrival::default(),
            buffer: None,
            delay: None,
            delays_us: Distribution::new(),
            delays_over_time: Series::new(Ticks27M::SECOND),
            bursts: Bursts::default(),
            counts: ReceptionCounts::default(),
            by_rtp: Losses::default(),
            by_counter: Losses::default(),
        }
    }

    /// So many packets came at once, in one datagram or one read, at `arrival`, which is not
    /// before that of the packets before.
    pub fn arrived(&mut self, packets: usize, arrival: Arrival) {
        let packets = packets as u64;
        let Some(first) = self.first else {
            self.first = Some(arrival);
            (self.last, self.interval) = (arrival, arrival);
            self.arrivals = 1;
            return;
        };
        self.close_until(arrival);
        if arrival > self.last {
            let us = u64::try_from((arrival - self.last).get() / 27).unwrap_or(0);
            self.arrivals += 1;
            self.between_us.add(us);
            self.between_over_time
                .push(arrival - first, i64::try_from(us).unwrap_or(i64::MAX));
            self.last = arrival;
        }
        if let Some(buffer) = &mut self.buffer {
            buffer.arrived(packets * PACKET_SIZE as u64, arrival);
        }
        if let Some(rate) = self.rate {
            self.bursts.arrived(packets, arrival, rate.rate);
        }
    }

    /// Closes the intervals that are over at `arrival`.
    fn close_until(&mut self, arrival: Arrival) {
        while arrival - self.interval >= INTERVAL {
            let end = self.interval + INTERVAL;
            self.by_rtp.close();
            self.by_counter.close();
            if let Some(mut buffer) = self.buffer.take() {
                buffer.drained_until(end);
                let delay = buffer.delay_factor();
                self.delay = Some(delay);
                let us = delay.get() / 27;
                self.delays_us.add(u64::try_from(us).unwrap_or(0));
                let since = self.first.map_or(Ticks27M::ZERO, |first| end - first);
                self.delays_over_time.push(since, us);
            }
            let silent = (arrival - end).get() / INTERVAL.get();
            self.interval = if silent > MOST_SILENT {
                arrival - INTERVAL
            } else {
                end
            };
            let rate = self
                .rate
                .map(|rate| rate.rate)
                .filter(|rate| rate.get() > 0);
            self.buffer = rate.map(|rate| VirtualBuffer::new(self.interval, rate));
        }
    }

    /// A continuity counter tells that so many packets are missing at least, or that one is out
    /// of order.
    pub fn lost(&mut self, packets: u64) {
        self.by_counter.add(packets.max(1));
    }

    /// What the reception has counted by now.
    pub fn counted(&mut self, counts: ReceptionCounts) {
        if let (Some(then), Some(now)) = (
            self.counts.media_packets().or(Some(0)),
            counts.media_packets(),
        ) {
            self.by_rtp.add(now.saturating_sub(then));
        }
        self.counts = counts;
    }

    /// Time went on to `at`; `rate` is the media rate as PCRs tell it, which the next interval is
    /// measured by.
    pub fn tick(&mut self, at: Moment, rate: Option<Rate>) {
        self.rate = rate.or(self.rate);
        if let Some(first) = self.first {
            self.close_until(first + at.time);
        }
    }

    /// How far apart arrivals lie on average: what happens faster cannot be told. `None` before
    /// there were two.
    pub fn resolution(&self) -> Option<Ticks27M> {
        let gaps = i64::try_from(self.arrivals).ok()?.checked_sub(1)?;
        let span = self.last - self.first?;
        span.get().checked_div(gaps).map(Ticks27M::new)
    }

    /// What was measured.
    pub fn measures(&self) -> NetworkMeasures {
        NetworkMeasures::of(self)
    }
}

#[cfg(test)]
mod tests;
