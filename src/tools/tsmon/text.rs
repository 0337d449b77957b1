//! The report as an engineer wants it on one screen.

use std::fmt::Write as _;

use super::{content, tables, timing};
use crate::cli::visible;
use crate::monitor::{CheckReport, PidReport, Report, ServiceReport, UNSYNCED};
use crate::ts::Pid;
use crate::units::{BitRate, Ticks27M};

/// Columns of a line that lists names.
const WIDTH: usize = 100;

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
    tables::lines(&mut page, &report.tables);
    let timing = timing::lines(report);
    if !timing.is_empty() {
        line(&mut page, format_args!("\n{}", timing.join("\n")));
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
        (name, "") => visible(name).into_owned(),
        (name, provider) => format!("{} ({})", visible(name), visible(provider)),
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

/// What was found, check by check; then in a few lines what is in order and what was not judged.
fn check_lines(page: &mut String, checks: &[CheckReport]) {
    let name = |check: &CheckReport| format!("{} {}", check.number, check.check.name());
    for check in checks.iter().filter(|c| c.count > 0) {
        let found = match check.count {
            1 => format!("once, at {}", place(check.first_ms, check.first_packet)),
            n => format!(
                "{n} times in {} s, {} to {}",
                check.error_seconds,
                place(check.first_ms, check.first_packet),
                place(check.last_ms, check.last_packet)
            ),
        };
        line(
            page,
            format_args!("{:<36} {found}", name(check).trim_start()),
        );
    }
    let fine = checks.iter().filter(|c| c.judged && c.count == 0);
    list(page, "ok", fine.map(name));
    let mut told = Vec::new();
    for reason in checks.iter().filter_map(|c| c.reason) {
        if !told.contains(&reason) {
            told.push(reason);
            if reason == UNSYNCED {
                line(
                    page,
                    format_args!("not judged {reason}: all but 1.1 and 1.2"),
                );
                continue;
            }
            let these = checks.iter().filter(|c| c.reason == Some(reason));
            list(page, &format!("not judged, {reason}"), these.map(name));
        }
    }
}

/// Where in the stream: the time, and packets before it.
fn place(ms: Option<i64>, packet: Option<u64>) -> String {
    let time = Ticks27M::from_millis(ms.unwrap_or(0));
    format!("{time} (packet {})", packet.unwrap_or(0))
}

/// A line of its own for `what`, and the names below it in lines of at most [`WIDTH`].
fn list(page: &mut String, what: &str, names: impl Iterator<Item = String>) {
    let mut lines = String::new();
    let mut column = 0;
    for name in names {
        let name = name.trim_start();
        if column == 0 || column + 2 + name.len() > WIDTH {
            lines.push_str(if column == 0 { "  " } else { "\n  " });
            column = 2 + name.len();
        } else {
            lines.push_str(", ");
            column += 2 + name.len();
        }
        lines.push_str(name);
    }
    if column > 0 {
        line(page, format_args!("{what}:\n{lines}"));
    }
}
