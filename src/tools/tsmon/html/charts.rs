//! Which plots a report has, and what stands in them.

use super::markup::Page;
use super::plot::{Line, Plot, Style};
use super::{name_of, seconds};
use crate::monitor::clocks::PcrMeasures;
use crate::monitor::content::PidContent;
use crate::monitor::{Report, Series};
use crate::ts::Pid;

/// PIDs that the plot of bit rates tells apart; the others are one area.
const PIDS_SHOWN: usize = 9;
/// Services that the plot of bit rates shows, those with the highest rates.
const SERVICES_SHOWN: usize = 10;
/// Clocks that a plot shows.
const CLOCKS_SHOWN: usize = 10;

/// Draws every plot that has values.
pub(super) fn draw(page: &mut Page, report: &Report) {
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
