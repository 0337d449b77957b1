//! The report as one page: nothing of it is elsewhere, and it moves without a network.

mod charts;
pub(super) mod markup;
pub(super) mod plot;

use self::markup::Page;
use self::plot::Errors;
use super::{content, tables};
use crate::monitor::content::PidContent;
use crate::monitor::{CheckReport, PidReport, Report, ServiceReport};
use crate::ts::Pid;
use crate::units::{BitRate, Ticks27M, WallTime};

/// Entries of a log that are shown, the newest.
const LOG_SHOWN: usize = 100;

/// The page of a report on `input`, made at `when`.
pub(super) fn page(report: &Report, input: &str, when: WallTime) -> String {
    let mut page = Page::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>")
        .element("title", &format!("tsmon: {input}"))
        .raw("<style>\n")
        .raw(include_str!("html/style.css"))
        .raw("</style></head>\n<body><main>\n");
    head(&mut page, report, input, when);
    page.element("h2", "Checks of ETSI TR 101 290");
    checks(&mut page, report);
    page.element("h2", "Services and PIDs");
    services(&mut page, report);
    tables::table(&mut page, &report.tables, seconds(report));
    page.element("h2", "Over time");
    charts::draw(&mut page, report);
    logs(&mut page, report);
    let version = env!("CARGO_PKG_VERSION");
    page.element("footer", &format!("tsmon {version}, {when}"));
    page.raw("</main>\n<script>\n")
        .raw(include_str!("html/script.js"))
        .raw("</script></body></html>\n");
    page.into_string()
}

fn seconds(report: &Report) -> f64 {
    report.duration_ms as f64 / 1e3
}

/// Name, verdict and the figures of the whole.
fn head(page: &mut Page, report: &Report, input: &str, when: WallTime) {
    page.raw("<header>").element("h1", input);
    let stream = report.transport_stream_id;
    let stream = stream.map(|id| format!("transport stream {id}, "));
    let made = format!("{}measured by tsmon, {when}", stream.unwrap_or_default());
    page.element("p", &made)
        .raw("</header>\n<div class=\"verdict\">");
    let worst = report.checks.iter().filter(|c| c.count > 0);
    match worst.map(|c| c.priority.number()).min() {
        None => page.element("strong class=\"pill ok\"", "no errors"),
        Some(n) => {
            let class = format!("strong class=\"pill p{n}\"");
            page.element(&class, &format!("errors of priority {n}"))
        }
    };
    let judged = report.checks.iter().filter(|c| c.judged).count();
    let failed = report.checks.iter().filter(|c| c.count > 0).count();
    let all = report.checks.len();
    let words = format!(
        "{failed} of {judged} checks found something; {} were not judged",
        all - judged
    );
    page.element("span", &words)
        .raw("</div>\n<div class=\"cards\">");
    let share = match report.packets {
        0 => String::new(),
        all => format!(", {:.1} %", report.null_packets as f64 * 100.0 / all as f64),
    };
    let duration = Ticks27M::from_millis(report.duration_ms).to_string();
    let rate = BitRate::new(report.bitrate_bps).to_string();
    for (value, name) in [
        (duration, "duration"),
        (rate, "mean bit rate"),
        (grouped(report.services.len() as u64), "services"),
        (grouped(report.pids.len() as u64), "PIDs"),
        (grouped(report.packets), "packets"),
        (
            grouped(report.null_packets),
            &format!("null packets{share}"),
        ),
        (grouped(report.transport_errors), "transport errors"),
        (grouped(report.sync_losses), "sync losses"),
    ] {
        page.raw("<div>")
            .element("b", &value)
            .element("span", name)
            .raw("</div>");
    }
    page.raw("</div>\n");
}

/// A count, its thousands apart by narrow spaces.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push('\u{202F}');
        }
        text.push(digit);
    }
    text
}

/// Every check, those that were not judged behind a fold.
fn checks(page: &mut Page, report: &Report) {
    page.raw("<section><div class=\"scroll\"><table><tr><th></th><th>check</th><th>verdict</th>")
        .raw("<th class=\"n\">found</th><th class=\"n\">in seconds</th><th class=\"n\">first</th>")
        .raw("<th class=\"n\">last</th></tr>\n");
    for check in report.checks.iter().filter(|c| c.judged) {
        check_row(page, check);
    }
    page.raw("</table></div>");
    let unjudged: Vec<_> = report.checks.iter().filter(|c| !c.judged).collect();
    if !unjudged.is_empty() {
        let words = format!("{} checks were not judged on this input", unjudged.len());
        page.raw("<details>")
            .element("summary", &words)
            .raw("<table>\n");
        for check in unjudged {
            let reason = check.reason.unwrap_or_default();
            page.row([
                ("n", check.number),
                ("id", check.check.name()),
                ("soft", reason),
            ]);
        }
        page.raw("</table></details>");
    }
    page.raw("</section>\n");
    let rows: Vec<_> = report
        .checks
        .iter()
        .filter_map(|c| {
            Some(Errors {
                name: c.check.name(),
                priority: c.priority.number(),
                times: c.times.as_ref()?,
            })
        })
        .collect();
    if !rows.is_empty() {
        plot::error_lines(page, &rows, seconds(report));
    }
}

fn check_row(page: &mut Page, check: &CheckReport) {
    page.raw("<tr>").element("td class=\"n\"", check.number);
    page.element("td class=\"id\"", check.check.name());
    let priority = check.priority.number();
    page.raw("<td>");
    if check.count > 0 {
        page.markup(format_args!(
            "<span class=\"pill p{priority}\">priority {priority}</span>"
        ));
    } else if !check.in_part {
        page.raw("<span class=\"pill ok\">ok</span>");
    }
    if let Some(reason) = check.reason.filter(|_| check.in_part) {
        page.raw("<span class=\"pill\">in part</span> ")
            .text(reason);
    }
    page.raw("</td>");
    let at = |ms: Option<i64>| ms.map(|ms| Ticks27M::from_millis(ms).to_string());
    let number = |n: u64| match n {
        0 => String::new(),
        n => grouped(n),
    };
    for cell in [
        number(check.count),
        number(check.error_seconds),
        at(check.first_ms).unwrap_or_default(),
        at(check.last_ms).unwrap_or_default(),
    ] {
        page.element("td class=\"n\"", &cell);
    }
    page.raw("</tr>\n");
}

/// A card a service, and one for what belongs to none.
fn services(page: &mut Page, report: &Report) {
    for service in &report.services {
        page.raw("<section><h3>").text(&name_of(service));
        page.raw("<small>")
            .text(&about(service))
            .raw("</small></h3>");
        let pids = service.pids.iter();
        let pids = pids.filter_map(|pid| report.pids.iter().find(|p| p.pid == *pid));
        pid_table(page, report, pids);
        let came = |pid: &u16| report.pids.iter().any(|p| p.pid == *pid);
        let absent: Vec<_> = service.pids.iter().filter(|pid| !came(pid)).collect();
        if !absent.is_empty() {
            let list: Vec<_> = absent
                .iter()
                .map(|p| Pid::from_field(**p).to_string())
                .collect();
            page.element("p", &format!("Listed and absent: {}", list.join(", ")));
        }
        page.raw("</section>\n");
    }
    let others: Vec<_> = report
        .pids
        .iter()
        .filter(|p| p.services.is_empty())
        .collect();
    if !others.is_empty() {
        page.raw("<section>").element("h3", "Of no service");
        pid_table(page, report, others.into_iter());
        page.raw("</section>\n");
    }
}

fn name_of(service: &ServiceReport) -> String {
    match service.name.as_str() {
        "" => format!("Service {}", service.id),
        name => name.to_owned(),
    }
}

fn about(service: &ServiceReport) -> String {
    let rate = BitRate::new(service.bitrate_bps);
    let mut words = format!("service {}, {rate}", service.id);
    if !service.provider.is_empty() {
        words.push_str(&format!(", {}", service.provider));
    }
    words.push_str(if service.scrambled { ", scrambled" } else { "" });
    words
}

fn pid_table<'r>(page: &mut Page, report: &Report, pids: impl Iterator<Item = &'r PidReport>) {
    page.raw("<div class=\"scroll pids\"><table><tr><th>PID</th><th>what</th><th>content</th>")
        .raw("<th class=\"n\">mean</th><th class=\"n\">lowest</th><th class=\"n\">highest</th>")
        .raw("<th>over time</th><th class=\"n\">packets</th><th class=\"n\">CC errors</th></tr>\n");
    for pid in pids {
        let seen = report.content.pids.iter().find(|p| p.pid == pid.pid);
        pid_row(page, pid, seen, seconds(report));
    }
    page.raw("</table></div>");
}

fn pid_row(page: &mut Page, pid: &PidReport, seen: Option<&PidContent>, seconds: f64) {
    let language = pid.language.map(|l| l.to_string());
    let what = [Some(pid.kind), pid.codec, language.as_deref()];
    let what: Vec<_> = what.into_iter().flatten().collect();
    let rate = |bps: Option<u64>| bps.map(|r| BitRate::new(r).to_string()).unwrap_or_default();
    page.raw("<tr>");
    page.element("td class=\"id\"", &Pid::from_field(pid.pid).to_string());
    page.element("td", &what.join(" "));
    page.element(
        "td class=\"soft\"",
        &seen.map(content::describe).unwrap_or_default(),
    );
    page.element("td class=\"n\"", &rate(Some(pid.bitrate_bps)));
    page.element("td class=\"n\"", &rate(seen.and_then(|s| s.rate.min_bps)));
    page.element("td class=\"n\"", &rate(seen.and_then(|s| s.rate.max_bps)));
    page.raw("<td>");
    if let Some(series) = seen.and_then(|s| s.rate.series.as_ref()) {
        plot::sparkline(page, series, seconds);
    }
    page.raw("</td>");
    page.element("td class=\"n\"", &grouped(pid.packets));
    match pid.continuity_errors {
        0 => page.element("td class=\"n\"", ""),
        n => page.element("td class=\"bad\"", &grouped(n)),
    };
    page.raw("</tr>\n");
}

fn logs(page: &mut Page, report: &Report) {
    let content = &report.content;
    let splices = content.splices.entries.iter().map(content::splice);
    log(
        page,
        "Splice information",
        content.splices.entries_total,
        splices,
    );
    let guide = content.guide.entries.iter().map(content::programme);
    log(
        page,
        "Present and following",
        content.guide.entries_total,
        guide,
    );
    let changes = content.scrambling.entries.iter().map(content::scrambling);
    log(
        page,
        "Scrambling",
        content.scrambling.entries_total,
        changes,
    );
}

fn log(page: &mut Page, name: &str, total: u64, lines: impl ExactSizeIterator<Item = String>) {
    if lines.len() == 0 {
        return;
    }
    let shown = lines.len().min(LOG_SHOWN);
    let hidden = total.saturating_sub(shown as u64);
    page.element("h2", name).raw("<section><ul class=\"log\">");
    if hidden > 0 {
        page.element("li", &format!("{hidden} earlier ones are not shown"));
    }
    let earlier = lines.len() - shown;
    for line in lines.skip(earlier) {
        page.element("li", &line);
    }
    page.raw("</ul></section>\n");
}
