//! The events that the manuals name are those that the tools say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use headend::tools;

use crate::layers::sources;

/// Whose manual has the events of a file or folder of `src`: the first that fits.
const MANUALS: &[(&str, Option<&str>)] = &[
    ("ring/", Some("tsring")),
    ("cut/", Some("tscut")),
    ("switch/", Some("tsfallback")),
    ("tools/tsfallback/", Some("tsfallback")),
    ("tools/tsmon/", Some("tsmon")),
    ("route/", Some("tsrecv")),
    ("tools/tsrecv/", Some("tsrecv")),
    ("io/hook.rs", Some("tsmon")),
    ("cli/unwritten.rs", Some("tsmon")),
    ("io/pass.rs", Some("tsmon")),
    ("io/", Some("tsrecv")),
    // Heard by other machines, which say something of their own.
    ("stream/merge/", None),
    ("stream/programs/", None),
    ("stream/sections.rs", None),
    ("stream/continuity.rs", None),
    ("stream/", Some("tsrecv")),
    // Checks and alarms: `monitor::check` has their table.
    ("monitor/", None),
];

/// The events that a file may say: the words in `name` of its `Event`.
fn said(text: &str) -> Vec<&str> {
    let Some((_, implemented)) = text.split_once("impl Event for ") else {
        return Vec::new();
    };
    let (_, name) = implemented
        .split_once("fn name(&self) -> &'static str {")
        .unwrap();
    let (name, _) = name.split_once("\n    }\n").unwrap();
    name.split('"').skip(1).step_by(2).collect()
}

/// The words of the EVENTS section of a manual that are names.
fn named(tool: &tools::Tool) -> BTreeSet<String> {
    let manual = (tool.command)().get_after_long_help().unwrap().to_string();
    let section = manual
        .lines()
        .skip_while(|line| !line.eq_ignore_ascii_case("events:"))
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with("  "));
    let text = section.collect::<Vec<_>>().join("\n");
    let words = text.split('`').skip(1).step_by(2);
    words
        .filter(|word| !word.starts_with("--"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_event_stands_in_the_manual_of_its_tool_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut said_by: Vec<(&str, String)> = Vec::new();
    let mut files = Vec::new();
    sources(&root, &mut files);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap();
        for name in said(&text) {
            let place = MANUALS.iter().find(|(place, _)| file.starts_with(place));
            let (_, tool) = place.unwrap_or_else(|| panic!("{file}: whose event is {name}?"));
            said_by.extend(tool.map(|tool| (tool, name.to_owned())));
        }
    }
    assert!(said_by.len() > 60, "{} events", said_by.len());
    for tool in tools::ALL {
        let own = said_by.iter().filter(|(who, _)| *who == tool.name);
        let own: BTreeSet<String> = own.map(|(_, name)| name.clone()).collect();
        // Inputs and outputs are those of tsrecv, files and commands that are told those of tsmon.
        let said = |name: &str| {
            let who =
                |(who, said): &(&str, String)| ["tsrecv", "tsmon"].contains(who) && said == name;
            own.contains(name) || said_by.iter().any(who)
        };
        let named = named(tool);
        let unnamed: Vec<_> = own.difference(&named).collect();
        assert!(unnamed.is_empty(), "{} has no {unnamed:?}", tool.name);
        let unsaid: Vec<_> = named.iter().filter(|name| !said(name)).collect();
        assert!(unsaid.is_empty(), "{} never says {unsaid:?}", tool.name);
    }
}
