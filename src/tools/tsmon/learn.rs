//! `tsmon learn`: a profile of a healthy stream.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;

use super::profile;
use crate::cli::{Common, Context, Error, Level};
use crate::io::Endpoint;
use crate::monitor::Report;
use crate::monitor::profile::Profile;

/// Write a profile of a healthy stream
///
/// Looks at INPUT and writes what it is as a profile for `--profile`: services, PIDs, codecs,
/// languages, scrambling, and bit rates with a quarter of room on either side of the lowest and
/// the highest second. Look for long enough to see what there is; the file is to be read and changed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LearnArgs {
    /// Where packets come from
    #[arg(value_name = "INPUT", default_value = "-")]
    pub(super) input: Endpoint,

    /// Look at so much of the stream
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) span: Option<Duration>,

    /// Write the profile to this file, and not to stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    #[command(flatten)]
    pub(super) common: Common,
}

/// The shortest stream that is learned from: two windows.
const SHORTEST_MS: i64 = 2 * Profile::WINDOW.as_millis();

/// The profile of the stream of `report`.
///
/// # Errors
/// When the stream is too short.
pub(super) fn page(report: &Report, input: &str, context: &Context) -> Result<String, Error> {
    let span = report.duration_ms;
    if span < SHORTEST_MS || report.services.is_empty() {
        let error = match report.services.is_empty() {
            true => anyhow!("nothing to learn from '{input}': it has no services"),
            false => anyhow!("nothing to learn from '{input}': it is too short, {span} ms"),
        };
        let hint = format!("a profile is learned from {} s or more", SHORTEST_MS / 1000);
        return Err(Error::failure(error).hint(hint));
    }
    for check in report.checks.iter().filter(|c| c.count > 0) {
        let (name, count) = (check.check.name(), check.count);
        let words = format!("learned from a stream with errors: {name}, {count} times");
        context.say(Level::Warning, &words);
    }
    Ok(profile::write(&Profile::learned(report), input))
}
