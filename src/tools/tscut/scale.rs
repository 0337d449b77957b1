//! How times are written, and what is said where nothing is cut.

use std::path::Path;

use anyhow::anyhow;

use super::SnapArg;
use super::fault::RingFault;
use crate::cli::{Ends, Error, visible};
use crate::cut::error::SurveyError;
use crate::units::{StreamTime, WallTime};

/// How times are written.
#[derive(Copy, Clone, Debug)]
pub(super) enum Scale {
    /// As offsets from the earliest picture.
    File {
        /// That picture's instant.
        origin: StreamTime,
    },
    /// As UTC.
    Utc,
}

impl Default for Scale {
    /// That of a file whose beginning is not known yet.
    fn default() -> Self {
        let origin = StreamTime::default();
        Self::File { origin }
    }
}

impl Scale {
    pub(super) fn write(self, time: StreamTime) -> String {
        match self {
            Self::File { origin } => (time - origin).to_string(),
            Self::Utc => wall(time).to_string(),
        }
    }
}

/// On the line of arrivals, which is UTC.
pub(super) fn wall(time: StreamTime) -> WallTime {
    WallTime::from_ticks(time.ticks())
}

/// The other way.
pub(super) fn stream(time: WallTime) -> StreamTime {
    StreamTime::from_ticks(time.ticks())
}

/// What was asked for.
pub(super) struct Asked<'a> {
    pub(super) source: &'a Path,
    pub(super) scale: Scale,
    pub(super) times: Ends<StreamTime>,
    pub(super) snap: SnapArg,
}

impl Asked<'_> {
    /// ` from A to B`, as far as it was said.
    fn words(&self) -> String {
        let word = |word, time: Option<StreamTime>| {
            let time = time.map(|time| self.scale.write(time));
            time.map_or_else(String::new, |time| format!(" {word} {time}"))
        };
        word("from", self.times.0) + &word("to", self.times.1)
    }
}

pub(super) fn survey_error(asked: &Asked<'_>, e: SurveyError<Error>) -> Error {
    let source = asked.source.display();
    let words = format!("cannot cut '{source}'{}: {e}", asked.words());
    match e {
        SurveyError::Material(e) => e,
        SurveyError::Elsewhere { begins, ends } => {
            let (begins, ends) = (asked.scale.write(begins), asked.scale.write(ends));
            Error::nothing(anyhow!("{words}: it goes from {begins} to {ends}"))
        }
        SurveyError::NothingBetween { at } => {
            let at = asked.scale.write(at);
            let hint = match asked.snap {
                // Nothing is farther outward: no point precedes.
                SnapArg::Outward => {
                    format!("no random-access point comes before it: give a --to behind {at}")
                }
                _ => "--snap outward takes the point behind as well".to_owned(),
            };
            Error::nothing(anyhow!("{words}, at {at}")).hint(hint)
        }
        SurveyError::NoClosedPoint { .. } => {
            Error::nothing(anyhow!("{words}")).hint("without --snap closed, open points are taken")
        }
        SurveyError::NoService { services } => {
            let said = services.iter().map(|(id, name)| match name {
                Some(name) => format!("{id} ({})", visible(name)),
                None => id.to_string(),
            });
            let said: Vec<String> = said.collect();
            Error::nothing(anyhow!("{words}")).hint(format!("it has {}", said.join(", ")))
        }
        SurveyError::Scrambled { .. } => {
            Error::failure(anyhow!("{words}")).hint("descramble it before recording")
        }
        _ => Error::failure(anyhow!("{words}")),
    }
}

/// All that was asked for lies where a ring has no packets.
pub(super) fn nothing_there(asked: &Asked<'_>, gaps: &[String]) -> Error {
    let (source, words, gaps) = (asked.source.display(), asked.words(), gaps.join("; "));
    Error::nothing(anyhow!(
        "cannot cut '{source}'{words}: it holds nothing of that: {gaps}"
    ))
}

pub(super) fn ring_error(e: RingFault) -> Error {
    match e {
        RingFault::Ring(e) => e.into(),
        RingFault::NoEpoch(_, ref epochs) => {
            let numbers: Vec<String> = epochs.iter().map(u32::to_string).collect();
            let hint = match numbers.is_empty() {
                // An epoch goes with its last segment: whether there was one is not known.
                true => "it has live alone: leave --epoch out".to_owned(),
                false => format!("it has live, {}", numbers.join(", ")),
            };
            Error::usage(e).hint(hint)
        }
        e => Error::failure(e),
    }
}
