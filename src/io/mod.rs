//! The outside world: endpoints, sockets, files, pipes, clocks, signals.

pub mod clock;
mod control;
mod decode;
mod direct;
mod ending;
mod endpoint;
mod error;
mod exec;
mod ffmpeg;
mod file;
mod hook;
mod http;
mod identity;
mod pass;
pub mod queue;
mod reception;
mod recording;
mod relay;
mod room;
pub mod signal;
mod silence;
mod slate;
pub mod snmp;
mod socket;
mod source;
mod staged;
pub mod sys;
mod udp_sink;
mod udp_source;
mod writer;

pub use control::{Command, ControlSocket};
pub use decode::{Decode, DecodeOptions};
pub use direct::{DirectOutput, Moved};
pub use ending::Ending;
pub use endpoint::{
    DEFAULT_PORT, Endpoint, Host, Interface, ParseEndpointError, Protocol, SocketEndpoint,
    SocketOptions,
};
pub use error::{EndpointError, Fault, InputError, OutputError};
pub use exec::ExecEvent;
pub use ffmpeg::{Container, FfmpegError, Remuxer, require_ffmpeg};
pub use file::OutputEvent;
pub use hook::{Hook, HookEvent};
pub use http::{HttpServer, Page};
pub use identity::{absence, is_regular, is_same_file};
pub use pass::{PassSource, Skipped};
pub use reception::ReceptionEvent;
pub use recording::Recording;
pub use relay::{OwnedEvent, Relay};
pub use silence::SilenceEvent;
pub use slate::{SlateAudio, SlateFolder, SlateFormat, SlatePicture, SlateVideo, make_slate};
pub use socket::SocketEvent;
pub use source::{Departure, InputOptions, OutputOptions, Received, Sink, Source};
pub use staged::StagedFile;
pub use udp_sink::SendEvent;

use exec::{ExecSink, ExecSource};
use file::{FileSink, FileSource};
use udp_sink::UdpSink;
use udp_source::UdpSource;

/// Opens an input.
///
/// # Errors
/// When it cannot be opened, or cannot be an input.
pub fn open_input(
    endpoint: &Endpoint,
    options: &InputOptions,
) -> Result<Box<dyn Source>, InputError> {
    match endpoint {
        Endpoint::Standard => {
            let source = FileSource::stdin()?;
            Ok(Box::new(source.keep_headers(options.keep_headers)))
        }
        Endpoint::File(path) => {
            let source = FileSource::open(path)?;
            Ok(Box::new(source.keep_headers(options.keep_headers)))
        }
        Endpoint::Socket(socket) => Ok(Box::new(UdpSource::open(socket, options)?)),
        Endpoint::Exec(command) => Ok(Box::new(ExecSource::open(endpoint.to_string(), command)?)),
    }
}

/// Opens an output.
///
/// # Errors
/// When it cannot be opened, or cannot be an output.
pub fn open_output(
    endpoint: &Endpoint,
    options: &OutputOptions,
) -> Result<Box<dyn Sink>, OutputError> {
    match endpoint {
        Endpoint::Standard => Ok(Box::new(FileSink::stdout(options)?)),
        Endpoint::File(path) => Ok(Box::new(FileSink::open(path, options)?)),
        Endpoint::Socket(socket) => Ok(Box::new(UdpSink::open(socket, options)?)),
        Endpoint::Exec(command) => {
            let name = endpoint.to_string();
            Ok(Box::new(ExecSink::open(name, command, options)?))
        }
    }
}
