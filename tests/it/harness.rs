//! The plumbing of the tests: runs, streams, namespaces, waiting.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest a condition is waited for, on a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The binary of a tool, as Cargo built it for this run.
pub fn tool(name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let path = me.parent().unwrap().parent().unwrap().join(name);
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

/// A command that runs a tool, without the service manager and the zone of whoever runs the tests.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(tool(name));
    for variable in [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "JOURNAL_STREAM",
        "TZ",
    ] {
        command.env_remove(variable);
    }
    command
}

/// One run of a tool, of which status, stdout and stderr are looked at.
pub struct Run {
    command: Command,
    stdin: Vec<u8>,
}

/// What a run gave.
pub struct Ran {
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
    line: String,
}

impl Run {
    pub fn new(name: &str) -> Self {
        Self {
            command: command(name),
            stdin: Vec::new(),
        }
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs to the end, [`LIMIT`] at most.
    #[track_caller]
    pub fn run(self) -> Ran {
        let line = format!("{:?}", self.command);
        let mut command = assert_cmd::Command::from_std(self.command);
        command.write_stdin(self.stdin).timeout(LIMIT);
        // assert_cmd's limit begins when stdin is taken: one of ours stands around it.
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || done.send(command.output()));
        let output = match ended.recv_timeout(2 * LIMIT) {
            Ok(output) => output.unwrap(),
            Err(_) => panic!("{line} took no more of its stdin"),
        };
        let killed = output.status.signal() == Some(Signal::SIGKILL as i32);
        assert!(!killed, "{line} did not end within {LIMIT:?}");
        Ran {
            status: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            line,
        }
    }
}

impl Ran {
    /// Status 0 and not a word on stderr; gives stdout.
    #[track_caller]
    pub fn quiet_success(self) -> Vec<u8> {
        self.expect(0, &[]).stdout
    }

    /// This status, and on stderr each of `words` (nothing at all when there are none).
    #[track_caller]
    pub fn expect(self, status: i32, words: &[&str]) -> Self {
        let missing = words.iter().find(|word| !self.stderr.contains(**word));
        let chatter = words.is_empty() && !self.stderr.is_empty();
        assert!(
            self.status == status && missing.is_none() && !chatter,
            "{}\nstatus {} (expected {status})\nmissing on stderr: {missing:?}\n\
             --- stdout ({} bytes) ---\n{}\n--- stderr ---\n{}",
            self.line,
            self.status,
            self.stdout.len(),
            String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(2000)]),
            self.stderr,
        );
        self
    }

    /// stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}

/// Waits for a child and its output; kills it and fails the test when `limit` is over.
#[track_caller]
pub fn output_within(child: Child, limit: Duration, what: &str) -> Output {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (done, over) = mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let late = over.recv_timeout(limit).is_err();
        if late {
            let _ = kill(pid, Signal::SIGKILL);
        }
        late
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    assert!(
        !watchdog.join().unwrap(),
        "{what} did not end within {limit:?}"
    );
    output
}

/// A child that is killed when the test is over, however it ends.
pub struct Running(pub Child);

impl Running {
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end, [`LIMIT`] at most, and gives the status (-1: died of a signal).
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let mut status = None;
        wait_for("the end of a process", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|s| s.code()).unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes that `parent` has started.
pub fn children(parent: u32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children"));
    let all = tasks.filter_map(|task| of(task.unwrap()).ok());
    let pids = all.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    pids.filter_map(|pid| pid.trim().parse().ok()).collect()
}

/// Waits until `condition` holds; fails the test after [`LIMIT`].
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "waited {LIMIT:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs `body` in a network namespace of its own, with `lo` up and multicast routed to it.
///
/// `test` is the full name of the calling test (`tsrecv::groups_do_not_mix`): the test binary is
/// started again for it alone under `unshare`.
#[track_caller]
pub fn in_own_network(test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "HEADEND_TEST_NETWORK";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let setup = "set -e; ip link set lo up; ip link set lo multicast on; \
                 ip route add 224.0.0.0/4 dev lo; ip -6 route add ff00::/8 dev lo table local; \
                 exec \"$@\"";
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-c", setup, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (util-linux) runs");
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        out.contains("1 passed") && output.status.success(),
        "{out}\n{err}"
    );
}

/// The folder of real captures; says so and gives `None` where there is none.
pub fn samples() -> Option<PathBuf> {
    let folder = std::env::var_os("HEADEND_SAMPLES").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED: HEADEND_SAMPLES does not name the folder of captures");
    }
    folder
}

/// The captures, `*.ts`, in order of their names; none where there is no folder.
pub fn captures() -> Vec<PathBuf> {
    let Some(folder) = samples() else {
        return Vec::new();
    };
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() == Some(OsStr::new("ts")))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "HEADEND_SAMPLES holds no captures");
    files
}

/// The packets of a capture, by its bytes and README.md alone: all of it but a part at its end.
pub fn packets_of(capture: &Path) -> Vec<u8> {
    let mut bytes = match capture.ends_with("with-junk.ts") {
        // the same stream with junk between its packets
        true => fs::read(capture.with_file_name("h262_mpeg_audio.ts")).unwrap(),
        false => fs::read(capture).unwrap(),
    };
    bytes.truncate(bytes.len() / 188 * 188);
    assert!(bytes.iter().step_by(188).all(|b| *b == 0x47));
    bytes
}

/// A stream made by ffmpeg, once per set of arguments; later calls share the file.
#[track_caller]
pub fn ffmpeg_stream(name: &str, args: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("streams");
    fs::create_dir_all(&folder).unwrap();
    let mut hash = DefaultHasher::new();
    args.hash(&mut hash);
    let path = folder.join(format!("{name}-{:016x}.ts", hash.finish()));
    if !path.exists() {
        // Tests run in threads and processes of their own: each makes its file, the last wins.
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let mine = folder.join(format!("{name}-{process}-{thread:?}.tmp"));
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y"])
            .args(args.split_whitespace())
            .args(["-f", "mpegts"])
            .arg(&mine)
            .output()
            .expect("ffmpeg runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        fs::rename(&mine, &path).unwrap();
    }
    path
}

/// Compares two streams and, where they differ, says in which packet.
#[track_caller]
pub fn assert_same_packets(left: &[u8], right: &[u8]) {
    if let Some(at) = left.iter().zip(right).position(|(a, b)| a != b) {
        panic!(
            "streams differ in packet {}, byte {} of it",
            at / 188,
            at % 188
        );
    }
    let more = left.len().abs_diff(right.len());
    assert_eq!(
        left.len(),
        right.len(),
        "one stream goes on for {more} bytes"
    );
}

/// Runs a command to its end and gives its stdout; fails the test when it fails.
#[track_caller]
pub fn output_of(program: &str, args: &[&OsStr]) -> String {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the independent checker of `tests/judge`.
fn run_judge(file: &Path, options: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/judge.py");
    Command::new("python3")
        .arg(script)
        .arg(file)
        .args(options)
        .output()
        .unwrap()
}

/// What the independent checker of `tests/judge` measures, and finds.
#[track_caller]
pub fn judged(file: &Path, options: &[&str]) -> serde_json::Value {
    let output = run_judge(file, &[options, &["--json"]].concat());
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Asks the independent checker of `tests/judge`; fails the test when it finds something.
#[track_caller]
pub fn judge(file: &Path, options: &[&str]) {
    if let Some(said) = judge_says(file, options) {
        panic!("{said}");
    }
}

/// What the independent checker of `tests/judge` finds; nothing where all is well.
pub fn judge_says(file: &Path, options: &[&str]) -> Option<String> {
    let output = run_judge(file, options);
    let said = || {
        format!(
            "the judge of {} says:\n{}{}",
            file.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    (!output.status.success()).then(said)
}

/// A generator of numbers that is the same everywhere: xorshift64*.
pub struct Random(u64);

impl Random {
    /// From a seed: small ones that differ by little give numbers that differ by much.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// One of 0 to `n` - 1.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}
