//! ffmpeg, for containers that are not transport streams.
//!
//! ffmpeg reads the stream on its stdin and writes the file itself. All its three pipes are ours:
//! ffmpeg-sidecar asserts as much, and a thread reads what ffmpeg says, which would stand still
//! when nobody does.

use std::collections::VecDeque;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ffmpeg_sidecar::child::FfmpegChild;
use ffmpeg_sidecar::command::FfmpegCommand;
use ffmpeg_sidecar::event::{FfmpegEvent, LogLevel};

use super::signal::Signals;

/// A container.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Container {
    /// ISO base media file, index first.
    Mp4,
    /// Matroska.
    Matroska,
}

/// Why ffmpeg did not do it.
#[derive(Debug)]
pub enum FfmpegError {
    /// There is no `ffmpeg` in PATH.
    Missing,
    /// It could not be started.
    Start(std::io::Error),
    /// It ended with an error; its last words.
    Failed {
        /// Its exit status, when it was not killed.
        status: Option<i32>,
        /// What it said last.
        said: String,
    },
}

impl fmt::Display for FfmpegError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no 'ffmpeg' in PATH"),
            Self::Start(_) => f.write_str("cannot start ffmpeg"),
            Self::Failed { status, said } => {
                match status {
                    Some(status) => write!(f, "ffmpeg ended with status {status}")?,
                    None => f.write_str("ffmpeg was killed")?,
                }
                if said.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {said}")
                }
            }
        }
    }
}

impl std::error::Error for FfmpegError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(e) => Some(e),
            _ => None,
        }
    }
}

/// Asks ffmpeg for its version, which it can tell where it can run at all.
///
/// # Errors
/// When it is not there, or does not run.
pub fn require_ffmpeg() -> Result<(), FfmpegError> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-version"]);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|e| match e.kind() {
        ErrorKind::NotFound => FfmpegError::Missing,
        _ => FfmpegError::Start(e),
    })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(FfmpegError::Failed {
            status: output.status.code(),
            said: String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned(),
        }),
    }
}

/// Lines of ffmpeg's that are kept for the error.
const LAST_WORDS: usize = 4;
/// How much of the stream ffmpeg may read to find out what its streams are, and for how long of
/// it: sound may begin late, subtitles later.
const PROBE_BYTES: &str = "100000000";
const PROBE_MICROSECONDS: &str = "10000000";

/// How often a stop is looked for while ffmpeg works.
const STOP_RETRY: Duration = Duration::from_millis(50);

/// A running ffmpeg that puts a transport stream into another container, without encoding.
pub struct Remuxer {
    child: Arc<Mutex<FfmpegChild>>,
    stdin: Option<ChildStdin>,
    /// Reads what ffmpeg says, to its end.
    listener: Option<JoinHandle<Vec<String>>>,
    /// Ends the thread that kills ffmpeg at a signal, which would otherwise be waited for.
    watch: Option<Sender<()>>,
}

impl fmt::Debug for Remuxer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remuxer").finish_non_exhaustive()
    }
}

impl Remuxer {
    /// Starts ffmpeg for the streams on these PIDs, as far as they turn up; a signal to stop kills
    /// it.
    ///
    /// # Errors
    /// When it is not there or does not start.
    pub fn start(
        to: &Path,
        container: Container,
        pids: &[u16],
        signals: &Signals,
    ) -> Result<Self, FfmpegError> {
        let mut command = FfmpegCommand::new_with_path("ffmpeg");
        command.args(["-hide_banner", "-loglevel", "level+error", "-y"]);
        command.args([
            "-probesize",
            PROBE_BYTES,
            "-analyzeduration",
            PROBE_MICROSECONDS,
        ]);
        command.args(["-f", "mpegts", "-i", "pipe:0"]);
        for pid in pids {
            command.args(["-map", &format!("0:i:{pid:#x}?")]);
        }
        command.args(["-c", "copy"]);
        match container {
            Container::Mp4 => command.args(["-f", "mp4", "-movflags", "+faststart"]),
            Container::Matroska => command.args(["-f", "matroska"]),
        };
        // A name with a colon in it is a protocol to ffmpeg unless it is told that it is a file.
        let mut file = std::ffi::OsString::from("file:");
        file.push(to);
        command.arg(file);
        let mut child = command.spawn().map_err(|e| match e.kind() {
            ErrorKind::NotFound => FfmpegError::Missing,
            _ => FfmpegError::Start(e),
        })?;
        let stdin = child.take_stdin();
        let events = child
            .iter()
            .map_err(|e| FfmpegError::Start(std::io::Error::other(e)))?;
        let listener = std::thread::spawn(move || {
            let mut words = VecDeque::new();
            for event in events {
                // Without a level speaks who is not ffmpeg itself: the loader, a wrapper.
                let (FfmpegEvent::Log(LogLevel::Error | LogLevel::Fatal | LogLevel::Unknown, line)
                | FfmpegEvent::Error(line)) = event
                else {
                    continue;
                };
                if words.len() == LAST_WORDS {
                    words.pop_front();
                }
                words.push_back(line);
            }
            words.into()
        });
        let child = Arc::new(Mutex::new(child));
        let (watch, over) = channel::<()>();
        let (watched, signals) = (Arc::clone(&child), signals.clone());
        std::thread::spawn(move || {
            while over.recv_timeout(STOP_RETRY) == Err(RecvTimeoutError::Timeout) {
                if signals.stop()
                    && let Ok(mut child) = watched.lock()
                {
                    let _ = child.kill();
                    return;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            listener: Some(listener),
            watch: Some(watch),
        })
    }

    /// Hands it more of the stream.
    ///
    /// # Errors
    /// When ffmpeg has ended.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FfmpegError> {
        let Some(stdin) = &mut self.stdin else {
            return Ok(());
        };
        match stdin.write_all(bytes) {
            Ok(()) => Ok(()),
            // It is gone; its status says why, and a good one does not excuse that.
            Err(_) => Err(match self.end() {
                Ok(()) => FfmpegError::Failed {
                    status: Some(0),
                    said: "it did not read to the end".to_owned(),
                },
                Err(e) => e,
            }),
        }
    }

    /// Ends the stream and waits for ffmpeg to end.
    ///
    /// # Errors
    /// When it did not end well.
    pub fn finish(mut self) -> Result<(), FfmpegError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), FfmpegError> {
        self.stdin = None;
        let words = self
            .listener
            .take()
            .and_then(|l| l.join().ok())
            .unwrap_or_default();
        // It has closed its stderr: its end is near.
        self.watch = None;
        let child = self.child.lock();
        let mut child = child.map_err(|_| FfmpegError::Start(ErrorKind::Other.into()))?;
        let status = child.wait().map_err(FfmpegError::Start)?;
        if status.success() {
            return Ok(());
        }
        Err(FfmpegError::Failed {
            status: status.code(),
            said: words.join("; "),
        })
    }
}

impl Drop for Remuxer {
    fn drop(&mut self) {
        if self.listener.is_some() {
            if let Ok(mut child) = self.child.lock() {
                let _ = child.kill();
            }
            let _ = self.end();
        }
    }
}
