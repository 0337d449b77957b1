//! What all command lines share: parse, run, flush, report, status.
//!
//! A tool's `main` is [`main`] with the tool's `run`. Here, and nowhere else, an exit status is
//! made and (by [`report`]) stderr is written.

mod args;
mod context;
mod error;
pub mod metrics;
mod notices;
mod notify;
mod progress;
mod range;
pub mod report;
mod stats;
mod unwritten;
mod visible;
pub mod when;
pub mod yaml;

use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

pub use args::{Common, ToolArgs};
pub use context::Context;
pub use error::{Error, Verdict};
pub use notices::Notices;
pub use progress::Progress;
pub use range::{Ends, Range};
pub use report::Level;
pub use unwritten::Unwritten;
pub use visible::visible;

use report::{Format, Report};

/// Parses the command line, runs the tool, and turns what came of it into words and a status:
/// 0 done, 1 the verdict is no, 2 wrong usage, 3 failed while running.
pub fn main<A: ToolArgs>(run: fn(A, &mut Context) -> Result<Verdict, Error>) -> ExitCode {
    let command = command::<A>();
    let tool = command.get_name().to_owned();
    let parsed = command
        .try_get_matches()
        .and_then(|mut m| A::from_arg_matches_mut(&mut m));
    let args = match parsed {
        Ok(args) => args,
        Err(e) => return usage(&tool, &e),
    };
    let mut context = match Context::new(&tool, args.common()) {
        Ok(context) => context,
        Err(e) => {
            return fail(
                &Report::new(&tool, args.common().log_format, Level::Info),
                &e,
            );
        }
    };
    let ended = run(args, &mut context);
    let ended = ended.and_then(|verdict| context.finish().map(|()| verdict));
    context.report().flush(true);
    match ended {
        Ok(Verdict::Yes) => ExitCode::SUCCESS,
        Ok(Verdict::No) => ExitCode::from(1),
        // A reader that goes away is a normal end, as it is for cat(1).
        Err(e) if e.is_broken_pipe() => ExitCode::SUCCESS,
        Err(e) => fail(context.report(), &e),
    }
}

fn fail(report: &Report, e: &Error) -> ExitCode {
    report.line(Level::Error, &e.to_string());
    for hint in e.hints() {
        report.hint(hint);
    }
    ExitCode::from(e.status())
}

/// Help and version go to stdout; what is wrong wears the tool's name like every other message.
fn usage(tool: &str, e: &clap::Error) -> ExitCode {
    if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = e.print();
        return ExitCode::SUCCESS;
    }
    let report = Report::new(tool, Format::asked(std::env::args_os()), Level::Info);
    let text = e.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // clap's first paragraph says what; tips and usage follow it.
    let what = text.split("\n\n").next().unwrap_or(text);
    let what = what.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    report.line(Level::Error, &what);
    // Its tips would have an unknown option meant as a value; what was misspelt is told.
    for kind in [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ] {
        match e.get(kind) {
            Some(ContextValue::String(near)) => report.hint(&format!("did you mean '{near}'?")),
            Some(ContextValue::Strings(near)) if !near.is_empty() => {
                report.hint(&format!("did you mean '{}'?", near.join("' or '")));
            }
            _ => {}
        }
    }
    report.hint(&format!("'{tool} --help' explains every option"));
    ExitCode::from(2)
}

/// The command of a tool. The doc comment of its `Args` is its manual: what stands before the
/// first `# heading` describes, the rest follows the options in `--help`.
pub fn command<A: CommandFactory>() -> clap::Command {
    let command = A::command();
    let Some(manual) = command.get_long_about().map(ToString::to_string) else {
        return command;
    };
    let Some((before, after)) = manual.split_once("\n# ") else {
        return command;
    };
    let mut rest = String::new();
    for line in format!("# {after}")
        .lines()
        .filter(|line| !line.starts_with("```"))
    {
        match line.strip_prefix("# ") {
            Some(heading) => rest.push_str(&format!("{heading}:")),
            None if line.is_empty() => {}
            None => rest.push_str(&format!("  {line}")),
        }
        rest.push('\n');
    }
    command
        .long_about(before.trim_end().to_owned())
        .after_long_help(rest)
}
