//! Options that every tool has.

use std::path::PathBuf;
use std::time::Duration;

use super::report::{Format, Level};

/// Flattened into the `Args` of every tool.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Messages and statistics")]
pub struct Common {
    /// Say more on stderr
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Say errors only
    #[arg(short, long)]
    pub quiet: bool,

    /// Form of the lines on stderr
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub log_format: Format,

    /// Print a line of statistics at this interval
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    pub stats: Option<Duration>,

    /// Keep every counter in this file, replaced as a whole each second
    #[arg(long, value_name = "FILE")]
    pub stats_json: Option<PathBuf>,
}

/// A time between two lines.
fn interval(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    match span.is_zero() {
        true => Err("there is no time between two lines: write 1s".to_owned()),
        false => Ok(span),
    }
}

impl Common {
    /// The least level that is printed.
    pub fn least(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Error,
            (false, true) => Level::Debug,
            (false, false) => Level::Info,
        }
    }
}

/// What `cli::main` asks of a tool's arguments.
pub trait ToolArgs: clap::Parser {
    /// The options that every tool has.
    fn common(&self) -> &Common;
}
