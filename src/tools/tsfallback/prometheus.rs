//! The page that Prometheus scrapes.

use super::reception::Reception;
use crate::cli::metrics::{Kind, Page};
use crate::stream::Snapshot;
use crate::stream::event::Value;
use crate::stream::merge::LegCounts;
use crate::switch::{Fault, InputStatus, Switch};
use crate::units::{Arrival, BitRate};

/// The page, in Prometheus' text format.
pub(super) fn page(switch: &Switch, receptions: &[&Reception], now: Arrival) -> String {
    let mut page = Page::new();
    let truth = |yes: bool| if yes { 1.0 } else { 0.0 };
    page.family("tsfallback_info", Kind::Gauge, "Which version runs.");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let mut seen = Snapshot::default();
    switch.counters(&mut seen);
    for (key, value) in seen.iter() {
        let Value::Number(value) = value else {
            continue;
        };
        // Those of an input are told with its number in a label.
        if key.starts_with("input_") {
            continue;
        }
        let stem = key.strip_suffix("_total").unwrap_or(key);
        let help = "What the switch counts, as in --stats-json.";
        match key {
            "held_packets" => page.family("tsfallback_held_packets", Kind::Gauge, help),
            _ => page.family(&format!("tsfallback_{stem}_total"), Kind::Counter, help),
        }
        page.sample(&[], *value as f64);
    }
    let inputs: Vec<_> = receptions
        .iter()
        .enumerate()
        .filter_map(|(n, reception)| {
            let status = switch.status(n, now)?;
            Some(((n + 1).to_string(), reception.endpoint.to_string(), status))
        })
        .collect();
    let mut family = |name, kind, help, value: &dyn Fn(&InputStatus) -> Option<f64>| {
        page.family(name, kind, help);
        for (number, endpoint, status) in &inputs {
            if let Some(value) = value(status) {
                page.sample(&[("input", number), ("endpoint", endpoint)], value);
            }
        }
    };
    let gauge = Kind::Gauge;
    let help = "1 for the input on air.";
    family("tsfallback_on_air", gauge, help, &|s| Some(truth(s.on_air)));
    let help = "1 for an input without faults that count, of which something can be entered.";
    family("tsfallback_input_good", gauge, help, &|s| {
        Some(truth(s.ready && s.faults.is_empty()))
    });
    let help = "0 for an input that an operator has disabled.";
    family("tsfallback_input_enabled", gauge, help, &|s| {
        Some(truth(s.enabled))
    });
    let help = "Bit rate of the last second.";
    family("tsfallback_input_bitrate_bps", gauge, help, &|s| {
        s.rate.map(|rate| BitRate::get(rate) as f64)
    });
    let help = "Packets that came.";
    family(
        "tsfallback_input_packets_total",
        Kind::Counter,
        help,
        &|s| Some(s.packets as f64),
    );
    let help = "Breaks of continuity counters.";
    let name = "tsfallback_input_continuity_errors_total";
    family(name, Kind::Counter, help, &|s| {
        Some(s.continuity_errors as f64)
    });
    let counts =
        |get: fn(&LegCounts) -> u64| move |s: &InputStatus| Some(get(&s.twin.counts) as f64);
    let help = "Packets that a twin had and this input had not.";
    let name = "tsfallback_input_twin_lost_packets_total";
    family(name, Kind::Counter, help, &counts(|c| c.lost));
    let help = "Packets that came later than the skew allows.";
    let name = "tsfallback_input_twin_late_packets_total";
    family(name, Kind::Counter, help, &counts(|c| c.late));
    let help = "Packets that have no place in what the twins carry.";
    let name = "tsfallback_input_twin_different_packets_total";
    family(name, Kind::Counter, help, &counts(|c| c.different));
    let help = "Seconds on air.";
    family(
        "tsfallback_input_on_air_seconds_total",
        Kind::Counter,
        help,
        &|s| Some(s.time_on_air.as_secs_f64()),
    );
    let help = "1 while an input has a fault that counts.";
    page.family("tsfallback_input_fault", gauge, help);
    for (number, endpoint, status) in &inputs {
        for fault in Fault::ALL {
            let labels = [
                ("input", number.as_str()),
                ("endpoint", endpoint.as_str()),
                ("fault", fault.name()),
            ];
            page.sample(&labels, truth(status.faults.has(*fault)));
        }
    }
    page.finish()
}
