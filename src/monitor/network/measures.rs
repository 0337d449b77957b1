//! What was measured of the network, as it is reported: the unit stands in each key.

use serde::Serialize;

use super::bursts::{BURST_PACKETS, Bursts};
use super::{Losses, Network};
use crate::monitor::Series;
use crate::monitor::clocks::IntervalMeasures;
use crate::units::Ticks27M;

/// Everything that was measured of arrivals.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkMeasures {
    /// Arrivals that can be told apart; packets of one datagram, or one read, come at once.
    pub arrivals_total: u64,
    /// From one to the next; `None` before there were two.
    pub inter_arrival: Option<IntervalMeasures>,
    /// The same over time, in microseconds.
    pub inter_arrival_us_over_time: Series,
    /// The media delivery index, each second; `None` before a second of PCRs told the media rate.
    pub mdi: Option<IndexMeasures>,
    /// Packets that came all at once; `None` as with the index.
    pub bursts: Option<BurstMeasures>,
    /// What sequence numbers tell; `None` where there is no RTP.
    pub rtp: Option<RtpMeasures>,
    /// Datagrams that the kernel lost for want of room; `None` where that is not counted.
    pub kernel_drops_datagrams: Option<u64>,
}

/// The media delivery index (RFC 4445) of intervals of a second.
#[derive(Clone, Debug, Serialize)]
pub struct IndexMeasures {
    /// `DF:MLR` of the newest interval: ms and media packets a second; losses by RTP where there
    /// is any, else by continuity counters.
    pub newest: String,
    /// The media rate, from the PCRs.
    pub media_rate_bps: u64,
    /// That rate is constant. Where it is not, the index says as much about the encoder as about
    /// the network.
    pub constant_rate: bool,
    /// Intervals measured.
    pub intervals_total: u64,
    /// The smallest delay factor.
    pub df_min_ms: f64,
    /// The mean delay factor.
    pub df_mean_ms: f64,
    /// What 95 % of the delay factors do not exceed.
    pub df_p95_ms: f64,
    /// The largest delay factor.
    pub df_max_ms: f64,
    /// Delay factors over time, in microseconds.
    pub df_us_over_time: Series,
    /// Media packets lost or out of order, by RTP; `None` where there is no RTP.
    pub mlr_by_rtp: Option<LossMeasures>,
    /// Media packets missing at least, by continuity counters: null packets have none.
    pub mlr_by_continuity: LossMeasures,
}

/// Media packets lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LossMeasures {
    /// In the newest second.
    pub newest_packets: u64,
    /// In the worst second.
    pub worst_packets: u64,
    /// In all.
    pub packets_total: u64,
}

impl From<&Losses> for LossMeasures {
    fn from(losses: &Losses) -> Self {
        Self {
            newest_packets: losses.last,
            worst_packets: losses.worst.max(losses.now),
            packets_total: losses.total,
        }
    }
}

/// Packets that came at more than twice the media rate, in one go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BurstMeasures {
    /// The fewest packets of what counts.
    pub least_packets: u64,
    /// How many there were.
    pub bursts_total: u64,
    /// The most packets of one.
    pub longest_packets: u64,
    /// How long that one took; 0 where its packets came at once.
    pub longest_us: i64,
}

impl From<&Bursts> for BurstMeasures {
    fn from(bursts: &Bursts) -> Self {
        let (packets, span) = bursts.longest.unwrap_or_default();
        Self {
            least_packets: BURST_PACKETS,
            bursts_total: bursts.count,
            longest_packets: packets,
            longest_us: span.get() / 27,
        }
    }
}

/// What the sequence numbers of RTP tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RtpMeasures {
    /// Datagrams that did not come, or not in time.
    pub lost_datagrams: u64,
    /// Datagrams that came out of order, and in time.
    pub reordered_datagrams: u64,
    /// Datagrams that came again.
    pub duplicate_datagrams: u64,
    /// Datagrams that came when they had been given up: they are among the lost.
    pub late_datagrams: u64,
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

impl NetworkMeasures {
    pub(super) fn of(network: &Network) -> Self {
        let counts = &network.counts;
        Self {
            arrivals_total: network.arrivals,
            inter_arrival: IntervalMeasures::of(&network.between_us),
            inter_arrival_us_over_time: network.between_over_time.clone(),
            mdi: index(network),
            bursts: network.rate.map(|_| (&network.bursts).into()),
            rtp: counts.rtp_lost.map(|lost| RtpMeasures {
                lost_datagrams: lost,
                reordered_datagrams: counts.rtp_reordered.unwrap_or(0),
                duplicate_datagrams: counts.rtp_duplicates.unwrap_or(0),
                late_datagrams: counts.rtp_late.unwrap_or(0),
            }),
            kernel_drops_datagrams: counts.kernel_drops,
        }
    }
}

fn index(network: &Network) -> Option<IndexMeasures> {
    let (rate, delay) = network.rate.zip(network.delay)?;
    let us = |ticks: Ticks27M| u64::try_from(ticks.get() / 27).unwrap_or(0);
    let by_rtp = network.counts.rtp_lost.map(|_| &network.by_rtp);
    let lost = by_rtp.unwrap_or(&network.by_counter).last;
    let delays = &network.delays_us;
    Some(IndexMeasures {
        newest: format!("{:.3}:{lost}", ms(us(delay))),
        media_rate_bps: rate.rate.get(),
        constant_rate: rate.constant,
        intervals_total: delays.count(),
        df_min_ms: ms(delays.min()?),
        df_mean_ms: ms(delays.mean()?),
        df_p95_ms: ms(delays.quantile(95)?),
        df_max_ms: ms(delays.max()?),
        df_us_over_time: network.delays_over_time.clone(),
        mlr_by_rtp: by_rtp.map(LossMeasures::from),
        mlr_by_continuity: LossMeasures::from(&network.by_counter),
    })
}
