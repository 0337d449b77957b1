//! Inputs that are not there: said at once, waited for, and where nothing else is, the end.

use std::fs;
use std::path::Path;

use super::lines::{Far, NEAR, Sender};
use super::live::LiveFeed;
use super::sockets::Fallback;
use super::{backup, is_clean, main_channel};
use crate::harness::{Run, in_own_network, wait_for};

const ONE: &str = "udp://239.9.0.1:5000";
const TWO: &str = "udp://239.9.0.2:5000";

/// The lines of the log about inputs that fail.
fn failures(fallback: &Fallback) -> Vec<String> {
    let log = fallback.log();
    let lines = log.lines().filter(|line| line.contains("input_failed"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_file_that_is_not_there_yet_is_said_once_and_played_when_it_comes() {
    in_own_network(
        "tsfallback::absent::a_file_that_is_not_there_yet_is_said_once_and_played_when_it_comes",
        || {
            let folder = tempfile::tempdir().unwrap();
            let mount = folder.path().join("mount");
            let path = mount.join("one.ts");
            let name = path.to_str().unwrap();
            let nowhere = format!("{ONE}?iface=nope0");
            let _third = LiveFeed::start(&backup(), "239.9.0.2:5000");
            let mut fallback = Fallback::start(&[name, &nowhere, TWO], &["--revert", "1s"]);
            wait_for("words", || failures(&fallback).len() == 2);
            let mut said = failures(&fallback);
            said.sort();
            for word in [name, "No such file", "again_in_ms=500"] {
                assert!(said[0].contains(word), "{said:?}");
            }
            assert!(said[1].contains("no interface nope0"), "{said:?}");
            let counted = |line: &String| line.contains("repeats_total");
            assert!(!said.iter().any(counted), "at once: {said:?}");
            fallback.wait_for_input(3);
            // It has failed four times by then: 0.5 s, 1 s and 2 s lie between.
            fallback.wait_on_air(3, 4000);
            assert_eq!(failures(&fallback).len(), 2, "{}", fallback.log());
            let failing = &fallback.status()["inputs"][0]["failing"];
            assert!(
                failing.as_str().unwrap().contains("No such file"),
                "{failing}"
            );
            fs::create_dir(&mount).unwrap();
            let new = folder.path().join("new");
            fs::copy(main_channel(), &new).unwrap();
            fs::rename(new, &path).unwrap();
            fallback.wait_for_input(1);
            // At its own pace, and not as fast as it can be read.
            fallback.wait_on_air(1, 4000);
            assert!(fallback.status()["inputs"][0]["failing"].is_null());
            let file = fallback.stop();
            let log = fallback.log();
            assert!(log.contains("input_back") && log.contains(name), "{log}");
            assert_eq!(fallback.switched(), [3, 1], "{log}");
            is_clean(&file);
        },
    );
}

#[test]
fn an_interface_that_is_not_there_yet_is_waited_for() {
    in_own_network(
        "tsfallback::absent::an_interface_that_is_not_there_yet_is_waited_for",
        || {
            let first = format!("{ONE}?iface={NEAR}");
            let _second = LiveFeed::start(&backup(), "239.9.0.2:5000");
            let mut fallback = Fallback::start(&[&first, TWO], &["--revert", "1s"]);
            fallback.wait_for_input(2);
            let said = failures(&fallback);
            assert!(said[0].contains("there is no interface near0"), "{said:?}");
            let far = Far::new();
            let mut sender = Sender::new(Some(&far), &main_channel(), ONE);
            sender.begin();
            fallback.wait_for_input(1);
            fallback.wait_on_air(1, 1000);
            fallback.stop();
            assert_eq!(fallback.switched(), [2, 1], "{}", fallback.log());
        },
    );
}

#[test]
fn where_no_input_can_come_it_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.ts");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let run = |inputs: &[&Path]| {
        let mut words = Vec::new();
        for input in inputs {
            words.extend([Path::new("-i"), input]);
        }
        Run::new("tsfallback")
            .args(words)
            .args([Path::new("-o"), &output])
            .run()
    };
    let (gone, below) = (folder.path().join("gone.ts"), file.join("below"));
    let hint = "hint: beside another input or a slate";
    run(&[&gone]).expect(2, &["no input is there", "gone.ts", "No such file", hint]);
    run(&[&below, &gone]).expect(2, &["no input is there", "below", "Not a directory"]);
    run(&[folder.path()]).expect(2, &["no input is there", "directory"]);
    assert!(!output.exists(), "nothing was begun");
}

#[test]
fn with_a_slate_the_output_begins_without_any_input() {
    in_own_network(
        "tsfallback::absent::with_a_slate_the_output_begins_without_any_input",
        || {
            let folder = tempfile::tempdir().unwrap();
            let gone = folder.path().join("gone.ts");
            let slate = backup();
            let more = ["--slate", slate.to_str().unwrap()];
            let mut fallback = Fallback::start(&[gone.to_str().unwrap()], &more);
            fallback.wait_for_input(2);
            fallback.wait_on_air(2, 1000);
            let file = fallback.stop();
            is_clean(&file);
            assert_eq!(failures(&fallback).len(), 1, "{}", fallback.log());
        },
    );
}
