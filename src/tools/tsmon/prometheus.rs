//! The page that Prometheus scrapes.
//!
//! Labels are bounded: a family has a sample a service for the first [`SERVICES`] services and a
//! sample a PID for the [`PIDS`] PIDs with most packets; what is left out is counted in
//! `tsmon_left_out`.

use crate::cli::metrics::{Kind, Page};
use crate::monitor::{Check, PidReport, Report, ServiceReport};
use crate::ts::PACKET_SIZE;

/// Services with samples of their own at most.
pub const SERVICES: usize = 64;
/// PIDs with samples of their own at most.
pub const PIDS: usize = 256;

/// What an input tells that does not only grow.
const GAUGES: [&str; 1] = ["receive_buffer_bytes"];

/// What the page tells beside the report.
#[derive(Debug)]
pub struct Beside<'a> {
    /// The input, as the command line says.
    pub input: &'a str,
    /// Seconds since 1970 at which the last packet came; `None` before the first.
    pub last_packet: Option<f64>,
    /// The checks with an alarm that is raised.
    pub raised: &'a [Check],
    /// What the input counts, under the names of `--stats-json`.
    pub counters: &'a [(String, u64)],
}

/// The page, in Prometheus' text format.
pub fn page(report: &Report, beside: &Beside<'_>) -> String {
    let mut page = Page::new();
    stream(&mut page, report, beside);
    checks(&mut page, report, beside);
    services(&mut page, report);
    pids(&mut page, report);
    page.finish()
}

fn stream(page: &mut Page, report: &Report, beside: &Beside<'_>) {
    page.family(
        "tsmon_info",
        Kind::Gauge,
        "What is measured, by which version.",
    );
    let version = env!("CARGO_PKG_VERSION");
    page.sample(&[("input", beside.input), ("version", version)], 1.0);
    let mut counter = |name, help, value: u64| {
        page.family(name, Kind::Counter, help);
        page.sample(&[], value as f64);
    };
    counter(
        "tsmon_packets_total",
        "Packets, damaged ones included.",
        report.packets,
    );
    counter("tsmon_bytes_total", "Bytes of these packets.", report.bytes);
    counter(
        "tsmon_null_packets_total",
        "Packets of PID 0x1FFF.",
        report.null_packets,
    );
    counter(
        "tsmon_sync_losses_total",
        "Losses of synchronisation.",
        report.sync_losses,
    );
    counter(
        "tsmon_transport_errors_total",
        "Packets with transport_error_indicator.",
        report.transport_errors,
    );
    for (name, value) in beside.counters {
        let help = "What the input counts, as in --stats-json.";
        if GAUGES.contains(&name.as_str()) {
            page.family(&format!("tsmon_input_{name}"), Kind::Gauge, help);
        } else {
            let stem = name.strip_suffix("_total").unwrap_or(name);
            page.family(&format!("tsmon_input_{stem}_total"), Kind::Counter, help);
        }
        page.sample(&[], *value as f64);
    }
    if let Some(seconds) = beside.last_packet {
        let help = "When the last packet came, in seconds since 1970.";
        page.family("tsmon_last_packet_timestamp_seconds", Kind::Gauge, help);
        page.sample(&[], seconds);
    }
    let help = "Services and PIDs without samples of their own.";
    page.family("tsmon_left_out", Kind::Gauge, help);
    let left_out = |all: usize, most: usize| all.saturating_sub(most) as f64;
    page.sample(
        &[("of", "services")],
        left_out(report.services.len(), SERVICES),
    );
    page.sample(&[("of", "pids")], left_out(report.pids.len(), PIDS));
}

fn checks(page: &mut Page, report: &Report, beside: &Beside<'_>) {
    let mut family = |name, kind, help, value: &dyn Fn(&crate::monitor::CheckReport) -> f64| {
        page.family(name, kind, help);
        for check in &report.checks {
            let priority = check.priority.number().to_string();
            let labels = [("check", check.check.name()), ("priority", &priority)];
            page.sample(&labels, value(check));
        }
    };
    let help = "What a check of TR 101 290 has found.";
    family("tsmon_check_errors_total", Kind::Counter, help, &|c| {
        c.count as f64
    });
    let help = "Seconds in which a check has found something.";
    family(
        "tsmon_check_error_seconds_total",
        Kind::Counter,
        help,
        &|c| c.error_seconds as f64,
    );
    let help = "1 while an alarm of the check is raised.";
    family("tsmon_check_raised", Kind::Gauge, help, &|c| {
        truth(beside.raised.contains(&c.check))
    });
    let help = "0 where the check could not be judged on this input.";
    family("tsmon_check_judged", Kind::Gauge, help, &|c| {
        truth(c.judged)
    });
}

fn services(page: &mut Page, report: &Report) {
    let mut family = |name, kind, help, value: &dyn Fn(&ServiceReport) -> f64| {
        page.family(name, kind, help);
        for service in report.services.iter().take(SERVICES) {
            let id = service.id.0.to_string();
            page.sample(&[("service", &id), ("name", &service.name)], value(service));
        }
    };
    let bytes = |service: &ServiceReport| {
        let of_it = |pid: &&PidReport| service.pids.contains(&pid.pid);
        report
            .pids
            .iter()
            .filter(of_it)
            .map(|p| p.packets * PACKET_SIZE as u64)
            .sum::<u64>() as f64
    };
    let errors = |service: &ServiceReport| {
        let of_it = |pid: &&PidReport| service.pids.contains(&pid.pid);
        let errors = report
            .pids
            .iter()
            .filter(of_it)
            .map(|p| p.continuity_errors);
        errors.sum::<u64>() as f64
    };
    let help = "Bytes of the packets of a service's PIDs.";
    family("tsmon_service_bytes_total", Kind::Counter, help, &bytes);
    let help = "Breaks of continuity counters on a service's PIDs.";
    family(
        "tsmon_service_continuity_errors_total",
        Kind::Counter,
        help,
        &errors,
    );
    let help = "1 where a service is scrambled.";
    family("tsmon_service_scrambled", Kind::Gauge, help, &|s| {
        truth(s.scrambled)
    });
}

fn pids(page: &mut Page, report: &Report) {
    let mut largest: Vec<&PidReport> = report.pids.iter().collect();
    largest.sort_by_key(|pid| std::cmp::Reverse(pid.packets));
    largest.truncate(PIDS);
    largest.sort_by_key(|pid| pid.pid);
    let mut family = |name, help, value: &dyn Fn(&PidReport) -> u64| {
        page.family(name, Kind::Counter, help);
        for pid in &largest {
            let number = format!("0x{:04X}", pid.pid);
            page.sample(&[("pid", &number), ("kind", pid.kind)], value(pid) as f64);
        }
    };
    family("tsmon_pid_packets_total", "Packets of a PID.", &|p| {
        p.packets
    });
    let help = "Breaks of a PID's continuity counter.";
    family("tsmon_pid_continuity_errors_total", help, &|p| {
        p.continuity_errors
    });
    let help = "Scrambled packets of a PID.";
    family("tsmon_pid_scrambled_packets_total", help, &|p| {
        p.scrambled_packets
    });
}

const fn truth(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}
