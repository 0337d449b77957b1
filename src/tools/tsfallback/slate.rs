//! What is shown when no input is good: a file, or what ffmpeg makes of the channel's format.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::reception::{How, Reception};
use crate::cli::{Context, Error, Level};
use crate::io::{
    Endpoint, FfmpegError, SlateAudio, SlateFolder, SlateFormat, SlatePicture, SlateVideo,
    make_slate,
};
use crate::monitor::content::Measures;
use crate::switch::{Description, PolicyOptions, StreamDescription, Switch};

/// How often is looked at the format of the channel.
const LOOK: Duration = Duration::from_secs(1);
/// How long is waited before ffmpeg is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// `--slate`.
#[derive(Clone, Debug)]
pub(super) enum SlateChoice {
    File(PathBuf),
    Made(SlatePicture),
}

impl FromStr for SlateChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "black" => Self::Made(SlatePicture::Black),
            "bars" => Self::Made(SlatePicture::Bars),
            _ => Self::File(PathBuf::from(text)),
        })
    }
}

type Job = JoinHandle<(SlateFormat, PathBuf, Result<(), FfmpegError>)>;

/// The slate of a run.
pub(super) struct Slate {
    choice: SlateChoice,
    /// Its place among the inputs of the switch: the last.
    place: usize,
    pub(super) reception: Option<Reception>,
    stop: Arc<AtomicBool>,
    folder: Option<SlateFolder>,
    job: Option<Job>,
    made: Option<SlateFormat>,
    began: Instant,
    looked: Option<Instant>,
    failed: Option<Instant>,
}

impl Slate {
    /// # Errors
    /// When the file cannot be played, or there is no folder for one that is made.
    pub(super) fn start(choice: SlateChoice, place: usize) -> Result<Self, Error> {
        let mut slate = Self {
            place,
            reception: None,
            stop: Arc::default(),
            folder: None,
            job: None,
            made: None,
            began: Instant::now(),
            looked: None,
            failed: None,
            choice: choice.clone(),
        };
        match choice {
            SlateChoice::File(path) => slate.play(path)?,
            SlateChoice::Made(_) => {
                let folder = SlateFolder::create();
                slate.folder = Some(folder.context("cannot make a folder for the slate")?);
            }
        }
        Ok(slate)
    }

    /// Plays a file from here on, in place of the one before.
    fn play(&mut self, path: PathBuf) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.stop = Arc::default();
        let how = How {
            again: true,
            stop: Arc::clone(&self.stop),
        };
        self.reception = Some(Reception::start(Endpoint::File(path), how)?);
        Ok(())
    }

    /// Sees to a slate that is to be made: when an input is on air, like it; when none came, like
    /// any.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn turn(&mut self, switch: &mut Switch, context: &Context) -> Result<(), Error> {
        let SlateChoice::Made(picture) = self.choice else {
            return Ok(());
        };
        if self.job.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(Ok((format, path, made))) = self.job.take().map(JoinHandle::join)
        {
            match made {
                Ok(()) => {
                    self.made = Some(format);
                    self.play(path)?;
                    switch.restarted(self.place);
                }
                Err(e) => {
                    self.failed = Some(Instant::now());
                    context.say(Level::Error, &format!("there is no slate: {e}"));
                }
            }
        }
        let waits = |since: Option<Instant>, long| since.is_some_and(|at| at.elapsed() < long);
        if self.job.is_some() || waits(self.looked, LOOK) || waits(self.failed, AGAIN) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let patience = PolicyOptions::PATIENCE.to_duration() / 2;
        let wanted = match switch.on_air() {
            Some(n) if n != self.place => switch
                .content(n)
                .and_then(|(service, content)| format(picture, service, &content)),
            _ if self.made.is_none() && self.began.elapsed() > patience => {
                Some(SlateFormat::unseen(picture))
            }
            _ => None,
        };
        let wanted = wanted.filter(|wanted| self.made.as_ref() != Some(wanted));
        if let (Some(wanted), Some(folder)) = (wanted, &mut self.folder) {
            let path = folder.fresh_path();
            self.job = Some(
                std::thread::Builder::new()
                    .name("slate".into())
                    .spawn(move || {
                        let made = make_slate(&wanted, &path);
                        (wanted, path, made)
                    })?,
            );
        }
        Ok(())
    }
}

impl Drop for Slate {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What a slate has to be like beside this service; `None` while its picture is not known.
fn format(picture: SlatePicture, service: &Description, content: &Measures) -> Option<SlateFormat> {
    let of_stream = |stream: &StreamDescription| {
        let mut pids = content.pids.iter();
        pids.find(|pid| pid.pid == stream.pid.get())
    };
    let mut streams = service.streams.iter().filter_map(of_stream);
    let video = streams.find_map(|pid| pid.video.as_ref())?;
    let sounds = service.streams.iter().filter_map(|stream| {
        let sound = of_stream(stream)?.audio.as_ref()?;
        Some(SlateAudio {
            coding: sound.codec.to_owned(),
            rate: sound.sample_rate_hz,
            channels: sound.channels.unwrap_or(2),
            language: stream.language.map(|language| language.to_string()),
        })
    });
    Some(SlateFormat {
        picture,
        video: SlateVideo {
            coding: video.codec.to_owned(),
            width: video.width,
            height: video.height,
            frame_rate: video.frame_rate.clone()?,
        },
        audio: sounds.collect(),
    })
}
