//! The units: what systemd itself says of them, with the built binaries in their places.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::harness::{LIMIT, Running, ffmpeg_stream, in_own_network, output_of, tool};

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

/// The shell command of the pipeline's unit, as systemd hands it over.
fn pipeline_command(ring: &Path) -> String {
    let text = fs::read_to_string(rendered("tsring-pipeline@.service")).unwrap();
    let (_, rest) = text.split_once("-c \\\n    '").unwrap();
    let (command, _) = rest.split_once('\'').unwrap();
    command
        .replace("\\\n", "")
        .replace("$$", "$")
        .replace("/var/lib/tsring/%i", &ring.display().to_string())
}

/// The pipeline of the unit, started as systemd does, and what it says to systemd.
fn started(name: &str, input: &str) -> (Running, UnixDatagram) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("notify");
    let notify = UnixDatagram::bind(&socket).unwrap();
    notify.set_read_timeout(Some(LIMIT)).unwrap();
    let shell = Command::new("bash")
        .args([
            "-o",
            "pipefail",
            "-c",
            &pipeline_command(&folder.join("ring")),
        ])
        .env("INPUT", input)
        .env("OPTIONS", "--keep 1h")
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "400000")
        .env("WATCHDOG_PID", "1")
        .process_group(0)
        .spawn();
    (Running(shell.unwrap()), notify)
}

#[test]
fn only_the_last_of_a_pipeline_speaks_to_systemd() {
    in_own_network(
        "systemd::only_the_last_of_a_pipeline_speaks_to_systemd",
        || {
            let stream = ffmpeg_stream(
                "units",
                "-f lavfi -i testsrc2=size=320x180:rate=25 -t 8 -c:v libx264 -preset ultrafast -g 25",
            );
            let mut sender = Command::new(tool("tsrecv"));
            sender.args(["-q", "--loop", "--pace"]).arg(stream);
            let sender = Running::spawn(sender.arg("udp://239.0.0.9:1234?iface=lo"));
            let (mut shell, notify) = started("unit-notify", "udp://@239.0.0.9:1234?iface=lo");
            let (mut ready, mut alive) = (0, 0);
            let mut words = [0; 1000];
            while alive < 3 {
                let n = notify.recv(&mut words).expect("a sign of life");
                let text = String::from_utf8_lossy(&words[..n]);
                ready += text.lines().filter(|l| *l == "READY=1").count();
                alive += text.lines().filter(|l| *l == "WATCHDOG=1").count();
            }
            assert_eq!(ready, 1, "one member is ready for all");
            drop(sender);
            let group = Pid::from_raw(i32::try_from(shell.0.id()).unwrap());
            killpg(group, Signal::SIGTERM).unwrap();
            shell.wait();
        },
    );
}

#[test]
fn a_pipeline_whose_first_member_fails_has_failed() {
    in_own_network(
        "systemd::a_pipeline_whose_first_member_fails_has_failed",
        || {
            let silent = "udp://@239.0.0.9:1234?iface=lo&timeout=300ms";
            let (mut shell, _notify) = started("unit-failing", silent);
            // tsring saw the end of its input and ended well; the service has tsrecv's status.
            assert_eq!(shell.wait(), 3);
        },
    );
}
