//! `--from`, `--to`, `--duration`: a range of time, as options.

use std::ops::Add;

use anyhow::anyhow;

use super::Error;
use super::when::{When, zone};
use crate::io::clock::{Clock, SystemClock};
use crate::units::{Ticks27M, WallTime};

/// A range of time.
#[derive(Clone, Debug, clap::Args)]
pub struct Range {
    /// Where to begin [default: the beginning]
    #[arg(long, value_name = "TIME")]
    from: Option<When>,

    /// Where to end, exclusive [default: the end]
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    to: Option<When>,

    /// End so long after --from
    #[arg(long, value_name = "DURATION")]
    duration: Option<Ticks27M>,

    /// Read local times in this zone [default: the machine's]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

/// Where a range begins and ends; `None` where nothing is said.
pub type Ends<T> = (Option<T>, Option<T>);

impl Range {
    /// As instants; `beginning` is what a duration counts from without --from.
    ///
    /// # Errors
    /// A usage error when a time cannot be read, or the range ends where it begins or before.
    pub fn instants(&self, beginning: Option<WallTime>) -> Result<Ends<WallTime>, Error> {
        let (zone, now) = (zone(self.tz.as_deref())?, SystemClock.wall());
        self.resolve(beginning, |when, _| when.resolve(&zone, now))
    }

    /// As offsets into a file.
    ///
    /// # Errors
    /// As [`instants`](Self::instants), and when there is a zone: offsets have none.
    pub fn offsets(&self) -> Result<Ends<Ticks27M>, Error> {
        if self.tz.is_some() {
            let words = anyhow!("--tz is for rings: times in a file have no zone");
            return Err(Error::usage(words).hint("leave --tz out"));
        }
        self.resolve(Some(Ticks27M::ZERO), |when, option| {
            when.to_string().parse().map_err(|e| {
                Error::usage(anyhow!("{option}: {e}"))
                    .hint("times in a file are offsets from its beginning")
            })
        })
    }

    fn resolve<T>(
        &self,
        beginning: Option<T>,
        read: impl Fn(&When, &str) -> Result<T, Error>,
    ) -> Result<Ends<T>, Error>
    where
        T: Copy + PartialOrd + Add<Ticks27M, Output = T> + std::fmt::Display,
    {
        let read = |when: &Option<When>, option| {
            let when = when.as_ref();
            when.map(|when| read(when, option)).transpose()
        };
        let (from, mut to) = (read(&self.from, "--from")?, read(&self.to, "--to")?);
        if let Some(duration) = self.duration {
            if duration <= Ticks27M::ZERO {
                let words = anyhow!("--duration {duration}: there is nothing in it");
                return Err(Error::usage(words).hint("write 90s, 1h30m or 00:10:00"));
            }
            to = from.or(beginning).map(|start| start + duration);
        }
        if let (Some(from), Some(to)) = (from, to)
            && to <= from
        {
            let words = anyhow!("the range ends at {to}, not after its start, {from}");
            return Err(Error::usage(words).hint("--to must be later than --from"));
        }
        Ok((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        range: Range,
    }

    fn range(words: &[&str]) -> Range {
        let words = ["x"].iter().chain(words);
        Line::try_parse_from(words).unwrap().range
    }

    fn seconds(ends: Ends<Ticks27M>) -> (Option<i64>, Option<i64>) {
        let whole = |t: Ticks27M| t.as_millis() / 1000;
        (ends.0.map(whole), ends.1.map(whole))
    }

    #[test]
    fn a_duration_counts_from_the_start_or_from_the_beginning() {
        for (words, expected) in [
            (&[][..], (None, None)),
            (&["--from", "10s", "--to", "00:01:00"], (Some(10), Some(60))),
            (&["--from", "10s", "--duration", "5s"], (Some(10), Some(15))),
            (&["--duration", "00:10:00"], (None, Some(600))),
        ] {
            let ends = range(words).offsets().unwrap();
            assert_eq!(seconds(ends), expected, "{words:?}");
        }
        let begin = WallTime::from_unix_millis(1_000_000);
        let ends = range(&["--duration", "1m"]).instants(Some(begin)).unwrap();
        assert_eq!(ends, (None, Some(begin + Ticks27M::SECOND * 60)));
        assert_eq!(
            range(&["--duration", "1m"]).instants(None).unwrap(),
            (None, None)
        );
    }

    #[test]
    fn a_range_that_holds_no_time_is_refused() {
        for words in [
            &["--from", "10s", "--to", "10s"][..],
            &["--from", "10s", "--to", "9s"],
            &["--duration", "0s"],
            &["--from", "noon"],
            &["--tz", "UTC"],
        ] {
            assert_eq!(range(words).offsets().unwrap_err().status(), 2, "{words:?}");
        }
    }
}
