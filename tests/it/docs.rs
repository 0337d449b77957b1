//! What the documents say about options is true.

use std::collections::BTreeSet;
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

/// The `--words` of a line that names one of our tools, outside of other programs' commands.
fn mentioned(line: &str) -> Vec<&str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

#[test]
fn every_option_in_the_documents_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known: BTreeSet<String> = ["help", "version"].map(str::to_owned).into();
    tools::ALL
        .iter()
        .for_each(|tool| options(&(tool.command)(), &mut known));
    let names: Vec<&str> = tools::ALL.iter().map(|tool| tool.name).collect();
    let mut wrong = Vec::new();
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "GLOSSARY.md",
    ] {
        let text = fs::read_to_string(root.join(document)).unwrap_or_default();
        for (at, line) in text.lines().enumerate() {
            if !names.iter().any(|name| line.contains(name)) {
                continue;
            }
            for word in mentioned(line)
                .into_iter()
                .filter(|word| !known.contains(*word))
            {
                wrong.push(format!("{document}:{}: no tool has --{word}", at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
