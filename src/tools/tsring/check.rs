//! `tsring check`.

use std::io::Write as _;
use std::path::PathBuf;

use super::existing;
use crate::cli::{Common, Context, Error, Verdict};
use crate::ring::{Disk, Finding, check};

/// `tsring check`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The ring
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Put right what can be: needs the ring to itself
    #[arg(long)]
    repair: bool,

    #[command(flatten)]
    pub(super) common: Common,
}

/// Runs `tsring check`.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = existing(&args.dir)?;
    let mut found = Vec::new();
    let checked = check(&Disk, &dir, args.repair, &mut |finding| {
        found.push(finding);
    });
    let segments = checked?;
    let damage = found
        .iter()
        .filter(|f| !matches!(f, Finding::Foreign { .. }))
        .count();
    for finding in &found {
        // What is not of the ring is left as it is.
        let done = match finding {
            Finding::Foreign { .. } => "",
            _ if args.repair => "repaired: ",
            _ => "",
        };
        writeln!(context.answer(), "{done}{finding}")?;
    }
    writeln!(context.answer(), "{segments} segments, {damage} findings")?;
    Ok(if damage == 0 || args.repair {
        Verdict::Yes
    } else {
        Verdict::No
    })
}
