//! The circular recorder: keeps the last hours of a channel, and gives back any part of them.

mod check;
mod info;
mod multicat;
mod play;
mod read;
mod record;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::cli::when::{When, zone};
use crate::cli::{Common, Context, Error, ToolArgs, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::units::WallTime;

/// Record the last hours of a channel, and give back any part of them
///
/// `record` appends what it receives to the ring in DIR and lets go of what is older than
/// `--keep`. `read` gives back a range as fast as it can, byte for byte; `play` at the original
/// pace, for ever with `--delay`; `info` tells what is there; `check` looks at every file. Any
/// number of them run beside the recorder, which never waits for them.
///
/// DIR is a directory of multicat 2.3, which reads it while it is recorded (`info` prints the
/// command for a range: it gives what `read` gives, in whole blocks of seven packets), and whose
/// own directories are read here. What was written when a process is killed is there at once; at
/// most one second of reception is lost, and at a power loss what was received since the last sync
/// (`--sync`). The next start appends.
///
/// Reception never waits for the disk: a queue of 2 s and 16 MB stands between the two. What it
/// cannot hold, and what a full or failing disk does not take, is counted, said, and recorded as
/// a gap; recording goes on by itself when the disk does. A wall clock that is set back begins a
/// new epoch and loses nothing; one that is set forward leaves a gap in time.
///
/// `--max-bytes` and `--min-free` hold at every moment: whole files go, the oldest first, before a
/// limit is reached. What may come on top is what arrives while a file is removed, a quarter of a
/// second on a disk that keeps up, and the newest file, which is never let go: choose `--segment`
/// so that several fit.
///
/// A ring that is removed or unmounted while it is recorded is said within a second; it is made
/// again, the lock with it, as soon as the directory above is there, and what was lost is counted
/// and recorded as a gap (`missing`). So is a file that is removed while it is written. Segments
/// that are gone from between others are a gap too, in `info`, `read`, `play` and `check`, and so is
/// what a segment lacks that is shorter than it was by its index or that of a later one; where nothing
/// says whether there was one, its cause is `other`.
///
/// Where `ring.json` is missing or cannot be believed, segment lengths are told from the other
/// files, what is there is kept at least, and recording goes on; `--max-bytes`, `--min-free` and a
/// longer `--keep` have to be given again. A damaged one is kept aside as `ring.json.damaged`. One
/// that says that a later version of these tools wrote the ring, in a format that this one does not
/// know, is no damage: nothing is read or changed, and the status is 2.
///
/// Packets are read whatever became of the files beside them. Where stamps (`.aux`) are missing or
/// cannot be, times are told from their neighbours, the index and the pace of the segments around,
/// and that is said. An index that a full disk kept from being written is made anew by the
/// recorder, now or after its next start.
///
/// Times are those of arrival, in UTC: RFC 3339, `YYYY-MM-DD HH:MM[:SS]` in `--tz`, `@unix`,
/// `now-2h`.
///
/// # Events
///
/// Lost: `ring_write_failed` and `ring_write_resumed` (with what was lost between), `queue_overflow`
/// (the disk, or who reads the `--tee`, was too slow), `ring_short_of_room` (segments went before
/// `--keep`), `ring_reader_lapped` (what was to be read next is gone), `output_given_up`. Damaged:
/// `ring_repaired`, `ring_stamps_damaged`, `ring_index_failed`, `ring_index_full`, `ring_reindexed`,
/// `ring_upkeep_failed`, `ring_settings_damaged`. Changed: `ring_settings_found`, `ring_resumed`,
/// `ring_clock_step`, `ring_silence`, `ring_segment_expiring` (data that are being read were let
/// go). Of the settings: `ring_keep_below_segment`, `ring_segment_over_limit`, `ring_foreign_file`.
/// Those of INPUT and OUTPUT are tsrecv's.
///
/// # Memory
///
/// `record` holds `--queue` (16 MiB), once more with `--tee`, or 1 MiB where the input waits by
/// itself; with `--clock pcr` up to 32768 packets (6 MB) until the next PCR; and up to 65536
/// records of the index that are not written yet, as many that sum up the ring, and as many that
/// will when the segment ends (4 MB each, 21 MB where every record has the longest text). `read`
/// and `play` hold 1 MiB of packets at most, and the index of the segment they look up a time in.
/// An index takes 40 bytes a record and ends at 240 MB, six million records: what comes after in
/// its segment is recorded and not indexed, and that is said.
///
/// # Examples
///
/// Keep the last day of a channel:
///
/// ```text
/// $ tsring record /var/lib/ring/one -i udp://@239.0.0.1:1234 --keep 24h
/// ```
///
/// Ten minutes of this evening, and what there is at all:
///
/// ```text
/// $ tsring read /var/lib/ring/one --from '2026-11-22 20:55' --duration 10m -o out.ts
/// $ tsring info /var/lib/ring/one
/// ```
///
/// The channel two hours later, on another group:
///
/// ```text
/// $ tsring play /var/lib/ring/one --delay 2h -o udp://239.0.1.1:1234
/// ```
///
/// File a recording as if it had been received from midnight on:
///
/// ```text
/// $ tsring record /tmp/ring -i file.ts --clock pcr --at '2026-11-22 00:00 UTC'
/// ```
#[derive(Debug, Parser)]
#[command(
    name = "tsring",
    version,
    verbatim_doc_comment,
    arg_required_else_help = false
)]
pub struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Record a stream into a ring
    Record(record::Args),
    /// Write a range of a ring as fast as the output takes it
    Read(read::Args),
    /// Play a ring at the original pace
    Play(play::Args),
    /// Tell what is in a ring
    Info(info::Args),
    /// Look for damage in a ring: status 1 when there is some
    Check(check::Args),
}

impl ToolArgs for Args {
    fn common(&self) -> &Common {
        match &self.work {
            Work::Record(args) => &args.common,
            Work::Read(args) => &args.common,
            Work::Play(args) => &args.common,
            Work::Info(args) => &args.common,
            Work::Check(args) => &args.common,
        }
    }
}

/// Runs the tool.
///
/// # Errors
/// Where the ring or an endpoint fails, or an option is wrong.
pub fn run(args: Args, context: &mut Context) -> Result<Verdict, Error> {
    match args.work {
        Work::Record(args) => record::run(args, context),
        Work::Read(args) => read::run(args, context),
        Work::Play(args) => play::run(&args, context),
        Work::Info(args) => info::run(&args, context),
        Work::Check(args) => check::run(&args, context),
    }
}

/// An instant that may have been given.
fn instant(when: Option<&When>, tz: Option<&str>) -> Result<Option<WallTime>, Error> {
    let zone = zone(tz)?;
    let resolved = when.map(|when| when.resolve(&zone, SystemClock.wall()));
    resolved.transpose()
}

/// The directory operand, refused early when it is a file.
fn directory(dir: &std::path::Path) -> Result<PathBuf, Error> {
    if dir.is_file() {
        let words = anyhow::anyhow!("{}: a ring is a directory, this is a file", dir.display());
        return Err(Error::usage(words));
    }
    Ok(dir.to_owned())
}

/// The directory operand of what reads a ring, refused early when it is not there: no restart
/// would make it.
fn existing(dir: &std::path::Path) -> Result<PathBuf, Error> {
    if let Err(e) = std::fs::metadata(dir)
        && e.kind() == std::io::ErrorKind::NotFound
    {
        let words = anyhow::anyhow!("'{}': there is no such directory", dir.display());
        let hint = format!("'tsring record {}' makes a ring there", dir.display());
        return Err(Error::usage(words).hint(hint));
    }
    directory(dir)
}
