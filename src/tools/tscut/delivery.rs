//! The cutting of what was planned, and its report.

use std::io::Write;

use anyhow::anyhow;

use super::output::Output;
use super::report::{Done, Report};
use super::scale::Scale;
use super::{Args, Format};
use crate::cli::{Context, Error, Level, Verdict};
use crate::cut::edit::Cutter;
use crate::cut::error::SurveyError;
use crate::cut::event::CutEvent;
use crate::cut::material::Material;
use crate::cut::retime::Retimer;
use crate::cut::survey::Plan;
use crate::stream::Counters;
use crate::ts::{PACKET_SIZE, Packet};
use crate::units::Ticks27M;

/// Positions before the first packet that is wanted: where junk stands between packets, the search
/// for them has found its step by then. A multiple of 188, 192 and 204.
const RUN_UP: u64 = 153_408;

/// What is to be done.
pub(super) struct Order<'a> {
    pub(super) args: &'a Args,
    pub(super) plan: &'a Plan,
    pub(super) scale: Scale,
    /// Positions before which packets are missing, ascending, and for how long there are none.
    pub(super) holes: Vec<(u64, Ticks27M)>,
    /// The part of a ring whose clock was set back.
    pub(super) epoch: Option<String>,
}

/// Cuts and reports.
pub(super) fn deliver<M: Material>(
    order: &Order<'_>,
    context: &mut Context,
    source: &mut M,
    error: fn(M::Error) -> Error,
) -> Result<Verdict, Error> {
    let (args, plan) = (order.args, order.plan);
    context.ready();
    plan.events.iter().for_each(|event| context.event(event));
    let format = args.format.unwrap_or_else(|| Format::of(&args.output));
    let output = Output::open(&args.output, format, plan, context)?;
    let done = cut(order, source, output, context, error)?;
    let report = Report::new(plan, order.scale, order.epoch.clone(), &done);
    if args.json {
        let line = serde_json::to_string(&report)?;
        writeln!(context.answer(), "{line}")?;
    } else {
        context.say(Level::Info, &report.to_string());
    }
    Ok(Verdict::Yes)
}

fn cut<M: Material>(
    order: &Order<'_>,
    source: &mut M,
    mut output: Output,
    context: &mut Context,
    error: fn(M::Error) -> Error,
) -> Result<Done, Error> {
    let plan = order.plan;
    let mut cutter = Cutter::new(plan.instructions.clone());
    let rebase = order.args.rebase || output.counts_on();
    let mut retimer = Retimer::new(plan.contents.clone(), rebase);
    let mut out: Vec<Packet> = Vec::new();
    let mut done = Done::default();
    let mut events = Vec::new();
    let total = plan.read.end - plan.read.start;
    let mut progress = context.progress("cutting", total);
    source
        .seek(plan.read.start.saturating_sub(RUN_UP))
        .map_err(error)?;
    let mut reached = plan.read.start;
    // What precedes the in-point is put behind it: the gap is then not where it was.
    let inside = |hole: &&(u64, Ticks27M)| hole.0 > plan.instructions.start;
    let holes = order.holes.iter().filter(inside);
    for (_, length) in holes.clone().filter(|hole| hole.0 < plan.instructions.stop) {
        done.holes += 1;
        done.missing += *length;
    }
    let mut holes = holes.map(|(position, _)| *position).peekable();
    let mut ended = false;
    while !ended {
        out.clear();
        let began = reached;
        let until = holes.peek().map_or(plan.read.end, |hole| *hole);
        match source.next_run().map_err(error)? {
            Some(run) if run.position < until => {
                let left = (until - run.position).div_ceil(run.stride);
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let packets = run.packets.get(..left).unwrap_or(run.packets);
                cutter.push(run.position, run.stride, packets, &mut out);
                reached = run.position + packets.len() as u64 * run.stride;
            }
            Some(_) if until < plan.read.end => {
                retimer.interrupt();
                source.seek(until).map_err(error)?;
                holes.next();
            }
            _ => {
                cutter.finish(&mut out);
                ended = true;
            }
        }
        let by_packets = output.watch(&out);
        retimer.push(&mut out, &mut |event| events.push(event));
        if ended {
            retimer.finish(&mut out, &mut |event| events.push(event));
        }
        let of_tables = |event: &CutEvent| matches!(event, CutEvent::ProgramChange { .. });
        let changes = events.iter().any(of_tables);
        events.drain(..).for_each(|event| context.event(&event));
        let (contents, at_change) = retimer.contents();
        let by_tables = changes.then(|| output.follow(contents, context)).flatten();
        let change = by_tables
            .map(|words| (words, plan.pid, at_change))
            .or(by_packets);
        if let Some((words, pid, pts)) = change {
            let at = match pts {
                Some(pts) if retimer.jumps() == 0 => plan.from.time + (pts - plan.from.pts),
                // Over a jump of the clock stamps alone do not tell.
                _ => {
                    let places = began.saturating_sub(RUN_UP).max(plan.read.start)..reached;
                    let at = plan.instant_in(source, places, (pid, pts));
                    let at = at.map_err(|e| match e {
                        SurveyError::Material(e) => error(e),
                        e => Error::failure(anyhow!("{e}")),
                    })?;
                    at.unwrap_or(plan.from.time)
                }
            };
            let at = order.scale.write(at);
            return Err(changed(order.args, &words, &at));
        }
        if let Err(e) = output.write(&out) {
            return Err(interrupted(context).unwrap_or(e));
        }
        done.packets += out.len() as u64;
        context.turn(|counters| count(counters, done));
        if let Some(e) = interrupted(context) {
            return Err(e);
        }
        progress.set(reached.saturating_sub(plan.read.start));
    }
    if cutter.not_held() > 0 {
        let packets = cutter.not_held();
        context.event(&CutEvent::NotHeld { packets });
    }
    if let Err(e) = output.finish() {
        return Err(interrupted(context).unwrap_or(e));
    }
    context.last_turn(|counters| count(counters, done));
    done.jumps = retimer.jumps();
    done.wraps = retimer.wraps();
    done.jumped = retimer.jumped();
    done.presented = retimer.presented().length(plan.from.pts, plan.to.pts);
    done.pieces = retimer.presented().pieces();
    Ok(done)
}

/// A container that describes its streams once cannot go on.
fn changed(args: &Args, words: &str, at: &str) -> Error {
    let output = &args.output;
    let error = anyhow!("cannot write '{output}': {words}, at about {at}, and that cannot follow");
    Error::failure(error).hint(format!(
        "write a .ts, which holds both, or cut what is before and behind {at} apart"
    ))
}

fn count(counters: &mut dyn Counters, done: Done) {
    counters.set("out_packets", done.packets);
    counters.set("out_bytes", done.packets * PACKET_SIZE as u64);
}

/// What a signal makes of the work: a part of a programme is no programme.
pub(super) fn interrupted(context: &Context) -> Option<Error> {
    let words = "interrupted: no file was written";
    context.stopping().then(|| Error::failure(anyhow!(words)))
}
