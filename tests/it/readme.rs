//! The pipelines of README.md, run as they stand there.
//!
//! Only what a test machine has not got is replaced: the interface, the folders, two hours.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::harness::{Run, Running, ffmpeg_stream, in_own_network, tool, wait_for};

/// The pipeline that README.md gives this name.
fn pipeline(name: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(readme).unwrap();
    let fence = format!("```sh pipeline={name}\n");
    let (_, rest) = text
        .split_once(&fence)
        .unwrap_or_else(|| panic!("no {fence}"));
    rest.split_once("```").unwrap().0.trim().to_owned()
}

/// A folder with what the pipelines use, and the streams that come in.
struct Site {
    folder: PathBuf,
    stream: PathBuf,
    senders: Vec<Running>,
}

impl Site {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("readme-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let stream = ffmpeg_stream(
            "readme",
            "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=f=440 -t 8 \
             -c:v libx264 -preset ultrafast -g 25 -c:a mp2",
        );
        fs::copy(&stream, folder.join("slate.ts")).unwrap();
        Self {
            folder,
            stream,
            senders: Vec::new(),
        }
    }

    /// Sends the stream there, round and round.
    fn send(&mut self, to: &str) {
        let sender = Command::new(tool("tsrecv"))
            .args(["-q", "--loop", "--pace"])
            .arg(&self.stream)
            .arg(to)
            .spawn();
        self.senders.push(Running(sender.unwrap()));
    }

    /// Starts the pipeline in a process group of its own. The shell lives on when that is ended,
    /// to tell how its members did.
    fn start(&self, name: &str) -> Pipeline {
        let rings = self.folder.join("rings").display().to_string();
        let line = pipeline(name)
            .replace("eth1", "lo")
            .replace("/var/lib/tsring", &rings)
            .replace("--delay 2h", "--delay 2s");
        let line = format!("trap : TERM\n{line}\n");
        let path = std::env::var("PATH").unwrap();
        let tools = tool("tsrecv").parent().unwrap().display().to_string();
        let log = fs::File::create(self.folder.join(format!("{name}.log"))).unwrap();
        let child = Command::new("bash")
            .args(["-o", "pipefail", "-c", &line])
            .env("PATH", format!("{tools}:{path}"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn();
        Pipeline {
            shell: Running(child.unwrap()),
            log: self.folder.join(format!("{name}.log")),
        }
    }

    /// Waits until a recording is there.
    fn wait_for_ring(&self, name: &str) {
        let folder = self.folder.join("rings").join(name);
        wait_for("a recording", || {
            let files = fs::read_dir(&folder).into_iter().flatten().flatten();
            let bytes: u64 = files
                .filter(|f| f.path().extension().is_some_and(|e| e == "ts"))
                .map(|f| f.metadata().map_or(0, |m| m.len()))
                .sum();
            bytes > 100_000
        });
    }
}

/// A pipeline that runs.
struct Pipeline {
    shell: Running,
    log: PathBuf,
}

impl Pipeline {
    /// Waits for its own end.
    #[track_caller]
    fn finish(mut self) {
        let status = self.shell.wait();
        assert_eq!(status, 0, "{}", fs::read_to_string(&self.log).unwrap());
        self.said_no_error();
    }

    /// Ends it as a service manager does, every member at once.
    #[track_caller]
    fn stop(self) {
        let group = Pid::from_raw(i32::try_from(self.shell.0.id()).unwrap());
        killpg(group, Signal::SIGTERM).unwrap();
        self.finish();
    }

    #[track_caller]
    fn said_no_error(&self) {
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(!log.contains("error:"), "{log}");
    }
}

/// Waits until packets of the stream come from there.
#[track_caller]
fn expect_packets(from: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!(
        "readme-{:x}.ts",
        from.len() + std::process::id() as usize
    ));
    let receiver = Running::spawn(Command::new(tool("tsrecv")).arg("-q").arg(from).arg(&file));
    wait_for(from, || {
        fs::metadata(&file).is_ok_and(|m| m.len() > 188 * 100)
    });
    drop(receiver);
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.chunks_exact(188).all(|packet| packet[0] == 0x47));
    fs::remove_file(file).unwrap();
}

#[test]
fn a_channel_in_rtp_is_recorded() {
    in_own_network("readme::a_channel_in_rtp_is_recorded", || {
        let mut site = Site::new("record");
        site.send("rtp://239.0.0.1:5004?iface=lo");
        let recorder = site.start("record");
        site.wait_for_ring("one");
        recorder.stop();
    });
}

#[test]
fn a_channel_is_handed_on_and_sent_again_later() {
    in_own_network(
        "readme::a_channel_is_handed_on_and_sent_again_later",
        || {
            let mut site = Site::new("tee");
            site.send("udp://239.0.0.1:1234?iface=lo");
            let recorder = site.start("tee");
            site.wait_for_ring("two");
            expect_packets("udp://@239.0.1.1:1234?iface=lo");
            let delayed = site.start("delay");
            expect_packets("udp://@239.0.2.1:1234?iface=lo");
            delayed.stop();
            recorder.stop();
        },
    );
}

#[test]
fn a_file_is_a_channel() {
    in_own_network("readme::a_file_is_a_channel", || {
        let site = Site::new("slate");
        let player = site.start("slate");
        expect_packets("rtp://@239.0.3.1:5004?iface=lo");
        player.stop();
    });
}

#[test]
fn a_preview_is_made_of_an_hour_ago() {
    let site = Site::new("preview");
    let ring = site.folder.join("rings/one");
    let (ring, stream) = (
        ring.display().to_string(),
        site.stream.display().to_string(),
    );
    fs::create_dir_all(site.folder.join("rings")).unwrap();
    Run::new("tsring")
        .args([
            "record", &ring, "-q", "-i", &stream, "--clock", "pcr", "--at", "now-1h",
        ])
        .run()
        .quiet_success();
    site.start("preview").finish();
    let made = fs::metadata(site.folder.join("preview.mp4")).unwrap().len();
    assert!(made > 10_000, "{made} bytes");
}
