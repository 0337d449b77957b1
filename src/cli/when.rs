//! Instants as operators type them.
//!
//! RFC 3339 (`2026-11-22T20:55:00Z`), local time (`2026-11-22 20:55[:30[.5]][ ZONE]`), Unix
//! seconds (`@1763844900`), `now`, `now-2h`. Local time is that of `--tz` or of the machine; one
//! that a change of the clocks skips or repeats is refused, and the two UTC readings are shown.

use anyhow::anyhow;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Disambiguation, TimeZone};
use jiff::{Timestamp, Zoned};

use super::Error;
use crate::units::{Ticks27M, WallTime};

/// An instant as it was typed: what `now` and local time mean is decided by [`When::resolve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When(String);

impl std::str::FromStr for When {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim().to_owned()))
    }
}

/// The time zone named by `--tz`; the machine's when none is.
///
/// # Errors
/// A usage error when the zone is unknown.
pub fn zone(name: Option<&str>) -> Result<TimeZone, Error> {
    let Some(name) = name else {
        return Ok(TimeZone::system());
    };
    TimeZone::get(name).map_err(|_| {
        Error::usage(anyhow!("time zone '{name}' is unknown"))
            .hint("write an IANA name such as Europe/Paris, or UTC")
    })
}

impl When {
    /// The UTC instant, `now` being given, local time being that of `zone`.
    ///
    /// # Errors
    /// A usage error when the text is no instant, or a local time that does not exist or exists
    /// twice.
    pub fn resolve(&self, zone: &TimeZone, now: WallTime) -> Result<WallTime, Error> {
        let text = self.0.as_str();
        if let Some(offset) = text.strip_prefix("now") {
            return relative(offset)
                .map(|span| now + span)
                .ok_or_else(|| self.unreadable());
        }
        if let Some(seconds) = text.strip_prefix('@') {
            return unix(seconds).ok_or_else(|| self.unreadable());
        }
        if let Ok(t) = text.parse::<Timestamp>() {
            return wall(t).ok_or_else(|| self.too_far());
        }
        let (civil, zone) = match civil(text) {
            Some(civil) => (civil, zone.clone()),
            None => {
                let (rest, name) = text.rsplit_once(' ').ok_or_else(|| self.unreadable())?;
                let civil = civil(rest).ok_or_else(|| self.unreadable())?;
                (civil, self::zone(Some(name))?)
            }
        };
        let read = zone.to_ambiguous_timestamp(civil);
        let twofold = !matches!(read.offset(), AmbiguousOffset::Unambiguous { .. });
        match read.disambiguate(Disambiguation::Reject) {
            Ok(t) => wall(t).ok_or_else(|| self.too_far()),
            Err(_) if twofold => Err(self::twofold(text, civil, &zone)),
            Err(_) => Err(self.too_far()),
        }
    }

    fn too_far(&self) -> Error {
        Error::usage(anyhow!("'{}' is farther than times are told", self.0))
            .hint("they reach from 1677-09-22 to 2262-04-11")
    }

    fn unreadable(&self) -> Error {
        Error::usage(anyhow!("'{}' is not an instant", self.0)).hint(
            "write 2026-11-22T20:55:00Z, '2026-11-22 20:55[:30] [ZONE]', @UNIX-SECONDS, now or now-2h",
        )
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// ``, `-2h`, `+30s`.
fn relative(text: &str) -> Option<Ticks27M> {
    let span = |text: &str| {
        text.trim()
            .parse::<Ticks27M>()
            .ok()
            .filter(|s| !s.is_negative())
    };
    match text.trim() {
        "" => Some(Ticks27M::ZERO),
        t if t.starts_with('-') => span(t.get(1..)?).map(|s| -s),
        t if t.starts_with('+') => span(t.get(1..)?),
        _ => None,
    }
}

/// Unix seconds with up to nine decimals, none before 1970.
fn unix(text: &str) -> Option<WallTime> {
    let span = format!("{text}s").parse::<Ticks27M>().ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    plain.then(|| WallTime::from_ticks(span.get()))
}

/// A date and a time of day with at least hours and minutes, without zone or offset.
fn civil(text: &str) -> Option<DateTime> {
    [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
    ]
    .iter()
    .find_map(|format| DateTime::strptime(format, text).ok())
}

/// `None` for what 64 bits of nanoseconds do not reach.
fn wall(t: Timestamp) -> Option<WallTime> {
    i64::try_from(t.as_nanosecond())
        .ok()
        .map(WallTime::from_unix_nanos)
}

/// What a clock change makes of a local time: the two instants that could be meant.
fn twofold(text: &str, civil: DateTime, zone: &TimeZone) -> Error {
    let reading = |rule| zone.to_ambiguous_zoned(civil).disambiguate(rule).ok();
    let utc = |z: Option<Zoned>| {
        let at = z.and_then(|z| wall(z.timestamp()));
        at.map_or_else(String::new, |at| at.to_string())
    };
    let early = utc(reading(Disambiguation::Earlier));
    let late = utc(reading(Disambiguation::Later));
    let exists = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Gap { .. } => "does not exist",
        _ => "exists twice",
    };
    let name = zone.iana_name().unwrap_or("local time");
    Error::usage(anyhow!("'{text}' {exists} in {name}: the clocks change"))
        .hint(format!("write {early} or {late}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: &str) -> Result<String, String> {
        let now = WallTime::from_unix_millis(1_763_844_900_000);
        let zone = TimeZone::get(zone).unwrap();
        let when: When = text.parse().unwrap();
        when.resolve(&zone, now)
            .map(|t| t.to_string())
            .map_err(|e| format!("{e}; {}", e.hints().join("; ")))
    }

    #[test]
    fn every_spelling_of_one_instant_is_that_instant() {
        for text in [
            "2025-11-22T20:55:00Z",
            "2025-11-22T21:55:00+01:00",
            "2025-11-22 21:55",
            "2025-11-22 21:55:00",
            "2025-11-22T21:55:00.000",
            "2025-11-22 20:55 UTC",
            "2025-11-22 15:55:00 America/New_York",
            "@1763844900",
            "now",
            "now-0s",
        ] {
            assert_eq!(
                at(text, "Europe/Paris").as_deref(),
                Ok("2025-11-22T20:55:00.000Z"),
                "{text}"
            );
        }
        assert_eq!(
            at("now-2h", "UTC").as_deref(),
            Ok("2025-11-22T18:55:00.000Z")
        );
        assert_eq!(
            at("now+1m30s", "UTC").as_deref(),
            Ok("2025-11-22T20:56:30.000Z")
        );
        assert_eq!(
            at("@1763844900.25", "UTC").as_deref(),
            Ok("2025-11-22T20:55:00.250Z")
        );
        assert_eq!(
            at("2025-11-22 21:55:30.5", "UTC").as_deref(),
            Ok("2025-11-22T21:55:30.500Z")
        );
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2025-11-22",
            "21:55",
            "@",
            "@-1",
            "@1e9",
            "now2h",
            "now--1s",
        ] {
            assert!(
                at(text, "UTC").unwrap_err().contains("is not an instant"),
                "{text}"
            );
        }
        assert!(
            at("2025-11-22 21:55 Mars/Base", "UTC")
                .unwrap_err()
                .contains("'Mars/Base' is unknown")
        );
    }

    /// 2^63 nanoseconds are 292.27 years, from 1970 to April 2262 and back to September 1677.
    #[test]
    fn what_is_farther_than_times_are_told_is_refused_with_how_far_they_are() {
        for text in [
            "9999-12-31 00:00",
            "9999-12-31 23:59:59 Europe/Paris",
            "2262-04-12 00:00",
            "2262-04-12T00:00:00Z",
            "1677-09-21 00:00",
            "0001-01-01 00:00",
        ] {
            let said = at(text, "UTC").unwrap_err();
            let words = format!("'{text}' is farther than times are told; they reach from 1677");
            assert!(said.starts_with(&words), "{said}");
        }
        for text in ["2262-04-11T00:00:00.000Z", "1677-09-22T00:00:00.000Z"] {
            assert_eq!(at(text, "UTC").as_deref(), Ok(text));
        }
    }

    /// In Paris the clocks went from 02:00 to 03:00 on 2025-03-30 at 01:00 UTC and from 03:00 back
    /// to 02:00 on 2025-10-26 at 01:00 UTC.
    #[test]
    fn a_local_time_that_is_missing_or_twofold_shows_both_readings() {
        let gap = at("2025-03-30 02:30", "Europe/Paris").unwrap_err();
        assert!(gap.contains("does not exist in Europe/Paris"), "{gap}");
        assert!(
            gap.contains("2025-03-30T00:30:00.000Z or 2025-03-30T01:30:00.000Z"),
            "{gap}"
        );
        let fold = at("2025-10-26 02:30", "Europe/Paris").unwrap_err();
        assert!(fold.contains("exists twice in Europe/Paris"), "{fold}");
        assert!(
            fold.contains("2025-10-26T00:30:00.000Z or 2025-10-26T01:30:00.000Z"),
            "{fold}"
        );
    }
}
