//! Where a cut goes.

use std::path::Path;

use anyhow::anyhow;

use super::Format;
use super::tracks::Tracks;
use crate::cli::{Context, Error};
use crate::cut::contents::Contents;
use crate::cut::survey::Plan;
use crate::io::{
    Container, Endpoint, FfmpegError, OutputOptions, Remuxer, Sink, StagedFile, open_output,
};
use crate::stream::Batch;
use crate::ts::{Packet, Pid, Pts};
use crate::units::Arrival;

/// An open output.
pub(super) enum Output {
    /// A transport stream file.
    File(StagedFile),
    /// An endpoint other than a regular file, and what collects for it.
    Endpoint(Box<dyn Sink>, Batch),
    /// ffmpeg, which writes a file.
    Remuxed(Remuxer, StagedFile, Box<Tracks>),
}

/// Packets handed to an endpoint at once.
const BATCH_PACKETS: usize = 1024;

impl Output {
    /// Opens the output; says what the container cannot carry.
    pub(super) fn open(
        endpoint: &Endpoint,
        format: Format,
        plan: &Plan,
        context: &Context,
    ) -> Result<Self, Error> {
        let container = match format {
            Format::Ts => None,
            Format::Mp4 => Some(Container::Mp4),
            Format::Mkv => Some(Container::Matroska),
        };
        match (container, endpoint) {
            // A FIFO or a device is written to, not replaced.
            (None, Endpoint::File(path)) if !path.exists() || path.is_file() => {
                Ok(Self::File(StagedFile::create(path)?))
            }
            (None, _) => {
                let options = OutputOptions {
                    stop: context.signals().stop_flag(),
                    ..OutputOptions::default()
                };
                let sink = open_output(endpoint, &options)?;
                Ok(Self::Endpoint(sink, Batch::with_capacity(BATCH_PACKETS)))
            }
            (Some(container), Endpoint::File(path)) => {
                let tracks = Tracks::of(container, plan, context);
                let pids: Vec<u16> = tracks.carried.keys().map(|pid| pid.get()).collect();
                if pids.is_empty() {
                    return Err(Error::failure(anyhow!(
                        "cannot write '{endpoint}': the container can carry none of the streams"
                    )));
                }
                let file = StagedFile::reserve(path)?;
                let remuxer = Remuxer::start(file.temporary(), container, &pids, context.signals());
                let remuxer = remuxer.map_err(ffmpeg_error(path))?;
                Ok(Self::Remuxed(remuxer, file, Box::new(tracks)))
            }
            (Some(_), _) => Err(Error::usage(anyhow!(
                "'{endpoint}' is no file: mp4 and mkv are written to files"
            ))),
        }
    }

    /// True where stamps have to follow one another: ffmpeg puts what stands behind a jump of the
    /// clock at places of its own.
    pub(super) fn counts_on(&self) -> bool {
        matches!(self, Self::Remuxed(..))
    }

    pub(super) fn write(&mut self, packets: &[Packet]) -> Result<(), Error> {
        match self {
            Self::File(file) => Ok(file.write(Packet::bytes_of(packets))?),
            Self::Endpoint(sink, batch) => {
                let mut rest = packets;
                while !rest.is_empty() {
                    batch.clear();
                    let taken = batch.extend(rest, Arrival::default());
                    rest = rest.get(taken..).unwrap_or_default();
                    sink.send(batch)?;
                }
                Ok(())
            }
            Self::Remuxed(remuxer, file, _) => remuxer
                .write(Packet::bytes_of(packets))
                .map_err(ffmpeg_error(file.target())),
        }
    }

    /// PAT or PMT are others: what of that the container cannot go on with, in words.
    pub(super) fn follow(&mut self, contents: &Contents, context: &Context) -> Option<String> {
        match self {
            Self::Remuxed(_, _, tracks) => tracks.follow(contents, context),
            Self::File(_) | Self::Endpoint(..) => None,
        }
    }

    /// What the container cannot go on with in these packets, which are not rebased yet, in words,
    /// with the PID and the PTS from which on it holds.
    pub(super) fn watch(&mut self, packets: &[Packet]) -> Option<(String, Pid, Option<Pts>)> {
        match self {
            Self::Remuxed(_, _, tracks) => tracks.watch(packets),
            Self::File(_) | Self::Endpoint(..) => None,
        }
    }

    /// Completes the output and puts a file in its place.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self {
            Self::File(file) => Ok(file.place()?),
            Self::Endpoint(mut sink, _) => Ok(sink.finish()?),
            Self::Remuxed(remuxer, file, _) => {
                let error = ffmpeg_error(file.target());
                remuxer.finish().map_err(error)?;
                Ok(file.place()?)
            }
        }
    }
}

/// ffmpeg's error, with the name of what it was to write.
fn ffmpeg_error(path: &Path) -> impl Fn(FfmpegError) -> Error {
    let words = format!("cannot write '{}'", path.display());
    move |e| {
        let missing = matches!(e, FfmpegError::Missing);
        let error = Error::failure(anyhow::Error::new(e).context(words.clone()));
        if missing {
            error.hint("install it (apt install ffmpeg), or write a .ts")
        } else {
            error
        }
    }
}
