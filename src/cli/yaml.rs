//! Configuration files in YAML, read strictly: a key that is unknown or stands twice is an error,
//! and every error has its line and column.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Error;

/// Bytes of a configuration file at most.
const MAX_BYTES: u64 = 4 << 20;

/// Reads the file `path`.
///
/// `T` refuses unknown keys by `#[serde(deny_unknown_fields)]`.
///
/// # Errors
/// When it cannot be read, is over 4 MiB, or is not what is wanted: wrong configuration.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let name = path.display();
    let read = || {
        let size = std::fs::metadata(path)?.len();
        if size > MAX_BYTES {
            return Err(std::io::Error::other("it is over 4 MiB"));
        }
        std::fs::read_to_string(path)
    };
    let text = read()
        .with_context(|| format!("cannot read '{name}'"))
        .map_err(Error::usage)?;
    parse(&text).map_err(|said| Error::usage(anyhow!("'{name}' {said}")))
}

/// Reads `text`; the error is `line 3, column 5: what is wrong`.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    // The library takes the last of two equal keys of a map, and places those of a structure at
    // its start: they are looked for first.
    let unique = Unique.deserialize(serde_yaml::Deserializer::from_str(text));
    unique.map_err(|e| said(&e))?;
    serde_yaml::from_str(text).map_err(|e| said(&e))
}

fn said(e: &serde_yaml::Error) -> String {
    let words = e.to_string();
    let Some(place) = e.location() else {
        return format!("as a whole: {words}");
    };
    let (line, column) = (place.line(), place.column());
    let tail = format!(" at line {line} column {column}");
    let words = words.replacen(&tail, "", 1);
    format!("line {line}, column {column}: {words}")
}

/// Walks over any document and finds keys that stand twice in one map.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut known = HashSet::new();
        while map.next_key_seed(Key(&mut known))?.is_some() {
            map.next_value_seed(Self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }

    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

/// A key of a map, as it is written.
struct Key<'k>(&'k mut HashSet<String>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<(), E> {
        match self.0.insert(key.to_owned()) {
            true => Ok(()),
            false => Err(E::custom(format_args!("the key '{key}' stands twice"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::units::{BitRate, parsed};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        name: String,
        #[serde(default)]
        list: Vec<Item>,
        #[serde(default)]
        map: BTreeMap<String, Item>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        id: u16,
        #[serde(default, deserialize_with = "parsed")]
        rate: BitRate,
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_column() {
        for (text, place, words) in [
            (
                "name: x\nlist:\n  - id: 3\n    rat: 5\n",
                "line 4, column 5",
                "unknown field `rat`",
            ),
            (
                "name: x\nlist:\n  - id: 3\n    rate: fast\n",
                "line 4, column 11",
                "'fast' is not a bit rate",
            ),
            (
                "name: x\nlist:\n  - id: 3\n    id: 4\n",
                "line 4, column 5",
                "the key 'id' stands twice",
            ),
            (
                "name: x\nmap:\n  a: {id: 3}\n  a: {id: 4}\n",
                "line 4, column 3",
                "the key 'a' stands twice",
            ),
            (
                "name: x\nname: y\n",
                "line 2, column 1",
                "the key 'name' stands twice",
            ),
            (
                "name: x\nlist:\n  - id: 99999\n",
                "line 3, column 9",
                "expected u16",
            ),
            (
                "name: x\nlist:\n  - rate: 5M\n",
                "line 3, column 5",
                "missing field `id`",
            ),
            ("name: [x\n", "line 2, column 1", "expected ',' or ']'"),
            ("", "line 1, column 1", "missing field `name`"),
            (
                "name: x\n---\nname: y\n",
                "as a whole",
                "more than one document",
            ),
        ] {
            let said = parse::<Wanted>(text).unwrap_err();
            assert!(
                said.starts_with(place) && said.contains(words),
                "{text:?}: {said}"
            );
        }
    }

    #[test]
    fn units_are_read_as_operators_write_them() {
        let text = "name: x\nmap: {a: {id: 0x10, rate: 4500k}, b: {id: 2, rate: 1200}}\n";
        let read: Wanted = parse(text).unwrap();
        assert_eq!(
            read.map["a"],
            Item {
                id: 16,
                rate: BitRate::new(4_500_000)
            }
        );
        assert_eq!(read.map["b"].rate, BitRate::new(1200));
    }
}
