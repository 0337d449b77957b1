//! `tsring check`.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::existing;
use crate::cli::{Common, Context, Error, Verdict};
use crate::ring::{Disk, Finding, Storage, check};

/// `tsring check`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The ring
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Put right what can be: needs the ring to itself
    ///
    /// Status 1 when something is left: segments that are gone stay a finding until they would
    /// have expired.
    #[arg(long)]
    repair: bool,

    #[command(flatten)]
    pub(super) common: Common,
}

/// Runs `tsring check`.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = existing(&args.dir)?;
    let mut found = Vec::new();
    let disk: Arc<dyn Storage> = Arc::new(Disk);
    let checked = check(&disk, &dir, args.repair, &mut |finding| {
        found.push(finding);
    });
    let segments = checked?;
    let damaged = |f: &&Finding| !matches!(f, Finding::Foreign { .. });
    let damage = found.iter().filter(damaged).count();
    let mut left = 0;
    for finding in &found {
        let repaired = args.repair && finding.can_be_repaired();
        left += usize::from(!repaired && damaged(&finding));
        let done = if repaired { "repaired: " } else { "" };
        writeln!(context.answer(), "{done}{finding}")?;
    }
    writeln!(context.answer(), "{segments} segments, {damage} findings")?;
    Ok(match left {
        0 => Verdict::Yes,
        _ => Verdict::No,
    })
}
