//! The JSON report of `tsmon` has no key that its manual does not name.

use std::collections::BTreeSet;
use std::fs;

use headend::tools;
use headend::ts::Packet;
use serde_json::Value;

use crate::harness::{Run, captures};
use crate::healthy::Healthy;

/// The words of the section JSON of the manual.
fn words_of_the_manual() -> BTreeSet<String> {
    let tool = tools::ALL.iter().find(|tool| tool.name == "tsmon").unwrap();
    let manual = (tool.command)().get_after_long_help().unwrap().to_string();
    let section = manual.split_once("\nJSON:\n").unwrap().1;
    let section = section.split_once("\nPROFILES:\n").unwrap().0;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = section.split(|c| !is_word(c)).filter(|w| !w.is_empty());
    words.map(str::to_owned).collect()
}

/// The keys of every object; those of `checks` are names of checks.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                match (key.as_str(), value) {
                    ("checks", Value::Object(checks)) => {
                        checks.values().for_each(|check| keys(check, found));
                    }
                    _ => keys(value, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_a_report_is_in_the_manual() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("healthy.ts");
    // 10 Mb/s: 4060 ticks a packet, in 27 MHz 188 * 8 * 2.7.
    let packets = Healthy::seconds(4060, 20);
    fs::write(&plain, Packet::bytes_of(&packets)).unwrap();
    // With arrivals there is a network to speak of.
    let plain = plain.display().to_string();
    let timed = Run::new("tsrecv").args(["--timed", &plain]).run();
    let mut streams = vec![timed.expect(0, &[]).stdout];
    streams.extend(captures().iter().map(|capture| fs::read(capture).unwrap()));
    let mut found = BTreeSet::new();
    for stream in streams {
        let run = Run::new("tsmon").args(["--quiet", "--report", "json"]);
        let report = run.stdin(stream).run().stdout;
        keys(&serde_json::from_slice(&report).unwrap(), &mut found);
    }
    // What the stream shows at least.
    for some in [
        "mlr_by_continuity",
        "rms_ns",
        "leak_bps",
        "gops",
        "limit_ms",
    ] {
        assert!(found.contains(some), "{some}");
    }
    let manual = words_of_the_manual();
    let missing: Vec<_> = found.difference(&manual).collect();
    assert!(missing.is_empty(), "not in the manual: {missing:?}");
}
