//! `tsring check`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::existing;
use crate::cli::{Common, Context, Error, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::ring::{Disk, Finding, Ring, Storage, check};
use crate::units::Ticks27M;

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

/// multicat takes no lock, and keeps the last stamps to itself: a newest segment that is not whole
/// is looked at again so much later, and left out where it grew.
const LOOK_AGAIN: Ticks27M = Ticks27M::from_millis(500);

/// The newest segment, and its bytes.
fn newest(dir: &Path) -> Result<Option<(String, u64)>, Error> {
    let ring = Ring::open(Arc::new(Disk), dir)?;
    let newest = ring.segments().last();
    Ok(newest.map(|name| {
        let size = ring.storage().size(&name.path(dir, "ts"));
        (name.display(), size.unwrap_or(0))
    }))
}

/// Runs `tsring check`.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = existing(&args.dir)?;
    let mut found = Vec::new();
    let disk: Arc<dyn Storage> = Arc::new(Disk);
    let before = newest(&dir)?;
    let checked = check(&disk, &dir, args.repair, &mut |finding| {
        found.push(finding);
    });
    let mut segments = checked?;
    let is_newest = |finding: &Finding| match (finding, &before) {
        (Finding::Torn { name, .. }, Some((newest, _))) => name == newest,
        _ => false,
    };
    if !args.repair && found.iter().any(is_newest) {
        SystemClock.sleep_until(SystemClock.now() + LOOK_AGAIN);
        if newest(&dir)? != before {
            found.retain(|finding| !is_newest(finding));
            segments -= 1;
        }
    }
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
    context.last_turn(|c| {
        c.set("segments_total", segments as u64);
        c.set("findings_total", damage as u64);
        c.set("findings_left_total", left as u64);
    });
    Ok(match left {
        0 => Verdict::Yes,
        _ => Verdict::No,
    })
}
