//! The layers and invariants of ARCHITECTURE.md, read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. A module uses its own layer and those before it; the domain machines, which
/// share a row, do not use one another.
const LAYERS: &[&[&str]] = &[
    &["units"],
    &["ts"],
    &["si"],
    &["stream"],
    &["ring", "route", "cut", "monitor"],
    &["switch"],
    &["io"],
    &["cli"],
    &["tools"],
    &["bin"],
];

/// Words that reach the outside world.
const OUTSIDE: &[&str] = &[
    "std::net",
    "std::env",
    "std::process",
    "io::stdin",
    "io::stdout",
    "io::stderr",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "println!",
    "nix::",
    "libc::",
];

/// Layers without clock, socket, log or environment.
const PURE: &[&str] = &[
    "units", "ts", "si", "stream", "ring", "route", "cut", "monitor", "switch",
];

/// `ring`'s storage on real files: the one place below `io` that touches the outside.
const STORAGE: &str = "ring/disk.rs";

/// A line of code, tests and comments left out.
struct Line {
    layer: String,
    file: String,
    number: usize,
    text: String,
}

impl Line {
    fn says(&self, what: &str) -> String {
        format!(
            "src/{}:{}: {what}: {}",
            self.file,
            self.number,
            self.text.trim()
        )
    }
}

/// The source files in a folder and in those within it.
pub fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn code() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut lines = Vec::new();
    for path in files {
        let file = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if file == "lib.rs" || file.ends_with("tests.rs") || file.contains("/tests/") {
            continue;
        }
        let layer = file.split(['/', '.']).next().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text
            .lines()
            .take_while(|l| !l.trim_start().starts_with("#[cfg(test)]"));
        for (at, line) in code
            .enumerate()
            .filter(|(_, l)| !l.trim_start().starts_with("//"))
        {
            let (layer, file) = (layer.clone(), file.clone());
            lines.push(Line {
                layer,
                file,
                number: at + 1,
                text: line.to_owned(),
            });
        }
    }
    assert!(lines.len() > 1000, "the sources were not found");
    lines
}

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&layer))
}

/// The identifiers that follow `prefix` in a line.
fn after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let word = |part: &'a str| {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &part[..end.unwrap_or(part.len())]
    };
    line.split(prefix).skip(1).map(word).collect()
}

#[test]
fn a_module_uses_only_what_stands_before_it() {
    let mut wrong = Vec::new();
    for line in code() {
        let mine = rank(&line.layer).unwrap_or_else(|| panic!("no layer: src/{}", line.file));
        for other in [after(&line.text, "crate::"), after(&line.text, "headend::")].concat() {
            let Some(theirs) = rank(other) else { continue };
            if theirs > mine || theirs == mine && other != line.layer {
                wrong.push(line.says(&format!("{} uses {other}", line.layer)));
            }
        }
        // A line each: what stands in braces on lines of their own is not seen here.
        if ["crate::{", "headend::{"]
            .iter()
            .any(|open| line.text.contains(open))
        {
            wrong.push(line.says("write a `use` for each layer"));
        }
        let tool = line
            .file
            .trim_start_matches("tools/")
            .trim_end_matches(".rs");
        for other in after(&line.text, "tools::") {
            if line.layer == "tools" && tool != "mod" && other != tool && other.starts_with("ts") {
                wrong.push(line.says(&format!("{tool} uses {other}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn machines_know_no_clock_socket_file_or_log() {
    let mut wrong = Vec::new();
    for line in code()
        .iter()
        .filter(|l| PURE.contains(&l.layer.as_str()) && l.file != STORAGE)
    {
        let files = ["std::fs", "File::open"].iter();
        for word in OUTSIDE
            .iter()
            .chain(files)
            .filter(|word| line.text.contains(**word))
        {
            wrong.push(line.says(&format!("{} knows {word}", line.layer)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stderr_and_the_exit_status_stand_in_one_place_each() {
    let places: &[(&[&str], &str)] = &[
        (&["unsafe ", "unsafe_code"], "io/sys.rs"),
        (&["process::exit", "ExitCode::from"], "cli/mod.rs"),
        (&["io::stderr()", "eprint"], "cli/"),
    ];
    let mut wrong = Vec::new();
    for line in code() {
        for (words, place) in places {
            let word = words.iter().find(|word| line.text.contains(**word));
            if let Some(word) = word.filter(|_| !line.file.starts_with(place)) {
                wrong.push(line.says(&format!("{word} belongs in src/{place}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
