//! Where a cut goes.

use std::path::Path;

use anyhow::anyhow;

use super::Format;
use crate::cli::{Context, Error, Level};
use crate::cut::survey::Plan;
use crate::io::{
    Container, Endpoint, FfmpegError, OutputOptions, Remuxer, Sink, StagedFile, open_output,
};
use crate::stream::Batch;
use crate::stream::codec::Codec;
use crate::ts::Packet;
use crate::units::Arrival;

/// An open output.
pub(super) enum Output {
    /// A transport stream file.
    File(StagedFile),
    /// An endpoint other than a regular file, and what collects for it.
    Endpoint(Box<dyn Sink>, Batch),
    /// ffmpeg, which writes a file.
    Remuxed(Remuxer, StagedFile),
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
                let pids = carried(container, plan, context);
                if pids.is_empty() {
                    return Err(Error::failure(anyhow!(
                        "cannot write '{endpoint}': the container can carry none of the streams"
                    )));
                }
                let file = StagedFile::reserve(path)?;
                let remuxer = Remuxer::start(file.temporary(), container, &pids, context.signals());
                let error = ffmpeg_error(path);
                Ok(Self::Remuxed(remuxer.map_err(error)?, file))
            }
            (Some(_), _) => Err(Error::usage(anyhow!(
                "'{endpoint}' is no file: mp4 and mkv are written to files"
            ))),
        }
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
            Self::Remuxed(remuxer, file) => remuxer
                .write(Packet::bytes_of(packets))
                .map_err(ffmpeg_error(file.target())),
        }
    }

    /// Completes the output and puts a file in its place.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self {
            Self::File(file) => Ok(file.place()?),
            Self::Endpoint(mut sink, _) => Ok(sink.finish()?),
            Self::Remuxed(remuxer, file) => {
                let error = ffmpeg_error(file.target());
                remuxer.finish().map_err(error)?;
                Ok(file.place()?)
            }
        }
    }
}

/// The PIDs that a container can carry; says which it cannot.
fn carried(container: Container, plan: &Plan, context: &Context) -> Vec<u16> {
    let name = match container {
        Container::Mp4 => "mp4",
        Container::Matroska => "mkv",
    };
    let mut pids = Vec::new();
    for program in plan.contents.programs() {
        for (pid, codec) in &program.streams {
            let timed = codec.is_video() || codec.is_audio();
            let subtitle = *codec == Codec::DvbSubtitle && container == Container::Matroska;
            let words = if timed && !plan.present.contains(pid) {
                // What ffmpeg finds no frame of, it cannot describe in a header.
                format!("PID {pid} ({codec}) carries nothing at the in-point: left out")
            } else if !timed && !subtitle {
                format!("{name} cannot carry PID {pid} ({codec}): left out")
            } else {
                pids.push(pid.get());
                continue;
            };
            context.say(Level::Warning, &words);
        }
    }
    pids
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
