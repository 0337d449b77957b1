//! The report as an engineer wants it on one screen.

use std::fmt::Write as _;

use super::content;
use crate::monitor::{CheckReport, PidReport, Report, ServiceReport};
use crate::ts::Pid;
use crate::units::{BitRate, Ticks27M};

/// The report as lines of text.
pub(super) fn page(report: &Report) -> String {
    let mut page = String::new();
    let duration = Ticks27M::from_millis(report.duration_ms);
    let rate = BitRate::new(report.bitrate_bps);
    line(
        &mut page,
        format_args!(
            "{} packets, {duration}, {rate}, {} null, {} with transport errors, {} sync losses",
            report.packets, report.null_packets, report.transport_errors, report.sync_losses
        ),
    );
    if let Some(id) = report.transport_stream_id {
        line(&mut page, format_args!("transport stream {id}"));
    }
    for service in &report.services {
        page.push('\n');
        service_lines(&mut page, service, report);
    }
    let others: Vec<_> = report
        .pids
        .iter()
        .filter(|p| p.services.is_empty())
        .collect();
    if !others.is_empty() {
        line(&mut page, format_args!("\nof no service"));
        others
            .iter()
            .for_each(|pid| pid_line(&mut page, pid, report));
    }
    content::logs(&mut page, &report.content);
    page.push('\n');
    check_lines(&mut page, &report.checks);
    page
}

fn line(page: &mut String, words: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{words}");
}

fn service_lines(page: &mut String, service: &ServiceReport, report: &Report) {
    let name = match (service.name.as_str(), service.provider.as_str()) {
        ("", _) => "without a name".to_owned(),
        (name, "") => name.to_owned(),
        (name, provider) => format!("{name} ({provider})"),
    };
    let scrambled = if service.scrambled { ", scrambled" } else { "" };
    let rate = BitRate::new(service.bitrate_bps);
    line(
        page,
        format_args!("service {}: {name}, {rate}{scrambled}", service.id),
    );
    for pid in &service.pids {
        match report.pids.iter().find(|p| p.pid == *pid) {
            Some(pid) => pid_line(page, pid, report),
            None => line(page, format_args!("  {}  absent", Pid::from_field(*pid))),
        }
    }
}

fn pid_line(page: &mut String, pid: &PidReport, report: &Report) {
    let what = [Some(pid.kind), pid.codec].into_iter().flatten();
    let mut what = what.collect::<Vec<_>>().join(" ");
    if let Some(language) = pid.language {
        let _ = write!(what, " {language}");
    }
    let mut more = String::new();
    for (count, name) in [
        (pid.continuity_errors, "continuity errors"),
        (pid.duplicates, "duplicates"),
        (pid.scrambled_packets, "scrambled"),
    ] {
        if count > 0 {
            let _ = write!(more, ", {count} {name}");
        }
    }
    let seen = report.content.pids.iter().find(|p| p.pid == pid.pid);
    let described = seen.map(content::describe).unwrap_or_default();
    if !described.is_empty() {
        let _ = write!(more, ", {described}");
    }
    let (id, rate) = (
        Pid::from_field(pid.pid),
        BitRate::new(pid.bitrate_bps).to_string(),
    );
    line(
        page,
        format_args!(
            "  {id}  {what:<24} {rate:>14} {:>10} packets{more}",
            pid.packets
        ),
    );
}

fn check_lines(page: &mut String, checks: &[CheckReport]) {
    for check in checks.iter().filter(|c| c.judged) {
        let at = |ms: Option<i64>| Ticks27M::from_millis(ms.unwrap_or(0)).to_string();
        let found = match check.count {
            0 => "ok".to_owned(),
            1 => format!(
                "once, at {} (packet {})",
                at(check.first_ms),
                check.first_packet.unwrap_or(0)
            ),
            n => format!(
                "{n} times in {} s, from {} (packet {}) to {} (packet {})",
                check.error_seconds,
                at(check.first_ms),
                check.first_packet.unwrap_or(0),
                at(check.last_ms),
                check.last_packet.unwrap_or(0)
            ),
        };
        line(
            page,
            format_args!("{:<5} {:<34} {found}", check.number, check.check.name()),
        );
    }
    let mut unjudged = checks.iter().filter(|c| !c.judged).peekable();
    if unjudged.peek().is_some() {
        line(page, format_args!("\nnot judged"));
    }
    for check in unjudged {
        let reason = check.reason.unwrap_or_default();
        line(
            page,
            format_args!("{:<5} {:<34} {reason}", check.number, check.check.name()),
        );
    }
}
