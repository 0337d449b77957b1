//! The units: what systemd itself says of them, with the built binaries in their places.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{output_of, tool};

/// The unit of channel `one`, its programs those of this build, in a folder of its own.
fn rendered(unit: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("systemd").join(unit)).unwrap();
    let binaries = tool("tsring").parent().unwrap().display().to_string();
    let text = text.replace("/usr/bin/ts", &format!("{binaries}/ts"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("units");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(unit.replace('@', "@one"));
    fs::write(&path, text).unwrap();
    path
}

/// False, and said, where there is no systemd.
fn has_systemd() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output();
    if there.is_err() {
        eprintln!("SKIPPED: systemd-analyze is not installed");
    }
    there.is_ok()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !has_systemd() {
        return;
    }
    for unit in ["tsring@.service", "tsring-pipeline@.service"] {
        let path = rendered(unit);
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && words.is_empty(),
            "{unit}: {words}"
        );
    }
}

#[test]
fn the_units_expose_little() {
    if !has_systemd() {
        return;
    }
    for unit in ["tsring@.service", "tsring-pipeline@.service"] {
        let path = rendered(unit);
        let args = ["security", "--offline=true", "--no-pager"].map(OsStr::new);
        let text = output_of(
            "systemd-analyze",
            &[&args[..], &[path.as_os_str()]].concat(),
        );
        let line = text
            .lines()
            .find(|l| l.contains("Overall exposure level"))
            .unwrap();
        println!("{line}");
        let score: f64 = line
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .unwrap();
        // systemd calls up to 2 OK. What is left is network access and a group that reads rings.
        assert!(score <= 1.5, "{line}");
    }
}

#[test]
fn the_environment_file_sets_what_the_units_use() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let env = fs::read_to_string(root.join("tsring@.env")).unwrap();
    let set: Vec<_> = env
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(set, ["INPUT", "OPTIONS"]);
    for unit in ["tsring@.service", "tsring-pipeline@.service"] {
        let text = fs::read_to_string(root.join(unit)).unwrap();
        for name in &set {
            assert!(text.contains(name), "{unit} does not use {name}");
        }
    }
}
