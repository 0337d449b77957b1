//! Man pages and completions are rendered from the command lines and compared with the committed
//! files; `BLESS=1` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use headend::tools;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares, or writes under `BLESS=1`; gives what is wrong.
fn check(path: &Path, rendered: &[u8]) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, rendered).unwrap();
        return None;
    }
    let committed = fs::read(path).unwrap_or_default();
    (committed != rendered).then(|| format!("{} is not current: run scripts/bless", path.display()))
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
}

/// A line for the tool, and one for each of its subcommands.
fn synopsis(command: &Command, page: &mut Roff) {
    let name = command.get_name();
    let whole = (!command.is_subcommand_required_set()).then(|| (name.to_owned(), command));
    let parts = subcommands(command).map(|sub| (format!("{name} {}", sub.get_name()), sub));
    page.control("SH", ["SYNOPSIS"]);
    for (name, command) in whole.into_iter().chain(parts) {
        let usage = command.clone().bin_name(&name).render_usage().to_string();
        let usage = usage
            .trim_start_matches("Usage:")
            .split_whitespace()
            .collect::<Vec<_>>();
        let usage = usage.join(" ");
        let rest = usage.strip_prefix(&name).unwrap_or(&usage).to_owned();
        page.text([bold(name), roman(rest)]);
        page.control("br", []);
    }
}

/// Paragraphs, examples (`$ ` lines and what they print, indented), tables (lines with columns) and
/// headings of a manual.
fn manual(text: &str, page: &mut Roff) {
    let mut example = false;
    let mut paragraph = false;
    for line in text.lines() {
        let columns = line.trim().contains("   ");
        let command = line.trim_start().starts_with("$ ");
        let code = command || columns || example && line.starts_with("    ");
        if example && !code {
            page.control("EE", []);
            paragraph = false;
        }
        if line.trim().is_empty() {
            paragraph = true;
        } else if let Some(heading) = line.strip_suffix(':').filter(|l| !l.starts_with(' ')) {
            page.control("SH", [heading.to_uppercase().as_str()]);
            paragraph = false;
        } else if code {
            if !example {
                page.control("PP", []);
                page.control("EX", []);
            }
            page.text([roman(line)]);
        } else {
            if std::mem::take(&mut paragraph) {
                page.control("PP", []);
            }
            page.text([roman(line.trim())]);
        }
        example = code;
    }
    if example {
        page.control("EE", []);
    }
}

/// What stands behind the one line that is the NAME section already.
fn description(command: &Command) -> String {
    let long = command
        .get_long_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    match long.split_once("\n\n") {
        Some((_, rest)) => rest.to_owned(),
        None => command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

fn man_page(tool: &tools::Tool) -> Vec<u8> {
    let command = (tool.command)().version(VERSION);
    let after = command
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let about = description(&command);
    let mut command = command.after_long_help("").after_help("");
    command.build();
    let man = Man::new(command.clone())
        .section("1")
        .date("")
        .source(format!("headend {VERSION}"))
        .manual("headend");
    let mut out = Vec::new();
    man.render_title(&mut out).unwrap();
    man.render_name_section(&mut out).unwrap();
    let mut page = Roff::new();
    synopsis(&command, &mut page);
    page.control("SH", ["DESCRIPTION"]);
    manual(&about, &mut page);
    page.to_writer(&mut out).unwrap();
    man.render_options_section(&mut out).unwrap();
    for sub in subcommands(&command) {
        let mut page = Roff::new();
        page.control(
            "SH",
            [format!("{} {}", tool.name, sub.get_name())
                .to_uppercase()
                .as_str()],
        );
        let about = sub
            .get_long_about()
            .or(sub.get_about())
            .map(ToString::to_string);
        manual(&about.unwrap_or_default(), &mut page);
        page.to_writer(&mut out).unwrap();
        let mut options = Vec::new();
        Man::new(sub.clone())
            .render_options_section(&mut options)
            .unwrap();
        let options = String::from_utf8(options).unwrap();
        out.extend(options.replacen(".SH OPTIONS\n", "", 1).into_bytes());
    }
    let mut page = Roff::new();
    manual(&after, &mut page);
    page.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in [
        (
            "0",
            "Done; also after SIGINT or SIGTERM, and when the reader of stdout went away.",
        ),
        ("1", "The verdict is no, or nothing matched."),
        (
            "2",
            "Wrong usage or configuration: a supervisor should not restart.",
        ),
        ("3", "Failed while running: a supervisor should restart."),
    ] {
        page.control("TP", []);
        page.text([bold(status)]);
        page.text([roman(meaning)]);
    }
    page.control("SH", ["SEE ALSO"]);
    let others = tools::ALL
        .iter()
        .map(|t| t.name)
        .filter(|n| *n != tool.name);
    page.text([roman(
        others
            .map(|n| format!("{n}(1)"))
            .collect::<Vec<_>>()
            .join(", "),
    )]);
    page.to_writer(&mut out).unwrap();
    out
}

#[test]
fn man_pages_and_completions_are_current() {
    let mut wrong = Vec::new();
    for tool in tools::ALL {
        let name = tool.name;
        wrong.extend(check(
            &root().join(format!("man/{name}.1")),
            &man_page(tool),
        ));
        for (shell, file) in [
            (Shell::Bash, format!("completions/bash/{name}")),
            (Shell::Zsh, format!("completions/zsh/_{name}")),
            (Shell::Fish, format!("completions/fish/{name}.fish")),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut (tool.command)(), name, &mut script);
            wrong.extend(check(&root().join(file), &script));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
    let mut stems = BTreeSet::new();
    for entry in fs::read_dir(root().join(folder)).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == extension) {
            stems.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    stems
}

/// clap joins the lines of a doc comment unless it is told that they are as they should be.
#[test]
fn every_manual_shows_its_examples() {
    for tool in tools::ALL {
        let page = String::from_utf8(man_page(tool)).unwrap();
        assert!(
            page.contains("\n.EX\n") && !page.contains("```"),
            "{}: give `Args` an example and #[command(verbatim_doc_comment)]",
            tool.name
        );
    }
}

#[test]
fn every_tool_has_its_row_its_binary_its_page_and_its_tests() {
    let rows: BTreeSet<String> = tools::ALL.iter().map(|t| t.name.to_owned()).collect();
    let mut files = stems("src/tools", "rs");
    files.remove("mod");
    assert_eq!(stems("src/bin", "rs"), rows, "src/bin");
    assert_eq!(files, rows, "src/tools");
    assert_eq!(stems("man", "1"), rows, "man");
    assert!(
        rows.is_subset(&stems("tests/it", "rs")),
        "tests/it has not a file for each of {rows:?}"
    );
}

/// Every option has a help line whose first line ends without a full stop.
#[test]
fn every_option_is_explained() {
    fn walk(command: &Command, wrong: &mut Vec<String>) {
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            if help.is_empty() || help.ends_with('.') {
                wrong.push(format!(
                    "{}: {}: '{help}'",
                    command.get_name(),
                    arg.get_id()
                ));
            }
        }
        command.get_subcommands().for_each(|sub| walk(sub, wrong));
    }
    let mut wrong = Vec::new();
    for tool in tools::ALL {
        let command = (tool.command)();
        command.clone().debug_assert();
        walk(&command, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
