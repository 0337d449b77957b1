//! What the documents say about options is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use headend::tools;

fn options(command: &clap::Command, found: &mut BTreeSet<String>) {
    for arg in command.get_arguments() {
        found.extend(arg.get_long().map(str::to_owned));
    }
    command
        .get_subcommands()
        .for_each(|sub| options(sub, found));
}

/// The `--words` of a line, each with the tools that it can be an option of: the one named last
/// before it, or all of the line's. A command after a pipe that is none of ours has its own.
fn mentioned<'a>(line: &'a str, names: &[&'a str]) -> Vec<(&'a str, Vec<&'a str>)> {
    let bare = |word: &'a str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let words = || line.split_whitespace();
    let mut owners: Vec<&str> = words().map(bare).filter(|w| names.contains(w)).collect();
    let table = line.starts_with('|');
    let mut piped = false;
    let mut found = Vec::new();
    for word in words() {
        let name = bare(word);
        if names.contains(&name) {
            owners = vec![name];
        } else if piped && !table {
            owners.clear();
        }
        piped = word == "|";
        let option = name
            .strip_prefix("--")
            .map(|o| o.split('=').next().unwrap());
        let option = option.filter(|o| o.starts_with(|c: char| c.is_ascii_lowercase()));
        if let Some(option) = option.filter(|_| !owners.is_empty()) {
            found.push((option, owners.clone()));
        }
    }
    found
}

#[test]
fn every_option_in_the_documents_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known: BTreeMap<&str, BTreeSet<String>> = tools::ALL
        .iter()
        .map(|tool| {
            let mut known = ["help", "version"].map(str::to_owned).into();
            options(&(tool.command)(), &mut known);
            (tool.name, known)
        })
        .collect();
    let names: Vec<&str> = known.keys().copied().collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "GLOSSARY.md",
    ] {
        let text = fs::read_to_string(root.join(document))
            .unwrap_or_else(|e| panic!("cannot read {document}: {e}"));
        for (at, line) in text.lines().enumerate() {
            for (option, owners) in mentioned(line, &names) {
                seen += 1;
                if !owners.iter().any(|tool| known[tool].contains(option)) {
                    let owners = owners.join(", ");
                    wrong.push(format!("{document}:{}: {owners} has no --{option}", at + 1));
                }
            }
        }
    }
    assert!(seen > 5, "the documents were not understood");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn options_belong_to_the_tool_before_them() {
    let line = "tscut /var/tsring/one --from x | ffmpeg --y | `tsrecv --pace=1`";
    let expected = [("from", vec!["tscut"]), ("pace", vec!["tsrecv"])];
    assert_eq!(mentioned(line, &["tscut", "tsrecv", "tsring"]), expected);
}
