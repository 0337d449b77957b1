//! The limits of the checks of tables, as options.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer};

use crate::monitor::tables::{Delivery, ExpectSi, TableLimits};
use crate::ts::Pid;
use crate::units::{Ticks27M, parsed};

/// Where a stream is received.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DeliveryChoice {
    /// By satellite
    #[default]
    Satellite,
    /// By cable
    Cable,
    /// By terrestrial transmission
    Terrestrial,
}

/// What may be away how long.
#[derive(Clone, Debug, Args)]
pub(super) struct LimitArgs {
    /// Where the stream is received: what TR 101 211 asks of EIT other and of EIT schedules
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    delivery: DeliveryChoice,

    /// Miss NIT, SDT, EIT and TDT in a stream without any service information too
    #[arg(long)]
    expect_si: bool,

    /// PID that needs no table to refer to it; may be repeated
    #[arg(long, value_name = "PID")]
    private_pid: Vec<Pid>,

    /// Longest time without a table or PID, such as `sdt=2s`, `teletext=10s`, `nit=never`; may be
    /// repeated
    #[arg(long = "limit", value_name = "NAME=TIME")]
    limits: Vec<Limit>,
}

/// A limit that is set.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    name: Name,
    /// `None`: it is not looked at.
    time: Option<Ticks27M>,
}

/// What has a limit.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Pat,
    Pmt,
    Cat,
    Nit,
    NitOther,
    Sdt,
    SdtOther,
    Eit,
    EitOther,
    EitSchedule,
    Bat,
    Tdt,
    Tot,
    Unreferenced,
    Video,
    Audio,
    Clock,
    Subtitle,
    Teletext,
    Scte35,
    Data,
    Ecm,
}

impl Name {
    /// Its limit may be any time, but not none.
    const fn is_needed(self) -> bool {
        matches!(self, Self::Pat | Self::Pmt | Self::Cat | Self::Unreferenced)
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, time) = text
            .split_once('=')
            .ok_or("write NAME=TIME, such as sdt=2s")?;
        let name = Name::from_str(name, false).map_err(|_| {
            let all = Name::value_variants().iter();
            let all = all.filter_map(|n| Some(n.to_possible_value()?.get_name().to_owned()));
            format!(
                "'{name}' has no limit; write one of {}",
                all.collect::<Vec<_>>().join(", ")
            )
        })?;
        let time = match time {
            "never" if name.is_needed() => {
                return Err("this limit may be long, and not `never`".to_owned());
            }
            "never" => None,
            _ if name == Name::EitSchedule => {
                return Err("schedules have a limit for each day; write eit-schedule=never".into());
            }
            time => Some(time.parse::<Ticks27M>().map_err(|e| e.to_string())?),
        };
        if time.is_some_and(|time| time <= Ticks27M::ZERO) {
            return Err("a limit is longer than no time".to_owned());
        }
        Ok(Self { name, time })
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl LimitArgs {
    /// The limits that the checks go by: those of a profile, then those of the command line.
    pub(super) fn tables(&self, profile: &[Limit]) -> TableLimits {
        let mut limits = TableLimits::new(match self.delivery {
            DeliveryChoice::Satellite | DeliveryChoice::Cable => Delivery::SatelliteOrCable,
            DeliveryChoice::Terrestrial => Delivery::Terrestrial,
        });
        if self.expect_si {
            limits.expect_si = ExpectSi::Always;
        }
        for pid in &self.private_pid {
            limits.declared.insert(*pid);
        }
        for Limit { name, time } in profile.iter().chain(&self.limits) {
            let needed = time.unwrap_or(Ticks27M::MAX);
            match name {
                Name::Pat => limits.pat = needed,
                Name::Pmt => limits.pmt = needed,
                Name::Cat => limits.cat = needed,
                Name::Unreferenced => limits.unreferenced = needed,
                Name::Nit => limits.nit_actual = *time,
                Name::NitOther => limits.nit_other = *time,
                Name::Sdt => limits.sdt_actual = *time,
                Name::SdtOther => limits.sdt_other = *time,
                Name::Eit => limits.eit_actual = *time,
                Name::EitOther => limits.eit_other = *time,
                Name::EitSchedule => limits.eit_schedule = time.is_some(),
                Name::Bat => limits.bat = *time,
                Name::Tdt => limits.tdt = *time,
                Name::Tot => limits.tot = *time,
                Name::Video => limits.absence.video = *time,
                Name::Audio => limits.absence.audio = *time,
                Name::Clock => limits.absence.clock = *time,
                Name::Subtitle => limits.absence.subtitle = *time,
                Name::Teletext => limits.absence.teletext = *time,
                Name::Scte35 => limits.absence.scte35 = *time,
                Name::Data => limits.absence.data = *time,
                Name::Ecm => limits.absence.ecm = *time,
            }
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn parse(words: &[&str]) -> Result<TableLimits, String> {
        let words = ["x"].iter().chain(words);
        let line = Line::try_parse_from(words).map_err(|e| e.to_string())?;
        Ok(line.limits.tables(&[]))
    }

    #[test]
    fn each_option_reaches_its_limit() {
        let limits = parse(&[
            "--delivery",
            "terrestrial",
            "--expect-si",
            "--private-pid",
            "0x1000",
            "--limit",
            "nit=never",
            "--limit=sdt-other=12s",
            "--limit=teletext=10s",
            "--limit=pat=100ms",
        ])
        .unwrap();
        assert_eq!(
            (limits.delivery, limits.expect_si),
            (Delivery::Terrestrial, ExpectSi::Always)
        );
        assert_eq!(limits.eit_other, Some(Ticks27M::SECOND * 20));
        assert!(limits.declared.contains(Pid::from_field(0x1000)));
        assert_eq!(
            (limits.nit_actual, limits.pat),
            (None, Ticks27M::from_millis(100))
        );
        assert_eq!(limits.sdt_other, Some(Ticks27M::SECOND * 12));
        assert_eq!(limits.absence.teletext, Some(Ticks27M::SECOND * 10));
        let usual = parse(&[]).unwrap();
        assert_eq!(
            (usual.delivery, usual.expect_si),
            (Delivery::SatelliteOrCable, ExpectSi::OnceAny)
        );
    }

    #[test]
    fn what_is_no_limit_is_refused_with_what_is() {
        for (words, hint) in [
            ("sdt", "NAME=TIME"),
            ("sdt=2", "is not"),
            ("sdt=0s", "longer than no time"),
            ("std=2s", "nit-other"),
            ("pat=never", "not `never`"),
            ("eit-schedule=10s", "eit-schedule=never"),
        ] {
            let error = parse(&["--limit", words]).err().unwrap_or_default();
            assert!(error.contains(hint), "{words}: {error}");
        }
    }
}
