//! Which services go where: `--service`, and the file of `--routes`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::anyhow;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::Args;
use crate::cli::{Error, yaml};
use crate::io::{Endpoint, is_same_file};
use crate::route::{Order, PidMap, Selection, SiMode};
use crate::si::ServiceId;
use crate::ts::Pid;
use crate::units::parsed;

/// What `{}` may hold in an output of `*`.
const KNOWN: &str = "{sid}, {sid_high} and {sid_low}";

/// Where a route goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// To one endpoint.
    One(Endpoint),
    /// Each service to one of its own, by its id.
    Each(String),
}

impl Output {
    /// The endpoint of a service; what is wrong with it, where there is none.
    pub(super) fn endpoint(&self, only: Option<ServiceId>) -> Result<Endpoint, String> {
        match (self, only) {
            (Self::One(endpoint), _) => Ok(endpoint.clone()),
            (Self::Each(text), Some(ServiceId(id))) => fill(text, id).parse().map_err(|e| {
                let e: crate::io::ParseEndpointError = e;
                e.to_string()
            }),
            (Self::Each(text), None) => Err(format!("'{text}' is for the services of '*'")),
        }
    }
}

/// The text for a service: `{sid}` is its id, `{sid_high}` and `{sid_low}` the two bytes of it.
fn fill(text: &str, id: u16) -> String {
    let [high, low] = id.to_be_bytes();
    text.replace("{sid}", &id.to_string())
        .replace("{sid_high}", &high.to_string())
        .replace("{sid_low}", &low.to_string())
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let filled = fill(text, 1);
        // What is wrong with the one is wrong with all.
        let endpoint = filled.parse::<Endpoint>().map_err(|e| e.to_string())?;
        match filled == text {
            true => Ok(Self::One(endpoint)),
            false => Ok(Self::Each(text.to_owned())),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(endpoint) => endpoint.fmt(f),
            Self::Each(text) => f.write_str(text),
        }
    }
}

/// A service and where it goes: `SEL=OUTPUT`.
#[derive(Clone, Debug)]
pub(super) struct ServiceChoice {
    service: Selection,
    output: Output,
}

impl FromStr for ServiceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = text.split_once('=');
        let (service, output) = pair.ok_or("write SEL=OUTPUT, as 258=udp://239.0.0.1:1234")?;
        let (service, output) = (service.parse()?, output.parse()?);
        fits(&service, &output)?;
        Ok(Self { service, output })
    }
}

/// Many services want many outputs, and one wants one.
fn fits(service: &Selection, output: &Output) -> Result<(), String> {
    match (service, output) {
        (Selection::Every, Output::One(endpoint)) => Err(format!(
            "'{endpoint}' is one output for every service of '*': put {KNOWN} into it"
        )),
        (Selection::One(_), Output::Each(text)) => Err(format!(
            "'{text}' is many outputs for one service: {KNOWN} belong to '*'"
        )),
        _ => Ok(()),
    }
}

/// A route as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteItem {
    #[serde(deserialize_with = "parsed")]
    service: Selection,
    #[serde(deserialize_with = "parsed")]
    output: Output,
    si: Option<SiMode>,
    drop_ca: Option<bool>,
    #[serde(default, deserialize_with = "pid_map")]
    pids: PidMap,
}

/// The file of `--routes`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoutesFile {
    si: Option<SiMode>,
    drop_ca: Option<bool>,
    #[serde(deserialize_with = "route_items")]
    routes: Vec<RouteItem>,
}

/// Routes whose outputs are their own, each wrong one where it stands.
fn route_items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RouteItem>, D::Error> {
    struct Items;
    impl<'de> Visitor<'de> for Items {
        type Value = Vec<RouteItem>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of routes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items: Vec<RouteItem> = Vec::new();
            while let Some(item) = seq.next_element_seed(Next(&items))? {
                items.push(item);
            }
            Ok(items)
        }
    }
    deserializer.deserialize_seq(Items)
}

/// The route after these.
struct Next<'a>(&'a [RouteItem]);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = RouteItem;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RouteItem, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Next<'_> {
    type Value = RouteItem;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a route: a service and an output")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RouteItem, A::Error> {
        let item = RouteItem::deserialize(MapAccessDeserializer::new(map))?;
        fits(&item.service, &item.output).map_err(A::Error::custom)?;
        let output = &item.output;
        match self.0.iter().any(|other| other.output == *output) {
            true => Err(A::Error::custom(format_args!(
                "another route goes to '{output}' too"
            ))),
            false => Ok(item),
        }
    }
}

fn pid_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PidMap, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct OnePid(#[serde(deserialize_with = "parsed")] Pid);
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = PidMap;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("PIDs and what they become, as {0x100: 0x200}")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PidMap, A::Error> {
            let mut pairs = Vec::new();
            while let Some((OnePid(from), OnePid(to))) = map.next_entry()? {
                pairs.push((from, to));
                PidMap::new(pairs.iter().copied()).map_err(A::Error::custom)?;
            }
            PidMap::new(pairs).map_err(A::Error::custom)
        }
    }
    deserializer.deserialize_map(Pairs)
}

/// What is to be done, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) order: Order,
    pub(super) output: Output,
}

impl Wanted {
    /// An endpoint of this kind: the output, or that of some service.
    pub(super) fn example(&self) -> Option<Endpoint> {
        self.output.endpoint(Some(ServiceId(1))).ok()
    }
}

/// The routes of the command line, then those of the file.
///
/// # Errors
/// When the file cannot be read or is wrong, or two routes have one output.
pub(super) fn wanted(args: &Args) -> Result<Vec<Wanted>, Error> {
    let mut all: Vec<Wanted> = args
        .service
        .iter()
        .map(|choice| of_choice(args, choice))
        .collect();
    if let Some(path) = &args.routes {
        all.extend(load(args, path)?);
    }
    let input = args.input.as_ref().or(args.input_operand.as_ref());
    for (n, wanted) in all.iter().enumerate() {
        let output = &wanted.output;
        let example = wanted.example();
        if let (Some(input), Some(example)) = (input, &example)
            && is_same_file(input, example)
        {
            let error = anyhow!("'{input}' is both input and output");
            return Err(Error::usage(error).hint("write to another file"));
        }
        if all.iter().take(n).any(|other| other.output == *output) {
            let error = anyhow!("two routes go to '{output}'");
            return Err(Error::usage(error).hint("each service needs an output of its own"));
        }
    }
    Ok(all)
}

fn of_choice(args: &Args, choice: &ServiceChoice) -> Wanted {
    Wanted {
        order: Order {
            selection: choice.service.clone(),
            si: args.si.into(),
            pids: PidMap::default(),
            drop_ca: args.drop_ca,
        },
        output: choice.output.clone(),
    }
}

fn load(args: &Args, path: &Path) -> Result<Vec<Wanted>, Error> {
    let file: RoutesFile = yaml::load(path)?;
    let si = file.si.unwrap_or(args.si.into());
    let drop_ca = file.drop_ca.unwrap_or(args.drop_ca);
    let items = file.routes.into_iter().map(|item| Wanted {
        order: Order {
            selection: item.service,
            si: item.si.unwrap_or(si),
            pids: item.pids,
            drop_ca: item.drop_ca.unwrap_or(drop_ca),
        },
        output: item.output,
    });
    Ok(items.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match yaml::parse::<RoutesFile>(text) {
            Ok(file) => panic!("{file:?}"),
            Err(said) => said,
        }
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_where_it_stands() {
        let head = "routes:\n  - service: 1\n    output: udp://239.0.0.1:1\n";
        for (text, place, words) in [
            ("", "line 3, column 13", "'0' is no port"),
            ("    pid: {}\n", "line 4, column 5", "unknown field `pid`"),
            (
                "    si: some\n",
                "line 4, column 9",
                "unknown variant `some`",
            ),
            (
                "    pids: {0x100: 0x5}\n",
                "line 4",
                "0x0005 is no PID to map",
            ),
            (
                "    pids: {1: 2, 3: 4}\n",
                "line 4",
                "0x0001 is no PID to map",
            ),
            (
                "    pids: {0x100: 0x300, 0x200: 0x300}\n",
                "line 4",
                "two PIDs would become 0x0300",
            ),
            ("    pids: {0x100: 9000}\n", "line 4", "'9000' is not a PID"),
            (
                "  - service: two\n    output: udp://239.0.0.1:1\n",
                "line 4, column 5",
                "another route goes to 'udp://239.0.0.1:1' too",
            ),
            (
                "  - service: \"*\"\n    output: udp://239.0.0.2:1\n",
                "line 4, column 5",
                "'udp://239.0.0.2:1' is one output for every service",
            ),
            (
                "  - service: 7\n    output: udp://239.0.0.2:{sid}\n",
                "line 4, column 5",
                "is many outputs for one service",
            ),
            ("  - output: \"-\"\n", "line 4", "missing field `service`"),
        ] {
            let text = match text {
                "" => head.replace(":1\n", ":0\n"),
                text => format!("{head}{text}"),
            };
            let said = said(&text);
            assert!(said.starts_with(place), "{text}{said}");
            assert!(said.contains(words), "{text}{said}");
        }
        assert!(said("si: own\n").contains("missing field `routes`"));
    }

    #[test]
    fn an_output_of_each_service_is_made_of_its_id() {
        let output: Output = "udp://239.1.{sid_high}.{sid_low}:{sid}".parse().unwrap();
        let endpoint = output.endpoint(Some(ServiceId(0x1234))).unwrap();
        assert_eq!(endpoint.to_string(), "udp://239.1.18.52:4660");
        let output: Output = "udp://239.1.1.{sid}:5000".parse().unwrap();
        assert!(output.endpoint(Some(ServiceId(300))).is_err());
        let choice = "*=/tmp/{sid}.ts".parse::<ServiceChoice>().unwrap();
        assert_eq!(choice.service, Selection::Every);
        let one = "0x102=exec:a=b".parse::<ServiceChoice>().unwrap();
        assert_eq!(one.output.to_string(), "exec:a=b", "the first = splits");
        for text in ["258", "=x.ts", "*=x.ts", "7={sid}.ts", "7=udp://1.2.3.4"] {
            assert!(text.parse::<ServiceChoice>().is_err(), "{text}");
        }
    }
}
