//! Plots over time, as inline SVG.

use super::markup::Page;
use crate::monitor::Series;

/// Sizes in the units of the drawing, which is scaled to the page.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// Colours that lines have, by turns.
const COLOURS: usize = 10;

/// One stretch of time of a line: from, to, lowest, mean, highest.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) min: f64,
    pub(super) mean: f64,
    pub(super) max: f64,
}

/// What is drawn over time.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

impl Line {
    /// The line of `series`, whose values are `scale` of the plot's unit.
    pub(super) fn new(name: impl Into<String>, series: &Series, scale: f64) -> Self {
        let length = series.stretch().as_secs_f64();
        let steps = series.points().map(|(at, point)| Step {
            from_s: at.as_secs_f64(),
            to_s: at.as_secs_f64() + length,
            min: point.min as f64 * scale,
            mean: point.mean().unwrap_or_default() as f64 * scale,
            max: point.max as f64 * scale,
        });
        Self {
            name: name.into(),
            steps: steps.collect(),
        }
    }

    /// The sum of lines, stretch by stretch.
    pub(super) fn sum(name: impl Into<String>, lines: &[Self]) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        for step in lines.iter().flat_map(|l| &l.steps) {
            match steps.binary_search_by(|s| s.from_s.total_cmp(&step.from_s)) {
                Ok(at) => {
                    if let Some(known) = steps.get_mut(at) {
                        known.min += step.min;
                        known.mean += step.mean;
                        known.max += step.max;
                    }
                }
                Err(at) => steps.insert(at, *step),
            }
        }
        Self {
            name: name.into(),
            steps,
        }
    }
}

/// How lines are drawn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Means on top of one another.
    Stacked,
    /// Means, each with the band from lowest to highest.
    Bands,
}

/// A plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    /// What its values mean, for a person.
    pub(super) about: String,
    pub(super) unit: &'static str,
    pub(super) style: Style,
    pub(super) lines: Vec<Line>,
    /// Values that a check limits: drawn across.
    pub(super) limits: Vec<f64>,
    /// The axis of time reaches so far.
    pub(super) seconds: f64,
}

impl Plot {
    /// Draws it, with its legend; nothing where there is nothing to draw.
    pub(super) fn draw(&self, page: &mut Page) {
        if self.lines.iter().all(|l| l.steps.is_empty()) {
            return;
        }
        let (low, high) = self.range();
        let scale = Scale {
            seconds: self.seconds.max(1e-3),
            low,
            high,
        };
        page.raw("<figure class=\"plot\">")
            .element("figcaption", self.title);
        page.element("p", &self.about);
        page.markup(format_args!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" data-seconds=\"{}\" data-left=\"{LEFT}\" \
             data-right=\"{RIGHT}\">",
            scale.seconds
        ));
        page.element("title", self.title);
        scale.grid(page, self.unit);
        match self.style {
            Style::Stacked => self.stacked(page, &scale),
            Style::Bands => self.bands(page, &scale),
        }
        for limit in self.limits.iter().filter(|l| (low..=high).contains(*l)) {
            let y = scale.y(*limit);
            page.markup(format_args!(
                "<path class=\"limit\" d=\"M{LEFT} {y:.1}H{:.1}\"/>",
                WIDTH - RIGHT
            ));
        }
        page.markup(format_args!(
            "<path class=\"cursor\" d=\"M0 {TOP}V{:.1}\"/></svg>",
            HEIGHT - BOTTOM
        ));
        self.legend(page);
        self.values(page);
        page.raw("</figure>\n");
    }

    /// What the axis of values has to hold, zero and the limits near it included.
    fn range(&self) -> (f64, f64) {
        let steps = || self.lines.iter().flat_map(|l| &l.steps);
        let highest = match self.style {
            Style::Stacked => Line::sum("", &self.lines)
                .steps
                .iter()
                .fold(0.0, |top: f64, s| top.max(s.mean)),
            Style::Bands => steps().fold(0.0, |top: f64, s| top.max(s.max)),
        };
        let lowest = steps().fold(0.0, |bottom: f64, s| bottom.min(s.min));
        let near = self.limits.iter().copied();
        let near = near.filter(|l| *l <= highest * 2.0 && *l >= lowest * 2.0);
        let (lowest, highest) = near.fold((lowest, highest), |(a, b), l| (a.min(l), b.max(l)));
        if highest <= lowest {
            return (lowest - 1.0, highest + 1.0);
        }
        let span = highest - lowest;
        let margin = |edge: f64| if edge == 0.0 { 0.0 } else { span * 0.06 };
        (lowest - margin(lowest), highest + margin(highest))
    }

    fn stacked(&self, page: &mut Page, scale: &Scale) {
        // Drawn from the top down, each area reaching to the bottom: one hides what is below it.
        let mut sums = Vec::new();
        for n in 0..self.lines.len() {
            let below = self.lines.get(..=n).unwrap_or_default();
            sums.push(Line::sum("", below));
        }
        for (n, line) in sums.iter().enumerate().rev() {
            let mut path = String::new();
            scale.area(&mut path, &line.steps, |s| s.mean, |_| scale.low.max(0.0));
            page.markup(format_args!(
                "<path class=\"area c{}\" d=\"{path}\"/>",
                n % COLOURS
            ));
        }
    }

    fn bands(&self, page: &mut Page, scale: &Scale) {
        for (n, line) in self.lines.iter().enumerate() {
            let colour = n % COLOURS;
            let (mut band, mut mean) = (String::new(), String::new());
            scale.area(&mut band, &line.steps, |s| s.max, |s| s.min);
            scale.line(&mut mean, &line.steps);
            page.markup(format_args!(
                "<path class=\"band c{colour}\" d=\"{band}\"/>"
            ));
            page.markup(format_args!(
                "<path class=\"mean c{colour}\" d=\"{mean}\"/>"
            ));
        }
    }

    fn legend(&self, page: &mut Page) {
        page.raw("<ul class=\"legend\">");
        for (n, line) in self.lines.iter().enumerate() {
            page.markup(format_args!("<li><i class=\"c{}\"></i>", n % COLOURS));
            page.text(&line.name).raw("</li>");
        }
        page.raw("</ul>");
    }

    /// The numbers, for the tooltip: times, and of each line its means (and its extremes).
    fn values(&self, page: &mut Page) {
        let all = Line::sum("", &self.lines);
        let times: Vec<f64> = all.steps.iter().map(|s| s.from_s).collect();
        let rounded = |v: f64| (v * 1e3).round() / 1e3;
        let lines = self.lines.iter().map(|line| {
            let mut steps = line.steps.iter().peekable();
            let values: Vec<_> = times
                .iter()
                .map(|at| {
                    let step = steps.next_if(|s| s.from_s == *at)?;
                    Some([step.min, step.mean, step.max].map(rounded))
                })
                .collect();
            serde_json::json!({"name": line.name, "values": values})
        });
        let json = serde_json::json!({
            "unit": self.unit,
            "bands": self.style == Style::Bands,
            "times": times,
            "lines": lines.collect::<Vec<_>>(),
        });
        page.element("template", &json.to_string());
    }
}

/// From time and value to the drawing.
struct Scale {
    seconds: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, seconds: f64) -> f64 {
        let part = (seconds / self.seconds).clamp(0.0, 1.0);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP)
    }

    fn grid(&self, page: &mut Page, unit: &str) {
        let step = nice((self.high - self.low) / 4.0);
        let digits = if step >= 1.0 {
            0
        } else {
            (-step.log10()).ceil() as usize
        };
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        for n in first..=last.min(first + 20) {
            let value = n as f64 * step;
            let y = self.y(value);
            page.markup(format_args!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{value:.digits$}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0
            ));
        }
        page.markup(format_args!(
            "<text class=\"unit\" x=\"4\" y=\"{:.1}\">{unit}</text>",
            TOP + 4.0
        ));
        self.times(page, TOP, HEIGHT - BOTTOM);
    }

    /// The axis of time.
    fn times(&self, page: &mut Page, top: f64, bottom: f64) {
        let step = time_step(self.seconds / 8.0);
        let last = (self.seconds / step).floor() as i64;
        for n in 0..=last.min(40) {
            let at = n as f64 * step;
            let x = self.x(at);
            page.markup(format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">",
                bottom + 16.0
            ));
            page.text(&time_label(at, step)).raw("</text>");
        }
    }

    /// The area between two values of each step; steps that follow one another are one area.
    fn area(
        &self,
        path: &mut String,
        steps: &[Step],
        upper: impl Fn(&Step) -> f64,
        lower: impl Fn(&Step) -> f64,
    ) {
        use std::fmt::Write as _;
        for run in steps.chunk_by(touches) {
            let Some(first) = run.first() else { continue };
            let _ = write!(
                path,
                "M{:.1} {:.1}",
                self.x(first.from_s),
                self.y(lower(first))
            );
            for step in run {
                let _ = write!(path, "V{:.1}H{:.1}", self.y(upper(step)), self.x(step.to_s));
            }
            for step in run.iter().rev() {
                let _ = write!(
                    path,
                    "V{:.1}H{:.1}",
                    self.y(lower(step)),
                    self.x(step.from_s)
                );
            }
            path.push('Z');
        }
    }

    /// The means, a line for steps that follow one another.
    fn line(&self, path: &mut String, steps: &[Step]) {
        use std::fmt::Write as _;
        for run in steps.chunk_by(touches) {
            let Some(first) = run.first() else { continue };
            let _ = write!(
                path,
                "M{:.1} {:.1}",
                self.x(first.from_s),
                self.y(first.mean)
            );
            for step in run {
                let _ = write!(path, "V{:.1}H{:.1}", self.y(step.mean), self.x(step.to_s));
            }
        }
    }
}

fn touches(a: &Step, b: &Step) -> bool {
    b.from_s - a.to_s < (a.to_s - a.from_s) * 0.5
}

/// The next of 1, 2, 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1e-9).log10().floor());
    let part = value / power;
    let nice = [1.0, 2.0, 5.0].into_iter().find(|n| part <= *n + 1e-9);
    nice.unwrap_or(10.0) * power
}

/// The next step that a clock is read by.
fn time_step(seconds: f64) -> f64 {
    const STEPS: [f64; 12] = [
        5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0,
    ];
    if seconds <= 2.0 {
        return nice(seconds);
    }
    let step = STEPS.into_iter().find(|s| seconds <= *s);
    step.unwrap_or_else(|| (seconds / 86_400.0).ceil() * 86_400.0)
}

/// `0.5 s`, `40 s`, `2:30`, `1:05:00`.
fn time_label(seconds: f64, step: f64) -> String {
    if step < 1.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

/// A row of the time line of errors.
pub(super) struct Errors<'e> {
    pub(super) name: &'static str,
    pub(super) priority: u8,
    pub(super) times: &'e Series,
}

/// When each check found something.
pub(super) fn error_lines(page: &mut Page, rows: &[Errors<'_>], seconds: f64) {
    const ROW: f64 = 22.0;
    const NAMES: f64 = 250.0;
    let height = TOP + ROW * rows.len() as f64 + BOTTOM;
    let seconds = seconds.max(1e-3);
    let x = |at: f64| NAMES + (at / seconds).clamp(0.0, 1.0) * (WIDTH - NAMES - RIGHT);
    page.raw("<figure class=\"errors\">")
        .element("figcaption", "Errors over time");
    page.markup(format_args!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.1}\" role=\"img\">"
    ));
    page.element("title", "Errors over time");
    let step = time_step(seconds / 6.0);
    for n in 0..=((seconds / step).floor() as i64).min(40) {
        let (at, bottom) = (x(n as f64 * step), height - BOTTOM);
        page.markup(format_args!(
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom:.1}\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">",
            bottom + 16.0
        ));
        page.text(&time_label(n as f64 * step, step)).raw("</text>");
    }
    for (n, row) in rows.iter().enumerate() {
        let y = TOP + ROW * n as f64;
        page.markup(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            NAMES - 10.0,
            y + 15.0,
            row.name
        ));
        let length = row.times.stretch().as_secs_f64();
        for (at, point) in row.times.points() {
            let (from, to) = (x(at.as_secs_f64()), x(at.as_secs_f64() + length));
            // One error is seen, a hundred a second are seen to be more.
            let weight = 0.45 + 0.55 * (f64::from(point.count).log10() / 2.0).min(1.0);
            page.markup(format_args!(
                "<rect class=\"p{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
                 opacity=\"{weight:.2}\"><title>",
                row.priority,
                y + 3.0,
                (to - from).max(2.0),
                ROW - 6.0
            ));
            let label = time_label(at.as_secs_f64(), 1.0);
            page.text(&format!("{}: {} from {label} on", row.name, point.count));
            page.raw("</title></rect>");
        }
    }
    page.raw("</svg></figure>\n");
}

/// A rate as a small line beside its numbers.
pub(in super::super) fn sparkline(page: &mut Page, series: &Series, seconds: f64) {
    const W: f64 = 120.0;
    const H: f64 = 20.0;
    let line = Line::new("", series, 1.0);
    let top = line.steps.iter().fold(0.0, |top: f64, s| top.max(s.max));
    if top <= 0.0 {
        return;
    }
    let x = |at: f64| (at / seconds.max(1e-3)).clamp(0.0, 1.0) * W;
    let mut path = format!("M0 {H}");
    for step in &line.steps {
        use std::fmt::Write as _;
        let y = H - step.mean / top * (H - 1.0);
        let _ = write!(path, "L{:.1} {y:.1}H{:.1}", x(step.from_s), x(step.to_s));
    }
    path.push_str(&format!("V{H}Z"));
    page.markup(format_args!(
        "<svg class=\"spark\" viewBox=\"0 0 {W} {H}\"><path d=\"{path}\"/></svg>"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_axes_are_those_people_read() {
        let steps: Vec<_> = [0.03, 0.9, 1.0, 1.1, 3.0, 7.0, 740.0].map(nice).to_vec();
        assert_eq!(steps, [0.05, 1.0, 1.0, 2.0, 5.0, 10.0, 1000.0]);
        let steps: Vec<_> = [0.2, 1.3, 4.0, 11.0, 450.0, 10_800.0, 100_000.0]
            .map(time_step)
            .to_vec();
        assert_eq!(steps, [0.2, 2.0, 5.0, 15.0, 600.0, 14_400.0, 172_800.0]);
        let labels = [(0.5, 0.5), (40.0, 5.0), (150.0, 30.0), (3900.0, 300.0)];
        let labels = labels.map(|(at, step)| time_label(at, step));
        assert_eq!(labels, ["0.5 s", "40 s", "2:30", "1:05:00"]);
    }

    #[test]
    fn lines_that_begin_apart_are_added_where_they_meet() {
        let step = |from_s: f64, mean| Step {
            from_s,
            to_s: from_s + 1.0,
            min: mean,
            mean,
            max: mean,
        };
        let line = |steps: &[Step]| Line {
            name: String::new(),
            steps: steps.to_vec(),
        };
        let sum = Line::sum(
            "",
            &[
                line(&[step(1.0, 5.0), step(2.0, 5.0)]),
                line(&[step(0.0, 1.0), step(2.0, 2.0)]),
            ],
        );
        assert_eq!(sum.steps, [step(0.0, 1.0), step(1.0, 5.0), step(2.0, 7.0)]);
    }
}
