//! A slate made by ffmpeg: still pictures and silence that look to a decoder like the channel.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::FfmpegError;

/// What is shown.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SlatePicture {
    /// Black.
    Black,
    /// Colour bars (SMPTE RP 219).
    Bars,
}

/// The pictures of a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct SlateVideo {
    /// ffmpeg's name of the coding: `h264`, `hevc`, `mpeg2video`.
    pub coding: String,
    /// Samples across.
    pub width: u32,
    /// Samples down.
    pub height: u32,
    /// Frames a second, as ffmpeg reads it: `25`, `30000/1001`.
    pub frame_rate: String,
}

/// A sound of a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct SlateAudio {
    /// ffmpeg's name of the coding: `mp2`, `aac`, `aac_latm`, `ac3`, `eac3`.
    pub coding: String,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u8,
    /// Its language.
    pub language: Option<String>,
}

/// What a slate has to be like.
#[derive(Clone, Debug, PartialEq)]
pub struct SlateFormat {
    /// What is shown.
    pub picture: SlatePicture,
    /// The pictures.
    pub video: SlateVideo,
    /// Each sound.
    pub audio: Vec<SlateAudio>,
}

impl SlateFormat {
    /// For a channel that was never seen: 1280 x 720 at 25 Hz in H.264, layer II in stereo.
    pub fn unseen(picture: SlatePicture) -> Self {
        Self {
            picture,
            video: SlateVideo {
                coding: "h264".into(),
                width: 1280,
                height: 720,
                frame_rate: "25".into(),
            },
            audio: vec![SlateAudio {
                coding: "mp2".into(),
                rate: 48_000,
                channels: 2,
                language: None,
            }],
        }
    }

    fn arguments(&self, path: &Path) -> Vec<OsString> {
        let video = &self.video;
        let (size, rate) = (
            format!("{}x{}", video.width, video.height),
            &video.frame_rate,
        );
        let source = match self.picture {
            SlatePicture::Black => format!("color=c=black:s={size}:r={rate}"),
            SlatePicture::Bars => format!("smptehdbars=s={size}:r={rate}"),
        };
        let mut words: Vec<String> = Vec::new();
        let mut say = |text: &str| words.extend(text.split(' ').map(str::to_owned));
        say("-v error -nostdin -y");
        say(&format!("-f lavfi -i {source}"));
        for sound in &self.audio {
            let layout = match sound.channels {
                1 => "mono",
                6 => "5.1",
                _ => "stereo",
            };
            say(&format!(
                "-f lavfi -i anullsrc=r={}:cl={layout}",
                sound.rate
            ));
        }
        say("-t 10 -map 0:v -pix_fmt yuv420p");
        // A point to enter each half second: a slate is shown in haste.
        match video.coding.as_str() {
            "mpeg2video" => say("-c:v mpeg2video -bf 0 -b:v 2M -maxrate 2M -bufsize 1M -g 12"),
            "hevc" => say("-c:v libx265 -preset veryfast -x265-params log-level=none:keyint=12"),
            _ => say("-c:v libx264 -preset veryfast -bf 0 -g 12 -keyint_min 12 -sc_threshold 0"),
        }
        let mut latm = false;
        for (n, sound) in self.audio.iter().enumerate() {
            say(&format!("-map {}:a", n + 1));
            let coding = match sound.coding.as_str() {
                coding @ ("aac" | "ac3" | "eac3") => coding,
                "aac_latm" => {
                    latm = true;
                    "aac"
                }
                _ => "mp2",
            };
            say(&format!("-c:a:{n} {coding} -b:a:{n} 128k"));
            if let Some(language) = &sound.language {
                say(&format!("-metadata:s:a:{n} language={language}"));
            }
        }
        if latm {
            say("-mpegts_flags latm");
        }
        say("-f mpegts");
        let words = words.into_iter().map(OsString::from);
        words.chain([path.as_os_str().to_owned()]).collect()
    }
}

/// A folder of our own for slates; it is removed with what is in it when this is dropped.
#[derive(Debug)]
pub struct SlateFolder {
    path: PathBuf,
    made: u32,
}

impl SlateFolder {
    /// Makes the folder, for nobody else to read.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create() -> std::io::Result<Self> {
        let name = format!("tsfallback-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, made: 0 })
    }

    /// The name for the next slate.
    pub fn fresh_path(&mut self) -> PathBuf {
        self.made += 1;
        self.path.join(format!("{}.ts", self.made))
    }
}

impl Drop for SlateFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Makes a slate of ten seconds at `path`: takes some seconds.
///
/// # Errors
/// When ffmpeg is missing or fails.
pub fn make_slate(format: &SlateFormat, path: &Path) -> Result<(), FfmpegError> {
    let run = Command::new("ffmpeg")
        .args(format.arguments(path))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let output = run.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => FfmpegError::Missing,
        _ => FfmpegError::Start(e),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<_> = said.lines().rev().take(2).collect();
    Err(FfmpegError::Failed {
        status: output.status.code(),
        said: last.into_iter().rev().collect::<Vec<_>>().join("; "),
    })
}
