//! The report as one page: nothing of it is elsewhere, and it moves without a network.

pub(super) mod markup;
pub(super) mod plot;

use self::markup::Page;
use self::plot::{Errors, Line, Plot, Style};
use super::{content, tables};
use crate::monitor::clocks::PcrMeasures;
use crate::monitor::content::PidContent;
use crate::monitor::{CheckReport, PidReport, Report, Series, ServiceReport};
use crate::ts::Pid;
use crate::units::{BitRate, Ticks27M, WallTime};

/// PIDs that the plot of bit rates tells apart; the others are one area.
const PIDS_SHOWN: usize = 9;
/// Services that the plot of bit rates shows, those with the highest rates.
const SERVICES_SHOWN: usize = 10;
/// Clocks that a plot shows.
const CLOCKS_SHOWN: usize = 10;
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
    plots(&mut page, report);
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
    if check.count == 0 {
        page.raw("<td><span class=\"pill ok\">ok</span></td>");
    } else {
        page.markup(format_args!(
            "<td><span class=\"pill p{priority}\">priority {priority}</span></td>"
        ));
    }
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

fn plots(page: &mut Page, report: &Report) {
    let plots = [
        rates_by_pid(report),
        rates_by_service(report),
        intervals(report),
        accuracy(report),
        lateness(report),
        arrivals(report),
        delays(report),
    ];
    for plot in plots.iter().filter(|p| !p.lines.is_empty()) {
        plot.draw(page);
    }
    if report
        .content
        .total
        .series
        .as_ref()
        .is_none_or(|s| s.is_empty())
    {
        let words = "No bit rate over time: less than one whole second was measured.";
        page.raw("<section>")
            .element("p", words)
            .raw("</section>\n");
    }
}

const MEGABITS: f64 = 1e-6;

/// The PIDs with the highest rates on top of one another, then the others together, stuffing last.
fn rates_by_pid(report: &Report) -> Plot {
    let null = Pid::NULL.get();
    let mut pids: Vec<_> = report
        .content
        .pids
        .iter()
        .filter(|p| p.pid != null)
        .collect();
    pids.sort_by_key(|p| std::cmp::Reverse(p.rate.packets));
    let line = |p: &PidContent| {
        let known = report.pids.iter().find(|k| k.pid == p.pid);
        let what = known.map_or("", |k| k.codec.unwrap_or(k.kind));
        let name = format!("{} {what}", Pid::from_field(p.pid));
        p.rate.series.as_ref().map(|s| Line::new(name, s, MEGABITS))
    };
    let shown = pids.iter().take(PIDS_SHOWN).filter_map(|p| line(p));
    let mut lines: Vec<_> = shown.collect();
    let others: Vec<_> = pids
        .iter()
        .skip(PIDS_SHOWN)
        .filter_map(|p| line(p))
        .collect();
    if !others.is_empty() {
        lines.push(Line::sum(format!("{} others", others.len()), &others));
    }
    if let Some(series) = &report.content.stuffing.series {
        lines.push(Line::new("null packets", series, MEGABITS));
    }
    Plot {
        title: "Bit rate by PID",
        about: "Means over whole seconds, on top of one another; packets of 188 bytes.".to_owned(),
        unit: "Mb/s",
        style: Style::Stacked,
        lines,
        limits: Vec::new(),
        seconds: seconds(report),
    }
}

fn rates_by_service(report: &Report) -> Plot {
    let mut services: Vec<_> = report.content.services.iter().collect();
    services.sort_by_key(|s| std::cmp::Reverse(s.rate.packets));
    let lines = services.iter().take(SERVICES_SHOWN).filter_map(|s| {
        let known = report.services.iter().find(|k| k.id == s.id);
        let name = known.map_or_else(|| format!("Service {}", s.id), name_of);
        let series = s.rate.series.as_ref()?;
        Some(Line::new(name, series, MEGABITS))
    });
    Plot {
        title: "Bit rate by service",
        about: "Lines are means, bands reach from the lowest second to the highest.".to_owned(),
        unit: "Mb/s",
        style: Style::Bands,
        lines: lines.collect(),
        limits: Vec::new(),
        seconds: seconds(report),
    }
}

/// A line for each PID with PCRs, of those that have values.
fn clock_lines(report: &Report, of: fn(&PcrMeasures) -> &Series, scale: f64) -> Vec<Line> {
    let pcrs = report.clocks.pcrs.iter().filter(|p| !of(p).is_empty());
    let line = |p: &PcrMeasures| Line::new(Pid::from_field(p.pid).to_string(), of(p), scale);
    pcrs.take(CLOCKS_SHOWN).map(line).collect()
}

fn intervals(report: &Report) -> Plot {
    Plot {
        title: "PCR interval",
        about: "From one value to the next; bands reach from the shortest to the longest."
            .to_owned(),
        unit: "ms",
        style: Style::Bands,
        lines: clock_lines(report, |p| &p.intervals, 1e-3),
        limits: vec![100.0],
        seconds: seconds(report),
    }
}

fn accuracy(report: &Report) -> Plot {
    let filter = &report.clocks.filter;
    Plot {
        title: "PCR accuracy (PCR_AC)",
        about: format!("Against the place in a stream of constant rate; filter {filter}."),
        unit: "ns",
        style: Style::Bands,
        lines: clock_lines(report, |p| &p.errors, 1.0),
        limits: vec![-500.0, 500.0],
        seconds: seconds(report),
    }
}

fn lateness(report: &Report) -> Plot {
    let filter = &report.clocks.filter;
    Plot {
        title: "PCR jitter on arrival (PCR_OJ)",
        about: format!("How much later than the filtered clock PCRs came; filter {filter}."),
        unit: "\u{B5}s",
        style: Style::Bands,
        lines: clock_lines(report, |p| &p.lateness, 1e-3),
        limits: Vec::new(),
        seconds: seconds(report),
    }
}

fn arrivals(report: &Report) -> Plot {
    let network = report.network.as_ref();
    let series = network.map(|n| &n.inter_arrival_us_over_time);
    Plot {
        title: "Inter-arrival time",
        about: "From one arrival to the next; bands reach from the shortest to the longest."
            .to_owned(),
        unit: "ms",
        style: Style::Bands,
        lines: series
            .map(|s| Line::new("arrivals", s, 1e-3))
            .into_iter()
            .collect(),
        limits: Vec::new(),
        seconds: seconds(report),
    }
}

fn delays(report: &Report) -> Plot {
    let index = report.network.as_ref().and_then(|n| n.mdi.as_ref());
    Plot {
        title: "Delay factor (MDI)",
        about: "What a buffer drained at the media rate has to even out in a second (RFC 4445)."
            .to_owned(),
        unit: "ms",
        style: Style::Bands,
        lines: index
            .map(|i| Line::new("DF", &i.df_us_over_time, 1e-3))
            .into_iter()
            .collect(),
        limits: Vec::new(),
        seconds: seconds(report),
    }
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
