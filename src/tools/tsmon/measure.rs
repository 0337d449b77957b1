//! What a run is: an input, those who are told, and the verdict.

use std::path::Path;

use anyhow::anyhow;

use super::live::Screen;
use super::notices::Notices;
use super::page::Page;
use super::profile::ProfileFile;
use super::watch::{Told, Watch};
use super::{Args, Form, Least, Work};
use crate::cli::{Context, Error, Verdict};
use crate::io::{Endpoint, InputOptions, PassSource, Source, open_input};
use crate::monitor::{self, Alarms, Check, Monitor};

/// Measures until the input ends or the end is asked for, and prints the report.
///
/// # Errors
/// Where the input fails, or an output.
pub fn run(mut args: Args, context: &mut Context) -> Result<Verdict, Error> {
    if let Some(Work::Learn(learn)) = args.work.take() {
        args.input = Some(learn.input);
        args.span = learn.span;
        args.report = Form::Profile;
        args.report_file = learn.output;
    }
    let profile = args.profile.as_deref().map(ProfileFile::load).transpose()?;
    let input = args.input.clone().or(args.input_operand.clone());
    let input = input.unwrap_or(Endpoint::Standard);
    let options = InputOptions {
        linger: InputOptions::RECORDER_LINGER,
        ..InputOptions::default()
    };
    let mut source: Box<dyn Source> = match args.pass {
        true => {
            check_pass(&args, &input)?;
            Box::new(PassSource::start(context.signals().stop_flag())?)
        }
        false => open_input(&input, &options)?,
    };
    let file = source.length().is_some();
    let notices = Notices::open(
        args.events.as_deref(),
        args.exec.as_deref(),
        input.to_string(),
        !file,
    )?;
    let to_stdout = args.events.as_deref() == Some(Path::new("-"));
    if args.live && to_stdout {
        let cause = anyhow!("--live and --events - both want stdout");
        return Err(Error::usage(cause).hint("name a file: --events FILE"));
    }
    if args.outside.is_agent() && to_stdout {
        let cause = anyhow!("with --snmp-pass-persist stdout belongs to snmpd");
        return Err(Error::usage(cause).hint("name a file: --events FILE"));
    }
    let told = Told {
        notices,
        capture: args.capture.open()?,
        outside: args.outside.open(&input, context)?,
        screen: match args.live {
            true => Some(Screen::open(input.to_string())?),
            false => None,
        },
    };
    let mut page = Page::new(&args, &input)?;
    context.ready();
    context.status(&format!("measuring {input}"));
    let mut watch = Watch::new(
        told,
        Alarms::new(args.clear_after.into()),
        profile,
        args.decode,
    );
    if args.live {
        context.report().hold();
    }
    let watched = watch.run(&args, &mut *source, &mut page, context);
    let (monitor, written) = watch.finish(&mut *source, context)?;
    page.print(&monitor, context)?;
    watched?;
    written?;
    let none = monitor.packets() == 0 && source.bytes() > 0;
    if none && !source.is_live() && !args.pass && args.fail_on.is_none() {
        return Err(Error::no_stream(&input, source.bytes()));
    }
    Ok(judge(args.fail_on, &monitor))
}

/// With --pass stdin and stdout are the stream's.
fn check_pass(args: &Args, input: &Endpoint) -> Result<(), Error> {
    if *input != Endpoint::Standard {
        let error = anyhow!("--pass passes stdin on, and the input is '{input}'");
        return Err(Error::usage(error).hint(format!("tsrecv '{input}' | tsmon --pass | …")));
    }
    if args.events.as_deref() == Some(Path::new("-")) {
        let error = anyhow!("with --pass stdout is the stream's, and --events - wants it");
        return Err(Error::usage(error).hint("write them to a file: --events FILE"));
    }
    Ok(())
}

/// No when a check that counts found something, or there was nothing to judge.
fn judge(fail_on: Option<Least>, monitor: &Monitor) -> Verdict {
    let Some(least) = fail_on else {
        return Verdict::Yes;
    };
    let failed =
        |check: &&Check| check.priority() <= least.priority() && monitor.count(**check).count > 0;
    match shows_nothing(monitor) || Check::ALL.iter().any(|check| failed(&check)) {
        true => Verdict::No,
        false => Verdict::Yes,
    }
}

/// True when no packet came, or none of a PAT, nor a clock by which it would be missed.
fn shows_nothing(monitor: &Monitor) -> bool {
    let has_pat = monitor.programs().transport_stream_id().is_some();
    let missed = monitor.verdict(Check::PatError2) == monitor::Verdict::Judged;
    monitor.packets() == 0 || !has_pat && !missed
}
