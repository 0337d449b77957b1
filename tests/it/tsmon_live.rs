//! `tsmon --live` in a real terminal emulator.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Run, ffmpeg_stream, tool, wait_for};

/// A terminal of 130 columns and 45 lines; it goes when it is dropped.
struct Terminal {
    folder: tempfile::TempDir,
}

impl Terminal {
    fn start(command: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let terminal = Self { folder };
        let mut start = terminal.tmux(&["-f", "/dev/null", "new-session", "-d"]);
        let started = start.args(["-x", "130", "-y", "45", command]).status();
        assert!(started.expect("tmux runs").success());
        terminal
    }

    fn tmux(&self, args: &[&str]) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.folder.path().join("socket"));
        tmux.args(args).stderr(Stdio::null());
        tmux
    }

    fn screen(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p"]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        wait_for(what, || {
            screen = self.screen();
            condition(&screen)
        });
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).status();
    }
}

/// A minute of a service at 1 Mb/s, played into a live monitor.
fn live(pid: &Path) -> Terminal {
    let file = ffmpeg_stream(
        "a-minute-1M",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=60 \
         -f lavfi -i sine=frequency=440:duration=60 \
         -c:v libx264 -preset ultrafast -b:v 400k -g 25 -bf 0 -c:a mp2 -b:a 128k -muxrate 1M",
    );
    let (tsrecv, tsmon) = (tool("tsrecv"), tool("tsmon"));
    Terminal::start(&format!(
        "{} --pace {} - 2>/dev/null | sh -c 'echo $$ > {pid}; exec {} --live'; \
         echo status $?; exec cat",
        tsrecv.display(),
        file.display(),
        tsmon.display(),
        pid = pid.display()
    ))
}

#[test]
fn the_screen_shows_rates_and_checks_and_q_leaves_the_report() {
    let terminal = live(Path::new("/dev/null"));
    let shown = terminal.wait_until("a rate of the last second", |screen| {
        let video = screen
            .lines()
            .find(|line| line.contains("0x0100  video h264"));
        video.is_some_and(|line| line.contains(" kb/s") && line.contains("320x240"))
    });
    for words in ["Service01", "+ 1.4   continuity_count_error"] {
        assert!(shown.contains(words), "no {words:?} in\n{shown}");
    }
    // The keys come from the terminal although stdin is the stream.
    assert!(
        terminal
            .tmux(&["send-keys", "q"])
            .status()
            .unwrap()
            .success()
    );
    let after = terminal.wait_until("the end", |screen| screen.contains("status 0"));
    assert!(after.contains("not judged"), "no report in\n{after}");
    assert!(
        !after.contains("q: quit"),
        "the screen was not given back:\n{after}"
    );
}

#[test]
fn a_list_that_is_too_long_is_scrolled_and_a_small_terminal_is_no_harm() {
    let terminal = live(Path::new("/dev/null"));
    terminal.wait_until("the list", |screen| screen.contains("0x1fff  null"));
    let resize = ["resize-window", "-x", "60", "-y", "14"];
    assert!(terminal.tmux(&resize).status().unwrap().success());
    terminal.wait_until("the small screen", |screen| {
        screen.lines().count() <= 14 && screen.contains("Service01")
    });
    for _ in 0..20 {
        assert!(
            terminal
                .tmux(&["send-keys", "Down"])
                .status()
                .unwrap()
                .success()
        );
    }
    terminal.wait_until("the end of the list", |screen| {
        screen.contains("0x1fff") && !screen.contains("Service01")
    });
    for size in [["3", "2"], ["1", "1"], ["200", "60"]] {
        let resize = ["resize-window", "-x", size[0], "-y", size[1]];
        assert!(terminal.tmux(&resize).status().unwrap().success());
    }
    assert!(
        terminal
            .tmux(&["send-keys", "Home"])
            .status()
            .unwrap()
            .success()
    );
    terminal.wait_until("the large screen", |screen| screen.contains("Service01"));
}

#[test]
fn a_terminal_that_is_closed_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let terminal = live(&file);
    terminal.wait_until("the list", |screen| screen.contains("0x1fff  null"));
    let pid = std::fs::read_to_string(&file).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    drop(terminal);
    wait_for("the end of tsmon", || !process.exists());
}

#[test]
fn without_a_terminal_there_is_no_screen() {
    let run = Run::new("tsmon").args(["--live", "-"]).run();
    run.expect(2, &["stdout is none", "--report-file"]);
    for (option, value) in [("--events", "-"), ("--interval", "1s")] {
        let run = Run::new("tsmon").args(["--live", "-", option, value]).run();
        run.expect(2, &[option]);
    }
}
