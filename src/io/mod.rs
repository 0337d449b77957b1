//! The outside world: endpoints, sockets, files, pipes, clocks, signals.

pub mod clock;
mod endpoint;
mod error;
mod file;
pub mod signal;
mod silence;
mod source;
mod writer;

pub use endpoint::{
    DEFAULT_PORT, Endpoint, Host, Interface, ParseEndpointError, Protocol, SocketEndpoint,
    SocketOptions,
};
pub use error::{EndpointError, Fault, InputError, OutputError};
pub use silence::SilenceEvent;
pub use source::{InputOptions, OutputOptions, Received, Sink, Source};

use file::{FileSink, FileSource};

/// Opens an input.
///
/// # Errors
/// When it cannot be opened, or cannot be an input.
pub fn open_input(
    endpoint: &Endpoint,
    _options: &InputOptions,
) -> Result<Box<dyn Source>, InputError> {
    match endpoint {
        Endpoint::Standard => Ok(Box::new(FileSource::stdin()?)),
        Endpoint::File(path) => Ok(Box::new(FileSource::open(path)?)),
        Endpoint::Socket(_) | Endpoint::Exec(_) => {
            Err(InputError::new(endpoint, Fault::Unusable("not yet")))
        }
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
        Endpoint::Socket(_) | Endpoint::Exec(_) => {
            Err(OutputError::new(endpoint, Fault::Unusable("not yet")))
        }
    }
}
