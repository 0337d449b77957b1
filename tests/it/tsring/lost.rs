//! A ring that is removed or unmounted while it is recorded.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{check, dir, json, numbers, stream, tsring};
use crate::harness::{Running, command, wait_for};

/// A recorder that is fed by hand.
struct Fed {
    recorder: Running,
    pipe: std::process::ChildStdin,
    said: std::path::PathBuf,
    sent: u32,
}

impl Fed {
    fn new(ring: &str, said: &Path) -> Self {
        let mut recorder = command("tsring");
        recorder.args(["record", ring, "--segment", "1s"]);
        let stderr = fs::File::create(said).unwrap();
        let mut recorder = Running::spawn(recorder.stdin(Stdio::piped()).stderr(stderr));
        let pipe = recorder.0.stdin.take().unwrap();
        Self {
            recorder,
            pipe,
            said: said.to_owned(),
            sent: 0,
        }
    }

    fn feed(&mut self) {
        self.pipe.write_all(&stream(self.sent, 200)).unwrap();
        self.sent += 200;
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Feeds until `words` were said so many times.
    fn until(&mut self, words: &str, times: usize) {
        wait_for(words, || {
            self.feed();
            self.said().matches(words).count() >= times
        });
    }

    /// Ends it: the input waits by itself, so that a loss is a failure.
    fn end(mut self) -> u32 {
        self.feed();
        drop(self.pipe);
        assert_eq!(self.recorder.wait(), 3);
        self.sent
    }
}

fn gaps(ring: &str) -> Vec<serde_json::Value> {
    json(ring)["gaps"].as_array().unwrap().clone()
}

#[test]
fn a_ring_that_is_removed_comes_back_by_itself() {
    let (keep, ring) = dir();
    let mut fed = Fed::new(&ring, &keep.path().join("said"));
    wait_for("a segment", || {
        fed.feed();
        tsring(&["info", &ring]).run().status == 0
    });
    fs::remove_dir_all(&ring).unwrap();
    fed.until("ring_write_failed", 1);
    fed.until("ring_write_resumed", 1);
    tsring(&["record", &ring])
        .run()
        .expect(3, &["another recorder holds it"]);
    let sent = fed.end();
    let gaps = gaps(&ring);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["cause"], "missing");
    let read = numbers(&tsring(&["read", &ring]).run().stdout);
    assert!(read.is_sorted());
    assert_eq!(read.last(), Some(&(sent - 1)));
    assert!(gaps[0]["lost_packets"].as_u64() > Some(0));
    assert_eq!(check(&ring, &[]).0, 0);
}

#[test]
fn a_ring_whose_place_is_gone_waits_for_it() {
    let (keep, _) = dir();
    let place = keep.path().join("place");
    let ring = place.join("ring").display().to_string();
    let mut fed = Fed::new(&ring, &keep.path().join("said"));
    wait_for("a segment", || {
        fed.feed();
        tsring(&["info", &ring]).run().status == 0
    });
    let aside = keep.path().join("aside");
    fs::rename(&place, &aside).unwrap();
    fed.until("ring_write_failed", 1);
    (0..100).for_each(|_| fed.feed());
    assert!(!place.exists());
    assert!(!fed.said().contains("ring_write_resumed"));
    fs::rename(&aside, &place).unwrap();
    fed.until("ring_write_resumed", 1);
    let sent = fed.end();
    let gaps = gaps(&ring);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let read = numbers(&tsring(&["read", &ring]).run().stdout);
    assert!(read.is_sorted());
    let lost = gaps[0]["lost_packets"].as_u64().unwrap();
    assert_eq!(read.len() as u64 + lost, u64::from(sent));
    assert_eq!(check(&ring, &[]).0, 0);
}

#[test]
fn a_ring_that_is_unmounted_goes_on_where_it_was_mounted() {
    let me = std::env::current_exe().unwrap();
    if std::env::var_os("TSRING_UNMOUNT").is_none() {
        let name = "tsring::lost::a_ring_that_is_unmounted_goes_on_where_it_was_mounted";
        let status = Command::new("unshare")
            .args(["-rm", "--"])
            .arg(me)
            .args(["--exact", name])
            .env("TSRING_UNMOUNT", "1")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let run = |program: &str, args: &[&str]| {
        assert!(Command::new(program).args(args).status().unwrap().success());
    };
    let (keep, ring) = dir();
    fs::create_dir(&ring).unwrap();
    run("mount", &["-t", "tmpfs", "none", &ring]);
    let mut fed = Fed::new(&ring, &keep.path().join("said"));
    wait_for("a segment", || {
        fed.feed();
        tsring(&["info", &ring]).run().status == 0
    });
    run("umount", &["-l", &ring]);
    fed.until("ring_write_failed", 1);
    fed.until("ring_write_resumed", 1);
    let sent = fed.end();
    let gaps = gaps(&ring);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let read = numbers(&tsring(&["read", &ring]).run().stdout);
    assert_eq!(read.last(), Some(&(sent - 1)));
}
