//! Clocks, time stamps and arrivals, in words: used by the reports for people.

use crate::monitor::Report;
use crate::monitor::clocks::{ClockMeasures, IntervalMeasures, PcrMeasures};
use crate::monitor::network::NetworkMeasures;
use crate::ts::Pid;
use crate::units::BitRate;

/// A line or two for each clock, and some for the network.
pub(super) fn lines(report: &Report) -> Vec<String> {
    let clocks = report.clocks.pcrs.iter().filter(|pcr| pcr.pcrs_total > 0);
    let mut lines: Vec<_> = clocks
        .flat_map(|pcr| {
            let arrivals = arrivals(pcr, &report.clocks);
            [Some(clock(pcr, &report.clocks)), arrivals]
        })
        .flatten()
        .collect();
    if let Some(network) = &report.network {
        lines.extend(of_network(network));
    }
    lines
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// `every 38.1 ms (30.0 to 46.3)`
fn every(interval: &IntervalMeasures) -> String {
    let (mean, min, max) = (interval.mean_us, interval.min_us, interval.max_us);
    format!(
        "every {:.3} ms ({:.3} to {:.3})",
        ms(mean),
        ms(min),
        ms(max)
    )
}

/// The clock of a PID: how often, how exact, how far ahead stamps are.
fn clock(pcr: &PcrMeasures, clocks: &ClockMeasures) -> String {
    let mut parts: Vec<_> = pcr.interval.iter().map(every).collect();
    if let Some(rate) = pcr.transport_rate_bps.map(BitRate::new) {
        let constant = pcr.constant_rate == Some(true);
        parts.push(format!("{rate}{}", if constant { " constant" } else { "" }));
    }
    if let (Some(min), Some(max)) = (pcr.accuracy.min_ns, pcr.accuracy.max_ns) {
        let (min, max) = (min.round() as i64, max.round() as i64);
        parts.push(format!("accuracy {min:+} to {max:+} ns, {}", clocks.filter));
    }
    let of_service = clocks
        .stamps
        .iter()
        .filter(|s| Some(s.service) == pcr.service);
    let leads = of_service.filter_map(|s| s.pts_pcr.as_ref());
    let lead = leads
        .map(|l| (l.min_ms, l.max_ms))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    if let Some((min, max)) = lead {
        parts.push(format!("PTS-PCR {min:.0} to {max:.0} ms"));
    }
    format!("PCR {}  {}", Pid::from_field(pcr.pid), parts.join(", "))
}

/// The clock against its arrivals.
fn arrivals(pcr: &PcrMeasures, clocks: &ClockMeasures) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(jitter) = &pcr.overall_jitter {
        let (early, late) = (jitter.early_ns / 1e6, jitter.late_ns / 1e6);
        parts.push(format!("jitter {early:+.3} to {late:+.3} ms"));
    }
    if let Some(found) = &pcr.frequency {
        let (offset, error) = (found.offset_ppm, found.uncertainty_ppm);
        let judged = match found.within_limit {
            Some(true) => "",
            Some(false) => " (beyond 30 ppm)",
            None => " (not judged)",
        };
        parts.push(format!(
            "27 MHz {offset:+.1} ppm, give or take {error:.1}{judged}"
        ));
    }
    let resolution = clocks.arrival_resolution_ns.unwrap_or(0) as f64 / 1e6;
    let words = parts.join(", ");
    (!parts.is_empty()).then(|| format!("  by arrivals {resolution:.3} ms apart: {words}"))
}

fn of_network(network: &NetworkMeasures) -> Vec<String> {
    let mut parts: Vec<_> = network.inter_arrival.iter().map(every).collect();
    if let Some(bursts) = network.bursts.as_ref().filter(|b| b.bursts_total > 0) {
        let (count, packets) = (bursts.bursts_total, bursts.longest_packets);
        parts.push(format!("{count} bursts of up to {packets} packets"));
    }
    if let Some(rtp) = &network.rtp {
        let (lost, reordered) = (rtp.lost_datagrams, rtp.reordered_datagrams);
        parts.push(format!("RTP {lost} lost, {reordered} out of order"));
    }
    if let Some(drops) = network.kernel_drops_datagrams.filter(|drops| *drops > 0) {
        parts.push(format!("{drops} dropped by the kernel"));
    }
    let mut lines = vec![format!("arrivals  {}", parts.join(", "))];
    if let Some(mdi) = &network.mdi {
        let (min, mean, max) = (mdi.df_min_ms, mdi.df_mean_ms, mdi.df_max_ms);
        let rate = BitRate::new(mdi.media_rate_bps);
        let constant = if mdi.constant_rate {
            ""
        } else {
            ", not constant"
        };
        lines.push(format!(
            "MDI {}  DF {mean:.3} ms ({min:.3} to {max:.3}) at {rate}{constant}",
            mdi.newest
        ));
    }
    lines
}
