//! `--live`: the report as a screen that refreshes.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Paragraph};
use ratatui::{DefaultTerminal, Frame};

use super::content;
use crate::cli::{Error, visible};
use crate::io::clock::{Clock, SystemClock};
use crate::monitor::{Alarm, Alarms, Check, CheckReport, Monitor, PidReport, Report};
use crate::ts::{PACKET_SIZE, Pid};
use crate::units::{BitRate, Ticks27M};

/// How often the screen is drawn.
const EVERY: Duration = Duration::from_millis(500);
/// The span of the rates that are shown.
const SPAN: Ticks27M = Ticks27M::SECOND;
/// Alarms that are kept for the list.
const KEPT: usize = 200;
/// Keys that wait to be looked at.
const KEYS: usize = 64;
/// Columns of the list of checks.
const CHECKS: u16 = 46;

/// The terminal while tsmon has it; it is given back when this is dropped.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    keys: Receiver<Input>,
    input: String,
    drawn: Option<Instant>,
    rates: Rates,
    /// What was told, newest first.
    told: VecDeque<String>,
    /// Lines of the list of PIDs that are above the screen.
    above: usize,
    /// `q` was pressed.
    left: bool,
}

/// Packets by PID over the last [`SPAN`].
#[derive(Default)]
struct Rates {
    since: Ticks27M,
    before: HashMap<u16, u64>,
    of_pids: HashMap<u16, u64>,
    all: u64,
}

impl Rates {
    fn turn(&mut self, report: &Report, now: Ticks27M) {
        let span = now - self.since;
        if span < SPAN {
            return;
        }
        let rate =
            |packets: u64| BitRate::of(packets * PACKET_SIZE as u64, span).map_or(0, BitRate::get);
        self.of_pids.clear();
        self.all = 0;
        for pid in &report.pids {
            let before = self.before.insert(pid.pid, pid.packets).unwrap_or(0);
            let now = rate(pid.packets.saturating_sub(before));
            self.of_pids.insert(pid.pid, now);
            self.all += now;
        }
        self.since = now;
    }

    fn of(&self, pid: u16) -> u64 {
        self.of_pids.get(&pid).copied().unwrap_or(0)
    }
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When stdout is none.
    pub(super) fn open(input: String) -> Result<Self, Error> {
        if !io::stdout().is_terminal() {
            let cause = anyhow!("--live draws on a terminal, and stdout is none");
            return Err(Error::usage(cause).hint("--interval 1s --report-file FILE for a script"));
        }
        Ok(Self {
            terminal: ratatui::try_init().context("cannot set up the terminal")?,
            keys: keys()?,
            input,
            drawn: None,
            rates: Rates::default(),
            told: VecDeque::new(),
            above: 0,
            left: false,
        })
    }

    /// True once `q` or Ctrl-C was pressed.
    pub(super) fn is_left(&self) -> bool {
        self.left
    }

    /// An alarm was raised or cleared.
    pub(super) fn alarm(&mut self, alarm: &Alarm) {
        let time = SystemClock.wall().to_string();
        let words = format!(
            "{time}  {:<7}  {} {}",
            alarm.word(),
            alarm.check.name(),
            alarm.subject
        );
        self.told.push_front(words);
        self.told.truncate(KEPT);
    }

    /// Reads the keys and draws, when it is time.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn turn(&mut self, monitor: Option<&Monitor>, alarms: &Alarms) -> Result<(), Error> {
        if is_gone() {
            self.left = true;
            return Ok(());
        }
        let mut moved = false;
        while let Ok(input) = self.keys.try_recv() {
            moved |= self.key(&input);
        }
        if !moved && self.drawn.is_some_and(|then| then.elapsed() < EVERY) {
            return Ok(());
        }
        self.drawn = Some(Instant::now());
        let report = monitor.map(Monitor::report);
        if let (Some(report), Some(monitor)) = (&report, monitor) {
            self.rates.turn(report, monitor.now().time);
        }
        let raised = alarms.checks();
        let Self {
            terminal,
            input,
            rates,
            told,
            above,
            ..
        } = self;
        let drawn = terminal.draw(|frame| match &report {
            Some(report) => page(frame, report, input, rates, &raised, told, above),
            None => {
                frame.render_widget(format!("tsmon  {input}  waiting for packets"), frame.area())
            }
        });
        drawn.context("cannot draw on the terminal")?;
        Ok(())
    }

    /// Takes a key; true when the screen is another.
    fn key(&mut self, input: &Input) -> bool {
        let Input::Key(key) = input else {
            return matches!(input, Input::Resize(..));
        };
        if key.kind == KeyEventKind::Release {
            return false;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => self.left = true,
            KeyCode::Char('c') if control => self.left = true,
            KeyCode::Down | KeyCode::Char('j') => self.above += 1,
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::PageDown => self.above += 10,
            KeyCode::PageUp => self.above = self.above.saturating_sub(10),
            KeyCode::Home => self.above = 0,
            _ => return false,
        }
        true
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may be gone.
        let _ = ratatui::try_restore();
    }
}

/// What is typed. It is read in a thread of its own, for a reader of a terminal that goes away
/// never returns.
fn keys() -> io::Result<Receiver<Input>> {
    let (sender, keys) = sync_channel(KEYS);
    let read = move || {
        while let Ok(input) = event::read() {
            if sender.send(input).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new()
        .name("keys".into())
        .spawn(read)?;
    Ok(keys)
}

/// True once the terminal is gone: its emulator was closed.
fn is_gone() -> bool {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    // Without a wish, only an error or a hang-up is told.
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|told| told > 0)
}

fn page(
    frame: &mut Frame<'_>,
    report: &Report,
    input: &str,
    rates: &Rates,
    raised: &[Check],
    told: &VecDeque<String>,
    above: &mut usize,
) {
    let rows = [
        Constraint::Length(2),
        Constraint::Min(5),
        Constraint::Length(7),
    ];
    let [head, middle, foot] = Layout::vertical(rows).areas(frame.area());
    let columns = [Constraint::Min(40), Constraint::Length(CHECKS)];
    let [left, right] = Layout::horizontal(columns).areas(middle);
    frame.render_widget(heading(report, input, rates, raised), head);
    streams(frame, left, report, rates, above);
    checks(frame, right, report, raised);
    let lines: Vec<_> = told.iter().map(|line| Line::raw(line.as_str())).collect();
    let title = match lines.is_empty() {
        true => " alarms: none so far ",
        false => " alarms, newest first ",
    };
    let block = Block::bordered()
        .title(title)
        .title_bottom(" q: quit   arrows: scroll ");
    frame.render_widget(Paragraph::new(Text::from(lines)).block(block), foot);
}

fn heading<'a>(report: &Report, input: &'a str, rates: &Rates, raised: &[Check]) -> Paragraph<'a> {
    let state = match raised.iter().map(|check| check.priority()).min() {
        None => Span::styled(" OK ", mark(Color::Green)),
        Some(priority) => Span::styled(
            format!(" ALARM P{} ", priority.number()),
            mark(match priority.number() {
                1 | 2 => Color::Red,
                _ => Color::Yellow,
            }),
        ),
    };
    let first = Line::from(vec![
        Span::styled("tsmon ", Style::new().add_modifier(Modifier::BOLD)),
        state,
        Span::raw(format!("  {input}  {}", SystemClock.wall())),
    ]);
    let errors: u64 = report.pids.iter().map(|pid| pid.continuity_errors).sum();
    let second = format!(
        "{}   {} packets   {}   {errors} continuity errors   {} TEI   {} sync losses",
        BitRate::new(rates.all),
        report.packets,
        Ticks27M::from_millis(report.duration_ms / 1000 * 1000),
        report.transport_errors,
        report.sync_losses,
    );
    Paragraph::new(vec![first, Line::raw(second)])
}

const fn mark(color: Color) -> Style {
    Style::new()
        .fg(Color::Black)
        .bg(color)
        .add_modifier(Modifier::BOLD)
}

/// Services with their PIDs, then those of no service.
fn streams(frame: &mut Frame<'_>, area: Rect, report: &Report, rates: &Rates, above: &mut usize) {
    let mut lines = Vec::new();
    let pid_of = |number: u16| report.pids.iter().find(|pid| pid.pid == number);
    for service in &report.services {
        let rate = service.pids.iter().map(|pid| rates.of(*pid)).sum();
        let name = visible(&service.name);
        let words = format!("{} {name}  {}", service.id, BitRate::new(rate));
        lines.push(Line::styled(
            words,
            Style::new().add_modifier(Modifier::BOLD),
        ));
        for number in &service.pids {
            lines.push(match pid_of(*number) {
                Some(pid) => pid_line(pid, report, rates),
                None => Line::styled(
                    format!("  {}  absent", Pid::from_field(*number)),
                    Style::new().fg(Color::Red),
                ),
            });
        }
    }
    let mut others = report
        .pids
        .iter()
        .filter(|pid| pid.services.is_empty())
        .peekable();
    if others.peek().is_some() {
        lines.push(Line::styled(
            "of no service",
            Style::new().add_modifier(Modifier::BOLD),
        ));
        lines.extend(others.map(|pid| pid_line(pid, report, rates)));
    }
    let height = usize::from(area.height.saturating_sub(2));
    *above = (*above).min(lines.len().saturating_sub(height));
    let shown: Vec<_> = lines.into_iter().skip(*above).take(height).collect();
    let block = Block::bordered().title(" services and PIDs ");
    frame.render_widget(Paragraph::new(Text::from(shown)).block(block), area);
}

fn pid_line(pid: &PidReport, report: &Report, rates: &Rates) -> Line<'static> {
    let codec = pid.codec.unwrap_or_default();
    let language = pid.language.map(|l| format!(" {l}")).unwrap_or_default();
    let what = format!("{} {codec}{language}", pid.kind);
    let seen = report.content.pids.iter().find(|seen| seen.pid == pid.pid);
    let described = seen.map(content::describe).unwrap_or_default();
    let mut words = format!(
        "  {}  {what:<20} {:>13}  {described}",
        Pid::from_field(pid.pid),
        BitRate::new(rates.of(pid.pid)).to_string(),
    );
    let mut style = Style::new();
    if pid.scrambled_packets > 0 {
        words.push_str("  scrambled");
    }
    if pid.continuity_errors > 0 {
        words.push_str(&format!("  {} CC", pid.continuity_errors));
        style = style.fg(Color::Yellow);
    }
    Line::styled(words, style)
}

/// Every check: what stands now, what was found, what could not be judged.
fn checks(frame: &mut Frame<'_>, area: Rect, report: &Report, raised: &[Check]) {
    let line = |check: &CheckReport| {
        let (sign, color) = match check {
            c if raised.contains(&c.check) => ("!", Color::Red),
            c if c.count > 0 => ("x", Color::Yellow),
            c if !c.judged => ("-", Color::DarkGray),
            c if c.in_part => ("~", Color::DarkGray),
            _ => ("+", Color::Green),
        };
        let count = match check.count {
            0 => String::new(),
            n => n.to_string(),
        };
        let words = format!("{sign} {:<5} {:<33}", check.number, check.check.name());
        Line::styled(format!("{words}{count}"), Style::new().fg(color))
    };
    // Where all do not fit, those with something to say come first.
    let mut order: Vec<_> = report.checks.iter().collect();
    if order.len() > usize::from(area.height.saturating_sub(2)) {
        order.sort_by_key(|c| (!raised.contains(&c.check), c.count == 0, !c.judged));
    }
    let lines: Vec<_> = order.into_iter().map(line).collect();
    let block = Block::bordered()
        .title(" checks ")
        .title_bottom(" ! now  x before  - not judged  ~ in part ");
    frame.render_widget(Paragraph::new(Text::from(lines)).block(block), area);
}
