//! What a stream should be: services and PIDs that must or may be there, their bit rates,
//! scrambling, names and languages, and the family that compares the stream with it.

mod judge;
mod learn;

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::si::{Codec, Language, ServiceId, TransportStreamId};
use crate::ts::Pid;
use crate::units::{BitRate, ParseUnitError, Ticks27M, parsed, parsed_option};

pub use judge::ProfileJudge;

/// A bit rate that may not be left.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct RateWindow {
    /// The lowest.
    pub min: Option<BitRate>,
    /// The highest; not below `min`.
    pub max: Option<BitRate>,
}

impl<'de> Deserialize<'de> for RateWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Bounds)
    }
}

/// Reads a [`RateWindow`]: as a map, so that what is wrong with both together has its place.
struct Bounds;

impl<'de> Visitor<'de> for Bounds {
    type Value = RateWindow;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bounds, as {min: 2M, max: 3M}")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RateWindow, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            #[serde(default, deserialize_with = "parsed_option")]
            min: Option<BitRate>,
            #[serde(default, deserialize_with = "parsed_option")]
            max: Option<BitRate>,
        }
        let Written { min, max } = Written::deserialize(MapAccessDeserializer::new(map))?;
        match (min, max) {
            (Some(least), Some(most)) if least > most => Err(A::Error::custom(format_args!(
                "min, {least}, is above max, {most}: no rate is both"
            ))),
            _ => Ok(RateWindow { min, max }),
        }
    }
}

/// Whether packets are scrambled.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScramblingRule {
    /// None may be.
    Clear,
    /// There must be some. (Tables of a scrambled service, and the start of some PES packets, are
    /// not.)
    Scrambled,
}

impl fmt::Display for ScramblingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "clear",
            Self::Scrambled => "scrambled",
        })
    }
}

/// What is done about a service or a PID that is not listed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// Nothing.
    #[default]
    Allowed,
    /// It is found.
    Forbidden,
}

/// A service as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRule {
    /// service_id.
    #[serde(deserialize_with = "parsed")]
    pub id: ServiceId,
    /// service_name.
    #[serde(default)]
    pub name: Option<String>,
    /// It must be in the PAT.
    #[serde(default = "yes")]
    pub required: bool,
    /// Of its streams.
    #[serde(default)]
    pub scrambling: Option<ScramblingRule>,
    /// Of its PMT, clock, streams and ECMs together.
    #[serde(default)]
    pub bitrate: RateWindow,
}

/// A PID, or some, as they should be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PidRule {
    /// Which.
    #[serde(deserialize_with = "parsed")]
    pub pid: PidRange,
    /// Packets of it must come in every window; several PIDs need not.
    #[serde(default)]
    pub required: Option<bool>,
    /// The codec, by the PMT.
    #[serde(default, deserialize_with = "parsed_option")]
    pub codec: Option<Codec>,
    /// The first language that the PMT names.
    #[serde(default, deserialize_with = "parsed_option")]
    pub language: Option<Language>,
    /// Of its packets.
    #[serde(default)]
    pub scrambling: Option<ScramblingRule>,
    /// Of its packets.
    #[serde(default)]
    pub bitrate: RateWindow,
}

impl PidRule {
    /// Packets of the PID must come.
    pub fn is_required(&self) -> bool {
        self.required.unwrap_or(self.pid.first == self.pid.last)
    }
}

const fn yes() -> bool {
    true
}

/// A PID, or all from one to another: `0x100`, `0x10-0x1F`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PidRange {
    /// The first.
    pub first: Pid,
    /// The last, not below the first.
    pub last: Pid,
}

impl PidRange {
    /// Whether `pid` is one of them.
    pub fn contains(&self, pid: Pid) -> bool {
        (self.first..=self.last).contains(&pid)
    }
}

impl From<Pid> for PidRange {
    fn from(pid: Pid) -> Self {
        Self {
            first: pid,
            last: pid,
        }
    }
}

impl fmt::Display for PidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => self.first.fmt(f),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl FromStr for PidRange {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self {
            first: first.trim().parse()?,
            last: last.trim().parse()?,
        };
        match range.first <= range.last {
            true => Ok(range),
            false => Err(ParseUnitError::new(text, "PIDs; write 0x100 or 0x10-0x1F")),
        }
    }
}

/// What a stream should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// transport_stream_id.
    pub transport_stream_id: Option<TransportStreamId>,
    /// Rates are means over it; what has not come in it is missing.
    pub window: Ticks27M,
    /// Of everything.
    pub bitrate: RateWindow,
    /// Of null packets.
    pub stuffing: RateWindow,
    /// Services of the PAT that are not listed.
    pub unlisted_services: Unlisted,
    /// PIDs that come and are not listed.
    pub unlisted_pids: Unlisted,
    /// The services.
    pub services: Vec<ServiceRule>,
    /// The PIDs; the first that is about a PID counts.
    pub pids: Vec<PidRule>,
}

impl Profile {
    /// The window where none is set.
    pub const WINDOW: Ticks27M = Ticks27M::new(5 * 27_000_000);
}

#[cfg(test)]
mod tests;
